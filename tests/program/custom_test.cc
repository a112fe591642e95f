// Ops that are added from outside, in programs: planned, captured and replayed as all others, in place where they
// are elementwise, and without another program for another scalar.
#include "support/custom.h"

#include "program_test.h"
#include "support/compare.h"

namespace
{

class CustomProgram : public ::testing::Test
{
  protected:
    void SetUp() override { SKIP_ON_GPU(); }
};

TEST_F(CustomProgram, ComputesInPlace_OfAnInputThatDies)
{
    Context ctx;
    const ct_op_handle mish = add_mish(ctx);
    const ct_tensor x = some_leaf(ctx, {100}, 1), y = some_leaf(ctx, {100}, 2), before = some_leaf(ctx, {100}, 2);
    ctx.check(ct_assign(ctx, y, ct_exp(ctx, call(ctx, mish, {ct_neg(ctx, x)}))), "ct_assign");
    ctx.check(ct_assign(ctx, before, ct_exp(ctx, ct_neg(ctx, x))), "ct_assign");
    ctx.end_step();
    EXPECT_TRUE(plans_are_sound(ctx));
    plan_census census = {};
    count_plans(ctx, &census);
    EXPECT_GE(census.in_place, 2); // mish in place of neg, and exp of mish
    const std::vector<double> in = ctx.read(x), out = ctx.read(y);
    for (size_t i = 0; i < in.size(); ++i) {
        const double z = -in[i], expected = std::exp(z * std::tanh(std::log1p(std::exp(z))));
        EXPECT_TRUE(is_close(out[i], expected, {1e-5, 1e-6})) << i;
    }
}

TEST_F(CustomProgram, DoesNotReadThroughAnExpand)
{
    Context ctx;
    const ct_op_handle mish = add_mish(ctx);
    const ct_tensor x = some_leaf(ctx, {3, 1}, 1), y = some_leaf(ctx, {3, 4}, 2);
    const int64_t shape[] = {3, 4};
    ctx.check(ct_assign(ctx, y, call(ctx, mish, {ct_expand(ctx, x, 2, shape)})), "ct_assign");
    ctx.end_step();
    EXPECT_TRUE(plans_are_sound(ctx));
    const std::vector<double> of_rows = ctx.read(call(ctx, mish, {x})), wide = ctx.read(y);
    for (size_t i = 0; i < wide.size(); ++i) EXPECT_EQ(wide[i], of_rows[i / 4]);
}

TEST_F(CustomProgram, ADeadOp_FallsOut)
{
    Context ctx;
    const ct_op_handle mish = add_mish(ctx);
    const ct_tensor x = some_leaf(ctx, {8}, 1), y = some_leaf(ctx, {8}, 2);
    call(ctx, mish, {x});
    ctx.check(ct_assign(ctx, y, ct_neg(ctx, x)), "ct_assign");
    ctx.end_step();
    plan_census census = {};
    count_plans(ctx, &census);
    EXPECT_GE(census.dead, 1);
    EXPECT_EQ(stats_of(ctx).nodes, 2); // neg and assign
}

// x <- (x * factor) + shift, from both outputs of `split`
void split_step(Context &ctx, ct_op_handle split, ct_tensor x, ct_tensor y, double factor, int64_t shift)
{
    ct_tensor out[2];
    ctx.check(ct_call_outputs(ctx, split, 1, &x, 1, &shift, 1, &factor, 2, out), "ct_call_outputs");
    ctx.check(ct_assign(ctx, x, out[0]), "ct_assign");
    ctx.check(ct_assign(ctx, y, out[1]), "ct_assign");
    ctx.end_step();
}

TEST_F(CustomProgram, Scalars_ChangeWithoutACompile_AttributesDoNot)
{
    Context ctx;
    const ct_op_handle split = add_op(ctx, split_config());
    const ct_tensor x = ctx.leaf(CT_F32, {2}, {1, 2}), y = ctx.leaf(CT_F32, {2}, {0, 0});
    for (double factor : {2.0, 3.0, 0.5, 4.0}) split_step(ctx, split, x, y, factor, 1);
    EXPECT_EQ(stats_of(ctx).compiles, 1);
    EXPECT_TRUE(same_bits(ctx.read(x), {12, 24}));
    EXPECT_TRUE(same_bits(ctx.read(y), {4, 7}));
    split_step(ctx, split, x, y, 4, 2);
    EXPECT_EQ(stats_of(ctx).compiles, 2);
    EXPECT_TRUE(plans_are_sound(ctx));
}

TEST_F(CustomProgram, AnOutputThatNobodyReads_IsLeftOut)
{
    Context ctx;
    const ct_op_handle split = add_op(ctx, split_config());
    const ct_tensor x = ctx.leaf(CT_F32, {2}, {1, 2}), y = ctx.leaf(CT_F32, {2}, {0, 0});
    const int64_t shift = 5;
    const double factor = 2;
    ct_tensor out[2];
    ctx.check(ct_call_outputs(ctx, split, 1, &x, 1, &shift, 1, &factor, 2, out), "ct_call_outputs");
    ctx.check(ct_assign(ctx, y, out[1]), "ct_assign");
    ctx.end_step();
    EXPECT_TRUE(same_bits(ctx.read(y), {6, 7}));
}

TEST_F(CustomProgram, Replays_AreTheSteps)
{
    std::vector<double> results[2];
    for (bool replay : {false, true}) {
        Context ctx;
        const ct_op_handle mish = add_mish(ctx);
        const ct_tensor x = some_leaf(ctx, {33}, 1, true), rate = ctx.leaf(CT_F32, {}, {0.1});
        const auto step = [&] {
            ctx.check(ct_zero_grad(ctx, x), "ct_zero_grad");
            ctx.check(ct_backward(ctx, ct_sum(ctx, call(ctx, mish, {x}), 0, nullptr, false)), "ct_backward");
            ct_no_grad_begin(ctx);
            ctx.check(ct_assign(ctx, x, ct_sub(ctx, x, ct_mul(ctx, rate, ct_grad(ctx, x)))), "ct_assign");
            ct_no_grad_end(ctx);
            ctx.end_step();
        };
        step();
        if (replay)
            ctx.check(ct_replay(ctx, 139), "ct_replay");
        else
            for (int i = 0; i < 139; ++i) step();
        EXPECT_TRUE(plans_are_sound(ctx));
        EXPECT_EQ(stats_of(ctx).compiles, 1);
        results[replay] = ctx.read(x);
    }
    EXPECT_TRUE(same_bits(results[1], results[0]));
}

TEST_F(CustomProgram, TwoOpsOfOneShape_AreTwoPrograms)
{
    Context ctx;
    const ct_op_handle mish = add_mish(ctx);
    ct_op_config config = {};
    config.name = "test.zero";
    config.n_inputs = config.n_outputs = 1;
    config.flags = CT_OP_IS_ELEMENTWISE;
    config.cpu = [](const ct_op_call *call) {
        for (int64_t i = call->first; i < call->first + call->count; ++i)
            static_cast<float *>(call->outputs[0].data)[i] = 0;
        return 0;
    };
    config.cuda = find_launcher("mish_cuda");
    const ct_op_handle other = add_op(ctx, config);
    const ct_tensor x = some_leaf(ctx, {8}, 1), y = some_leaf(ctx, {8}, 2);
    for (ct_op_handle op : {mish, other}) {
        ctx.check(ct_assign(ctx, y, call(ctx, op, {x})), "ct_assign");
        ctx.end_step();
    }
    EXPECT_EQ(stats_of(ctx).compiles, 2);
    if (!on_stand_in()) {
        EXPECT_EQ(ctx.read(y)[0], 0);
    }
}

} // namespace

// A leaf that is written between forward and backward: an error that names reader
// and writer if the rule reads the old contents, and no error if it does not.
#include "tape/tape_test.h"

#include <functional>

namespace
{

class Version : public Tape
{
  protected:
    // Everything that writes a leaf, by the name the error must give.
    struct Writer {
        const char *name;
        std::function<void(ct_tensor)> write;
    };
    const std::vector<Writer> writers = {
        {"assign", [&](ct_tensor x) { ctx.check(ct_assign(ctx, x, ct_neg(ctx, x)), "ct_assign"); }},
        {"accumulate", [&](ct_tensor x) { ctx.check(ct_accumulate(ctx, x, ct_neg(ctx, x)), "ct_accumulate"); }},
        {"ct_write", [&](ct_tensor x) { ctx.write(x, {7}); }},
        {"ct_mark_written", [&](ct_tensor x) { ctx.check(ct_mark_written(ctx, x), "ct_mark_written"); }},
    };
};

TEST_F(Version, OfAnOperandTheRuleReadsIsChecked)
{
    for (const Writer &writer : writers) {
        SCOPED_TRACE(writer.name);
        const ct_tensor x = parameter({3}), w = parameter({2});
        ctx.check(ct_set_name(ctx, w, "weight"), "ct_set_name");
        const ct_tensor y = ct_mul(ctx, x, w);
        writer.write(w);
        EXPECT_EQ(ct_backward(ctx, y), CT_ERR_STATE);
        EXPECT_TRUE(failed(ctx, CT_ERR_STATE, {"mul", "weight", writer.name}));
        EXPECT_EQ(grad(x), Values{0});
    }
}

TEST_F(Version, OfAnOperandTheRuleDoesNotReadIsNotChecked)
{
    for (const Writer &writer : writers) {
        SCOPED_TRACE(writer.name);
        const ct_tensor x = parameter({3}), w = parameter({2});
        const ct_tensor y = ct_add(ctx, ct_mul_scalar(ctx, x, 5), w);
        writer.write(w);
        backward(y);
        EXPECT_EQ(grad(x), Values{5});
        EXPECT_EQ(grad(w), Values{1});
    }
}

TEST_F(Version, OfAValueMadeBeforeTheWriteIsTheOldOne)
{
    const ct_tensor x = parameter({3});
    const ct_tensor y = ct_exp(ctx, x); // its rule reads the result
    ctx.check(ct_assign(ctx, x, ct_neg(ctx, x)), "ct_assign");
    backward(y);
    EXPECT_NEAR(grad(x)[0], std::exp(3), 1e-12);
    EXPECT_EQ(ct_item(ctx, x), -3);
}

TEST_F(Version, ReadAfterTheWriteIsFine)
{
    const ct_tensor x = parameter({3});
    const ct_tensor before = ct_square(ctx, x);
    ctx.check(ct_assign(ctx, x, ct_mul_scalar(ctx, x, 2)), "ct_assign");
    const ct_tensor after = ct_square(ctx, x);
    backward(after);
    EXPECT_EQ(grad(x), Values{12});
    EXPECT_EQ(ct_backward(ctx, before), CT_ERR_STATE);
    EXPECT_TRUE(failed(ctx, CT_ERR_STATE, {"square", "assign"}));
}

TEST_F(Version, BackwardThenWriteThenNothingIsFine)
{
    const ct_tensor x = parameter({3});
    backward(ct_square(ctx, x));
    ctx.check(ct_assign(ctx, x, ct_neg(ctx, x)), "ct_assign");
    ctx.end_step();
    EXPECT_EQ(grad(x), Values{6});
    EXPECT_EQ(ct_item(ctx, x), -3);
}

TEST_F(Version, IsBumpedByAnOptimizerStep)
{
    for (const bool adam : {false, true}) {
        const ct_tensor w = parameter({2});
        ct_params *params;
        ct_optimizer *optimizer;
        ctx.check(ct_params_create(ctx, &params), "ct_params_create");
        ctx.check(ct_params_add(params, "w", w), "ct_params_add");
        ctx.check(adam ? ct_adam_create(ctx, params, nullptr, &optimizer)
                       : ct_sgd_create(ctx, params, nullptr, &optimizer),
                  "the optimizer");
        ct_tensor y = ct_square(ctx, w);
        backward_from({y}, {}, CT_RETAIN_GRAPH);
        ctx.check(ct_optimizer_step(optimizer), "ct_optimizer_step");
        EXPECT_EQ(ct_backward(ctx, y), CT_ERR_STATE);
        EXPECT_TRUE(failed(ctx, CT_ERR_STATE, {"square", "w", adam ? "adam" : "sgd"}));
        EXPECT_EQ(ct_item(ctx, w), 2); // the step was dropped with the segment
        ct_optimizer_destroy(optimizer);
        ct_params_destroy(params);
    }
}

TEST_F(Version, OfAGradientIsBumpedByBackwardAndZero)
{
    const ct_tensor x = parameter({3}), w = parameter({2});
    backward(ct_square(ctx, x));
    ctx.end_step();
    const ct_tensor y = ct_mul(ctx, ct_grad(ctx, x), w); // reads x.grad
    ctx.check(ct_zero_grad(ctx, x), "ct_zero_grad");
    EXPECT_EQ(ct_backward(ctx, y), CT_ERR_STATE);
    EXPECT_TRUE(failed(ctx, CT_ERR_STATE, {"mul", "zero"}));
    const ct_tensor z = ct_mul(ctx, ct_grad(ctx, x), w);
    backward(ct_square(ctx, x));
    EXPECT_EQ(ct_backward(ctx, z), CT_ERR_STATE);
    EXPECT_TRUE(failed(ctx, CT_ERR_STATE, {"mul", "accumulate"}));
    EXPECT_EQ(grad(w), Values{0});
}

TEST_F(Version, IsCheckedByGradientsToo)
{
    const ct_tensor x = parameter({3});
    const ct_tensor y = ct_square(ctx, x);
    ctx.write(x, {4});
    ct_tensor g = {1};
    EXPECT_EQ(ct_gradients(ctx, 1, &y, nullptr, 1, &x, &g, 0), CT_ERR_STATE);
    EXPECT_TRUE(failed(ctx, CT_ERR_STATE, {"square", "ct_write"}));
}

TEST_F(Version, IsCheckedAcrossSegments)
{
    const ct_tensor x = parameter({3});
    const ct_tensor y = ct_square(ctx, x);
    ctx.check(ct_flush(ctx), "ct_flush");
    ctx.write(x, {4});
    EXPECT_EQ(ct_backward(ctx, y), CT_ERR_STATE);
    EXPECT_TRUE(failed(ctx, CT_ERR_STATE, {"square", "ct_write"}));
    EXPECT_EQ(ct_item(ctx, x), 4);
}

TEST_F(Version, OfAnOperandThatNeedsNoGradientCountsToo)
{
    const ct_tensor x = parameter({3}), c = constant({2});
    const ct_tensor y = ct_mul(ctx, x, c);
    ctx.write(c, {5});
    EXPECT_EQ(ct_backward(ctx, y), CT_ERR_STATE);
    EXPECT_TRUE(failed(ctx, CT_ERR_STATE, {"mul", "ct_write"}));
}

} // namespace

// Segments of a step: wherever it is split, its values and leaves have the same bits, and
// calls beside the tape keep their place in the order of the user's text.
#include "program/program_test.h"

namespace
{

class Segments : public ::testing::Test
{
  protected:
    ~Segments() override { EXPECT_TRUE(plans_are_sound(ctx)); }
    Context ctx;
};

// A training of 20 steps, left alone or disturbed in one way.
Bits trained(const TrainerOptions &options, const std::function<void(Trainer &)> &disturb, int steps = 20)
{
    Trainer t(options);
    if (disturb) disturb(t);
    t.step(steps);
    EXPECT_TRUE(plans_are_sound(t.ctx));
    return t.state();
}

void expect_same_bits_however_split(const TrainerOptions &options)
{
    const Bits expected = trained(options, nullptr);
    const auto item = [](Trainer &t) {
        return [&t](ct_tensor loss) { EXPECT_FALSE(std::isnan(ct_item(t.ctx, loss))); };
    };
    EXPECT_EQ(trained(options, [&](Trainer &t) { t.in_the_middle = item(t); }), expected)
        << "ct_item before the backward";
    EXPECT_EQ(trained(options, [&](Trainer &t) { t.after_backward = item(t); }), expected)
        << "ct_item after the backward";
    EXPECT_EQ(trained(options, [&](Trainer &t) { t.before_end = item(t); }), expected) << "ct_item before the end";
    EXPECT_EQ(trained(options, [&](Trainer &t) { t.after_backward = [&t](ct_tensor) { ct_flush(t.ctx); }; }), expected)
        << "ct_flush";
    EXPECT_EQ(trained(options, [&](Trainer &t) { t.before_end = [&t](ct_tensor) { ct_synchronize(t.ctx); }; }),
              expected)
        << "ct_synchronize";
    EXPECT_EQ(trained(options, [&](Trainer &t) { t.after_backward = [&t](ct_tensor) { t.state(); }; }), expected)
        << "reading all leaves";
}

TEST_F(Segments, Training_HasTheSameBitsHoweverItIsSplit) { expect_same_bits_however_split({}); }

TEST_F(Segments, TrainingWithSgdAndMomentum_HasTheSameBitsHoweverItIsSplit)
{
    TrainerOptions options;
    options.adam = false;
    expect_same_bits_however_split(options);
}

TEST_F(Segments, TrainingWithClipping_HasTheSameBitsHoweverItIsSplit)
{
    TrainerOptions options;
    options.clip = true;
    expect_same_bits_however_split(options);
}

TEST_F(Segments, TrainingWithAccumulatedGradients_HasTheSameBitsHoweverItIsSplit)
{
    TrainerOptions options;
    options.accumulate = 2;
    options.clip = true;
    expect_same_bits_however_split(options);
}

TEST_F(Segments, TrainingWithDropout_HasTheSameBitsHoweverItIsSplit)
{
    TrainerOptions options;
    options.dropout = 0.3;
    options.accumulate = 2;
    expect_same_bits_however_split(options);
}

TEST_F(Segments, TrainingOfALargeNetwork_HasTheSameBitsHoweverItIsSplit)
{
    TrainerOptions options;
    options.widths = {784, 128, 10};
    options.batch = 64;
    options.examples = 256;
    options.accumulate = 2;
    expect_same_bits_however_split(options);
}

TEST_F(Segments, AReadInTheMiddle_GivesTheValueAndChangesNothing)
{
    const ct_tensor w = some_leaf(ctx, {5, 5}, 1, true), x = some_leaf(ctx, {5, 5}, 2);
    const auto step = [&](bool split) {
        ct_zero_grad(ctx, w);
        const ct_tensor h = ct_tanh(ctx, ct_matmul(ctx, x, w));
        const Bits middle = split ? bits_of(ctx, h) : Bits();
        const ct_tensor y = ct_mean(ctx, ct_mul(ctx, h, h), 0, nullptr, false);
        ctx.check(ct_backward(ctx, y), "ct_backward");
        const Bits late = bits_of(ctx, h);
        EXPECT_TRUE(!split || middle == late);
        ctx.end_step();
        return bits_of(ctx, ct_grad(ctx, w));
    };
    const Bits whole = step(false);
    EXPECT_EQ(step(true), whole);
    const int64_t compiles = stats_of(ctx).compiles;
    EXPECT_EQ(step(true), whole);
    EXPECT_EQ(step(false), whole);
    EXPECT_EQ(stats_of(ctx).compiles, compiles);
}

// A transpose that a product takes in, or that another segment has written out: above and
// below the size from which a library computes products.
TEST_F(Segments, ATransposeBehindASplit_GivesTheSameProduct)
{
    for (const int64_t n : {5, 31, 64, 96, 130})
        for (const ct_dtype dtype : {CT_F32, CT_F64})
            for (const bool left : {false, true}) {
                const ct_tensor a = some_leaf(ctx, {n, n + 3}, 1, false, dtype),
                                b = some_leaf(ctx, {n, n + 3}, 2, false, dtype);
                const auto product = [&](bool split) {
                    const ct_tensor t = ct_transpose(ctx, left ? a : b, 0, 1);
                    if (split) ctx.check(ct_flush(ctx), "ct_flush");
                    const Bits bits = bits_of(ctx, left ? ct_matmul(ctx, t, b) : ct_matmul(ctx, a, t));
                    ctx.end_step();
                    return bits;
                };
                EXPECT_EQ(product(true), product(false)) << n << (left ? ", left" : ", right") << ", dtype " << dtype;
                ct_release(ctx, a);
                ct_release(ctx, b);
            }
}

// An elementwise op reads the source of an expand, or what another segment has written out:
// whichever way the kernel walks over its operands, its formula has one rounding.
TEST_F(Segments, AnExpandBehindASplit_GivesTheSameValues)
{
    using Op = std::function<ct_tensor(ct_tensor, ct_tensor)>;
    ct_context *c = ctx;
    const std::vector<std::pair<const char *, Op>> ops = {
        {"exp", [=](ct_tensor x, ct_tensor) { return ct_exp(c, x); }},
        {"expm1", [=](ct_tensor x, ct_tensor) { return ct_expm1(c, x); }},
        {"log1p", [=](ct_tensor x, ct_tensor) { return ct_log1p(c, ct_square(c, x)); }},
        {"sqrt", [=](ct_tensor x, ct_tensor) { return ct_sqrt(c, ct_abs(c, x)); }},
        {"sin", [=](ct_tensor x, ct_tensor) { return ct_sin(c, x); }},
        {"cos", [=](ct_tensor x, ct_tensor) { return ct_cos(c, x); }},
        {"tanh", [=](ct_tensor x, ct_tensor) { return ct_tanh(c, x); }},
        {"sigmoid", [=](ct_tensor x, ct_tensor) { return ct_sigmoid(c, x); }},
        {"silu", [=](ct_tensor x, ct_tensor) { return ct_silu(c, x); }},
        {"softplus", [=](ct_tensor x, ct_tensor) { return ct_softplus(c, x); }},
        {"gelu", [=](ct_tensor x, ct_tensor) { return ct_gelu(c, x, false); }},
        {"gelu_tanh", [=](ct_tensor x, ct_tensor) { return ct_gelu(c, x, true); }},
        {"elu", [=](ct_tensor x, ct_tensor) { return ct_elu(c, x, 0.7); }},
        {"reciprocal", [=](ct_tensor x, ct_tensor) { return ct_reciprocal(c, x); }},
        {"pow_scalar", [=](ct_tensor x, ct_tensor) { return ct_pow_scalar(c, ct_abs(c, x), 1.7); }},
        {"add", [=](ct_tensor x, ct_tensor y) { return ct_add(c, x, y); }},
        {"mul", [=](ct_tensor x, ct_tensor y) { return ct_mul(c, x, y); }},
        {"div", [=](ct_tensor x, ct_tensor y) { return ct_div(c, y, x); }},
        {"pow", [=](ct_tensor x, ct_tensor y) { return ct_pow(c, ct_abs(c, y), x); }},
    };
    for (const ct_dtype dtype : {CT_F32, CT_F64})
        for (const int64_t n : {1, 3, 16, 37})
            for (const bool column : {false, true}) {
                const int64_t shape[] = {19, n};
                const ct_tensor x =
                    some_leaf(ctx, column ? std::vector<int64_t>{19, 1} : std::vector<int64_t>{n}, 1, true, dtype);
                const ct_tensor y = some_leaf(ctx, {19, n}, 2, false, dtype);
                for (const auto &[name, op] : ops) {
                    std::vector<Bits> seen[2];
                    for (const bool split : {false, true}) {
                        ct_zero_grad(ctx, x);
                        const ct_tensor wide = ct_expand(ctx, x, 2, shape);
                        if (split) ct_flush(ctx);
                        const ct_tensor z = ctx.check(op(wide, y), name);
                        ctx.check(ct_backward(ctx, ct_sum(ctx, z, 0, nullptr, false)), name);
                        seen[split].push_back(bits_of(ctx, z));
                        ctx.end_step();
                        seen[split].push_back(bits_of(ctx, ct_grad(ctx, x)));
                    }
                    EXPECT_TRUE(seen[1][0] == seen[0][0])
                        << name << ", dtype " << dtype << ", n " << n << (column ? ", a column" : ", a row");
                    EXPECT_TRUE(seen[1][1] == seen[0][1]) << "gradient of " << name << ", dtype " << dtype << ", n "
                                                          << n << (column ? ", a column" : ", a row");
                }
                ct_release(ctx, y);
                ct_release(ctx, x);
            }
}

// zero_grad, then a gradient of -0: stored, or added to zero.
TEST_F(Segments, ZeroGradBehindASplit_GivesTheSameSignOfZero)
{
    const ct_tensor w = ctx.leaf(CT_F32, {2}, {1, 2}), x = ctx.leaf(CT_F32, {2}, {-0.0, 3});
    ctx.check(ct_set_requires_grad(ctx, w, true), "ct_set_requires_grad");
    const auto gradient = [&](bool split) {
        ct_zero_grad(ctx, w);
        if (split) ct_flush(ctx);
        ctx.check(ct_backward(ctx, ct_sum(ctx, ct_mul(ctx, w, x), 0, nullptr, false)), "ct_backward");
        ctx.end_step();
        return bits_of(ctx, ct_grad(ctx, w));
    };
    EXPECT_EQ(gradient(true), gradient(false));
}

// Where a product reads the gradient it is then added to, it cannot add in place; where an
// earlier segment has written the transpose out, it could. The choice is one of rounding.
TEST_F(Segments, AProductOfAGradientAddsToThatGradient)
{
    const auto gradient = [&](const std::vector<int64_t> &shape, ct_dtype dtype, bool split) {
        const ct_tensor w = some_leaf(ctx, shape, 1, true, dtype), start = some_leaf(ctx, shape, 2, false, dtype);
        ct_assign(ctx, ct_grad(ctx, w), start);
        const ct_tensor turned = ct_transpose(ctx, ct_grad(ctx, w), 0, 1), y = ct_matmul(ctx, turned, w);
        if (split) ct_flush(ctx);
        ctx.check(ct_backward(ctx, ct_sum(ctx, ct_mul(ctx, y, y), 0, nullptr, false)), "ct_backward");
        ctx.end_step();
        const Bits bits = bits_of(ctx, ct_grad(ctx, w));
        ct_release(ctx, w);
        ct_release(ctx, start);
        return bits;
    };
    // One panel of the loops, a library's product, and several panels.
    for (const int64_t n : {7, 70, 300})
        for (const ct_dtype dtype : {CT_F32, CT_F64})
            EXPECT_TRUE(gradient({n, n}, dtype, true) == gradient({n, n}, dtype, false)) << n << ", dtype " << dtype;
}

// Accumulating a gradient onto itself right behind its zero.
TEST_F(Segments, AGradientAddedToItselfBehindItsZero_IsZero)
{
    const ct_tensor w = some_leaf(ctx, {3}, 1, true);
    const ct_tensor grad = ct_grad(ctx, w);
    ctx.write(grad, {5, 6, 7});
    ct_zero_grad(ctx, w);
    ctx.check(ct_accumulate(ctx, grad, grad), "ct_accumulate");
    ctx.end_step();
    EXPECT_EQ(ctx.read(grad), (std::vector<double>{0, 0, 0}));
}

TEST_F(Segments, AWriteBehindAnOp_DoesNotReachIt)
{
    const ct_tensor x = ctx.leaf(CT_F32, {2}, {1, 2}), out = ctx.leaf(CT_F32, {2}, {0, 0}),
                    other = ctx.leaf(CT_F32, {2}, {0, 0});
    for (int i = 0; i < 3; i++) {
        ctx.write(x, {1, 2});
        const ct_tensor before = ct_neg(ctx, x);
        ctx.write(x, {10, 20});
        const ct_tensor after = ct_neg(ctx, x);
        ct_assign(ctx, out, before);
        ct_assign(ctx, other, after);
        ctx.end_step();
        EXPECT_EQ(ctx.read(out), (std::vector<double>{-1, -2}));
        EXPECT_EQ(ctx.read(other), (std::vector<double>{-10, -20}));
    }
}

// What an op has made of a leaf without computing anything must not follow the leaf.
TEST_F(Segments, AWriteBehindAReshapeOrExpand_DoesNotReachIt)
{
    const ct_tensor x = ctx.leaf(CT_F32, {2}, {1, 2});
    const int64_t wide[] = {3, 2}, tall[] = {2, 1};
    const ct_tensor e = ct_expand(ctx, x, 2, wide), r = ct_reshape(ctx, x, 2, tall), d = ct_detach(ctx, x);
    const ct_tensor t = ct_transpose(ctx, r, 0, 1);
    ctx.write(x, {10, 20});
    const ct_tensor zeros = ctx.leaf(CT_F32, {3, 2}, {0, 0, 0, 0, 0, 0});
    EXPECT_EQ(ctx.read(ct_add(ctx, e, zeros)), (std::vector<double>{1, 2, 1, 2, 1, 2}));
    EXPECT_EQ(ctx.read(r), (std::vector<double>{1, 2}));
    EXPECT_EQ(ctx.read(d), (std::vector<double>{1, 2}));
    EXPECT_EQ(ctx.read(t), (std::vector<double>{1, 2}));
    ctx.end_step();
}

TEST_F(Segments, AnAssignBehindAReshapeExpandOrTranspose_DoesNotReachIt)
{
    const ct_tensor x = ctx.leaf(CT_F32, {2, 2}, {1, 2, 3, 4}), y = ctx.leaf(CT_F32, {2, 2}, {10, 20, 30, 40});
    const ct_tensor eye = ctx.leaf(CT_F32, {2, 2}, {1, 0, 0, 1}),
                    zeros = ctx.leaf(CT_F32, {2, 2, 2}, std::vector<double>(8, 0));
    std::vector<ct_tensor> out;
    for (int i = 0; i < 4; i++)
        out.push_back(ctx.leaf(CT_F32, i == 1 ? std::vector<int64_t>{2, 2, 2} : std::vector<int64_t>{2, 2},
                               std::vector<double>(i == 1 ? 8 : 4, 0)));
    const int64_t deep[] = {2, 2, 2}, flat[] = {4}, square[] = {2, 2};
    const ct_tensor r = ct_reshape(ctx, x, 1, flat), e = ct_expand(ctx, x, 3, deep), t = ct_transpose(ctx, x, 0, 1);
    const ct_tensor d = ct_detach(ctx, x);
    ct_assign(ctx, x, y);
    ct_assign(ctx, out[0], ct_reshape(ctx, r, 2, square));
    ct_assign(ctx, out[1], ct_add(ctx, e, zeros));
    ct_assign(ctx, out[2], ct_matmul(ctx, t, eye));
    ct_assign(ctx, out[3], ct_add_scalar(ctx, d, 1));
    ctx.end_step();
    EXPECT_EQ(ctx.read(x), (std::vector<double>{10, 20, 30, 40}));
    EXPECT_EQ(ctx.read(out[0]), (std::vector<double>{1, 2, 3, 4}));
    EXPECT_EQ(ctx.read(out[1]), (std::vector<double>{1, 2, 3, 4, 1, 2, 3, 4}));
    EXPECT_EQ(ctx.read(out[2]), (std::vector<double>{1, 3, 2, 4}));
    EXPECT_EQ(ctx.read(out[3]), (std::vector<double>{2, 3, 4, 5}));
}

// A reader between the product and the accumulate sees the old gradient.
TEST_F(Segments, AReaderOfAGradient_SeesItAsItIsThere)
{
    const ct_tensor w = ctx.leaf(CT_F32, {2, 2}, {1, 2, 3, 4}), x = ctx.leaf(CT_F32, {2, 2}, {1, 0, 0, 1});
    ctx.check(ct_set_requires_grad(ctx, w, true), "ct_set_requires_grad");
    const ct_tensor grad = ct_grad(ctx, w),
                    seen[3] = {some_leaf(ctx, {2, 2}, 1), some_leaf(ctx, {2, 2}, 2), some_leaf(ctx, {2, 2}, 3)};
    ctx.write(grad, {9, 9, 9, 9});
    ct_assign(ctx, seen[0], grad);
    ct_zero_grad(ctx, w);
    ct_assign(ctx, seen[1], grad);
    ctx.check(ct_backward(ctx, ct_sum(ctx, ct_matmul(ctx, x, w), 0, nullptr, false)), "ct_backward");
    ct_assign(ctx, seen[2], grad);
    ct_zero_grad(ctx, w);
    ctx.end_step();
    EXPECT_EQ(ctx.read(seen[0]), (std::vector<double>{9, 9, 9, 9}));
    EXPECT_EQ(ctx.read(seen[1]), (std::vector<double>{0, 0, 0, 0}));
    EXPECT_EQ(ctx.read(seen[2]), (std::vector<double>{1, 1, 1, 1}));
    EXPECT_EQ(ctx.read(grad), (std::vector<double>{0, 0, 0, 0}));
}

// The sweep itself may read a gradient, or a reshape of it, between the product that is added
// to it and the place where that was recorded.
TEST_F(Segments, AGradientThatTheSweepReads_IsNotAddedToBefore)
{
    const int64_t flat = 16, square[] = {4, 4};
    for (const bool reshaped : {false, true}) {
        const ct_tensor w = some_leaf(ctx, {4, 4}, 1, true), x = some_leaf(ctx, {4, 4}, 3);
        const ct_tensor p = some_leaf(ctx, reshaped ? std::vector<int64_t>{16} : std::vector<int64_t>{4, 4}, 2, true);
        const ct_tensor start = some_leaf(ctx, {4, 4}, 4);
        ct_assign(ctx, ct_grad(ctx, w), start);
        ctx.end_step();
        const ct_tensor grad = ct_grad(ctx, w), seen = reshaped ? ct_reshape(ctx, grad, 1, &flat) : grad;
        ct_tensor scaled = ct_mul(ctx, seen, p);
        if (reshaped) scaled = ct_reshape(ctx, scaled, 2, square);
        const ct_tensor product = ct_matmul(ctx, x, w);
        ctx.check(ct_backward(ctx, ct_sum(ctx, ct_add(ctx, scaled, product), 0, nullptr, false)), "ct_backward");
        ctx.end_step();
        EXPECT_EQ(bits_of(ctx, ct_grad(ctx, p)), bits_of(ctx, start)) << (reshaped ? "reshaped" : "as it is");
        EXPECT_NE(bits_of(ctx, ct_grad(ctx, w)), bits_of(ctx, start));
    }
}

// A step that outgrows the memory it began in keeps what it has.
TEST_F(Segments, GrowthInTheMidst_LeavesOldValuesIntact)
{
    for (int round = 0; round < 3; round++) {
        std::vector<ct_tensor> values;
        const ct_tensor start = ctx.leaf(CT_F32, {4}, {1, 2, 3, 4});
        values.push_back(ct_add_scalar(ctx, start, 0));
        ctx.check(ct_flush(ctx), "ct_flush");
        for (int64_t rows = 4; rows <= 65536; rows *= 8) {
            const int64_t shape[] = {rows, 4};
            const ct_tensor wide = ct_expand(ctx, values.back(), 2, shape);
            const ct_tensor grown = ct_mul_scalar(ctx, ct_add(ctx, wide, wide), 0.5 + 0.5 * round);
            const int dim = 0;
            values.push_back(ct_mean(ctx, grown, 1, &dim, false));
            ctx.check(ct_flush(ctx), "ct_flush");
        }
        double factor = 1;
        for (const ct_tensor value : values) {
            const std::vector<double> found = ctx.read(value);
            for (int i = 0; i < 4; i++)
                EXPECT_FLOAT_EQ(static_cast<float>(found[static_cast<size_t>(i)]),
                                static_cast<float>((i + 1) * factor));
            factor *= 1.0 + round;
        }
        ct_release(ctx, start);
        ctx.end_step();
    }
}

// A segment between small and large ones that keeps nothing does not move the base.
TEST_F(Segments, ALargeSegmentThatKeepsNothing_LeavesTheStepWhereItWas)
{
    const ct_tensor ring = ctx.leaf(CT_F32, {3}, {0, 0, 0}), x = ctx.leaf(CT_F32, {2}, {1, 2});
    const ct_tensor big = some_leaf(ctx, {300, 300}, 1, true);
    for (int round = 0; round < 3; round++) {
        const ct_tensor first = ct_add_scalar(ctx, x, 1);
        ct_flush(ctx);
        ct_zero_grad(ctx, big);
        ct_flush(ctx);
        const ct_tensor second = ct_add_scalar(ctx, first, 1);
        ct_flush(ctx);
        const ct_tensor y = ct_mean(ctx, ct_square(ctx, ct_matmul(ctx, big, big)), 0, nullptr, false);
        ctx.check(ct_backward(ctx, y), "ct_backward");
        ct_append(ctx, ring, y);
        ct_flush(ctx);
        const ct_tensor third = ct_add(ctx, first, second);
        EXPECT_EQ(ctx.read(third), (std::vector<double>{5, 7}));
        EXPECT_EQ(ctx.read(second), (std::vector<double>{3, 4}));
        EXPECT_EQ(ctx.read(first), (std::vector<double>{2, 3}));
        ctx.end_step();
    }
}

TEST(SegmentsAndTheLimit, AStepTooBigForThePool_ChangesNothing)
{
    ct_config config = {};
    config.pool_bytes = 4 << 20;
    Context ctx(devices().front(), config);
    const ct_tensor x = ctx.leaf(CT_F32, {8}, {1, 2, 3, 4, 5, 6, 7, 8}), ring = ctx.leaf(CT_F32, {2}, {7, 7});
    ct_append(ctx, ring, ct_mean(ctx, x, 0, nullptr, false));
    ctx.end_step();
    const ct_stats before = stats_of(ctx);
    const int64_t wide[] = {1 << 20, 8};
    const int dims[] = {0};
    ct_append(ctx, ring, ct_mean(ctx, ct_exp(ctx, ct_softmax(ctx, ct_expand(ctx, x, 2, wide), 0)), 0, nullptr, false));
    ct_assign(ctx, x, ct_sum(ctx, ct_expand(ctx, x, 2, wide), 1, dims, false));
    EXPECT_EQ(ct_step_end(ctx), CT_ERR_MEMORY);
    const std::string message = take_error(ctx, CT_ERR_MEMORY);
    EXPECT_NE(message.find("limit"), std::string::npos) << message;
    EXPECT_EQ(ctx.read(x), (std::vector<double>{1, 2, 3, 4, 5, 6, 7, 8}));
    EXPECT_EQ(ctx.read(ring)[1], 7);
    EXPECT_EQ(stats_of(ctx).pool_in_use, before.pool_in_use);
    ct_append(ctx, ring, ct_mean(ctx, x, 0, nullptr, false));
    ctx.end_step();
    EXPECT_EQ(ctx.read(ring)[1], 4.5);
}

// Played op by op, a step has the bits it has as a whole.
TEST(SegmentsEager, Training_HasTheSameBits)
{
    for (const bool clip : {false, true}) {
        TrainerOptions options;
        options.dropout = 0.2;
        options.clip = clip;
        options.accumulate = clip ? 2 : 1;
        const Bits expected = trained(options, nullptr);
        options.config.eager = true;
        EXPECT_EQ(trained(options, nullptr), expected);
    }
}

TEST(SegmentsDebugPool, Training_HasTheSameBits)
{
    TrainerOptions options;
    options.dropout = 0.2;
    options.accumulate = 2;
    const Bits expected = trained(options, nullptr);
    const Environment debug("CT_POOL_DEBUG", "1");
    EXPECT_EQ(trained(options, nullptr), expected);
    EXPECT_EQ(trained(options, [](Trainer &t) { t.before_end = [&t](ct_tensor loss) { ct_item(t.ctx, loss); }; }),
              expected);
}

} // namespace

// What the planner makes free, by the launches of a step: the promises of the op list.
#include "program/program_test.h"

namespace
{

class Rewrites : public ::testing::Test
{
  protected:
    ~Rewrites() override { EXPECT_TRUE(plans_are_sound(ctx)); }
    // Launches of a step played for the second time.
    int64_t launches(const std::function<void()> &record)
    {
        for (int i = 0; i < 2; i++) {
            record();
            ctx.end_step();
        }
        return stats_of(ctx).nodes;
    }
    Context ctx;
};

TEST_F(Rewrites, WhatNobodyReads_IsNotComputed)
{
    const ct_tensor x = some_leaf(ctx, {4, 4}, 1), out = some_leaf(ctx, {4, 4}, 2);
    EXPECT_EQ(launches([&] {
                  ct_exp(ctx, ct_softmax(ctx, ct_matmul(ctx, x, x), 0));
                  ct_assign(ctx, out, ct_neg(ctx, x));
                  ct_rand(ctx, CT_F32, 0, nullptr);
              }),
              3)
        << "neg, assign, and the random counter's advance";
}

TEST_F(Rewrites, AReshape_IsFree)
{
    const ct_tensor x = some_leaf(ctx, {4, 4}, 1), out = some_leaf(ctx, {16}, 2);
    const int64_t flat = 16;
    EXPECT_EQ(launches([&] { ct_assign(ctx, out, ct_reshape(ctx, ct_neg(ctx, x), 1, &flat)); }), 2);
}

// The same for a plain leaf, a parameter, and a value that requires a gradient.
TEST_F(Rewrites, ATransposeBeforeAProduct_IsFree)
{
    const ct_tensor x = some_leaf(ctx, {4, 4}, 1), w = some_leaf(ctx, {4, 4}, 2, true), out = some_leaf(ctx, {4, 4}, 3);
    EXPECT_EQ(launches([&] { ct_assign(ctx, out, ct_matmul(ctx, x, ct_transpose(ctx, x, 0, 1))); }), 2);
    EXPECT_EQ(launches([&] { ct_assign(ctx, out, ct_matmul(ctx, x, ct_transpose(ctx, w, 0, 1))); }), 2);
    EXPECT_EQ(launches([&] { ct_assign(ctx, out, ct_matmul(ctx, ct_transpose(ctx, ct_neg(ctx, w), -1, -2), x)); }), 3);
}

TEST_F(Rewrites, AnExpandBeforeAnElementwiseOp_IsFree)
{
    const ct_tensor x = some_leaf(ctx, {4, 4}, 1), row = some_leaf(ctx, {4}, 2), b = some_leaf(ctx, {4}, 3, true);
    const ct_tensor out = some_leaf(ctx, {4, 4}, 4);
    const int64_t shape[] = {4, 4};
    EXPECT_EQ(launches([&] { ct_assign(ctx, out, ct_add(ctx, x, ct_expand(ctx, row, 2, shape))); }), 2);
    EXPECT_EQ(launches([&] { ct_assign(ctx, out, ct_add(ctx, x, ct_expand(ctx, b, 2, shape))); }), 2);
}

// The product of the backward pass writes the gradient, whether it was zeroed before or not.
TEST_F(Rewrites, ZeroGradAndAccumulate_AreFree)
{
    const ct_tensor x = some_leaf(ctx, {4, 4}, 1), w = some_leaf(ctx, {4, 4}, 2, true),
                    target = some_leaf(ctx, {4, 4}, 3);
    const auto step = [&](bool zero) {
        return launches([&] {
            if (zero) ct_zero_grad(ctx, w);
            ct_backward(ctx, ct_mse_loss(ctx, ct_matmul(ctx, x, w), target, CT_REDUCE_MEAN));
        });
    };
    // The product, the loss with its gradient, the product of the gradient; on a GPU the loss is the product's tail.
    const int64_t expected = devices().front().device == CT_DEVICE_CPU ? 3 : 2;
    EXPECT_EQ(step(true), expected);
    EXPECT_EQ(step(false), expected);
}

TEST_F(Rewrites, AnMlpTraining_HasNoLaunchTooMany)
{
    TrainerOptions options;
    options.ring = false;
    Trainer t(options);
    t.step(2);
    // Gather; two linears; cross-entropy; dW2, db2, dH with relu's mask, dW1, db1; Adam.
    // A GPU plays {dH, dW2, db2} and {dW1, db1} in a grid each, and the loss, here one block, behind the second linear.
    EXPECT_EQ(stats_of(t.ctx).nodes, devices().front().device == CT_DEVICE_CPU ? 10 : 6);
}

} // namespace

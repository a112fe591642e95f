// What losses of two tensors refuse, and that huber's delta is data and no part of the program.
#include "support/compare.h"
#include "support/context.h"
#include "support/errors.h"

namespace
{

class PairLoss : public ::testing::Test
{
  protected:
    Context ctx_;
    const ct_tensor x_ = ctx_.leaf(CT_F32, {3}, {1, -2, 3});
    const ct_tensor y_ = ctx_.leaf(CT_F32, {3}, {0, 0, 0});
};

TEST_F(PairLoss, OfTwoShapesOrDtypes_IsRefused)
{
    const ct_tensor row = ctx_.leaf(CT_F32, {1, 3}, {0, 0, 0}), f64 = ctx_.leaf(CT_F64, {3}, {0, 0, 0});
    EXPECT_EQ(ct_l1_loss(ctx_, x_, row, CT_REDUCE_MEAN).bits, 0u);
    EXPECT_TRUE(failed(ctx_, CT_ERR_SHAPE, {"l1_loss", "[3]", "[1,3]"}));
    EXPECT_EQ(ct_bce_with_logits(ctx_, x_, f64, CT_REDUCE_MEAN).bits, 0u);
    EXPECT_TRUE(failed(ctx_, CT_ERR_DTYPE, {"bce_with_logits", "f32", "f64"}));
    EXPECT_EQ(ct_huber_loss(ctx_, x_, y_, 1, static_cast<ct_reduction>(3)).bits, 0u);
    EXPECT_TRUE(failed(ctx_, CT_ERR_ARGUMENT, {"huber_loss", "reduction"}));
}

TEST_F(PairLoss, HuberOfADeltaThatIsNotPositive_IsRefused)
{
    for (const double delta : {0.0, -1.0, static_cast<double>(NAN)}) {
        EXPECT_EQ(ct_huber_loss(ctx_, x_, y_, delta, CT_REDUCE_MEAN).bits, 0u);
        EXPECT_TRUE(failed(ctx_, CT_ERR_ARGUMENT, {"huber_loss", "delta"}));
    }
}

TEST_F(PairLoss, HuberWithAnotherDelta_IsTheSameProgram)
{
    ctx_.check(ct_set_requires_grad(ctx_, x_, true), "ct_set_requires_grad");
    const auto step = [&](double delta) {
        ctx_.check(ct_zero_grad(ctx_, x_), "ct_zero_grad");
        ctx_.check(ct_backward(ctx_, ct_huber_loss(ctx_, x_, y_, delta, CT_REDUCE_SUM)), "ct_backward");
        ctx_.end_step();
        return ctx_.read(ct_grad(ctx_, x_));
    };
    EXPECT_TRUE(same_bits(step(2.5), {1, -2, 2.5}));
    ct_expect_cached(ctx_, true);
    EXPECT_TRUE(same_bits(step(1.5), {1, -1.5, 1.5}));
}

} // namespace

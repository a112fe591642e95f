// The gradient of dropout, which no golden value can know: the mask and the scale of
// the forward pass, in a backward, in forward mode and under replay.
#include "support/compare.h"
#include "support/context.h"

namespace
{

class Dropout : public ::testing::TestWithParam<ct_dtype>
{
  protected:
    static constexpr int64_t n = 5000;

    const ct_dtype real_ = GetParam();
    Context ctx_;
    const ct_tensor x_ = ctx_.leaf(real_, {n}, std::vector<double>(n, 1.0));
    std::vector<double> seed_values_;
    ct_tensor seed_;

    void SetUp() override
    {
        ctx_.check(ct_set_requires_grad(ctx_, x_, true), "ct_set_requires_grad");
        for (int i = 0; i < n; ++i) seed_values_.push_back((i % 17 - 8.5) / 4);
        seed_ = ctx_.leaf(real_, {n}, seed_values_);
    }
    // With ones for x the output is the mask times the scale.
    std::vector<double> expected(const std::vector<double> &mask) const
    {
        std::vector<double> product(mask.size());
        for (size_t i = 0; i < mask.size(); ++i) product[i] = mask[i] * seed_values_[i];
        return product;
    }
};

TEST_P(Dropout, Gradient_HasTheMaskAndTheScaleOfTheForward)
{
    const ct_tensor other = ct_dropout(ctx_, seed_, 0.5); // not the first mask of the step
    const ct_tensor y = ct_dropout(ctx_, x_, 0.25);
    ctx_.check(ct_backward_from(ctx_, 1, &y, &seed_, 0), "ct_backward_from");
    const std::vector<double> mask = ctx_.read(y), grad = ctx_.read(ct_grad(ctx_, x_));
    ctx_.read(other);
    ctx_.end_step();
    double kept = 0;
    for (const double value : mask) {
        EXPECT_TRUE(value == 0 || is_close(value, 4.0 / 3, {1e-6, 0})) << value;
        kept += value != 0;
    }
    EXPECT_NEAR(kept / n, 0.75, 0.04);
    EXPECT_TRUE(all_close(grad, expected(mask), {1e-6, 0}));
}

TEST_P(Dropout, GradientUnderReplay_HasThatStepsMask)
{
    const ct_tensor mask = ctx_.leaf(real_, {n}, std::vector<double>(n));
    ctx_.check(ct_zero_grad(ctx_, x_), "ct_zero_grad");
    const ct_tensor y = ct_dropout(ctx_, x_, 0.5);
    ctx_.check(ct_assign(ctx_, mask, y), "ct_assign");
    ctx_.check(ct_backward_from(ctx_, 1, &y, &seed_, 0), "ct_backward_from");
    ctx_.end_step();
    std::vector<double> last = ctx_.read(mask);
    for (int i = 0; i < 3; ++i) {
        ctx_.check(ct_replay(ctx_, 1), "ct_replay");
        const std::vector<double> now = ctx_.read(mask);
        EXPECT_FALSE(all_close(now, last, {0, 0})) << "the mask of another step";
        EXPECT_TRUE(all_close(ctx_.read(ct_grad(ctx_, x_)), expected(now), {1e-6, 0}));
        last = now;
    }
}

TEST_P(Dropout, ForwardModeAndSecondOrder_HaveTheSameMask)
{
    const ct_tensor y = ct_dropout(ctx_, x_, 0.5);
    ct_tensor tangent;
    ctx_.check(ct_jvp(ctx_, 1, &x_, &seed_, 1, &y, &tangent), "ct_jvp");
    const std::vector<double> mask = ctx_.read(y);
    EXPECT_TRUE(all_close(ctx_.read(tangent), expected(mask), {1e-6, 0}));
    ctx_.end_step();
}

TEST_P(Dropout, OutsideTraining_TheGradientPasses)
{
    ct_set_training(ctx_, false);
    const ct_tensor y = ct_dropout(ctx_, x_, 0.5);
    ctx_.check(ct_backward_from(ctx_, 1, &y, &seed_, 0), "ct_backward_from");
    ctx_.end_step();
    EXPECT_TRUE(same_bits(ctx_.read(ct_grad(ctx_, x_)), seed_values_));
}

TEST_P(Dropout, OfEverything_HasAGradientOfZeros)
{
    const ct_tensor y = ct_dropout(ctx_, x_, 1);
    ctx_.check(ct_backward_from(ctx_, 1, &y, &seed_, 0), "ct_backward_from");
    const std::vector<double> zeros(n);
    EXPECT_TRUE(all_close(ctx_.read(y), zeros, {0, 0}));
    EXPECT_TRUE(all_close(ctx_.read(ct_grad(ctx_, x_)), zeros, {0, 0}));
    ctx_.end_step();
}

INSTANTIATE_TEST_SUITE_P(Ops, Dropout, ::testing::Values(CT_F32, CT_F64),
                         [](const auto &info) { return info.param == CT_F32 ? "f32" : "f64"; });

} // namespace

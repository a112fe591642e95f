// What no golden value knows of the norms: the running statistics of batch_norm over several steps and under
// replay, long rows, and what is refused.
#include "support/compare.h"
#include "support/context.h"
#include "support/errors.h"

namespace
{

using Values = std::vector<double>;

class BatchNorm : public ::testing::TestWithParam<ct_dtype>
{
  protected:
    static constexpr double momentum = 0.25, eps = 1e-3;

    const ct_dtype real_ = GetParam();
    const Tolerance close_ = real_ == CT_F32 ? Tolerance{1e-5, 1e-6} : Tolerance{1e-12, 1e-13};
    Context ctx_;
    const ct_tensor gamma_ = ctx_.leaf(real_, {2}, {1.5, -0.5}), beta_ = ctx_.leaf(real_, {2}, {0.25, 1});
    const ct_tensor mean_ = ctx_.leaf(real_, {2}, {1, -1}), var_ = ctx_.leaf(real_, {2}, {2, 0.5});
    Values expected_mean_ = {1, -1}, expected_var_ = {2, 0.5};

    ct_tensor norm(ct_tensor x) { return ct_batch_norm(ctx_, x, gamma_, beta_, mean_, var_, momentum, eps); }

    // The batch of a step, [3, 2, 2]; channel c of row n stands at 4 n + 2 c.
    static Values batch(int step)
    {
        Values x(12);
        for (size_t i = 0; i < x.size(); ++i)
            x[i] = static_cast<double>((i * 7 + static_cast<size_t>(step) * 5) % 11) / 4;
        return x;
    }
    void expect_update(const Values &x)
    {
        for (size_t c = 0; c < 2; ++c) {
            double mean = 0, squares = 0;
            for (size_t n = 0; n < 3; ++n) mean += (x[4 * n + 2 * c] + x[4 * n + 2 * c + 1]) / 6;
            for (size_t n = 0; n < 3; ++n)
                for (size_t l = 0; l < 2; ++l) squares += std::pow(x[4 * n + 2 * c + l] - mean, 2);
            expected_mean_[c] = (1 - momentum) * expected_mean_[c] + momentum * mean;
            expected_var_[c] = (1 - momentum) * expected_var_[c] + momentum * squares / 5;
        }
    }
    void check_statistics(const char *when)
    {
        EXPECT_TRUE(all_close(ctx_.read(mean_), expected_mean_, close_)) << when;
        EXPECT_TRUE(all_close(ctx_.read(var_), expected_var_, close_)) << when;
    }
};

// 40,000 values a channel around 10,000: what a sum of them loses would be lost from every centred value.
TEST_P(BatchNorm, FarFromZero_IsStillNormalised)
{
    const size_t n = 20000, channels = 2;
    Values x(n * channels * 2), mean(channels, 0), variance(channels, 0), y(x.size());
    const auto channel = [](size_t i) { return i / 2 % 2; };
    for (size_t i = 0; i < x.size(); ++i) x[i] = 10000 + static_cast<double>(i * 2654435761u % 4096) / 1024 - 2;
    for (size_t i = 0; i < x.size(); ++i) mean[channel(i)] += x[i] / static_cast<double>(2 * n);
    for (size_t i = 0; i < x.size(); ++i)
        variance[channel(i)] += std::pow(x[i] - mean[channel(i)], 2) / static_cast<double>(2 * n);
    for (size_t i = 0; i < x.size(); ++i) y[i] = (x[i] - mean[channel(i)]) / std::sqrt(variance[channel(i)] + eps);
    const ct_tensor normalised =
        ct_batch_norm(ctx_, ctx_.leaf(real_, {static_cast<int64_t>(n), 2, 2}, x), {}, {}, mean_, var_, 1, eps);
    // Half an ulp of the mean, 5e-4, is all that may be off in f32.
    EXPECT_TRUE(all_close(ctx_.read(normalised), y, real_ == CT_F32 ? Tolerance{0, 6e-4} : Tolerance{1e-9, 1e-9}));
    EXPECT_TRUE(all_close(ctx_.read(mean_), mean, real_ == CT_F32 ? Tolerance{0, 6e-4} : Tolerance{1e-12, 0}));
    const double unbiased = 2 * static_cast<double>(n) / (2 * static_cast<double>(n) - 1);
    for (double &v : variance) v *= unbiased;
    EXPECT_TRUE(all_close(ctx_.read(var_), variance, real_ == CT_F32 ? Tolerance{1e-5, 0} : Tolerance{1e-9, 0}));
    ctx_.end_step();
}

TEST_P(BatchNorm, RunningStatistics_FollowTheBatchesAndTheReplays)
{
    const ct_tensor x = ctx_.leaf(real_, {3, 2, 2}, batch(0));
    ctx_.check(ct_set_requires_grad(ctx_, gamma_, true), "ct_set_requires_grad");
    for (int step = 0; step < 4; ++step) { // played, captured, replayed
        ctx_.write(x, batch(step));
        ctx_.check(ct_zero_grad(ctx_, gamma_), "ct_zero_grad");
        ctx_.check(ct_backward(ctx_, ct_sum(ctx_, norm(x), 0, nullptr, false)), "ct_backward");
        ctx_.end_step();
        expect_update(batch(step));
        check_statistics(("step " + std::to_string(step)).c_str());
    }
    ctx_.check(ct_replay(ctx_, 5), "ct_replay");
    for (int i = 0; i < 5; ++i) expect_update(batch(3));
    check_statistics("after ct_replay");
}

TEST_P(BatchNorm, WhoseResultNobodyReads_StillUpdates)
{
    const ct_tensor x = ctx_.leaf(real_, {3, 2, 2}, batch(1));
    norm(x);
    ctx_.end_step();
    expect_update(batch(1));
    check_statistics("without a reader");
}

// The statistics are written in a part of the step that is launched once, whatever is read after it.
TEST_P(BatchNorm, InAStepThatIsSplit_UpdatesOnce)
{
    const ct_tensor x = ctx_.leaf(real_, {3, 2, 2}, batch(2));
    ctx_.check(ct_set_requires_grad(ctx_, x, true), "ct_set_requires_grad");
    const ct_tensor y = norm(x);
    ctx_.read(y);
    ctx_.check(ct_backward(ctx_, ct_sum(ctx_, ct_square(ctx_, y), 0, nullptr, false)), "ct_backward");
    ctx_.end_step();
    expect_update(batch(2));
    check_statistics("after both parts");
}

TEST_P(BatchNorm, TwiceInAStep_UpdatesTwiceAndCanBeDifferentiated)
{
    const ct_tensor a = ctx_.leaf(real_, {3, 2, 2}, batch(0)), b = ctx_.leaf(real_, {3, 2, 2}, batch(1));
    ctx_.check(ct_set_requires_grad(ctx_, a, true), "ct_set_requires_grad");
    const ct_tensor first = norm(a), second = norm(b);
    ctx_.check(ct_backward(ctx_, ct_sum(ctx_, ct_mul(ctx_, first, second), 0, nullptr, false)), "ct_backward");
    ctx_.end_step();
    expect_update(batch(0));
    expect_update(batch(1));
    check_statistics("after two");
}

// As a loss with a penalty on its gradient has it: y and dx both send adjoints back.
TEST_P(BatchNorm, ResultAndGradientAsRootsOfOneSweep_GiveTheSumOfBoth)
{
    const ct_tensor x = ctx_.leaf(real_, {3, 2, 2}, batch(2));
    const ct_tensor seeds[] = {ctx_.leaf(real_, {3, 2, 2}, batch(3)), ctx_.leaf(real_, {3, 2, 2}, batch(4))};
    ctx_.check(ct_set_requires_grad(ctx_, x, true), "ct_set_requires_grad");
    ct_tensor roots[] = {norm(x), {0}};
    ctx_.check(ct_gradients(ctx_, 1, roots, seeds, 1, &x, &roots[1], CT_CREATE_GRAPH), "ct_gradients");
    const auto gradient = [&](int n, int first) {
        ct_tensor found;
        ctx_.check(ct_gradients(ctx_, n, roots + first, seeds + first, 1, &x, &found, CT_RETAIN_GRAPH), "ct_gradients");
        return ctx_.read(found);
    };
    const Values of_y = gradient(1, 0), of_dx = gradient(1, 1), of_both = gradient(2, 0);
    ctx_.end_step();
    Values sum(of_y.size());
    for (size_t i = 0; i < sum.size(); ++i) {
        sum[i] = of_y[i] + of_dx[i];
        EXPECT_GT(std::fabs(of_y[i]), 1e-3) << i;
    }
    EXPECT_TRUE(all_close(of_both, sum, {close_.relative, 10 * close_.absolute}));
}

TEST_P(BatchNorm, InEvaluation_ReadsTheStatisticsAndLeavesThem)
{
    ct_set_training(ctx_, false);
    const ct_tensor x = ctx_.leaf(real_, {3, 2, 2}, batch(0));
    const Values y = ctx_.read(norm(x)), in = batch(0), gamma = {1.5, -0.5}, beta = {0.25, 1};
    ctx_.end_step();
    Values expected(12);
    for (size_t i = 0; i < expected.size(); ++i) {
        const size_t c = i / 2 % 2;
        expected[i] = gamma[c] * (in[i] - expected_mean_[c]) / std::sqrt(expected_var_[c] + eps) + beta[c];
    }
    EXPECT_TRUE(all_close(y, expected, close_));
    check_statistics("in evaluation");
}

TEST_P(BatchNorm, OfAnEmptyBatch_LeavesTheStatistics)
{
    EXPECT_EQ(ctx_.shape(norm(ctx_.leaf(real_, {0, 2, 3}, {}))), (std::vector<int64_t>{0, 2, 3}));
    ctx_.end_step();
    check_statistics("after nothing");
}

TEST_P(BatchNorm, WhatDoesNotFit_IsRefused)
{
    const ct_tensor x = ctx_.leaf(real_, {3, 2, 2}, batch(0)), one = ctx_.leaf(real_, {1, 2}, {1, 2});
    const ct_tensor wide = ctx_.leaf(real_, {3}, {1, 2, 3}), flat = ctx_.leaf(real_, {2}, {1, 2});
    const ct_tensor other = ctx_.leaf(real_ == CT_F32 ? CT_F64 : CT_F32, {2}, {1, 2});
    EXPECT_EQ(norm(one).bits, 0u);
    EXPECT_TRUE(failed(ctx_, CT_ERR_SHAPE, {"batch_norm", "[1,2]", "more than one value per channel"}));
    EXPECT_EQ(norm(flat).bits, 0u);
    EXPECT_TRUE(failed(ctx_, CT_ERR_SHAPE, {"batch_norm", "[2]", "[n,c]"}));
    EXPECT_EQ(ct_batch_norm(ctx_, x, wide, beta_, mean_, var_, momentum, eps).bits, 0u);
    EXPECT_TRUE(failed(ctx_, CT_ERR_SHAPE, {"batch_norm", "gamma", "[3]", "[2]"}));
    EXPECT_EQ(ct_batch_norm(ctx_, x, {0}, wide, mean_, var_, momentum, eps).bits, 0u);
    EXPECT_TRUE(failed(ctx_, CT_ERR_SHAPE, {"batch_norm", "beta", "[3]"}));
    EXPECT_EQ(ct_batch_norm(ctx_, x, gamma_, beta_, mean_, other, momentum, eps).bits, 0u);
    EXPECT_TRUE(failed(ctx_, CT_ERR_DTYPE, {"batch_norm"}));
    EXPECT_EQ(ct_batch_norm(ctx_, x, gamma_, beta_, ct_neg(ctx_, mean_), var_, momentum, eps).bits, 0u);
    EXPECT_TRUE(failed(ctx_, CT_ERR_ARGUMENT, {"batch_norm", "running_mean", "step value"}));
    EXPECT_EQ(ct_batch_norm(ctx_, x, gamma_, beta_, mean_, {0}, momentum, eps).bits, 0u);
    EXPECT_TRUE(failed(ctx_, CT_ERR_ARGUMENT, {"batch_norm", "running_var"}));
    EXPECT_EQ(ct_batch_norm(ctx_, x, gamma_, beta_, mean_, mean_, momentum, eps).bits, 0u);
    EXPECT_TRUE(failed(ctx_, CT_ERR_ARGUMENT, {"batch_norm", "running_var", "another operand"}));
    EXPECT_EQ(ct_batch_norm(ctx_, x, var_, beta_, mean_, var_, momentum, eps).bits, 0u);
    EXPECT_TRUE(failed(ctx_, CT_ERR_ARGUMENT, {"batch_norm", "gamma", "another operand"}));
    for (const double wrong : {-0.5, 1.5, std::nan("")}) {
        EXPECT_EQ(ct_batch_norm(ctx_, x, gamma_, beta_, mean_, var_, wrong, eps).bits, 0u);
        EXPECT_TRUE(failed(ctx_, CT_ERR_ARGUMENT, {"batch_norm", "momentum"}));
    }
    EXPECT_EQ(ct_layer_norm(ctx_, ctx_.leaf(real_, {}, {1}), {0}, {0}, eps).bits, 0u);
    EXPECT_TRUE(failed(ctx_, CT_ERR_SHAPE, {"layer_norm", "at least one dim"}));
    EXPECT_EQ(ct_layer_norm(ctx_, x, wide, beta_, eps).bits, 0u);
    EXPECT_TRUE(failed(ctx_, CT_ERR_SHAPE, {"layer_norm", "gamma", "[3]"}));
    check_statistics("after errors");
}

// Rows as a warp, a block in registers and a block in passes take them.
TEST_P(BatchNorm, LayerNormOfRowsOfAnyLength_HasMeanZeroVarianceOneAndAGradientBesideBoth)
{
    for (const int64_t n : {1000, 1030, 4100, 5000}) {
        Values in(static_cast<size_t>(2 * n)), seed(in.size());
        for (size_t i = 0; i < in.size(); ++i) {
            in[i] = static_cast<double>(i * 37 % 101) / 16 + 50;
            seed[i] = static_cast<double>(i * 53 % 97) / 32 - 1;
        }
        const ct_tensor x = ctx_.leaf(real_, {2, n}, in), g = ctx_.leaf(real_, {2, n}, seed);
        ctx_.check(ct_set_requires_grad(ctx_, x, true), "ct_set_requires_grad");
        const ct_tensor y = ct_layer_norm(ctx_, x, {0}, {0}, 1e-5);
        ctx_.check(ct_backward_from(ctx_, 1, &y, &g, 0), "ct_backward_from");
        const Values h = ctx_.read(y), dx = ctx_.read(ct_grad(ctx_, x));
        ctx_.end_step();
        for (size_t row = 0; row < 2; ++row) {
            double mean = 0, square = 0, gradient = 0, along = 0;
            for (size_t i = row * static_cast<size_t>(n); i < (row + 1) * static_cast<size_t>(n); ++i) {
                mean += h[i] / static_cast<double>(n);
                square += h[i] * h[i] / static_cast<double>(n);
                gradient += dx[i];
                along += dx[i] * h[i];
            }
            EXPECT_NEAR(mean, 0, 1e-4) << n;
            EXPECT_NEAR(square, 1, 1e-4) << n;
            EXPECT_NEAR(gradient, 0, 1e-3) << n;
            EXPECT_NEAR(along, 0, 1e-2) << n;
        }
        EXPECT_GT(std::fabs(dx[0]), 1e-3) << n;
    }
}

INSTANTIATE_TEST_SUITE_P(Ops, BatchNorm, ::testing::Values(CT_F32, CT_F64),
                         [](const auto &info) { return info.param == CT_F32 ? "f32" : "f64"; });

} // namespace

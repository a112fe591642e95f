// Random ops: dropout is the identity when evaluating and scales when training, its
// backward draws the same mask, masks are never the same twice, and one seed gives
// the same bits.
#include "tape/tape_test.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

namespace
{

class Random : public Tape
{
  protected:
    static ct_config seeded(uint64_t seed)
    {
        ct_config config = {};
        config.seed = seed;
        return config;
    }
    ct_tensor ones(int64_t n)
    {
        const int64_t shape[] = {n};
        return ctx.check(ct_full(ctx, CT_F32, 1, shape, 1), "ct_full");
    }
    Values dropped(ct_tensor x, double p) { return ctx.read(ctx.check(ct_dropout(ctx, x, p), "dropout")); }
};

using Dropout = Random;

TEST_F(Dropout, IsTheIdentityWhenEvaluating)
{
    ct_set_training(ctx, false);
    EXPECT_FALSE(ct_is_training(ctx));
    const ct_tensor x = parameter({1, 2, 3});
    const ct_tensor y = ct_dropout(ctx, x, 0.9);
    EXPECT_EQ(ctx.read(y), (Values{1, 2, 3}));
    backward(sum(y));
    EXPECT_EQ(grad(x), (Values{1, 1, 1}));
    ct_set_training(ctx, true);
    EXPECT_TRUE(ct_is_training(ctx));
}

TEST_F(Dropout, OfNothingIsTheIdentity)
{
    const ct_tensor x = parameter({1, 2, 3});
    EXPECT_EQ(dropped(x, 0), (Values{1, 2, 3}));
}

// Whatever it was: nothing is left of an infinity either.
TEST_F(Dropout, OfCertaintyIsZero)
{
    const double inf = std::numeric_limits<double>::infinity();
    for (const ct_dtype dtype : {CT_F32, CT_F64})
        EXPECT_EQ(dropped(ctx.leaf(dtype, {3}, {1, inf, -2}), 1), (Values{0, 0, 0}));
}

TEST_F(Dropout, KeepsAFractionAndScalesIt)
{
    const int64_t n = 100000;
    const ct_tensor x = ones(n);
    for (const double p : {0.1, 0.5, 0.9}) {
        double kept = 0;
        for (const double y : dropped(x, p)) {
            ASSERT_TRUE(y == 0 || y == static_cast<double>(static_cast<float>(1 / (1 - p)))) << y;
            kept += y != 0;
        }
        const double sigma = std::sqrt(n * p * (1 - p));
        EXPECT_NEAR(kept, n * (1 - p), 5 * sigma) << "p = " << p;
    }
}

TEST_F(Dropout, ScalesTheInputNotTheMaskAlone)
{
    Values values(1000);
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i) + 1;
    const ct_tensor x = constant(values);
    const Values y = dropped(x, 0.25);
    for (size_t i = 0; i < values.size(); ++i) ASSERT_TRUE(y[i] == 0 || std::fabs(y[i] - values[i] / 0.75) < 1e-9) << i;
}

TEST_F(Dropout, BackwardUsesTheSameMask)
{
    const ct_tensor x = requiring(ones(1000));
    for (int step = 0; step < 3; ++step) {
        const ct_tensor y = ct_dropout(ctx, x, 0.3);
        ctx.check(ct_zero_grad(ctx, x), "ct_zero_grad");
        backward(sum(y));
        EXPECT_EQ(ctx.read(y), grad(x));
        ctx.end_step();
    }
}

TEST_F(Dropout, BackwardUsesTheSameMaskAfterAFlush)
{
    const ct_tensor x = requiring(ones(1000));
    const ct_tensor y = ct_dropout(ctx, x, 0.3);
    const ct_tensor total = sum(y);
    const Values values = ctx.read(y);
    ct_dropout(ctx, x, 0.3); // another in between
    ct_set_training(ctx, false);
    ctx.check(ct_flush(ctx), "ct_flush");
    backward(total);
    EXPECT_EQ(grad(x), values);
    ct_set_training(ctx, true);
}

TEST_F(Dropout, ASecondBackwardUsesTheSameMask)
{
    const ct_tensor x = requiring(ones(1000));
    const ct_tensor y = ct_dropout(ctx, x, 0.5);
    backward_from({sum(y)}, {}, CT_RETAIN_GRAPH);
    backward(sum(ct_mul_scalar(ctx, y, 3)));
    const Values values = ctx.read(y), total = grad(x);
    for (size_t i = 0; i < values.size(); ++i) ASSERT_EQ(total[i], 4 * values[i]);
}

TEST_F(Dropout, HasASecondDerivative)
{
    const ct_tensor x = requiring(ones(100));
    const ct_tensor y = ct_dropout(ctx, x, 0.5);
    const ct_tensor g = gradient(sum(ct_square(ctx, y)), x, CT_CREATE_GRAPH); // 2 m² x
    const ct_tensor gg = gradient(sum(g), x);                                 // 2 m²
    const Values mask = ctx.read(y), second = ctx.read(gg);
    for (size_t i = 0; i < mask.size(); ++i) ASSERT_EQ(second[i], 2 * mask[i] * mask[i]);
}

TEST_F(Dropout, DrawsAnewAtEveryStepAndReplay)
{
    const int64_t n = 64;
    const ct_tensor x = ones(n), out = ones(n);
    std::set<Values> masks;
    for (int step = 0; step < 10; ++step) {
        ctx.check(ct_assign(ctx, out, ct_dropout(ctx, x, 0.5)), "ct_assign");
        ctx.end_step();
        masks.insert(ctx.read(out));
    }
    for (int replay = 0; replay < 10; ++replay) {
        ctx.check(ct_replay(ctx, 1), "ct_replay");
        masks.insert(ctx.read(out));
    }
    EXPECT_EQ(masks.size(), 20u);
    EXPECT_EQ(stats().compiles, 1);
}

TEST_F(Dropout, AReplayIsTheStepRecordedAgain)
{
    Values results[2];
    for (const bool replayed : {false, true}) {
        Context fresh;
        const ct_tensor sum = fresh.leaf(CT_F32, {64}, Values(64, 0)), one = fresh.leaf(CT_F32, {64}, Values(64, 1));
        for (int step = 0; step < 5; ++step) {
            if (!replayed || step == 0) {
                fresh.check(ct_accumulate(fresh, sum, ct_dropout(fresh, one, 0.5)), "ct_accumulate");
                fresh.end_step();
            } else {
                fresh.check(ct_replay(fresh, 1), "ct_replay");
            }
        }
        results[replayed] = fresh.read(sum);
    }
    EXPECT_EQ(results[0], results[1]);
}

TEST_F(Dropout, TwoOfOneStepDiffer)
{
    const ct_tensor x = ones(256);
    const ct_tensor a = ct_dropout(ctx, x, 0.5), b = ct_dropout(ctx, x, 0.5);
    EXPECT_NE(ctx.read(a), ctx.read(b));
}

TEST_F(Dropout, ManyInOneStepAreUncorrelated)
{
    const int64_t n = 20000;
    const ct_tensor x = ones(n);
    const Values a = dropped(x, 0.5), b = dropped(x, 0.5);
    double both = 0;
    for (size_t i = 0; i < a.size(); ++i) both += a[i] != 0 && b[i] != 0;
    EXPECT_NEAR(both, n / 4., 5 * std::sqrt(n * 0.25 * 0.75));
    double neighbours = 0;
    for (size_t i = 1; i < a.size(); ++i) neighbours += a[i] != 0 && a[i - 1] != 0;
    EXPECT_NEAR(neighbours, n / 4., 7 * std::sqrt(n * 0.25 * 0.75));
}

TEST_F(Dropout, OfAProbabilityOutOfRangeIsRefused)
{
    const ct_tensor x = ones(4);
    for (const double p : std::vector<double>{-0.1, 1.1, NAN, INFINITY}) {
        EXPECT_EQ(ct_dropout(ctx, x, p).bits, 0u) << p;
        EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"dropout"})) << p;
    }
    EXPECT_EQ(ct_dropout(ctx, ctx.leaf(CT_I32, {}, {1}), 0.5).bits, 0u);
    EXPECT_TRUE(failed(ctx, CT_ERR_DTYPE, {"dropout", "i32"}));
}

TEST_F(Random, AnotherProbabilityIsTheSameProgram)
{
    const ct_tensor x = ones(8);
    for (const double p : {0.1, 0.2, 0.3}) {
        ctx.check(ct_assign(ctx, x, ct_dropout(ctx, x, p)), "ct_assign");
        ctx.end_step();
    }
    EXPECT_EQ(stats().compiles, 1);
}

TEST_F(Random, OneSeedGivesTheSameBits)
{
    const int64_t shape[] = {5, 7};
    std::vector<Values> results;
    for (const uint64_t seed : {uint64_t{11}, uint64_t{11}, uint64_t{12}, uint64_t{11} + (uint64_t{1} << 32)}) {
        Context fresh(devices().front(), seeded(seed));
        Values all;
        for (int step = 0; step < 3; ++step) {
            const ct_tensor a = ct_rand(fresh, CT_F32, 2, shape), b = ct_randn(fresh, CT_F64, 2, shape);
            const ct_tensor c = ct_dropout(fresh, a, 0.5);
            for (const ct_tensor x : {a, b, c})
                for (const double value : fresh.read(x)) all.push_back(value);
            fresh.end_step();
        }
        results.push_back(all);
    }
    EXPECT_TRUE(same_bits(results[1], results[0]));
    EXPECT_NE(results[2], results[0]);
    EXPECT_NE(results[3], results[0]);
}

// Element i is the same in a tensor of any size, whole blocks or not.
TEST_F(Random, TheSizeChangesNoElement)
{
    for (const auto draw : {ct_rand, ct_randn})
        for (const ct_dtype dtype : {CT_F32, CT_F64}) {
            Values all;
            for (const int64_t n : {300, 1, 2, 3, 5, 63, 65, 127, 129, 255, 257}) {
                Context fresh(devices().front(), seeded(7));
                const Values found = fresh.read(draw(fresh, dtype, 1, &n));
                if (all.empty()) all = found;
                EXPECT_EQ(found, Values(all.begin(), all.begin() + n)) << n;
            }
        }
}

TEST_F(Random, AnErrorDoesNotAdvanceIt)
{
    const int64_t shape[] = {8};
    std::vector<Values> results;
    for (const bool disturbed : {false, true}) {
        Context fresh(devices().front(), seeded(1));
        const ct_tensor out = fresh.leaf(CT_F32, {8}, Values(8));
        for (int step = 0; step < 2; ++step) {
            if (disturbed) {
                ct_rand(fresh, CT_F32, 1, shape);
                ct_neg(fresh, {});
                ct_clear_error(fresh);
            }
            fresh.check(ct_assign(fresh, out, ct_rand(fresh, CT_F32, 1, shape)), "ct_assign");
            fresh.end_step();
        }
        results.push_back(fresh.read(out));
    }
    EXPECT_EQ(results[0], results[1]);
}

TEST_F(Random, ReadingInTheMidstDoesNotChangeIt)
{
    const int64_t shape[] = {8};
    std::vector<Values> results;
    for (const bool split : {false, true}) {
        Context fresh(devices().front(), seeded(1));
        for (int step = 0; step < 2; ++step) {
            const ct_tensor a = ct_rand(fresh, CT_F32, 1, shape);
            if (split) fresh.read(a);
            const ct_tensor b = ct_rand(fresh, CT_F32, 1, shape);
            if (step == 1) {
                results.push_back(fresh.read(a));
                results.push_back(fresh.read(b));
            }
            fresh.end_step();
        }
    }
    EXPECT_EQ(results[0], results[2]);
    EXPECT_EQ(results[1], results[3]);
    EXPECT_NE(results[0], results[1]);
}

struct Moments {
    double mean = 0, variance = 0, skewness = 0, kurtosis = 0, smallest = INFINITY, largest = -INFINITY;
};

Moments moments(const Values &values)
{
    Moments m;
    const double n = static_cast<double>(values.size());
    for (const double x : values) {
        m.mean += x / n;
        m.smallest = std::min(m.smallest, x);
        m.largest = std::max(m.largest, x);
    }
    for (const double x : values) {
        const double d = x - m.mean;
        m.variance += d * d / n;
        m.skewness += d * d * d / n;
        m.kurtosis += d * d * d * d / n;
    }
    m.skewness /= std::pow(m.variance, 1.5);
    m.kurtosis /= m.variance * m.variance;
    return m;
}

TEST_F(Random, RandIsUniform)
{
    const int64_t n = 200001; // not a multiple of anything
    for (const ct_dtype dtype : {CT_F32, CT_F64}) {
        const Values values = ctx.read(ct_rand(ctx, dtype, 1, &n));
        const Moments m = moments(values);
        EXPECT_GE(m.smallest, 0);
        EXPECT_LT(m.largest, 1);
        EXPECT_LT(m.smallest, 1e-4);
        EXPECT_GT(m.largest, 1 - 1e-4);
        EXPECT_NEAR(m.mean, 0.5, 5 * std::sqrt(1 / 12. / n));
        EXPECT_NEAR(m.variance, 1 / 12., 5 * std::sqrt(1 / 180. / n));
        EXPECT_NEAR(m.kurtosis, 1.8, 0.02);
        std::vector<int> bins(16);
        for (const double x : values) ++bins[static_cast<size_t>(x * 16)];
        double chi_square = 0;
        for (const int count : bins) chi_square += (count - n / 16.) * (count - n / 16.) / (n / 16.);
        EXPECT_LT(chi_square, 45); // 15 degrees of freedom: one in ten thousand
    }
}

TEST_F(Random, RandnIsNormal)
{
    const int64_t n = 200001;
    for (const ct_dtype dtype : {CT_F32, CT_F64}) {
        const Values values = ctx.read(ct_randn(ctx, dtype, 1, &n));
        const Moments m = moments(values);
        EXPECT_NEAR(m.mean, 0, 5 / std::sqrt(n));
        EXPECT_NEAR(m.variance, 1, 5 * std::sqrt(2. / n));
        EXPECT_NEAR(m.skewness, 0, 5 * std::sqrt(6. / n));
        EXPECT_NEAR(m.kurtosis, 3, 5 * std::sqrt(24. / n));
        EXPECT_GT(m.largest, 3.5);
        EXPECT_LT(m.largest, 8);
        int within = 0;
        for (const double x : values) within += std::fabs(x) < 1;
        EXPECT_NEAR(within, 0.682689492 * n, 5 * std::sqrt(n * 0.6827 * 0.3173));
        double products = 0;
        for (size_t i = 1; i < values.size(); ++i) products += values[i] * values[i - 1];
        EXPECT_NEAR(products / n, 0, 5 / std::sqrt(n));
    }
}

TEST_F(Random, OfIntegersIsRefused)
{
    EXPECT_EQ(ct_rand(ctx, CT_I32, 0, nullptr).bits, 0u);
    EXPECT_TRUE(failed(ctx, CT_ERR_DTYPE, {"rand", "i32"}));
    EXPECT_EQ(ct_randn(ctx, CT_U8, 0, nullptr).bits, 0u);
    EXPECT_TRUE(failed(ctx, CT_ERR_DTYPE, {"randn", "u8"}));
}

TEST_F(Random, OfNoElementsIsAllowed)
{
    const int64_t shape[] = {0, 3};
    EXPECT_EQ(ctx.read(ct_rand(ctx, CT_F32, 2, shape)), Values{});
    EXPECT_EQ(ctx.read(ct_dropout(ctx, ct_randn(ctx, CT_F32, 2, shape), 0.5)), Values{});
}

} // namespace

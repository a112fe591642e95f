// The pool's books: in use, peak and reserved, memory that is used again, and the
// limit of ct_config.pool_bytes. A leaf takes its bytes rounded up to 256.
#include "support/context.h"
#include "support/errors.h"
#include "support/training.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <random>

namespace
{

ct_stats stats(Context &ctx)
{
    ct_stats s;
    ctx.check(ct_get_stats(ctx, &s), "ct_get_stats");
    return s;
}

int64_t rounded(int64_t bytes) { return (std::max<int64_t>(bytes, 1) + 255) / 256 * 256; }

ct_tensor zeros(Context &ctx, int64_t n) { return ctx.check(ct_leaf(ctx, CT_U8, 1, &n, nullptr), "ct_leaf"); }

char *address(Context &ctx, ct_tensor x)
{
    void *memory;
    ctx.check(ct_data(ctx, x, &memory), "ct_data");
    return static_cast<char *>(memory);
}

Context &limit_to(size_t bytes, std::unique_ptr<Context> &owner)
{
    ct_config config = {};
    config.pool_bytes = bytes;
    owner = std::make_unique<Context>(devices().front(), config);
    return *owner;
}

TEST(Pool, OfANewContextIsEmpty)
{
    Context ctx;
    EXPECT_EQ(stats(ctx).pool_in_use, 0);
    EXPECT_EQ(stats(ctx).pool_peak, 0);
    EXPECT_EQ(stats(ctx).pool_reserved, 0);
}

TEST(Pool, CountsLeavesExactly)
{
    Context ctx;
    const ct_tensor a = zeros(ctx, 1), b = zeros(ctx, 256), c = zeros(ctx, 257), d = zeros(ctx, 0);
    EXPECT_EQ(stats(ctx).pool_in_use, 256 + 256 + 512 + 256);
    EXPECT_EQ(stats(ctx).pool_peak, 256 + 256 + 512 + 256);
    EXPECT_GE(stats(ctx).pool_reserved, stats(ctx).pool_in_use);
    for (const ct_tensor x : {c, a, d, b}) ct_release(ctx, x);
    EXPECT_EQ(stats(ctx).pool_in_use, 0);
    EXPECT_EQ(stats(ctx).pool_peak, 256 + 256 + 512 + 256);
}

TEST(Pool, CountsAGradientWithItsLeaf)
{
    Context ctx;
    const ct_tensor x = ctx.leaf(CT_F64, {100}, std::vector<double>(100));
    EXPECT_EQ(stats(ctx).pool_in_use, 1024);
    ctx.check(ct_set_requires_grad(ctx, x, true), "ct_set_requires_grad");
    EXPECT_EQ(stats(ctx).pool_in_use, 2048);
    ctx.check(ct_set_requires_grad(ctx, x, false), "ct_set_requires_grad");
    ctx.check(ct_set_requires_grad(ctx, x, true), "ct_set_requires_grad");
    EXPECT_EQ(stats(ctx).pool_in_use, 2048);
    ct_release(ctx, x);
    EXPECT_EQ(stats(ctx).pool_in_use, 0);
}

TEST(Pool, FreesALeafAtTheEndOfTheStepThatNamesIt)
{
    Context ctx;
    const ct_tensor x = zeros(ctx, 1000), y = ctx.leaf(CT_F32, {}, {0});
    ctx.check(ct_assign(ctx, y, ct_add_scalar(ctx, y, 1)), "ct_assign");
    ct_release(ctx, x);
    EXPECT_EQ(stats(ctx).pool_in_use, 1024 + 256);
    ctx.end_step();
    ct_stats after = stats(ctx);
    const ct_tensor again = zeros(ctx, 1000);
    EXPECT_EQ(stats(ctx).pool_in_use, after.pool_in_use + 1024);
    ct_release(ctx, again);
}

TEST(Pool, FreesAReleasedLeafAfterAnError)
{
    Context ctx;
    const ct_tensor x = ctx.leaf(CT_F64, {100}, std::vector<double>(100));
    ct_neg(ctx, x);
    ct_release(ctx, x);
    EXPECT_EQ(stats(ctx).pool_in_use, 1024);
    ct_neg(ctx, {});
    EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"neg"}));
    EXPECT_EQ(stats(ctx).pool_in_use, 0);
}

TEST(Pool, DoesNotCountMemoryOfTheCaller)
{
    if (devices().front().device != CT_DEVICE_CPU) GTEST_SKIP() << "wraps host memory";
    Context ctx;
    std::vector<float> memory(1000);
    const int64_t n = 1000;
    const ct_tensor x = ctx.check(ct_wrap(ctx, CT_F32, 1, &n, memory.data()), "ct_wrap");
    EXPECT_EQ(stats(ctx).pool_in_use, 0);
    ct_release(ctx, x);
}

TEST(Pool, HoldsWhateverComesAndGoes)
{
    Context ctx;
    struct Held {
        ct_tensor leaf;
        int64_t bytes;
        unsigned char byte;
    };
    std::vector<Held> held;
    std::mt19937 random(3);
    int64_t in_use = 0, peak = 0;
    for (int i = 0; i < 2000; ++i) {
        if (held.empty() || random() % 5 < 3) {
            const int64_t bytes = random() % 3 ? random() % 2000 : random() % 300000;
            const auto byte = static_cast<unsigned char>(random());
            const std::vector<unsigned char> data(static_cast<size_t>(bytes), byte);
            held.push_back({ctx.check(ct_leaf(ctx, CT_U8, 1, &bytes, data.data()), "ct_leaf"), bytes, byte});
            in_use += rounded(bytes);
            peak = std::max(peak, in_use);
        } else {
            const size_t k = random() % held.size();
            std::vector<unsigned char> data(static_cast<size_t>(held[k].bytes));
            ctx.check(ct_read(ctx, held[k].leaf, data.data(), data.size()), "ct_read");
            ASSERT_TRUE(std::all_of(data.begin(), data.end(), [&](unsigned char b) { return b == held[k].byte; }));
            ct_release(ctx, held[k].leaf);
            in_use -= rounded(held[k].bytes);
            held.erase(held.begin() + static_cast<std::ptrdiff_t>(k));
        }
        ASSERT_EQ(stats(ctx).pool_in_use, in_use);
        ASSERT_EQ(stats(ctx).pool_peak, peak);
        ASSERT_GE(stats(ctx).pool_reserved, in_use);
    }
    std::vector<std::pair<char *, int64_t>> places;
    for (const Held &h : held) places.push_back({address(ctx, h.leaf), rounded(h.bytes)});
    std::sort(places.begin(), places.end());
    for (size_t i = 1; i < places.size(); ++i)
        ASSERT_LE(places[i - 1].first + places[i - 1].second, places[i].first) << "two leaves overlap";
    for (const auto &place : places) ASSERT_EQ(reinterpret_cast<uintptr_t>(place.first) % 256, 0u);
}

TEST(Pool, GivesTheMemoryFreedLastToTheSameSize)
{
    Context ctx;
    const ct_tensor before = zeros(ctx, 5000), x = zeros(ctx, 1000), y = zeros(ctx, 1000), after = zeros(ctx, 5000);
    char *const place_x = address(ctx, x), *const place_y = address(ctx, y);
    ct_release(ctx, x);
    ct_release(ctx, y);
    EXPECT_EQ(address(ctx, zeros(ctx, 1000)), place_y);
    EXPECT_EQ(address(ctx, zeros(ctx, 900)), place_x);
    (void)before, (void)after;
}

TEST(Pool, ALeafMadeAnewEachStepIsTheSameProgram)
{
    Context ctx;
    const ct_tensor sum = ctx.leaf(CT_F32, {100}, std::vector<double>(100));
    for (const bool released_in_the_step : {false, true}) {
        int64_t compiles = 0;
        for (int step = 0; step < 10; ++step) {
            const ct_tensor x = ctx.leaf(CT_F32, {100}, std::vector<double>(100, step));
            ctx.check(ct_accumulate(ctx, sum, ct_square(ctx, x)), "ct_accumulate");
            if (released_in_the_step) ct_release(ctx, x);
            ctx.end_step();
            if (!released_in_the_step) ct_release(ctx, x);
            if (step == 0) compiles = stats(ctx).compiles;
        }
        EXPECT_EQ(stats(ctx).compiles, compiles) << "released in the step: " << released_in_the_step;
    }
    EXPECT_EQ(ctx.read(sum), std::vector<double>(100, 2 * 285));
}

TEST(Pool, StepMemoryDoesNotGrowWithSteps)
{
    Context ctx;
    Training training;
    ASSERT_TRUE(training.create(ctx));
    ASSERT_TRUE(training.step());
    const ct_stats first = stats(ctx);
    for (int i = 0; i < 50; ++i) ASSERT_TRUE(training.step());
    EXPECT_EQ(stats(ctx).pool_in_use, first.pool_in_use);
    EXPECT_EQ(stats(ctx).pool_peak, first.pool_peak);
    EXPECT_EQ(stats(ctx).pool_reserved, first.pool_reserved);
    EXPECT_EQ(stats(ctx).compiles, first.compiles);
}

TEST(Pool, AProgramThatIsForgottenGivesItsMemoryBack)
{
    // More different steps than the cache holds: what is in use must settle.
    Context ctx;
    const ct_tensor x = ctx.leaf(CT_F32, {}, {1});
    int64_t settled = 0;
    for (int64_t n = 1; n <= 1200; ++n) {
        ctx.check(ct_assign(ctx, x, ct_mean(ctx, ct_expand(ctx, x, 1, &n), 0, nullptr, false)), "ct_assign");
        ctx.end_step();
        if (n == 600) settled = stats(ctx).pool_in_use;
    }
    EXPECT_LE(stats(ctx).pool_in_use, settled + (1 << 16));
    EXPECT_LT(stats(ctx).programs, 1000);
    EXPECT_NEAR(ct_item(ctx, x), 1, 1e-3);
}

TEST(PoolLimit, RefusesALeafAndChangesNothing)
{
    std::unique_ptr<Context> owner;
    Context &ctx = limit_to(1 << 20, owner);
    const ct_tensor x = ctx.leaf(CT_F32, {}, {3});
    const ct_stats before = stats(ctx);
    const int64_t n = 1 << 20;
    EXPECT_EQ(ct_leaf(ctx, CT_F32, 1, &n, nullptr).bits, 0u);
    EXPECT_TRUE(failed(ctx, CT_ERR_MEMORY, {"ct_leaf", "f32", "[1048576]", "limit"}));
    EXPECT_EQ(ct_full(ctx, CT_F32, 1, &n, 1).bits, 0u);
    EXPECT_TRUE(failed(ctx, CT_ERR_MEMORY, {"ct_full"}));
    EXPECT_EQ(stats(ctx).pool_in_use, before.pool_in_use);
    EXPECT_EQ(stats(ctx).pool_peak, before.pool_peak);
    EXPECT_EQ(stats(ctx).pool_reserved, before.pool_reserved);
    EXPECT_EQ(ct_item(ctx, x), 3);
    const int64_t fits = 1 << 19;
    EXPECT_NE(ct_leaf(ctx, CT_U8, 1, &fits, nullptr).bits, 0u);
}

TEST(PoolLimit, MayBeUsedUpToTheLastByte)
{
    std::unique_ptr<Context> owner;
    Context &ctx = limit_to(8192, owner);
    zeros(ctx, 4096);
    zeros(ctx, 4096);
    EXPECT_EQ(stats(ctx).pool_in_use, 8192);
    EXPECT_LE(stats(ctx).pool_reserved, 8192);
    const int64_t n = 1;
    EXPECT_EQ(ct_leaf(ctx, CT_U8, 1, &n, nullptr).bits, 0u);
    EXPECT_TRUE(failed(ctx, CT_ERR_MEMORY, {"ct_leaf"}));
}

TEST(PoolLimit, IsNeverPassed)
{
    std::unique_ptr<Context> owner;
    Context &ctx = limit_to(3000000, owner);
    std::mt19937 random(4);
    std::vector<ct_tensor> held;
    for (int i = 0; i < 500; ++i) {
        const int64_t n = random() % 200000;
        const ct_tensor x = ct_leaf(ctx, CT_U8, 1, &n, nullptr);
        if (x.bits)
            held.push_back(x);
        else
            EXPECT_TRUE(failed(ctx, CT_ERR_MEMORY, {"ct_leaf"}));
        if (random() % 2 && !held.empty()) ct_release(ctx, held.back()), held.pop_back();
        ASSERT_LE(stats(ctx).pool_reserved, 3000000);
    }
}

TEST(PoolLimit, RefusesAStepWhosePeakIsTooLargeAndChangesNothing)
{
    std::unique_ptr<Context> owner;
    Context &ctx = limit_to(4 << 20, owner);
    const ct_tensor x = ctx.leaf(CT_F32, {1000}, std::vector<double>(1000, 2));
    const ct_tensor w = ctx.leaf(CT_F32, {}, {3});
    ctx.check(ct_set_requires_grad(ctx, w, true), "ct_set_requires_grad");
    const ct_tensor grad = ct_grad(ctx, w);
    ctx.check(ct_backward(ctx, ct_square(ctx, w)), "ct_backward");
    ctx.end_step();
    const ct_stats before = stats(ctx);

    for (const bool final : {false, true}) {
        const int64_t rows[] = {2000, 1000}; // 8 MB
        ct_tensor large = ct_exp(ctx, ct_mul(ctx, ct_expand(ctx, x, 2, rows), w));
        const ct_tensor out = ct_sum(ctx, ct_softmax(ctx, large, 0), 0, nullptr, false);
        ctx.check(ct_backward(ctx, out), "ct_backward");
        ctx.check(ct_assign(ctx, w, ct_neg(ctx, w)), "ct_assign");
        EXPECT_EQ(final ? ct_step_end(ctx) : ct_flush(ctx), CT_ERR_MEMORY);
        EXPECT_TRUE(failed(ctx, CT_ERR_MEMORY, {"limit"}));
        ct_neg(ctx, out);
        EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"neg", "step"}));
        EXPECT_EQ(ct_item(ctx, w), 3);
        EXPECT_EQ(ct_item(ctx, grad), 6);
        const ct_stats after = stats(ctx);
        EXPECT_EQ(after.pool_in_use, before.pool_in_use);
        EXPECT_EQ(after.pool_reserved, before.pool_reserved);
        EXPECT_EQ(after.programs, before.programs);
    }
    ctx.check(ct_backward(ctx, ct_square(ctx, w)), "ct_backward"); // the small step still plays
    ctx.end_step();
    EXPECT_EQ(ct_item(ctx, grad), 12);
}

TEST(PoolLimit, CachedProgramsMakeRoomForALargerStep)
{
    // Each step fits by itself; those before it hold memory only to be fast if they return.
    std::unique_ptr<Context> owner;
    Context &ctx = limit_to(8 << 20, owner);
    const ct_tensor x = ctx.leaf(CT_F32, {}, {0}), out = ctx.leaf(CT_F32, {}, {0});
    for (int64_t n = 100000; n <= 800000; n += 100000) {
        const ct_tensor y = ct_exp(ctx, ct_expand(ctx, x, 1, &n));
        ctx.check(ct_assign(ctx, out, ct_sum(ctx, ct_mul(ctx, y, ct_softmax(ctx, y, 0)), 0, nullptr, false)),
                  "ct_assign");
        EXPECT_EQ(ct_step_end(ctx), CT_OK) << n << ": " << ct_error_message(ctx);
        ct_clear_error(ctx);
    }
    EXPECT_NEAR(ct_item(ctx, out), 1, 1e-2);
}

TEST(PoolLimit, AFreedSlabMakesRoomForALargerLeaf)
{
    std::unique_ptr<Context> owner;
    Context &ctx = limit_to(4 << 20, owner);
    ct_release(ctx, zeros(ctx, 1000)); // leaves a free slab behind
    EXPECT_EQ(stats(ctx).pool_in_use, 0);
    const int64_t n = 7 << 19; // 3.5 MiB of 4
    EXPECT_NE(ct_leaf(ctx, CT_U8, 1, &n, nullptr).bits, 0u) << ct_error_message(ctx);
    ct_clear_error(ctx);
}

class PoolDebug : public ::testing::Test
{
  protected:
    void SetUp() override { setenv("CT_POOL_DEBUG", "1", 1); }
    void TearDown() override { unsetenv("CT_POOL_DEBUG"); }

    static std::vector<float> train()
    {
        Context ctx;
        Training training;
        EXPECT_TRUE(training.create(ctx));
        for (int i = 0; i < 5; ++i) EXPECT_TRUE(training.step());
        ctx.check(ct_replay(ctx, 5), "ct_replay");
        const std::vector<float> weights = training.weights();
        EXPECT_FALSE(weights.empty());
        training.destroy();
        return weights;
    }
};

TEST_F(PoolDebug, GivesTheSameBits)
{
    const std::vector<float> debugged = train();
    unsetenv("CT_POOL_DEBUG");
    EXPECT_EQ(train(), debugged);
}

TEST_F(PoolDebug, CountsExactBytes)
{
    Context ctx;
    const ct_tensor x = zeros(ctx, 1000);
    EXPECT_EQ(stats(ctx).pool_in_use, 1000);
    EXPECT_EQ(stats(ctx).pool_reserved, 1000);
    ct_release(ctx, x);
    EXPECT_EQ(stats(ctx).pool_in_use, 0);
    EXPECT_EQ(stats(ctx).pool_reserved, 0);
}

TEST_F(PoolDebug, KeepsTheValuesOfAStepThatIsReadInItsMidst)
{
    Context ctx;
    const ct_tensor x = ctx.leaf(CT_F32, {3}, {1, 2, 3});
    for (int step = 0; step < 3; ++step) {
        std::vector<ct_tensor> values;
        ct_tensor y = x;
        for (int i = 0; i < 4; ++i) {
            values.push_back(y = ctx.check(ct_mul_scalar(ctx, y, 2), "mul_scalar"));
            ctx.check(ct_flush(ctx), "ct_flush");
        }
        for (int i = 0; i < 4; ++i)
            EXPECT_EQ(ctx.read(values[static_cast<size_t>(i)]),
                      (std::vector<double>{2. * (1 << i), 4. * (1 << i), 6. * (1 << i)}));
        ctx.end_step();
    }
}

} // namespace

// Sizes that cannot be: negative, too many, overflowing, or larger than any memory.
// Each is a clear error, and the context goes on after ct_clear_error.
#include "support/context.h"
#include "support/errors.h"

#include <limits>

// Sizes of exabytes are asked for on purpose: the allocator is to refuse them.
extern "C" const char *__asan_default_options();
extern "C" const char *__asan_default_options() { return "allocator_may_return_null=1"; }
extern "C" const char *__tsan_default_options();
extern "C" const char *__tsan_default_options() { return "allocator_may_return_null=1"; }

namespace
{

constexpr int64_t most = std::numeric_limits<int64_t>::max();

class Shape : public ::testing::Test
{
  protected:
    // What makes tensors from a shape.
    struct Maker {
        const char *name;
        ct_tensor (*make)(ct_context *, int, const int64_t *);
    };
    const std::vector<Maker> makers = {
        {"ct_leaf", [](ct_context *ctx, int n, const int64_t *s) { return ct_leaf(ctx, CT_F64, n, s, nullptr); }},
        {"ct_full", [](ct_context *ctx, int n, const int64_t *s) { return ct_full(ctx, CT_F64, n, s, 1); }},
        {"ct_wrap",
         [](ct_context *ctx, int n, const int64_t *s) {
             const int64_t size = 64;
             void *memory = nullptr;
             ct_data(ctx, ct_leaf(ctx, CT_F64, 1, &size, nullptr), &memory);
             return ct_wrap(ctx, CT_F64, n, s, memory);
         }},
        {"rand", [](ct_context *ctx, int n, const int64_t *s) { return ct_rand(ctx, CT_F64, n, s); }},
        {"randn", [](ct_context *ctx, int n, const int64_t *s) { return ct_randn(ctx, CT_F64, n, s); }},
    };

    void expect_refused(int ndim, const std::vector<int64_t> &sizes)
    {
        for (const Maker &maker : makers) {
            SCOPED_TRACE(maker.name);
            EXPECT_EQ(maker.make(ctx, ndim, sizes.data()).bits, 0u);
            EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {maker.name}));
        }
        EXPECT_EQ(ct_item(ctx, ct_neg(ctx, one)), -1);
        ctx.end_step();
    }

    Context ctx;
    const ct_tensor one = ctx.leaf(CT_F64, {1}, {1});
};

TEST_F(Shape, OfSevenDimsIsRefused)
{
    expect_refused(7, {1, 1, 1, 1, 1, 1, 1});
    expect_refused(std::numeric_limits<int>::max(), {1, 1, 1, 1, 1, 1, 1});
}

TEST_F(Shape, OfSixDimsIsAllowed)
{
    const int64_t sizes[] = {1, 2, 1, 2, 1, 2};
    for (const Maker &maker : makers)
        EXPECT_EQ(ctx.describe(ctx.check(maker.make(ctx, 6, sizes), maker.name)).numel, 8);
}

TEST_F(Shape, OfFewerThanNoDimsIsRefused)
{
    expect_refused(-1, {1});
    expect_refused(std::numeric_limits<int>::min(), {1});
}

TEST_F(Shape, WithANegativeSizeIsRefused)
{
    expect_refused(1, {-1});
    expect_refused(2, {3, -2});
    expect_refused(2, {0, -2});
    expect_refused(1, {std::numeric_limits<int64_t>::min()});
}

TEST_F(Shape, WhoseProductOverflowsIsRefused)
{
    expect_refused(2, {most, most});
    expect_refused(2, {int64_t{1} << 32, int64_t{1} << 32});
    expect_refused(6, {1 << 11, 1 << 11, 1 << 11, 1 << 11, 1 << 11, 1 << 11});
    expect_refused(3, {3, 6148914691236517206, 1});             // 2^64 + 2
    expect_refused(3, {0, int64_t{1} << 40, int64_t{1} << 40}); // empty, but its strides overflow
}

TEST_F(Shape, WithAnAbsurdSizeIsRefused)
{
    expect_refused(1, {int64_t{1} << 62});
    expect_refused(1, {most});
}

TEST_F(Shape, LargerThanMemoryIsAMemoryError)
{
    for (const int64_t size : {int64_t{1} << 48, int64_t{1} << 55, int64_t{1} << 58}) {
        SCOPED_TRACE(size);
        EXPECT_EQ(ct_leaf(ctx, CT_F64, 1, &size, nullptr).bits, 0u);
        EXPECT_TRUE(failed(ctx, CT_ERR_MEMORY, {"ct_leaf", std::to_string(size).c_str()}));
        EXPECT_EQ(ct_full(ctx, CT_F64, 1, &size, 1).bits, 0u);
        EXPECT_TRUE(failed(ctx, CT_ERR_MEMORY, {"ct_full", std::to_string(size).c_str()}));
        EXPECT_EQ(ct_item(ctx, ct_neg(ctx, one)), -1);
        ctx.end_step();
    }
}

TEST_F(Shape, OfAStepValueLargerThanMemoryIsAMemoryErrorWhenItIsPlayed)
{
    for (const int64_t size : {int64_t{1} << 48, int64_t{1} << 55, int64_t{1} << 58}) {
        SCOPED_TRACE(size);
        const ct_tensor large = ctx.check(ct_expand(ctx, one, 1, &size), "expand");
        EXPECT_EQ(ctx.describe(large).numel, size);
        EXPECT_EQ(ct_flush(ctx), CT_ERR_MEMORY);
        EXPECT_TRUE(failed(ctx, CT_ERR_MEMORY, {}));
        EXPECT_EQ(ct_item(ctx, ct_neg(ctx, one)), -1);
        ctx.end_step();
    }
}

TEST_F(Shape, OfStepValuesThatOverflowTogetherIsAMemoryError)
{
    const int64_t size = int64_t{1} << 58; // 2^61 bytes each, 2^64 together
    for (int i = 0; i < 8; ++i) ctx.check(ct_expand(ctx, one, 1, &size), "expand");
    EXPECT_EQ(ct_flush(ctx), CT_ERR_MEMORY);
    EXPECT_TRUE(failed(ctx, CT_ERR_MEMORY, {}));
    EXPECT_EQ(ct_item(ctx, ct_neg(ctx, one)), -1);
}

TEST_F(Shape, OfAResultThatOverflowsIsRefused)
{
    const int64_t tall[] = {int64_t{1} << 40, 1}, wide[] = {1, int64_t{1} << 40};
    const ct_tensor a = ctx.check(ct_expand(ctx, one, 2, tall), "expand");
    const ct_tensor b = ctx.check(ct_expand(ctx, one, 2, wide), "expand");
    EXPECT_EQ(ct_add(ctx, a, b).bits, 0u);
    EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {"add"}));
    const ct_tensor c = ctx.check(ct_expand(ctx, one, 2, tall), "expand");
    const ct_tensor d = ctx.check(ct_expand(ctx, one, 2, wide), "expand");
    EXPECT_EQ(ct_matmul(ctx, c, d).bits, 0u);
    EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {"matmul"}));
}

TEST_F(Shape, GivenToReshapeAndExpandIsChecked)
{
    const int64_t negative[] = {-2}, huge[] = {int64_t{1} << 40, int64_t{1} << 40}, two_unknown[] = {-1, -1};
    const int64_t seven[] = {1, 1, 1, 1, 1, 1, 1};
    for (const auto &[ndim, sizes] : std::vector<std::pair<int, const int64_t *>>{
             {1, negative}, {2, huge}, {2, two_unknown}, {7, seven}, {-1, seven}}) {
        EXPECT_EQ(ct_reshape(ctx, one, ndim, sizes).bits, 0u);
        EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {"reshape"}));
    }
    for (const auto &[ndim, sizes] :
         std::vector<std::pair<int, const int64_t *>>{{1, negative}, {2, huge}, {7, seven}, {-1, seven}, {0, seven}}) {
        EXPECT_EQ(ct_expand(ctx, one, ndim, sizes).bits, 0u);
        EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {"expand"}));
    }
}

TEST_F(Shape, OfABatchHasRoomForItsFirstDim)
{
    const double data[2] = {};
    const int64_t sizes[] = {1, 1, 1, 1, 1, 1};
    ct_dataset *dataset = nullptr;
    for (const int ndim : {-1, 6}) {
        EXPECT_EQ(ct_dataset_create(ctx, 2, CT_F64, ndim, sizes, data, CT_F64, 0, nullptr, data, &dataset),
                  CT_ERR_SHAPE);
        EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {"ct_dataset_create"}));
        EXPECT_EQ(dataset, nullptr);
    }
    const int64_t huge[] = {most};
    EXPECT_NE(ct_dataset_create(ctx, 2, CT_F64, 1, huge, data, CT_F64, 0, nullptr, data, &dataset), CT_OK);
    EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {}));
}

TEST_F(Shape, OfANetworkTooLargeIsAnErrorAndLeavesNothing)
{
    ct_stats before, after;
    ctx.check(ct_get_stats(ctx, &before), "ct_get_stats");
    const int64_t widths[] = {2, 1 << 17, 2}; // the first layer alone is 1 MiB
    ct_mlp_config network = {};
    network.n_layers = 2;
    network.widths = widths;
    ct_config limited = {};
    limited.pool_bytes = 1 << 20;
    Context small(devices().front(), limited);
    ct_mlp *mlp = nullptr;
    EXPECT_NE(ct_mlp_create(small, &network, &mlp), CT_OK);
    EXPECT_EQ(mlp, nullptr);
    ct_clear_error(small);
    const int64_t absurd[] = {2, most};
    network.n_layers = 1;
    network.widths = absurd;
    EXPECT_NE(ct_mlp_create(ctx, &network, &mlp), CT_OK);
    EXPECT_EQ(mlp, nullptr);
    ct_clear_error(ctx);
    ctx.check(ct_get_stats(ctx, &after), "ct_get_stats");
    EXPECT_EQ(before.pool_in_use, after.pool_in_use);
}

} // namespace

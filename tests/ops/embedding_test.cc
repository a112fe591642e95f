// embedding beyond the samples: numbers outside the table, more of them than one block can put in order, against
// sums on the host in the same order, and what errors say.
#include "support/compare.h"
#include "support/context.h"
#include "support/errors.h"

#include <cmath>
#include <limits>
#include <random>

namespace
{

using Values = std::vector<double>;

class Embedding : public ::testing::Test
{
  protected:
    ct_tensor table_of(ct_dtype dtype, int64_t rows, int64_t width)
    {
        const ct_tensor table = ctx.leaf(dtype, {rows, width}, numbers(rows * width));
        ctx.check(ct_set_requires_grad(ctx, table, true), "ct_set_requires_grad");
        return table;
    }
    Values numbers(int64_t n)
    {
        Values values(static_cast<size_t>(n));
        for (double &value : values) value = static_cast<float>(random_() / 4294967296.0 - 0.5);
        return values;
    }
    Values places(int64_t n, int64_t below)
    {
        Values values(static_cast<size_t>(n));
        for (double &value : values) value = static_cast<double>(random_() % static_cast<uint64_t>(below));
        return values;
    }
    void backward(ct_tensor table, ct_tensor index, ct_tensor seed)
    {
        const ct_tensor y = ctx.check(ct_embedding(ctx, table, index), "ct_embedding");
        ctx.check(ct_zero_grad(ctx, table), "ct_zero_grad");
        ctx.check(ct_backward_from(ctx, 1, &y, &seed, 0), "ct_backward_from");
        ctx.end_step();
    }

    std::mt19937 random_{7};
    Context ctx;
};

// The sums that a gradient must have, to the bit: from zero, in the order of occurrence.
template <class T> Values summed(const Values &index, const Values &g, int64_t rows, int64_t width)
{
    std::vector<T> sums(static_cast<size_t>(rows * width));
    for (size_t i = 0; i < index.size(); ++i)
        for (int64_t c = 0; c < width; ++c)
            sums[static_cast<size_t>(index[i]) * static_cast<size_t>(width) + static_cast<size_t>(c)] +=
                static_cast<T>(g[i * static_cast<size_t>(width) + static_cast<size_t>(c)]);
    return Values(sums.begin(), sums.end());
}

// One tile, the next number of them, an odd number of runs to merge; few rows, and more than numbers.
TEST_F(Embedding, Gradient_AddsOccurrencesInTheirOrder)
{
    for (const int64_t n : {1, 2, 255, 1000, 4096, 4097, 8193, 12500, 16500})
        for (const int64_t rows : {1, 3, 1000, 20000}) {
            SCOPED_TRACE(std::to_string(n) + " of " + std::to_string(rows));
            const bool wide = n % 2 == 0;
            const ct_dtype dtype = wide ? CT_F64 : CT_F32;
            const int64_t width = rows > 1000 ? 1 : 3;
            const Values at = places(n, rows), g = numbers(n * width);
            const ct_tensor table = table_of(dtype, rows, width), index = ctx.leaf(wide ? CT_I32 : CT_I64, {n}, at);
            const ct_tensor seed = ctx.leaf(dtype, {n, width}, g);
            backward(table, index, seed);
            const Values expected = wide ? summed<double>(at, g, rows, width) : summed<float>(at, g, rows, width);
            EXPECT_TRUE(same_bits(ctx.read(ct_grad(ctx, table)), expected));
            for (const ct_tensor leaf : {table, index, seed}) ct_release(ctx, leaf);
        }
}

TEST_F(Embedding, UnderReplay_FollowsItsNumbers)
{
    const ct_tensor table = table_of(CT_F32, 5, 2), index = ctx.leaf(CT_I32, {3}, {0, 1, 0});
    const Values g = numbers(6);
    const ct_tensor seed = ctx.leaf(CT_F32, {3, 2}, g);
    for (const Values &at : {Values{0, 1, 0}, Values{4, 4, 4}, Values{2, 3, 1}, Values{0, 4, 0}}) {
        ctx.write(index, at);
        backward(table, index, seed);
        EXPECT_TRUE(same_bits(ctx.read(ct_grad(ctx, table)), summed<float>(at, g, 5, 2)));
    }
    ct_stats stats;
    ctx.check(ct_get_stats(ctx, &stats), "ct_get_stats");
    EXPECT_EQ(stats.compiles, 1);
    ctx.write(index, {3, 3, 2});
    ctx.check(ct_replay(ctx, 2), "ct_replay");
    EXPECT_TRUE(same_bits(ctx.read(ct_grad(ctx, table)), summed<float>({3, 3, 2}, g, 5, 2)));
}

// On any device: NaN where they are read, nothing where they are added. 2^32 + 1 is 1 in 32 bits.
TEST_F(Embedding, NumbersOutsideTheTable_ReadAsNaNAndAddNothing)
{
    const double least = std::numeric_limits<int32_t>::min(), most = std::numeric_limits<int32_t>::max();
    const std::vector<std::pair<ct_dtype, Values>> cases = {{CT_I32, {1, -1, 3, least, most, 2}},
                                                            {CT_I64, {1, -1, 3, 4294967297.0, -4294967295.0, 2}}};
    for (const ct_dtype dtype : {CT_F32, CT_F64})
        for (const int64_t width : {1, 4, 5})
            for (const auto &[index_dtype, at] : cases) {
                const ct_tensor table = table_of(dtype, 3, width), index = ctx.leaf(index_dtype, {6}, at);
                const ct_tensor y = ctx.check(ct_embedding(ctx, table, index), "ct_embedding");
                const Values from = ctx.read(table), read = ctx.read(y), g = numbers(6 * width);
                ctx.end_step();
                backward(table, index, ctx.leaf(dtype, {6, width}, g));
                const Values grad = ctx.read(ct_grad(ctx, table));
                for (int64_t c = 0; c < width; ++c) {
                    const auto value = [&](const Values &rows, int64_t row) {
                        return rows[static_cast<size_t>(row * width + c)];
                    };
                    EXPECT_EQ(value(read, 0), value(from, 1));
                    EXPECT_EQ(value(read, 5), value(from, 2));
                    for (const int64_t outside : {1, 2, 3, 4}) EXPECT_TRUE(std::isnan(value(read, outside)));
                    EXPECT_EQ(value(grad, 0), 0);
                    EXPECT_EQ(value(grad, 1), value(g, 0));
                    EXPECT_EQ(value(grad, 2), value(g, 5));
                }
            }
}

TEST_F(Embedding, OfATableWithoutRows_IsNaN)
{
    const ct_tensor table = ctx.leaf(CT_F32, {0, 2}, {}), index = ctx.leaf(CT_I32, {3}, {0, 1, -1});
    ctx.check(ct_set_requires_grad(ctx, table, true), "ct_set_requires_grad");
    const ct_tensor y = ctx.check(ct_embedding(ctx, table, index), "ct_embedding");
    const Values read = ctx.read(y);
    ASSERT_EQ(read.size(), 6u);
    for (const double value : read) EXPECT_TRUE(std::isnan(value));
    ctx.check(ct_backward(ctx, ct_sum(ctx, y, 0, nullptr, false)), "ct_backward");
    ctx.end_step();
}

TEST_F(Embedding, AnIndexWrittenBeforeItsGradient_IsAnError)
{
    const ct_tensor table = table_of(CT_F32, 3, 2), index = ctx.leaf(CT_I32, {2}, {0, 1});
    const ct_tensor y = ctx.check(ct_embedding(ctx, table, index), "ct_embedding");
    ctx.check(ct_assign(ctx, index, ctx.leaf(CT_I32, {2}, {1, 2})), "ct_assign");
    EXPECT_NE(ct_backward(ctx, ct_sum(ctx, y, 0, nullptr, false)), CT_OK);
    EXPECT_TRUE(failed(ctx, CT_ERR_STATE, {"embedding", "assign"}));
}

TEST_F(Embedding, WrongOperands_AreNamed)
{
    const ct_tensor table = ctx.leaf(CT_F32, {3, 2}, Values(6)), index = ctx.leaf(CT_I32, {2}, {0, 1});
    const ct_tensor bytes = ctx.leaf(CT_U8, {2}, {0, 1}), scalar = ctx.leaf(CT_F32, {}, {1});
    const ct_tensor deep = ctx.leaf(CT_F32, {1, 1, 1, 1, 1, 1}, {1});
    const auto refused = [&](ct_tensor rows, ct_tensor numbers) { return ct_embedding(ctx, rows, numbers).bits == 0; };
    EXPECT_TRUE(refused({}, index));
    EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"embedding", "table"}));
    EXPECT_TRUE(refused(table, {}));
    EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"embedding", "index"}));
    EXPECT_TRUE(refused(index, index));
    EXPECT_TRUE(failed(ctx, CT_ERR_DTYPE, {"embedding", "i32"}));
    for (const ct_tensor wrong : {table, bytes}) {
        EXPECT_TRUE(refused(table, wrong));
        EXPECT_TRUE(failed(ctx, CT_ERR_DTYPE, {"embedding", "the index", "i32 and i64"}));
    }
    EXPECT_TRUE(refused(scalar, index));
    EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {"embedding", "table []", "index [2]"}));
    const int64_t two[] = {2, 1};
    EXPECT_TRUE(refused(deep, ct_reshape(ctx, index, 2, two)));
    EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {"embedding", "[1,1,1,1,1,1]", "[2,1]"}));
    const int64_t many[] = {int64_t{1} << 32};
    EXPECT_TRUE(refused(ct_expand(ctx, scalar, 1, many), index));
    EXPECT_TRUE(failed(ctx, CT_ERR_UNSUPPORTED, {"embedding", "[4294967296]"}));
}

} // namespace

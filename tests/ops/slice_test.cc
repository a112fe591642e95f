// slice and concat beyond the samples: bounds far outside, many operands and the same one again, gradients of
// a third order, and what their errors say.
#include "support/context.h"
#include "support/errors.h"

#include <limits>

namespace
{

using Values = std::vector<double>;

constexpr int64_t most = std::numeric_limits<int64_t>::max(), least = std::numeric_limits<int64_t>::min();

class Slice : public ::testing::Test
{
  protected:
    Values sliced(ct_tensor x, int dim, int64_t start, int64_t stop)
    {
        return ctx.read(ctx.check(ct_slice(ctx, x, dim, start, stop), "ct_slice"));
    }
    Context ctx;
    const ct_tensor five = ctx.leaf(CT_F32, {5}, {0, 1, 2, 3, 4});
};

TEST_F(Slice, BoundsOutside_AreMovedToTheNearestEnd)
{
    EXPECT_EQ(sliced(five, 0, least, most), (Values{0, 1, 2, 3, 4}));
    EXPECT_EQ(sliced(five, 0, -5, 6), (Values{0, 1, 2, 3, 4}));
    EXPECT_EQ(sliced(five, 0, -6, -4), (Values{0}));
    EXPECT_EQ(sliced(five, 0, -1, most), (Values{4}));
    EXPECT_EQ(sliced(five, 0, most, least), (Values{}));
    EXPECT_EQ(sliced(five, 0, 3, 1), (Values{}));
    EXPECT_EQ(sliced(five, 0, 5, 9), (Values{}));
}

TEST_F(Slice, OfNothing_HasASizeOfZeroAndAGradientOfZeros)
{
    ctx.check(ct_set_requires_grad(ctx, five, true), "ct_set_requires_grad");
    const ct_tensor none = ctx.check(ct_slice(ctx, five, 0, 4, 2), "ct_slice");
    EXPECT_EQ(ctx.shape(none), (std::vector<int64_t>{0}));
    ctx.check(ct_backward(ctx, ct_sum(ctx, none, 0, nullptr, false)), "ct_backward");
    EXPECT_EQ(ctx.read(ct_grad(ctx, five)), (Values{0, 0, 0, 0, 0}));
}

TEST_F(Slice, OfAnotherSlice_HasItsGradientInPlace)
{
    ctx.check(ct_set_requires_grad(ctx, five, true), "ct_set_requires_grad");
    const ct_tensor inner = ct_slice(ctx, ct_slice(ctx, five, 0, 1, 5), 0, 2, 3);
    ctx.check(ct_backward(ctx, ct_sum(ctx, ct_square(ctx, inner), 0, nullptr, false)), "ct_backward");
    EXPECT_EQ(ctx.read(ct_grad(ctx, five)), (Values{0, 0, 0, 6, 0}));
}

TEST_F(Slice, WrongOperands_AreNamed)
{
    const ct_tensor scalar = ctx.leaf(CT_F32, {}, {1}), matrix = ctx.leaf(CT_F32, {1, 2}, {1, 2});
    EXPECT_EQ(ct_slice(ctx, {}, 0, 0, 1).bits, 0u);
    EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"slice", "x"}));
    for (const int dim : {2, -3}) {
        EXPECT_EQ(ct_slice(ctx, matrix, dim, 0, 1).bits, 0u);
        EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"slice", std::to_string(dim).c_str(), "[1,2]"}));
    }
    EXPECT_EQ(ct_slice(ctx, scalar, 0, 0, 1).bits, 0u);
    EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {"slice", "no dims"}));
}

class Concat : public Slice
{
  protected:
    ct_tensor concat(const std::vector<ct_tensor> &tensors, int dim)
    {
        return ct_concat(ctx, static_cast<int>(tensors.size()), tensors.data(), dim);
    }
};

// x beside its square and x again: f = [x, x², x], so the gradient of Σ f³ has three contributions.
TEST_F(Concat, OfTheSameTensorAgain_AddsItsGradientsToAThirdOrder)
{
    const ct_tensor x = ctx.leaf(CT_F64, {2}, {1, -2});
    ctx.check(ct_set_requires_grad(ctx, x, true), "ct_set_requires_grad");
    const ct_tensor f = ctx.check(concat({x, ct_square(ctx, x), x}, 0), "ct_concat");
    EXPECT_EQ(ctx.read(f), (Values{1, -2, 1, 4, 1, -2}));
    ct_tensor y = ct_mul(ctx, ct_square(ctx, f), f);
    const std::vector<Values> expected = {{12, -168}, {42, 456}, {132, -948}}; // of 2 x³ + x⁶
    for (const Values &order : expected) {
        ct_tensor grad;
        ctx.check(ct_gradients(ctx, 1, &y, nullptr, 1, &x, &grad, CT_CREATE_GRAPH), "ct_gradients");
        EXPECT_EQ(ctx.read(grad), order);
        y = grad;
    }
}

TEST_F(Concat, OfManyTensors_IsOneRecordAndRepeats)
{
    const int n = 300;
    std::vector<ct_tensor> tensors;
    Values expected;
    for (int i = 0; i < n; ++i) {
        tensors.push_back(ctx.leaf(CT_I32, {2, i % 3}, Values(static_cast<size_t>(i % 3 * 2), i)));
    }
    for (int row = 0; row < 2; ++row)
        for (int i = 0; i < n; ++i) expected.insert(expected.end(), static_cast<size_t>(i % 3), i);
    for (int sight = 0; sight < 3; ++sight) {
        const ct_tensor y = ctx.check(concat(tensors, 1), "ct_concat");
        ct_stats stats;
        ctx.check(ct_get_stats(ctx, &stats), "ct_get_stats");
        EXPECT_EQ(stats.recorded, 1);
        EXPECT_EQ(ctx.read(y), expected);
        ctx.end_step();
    }
}

TEST_F(Concat, OfValuesWrittenLater_HasThemAsTheyWere)
{
    const ct_tensor y = ctx.check(concat({five, five}, 0), "ct_concat");
    ctx.check(ct_assign(ctx, five, ct_neg(ctx, five)), "ct_assign");
    EXPECT_EQ(ctx.read(y), (Values{0, 1, 2, 3, 4, 0, 1, 2, 3, 4}));
    EXPECT_EQ(ctx.read(five), (Values{0, -1, -2, -3, -4}));
}

TEST_F(Concat, WrongOperands_AreNamed)
{
    const ct_tensor scalar = ctx.leaf(CT_F32, {}, {1}), matrix = ctx.leaf(CT_F32, {2, 3}, Values(6));
    const ct_tensor wide = ctx.leaf(CT_F32, {2, 4}, Values(8)), doubles = ctx.leaf(CT_F64, {2, 3}, Values(6));
    const ct_tensor empty = ctx.leaf(CT_F32, {0}, {});
    ctx.check(ct_set_name(ctx, wide, "wide"), "ct_set_name");
    EXPECT_EQ(ct_concat(ctx, 0, &matrix, 0).bits, 0u);
    EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"concat", "no tensors"}));
    EXPECT_EQ(ct_concat(ctx, -1, &matrix, 0).bits, 0u);
    EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"concat", "no tensors"}));
    EXPECT_EQ(ct_concat(ctx, 1, nullptr, 0).bits, 0u);
    EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"concat", "no tensors"}));
    EXPECT_EQ(concat({matrix, matrix, {}}, 0).bits, 0u);
    EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"concat", "tensor 2"}));
    EXPECT_EQ(concat({matrix, matrix}, 2).bits, 0u);
    EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"concat", "dim 2", "[2,3]"}));
    EXPECT_EQ(concat({matrix, matrix, wide}, 0).bits, 0u);
    EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {"concat", "tensor 0 is [2,3]", "tensor 2 is wide [2,4]", "dim 0"}));
    EXPECT_EQ(concat({matrix, doubles}, 0).bits, 0u);
    EXPECT_TRUE(failed(ctx, CT_ERR_DTYPE, {"concat", "tensor 0 is f32", "tensor 1 is f64"}));
    EXPECT_EQ(concat({scalar}, 0).bits, 0u);
    EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {"concat", "no dims"}));
    EXPECT_EQ(concat({matrix, empty}, 0).bits, 0u); // PyTorch lets this pass
    EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {"concat", "tensor 1 is [0]"}));
}

TEST_F(Concat, OfSizesThatOverflow_IsRefused)
{
    const int64_t huge[] = {int64_t{1} << 58};
    const ct_tensor one = ctx.leaf(CT_U8, {}, {1});
    for (const size_t n : {31, 32, 64, 65}) { // 2^63 and 2^64, and what is near
        SCOPED_TRACE(n);
        const ct_tensor x = ctx.check(ct_expand(ctx, one, 1, huge), "ct_expand");
        EXPECT_EQ(concat(std::vector<ct_tensor>(n, x), 0).bits, 0u);
        EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {"concat"}));
    }
}

} // namespace

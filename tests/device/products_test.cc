// Matrix products through the public interface, on whichever device the run asks for: sizes
// that pick each of its tiles and its library, transposed operands, batches, and what follows a
// product: bias, activation, the gradient of one, the sum with what was there.
#include "support/compare.h"
#include "support/context.h"

#include <array>
#include <cmath>
#include <random>

namespace
{

using Values = std::vector<double>;

Values numbers(int64_t n, unsigned seed)
{
    std::mt19937 random(seed);
    Values values(static_cast<size_t>(n));
    for (double &value : values) value = static_cast<float>(random() / 2147483648.0 - 1);
    return values;
}

Tolerance tolerance(ct_dtype dtype, int64_t k)
{
    const double each = dtype == CT_F32 ? 1.2e-7 : 2.3e-16;
    return {32 * each, each * (32 + 4 * static_cast<double>(k))};
}

// a [m,k] b [k,n]; strides of rows and columns, so that either may be transposed.
Values product(const double *a, int64_t a_row, int64_t a_k, const double *b, int64_t b_k, int64_t b_column, int64_t m,
               int64_t n, int64_t k)
{
    Values c(static_cast<size_t>(m * n));
    for (int64_t i = 0; i < m; i++)
        for (int64_t q = 0; q < k; q++)
            for (int64_t j = 0; j < n; j++)
                c[static_cast<size_t>(i * n + j)] += a[i * a_row + q * a_k] * b[q * b_k + j * b_column];
    return c;
}

double activated(int activation, double z)
{
    switch (activation) {
    case CT_ACT_RELU: return z > 0 ? z : 0;
    case CT_ACT_TANH: return std::tanh(z);
    case CT_ACT_SIGMOID: return 1 / (1 + std::exp(-z));
    case CT_ACT_LEAKY_RELU: return z > 0 ? z : 0.01 * z;
    default: return z;
    }
}

double slope(int activation, double y)
{
    switch (activation) {
    case CT_ACT_RELU: return y > 0 ? 1 : 0;
    case CT_ACT_TANH: return 1 - y * y;
    case CT_ACT_SIGMOID: return y * (1 - y);
    case CT_ACT_LEAKY_RELU: return y > 0 ? 1 : 0.01;
    default: return 1;
    }
}

// m, n, k. On a GPU: tiles of 8, 16, 32, 64, with whole vectors and without, one stage of k and more;
// from 32 million multiply-adds on, the library.
const std::vector<std::array<int64_t, 3>> sizes = {
    {1, 1, 1},      {1, 300, 70},   {300, 1, 70},    {64, 10, 128}, {64, 128, 300}, {63, 33, 517}, {128, 128, 64},
    {131, 137, 65}, {256, 256, 40}, {257, 259, 131}, {740, 736, 9}, {768, 736, 40}, {5, 7, 0},
};
const std::array<int64_t, 3> large = {320, 330, 310};

void check_product(ct_dtype dtype, const std::array<int64_t, 3> &size, bool ta, bool tb)
{
    const auto [m, n, k] = size;
    Context ctx;
    const Values a = numbers(m * k, 1), b = numbers(k * n, 2);
    ct_tensor x = ctx.leaf(dtype, ta ? std::vector<int64_t>{k, m} : std::vector<int64_t>{m, k}, a);
    ct_tensor y = ctx.leaf(dtype, tb ? std::vector<int64_t>{n, k} : std::vector<int64_t>{k, n}, b);
    if (ta) x = ctx.check(ct_transpose(ctx, x, 0, 1), "ct_transpose");
    if (tb) y = ctx.check(ct_transpose(ctx, y, 0, 1), "ct_transpose");
    const Values c = ctx.read(ctx.check(ct_matmul(ctx, x, y), "ct_matmul"));
    const Values expected = product(a.data(), ta ? 1 : k, ta ? m : 1, b.data(), tb ? 1 : n, tb ? k : 1, m, n, k);
    EXPECT_TRUE(all_close(c, expected, tolerance(dtype, k))) << (dtype == CT_F32 ? "f32 " : "f64 ") << m << " x " << n
                                                             << " x " << k << (ta ? " ta" : "") << (tb ? " tb" : "");
}

TEST(Products, OfAnySizeAndTransposed_AreRight)
{
    for (const ct_dtype dtype : {CT_F32, CT_F64})
        for (const auto &size : sizes)
            for (int way = 0; way < 4; way++) check_product(dtype, size, way & 1, way & 2);
}

TEST(Products, OfALibrarysSize_AreRight)
{
    for (const ct_dtype dtype : {CT_F32, CT_F64})
        for (int way = 0; way < 4; way++) check_product(dtype, large, way & 1, way & 2);
}

// x [rows,in] -> h = act(x w1ᵀ + b1) [rows,mid] -> y = h w2ᵀ [rows,out], with a given gradient of y. What
// comes back to h is the product that a gradient of the activation follows.
struct Layers {
    ct_dtype dtype;
    int64_t rows, in, mid, out;
    int activation;
    bool bias;
};

class TwoLayers
{
  public:
    explicit TwoLayers(const Layers &l)
        : l_(l), x_(numbers(l.rows * l.in, 1)), w1_(numbers(l.mid * l.in, 2)), b1_(numbers(l.mid, 3)),
          w2_(numbers(l.out * l.mid, 4)), g_(numbers(l.rows * l.out, 5))
    {
        for (double &weight : w1_) weight /= 8; // so that no activation is saturated
    }
    void check(int times)
    {
        Context ctx;
        const ct_tensor x = ctx.leaf(l_.dtype, {l_.rows, l_.in}, x_), w1 = ctx.leaf(l_.dtype, {l_.mid, l_.in}, w1_);
        const ct_tensor b1 = l_.bias ? ctx.leaf(l_.dtype, {l_.mid}, b1_) : ct_tensor{0};
        const ct_tensor w2 = ctx.leaf(l_.dtype, {l_.out, l_.mid}, w2_), g = ctx.leaf(l_.dtype, {l_.rows, l_.out}, g_);
        for (const ct_tensor leaf : {w1, b1, w2})
            if (leaf.bits) ctx.check(ct_set_requires_grad(ctx, leaf, true), "ct_set_requires_grad");
        Values h, y;
        for (int i = 0; i < times; i++) {
            const auto activation = static_cast<ct_activation>(l_.activation);
            const ct_tensor hidden = ctx.check(ct_linear(ctx, x, w1, b1, activation), "ct_linear");
            const ct_tensor output = ctx.check(ct_linear(ctx, hidden, w2, {0}, CT_ACT_IDENTITY), "ct_linear");
            ctx.check(ct_backward_from(ctx, 1, &output, &g, 0), "ct_backward_from");
            if (i == 0) h = ctx.read(hidden), y = ctx.read(output);
            ctx.end_step();
        }
        expect();
        const int64_t longest = std::max(std::max(l_.in, l_.mid), std::max(l_.rows, l_.out));
        const Tolerance near = tolerance(l_.dtype, 8 * longest * times);
        EXPECT_TRUE(all_close(h, h_, near)) << text();
        EXPECT_TRUE(all_close(y, y_, near)) << text();
        EXPECT_TRUE(all_close(ctx.read(ct_grad(ctx, w1)), scaled(dw1_, times), near)) << text();
        EXPECT_TRUE(all_close(ctx.read(ct_grad(ctx, w2)), scaled(dw2_, times), near)) << text();
        if (!l_.bias) return;
        EXPECT_TRUE(all_close(ctx.read(ct_grad(ctx, b1)), scaled(db1_, times), near)) << text();
    }

  private:
    void expect()
    {
        h_ = product(x_.data(), l_.in, 1, w1_.data(), 1, l_.in, l_.rows, l_.mid, l_.in);
        for (size_t i = 0; i < h_.size(); i++)
            h_[i] = activated(l_.activation, h_[i] + (l_.bias ? b1_[i % static_cast<size_t>(l_.mid)] : 0));
        y_ = product(h_.data(), l_.mid, 1, w2_.data(), 1, l_.mid, l_.rows, l_.out, l_.mid);
        Values dz = product(g_.data(), l_.out, 1, w2_.data(), l_.mid, 1, l_.rows, l_.mid, l_.out);
        for (size_t i = 0; i < dz.size(); i++) dz[i] *= slope(l_.activation, h_[i]);
        dw1_ = product(dz.data(), 1, l_.mid, x_.data(), l_.in, 1, l_.mid, l_.in, l_.rows);
        dw2_ = product(g_.data(), 1, l_.out, h_.data(), l_.mid, 1, l_.out, l_.mid, l_.rows);
        db1_.assign(static_cast<size_t>(l_.mid), 0);
        for (size_t i = 0; i < dz.size(); i++) db1_[i % static_cast<size_t>(l_.mid)] += dz[i];
    }
    static Values scaled(Values values, int times)
    {
        for (double &value : values) value *= times;
        return values;
    }
    std::string text() const
    {
        std::stringstream s;
        s << (l_.dtype == CT_F32 ? "f32 " : "f64 ") << l_.rows << ": " << l_.in << "-" << l_.mid << "-" << l_.out
          << " activation " << l_.activation << (l_.bias ? " bias" : "");
        return s.str();
    }

    Layers l_;
    Values x_, w1_, b1_, w2_, g_, h_, y_, dw1_, dw2_, db1_;
};

constexpr std::array<int, 5> activations = {CT_ACT_IDENTITY, CT_ACT_RELU, CT_ACT_TANH, CT_ACT_SIGMOID,
                                            CT_ACT_LEAKY_RELU};

// Three times over: the gradients add up, and the third time is a replay.
TEST(Products, OfLayers_HaveTheirBiasAndActivationAndTheirGradients)
{
    for (const ct_dtype dtype : {CT_F32, CT_F64})
        for (const int activation : activations)
            for (const bool bias : {false, true}) {
                TwoLayers({dtype, 64, 100, 128, 10, activation, bias}).check(3);
                TwoLayers({dtype, 37, 19, 23, 3, activation, bias}).check(3);
            }
}

TEST(Products, OfALibrarysSize_HaveTheirBiasAndActivationAndTheirGradients)
{
    for (const int activation : activations)
        for (const bool bias : {false, true}) TwoLayers({CT_F32, 320, 320, 320, 320, activation, bias}).check(2);
    TwoLayers({CT_F64, 320, 320, 320, 320, CT_ACT_TANH, true}).check(2);
}

// Sizes that leave every vector, row and tile incomplete.
TEST(Products, OfALibrarysSizeAndOdd_AreRight) { TwoLayers({CT_F32, 321, 323, 325, 327, CT_ACT_RELU, true}).check(2); }

// a [batch,m,k] or one for all, b likewise.
void check_batches(ct_dtype dtype, int64_t batch, int64_t m, int64_t n, int64_t k, bool share_a, bool share_b)
{
    Context ctx;
    const Values a = numbers((share_a ? 1 : batch) * m * k, 1), b = numbers((share_b ? 1 : batch) * k * n, 2);
    const ct_tensor x = ctx.leaf(dtype, {share_a ? 1 : batch, m, k}, a);
    const ct_tensor y = ctx.leaf(dtype, {share_b ? 1 : batch, k, n}, b);
    Values expected;
    for (int64_t i = 0; i < batch; i++) {
        const Values c =
            product(a.data() + (share_a ? 0 : i) * m * k, k, 1, b.data() + (share_b ? 0 : i) * k * n, n, 1, m, n, k);
        expected.insert(expected.end(), c.begin(), c.end());
    }
    EXPECT_TRUE(all_close(ctx.read(ctx.check(ct_matmul(ctx, x, y), "ct_matmul")), expected, tolerance(dtype, k)))
        << batch << " x " << m << " x " << n << " x " << k << (share_a ? " one a" : "") << (share_b ? " one b" : "");
}

TEST(Products, OfBatches_AreRight)
{
    for (const ct_dtype dtype : {CT_F32, CT_F64})
        for (int way = 0; way < 3; way++) {
            check_batches(dtype, 3, 5, 6, 7, way & 1, way & 2);
            check_batches(dtype, 9, 40, 44, 60, way & 1, way & 2);
            check_batches(dtype, 5, 128, 130, 400, way & 1, way & 2);
        }
}

// Two dims of batches, one of them broadcast in each operand.
TEST(Products, OfBatchesInTwoDims_AreRight)
{
    for (const ct_dtype dtype : {CT_F32, CT_F64}) {
        Context ctx;
        const int64_t m = 9, n = 11, k = 70;
        const Values a = numbers(2 * m * k, 1), b = numbers(3 * k * n, 2);
        const ct_tensor x = ctx.leaf(dtype, {2, 1, m, k}, a), y = ctx.leaf(dtype, {1, 3, k, n}, b);
        Values expected;
        for (int64_t i = 0; i < 6; i++) {
            const Values c = product(a.data() + i / 3 * m * k, k, 1, b.data() + i % 3 * k * n, n, 1, m, n, k);
            expected.insert(expected.end(), c.begin(), c.end());
        }
        EXPECT_TRUE(all_close(ctx.read(ctx.check(ct_matmul(ctx, x, y), "ct_matmul")), expected, tolerance(dtype, k)));
    }
}

// Beside others in one launch, or alone: the order of the additions is that of the shape.
TEST(Products, HaveTheSameBits_WhateverStandsBeside)
{
    for (const auto &[m, n, k] : std::vector<std::array<int64_t, 3>>{{64, 128, 300}, {131, 137, 65}, {257, 259, 40}}) {
        Context ctx;
        const ct_tensor a = ctx.leaf(CT_F32, {m, k}, numbers(m * k, 1)),
                        b = ctx.leaf(CT_F32, {k, n}, numbers(k * n, 2));
        const ct_tensor c = ctx.leaf(CT_F32, {31, 33}, numbers(31 * 33, 3));
        const Values alone = ctx.read(ctx.check(ct_matmul(ctx, a, b), "ct_matmul"));
        ctx.end_step();
        ctx.check(ct_matmul(ctx, ct_transpose(ctx, c, 0, 1), c), "ct_matmul");
        const ct_tensor beside = ctx.check(ct_matmul(ctx, a, b), "ct_matmul");
        const ct_tensor last = ctx.check(ct_matmul(ctx, c, ct_transpose(ctx, c, 0, 1)), "ct_matmul");
        ctx.read(last);
        EXPECT_TRUE(same_bits(ctx.read(beside), alone)) << m << " x " << n << " x " << k;
    }
}

} // namespace

// What the samples of reductions cannot say: their errors, and derivatives of the third order.
#include "support/compare.h"
#include "support/context.h"
#include "support/errors.h"

#include <limits>

namespace
{

using Reduce = ct_tensor (*)(ct_context *, ct_tensor, int, const int *, bool);

ct_tensor var(ct_context *ctx, ct_tensor x, int n_dims, const int *dims, bool keepdim)
{
    return ct_var(ctx, x, n_dims, dims, keepdim, 1);
}

struct Named {
    const char *name;
    Reduce reduce;
};
const Named reductions[] = {{"sum", ct_sum},   {"mean", ct_mean},           {"amax", ct_amax},
                            {"amin", ct_amin}, {"logsumexp", ct_logsumexp}, {"var", var}};

class Reduction : public ::testing::Test
{
  protected:
    Context ctx;
    const ct_tensor x = ctx.leaf(CT_F64, {2, 3}, {1, 2, 3, 4, 5, 7});
};

TEST_F(Reduction, OfADimNamedTwice_IsRefused)
{
    for (const Named &op : reductions) {
        EXPECT_EQ(op.reduce(ctx, x, 2, (const int[]){1, -1}, false).bits, 0u);
        EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {op.name, "dim 1 is named twice"}));
    }
}

TEST_F(Reduction, OfADimThatIsNot_IsRefused)
{
    for (const Named &op : reductions)
        for (const int dim : {2, -3}) {
            EXPECT_EQ(op.reduce(ctx, x, 1, &dim, true).bits, 0u);
            EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {op.name, "[2,3]", std::to_string(dim).c_str()}));
        }
    for (const Named &op : reductions) {
        EXPECT_EQ(op.reduce(ctx, x, -1, nullptr, true).bits, 0u);
        EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {op.name, "-1 dims"}));
    }
}

TEST_F(Reduction, OfIntegers_IsRefused)
{
    const ct_tensor labels = ctx.leaf(CT_I32, {2}, {1, 2});
    for (const Named &op : reductions) {
        EXPECT_EQ(op.reduce(ctx, labels, 0, nullptr, false).bits, 0u);
        EXPECT_TRUE(failed(ctx, CT_ERR_DTYPE, {op.name}));
    }
}

TEST_F(Reduction, ExtremumOfNothing_IsRefused)
{
    const ct_tensor empty = ctx.leaf(CT_F64, {0, 3}, {}), nothing = ctx.leaf(CT_F64, {0, 0}, {});
    for (const Named &op : {Named{"amax", ct_amax}, Named{"amin", ct_amin}}) {
        EXPECT_EQ(op.reduce(ctx, empty, 0, nullptr, false).bits, 0u);
        EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {op.name, "[0,3]", "empty"}));
        EXPECT_EQ(op.reduce(ctx, empty, 1, (const int[]){0}, false).bits, 0u);
        EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {op.name, "[0,3]", "empty"}));
        EXPECT_EQ(op.reduce(ctx, nothing, 1, (const int[]){1}, false).bits, 0u);
        EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {op.name, "[0,0]", "empty"}));
    }
}

TEST_F(Reduction, VarWithANegativeCorrection_IsRefused)
{
    EXPECT_EQ(ct_var(ctx, x, 0, nullptr, false, -1).bits, 0u);
    EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"var", "correction -1 is negative"}));
}

TEST_F(Reduction, VarWithAHugeCorrection_IsInfinite)
{
    EXPECT_EQ(ct_item(ctx, ct_var(ctx, x, 0, nullptr, false, std::numeric_limits<int64_t>::max())), INFINITY);
    ctx.end_step();
}

// <w, d <v, d f>>: what is left of f after two gradients, whose own gradient is of the third order.
ct_tensor twice_derived(Context &ctx, ct_tensor x, Reduce reduce)
{
    ct_tensor y = ct_sum(ctx,
                         ct_mul(ctx, reduce(ctx, ct_mul(ctx, x, ct_square(ctx, x)), 1, (const int[]){1}, false),
                                ctx.leaf(CT_F64, {2}, {0.5, -1.25})),
                         0, nullptr, false);
    for (const std::vector<double> &v : {std::vector<double>{0.5, -1, 0.25, 1, 0.75, -0.5}, {-1, 0.5, 1, 0.25, 2, 1}}) {
        ct_tensor g;
        ctx.check(ct_gradients(ctx, 1, &y, nullptr, 1, &x, &g, CT_CREATE_GRAPH), "ct_gradients");
        y = ct_sum(ctx, ct_mul(ctx, g, ctx.leaf(CT_F64, {2, 3}, v)), 0, nullptr, false);
    }
    return y;
}

TEST_F(Reduction, ThirdDerivative_AgreesWithFiniteDifferences)
{
    const double eps = 1e-5;
    std::vector<double> values = {0.5, -0.75, 1, 0.25, -1.25, 0.875};
    ctx.check(ct_set_requires_grad(ctx, x, true), "ct_set_requires_grad");
    for (const Named &op : reductions) {
        SCOPED_TRACE(op.name);
        ctx.write(x, values);
        const ct_tensor y = twice_derived(ctx, x, op.reduce);
        ct_tensor g;
        ctx.check(ct_gradients(ctx, 1, &y, nullptr, 1, &x, &g, 0), "ct_gradients");
        const std::vector<double> third = ctx.read(g);
        ctx.end_step();
        for (size_t i = 0; i < values.size(); ++i) {
            double at[2];
            for (const int side : {0, 1}) {
                std::vector<double> moved = values;
                moved[i] += side ? eps : -eps;
                ctx.write(x, moved);
                at[side] = ct_item(ctx, twice_derived(ctx, x, op.reduce));
                ctx.end_step();
            }
            EXPECT_TRUE(is_close(third[i], (at[1] - at[0]) / (2 * eps), {1e-6, 1e-6}))
                << "element " << i << ": " << third[i] << ", finite difference " << (at[1] - at[0]) / (2 * eps);
        }
    }
}

} // namespace

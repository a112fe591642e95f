// What the tests of the tape share: leaves that require a gradient, and short
// ways to reduce, differentiate and read.
#ifndef CUTAPE_TESTS_TAPE_TEST_H
#define CUTAPE_TESTS_TAPE_TEST_H

#include "support/compare.h"
#include "support/context.h"
#include "support/errors.h"

using Values = std::vector<double>;

class Tape : public ::testing::Test
{
  protected:
    ct_tensor parameter(const Values &values, ct_dtype dtype = CT_F64)
    {
        return requiring(values.size() == 1 ? ctx.leaf(dtype, {}, values)
                                            : ctx.leaf(dtype, {static_cast<int64_t>(values.size())}, values));
    }
    ct_tensor constant(const Values &values)
    {
        return values.size() == 1 ? ctx.leaf(CT_F64, {}, values)
                                  : ctx.leaf(CT_F64, {static_cast<int64_t>(values.size())}, values);
    }
    ct_tensor requiring(ct_tensor leaf)
    {
        ctx.check(ct_set_requires_grad(ctx, leaf, true), "ct_set_requires_grad");
        return leaf;
    }
    ct_tensor sum(ct_tensor x) { return ctx.check(ct_sum(ctx, x, 0, nullptr, false), "sum"); }
    void backward(ct_tensor root) { ctx.check(ct_backward(ctx, root), "ct_backward"); }
    void backward_from(std::vector<ct_tensor> roots, std::vector<ct_tensor> seeds, int flags = 0)
    {
        ctx.check(ct_backward_from(ctx, static_cast<int>(roots.size()), roots.data(),
                                   seeds.empty() ? nullptr : seeds.data(), flags),
                  "ct_backward_from");
    }
    Values grad(ct_tensor leaf) { return ctx.read(ctx.check(ct_grad(ctx, leaf), "ct_grad")); }
    ct_tensor gradient(ct_tensor output, ct_tensor input, int flags = 0)
    {
        ct_tensor g = {};
        ctx.check(ct_gradients(ctx, 1, &output, nullptr, 1, &input, &g, flags), "ct_gradients");
        return g;
    }
    bool requires_grad(ct_tensor x) { return ctx.describe(ctx.check(x, "the tensor")).requires_grad; }
    ct_stats stats()
    {
        ct_stats s;
        ctx.check(ct_get_stats(ctx, &s), "ct_get_stats");
        return s;
    }

    Context ctx;
};

#endif

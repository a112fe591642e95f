// Which values require a gradient: inherited by ops, cut by detach, no_grad,
// comparisons and integers.
#include "tape/tape_test.h"

namespace
{

class RequiresGrad : public Tape
{
};

TEST_F(RequiresGrad, IsInheritedFromAnyInput)
{
    const ct_tensor x = parameter({1, 2}), c = constant({3, 4});
    EXPECT_TRUE(requires_grad(x));
    EXPECT_FALSE(requires_grad(c));
    EXPECT_TRUE(requires_grad(ct_square(ctx, x)));
    EXPECT_FALSE(requires_grad(ct_square(ctx, c)));
    EXPECT_TRUE(requires_grad(ct_add(ctx, x, c)));
    EXPECT_TRUE(requires_grad(ct_add(ctx, c, x)));
    EXPECT_TRUE(
        requires_grad(ct_sum(ctx, ct_reshape(ctx, ct_mul(ctx, c, x), 2, (const int64_t[]){2, 1}), 0, nullptr, false)));
    EXPECT_FALSE(requires_grad(ct_add(ctx, c, c)));
}

TEST_F(RequiresGrad, IsNeverOfAComparison)
{
    const ct_tensor x = parameter({1, 2}), c = constant({3, 1});
    for (const auto compare : {ct_gt, ct_ge, ct_lt, ct_le, ct_eq}) EXPECT_FALSE(requires_grad(compare(ctx, x, c)));
    EXPECT_FALSE(requires_grad(ct_argmax(ctx, x, 0)));
    EXPECT_TRUE(requires_grad(ct_where(ctx, ct_gt(ctx, x, c), x, c)));
}

TEST_F(RequiresGrad, IsNeverOfAnInteger)
{
    const ct_tensor x = parameter({1.5, 2.5});
    for (const ct_dtype dtype : {CT_I32, CT_U8, CT_I64}) {
        const ct_tensor integers = ct_cast(ctx, x, dtype);
        EXPECT_FALSE(requires_grad(integers));
        EXPECT_FALSE(requires_grad(ct_cast(ctx, integers, CT_F64)));
    }
    EXPECT_TRUE(requires_grad(ct_cast(ctx, x, CT_F32)));
}

TEST_F(RequiresGrad, IsNeverOfRandomNumbers)
{
    EXPECT_FALSE(requires_grad(ct_rand(ctx, CT_F32, 0, nullptr)));
    EXPECT_FALSE(requires_grad(ct_randn(ctx, CT_F64, 0, nullptr)));
}

TEST_F(RequiresGrad, MayBeTurnedOff)
{
    const ct_tensor x = parameter({2}), w = parameter({3});
    ctx.check(ct_set_requires_grad(ctx, x, false), "ct_set_requires_grad");
    EXPECT_FALSE(requires_grad(x));
    EXPECT_FALSE(requires_grad(ct_square(ctx, x)));
    const ct_tensor y = ct_mul(ctx, x, w);
    backward(y);
    EXPECT_EQ(grad(w), Values{2});
    ctx.end_step();
    requiring(x); // the same .grad, as it was left
    EXPECT_EQ(grad(x), Values{0});
    backward(ct_mul(ctx, x, w));
    EXPECT_EQ(grad(x), Values{3});
}

TEST_F(RequiresGrad, TurnedOnLaterDoesNotReachBack)
{
    const ct_tensor x = parameter({2}), w = constant({3});
    const ct_tensor y = ct_mul(ctx, x, w); // w is a constant here
    requiring(w);
    backward(y);
    EXPECT_EQ(grad(x), Values{3});
    EXPECT_EQ(grad(w), Values{0});
}

TEST_F(RequiresGrad, TurnedOffLaterDoesNotReachBack)
{
    const ct_tensor x = parameter({2}), w = parameter({3});
    const ct_tensor g = ct_grad(ctx, w);
    const ct_tensor y = ct_mul(ctx, x, w); // w is differentiated here
    ctx.check(ct_set_requires_grad(ctx, w, false), "ct_set_requires_grad");
    backward(y);
    EXPECT_EQ(grad(x), Values{3});
    EXPECT_EQ(ctx.read(g), Values{2});
}

TEST_F(RequiresGrad, IsCutByDetach)
{
    const ct_tensor x = parameter({3});
    const ct_tensor y = ct_square(ctx, x), cut = ct_detach(ctx, y);
    EXPECT_FALSE(requires_grad(cut));
    EXPECT_TRUE(requires_grad(y));
    backward(ct_mul(ctx, y, cut)); // 9 as a constant
    EXPECT_EQ(grad(x), Values{54});
    EXPECT_EQ(ct_item(ctx, cut), 9);
}

TEST_F(RequiresGrad, DetachKeepsTheValueOfItsTime)
{
    const ct_tensor x = parameter({3}), out = ctx.leaf(CT_F64, {}, {0});
    const ct_tensor old = ct_detach(ctx, x);
    ctx.check(ct_assign(ctx, x, ct_mul_scalar(ctx, old, 10)), "ct_assign");
    ctx.check(ct_assign(ctx, out, old), "ct_assign");
    ctx.end_step();
    EXPECT_EQ(ct_item(ctx, out), 3);
    EXPECT_EQ(ct_item(ctx, x), 30);
}

TEST_F(RequiresGrad, DetachTakesAnyType)
{
    EXPECT_EQ(ctx.read(ct_detach(ctx, ctx.leaf(CT_I64, {2, 1}, {1, 2}))), (Values{1, 2}));
    EXPECT_EQ(ct_item(ctx, ct_detach(ctx, ctx.leaf(CT_U8, {}, {7}))), 7);
}

TEST_F(RequiresGrad, IsOffInNoGrad)
{
    const ct_tensor x = parameter({3});
    ct_no_grad_begin(ctx);
    const ct_tensor y = ct_square(ctx, x);
    EXPECT_FALSE(requires_grad(y));
    EXPECT_TRUE(requires_grad(x));
    ct_no_grad_end(ctx);
    EXPECT_FALSE(requires_grad(y));
    EXPECT_FALSE(requires_grad(ct_square(ctx, y)));
    EXPECT_TRUE(requires_grad(ct_square(ctx, x)));
}

TEST_F(RequiresGrad, NoGradNests)
{
    const ct_tensor x = parameter({3});
    ct_no_grad_begin(ctx);
    ct_no_grad_begin(ctx);
    ct_no_grad_end(ctx);
    EXPECT_FALSE(requires_grad(ct_square(ctx, x)));
    ct_no_grad_end(ctx);
    EXPECT_TRUE(requires_grad(ct_square(ctx, x)));
    ct_no_grad_end(ctx);
    EXPECT_TRUE(failed(ctx, CT_ERR_STATE, {"ct_no_grad_end"}));
    EXPECT_TRUE(requires_grad(ct_square(ctx, x)));
}

TEST_F(RequiresGrad, BackwardMayBeCalledInNoGrad)
{
    const ct_tensor x = parameter({3});
    const ct_tensor y = ct_square(ctx, x);
    ct_no_grad_begin(ctx);
    backward(y);
    ct_no_grad_end(ctx);
    EXPECT_EQ(grad(x), Values{6});
}

TEST_F(RequiresGrad, NoGradIsAnotherProgramThanGrad)
{
    const ct_tensor x = parameter({3}), out = constant({0});
    for (const bool off : {false, true, false, true}) {
        if (off) ct_no_grad_begin(ctx);
        const ct_tensor y = ct_square(ctx, x);
        EXPECT_EQ(requires_grad(y), !off);
        EXPECT_EQ(ct_item(ctx, y), 9);
        if (off) ct_no_grad_end(ctx);
        if (!off) backward(y);
        ctx.check(ct_assign(ctx, out, y), "ct_assign");
        ctx.end_step();
    }
    EXPECT_EQ(grad(x), Values{12});
}

TEST_F(RequiresGrad, WritesToLeavesAreNoGradient)
{
    const ct_tensor x = parameter({3}), copy = constant({0});
    ctx.check(ct_assign(ctx, copy, ct_square(ctx, x)), "ct_assign");
    EXPECT_FALSE(requires_grad(copy));
    EXPECT_FALSE(requires_grad(ct_square(ctx, copy)));
    EXPECT_EQ(ct_item(ctx, copy), 9);
}

} // namespace

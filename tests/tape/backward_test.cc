// ct_backward and ct_backward_from: PyTorch's rules, one by one.
#include "tape/tape_test.h"

namespace
{

class Backward : public Tape
{
};

TEST_F(Backward, OfAPolynomialIsItsDerivative)
{
    const ct_tensor x = parameter({2});
    const ct_tensor y = ct_add(ctx, ct_square(ctx, x), ct_mul_scalar(ctx, x, 3)); // x² + 3x
    backward(y);
    EXPECT_EQ(grad(x), Values{7});
    EXPECT_EQ(ct_item(ctx, y), 10);
}

TEST_F(Backward, StartsFromZeroGradients)
{
    const ct_tensor x = parameter({2, 3});
    EXPECT_EQ(grad(x), (Values{0, 0}));
}

TEST_F(Backward, AddsIntoExistingGradient)
{
    const ct_tensor x = parameter({2});
    for (int step = 1; step <= 3; ++step) {
        backward(ct_square(ctx, x));
        ctx.end_step();
        EXPECT_EQ(grad(x), Values{4. * step});
    }
    ctx.check(ct_zero_grad(ctx, x), "ct_zero_grad");
    ctx.end_step();
    EXPECT_EQ(grad(x), Values{0});
    backward(ct_square(ctx, x));
    EXPECT_EQ(grad(x), Values{4});
}

TEST_F(Backward, AddsUpWithinAStepToo)
{
    const ct_tensor x = parameter({2});
    backward(ct_square(ctx, x));
    backward(ct_square(ctx, x)); // recorded again: another graph
    ctx.check(ct_zero_grad(ctx, x), "ct_zero_grad");
    backward(ct_mul_scalar(ctx, x, 5));
    backward(ct_mul_scalar(ctx, x, 6));
    EXPECT_EQ(grad(x), Values{11});
}

TEST_F(Backward, IntoAZeroedGradientThatIsReadInBetween)
{
    const ct_tensor x = parameter({2});
    backward(ct_square(ctx, x));
    ctx.end_step();
    const ct_tensor seen = ctx.leaf(CT_F64, {2}, {0, 0});
    ctx.check(ct_append(ctx, seen, ct_grad(ctx, x)), "ct_append");
    ctx.check(ct_zero_grad(ctx, x), "ct_zero_grad");
    ctx.check(ct_append(ctx, seen, ct_grad(ctx, x)), "ct_append");
    backward(ct_square(ctx, x));
    ctx.end_step();
    EXPECT_EQ(ctx.read(seen), (Values{4, 0}));
    EXPECT_EQ(grad(x), Values{4});
}

TEST_F(Backward, AddsAValueOfTheGradientItself)
{
    const ct_tensor x = parameter({2}), g = ct_grad(ctx, x);
    backward(ct_square(ctx, x));
    ctx.end_step();
    ctx.check(ct_accumulate(ctx, g, g), "ct_accumulate");
    ctx.end_step();
    EXPECT_EQ(grad(x), Values{8});
    ctx.check(ct_zero_grad(ctx, x), "ct_zero_grad");
    ctx.check(ct_accumulate(ctx, g, g), "ct_accumulate");
    ctx.end_step();
    EXPECT_EQ(grad(x), Values{0});
}

TEST_F(Backward, ASecondTimeIsAnError)
{
    const ct_tensor x = parameter({2});
    const ct_tensor y = ct_square(ctx, x);
    backward(y);
    EXPECT_EQ(ct_backward(ctx, y), CT_ERR_STATE);
    EXPECT_TRUE(failed(ctx, CT_ERR_STATE, {"square", "CT_RETAIN_GRAPH"}));
    EXPECT_EQ(grad(x), Values{0}); // the whole segment was dropped
}

TEST_F(Backward, ASecondTimeThroughASharedPartIsAnError)
{
    const ct_tensor x = parameter({2});
    const ct_tensor shared = ct_square(ctx, x);
    const ct_tensor a = ct_exp(ctx, shared), b = ct_sin(ctx, shared);
    backward(a);
    EXPECT_EQ(ct_backward(ctx, b), CT_ERR_STATE);
    EXPECT_TRUE(failed(ctx, CT_ERR_STATE, {"square"}));
}

TEST_F(Backward, ASecondTimeAfterAFlushIsAnErrorToo)
{
    const ct_tensor x = parameter({2});
    const ct_tensor y = ct_square(ctx, x);
    backward(y);
    ctx.check(ct_flush(ctx), "ct_flush");
    EXPECT_EQ(ct_backward(ctx, y), CT_ERR_STATE);
    EXPECT_TRUE(failed(ctx, CT_ERR_STATE, {"square"}));
    EXPECT_EQ(grad(x), Values{4}); // the first was launched before
}

TEST_F(Backward, ThatRetainsTheGraphMayBeRepeatedAndCountsTwice)
{
    const ct_tensor x = parameter({2});
    const ct_tensor y = ct_square(ctx, x);
    backward_from({y}, {}, CT_RETAIN_GRAPH);
    EXPECT_EQ(grad(x), Values{4});
    backward(y);
    EXPECT_EQ(grad(x), Values{8});
    EXPECT_EQ(ct_backward(ctx, y), CT_ERR_STATE); // the second did not retain
    EXPECT_TRUE(failed(ctx, CT_ERR_STATE, {"square"}));
}

TEST_F(Backward, OfAValueOfSeveralElementsAsksForSeeds)
{
    const ct_tensor x = parameter({2, 3});
    EXPECT_EQ(ct_backward(ctx, ct_square(ctx, x)), CT_ERR_SHAPE);
    EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {"ct_backward", "[2]", "ct_backward_from"}));
}

TEST_F(Backward, OfNoElementsIsRefused)
{
    const ct_tensor x = requiring(ctx.leaf(CT_F64, {0}, {}));
    EXPECT_EQ(ct_backward(ctx, ct_square(ctx, x)), CT_ERR_SHAPE);
    EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {"ct_backward", "[0]"}));
}

TEST_F(Backward, OfOneElementOfAnyRankIsAllowed)
{
    const ct_tensor x = requiring(ctx.leaf(CT_F64, {1, 1, 1}, {3}));
    backward(ct_square(ctx, x));
    EXPECT_EQ(grad(x), Values{6});
}

TEST_F(Backward, OfWhatRequiresNoGradientIsAnError)
{
    const ct_tensor x = constant({2});
    EXPECT_EQ(ct_backward(ctx, x), CT_ERR_STATE);
    EXPECT_TRUE(failed(ctx, CT_ERR_STATE, {"ct_backward", "does not require a gradient"}));
    EXPECT_EQ(ct_backward(ctx, ct_square(ctx, x)), CT_ERR_STATE);
    EXPECT_TRUE(failed(ctx, CT_ERR_STATE, {"ct_backward", "does not require a gradient"}));
}

TEST_F(Backward, OfALeafIsOne)
{
    const ct_tensor x = parameter({2});
    backward(x);
    EXPECT_EQ(grad(x), Values{1});
}

TEST_F(Backward, FromSeveralRootsAddsThemUp)
{
    const ct_tensor x = parameter({2, 3});
    const ct_tensor a = ct_square(ctx, x), b = sum(ct_mul_scalar(ctx, x, 10));
    backward_from({a, b}, {constant({1, 100}), constant({2})});
    EXPECT_EQ(grad(x), (Values{4 + 20, 600 + 20}));
}

TEST_F(Backward, FromTheSameRootTwiceCountsTwice)
{
    const ct_tensor x = parameter({2, 3});
    const ct_tensor y = ct_square(ctx, x);
    backward_from({y, y}, {constant({1, 1}), constant({10, 100})});
    EXPECT_EQ(grad(x), (Values{44, 606}));
}

TEST_F(Backward, FromARootBelowAnother)
{
    const ct_tensor x = parameter({2});
    const ct_tensor a = ct_square(ctx, x), b = ct_square(ctx, a); // x², x⁴
    backward_from({b, a}, {});
    EXPECT_EQ(grad(x), Values{32 + 4});
}

TEST_F(Backward, WithoutSeedsStartsFromOnes)
{
    const ct_tensor x = parameter({2, 3});
    backward_from({ct_square(ctx, x)}, {});
    EXPECT_EQ(grad(x), (Values{4, 6}));
}

// Ones are left out of products; their shape may not be.
TEST_F(Backward, FromOnesThroughABroadcastHasTheShapeOfTheLeaf)
{
    const ct_tensor row = requiring(ctx.leaf(CT_F64, {1, 3}, {1, 2, 3})),
                    column = requiring(ctx.leaf(CT_F64, {2, 1}, {10, 20}));
    backward_from({ct_mul(ctx, row, column)}, {});
    EXPECT_EQ(grad(row), (Values{30, 30, 30}));
    EXPECT_EQ(grad(column), (Values{6, 6}));
    ctx.end_step();
    const ct_tensor scalar = parameter({5}), vector = parameter({1, 2, 3});
    backward_from({ct_mul(ctx, vector, scalar)}, {});
    EXPECT_EQ(grad(vector), (Values{5, 5, 5}));
    EXPECT_EQ(grad(scalar), Values{6});
}

TEST_F(Backward, FromAZeroTensorAmongTheSeedsTakesOnes)
{
    const ct_tensor x = parameter({2, 3});
    const ct_tensor a = ct_square(ctx, x), b = ct_mul_scalar(ctx, x, 10);
    backward_from({a, b}, {ct_tensor{}, constant({1, 2})});
    EXPECT_EQ(grad(x), (Values{14, 26}));
}

TEST_F(Backward, FromASeedOfAnotherShapeIsAnError)
{
    const ct_tensor x = parameter({2, 3});
    const ct_tensor roots[] = {ct_square(ctx, x)}, seeds[] = {constant({1, 2, 3})};
    EXPECT_EQ(ct_backward_from(ctx, 1, roots, seeds, 0), CT_ERR_SHAPE);
    EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {"ct_backward_from", "[2]", "[3]"}));
    const ct_tensor again[] = {ct_square(ctx, x)}, column[] = {ctx.leaf(CT_F64, {2, 1}, {1, 1})}; // not broadcast
    EXPECT_EQ(ct_backward_from(ctx, 1, again, column, 0), CT_ERR_SHAPE);
    EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {"ct_backward_from", "[2,1]"}));
}

TEST_F(Backward, FromASeedOfAnotherTypeIsAnError)
{
    const ct_tensor x = parameter({2, 3});
    const ct_tensor roots[] = {ct_square(ctx, x)}, seeds[] = {ctx.leaf(CT_F32, {2}, {1, 1})};
    EXPECT_EQ(ct_backward_from(ctx, 1, roots, seeds, 0), CT_ERR_DTYPE);
    EXPECT_TRUE(failed(ctx, CT_ERR_DTYPE, {"ct_backward_from", "f32", "f64"}));
}

TEST_F(Backward, KnowsItsFlags)
{
    const ct_tensor x = parameter({2});
    for (const int flags : {static_cast<int>(CT_CREATE_GRAPH), 4, -1}) {
        const ct_tensor y = ct_square(ctx, x);
        EXPECT_EQ(ct_backward_from(ctx, 1, &y, nullptr, flags), CT_ERR_ARGUMENT);
        EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"ct_backward_from"}));
    }
}

TEST_F(Backward, AddsTheBranchesOfAFanOut)
{
    const ct_tensor x = parameter({0.5});
    const ct_tensor y = ct_add(ctx, ct_add(ctx, ct_exp(ctx, x), ct_sin(ctx, x)), ct_mul(ctx, x, x));
    backward(y);
    EXPECT_NEAR(grad(x)[0], std::exp(0.5) + std::cos(0.5) + 1, 1e-14);
}

TEST_F(Backward, OfADiamondVisitsThePeakOnce)
{
    const ct_tensor x = parameter({3});
    const ct_tensor top = ct_square(ctx, x); // 9
    const ct_tensor left = ct_mul_scalar(ctx, top, 2), right = ct_square(ctx, top);
    backward(ct_mul(ctx, left, right)); // 2 x² · x⁴ = 2 x⁶
    EXPECT_EQ(grad(x), Values{12 * 243});
}

TEST_F(Backward, OfALadderOfDiamondsIsLinearInItsLength)
{
    const ct_tensor x = parameter({1});
    ct_tensor y = x;
    for (int i = 0; i < 60; ++i) y = ct_add(ctx, y, y); // 2⁶⁰ paths
    backward(y);
    EXPECT_LT(stats().recorded, 400);
    EXPECT_EQ(grad(x), Values{std::ldexp(1, 60)});
}

TEST_F(Backward, OfALeafUsedTwiceInOneOpCountsBoth)
{
    const ct_tensor x = parameter({3});
    backward(ct_mul(ctx, x, x));
    EXPECT_EQ(grad(x), Values{6});
    ctx.check(ct_zero_grad(ctx, x), "ct_zero_grad");
    backward(ct_sub(ctx, x, x));
    EXPECT_EQ(grad(x), Values{0});
    ctx.check(ct_zero_grad(ctx, x), "ct_zero_grad");
    backward(ct_div(ctx, x, x));
    EXPECT_NEAR(grad(x)[0], 0, 1e-15);
    const ct_tensor m = requiring(ctx.leaf(CT_F64, {2, 2}, {1, 2, 3, 4}));
    backward(sum(ct_matmul(ctx, m, m)));
    EXPECT_EQ(grad(m), (Values{7, 11, 9, 13}));
}

TEST_F(Backward, LeavesUnusedParametersAlone)
{
    const ct_tensor x = parameter({3}), unused = parameter({4});
    backward(ct_square(ctx, x));
    EXPECT_EQ(grad(unused), Values{0});
}

TEST_F(Backward, GoesThroughALongChain)
{
    const ct_tensor x = parameter({1});
    ct_tensor y = x;
    for (int i = 0; i < 3000; ++i) y = ct_add_scalar(ctx, y, 1);
    backward(ct_square(ctx, y));
    EXPECT_EQ(grad(x), Values{2 * 3001});
}

TEST_F(Backward, IsRecordedAndPlaysAgain)
{
    const ct_tensor x = parameter({2});
    backward(ct_square(ctx, x));
    ctx.end_step();
    ctx.check(ct_replay(ctx, 4), "ct_replay");
    EXPECT_EQ(grad(x), Values{20});
}

TEST_F(Backward, ThroughALeafReleasedSinceStillCounts)
{
    const ct_tensor x = parameter({2}), c = constant({5});
    const ct_tensor y = ct_mul(ctx, x, c);
    ct_release(ctx, c); // what is recorded still reads it
    EXPECT_EQ(ct_backward(ctx, y), CT_OK) << ct_error_message(ctx);
    ct_clear_error(ctx);
    EXPECT_EQ(grad(x), Values{5});
}

TEST_F(Backward, PastAParameterReleasedSinceReachesTheOthers)
{
    const ct_tensor x = parameter({2}), gone = parameter({5});
    const ct_tensor y = ct_add(ctx, ct_square(ctx, x), ct_square(ctx, gone));
    ct_release(ctx, gone);
    EXPECT_EQ(ct_backward(ctx, y), CT_OK) << ct_error_message(ctx);
    ct_clear_error(ctx);
    EXPECT_EQ(grad(x), Values{4});
}

TEST_F(Backward, IsTheSameInBothPrecisions)
{
    const ct_tensor x = parameter({2}, CT_F32);
    backward(ct_add(ctx, ct_square(ctx, x), ct_mul_scalar(ctx, x, 3)));
    EXPECT_EQ(grad(x), Values{7});
    EXPECT_EQ(ctx.describe(ct_grad(ctx, x)).dtype, CT_F32);
}

TEST_F(Backward, OfAValueOfAnEarlierSegmentGoesOn)
{
    const ct_tensor x = parameter({3});
    const ct_tensor y = ct_square(ctx, x);
    EXPECT_EQ(ct_item(ctx, y), 9);
    const ct_tensor z = ct_mul(ctx, y, ct_exp(ctx, ct_mul_scalar(ctx, x, 0)));
    EXPECT_EQ(ct_item(ctx, z), 9);
    backward(z);
    EXPECT_EQ(grad(x), Values{6});
}

TEST_F(Backward, OfAValueOfAnEarlierStepIsRefused)
{
    const ct_tensor x = parameter({3});
    const ct_tensor y = ct_square(ctx, x);
    ctx.end_step();
    EXPECT_EQ(ct_backward(ctx, y), CT_ERR_ARGUMENT);
    EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"ct_backward", "earlier step"}));
}

class Grad : public Tape
{
};

TEST_F(Grad, OfALeafThatRequiresNoneIsAnError)
{
    const ct_tensor x = constant({2});
    EXPECT_EQ(ct_grad(ctx, x).bits, 0u);
    EXPECT_TRUE(failed(ctx, CT_ERR_STATE, {"ct_grad", "ct_set_requires_grad"}));
    EXPECT_EQ(ct_zero_grad(ctx, x), CT_ERR_STATE);
    EXPECT_TRUE(failed(ctx, CT_ERR_STATE, {"ct_zero_grad"}));
}

TEST_F(Grad, IsALeafLikeItsOwner)
{
    const ct_tensor x = requiring(ctx.leaf(CT_F32, {2, 3}, Values(6, 1)));
    const ct_info info = ctx.describe(ct_grad(ctx, x));
    EXPECT_TRUE(info.is_leaf);
    EXPECT_FALSE(info.requires_grad);
    EXPECT_EQ(info.dtype, CT_F32);
    EXPECT_EQ(ctx.shape(ct_grad(ctx, x)), (std::vector<int64_t>{2, 3}));
}

TEST_F(Grad, MayBeWrittenAndComputedWith)
{
    const ct_tensor x = parameter({2});
    ctx.write(ct_grad(ctx, x), {100});
    backward(ct_square(ctx, x));
    ctx.check(ct_assign(ctx, x, ct_sub(ctx, x, ct_mul_scalar(ctx, ct_grad(ctx, x), 0.5))), "ct_assign");
    ctx.end_step();
    EXPECT_EQ(grad(x), Values{104});
    EXPECT_EQ(ct_item(ctx, x), 2 - 52);
}

// The seed is a leaf that the backward itself writes: what counts is what it held before.
TEST_F(Backward, FromASeedThatIsAGradientReadsItAsItWas)
{
    const ct_tensor a = parameter({1}), b = parameter({1});
    ctx.write(ct_grad(ctx, a), {10});
    const ct_tensor y = ct_add(ctx, a, b), seed = ct_grad(ctx, a);
    ctx.check(ct_backward_from(ctx, 1, &y, &seed, 0), "ct_backward_from");
    ctx.end_step();
    EXPECT_EQ(grad(a), Values{20});
    EXPECT_EQ(grad(b), Values{10});
}

TEST_F(Grad, OfAnIntegerLeafIsRefused)
{
    for (const ct_dtype dtype : {CT_I32, CT_U8, CT_I64}) {
        EXPECT_EQ(ct_set_requires_grad(ctx, ctx.leaf(dtype, {}, {1}), true), CT_ERR_DTYPE);
        EXPECT_TRUE(failed(ctx, CT_ERR_DTYPE, {"ct_set_requires_grad"}));
    }
    ctx.check(ct_set_requires_grad(ctx, ctx.leaf(CT_I32, {}, {1}), false), "ct_set_requires_grad");
}

} // namespace

// ct_gradients: returned instead of accumulated, of leaves and of step values,
// zeros where unused, differentiable with CT_CREATE_GRAPH.
#include "tape/tape_test.h"

namespace
{

class Gradients : public Tape
{
  protected:
    std::vector<ct_tensor> gradients(std::vector<ct_tensor> outputs, std::vector<ct_tensor> inputs,
                                     std::vector<ct_tensor> seeds = {}, int flags = 0)
    {
        std::vector<ct_tensor> g(inputs.size(), ct_tensor{1});
        ctx.check(ct_gradients(ctx, static_cast<int>(outputs.size()), outputs.data(),
                               seeds.empty() ? nullptr : seeds.data(), static_cast<int>(inputs.size()), inputs.data(),
                               g.data(), flags),
                  "ct_gradients");
        return g;
    }
};

TEST_F(Gradients, AreReturnedAndNotAdded)
{
    const ct_tensor x = parameter({3});
    const ct_tensor g = gradient(ct_square(ctx, x), x);
    EXPECT_EQ(ct_item(ctx, g), 6);
    EXPECT_EQ(grad(x), Values{0});
    EXPECT_FALSE(ctx.describe(g).is_leaf);
    EXPECT_FALSE(ctx.describe(g).requires_grad);
}

TEST_F(Gradients, OfIntermediateValues)
{
    const ct_tensor x = parameter({3});
    const ct_tensor h = ct_square(ctx, x), y = ct_mul_scalar(ctx, ct_square(ctx, h), 2); // 2 h²
    const auto g = gradients({y}, {h, x});
    EXPECT_EQ(ct_item(ctx, g[0]), 36);
    EXPECT_EQ(ct_item(ctx, g[1]), 36 * 6);
}

TEST_F(Gradients, OfAnOutputByItselfIsTheSeed)
{
    const ct_tensor x = parameter({3, 4});
    const ct_tensor y = ct_square(ctx, x);
    EXPECT_EQ(ctx.read(gradients({y}, {y}, {constant({5, 6})})[0]), (Values{5, 6}));
    EXPECT_EQ(ctx.read(gradients({x}, {x})[0]), (Values{1, 1}));
}

TEST_F(Gradients, OfOneInputTwiceAreBothThere)
{
    const ct_tensor x = parameter({3});
    const auto g = gradients({ct_square(ctx, x)}, {x, x});
    EXPECT_EQ(ct_item(ctx, g[0]), 6);
    EXPECT_EQ(ct_item(ctx, g[1]), 6);
}

TEST_F(Gradients, OfUnusedInputsAreZeros)
{
    const ct_tensor x = parameter({3}), unused = parameter({1, 2, 3});
    const auto g = gradients({ct_square(ctx, x)}, {unused, x});
    EXPECT_EQ(ctx.read(g[0]), (Values{0, 0, 0}));
    EXPECT_EQ(ct_item(ctx, g[1]), 6);
}

// Nothing but its shape tells this step from the one before.
TEST_F(Gradients, OfUnusedInputsHaveTheShapeOfThisStepsInput)
{
    const ct_tensor x = parameter({3});
    for (const size_t n : {3u, 5u, 100000u, 2u}) {
        const ct_tensor unused = parameter(Values(n, 1));
        const auto g = gradients({ct_square(ctx, x)}, {unused});
        EXPECT_EQ(ctx.shape(g[0]), (std::vector<int64_t>{static_cast<int64_t>(n)}));
        EXPECT_EQ(ctx.read(g[0]), Values(n, 0));
        ctx.end_step();
    }
    for (const ct_dtype dtype : {CT_F32, CT_F64, CT_F32}) {
        const ct_tensor unused = parameter({1, 2, 3}, dtype);
        EXPECT_EQ(ctx.read(gradients({ct_square(ctx, x)}, {unused})[0]), (Values{0, 0, 0}));
        ctx.end_step();
    }
}

TEST_F(Gradients, OfSeveralOutputsAreSummedWithTheirSeeds)
{
    const ct_tensor x = parameter({1, 2});
    const ct_tensor a = ct_square(ctx, x), b = sum(x);
    EXPECT_EQ(ctx.read(gradients({a, b}, {x}, {constant({10, 100}), constant({1})})[0]), (Values{21, 401}));
}

TEST_F(Gradients, OfOneOutputTwiceAreDoubled)
{
    const ct_tensor x = parameter({1, 2});
    const ct_tensor y = ct_square(ctx, x);
    EXPECT_EQ(ctx.read(gradients({y, y}, {x}, {constant({10, 100}), constant({1, 1})})[0]), (Values{22, 404}));
}

// h is an output, and the way to another.
TEST_F(Gradients, OfAnOutputBelowAnother)
{
    const ct_tensor x = parameter({3});
    const ct_tensor h = ct_square(ctx, x), y = ct_mul_scalar(ctx, ct_square(ctx, h), 2);
    const auto g = gradients({h, y}, {h, x});
    EXPECT_EQ(ct_item(ctx, g[0]), 1 + 36);
    EXPECT_EQ(ct_item(ctx, g[1]), (1 + 36) * 6);
}

TEST_F(Gradients, TakeOnesForASeedThatIsTheZeroTensor)
{
    const ct_tensor x = parameter({1, 2});
    const ct_tensor a = ct_square(ctx, x), b = ct_mul_scalar(ctx, x, 3);
    EXPECT_EQ(ctx.read(gradients({a, b}, {x}, {ct_tensor{0}, constant({10, 100})})[0]), (Values{32, 304}));
}

TEST_F(Gradients, OfUnusedInputsAreZerosThatNothingDependsOn)
{
    const ct_tensor x = parameter({3}), unused = parameter({1, 2});
    const auto g = gradients({ct_square(ctx, x)}, {unused, x}, {}, CT_CREATE_GRAPH);
    EXPECT_EQ(ctx.read(g[0]), (Values{0, 0}));
    EXPECT_FALSE(requires_grad(g[0]));
    EXPECT_TRUE(requires_grad(g[1]));
}

TEST_F(Gradients, OfAnInputThatRequiresNoneIsAnError)
{
    const ct_tensor x = parameter({3}), c = constant({2});
    const ct_tensor y = ct_mul(ctx, x, c);
    ct_tensor g[2] = {{1}, {1}};
    const ct_tensor inputs[] = {x, c};
    EXPECT_EQ(ct_gradients(ctx, 1, &y, nullptr, 2, inputs, g, 0), CT_ERR_STATE);
    EXPECT_TRUE(failed(ctx, CT_ERR_STATE, {"ct_gradients", "input 1", "does not require a gradient"}));
    EXPECT_EQ(g[0].bits, 0u);
    EXPECT_EQ(g[1].bits, 0u);
}

TEST_F(Gradients, AreZeroTensorsOnAnyError)
{
    const ct_tensor x = parameter({3});
    ct_tensor g = {1};
    EXPECT_NE(ct_gradients(ctx, 1, &x, &x, 1, &x, &g, 1000), CT_OK); // flags
    EXPECT_EQ(g.bits, 0u);
    g = {1};
    EXPECT_NE(ct_gradients(ctx, 1, &x, nullptr, 1, &x, &g, 0), CT_OK); // the error stands
    EXPECT_EQ(g.bits, 0u);
    ct_clear_error(ctx);
    g = {1};
    const ct_tensor stale = {};
    EXPECT_NE(ct_gradients(ctx, 1, &stale, nullptr, 1, &x, &g, 0), CT_OK);
    EXPECT_EQ(g.bits, 0u);
    ct_clear_error(ctx);
}

TEST_F(Gradients, ASecondTimeAreAnErrorUnlessRetained)
{
    const ct_tensor x = parameter({3});
    const ct_tensor y = ct_square(ctx, x);
    EXPECT_EQ(ct_item(ctx, gradient(y, x, CT_RETAIN_GRAPH)), 6);
    EXPECT_EQ(ct_item(ctx, gradient(y, x)), 6);
    ct_tensor g;
    EXPECT_EQ(ct_gradients(ctx, 1, &y, nullptr, 1, &x, &g, 0), CT_ERR_STATE);
    EXPECT_TRUE(failed(ctx, CT_ERR_STATE, {"square"}));
}

TEST_F(Gradients, SweepOnlyWhatLeadsToTheInputs)
{
    const ct_tensor x = parameter({3}), w = parameter({2});
    const ct_tensor a = ct_square(ctx, x), b = ct_square(ctx, w);
    const ct_tensor y = ct_mul(ctx, a, b);
    EXPECT_EQ(ct_item(ctx, gradient(y, a)), 4); // neither square is swept
    backward(ct_add(ctx, a, b));
    EXPECT_EQ(grad(x), Values{6});
    EXPECT_EQ(grad(w), Values{4});
}

TEST_F(Gradients, CreateGraphGivesTheThirdDerivative)
{
    for (const bool by_power : {true, false}) {
        const ct_tensor x = parameter({1.5});
        const ct_tensor y = by_power ? ct_pow_scalar(ctx, x, 4) : ct_mul(ctx, ct_mul(ctx, x, x), ct_mul(ctx, x, x));
        const ct_tensor first = gradient(y, x, CT_CREATE_GRAPH);
        EXPECT_TRUE(requires_grad(first));
        const ct_tensor second = gradient(first, x, CT_CREATE_GRAPH);
        const ct_tensor third = gradient(second, x, CT_CREATE_GRAPH);
        const ct_tensor fourth = gradient(third, x);
        EXPECT_NEAR(ct_item(ctx, first), 4 * 1.5 * 1.5 * 1.5, 1e-12);
        EXPECT_NEAR(ct_item(ctx, second), 12 * 1.5 * 1.5, 1e-12);
        EXPECT_NEAR(ct_item(ctx, third), 24 * 1.5, 1e-12);
        EXPECT_NEAR(ct_item(ctx, fourth), 24, 1e-12);
        EXPECT_FALSE(requires_grad(fourth));
        ctx.end_step();
    }
}

TEST_F(Gradients, CreateGraphRetains)
{
    const ct_tensor x = parameter({3});
    const ct_tensor y = ct_square(ctx, x);
    gradient(y, x, CT_CREATE_GRAPH);
    backward(y);
    EXPECT_EQ(grad(x), Values{6});
}

TEST_F(Gradients, CreateGraphOutlivesAFlush)
{
    const ct_tensor x = parameter({0.7});
    const ct_tensor first = gradient(ct_exp(ctx, ct_sin(ctx, ct_square(ctx, x))), x, CT_CREATE_GRAPH);
    const double value = ct_item(ctx, first);
    const ct_tensor second = gradient(first, x, CT_CREATE_GRAPH);
    const double s = std::sin(0.49), c = std::cos(0.49);
    EXPECT_NEAR(value, std::exp(s) * c * 1.4, 1e-12);
    EXPECT_NEAR(ct_item(ctx, second), std::exp(s) * ((c * c - s) * 1.96 + c * 2), 1e-12);
}

TEST_F(Gradients, MayBePartOfALoss)
{
    // A gradient penalty: d/dx (f'(x))² = 2 f' f'', f = x³.
    const ct_tensor x = parameter({2});
    const ct_tensor g = gradient(ct_pow_scalar(ctx, x, 3), x, CT_CREATE_GRAPH);
    backward(ct_square(ctx, g));
    EXPECT_NEAR(grad(x)[0], 2 * 12 * 12, 1e-12);
}

TEST_F(Gradients, WithoutCreateGraphAreConstants)
{
    const ct_tensor x = parameter({2});
    const ct_tensor y = ct_square(ctx, x);
    const ct_tensor g = gradient(y, x, CT_RETAIN_GRAPH);
    EXPECT_FALSE(requires_grad(ct_square(ctx, g)));
    backward(ct_mul(ctx, y, g)); // g = 4, a constant
    EXPECT_EQ(grad(x), Values{16});
}

TEST_F(Gradients, MixedSecondDerivatives)
{
    const ct_tensor x = parameter({2}), y = parameter({3});
    const ct_tensor f = ct_mul(ctx, ct_square(ctx, x), ct_square(ctx, y)); // x² y²
    const auto g = gradients({f}, {x, y}, {}, CT_CREATE_GRAPH);
    const auto gx = gradients({g[0]}, {x, y}, {}, CT_RETAIN_GRAPH), gy = gradients({g[1]}, {x, y}, {}, CT_RETAIN_GRAPH);
    EXPECT_EQ(ct_item(ctx, gx[0]), 2 * 9);
    EXPECT_EQ(ct_item(ctx, gx[1]), 4 * 2 * 3);
    EXPECT_EQ(ct_item(ctx, gy[0]), 4 * 2 * 3);
    EXPECT_EQ(ct_item(ctx, gy[1]), 2 * 4);
}

TEST_F(Gradients, MayBeReadAfterAFlush)
{
    const ct_tensor x = parameter({3});
    const ct_tensor y = ct_square(ctx, x);
    EXPECT_EQ(ct_item(ctx, y), 9);
    const ct_tensor g = gradient(y, x);
    ctx.check(ct_flush(ctx), "ct_flush");
    const ct_tensor twice = ct_mul_scalar(ctx, g, 2);
    EXPECT_EQ(ct_item(ctx, twice), 12);
    EXPECT_EQ(ct_item(ctx, g), 6);
}

TEST_F(Gradients, KnowTheirFlags)
{
    const ct_tensor x = parameter({3});
    const ct_tensor y = ct_square(ctx, x);
    ct_tensor g;
    EXPECT_EQ(ct_gradients(ctx, 1, &y, nullptr, 1, &x, &g, 4), CT_ERR_ARGUMENT);
    EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"ct_gradients", "flags"}));
}

TEST_F(Gradients, OfASeedOfAnotherShapeIsAnError)
{
    const ct_tensor x = parameter({3, 4});
    const ct_tensor y = ct_square(ctx, x), seed = constant({1, 2, 3});
    ct_tensor g;
    EXPECT_EQ(ct_gradients(ctx, 1, &y, &seed, 1, &x, &g, 0), CT_ERR_SHAPE);
    EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {"ct_gradients", "[3]", "[2]"}));
}

TEST_F(Gradients, BySeedsThatRequireOne)
{
    // <seed, dy/dx> is differentiable by the seed: the way to a product J v.
    const ct_tensor x = parameter({2, 3}), seed = parameter({1, 1});
    const ct_tensor y = ct_square(ctx, x);
    const auto pulled = gradients({y}, {x}, {seed}, CT_CREATE_GRAPH); // 2 x seed
    const auto pushed = gradients({pulled[0]}, {seed}, {constant({10, 100})});
    EXPECT_EQ(ctx.read(pushed[0]), (Values{40, 600}));
}

class ForwardMode : public Tape
{
};

TEST_F(ForwardMode, IsTheDirectionalDerivative)
{
    const ct_tensor x = parameter({2, 3}), v = constant({10, 100});
    const ct_tensor y = ct_square(ctx, x);
    ct_tensor t;
    ctx.check(ct_jvp(ctx, 1, &x, &v, 1, &y, &t), "ct_jvp");
    EXPECT_EQ(ctx.read(t), (Values{40, 600}));
    backward(sum(y)); // the graph stays usable
    EXPECT_EQ(grad(x), (Values{4, 6}));
}

TEST_F(ForwardMode, OfAnUnconnectedOutputIsZeros)
{
    const ct_tensor x = parameter({2, 3}), w = parameter({1}), v = constant({1, 1});
    const ct_tensor outputs[] = {ct_square(ctx, x), ct_square(ctx, w)};
    ct_tensor t[2];
    ctx.check(ct_jvp(ctx, 1, &x, &v, 2, outputs, t), "ct_jvp");
    EXPECT_EQ(ctx.read(t[0]), (Values{4, 6}));
    EXPECT_EQ(ctx.read(t[1]), Values{0});
}

TEST_F(ForwardMode, OfSeveralInputsIsTheSum_AlsoOfAnInputTwice)
{
    const ct_tensor x = parameter({2, 3}), w = parameter({5, 7}), one = constant({1, 1}), ten = constant({10, 10});
    const ct_tensor y = ct_mul(ctx, x, w), inputs[] = {x, w, x}, tangents[] = {one, ten, one};
    ct_tensor t;
    ctx.check(ct_jvp(ctx, 2, inputs, tangents, 1, &y, &t), "ct_jvp");
    EXPECT_EQ(ctx.read(t), (Values{5 + 20, 7 + 30}));
    ctx.check(ct_jvp(ctx, 3, inputs, tangents, 1, &y, &t), "ct_jvp");
    EXPECT_EQ(ctx.read(t), (Values{10 + 20, 14 + 30}));
}

TEST_F(ForwardMode, IsAskedForByNameAlsoUnderNoGrad)
{
    const ct_tensor x = parameter({1}), v = ctx.leaf(CT_F64, {}, {3});
    const ct_tensor y = ct_square(ctx, x);
    ct_tensor t;
    ct_no_grad_begin(ctx);
    ctx.check(ct_jvp(ctx, 1, &x, &v, 1, &y, &t), "ct_jvp");
    EXPECT_FALSE(requires_grad(ct_square(ctx, x))); // what comes after it is still under no_grad
    ct_no_grad_end(ctx);
    EXPECT_EQ(ctx.read(t), Values{6});
}

TEST_F(ForwardMode, OfAZeroHandleAsTangentIsAnError)
{
    const ct_tensor x = parameter({1}), y = ct_square(ctx, x), none = {};
    ct_tensor t = {1};
    EXPECT_EQ(ct_jvp(ctx, 1, &x, &none, 1, &y, &t), CT_ERR_ARGUMENT);
    EXPECT_EQ(t.bits, 0u);
    EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"ct_jvp", "tangent"}));
}

TEST_F(ForwardMode, WantsTangentsLikeTheInputs)
{
    const ct_tensor x = parameter({2, 3}), v = constant({1, 1, 1});
    const ct_tensor y = ct_square(ctx, x);
    ct_tensor t = {1};
    EXPECT_EQ(ct_jvp(ctx, 1, &x, &v, 1, &y, &t), CT_ERR_SHAPE);
    EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {"ct_jvp"}));
    EXPECT_EQ(t.bits, 0u);
}

} // namespace

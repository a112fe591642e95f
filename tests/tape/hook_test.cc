// ct_on_gradient: hooks see finished adjoints, and what they return goes on.
#include "tape/tape_test.h"

#include <functional>
#include <memory>

namespace
{

using Hook = std::function<ct_tensor(ct_context *, ct_tensor)>;

class Hooks : public Tape
{
  protected:
    static ct_tensor call(ct_context *ctx, ct_tensor g, void *user) { return (*static_cast<Hook *>(user))(ctx, g); }

    void hook(ct_tensor x, Hook body)
    {
        bodies_.push_back(std::make_unique<Hook>(std::move(body)));
        ctx.check(ct_on_gradient(ctx, x, call, bodies_.back().get()), "ct_on_gradient");
    }
    static Hook scale(double factor)
    {
        return [factor](ct_context *c, ct_tensor g) { return ct_mul_scalar(c, g, factor); };
    }
    Hook count()
    {
        return [this](ct_context *, ct_tensor) {
            ++calls_;
            return ct_tensor{};
        };
    }

    int calls_ = 0;

  private:
    std::vector<std::unique_ptr<Hook>> bodies_;
};

TEST_F(Hooks, OnALeafChangeWhatIsAddedIntoItsGradient)
{
    const ct_tensor x = parameter({3});
    hook(x, scale(10));
    backward(ct_square(ctx, x));
    EXPECT_EQ(grad(x), Values{60});
    ctx.end_step();
    backward(ct_square(ctx, x)); // it stays; only the new part is scaled
    EXPECT_EQ(grad(x), Values{120});
}

TEST_F(Hooks, OnAStepValueChangeWhatFlowsOn)
{
    const ct_tensor x = parameter({3});
    const ct_tensor h = ct_square(ctx, x);
    hook(h, scale(-1));
    backward(ct_mul_scalar(ctx, h, 5));
    EXPECT_EQ(grad(x), Values{-30});
    ctx.end_step();
    backward(ct_mul_scalar(ctx, ct_square(ctx, x), 5)); // it went with its step
    EXPECT_EQ(grad(x), Values{0});
}

TEST_F(Hooks, SeeTheSumOfAllThatFlowsBackOnce)
{
    const ct_tensor x = parameter({2});
    const ct_tensor h = ct_square(ctx, x);
    ct_tensor of_h = {}, of_x = {};
    hook(h, [&](ct_context *, ct_tensor g) { return ++calls_, of_h = g, ct_tensor{}; });
    hook(x, [&](ct_context *, ct_tensor g) { return ++calls_, of_x = g, ct_tensor{}; });
    const ct_tensor y = ct_add(ctx, ct_add(ctx, ct_mul_scalar(ctx, h, 3), ct_mul(ctx, h, x)), ct_square(ctx, x));
    backward(y); // 3 x² + x³ + x²
    EXPECT_EQ(calls_, 2);
    EXPECT_EQ(ct_item(ctx, of_h), 5);
    EXPECT_EQ(ct_item(ctx, of_x), 28);
    EXPECT_EQ(grad(x), Values{28}); // the zero tensor left it as it was
}

TEST_F(Hooks, RunInTheOrderTheyWereAdded)
{
    const ct_tensor x = parameter({1});
    hook(x, [](ct_context *c, ct_tensor g) { return ct_add_scalar(c, g, 1); });
    hook(x, count());
    hook(x, scale(10));
    backward(ct_mul_scalar(ctx, x, 4));
    EXPECT_EQ(grad(x), Values{50});
    EXPECT_EQ(calls_, 1);
}

TEST_F(Hooks, AreTakenAwayByNull)
{
    const ct_tensor x = parameter({1}), other = parameter({1});
    hook(x, scale(10));
    hook(other, scale(100));
    hook(x, scale(10));
    const ct_tensor h = ct_mul(ctx, x, other);
    hook(h, scale(7));
    EXPECT_EQ(ct_on_gradient(ctx, x, nullptr, nullptr), CT_OK);
    EXPECT_EQ(ct_on_gradient(ctx, h, nullptr, nullptr), CT_OK);
    EXPECT_EQ(ct_on_gradient(ctx, h, nullptr, nullptr), CT_OK); // none is left
    backward(h);
    EXPECT_EQ(grad(x), Values{1});
    EXPECT_EQ(grad(other), Values{100});
}

TEST_F(Hooks, GoWithTheirLeaf)
{
    const ct_tensor x = parameter({1});
    hook(x, count());
    ct_release(ctx, x);
    const ct_tensor again = parameter({1}); // in the same slot
    backward(ct_square(ctx, again));
    EXPECT_EQ(grad(again), Values{2});
    EXPECT_EQ(calls_, 0);
}

TEST_F(Hooks, MayReturnALeafAsItIsNow)
{
    const ct_tensor x = parameter({1}), other = parameter({1}), fixed = ctx.leaf(CT_F64, {}, {9});
    hook(x, [&](ct_context *, ct_tensor) { return fixed; });
    const ct_tensor h = ct_square(ctx, other);
    hook(h, [&](ct_context *, ct_tensor) { return fixed; });
    backward(ct_mul(ctx, x, h));
    ctx.check(ct_assign(ctx, fixed, ct_mul_scalar(ctx, fixed, 0)), "assign");
    EXPECT_EQ(grad(x), Values{9});
    EXPECT_EQ(grad(other), Values{18});
}

TEST_F(Hooks, RunInCtGradientsForInputsAndValuesBetween)
{
    const ct_tensor x = parameter({3}), aside = parameter({1});
    const ct_tensor h = ct_square(ctx, x), y = ct_mul(ctx, ct_mul_scalar(ctx, h, 2), aside);
    hook(x, scale(10));
    hook(h, scale(100));
    hook(aside, count()); // not asked for: nothing flows there
    const ct_tensor inputs[] = {h, x};
    ct_tensor g[2];
    ctx.check(ct_gradients(ctx, 1, &y, nullptr, 2, inputs, g, CT_RETAIN_GRAPH), "ct_gradients");
    EXPECT_EQ(ct_item(ctx, g[0]), 200);
    EXPECT_EQ(ct_item(ctx, g[1]), 200 * 6 * 10);
    // Also where the rule of the record that made h is not wanted.
    ctx.check(ct_gradients(ctx, 1, &y, nullptr, 1, &h, g, 0), "ct_gradients");
    EXPECT_EQ(ct_item(ctx, g[0]), 200);
    EXPECT_EQ(calls_, 0);
}

TEST_F(Hooks, DoNotRunWhereNothingFlowsBack)
{
    const ct_tensor x = parameter({3}), w = parameter({1});
    const ct_tensor h = ct_square(ctx, x), unused = ct_mul(ctx, h, w);
    hook(unused, count());
    hook(w, count());
    backward_from({unused}, {}, CT_RETAIN_GRAPH);
    EXPECT_EQ(calls_, 2);
    const ct_tensor later = ct_square(ctx, ct_add_scalar(ctx, x, 1));
    hook(later, count());
    backward_from({ct_add_scalar(ctx, h, 1), ct_square(ctx, x)}, {}); // nor with an adjoint of the sweep before
    EXPECT_EQ(calls_, 2);
}

TEST_F(Hooks, OnARootSeeTheSeed)
{
    const ct_tensor x = parameter({3});
    const ct_tensor y = ct_square(ctx, x);
    hook(y, scale(4));
    backward_from({y}, {constant({2})});
    EXPECT_EQ(grad(x), Values{48});
}

TEST_F(Hooks, RunOnceInEachSweepOfARetainedGraph)
{
    const ct_tensor x = parameter({3});
    const ct_tensor h = ct_square(ctx, x);
    hook(h, count());
    hook(x, count());
    for (int i = 0; i < 3; ++i) backward_from({h}, {}, CT_RETAIN_GRAPH);
    EXPECT_EQ(calls_, 6);
    EXPECT_EQ(grad(x), Values{18});
}

TEST_F(Hooks, AreDifferentiatedUnderCreateGraph)
{
    const ct_tensor x = parameter({3});
    const ct_tensor y = ct_square(ctx, x);
    hook(x, [&](ct_context *c, ct_tensor g) { return ct_mul(c, g, ct_square(c, x)); });
    const ct_tensor first = gradient(y, x, CT_CREATE_GRAPH); // 2 x · x²
    EXPECT_EQ(ct_item(ctx, first), 54);
    ctx.check(ct_on_gradient(ctx, x, nullptr, nullptr), "ct_on_gradient");
    EXPECT_EQ(ct_item(ctx, gradient(first, x)), 54); // 6 x²
}

TEST_F(Hooks, RecordConstantsWithoutCreateGraph)
{
    const ct_tensor x = parameter({3});
    bool required = true;
    hook(x, [&](ct_context *c, ct_tensor g) {
        const ct_tensor changed = ct_mul(c, g, x);
        ct_info info = {};
        EXPECT_EQ(ct_describe(c, changed, &info), CT_OK);
        required = info.requires_grad;
        ct_no_grad_begin(c); // forgotten to end
        return changed;
    });
    backward(ct_square(ctx, x));
    EXPECT_FALSE(required);
    EXPECT_TRUE(requires_grad(ct_square(ctx, x)));
    EXPECT_EQ(grad(x), Values{18});
}

TEST_F(Hooks, DoNotRunInForwardMode)
{
    const ct_tensor x = parameter({3}), v = ctx.leaf(CT_F64, {}, {1});
    const ct_tensor h = ct_square(ctx, x), y = ct_square(ctx, h);
    hook(x, scale(10));
    hook(h, scale(10));
    ct_tensor t;
    ctx.check(ct_jvp(ctx, 1, &x, &v, 1, &y, &t), "ct_jvp");
    EXPECT_EQ(ct_item(ctx, t), 108);
}

TEST_F(Hooks, ArePlayedAndNotCalledByAReplay)
{
    const ct_tensor x = parameter({3}), seen = ctx.leaf(CT_F64, {4}, {0, 0, 0, 0});
    hook(x, [&](ct_context *c, ct_tensor g) {
        ++calls_;
        ct_append(c, seen, g);
        return ct_mul_scalar(c, g, 2);
    });
    backward(ct_square(ctx, x));
    ctx.end_step();
    ctx.check(ct_replay(ctx, 2), "ct_replay");
    EXPECT_EQ(calls_, 1);
    EXPECT_EQ(grad(x), Values{36});
    EXPECT_EQ(ctx.read(seen), (Values{6, 6, 6, 0}));
}

TEST_F(Hooks, ThatRecordTheSameMakeNoNewProgram)
{
    const ct_tensor x = parameter({3});
    hook(x, scale(2));
    for (int i = 0; i < 4; ++i) {
        const ct_tensor h = ct_square(ctx, x);
        hook(h, scale(2));
        backward(h);
        ctx.end_step();
    }
    EXPECT_EQ(stats().compiles, 1);
    EXPECT_EQ(grad(x), Values{96});
}

TEST_F(Hooks, OnWhatRequiresNoGradientAreAnError)
{
    const ct_tensor x = parameter({3}), c = constant({1});
    ct_set_name(ctx, c, "c");
    hook(x, count());
    EXPECT_EQ(ct_on_gradient(ctx, c, call, nullptr), CT_ERR_STATE);
    EXPECT_TRUE(failed(ctx, CT_ERR_STATE, {"ct_on_gradient", "c []", "does not require a gradient"}));
    EXPECT_EQ(ct_on_gradient(ctx, ct_gt(ctx, x, x), call, nullptr), CT_ERR_STATE);
    ct_clear_error(ctx);
    EXPECT_EQ(ct_on_gradient(ctx, ct_tensor{}, call, nullptr), CT_ERR_ARGUMENT);
    ct_clear_error(ctx);
    backward(ct_square(ctx, x)); // the leaf's stayed
    EXPECT_EQ(calls_, 1);
}

TEST_F(Hooks, ReturnATensorLikeTheGradient)
{
    const ct_tensor x = parameter({3, 4});
    ct_set_name(ctx, x, "weight");
    hook(x, [](ct_context *c, ct_tensor g) { return ct_sum(c, g, 0, nullptr, false); });
    EXPECT_EQ(ct_backward(ctx, sum(x)), CT_ERR_SHAPE);
    EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {"hook on f64 weight [2]", "returned f64 []"}));
    ctx.check(ct_on_gradient(ctx, x, nullptr, nullptr), "ct_on_gradient");
    hook(x, [](ct_context *c, ct_tensor g) { return ct_cast(c, g, CT_F32); });
    EXPECT_EQ(ct_backward(ctx, sum(x)), CT_ERR_DTYPE);
    EXPECT_TRUE(failed(ctx, CT_ERR_DTYPE, {"returned f32"}));
    ctx.check(ct_on_gradient(ctx, x, nullptr, nullptr), "ct_on_gradient");
    ct_tensor of_another_step = ct_square(ctx, x);
    ctx.end_step();
    hook(x, [&](ct_context *, ct_tensor) { return of_another_step; });
    EXPECT_EQ(ct_backward(ctx, sum(x)), CT_ERR_ARGUMENT);
    EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"what the hook returned", "earlier step"}));
    EXPECT_EQ(grad(x), (Values{0, 0}));
}

TEST_F(Hooks, MayOnlyCallOps)
{
    const ct_tensor x = parameter({3}), w = parameter({1}), vector = parameter({1, 2});
    double host = 0;
    const std::vector<std::pair<const char *, std::function<void(ct_context *, ct_tensor)>>> calls = {
        {"ct_backward", [&](ct_context *c, ct_tensor) { ct_backward(c, ct_square(c, w)); }},
        {"ct_gradients",
         [&](ct_context *c, ct_tensor) {
             ct_tensor y = ct_square(c, w), g;
             ct_gradients(c, 1, &y, nullptr, 1, &w, &g, 0);
         }},
        {"ct_read", [&](ct_context *c, ct_tensor g) { ct_read(c, g, &host, sizeof host); }},
        {"ct_item", [](ct_context *c, ct_tensor g) { ct_item(c, g); }},
        {"ct_write", [&](ct_context *c, ct_tensor) { ct_write(c, w, &host, sizeof host); }},
        {"ct_flush", [](ct_context *c, ct_tensor) { ct_flush(c); }},
        {"ct_step_end", [](ct_context *c, ct_tensor) { ct_step_end(c); }},
        {"ct_replay", [](ct_context *c, ct_tensor) { ct_replay(c, 1); }},
        {"ct_synchronize", [](ct_context *c, ct_tensor) { ct_synchronize(c); }},
        {"ct_set_requires_grad", [&](ct_context *c, ct_tensor) { ct_set_requires_grad(c, w, false); }},
        {"ct_on_gradient", [&](ct_context *c, ct_tensor) { ct_on_gradient(c, w, call, nullptr); }},
        {"ct_release", [&](ct_context *c, ct_tensor) { ct_release(c, w); }},
        {"ct_set_training", [](ct_context *c, ct_tensor) { ct_set_training(c, false); }},
        {"ct_expect_cached", [](ct_context *c, ct_tensor) { ct_expect_cached(c, true); }},
        {"ct_backward: called by", [&](ct_context *c, ct_tensor) { ct_backward(c, vector); }},
    };
    for (const auto &[name, body] : calls) {
        SCOPED_TRACE(name);
        ctx.check(ct_on_gradient(ctx, x, nullptr, nullptr), "ct_on_gradient");
        hook(x, [&body = body](ct_context *c, ct_tensor g) { return body(c, g), ct_tensor{}; });
        EXPECT_EQ(ct_backward(ctx, ct_square(ctx, x)), CT_ERR_STATE);
        EXPECT_TRUE(failed(ctx, CT_ERR_STATE, {name, "hook"}));
        ctx.check(ct_on_gradient(ctx, x, nullptr, nullptr), "ct_on_gradient");
        hook(x, [&body = body](ct_context *c, ct_tensor g) {
            body(c, g);
            ct_clear_error(c);
            return ct_tensor{};
        });
        EXPECT_EQ(ct_backward(ctx, ct_square(ctx, x)), CT_ERR_STATE);
        EXPECT_TRUE(failed(ctx, CT_ERR_STATE, {"hook"}));
    }
    EXPECT_EQ(grad(x), Values{0});
    ctx.end_step();
    EXPECT_TRUE(requires_grad(w));
    EXPECT_TRUE(ct_is_training(ctx));
}

TEST_F(Hooks, ThatFailLeaveTheirError)
{
    const ct_tensor x = parameter({3, 4}), three = constant({1, 2, 3});
    hook(x, [&](ct_context *c, ct_tensor g) { return ct_mul(c, g, three); });
    hook(x, count()); // not reached
    EXPECT_EQ(ct_backward(ctx, sum(x)), CT_ERR_SHAPE);
    EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {"mul"}));
    EXPECT_EQ(calls_, 0);
    ctx.check(ct_on_gradient(ctx, x, nullptr, nullptr), "ct_on_gradient");
    backward(sum(x));
    EXPECT_EQ(grad(x), (Values{1, 1}));
}

} // namespace

// ct_gradcheck: agrees on right gradients, finds wrong ones and says where, never
// passes on NaN, and leaves everything as it was.
#include "tape/tape_test.h"

#include <cmath>
#include <functional>
#include <limits>

namespace
{

using Inputs = std::vector<ct_tensor>;
using Function = std::function<ct_tensor(ct_context *, const ct_tensor *)>;

const double nan_value = std::numeric_limits<double>::quiet_NaN();
const double infinity = std::numeric_limits<double>::infinity();

ct_tensor call(ct_context *ctx, int, const ct_tensor *in, void *user)
{
    return (*static_cast<const Function *>(user))(ctx, in);
}

// d(stand-in)/dx is the gradient of `backward`, its value that of `forward`: a wrong rule.
ct_tensor wrong(ct_context *ctx, ct_tensor forward, ct_tensor backward)
{
    return ct_add(ctx, backward, ct_detach(ctx, ct_sub(ctx, forward, backward)));
}

class UserGradCheck : public Tape
{
  protected:
    ct_status check(const Function &f, const Inputs &inputs, double eps = 1e-6)
    {
        Function copy = f;
        return ct_gradcheck(ctx, call, &copy, static_cast<int>(inputs.size()), inputs.data(), eps, 1e-7, 1e-5);
    }
    ::testing::AssertionResult finds(ct_status status, std::initializer_list<const char *> words, const Function &f,
                                     const Inputs &inputs, double eps = 1e-6)
    {
        const ct_status returned = check(f, inputs, eps);
        if (returned != ct_error(ctx)) return ::testing::AssertionFailure() << "returned " << ct_status_name(returned);
        return failed(ctx, status, words);
    }
    ct_tensor matrix(const Values &values)
    {
        return ctx.leaf(CT_F64, {2, static_cast<int64_t>(values.size()) / 2}, values);
    }
};

const Function square = [](ct_context *ctx, const ct_tensor *in) { return ct_square(ctx, in[0]); };

TEST_F(UserGradCheck, AgreesForAnOutputOfAnyShapeAndSeveralInputs)
{
    const Function f = [](ct_context *ctx, const ct_tensor *in) {
        return ct_add(ctx, ct_tanh(ctx, ct_matmul(ctx, in[0], in[1])), ct_exp(ctx, in[2]));
    };
    EXPECT_EQ(check(f, {matrix({1, -2, 3, 0.5}), matrix({-1, 2, 0.25, 1}), ctx.leaf(CT_F64, {}, {0.3})}), CT_OK);
    EXPECT_EQ(check(square, {ctx.leaf(CT_F64, {}, {3})}), CT_OK);
    EXPECT_EQ(check([](ct_context *ctx, const ct_tensor *in) { return ct_sum(ctx, in[0], 0, nullptr, false); },
                    {constant({1, 2, 3})}),
              CT_OK);
}

TEST_F(UserGradCheck, AgreesWhereNothingIsToBeDone)
{
    const ct_tensor x = constant({1, 2}), other = constant({3}), empty = ctx.leaf(CT_F64, {0, 3}, {});
    EXPECT_EQ(check([](ct_context *, const ct_tensor *in) { return in[0]; }, {x}), CT_OK);
    EXPECT_EQ(check([&](ct_context *, const ct_tensor *) { return other; }, {x}), CT_OK);
    EXPECT_EQ(check([](ct_context *ctx, const ct_tensor *in) { return ct_square(ctx, in[1]); }, {x, other}), CT_OK);
    EXPECT_EQ(check(square, {empty}), CT_OK);
    EXPECT_EQ(check([](ct_context *ctx, const ct_tensor *in) { return ct_mul(ctx, in[0], in[1]); }, {x, x}), CT_OK);
}

TEST_F(UserGradCheck, OfAGradientIsTheSecondOrder)
{
    const auto gradient_of_cube = [](bool cut) -> Function {
        return [cut](ct_context *ctx, const ct_tensor *in) {
            const ct_tensor cube = ct_mul(ctx, in[0], ct_square(ctx, in[0]));
            ct_tensor g = {};
            ct_gradients(ctx, 1, &cube, nullptr, 1, in, &g, CT_CREATE_GRAPH);
            return cut ? ct_detach(ctx, g) : g;
        };
    };
    EXPECT_EQ(check(gradient_of_cube(false), {constant({1, -2})}), CT_OK);
    EXPECT_TRUE(finds(CT_ERR_NUMERIC, {"input 0"}, gradient_of_cube(true), {constant({1, -2})}));
}

TEST_F(UserGradCheck, NamesInputElementAndBothValues)
{
    const ct_tensor x = constant({1}), w = matrix({1, 2, 3, 4, 5, 6});
    ctx.check(ct_set_name(ctx, w, "weight"), "ct_set_name");
    // Wrong in one element only, which is named: [1,2].
    const ct_tensor mask = matrix({0, 0, 0, 0, 0, 1});
    const Function f = [&](ct_context *ctx, const ct_tensor *in) {
        const ct_tensor right = ct_mul(ctx, in[0], in[1]);
        return wrong(ctx, ct_sum(ctx, right, 0, nullptr, false),
                     ct_sum(ctx, ct_add(ctx, right, ct_mul(ctx, mask, in[1])), 0, nullptr, false));
    };
    EXPECT_TRUE(finds(CT_ERR_NUMERIC,
                      {"ct_gradcheck", "input 1, weight [2,3]", "element [1,2]", "gradient", "difference"}, f, {x, w}));
    // The weight of the only element of the result is known from a right gradient of one.
    const Function doubled = [](ct_context *ctx, const ct_tensor *in) {
        return wrong(ctx, in[0], ct_mul_scalar(ctx, in[0], 2));
    };
    EXPECT_EQ(check(doubled, {x}), CT_ERR_NUMERIC);
    double analytic = 0, numeric = 0;
    const std::string message = ct_error_message(ctx);
    ASSERT_EQ(std::sscanf(message.c_str() + message.find("gradient is"), "gradient is %lf, the central difference %lf",
                          &analytic, &numeric),
              2)
        << message;
    EXPECT_NEAR(analytic, 2 * numeric, 1e-6);
    EXPECT_GE(std::fabs(numeric), 0.49);
    EXPECT_NE(message.find("element []"), std::string::npos) << message;
    ct_clear_error(ctx);
}

TEST_F(UserGradCheck, FindsASignADroppedTermAndATransposedGradient)
{
    const Inputs x = {constant({0.5, -2, 3})};
    const auto with = [](ct_tensor (*backward)(ct_context *, ct_tensor)) -> Function {
        return [backward](ct_context *ctx, const ct_tensor *in) {
            return wrong(ctx, ct_square(ctx, in[0]), backward(ctx, in[0]));
        };
    };
    EXPECT_TRUE(finds(CT_ERR_NUMERIC, {"element [0]"},
                      with([](ct_context *c, ct_tensor v) { return ct_neg(c, ct_square(c, v)); }), x));
    EXPECT_TRUE(finds(CT_ERR_NUMERIC, {"element [0]"},
                      with([](ct_context *c, ct_tensor v) { return ct_mul(c, v, ct_detach(c, v)); }), x));
    const Function transposed = [](ct_context *ctx, const ct_tensor *in) {
        const ct_tensor x2 = ct_square(ctx, in[0]);
        return wrong(ctx, x2, ct_transpose(ctx, x2, 0, 1));
    };
    EXPECT_TRUE(finds(CT_ERR_NUMERIC, {"element [0,1]"}, transposed, {matrix({1, 2, 3, 4})}));
}

TEST_F(UserGradCheck, NeverPassesOnNaNOrInfinity)
{
    const ct_tensor x = constant({1, 2}), nan = constant({nan_value, nan_value}), big = constant({infinity, infinity});
    const auto times = [](ct_tensor forward, ct_tensor backward) -> Function {
        return [=](ct_context *ctx, const ct_tensor *in) {
            return wrong(ctx, ct_mul(ctx, in[0], forward), ct_mul(ctx, in[0], backward));
        };
    };
    const ct_tensor two = constant({2, 2});
    // The NaN in the value, in the gradient, in both: on either side of the comparison.
    EXPECT_TRUE(finds(CT_ERR_NUMERIC, {"nan"}, times(nan, nan), {x}));
    const Function only_value = [&](ct_context *ctx, const ct_tensor *in) {
        return ct_add(ctx, ct_mul(ctx, in[0], two), nan);
    };
    EXPECT_TRUE(finds(CT_ERR_NUMERIC, {"f returned [2], whose element [0] is nan"}, only_value, {x}));
    const Function only_gradient = [](ct_context *ctx, const ct_tensor *in) {
        // sqrt at 0 has an infinite slope, which times 0 is NaN; the value is not touched.
        return ct_add(ctx, in[0], ct_mul_scalar(ctx, ct_sqrt(ctx, ct_mul_scalar(ctx, in[0], 0)), 0));
    };
    EXPECT_TRUE(finds(CT_ERR_NUMERIC, {"gradient is", "nan"}, only_gradient, {x}));
    EXPECT_TRUE(finds(CT_ERR_NUMERIC, {"element [0] is nan"}, times(big, big), {x}));
    EXPECT_TRUE(finds(CT_ERR_NUMERIC, {"element [0] is nan"}, square, {nan}));
    EXPECT_TRUE(finds(CT_ERR_NUMERIC, {"element [0] is inf"}, square, {big}));
    // Finite gradient, infinite difference: within its own relative tolerance.
    const Function overflow = [](ct_context *ctx, const ct_tensor *in) {
        return wrong(ctx, ct_mul_scalar(ctx, ct_mul_scalar(ctx, in[0], 1e308), 1e10), in[0]);
    };
    EXPECT_TRUE(finds(CT_ERR_NUMERIC, {"input 0"}, overflow, {constant({0})}));
}

TEST_F(UserGradCheck, ValueOfNaNOrInf_IsNamedByItsElement)
{
    const ct_tensor a = constant({1, 2, 3}), b = constant({1, -1, 1}), edge = constant({1, 1, 1e-7});
    const Function f = [](ct_context *ctx, const ct_tensor *in) { return ct_add(ctx, in[0], ct_log(ctx, in[1])); };
    EXPECT_TRUE(finds(CT_ERR_NUMERIC, {"f returned [3], whose element [1] is nan", "as given"}, f, {a, b}));
    // Finite at the inputs, and on one side of them only.
    EXPECT_TRUE(finds(CT_ERR_NUMERIC, {"input 1, [3], element [2]: with eps taken from it, element [2]", "is nan"}, f,
                      {a, edge}));
    const Function above = [](ct_context *ctx, const ct_tensor *in) {
        return ct_log(ctx, ct_add_scalar(ctx, ct_neg(ctx, in[0]), 1));
    };
    EXPECT_TRUE(finds(CT_ERR_NUMERIC, {"input 0, [2], element [1]: with eps added to it, element [1]", "is nan"}, above,
                      {constant({0, 1 - 1e-7})}));
    EXPECT_EQ(ctx.read(b), (Values{1, -1, 1}));
}

TEST_F(UserGradCheck, LeavesInputsFlagsAndGradientsAsTheyWere)
{
    const Values values = {0.1, -0.7, 1e-300};
    const ct_tensor x = constant(values), w = parameter(values), frozen = parameter(values);
    ctx.check(ct_set_requires_grad(ctx, frozen, false), "ct_set_requires_grad");
    backward(sum(ct_square(ctx, w)));
    ctx.end_step();
    const Values before = grad(w);
    ct_set_training(ctx, false);
    ct_no_grad_begin(ctx);
    const Function right = [](ct_context *ctx, const ct_tensor *in) {
        return ct_add(ctx, ct_square(ctx, in[0]), ct_mul(ctx, in[1], in[2]));
    };
    const Function left_open = [](ct_context *ctx, const ct_tensor *in) {
        ct_no_grad_begin(ctx);
        return ct_square(ctx, in[0]);
    };
    const Function failing = [calls = 0](ct_context *ctx, const ct_tensor *in) mutable {
        return ++calls < 3 ? ct_square(ctx, in[0]) : ct_matmul(ctx, in[0], in[1]);
    };
    EXPECT_EQ(check(right, {x, w, frozen}), CT_OK);
    EXPECT_TRUE(finds(CT_ERR_NUMERIC, {"input 0"}, left_open, {x, w, frozen}));
    EXPECT_TRUE(finds(CT_ERR_SHAPE, {"matmul"}, failing, {x, w, frozen}));
    EXPECT_FALSE(ct_is_training(ctx));
    EXPECT_FALSE(requires_grad(ct_square(ctx, w))); // still under no_grad, once
    ct_no_grad_end(ctx);
    EXPECT_TRUE(requires_grad(ct_square(ctx, w)));
    ctx.end_step();
    for (const ct_tensor input : {x, w, frozen}) EXPECT_EQ(ctx.read(input), values);
    EXPECT_FALSE(requires_grad(x));
    EXPECT_TRUE(requires_grad(w));
    EXPECT_FALSE(requires_grad(frozen));
    EXPECT_EQ(grad(w), before);
    EXPECT_EQ(ct_grad(ctx, x).bits, 0u); // none was made
    EXPECT_TRUE(failed(ctx, CT_ERR_STATE, {"does not require a gradient"}));
}

TEST_F(UserGradCheck, CompilesOneProgramForAllValues)
{
    const ct_tensor x = constant(Values(50, 0.5));
    const int64_t before = stats().compiles;
    EXPECT_EQ(check(square, {x}), CT_OK);
    EXPECT_EQ(stats().compiles - before, 2); // with gradients, and without
}

TEST_F(UserGradCheck, InTheMidstOfAStep_EndsThatFirst)
{
    const ct_tensor x = constant({1, 2}), total = constant({0, 0});
    const ct_tensor y = ct_square(ctx, x);
    ct_accumulate(ctx, total, y);
    EXPECT_EQ(check(square, {x}), CT_OK);
    EXPECT_EQ(ctx.read(total), (Values{1, 4})); // what was recorded has happened, once
    EXPECT_EQ(ct_square(ctx, y).bits, 0u);      // and y went with its step
    EXPECT_EQ(ct_error(ctx), CT_ERR_ARGUMENT);
    ct_clear_error(ctx);
}

TEST_F(UserGradCheck, WantsF64LeavesAndSoundArguments)
{
    const ct_tensor x = constant({1, 2}), single = ctx.leaf(CT_F32, {2}, {1, 2});
    ct_set_name(ctx, single, "single");
    EXPECT_TRUE(finds(CT_ERR_DTYPE, {"input 1, single [2]", "f32", "f64"}, square, {x, single}));
    EXPECT_TRUE(finds(CT_ERR_ARGUMENT, {"no inputs"}, square, {}));
    for (const double eps : {0.0, -1e-6, nan_value, infinity})
        EXPECT_TRUE(finds(CT_ERR_ARGUMENT, {"eps"}, square, {x}, eps));
    EXPECT_TRUE(finds(CT_ERR_ARGUMENT, {"eps", "is lost in element [1]"}, square, {constant({1, 1e12})}));
    EXPECT_TRUE(finds(CT_ERR_ARGUMENT, {"zero tensor"}, square, {ct_tensor{}}));
    Function f = square;
    for (const double tolerance : {-1.0, nan_value, infinity}) {
        EXPECT_EQ(ct_gradcheck(ctx, call, &f, 1, &x, 1e-6, tolerance, 0), CT_ERR_ARGUMENT);
        ct_clear_error(ctx);
        EXPECT_EQ(ct_gradcheck(ctx, call, &f, 1, &x, 1e-6, 0, tolerance), CT_ERR_ARGUMENT);
        ct_clear_error(ctx);
    }
    EXPECT_EQ(ct_gradcheck(ctx, nullptr, nullptr, 1, &x, 1e-6, 0, 0), CT_ERR_ARGUMENT);
    ct_clear_error(ctx);
    EXPECT_EQ(ctx.read(x), (Values{1, 2}));
}

TEST_F(UserGradCheck, RefusesWhatIsNoFunctionOfTheInputs)
{
    const ct_tensor x = constant({0.5, 2}), w = parameter({1});
    const int64_t row[] = {1, 2};
    const auto f = [](auto body) -> Function { return body; };
    using C = ct_context *;
    using In = const ct_tensor *;
    EXPECT_TRUE(finds(CT_ERR_ARGUMENT, {"what f returned", "zero tensor"}, f([](C, In) { return ct_tensor{}; }), {x}));
    EXPECT_TRUE(finds(CT_ERR_DTYPE, {"f returned i32"}, f([](C c, In in) { return ct_cast(c, in[0], CT_I32); }), {x}));
    EXPECT_TRUE(finds(CT_ERR_DTYPE, {"f returned f32"}, f([](C c, In in) { return ct_cast(c, in[0], CT_F32); }), {x}));
    EXPECT_TRUE(finds(CT_ERR_STATE, {"random", "ct_set_training"},
                      f([](C c, In in) { return ct_dropout(c, in[0], 0.5); }), {x}));
    EXPECT_TRUE(finds(CT_ERR_STATE, {"ct_item", "may only call ops"}, f([](C c, In in) {
                          const ct_tensor y = ct_sum(c, in[0], 0, nullptr, false);
                          return ct_mul_scalar(c, in[0], ct_item(c, y));
                      }),
                      {x}));
    EXPECT_TRUE(finds(CT_ERR_STATE, {"ct_step_end", "ct_gradcheck", "may only call ops"}, f([](C c, In in) {
                          ct_step_end(c);
                          return ct_square(c, in[0]);
                      }),
                      {x}));
    EXPECT_TRUE(finds(CT_ERR_STATE, {"ct_backward", "may only call ops"}, f([&](C c, In in) {
                          ct_backward(c, ct_square(c, w));
                          return ct_square(c, in[0]);
                      }),
                      {x}));
    EXPECT_TRUE(finds(CT_ERR_STATE, {"writes or releases"}, f([](C c, In in) {
                          const ct_tensor y = ct_square(c, in[0]);
                          ct_assign(c, in[0], y);
                          return y;
                      }),
                      {x}));
    EXPECT_TRUE(finds(CT_ERR_STATE, {"cleared an error"}, f([](C c, In in) {
                          ct_step_end(c);
                          ct_clear_error(c);
                          return ct_square(c, in[0]);
                      }),
                      {x}));
    EXPECT_TRUE(finds(CT_ERR_SHAPE, {"f returned [1,2]", "before it [2]"}, f([calls = 0, row](C c, In in) mutable {
                          return ++calls < 3 ? ct_square(c, in[0]) : ct_reshape(c, in[0], 2, row);
                      }),
                      {x}));
    EXPECT_EQ(ctx.read(x), (Values{0.5, 2}));
    EXPECT_EQ(grad(w), Values{0});
}

TEST_F(UserGradCheck, OfAnInputThatFReleasesIsAnError)
{
    const ct_tensor x = constant({1}), w = constant({2, 3});
    const Function f = [&](ct_context *c, const ct_tensor *in) {
        const ct_tensor y = ct_square(c, in[1]);
        ct_release(c, in[0]);
        return y;
    };
    EXPECT_TRUE(finds(CT_ERR_ARGUMENT, {"an input"}, f, {x, w}));
    EXPECT_EQ(ctx.read(w), (Values{2, 3}));
}

} // namespace

// Ops that are added from outside: the example mish against the same formula in ops, its gradients of every kind,
// an op with several outputs, and all that can be wrong with one.
#include "support/custom.h"

#include "support/compare.h"
#include "support/errors.h"

#include <cmath>
#include <limits>

namespace
{

class CustomOp : public ::testing::Test
{
  protected:
    void SetUp() override { SKIP_ON_GPU(); }
};

std::vector<double> some_values(size_t n)
{
    std::vector<double> values(n);
    for (size_t i = 0; i < n; ++i) values[i] = 3 * std::sin(1.0 + 1.7 * static_cast<double>(i));
    return values;
}

ct_tensor mish_of_ops(ct_context *ctx, ct_tensor x) { return ct_mul(ctx, x, ct_tanh(ctx, ct_softplus(ctx, x))); }

const std::vector<std::vector<int64_t>> shapes = {{}, {1}, {7}, {3, 5}, {2, 1, 33}, {0, 4}, {65, 63}};

size_t numel(const std::vector<int64_t> &shape)
{
    size_t n = 1;
    for (int64_t size : shape) n *= static_cast<size_t>(size);
    return n;
}

TEST_F(CustomOp, Mish_IsItsFormula_InBothDtypes)
{
    for (ct_dtype dtype : {CT_F32, CT_F64})
        for (const auto &shape : shapes) {
            Context ctx;
            const ct_op_handle mish = add_mish(ctx);
            const ct_tensor x = ctx.leaf(dtype, shape, some_values(numel(shape)));
            const ct_tensor y = call(ctx, mish, {x}), expected = mish_of_ops(ctx, x);
            EXPECT_EQ(ctx.shape(y), shape);
            const double bound = dtype == CT_F32 ? 1e-6 : 1e-14;
            EXPECT_TRUE(all_close(ctx.read(y), ctx.read(expected), {bound, bound}));
        }
}

TEST_F(CustomOp, Mish_AtTheEdges)
{
    Context ctx;
    const ct_op_handle mish = add_mish(ctx);
    const double inf = std::numeric_limits<double>::infinity();
    const ct_tensor x = ctx.leaf(CT_F64, {4}, {0, 800, -800, std::nan("")});
    EXPECT_TRUE(same_bits(ctx.read(call(ctx, mish, {x})), {0, 800, -0.0, std::nan("")}));
    EXPECT_EQ(ctx.read(call(ctx, mish, {ctx.leaf(CT_F64, {1}, {inf})}))[0], inf);
}

TEST_F(CustomOp, Gradients_OfFirstAndSecondOrder)
{
    Context ctx;
    const ct_op_handle mish = add_mish(ctx);
    const ct_tensor x = ctx.leaf(CT_F64, {3, 5}, some_values(15));
    ctx.check(ct_set_requires_grad(ctx, x, true), "ct_set_requires_grad");
    const ct_tensor y[2] = {call(ctx, mish, {x}), mish_of_ops(ctx, x)};
    ct_tensor first[2], second[2];
    for (int i = 0; i < 2; ++i) {
        ctx.check(ct_gradients(ctx, 1, &y[i], nullptr, 1, &x, &first[i], CT_CREATE_GRAPH), "first");
        ctx.check(ct_gradients(ctx, 1, &first[i], nullptr, 1, &x, &second[i], CT_RETAIN_GRAPH), "second");
    }
    EXPECT_TRUE(all_close(ctx.read(first[0]), ctx.read(first[1]), {1e-13, 1e-13}));
    EXPECT_TRUE(all_close(ctx.read(second[0]), ctx.read(second[1]), {1e-12, 1e-12}));
}

ct_tensor call_mish(ct_context *ctx, int, const ct_tensor *in, void *op)
{
    return ct_call(ctx, *static_cast<ct_op_handle *>(op), 1, in, 0, nullptr, 0, nullptr);
}

ct_tensor gradient_of_mish(ct_context *ctx, int n, const ct_tensor *in, void *op)
{
    const ct_tensor y = call_mish(ctx, n, in, op);
    ct_tensor g = {0};
    ct_gradients(ctx, 1, &y, nullptr, 1, in, &g, CT_CREATE_GRAPH);
    return g;
}

TEST_F(CustomOp, Gradcheck)
{
    Context ctx;
    ct_op_handle mish = add_mish(ctx);
    const ct_tensor x = ctx.leaf(CT_F64, {2, 3}, some_values(6));
    ctx.check(ct_gradcheck(ctx, call_mish, &mish, 1, &x, 1e-6, 1e-7, 1e-5), "of the op");
    ctx.check(ct_gradcheck(ctx, gradient_of_mish, &mish, 1, &x, 1e-6, 1e-7, 1e-5), "of its gradient");
}

TEST_F(CustomOp, ForwardMode_IsTheSlopeTimesTheTangent)
{
    Context ctx;
    const ct_op_handle mish = add_mish(ctx);
    const ct_tensor x = ctx.leaf(CT_F64, {7}, some_values(7)), v = ctx.leaf(CT_F64, {7}, {1, -2, 3, 0.5, 0, 4, -1});
    ctx.check(ct_set_requires_grad(ctx, x, true), "ct_set_requires_grad");
    const ct_tensor y = call(ctx, mish, {x});
    ct_tensor tangent, slope;
    ctx.check(ct_jvp(ctx, 1, &x, &v, 1, &y, &tangent), "ct_jvp");
    ctx.check(ct_gradients(ctx, 1, &y, nullptr, 1, &x, &slope, 0), "ct_gradients");
    EXPECT_TRUE(all_close(ctx.read(tangent), ctx.read(ct_mul(ctx, slope, v)), {1e-13, 1e-13}));
}

TEST_F(CustomOp, SeveralOutputs_AScalarAndAnAttribute)
{
    Context ctx;
    const ct_op_handle split = add_op(ctx, split_config());
    const ct_tensor x = ctx.leaf(CT_F32, {3}, {1, 2, -4});
    ctx.check(ct_set_requires_grad(ctx, x, true), "ct_set_requires_grad");
    const int64_t shift = 10;
    const double factor = 0.5;
    ct_tensor out[2], g;
    ctx.check(ct_call_outputs(ctx, split, 1, &x, 1, &shift, 1, &factor, 2, out), "ct_call_outputs");
    ctx.check(ct_gradients(ctx, 2, out, nullptr, 1, &x, &g, CT_RETAIN_GRAPH), "both");
    EXPECT_TRUE(same_bits(ctx.read(g), {1.5, 1.5, 1.5}));
    ctx.check(ct_gradients(ctx, 1, out, nullptr, 1, &x, &g, CT_RETAIN_GRAPH), "the first");
    EXPECT_TRUE(same_bits(ctx.read(g), {0.5, 0.5, 0.5}));
    EXPECT_TRUE(same_bits(ctx.read(out[0]), {0.5, 1, -2}));
    EXPECT_TRUE(same_bits(ctx.read(out[1]), {11, 12, 6}));
    // The rule reads no input, and says so: a write before the gradient call is no error.
    ctx.check(ct_call_outputs(ctx, split, 1, &x, 1, &shift, 1, &factor, 2, out), "again");
    ctx.write(x, {0, 0, 0});
    ctx.check(ct_gradients(ctx, 1, &out[1], nullptr, 1, &x, &g, 0), "after a write");
}

TEST_F(CustomOp, AWriteBeforeTheGradient_IsNoticed_WhereTheRuleReadsTheInput)
{
    Context ctx;
    const ct_op_handle mish = add_mish(ctx);
    const ct_tensor x = ctx.leaf(CT_F32, {2}, {1, 2});
    ctx.check(ct_set_requires_grad(ctx, x, true), "ct_set_requires_grad");
    const ct_tensor y = ct_sum(ctx, call(ctx, mish, {x}), 0, nullptr, false);
    ctx.check(ct_assign(ctx, x, ct_mul_scalar(ctx, x, 2)), "ct_assign");
    ct_backward(ctx, y);
    EXPECT_TRUE(failed(ctx, CT_ERR_STATE, {"example.mish", "assign"}));
}

// ---- elementwise ops of several inputs -----------------------------------------------------------------

int hypot_cpu(const ct_op_call *call)
{
    const double *x = static_cast<const double *>(call->inputs[0].data);
    const double *y = static_cast<const double *>(call->inputs[1].data);
    double *z = static_cast<double *>(call->outputs[0].data);
    for (int64_t i = call->first; i < call->first + call->count; ++i) z[i] = std::hypot(x[i], y[i]);
    return 0;
}

void hypot_gradient(ct_context *ctx, const ct_op_gradient *g)
{
    for (int i = 0; i < 2; ++i)
        if (g->needs[i]) g->gradients[i] = ct_mul(ctx, g->adjoints[0], ct_div(ctx, g->inputs[i], g->outputs[0]));
}

ct_op_config hypot_config()
{
    ct_op_config config = {};
    config.name = "test.hypot";
    config.n_inputs = 2;
    config.n_outputs = 1;
    config.flags = CT_OP_IS_ELEMENTWISE;
    config.gradient = hypot_gradient;
    config.cpu = hypot_cpu;
    return config;
}

// What is said of ops in general is tested with CPU functions.
const DeviceChoice cpu = {"cpu", CT_DEVICE_CPU, ""};

ct_tensor call_hypot(ct_context *ctx, int, const ct_tensor *in, void *op)
{
    return ct_call(ctx, *static_cast<ct_op_handle *>(op), 2, in, 0, nullptr, 0, nullptr);
}

TEST_F(CustomOp, ElementwiseInputs_Broadcast)
{
    Context ctx(cpu);
    ct_op_handle hypot = add_op(ctx, hypot_config());
    const ct_tensor in[2] = {ctx.leaf(CT_F64, {3, 1}, {3, 5, 8}), ctx.leaf(CT_F64, {2}, {4, 12})};
    const ct_tensor z = call(ctx, hypot, {in[0], in[1]});
    EXPECT_EQ(ctx.shape(z), (std::vector<int64_t>{3, 2}));
    EXPECT_TRUE(all_close(
        ctx.read(z), {5, std::hypot(3, 12), std::hypot(5, 4), 13, std::hypot(8, 4), std::hypot(8, 12)}, {1e-15, 0}));
    ctx.end_step();
    ctx.check(ct_gradcheck(ctx, call_hypot, &hypot, 2, in, 1e-6, 1e-7, 1e-5), "ct_gradcheck");
    call(ctx, hypot, {in[0], ctx.leaf(CT_F64, {4, 2}, some_values(8))});
    EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {"test.hypot", "[3,1]", "[4,2]", "broadcast"}));
    call(ctx, hypot, {in[0], ctx.leaf(CT_F32, {2}, {1, 2})});
    EXPECT_TRUE(failed(ctx, CT_ERR_DTYPE, {"test.hypot", "f32", "f64"}));
}

TEST_F(CustomOp, Threads_ComputeTheSame)
{
    std::vector<double> results[2];
    for (int threads : {1, 4}) {
        ct_config config = {};
        config.cpu_threads = threads;
        Context ctx(cpu, config);
        const ct_op_handle mish = add_mish(ctx);
        const ct_tensor x = ctx.leaf(CT_F32, {100003}, some_values(100003));
        results[threads > 1] = ctx.read(call(ctx, mish, {x}));
    }
    EXPECT_TRUE(same_bits(results[1], results[0]));
}

// ---- shape functions -----------------------------------------------------------------------------------

// y [n] = the sums of the rows of x [n, m], as many as the attribute says at most.
ct_status rows_infer(const ct_op_call *call, ct_op_tensor *outputs, const char **why)
{
    EXPECT_EQ(call->inputs[0].data, nullptr);
    EXPECT_EQ(call->scalars, nullptr);
    if (call->inputs[0].ndim != 2) {
        *why = "x has to be a matrix";
        return CT_ERR_SHAPE;
    }
    outputs[0].ndim = 1;
    outputs[0].shape[0] = std::min(call->inputs[0].shape[0], call->attrs[0]);
    return CT_OK;
}

int rows_cpu(const ct_op_call *call)
{
    const float *x = static_cast<const float *>(call->inputs[0].data);
    float *y = static_cast<float *>(call->outputs[0].data);
    const int64_t m = call->inputs[0].shape[1];
    for (int64_t i = 0; i < call->outputs[0].numel; ++i) {
        y[i] = 0;
        for (int64_t j = 0; j < m; ++j) y[i] += x[i * m + j];
    }
    return *static_cast<int *>(call->user);
}

ct_op_config rows_config(int *result)
{
    ct_op_config config = {};
    config.name = "test.rows";
    config.n_inputs = config.n_outputs = config.n_attrs = 1;
    config.user = result;
    config.infer = rows_infer;
    config.cpu = rows_cpu;
    return config;
}

TEST_F(CustomOp, AShapeFunction_TellsTheOutput_OrWhatIsWrong)
{
    Context ctx(cpu);
    int result = 0;
    const ct_op_handle rows = add_op(ctx, rows_config(&result));
    const ct_tensor x = ctx.leaf(CT_F32, {3, 2}, {1, 2, 3, 4, 5, 6});
    for (int64_t most : {2, 5}) {
        const ct_tensor y = ct_call(ctx, rows, 1, &x, 1, &most, 0, nullptr);
        EXPECT_TRUE(same_bits(ctx.read(y), most == 2 ? std::vector<double>{3, 7} : std::vector<double>{3, 7, 11}));
    }
    const int64_t bad = -1, most = 1;
    ct_call(ctx, rows, 1, &x, 1, &bad, 0, nullptr);
    EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {"test.rows"}));
    const ct_tensor vector = ctx.leaf(CT_F32, {3}, {1, 2, 3});
    ct_set_name(ctx, vector, "weights");
    ct_call(ctx, rows, 1, &vector, 1, &most, 0, nullptr);
    EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {"test.rows", "weights [3]", "x has to be a matrix"}));
}

TEST_F(CustomOp, AnOpWithoutARule_CannotBeDifferentiated_UnlessItSaysItIsConstant)
{
    Context ctx(cpu);
    int result = 0;
    const int64_t most = 3;
    ct_op_config config = rows_config(&result);
    const ct_op_handle rows = add_op(ctx, config);
    config.name = "test.constant_rows";
    config.flags = CT_OP_HAS_NO_GRADIENT;
    const ct_op_handle constant = add_op(ctx, config);
    const ct_tensor x = ctx.leaf(CT_F32, {1, 2}, {1, 2});
    ctx.check(ct_set_requires_grad(ctx, x, true), "ct_set_requires_grad");
    EXPECT_FALSE(ctx.describe(ct_call(ctx, constant, 1, &x, 1, &most, 0, nullptr)).requires_grad);
    ct_backward(ctx, ct_call(ctx, rows, 1, &x, 1, &most, 0, nullptr));
    EXPECT_TRUE(failed(ctx, CT_ERR_UNSUPPORTED, {"test.rows", "no gradient rule"}));
}

TEST_F(CustomOp, AFunctionThatFails_IsAFaultOfTheDevice)
{
    ct_config config = {};
    config.device = CT_DEVICE_CPU;
    for (bool eager : {false, true}) {
        ct_context *ctx;
        config.eager = eager;
        ASSERT_EQ(ct_create(&config, &ctx), CT_OK);
        int result = 42;
        const int64_t most = 3, shape[] = {3, 2};
        const ct_op_config rows_op = rows_config(&result);
        ct_op_handle rows;
        EXPECT_EQ(ct_op_register(ctx, &rows_op, &rows), CT_OK);
        const ct_tensor x = ct_full(ctx, CT_F32, 2, shape, 1);
        ct_call(ctx, rows, 1, &x, 1, &most, 0, nullptr);
        ct_flush(ctx);
        EXPECT_TRUE(failed(ctx, CT_ERR_DEVICE, {"test.rows [3]", "returned 42"}));
        ct_destroy(ctx);
    }
}

TEST_F(CustomOp, ALauncherThatFails_IsAFaultOfTheDevice)
{
    if (!on_stand_in()) GTEST_SKIP() << "of the stand-in";
    ct_context *ctx;
    const ct_config config = device_config();
    ASSERT_EQ(ct_create(&config, &ctx), CT_OK);
    ct_op_config failing = hypot_config();
    failing.name = "test.failing";
    failing.cuda = find_launcher("failing_cuda");
    ct_op_handle op;
    EXPECT_EQ(ct_op_register(ctx, &failing, &op), CT_OK);
    const int64_t n = 5;
    const ct_tensor x = ct_full(ctx, CT_F32, 1, &n, 1), in[2] = {x, x};
    ct_call(ctx, op, 2, in, 0, nullptr, 0, nullptr);
    ct_flush(ctx);
    EXPECT_TRUE(failed(ctx, CT_ERR_DEVICE, {"test.failing [5]", "launcher", "cudaErrorInvalidConfiguration"}));
    ct_destroy(ctx);
}

TEST_F(CustomOp, WithoutAFunctionForTheDevice_IsUnsupported)
{
    Context ctx;
    ct_op_config config = hypot_config();
    config.cuda = [](const ct_op_call *, void *) { return 0; };
    if (on_stand_in())
        config.cuda = nullptr;
    else
        config.cpu = nullptr;
    const ct_op_handle op = add_op(ctx, config);
    const ct_tensor x = ctx.leaf(CT_F64, {2}, {1, 2});
    call(ctx, op, {x, x});
    EXPECT_TRUE(failed(ctx, CT_ERR_UNSUPPORTED, {"test.hypot", ct_device_name(ctx)}));
}

// ---- gradient rules that are wrong -----------------------------------------------------------------------

ct_tensor wrong_gradient(Context &ctx, void (*gradient)(ct_context *, const ct_op_gradient *))
{
    ct_op_config config = hypot_config();
    config.name = "test.wrong";
    config.gradient = gradient;
    const ct_op_handle op = add_op(ctx, config);
    const ct_tensor x = ctx.leaf(CT_F64, {2}, {1, 2});
    ctx.check(ct_set_requires_grad(ctx, x, true), "ct_set_requires_grad");
    ct_tensor g;
    const ct_tensor z = call(ctx, op, {x, x});
    ct_gradients(ctx, 1, &z, nullptr, 1, &x, &g, 0);
    return g;
}

TEST_F(CustomOp, AGradientUnlikeItsInput_IsNamed)
{
    Context a(cpu), b(cpu), c(cpu), d(cpu);
    wrong_gradient(a, [](ct_context *ctx, const ct_op_gradient *g) {
        g->gradients[0] = g->adjoints[0];
        g->gradients[1] = ct_sum(ctx, g->adjoints[0], 0, nullptr, true);
    });
    EXPECT_TRUE(failed(a, CT_ERR_SHAPE, {"test.wrong", "input 1", "[2]", "[1]"}));
    wrong_gradient(
        b, [](ct_context *ctx, const ct_op_gradient *g) { g->gradients[0] = ct_cast(ctx, g->adjoints[0], CT_F32); });
    EXPECT_TRUE(failed(b, CT_ERR_DTYPE, {"test.wrong", "input 0", "f64", "f32"}));
    wrong_gradient(c, [](ct_context *ctx, const ct_op_gradient *) { ct_step_end(ctx); });
    EXPECT_TRUE(failed(c, CT_ERR_STATE, {"ct_step_end", "gradient rule"}));
    // Nothing filled in is zero.
    EXPECT_TRUE(same_bits(d.read(wrong_gradient(d, [](ct_context *, const ct_op_gradient *) {})), {0, 0}));
}

TEST_F(CustomOp, AnomalyMode_NamesTheOpWhoseRuleMadeANaN)
{
    ct_config config = {};
    config.detect_anomaly = true;
    Context ctx(cpu, config);
    const ct_op_handle hypot = add_op(ctx, hypot_config());
    const ct_tensor x = ctx.leaf(CT_F64, {2}, {3, 0}), y = ctx.leaf(CT_F64, {2}, {4, 0});
    ctx.check(ct_set_requires_grad(ctx, x, true), "ct_set_requires_grad");
    ctx.check(ct_backward(ctx, ct_sum(ctx, call(ctx, hypot, {x, y}), 0, nullptr, false)), "ct_backward");
    EXPECT_EQ(ct_step_end(ctx), CT_ERR_NUMERIC);
    EXPECT_TRUE(failed(ctx, CT_ERR_NUMERIC, {"made a NaN at [1]", "the gradient of test.hypot"}));
}

// ---- registering, and calling ------------------------------------------------------------------------------

TEST_F(CustomOp, Register_ChecksItsConfig)
{
    Context ctx(cpu);
    const auto refused = [&](void (*spoil)(ct_op_config &), const char *word) {
        ct_op_config config = hypot_config();
        spoil(config);
        ct_op_handle op = {1};
        EXPECT_EQ(ct_op_register(ctx, &config, &op), CT_ERR_ARGUMENT) << word;
        EXPECT_EQ(op.bits, 0u);
        EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"ct_op_register", word}));
    };
    refused([](ct_op_config &c) { c.name = nullptr; }, "name");
    refused([](ct_op_config &c) { c.name = ""; }, "name");
    refused([](ct_op_config &c) { c.name = "a \"quote\""; }, "name");
    refused([](ct_op_config &c) { c.name = "a23456789_123456789_123456789_123456789_123456789_123456789_1234"; }, "63");
    refused([](ct_op_config &c) { c.name = "matmul"; }, "there is an op matmul");
    refused([](ct_op_config &c) { c.n_inputs = CT_OP_MAX_INPUTS + 1; }, "9 inputs");
    refused([](ct_op_config &c) { c.n_inputs = -1; }, "-1 inputs");
    refused([](ct_op_config &c) { c.n_outputs = 0; }, "0 outputs");
    refused([](ct_op_config &c) { c.n_outputs = CT_OP_MAX_OUTPUTS + 1; }, "4 outputs");
    refused([](ct_op_config &c) { c.n_outputs = 2; }, "elementwise");
    refused([](ct_op_config &c) { c.n_inputs = 0, c.flags = 0; }, "shape");
    refused([](ct_op_config &c) { c.n_attrs = CT_OP_MAX_ATTRS + 1; }, "9 attributes");
    refused([](ct_op_config &c) { c.n_scalars = CT_OP_MAX_SCALARS + 1; }, "5 scalars");
    refused([](ct_op_config &c) { c.flags |= 64; }, "unknown flags");
    refused([](ct_op_config &c) { c.flags |= CT_OP_HAS_NO_GRADIENT; }, "CT_OP_HAS_NO_GRADIENT");
    refused([](ct_op_config &c) { c.unread = 4; }, "unread");
    refused([](ct_op_config &c) { c.cpu = nullptr; }, "neither");
    add_op(ctx, hypot_config());
    refused([](ct_op_config &) {}, "there is an op test.hypot");
    EXPECT_EQ(ct_op_register(ctx, nullptr, nullptr), CT_ERR_ARGUMENT);
    EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"ct_op_register"}));
    EXPECT_EQ(ct_op_register(nullptr, nullptr, nullptr), CT_ERR_ARGUMENT);
}

TEST_F(CustomOp, Call_ChecksItsArguments)
{
    Context ctx(cpu), other(cpu);
    const ct_op_handle op = add_op(ctx, split_config());
    const ct_tensor x = ctx.leaf(CT_F32, {2}, {1, 2});
    const int64_t attr = 1;
    const double scalar = 1;
    ct_tensor out[2];
    const auto refused = [&](ct_status status, std::initializer_list<const char *> words) {
        EXPECT_EQ(ct_error(ctx), status);
        return failed(ctx, status, words);
    };
    ct_call_outputs(ctx, {0}, 1, &x, 1, &attr, 1, &scalar, 2, out);
    EXPECT_TRUE(refused(CT_ERR_ARGUMENT, {"ct_call_outputs", "registered"}));
    ct_call_outputs(ctx, {op.bits + 1}, 1, &x, 1, &attr, 1, &scalar, 2, out);
    EXPECT_TRUE(refused(CT_ERR_ARGUMENT, {"ct_call_outputs", "registered"}));
    ct_call(ctx, {op.bits & 0xffff}, 1, &x, 1, &attr, 1, &scalar);
    EXPECT_TRUE(refused(CT_ERR_ARGUMENT, {"ct_call", "registered"}));
    const ct_op_handle foreign = add_op(other, split_config());
    ct_call(ctx, foreign, 1, &x, 1, &attr, 1, &scalar);
    EXPECT_TRUE(refused(CT_ERR_ARGUMENT, {"ct_call", "registered on this context"}));
    ct_call(ctx, op, 1, &x, 0, nullptr, 1, &scalar);
    EXPECT_TRUE(refused(CT_ERR_ARGUMENT, {"test.split", "0 attributes", "it has 1, 1, 1"}));
    ct_call(ctx, op, 2, &x, 1, &attr, 1, &scalar);
    EXPECT_TRUE(refused(CT_ERR_ARGUMENT, {"test.split", "2 inputs"}));
    ct_call(ctx, op, 1, nullptr, 1, &attr, 1, &scalar);
    EXPECT_TRUE(refused(CT_ERR_ARGUMENT, {"test.split", "NULL"}));
    ct_call_outputs(ctx, op, 1, &x, 1, &attr, 1, &scalar, 1, out);
    EXPECT_TRUE(refused(CT_ERR_ARGUMENT, {"test.split", "1 outputs; it has 2"}));
    ct_call_outputs(ctx, op, 1, &x, 1, &attr, 1, &scalar, 2, nullptr);
    EXPECT_TRUE(refused(CT_ERR_ARGUMENT, {"ct_call_outputs", "outputs"}));
    const ct_tensor none = {0}, integers = ctx.leaf(CT_I32, {2}, {1, 2});
    ct_call(ctx, op, 1, &none, 1, &attr, 1, &scalar);
    EXPECT_TRUE(refused(CT_ERR_ARGUMENT, {"test.split", "input 0"}));
    ct_call(ctx, op, 1, &integers, 1, &attr, 1, &scalar);
    EXPECT_TRUE(refused(CT_ERR_DTYPE, {"test.split", "i32"}));
    EXPECT_EQ(ct_call(nullptr, op, 1, &x, 1, &attr, 1, &scalar).bits, 0u);
}

} // namespace

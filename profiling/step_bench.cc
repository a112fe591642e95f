// What a training step costs: replayed, recorded, and op by op. Public calls only; ./dev bench runs it.
//
//   replay/...   a step that is only played, per step, with the epoch that follows from it
//   record/...   the same step recorded each time and found in the cache; the counters take it apart
//   kernel/...   single ops: recording, playing and nothing else
//
// Times are of the wall clock, counters in seconds. `recorded_ops` counts the records of a step, `calls` the
// calls to the library that made them; `record` is a recorded step less a replayed one, measured in turns,
// and `whole/op` leaves the replay in.
#include "trainer.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

namespace
{

// ---- networks in training ----------------------------------------------------------------------------

const Network kTiny = {{4, 4, 4}, 1, 1, true, false, 7};

void replay_step(benchmark::State &state, const Network *network)
{
    Trainer trainer(*network);
    while (state.KeepRunningBatch(kTurn)) trainer.replay(kTurn);
    const double steps = static_cast<double>(network->examples / network->batch);
    using benchmark::Counter;
    state.counters["samples/s"] = Counter(static_cast<double>(network->batch), Counter::kIsIterationInvariantRate);
    state.counters["epoch"] = Counter(1 / steps, Counter::kIsIterationInvariantRate | Counter::kInvert);
    state.counters["nodes"] = static_cast<double>(trainer.stats().nodes);
}

double median(std::vector<double> values)
{
    auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

// Turns of recorded steps, which are timed, each followed by as many replayed ones, which are not. The
// counters come from the medians of both, so that a disturbed turn does not count.
void take_turns(benchmark::State &state, double ops, double calls, const std::function<void()> &step,
                const std::function<void()> &replay_turn)
{
    std::vector<double> recorded, replayed;
    while (state.KeepRunningBatch(kTurn)) {
        double start = now();
        for (int i = 0; i < kTurn; i++) step();
        recorded.push_back((now() - start) / kTurn);
        state.PauseTiming();
        start = now();
        replay_turn();
        replayed.push_back((now() - start) / kTurn);
        state.ResumeTiming();
    }
    const double whole = median(recorded), replay = median(replayed);
    state.counters["recorded_ops"] = ops;
    state.counters["calls"] = calls;
    state.counters["replay"] = replay;
    state.counters["record"] = whole - replay;
    state.counters["record/op"] = (whole - replay) / ops;
    state.counters["record/call"] = (whole - replay) / calls;
    state.counters["whole/op"] = whole / ops;
}

void record_step(benchmark::State &state, const Network *network)
{
    Trainer trainer(*network);
    const double ops = static_cast<double>(trainer.recorded());
    take_turns(
        state, ops, network->calls, [&] { trainer.step(); }, [&] { trainer.replay(kTurn); });
}

// Ten ops on one element: nine forward and the assignment that keeps the last.
void record_chain(benchmark::State &state)
{
    ct_context *ctx = open_context(CT_DEVICE_AUTO);
    ct_tensor x = ct_full(ctx, CT_F32, 0, nullptr, 0.5), out = ct_full(ctx, CT_F32, 0, nullptr, 0);
    auto step = [&] {
        ct_tensor h = x;
        for (int i = 0; i < 3; i++) h = ct_relu(ctx, ct_mul(ctx, ct_add(ctx, h, x), x));
        ct_assign(ctx, out, h);
        if (ct_step_end(ctx) != CT_OK) give_up(ctx);
    };
    for (int i = 0; i < 3; i++) step();
    take_turns(state, 10, 11, step, [&] {
        if (ct_replay(ctx, kTurn) != CT_OK || ct_synchronize(ctx) != CT_OK) give_up(ctx);
    });
    ct_destroy(ctx);
}

// ---- single ops ----------------------------------------------------------------------------------------

// A step of one op on fresh leaves. `flops` and `bytes` are what the op does, for the rates.
void one_op(benchmark::State &state, const std::vector<std::vector<int64_t>> &shapes, double flops, double bytes,
            const std::function<ct_tensor(ct_context *, const ct_tensor *)> &op)
{
    ct_context *ctx = open_context(CT_DEVICE_AUTO);
    std::vector<ct_tensor> leaves;
    for (const auto &shape : shapes) {
        ct_tensor leaf = ct_leaf(ctx, CT_F32, static_cast<int>(shape.size()), shape.data(), nullptr);
        ct_assign(ctx, leaf, ct_randn(ctx, CT_F32, static_cast<int>(shape.size()), shape.data()));
        leaves.push_back(leaf);
    }
    ct_step_end(ctx);
    auto step = [&] {
        op(ctx, leaves.data());
        // The flush keeps the result, which a step's end alone would find to be of no use to anybody.
        if (ct_flush(ctx) != CT_OK || ct_synchronize(ctx) != CT_OK || ct_step_end(ctx) != CT_OK) give_up(ctx);
    };
    for (int i = 0; i < 3; i++) step();
    ct_expect_cached(ctx, true);
    for (auto _ : state) step();
    using benchmark::Counter;
    if (flops > 0) state.counters["FLOP/s"] = Counter(flops, Counter::kIsIterationInvariantRate);
    if (bytes > 0) state.counters["B/s"] = Counter(bytes, Counter::kIsIterationInvariantRate);
    ct_destroy(ctx);
}

using Unary = ct_tensor (*)(ct_context *, ct_tensor);

void unary(benchmark::State &state, Unary op)
{
    const int64_t n = state.range(0);
    one_op(state, {{n}}, 0, 8.0 * static_cast<double>(n),
           [=](ct_context *ctx, const ct_tensor *in) { return op(ctx, in[0]); });
}

void add(benchmark::State &state)
{
    const int64_t n = state.range(0);
    one_op(state, {{n}, {n}}, 0, 12.0 * static_cast<double>(n),
           [](ct_context *ctx, const ct_tensor *in) { return ct_add(ctx, in[0], in[1]); });
}

void matmul(benchmark::State &state)
{
    const int64_t m = state.range(0), k = state.range(1), n = state.range(2);
    one_op(state, {{m, k}, {k, n}}, 2.0 * static_cast<double>(m * k * n), 0,
           [](ct_context *ctx, const ct_tensor *in) { return ct_matmul(ctx, in[0], in[1]); });
}

void linear(benchmark::State &state)
{
    const int64_t m = state.range(0), k = state.range(1), n = state.range(2);
    one_op(state, {{m, k}, {n, k}, {n}}, 2.0 * static_cast<double>(m * k * n), 0,
           [](ct_context *ctx, const ct_tensor *in) { return ct_linear(ctx, in[0], in[1], in[2], CT_ACT_RELU); });
}

// Over all elements, along rows or along columns, as dim is -1, 1 or 0.
void sum(benchmark::State &state, int dim)
{
    const int64_t rows = state.range(0), columns = state.range(1);
    one_op(state, {{rows, columns}}, 0, 4.0 * static_cast<double>(rows * columns),
           [=](ct_context *ctx, const ct_tensor *in) { return ct_sum(ctx, in[0], dim < 0 ? 0 : 1, &dim, false); });
}

void softmax(benchmark::State &state)
{
    const int64_t rows = state.range(0), columns = state.range(1);
    one_op(state, {{rows, columns}}, 0, 8.0 * static_cast<double>(rows * columns),
           [](ct_context *ctx, const ct_tensor *in) { return ct_softmax(ctx, in[0], -1); });
}

// One Adam update of one tensor: reads weight, gradient and two moments, writes all but the gradient.
void adam(benchmark::State &state)
{
    const int64_t n = state.range(0);
    ct_context *ctx = open_context(CT_DEVICE_AUTO);
    ct_tensor w = ct_full(ctx, CT_F32, 1, &n, 1.0);
    ct_set_requires_grad(ctx, w, true);
    ct_params *params = nullptr;
    ct_optimizer *optimizer = nullptr;
    if (ct_params_create(ctx, &params) != CT_OK || ct_params_add(params, "w", w) != CT_OK ||
        ct_adam_create(ctx, params, nullptr, &optimizer) != CT_OK)
        give_up(ctx);
    ct_backward(ctx, ct_sum(ctx, ct_square(ctx, w), 0, nullptr, false));
    ct_step_end(ctx);
    ct_optimizer_step(optimizer);
    if (ct_step_end(ctx) != CT_OK) give_up(ctx);
    for (auto _ : state)
        if (ct_replay(ctx, 1) != CT_OK || ct_synchronize(ctx) != CT_OK) give_up(ctx);
    state.counters["B/s"] =
        benchmark::Counter(28.0 * static_cast<double>(n), benchmark::Counter::kIsIterationInvariantRate);
    ct_optimizer_destroy(optimizer);
    ct_params_destroy(params);
    ct_destroy(ctx);
}

void register_all()
{
    using benchmark::RegisterBenchmark;
    const auto us = benchmark::kMicrosecond;
    RegisterBenchmark("replay/784-128-10", replay_step, &kFashion)->UseRealTime()->Unit(us);
    RegisterBenchmark("replay/32-64-64-1", replay_step, &kTabular)->UseRealTime()->Unit(us);
    RegisterBenchmark("record/784-128-10", record_step, &kFashion)->UseRealTime()->Unit(us);
    RegisterBenchmark("record/32-64-64-1", record_step, &kTabular)->UseRealTime()->Unit(us);
    RegisterBenchmark("record/4-4-4", record_step, &kTiny)->UseRealTime()->Unit(us);
    RegisterBenchmark("record/chain", record_chain)->UseRealTime()->Unit(us);

    const struct {
        const char *name;
        Unary op;
    } unaries[] = {{"relu", ct_relu}, {"exp", ct_exp}, {"tanh", ct_tanh}, {"sigmoid", ct_sigmoid}};
    const std::vector<int64_t> sizes = {1 << 13, 1 << 17, 1 << 21};
    for (int64_t n : sizes) {
        RegisterBenchmark("kernel/add", add)->Arg(n)->UseRealTime()->Unit(us);
        for (const auto &u : unaries)
            RegisterBenchmark((std::string("kernel/") + u.name).c_str(), unary, u.op)->Arg(n)->UseRealTime()->Unit(us);
    }
    for (const auto &s :
         std::vector<std::vector<int64_t>>{{64, 784, 128}, {64, 128, 10}, {256, 64, 64}, {512, 512, 512}}) {
        RegisterBenchmark("kernel/matmul", matmul)->Args(s)->UseRealTime()->Unit(us);
        RegisterBenchmark("kernel/linear_relu", linear)->Args(s)->UseRealTime()->Unit(us);
    }
    for (const auto &s : std::vector<std::vector<int64_t>>{{64, 128}, {1024, 1024}}) {
        RegisterBenchmark("kernel/sum_all", sum, -1)->Args(s)->UseRealTime()->Unit(us);
        RegisterBenchmark("kernel/sum_rows", sum, 1)->Args(s)->UseRealTime()->Unit(us);
        RegisterBenchmark("kernel/sum_columns", sum, 0)->Args(s)->UseRealTime()->Unit(us);
        RegisterBenchmark("kernel/softmax", softmax)->Args(s)->UseRealTime()->Unit(us);
    }
    for (int64_t n : {101770, 1 << 20}) RegisterBenchmark("kernel/adam", adam)->Arg(n)->UseRealTime()->Unit(us);
}

} // namespace

int main(int argc, char **argv)
{
    register_all();
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
}

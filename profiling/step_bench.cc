// What a training step costs: replayed, recorded, and op by op. Public calls only; ./dev bench runs it.
//
//   replay/...   a step that is only played, per step, with the epoch that follows from it
//   record/...   the same step recorded each time and found in the cache; the counters take it apart
//   kernel/...   single ops: recording, playing and nothing else
//
// Times are of the wall clock, counters in seconds. `recorded_ops` counts the records of a step, `calls` the
// calls to the library that made them; `record` is a recorded step less a replayed one, measured in turns,
// and `whole/op` leaves the replay in.
#include <cutape/cutape.h>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <vector>

namespace
{

constexpr int kTurn = 100; // steps between two readings of the clock

double now() // in seconds
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void quiet(void *, const char *) {}

[[noreturn]] void give_up(ct_context *ctx)
{
    std::fprintf(stderr, "step_bench: %s\n", ct_error_message(ctx));
    std::exit(1);
}

// A context with CUTAPE_BENCH_THREADS threads, or as many as the runtime chooses.
ct_context *open_context()
{
    ct_config config = {};
    config.seed = 1;
    config.log = quiet;
    const char *threads = std::getenv("CUTAPE_BENCH_THREADS");
    config.cpu_threads = threads ? std::atoi(threads) : 0;
    ct_context *ctx = nullptr;
    if (ct_create(&config, &ctx) != CT_OK) give_up(ctx);
    return ctx;
}

// ---- networks in training ----------------------------------------------------------------------------

struct Network {
    std::vector<int64_t> widths;
    int64_t batch, examples;
    bool classes;     // cross-entropy on bytes and labels; else mean squared error on floats
    bool with_loader; // else one batch, in leaves
    int calls;        // to the library, in one recorded step
};

const Network kFashion = {{784, 128, 10}, 64, 60000, true, true, 8};
const Network kTabular = {{32, 64, 64, 1}, 256, 65536, false, true, 8};
const Network kTiny = {{4, 4, 4}, 1, 1, true, false, 7};

class Trainer
{
  public:
    explicit Trainer(const Network &network) : network_(network), ctx_(open_context())
    {
        if (network.with_loader)
            make_loader();
        else
            make_leaves();
        ct_mlp_config mlp = {};
        mlp.n_layers = static_cast<int32_t>(network.widths.size()) - 1;
        mlp.widths = network.widths.data();
        mlp.activation = CT_ACT_RELU;
        ct_mlp_create(ctx_, &mlp, &mlp_);
        ct_adam_create(ctx_, ct_mlp_params(mlp_), nullptr, &adam_);
        const int64_t ring = 1024;
        losses_ = ct_leaf(ctx_, CT_F32, 1, &ring, nullptr);
        for (int i = 0; i < 3; i++) step();
        replay(kTurn);
        ct_expect_cached(ctx_, true);
    }

    Trainer(const Trainer &) = delete;
    Trainer &operator=(const Trainer &) = delete;

    ~Trainer()
    {
        ct_optimizer_destroy(adam_);
        ct_mlp_destroy(mlp_);
        ct_loader_destroy(loader_);
        ct_dataset_destroy(data_);
        ct_destroy(ctx_);
    }

    // Network::calls counts these: next, forward, loss, zero_grad, backward, step, append and step_end.
    void step()
    {
        record();
        if (ct_step_end(ctx_) != CT_OK) give_up(ctx_);
    }

    void replay(int64_t n)
    {
        if (ct_replay(ctx_, n) != CT_OK || ct_synchronize(ctx_) != CT_OK) give_up(ctx_);
    }

    // Records in a step.
    int64_t recorded()
    {
        record();
        ct_stats stats;
        ct_get_stats(ctx_, &stats);
        if (ct_step_end(ctx_) != CT_OK) give_up(ctx_);
        return stats.recorded;
    }

    int64_t nodes()
    {
        ct_stats stats;
        ct_get_stats(ctx_, &stats);
        return stats.nodes;
    }

  private:
    void record()
    {
        ct_tensor x = x_, y = y_;
        if (loader_) ct_loader_next(loader_, &x, &y);
        ct_tensor output = ct_mlp_forward(mlp_, x);
        ct_tensor loss = network_.classes ? ct_cross_entropy(ctx_, output, y, 0.0, -100, CT_REDUCE_MEAN)
                                          : ct_mse_loss(ctx_, output, y, CT_REDUCE_MEAN);
        ct_optimizer_zero_grad(adam_);
        ct_backward(ctx_, loss);
        ct_optimizer_step(adam_);
        ct_append(ctx_, losses_, loss);
    }

    void make_loader()
    {
        std::mt19937 random(1);
        const int64_t n = network_.examples, inputs = network_.widths.front(), outputs = network_.widths.back();
        ct_status status;
        if (network_.classes) {
            std::vector<uint8_t> x(static_cast<size_t>(n * inputs));
            std::vector<int32_t> y(static_cast<size_t>(n));
            for (auto &v : x) v = static_cast<uint8_t>(random());
            for (auto &v : y) v = static_cast<int32_t>(random() % static_cast<uint32_t>(outputs));
            status = ct_dataset_create(ctx_, n, CT_U8, 1, &inputs, x.data(), CT_I32, 0, nullptr, y.data(), &data_);
        } else {
            std::vector<float> x(static_cast<size_t>(n * inputs)), y(static_cast<size_t>(n * outputs));
            std::normal_distribution<float> normal;
            for (auto &v : x) v = normal(random);
            for (auto &v : y) v = normal(random);
            status = ct_dataset_create(ctx_, n, CT_F32, 1, &inputs, x.data(), CT_F32, 1, &outputs, y.data(), &data_);
        }
        ct_loader_config config = {};
        config.batch = network_.batch;
        config.shuffle = config.drop_last = true;
        if (status != CT_OK || ct_loader_create(data_, &config, &loader_) != CT_OK) give_up(ctx_);
    }

    void make_leaves()
    {
        const int64_t x_shape[] = {network_.batch, network_.widths.front()};
        x_ = ct_full(ctx_, CT_F32, 2, x_shape, 0.5);
        y_ = ct_leaf(ctx_, CT_I32, 1, x_shape, nullptr);
    }

    const Network &network_;
    ct_context *ctx_;
    ct_dataset *data_ = nullptr;
    ct_loader *loader_ = nullptr;
    ct_mlp *mlp_ = nullptr;
    ct_optimizer *adam_ = nullptr;
    ct_tensor x_ = {}, y_ = {}, losses_ = {};
};

void replay_step(benchmark::State &state, const Network *network)
{
    Trainer trainer(*network);
    while (state.KeepRunningBatch(kTurn)) trainer.replay(kTurn);
    const double steps = static_cast<double>(network->examples / network->batch);
    using benchmark::Counter;
    state.counters["samples/s"] = Counter(static_cast<double>(network->batch), Counter::kIsIterationInvariantRate);
    state.counters["epoch"] = Counter(1 / steps, Counter::kIsIterationInvariantRate | Counter::kInvert);
    state.counters["nodes"] = static_cast<double>(trainer.nodes());
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
    ct_context *ctx = open_context();
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
    ct_context *ctx = open_context();
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
    ct_context *ctx = open_context();
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

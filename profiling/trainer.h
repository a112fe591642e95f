// A network in training, for the benchmarks: made of public calls only, on random data, with Adam.
#ifndef CUTAPE_PROFILING_TRAINER_H
#define CUTAPE_PROFILING_TRAINER_H

#include <cutape/cutape.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

constexpr int kTurn = 100; // steps between two readings of the clock

inline double now() // in seconds
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

[[noreturn]] inline void give_up(ct_context *ctx)
{
    std::fprintf(stderr, "%s\n", ct_error_message(ctx));
    std::exit(1);
}

// A context with CUTAPE_BENCH_THREADS threads, or as many as the runtime chooses.
inline ct_context *open_context(int32_t device)
{
    ct_config config = {};
    config.device = device;
    config.seed = 1;
    config.log = [](void *, const char *) {};
    const char *threads = std::getenv("CUTAPE_BENCH_THREADS");
    config.cpu_threads = threads ? std::atoi(threads) : 0;
    ct_context *ctx = nullptr;
    if (ct_create(&config, &ctx) != CT_OK) give_up(ctx);
    return ctx;
}

struct Network {
    std::vector<int64_t> widths;
    int64_t batch, examples;
    bool classes;     // cross-entropy on bytes and labels; else mean squared error on floats
    bool with_loader; // else one batch, in leaves
    int calls;        // to the library, in one recorded step
};

inline const Network kFashion = {{784, 128, 10}, 64, 60000, true, true, 8};
inline const Network kTabular = {{32, 64, 64, 1}, 256, 65536, false, true, 8};

class Trainer
{
  public:
    explicit Trainer(const Network &network, int32_t device = CT_DEVICE_AUTO)
        : network_(network), ctx_(open_context(device))
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

    // Does not wait.
    void enqueue(int64_t n)
    {
        if (ct_replay(ctx_, n) != CT_OK) give_up(ctx_);
    }

    void wait()
    {
        if (ct_synchronize(ctx_) != CT_OK) give_up(ctx_);
    }

    void replay(int64_t n)
    {
        enqueue(n);
        wait();
    }

    // Records in a step.
    int64_t recorded()
    {
        record();
        const int64_t records = stats().recorded;
        if (ct_step_end(ctx_) != CT_OK) give_up(ctx_);
        return records;
    }

    ct_stats stats()
    {
        ct_stats stats;
        ct_get_stats(ctx_, &stats);
        return stats;
    }

    const char *device() const { return ct_device_name(ctx_); }

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

#endif

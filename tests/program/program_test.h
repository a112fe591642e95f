// What the tests of programs share: bits of tensors, counters, the plan checker as an
// assertion, and a small network with all that a training step has.
#ifndef CUTAPE_TESTS_PROGRAM_TEST_H
#define CUTAPE_TESTS_PROGRAM_TEST_H

#include "program/plan_checker.h"
#include "support/context.h"

#include <cmath>
#include <cstdio>
#include <functional>
#include <random>
#include <string>
#include <vector>

using Bits = std::vector<unsigned char>;

inline Bits bits_of(Context &ctx, ct_tensor x)
{
    const ct_info info = ctx.describe(x);
    Bits bits(static_cast<size_t>(info.numel) * element_bytes(static_cast<ct_dtype>(info.dtype)));
    ctx.check(ct_read(ctx, x, bits.data(), bits.size()), "ct_read");
    return bits;
}

inline ct_stats stats_of(ct_context *ctx)
{
    ct_stats stats;
    EXPECT_EQ(ct_get_stats(ctx, &stats), CT_OK);
    return stats;
}

// For EXPECT_TRUE: every program of the context has a sound plan.
inline ::testing::AssertionResult plans_are_sound(ct_context *ctx)
{
    char why[400] = "";
    if (check_programs(ctx, why, sizeof why) >= 0) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << "a plan is not sound: " << why;
}

// Takes an error that a test expects, and its message.
inline std::string take_error(ct_context *ctx, ct_status expected)
{
    EXPECT_EQ(ct_status_name(ct_error(ctx)), std::string(ct_status_name(expected)));
    const std::string message = ct_error_message(ctx);
    ct_clear_error(ctx);
    return message;
}

inline std::vector<double> some_values(size_t n, unsigned seed, double low = -1, double high = 1)
{
    std::mt19937 random(seed);
    std::vector<double> values(n);
    for (double &value : values) value = low + (high - low) * (random() / 4294967296.0);
    return values;
}

inline ct_tensor some_leaf(Context &ctx, const std::vector<int64_t> &shape, unsigned seed, bool grad = false,
                           ct_dtype dtype = CT_F32)
{
    size_t n = 1;
    for (const int64_t size : shape) n *= static_cast<size_t>(size);
    const ct_tensor leaf = ctx.leaf(dtype, shape, some_values(n, seed));
    if (grad) ctx.check(ct_set_requires_grad(ctx, leaf, true), "ct_set_requires_grad");
    return leaf;
}

// Sets an environment variable for the life of the object.
class Environment
{
  public:
    Environment(const char *name, const char *value) : name_(name) { setenv(name, value, 1); }
    ~Environment() { unsetenv(name_); }
    Environment(const Environment &) = delete;
    Environment &operator=(const Environment &) = delete;

  private:
    const char *name_;
};

// A perceptron with loader, dropout, Adam or SGD, clipping and a ring of losses.
struct TrainerOptions {
    std::vector<int64_t> widths = {8, 16, 4};
    int64_t batch = 8, examples = 64;
    double dropout = 0;
    bool adam = true, clip = false, ring = true, regression = false;
    int accumulate = 1; // backward passes before an update
    ct_config config = {};
};

class Trainer
{
  public:
    explicit Trainer(const TrainerOptions &options = {}) : ctx(devices().front(), options.config), options_(options)
    {
        ct_mlp_config mlp = {};
        mlp.n_layers = static_cast<int32_t>(options.widths.size()) - 1;
        mlp.widths = options.widths.data();
        mlp.activation = CT_ACT_RELU;
        mlp.dropout = options.dropout;
        ctx.check(ct_mlp_create(ctx, &mlp, &net), "ct_mlp_create");
        if (options.adam) {
            ctx.check(ct_adam_create(ctx, ct_mlp_params(net), nullptr, &optimizer), "ct_adam_create");
        } else {
            ct_sgd_config sgd;
            ct_sgd_defaults(&sgd);
            sgd.lr = 0.05, sgd.momentum = 0.9;
            ctx.check(ct_sgd_create(ctx, ct_mlp_params(net), &sgd, &optimizer), "ct_sgd_create");
        }
        const int64_t in = options.widths.front(), out = options.widths.back();
        const std::vector<double> values = some_values(static_cast<size_t>(options.examples * in), 1);
        const std::vector<float> x(values.begin(), values.end());
        if (options.regression) {
            const std::vector<double> targets = some_values(static_cast<size_t>(options.examples * out), 2);
            const std::vector<float> y(targets.begin(), targets.end());
            ctx.check(
                ct_dataset_create(ctx, options.examples, CT_F32, 1, &in, x.data(), CT_F32, 1, &out, y.data(), &data),
                "ct_dataset_create");
        } else {
            std::vector<int32_t> y(static_cast<size_t>(options.examples));
            for (size_t i = 0; i < y.size(); i++) y[i] = static_cast<int32_t>(i * 7 % static_cast<size_t>(out));
            ctx.check(
                ct_dataset_create(ctx, options.examples, CT_F32, 1, &in, x.data(), CT_I32, 0, nullptr, y.data(), &data),
                "ct_dataset_create");
        }
        ct_loader_config loading = {};
        loading.batch = options.batch;
        loading.shuffle = true;
        ctx.check(ct_loader_create(data, &loading, &loader), "ct_loader_create");
        const int64_t ring_size = 13;
        if (options.ring) ring = ctx.check(ct_leaf(ctx, CT_F32, 1, &ring_size, nullptr), "ct_leaf");
    }
    ~Trainer()
    {
        ct_loader_destroy(loader);
        ct_dataset_destroy(data);
        ct_optimizer_destroy(optimizer);
        ct_mlp_destroy(net);
    }

    // Records a whole step but for its end.
    ct_tensor record()
    {
        ct_tensor loss = {};
        ctx.check(ct_optimizer_zero_grad(optimizer), "ct_optimizer_zero_grad");
        for (int i = 0; i < options_.accumulate; i++) {
            ct_tensor x, y;
            ctx.check(ct_loader_next(loader, &x, &y), "ct_loader_next");
            const ct_tensor out = ct_mlp_forward(net, x);
            loss = options_.regression ? ct_mse_loss(ctx, out, y, CT_REDUCE_MEAN)
                                       : ct_cross_entropy(ctx, out, y, 0, -100, CT_REDUCE_MEAN);
            if (in_the_middle) in_the_middle(loss);
            ctx.check(ct_backward(ctx, loss), "ct_backward");
        }
        if (after_backward) after_backward(loss);
        if (options_.clip) ctx.check(ct_clip_grad_norm(ct_mlp_params(net), 0.05, nullptr), "ct_clip_grad_norm");
        ctx.check(ct_optimizer_step(optimizer), "ct_optimizer_step");
        if (options_.ring) ctx.check(ct_append(ctx, ring, loss), "ct_append");
        return loss;
    }
    void step(int n = 1)
    {
        for (int i = 0; i < n; i++) {
            const ct_tensor loss = record();
            if (before_end) before_end(loss);
            ctx.end_step();
        }
    }
    // Parameters, their gradients and the ring: all that a step leaves behind and a user can see.
    Bits state()
    {
        Bits all;
        const auto add = [&](ct_tensor x) {
            const Bits bits = bits_of(ctx, x);
            all.insert(all.end(), bits.begin(), bits.end());
        };
        for (size_t i = 0; i + 1 < options_.widths.size(); i++)
            for (const char *part : {"weight", "bias"}) {
                const std::string name = "layers." + std::to_string(i) + "." + part;
                const ct_tensor leaf = ct_params_get(ct_mlp_params(net), name.c_str());
                add(leaf);
                add(ct_grad(ctx, leaf));
            }
        if (options_.ring) add(ring);
        return all;
    }

    Context ctx;
    ct_mlp *net = nullptr;
    ct_optimizer *optimizer = nullptr;
    ct_dataset *data = nullptr;
    ct_loader *loader = nullptr;
    ct_tensor ring = {};
    std::function<void(ct_tensor)> in_the_middle, after_backward, before_end;

  private:
    TrainerOptions options_;
};

#endif

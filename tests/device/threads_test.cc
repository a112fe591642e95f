// Threads: the bits do not depend on how many the CPU device uses, and contexts do not
// know of one another.
#include "support/context.h"

#include <random>
#include <thread>

namespace
{

using Floats = std::vector<float>;

struct Sizes {
    std::vector<int64_t> widths;
    int64_t batch;
    int steps;
};

// Everything a short training leaves behind; empty, and the reason in `error`, if a call failed.
Floats train(const Sizes &sizes, int threads, uint64_t seed, std::string &error)
{
    ct_config config = {};
    config.device = CT_DEVICE_CPU;
    config.cpu_threads = threads;
    config.seed = seed;
    ct_context *ctx;
    if (ct_create(&config, &ctx) != CT_OK) {
        error = "ct_create";
        return {};
    }
    ct_mlp_config net_config = {};
    net_config.n_layers = static_cast<int32_t>(sizes.widths.size()) - 1;
    net_config.widths = sizes.widths.data();
    net_config.activation = CT_ACT_RELU;
    net_config.dropout = 0.1;
    ct_mlp *net = nullptr;
    ct_optimizer *optimizer = nullptr;
    ct_dataset *data = nullptr;
    ct_loader *loader = nullptr;
    const int64_t n = 3 * sizes.batch, in = sizes.widths.front();
    Floats x(static_cast<size_t>(n * in)), all;
    std::vector<int64_t> y(static_cast<size_t>(n));
    std::mt19937 random(static_cast<unsigned>(seed));
    for (float &value : x) value = static_cast<float>(random() / 2147483648.0 - 1);
    for (int64_t &label : y) label = static_cast<int64_t>(random() % static_cast<unsigned>(sizes.widths.back()));
    ct_loader_config loading = {};
    loading.batch = sizes.batch;
    loading.shuffle = true;
    ct_mlp_create(ctx, &net_config, &net);
    ct_adam_create(ctx, ct_mlp_params(net), nullptr, &optimizer);
    ct_dataset_create(ctx, n, CT_F32, 1, &in, x.data(), CT_I64, 0, nullptr, y.data(), &data);
    ct_loader_create(data, &loading, &loader);
    for (int i = 0; i < sizes.steps; i++) {
        ct_tensor bx, by;
        ct_loader_next(loader, &bx, &by);
        ct_optimizer_zero_grad(optimizer);
        const ct_tensor loss = ct_cross_entropy(ctx, ct_mlp_forward(net, bx), by, 0, -100, CT_REDUCE_MEAN);
        ct_backward(ctx, loss);
        ct_clip_grad_norm(ct_mlp_params(net), 1, nullptr);
        ct_optimizer_step(optimizer);
        if (i % 3 == 1) all.push_back(static_cast<float>(ct_item(ctx, loss)));
        ct_step_end(ctx);
        if (i % 3 == 0) ct_replay(ctx, 2);
    }
    for (size_t i = 0; i + 1 < sizes.widths.size(); i++)
        for (const char *part : {"weight", "bias"}) {
            const ct_tensor leaf =
                ct_params_get(ct_mlp_params(net), ("layers." + std::to_string(i) + "." + part).c_str());
            for (const ct_tensor t : {leaf, ct_grad(ctx, leaf)}) {
                ct_info info;
                if (ct_describe(ctx, t, &info) != CT_OK) break;
                const size_t old = all.size();
                all.resize(old + static_cast<size_t>(info.numel));
                ct_read(ctx, t, all.data() + old, static_cast<size_t>(info.numel) * sizeof(float));
            }
        }
    if (ct_error(ctx) != CT_OK) error = ct_error_message(ctx), all.clear();
    ct_loader_destroy(loader);
    ct_dataset_destroy(data);
    ct_optimizer_destroy(optimizer);
    ct_mlp_destroy(net);
    ct_destroy(ctx);
    return all;
}

void expect_same_bits(const Sizes &sizes)
{
    std::string error;
    const Floats expected = train(sizes, 1, 5, error);
    ASSERT_FALSE(expected.empty()) << error;
    for (const int threads : {2, 3, 8, 0}) {
        const Floats found = train(sizes, threads, 5, error);
        ASSERT_EQ(found.size(), expected.size()) << error;
        EXPECT_EQ(std::memcmp(found.data(), expected.data(), found.size() * sizeof(float)), 0) << threads << " threads";
    }
}

TEST(Threads, DigitsNetwork_HasTheSameBitsOnAnyNumber) { expect_same_bits({{784, 128, 10}, 64, 6}); }
TEST(Threads, OddNetwork_HasTheSameBitsOnAnyNumber) { expect_same_bits({{37, 211, 101, 7}, 83, 6}); }
TEST(Threads, WideBatch_HasTheSameBitsOnAnyNumber) { expect_same_bits({{13, 129, 3}, 1027, 4}); }
TEST(Threads, SmallNetwork_HasTheSameBitsOnAnyNumber) { expect_same_bits({{3, 5, 2}, 4, 20}); }

// Elementwise ops, reductions and transposes of sizes that are shared out.
TEST(Threads, LargeTensors_HaveTheSameBitsOnAnyNumber)
{
    Floats expected;
    for (const int threads : {1, 2, 3, 8}) {
        ct_config config = {};
        config.cpu_threads = threads;
        Context ctx(devices().front(), config);
        const int64_t shape[] = {301, 517};
        const ct_tensor x = ct_randn(ctx, CT_F32, 2, shape), y = ct_rand(ctx, CT_F32, 2, shape);
        const ct_tensor z = ct_mul(ctx, ct_tanh(ctx, ct_add(ctx, x, y)), ct_dropout(ctx, y, 0.5));
        const int rows = 0, columns = 1;
        Floats found;
        for (const ct_tensor t :
             {ct_sum(ctx, z, 0, nullptr, false), ct_sum(ctx, z, 1, &rows, false), ct_mean(ctx, z, 1, &columns, false),
              ct_softmax(ctx, z, 0), ct_log_softmax(ctx, z, 1), ct_matmul(ctx, z, ct_transpose(ctx, x, 0, 1))}) {
            const std::vector<double> values = ctx.read(t);
            found.insert(found.end(), values.begin(), values.end());
        }
        ctx.end_step();
        if (threads == 1) expected = found;
        EXPECT_TRUE(found == expected) << threads << " threads";
    }
}

// Each thread has its own context, some with threads of their own; all give what they give alone.
TEST(Threads, ContextsInParallel_DoNotDisturbOneAnother)
{
    const Sizes sizes = {{20, 150, 5}, 70, 6};
    constexpr int n = 6;
    Floats alone[n], together[n];
    std::string errors[n], unused;
    for (int i = 0; i < n; i++) alone[i] = train(sizes, 1 + i % 3, static_cast<uint64_t>(i), unused);
    std::vector<std::thread> threads;
    for (int i = 0; i < n; i++)
        threads.emplace_back([&, i] {
            for (int round = 0; round < 3; round++)
                together[i] = train(sizes, 1 + i % 3, static_cast<uint64_t>(i), errors[i]);
        });
    for (std::thread &thread : threads) thread.join();
    for (int i = 0; i < n; i++) {
        EXPECT_EQ(errors[i], "");
        ASSERT_EQ(together[i].size(), alone[i].size());
        EXPECT_EQ(std::memcmp(together[i].data(), alone[i].data(), alone[i].size() * sizeof(float)), 0)
            << "context " << i;
    }
}

// A context may move from thread to thread, as long as one uses it at a time.
TEST(Threads, AContext_MayBeHandedFromThreadToThread)
{
    Context ctx;
    const ct_tensor x = ctx.leaf(CT_F32, {2}, {1, 2});
    for (int i = 0; i < 8; i++)
        std::thread([&] {
            ct_assign(ctx, x, ct_add_scalar(ctx, x, 1));
            ct_step_end(ctx);
        }).join();
    EXPECT_EQ(ctx.read(x), (std::vector<double>{9, 10}));
}

} // namespace

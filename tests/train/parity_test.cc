// Device against device, in whole: what draws no rounding has equal bits on the device of the run and
// on the CPU (dropout masks, uniforms, normals, shuffles), and a training run follows the same curve.
#include "train/train_test.h"

#include <functional>

namespace
{

const DeviceChoice the_cpu = {"cpu", CT_DEVICE_CPU, ""};

std::vector<DeviceChoice> other_devices()
{
    std::vector<DeviceChoice> found;
    for (const DeviceChoice &device : devices())
        if (device.device != CT_DEVICE_CPU) found.push_back(device);
    return found;
}

class DeviceParity : public ::testing::TestWithParam<DeviceChoice>
{
  protected:
    // What f reads, on the device and on the CPU.
    void expect_same_bits(const std::function<Values(Context &)> &f)
    {
        ct_config config = {};
        config.seed = 11;
        Context here(GetParam(), config), there(the_cpu, config);
        EXPECT_TRUE(same_bits(f(here), f(there)));
    }
};

TEST_P(DeviceParity, RandomNumbers_HaveTheSameBits)
{
    for (const ct_dtype real : {CT_F32, CT_F64})
        for (const int64_t n : {1, 5, 2047, 5003})
            for (const bool normal : {false, true}) {
                SCOPED_TRACE((normal ? "normals " : "uniforms ") + std::to_string(n));
                expect_same_bits([&](Context &ctx) {
                    Values all;
                    for (int step = 0; step < 3; ++step) {
                        const Values one = ctx.read(normal ? ct_randn(ctx, real, 1, &n) : ct_rand(ctx, real, 1, &n));
                        all.insert(all.end(), one.begin(), one.end());
                        ctx.end_step();
                    }
                    return all;
                });
            }
}

TEST_P(DeviceParity, DropoutMasks_HaveTheSameBits)
{
    for (const ct_dtype real : {CT_F32, CT_F64})
        expect_same_bits([&](Context &ctx) {
            const ct_tensor x = ctx.leaf(real, {3, 1001}, Values(3003, 1.0));
            Values all;
            for (const double p : {0.1, 0.5, 0.999}) {
                const Values one = ctx.read(ct_dropout(ctx, x, p));
                all.insert(all.end(), one.begin(), one.end());
            }
            ctx.end_step();
            return all;
        });
}

// Bytes, which become x * scale + shift, and labels of two epochs and a half; the last batch of one is partial.
TEST_P(DeviceParity, ShuffledBatches_HaveTheSameBits)
{
    for (const bool shuffle : {false, true})
        expect_same_bits([&](Context &ctx) {
            std::vector<uint8_t> x(37 * 21);
            std::vector<int32_t> y(37);
            for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<uint8_t>(i * 7);
            for (size_t i = 0; i < y.size(); ++i) y[i] = static_cast<int32_t>(i);
            const int64_t width = 21;
            ct_dataset *raw = nullptr;
            ctx.check(ct_dataset_create(ctx, 37, CT_U8, 1, &width, x.data(), CT_I32, 0, nullptr, y.data(), &raw),
                      "ct_dataset_create");
            const Dataset data(raw);
            ct_loader_config config = {};
            config.batch = 8;
            config.shuffle = shuffle;
            const Loader loader = make_loader(ctx, data, config);
            Values all;
            for (int step = 0; step < 12; ++step) {
                ct_tensor tx, ty;
                ctx.check(ct_loader_next(loader.get(), &tx, &ty), "ct_loader_next");
                for (const ct_tensor t : {tx, ty}) {
                    const Values one = ctx.read(t);
                    all.insert(all.end(), one.begin(), one.end());
                }
                ctx.end_step();
            }
            return all;
        });
}

// A 20-33-17-7 network with dropout on shuffled rows, clipped and trained by AdamW: 200 steps, replayed in part.
Values losses_on(const DeviceChoice &device)
{
    ct_config config = {};
    config.seed = 3;
    Context ctx(device, config);
    ct_mlp_config mlp_config = {};
    mlp_config.activation = CT_ACT_TANH;
    mlp_config.dropout = 0.1;
    const Mlp mlp = make_mlp(ctx, {20, 33, 17, 7}, mlp_config);
    ct_adam_config adam_config;
    ct_adamw_defaults(&adam_config);
    const Optimizer adam = make_adam(ctx, mlp, &adam_config);
    const Dataset data = make_dataset(ctx, 20, Stream(5).draw(160 * 20), Stream(6).classes(160, 7));
    ct_loader_config loader_config = {};
    loader_config.batch = 32;
    loader_config.shuffle = true;
    const Loader loader = make_loader(ctx, data, loader_config);
    const ct_tensor ring = ctx.leaf(CT_F32, {200}, Values(200));
    for (int step = 0; step < 200;) {
        ct_tensor tx, ty;
        ctx.check(ct_loader_next(loader.get(), &tx, &ty), "ct_loader_next");
        const ct_tensor loss = ct_cross_entropy(ctx, ct_mlp_forward(mlp.get(), tx), ty, 0.1, -100, CT_REDUCE_MEAN);
        ctx.check(ct_append(ctx, ring, loss), "ct_append");
        ctx.check(ct_optimizer_zero_grad(adam.get()), "ct_optimizer_zero_grad");
        ctx.check(ct_backward(ctx, loss), "ct_backward");
        ctx.check(ct_clip_grad_norm(ct_mlp_params(mlp.get()), 0.5, nullptr), "ct_clip_grad_norm");
        ctx.check(ct_optimizer_step(adam.get()), "ct_optimizer_step");
        ctx.end_step();
        ++step;
        const int replays = step % 5 == 0 ? std::min(15, 200 - step) : 0;
        if (replays) ctx.check(ct_replay(ctx, replays), "ct_replay");
        step += replays;
    }
    return ctx.read(ring);
}

TEST_P(DeviceParity, TrainingFor200Steps_FollowsTheSameCurve)
{
    const Values here = losses_on(GetParam()), there = losses_on(the_cpu);
    EXPECT_LT(there.back(), there.front());
    EXPECT_TRUE(all_close(here, there, {1e-4, 1e-4}));
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DeviceParity);
INSTANTIATE_TEST_SUITE_P(Devices, DeviceParity, ::testing::ValuesIn(other_devices()),
                         [](const auto &info) { return info.param.name; });

} // namespace

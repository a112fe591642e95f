// A small training that uses a bit of everything: loader, perceptron with dropout,
// cross-entropy, clipping, Adam. For tests that run the same thing under different
// circumstances. Nothing here throws; every call says whether it succeeded.
#ifndef CUTAPE_TESTS_TRAINING_H
#define CUTAPE_TESTS_TRAINING_H

#include <cutape/cutape.h>

#include <cstdint>
#include <vector>

class Training
{
  public:
    Training() = default;
    ~Training() { destroy(); }
    Training(const Training &) = delete;
    Training &operator=(const Training &) = delete;

    bool create(ct_context *ctx)
    {
        ctx_ = ctx;
        std::vector<float> x(rows * 3);
        std::vector<int32_t> y(rows);
        for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i * 7 % 11) / 5 - 1;
        for (size_t i = 0; i < y.size(); ++i) y[i] = static_cast<int32_t>(i % 2);
        const int64_t x_shape[] = {3}, widths[] = {3, 5, 2};
        ct_mlp_config network = {};
        network.n_layers = 2;
        network.widths = widths;
        network.activation = CT_ACT_TANH;
        network.dropout = 0.25;
        ct_loader_config batches = {};
        batches.batch = 4;
        batches.shuffle = batches.drop_last = true;
        return ct_mlp_create(ctx, &network, &mlp) == CT_OK &&
               ct_adam_create(ctx, ct_mlp_params(mlp), nullptr, &optimizer) == CT_OK &&
               ct_dataset_create(ctx, rows, CT_F32, 1, x_shape, x.data(), CT_I32, 0, nullptr, y.data(), &data) ==
                   CT_OK &&
               ct_loader_create(data, &batches, &loader) == CT_OK;
    }
    // Records and plays one step: one segment.
    bool step()
    {
        ct_tensor x, y;
        ct_loader_next(loader, &x, &y);
        const ct_tensor loss = ct_cross_entropy(ctx_, ct_mlp_forward(mlp, x), y, 0.1, -100, CT_REDUCE_MEAN);
        ct_optimizer_zero_grad(optimizer);
        ct_backward(ctx_, loss);
        ct_clip_grad_norm(ct_mlp_params(mlp), 0.5, nullptr);
        ct_optimizer_step(optimizer);
        return ct_step_end(ctx_) == CT_OK;
    }
    // All weights, one after the other; empty on an error.
    std::vector<float> weights() const
    {
        std::vector<float> all;
        for (const char *name : {"layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"}) {
            ct_info info;
            const ct_tensor leaf = ct_params_get(ct_mlp_params(mlp), name);
            if (ct_describe(ctx_, leaf, &info) != CT_OK) return {};
            const size_t old = all.size();
            all.resize(old + static_cast<size_t>(info.numel));
            if (ct_read(ctx_, leaf, all.data() + old, static_cast<size_t>(info.numel) * sizeof(float)) != CT_OK)
                return {};
        }
        return all;
    }
    void destroy()
    {
        ct_loader_destroy(loader);
        ct_dataset_destroy(data);
        ct_optimizer_destroy(optimizer);
        ct_mlp_destroy(mlp);
        loader = nullptr, data = nullptr, optimizer = nullptr, mlp = nullptr;
    }

    ct_mlp *mlp = nullptr;
    ct_dataset *data = nullptr;
    ct_loader *loader = nullptr;
    ct_optimizer *optimizer = nullptr;

  private:
    static constexpr int64_t rows = 10;
    ct_context *ctx_ = nullptr;
};

#endif

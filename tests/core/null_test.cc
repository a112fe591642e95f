// Every public function takes NULL for its context or object, and for what it
// would write to, without a crash; what returns a status returns no CT_OK.
#include "support/context.h"

#include <cmath>

namespace
{

const ct_tensor some = {1};
const int64_t shape[] = {2};

TEST(Null, AsContextGivesNoTensor)
{
    ct_tensor (*const unary[])(ct_context *, ct_tensor) = {
        ct_neg, ct_abs, ct_exp,  ct_expm1,   ct_log,  ct_log1p, ct_sqrt,     ct_rsqrt, ct_square, ct_reciprocal,
        ct_sin, ct_cos, ct_tanh, ct_sigmoid, ct_relu, ct_silu,  ct_softplus, ct_sign,  ct_detach, ct_grad};
    for (const auto op : unary) EXPECT_EQ(op(nullptr, some).bits, 0u);
    ct_tensor (*const binary[])(ct_context *, ct_tensor,
                                ct_tensor) = {ct_add, ct_sub, ct_mul, ct_div, ct_pow, ct_maximum, ct_minimum,
                                              ct_gt,  ct_ge,  ct_lt,  ct_le,  ct_eq,  ct_matmul,  ct_embedding};
    for (const auto op : binary) EXPECT_EQ(op(nullptr, some, some).bits, 0u);
    ct_tensor (*const with_scalar[])(ct_context *, ct_tensor, double) = {ct_add_scalar, ct_mul_scalar, ct_pow_scalar,
                                                                         ct_leaky_relu, ct_elu,        ct_dropout};
    for (const auto op : with_scalar) EXPECT_EQ(op(nullptr, some, 0.5).bits, 0u);
    ct_tensor (*const along_dim[])(ct_context *, ct_tensor, int) = {ct_argmax, ct_softmax, ct_log_softmax};
    for (const auto op : along_dim) EXPECT_EQ(op(nullptr, some, 0).bits, 0u);
    ct_tensor (*const reduction[])(ct_context *, ct_tensor, int, const int *, bool) = {ct_sum, ct_mean, ct_amax,
                                                                                       ct_amin, ct_logsumexp};
    for (const auto op : reduction) EXPECT_EQ(op(nullptr, some, 0, nullptr, false).bits, 0u);
    ct_tensor (*const loss[])(ct_context *, ct_tensor, ct_tensor, ct_reduction) = {ct_mse_loss, ct_l1_loss,
                                                                                   ct_bce_with_logits};
    for (const auto op : loss) EXPECT_EQ(op(nullptr, some, some, CT_REDUCE_MEAN).bits, 0u);
    ct_tensor (*const shaped[])(ct_context *, ct_tensor, int, const int64_t *) = {ct_reshape, ct_expand};
    for (const auto op : shaped) EXPECT_EQ(op(nullptr, some, 1, shape).bits, 0u);
    ct_tensor (*const drawn[])(ct_context *, ct_dtype, int, const int64_t *) = {ct_rand, ct_randn};
    for (const auto op : drawn) EXPECT_EQ(op(nullptr, CT_F32, 1, shape).bits, 0u);
    EXPECT_EQ(ct_gelu(nullptr, some, true).bits, 0u);
    EXPECT_EQ(ct_clamp(nullptr, some, 0, 1).bits, 0u);
    EXPECT_EQ(ct_cast(nullptr, some, CT_F64).bits, 0u);
    EXPECT_EQ(ct_where(nullptr, some, some, some).bits, 0u);
    EXPECT_EQ(ct_var(nullptr, some, 0, nullptr, false, 1).bits, 0u);
    EXPECT_EQ(ct_linear(nullptr, some, some, some, CT_ACT_RELU).bits, 0u);
    EXPECT_EQ(ct_transpose(nullptr, some, 0, 1).bits, 0u);
    EXPECT_EQ(ct_slice(nullptr, some, 0, 0, 1).bits, 0u);
    EXPECT_EQ(ct_concat(nullptr, 1, &some, 0).bits, 0u);
    EXPECT_EQ(ct_layer_norm(nullptr, some, some, some, 1e-5).bits, 0u);
    EXPECT_EQ(ct_batch_norm(nullptr, some, some, some, some, some, 0.1, 1e-5).bits, 0u);
    EXPECT_EQ(ct_huber_loss(nullptr, some, some, 1, CT_REDUCE_MEAN).bits, 0u);
    EXPECT_EQ(ct_cross_entropy(nullptr, some, some, 0, -100, CT_REDUCE_MEAN).bits, 0u);
    EXPECT_EQ(ct_call(nullptr, {1}, 1, &some, 0, nullptr, 0, nullptr).bits, 0u);
    float memory[2];
    EXPECT_EQ(ct_leaf(nullptr, CT_F32, 1, shape, nullptr).bits, 0u);
    EXPECT_EQ(ct_full(nullptr, CT_F32, 1, shape, 1).bits, 0u);
    EXPECT_EQ(ct_wrap(nullptr, CT_F32, 1, shape, memory).bits, 0u);
}

TEST(Null, AsContextIsAnError)
{
    void *memory;
    ct_info info;
    ct_stats stats;
    ct_tensor g;
    ct_params *params;
    ct_mlp *mlp;
    ct_mlp_config network = {};
    ct_optimizer *optimizer;
    ct_dataset *data;
    ct_checkpoint checkpoint = {};
    const float x[2] = {};
    EXPECT_NE(ct_error(nullptr), CT_OK);
    EXPECT_NE(ct_describe(nullptr, some, &info), CT_OK);
    EXPECT_NE(ct_set_name(nullptr, some, "x"), CT_OK);
    EXPECT_NE(ct_write(nullptr, some, x, 8), CT_OK);
    EXPECT_NE(ct_read(nullptr, some, &memory, 8), CT_OK);
    EXPECT_TRUE(std::isnan(ct_item(nullptr, some)));
    EXPECT_NE(ct_print(nullptr, some, "x"), CT_OK);
    EXPECT_NE(ct_data(nullptr, some, &memory), CT_OK);
    EXPECT_NE(ct_mark_written(nullptr, some), CT_OK);
    EXPECT_NE(ct_flush(nullptr), CT_OK);
    EXPECT_NE(ct_step_end(nullptr), CT_OK);
    EXPECT_NE(ct_replay(nullptr, 1), CT_OK);
    EXPECT_NE(ct_synchronize(nullptr), CT_OK);
    EXPECT_NE(ct_get_stats(nullptr, &stats), CT_OK);
    EXPECT_NE(ct_tape_to_dot(nullptr, "x.dot"), CT_OK);
    EXPECT_NE(ct_tape_print(nullptr, "x.txt"), CT_OK);
    EXPECT_NE(ct_set_requires_grad(nullptr, some, true), CT_OK);
    EXPECT_NE(ct_zero_grad(nullptr, some), CT_OK);
    EXPECT_NE(ct_backward(nullptr, some), CT_OK);
    EXPECT_NE(ct_backward_from(nullptr, 1, &some, nullptr, 0), CT_OK);
    EXPECT_NE(ct_gradients(nullptr, 1, &some, nullptr, 1, &some, &g, 0), CT_OK);
    EXPECT_NE(ct_jvp(nullptr, 1, &some, &some, 1, &some, &g), CT_OK);
    EXPECT_NE(ct_gradcheck(
                  nullptr, [](ct_context *, int, const ct_tensor *in, void *) { return in[0]; }, nullptr, 1, &some,
                  1e-6, 1e-7, 1e-5),
              CT_OK);
    EXPECT_NE(ct_on_gradient(nullptr, some, nullptr, nullptr), CT_OK);
    EXPECT_NE(ct_assign(nullptr, some, some), CT_OK);
    EXPECT_NE(ct_accumulate(nullptr, some, some), CT_OK);
    EXPECT_NE(ct_append(nullptr, some, some), CT_OK);
    EXPECT_NE(ct_params_create(nullptr, &params), CT_OK);
    EXPECT_NE(ct_mlp_create(nullptr, &network, &mlp), CT_OK);
    EXPECT_NE(ct_sgd_create(nullptr, nullptr, nullptr, &optimizer), CT_OK);
    EXPECT_NE(ct_adam_create(nullptr, nullptr, nullptr, &optimizer), CT_OK);
    EXPECT_NE(ct_dataset_create(nullptr, 2, CT_F32, 0, nullptr, x, CT_F32, 0, nullptr, x, &data), CT_OK);
    EXPECT_NE(ct_dataset_load_idx(nullptr, "x", "y", &data), CT_OK);
    EXPECT_NE(ct_dataset_load_csv(nullptr, "x", 0, false, &data), CT_OK);
    EXPECT_NE(ct_checkpoint_save(nullptr, &checkpoint, "x"), CT_OK);
    EXPECT_NE(ct_checkpoint_load(nullptr, &checkpoint, "x"), CT_OK);
    EXPECT_NE(ct_profile_begin(nullptr), CT_OK);
    EXPECT_NE(ct_profile_end(nullptr), CT_OK);
    EXPECT_NE(ct_profile_table(nullptr, nullptr), CT_OK);
    EXPECT_NE(ct_profile_trace(nullptr, "x"), CT_OK);
}

TEST(Null, AsContextOfACallWithoutAStatusDoesNothing)
{
    ct_destroy(nullptr);
    ct_clear_error(nullptr);
    ct_set_training(nullptr, true);
    EXPECT_FALSE(ct_is_training(nullptr));
    ct_release(nullptr, some);
    ct_expect_cached(nullptr, true);
    ct_no_grad_begin(nullptr);
    ct_no_grad_end(nullptr);
    EXPECT_EQ(ct_stream(nullptr), nullptr);
    EXPECT_NE(ct_device_name(nullptr), nullptr);
    EXPECT_STREQ(ct_error_message(nullptr), "");
}

TEST(Null, AsObjectIsAnError)
{
    ct_tensor x = {1}, y = {1};
    ct_loader *loader;
    ct_loader_config config = {};
    EXPECT_NE(ct_params_add(nullptr, "w", some), CT_OK);
    EXPECT_EQ(ct_params_count(nullptr), 0);
    EXPECT_EQ(ct_params_get(nullptr, "w").bits, 0u);
    EXPECT_NE(ct_params_save(nullptr, "x"), CT_OK);
    EXPECT_NE(ct_params_load(nullptr, "x"), CT_OK);
    EXPECT_EQ(ct_mlp_forward(nullptr, some).bits, 0u);
    EXPECT_EQ(ct_mlp_params(nullptr), nullptr);
    EXPECT_NE(ct_optimizer_step(nullptr), CT_OK);
    EXPECT_NE(ct_optimizer_zero_grad(nullptr), CT_OK);
    EXPECT_NE(ct_optimizer_set_lr(nullptr, 1), CT_OK);
    EXPECT_TRUE(std::isnan(ct_optimizer_get_lr(nullptr)));
    EXPECT_NE(ct_clip_grad_norm(nullptr, 1, nullptr), CT_OK);
    EXPECT_EQ(ct_dataset_size(nullptr), 0);
    EXPECT_NE(ct_loader_create(nullptr, &config, &loader), CT_OK);
    EXPECT_NE(ct_loader_next(nullptr, &x, &y), CT_OK);
    EXPECT_EQ(x.bits, 0u);
    EXPECT_EQ(y.bits, 0u);
    EXPECT_EQ(ct_loader_batches(nullptr), 0);
    ct_params_destroy(nullptr);
    ct_mlp_destroy(nullptr);
    ct_optimizer_destroy(nullptr);
    ct_dataset_destroy(nullptr);
    ct_loader_destroy(nullptr);
    ct_sgd_defaults(nullptr);
    ct_adam_defaults(nullptr);
    ct_adamw_defaults(nullptr);
}

TEST(Null, AsArgumentIsAnError)
{
    Context ctx;
    const ct_tensor x = ctx.leaf(CT_F32, {2}, {1, 2});
    const float data[2] = {};
    ct_tensor g = {1};
    ct_params *params = nullptr;
    ct_mlp *mlp = nullptr;
    ct_optimizer *optimizer = nullptr;
    ct_dataset *dataset = nullptr;
    ct_loader *loader = nullptr;
    ct_mlp_config no_widths = {};
    no_widths.n_layers = 1;
    const auto refused = [&](ct_status status) {
        ct_clear_error(ctx);
        return status != CT_OK;
    };
    EXPECT_TRUE(refused(ct_describe(ctx, x, nullptr)));
    EXPECT_TRUE(refused(ct_get_stats(ctx, nullptr)));
    EXPECT_TRUE(refused(ct_tape_to_dot(ctx, nullptr)));
    EXPECT_TRUE(refused(ct_write(ctx, x, nullptr, 8)));
    EXPECT_TRUE(refused(ct_read(ctx, x, nullptr, 8)));
    EXPECT_TRUE(refused(ct_data(ctx, x, nullptr)));
    EXPECT_TRUE(refused(ct_backward_from(ctx, 1, nullptr, nullptr, 0)));
    EXPECT_TRUE(refused(ct_backward_from(ctx, 0, &x, nullptr, 0)));
    EXPECT_TRUE(refused(ct_gradients(ctx, 1, nullptr, nullptr, 1, &x, &g, 0)));
    EXPECT_TRUE(refused(ct_gradients(ctx, 1, &x, nullptr, 1, nullptr, &g, 0)));
    EXPECT_TRUE(refused(ct_gradients(ctx, 1, &x, nullptr, 1, &x, nullptr, 0)));
    EXPECT_TRUE(refused(ct_jvp(ctx, 1, nullptr, &x, 1, &x, &g)));
    EXPECT_TRUE(refused(ct_params_create(ctx, nullptr)));
    EXPECT_TRUE(refused(ct_mlp_create(ctx, nullptr, &mlp)));
    EXPECT_TRUE(refused(ct_mlp_create(ctx, &no_widths, &mlp)));
    EXPECT_TRUE(refused(ct_mlp_create(ctx, &no_widths, nullptr)));
    EXPECT_TRUE(refused(ct_sgd_create(ctx, nullptr, nullptr, &optimizer)));
    EXPECT_TRUE(refused(ct_adam_create(ctx, nullptr, nullptr, &optimizer)));
    EXPECT_TRUE(refused(ct_adam_create(ctx, nullptr, nullptr, nullptr)));
    EXPECT_TRUE(refused(ct_dataset_create(ctx, 2, CT_F32, 0, nullptr, nullptr, CT_F32, 0, nullptr, data, &dataset)));
    EXPECT_TRUE(refused(ct_dataset_create(ctx, 2, CT_F32, 0, nullptr, data, CT_F32, 0, nullptr, nullptr, &dataset)));
    EXPECT_TRUE(refused(ct_dataset_create(ctx, 2, CT_F32, 1, nullptr, data, CT_F32, 0, nullptr, data, &dataset)));
    EXPECT_TRUE(refused(ct_dataset_create(ctx, 2, CT_F32, 0, nullptr, data, CT_F32, 0, nullptr, data, nullptr)));
    EXPECT_TRUE(refused(ct_dataset_load_idx(ctx, nullptr, nullptr, &dataset)));
    EXPECT_TRUE(refused(ct_dataset_load_csv(ctx, nullptr, 0, false, &dataset)));
    EXPECT_EQ(ct_leaf(ctx, CT_F32, 1, nullptr, nullptr).bits, 0u);
    ct_clear_error(ctx);
    EXPECT_EQ(ct_wrap(ctx, CT_F32, 1, shape, nullptr).bits, 0u);
    ct_clear_error(ctx);
    EXPECT_EQ(ct_reshape(ctx, x, 1, nullptr).bits, 0u);
    ct_clear_error(ctx);
    EXPECT_EQ(ct_expand(ctx, x, 2, nullptr).bits, 0u);
    ct_clear_error(ctx);
    EXPECT_EQ(ct_randn(ctx, CT_F32, 1, nullptr).bits, 0u);
    ct_clear_error(ctx);
    EXPECT_EQ(params, nullptr);
    EXPECT_EQ(mlp, nullptr);
    EXPECT_EQ(optimizer, nullptr);
    EXPECT_EQ(dataset, nullptr);

    // Objects that are there, with NULL beside them.
    ctx.check(ct_params_create(ctx, &params), "ct_params_create");
    EXPECT_TRUE(refused(ct_params_add(params, nullptr, x)));
    EXPECT_TRUE(refused(ct_params_add(params, "", x)));
    EXPECT_TRUE(refused(ct_params_add(params, "zero", {})));
    EXPECT_EQ(ct_params_get(params, nullptr).bits, 0u);
    ct_params_destroy(params);
    ctx.check(ct_dataset_create(ctx, 2, CT_F32, 0, nullptr, data, CT_F32, 0, nullptr, data, &dataset),
              "ct_dataset_create");
    EXPECT_TRUE(refused(ct_loader_create(dataset, nullptr, &loader)));
    ct_loader_config batches = {};
    EXPECT_TRUE(refused(ct_loader_create(dataset, &batches, &loader))); // of 0
    batches.batch = 2;
    EXPECT_TRUE(refused(ct_loader_create(dataset, &batches, nullptr)));
    ctx.check(ct_loader_create(dataset, &batches, &loader), "ct_loader_create");
    EXPECT_TRUE(refused(ct_loader_next(loader, nullptr, &g)));
    EXPECT_TRUE(refused(ct_loader_next(loader, &g, nullptr)));
    ct_loader_destroy(loader);
    ct_dataset_destroy(dataset);
}

TEST(Null, AsDimsMeansAllOfThem)
{
    Context ctx;
    const ct_tensor x = ctx.leaf(CT_F32, {2, 2}, {1, 2, 3, 4});
    EXPECT_EQ(ctx.read(ct_sum(ctx, x, 1, nullptr, false)), std::vector<double>{10});
    EXPECT_EQ(ctx.read(ct_mean(ctx, x, 0, nullptr, true)), std::vector<double>{2.5});
}

} // namespace

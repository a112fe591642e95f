// Networks, optimizers, loaders, data sets and parameter sets that outlive their
// context: their calls answer CT_ERR_STATE, and destroying them works, in any order.
#include "support/context.h"
#include "support/errors.h"
#include "support/training.h"

#include <algorithm>
#include <cmath>

namespace
{

ct_context *make_context()
{
    ct_config config = device_config();
    ct_context *ctx = nullptr;
    if (ct_create(&config, &ctx) != CT_OK) throw std::runtime_error("ct_create");
    return ctx;
}

void expect_orphaned(Training &t)
{
    ct_params *params = ct_mlp_params(t.mlp);
    ct_tensor x = {1}, y = {1};
    ct_loader *loader = nullptr;
    ct_loader_config batches = {};
    batches.batch = 1;
    EXPECT_EQ(ct_mlp_forward(t.mlp, {1}).bits, 0u);
    EXPECT_EQ(ct_params_add(params, "another", {1}), CT_ERR_STATE);
    EXPECT_EQ(ct_optimizer_step(t.optimizer), CT_ERR_STATE);
    EXPECT_EQ(ct_optimizer_zero_grad(t.optimizer), CT_ERR_STATE);
    EXPECT_EQ(ct_optimizer_set_lr(t.optimizer, 0.5), CT_ERR_STATE);
    EXPECT_EQ(ct_clip_grad_norm(params, 1, nullptr), CT_ERR_STATE);
    EXPECT_EQ(ct_loader_next(t.loader, &x, &y), CT_ERR_STATE);
    EXPECT_EQ(x.bits, 0u);
    EXPECT_EQ(y.bits, 0u);
    EXPECT_EQ(ct_loader_create(t.data, &batches, &loader), CT_ERR_STATE);
    EXPECT_EQ(loader, nullptr);

    // What needs no context goes on.
    EXPECT_EQ(ct_params_count(params), 4);
    EXPECT_NE(ct_params_get(params, "layers.0.weight").bits, 0u);
    EXPECT_EQ(ct_optimizer_get_lr(t.optimizer), 1e-3);
    EXPECT_EQ(ct_dataset_size(t.data), 10);
    EXPECT_EQ(ct_loader_batches(t.loader), 2);
}

TEST(Orphan, AnswersWithAStateError)
{
    ct_context *ctx = make_context();
    Training training;
    ASSERT_TRUE(training.create(ctx));
    ASSERT_TRUE(training.step());
    ct_destroy(ctx);
    expect_orphaned(training);
}

TEST(Orphan, OfAContextWithAStandingErrorAnswersTheSame)
{
    ct_context *ctx = make_context();
    Training training;
    ASSERT_TRUE(training.create(ctx));
    ct_leaf(ctx, CT_F32, -1, nullptr, nullptr);
    ASSERT_EQ(ct_error(ctx), CT_ERR_SHAPE);
    ct_destroy(ctx);
    expect_orphaned(training);
}

TEST(Orphan, OfAContextInTheMiddleOfAStepAnswersTheSame)
{
    ct_context *ctx = make_context();
    Training training;
    ASSERT_TRUE(training.create(ctx));
    ct_tensor x, y;
    ASSERT_EQ(ct_loader_next(training.loader, &x, &y), CT_OK);
    ct_mlp_forward(training.mlp, x);
    ct_destroy(ctx);
    expect_orphaned(training);
}

TEST(Orphan, MayBeDestroyedInAnyOrder)
{
    std::vector<int> order = {0, 1, 2, 3, 4};
    do {
        ct_context *ctx = make_context();
        Training t;
        ASSERT_TRUE(t.create(ctx));
        ASSERT_TRUE(t.step());
        for (const int which : order) {
            if (which == 0) ct_destroy(ctx);
            if (which == 1) ct_mlp_destroy(t.mlp), t.mlp = nullptr;
            if (which == 2) ct_optimizer_destroy(t.optimizer), t.optimizer = nullptr;
            if (which == 3) ct_dataset_destroy(t.data), t.data = nullptr;
            if (which == 4) ct_loader_destroy(t.loader), t.loader = nullptr;
        }
    } while (std::next_permutation(order.begin(), order.end()));
}

TEST(Orphan, ParametersMayOutliveContextNetworkAndOptimizer)
{
    ct_context *ctx = make_context();
    ct_params *params = nullptr;
    ct_optimizer *optimizer = nullptr;
    ASSERT_EQ(ct_params_create(ctx, &params), CT_OK);
    const ct_tensor w = ct_full(ctx, CT_F64, 0, nullptr, 1);
    ASSERT_EQ(ct_set_requires_grad(ctx, w, true), CT_OK);
    ASSERT_EQ(ct_params_add(params, "w", w), CT_OK);
    ASSERT_EQ(ct_sgd_create(ctx, params, nullptr, &optimizer), CT_OK);
    ct_destroy(ctx);
    EXPECT_EQ(ct_optimizer_step(optimizer), CT_ERR_STATE);
    ct_optimizer_destroy(optimizer);
    EXPECT_EQ(ct_params_get(params, "w").bits, w.bits);
    EXPECT_EQ(ct_params_add(params, "v", w), CT_ERR_STATE);
    ct_params_destroy(params);
}

TEST(Orphan, OptimizerKeepsAHoldOnItsParameters)
{
    Context ctx;
    ct_params *params = nullptr;
    ct_optimizer *optimizer = nullptr;
    const ct_tensor w = ctx.leaf(CT_F64, {}, {1});
    ctx.check(ct_set_requires_grad(ctx, w, true), "ct_set_requires_grad");
    ctx.check(ct_params_create(ctx, &params), "ct_params_create");
    ctx.check(ct_params_add(params, "w", w), "ct_params_add");
    ct_sgd_config sgd;
    ct_sgd_defaults(&sgd);
    sgd.lr = 0.5;
    ctx.check(ct_sgd_create(ctx, params, &sgd, &optimizer), "ct_sgd_create");
    ct_params_destroy(params);
    ctx.check(ct_backward(ctx, ct_square(ctx, w)), "ct_backward");
    ctx.check(ct_optimizer_step(optimizer), "ct_optimizer_step");
    ctx.end_step();
    EXPECT_EQ(ct_item(ctx, w), 0);
    ct_release(ctx, w);
    EXPECT_EQ(ct_optimizer_step(optimizer), CT_ERR_ARGUMENT);
    EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"ct_optimizer_step", "released"}));
    ct_optimizer_destroy(optimizer);
}

TEST(Orphan, DestroyedInTheMiddleOfAStepLetsTheStepEnd)
{
    Context ctx;
    Training training;
    ASSERT_TRUE(training.create(ctx));
    const ct_tensor kept = ctx.leaf(CT_F32, {4, 2}, std::vector<double>(8));
    ct_tensor x, y;
    ctx.check(ct_loader_next(training.loader, &x, &y), "ct_loader_next");
    ctx.check(ct_assign(ctx, kept, ct_add_scalar(ctx, ct_relu(ctx, ct_mlp_forward(training.mlp, x)), 1)), "ct_assign");
    training.destroy();
    ctx.leaf(CT_F32, {5, 3}, std::vector<double>(15, NAN)); // may not take the weights' place yet
    ctx.end_step();
    for (const double value : ctx.read(kept)) EXPECT_GE(value, 1);
}

} // namespace

// The FLOPs and bytes of launches, against numbers counted by hand from formulas and shapes (program/lower.h has
// the rules). All is f32, unless it says otherwise.
#include "support/context.h"
#include "support/launch_costs.h"

#include <functional>
#include <memory>

namespace
{

using Sizes = std::vector<int64_t>;

// What a case records with.
struct Recorder {
    Context ctx;

    ct_tensor leaf(const Sizes &shape, bool differentiable = false, ct_dtype dtype = CT_F32)
    {
        int64_t n = 1;
        for (const int64_t size : shape) n *= size;
        const ct_tensor x = ctx.leaf(dtype, shape, std::vector<double>(static_cast<size_t>(n), 1));
        if (differentiable) ctx.check(ct_set_requires_grad(ctx, x, true), "ct_set_requires_grad");
        return x;
    }
};

struct CostCase {
    const char *name, *op; // the op whose launches are added up
    std::function<void(Recorder &)> record;
    double flops, bytes;
};

void PrintTo(const CostCase &c, std::ostream *stream) { *stream << c.name; }

class Cost : public ::testing::TestWithParam<CostCase>
{
};

TEST_P(Cost, IsWhatWasCountedByHand)
{
    const CostCase &c = GetParam();
    Recorder r;
    c.record(r);
    r.ctx.check(ct_flush(r.ctx), "ct_flush");
    const launch_costs cost = costs_of(r.ctx, c.op);
    EXPECT_GT(cost.launches, 0) << c.op;
    EXPECT_EQ(cost.flops, c.flops);
    EXPECT_EQ(cost.bytes, c.bytes);
    r.ctx.end_step();
}

// ---- products: m, n, k = 5, 7, 11 ----

void matmul(Recorder &r) { ct_matmul(r.ctx, r.leaf({5, 11}), r.leaf({11, 7})); }
void batched(Recorder &r) { ct_matmul(r.ctx, r.leaf({3, 5, 11}), r.leaf({11, 7})); }
void linear(Recorder &r) { ct_linear(r.ctx, r.leaf({5, 11}), r.leaf({7, 11}), {}, CT_ACT_IDENTITY); }
void linear_relu(Recorder &r) { ct_linear(r.ctx, r.leaf({5, 11}), r.leaf({7, 11}), r.leaf({7}), CT_ACT_RELU); }
void linear_sigmoid(Recorder &r) { ct_linear(r.ctx, r.leaf({5, 11}), r.leaf({7, 11}), r.leaf({7}), CT_ACT_SIGMOID); }

// 51,410,359 FLOPs are no float.
void linear_odd(Recorder &r)
{
    ct_linear(r.ctx, r.leaf({1001, 333}), r.leaf({77, 333}), r.leaf({77}), CT_ACT_IDENTITY);
}

// Of no rows: nothing is computed, so nothing has to move.
void linear_of_nothing(Recorder &r) { ct_linear(r.ctx, r.leaf({0, 5}), r.leaf({3, 5}), {}, CT_ACT_IDENTITY); }

// Its weight has a gradient by then, so that the product adds into it.
void added_product(Recorder &r)
{
    const ct_tensor x = r.leaf({5, 11}), w = r.leaf({11, 7}, true);
    ct_backward(r.ctx, ct_sum(r.ctx, ct_matmul(r.ctx, x, w), 0, nullptr, false));
    r.ctx.end_step();
    const ct_tensor y = ct_matmul(r.ctx, x, w);
    ct_backward(r.ctx, ct_sum(r.ctx, y, 0, nullptr, false));
}

// ---- elementwise and shapes ----

void add(Recorder &r) { ct_add(r.ctx, r.leaf({4, 6}), r.leaf({6})); }
void sigmoid(Recorder &r) { ct_sigmoid(r.ctx, r.leaf({4, 6})); }
void where(Recorder &r) { ct_where(r.ctx, r.leaf({4, 6}, false, CT_U8), r.leaf({4, 1}), r.leaf({6})); }
void add_nothing(Recorder &r) { ct_add(r.ctx, r.leaf({0, 6}), r.leaf({6})); }
void cast(Recorder &r) { ct_cast(r.ctx, r.leaf({4, 6}), CT_F64); }
void transpose(Recorder &r) { ct_transpose(r.ctx, r.leaf({4, 6}), 0, 1); }
void expand(Recorder &r) { ct_expand(r.ctx, r.leaf({6}), 2, Sizes{4, 6}.data()); }
void slice(Recorder &r) { ct_slice(r.ctx, r.leaf({4, 6}), 1, 1, 3); }

void concat(Recorder &r)
{
    const ct_tensor parts[] = {r.leaf({4, 6}), r.leaf({4, 2})};
    ct_concat(r.ctx, 2, parts, 1);
}

// ---- reductions, normalisations ----

void sum_all(Recorder &r) { ct_sum(r.ctx, r.leaf({4, 6}), 0, nullptr, false); }
void sum_nothing(Recorder &r) { ct_sum(r.ctx, r.leaf({0, 6}), 1, std::vector<int>{0}.data(), false); }
void sum_columns(Recorder &r) { ct_sum(r.ctx, r.leaf({4, 6}), 1, std::vector<int>{0}.data(), false); }
void logsumexp(Recorder &r) { ct_logsumexp(r.ctx, r.leaf({4, 6}), 1, std::vector<int>{1}.data(), false); }
void var(Recorder &r) { ct_var(r.ctx, r.leaf({4, 6}), 1, std::vector<int>{1}.data(), false, 0); }
void argmax(Recorder &r) { ct_argmax(r.ctx, r.leaf({4, 6}), 1); }
void softmax(Recorder &r) { ct_softmax(r.ctx, r.leaf({4, 6}), 1); }

void layer_norm(Recorder &r)
{
    ct_sum(r.ctx, ct_layer_norm(r.ctx, r.leaf({4, 6}, true), r.leaf({6}, true), r.leaf({6}, true), 1e-5), 0, nullptr,
           false);
}

void layer_norm_grad(Recorder &r)
{
    const ct_tensor y = ct_layer_norm(r.ctx, r.leaf({4, 6}, true), r.leaf({6}), r.leaf({6}), 1e-5);
    ct_backward(r.ctx, ct_sum(r.ctx, ct_square(r.ctx, y), 0, nullptr, false));
}

void batch_norm(Recorder &r)
{
    ct_set_training(r.ctx, true);
    ct_batch_norm(r.ctx, r.leaf({4, 6}, true), r.leaf({6}), r.leaf({6}), r.leaf({6}), r.leaf({6}), 0.1, 1e-5);
}

// ---- losses ----

// At the end of a step a loss writes what is read only: its value if it is kept, its gradient if that is wanted.
void finish(Recorder &r, ct_tensor loss, bool keep, bool differentiate)
{
    if (keep) ct_assign(r.ctx, r.leaf({}), loss);
    if (differentiate) ct_backward(r.ctx, loss);
    r.ctx.end_step();
}

ct_tensor entropy_of(Recorder &r)
{
    return ct_cross_entropy(r.ctx, r.leaf({4, 6}, true), r.leaf({4}, false, CT_I32), 0, -100, CT_REDUCE_MEAN);
}
void cross_entropy(Recorder &r) { finish(r, entropy_of(r), true, false); }
void cross_entropy_and_gradient(Recorder &r) { finish(r, entropy_of(r), true, true); }
void cross_entropy_kept_whole(Recorder &r) { entropy_of(r); }

ct_tensor mse_of(Recorder &r) { return ct_mse_loss(r.ctx, r.leaf({4, 6}, true), r.leaf({4, 6}), CT_REDUCE_SUM); }
void mse(Recorder &r) { finish(r, mse_of(r), true, false); }
void mse_gradient(Recorder &r) { finish(r, mse_of(r), false, true); }
void mse_and_gradient(Recorder &r) { finish(r, mse_of(r), true, true); }

// ---- rows of a table: 10 rows of 6, 4 of which are asked for ----

void embedding(Recorder &r) { ct_embedding(r.ctx, r.leaf({10, 6}), r.leaf({4}, false, CT_I32)); }

void embedding_grad(Recorder &r)
{
    const ct_tensor rows = ct_embedding(r.ctx, r.leaf({10, 6}, true), r.leaf({4}, false, CT_I32));
    ct_backward(r.ctx, ct_sum(r.ctx, ct_square(r.ctx, rows), 0, nullptr, false));
}

// 20 rows of 6 bytes with a number in 4 bytes each, in batches of 4; the bytes become floats.
void gather(Recorder &r)
{
    const std::vector<unsigned char> x(120, 1);
    const std::vector<int32_t> y(20, 1);
    ct_dataset *data = nullptr;
    ct_loader *loader = nullptr;
    ct_loader_config config = {};
    config.batch = 4;
    r.ctx.check(ct_dataset_create(r.ctx, 20, CT_U8, 1, Sizes{6}.data(), x.data(), CT_I32, 0, nullptr, y.data(), &data),
                "");
    r.ctx.check(ct_loader_create(data, &config, &loader), "ct_loader_create");
    ct_tensor batch, labels;
    r.ctx.check(ct_loader_next(loader, &batch, &labels), "ct_loader_next");
    r.ctx.check(ct_flush(r.ctx), "ct_flush");
    ct_loader_destroy(loader);
    ct_dataset_destroy(data);
}

// ---- random numbers ----

void dropout(Recorder &r)
{
    ct_set_training(r.ctx, true);
    ct_dropout(r.ctx, r.leaf({4, 6}), 0.5);
}
void randn(Recorder &r) { ct_randn(r.ctx, CT_F32, 2, Sizes{4, 6}.data()); }

// ---- what writes leaves ----

void assign(Recorder &r) { ct_assign(r.ctx, r.leaf({4, 6}), r.leaf({4, 6})); }
void accumulate(Recorder &r) { ct_accumulate(r.ctx, r.leaf({4, 6}), r.leaf({4, 6})); }
void append(Recorder &r) { ct_append(r.ctx, r.leaf({10}), r.leaf({})); }

void zero(Recorder &r) { ct_zero_grad(r.ctx, r.leaf({4, 6}, true)); }

// Two parameters, of 24 and 6 elements, and their clipped update.
void update(Recorder &r, ct_params *params, ct_optimizer *optimizer, ct_tensor w, ct_tensor b)
{
    ct_backward(r.ctx, ct_sum(r.ctx, ct_mul(r.ctx, w, b), 0, nullptr, false));
    ct_clip_grad_norm(params, 1, nullptr);
    ct_optimizer_step(optimizer);
    r.ctx.check(ct_flush(r.ctx), "ct_flush");
    ct_optimizer_destroy(optimizer);
    ct_params_destroy(params);
}

ct_params *parameters(Recorder &r, ct_tensor w, ct_tensor b)
{
    ct_params *params = nullptr;
    r.ctx.check(ct_params_create(r.ctx, &params), "ct_params_create");
    r.ctx.check(ct_params_add(params, "w", w), "ct_params_add");
    r.ctx.check(ct_params_add(params, "b", b), "ct_params_add");
    return params;
}

void adam_of(Recorder &r, ct_tensor w, ct_tensor b)
{
    ct_params *params = parameters(r, w, b);
    ct_optimizer *optimizer = nullptr;
    r.ctx.check(ct_adam_create(r.ctx, params, nullptr, &optimizer), "ct_adam_create");
    update(r, params, optimizer, w, b);
}

void adam(Recorder &r) { adam_of(r, r.leaf({4, 6}, true), r.leaf({6}, true)); }
void adam_of_nothing(Recorder &r) { adam_of(r, r.leaf({0, 6}, true), r.leaf({0, 6}, true)); }

void sgd_with(Recorder &r, double momentum, bool nesterov)
{
    const ct_tensor w = r.leaf({4, 6}, true), b = r.leaf({6}, true);
    ct_params *params = parameters(r, w, b);
    ct_optimizer *optimizer = nullptr;
    ct_sgd_config config;
    ct_sgd_defaults(&config);
    config.momentum = momentum;
    config.nesterov = nesterov;
    r.ctx.check(ct_sgd_create(r.ctx, params, &config, &optimizer), "ct_sgd_create");
    update(r, params, optimizer, w, b);
}

void sgd(Recorder &r) { sgd_with(r, 0, false); }
void nesterov(Recorder &r) { sgd_with(r, 0.9, true); }

INSTANTIATE_TEST_SUITE_P(
    Products, Cost,
    ::testing::Values(CostCase{"matmul", "matmul", matmul, 2 * 5 * 7 * 11, 4 * (55 + 77 + 35)},
                      CostCase{"batched", "matmul", batched, 3 * 2 * 5 * 7 * 11, 4 * (3 * 55 + 77 + 3 * 35)},
                      CostCase{"linear", "linear", linear, 770, 4 * (55 + 77 + 35)},
                      CostCase{"linear_relu", "linear", linear_relu, 770 + 35 + 35, 4 * (55 + 77 + 7 + 35)},
                      CostCase{"linear_sigmoid", "linear", linear_sigmoid, 770 + 35 + 4 * 35, 4 * (55 + 77 + 7 + 35)},
                      CostCase{"linear_odd", "linear", linear_odd, 2. * 1001 * 77 * 333 + 1001 * 77,
                               4 * (1001 * 333 + 77 * 333 + 77 + 1001 * 77)},
                      CostCase{"linear_of_nothing", "linear", linear_of_nothing, 0, 0},
                      // The forward product, and xᵀ g [11,7], which is read and added to.
                      CostCase{"added", "matmul", added_product, 770 + 770 + 77,
                               4 * (55 + 77 + 35) + 4 * (55 + 35 + 2 * 77)}),
    [](const auto &info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(Elementwise, Cost,
                         ::testing::Values(CostCase{"add", "add", add, 24, 4 * (24 + 6 + 24)},
                                           CostCase{"add_nothing", "add", add_nothing, 0, 0},
                                           CostCase{"sigmoid", "sigmoid", sigmoid, 4 * 24, 4 * 48},
                                           CostCase{"where", "where", where, 24, 24 + 4 * (4 + 6 + 24)},
                                           CostCase{"cast", "cast", cast, 0, 24 * 4 + 24 * 8},
                                           CostCase{"transpose", "transpose", transpose, 0, 4 * 48},
                                           CostCase{"expand", "expand", expand, 0, 4 * (6 + 24)},
                                           CostCase{"slice", "slice", slice, 0, 4 * (8 + 8)},
                                           CostCase{"concat", "concat", concat, 0, 4 * (24 + 8 + 32)},
                                           CostCase{"assign", "assign", assign, 0, 4 * 48},
                                           CostCase{"accumulate", "accumulate", accumulate, 24, 4 * 72},
                                           CostCase{"append", "append", append, 0, 4 + 4 + 8 + 8}),
                         [](const auto &info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Lines, Cost,
    ::testing::Values(
        CostCase{"sum_all", "sum", sum_all, 24, 4 * 25}, CostCase{"sum_columns", "sum", sum_columns, 24, 4 * (24 + 6)},
        CostCase{"sum_nothing", "sum", sum_nothing, 0, 4 * 6}, // zeros are written
        CostCase{"logsumexp", "logsumexp", logsumexp, 4 * 24, 4 * (24 + 4)},
        CostCase{"var", "var", var, 4 * 24, 4 * (24 + 4)}, CostCase{"argmax", "argmax", argmax, 24, 4 * 24 + 4 * 4},
        CostCase{"softmax", "softmax", softmax, 5 * 24, 4 * 48},
        // x, gamma, beta; y, h, r
        CostCase{"layer_norm", "layer_norm", layer_norm, 8 * 24, 4 * (24 + 6 + 6 + 24 + 24 + 4)},
        // g, h, r, gamma; dx
        CostCase{"layer_norm_grad", "layer_norm_grad", layer_norm_grad, 8 * 24, 4 * (24 + 24 + 4 + 6 + 24)},
        // x, gamma, beta, both running ones twice; y, h, r
        CostCase{"batch_norm", "batch_norm", batch_norm, 8 * 24, 4 * (24 + 6 + 6 + 2 * 12 + 24 + 24 + 6)},
        CostCase{"cross_entropy", "cross_entropy", cross_entropy, 4 * 24, 4 * (24 + 4 + 1)},
        CostCase{"cross_entropy_and_gradient", "cross_entropy", cross_entropy_and_gradient, 7 * 24,
                 4 * (24 + 4 + 1 + 24)},
        CostCase{"cross_entropy_kept_whole", "cross_entropy", cross_entropy_kept_whole, 7 * 24,
                 4 * (24 + 4 + 1 + 24 + 4)},
        CostCase{"mse", "mse_loss", mse, 3 * 24, 4 * (24 + 24 + 1)},
        CostCase{"mse_gradient", "mse_loss", mse_gradient, 2 * 24, 4 * (24 + 24 + 24)},
        CostCase{"mse_and_gradient", "mse_loss", mse_and_gradient, 5 * 24, 4 * (24 + 24 + 1 + 24)},
        CostCase{"embedding", "embedding", embedding, 0, 4 * (24 + 4 + 24)},
        CostCase{"embedding_grad", "embedding_grad", embedding_grad, 24, 4 * (24 + 4 + 60)},
        CostCase{"dropout", "dropout", dropout, 2 * 24, 4 * 48 + 8},
        // The rows go over, and the cursor is read and written.
        CostCase{"gather", "gather", gather, 2 * 24, 24 + 4 * 4 + 4 * 24 + 4 * 4 + 2 * 8},
        CostCase{"randn", "randn", randn, 4 * 24, 4 * 24 + 8}),
    [](const auto &info) { return info.param.name; });

// Of 30 elements in all: a parameter and a moment are read and written, and so is the count; a gradient is read.
INSTANTIATE_TEST_SUITE_P(Updates, Cost,
                         ::testing::Values(CostCase{"adam", "adam", adam, 15 * 30, 4 * 30 * (2 + 1 + 2 + 2) + 16},
                                           CostCase{"sgd", "sgd", sgd, 4 * 30, 4 * 30 * (2 + 1) + 16},
                                           CostCase{"nesterov", "sgd", nesterov, 9 * 30, 4 * 30 * (2 + 1 + 2) + 16},
                                           CostCase{"grad_norm", "grad_norm", adam, 2 * 30, 4 * (30 + 1)},
                                           CostCase{"clip_scale", "clip_scale", adam, 30, 4 * (2 * 30 + 1)},
                                           CostCase{"clip_scale_of_nothing", "clip_scale", adam_of_nothing, 0, 0},
                                           CostCase{"zero", "zero", zero, 0, 4 * 24}),
                         [](const auto &info) { return info.param.name; });

// Whatever a device makes of an activation, it is the same formula in a product and by itself.
TEST(ActivationCost, IsTheSameBehindAProduct)
{
    const auto flops_of = [](const char *op, const std::function<void(ct_context *, ct_tensor)> &record) {
        Recorder r;
        record(r.ctx, r.leaf({5, 7}));
        r.ctx.check(ct_flush(r.ctx), "ct_flush");
        return costs_of(r.ctx, op).flops;
    };
    const auto behind = [&](ct_activation activation) {
        return flops_of("linear", [&](ct_context *ctx, ct_tensor x) { ct_linear(ctx, x, x, {}, activation); });
    };
    const double product = behind(CT_ACT_IDENTITY);
    EXPECT_EQ(product, 2 * 5 * 5 * 7);
    const struct {
        ct_activation activation;
        const char *op;
        std::function<void(ct_context *, ct_tensor)> record;
    } fused[] = {{CT_ACT_RELU, "relu", ct_relu},
                 {CT_ACT_TANH, "tanh", ct_tanh},
                 {CT_ACT_SIGMOID, "sigmoid", ct_sigmoid},
                 {CT_ACT_LEAKY_RELU, "leaky_relu", [](ct_context *ctx, ct_tensor x) { ct_leaky_relu(ctx, x, 0.01); }}};
    for (const auto &[activation, op, record] : fused) {
        const double alone = flops_of(op, record) / (5 * 7);
        EXPECT_GE(alone, 1) << op;
        EXPECT_EQ(behind(activation), product + 5 * 5 * alone) << op;
    }
}

// dZ = (g w) f'(y): the product [5,11] x [11,7] that makes g, and what its epilogue adds, which reads y.
TEST(FoldedCost, AnEpilogueAddsItsOwn)
{
    Recorder r;
    const ct_tensor x = r.leaf({5, 3}), w1 = r.leaf({7, 3}, true), w2 = r.leaf({11, 7});
    const ct_tensor h = ct_linear(r.ctx, x, w1, {}, CT_ACT_TANH);
    const ct_tensor y = ct_linear(r.ctx, h, w2, {}, CT_ACT_IDENTITY);
    ct_backward(r.ctx, ct_sum(r.ctx, y, 0, nullptr, false));
    r.ctx.end_step();
    ASSERT_EQ(costs_of(r.ctx, "act_grad").launches, 0);
    const launch_costs cost = costs_of(r.ctx, "matmul"); // that, and dZᵀ x [7,3], which is added to w1.grad
    ASSERT_EQ(cost.launches, 2);
    EXPECT_EQ(cost.folded, 1);
    EXPECT_EQ(cost.flops, 2 * 5 * 7 * 11 + 3 * 35 + 2 * 5 * 7 * 3 + 21);
    EXPECT_EQ(cost.bytes, 4 * (55 + 77 + 35 + 35) + 4 * (35 + 15 + 2 * 21));
}

} // namespace

/* Parameter sets and multi-layer perceptrons. */
#include "core/tensor.h"
#include "train/params.h"

#include "philox.h"

#include <stdio.h>
#include <string.h>

ct_status ct_object_ready(ct_context *ctx, const char *call)
{
    if (ctx->open) return ctx->status;
    return ct_report(ctx, CT_ERR_STATE, "%s: its context was destroyed", call);
}

void ct_release_held(ct_context *ctx, ct_tensor leaf)
{
    ct_ref ref;
    if (ctx->open && leaf.bits && !ct_resolve_query(ctx, "destroy", leaf, &ref)) ct_leaf_free(ctx, ref);
}

/* ---- parameter sets ---------------------------------------------------------------------------- */

ct_status ct_params_create(ct_context *ctx, ct_params **out)
{
    if (!out) return ctx ? ct_report(ctx, CT_ERR_ARGUMENT, "ct_params_create: out is NULL") : CT_ERR_ARGUMENT;
    *out = NULL;
    ct_status status = ct_ready(ctx);
    if (status) return status;
    ct_params *params = ct_alloc(ctx, sizeof *params);
    if (!params) return ct_fail(ctx, CT_ERR_MEMORY, "ct_params_create: out of host memory");
    ct_hold(ctx);
    *params = (ct_params){.ctx = ctx, .refs = 1};
    *out = params;
    return CT_OK;
}

void ct_params_destroy(ct_params *params)
{
    if (!params || --params->refs > 0) return;
    ct_context *ctx = params->ctx;
    for (size_t i = 0; i < params->n; i++) ct_free(ctx, params->leaves[i].name);
    ct_free(ctx, params->leaves);
    ct_free(ctx, params);
    ct_drop(ctx);
}

ct_status ct_params_add(ct_params *params, const char *name, ct_tensor leaf)
{
    ct_info info;
    if (!params) return CT_ERR_ARGUMENT;
    ct_context *ctx = params->ctx;
    ct_status status = ct_object_ready(ctx, "ct_params_add");
    if (status) return status;
    if (!name || !*name) return ct_fail(ctx, CT_ERR_ARGUMENT, "ct_params_add: a parameter needs a name");
    if (ct_params_get(params, name).bits)
        return ct_fail(ctx, CT_ERR_ARGUMENT, "ct_params_add: there is a parameter '%s' already", name);
    for (size_t i = 0; i < params->n; i++)
        if (params->leaves[i].leaf.bits == leaf.bits)
            return ct_fail(ctx, CT_ERR_ARGUMENT, "ct_params_add: '%s' is there already, as '%s'", name,
                           params->leaves[i].name);
    if (ct_describe(ctx, leaf, &info) || !info.is_leaf)
        return ct_fail(ctx, CT_ERR_ARGUMENT, "ct_params_add: '%s' is not a leaf of this context", name);
    char *copy = ct_alloc(ctx, strlen(name) + 1);
    if (!copy || !ct_grow(ctx, (void **)&params->leaves, &params->capacity, params->n + 1, sizeof *params->leaves)) {
        ct_free(ctx, copy);
        return ct_fail(ctx, CT_ERR_MEMORY, "ct_params_add: out of host memory");
    }
    strcpy(copy, name);
    params->leaves[params->n++] = (ct_named_leaf){copy, leaf};
    return *info.name ? CT_OK : ct_set_name(ctx, leaf, name);
}

int ct_params_count(const ct_params *params) { return params ? (int)params->n : 0; }

ct_tensor ct_params_get(const ct_params *params, const char *name)
{
    for (size_t i = 0; params && name && i < params->n; i++)
        if (strcmp(params->leaves[i].name, name) == 0) return params->leaves[i].leaf;
    return (ct_tensor){0};
}

/* ---- perceptrons -------------------------------------------------------------------------------- */

struct ct_mlp {
    ct_context *ctx;
    ct_params *params;
    int32_t n_layers;
    int32_t activation, output_activation;
    double dropout;
    bool layer_norm;
    int64_t *widths;
    ct_tensor *weights, *biases;
    ct_tensor *gammas, *betas; /* of hidden layers, if there is a layer norm */
};

/* What a parameter starts as: uniform in ±bound, drawn as torch.nn.Linear's, or one value. */
typedef struct start {
    double bound, value;
} start;

static ct_tensor parameter_leaf(ct_mlp *mlp, int ndim, const int64_t *shape, start from)
{
    ct_context *ctx = mlp->ctx;
    int64_t n = ndim == 2 ? shape[0] * shape[1] : shape[0];
    float *host = ct_alloc(ctx, (size_t)n * sizeof *host);
    if (!host) {
        ct_fail(ctx, CT_ERR_MEMORY, "ct_mlp_create: out of host memory");
        return (ct_tensor){0};
    }
    uint64_t key = from.bound > 0 ? ct_random_key(ctx->config.seed, ((uint64_t)1 << 32) + ctx->streams++) : 0;
    for (int64_t i = 0; i < n; i++) {
        ct_bits4 bits = ct_philox(key, (uint64_t)(i / 4), 0);
        double drawn = from.bound > 0 ? (2 * (double)ct_uniform_f32(bits.word[i & 3]) - 1) * from.bound : 0;
        host[i] = (float)(from.value + drawn);
    }
    ct_tensor leaf = ct_leaf(ctx, CT_F32, ndim, shape, host);
    ct_free(ctx, host);
    if (!ctx->status) ct_set_requires_grad(ctx, leaf, true);
    return leaf;
}

static ct_status add_parameter(ct_mlp *mlp, int32_t layer, const char *what, int ndim, const int64_t *shape, start from,
                               ct_tensor *out)
{
    char name[64];
    *out = parameter_leaf(mlp, ndim, shape, from);
    if (mlp->ctx->status) return mlp->ctx->status;
    snprintf(name, sizeof name, "layers.%d.%s", layer, what);
    return ct_params_add(mlp->params, name, *out);
}

/* Weight and bias in ±1/√inputs; a norm that changes nothing but mean and variance. */
static ct_status make_layer(ct_mlp *mlp, int32_t i)
{
    int64_t shape[2] = {mlp->widths[i + 1], mlp->widths[i]};
    const start uniform = {.bound = 1 / sqrt((double)shape[1])};
    ct_status status = add_parameter(mlp, i, "weight", 2, shape, uniform, &mlp->weights[i]);
    if (!status) status = add_parameter(mlp, i, "bias", 1, shape, uniform, &mlp->biases[i]);
    if (status || !mlp->layer_norm || i + 1 == mlp->n_layers) return status;
    status = add_parameter(mlp, i, "norm.weight", 1, shape, (start){.value = 1}, &mlp->gammas[i]);
    return status ? status : add_parameter(mlp, i, "norm.bias", 1, shape, (start){0}, &mlp->betas[i]);
}

static ct_status check_config(ct_context *ctx, const ct_mlp_config *c)
{
    if (c->n_layers < 1 || !c->widths)
        return ct_fail(ctx, CT_ERR_ARGUMENT, "ct_mlp_create: n_layers is %d; wants at least 1, and their widths",
                       c->n_layers);
    for (int32_t i = 0; i <= c->n_layers; i++)
        if (c->widths[i] < 1 || c->widths[i] > INT32_MAX)
            return ct_fail(ctx, CT_ERR_ARGUMENT, "ct_mlp_create: widths[%d] is %lld", i, (long long)c->widths[i]);
    if (c->activation < CT_ACT_IDENTITY || c->activation > CT_ACT_LEAKY_RELU ||
        c->output_activation < CT_ACT_IDENTITY || c->output_activation > CT_ACT_LEAKY_RELU)
        return ct_fail(ctx, CT_ERR_ARGUMENT, "ct_mlp_create: activation %d or %d is none", c->activation,
                       c->output_activation);
    if (!(c->dropout >= 0 && c->dropout < 1))
        return ct_fail(ctx, CT_ERR_ARGUMENT, "ct_mlp_create: dropout is %g; wants 0 up to 1", c->dropout);
    return CT_OK;
}

ct_status ct_mlp_create(ct_context *ctx, const ct_mlp_config *config, ct_mlp **out)
{
    if (out) *out = NULL;
    if (!out || !config) return ctx ? ct_report(ctx, CT_ERR_ARGUMENT, "ct_mlp_create: NULL") : CT_ERR_ARGUMENT;
    ct_status status = ct_ready(ctx);
    if (!status) status = check_config(ctx, config);
    if (status) return status;
    size_t n = (size_t)config->n_layers;
    ct_mlp *mlp = ct_alloc(ctx, sizeof *mlp);
    if (!mlp) return ct_fail(ctx, CT_ERR_MEMORY, "ct_mlp_create: out of host memory");
    ct_hold(ctx);
    *mlp = (ct_mlp){.ctx = ctx,
                    .n_layers = config->n_layers,
                    .activation = config->activation,
                    .output_activation = config->output_activation,
                    .dropout = config->dropout,
                    .layer_norm = config->layer_norm};
    mlp->widths = ct_alloc(ctx, (n + 1) * sizeof *mlp->widths);
    mlp->weights = ct_alloc(ctx, n * sizeof *mlp->weights);
    mlp->biases = ct_alloc(ctx, n * sizeof *mlp->biases);
    mlp->gammas = ct_alloc(ctx, n * sizeof *mlp->gammas);
    mlp->betas = ct_alloc(ctx, n * sizeof *mlp->betas);
    status = ct_params_create(ctx, &mlp->params);
    if (!status && (!mlp->widths || !mlp->weights || !mlp->biases || !mlp->gammas || !mlp->betas))
        status = ct_fail(ctx, CT_ERR_MEMORY, "ct_mlp_create: out of host memory");
    if (!status) memcpy(mlp->widths, config->widths, (n + 1) * sizeof *mlp->widths);
    for (int32_t i = 0; !status && i < config->n_layers; i++) status = make_layer(mlp, i);
    if (status) {
        ct_mlp_destroy(mlp);
        return status;
    }
    *out = mlp;
    return CT_OK;
}

void ct_mlp_destroy(ct_mlp *mlp)
{
    if (!mlp) return;
    ct_context *ctx = mlp->ctx;
    ct_tensor *leaves[] = {mlp->weights, mlp->biases, mlp->gammas, mlp->betas};
    for (int32_t i = 0; i < mlp->n_layers; i++)
        for (int k = 0; k < 4; k++)
            if (leaves[k]) ct_release_held(ctx, leaves[k][i]);
    ct_params_destroy(mlp->params);
    for (int k = 0; k < 4; k++) ct_free(ctx, leaves[k]);
    ct_free(ctx, mlp->widths);
    ct_free(ctx, mlp);
    ct_drop(ctx);
}

ct_params *ct_mlp_params(ct_mlp *mlp) { return mlp ? mlp->params : NULL; }

/* The activation of ct_linear, apart from it. */
static ct_tensor activate(ct_context *ctx, ct_tensor x, ct_activation activation)
{
    switch (activation) {
    case CT_ACT_RELU: return ct_relu(ctx, x);
    case CT_ACT_TANH: return ct_tanh(ctx, x);
    case CT_ACT_SIGMOID: return ct_sigmoid(ctx, x);
    case CT_ACT_GELU: return ct_gelu(ctx, x, false);
    case CT_ACT_SILU: return ct_silu(ctx, x);
    case CT_ACT_LEAKY_RELU: return ct_leaky_relu(ctx, x, 0.01);
    case CT_ACT_IDENTITY: break;
    }
    return x;
}

#define LAYER_NORM_EPS 1e-5

ct_tensor ct_mlp_forward(ct_mlp *mlp, ct_tensor x)
{
    if (!mlp || ct_object_ready(mlp->ctx, "ct_mlp_forward")) return (ct_tensor){0};
    ct_context *ctx = mlp->ctx;
    for (int32_t i = 0; i < mlp->n_layers; i++) {
        bool hidden = i + 1 < mlp->n_layers, normed = hidden && mlp->layer_norm;
        ct_activation activation = (ct_activation)(hidden ? mlp->activation : mlp->output_activation);
        x = ct_linear(ctx, x, mlp->weights[i], mlp->biases[i], normed ? CT_ACT_IDENTITY : activation);
        if (normed) x = activate(ctx, ct_layer_norm(ctx, x, mlp->gammas[i], mlp->betas[i], LAYER_NORM_EPS), activation);
        if (hidden && mlp->dropout > 0) x = ct_dropout(ctx, x, mlp->dropout);
    }
    return x;
}

/* Optimizers: SGD, Adam and AdamW, each one record a step for all parameters of a
 * dtype, and the clipping of gradients. */
#include "ops/update.h"
#include "train/params.h"

#include <math.h>
#include <string.h>

/* The parameters of one dtype: one record. */
typedef struct group {
    ct_update_row *rows;
    ct_ref *grads;
    ct_tensor *leaves;
    int64_t n;
    ct_ref count;
} group;

#define N_GROUPS 2 /* f32, f64 */

struct ct_optimizer {
    ct_context *ctx;
    ct_params *params;
    group groups[N_GROUPS];
    double scalars[8]; /* the rate first */
    uint32_t lr_binding;
    bool adam, flag; /* nesterov; decoupled */
};

void ct_sgd_defaults(ct_sgd_config *c)
{
    if (c) *c = (ct_sgd_config){.lr = 1e-3};
}

void ct_adam_defaults(ct_adam_config *c)
{
    if (c) *c = (ct_adam_config){.lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
}

void ct_adamw_defaults(ct_adam_config *c)
{
    if (c)
        *c = (ct_adam_config){
            .lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 1e-2, .decoupled = true};
}

/* ---- making one ----------------------------------------------------------------------------------- */

static ct_ref state_leaf(ct_context *ctx, const ct_shape *shape)
{
    ct_ref ref = ct_leaf_make(ctx, "optimizer", shape);
    if (ref != CT_REF_NONE) ct_leaf_at(ctx, ref)->internal = true;
    return ref;
}

/* The leaves of a set that have a gradient, of one dtype. */
static int64_t count_trained(ct_params *params, int32_t dtype)
{
    int64_t n = 0;
    for (size_t i = 0; i < params->n; i++) {
        ct_info info;
        if (!ct_describe(params->ctx, params->leaves[i].leaf, &info)) n += info.requires_grad && info.dtype == dtype;
    }
    return n;
}

static ct_status make_group(ct_optimizer *o, group *g, int32_t dtype, bool first, bool second)
{
    ct_context *ctx = o->ctx;
    int64_t n = count_trained(o->params, dtype);
    g->count = CT_REF_NONE;
    if (n == 0) return CT_OK;
    g->rows = ct_alloc(ctx, (size_t)n * sizeof *g->rows);
    g->grads = ct_alloc(ctx, (size_t)n * sizeof *g->grads);
    g->leaves = ct_alloc(ctx, (size_t)n * sizeof *g->leaves);
    if (!g->rows || !g->grads || !g->leaves) return ct_fail(ctx, CT_ERR_MEMORY, "optimizer: out of host memory");
    ct_shape scalar = ct_scalar_shape(CT_I64);
    g->count = state_leaf(ctx, &scalar);
    for (size_t i = 0; i < o->params->n && !ctx->status; i++) {
        ct_ref ref;
        if (!ct_resolve(ctx, "optimizer", o->params->leaves[i].name, o->params->leaves[i].leaf, &ref)) break;
        ct_shape shape = ct_shape_of(ctx, ref);
        if (!ct_value_at(ctx, ref)->requires_grad || shape.dtype != dtype) continue;
        ct_ref grad = ct_leaf_at(ctx, ref)->grad;
        g->leaves[g->n] = o->params->leaves[i].leaf;
        g->grads[g->n] = grad;
        g->rows[g->n] = (ct_update_row){ref, grad, CT_REF_NONE, CT_REF_NONE};
        ct_update_row *row = &g->rows[g->n++];
        if (first) row->first_moment = state_leaf(ctx, &shape);
        if (second) row->second_moment = state_leaf(ctx, &shape);
    }
    return ctx->status;
}

static ct_status make(ct_context *ctx, ct_params *params, const ct_optimizer *kind, bool first, bool second,
                      ct_optimizer **out)
{
    if (!params || params->ctx != ctx)
        return ct_fail(ctx, CT_ERR_ARGUMENT, "optimizer: params are %s", params ? "of another context" : "NULL");
    ct_optimizer *o = ct_alloc(ctx, sizeof *o);
    if (!o) return ct_fail(ctx, CT_ERR_MEMORY, "optimizer: out of host memory");
    *o = *kind;
    o->ctx = ctx;
    o->params = params;
    params->refs++;
    ct_hold(ctx);
    for (int i = 0; i < N_GROUPS; i++) o->groups[i].count = CT_REF_NONE;
    o->lr_binding = ct_binding_make(ctx, o->scalars[0]);
    ct_status status = o->lr_binding ? CT_OK : ct_fail(ctx, CT_ERR_MEMORY, "optimizer: out of host memory");
    for (int i = 0; i < N_GROUPS && !status; i++)
        status = make_group(o, &o->groups[i], i == 0 ? CT_F32 : CT_F64, first, second);
    if (!status && o->groups[0].n + o->groups[1].n == 0)
        status = ct_fail(ctx, CT_ERR_ARGUMENT, "optimizer: none of the %zu parameters requires a gradient", params->n);
    if (status) {
        ct_optimizer_destroy(o);
        return status;
    }
    *out = o;
    return CT_OK;
}

static bool at_least_zero(double x) { return x >= 0 && isfinite(x); }

ct_status ct_sgd_create(ct_context *ctx, ct_params *params, const ct_sgd_config *config, ct_optimizer **out)
{
    ct_sgd_config c;
    if (!out) return ctx ? ct_report(ctx, CT_ERR_ARGUMENT, "ct_sgd_create: out is NULL") : CT_ERR_ARGUMENT;
    *out = NULL;
    if (ct_ready(ctx)) return ct_ready(ctx);
    ct_sgd_defaults(&c);
    if (config) c = *config;
    if (!at_least_zero(c.lr) || !at_least_zero(c.momentum) || !isfinite(c.dampening) || !at_least_zero(c.weight_decay))
        return ct_fail(ctx, CT_ERR_ARGUMENT,
                       "ct_sgd_create: lr %g, momentum %g, dampening %g, weight_decay %g: want to be >= 0", c.lr,
                       c.momentum, c.dampening, c.weight_decay);
    if (c.nesterov && (c.momentum == 0 || c.dampening != 0))
        return ct_fail(ctx, CT_ERR_ARGUMENT, "ct_sgd_create: nesterov wants a momentum and no dampening");
    ct_optimizer kind = {.scalars = {c.lr, c.momentum, c.dampening, c.weight_decay}, .flag = c.nesterov};
    return make(ctx, params, &kind, c.momentum != 0, false, out);
}

ct_status ct_adam_create(ct_context *ctx, ct_params *params, const ct_adam_config *config, ct_optimizer **out)
{
    ct_adam_config c;
    if (!out) return ctx ? ct_report(ctx, CT_ERR_ARGUMENT, "ct_adam_create: out is NULL") : CT_ERR_ARGUMENT;
    *out = NULL;
    if (ct_ready(ctx)) return ct_ready(ctx);
    ct_adam_defaults(&c);
    if (config) c = *config;
    bool betas = c.beta1 >= 0 && c.beta1 < 1 && c.beta2 >= 0 && c.beta2 < 1;
    if (!at_least_zero(c.lr) || !betas || !at_least_zero(c.eps) || !at_least_zero(c.weight_decay))
        return ct_fail(ctx, CT_ERR_ARGUMENT,
                       "ct_adam_create: lr %g, betas %g and %g, eps %g, weight_decay %g: want to be >= 0, "
                       "betas below 1",
                       c.lr, c.beta1, c.beta2, c.eps, c.weight_decay);
    ct_optimizer kind = {.scalars = {c.lr, c.beta1, c.beta2, c.eps, c.weight_decay}, .adam = true, .flag = c.decoupled};
    return make(ctx, params, &kind, true, true, out);
}

static void free_group(ct_optimizer *o, group *g)
{
    ct_context *ctx = o->ctx;
    for (int64_t i = 0; ctx->open && i < g->n; i++) {
        if (g->rows[i].first_moment != CT_REF_NONE) ct_leaf_free(ctx, g->rows[i].first_moment);
        if (g->rows[i].second_moment != CT_REF_NONE) ct_leaf_free(ctx, g->rows[i].second_moment);
    }
    if (ctx->open && g->count != CT_REF_NONE) ct_leaf_free(ctx, g->count);
    ct_free(ctx, g->rows);
    ct_free(ctx, g->grads);
    ct_free(ctx, g->leaves);
}

void ct_optimizer_destroy(ct_optimizer *o)
{
    if (!o) return;
    ct_context *ctx = o->ctx;
    for (int i = 0; i < N_GROUPS; i++) free_group(o, &o->groups[i]);
    ct_binding_free(ctx, o->lr_binding);
    ct_params_destroy(o->params);
    ct_free(ctx, o);
    ct_drop(ctx);
}

/* ---- a step ------------------------------------------------------------------------------------------ */

/* The leaves must still be there: their slots may have been taken again. */
static ct_status check_leaves(ct_optimizer *o, const char *call, const group *g)
{
    ct_ref ref;
    for (int64_t i = 0; i < g->n; i++)
        if (!ct_resolve(o->ctx, call, "a parameter", g->leaves[i], &ref)) return o->ctx->status;
    return CT_OK;
}

ct_status ct_optimizer_step(ct_optimizer *o)
{
    if (!o) return CT_ERR_ARGUMENT;
    ct_context *ctx = o->ctx;
    ct_status status = ct_object_ready(ctx, "ct_optimizer_step");
    for (int i = 0; i < N_GROUPS && !status; i++) {
        const group *g = &o->groups[i];
        if (g->n == 0) continue;
        status = check_leaves(o, "ct_optimizer_step", g);
        if (status) return status;
        status = o->adam ? ct_record_adam(ctx, g->n, g->rows, g->count, o->scalars, o->lr_binding, o->flag)
                         : ct_record_sgd(ctx, g->n, g->rows, g->count, o->scalars, o->lr_binding, o->flag);
    }
    return status;
}

ct_status ct_optimizer_zero_grad(ct_optimizer *o)
{
    if (!o) return CT_ERR_ARGUMENT;
    ct_status status = ct_object_ready(o->ctx, "ct_optimizer_zero_grad");
    for (int i = 0; i < N_GROUPS && !status; i++) {
        const group *g = &o->groups[i];
        if (g->n == 0) continue;
        status = check_leaves(o, "ct_optimizer_zero_grad", g);
        if (!status) status = ct_record_zero(o->ctx, g->n, g->grads);
    }
    return status;
}

ct_status ct_optimizer_set_lr(ct_optimizer *o, double lr)
{
    if (!o) return CT_ERR_ARGUMENT;
    ct_status status = ct_object_ready(o->ctx, "ct_optimizer_set_lr");
    if (status) return status;
    if (!at_least_zero(lr)) return ct_fail(o->ctx, CT_ERR_ARGUMENT, "ct_optimizer_set_lr: %g; wants 0 or more", lr);
    o->scalars[0] = lr;
    ct_binding_set(o->ctx, o->lr_binding, lr);
    return CT_OK;
}

double ct_optimizer_get_lr(const ct_optimizer *o) { return o ? o->scalars[0] : NAN; }

/* ---- clipping ----------------------------------------------------------------------------------------- */

ct_status ct_clip_grad_norm(ct_params *params, double max_norm, ct_tensor *out_norm)
{
    if (!params) return CT_ERR_ARGUMENT;
    ct_context *ctx = params->ctx;
    ct_status status = ct_object_ready(ctx, "ct_clip_grad_norm");
    if (status) return status;
    if (!(max_norm >= 0))
        return ct_fail(ctx, CT_ERR_ARGUMENT, "ct_clip_grad_norm: max_norm is %g; wants 0 or more", max_norm);
    ct_ref few[64], *grads = params->n <= 64 ? few : ct_alloc(ctx, params->n * sizeof *grads);
    if (!grads) return ct_fail(ctx, CT_ERR_MEMORY, "ct_clip_grad_norm: out of host memory");
    int64_t n = 0;
    for (size_t i = 0; i < params->n; i++) {
        ct_ref ref;
        if (!ct_resolve(ctx, "ct_clip_grad_norm", params->leaves[i].name, params->leaves[i].leaf, &ref)) break;
        if (!ct_value_at(ctx, ref)->requires_grad) continue;
        grads[n++] = ct_leaf_at(ctx, ref)->grad;
        if (!ct_want_same_dtype(ctx, "ct_clip_grad_norm", grads[0], grads[n - 1])) break;
    }
    if (!ctx->status && n == 0) ct_fail(ctx, CT_ERR_STATE, "ct_clip_grad_norm: no parameter requires a gradient");
    ct_tensor norm = {0};
    if (!ctx->status) norm = ct_record_grad_norm(ctx, n, grads);
    if (!ctx->status) ct_record_clip_scale(ctx, n, grads, norm, max_norm);
    if (out_norm) *out_norm = ctx->status ? (ct_tensor){0} : norm;
    if (grads != few) ct_free(ctx, grads);
    return ctx->status;
}

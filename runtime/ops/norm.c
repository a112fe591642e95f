/* Normalisations: softmax and log_softmax along a dim, stable for any finite input; layer_norm and
 * batch_norm, to mean 0 and variance 1 and then to what gamma and beta say. */
#include "ops/op.h"
#include "program/lower.h"

static ct_tensor along_dim(ct_context *ctx, ct_opcode op, ct_tensor x, int dim)
{
    ct_ref ref;
    const char *name = ct_ops[op]->name;
    int d;
    if (!ct_operands(ctx, name, ct_ops[op], 1, &x, &ref) || !ct_want_float(ctx, name, ref)) return (ct_tensor){0};
    ct_shape shape = ct_shape_of(ctx, ref);
    if (!ct_dim(ctx, name, &shape, dim, &d)) return (ct_tensor){0};
    return ct_record_unary(ctx, op, ref, &shape, 1, &(int64_t){d}, 0, NULL);
}

ct_tensor ct_softmax(ct_context *ctx, ct_tensor x, int dim) { return along_dim(ctx, CT_OP_softmax, x, dim); }
ct_tensor ct_log_softmax(ct_context *ctx, ct_tensor x, int dim) { return along_dim(ctx, CT_OP_log_softmax, x, dim); }

/* dx = y (g - Σ g y) */
static void softmax_vjp(ct_context *ctx, ct_adjoint *a)
{
    int dim = (int)a->attr[0];
    ct_tensor gy = ct_mul(ctx, a->g[0], a->out[0]);
    ct_tensor sum = ct_sum(ctx, gy, 1, &dim, true);
    a->gin[0] = ct_mul(ctx, a->out[0], ct_sub(ctx, a->g[0], sum));
}

/* dx = g - eʸ Σ g */
static void log_softmax_vjp(ct_context *ctx, ct_adjoint *a)
{
    int dim = (int)a->attr[0];
    ct_tensor sum = ct_sum(ctx, a->g[0], 1, &dim, true);
    a->gin[0] = ct_sub(ctx, a->g[0], ct_mul(ctx, ct_exp(ctx, a->out[0]), sum));
}

/* p: x, y.  m, n, k: outer, dim, inner. */
static void lower(ct_lowering *l, ct_kernel_id kernel)
{
    const ct_shape *x = ct_in_shape(l, 0);
    if (x->numel == 0) return;
    ct_args *a = ct_emit(l, kernel, x->dtype);
    a->p[0] = ct_in(l, 0);
    a->p[1] = ct_out(l, 0);
    ct_split_at(x, (int)ct_attr(l, 0), a);
    ct_cost(l, 5 * (double)x->numel, ct_operand_bytes(l)); /* maximum, difference, exponential, sum, quotient */
}

static void softmax_lower(ct_lowering *l) { lower(l, CT_KERNEL_softmax); }
static void log_softmax_lower(ct_lowering *l) { lower(l, CT_KERNEL_log_softmax); }

const ct_op ct_op_softmax = {
    .name = "softmax", .operands = "x", .vjp = softmax_vjp, .lower = softmax_lower, .shown = "dim"};
const ct_op ct_op_log_softmax = {
    .name = "log_softmax", .operands = "x", .vjp = log_softmax_vjp, .lower = log_softmax_lower, .shown = "dim"};

/* ---- layer_norm and batch_norm --------------------------------------------------------------
 * y = gamma h + beta, h = (x - mean) r, r = 1/√(var + eps), mean and var over the dims that are
 * normalised: the last, or all but the channels, which are dim 1. A line is what has one mean.
 *
 * Inputs: x, for batch_norm running_mean and running_var, then gamma, then beta; the last two
 * may be missing. Outputs: y and h, like x; r, with the normalised dims of size 1. The gradient
 * rules read h and r, so that x need not stay. */

enum { NORM_EPS, NORM_MOMENTUM, NORM_N_SCALAR };

static int parameter_dim(bool channels, int ndim) { return channels ? 1 : ndim - 1; }
static uint32_t gamma_operand(bool channels) { return channels ? 3 : 1; }

static int all_dims_but(int dim, int ndim, int dims[CT_MAX_DIMS])
{
    int n = 0;
    for (int i = 0; i < ndim; i++)
        if (i != dim) dims[n++] = i;
    return n;
}

static int normalised_dims(bool channels, int ndim, int dims[CT_MAX_DIMS])
{
    if (channels) return all_dims_but(1, ndim, dims);
    dims[0] = ndim - 1;
    return 1;
}

static int64_t line_length(bool channels, const ct_shape *x)
{
    int dims[CT_MAX_DIMS], n = normalised_dims(channels, x->ndim, dims);
    int64_t length = 1;
    for (int i = 0; i < n; i++) length *= x->dim[dims[i]];
    return length;
}

/* gamma or beta, [c], so that it broadcasts to x. */
static ct_tensor spread(ct_context *ctx, bool channels, ct_tensor parameter, const ct_shape *x)
{
    int64_t shape[CT_MAX_DIMS] = {x->dim[parameter_dim(channels, x->ndim)], 1, 1, 1, 1, 1};
    return channels && x->ndim > 2 ? ct_reshape(ctx, parameter, x->ndim - 1, shape) : parameter;
}

/* Σ over all but the dim of the parameters: [c]. */
static ct_tensor sum_to_parameter(ct_context *ctx, bool channels, ct_tensor x)
{
    ct_shape s = ct_tensor_shape(ctx, x);
    int dims[CT_MAX_DIMS], n = all_dims_but(parameter_dim(channels, s.ndim), s.ndim, dims);
    return n ? ct_sum(ctx, x, n, dims, false) : x;
}

/* Σ, or its mean, of each line. */
static ct_tensor over_lines(ct_context *ctx, bool channels, ct_tensor x,
                            ct_tensor (*reduce)(ct_context *, ct_tensor, int, const int *, bool))
{
    int dims[CT_MAX_DIMS], n = normalised_dims(channels, ct_tensor_shape(ctx, x).ndim, dims);
    return reduce(ctx, x, n, dims, true);
}

/* ---- recording ---- */

typedef struct norm_operands {
    ct_shape x;
    ct_ref refs[5];
    uint8_t access[5];
    uint32_t n;
} norm_operands;

/* Checks a tensor of one value for each place in the dim of the parameters; adds it if `used`. */
static bool add_parameter(ct_context *ctx, bool channels, norm_operands *o, const char *name, ct_tensor tensor,
                          uint8_t access, bool used)
{
    const char *op = channels ? "batch_norm" : "layer_norm";
    ct_ref ref;
    if (!ct_resolve(ctx, op, name, tensor, &ref) || !ct_want_same_dtype(ctx, op, o->refs[0], ref)) return false;
    ct_shape s = ct_shape_of(ctx, ref);
    int64_t size = o->x.dim[parameter_dim(channels, o->x.ndim)];
    if (s.ndim != 1 || s.dim[0] != size) {
        ct_fail(ctx, CT_ERR_SHAPE, "%s: x %s, %s %s: wants [%lld]", op, ct_ref_text(ctx, o->refs[0]), name,
                ct_ref_text(ctx, ref), (long long)size);
        return false;
    }
    if (access != CT_READ && !ct_ref_is_leaf(ref)) {
        ct_fail(ctx, CT_ERR_ARGUMENT, "%s: %s %s is a step value; the running ones are leaves", op, name,
                ct_ref_text(ctx, ref));
        return false;
    }
    for (uint32_t i = 0; i < o->n; i++)
        if (o->refs[i] == ref && ((o->access[i] | access) & CT_WRITE)) {
            ct_fail(ctx, CT_ERR_ARGUMENT, "%s: %s %s is another operand too; a running one stands alone", op, name,
                    ct_ref_text(ctx, ref));
            return false;
        }
    if (!used) return true;
    o->refs[o->n] = ref;
    o->access[o->n++] = access;
    return true;
}

/* Without gamma, a beta is added apart. */
static bool add_gamma_and_beta(ct_context *ctx, bool channels, norm_operands *o, ct_tensor gamma, ct_tensor beta)
{
    return (!gamma.bits || add_parameter(ctx, channels, o, "gamma", gamma, CT_READ, true)) &&
           (!beta.bits || add_parameter(ctx, channels, o, "beta", beta, CT_READ, gamma.bits));
}

static bool start_norm(ct_context *ctx, bool channels, ct_tensor x, norm_operands *o)
{
    const char *op = channels ? "batch_norm" : "layer_norm";
    *o = (norm_operands){.n = 1, .access = {CT_READ}};
    if (!ct_operands(ctx, op, ct_ops[channels ? CT_OP_batch_norm : CT_OP_layer_norm], 1, &x, o->refs) ||
        !ct_want_float(ctx, op, o->refs[0]))
        return false;
    o->x = ct_shape_of(ctx, o->refs[0]);
    if (o->x.ndim > parameter_dim(channels, o->x.ndim) && o->x.ndim > 0) return true;
    ct_fail(ctx, CT_ERR_SHAPE, "%s: x %s: wants %s", op, ct_ref_text(ctx, o->refs[0]),
            channels ? "[n,c] or [n,c,..]" : "at least one dim");
    return false;
}

static ct_tensor record_norm(ct_context *ctx, bool channels, const norm_operands *o, const double scalar[NORM_N_SCALAR])
{
    int dims[CT_MAX_DIMS], n = normalised_dims(channels, o->x.ndim, dims);
    ct_shape kept = o->x, r;
    for (int i = 0; i < n; i++) kept.dim[dims[i]] = 1;
    if (!ct_shape_make(ctx, "norm", (ct_dtype)kept.dtype, kept.ndim, kept.dim, &r)) return (ct_tensor){0};
    return ct_tape_add(ctx, &(ct_entry){.op = channels ? CT_OP_batch_norm : CT_OP_layer_norm,
                                        .n_in = o->n,
                                        .in = o->refs,
                                        .access = o->access,
                                        .n_out = 3,
                                        .out = (ct_shape[]){o->x, o->x, r},
                                        .n_scalar = NORM_N_SCALAR,
                                        .scalar = scalar});
}

ct_tensor ct_layer_norm(ct_context *ctx, ct_tensor x, ct_tensor gamma, ct_tensor beta, double eps)
{
    norm_operands o;
    if (!start_norm(ctx, false, x, &o) || !add_gamma_and_beta(ctx, false, &o, gamma, beta)) return (ct_tensor){0};
    ct_tensor y = record_norm(ctx, false, &o, (double[]){eps, 0});
    return beta.bits && !gamma.bits ? ct_add(ctx, y, beta) : y;
}

/* y = gamma (x - running_mean) / √(running_var + eps), but for beta. */
static ct_tensor norm_by_running(ct_context *ctx, const norm_operands *o, ct_tensor x, ct_tensor gamma,
                                 ct_tensor running_mean, ct_tensor running_var, double eps)
{
    ct_tensor mean = ct_detach(ctx, running_mean), var = ct_detach(ctx, running_var);
    ct_tensor scale = ct_rsqrt(ctx, ct_add_scalar(ctx, var, eps));
    if (gamma.bits) scale = ct_mul(ctx, scale, gamma);
    return ct_mul(ctx, ct_sub(ctx, x, spread(ctx, true, mean, &o->x)), spread(ctx, true, scale, &o->x));
}

ct_tensor ct_batch_norm(ct_context *ctx, ct_tensor x, ct_tensor gamma, ct_tensor beta, ct_tensor running_mean,
                        ct_tensor running_var, double momentum, double eps)
{
    norm_operands o;
    if (!start_norm(ctx, true, x, &o) || !add_parameter(ctx, true, &o, "running_mean", running_mean, CT_UPDATE, true) ||
        !add_parameter(ctx, true, &o, "running_var", running_var, CT_UPDATE, true) ||
        !add_gamma_and_beta(ctx, true, &o, gamma, beta))
        return (ct_tensor){0};
    if (!(momentum >= 0 && momentum <= 1)) {
        ct_fail(ctx, CT_ERR_ARGUMENT, "batch_norm: momentum is %g; wants 0 to 1", momentum);
        return (ct_tensor){0};
    }
    if (ctx->training && line_length(true, &o.x) == 1) {
        ct_fail(ctx, CT_ERR_SHAPE, "batch_norm: x %s: training wants more than one value per channel",
                ct_ref_text(ctx, o.refs[0]));
        return (ct_tensor){0};
    }
    bool fused = ctx->training;
    ct_tensor y = fused ? record_norm(ctx, true, &o, (double[]){eps, momentum})
                        : norm_by_running(ctx, &o, x, gamma, running_mean, running_var, eps);
    return beta.bits && (!fused || !gamma.bits) ? ct_add(ctx, y, spread(ctx, true, beta, &o.x)) : y;
}

/* dx = r (g' - mean(g') - h mean(g' h)), g' = gamma g, the means those of a line: an op of its own, so
 * that it is one launch. gamma: or the zero tensor. */
static ct_tensor norm_grad(ct_context *ctx, bool channels, ct_tensor g, ct_tensor h, ct_tensor r, ct_tensor gamma)
{
    ct_ref refs[4];
    uint32_t n = gamma.bits ? 4 : 3;
    const ct_opcode op = channels ? CT_OP_batch_norm_grad : CT_OP_layer_norm_grad;
    if (!ct_operands(ctx, "norm_grad", ct_ops[op], (int)n, (ct_tensor[]){g, h, r, gamma}, refs)) return (ct_tensor){0};
    ct_shape shape = ct_shape_of(ctx, refs[0]);
    return ct_tape_add(ctx, &(ct_entry){.op = (uint16_t)op, .n_in = n, .in = refs, .n_out = 1, .out = &shape});
}

/* ---- gradients ---- */

/* To h go gamma gy and gh, and from there to x; to r goes gr, and dr/dx = -r² h / N. */
static void norm_vjp(ct_context *ctx, ct_adjoint *a, bool channels)
{
    ct_tensor gy = a->g[0], gh = a->g[1], gr = a->g[2], h = a->out[1], r = a->out[2], gamma = {0}, dx = {0};
    ct_shape x = ct_tensor_shape(ctx, h);
    const uint32_t first = gamma_operand(channels);
    if (a->n_in > first) gamma = a->in[first];
    if (gy.bits && a->n_in > first && a->needs[first])
        a->gin[first] = sum_to_parameter(ctx, channels, ct_mul(ctx, gy, h));
    if (gy.bits && a->n_in > first + 1 && a->needs[first + 1]) a->gin[first + 1] = sum_to_parameter(ctx, channels, gy);
    if (!a->needs[0]) return;
    if (gh.bits && gy.bits) {
        gh = ct_add(ctx, gh, gamma.bits ? ct_mul(ctx, gy, spread(ctx, channels, gamma, &x)) : gy);
        dx = norm_grad(ctx, channels, gh, h, r, (ct_tensor){0});
    } else if (gh.bits) {
        dx = norm_grad(ctx, channels, gh, h, r, (ct_tensor){0});
    } else if (gy.bits) {
        dx = norm_grad(ctx, channels, gy, h, r, gamma);
    }
    if (gr.bits) {
        ct_tensor by_r = ct_mul(ctx, ct_mul(ctx, gr, ct_square(ctx, r)), h);
        by_r = ct_mul_scalar(ctx, by_r, -1.0 / (double)line_length(channels, &x));
        dx = dx.bits ? ct_add(ctx, dx, by_r) : by_r;
    }
    a->gin[0] = dx;
}

/* With v the adjoint of dx, and w = r (v - mean(v) - h mean(v h)), for the map is its own transpose:
 * dg = gamma w;  dgamma = Σ g w;  dh = -r (v mean(g' h) + g' mean(v h));  dr = Σ v dx / r. */
static void norm_grad_vjp(ct_context *ctx, ct_adjoint *a, bool channels)
{
    ct_tensor g = a->in[0], h = a->in[1], r = a->in[2], gamma = a->n_in == 4 ? a->in[3] : (ct_tensor){0}, v = a->g[0];
    ct_shape x = ct_tensor_shape(ctx, g);
    ct_tensor factor = gamma.bits ? spread(ctx, channels, gamma, &x) : gamma;
    ct_tensor w = norm_grad(ctx, channels, v, h, r, (ct_tensor){0});
    if (a->needs[0]) a->gin[0] = gamma.bits ? ct_mul(ctx, w, factor) : w;
    if (gamma.bits && a->needs[3]) a->gin[3] = sum_to_parameter(ctx, channels, ct_mul(ctx, g, w));
    if (a->needs[1]) {
        ct_tensor scaled = gamma.bits ? ct_mul(ctx, g, factor) : g;
        ct_tensor by_g = ct_mul(ctx, v, over_lines(ctx, channels, ct_mul(ctx, scaled, h), ct_mean));
        ct_tensor by_v = ct_mul(ctx, scaled, over_lines(ctx, channels, ct_mul(ctx, v, h), ct_mean));
        a->gin[1] = ct_neg(ctx, ct_mul(ctx, r, ct_add(ctx, by_g, by_v)));
    }
    if (a->needs[2]) a->gin[2] = ct_div(ctx, over_lines(ctx, channels, ct_mul(ctx, v, a->out[0]), ct_sum), r);
}

static void layer_norm_vjp(ct_context *ctx, ct_adjoint *a) { norm_vjp(ctx, a, false); }
static void batch_norm_vjp(ct_context *ctx, ct_adjoint *a) { norm_vjp(ctx, a, true); }
static void layer_norm_grad_vjp(ct_context *ctx, ct_adjoint *a) { norm_grad_vjp(ctx, a, false); }
static void batch_norm_grad_vjp(ct_context *ctx, ct_adjoint *a) { norm_grad_vjp(ctx, a, true); }

/* ---- lowering ---- */

/* m, n: lines, elements of one.  k: of them, neighbours in memory. */
static void set_lines(const ct_shape *x, bool channels, ct_args *a)
{
    int dim = parameter_dim(channels, x->ndim);
    a->n = line_length(channels, x);
    a->m = x->numel / a->n;
    a->k = channels ? 1 : a->n;
    for (int i = dim + 1; i < x->ndim; i++) a->k *= x->dim[i];
}

/* p: x, gamma, beta, y, h, and r or a row {r, running_mean, running_var}.  scalar: eps, momentum. */
static void lower_norm(ct_lowering *l, bool channels)
{
    const ct_shape *x = ct_in_shape(l, 0);
    const uint32_t first = gamma_operand(channels);
    if (x->numel == 0) {
        if (ct_out_shape(l, 2)->numel == 0 || !ct_out(l, 2)) return;
        ct_args *zero = ct_emit(l, CT_KERNEL_zero, x->dtype); /* of no elements there is no r */
        zero->p[0] = ct_out(l, 2);
        zero->n = ct_out_shape(l, 2)->numel;
        ct_cost(l, 0, (double)ct_shape_bytes(ct_out_shape(l, 2)));
        return;
    }
    void *statistics = ct_out(l, 2);
    if (channels) {
        const ct_tensor_row row = {.p = {statistics, ct_in(l, 1), ct_in(l, 2)}};
        statistics = ct_constant_bytes(l, &row, sizeof row);
    }
    ct_args *a = ct_emit(l, channels ? CT_KERNEL_batch_norm : CT_KERNEL_layer_norm, x->dtype);
    a->p[0] = ct_in(l, 0);
    a->p[1] = ct_n_in(l) > first ? ct_in(l, first) : NULL;
    a->p[2] = ct_n_in(l) > first + 1 ? ct_in(l, first + 1) : NULL;
    a->p[3] = ct_out(l, 0);
    a->p[4] = ct_out(l, 1);
    a->p[5] = statistics;
    set_lines(x, channels, a);
    /* The mean; difference, square and sum for the variance; h; then gamma and beta. */
    const int flops = 6 + (a->p[1] != NULL) + (a->p[2] != NULL);
    ct_cost(l, flops * (double)x->numel, ct_operand_bytes(l));
}

/* p: g, h, r, gamma, dx. */
static void lower_norm_grad(ct_lowering *l, bool channels)
{
    const ct_shape *g = ct_in_shape(l, 0);
    if (g->numel == 0) return;
    ct_args *a = ct_emit(l, channels ? CT_KERNEL_batch_norm_grad : CT_KERNEL_layer_norm_grad, g->dtype);
    for (uint32_t i = 0; i < ct_n_in(l); i++) a->p[i] = ct_in(l, i);
    a->p[4] = ct_out(l, 0);
    set_lines(g, channels, a);
    /* gamma; the two means, one of a product; and four for the result. */
    ct_cost(l, (7 + (a->p[3] != NULL)) * (double)g->numel, ct_operand_bytes(l));
}

static void layer_norm_lower(ct_lowering *l) { lower_norm(l, false); }
static void batch_norm_lower(ct_lowering *l) { lower_norm(l, true); }
static void layer_norm_grad_lower(ct_lowering *l) { lower_norm_grad(l, false); }
static void batch_norm_grad_lower(ct_lowering *l) { lower_norm_grad(l, true); }

const ct_op ct_op_layer_norm = {.name = "layer_norm",
                                .operands = "x gamma beta",
                                .saved = 1 << 1,
                                .vjp = layer_norm_vjp,
                                .lower = layer_norm_lower,
                                .shown = "; eps"};
const ct_op ct_op_batch_norm = {.name = "batch_norm",
                                .operands = "x running_mean running_var gamma beta",
                                .flags = CT_OP_EFFECT,
                                .saved = 1 << 3,
                                .vjp = batch_norm_vjp,
                                .lower = batch_norm_lower,
                                .shown = "; eps momentum"};
const ct_op ct_op_layer_norm_grad = {.name = "layer_norm_grad",
                                     .operands = "g h r gamma",
                                     .saved = 15,
                                     .vjp = layer_norm_grad_vjp,
                                     .lower = layer_norm_grad_lower};
const ct_op ct_op_batch_norm_grad = {.name = "batch_norm_grad",
                                     .operands = "g h r gamma",
                                     .saved = 15,
                                     .vjp = batch_norm_grad_vjp,
                                     .lower = batch_norm_grad_lower};

/* Losses that give the loss and its gradient in one pass.
 *
 * The second output is d loss / d x for an adjoint of one, so that a backward from
 * the loss finds its work done. It is an output like any other, with a gradient rule
 * of its own: that is where second derivatives come from.
 */
#include "ops/op.h"
#include "program/lower.h"

/* The kernels number the reductions as the header does. */
_Static_assert(CT_REDUCE_MEAN == 0 && CT_REDUCE_SUM == 1 && CT_REDUCE_NONE == 2, "kernels/cpu/loss.c");

static bool check_reduction(ct_context *ctx, const char *op, ct_reduction reduction)
{
    if (reduction == CT_REDUCE_MEAN || reduction == CT_REDUCE_SUM || reduction == CT_REDUCE_NONE) return true;
    ct_fail(ctx, CT_ERR_ARGUMENT, "%s: %d is no reduction", op, (int)reduction);
    return false;
}

/* ---- cross entropy over the last dim of logits [n, c] ----------------------------------
 * Outputs: loss [] or [n]; dlogits [n,c] = w (softmax - target); w [n,1], the weight of
 * a row: 1, or 1/rows counted for the mean, or 0 where the label is ignored. */

enum { CE_REDUCTION, CE_IGNORE, CE_N_ATTR };

ct_tensor ct_cross_entropy(ct_context *ctx, ct_tensor logits, ct_tensor labels, double label_smoothing,
                           int64_t ignore_index, ct_reduction reduction)
{
    ct_ref refs[2];
    if (!ct_operands(ctx, "cross_entropy", ct_ops[CT_OP_cross_entropy], 2, (ct_tensor[]){logits, labels}, refs) ||
        !ct_want_float(ctx, "cross_entropy", refs[0]) || !check_reduction(ctx, "cross_entropy", reduction))
        return (ct_tensor){0};
    ct_shape x = ct_shape_of(ctx, refs[0]), y = ct_shape_of(ctx, refs[1]);
    if (x.ndim != 2 || y.ndim != 1 || x.dim[0] != y.dim[0] || x.dim[1] == 0) {
        ct_fail(ctx, CT_ERR_SHAPE, "cross_entropy: logits %s, labels %s: wants [n,c] and [n]",
                ct_ref_text(ctx, refs[0]), ct_ref_text(ctx, refs[1]));
        return (ct_tensor){0};
    }
    if (ct_is_float(y.dtype)) {
        ct_fail(ctx, CT_ERR_DTYPE, "cross_entropy: labels %s are %s; wants i32, i64 or u8", ct_ref_text(ctx, refs[1]),
                ct_dtype_name(y.dtype));
        return (ct_tensor){0};
    }
    if (!(label_smoothing >= 0 && label_smoothing <= 1)) {
        ct_fail(ctx, CT_ERR_ARGUMENT, "cross_entropy: label_smoothing is %g; wants 0 to 1", label_smoothing);
        return (ct_tensor){0};
    }
    ct_shape loss = ct_scalar_shape(x.dtype), weight;
    if (reduction == CT_REDUCE_NONE) loss.ndim = 1, loss.dim[0] = loss.numel = x.dim[0];
    if (!ct_shape_make(ctx, "cross_entropy", (ct_dtype)x.dtype, 2, (int64_t[]){x.dim[0], 1}, &weight))
        return (ct_tensor){0};
    return ct_tape_add(ctx, &(ct_entry){.op = CT_OP_cross_entropy,
                                        .n_in = 2,
                                        .in = refs,
                                        .n_out = 3,
                                        .out = (ct_shape[]){loss, x, weight},
                                        .n_attr = CE_N_ATTR,
                                        .attr = (int64_t[]){(int64_t)reduction, ignore_index},
                                        .n_scalar = 1,
                                        .scalar = &label_smoothing});
}

/* From the loss: g dlogits. From dlogits, u: w p (u - Σ p u), p = softmax(logits). */
static void cross_entropy_vjp(ct_context *ctx, ct_adjoint *a)
{
    ct_tensor g = a->g[0], u = a->g[1], dx = {0};
    if (g.bits) {
        if (a->attr[CE_REDUCTION] == CT_REDUCE_NONE) g = ct_reshape(ctx, g, 2, (int64_t[]){-1, 1});
        dx = ct_scale_by(ctx, a->out[1], g);
    }
    if (u.bits) {
        int last = 1;
        ct_tensor p = ct_softmax(ctx, a->in[0], last), pu = ct_mul(ctx, p, u);
        ct_tensor centred = ct_sub(ctx, pu, ct_mul(ctx, p, ct_sum(ctx, pu, 1, &last, true)));
        ct_tensor second = ct_mul(ctx, centred, ct_detach(ctx, a->out[2]));
        dx = dx.bits ? ct_add(ctx, dx, second) : second;
    }
    a->gin[0] = dx;
}

/* A row's loss where the loss is one number: they are added in the order of the rows. */
static size_t cross_entropy_scratch(const ct_context *ctx, const ct_shape *const *in, const ct_shape *out,
                                    const int64_t *attr)
{
    (void)ctx;
    return attr[CE_REDUCTION] == CT_REDUCE_NONE ? 0 : ((size_t)in[0]->dim[0] + 1) * ct_dtype_bytes(out->dtype);
}

/* p: logits, labels, loss, dlogits, w, row losses.  m, n: rows, classes.
 * i: reduction, ignored label, dtype of the labels.  scalar: smoothing. */
static void cross_entropy_lower(ct_lowering *l)
{
    const ct_shape *x = ct_in_shape(l, 0);
    ct_args *a = ct_emit(l, CT_KERNEL_cross_entropy, x->dtype);
    a->p[0] = ct_in(l, 0);
    a->p[1] = ct_in(l, 1);
    for (uint32_t i = 0; i < 3; i++) a->p[2 + i] = ct_out(l, i);
    a->p[5] = ct_scratch(l);
    a->m = x->dim[0], a->n = x->dim[1];
    a->i[0] = ct_attr(l, CE_REDUCTION);
    a->i[1] = ct_attr(l, CE_IGNORE);
    a->i[2] = ct_in_shape(l, 1)->dtype;
    /* Maximum, difference, exponential, sum; quotient, less the target, by the weight. */
    ct_cost(l, (a->p[3] ? 7 : 4) * (double)x->numel, ct_operand_bytes(l));
}

const ct_op ct_op_cross_entropy = {.name = "cross_entropy",
                                   .operands = "logits labels",
                                   .saved = 1,
                                   .vjp = cross_entropy_vjp,
                                   .lower = cross_entropy_lower,
                                   .scratch = cross_entropy_scratch,
                                   .shown = "reduction ignore_index=-100; label_smoothing=0"};

/* ---- losses of two tensors, element by element ------------------------------------------------
 * Outputs: loss, and dx = scale l'(x), with scale 1 or 1/numel; the formulas of l and l' stand with
 * the kernels (kernels/loss.def). Here stand the second derivatives. */

enum { PAIR_SCALE, PAIR_DELTA, PAIR_N_SCALAR };

/* `delta` is 0 for a loss that has none. */
static ct_tensor pair_loss(ct_context *ctx, ct_opcode op, ct_tensor x, ct_tensor y, double delta,
                           ct_reduction reduction)
{
    const char *name = ct_ops[op]->name;
    ct_ref refs[2];
    if (!ct_operands(ctx, name, ct_ops[op], 2, (ct_tensor[]){x, y}, refs) || !ct_want_float(ctx, name, refs[0]) ||
        !ct_want_same_dtype(ctx, name, refs[0], refs[1]) || !check_reduction(ctx, name, reduction))
        return (ct_tensor){0};
    ct_shape shape = ct_shape_of(ctx, refs[0]), other = ct_shape_of(ctx, refs[1]);
    if (!ct_shape_equal(&shape, &other)) {
        ct_fail(ctx, CT_ERR_SHAPE, "%s: x %s, y %s: a loss does not broadcast", name, ct_ref_text(ctx, refs[0]),
                ct_ref_text(ctx, refs[1]));
        return (ct_tensor){0};
    }
    ct_shape loss = reduction == CT_REDUCE_NONE ? shape : ct_scalar_shape(shape.dtype);
    double scale = reduction == CT_REDUCE_MEAN ? 1.0 / (double)shape.numel : 1;
    return ct_tape_add(ctx, &(ct_entry){.op = (uint16_t)op,
                                        .n_in = 2,
                                        .in = refs,
                                        .n_out = 2,
                                        .out = (ct_shape[]){loss, shape},
                                        .n_attr = 1,
                                        .attr = &(int64_t){(int64_t)reduction},
                                        .n_scalar = PAIR_N_SCALAR,
                                        .scalar = (double[]){scale, delta}});
}

ct_tensor ct_mse_loss(ct_context *ctx, ct_tensor x, ct_tensor y, ct_reduction reduction)
{
    return pair_loss(ctx, CT_OP_mse_loss, x, y, 0, reduction);
}

ct_tensor ct_l1_loss(ct_context *ctx, ct_tensor x, ct_tensor y, ct_reduction reduction)
{
    return pair_loss(ctx, CT_OP_l1_loss, x, y, 0, reduction);
}

ct_tensor ct_huber_loss(ct_context *ctx, ct_tensor x, ct_tensor y, double delta, ct_reduction reduction)
{
    if (ct_ready(ctx)) return (ct_tensor){0};
    if (!(delta > 0)) {
        ct_fail(ctx, CT_ERR_ARGUMENT, "huber_loss: delta is %g; wants more than 0", delta);
        return (ct_tensor){0};
    }
    return pair_loss(ctx, CT_OP_huber_loss, x, y, delta, reduction);
}

ct_tensor ct_bce_with_logits(ct_context *ctx, ct_tensor x, ct_tensor y, ct_reduction reduction)
{
    return pair_loss(ctx, CT_OP_bce_with_logits, x, y, 0, reduction);
}

static ct_tensor sum_of(ct_context *ctx, ct_tensor a, ct_tensor b)
{
    return a.bits && b.bits ? ct_add(ctx, a, b) : a.bits ? a : b;
}

/* From the loss, g, and from dx, u: g dx + scale u l''(x). `second` is scale u l''; the zero tensor: zero. */
static ct_tensor by_x(ct_context *ctx, const ct_adjoint *a, ct_tensor second)
{
    return sum_of(ctx, a->g[0].bits ? ct_scale_by(ctx, a->out[1], a->g[0]) : (ct_tensor){0}, second);
}

/* Of a loss of x - y. */
static void by_difference(ct_context *ctx, ct_adjoint *a, ct_tensor second)
{
    ct_tensor dx = by_x(ctx, a, second);
    a->gin[0] = dx;
    if (a->needs[1] && dx.bits) a->gin[1] = ct_neg(ctx, dx);
}

/* l'' = 2 */
static void mse_loss_vjp(ct_context *ctx, ct_adjoint *a)
{
    ct_tensor u = a->g[1];
    by_difference(ctx, a, u.bits ? ct_mul_scalar(ctx, u, 2 * a->scalar[PAIR_SCALE]) : u);
}

/* l'' = 0, at the kink too, as torch has it. */
static void l1_loss_vjp(ct_context *ctx, ct_adjoint *a) { by_difference(ctx, a, (ct_tensor){0}); }

/* l'' = [|x - y| < delta] */
static void huber_loss_vjp(ct_context *ctx, ct_adjoint *a)
{
    ct_tensor second = {0};
    if (a->g[1].bits) {
        ct_shape scalar = ct_scalar_shape(ct_tensor_shape(ctx, a->in[0]).dtype);
        ct_tensor distance = ct_abs(ctx, ct_sub(ctx, a->in[0], a->in[1]));
        ct_tensor inside = ct_lt(ctx, distance, ct_constant(ctx, &scalar, a->scalar[PAIR_DELTA]));
        second = ct_mul(ctx, ct_mul_scalar(ctx, a->g[1], a->scalar[PAIR_SCALE]), inside);
    }
    by_difference(ctx, a, second);
}

/* l'' = s (1 - s) with s = sigmoid(x); 1 - s is sigmoid(-x), which keeps its digits where s is nearly 1.
 * By y: the loss is linear in it, with the slope -x, and dx with the slope -1. */
static void bce_with_logits_vjp(ct_context *ctx, ct_adjoint *a)
{
    ct_tensor x = a->in[0], g = a->g[0], second = {0}, dy = {0};
    if (a->g[1].bits) {
        ct_tensor u = ct_mul_scalar(ctx, a->g[1], a->scalar[PAIR_SCALE]);
        second = ct_mul(ctx, u, ct_mul(ctx, ct_sigmoid(ctx, x), ct_sigmoid(ctx, ct_neg(ctx, x))));
        if (a->needs[1]) dy = ct_neg(ctx, u);
    }
    if (a->needs[0]) a->gin[0] = by_x(ctx, a, second);
    if (!a->needs[1]) return;
    if (g.bits) dy = sum_of(ctx, ct_scale_by(ctx, ct_mul_scalar(ctx, x, -a->scalar[PAIR_SCALE]), g), dy);
    a->gin[1] = dy;
}

static size_t pair_loss_scratch(const ct_context *ctx, const ct_shape *const *in, const ct_shape *out,
                                const int64_t *attr)
{
    (void)ctx;
    return attr[0] == CT_REDUCE_NONE ? 0 : (size_t)ct_partials(in[0]->numel) * ct_dtype_bytes(out->dtype);
}

/* p: x, y, loss, dx, partial sums.  n, k: elements, partial sums.  i: reduction.  scalar: scale, delta. */
static void lower_pair_loss(ct_lowering *l, ct_kernel_id kernel, int value_flops, int slope_flops)
{
    const ct_shape *x = ct_in_shape(l, 0);
    ct_args *a = ct_emit(l, kernel, x->dtype);
    a->p[0] = ct_in(l, 0);
    a->p[1] = ct_in(l, 1);
    a->p[2] = ct_out(l, 0);
    a->p[3] = ct_out(l, 1);
    a->p[4] = ct_scratch(l);
    a->n = x->numel, a->k = ct_partials(x->numel);
    a->i[0] = ct_attr(l, 0);
    /* Of a loss that nobody reads there is no value; it is summed where it is one number; the slope is scaled. */
    const int value = a->p[2] ? value_flops + (a->i[0] != CT_REDUCE_NONE) : 0, slope = a->p[3] ? slope_flops + 1 : 0;
    ct_cost(l, (value + slope) * (double)x->numel, ct_operand_bytes(l));
}

#define PAIR_LOSS(op, reads, value_flops, slope_flops, attributes)                                                     \
    static void op##_lower(ct_lowering *l) { lower_pair_loss(l, CT_KERNEL_##op, value_flops, slope_flops); }           \
    const ct_op ct_op_##op = {.name = #op,                                                                             \
                              .operands = "x y",                                                                       \
                              .saved = reads,                                                                          \
                              .vjp = op##_vjp,                                                                         \
                              .lower = op##_lower,                                                                     \
                              .scratch = pair_loss_scratch,                                                            \
                              .shown = attributes};

/* The FLOPs are those of kernels/loss.def, the difference x - y with the value. */
PAIR_LOSS(mse_loss, 0, 2, 1, "reduction")
PAIR_LOSS(l1_loss, 0, 2, 1, "reduction")
PAIR_LOSS(huber_loss, 3, 5, 2, "reduction; - delta")
PAIR_LOSS(bce_with_logits, 1, 8, 5, "reduction")

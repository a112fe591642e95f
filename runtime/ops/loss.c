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
    static const char *const names[] = {"logits", "labels"};
    ct_ref refs[2];
    if (!ct_operands(ctx, "cross_entropy", 2, (ct_tensor[]){logits, labels}, names, refs) ||
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
static size_t cross_entropy_scratch(const ct_shape *const *in, const ct_shape *out, const int64_t *attr)
{
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
    ct_cost(l, 30.0 * (double)x->numel, 2 * (double)ct_shape_bytes(x));
}

const ct_op ct_op_cross_entropy = {.name = "cross_entropy",
                                   .saved = 1,
                                   .vjp = cross_entropy_vjp,
                                   .lower = cross_entropy_lower,
                                   .scratch = cross_entropy_scratch,
                                   .shown = "reduction ignore_index=-100; label_smoothing=0"};

/* ---- mean squared error -------------------------------------------------------------------
 * Outputs: loss, and dx = c (x - y) with c = 2 or 2/numel. */

ct_tensor ct_mse_loss(ct_context *ctx, ct_tensor x, ct_tensor y, ct_reduction reduction)
{
    static const char *const names[] = {"x", "y"};
    ct_ref refs[2];
    if (!ct_operands(ctx, "mse_loss", 2, (ct_tensor[]){x, y}, names, refs) ||
        !ct_want_float(ctx, "mse_loss", refs[0]) || !ct_want_same_dtype(ctx, "mse_loss", refs[0], refs[1]) ||
        !check_reduction(ctx, "mse_loss", reduction))
        return (ct_tensor){0};
    ct_shape shape = ct_shape_of(ctx, refs[0]), other = ct_shape_of(ctx, refs[1]);
    if (!ct_shape_equal(&shape, &other)) {
        ct_fail(ctx, CT_ERR_SHAPE, "mse_loss: x %s, y %s: a loss does not broadcast", ct_ref_text(ctx, refs[0]),
                ct_ref_text(ctx, refs[1]));
        return (ct_tensor){0};
    }
    ct_shape loss = reduction == CT_REDUCE_NONE ? shape : ct_scalar_shape(shape.dtype);
    double scale = reduction == CT_REDUCE_MEAN ? 1.0 / (double)shape.numel : 1;
    return ct_tape_add(ctx, &(ct_entry){.op = CT_OP_mse_loss,
                                        .n_in = 2,
                                        .in = refs,
                                        .n_out = 2,
                                        .out = (ct_shape[]){loss, shape},
                                        .n_attr = 1,
                                        .attr = &(int64_t){(int64_t)reduction},
                                        .n_scalar = 1,
                                        .scalar = &scale});
}

/* From the loss: ± g dx. From dx, u: ± 2 scale u. */
static void mse_loss_vjp(ct_context *ctx, ct_adjoint *a)
{
    ct_tensor g = a->g[0], u = a->g[1], dx = {0};
    if (g.bits) dx = ct_scale_by(ctx, a->out[1], g);
    if (u.bits) {
        ct_tensor second = ct_mul_scalar(ctx, u, 2 * a->scalar[0]);
        dx = dx.bits ? ct_add(ctx, dx, second) : second;
    }
    a->gin[0] = dx;
    if (a->needs[1]) a->gin[1] = ct_neg(ctx, dx);
}

static size_t mse_loss_scratch(const ct_shape *const *in, const ct_shape *out, const int64_t *attr)
{
    return attr[0] == CT_REDUCE_NONE ? 0 : (size_t)ct_partials(in[0]->numel) * ct_dtype_bytes(out->dtype);
}

/* p: x, y, loss, dx, partial sums.  n, k: elements, partial sums.  i: reduction. */
static void mse_loss_lower(ct_lowering *l)
{
    const ct_shape *x = ct_in_shape(l, 0);
    ct_args *a = ct_emit(l, CT_KERNEL_mse_loss, x->dtype);
    a->p[0] = ct_in(l, 0);
    a->p[1] = ct_in(l, 1);
    a->p[2] = ct_out(l, 0);
    a->p[3] = ct_out(l, 1);
    a->p[4] = ct_scratch(l);
    a->n = x->numel, a->k = ct_partials(x->numel);
    a->i[0] = ct_attr(l, 0);
    ct_cost(l, 4.0 * (double)x->numel, 3 * (double)ct_shape_bytes(x));
}

const ct_op ct_op_mse_loss = {.name = "mse_loss",
                              .saved = 0,
                              .vjp = mse_loss_vjp,
                              .lower = mse_loss_lower,
                              .scratch = mse_loss_scratch,
                              .shown = "reduction"};

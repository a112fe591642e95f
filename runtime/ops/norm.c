/* Normalisations along a dim: softmax and log_softmax, stable for any finite input. */
#include "ops/op.h"
#include "program/lower.h"

static ct_tensor along_dim(ct_context *ctx, ct_opcode op, ct_tensor x, int dim)
{
    static const char *const names[] = {"x"};
    ct_ref ref;
    const char *name = ct_ops[op]->name;
    int d;
    if (!ct_operands(ctx, name, 1, &x, names, &ref) || !ct_want_float(ctx, name, ref)) return (ct_tensor){0};
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
    ct_cost(l, 20.0 * (double)x->numel, 2 * (double)ct_shape_bytes(x));
}

static void softmax_lower(ct_lowering *l) { lower(l, CT_KERNEL_softmax); }
static void log_softmax_lower(ct_lowering *l) { lower(l, CT_KERNEL_log_softmax); }

const ct_op ct_op_softmax = {.name = "softmax", .vjp = softmax_vjp, .lower = softmax_lower, .shown = "dim"};
const ct_op ct_op_log_softmax = {
    .name = "log_softmax", .vjp = log_softmax_vjp, .lower = log_softmax_lower, .shown = "dim"};

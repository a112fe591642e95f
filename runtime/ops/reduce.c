/* Reductions: sum, mean, amax, amin, logsumexp and var over any dims, argmax along one. */
#include "ops/op.h"
#include "program/lower.h"

/* Attributes of all but argmax: which dims go, as bits, and whether they stay as size 1. */

typedef struct reduction {
    ct_ref x;
    ct_shape out;
    int64_t attr[2];
    int64_t count; /* elements that go into one of the output */
} reduction;

/* What a call asks for; false with the error standing. */
static bool reduction_of(ct_context *ctx, const char *name, ct_opcode op, ct_tensor x, int n_dims, const int *dims,
                         bool keepdim, reduction *r)
{
    if (!ct_operands(ctx, name, ct_ops[op], 1, &x, &r->x) || !ct_want_float(ctx, name, r->x)) return false;
    ct_shape shape = ct_shape_of(ctx, r->x);
    int64_t mask = 0, kept[CT_MAX_DIMS];
    int n_kept = 0;
    if (n_dims < 0) {
        ct_fail(ctx, CT_ERR_ARGUMENT, "%s: %d dims", name, n_dims);
        return false;
    }
    if (!dims) n_dims = 0;
    for (int i = 0; i < n_dims; i++) {
        int dim;
        if (!ct_dim(ctx, name, &shape, dims[i], &dim)) return false;
        if (mask >> dim & 1) {
            ct_fail(ctx, CT_ERR_ARGUMENT, "%s: dim %d is named twice", name, dim);
            return false;
        }
        mask |= (int64_t)1 << dim;
    }
    if (n_dims == 0) mask = ((int64_t)1 << CT_MAX_DIMS) - 1;
    r->count = 1;
    for (int i = 0; i < shape.ndim; i++) {
        bool reduced = mask >> i & 1;
        if (reduced) r->count *= shape.dim[i];
        if (!reduced || keepdim) kept[n_kept++] = reduced ? 1 : shape.dim[i];
    }
    r->attr[0] = mask, r->attr[1] = keepdim;
    return ct_shape_make(ctx, name, (ct_dtype)shape.dtype, n_kept, kept, &r->out);
}

static ct_tensor record(ct_context *ctx, ct_opcode op, const reduction *r, int n_scalar, double scalar)
{
    return ct_record_unary(ctx, op, r->x, &r->out, 2, r->attr, n_scalar, &scalar);
}

ct_tensor ct_sum(ct_context *ctx, ct_tensor x, int n_dims, const int *dims, bool keepdim)
{
    reduction r;
    if (!reduction_of(ctx, "sum", CT_OP_sum, x, n_dims, dims, keepdim, &r)) return (ct_tensor){0};
    return record(ctx, CT_OP_sum, &r, 1, 1);
}

ct_tensor ct_mean(ct_context *ctx, ct_tensor x, int n_dims, const int *dims, bool keepdim)
{
    reduction r;
    if (!reduction_of(ctx, "mean", CT_OP_sum, x, n_dims, dims, keepdim, &r)) return (ct_tensor){0};
    return record(ctx, CT_OP_sum, &r, 1, 1.0 / (double)r.count);
}

static ct_tensor extremum(ct_context *ctx, ct_opcode op, ct_tensor x, int n_dims, const int *dims, bool keepdim)
{
    reduction r;
    const char *name = ct_ops[op]->name;
    if (!reduction_of(ctx, name, op, x, n_dims, dims, keepdim, &r)) return (ct_tensor){0};
    if (r.count == 0) {
        ct_fail(ctx, CT_ERR_SHAPE, "%s: a reduced dim of %s is empty", name, ct_ref_text(ctx, r.x));
        return (ct_tensor){0};
    }
    return record(ctx, op, &r, 0, 0);
}

ct_tensor ct_amax(ct_context *ctx, ct_tensor x, int n_dims, const int *dims, bool keepdim)
{
    return extremum(ctx, CT_OP_amax, x, n_dims, dims, keepdim);
}

ct_tensor ct_amin(ct_context *ctx, ct_tensor x, int n_dims, const int *dims, bool keepdim)
{
    return extremum(ctx, CT_OP_amin, x, n_dims, dims, keepdim);
}

ct_tensor ct_logsumexp(ct_context *ctx, ct_tensor x, int n_dims, const int *dims, bool keepdim)
{
    reduction r;
    if (!reduction_of(ctx, "logsumexp", CT_OP_logsumexp, x, n_dims, dims, keepdim, &r)) return (ct_tensor){0};
    return record(ctx, CT_OP_logsumexp, &r, 0, 0);
}

ct_tensor ct_var(ct_context *ctx, ct_tensor x, int n_dims, const int *dims, bool keepdim, int64_t correction)
{
    reduction r;
    if (!reduction_of(ctx, "var", CT_OP_var, x, n_dims, dims, keepdim, &r)) return (ct_tensor){0};
    if (correction < 0) {
        ct_fail(ctx, CT_ERR_ARGUMENT, "var: correction %lld is negative", (long long)correction);
        return (ct_tensor){0};
    }
    return record(ctx, CT_OP_var, &r, 1, 1.0 / (double)(r.count > correction ? r.count - correction : 0));
}

/* ---- gradients ------------------------------------------------------------------------- */

/* An output, or its adjoint, with the dims that went put back as size 1. */
static ct_tensor restored(ct_context *ctx, const ct_adjoint *a, ct_tensor y)
{
    if (a->attr[1]) return y;
    ct_shape kept = ct_tensor_shape(ctx, a->in[0]);
    for (int i = 0; i < kept.ndim; i++)
        if (a->attr[0] >> i & 1) kept.dim[i] = 1;
    return ct_reshape(ctx, y, kept.ndim, kept.dim);
}

/* The same reduction of another tensor of x's shape, dims kept. */
static ct_tensor along(ct_context *ctx, const ct_adjoint *a, ct_tensor x,
                       ct_tensor (*reduce)(ct_context *, ct_tensor, int, const int *, bool))
{
    int ndim = ct_tensor_shape(ctx, x).ndim, n = 0, dims[CT_MAX_DIMS];
    for (int i = 0; i < ndim; i++)
        if (a->attr[0] >> i & 1) dims[n++] = i;
    return reduce(ctx, x, n, dims, true);
}

/* dx = factor * g, repeated along the dims that went. */
static void sum_vjp(ct_context *ctx, ct_adjoint *a)
{
    ct_shape x = ct_tensor_shape(ctx, a->in[0]);
    ct_tensor g = a->g[0];
    if (a->scalar[0] != 1) g = ct_mul_scalar(ctx, g, a->scalar[0]);
    a->gin[0] = ct_expand(ctx, restored(ctx, a, g), x.ndim, x.dim);
}

/* Those that equal y share its adjoint. */
static void extremum_vjp(ct_context *ctx, ct_adjoint *a)
{
    ct_tensor taken = ct_eq(ctx, a->in[0], restored(ctx, a, a->out[0]));
    ct_tensor share = ct_div(ctx, restored(ctx, a, a->g[0]), along(ctx, a, taken, ct_sum));
    a->gin[0] = ct_mul(ctx, taken, share);
}

/* dx = g e^(x - y); as in torch NaN where both are the same infinity. */
static void logsumexp_vjp(ct_context *ctx, ct_adjoint *a)
{
    ct_tensor softmax = ct_exp(ctx, ct_sub(ctx, a->in[0], restored(ctx, a, a->out[0])));
    a->gin[0] = ct_mul(ctx, softmax, restored(ctx, a, a->g[0]));
}

/* The first that went into each of the output, which no gradient follows; x where there is none. */
static ct_tensor first_of_lines(ct_context *ctx, const ct_adjoint *a)
{
    ct_tensor x = ct_detach(ctx, a->in[0]);
    ct_shape shape = ct_tensor_shape(ctx, x);
    for (int i = 0; i < shape.ndim; i++)
        if (a->attr[0] >> i & 1 && shape.dim[i] > 1) x = ct_slice(ctx, x, i, 0, 1);
    return x;
}

/* dx = 2 g (x - mean) / (count - correction), of x less the first of its line, as the value is: no mean far above
 * the spread is rounded, and what is subtracted from x and its mean alike has no gradient. */
static void var_vjp(ct_context *ctx, ct_adjoint *a)
{
    ct_tensor x = ct_sub(ctx, a->in[0], first_of_lines(ctx, a));
    ct_tensor centred = ct_sub(ctx, x, along(ctx, a, x, ct_mean));
    ct_tensor g = ct_mul_scalar(ctx, restored(ctx, a, a->g[0]), 2 * a->scalar[0]);
    a->gin[0] = ct_mul(ctx, centred, g);
}

/* ---- lowering -------------------------------------------------------------------------- */

/* The dims as [outer, reduced, inner] after joining neighbours of one kind; -1 if they
 * alternate more than that. */
static int collapse(const ct_shape *x, int64_t mask, int64_t size[3])
{
    size[0] = size[1] = size[2] = 1;
    int stage = 0;
    for (int i = 0; i < x->ndim; i++) {
        if (x->dim[i] == 1) continue;
        bool reduced = mask >> i & 1;
        if (stage == 0 && reduced) stage = 1;
        if (stage == 1 && !reduced) stage = 2;
        if (stage == 2 && reduced) return -1;
        size[stage] *= x->dim[i];
    }
    return 0;
}

static size_t sum_scratch(const ct_context *ctx, const ct_shape *const *in, const ct_shape *out, const int64_t *attr)
{
    (void)ctx, (void)attr;
    return out->numel == 1 ? (size_t)ct_partials(in[0]->numel) * ct_dtype_bytes(out->dtype) : 0;
}

/* What a part leaves: its length, its largest or its mean, and the sum around that. */
static size_t fold_scratch(const ct_context *ctx, const ct_shape *const *in, const ct_shape *out, const int64_t *attr)
{
    (void)ctx, (void)attr;
    return out->numel == 1 ? (size_t)ct_partials(in[0]->numel) * 3 * sizeof(double) : 0;
}

/* p: x, y, what the parts leave.  m, n, k: outer, reduced, inner; where all is one line, 1, its length and
 * its parts, and i[1] says so; k = 0: alternating dims, i[0] says which are reduced. */
static void reduction_lower(ct_lowering *l, ct_kernel_id all, ct_kernel_id rows, ct_kernel_id columns, double flops)
{
    const ct_shape *x = ct_in_shape(l, 0), *y = ct_out_shape(l, 0);
    int64_t size[3];
    if (y->numel == 0) return;
    bool whole = y->numel == 1, simple = collapse(x, ct_attr(l, 0), size) == 0;
    ct_args *a = ct_emit(l, whole ? all : simple && size[2] == 1 ? rows : columns, x->dtype);
    a->p[0] = ct_in(l, 0);
    a->p[1] = ct_out(l, 0);
    a->p[2] = ct_scratch(l);
    a->m = size[0], a->n = size[1], a->k = size[2];
    a->i[1] = whole;
    if (whole) a->m = 1, a->n = x->numel, a->k = ct_partials(x->numel);
    ct_cost(l, flops * (double)x->numel, ct_operand_bytes(l));
    if (simple || whole) return;
    /* Alternating dims, neighbours of one kind joined: the kept ones are iterated over, the reduced ones walked. */
    a->m = y->numel, a->n = 1, a->k = 0;
    for (int i = 0; i < x->ndim; i++) {
        int64_t reduced = ct_attr(l, 0) >> i & 1;
        if (x->dim[i] == 1) continue;
        if (a->ndim == 0 || (a->i[0] >> (a->ndim - 1) & 1) != reduced) {
            a->i[0] |= reduced << a->ndim;
            a->shape[a->ndim++] = 1;
        }
        a->shape[a->ndim - 1] *= x->dim[i];
    }
    int64_t step = 1;
    for (int i = a->ndim; i-- > 0; step *= a->shape[i]) a->stride[0][i] = ct_stride(l, step);
}

static void sum_lower(ct_lowering *l)
{
    reduction_lower(l, CT_KERNEL_reduce_all, CT_KERNEL_reduce_rows, CT_KERNEL_reduce_columns, 1);
}

/* One kernel for all layouts. logsumexp: maximum, difference, exponential, sum; var: sum, difference, square, sum. */
#define FOLD_LOWER(name, flops)                                                                                        \
    static void name##_lower(ct_lowering *l)                                                                           \
    {                                                                                                                  \
        reduction_lower(l, CT_KERNEL_##name, CT_KERNEL_##name, CT_KERNEL_##name, flops);                               \
    }
FOLD_LOWER(amax, 1)
FOLD_LOWER(amin, 1)
FOLD_LOWER(logsumexp, 4)
FOLD_LOWER(var, 4)

/* ---- argmax ---------------------------------------------------------------------------- */

ct_tensor ct_argmax(ct_context *ctx, ct_tensor x, int dim)
{
    ct_ref ref;
    if (!ct_operands(ctx, "argmax", ct_ops[CT_OP_argmax], 1, &x, &ref) || !ct_want_float(ctx, "argmax", ref))
        return (ct_tensor){0};
    ct_shape shape = ct_shape_of(ctx, ref), out;
    int d;
    if (!ct_dim(ctx, "argmax", &shape, dim, &d)) return (ct_tensor){0};
    if (shape.ndim && shape.dim[d] == 0) {
        ct_fail(ctx, CT_ERR_SHAPE, "argmax: dim %d of %s is empty", d, ct_ref_text(ctx, ref));
        return (ct_tensor){0};
    }
    int64_t kept[CT_MAX_DIMS];
    int n = 0;
    for (int i = 0; i < shape.ndim; i++)
        if (i != d) kept[n++] = shape.dim[i];
    if (!ct_shape_make(ctx, "argmax", CT_I32, n, kept, &out)) return (ct_tensor){0};
    return ct_record_unary(ctx, CT_OP_argmax, ref, &out, 1, &(int64_t){d}, 0, NULL);
}

/* p: x, y (i32).  m, n, k: outer, dim, inner. */
static void argmax_lower(ct_lowering *l)
{
    const ct_shape *x = ct_in_shape(l, 0);
    ct_args *a = ct_emit(l, CT_KERNEL_argmax, x->dtype);
    a->p[0] = ct_in(l, 0);
    a->p[1] = ct_out(l, 0);
    ct_split_at(x, (int)ct_attr(l, 0), a);
    ct_cost(l, (double)x->numel, ct_operand_bytes(l));
}

const ct_op ct_op_sum = {.name = "sum",
                         .operands = "x",
                         .vjp = sum_vjp,
                         .lower = sum_lower,
                         .scratch = sum_scratch,
                         .shown = "dims keepdim=0; factor=1"};
const ct_op ct_op_argmax = {.name = "argmax", .operands = "x", .lower = argmax_lower, .shown = "dim"};

#define FOLD(id, rule, attributes)                                                                                     \
    const ct_op ct_op_##id = {.name = #id,                                                                             \
                              .operands = "x",                                                                         \
                              .saved = 1,                                                                              \
                              .vjp = rule,                                                                             \
                              .lower = id##_lower,                                                                     \
                              .scratch = fold_scratch,                                                                 \
                              .shown = attributes};
FOLD(amax, extremum_vjp, "dims keepdim=0")
FOLD(amin, extremum_vjp, "dims keepdim=0")
FOLD(logsumexp, logsumexp_vjp, "dims keepdim=0")
FOLD(var, var_vjp, "dims keepdim=0; factor")

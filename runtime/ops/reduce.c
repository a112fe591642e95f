/* Reductions: sum and mean over any dims, argmax along one. */
#include "ops/op.h"
#include "program/lower.h"

/* Attributes of sum: which dims go, as bits, and whether they stay as size 1. */

static ct_tensor sum_times(ct_context *ctx, const char *name, ct_tensor x, int n_dims, const int *dims, bool keepdim,
                           bool mean)
{
    static const char *const names[] = {"x"};
    ct_ref ref;
    if (!ct_operands(ctx, name, 1, &x, names, &ref) || !ct_want_float(ctx, name, ref)) return (ct_tensor){0};
    ct_shape shape = ct_shape_of(ctx, ref), out;
    int64_t mask = 0, count = 1, kept[CT_MAX_DIMS];
    int n_kept = 0;
    if (n_dims < 0) {
        ct_fail(ctx, CT_ERR_ARGUMENT, "%s: %d dims", name, n_dims);
        return (ct_tensor){0};
    }
    if (!dims) n_dims = 0;
    for (int i = 0; i < n_dims; i++) {
        int dim;
        if (!ct_dim(ctx, name, &shape, dims[i], &dim)) return (ct_tensor){0};
        if (mask >> dim & 1) {
            ct_fail(ctx, CT_ERR_ARGUMENT, "%s: dim %d is named twice", name, dim);
            return (ct_tensor){0};
        }
        mask |= (int64_t)1 << dim;
    }
    if (n_dims == 0) mask = ((int64_t)1 << CT_MAX_DIMS) - 1;
    for (int i = 0; i < shape.ndim; i++) {
        bool reduced = mask >> i & 1;
        if (reduced) count *= shape.dim[i];
        if (!reduced || keepdim) kept[n_kept++] = reduced ? 1 : shape.dim[i];
    }
    if (!ct_shape_make(ctx, name, (ct_dtype)shape.dtype, n_kept, kept, &out)) return (ct_tensor){0};
    double factor = mean ? 1.0 / (double)count : 1;
    return ct_record_unary(ctx, CT_OP_sum, ref, &out, 2, (int64_t[]){mask, keepdim}, 1, &factor);
}

ct_tensor ct_sum(ct_context *ctx, ct_tensor x, int n_dims, const int *dims, bool keepdim)
{
    return sum_times(ctx, "sum", x, n_dims, dims, keepdim, false);
}

ct_tensor ct_mean(ct_context *ctx, ct_tensor x, int n_dims, const int *dims, bool keepdim)
{
    return sum_times(ctx, "mean", x, n_dims, dims, keepdim, true);
}

/* dx = factor * g, repeated along the dims that went. */
static void sum_vjp(ct_context *ctx, ct_adjoint *a)
{
    ct_shape x = ct_tensor_shape(ctx, a->in[0]), kept = x;
    for (int i = 0; i < x.ndim; i++)
        if (a->attr[0] >> i & 1) kept.dim[i] = 1;
    ct_tensor g = a->g[0];
    if (a->scalar[0] != 1) g = ct_mul_scalar(ctx, g, a->scalar[0]);
    if (!a->attr[1]) g = ct_reshape(ctx, g, kept.ndim, kept.dim);
    a->gin[0] = ct_expand(ctx, g, x.ndim, x.dim);
}

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

static size_t sum_scratch(const ct_shape *const *in, const ct_shape *out, const int64_t *attr)
{
    (void)attr;
    return out->numel == 1 ? (size_t)ct_partials(in[0]->numel) * ct_dtype_bytes(out->dtype) : 0;
}

/* p: x, y, partial sums.  m, n, k: outer, reduced, inner. */
static void sum_lower(ct_lowering *l)
{
    const ct_shape *x = ct_in_shape(l, 0), *y = ct_out_shape(l, 0);
    int64_t size[3];
    if (y->numel == 0) return;
    bool simple = collapse(x, ct_attr(l, 0), size) == 0;
    ct_kernel_id kernel = y->numel == 1            ? CT_KERNEL_reduce_all
                          : simple && size[2] == 1 ? CT_KERNEL_reduce_rows
                                                   : CT_KERNEL_reduce_columns;
    ct_args *a = ct_emit(l, kernel, x->dtype);
    a->p[0] = ct_in(l, 0);
    a->p[1] = ct_out(l, 0);
    a->p[2] = ct_scratch(l);
    a->m = size[0], a->n = size[1], a->k = size[2];
    if (kernel == CT_KERNEL_reduce_all) a->m = 1, a->n = x->numel, a->k = ct_partials(x->numel);
    ct_cost(l, (double)x->numel, (double)(ct_shape_bytes(x) + ct_shape_bytes(y)));
    if (simple || kernel == CT_KERNEL_reduce_all) return;
    /* Alternating dims: the kept ones are iterated over, the reduced ones walked within. */
    a->m = y->numel, a->n = 1, a->k = 0;
    int64_t step = 1, strides[CT_MAX_DIMS];
    for (int i = x->ndim; i-- > 0; step *= x->dim[i]) strides[i] = step;
    a->ndim = x->ndim;
    a->i[0] = ct_attr(l, 0);
    for (int i = 0; i < x->ndim; i++) {
        a->shape[i] = x->dim[i];
        a->stride[0][i] = ct_stride(l, strides[i]);
    }
}

/* ---- argmax ---------------------------------------------------------------------------- */

ct_tensor ct_argmax(ct_context *ctx, ct_tensor x, int dim)
{
    static const char *const names[] = {"x"};
    ct_ref ref;
    if (!ct_operands(ctx, "argmax", 1, &x, names, &ref) || !ct_want_float(ctx, "argmax", ref)) return (ct_tensor){0};
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
    ct_cost(l, (double)x->numel, (double)ct_shape_bytes(x));
}

const ct_op ct_op_sum = {.name = "sum", .vjp = sum_vjp, .lower = sum_lower, .scratch = sum_scratch};
const ct_op ct_op_argmax = {.name = "argmax", .lower = argmax_lower};

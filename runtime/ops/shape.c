/* Shape ops: reshape, transpose, expand, detach, and the constant they never copy.
 *
 * All return values. The planner makes them free where it can: a reshape shares its
 * input's bytes, an expand is read as a broadcast, a transpose goes into the product.
 */
#include "ops/op.h"
#include "program/lower.h"

#include <string.h>

ct_tensor ct_reshape(ct_context *ctx, ct_tensor x, int ndim, const int64_t *shape)
{
    ct_ref ref;
    if (!ct_operands(ctx, "reshape", ct_ops[CT_OP_reshape], 1, &x, &ref)) return (ct_tensor){0};
    ct_shape in = ct_shape_of(ctx, ref), out;
    int64_t dims[CT_MAX_DIMS];
    int unknown = -1;
    if (ndim < 0 || ndim > CT_MAX_DIMS || (ndim && !shape)) {
        ct_fail(ctx, CT_ERR_SHAPE, "reshape: %s to %d dims", ct_ref_text(ctx, ref), ndim);
        return (ct_tensor){0};
    }
    for (int i = 0; i < ndim; i++) {
        dims[i] = shape[i] == -1 ? 1 : shape[i];
        if (shape[i] == -1 && unknown >= 0) {
            ct_fail(ctx, CT_ERR_SHAPE, "reshape: %s: more than one size is -1", ct_ref_text(ctx, ref));
            return (ct_tensor){0};
        }
        if (shape[i] == -1) unknown = i;
    }
    if (!ct_shape_make(ctx, "reshape", (ct_dtype)in.dtype, ndim, dims, &out)) return (ct_tensor){0};
    if (unknown >= 0 && out.numel && in.numel % out.numel == 0) {
        dims[unknown] = in.numel / out.numel;
        if (!ct_shape_make(ctx, "reshape", (ct_dtype)in.dtype, ndim, dims, &out)) return (ct_tensor){0};
    }
    if (out.numel != in.numel) {
        ct_fail(ctx, CT_ERR_SHAPE, "reshape: %s has %lld elements, %s has %lld", ct_ref_text(ctx, ref),
                (long long)in.numel, ct_shape_text(ctx, &out), (long long)out.numel);
        return (ct_tensor){0};
    }
    return ct_record_unary(ctx, CT_OP_reshape, ref, &out, out.ndim, out.dim, 0, NULL);
}

static void reshape_vjp(ct_context *ctx, ct_adjoint *a)
{
    ct_shape x = ct_tensor_shape(ctx, a->in[0]);
    a->gin[0] = ct_reshape(ctx, a->g[0], x.ndim, x.dim);
}

ct_tensor ct_detach(ct_context *ctx, ct_tensor x)
{
    ct_ref ref;
    if (!ct_operands(ctx, "detach", ct_ops[CT_OP_reshape], 1, &x, &ref)) return (ct_tensor){0};
    ct_shape shape = ct_shape_of(ctx, ref);
    ct_no_grad_begin(ctx);
    ct_tensor y = ct_reshape(ctx, x, shape.ndim, shape.dim);
    ct_no_grad_end(ctx);
    return y;
}

ct_tensor ct_transpose(ct_context *ctx, ct_tensor x, int d0, int d1)
{
    ct_ref ref;
    if (!ct_operands(ctx, "transpose", ct_ops[CT_OP_transpose], 1, &x, &ref)) return (ct_tensor){0};
    ct_shape shape = ct_shape_of(ctx, ref);
    int a, b;
    if (!ct_dim(ctx, "transpose", &shape, d0, &a) || !ct_dim(ctx, "transpose", &shape, d1, &b)) return (ct_tensor){0};
    int64_t size = shape.dim[a];
    shape.dim[a] = shape.dim[b];
    shape.dim[b] = size;
    return ct_record_unary(ctx, CT_OP_transpose, ref, &shape, 2, (int64_t[]){a, b}, 0, NULL);
}

static void transpose_vjp(ct_context *ctx, ct_adjoint *a)
{
    a->gin[0] = ct_transpose(ctx, a->g[0], (int)a->attr[0], (int)a->attr[1]);
}

ct_tensor ct_expand(ct_context *ctx, ct_tensor x, int ndim, const int64_t *shape)
{
    ct_ref ref;
    if (!ct_operands(ctx, "expand", ct_ops[CT_OP_expand], 1, &x, &ref)) return (ct_tensor){0};
    ct_shape in = ct_shape_of(ctx, ref), out;
    int64_t dims[CT_MAX_DIMS];
    bool fits = ndim >= in.ndim && ndim <= CT_MAX_DIMS && (shape || !ndim);
    for (int i = 0; fits && i < ndim; i++) {
        int64_t size = i < ndim - in.ndim ? 1 : in.dim[i - (ndim - in.ndim)];
        dims[i] = shape[i] == -1 && i >= ndim - in.ndim ? size : shape[i]; /* -1 keeps a size, as in torch */
        fits = dims[i] == size || size == 1;
    }
    if (!fits) {
        ct_shape wanted = {.ndim = shape && ndim > 0 && ndim <= CT_MAX_DIMS ? ndim : 0};
        if (wanted.ndim) memcpy(wanted.dim, shape, (size_t)ndim * sizeof *shape);
        ct_fail(ctx, CT_ERR_SHAPE, "expand: %s to %s: only sizes of 1 can grow, and dims are added in front",
                ct_ref_text(ctx, ref), ct_shape_text(ctx, &wanted));
        return (ct_tensor){0};
    }
    if (!ct_shape_make(ctx, "expand", (ct_dtype)in.dtype, ndim, dims, &out)) return (ct_tensor){0};
    return ct_record_unary(ctx, CT_OP_expand, ref, &out, out.ndim, out.dim, 0, NULL);
}

static void expand_vjp(ct_context *ctx, ct_adjoint *a)
{
    ct_shape x = ct_tensor_shape(ctx, a->in[0]);
    a->gin[0] = ct_sum_to(ctx, a->g[0], &x);
}

/* ---- lowering: copies with strides ---------------------------------------------------- */

static void transpose_lower(ct_lowering *l)
{
    const ct_shape *x = ct_in_shape(l, 0);
    int a = (int)ct_attr(l, 0), b = (int)ct_attr(l, 1);
    int64_t stride[CT_MAX_DIMS], step = 1;
    for (int i = x->ndim; i-- > 0; step *= x->dim[i]) stride[i] = step;
    if (x->ndim) {
        int64_t t = stride[a];
        stride[a] = stride[b];
        stride[b] = t;
    }
    ct_args *args = ct_emit(l, CT_KERNEL_copy, x->dtype);
    args->p[0] = ct_in(l, 0);
    args->p[1] = ct_out(l, 0);
    ct_iterate_strided(l, args, ct_out_shape(l, 0), stride);
    ct_cost(l, 0, ct_operand_bytes(l));
}

static void expand_lower(ct_lowering *l)
{
    const ct_shape *x = ct_in_shape(l, 0), *y = ct_out_shape(l, 0);
    ct_args *args = ct_emit(l, CT_KERNEL_copy, x->dtype);
    args->p[0] = ct_in(l, 0);
    args->p[1] = ct_out(l, 0);
    ct_iterate(l, args, y, 1, &x);
    ct_cost(l, 0, ct_operand_bytes(l));
}

static void fill_lower(ct_lowering *l)
{
    const ct_shape *y = ct_out_shape(l, 0);
    ct_args *args = ct_emit(l, CT_KERNEL_fill, y->dtype);
    args->p[0] = ct_out(l, 0);
    args->n = y->numel;
    ct_cost(l, 0, (double)ct_shape_bytes(y));
}

const ct_op ct_op_reshape = {
    .name = "reshape", .operands = "x", .flags = CT_OP_ALIAS, .vjp = reshape_vjp, .lower = ct_lower_copy};
const ct_op ct_op_transpose = {
    .name = "transpose", .operands = "x", .vjp = transpose_vjp, .lower = transpose_lower, .shown = "d0 d1"};
const ct_op ct_op_expand = {.name = "expand", .operands = "x", .vjp = expand_vjp, .lower = expand_lower};
const ct_op ct_op_fill = {.name = "fill", .lower = fill_lower, .shown = "- -; value"};

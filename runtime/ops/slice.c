/* Parts of a tensor: slice takes one out, pad puts one among zeros, concat joins several.
 *
 * Slice and pad are each other's gradient, and concat's is a slice for every operand. Pad and
 * concat are one kernel, which makes its whole output in one launch.
 */
#include "ops/op.h"
#include "program/lower.h"

#include <stdio.h>

/* The last dim counts; a 0-d tensor has none to be cut or joined along. */
static bool check_dim(ct_context *ctx, const char *op, ct_ref x, int dim, int *out)
{
    ct_shape shape = ct_shape_of(ctx, x);
    if (shape.ndim) return ct_dim(ctx, op, &shape, dim, out);
    ct_fail(ctx, CT_ERR_SHAPE, "%s: %s has no dims", op, ct_ref_text(ctx, x));
    return false;
}

/* ---- slice ------------------------------------------------------------------------------ */

enum { SLICE_DIM, SLICE_START, SLICE_STOP, SLICE_N_ATTR };

/* As Python's: from the end when negative, and never outside. */
static int64_t bound(int64_t at, int64_t size)
{
    if (at < 0) at = at < -size ? 0 : at + size;
    return at > size ? size : at;
}

ct_tensor ct_slice(ct_context *ctx, ct_tensor x, int dim, int64_t start, int64_t stop)
{
    ct_ref ref;
    int d;
    if (!ct_operands(ctx, "slice", ct_ops[CT_OP_slice], 1, &x, &ref) || !check_dim(ctx, "slice", ref, dim, &d))
        return (ct_tensor){0};
    ct_shape shape = ct_shape_of(ctx, ref), out;
    start = bound(start, shape.dim[d]);
    stop = bound(stop, shape.dim[d]);
    if (stop < start) stop = start;
    shape.dim[d] = stop - start;
    if (!ct_shape_make(ctx, "slice", (ct_dtype)shape.dtype, shape.ndim, shape.dim, &out)) return (ct_tensor){0};
    return ct_record_unary(ctx, CT_OP_slice, ref, &out, SLICE_N_ATTR, (int64_t[]){d, start, stop}, 0, NULL);
}

/* p: x, y.  i: where in x the slice starts. */
static void slice_lower(ct_lowering *l)
{
    const ct_shape *x = ct_in_shape(l, 0), *y = ct_out_shape(l, 0);
    if (y->numel == 0) return;
    int64_t stride[CT_MAX_DIMS], step = 1;
    for (int i = x->ndim; i-- > 0; step *= x->dim[i]) stride[i] = step;
    ct_args *a = ct_emit(l, CT_KERNEL_copy, x->dtype);
    a->p[0] = ct_in(l, 0);
    a->p[1] = ct_out(l, 0);
    a->i[0] = ct_attr(l, SLICE_START) * stride[ct_attr(l, SLICE_DIM)];
    ct_iterate_strided(l, a, y, stride);
    ct_cost(l, 0, 2 * (double)ct_shape_bytes(y));
}

/* ---- pad: the gradient of slice ----------------------------------------------------------- */

enum { PAD_DIM, PAD_FRONT, PAD_SIZE, PAD_N_ATTR };

/* x along dim from `front` on, in zeros of that size. */
static ct_tensor pad(ct_context *ctx, ct_tensor x, int64_t dim, int64_t front, int64_t size)
{
    ct_ref ref;
    if (!ct_operands(ctx, "pad", ct_ops[CT_OP_pad], 1, &x, &ref)) return (ct_tensor){0};
    ct_shape shape = ct_shape_of(ctx, ref), out;
    shape.dim[dim] = size;
    if (!ct_shape_make(ctx, "pad", (ct_dtype)shape.dtype, shape.ndim, shape.dim, &out)) return (ct_tensor){0};
    return ct_record_unary(ctx, CT_OP_pad, ref, &out, PAD_N_ATTR, (int64_t[]){dim, front, size}, 0, NULL);
}

static void slice_vjp(ct_context *ctx, ct_adjoint *a)
{
    ct_shape x = ct_tensor_shape(ctx, a->in[0]);
    a->gin[0] = pad(ctx, a->g[0], a->attr[SLICE_DIM], a->attr[SLICE_START], x.dim[a->attr[SLICE_DIM]]);
}

static void pad_vjp(ct_context *ctx, ct_adjoint *a)
{
    int64_t dim = a->attr[PAD_DIM], front = a->attr[PAD_FRONT];
    ct_shape x = ct_tensor_shape(ctx, a->in[0]);
    a->gin[0] = ct_slice(ctx, a->g[0], (int)dim, front, front + x.dim[dim]);
}

/* ---- concat -------------------------------------------------------------------------------- */

/* Does operand i fit behind operand 0? */
static bool check_operand(ct_context *ctx, int i, ct_ref first, ct_ref ref, int dim)
{
    ct_shape a = ct_shape_of(ctx, first), b = ct_shape_of(ctx, ref);
    if (a.dtype != b.dtype) {
        ct_fail(ctx, CT_ERR_DTYPE,
                "concat: tensor 0 is %s %s, tensor %d is %s %s; nothing is promoted, ct_cast converts",
                ct_dtype_name(a.dtype), ct_ref_text(ctx, first), i, ct_dtype_name(b.dtype), ct_ref_text(ctx, ref));
        return false;
    }
    bool fits = a.ndim == b.ndim;
    for (int d = 0; fits && d < a.ndim; d++) fits = d == dim || a.dim[d] == b.dim[d];
    if (!fits)
        ct_fail(ctx, CT_ERR_SHAPE, "concat: tensor 0 is %s, tensor %d is %s: they may differ in dim %d only",
                ct_ref_text(ctx, first), i, ct_ref_text(ctx, ref), dim);
    return fits;
}

ct_tensor ct_concat(ct_context *ctx, int n, const ct_tensor *tensors, int dim)
{
    if (ct_ready(ctx)) return (ct_tensor){0};
    if (n < 1 || !tensors) {
        ct_fail(ctx, CT_ERR_ARGUMENT, "concat: no tensors");
        return (ct_tensor){0};
    }
    ct_tape *t = ctx->tape;
    if (!ct_grow(ctx, (void **)&t->list_refs, &t->list_refs_capacity, (size_t)n, sizeof *t->list_refs)) {
        ct_fail(ctx, CT_ERR_MEMORY, "concat: out of host memory");
        return (ct_tensor){0};
    }
    ct_ref *refs = t->list_refs;
    int64_t size = 0;
    int d = 0;
    for (int i = 0; i < n; i++) {
        char name[32];
        snprintf(name, sizeof name, "tensor %d", i);
        if (!ct_resolve(ctx, "concat", name, tensors[i], &refs[i]) ||
            (i == 0 && !check_dim(ctx, "concat", refs[0], dim, &d)) || !check_operand(ctx, i, refs[0], refs[i], d))
            return (ct_tensor){0};
        int64_t more = ct_shape_of(ctx, refs[i]).dim[d];
        size = more > INT64_MAX - size ? INT64_MAX : size + more; /* which is refused below */
    }
    ct_shape shape = ct_shape_of(ctx, refs[0]), out;
    shape.dim[d] = size;
    if (!ct_shape_make(ctx, "concat", (ct_dtype)shape.dtype, shape.ndim, shape.dim, &out)) return (ct_tensor){0};
    return ct_tape_add(ctx, &(ct_entry){.op = CT_OP_concat,
                                        .n_in = (uint32_t)n,
                                        .in = refs,
                                        .n_out = 1,
                                        .out = &out,
                                        .n_attr = 1,
                                        .attr = &(int64_t){d}});
}

static void concat_vjp(ct_context *ctx, ct_adjoint *a)
{
    int dim = (int)a->attr[0];
    int64_t start = 0;
    for (uint32_t i = 0; i < a->n_in && !ctx->status; i++) {
        int64_t size = ct_tensor_shape(ctx, a->in[i]).dim[dim];
        if (a->needs[i]) a->gin[i] = ct_slice(ctx, a->g[0], dim, start, start + size);
        start += size;
    }
}

/* ---- lowering of what joins: a table of parts, side by side in every row of the output ------ */

/* p: table of parts, y.  m, n, k: rows, elements in a row, parts. */
static void emit_parts(ct_lowering *l, int64_t dim, const ct_part_row *parts, int64_t n)
{
    const ct_shape *y = ct_out_shape(l, 0);
    void *table = parts ? ct_constant_bytes(l, parts, (size_t)n * sizeof *parts) : NULL;
    ct_args *a = ct_emit(l, CT_KERNEL_concat, y->dtype);
    ct_split_at(y, (int)dim, a);
    a->p[0] = table;
    a->p[1] = ct_out(l, 0);
    a->n *= a->k;
    a->k = n;
    ct_cost(l, 0, ct_operand_bytes(l));
}

/* Elements of a row of the output that one step along dim has. */
static int64_t inner(const ct_shape *y, int64_t dim)
{
    int64_t count = 1;
    for (int i = (int)dim + 1; i < y->ndim; i++) count *= y->dim[i];
    return count;
}

static void pad_lower(ct_lowering *l)
{
    const ct_shape *x = ct_in_shape(l, 0), *y = ct_out_shape(l, 0);
    if (y->numel == 0) return;
    int64_t dim = ct_attr(l, PAD_DIM), step = inner(y, dim), front = ct_attr(l, PAD_FRONT) * step;
    int64_t behind = front + x->dim[dim] * step;
    ct_part_row parts[] = {
        {.first = 0}, {.x = ct_in(l, 0), .first = front, .width = behind - front}, {.first = behind}};
    emit_parts(l, dim, parts, 3);
}

static void concat_lower(ct_lowering *l)
{
    const ct_shape *y = ct_out_shape(l, 0);
    if (y->numel == 0) return;
    int64_t dim = ct_attr(l, 0), step = inner(y, dim), first = 0;
    uint32_t n = ct_n_in(l);
    ct_part_row *parts = ct_lowering_host(l, n * sizeof *parts);
    for (uint32_t i = 0; parts && i < n; i++) {
        int64_t width = ct_in_shape(l, i)->dim[dim] * step;
        parts[i] = (ct_part_row){.x = ct_in(l, i), .first = first, .width = width};
        first += width;
    }
    emit_parts(l, dim, parts, n);
}

const ct_op ct_op_slice = {
    .name = "slice", .operands = "x", .vjp = slice_vjp, .lower = slice_lower, .shown = "dim start stop"};
const ct_op ct_op_pad = {.name = "pad", .operands = "x", .vjp = pad_vjp, .lower = pad_lower, .shown = "dim front size"};
const ct_op ct_op_concat = {
    .name = "concat", .operands = "tensor*", .vjp = concat_vjp, .lower = concat_lower, .shown = "dim"};

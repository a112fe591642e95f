/* The table of ops, and what recording functions and gradient rules share. */
#include "ops/op.h"

#include <string.h>

#define CT_OP(name) extern const ct_op ct_op_##name;
#include "ops/ops.def"
#undef CT_OP

const ct_op *const ct_ops[CT_OP_COUNT] = {
#define CT_OP(name) [CT_OP_##name] = &ct_op_##name,
#include "ops/ops.def"
#undef CT_OP
};

ct_shape ct_shape_of(ct_context *ctx, ct_ref ref) { return ct_value_at(ctx, ref)->shape; }

ct_shape ct_scalar_shape(int32_t dtype) { return (ct_shape){.dtype = dtype, .numel = 1}; }

const char *ct_operand_name(const ct_op *op, uint32_t i, int *length)
{
    const char *name = op->operands;
    while (name && *name) {
        *length = (int)strcspn(name, " *");
        const char *behind = name + *length;
        if (i-- == 0 || *behind == '*') return name;
        name = behind + strspn(behind, " ");
    }
    return NULL;
}

bool ct_operands(ct_context *ctx, const char *call, const ct_op *op, int n, const ct_tensor *tensors, ct_ref *out)
{
    if (ct_ready(ctx)) return false;
    for (int i = 0; i < n; i++) {
        const char *wrong = ct_look_up(ctx, tensors[i], &out[i]);
        if (!wrong) continue;
        int length = 0;
        const char *name = ct_operand_name(op, (uint32_t)i, &length);
        ct_fail(ctx, CT_ERR_ARGUMENT, "%s: %.*s %s", call, length, name ? name : "", wrong);
        return false;
    }
    return true;
}

bool ct_want_float(ct_context *ctx, const char *op, ct_ref ref)
{
    int32_t dtype = ct_value_at(ctx, ref)->shape.dtype;
    if (ct_is_float(dtype)) return true;
    ct_fail(ctx, CT_ERR_DTYPE, "%s: %s is %s; the op takes f32 and f64 (ct_cast converts)", op, ct_ref_text(ctx, ref),
            ct_dtype_name(dtype));
    return false;
}

bool ct_want_same_dtype(ct_context *ctx, const char *op, ct_ref a, ct_ref b)
{
    int32_t da = ct_value_at(ctx, a)->shape.dtype, db = ct_value_at(ctx, b)->shape.dtype;
    if (da == db) return true;
    ct_fail(ctx, CT_ERR_DTYPE, "%s: %s is %s and %s is %s; nothing is promoted, ct_cast converts", op,
            ct_ref_text(ctx, a), ct_dtype_name(da), ct_ref_text(ctx, b), ct_dtype_name(db));
    return false;
}

int ct_broadcast_dims(const ct_shape *a, const ct_shape *b, int behind, int64_t dims[CT_MAX_DIMS])
{
    int ndim = a->ndim > b->ndim ? a->ndim : b->ndim;
    for (int i = 0; i < ndim - behind; i++) {
        int ia = i - (ndim - a->ndim), ib = i - (ndim - b->ndim);
        int64_t da = ia < 0 ? 1 : a->dim[ia], db = ib < 0 ? 1 : b->dim[ib];
        if (da != db && da != 1 && db != 1) return i;
        dims[i] = da == 1 ? db : da;
    }
    return -1;
}

bool ct_broadcast(ct_context *ctx, const char *op, ct_ref a, ct_ref b, ct_shape *out)
{
    const ct_shape *sa = &ct_value_at(ctx, a)->shape, *sb = &ct_value_at(ctx, b)->shape;
    if (ct_shape_equal(sa, sb)) {
        *out = *sa;
        return true;
    }
    int ndim = sa->ndim > sb->ndim ? sa->ndim : sb->ndim;
    int64_t dims[CT_MAX_DIMS];
    int bad = ct_broadcast_dims(sa, sb, 0, dims);
    if (bad >= 0) {
        ct_fail(ctx, CT_ERR_SHAPE, "%s: %s and %s do not broadcast: they differ in dim %d of %d", op,
                ct_ref_text(ctx, a), ct_ref_text(ctx, b), bad, ndim);
        return false;
    }
    return ct_shape_make(ctx, op, (ct_dtype)sa->dtype, ndim, dims, out);
}

bool ct_dim(ct_context *ctx, const char *op, const ct_shape *shape, int dim, int *out)
{
    int ndim = shape->ndim ? shape->ndim : 1; /* as torch: a 0-d tensor has dims 0 and -1 */
    if (dim < -ndim || dim >= ndim) {
        ct_fail(ctx, CT_ERR_ARGUMENT, "%s: there is no dim %d in %s", op, dim, ct_shape_text(ctx, shape));
        return false;
    }
    *out = dim < 0 ? dim + ndim : dim;
    return true;
}

ct_tensor ct_record_unary(ct_context *ctx, ct_opcode op, ct_ref x, const ct_shape *out, int n_attr, const int64_t *attr,
                          int n_scalar, const double *scalar)
{
    return ct_tape_add(ctx, &(ct_entry){.op = (uint16_t)op,
                                        .n_in = 1,
                                        .in = &x,
                                        .n_out = 1,
                                        .out = out,
                                        .n_attr = (uint8_t)n_attr,
                                        .attr = attr,
                                        .n_scalar = (uint8_t)n_scalar,
                                        .scalar = scalar});
}

/* ---- for gradient rules ------------------------------------------------------------- */

ct_shape ct_tensor_shape(ct_context *ctx, ct_tensor x)
{
    ct_ref ref;
    if (ct_ready(ctx) || !ct_resolve(ctx, "gradient", "an operand", x, &ref)) return (ct_shape){0};
    return ct_shape_of(ctx, ref);
}

ct_tensor ct_sum_to(ct_context *ctx, ct_tensor x, const ct_shape *like)
{
    ct_shape s = ct_tensor_shape(ctx, x);
    if (ctx->status || ct_shape_equal(&s, like)) return x;
    int dims[CT_MAX_DIMS], n = 0, lead = s.ndim - like->ndim;
    for (int i = 0; i < s.ndim; i++)
        if (i < lead || (like->dim[i - lead] == 1 && s.dim[i] != 1)) dims[n++] = i;
    if (n) x = ct_sum(ctx, x, n, dims, true);
    return lead ? ct_reshape(ctx, x, like->ndim, like->dim) : x;
}

static bool is_constant_one(ct_context *ctx, ct_tensor x)
{
    ct_ref ref;
    if (ct_ready(ctx) || !ct_resolve(ctx, "gradient", "an operand", x, &ref) || ct_ref_is_leaf(ref)) return false;
    const ct_record *r = &ctx->tape->records[ctx->tape->values[ref].record];
    return r->op == CT_OP_fill && ctx->tape->attrs[r->attr];
}

ct_tensor ct_scale_by(ct_context *ctx, ct_tensor x, ct_tensor g)
{
    ct_shape sx = ct_tensor_shape(ctx, x), sg = ct_tensor_shape(ctx, g);
    bool keeps_shape = ct_shape_equal(&sx, &sg) || (sg.numel == 1 && sg.ndim <= sx.ndim);
    return keeps_shape && is_constant_one(ctx, g) ? x : ct_mul(ctx, x, g);
}

ct_tensor ct_constant(ct_context *ctx, const ct_shape *shape, double value)
{
    /* The shape follows from no input, so it is part of the key; so is whether the value is one,
     * since gradient rules leave out a factor of one. */
    int64_t attr[2 + CT_MAX_DIMS] = {value == 1, shape->dtype};
    for (int i = 0; i < shape->ndim; i++) attr[2 + i] = shape->dim[i];
    return ct_tape_add(ctx, &(ct_entry){.op = CT_OP_fill,
                                        .n_out = 1,
                                        .out = shape,
                                        .n_attr = (uint8_t)(2 + shape->ndim),
                                        .attr = attr,
                                        .n_scalar = 1,
                                        .scalar = &value});
}

/* Ops that write leaves: zero, assign, accumulate, append. */
#include "ops/op.h"
#include "program/lower.h"

/* A leaf and the value that goes into it, of one dtype. */
static bool leaf_and_value(ct_context *ctx, const char *op, ct_tensor leaf, ct_tensor value, ct_ref refs[2])
{
    if (!ct_resolve(ctx, op, "the leaf", leaf, &refs[0]) || !ct_resolve(ctx, op, "the value", value, &refs[1]))
        return false;
    if (!ct_ref_is_leaf(refs[0])) {
        ct_fail(ctx, CT_ERR_ARGUMENT, "%s: a step value is not a leaf", op);
        return false;
    }
    return ct_want_same_dtype(ctx, op, refs[0], refs[1]);
}

static bool same_shape(ct_context *ctx, const char *op, const ct_ref refs[2])
{
    ct_shape a = ct_shape_of(ctx, refs[0]), b = ct_shape_of(ctx, refs[1]);
    if (ct_shape_equal(&a, &b)) return true;
    ct_fail(ctx, CT_ERR_SHAPE, "%s: leaf %s, value %s: they must have one shape", op, ct_ref_text(ctx, refs[0]),
            ct_ref_text(ctx, refs[1]));
    return false;
}

static ct_status write_leaf(ct_context *ctx, ct_opcode op, const ct_ref refs[2], uint8_t access)
{
    return ct_tape_add_effect(ctx, &(ct_entry){.op = (uint16_t)op,
                                               .phase = CT_PHASE_UPDATE,
                                               .n_in = 2,
                                               .in = refs,
                                               .access = (uint8_t[]){access, CT_READ}});
}

ct_status ct_assign(ct_context *ctx, ct_tensor leaf, ct_tensor value)
{
    ct_ref refs[2];
    if (ct_ready(ctx)) return ct_ready(ctx);
    if (!leaf_and_value(ctx, "assign", leaf, value, refs) || !same_shape(ctx, "assign", refs)) return ctx->status;
    return write_leaf(ctx, CT_OP_assign, refs, CT_WRITE);
}

ct_status ct_accumulate(ct_context *ctx, ct_tensor leaf, ct_tensor value)
{
    ct_ref refs[2];
    if (ct_ready(ctx)) return ct_ready(ctx);
    if (!leaf_and_value(ctx, "accumulate", leaf, value, refs) || !same_shape(ctx, "accumulate", refs) ||
        !ct_want_float(ctx, "accumulate", refs[0]))
        return ctx->status;
    return write_leaf(ctx, CT_OP_accumulate, refs, CT_UPDATE);
}

/* The count of a ring: a leaf beside it, made at the first append. */
static ct_ref ring_count(ct_context *ctx, ct_ref ring)
{
    if (ct_leaf_at(ctx, ring)->counter == CT_REF_NONE) {
        ct_shape shape = ct_scalar_shape(CT_I64);
        ct_ref count = ct_leaf_make(ctx, "append", &shape);
        if (count == CT_REF_NONE) return count;
        ct_leaf_at(ctx, count)->internal = true;
        ct_leaf_at(ctx, ring)->counter = count;
    }
    return ct_leaf_at(ctx, ring)->counter;
}

ct_status ct_append(ct_context *ctx, ct_tensor ring, ct_tensor scalar)
{
    ct_ref refs[3];
    if (ct_ready(ctx)) return ct_ready(ctx);
    if (!leaf_and_value(ctx, "append", ring, scalar, refs)) return ctx->status;
    ct_shape r = ct_shape_of(ctx, refs[0]), s = ct_shape_of(ctx, refs[1]);
    if (r.ndim != 1 || r.numel < 1 || s.numel != 1)
        return ct_fail(ctx, CT_ERR_SHAPE, "append: ring %s, value %s: wants [n] and one element",
                       ct_ref_text(ctx, refs[0]), ct_ref_text(ctx, refs[1]));
    refs[2] = ring_count(ctx, refs[0]);
    if (ctx->status) return ctx->status;
    return ct_tape_add_effect(ctx, &(ct_entry){.op = CT_OP_append,
                                               .phase = CT_PHASE_UPDATE,
                                               .n_in = 3,
                                               .in = refs,
                                               .access = (uint8_t[]){CT_UPDATE, CT_READ, CT_UPDATE}});
}

/* ---- lowering --------------------------------------------------------------------------- */

static void zero_lower(ct_lowering *l)
{
    for (uint32_t i = 0; i < ct_n_in(l); i++) {
        if (ct_in_dropped(l, i)) continue;
        const ct_shape *x = ct_in_shape(l, i);
        ct_args *a = ct_emit(l, CT_KERNEL_zero, x->dtype);
        a->p[0] = ct_in(l, i);
        a->n = x->numel;
        ct_cost(l, 0, (double)ct_shape_bytes(x));
    }
}

static void assign_lower(ct_lowering *l)
{
    const ct_shape *x = ct_in_shape(l, 0);
    ct_args *a = ct_emit(l, CT_KERNEL_copy, x->dtype);
    a->p[0] = ct_in(l, 1);
    a->p[1] = ct_in(l, 0);
    ct_iterate(l, a, x, 1, (const ct_shape *[]){ct_in_shape(l, 1)});
    ct_cost(l, 0, ct_operand_bytes(l));
}

/* leaf = leaf + value, or the value where the leaf is zero */
static void accumulate_lower(ct_lowering *l)
{
    const ct_shape *x = ct_in_shape(l, 0), *in[2] = {x, ct_in_shape(l, 1)};
    ct_args *a = ct_emit(l, CT_KERNEL_accumulate, x->dtype);
    a->p[0] = ct_in(l, 0);
    a->p[1] = ct_in(l, 1);
    a->p[3] = ct_in(l, 0);
    ct_iterate(l, a, x, 2, in);
    ct_cost(l, (double)x->numel, ct_operand_bytes(l));
}

/* p: ring, value, count (i64).  n: length of the ring; the value's dtype is any. */
static void append_lower(ct_lowering *l)
{
    ct_args *a = ct_emit(l, CT_KERNEL_append, ct_in_shape(l, 0)->dtype);
    for (uint32_t i = 0; i < 3; i++) a->p[i] = ct_in(l, i);
    a->n = ct_in_shape(l, 0)->numel;
    /* One element goes over, and the count is read and written. */
    ct_cost(l, 0, 2 * (double)ct_dtype_bytes(a->dtype) + 2 * (double)ct_shape_bytes(ct_in_shape(l, 2)));
}

const ct_op ct_op_zero = {.name = "zero", .operands = "leaf*", .flags = CT_OP_EFFECT, .lower = zero_lower};
const ct_op ct_op_assign = {.name = "assign", .operands = "leaf value", .flags = CT_OP_EFFECT, .lower = assign_lower};
const ct_op ct_op_accumulate = {
    .name = "accumulate", .operands = "leaf value", .flags = CT_OP_EFFECT, .lower = accumulate_lower};
const ct_op ct_op_append = {
    .name = "append", .operands = "ring value count", .flags = CT_OP_EFFECT, .lower = append_lower};

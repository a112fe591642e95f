/* Binary ops, comparisons and where: y = f(a, b) with NumPy's broadcasting.
 *
 * A gradient is summed over the dims along which its operand was repeated.
 */
#include "ops/op.h"
#include "program/lower.h"

static ct_tensor binary(ct_context *ctx, ct_opcode op, ct_tensor a, ct_tensor b)
{
    ct_ref refs[2];
    ct_shape out;
    const char *name = ct_ops[op]->name;
    if (!ct_operands(ctx, name, ct_ops[op], 2, (ct_tensor[]){a, b}, refs) ||
        !ct_want_same_dtype(ctx, name, refs[0], refs[1]) || !ct_broadcast(ctx, name, refs[0], refs[1], &out))
        return (ct_tensor){0};
    if (op >= CT_OP_gt && op <= CT_OP_eq) {
        if (!ct_is_float(out.dtype)) out.dtype = CT_F32;
    } else if (!ct_want_float(ctx, name, refs[0])) {
        return (ct_tensor){0};
    }
    return ct_tape_add(ctx, &(ct_entry){.op = (uint16_t)op, .n_in = 2, .in = refs, .n_out = 1, .out = &out});
}

#define BINARY(name)                                                                                                   \
    ct_tensor ct_##name(ct_context *ctx, ct_tensor a, ct_tensor b) { return binary(ctx, CT_OP_##name, a, b); }
BINARY(add)
BINARY(sub)
BINARY(mul)
BINARY(div)
BINARY(pow)
BINARY(maximum)
BINARY(minimum)
BINARY(gt)
BINARY(ge)
BINARY(lt)
BINARY(le)
BINARY(eq)

ct_tensor ct_where(ct_context *ctx, ct_tensor cond, ct_tensor a, ct_tensor b)
{
    ct_ref refs[3];
    ct_shape ab, out;
    if (!ct_operands(ctx, "where", ct_ops[CT_OP_where], 3, (ct_tensor[]){cond, a, b}, refs) ||
        !ct_want_same_dtype(ctx, "where", refs[1], refs[2]) || !ct_broadcast(ctx, "where", refs[1], refs[2], &ab))
        return (ct_tensor){0};
    /* Three ways: each operand must broadcast with the shape of the other two. */
    const ct_shape *c = &ct_value_at(ctx, refs[0])->shape;
    int ndim = c->ndim > ab.ndim ? c->ndim : ab.ndim;
    int64_t dims[CT_MAX_DIMS];
    if (ct_broadcast_dims(c, &ab, 0, dims) >= 0) {
        ct_fail(ctx, CT_ERR_SHAPE, "where: cond %s does not broadcast with %s and %s", ct_ref_text(ctx, refs[0]),
                ct_ref_text(ctx, refs[1]), ct_ref_text(ctx, refs[2]));
        return (ct_tensor){0};
    }
    if (!ct_shape_make(ctx, "where", (ct_dtype)ab.dtype, ndim, dims, &out)) return (ct_tensor){0};
    return ct_tape_add(ctx, &(ct_entry){.op = CT_OP_where, .n_in = 3, .in = refs, .n_out = 1, .out = &out});
}

/* ---- gradients ---------------------------------------------------------------------- */

#define RULE(name) static void name##_vjp(ct_context *ctx, ct_adjoint *a)
#define A a->in[0]
#define B a->in[1]
#define Y a->out[0]
#define G a->g[0]

/* An adjoint in the output's shape, brought to that of input i. */
static void give(ct_context *ctx, ct_adjoint *a, uint32_t i, ct_tensor g)
{
    ct_shape like = ct_tensor_shape(ctx, a->in[i]);
    a->gin[i] = ct_sum_to(ctx, g, &like);
}

static ct_tensor constant(ct_context *ctx, ct_tensor like, double value)
{
    ct_shape scalar = ct_scalar_shape(ct_tensor_shape(ctx, like).dtype);
    return ct_constant(ctx, &scalar, value);
}

RULE(add)
{
    if (a->needs[0]) give(ctx, a, 0, G);
    if (a->needs[1]) give(ctx, a, 1, G);
}

RULE(sub)
{
    if (a->needs[0]) give(ctx, a, 0, G);
    if (a->needs[1]) give(ctx, a, 1, ct_neg(ctx, G));
}

RULE(mul)
{
    if (a->needs[0]) give(ctx, a, 0, ct_scale_by(ctx, B, G));
    if (a->needs[1]) give(ctx, a, 1, ct_scale_by(ctx, A, G));
}

RULE(div)
{
    if (a->needs[0]) give(ctx, a, 0, ct_div(ctx, G, B));
    if (a->needs[1]) give(ctx, a, 1, ct_neg(ctx, ct_mul(ctx, G, ct_div(ctx, Y, B))));
}

/* da = b a^(b-1), but 0 where b = 0; db = y ln a, but 0 where a = 0 and b >= 0. What would be infinite there is
 * masked before it is made. */
RULE(pow)
{
    if (a->needs[0]) {
        ct_tensor flat = ct_eq(ctx, B, constant(ctx, B, 0));
        ct_tensor safe = ct_where(ctx, flat, constant(ctx, B, 1), B);
        ct_tensor slope = ct_mul(ctx, B, ct_pow(ctx, A, ct_add_scalar(ctx, safe, -1)));
        give(ctx, a, 0, ct_where(ctx, flat, constant(ctx, A, 0), ct_mul(ctx, G, slope)));
    }
    if (a->needs[1]) {
        ct_tensor zero = constant(ctx, A, 0);
        ct_tensor flat = ct_mul(ctx, ct_eq(ctx, A, zero), ct_ge(ctx, B, zero));
        ct_tensor safe = ct_where(ctx, flat, constant(ctx, A, 1), A);
        give(ctx, a, 1, ct_mul(ctx, G, ct_mul(ctx, Y, ct_log(ctx, safe))));
    }
}

/* The adjoint goes to the one that was taken; a tie gives each half. */
static void extremum_vjp(ct_context *ctx, ct_adjoint *a, ct_tensor (*taken)(ct_context *, ct_tensor, ct_tensor))
{
    ct_tensor half = ct_mul_scalar(ctx, ct_eq(ctx, A, B), 0.5);
    if (a->needs[0]) give(ctx, a, 0, ct_mul(ctx, G, ct_add(ctx, taken(ctx, A, B), half)));
    if (a->needs[1]) give(ctx, a, 1, ct_mul(ctx, G, ct_add(ctx, taken(ctx, B, A), half)));
}

RULE(maximum) { extremum_vjp(ctx, a, ct_gt); }
RULE(minimum) { extremum_vjp(ctx, a, ct_lt); }

RULE(where)
{
    ct_tensor zero = constant(ctx, Y, 0);
    if (a->needs[1]) give(ctx, a, 1, ct_where(ctx, a->in[0], G, zero));
    if (a->needs[2]) give(ctx, a, 2, ct_where(ctx, a->in[0], zero, G));
}

/* ---- the ops ------------------------------------------------------------------------ */

#define OP(id, inputs, saved_inputs, rule)                                                                             \
    const ct_op ct_op_##id = {.name = #id,                                                                             \
                              .operands = inputs,                                                                      \
                              .flags = CT_OP_ELEMENTWISE,                                                              \
                              .saved = saved_inputs,                                                                   \
                              .vjp = rule,                                                                             \
                              .lower = ct_lower_elementwise};
OP(add, "a b", 0, add_vjp)
OP(sub, "a b", 0, sub_vjp)
OP(mul, "a b", 3, mul_vjp)
OP(div, "a b", 2, div_vjp)
OP(pow, "a b", 3, pow_vjp)
OP(maximum, "a b", 3, maximum_vjp)
OP(minimum, "a b", 3, minimum_vjp)
OP(gt, "a b", 0, NULL)
OP(ge, "a b", 0, NULL)
OP(lt, "a b", 0, NULL)
OP(le, "a b", 0, NULL)
OP(eq, "a b", 0, NULL)
OP(where, "cond a b", 1, where_vjp)

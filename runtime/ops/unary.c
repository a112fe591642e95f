/* Unary, scalar and cast ops: y = f(x), element by element.
 *
 * The formulas of the values stand with the kernels (kernels/elementwise.def);
 * here stand the derivatives. An activation's derivative is an op of its own,
 * act_grad, so that a backward is one launch.
 */
#include "ops/activation.h"
#include "ops/op.h"
#include "program/lower.h"

#include <math.h>

/* ---- recording ---------------------------------------------------------------------- */

static ct_tensor unary(ct_context *ctx, ct_opcode op, ct_tensor x, int n_scalar, const double *scalar)
{
    ct_ref ref;
    const char *name = ct_ops[op]->name;
    if (!ct_operands(ctx, name, ct_ops[op], 1, &x, &ref) || !ct_want_float(ctx, name, ref)) return (ct_tensor){0};
    ct_shape shape = ct_shape_of(ctx, ref);
    return ct_record_unary(ctx, op, ref, &shape, 0, NULL, n_scalar, scalar);
}

#define UNARY(name)                                                                                                    \
    ct_tensor ct_##name(ct_context *ctx, ct_tensor x) { return unary(ctx, CT_OP_##name, x, 0, NULL); }
UNARY(neg)
UNARY(abs)
UNARY(exp)
UNARY(expm1)
UNARY(log)
UNARY(log1p)
UNARY(sqrt)
UNARY(rsqrt)
UNARY(square)
UNARY(reciprocal)
UNARY(sin)
UNARY(cos)
UNARY(tanh)
UNARY(sigmoid)
UNARY(relu)
UNARY(silu)
UNARY(softplus)
UNARY(sign)

ct_tensor ct_gelu(ct_context *ctx, ct_tensor x, bool tanh_approx)
{
    return unary(ctx, tanh_approx ? CT_OP_gelu_tanh : CT_OP_gelu, x, 0, NULL);
}

ct_tensor ct_leaky_relu(ct_context *ctx, ct_tensor x, double slope)
{
    return unary(ctx, CT_OP_leaky_relu, x, 1, &slope);
}

ct_tensor ct_elu(ct_context *ctx, ct_tensor x, double alpha) { return unary(ctx, CT_OP_elu, x, 1, &alpha); }

ct_tensor ct_clamp(ct_context *ctx, ct_tensor x, double lo, double hi)
{
    if (ct_ready(ctx)) return (ct_tensor){0};
    if (isnan(lo) || isnan(hi)) {
        ct_fail(ctx, CT_ERR_ARGUMENT, "clamp: a bound is NaN; use -INFINITY or INFINITY for none");
        return (ct_tensor){0};
    }
    return unary(ctx, CT_OP_clamp, x, 2, (double[]){lo, hi});
}

ct_tensor ct_add_scalar(ct_context *ctx, ct_tensor x, double s) { return unary(ctx, CT_OP_add_scalar, x, 1, &s); }
ct_tensor ct_mul_scalar(ct_context *ctx, ct_tensor x, double s) { return unary(ctx, CT_OP_mul_scalar, x, 1, &s); }
ct_tensor ct_pow_scalar(ct_context *ctx, ct_tensor x, double p) { return unary(ctx, CT_OP_pow_scalar, x, 1, &p); }

ct_tensor ct_cast(ct_context *ctx, ct_tensor x, ct_dtype dtype)
{
    ct_ref ref;
    if (!ct_operands(ctx, "cast", ct_ops[CT_OP_cast], 1, &x, &ref)) return (ct_tensor){0};
    ct_shape shape = ct_shape_of(ctx, ref), out;
    if (!ct_shape_make(ctx, "cast", dtype, shape.ndim, shape.dim, &out)) return (ct_tensor){0};
    return ct_record_unary(ctx, CT_OP_cast, ref, &out, 1, &(int64_t){out.dtype}, 0, NULL);
}

ct_tensor ct_act_grad(ct_context *ctx, ct_activation activation, ct_tensor g, ct_tensor s, double slope)
{
    ct_ref refs[2];
    if (!ct_operands(ctx, "act_grad", ct_ops[CT_OP_act_grad], 2, (ct_tensor[]){g, s}, refs)) return (ct_tensor){0};
    ct_shape shape = ct_shape_of(ctx, refs[1]);
    return ct_tape_add(ctx, &(ct_entry){.op = CT_OP_act_grad,
                                        .n_in = 2,
                                        .in = refs,
                                        .n_out = 1,
                                        .out = &shape,
                                        .n_attr = 1,
                                        .attr = &(int64_t){(int64_t)activation},
                                        .n_scalar = 1,
                                        .scalar = &slope});
}

/* ---- gradients: gin = g * f'(x), in terms of x or y, whichever is at hand -------------- */

#define RULE(name) static void name##_vjp(ct_context *ctx, ct_adjoint *a)
#define X a->in[0]
#define Y a->out[0]
#define G a->g[0]
#define GIN a->gin[0]

RULE(neg) { GIN = ct_neg(ctx, G); }
RULE(abs) { GIN = ct_mul(ctx, G, ct_sign(ctx, X)); }
RULE(exp) { GIN = ct_mul(ctx, G, Y); }
RULE(expm1) { GIN = ct_mul(ctx, G, ct_add_scalar(ctx, Y, 1)); }
RULE(log) { GIN = ct_div(ctx, G, X); }
RULE(log1p) { GIN = ct_div(ctx, G, ct_add_scalar(ctx, X, 1)); }
RULE(sqrt) { GIN = ct_mul_scalar(ctx, ct_div(ctx, G, Y), 0.5); }
RULE(rsqrt) { GIN = ct_mul_scalar(ctx, ct_mul(ctx, G, ct_mul(ctx, Y, ct_square(ctx, Y))), -0.5); }
RULE(square) { GIN = ct_mul(ctx, G, ct_mul_scalar(ctx, X, 2)); }
RULE(reciprocal) { GIN = ct_neg(ctx, ct_mul(ctx, G, ct_square(ctx, Y))); }
RULE(sin) { GIN = ct_mul(ctx, G, ct_cos(ctx, X)); }
RULE(cos) { GIN = ct_neg(ctx, ct_mul(ctx, G, ct_sin(ctx, X))); }
RULE(tanh) { GIN = ct_act_grad(ctx, CT_ACT_TANH, G, Y, 0); }
RULE(sigmoid) { GIN = ct_act_grad(ctx, CT_ACT_SIGMOID, G, Y, 0); }
RULE(relu) { GIN = ct_act_grad(ctx, CT_ACT_RELU, G, Y, 0); }
RULE(silu) { GIN = ct_act_grad(ctx, CT_ACT_SILU, G, X, 0); }
RULE(gelu) { GIN = ct_act_grad(ctx, CT_ACT_GELU, G, X, 0); }
RULE(gelu_tanh) { GIN = ct_act_grad(ctx, CT_ACT_GELU_TANH, G, X, 0); }
RULE(leaky_relu) { GIN = ct_act_grad(ctx, CT_ACT_LEAKY_RELU, G, X, a->scalar[0]); }
RULE(softplus) { GIN = ct_mul(ctx, G, ct_sigmoid(ctx, X)); }
RULE(add_scalar) { (void)ctx, GIN = G; }
RULE(mul_scalar) { GIN = ct_mul_scalar(ctx, G, a->scalar[0]); }
RULE(sign) { (void)ctx, (void)a; /* zero everywhere */ }

/* 1 where x > 0, else alpha eˣ; not by y + alpha, which cancels. The exponential sees
 * min(x, 0), so that it cannot overflow where it is not taken. */
RULE(elu)
{
    ct_shape scalar = ct_scalar_shape(ct_tensor_shape(ctx, X).dtype);
    ct_tensor zero = ct_constant(ctx, &scalar, 0), below = ct_where(ctx, ct_lt(ctx, X, zero), X, zero);
    ct_tensor slope = ct_mul_scalar(ctx, ct_exp(ctx, below), a->scalar[0]);
    GIN = ct_where(ctx, ct_gt(ctx, X, zero), G, ct_mul(ctx, G, slope));
}

RULE(clamp)
{
    ct_shape scalar = ct_scalar_shape(ct_tensor_shape(ctx, X).dtype);
    ct_tensor inside = ct_mul(ctx, ct_ge(ctx, X, ct_constant(ctx, &scalar, a->scalar[0])),
                              ct_le(ctx, X, ct_constant(ctx, &scalar, a->scalar[1])));
    GIN = ct_where(ctx, inside, G, ct_constant(ctx, &scalar, 0));
}

/* p xᵖ⁻¹; zero for p = 0, where x = 0 would give 0 * inf. */
RULE(pow_scalar)
{
    double p = a->scalar[0];
    if (p == 0) return;
    GIN = p == 1 ? G : ct_mul(ctx, G, ct_mul_scalar(ctx, ct_pow_scalar(ctx, X, p - 1), p));
}

RULE(cast) { GIN = ct_cast(ctx, G, (ct_dtype)ct_tensor_shape(ctx, X).dtype); }

/* f'' of the activations, as a tensor; the zero tensor where it vanishes. s is y for
 * those whose f' is written in y, and then it is d f'/dy. */
static ct_tensor second_derivative(ct_context *ctx, ct_activation activation, ct_tensor s)
{
    switch ((int)activation) {
    case CT_ACT_TANH: /* d(1 - y²)/dy */ return ct_mul_scalar(ctx, s, -2);
    case CT_ACT_SIGMOID: /* d(y - y²)/dy */ return ct_add_scalar(ctx, ct_mul_scalar(ctx, s, -2), 1);
    case CT_ACT_SILU: { /* p(1 - p)(2 + x(1 - 2p)), p = sigmoid(x) */
        ct_tensor p = ct_sigmoid(ctx, s), slope = ct_mul(ctx, p, ct_add_scalar(ctx, ct_neg(ctx, p), 1));
        ct_tensor rest = ct_mul(ctx, s, ct_add_scalar(ctx, ct_mul_scalar(ctx, p, -2), 1));
        return ct_mul(ctx, slope, ct_add_scalar(ctx, rest, 2));
    }
    case CT_ACT_GELU: { /* φ(x)(2 - x²) */
        ct_tensor square = ct_square(ctx, s), density = ct_exp(ctx, ct_mul_scalar(ctx, square, -0.5));
        return ct_mul(ctx, ct_mul_scalar(ctx, density, 0.39894228040143267794),
                      ct_add_scalar(ctx, ct_neg(ctx, square), 2));
    }
    case CT_ACT_GELU_TANH: { /* (1 - t²)(u' + x u''/2 - x t u'²), t = tanh(u), u = k(x + c x³) */
        const double k = 0.79788456080286535588, c = 0.044715;
        ct_tensor square = ct_square(ctx, s);
        ct_tensor u = ct_mul_scalar(ctx, ct_mul(ctx, s, ct_add_scalar(ctx, ct_mul_scalar(ctx, square, c), 1)), k);
        ct_tensor u1 = ct_add_scalar(ctx, ct_mul_scalar(ctx, square, 3 * c * k), k);
        ct_tensor t = ct_tanh(ctx, u), slope = ct_add_scalar(ctx, ct_neg(ctx, ct_square(ctx, t)), 1);
        ct_tensor last = ct_mul(ctx, ct_mul(ctx, s, t), ct_square(ctx, u1));
        ct_tensor rest = ct_sub(ctx, ct_add(ctx, u1, ct_mul_scalar(ctx, square, 3 * c * k)), last);
        return ct_mul(ctx, slope, rest);
    }
    default: return (ct_tensor){0};
    }
}

/* act_grad(g, s) = g f'(s) is linear in g. */
RULE(act_grad)
{
    ct_activation activation = (ct_activation)a->attr[0];
    if (a->needs[0]) a->gin[0] = ct_act_grad(ctx, activation, G, a->in[1], a->scalar[0]);
    if (!a->needs[1]) return;
    ct_tensor second = second_derivative(ctx, activation, a->in[1]);
    if (second.bits) a->gin[1] = ct_mul(ctx, ct_mul(ctx, G, a->in[0]), second);
}

/* ---- the ops ------------------------------------------------------------------------ */

/* saved: 1 where the rule reads x. */
#define OP(id, inputs, saved_inputs, attributes)                                                                       \
    const ct_op ct_op_##id = {.name = #id,                                                                             \
                              .operands = inputs,                                                                      \
                              .flags = CT_OP_ELEMENTWISE,                                                              \
                              .saved = saved_inputs,                                                                   \
                              .vjp = id##_vjp,                                                                         \
                              .lower = ct_lower_elementwise,                                                           \
                              .shown = attributes};
OP(neg, "x", 0, NULL)
OP(abs, "x", 1, NULL)
OP(exp, "x", 0, NULL)
OP(expm1, "x", 0, NULL)
OP(log, "x", 1, NULL)
OP(log1p, "x", 1, NULL)
OP(sqrt, "x", 0, NULL)
OP(rsqrt, "x", 0, NULL)
OP(square, "x", 1, NULL)
OP(reciprocal, "x", 0, NULL)
OP(sin, "x", 1, NULL)
OP(cos, "x", 1, NULL)
OP(tanh, "x", 0, NULL)
OP(sigmoid, "x", 0, NULL)
OP(relu, "x", 0, NULL)
OP(silu, "x", 1, NULL)
OP(softplus, "x", 1, NULL)
OP(gelu, "x", 1, NULL)
OP(gelu_tanh, "x", 1, NULL)
OP(leaky_relu, "x", 1, "; slope")
OP(elu, "x", 1, "; alpha")
OP(clamp, "x", 1, "; lo hi")
OP(sign, "x", 0, NULL)
OP(cast, "x", 0, "dtype")
OP(add_scalar, "x", 0, "; s")
OP(mul_scalar, "x", 0, "; s")
OP(pow_scalar, "x", 1, "; p")
OP(act_grad, "g s", 3, "activation")

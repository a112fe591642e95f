/* Matrix products: matmul, batched and with transposed operands, and linear with its
 * activation. Both lower to the one GEMM kernel. */
#include "ops/matrix.h"

#include "ops/activation.h"
#include "program/lower.h"

#include <string.h>

/* ---- matmul ----------------------------------------------------------------------------- */

static bool matmul_shape(ct_context *ctx, ct_ref ra, ct_ref rb, bool ta, bool tb, ct_shape *out)
{
    const ct_shape *a = &ct_value_at(ctx, ra)->shape, *b = &ct_value_at(ctx, rb)->shape;
    if (a->ndim < 2 || b->ndim < 2) {
        ct_fail(ctx, CT_ERR_SHAPE, "matmul: %s x %s: both need at least two dims; ct_reshape adds one",
                ct_ref_text(ctx, ra), ct_ref_text(ctx, rb));
        return false;
    }
    int64_t m = a->dim[a->ndim - (ta ? 1 : 2)], ka = a->dim[a->ndim - (ta ? 2 : 1)];
    int64_t n = b->dim[b->ndim - (tb ? 2 : 1)], kb = b->dim[b->ndim - (tb ? 1 : 2)];
    if (ka != kb) {
        ct_fail(ctx, CT_ERR_SHAPE, "matmul: %s%s x %s%s: %lld columns meet %lld rows", ct_ref_text(ctx, ra),
                ta ? "ᵀ" : "", ct_ref_text(ctx, rb), tb ? "ᵀ" : "", (long long)ka, (long long)kb);
        return false;
    }
    int ndim = a->ndim > b->ndim ? a->ndim : b->ndim;
    int64_t dims[CT_MAX_DIMS];
    int bad = ct_broadcast_dims(a, b, 2, dims);
    if (bad >= 0) {
        ct_fail(ctx, CT_ERR_SHAPE, "matmul: %s x %s: the batches do not broadcast in dim %d", ct_ref_text(ctx, ra),
                ct_ref_text(ctx, rb), bad);
        return false;
    }
    dims[ndim - 2] = m;
    dims[ndim - 1] = n;
    return ct_shape_make(ctx, "matmul", (ct_dtype)a->dtype, ndim, dims, out);
}

ct_tensor ct_matmul_transposed(ct_context *ctx, ct_tensor a, ct_tensor b, bool ta, bool tb)
{
    ct_ref refs[2];
    ct_shape out;
    if (!ct_operands(ctx, "matmul", ct_ops[CT_OP_matmul], 2, (ct_tensor[]){a, b}, refs) ||
        !ct_want_float(ctx, "matmul", refs[0]) || !ct_want_same_dtype(ctx, "matmul", refs[0], refs[1]) ||
        !matmul_shape(ctx, refs[0], refs[1], ta, tb, &out))
        return (ct_tensor){0};
    return ct_tape_add(ctx, &(ct_entry){.op = CT_OP_matmul,
                                        .n_in = 2,
                                        .in = refs,
                                        .n_out = 1,
                                        .out = &out,
                                        .n_attr = 2,
                                        .attr = (int64_t[]){ta, tb}});
}

ct_tensor ct_matmul(ct_context *ctx, ct_tensor a, ct_tensor b) { return ct_matmul_transposed(ctx, a, b, false, false); }

/* C = op(A) op(B).  dA = G op(B)ᵀ, dB = op(A)ᵀ G; transposed if the operand is. */
static void matmul_vjp(ct_context *ctx, ct_adjoint *a)
{
    ct_tensor A = a->in[0], B = a->in[1], G = a->g[0];
    bool ta = a->attr[CT_MATMUL_TA], tb = a->attr[CT_MATMUL_TB];
    if (a->needs[0]) {
        ct_shape like = ct_tensor_shape(ctx, A);
        ct_tensor g = ta ? ct_matmul_transposed(ctx, B, G, tb, true) : ct_matmul_transposed(ctx, G, B, false, !tb);
        a->gin[0] = ct_sum_to(ctx, g, &like);
    }
    if (a->needs[1]) {
        ct_shape like = ct_tensor_shape(ctx, B);
        ct_tensor g = tb ? ct_matmul_transposed(ctx, G, A, true, ta) : ct_matmul_transposed(ctx, A, G, !ta, false);
        a->gin[1] = ct_sum_to(ctx, g, &like);
    }
}

/* p: A, B, C, bias, scratch.  i: lda, ldb, ldc, flags.  m, n, k as in C [m,n].  Batches are
 * iterated over with strides in matrices' elements; ndim 0 is a single product. */
static ct_args *emit_gemm(ct_lowering *l, int64_t m, int64_t n, int64_t k, bool ta, bool tb, int more_flops)
{
    int32_t dtype = ct_out_shape(l, 0)->dtype;
    ct_args *a = ct_emit(l, CT_KERNEL_gemm, dtype);
    a->p[0] = ct_in(l, 0);
    a->p[1] = ct_in(l, 1);
    a->p[2] = ct_out(l, 0);
    a->p[4] = ct_scratch(l);
    a->m = m, a->n = n, a->k = k;
    a->i[0] = ta ? m : k;
    a->i[1] = tb ? k : n;
    a->i[2] = n;
    a->i[3] = (ta ? CT_GEMM_TA : 0) | (tb ? CT_GEMM_TB : 0) | (ct_adds_to_output(l) ? CT_GEMM_ADD : 0);
    const ct_shape *c = ct_out_shape(l, 0);
    const bool adds = ct_adds_to_output(l); /* C is read too */
    ct_cost(l, (double)c->numel * (2.0 * (double)k + more_flops + adds),
            ct_operand_bytes(l) + (adds ? (double)ct_shape_bytes(c) : 0));
    return a;
}

static void matmul_lower(ct_lowering *l)
{
    const ct_shape *sa = ct_in_shape(l, 0), *sb = ct_in_shape(l, 1), *sc = ct_out_shape(l, 0);
    bool ta = ct_attr(l, CT_MATMUL_TA), tb = ct_attr(l, CT_MATMUL_TB);
    int64_t m = sc->dim[sc->ndim - 2], n = sc->dim[sc->ndim - 1], k = sa->dim[sa->ndim - (ta ? 2 : 1)];
    ct_args *a = emit_gemm(l, m, n, k, ta, tb, 0);
    if (sc->ndim == 2) return;
    ct_shape out = *sc, in[2] = {*sa, *sb};
    out.ndim -= 2, in[0].ndim -= 2, in[1].ndim -= 2;
    ct_iterate(l, a, &out, 2, (const ct_shape *const[]){&in[0], &in[1]});
    a->n = n;
    if (sc->numel == 0) a->m = 0; /* no batches: nothing to do */
}

const ct_op ct_op_matmul = {
    .name = "matmul", .operands = "a b", .saved = 3, .vjp = matmul_vjp, .lower = matmul_lower, .shown = "ta=0 tb=0"};

/* The kernel's epilogue numbers the activations as the header does. */
_Static_assert(CT_ACT_RELU == 1 && CT_ACT_TANH == 2 && CT_ACT_SIGMOID == 3 && CT_ACT_LEAKY_RELU == 6, "gemm.inc");

/* ---- linear: y = act(x wᵀ + b) --------------------------------------------------------------
 * x [.., in], w [out, in], b [out], y [.., out]. */

ct_tensor ct_linear(ct_context *ctx, ct_tensor x, ct_tensor w, ct_tensor b, ct_activation activation)
{
    ct_ref refs[3];
    int n = b.bits ? 3 : 2;
    if (!ct_operands(ctx, "linear", ct_ops[CT_OP_linear], n, (ct_tensor[]){x, w, b}, refs)) return (ct_tensor){0};
    if ((int)activation < CT_ACT_IDENTITY || activation > CT_ACT_LEAKY_RELU) {
        ct_fail(ctx, CT_ERR_ARGUMENT, "linear: %d is no activation", (int)activation);
        return (ct_tensor){0};
    }
    ct_shape sx = ct_shape_of(ctx, refs[0]), sw = ct_shape_of(ctx, refs[1]), out;
    for (int i = 1; i < n; i++)
        if (!ct_want_same_dtype(ctx, "linear", refs[0], refs[i])) return (ct_tensor){0};
    if (!ct_want_float(ctx, "linear", refs[0])) return (ct_tensor){0};
    if (sx.ndim < 1 || sw.ndim != 2 || sx.dim[sx.ndim - 1] != sw.dim[1]) {
        ct_fail(ctx, CT_ERR_SHAPE, "linear: x %s, w %s: x wants to be [.., in] and w [out, in]",
                ct_ref_text(ctx, refs[0]), ct_ref_text(ctx, refs[1]));
        return (ct_tensor){0};
    }
    if (n == 3) {
        ct_shape sb = ct_shape_of(ctx, refs[2]);
        if (sb.ndim != 1 || sb.dim[0] != sw.dim[0]) {
            ct_fail(ctx, CT_ERR_SHAPE, "linear: w %s, b %s: b wants to be [%lld]", ct_ref_text(ctx, refs[1]),
                    ct_ref_text(ctx, refs[2]), (long long)sw.dim[0]);
            return (ct_tensor){0};
        }
    }
    /* These two differentiate by the value before the activation, so that stays. */
    bool apart = activation == CT_ACT_GELU || activation == CT_ACT_SILU;
    int64_t dims[CT_MAX_DIMS];
    memcpy(dims, sx.dim, sizeof dims);
    dims[sx.ndim - 1] = sw.dim[0];
    if (!ct_shape_make(ctx, "linear", (ct_dtype)sx.dtype, sx.ndim, dims, &out)) return (ct_tensor){0};
    ct_tensor y = ct_tape_add(ctx, &(ct_entry){.op = CT_OP_linear,
                                               .n_in = (uint32_t)n,
                                               .in = refs,
                                               .n_out = 1,
                                               .out = &out,
                                               .n_attr = 1,
                                               .attr = &(int64_t){apart ? CT_ACT_IDENTITY : (int64_t)activation}});
    if (!apart) return y;
    return activation == CT_ACT_GELU ? ct_gelu(ctx, y, false) : ct_silu(ctx, y);
}

/* [.., d] as [rows, d] */
static ct_tensor as_matrix(ct_context *ctx, ct_tensor x)
{
    ct_shape s = ct_tensor_shape(ctx, x);
    if (ctx->status || s.ndim == 2) return x;
    int64_t columns = s.dim[s.ndim - 1], rows = 1;
    for (int i = 0; i < s.ndim - 1; i++) rows *= s.dim[i];
    return ct_reshape(ctx, x, 2, (int64_t[]){rows, columns});
}

#define LEAKY_SLOPE 0.01

/* dz = g f'(z);  dx = dz w, dw = dzᵀ x, db = sum of dz over the rows. */
static void linear_vjp(ct_context *ctx, ct_adjoint *a)
{
    ct_activation activation = (ct_activation)a->attr[0];
    ct_tensor dz = a->g[0];
    if (activation != CT_ACT_IDENTITY) dz = ct_act_grad(ctx, activation, dz, a->out[0], LEAKY_SLOPE);
    dz = as_matrix(ctx, dz);
    if (a->needs[0]) {
        ct_shape x = ct_tensor_shape(ctx, a->in[0]);
        ct_tensor dx = ct_matmul(ctx, dz, a->in[1]);
        a->gin[0] = x.ndim == 2 ? dx : ct_reshape(ctx, dx, x.ndim, x.dim);
    }
    if (a->needs[1]) a->gin[1] = ct_matmul_transposed(ctx, dz, as_matrix(ctx, a->in[0]), true, false);
    if (a->n_in == 3 && a->needs[2]) a->gin[2] = ct_sum(ctx, dz, 1, (int[]){0}, false);
}

/* Of what the epilogue does to an element. */
static int activation_flops(int64_t activation)
{
    static const uint16_t ops[] = {[CT_ACT_RELU] = CT_OP_relu,
                                   [CT_ACT_TANH] = CT_OP_tanh,
                                   [CT_ACT_SIGMOID] = CT_OP_sigmoid,
                                   [CT_ACT_LEAKY_RELU] = CT_OP_leaky_relu};
    return activation == CT_ACT_IDENTITY ? 0 : ct_elementwise_flops(ops[activation]);
}

/* As matmul, with the bias in p[3] and the activation in `flags`. */
static void linear_lower(ct_lowering *l)
{
    const ct_shape *w = ct_in_shape(l, 1), *y = ct_out_shape(l, 0);
    int64_t rows = 1;
    for (int i = 0; i < y->ndim - 1; i++) rows *= y->dim[i];
    const int64_t activation = ct_attr(l, 0);
    const bool bias = ct_n_in(l) == 3;
    ct_args *a = emit_gemm(l, rows, w->dim[0], w->dim[1], false, true, activation_flops(activation) + bias);
    a->p[3] = bias ? ct_in(l, 2) : NULL;
    a->flags = (uint8_t)activation;
}

const ct_op ct_op_linear = {.name = "linear",
                            .operands = "x w b",
                            .saved = 3,
                            .vjp = linear_vjp,
                            .lower = linear_lower,
                            .shown = "activation=0"};

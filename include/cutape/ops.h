/* ops.h: the ops. Each is (ctx, operands..., attributes...) -> ct_tensor.
 *
 * Intended usage
 *
 * An op checks its operands, works out the result's shape, and records; nothing runs (see tensor.h). Ops
 * return values, never views, so an op never changes what another one gave. Nest them as expressions and
 * check once:
 *
 *     ct_tensor h = ct_linear(ctx, x, w1, b1, CT_ACT_RELU);                 // [64, 784] -> [64, 128]
 *     ct_tensor loss = ct_cross_entropy(ctx, ct_linear(ctx, h, w2, b2, CT_ACT_IDENTITY), labels, 0.0, -100,
 *                                       CT_REDUCE_MEAN);
 *     ct_backward(ctx, loss);
 *     if (ct_step_end(ctx) != CT_OK) ... ct_error_message(ctx) ...
 *
 * Element types: F32 and F64 unless said otherwise, the same for all operands, and that of the result.
 * There is no promotion: mixing is CT_ERR_DTYPE, and ct_cast is the way out.
 * Shapes: operands broadcast as in NumPy where it says so; an adjoint is summed over the dims that were
 * broadcast.
 * A dim counts from the end when negative.
 *
 * On error an op returns the zero tensor and the error stands on the context (see context.h). Any op can
 * give CT_ERR_ARGUMENT for a zero, stale or foreign operand, CT_ERR_DTYPE, CT_ERR_SHAPE for operands that
 * do not fit, sizes that do not broadcast, or a result of more than CT_MAX_DIMS dims, CT_ERR_MEMORY when
 * host memory runs out, and CT_ERR_UNSUPPORTED for what this version does not implement on this device.
 * Comments name other cases.
 *
 * In the comments y is the result, dy its adjoint, and dx what the op's gradient rule gives x; [condition]
 * is 1 or 0; T transposes the last two dims.
 */
#ifndef CUTAPE_OPS_H
#define CUTAPE_OPS_H

#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- attributes --------------------------------------------------------------------------------------- */

/* Activations of ct_linear and ct_mlp. GELU is the erf form; LEAKY_RELU has slope 0.01. */
typedef enum ct_activation {
    CT_ACT_IDENTITY = 0,
    CT_ACT_RELU,
    CT_ACT_TANH,
    CT_ACT_SIGMOID,
    CT_ACT_GELU,
    CT_ACT_SILU,
    CT_ACT_LEAKY_RELU
} ct_activation;

/* What a loss does with its element losses: their mean or sum, of shape [], or none, keeping their shape. */
typedef enum ct_reduction { CT_REDUCE_MEAN = 0, CT_REDUCE_SUM, CT_REDUCE_NONE } ct_reduction;

/* ---- unary, element by element: y has the shape of x -------------------------------------------------- */

/* y = -x;  dx = -dy. */
CT_API ct_tensor ct_neg(ct_context *ctx, ct_tensor x);

/* y = |x|;  dx = dy sign(x), so 0 at x = 0. */
CT_API ct_tensor ct_abs(ct_context *ctx, ct_tensor x);

/* y = e^x;  dx = dy y. */
CT_API ct_tensor ct_exp(ct_context *ctx, ct_tensor x);

/* y = e^x - 1, accurate near 0;  dx = dy (y + 1). */
CT_API ct_tensor ct_expm1(ct_context *ctx, ct_tensor x);

/* y = ln x;  dx = dy / x. NaN for x < 0, -inf for 0. */
CT_API ct_tensor ct_log(ct_context *ctx, ct_tensor x);

/* y = ln(1 + x), accurate near 0;  dx = dy / (1 + x). */
CT_API ct_tensor ct_log1p(ct_context *ctx, ct_tensor x);

/* y = x^(1/2);  dx = dy / (2 y). NaN for x < 0. */
CT_API ct_tensor ct_sqrt(ct_context *ctx, ct_tensor x);

/* y = x^(-1/2);  dx = -dy y^3 / 2. */
CT_API ct_tensor ct_rsqrt(ct_context *ctx, ct_tensor x);

/* y = x^2;  dx = 2 dy x. */
CT_API ct_tensor ct_square(ct_context *ctx, ct_tensor x);

/* y = 1 / x;  dx = -dy y^2. */
CT_API ct_tensor ct_reciprocal(ct_context *ctx, ct_tensor x);

/* y = sin x, x in radians;  dx = dy cos x. */
CT_API ct_tensor ct_sin(ct_context *ctx, ct_tensor x);

/* y = cos x, x in radians;  dx = -dy sin x. */
CT_API ct_tensor ct_cos(ct_context *ctx, ct_tensor x);

/* y = tanh x;  dx = dy (1 - y^2). */
CT_API ct_tensor ct_tanh(ct_context *ctx, ct_tensor x);

/* y = 1 / (1 + e^-x), without overflow;  dx = dy y (1 - y). */
CT_API ct_tensor ct_sigmoid(ct_context *ctx, ct_tensor x);

/* y = max(x, 0);  dx = dy [x > 0], so 0 at x = 0. */
CT_API ct_tensor ct_relu(ct_context *ctx, ct_tensor x);

/* y = x s, s = sigmoid(x);  dx = dy s (1 + x (1 - s)). */
CT_API ct_tensor ct_silu(ct_context *ctx, ct_tensor x);

/* y = ln(1 + e^x), without overflow;  dx = dy sigmoid(x). */
CT_API ct_tensor ct_softplus(ct_context *ctx, ct_tensor x);

/* y = x P(x), P(x) = (1 + erf(x / sqrt 2)) / 2;  dx = dy (P(x) + x p(x)), p(x) = e^(-x^2/2) / sqrt(2 pi).
 * tanh_approx: y = x (1 + t) / 2, t = tanh(sqrt(2/pi) (x + 0.044715 x^3)), and the derivative of that. */
CT_API ct_tensor ct_gelu(ct_context *ctx, ct_tensor x, bool tanh_approx);

/* y = x for x > 0, else slope x;  dx = dy for x > 0, else slope dy. */
CT_API ct_tensor ct_leaky_relu(ct_context *ctx, ct_tensor x, double slope);

/* y = x for x > 0, else alpha (e^x - 1);  dx = dy for x > 0, else dy alpha e^x. */
CT_API ct_tensor ct_elu(ct_context *ctx, ct_tensor x, double alpha);

/* y = min(max(x, lo), hi);  dx = dy [lo <= x <= hi]. Infinite bounds are allowed.
 * lo > hi gives hi everywhere, as in torch. CT_ERR_ARGUMENT: a bound is NaN. */
CT_API ct_tensor ct_clamp(ct_context *ctx, ct_tensor x, double lo, double hi);

/* y = -1, 0 or 1;  dx = 0. */
CT_API ct_tensor ct_sign(ct_context *ctx, ct_tensor x);

/* y = x as dtype; x of any dtype. Float to float rounds to nearest; float to integer cuts towards 0,
 * what is out of range becomes the nearest end of it, NaN 0; integer to integer keeps the low bits. dx = dy cast back,
 * between floats; a cast from or to an integer passes no gradient. */
CT_API ct_tensor ct_cast(ct_context *ctx, ct_tensor x, ct_dtype dtype);

/* ---- with a scalar: part of the step's data, so that another value is the same program ---------------- */

/* y = x + value;  dx = dy. */
CT_API ct_tensor ct_add_scalar(ct_context *ctx, ct_tensor x, double value);

/* y = x value;  dx = dy value. */
CT_API ct_tensor ct_mul_scalar(ct_context *ctx, ct_tensor x, double value);

/* y = x^exponent, as torch.pow;  dx = dy exponent x^(exponent - 1), and 0 where exponent is 0.
 * NaN for x < 0 unless exponent is whole. */
CT_API ct_tensor ct_pow_scalar(ct_context *ctx, ct_tensor x, double exponent);

/* ---- binary: a and b of one dtype, broadcast to the shape of y ---------------------------------------- */

/* y = a + b;  da = dy, db = dy. */
CT_API ct_tensor ct_add(ct_context *ctx, ct_tensor a, ct_tensor b);

/* y = a - b;  da = dy, db = -dy. */
CT_API ct_tensor ct_sub(ct_context *ctx, ct_tensor a, ct_tensor b);

/* y = a b;  da = dy b, db = dy a. */
CT_API ct_tensor ct_mul(ct_context *ctx, ct_tensor a, ct_tensor b);

/* y = a / b;  da = dy / b, db = -dy y / b. */
CT_API ct_tensor ct_div(ct_context *ctx, ct_tensor a, ct_tensor b);

/* y = a^b, as torch.pow;  da = dy b a^(b - 1), 0 where b = 0;  db = dy y ln a, 0 where a = 0 and b >= 0.
 * NaN for a < 0 unless b is whole. */
CT_API ct_tensor ct_pow(ct_context *ctx, ct_tensor a, ct_tensor b);

/* y = max(a, b);  da = dy [a > b], db = dy [b > a], each dy / 2 where a = b. */
CT_API ct_tensor ct_maximum(ct_context *ctx, ct_tensor a, ct_tensor b);

/* y = min(a, b);  da = dy [a < b], db = dy [b < a], each dy / 2 where a = b. */
CT_API ct_tensor ct_minimum(ct_context *ctx, ct_tensor a, ct_tensor b);

/* y = 1 where a > b, else 0. a and b of any one dtype; y in their float dtype, F32 for integers. No
 * gradient. */
CT_API ct_tensor ct_gt(ct_context *ctx, ct_tensor a, ct_tensor b);

/* y = 1 where a >= b, else 0. a and b of any one dtype; y in their float dtype, F32 for integers. No
 * gradient. */
CT_API ct_tensor ct_ge(ct_context *ctx, ct_tensor a, ct_tensor b);

/* y = 1 where a < b, else 0. a and b of any one dtype; y in their float dtype, F32 for integers. No
 * gradient. */
CT_API ct_tensor ct_lt(ct_context *ctx, ct_tensor a, ct_tensor b);

/* y = 1 where a <= b, else 0. a and b of any one dtype; y in their float dtype, F32 for integers. No
 * gradient. */
CT_API ct_tensor ct_le(ct_context *ctx, ct_tensor a, ct_tensor b);

/* y = 1 where a = b, else 0. a and b of any one dtype; y in their float dtype, F32 for integers. No
 * gradient. */
CT_API ct_tensor ct_eq(ct_context *ctx, ct_tensor a, ct_tensor b);

/* y = a where cond != 0, else b;  da = dy [cond != 0], db = dy [cond = 0], none for cond. The three
 * broadcast together. cond of any dtype; a and b of any one dtype. */
CT_API ct_tensor ct_where(ct_context *ctx, ct_tensor cond, ct_tensor a, ct_tensor b);

/* ---- reductions: over the n_dims dims listed, all of them when dims is NULL or n_dims is 0 ------------ */

/* A reduced dim is dropped from the shape of y, or kept with size 1 if keepdim. Elements are combined in an
 * order that depends on the shape alone. CT_ERR_ARGUMENT: a dim out of range or listed twice; CT_ERR_DTYPE: x is
 * not F32 or F64. Below, N is the number of elements that go into one of y, and dy and y stand for their
 * values broadcast back to the shape of x. */

/* y = sum of x;  dx = dy. Of nothing: 0. */
CT_API ct_tensor ct_sum(ct_context *ctx, ct_tensor x, int n_dims, const int *dims, bool keepdim);

/* y = sum of x / N;  dx = dy / N. Of nothing: NaN. */
CT_API ct_tensor ct_mean(ct_context *ctx, ct_tensor x, int n_dims, const int *dims, bool keepdim);

/* y = largest x;  dx = dy [x = y] / (number of x equal to y): ties share equally. A NaN counts as largest; its
 * gradient is NaN. CT_ERR_SHAPE: a reduced dim is empty. */
CT_API ct_tensor ct_amax(ct_context *ctx, ct_tensor x, int n_dims, const int *dims, bool keepdim);

/* y = smallest x;  dx = dy [x = y] / (number of x equal to y): ties share equally. A NaN counts as smallest; its
 * gradient is NaN. CT_ERR_SHAPE: a reduced dim is empty. */
CT_API ct_tensor ct_amin(ct_context *ctx, ct_tensor x, int n_dims, const int *dims, bool keepdim);

/* y = ln sum e^x, without overflow for any finite x;  dx = dy e^(x - y). Of nothing, or where all x are -inf:
 * y = -inf; where one is inf: y = inf. As in torch, dx is NaN where x and y are the same infinity. */
CT_API ct_tensor ct_logsumexp(ct_context *ctx, ct_tensor x, int n_dims, const int *dims, bool keepdim);

/* y = sum (x - mean)^2 / max(N - correction, 0);  dx = 2 dy (x - mean) / max(N - correction, 0). correction 1
 * is torch's default; 0 divides by N. The mean is subtracted before squaring, so that nothing cancels. Where
 * N <= correction, y is inf, or NaN if all x are equal, as in torch; dx is then infinite or NaN too. Of nothing:
 * NaN. CT_ERR_ARGUMENT: correction < 0. */
CT_API ct_tensor ct_var(ct_context *ctx, ct_tensor x, int n_dims, const int *dims, bool keepdim, int64_t correction);

/* y = index along dim of the largest x, the first of equals; I32, with dim dropped. No gradient.
 * CT_ERR_ARGUMENT: dim out of range. */
CT_API ct_tensor ct_argmax(ct_context *ctx, ct_tensor x, int dim);

/* ---- matrix products: precision as ct_config.math ----------------------------------------------------- */

/* y = a b;  a [.., m, k], b [.., k, n], y [.., m, n]; batch dims broadcast.
 * da = dy bT, db = aT dy, summed over broadcast batch dims. CT_ERR_SHAPE: below 2 dims, or the inner sizes
 * differ. */
CT_API ct_tensor ct_matmul(ct_context *ctx, ct_tensor a, ct_tensor b);

/* y = act(z), z = x wT + b;  x [.., in], w [out, in], b [out] or the zero tensor (no bias), y [.., out].
 * With g = dy act'(z): dx = g w, dw = gT x and db = sum of g, both over all rows.
 * CT_ERR_SHAPE: sizes that do not fit. CT_ERR_ARGUMENT: an unknown activation. */
CT_API ct_tensor ct_linear(ct_context *ctx, ct_tensor x, ct_tensor w, ct_tensor b, ct_activation activation);

/* ---- shape: any dtype; results are values of their own, never views ----------------------------------- */

/* y = the elements of x, in order, under another shape; one size may be -1 and is then worked out.
 * dx = dy reshaped back. CT_ERR_SHAPE: the number of elements differs. */
CT_API ct_tensor ct_reshape(ct_context *ctx, ct_tensor x, int ndim, const int64_t *shape);

/* y = x with dims d0 and d1 exchanged;  dx = dy with them exchanged back. CT_ERR_ARGUMENT: a dim out of
 * range. */
CT_API ct_tensor ct_transpose(ct_context *ctx, ct_tensor x, int d0, int d1);

/* y = x[start] ... x[stop - 1] along dim;  dx = dy there, 0 elsewhere. As x[start:stop] in Python: a negative
 * bound counts from the end, one outside is moved to the nearest end, and stop <= start gives a size of 0.
 * CT_ERR_ARGUMENT: dim out of range. CT_ERR_SHAPE: x has no dims. */
CT_API ct_tensor ct_slice(ct_context *ctx, ct_tensor x, int dim, int64_t start, int64_t stop);

/* y = the n tensors, one after the other along dim; all of one dtype, with equal sizes in the other dims. One may
 * be there several times. The gradient of each is its slice of dy. CT_ERR_ARGUMENT: n < 1, dim out of range.
 * CT_ERR_SHAPE: other sizes differ, or there are no dims; the message numbers the tensors from 0. A tensor [0] is no
 * exception, as it is in torch.cat, which leaves it out among tensors of any shape. */
CT_API ct_tensor ct_concat(ct_context *ctx, int n, const ct_tensor *tensors, int dim);

/* y = x broadcast to shape;  dx = dy summed over the broadcast dims. CT_ERR_SHAPE: x does not broadcast to
 * it. */
CT_API ct_tensor ct_expand(ct_context *ctx, ct_tensor x, int ndim, const int64_t *shape);

/* y[i.., ..] = table[index[i..], ..];  table [rows, ..] of F32 or F64, index [..] of I32 or I64, y of the dims of
 * index and then those of a row.
 * dtable[r] = sum of dy[i..] over index[i..] = r, in the order of i; none for index. A number outside [0, rows)
 * is the caller's error, which the device cannot raise: its row of y is NaN, and it adds to no row of dtable.
 * Derivatives of a higher order are NaN there too. CT_ERR_DTYPE: another dtype. CT_ERR_SHAPE: a table without
 * dims, or a result of more than CT_MAX_DIMS. CT_ERR_UNSUPPORTED: 2^32 or more rows or numbers. */
CT_API ct_tensor ct_embedding(ct_context *ctx, ct_tensor table, ct_tensor index);

/* ---- normalisation ------------------------------------------------------------------------------------ */

/* y = e^x / sum e^x along dim, without overflow;  dx = y (dy - sum(dy y)), summed along dim. */
CT_API ct_tensor ct_softmax(ct_context *ctx, ct_tensor x, int dim);

/* y = x - ln sum e^x along dim, without overflow;  dx = dy - e^y sum(dy), summed along dim. */
CT_API ct_tensor ct_log_softmax(ct_context *ctx, ct_tensor x, int dim);

/* y = gamma h + beta, h = (x - mean) r, r = 1 / sqrt(var + eps), mean and var (over N) along the last dim.
 * x [.., c], gamma and beta [c], or the zero tensor for none. With g = dy gamma: dx = r (g - mean(g) -
 * h mean(g h)); dgamma = sum of dy h and dbeta = sum of dy, both over all rows. CT_ERR_SHAPE: x is 0-d, gamma
 * or beta is not [c]. */
CT_API ct_tensor ct_layer_norm(ct_context *ctx, ct_tensor x, ct_tensor gamma, ct_tensor beta, double eps);

/* y = gamma h + beta, h = (x - mean) / sqrt(var + eps) for each channel c;  x [n, c, ..], the others [c];
 * gamma and beta may be the zero tensor, for none.
 * Training: mean and var (over N) of the batch, and the two running leaves become (1 - momentum) old +
 * momentum new, var as N / (N - 1) of the batch's, at each step and replay; an empty batch leaves them. With
 * gradients as ct_layer_norm's, over all dims but c.
 * Otherwise mean and var are the running ones, and dx = dy gamma / sqrt(var + eps). None for the running
 * leaves.
 * CT_ERR_ARGUMENT: a running tensor is missing, not a leaf, or another operand too; momentum outside [0, 1].
 * CT_ERR_SHAPE: x has no dim 1, one of the others is not [c], or, in training, there is but one value per
 * channel. */
CT_API ct_tensor ct_batch_norm(ct_context *ctx, ct_tensor x, ct_tensor gamma, ct_tensor beta, ct_tensor running_mean,
                               ct_tensor running_var, double momentum, double eps);

/* ---- random: the same bits on every device, from the seed, the step and the place in it --------------- */

/* Training: y = x m / (1 - p), m = 0 with probability p, else 1, drawn anew at each step and replay;  dx =
 * dy m / (1 - p); p = 1 gives zeros. Otherwise y = x. CT_ERR_ARGUMENT: p outside [0, 1]. */
CT_API ct_tensor ct_dropout(ct_context *ctx, ct_tensor x, double p);

/* y uniform in [0, 1), drawn anew at each step and replay; dtype F32 or F64. No inputs, no gradient.
 * To keep it, ct_assign it to a leaf. */
CT_API ct_tensor ct_rand(ct_context *ctx, ct_dtype dtype, int ndim, const int64_t *shape);

/* y normal with mean 0 and variance 1, drawn anew at each step and replay; dtype F32 or F64. No inputs, no
 * gradient. */
CT_API ct_tensor ct_randn(ct_context *ctx, ct_dtype dtype, int ndim, const int64_t *shape);

/* ---- losses: reduced as ct_reduction says; MEAN divides by the number of elements --------------------- */

/* x and y have one shape and one dtype, without broadcasting (CT_ERR_SHAPE, CT_ERR_DTYPE). l is the loss
 * of one element and g its adjoint: dy, dy / numel for MEAN. CT_ERR_ARGUMENT: an unknown reduction. */

/* l = (x - y)^2;  dx = 2 g (x - y), and its negative for y. */
CT_API ct_tensor ct_mse_loss(ct_context *ctx, ct_tensor x, ct_tensor y, ct_reduction reduction);

/* l = |x - y|;  dx = g sign(x - y), so 0 where equal, and its negative for y. */
CT_API ct_tensor ct_l1_loss(ct_context *ctx, ct_tensor x, ct_tensor y, ct_reduction reduction);

/* l = d^2 / 2 for |d| <= delta, else delta (|d| - delta / 2), d = x - y;  dx = g min(max(d, -delta),
 * delta), and its negative for y. CT_ERR_ARGUMENT: delta <= 0. */
CT_API ct_tensor ct_huber_loss(ct_context *ctx, ct_tensor x, ct_tensor y, double delta, ct_reduction reduction);

/* Row i: l = -sum_j q_j log_softmax(logits[i])_j, q_j = (1 - s) [j = labels[i]] + s / c, s =
 * label_smoothing, as in torch; softmax over the last dim. logits [n, c] of floats, labels [n] of I32 or
 * I64 (U8 too); NONE gives [n].
 * A row whose label is ignore_index contributes nothing; MEAN divides by the number of the other rows, NaN
 * if there are none. dlogits[i] = g (softmax(logits[i]) - q), 0 for an ignored row; none for labels. Any
 * other label outside [0, c) is the caller's error, and makes the loss and its row of dlogits NaN.
 * CT_ERR_SHAPE: not [n, c] and [n]. CT_ERR_DTYPE: labels not integers. CT_ERR_ARGUMENT: s outside [0, 1]. */
CT_API ct_tensor ct_cross_entropy(ct_context *ctx, ct_tensor logits, ct_tensor labels, double label_smoothing,
                                  int64_t ignore_index, ct_reduction reduction);

/* l = max(x, 0) - x y + ln(1 + e^-|x|): binary cross-entropy of sigmoid(x) with y in [0, 1];  dx = g
 * (sigmoid(x) - y), and -g x for y. */
CT_API ct_tensor ct_bce_with_logits(ct_context *ctx, ct_tensor x, ct_tensor y, ct_reduction reduction);

/* ---- state: recorded writes to leaves, repeated by every replay; no gradient -------------------------- */

/* What is recorded after one reads the new contents. CT_ERR_ARGUMENT: the target is not a leaf.
 * CT_ERR_SHAPE, CT_ERR_DTYPE: the value is not like it; there is no broadcasting. */

/* leaf = value, of the same shape and dtype; any dtype. */
CT_API ct_status ct_assign(ct_context *ctx, ct_tensor leaf, ct_tensor value);

/* leaf = leaf + value, of the same shape and dtype; F32 or F64. */
CT_API ct_status ct_accumulate(ct_context *ctx, ct_tensor leaf, ct_tensor value);

/* ring_leaf[count mod n] = scalar; count = count + 1, with the count kept on the device, 0 for a new leaf.
 * ring_leaf [n], scalar of one element and the same dtype. Collects losses over replays, to be read once
 * in a while. */
CT_API ct_status ct_append(ct_context *ctx, ct_tensor ring_leaf, ct_tensor scalar);

#ifdef __cplusplus
}
#endif

#endif

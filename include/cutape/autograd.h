/* autograd.h: gradients in reverse and forward mode, and a check of them.
 *
 * Intended usage
 *
 *     ct_set_requires_grad(ctx, w, true);                        // once; ct_grad(ctx, w) is zeros now
 *     for (...) {
 *         ct_tensor loss = ct_mse_loss(ctx, ct_linear(ctx, x, w, b, CT_ACT_IDENTITY), y, CT_REDUCE_MEAN);
 *         ct_zero_grad(ctx, w);
 *         ct_backward(ctx, loss);                                // recorded too; adds into the .grad of w
 *         ... an optimizer's step, or ops on ct_grad(ctx, w) ...
 *         ct_step_end(ctx);
 *     }
 *
 * The graph is defined by running: it is what was recorded in this step, in this order. A gradient call
 * appends the adjoint records, ordinary ops again, to the same tape, so the forward pass, the backward
 * pass and the update become one program. Values do not outlive their step, so a graph never reaches back
 * into an earlier one.
 *
 * .grad is PyTorch's, with set_to_none=False: a leaf of its own for each leaf that requires a gradient,
 * zeros at first; backward adds into it, and only ct_zero_grad (or an optimizer's zero_grad) clears it.
 * Where a tensor is used more than once its adjoints are added in recording order, so that bits repeat.
 *
 * A value requires a gradient if one of its op's inputs does, outside ct_no_grad_begin/end. Integer
 * tensors and the results of comparisons and ct_argmax never do. Every write to a leaf bumps its version;
 * a gradient call whose rules read an operand at another version than the forward pass did gives
 * CT_ERR_STATE and names reader and writer.
 */
#ifndef CUTAPE_AUTOGRAD_H
#define CUTAPE_AUTOGRAD_H

#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Flags of ct_backward_from and ct_gradients. RETAIN_GRAPH: what is swept may be swept again in this step.
 * CREATE_GRAPH (ct_gradients only; implies RETAIN_GRAPH): the gradients can be differentiated. */
enum { CT_RETAIN_GRAPH = 1, CT_CREATE_GRAPH = 2 };

/* true: ops on the leaf are differentiated from now on, and a zeroed .grad is there. false: it counts as a
 * constant in what is recorded from now on. CT_ERR_ARGUMENT: not a leaf. CT_ERR_DTYPE: an integer leaf. */
CT_API ct_status ct_set_requires_grad(ct_context *ctx, ct_tensor leaf, bool requires_grad);

/* The leaf's .grad, itself a leaf of the same shape and dtype, owned by it: not to be released, and stale
 * when it is. The same handle at each call. CT_ERR_STATE: the leaf does not require a gradient. */
CT_API ct_tensor ct_grad(ct_context *ctx, ct_tensor leaf);

/* Records .grad = 0. Costs nothing if a backward in the same segment then writes it unread.
 * CT_ERR_STATE: the leaf does not require a gradient. */
CT_API ct_status ct_zero_grad(ct_context *ctx, ct_tensor leaf);

/* Records d root / d leaf for every leaf below root that requires a gradient, added into its .grad.
 * CT_ERR_SHAPE: root has not exactly one element. CT_ERR_STATE: root requires no gradient; its records
 * were swept before in this step without CT_RETAIN_GRAPH (gradients would count twice); an operand was
 * written since. */
CT_API ct_status ct_backward(ct_context *ctx, ct_tensor root);

/* As ct_backward, from n roots of any shape at once: adds the gradient of sum_i <seeds[i], roots[i]>.
 * seeds[i] has the shape and dtype of roots[i]; seeds NULL: ones. flags: 0 or CT_RETAIN_GRAPH.
 * CT_ERR_ARGUMENT: CT_CREATE_GRAPH or an unknown flag. CT_ERR_SHAPE, CT_ERR_DTYPE: a seed unlike its root. */
CT_API ct_status ct_backward_from(ct_context *ctx, int n, const ct_tensor *roots, const ct_tensor *seeds, int flags);

/* grads[j] = d (sum_i <seeds[i], outputs[i]>) / d inputs[j], returned as step values, not added anywhere.
 * inputs are leaves or step values that require a gradient; zeros where no output depends on one. seeds
 * NULL: ones. With CT_CREATE_GRAPH grads can be differentiated. On error grads are zero tensors. Errors
 * as ct_backward_from. */
CT_API ct_status ct_gradients(ct_context *ctx, int n_out, const ct_tensor *outputs, const ct_tensor *seeds, int n_in,
                              const ct_tensor *inputs, ct_tensor *grads, int flags);

/* Forward mode: out_tangents[i] = sum_j (d outputs[i] / d inputs[j]) tangents[j], as step values.
 * tangents[j] has the shape and dtype of inputs[j], out_tangents[i] those of outputs[i]; zeros where
 * unconnected. The outputs are recorded already, with inputs that require a gradient; the graph stays
 * usable. out_tangents require no gradient: what is computed from them is not differentiated through them.
 * On error out_tangents are zero tensors. CT_ERR_SHAPE, CT_ERR_DTYPE: a tangent unlike its input. */
CT_API ct_status ct_jvp(ct_context *ctx, int n_in, const ct_tensor *inputs, const ct_tensor *tangents, int n_out,
                        const ct_tensor *outputs, ct_tensor *out_tangents);

/* A function of a finished gradient: records ops on it, and returns the gradient to go on with, of the same
 * shape and dtype; the zero tensor: as it is. */
typedef ct_tensor (*ct_gradient_hook)(ct_context *ctx, ct_tensor gradient, void *user);

/* As torch's Tensor.register_hook: from now on every ct_backward, ct_backward_from and ct_gradients (not
 * ct_jvp) that reaches the tensor, a leaf or a step value that requires a gradient, hands its gradient to the
 * hook: once all that flows back to it was added up, and before it flows on or is added into .grad or
 * returned. (On an input of ct_gradients, torch runs them from 2.0 on.) Several hooks of a tensor run in the order they
 * were added, each on what the one before made. Those of a leaf stay until it is released, those of a step value until
 * the step ends; hook NULL takes all hooks of the tensor away.
 *
 * A hook runs while a gradient call records, never when a program plays: what it records is played with
 * the rest. It may only call ops (state ops such as ct_append and ct_assign too), make leaves, and ask
 * (ct_describe, ct_tape_print ...). Refused is what reads or writes memory (ct_read, ct_item, ct_print, ct_data,
 * ct_write, ct_mark_written), ends something or plays (ct_flush, ct_step_end, ct_replay, ct_synchronize,
 * ct_profile_begin, ct_profile_end), differentiates (ct_backward, ct_gradients, ct_jvp, ct_gradcheck), or changes
 * what others rely on (ct_release, ct_set_requires_grad, ct_on_gradient, ct_set_training, ct_expect_cached). What it
 * records, and the gradient it is given, can be read after the gradient call; under CT_CREATE_GRAPH it is
 * differentiated. CT_ERR_STATE: the tensor requires no gradient; at the gradient call, that a hook called something
 * else. CT_ERR_SHAPE, CT_ERR_DTYPE, at the gradient call: a hook returned a tensor unlike its gradient. */
CT_API ct_status ct_on_gradient(ct_context *ctx, ct_tensor tensor, ct_gradient_hook hook, void *user);

/* What is recorded until the matching ct_no_grad_end requires no gradient. Nests. */
CT_API void ct_no_grad_begin(ct_context *ctx);

/* Ends the innermost ct_no_grad_begin. CT_ERR_STATE: there is none. */
CT_API void ct_no_grad_end(ct_context *ctx);

/* y = x, as a constant: no gradient goes through it. Any shape and dtype. */
CT_API ct_tensor ct_detach(ct_context *ctx, ct_tensor x);

/* Compares the gradients of f with central differences (f(x + eps) - f(x - eps)) / (2 eps), element by
 * element of each input: |analytic - numeric| <= atol + rtol |numeric|, with NaN and infinities never equal.
 * f records ops on its n inputs (ct_gradients with CT_CREATE_GRAPH too, so that gradients can be checked),
 * returns an F64 tensor of any shape, reads nothing, and gives the same result each time it is called: no
 * dropout in training mode; nor may the result rest on ct_jvp, through which no gradient flows. What is differentiated
 * is the sum of the result's elements, each times a fixed random weight of 1/2 to 3/2 or -3/2 to -1/2. eps 1e-6, atol
 * 1e-7, rtol 1e-5 suit most functions of values near 1.
 *
 * inputs are F64 leaves. All are checked, whether they require a gradient or not. They, their requires_grad
 * and their .grad are left as they were, on an error too. It plays steps of its own, so it first ends the
 * step that is being recorded, if any, as ct_step_end. f is called twice for each element, and once more.
 *
 * CT_ERR_NUMERIC: they differ; the message names the input, the element and both numbers. CT_ERR_DTYPE: an
 * input or the result is not F64. CT_ERR_ARGUMENT: no f, no inputs, eps not above 0 or lost in an element,
 * a step value. CT_ERR_SHAPE: f returned another shape than before. CT_ERR_STATE: f draws random numbers,
 * writes its inputs, or calls something that is not an op (ct_read, ct_step_end, ct_backward ...). An error
 * that f meets stands as it is. */
CT_API ct_status ct_gradcheck(ct_context *ctx, ct_tensor (*f)(ct_context *ctx, int n, const ct_tensor *in, void *user),
                              void *user, int n, const ct_tensor *inputs, double eps, double atol, double rtol);

#ifdef __cplusplus
}
#endif

#endif

/* optim.h: SGD, Adam, AdamW and gradient clipping, with the numbers of PyTorch.
 *
 * Intended usage
 *
 *     ct_optimizer *adam;
 *     ct_adam_create(ctx, ct_mlp_params(mlp), NULL, &adam);
 *     for (...) {
 *         ct_optimizer_zero_grad(adam);
 *         ct_backward(ctx, loss(...));
 *         ct_clip_grad_norm(ct_mlp_params(mlp), 1.0, NULL);
 *         ct_optimizer_step(adam);
 *         ct_step_end(ctx);
 *     }
 *
 * All of it is recorded, so the update is part of the step's program and of every replay. An optimizer's
 * state, its step count and its rate live on the device: they move on in replays, and another rate is the
 * same program.
 * An optimizer of a destroyed context gives CT_ERR_STATE; destroying it still works.
 */
#ifndef CUTAPE_OPTIM_H
#define CUTAPE_OPTIM_H

#include "nn.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An update rule over a parameter set, with its state. */
typedef struct ct_optimizer ct_optimizer;

/* SGD. Fields are literal: zero means zero. For a weight w with gradient d:
 * d += weight_decay w;  v = d at the first step, then momentum v + (1 - dampening) d (no v if momentum is
 * 0); u = nesterov ? d + momentum v : v;  w -= lr u. */
typedef struct ct_sgd_config {
    double lr, momentum, dampening, weight_decay;
    bool nesterov;        /* wants momentum > 0 and dampening 0 */
    uint64_t reserved[8]; /* zero                               */
} ct_sgd_config;

/* Adam and AdamW. Fields are literal: zero means zero. For a weight w with gradient d at step t = 1, 2,
 * ...:
 * decoupled: w -= lr weight_decay w, else d += weight_decay w;  m = beta1 m + (1 - beta1) d; v = beta2 v +
 * (1 - beta2) d^2;  w -= lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps). */
typedef struct ct_adam_config {
    double lr, beta1, beta2, eps, weight_decay;
    bool decoupled;       /* AdamW */
    uint64_t reserved[8]; /* zero  */
} ct_adam_config;

/* Fills in torch.optim.SGD's defaults: lr 1e-3, all else 0. */
CT_API void ct_sgd_defaults(ct_sgd_config *config);

/* Fills in torch.optim.Adam's defaults: lr 1e-3, beta1 0.9, beta2 0.999, eps 1e-8, weight_decay 0. */
CT_API void ct_adam_defaults(ct_adam_config *config);

/* Fills in torch.optim.AdamW's defaults: Adam's, but weight_decay 1e-2 and decoupled. */
CT_API void ct_adamw_defaults(ct_adam_config *config);

/* Makes an SGD optimizer of the leaves now in params, keeping a hold on the set; config NULL:
 * ct_sgd_defaults.
 * Leaves that do not require a gradient are left alone. CT_ERR_ARGUMENT: a field out of range, or params
 * of another context. CT_ERR_MEMORY: host memory or the pool. On failure *out is NULL. */
CT_API ct_status ct_sgd_create(ct_context *ctx, ct_params *params, const ct_sgd_config *config, ct_optimizer **out);

/* Makes an Adam or AdamW optimizer, as ct_sgd_create; config NULL: ct_adam_defaults. */
CT_API ct_status ct_adam_create(ct_context *ctx, ct_params *params, const ct_adam_config *config, ct_optimizer **out);

/* Frees the optimizer, its state and its hold on the parameters. NULL is allowed. */
CT_API void ct_optimizer_destroy(ct_optimizer *optimizer);

/* Records one update of every parameter from its .grad, and the count. Parameters it writes are at a new
 * version:
 * a later gradient call through the old forward pass gives CT_ERR_STATE. CT_ERR_ARGUMENT: a leaf was
 * released. */
CT_API ct_status ct_optimizer_step(ct_optimizer *optimizer);

/* Records ct_zero_grad of every parameter. */
CT_API ct_status ct_optimizer_zero_grad(ct_optimizer *optimizer);

/* Sets the rate for steps recorded, and replays issued, after it; never a re-compile.
 * CT_ERR_ARGUMENT: negative or not finite. */
CT_API ct_status ct_optimizer_set_lr(ct_optimizer *optimizer, double lr);

/* The rate set last; NaN for NULL. */
CT_API double ct_optimizer_get_lr(const ct_optimizer *optimizer);

/* Records grad *= min(1, max_norm / (norm + 1e-6)) for every parameter's .grad, norm being the L2 norm of
 * all of them together, as torch.nn.utils.clip_grad_norm_. *out_norm: norm before clipping, shape [], a
 * step value.
 * CT_ERR_ARGUMENT: max_norm negative or NaN. CT_ERR_STATE: no parameter requires a gradient. */
CT_API ct_status ct_clip_grad_norm(ct_params *params, double max_norm, ct_tensor *out_norm);

#ifdef __cplusplus
}
#endif

#endif

/* nn.h: named parameter sets and multi-layer perceptrons, built only on the public calls.
 *
 * Intended usage
 *
 *     int64_t widths[] = {784, 128, 10};
 *     ct_mlp_config config = {0};
 *     config.n_layers = 2;
 *     config.widths = widths;
 *     config.activation = CT_ACT_RELU;
 *     ct_mlp *mlp;
 *     ct_mlp_create(ctx, &config, &mlp);
 *     ct_optimizer *adam;
 *     ct_adam_create(ctx, ct_mlp_params(mlp), NULL, &adam);
 *     ...
 *     ct_tensor logits = ct_mlp_forward(mlp, x);
 *
 * Any other network is leaves of your own in a ct_params, and ops on them. Calls that take an object of a
 * destroyed context give CT_ERR_STATE; destroying such an object still works.
 */
#ifndef CUTAPE_NN_H
#define CUTAPE_NN_H

#include "ops.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- parameter sets ----------------------------------------------------------------------------------- */

/* An ordered set of named leaves; holders are counted. It does not own the leaves added to it. */
typedef struct ct_params ct_params;

/* Makes an empty set. CT_ERR_MEMORY: host memory. On failure *out is NULL. */
CT_API ct_status ct_params_create(ct_context *ctx, ct_params **out);

/* Gives up the caller's hold; an optimizer keeps its own. NULL is allowed. A borrowed set (ct_mlp_params)
 * is not to be destroyed. */
CT_API void ct_params_destroy(ct_params *params);

/* Adds a leaf under a name, copied, at the end. CT_ERR_ARGUMENT: not a leaf, one that is in the set already,
 * or an empty or taken name. */
CT_API ct_status ct_params_add(ct_params *params, const char *name, ct_tensor leaf);

/* Number of leaves in the set. */
CT_API int ct_params_count(const ct_params *params);

/* The leaf of that name, or the zero tensor if there is none; a query. */
CT_API ct_tensor ct_params_get(const ct_params *params, const char *name);

/* ---- multi-layer perceptrons -------------------------------------------------------------------------- */

/* A stack of linear layers: each hidden one is linear, layer norm if asked, activation, dropout if asked. */
typedef struct ct_mlp ct_mlp;

/* How to make a perceptron. All zero but n_layers and widths is a stack of plain linear layers. */
typedef struct ct_mlp_config {
    int32_t n_layers;                      /* linear layers, at least 1                       */
    const int64_t *widths;                 /* n_layers + 1 widths: input, hidden ..., output  */
    int32_t activation, output_activation; /* CT_ACT_*: after hidden layers, after the last   */
    double dropout;                        /* probability after hidden activations; 0: none   */
    bool layer_norm;                       /* before hidden activations, eps 1e-5             */
    uint64_t reserved[8];                  /* zero                                            */
} ct_mlp_config;

/* Makes a perceptron of F32 leaves that require a gradient. Weights and biases are initialised as
 * torch.nn.Linear's, uniform in +-1 / sqrt(inputs), from the context's seed. widths are copied.
 * CT_ERR_ARGUMENT: a field out of range. CT_ERR_MEMORY: host memory or the pool. On failure *out is NULL. */
CT_API ct_status ct_mlp_create(ct_context *ctx, const ct_mlp_config *config, ct_mlp **out);

/* Frees the perceptron and its hold on its parameters. NULL is allowed. */
CT_API void ct_mlp_destroy(ct_mlp *mlp);

/* Records the forward pass: x [.., widths[0]] -> [.., widths[n_layers]]. Heeds ct_set_training. Errors as
 * ct_linear. */
CT_API ct_tensor ct_mlp_forward(ct_mlp *mlp, ct_tensor x);

/* Its parameters, in the order of the layers: "layers.0.weight" [out, in], "layers.0.bias" [out] and, of a
 * hidden layer with a norm, "layers.0.norm.weight" [out], ones at first, "layers.0.norm.bias" [out], zeros; ...
 * Borrowed: valid as long as the perceptron, and not to be destroyed. */
CT_API ct_params *ct_mlp_params(ct_mlp *mlp);

#ifdef __cplusplus
}
#endif

#endif

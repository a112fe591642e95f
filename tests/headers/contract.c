/* The contract of the public API that programs are compiled against: names, layouts
 * and numbers. Nothing here may be renamed, dropped or moved; more may be added. */
#include <cutape/cutape.h>

#include <stddef.h>
#include <stdio.h>

/* clang-format off */
#define FUNCTIONS(F) \
    F(ct_status_name) F(ct_version) F(ct_create) F(ct_destroy) F(ct_device_name) F(ct_stream) F(ct_error) \
    F(ct_error_message) F(ct_clear_error) F(ct_leaf) F(ct_full) F(ct_wrap) F(ct_release) F(ct_describe) \
    F(ct_set_name) F(ct_write) F(ct_read) F(ct_item) F(ct_print) F(ct_data) F(ct_mark_written) F(ct_flush) \
    F(ct_step_end) F(ct_replay) F(ct_synchronize) F(ct_expect_cached) F(ct_get_stats) F(ct_tape_to_dot) \
    F(ct_set_requires_grad) F(ct_grad) F(ct_zero_grad) F(ct_backward) F(ct_backward_from) F(ct_gradients) \
    F(ct_jvp) F(ct_on_gradient) F(ct_no_grad_begin) F(ct_no_grad_end) F(ct_detach) F(ct_set_training) F(ct_is_training) \
    F(ct_gradcheck) F(ct_neg) F(ct_abs) F(ct_exp) F(ct_expm1) F(ct_log) F(ct_log1p) F(ct_sqrt) F(ct_rsqrt) \
    F(ct_square) F(ct_reciprocal) F(ct_sin) F(ct_cos) F(ct_tanh) F(ct_sigmoid) F(ct_relu) F(ct_silu) \
    F(ct_softplus) F(ct_gelu) F(ct_leaky_relu) F(ct_elu) F(ct_clamp) F(ct_sign) F(ct_cast) F(ct_add_scalar) \
    F(ct_mul_scalar) F(ct_pow_scalar) F(ct_add) F(ct_sub) F(ct_mul) F(ct_div) F(ct_pow) F(ct_maximum) \
    F(ct_minimum) F(ct_gt) F(ct_ge) F(ct_lt) F(ct_le) F(ct_eq) F(ct_where) F(ct_sum) F(ct_mean) F(ct_amax) \
    F(ct_amin) F(ct_logsumexp) F(ct_var) F(ct_argmax) F(ct_matmul) F(ct_linear) F(ct_reshape) F(ct_transpose) \
    F(ct_slice) F(ct_concat) F(ct_expand) F(ct_embedding) F(ct_softmax) F(ct_log_softmax) F(ct_layer_norm) \
    F(ct_batch_norm) F(ct_dropout) F(ct_rand) F(ct_randn) F(ct_mse_loss) F(ct_l1_loss) F(ct_huber_loss) \
    F(ct_cross_entropy) F(ct_bce_with_logits) F(ct_assign) F(ct_accumulate) F(ct_append) F(ct_params_create) \
    F(ct_params_destroy) F(ct_params_add) F(ct_params_count) F(ct_params_get) F(ct_params_save) \
    F(ct_params_load) F(ct_mlp_create) F(ct_mlp_destroy) F(ct_mlp_forward) F(ct_mlp_params) F(ct_sgd_defaults) \
    F(ct_adam_defaults) F(ct_adamw_defaults) F(ct_sgd_create) F(ct_adam_create) F(ct_optimizer_destroy) \
    F(ct_optimizer_step) F(ct_optimizer_zero_grad) F(ct_optimizer_set_lr) F(ct_optimizer_get_lr) \
    F(ct_clip_grad_norm) F(ct_dataset_create) F(ct_dataset_load_idx) F(ct_dataset_load_csv) \
    F(ct_dataset_destroy) F(ct_dataset_size) F(ct_loader_create) F(ct_loader_destroy) F(ct_loader_next) \
    F(ct_loader_batches) F(ct_checkpoint_save) F(ct_checkpoint_load) F(ct_profile_begin) F(ct_profile_end) \
    F(ct_profile_table) F(ct_profile_trace) F(ct_op_register) F(ct_call) F(ct_call_outputs)
/* clang-format on */

/* Sizes may not change under one SONAME: every struct ends in its reserve, and keeps its order. */
#define ENDS_IN_RESERVE(type)                                                                                          \
    _Static_assert(offsetof(type, reserved) + 8 * sizeof(uint64_t) == sizeof(type), #type " ends in reserved[8]")
#define IN_ORDER(type, a, b) _Static_assert(offsetof(type, a) < offsetof(type, b), #type ": " #a " before " #b)

ENDS_IN_RESERVE(ct_config);
ENDS_IN_RESERVE(ct_info);
ENDS_IN_RESERVE(ct_stats);
ENDS_IN_RESERVE(ct_mlp_config);
ENDS_IN_RESERVE(ct_sgd_config);
ENDS_IN_RESERVE(ct_adam_config);
ENDS_IN_RESERVE(ct_loader_config);
ENDS_IN_RESERVE(ct_checkpoint);
ENDS_IN_RESERVE(ct_op_config);
ENDS_IN_RESERVE(ct_op_call);
ENDS_IN_RESERVE(ct_op_tensor);
ENDS_IN_RESERVE(ct_op_gradient);
_Static_assert(sizeof(ct_tensor) == 8, "a handle is 64 bits");
_Static_assert(sizeof(ct_op_handle) == 8, "a handle is 64 bits");
_Static_assert(sizeof(ct_op_scalar) == 16, "as it lies in device memory");

IN_ORDER(ct_config, device, device_index);
IN_ORDER(ct_config, device_index, device_module);
IN_ORDER(ct_config, device_module, pool_bytes);
IN_ORDER(ct_config, pool_bytes, seed);
IN_ORDER(ct_config, seed, math);
IN_ORDER(ct_config, math, eager);
IN_ORDER(ct_config, eager, detect_anomaly);
IN_ORDER(ct_config, detect_anomaly, stream);
IN_ORDER(ct_config, stream, log);
IN_ORDER(ct_config, log, log_user);
IN_ORDER(ct_config, log_user, cpu_threads);
IN_ORDER(ct_config, cpu_threads, host_alloc);
IN_ORDER(ct_config, host_alloc, host_free);
IN_ORDER(ct_config, host_free, host_user);
IN_ORDER(ct_info, dtype, ndim);
IN_ORDER(ct_info, ndim, shape);
IN_ORDER(ct_info, shape, numel);
IN_ORDER(ct_info, numel, is_leaf);
IN_ORDER(ct_info, is_leaf, requires_grad);
IN_ORDER(ct_info, requires_grad, name);
IN_ORDER(ct_stats, recorded, programs);
IN_ORDER(ct_stats, programs, compiles);
IN_ORDER(ct_stats, compiles, replays);
IN_ORDER(ct_stats, replays, launches);
IN_ORDER(ct_stats, launches, nodes);
IN_ORDER(ct_stats, nodes, pool_in_use);
IN_ORDER(ct_stats, pool_in_use, pool_peak);
IN_ORDER(ct_stats, pool_peak, pool_reserved);
IN_ORDER(ct_mlp_config, n_layers, widths);
IN_ORDER(ct_mlp_config, widths, activation);
IN_ORDER(ct_mlp_config, activation, output_activation);
IN_ORDER(ct_mlp_config, output_activation, dropout);
IN_ORDER(ct_mlp_config, dropout, layer_norm);
IN_ORDER(ct_sgd_config, lr, momentum);
IN_ORDER(ct_sgd_config, momentum, dampening);
IN_ORDER(ct_sgd_config, dampening, weight_decay);
IN_ORDER(ct_sgd_config, weight_decay, nesterov);
IN_ORDER(ct_adam_config, lr, beta1);
IN_ORDER(ct_adam_config, beta1, beta2);
IN_ORDER(ct_adam_config, beta2, eps);
IN_ORDER(ct_adam_config, eps, weight_decay);
IN_ORDER(ct_adam_config, weight_decay, decoupled);
IN_ORDER(ct_loader_config, batch, shuffle);
IN_ORDER(ct_loader_config, shuffle, drop_last);
IN_ORDER(ct_loader_config, drop_last, scale);
IN_ORDER(ct_loader_config, scale, shift);
IN_ORDER(ct_checkpoint, n_params, params);
IN_ORDER(ct_checkpoint, params, n_optimizers);
IN_ORDER(ct_checkpoint, n_optimizers, optimizers);
IN_ORDER(ct_checkpoint, optimizers, n_loaders);
IN_ORDER(ct_checkpoint, n_loaders, loaders);
IN_ORDER(ct_op_config, name, n_inputs);
IN_ORDER(ct_op_config, n_inputs, n_outputs);
IN_ORDER(ct_op_config, n_outputs, n_attrs);
IN_ORDER(ct_op_config, n_attrs, n_scalars);
IN_ORDER(ct_op_config, n_scalars, flags);
IN_ORDER(ct_op_config, flags, unread);
IN_ORDER(ct_op_config, unread, user);
IN_ORDER(ct_op_config, user, infer);
IN_ORDER(ct_op_config, infer, gradient);
IN_ORDER(ct_op_config, gradient, cpu);
IN_ORDER(ct_op_config, cpu, cuda);
IN_ORDER(ct_op_call, user, n_inputs);
IN_ORDER(ct_op_call, n_inputs, n_outputs);
IN_ORDER(ct_op_call, n_outputs, n_attrs);
IN_ORDER(ct_op_call, n_attrs, n_scalars);
IN_ORDER(ct_op_call, n_scalars, inputs);
IN_ORDER(ct_op_call, inputs, outputs);
IN_ORDER(ct_op_call, outputs, attrs);
IN_ORDER(ct_op_call, attrs, scalars);
IN_ORDER(ct_op_call, scalars, first);
IN_ORDER(ct_op_call, first, count);
IN_ORDER(ct_op_tensor, data, dtype);
IN_ORDER(ct_op_tensor, dtype, ndim);
IN_ORDER(ct_op_tensor, ndim, shape);
IN_ORDER(ct_op_tensor, shape, numel);
IN_ORDER(ct_op_gradient, user, n_inputs);
IN_ORDER(ct_op_gradient, n_inputs, n_outputs);
IN_ORDER(ct_op_gradient, n_outputs, n_attrs);
IN_ORDER(ct_op_gradient, n_attrs, n_scalars);
IN_ORDER(ct_op_gradient, n_scalars, inputs);
IN_ORDER(ct_op_gradient, inputs, outputs);
IN_ORDER(ct_op_gradient, outputs, adjoints);
IN_ORDER(ct_op_gradient, adjoints, attrs);
IN_ORDER(ct_op_gradient, attrs, scalars);
IN_ORDER(ct_op_gradient, scalars, needs);
IN_ORDER(ct_op_gradient, needs, gradients);

#define NUMBER(name, value) _Static_assert((int)(name) == (value), #name)
NUMBER(CT_OK, 0);
NUMBER(CT_ERR_ARGUMENT, 1);
NUMBER(CT_ERR_SHAPE, 2);
NUMBER(CT_ERR_DTYPE, 3);
NUMBER(CT_ERR_STATE, 4);
NUMBER(CT_ERR_MEMORY, 5);
NUMBER(CT_ERR_DEVICE, 6);
NUMBER(CT_ERR_IO, 7);
NUMBER(CT_ERR_NUMERIC, 8);
NUMBER(CT_ERR_UNSUPPORTED, 9);
NUMBER(CT_DEVICE_AUTO, 0);
NUMBER(CT_DEVICE_CPU, 1);
NUMBER(CT_DEVICE_CUDA, 2);
NUMBER(CT_MATH_F32, 0);
NUMBER(CT_MATH_TF32, 1);
NUMBER(CT_MATH_BF16, 2);
NUMBER(CT_F32, 0);
NUMBER(CT_F64, 1);
NUMBER(CT_I32, 2);
NUMBER(CT_U8, 3);
NUMBER(CT_I64, 4);
NUMBER(CT_MAX_DIMS, 6);
NUMBER(CT_RETAIN_GRAPH, 1);
NUMBER(CT_CREATE_GRAPH, 2);
NUMBER(CT_ACT_IDENTITY, 0);
NUMBER(CT_ACT_RELU, 1);
NUMBER(CT_ACT_TANH, 2);
NUMBER(CT_ACT_SIGMOID, 3);
NUMBER(CT_ACT_GELU, 4);
NUMBER(CT_ACT_SILU, 5);
NUMBER(CT_ACT_LEAKY_RELU, 6);
NUMBER(CT_REDUCE_MEAN, 0);
NUMBER(CT_REDUCE_SUM, 1);
NUMBER(CT_REDUCE_NONE, 2);
NUMBER(CT_OP_MAX_INPUTS, 8);
NUMBER(CT_OP_MAX_OUTPUTS, 3);
NUMBER(CT_OP_MAX_ATTRS, 8);
NUMBER(CT_OP_MAX_SCALARS, 4);
NUMBER(CT_OP_IS_ELEMENTWISE, 1);
NUMBER(CT_OP_HAS_NO_GRADIENT, 2);

typedef void function(void);

int main(void)
{
#define F(name) (function *)name,
    function *const functions[] = {FUNCTIONS(F)};
    size_t n = sizeof functions / sizeof *functions;
    for (size_t i = 0; i < n; i++)
        if (!functions[i]) return 1;
    printf("%zu functions\n", n);
    return 0;
}

/* Records that update all parameters at once: what optimizers and clipping are made of. */
#ifndef CUTAPE_OPS_UPDATE_H
#define CUTAPE_OPS_UPDATE_H

#include "ops/op.h"

/* One parameter with what belongs to it; unused ones are CT_REF_NONE. */
typedef struct ct_update_row {
    ct_ref parameter, grad, first_moment, second_moment;
} ct_update_row;

enum { CT_SGD_LR, CT_SGD_MOMENTUM, CT_SGD_DAMPENING, CT_SGD_WEIGHT_DECAY, CT_SGD_N_SCALAR };
enum { CT_ADAM_LR, CT_ADAM_BETA1, CT_ADAM_BETA2, CT_ADAM_EPS, CT_ADAM_WEIGHT_DECAY, CT_ADAM_N_SCALAR };

/* p -= lr * (...) over all rows of one dtype, in one record. `count` is the device's count of
 * steps (i64, one element) and goes on by one. The rate follows `lr_binding` under replay. */
ct_status ct_record_sgd(ct_context *, int64_t n, const ct_update_row *, ct_ref count, const double *scalars,
                        uint32_t lr_binding, bool nesterov);
ct_status ct_record_adam(ct_context *, int64_t n, const ct_update_row *, ct_ref count, const double *scalars,
                         uint32_t lr_binding, bool decoupled);
/* Zero n leaves. */
ct_status ct_record_zero(ct_context *, int64_t n, const ct_ref *);
/* The 2-norm of all elements of n leaves of one dtype, as a [] value. */
ct_tensor ct_record_grad_norm(ct_context *, int64_t n, const ct_ref *);
/* Multiply n leaves in place by min(1, max_norm / (norm + 1e-6)). */
ct_status ct_record_clip_scale(ct_context *, int64_t n, const ct_ref *, ct_tensor norm, double max_norm);

#endif

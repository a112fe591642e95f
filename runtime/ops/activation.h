/* The derivative of an activation, as an op: what linear and the unary activations share. */
#ifndef CUTAPE_OPS_ACTIVATION_H
#define CUTAPE_OPS_ACTIVATION_H

#include "ops/op.h"

/* A kind of act_grad beside the public activations. */
#define CT_ACT_GELU_TANH 16

/* g f'(s), where s is y for relu, tanh, sigmoid, and x for the others (for leaky_relu
 * either: with a positive slope both have one sign). */
ct_tensor ct_act_grad(ct_context *, ct_activation, ct_tensor g, ct_tensor s, double slope);

#endif

/* cutape.h: all of cutape's public headers.
 *
 * Intended usage: define by run, play from a tape. C code records ops on tensors (tensor.h, ops.h);
 * gradients (autograd.h) and optimizers (optim.h) append to the same recording; ct_step_end makes one
 * program of it, compiled at first sight and only played from then on. Errors stand on the context until
 * cleared (context.h).
 */
#ifndef CUTAPE_CUTAPE_H
#define CUTAPE_CUTAPE_H

#include "autograd.h"
#include "context.h"
#include "custom.h"
#include "data.h"
#include "io.h"
#include "nn.h"
#include "ops.h"
#include "optim.h"
#include "profile.h"
#include "tensor.h"

#endif

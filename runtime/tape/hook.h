/* Hooks on gradients: see ct_on_gradient. A tensor that has one is marked `hooked`. */
#ifndef CUTAPE_TAPE_HOOK_H
#define CUTAPE_TAPE_HOOK_H

#include "core/tensor.h"

typedef struct ct_hook {
    ct_ref ref;
    ct_gradient_hook call;
    void *user;
} ct_hook;

/* The adjoint of a tensor is complete: it becomes what the tensor's hooks make of it. An
 * error of theirs stands. */
void ct_hooks_run(ct_context *, ct_ref);
/* The hooks of a tensor, which is released; those of all step values. */
void ct_hooks_forget(ct_context *, ct_ref);
void ct_hooks_step_ended(ct_context *);

#endif

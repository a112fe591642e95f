/* Advice: a line in the log for each of the classic mistakes in a training loop, once per
 * context, with what to do. Other parts report here what happens while a step is recorded;
 * whether that is worth a word is decided in advice.c. A replay of n steps costs one call. */
#ifndef CUTAPE_CORE_ADVICE_H
#define CUTAPE_CORE_ADVICE_H

#include "core/tensor.h"

/* From so many on, in a row or in all, it is not chance or a warm-up any more. */
enum {
    CT_LONG_STEP = 100000,      /* records of a step                                       */
    CT_STEPS_WITHOUT_GRAD = 4,  /* optimizer steps of a parameter                          */
    CT_STEPS_WITH_A_READ = 100, /* training steps                                          */
    CT_STEPS_COMPILED = 16,     /* steps that were compiled anew                           */
};

/* A record, or ct_write (op -1), writes a .grad. */
void ct_advice_written(ct_context *, ct_leaf_slot *, int op);
/* An optimizer's step on a parameter was recorded. */
void ct_advice_optimized(ct_context *, ct_ref parameter, ct_ref grad);
/* The step has CT_LONG_STEP records. */
void ct_advice_long_step(ct_context *);
/* A backward was recorded; a value was read. */
void ct_advice_trained(ct_context *);
void ct_advice_read(ct_context *);
/* The pending segment is in no program. */
void ct_advice_compiles(ct_context *);
/* A step with records ended; the last step is about to be replayed; the step was dropped, and what it
 * reported may not have happened. */
void ct_advice_step_ended(ct_context *);
void ct_advice_replayed(ct_context *, int64_t n);
void ct_advice_dropped(ct_context *);

#endif

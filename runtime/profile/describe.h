/* What the profiler calls a record (profile/describe.c): for rows, and for ranges of tools. */
#ifndef CUTAPE_PROFILE_DESCRIBE_H
#define CUTAPE_PROFILE_DESCRIBE_H

#include "files/text.h"
#include "program/plan.h"

/* Op and number of a record of the step, whose tape stands: "linear#3". One of a gradient rule bears the name of the
 * record whose gradient that is, and of the tensor if it is that gradient: "linear#3 backward dw (0.weight)". */
void ct_say_label(ct_context *, ct_text *, uint32_t number);

/* What a record of the pending or the last segment makes, or the leaf that this is stored into; or the first that it
 * writes: an optimizer's first parameter. `n`: how many of that kind there are. CT_REF_NONE: it writes nothing. */
ct_ref ct_record_written(ct_context *, const ct_plan *, const ct_plan_record *, uint32_t *n);

#endif

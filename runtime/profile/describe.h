/* What the profiler calls a record (profile/describe.c): for rows, and for ranges of tools. */
#ifndef CUTAPE_PROFILE_DESCRIBE_H
#define CUTAPE_PROFILE_DESCRIBE_H

#include "tape/tape.h"

/* Op and number of a record of the step, whose tape stands: "linear#3". One of a gradient rule bears the name of the
 * record whose gradient that is, and of the tensor if it is that gradient: "linear#3 backward dw (0.weight)". */
void ct_record_label(ct_context *, uint32_t number, char *text, size_t bytes);
#define CT_LABEL_BYTES 192

#endif

/* What the checker of plans and its deliberate faults share: a plan with what belongs to it. */
#ifndef CUTAPE_TESTS_PLAN_SUBJECT_H
#define CUTAPE_TESTS_PLAN_SUBJECT_H

#include "ops/op.h"
#include "plan_checker.h"
#include "program/program.h"

typedef struct subject {
    const ct_plan *plan;
    const uint64_t *key;
    size_t n_key;
    const char *arena; /* NULL: the plan needs none */
    size_t arena_bytes;
    bool debug;                /* every value has a block of its own */
    const ct_program *program; /* for its launches; NULL: not looked at */
    char *why;
    size_t why_bytes;
} subject;

subject subject_of(ct_context *ctx, const ct_program *p, char *why, size_t bytes);
/* Is the plan sound? The reason goes to `why`. */
bool check_subject(const subject *s);

bool same_shape(const ct_shape *a, const ct_shape *b);
uint32_t root_of(const ct_plan *p, uint32_t v); /* the value whose memory this one uses */
size_t bytes_of(const ct_plan *p, uint32_t v);
const char *name_of(const ct_plan *p, uint32_t k); /* the op of a record */

#endif

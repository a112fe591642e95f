/* An independent proof of a compiled program's plan. It shares no code with the planner:
 * it runs the recorded trace, which stands in the program's key, and the plan beside it,
 * both on symbols instead of numbers, the plan's in a memory of bytes that know who wrote
 * them. Values that are read, leaves, and values that are kept must hold the symbols that
 * the trace gives them. C, as the runtime's own headers are; called from the tests.
 */
#ifndef CUTAPE_TESTS_PLAN_CHECKER_H
#define CUTAPE_TESTS_PLAN_CHECKER_H

#include <cutape/cutape.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Every program the context holds: how many there are, or -1 with the reason in `why`. */
int check_programs(ct_context *ctx, char *why, size_t bytes);

/* Ways to spoil a plan, from 0 on, by name; NULL behind the last. */
const char *corruption_name(int kind);
/* Spoil every plan of the context in this way, at every place where it can be done, one
 * at a time on a copy: the number of places, and of those that the checker overlooked. */
void check_corrupted(ct_context *ctx, int kind, int *places, int *overlooked, char *why, size_t bytes);

/* What the plans of the context make use of, so that a test knows that it reached it. */
typedef struct plan_census {
    int programs, records, dead, aliased, in_place, stored, adds, scratch;
} plan_census;
void count_plans(ct_context *ctx, plan_census *census);

#ifdef __cplusplus
}
#endif

#endif

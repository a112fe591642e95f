/* What the launches of the program that was played last are said to cost, by op. C, as the runtime's own headers are.
 */
#ifndef CUTAPE_TESTS_LAUNCH_COSTS_H
#define CUTAPE_TESTS_LAUNCH_COSTS_H

#include <cutape/cutape.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct launch_costs {
    double flops, bytes;
    int launches, folded; /* of those: how many do the work of a second op, too */
} launch_costs;

/* All launches of an op, by name; of all ops where that is NULL. */
launch_costs costs_of(ct_context *ctx, const char *op);

#ifdef __cplusplus
}
#endif

#endif

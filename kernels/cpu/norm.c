/* softmax and log_softmax along a dim: the largest is subtracted first, so that no
 * exponential overflows; log_softmax is x - max - log Σ, in that order. */
#include "cpu.h"

#include "vmath.h"

#define LANES 16

#define CT_TEMPLATE "norm.inc"
#include "both_floats.h"

static uint32_t grid(const ct_args *a) { return (uint32_t)((a->m * a->k + 15) / 16); }

const ct_cpu_kernel CT_CPU(softmax) = {.grid = grid, .body = CT_BOTH(softmax)};
const ct_cpu_kernel CT_CPU(log_softmax) = {.grid = grid, .body = CT_BOTH(log_softmax)};

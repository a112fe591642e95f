/* softmax and log_softmax along a dim: the largest is subtracted first, so that no
 * exponential overflows; log_softmax is x - max - log Σ, in that order.
 * layer_norm, batch_norm and their gradients: a line is gone over for its mean, for its variance
 * about that mean, and for the results. */
#include "cpu.h"

#include "vmath.h"

#define LANES 16

/* About 4,096 elements a block, and whole lines. */
static int64_t lines_a_block(const ct_args *a)
{
    int64_t lines = 4096 / a->n;
    return lines < 1 ? 1 : lines;
}

#define CT_TEMPLATE "norm.inc"
#include "both_floats.h"

static uint32_t grid(const ct_args *a) { return (uint32_t)((a->m * a->k + 15) / 16); }

const ct_cpu_kernel CT_CPU(softmax) = {.grid = grid, .body = CT_BOTH(softmax)};
const ct_cpu_kernel CT_CPU(log_softmax) = {.grid = grid, .body = CT_BOTH(log_softmax)};

static uint32_t grid_lines(const ct_args *a) { return (uint32_t)((a->m + lines_a_block(a) - 1) / lines_a_block(a)); }

const ct_cpu_kernel CT_CPU(layer_norm) = {.grid = grid_lines, .body = CT_BOTH(layer_norm)};
const ct_cpu_kernel CT_CPU(batch_norm) = {.grid = grid_lines, .body = CT_BOTH(batch_norm)};
const ct_cpu_kernel CT_CPU(layer_norm_grad) = {.grid = grid_lines, .body = CT_BOTH(layer_norm_grad)};
const ct_cpu_kernel CT_CPU(batch_norm_grad) = {.grid = grid_lines, .body = CT_BOTH(batch_norm_grad)};

/* Losses with their gradients, in one pass over the input; see runtime/ops/loss.c. */
#include "cpu.h"

#include "vmath.h"

enum { REDUCE_MEAN, REDUCE_SUM, REDUCE_NONE };

/* A label of any integer dtype. */
static inline int64_t label_at(const ct_args *a, int64_t row)
{
    switch (a->i[2]) {
    case U8: return ((const uint8_t *)a->p[1])[row];
    case I32: return ((const int32_t *)a->p[1])[row];
    default: return ((const int64_t *)a->p[1])[row];
    }
}

#define K(c) ((T)(c))
#define CT_TEMPLATE "loss.inc"
#include "both_floats.h"
#undef K

static uint32_t grid_cross_entropy(const ct_args *a) { return (uint32_t)((a->m + 15) / 16); }
static uint32_t grid_parts(const ct_args *a) { return (uint32_t)a->k; }

const ct_cpu_kernel CT_CPU(cross_entropy) = {
    .grid = grid_cross_entropy, .body = CT_BOTH(cross_entropy), .finish = CT_BOTH(add_rows)};
#define CT_PAIR_LOSS(name, value, slope)                                                                               \
    const ct_cpu_kernel CT_CPU(name) = {.grid = grid_parts, .body = CT_BOTH(name), .finish = CT_BOTH(add_parts)};
#include "../loss.def"
#undef CT_PAIR_LOSS

/* find_nonfinite: where anomaly mode's first NaN or Inf is. */
#include "cpu.h"

#define CT_TEMPLATE "finite.inc"
#include "both_floats.h"

static uint32_t grid_parts(const ct_args *a) { return (uint32_t)a->k; }

const ct_cpu_kernel CT_CPU(find_nonfinite) = {
    .grid = grid_parts, .body = CT_BOTH(find_in_part), .finish = CT_BOTH(first_of_parts)};

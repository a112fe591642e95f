/* Reductions: sums over all, over rows, over columns, over alternating dims; argmax.
 *
 * Orders are fixed. A long sum is cut into parts by its length alone; within a part
 * sixteen lanes add every sixteenth element and are then added in order.
 */
#include "cpu.h"

#define LANES 16

/* About 4,096 elements a block, and whole rows. */
static int64_t rows_a_block(const ct_args *a)
{
    int64_t rows = 4096 / (a->n > 0 ? a->n : 1);
    return rows < 1 ? 1 : rows;
}

#define CT_TEMPLATE "reduce.inc"
#include "both_floats.h"

static uint32_t grid_parts(const ct_args *a) { return (uint32_t)a->k; }

static uint32_t grid_rows(const ct_args *a) { return (uint32_t)((a->m + rows_a_block(a) - 1) / rows_a_block(a)); }

/* 64 columns a block; in the general case, 64 outputs. */
static uint32_t grid_columns(const ct_args *a)
{
    int64_t columns = a->k ? a->k : a->m, outer = a->k ? a->m : 1;
    return (uint32_t)(outer * ((columns + 63) / 64));
}

const ct_cpu_kernel CT_CPU(reduce_all) = {.grid = grid_parts, .body = CT_BOTH(sum_part), .finish = CT_BOTH(add_parts)};
const ct_cpu_kernel CT_CPU(reduce_rows) = {.grid = grid_rows, .body = CT_BOTH(sum_rows)};
const ct_cpu_kernel CT_CPU(reduce_columns) = {.grid = grid_columns, .body = CT_BOTH(sum_columns)};
const ct_cpu_kernel CT_CPU(argmax) = {.grid = ct_grid_elements_m, .body = CT_BOTH(argmax)};

/* embedding: rows of a table by their numbers; embedding_grad: rows added into a table.
 *
 * m, n, k: numbers, rows of the table, elements in a row.  i[0]: dtype of the numbers. A number outside the
 * table reads as NaN, and adds nothing. Rows are added in the order of their occurrence, by one thread for each
 * column: so this device needs no order of them.
 */
#include "cpu.h"

#include <math.h>
#include <string.h>

#define COLUMNS 64 /* of a block of the gradient */

/* The number at i; -1 for one that is outside. */
static inline int64_t row_at(const ct_args *a, int64_t i)
{
    const int64_t row = a->i[0] == I32 ? ((const int32_t *)a->p[1])[i] : ((const int64_t *)a->p[1])[i];
    return row < a->n ? row : -1;
}

/* About 4,096 elements a block, and whole rows. */
static int64_t rows_a_block(const ct_args *a) { return a->k < 4096 ? 4096 / a->k : 1; }

#define CT_TEMPLATE "embedding.inc"
#include "both_floats.h"

static uint32_t grid_rows(const ct_args *a) { return (uint32_t)((a->m + rows_a_block(a) - 1) / rows_a_block(a)); }
static uint32_t grid_columns(const ct_args *a) { return (uint32_t)((a->k + COLUMNS - 1) / COLUMNS); }

const ct_cpu_kernel CT_CPU(embedding) = {.grid = grid_rows, .body = CT_BOTH(embedding)};
const ct_cpu_kernel CT_CPU(embedding_grad) = {.grid = grid_columns, .body = CT_BOTH(embedding_grad)};
const ct_cpu_kernel CT_CPU(embedding_order) = {.grid = NULL};

/* Updates over many tensors at once: append, sgd, adam, the gradient norm and clipping.
 *
 * p[0] is a table of ct_tensor_row; virtual blocks run through all rows, so that many
 * small parameters cost no more than one large. A count of steps is read by every
 * block and advanced once all are done.
 */
#include "cpu.h"

#include "vmath.h"
#include <string.h>

/* What a block covers: elements [from, to) of a row's tensors. */
typedef struct span {
    const ct_tensor_row *row;
    int64_t from, to;
} span;

/* The row of a block is the last that begins at or before it. */
static span span_of(const ct_args *a, int64_t block)
{
    const ct_tensor_row *rows = a->p[0];
    int64_t low = 0, high = a->m - 1;
    while (low < high) {
        int64_t middle = (low + high + 1) / 2;
        if (rows[middle].first_block <= block)
            low = middle;
        else
            high = middle - 1;
    }
    int64_t from = (block - rows[low].first_block) * CT_BLOCK_ELEMENTS;
    return (span){&rows[low], from, ct_min(from + CT_BLOCK_ELEMENTS, rows[low].n)};
}

static uint32_t grid_rows(const ct_args *a) { return (uint32_t)a->k; }

static void count_up(const ct_args *a) { ++*(int64_t *)a->p[1]; }

#define CT_TEMPLATE "update.inc"
#include "both_floats.h"

/* ring[count mod n] = value.  p: ring, value, count. */
static void append(const ct_args *a, size_t bytes)
{
    int64_t *count = a->p[2];
    memcpy((char *)a->p[0] + (size_t)(*count % a->n) * bytes, a->p[1], bytes);
    ++*count;
}
static void append_8(const ct_args *a, uint32_t first, uint32_t last) { (void)first, (void)last, append(a, 1); }
static void append_32(const ct_args *a, uint32_t first, uint32_t last) { (void)first, (void)last, append(a, 4); }
static void append_64(const ct_args *a, uint32_t first, uint32_t last) { (void)first, (void)last, append(a, 8); }

const ct_cpu_kernel CT_CPU(append) = {
    .body = {[F32] = append_32, [F64] = append_64, [I32] = append_32, [U8] = append_8, [I64] = append_64}};
const ct_cpu_kernel CT_CPU(sgd) = {
    .grid = grid_rows, .body = CT_BOTH(sgd), .finish = {[F32] = count_up, [F64] = count_up}};
const ct_cpu_kernel CT_CPU(adam) = {
    .grid = grid_rows, .body = CT_BOTH(adam), .finish = {[F32] = count_up, [F64] = count_up}};
const ct_cpu_kernel CT_CPU(grad_norm) = {.grid = grid_rows, .body = CT_BOTH(grad_norm), .finish = CT_BOTH(add_squares)};
const ct_cpu_kernel CT_CPU(clip_scale) = {.grid = grid_rows, .body = CT_BOTH(clip_scale)};

/* concat: rows that are made of parts, each a row of another tensor or zeros.
 *
 * p: table of ct_part_row, y.  m, n, k: rows, elements in a row, parts. One body for all dtypes of a size.
 * A block covers CT_BLOCK_ELEMENTS elements of y, neighbouring threads neighbouring ones; each finds its part
 * by bisection. Bytes: y and the parts once.
 */
#include "entry.cuh"
#include "lines.cuh"

static uint32_t grid(const ct_args *a) { return ct_blocks_of(a->m * a->n, CT_BLOCK_ELEMENTS); }

/* The last part that begins at or before a column: parts without elements come before it. */
static __device__ __forceinline__ ct_part_row part_at(const ct_args &a, int64_t column)
{
    const ct_part_row *parts = static_cast<const ct_part_row *>(a.p[0]);
    int64_t low = 0, high = a.k;
    while (high - low > 1) {
        const int64_t middle = (low + high) / 2;
        if (parts[middle].first <= column)
            low = middle;
        else
            high = middle;
    }
    return parts[low];
}

template <class Bits> static __device__ __forceinline__ void concat_body(const ct_args &a, uint32_t block, void *)
{
    const int64_t n = a.m * a.n, first = (int64_t)block * CT_BLOCK_ELEMENTS;
    const int64_t end = first + CT_BLOCK_ELEMENTS < n ? first + CT_BLOCK_ELEMENTS : n;
    for (int64_t e = first + threadIdx.x; e < end; e += CT_THREADS) {
        const int64_t row = ct_quotient(e, a.n), column = e - row * a.n;
        const ct_part_row part = part_at(a, column);
        const Bits *x = static_cast<const Bits *>(part.x);
        static_cast<Bits *>(a.p[1])[e] = x ? x[row * part.width + column - part.first] : Bits(0);
    }
}

CT_BITS_KERNEL(concat, grid, concat_body, 0)

/* The sums that a group kernel holds too.
 *
 * reduce_columns: y[m,k] = scale Σ_n x[m,n,k]; with k = 0 the general case, over alternating dims.
 *
 * p: x, y.  Threads: lines.cuh.  A slice adds in eight accumulators, by the element's place alone;
 * they and the slices are combined in a fixed order, and what they have is set aside after
 * CT_SUM_ROUNDS: the error of a sum hardly grows with its length. Bytes: x and y once; a FLOP an element.
 */
#ifndef CUTAPE_KERNELS_CUDA_REDUCE_CUH
#define CUTAPE_KERNELS_CUDA_REDUCE_CUH

#include "block_reduce.cuh"
#include "lines.cuh"
#include "span.cuh"

template <class T> static constexpr uint32_t reduce_columns_bytes() { return CT_THREADS * (uint32_t)sizeof(T); }

/* Σ of every `step`-th element from `first` on; eight loads are under way at once. */
template <class T, class At> static __device__ __forceinline__ T sum_slice(int64_t n, int first, int step, const At &at)
{
    constexpr int lanes = 8;
    T total = 0;
    for (int64_t i = first; i < n;) {
        T sum[lanes] = {};
        const int64_t chunk = i + (int64_t)CT_SUM_ROUNDS * lanes * step, end = n < chunk ? n : chunk;
        for (; i < end; i += lanes * step) {
            T value[lanes];
#pragma unroll
            for (int j = 0; j < lanes; j++) value[j] = i + j * step < n ? at(i + j * step) : T(0);
#pragma unroll
            for (int j = 0; j < lanes; j++) sum[j] += value[j];
        }
#pragma unroll
        for (int half = lanes / 2; half > 0; half /= 2)
#pragma unroll
            for (int j = 0; j < half; j++) sum[j] += sum[j + half];
        total += sum[0];
    }
    return total;
}

/* Elements that one output of the general case adds. i[0]: the reduced dims, a bit each. */
static __host__ __device__ __forceinline__ int64_t alternating_count(const ct_args &a)
{
    int64_t count = 1;
    for (int d = 0; d < a.ndim; d++)
        if (a.i[0] >> d & 1) count *= a.shape[d];
    return count;
}

static inline uint32_t grid_columns(const ct_args *a)
{
    return a->k ? ct_grid_lines(a->m * a->k, a->n, a->k) : ct_grid_lines(a->m, alternating_count(*a), 1);
}

/* Offset of index `at` among the dims that are reduced (or kept), row-major. */
static __device__ __forceinline__ int64_t alternating_offset(const ct_args &a, bool reduced, int64_t at)
{
    int64_t offset = 0;
#pragma unroll
    for (int d = CT_ARGS_DIMS - 1; d >= 0; d--) {
        if (d >= a.ndim || (bool)(a.i[0] >> d & 1) != reduced) continue;
        const int64_t outer = ct_quotient(at, a.shape[d]);
        offset += (at - outer * a.shape[d]) * a.stride[0][d];
        at = outer;
    }
    return offset;
}

template <class T>
static __device__ __forceinline__ void reduce_columns_body(const ct_args &a, uint32_t block, void *shared)
{
    const bool general = a.k == 0;
    const int64_t count = general ? a.m : a.m * a.k, n = general ? alternating_count(a) : a.n, k = general ? 1 : a.k;
    const ct_lines l = ct_lines_of(count, n, k);
    const ct_place at = ct_place_of(l, block);
    T sum = 0;
    if (at.line < count && general) {
        const T *x = static_cast<const T *>(a.p[0]) + alternating_offset(a, false, at.line);
        sum = sum_slice<T>(n, at.slice, l.slices, [&](int64_t i) { return x[alternating_offset(a, true, i)]; });
    } else if (at.line < count) {
        const T *x = static_cast<const T *>(a.p[0]) + ct_line_start(at.line, n, k);
        sum = sum_slice<T>(n, at.slice, l.slices, [&](int64_t i) { return x[i * k]; });
    }
    sum = ct_combine_slices(l, at, sum, shared, ct_plus());
    if (at.line < count && at.slice == 0) static_cast<T *>(a.p[1])[at.line] = sum * ct_scalar_of<T>(a.scalar[0]);
}

/* reduce_all: y = scale Σ x.  p: x, y, partial sums.  n: elements, k: parts, one a block. */
template <class T>
static __device__ __forceinline__ void reduce_all_body(const ct_args &a, uint32_t block, void *shared)
{
    const ct_part part = ct_part_of(a, block);
    const T share = ct_span_sum<CT_THREADS>(static_cast<const T *>(a.p[0]) + part.from, part.length, (int)threadIdx.x);
    const T sum = ct_block_sum(share, shared);
    T total;
    if (ct_add_blocks(a, block, sum, static_cast<T *>(a.p[2]), shared, total) && threadIdx.x == 0)
        *static_cast<T *>(a.p[1]) = total * ct_scalar_of<T>(a.scalar[0]);
}

#endif

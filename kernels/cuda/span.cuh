/* A span of neighbouring elements, in vectors of 16 bytes.
 *
 * Which thread takes which element never depends on addresses: a vector that is not aligned, or
 * that the span ends in, goes element by element in the same thread. So sums keep their order.
 */
#ifndef CUTAPE_KERNELS_CUDA_SPAN_CUH
#define CUTAPE_KERNELS_CUDA_SPAN_CUH

#include "iterate.cuh"

/* Vectors that a thread has under way at once in a sum. */
#define CT_VECTORS_AT_ONCE 4

/* Times that an accumulator of a sum is added to before it goes into the total: what it has rounds every one of them.
 */
#define CT_SUM_ROUNDS 256

/* x = p[0..left), and zeros behind. */
template <class T, int n>
static __device__ __forceinline__ void ct_load_part(const T *p, int64_t left, ct_vector<T, n> &x)
{
    if (left >= n && (uintptr_t)p % sizeof x == 0) {
        x = *reinterpret_cast<const ct_vector<T, n> *>(p);
        return;
    }
#pragma unroll
    for (int i = 0; i < n; i++) x.at[i] = i < left ? p[i] : T(0);
}

/* p[0..left) = x, and nothing behind. */
template <class T, int n>
static __device__ __forceinline__ void ct_store_part(T *p, int64_t left, const ct_vector<T, n> &x)
{
    if (left >= n && (uintptr_t)p % sizeof x == 0) {
        *reinterpret_cast<ct_vector<T, n> *>(p) = x;
        return;
    }
#pragma unroll
    for (int i = 0; i < n; i++)
        if (i < left) p[i] = x.at[i];
}

/* The part of n elements that a block has where they are cut into k: whole vectors but for the last. */
struct ct_part {
    int64_t from, length;
};

static __device__ __forceinline__ ct_part ct_part_of(const ct_args &a, uint32_t block)
{
    const int64_t length = ((a.n + a.k - 1) / a.k + 3) / 4 * 4, from = length * block;
    const int64_t left = a.n - from;
    return ct_part{from, left < 0 ? 0 : left < length ? left : length};
}

static inline uint32_t ct_grid_parts(const ct_args *a) { return (uint32_t)a->k; }

/* A thread's share of the sum of x[0..n) by a team of threads. */
template <int team, class T> static __device__ __forceinline__ T ct_span_sum(const T *x, int64_t n, int rank)
{
    constexpr int width = width_of<T>::value, step = team * width;
    T total = 0;
    for (int64_t i = (int64_t)rank * width; i < n;) {
        T sum[width] = {};
        const int64_t chunk = i + (int64_t)CT_SUM_ROUNDS * step, end = n < chunk ? n : chunk;
        for (; i < end; i += CT_VECTORS_AT_ONCE * step) {
            ct_vector<T, width> v[CT_VECTORS_AT_ONCE];
#pragma unroll
            for (int j = 0; j < CT_VECTORS_AT_ONCE; j++) ct_load_part(x + i + j * step, n - i - j * step, v[j]);
#pragma unroll
            for (int j = 0; j < CT_VECTORS_AT_ONCE; j++)
#pragma unroll
                for (int c = 0; c < width; c++) sum[c] += v[j].at[c];
        }
#pragma unroll
        for (int c = 1; c < width; c++) sum[0] += sum[c];
        total += sum[0];
    }
    return total;
}

#endif

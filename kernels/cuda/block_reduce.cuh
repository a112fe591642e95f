/* Sums and maxima over the threads of a warp or of a block, in a fixed order: CUB behind a few names.
 *
 * All threads of the team call, converged, and all get the result, the same to the bit. `shared`
 * is ct_reduce_bytes<T>() long, free for use before and after; a warp does not touch it.
 */
#ifndef CUTAPE_KERNELS_CUDA_BLOCK_REDUCE_CUH
#define CUTAPE_KERNELS_CUDA_BLOCK_REDUCE_CUH

#include <cub/block/block_reduce.cuh>

#include "cuda.cuh"

#define CT_WARP 32

struct ct_plus {
    template <class T> __device__ __forceinline__ T operator()(T a, T b) const { return a + b; }
};

/* A NaN counts as largest, so that it is not lost. */
struct ct_larger {
    template <class T> __device__ __forceinline__ T operator()(T a, T b) const { return a > b || a != a ? a : b; }
};

/* By halves: both partners add the same two values, so all lanes hold the same bits. */
template <class T, class Op> static __device__ __forceinline__ T ct_warp_all(T value, Op op)
{
#pragma unroll
    for (int distance = CT_WARP / 2; distance > 0; distance /= 2)
        value = op(value, __shfl_xor_sync(0xffffffffu, value, distance));
    return value;
}

/* Warps first, then the warps' results in order: the same order in every run. */
template <class T> using ct_block_reduce = cub::BlockReduce<T, CT_THREADS, cub::BLOCK_REDUCE_WARP_REDUCTIONS>;

template <class T> struct ct_reduce_shared {
    typename ct_block_reduce<T>::TempStorage steps;
    T result;
};

template <class T> static constexpr uint32_t ct_reduce_bytes() { return (uint32_t)sizeof(ct_reduce_shared<T>); }

template <class T, class Op> static __device__ __forceinline__ T ct_block_all(T value, void *shared, Op op)
{
    ct_reduce_shared<T> &s = *static_cast<ct_reduce_shared<T> *>(shared);
    const T result = ct_block_reduce<T>(s.steps).Reduce(value, op);
    if (threadIdx.x == 0) s.result = result;
    __syncthreads();
    value = s.result;
    __syncthreads();
    return value;
}

template <class T> static __device__ __forceinline__ T ct_block_sum(T value, void *shared)
{
    return ct_block_all(value, shared, ct_plus());
}

/* Of a team: the 32 threads of a warp or the 256 of a block. */
template <int team, class T> static __device__ __forceinline__ T ct_team_sum(T value, void *shared)
{
    static_assert(team == CT_WARP || team == CT_THREADS, "a warp or a block");
    if constexpr (team == CT_WARP)
        return ct_warp_all(value, ct_plus());
    else
        return ct_block_all(value, shared, ct_plus());
}

template <int team, class T> static __device__ __forceinline__ T ct_team_max(T value, void *shared)
{
    static_assert(team == CT_WARP || team == CT_THREADS, "a warp or a block");
    if constexpr (team == CT_WARP)
        return ct_warp_all(value, ct_larger());
    else
        return ct_block_all(value, shared, ct_larger());
}

/* Σ part[0..n) by the whole block: every thread adds those CT_THREADS apart. */
template <class T> static __device__ __forceinline__ T ct_sum_parts(const T *part, int64_t n, void *shared)
{
    T sum = 0;
    for (int64_t i = threadIdx.x; i < n; i += CT_THREADS) sum += part[i];
    return ct_block_sum(sum, shared);
}

/* Adds one sum from every block: true in the last block, which has the total. `part`: one a block. */
template <class T>
static __device__ __forceinline__ bool ct_add_blocks(const ct_args &a, uint32_t block, T sum, T *part, void *shared,
                                                     T &total)
{
    total = sum;
    if (a.blocks == 1) return true;
    if (threadIdx.x == 0) part[block] = sum;
    if (!ct_is_last_block(a, shared)) return false;
    total = ct_sum_parts(part, a.blocks, shared);
    return true;
}

#endif

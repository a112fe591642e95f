/* What the CUDA kernels share: the wrapper around a body, the last block, small helpers.
 *
 * A body is `__device__ __forceinline__ void body(const ct_args &, uint32_t block, void *shared)`.
 * It knows its virtual block and no grid, returns from no thread before a barrier, and waits
 * for no other block: so it serves as a kernel of its own and as a member of a group.
 */
#ifndef CUTAPE_KERNELS_CUDA_CUH
#define CUTAPE_KERNELS_CUDA_CUH

#include <cuda_runtime.h>

#include "cuda.h"

/* A stand-in for the device wants to know the type of a kernel's argument. */
#ifndef CT_ENTRY
#define CT_ENTRY(kernel) reinterpret_cast<const void *>(kernel)
#endif

extern __shared__ __align__(16) unsigned char ct_shared[];

/* The kernel ct_<name>, under which profilers show it: a loop over virtual blocks. Two blocks fit on a
 * multiprocessor, so it has at most 128 registers. */
#define CT_GLOBAL(name, ...)                                                                                           \
    extern "C" __global__ void __launch_bounds__(CT_THREADS, 2) ct_##name(const __grid_constant__ ct_args args)        \
    {                                                                                                                  \
        for (uint32_t block = blockIdx.x; block < args.blocks; block += gridDim.x) {                                   \
            if (block != blockIdx.x) __syncthreads(); /* the block before may still read shared memory */              \
            __VA_ARGS__(args, block, ct_shared);                                                                       \
        }                                                                                                              \
    }

/* Of `blocks` that share a ticket: true in all threads of the one that ends last. What the others wrote is
 * visible then, and the ticket is zero again. `shared` is free for use before and after. */
static __device__ __forceinline__ bool ct_ends_last(uint32_t *ticket, uint32_t blocks, void *shared)
{
    uint32_t *turn = static_cast<uint32_t *>(shared);
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) *turn = atomicInc(ticket, blocks - 1);
    __syncthreads();
    const bool last = *turn == blocks - 1;
    __syncthreads();
    if (last) __threadfence();
    return last;
}

static __device__ __forceinline__ bool ct_is_last_block(const ct_args &a, void *shared)
{
    return ct_ends_last(a.ticket, a.blocks, shared);
}

/* n neighbours, moved by one instruction of 16 bytes where they are as large. */
template <class T, int n> struct alignas(sizeof(T) * n) ct_vector {
    T at[n];
};

template <class T> __device__ __forceinline__ T ct_scalar_of(const ct_scalar &s);
template <> __device__ __forceinline__ float ct_scalar_of<float>(const ct_scalar &s) { return s.f32; }
template <> __device__ __forceinline__ double ct_scalar_of<double>(const ct_scalar &s) { return s.f64; }

/* ---- of the host: virtual blocks ---------------------------------------------------------------- */

static inline uint32_t ct_blocks_of(int64_t n, int64_t a_block) { return (uint32_t)((n + a_block - 1) / a_block); }
static inline uint32_t ct_grid_elements(const ct_args *a) { return ct_blocks_of(a->n, CT_BLOCK_ELEMENTS); }

#endif

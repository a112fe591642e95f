/* See kernels.h. Each kernel with a bug has one only, which its name tells. */
#include <cuda_runtime.h>

#include <cub/block/block_reduce.cuh>
#include <cub/warp/warp_reduce.cuh>

#include "kernels.h"

extern __shared__ __align__(16) unsigned char ct_shared[];

#define KERNEL(name) static __global__ void name(const __grid_constant__ Parameter p)

#define ALL_LANES 0xffffffffu

struct Plus {
    __device__ float operator()(float a, float b) const { return a + b; }
};
using BlockSum = cub::BlockReduce<float, 256>;

static __device__ float *shared_floats() { return reinterpret_cast<float *>(ct_shared); }
static __device__ int element() { return int(blockIdx.x * blockDim.x + threadIdx.x); }

/* ---- right ones ----------------------------------------------------------------------------------- */

KERNEL(fill_with)
{
    if (element() < p.n) p.x[element()] = p.value;
}

KERNEL(number_blocks)
{
    if (threadIdx.x == 0) p.x[blockIdx.x] = float(blockIdx.x + gridDim.x * 1000);
}

/* x[block] = 0 + 1 + ... + 255, over two rounds of shared memory */
KERNEL(add_block)
{
    float *part = shared_floats();
    part[threadIdx.x] = float(threadIdx.x);
    for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
    }
    __syncthreads();
    if (threadIdx.x == 0) p.x[blockIdx.x] = part[0];
}

KERNEL(shuffles)
{
    const unsigned lane = threadIdx.x % 32;
    p.x[threadIdx.x] = float(__shfl_sync(ALL_LANES, threadIdx.x, 3));
    p.x[256 + threadIdx.x] = float(__shfl_down_sync(ALL_LANES, threadIdx.x, 5));
    p.x[512 + threadIdx.x] = float(__shfl_xor_sync(ALL_LANES, double(lane), 8));
    p.x[768 + threadIdx.x] = float(__ballot_sync(ALL_LANES, lane < 5));
}

KERNEL(count_blocks)
{
    if (threadIdx.x > 0) return;
    if (atomicInc(p.counter, gridDim.x - 1) == gridDim.x - 1) p.x[0] += 1;
    atomicAdd(p.counter + 1, 2u);
}

KERNEL(copy_shared) { p.x[threadIdx.x] = shared_floats()[threadIdx.x]; }

/* ---- wrong results ------------------------------------------------------------------------------ */

KERNEL(missing_barrier)
{
    shared_floats()[threadIdx.x] = 1;
    p.x[threadIdx.x] = shared_floats()[(threadIdx.x + 128) % 256];
}

KERNEL(missing_syncwarp)
{
    float *part = shared_floats();
    part[threadIdx.x] = 1;
    p.x[threadIdx.x] = part[threadIdx.x ^ 1];
}

KERNEL(order_of_blocks)
{
    if (threadIdx.x == 0) p.x[blockIdx.x + 1] = p.x[blockIdx.x] + 1;
}

KERNEL(block_sum_everywhere)
{
    BlockSum::TempStorage &storage = *reinterpret_cast<BlockSum::TempStorage *>(ct_shared);
    p.x[threadIdx.x] = BlockSum(storage).Reduce(1.0f, Plus());
}

/* ---- waiting for each other -------------------------------------------------------------------- */

KERNEL(two_barriers)
{
    if (threadIdx.x < 64)
        __syncthreads();
    else
        __syncthreads();
    p.x[threadIdx.x] = 0;
}

KERNEL(barrier_of_some)
{
    if (threadIdx.x < 64) __syncthreads();
    p.x[threadIdx.x] = 0;
}

KERNEL(early_exit)
{
    if (int(threadIdx.x) >= p.n) return;
    __syncthreads();
    p.x[threadIdx.x] = 0;
}

KERNEL(lane_outside_mask)
{
    if (threadIdx.x % 32 >= 16) p.x[threadIdx.x] = __shfl_down_sync(0x0000ffffu, 1.0f, 1);
}

KERNEL(mask_of_some)
{
    if (threadIdx.x % 32 < 16) p.x[threadIdx.x] = __shfl_down_sync(0x0000ffffu, 1.0f, 1);
}

KERNEL(shuffle_of_some)
{
    if (threadIdx.x % 32 < 16) p.x[threadIdx.x] = __shfl_down_sync(ALL_LANES, 1.0f, 1);
}

/* ---- reductions --------------------------------------------------------------------------------- */

KERNEL(block_sum)
{
    BlockSum::TempStorage &storage = *reinterpret_cast<BlockSum::TempStorage *>(ct_shared);
    const float first = BlockSum(storage).Reduce(float(threadIdx.x), Plus());
    __syncthreads();
    const float second = BlockSum(storage).Reduce(1.0f, Plus());
    if (threadIdx.x == 0) p.x[0] = first, p.x[1] = second;
}

KERNEL(block_sum_twice)
{
    BlockSum::TempStorage &storage = *reinterpret_cast<BlockSum::TempStorage *>(ct_shared);
    const float first = BlockSum(storage).Reduce(float(threadIdx.x), Plus());
    const float second = BlockSum(storage).Reduce(1.0f, Plus());
    if (threadIdx.x == 0) p.x[0] = first, p.x[1] = second;
}

KERNEL(warp_sum_twice)
{
    using WarpSum = cub::WarpReduce<float>;
    WarpSum::TempStorage &storage = reinterpret_cast<WarpSum::TempStorage *>(ct_shared)[threadIdx.x / 32];
    const float first = WarpSum(storage).Reduce(float(threadIdx.x), Plus());
    if (p.n) __syncwarp();
    const float second = WarpSum(storage).Reduce(1.0f, Plus());
    if (threadIdx.x == 0) p.x[0] = first, p.x[1] = second;
}

/* ---- memory ------------------------------------------------------------------------------------- */

KERNEL(write_at)
{
    if (element() == 0) p.x[p.offset] = 1;
}

KERNEL(read_at)
{
    if (element() == 0) p.x[0] = p.x[p.offset];
}

KERNEL(write_shared_at)
{
    if (threadIdx.x == 0) shared_floats()[p.offset] = 1;
}

struct alignas(16) Four {
    float at[4];
};

KERNEL(misaligned)
{
    if (threadIdx.x > 0) return;
    Four *four = reinterpret_cast<Four *>(p.x + 1);
    asm volatile("" : "+r"(four)); /* the compiler must not see it */
    four[1] = four[0];
}

/* Never zero, but the compiler does not know. */
static __device__ __attribute__((noinline)) int recurse(const Parameter &p, int depth)
{
    volatile char frame[1024] = {};
    frame[depth % 1024] = char(p.n);
    return depth < 0 ? 0 : recurse(p, depth + 1) + frame[(depth + 1) % 1024];
}

KERNEL(endless_recursion) { p.x[threadIdx.x] = float(recurse(p, 1)); }

KERNEL(divide_by_zero) { p.x[threadIdx.x] = float(7 / p.n); }

KERNEL(float_to_int) { p.x[threadIdx.x] = float(int(p.value)); }

#define X(name) const void *const name##_kernel = CT_ENTRY(name);
SIMT_TEST_KERNELS(X)
#undef X

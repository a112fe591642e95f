/* The body of the mean squared error with its gradient, which a group kernel holds too. */
#ifndef CUTAPE_KERNELS_CUDA_MSE_CUH
#define CUTAPE_KERNELS_CUDA_MSE_CUH

#include "block_reduce.cuh"
#include "span.cuh"

enum { REDUCE_MEAN, REDUCE_SUM, REDUCE_NONE };

/* ---- mean squared error ------------------------------------------------------------------------------
 * p: x, y, loss, dx, partial sums.  n: elements, k: parts, one a block.  i: reduction.  scalar: 1 or 1/n.
 * Bytes: x, y and dx once; 4 FLOPs an element. */

template <class T> static __device__ __forceinline__ void mse_loss_body(const ct_args &a, uint32_t block, void *shared)
{
    constexpr int width = width_of<T>::value;
    const T scale = ct_scalar_of<T>(a.scalar[0]);
    const ct_part part = ct_part_of(a, block);
    const T *x = static_cast<const T *>(a.p[0]) + part.from, *y = static_cast<const T *>(a.p[1]) + part.from;
    T *dx = a.p[3] ? static_cast<T *>(a.p[3]) + part.from : nullptr;
    T *loss = a.i[0] == REDUCE_NONE && a.p[2] ? static_cast<T *>(a.p[2]) + part.from : nullptr;
    T sum = 0;
    for (int64_t i = (int64_t)threadIdx.x * width; i < part.length; i += CT_THREADS * width) {
        ct_vector<T, width> d, other;
        ct_load_part(x + i, part.length - i, d);
        ct_load_part(y + i, part.length - i, other);
#pragma unroll
        for (int j = 0; j < width; j++) {
            d.at[j] -= other.at[j];
            other.at[j] = d.at[j] * d.at[j];
            d.at[j] *= 2 * scale;
            sum += other.at[j];
        }
        if (loss) ct_store_part(loss + i, part.length - i, other);
        if (dx) ct_store_part(dx + i, part.length - i, d);
    }
    if (a.i[0] == REDUCE_NONE || !a.p[2]) return;
    T total;
    sum = ct_block_sum(sum, shared);
    if (ct_add_blocks(a, block, sum, static_cast<T *>(a.p[4]), shared, total) && threadIdx.x == 0)
        *static_cast<T *>(a.p[2]) = total * scale;
}

#endif

/* Losses of x and y, element by element, with their gradients by x: the formulas of loss.def. In a header
 * because a group kernel holds one of them too.
 */
#ifndef CUTAPE_KERNELS_CUDA_PAIR_LOSS_CUH
#define CUTAPE_KERNELS_CUDA_PAIR_LOSS_CUH

#include "block_reduce.cuh"
#include "span.cuh"

enum { REDUCE_MEAN, REDUCE_SUM, REDUCE_NONE };

template <class F, class T> static __device__ __forceinline__ void pair_loss_body(const ct_args &, uint32_t, void *);

#define M(name) name
#define K(c) ((T)(c))
#define CT_PAIR_LOSS(name, value_formula, slope_formula)                                                               \
    struct name##_formula {                                                                                            \
        template <class T> static __device__ __forceinline__ void of(T x, T y, T delta, T &value, T &slope)            \
        {                                                                                                              \
            const T d = x - y;                                                                                         \
            (void)d, (void)delta;                                                                                      \
            value = value_formula;                                                                                     \
            slope = slope_formula;                                                                                     \
        }                                                                                                              \
    };                                                                                                                 \
    template <class T>                                                                                                 \
    static __device__ __forceinline__ void name##_body(const ct_args &a, uint32_t block, void *shared)                 \
    {                                                                                                                  \
        pair_loss_body<name##_formula, T>(a, block, shared);                                                           \
    }
#include "../loss.def"
#undef CT_PAIR_LOSS
#undef M
#undef K

/* p: x, y, loss, dx, partial sums.  n: elements, k: parts, one a block.  i: reduction.
 * scalar: 1 or 1/n, delta.
 * Bytes: x, y and dx once; 4 FLOPs an element, or an exponential and a logarithm. */

template <class F, class T>
static __device__ __forceinline__ void pair_loss_body(const ct_args &a, uint32_t block, void *shared)
{
    constexpr int width = width_of<T>::value;
    const T scale = ct_scalar_of<T>(a.scalar[0]), delta = ct_scalar_of<T>(a.scalar[1]);
    const ct_part part = ct_part_of(a, block);
    const T *x = static_cast<const T *>(a.p[0]) + part.from, *y = static_cast<const T *>(a.p[1]) + part.from;
    T *dx = a.p[3] ? static_cast<T *>(a.p[3]) + part.from : nullptr;
    T *loss = a.i[0] == REDUCE_NONE && a.p[2] ? static_cast<T *>(a.p[2]) + part.from : nullptr;
    T sum = 0;
    for (int64_t i = (int64_t)threadIdx.x * width; i < part.length; i += CT_THREADS * width) {
        ct_vector<T, width> left, right;
        ct_load_part(x + i, part.length - i, left);
        ct_load_part(y + i, part.length - i, right);
#pragma unroll
        for (int j = 0; j < width; j++) {
            T value, slope;
            F::of(left.at[j], right.at[j], delta, value, slope);
            left.at[j] = slope * scale;
            right.at[j] = value;
            sum += i + j < part.length ? value : T(0);
        }
        if (loss) ct_store_part(loss + i, part.length - i, right);
        if (dx) ct_store_part(dx + i, part.length - i, left);
    }
    if (a.i[0] == REDUCE_NONE || !a.p[2]) return;
    T total;
    sum = ct_block_sum(sum, shared);
    if (ct_add_blocks(a, block, sum, static_cast<T *>(a.p[4]), shared, total) && threadIdx.x == 0)
        *static_cast<T *>(a.p[2]) = total * scale;
}

#endif

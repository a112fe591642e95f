/* copy, fill and zero: bytes moved or set, in vectors of up to 16 bytes.
 *
 * A block covers CT_BLOCK_ELEMENTS elements, neighbouring threads taking neighbouring vectors.
 * Copies do not look at values: one body serves all dtypes of a size (Bits).
 */
#ifndef CUTAPE_KERNELS_CUDA_MOVE_CUH
#define CUTAPE_KERNELS_CUDA_MOVE_CUH

#include "span.cuh"

/* p[1] = p[0] from element i[0] on, which has any strides. */
template <class Bits> struct copy_formula {
    static constexpr int width = width_of<Bits>::value;
    const Bits *x;
    Bits *y;
    __device__ __forceinline__ void vector(int64_t e, const int64_t *offset, const int64_t *stride) const
    {
        ct_vector<Bits, width> v;
        load(x + offset[0], stride[0], v);
        *reinterpret_cast<ct_vector<Bits, width> *>(y + e) = v;
    }
    __device__ __forceinline__ void element(int64_t e, const int64_t *offset) const { y[e] = x[offset[0]]; }
};

template <class Bits> static __device__ __forceinline__ void copy_body(const ct_args &a, uint32_t block, void *)
{
    const copy_formula<Bits> f = {static_cast<const Bits *>(a.p[0]) + a.i[0], static_cast<Bits *>(a.p[1])};
    for_vectors<1, copy_formula<Bits>::width>(a, block, a.p[1], sizeof(Bits), f);
}

/* p[0] = value. n: elements. */
template <class T> static __device__ __forceinline__ void set_block(const ct_args &a, uint32_t block, T value)
{
    constexpr int width = width_of<T>::value;
    ct_vector<T, width> v;
#pragma unroll
    for (int i = 0; i < width; i++) v.at[i] = value;
    const int64_t first = (int64_t)block * CT_BLOCK_ELEMENTS;
    const int64_t end = first + CT_BLOCK_ELEMENTS < a.n ? first + CT_BLOCK_ELEMENTS : a.n;
    for (int64_t i = first + (int64_t)threadIdx.x * width; i < end; i += CT_THREADS * width)
        ct_store_part(static_cast<T *>(a.p[0]) + i, end - i, v);
}

template <class T> static __device__ __forceinline__ void fill_body(const ct_args &a, uint32_t block, void *)
{
    set_block<T>(a, block, ct_scalar_of<T>(a.scalar[0]));
}

template <class Bits> static __device__ __forceinline__ void zero_body(const ct_args &a, uint32_t block, void *)
{
    set_block<Bits>(a, block, Bits(0));
}

#endif

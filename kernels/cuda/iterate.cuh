/* The iteration that elementwise kernels share: virtual blocks over the collapsed output, in
 * vectors of up to 16 bytes.
 */
#ifndef CUTAPE_KERNELS_CUDA_ITERATE_CUH
#define CUTAPE_KERNELS_CUDA_ITERATE_CUH

#include "cuda.cuh"

/* Elements of a vector: 16 bytes of the widest operand, at most four. */
template <class T> struct width_of {
    static constexpr int value = sizeof(T) == 8 ? 2 : 4;
};

/* Element offsets of the inputs at element e. Returns how many elements are left in its row. */
template <int n_in>
static __device__ __forceinline__ int64_t locate(const ct_args &a, int64_t e, int64_t (&offset)[n_in])
{
#pragma unroll
    for (int j = 0; j < n_in; j++) offset[j] = 0;
    int64_t rest = e, left = 0;
#pragma unroll
    for (int d = CT_ARGS_DIMS - 1; d >= 0; d--) {
        if (d >= a.ndim) continue;
        int64_t at = rest;
        if (d > 0) {
            const int64_t size = a.shape[d];
            /* 64-bit divisions are slow and rarely needed */
            const int64_t outer = (rest | size) >> 32 ? rest / size : (int64_t)((uint32_t)rest / (uint32_t)size);
            at = rest - outer * size;
            rest = outer;
        }
        if (d == a.ndim - 1) left = a.shape[d] - at;
#pragma unroll
        for (int j = 0; j < n_in; j++) offset[j] += at * a.stride[j][d];
    }
    return left;
}

/* x[0..n) = n elements from p, `stride` apart: 1 or 0 in one access. */
template <class T, int n> static __device__ __forceinline__ void load(const T *p, int64_t stride, ct_vector<T, n> &x)
{
    if (stride == 1 && (uintptr_t)p % sizeof x == 0) {
        x = *reinterpret_cast<const ct_vector<T, n> *>(p);
        return;
    }
#pragma unroll
    for (int i = 0; i < n; i++) x.at[i] = p[i * stride];
}

/* Calls f(element, offsets, strides) for whole vectors in a row and f with a count of one
 * elsewhere: f is a functor with `vector` and `element`. */
template <int n_in, int width, class F>
static __device__ __forceinline__ void for_vectors(const ct_args &a, uint32_t block, void *out, size_t out_bytes, F f)
{
    const int64_t first = (int64_t)block * CT_BLOCK_ELEMENTS;
    const int64_t end = first + CT_BLOCK_ELEMENTS < a.n ? first + CT_BLOCK_ELEMENTS : a.n;
    int64_t stride[n_in];
#pragma unroll
    for (int j = 0; j < n_in; j++) stride[j] = a.stride[j][a.ndim - 1];
    const bool aligned = (uintptr_t)out % (out_bytes * width) == 0;
    for (int64_t e = first + (int64_t)threadIdx.x * width; e < end; e += CT_THREADS * width) {
        int64_t offset[n_in];
        const int64_t left = locate<n_in>(a, e, offset);
        if (aligned && left >= width && end - e >= width) {
            f.vector(e, offset, stride);
            continue;
        }
        for (int i = 0; i < width && e + i < end; i++) {
            if (i > 0) locate<n_in>(a, e + i, offset);
            f.element(e + i, offset);
        }
    }
}

#endif

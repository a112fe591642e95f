/* Random kernels: dropout, rand, randn. Bits come from kernels/philox.h and are those of the CPU.
 *
 * Compiled without contraction (nvcc -fmad=false, g++ -ffp-contract=off): the same bits everywhere.
 *
 * p: y, step counter (i64), x.  n: elements.  i: seed, number of the random record.
 * A block covers CT_BLOCK_ELEMENTS elements; a thread computes a Philox block and from it four
 * neighbours (two of rand and randn in f64), so that element i has the same bits wherever it is
 * computed and no mask is stored. Bytes: x and y once.
 */
#include "entry.cuh"
#include "random.cuh"
#include "span.cuh"

#include "../philox.h"

/* y[i..i+n) = f(Philox block i/n, elements left, i) for the groups of a block. */
template <int n, class T, class F>
static __device__ __forceinline__ void for_groups(const ct_args &a, uint32_t block, const F &f)
{
    const uint64_t key = ct_random_key((uint64_t)a.i[0], (uint64_t)a.i[1]);
    const uint64_t step = (uint64_t) * static_cast<const int64_t *>(a.p[1]);
    const int64_t first = (int64_t)block * CT_BLOCK_ELEMENTS;
    const int64_t end = first + CT_BLOCK_ELEMENTS < a.n ? first + CT_BLOCK_ELEMENTS : a.n;
    for (int64_t i = first + (int64_t)threadIdx.x * n; i < end; i += CT_THREADS * n) {
        const ct_vector<T, n> y = f(ct_philox(key, (uint64_t)(i / n), step), end - i, i);
        ct_store_part(static_cast<T *>(a.p[0]) + i, end - i, y);
    }
}

/* y = x / (1 - p) where the word is at least p 2^32, else 0.  scalar: p, 1/(1-p). */
template <class T> static __device__ __forceinline__ void dropout_body(const ct_args &a, uint32_t block, void *)
{
    const T *x = static_cast<const T *>(a.p[2]), scale = ct_scalar_of<T>(a.scalar[1]);
    const uint64_t threshold = (uint64_t)(a.scalar[0].f64 * 0x1p32);
    for_groups<4, T>(a, block, [&](const ct_bits4 &bits, int64_t left, int64_t i) {
        ct_vector<T, 4> v;
        ct_load_part(x + i, left, v);
#pragma unroll
        for (int j = 0; j < 4; j++) v.at[j] = bits.word[j] >= threshold ? v.at[j] * scale : T(0);
        return v;
    });
}

/* [0, 1) */
template <class T> static __device__ __forceinline__ void rand_body(const ct_args &a, uint32_t block, void *)
{
    constexpr int n = width_of<T>::value;
    for_groups<n, T>(a, block, [](const ct_bits4 &bits, int64_t, int64_t) {
        ct_vector<T, n> v;
#pragma unroll
        for (int j = 0; j < n; j++)
            if constexpr (n == 4)
                v.at[j] = ct_uniform_f32(bits.word[j]);
            else
                v.at[j] = ct_uniform_f64(bits.word[2 * j], bits.word[2 * j + 1]);
        return v;
    });
}

/* Standard normals, computed in f64 for both dtypes: two pairs from a Philox block, or one in f64. */
template <class T> static __device__ __forceinline__ void randn_body(const ct_args &a, uint32_t block, void *)
{
    constexpr int n = width_of<T>::value;
    for_groups<n, T>(a, block, [](const ct_bits4 &bits, int64_t, int64_t) {
        ct_vector<T, n> v;
#pragma unroll
        for (int j = 0; j < n; j += 2) {
            double u, w, normal[2];
            if constexpr (n == 4)
                u = bits.word[j] * 0x1p-32, w = bits.word[j + 1] * 0x1p-32;
            else
                u = ct_uniform_f64(bits.word[0], bits.word[1]), w = ct_uniform_f64(bits.word[2], bits.word[3]);
            ct_normal_pair(u, w, &normal[0], &normal[1]);
            v.at[j] = (T)normal[0];
            v.at[j + 1] = (T)normal[1];
        }
        return v;
    });
}

CT_FLOAT_KERNEL(dropout, ct_grid_elements, dropout_body, ct_no_bytes, 0)
CT_FLOAT_KERNEL(rand, ct_grid_elements, rand_body, ct_no_bytes, 0)
CT_FLOAT_KERNEL(randn, ct_grid_elements, randn_body, ct_no_bytes, 0)

CT_GLOBAL(advance_i64, advance_body)
extern "C" const ct_cuda_kernel ct_cuda_advance = {
    nullptr, {nullptr, nullptr, nullptr, nullptr, CT_ENTRY(ct_advance_i64)}, {}, 1 << I64};

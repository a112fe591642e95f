/* Elementwise kernels: the formulas of elementwise.def over the collapsed iteration space.
 * p[0..2] are inputs, p[3] the output.
 *
 * A block covers CT_BLOCK_ELEMENTS elements in vectors of up to 16 bytes, neighbouring
 * threads taking neighbouring vectors. Where every input of a vector lies in one row, it is
 * found by one division per dim and then loaded whole (stride 1) or once (stride 0); a
 * vector that crosses a row, ends the tensor or is not aligned goes element by element.
 * Bytes: every input and the output once. Nothing is reduced.
 */
#include "formulas.cuh"
#include "iterate.cuh"

/* ---- bodies -------------------------------------------------------------------------------------------- */

/* The record's scalars; `flags` says how many it has. */
template <class T> static __device__ __forceinline__ T scalar(const ct_args &a, int i)
{
    return a.flags > i ? ct_scalar_of<T>(a.scalar[i]) : T(0);
}

template <class F, class T> struct unary {
    static constexpr int width = width_of<T>::value;
    const T *x;
    T *y, s0, s1;
    __device__ __forceinline__ void vector(int64_t e, const int64_t *offset, const int64_t *stride) const
    {
        ct_vector<T, width> in, out;
        load(x + offset[0], stride[0], in);
#pragma unroll
        for (int i = 0; i < width; i++) out.at[i] = F::of(in.at[i], s0, s1);
        *reinterpret_cast<ct_vector<T, width> *>(y + e) = out;
    }
    __device__ __forceinline__ void element(int64_t e, const int64_t *offset) const
    {
        y[e] = F::of(x[offset[0]], s0, s1);
    }
};

template <class F, class T> static __device__ __forceinline__ void unary_body(const ct_args &a, uint32_t block, void *)
{
    const unary<F, T> f = {static_cast<const T *>(a.p[0]), static_cast<T *>(a.p[3]), scalar<T>(a, 0), scalar<T>(a, 1)};
    for_vectors<1, unary<F, T>::width>(a, block, a.p[3], sizeof(T), f);
}

/* O: the output's type. */
template <class F, class T, class O> struct binary {
    static constexpr int width = width_of<T>::value;
    const T *a, *b;
    O *y;
    T s0;
    __device__ __forceinline__ void vector(int64_t e, const int64_t *offset, const int64_t *stride) const
    {
        ct_vector<T, width> left, right;
        ct_vector<O, width> out;
        load(a + offset[0], stride[0], left);
        load(b + offset[1], stride[1], right);
#pragma unroll
        for (int i = 0; i < width; i++) out.at[i] = (O)F::of(left.at[i], right.at[i], s0);
        *reinterpret_cast<ct_vector<O, width> *>(y + e) = out;
    }
    __device__ __forceinline__ void element(int64_t e, const int64_t *offset) const
    {
        y[e] = (O)F::of(a[offset[0]], b[offset[1]], s0);
    }
};

template <class F, class T, class O>
static __device__ __forceinline__ void binary_body(const ct_args &a, uint32_t block, void *)
{
    T s0 = T(0);
    if constexpr (sizeof(O) == sizeof(T) && T(0.5) != T(0)) s0 = scalar<T>(a, 0); /* integers have none */
    const binary<F, T, O> f = {static_cast<const T *>(a.p[0]), static_cast<const T *>(a.p[1]), static_cast<O *>(a.p[3]),
                               s0};
    for_vectors<2, binary<F, T, O>::width>(a, block, a.p[3], sizeof(O), f);
}

#define CT_UNARY(name, formula)                                                                                        \
    CT_GLOBAL(name##_f32, unary_body<name##_formula, float>)                                                           \
    CT_GLOBAL(name##_f64, unary_body<name##_formula, double>)                                                          \
    extern "C" const ct_cuda_kernel ct_cuda_##name = {                                                                 \
        ct_grid_elements, {CT_ENTRY(ct_##name##_f32), CT_ENTRY(ct_##name##_f64)}, {}, 0};
#define CT_BINARY(name, formula)                                                                                       \
    CT_GLOBAL(name##_f32, binary_body<name##_formula, float, float>)                                                   \
    CT_GLOBAL(name##_f64, binary_body<name##_formula, double, double>)                                                 \
    extern "C" const ct_cuda_kernel ct_cuda_##name = {                                                                 \
        ct_grid_elements, {CT_ENTRY(ct_##name##_f32), CT_ENTRY(ct_##name##_f64)}, {}, 0};
/* Comparisons of integers give f32. */
#define CT_COMPARE(name, formula)                                                                                      \
    CT_GLOBAL(name##_f32, binary_body<name##_formula, float, float>)                                                   \
    CT_GLOBAL(name##_f64, binary_body<name##_formula, double, double>)                                                 \
    CT_GLOBAL(name##_i32, binary_body<name##_formula, int32_t, float>)                                                 \
    CT_GLOBAL(name##_u8, binary_body<name##_formula, uint8_t, float>)                                                  \
    CT_GLOBAL(name##_i64, binary_body<name##_formula, int64_t, float>)                                                 \
    extern "C" const ct_cuda_kernel ct_cuda_##name = {ct_grid_elements,                                                \
                                                      {CT_ENTRY(ct_##name##_f32), CT_ENTRY(ct_##name##_f64),           \
                                                       CT_ENTRY(ct_##name##_i32), CT_ENTRY(ct_##name##_u8),            \
                                                       CT_ENTRY(ct_##name##_i64)},                                     \
                                                      {},                                                              \
                                                      0};
#include "../elementwise.def"

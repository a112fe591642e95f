/* cast, where, copy, fill, zero: kernels that move values and compute nothing. See move.cuh.
 *
 * Bytes: every operand once.
 */
#include "entry.cuh"
#include "move.cuh"

/* ---- cast: p[0] of the kernel's dtype to p[3] of dtype i[0] ----------------------------------------- */

/* Truncation toward zero; NaN is 0 and what does not fit saturates, which C++ leaves undefined. */
template <class O> struct bounds;
template <> struct bounds<int32_t> {
    static constexpr double low = -0x1p31 - 1, high = 0x1p31;
    static constexpr int64_t lowest = INT32_MIN, highest = INT32_MAX;
};
template <> struct bounds<uint8_t> {
    static constexpr double low = -1, high = 256;
    static constexpr int64_t lowest = 0, highest = 255;
};
template <> struct bounds<int64_t> {
    static constexpr double low = -0x1p63, high = 0x1p63;
    static constexpr int64_t lowest = INT64_MIN, highest = INT64_MAX;
};

template <class T> static constexpr bool is_float = T(0.5) != T(0);

template <class O, class T> static __device__ __forceinline__ O cast_to(T x)
{
    if constexpr (is_float<T> && !is_float<O>) {
        const double wide = (double)x, low = bounds<O>::low, high = bounds<O>::high;
        if (!(wide > low)) return wide != wide ? O(0) : (O)bounds<O>::lowest;
        return wide < high ? (O)(int64_t)wide : (O)bounds<O>::highest;
    } else {
        return (O)x;
    }
}

template <class T, class O> struct cast_formula {
    static constexpr int width = sizeof(T) == 8 || sizeof(O) == 8 ? 2 : 4;
    const T *x;
    O *y;
    __device__ __forceinline__ void vector(int64_t e, const int64_t *offset, const int64_t *stride) const
    {
        ct_vector<T, width> in;
        ct_vector<O, width> out;
        load(x + offset[0], stride[0], in);
#pragma unroll
        for (int i = 0; i < width; i++) out.at[i] = cast_to<O>(in.at[i]);
        *reinterpret_cast<ct_vector<O, width> *>(y + e) = out;
    }
    __device__ __forceinline__ void element(int64_t e, const int64_t *offset) const { y[e] = cast_to<O>(x[offset[0]]); }
};

template <class T, class O> static __device__ __forceinline__ void cast_as(const ct_args &a, uint32_t block)
{
    const cast_formula<T, O> f = {static_cast<const T *>(a.p[0]), static_cast<O *>(a.p[3])};
    for_vectors<1, cast_formula<T, O>::width>(a, block, a.p[3], sizeof(O), f);
}

template <class T> static __device__ __forceinline__ void cast_body(const ct_args &a, uint32_t block, void *)
{
    switch (a.i[0]) {
    case F32: cast_as<T, float>(a, block); break;
    case F64: cast_as<T, double>(a, block); break;
    case I32: cast_as<T, int32_t>(a, block); break;
    case U8: cast_as<T, uint8_t>(a, block); break;
    default: cast_as<T, int64_t>(a, block); break;
    }
}

/* ---- where: p[0] the condition, of dtype i[0]; p[1], p[2]; p[3] ------------------------------------- */

/* The condition is looked at as bits, without the sign of a float: all but zero is true, and
 * -0 is zero. So its dtypes are three. */
template <class C, class Bits> struct where_formula {
    static constexpr int width = sizeof(C) == 8 || sizeof(Bits) == 8 ? 2 : 4;
    const C *c;
    const Bits *a, *b;
    Bits *y;
    C mask;
    __device__ __forceinline__ void vector(int64_t e, const int64_t *offset, const int64_t *stride) const
    {
        ct_vector<C, width> condition;
        ct_vector<Bits, width> yes, no;
        load(c + offset[0], stride[0], condition);
        load(a + offset[1], stride[1], yes);
        load(b + offset[2], stride[2], no);
#pragma unroll
        for (int i = 0; i < width; i++) yes.at[i] = condition.at[i] & mask ? yes.at[i] : no.at[i];
        *reinterpret_cast<ct_vector<Bits, width> *>(y + e) = yes;
    }
    __device__ __forceinline__ void element(int64_t e, const int64_t *offset) const
    {
        y[e] = c[offset[0]] & mask ? a[offset[1]] : b[offset[2]];
    }
};

template <class C, class Bits> static __device__ __forceinline__ void where_as(const ct_args &a, uint32_t block)
{
    const bool is_signed = a.i[0] == F32 || a.i[0] == F64;
    const where_formula<C, Bits> f = {static_cast<const C *>(a.p[0]), static_cast<const Bits *>(a.p[1]),
                                      static_cast<const Bits *>(a.p[2]), static_cast<Bits *>(a.p[3]),
                                      is_signed ? (C)((C)~C(0) >> 1) : (C)~C(0)};
    for_vectors<3, where_formula<C, Bits>::width>(a, block, a.p[3], sizeof(Bits), f);
}

template <class Bits> static __device__ __forceinline__ void where_body(const ct_args &a, uint32_t block, void *)
{
    switch (a.i[0]) {
    case U8: where_as<uint8_t, Bits>(a, block); break;
    case F32:
    case I32: where_as<uint32_t, Bits>(a, block); break;
    default: where_as<uint64_t, Bits>(a, block); break;
    }
}

/* ---- table ------------------------------------------------------------------------------------------- */

CT_GLOBAL(cast_f32, cast_body<float>)
CT_GLOBAL(cast_f64, cast_body<double>)
CT_GLOBAL(cast_i32, cast_body<int32_t>)
CT_GLOBAL(cast_u8, cast_body<uint8_t>)
CT_GLOBAL(cast_i64, cast_body<int64_t>)
extern "C" const ct_cuda_kernel ct_cuda_cast = {
    ct_grid_elements,
    {CT_ENTRY(ct_cast_f32), CT_ENTRY(ct_cast_f64), CT_ENTRY(ct_cast_i32), CT_ENTRY(ct_cast_u8), CT_ENTRY(ct_cast_i64)},
    {},
    0};
CT_BITS_KERNEL(where, ct_grid_elements, where_body, 0)
CT_BITS_KERNEL(copy, ct_grid_elements, copy_body, 0)
CT_BITS_KERNEL(zero, ct_grid_elements, zero_body, 0)
CT_FLOAT_KERNEL(fill, ct_grid_elements, fill_body, ct_no_bytes, 0)

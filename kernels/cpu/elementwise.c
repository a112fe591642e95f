/* Elementwise kernels: the formulas of elementwise.def, over rows of the collapsed
 * iteration space. p[0..2] are inputs, p[3] the output.
 *
 * An input walks along a row with stride 1 or 0: each pairing has a loop of its own,
 * so that the compiler can vectorise it.
 */
#include "cpu.h"

#include "vmath.h"
#include <string.h>

/* ---- rows -------------------------------------------------------------------------------- */

typedef void row_fn(const ct_args *, void *y, const char *const in[CT_ARGS_INPUTS],
                    const int32_t stride[CT_ARGS_INPUTS], int64_t n);

/* Call `row` for every stretch of elements [lo, hi) that lies in one row. */
static inline void for_rows(const ct_args *a, uint32_t first, uint32_t last, int n_in,
                            const size_t size[CT_ARGS_INPUTS], size_t out_size, row_fn *row)
{
    int64_t lo = ct_first_element(first), hi = ct_last_element(last, a->n), at[CT_ARGS_DIMS];
    int inner = a->ndim - 1;
    for (int64_t d = inner, rest = lo; d >= 0; rest /= a->shape[d], d--) at[d] = rest % a->shape[d];
    int32_t stride[CT_ARGS_INPUTS] = {0};
    for (int j = 0; j < n_in; j++) stride[j] = a->stride[j][inner];
    while (lo < hi) {
        const char *in[CT_ARGS_INPUTS] = {0};
        for (int j = 0; j < n_in; j++) {
            int64_t offset = 0;
            for (int d = 0; d <= inner; d++) offset += at[d] * a->stride[j][d];
            in[j] = (const char *)a->p[j] + (size_t)offset * size[j];
        }
        int64_t n = ct_min(a->shape[inner] - at[inner], hi - lo);
        row(a, (char *)a->p[3] + (size_t)lo * out_size, in, stride, n);
        lo += n;
        at[inner] += n;
        for (int d = inner; d > 0 && at[d] == a->shape[d]; d--) at[d] = 0, at[d - 1]++;
    }
}

/* ---- formulas ------------------------------------------------------------------------------- */

/* The record's scalars; `flags` says how many it has. */
#define SCALARS(T, field)                                                                                              \
    const T s0 = (T)(r->flags > 0 ? r->scalar[0].field : 0), s1 = (T)(r->flags > 1 ? r->scalar[1].field : 0)

#define UNARY_BODY(name, T, suffix, field, formula)                                                                    \
    static void name##_row_##suffix(const ct_args *r, void *out, const char *const in[], const int32_t stride[],       \
                                    int64_t n)                                                                         \
    {                                                                                                                  \
        SCALARS(T, field);                                                                                             \
        (void)s0, (void)s1;                                                                                            \
        T *y = out;                                                                                                    \
        const T *px = (const T *)in[0];                                                                                \
        const int64_t step = stride[0];                                                                                \
        if (step == 1) _Pragma("omp simd") for (int64_t i = 0; i < n; i++)                                             \
            {                                                                                                          \
                const T x = px[i];                                                                                     \
                y[i] = (T)(formula);                                                                                   \
            }                                                                                                          \
        else                                                                                                           \
            for (int64_t i = 0; i < n; i++) {                                                                          \
                const T x = px[i * step];                                                                              \
                y[i] = (T)(formula);                                                                                   \
            }                                                                                                          \
    }                                                                                                                  \
    static void name##_##suffix(const ct_args *a, uint32_t first, uint32_t last)                                       \
    {                                                                                                                  \
        for_rows(a, first, last, 1, (const size_t[]){sizeof(T), 0, 0}, sizeof(T), name##_row_##suffix);                \
    }

/* O: the output's type. */
#define BINARY_BODY(name, T, O, suffix, field, formula)                                                                \
    static void name##_row_##suffix(const ct_args *r, void *out, const char *const in[], const int32_t stride[],       \
                                    int64_t n)                                                                         \
    {                                                                                                                  \
        SCALARS(T, field);                                                                                             \
        (void)s0, (void)s1;                                                                                            \
        O *y = out;                                                                                                    \
        const T *pa = (const T *)in[0], *pb = (const T *)in[1];                                                        \
        const int64_t sa = stride[0], sb = stride[1];                                                                  \
        if (sa == 1 && sb == 1) _Pragma("omp simd") for (int64_t i = 0; i < n; i++)                                    \
            {                                                                                                          \
                const T a = pa[i], b = pb[i];                                                                          \
                y[i] = (O)(formula);                                                                                   \
            }                                                                                                          \
        else if (sa == 1 && sb == 0) {                                                                                 \
            const T b = pb[0];                                                                                         \
            _Pragma("omp simd") for (int64_t i = 0; i < n; i++)                                                        \
            {                                                                                                          \
                const T a = pa[i];                                                                                     \
                y[i] = (O)(formula);                                                                                   \
            }                                                                                                          \
        } else if (sa == 0 && sb == 1) {                                                                               \
            const T a = pa[0];                                                                                         \
            _Pragma("omp simd") for (int64_t i = 0; i < n; i++)                                                        \
            {                                                                                                          \
                const T b = pb[i];                                                                                     \
                y[i] = (O)(formula);                                                                                   \
            }                                                                                                          \
        } else                                                                                                         \
            for (int64_t i = 0; i < n; i++) {                                                                          \
                const T a = pa[i * sa], b = pb[i * sb];                                                                \
                y[i] = (O)(formula);                                                                                   \
            }                                                                                                          \
    }                                                                                                                  \
    static void name##_##suffix(const ct_args *a, uint32_t first, uint32_t last)                                       \
    {                                                                                                                  \
        for_rows(a, first, last, 2, (const size_t[]){sizeof(T), sizeof(T), 0}, sizeof(O), name##_row_##suffix);        \
    }

#define K(c) ((T)(c))

#define T float
#define M(name) CT_F32_##name
#define CT_UNARY(name, formula) UNARY_BODY(name, float, f32, f32, formula)
#define CT_BINARY(name, formula) BINARY_BODY(name, float, float, f32, f32, formula)
#define CT_COMPARE(name, formula) BINARY_BODY(name, float, float, f32, f32, formula)
#include "../elementwise.def"
#undef T
#undef M
#undef CT_UNARY
#undef CT_BINARY
#undef CT_COMPARE

#define T double
#define M(name) name
#define CT_UNARY(name, formula) UNARY_BODY(name, double, f64, f64, formula)
#define CT_BINARY(name, formula) BINARY_BODY(name, double, double, f64, f64, formula)
#define CT_COMPARE(name, formula) BINARY_BODY(name, double, double, f64, f64, formula)
#include "../elementwise.def"
#undef T
#undef M
#undef CT_UNARY
#undef CT_BINARY
#undef CT_COMPARE

/* Comparisons of integers give f32. */
#define CT_UNARY(name, formula)
#define CT_BINARY(name, formula)
#define CT_COMPARE(name, formula)                                                                                      \
    BINARY_BODY(name, int32_t, float, i32, f64, formula)                                                               \
    BINARY_BODY(name, uint8_t, float, u8, f64, formula)                                                                \
    BINARY_BODY(name, int64_t, float, i64, f64, formula)
#include "../elementwise.def"
#undef CT_UNARY
#undef CT_BINARY
#undef CT_COMPARE

#define CT_UNARY(name, formula)                                                                                        \
    const ct_cpu_kernel CT_CPU(name) = {.grid = ct_grid_elements, .body = {[F32] = name##_f32, [F64] = name##_f64}};
#define CT_BINARY(name, formula) CT_UNARY(name, formula)
#define CT_COMPARE(name, formula)                                                                                      \
    const ct_cpu_kernel CT_CPU(name) = {                                                                               \
        .grid = ct_grid_elements,                                                                                      \
        .body = {[F32] = name##_f32, [F64] = name##_f64, [I32] = name##_i32, [U8] = name##_u8, [I64] = name##_i64}};
#include "../elementwise.def"
#undef CT_UNARY
#undef CT_BINARY
#undef CT_COMPARE

/* ---- cast: p[0] of the kernel's dtype to p[3] of dtype i[0] ------------------------------------ */

#define CAST_ROW(T, O)                                                                                                 \
    {                                                                                                                  \
        const T *x = (const T *)in[0];                                                                                 \
        O *y = out;                                                                                                    \
        for (int64_t i = 0; i < n; i++) y[i] = CAST_##O(x[i * step]);                                                  \
        break;                                                                                                         \
    }

/* Truncation toward zero; NaN and what does not fit saturate, which C leaves undefined. */
static inline int64_t truncated(double x, double low, double high, int64_t lowest, int64_t highest)
{
    if (!(x > low)) return x != x ? 0 : lowest;
    return x < high ? (int64_t)x : highest;
}
#define CAST_float(x) ((float)(x))
#define CAST_double(x) ((double)(x))
#define CAST_int32_t(x)                                                                                                \
    ((int32_t) _Generic((x), float                                                                                     \
                        : truncated((double)(x), -0x1p31 - 1, 0x1p31, INT32_MIN, INT32_MAX), double                    \
                        : truncated((double)(x), -0x1p31 - 1, 0x1p31, INT32_MIN, INT32_MAX), default                   \
                        : (x)))
#define CAST_uint8_t(x)                                                                                                \
    ((uint8_t) _Generic((x), float                                                                                     \
                        : truncated((double)(x), -1, 256, 0, 255), double                                              \
                        : truncated((double)(x), -1, 256, 0, 255), default                                             \
                        : (x)))
#define CAST_int64_t(x)                                                                                                \
    ((int64_t) _Generic((x), float                                                                                     \
                        : truncated((double)(x), -0x1p63, 0x1p63, INT64_MIN, INT64_MAX), double                        \
                        : truncated((double)(x), -0x1p63, 0x1p63, INT64_MIN, INT64_MAX), default                       \
                        : (x)))

#define CAST_BODY(T, suffix)                                                                                           \
    static void cast_row_##suffix(const ct_args *r, void *out, const char *const in[], const int32_t stride[],         \
                                  int64_t n)                                                                           \
    {                                                                                                                  \
        const int64_t step = stride[0];                                                                                \
        switch (r->i[0]) {                                                                                             \
        case F32: CAST_ROW(T, float)                                                                                   \
        case F64: CAST_ROW(T, double)                                                                                  \
        case I32: CAST_ROW(T, int32_t)                                                                                 \
        case U8: CAST_ROW(T, uint8_t)                                                                                  \
        case I64: CAST_ROW(T, int64_t)                                                                                 \
        default: break;                                                                                                \
        }                                                                                                              \
    }                                                                                                                  \
    static void cast_##suffix(const ct_args *a, uint32_t first, uint32_t last)                                         \
    {                                                                                                                  \
        static const size_t bytes[] = {[F32] = 4, [F64] = 8, [I32] = 4, [U8] = 1, [I64] = 8};                          \
        for_rows(a, first, last, 1, (const size_t[]){sizeof(T), 0, 0}, bytes[a->i[0]], cast_row_##suffix);             \
    }
CAST_BODY(float, f32)
CAST_BODY(double, f64)
CAST_BODY(int32_t, i32)
CAST_BODY(uint8_t, u8)
CAST_BODY(int64_t, i64)

const ct_cpu_kernel CT_CPU(cast) = {
    .grid = ct_grid_elements,
    .body = {[F32] = cast_f32, [F64] = cast_f64, [I32] = cast_i32, [U8] = cast_u8, [I64] = cast_i64}};

/* ---- where: p[0] the condition, of dtype i[0]; p[1], p[2] ---------------------------------------- */

#define WHERE_ROW(C)                                                                                                   \
    {                                                                                                                  \
        const C *c = (const C *)in[0];                                                                                 \
        for (int64_t i = 0; i < n; i++) y[i] = c[i * sc] != 0 ? a[i * sa] : b[i * sb];                                 \
        break;                                                                                                         \
    }

#define WHERE_BODY(T, suffix)                                                                                          \
    static void where_row_##suffix(const ct_args *r, void *out, const char *const in[], const int32_t stride[],        \
                                   int64_t n)                                                                          \
    {                                                                                                                  \
        const T *a = (const T *)in[1], *b = (const T *)in[2];                                                          \
        const int64_t sc = stride[0], sa = stride[1], sb = stride[2];                                                  \
        T *y = out;                                                                                                    \
        switch (r->i[0]) {                                                                                             \
        case F32: WHERE_ROW(float)                                                                                     \
        case F64: WHERE_ROW(double)                                                                                    \
        case I32: WHERE_ROW(int32_t)                                                                                   \
        case U8: WHERE_ROW(uint8_t)                                                                                    \
        case I64: WHERE_ROW(int64_t)                                                                                   \
        default: break;                                                                                                \
        }                                                                                                              \
    }                                                                                                                  \
    static void where_##suffix(const ct_args *a, uint32_t first, uint32_t last)                                        \
    {                                                                                                                  \
        static const size_t bytes[] = {[F32] = 4, [F64] = 8, [I32] = 4, [U8] = 1, [I64] = 8};                          \
        for_rows(a, first, last, 3, (const size_t[]){bytes[a->i[0]], sizeof(T), sizeof(T)}, sizeof(T),                 \
                 where_row_##suffix);                                                                                  \
    }
WHERE_BODY(uint8_t, bits8)
WHERE_BODY(uint32_t, bits32)
WHERE_BODY(uint64_t, bits64)

const ct_cpu_kernel CT_CPU(where) = {
    .grid = ct_grid_elements,
    .body = {
        [F32] = where_bits32, [F64] = where_bits64, [I32] = where_bits32, [U8] = where_bits8, [I64] = where_bits64}};

/* ---- copy: p[0] from element i[0] on, with any strides, to p[1] -------------------------------------- */

#define COPY_BODY(T, suffix)                                                                                           \
    static void copy_row_##suffix(const ct_args *r, void *out, const char *const in[], const int32_t stride[],         \
                                  int64_t n)                                                                           \
    {                                                                                                                  \
        (void)r;                                                                                                       \
        const T *x = (const T *)in[0];                                                                                 \
        T *y = out;                                                                                                    \
        const int64_t step = stride[0];                                                                                \
        if (step == 1)                                                                                                 \
            memmove(y, x, (size_t)n * sizeof(T));                                                                      \
        else                                                                                                           \
            for (int64_t i = 0; i < n; i++) y[i] = x[i * step];                                                        \
    }                                                                                                                  \
    static void copy_##suffix(const ct_args *a, uint32_t first, uint32_t last)                                         \
    {                                                                                                                  \
        ct_args moved = *a;                                                                                            \
        moved.p[0] = (T *)a->p[0] + a->i[0];                                                                           \
        moved.p[3] = a->p[1];                                                                                          \
        for_rows(&moved, first, last, 1, (const size_t[]){sizeof(T), 0, 0}, sizeof(T), copy_row_##suffix);             \
    }
COPY_BODY(uint8_t, bits8)
COPY_BODY(uint32_t, bits32)
COPY_BODY(uint64_t, bits64)

const ct_cpu_kernel CT_CPU(copy) = {
    .grid = ct_grid_elements,
    .body = {[F32] = copy_bits32, [F64] = copy_bits64, [I32] = copy_bits32, [U8] = copy_bits8, [I64] = copy_bits64}};

/* ---- fill: p[0] = the scalar; zero: p[0] = 0 ---------------------------------------------------------- */

#define FILL_BODY(T, suffix, field)                                                                                    \
    static void fill_##suffix(const ct_args *a, uint32_t first, uint32_t last)                                         \
    {                                                                                                                  \
        T *y = a->p[0];                                                                                                \
        const T value = (T)a->scalar[0].field;                                                                         \
        for (int64_t i = ct_first_element(first), end = ct_last_element(last, a->n); i < end; i++) y[i] = value;       \
    }
FILL_BODY(float, f32, f32)
FILL_BODY(double, f64, f64)

const ct_cpu_kernel CT_CPU(fill) = {.grid = ct_grid_elements, .body = {[F32] = fill_f32, [F64] = fill_f64}};

#define ZERO_BODY(bytes, suffix)                                                                                       \
    static void zero_##suffix(const ct_args *a, uint32_t first, uint32_t last)                                         \
    {                                                                                                                  \
        int64_t lo = ct_first_element(first), hi = ct_last_element(last, a->n);                                        \
        memset((char *)a->p[0] + lo * bytes, 0, (size_t)(hi - lo) * bytes);                                            \
    }
ZERO_BODY(1, bits8)
ZERO_BODY(4, bits32)
ZERO_BODY(8, bits64)

const ct_cpu_kernel CT_CPU(zero) = {
    .grid = ct_grid_elements,
    .body = {[F32] = zero_bits32, [F64] = zero_bits64, [I32] = zero_bits32, [U8] = zero_bits8, [I64] = zero_bits64}};

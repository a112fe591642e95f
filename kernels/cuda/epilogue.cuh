/* What follows a product: bias and activation, the gradient of an activation, or the sum with
 * what stood there. One functor each, chosen by the record once a block: so the product
 * itself is the same code, and has the same bits, whatever follows.
 */
#ifndef CUTAPE_KERNELS_CUDA_EPILOGUE_CUH
#define CUTAPE_KERNELS_CUDA_EPILOGUE_CUH

#include "formulas.cuh"
#include "iterate.cuh"

/* What a functor wants beside the product. */
enum ct_epilogue_operand {
    CT_EPILOGUE_NONE,
    CT_EPILOGUE_BIAS, /* p[3] [n], zero if there is none           */
    CT_EPILOGUE_Y,    /* p[5] [m,n], the output of the activation  */
    CT_EPILOGUE_OLD,  /* p[2] [m,n], what C held                   */
};

struct ct_plain {
    static constexpr int operand = CT_EPILOGUE_NONE;
    template <class T> static __device__ __forceinline__ T of(T product, T) { return product; }
};

struct ct_biased {
    static constexpr int operand = CT_EPILOGUE_BIAS;
    template <class T> static __device__ __forceinline__ T of(T product, T bias) { return product + bias; }
};

template <class F> struct ct_activated {
    static constexpr int operand = CT_EPILOGUE_BIAS;
    template <class T> static __device__ __forceinline__ T of(T product, T bias)
    {
        return F::template of<T>(product + bias, T(0.01), T(0));
    }
};

template <class F> struct ct_masked {
    static constexpr int operand = CT_EPILOGUE_Y;
    template <class T> static __device__ __forceinline__ T of(T product, T y)
    {
        return F::template of<T>(product, y, T(0.01));
    }
};

struct ct_added {
    static constexpr int operand = CT_EPILOGUE_OLD;
    template <class T> static __device__ __forceinline__ T of(T product, T old)
    {
        return accumulate_formula::of<T>(old, product, T(0));
    }
};

/* Calls run(functor). The numbers of `flags` are those of the public header. */
template <class Run> static __device__ __forceinline__ void ct_with_epilogue(const ct_args &a, Run run)
{
    enum { RELU = 1, TANH = 2, SIGMOID = 3, LEAKY_RELU = 6 };
    if (a.i[3] & CT_GEMM_ADD) return run(ct_added());
    if (a.i[3] & CT_GEMM_GRAD) {
        switch (a.flags) {
        case RELU: return run(ct_masked<act_grad_relu_formula>());
        case TANH: return run(ct_masked<act_grad_tanh_formula>());
        case SIGMOID: return run(ct_masked<act_grad_sigmoid_formula>());
        case LEAKY_RELU: return run(ct_masked<act_grad_leaky_relu_formula>());
        default: return run(ct_plain());
        }
    }
    switch (a.flags) {
    case RELU: return run(ct_activated<relu_formula>());
    case TANH: return run(ct_activated<tanh_formula>());
    case SIGMOID: return run(ct_activated<sigmoid_formula>());
    case LEAKY_RELU: return run(ct_activated<leaky_relu_formula>());
    default: return a.p[3] ? run(ct_biased()) : run(ct_plain());
    }
}

/* The other operands of n neighbours, from an element of C and its column on. */
template <class F, class T, int n>
static __device__ __forceinline__ ct_vector<T, n> ct_epilogue_other(const ct_args &a, int64_t at, int64_t column)
{
    ct_vector<T, n> other = {};
    if (F::operand == CT_EPILOGUE_Y) load(static_cast<const T *>(a.p[5]) + at, 1, other);
    if (F::operand == CT_EPILOGUE_OLD) load(static_cast<const T *>(a.p[2]) + at, 1, other);
    if (F::operand == CT_EPILOGUE_BIAS && a.p[3]) load(static_cast<const T *>(a.p[3]) + column, 1, other);
    return other;
}

/* For C that already holds the product, as a library left it: its n columns contiguous (ldc = n),
 * `size` elements in all. Vectors of 16 bytes where none crosses a row. Bytes: C twice, y once. */
template <class F, class T>
static __device__ __forceinline__ void ct_epilogue_in_place(const ct_args &a, uint32_t block, int64_t size)
{
    constexpr int width = 16 / (int)sizeof(T);
    const int64_t first = (int64_t)block * CT_BLOCK_ELEMENTS;
    const int count = size - first < CT_BLOCK_ELEMENTS ? (int)(size - first) : CT_BLOCK_ELEMENTS;
    const int64_t first_column = first % a.n;
    const bool whole = a.n % width == 0 && (uintptr_t)a.p[2] % 16 == 0;
    T *c = static_cast<T *>(a.p[2]) + first;
    for (int e = (int)threadIdx.x * width; e < count; e += CT_THREADS * width) {
        int64_t column = first_column + e;
        if (column >= a.n) column -= a.n;
        if (column >= a.n) column = (int64_t)((uint32_t)column % (uint32_t)a.n); /* then n is small */
        if (whole) {
            ct_vector<T, width> x = *reinterpret_cast<const ct_vector<T, width> *>(c + e);
            const ct_vector<T, width> other = ct_epilogue_other<F, T, width>(a, first + e, column);
#pragma unroll
            for (int i = 0; i < width; i++) x.at[i] = F::template of<T>(x.at[i], other.at[i]);
            *reinterpret_cast<ct_vector<T, width> *>(c + e) = x;
            continue;
        }
        for (int i = e; i < e + width && i < count; i++) {
            c[i] = F::template of<T>(c[i], ct_epilogue_other<F, T, 1>(a, first + i, column).at[0]);
            if (++column == a.n) column = 0;
        }
    }
}

#endif

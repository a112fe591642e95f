/* The formulas of elementwise.def as functors, `name_formula::of<T>(operands, scalars)`: for
 * the elementwise kernels and for what follows a product.
 */
#ifndef CUTAPE_KERNELS_CUDA_FORMULAS_CUH
#define CUTAPE_KERNELS_CUDA_FORMULAS_CUH

#include "cuda.cuh"

#define M(name) name
#define K(c) ((T)(c))

#define CT_UNARY(name, formula)                                                                                        \
    struct name##_formula {                                                                                            \
        template <class T> static __device__ __forceinline__ T of(T x, T s0, T s1)                                     \
        {                                                                                                              \
            (void)s0, (void)s1;                                                                                        \
            return (T)(formula);                                                                                       \
        }                                                                                                              \
    };
#define CT_BINARY(name, formula)                                                                                       \
    struct name##_formula {                                                                                            \
        template <class T> static __device__ __forceinline__ T of(T a, T b, T s0)                                      \
        {                                                                                                              \
            (void)s0;                                                                                                  \
            return (T)(formula);                                                                                       \
        }                                                                                                              \
    };
#define CT_COMPARE(name, formula)                                                                                      \
    struct name##_formula {                                                                                            \
        template <class T> static __device__ __forceinline__ bool of(T a, T b, T) { return formula; }                  \
    };
#include "../elementwise.def"
#undef CT_UNARY
#undef CT_BINARY
#undef CT_COMPARE
#undef M
#undef K

#endif

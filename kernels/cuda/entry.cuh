/* Table entries of kernels whose wrappers differ by dtype alone. `body` is a template. */
#ifndef CUTAPE_KERNELS_CUDA_ENTRY_CUH
#define CUTAPE_KERNELS_CUDA_ENTRY_CUH

#include "cuda.cuh"

enum { CT_GROUPED = 1 << F32 }; /* of ct_cuda_kernel.groups: see group.cu */

/* f32 and f64. `bytes<T>()`: of shared memory. */
#define CT_FLOAT_KERNEL(name, grid, body, bytes, groups)                                                               \
    CT_GLOBAL(name##_f32, body<float>)                                                                                 \
    CT_GLOBAL(name##_f64, body<double>)                                                                                \
    extern "C" const ct_cuda_kernel ct_cuda_##name = {                                                                 \
        grid, {CT_ENTRY(ct_##name##_f32), CT_ENTRY(ct_##name##_f64)}, {bytes<float>(), bytes<double>()}, groups};

/* All dtypes, by their size: for kernels that do not look at values. */
#define CT_BITS_KERNEL(name, grid, body, groups)                                                                       \
    CT_GLOBAL(name##_bits8, body<uint8_t>)                                                                             \
    CT_GLOBAL(name##_bits32, body<uint32_t>)                                                                           \
    CT_GLOBAL(name##_bits64, body<uint64_t>)                                                                           \
    extern "C" const ct_cuda_kernel ct_cuda_##name = {grid,                                                            \
                                                      {CT_ENTRY(ct_##name##_bits32), CT_ENTRY(ct_##name##_bits64),     \
                                                       CT_ENTRY(ct_##name##_bits32), CT_ENTRY(ct_##name##_bits8),      \
                                                       CT_ENTRY(ct_##name##_bits64)},                                  \
                                                      {},                                                              \
                                                      groups};

template <class T> static constexpr uint32_t ct_no_bytes() { return 0; }

#endif

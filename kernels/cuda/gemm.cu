/* Matrix products: our own, complete; and what follows a product that a library made. */
#include "gemm.cuh"

CT_GLOBAL(gemm_f32, gemm_body<float>)
CT_GLOBAL(gemm_f64, gemm_body<double>)

extern "C" const ct_cuda_kernel ct_cuda_gemm = {ct_gemm_grid,
                                                {CT_ENTRY(ct_gemm_f32), CT_ENTRY(ct_gemm_f64)},
                                                {ct_gemm_shared_bytes<float>(), ct_gemm_shared_bytes<double>()},
                                                1 << F32};

/* ---- the epilogue alone ------------------------------------------------------------------------------- */

static __host__ __device__ inline int64_t size_of_c(const ct_args &a)
{
    int64_t size = a.m * a.n;
    for (int d = 0; d < a.ndim; d++) size *= a.shape[d];
    return size;
}

template <class T> static __device__ __forceinline__ void gemm_epilogue_body(const ct_args &a, uint32_t block, void *)
{
    ct_with_epilogue(a, [&](auto functor) { ct_epilogue_in_place<decltype(functor), T>(a, block, size_of_c(a)); });
}

CT_GLOBAL(gemm_epilogue_f32, gemm_epilogue_body<float>)
CT_GLOBAL(gemm_epilogue_f64, gemm_epilogue_body<double>)

extern "C" const void *const ct_cuda_gemm_epilogue[N_DTYPES] = {CT_ENTRY(ct_gemm_epilogue_f32),
                                                                CT_ENTRY(ct_gemm_epilogue_f64)};

extern "C" uint32_t ct_cuda_gemm_epilogue_blocks(const ct_args *a)
{
    return ct_blocks_of(size_of_c(*a), CT_BLOCK_ELEMENTS);
}

/* advance: the step counter of the random kernels goes on by one. p: counter (i64). One block. */
#ifndef CUTAPE_KERNELS_CUDA_RANDOM_CUH
#define CUTAPE_KERNELS_CUDA_RANDOM_CUH

#include "cuda.cuh"

static __device__ __forceinline__ void advance_body(const ct_args &a, uint32_t, void *)
{
    if (threadIdx.x == 0) ++*static_cast<int64_t *>(a.p[0]);
}

#endif

/* The table of all CUDA kernels. */
#include "cuda.cuh"

/* An op that the user added: the device calls its launcher. */
extern "C" const ct_cuda_kernel ct_cuda_custom = {};

extern "C" const ct_cuda_kernel *const ct_cuda_kernels[CT_KERNEL_COUNT] = {
#define CT_KERNEL(name) &ct_cuda_##name,
#include "../kernels.def"
#undef CT_KERNEL
};

/* set_scalars: new values into the scalar table of a program. */
#include "cuda.cuh"

extern "C" __global__ void __launch_bounds__(CT_THREADS) ct_set_scalars(const __grid_constant__ ct_scalar_batch batch)
{
    if (threadIdx.x < batch.n) batch.table[batch.slot[threadIdx.x]] = batch.value[threadIdx.x];
}

extern "C" const void *const ct_cuda_set_scalars = CT_ENTRY(ct_set_scalars);

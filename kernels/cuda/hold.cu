/* hold: keeps a stream busy for a while, so that what is queued behind it meets no host. */
#include "cuda.cuh"

extern "C" __global__ void __launch_bounds__(CT_THREADS) ct_hold(const __grid_constant__ ct_hold_time time)
{
    for (uint32_t i = 0; threadIdx.x == 0 && i < time.microseconds; i++) __nanosleep(1000);
}

extern "C" const void *const ct_cuda_hold = CT_ENTRY(ct_hold);

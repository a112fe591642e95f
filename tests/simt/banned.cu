/* What must not compile, by number; 0 is without any of it. */
#include <cuda_runtime.h>

struct Parameter {
    float *x;
};

__global__ void kernel(const __grid_constant__ Parameter p)
{
#if BANNED == 0
    p.x[threadIdx.x] = 0;
#elif BANNED == 1 /* tells which lanes happen to be together */
    p.x[threadIdx.x] = float(__activemask());
#elif BANNED == 2 /* the order of additions is not fixed */
    atomicAdd(p.x, 1.0f);
#elif BANNED == 3 /* a load that may not see what the launch writes */
    p.x[0] = __ldg(p.x);
#endif
}

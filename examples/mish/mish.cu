/* The op mish on CUDA. The launcher is called when a program is played first and when it is captured, not at
 * replays: it launches on the stream it is given, and does nothing else. */
#include "mish.h"

#include <cuda_runtime.h>

struct mish_args {
    const void *x;
    void *y;
    int64_t n;
};

static __device__ float softplus(float x) { return fmaxf(x, 0.0f) + log1pf(expf(-fabsf(x))); }
static __device__ double softplus(double x) { return fmax(x, 0.0) + log1p(exp(-fabs(x))); }

/* y may be x: the op is elementwise. One thread an element. */
template <class T> __global__ void mish(const mish_args a)
{
    const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i >= a.n) return;
    const T x = static_cast<const T *>(a.x)[i];
    static_cast<T *>(a.y)[i] = x * tanh(softplus(x));
}

#define THREADS 256

extern "C" int mish_cuda(const ct_op_call *call, void *stream)
{
    mish_args args = {call->inputs[0].data, call->outputs[0].data, call->outputs[0].numel};
    void *arguments[] = {&args};
    const bool f32 = call->outputs[0].dtype == CT_F32;
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(unsigned((args.n + THREADS - 1) / THREADS));
    config.blockDim = dim3(THREADS);
    config.stream = static_cast<cudaStream_t>(stream);
    const void *kernel =
        f32 ? reinterpret_cast<const void *>(mish<float>) : reinterpret_cast<const void *>(mish<double>);
    return cudaLaunchKernelExC(&config, kernel, arguments);
}

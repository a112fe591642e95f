/* Ops of the tests' own on the stand-in: the launcher of the example mish, and that of `split`, which has two
 * outputs, a scalar and an attribute. Tests find the launchers by dlsym. */
#include "../../examples/mish/mish.cu"

struct split_args {
    const float *x;
    float *scaled, *shifted; /* NULL: not wanted */
    const ct_op_scalar *factor;
    int64_t shift, n;
};

static __global__ void split(const split_args a)
{
    const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i >= a.n) return;
    if (a.scaled) a.scaled[i] = a.x[i] * a.factor->f32;
    if (a.shifted) a.shifted[i] = a.x[i] + float(a.shift);
}

extern "C" int split_cuda(const ct_op_call *call, void *stream)
{
    const ct_op_tensor *in = call->inputs, *out = call->outputs;
    split_args args = {static_cast<const float *>(in[0].data),
                       static_cast<float *>(out[0].data),
                       static_cast<float *>(out[1].data),
                       call->scalars,
                       call->attrs[0],
                       in[0].numel};
    void *arguments[] = {&args};
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(unsigned((args.n + THREADS - 1) / THREADS));
    config.blockDim = dim3(THREADS);
    config.stream = static_cast<cudaStream_t>(stream);
    return cudaLaunchKernelExC(&config, reinterpret_cast<const void *>(split), arguments);
}

extern "C" int failing_cuda(const ct_op_call *, void *) { return cudaErrorInvalidConfiguration; }

/* The stand-in gets to know kernels by name and type. */
[[maybe_unused]] static const void *const known[] = {CT_ENTRY(mish<float>), CT_ENTRY(mish<double>), CT_ENTRY(split)};

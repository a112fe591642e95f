// The kernels that the microbenchmarks put into their graphs.
#include "micro.h"

namespace
{

constexpr unsigned kThreads = 256;

// Programmatic dependent launch came with compute capability 9.0; before it, early nodes start like others.
template <bool early> __device__ void wait_for_the_node_before()
{
#if __CUDA_ARCH__ >= 900
    if (early) {
        cudaTriggerProgrammaticLaunchCompletion(); // let the next one come, which then waits here
        cudaGridDependencySynchronize();
    }
#endif
}

template <bool early> __global__ void __launch_bounds__(kThreads) nothing(const __grid_constant__ ct_args args)
{
    wait_for_the_node_before<early>();
    if (args.n < 0) *static_cast<float *>(args.p[0]) = 0; // never; keeps the argument in use
}

template <bool early> __global__ void __launch_bounds__(kThreads) add_one(const __grid_constant__ ct_args args)
{
    wait_for_the_node_before<early>();
    float *x = static_cast<float *>(args.p[0]);
    const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
    if (i < args.n) x[i] += 1;
}

__global__ void busy(int64_t cycles)
{
    const int64_t start = clock64();
    while (clock64() - start < cycles) {
    }
}

const void *kernel_of(Work work, bool early)
{
    if (work == Work::nothing) return reinterpret_cast<const void *>(early ? nothing<true> : nothing<false>);
    return reinterpret_cast<const void *>(early ? add_one<true> : add_one<false>);
}

} // namespace

void warm_up()
{
    load_kernel(nothing<false>);
    load_kernel(nothing<true>);
    load_kernel(add_one<false>);
    load_kernel(add_one<true>);
    load_kernel(busy);
    hold(nullptr, 300e3);
    CHECK(cudaDeviceSynchronize());
}

void hold(cudaStream_t stream, double us) { enqueue_busy(stream, us); }

void enqueue_busy(cudaStream_t stream, double us)
{
    static const double khz = attribute_of_device(cudaDevAttrClockRate);
    busy<<<1, 1, 0, stream>>>(static_cast<int64_t>(us * khz / 1e3));
    CHECK(cudaGetLastError());
}

void enqueue_chain(cudaStream_t stream, Work work, int n, float *x, bool early)
{
    static_assert(sizeof(ct_args) >= 256, "as large as what the runtime's kernels get");
    ct_args args = {};
    args.p[0] = x;
    args.n = kElements;
    void *arguments[] = {&args};

    cudaLaunchAttribute attribute = {};
    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(work == Work::nothing ? 1u : static_cast<unsigned>((kElements + kThreads - 1) / kThreads));
    config.blockDim = dim3(kThreads);
    config.stream = stream;
    config.attrs = &attribute;
    for (int i = 0; i < n; i++) {
        config.numAttrs = early && i > 0 ? 1 : 0; // the first one waits for all that stands before the chain
        CHECK(cudaLaunchKernelExC(&config, kernel_of(work, early), arguments));
    }
}

bool all_are(const Buffer<float> &x, double value)
{
    for (float v : x.read())
        if (static_cast<double>(v) != value) return false;
    return true;
}

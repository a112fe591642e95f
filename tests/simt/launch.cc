/* Launches: kernels by their address, the limits of a launch, and the grid, block by block in an
 * order by chance. The parameter is copied when the launch is asked for. Shared memory is full
 * of NaN for every block, and ends exactly where the launch said.
 */
#include "block.h"
#include "device.h"
#include "error.h"
#include "fiber.h"
#include "graph.h"
#include "memory.h"
#include "random.h"
#include "stream.h"

#include <algorithm>
#include <cstring>
#include <map>

/* What kernels declare; behind the most that a block may have lies what no kernel may touch. */
enum { WATCHED_BYTES = 4096 };
alignas(128) __attribute__((visibility("hidden"))) unsigned char ct_shared[simt::MAX_SHARED_BYTES + WATCHED_BYTES];

namespace simt
{

static std::map<const void *, Kernel> &kernels()
{
    static std::map<const void *, Kernel> all; /* filled by the initialisers of kernel files */
    return all;
}

const void *add_kernel(const char *name, const void *kernel, size_t parameter_bytes, Invoke *invoke)
{
    kernels()[kernel] = {name, kernel, parameter_bytes, invoke, false};
    return kernel;
}

/* ---- the grid ------------------------------------------------------------------------------------ */

static void begin_shared(size_t bytes)
{
    memset(ct_shared, 0xFF, bytes + WATCHED_BYTES);
    ASAN_POISON_MEMORY_REGION(ct_shared + bytes, sizeof ct_shared - bytes);
}

/* The kernel must not have written behind its shared memory. */
static cudaError_t end_shared(const Kernel &kernel, size_t bytes)
{
    ASAN_UNPOISON_MEMORY_REGION(ct_shared, sizeof ct_shared);
    for (size_t i = 0; i < WATCHED_BYTES; i++) {
        if (ct_shared[bytes + i] == 0xFF) continue;
        report("write behind the %zu bytes of shared memory of %s", bytes, kernel.name.c_str());
        return cudaErrorIllegalAddress;
    }
    return cudaSuccess;
}

struct Launch {
    Kernel *kernel;
    unsigned blocks, threads;
    size_t shared_bytes;
    std::shared_ptr<void> parameter;
};

static cudaError_t run_grid(const Launch &launch)
{
    std::vector<unsigned> order(launch.blocks);
    for (unsigned i = 0; i < launch.blocks; i++) order[i] = i;
    gridDim = launch.blocks;
    blockDim = launch.threads;
    for (unsigned left = launch.blocks; left > 0; left--) {
        std::swap(order[random_below(left)], order[left - 1]);
        begin_shared(launch.shared_bytes);
        cudaError_t error = run_block(*launch.kernel, launch.parameter.get(), order[left - 1], launch.threads);
        const cudaError_t overrun = end_shared(*launch.kernel, launch.shared_bytes);
        if (error || overrun) return error ? error : overrun;
    }
    return cudaSuccess;
}

/* ---- the call ------------------------------------------------------------------------------------ */

static cudaError_t check_config(const cudaLaunchConfig_t &config)
{
    const dim3 &grid = config.gridDim, &block = config.blockDim;
    if (config.numAttrs != 0) return cudaErrorNotSupported;
    if (grid.x == 0 || grid.x > MAX_GRID_X || block.x == 0 || block.x > MAX_THREADS)
        return cudaErrorInvalidConfiguration;
    if (grid.y != 1 || grid.z != 1 || block.y != 1 || block.z != 1) return cudaErrorInvalidConfiguration;
    return config.dynamicSmemBytes > MAX_SHARED_BYTES ? cudaErrorInvalidValue : cudaSuccess;
}

/* Loading a kernel at its first launch allocates, which a capture forbids. */
static cudaError_t check_loaded(Kernel &kernel, CUstream_st *stream)
{
    if (!stream->capture) {
        kernel.launched = true;
        return cudaSuccess;
    }
    if (kernel.launched) return cudaSuccess;
    report("the first launch of %s is in a capture", kernel.name.c_str());
    return invalidate(stream->capture, cudaErrorStreamCaptureUnsupported);
}

/* Words of the parameter that are addresses of device memory. */
static std::vector<const void *> addresses_in(const void *parameter, size_t bytes)
{
    std::vector<const void *> found;
    for (size_t at = 0; at + sizeof(void *) <= bytes; at += sizeof(void *)) {
        const void *word;
        memcpy(&word, static_cast<const char *>(parameter) + at, sizeof word);
        if (is_device_address(word)) found.push_back(word);
    }
    return found;
}

static TaskPtr make_task(Kernel &kernel, const cudaLaunchConfig_t &config, const void *parameter, int device)
{
    const size_t bytes = kernel.parameter_bytes, aligned = (bytes + 127) / 128 * 128;
    const std::shared_ptr<void> copy(std::aligned_alloc(128, aligned), std::free);
    memcpy(copy.get(), parameter, bytes);
    const Launch launch = {&kernel, config.gridDim.x, config.blockDim.x, config.dynamicSmemBytes, copy};
    const auto run = [=] {
        if (const cudaError_t error = run_grid(launch)) fault(device, error);
    };
    return std::make_shared<const Task>(
        Task{cudaGraphNodeTypeKernel, " [" + kernel.name + "]", addresses_in(copy.get(), bytes), run});
}

} // namespace simt

using namespace simt;

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t *config, const void *func, void **args)
{
    return call(PLAIN, [&] {
        if (!config || !args || !args[0]) return cudaErrorInvalidValue;
        const auto found = kernels().find(func);
        if (found == kernels().end()) return cudaErrorInvalidDeviceFunction;
        CUstream_st *stream = stream_of(config->stream);
        if (!stream || stream->device != current_device()) return cudaErrorInvalidResourceHandle;
        if (const cudaError_t error = check_config(*config)) return error;
        if (const cudaError_t error = check_loaded(found->second, stream)) return error;
        return submit(stream, make_task(found->second, *config, args[0], stream->device));
    });
}

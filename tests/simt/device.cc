/* Which devices there are, what they can do, and which one is current. They have few
 * multiprocessors, and not equally many, so that a grid that follows them is soon cut short. */
#include "device.h"

#include "error.h"
#include "memory.h"
#include "simt.h"

#include "cuda_profiler_api.h"

#include <cstring>

namespace simt
{

static thread_local int current;
size_t objects;

int current_device() { return current; }

static int multiprocessors(int device) { return device == 0 ? 4 : 3; }

enum { COMPUTE_MAJOR = 9, COMPUTE_MINOR = 0, L2_BYTES = 1 << 20 };

} // namespace simt

using namespace simt;

cudaError_t cudaGetDeviceCount(int *count)
{
    return call(HARMLESS, [&] {
        *count = DEVICES;
        return cudaSuccess;
    });
}

cudaError_t cudaGetDevice(int *device)
{
    return call(HARMLESS, [&] {
        *device = current;
        return cudaSuccess;
    });
}

cudaError_t cudaSetDevice(int device)
{
    return call(HARMLESS, [&] {
        if (device < 0 || device >= DEVICES) return cudaErrorInvalidDevice;
        current = device;
        return fault_of(device);
    });
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *prop, int device)
{
    return call(PLAIN, [&] {
        if (device < 0 || device >= DEVICES) return cudaErrorInvalidDevice;
        memset(prop, 0, sizeof *prop);
        strcpy(prop->name, "SIMT stand-in");
        prop->totalGlobalMem = memory_limit();
        prop->sharedMemPerBlock = MAX_SHARED_BYTES;
        prop->warpSize = WARP_SIZE;
        prop->maxThreadsPerBlock = MAX_THREADS;
        prop->maxThreadsPerMultiProcessor = 2 * MAX_THREADS;
        prop->major = COMPUTE_MAJOR;
        prop->minor = COMPUTE_MINOR;
        prop->multiProcessorCount = multiprocessors(device);
        prop->l2CacheSize = L2_BYTES;
        return cudaSuccess;
    });
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attr, int device)
{
    return call(PLAIN, [&] {
        if (device < 0 || device >= DEVICES) return cudaErrorInvalidDevice;
        switch (attr) {
        case cudaDevAttrMaxThreadsPerBlock: *value = MAX_THREADS; return cudaSuccess;
        case cudaDevAttrMaxGridDimX: *value = MAX_GRID_X; return cudaSuccess;
        case cudaDevAttrMaxSharedMemoryPerBlock: *value = MAX_SHARED_BYTES; return cudaSuccess;
        case cudaDevAttrWarpSize: *value = WARP_SIZE; return cudaSuccess;
        case cudaDevAttrMultiProcessorCount: *value = multiprocessors(device); return cudaSuccess;
        case cudaDevAttrL2CacheSize: *value = L2_BYTES; return cudaSuccess;
        case cudaDevAttrComputeCapabilityMajor: *value = COMPUTE_MAJOR; return cudaSuccess;
        case cudaDevAttrComputeCapabilityMinor: *value = COMPUTE_MINOR; return cudaSuccess;
        }
        return cudaErrorInvalidValue;
    });
}

cudaError_t cudaDriverGetVersion(int *driverVersion)
{
    return call(HARMLESS, [&] {
        *driverVersion = CUDART_VERSION;
        return cudaSuccess;
    });
}

cudaError_t cudaRuntimeGetVersion(int *runtimeVersion)
{
    return call(HARMLESS, [&] {
        *runtimeVersion = CUDART_VERSION;
        return cudaSuccess;
    });
}

static bool profiler_on;

cudaError_t cudaProfilerStart(void)
{
    return call(PLAIN, [&] {
        profiler_on = true;
        return cudaSuccess;
    });
}

cudaError_t cudaProfilerStop(void)
{
    return call(RELEASES, [&] {
        profiler_on = false;
        return cudaSuccess;
    });
}

int simt_profiler_is_on(void) { return profiler_on; }

size_t simt_objects(void)
{
    const std::lock_guard<std::recursive_mutex> guard(simt::mutex);
    return objects;
}

/* Copies and fills. Host memory has to be pinned: a pageable copy is no asynchronous one, and
 * not allowed in a capture. Bounds are exact, and checked again when the work is done.
 */
#include "error.h"
#include "memory.h"
#include "stream.h"

#include <cstring>

using namespace simt;

static bool is_device_side(const void *p) { return is_device_address(p); }

/* One side of a copy, when it is done. */
static bool check_side(const void *p, size_t bytes, bool on_device, int device)
{
    if (on_device ? is_device_memory(p, bytes, device) : is_pinned_memory(p, bytes)) return true;
    report("a copy or fill of %zu bytes at %p, which is not %s%s", bytes, p,
           on_device ? "memory of its device" : "pinned memory", describe(p).c_str());
    fault(device, cudaErrorIllegalAddress);
    return false;
}

static bool fits(cudaMemcpyKind kind, bool to_device, bool from_device)
{
    switch (kind) {
    case cudaMemcpyHostToDevice: return to_device && !from_device;
    case cudaMemcpyDeviceToHost: return !to_device && from_device;
    case cudaMemcpyDeviceToDevice: return to_device && from_device;
    case cudaMemcpyDefault: return to_device || from_device;
    case cudaMemcpyHostToHost: return false;
    }
    return false;
}

/* One side of a copy, when it is asked for. */
static cudaError_t check_now(const void *p, size_t bytes, bool on_device, int device)
{
    if (on_device) return is_device_memory(p, bytes, device) ? cudaSuccess : cudaErrorInvalidValue;
    if (is_pinned_memory(p, bytes)) return cudaSuccess;
    report("an asynchronous copy of %zu bytes at %p, which is not pinned memory", bytes, p);
    return cudaErrorInvalidValue;
}

cudaError_t cudaMemcpyAsync(void *dst, const void *src, size_t count, enum cudaMemcpyKind kind, cudaStream_t handle)
{
    return call(PLAIN, [&] {
        CUstream_st *stream = stream_of(handle);
        if (!stream) return cudaErrorInvalidResourceHandle;
        const bool to_device = is_device_side(dst), from_device = is_device_side(src);
        if (count == 0) return cudaSuccess;
        if (!dst || !src || !fits(kind, to_device, from_device)) return cudaErrorInvalidValue;
        const int device = stream->device;
        if (const cudaError_t error = check_now(dst, count, to_device, device)) return error;
        if (const cudaError_t error = check_now(src, count, from_device, device)) return error;
        const auto run = [=] {
            if (check_side(dst, count, to_device, device) && check_side(src, count, from_device, device))
                memmove(dst, src, count);
        };
        return submit(stream, std::make_shared<const Task>(Task{cudaGraphNodeTypeMemcpy, " [copy]", {dst, src}, run}));
    });
}

cudaError_t cudaMemsetAsync(void *devPtr, int value, size_t count, cudaStream_t handle)
{
    return call(PLAIN, [&] {
        CUstream_st *stream = stream_of(handle);
        if (!stream) return cudaErrorInvalidResourceHandle;
        if (count == 0) return cudaSuccess;
        const int device = stream->device;
        if (!is_device_memory(devPtr, count, device)) return cudaErrorInvalidValue;
        const auto run = [=] {
            if (check_side(devPtr, count, true, device)) memset(devPtr, value, count);
        };
        return submit(stream, std::make_shared<const Task>(Task{cudaGraphNodeTypeMemset, " [fill]", {devPtr}, run}));
    });
}

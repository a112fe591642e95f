/* The CUDA device: opening, memory, and copies between host and device. Programs are in
 * cuda_program.c.
 *
 * All work is ordered on one stream, the caller's or one of our own. Every call makes the
 * device current and puts the caller's back. A fault stands in CUDA's runtime: every later
 * call meets it, and closing passes over it.
 */
#include "device/cuda.h"

#include "cuda/cuda.h"

#include <stdio.h>
#include <string.h>

/* ---- errors ----------------------------------------------------------------------------------- */

ct_status ct_cuda_failed(cuda_device *d, const char *call, cudaError_t error)
{
    (void)cudaGetLastError(); /* the caller's own checks are not to meet it */
    snprintf(d->base.message, sizeof d->base.message, "%.*s: %s (%s)", (int)strcspn(call, "("), call,
             cudaGetErrorName(error), cudaGetErrorString(error));
    return error == cudaErrorMemoryAllocation ? CT_ERR_MEMORY : CT_ERR_DEVICE;
}

/* ---- the current device ----------------------------------------------------------------------- */

/* Makes ours current and tells which was: for leave. */
static ct_status enter(cuda_device *d, int *before)
{
    d->base.failed = -1;
    *before = d->index;
    CT_TRY(d, cudaGetDevice(before));
    if (*before != d->index) CT_TRY(d, cudaSetDevice(d->index));
    return CT_OK;
}

static void leave(const cuda_device *d, int before)
{
    if (before != d->index) (void)cudaSetDevice(before);
}

/* A function of the seam: a call on the device d, with that current. */
#define WITH_DEVICE(name, call, ...)                                                                                   \
    static ct_status name(ct_device *device, __VA_ARGS__)                                                              \
    {                                                                                                                  \
        cuda_device *d = (cuda_device *)device;                                                                        \
        int before;                                                                                                    \
        ct_status status = enter(d, &before);                                                                          \
        if (!status) status = call;                                                                                    \
        leave(d, before);                                                                                              \
        return status;                                                                                                 \
    }

/* ---- memory ------------------------------------------------------------------------------------- */

static ct_status alloc_memory(cuda_device *d, size_t bytes, void **out)
{
    *out = NULL;
    CT_TRY(d, cudaMalloc(out, bytes ? bytes : 1));
    return CT_OK;
}
WITH_DEVICE(alloc, alloc_memory(d, bytes, out), size_t bytes, void **out)

static void release(ct_device *device, void *memory)
{
    cuda_device *d = (cuda_device *)device;
    int before;
    (void)enter(d, &before);
    (void)cudaStreamSynchronize(d->stream); /* it may be in use until then; the side stream is joined to this one */
    (void)cudaFree(memory);
    (void)cudaGetLastError();
    leave(d, before);
}

static ct_status check_pointer(cuda_device *d, const void *memory)
{
    struct cudaPointerAttributes found;
    CT_TRY(d, cudaPointerGetAttributes(&found, memory));
    const bool on_device = found.type == cudaMemoryTypeDevice || found.type == cudaMemoryTypeManaged;
    if (on_device && found.device == d->index) return CT_OK;
    snprintf(d->base.message, sizeof d->base.message, "%p is %s; wanted is memory of CUDA device %d", memory,
             on_device ? "memory of another device" : "host memory", d->index);
    return CT_ERR_ARGUMENT;
}

WITH_DEVICE(adopt, check_pointer(d, memory), const void *memory)

/* ---- copies ------------------------------------------------------------------------------------- */

#define CHUNK_BYTES ((size_t)1 << 20)

static ct_status open_staging(cuda_device *d)
{
    CT_TRY(d, cudaHostAlloc((void **)&d->staging.memory, CT_STAGING_CHUNKS * CHUNK_BYTES, cudaHostAllocDefault));
    for (int i = 0; i < CT_STAGING_CHUNKS; i++)
        CT_TRY(d, cudaEventCreateWithFlags(&d->staging.free[i], cudaEventDisableTiming));
    return CT_OK;
}

static char *chunk(const cuda_device *d, size_t i) { return d->staging.memory + i % CT_STAGING_CHUNKS * CHUNK_BYTES; }
static cudaEvent_t chunk_free(const cuda_device *d, size_t i) { return d->staging.free[i % CT_STAGING_CHUNKS]; }
static size_t chunk_bytes(size_t i, size_t bytes)
{
    const size_t left = bytes - i * CHUNK_BYTES;
    return left < CHUNK_BYTES ? left : CHUNK_BYTES;
}

static ct_status copy_up(cuda_device *d, char *to, const char *from, size_t bytes)
{
    for (size_t i = 0; i * CHUNK_BYTES < bytes; i++) {
        CT_TRY(d, cudaEventSynchronize(chunk_free(d, i)));
        memcpy(chunk(d, i), from + i * CHUNK_BYTES, chunk_bytes(i, bytes));
        CT_TRY(d, cudaMemcpyAsync(to + i * CHUNK_BYTES, chunk(d, i), chunk_bytes(i, bytes), cudaMemcpyHostToDevice,
                                  d->stream));
        CT_TRY(d, cudaEventRecord(chunk_free(d, i), d->stream));
    }
    return CT_OK;
}

/* Copies run ahead by as many chunks as there are. */
static ct_status copy_down(cuda_device *d, char *to, const char *from, size_t bytes)
{
    const size_t n = (bytes + CHUNK_BYTES - 1) / CHUNK_BYTES;
    for (size_t i = 0; i < n + CT_STAGING_CHUNKS; i++) {
        if (i >= CT_STAGING_CHUNKS) {
            const size_t done = i - CT_STAGING_CHUNKS;
            CT_TRY(d, cudaEventSynchronize(chunk_free(d, done)));
            if (done < n) memcpy(to + done * CHUNK_BYTES, chunk(d, done), chunk_bytes(done, bytes));
        }
        if (i >= n) continue;
        CT_TRY(d, cudaMemcpyAsync(chunk(d, i), from + i * CHUNK_BYTES, chunk_bytes(i, bytes), cudaMemcpyDeviceToHost,
                                  d->stream));
        CT_TRY(d, cudaEventRecord(chunk_free(d, i), d->stream));
    }
    return CT_OK;
}

WITH_DEVICE(upload, copy_up(d, to, from, bytes), void *to, const void *from, size_t bytes)

static ct_status wait_for_stream(cuda_device *d)
{
    CT_TRY(d, cudaStreamSynchronize(d->stream));
    return CT_OK;
}

static ct_status wait_for(ct_device *device)
{
    cuda_device *d = (cuda_device *)device;
    int before;
    ct_status status = enter(d, &before);
    if (!status) status = wait_for_stream(d);
    leave(d, before);
    return status;
}

static ct_status copy_down_or_wait(cuda_device *d, void *to, const void *from, size_t bytes)
{
    return bytes ? copy_down(d, to, from, bytes) : wait_for_stream(d);
}
WITH_DEVICE(download, copy_down_or_wait(d, to, from, bytes), void *to, const void *from, size_t bytes)

static ct_status fill_memory(cuda_device *d, void *to, int byte, size_t bytes)
{
    if (bytes) CT_TRY(d, cudaMemsetAsync(to, byte, bytes, d->stream));
    return CT_OK;
}

WITH_DEVICE(fill, fill_memory(d, to, byte, bytes), void *to, int byte, size_t bytes)

/* ---- programs ------------------------------------------------------------------------------------- */

static bool supports(const ct_device *device, uint16_t kernel, int32_t dtype)
{
    (void)device;
    return ct_cuda_kernels[kernel]->function[dtype] != NULL;
}

WITH_DEVICE(prepare, ct_cuda_prepare(d, code), ct_code *code)
WITH_DEVICE(play, ct_cuda_play(d, code, n, changes, n_changes), ct_code *code, int64_t n,
            const ct_scalar_change *changes, uint32_t n_changes)
WITH_DEVICE(play_launch, ct_cuda_play_launch(d, code, i), ct_code *code, uint32_t i)
WITH_DEVICE(play_timed, ct_cuda_play_timed(d, code, times), ct_code *code, ct_launch_time *times)
WITH_DEVICE(capture_range, ct_cuda_capture_range(d, open), bool open)

static void retire(ct_device *device, ct_code *code)
{
    cuda_device *d = (cuda_device *)device;
    int before;
    (void)enter(d, &before);
    ct_cuda_retire(d, code);
    leave(d, before);
}

/* ---- open and close --------------------------------------------------------------------------------- */

static void close_device(ct_device *device)
{
    cuda_device *d = (cuda_device *)device;
    int before;
    (void)enter(d, &before);
    if (d->stream) (void)cudaStreamSynchronize(d->stream);
    if (d->library) ct_cublaslt_close(d->library);
    ct_cuda_timed_close(d);
    for (int i = 0; i < CT_STAGING_CHUNKS; i++)
        if (d->staging.free[i]) (void)cudaEventDestroy(d->staging.free[i]);
    if (d->staging.memory) (void)cudaFreeHost(d->staging.memory);
    if (d->capture) (void)cudaStreamDestroy(d->capture);
    if (d->side) (void)cudaStreamDestroy(d->side);
    if (d->fork) (void)cudaEventDestroy(d->fork);
    if (d->join) (void)cudaEventDestroy(d->join);
    if (d->own_stream && d->stream) (void)cudaStreamDestroy(d->stream);
    (void)cudaGetLastError();
    leave(d, before);
    d->release(d->ctx, d);
}

static ct_status open_stream(cuda_device *d, void *given)
{
    CT_TRY(d, cudaStreamCreateWithFlags(&d->capture, cudaStreamNonBlocking));
    CT_TRY(d, cudaStreamCreateWithFlags(&d->side, cudaStreamNonBlocking));
    CT_TRY(d, cudaEventCreateWithFlags(&d->fork, cudaEventDisableTiming));
    CT_TRY(d, cudaEventCreateWithFlags(&d->join, cudaEventDisableTiming));
    d->own_stream = !given;
    d->stream = given;
    if (!given) CT_TRY(d, cudaStreamCreateWithFlags(&d->stream, cudaStreamNonBlocking));
    const cudaError_t state = cudaStreamQuery(d->stream);
    if (state != cudaSuccess && state != cudaErrorNotReady) return ct_cuda_failed(d, "ct_config.stream", state);
    d->base.stream = d->stream;
    ct_cuda_name_streams(d);
    return CT_OK;
}

/* Of a multiprocessor: eight blocks of 256 threads fill it; and what it does in a nanosecond, about. */
#define BLOCKS_A_MULTIPROCESSOR 8
#define FLOPS_A_NS 200
#define BYTES_A_NS 18

static ct_status open_device(cuda_device *d, const ct_config *config)
{
    struct cudaDeviceProp card;
    CT_TRY(d, cudaGetDeviceProperties(&card, d->index));
    snprintf(d->base.name, sizeof d->base.name, "%.127s", card.name);
    d->most_blocks = (uint32_t)card.multiProcessorCount * BLOCKS_A_MULTIPROCESSOR;
    d->flops_a_ns = (float)card.multiProcessorCount * FLOPS_A_NS;
    d->bytes_a_ns = (float)card.multiProcessorCount * BYTES_A_NS;
    ct_status status = open_stream(d, config->stream);
    if (!status) status = open_staging(d);
    if (!status) status = ct_cuda_try_kernel(d);
    if (!status) status = ct_cublaslt_open(d, config->math, &d->library);
    return status;
}

static ct_status check_index(ct_device_request *request, int index)
{
    int n = 0;
    const cudaError_t error = cudaGetDeviceCount(&n);
    (void)cudaGetLastError();
    if (error || n == 0) {
        snprintf(request->message, sizeof request->message, "no CUDA device: %s (%s)", cudaGetErrorName(error),
                 error ? cudaGetErrorString(error) : "there is none");
        return CT_ERR_DEVICE;
    }
    if (index >= 0 && index < n) return CT_OK;
    snprintf(request->message, sizeof request->message, "device_index is %d; this machine has CUDA devices 0 to %d",
             index, n - 1);
    return CT_ERR_ARGUMENT;
}

__attribute__((visibility("default"))) ct_status CT_DEVICE_MODULE_OPEN(ct_device_request *request, ct_device **out)
{
    if (strcmp(request->version, CUTAPE_VERSION) != 0 || request->layout != CT_DEVICE_LAYOUT) {
        snprintf(request->message, sizeof request->message,
                 "the CUDA module is of another build (%s) than the library (%s)", CUTAPE_VERSION, request->version);
        return CT_ERR_DEVICE;
    }
    ct_status status = check_index(request, request->config->device_index);
    if (status) return status;
    cuda_device *d = request->alloc(request->ctx, sizeof *d);
    if (!d) {
        snprintf(request->message, sizeof request->message, "out of host memory");
        return CT_ERR_MEMORY;
    }
    *d = (cuda_device){.base = {.ticket_bytes = sizeof(uint32_t),
                                .close = close_device,
                                .alloc = alloc,
                                .free = release,
                                .upload = upload,
                                .download = download,
                                .fill = fill,
                                .adopt = adopt,
                                .supports = supports,
                                .prepare = prepare,
                                .retire = retire,
                                .play = play,
                                .play_launch = play_launch,
                                .play_timed = play_timed,
                                .capture_range = capture_range,
                                .wait = wait_for},
                       .ctx = request->ctx,
                       .alloc = request->alloc,
                       .release = request->free,
                       .index = request->config->device_index,
                       .eager = request->config->eager};
    int before;
    status = enter(d, &before);
    if (!status) status = open_device(d, request->config);
    leave(d, before);
    if (status) {
        memcpy(request->message, d->base.message, sizeof request->message);
        close_device(&d->base);
        return status;
    }
    *out = &d->base;
    return CT_OK;
}

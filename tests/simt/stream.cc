/* Queued work and its order. The order that streams and events prescribe is kept, and nothing
 * else: by default work runs only when the host waits for it, and no other work with it.
 */
#include "stream.h"

#include "block.h"
#include "device.h"
#include "error.h"
#include "graph.h"
#include "memory.h"
#include "random.h"
#include "simt.h"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <set>

namespace simt
{

static int mode_from_environment()
{
    const char *text = getenv("CT_SIMT_STREAMS");
    if (!text || strcmp(text, "lazy") == 0) return SIMT_LAZY;
    if (strcmp(text, "eager") == 0) return SIMT_EAGER;
    if (strcmp(text, "random") == 0) return SIMT_RANDOM;
    fprintf(stderr, "simt: CT_SIMT_STREAMS is neither lazy nor eager nor random\n");
    abort();
}

static int mode = mode_from_environment();

static CUstream_st legacy[DEVICES] = {{0, true, {}, nullptr, {}}, {1, true, {}, nullptr, {}}};
static std::vector<CUstream_st *> streams = {&legacy[0], &legacy[1]};

CUstream_st *stream_of(cudaStream_t handle)
{
    if (!handle) return &legacy[current_device()];
    for (CUstream_st *stream : streams)
        if (stream == handle) return stream;
    return nullptr;
}

/* ---- running ------------------------------------------------------------------------------------ */

void run_task(const Task &task, int device)
{
    if (fault_of(device)) return;
    open_memory();
    set_activity(task.name.c_str());
    for (const void *address : task.addresses) {
        if (!is_freed(address) && !is_foreign(address, device)) continue;
        report("the argument %p points to %s memory", address, is_freed(address) ? "freed" : "another device's");
        fault(device, cudaErrorIllegalAddress);
    }
    if (!fault_of(device)) {
        task.run();
        check_bounds();
    }
    set_activity("");
    close_memory();
}

static void drop_work_of(CUstream_st *stream)
{
    for (const WorkPtr &work : stream->queue) {
        work->done = true;
        work->after.clear();
    }
    stream->queue.clear();
}

void drop_work(int device)
{
    for (CUstream_st *stream : streams)
        if (stream->device == device) drop_work_of(stream);
}

static bool is_ready(const Work &work)
{
    for (const WorkPtr &before : work.after)
        if (!before->done) return false;
    return true;
}

static void run_first_of(CUstream_st *stream)
{
    const WorkPtr work = stream->queue.front();
    stream->queue.pop_front();
    if (work->task) run_task(*work->task, stream->device);
    work->done = true;
    work->ns = std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
    work->after.clear();
}

/* The first of any stream that need not wait. */
static void run_any()
{
    const size_t start = random_below(uint32_t(streams.size()));
    for (size_t i = 0; i < streams.size(); i++) {
        CUstream_st *stream = streams[(start + i) % streams.size()];
        if (stream->queue.empty() || !is_ready(*stream->queue.front())) continue;
        run_first_of(stream);
        return;
    }
}

void run_until_done(WorkPtr work)
{
    open_memory();
    while (!work->done) {
        if (mode == SIMT_RANDOM) {
            run_any();
            continue;
        }
        const WorkPtr first = work->stream->queue.front();
        const std::vector<WorkPtr> before = first->after;
        for (const WorkPtr &other : before) run_until_done(other);
        if (!first->done) run_first_of(first->stream);
    }
    close_memory();
}

void make_progress(WorkPtr work)
{
    if (!work->done) run_until_done(work->stream->queue.front());
}

/* ---- queueing ----------------------------------------------------------------------------------- */

/* The legacy stream waits for all blocking streams of its device, and they for it. */
static void add_implicit_order(const CUstream_st *stream, std::vector<WorkPtr> &after)
{
    if (!stream->blocking) return;
    CUstream_st *own_legacy = &legacy[stream->device];
    if (stream != own_legacy) {
        if (!own_legacy->queue.empty()) after.push_back(own_legacy->queue.back());
        return;
    }
    for (const CUstream_st *other : streams)
        if (other != stream && other->blocking && other->device == stream->device && !other->queue.empty())
            after.push_back(other->queue.back());
}

/* Work of the legacy stream would have to wait for a capture that runs nothing. */
static cudaError_t forbid_implicit_order(const CUstream_st *stream)
{
    if (stream != &legacy[stream->device]) return cudaSuccess;
    for (const CUstream_st *other : streams)
        if (other->capture && other->blocking && other->device == stream->device)
            return invalidate(other->capture, cudaErrorStreamCaptureImplicit);
    return cudaSuccess;
}

cudaError_t submit(CUstream_st *stream, TaskPtr task, std::vector<WorkPtr> after, WorkPtr *out)
{
    if (const cudaError_t error = fault_of(stream->device)) return error;
    if (stream->capture) return capture_task(stream, std::move(task));
    if (const cudaError_t error = forbid_implicit_order(stream)) return error;
    add_implicit_order(stream, after);
    const WorkPtr work = std::make_shared<Work>(Work{std::move(task), stream, std::move(after), false, 0});
    stream->queue.push_back(work);
    if (out) *out = work;
    if (mode == SIMT_EAGER) run_until_done(work);
    if (mode == SIMT_RANDOM && random_below(2)) make_progress(work);
    return cudaSuccess;
}

bool is_used_by_waiting_work(const void *memory, size_t bytes)
{
    const auto *from = static_cast<const char *>(memory), *end = from + bytes;
    for (const CUstream_st *stream : streams)
        for (const WorkPtr &work : stream->queue) {
            if (!work->task) continue;
            for (const void *address : work->task->addresses)
                if (address >= from && address < end) return true;
        }
    return false;
}

} // namespace simt

using namespace simt;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *pStream, unsigned int flags)
{
    return call(UNSAFE, [&] {
        if (!pStream || (flags != cudaStreamDefault && flags != cudaStreamNonBlocking)) return cudaErrorInvalidValue;
        *pStream = new CUstream_st{current_device(), flags == cudaStreamDefault, {}, nullptr, {}};
        streams.push_back(*pStream);
        objects++;
        return cudaSuccess;
    });
}

/* What is queued is still done, as on a GPU. */
cudaError_t cudaStreamDestroy(cudaStream_t handle)
{
    return call(UNSAFE | RELEASES, [&] {
        CUstream_st *stream = stream_of(handle);
        if (!stream || stream == &legacy[stream->device]) return cudaErrorInvalidResourceHandle;
        if (stream->capture) return invalidate(stream->capture, cudaErrorStreamCaptureUnsupported);
        if (!stream->queue.empty()) run_until_done(stream->queue.back());
        for (size_t i = 0; i < streams.size(); i++)
            if (streams[i] == stream) streams.erase(streams.begin() + long(i));
        delete stream;
        objects--;
        return cudaSuccess;
    });
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle)
{
    return call(UNSAFE, [&] {
        CUstream_st *stream = stream_of(handle);
        if (!stream) return cudaErrorInvalidResourceHandle;
        if (stream->capture) return invalidate(stream->capture, cudaErrorStreamCaptureUnsupported);
        if (!stream->queue.empty()) run_until_done(stream->queue.back());
        return fault_of(stream->device);
    });
}

cudaError_t cudaStreamQuery(cudaStream_t handle)
{
    return call(UNSAFE, [&] {
        CUstream_st *stream = stream_of(handle);
        if (!stream) return cudaErrorInvalidResourceHandle;
        if (stream->capture) return invalidate(stream->capture, cudaErrorStreamCaptureUnsupported);
        if (stream->queue.empty()) return fault_of(stream->device);
        make_progress(stream->queue.back());
        return fault_of(stream->device) ? fault_of(stream->device) : cudaErrorNotReady;
    });
}

void simt_set_streams(int wanted)
{
    const std::lock_guard<std::recursive_mutex> guard(simt::mutex);
    mode = wanted;
}

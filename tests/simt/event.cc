/* Events: marks in a stream, which order streams among each other and let the host wait; in a
 * capture they carry the nodes that come before them.
 */
#include "device.h"
#include "error.h"
#include "graph.h"
#include "stream.h"

#include <set>

struct CUevent_st {
    int device;
    simt::WorkPtr mark; /* NULL: never recorded, or in a capture */
    std::shared_ptr<simt::Capture> capture;
    std::vector<size_t> tips;
    bool timed;
};

using namespace simt;

static std::set<cudaEvent_t> events;

/* The host asks for an event: it must not be of a capture. */
static cudaError_t refuse_captured(cudaEvent_t event)
{
    if (!events.count(event)) return cudaErrorInvalidResourceHandle;
    return event->capture ? invalidate(event->capture, cudaErrorCapturedEvent) : cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned int flags)
{
    return call(PLAIN, [&] {
        if (!event || (flags != cudaEventDisableTiming && flags != cudaEventDefault)) return cudaErrorInvalidValue;
        *event =
            *events.insert(new CUevent_st{current_device(), nullptr, nullptr, {}, flags == cudaEventDefault}).first;
        objects++;
        return cudaSuccess;
    });
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    return call(RELEASES, [&] {
        if (!events.erase(event)) return cudaErrorInvalidResourceHandle;
        delete event;
        objects--;
        return cudaSuccess;
    });
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t handle)
{
    return call(PLAIN, [&] {
        CUstream_st *stream = stream_of(handle);
        if (!stream || !events.count(event) || event->device != stream->device) return cudaErrorInvalidResourceHandle;
        event->mark = nullptr;
        event->capture = stream->capture;
        event->tips = stream->tips;
        if (!stream->capture) return submit(stream, nullptr, {}, &event->mark);
        return is_valid(*stream->capture) ? cudaSuccess : cudaErrorStreamCaptureInvalidated;
    });
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
    return call(UNSAFE, [&] {
        if (const cudaError_t error = refuse_captured(event)) return error;
        if (!event->mark || event->mark->done) return fault_of(event->device);
        make_progress(event->mark);
        return fault_of(event->device) ? fault_of(event->device) : cudaErrorNotReady;
    });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    return call(UNSAFE, [&] {
        if (const cudaError_t error = refuse_captured(event)) return error;
        if (event->mark) run_until_done(event->mark);
        return fault_of(event->device);
    });
}

/* Both must have been made for it, recorded, and passed. */
cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t start, cudaEvent_t end)
{
    return call(UNSAFE, [&] {
        for (const cudaEvent_t event : {start, end}) {
            if (const cudaError_t error = refuse_captured(event)) return error;
            if (!event->timed || !event->mark) return cudaErrorInvalidResourceHandle;
        }
        if (start->device != end->device) return cudaErrorInvalidResourceHandle;
        if (const cudaError_t error = fault_of(start->device)) return error;
        if (!start->mark->done || !end->mark->done) return cudaErrorNotReady;
        *ms = float(double(end->mark->ns - start->mark->ns) / 1e6);
        return cudaSuccess;
    });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event, unsigned int flags)
{
    return call(PLAIN, [&] {
        CUstream_st *stream = stream_of(handle);
        if (!stream || !events.count(event)) return cudaErrorInvalidResourceHandle;
        if (flags != 0) return cudaErrorInvalidValue;
        if (stream->capture || event->capture) return capture_wait(stream, event->capture, event->tips);
        if (!event->mark || event->mark->done) return fault_of(stream->device);
        return submit(stream, nullptr, {event->mark});
    });
}

/* Captures: which streams take part in one, what it forbids, and what must hold at its end. */
#include "error.h"
#include "graph.h"

#include <thread>

namespace simt
{

struct Capture {
    CUgraph_st graph;
    CUstream_st *origin;
    cudaStreamCaptureMode mode;
    std::thread::id thread;
    bool valid;
    std::vector<CUstream_st *> members;
};

static std::vector<std::shared_ptr<Capture>> captures; /* under way */
static thread_local cudaStreamCaptureMode thread_mode = cudaStreamCaptureModeGlobal;

bool is_valid(const Capture &capture) { return capture.valid; }

CUgraph_st *graph_of(Capture &capture) { return &capture.graph; }

bool is_being_captured(cudaGraph_t graph)
{
    for (const auto &capture : captures)
        if (&capture->graph == graph && capture->valid) return true;
    return false;
}

cudaError_t invalidate(const std::shared_ptr<Capture> &capture, cudaError_t error)
{
    capture->valid = false;
    return error;
}

/* As documented at cudaThreadExchangeStreamCaptureMode. */
static bool forbids(const Capture &capture)
{
    if (thread_mode == cudaStreamCaptureModeRelaxed) return false;
    if (capture.thread == std::this_thread::get_id()) return capture.mode != cudaStreamCaptureModeRelaxed;
    return thread_mode == cudaStreamCaptureModeGlobal && capture.mode == cudaStreamCaptureModeGlobal;
}

cudaError_t forbid_in_capture()
{
    cudaError_t error = cudaSuccess;
    for (const auto &capture : captures)
        if (forbids(*capture)) error = invalidate(capture, cudaErrorStreamCaptureUnsupported);
    return error;
}

cudaError_t capture_task(CUstream_st *stream, TaskPtr task)
{
    Capture &capture = *stream->capture;
    if (!capture.valid) return cudaErrorStreamCaptureInvalidated;
    capture.graph.nodes.push_back({std::move(task), stream->tips});
    stream->tips = {capture.graph.nodes.size() - 1};
    return cudaSuccess;
}

cudaError_t capture_wait(CUstream_st *stream, const std::shared_ptr<Capture> &of, const std::vector<size_t> &tips)
{
    if (!of) return invalidate(stream->capture, cudaErrorStreamCaptureIsolation);
    if (!of->valid) return cudaErrorStreamCaptureInvalidated;
    if (!of->origin->capture || of->origin->capture != of) return cudaErrorCapturedEvent; /* that one has ended */
    if (stream->capture && stream->capture != of) {
        invalidate(stream->capture, cudaSuccess);
        return invalidate(of, cudaErrorStreamCaptureMerge);
    }
    if (!stream->capture) {
        if (stream == stream_of(nullptr)) return invalidate(of, cudaErrorStreamCaptureImplicit);
        stream->capture = of;
        of->members.push_back(stream);
    }
    stream->tips.insert(stream->tips.end(), tips.begin(), tips.end());
    return cudaSuccess;
}

/* Does the origin wait, at the end, for every node? */
static bool is_joined(const Capture &capture)
{
    const auto &nodes = capture.graph.nodes;
    std::vector<bool> waited(nodes.size());
    for (const size_t tip : capture.origin->tips) waited[tip] = true;
    for (size_t i = nodes.size(); i-- > 0;) {
        if (!waited[i]) return false;
        for (const size_t before : nodes[i].after) waited[before] = true;
    }
    return true;
}

static cudaError_t end(const std::shared_ptr<Capture> &capture, CUstream_st *stream, cudaGraph_t *graph)
{
    if (!capture->valid) return cudaErrorStreamCaptureInvalidated;
    if (stream != capture->origin) return cudaErrorStreamCaptureUnmatched;
    if (!is_joined(*capture)) return cudaErrorStreamCaptureUnjoined;
    *graph = publish(std::move(capture->graph));
    return cudaSuccess;
}

static void detach(const std::shared_ptr<Capture> &capture)
{
    for (CUstream_st *member : capture->members) {
        member->capture = nullptr;
        member->tips.clear();
    }
    for (size_t i = 0; i < captures.size(); i++)
        if (captures[i] == capture) captures.erase(captures.begin() + long(i));
}

} // namespace simt

using namespace simt;

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, enum cudaStreamCaptureMode mode)
{
    return call(PLAIN, [&] {
        CUstream_st *stream = stream_of(handle);
        if (!stream) return cudaErrorInvalidResourceHandle;
        if (!handle) return cudaErrorStreamCaptureUnsupported;
        if (stream->capture) return invalidate(stream->capture, cudaErrorStreamCaptureUnsupported);
        stream->capture =
            std::make_shared<Capture>(Capture{{}, stream, mode, std::this_thread::get_id(), true, {stream}});
        captures.push_back(stream->capture);
        return cudaSuccess;
    });
}

/* The capture is over, whatever comes of it; a graph comes only of a success. */
cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t *pGraph)
{
    if (!pGraph) return remember(cudaErrorInvalidValue);
    *pGraph = nullptr;
    const cudaError_t error = call(RELEASES, [&] {
        CUstream_st *stream = stream_of(handle);
        if (!stream) return cudaErrorInvalidResourceHandle;
        const std::shared_ptr<Capture> capture = stream->capture;
        if (!capture) return cudaErrorInvalidValue;
        if (capture->mode != cudaStreamCaptureModeRelaxed && capture->thread != std::this_thread::get_id())
            return cudaErrorStreamCaptureWrongThread;
        const cudaError_t status = end(capture, stream, pGraph);
        detach(capture);
        return status;
    });
    if (!error || !*pGraph) return error;
    const std::lock_guard<std::recursive_mutex> guard(simt::mutex);
    discard(*pGraph);
    *pGraph = nullptr;
    return error;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t handle, enum cudaStreamCaptureStatus *pCaptureStatus)
{
    return call(PLAIN, [&] {
        const CUstream_st *stream = stream_of(handle);
        if (!stream) return cudaErrorInvalidResourceHandle;
        *pCaptureStatus = !stream->capture         ? cudaStreamCaptureStatusNone
                          : stream->capture->valid ? cudaStreamCaptureStatusActive
                                                   : cudaStreamCaptureStatusInvalidated;
        return cudaSuccess;
    });
}

/* Only the graph is known here. */
cudaError_t cudaStreamGetCaptureInfo(cudaStream_t handle, enum cudaStreamCaptureStatus *captureStatus_out,
                                     unsigned long long *id_out, cudaGraph_t *graph_out,
                                     const cudaGraphNode_t **dependencies_out, const cudaGraphEdgeData **edgeData_out,
                                     size_t *numDependencies_out)
{
    return call(PLAIN, [&] {
        const CUstream_st *stream = stream_of(handle);
        if (!stream) return cudaErrorInvalidResourceHandle;
        if (!captureStatus_out || id_out || dependencies_out || edgeData_out || numDependencies_out)
            return cudaErrorInvalidValue;
        const bool active = stream->capture && stream->capture->valid;
        *captureStatus_out = active            ? cudaStreamCaptureStatusActive
                             : stream->capture ? cudaStreamCaptureStatusInvalidated
                                               : cudaStreamCaptureStatusNone;
        if (active && graph_out) *graph_out = graph_of(*stream->capture);
        return cudaSuccess;
    });
}

cudaError_t cudaThreadExchangeStreamCaptureMode(enum cudaStreamCaptureMode *mode)
{
    return call(HARMLESS, [&] {
        const cudaStreamCaptureMode before = thread_mode;
        thread_mode = *mode;
        *mode = before;
        return cudaSuccess;
    });
}

/* The CUDA device under a profiler: launches one by one with events around each, the range
 * that tools record, and the numbers that they give to the nodes of graphs.
 */
#define _GNU_SOURCE
#include "cuda/cuda.h"

#include "core/clock.h"
#include "device/cuda.h"

#include <cuda_profiler_api.h>
#include <dlfcn.h>
#include <string.h>

static bool grow(cuda_device *d, void **array, size_t *capacity, size_t need, size_t element)
{
    if (need <= *capacity) return true;
    const size_t room = need + need / 2 + 16;
    void *larger = d->alloc(d->ctx, room * element);
    if (!larger) return false;
    if (*capacity) memcpy(larger, *array, *capacity * element);
    d->release(d->ctx, *array);
    *array = larger;
    *capacity = room;
    return true;
}

/* ---- times ---------------------------------------------------------------------------------------- */

/* They stay for the next play. One that cannot be made leaves those before it, and is tried again. */
static ct_status make_events(cuda_device *d, uint32_t n)
{
    if (!grow(d, (void **)&d->events, &d->events_capacity, n, sizeof *d->events)) return ct_cuda_out_of_memory(d);
    for (; d->n_events < n; d->n_events++)
        CT_TRY(d, cudaEventCreateWithFlags(&d->events[d->n_events], cudaEventDefault));
    return CT_OK;
}

void ct_cuda_timed_close(cuda_device *d)
{
    for (uint32_t i = 0; i < d->n_events; i++) (void)cudaEventDestroy(d->events[i]);
    d->release(d->ctx, d->events);
    d->release(d->ctx, d->seen);
}

/* The first event passes on an idle stream, so that its moment is known to the host, within the time of a wait. */
static ct_status mark_base(cuda_device *d, int64_t *ns)
{
    CT_TRY(d, cudaStreamSynchronize(d->stream));
    const int64_t before = ct_now_ns();
    CT_TRY(d, cudaEventRecord(d->events[0], d->stream));
    CT_TRY(d, cudaEventSynchronize(d->events[0]));
    *ns = before + (ct_now_ns() - before) / 2;
    return CT_OK;
}

#define HOLD_US 20
#define HOLD_US_A_LAUNCH 10 /* a launch and two events, each some microseconds of the host */
#define MOST_HOLD_US 5000

/* The host queues before the device comes to it: so no launch waits for the host, and none is timed with it.
 * That holds for some 500 launches. With more, the host goes on queueing while the device works, and stays ahead where
 * launches take the device longer than the host; where they are shorter, the device comes to wait at last, and gaps and
 * times have the host's in them. */
static ct_status hold(cuda_device *d, uint32_t launches)
{
    const uint64_t us = HOLD_US + (uint64_t)HOLD_US_A_LAUNCH * launches;
    ct_hold_time time = {.microseconds = us < MOST_HOLD_US ? (uint32_t)us : MOST_HOLD_US};
    const cudaError_t error = ct_cuda_launch_kernel(ct_cuda_hold, &time, 1, 0, d->stream);
    return error ? ct_cuda_failed(d, "cudaLaunchKernelExC hold", error) : CT_OK;
}

static ct_status time_launch(cuda_device *d, ct_code *code, uint32_t i, ct_launch_time *time)
{
    CT_TRY(d, cudaEventRecord(d->events[2 * i + 1], d->stream));
    time->asked = ct_now_ns();
    const ct_status status = ct_cuda_play_launch(d, code, i);
    time->returned = ct_now_ns();
    if (status) return status;
    CT_TRY(d, cudaEventRecord(d->events[2 * i + 2], d->stream));
    return CT_OK;
}

static ct_status launch_all(cuda_device *d, ct_code *code, ct_launch_time *times)
{
    const ct_marks *marks = d->base.marks;
    ct_status status = CT_OK;
    for (uint32_t i = 0; !status && i < code->n_launches; i++) {
        if (marks) marks->begin(marks->user, code, i);
        status = time_launch(d, code, i, &times[i]);
        if (marks) marks->end(marks->user);
    }
    const cudaError_t waited = cudaStreamSynchronize(d->stream);
    return status || !waited ? status : ct_cuda_failed(d, "cudaStreamSynchronize", waited);
}

/* Events have a resolution of half a microsecond, and count in milliseconds. */
static ct_status moment(cuda_device *d, uint32_t event, int64_t base, int64_t *ns)
{
    float ms = 0;
    CT_TRY(d, cudaEventElapsedTime(&ms, d->events[0], d->events[event]));
    *ns = base + (int64_t)((double)ms * 1e6);
    return CT_OK;
}

static ct_status read_times(cuda_device *d, uint32_t n, int64_t base, ct_launch_time *times)
{
    ct_status status = CT_OK;
    for (uint32_t i = 0; !status && i < n; i++) {
        status = moment(d, 2 * i + 1, base, &times[i].begin);
        if (!status) status = moment(d, 2 * i + 2, base, &times[i].end);
    }
    return status;
}

/* Once something has gone out, a failure is one of the device, and stands. */
ct_status ct_cuda_play_timed(cuda_device *d, ct_code *code, ct_launch_time *times)
{
    int64_t base = 0;
    ct_status status = make_events(d, 2 * code->n_launches + 1);
    if (!status) status = mark_base(d, &base);
    if (!status) status = hold(d, code->n_launches);
    if (status) return status;
    status = launch_all(d, code, times);
    if (!status) status = read_times(d, code->n_launches, base, times);
    return status ? CT_ERR_DEVICE : CT_OK;
}

ct_status ct_cuda_capture_range(cuda_device *d, bool open)
{
    CT_TRY(d, cudaStreamSynchronize(d->stream));
    if (open)
        CT_TRY(d, cudaProfilerStart());
    else
        CT_TRY(d, cudaProfilerStop());
    return CT_OK;
}

/* ---- numbers of graph nodes -------------------------------------------------------------------------- */

/* CUPTI's, as its records of kernels have it in graphNodeId, and Nsight Systems in the column of that name. */
typedef int get_node_id(cudaGraphNode_t, uint64_t *);

/* NULL where there is none. It stays: contexts may come and go. */
static get_node_id *find_cupti(void)
{
    static const char *const names[] = {"libcupti.so.13", "libcupti.so.12", "libcupti.so"};
    void *file = NULL;
    for (size_t i = 0; !file && i < sizeof names / sizeof *names; i++) file = dlopen(names[i], RTLD_LAZY | RTLD_LOCAL);
    get_node_id *found = NULL;
    if (file) *(void **)&found = dlsym(file, "cuptiGetGraphNodeId");
    return found;
}

void ct_cuda_capture_begins(cuda_device *d) { d->n_seen = 0; }

/* All nodes that the capture has so far, behind those that were seen. False: they cannot be told. */
static bool list_nodes(cuda_device *d, cudaStream_t stream, size_t *n)
{
    enum cudaStreamCaptureStatus status;
    cudaGraph_t graph = NULL;
#if CUDART_VERSION >= 13000
    cudaError_t error = cudaStreamGetCaptureInfo(stream, &status, NULL, &graph, NULL, NULL, NULL);
#else
    cudaError_t error = cudaStreamGetCaptureInfo_v2(stream, &status, NULL, &graph, NULL, NULL);
#endif
    *n = 0;
    if (!error && !graph) return false;
    if (!error) error = cudaGraphGetNodes(graph, NULL, n);
    if (error || !grow(d, (void **)&d->seen, &d->seen_capacity, d->n_seen + *n, sizeof *d->seen)) return false;
    return *n == 0 || cudaGraphGetNodes(graph, d->seen + d->n_seen, n) == cudaSuccess;
}

static bool was_seen(const cuda_device *d, cudaGraphNode_t node)
{
    for (size_t i = 0; i < d->n_seen; i++)
        if (d->seen[i] == node) return true;
    return false;
}

static void add_id(cuda_device *d, ct_code *code, cudaGraphNode_t graph_node, uint32_t node)
{
    uint64_t id = 0;
    if (d->node_id(graph_node, &id) != 0) return;
    size_t capacity = code->graph_nodes_capacity;
    if (!grow(d, (void **)&code->graph_nodes, &capacity, (size_t)code->n_graph_nodes + 1, sizeof *code->graph_nodes))
        return;
    code->graph_nodes_capacity = (uint32_t)capacity;
    code->graph_nodes[code->n_graph_nodes++] = (ct_graph_node){id, node};
}

/* What cannot be told is left out: nothing depends on it. */
void ct_cuda_number_nodes(cuda_device *d, ct_code *code, uint32_t node, cudaStream_t stream)
{
    size_t n;
    if (!d->looked_for_cupti) d->node_id = find_cupti();
    d->looked_for_cupti = true;
    if (!d->node_id || !list_nodes(d, stream, &n)) {
        (void)cudaGetLastError();
        return;
    }
    const size_t before = d->n_seen;
    const cudaGraphNode_t *listed = d->seen + before;
    /* As a rule they are listed as they were made, and none has to be looked for. */
    const bool in_order = n >= before && (before == 0 || memcmp(listed, d->seen, before * sizeof *listed) == 0);
    for (size_t i = in_order ? before : 0; i < n; i++) {
        const cudaGraphNode_t found = listed[i];
        if (!in_order && was_seen(d, found)) continue;
        add_id(d, code, found, node);
        d->seen[d->n_seen++] = found; /* at most at the place it was read from */
    }
}

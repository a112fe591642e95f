/* Graphs: made by captures, and replayed in any order that their edges leave open. */
#include "graph.h"

#include "device.h"
#include "error.h"
#include "random.h"

#include <cstdlib>
#include <cstring>
#include <set>

struct CUgraphExec_st {
    int device;
    simt::TaskPtr launch; /* all of it */
    simt::WorkPtr last;   /* launches of one graph come one after the other */
};

namespace simt
{

static std::set<cudaGraph_t> graphs;
static std::set<cudaGraphExec_t> execs;

cudaGraph_t publish(CUgraph_st &&graph)
{
    objects++;
    return *graphs.insert(new CUgraph_st(std::move(graph))).first;
}

bool discard(cudaGraph_t graph)
{
    if (!graphs.erase(graph)) return false;
    delete graph;
    objects--;
    return true;
}

static void replay(const CUgraph_st &graph, int device)
{
    const size_t n = graph.nodes.size();
    std::vector<size_t> waits_for(n), ready;
    std::vector<std::vector<size_t>> followers(n);
    for (size_t i = 0; i < n; i++) {
        waits_for[i] = graph.nodes[i].after.size();
        for (const size_t before : graph.nodes[i].after) followers[before].push_back(i);
        if (waits_for[i] == 0) ready.push_back(i);
    }
    while (!ready.empty() && !fault_of(device)) {
        std::swap(ready[random_below(uint32_t(ready.size()))], ready.back());
        const size_t i = ready.back();
        ready.pop_back();
        run_task(*graph.nodes[i].task, device);
        for (const size_t follower : followers[i])
            if (--waits_for[follower] == 0) ready.push_back(follower);
    }
}

static TaskPtr launch_of(const CUgraph_st &graph, int device)
{
    Task task = {cudaGraphNodeTypeKernel, " [graph]", {}, [graph, device] { replay(graph, device); }};
    for (const CUgraphNode_st &node : graph.nodes)
        task.addresses.insert(task.addresses.end(), node.task->addresses.begin(), node.task->addresses.end());
    return std::make_shared<const Task>(std::move(task));
}

} // namespace simt

using namespace simt;

/* CUDA promises no order. */
static size_t listed_at(size_t place, size_t n)
{
    static const char *const order = getenv("CT_SIMT_GRAPH_NODES");
    const bool backwards = order && strcmp(order, "backwards") == 0;
    return backwards ? n - 1 - place : place;
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t *nodes, size_t *numNodes)
{
    return call(PLAIN, [&] {
        if ((!graphs.count(graph) && !is_being_captured(graph)) || !numNodes) return cudaErrorInvalidValue;
        const size_t n = graph->nodes.size();
        if (nodes)
            for (size_t i = 0; i < *numNodes; i++) nodes[i] = i < n ? &graph->nodes[listed_at(i, n)] : nullptr;
        if (!nodes || *numNodes > n) *numNodes = n;
        return cudaSuccess;
    });
}

cudaError_t cudaGraphNodeGetType(cudaGraphNode_t node, enum cudaGraphNodeType *pType)
{
    return call(PLAIN, [&] {
        if (!node || !pType) return cudaErrorInvalidValue;
        *pType = node->task->type;
        return cudaSuccess;
    });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *pGraphExec, cudaGraph_t graph, unsigned long long flags)
{
    return call(UNSAFE, [&] {
        if (!pGraphExec || !graphs.count(graph) || flags != 0) return cudaErrorInvalidValue;
        const int device = current_device();
        *pGraphExec = *execs.insert(new CUgraphExec_st{device, launch_of(*graph, device), nullptr}).first;
        objects++;
        return cudaSuccess;
    });
}

static cudaError_t check_exec(cudaGraphExec_t exec, const CUstream_st *stream)
{
    if (!execs.count(exec) || !stream || stream->device != exec->device) return cudaErrorInvalidResourceHandle;
    return stream->capture ? invalidate(stream->capture, cudaErrorStreamCaptureUnsupported) : cudaSuccess;
}

cudaError_t cudaGraphUpload(cudaGraphExec_t graphExec, cudaStream_t stream)
{
    return call(UNSAFE, [&] { return check_exec(graphExec, stream_of(stream)); });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t graphExec, cudaStream_t handle)
{
    return call(PLAIN, [&] {
        CUstream_st *stream = stream_of(handle);
        if (const cudaError_t error = check_exec(graphExec, stream)) return error;
        std::vector<WorkPtr> after;
        if (graphExec->last && !graphExec->last->done) after.push_back(graphExec->last);
        return submit(stream, graphExec->launch, std::move(after), &graphExec->last);
    });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    return call(RELEASES, [&] { return discard(graph) ? cudaSuccess : cudaErrorInvalidValue; });
}

/* A launch that waits keeps what it needs, as on a GPU. */
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graphExec)
{
    return call(UNSAFE | RELEASES, [&] {
        if (!execs.erase(graphExec)) return cudaErrorInvalidValue;
        delete graphExec;
        objects--;
        return cudaSuccess;
    });
}

/* What streams and events have to know of captures. */
#ifndef SIMT_GRAPH_H
#define SIMT_GRAPH_H

#include "stream.h"

namespace simt
{

bool is_valid(const Capture &);
/* What a capture under way has so far. */
CUgraph_st *graph_of(Capture &);
bool is_being_captured(cudaGraph_t);
/* Makes the capture invalid, and returns the error. */
cudaError_t invalidate(const std::shared_ptr<Capture> &, cudaError_t);

/* The task becomes a node after what its stream did before. */
cudaError_t capture_task(CUstream_st *, TaskPtr);

/* The stream waits for nodes of a capture, and so becomes part of it; `of` is NULL where the
 * event was recorded outside of any. */
cudaError_t capture_wait(CUstream_st *, const std::shared_ptr<Capture> &of, const std::vector<size_t> &tips);

} // namespace simt

struct CUgraphNode_st {
    simt::TaskPtr task;
    std::vector<size_t> after;
};

struct CUgraph_st {
    std::deque<CUgraphNode_st> nodes; /* a node comes after those it waits for */
};

namespace simt
{

/* A handle for the user, counted as an object. */
cudaGraph_t publish(CUgraph_st &&);
/* False if there is no such graph. */
bool discard(cudaGraph_t);

} // namespace simt

#endif

/* Streams: queues of work, and when it runs. */
#ifndef SIMT_STREAM_H
#define SIMT_STREAM_H

#include "cuda_runtime_api.h"

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace simt
{

/* What is done: by a stream once, by a graph at every launch. */
struct Task {
    cudaGraphNodeType type;
    std::string name;
    std::vector<const void *> addresses; /* that it may use */
    std::function<void()> run;           /* reports and faults by itself */
};
using TaskPtr = std::shared_ptr<const Task>;

/* A task in a stream; without one, a mark that others wait for. */
struct Work {
    TaskPtr task;
    CUstream_st *stream;
    std::vector<std::shared_ptr<Work>> after; /* besides what stands before it in the stream */
    bool done;
    int64_t ns; /* when it was done */
};
using WorkPtr = std::shared_ptr<Work>;

struct Capture;

} // namespace simt

struct CUstream_st {
    int device;
    bool blocking; /* waits for the legacy stream, and that one for it */
    std::deque<simt::WorkPtr> queue;
    std::shared_ptr<simt::Capture> capture; /* that it takes part in */
    std::vector<size_t> tips;               /* nodes that its next node comes after */
};

namespace simt
{

/* The stream of a handle, the current device's legacy stream for 0; NULL if there is none. */
CUstream_st *stream_of(cudaStream_t);

/* Into the stream, or as a node into the graph that it captures. */
cudaError_t submit(CUstream_st *, TaskPtr, std::vector<WorkPtr> after = {}, WorkPtr *out = nullptr);

void run_until_done(WorkPtr);
/* Lets a little of the work ahead of this happen, for one who asks again and again. */
void make_progress(WorkPtr);

/* Runs a task on the device now, unless the device has a fault. */
void run_task(const Task &, int device);

/* Does work that waits use any of these bytes? */
bool is_used_by_waiting_work(const void *, size_t bytes);

/* Nothing that waits will run. */
void drop_work(int device);

} // namespace simt

#endif

// What the microbenchmarks share: checked calls, streams, memory and graphs that end with their scope,
// clocks, and the kernels of chain.cu.
#ifndef CUTAPE_PROFILING_MICRO_H
#define CUTAPE_PROFILING_MICRO_H

#include <cuda_runtime.h>

#include <chrono>
#include <cstdint>
#include <vector>

#include "args.h"
#include "report.h"

inline void check_call(cudaError_t status, const char *call, const char *file, int line)
{
    if (status == cudaSuccess) return;
    std::fprintf(stderr, "%s:%d: %s: %s (%s)\n", file, line, call, cudaGetErrorName(status),
                 cudaGetErrorString(status));
    std::exit(1);
}
#define CHECK(...) check_call((__VA_ARGS__), #__VA_ARGS__, __FILE__, __LINE__)

inline double now_us()
{
    return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

inline int attribute_of_device(cudaDeviceAttr attribute)
{
    int device = 0, value = 0;
    CHECK(cudaGetDevice(&device));
    CHECK(cudaDeviceGetAttribute(&value, attribute, device));
    return value;
}

class Stream
{
  public:
    Stream() { CHECK(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)); }
    Stream(const Stream &) = delete;
    Stream &operator=(const Stream &) = delete;
    ~Stream() { CHECK(cudaStreamDestroy(stream_)); }
    operator cudaStream_t() const { return stream_; }
    void wait() const { CHECK(cudaStreamSynchronize(stream_)); }

  private:
    cudaStream_t stream_ = nullptr;
};

class Event
{
  public:
    explicit Event(unsigned flags = cudaEventDefault) { CHECK(cudaEventCreateWithFlags(&event_, flags)); }
    Event(const Event &) = delete;
    Event &operator=(const Event &) = delete;
    ~Event() { CHECK(cudaEventDestroy(event_)); }
    operator cudaEvent_t() const { return event_; }

  private:
    cudaEvent_t event_ = nullptr;
};

// Device memory, zeroed.
template <class T> class Buffer
{
  public:
    explicit Buffer(size_t n) : n_(n)
    {
        CHECK(cudaMalloc(&data_, n * sizeof(T)));
        CHECK(cudaMemset(data_, 0, n * sizeof(T)));
        CHECK(cudaDeviceSynchronize());
    }
    Buffer(const Buffer &) = delete;
    Buffer &operator=(const Buffer &) = delete;
    ~Buffer() { CHECK(cudaFree(data_)); }
    T *data() const { return data_; }
    size_t size() const { return n_; }
    // The device has to be done with it.
    std::vector<T> read() const
    {
        std::vector<T> host(n_);
        CHECK(cudaMemcpy(host.data(), data_, n_ * sizeof(T), cudaMemcpyDeviceToHost));
        return host;
    }
    void write(const std::vector<T> &host) const
    {
        CHECK(cudaMemcpy(data_, host.data(), n_ * sizeof(T), cudaMemcpyHostToDevice));
        CHECK(cudaDeviceSynchronize()); // a copy from pageable memory may return before it has arrived
    }

  private:
    T *data_ = nullptr;
    size_t n_;
};

// A graph that is ready to run. Takes the graph over.
class Graph
{
  public:
    Graph(cudaGraph_t graph, cudaStream_t stream) : graph_(graph)
    {
        CHECK(cudaGraphInstantiate(&exec_, graph_, 0));
        CHECK(cudaGraphUpload(exec_, stream));
        CHECK(cudaStreamSynchronize(stream));
    }
    Graph(const Graph &) = delete;
    Graph &operator=(const Graph &) = delete;
    ~Graph()
    {
        CHECK(cudaGraphExecDestroy(exec_));
        CHECK(cudaGraphDestroy(graph_));
    }
    void launch(cudaStream_t stream) const { CHECK(try_launch(stream)); }
    cudaError_t try_launch(cudaStream_t stream) const { return cudaGraphLaunch(exec_, stream); }
    cudaGraph_t graph() const { return graph_; }

  private:
    cudaGraph_t graph_;
    cudaGraphExec_t exec_ = nullptr;
};

// What `work` puts on the stream, as a graph. The kernels have to be loaded.
template <class F> cudaGraph_t captured(cudaStream_t stream, F work)
{
    cudaGraph_t graph = nullptr;
    CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    work();
    CHECK(cudaStreamEndCapture(stream, &graph));
    return graph;
}

// Loads a kernel now: its first launch would, and that may fall into a capture.
template <class K> void load_kernel(K *kernel)
{
    cudaFuncAttributes unused;
    CHECK(cudaFuncGetAttributes(&unused, reinterpret_cast<const void *>(kernel)));
}

// ---- kernels, in chain.cu ------------------------------------------------------------------------------

// Loads them, and gives the clocks of an idle card some work to rise on. Before anything is captured or timed.
void warm_up();
// Keeps the stream busy for about so long, so that what the host puts behind it does not wait for the host.
void hold(cudaStream_t stream, double us);

// What a node of a chain does. Each kernel takes a whole ct_args by value, as the runtime's do.
enum class Work {
    nothing, // one block that ends at once
    add_one, // x += 1 over kElements floats: reads what the node before it wrote
};
constexpr int64_t kElements = 64 * 128; // a hidden layer's values

// n nodes, each depending on the one before; `early` lets a node start before the one before it has ended, and
// wait then (programmatic dependent launch).
void enqueue_chain(cudaStream_t stream, Work work, int n, float *x, bool early = false);
// One block that is busy for so long by the clock.
void enqueue_busy(cudaStream_t stream, double us);
// True if every element of x is `value`.
bool all_are(const Buffer<float> &x, double value);

// ---- clocks --------------------------------------------------------------------------------------------

// Device time of what `work` puts on the stream, in microseconds. The stream is held until all of it is queued.
template <class F> Spread time_on_device(cudaStream_t stream, int repeats, double hold_us, F work)
{
    Event start, stop;
    std::vector<double> us;
    for (int i = -3; i < repeats; i++) { // three to warm up
        hold(stream, hold_us);
        CHECK(cudaEventRecord(start, stream));
        work();
        CHECK(cudaEventRecord(stop, stream));
        CHECK(cudaEventSynchronize(stop));
        float ms = 0;
        CHECK(cudaEventElapsedTime(&ms, start, stop));
        if (i >= 0) us.push_back(1e3 * static_cast<double>(ms));
    }
    return spread_of(us);
}

// Host time of each of n calls, with nothing on the stream (idle) or behind a held stream (else).
template <class F> Spread time_of_call(const Stream &stream, int n, bool idle, F call)
{
    constexpr int kTurn = 16; // calls behind one hold
    std::vector<double> us;
    call();
    stream.wait();
    for (int i = 0; i < n; i++) {
        if (idle || i % kTurn == 0) stream.wait();
        if (!idle && i % kTurn == 0) hold(stream, 2000);
        const double start = now_us();
        call();
        us.push_back(now_us() - start);
    }
    stream.wait();
    return spread_of(us);
}

// ---- subjects ------------------------------------------------------------------------------------------

void node_gap(Report &report);
void fork_join(Report &report);
void launch_time(Report &report);
void unroll(Report &report);
void while_node(Report &report);
void grid_sync(Report &report);
void cluster_barrier(Report &report);
void set_scalars(Report &report);

#endif

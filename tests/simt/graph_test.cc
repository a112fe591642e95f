/* Captures and graphs: what a capture holds and forbids, and how a graph is replayed. */
#include "simt_test.h"

#include <thread>

class Graph : public Simt
{
  protected:
    void SetUp() override
    {
        Simt::SetUp();
        ASSERT_EQ(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking), cudaSuccess);
        for (cudaEvent_t *event : {&fork, &join})
            ASSERT_EQ(cudaEventCreateWithFlags(event, cudaEventDisableTiming), cudaSuccess);
        ASSERT_EQ(run(fill_with_kernel), cudaSuccess); /* loaded from here on */
    }
    void TearDown() override
    {
        cudaGraphDestroy(graph);
        cudaGraphExecDestroy(exec);
        cudaEventDestroy(fork);
        cudaEventDestroy(join);
        cudaStreamDestroy(other);
        Simt::TearDown();
    }
    void begin(cudaStreamCaptureMode mode = cudaStreamCaptureModeThreadLocal)
    {
        ASSERT_EQ(cudaStreamBeginCapture(stream, mode), cudaSuccess);
    }
    cudaError_t end() { return cudaStreamEndCapture(stream, &graph); }
    void instantiate()
    {
        ASSERT_EQ(end(), cudaSuccess);
        ASSERT_EQ(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
        ASSERT_EQ(cudaGraphUpload(exec, stream), cudaSuccess);
    }
    /* The call fails, and so does the capture. */
    template <class Call> void expect_forbidden(const char *name, Call forbidden)
    {
        begin();
        EXPECT_NE(forbidden(), cudaSuccess) << name;
        cudaStreamCaptureStatus status;
        ASSERT_EQ(cudaStreamIsCapturing(stream, &status), cudaSuccess);
        EXPECT_EQ(status, cudaStreamCaptureStatusInvalidated) << name;
        EXPECT_NE(launch(fill_with_kernel), cudaSuccess) << name;
        EXPECT_EQ(end(), cudaErrorStreamCaptureInvalidated) << name;
        EXPECT_EQ(graph, nullptr);
        ASSERT_EQ(cudaStreamIsCapturing(stream, &status), cudaSuccess);
        EXPECT_EQ(status, cudaStreamCaptureStatusNone) << name;
    }
    size_t count_nodes()
    {
        size_t n = 0;
        EXPECT_EQ(cudaGraphGetNodes(graph, nullptr, &n), cudaSuccess);
        return n;
    }
    cudaStream_t other = nullptr;
    cudaEvent_t fork = nullptr, join = nullptr;
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t exec = nullptr;
};

TEST_F(Graph, RecordsAndReplays)
{
    begin();
    ASSERT_EQ(cudaMemcpyAsync(x, host, 4, cudaMemcpyHostToDevice, stream), cudaSuccess);
    ASSERT_EQ(cudaMemsetAsync(x + 1, 0, 4, stream), cudaSuccess);
    p.x = x + 2;
    p.n = 1;
    p.value = 5;
    ASSERT_EQ(launch(fill_with_kernel), cudaSuccess);
    instantiate();
    p.value = 6;
    EXPECT_NE(read()[2], 5) << "a capture runs nothing";
    ASSERT_EQ(cudaMemsetAsync(x, 1, 12, stream), cudaSuccess);
    host[0] = 7; /* read at the replay */
    ASSERT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
    const std::vector<float> y = read();
    EXPECT_EQ(y[0], 7);
    EXPECT_EQ(y[1], 0);
    EXPECT_EQ(y[2], 5);

    cudaGraphNode_t nodes[4] = {};
    size_t n = 4;
    ASSERT_EQ(cudaGraphGetNodes(graph, nodes, &n), cudaSuccess);
    ASSERT_EQ(n, 3u);
    const cudaGraphNodeType expected[] = {cudaGraphNodeTypeMemcpy, cudaGraphNodeTypeMemset, cudaGraphNodeTypeKernel};
    for (size_t i = 0; i < n; i++) {
        cudaGraphNodeType type;
        ASSERT_EQ(cudaGraphNodeGetType(nodes[i], &type), cudaSuccess);
        EXPECT_EQ(type, expected[i]);
    }
}

TEST_F(Graph, ShowsItsNodesWhileItIsCaptured)
{
    cudaStreamCaptureStatus status;
    cudaGraph_t under_way = nullptr;
    const auto look = [&] {
        return cudaStreamGetCaptureInfo(stream, &status, nullptr, &under_way, nullptr, nullptr, nullptr);
    };
    ASSERT_EQ(look(), cudaSuccess);
    EXPECT_EQ(status, cudaStreamCaptureStatusNone);
    EXPECT_EQ(under_way, nullptr);
    begin();
    ASSERT_EQ(launch(fill_with_kernel), cudaSuccess);
    ASSERT_EQ(launch(fill_with_kernel), cudaSuccess);
    ASSERT_EQ(look(), cudaSuccess);
    EXPECT_EQ(status, cudaStreamCaptureStatusActive);
    size_t n = 2;
    cudaGraphNode_t before[2], after[2];
    ASSERT_EQ(cudaGraphGetNodes(under_way, before, &n), cudaSuccess);
    ASSERT_EQ(end(), cudaSuccess);
    ASSERT_EQ(count_nodes(), 2u);
    ASSERT_EQ(cudaGraphGetNodes(graph, after, &n), cudaSuccess);
    EXPECT_EQ(before[0], after[0]);
    EXPECT_EQ(before[1], after[1]);
    EXPECT_NE(before[0], before[1]);
    EXPECT_EQ(cudaGraphGetNodes(under_way, nullptr, &n), cudaErrorInvalidValue) << "that capture is over";
}

TEST_F(Graph, BranchesWithoutAnEdgeRunInAnyOrder)
{
    begin();
    ASSERT_EQ(cudaEventRecord(fork, stream), cudaSuccess);
    ASSERT_EQ(cudaStreamWaitEvent(other, fork, 0), cudaSuccess);
    p.value = 1;
    ASSERT_EQ(launch_on(stream, fill_with_kernel, p, 4), cudaSuccess);
    p.value = 2;
    ASSERT_EQ(launch_on(other, fill_with_kernel, p, 4), cudaSuccess);
    ASSERT_EQ(cudaEventRecord(join, other), cudaSuccess);
    ASSERT_EQ(cudaStreamWaitEvent(stream, join, 0), cudaSuccess);
    ASSERT_EQ(copy_to_host(), cudaSuccess);
    instantiate();
    int first = 0;
    for (int i = 0; i < 40; i++) {
        ASSERT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
        ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
        first += host[0] == 1;
    }
    EXPECT_GT(first, 0);
    EXPECT_LT(first, 40);
}

TEST_F(Graph, EdgesOfEventsAreKept)
{
    begin();
    p.value = 1;
    ASSERT_EQ(launch_on(stream, fill_with_kernel, p, 4), cudaSuccess);
    ASSERT_EQ(cudaEventRecord(fork, stream), cudaSuccess);
    ASSERT_EQ(cudaStreamWaitEvent(other, fork, 0), cudaSuccess);
    p.value = 2;
    ASSERT_EQ(launch_on(other, fill_with_kernel, p, 4), cudaSuccess);
    ASSERT_EQ(cudaEventRecord(join, other), cudaSuccess);
    ASSERT_EQ(cudaStreamWaitEvent(stream, join, 0), cudaSuccess);
    instantiate();
    EXPECT_EQ(count_nodes(), 2u) << "events are edges, no nodes";
    for (int i = 0; i < 20; i++) {
        ASSERT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
        EXPECT_EQ(read()[0], 2);
    }
}

TEST_F(Graph, AMissingJoinIsAnError)
{
    begin();
    ASSERT_EQ(cudaEventRecord(fork, stream), cudaSuccess);
    ASSERT_EQ(cudaStreamWaitEvent(other, fork, 0), cudaSuccess);
    ASSERT_EQ(launch_on(other, fill_with_kernel, p), cudaSuccess);
    EXPECT_EQ(end(), cudaErrorStreamCaptureUnjoined);
    EXPECT_EQ(launch_on(other, fill_with_kernel, p), cudaSuccess) << "the other stream is free again";
    EXPECT_EQ(cudaStreamSynchronize(other), cudaSuccess);
}

TEST_F(Graph, ACaptureForbidsWhatIsUnsafe)
{
    void *memory = nullptr;
    cudaStream_t new_stream = nullptr;
    expect_forbidden("cudaMalloc", [&] { return cudaMalloc(&memory, 4); });
    expect_forbidden("cudaFree", [&] { return cudaFree(x); });
    expect_forbidden("cudaHostAlloc", [&] { return cudaHostAlloc(&memory, 4, cudaHostAllocDefault); });
    expect_forbidden("cudaFreeHost", [&] { return cudaFreeHost(host); });
    expect_forbidden("cudaStreamSynchronize", [&] { return cudaStreamSynchronize(stream); });
    expect_forbidden("cudaStreamSynchronize of another", [&] { return cudaStreamSynchronize(other); });
    expect_forbidden("cudaStreamQuery", [&] { return cudaStreamQuery(stream); });
    expect_forbidden("cudaStreamDestroy", [&] { return cudaStreamDestroy(stream); });
    expect_forbidden("cudaStreamCreateWithFlags", [&] { return cudaStreamCreateWithFlags(&new_stream, 0); });
    expect_forbidden("cudaEventQuery", [&] { return cudaEventQuery(fork); });
    expect_forbidden("cudaEventSynchronize", [&] { return cudaEventSynchronize(fork); });
    expect_forbidden("cudaStreamBeginCapture",
                     [&] { return cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal); });
    expect_forbidden("an event from outside", [&] {
        EXPECT_EQ(cudaEventRecord(fork, other), cudaSuccess);
        return cudaStreamWaitEvent(stream, fork, 0);
    });
    EXPECT_EQ(cudaStreamSynchronize(other), cudaSuccess);
}

TEST_F(Graph, AGraphInACaptureIsForbidden)
{
    begin();
    ASSERT_EQ(launch(fill_with_kernel), cudaSuccess);
    instantiate();
    ASSERT_EQ(cudaGraphDestroy(graph), cudaSuccess);
    expect_forbidden("cudaGraphLaunch", [&] { return cudaGraphLaunch(exec, stream); });
    expect_forbidden("cudaGraphExecDestroy", [&] { return cudaGraphExecDestroy(exec); });
}

TEST_F(Graph, TheLegacyStreamIsForbiddenBesideABlockingCapture)
{
    cudaStream_t blocking = nullptr;
    ASSERT_EQ(cudaStreamCreateWithFlags(&blocking, cudaStreamDefault), cudaSuccess);
    ASSERT_EQ(cudaStreamBeginCapture(blocking, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    EXPECT_EQ(cudaMemsetAsync(x, 0, 4, nullptr), cudaErrorStreamCaptureImplicit);
    EXPECT_EQ(cudaStreamEndCapture(blocking, &graph), cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeThreadLocal), cudaErrorStreamCaptureUnsupported);
    EXPECT_EQ(cudaStreamDestroy(blocking), cudaSuccess);
}

TEST_F(Graph, ARelaxedThreadMayDoWhatIsUnsafe)
{
    begin();
    cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
    ASSERT_EQ(cudaThreadExchangeStreamCaptureMode(&mode), cudaSuccess);
    EXPECT_EQ(mode, cudaStreamCaptureModeGlobal);
    void *memory = nullptr;
    EXPECT_EQ(cudaMalloc(&memory, 4), cudaSuccess);
    EXPECT_EQ(cudaFree(memory), cudaSuccess);
    ASSERT_EQ(cudaThreadExchangeStreamCaptureMode(&mode), cudaSuccess);
    EXPECT_EQ(mode, cudaStreamCaptureModeRelaxed);
    EXPECT_EQ(end(), cudaSuccess);
}

TEST_F(Graph, AThreadLocalCaptureLeavesOtherThreadsAlone)
{
    const auto allocate_elsewhere = [] {
        cudaError_t error = cudaSuccess;
        std::thread([&] {
            void *memory = nullptr;
            error = cudaMalloc(&memory, 4);
            if (!error) error = cudaFree(memory);
        }).join();
        return error;
    };
    begin();
    EXPECT_EQ(allocate_elsewhere(), cudaSuccess);
    EXPECT_EQ(end(), cudaSuccess);
    EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
    begin(cudaStreamCaptureModeGlobal);
    EXPECT_EQ(allocate_elsewhere(), cudaErrorStreamCaptureUnsupported);
    EXPECT_EQ(end(), cudaErrorStreamCaptureInvalidated);
}

TEST_F(Graph, OnlyItsThreadEndsACapture)
{
    begin();
    std::thread([&] { EXPECT_EQ(end(), cudaErrorStreamCaptureWrongThread); }).join();
    EXPECT_EQ(end(), cudaSuccess);
}

TEST_F(Graph, ACaptureWhoseEndFailsLeavesNothing)
{
    begin();
    ASSERT_EQ(launch(fill_with_kernel), cudaSuccess);
    simt_fail_call(1, cudaErrorUnknown);
    EXPECT_EQ(end(), cudaErrorUnknown);
    EXPECT_EQ(graph, nullptr);
    EXPECT_EQ(run(fill_with_kernel), cudaSuccess) << "the stream is free again";
}

TEST_F(Graph, AFirstLaunchInACaptureIsReported)
{
    begin();
    EXPECT_NE(launch(misaligned_kernel), cudaSuccess);
    expect_report("the first launch of misaligned is in a capture");
    EXPECT_EQ(end(), cudaErrorStreamCaptureInvalidated);
}

TEST_F(Graph, FreedMemoryIsReportedAtTheReplay)
{
    float *gone = nullptr;
    ASSERT_EQ(cudaMalloc(reinterpret_cast<void **>(&gone), N * sizeof(float)), cudaSuccess);
    begin();
    p.x = gone;
    ASSERT_EQ(launch(fill_with_kernel), cudaSuccess);
    instantiate();
    ASSERT_EQ(cudaFree(gone), cudaSuccess);
    ASSERT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
    expect_fault(cudaStreamSynchronize(stream), cudaErrorIllegalAddress, "points to freed memory");
}

TEST_F(Graph, AFreedPinnedBufferIsReportedAtTheReplay)
{
    void *buffer = nullptr;
    ASSERT_EQ(cudaHostAlloc(&buffer, 64, cudaHostAllocDefault), cudaSuccess);
    begin();
    ASSERT_EQ(cudaMemcpyAsync(x, buffer, 64, cudaMemcpyHostToDevice, stream), cudaSuccess);
    instantiate();
    ASSERT_EQ(cudaFreeHost(buffer), cudaSuccess);
    ASSERT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
    expect_fault(cudaStreamSynchronize(stream), cudaErrorIllegalAddress, "which is not pinned memory");
}

TEST_F(Graph, MayBeDestroyedWhileALaunchWaits)
{
    begin();
    ASSERT_EQ(launch_with(fill_with_kernel, 9), cudaSuccess);
    instantiate();
    ASSERT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
    ASSERT_EQ(cudaGraphDestroy(graph), cudaSuccess);
    ASSERT_EQ(cudaGraphExecDestroy(exec), cudaSuccess);
    EXPECT_EQ(read()[0], 9);
}

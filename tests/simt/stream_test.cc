/* Streams and events: what order they give, and that they give no more. */
#include "simt_test.h"

class Stream : public Simt
{
  protected:
    void SetUp() override
    {
        Simt::SetUp();
        ASSERT_EQ(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking), cudaSuccess);
        ASSERT_EQ(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), cudaSuccess);
    }
    void TearDown() override
    {
        cudaEventDestroy(event);
        cudaStreamDestroy(other);
        Simt::TearDown();
    }
    cudaError_t fill_in(cudaStream_t where, float value)
    {
        p.value = value;
        return launch_on(where, fill_with_kernel, p, N / 256);
    }
    cudaStream_t other = nullptr;
    cudaEvent_t event = nullptr;
};

TEST_F(Stream, IsLazy)
{
    host[0] = 0;
    ASSERT_EQ(launch_with(fill_with_kernel, 3), cudaSuccess);
    ASSERT_EQ(copy_to_host(), cudaSuccess);
    EXPECT_EQ(host[0], 0) << "nobody has waited";
    host[1] = 0;
    ASSERT_EQ(cudaStreamSynchronize(other), cudaSuccess);
    EXPECT_EQ(host[0], 0) << "somebody has waited for something else";
    ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    EXPECT_EQ(host[0], 3);
}

TEST_F(Stream, APinnedBufferReusedTooEarlyShows)
{
    host[0] = 1;
    ASSERT_EQ(cudaMemcpyAsync(x, host, 4, cudaMemcpyHostToDevice, stream), cudaSuccess);
    host[0] = 2;
    EXPECT_EQ(read()[0], 2);
}

TEST_F(Stream, EagerOneRunsAtOnce)
{
    simt_set_streams(SIMT_EAGER);
    ASSERT_EQ(launch_with(fill_with_kernel, 3), cudaSuccess);
    ASSERT_EQ(copy_to_host(), cudaSuccess);
    EXPECT_EQ(host[0], 3);
    EXPECT_EQ(cudaStreamQuery(stream), cudaSuccess);
}

TEST_F(Stream, QueriesGetThereInTheEnd)
{
    for (const int mode : {SIMT_LAZY, SIMT_RANDOM}) {
        simt_set_streams(mode);
        for (int i = 0; i < 5; i++) ASSERT_EQ(launch_with(fill_with_kernel, float(i)), cudaSuccess);
        ASSERT_EQ(cudaEventRecord(event, stream), cudaSuccess);
        for (int i = 0; i < 20 && cudaEventQuery(event) != cudaSuccess; i++) {
        }
        EXPECT_EQ(cudaEventQuery(event), cudaSuccess);
        for (int i = 0; i < 20 && cudaStreamQuery(stream) != cudaSuccess; i++) {
        }
        EXPECT_EQ(cudaStreamQuery(stream), cudaSuccess);
        EXPECT_EQ(read()[0], 4);
    }
    cudaGetLastError(); /* not ready */
}

TEST_F(Stream, WithoutAnEventThereIsNoOrder)
{
    ASSERT_EQ(fill_in(other, 1), cudaSuccess);
    ASSERT_EQ(fill_in(stream, 2), cudaSuccess);
    EXPECT_EQ(read()[0], 2);
    ASSERT_EQ(cudaStreamSynchronize(other), cudaSuccess);
    EXPECT_EQ(read()[0], 1) << "the work that was queued first came last";
}

TEST_F(Stream, AnEventGivesOrder)
{
    for (const int mode : {SIMT_LAZY, SIMT_EAGER, SIMT_RANDOM})
        for (uint64_t seed = 1; seed < 10; seed++) {
            simt_set_seed(seed);
            simt_set_streams(mode);
            ASSERT_EQ(fill_in(other, 1), cudaSuccess);
            ASSERT_EQ(cudaEventRecord(event, other), cudaSuccess);
            ASSERT_EQ(cudaStreamWaitEvent(stream, event, 0), cudaSuccess);
            ASSERT_EQ(fill_in(stream, 2), cudaSuccess);
            EXPECT_EQ(read()[0], 2);
            ASSERT_EQ(cudaStreamSynchronize(other), cudaSuccess);
            EXPECT_EQ(read()[0], 2);
        }
}

TEST_F(Stream, RandomOrderDiffersBySeed)
{
    simt_set_streams(SIMT_RANDOM);
    int first_won = 0, runs = 40;
    for (int seed = 1; seed <= runs; seed++) {
        simt_set_seed(uint64_t(seed));
        ASSERT_EQ(fill_in(other, 1), cudaSuccess);
        ASSERT_EQ(fill_in(stream, 2), cudaSuccess);
        ASSERT_EQ(cudaStreamSynchronize(other), cudaSuccess);
        first_won += read()[0] == 1;
    }
    EXPECT_GT(first_won, 0);
    EXPECT_LT(first_won, runs);
}

TEST_F(Stream, AWaitedEventRunsWhatIsBeforeItOnly)
{
    ASSERT_EQ(fill_in(stream, 1), cudaSuccess);
    ASSERT_EQ(copy_to_host(), cudaSuccess);
    ASSERT_EQ(cudaEventRecord(event, stream), cudaSuccess);
    ASSERT_EQ(fill_in(stream, 2), cudaSuccess);
    ASSERT_EQ(copy_to_host(), cudaSuccess);
    ASSERT_EQ(cudaEventSynchronize(event), cudaSuccess);
    EXPECT_EQ(host[0], 1);
    EXPECT_EQ(read()[0], 2);
}

TEST_F(Stream, TheLegacyStreamWaitsForBlockingOnesOnly)
{
    cudaStream_t blocking = nullptr;
    ASSERT_EQ(cudaStreamCreateWithFlags(&blocking, cudaStreamDefault), cudaSuccess);
    ASSERT_EQ(fill_in(blocking, 1), cudaSuccess);
    ASSERT_EQ(fill_in(nullptr, 2), cudaSuccess);
    ASSERT_EQ(fill_in(blocking, 3), cudaSuccess);
    ASSERT_EQ(fill_in(stream, 4), cudaSuccess);
    ASSERT_EQ(cudaMemcpyAsync(host, x, 4, cudaMemcpyDeviceToHost, nullptr), cudaSuccess);
    ASSERT_EQ(cudaStreamSynchronize(nullptr), cudaSuccess);
    EXPECT_EQ(host[0], 3);
    EXPECT_EQ(read()[0], 4);
    EXPECT_EQ(cudaStreamDestroy(blocking), cudaSuccess);
}

TEST_F(Stream, HandlesAreChecked)
{
    cudaStream_t gone = nullptr;
    ASSERT_EQ(cudaStreamCreateWithFlags(&gone, cudaStreamNonBlocking), cudaSuccess);
    ASSERT_EQ(cudaStreamDestroy(gone), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(gone), cudaErrorInvalidResourceHandle);
    EXPECT_EQ(cudaStreamDestroy(gone), cudaErrorInvalidResourceHandle);
    EXPECT_EQ(cudaEventRecord(event, gone), cudaErrorInvalidResourceHandle);
    EXPECT_EQ(cudaEventQuery(reinterpret_cast<cudaEvent_t>(this)), cudaErrorInvalidResourceHandle);
}

TEST_F(Stream, EventsBelongToADevice)
{
    ASSERT_EQ(cudaSetDevice(1), cudaSuccess);
    cudaEvent_t foreign = nullptr;
    ASSERT_EQ(cudaEventCreateWithFlags(&foreign, cudaEventDisableTiming), cudaSuccess);
    EXPECT_EQ(cudaEventRecord(foreign, stream), cudaErrorInvalidResourceHandle);
    EXPECT_EQ(cudaEventDestroy(foreign), cudaSuccess);
}

TEST_F(Stream, TimeElapsesBetweenEventsThatWereMadeForIt)
{
    cudaEvent_t first = nullptr, last = nullptr;
    ASSERT_EQ(cudaEventCreateWithFlags(&first, cudaEventDefault), cudaSuccess);
    ASSERT_EQ(cudaEventCreateWithFlags(&last, cudaEventDefault), cudaSuccess);
    float ms = -1;
    ASSERT_EQ(cudaEventRecord(first, stream), cudaSuccess);
    EXPECT_EQ(cudaEventElapsedTime(&ms, first, last), cudaErrorInvalidResourceHandle) << "one was never recorded";
    ASSERT_EQ(fill_in(stream, 1), cudaSuccess);
    ASSERT_EQ(cudaEventRecord(last, stream), cudaSuccess);
    EXPECT_EQ(cudaEventElapsedTime(&ms, first, last), cudaErrorNotReady);
    ASSERT_EQ(cudaEventSynchronize(last), cudaSuccess);
    EXPECT_EQ(cudaEventElapsedTime(&ms, first, last), cudaSuccess);
    EXPECT_GT(ms, 0);
    ASSERT_EQ(cudaEventRecord(event, stream), cudaSuccess);
    ASSERT_EQ(cudaEventSynchronize(event), cudaSuccess);
    EXPECT_EQ(cudaEventElapsedTime(&ms, first, event), cudaErrorInvalidResourceHandle) << "made without timing";
    EXPECT_EQ(cudaEventDestroy(first), cudaSuccess);
    EXPECT_EQ(cudaEventElapsedTime(&ms, first, last), cudaErrorInvalidResourceHandle);
    EXPECT_EQ(cudaEventDestroy(last), cudaSuccess);
}

/* Faults that last, reports that make a process fail, and every call failing in turn. */
#include "simt_test.h"

class Error : public Simt
{
};
using ErrorDeathTest = Error;

TEST_F(Error, AFaultIsReturnedByEveryLaterCall)
{
    p.n = 255;
    ASSERT_EQ(launch(early_exit_kernel), cudaSuccess) << "it shows when it runs";
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorLaunchFailure);
    simt_take_report();
    void *memory = nullptr;
    EXPECT_EQ(cudaMalloc(&memory, 4), cudaErrorLaunchFailure);
    EXPECT_EQ(launch(fill_with_kernel), cudaErrorLaunchFailure);
    EXPECT_EQ(cudaMemsetAsync(x, 0, 4, stream), cudaErrorLaunchFailure);
    EXPECT_EQ(cudaStreamQuery(stream), cudaErrorLaunchFailure);
    EXPECT_EQ(cudaPeekAtLastError(), cudaErrorLaunchFailure);
}

TEST_F(Error, AFaultMayComeWithALaterCall)
{
    simt_set_streams(SIMT_EAGER);
    p.n = 255;
    ASSERT_EQ(launch(early_exit_kernel), cudaSuccess);
    EXPECT_EQ(cudaMemsetAsync(x, 0, 4, stream), cudaErrorLaunchFailure);
    simt_take_report();
}

TEST_F(Error, AFaultLeavesTheOtherDeviceAlone)
{
    p.n = 255;
    EXPECT_EQ(run(early_exit_kernel), cudaErrorLaunchFailure);
    simt_take_report();
    EXPECT_EQ(cudaSetDevice(1), cudaSuccess);
    void *memory = nullptr;
    EXPECT_EQ(cudaMalloc(&memory, 4), cudaSuccess);
    EXPECT_EQ(cudaFree(memory), cudaSuccess);
    EXPECT_EQ(cudaSetDevice(0), cudaErrorLaunchFailure);
    int device = -1;
    EXPECT_EQ(cudaGetDevice(&device), cudaSuccess);
    EXPECT_EQ(device, 0);
}

TEST_F(Error, WorkBehindAFaultIsDropped)
{
    p.n = 255;
    ASSERT_EQ(launch(early_exit_kernel), cudaSuccess);
    ASSERT_EQ(launch(fill_with_kernel), cudaSuccess);
    ASSERT_EQ(copy_to_host(), cudaSuccess);
    host[0] = 5;
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorLaunchFailure);
    EXPECT_EQ(host[0], 5);
    simt_take_report();
}

TEST_F(Error, WhatReleasesWorksInSpiteOfAFault)
{
    void *memory = nullptr;
    ASSERT_EQ(cudaMalloc(&memory, 4), cudaSuccess);
    const size_t before = simt_objects();
    p.n = 255;
    EXPECT_EQ(run(early_exit_kernel), cudaErrorLaunchFailure);
    simt_take_report();
    EXPECT_EQ(cudaFree(memory), cudaErrorLaunchFailure);
    EXPECT_EQ(simt_objects(), before - 1);
}

TEST_F(ErrorDeathTest, AReportThatNobodyTakesFailsTheProcess)
{
    const auto end_with_report = [&] {
        cudaMemcpyAsync(x, &p, sizeof p, cudaMemcpyHostToDevice, stream);
        exit(0);
    };
    EXPECT_EXIT(end_with_report(), ::testing::ExitedWithCode(1), "the process fails for the report above");
}

TEST_F(Error, TheCallThatIsMeantFails)
{
    void *memory = nullptr;
    simt_fail_call(2, cudaErrorMemoryAllocation);
    ASSERT_EQ(cudaMalloc(&memory, 4), cudaSuccess);
    const size_t before = simt_objects();
    EXPECT_EQ(cudaFree(memory), cudaErrorMemoryAllocation);
    EXPECT_EQ(simt_objects(), before - 1) << "what releases, releases";
    simt_fail_call(1, cudaErrorMemoryAllocation);
    EXPECT_EQ(cudaMalloc(&memory, 4), cudaErrorMemoryAllocation);
    EXPECT_EQ(simt_objects(), before - 1);
    EXPECT_EQ(cudaMalloc(&memory, 4), cudaSuccess);
    EXPECT_EQ(cudaFree(memory), cudaSuccess);
}

TEST_F(Error, AnInjectedFaultLasts)
{
    simt_fail_call(1, cudaErrorIllegalAddress);
    EXPECT_EQ(launch(fill_with_kernel), cudaErrorIllegalAddress);
    EXPECT_EQ(launch(fill_with_kernel), cudaErrorIllegalAddress);
    simt_heal();
    EXPECT_EQ(launch(fill_with_kernel), cudaSuccess);
}

/* As tests of cutape do it: a sequence that stops at the first error, for every call of it. */
TEST_F(Error, EveryCallFailsInTurn)
{
    void *memory = nullptr;
    const auto sequence = [&] {
        cudaError_t error = cudaMalloc(&memory, 64);
        if (error) return error;
        error = cudaMemsetAsync(memory, 0, 64, stream);
        if (!error) error = launch(fill_with_kernel);
        const cudaError_t waited = cudaStreamSynchronize(stream), released = cudaFree(memory);
        return error ? error : waited ? waited : released;
    };
    const uint64_t before = simt_calls();
    ASSERT_EQ(sequence(), cudaSuccess);
    const uint64_t calls = simt_calls() - before;
    EXPECT_EQ(calls, 5u);
    const size_t alive = simt_objects();
    for (uint64_t n = 1; n <= calls; n++) {
        simt_fail_call(n, cudaErrorUnknown);
        EXPECT_EQ(sequence(), cudaErrorUnknown) << n;
        simt_heal();
        if (n == 4) { /* nobody has waited, and so freeing was wrong */
            expect_report("cudaFree of memory that queued work still uses");
            EXPECT_EQ(cudaFree(memory), cudaSuccess);
        }
        EXPECT_EQ(simt_objects(), alive) << n;
    }
}

TEST_F(Error, HasNamesAndTexts)
{
    EXPECT_STREQ(cudaGetErrorName(cudaErrorIllegalAddress), "cudaErrorIllegalAddress");
    EXPECT_STREQ(cudaGetErrorString(cudaErrorMemoryAllocation), "out of memory");
    EXPECT_STREQ(cudaGetErrorName(cudaError_t(12345)), "unrecognized error code");
}

TEST_F(Error, DevicesAreTwo)
{
    int n = 0;
    ASSERT_EQ(cudaGetDeviceCount(&n), cudaSuccess);
    EXPECT_EQ(n, 2);
    EXPECT_EQ(cudaSetDevice(2), cudaErrorInvalidDevice);
    cudaDeviceProp properties;
    ASSERT_EQ(cudaGetDeviceProperties(&properties, 1), cudaSuccess);
    int multiprocessors = 0;
    ASSERT_EQ(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, 1), cudaSuccess);
    EXPECT_EQ(multiprocessors, properties.multiProcessorCount);
}

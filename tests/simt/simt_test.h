/* What the tests of the stand-in share: a stream with memory, launches, and what a bug must lead to. */
#ifndef SIMT_SIMT_TEST_H
#define SIMT_SIMT_TEST_H

#include "fiber.h"
#include "kernels.h"
#include "simt.h"

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

enum { N = 1024 }; /* floats of the fixture's memory */

inline cudaError_t launch_on(cudaStream_t stream, const void *kernel, Parameter p, unsigned blocks = 1,
                             size_t shared = 0, unsigned threads = 256)
{
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(blocks);
    config.blockDim = dim3(threads);
    config.dynamicSmemBytes = shared;
    config.stream = stream;
    void *args[] = {&p};
    return cudaLaunchKernelExC(&config, kernel, args);
}

class Simt : public ::testing::Test
{
  protected:
    void SetUp() override
    {
        simt_heal();
        simt_set_seed(1);
        simt_set_streams(SIMT_LAZY);
        cudaSetDevice(0);
        objects = simt_objects();
        ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
        ASSERT_EQ(cudaMalloc(reinterpret_cast<void **>(&x), N * sizeof(float)), cudaSuccess);
        ASSERT_EQ(cudaHostAlloc(reinterpret_cast<void **>(&host), N * sizeof(float), cudaHostAllocDefault),
                  cudaSuccess);
        p = {x, nullptr, N, 0, 0};
    }

    void TearDown() override
    {
        simt_heal();
        cudaFree(x);
        cudaFreeHost(host);
        cudaStreamDestroy(stream);
        EXPECT_EQ(simt_objects(), objects) << "something was not released";
        EXPECT_STREQ(simt_take_report(), "");
    }

    cudaError_t launch(const void *kernel, unsigned blocks = 1, size_t shared = 0)
    {
        return launch_on(stream, kernel, p, blocks, shared);
    }
    cudaError_t launch_with(const void *kernel, float value)
    {
        p.value = value;
        return launch(kernel, N / 256);
    }
    cudaError_t run(const void *kernel, unsigned blocks = 1, size_t shared = 0)
    {
        const cudaError_t error = launch(kernel, blocks, shared);
        return error ? error : cudaStreamSynchronize(stream);
    }
    cudaError_t copy_to_host() { return cudaMemcpyAsync(host, x, N * sizeof(float), cudaMemcpyDeviceToHost, stream); }
    std::vector<float> read()
    {
        EXPECT_EQ(copy_to_host(), cudaSuccess);
        EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
        return std::vector<float>(host, host + N);
    }

    /* The check has spoken, and the fault stays. */
    void expect_fault(cudaError_t error, cudaError_t expected, const std::string &words)
    {
        EXPECT_EQ(error, expected);
        expect_report(words);
        EXPECT_EQ(cudaStreamSynchronize(stream), expected);
        EXPECT_EQ(cudaGetLastError(), expected);
        EXPECT_EQ(cudaGetLastError(), expected) << "a fault lasts";
    }
    void expect_report(const std::string &words)
    {
        const std::string report = simt_take_report();
        EXPECT_NE(report.find(words), std::string::npos) << "the report is: " << report;
        EXPECT_NE(report.find("CT_SIMT_SEED="), std::string::npos);
    }

    cudaStream_t stream = nullptr;
    float *x = nullptr, *host = nullptr;
    size_t objects = 0;
    Parameter p = {};
};

/* A bad access of a kernel: AddressSanitizer or UndefinedBehaviorSanitizer end the process. */
#if SIMT_ASAN
#define EXPECT_BAD_ACCESS(run, error, words) EXPECT_DEATH(run, "Sanitizer|runtime error")
#else
#define EXPECT_BAD_ACCESS(run, error, words) expect_fault(run, error, words)
#endif

#endif

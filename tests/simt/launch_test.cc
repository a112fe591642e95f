/* Launches: by value, within limits, of kernels that are known. */
#include "simt_test.h"

class Launch : public Simt
{
};

TEST_F(Launch, CopiesItsParameterAtTheCall)
{
    ASSERT_EQ(launch_with(fill_with_kernel, 3), cudaSuccess);
    p.value = 4;
    for (const float v : read()) EXPECT_EQ(v, 3);
}

TEST_F(Launch, StopsAtTheLimits)
{
    EXPECT_EQ(launch(fill_with_kernel, 0), cudaErrorInvalidConfiguration);
    EXPECT_EQ(launch_on(stream, fill_with_kernel, p, 1, 0, 1025), cudaErrorInvalidConfiguration);
    EXPECT_EQ(launch_on(stream, fill_with_kernel, p, 1, 0, 0), cudaErrorInvalidConfiguration);
    EXPECT_EQ(launch(fill_with_kernel, 1, 48 * 1024), cudaSuccess);
    EXPECT_EQ(launch(fill_with_kernel, 1, 48 * 1024 + 1), cudaErrorInvalidValue);
    EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidValue);
    EXPECT_EQ(cudaGetLastError(), cudaSuccess) << "such an error does not last";
}

TEST_F(Launch, KnowsKernelsAndStreams)
{
    EXPECT_EQ(launch(&p), cudaErrorInvalidDeviceFunction);
    EXPECT_EQ(launch_on(reinterpret_cast<cudaStream_t>(this), fill_with_kernel, p), cudaErrorInvalidResourceHandle);
    ASSERT_EQ(cudaSetDevice(1), cudaSuccess);
    EXPECT_EQ(launch(fill_with_kernel), cudaErrorInvalidResourceHandle) << "a stream of another device";
}

TEST_F(Launch, TakesNoAttributes)
{
    cudaLaunchConfig_t config = {};
    config.stream = stream;
    config.numAttrs = 1;
    void *args[] = {&p};
    EXPECT_EQ(cudaLaunchKernelExC(&config, fill_with_kernel, args), cudaErrorNotSupported);
}

TEST_F(Launch, OfAPartOfAWarpWorks)
{
    p.n = 37;
    p.value = 2;
    ASSERT_EQ(launch_on(stream, fill_with_kernel, p, 1, 0, 37), cudaSuccess);
    EXPECT_EQ(read()[36], 2);
}

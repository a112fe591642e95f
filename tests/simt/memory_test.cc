/* Memory: NaN at first, exact bounds, closed to the host, never at the same address twice. */
#include "simt_test.h"

#include <cmath>
#include <cstring>

class Memory : public Simt
{
};
using MemoryDeathTest = Memory;

TEST_F(Memory, IsFullOfNaN)
{
    for (const float v : read()) EXPECT_TRUE(std::isnan(v));
    char *large = nullptr, *back = nullptr;
    const size_t bytes = (20 << 20) + 12; /* longer than the file behind it */
    ASSERT_EQ(cudaMalloc(reinterpret_cast<void **>(&large), bytes), cudaSuccess);
    ASSERT_EQ(cudaHostAlloc(reinterpret_cast<void **>(&back), bytes, cudaHostAllocDefault), cudaSuccess);
    memset(back, 0, bytes);
    ASSERT_EQ(cudaMemcpyAsync(back, large, bytes, cudaMemcpyDeviceToHost, stream), cudaSuccess);
    ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    EXPECT_EQ(std::string(back, bytes), std::string(bytes, char(0xFF)));
    EXPECT_EQ(cudaFree(large), cudaSuccess);
    EXPECT_EQ(cudaFreeHost(back), cudaSuccess);
}

TEST_F(Memory, PinnedMemoryIsFullOfNaN)
{
    for (int i = 0; i < N; i++) EXPECT_TRUE(std::isnan(host[i]));
}

TEST_F(Memory, SharedMemoryIsFullOfNaNInEveryBlock)
{
    ASSERT_EQ(run(add_block_kernel, 2, 1024), cudaSuccess);
    ASSERT_EQ(run(copy_shared_kernel, 1, 1024), cudaSuccess);
    const std::vector<float> y = read();
    for (int t = 0; t < 256; t++) EXPECT_TRUE(std::isnan(y[t]));
}

TEST_F(Memory, WritingOneElementBehindIsReported)
{
    p.offset = N;
    EXPECT_BAD_ACCESS(run(write_at_kernel), cudaErrorIllegalAddress, "");
}

TEST_F(Memory, WritingBehindAnOddSizeIsReported)
{
    float *odd = nullptr;
    ASSERT_EQ(cudaMalloc(reinterpret_cast<void **>(&odd), 12), cudaSuccess);
    p.x = odd;
    p.offset = 3;
    EXPECT_BAD_ACCESS(run(write_at_kernel), cudaErrorIllegalAddress, "write outside of an allocation of 12 bytes");
    simt_heal();
    EXPECT_EQ(cudaFree(odd), cudaSuccess);
}

TEST_F(Memory, WritingBeforeIsReported)
{
    float *small = nullptr;
    ASSERT_EQ(cudaMalloc(reinterpret_cast<void **>(&small), 256), cudaSuccess);
    p.x = small;
    p.offset = size_t(0) - 1;
    EXPECT_BAD_ACCESS(run(write_at_kernel), cudaErrorIllegalAddress, "write outside of an allocation of 256 bytes");
    simt_heal();
    EXPECT_EQ(cudaFree(small), cudaSuccess);
}

TEST_F(Memory, ReadingFarBehindIsReported)
{
    p.offset = N + 4096;
    EXPECT_BAD_ACCESS(run(read_at_kernel), cudaErrorIllegalAddress, "which is no memory of a kernel");
}

TEST_F(Memory, SharedMemoryEndsWhereTheLaunchSays)
{
    p.offset = 255;
    EXPECT_EQ(run(write_shared_at_kernel, 1, 1024), cudaSuccess);
    p.offset = 256;
    EXPECT_BAD_ACCESS(run(write_shared_at_kernel, 1, 1024), cudaErrorIllegalAddress, "1024 bytes of shared memory");
}

TEST_F(Memory, MisalignedAccessIsReported)
{
    EXPECT_BAD_ACCESS(run(misaligned_kernel), cudaErrorMisalignedAddress, "misaligned access");
}

TEST_F(Memory, AStackOverflowIsReported)
{
    EXPECT_BAD_ACCESS(run(endless_recursion_kernel), cudaErrorIllegalAddress, "stack overflow");
}

TEST_F(Memory, AnIntegerDividedByZeroIsReported)
{
    p.n = 0;
    EXPECT_BAD_ACCESS(run(divide_by_zero_kernel), cudaErrorLaunchFailure, "integer division by zero");
}

#if SIMT_ASAN
TEST_F(MemoryDeathTest, AFloatTooLargeForAnIntegerIsReported)
{
    p.value = 1e20f;
    EXPECT_DEATH(run(float_to_int_kernel), "outside the range of representable values");
}
#endif

TEST_F(Memory, FreedMemoryInAnArgumentIsReported)
{
    float *gone = nullptr;
    ASSERT_EQ(cudaMalloc(reinterpret_cast<void **>(&gone), 4096), cudaSuccess);
    ASSERT_EQ(cudaFree(gone), cudaSuccess);
    p.x = gone;
    expect_fault(run(fill_with_kernel), cudaErrorIllegalAddress, "points to freed memory");
}

TEST_F(Memory, MemoryOfAnotherDeviceIsReported)
{
    float *other = nullptr;
    ASSERT_EQ(cudaSetDevice(1), cudaSuccess);
    ASSERT_EQ(cudaMalloc(reinterpret_cast<void **>(&other), 4096), cudaSuccess);
    ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
    p.x = other;
    expect_fault(run(fill_with_kernel), cudaErrorIllegalAddress, "points to another device's memory");
    simt_heal();
    EXPECT_EQ(cudaFree(other), cudaSuccess);
}

TEST_F(MemoryDeathTest, TheHostCannotTouchDeviceMemory)
{
    EXPECT_DEATH(*static_cast<volatile float *>(x) = 1, "");
    ASSERT_EQ(run(add_block_kernel, 1, 1024), cudaSuccess);
    EXPECT_DEATH(*static_cast<volatile float *>(x) = 1, "");
}

TEST_F(Memory, FreeingWhatQueuedWorkUsesIsReported)
{
    float *used = nullptr;
    ASSERT_EQ(cudaMalloc(reinterpret_cast<void **>(&used), N * sizeof(float)), cudaSuccess);
    p.x = used;
    ASSERT_EQ(launch(fill_with_kernel, 4), cudaSuccess);
    EXPECT_NE(cudaFree(used), cudaSuccess);
    expect_report("cudaFree of memory that queued work still uses");
    ASSERT_EQ(cudaMemcpyAsync(host, x, 4, cudaMemcpyDeviceToHost, stream), cudaSuccess);
    EXPECT_NE(cudaFreeHost(host), cudaSuccess);
    expect_report("cudaFreeHost of memory that queued work still uses");
    ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    EXPECT_EQ(cudaFree(used), cudaSuccess);
}

TEST_F(Memory, AddressesAreNotUsedTwice)
{
    void *first = nullptr, *second = nullptr;
    ASSERT_EQ(cudaMalloc(&first, 4096), cudaSuccess);
    ASSERT_EQ(cudaFree(first), cudaSuccess);
    ASSERT_EQ(cudaMalloc(&second, 4096), cudaSuccess);
    EXPECT_NE(first, second);
    EXPECT_NE(cudaFree(first), cudaSuccess) << "freed twice";
    EXPECT_NE(cudaFree(static_cast<char *>(second) + 256), cudaSuccess) << "not the beginning";
    EXPECT_EQ(cudaFree(second), cudaSuccess);
}

TEST_F(Memory, EndsAndIsCounted)
{
    simt_set_memory(64 << 20);
    size_t before = 0, after = 0, total = 0;
    void *most = nullptr, *more = nullptr;
    ASSERT_EQ(cudaMemGetInfo(&before, &total), cudaSuccess);
    EXPECT_EQ(total, size_t(64 << 20));
    ASSERT_EQ(cudaMalloc(&most, 60 << 20), cudaSuccess);
    ASSERT_EQ(cudaMemGetInfo(&after, &total), cudaSuccess);
    EXPECT_EQ(before - after, size_t(60 << 20));
    EXPECT_EQ(cudaMalloc(&more, 60 << 20), cudaErrorMemoryAllocation);
    EXPECT_EQ(cudaMalloc(&more, size_t(-1)), cudaErrorMemoryAllocation);
    ASSERT_EQ(cudaSetDevice(1), cudaSuccess);
    EXPECT_EQ(cudaMalloc(&more, 60 << 20), cudaSuccess) << "the other device has memory of its own";
    EXPECT_EQ(cudaFree(more), cudaSuccess);
    EXPECT_EQ(cudaFree(most), cudaSuccess);
    simt_set_memory(1 << 30);
}

TEST_F(Memory, PointersTellWhatTheyAre)
{
    cudaPointerAttributes attributes;
    ASSERT_EQ(cudaPointerGetAttributes(&attributes, x + 5), cudaSuccess);
    EXPECT_EQ(attributes.type, cudaMemoryTypeDevice);
    EXPECT_EQ(attributes.device, 0);
    ASSERT_EQ(cudaPointerGetAttributes(&attributes, host), cudaSuccess);
    EXPECT_EQ(attributes.type, cudaMemoryTypeHost);
    ASSERT_EQ(cudaPointerGetAttributes(&attributes, &attributes), cudaSuccess);
    EXPECT_EQ(attributes.type, cudaMemoryTypeUnregistered);
}

TEST_F(Memory, CopiesCheckBothSides)
{
    float local[4] = {};
    EXPECT_EQ(cudaMemcpyAsync(x, local, 16, cudaMemcpyHostToDevice, stream), cudaErrorInvalidValue);
    expect_report("which is not pinned memory");
    EXPECT_EQ(cudaMemcpyAsync(x, host, (N + 1) * 4, cudaMemcpyHostToDevice, stream), cudaErrorInvalidValue);
    EXPECT_EQ(cudaMemcpyAsync(x + N - 1, host, 8, cudaMemcpyHostToDevice, stream), cudaErrorInvalidValue);
    EXPECT_EQ(cudaMemcpyAsync(host, x, 16, cudaMemcpyHostToDevice, stream), cudaErrorInvalidValue) << "wrong way";
    EXPECT_EQ(cudaMemsetAsync(x, 0, (N + 1) * 4, stream), cudaErrorInvalidValue);
    EXPECT_EQ(cudaMemsetAsync(host, 0, 4, stream), cudaErrorInvalidValue);
}

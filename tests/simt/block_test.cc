/* Threads of a block: what works, and every way of not waiting rightly. */
#include "simt_test.h"

#include <cmath>

class Block : public Simt
{
};

TEST_F(Block, AddsThroughSharedMemoryAndBarriers)
{
    for (uint64_t seed = 1; seed < 20; seed++) {
        simt_set_seed(seed);
        ASSERT_EQ(run(add_block_kernel, 3, 1024), cudaSuccess);
        const std::vector<float> y = read();
        for (int block = 0; block < 3; block++) EXPECT_EQ(y[block], 255 * 128);
    }
}

TEST_F(Block, KnowsItsPlaceInTheGrid)
{
    ASSERT_EQ(run(number_blocks_kernel, 7), cudaSuccess);
    const std::vector<float> y = read();
    for (int block = 0; block < 7; block++) EXPECT_EQ(y[block], 7000 + block);
}

TEST_F(Block, ShufflesAndBallotsAsDocumented)
{
    ASSERT_EQ(run(shuffles_kernel), cudaSuccess);
    const std::vector<float> y = read();
    for (int t = 0; t < 256; t++) {
        EXPECT_EQ(y[t], t / 32 * 32 + 3);
        EXPECT_EQ(y[256 + t], t % 32 < 27 ? t + 5 : t);
        EXPECT_EQ(y[512 + t], (t % 32) ^ 8);
        EXPECT_EQ(y[768 + t], 31);
    }
}

TEST_F(Block, AtomicTicketsWrapAround)
{
    void *counter = nullptr;
    ASSERT_EQ(cudaMalloc(&counter, 8), cudaSuccess);
    ASSERT_EQ(cudaMemsetAsync(counter, 0, 8, stream), cudaSuccess);
    ASSERT_EQ(cudaMemsetAsync(x, 0, 4, stream), cudaSuccess);
    p.counter = static_cast<uint32_t *>(counter);
    for (int i = 0; i < 3; i++) ASSERT_EQ(run(count_blocks_kernel, 5), cudaSuccess);
    EXPECT_EQ(read()[0], 3);
    EXPECT_EQ(cudaFree(counter), cudaSuccess);
}

TEST_F(Block, AMissingBarrierShowsAsNaN)
{
    ASSERT_EQ(run(missing_barrier_kernel, 1, 1024), cudaSuccess);
    int unwritten = 0;
    const std::vector<float> y = read();
    for (int t = 0; t < 256; t++) unwritten += std::isnan(y[t]);
    EXPECT_GT(unwritten, 0);
}

TEST_F(Block, LanesOfAWarpDoNotRunInStep)
{
    ASSERT_EQ(run(missing_syncwarp_kernel, 1, 1024), cudaSuccess);
    int unwritten = 0;
    const std::vector<float> y = read();
    for (int t = 0; t < 256; t++) unwritten += std::isnan(y[t]);
    EXPECT_GT(unwritten, 0);
}

TEST_F(Block, BlocksRunInNoOrder)
{
    ASSERT_EQ(cudaMemsetAsync(x, 0, N * sizeof(float), stream), cudaSuccess);
    ASSERT_EQ(run(order_of_blocks_kernel, 20), cudaSuccess);
    EXPECT_NE(read()[20], 20);
}

TEST_F(Block, ASeedRepeatsARun)
{
    std::vector<std::vector<float>> results;
    for (const uint64_t seed : {5, 5, 6}) {
        simt_set_seed(seed);
        ASSERT_EQ(cudaMemsetAsync(x, 0, N * sizeof(float), stream), cudaSuccess);
        ASSERT_EQ(run(order_of_blocks_kernel, 50), cudaSuccess);
        results.push_back(read());
    }
    EXPECT_EQ(results[0], results[1]);
    EXPECT_NE(results[0], results[2]);
}

TEST_F(Block, BarriersAtTwoPlacesAreReported)
{
    expect_fault(run(two_barriers_kernel), cudaErrorLaunchFailure, "divergence: __syncthreads at");
}

TEST_F(Block, ABarrierOfSomeThreadsIsReported)
{
    expect_fault(run(barrier_of_some_kernel), cudaErrorLaunchFailure, "192 have ended; __syncthreads at");
}

TEST_F(Block, AnEarlyExitIsReported)
{
    p.n = 255;
    expect_fault(run(early_exit_kernel), cudaErrorLaunchFailure, "has 255 of 256 threads");
}

TEST_F(Block, AReportNamesKernelBlockAndSource)
{
    p.n = 255;
    EXPECT_EQ(run(early_exit_kernel), cudaErrorLaunchFailure);
    const std::string report = simt_take_report();
    EXPECT_NE(report.find("[early_exit, block 0, thread "), std::string::npos) << report;
    EXPECT_NE(report.find("kernels.cu:"), std::string::npos) << report;
}

TEST_F(Block, ALaneOutsideItsMaskIsReported)
{
    expect_fault(run(lane_outside_mask_kernel), cudaErrorLaunchFailure, "is not in the mask 0x0000ffff");
}

TEST_F(Block, AMaskOfSomeLanesIsReported)
{
    expect_fault(run(mask_of_some_kernel), cudaErrorLaunchFailure, "is not the whole warp");
}

TEST_F(Block, LanesThatMissAShuffleAreReported)
{
    expect_fault(run(shuffle_of_some_kernel), cudaErrorLaunchFailure, "__shfl_down_sync at");
}

TEST_F(Block, ReducesInTheFirstThreadOnly)
{
    for (uint64_t seed = 0; seed < 6; seed++) { /* every grouping */
        simt_set_seed(seed);
        ASSERT_EQ(run(block_sum_kernel, 1, 64), cudaSuccess);
        EXPECT_EQ(read()[0], 255 * 128);
        EXPECT_EQ(host[1], 256);
    }
    ASSERT_EQ(run(block_sum_everywhere_kernel, 1, 64), cudaSuccess);
    const std::vector<float> y = read();
    EXPECT_EQ(y[0], 256);
    for (int t = 1; t < 256; t++) EXPECT_TRUE(std::isnan(y[t])) << t;
}

TEST_F(Block, StorageOfAReductionUsedTwiceIsReported)
{
    expect_fault(run(block_sum_twice_kernel, 1, 64), cudaErrorLaunchFailure, "temporary storage");
}

TEST_F(Block, StorageOfAWarpUsedTwiceIsReported)
{
    p.n = 1; /* with a __syncwarp between */
    ASSERT_EQ(run(warp_sum_twice_kernel, 1, 64), cudaSuccess);
    EXPECT_EQ(read()[0], 31 * 16);
    EXPECT_EQ(host[1], 32);
    p.n = 0;
    expect_fault(run(warp_sum_twice_kernel, 1, 64), cudaErrorLaunchFailure, "temporary storage");
}

TEST_F(Block, WorksAfterAFaultWasTakenAway)
{
    p.n = 255;
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(run(early_exit_kernel), cudaErrorLaunchFailure);
        simt_take_report();
        simt_heal();
        ASSERT_EQ(run(add_block_kernel, 1, 1024), cudaSuccess);
        EXPECT_EQ(read()[0], 255 * 128);
    }
}

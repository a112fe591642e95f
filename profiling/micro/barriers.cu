// grid_sync: a barrier of a cooperative grid. cluster_barrier: one of a thread block cluster, of 8 and of 16
// blocks; both beside __syncthreads. What a step inside one launch would pay between its parts.
#include "micro.h"

#include <cooperative_groups.h>

namespace
{

namespace cg = cooperative_groups;

constexpr int kFew = 100, kMany = 1100;
constexpr unsigned kThreads = 256;

__global__ void __launch_bounds__(kThreads) grid_rounds(int rounds)
{
    cg::grid_group grid = cg::this_grid();
    for (int i = 0; i < rounds; i++) grid.sync();
}

// Clusters came with compute capability 9.0.
__global__ void __launch_bounds__(kThreads) cluster_rounds(int rounds)
{
#if __CUDA_ARCH__ >= 900
    cg::cluster_group cluster = cg::this_cluster();
    for (int i = 0; i < rounds; i++) cluster.sync();
#endif
}

__global__ void __launch_bounds__(kThreads) block_rounds(int rounds)
{
    for (int i = 0; i < rounds; i++) __syncthreads();
}

cudaLaunchConfig_t config_of(const Stream &stream, unsigned blocks, cudaLaunchAttribute *attribute)
{
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(blocks);
    config.blockDim = dim3(kThreads);
    config.stream = stream;
    config.attrs = attribute;
    config.numAttrs = attribute ? 1 : 0;
    return config;
}

// One round: what kMany rounds take more than kFew, shared out.
void time_rounds(Report &report, const char *subject, const std::string &name, const Stream &stream,
                 const cudaLaunchConfig_t &config, void (*kernel)(int))
{
    Spread us[2];
    const int rounds[2] = {kFew, kMany};
    for (int i = 0; i < 2; i++)
        us[i] = time_on_device(stream, 20, 100, [&] { CHECK(cudaLaunchKernelEx(&config, kernel, rounds[i])); });
    const double few = us[0].median, more = kMany - kFew;
    report.time(subject, name,
                {(us[1].median - few) / more, (us[1].low - few) / more, (us[1].high - few) / more, us[1].n});
}

} // namespace

void grid_sync(Report &report)
{
    Stream stream;
    if (!attribute_of_device(cudaDevAttrCooperativeLaunch)) {
        report.facts("grid_sync", "cooperative launch", {{"supported", "no"}});
        return;
    }
    const unsigned processors = static_cast<unsigned>(attribute_of_device(cudaDevAttrMultiProcessorCount));
    int fits = 0;
    CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&fits, grid_rounds, kThreads, 0));
    cudaLaunchAttribute attribute = {};
    attribute.id = cudaLaunchAttributeCooperative;
    attribute.val.cooperative = 1;
    for (unsigned blocks : {8u, 32u, processors, 2 * processors}) {
        if (blocks > processors * static_cast<unsigned>(fits)) continue;
        time_rounds(report, "grid_sync", std::to_string(blocks) + " blocks", stream,
                    config_of(stream, blocks, &attribute), grid_rounds);
    }
}

void cluster_barrier(Report &report)
{
    Stream stream;
    time_rounds(report, "cluster", "one block, __syncthreads", stream, config_of(stream, 1, nullptr), block_rounds);
    if (attribute_of_device(cudaDevAttrComputeCapabilityMajor) < 9) {
        report.facts("cluster", "thread block clusters", {{"supported", "no"}});
        return;
    }
    // Sixteen is more than the eight that every card grants.
    CHECK(cudaFuncSetAttribute(cluster_rounds, cudaFuncAttributeNonPortableClusterSizeAllowed, 1));
    for (unsigned size : {2u, 8u, 16u}) {
        cudaLaunchAttribute attribute = {};
        attribute.id = cudaLaunchAttributeClusterDimension;
        attribute.val.clusterDim.x = size;
        attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
        const std::string name = "cluster of " + std::to_string(size);
        cudaLaunchConfig_t config = config_of(stream, size, &attribute);
        int fit = 0;
        const cudaError_t status = cudaOccupancyMaxActiveClusters(&fit, cluster_rounds, &config);
        report.facts("cluster", name,
                     {{"status", cudaGetErrorName(status)}, {"clusters at once", std::to_string(fit)}});
        if (status != cudaSuccess || fit < 1) {
            (void)cudaGetLastError(); // not granted here: said above
            continue;
        }
        time_rounds(report, "cluster", name + ", alone", stream, config, cluster_rounds);
        config.gridDim = dim3(size * static_cast<unsigned>(fit));
        time_rounds(report, "cluster", name + ", as many as fit", stream, config, cluster_rounds);
    }
}

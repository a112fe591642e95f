// See timing.h.
#include "timing.h"

static size_t flush_bytes()
{
    const size_t cache = static_cast<size_t>(attribute_of_device(cudaDevAttrL2CacheSize));
    return std::max<size_t>(2 * cache, 128 << 20);
}

ColdTimer::ColdTimer(int repeats) : repeats_(repeats), flush_(flush_bytes()) {}

Spread ColdTimer::time(const std::function<void(cudaStream_t)> &work) const
{
    std::vector<double> us;
    for (int i = -3; i < repeats_; i++) { // three to warm up
        CHECK(cudaMemsetAsync(flush_.data(), i & 1, flush_.size(), stream_));
        CHECK(cudaEventRecord(start_, stream_));
        work(stream_);
        CHECK(cudaEventRecord(stop_, stream_));
        CHECK(cudaEventSynchronize(stop_));
        float ms = 0;
        CHECK(cudaEventElapsedTime(&ms, start_, stop_));
        if (i >= 0) us.push_back(1e3 * static_cast<double>(ms));
    }
    return spread_of(us);
}

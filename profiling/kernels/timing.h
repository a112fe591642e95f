// The time of one launch with nothing of its operands in a cache.
#ifndef CUTAPE_PROFILING_TIMING_H
#define CUTAPE_PROFILING_TIMING_H

#include "../micro/micro.h"

#include <functional>

class ColdTimer
{
  public:
    explicit ColdTimer(int repeats);

    // Device time of what `work` puts on the stream, in microseconds. Before each repeat a buffer of twice
    // the second-level cache is written: it takes the operands' place there, and keeps the stream busy until
    // the work behind it is queued, so that the host's time is not in the figure.
    Spread time(const std::function<void(cudaStream_t)> &work) const;

    cudaStream_t stream() const { return stream_; }

  private:
    int repeats_;
    Stream stream_;
    Event start_, stop_;
    Buffer<char> flush_;
};

#endif

// set_scalars: new values for the scalars of a step, in front of its graph. As arguments of a small kernel; by a
// copy from pinned memory; by a copy node that is part of the graph. Beside the graph with none of these.
#include "micro.h"

#include "cuda/cuda.h"

namespace
{

constexpr int kNodes = 8;

__global__ void store(const __grid_constant__ ct_scalar_batch batch)
{
    if (threadIdx.x < batch.n) batch.table[batch.slot[threadIdx.x]] = batch.value[threadIdx.x];
}

class PinnedScalars
{
  public:
    PinnedScalars() { CHECK(cudaMallocHost(&data_, CT_SCALARS_A_LAUNCH * sizeof(ct_scalar))); }
    PinnedScalars(const PinnedScalars &) = delete;
    PinnedScalars &operator=(const PinnedScalars &) = delete;
    ~PinnedScalars() { CHECK(cudaFreeHost(data_)); }
    ct_scalar *data() const { return data_; }

  private:
    ct_scalar *data_ = nullptr;
};

// A step with something in front of it: on the device, and on the host with the stream busy.
template <class F> void measure(Report &report, const Stream &stream, const std::string &name, F step)
{
    constexpr int kTimes = 10;
    report.time("set_scalars", name + ", a step on the device", time_on_device(stream, 50, 500, [&] {
                                                                    for (int i = 0; i < kTimes; i++) step();
                                                                }) / kTimes);
    report.time("set_scalars", name + ", a step on the host", time_of_call(stream, 320, false, step));
}

} // namespace

void set_scalars(Report &report)
{
    Stream stream;
    Buffer<float> x(kElements);
    Buffer<ct_scalar> table(CT_SCALARS_A_LAUNCH);
    PinnedScalars pinned;
    for (uint32_t i = 0; i < CT_SCALARS_A_LAUNCH; i++) pinned.data()[i] = {0.5 * i, 0.5f * static_cast<float>(i), 0};

    Graph graph(captured(stream, [&] { enqueue_chain(stream, Work::add_one, kNodes, x.data()); }), stream);
    measure(report, stream, "graph of 8 alone", [&] { graph.launch(stream); });

    for (uint32_t n : {1u, 8u, static_cast<uint32_t>(CT_SCALARS_A_LAUNCH)}) {
        const std::string scalars = std::to_string(n) + (n == 1 ? " scalar" : " scalars");
        ct_scalar_batch batch = {};
        batch.table = table.data();
        batch.n = n;
        for (uint32_t i = 0; i < n; i++) batch.slot[i] = i, batch.value[i] = pinned.data()[i];

        measure(report, stream, scalars + " by a kernel", [&] {
            store<<<1, CT_THREADS, 0, stream>>>(batch);
            CHECK(cudaGetLastError());
            graph.launch(stream);
        });
        const std::vector<ct_scalar> stored = table.read();
        for (uint32_t i = 0; i < n; i++) {
            if (stored[i].f64 == 0.5 * i) continue;
            report.facts("set_scalars", scalars, {{"result", "WRONG"}});
            std::exit(1);
        }

        auto copy = [&] {
            CHECK(cudaMemcpyAsync(table.data(), pinned.data(), n * sizeof(ct_scalar), cudaMemcpyHostToDevice, stream));
        };
        measure(report, stream, scalars + " by a pinned copy", [&] {
            copy();
            graph.launch(stream);
        });
        Graph with_copy(captured(stream,
                                 [&] {
                                     copy();
                                     enqueue_chain(stream, Work::add_one, kNodes, x.data());
                                 }),
                        stream);
        measure(report, stream, scalars + " by a copy node", [&] { with_copy.launch(stream); });
    }
}

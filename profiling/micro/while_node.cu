// while_node: a step inside a conditional WHILE node, per iteration, beside what the same nodes cost in line.
// The last node of the body counts down and says whether to go on.
#include "micro.h"

namespace
{

__global__ void start_counter(int *counter, int n) { *counter = n; }

__global__ void count_down(int *counter, cudaGraphConditionalHandle handle)
{
    const int left = *counter - 1;
    *counter = left;
    cudaGraphSetConditional(handle, left > 0);
}

// start_counter, then a WHILE node whose body has `nodes` nodes, the last one count_down.
cudaGraph_t make_loop(const Stream &stream, int iterations, int nodes, int *counter, float *x)
{
    cudaGraph_t graph = captured(stream, [&] {
        start_counter<<<1, 1, 0, stream>>>(counter, iterations);
        CHECK(cudaGetLastError());
    });
    cudaGraphNode_t first = nullptr, loop = nullptr;
    size_t n = 1;
    CHECK(cudaGraphGetNodes(graph, &first, &n));

    cudaGraphConditionalHandle handle;
    CHECK(cudaGraphConditionalHandleCreate(&handle, graph, 1, cudaGraphCondAssignDefault));
    cudaGraphNodeParams params = {};
    params.type = cudaGraphNodeTypeConditional;
    params.conditional.handle = handle;
    params.conditional.type = cudaGraphCondTypeWhile;
    params.conditional.size = 1;
    CHECK(cudaGraphAddNode(&loop, graph, &first, nullptr, 1, &params));

    cudaGraph_t body = params.conditional.phGraph_out[0], same = nullptr;
    CHECK(cudaStreamBeginCaptureToGraph(stream, body, nullptr, nullptr, 0, cudaStreamCaptureModeThreadLocal));
    enqueue_chain(stream, Work::add_one, nodes - 1, x);
    count_down<<<1, 1, 0, stream>>>(counter, handle);
    CHECK(cudaGetLastError());
    CHECK(cudaStreamEndCapture(stream, &same));
    return graph;
}

} // namespace

void while_node(Report &report)
{
    constexpr int kFew = 10, kMany = 1000;
    Stream stream;
    Buffer<int> counter(1);
    load_kernel(start_counter);
    load_kernel(count_down);
    for (int nodes : {1, 2, 8}) {
        double us[2] = {};
        Spread many;
        const std::string name = "body of " + std::to_string(nodes) + " nodes";
        for (int iterations : {kFew, kMany}) {
            Buffer<float> x(kElements);
            Graph loop(make_loop(stream, iterations, nodes, counter.data(), x.data()), stream);
            loop.launch(stream);
            stream.wait();
            if (!all_are(x, static_cast<double>(iterations) * (nodes - 1)) || counter.read()[0] != 0) {
                report.facts("while_node", name, {{"result", "WRONG"}});
                std::exit(1);
            }
            many = time_on_device(stream, 20, 200, [&] { loop.launch(stream); });
            us[iterations == kMany] = many.median;
            report.time("while_node", name + ", " + std::to_string(iterations) + " iterations", many);
        }
        const double few = us[0], more = kMany - kFew;
        report.time("while_node", name + ", each iteration more",
                    {(many.median - few) / more, (many.low - few) / more, (many.high - few) / more, many.n});
    }
}

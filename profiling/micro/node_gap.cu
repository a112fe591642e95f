// node_gap: the time a node of a linear graph takes, empty and with a little work, with and without programmatic
// dependent launch. fork_join: two branches beside each other against the same nodes in line.
#include "micro.h"

namespace
{

constexpr int kLaunches = 20; // of a graph, one behind the other

int64_t early_edges(cudaGraph_t graph)
{
    size_t n = 0;
    CHECK(cudaGraphGetEdges(graph, nullptr, nullptr, nullptr, &n));
    if (n == 0) return 0;
    std::vector<cudaGraphNode_t> from(n), to(n);
    std::vector<cudaGraphEdgeData> edges(n);
    CHECK(cudaGraphGetEdges(graph, from.data(), to.data(), edges.data(), &n));
    int64_t early = 0;
    for (const auto &edge : edges) early += edge.type == cudaGraphDependencyTypeProgrammatic;
    return early;
}

Spread time_launches(const Graph &graph, const Stream &stream)
{
    return time_on_device(stream, 50, 1000,
                          [&] {
                              for (int i = 0; i < kLaunches; i++) graph.launch(stream);
                          }) /
           kLaunches;
}

void chain(Report &report, const Stream &stream, Work work, bool early)
{
    const std::string name =
        std::string(work == Work::nothing ? "empty" : "add one") + (early ? ", programmatic dependent launch" : "");
    double us_of_10 = 0;
    for (int n : {1, 10, 100}) {
        Buffer<float> x(kElements);
        Graph graph(captured(stream, [&] { enqueue_chain(stream, work, n, x.data(), early); }), stream);
        graph.launch(stream);
        graph.launch(stream);
        stream.wait();
        if (work == Work::add_one && !all_are(x, 2 * n)) {
            report.facts("node_gap", name, {{"nodes", std::to_string(n)}, {"result", "WRONG"}});
            std::exit(1);
        }
        if (early)
            report.facts("node_gap", name + ", " + std::to_string(n) + " nodes",
                         {{"programmatic edges", std::to_string(early_edges(graph.graph()))}});
        const Spread us = time_launches(graph, stream);
        report.time("node_gap", name + ", graph of " + std::to_string(n), us);
        if (n == 10) us_of_10 = us.median;
        if (n == 100) {
            const double gap = (us.median - us_of_10) / 90;
            report.time("node_gap", name + ", each node more",
                        {gap, (us.low - us_of_10) / 90, (us.high - us_of_10) / 90, us.n});
        }
    }
}

// A node between the first and the last: busy for `us` microseconds, or a small one if that is 0.
void enqueue_middle(cudaStream_t stream, double us, float *x)
{
    if (us > 0)
        enqueue_busy(stream, us);
    else
        enqueue_chain(stream, Work::add_one, 1, x);
}

// One node, two beside each other, one node.
struct Fork {
    const Stream &stream, &other;
    Event forked{cudaEventDisableTiming}, joined{cudaEventDisableTiming};

    void enqueue(double us, float *x, float *y) const
    {
        enqueue_chain(stream, Work::add_one, 1, x);
        CHECK(cudaEventRecord(forked, stream));
        CHECK(cudaStreamWaitEvent(other, forked, 0));
        enqueue_middle(stream, us, x);
        enqueue_middle(other, us, y);
        CHECK(cudaEventRecord(joined, other));
        CHECK(cudaStreamWaitEvent(stream, joined, 0));
        enqueue_chain(stream, Work::add_one, 1, x);
    }
};

// The same nodes in line; `middle` of them stand between the first and the last.
void enqueue_line(const Stream &stream, double us, int middle, float *x)
{
    enqueue_chain(stream, Work::add_one, 1, x);
    for (int i = 0; i < middle; i++) enqueue_middle(stream, us, x);
    enqueue_chain(stream, Work::add_one, 1, x);
}

} // namespace

void node_gap(Report &report)
{
    Stream stream;
    for (Work work : {Work::nothing, Work::add_one})
        for (bool early : {false, true}) chain(report, stream, work, early);
}

void fork_join(Report &report)
{
    Stream stream, other;
    const Fork fork{stream, other};
    Buffer<float> x(kElements), y(kElements);
    for (int us : {0, 2, 10, 50}) {
        const std::string name =
            us > 0 ? "middle nodes of " + std::to_string(us) + " us" : std::string("middle nodes add one");
        for (int middle : {1, 2}) {
            Graph line(captured(stream, [&] { enqueue_line(stream, us, middle, x.data()); }), stream);
            report.time("fork_join", name + ", " + std::to_string(middle) + " in line", time_launches(line, stream));
        }
        Graph forked(captured(stream, [&] { fork.enqueue(us, x.data(), y.data()); }), stream);
        report.time("fork_join", name + ", 2 beside each other", time_launches(forked, stream));
    }
}

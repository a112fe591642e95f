// launch_time: what a graph launch costs the host, by the number of nodes and beside a plain kernel launch.
// unroll: a step of eight nodes played alone, and as graphs of 8 and 32 steps.
#include "micro.h"

void launch_time(Report &report)
{
    Stream stream;
    Buffer<float> x(kElements);
    auto both = [&](const std::string &name, auto call) {
        report.time("launch_time", name + ", stream idle", time_of_call(stream, 200, true, call));
        report.time("launch_time", name + ", stream busy", time_of_call(stream, 320, false, call));
    };
    both("one kernel, no graph", [&] { enqueue_chain(stream, Work::add_one, 1, x.data()); });
    for (int n : {1, 2, 4, 8, 16, 32, 100, 512}) {
        Graph graph(captured(stream, [&] { enqueue_chain(stream, Work::add_one, n, x.data()); }), stream);
        both("graph of " + std::to_string(n), [&] { graph.launch(stream); });
    }
}

void unroll(Report &report)
{
    constexpr int kNodes = 8, kSteps = 96, kWalls = 20;
    Stream stream;
    for (int k : {1, 8, 32}) {
        Buffer<float> x(kElements);
        Graph graph(captured(stream, [&] { enqueue_chain(stream, Work::add_one, kNodes * k, x.data()); }), stream);
        auto play = [&] {
            for (int i = 0; i < kSteps / k; i++) graph.launch(stream);
        };
        const std::string name = "graphs of " + std::to_string(k) + " steps of 8";
        report.time("unroll", name + ", a step on the device", time_on_device(stream, 30, 2000, play) / kSteps);

        // As a user's clock sees it: from the first launch until all is done, and until all is queued.
        std::vector<double> wall, host;
        for (int i = 0; i < kWalls; i++) {
            stream.wait();
            const double start = now_us();
            play();
            host.push_back((now_us() - start) / kSteps);
            stream.wait();
            wall.push_back((now_us() - start) / kSteps);
        }
        report.time("unroll", name + ", a step of 96 by the wall clock", spread_of(wall));
        report.time("unroll", name + ", a step of 96 on the host", spread_of(host));
    }
}

// The microbenchmarks: figures of the device on which the runtime's design rests.
// usage: micro_bench [--json FILE] [SUBJECT...]; without a subject, all of them.
#include "micro.h"

#include <cstring>

static const struct {
    const char *name;
    void (*run)(Report &);
} subjects[] = {{"node_gap", node_gap},       {"fork_join", fork_join},    {"launch_time", launch_time},
                {"unroll", unroll},           {"while_node", while_node},  {"grid_sync", grid_sync},
                {"cluster", cluster_barrier}, {"set_scalars", set_scalars}};

int main(int argc, char **argv)
{
    Report report(take_json(argc, argv));
    for (int i = 1; i < argc; i++) {
        bool known = false;
        for (const auto &subject : subjects) known = known || std::strcmp(argv[i], subject.name) == 0;
        if (known) continue;
        std::fprintf(stderr, "micro_bench: no subject %s; there are", argv[i]);
        for (const auto &subject : subjects) std::fprintf(stderr, " %s", subject.name);
        std::fprintf(stderr, "\n");
        return 2;
    }
    CHECK(cudaSetDevice(0));
    warm_up();
    for (const auto &subject : subjects) {
        bool wanted = argc == 1;
        for (int i = 1; i < argc; i++) wanted = wanted || std::strcmp(argv[i], subject.name) == 0;
        if (wanted) subject.run(report);
    }
    CHECK(cudaDeviceSynchronize());
    return 0;
}

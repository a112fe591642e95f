// The training steps of step_bench.cc on a device of choice, without Google Benchmark: one line for each network
// and manner, so that in_turns.py can alternate them with another library's. In microseconds a step:
//
//   replay    many steps in one call, until all are done
//   replay-1  a call a step, until all are done
//   host      a call a step: what the calls take, the device's work left out
//   record    recorded each time and found in the cache, until all are done
//   nodes, launches   no times: kernels of a step, and what is handed to the device for one
//
// usage: train_bench [--device cpu|cuda] [--seconds S] [NETWORK MANNER]
//        train_bench --serve [...]             answers lines "NETWORK MANNER" on stdin
//        train_bench --steps N [...] NETWORK MANNER   that many steps and no times, for a profiler
#include "../trainer.h"

#include <iostream>
#include <map>
#include <memory>
#include <string>

namespace
{

struct Options {
    int32_t device = CT_DEVICE_CUDA;
    double seconds = 0.5; // for each line
    bool serve = false;
    int64_t steps = 0;
    std::string network, manner;
};

const std::map<std::string, const Network *> networks = {{"784-128-10", &kFashion}, {"32-64-64-1", &kTabular}};
const char *const manners[] = {"nodes", "launches", "replay", "replay-1", "host", "record"};

[[noreturn]] void usage(const std::string &why)
{
    std::fprintf(stderr,
                 "train_bench: %s\nusage: train_bench [--device cpu|cuda] [--seconds S] [--serve] [--steps N] "
                 "[NETWORK MANNER]\nnetworks:",
                 why.c_str());
    for (const auto &[name, network] : networks) std::fprintf(stderr, " %s", name.c_str());
    std::fprintf(stderr, "\nmanners:");
    for (const char *manner : manners) std::fprintf(stderr, " %s", manner);
    std::fprintf(stderr, "\n");
    std::exit(2);
}

// kTurn steps, whose time is what `seconds` adds up.
void one_turn(Trainer &trainer, const std::string &manner, double &seconds)
{
    const double start = now();
    if (manner == "replay") {
        trainer.enqueue(kTurn);
    } else if (manner == "record") {
        for (int i = 0; i < kTurn; i++) trainer.step();
    } else {
        for (int i = 0; i < kTurn; i++) trainer.enqueue(1);
    }
    if (manner == "host") seconds += now() - start;
    trainer.wait();
    if (manner != "host") seconds += now() - start;
}

double measure(Trainer &trainer, const std::string &manner, double seconds_wanted)
{
    if (manner == "nodes") return static_cast<double>(trainer.stats().nodes);
    if (manner == "launches") {
        const int64_t before = trainer.stats().launches;
        trainer.replay(1);
        return static_cast<double>(trainer.stats().launches - before);
    }
    double unused = 0, seconds = 0;
    one_turn(trainer, manner, unused);
    int64_t steps = 0;
    for (const double start = now(); now() - start < seconds_wanted; steps += kTurn) one_turn(trainer, manner, seconds);
    return 1e6 * seconds / static_cast<double>(steps);
}

class Bench
{
  public:
    explicit Bench(const Options &options) : options_(options) {}

    void line(const std::string &network, const std::string &manner)
    {
        std::printf("%s %s %.3f\n", network.c_str(), manner.c_str(),
                    measure(trainer(network), manner, options_.seconds));
        std::fflush(stdout);
    }

    void play(const std::string &network, const std::string &manner, int64_t steps)
    {
        Trainer &t = trainer(network);
        if (manner == "replay") {
            t.replay(steps);
            return;
        }
        for (int64_t i = 0; i < steps; i++) manner == "record" ? t.step() : t.enqueue(1);
        t.wait();
    }

  private:
    Trainer &trainer(const std::string &network)
    {
        auto &trainer = trainers_[network];
        if (!trainer) trainer = std::make_unique<Trainer>(*networks.at(network), options_.device);
        return *trainer;
    }

    const Options options_;
    std::map<std::string, std::unique_ptr<Trainer>> trainers_;
};

void check(const std::string &network, const std::string &manner)
{
    if (!networks.count(network)) usage("no network " + network);
    for (const char *known : manners)
        if (manner == known) return;
    usage("no manner " + manner);
}

Options parse(int argc, char **argv)
{
    Options o;
    std::vector<std::string> words;
    for (int i = 1; i < argc; i++) {
        const std::string word = argv[i];
        auto value = [&]() -> std::string {
            if (++i == argc) usage(word + " needs a value");
            return argv[i];
        };
        if (word == "--serve") {
            o.serve = true;
        } else if (word == "--device") {
            const std::string device = value();
            if (device != "cpu" && device != "cuda") usage("no device " + device);
            o.device = device == "cpu" ? CT_DEVICE_CPU : CT_DEVICE_CUDA;
        } else if (word == "--seconds") {
            o.seconds = std::atof(value().c_str());
        } else if (word == "--steps") {
            o.steps = std::atoll(value().c_str());
        } else if (word.compare(0, 2, "--") == 0) {
            usage("no option " + word);
        } else {
            words.push_back(word);
        }
    }
    if (words.size() != 0 && words.size() != 2) usage("give a network and a manner, or neither");
    if (words.size() == 2) {
        check(words[0], words[1]);
        o.network = words[0], o.manner = words[1];
    } else if (o.steps > 0) {
        usage("--steps needs a network and a manner");
    }
    return o;
}

} // namespace

int main(int argc, char **argv)
{
    const Options options = parse(argc, argv);
    Bench bench(options);
    if (options.serve) {
        for (std::string network, manner; std::cin >> network >> manner;) {
            check(network, manner);
            bench.line(network, manner);
        }
    } else if (options.steps > 0) {
        bench.play(options.network, options.manner, options.steps);
    } else if (!options.network.empty()) {
        bench.line(options.network, options.manner);
    } else {
        for (const auto &[name, network] : networks)
            for (const char *manner : manners) bench.line(name, manner);
    }
    return 0;
}

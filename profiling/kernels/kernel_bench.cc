// Every kernel of cutape alone on a GPU: checked against the CPU's, then timed with cold caches, beside the CPU
// (one thread, caches as they are) and, where there is one, beside somebody else's kernel. One line a case.
//
//   kernel_bench [--filter TEXT] [--csv] [--repeats N] [--list]
#include "problem.h"
#include "timing.h"

#include <cstring>

namespace
{

struct Options {
    const char *filter = "";
    bool csv = false, list = false;
    int repeats = 30;
};

[[noreturn]] void usage()
{
    std::fprintf(stderr, "usage: kernel_bench [options]\n\n"
                         "  --filter TEXT  only cases with TEXT in \"kernel dtype shape\"\n"
                         "  --csv          comma-separated, for a program to read\n"
                         "  --repeats N    of which the median is given (30)\n"
                         "  --list         the cases, and nothing is run\n");
    std::exit(2);
}

Options parse(int argc, char **argv)
{
    Options o;
    for (int i = 1; i < argc; i++) {
        if (!std::strcmp(argv[i], "--csv"))
            o.csv = true;
        else if (!std::strcmp(argv[i], "--list"))
            o.list = true;
        else if (!std::strcmp(argv[i], "--filter") && i + 1 < argc)
            o.filter = argv[++i];
        else if (!std::strcmp(argv[i], "--repeats") && i + 1 < argc && std::atoi(argv[i + 1]) > 0)
            o.repeats = std::atoi(argv[++i]);
        else
            usage();
    }
    return o;
}

struct Line {
    Spread us;
    double bytes = 0, flops = 0, error = 0, cpu_us = 0;
    bool right = true;
    std::string rival;
    double rival_us = 0;
};

// Bytes a microsecond are megabytes a second.
double giga_a_second(double amount, double us) { return us > 0 ? amount / us * 1e-3 : 0; }

void print_header(bool csv)
{
    if (csv)
        std::printf("kernel,dtype,shape,us,us_low,us_high,gb_s,gflop_s,error,right,cpu_us,rival,rival_us\n");
    else
        std::printf("%-19s %-5s %-28s %10s %20s %9s %10s %9s %11s  %s\n", "kernel", "dtype", "shape", "us",
                    "(of 80 in 100)", "GB/s", "GFLOP/s", "error", "CPU us", "beside");
}

void print(const Case &c, const Line &l, bool csv)
{
    const double gb = giga_a_second(l.bytes, l.us.median), gflop = giga_a_second(l.flops, l.us.median);
    if (csv) {
        std::printf("%s,%s,%s,%.3f,%.3f,%.3f,%.1f,%.1f,%.2e,%d,%.1f,%s,%.3f\n", c.kernel.c_str(), name_of(c.dtype),
                    c.shape.c_str(), l.us.median, l.us.low, l.us.high, gb, gflop, l.error, l.right, l.cpu_us,
                    l.rival.c_str(), l.rival_us);
    } else {
        std::printf("%-19s %-5s %-28s %10.2f %9.2f to %7.2f %9.1f %10.1f %9.1e %11.1f ", c.kernel.c_str(),
                    name_of(c.dtype), c.shape.c_str(), l.us.median, l.us.low, l.us.high, gb, gflop, l.error, l.cpu_us);
        if (!l.rival.empty()) std::printf(" %s %.2f us", l.rival.c_str(), l.rival_us);
        std::printf("%s\n", l.right ? "" : " WRONG");
    }
    std::fflush(stdout);
}

// Runs `work` once on fresh operands, and tells how far the outputs are from the CPU's.
double checked(Problem &p, const ColdTimer &timer, const std::function<void(cudaStream_t)> &work)
{
    p.upload();
    work(timer.stream());
    CHECK(cudaStreamSynchronize(timer.stream()));
    return p.error();
}

Line run(const Case &c, const ColdTimer &timer)
{
    Problem p = c.make();
    Line l;
    l.bytes = p.bytes;
    l.flops = p.flops;
    l.cpu_us = p.run_on_cpu();
    const auto launch = [&p](cudaStream_t stream) { p.launch(stream); };
    l.error = checked(p, timer, launch);
    l.right = l.error <= p.tolerance;
    if (!l.right) return l;
    l.us = timer.time(launch);
    if (!p.rival.run) return l;
    l.rival = p.rival.name;
    if (checked(p, timer, p.rival.run) > p.tolerance)
        l.rival += " (differs)";
    else
        l.rival_us = timer.time(p.rival.run).median;
    return l;
}

Cases all_cases()
{
    Cases cases;
    elementwise_cases(cases);
    move_cases(cases);
    reduce_cases(cases);
    gemm_cases(cases);
    norm_cases(cases);
    loss_cases(cases);
    random_cases(cases);
    update_cases(cases);
    gather_cases(cases);
    return cases;
}

bool matches(const Case &c, const char *filter)
{
    return (c.kernel + " " + name_of(c.dtype) + " " + c.shape).find(filter) != std::string::npos;
}

// What the events themselves and an empty stream between them take: no figure can be below it.
void print_floor(const ColdTimer &timer)
{
    int device = 0;
    cudaDeviceProp properties;
    CHECK(cudaGetDevice(&device));
    CHECK(cudaGetDeviceProperties(&properties, device));
    std::printf("%s; %.2f us between two events with nothing between them\n\n", properties.name,
                timer.time([](cudaStream_t) {}).median);
}

} // namespace

int main(int argc, char **argv)
{
    const Options options = parse(argc, argv);
    const Cases cases = all_cases();
    if (options.list) {
        for (const Case &c : cases)
            if (matches(c, options.filter))
                std::printf("%s %s %s\n", c.kernel.c_str(), name_of(c.dtype), c.shape.c_str());
        return 0;
    }
    const ColdTimer timer(options.repeats);
    if (!options.csv) print_floor(timer);
    print_header(options.csv);
    int wrong = 0;
    for (const Case &c : cases) {
        if (!matches(c, options.filter)) continue;
        const Line line = run(c, timer);
        print(c, line, options.csv);
        wrong += !line.right;
    }
    if (wrong) std::fprintf(stderr, "%d cases differ from the CPU\n", wrong);
    return wrong > 0;
}

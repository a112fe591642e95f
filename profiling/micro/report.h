// What the programs of this folder print: a line a result, and the same as JSON for a file.
// A time is given as the median of many repeats, with the 10th and the 90th of a hundred.
#ifndef CUTAPE_PROFILING_REPORT_H
#define CUTAPE_PROFILING_REPORT_H

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

struct Spread {
    double median = 0, low = 0, high = 0;
    size_t n = 0;
};

inline Spread spread_of(std::vector<double> values)
{
    if (values.empty()) return {};
    std::sort(values.begin(), values.end());
    const size_t n = values.size();
    return {values[n / 2], values[n / 10], values[n - 1 - n / 10], n};
}

inline Spread operator/(const Spread &s, double by) { return {s.median / by, s.low / by, s.high / by, s.n}; }

class Report
{
  public:
    using Facts = std::vector<std::pair<std::string, std::string>>;

    // Appends to the file `path`; none if it is NULL.
    explicit Report(const char *path)
    {
        if (!path) return;
        file_ = std::fopen(path, "a");
        if (file_) return;
        std::perror(path);
        std::exit(1);
    }
    Report(const Report &) = delete;
    Report &operator=(const Report &) = delete;
    ~Report()
    {
        if (file_) std::fclose(file_);
    }

    void time(const std::string &subject, const std::string &which, const Spread &us)
    {
        std::printf("%-12s %-52s %10.3f us  (%.3f to %.3f, %zu times)\n", subject.c_str(), which.c_str(), us.median,
                    us.low, us.high, us.n);
        char numbers[160];
        std::snprintf(numbers, sizeof numbers, "\"us\": %.4f, \"low\": %.4f, \"high\": %.4f, \"repeats\": %zu",
                      us.median, us.low, us.high, us.n);
        write(subject, which, numbers);
    }

    // Facts that are no times; the values are printed as they are and quoted in JSON.
    void facts(const std::string &subject, const std::string &which, const Facts &facts)
    {
        std::printf("%-12s %-52s", subject.c_str(), which.c_str());
        std::string fields;
        for (const auto &[name, value] : facts) {
            std::printf(" %s: %s ", name.c_str(), value.c_str());
            fields += (fields.empty() ? "" : ", ") + quoted(name) + ": " + quoted(value);
        }
        std::printf("\n");
        write(subject, which, fields);
    }

  private:
    static std::string quoted(const std::string &text)
    {
        std::string out = "\"";
        for (char c : text) {
            if (c == '"' || c == '\\') out += '\\';
            out += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
        }
        return out + '"';
    }

    // Flushed each time, so that a program that is cut short leaves what it measured.
    void write(const std::string &subject, const std::string &which, const std::string &fields)
    {
        std::fflush(stdout);
        if (!file_) return;
        std::fprintf(file_, "{\"subject\": %s, \"case\": %s, %s}\n", quoted(subject).c_str(), quoted(which).c_str(),
                     fields.c_str());
        std::fflush(file_);
    }

    std::FILE *file_ = nullptr;
};

// Takes `--json FILE` out of the arguments; NULL if it is not there.
inline const char *take_json(int &argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i++) {
        if (std::string(argv[i]) != "--json") continue;
        const char *path = argv[i + 1];
        std::copy(argv + i + 2, argv + argc, argv + i);
        argc -= 2;
        return path;
    }
    return nullptr;
}

#endif

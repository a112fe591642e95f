// Random cotangents and directions for the tests of derivatives, the same for a sample in every run.
#ifndef CUTAPE_TESTS_DIRECTIONS_H
#define CUTAPE_TESTS_DIRECTIONS_H

#include "ops/samples.h"

#include <random>

inline double dot(const std::vector<double> &a, const std::vector<double> &b)
{
    if (a.size() != b.size()) throw std::runtime_error("dot: lengths differ");
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
}

inline std::mt19937_64 seeded_by(const std::string &name)
{
    std::seed_seq seed(name.begin(), name.end());
    return std::mt19937_64(seed);
}

// In [-1, -1/8] or [1/8, 1]: nothing is hidden by a factor near zero. Exact in f32.
inline std::vector<double> random_values(std::mt19937_64 &random, size_t n)
{
    std::vector<double> values(n);
    for (double &value : values) {
        const double size = 0.125 + 0.875 * (static_cast<double>(random() >> 44) * 0x1p-20);
        value = random() & 1 ? size : -size;
    }
    return values;
}

#endif

// Compares arrays of numbers. A NaN equals a NaN and nothing else, an infinity
// equals itself and nothing else, and other numbers are alike if
// |actual - expected| <= absolute + relative * |expected|.
#ifndef CUTAPE_TESTS_COMPARE_H
#define CUTAPE_TESTS_COMPARE_H

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdio>
#include <vector>

struct Tolerance {
    double relative, absolute;
};

inline bool is_close(double actual, double expected, Tolerance tolerance)
{
    if (std::isnan(expected)) return std::isnan(actual);
    if (std::isinf(expected)) return actual == expected;
    // A NaN fails this comparison too: keep it in this direction.
    return std::fabs(actual - expected) <= tolerance.absolute + tolerance.relative * std::fabs(expected);
}

// For EXPECT_TRUE: on failure it names the first elements that differ, and the worst.
inline ::testing::AssertionResult all_close(const std::vector<double> &actual, const std::vector<double> &expected,
                                            Tolerance tolerance)
{
    if (actual.size() != expected.size())
        return ::testing::AssertionFailure() << actual.size() << " elements, expected " << expected.size();

    size_t wrong = 0;
    ::testing::Message first;
    double worst = 0;
    for (size_t i = 0; i < actual.size(); ++i) {
        if (is_close(actual[i], expected[i], tolerance)) continue;
        const double error = std::fabs(actual[i] - expected[i]);
        if (error > worst) worst = error;
        if (++wrong <= 5) {
            char line[128];
            std::snprintf(line, sizeof line, "\n  [%zu] %.17g, expected %.17g", i, actual[i], expected[i]);
            first << line;
        }
    }
    if (wrong == 0) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << wrong << " of " << actual.size() << " elements differ (relative "
                                         << tolerance.relative << ", absolute " << tolerance.absolute
                                         << "; largest error " << worst << "):" << first.GetString();
}

// Equal to the last bit, any NaN standing for any other.
inline ::testing::AssertionResult same_bits(const std::vector<double> &actual, const std::vector<double> &expected)
{
    for (size_t i = 0; i < actual.size() && i < expected.size(); ++i)
        if (actual[i] == expected[i] && std::signbit(actual[i]) != std::signbit(expected[i]))
            return ::testing::AssertionFailure() << "[" << i << "] the sign of a zero differs";
    return all_close(actual, expected, {0, 0});
}

#endif

// What the tests of anomaly mode share: a context in that mode, and what it has logged.
#ifndef CUTAPE_TESTS_ANOMALY_TEST_H
#define CUTAPE_TESTS_ANOMALY_TEST_H

#include "program/program_test.h"
#include "support/errors.h"

#include <limits>

struct Log {
    std::vector<std::string> lines;
    static void write(void *user, const char *line) { static_cast<Log *>(user)->lines.push_back(line); }
    int telling(const char *words) const
    {
        int n = 0;
        for (const std::string &line : lines) n += line.find(words) != std::string::npos;
        return n;
    }
};

class Anomaly : public ::testing::Test
{
  protected:
    static constexpr double inf = std::numeric_limits<double>::infinity();
    static constexpr double nan = std::numeric_limits<double>::quiet_NaN();

    static ct_config detecting(Log *log, bool eager = false)
    {
        ct_config config = {};
        config.detect_anomaly = true;
        config.eager = eager;
        config.log = Log::write;
        config.log_user = log;
        return config;
    }
    ct_tensor leaf(const char *name, const std::vector<int64_t> &shape, const std::vector<double> &values,
                   bool grad = false, ct_dtype dtype = CT_F32)
    {
        const ct_tensor x = ctx_.leaf(dtype, shape, values);
        ctx_.check(ct_set_name(ctx_, x, name), "ct_set_name");
        if (grad) ctx_.check(ct_set_requires_grad(ctx_, x, true), "ct_set_requires_grad");
        return x;
    }
    ct_tensor named(ct_tensor x, const char *name)
    {
        ctx_.check(ct_set_name(ctx_, x, name), "ct_set_name");
        return x;
    }
    ct_tensor sum(ct_tensor x) { return ct_sum(ctx_, x, 0, nullptr, false); }
    // What a step keeps of a value: the sum of all its elements is put into a leaf.
    void keep(ct_tensor x, ct_tensor into) { ctx_.check(ct_assign(ctx_, into, sum(x)), "ct_assign"); }

    Log log_;
    Context ctx_{devices().front(), detecting(&log_)};
};

#endif

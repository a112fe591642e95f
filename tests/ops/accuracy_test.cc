// Values in f32 against those in f64, rounded: over the samples, and for elementwise ops over many more
// points. The bounds stand in registry.cc; ACCURACY.md lists them beside what was measured.
//
// To write that table anew: CUTAPE_WRITE_ACCURACY=1 ./ops_tests --gtest_filter=Accuracy.*
#include "ops/op_table.h"
#include "ops/samples.h"

#include <algorithm>
#include <fstream>
#include <functional>
#include <limits>
#include <numeric>
#include <random>

namespace
{

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr size_t sweep_points = 20000;
const char *const table_path = CT_GOLDEN_DIR "/../ops/ACCURACY.md";

float rounded(double value) { return static_cast<float>(value); }

// One unit in the last place of an f32 of this size.
double ulp(double size)
{
    if (!(size < 0x1p128)) return 0x1p104;
    return size < 0x1p-126 ? 0x1p-149 : std::ldexp(1.0, std::ilogb(size) - 23);
}

// In units of an f32 of that size; infinite unless both are NaN or neither is. What is smaller than any
// normal f32 may be zero.
double distance(double actual, double exact, double size)
{
    const double expected = static_cast<double>(rounded(exact));
    if (std::isnan(expected) || std::isnan(actual)) return std::isnan(expected) && std::isnan(actual) ? 0 : inf;
    if (actual == exact || actual == expected || (actual == 0 && std::fabs(expected) < 0x1p-126)) return 0;
    const auto finite = [](double x) { return std::isinf(x) ? std::copysign(0x1p128, x) : x; }; // as rounding does
    return std::fabs(finite(actual) - finite(expected)) / ulp(std::fmax(std::fabs(expected), size));
}

// The op's scalars are f32 on the device: both runs take them rounded.
Sample with_rounded_scalars(Sample s)
{
    for (auto &attribute : s.attributes)
        for (std::string &word : attribute.second) {
            char *end, text[32];
            const double number = std::strtod(word.c_str(), &end);
            if (*end != '\0' || number == std::floor(number)) continue;
            std::snprintf(text, sizeof text, "%.17g", static_cast<double>(rounded(number)));
            word = text;
        }
    return s;
}

std::vector<double> value_of(Context &ctx, const Sample &s, ct_dtype real)
{
    const std::vector<double> y = ctx.read(apply(ctx, s, make_inputs(ctx, s, real)));
    ctx.end_step();
    return y;
}

// What a distance is measured in, by element.
std::vector<double> sizes(Context &ctx, const Sample &s, const std::vector<double> &exact)
{
    const Accuracy::Unit unit = accuracy(s.op).unit;
    std::vector<double> size(exact.size(), 0.0);
    if (unit == Accuracy::terms) {
        Sample positive = s;
        for (SampleInput &in : positive.inputs)
            for (double &value : in.value.values) value = std::fabs(value);
        if (positive.attributes.count("activation")) positive.attributes["activation"] = {"identity"};
        size = value_of(ctx, positive, CT_F64);
    }
    for (const SampleInput &in : s.inputs) {
        if (unit != Accuracy::operand || !in.present || in.value.dtype != "real") continue;
        const std::vector<double> &x = in.value.values;
        double largest = 0;
        for (const double value : x) largest = std::isfinite(value) ? std::fmax(largest, std::fabs(value)) : largest;
        for (size_t i = 0; i < size.size(); ++i)
            size[i] = std::fmax(size[i], x.size() == size.size() && std::isfinite(x[i]) ? std::fabs(x[i]) : largest);
    }
    return size;
}

double furthest(Context &ctx, Sample s)
{
    s = with_rounded_scalars(std::move(s));
    for (SampleInput &in : s.inputs)
        for (double &value : in.value.values)
            if (in.value.dtype == "real") value = static_cast<double>(rounded(value));
    const std::vector<double> single = value_of(ctx, s, CT_F32), exact = value_of(ctx, s, CT_F64);
    if (single.size() != exact.size()) return inf;
    const std::vector<double> size = sizes(ctx, s, exact);
    double worst = 0;
    for (size_t i = 0; i < exact.size(); ++i) worst = std::fmax(worst, distance(single[i], exact[i], size[i]));
    return worst;
}

// Half of them of ordinary size, half of any; the edges against each other.
std::vector<std::vector<double>> points(size_t n_inputs, size_t n, uint64_t seed)
{
    const std::vector<double> edges = {0.0,
                                       -0.0,
                                       1,
                                       -1,
                                       0.5,
                                       -0.5,
                                       2,
                                       -3,
                                       0x1p-149,
                                       -0x1p-126,
                                       0x1p-24,
                                       88.7,
                                       -103.9,
                                       0x1.fffffep127,
                                       -0x1.fffffep127,
                                       inf,
                                       -inf,
                                       std::nan("")};
    std::mt19937_64 random(seed);
    std::vector<std::vector<double>> inputs(n_inputs);
    for (size_t i = 0; i < edges.size() * edges.size(); ++i)
        for (size_t k = 0; k < n_inputs; ++k)
            inputs[k].push_back(static_cast<double>(rounded(edges[k == 0 ? i % edges.size() : i / edges.size()])));
    for (size_t i = 0; i < n; ++i)
        for (size_t k = 0; k < n_inputs; ++k) {
            const double unit = static_cast<double>(random() >> 11) * 0x1p-52 - 1; // in [-1, 1)
            const int exponent = static_cast<int>(random() % 60) - 30;
            inputs[k].push_back(static_cast<double>(rounded(i % 2 ? unit * 10 : std::ldexp(unit, exponent))));
        }
    return inputs;
}

bool elementwise(const std::string &name)
{
    for (int op = 0; op < op_count(); ++op)
        if (op_at(op).name == name) return op_at(op).elementwise;
    return false;
}

// The samples of an op whose attributes differ, each with its inputs replaced by the points.
std::vector<Sample> sweeps(const std::string &op)
{
    std::map<std::map<std::string, std::vector<std::string>>, Sample> found;
    for (const Sample &s : samples()) {
        const auto real = [](const SampleInput &in) { return in.present && in.value.dtype == "real"; };
        if (s.op == op && s.dtypes.size() == 2 && std::all_of(s.inputs.begin(), s.inputs.end(), real))
            found.emplace(s.attributes, s);
    }
    std::vector<Sample> all;
    for (const auto &one : found) {
        Sample s = one.second;
        const auto values = points(s.inputs.size(), sweep_points / found.size(), all.size() + 1);
        for (size_t k = 0; k < s.inputs.size(); ++k) {
            s.inputs[k].value.values = values[k];
            s.inputs[k].value.shape = {static_cast<int64_t>(values[k].size())};
        }
        all.push_back(std::move(s));
    }
    return all;
}

// The same with digits in every place: those of the samples are few, and their sums exact.
Sample with_digits(Sample s)
{
    std::mt19937_64 random(s.name.size());
    for (SampleInput &in : s.inputs)
        for (double &value : in.value.values)
            if (in.value.dtype == "real") value *= 1 + static_cast<double>(random() >> 11) * 0x1p-53 / 64;
    return s;
}

// Lines of a length at which a sum taken one element after another would be far off: down columns, along rows,
// over alternating dims and over all. All terms are positive, so that no rounding makes up for another.
std::vector<Sample> long_samples(const std::string &op)
{
    struct Long {
        std::vector<int64_t> shape;
        std::vector<std::string> dims;
    };
    const Long lines[] = {
        {{60000, 8}, {"0"}}, {{8, 60000}, {"1"}}, {{300, 2, 100, 2, 4}, {"0", "2", "4"}}, {{500000}, {"0"}}};
    std::vector<Sample> all;
    if (op != "sum" && op != "mean" && op != "logsumexp" && op != "var") return all;
    std::mt19937_64 random(1);
    for (const Long &line : lines) {
        SampleInput x = {};
        x.present = true;
        x.value.dtype = "real", x.value.shape = line.shape;
        const int64_t count = std::accumulate(line.shape.begin(), line.shape.end(), int64_t{1}, std::multiplies<>());
        for (int64_t i = 0; i < count; ++i) x.value.values.push_back(static_cast<double>(random() >> 11) * 0x1p-53);
        Sample s;
        s.op = op, s.name = op + " of " + std::to_string(line.shape[0]) + "x...", s.dtypes = {CT_F32, CT_F64};
        s.attributes = {{"dims", line.dims}, {"keepdim", {"0"}}, {"correction", {"1"}}};
        s.inputs = {x};
        all.push_back(std::move(s));
    }
    return all;
}

struct Measured {
    double sampled = 0, swept = 0;
    std::string furthest; // the sample
};

Measured measure(const std::string &op)
{
    ct_config quiet = {};
    quiet.log = [](void *, const char *) {}; // which would warn that every step is another one
    Context ctx(devices().front(), quiet);
    Measured m;
    for (const Sample &s : samples()) {
        if (s.op != op || s.dtypes.size() != 2) continue;
        const double here = std::fmax(furthest(ctx, s), s.kink ? 0 : furthest(ctx, with_digits(s)));
        if (!(here <= m.sampled)) m.sampled = here, m.furthest = s.name;
    }
    for (const Sample &s : long_samples(op)) {
        const double here = furthest(ctx, s);
        if (!(here <= m.sampled)) m.sampled = here, m.furthest = s.name;
    }
    if (elementwise(op))
        for (const Sample &s : sweeps(op)) m.swept = std::fmax(m.swept, furthest(ctx, s));
    return m;
}

class Accuracies : public ::testing::TestWithParam<std::string>
{
};

TEST_P(Accuracies, InSinglePrecision_AreWithinTheBound)
{
    const std::string &op = GetParam();
    const Measured m = measure(op);
    EXPECT_TRUE(m.sampled <= accuracy(op).ulps) << m.sampled << " ulps in " << m.furthest;
    EXPECT_TRUE(m.swept <= accuracy(op).ulps) << m.swept << " ulps in the sweep";
}

std::vector<std::string> all_ops()
{
    const std::set<std::string> names = registered_ops();
    return {names.begin(), names.end()};
}

INSTANTIATE_TEST_SUITE_P(Ops, Accuracies, ::testing::ValuesIn(all_ops()),
                         [](const ::testing::TestParamInfo<std::string> &info) { return info.param; });

// ---- the table -----------------------------------------------------------------------------------------------

std::string short_number(double value)
{
    char text[32];
    std::snprintf(text, sizeof text, "%.3g", value);
    return text;
}

// What the table must say of an op; what was measured follows.
std::string row_of(const std::string &op)
{
    static const char *const units[] = {"its result", "its largest operand", "its terms"};
    return "| " + op + " | " + short_number(accuracy(op).ulps) + " | " + units[accuracy(op).unit] + " |";
}

void write_table()
{
    std::ofstream file(table_path);
    file << "# f32 against f64, op by op\n\n"
            "How far a value in f32 may be from the value in f64 rounded to f32, in units of the last place (ulps)\n"
            "of an f32 the size of\n\n"
            "- *its result*: a bound of the relative error;\n"
            "- *its largest operand*: where terms of the size of the operands cancel; of an elementwise op the\n"
            "  operands of that element, else all;\n"
            "- *its terms*: the op with all its terms made positive. The error of a sum grows with what cancels;\n"
            "  relative to the sum of the magnitudes it does not. With the length it hardly grows, for sums are\n"
            "  taken in chunks: the samples of sum, mean, var and logsumexp include lines of 60,000 and 500,000.\n\n"
            "*Measured* is the furthest on the CPU that wrote this file: over the samples of the tests, and for\n"
            "elementwise ops over "
         << sweep_points
         << " more points with the edges. A NaN or an infinity must be one in "
            "both.\n"
            "`accuracy_test.cc` asserts the bounds on every device, and says how to write this file anew.\n\n"
            "| op | ulps | of | measured: samples | sweep |\n|---|---:|---|---:|---:|\n";
    for (const std::string &op : all_ops()) {
        const Measured m = measure(op);
        file << row_of(op) << " " << short_number(m.sampled) << " | " << (elementwise(op) ? short_number(m.swept) : "")
             << " |\n";
    }
}

TEST(Accuracy, TableAgreesWithTheRegistry)
{
    if (std::getenv("CUTAPE_WRITE_ACCURACY")) write_table();
    std::ifstream file(table_path);
    std::set<std::string> rows, expected;
    for (std::string line; std::getline(file, line);) {
        size_t end = 0;
        for (int bar = 0; bar < 4 && end != std::string::npos; ++bar) end = line.find('|', end + (bar > 0));
        if (line.rfind("| ", 0) == 0 && line.rfind("| op ", 0) != 0) rows.insert(line.substr(0, end + 1));
    }
    for (const std::string &op : all_ops()) expected.insert(row_of(op));
    EXPECT_EQ(rows, expected) << "write the table anew, as accuracy_test.cc says";
}

TEST(Accuracy, OfNaNAndInfinity_IsNoDistance)
{
    EXPECT_EQ(distance(1, std::nan(""), 0), inf);
    EXPECT_EQ(distance(std::nan(""), 1, 0), inf);
    EXPECT_EQ(distance(std::nan(""), std::nan(""), 0), 0);
    EXPECT_GT(distance(1, inf, 0), 1e6);
    EXPECT_GT(distance(-inf, inf, 0), 1e6);
    EXPECT_EQ(distance(0x1.fffffep127, inf, 0), 1); // the next one
    EXPECT_EQ(distance(1 + 0x1p-23, 1, 0), 1);
    EXPECT_EQ(distance(0x1p-149, 0, 0), 1);
    EXPECT_EQ(distance(0, 0x1p-127, 0), 0);
    EXPECT_GT(distance(0, 0x1p-126, 0), 1e6);
    EXPECT_EQ(distance(1 + 0x1p-23, 1, 4), 0.25);
}

} // namespace

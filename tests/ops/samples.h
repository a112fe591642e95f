// The samples of the golden files (tests/golden/generate.py), and how to run one:
// a registry from op name to the call. Every test of all ops iterates over these.
#ifndef CUTAPE_TESTS_SAMPLES_H
#define CUTAPE_TESTS_SAMPLES_H

#include "support/compare.h"
#include "support/context.h"

#include <map>
#include <ostream>
#include <set>
#include <string>
#include <vector>

ct_dtype dtype_of(const std::string &name); // f32, f64, i32, u8, i64

// A tensor of a file. Its dtype may be "real": f32 or f64, as the test runs it.
struct Array {
    std::string dtype;
    std::vector<int64_t> shape;
    std::vector<double> values; // row-major

    ct_dtype dtype_in(ct_dtype real) const;
};

struct SampleInput {
    bool present;        // false: the zero tensor, such as linear without a bias
    bool differentiable; // then grad below is there
    Array value;
    Array grad;      // under the cotangent
    Array direction; // v, if the sample has second order
    Array second;    // d/d this input of sum_i <grad_i, v_i>
};

struct Sample {
    std::string name, op;
    std::vector<ct_dtype> dtypes;                               // what "real" may be
    bool kink = false;                                          // no finite differences here
    std::map<std::string, std::vector<std::string>> attributes; // numbers or words
    std::vector<SampleInput> inputs;
    Array output;
    bool has_gradient = false, has_second_order = false;
    Array cotangent;        // of the output
    Array second_cotangent; // d/d cotangent of sum_i <grad_i, v_i>

    const std::string &word(const std::string &key) const;
    double number(const std::string &key) const;
    template <typename Integer> std::vector<Integer> integers(const std::string &key) const;
    std::vector<size_t> differentiable() const; // indices into inputs
};

// Throws std::runtime_error with file and line if the file is missing or malformed.
std::vector<Sample> read_samples(const std::string &path);
const std::vector<Sample> &samples(); // of all files in CT_GOLDEN_DIR/ops, read once

std::set<std::string> registered_ops(); // ops that apply() knows
std::set<std::string> sampled_ops();    // ops with at least one sample

// The op of the sample on these inputs; the attributes are the sample's.
ct_tensor apply(Context &ctx, const Sample &sample, const std::vector<ct_tensor> &inputs);
Tolerance tolerance(const std::string &op, ct_dtype real);

// How far an op's values in f32 may be from those in f64, rounded: in units of the last place (ulps) of
// what the unit says, element by element.
struct Accuracy {
    double ulps;
    enum Unit {
        result,  // of the result
        operand, // of the largest of result and operands, where terms of that size cancel
        terms    // of the same sum with its terms made positive
    } unit;
};
Accuracy accuracy(const std::string &op);

// One leaf per input; the differentiable ones require a gradient.
std::vector<ct_tensor> make_inputs(Context &ctx, const Sample &sample, ct_dtype real);
ct_tensor make_leaf(Context &ctx, const Array &array, ct_dtype real);

// One run of a parameterised test.
struct Case {
    DeviceChoice device;
    ct_dtype real;
    const Sample *sample;
};
enum class Wanted { all, with_gradient, smooth, with_second_order };
std::vector<Case> cases(Wanted wanted, bool f64_only = false);
std::string case_name(const ::testing::TestParamInfo<Case> &info); // such as relu_at_zero_f32_cpu
void PrintTo(const Case &c, std::ostream *stream);

#endif

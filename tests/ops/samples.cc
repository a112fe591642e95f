// Reads the golden file and calls the ops. To add an op: one line in `registry`.
#include "ops/samples.h"

#include <zlib.h>

#include <memory>
#include <stdexcept>

namespace
{

// ---- the registry
// ------------------------------------------------------------------------------------------

using Inputs = std::vector<ct_tensor>;
using Call = ct_tensor (*)(ct_context *, const Inputs &, const Sample &);

struct Entry {
    Call call;
    Tolerance f32 = {1e-5, 1e-6};
    Tolerance f64 = {1e-12, 1e-13};
};

template <ct_tensor (*op)(ct_context *, ct_tensor)> ct_tensor unary(ct_context *ctx, const Inputs &in, const Sample &)
{
    return op(ctx, in[0]);
}

template <ct_tensor (*op)(ct_context *, ct_tensor, double)>
ct_tensor scalar(ct_context *ctx, const Inputs &in, const Sample &s)
{
    return op(ctx, in[0], s.number("value"));
}

template <ct_tensor (*op)(ct_context *, ct_tensor, ct_tensor)>
ct_tensor binary(ct_context *ctx, const Inputs &in, const Sample &)
{
    return op(ctx, in[0], in[1]);
}

template <ct_tensor (*op)(ct_context *, ct_tensor, int, const int *, bool)>
ct_tensor reduction(ct_context *ctx, const Inputs &in, const Sample &s)
{
    const std::vector<int> dims = s.integers<int>("dims");
    return op(ctx, in[0], static_cast<int>(dims.size()), dims.empty() ? nullptr : dims.data(),
              s.number("keepdim") != 0);
}

template <ct_tensor (*op)(ct_context *, ct_tensor, int)>
ct_tensor along(ct_context *ctx, const Inputs &in, const Sample &s)
{
    return op(ctx, in[0], s.integers<int>("dim").at(0));
}

template <ct_tensor (*op)(ct_context *, ct_tensor, int, const int64_t *)>
ct_tensor shaped(ct_context *ctx, const Inputs &in, const Sample &s)
{
    const std::vector<int64_t> shape = s.integers<int64_t>("shape");
    return op(ctx, in[0], static_cast<int>(shape.size()), shape.data());
}

ct_reduction reduction_of(const Sample &s)
{
    static const std::map<std::string, ct_reduction> names = {
        {"mean", CT_REDUCE_MEAN}, {"sum", CT_REDUCE_SUM}, {"none", CT_REDUCE_NONE}};
    return names.at(s.word("reduction"));
}

ct_activation activation_of(const Sample &s)
{
    static const std::map<std::string, ct_activation> names = {
        {"identity", CT_ACT_IDENTITY},    {"relu", CT_ACT_RELU}, {"tanh", CT_ACT_TANH},
        {"sigmoid", CT_ACT_SIGMOID},      {"gelu", CT_ACT_GELU}, {"silu", CT_ACT_SILU},
        {"leaky_relu", CT_ACT_LEAKY_RELU}};
    return names.at(s.word("activation"));
}

ct_dtype dtype_of(const std::string &name)
{
    static const std::map<std::string, ct_dtype> names = {
        {"f32", CT_F32}, {"f64", CT_F64}, {"i32", CT_I32}, {"u8", CT_U8}, {"i64", CT_I64}};
    return names.at(name);
}

template <ct_tensor (*op)(ct_context *, ct_tensor, ct_tensor, ct_reduction)>
ct_tensor pair_loss(ct_context *ctx, const Inputs &in, const Sample &s)
{
    return op(ctx, in[0], in[1], reduction_of(s));
}

ct_tensor gelu(ct_context *ctx, const Inputs &in, const Sample &) { return ct_gelu(ctx, in[0], false); }
ct_tensor gelu_tanh(ct_context *ctx, const Inputs &in, const Sample &) { return ct_gelu(ctx, in[0], true); }
ct_tensor leaky_relu(ct_context *ctx, const Inputs &in, const Sample &s)
{
    return ct_leaky_relu(ctx, in[0], s.number("slope"));
}
ct_tensor elu(ct_context *ctx, const Inputs &in, const Sample &s) { return ct_elu(ctx, in[0], s.number("alpha")); }
ct_tensor clamp(ct_context *ctx, const Inputs &in, const Sample &s)
{
    return ct_clamp(ctx, in[0], s.number("lo"), s.number("hi"));
}
ct_tensor cast(ct_context *ctx, const Inputs &in, const Sample &s)
{
    return ct_cast(ctx, in[0], dtype_of(s.word("to")));
}
ct_tensor where(ct_context *ctx, const Inputs &in, const Sample &) { return ct_where(ctx, in[0], in[1], in[2]); }
ct_tensor linear(ct_context *ctx, const Inputs &in, const Sample &s)
{
    return ct_linear(ctx, in[0], in[1], in[2], activation_of(s));
}
ct_tensor transpose(ct_context *ctx, const Inputs &in, const Sample &s)
{
    return ct_transpose(ctx, in[0], s.integers<int>("d0").at(0), s.integers<int>("d1").at(0));
}
ct_tensor cross_entropy(ct_context *ctx, const Inputs &in, const Sample &s)
{
    return ct_cross_entropy(ctx, in[0], in[1], s.number("smoothing"), s.integers<int64_t>("ignore_index").at(0),
                            reduction_of(s));
}

const std::map<std::string, Entry> &registry()
{
    static const std::map<std::string, Entry> entries = {
        {"neg", {unary<ct_neg>}},
        {"abs", {unary<ct_abs>}},
        {"exp", {unary<ct_exp>}},
        {"expm1", {unary<ct_expm1>}},
        {"log", {unary<ct_log>}},
        {"log1p", {unary<ct_log1p>}},
        {"sqrt", {unary<ct_sqrt>}},
        {"rsqrt", {unary<ct_rsqrt>}},
        {"square", {unary<ct_square>}},
        {"reciprocal", {unary<ct_reciprocal>}},
        {"sin", {unary<ct_sin>}},
        {"cos", {unary<ct_cos>}},
        {"tanh", {unary<ct_tanh>}},
        {"sigmoid", {unary<ct_sigmoid>}},
        {"relu", {unary<ct_relu>}},
        {"silu", {unary<ct_silu>}},
        {"softplus", {unary<ct_softplus>}},
        {"gelu", {gelu}},
        {"gelu_tanh", {gelu_tanh}},
        {"leaky_relu", {leaky_relu}},
        {"elu", {elu}},
        {"clamp", {clamp}},
        {"sign", {unary<ct_sign>}},
        {"cast", {cast}},
        {"add_scalar", {scalar<ct_add_scalar>}},
        {"mul_scalar", {scalar<ct_mul_scalar>}},
        {"pow_scalar", {scalar<ct_pow_scalar>}},
        {"add", {binary<ct_add>}},
        {"sub", {binary<ct_sub>}},
        {"mul", {binary<ct_mul>}},
        {"div", {binary<ct_div>}},
        {"pow", {binary<ct_pow>}},
        {"maximum", {binary<ct_maximum>}},
        {"minimum", {binary<ct_minimum>}},
        {"gt", {binary<ct_gt>}},
        {"ge", {binary<ct_ge>}},
        {"lt", {binary<ct_lt>}},
        {"le", {binary<ct_le>}},
        {"eq", {binary<ct_eq>}},
        {"where", {where}},
        {"sum", {reduction<ct_sum>}},
        {"mean", {reduction<ct_mean>}},
        {"argmax", {along<ct_argmax>}},
        {"matmul", {binary<ct_matmul>}},
        {"linear", {linear}},
        {"reshape", {shaped<ct_reshape>}},
        {"transpose", {transpose}},
        {"expand", {shaped<ct_expand>}},
        {"softmax", {along<ct_softmax>}},
        {"log_softmax", {along<ct_log_softmax>}},
        {"cross_entropy", {cross_entropy}},
        {"mse_loss", {pair_loss<ct_mse_loss>}},
    };
    return entries;
}

// ---- the reader
// --------------------------------------------------------------------------------------------

std::string unpack(const std::string &path)
{
    std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose);
    if (!file) throw std::runtime_error(path + ": cannot open");
    std::string text;
    char buffer[1 << 16];
    int got;
    while ((got = gzread(file.get(), buffer, sizeof buffer)) > 0) text.append(buffer, static_cast<size_t>(got));
    int error = Z_OK;
    const char *why = gzerror(file.get(), &error);
    if (got < 0 || error != Z_OK) throw std::runtime_error(path + ": " + why);
    return text;
}

// The tokens of one line, with the place for error messages.
class Line
{
  public:
    Line(const std::string &path, size_t number, const std::string &text)
        : where_(path + ":" + std::to_string(number)), rest_(text.c_str())
    {
    }
    [[noreturn]] void fail(const std::string &why) const { throw std::runtime_error(where_ + ": " + why); }
    bool at_end() const { return *rest_ == '\0'; }
    std::string word()
    {
        if (at_end()) fail("the line ends early");
        const char *begin = rest_;
        while (*rest_ != '\0' && *rest_ != ' ') ++rest_;
        std::string token(begin, rest_);
        if (*rest_ == ' ') ++rest_;
        return token;
    }
    double number()
    {
        if (at_end()) fail("the line ends early");
        char *end;
        const double value = std::strtod(rest_, &end);
        if (end == rest_ || (*end != ' ' && *end != '\0')) fail(std::string("not a number: ") + rest_);
        rest_ = *end == ' ' ? end + 1 : end;
        return value;
    }
    int64_t integer()
    {
        const double value = number();
        if (value != static_cast<double>(static_cast<int64_t>(value))) fail("not an integer");
        return static_cast<int64_t>(value);
    }
    Array array()
    {
        Array a;
        a.dtype = word();
        if (a.dtype != "real" && a.dtype != "f32" && a.dtype != "f64" && a.dtype != "i32" && a.dtype != "u8" &&
            a.dtype != "i64")
            fail("unknown dtype " + a.dtype);
        const int64_t ndim = integer();
        if (ndim < 0 || ndim > CT_MAX_DIMS) fail("bad number of dims");
        int64_t numel = 1;
        for (int64_t d = 0; d < ndim; ++d) {
            a.shape.push_back(integer());
            if (a.shape.back() < 0) fail("negative dim");
            numel *= a.shape.back();
        }
        for (int64_t i = 0; i < numel; ++i) a.values.push_back(number());
        if (!at_end()) fail("more values than the shape has");
        return a;
    }

  private:
    std::string where_;
    const char *rest_;
};

// One line of a sample, which starts with `key`.
void read_fact(Line &line, const std::string &key, Sample &s)
{
    const auto input = [&]() -> SampleInput & {
        const int64_t i = line.integer();
        if (i < 0 || static_cast<size_t>(i) >= s.inputs.size()) line.fail("no such input");
        return s.inputs[static_cast<size_t>(i)];
    };
    if (key == "dtypes") {
        while (!line.at_end()) {
            const std::string name = line.word();
            if (name != "f32" && name != "f64") line.fail("a sample runs in f32 or f64, not " + name);
            s.dtypes.push_back(dtype_of(name));
        }
    } else if (key == "kink") {
        s.kink = true;
    } else if (key == "attr") {
        std::vector<std::string> &values = s.attributes[line.word()];
        while (!line.at_end()) values.push_back(line.word());
    } else if (key == "input") {
        const std::string kind = line.word();
        if (kind != "none" && kind != "0" && kind != "1") line.fail("an input is none, 0 or 1");
        SampleInput in{};
        in.present = kind != "none";
        in.differentiable = kind == "1";
        if (in.present) in.value = line.array();
        s.inputs.push_back(in);
    } else if (key == "output") {
        s.output = line.array();
    } else if (key == "cotangent") {
        s.has_gradient = true;
        s.cotangent = line.array();
    } else if (key == "grad") {
        SampleInput &in = input();
        in.grad = line.array();
    } else if (key == "direction") {
        s.has_second_order = true;
        SampleInput &in = input();
        in.direction = line.array();
    } else if (key == "second") {
        Line ahead = line;
        if (ahead.word() == "cotangent") {
            line = ahead;
            s.second_cotangent = line.array();
        } else {
            SampleInput &in = input();
            in.second = line.array();
        }
    } else {
        line.fail("unknown: " + key);
    }
}

// Nothing may be missing: an empty expectation would let a test pass.
void check_complete(const Line &line, const Sample &s)
{
    const auto like = [](const Array &a, const Array &b) { return !a.dtype.empty() && a.shape == b.shape; };
    if (s.dtypes.empty() || s.inputs.empty() || s.output.dtype.empty()) line.fail(s.name + " is incomplete");
    if (s.has_gradient != !s.differentiable().empty()) line.fail(s.name + ": cotangent or gradients missing");
    if (s.has_gradient && !like(s.cotangent, s.output)) line.fail(s.name + ": cotangent unlike the output");
    if (s.has_second_order && !like(s.second_cotangent, s.output)) line.fail(s.name + ": second cotangent");
    for (const SampleInput &in : s.inputs) {
        if (!in.differentiable) continue;
        if (!like(in.grad, in.value)) line.fail(s.name + ": a gradient is missing or has another shape");
        if (s.has_second_order && (!like(in.direction, in.value) || !like(in.second, in.value)))
            line.fail(s.name + ": second order is missing or has another shape");
    }
}

} // namespace

ct_dtype Array::dtype_in(ct_dtype real) const { return dtype == "real" ? real : dtype_of(dtype); }

const std::string &Sample::word(const std::string &key) const
{
    const auto found = attributes.find(key);
    if (found == attributes.end() || found->second.size() != 1)
        throw std::runtime_error(name + ": no single attribute " + key);
    return found->second[0];
}

double Sample::number(const std::string &key) const { return std::stod(word(key)); }

template <typename Integer> std::vector<Integer> Sample::integers(const std::string &key) const
{
    const auto found = attributes.find(key);
    if (found == attributes.end()) throw std::runtime_error(name + ": no attribute " + key);
    std::vector<Integer> values;
    for (const std::string &text : found->second) values.push_back(static_cast<Integer>(std::stoll(text)));
    return values;
}

template std::vector<int> Sample::integers<int>(const std::string &) const;
template std::vector<int64_t> Sample::integers<int64_t>(const std::string &) const;

std::vector<size_t> Sample::differentiable() const
{
    std::vector<size_t> found;
    for (size_t i = 0; i < inputs.size(); ++i)
        if (inputs[i].differentiable) found.push_back(i);
    return found;
}

std::vector<Sample> read_samples(const std::string &path)
{
    const std::string text = unpack(path);
    std::vector<Sample> found;
    bool inside = false;
    size_t number = 0;
    for (size_t begin = 0; begin < text.size(); ++number) {
        const size_t end = text.find('\n', begin);
        const std::string content = text.substr(begin, end == std::string::npos ? end : end - begin);
        begin = end == std::string::npos ? text.size() : end + 1;
        Line line(path, number + 1, content);
        if (number == 0) {
            if (content != "cutape-golden 1") line.fail("not a golden file of version 1");
            continue;
        }
        const std::string key = line.word();
        if (key == "sample") {
            if (inside) line.fail("the sample before has no end");
            inside = true;
            found.emplace_back();
            found.back().name = line.word();
            found.back().op = line.word();
        } else if (!inside) {
            line.fail("outside a sample: " + key);
        } else if (key == "end") {
            check_complete(line, found.back());
            inside = false;
        } else {
            read_fact(line, key, found.back());
        }
    }
    if (inside || found.empty()) throw std::runtime_error(path + ": truncated");
    return found;
}

const std::vector<Sample> &samples()
{
    static const std::vector<Sample> all = read_samples(std::string(CT_GOLDEN_DIR) + "/ops.txt.gz");
    return all;
}

std::set<std::string> registered_ops()
{
    std::set<std::string> names;
    for (const auto &entry : registry()) names.insert(entry.first);
    return names;
}

std::set<std::string> sampled_ops()
{
    std::set<std::string> names;
    for (const Sample &s : samples()) names.insert(s.op);
    return names;
}

ct_tensor apply(Context &ctx, const Sample &sample, const std::vector<ct_tensor> &inputs)
{
    const auto found = registry().find(sample.op);
    if (found == registry().end()) throw std::runtime_error(sample.op + " is not in the registry of samples.cc");
    return ctx.check(found->second.call(ctx, inputs, sample), sample.op.c_str());
}

Tolerance tolerance(const std::string &op, ct_dtype real)
{
    const Entry &entry = registry().at(op);
    return real == CT_F32 ? entry.f32 : entry.f64;
}

ct_tensor make_leaf(Context &ctx, const Array &array, ct_dtype real)
{
    return ctx.leaf(array.dtype_in(real), array.shape, array.values);
}

std::vector<ct_tensor> make_inputs(Context &ctx, const Sample &sample, ct_dtype real)
{
    std::vector<ct_tensor> leaves;
    for (const SampleInput &in : sample.inputs) {
        leaves.push_back(in.present ? make_leaf(ctx, in.value, real) : ct_tensor{0});
        if (in.differentiable) ctx.check(ct_set_requires_grad(ctx, leaves.back(), true), "ct_set_requires_grad");
    }
    return leaves;
}

std::vector<Case> cases(Wanted wanted, bool f64_only)
{
    std::vector<Case> found;
    for (const DeviceChoice &device : devices())
        for (const Sample &s : samples()) {
            if (wanted != Wanted::all && !s.has_gradient) continue;
            if (wanted == Wanted::smooth && s.kink) continue;
            if (wanted == Wanted::with_second_order && !s.has_second_order) continue;
            for (const ct_dtype real : s.dtypes)
                if (real == CT_F64 || !f64_only) found.push_back({device, real, &s});
        }
    return found;
}

std::string case_name(const ::testing::TestParamInfo<Case> &info)
{
    const Case &c = info.param;
    return c.sample->name + (c.real == CT_F32 ? "_f32_" : "_f64_") + c.device.name;
}

void PrintTo(const Case &c, std::ostream *stream)
{
    *stream << c.sample->name << (c.real == CT_F32 ? " in f32 on " : " in f64 on ") << c.device.name;
}

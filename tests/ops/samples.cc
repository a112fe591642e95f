// Reads the golden files.
#include "ops/samples.h"

#include <zlib.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <stdexcept>

namespace
{

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

ct_dtype dtype_of(const std::string &name)
{
    static const std::map<std::string, ct_dtype> names = {
        {"f32", CT_F32}, {"f64", CT_F64}, {"i32", CT_I32}, {"u8", CT_U8}, {"i64", CT_I64}};
    return names.at(name);
}

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

static std::vector<Sample> read_families()
{
    std::vector<std::string> paths;
    for (const auto &entry : std::filesystem::directory_iterator(CT_GOLDEN_DIR "/ops"))
        if (entry.path().extension() == ".gz") paths.push_back(entry.path().string());
    std::sort(paths.begin(), paths.end());
    std::vector<Sample> all;
    for (const std::string &path : paths)
        for (Sample &s : read_samples(path)) all.push_back(std::move(s));
    return all;
}

const std::vector<Sample> &samples()
{
    static const std::vector<Sample> all = read_families();
    return all;
}

std::set<std::string> sampled_ops()
{
    std::set<std::string> names;
    for (const Sample &s : samples()) names.insert(s.op);
    return names;
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

// What the tests of train/ share: owners of the library's objects, the fixed problems
// of tests/golden/generate_optim.py, and a reader of its golden file.
#ifndef CUTAPE_TRAIN_TEST_H
#define CUTAPE_TRAIN_TEST_H

#include "support/compare.h"
#include "support/context.h"

#include <memory>
#include <numeric>
#include <zlib.h>

// ---- owners ------------------------------------------------------------------------------------------------

template <typename T, void (*destroy)(T *)> struct Destroy {
    void operator()(T *object) const { destroy(object); }
};
using Params = std::unique_ptr<ct_params, Destroy<ct_params, ct_params_destroy>>;
using Mlp = std::unique_ptr<ct_mlp, Destroy<ct_mlp, ct_mlp_destroy>>;
using Optimizer = std::unique_ptr<ct_optimizer, Destroy<ct_optimizer, ct_optimizer_destroy>>;
using Dataset = std::unique_ptr<ct_dataset, Destroy<ct_dataset, ct_dataset_destroy>>;
using Loader = std::unique_ptr<ct_loader, Destroy<ct_loader, ct_loader_destroy>>;

inline Params make_params(Context &ctx, const std::vector<ct_tensor> &leaves)
{
    ct_params *params = nullptr;
    ctx.check(ct_params_create(ctx, &params), "ct_params_create");
    Params owner(params);
    for (size_t i = 0; i < leaves.size(); ++i)
        ctx.check(ct_params_add(params, ("p" + std::to_string(i)).c_str(), leaves[i]), "ct_params_add");
    return owner;
}

inline Mlp make_mlp(Context &ctx, const std::vector<int64_t> &widths, ct_mlp_config config = {})
{
    config.n_layers = static_cast<int32_t>(widths.size()) - 1;
    config.widths = widths.data();
    ct_mlp *mlp = nullptr;
    ctx.check(ct_mlp_create(ctx, &config, &mlp), "ct_mlp_create");
    return Mlp(mlp);
}

inline Optimizer make_adam(Context &ctx, const Mlp &mlp, const ct_adam_config *config = nullptr)
{
    ct_optimizer *adam = nullptr;
    ctx.check(ct_adam_create(ctx, ct_mlp_params(mlp.get()), config, &adam), "ct_adam_create");
    return Optimizer(adam);
}

// Rows of `width` floats, each with a class.
inline Dataset make_dataset(Context &ctx, int64_t width, const std::vector<double> &x, const std::vector<double> &y)
{
    const std::vector<float> features(x.begin(), x.end());
    const std::vector<int64_t> labels(y.begin(), y.end());
    ct_dataset *data = nullptr;
    ctx.check(ct_dataset_create(ctx, static_cast<int64_t>(y.size()), CT_F32, 1, &width, features.data(), CT_I64, 0,
                                nullptr, labels.data(), &data),
              "ct_dataset_create");
    return Dataset(data);
}

inline Loader make_loader(Context &ctx, const Dataset &data, const ct_loader_config &config)
{
    ct_loader *loader = nullptr;
    ctx.check(ct_loader_create(data.get(), &config, &loader), "ct_loader_create");
    return Loader(loader);
}

inline ct_tensor trained_leaf(Context &ctx, ct_dtype dtype, const std::vector<int64_t> &shape,
                              const std::vector<double> &values)
{
    const ct_tensor leaf = ctx.leaf(dtype, shape, values);
    ctx.check(ct_set_requires_grad(ctx, leaf, true), "ct_set_requires_grad");
    return leaf;
}

// The call gave `expected`, and the message holds every one of `parts`; the error is then cleared.
inline void expect_error(Context &ctx, ct_status status, ct_status expected, const std::vector<std::string> &parts = {})
{
    const std::string message = ct_error_message(ctx);
    EXPECT_EQ(status, expected) << message;
    for (const std::string &part : parts) EXPECT_NE(message.find(part), std::string::npos) << message;
    ct_clear_error(ctx);
}

// ---- the problems ------------------------------------------------------------------------------------------

// Uniform multiples of 2^-23 in [-1, 1), exact in f32.
class Stream
{
  public:
    explicit Stream(uint32_t state) : state_(state) {}
    uint32_t bits()
    {
        state_ = state_ * 1664525u + 1013904223u;
        return state_ >> 8;
    }
    std::vector<double> draw(size_t n, double scale = 1)
    {
        std::vector<double> values(n);
        for (double &value : values) value = (bits() / 8388608.0 - 1) * scale;
        return values;
    }
    std::vector<double> classes(size_t n, uint32_t below)
    {
        std::vector<double> values(n);
        for (double &value : values) value = bits() % below;
        return values;
    }

  private:
    uint32_t state_;
};

// Parameters and a loss on them, in f32 or f64.
struct Problem {
    virtual ~Problem() = default;
    virtual ct_tensor loss(Context &ctx) = 0;
    std::vector<ct_tensor> leaves;
};

// Cross-entropy of a 5-7-3 network with tanh on 11 fixed rows.
struct Perceptron : Problem {
    Perceptron(Context &ctx, ct_dtype real)
    {
        Stream stream(1);
        for (const std::vector<int64_t> &shape : {std::vector<int64_t>{7, 5}, {7}, {3, 7}, {3}}) {
            const int64_t n = shape.size() == 2 ? shape[0] * shape[1] : shape[0];
            leaves.push_back(trained_leaf(ctx, real, shape, stream.draw(static_cast<size_t>(n))));
        }
        x_ = ctx.leaf(real, {11, 5}, stream.draw(55, 2));
        y_ = ctx.leaf(CT_I32, {11}, stream.classes(11, 3));
    }
    ct_tensor loss(Context &ctx) override
    {
        const ct_tensor hidden = ct_linear(ctx, x_, leaves[0], leaves[1], CT_ACT_TANH);
        const ct_tensor logits = ct_linear(ctx, hidden, leaves[2], leaves[3], CT_ACT_IDENTITY);
        return ct_cross_entropy(ctx, logits, y_, 0, -100, CT_REDUCE_MEAN);
    }

  private:
    ct_tensor x_, y_;
};

// sum c (w - t)^2 / 2 over two parameters longer than a block of the update kernels.
struct Quadratic : Problem {
    Quadratic(Context &ctx, ct_dtype real)
    {
        for (const std::vector<int64_t> &shape : {std::vector<int64_t>{4099}, {3, 683}}) {
            const int64_t n = shape.size() == 2 ? shape[0] * shape[1] : shape[0];
            std::vector<double> w, t, c;
            for (int64_t i = 0; i < n; ++i) {
                w.push_back(static_cast<double>(i * 37 % 101 - 50) / 64);
                t.push_back(static_cast<double>(i * 53 % 97 - 48) / 32);
                c.push_back(static_cast<double>(1 + i % 7) / 8);
            }
            leaves.push_back(trained_leaf(ctx, real, shape, w));
            targets_.push_back(ctx.leaf(real, shape, t));
            weights_.push_back(ctx.leaf(real, shape, c));
        }
    }
    ct_tensor loss(Context &ctx) override
    {
        ct_tensor total = {0};
        for (size_t i = 0; i < leaves.size(); ++i) {
            const ct_tensor distance = ct_sub(ctx, leaves[i], targets_[i]);
            const ct_tensor sum = ct_sum(ctx, ct_mul(ctx, weights_[i], ct_square(ctx, distance)), 0, nullptr, false);
            total = i == 0 ? sum : ct_add(ctx, total, sum);
        }
        return ct_mul_scalar(ctx, total, 0.5);
    }

  private:
    std::vector<ct_tensor> targets_, weights_;
};

// ---- the golden file ---------------------------------------------------------------------------------------

struct Settings {
    std::string kind; // sgd, adam, adamw
    std::map<std::string, double> set;

    double get(const std::string &key, double otherwise) const
    {
        const auto found = set.find(key);
        return found == set.end() ? otherwise : found->second;
    }
    Optimizer make(Context &ctx, ct_params *params) const
    {
        ct_optimizer *optimizer = nullptr;
        if (kind == "sgd") {
            ct_sgd_config c;
            ct_sgd_defaults(&c);
            c.lr = get("lr", c.lr);
            c.momentum = get("momentum", c.momentum);
            c.dampening = get("dampening", c.dampening);
            c.weight_decay = get("weight_decay", c.weight_decay);
            c.nesterov = get("nesterov", 0) != 0;
            ctx.check(ct_sgd_create(ctx, params, &c, &optimizer), "ct_sgd_create");
        } else {
            ct_adam_config c;
            kind == "adam" ? ct_adam_defaults(&c) : ct_adamw_defaults(&c);
            c.lr = get("lr", c.lr);
            c.beta1 = get("beta1", c.beta1);
            c.beta2 = get("beta2", c.beta2);
            c.eps = get("eps", c.eps);
            c.weight_decay = get("weight_decay", c.weight_decay);
            ctx.check(ct_adam_create(ctx, params, &c, &optimizer), "ct_adam_create");
        }
        return Optimizer(optimizer);
    }
};

using Values = std::vector<double>;

struct GoldenRun {
    std::string name, problem;
    Settings settings;
    std::map<int, double> rates; // by the first step they hold for
    double max_norm = -1;        // negative: no clipping
    std::map<int, double> norms;
    std::map<int, std::map<int, Values>> grads, at; // by step and parameter
};

struct Curve {
    std::string name;
    Settings settings;
    Values losses;
};

struct Golden {
    std::vector<GoldenRun> runs;
    std::vector<Curve> curves;
};

inline Golden read_golden(const std::string &path)
{
    std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose);
    if (!file) throw std::runtime_error(path + ": cannot open");
    std::string text;
    char buffer[1 << 16];
    for (int got; (got = gzread(file.get(), buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<size_t>(got));

    Golden golden;
    std::istringstream lines(text);
    std::string line;
    std::getline(lines, line);
    if (line != "cutape-optim 1") throw std::runtime_error(path + ": not a golden file of version 1");
    Settings *settings = nullptr;
    while (std::getline(lines, line)) {
        std::istringstream in(line);
        const auto values = [&in] {
            Values found;
            for (double value; in >> value;) found.push_back(value);
            return found;
        };
        std::string key;
        in >> key;
        if (key == "run" || key == "curve") {
            if (settings) throw std::runtime_error(path + ": the run before " + line + " has no end");
            std::string name, problem;
            in >> name;
            if (key == "run") {
                in >> problem;
                golden.runs.push_back({name, problem, {}, {}, -1, {}, {}, {}});
                settings = &golden.runs.back().settings;
            } else {
                golden.curves.push_back({name, {}, {}});
                settings = &golden.curves.back().settings;
            }
            in >> settings->kind;
            continue;
        }
        if (!settings) throw std::runtime_error(path + ": outside a run: " + line);
        int step = 0, parameter = 0;
        if (key == "end") {
            settings = nullptr;
        } else if (key == "set") {
            in >> key;
            in >> settings->set[key];
        } else if (key == "losses") {
            golden.curves.back().losses = values();
        } else if (key == "max_norm") {
            in >> golden.runs.back().max_norm;
        } else if (key == "rate") {
            in >> step;
            in >> golden.runs.back().rates[step];
        } else if (key == "norm") {
            in >> step;
            in >> golden.runs.back().norms[step];
        } else if (key == "grad" || key == "at") {
            in >> step >> parameter;
            GoldenRun &run = golden.runs.back();
            (key == "at" ? run.at : run.grads)[step][parameter] = values();
        } else {
            throw std::runtime_error(path + ": what is " + line);
        }
    }
    if (settings || golden.runs.empty() || golden.curves.empty()) throw std::runtime_error(path + ": truncated");
    return golden;
}

inline const Golden &golden()
{
    static const Golden all = read_golden(std::string(CT_GOLDEN_DIR) + "/optim.txt.gz");
    return all;
}

// The elements that the golden file holds of a parameter: all, or those beside the edges of blocks.
inline Values shown(const Values &all)
{
    static const std::map<size_t, std::vector<size_t>> probes = {
        {4099, {0, 1, 1023, 2047, 2048, 2049, 4095, 4096, 4098}}, {2049, {0, 682, 683, 2047, 2048}}};
    const auto found = probes.find(all.size());
    if (found == probes.end()) return all;
    Values some;
    for (const size_t i : found->second) some.push_back(all[i]);
    return some;
}

#endif

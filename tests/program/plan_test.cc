// Plans of random programs. A seed makes a step: a graph of ops with fan-out, shape ops,
// writes to leaves in its midst, several backward passes. However the step is run, its
// leaves and values have the same bits, and every plan passes the independent checker.
#include "program/program_test.h"
#include "support/compare.h"

#include <algorithm>

namespace
{

// CUTAPE_TEST_SEEDS asks for more of them, or fewer.
unsigned n_seeds()
{
    const char *asked = std::getenv("CUTAPE_TEST_SEEDS");
    return asked && *asked ? static_cast<unsigned>(std::atoi(asked)) : 200;
}

struct Run {
    const char *name;
    bool eager = false, debug_pool = false;
    int open_percent = 0;  // chance that the segment is ended behind an op
    bool read_all = false; // read every value before the step ends
    int recorded = 3, replayed = 0;
};

struct Outcome {
    std::vector<std::pair<std::string, Bits>> leaves, values;
    std::string trace;
    ct_dtype dtype = CT_F32;
    plan_census census = {};
};

struct Value {
    ct_tensor tensor;
    std::vector<int64_t> shape;
    double bound; // of its magnitude, so that nothing overflows
};

int64_t numel(const std::vector<int64_t> &shape)
{
    int64_t n = 1;
    for (const int64_t size : shape) n *= size;
    return n;
}

// Records one step after another from the same seed.
class RandomStep
{
  public:
    RandomStep(Context &ctx, unsigned seed, const Run &run) : ctx_(ctx), seed_(seed), run_(run), places_(seed * 31 + 7)
    {
        random_.seed(seed);
        dtype_ = pick(4) == 0 ? CT_F64 : CT_F32;
        const int64_t largest = pick(5) == 0 ? 40 : 6;
        for (int64_t &size : sizes_) size = 1 + pick(static_cast<unsigned>(largest));
        const int64_t a = sizes_[0], b = sizes_[1], c = sizes_[2];
        for (const std::vector<int64_t> &shape : {std::vector<int64_t>{a, b}, {b, c}, {c, a}, {b}, {a, 1}, {2, a, b}})
            params_.push_back(
                {some_leaf(ctx, shape, seed + static_cast<unsigned>(params_.size()), true, dtype_), shape, 1});
        for (const std::vector<int64_t> &shape : {std::vector<int64_t>{a, b}, {b, a}, {1, b}, {c}})
            states_.push_back(
                {some_leaf(ctx, shape, seed + 50 + static_cast<unsigned>(states_.size()), false, dtype_), shape, 2});
        ring_ = ctx.leaf(dtype_, {5}, std::vector<double>(5, 0));
        std::vector<double> labels(static_cast<size_t>(a));
        for (double &label : labels) label = pick(static_cast<unsigned>(b));
        labels_ = ctx.leaf(CT_I32, {a}, labels);
        ct_params *set = nullptr;
        ctx.check(ct_params_create(ctx, &set), "ct_params_create");
        for (size_t i = 0; i < params_.size(); i++)
            ctx.check(ct_params_add(set, ("p" + std::to_string(i)).c_str(), params_[i].tensor), "ct_params_add");
        params_set_ = set;
        ctx.check(ct_adam_create(ctx, set, nullptr, &optimizer_), "ct_adam_create");
    }
    ~RandomStep()
    {
        ct_optimizer_destroy(optimizer_);
        ct_params_destroy(params_set_);
    }

    void record(Outcome &outcome)
    {
        random_.seed(seed_ + 1000);
        places_.seed(seed_ * 31 + 7);
        values_.clear();
        trace_.clear();
        nested_ = 0;
        const unsigned n = 5 + pick(56);
        for (unsigned i = 0; i < n; i++) {
            op();
            if (nested_ > 0 && pick(4) == 0) no_grad_end();
            maybe_end_segment();
        }
        while (nested_ > 0) no_grad_end();
        backward();
        maybe_end_segment();
        if (pick(3) == 0) check(ct_clip_grad_norm(params_set_, 0.5, nullptr), "clip");
        if (pick(2) == 0) check(ct_optimizer_step(optimizer_), "adam");
        outcome.values.clear();
        if (run_.read_all)
            for (size_t i = 0; i < values_.size(); i++)
                outcome.values.emplace_back("value " + std::to_string(i), bits_of(ctx_, values_[i].tensor));
        ctx_.end_step();
        outcome.trace = trace_;
    }
    void read_leaves(Outcome &outcome)
    {
        for (size_t i = 0; i < params_.size(); i++) {
            outcome.leaves.emplace_back("param " + std::to_string(i), bits_of(ctx_, params_[i].tensor));
            outcome.leaves.emplace_back("grad " + std::to_string(i), bits_of(ctx_, ct_grad(ctx_, params_[i].tensor)));
        }
        for (size_t i = 0; i < states_.size(); i++)
            outcome.leaves.emplace_back("state " + std::to_string(i), bits_of(ctx_, states_[i].tensor));
        outcome.leaves.emplace_back("ring", bits_of(ctx_, ring_));
    }
    ct_dtype dtype() const { return dtype_; }

  private:
    unsigned pick(unsigned n) { return static_cast<unsigned>(random_() % n); }
    void note(const std::string &text) { trace_ += text + "\n"; }
    void check(ct_status status, const char *what)
    {
        note(what);
        if (status != CT_OK) throw std::runtime_error(trace_ + ": " + ct_error_message(ctx_));
    }

    // Adds a value; one that could grow is brought down again.
    void add(const std::string &what, ct_tensor tensor, double bound)
    {
        note("v" + std::to_string(values_.size()) + " = " + what);
        if (tensor.bits == 0) throw std::runtime_error(trace_ + ": " + ct_error_message(ctx_));
        if (bound > 4) {
            tensor = ctx_.check(ct_tanh(ctx_, tensor), "ct_tanh");
            note("   ... tanh");
            bound = 1;
        }
        values_.push_back({tensor, ctx_.shape(tensor), bound});
    }

    // A value, a parameter, or a copy of a state leaf; with a way to name it.
    Value operand(std::string &name)
    {
        const unsigned kind = pick(10);
        if (kind < 6 && !values_.empty()) {
            // Mostly late ones, so that chains are long and early ones live on.
            const size_t n = values_.size(), i = pick(2) == 0
                                                     ? pick(static_cast<unsigned>(n))
                                                     : n - 1 - pick(static_cast<unsigned>(std::min<size_t>(n, 4)));
            name = "v" + std::to_string(i);
            return values_[i];
        }
        if (kind < 9) {
            const unsigned i = pick(static_cast<unsigned>(params_.size()));
            name = "p" + std::to_string(i);
            return params_[i];
        }
        const unsigned i = pick(static_cast<unsigned>(states_.size()));
        name = "detach(s" + std::to_string(i) + ")";
        return {ctx_.check(ct_detach(ctx_, states_[i].tensor), "ct_detach"), states_[i].shape, states_[i].bound};
    }
    // A leaf that is written in the step: only for ops whose gradients do not read it.
    Value written_leaf(std::string &name, bool grads = true)
    {
        if (pick(3) == 0 && grads) {
            const unsigned i = pick(static_cast<unsigned>(params_.size()));
            name = "grad(p" + std::to_string(i) + ")";
            return {ct_grad(ctx_, params_[i].tensor), params_[i].shape, 100};
        }
        const unsigned i = pick(static_cast<unsigned>(states_.size()));
        name = "s" + std::to_string(i);
        return states_[i];
    }
    // An operand that broadcasts with x; else x again.
    Value partner(const Value &x, std::string &name)
    {
        for (int tries = 0; tries < 12; tries++) {
            const Value y = operand(name);
            bool fits = true;
            const size_t both = std::min(x.shape.size(), y.shape.size());
            int64_t size = 1;
            for (size_t i = 1; i <= both; i++) {
                const int64_t dx = x.shape[x.shape.size() - i], dy = y.shape[y.shape.size() - i];
                fits = fits && (dx == dy || dx == 1 || dy == 1);
                size *= std::max(dx, dy);
            }
            if (fits && size < 100000) return y;
        }
        name = "itself";
        return x;
    }

    void op()
    {
        std::string a, b, c;
        switch (pick(41)) {
        case 0:
        case 1:
        case 2: return unary();
        case 3:
        case 4:
        case 5:
        case 6: return binary();
        case 7:
        case 8:
        case 9: return product();
        case 10: {
            const Value x = pick(3) == 0 ? written_leaf(a) : operand(a);
            if (x.shape.size() < 2) return unary();
            const int d0 = static_cast<int>(pick(static_cast<unsigned>(x.shape.size()))),
                      d1 = static_cast<int>(pick(static_cast<unsigned>(x.shape.size())));
            return add("transpose " + a, ct_transpose(ctx_, x.tensor, d0, d1), x.bound);
        }
        case 11:
        case 12: return transposed_product();
        case 13:
        case 14:
        case 15: {
            const Value x = pick(3) == 0 ? written_leaf(a) : operand(a);
            std::vector<int64_t> shape = x.shape;
            switch (pick(4)) {
            case 0: shape = {-1}; break;
            case 1: std::reverse(shape.begin(), shape.end()); break;
            case 2: shape.insert(shape.begin(), 1); break;
            default: shape.push_back(1); break;
            }
            return add("reshape " + a, ct_reshape(ctx_, x.tensor, static_cast<int>(shape.size()), shape.data()),
                       x.bound);
        }
        case 16:
        case 17: {
            const Value x = pick(2) == 0 ? written_leaf(a) : operand(a);
            std::vector<int64_t> shape = x.shape;
            for (int64_t &size : shape)
                if (size == 1) size = sizes_[pick(3)];
            if (shape.size() < 3) shape.insert(shape.begin(), sizes_[pick(3)]);
            if (numel(shape) > 20000) return unary();
            const ct_tensor wide =
                ctx_.check(ct_expand(ctx_, x.tensor, static_cast<int>(shape.size()), shape.data()), "ct_expand");
            add("expand " + a, wide, x.bound);
            return;
        }
        case 18:
        case 19: {
            const Value x = operand(a);
            if (x.shape.empty()) return unary();
            const int dim = static_cast<int>(pick(static_cast<unsigned>(x.shape.size())));
            const bool keep = pick(2) == 0;
            if (pick(2) == 0)
                return add("sum " + a, ct_sum(ctx_, x.tensor, 1, &dim, keep),
                           x.bound * static_cast<double>(x.shape[static_cast<size_t>(dim)]));
            return add("mean " + a, ct_mean(ctx_, x.tensor, 1, &dim, keep), x.bound);
        }
        case 20: {
            const Value x = operand(a);
            if (x.shape.empty()) return unary();
            const int dim = static_cast<int>(pick(static_cast<unsigned>(x.shape.size())));
            return add("softmax " + a,
                       pick(2) ? ct_softmax(ctx_, x.tensor, dim) : ct_tanh(ctx_, ct_log_softmax(ctx_, x.tensor, dim)),
                       1);
        }
        case 21: {
            const Value x = operand(a);
            if (x.shape.empty() || x.shape.back() != sizes_[0]) return unary();
            return add("linear " + a + " p2 ",
                       ct_linear(ctx_, x.tensor, params_[2].tensor, pick(2) ? states_[3].tensor : ct_tensor{0},
                                 static_cast<ct_activation>(pick(7))),
                       x.bound * static_cast<double>(sizes_[0]) + 2);
        }
        case 22: {
            const Value x = operand(a);
            return add("dropout " + a, ct_dropout(ctx_, x.tensor, 0.25), x.bound * 1.34);
        }
        case 23: {
            const std::vector<int64_t> shape = {sizes_[pick(3)], sizes_[pick(3)]};
            return add("rand",
                       pick(2) ? ct_rand(ctx_, dtype_, 2, shape.data())
                               : ct_tanh(ctx_, ct_randn(ctx_, dtype_, 2, shape.data())),
                       1);
        }
        case 24: {
            const Value x = operand(a);
            return add("detach " + a, ct_detach(ctx_, x.tensor), x.bound);
        }
        case 25: {
            const Value x = operand(a);
            const ct_tensor there = ctx_.check(ct_cast(ctx_, x.tensor, dtype_ == CT_F32 ? CT_F64 : CT_F32), "ct_cast");
            return add("cast there and back " + a, ct_cast(ctx_, there, dtype_), x.bound);
        }
        case 26:
            if (nested_ > 0 && pick(4) != 0) return no_grad_end();
            nested_++;
            note("no_grad {");
            return ct_no_grad_begin(ctx_);
        case 27:
        case 28: return write_state();
        case 29: {
            const Value x = operand(a);
            return check(ct_append(ctx_, ring_, ct_mean(ctx_, x.tensor, 0, nullptr, false)),
                         ("append mean " + a).c_str());
        }
        case 30: {
            const unsigned i = pick(static_cast<unsigned>(params_.size()));
            return check(ct_zero_grad(ctx_, params_[i].tensor), ("zero_grad p" + std::to_string(i)).c_str());
        }
        case 31: {
            const Value x = written_leaf(a), y = partner(x, b);
            // Neither add nor sub reads its operands again for a gradient.
            return add("add/sub " + a + " " + b,
                       pick(2) ? ct_add(ctx_, x.tensor, y.tensor) : ct_sub(ctx_, y.tensor, x.tensor), 100);
        }
        case 32: return losses();
        case 33: {
            const Value x = pick(3) == 0 ? written_leaf(a) : operand(a);
            if (x.shape.empty()) return unary();
            const int dim = static_cast<int>(pick(static_cast<unsigned>(x.shape.size())));
            const int64_t size = x.shape[static_cast<size_t>(dim)], start = pick(static_cast<unsigned>(size));
            const int64_t stop = start + 1 + pick(static_cast<unsigned>(size - start));
            return add("slice " + a, ct_slice(ctx_, x.tensor, dim, start, stop), x.bound);
        }
        case 34: {
            const Value x = pick(3) == 0 ? written_leaf(a) : operand(a), y = operand(b);
            if (x.shape.empty()) return unary();
            const std::vector<ct_tensor> tensors = {x.tensor, x.shape == y.shape ? y.tensor : x.tensor, x.tensor};
            const int dim = static_cast<int>(pick(static_cast<unsigned>(x.shape.size())));
            return add("concat " + a + " " + b, ct_concat(ctx_, static_cast<int>(1 + pick(3)), tensors.data(), dim),
                       std::max(x.bound, y.bound));
        }
        case 35: /* rows b by the labels, which are below b */
            return add("embedding p1", ct_embedding(ctx_, params_[1].tensor, labels_), 1);
        default: return backward();
        }
    }

    void no_grad_end()
    {
        nested_--;
        note("}");
        ct_no_grad_end(ctx_);
    }

    void unary()
    {
        std::string a;
        const Value x = operand(a);
        const ct_tensor t = x.tensor;
        switch (pick(14)) {
        case 0: return add("tanh " + a, ct_tanh(ctx_, t), 1);
        case 1: return add("sigmoid " + a, ct_sigmoid(ctx_, t), 1);
        case 2: return add("relu " + a, ct_relu(ctx_, t), x.bound);
        case 3: return add("neg " + a, ct_neg(ctx_, t), x.bound);
        case 4: return add("abs " + a, ct_abs(ctx_, t), x.bound);
        case 5: return add("square " + a, ct_square(ctx_, t), x.bound * x.bound);
        case 6: return add("sin " + a, ct_sin(ctx_, t), 1);
        case 7: return add("mul_scalar " + a, ct_mul_scalar(ctx_, t, -0.75), x.bound);
        case 8: return add("add_scalar " + a, ct_add_scalar(ctx_, t, 0.5), x.bound + 0.5);
        case 9: return add("softplus " + a, ct_softplus(ctx_, t), x.bound + 1);
        case 10: return add("gelu " + a, ct_gelu(ctx_, t, pick(2) == 0), x.bound);
        case 11: return add("clamp " + a, ct_clamp(ctx_, t, -0.5, 0.5), 0.5);
        case 12: return add("exp " + a, ct_exp(ctx_, ct_clamp(ctx_, t, -2, 1)), 2.8);
        default: return add("elu " + a, ct_elu(ctx_, t, 0.7), x.bound);
        }
    }

    void binary()
    {
        std::string a, b;
        const Value x = operand(a), y = partner(x, b);
        const std::string names = " " + a + " " + b;
        switch (pick(7)) {
        case 0: return add("add" + names, ct_add(ctx_, x.tensor, y.tensor), x.bound + y.bound);
        case 1: return add("sub" + names, ct_sub(ctx_, x.tensor, y.tensor), x.bound + y.bound);
        case 2:
        case 3: return add("mul" + names, ct_mul(ctx_, x.tensor, y.tensor), x.bound * y.bound);
        case 4:
            return add("div by 1 + square" + names,
                       ct_div(ctx_, x.tensor, ct_add_scalar(ctx_, ct_square(ctx_, y.tensor), 1)), x.bound);
        case 5: return add("maximum" + names, ct_maximum(ctx_, x.tensor, y.tensor), std::max(x.bound, y.bound));
        default:
            return add("where gt" + names, ct_where(ctx_, ct_gt(ctx_, x.tensor, y.tensor), x.tensor, y.tensor),
                       std::max(x.bound, y.bound));
        }
    }

    void product()
    {
        std::string a, b;
        for (int tries = 0; tries < 20; tries++) {
            const Value x = operand(a), y = operand(b);
            if (x.shape.size() < 2 || y.shape.size() < 2 || x.shape.back() != y.shape[y.shape.size() - 2]) continue;
            if (x.shape.size() > 2 && y.shape.size() > 2 && x.shape[0] != y.shape[0]) continue;
            if (x.shape.size() > 3 || y.shape.size() > 3) continue;
            return add("matmul " + a + " " + b, ct_matmul(ctx_, x.tensor, y.tensor),
                       x.bound * y.bound * static_cast<double>(x.shape.back()));
        }
        unary();
    }

    // A product with a transposed operand, other ops and writes in between.
    void transposed_product()
    {
        std::string a, b;
        for (int tries = 0; tries < 20; tries++) {
            // Not of a gradient: segments_test.cc, AProductOfAGradientAddsToThatGradient.
            const Value x = pick(2) ? written_leaf(a, false) : operand(a), y = operand(b);
            if (x.shape.size() != 2 || y.shape.size() != 2) continue;
            const bool left = x.shape[0] == y.shape[0], right = x.shape[1] == y.shape[1];
            if (!left && !right) continue;
            const ct_tensor turned =
                ctx_.check(ct_transpose(ctx_, x.tensor, pick(2) ? -1 : 0, pick(2) ? 0 : -1), "ct_transpose");
            const ct_info info = ctx_.describe(turned);
            if (info.shape[0] != x.shape[1] || (left ? info.shape[1] != y.shape[0] : false)) continue;
            note("   t = transpose " + a);
            if (pick(2)) write_state();
            const ct_tensor z = left ? ct_matmul(ctx_, turned, y.tensor) : ct_matmul(ctx_, y.tensor, turned);
            return add("matmul with t and " + b, z, 100);
        }
        unary();
    }

    void write_state()
    {
        std::string a;
        const bool to_grad = pick(3) == 0;
        for (int tries = 0; tries < 20; tries++) {
            const Value x = operand(a);
            const std::vector<Value> &leaves = to_grad ? params_ : states_;
            const unsigned i = pick(static_cast<unsigned>(leaves.size()));
            if (leaves[i].shape != x.shape) continue;
            const ct_tensor bounded = ctx_.check(ct_tanh(ctx_, x.tensor), "ct_tanh");
            const ct_tensor leaf = to_grad ? ct_grad(ctx_, leaves[i].tensor) : leaves[i].tensor;
            const std::string name = (to_grad ? " grad p" : " s") + std::to_string(i) + " tanh " + a;
            if (pick(3) == 0) return check(ct_accumulate(ctx_, leaf, bounded), ("accumulate" + name).c_str());
            return check(ct_assign(ctx_, leaf, bounded), ("assign" + name).c_str());
        }
    }

    void losses()
    {
        std::string a;
        for (int tries = 0; tries < 20; tries++) {
            const Value x = operand(a);
            if (x.shape == std::vector<int64_t>{sizes_[0], sizes_[1]})
                return add("cross_entropy " + a,
                           ct_cross_entropy(ctx_, x.tensor, labels_, 0.1, -100, static_cast<ct_reduction>(pick(3))),
                           100);
            if (x.shape == std::vector<int64_t>{sizes_[1], sizes_[2]})
                return add("mse_loss " + a + " p1",
                           ct_mse_loss(ctx_, x.tensor, params_[1].tensor, static_cast<ct_reduction>(pick(3))), 100);
        }
        unary();
    }

    // From the mean of a value, or from several values at once; or ct_gradients.
    void backward()
    {
        if (nested_ > 0) return write_state();
        std::vector<ct_tensor> roots;
        std::string names;
        for (size_t tries = 0; tries < 8 && roots.size() < 1 + pick(2); tries++) {
            if (values_.empty()) break;
            const size_t i = values_.size() - 1 - pick(static_cast<unsigned>(std::min<size_t>(values_.size(), 6)));
            if (!ctx_.describe(values_[i].tensor).requires_grad) continue;
            roots.push_back(ctx_.check(ct_mean(ctx_, values_[i].tensor, 0, nullptr, false), "ct_mean"));
            names += " v" + std::to_string(i);
        }
        if (roots.empty()) return product();
        if (pick(4) == 0) {
            const ct_tensor inputs[] = {params_[0].tensor, params_[3].tensor};
            ct_tensor grads[2];
            check(ct_gradients(ctx_, static_cast<int>(roots.size()), roots.data(), nullptr, 2, inputs, grads,
                               pick(2) ? CT_CREATE_GRAPH : CT_RETAIN_GRAPH),
                  ("gradients" + names).c_str());
            add("gradient of p0", grads[0], 100);
            return add("gradient of p3", grads[1], 100);
        }
        if (pick(2) == 0)
            for (size_t i = 0; i < params_.size(); i++)
                check(ct_zero_grad(ctx_, params_[i].tensor), "zero_grad of a parameter");
        check(ct_backward_from(ctx_, static_cast<int>(roots.size()), roots.data(), nullptr, CT_RETAIN_GRAPH),
              ("backward" + names).c_str());
    }

    // Ends the segment at a place of its own choice: the ops recorded do not depend on it.
    void maybe_end_segment()
    {
        if (run_.open_percent == 0 || static_cast<int>(places_() % 100) >= run_.open_percent) return;
        const unsigned how = static_cast<unsigned>(places_() % 4), which = static_cast<unsigned>(places_());
        if (how == 0 || values_.empty()) return ctx_.check(ct_flush(ctx_), "ct_flush");
        if (how == 1) return ctx_.check(ct_synchronize(ctx_), "ct_synchronize");
        const Value &x = values_[which % values_.size()];
        if (how == 2 && numel(x.shape) == 1)
            ct_item(ctx_, x.tensor);
        else
            bits_of(ctx_, x.tensor);
    }

    Context &ctx_;
    unsigned seed_;
    Run run_;
    std::mt19937 random_, places_;
    ct_dtype dtype_ = CT_F32;
    int64_t sizes_[3] = {};
    std::vector<Value> params_, states_, values_;
    ct_tensor ring_ = {}, labels_ = {};
    ct_params *params_set_ = nullptr;
    ct_optimizer *optimizer_ = nullptr;
    std::string trace_;
    int nested_ = 0;
};

Outcome run_seed(unsigned seed, const Run &run)
{
    if (run.debug_pool) setenv("CT_POOL_DEBUG", "1", 1);
    ct_config config = {};
    config.eager = run.eager;
    config.seed = seed;
    config.cpu_threads = 1;
    Context ctx(devices().front(), config);
    if (run.debug_pool) unsetenv("CT_POOL_DEBUG");
    Outcome outcome;
    {
        RandomStep step(ctx, seed, run);
        int64_t compiles = 0;
        for (int i = 0; i < run.recorded; i++) {
            step.record(outcome);
            // A step of more segments than the cache holds programs finds none of them again.
            if (i > 0 && compiles <= 256) {
                EXPECT_EQ(stats_of(ctx).compiles, compiles) << run.name << ": step " << i << " was compiled anew";
            }
            compiles = stats_of(ctx).compiles;
        }
        if (run.replayed) ctx.check(ct_replay(ctx, run.replayed), "ct_replay");
        EXPECT_TRUE(plans_are_sound(ctx)) << run.name;
        count_plans(ctx, &outcome.census);
        step.read_leaves(outcome);
        outcome.dtype = step.dtype();
    }
    return outcome;
}

using Tensors = std::vector<std::pair<std::string, Bits>>;

std::vector<double> numbers(const Bits &bits, ct_dtype dtype)
{
    std::vector<double> out(bits.size() / element_bytes(dtype));
    for (size_t i = 0; i < out.size(); i++) {
        float single;
        if (dtype == CT_F64)
            std::memcpy(&out[i], &bits[i * 8], 8);
        else
            std::memcpy(&single, &bits[i * 4], 4), out[i] = static_cast<double>(single);
    }
    return out;
}

// To the last bit, any NaN standing for any other.
::testing::AssertionResult same(const Tensors &actual, const Tensors &expected, ct_dtype dtype)
{
    if (actual.size() != expected.size())
        return ::testing::AssertionFailure() << actual.size() << " against " << expected.size() << " tensors";
    for (size_t i = 0; i < actual.size(); i++) {
        const auto result = same_bits(numbers(actual[i].second, dtype), numbers(expected[i].second, dtype));
        if (!result) return ::testing::AssertionFailure() << actual[i].first << ": " << result.message();
    }
    return ::testing::AssertionSuccess();
}

class RandomProgram : public ::testing::TestWithParam<unsigned>
{
};

TEST_P(RandomProgram, HasTheSameBitsHoweverItIsRun)
{
    const unsigned seed = GetParam();
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Outcome final_end = run_seed(seed, {"final"});
    const ct_dtype dtype = final_end.dtype;
    const Outcome all_read = run_seed(seed, {"read before the end", false, false, 0, true});
    EXPECT_TRUE(same(all_read.leaves, final_end.leaves, dtype)) << "read before the end";
    const Outcome debug = run_seed(seed, {"CT_POOL_DEBUG", false, true});
    EXPECT_TRUE(same(debug.leaves, final_end.leaves, dtype)) << "CT_POOL_DEBUG";
    for (const int percent : {8, 40}) {
        const Outcome open = run_seed(seed, {"open segments", false, false, percent, true});
        EXPECT_TRUE(same(open.leaves, final_end.leaves, dtype)) << "open segments";
        EXPECT_TRUE(same(open.values, all_read.values, dtype)) << "values, open segments";
    }
    const Outcome replayed = run_seed(seed, {"replayed", false, false, 0, false, 1, 2});
    EXPECT_TRUE(same(replayed.leaves, final_end.leaves, dtype)) << "replayed";
    const Outcome eager = run_seed(seed, {"eager", true, false, 0, true});
    EXPECT_TRUE(same(eager.leaves, final_end.leaves, dtype)) << "eager";
    EXPECT_TRUE(same(eager.values, all_read.values, dtype)) << "values, eager";
    if (HasFailure()) std::printf("the failing seed is %u, dtype %d:\n%s\n", seed, dtype, final_end.trace.c_str());
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomProgram, ::testing::Range(0u, n_seeds()));

// The random programs reach every way in which plans share memory; and a plan that is
// spoiled on purpose, in any of these ways, at any place, is found out.
TEST(PlanChecker, FindsEveryFault)
{
    plan_census reached = {};
    int places[32] = {}, missed[32] = {};
    for (unsigned seed = 0; seed < 40; seed++) {
        for (const int percent : {0, 10}) {
            ct_config config = {};
            config.cpu_threads = 1;
            Context ctx(devices().front(), config);
            Outcome outcome;
            RandomStep step(ctx, seed, {"spoiled", false, false, percent, percent > 0});
            step.record(outcome);
            plan_census census;
            count_plans(ctx, &census);
            reached.dead += census.dead, reached.aliased += census.aliased, reached.in_place += census.in_place;
            reached.stored += census.stored, reached.adds += census.adds, reached.scratch += census.scratch;
            for (int kind = 0; corruption_name(kind); kind++) {
                int tried, overlooked;
                char where[200] = "";
                check_corrupted(ctx, kind, &tried, &overlooked, where, sizeof where);
                EXPECT_EQ(overlooked, 0) << "seed " << seed << ": " << corruption_name(kind) << ": " << where;
                places[kind] += tried, missed[kind] += overlooked;
            }
        }
    }
    for (int kind = 0; corruption_name(kind); kind++) EXPECT_GT(places[kind], 0) << corruption_name(kind);
    EXPECT_GT(reached.dead, 0);
    EXPECT_GT(reached.aliased, 0);
    EXPECT_GT(reached.in_place, 0);
    EXPECT_GT(reached.stored, 0);
    EXPECT_GT(reached.adds, 0);
    EXPECT_GT(reached.scratch, 0);
    for (int kind = 0; corruption_name(kind); kind++)
        std::printf("%6d places: %s\n", places[kind], corruption_name(kind));
    std::printf("dead %d aliased %d in place %d stored %d adds %d\n", reached.dead, reached.aliased, reached.in_place,
                reached.stored, reached.adds);
}

} // namespace

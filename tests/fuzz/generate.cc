// The generator: statements are proposed at random, and kept if they are allowed and smooth.
#include "fuzz/generate.h"

#include "fuzz/naive.h"

#include <cutape/cutape.h>

#include <algorithm>
#include <random>

namespace
{

constexpr int64_t max_numel = 48;
constexpr size_t max_dims = 5;

class Generator
{
  public:
    explicit Generator(uint64_t seed) : random_(seed) {}
    Program run()
    {
        make_leaves();
        Naive naive(program_.leaves);
        Rules rules(program_.leaves);
        naive_ = &naive, rules_ = &rules;
        const int n = between(5, 54);
        for (int tries = 0; tries < 40 * n && static_cast<int>(program_.statements.size()) < n - 2; ++tries)
            keep(propose());
        for (int tries = 0;; ++tries) { // gradients may be too large: at last those of a leaf will do
            bool there = tries % 4 != 0;
            while (!there) there = keep(last_value(tries >= 16));
            if (keep(last_gradients(tries < 16))) return program_;
        }
    }

  private:
    int between(int low, int high) { return low + static_cast<int>(random_() % static_cast<uint64_t>(high - low + 1)); }
    bool chance(int percent) { return between(1, 100) <= percent; }
    template <typename T> const T &one_of(const std::vector<T> &list) { return list[random_() % list.size()]; }
    double multiple(int low, int high) { return between(low, high) / 64.0; }

    // Few sizes, so that shapes meet.
    void make_leaves()
    {
        const int64_t sizes[] = {1, between(2, 3), between(2, 5)};
        const int n = between(2, 6);
        for (int i = 0; i < n; ++i) {
            Leaf leaf = {{}, {}, i == 0 || chance(70), i != 0 && chance(35)};
            const int ndim = between(0, 3);
            for (int d = 0; d < ndim; ++d) leaf.shape.push_back(sizes[between(chance(80) ? 1 : 0, 2)]);
            while (count(leaf.shape) > max_numel) leaf.shape.pop_back();
            for (int64_t j = 0; j < count(leaf.shape); ++j) leaf.values.push_back(multiple(-128, 128));
            ids_.push_back(static_cast<int>(i));
            if (leaf.requires_grad) ids_.push_back(gradient_of(static_cast<int>(i)));
            program_.leaves.push_back(leaf);
        }
    }

    bool keep(Statement s)
    {
        if (s.args.empty() || !rules_->allow(s)) return false;
        naive_->play(s);
        const bool fine = naive_->smooth() && (s.results.empty() || count(naive_->shape(s.results[0])) <= max_numel);
        if (!fine) return naive_->undo(), false;
        rules_->add(s);
        ids_.insert(ids_.end(), s.results.begin(), s.results.end());
        if (s.op == Op::gt) masks_.push_back(s.results[0]);
        program_.statements.push_back(std::move(s));
        return true;
    }

    // Of the last results as often as of anything there is.
    int pick()
    {
        const size_t recent = std::min<size_t>(ids_.size(), 6);
        return chance(50) ? ids_[ids_.size() - 1 - random_() % recent] : one_of(ids_);
    }
    template <typename Condition> int pick_if(Condition holds)
    {
        for (int tries = 0; tries < 12; ++tries) {
            const int id = pick();
            if (holds(id, naive_->shape(id))) return id;
        }
        return ones; // none
    }
    static bool broadcasts(const Shape &a, const Shape &b)
    {
        for (size_t d = 1; d <= std::min(a.size(), b.size()); ++d) {
            const int64_t m = a[a.size() - d], n = b[b.size() - d];
            if (m != n && m != 1 && n != 1) return false;
        }
        return true;
    }
    int pick_beside(const Shape &shape)
    {
        return pick_if([&](int, const Shape &other) { return broadcasts(shape, other); });
    }
    int pick_like(const Shape &shape)
    {
        return pick_if([&](int, const Shape &other) { return shape == other; });
    }
    bool writable(int id)
    {
        return id < first_result && (!is_leaf(id) || program_.leaves[static_cast<size_t>(id)].written);
    }
    int new_result() { return first_result + n_results_++; }

    Statement value(Op op, std::vector<int> args, std::vector<int64_t> ints = {}, double number = 0)
    {
        if (std::count(args.begin(), args.end(), ones)) return {op, {}, {}};
        for (const int id : args) // what is written later would put an end to gradients
            if (facts(op).saves && writable(id) && chance(75)) return {op, {}, {}};
        Statement s = {op, std::move(args), std::move(ints), number};
        s.no_grad = chance(6);
        s.results = {new_result()};
        return s;
    }

    Statement propose()
    {
        const int what = between(1, 100);
        if (what <= 18) return unary();
        if (what <= 40) return binary();
        if (what <= 48) return reduction();
        if (what <= 60) return product();
        if (what <= 64) return along();
        if (what <= 75) return shape();
        if (what <= 78) return value(Op::detach, {pick()});
        if (what <= 84) return write();
        if (what <= 89) return backward();
        if (what <= 94) return some_gradients();
        if (what <= 96) return written_between();
        if (what <= 98) return gradient_in_between();
        return zero_grad();
    }

    Statement unary()
    {
        static const std::vector<Op> ops = {Op::neg,   Op::abs,      Op::exp,        Op::expm1,      Op::log,
                                            Op::log1p, Op::sqrt,     Op::rsqrt,      Op::square,     Op::reciprocal,
                                            Op::sin,   Op::cos,      Op::tanh,       Op::sigmoid,    Op::relu,
                                            Op::silu,  Op::softplus, Op::gelu,       Op::gelu_tanh,  Op::leaky_relu,
                                            Op::elu,   Op::clamp,    Op::add_scalar, Op::mul_scalar, Op::pow_scalar};
        const Op op = one_of(ops);
        double number = 0;
        if (op == Op::leaky_relu || op == Op::elu || op == Op::clamp) number = multiple(8, 96);
        if (op == Op::add_scalar || op == Op::mul_scalar) number = multiple(-96, 96);
        if (op == Op::pow_scalar) number = one_of<double>({2, 3, 1, 0.5, -1, 1.5});
        return value(op, {pick()}, {}, number);
    }

    Statement binary()
    {
        static const std::vector<Op> ops = {Op::add, Op::add,     Op::sub,     Op::mul, Op::mul,   Op::div,
                                            Op::pow, Op::maximum, Op::minimum, Op::gt,  Op::where, Op::mse_loss};
        const Op op = one_of(ops);
        const int a = pick();
        const Shape shape = naive_->shape(a);
        if (op == Op::mse_loss) return value(op, {a, pick_like(shape)}, {between(0, 2)});
        if (op != Op::where) return value(op, {a, chance(60) ? pick_like(shape) : pick_beside(shape)});
        if (masks_.empty()) return value(Op::gt, {a, pick_beside(shape)});
        const int mask = one_of(masks_), b = pick_beside(shape);
        const bool meets =
            b != ones && broadcasts(naive_->shape(mask), shape) && broadcasts(naive_->shape(mask), naive_->shape(b));
        return value(op, {mask, a, meets ? b : ones});
    }

    Statement reduction()
    {
        static const std::vector<Op> ops = {Op::sum, Op::sum, Op::mean, Op::amax, Op::amin, Op::logsumexp, Op::var};
        const Op op = one_of(ops);
        const int x = pick();
        std::vector<int64_t> ints = {chance(50), op == Op::var ? between(0, 1) : 0};
        const auto ndim = static_cast<int64_t>(naive_->shape(x).size());
        int64_t n = 1;
        for (int64_t d = 0; d < ndim; ++d)
            if (chance(50)) ints.push_back(d), n *= naive_->shape(x)[static_cast<size_t>(d)];
        if (ints.size() == 2) n = count(naive_->shape(x));
        if (op == Op::var && n <= ints[1]) return {op, {}, {}};
        return value(op, {x}, ints);
    }

    Statement product()
    {
        const int x = pick_if([](int, const Shape &s) { return s.size() >= 1; });
        if (x == ones) return {Op::matmul, {}, {}};
        const Shape shape = naive_->shape(x);
        if (chance(60)) {
            const auto meets = [&](int, const Shape &s) {
                return shape.size() >= 2 && s.size() >= 2 && s[s.size() - 2] == shape.back() &&
                       broadcasts(Shape(shape.begin(), shape.end() - 2), Shape(s.begin(), s.end() - 2));
            };
            return value(Op::matmul, {x, pick_if(meets)});
        }
        const int w = pick_if([&](int, const Shape &s) { return s.size() == 2 && s[1] == shape.back(); });
        if (w == ones) return {Op::linear, {}, {}};
        std::vector<int> args = {x, w};
        const int64_t out = naive_->shape(w)[0];
        const int b = pick_if([&](int, const Shape &s) { return s.size() == 1 && s[0] == out; });
        if (b != ones) args.push_back(b);
        return value(Op::linear, args, {between(0, 6)});
    }

    Statement along()
    {
        const int x = pick_if([](int, const Shape &s) { return s.size() >= 1; });
        if (x == ones) return {Op::softmax, {}, {}};
        return value(chance(50) ? Op::softmax : Op::log_softmax, {x},
                     {between(0, static_cast<int>(naive_->shape(x).size()) - 1)});
    }

    Statement shape()
    {
        const int x = pick();
        const Shape shape = naive_->shape(x);
        const int last = static_cast<int>(shape.size()) - 1, d = between(0, std::max(last, 0));
        switch (between(0, 4)) {
        case 0: return value(Op::reshape, {x}, reshaped(shape));
        case 1: return last < 1 ? Statement{Op::transpose, {}, {}} : value(Op::transpose, {x}, {d, between(0, last)});
        case 2: {
            Shape wide = shape;
            for (int64_t &size : wide)
                if (size == 1 && chance(50)) size = between(2, 3);
            if (wide.size() < max_dims && chance(60)) wide.insert(wide.begin(), between(1, 3));
            return value(Op::expand, {x}, wide);
        }
        case 3: {
            if (last < 0) return {Op::slice, {}, {}};
            const int size = static_cast<int>(shape[static_cast<size_t>(d)]), start = between(0, size - 1);
            return value(Op::slice, {x}, {d, start, between(start + 1, size)});
        }
        default: {
            if (last < 0) return {Op::concat, {}, {}};
            const auto fits = [&](int, const Shape &other) {
                bool same = other.size() == shape.size();
                for (size_t k = 0; same && k < shape.size(); ++k)
                    same = other[k] == shape[k] || k == static_cast<size_t>(d);
                return same;
            };
            return value(Op::concat,
                         chance(50) ? std::vector<int>{x, pick_if(fits)} : std::vector<int>{pick_if(fits), x, x}, {d});
        }
        }
    }

    std::vector<int64_t> reshaped(const Shape &shape)
    {
        std::vector<int64_t> other = shape;
        if (other.size() > 1 && chance(50)) { // join two dims
            const size_t at = random_() % (other.size() - 1);
            other[at] *= other[at + 1];
            other.erase(other.begin() + static_cast<std::ptrdiff_t>(at) + 1);
        } else if (other.size() < max_dims) {
            other.insert(other.begin() + static_cast<std::ptrdiff_t>(random_() % (other.size() + 1)), 1);
        }
        return other;
    }

    Statement write()
    {
        int leaf = ones;
        for (int tries = 0; tries < 4 && leaf == ones; ++tries)
            leaf = pick_if([&](int id, const Shape &) { return writable(id); });
        if (leaf == ones) return {Op::assign, {}, {}};
        const int from = pick_like(naive_->shape(leaf));
        if (from == ones) return {Op::assign, {}, {}};
        return {chance(35) ? Op::assign : Op::accumulate, {leaf, from}, {}};
    }

    // A copy of a leaf, a write to the leaf, a use of the copy.
    Statement written_between()
    {
        const int leaf = pick_if([&](int id, const Shape &) { return writable(id); });
        if (leaf == ones) return {Op::assign, {}, {}};
        const Shape shape = naive_->shape(leaf);
        Shape wide = shape;
        wide.insert(wide.begin(), 2);
        const Statement copies[] = {value(Op::expand, {leaf}, chance(50) && shape.size() < max_dims ? wide : shape),
                                    value(Op::reshape, {leaf}, reshaped(shape)), value(Op::mul_scalar, {leaf}, {}, 1)};
        if (!keep(copies[between(0, 2)])) return {Op::assign, {}, {}};
        const int copy = ids_.back(), from = pick_like(shape);
        if (from != ones) keep({chance(50) ? Op::assign : Op::accumulate, {leaf, from}, {}});
        return value(chance(50) ? Op::add : Op::sub, {pick_beside(naive_->shape(copy)), copy});
    }

    // A sweep that makes a gradient of w and reads the old one before it adds the new.
    Statement gradient_in_between()
    {
        const auto weight = [&](int id, const Shape &s) {
            return is_leaf(id) && s.size() == 2 && rules_->requires_grad(id) && !writable(id);
        };
        const int w = pick_if(weight);
        if (w == ones) return {Op::backward, {}, {}};
        const int64_t in = naive_->shape(w)[0];
        const int x = pick_beside(naive_->shape(w)),
                  y = pick_if([&](int, const Shape &s) { return s.size() == 2 && s[1] == in; });
        if (x == ones || y == ones) return {Op::backward, {}, {}};
        const Statement scaled = {Op::mul, {x, gradient_of(w)}, {}, 0, false, {}, {}, 0, {new_result()}};
        if (!keep(scaled) || !keep(value(Op::matmul, {y, w}))) return {Op::backward, {}, {}};
        return {Op::backward, {scaled.results[0], ids_.back()}, {}, 0, false, {ones, ones}};
    }

    Statement zero_grad()
    {
        const int leaf = pick_if([&](int id, const Shape &) { return is_leaf(id) && rules_->requires_grad(id); });
        return leaf == ones ? Statement{Op::zero_grad, {}, {}} : Statement{Op::zero_grad, {leaf}, {}};
    }

    int pick_root()
    {
        return pick_if([&](int id, const Shape &) { return rules_->requires_grad(id) && rules_->usable(id); });
    }
    bool add_roots(Statement &s, int n)
    {
        for (int i = 0; i < n; ++i) {
            const int root = pick_root();
            if (root == ones) continue;
            s.args.push_back(root);
            s.seeds.push_back(chance(30) ? ones : pick_like(naive_->shape(root)));
        }
        return !s.args.empty();
    }

    Statement backward()
    {
        Statement s = {Op::backward, {}, {}};
        if (!add_roots(s, between(1, 3))) return s;
        s.flags = chance(70) ? CT_RETAIN_GRAPH : 0;
        if (chance(50)) // as a training step does
            for (size_t i = 0; i < program_.leaves.size(); ++i)
                if (program_.leaves[i].requires_grad) keep({Op::zero_grad, {static_cast<int>(i)}, {}});
        return s;
    }

    Statement some_gradients()
    {
        Statement s = {Op::gradients, {}, {}};
        if (!add_roots(s, between(1, 2))) return s;
        for (int i = between(1, 3); i-- > 0;) {
            const int input = pick_root();
            if (input == ones) continue;
            s.inputs.push_back(input);
            s.results.push_back(new_result());
        }
        s.flags = chance(60) ? CT_CREATE_GRAPH : chance(60) ? CT_RETAIN_GRAPH : 0;
        return s;
    }

    // Something that can be differentiated, whatever was swept.
    Statement last_value(bool plain)
    {
        int a = plain ? ones : pick_root(), b = plain ? ones : pick_root();
        if (a == ones) a = 0;
        if (b == ones) b = 0;
        Statement s = value(Op::add, {a, broadcasts(naive_->shape(a), naive_->shape(b)) ? b : a});
        s.no_grad = false;
        return s;
    }

    Statement last_gradients(bool more)
    {
        Statement s = {Op::gradients, {}, {}};
        s.args = {ids_.back()};
        s.seeds = {ones};
        if (more) add_roots(s, between(0, 2));
        for (size_t i = 0; i < program_.leaves.size(); ++i)
            if (program_.leaves[i].requires_grad) s.inputs.push_back(static_cast<int>(i));
        for (int i = more ? between(0, 2) : 0; i-- > 0;) {
            const int input = pick_root();
            if (input != ones) s.inputs.push_back(input);
        }
        for (size_t i = 0; i < s.inputs.size(); ++i) s.results.push_back(new_result());
        return s;
    }

    std::mt19937_64 random_;
    Program program_;
    std::vector<int> ids_, masks_; // of all there is to read, of comparisons
    int n_results_ = 0;
    Naive *naive_ = nullptr;
    Rules *rules_ = nullptr;
};

} // namespace

Program generate(uint64_t seed) { return Generator(seed).run(); }

bool sound(const Program &program)
{
    if (program.statements.empty() || program.statements.back().op != Op::gradients) return false;
    Naive naive(program.leaves);
    Rules rules(program.leaves);
    for (const Statement &s : program.statements) {
        if (!rules.allow(s)) return false;
        naive.play(s);
        rules.add(s);
        if (!naive.smooth()) return false;
    }
    return true;
}

// The formulas of the naive evaluator and its reverse mode.
#include "fuzz/naive.h"

#include <cutape/cutape.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

// ---- scalars ---------------------------------------------------------------------------------------------

int Naive::make(Kind kind, int a, int b, int c)
{
    const auto of = [&](int node) { return node < 0 ? 0.0 : value(node); };
    const auto near = [&](double distance) { margin_ = std::isnan(distance) ? 0 : std::fmin(margin_, distance); };
    const double x = of(a), y = of(b);
    double result = 0;
    switch (kind) {
    case Kind::constant:
    case Kind::variable: throw std::logic_error("a node without a formula");
    case Kind::copy: result = x; break;
    case Kind::neg: result = -x; break;
    case Kind::add: result = x + y; break;
    case Kind::mul: result = x * y; break;
    case Kind::div: result = x / y, near(std::fabs(y)); break;
    case Kind::exp: result = std::exp(x); break;
    case Kind::log: result = std::log(x), near(x); break;
    case Kind::sqrt: result = std::sqrt(x), near(x); break;
    case Kind::sin: result = std::sin(x); break;
    case Kind::cos: result = std::cos(x); break;
    case Kind::tanh: result = std::tanh(x); break;
    case Kind::erf: result = std::erf(x); break;
    case Kind::power: result = std::pow(x, y), near(y >= 0 && y == std::floor(y) ? 1 : x); break;
    case Kind::greater: result = x > y, near(std::fabs(x - y)); break;
    case Kind::select: result = x != 0 ? y : of(c); break;
    }
    bool variable = false;
    for (const int node : {a, b, c}) variable |= node >= 0 && nodes_[static_cast<size_t>(node)].variable;
    largest_ = std::isnan(result) ? INFINITY : std::fmax(largest_, std::fabs(result));
    nodes_.push_back({kind, variable && kind != Kind::greater, a, b, c, result});
    return static_cast<int>(nodes_.size()) - 1;
}

int Naive::constant(double value)
{
    nodes_.push_back({Kind::constant, false, -1, -1, -1, value});
    return static_cast<int>(nodes_.size()) - 1;
}

int Naive::positive(int x, int then, int other)
{
    return make(Kind::select, make(Kind::greater, x, constant(0)), then, other);
}

int Naive::unary(Op op, int x, double number)
{
    switch (op) {
    case Op::neg: return neg(x);
    case Op::abs: return positive(x, make(Kind::copy, x), neg(x));
    case Op::exp: return exp(x);
    case Op::expm1: return sub(exp(x), constant(1));
    case Op::log: return log(x);
    case Op::log1p: return log(add(x, constant(1)));
    case Op::sqrt: return make(Kind::sqrt, x);
    case Op::rsqrt: return div(constant(1), make(Kind::sqrt, x));
    case Op::square: return square(x);
    case Op::reciprocal: return div(constant(1), x);
    case Op::sin: return make(Kind::sin, x);
    case Op::cos: return make(Kind::cos, x);
    case Op::tanh: return make(Kind::tanh, x);
    case Op::sigmoid: return sigmoid(x);
    case Op::relu: return positive(x, x, constant(0));
    case Op::silu: return mul(x, sigmoid(x));
    case Op::softplus: return log(add(constant(1), exp(x)));
    case Op::gelu:
        return mul(mul(constant(0.5), x), add(constant(1), make(Kind::erf, mul(x, constant(std::sqrt(0.5))))));
    case Op::gelu_tanh: {
        const int cube = mul(constant(0.044715), mul(x, square(x)));
        const int u = mul(constant(std::sqrt(2 / std::acos(-1.0))), add(x, cube));
        return mul(mul(constant(0.5), x), add(constant(1), make(Kind::tanh, u)));
    }
    case Op::leaky_relu: return positive(x, x, mul(x, constant(number)));
    case Op::elu: return positive(x, x, mul(constant(number), sub(exp(x), constant(1))));
    case Op::clamp: return neg(larger(neg(larger(x, constant(-number))), constant(-number)));
    case Op::add_scalar: return add(x, constant(number));
    case Op::mul_scalar: return mul(x, constant(number));
    case Op::pow_scalar: return make(Kind::power, x, constant(number));
    default: throw std::logic_error("not a unary op");
    }
}

int Naive::binary(Op op, int a, int b)
{
    switch (op) {
    case Op::add: return add(a, b);
    case Op::sub: return sub(a, b);
    case Op::mul: return mul(a, b);
    case Op::div: return div(a, b);
    case Op::pow: return exp(mul(b, log(a)));
    case Op::maximum: return larger(a, b);
    case Op::minimum: return neg(larger(neg(a), neg(b)));
    case Op::gt: return make(Kind::greater, a, b);
    default: throw std::logic_error("not a binary op");
    }
}

int Naive::activation(int64_t which, int x)
{
    static const std::map<int64_t, Op> ops = {{CT_ACT_RELU, Op::relu},       {CT_ACT_TANH, Op::tanh},
                                              {CT_ACT_SIGMOID, Op::sigmoid}, {CT_ACT_GELU, Op::gelu},
                                              {CT_ACT_SILU, Op::silu},       {CT_ACT_LEAKY_RELU, Op::leaky_relu}};
    return which == CT_ACT_IDENTITY ? x : unary(ops.at(which), x, 0.01);
}

// ---- tensors -----------------------------------------------------------------------------------------------

// The index along every dim of the i-th element.
static Shape place(const Shape &shape, int64_t i)
{
    Shape at(shape.size());
    for (size_t d = shape.size(); d-- > 0; i /= shape[d]) at[d] = i % shape[d];
    return at;
}

// The element that stands at this place, or was repeated there.
static size_t element(const Shape &shape, const Shape &at)
{
    int64_t index = 0;
    const size_t lead = at.size() - shape.size();
    for (size_t d = 0; d < shape.size(); ++d) index = index * shape[d] + (shape[d] == 1 ? 0 : at[lead + d]);
    return static_cast<size_t>(index);
}

static Shape broadcast(const Shape &a, const Shape &b)
{
    Shape both = a.size() > b.size() ? a : b;
    const Shape &other = a.size() > b.size() ? b : a;
    for (size_t d = 0; d < other.size(); ++d) {
        int64_t &size = both[both.size() - other.size() + d];
        if (size == 1) size = other[d];
    }
    return both;
}

int Naive::sum(const Ids &nodes)
{
    int total = constant(0);
    for (const int node : nodes) total = add(total, node);
    return total;
}

int Naive::fold(Op op, const Ids &nodes, int64_t correction)
{
    const int n = constant(static_cast<double>(nodes.size()));
    switch (op) {
    case Op::sum: return sum(nodes);
    case Op::mean: return div(sum(nodes), n);
    case Op::amax:
    case Op::amin: {
        int best = make(Kind::copy, nodes[0]);
        for (size_t i = 1; i < nodes.size(); ++i)
            best = binary(op == Op::amax ? Op::maximum : Op::minimum, best, nodes[i]);
        return best;
    }
    case Op::logsumexp: {
        Ids powers;
        for (const int node : nodes) powers.push_back(exp(node));
        return log(sum(powers));
    }
    case Op::var: {
        const int mean = div(sum(nodes), n);
        Ids squares;
        for (const int node : nodes) squares.push_back(square(sub(node, mean)));
        return div(sum(squares), constant(static_cast<double>(nodes.size()) - static_cast<double>(correction)));
    }
    default: throw std::logic_error("not a reduction");
    }
}

// ints: keepdim, correction, then the dims.
Naive::Tensor Naive::reduce(const Statement &s, const Tensor &x)
{
    Tensor kept = {x.shape, {}}, y;
    for (size_t d = 0; d < x.shape.size(); ++d) {
        const bool all = s.ints.size() == 2;
        const bool reduced = all || std::count(s.ints.begin() + 2, s.ints.end(), static_cast<int64_t>(d));
        if (reduced) kept.shape[d] = 1;
        if (!reduced || s.ints[0]) y.shape.push_back(kept.shape[d]);
    }
    std::vector<Ids> groups(static_cast<size_t>(count(kept.shape)));
    for (size_t i = 0; i < x.nodes.size(); ++i)
        groups[element(kept.shape, place(x.shape, static_cast<int64_t>(i)))].push_back(x.nodes[i]);
    for (const Ids &group : groups) y.nodes.push_back(fold(s.op, group, s.ints[1]));
    return y;
}

Naive::Tensor Naive::matmul(const Tensor &a, const Tensor &b)
{
    const auto batch = [](const Shape &shape) { return Shape(shape.begin(), shape.end() - 2); };
    const int64_t m = a.shape[a.shape.size() - 2], k = a.shape.back(), n = b.shape.back();
    const Shape batches = broadcast(batch(a.shape), batch(b.shape));
    Tensor c = {batches, {}};
    c.shape.push_back(m), c.shape.push_back(n);
    for (int64_t i = 0; i < count(c.shape); ++i) {
        const Shape at = place(c.shape, i), matrix(at.begin(), at.end() - 2);
        const auto entry = [&](const Tensor &t, int64_t row, int64_t column) {
            const auto of = static_cast<int64_t>(element(batch(t.shape), matrix));
            return t.nodes[static_cast<size_t>((of * t.shape[t.shape.size() - 2] + row) * t.shape.back() + column)];
        };
        Ids products;
        for (int64_t j = 0; j < k; ++j) products.push_back(mul(entry(a, at[at.size() - 2], j), entry(b, j, at.back())));
        c.nodes.push_back(sum(products));
    }
    return c;
}

Naive::Tensor Naive::linear(const Statement &s)
{
    const Tensor x = tensors_.at(s.args[0]), w = tensors_.at(s.args[1]);
    Tensor rows = {{count(x.shape) / x.shape.back(), x.shape.back()}, x.nodes};
    Tensor y = matmul(rows, transpose(w, 0, 1));
    for (size_t i = 0; i < y.nodes.size(); ++i) {
        int &z = y.nodes[i];
        if (s.args.size() == 3) z = add(z, tensors_.at(s.args[2]).nodes[i % static_cast<size_t>(w.shape[0])]);
        z = activation(s.ints[0], z);
    }
    y.shape = x.shape;
    y.shape.back() = w.shape[0];
    return y;
}

Naive::Tensor Naive::along(Op op, const Tensor &x, size_t dim)
{
    Statement total = {Op::logsumexp, {}, {1, 0, static_cast<int64_t>(dim)}};
    const Tensor sums = reduce(total, x);
    Tensor y = {x.shape, {}};
    for (size_t i = 0; i < x.nodes.size(); ++i) {
        const int log = sub(x.nodes[i], sums.nodes[element(sums.shape, place(x.shape, static_cast<int64_t>(i)))]);
        y.nodes.push_back(op == Op::softmax ? exp(log) : log);
    }
    return y;
}

Naive::Tensor Naive::transpose(const Tensor &x, size_t d0, size_t d1)
{
    Tensor y = x;
    std::swap(y.shape[d0], y.shape[d1]);
    for (size_t i = 0; i < y.nodes.size(); ++i) {
        Shape at = place(y.shape, static_cast<int64_t>(i));
        std::swap(at[d0], at[d1]);
        y.nodes[i] = make(Kind::copy, x.nodes[element(x.shape, at)]);
    }
    return y;
}

// ints: dim, start, stop
Naive::Tensor Naive::slice(const Statement &s, const Tensor &x)
{
    const size_t dim = static_cast<size_t>(s.ints[0]);
    Tensor y = {x.shape, {}};
    y.shape[dim] = s.ints[2] - s.ints[1];
    for (int64_t i = 0; i < count(y.shape); ++i) {
        Shape at = place(y.shape, i);
        at[dim] += s.ints[1];
        y.nodes.push_back(make(Kind::copy, x.nodes[element(x.shape, at)]));
    }
    return y;
}

Naive::Tensor Naive::concat(const Statement &s)
{
    const size_t dim = static_cast<size_t>(s.ints[0]);
    Tensor y = {tensors_.at(s.args[0]).shape, {}};
    y.shape[dim] = 0;
    for (const int id : s.args) y.shape[dim] += shape(id)[dim];
    for (int64_t i = 0; i < count(y.shape); ++i) {
        Shape at = place(y.shape, i);
        size_t part = 0;
        while (at[dim] >= shape(s.args[part])[dim]) at[dim] -= shape(s.args[part++])[dim];
        const Tensor &x = tensors_.at(s.args[part]);
        y.nodes.push_back(make(Kind::copy, x.nodes[element(x.shape, at)]));
    }
    return y;
}

Naive::Tensor Naive::evaluate(const Statement &s)
{
    const Tensor x = tensors_.at(s.args[0]);
    Tensor y = {x.shape, {}};
    if (s.op <= Op::pow_scalar) {
        for (const int node : x.nodes) y.nodes.push_back(unary(s.op, node, s.number));
        return y;
    }
    switch (s.op) {
    case Op::where: {
        const Tensor a = tensors_.at(s.args[1]), b = tensors_.at(s.args[2]);
        y.shape = broadcast(x.shape, broadcast(a.shape, b.shape));
        for (int64_t i = 0; i < count(y.shape); ++i) {
            const Shape at = place(y.shape, i);
            y.nodes.push_back(make(Kind::select, x.nodes[element(x.shape, at)], a.nodes[element(a.shape, at)],
                                   b.nodes[element(b.shape, at)]));
        }
        return y;
    }
    case Op::mse_loss: { // ints: the reduction
        const Tensor b = tensors_.at(s.args[1]);
        for (size_t i = 0; i < x.nodes.size(); ++i) y.nodes.push_back(square(sub(x.nodes[i], b.nodes[i])));
        if (s.ints[0] == CT_REDUCE_NONE) return y;
        const int total = sum(y.nodes);
        return {{}, {s.ints[0] == CT_REDUCE_SUM ? total : div(total, constant(static_cast<double>(x.nodes.size())))}};
    }
    case Op::sum:
    case Op::mean:
    case Op::amax:
    case Op::amin:
    case Op::logsumexp:
    case Op::var: return reduce(s, x);
    case Op::matmul: return matmul(x, tensors_.at(s.args[1]));
    case Op::linear: return linear(s);
    case Op::softmax:
    case Op::log_softmax: return along(s.op, x, static_cast<size_t>(s.ints[0]));
    case Op::transpose: return transpose(x, static_cast<size_t>(s.ints[0]), static_cast<size_t>(s.ints[1]));
    case Op::reshape:
    case Op::expand:
        y.shape = s.ints;
        for (int64_t i = 0; i < count(y.shape); ++i) {
            const size_t from = s.op == Op::reshape ? static_cast<size_t>(i) : element(x.shape, place(y.shape, i));
            y.nodes.push_back(make(Kind::copy, x.nodes[from]));
        }
        return y;
    case Op::slice: return slice(s, x);
    case Op::concat: return concat(s);
    case Op::detach: return frozen(x);
    default: {
        const Tensor b = tensors_.at(s.args[1]);
        y.shape = broadcast(x.shape, b.shape);
        for (int64_t i = 0; i < count(y.shape); ++i) {
            const Shape at = place(y.shape, i);
            y.nodes.push_back(binary(s.op, x.nodes[element(x.shape, at)], b.nodes[element(b.shape, at)]));
        }
        return y;
    }
    }
}

// ---- gradients -----------------------------------------------------------------------------------------------

void Naive::give(int node, int g, Ids &adjoint)
{
    int &sum = adjoint[static_cast<size_t>(node)];
    sum = sum < 0 ? g : add(sum, g);
}

void Naive::pull(int node, int g, Ids &adjoint)
{
    const Node n = nodes_[static_cast<size_t>(node)];
    const auto varies = [&](int id) { return id >= 0 && nodes_[static_cast<size_t>(id)].variable; };
    const bool a = varies(n.a), b = varies(n.b), c = varies(n.c);
    switch (n.kind) {
    case Kind::constant:
    case Kind::variable:
    case Kind::greater: break;
    case Kind::copy: give(n.a, g, adjoint); break;
    case Kind::neg: give(n.a, neg(g), adjoint); break;
    case Kind::add:
        if (a) give(n.a, g, adjoint);
        if (b) give(n.b, g, adjoint);
        break;
    case Kind::mul:
        if (a) give(n.a, mul(g, n.b), adjoint);
        if (b) give(n.b, mul(g, n.a), adjoint);
        break;
    case Kind::div:
        if (a) give(n.a, div(g, n.b), adjoint);
        if (b) give(n.b, neg(div(mul(g, node), n.b)), adjoint);
        break;
    case Kind::exp: give(n.a, mul(g, node), adjoint); break;
    case Kind::log: give(n.a, div(g, n.a), adjoint); break;
    case Kind::sqrt: give(n.a, div(g, add(node, node)), adjoint); break;
    case Kind::sin: give(n.a, mul(g, make(Kind::cos, n.a)), adjoint); break;
    case Kind::cos: give(n.a, neg(mul(g, make(Kind::sin, n.a))), adjoint); break;
    case Kind::tanh: give(n.a, mul(g, sub(constant(1), square(node))), adjoint); break;
    case Kind::erf:
        give(n.a, mul(g, mul(constant(2 / std::sqrt(std::acos(-1.0))), exp(neg(square(n.a))))), adjoint);
        break;
    case Kind::power: {
        const double p = value(n.b);
        if (p != 0) give(n.a, mul(g, mul(constant(p), make(Kind::power, n.a, constant(p - 1)))), adjoint);
        break;
    }
    case Kind::select: {
        const int zero = constant(0);
        if (b) give(n.b, make(Kind::select, n.a, g, zero), adjoint);
        if (c) give(n.c, make(Kind::select, n.a, zero, g), adjoint);
        break;
    }
    }
}

// The adjoints of all nodes there are; -1 for none.
Naive::Ids Naive::sweep(const Statement &s)
{
    Ids adjoint(nodes_.size(), -1);
    for (size_t r = 0; r < s.args.size(); ++r) {
        const Tensor &root = tensors_.at(s.args[r]);
        for (size_t i = 0; i < root.nodes.size(); ++i)
            give(root.nodes[i], s.seeds[r] == ones ? constant(1) : tensors_.at(s.seeds[r]).nodes[i], adjoint);
    }
    for (size_t node = adjoint.size(); node-- > 0;)
        if (adjoint[node] >= 0 && nodes_[node].variable) pull(static_cast<int>(node), adjoint[node], adjoint);
    return adjoint;
}

// ---- statements ----------------------------------------------------------------------------------------------

Naive::Naive(const std::vector<Leaf> &leaves)
{
    for (size_t i = 0; i < leaves.size(); ++i) {
        const Leaf &leaf = leaves[i];
        Tensor x = {leaf.shape, {}}, zeros = {leaf.shape, {}};
        for (const double value : leaf.values) {
            x.nodes.push_back(constant(value));
            nodes_.back().kind = leaf.requires_grad ? Kind::variable : Kind::constant;
            nodes_.back().variable = leaf.requires_grad;
            zeros.nodes.push_back(constant(0));
        }
        const int id = static_cast<int>(i);
        requires_grad_.push_back(leaf.requires_grad);
        tensors_[id] = variables_[id] = x;
        if (leaf.requires_grad) tensors_[gradient_of(id)] = zeros;
    }
}

Naive::Tensor Naive::frozen(const Tensor &x)
{
    Tensor y = {x.shape, {}};
    for (const int node : x.nodes) y.nodes.push_back(constant(value(node)));
    return y;
}

// A leaf with other contents is still the same variable: it stands for itself plus a constant.
Naive::Tensor Naive::moved(int leaf, const Tensor &to)
{
    if (!is_leaf(leaf) || !requires_grad_[static_cast<size_t>(leaf)]) return frozen(to);
    Tensor y = {to.shape, {}};
    for (size_t i = 0; i < to.nodes.size(); ++i) {
        const int variable = variables_.at(leaf).nodes[i];
        y.nodes.push_back(add(variable, constant(value(to.nodes[i]) - value(variable))));
    }
    return y;
}

void Naive::set(int id, Tensor x)
{
    const auto old = tensors_.find(id);
    if (old == tensors_.end())
        fresh_.push_back(id);
    else
        before_.emplace_back(id, old->second);
    // A tensor varies as a whole: there may be a gradient by it where a part of it is constant.
    const auto varies = [&](int node) -> bool { return nodes_[static_cast<size_t>(node)].variable; };
    if (std::any_of(x.nodes.begin(), x.nodes.end(), varies))
        for (const int node : x.nodes) nodes_[static_cast<size_t>(node)].variable = true;
    tensors_[id] = std::move(x);
}

void Naive::undo()
{
    for (const int id : fresh_) tensors_.erase(id);
    for (auto &old : before_) tensors_[old.first] = std::move(old.second);
    nodes_.resize(nodes_before_);
    fresh_.clear();
    before_.clear();
}

void Naive::play(const Statement &s)
{
    fresh_.clear();
    before_.clear();
    nodes_before_ = nodes_.size();
    margin_ = 1, largest_ = 0;
    const auto plus = [&](const Tensor &a, const Tensor &b) {
        Tensor y = {a.shape, {}};
        for (size_t i = 0; i < a.nodes.size(); ++i) y.nodes.push_back(add(a.nodes[i], b.nodes[i]));
        return y;
    };
    switch (s.op) {
    case Op::assign: set(s.args[0], moved(s.args[0], tensors_.at(s.args[1]))); break;
    case Op::accumulate: set(s.args[0], moved(s.args[0], plus(tensors_.at(s.args[0]), tensors_.at(s.args[1])))); break;
    case Op::zero_grad: {
        Tensor zeros = {shape(s.args[0]), {}};
        for (int64_t i = 0; i < count(zeros.shape); ++i) zeros.nodes.push_back(constant(0));
        set(gradient_of(s.args[0]), zeros);
        break;
    }
    case Op::backward:
    case Op::gradients: {
        const Ids adjoint = sweep(s);
        const auto adjoint_of = [&](const Tensor &x) {
            Tensor g = {x.shape, {}};
            for (const int node : x.nodes) {
                const int found = adjoint[static_cast<size_t>(node)];
                g.nodes.push_back(found < 0 ? constant(0) : make(Kind::copy, found));
            }
            return g;
        };
        for (size_t i = 0; i < s.inputs.size(); ++i) {
            const int id = s.inputs[i];
            const Tensor g = adjoint_of(is_leaf(id) ? variables_.at(id) : tensors_.at(id));
            set(s.results[i], s.flags & CT_CREATE_GRAPH ? g : frozen(g));
        }
        for (const auto &leaf : variables_)
            if (s.op == Op::backward && requires_grad_[static_cast<size_t>(leaf.first)])
                set(gradient_of(leaf.first),
                    frozen(plus(tensors_.at(gradient_of(leaf.first)), adjoint_of(leaf.second))));
        margin_ = 1; // those of the forward pass stand
        break;
    }
    default: set(s.results[0], s.no_grad ? frozen(evaluate(s)) : evaluate(s));
    }
}

std::vector<double> Naive::values(int id) const
{
    std::vector<double> found;
    for (const int node : tensors_.at(id).nodes) found.push_back(value(node));
    return found;
}

std::vector<int> Naive::constants_of(const Statement &s) const
{
    std::vector<int> ids = fresh_;
    for (const auto &old : before_) ids.push_back(old.first);
    const bool constant =
        s.results.empty() || s.no_grad || s.op == Op::detach || (s.op == Op::gradients && !(s.flags & CT_CREATE_GRAPH));
    return constant ? ids : std::vector<int>();
}

bool Naive::smooth() const { return margin_ >= 1.0 / 16 && largest_ <= 1000; }

// The table of ops, the rules of autograd, and the text of a program.
#include "fuzz/program.h"

#include <cutape/cutape.h>

#include <cstdio>
#include <set>

int64_t count(const Shape &shape)
{
    int64_t n = 1;
    for (const int64_t size : shape) n *= size;
    return n;
}

const OpFacts &facts(Op op)
{
    static const std::map<Op, OpFacts> table = {
        {Op::neg, {"neg", false}},
        {Op::abs, {"abs", true}},
        {Op::exp, {"exp", false}},
        {Op::expm1, {"expm1", false}},
        {Op::log, {"log", true}},
        {Op::log1p, {"log1p", true}},
        {Op::sqrt, {"sqrt", false}},
        {Op::rsqrt, {"rsqrt", false}},
        {Op::square, {"square", true}},
        {Op::reciprocal, {"reciprocal", false}},
        {Op::sin, {"sin", true}},
        {Op::cos, {"cos", true}},
        {Op::tanh, {"tanh", false}},
        {Op::sigmoid, {"sigmoid", false}},
        {Op::relu, {"relu", false}},
        {Op::silu, {"silu", true}},
        {Op::softplus, {"softplus", true}},
        {Op::gelu, {"gelu", true}},
        {Op::gelu_tanh, {"gelu_tanh", true}},
        {Op::leaky_relu, {"leaky_relu", true}},
        {Op::elu, {"elu", true}},
        {Op::clamp, {"clamp", true}},
        {Op::add_scalar, {"add_scalar", false}},
        {Op::mul_scalar, {"mul_scalar", false}},
        {Op::pow_scalar, {"pow_scalar", true}},
        {Op::add, {"add", false}},
        {Op::sub, {"sub", false}},
        {Op::mul, {"mul", true}},
        {Op::div, {"div", true}},
        {Op::pow, {"pow", true}},
        {Op::maximum, {"maximum", true}},
        {Op::minimum, {"minimum", true}},
        {Op::gt, {"gt", false}},
        {Op::where, {"where", true}},
        {Op::mse_loss, {"mse_loss", true}},
        {Op::sum, {"sum", false}},
        {Op::mean, {"mean", false}},
        {Op::amax, {"amax", true}},
        {Op::amin, {"amin", true}},
        {Op::logsumexp, {"logsumexp", true}},
        {Op::var, {"var", true}},
        {Op::matmul, {"matmul", true}},
        {Op::linear, {"linear", true}},
        {Op::softmax, {"softmax", false}},
        {Op::log_softmax, {"log_softmax", false}},
        {Op::reshape, {"reshape", false}},
        {Op::transpose, {"transpose", false}},
        {Op::expand, {"expand", false}},
        {Op::slice, {"slice", false}},
        {Op::concat, {"concat", false}},
        {Op::detach, {"detach", false}},
        {Op::assign, {"assign", false}},
        {Op::accumulate, {"accumulate", false}},
        {Op::zero_grad, {"zero_grad", false}},
        {Op::backward, {"backward", false}},
        {Op::gradients, {"gradients", false}},
    };
    return table.at(op);
}

// ---- rules -----------------------------------------------------------------------------------------------

Rules::Rules(const std::vector<Leaf> &leaves)
{
    for (size_t i = 0; i < leaves.size(); ++i) {
        const bool grad = leaves[i].requires_grad;
        values_[static_cast<int>(i)] = {grad, grad, {}};
        if (grad) values_[gradient_of(static_cast<int>(i))] = {false, false, {}};
    }
}

bool Rules::requires_grad(int id) const { return values_.at(id).requires_grad; }

bool Rules::usable(int id) const
{
    const std::bitset<128> &path = values_.at(id).path;
    if ((path & swept_).any()) return false;
    for (const Saved &s : saved_) {
        const auto version = versions_.find(s.id);
        if (path.test(s.statement) && version != versions_.end() && version->second != s.version) return false;
    }
    return true;
}

bool Rules::allow(const Statement &s) const
{
    if (n_ >= 128) return false;
    for (const std::vector<int> *ids : {&s.args, &s.seeds, &s.inputs})
        for (const int id : *ids)
            if (id != ones && !values_.count(id)) return false;
    switch (s.op) {
    case Op::assign:
    case Op::accumulate: return s.args[0] < first_result;
    case Op::zero_grad: return requires_grad(s.args[0]);
    case Op::backward:
    case Op::gradients:
        if (s.args.empty()) return false;
        for (const std::vector<int> *ids : {&s.args, &s.inputs})
            for (const int id : *ids)
                if (!requires_grad(id) || !usable(id)) return false;
        // As in PyTorch, a gradient that is its seed is that very tensor: it would not be a constant.
        for (const int seed : s.seeds)
            if (s.op == Op::gradients && !(s.flags & CT_CREATE_GRAPH) && seed != ones && values_.at(seed).flows)
                return false;
        return s.op == Op::backward || !s.inputs.empty();
    case Op::detach: return true;
    default:
        for (const int id : s.args)
            if (!s.no_grad && !usable(id)) return false;
        return true;
    }
}

void Rules::add(const Statement &s)
{
    Value made = {false, false, {}};
    for (const std::vector<int> *ids : {&s.args, &s.seeds, &s.inputs})
        for (const int id : *ids) {
            if (id == ones) continue;
            const Value &v = values_.at(id);
            made.requires_grad |= v.requires_grad;
            made.flows |= v.flows;
            made.path |= v.path;
        }
    if ((s.op == Op::backward || s.op == Op::gradients) && s.flags == 0)
        for (const int root : s.args) swept_ |= values_.at(root).path;
    if (s.op == Op::assign || s.op == Op::accumulate) write(s.args[0]);
    if (s.op == Op::zero_grad) write(gradient_of(s.args[0]));
    for (auto &v : values_) // any of them may be below the roots
        if (s.op == Op::backward && v.first >= first_gradient && v.first < first_result) write(v.first);
    for (const int id : s.args)
        if (facts(s.op).saves && made.flows && !s.no_grad && id < first_result)
            saved_.push_back({n_, id, versions_[id]});
    made.path.set(n_++);
    if (s.op == Op::gradients) made.requires_grad = false;
    if (s.no_grad || s.op == Op::detach || s.op == Op::gt || !made.flows ||
        (s.op == Op::gradients && !(s.flags & CT_CREATE_GRAPH)))
        made = {false, false, {}};
    for (const int id : s.results) values_[id] = made;
}

// ---- text ------------------------------------------------------------------------------------------------

static std::string name_of(int id)
{
    if (id == ones) return "ones";
    if (id >= first_result) return "v" + std::to_string(id - first_result);
    if (id >= first_gradient) return "grad(" + name_of(id - first_gradient) + ")";
    return std::string("x") + std::to_string(id);
}

template <typename List, typename Item> static std::string joined(const List &list, Item item)
{
    std::string text;
    for (const auto &one : list) text += (text.empty() ? "" : ", ") + item(one);
    return text;
}

static std::string number(double value)
{
    char text[32];
    std::snprintf(text, sizeof text, "%.9g", value);
    return text;
}

static std::string text_of(const Statement &s)
{
    std::string text = s.results.empty() ? "" : joined(s.results, name_of) + " = ";
    text += std::string(facts(s.op).name) + "(" + joined(s.args, name_of);
    if (!s.ints.empty()) text += "; " + joined(s.ints, [](int64_t i) { return std::to_string(i); });
    if (s.number != 0) text += "; " + number(s.number);
    if (!s.seeds.empty()) text += "; seeds " + joined(s.seeds, name_of);
    if (!s.inputs.empty()) text += "; by " + joined(s.inputs, name_of);
    if (s.flags & CT_RETAIN_GRAPH) text += "; retain";
    if (s.flags & CT_CREATE_GRAPH) text += "; create graph";
    return text + ")" + (s.no_grad ? "  [no_grad]" : "");
}

std::string text_of(const Program &program)
{
    std::set<int> used;
    for (const Statement &s : program.statements)
        for (const std::vector<int> *ids : {&s.args, &s.seeds, &s.inputs})
            for (const int id : *ids) used.insert(id >= first_gradient && id < first_result ? id - first_gradient : id);
    std::string text;
    for (size_t i = 0; i < program.leaves.size(); ++i) {
        const Leaf &leaf = program.leaves[i];
        if (!used.count(static_cast<int>(i))) continue;
        text += "  " + name_of(static_cast<int>(i)) + " [" +
                joined(leaf.shape, [](int64_t size) { return std::to_string(size); }) + "]" +
                (leaf.requires_grad ? " requires_grad" : "") + " = {" + joined(leaf.values, number) + "}\n";
    }
    for (const Statement &s : program.statements) text += "  " + text_of(s) + "\n";
    return text;
}

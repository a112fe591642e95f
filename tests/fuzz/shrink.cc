// Candidates that break a rule of autograd or leave the smooth range are passed over: they would fail
// for a reason of their own.
#include "fuzz/shrink.h"

#include "fuzz/generate.h"
#include "fuzz/naive.h"

#include <algorithm>

namespace
{

using Reads = bool (*)(const Statement &, int);

void replace(std::vector<int> &ids, int old, int by) { std::replace(ids.begin(), ids.end(), old, by); }

// Every later use of the result of statement k reads `by` instead; the statement goes.
Program bypass(Program p, size_t k, const std::vector<int> &results, const std::vector<int> &by)
{
    p.statements.erase(p.statements.begin() + static_cast<std::ptrdiff_t>(k));
    for (size_t i = k; i < p.statements.size(); ++i)
        for (std::vector<int> *ids : {&p.statements[i].args, &p.statements[i].seeds, &p.statements[i].inputs})
            for (size_t r = 0; r < results.size(); ++r) replace(*ids, results[r], by[r]);
    return p;
}

// Without statement k: what it made is replaced by one of its operands of the same shape, or by a leaf
// of its value.
std::vector<Program> without(const Program &p, size_t k)
{
    const Statement &s = p.statements[k];
    Naive naive(p.leaves);
    for (size_t i = 0; i <= k; ++i) naive.play(p.statements[i]);
    std::vector<Program> found;
    if (s.results.empty()) return {bypass(p, k, {}, {})};
    const auto &operands = s.op == Op::gradients ? s.inputs : s.args;
    for (const int operand : operands)
        if (s.results.size() == 1 && naive.shape(operand) == naive.shape(s.results[0]))
            found.push_back(bypass(p, k, s.results, {operand}));
    for (const bool requires_grad : {false, true}) {
        Program q = p;
        std::vector<int> fresh;
        for (const int result : s.results) {
            fresh.push_back(static_cast<int>(q.leaves.size()));
            std::vector<double> values = naive.values(result);
            for (double &value : values) value = static_cast<double>(static_cast<float>(value));
            q.leaves.push_back({naive.shape(result), values, requires_grad, false});
        }
        found.push_back(bypass(q, k, s.results, fresh));
    }
    return found;
}

// Shorter lists of a gradient call: one root, or one input, less.
std::vector<Program> lighter(const Program &p, size_t k)
{
    std::vector<Program> found;
    const auto cut = [](std::vector<int> &list, size_t i) {
        list.erase(list.begin() + static_cast<std::ptrdiff_t>(i));
    };
    for (size_t i = 0; i < p.statements[k].seeds.size(); ++i) {
        Program q = p;
        cut(q.statements[k].args, i), cut(q.statements[k].seeds, i);
        if (!q.statements[k].args.empty()) found.push_back(q);
        if (p.statements[k].seeds[i] == ones) continue;
        q = p;
        q.statements[k].seeds[i] = ones;
        found.push_back(q);
    }
    for (size_t i = 0; i < p.statements[k].inputs.size(); ++i) {
        Program q = p;
        cut(q.statements[k].inputs, i), cut(q.statements[k].results, i);
        if (!q.statements[k].inputs.empty()) found.push_back(q);
    }
    return found;
}

} // namespace

Program shrink(Program program, const std::function<bool(const Program &)> &fails)
{
    const auto first_failing = [&](const std::vector<Program> &candidates) {
        for (const Program &candidate : candidates)
            if (sound(candidate) && fails(candidate)) return program = candidate, true;
        return false;
    };
    for (bool smaller = true; smaller;) {
        smaller = false;
        for (size_t k = program.statements.size(); k-- > 0;) {
            while (k < program.statements.size() && first_failing(lighter(program, k))) smaller = true;
            if (k + 1 < program.statements.size() && first_failing(without(program, k))) smaller = true;
        }
    }
    return program;
}

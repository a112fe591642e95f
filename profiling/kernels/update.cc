// Updates over all parameters at once: those of a small network, and one large tensor.
#include "problem.h"

namespace
{

struct Network {
    const char *name;
    std::vector<int64_t> sizes;
};
const Network networks[] = {{"784-128-10", {784 * 128, 128, 128 * 10, 10}}, {"16777216", {16 << 20}}};

Problem sgd(int dtype, const Network &net)
{
    Problem p(CT_KERNEL_sgd, dtype);
    p.table(net.sizes, {Role::in_out, Role::in, Role::in_out});
    p.operand(1, Role::in_out, I64, 1, Fill::small_integers);
    p.args.i[1] = 3;
    p.scalars({0.01, 0.9, 0, 1e-4});
    p.flops = 6.0 * static_cast<double>(p.args.n);
    return p;
}

Problem adam(int dtype, const Network &net)
{
    Problem p(CT_KERNEL_adam, dtype);
    p.table(net.sizes, {Role::in_out, Role::in, Role::in_out, Role::in_out});
    p.operand(1, Role::in_out, I64, 1, Fill::small_integers);
    p.args.i[0] = 1, p.args.i[1] = 4;
    p.scalars({1e-3, 0.9, 0.999, 1e-8, 0.01});
    p.flops = 40.0 * static_cast<double>(p.args.n);
    return p;
}

Problem grad_norm(int dtype, const Network &net)
{
    Problem p(CT_KERNEL_grad_norm, dtype);
    p.table(net.sizes, {Role::in});
    p.operand(1, Role::out, dtype, 1);
    p.operand(2, Role::scratch, F64, p.args.k + 1);
    p.flops = 2.0 * static_cast<double>(p.args.n);
    return p;
}

// By a factor near one, so that the values last through all repeats.
Problem clip_scale(int dtype, const Network &net)
{
    Problem p(CT_KERNEL_clip_scale, dtype);
    p.table(net.sizes, {Role::in_out});
    p.operand(1, Role::in, dtype, 1, Fill::positive);
    p.scalars({0.1});
    p.flops = static_cast<double>(p.args.n);
    return p;
}

Problem append(int dtype)
{
    Problem p(CT_KERNEL_append, dtype);
    p.args.n = 100;
    p.operand(0, Role::in_out, dtype, 100);
    p.operand(1, Role::in, dtype, 1);
    p.operand(2, Role::in_out, I64, 1, Fill::small_integers);
    return p;
}

} // namespace

void update_cases(Cases &cases)
{
    for (int dtype : {F32, F64}) {
        for (const Network &net : networks) {
            cases.push_back({"sgd", net.name, dtype, [=, &net] { return sgd(dtype, net); }});
            cases.push_back({"adam", net.name, dtype, [=, &net] { return adam(dtype, net); }});
            cases.push_back({"grad_norm", net.name, dtype, [=, &net] { return grad_norm(dtype, net); }});
            cases.push_back({"clip_scale", net.name, dtype, [=, &net] { return clip_scale(dtype, net); }});
        }
        cases.push_back({"append", "100", dtype, [=] { return append(dtype); }});
    }
}

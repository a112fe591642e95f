// Every formula of elementwise.def on contiguous operands, and broadcasts of one of them.
#include "problem.h"

namespace
{

struct Formula {
    ct_kernel_id kernel;
    const char *name;
    int inputs;
    bool compares;
};

const Formula formulas[] = {
#define CT_UNARY(name, formula) {CT_KERNEL_##name, #name, 1, false},
#define CT_BINARY(name, formula) {CT_KERNEL_##name, #name, 2, false},
#define CT_COMPARE(name, formula) {CT_KERNEL_##name, #name, 2, true},
#include "elementwise.def"
#undef CT_UNARY
#undef CT_BINARY
#undef CT_COMPARE
};

Problem contiguous(const Formula &f, int dtype, int64_t n)
{
    Problem p(f.kernel, dtype);
    p.iterate({n}, {{1}, {1}});
    for (int i = 0; i < f.inputs; i++) p.operand(i, Role::in, dtype, n, Fill::positive);
    p.operand(3, Role::out, f.compares && dtype != F64 ? F32 : dtype, n);
    p.scalars({0.5, 1.5});
    p.args.flags = 2;
    p.flops = static_cast<double>(n);
    return p;
}

// x [rows, columns] + b, which has one row or one column.
Problem broadcast(int dtype, int64_t rows, int64_t columns, bool row)
{
    Problem p(CT_KERNEL_add, dtype);
    p.iterate({rows, columns}, {{columns, 1}, {row ? 0 : 1, row ? 1 : 0}});
    p.operand(0, Role::in, dtype, rows * columns);
    p.operand(1, Role::in, dtype, row ? columns : rows);
    p.operand(3, Role::out, dtype, rows * columns);
    p.flops = static_cast<double>(rows * columns);
    return p;
}

} // namespace

void elementwise_cases(Cases &cases)
{
    for (const Formula &f : formulas)
        for (int dtype : {F32, F64})
            for (int64_t n : {int64_t{8192}, int64_t{1} << 20, int64_t{64} << 20 >> (dtype == F64 ? 3 : 2)})
                cases.push_back({f.name, shape_text({n}), dtype, [&f, dtype, n] { return contiguous(f, dtype, n); }});
    for (bool row : {true, false})
        cases.push_back({"add", row ? "4096x4096 + row" : "4096x4096 + column", F32,
                         [row] { return broadcast(F32, 4096, 4096, row); }});
}

// Kernels that move values: copies with and without strides, casts, where, fill and zero. A plain copy is
// the yardstick for all that memory limits.
#include "problem.h"

namespace
{

constexpr int64_t kMany = 16 << 20;

Problem copy(int dtype, const std::vector<int64_t> &shape, const std::vector<int64_t> &stride, int64_t elements)
{
    Problem p(CT_KERNEL_copy, dtype);
    p.iterate(shape, {stride});
    p.operand(0, Role::in, dtype, elements);
    p.operand(1, Role::out, dtype, p.args.n);
    if (shape.size() == 1)
        p.rival = memcpy_rival(p.on_device(0), p.on_device(1), static_cast<size_t>(p.args.n) * bytes_of(dtype));
    return p;
}

Problem cast(int from, int to, int64_t n)
{
    Problem p(CT_KERNEL_cast, from);
    p.iterate({n}, {{1}});
    p.args.i[0] = to;
    p.operand(0, Role::in, from, n, Fill::small_integers);
    p.operand(3, Role::out, to, n);
    return p;
}

Problem where(int dtype, int condition, int64_t n)
{
    Problem p(CT_KERNEL_where, dtype);
    p.iterate({n}, {{1}, {1}, {1}});
    p.args.i[0] = condition;
    p.operand(0, Role::in, condition, n, Fill::small_integers);
    p.operand(1, Role::in, dtype, n);
    p.operand(2, Role::in, dtype, n);
    p.operand(3, Role::out, dtype, n);
    return p;
}

Problem set(ct_kernel_id kernel, int dtype, int64_t n)
{
    Problem p(kernel, dtype);
    p.args.n = n;
    p.operand(0, Role::out, dtype, n);
    p.scalars({0.5});
    return p;
}

} // namespace

void move_cases(Cases &cases)
{
    for (int dtype : {F32, F64, U8})
        for (int64_t n : {int64_t{8192}, kMany})
            cases.push_back({"copy", shape_text({n}), dtype, [=] { return copy(dtype, {n}, {1}, n); }});
    cases.push_back({"copy", "4096x4096 transposed", F32, [] {
                         return copy(F32, {4096, 4096}, {1, 4096}, 4096 * 4096);
                     }});
    cases.push_back({"copy", "4096x4096 of a row", F32, [] { return copy(F32, {4096, 4096}, {0, 1}, 4096); }});
    for (auto [from, to] : {std::pair{F32, F64}, std::pair{F32, U8}, std::pair{U8, F32}, std::pair{I64, F32}})
        cases.push_back({"cast", shape_text({kMany}) + " to " + name_of(to), from,
                         [from = from, to = to] { return cast(from, to, kMany); }});
    for (int condition : {F32, U8})
        cases.push_back({"where", shape_text({kMany}) + " by " + name_of(condition), F32,
                         [=] { return where(F32, condition, kMany); }});
    for (int dtype : {F32, F64}) {
        cases.push_back({"fill", shape_text({kMany}), dtype, [=] { return set(CT_KERNEL_fill, dtype, kMany); }});
        cases.push_back({"zero", shape_text({kMany}), dtype, [=] { return set(CT_KERNEL_zero, dtype, kMany); }});
    }
}

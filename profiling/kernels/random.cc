// Random kernels. Their results are those of the CPU to the bit.
#include "problem.h"

namespace
{

Problem draw(ct_kernel_id kernel, int dtype, int64_t n)
{
    Problem p(kernel, dtype);
    p.args.n = n;
    p.args.i[0] = 7, p.args.i[1] = 3;
    p.operand(0, Role::out, dtype, n);
    p.operand(1, Role::in, I64, 1, Fill::small_integers);
    if (kernel == CT_KERNEL_dropout) p.operand(2, Role::in, dtype, n);
    p.scalars({0.25, 1 / 0.75});
    p.tolerance = 0;
    return p;
}

} // namespace

void random_cases(Cases &cases)
{
    for (int dtype : {F32, F64})
        for (int64_t n : {int64_t{8192}, int64_t{16} << 20}) {
            auto add = [&](const char *name, ct_kernel_id kernel) {
                cases.push_back({name, shape_text({n}), dtype, [=] { return draw(kernel, dtype, n); }});
            };
            add("dropout", CT_KERNEL_dropout);
            add("rand", CT_KERNEL_rand);
            add("randn", CT_KERNEL_randn);
        }
    cases.push_back({"advance", "1", I64, [] {
                         Problem p(CT_KERNEL_advance, I64);
                         p.operand(0, Role::in_out, I64, 1, Fill::small_integers);
                         return p;
                     }});
}

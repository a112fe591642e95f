// softmax and log_softmax, along the last dim and along another one.
#include "problem.h"

namespace
{

Problem normalize(ct_kernel_id kernel, int dtype, int64_t m, int64_t n, int64_t k)
{
    Problem p(kernel, dtype);
    p.args.m = m, p.args.n = n, p.args.k = k;
    p.operand(0, Role::in, dtype, m * n * k);
    p.operand(1, Role::out, dtype, m * n * k);
    p.flops = 20.0 * static_cast<double>(m * n * k);
    return p;
}

struct Shape {
    int64_t m, n, k;
};
const Shape shapes[] = {{64, 10, 1}, {65536, 10, 1}, {4096, 1000, 1}, {4096, 4096, 1}, {512, 32768, 1}, {64, 256, 256}};

} // namespace

void norm_cases(Cases &cases)
{
    for (int dtype : {F32, F64})
        for (const Shape &s : shapes) {
            auto add = [&](const char *name, ct_kernel_id kernel) {
                cases.push_back({name, shape_text({s.m, s.n, s.k}), dtype,
                                 [=, &s] { return normalize(kernel, dtype, s.m, s.n, s.k); }});
            };
            add("softmax", CT_KERNEL_softmax);
            add("log_softmax", CT_KERNEL_log_softmax);
        }
}

// Reductions, beside CUB's where it has the same.
#include "problem.h"

namespace
{

Problem all(ct_kernel_id kernel, int dtype, int64_t n)
{
    Problem p(kernel, dtype);
    p.args.m = 1, p.args.n = n, p.args.k = partials_of(n), p.args.i[1] = 1;
    p.operand(0, Role::in, dtype, n, Fill::positive);
    p.operand(1, Role::out, dtype, 1);
    p.operand(2, Role::scratch, F64, 3 * p.args.k);
    p.scalars({1});
    p.flops = static_cast<double>(n);
    if (kernel == CT_KERNEL_reduce_all) p.rival = cub_sum_rival(dtype, p.on_device(0), p.on_device(1), n);
    return p;
}

// [m, n, k] over n.
Problem along(ct_kernel_id kernel, int dtype, int64_t m, int64_t n, int64_t k)
{
    Problem p(kernel, dtype);
    p.args.m = m, p.args.n = n, p.args.k = k;
    p.operand(0, Role::in, dtype, m * n * k, Fill::positive);
    p.operand(1, Role::out, kernel == CT_KERNEL_argmax ? I32 : dtype, m * k);
    p.scalars({1});
    p.flops = static_cast<double>(m * n * k);
    p.tolerance *= 10; // the CPU adds a column in one go
    if (kernel == CT_KERNEL_reduce_rows) p.rival = cub_rows_rival(dtype, p.on_device(0), p.on_device(1), m, n);
    return p;
}

// [a, b, c, d] over a and c.
Problem alternating(ct_kernel_id kernel, int dtype, int64_t a, int64_t b, int64_t c, int64_t d)
{
    Problem p(kernel, dtype);
    p.iterate({a, b, c, d}, {{b * c * d, c * d, d, 1}});
    p.args.m = b * d, p.args.n = 1, p.args.k = 0;
    p.args.i[0] = 1 << 0 | 1 << 2;
    p.operand(0, Role::in, dtype, a * b * c * d, Fill::positive);
    p.operand(1, Role::out, dtype, b * d);
    p.scalars({1});
    p.flops = static_cast<double>(a * b * c * d);
    p.tolerance *= 10;
    return p;
}

struct Shape {
    int64_t m, n, k;
};
const Shape rows[] = {{64, 10, 1}, {65536, 10, 1}, {4096, 1024, 1}, {256, 65536, 1}, {8, 1 << 20, 1}};
const Shape columns[] = {{1, 64, 128}, {1, 64, 10}, {1, 1024, 4096}, {64, 256, 1024}, {1, 65536, 32}};
const Shape lines[] = {{64, 10, 1}, {4096, 1000, 1}, {64, 256, 256}};

} // namespace

void reduce_cases(Cases &cases)
{
    const struct {
        const char *name;
        ct_kernel_id kernel;
    } folds[] = {{"amax", CT_KERNEL_amax}, {"logsumexp", CT_KERNEL_logsumexp}, {"var", CT_KERNEL_var}};
    for (int dtype : {F32, F64}) {
        auto add_all = [&](const char *name, ct_kernel_id kernel) {
            for (int64_t n : {int64_t{640}, int64_t{1} << 16, int64_t{1} << 20, int64_t{16} << 20})
                cases.push_back({name, shape_text({n}), dtype, [=] { return all(kernel, dtype, n); }});
        };
        auto add = [&](const char *name, ct_kernel_id kernel, const Shape &s) {
            cases.push_back(
                {name, shape_text({s.m, s.n, s.k}), dtype, [=] { return along(kernel, dtype, s.m, s.n, s.k); }});
        };
        auto add_alternating = [&](const char *name, ct_kernel_id kernel) {
            cases.push_back({name, "32x64x128x64 over two dims", dtype,
                             [=] { return alternating(kernel, dtype, 32, 64, 128, 64); }});
        };
        add_all("reduce_all", CT_KERNEL_reduce_all);
        for (const Shape &s : rows) add("reduce_rows", CT_KERNEL_reduce_rows, s);
        for (const Shape &s : columns) add("reduce_columns", CT_KERNEL_reduce_columns, s);
        for (const Shape &s : lines) add("argmax", CT_KERNEL_argmax, s);
        add_alternating("reduce_columns", CT_KERNEL_reduce_columns);
        for (const auto &fold : folds) {
            add_all(fold.name, fold.kernel);
            for (const Shape &s : rows) add(fold.name, fold.kernel, s);
            for (const Shape &s : columns) add(fold.name, fold.kernel, s);
            add_alternating(fold.name, fold.kernel);
        }
    }
}

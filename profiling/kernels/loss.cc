// Losses with their gradients.
#include "problem.h"

namespace
{

constexpr int64_t kNoLabel = -100;

// The mean, which counts the labels; ten classes of many are labels.
Problem cross_entropy(int dtype, int64_t rows, int64_t classes, int labels)
{
    Problem p(CT_KERNEL_cross_entropy, dtype);
    p.args.m = rows, p.args.n = classes;
    p.args.i[0] = 0, p.args.i[1] = kNoLabel, p.args.i[2] = labels;
    p.operand(0, Role::in, dtype, rows * classes);
    p.operand(1, Role::in, labels, rows, Fill::small_integers);
    p.operand(2, Role::out, dtype, 1);
    p.operand(3, Role::out, dtype, rows * classes);
    p.operand(5, Role::scratch, dtype, rows + 1);
    p.scalars({0.1});
    p.flops = 30.0 * static_cast<double>(rows * classes);
    return p;
}

Problem pair_loss(ct_kernel_id kernel, int dtype, int64_t n, double flops)
{
    Problem p(kernel, dtype);
    p.args.n = n, p.args.k = partials_of(n);
    p.operand(0, Role::in, dtype, n);
    p.operand(1, Role::in, dtype, n);
    p.operand(2, Role::out, dtype, 1);
    p.operand(3, Role::out, dtype, n);
    p.operand(4, Role::scratch, dtype, p.args.k);
    p.scalars({1.0 / static_cast<double>(n), 0.5});
    p.flops = flops * static_cast<double>(n);
    return p;
}

} // namespace

void loss_cases(Cases &cases)
{
    for (int dtype : {F32, F64}) {
        for (auto [rows, classes] : {std::pair<int64_t, int64_t>{64, 10}, {65536, 10}, {4096, 1000}, {512, 32768}})
            for (int labels : {U8, I64})
                cases.push_back(
                    {"cross_entropy", shape_text({rows, classes}) + " " + name_of(labels), dtype,
                     [=, rows = rows, classes = classes] { return cross_entropy(dtype, rows, classes, labels); }});
        for (int64_t n : {int64_t{256}, int64_t{1} << 20, int64_t{16} << 20}) {
            const auto add = [&](const char *name, ct_kernel_id kernel, double flops) {
                cases.push_back({name, shape_text({n}), dtype, [=] { return pair_loss(kernel, dtype, n, flops); }});
            };
            add("mse_loss", CT_KERNEL_mse_loss, 4);
            add("huber_loss", CT_KERNEL_huber_loss, 6);
            add("bce_with_logits", CT_KERNEL_bce_with_logits, 40);
        }
    }
}

// Matrix products of layers and square ones, beside cuBLASLt's.
#include "problem.h"

#include <cmath>

namespace
{

struct Product {
    int64_t m, n, k;
    int flags;
    bool fused; // with a bias and ReLU
};

// Forward, weight gradient and input gradient of the layers 784-128-10 at batch 64, and larger ones.
const Product products[] = {{64, 128, 784, CT_GEMM_TB, true},
                            {64, 10, 128, CT_GEMM_TB, true},
                            {128, 784, 64, CT_GEMM_TA, false},
                            {10, 128, 64, CT_GEMM_TA, false},
                            {64, 128, 10, 0, false},
                            {256, 64, 64, CT_GEMM_TB, false},
                            {77, 211, 37, 0, false},
                            {256, 256, 256, 0, false},
                            {512, 512, 512, 0, false},
                            {512, 512, 512, CT_GEMM_TB, false},
                            {1024, 1024, 1024, 0, false},
                            {2048, 2048, 2048, 0, false},
                            {1024, 1024, 1024, CT_GEMM_TA, false}};

constexpr uint8_t kRelu = 1;

Problem product(int dtype, const Product &shape)
{
    Problem p(CT_KERNEL_gemm, dtype);
    const int64_t m = shape.m, n = shape.n, k = shape.k;
    const bool ta = shape.flags & CT_GEMM_TA, tb = shape.flags & CT_GEMM_TB;
    p.args.m = m, p.args.n = n, p.args.k = k;
    p.args.i[0] = ta ? m : k, p.args.i[1] = tb ? k : n, p.args.i[2] = n, p.args.i[3] = shape.flags;
    p.operand(0, Role::in, dtype, m * k);
    p.operand(1, Role::in, dtype, k * n);
    p.operand(2, Role::out, dtype, m * n);
    if (shape.fused) {
        p.operand(3, Role::in, dtype, n);
        p.args.flags = kRelu;
    }
    p.flops = 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
    p.tolerance *= std::sqrt(static_cast<double>(k));
    if (!shape.fused) p.rival = cublaslt_rival(dtype, p.args, p.on_device(0), p.on_device(1), p.on_device(2));
    return p;
}

std::string name_of_form(const Product &p)
{
    return shape_text({p.m, p.n, p.k}) +
           (p.flags & CT_GEMM_TA   ? " TN"
            : p.flags & CT_GEMM_TB ? " NT"
                                   : " NN") +
           (p.fused ? " bias relu" : "");
}

} // namespace

void gemm_cases(Cases &cases)
{
    for (int dtype : {F32, F64})
        for (const Product &p : products)
            cases.push_back({"gemm", name_of_form(p), dtype, [&p, dtype] { return product(dtype, p); }});
}

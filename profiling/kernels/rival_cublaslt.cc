// The same product by cuBLASLt, with the algorithm that its heuristic puts first. It is column-major, so it
// computes C' = op(B)' op(A)': our B comes first.
#include "problem.h"

#include <cublasLt.h>

#define LT(call) lt_status(call, #call, __LINE__)
static void lt_status(cublasStatus_t status, const char *call, int line)
{
    if (status == CUBLAS_STATUS_SUCCESS) return;
    std::fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, line, call, cublasLtGetStatusName(status));
    std::exit(1);
}

namespace
{

constexpr size_t kWorkspace = 32 << 20;

cublasLtHandle_t handle()
{
    static cublasLtHandle_t made = [] {
        cublasLtHandle_t lt;
        LT(cublasLtCreate(&lt));
        return lt;
    }();
    return made;
}

class Matmul
{
  public:
    Matmul(int dtype, const ct_args &args, const void *a, const void *b, void *c)
        : double_(dtype == F64), a_(a), b_(b), c_(c)
    {
        const cudaDataType_t type = double_ ? CUDA_R_64F : CUDA_R_32F;
        const bool ta = args.i[3] & CT_GEMM_TA, tb = args.i[3] & CT_GEMM_TB;
        const cublasOperation_t first = tb ? CUBLAS_OP_T : CUBLAS_OP_N, second = ta ? CUBLAS_OP_T : CUBLAS_OP_N;
        LT(cublasLtMatmulDescCreate(&desc_, double_ ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F, type));
        LT(cublasLtMatmulDescSetAttribute(desc_, CUBLASLT_MATMUL_DESC_TRANSA, &first, sizeof first));
        LT(cublasLtMatmulDescSetAttribute(desc_, CUBLASLT_MATMUL_DESC_TRANSB, &second, sizeof second));
        layout(&first_, type, tb ? args.k : args.n, tb ? args.n : args.k);
        layout(&second_, type, ta ? args.m : args.k, ta ? args.k : args.m);
        layout(&result_, type, args.n, args.m);
        choose();
    }
    Matmul(const Matmul &) = delete;
    Matmul &operator=(const Matmul &) = delete;
    ~Matmul()
    {
        for (cublasLtMatrixLayout_t l : {first_, second_, result_}) LT(cublasLtMatrixLayoutDestroy(l));
        LT(cublasLtMatmulDescDestroy(desc_));
    }
    bool supported() const { return found_ > 0; }
    void run(cudaStream_t stream) const
    {
        const double one = 1, zero = 0;
        const float one_f32 = 1, zero_f32 = 0;
        const void *alpha = double_ ? static_cast<const void *>(&one) : &one_f32;
        const void *beta = double_ ? static_cast<const void *>(&zero) : &zero_f32;
        LT(cublasLtMatmul(handle(), desc_, alpha, b_, first_, a_, second_, beta, c_, result_, c_, result_,
                          &chosen_.algo, workspace_.data(), kWorkspace, stream));
    }

  private:
    static void layout(cublasLtMatrixLayout_t *out, cudaDataType_t type, int64_t rows, int64_t columns)
    {
        LT(cublasLtMatrixLayoutCreate(out, type, static_cast<uint64_t>(rows), static_cast<uint64_t>(columns), rows));
    }
    void choose()
    {
        cublasLtMatmulPreference_t preference;
        LT(cublasLtMatmulPreferenceCreate(&preference));
        LT(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &kWorkspace,
                                                sizeof kWorkspace));
        if (cublasLtMatmulAlgoGetHeuristic(handle(), desc_, first_, second_, result_, result_, preference, 1, &chosen_,
                                           &found_) != CUBLAS_STATUS_SUCCESS)
            found_ = 0;
        LT(cublasLtMatmulPreferenceDestroy(preference));
    }

    bool double_;
    const void *a_, *b_;
    void *c_;
    Buffer<char> workspace_{kWorkspace};
    cublasLtMatmulDesc_t desc_ = nullptr;
    cublasLtMatrixLayout_t first_ = nullptr, second_ = nullptr, result_ = nullptr;
    cublasLtMatmulHeuristicResult_t chosen_ = {};
    int found_ = 0;
};

} // namespace

Rival cublaslt_rival(int dtype, const ct_args &args, const void *a, const void *b, void *c)
{
    auto matmul = std::make_shared<Matmul>(dtype, args, a, b, c);
    if (!matmul->supported()) return {};
    return {"cuBLASLt", [matmul](cudaStream_t stream) { matmul->run(stream); }};
}

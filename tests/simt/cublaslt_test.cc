/* Products of the cuBLASLt stand-in against plain loops, and what it refuses. */
#include "simt_test.h"

#include <cublasLt.h>

#include <cmath>
#include <cstring>

struct Problem {
    uint64_t m, n, k;
    bool transpose_a, transpose_b;
    int32_t batch;
    uint32_t epilogue;
    float beta;
    cublasComputeType_t compute;
};

class CublasLt : public Simt
{
  protected:
    void SetUp() override
    {
        Simt::SetUp();
        ASSERT_EQ(cublasLtCreate(&handle), CUBLAS_STATUS_SUCCESS);
        ASSERT_EQ(cublasLtMatmulPreferenceCreate(&preference), CUBLAS_STATUS_SUCCESS);
        set_preference(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, uint32_t(CUBLASLT_REDUCTION_SCHEME_NONE));
        for (const auto attribute :
             {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
              CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
            set_preference(attribute, uint32_t(16));
        for (int i = 0; i < N; i++) host[i] = float((i * 37) % 17) - 8 + float(i % 3) / 3;
        ASSERT_EQ(cudaMemcpyAsync(x, host, N * sizeof(float), cudaMemcpyHostToDevice, stream), cudaSuccess);
        ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
        values.assign(host, host + N);
    }
    void TearDown() override
    {
        release();
        cublasLtMatmulPreferenceDestroy(preference);
        cublasLtDestroy(handle);
        Simt::TearDown();
    }
    template <class T> void set_preference(cublasLtMatmulPreferenceAttributes_t attribute, T value)
    {
        ASSERT_EQ(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof value),
                  CUBLAS_STATUS_SUCCESS);
    }
    template <class T> void set_operation(cublasLtMatmulDescAttributes_t attribute, T value)
    {
        ASSERT_EQ(cublasLtMatmulDescSetAttribute(operation, attribute, &value, sizeof value), CUBLAS_STATUS_SUCCESS);
    }
    cublasLtMatrixLayout_t layout(uint64_t rows, uint64_t cols, int32_t batch, cudaDataType type)
    {
        cublasLtMatrixLayout_t made = nullptr;
        const int64_t step = int64_t(rows * cols);
        EXPECT_EQ(cublasLtMatrixLayoutCreate(&made, type, rows, cols, int64_t(rows)), CUBLAS_STATUS_SUCCESS);
        EXPECT_EQ(cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch, sizeof batch),
                  CUBLAS_STATUS_SUCCESS);
        EXPECT_EQ(
            cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &step, sizeof step),
            CUBLAS_STATUS_SUCCESS);
        return made;
    }
    void release()
    {
        if (!operation) return;
        cublasLtMatmulDescDestroy(operation);
        for (cublasLtMatrixLayout_t matrix : {a, b, d}) cublasLtMatrixLayoutDestroy(matrix);
        operation = nullptr;
    }
    void describe(const Problem &q)
    {
        release();
        const cudaDataType type = q.compute == CUBLAS_COMPUTE_64F ? CUDA_R_64F : CUDA_R_32F;
        ASSERT_EQ(cublasLtMatmulDescCreate(&operation, q.compute, type), CUBLAS_STATUS_SUCCESS);
        set_operation(CUBLASLT_MATMUL_DESC_TRANSA, int32_t(q.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N));
        set_operation(CUBLASLT_MATMUL_DESC_TRANSB, int32_t(q.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N));
        set_operation(CUBLASLT_MATMUL_DESC_EPILOGUE, q.epilogue);
        if (q.epilogue & CUBLASLT_EPILOGUE_BIAS)
            set_operation(CUBLASLT_MATMUL_DESC_BIAS_POINTER, static_cast<const void *>(x + BIAS));
        a = q.transpose_a ? layout(q.k, q.m, q.batch, type) : layout(q.m, q.k, q.batch, type);
        b = q.transpose_b ? layout(q.n, q.k, q.batch, type) : layout(q.k, q.n, q.batch, type);
        d = layout(q.m, q.n, q.batch, type);
    }
    cublasStatus_t choose(int wanted = 4)
    {
        results.resize(size_t(wanted));
        int found = 0;
        const cublasStatus_t status =
            cublasLtMatmulAlgoGetHeuristic(handle, operation, a, b, d, d, preference, wanted, results.data(), &found);
        results.resize(size_t(found));
        return status;
    }
    cublasStatus_t multiply(const cublasLtMatmulAlgo_t &algorithm, float beta, void *workspace = nullptr,
                            size_t bytes = 0)
    {
        const float alpha = 1;
        return cublasLtMatmul(handle, operation, &alpha, x + A, a, x + B, b, &beta, x + D, d, x + D, d, &algorithm,
                              workspace, bytes, stream);
    }
    /* What y[D..] must be. */
    std::vector<double> reference(const Problem &q) const
    {
        std::vector<double> y;
        for (int64_t batch = 0; batch < q.batch; batch++)
            for (uint64_t j = 0; j < q.n; j++)
                for (uint64_t i = 0; i < q.m; i++) {
                    double sum = 0;
                    for (uint64_t l = 0; l < q.k; l++)
                        sum +=
                            double(
                                values[A + uint64_t(batch) * q.m * q.k + (q.transpose_a ? i * q.k + l : l * q.m + i)]) *
                            double(
                                values[B + uint64_t(batch) * q.n * q.k + (q.transpose_b ? l * q.n + j : j * q.k + l)]);
                    if (q.beta != 0) sum += double(q.beta) * double(values[D + y.size()]);
                    if (q.epilogue & CUBLASLT_EPILOGUE_BIAS) sum += double(values[BIAS + i]);
                    if (q.epilogue & CUBLASLT_EPILOGUE_RELU) sum = sum < 0 ? 0 : sum;
                    y.push_back(sum);
                }
        return y;
    }
    void expect_product(const Problem &q)
    {
        describe(q);
        ASSERT_EQ(choose(), CUBLAS_STATUS_SUCCESS);
        ASSERT_EQ(results.size(), 1u);
        ASSERT_EQ(cudaMemcpyAsync(x, host, N * sizeof(float), cudaMemcpyHostToDevice, stream), cudaSuccess);
        ASSERT_EQ(multiply(results[0].algo, q.beta), CUBLAS_STATUS_SUCCESS);
        const std::vector<float> before = values, y = read();
        const std::vector<double> wanted = reference(q);
        for (size_t i = 0; i < wanted.size(); i++) EXPECT_NEAR(y[D + i], wanted[i], 1e-3) << i;
        memcpy(host, before.data(), N * sizeof(float));
    }

    enum { A = 0, B = 256, D = 512, BIAS = 900 }; /* places in x */
    cublasLtHandle_t handle = nullptr;
    cublasLtMatmulPreference_t preference = nullptr;
    cublasLtMatmulDesc_t operation = nullptr;
    cublasLtMatrixLayout_t a = nullptr, b = nullptr, d = nullptr;
    std::vector<cublasLtMatmulHeuristicResult_t> results;
    std::vector<float> values;
};

static const Problem plain = {5, 7, 11, false, false, 1, CUBLASLT_EPILOGUE_DEFAULT, 0, CUBLAS_COMPUTE_32F};

TEST_F(CublasLt, MultipliesAnyWay)
{
    for (uint64_t seed = 0; seed < 3; seed++)
        for (const bool ta : {false, true})
            for (const bool tb : {false, true})
                for (const float beta : {0.0f, 1.0f})
                    for (const uint32_t epilogue :
                         {CUBLASLT_EPILOGUE_DEFAULT, CUBLASLT_EPILOGUE_BIAS, CUBLASLT_EPILOGUE_RELU_BIAS}) {
                        simt_set_seed(seed);
                        expect_product({5, 7, 11, ta, tb, 1, epilogue, beta, CUBLAS_COMPUTE_32F});
                    }
}

TEST_F(CublasLt, MultipliesBatches)
{
    expect_product({3, 4, 5, false, true, 6, CUBLASLT_EPILOGUE_DEFAULT, 1, CUBLAS_COMPUTE_32F});
}

TEST_F(CublasLt, ReadsNoCWhereBetaIsZero)
{
    describe(plain);
    ASSERT_EQ(choose(), CUBLAS_STATUS_SUCCESS);
    ASSERT_EQ(cudaMemsetAsync(x + D, 0xFF, 140, stream), cudaSuccess);
    ASSERT_EQ(multiply(results[0].algo, 0), CUBLAS_STATUS_SUCCESS);
    const std::vector<float> y = read();
    for (int i = 0; i < 35; i++) EXPECT_FALSE(std::isnan(y[D + i]));
}

TEST_F(CublasLt, FastModesRoundTheirInputs)
{
    const float near_one = 1 + 1.0f / (1 << 20), coarse = 1 + 1.0f / 512;
    for (const auto &[compute, small, large] :
         {std::tuple(CUBLAS_COMPUTE_32F, near_one, coarse), std::tuple(CUBLAS_COMPUTE_32F_FAST_TF32, 1.0f, coarse),
          std::tuple(CUBLAS_COMPUTE_32F_FAST_16BF, 1.0f, 1.0f)}) {
        describe({1, 2, 1, false, false, 1, CUBLASLT_EPILOGUE_DEFAULT, 0, compute});
        ASSERT_EQ(choose(), CUBLAS_STATUS_SUCCESS);
        host[A] = 1;
        host[B] = near_one;
        host[B + 1] = coarse;
        ASSERT_EQ(cudaMemcpyAsync(x, host, N * sizeof(float), cudaMemcpyHostToDevice, stream), cudaSuccess);
        ASSERT_EQ(multiply(results[0].algo, 0), CUBLAS_STATUS_SUCCESS);
        const std::vector<float> y = read();
        EXPECT_EQ(y[D], small);
        EXPECT_EQ(y[D + 1], large);
    }
}

TEST_F(CublasLt, MultipliesDoubles)
{
    describe({2, 1, 3, false, false, 1, CUBLASLT_EPILOGUE_DEFAULT, 0, CUBLAS_COMPUTE_64F});
    ASSERT_EQ(choose(), CUBLAS_STATUS_SUCCESS);
    const double left[] = {1, 2, 3, 4, 5, 6}, right[] = {1, 0.5, 2}, alpha = 2, beta = 0;
    memcpy(host + A, left, sizeof left);
    memcpy(host + B, right, sizeof right);
    ASSERT_EQ(cudaMemcpyAsync(x, host, N * sizeof(float), cudaMemcpyHostToDevice, stream), cudaSuccess);
    ASSERT_EQ(cublasLtMatmul(handle, operation, &alpha, x + A, a, x + B, b, &beta, x + D, d, x + D, d, &results[0].algo,
                             nullptr, 0, stream),
              CUBLAS_STATUS_SUCCESS);
    read();
    double y[2];
    memcpy(y, host + D, sizeof y);
    EXPECT_EQ(y[0], 2 * (1 + 1.5 + 10));
    EXPECT_EQ(y[1], 2 * (2 + 2 + 12));
}

TEST_F(CublasLt, RefusesWhatItHasNot)
{
    Problem q = plain;
    q.epilogue = CUBLASLT_EPILOGUE_GELU_BIAS;
    describe(q);
    EXPECT_EQ(choose(), CUBLAS_STATUS_NOT_SUPPORTED);
    q.epilogue = CUBLASLT_EPILOGUE_BIAS;
    q.compute = CUBLAS_COMPUTE_64F;
    describe(q);
    EXPECT_EQ(choose(), CUBLAS_STATUS_NOT_SUPPORTED);
    q.compute = CUBLAS_COMPUTE_32F;
    describe(q);
    set_operation(CUBLASLT_MATMUL_DESC_BIAS_POINTER, static_cast<const void *>(nullptr));
    EXPECT_EQ(choose(), CUBLAS_STATUS_NOT_SUPPORTED) << "the pointer comes before the heuristic";
    const int64_t wrong_size = CUBLAS_OP_T;
    EXPECT_EQ(cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_TRANSA, &wrong_size, sizeof wrong_size),
              CUBLAS_STATUS_INVALID_VALUE);
    q = plain;
    describe(q);
    std::swap(a, b);
    EXPECT_EQ(choose(), CUBLAS_STATUS_INVALID_VALUE) << "sizes that do not fit";
}

TEST_F(CublasLt, AnAlgorithmFitsItsProblemOnly)
{
    describe(plain);
    ASSERT_EQ(choose(), CUBLAS_STATUS_SUCCESS);
    const cublasLtMatmulAlgo_t of_plain = results[0].algo;
    Problem q = plain;
    q.k = 12;
    describe(q);
    EXPECT_EQ(multiply(of_plain, 0), CUBLAS_STATUS_INVALID_VALUE);
    EXPECT_EQ(multiply(cublasLtMatmulAlgo_t(), 0), CUBLAS_STATUS_INVALID_VALUE);
}

TEST_F(CublasLt, LessAlignmentThanPromisedIsReported)
{
    describe(plain);
    ASSERT_EQ(choose(), CUBLAS_STATUS_SUCCESS);
    const float alpha = 1, beta = 0;
    EXPECT_NE(cublasLtMatmul(handle, operation, &alpha, x + 1, a, x + B, b, &beta, x + D, d, x + D, d, &results[0].algo,
                             nullptr, 0, stream),
              CUBLAS_STATUS_SUCCESS);
    expect_report("A of a product is less aligned");
}

TEST_F(CublasLt, AMatrixBehindItsMemoryIsReported)
{
    describe({32, 16, 16, false, false, 1, CUBLASLT_EPILOGUE_DEFAULT, 0, CUBLAS_COMPUTE_32F});
    ASSERT_EQ(choose(), CUBLAS_STATUS_SUCCESS);
    const float alpha = 1, beta = 0;
    ASSERT_EQ(cublasLtMatmul(handle, operation, &alpha, x + A, a, x + 1020, b, &beta, x, d, x, d, &results[0].algo,
                             nullptr, 0, stream),
              CUBLAS_STATUS_SUCCESS);
    expect_fault(cudaStreamSynchronize(stream), cudaErrorIllegalAddress, "B of a product, 1024 bytes");
}

TEST_F(CublasLt, ASplitProductTakesWorkspaceAndASecondNode)
{
    set_preference(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, uint32_t(CUBLASLT_REDUCTION_SCHEME_MASK));
    describe(plain);
    ASSERT_EQ(choose(), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(results.size(), 1u) << "there is no workspace by default";
    set_preference(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t(1024));
    ASSERT_EQ(choose(), CUBLAS_STATUS_SUCCESS);
    ASSERT_EQ(results.size(), 2u);
    uint32_t reduction = 0;
    ASSERT_EQ(cublasLtMatmulAlgoConfigGetAttribute(&results[0].algo, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, &reduction,
                                                   sizeof reduction, nullptr),
              CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(reduction, uint32_t(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    EXPECT_EQ(multiply(results[0].algo, 0), CUBLAS_STATUS_INVALID_VALUE) << "without its workspace";

    void *workspace = nullptr;
    ASSERT_EQ(cudaMalloc(&workspace, 1024), cudaSuccess);
    ASSERT_EQ(cudaMemsetAsync(workspace, 0, 1024, stream), cudaSuccess);
    ASSERT_EQ(multiply(results[1].algo, 0, workspace, 1024), CUBLAS_STATUS_SUCCESS);
    ASSERT_EQ(cudaMemcpyAsync(host, workspace, 4, cudaMemcpyDeviceToHost, stream), cudaSuccess);
    ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    EXPECT_TRUE(std::isnan(host[0])) << "the workspace is scribbled on";
    for (const size_t which : {0, 1}) {
        cudaGraph_t graph = nullptr;
        size_t nodes = 0;
        ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
        ASSERT_EQ(multiply(results[which].algo, 0, workspace, 1024), CUBLAS_STATUS_SUCCESS);
        ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
        ASSERT_EQ(cudaGraphGetNodes(graph, nullptr, &nodes), cudaSuccess);
        EXPECT_EQ(nodes, 2 - which);
        ASSERT_EQ(cudaGraphDestroy(graph), cudaSuccess);
    }
    EXPECT_EQ(cudaFree(workspace), cudaSuccess);
}

TEST_F(CublasLt, AFirstProductInACaptureIsReported)
{
    describe(plain);
    ASSERT_EQ(choose(), CUBLAS_STATUS_SUCCESS);
    ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    EXPECT_NE(multiply(results[0].algo, 0), CUBLAS_STATUS_SUCCESS);
    expect_report("the first product of a cuBLASLt handle is in a capture");
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureInvalidated);
}

TEST_F(CublasLt, FailsWhenATestWantsIt)
{
    describe(plain);
    simt_fail_call(1, cudaErrorUnknown);
    EXPECT_EQ(choose(), CUBLAS_STATUS_INTERNAL_ERROR);
    EXPECT_EQ(choose(), CUBLAS_STATUS_SUCCESS);
    EXPECT_STREQ(cublasLtGetStatusName(CUBLAS_STATUS_NOT_SUPPORTED), "CUBLAS_STATUS_NOT_SUPPORTED");
}

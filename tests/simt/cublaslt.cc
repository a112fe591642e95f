/* The calls of cuBLASLt: descriptors, the choice of an algorithm, and the launch of a product.
 *
 * Two algorithms are offered: one that splits k and adds the parts in a second kernel, out of
 * the workspace, and a plain one of one kernel. Either is bound to the problem, the alignments
 * and the workspace that it was chosen for.
 */
#include "cublasLt.h"

#include "device.h"
#include "error.h"
#include "graph.h"
#include "matmul.h"
#include "memory.h"
#include "stream.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <set>

struct cublasLtContext {
    int device;
    bool used; /* outside of a capture */
};

namespace simt
{

static std::set<cublasLtHandle_t> handles;

struct Operation {
    cublasComputeType_t compute;
    cudaDataType scale;
    int32_t transpose_a, transpose_b;
    uint32_t epilogue;
    const void *bias;
};

struct Preference {
    uint64_t workspace_bytes;
    uint32_t reductions;
    uint32_t alignments[4]; /* of A, B, C, D */
};

enum : uint32_t { ALGORITHM_MAGIC = 0x51a17a1c };
enum : size_t { SCRIBBLED_BYTES = 64 * 1024, WORKSPACE_ALIGNMENT = 256 };

struct Algorithm {
    uint32_t magic, parts, reduction;
    uint32_t alignments[4];
    uint32_t has_bias;
    uint64_t workspace_bytes, problem;
};
static_assert(sizeof(Algorithm) <= sizeof(cublasLtMatmulAlgo_t) && sizeof(Matrix) <= 64 && sizeof(Preference) <= 64,
              "what CUDA leaves room for");

/* Operation, Matrix and Preference live in the opaque structs of the interface; an Algorithm is
 * copied by its user. */
template <class T, class O> static T &in(O *opaque) { return *std::launder(reinterpret_cast<T *>(opaque->data)); }

static Algorithm algorithm_in(const cublasLtMatmulAlgo_t *algo)
{
    Algorithm algorithm;
    memcpy(&algorithm, algo->data, sizeof algorithm);
    return algorithm;
}

template <class Body> static cublasStatus_t blas_call(Body body, bool releases = false)
{
    const std::lock_guard<std::recursive_mutex> guard(simt::mutex);
    const bool fails = count_call() != cudaSuccess;
    if (fails && !releases) return CUBLAS_STATUS_INTERNAL_ERROR;
    const cublasStatus_t status = body();
    return fails ? CUBLAS_STATUS_INTERNAL_ERROR : status;
}

template <class T, class O> static cublasStatus_t create(O **out, const T &value)
{
    return blas_call([&] {
        if (!out) return CUBLAS_STATUS_INVALID_VALUE;
        *out = new O();
        new ((*out)->data) T(value);
        objects++;
        return CUBLAS_STATUS_SUCCESS;
    });
}

template <class O> static cublasStatus_t destroy(O *opaque)
{
    return blas_call(
        [&] {
            if (!opaque) return CUBLAS_STATUS_INVALID_VALUE;
            delete opaque;
            objects--;
            return CUBLAS_STATUS_SUCCESS;
        },
        true);
}

/* The size has to be exactly that of the attribute. */
template <class T> static cublasStatus_t set(T &attribute, const void *from, size_t bytes)
{
    if (!from || bytes != sizeof(T)) return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(&attribute, from, bytes);
    return CUBLAS_STATUS_SUCCESS;
}

template <class T> static cublasStatus_t get(const T &attribute, void *to, size_t bytes, size_t *written)
{
    if (!to || bytes != sizeof(T)) return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(to, &attribute, bytes);
    if (written) *written = bytes;
    return CUBLAS_STATUS_SUCCESS;
}

/* ---- is there such a product? ----------------------------------------------------------------------- */

static bool is_epilogue_supported(const Operation &op)
{
    /* Those of float; of double a GPU has to show first whether there are any. */
    if (op.epilogue == CUBLASLT_EPILOGUE_DEFAULT) return true;
    if (op.compute == CUBLAS_COMPUTE_64F) return false;
    return op.epilogue == CUBLASLT_EPILOGUE_BIAS || op.epilogue == CUBLASLT_EPILOGUE_RELU_BIAS;
}

static bool is_well_formed(const Matrix &m)
{
    return m.rows > 0 && m.cols > 0 && m.ld >= int64_t(m.rows) && m.batch > 0;
}

static cublasStatus_t check_problem(const Operation &op, const Matrix &a, const Matrix &b, const Matrix &c,
                                    const Matrix &d)
{
    const cudaDataType type = op.compute == CUBLAS_COMPUTE_64F ? CUDA_R_64F : CUDA_R_32F;
    for (const Matrix *m : {&a, &b, &c, &d}) {
        if (!is_well_formed(*m) || m->batch != d.batch) return CUBLAS_STATUS_INVALID_VALUE;
        if (m->type != type) return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    const uint64_t m = op.transpose_a ? a.cols : a.rows, k = op.transpose_a ? a.rows : a.cols;
    const uint64_t n = op.transpose_b ? b.rows : b.cols, k_of_b = op.transpose_b ? b.cols : b.rows;
    if (k != k_of_b || d.rows != m || d.cols != n || c.rows != m || c.cols != n) return CUBLAS_STATUS_INVALID_VALUE;
    if (op.scale != type || !is_epilogue_supported(op)) return CUBLAS_STATUS_NOT_SUPPORTED;
    return CUBLAS_STATUS_SUCCESS;
}

/* Differs, in all likelihood, between problems that need another algorithm. */
static uint64_t hash_of(const Operation &op, const Matrix &a, const Matrix &b, const Matrix &c, const Matrix &d)
{
    uint64_t hash = 1469598103934665603u;
    const auto mix = [&](uint64_t word) { hash = (hash ^ word) * 1099511628211u; };
    for (const uint64_t word :
         {uint64_t(op.compute), uint64_t(op.transpose_a), uint64_t(op.transpose_b), uint64_t(op.epilogue)})
        mix(word);
    for (const Matrix *m : {&a, &b, &c, &d})
        for (const uint64_t word : {m->rows, m->cols, uint64_t(m->ld), uint64_t(m->batch), uint64_t(m->step)})
            mix(word);
    return hash;
}

/* ---- a launch ------------------------------------------------------------------------------------- */

struct Range {
    const char *name;
    const void *memory;
    size_t bytes;
    uint32_t alignment;
};

static std::vector<Range> ranges_of(const Matmul &p, const uint32_t (&alignments)[4])
{
    std::vector<Range> ranges = {{"A", p.A, bytes_of(p.a), alignments[0]},
                                 {"B", p.B, bytes_of(p.b), alignments[1]},
                                 {"D", p.D, bytes_of(p.d), alignments[3]}};
    if (p.beta != 0) ranges.push_back({"C", p.C, bytes_of(p.c), alignments[2]});
    if (p.epilogue & CUBLASLT_EPILOGUE_BIAS)
        ranges.push_back({"the bias", p.bias, p.d.rows * element_bytes(p.d.type), uint32_t(element_bytes(p.d.type))});
    return ranges;
}

static bool check_ranges(const std::vector<Range> &ranges, int device)
{
    for (const Range &range : ranges) {
        if (is_device_memory(range.memory, range.bytes, device)) continue;
        report("%s of a product, %zu bytes at %p, is not memory of the device%s", range.name, range.bytes, range.memory,
               describe(range.memory).c_str());
        fault(device, cudaErrorIllegalAddress);
        return false;
    }
    return true;
}

static bool check_alignments(const std::vector<Range> &ranges, const void *workspace)
{
    for (const Range &range : ranges)
        if (reinterpret_cast<uintptr_t>(range.memory) % range.alignment != 0) {
            report("%s of a product is less aligned than its algorithm was chosen for", range.name);
            return false;
        }
    if (reinterpret_cast<uintptr_t>(workspace) % WORKSPACE_ALIGNMENT == 0) return true;
    report("the workspace of a product is not aligned");
    return false;
}

struct Workspace {
    void *memory;
    size_t bytes;
};

/* Whatever the caller has left there is gone. */
static void scribble(const Workspace &workspace)
{
    if (workspace.memory) memset(workspace.memory, 0xFF, std::min<size_t>(workspace.bytes, SCRIBBLED_BYTES));
}

static TaskPtr make_product(const Matmul &p, std::vector<Range> ranges, const Workspace &workspace, int device)
{
    if (workspace.memory) ranges.push_back({"the workspace", workspace.memory, workspace.bytes, 1});
    std::vector<const void *> addresses;
    for (const Range &range : ranges) addresses.push_back(range.memory);
    const auto run = [=] {
        if (!check_ranges(ranges, device)) return;
        scribble(workspace);
        run_matmul(p);
    };
    return std::make_shared<const Task>(Task{cudaGraphNodeTypeKernel, " [cublasLtMatmul]", addresses, run});
}

/* Stands for the kernel that adds the parts of a split product. */
static TaskPtr make_second_kernel(const Workspace &workspace)
{
    return std::make_shared<const Task>(
        Task{cudaGraphNodeTypeKernel, " [cublasLtMatmul, parts]", {workspace.memory}, [=] { scribble(workspace); }});
}

static cublasStatus_t check_algorithm(const Algorithm &algorithm, uint64_t problem, const Workspace &workspace)
{
    const bool fits = algorithm.magic == ALGORITHM_MAGIC && algorithm.problem == problem &&
                      workspace.bytes >= algorithm.workspace_bytes && (workspace.memory || !algorithm.workspace_bytes);
    return fits ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

static cublasStatus_t check_first_use(cublasLtHandle_t handle, const CUstream_st *stream)
{
    if (!stream->capture) handle->used = true;
    if (handle->used) return CUBLAS_STATUS_SUCCESS;
    report("the first product of a cuBLASLt handle is in a capture");
    invalidate(stream->capture, cudaErrorStreamCaptureUnsupported);
    return CUBLAS_STATUS_EXECUTION_FAILED;
}

static double scalar_at(const void *p, cudaDataType type)
{
    return type == CUDA_R_64F ? *static_cast<const double *>(p) : double(*static_cast<const float *>(p));
}

static cublasStatus_t launch(const Matmul &p, const Algorithm &algorithm, const Workspace &workspace,
                             CUstream_st *stream)
{
    const std::vector<Range> ranges = ranges_of(p, algorithm.alignments);
    if (!check_alignments(ranges, workspace.memory)) return CUBLAS_STATUS_INVALID_VALUE;
    if (submit(stream, make_product(p, ranges, workspace, stream->device))) return CUBLAS_STATUS_EXECUTION_FAILED;
    if (algorithm.parts > 1 && submit(stream, make_second_kernel(workspace))) return CUBLAS_STATUS_EXECUTION_FAILED;
    return CUBLAS_STATUS_SUCCESS;
}

} // namespace simt

using namespace simt;

cublasStatus_t cublasLtCreate(cublasLtHandle_t *lightHandle)
{
    return blas_call([&] {
        if (fault_of(current_device()) || forbid_in_capture()) return CUBLAS_STATUS_NOT_INITIALIZED;
        *lightHandle = *handles.insert(new cublasLtContext{current_device(), false}).first;
        objects++;
        return CUBLAS_STATUS_SUCCESS;
    });
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t lightHandle)
{
    return blas_call(
        [&] {
            if (!handles.erase(lightHandle)) return CUBLAS_STATUS_NOT_INITIALIZED;
            delete lightHandle;
            objects--;
            return CUBLAS_STATUS_SUCCESS;
        },
        true);
}

const char *cublasLtGetStatusName(cublasStatus_t status)
{
    switch (status) {
    case CUBLAS_STATUS_SUCCESS: return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED: return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_ALLOC_FAILED: return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE: return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_EXECUTION_FAILED: return "CUBLAS_STATUS_EXECUTION_FAILED";
    case CUBLAS_STATUS_INTERNAL_ERROR: return "CUBLAS_STATUS_INTERNAL_ERROR";
    case CUBLAS_STATUS_NOT_SUPPORTED: return "CUBLAS_STATUS_NOT_SUPPORTED";
    }
    return "unknown";
}

const char *cublasLtGetStatusString(cublasStatus_t status) { return cublasLtGetStatusName(status); }

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *matmulDesc, cublasComputeType_t computeType,
                                        cudaDataType_t scaleType)
{
    return create(matmulDesc,
                  Operation{computeType, scaleType, CUBLAS_OP_N, CUBLAS_OP_N, CUBLASLT_EPILOGUE_DEFAULT, nullptr});
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t matmulDesc) { return destroy(matmulDesc); }

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t matmulDesc, cublasLtMatmulDescAttributes_t attr,
                                              const void *buf, size_t sizeInBytes)
{
    return blas_call([&] {
        auto &op = in<Operation>(matmulDesc);
        switch (attr) {
        case CUBLASLT_MATMUL_DESC_TRANSA: return set(op.transpose_a, buf, sizeInBytes);
        case CUBLASLT_MATMUL_DESC_TRANSB: return set(op.transpose_b, buf, sizeInBytes);
        case CUBLASLT_MATMUL_DESC_EPILOGUE: return set(op.epilogue, buf, sizeInBytes);
        case CUBLASLT_MATMUL_DESC_BIAS_POINTER: return set(op.bias, buf, sizeInBytes);
        }
        return CUBLAS_STATUS_INVALID_VALUE;
    });
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *matLayout, cudaDataType type, uint64_t rows,
                                          uint64_t cols, int64_t ld)
{
    return create(matLayout, Matrix{type, rows, cols, ld, 1, 0});
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t matLayout) { return destroy(matLayout); }

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t matLayout, cublasLtMatrixLayoutAttribute_t attr,
                                                const void *buf, size_t sizeInBytes)
{
    return blas_call([&] {
        auto &matrix = in<Matrix>(matLayout);
        switch (attr) {
        case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT: return set(matrix.batch, buf, sizeInBytes);
        case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET: return set(matrix.step, buf, sizeInBytes);
        }
        return CUBLAS_STATUS_INVALID_VALUE;
    });
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *pref)
{
    return create(pref, Preference{0, CUBLASLT_REDUCTION_SCHEME_MASK, {256, 256, 256, 256}});
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t pref) { return destroy(pref); }

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t pref,
                                                    cublasLtMatmulPreferenceAttributes_t attr, const void *buf,
                                                    size_t sizeInBytes)
{
    return blas_call([&] {
        auto &preference = in<Preference>(pref);
        switch (attr) {
        case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES: return set(preference.workspace_bytes, buf, sizeInBytes);
        case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK: return set(preference.reductions, buf, sizeInBytes);
        case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES: return set(preference.alignments[0], buf, sizeInBytes);
        case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES: return set(preference.alignments[1], buf, sizeInBytes);
        case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES: return set(preference.alignments[2], buf, sizeInBytes);
        case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES: return set(preference.alignments[3], buf, sizeInBytes);
        }
        return CUBLAS_STATUS_INVALID_VALUE;
    });
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t lightHandle, cublasLtMatmulDesc_t operationDesc,
                                              cublasLtMatrixLayout_t Adesc, cublasLtMatrixLayout_t Bdesc,
                                              cublasLtMatrixLayout_t Cdesc, cublasLtMatrixLayout_t Ddesc,
                                              cublasLtMatmulPreference_t preference, int requestedAlgoCount,
                                              cublasLtMatmulHeuristicResult_t heuristicResultsArray[],
                                              int *returnAlgoCount)
{
    return blas_call([&] {
        if (!handles.count(lightHandle)) return CUBLAS_STATUS_NOT_INITIALIZED;
        if (requestedAlgoCount < 1 || !returnAlgoCount) return CUBLAS_STATUS_INVALID_VALUE;
        *returnAlgoCount = 0;
        const auto &op = in<Operation>(operationDesc);
        const auto &a = in<Matrix>(Adesc), &b = in<Matrix>(Bdesc), &c = in<Matrix>(Cdesc), &d = in<Matrix>(Ddesc);
        if (const cublasStatus_t status = check_problem(op, a, b, c, d)) return status;
        const auto &wanted = in<Preference>(preference);
        const bool has_bias = op.bias != nullptr;
        if ((op.epilogue & CUBLASLT_EPILOGUE_BIAS) && !has_bias) return CUBLAS_STATUS_NOT_SUPPORTED;
        const auto add = [&](uint32_t parts, uint32_t reduction, uint64_t workspace_bytes) {
            if (*returnAlgoCount == requestedAlgoCount || workspace_bytes > wanted.workspace_bytes) return;
            cublasLtMatmulHeuristicResult_t &result = heuristicResultsArray[(*returnAlgoCount)++];
            result = {};
            const uint32_t(&least)[4] = wanted.alignments;
            const Algorithm algorithm = {ALGORITHM_MAGIC,
                                         parts,
                                         reduction,
                                         {least[0], least[1], least[2], least[3]},
                                         has_bias,
                                         workspace_bytes,
                                         hash_of(op, a, b, c, d)};
            memcpy(result.algo.data, &algorithm, sizeof algorithm);
            result.workspaceSize = workspace_bytes;
            result.state = CUBLAS_STATUS_SUCCESS;
            result.wavesCount = 1;
        };
        if (wanted.reductions & CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE)
            add(2, CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE, 2 * bytes_of(d));
        add(1, CUBLASLT_REDUCTION_SCHEME_NONE, 0);
        return CUBLAS_STATUS_SUCCESS;
    });
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t *algo,
                                                    cublasLtMatmulAlgoConfigAttributes_t attr, void *buf,
                                                    size_t sizeInBytes, size_t *sizeWritten)
{
    return blas_call([&] {
        const Algorithm algorithm = algorithm_in(algo);
        if (algorithm.magic != ALGORITHM_MAGIC) return CUBLAS_STATUS_INVALID_VALUE;
        switch (attr) {
        case CUBLASLT_ALGO_CONFIG_ID: return get(int32_t(algorithm.parts - 1), buf, sizeInBytes, sizeWritten);
        case CUBLASLT_ALGO_CONFIG_SPLITK_NUM: return get(int32_t(algorithm.parts), buf, sizeInBytes, sizeWritten);
        case CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME: return get(algorithm.reduction, buf, sizeInBytes, sizeWritten);
        }
        return CUBLAS_STATUS_INVALID_VALUE;
    });
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t lightHandle, cublasLtMatmulDesc_t computeDesc, const void *alpha,
                              const void *A, cublasLtMatrixLayout_t Adesc, const void *B, cublasLtMatrixLayout_t Bdesc,
                              const void *beta, const void *C, cublasLtMatrixLayout_t Cdesc, void *D,
                              cublasLtMatrixLayout_t Ddesc, const cublasLtMatmulAlgo_t *algo, void *workspace,
                              size_t workspaceSizeInBytes, cudaStream_t handle)
{
    return blas_call([&] {
        CUstream_st *stream = stream_of(handle);
        if (!handles.count(lightHandle) || !stream) return CUBLAS_STATUS_NOT_INITIALIZED;
        if (!algo || !A || !B || !D || stream->device != lightHandle->device) return CUBLAS_STATUS_INVALID_VALUE;
        const auto &op = in<Operation>(computeDesc);
        const auto &a = in<Matrix>(Adesc), &b = in<Matrix>(Bdesc), &c = in<Matrix>(Cdesc), &d = in<Matrix>(Ddesc);
        if (const cublasStatus_t status = check_problem(op, a, b, c, d)) return status;
        const Workspace given = {workspaceSizeInBytes ? workspace : nullptr, workspaceSizeInBytes};
        const Algorithm algorithm = algorithm_in(algo);
        if (const cublasStatus_t status = check_algorithm(algorithm, hash_of(op, a, b, c, d), given)) return status;
        if (algorithm.has_bias != (op.bias != nullptr)) return CUBLAS_STATUS_INVALID_VALUE;
        if (const cublasStatus_t status = check_first_use(lightHandle, stream)) return status;
        const Matmul product = {op.compute,
                                op.transpose_a,
                                op.transpose_b,
                                op.epilogue,
                                op.bias,
                                a,
                                b,
                                c,
                                d,
                                A,
                                B,
                                C,
                                D,
                                scalar_at(alpha, op.scale),
                                scalar_at(beta, op.scale)};
        return launch(product, algorithm, given, stream);
    });
}

/* Products by cuBLASLt. See cublaslt.h.
 *
 * The library thinks in columns: a row-major C = A B is its C^T = B^T A^T, so B comes first, m and n
 * change places, and a bias along our rows is one along its columns, as it wants it.
 * An algorithm is taken if it is one kernel, tried in a capture; if it adds the parts of a split k in a
 * fixed order, if at all; and if it fits the alignments as they are. Which one is taken follows
 * from the shape and the device, never from a timing.
 */
#include "device/cuda.h"

#include <cublasLt.h>
#include <cutape/context.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#ifndef CT_CUBLASLT_LIBRARY
#define TEXT(x) #x
#define TEXT_OF(x) TEXT(x)
#define CT_CUBLASLT_LIBRARY "libcublasLt.so." TEXT_OF(CUBLAS_VER_MAJOR)
#endif

#define LEAST_PRODUCTS 32e6 /* multiply-adds: below, our own GEMM is as fast */
#define WORKSPACE_BYTES ((size_t)32 << 20)
#define MOST_CANDIDATES 16

/* ---- the library ----------------------------------------------------------------------------------- */

#define LIBRARY(F)                                                                                                     \
    F(cublasLtCreate, (cublasLtHandle_t *))                                                                            \
    F(cublasLtDestroy, (cublasLtHandle_t))                                                                             \
    F(cublasLtMatmulDescCreate, (cublasLtMatmulDesc_t *, cublasComputeType_t, cudaDataType_t))                         \
    F(cublasLtMatmulDescDestroy, (cublasLtMatmulDesc_t))                                                               \
    F(cublasLtMatmulDescSetAttribute, (cublasLtMatmulDesc_t, cublasLtMatmulDescAttributes_t, const void *, size_t))    \
    F(cublasLtMatrixLayoutCreate, (cublasLtMatrixLayout_t *, cudaDataType_t, uint64_t, uint64_t, int64_t))             \
    F(cublasLtMatrixLayoutDestroy, (cublasLtMatrixLayout_t))                                                           \
    F(cublasLtMatrixLayoutSetAttribute,                                                                                \
      (cublasLtMatrixLayout_t, cublasLtMatrixLayoutAttribute_t, const void *, size_t))                                 \
    F(cublasLtMatmulPreferenceCreate, (cublasLtMatmulPreference_t *))                                                  \
    F(cublasLtMatmulPreferenceDestroy, (cublasLtMatmulPreference_t))                                                   \
    F(cublasLtMatmulPreferenceSetAttribute,                                                                            \
      (cublasLtMatmulPreference_t, cublasLtMatmulPreferenceAttributes_t, const void *, size_t))                        \
    F(cublasLtMatmulAlgoGetHeuristic,                                                                                  \
      (cublasLtHandle_t, cublasLtMatmulDesc_t, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t, \
       cublasLtMatrixLayout_t, cublasLtMatmulPreference_t, int, cublasLtMatmulHeuristicResult_t *, int *))             \
    F(cublasLtMatmulAlgoConfigGetAttribute,                                                                            \
      (const cublasLtMatmulAlgo_t *, cublasLtMatmulAlgoConfigAttributes_t, void *, size_t, size_t *))                  \
    F(cublasLtMatmul, (cublasLtHandle_t, cublasLtMatmulDesc_t, const void *, const void *, cublasLtMatrixLayout_t,     \
                       const void *, cublasLtMatrixLayout_t, const void *, const void *, cublasLtMatrixLayout_t,       \
                       void *, cublasLtMatrixLayout_t, const cublasLtMatmulAlgo_t *, void *, size_t, cudaStream_t))

typedef struct library {
#define MEMBER(name, parameters) cublasStatus_t(*name) parameters;
    LIBRARY(MEMBER)
#undef MEMBER
} library;

struct ct_cublaslt {
    cuda_device *device;
    int32_t math;
    bool tried, ready;
    library call;
    cublasLtHandle_t handle;
    void *workspace;
};

static bool load(library *l)
{
    void *file = dlopen(CT_CUBLASLT_LIBRARY, RTLD_LAZY | RTLD_LOCAL); /* stays: contexts may come and go */
    if (!file) return false;
    bool found = true;
#define LOAD(name, parameters) found = (*(void **)&l->name = dlsym(file, #name)) && found;
    LIBRARY(LOAD)
#undef LOAD
    return found;
}

/* Only once, also when it fails: which products it makes does not change on the way. */
static bool open_library(ct_cublaslt *lt)
{
    if (lt->tried) return lt->ready;
    lt->tried = true;
    if (!load(&lt->call) || lt->call.cublasLtCreate(&lt->handle) != CUBLAS_STATUS_SUCCESS) return false;
    lt->ready = cudaMalloc(&lt->workspace, CT_LANES * WORKSPACE_BYTES) == cudaSuccess;
    return lt->ready;
}

ct_status ct_cublaslt_open(cuda_device *d, int32_t math, ct_cublaslt **out)
{
    *out = d->alloc(d->ctx, sizeof **out);
    if (!*out) {
        snprintf(d->base.message, sizeof d->base.message, "out of host memory");
        return CT_ERR_MEMORY;
    }
    (*out)->device = d;
    (*out)->math = math;
    return CT_OK;
}

void ct_cublaslt_close(ct_cublaslt *lt)
{
    if (lt->handle) (void)lt->call.cublasLtDestroy(lt->handle);
    if (lt->workspace) (void)cudaFree(lt->workspace);
    lt->device->release(lt->device->ctx, lt);
}

/* ---- a product -------------------------------------------------------------------------------------- */

typedef union scalar {
    float f32;
    double f64;
} scalar;

struct ct_product {
    const ct_cublaslt *lt;
    const void *a, *b;
    void *c;
    scalar one, beta; /* of the dtype computed in */
    cublasLtMatmulDesc_t operation;
    cublasLtMatrixLayout_t a_layout, b_layout, c_layout; /* of ours: not yet changed places */
    cublasLtMatmulAlgo_t algorithm;
    bool needs_epilogue;
};

bool ct_product_needs_epilogue(const ct_product *p) { return p->needs_epilogue; }

static cublasStatus_t multiply(const ct_product *p, void *c, cudaStream_t stream, int lane)
{
    void *workspace = (char *)p->lt->workspace + (size_t)lane * WORKSPACE_BYTES;
    const ct_cublaslt *lt = p->lt;
    return lt->call.cublasLtMatmul(lt->handle, p->operation, &p->one, p->b, p->b_layout, p->a, p->a_layout, &p->beta, c,
                                   p->c_layout, c, p->c_layout, &p->algorithm, workspace, WORKSPACE_BYTES, stream);
}

cudaError_t ct_product_run(const ct_product *p, cudaStream_t stream, int lane)
{
    if (multiply(p, p->c, stream, lane) == CUBLAS_STATUS_SUCCESS) return cudaSuccess;
    const cudaError_t error = cudaGetLastError();
    return error ? error : cudaErrorUnknown;
}

void ct_product_free(ct_cublaslt *lt, ct_product *p)
{
    if (p->operation) (void)lt->call.cublasLtMatmulDescDestroy(p->operation);
    const cublasLtMatrixLayout_t layouts[] = {p->a_layout, p->b_layout, p->c_layout};
    for (int i = 0; i < 3; i++)
        if (layouts[i]) (void)lt->call.cublasLtMatrixLayoutDestroy(layouts[i]);
    lt->device->release(lt->device->ctx, p);
}

/* ---- its description -------------------------------------------------------------------------------- */

static int64_t batches_of(const ct_args *a)
{
    int64_t batches = 1;
    for (int d = 0; d < a->ndim; d++) batches *= a->shape[d];
    return batches;
}

static size_t element_bytes(const ct_args *a) { return a->dtype == F64 ? sizeof(double) : sizeof(float); }

static bool is_wanted(const ct_args *a)
{
    const double products = (double)a->m * (double)a->n * (double)a->k * (double)batches_of(a);
    /* Batches in more than one dim have no single stride. */
    return products >= LEAST_PRODUCTS && a->ndim <= 1 && batches_of(a) <= INT32_MAX;
}

/* As the library sees it: a row of ours is a column. */
static bool describe_matrix(const ct_product *p, const ct_args *a, int64_t rows, int64_t columns, int64_t ld,
                            int64_t step, cublasLtMatrixLayout_t *out)
{
    const library *call = &p->lt->call;
    const cudaDataType_t type = a->dtype == F64 ? CUDA_R_64F : CUDA_R_32F;
    const int32_t batches = (int32_t)batches_of(a);
    return !call->cublasLtMatrixLayoutCreate(out, type, (uint64_t)columns, (uint64_t)rows, ld) &&
           !call->cublasLtMatrixLayoutSetAttribute(*out, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batches,
                                                   sizeof batches) &&
           !call->cublasLtMatrixLayoutSetAttribute(*out, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &step,
                                                   sizeof step);
}

static cublasComputeType_t compute_type(const ct_cublaslt *lt, const ct_args *a)
{
    if (a->dtype == F64) return CUBLAS_COMPUTE_64F;
    switch (lt->math) {
    case CT_MATH_TF32: return CUBLAS_COMPUTE_32F_FAST_TF32;
    case CT_MATH_BF16: return CUBLAS_COMPUTE_32F_FAST_16BF;
    default: return CUBLAS_COMPUTE_32F;
    }
}

static bool describe(ct_product *p, const ct_args *a)
{
    const library *call = &p->lt->call;
    const bool ta = a->i[3] & CT_GEMM_TA, tb = a->i[3] & CT_GEMM_TB, add = a->i[3] & CT_GEMM_ADD;
    const int32_t op_a = ta ? CUBLAS_OP_T : CUBLAS_OP_N, op_b = tb ? CUBLAS_OP_T : CUBLAS_OP_N;
    const int64_t step_a = a->ndim ? a->stride[0][0] * a->m * a->k : 0;
    const int64_t step_b = a->ndim ? a->stride[1][0] * a->k * a->n : 0;
    if (a->dtype == F64)
        p->one.f64 = 1, p->beta.f64 = add;
    else
        p->one.f32 = 1, p->beta.f32 = add;
    return !call->cublasLtMatmulDescCreate(&p->operation, compute_type(p->lt, a),
                                           a->dtype == F64 ? CUDA_R_64F : CUDA_R_32F) &&
           !call->cublasLtMatmulDescSetAttribute(p->operation, CUBLASLT_MATMUL_DESC_TRANSA, &op_b, sizeof op_b) &&
           !call->cublasLtMatmulDescSetAttribute(p->operation, CUBLASLT_MATMUL_DESC_TRANSB, &op_a, sizeof op_a) &&
           describe_matrix(p, a, ta ? a->k : a->m, ta ? a->m : a->k, a->i[0], step_a, &p->a_layout) &&
           describe_matrix(p, a, tb ? a->n : a->k, tb ? a->k : a->n, a->i[1], step_b, &p->b_layout) &&
           describe_matrix(p, a, a->m, a->n, a->i[2], a->m * a->n, &p->c_layout);
}

/* What the library can do of the epilogue: a bias, with relu or with nothing behind it. */
static uint32_t library_epilogue(const ct_args *a)
{
    if (!a->p[3] || a->i[3] & (CT_GEMM_ADD | CT_GEMM_GRAD) || batches_of(a) > 1) return CUBLASLT_EPILOGUE_DEFAULT;
    switch (a->flags) {
    case CT_ACT_IDENTITY: return CUBLASLT_EPILOGUE_BIAS;
    case CT_ACT_RELU: return CUBLASLT_EPILOGUE_RELU_BIAS;
    default: return CUBLASLT_EPILOGUE_DEFAULT;
    }
}

static bool has_epilogue(const ct_args *a) { return !(a->i[3] & CT_GEMM_ADD) && (a->p[3] || a->flags); }

static bool set_epilogue(ct_product *p, const ct_args *a, uint32_t epilogue)
{
    const library *call = &p->lt->call;
    const void *bias = epilogue == CUBLASLT_EPILOGUE_DEFAULT ? NULL : a->p[3];
    p->needs_epilogue = !bias && has_epilogue(a);
    return !call->cublasLtMatmulDescSetAttribute(p->operation, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue,
                                                 sizeof epilogue) &&
           !call->cublasLtMatmulDescSetAttribute(p->operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias);
}

/* ---- the choice of an algorithm --------------------------------------------------------------------- */

static uint32_t alignment_of(const void *p)
{
    const uintptr_t lowest = (uintptr_t)p & (~(uintptr_t)p + 1);
    return lowest && lowest < 256 ? (uint32_t)lowest : 256;
}

static bool prefer(const ct_product *p, cublasLtMatmulPreference_t preference)
{
    const uint64_t workspace = WORKSPACE_BYTES;
    const uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_INPLACE;
    const uint32_t first = alignment_of(p->b), second = alignment_of(p->a), out = alignment_of(p->c);
    const struct {
        cublasLtMatmulPreferenceAttributes_t attribute;
        const void *value;
        size_t bytes;
    } wanted[] = {{CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace},
                  {CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reductions, sizeof reductions},
                  {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &first, sizeof first},
                  {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &second, sizeof second},
                  {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &out, sizeof out},
                  {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &out, sizeof out}};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (p->lt->call.cublasLtMatmulPreferenceSetAttribute(preference, wanted[i].attribute, wanted[i].value,
                                                             wanted[i].bytes))
            return false;
    return true;
}

static int find_candidates(const ct_product *p, cublasLtMatmulHeuristicResult_t *found)
{
    const library *call = &p->lt->call;
    cublasLtMatmulPreference_t preference = NULL;
    int n = 0;
    if (call->cublasLtMatmulPreferenceCreate(&preference)) return 0;
    if (!prefer(p, preference) ||
        call->cublasLtMatmulAlgoGetHeuristic(p->lt->handle, p->operation, p->b_layout, p->a_layout, p->c_layout,
                                             p->c_layout, preference, MOST_CANDIDATES, found, &n))
        n = 0;
    (void)call->cublasLtMatmulPreferenceDestroy(preference);
    return n;
}

static bool has_fixed_order(const ct_product *p)
{
    uint32_t scheme = CUBLASLT_REDUCTION_SCHEME_MASK;
    return !p->lt->call.cublasLtMatmulAlgoConfigGetAttribute(&p->algorithm, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME,
                                                             &scheme, sizeof scheme, NULL) &&
           (scheme == CUBLASLT_REDUCTION_SCHEME_NONE || scheme == CUBLASLT_REDUCTION_SCHEME_INPLACE);
}

static bool is_one_kernel(cudaGraph_t graph)
{
    cudaGraphNode_t node;
    size_t n = 0;
    enum cudaGraphNodeType type;
    if (cudaGraphGetNodes(graph, NULL, &n) || n != 1) return false;
    return !cudaGraphGetNodes(graph, &node, &n) && !cudaGraphNodeGetType(node, &type) &&
           type == cudaGraphNodeTypeKernel;
}

static bool captures_as_one_kernel(const ct_product *p, void *scratch, cudaStream_t capture)
{
    if (cudaStreamBeginCapture(capture, cudaStreamCaptureModeThreadLocal)) return false;
    const bool captured = !multiply(p, scratch, capture, 0);
    cudaGraph_t graph = NULL;
    const bool one = !cudaStreamEndCapture(capture, &graph) && captured && graph && is_one_kernel(graph);
    if (graph) (void)cudaGraphDestroy(graph);
    return one;
}

/* Run first, so that whatever is loaded at the first use is. On the stream of the work, which has used
 * the workspace before; and never into C, which may hold what nobody has read yet. */
static bool works(const ct_product *p, void *scratch, cudaStream_t capture)
{
    const cudaStream_t stream = p->lt->device->stream;
    return !multiply(p, scratch, stream, 0) && !cudaStreamSynchronize(stream) &&
           captures_as_one_kernel(p, scratch, capture);
}

static bool choose(ct_product *p, void *scratch, cudaStream_t capture)
{
    cublasLtMatmulHeuristicResult_t found[MOST_CANDIDATES];
    const int n = find_candidates(p, found);
    for (int i = 0; i < n; i++) {
        p->algorithm = found[i].algo;
        if (!found[i].state && found[i].workspaceSize <= WORKSPACE_BYTES && has_fixed_order(p) &&
            works(p, scratch, capture))
            return true;
    }
    return false;
}

/* With the epilogue, if the library has it; else without. */
static bool choose_with_epilogue(ct_product *p, const ct_args *a, void *scratch, cudaStream_t capture)
{
    const uint32_t epilogue = library_epilogue(a);
    if (set_epilogue(p, a, epilogue) && choose(p, scratch, capture)) return true;
    return epilogue != CUBLASLT_EPILOGUE_DEFAULT && set_epilogue(p, a, CUBLASLT_EPILOGUE_DEFAULT) &&
           choose(p, scratch, capture);
}

static bool prepare(ct_product *p, const ct_args *a, cudaStream_t capture)
{
    void *scratch = NULL;
    const size_t bytes = (size_t)(batches_of(a) * a->m * a->n) * element_bytes(a);
    if (!describe(p, a) || cudaMalloc(&scratch, bytes)) return false;
    const bool chosen = choose_with_epilogue(p, a, scratch, capture);
    (void)cudaStreamSynchronize(p->lt->device->stream); /* if a candidate failed half-way */
    (void)cudaFree(scratch);
    return chosen;
}

/* What was refused is forgotten, what is broken is not. */
static cudaError_t standing_error(const ct_cublaslt *lt)
{
    (void)cudaGetLastError();
    return cudaStreamSynchronize(lt->device->stream);
}

cudaError_t ct_product_make(ct_cublaslt *lt, const ct_args *a, cudaStream_t capture, ct_product **out)
{
    *out = NULL;
    if (!is_wanted(a) || (lt->tried && !lt->ready)) return cudaSuccess;
    if (!open_library(lt)) return standing_error(lt);
    ct_product *p = lt->device->alloc(lt->device->ctx, sizeof *p);
    if (!p) return cudaSuccess;
    *p = (ct_product){.lt = lt, .a = a->p[0], .b = a->p[1], .c = a->p[2]};
    if (prepare(p, a, capture)) {
        (void)cudaGetLastError(); /* of candidates before it */
        *out = p;
        return cudaSuccess;
    }
    ct_product_free(lt, p);
    return standing_error(lt);
}

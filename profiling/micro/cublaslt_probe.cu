// What cuBLASLt can do for the products of a network: for each form of product, epilogue, precision and size,
// whether it is supported, of how many nodes it is in a graph, its time beside that of our own kernel, how far
// its result is from ours, and whether 100 runs give the same bits.
// usage: cublaslt_probe [--json FILE]
#include "micro.h"

#include <cublasLt.h>

#include <cinttypes>
#include <cmath>
#include <memory>
#include <random>

#include "cuda/cuda.h"

namespace
{

constexpr size_t kWorkspace = 32 << 20;
constexpr int kAlgorithms = 4; // that are asked for and looked at
constexpr int kRepeats = 100;  // of a product, for its bits

#define LT(call) lt_status(call, #call, __LINE__)
void lt_status(cublasStatus_t status, const char *call, int line)
{
    if (status == CUBLAS_STATUS_SUCCESS) return;
    std::fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, line, call, cublasLtGetStatusName(status));
    std::exit(1);
}

// ---- the cases -----------------------------------------------------------------------------------------

// C [m,n] = op(A) op(B), row-major. What m, n, k are of (batch, inputs, outputs) of a layer.
enum Form { forward, input_gradient, weight_gradient, kForms };
const char *const form_names[kForms] = {"x w'", "dy w", "dy' x"};

struct Size {
    int64_t batch, inputs, outputs;
};
const Size sizes[] = {{64, 784, 128}, {64, 128, 10}, {256, 64, 64}, {512, 512, 512}, {77, 37, 211}, {4096, 1024, 1024}};

struct Precision {
    const char *name;
    cublasComputeType_t compute;
    int dtype; // F32 or F64
};
const Precision precisions[] = {{"f32", CUBLAS_COMPUTE_32F, F32},
                                {"tf32", CUBLAS_COMPUTE_32F_FAST_TF32, F32},
                                {"bf16", CUBLAS_COMPUTE_32F_FAST_16BF, F32},
                                {"f64", CUBLAS_COMPUTE_64F, F64}};

enum Aux { no_aux, bit_mask, values };
struct Epilogue {
    const char *name;
    Form form;
    cublasLtEpilogue_t kind;
    Aux aux;
    bool vector; // a bias, or the gradient of one
    bool adds;   // C += instead of C =
    int ours;    // the activation our kernel does the same with; -1: it has no such epilogue
};
const Epilogue epilogues[] = {
    {"none", forward, CUBLASLT_EPILOGUE_DEFAULT, no_aux, false, false, 0},
    {"BIAS", forward, CUBLASLT_EPILOGUE_BIAS, no_aux, true, false, 0},
    {"RELU_BIAS", forward, CUBLASLT_EPILOGUE_RELU_BIAS, no_aux, true, false, 1},
    {"RELU_AUX_BIAS", forward, CUBLASLT_EPILOGUE_RELU_AUX_BIAS, bit_mask, true, false, 1},
    {"GELU_BIAS", forward, CUBLASLT_EPILOGUE_GELU_BIAS, no_aux, true, false, -1},
    {"GELU_AUX_BIAS", forward, CUBLASLT_EPILOGUE_GELU_AUX_BIAS, values, true, false, -1},
    {"none", input_gradient, CUBLASLT_EPILOGUE_DEFAULT, no_aux, false, false, 0},
    {"DRELU", input_gradient, CUBLASLT_EPILOGUE_DRELU, bit_mask, false, false, -1},
    {"DRELU_BGRAD", input_gradient, CUBLASLT_EPILOGUE_DRELU_BGRAD, bit_mask, true, false, -1},
    {"DGELU", input_gradient, CUBLASLT_EPILOGUE_DGELU, values, false, false, -1},
    {"none", weight_gradient, CUBLASLT_EPILOGUE_DEFAULT, no_aux, false, false, 0},
    {"none, adds", weight_gradient, CUBLASLT_EPILOGUE_DEFAULT, no_aux, false, true, 0},
    {"BGRADA", weight_gradient, CUBLASLT_EPILOGUE_BGRADA, no_aux, true, false, -1},
    {"BGRADB", weight_gradient, CUBLASLT_EPILOGUE_BGRADB, no_aux, true, false, -1},
};

struct Product {
    int64_t m, n, k;
    bool ta, tb;
};

Product product_of(Form form, const Size &s)
{
    switch (form) {
    case forward: return {s.batch, s.outputs, s.inputs, false, true};
    case input_gradient: return {s.batch, s.inputs, s.outputs, false, false};
    default: return {s.outputs, s.inputs, s.batch, true, false};
    }
}

// ---- small kernels -------------------------------------------------------------------------------------

// *sum += a number that tells the n words apart, in whatever order they come.
__global__ void add_hash(const uint32_t *words, int64_t n, unsigned long long *sum)
{
    unsigned long long mine = 0;
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < n; i += (int64_t)gridDim.x * blockDim.x)
        mine += (words[i] ^ 0x9e3779b97f4a7c15ull) * (2 * (unsigned long long)i + 1);
    atomicAdd(sum, mine);
}

// out[0] = sum of (a - b)^2, out[1] = sum of b^2; one block.
template <class T> __global__ void squares(const T *a, const T *b, int64_t n, double *out)
{
    __shared__ double sums[2][256];
    double difference = 0, size = 0;
    for (int64_t i = threadIdx.x; i < n; i += 256) {
        const double x = a[i], y = b[i];
        difference += (x - y) * (x - y);
        size += y * y;
    }
    sums[0][threadIdx.x] = difference;
    sums[1][threadIdx.x] = size;
    for (unsigned half = 128; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x >= half) continue;
        for (auto &sum : sums) sum[threadIdx.x] += sum[threadIdx.x + half];
    }
    __syncthreads();
    if (threadIdx.x < 2) out[threadIdx.x] = sums[threadIdx.x][0];
}

// ---- operands ------------------------------------------------------------------------------------------

std::vector<char> random_values(int dtype, int64_t n)
{
    static std::mt19937 random(1);
    std::uniform_real_distribution<double> uniform(-1, 1);
    std::vector<char> bytes(static_cast<size_t>(n) * (dtype == F64 ? 8 : 4));
    for (int64_t i = 0; i < n; i++) {
        const double value = uniform(random);
        if (dtype == F64)
            reinterpret_cast<double *>(bytes.data())[i] = value;
        else
            reinterpret_cast<float *>(bytes.data())[i] = static_cast<float>(value);
    }
    return bytes;
}

// Of one product in one dtype; cuBLASLt and our kernel read the same a, b, start and vector.
struct Operands {
    int dtype;
    size_t element;
    int64_t count; // of C
    Buffer<char> a, b, start, vector, aux, c, ours, vector_out, scratch;
    Buffer<uint32_t> tickets{1 << 16};
    Buffer<unsigned long long> hashes{kRepeats};
    Buffer<double> sums{2};

    Operands(const Product &p, int type)
        : dtype(type), element(type == F64 ? 8 : 4), count(p.m * p.n), a(bytes(p.m * p.k)), b(bytes(p.k * p.n)),
          start(bytes(count)), vector(bytes(longest(p))), aux(bytes((p.n + 128) * p.m)), c(bytes(count)),
          ours(bytes(count)), vector_out(bytes(longest(p))), scratch(bytes(count))
    {
        for (Buffer<char> *buffer : {&a, &b, &start, &vector, &aux})
            buffer->write(random_values(dtype, static_cast<int64_t>(buffer->size() / element)));
    }

  private:
    size_t bytes(int64_t n) const { return static_cast<size_t>(n) * element; }
    static int64_t longest(const Product &p) { return std::max(p.m, p.n); }
};

// ---- cuBLASLt ------------------------------------------------------------------------------------------

// A product in cuBLASLt's terms. It is column-major, so it computes C' = op(B)' op(A)': our B comes first.
class Matmul
{
  public:
    Matmul(cublasLtHandle_t lt, const Product &p, const Precision &precision, const Epilogue &epilogue, Operands &o)
        : lt_(lt), operands_(o), adds_(epilogue.adds)
    {
        type_ = precision.dtype == F64 ? CUDA_R_64F : CUDA_R_32F;
        LT(cublasLtMatmulDescCreate(&desc_, precision.compute, type_));
        set(CUBLASLT_MATMUL_DESC_TRANSA, p.tb ? CUBLAS_OP_T : CUBLAS_OP_N);
        set(CUBLASLT_MATMUL_DESC_TRANSB, p.ta ? CUBLAS_OP_T : CUBLAS_OP_N);
        set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue.kind);
        const bool gradient = epilogue.form != forward;
        if (epilogue.vector)
            set(CUBLASLT_MATMUL_DESC_BIAS_POINTER,
                static_cast<void *>(gradient ? o.vector_out.data() : o.vector.data()));
        if (epilogue.aux != no_aux) {
            const int64_t multiple = epilogue.aux == bit_mask ? 128 : 8;
            set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, static_cast<void *>(o.aux.data()));
            set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, (p.n + multiple - 1) / multiple * multiple);
        }
        LT(layout(&first_, p.tb ? p.k : p.n, p.tb ? p.n : p.k));
        LT(layout(&second_, p.ta ? p.m : p.k, p.ta ? p.k : p.m));
        LT(layout(&result_, p.n, p.m));
    }
    Matmul(const Matmul &) = delete;
    Matmul &operator=(const Matmul &) = delete;
    ~Matmul()
    {
        for (cublasLtMatrixLayout_t layout : {first_, second_, result_}) LT(cublasLtMatrixLayoutDestroy(layout));
        LT(cublasLtMatmulDescDestroy(desc_));
    }

    // The algorithms it would take, best first; none and the reason in `status` where it has none.
    std::vector<cublasLtMatmulHeuristicResult_t> algorithms(cublasStatus_t *status) const
    {
        if (refused_ != CUBLAS_STATUS_SUCCESS) {
            *status = refused_;
            return {};
        }
        cublasLtMatmulPreference_t preference;
        LT(cublasLtMatmulPreferenceCreate(&preference));
        const uint64_t workspace = kWorkspace;
        const uint32_t schemes = CUBLASLT_REDUCTION_SCHEME_INPLACE; // the others add in one more kernel
        LT(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace,
                                                sizeof workspace));
        LT(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &schemes,
                                                sizeof schemes));
        std::vector<cublasLtMatmulHeuristicResult_t> found(kAlgorithms);
        int n = 0;
        *status = cublasLtMatmulAlgoGetHeuristic(lt_, desc_, first_, second_, result_, result_, preference, kAlgorithms,
                                                 found.data(), &n);
        LT(cublasLtMatmulPreferenceDestroy(preference));
        found.resize(*status == CUBLAS_STATUS_SUCCESS ? static_cast<size_t>(n) : 0);
        return found;
    }

    cublasStatus_t enqueue(const cublasLtMatmulAlgo_t &algorithm, void *workspace, cudaStream_t stream) const
    {
        const double one = 1, beta = adds_ ? 1 : 0;
        const float one_f32 = 1, beta_f32 = adds_ ? 1 : 0;
        const bool f64 = type_ == CUDA_R_64F;
        return cublasLtMatmul(lt_, desc_, f64 ? (const void *)&one : &one_f32, operands_.b.data(), first_,
                              operands_.a.data(), second_, f64 ? (const void *)&beta : &beta_f32, operands_.c.data(),
                              result_, operands_.c.data(), result_, &algorithm, workspace, kWorkspace, stream);
    }

  private:
    template <class T> void set(cublasLtMatmulDescAttributes_t attribute, T value)
    {
        const cublasStatus_t status = cublasLtMatmulDescSetAttribute(desc_, attribute, &value, sizeof value);
        if (status != CUBLAS_STATUS_SUCCESS) refused_ = status;
    }
    cublasStatus_t layout(cublasLtMatrixLayout_t *out, int64_t rows, int64_t columns) const
    {
        return cublasLtMatrixLayoutCreate(out, type_, static_cast<uint64_t>(rows), static_cast<uint64_t>(columns),
                                          rows);
    }

    cublasLtHandle_t lt_;
    Operands &operands_;
    bool adds_;
    cudaDataType_t type_;
    cublasLtMatmulDesc_t desc_ = nullptr;
    cublasLtMatrixLayout_t first_ = nullptr, second_ = nullptr, result_ = nullptr;
    cublasStatus_t refused_ = CUBLAS_STATUS_SUCCESS;
};

// ---- measuring -----------------------------------------------------------------------------------------

class Probe
{
  public:
    explicit Probe(Report &report) : report_(report), workspace_(kWorkspace)
    {
        LT(cublasLtCreate(&lt_));
        load_kernel(add_hash);
    }
    Probe(const Probe &) = delete;
    Probe &operator=(const Probe &) = delete;
    ~Probe() { LT(cublasLtDestroy(lt_)); }

    void run(const Epilogue &epilogue, const Size &size, const Precision &precision, Operands &operands)
    {
        const Product p = product_of(epilogue.form, size);
        const Matmul matmul(lt_, p, precision, epilogue, operands);
        char name[96];
        std::snprintf(name, sizeof name, "%s, %s, %s, %" PRId64 "x%" PRId64 "x%" PRId64, form_names[epilogue.form],
                      epilogue.name, precision.name, p.m, p.n, p.k);
        cublasStatus_t status;
        const auto algorithms = matmul.algorithms(&status);
        if (algorithms.empty()) {
            report_.facts(
                "cublaslt", name,
                {{"supported", "no"},
                 {"status", status == CUBLAS_STATUS_SUCCESS ? "no algorithm" : cublasLtGetStatusName(status)}});
            return;
        }
        Report::Facts facts = {{"supported", "yes"}};
        const cublasLtMatmulAlgo_t *chosen = choose(matmul, algorithms, operands, facts);
        const double ours = time_ours(p, epilogue, operands);
        if (chosen) {
            const double us = time_graph([&] { LT(matmul.enqueue(*chosen, workspace_.data(), stream_)); });
            facts.push_back({"us", text("%.2f", us)});
            if (ours > 0) facts.push_back({"times ours", text("%.2f", us / ours)});
            repeat(matmul, *chosen, operands, facts);
            if (ours > 0) compare(operands, facts);
        }
        if (ours > 0) facts.insert(facts.begin() + 1, {"ours us", text("%.2f", ours)});
        report_.facts("cublaslt", name, facts);
    }

  private:
    static std::string text(const char *format, double value)
    {
        char out[32];
        std::snprintf(out, sizeof out, format, value);
        return out;
    }

    // The first algorithm that is one kernel in a graph; NULL if there is none. Tells the nodes of each.
    const cublasLtMatmulAlgo_t *choose(const Matmul &matmul,
                                       const std::vector<cublasLtMatmulHeuristicResult_t> &algorithms,
                                       const Operands &operands, Report::Facts &facts)
    {
        const cublasLtMatmulAlgo_t *chosen = nullptr;
        std::string nodes;
        for (const auto &algorithm : algorithms) {
            restore(operands);
            // Alone first: a first run may load kernels.
            const cublasStatus_t status = matmul.enqueue(algorithm.algo, workspace_.data(), stream_);
            stream_.wait();
            if (!nodes.empty()) nodes += ' ';
            if (status != CUBLAS_STATUS_SUCCESS) {
                nodes += cublasLtGetStatusName(status);
                continue;
            }
            const std::string kinds = nodes_of(matmul, algorithm.algo);
            nodes += kinds;
            if (!chosen && kinds == "1") chosen = &algorithm.algo;
        }
        facts.push_back({"nodes", nodes});
        return chosen;
    }

    // A product alone in a graph: how many kernels, and how many nodes that are none, as in "2+1".
    std::string nodes_of(const Matmul &matmul, const cublasLtMatmulAlgo_t &algorithm)
    {
        cudaGraph_t graph = nullptr;
        CHECK(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal));
        const cublasStatus_t status = matmul.enqueue(algorithm, workspace_.data(), stream_);
        const cudaError_t end = cudaStreamEndCapture(stream_, &graph);
        if (status != CUBLAS_STATUS_SUCCESS || end != cudaSuccess) {
            (void)cudaGetLastError();
            if (graph) CHECK(cudaGraphDestroy(graph));
            return "not to be captured";
        }
        size_t n = 0;
        CHECK(cudaGraphGetNodes(graph, nullptr, &n));
        std::vector<cudaGraphNode_t> nodes(n);
        if (n > 0) CHECK(cudaGraphGetNodes(graph, nodes.data(), &n));
        int kernels = 0, others = 0;
        for (cudaGraphNode_t node : nodes) {
            cudaGraphNodeType type;
            CHECK(cudaGraphNodeGetType(node, &type));
            (type == cudaGraphNodeTypeKernel ? kernels : others)++;
        }
        CHECK(cudaGraphDestroy(graph));
        return std::to_string(kernels) + (others ? "+" + std::to_string(others) : "");
    }

    // C as it was before a product, and NaN in what only the product writes.
    void restore(const Operands &o)
    {
        CHECK(cudaMemcpyAsync(o.c.data(), o.start.data(), o.c.size(), cudaMemcpyDeviceToDevice, stream_));
        CHECK(cudaMemsetAsync(o.vector_out.data(), 0xff, o.vector_out.size(), stream_));
    }

    // Time of one of ten in a graph, with all operands in the cache if they fit.
    template <class F> double time_graph(F enqueue)
    {
        constexpr int kTimes = 10;
        Graph graph(captured(stream_,
                             [&] {
                                 for (int i = 0; i < kTimes; i++) enqueue();
                             }),
                    stream_);
        return time_on_device(stream_, 15, 100, [&] { graph.launch(stream_); }).median / kTimes;
    }

    // The same by our kernel, into `ours`; 0 if it has no such epilogue.
    double time_ours(const Product &p, const Epilogue &epilogue, const Operands &o)
    {
        if (epilogue.ours < 0) return 0;
        ct_args args = {};
        args.kernel = CT_KERNEL_gemm;
        args.dtype = static_cast<uint8_t>(o.dtype);
        args.flags = static_cast<uint8_t>(epilogue.ours);
        void *const addresses[] = {o.a.data(), o.b.data(), o.ours.data(), epilogue.vector ? o.vector.data() : nullptr,
                                   o.scratch.data()};
        std::copy(std::begin(addresses), std::end(addresses), args.p);
        args.ticket = o.tickets.data();
        args.m = p.m, args.n = p.n, args.k = p.k;
        args.i[0] = p.ta ? p.m : p.k;
        args.i[1] = p.tb ? p.k : p.n;
        args.i[2] = p.n;
        args.i[3] = (p.ta ? CT_GEMM_TA : 0) | (p.tb ? CT_GEMM_TB : 0) | (epilogue.adds ? CT_GEMM_ADD : 0);
        args.blocks = ct_cuda_gemm.grid ? ct_cuda_gemm.grid(&args) : 1;

        auto enqueue = [&] {
            void *arguments[] = {&args};
            CHECK(cudaLaunchKernel(ct_cuda_gemm.function[o.dtype], dim3(args.blocks), dim3(CT_THREADS), arguments,
                                   ct_cuda_gemm.shared_bytes[o.dtype], stream_));
        };
        auto start_again = [&] {
            CHECK(cudaMemcpyAsync(o.ours.data(), o.start.data(), o.ours.size(), cudaMemcpyDeviceToDevice, stream_));
        };
        start_again();
        enqueue(); // loads it
        stream_.wait();
        const double us = time_graph(enqueue);
        start_again();
        enqueue();
        stream_.wait();
        return us;
    }

    // Runs a product again and again and says how many of the results differ in a bit from the first.
    void repeat(const Matmul &matmul, const cublasLtMatmulAlgo_t &algorithm, const Operands &o, Report::Facts &facts)
    {
        CHECK(cudaMemsetAsync(o.hashes.data(), 0, kRepeats * sizeof(unsigned long long), stream_));
        for (int i = 0; i < kRepeats; i++) {
            restore(o);
            LT(matmul.enqueue(algorithm, workspace_.data(), stream_));
            for (const Buffer<char> *out : {&o.c, &o.vector_out}) {
                add_hash<<<128, 256, 0, stream_>>>(reinterpret_cast<const uint32_t *>(out->data()),
                                                   static_cast<int64_t>(out->size() / 4), o.hashes.data() + i);
                CHECK(cudaGetLastError());
            }
        }
        stream_.wait();
        const std::vector<unsigned long long> hashes = o.hashes.read();
        int differ = 0;
        for (unsigned long long hash : hashes) differ += hash != hashes[0];
        facts.push_back({"runs of 100 with other bits", std::to_string(differ)});
    }

    // ||theirs - ours|| / ||ours||.
    void compare(const Operands &o, Report::Facts &facts)
    {
        if (o.dtype == F64)
            squares<<<1, 256, 0, stream_>>>(reinterpret_cast<const double *>(o.c.data()),
                                            reinterpret_cast<const double *>(o.ours.data()), o.count, o.sums.data());
        else
            squares<<<1, 256, 0, stream_>>>(reinterpret_cast<const float *>(o.c.data()),
                                            reinterpret_cast<const float *>(o.ours.data()), o.count, o.sums.data());
        CHECK(cudaGetLastError());
        stream_.wait();
        const std::vector<double> sums = o.sums.read();
        facts.push_back({"from ours", text("%.1e", std::sqrt(sums[0] / sums[1]))});
    }

    Report &report_;
    Stream stream_;
    Buffer<char> workspace_;
    cublasLtHandle_t lt_ = nullptr;
};

} // namespace

int main(int argc, char **argv)
{
    Report report(take_json(argc, argv));
    if (argc > 1) {
        std::fprintf(stderr, "usage: cublaslt_probe [--json FILE]\n");
        return 2;
    }
    CHECK(cudaSetDevice(0));
    warm_up();
    report.facts("cublaslt", "version", {{"number", std::to_string(cublasLtGetVersion())}});
    Probe probe(report);
    for (const Size &size : sizes)
        for (int form = 0; form < kForms; form++) {
            std::unique_ptr<Operands> operands[N_DTYPES];
            for (const Precision &precision : precisions) {
                auto &o = operands[precision.dtype];
                if (!o) o = std::make_unique<Operands>(product_of(static_cast<Form>(form), size), precision.dtype);
                for (const Epilogue &epilogue : epilogues)
                    if (epilogue.form == form) probe.run(epilogue, size, precision, *o);
            }
        }
    CHECK(cudaDeviceSynchronize());
    return 0;
}

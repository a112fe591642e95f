// Which calls a stream capture forbids: for each call, in each capture mode, the code that it gives, whether the
// capture is broken by it, and what ending the capture gives. The stand-in of the tests is held against this.
// usage: capture_probe [--json FILE]
#include "micro.h"

#include <functional>

namespace
{

// Loaded by nothing before the capture that launches or asks for it: one for each mode and call.
template <int which> __global__ void never_loaded() {}

__global__ void loaded() {}

void host_function(void *) {}

// What the calls work on. All of it is made anew for each of them.
struct Scene {
    Stream stream, other; // capturing; not capturing
    Event before, within; // recorded before the capture, on `other`; in it
    Buffer<char> memory{1 << 20};
    void *pinned = nullptr;
    std::vector<char> pageable = std::vector<char>(1 << 20);
    void *to_free = nullptr;
    Graph graph{captured(other,
                         [&] {
                             loaded<<<1, 1, 0, other>>>();
                             CHECK(cudaGetLastError());
                         }),
                other};
    cudaGraphExec_t exec = nullptr;

    Scene()
    {
        CHECK(cudaMallocHost(&pinned, 1 << 20));
        CHECK(cudaMalloc(&to_free, 1 << 20));
        CHECK(cudaEventRecord(before, other));
        CHECK(cudaDeviceSynchronize());
    }
    ~Scene()
    {
        if (exec) CHECK(cudaGraphExecDestroy(exec));
        if (to_free) CHECK(cudaFree(to_free));
        CHECK(cudaFreeHost(pinned));
    }
};

struct Call {
    const char *name;
    std::function<cudaError_t(Scene &, int mode)> run;
};

cudaError_t launch(void (*kernel)(), cudaStream_t stream)
{
    void *none = nullptr;
    return cudaLaunchKernel(reinterpret_cast<const void *>(kernel), dim3(1), dim3(1), &none, 0, stream);
}

// A call that gives something back gives it back at once, so that nothing is left over.
std::vector<Call> all_calls()
{
    constexpr size_t kBytes = 1 << 16;
    static void (*const by_launch[3])() = {never_loaded<0>, never_loaded<1>, never_loaded<2>};
    static void (*const by_question[3])() = {never_loaded<3>, never_loaded<4>, never_loaded<5>};
    return {
        {"nothing", [](Scene &, int) { return cudaSuccess; }},
        {"kernel launch", [](Scene &s, int) { return launch(loaded, s.stream); }},
        {"first launch of a kernel", [](Scene &s, int mode) { return launch(by_launch[mode], s.stream); }},
        {"cudaFuncGetAttributes of a kernel not loaded",
         [](Scene &, int mode) {
             cudaFuncAttributes unused;
             return cudaFuncGetAttributes(&unused, reinterpret_cast<const void *>(by_question[mode]));
         }},
        {"launch on another stream", [](Scene &s, int) { return launch(loaded, s.other); }},
        {"launch on the legacy stream", [](Scene &, int) { return launch(loaded, cudaStreamLegacy); }},

        {"cudaMalloc",
         [](Scene &, int) {
             void *memory = nullptr;
             const cudaError_t status = cudaMalloc(&memory, kBytes);
             if (memory) (void)cudaFree(memory);
             return status;
         }},
        {"cudaFree",
         [](Scene &s, int) {
             const cudaError_t status = cudaFree(s.to_free);
             if (status == cudaSuccess) s.to_free = nullptr;
             return status;
         }},
        {"cudaMallocHost",
         [](Scene &, int) {
             void *memory = nullptr;
             const cudaError_t status = cudaMallocHost(&memory, kBytes);
             if (memory) (void)cudaFreeHost(memory);
             return status;
         }},
        {"cudaMemGetInfo",
         [](Scene &, int) {
             size_t left = 0, all = 0;
             return cudaMemGetInfo(&left, &all);
         }},
        {"cudaPointerGetAttributes",
         [](Scene &s, int) {
             cudaPointerAttributes unused;
             return cudaPointerGetAttributes(&unused, s.memory.data());
         }},

        {"cudaDeviceSynchronize", [](Scene &, int) { return cudaDeviceSynchronize(); }},
        {"cudaStreamSynchronize", [](Scene &s, int) { return cudaStreamSynchronize(s.stream); }},
        {"cudaStreamSynchronize of another stream", [](Scene &s, int) { return cudaStreamSynchronize(s.other); }},
        {"cudaStreamSynchronize of the legacy stream", [](Scene &, int) { return cudaStreamSynchronize(nullptr); }},
        {"cudaStreamQuery", [](Scene &s, int) { return cudaStreamQuery(s.stream); }},
        {"cudaStreamQuery of another stream", [](Scene &s, int) { return cudaStreamQuery(s.other); }},

        {"cudaEventCreate and cudaEventDestroy",
         [](Scene &, int) {
             cudaEvent_t event = nullptr;
             const cudaError_t status = cudaEventCreate(&event);
             return status != cudaSuccess ? status : cudaEventDestroy(event);
         }},
        {"cudaEventQuery, recorded before", [](Scene &s, int) { return cudaEventQuery(s.before); }},
        {"cudaEventQuery, recorded in the capture", [](Scene &s, int) { return cudaEventQuery(s.within); }},
        {"cudaEventSynchronize, recorded before", [](Scene &s, int) { return cudaEventSynchronize(s.before); }},
        {"cudaEventSynchronize, recorded in the capture", [](Scene &s, int) { return cudaEventSynchronize(s.within); }},
        {"cudaStreamWaitEvent, recorded before",
         [](Scene &s, int) { return cudaStreamWaitEvent(s.stream, s.before, 0); }},
        {"cudaEventRecord on another stream", [](Scene &s, int) { return cudaEventRecord(s.before, s.other); }},

        {"cudaMemcpy to the device",
         [](Scene &s, int) { return cudaMemcpy(s.memory.data(), s.pageable.data(), kBytes, cudaMemcpyHostToDevice); }},
        {"cudaMemcpy on the device",
         [](Scene &s, int) {
             return cudaMemcpy(s.memory.data(), s.memory.data() + kBytes, kBytes, cudaMemcpyDeviceToDevice);
         }},
        {"cudaMemcpyAsync, pinned",
         [](Scene &s, int) {
             return cudaMemcpyAsync(s.memory.data(), s.pinned, kBytes, cudaMemcpyHostToDevice, s.stream);
         }},
        {"cudaMemcpyAsync, pageable to the device",
         [](Scene &s, int) {
             return cudaMemcpyAsync(s.memory.data(), s.pageable.data(), kBytes, cudaMemcpyHostToDevice, s.stream);
         }},
        {"cudaMemcpyAsync, pageable to the host",
         [](Scene &s, int) {
             return cudaMemcpyAsync(s.pageable.data(), s.memory.data(), kBytes, cudaMemcpyDeviceToHost, s.stream);
         }},
        {"cudaMemcpyAsync on another stream, pinned",
         [](Scene &s, int) {
             return cudaMemcpyAsync(s.memory.data(), s.pinned, kBytes, cudaMemcpyHostToDevice, s.other);
         }},
        {"cudaMemset", [](Scene &s, int) { return cudaMemset(s.memory.data(), 0, kBytes); }},
        {"cudaMemsetAsync", [](Scene &s, int) { return cudaMemsetAsync(s.memory.data(), 0, kBytes, s.stream); }},

        {"cudaStreamCreate and cudaStreamDestroy",
         [](Scene &, int) {
             cudaStream_t stream = nullptr;
             const cudaError_t status = cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
             return status != cudaSuccess ? status : cudaStreamDestroy(stream);
         }},
        {"cudaStreamBeginCapture again",
         [](Scene &s, int) { return cudaStreamBeginCapture(s.stream, cudaStreamCaptureModeThreadLocal); }},
        {"cudaLaunchHostFunc", [](Scene &s, int) { return cudaLaunchHostFunc(s.stream, host_function, nullptr); }},
        {"cudaGraphInstantiate", [](Scene &s, int) { return cudaGraphInstantiate(&s.exec, s.graph.graph(), 0); }},
        {"cudaGraphLaunch", [](Scene &s, int) { return s.graph.try_launch(s.stream); }},
        {"cudaGraphLaunch on another stream", [](Scene &s, int) { return s.graph.try_launch(s.other); }},
        {"cudaSetDevice", [](Scene &, int) { return cudaSetDevice(0); }},
        {"cudaGetDeviceProperties",
         [](Scene &, int) {
             cudaDeviceProp unused;
             return cudaGetDeviceProperties(&unused, 0);
         }},
        // Last, as it leaves the other stream in a capture that is over.
        {"cudaStreamWaitEvent on another stream, never joined",
         [](Scene &s, int) { return cudaStreamWaitEvent(s.other, s.within, 0); }},
    };
}

const char *state_of(cudaStream_t stream)
{
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    // An invalid capture is told by the status or by the code, as the driver likes.
    const cudaError_t code = cudaStreamIsCapturing(stream, &status);
    (void)cudaGetLastError();
    if (code != cudaSuccess) return cudaGetErrorName(code);
    if (status == cudaStreamCaptureStatusActive) return "goes on";
    return status == cudaStreamCaptureStatusInvalidated ? "is broken" : "has ended";
}

// Writes the line of one call; false if the device is not well after it.
bool probe(Report &report, const Call &call, cudaStreamCaptureMode mode, const char *mode_name)
{
    Scene scene;
    CHECK(cudaStreamBeginCapture(scene.stream, mode));
    CHECK(launch(loaded, scene.stream));
    CHECK(cudaEventRecord(scene.within, scene.stream));
    const cudaError_t code = call.run(scene, static_cast<int>(mode));
    (void)cudaGetLastError();
    const char *state = state_of(scene.stream);
    cudaGraph_t graph = nullptr;
    const cudaError_t end = cudaStreamEndCapture(scene.stream, &graph);
    (void)cudaGetLastError();
    size_t nodes = 0;
    if (graph) {
        CHECK(cudaGraphGetNodes(graph, nullptr, &nodes));
        CHECK(cudaGraphDestroy(graph));
    }
    const bool well = cudaDeviceSynchronize() == cudaSuccess && cudaGetLastError() == cudaSuccess;
    report.facts("capture", std::string(call.name) + ", " + mode_name,
                 {{"gives", cudaGetErrorName(code)},
                  {"code", std::to_string(static_cast<int>(code))},
                  {"capture", state},
                  {"end gives", cudaGetErrorName(end)},
                  {"nodes", std::to_string(nodes)},
                  {"device after it", well ? "well" : "NOT WELL"}});
    return well;
}

} // namespace

int main(int argc, char **argv)
{
    Report report(take_json(argc, argv));
    if (argc > 1) {
        std::fprintf(stderr, "usage: capture_probe [--json FILE]\n");
        return 2;
    }
    CHECK(cudaSetDevice(0));
    CHECK(launch(loaded, nullptr));
    CHECK(cudaDeviceSynchronize());
    const struct {
        cudaStreamCaptureMode mode;
        const char *name;
    } modes[] = {{cudaStreamCaptureModeThreadLocal, "thread-local"},
                 {cudaStreamCaptureModeGlobal, "global"},
                 {cudaStreamCaptureModeRelaxed, "relaxed"}};
    for (const Call &call : all_calls())
        for (const auto &mode : modes)
            if (!probe(report, call, mode.mode, mode.name)) return 1;
    return 0;
}

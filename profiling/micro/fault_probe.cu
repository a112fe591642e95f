// What a fault on the device does: an illegal access in a captured program, met at the next wait. Shows that the
// context says so, that ct_destroy works all the same, and what a process can still do after it.
// usage: fault_probe [--json FILE] HOW
//   freed  a program whose leaf lies in the caller's memory, which the caller has freed
//   stray  a kernel of the caller's on the context's stream that writes where nothing is
// Exits with 0 if the fault was told and the context could be destroyed.
#include "micro.h"

#include <cutape/cutape.h>

#include <cstring>

namespace
{

constexpr int64_t kFloats = 64 << 20; // large, so that the driver gives the memory back when it is freed

__global__ void write_nowhere() { *reinterpret_cast<volatile int *>(16) = 1; }

void quiet(void *, const char *) {}

// Writes what came of something, under how the fault was provoked.
class Log
{
  public:
    Log(Report &report, const char *how) : report_(report), how_(how) {}
    void operator()(const char *what, const std::string &result, Report::Facts more = {}) const
    {
        more.insert(more.begin(), {"result", result});
        report_.facts("fault", std::string(how_) + ": " + what, more);
    }

  private:
    Report &report_;
    const char *how_;
};

std::string text_of(ct_status status, const ct_context *ctx)
{
    return std::string(ct_status_name(status)) +
           (status == CT_OK || !ctx ? "" : std::string(": ") + ct_error_message(ctx));
}

ct_context *open_context(int32_t device, ct_status *status)
{
    ct_config config = {};
    config.device = device;
    config.log = quiet;
    ct_context *ctx = nullptr;
    *status = ct_create(&config, &ctx);
    return ctx;
}

// y = 2 x + 1 on a leaf of ours; false if it could not be computed.
bool computes(ct_context *ctx)
{
    const ct_tensor x = ct_full(ctx, CT_F32, 0, nullptr, 3);
    return ct_item(ctx, ct_add_scalar(ctx, ct_mul_scalar(ctx, x, 2), 1)) == 7;
}

// Can a context be made on this device now, and compute?
void try_again(const Log &log, const char *which, int32_t device)
{
    ct_status status;
    ct_context *ctx = open_context(device, &status);
    std::string says = text_of(status, ctx);
    if (status == CT_OK) says = computes(ctx) ? "works" : "made, but: " + text_of(ct_error(ctx), ctx);
    ct_destroy(ctx);
    log(which, says);
}

// Records x += 1 over the caller's memory and plays it until it is a graph.
bool record_program(ct_context *ctx, void *memory, ct_tensor *leaf)
{
    *leaf = ct_wrap(ctx, CT_F32, 1, &kFloats, memory);
    for (int i = 0; i < 3; i++) {
        ct_assign(ctx, *leaf, ct_add_scalar(ctx, *leaf, 1));
        if (ct_step_end(ctx) != CT_OK) return false;
    }
    return ct_replay(ctx, 2) == CT_OK && ct_synchronize(ctx) == CT_OK;
}

ct_status fault(ct_context *ctx, bool freed, void *memory)
{
    if (freed) {
        CHECK(cudaFree(memory));
        const ct_status status = ct_replay(ctx, 1);
        if (status != CT_OK) return status;
    } else {
        write_nowhere<<<1, 1, 0, static_cast<cudaStream_t>(ct_stream(ctx))>>>();
        CHECK(cudaGetLastError());
    }
    return ct_synchronize(ctx);
}

int run(const Log &log, bool freed)
{
    ct_status status, other_status;
    ct_context *ctx = open_context(CT_DEVICE_CUDA, &status), *other = open_context(CT_DEVICE_CUDA, &other_status);
    if (status != CT_OK || other_status != CT_OK) {
        log("two contexts", status != CT_OK ? text_of(status, ctx) : text_of(other_status, other));
        ct_destroy(other);
        ct_destroy(ctx);
        return 1;
    }
    void *memory = nullptr;
    ct_tensor leaf = {};
    CHECK(cudaMalloc(&memory, kFloats * sizeof(float)));
    CHECK(cudaMemset(memory, 0, kFloats * sizeof(float)));
    CHECK(cudaDeviceSynchronize());
    if (!record_program(ctx, memory, &leaf)) {
        log("the program before it", text_of(ct_error(ctx), ctx));
        ct_destroy(other);
        ct_destroy(ctx);
        return 1;
    }

    status = fault(ctx, freed, memory);
    log("at the wait", text_of(status, ctx));
    const cudaError_t cuda = cudaDeviceSynchronize();
    log("at CUDA's own wait", cudaGetErrorName(cuda), {{"code", std::to_string(static_cast<int>(cuda))}});
    ct_clear_error(ctx);
    const bool stands = ct_error(ctx) == CT_ERR_DEVICE;
    log("after ct_clear_error", text_of(ct_error(ctx), ctx));
    log("another context made before it", computes(other) ? "works" : text_of(ct_error(other), other));

    double start = now_us();
    ct_destroy(ctx);
    log("ct_destroy", "returned", {{"ms", std::to_string((now_us() - start) / 1e3)}});
    start = now_us();
    ct_destroy(other);
    log("ct_destroy of the other", "returned", {{"ms", std::to_string((now_us() - start) / 1e3)}});

    try_again(log, "a new context on the GPU", CT_DEVICE_CUDA);
    try_again(log, "a new context on the CPU", CT_DEVICE_CPU);
    const cudaError_t reset = cudaDeviceReset();
    log("cudaDeviceReset", cudaGetErrorName(reset));
    try_again(log, "a new context on the GPU after that", CT_DEVICE_CUDA);
    return status == CT_ERR_DEVICE && stands ? 0 : 1;
}

} // namespace

int main(int argc, char **argv)
{
    Report report(take_json(argc, argv));
    const bool freed = argc == 2 && std::strcmp(argv[1], "freed") == 0;
    if (!freed && !(argc == 2 && std::strcmp(argv[1], "stray") == 0)) {
        std::fprintf(stderr, "usage: fault_probe [--json FILE] freed|stray\n");
        return 2;
    }
    return run(Log(report, argv[1]), freed);
}

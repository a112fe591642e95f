/* Errors, sticky faults, reports, and the calls that fail because a test wants it. */
#include "error.h"

#include "block.h"
#include "device.h"
#include "random.h"
#include "simt.h"
#include "stream.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace simt
{

std::recursive_mutex mutex;

static cudaError_t faults[DEVICES];
static thread_local cudaError_t last_error;
static uint64_t calls, failing_call;
static cudaError_t injected;

static std::string &unread = *new std::string; /* reports may come while the process ends */

/* A report that no test has taken makes the process fail. */
static const struct AtExit {
    ~AtExit()
    {
        if (unread.empty()) return;
        fprintf(stderr, "simt: the process fails for the report above\n");
        fflush(nullptr);
        _Exit(1);
    }
} at_exit;

void report(const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    unread = std::string(text) + where() + ", CT_SIMT_SEED=" + std::to_string(seed());
    fprintf(stderr, "simt: %s\n", unread.c_str());
}

/* After these a context is lost on a GPU. */
static bool lasts(cudaError_t error)
{
    return error == cudaErrorIllegalAddress || error == cudaErrorMisalignedAddress || error == cudaErrorLaunchFailure;
}

cudaError_t fault_of(int device) { return faults[device]; }

void fault(int device, cudaError_t error)
{
    if (!faults[device]) faults[device] = error;
    drop_work(device);
}

cudaError_t remember(cudaError_t error)
{
    if (error) last_error = error;
    return error;
}

cudaError_t count_call()
{
    calls++;
    return calls == failing_call ? injected : cudaSuccess;
}

cudaError_t enter(unsigned rules)
{
    if (const cudaError_t error = count_call()) {
        if (lasts(error)) fault(current_device(), error);
        return error;
    }
    return rules & HARMLESS ? cudaSuccess : fault_of(current_device());
}

} // namespace simt

using namespace simt;

cudaError_t cudaGetLastError(void)
{
    const cudaError_t error = cudaPeekAtLastError();
    last_error = cudaSuccess;
    return error;
}

cudaError_t cudaPeekAtLastError(void)
{
    const std::lock_guard<std::recursive_mutex> guard(simt::mutex);
    const cudaError_t lasting = fault_of(current_device());
    return lasting ? lasting : last_error;
}

const char *cudaGetErrorName(cudaError_t error)
{
    switch (error) {
#define SIMT_ERROR(name, value, text)                                                                                  \
    case name: return #name;
        SIMT_CUDA_ERRORS(SIMT_ERROR)
#undef SIMT_ERROR
    }
    return "unrecognized error code";
}

const char *cudaGetErrorString(cudaError_t error)
{
    switch (error) {
#define SIMT_ERROR(name, value, text)                                                                                  \
    case name: return text;
        SIMT_CUDA_ERRORS(SIMT_ERROR)
#undef SIMT_ERROR
    }
    return "unrecognized error code";
}

const char *simt_take_report(void)
{
    const std::lock_guard<std::recursive_mutex> guard(simt::mutex);
    static std::string taken;
    taken.swap(unread);
    unread.clear();
    return taken.c_str();
}

void simt_fail_call(uint64_t n, int error)
{
    const std::lock_guard<std::recursive_mutex> guard(simt::mutex);
    failing_call = n ? calls + n : 0;
    injected = cudaError_t(error);
}

uint64_t simt_calls(void)
{
    const std::lock_guard<std::recursive_mutex> guard(simt::mutex);
    return calls;
}

void simt_heal(void)
{
    const std::lock_guard<std::recursive_mutex> guard(simt::mutex);
    for (int device = 0; device < DEVICES; device++) {
        drop_work(device);
        faults[device] = cudaSuccess;
    }
    last_error = cudaSuccess;
    failing_call = 0;
}

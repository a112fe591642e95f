/* How every call of the API begins and ends, faults of a device, and reports of the checks. */
#ifndef SIMT_ERROR_H
#define SIMT_ERROR_H

#include "cuda_runtime_api.h"

#include <mutex>

namespace simt
{

/* Held in every call; kernels run under it. */
extern std::recursive_mutex mutex;

enum Rule : unsigned {
    PLAIN = 0,
    UNSAFE = 1,   /* forbidden while a capture is under way */
    HARMLESS = 2, /* works on a faulted device too          */
    RELEASES = 4, /* does its work even where it has to return an error */
};

/* Why a call must fail, if it must: an injected error, a fault. */
cudaError_t enter(unsigned rules);
/* Where a capture forbids the calling thread what is unsafe: makes the capture invalid. */
cudaError_t forbid_in_capture();
/* Keeps an error for cudaGetLastError. */
cudaError_t remember(cudaError_t);

template <class Body> cudaError_t call(unsigned rules, Body body)
{
    const std::lock_guard<std::recursive_mutex> guard(mutex);
    const cudaError_t refused = enter(rules);
    if (refused && !(rules & RELEASES)) return remember(refused);
    if (rules & UNSAFE)
        if (const cudaError_t forbidden = forbid_in_capture()) return remember(forbidden);
    const cudaError_t status = body();
    return remember(refused ? refused : status);
}

/* Counts a call: returns the error injected into it, if any. */
cudaError_t count_call();

/* The fault that a device has, and a new one: the first stays. */
cudaError_t fault_of(int device);
void fault(int device, cudaError_t);

/* A check has failed: keeps and prints the message, with what runs at the time. */
void report(const char *format, ...) __attribute__((format(printf, 1, 2)));

} // namespace simt

#endif

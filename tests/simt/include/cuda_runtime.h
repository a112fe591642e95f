/* The stand-in for the CUDA runtime, the part that kernels see. One block runs at a time, its
 * threads as fibers that switch only in the functions declared here; so the built-in
 * variables are plain ones. Host code in C gets cuda_runtime_api.h alone.
 */
#ifndef SIMT_CUDA_RUNTIME_H
#define SIMT_CUDA_RUNTIME_H

#include "cuda_runtime_api.h"

#ifdef __cplusplus

#include <math.h> /* with overloads by type, as in device code */
#include <stdint.h>
#include <string.h>

#define __global__
#define __device__
#define __host__
#define __shared__
#define __constant__
#define __grid_constant__
#define __launch_bounds__(...)
#define __forceinline__ inline __attribute__((always_inline))
#define __align__(bytes) __attribute__((aligned(bytes)))

/* Of a thread that sleeps nothing is seen. */
inline void __nanosleep(unsigned) {}

#define SIMT_HIDDEN __attribute__((visibility("hidden")))
extern SIMT_HIDDEN uint3 threadIdx, blockIdx;
extern SIMT_HIDDEN dim3 blockDim, gridDim;

namespace simt
{

/* Runs a kernel once, that is as one thread, with a copy of its parameter. */
typedef void Invoke(const void *kernel, const void *parameter);
const void *add_kernel(const char *name, const void *kernel, size_t parameter_bytes, Invoke *);

template <class P> const void *entry(const char *name, void (*kernel)(P))
{
    static_assert(__is_trivially_copyable(P), "a kernel's parameter is copied as bytes");
    return add_kernel(name, reinterpret_cast<const void *>(kernel), sizeof(P),
                      [](const void *k, const void *parameter) {
                          reinterpret_cast<void (*)(P)>(const_cast<void *>(k))(*static_cast<const P *>(parameter));
                      });
}

/* Where in the source threads wait for each other. */
struct Site {
    const char *what, *file;
    int line;
};

/* All threads of the block, or of the warp, wait for each other here. Each brings a slot; the
 * last one to come calls `finish` with all slots, in thread order, while the others stand still. */
enum Scope { BLOCK, WARP };
typedef void Finish(void **slots, unsigned n);
void meet(Scope, const Site &, void *slot, Finish *);
/* As meet, for a warp intrinsic with a mask. */
void meet_masked(unsigned mask, const Site &, void *slot, Finish *);

unsigned lane();

/* Temporary storage of a collective: before it is used, and after. Between two uses the scope
 * has to wait for its threads; a shuffle is no such wait. */
void check_storage(Scope, const void *storage);
void mark_storage(Scope, const void *storage);

struct Shuffle {
    uint64_t in, out;
    int source;
};
void shuffle(void **slots, unsigned n);

template <class T> T shuffled(unsigned mask, const Site &site, T value, int source)
{
    static_assert(sizeof(T) <= 8, "shuffles move up to 8 bytes");
    Shuffle slot = {0, 0, source};
    memcpy(&slot.in, &value, sizeof value);
    meet_masked(mask, site, &slot, shuffle);
    memcpy(&value, &slot.out, sizeof value);
    return value;
}

struct Ballot {
    bool in;
    unsigned out;
};
void ballot(void **slots, unsigned n);

} // namespace simt

/* A kernel as the host names it; the stand-in gets to know it by this. */
#define CT_ENTRY(kernel) ::simt::entry(#kernel, kernel)

#define SIMT_SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncthreads(SIMT_SITE) { simt::meet(simt::BLOCK, {"__syncthreads", file, line}, nullptr, nullptr); }

inline void __syncwarp(unsigned mask = 0xffffffffu, SIMT_SITE)
{
    simt::meet_masked(mask, {"__syncwarp", file, line}, nullptr, nullptr);
}

/* Lanes of a group of `width` are numbered within it; a source outside gives the caller's own value. */
template <class T> T __shfl_sync(unsigned mask, T value, int source, int width = 32, SIMT_SITE)
{
    const int first = int(simt::lane()) & ~(width - 1);
    return simt::shuffled(mask, {"__shfl_sync", file, line}, value, first + (source & (width - 1)));
}

template <class T> T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, SIMT_SITE)
{
    const int own = int(simt::lane()), in_group = own & (width - 1);
    const int source = in_group + int(delta) < width ? own + int(delta) : own;
    return simt::shuffled(mask, {"__shfl_down_sync", file, line}, value, source);
}

template <class T> T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32, SIMT_SITE)
{
    const int own = int(simt::lane()), source = own ^ lanes;
    const bool inside = (source & ~(width - 1)) <= (own & ~(width - 1));
    return simt::shuffled(mask, {"__shfl_xor_sync", file, line}, value, inside ? source : own);
}

inline unsigned __ballot_sync(unsigned mask, int predicate, SIMT_SITE)
{
    simt::Ballot slot = {predicate != 0, 0};
    simt::meet_masked(mask, {"__ballot_sync", file, line}, &slot, simt::ballot);
    return slot.out;
}

#undef SIMT_SITE

/* Fibers of one OS thread see each other's writes; only the compiler must not move them. */
inline void __threadfence() { __asm__ volatile("" ::: "memory"); }

/* Integers only: sums of floats would depend on the order. */
template <class T> T atomicAdd(T *address, T value)
{
    static_assert(T(0.5) == T(0), "no float atomics: their order is not fixed");
    const T old = *address;
    *address = T(old + value);
    return old;
}

inline unsigned atomicInc(unsigned *address, unsigned limit)
{
    const unsigned old = *address;
    *address = old >= limit ? 0 : old + 1;
    return old;
}

#endif
#endif

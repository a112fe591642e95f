/* What tests may ask of the stand-in beyond CUDA. A device module is opened with dlopen, so
 * tests find these by dlsym, beside the CUDA functions that the module exports too.
 *
 * Environment: CT_SIMT_SEED=<n> (1), CT_SIMT_STREAMS=lazy|eager|random (lazy),
 * CT_SIMT_MEMORY_MB=<n> (1024, of each of the two devices), CT_SIMT_GRAPH_NODES=backwards (the newest
 * node of a graph is listed first).
 *
 * A check that fails is a report: printed to stderr, kept, and in most cases a fault of the
 * device, so that every later call fails. A report that no test takes fails the process at exit.
 */
#ifndef SIMT_SIMT_H
#define SIMT_SIMT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* The last report since the one before was taken, or "". It stays readable until the next call. */
const char *simt_take_report(void);

/* The n-th call from now on (1 is the next; 0: none) fails with this CUDA error, without having
 * done anything; a call that releases something releases it nevertheless. Calls of cublasLt
 * count too and fail with CUBLAS_STATUS_INTERNAL_ERROR. Errors that are faults on a GPU last.
 * Not counted: cudaGetLastError, cudaPeekAtLastError, names and texts of errors. */
void simt_fail_call(uint64_t n, int error);

/* Calls made so far. */
uint64_t simt_calls(void);

/* Every stream, event, graph and piece of memory that was made and not destroyed. */
size_t simt_objects(void);

/* Takes the faults away, with all work that still waits and the last error of this thread. */
void simt_heal(void);

void simt_set_seed(uint64_t seed);

/* When queued work runs: at once; only when waited for and as little of it as possible; or in
 * random order over the streams, some of it early. */
enum { SIMT_LAZY, SIMT_EAGER, SIMT_RANDOM };
void simt_set_streams(int mode);

/* Is the range open that profilers record? */
int simt_profiler_is_on(void);

/* Memory of each device. */
void simt_set_memory(size_t bytes);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif

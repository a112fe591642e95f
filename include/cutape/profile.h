/* profile.h: where a step's time goes.
 *
 * Intended usage
 *
 *     ct_profile_begin(ctx);
 *     for (int i = 0; i < 10; ++i) step(ctx);
 *     ct_profile_end(ctx);
 *     ct_profile_table(ctx, NULL);                   // to the log
 *     ct_profile_trace(ctx, "step.json");            // for Perfetto or chrome://tracing
 *
 * While profiling, programs play launch by launch instead of as one graph: the same launches and the same
 * bits, each timed on the device, so a step as a whole takes longer than it does in a replay. Under Nsight
 * Systems or Nsight Compute the capture range opens and closes with these calls, and each record has an
 * NVTX range in the domain "cutape". That capture range is one for the process: of two contexts that profile at
 * once, the first to end closes it for both. Times are in microseconds.
 *
 * A table, a timeline or a page tells how far each record is from what the device reaches. The first of them that is
 * written measures that once for the context, by copies and by products in memory of its own: some tenths of a second.
 * What could not be measured, as where the device's memory is full, is left out, and tried again by the next of them.
 */
#ifndef CUTAPE_PROFILE_H
#define CUTAPE_PROFILE_H

#include "context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Flushes and waits, drops what an earlier profile collected, and starts collecting.
 * These leave no error standing, and what is recorded as it is. CT_ERR_STATE: begun already. CT_ERR_UNSUPPORTED: with
 * ct_config.detect_anomaly, whose checks would be timed too. CT_ERR_MEMORY: host memory is out. CT_ERR_DEVICE: the
 * capture range did not open. These stand: the errors of ct_flush and ct_synchronize, and CT_ERR_STATE in a gradient
 * hook, which may only call ops. */
CT_API ct_status ct_profile_begin(ct_context *ctx);

/* Flushes, waits and stops collecting; what was collected is kept. It stops in any case: an error that stands, or
 * that the flush meets, is its status. CT_ERR_STATE: not begun. */
CT_API ct_status ct_profile_end(ct_context *ctx);

/* By what the rows of a table are ordered; the most expensive first, unless another order was set. */
typedef enum ct_profile_order {
    CT_PROFILE_BY_TIME = 0, /* the longest first                       */
    CT_PROFILE_BY_RECORD,   /* as recorded                             */
    CT_PROFILE_BY_OP,       /* by name, then by time                   */
    CT_PROFILE_BY_PHASE,    /* forward, backward, update, data; then by time */
    CT_PROFILE_BY_ROOFLINE, /* what is furthest from the roofline first */
} ct_profile_order;
/* The order of the tables that are written from here on. CT_ERR_ARGUMENT: no such order. */
CT_API ct_status ct_profile_sort(ct_context *ctx, ct_profile_order order);

/* Writes the last profile as a table to path, or to the log if NULL: op, phase (forward, backward, update,
 * data), shape, time, FLOP, bytes, share of the roofline, the most expensive first. A path that ends in .csv gets
 * the rows as CSV, one in .json all of it as JSON, any other text. A file call: leaves no error standing.
 * CT_ERR_STATE: nothing collected, or not ended. CT_ERR_IO: not writable. CT_ERR_MEMORY: host memory is out, or was
 * while the profile was collected, which is not whole then. */
CT_API ct_status ct_profile_table(ct_context *ctx, const char *path);

/* Writes the last profile as a timeline, in the JSON that Chrome and Perfetto read: a track for the host, for each
 * phase and for copies, arrows from a forward record to its backward ones, the memory in use. Where a tool that
 * numbers the nodes of CUDA graphs looked on, path with .nodes.csv behind it tells which record each of them is; where
 * none did, a file of that name is removed, as it is of another profile. Errors as ct_profile_table, and
 * CT_ERR_ARGUMENT: path is NULL. */
CT_API ct_status ct_profile_trace(ct_context *ctx, const char *path);

/* Writes the last profile as one HTML page that needs nothing else: the timeline, the roofline, the table and the
 * layout of step memory. Errors as ct_profile_trace. */
CT_API ct_status ct_profile_page(ct_context *ctx, const char *path);

#ifdef __cplusplus
}
#endif

#endif

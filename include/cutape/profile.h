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
 * NVTX range in the domain "cutape". Times are in microseconds.
 */
#ifndef CUTAPE_PROFILE_H
#define CUTAPE_PROFILE_H

#include "context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Flushes and waits, drops what an earlier profile collected, and starts collecting. CT_ERR_STATE: begun
 * already. */
CT_API ct_status ct_profile_begin(ct_context *ctx);

/* Flushes, waits and stops collecting; what was collected is kept. CT_ERR_STATE: not begun. */
CT_API ct_status ct_profile_end(ct_context *ctx);

/* Writes the last profile as a table to path, or to the log if NULL: op, phase (forward, backward, update,
 * data), shape, time, FLOP, bytes, share of the roofline, the most expensive first. A file call: leaves no
 * error standing. CT_ERR_STATE: nothing collected, or not ended. CT_ERR_IO: not writable. */
CT_API ct_status ct_profile_table(ct_context *ctx, const char *path);

/* Writes the last profile as a timeline, in the JSON that Chrome and Perfetto read. Errors as
 * ct_profile_table. */
CT_API ct_status ct_profile_trace(ct_context *ctx, const char *path);

#ifdef __cplusplus
}
#endif

#endif

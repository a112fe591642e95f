/* Anomaly mode (ct_config.detect_anomaly): a program is played launch by launch, and after every
 * record what that wrote is looked through for NaN and Inf. Under replay it is played at full speed,
 * with a snapshot to go back to. Called by program.c alone.
 */
#ifndef CUTAPE_PROGRAM_ANOMALY_H
#define CUTAPE_PROGRAM_ANOMALY_H

#include "program/program.h"

/* What the first record that made a NaN or an Inf out of finite inputs did. */
typedef struct ct_finding {
    uint32_t record, operand; /* of the segment; of the record: its inputs, then its outputs */
    int64_t index;            /* the first bad element, and what it holds                    */
    double value;
    ct_ref into;             /* the leaf that it wrote straight into, or added to; CT_REF_NONE        */
    int64_t replay, replays; /* in which of how many it was; 0: in none                      */
} ct_finding;

/* Play it once, with the scalars that the device has. CT_ERR_NUMERIC: the leaves are as before. */
ct_status ct_anomaly_play(ct_context *, ct_program *);
/* The same n times. `played`: those that happened, on an error too. */
ct_status ct_anomaly_replay(ct_context *, ct_program *, int64_t n, int64_t *played);
void ct_anomaly_free(ct_context *, ct_program *);

/* In blame.c. The error of a finding. */
ct_status ct_anomaly_blame(ct_context *, const ct_program *, const ct_finding *);
/* The log's line, once for each leaf and each writing by the host: it was not finite before, and a record passes
 * that on. Of the finding only the replay is read. */
void ct_anomaly_tell(ct_context *, const ct_finding *, uint32_t record, ct_ref leaf, int64_t index);

#endif

/* Programs: compiled segments, found again by their key. */
#ifndef CUTAPE_PROGRAM_PROGRAM_H
#define CUTAPE_PROGRAM_PROGRAM_H

#include "device/device.h"
#include "program/plan.h"

/* A slab of step memory; gone with its last program. */
typedef struct ct_arena {
    char *memory;
    size_t bytes;
    int refs;
} ct_arena;

typedef struct ct_program {
    uint64_t hash;
    uint32_t number; /* as programs were compiled, from 1 */
    uint64_t *key;
    size_t n_key;
    ct_plan plan;
    ct_arena *arena; /* NULL where the plan needs none                              */
    ct_code code;
    size_t launches_capacity;
    void **blocks; /* pool blocks of its own: constants, scalars; debug values    */
    size_t n_blocks, blocks_capacity;
    void **host; /* host memory that lowering asked for                         */
    size_t n_host, host_capacity;
    double *scalars; /* as last sent                                                */
    ct_scalar_change *changes;
    ct_bound_scalar *bound;
    uint32_t n_bound;
    uint64_t used, used_step;   /* clock of the last play, and its step                        */
    struct ct_anomaly *anomaly; /* anomaly.c; NULL until it is wanted */
    struct ct_program *chain;   /* next with the same bucket                                   */
} ct_program;

#define CT_PROGRAM_BUCKETS 256
#define CT_PROGRAM_LIMIT 256 /* programs held; the least recently used goes */

typedef struct ct_programs {
    ct_program *buckets[CT_PROGRAM_BUCKETS];
    ct_arena *arena;      /* the largest: what new programs are planned into              */
    ct_arena *step_arena; /* where the kept values of this step's earlier segments end    */
    size_t step_base;
    uint64_t clock, waited; /* plays so far, and when last waited for              */
    char *snapshot;         /* of what a program writes, in anomaly mode */
    size_t snapshot_bytes;
    uint32_t told; /* lines in the log about leaves that came with a NaN or an Inf */
    bool expect_cached;
} ct_programs;

ct_status ct_programs_open(ct_context *);
void ct_programs_close(ct_context *);
/* Kept values are free to be overwritten. */
void ct_programs_step_ended(ct_context *);

/* The program of the pending segment: found, or compiled. Errors stand. */
ct_status ct_program_get(ct_context *, bool final, ct_program **out);
/* Launch it with the scalars of the pending segment. */
ct_status ct_program_play(ct_context *, ct_program *);
/* Launch it n times with the last scalars; bound ones as they are now. `played`: how often that happened. */
ct_status ct_program_replay(ct_context *, ct_program *, int64_t n, int64_t *played);

/* Of both, for anomaly mode: the device plays it n times, with the first n_changes of the program's changes of
 * scalars before; n = 0: only these. */
ct_status ct_program_run(ct_context *, ct_program *, int64_t n, uint32_t n_changes);
ct_status ct_program_play_launch(ct_context *, ct_program *, uint32_t i);
/* For the profile: once, launch by launch; the time of each. CT_ERR_MEMORY: there is no memory for that, nothing was
 * launched, and no error stands. */
ct_status ct_program_play_timed(ct_context *, ct_program *, ct_launch_time *);

/* A call on the device failed: the error stands, with what was played since the last wait. */
ct_status ct_fault(ct_context *, const char *call, ct_status);
/* The same of a call that waited; or it succeeded. */
ct_status ct_waited(ct_context *, const char *call, ct_status);

/* In lower.c: the plan's records as launches, addresses resolved. Errors stand. */
ct_status ct_program_lower(ct_context *, ct_program *);
/* In fuse.c: folds epilogues into products, and finds launches that may share a grid. */
void ct_program_fuse(ct_program *);
/* In differ.c: what the pending segment has that the program most like it has not. */
void ct_program_explain_miss(ct_context *, char *text, size_t bytes);
/* A pool block that goes with the program; NULL with the error standing. */
void *ct_program_block(ct_context *, ct_program *, size_t bytes);

#endif

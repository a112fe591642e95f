/* What a profile has collected: plain data, which the writers beside this turn into a table, a timeline, a page.
 *
 * profile.c collects it while programs are played launch by launch, describe.c says what
 * their records and values are, roofline.c what the device could do. Nothing in it points
 * into a program or the tape: these may go while it stays.
 */
#ifndef CUTAPE_PROFILE_PROFILE_H
#define CUTAPE_PROFILE_PROFILE_H

#include "files/text.h"
#include "program/program.h"

#define CT_NO_ROW UINT32_MAX
#define CT_NO_PROGRAM UINT32_MAX

/* Lines of the timeline. The first four are the phases, CT_PHASE_*. */
enum { CT_TRACK_COPIES = CT_PHASE_DATA + 1, CT_TRACK_HOST, CT_TRACKS };

/* A record that launches something. Of several calls, sums. */
typedef struct ct_profile_row {
    uint32_t program; /* in ct_profile.programs                                                        */
    uint32_t record;  /* its number in the step                                                        */
    uint32_t stored;  /* that of the record whose value its launch stores: one that is folded into it  */
    uint32_t forward; /* row of the record by whose gradient rule it is; CT_NO_ROW: none, or one without launches */
    uint8_t phase, dtype;
    const char *op;     /* "linear"; "matmul + act_grad" where a launch does the work of two            */
    const char *label;  /* "linear#3", "linear#3 backward dw (0.weight)": op and number of that record   */
    const char *tensor; /* what it makes or writes, by name: "h", "0.weight.grad", "%12"                */
    const char *shape;  /* of that: "f32 [64,10]"                                                       */
    uint32_t launches;
    double flops, bytes; /* of one call                                                                 */
    int64_t calls;
    int64_t ns;                /* on the device, in all                                                 */
    int64_t least_ns, most_ns; /* of a call                                                             */
    int64_t gap_ns;  /* for which the device had nothing to do before it, in all, the first of a step left out */
    int64_t host_ns; /* that the host took to launch it, in all                               */
} ct_profile_row;

/* A value of a program in step memory, or all that the step's earlier programs have left there. Records are numbers in
 * the step, as in rows. */
typedef struct ct_profile_value {
    const char *name;  /* "h", or "%12 of linear#3"; "scratch of sum#7" for what a kernel works in    */
    const char *shape; /* "" for scratch and for what was left                                        */
    size_t offset, bytes;
    uint32_t first, last; /* records between which it is alive; last CT_NEVER: kept until the step ends */
} ct_profile_value;

/* A program as a part of a step. The same one is another here where another was played in the step before it: its
 * records then have other numbers, or belong to other ones. */
typedef struct ct_profile_program {
    uint32_t number;                  /* as programs were compiled, from 1                              */
    uint32_t before;                  /* that the step has played before it; CT_NO_PROGRAM: none        */
    uint32_t first_record, n_records; /* of the step                                                    */
    uint32_t first_row, n_rows;
    ct_profile_value *values;
    uint32_t n_values;
    size_t *alive;         /* bytes of values alive at each of its records, [n_records]                  */
    uint32_t peak;         /* the record, of the step, at which that is the most                         */
    size_t arena_bytes;    /* that the places of values take                                             */
    uint32_t *row_with;    /* of a record, [n_records]; CT_NO_ROW: it launches nothing                   */
    uint32_t *row_of;      /* of a launch, [n_launches]                                                  */
    ct_launch_time *times; /* of the launches of the play that was last timed                            */
    uint32_t n_launches;
    int64_t plays, ns; /* from the begin of the first launch to the end of the last, in all              */
} ct_profile_program;

/* Something on the timeline, in nanoseconds from the profile's begin. */
typedef struct ct_profile_span {
    int64_t begin, end;
    int64_t bytes;    /* that a copy moved; else 0                                             */
    const char *what; /* static text, where there is no row: "ct_write", "compile", "step"     */
    uint32_t row;     /* CT_NO_ROW: none                                                       */
    uint32_t step;    /* of the profile, from 0: a forward span and its backward spans share it */
    uint8_t track;    /* CT_PHASE_*, CT_TRACK_*                                                */
} ct_profile_span;

/* A node of a CUDA graph, as tools number it, and a record whose work it does; several of the second. */
typedef struct ct_profile_node {
    uint64_t id;
    uint32_t row;
} ct_profile_node;

#define CT_PEAK_SIZES 8

/* What the device reaches, measured once for a context, or until it succeeds: roofline.c. */
typedef struct ct_peaks {
    bool measured;
    double flops[2];                 /* FLOP/s of the fastest product: f32, with the context's math; f64          */
    double copied[CT_PEAK_SIZES];    /* bytes that were copied, read and written together ...                    */
    double bandwidth[CT_PEAK_SIZES]; /* ... and B/s of that                                                  */
    int n_sizes;
} ct_peaks;

typedef struct ct_profile {
    bool collecting, collected;
    bool out_of_memory; /* of the host: something is not there */
    int64_t begin, end; /* CLOCK_MONOTONIC, ns */
    ct_profile_program *programs;
    ct_profile_row *rows;
    ct_profile_span *spans;
    ct_profile_node *nodes;
    char **texts; /* all names and shapes above */
    size_t n_programs, n_rows, n_spans, n_nodes, n_texts;
    size_t programs_capacity, rows_capacity, spans_capacity, nodes_capacity, texts_capacity;
    int64_t spans_left_out; /* beyond CT_MOST_SPANS; rows count launches all the same */
    uint32_t steps;
    uint32_t last;     /* program that this step has played; CT_NO_PROGRAM: none */
    int64_t last_end;  /* of the last launch of this step; 0: none                */
    size_t pool_bytes; /* in use at the end, step memory included                       */
    ct_profile_order order;
    ct_peaks peaks; /* stay from one profile to the next */
} ct_profile;

#define CT_MOST_SPANS ((size_t)1 << 20)

/* ---- collecting: called by program.c and span.c -------------------------------------------------- */

static inline bool ct_profiling(const ct_context *ctx) { return ctx->profile && ctx->profile->collecting; }
/* Plays it n times launch by launch, with the scalars that the device has. `played`: those that happened. */
ct_status ct_profile_play(ct_context *, ct_program *, int64_t n, int64_t *played);
/* It counts if something of it was played. */
void ct_profile_step_ended(ct_context *);
/* Where there is room for it. Times are CLOCK_MONOTONIC. */
void ct_profile_note(ct_context *, uint8_t track, const char *what, int64_t begin, int64_t end, int64_t bytes);
void ct_profile_close(ct_context *);

/* In describe.c: rows and values of a program, whose records are the last on the tape. False: host memory is out. */
bool ct_profile_describe(ct_context *, const ct_program *, ct_profile_program *);

/* In roofline.c: measures the peaks if that was not done. What fails leaves them at 0, and is tried again by the next.
 */
void ct_profile_measure(ct_context *);

/* ---- reading: for the writers ------------------------------------------------------------------------ */

/* The profile if there is one that has ended, with the peaks of the device, which it may have to measure; NULL with the
 * error of `call` reported. */
const ct_profile *ct_profile_ready(ct_context *, const char *call, ct_status *);
/* Numbers of the rows in the order that was asked for, n_rows of them; NULL: host memory is out. For ct_free. */
uint32_t *ct_profile_sorted(ct_context *, const ct_profile *);

/* The bandwidth that a record that moves so many bytes could have: the most that was measured for as many or more,
 * so that what fits a cache is compared with that cache. 0: not measured. */
double ct_peak_bandwidth(const ct_peaks *, double bytes);
double ct_peak_flops(const ct_peaks *, int32_t dtype);
/* The least time that its FLOPs and bytes take at these, over the time that it took; 0: not measured. */
double ct_profile_roofline(const ct_profile *, const ct_profile_row *);
/* Is it the FLOPs that take longer? */
bool ct_profile_compute_bound(const ct_profile *, const ct_profile_row *);

#endif

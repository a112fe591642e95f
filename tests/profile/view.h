/* What a profile holds, for tests in C++: the headers of the runtime are C. */
#ifndef CUTAPE_TESTS_PROFILE_VIEW_H
#define CUTAPE_TESTS_PROFILE_VIEW_H

#include <cutape/cutape.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct view_row {
    uint32_t program, record, launches;
    int64_t forward; /* -1: none */
    int phase;
    const char *op, *label, *tensor, *shape;
    double flops, bytes;
    int64_t calls, ns, least_ns, most_ns, gap_ns, host_ns;
} view_row;

typedef struct view_span {
    int64_t begin, end, bytes;
    const char *what;
    int64_t row; /* -1: none */
    uint32_t step;
    int track;
} view_span;

typedef struct view_value {
    const char *name, *shape;
    size_t offset, bytes;
    uint32_t first;
    int64_t last; /* -1: kept */
} view_value;

typedef struct view_program {
    uint32_t number, first_record, n_records, n_rows, n_values, peak;
    size_t arena_bytes, peak_bytes;
    int64_t plays, ns;
} view_program;

typedef struct view_profile {
    size_t n_programs, n_rows, n_spans;
    uint32_t steps;
    int64_t spans_left_out, wall_ns;
} view_profile;

/* Of the last profile that ended; false: there is none. */
bool view_whole(ct_context *, view_profile *out);
view_row view_row_at(ct_context *, size_t i);
view_span view_span_at(ct_context *, size_t i);
view_program view_program_at(ct_context *, size_t i);
view_value view_value_at(ct_context *, size_t program, size_t i);
/* Bytes alive at a record, counted from the program's first. */
size_t view_alive(ct_context *, size_t program, uint32_t record);

/* Does a tool look on, or a profile? */
bool view_watched(const ct_context *);

#ifdef __cplusplus
}
#endif

#endif

/* What tests of the timeline put into a profile, and text as it writes it: the headers of the runtime are C. */
#ifndef CUTAPE_TESTS_PROFILE_TRACE_SUBJECT_H
#define CUTAPE_TESTS_PROFILE_TRACE_SUBJECT_H

#include <cutape/cutape.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { TRACK_COPIES = 4, TRACK_HOST = 5 };

/* While a profile is collected; times from its begin. */
void add_span(ct_context *, int track, const char *what, int64_t begin, int64_t end, int64_t bytes);
/* To a profile that ended. */
bool add_graph_node(ct_context *, uint64_t id, uint32_t row);
/* Every launch begins where the one before it ended, as coarse clocks have it. */
void close_gaps(ct_context *);
/* The spans of forward records in this step are not there. */
void drop_forward_spans(ct_context *, uint32_t step);

/* The text as JSON or as a field of CSV; false: out of memory, or of room. */
bool as_json(ct_context *, const char *text, char *out, size_t bytes);
bool as_csv(ct_context *, const char *text, char *out, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif

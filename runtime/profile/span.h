/* Spans: what takes the host's time, told to the tools that look on (NVTX) and to the profile.
 *
 * Where neither does, beginning and ending one is a branch each. Calls of a context nest.
 */
#ifndef CUTAPE_PROFILE_SPAN_H
#define CUTAPE_PROFILE_SPAN_H

#include "core/context.h"

typedef enum ct_span_kind {
    CT_SPAN_REPLAY,  /* ct_replay; number: how many steps                     */
    CT_SPAN_PLAY,    /* a segment goes to the device; number: its program     */
    CT_SPAN_COMPILE, /* number: the program                                  */
    CT_SPAN_WRITE,   /* ct_write; number: bytes                               */
    CT_SPAN_READ,    /* ct_read and ct_item, which wait; number: bytes        */
    CT_SPAN_WAIT,    /* ct_synchronize                                        */
    CT_SPAN_KINDS
} ct_span_kind;

void ct_span_begin_slow(ct_context *, ct_span_kind, int64_t number);
void ct_span_end_slow(ct_context *, ct_span_kind, int64_t number);

static inline void ct_span_begin(ct_context *ctx, ct_span_kind kind, int64_t number)
{
    if (ctx->watched) ct_span_begin_slow(ctx, kind, number);
}
static inline void ct_span_end(ct_context *ctx, ct_span_kind kind, int64_t number)
{
    if (ctx->watched) ct_span_end_slow(ctx, kind, number);
}

/* The first record of a step; and its end, or that it was dropped. */
void ct_span_step_begin(ct_context *);
void ct_span_step_end(ct_context *);

/* A context opens: finds out whether a tool looks on. */
void ct_span_open(ct_context *);
void ct_span_close(ct_context *);
/* The profile begins or ends: ctx->watched follows. */
void ct_span_profile(ct_context *);

#endif

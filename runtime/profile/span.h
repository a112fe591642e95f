/* Spans: what takes the host's time, told to the tools that look on (NVTX) and to the profile.
 *
 * Where neither does, beginning and ending one is a branch each. Spans nest; a step is
 * none of them, as what the user calls lies between its begin and its end.
 */
#ifndef CUTAPE_PROFILE_SPAN_H
#define CUTAPE_PROFILE_SPAN_H

#include "core/context.h"

typedef enum ct_span_kind {
    CT_SPAN_REPLAY,  /* ct_replay; number: how many steps                 */
    CT_SPAN_PLAY,    /* a segment goes to the device; number: its program */
    CT_SPAN_COMPILE, /* number: the program                               */
    CT_SPAN_WRITE,   /* ct_write; number: bytes                           */
    CT_SPAN_READ,    /* ct_read and ct_item, which wait; number: bytes    */
    CT_SPAN_WAIT,    /* ct_synchronize                                    */
    CT_SPAN_KINDS
} ct_span_kind;

int64_t ct_span_begin_slow(ct_context *, ct_span_kind, int64_t number);
void ct_span_end_slow(ct_context *, ct_span_kind, int64_t number, int64_t began);

/* What its end is to be given: when it began, or 0 if nobody looks on. */
static inline int64_t ct_span_begin(ct_context *ctx, ct_span_kind kind, int64_t number)
{
    return ctx->watched ? ct_span_begin_slow(ctx, kind, number) : 0;
}
static inline void ct_span_end(ct_context *ctx, ct_span_kind kind, int64_t number, int64_t began)
{
    if (began) ct_span_end_slow(ctx, kind, number, began);
}

/* The first record of a step; and its end, or that it was dropped: any number of times. */
void ct_span_step_begin(ct_context *);
void ct_span_step_end(ct_context *);

/* A context has its device: finds out whether a tool looks on; and closes. */
void ct_span_open(ct_context *);
void ct_span_close(ct_context *);
/* The profile begins or ends: ctx->watched follows. */
void ct_span_profile(ct_context *);

#endif

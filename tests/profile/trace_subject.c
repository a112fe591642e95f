/* What tests of the timeline put into a profile: see trace_subject.h. */
#include "profile/trace_subject.h"

#include "profile/profile.h"

#include <string.h>

_Static_assert((int)TRACK_COPIES == (int)CT_TRACK_COPIES && (int)TRACK_HOST == (int)CT_TRACK_HOST, "the two agree");

void add_span(ct_context *ctx, int track, const char *what, int64_t begin, int64_t end, int64_t bytes)
{
    const int64_t first = ctx->profile->begin;
    ct_profile_note(ctx, (uint8_t)track, what, first + begin, first + end, bytes);
}

bool add_graph_node(ct_context *ctx, uint64_t id, uint32_t row)
{
    ct_profile *p = ctx->profile;
    if (!ct_grow(ctx, (void **)&p->nodes, &p->nodes_capacity, p->n_nodes + 1, sizeof *p->nodes)) return false;
    p->nodes[p->n_nodes++] = (ct_profile_node){id, row};
    return true;
}

void close_gaps(ct_context *ctx)
{
    ct_profile *p = ctx->profile;
    const ct_profile_span *before = NULL;
    for (size_t i = 0; i < p->n_spans; i++) {
        if (p->spans[i].row == CT_NO_ROW) continue;
        if (before) p->spans[i].begin = before->end;
        before = &p->spans[i];
    }
}

void drop_forward_spans(ct_context *ctx, uint32_t step)
{
    ct_profile *p = ctx->profile;
    size_t kept = 0;
    for (size_t i = 0; i < p->n_spans; i++)
        if (p->spans[i].step != step || p->spans[i].track != CT_PHASE_FORWARD) p->spans[kept++] = p->spans[i];
    p->n_spans = kept;
}

static bool take(ct_text *text, char *out, size_t bytes)
{
    const bool fits = !text->failed && text->bytes && text->n < bytes;
    if (fits) memcpy(out, text->bytes, text->n + 1);
    ct_text_free(text);
    return fits;
}

bool as_json(ct_context *ctx, const char *text, char *out, size_t bytes)
{
    ct_text json = {.ctx = ctx};
    ct_text_json(&json, text);
    return take(&json, out, bytes);
}

bool as_csv(ct_context *ctx, const char *text, char *out, size_t bytes)
{
    ct_text csv = {.ctx = ctx};
    ct_text_csv(&csv, text);
    ct_text_put(&csv, "", 0); /* of an empty text too there are bytes */
    return take(&csv, out, bytes);
}

/* Copies of what a profile holds: see view.h. */
#include "profile/view.h"

#include "profile/profile.h"

bool view_whole(ct_context *ctx, view_profile *out)
{
    ct_status status;
    if (ctx->profile) ctx->profile->peaks.measured = true; /* which takes its time, and is not looked at here */
    const ct_profile *p = ct_profile_ready(ctx, "view", &status);
    if (!p) return false;
    *out = (view_profile){.n_programs = p->n_programs,
                          .n_rows = p->n_rows,
                          .n_spans = p->n_spans,
                          .steps = p->steps,
                          .spans_left_out = p->spans_left_out,
                          .wall_ns = p->end - p->begin};
    return true;
}

view_row view_row_at(ct_context *ctx, size_t i)
{
    const ct_profile_row *r = &ctx->profile->rows[i];
    return (view_row){.program = r->program,
                      .record = r->record,
                      .launches = r->launches,
                      .forward = r->forward == CT_NO_ROW ? -1 : (int64_t)r->forward,
                      .phase = r->phase,
                      .op = r->op,
                      .label = r->label,
                      .tensor = r->tensor,
                      .shape = r->shape,
                      .flops = r->flops,
                      .bytes = r->bytes,
                      .calls = r->calls,
                      .ns = r->ns,
                      .least_ns = r->least_ns,
                      .most_ns = r->most_ns,
                      .gap_ns = r->gap_ns,
                      .host_ns = r->host_ns};
}

view_span view_span_at(ct_context *ctx, size_t i)
{
    const ct_profile_span *s = &ctx->profile->spans[i];
    return (view_span){.begin = s->begin,
                       .end = s->end,
                       .bytes = s->bytes,
                       .what = s->what,
                       .row = s->row == CT_NO_ROW ? -1 : (int64_t)s->row,
                       .step = s->step,
                       .track = s->track};
}

view_program view_program_at(ct_context *ctx, size_t i)
{
    const ct_profile_program *p = &ctx->profile->programs[i];
    return (view_program){.number = p->number,
                          .first_record = p->first_record,
                          .n_records = p->n_records,
                          .n_rows = p->n_rows,
                          .n_values = p->n_values,
                          .peak = p->peak,
                          .arena_bytes = p->arena_bytes,
                          .peak_bytes = p->alive[p->peak - p->first_record],
                          .plays = p->plays,
                          .ns = p->ns};
}

view_value view_value_at(ct_context *ctx, size_t program, size_t i)
{
    const ct_profile_value *v = &ctx->profile->programs[program].values[i];
    return (view_value){.name = v->name,
                        .shape = v->shape,
                        .offset = v->offset,
                        .bytes = v->bytes,
                        .first = v->first,
                        .last = v->last == CT_NEVER ? -1 : (int64_t)v->last};
}

size_t view_alive(ct_context *ctx, size_t program, uint32_t record)
{
    return ctx->profile->programs[program].alive[record];
}

bool view_watched(const ct_context *ctx) { return ctx->watched || ctx->marks || ctx->device->marks; }

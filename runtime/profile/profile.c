/* Profiling: what is played between ct_profile_begin and ct_profile_end goes launch by
 * launch, and is timed. See profile.h.
 *
 * A profile that is out of host memory says so when it is asked for; the training that it looks at goes on.
 */
#include "profile/profile.h"

#include "core/clock.h"
#include "profile/span.h"

#include <string.h>

/* ---- its life -------------------------------------------------------------------------------------- */

static void free_program(ct_context *ctx, ct_profile_program *p)
{
    void *memory[] = {p->values, p->alive, p->row_with, p->row_of, p->times};
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++) ct_free(ctx, memory[i]);
}

/* What was collected goes; arrays and peaks stay. */
static void clear(ct_context *ctx, ct_profile *p)
{
    for (size_t i = 0; i < p->n_programs; i++) free_program(ctx, &p->programs[i]);
    for (size_t i = 0; i < p->n_texts; i++) ct_free(ctx, p->texts[i]);
    p->n_programs = p->n_rows = p->n_spans = p->n_nodes = p->n_texts = 0;
    p->spans_left_out = 0;
    p->steps = 0;
    p->last = CT_NO_PROGRAM;
    p->last_end = 0;
    p->collected = p->out_of_memory = false;
}

void ct_profile_close(ct_context *ctx)
{
    ct_profile *p = ctx->profile;
    if (!p) return;
    if (p->collecting) (void)ctx->device->capture_range(ctx->device, false);
    clear(ctx, p);
    void *memory[] = {p->programs, p->rows, p->spans, p->nodes, p->texts, p};
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++) ct_free(ctx, memory[i]);
    ctx->profile = NULL;
}

/* ---- what was played ---------------------------------------------------------------------------------- */

/* What follows the last that this step has played stands behind it, most often the next. */
static ct_profile_program *find(ct_profile *p, const ct_tape *t, uint32_t number)
{
    for (size_t i = p->last == CT_NO_PROGRAM ? 0 : p->last + 1; i < p->n_programs; i++) {
        ct_profile_program *g = &p->programs[i];
        if (g->number == number && g->before == p->last && g->first_record == t->first_record) return g;
    }
    return NULL;
}

static ct_profile_program *add_program(ct_context *ctx, const ct_program *program)
{
    ct_profile *p = ctx->profile;
    if (!ct_grow(ctx, (void **)&p->programs, &p->programs_capacity, p->n_programs + 1, sizeof *p->programs))
        return NULL;
    ct_profile_program *out = &p->programs[p->n_programs];
    if (ct_profile_describe(ctx, program, out)) return p->n_programs++, out;
    free_program(ctx, out);
    return NULL;
}

/* NULL: there is no host memory for it, now or before. */
static ct_profile_program *described(ct_context *ctx, const ct_program *program)
{
    ct_profile *p = ctx->profile;
    if (p->out_of_memory) return NULL;
    ct_profile_program *known = find(p, ctx->tape, program->number);
    if (!known) known = add_program(ctx, program);
    p->out_of_memory = !known;
    return known;
}

static void add_span(ct_context *ctx, ct_profile_span span)
{
    ct_profile *p = ctx->profile;
    p->spans_left_out += p->n_spans == CT_MOST_SPANS;
    if (p->n_spans == CT_MOST_SPANS) return;
    p->out_of_memory |= !ct_grow(ctx, (void **)&p->spans, &p->spans_capacity, p->n_spans + 1, sizeof span);
    if (p->out_of_memory) return;
    span.begin -= p->begin;
    span.end -= p->begin;
    span.step = p->steps;
    p->spans[p->n_spans++] = span;
}

void ct_profile_note(ct_context *ctx, uint8_t track, const char *what, int64_t begin, int64_t end, int64_t bytes)
{
    add_span(ctx, (ct_profile_span){
                      .begin = begin, .end = end, .bytes = bytes, .what = what, .row = CT_NO_ROW, .track = track});
}

/* A row's launches are counted together, as one call. */
static void count(ct_context *ctx, ct_profile_program *program)
{
    ct_profile *p = ctx->profile;
    for (uint32_t i = 0, next; i < program->n_launches; i = next) {
        ct_profile_row *row = &p->rows[program->row_of[i]];
        int64_t ns = 0;
        for (next = i; next < program->n_launches && program->row_of[next] == program->row_of[i]; next++) {
            const ct_launch_time *t = &program->times[next];
            ns += t->end - t->begin;
            row->host_ns += t->returned - t->asked;
            if (p->last_end) row->gap_ns += t->begin - p->last_end;
            p->last_end = t->end;
            add_span(ctx, (ct_profile_span){
                              .begin = t->begin, .end = t->end, .row = program->row_of[i], .track = row->phase});
        }
        row->ns += ns;
        if (row->calls == 0 || ns < row->least_ns) row->least_ns = ns;
        if (ns > row->most_ns) row->most_ns = ns;
        row->calls++;
    }
    p->last = (uint32_t)(program - p->programs);
    program->plays++;
    if (program->n_launches) program->ns += program->times[program->n_launches - 1].end - program->times[0].begin;
}

static ct_status play_unwatched(ct_context *ctx, ct_program *program, int64_t n, int64_t *played)
{
    const ct_status status = ct_program_run(ctx, program, n - *played, 0);
    if (!status) *played = n;
    return status;
}

void ct_profile_step_ended(ct_context *ctx)
{
    ct_profile *p = ctx->profile;
    p->steps += p->last != CT_NO_PROGRAM;
    p->last = CT_NO_PROGRAM;
    p->last_end = 0;
}

ct_status ct_profile_play(ct_context *ctx, ct_program *program, int64_t n, int64_t *played)
{
    const bool replays = ctx->tape->n_records == 0;
    ct_status status = CT_OK;
    for (*played = 0; !status && *played < n; ++*played) {
        ct_profile_program *known = described(ctx, program);
        if (known) status = ct_program_play_timed(ctx, program, known->times);
        if (known && status == CT_ERR_MEMORY) ctx->profile->out_of_memory = true;
        if (ctx->profile->out_of_memory) return play_unwatched(ctx, program, n, played);
        if (status) return status;
        count(ctx, known);
        if (replays) ct_profile_step_ended(ctx);
    }
    return status;
}

/* ---- graph nodes --------------------------------------------------------------------------------------- */

static void note_nodes(ct_context *ctx, const ct_profile_program *known, const ct_code *code)
{
    ct_profile *p = ctx->profile;
    for (uint32_t j = 0; j < code->n_graph_nodes; j++) {
        uint32_t last = CT_NO_ROW;
        for (uint32_t i = 0; i < code->n_launches; i++) {
            if (code->launches[i].node != code->graph_nodes[j].node || known->row_of[i] == last) continue;
            if (!ct_grow(ctx, (void **)&p->nodes, &p->nodes_capacity, p->n_nodes + 1, sizeof *p->nodes)) {
                p->out_of_memory = true;
                return;
            }
            last = known->row_of[i];
            p->nodes[p->n_nodes++] = (ct_profile_node){code->graph_nodes[j].id, last};
        }
    }
}

/* Programs go from the cache: their graphs are told of while they are there. */
static void find_nodes(ct_context *ctx)
{
    const ct_profile *p = ctx->profile;
    for (size_t i = 0; i < CT_PROGRAM_BUCKETS; i++)
        for (const ct_program *program = ctx->programs->buckets[i]; program; program = program->chain)
            for (size_t g = 0; program->code.n_graph_nodes && g < p->n_programs; g++)
                if (p->programs[g].number == program->number) note_nodes(ctx, &p->programs[g], &program->code);
}

/* ---- begin and end ---------------------------------------------------------------------------------------- */

static ct_status may_begin(ct_context *ctx)
{
    if (ctx->config.detect_anomaly)
        return ct_report(ctx, CT_ERR_UNSUPPORTED,
                         "ct_profile_begin: the context has ct_config.detect_anomaly, whose checks would be timed too");
    if (ct_profiling(ctx))
        return ct_report(ctx, CT_ERR_STATE, "ct_profile_begin: a profile was begun already; ct_profile_end ends it");
    if (!ctx->profile) ctx->profile = ct_alloc(ctx, sizeof *ctx->profile);
    return ctx->profile ? CT_OK : ct_report(ctx, CT_ERR_MEMORY, "ct_profile_begin: out of host memory");
}

ct_status ct_profile_begin(ct_context *ctx)
{
    ct_status status = ct_ready(ctx);
    if (!status) status = may_begin(ctx);
    if (!status) status = ct_flush_open(ctx, "ct_profile_begin");
    if (!status) status = ct_waited(ctx, "ct_profile_begin", ctx->device->wait(ctx->device));
    if (status) return status;
    clear(ctx, ctx->profile);
    status = ctx->device->capture_range(ctx->device, true);
    if (status) return ct_report(ctx, status, "ct_profile_begin: %s", ctx->device->message);
    ctx->profile->collecting = true;
    ct_span_profile(ctx);
    ctx->profile->begin = ct_now_ns();
    return CT_OK;
}

static void stop(ct_context *ctx)
{
    ct_profile *p = ctx->profile;
    p->end = ct_now_ns();
    ct_profile_step_ended(ctx); /* or its part */
    p->collecting = false;
    ct_span_profile(ctx);
    p->collected = true;
    p->pool_bytes = (size_t)ctx->stats.pool_in_use;
    find_nodes(ctx);
}

ct_status ct_profile_end(ct_context *ctx)
{
    if (!ctx) return CT_ERR_ARGUMENT;
    if (!ctx->open) return CT_ERR_STATE;
    if (!ct_profiling(ctx)) return ct_report(ctx, CT_ERR_STATE, "ct_profile_end: no profile was begun");
    ct_status status = ctx->status;
    if (!status) status = ct_flush_open(ctx, "ct_profile_end");
    if (!status) status = ct_waited(ctx, "ct_profile_end", ctx->device->wait(ctx->device));
    const ct_status closed = ctx->device->capture_range(ctx->device, false);
    stop(ctx);
    if (status || !closed) return status;
    return ct_report(ctx, closed, "ct_profile_end: %s", ctx->device->message);
}

const ct_profile *ct_profile_ready(ct_context *ctx, const char *call, ct_status *status)
{
    const ct_profile *p = ctx ? ctx->profile : NULL;
    if (!ctx)
        *status = CT_ERR_ARGUMENT;
    else if (!ctx->open)
        *status = CT_ERR_STATE;
    else if (p && p->collecting)
        *status = ct_report(ctx, CT_ERR_STATE, "%s: the profile has not ended; call ct_profile_end", call);
    else if (!p || !p->collected)
        *status =
            ct_report(ctx, CT_ERR_STATE, "%s: nothing was profiled; call ct_profile_begin and ct_profile_end", call);
    else if (p->out_of_memory)
        *status = ct_report(ctx, CT_ERR_MEMORY, "%s: the profile is not whole: it ran out of host memory", call);
    else
        *status = CT_OK;
    if (*status) return NULL;
    ct_profile_measure(ctx);
    return p;
}

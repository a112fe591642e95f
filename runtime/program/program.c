/* The cache of programs: key, lookup, compilation, eviction, play. See program.h. */
#include "program/program.h"

#include "core/advice.h"
#include "core/pool.h"
#include "profile/profile.h"
#include "profile/span.h"
#include "program/anomaly.h"

#include <stdio.h>
#include <string.h>

/* ---- arenas -------------------------------------------------------------------------------- */

static void drop_arena(ct_context *ctx, ct_arena *arena)
{
    if (!arena || --arena->refs > 0) return;
    ct_pool_give(ctx, arena->memory);
    ct_free(ctx, arena);
    ct_pool_trim(ctx);
}

#define ARENA_GRAIN ((size_t)64 << 10)

/* Replace the largest arena by one that holds `bytes`; room to grow if the pool has it. */
static ct_status grow_arena(ct_context *ctx, size_t bytes)
{
    ct_programs *ps = ctx->programs;
    ct_arena *arena = ct_alloc(ctx, sizeof *arena);
    if (!arena) return CT_ERR_MEMORY;
    size_t needed = (bytes + ARENA_GRAIN - 1) / ARENA_GRAIN * ARENA_GRAIN, roomy = needed + needed / 2;
    void *memory = NULL;
    ct_status status = ct_pool_take(ctx, roomy, &memory);
    if (status) roomy = bytes, status = ct_pool_take(ctx, roomy, &memory);
    if (status) {
        ct_free(ctx, arena);
        return status;
    }
    *arena = (ct_arena){.memory = memory, .bytes = roomy, .refs = 1};
    drop_arena(ctx, ps->arena);
    ps->arena = arena;
    return CT_OK;
}

/* ---- the life of a program ----------------------------------------------------------------- */

static void free_program(ct_context *ctx, ct_program *p)
{
    if (p->code.prepared) ctx->device->retire(ctx->device, &p->code);
    ct_anomaly_free(ctx, p);
    for (size_t i = 0; i < p->n_blocks; i++) ct_pool_give(ctx, p->blocks[i]);
    for (size_t i = 0; i < p->n_host; i++) ct_free(ctx, p->host[i]);
    drop_arena(ctx, p->arena);
    ct_plan_free(ctx, &p->plan);
    void *memory[] = {p->key, p->code.launches, p->blocks, p->host, p->scalars, p->changes, p->bound, p};
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++) ct_free(ctx, memory[i]);
}

static void forget(ct_context *ctx, ct_program *p)
{
    ct_programs *ps = ctx->programs;
    ct_program **link = &ps->buckets[p->hash % CT_PROGRAM_BUCKETS];
    while (*link != p) link = &(*link)->chain;
    *link = p->chain;
    if (ctx->tape && ctx->tape->last == p) {
        ctx->tape->last = NULL;
        snprintf(ctx->tape->why_not, sizeof ctx->tape->why_not, "its program was dropped from the cache");
    }
    ctx->stats.programs--;
    free_program(ctx, p);
}

/* Values of this step may lie in the memory of the programs it played: those stay. */
static bool evict_oldest(ct_context *ctx)
{
    ct_program *oldest = NULL;
    for (size_t i = 0; i < CT_PROGRAM_BUCKETS; i++)
        for (ct_program *p = ctx->programs->buckets[i]; p; p = p->chain)
            if (p->used_step != ctx->tape->step && (!oldest || p->used < oldest->used)) oldest = p;
    if (oldest) forget(ctx, oldest);
    return oldest != NULL;
}

void ct_programs_step_ended(ct_context *ctx)
{
    ct_programs *ps = ctx->programs;
    if (!ps) return;
    ps->step_arena = NULL;
    ps->step_base = 0;
}

/* The oldest program goes, and at last an arena that none of them is planned into. */
static bool make_room(ct_context *ctx)
{
    ct_programs *ps = ctx->programs;
    if (evict_oldest(ctx)) return true;
    if (!ps->arena || ps->arena->refs > 1 || ps->arena == ps->step_arena) return false;
    drop_arena(ctx, ps->arena);
    ps->arena = NULL;
    return true;
}

ct_status ct_programs_open(ct_context *ctx)
{
    ctx->programs = ct_alloc(ctx, sizeof *ctx->programs);
    if (!ctx->programs) return CT_ERR_MEMORY;
    ctx->make_room = make_room;
    return CT_OK;
}

void ct_programs_close(ct_context *ctx)
{
    ct_programs *ps = ctx->programs;
    if (!ps) return;
    ctx->make_room = NULL;
    for (size_t i = 0; i < CT_PROGRAM_BUCKETS; i++)
        while (ps->buckets[i]) forget(ctx, ps->buckets[i]);
    drop_arena(ctx, ps->arena);
    ct_pool_give(ctx, ps->snapshot);
    ct_free(ctx, ps);
    ctx->programs = NULL;
}

/* ---- compilation ------------------------------------------------------------------------------ */

void *ct_program_block(ct_context *ctx, ct_program *p, size_t bytes)
{
    void *memory = NULL;
    if (!ct_grow(ctx, (void **)&p->blocks, &p->blocks_capacity, p->n_blocks + 1, sizeof *p->blocks)) {
        ct_fail(ctx, CT_ERR_MEMORY, "compile: out of host memory");
        return NULL;
    }
    ct_status status = ct_pool_take(ctx, bytes, &memory);
    if (status) {
        ct_fail(ctx, status, "compile: no pool memory for %zu bytes (%lld in use, limit %zu)", bytes,
                (long long)ctx->stats.pool_in_use, ctx->config.pool_bytes);
        return NULL;
    }
    return p->blocks[p->n_blocks++] = memory;
}

/* Memory for the arena part of the plan: behind the kept values of the step if there
 * is room, else in the largest arena, else in a larger one. */
static ct_status plan_into_arena(ct_context *ctx, ct_program *p, bool final)
{
    ct_programs *ps = ctx->programs;
    ct_status status = ct_plan_make(ctx, final, ps->step_base, &p->plan);
    if (status) return ct_fail(ctx, status, "compile: out of host memory");
    if (p->plan.end == p->plan.base) return CT_OK;
    ct_arena *arena = ps->step_arena ? ps->step_arena : ps->arena;
    if (!arena || p->plan.end > arena->bytes) {
        if (ps->step_base) {
            ct_plan_free(ctx, &p->plan);
            status = ct_plan_make(ctx, final, 0, &p->plan);
            if (status) return ct_fail(ctx, status, "compile: out of host memory");
        }
        bool fits = ps->arena && ps->arena != ps->step_arena && p->plan.end <= ps->arena->bytes;
        if (!fits) status = grow_arena(ctx, p->plan.end);
        if (status)
            return ct_fail(ctx, status,
                           "compile: the step needs %zu bytes at its peak; the pool has %lld in use, limit %zu",
                           p->plan.end, (long long)ctx->stats.pool_in_use, ctx->config.pool_bytes);
        arena = ps->arena;
    }
    p->arena = arena;
    arena->refs++;
    return CT_OK;
}

/* Under CT_POOL_DEBUG every value and scratch is a block of its own, so that tools see its edges. */
static ct_status resolve_addresses(ct_context *ctx, ct_program *p)
{
    ct_plan *plan = &p->plan;
    bool debug = ct_pool_debug(ctx);
    for (uint32_t i = plan->n_externals; i < plan->n_values; i++) {
        ct_plan_value *v = &plan->values[i];
        if (v->offset == SIZE_MAX) continue;
        v->address = debug ? ct_program_block(ctx, p, v->bytes) : p->arena->memory + v->offset;
        if (!v->address) return ctx->status;
    }
    for (uint32_t i = plan->n_externals; i < plan->n_values; i++) {
        uint32_t root = i;
        while (plan->values[root].storage != root) root = plan->values[root].storage;
        plan->values[i].address = plan->values[root].address;
    }
    for (uint32_t k = 0; k < plan->n_records; k++) {
        ct_plan_record *r = &plan->records[k];
        if (!r->scratch_bytes) continue;
        r->scratch = debug ? ct_program_block(ctx, p, r->scratch_bytes) : p->arena->memory + r->scratch_offset;
        if (!r->scratch) return ctx->status;
    }
    return CT_OK;
}

static ct_status copy_segment(ct_context *ctx, ct_program *p)
{
    const ct_tape *t = ctx->tape;
    size_t n = p->plan.n_scalars;
    p->n_bound = (uint32_t)t->n_bound;
    p->n_key = t->n_key;
    p->key = ct_alloc(ctx, t->n_key * sizeof *p->key);
    p->scalars = ct_alloc(ctx, n * sizeof *p->scalars);
    p->changes = ct_alloc(ctx, n * sizeof *p->changes);
    p->bound = ct_alloc(ctx, t->n_bound * sizeof *p->bound);
    if (!p->key || !p->scalars || !p->changes || !p->bound)
        return ct_fail(ctx, CT_ERR_MEMORY, "compile: out of host memory");
    memcpy(p->key, t->key, t->n_key * sizeof *p->key);
    if (t->n_bound) memcpy(p->bound, t->bound, t->n_bound * sizeof *p->bound);
    if (!n) return CT_OK;
    p->code.n_scalars = (uint32_t)n;
    p->code.scalars = ct_program_block(ctx, p, n * sizeof(ct_scalar));
    if (!p->code.scalars) return ctx->status;
    ct_status status = ctx->device->fill(ctx->device, p->code.scalars, 0, n * sizeof(ct_scalar));
    return status ? ct_fail(ctx, status, "compile: %s", ctx->device->message) : CT_OK;
}

static ct_status make_tickets(ct_context *ctx, ct_program *p)
{
    const size_t bytes = p->code.n_launches * ctx->device->ticket_bytes;
    if (!bytes) return CT_OK;
    p->code.tickets = ct_program_block(ctx, p, bytes);
    if (!p->code.tickets) return ctx->status;
    const ct_status status = ctx->device->fill(ctx->device, p->code.tickets, 0, bytes);
    return status ? ct_fail(ctx, status, "compile: %s", ctx->device->message) : CT_OK;
}

static ct_status compile(ct_context *ctx, bool final, uint64_t hash, ct_program **out)
{
    ct_program *p = ct_alloc(ctx, sizeof *p);
    if (!p) return ct_fail(ctx, CT_ERR_MEMORY, "compile: out of host memory");
    p->hash = hash;
    p->number = (uint32_t)ctx->stats.compiles + 1;
    ct_status status = plan_into_arena(ctx, p, final);
    if (!status) status = resolve_addresses(ctx, p);
    if (!status) status = copy_segment(ctx, p);
    if (!status) status = ct_program_lower(ctx, p);
    if (!status) status = make_tickets(ctx, p);
    if (!status) {
        ct_program_fuse(p);
        status = ctx->device->prepare(ctx->device, &p->code);
        if (status) ct_fail(ctx, status, "compile: %s", ctx->device->message);
    }
    if (status) {
        free_program(ctx, p);
        return status;
    }
    while (ctx->stats.programs >= CT_PROGRAM_LIMIT && evict_oldest(ctx)) continue;
    ct_program **bucket = &ctx->programs->buckets[hash % CT_PROGRAM_BUCKETS];
    p->chain = *bucket;
    *bucket = p;
    ctx->stats.programs++;
    ctx->stats.compiles++;
    *out = p;
    return CT_OK;
}

/* ---- lookup -------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t h, uint64_t word)
{
    h = (h ^ word) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 29;
}

/* Four chains side by side: one would wait for its own multiplications. */
static uint64_t hash_key(const uint64_t *key, size_t n)
{
    uint64_t h[4] = {n, 1, 2, 3};
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (int j = 0; j < 4; j++) h[j] = mix(h[j], key[i + (size_t)j]);
    for (; i < n; i++) h[i % 4] = mix(h[i % 4], key[i]);
    return mix(mix(h[0], h[1]), mix(h[2], h[3]));
}

/* The front of the key: how the segment ends, and where the step's earlier values lie. */
static void finish_key(ct_context *ctx, bool final)
{
    ct_tape *t = ctx->tape;
    t->key[0] = (uint64_t) final | (uint64_t)ctx->training << 1;
    t->key[1] = (uintptr_t)ctx->programs->step_arena;
    t->key[2] = ctx->programs->step_base;
}

void ct_expect_cached(ct_context *ctx, bool expect)
{
    if (ctx && ctx->open && !ct_refuse_in_callback(ctx, "ct_expect_cached")) ctx->programs->expect_cached = expect;
}

/* A miss, when it matters: recompiling silently is what users of graph capture suffer from. */
static ct_status note_miss(ct_context *ctx)
{
    ct_programs *ps = ctx->programs;
    if (!ps->expect_cached) ct_advice_compiles(ctx);
    if (!ps->expect_cached && (!ctx->stats.programs || !ctx->config.log)) return CT_OK;
    char text[600];
    ct_program_explain_miss(ctx, text, sizeof text);
    if (ps->expect_cached) return ct_fail(ctx, CT_ERR_STATE, "ct_expect_cached: a step is not in the cache: %s", text);
    ct_log_line(ctx, "compiling program %lld: %s", (long long)ctx->stats.compiles + 1, text);
    return CT_OK;
}

ct_status ct_program_get(ct_context *ctx, bool final, ct_program **out)
{
    ct_tape *t = ctx->tape;
    finish_key(ctx, final);
    uint64_t hash = hash_key(t->key, t->n_key);
    ct_program *p = ctx->programs->buckets[hash % CT_PROGRAM_BUCKETS];
    while (p && (p->hash != hash || p->n_key != t->n_key || memcmp(p->key, t->key, t->n_key * sizeof *t->key)))
        p = p->chain;
    if (p) {
        *out = p;
        return CT_OK;
    }
    ct_status status = note_miss(ctx);
    if (status) return status;
    const int64_t number = ctx->stats.compiles + 1, began = ct_span_begin(ctx, CT_SPAN_COMPILE, number);
    status = compile(ctx, final, hash, out);
    ct_span_end(ctx, CT_SPAN_COMPILE, number, began);
    return status;
}

/* ---- play ------------------------------------------------------------------------------------------ */

static uint32_t note_change(ct_program *p, uint32_t n, uint32_t slot, double value)
{
    if (memcmp(&p->scalars[slot], &value, sizeof value) == 0) return n;
    p->scalars[slot] = value;
    p->changes[n] = (ct_scalar_change){slot, value};
    return n + 1;
}

static const char *op_of(const ct_program *p, uint32_t launch)
{
    return ct_plan_op(&p->plan, &p->plan.records[p->code.launches[launch].record])->name;
}

/* The last played of those before `before`; NULL: none since the last wait. */
static const ct_program *played_before(const ct_programs *ps, uint64_t before)
{
    const ct_program *last = NULL;
    for (size_t i = 0; i < CT_PROGRAM_BUCKETS; i++)
        for (const ct_program *p = ps->buckets[i]; p; p = p->chain)
            if (p->used > ps->waited && p->used < before && p->code.n_launches && (!last || p->used > last->used))
                last = p;
    return last;
}

#define NAMED_PROGRAMS 4

/* A fault comes from something that was played since the last wait: what that was, newest first. */
static const char *suspects(const ct_context *ctx, char text[static CT_MESSAGE_BYTES / 2])
{
    size_t used = 0;
    const size_t bytes = CT_MESSAGE_BYTES / 2;
    const ct_program *p = played_before(ctx->programs, UINT64_MAX);
    text[0] = 0;
    for (int n = 0; p && n < NAMED_PROGRAMS && used < bytes; n++, p = played_before(ctx->programs, p->used))
        used += (size_t)snprintf(text + used, bytes - used, "%s%s to %s (%u launches)",
                                 n ? ", before it " : "; played since the last wait: ", op_of(p, 0),
                                 op_of(p, p->code.n_launches - 1), p->code.n_launches);
    if (used && used < bytes)
        snprintf(text + used, bytes - used, "%s; ct_config.eager tells which op it is", p ? " and more" : "");
    return text;
}

ct_status ct_fault(ct_context *ctx, const char *call, ct_status status)
{
    char text[CT_MESSAGE_BYTES / 2];
    return ct_fail(ctx, status, "%s: %s%s", call, ctx->device->message,
                   status == CT_ERR_DEVICE ? suspects(ctx, text) : "");
}

ct_status ct_waited(ct_context *ctx, const char *call, ct_status status)
{
    if (status) return ct_fault(ctx, call, status);
    ctx->programs->waited = ctx->programs->clock;
    return CT_OK;
}

/* Names the launch by its op and what that makes, or writes. */
static ct_status play_failed(ct_context *ctx, const ct_program *p, ct_status status)
{
    const int64_t failed = ctx->device->failed;
    if (failed < 0) return ct_fault(ctx, "play", status);
    const ct_plan_record *r = &p->plan.records[p->code.launches[failed].record];
    const ct_plan_operand *o = r->n_out ? ct_plan_out(&p->plan, r, 0) : ct_plan_in(&p->plan, r, 0);
    char call[200];
    snprintf(call, sizeof call, "%s %s", op_of(p, (uint32_t)failed),
             ct_shape_text(ctx, &p->plan.values[o->value].shape));
    return ct_fault(ctx, call, status);
}

ct_status ct_program_play_launch(ct_context *ctx, ct_program *p, uint32_t i)
{
    const ct_marks *marks = ctx->device->marks;
    if (marks) marks->begin(marks->user, &p->code, i);
    const ct_status status = ctx->device->play_launch(ctx->device, &p->code, i);
    if (marks) marks->end(marks->user);
    return status ? play_failed(ctx, p, status) : CT_OK;
}

ct_status ct_program_play_timed(ct_context *ctx, ct_program *p, ct_launch_time *times)
{
    const ct_status status = ctx->device->play_timed(ctx->device, &p->code, times);
    return status && status != CT_ERR_MEMORY ? play_failed(ctx, p, status) : status;
}

ct_status ct_program_run(ct_context *ctx, ct_program *p, int64_t n, uint32_t n_changes)
{
    ct_status status = ctx->device->play(ctx->device, &p->code, n, p->changes, n_changes);
    if (status) {
        /* None of the changes may have arrived: all are sent anew. No scalar has these bits. */
        memset(p->scalars, 0xff, p->plan.n_scalars * sizeof *p->scalars);
        return play_failed(ctx, p, status);
    }
    p->used = ++ctx->programs->clock;
    ctx->stats.nodes = p->code.n_nodes;
    return CT_OK;
}

/* Values that outlive an open segment get their addresses. */
static void publish_kept(ct_context *ctx, const ct_program *p)
{
    ct_tape *t = ctx->tape;
    const ct_plan *plan = &p->plan;
    for (uint32_t i = plan->n_externals; i < plan->n_values; i++)
        t->values[t->first_value + i - plan->n_externals].data = plan->values[i].kept ? plan->values[i].address : NULL;
    if (plan->kept_end > plan->base) {
        ctx->programs->step_arena = p->arena;
        ctx->programs->step_base = plan->kept_end;
    }
}

static ct_status play(ct_context *ctx, ct_program *p)
{
    const ct_tape *t = ctx->tape;
    uint32_t changes = 0;
    const double *scalars = t->scalars + t->first_scalar;
    for (uint32_t i = 0; i < p->plan.n_scalars; i++) changes = note_change(p, changes, i, scalars[i]);
    p->used_step = t->step;
    /* Who is bound is not in the key: another optimizer may use the same program. */
    if (t->n_bound) memcpy(p->bound, t->bound, t->n_bound * sizeof *p->bound);
    const bool checked = ctx->config.detect_anomaly, profiled = ct_profiling(ctx);
    ct_status status = ct_program_run(ctx, p, checked || profiled ? 0 : 1, changes);
    if (!status && checked) status = ct_anomaly_play(ctx, p);
    if (!status && profiled) status = ct_profile_play(ctx, p, 1, &(int64_t){0});
    if (status) return status;
    if (!p->plan.final) publish_kept(ctx, p);
    return CT_OK;
}

ct_status ct_program_play(ct_context *ctx, ct_program *p)
{
    const int64_t began = ct_span_begin(ctx, CT_SPAN_PLAY, p->number);
    const ct_status status = play(ctx, p);
    ct_span_end(ctx, CT_SPAN_PLAY, p->number, began);
    return status;
}

ct_status ct_program_replay(ct_context *ctx, ct_program *p, int64_t n, int64_t *played)
{
    uint32_t changes = 0;
    for (uint32_t i = 0; i < p->n_bound; i++)
        changes = note_change(p, changes, p->bound[i].scalar, ctx->tape->bindings[p->bound[i].binding - 1]);
    const bool checked = ctx->config.detect_anomaly, profiled = ct_profiling(ctx);
    ct_status status = ct_program_run(ctx, p, checked || profiled ? 0 : n, changes);
    *played = status ? 0 : n;
    if (!status && checked) status = ct_anomaly_replay(ctx, p, n, played);
    if (!status && profiled) status = ct_profile_play(ctx, p, n, played);
    ctx->stats.replays += *played;
    return status;
}

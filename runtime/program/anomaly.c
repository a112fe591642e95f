/* Anomaly mode: the play. See anomaly.h.
 *
 * Each float value of a plan has a launch that finds its first NaN or Inf, and each leaf that the program
 * writes has one that copies it to the snapshot, and one that copies it back. Whether a value is finite is
 * noted as it is made; what comes from outside is looked at when that matters: before a record updates it, or
 * when a record that reads it has made something that is not finite.
 */
#include "program/anomaly.h"

#include "core/pool.h"
#include "program/lower.h"

#include <string.h>

/* A leaf that a play has written is known from then on, so what is CAME_NONFINITE no record of it has made. */
enum { UNKNOWN = 0, FINITE, NONFINITE, CAME_NONFINITE };

/* What a program has beside it. */
typedef struct ct_anomaly {
    ct_code code;      /* checks, by value; then copies to the snapshot, by written leaf; then back            */
    uint32_t *check;   /* of a value: its launch; CT_NO_VALUE: nothing there can be NaN or Inf                 */
    uint8_t *state;    /* of a value                                                                           */
    int64_t *came;     /* of a value that came so: its first bad element then                                  */
    int64_t *found;    /* of a check: the first bad element as last seen, the number of elements if none       */
    int64_t *results;  /* the same on the device                                                               */
    uint32_t *written; /* values: the leaves that the program writes                                           */
    bool *bad;         /* of them: it was not finite when last looked at between replays                       */
    uint32_t n_checks, n_written;
    size_t snapshot_bytes;
    char *memory; /* a block of the pool: results, what checks want beside them, tickets */
} ct_anomaly;

/* ---- making it ------------------------------------------------------------------------------------------ */

static bool is_checked(const ct_plan_value *v) { return ct_is_float(v->shape.dtype) && v->bytes && v->address; }

static size_t round_up(size_t bytes) { return (bytes + CT_POOL_ALIGN - 1) / CT_POOL_ALIGN * CT_POOL_ALIGN; }

/* The value that operand i of a record writes; CT_NO_VALUE if it only reads it. */
static uint32_t target(const ct_plan *p, const ct_plan_record *r, uint32_t i)
{
    const ct_plan_operand *o = ct_plan_in(p, r, i);
    return i >= r->n_in || (o->access & CT_WRITE) ? o->value : CT_NO_VALUE;
}

/* Lists the leaves that the program writes, itself or through what is stored into them. */
static void find_written(const ct_plan *p, ct_anomaly *a)
{
    for (uint32_t k = 0; k < p->n_records; k++) {
        const ct_plan_record *r = &p->records[k];
        for (uint32_t i = 0; r->live && i < r->n_in + r->n_out; i++) {
            const uint32_t value = target(p, r, i);
            if (value != CT_NO_VALUE) a->state[p->values[value].stored ? p->values[value].storage : value] = true;
        }
    }
    for (uint32_t v = 0; v < p->n_externals; v++) {
        if (!a->state[v] || !p->values[v].bytes) continue;
        a->written[a->n_written++] = v;
        a->snapshot_bytes += round_up(p->values[v].bytes);
    }
}

static ct_args *add_launch(ct_anomaly *a, ct_kernel_id kernel, const ct_plan_value *v, const void *from)
{
    ct_launch *l = &a->code.launches[a->code.n_launches++];
    *l = (ct_launch){.folded = CT_NOT_FOLDED, .run = 1, .bytes = (double)v->bytes};
    l->args.kernel = (uint16_t)kernel;
    l->args.dtype = (uint8_t)v->shape.dtype;
    l->args.p[0] = (void *)(uintptr_t)from;
    l->args.n = v->shape.numel;
    return &l->args;
}

/* Plain bytes, one after the other. */
static void add_copy(ct_anomaly *a, const ct_plan_value *v)
{
    ct_args *args = add_launch(a, CT_KERNEL_copy, v, v->address);
    args->p[1] = v->address; /* one of the two is the snapshot: place_snapshot */
    args->ndim = 1;
    args->shape[0] = args->n;
    args->stride[0][0] = 1;
}

static ct_status find_memory(ct_context *ctx, const ct_plan *p, ct_anomaly *a)
{
    const size_t n_launches = a->n_checks + 2 * (size_t)a->n_written;
    int64_t most_parts = 0; /* checks follow one another, and share these */
    for (uint32_t v = 0; v < p->n_values; v++) {
        const int64_t parts = is_checked(&p->values[v]) ? ct_partials(p->values[v].shape.numel) : 0;
        if (parts > most_parts) most_parts = parts;
    }
    const size_t results = round_up((a->n_checks + (size_t)most_parts) * sizeof *a->results);
    const size_t tickets = n_launches * ctx->device->ticket_bytes;
    a->code.launches = ct_alloc(ctx, n_launches * sizeof *a->code.launches);
    a->found = ct_alloc(ctx, a->n_checks * sizeof *a->found);
    if (!a->code.launches || !a->found) return ct_fail(ctx, CT_ERR_MEMORY, "detect_anomaly: out of host memory");
    ct_status status = ct_pool_take(ctx, results + tickets, (void **)&a->memory);
    if (status) return ct_fail(ctx, status, "detect_anomaly: no pool memory for %zu bytes", results + tickets);
    a->results = (int64_t *)a->memory;
    a->code.tickets = (uint32_t *)(a->memory + results);
    if (tickets) status = ctx->device->fill(ctx->device, a->code.tickets, 0, tickets);
    return status ? ct_fault(ctx, "detect_anomaly", status) : CT_OK;
}

static ct_status fill_in(ct_context *ctx, ct_program *program, ct_anomaly *a)
{
    const ct_plan *p = &program->plan;
    a->check = ct_alloc(ctx, p->n_values * sizeof *a->check);
    a->state = ct_alloc(ctx, p->n_values * sizeof *a->state);
    a->came = ct_alloc(ctx, p->n_values * sizeof *a->came);
    a->written = ct_alloc(ctx, p->n_externals * sizeof *a->written);
    a->bad = ct_alloc(ctx, p->n_externals * sizeof *a->bad);
    if (!a->check || !a->state || !a->came || !a->written || !a->bad)
        return ct_fail(ctx, CT_ERR_MEMORY, "detect_anomaly: out of host memory");
    for (uint32_t v = 0; v < p->n_values; v++) a->check[v] = is_checked(&p->values[v]) ? a->n_checks++ : CT_NO_VALUE;
    find_written(p, a);
    ct_status status = find_memory(ctx, p, a);
    if (status) return status;
    for (uint32_t v = 0; v < p->n_values; v++) {
        if (a->check[v] == CT_NO_VALUE) continue;
        ct_args *args = add_launch(a, CT_KERNEL_find_nonfinite, &p->values[v], p->values[v].address);
        args->p[1] = a->results + a->check[v];
        args->p[2] = a->results + a->n_checks;
        args->k = ct_partials(args->n);
    }
    for (uint32_t j = 0; j < 2 * a->n_written; j++) add_copy(a, &p->values[a->written[j % a->n_written]]);
    status = ctx->device->prepare(ctx->device, &a->code);
    return status ? ct_fault(ctx, "detect_anomaly", status) : CT_OK;
}

void ct_anomaly_free(ct_context *ctx, ct_program *program)
{
    ct_anomaly *a = program->anomaly;
    if (!a) return;
    if (a->code.prepared) ctx->device->retire(ctx->device, &a->code);
    ct_pool_give(ctx, a->memory);
    void *memory[] = {a->code.launches, a->check, a->state, a->came, a->found, a->written, a->bad, a};
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++) ct_free(ctx, memory[i]);
    program->anomaly = NULL;
}

/* ---- the snapshot: one block, which the programs of a context take turns to use --------------------------- */

static ct_status grow_snapshot(ct_context *ctx, size_t bytes)
{
    ct_programs *ps = ctx->programs;
    if (bytes <= ps->snapshot_bytes) return CT_OK;
    ct_pool_give(ctx, ps->snapshot);
    ps->snapshot = NULL;
    ps->snapshot_bytes = 0;
    const ct_status status = ct_pool_take(ctx, bytes, (void **)&ps->snapshot);
    if (status)
        return ct_fail(ctx, status,
                       "detect_anomaly: no pool memory for a snapshot, %zu bytes, of the leaves that the step writes "
                       "(%lld in use, limit %zu)",
                       bytes, (long long)ctx->stats.pool_in_use, ctx->config.pool_bytes);
    ps->snapshot_bytes = bytes;
    return CT_OK;
}

/* Launches are arguments, read when they are made: so a block that has moved is only put in. */
static void place_snapshot(ct_context *ctx, ct_program *program)
{
    ct_anomaly *a = program->anomaly;
    char *place = ctx->programs->snapshot;
    for (uint32_t j = 0; j < a->n_written; j++) {
        ct_launch *save = &a->code.launches[a->n_checks + j], *restore = save + a->n_written;
        save->args.p[1] = restore->args.p[0] = place;
        place += round_up(program->plan.values[a->written[j]].bytes);
    }
}

/* All that is wanted to play the program in anomaly mode. The program is used in this step, so it does not go itself
 * to make room; and a replay finds all there, since the step that it replays. */
static ct_status begin(ct_context *ctx, ct_program *program)
{
    if (!program->anomaly) {
        program->anomaly = ct_alloc(ctx, sizeof *program->anomaly);
        if (!program->anomaly) return ct_fail(ctx, CT_ERR_MEMORY, "detect_anomaly: out of host memory");
        const ct_status status = fill_in(ctx, program, program->anomaly);
        if (status) {
            ct_anomaly_free(ctx, program);
            return status;
        }
    }
    const ct_status status = grow_snapshot(ctx, program->anomaly->snapshot_bytes);
    if (!status) place_snapshot(ctx, program);
    return status;
}

static ct_status play_own(ct_context *ctx, ct_anomaly *a, uint32_t first, uint32_t n)
{
    ct_status status = CT_OK;
    for (uint32_t i = first; !status && i < first + n; i++) status = ctx->device->play_launch(ctx->device, &a->code, i);
    return status ? ct_fault(ctx, "detect_anomaly", status) : CT_OK;
}

static ct_status save(ct_context *ctx, ct_anomaly *a) { return play_own(ctx, a, a->n_checks, a->n_written); }

static ct_status restore(ct_context *ctx, ct_anomaly *a)
{
    return play_own(ctx, a, a->n_checks + a->n_written, a->n_written);
}

/* ---- looking ------------------------------------------------------------------------------------------------ */

/* Checks that were launched and not yet read: all of them lie between two. */
typedef struct looks {
    uint32_t first, last;
} looks;
static const looks no_looks = {UINT32_MAX, 0};

static ct_status look_at(ct_context *ctx, ct_anomaly *a, uint32_t value, looks *l)
{
    const uint32_t check = value == CT_NO_VALUE ? CT_NO_VALUE : a->check[value];
    if (check == CT_NO_VALUE) return CT_OK;
    if (check < l->first) l->first = check;
    if (check > l->last) l->last = check;
    return play_own(ctx, a, check, 1);
}

/* Waits. */
static ct_status read_looks(ct_context *ctx, ct_anomaly *a, looks l)
{
    if (l.first > l.last) return CT_OK;
    const size_t bytes = (l.last - l.first + 1) * sizeof *a->found;
    return ct_waited(ctx, "detect_anomaly",
                     ctx->device->download(ctx->device, a->found + l.first, a->results + l.first, bytes));
}

/* As last looked at. */
static bool is_bad(const ct_plan *p, const ct_anomaly *a, uint32_t value)
{
    return value != CT_NO_VALUE && a->check[value] != CT_NO_VALUE &&
           a->found[a->check[value]] < p->values[value].shape.numel;
}

/* After a record has written it. */
static void note(const ct_plan *p, ct_anomaly *a, uint32_t value)
{
    if (value == CT_NO_VALUE) return;
    const uint8_t state = is_bad(p, a, value) ? NONFINITE : FINITE;
    a->state[value] = state;
    if (p->values[value].stored) a->state[p->values[value].storage] = state;
}

static ct_status know(ct_context *ctx, const ct_plan *p, ct_anomaly *a, uint32_t value)
{
    if (a->state[value] != UNKNOWN) return CT_OK;
    looks l = no_looks;
    ct_status status = look_at(ctx, a, value, &l);
    if (!status) status = read_looks(ctx, a, l);
    if (status) return status;
    a->state[value] = FINITE;
    if (!is_bad(p, a, value)) return CT_OK;
    a->state[value] = CAME_NONFINITE;
    a->came[value] = a->found[a->check[value]];
    return CT_OK;
}

/* ---- the play of a record ------------------------------------------------------------------------------------ */

/* The value that input i of a record reads, behind aliases; the leaf that a product adds to, for i = n_in. */
static uint32_t source(const ct_plan *p, const ct_plan_record *r, uint32_t i)
{
    if (i == r->n_in) return r->adds ? p->values[ct_plan_out(p, r, 0)->value].storage : CT_NO_VALUE;
    const ct_plan_operand *o = ct_plan_in(p, r, i);
    if (o->value == CT_NO_VALUE || !(o->access & CT_READ)) return CT_NO_VALUE;
    uint32_t value = o->value;
    while (p->values[value].maker != CT_NEVER && p->records[p->values[value].maker].aliased)
        value = ct_plan_in(p, &p->records[p->values[value].maker], 0)->value;
    return value;
}

/* What a record is about to change is looked at before. */
static ct_status know_updated(ct_context *ctx, const ct_plan *p, ct_anomaly *a, const ct_plan_record *r)
{
    ct_status status = CT_OK;
    for (uint32_t i = 0; !status && i <= r->n_in; i++) {
        const uint32_t value = source(p, r, i);
        const bool updated = value != CT_NO_VALUE && (i == r->n_in || target(p, r, i) != CT_NO_VALUE);
        if (updated) status = know(ctx, p, a, value);
    }
    return status;
}

/* An input that is not finite, other than `except`; CT_NO_VALUE: there is none. */
static ct_status find_bad_input(ct_context *ctx, const ct_plan *p, ct_anomaly *a, const ct_plan_record *r,
                                uint32_t except, uint32_t *bad)
{
    for (uint32_t i = 0; i <= r->n_in && *bad == CT_NO_VALUE; i++) {
        const uint32_t value = source(p, r, i);
        if (value == CT_NO_VALUE || value == except) continue;
        const ct_status status = know(ctx, p, a, value);
        if (status) return status;
        if (a->state[value] != FINITE) *bad = value;
    }
    return CT_OK;
}

static ct_status read_element(ct_context *ctx, const ct_plan_value *v, int64_t index, double *out)
{
    const size_t bytes = ct_dtype_bytes(v->shape.dtype);
    float narrow = 0;
    void *to = v->shape.dtype == CT_F64 ? (void *)out : &narrow;
    const ct_status status =
        ctx->device->download(ctx->device, to, (const char *)v->address + (size_t)index * bytes, bytes);
    if (v->shape.dtype != CT_F64) *out = narrow;
    return status ? ct_fault(ctx, "detect_anomaly", status) : CT_OK;
}

/* Record k has written a value that is not finite, as its operand i: it is to blame if all its inputs were finite. A
 * constant has none, and nothing made it: the bound of a one-sided ct_clamp is infinite in its gradient too. */
static ct_status judge(ct_context *ctx, const ct_plan *p, ct_anomaly *a, uint32_t k, uint32_t folded, uint32_t i,
                       uint32_t value, ct_finding *f)
{
    const ct_plan_record *r = &p->records[k];
    if (r->n_in == 0) return CT_OK;
    const int64_t index = a->found[a->check[value]];
    uint32_t bad = CT_NO_VALUE;
    ct_status status = find_bad_input(ctx, p, a, r, CT_NO_VALUE, &bad);
    if (!status && folded != CT_NOT_FOLDED)
        status = find_bad_input(ctx, p, a, &p->records[folded], ct_plan_out(p, r, 0)->value, &bad);
    if (status) return status;
    if (bad != CT_NO_VALUE) {
        if (p->values[bad].leaf && a->state[bad] == CAME_NONFINITE)
            ct_anomaly_tell(ctx, f, k, ctx->tape->externals[bad], a->came[bad]);
        return CT_OK;
    }
    f->record = k;
    f->operand = i;
    f->index = index;
    f->into = p->values[value].stored ? ctx->tape->externals[p->values[value].storage] : CT_REF_NONE;
    return read_element(ctx, &p->values[value], index, &f->value);
}

/* The launches [first, next) of record k, and of the one that is folded into it. An epilogue that is folded makes
 * nothing larger, so what is not finite behind it is the product's. */
static ct_status play_record(ct_context *ctx, ct_program *program, uint32_t first, uint32_t next, ct_finding *f)
{
    const ct_plan *p = &program->plan;
    ct_anomaly *a = program->anomaly;
    const uint32_t k = program->code.launches[first].record, folded = program->code.launches[next - 1].folded;
    const ct_plan_record *writer = &p->records[folded == CT_NOT_FOLDED ? k : folded];
    const uint32_t n = writer->n_in + writer->n_out;
    looks l = no_looks;
    ct_status status = know_updated(ctx, p, a, writer);
    for (uint32_t i = first; !status && i < next; i++) status = ct_program_play_launch(ctx, program, i);
    for (uint32_t i = 0; !status && i < n; i++) status = look_at(ctx, a, target(p, writer, i), &l);
    if (!status) status = read_looks(ctx, a, l);
    bool judged = false;
    for (uint32_t i = 0; !status && i < n && !judged; i++) {
        const uint32_t value = target(p, writer, i);
        judged = is_bad(p, a, value);
        if (judged) status = judge(ctx, p, a, k, folded, folded == CT_NOT_FOLDED ? i : p->records[k].n_in, value, f);
    }
    for (uint32_t i = 0; !status && i < n; i++) note(p, a, target(p, writer, i));
    return status;
}

/* Until a record is found; f->record is CT_NO_RECORD if none is. */
static ct_status play_records(ct_context *ctx, ct_program *program, ct_finding *f)
{
    const ct_code *code = &program->code;
    ct_status status = CT_OK;
    f->record = CT_NO_RECORD;
    for (uint32_t first = 0, next; !status && first < code->n_launches && f->record == CT_NO_RECORD; first = next) {
        next = first + 1;
        while (next < code->n_launches && code->launches[next].record == code->launches[first].record) next++;
        status = play_record(ctx, program, first, next, f);
    }
    return status;
}

static ct_status play_step(ct_context *ctx, ct_program *program, ct_finding *f)
{
    ct_status status = save(ctx, program->anomaly);
    if (!status) status = play_records(ctx, program, f);
    if (status || f->record == CT_NO_RECORD) return status;
    status = restore(ctx, program->anomaly);
    return status ? status : ct_anomaly_blame(ctx, program, f);
}

static void forget(ct_program *program)
{
    memset(program->anomaly->state, UNKNOWN, program->plan.n_values * sizeof *program->anomaly->state);
}

ct_status ct_anomaly_play(ct_context *ctx, ct_program *program)
{
    const ct_status status = begin(ctx, program);
    if (status) return status;
    forget(program);
    return play_step(ctx, program, &(ct_finding){0});
}

/* ---- replay -------------------------------------------------------------------------------------------------- */

/* Between two looks at the state. A snapshot costs about as much as an optimizer's update; going back, so many
 * steps launch by launch, a second or so. */
#define REPLAYS_A_SNAPSHOT 1024

/* Looks at the floats among the written leaves: has one become bad? */
static ct_status look_at_state(ct_context *ctx, ct_program *program, bool *worse)
{
    const ct_plan *p = &program->plan;
    ct_anomaly *a = program->anomaly;
    looks l = no_looks;
    ct_status status = CT_OK;
    for (uint32_t j = 0; !status && j < a->n_written; j++) status = look_at(ctx, a, a->written[j], &l);
    if (!status) status = read_looks(ctx, a, l);
    *worse = false;
    for (uint32_t j = 0; !status && j < a->n_written; j++) {
        const bool bad = is_bad(p, a, a->written[j]);
        *worse |= bad && !a->bad[j];
        a->bad[j] = bad;
    }
    return status;
}

/* Back to the snapshot, and on record by record. Where no record is to blame, what was not finite came in from
 * outside, and the replay goes on. */
static ct_status go_back(ct_context *ctx, ct_program *program, int64_t steps, int64_t n, int64_t *played)
{
    ct_status status = restore(ctx, program->anomaly);
    forget(program);
    while (!status && steps-- > 0) {
        status = play_step(ctx, program, &(ct_finding){.replay = *played + 1, .replays = n});
        if (!status) ++*played;
    }
    return status;
}

ct_status ct_anomaly_replay(ct_context *ctx, ct_program *program, int64_t n, int64_t *played)
{
    bool worse;
    *played = 0;
    ct_status status = begin(ctx, program);
    if (!status) status = look_at_state(ctx, program, &worse);
    while (!status && *played < n) {
        const int64_t left = n - *played, steps = left < REPLAYS_A_SNAPSHOT ? left : REPLAYS_A_SNAPSHOT;
        status = save(ctx, program->anomaly);
        if (!status) status = ct_program_run(ctx, program, steps, 0);
        if (!status) status = look_at_state(ctx, program, &worse);
        if (status) break;
        if (worse)
            status = go_back(ctx, program, steps, n, played);
        else
            *played += steps;
    }
    return status;
}

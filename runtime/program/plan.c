/* Planning: import the segment, rewrite it, drop the dead, share memory where that
 * is safe, and give every value a place in the arena. See plan.h. */
#include "program/plan.h"

#include "core/pool.h"

#include <string.h>

/* ---- import ----------------------------------------------------------------------------- */

static uint32_t value_of(const ct_context *ctx, const ct_plan *p, ct_ref ref)
{
    const ct_tape *t = ctx->tape;
    if (!ct_ref_is_leaf(ref) && ref >= t->first_value) return p->n_externals + (uint32_t)(ref - t->first_value);
    return ct_value_at((ct_context *)ctx, ref)->external;
}

static void import_values(ct_context *ctx, ct_plan *p)
{
    const ct_tape *t = ctx->tape;
    for (uint32_t i = 0; i < p->n_values; i++) {
        bool external = i < p->n_externals;
        ct_ref ref = external ? t->externals[i] : (ct_ref)(t->first_value + i - p->n_externals);
        const ct_value *v = ct_value_at(ctx, ref);
        p->values[i] = (ct_plan_value){.shape = v->shape,
                                       .bytes = ct_shape_bytes(&v->shape),
                                       .ref = ref,
                                       .external = external,
                                       .leaf = ct_ref_is_leaf(ref),
                                       .maker = CT_NEVER,
                                       .storage = i,
                                       .offset = SIZE_MAX,
                                       .address = external ? v->data : NULL};
    }
}

/* A record keeps its number through planning: rewrites take records out, and never move one. */
static uint32_t source_of(const ct_tape *t, const ct_record *r)
{
    const uint32_t source = ct_source_record(t, r);
    if (source == CT_NO_RECORD || source < t->first_record) return CT_NO_RECORD;
    return (uint32_t)(source - t->first_record);
}

static void import_records(ct_context *ctx, ct_plan *p)
{
    const ct_tape *t = ctx->tape;
    size_t first_operand = t->records[t->first_record].operand, first_attr = t->records[t->first_record].attr;
    if (p->n_attrs) memcpy(p->attrs, t->attrs + first_attr, p->n_attrs * sizeof *p->attrs);
    for (uint32_t k = 0; k < p->n_records; k++) {
        const ct_record *r = &t->records[t->first_record + k];
        p->records[k] = (ct_plan_record){.op = r->op,
                                         .phase = r->phase,
                                         .n_attr = r->n_attr,
                                         .n_scalar = r->n_scalar,
                                         .live = true,
                                         .keep = r->flags & CT_RECORD_KEEP,
                                         .n_in = r->n_in,
                                         .n_out = r->n_out,
                                         .operand = (uint32_t)(r->operand - first_operand),
                                         .attr = (uint32_t)(r->attr - first_attr),
                                         .scalar = (uint32_t)(r->scalar - t->first_scalar),
                                         .source = source_of(t, r)};
        for (uint32_t i = 0; i < r->n_in + r->n_out; i++) {
            const ct_operand *o = &t->operands[r->operand + i];
            uint32_t value = value_of(ctx, p, o->ref);
            p->operands[p->records[k].operand + i] = (ct_plan_operand){value, o->access & CT_UPDATE};
            if (i < r->n_in) {
                if (o->access & CT_READ) p->values[value].readers++;
            } else {
                p->values[value].maker = k;
                p->values[value].named = p->records[k].keep;
            }
        }
    }
}

/* ---- liveness ----------------------------------------------------------------------------- */

static bool has_effect(const ct_plan *p, const ct_plan_record *r)
{
    if (!(ct_plan_op(p, r)->flags & CT_OP_EFFECT)) return false;
    for (uint32_t i = 0; i < r->n_in; i++) {
        const ct_plan_operand *o = ct_plan_in(p, r, i);
        if (o->value != CT_NO_VALUE && (o->access & CT_WRITE)) return true;
    }
    return false;
}

/* Backwards: a record lives for its effect, for a name outside, or for a living reader. */
static void drop_dead(ct_plan *p)
{
    for (uint32_t i = 0; i < p->n_values; i++) {
        p->values[i].readers = 0;
        p->values[i].kept = !p->final && p->values[i].named && !p->values[i].external;
    }
    for (uint32_t k = p->n_records; k-- > 0;) {
        ct_plan_record *r = &p->records[k];
        bool live = r->live && has_effect(p, r);
        for (uint32_t i = 0; r->live && i < r->n_out; i++) {
            const ct_plan_value *v = &p->values[ct_plan_out(p, r, i)->value];
            live = live || v->readers || v->kept || v->stored;
        }
        r->live = live;
        for (uint32_t i = 0; live && i < r->n_in; i++) {
            const ct_plan_operand *o = ct_plan_in(p, r, i);
            if (o->value != CT_NO_VALUE && (o->access & CT_READ)) p->values[o->value].readers++;
        }
    }
}

/* ---- sharing memory ------------------------------------------------------------------------ */

static uint32_t root(const ct_plan *p, uint32_t value)
{
    while (p->values[value].storage != value) value = p->values[value].storage;
    return value;
}

static uint32_t last_reader(const ct_plan *p, uint32_t value)
{
    for (uint32_t k = p->n_records; k-- > 0;) {
        const ct_plan_record *r = &p->records[k];
        for (uint32_t i = 0; r->live && i < r->n_in; i++)
            if (ct_plan_in(p, r, i)->value == value) return k;
    }
    return 0;
}

static bool written_after(const ct_plan *p, uint32_t leaf, uint32_t after, uint32_t until)
{
    for (uint32_t k = after + 1; k <= until && k < p->n_records; k++) {
        const ct_plan_record *r = &p->records[k];
        for (uint32_t i = 0; r->live && i < r->n_in; i++)
            if (ct_plan_in(p, r, i)->value == leaf && (ct_plan_in(p, r, i)->access & CT_WRITE)) return true;
        for (uint32_t i = 0; r->live && i < r->n_out; i++) {
            const ct_plan_value *out = &p->values[ct_plan_out(p, r, i)->value];
            if (out->stored && out->storage == leaf) return true;
        }
    }
    return false;
}

/* A reshape shares its input's bytes; not those of a leaf that changes while the alias is
 * in use. Aliases of aliases are read to their ends, for a leaf by the last of them. */
static void share_aliases(ct_plan *p)
{
    for (uint32_t k = 0; k < p->n_records; k++) {
        ct_plan_record *r = &p->records[k];
        if (!r->live || !(ct_plan_op(p, r)->flags & CT_OP_ALIAS)) continue;
        uint32_t out = ct_plan_out(p, r, 0)->value, source = root(p, ct_plan_in(p, r, 0)->value);
        if (p->values[out].stored) continue;
        if (p->values[source].leaf) {
            uint32_t until = last_reader(p, out);
            bool chained = p->records[until].n_out && (ct_plan_op(p, &p->records[until])->flags & CT_OP_ALIAS);
            if (p->values[out].kept || chained || written_after(p, source, k, until)) continue;
        }
        p->values[out].storage = source;
        r->aliased = true;
    }
}

static void extend(ct_plan *p, uint32_t value, uint32_t k)
{
    ct_plan_value *v = &p->values[root(p, value)];
    if (k < v->first) v->first = k;
    if (k > v->last) v->last = k;
}

/* From the first write to the last read of every storage; kept ones never end. */
static void find_lifetimes(ct_plan *p)
{
    for (uint32_t i = 0; i < p->n_values; i++) p->values[i].first = CT_NEVER, p->values[i].last = 0;
    for (uint32_t k = 0; k < p->n_records; k++) {
        const ct_plan_record *r = &p->records[k];
        for (uint32_t i = 0; r->live && i < r->n_in + r->n_out; i++) {
            uint32_t value = ct_plan_in(p, r, i)->value;
            if (value == CT_NO_VALUE) continue;
            bool dead_output =
                i >= r->n_in && !p->values[value].readers && !p->values[value].kept && !p->values[value].stored;
            if (!dead_output) extend(p, value, k);
        }
    }
    for (uint32_t i = 0; i < p->n_values; i++)
        if (p->values[i].kept) p->values[root(p, i)].last = CT_NEVER;
}

/* An elementwise op computes in place of an input that nobody reads after it. */
static void compute_in_place(ct_plan *p)
{
    for (uint32_t k = 0; k < p->n_records; k++) {
        const ct_plan_record *r = &p->records[k];
        if (!r->live || !(ct_plan_op(p, r)->flags & CT_OP_ELEMENTWISE)) continue;
        uint32_t out = ct_plan_out(p, r, 0)->value;
        if (p->values[out].storage != out || p->values[out].last == CT_NEVER) continue;
        for (uint32_t i = 0; i < r->n_in; i++) {
            uint32_t input = ct_plan_in(p, r, i)->value, source = root(p, input);
            const ct_plan_value *s = &p->values[source];
            if (s->external || s->last != k || p->values[input].bytes != p->values[out].bytes ||
                s->bytes != p->values[out].bytes ||
                ct_dtype_bytes(p->values[input].shape.dtype) != ct_dtype_bytes(p->values[out].shape.dtype))
                continue;
            uint32_t last = p->values[out].last;
            p->values[out].storage = source;
            p->values[source].last = last;
            break;
        }
    }
}

/* ---- places --------------------------------------------------------------------------------- */

static size_t round_up(size_t bytes) { return (bytes + CT_POOL_ALIGN - 1) / CT_POOL_ALIGN * CT_POOL_ALIGN; }

/* What is taken of the arena at the moment, by offset. */
typedef struct taken {
    size_t offset, bytes;
    uint32_t last;
} taken;

typedef struct places {
    taken *list;
    uint32_t n;
    size_t end;
    bool too_large;
} places;

/* No memory is as large; and no sum of two such sizes overflows. */
#define MOST_BYTES (SIZE_MAX / 4)

/* The smallest gap that holds it, else the end. The list has room: one entry a value and record. */
static size_t take(places *at, size_t floor, size_t bytes, uint32_t last)
{
    size_t best = SIZE_MAX, best_gap = SIZE_MAX, cursor = floor;
    uint32_t where = at->n, i = 0;
    for (; i < at->n; i++) {
        size_t gap = at->list[i].offset - cursor;
        if (gap >= bytes && gap < best_gap) best = cursor, best_gap = gap, where = i;
        cursor = at->list[i].offset + at->list[i].bytes;
    }
    if (best == SIZE_MAX) best = cursor;
    memmove(at->list + where + 1, at->list + where, (at->n - where) * sizeof *at->list);
    at->list[where] = (taken){best, bytes, last};
    at->n++;
    if (best + bytes > at->end) at->end = best + bytes;
    if (at->end > MOST_BYTES) at->too_large = true;
    return best;
}

static void give_back_until(places *at, uint32_t k)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < at->n; i++)
        if (at->list[i].last >= k) at->list[n++] = at->list[i];
    at->n = n;
}

static bool wants_place(const ct_plan_value *v, uint32_t index)
{
    return !v->external && v->storage == index && v->first != CT_NEVER && v->bytes > 0;
}

static void place(ct_plan *p, taken *list)
{
    places at = {.list = list};
    size_t floor = p->base;
    /* Kept values at the bottom, one after the other: the next segment of the step begins behind them. */
    for (uint32_t i = p->n_externals; i < p->n_values; i++) {
        ct_plan_value *v = &p->values[i];
        if (!wants_place(v, i) || v->last != CT_NEVER) continue;
        v->offset = floor;
        floor += round_up(v->bytes);
        at.too_large |= floor > MOST_BYTES;
        if (at.too_large) break;
    }
    p->kept_end = at.end = floor;
    for (uint32_t k = 0; k < p->n_records && !at.too_large; k++) {
        ct_plan_record *r = &p->records[k];
        if (!r->live) continue;
        give_back_until(&at, k);
        for (uint32_t i = 0; i < r->n_out; i++) {
            uint32_t value = ct_plan_out(p, r, i)->value;
            ct_plan_value *v = &p->values[value];
            if (wants_place(v, value) && v->last != CT_NEVER) v->offset = take(&at, floor, round_up(v->bytes), v->last);
        }
        if (r->scratch_bytes) r->scratch_offset = take(&at, floor, round_up(r->scratch_bytes), k);
    }
    p->end = at.too_large ? SIZE_MAX / 2 : at.end; /* which no pool will give */
}

static bool find_scratch(ct_context *ctx, ct_plan *p)
{
    for (uint32_t k = 0; k < p->n_records; k++) {
        ct_plan_record *r = &p->records[k];
        /* A product that is added is made first, and rounded, as it would be without the rewrite. */
        if (r->live && r->adds) r->scratch_bytes = p->values[ct_plan_out(p, r, 0)->value].bytes;
        if (!r->live || !ct_plan_op(p, r)->scratch) continue;
        const ct_shape *few[8], **in = r->n_in < 8 ? few : ct_alloc(ctx, (r->n_in + 1) * sizeof *in);
        if (!in) return false;
        for (uint32_t i = 0; i < r->n_in; i++) in[i] = &p->values[ct_plan_in(p, r, i)->value].shape;
        in[r->n_in] = NULL;
        r->scratch_bytes =
            ct_plan_op(p, r)->scratch(ctx, in, &p->values[ct_plan_out(p, r, 0)->value].shape, &p->attrs[r->attr]);
        if (in != few) ct_free(ctx, in);
    }
    return true;
}

/* ---- the whole -------------------------------------------------------------------------------- */

void ct_plan_free(ct_context *ctx, ct_plan *p)
{
    void *arrays[] = {p->values, p->records, p->operands, p->attrs};
    for (int i = 0; i < 4; i++) ct_free(ctx, arrays[i]);
    *p = (ct_plan){0};
}

ct_status ct_plan_make(ct_context *ctx, bool final, size_t base, ct_plan *p)
{
    const ct_tape *t = ctx->tape;
    size_t n_records = t->n_records - t->first_record;
    *p = (ct_plan){.ctx = ctx,
                   .final = final,
                   .base = base,
                   .n_externals = (uint32_t)t->n_externals,
                   .n_values = (uint32_t)(t->n_externals + t->n_values - t->first_value),
                   .n_records = (uint32_t)n_records,
                   .n_operands = (uint32_t)(t->n_operands - t->records[t->first_record].operand),
                   .n_attrs = (uint32_t)(t->n_attrs - t->records[t->first_record].attr),
                   .n_scalars = (uint32_t)(t->n_scalars - t->first_scalar)};
    p->values = ct_alloc(ctx, p->n_values * sizeof *p->values);
    p->records = ct_alloc(ctx, n_records * sizeof *p->records);
    p->operands = ct_alloc(ctx, p->n_operands * sizeof *p->operands);
    p->attrs = ct_alloc(ctx, p->n_attrs * sizeof *p->attrs);
    taken *list = ct_alloc(ctx, (p->n_values + n_records + 1) * sizeof *list);
    bool sound = p->values && p->records && p->operands && p->attrs && list;
    if (sound) {
        import_values(ctx, p);
        import_records(ctx, p);
        sound = ct_plan_rewrite(ctx, p);
    }
    if (sound) {
        drop_dead(p);
        share_aliases(p);
        find_lifetimes(p);
        compute_in_place(p);
        sound = find_scratch(ctx, p);
        if (sound) place(p, list);
    }
    ct_free(ctx, list);
    if (sound) return CT_OK;
    ct_plan_free(ctx, p);
    return CT_ERR_MEMORY;
}

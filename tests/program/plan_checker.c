/* The checker of plans: see plan_checker.h. First symbols, then the memory of bytes, then
 * the two runs in step, then the rules about places. plan_faults.c puts it to the test.
 */
#include "plan_subject.h"

#include "core/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_INPUTS 512

static bool wrong(const subject *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool wrong(const subject *s, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(s->why, s->why_bytes, format, list);
    va_end(list);
    return false;
}

static void *grown(void *array, size_t *capacity, size_t need, size_t element)
{
    if (need <= *capacity) return array;
    *capacity = need * 2 + 64;
    array = realloc(array, *capacity * element);
    if (!array) abort();
    return array;
}

/* ---- symbols: what bytes hold, as a word list that is stored once ----------------------- */

enum { S_BROKEN, S_EMPTY, S_ZERO, S_SCRATCH, S_FIRST_FREE };
enum { W_EXTERNAL = 1, W_RESULT, W_ADDED };

typedef struct symbol {
    size_t first, n; /* in words */
    uint32_t source; /* an expand or transpose of this symbol; 0: neither */
    uint16_t op;
    ct_shape source_shape, shape;
    int64_t d0, d1; /* of a transpose */
} symbol;

typedef struct symbols {
    const ct_context *ctx;
    symbol *list;
    uint64_t *words;
    size_t n, n_words, capacity, words_capacity;
} symbols;

static uint32_t intern(symbols *t, const uint64_t *words, size_t n)
{
    for (size_t i = S_FIRST_FREE; i < t->n; i++)
        if (t->list[i].n == n && memcmp(t->words + t->list[i].first, words, n * sizeof *words) == 0) return (uint32_t)i;
    if (t->n < S_FIRST_FREE) t->n = S_FIRST_FREE;
    t->list = grown(t->list, &t->capacity, t->n + 1, sizeof *t->list);
    t->words = grown(t->words, &t->words_capacity, t->n_words + n, sizeof *t->words);
    memcpy(t->words + t->n_words, words, n * sizeof *words);
    t->list[t->n] = (symbol){.first = t->n_words, .n = n};
    t->n_words += n;
    return (uint32_t)t->n++;
}

bool same_shape(const ct_shape *a, const ct_shape *b)
{
    return a->dtype == b->dtype && a->ndim == b->ndim && memcmp(a->dim, b->dim, sizeof a->dim) == 0;
}

typedef struct operand {
    uint32_t symbol;
    ct_shape shape;
} operand;

/* One record as either run sees it. */
typedef struct step {
    uint32_t index; /* of the record: part of the symbol, as scalars are not in it */
    uint16_t op;
    uint32_t n_attr, n_in;
    int64_t attr[16];
    operand in[MAX_INPUTS];
} step;

/* What rewrites may change, brought to one form: an elementwise op reads through an
 * expand, a product through a transpose of the last two dims. */
static void normalise(const symbols *t, step *r)
{
    for (uint32_t i = 0; i < r->n_in; i++)
        for (;;) {
            operand *o = &r->in[i];
            const symbol *s = o->symbol >= S_FIRST_FREE ? &t->list[o->symbol] : NULL;
            if (!s || !s->source || !same_shape(&s->shape, &o->shape)) break;
            int last = o->shape.ndim - 1;
            bool swaps_last = (s->d0 == last && s->d1 == last - 1) || (s->d0 == last - 1 && s->d1 == last);
            const uint32_t flags = ct_op_of(t->ctx, r->op)->flags & (CT_OP_ELEMENTWISE | CT_OP_DENSE);
            bool through = (s->op == CT_OP_expand && flags == CT_OP_ELEMENTWISE) ||
                           (s->op == CT_OP_transpose && r->op == CT_OP_matmul && swaps_last);
            if (!through) break;
            if (r->op == CT_OP_matmul) r->attr[i] ^= 1;
            *o = (operand){s->source, s->source_shape};
        }
}

/* Bytes of output `out` of a record whose inputs hold these symbols. */
static uint32_t result(symbols *t, const step *recorded, uint32_t out, const ct_shape *shape)
{
    static uint64_t words[16 + 16 + MAX_INPUTS * (3 + CT_MAX_DIMS)];
    static step r;
    if (shape && shape->numel == 0) return S_EMPTY;
    if (ct_op_of(t->ctx, recorded->op)->flags & CT_OP_ALIAS) return recorded->in[0].symbol;
    r = *recorded;
    normalise(t, &r);
    size_t n = 0;
    words[n++] = W_RESULT;
    words[n++] = r.index;
    words[n++] = out;
    words[n++] = r.op;
    for (uint32_t i = 0; i < r.n_attr; i++) words[n++] = (uint64_t)r.attr[i];
    for (uint32_t i = 0; i < r.n_in; i++) {
        words[n++] = r.in[i].symbol;
        words[n++] = (uint64_t)r.in[i].shape.dtype << 8 | (uint64_t)r.in[i].shape.ndim;
        for (int d = 0; d < CT_MAX_DIMS; d++) words[n++] = (uint64_t)r.in[i].shape.dim[d];
    }
    uint32_t s = intern(t, words, n);
    if (shape && (r.op == CT_OP_expand || r.op == CT_OP_transpose)) {
        symbol *made = &t->list[s];
        made->source = r.in[0].symbol;
        made->op = r.op;
        made->source_shape = r.in[0].shape;
        made->shape = *shape;
        made->d0 = r.attr[0], made->d1 = r.attr[1];
    }
    return s;
}

/* leaf + value, and a plain store where the leaf is zero. */
static uint32_t added(symbols *t, uint32_t leaf, uint32_t value)
{
    if (leaf == S_ZERO || leaf == S_EMPTY) return value;
    return intern(t, (uint64_t[]){W_ADDED, leaf, value}, 3);
}

/* How an op touches its i-th input: what the recording functions say, said again. */
static uint32_t access_of(uint16_t op, uint32_t i, const int64_t *attr)
{
    switch (op) {
    case CT_OP_zero: return CT_WRITE;
    case CT_OP_assign: return i == 0 ? CT_WRITE : CT_READ;
    case CT_OP_accumulate: return i == 0 ? CT_UPDATE : CT_READ;
    case CT_OP_append: return i == 1 ? CT_READ : CT_UPDATE;
    case CT_OP_advance: return CT_UPDATE;
    case CT_OP_clip_scale: return i == 0 ? CT_READ : CT_UPDATE;
    case CT_OP_gather: return i == 2 ? CT_UPDATE : CT_READ;
    case CT_OP_sgd:
    case CT_OP_adam: return i > 0 && (i - 1) % (uint32_t)attr[1] == 1 ? CT_READ : CT_UPDATE;
    default: return CT_READ;
    }
}

/* What a written input holds after the record. */
static uint32_t written(symbols *t, const step *r, uint32_t i)
{
    if (r->in[i].shape.numel == 0) return S_EMPTY;
    if (r->op == CT_OP_zero) return S_ZERO;
    if (r->op == CT_OP_assign) return r->in[1].symbol;
    if (r->op == CT_OP_accumulate) return added(t, r->in[0].symbol, r->in[1].symbol);
    return result(t, r, 1000 + i, NULL);
}

/* ---- memory: disjoint ranges, each written in one go -------------------------------------- */

typedef struct range {
    uintptr_t from, to;
    uint32_t symbol;
} range;

typedef struct memory {
    range *list;
    size_t n, capacity;
} memory;

static void put(memory *m, uintptr_t from, uintptr_t to, uint32_t symbol)
{
    if (from == to) return;
    m->list = grown(m->list, &m->capacity, m->n * 2 + 2, sizeof *m->list);
    size_t old = m->n;
    for (size_t i = 0; i < old; i++) {
        range *r = &m->list[i];
        if (r->to <= from || to <= r->from) continue;
        /* What sticks out is broken from now on. */
        range before = {r->from, from, S_BROKEN}, behind = {to, r->to, S_BROKEN};
        r->to = r->from;
        if (before.from < before.to) m->list[m->n++] = before;
        if (behind.from < behind.to) m->list[m->n++] = behind;
    }
    size_t kept = 0;
    for (size_t i = 0; i < m->n; i++)
        if (m->list[i].from < m->list[i].to) m->list[kept++] = m->list[i];
    m->n = kept;
    m->list[m->n++] = (range){from, to, symbol};
}

/* The symbol that these bytes hold as a whole; S_BROKEN if they do not. */
static uint32_t get(const memory *m, uintptr_t from, uintptr_t to)
{
    if (from == to) return S_EMPTY;
    for (size_t i = 0; i < m->n; i++)
        if (m->list[i].from == from && m->list[i].to == to) return m->list[i].symbol;
    return S_BROKEN;
}

/* ---- the plan's values ------------------------------------------------------------------------ */

uint32_t root_of(const ct_plan *p, uint32_t v)
{
    for (uint32_t steps = 0; p->values[v].storage != v && steps <= p->n_values; steps++) v = p->values[v].storage;
    return v;
}

static uintptr_t address_of(const ct_plan *p, uint32_t v) { return (uintptr_t)p->values[v].address; }
size_t bytes_of(const ct_plan *p, uint32_t v) { return ct_shape_bytes(&p->values[v].shape); }

static bool overlap(uintptr_t a, size_t a_bytes, uintptr_t b, size_t b_bytes)
{
    return a_bytes && b_bytes && a < b + b_bytes && b < a + a_bytes;
}

/* ---- the two runs ------------------------------------------------------------------------------- */

typedef struct run {
    const subject *s;
    symbols table;
    memory bytes;
    uint32_t *recorded; /* symbol of every value by the trace; of a leaf: as it is now */
    bool *kept_by_trace;
    size_t at; /* in the key */
    uint32_t externals;
    step trace, planned;
} run;

const char *name_of(const ct_plan *p, uint32_t k) { return ct_plan_op(p, &p->records[k])->name; }

/* The next record of the key, executed on the recorded symbols. */
static bool run_trace(run *r, uint32_t k)
{
    const subject *s = r->s;
    const ct_plan *p = s->plan;
    while (r->at + 1 < s->n_key && (s->key[r->at] & 0xffff) == 0xffff) r->at += 2;
    if (r->at >= s->n_key) return wrong(s, "the key has fewer records than the plan");
    uint64_t header = s->key[r->at++];
    step *t = &r->trace;
    t->index = k;
    t->op = (uint16_t)(header & 0xffff);
    t->n_attr = header >> 24 & 0xff;
    t->n_in = header >> 32 & 0xffffff;
    uint32_t n_out = (uint32_t)(header >> 56), values[MAX_INPUTS];
    if (!ct_op_of(p->ctx, t->op) || t->n_in > MAX_INPUTS || t->n_attr > 16)
        return wrong(s, "record %u of the key is none", k);
    if (n_out != p->records[k].n_out || t->n_in != p->records[k].n_in)
        return wrong(s, "record %u (%s): the key has other numbers of operands", k, name_of(p, k));
    for (uint32_t i = 0; i < t->n_in; i++) {
        uint64_t word = s->key[r->at++];
        bool external = word & CT_REF_LEAF;
        values[i] = (uint32_t)(word & ~(uint64_t)CT_REF_LEAF) + (external ? 0 : p->n_externals);
        if (external && values[i] == r->externals) {
            const ct_plan_value *v = &p->values[values[i]];
            const uint64_t *d = s->key + r->at;
            if (d[0] != address_of(p, values[i]) || (d[1] & 0xff) != (uint64_t)v->shape.ndim ||
                (d[1] >> 8 & 0xff) != (uint64_t)v->shape.dtype || (d[1] >> 16 & 1) != (uint64_t)v->leaf)
                return wrong(s, "external %u is not what the key says", values[i]);
            for (int j = 0; j < v->shape.ndim; j++)
                if (d[2 + j] != (uint64_t)v->shape.dim[j]) return wrong(s, "external %u has another shape", values[i]);
            r->at += 2 + (d[1] & 0xff);
            r->externals++;
        }
        if (values[i] >= p->n_values) return wrong(s, "record %u: operand %u is no value", k, i);
        t->in[i] = (operand){r->recorded[values[i]], p->values[values[i]].shape};
        if (t->in[i].shape.numel == 0) t->in[i].symbol = S_EMPTY;
    }
    for (uint32_t i = 0; i < t->n_attr; i++) t->attr[i] = (int64_t)s->key[r->at++];
    for (uint32_t i = 0; i < n_out; i++) {
        uint32_t out = ct_plan_out(p, &p->records[k], i)->value;
        if (out >= p->n_values || p->values[out].external) return wrong(s, "record %u: output %u is no value", k, i);
        r->recorded[out] = result(&r->table, t, i, &p->values[out].shape);
        r->kept_by_trace[out] |= header >> 16 & CT_RECORD_KEEP;
    }
    uint32_t after[MAX_INPUTS];
    for (uint32_t i = 0; i < t->n_in; i++)
        if (access_of(t->op, i, t->attr) & CT_WRITE) after[i] = written(&r->table, t, i);
    for (uint32_t i = 0; i < t->n_in; i++)
        if (access_of(t->op, i, t->attr) & CT_WRITE) r->recorded[values[i]] = after[i];
    return true;
}

/* No kernel may write over what it reads, but for an elementwise one in the same place. */
static bool check_overlaps(const run *r, uint32_t k)
{
    const ct_plan *p = r->s->plan;
    const ct_plan_record *record = &p->records[k];
    for (uint32_t o = 0; o < record->n_out; o++) {
        uint32_t out = ct_plan_out(p, record, o)->value;
        uintptr_t to = address_of(p, out);
        if (!to) continue;
        for (uint32_t j = o + 1; j < record->n_out; j++) {
            uint32_t other = ct_plan_out(p, record, j)->value;
            if (address_of(p, other) && overlap(to, bytes_of(p, out), address_of(p, other), bytes_of(p, other)))
                return wrong(r->s, "record %u (%s): outputs %u and %u overlap", k, name_of(p, k), o, j);
        }
        for (uint32_t i = 0; i < record->n_in; i++) {
            uint32_t in = ct_plan_in(p, record, i)->value;
            if (in == CT_NO_VALUE || !overlap(to, bytes_of(p, out), address_of(p, in), bytes_of(p, in))) continue;
            bool in_place = (ct_plan_op(p, record)->flags & CT_OP_ELEMENTWISE) && to == address_of(p, in) &&
                            p->values[in].shape.numel == p->values[out].shape.numel &&
                            ct_dtype_bytes(p->values[in].shape.dtype) == ct_dtype_bytes(p->values[out].shape.dtype);
            if (!in_place) return wrong(r->s, "record %u (%s): its output lies on input %u", k, name_of(p, k), i);
        }
    }
    for (uint32_t i = 0; record->scratch_bytes && i < record->n_in + record->n_out; i++) {
        uint32_t v = ct_plan_in(p, record, i)->value;
        if (v != CT_NO_VALUE && address_of(p, v) &&
            overlap((uintptr_t)record->scratch, record->scratch_bytes, address_of(p, v), bytes_of(p, v)))
            return wrong(r->s, "record %u (%s): its scratch lies on operand %u", k, name_of(p, k), i);
    }
    return true;
}

/* Record k of the plan, executed on the bytes. The trace has run up to and with k. */
static bool run_plan(run *r, uint32_t k)
{
    const subject *s = r->s;
    const ct_plan *p = s->plan;
    const ct_plan_record *record = &p->records[k];
    if (!record->live) return true;
    step *t = &r->planned;
    t->index = k;
    t->op = record->op;
    t->n_attr = record->n_attr;
    t->n_in = record->n_in;
    for (uint32_t i = 0; i < t->n_attr; i++) t->attr[i] = p->attrs[record->attr + i];
    /* An accumulate on zeros is a store: only the leaf's old contents are no longer read. */
    bool rewritten = t->op != r->trace.op;
    if (rewritten && !(t->op == CT_OP_assign && r->trace.op == CT_OP_accumulate))
        return wrong(s, "record %u: %s has become %s", k, ct_op_of(p->ctx, r->trace.op)->name, name_of(p, k));
    if (record->aliased) {
        uint32_t in = ct_plan_in(p, record, 0)->value, out = ct_plan_out(p, record, 0)->value;
        if (!(ct_plan_op(p, record)->flags & CT_OP_ALIAS))
            return wrong(s, "record %u (%s) is no alias", k, name_of(p, k));
        if (address_of(p, in) != address_of(p, out)) return wrong(s, "record %u: the alias lies elsewhere", k);
        return true;
    }
    for (uint32_t i = 0; i < t->n_in; i++) {
        const ct_plan_operand *o = ct_plan_in(p, record, i);
        t->in[i] = (operand){S_BROKEN, {0}};
        if (o->value == CT_NO_VALUE) {
            if (t->op != CT_OP_zero) return wrong(s, "record %u (%s): operand %u is dropped", k, name_of(p, k), i);
            continue;
        }
        t->in[i].shape = p->values[o->value].shape;
        if ((o->access & CT_UPDATE) != access_of(t->op, i, t->attr))
            return wrong(s, "record %u (%s): operand %u has access %u", k, name_of(p, k), i, o->access);
        if (bytes_of(p, o->value) && !address_of(p, o->value))
            return wrong(s, "record %u (%s): operand %u has no memory", k, name_of(p, k), i);
        if (!(o->access & CT_READ)) continue;
        uintptr_t from = address_of(p, o->value);
        t->in[i].symbol = get(&r->bytes, from, from + bytes_of(p, o->value));
        if (t->in[i].symbol == S_BROKEN || t->in[i].symbol == S_SCRATCH)
            return wrong(s, "record %u (%s): the bytes of operand %u (value %u) are not intact", k, name_of(p, k), i,
                         o->value);
    }
    if (!check_overlaps(r, k)) return false;
    if (record->scratch_bytes) {
        uintptr_t from = (uintptr_t)record->scratch;
        if (!from) return wrong(s, "record %u (%s) has no scratch", k, name_of(p, k));
        put(&r->bytes, from, from + record->scratch_bytes, S_SCRATCH);
    }
    for (uint32_t i = 0; i < record->n_out; i++) {
        uint32_t out = ct_plan_out(p, record, i)->value;
        const ct_plan_value *v = &p->values[out];
        uint32_t made = result(&r->table, t, i, &v->shape);
        if (made != r->recorded[out])
            return wrong(s, "record %u (%s) does not compute what was recorded: it reads something else", k,
                         name_of(p, k));
        uintptr_t to = address_of(p, out);
        if (!to) continue;
        if (record->adds) {
            if (t->op != CT_OP_matmul) return wrong(s, "record %u (%s) cannot add", k, name_of(p, k));
            uint32_t before = get(&r->bytes, to, to + bytes_of(p, out));
            if (before == S_BROKEN)
                return wrong(s, "record %u (%s) adds to bytes that are not intact", k, name_of(p, k));
            made = added(&r->table, before, made);
        }
        put(&r->bytes, to, to + bytes_of(p, out), made);
    }
    for (uint32_t i = 0; i < record->n_in; i++) {
        const ct_plan_operand *o = ct_plan_in(p, record, i);
        if (o->value == CT_NO_VALUE || !(o->access & CT_WRITE)) continue;
        if (!p->values[o->value].leaf)
            return wrong(s, "record %u (%s) writes a value that is no leaf", k, name_of(p, k));
        uintptr_t to = address_of(p, o->value);
        put(&r->bytes, to, to + bytes_of(p, o->value), written(&r->table, t, i));
    }
    return true;
}

static bool check_end(run *r)
{
    const subject *s = r->s;
    const ct_plan *p = s->plan;
    while (r->at + 1 < s->n_key && (s->key[r->at] & 0xffff) == 0xffff) {
        uint64_t k = s->key[r->at + 1];
        if (k >= p->n_records) return wrong(s, "the key keeps record %llu, which is not there", (unsigned long long)k);
        for (uint32_t i = 0; i < p->records[k].n_out; i++)
            r->kept_by_trace[ct_plan_out(p, &p->records[k], i)->value] = true;
        r->at += 2;
    }
    if (r->at != s->n_key) return wrong(s, "the key has more records than the plan");
    for (uint32_t i = 0; i < p->n_values; i++) {
        const ct_plan_value *v = &p->values[i];
        uintptr_t from = address_of(p, i);
        size_t bytes = bytes_of(p, i);
        bool wanted = v->external || (!p->final && r->kept_by_trace[i]);
        if (!v->external && !p->final && r->kept_by_trace[i] != v->kept)
            return wrong(s, "value %u is %s, against what was recorded", i, v->kept ? "kept" : "not kept");
        if (p->final && v->kept) return wrong(s, "value %u is kept at a final end", i);
        if (!wanted || !bytes) continue;
        if (!from) return wrong(s, "value %u has no memory at the end", i);
        uint32_t holds = get(&r->bytes, from, from + bytes);
        if (holds != r->recorded[i])
            return wrong(s, "%s %u %s at the end",
                         v->leaf       ? "leaf"
                         : v->external ? "the earlier value"
                                       : "the kept value",
                         i, holds == S_BROKEN ? "is not intact" : "holds something else than was recorded");
    }
    return true;
}

/* Marks in the midst of a key keep values too: they count at the end, wherever they stand. */
static void note_marks(run *r)
{
    const subject *s = r->s;
    const ct_plan *p = s->plan;
    size_t at = CT_KEY_HEADER;
    uint32_t externals = 0;
    while (at < s->n_key) {
        uint64_t word = s->key[at++];
        if ((word & 0xffff) == 0xffff) {
            uint64_t k = s->key[at++];
            for (uint32_t i = 0; k < p->n_records && i < p->records[k].n_out; i++)
                r->kept_by_trace[ct_plan_out(p, &p->records[k], i)->value] = true;
            continue;
        }
        uint32_t n_in = word >> 32 & 0xffffff;
        for (uint32_t i = 0; i < n_in; i++) {
            uint64_t o = s->key[at++];
            if (!(o & CT_REF_LEAF) || (o & ~(uint64_t)CT_REF_LEAF) != externals) continue;
            externals++;
            at += 2 + (s->key[at + 1] & 0xff);
        }
        at += word >> 24 & 0xff;
    }
}

static bool check_run(const subject *s)
{
    const ct_plan *p = s->plan;
    static run r;
    r = (run){.s = s, .table = {.ctx = p->ctx}, .at = CT_KEY_HEADER};
    r.recorded = calloc(p->n_values + 1, sizeof *r.recorded);
    r.kept_by_trace = calloc(p->n_values + 1, sizeof *r.kept_by_trace);
    for (uint32_t i = 0; i < p->n_externals; i++) {
        /* By address: a value of an earlier segment and a reshape of it are the same bytes. */
        uintptr_t from = address_of(p, i);
        r.recorded[i] = bytes_of(p, i) ? intern(&r.table, (uint64_t[]){W_EXTERNAL, from, bytes_of(p, i)}, 3) : S_EMPTY;
        put(&r.bytes, from, from + bytes_of(p, i), r.recorded[i]);
    }
    note_marks(&r);
    bool sound = true;
    for (uint32_t k = 0; sound && k < p->n_records; k++) sound = run_trace(&r, k) && run_plan(&r, k);
    sound = sound && check_end(&r);
    free(r.recorded);
    free(r.kept_by_trace);
    free(r.table.list);
    free(r.table.words);
    free(r.bytes.list);
    return sound;
}

/* ---- places --------------------------------------------------------------------------------------- */

typedef struct lifetime {
    size_t offset, bytes;
    uint32_t first, last; /* records; UINT32_MAX: to the end */
    bool used;
} lifetime;

static void touch(lifetime *l, uint32_t k)
{
    if (!l->used || k < l->first) l->first = k;
    if (!l->used || (l->last != UINT32_MAX && k > l->last)) l->last = k;
    l->used = true;
}

static bool check_place(const subject *s, const char *what, uint32_t i, size_t offset, size_t bytes)
{
    const ct_plan *p = s->plan;
    if (offset % CT_POOL_ALIGN) return wrong(s, "%s %u lies at %zu: not aligned", what, i, offset);
    if (offset < p->base) return wrong(s, "%s %u lies at %zu, below the base %zu", what, i, offset, p->base);
    if (offset + bytes > p->end)
        return wrong(s, "%s %u ends at %zu, behind the plan's end %zu", what, i, offset + bytes, p->end);
    return true;
}

static bool check_places(const subject *s)
{
    const ct_plan *p = s->plan;
    bool sound = true;
    if (p->base % CT_POOL_ALIGN || p->kept_end < p->base || p->end < p->kept_end)
        return wrong(s, "base %zu, kept end %zu, end %zu", p->base, p->kept_end, p->end);
    if (p->end > p->base && (!s->arena || p->end > s->arena_bytes))
        return wrong(s, "the plan needs %zu bytes, the arena has %zu", p->end, s->arena ? s->arena_bytes : 0);
    if (s->arena && (uintptr_t)s->arena % CT_POOL_ALIGN) return wrong(s, "the arena is not aligned");

    size_t n = p->n_values + p->n_records;
    lifetime *lives = calloc(n + 1, sizeof *lives);
    for (uint32_t k = 0; k < p->n_records; k++) {
        const ct_plan_record *r = &p->records[k];
        for (uint32_t i = 0; r->live && i < r->n_in + r->n_out; i++) {
            uint32_t v = ct_plan_in(p, r, i)->value;
            if (v != CT_NO_VALUE && address_of(p, v)) touch(&lives[root_of(p, v)], k);
        }
        if (!r->live || !r->scratch_bytes) continue;
        lives[p->n_values + k] = (lifetime){r->scratch_offset, r->scratch_bytes, k, k, true};
        sound = sound && check_place(s, "the scratch of record", k, r->scratch_offset, r->scratch_bytes);
    }
    for (uint32_t i = 0; sound && i < p->n_values; i++) {
        const ct_plan_value *v = &p->values[i];
        uint32_t root = root_of(p, i);
        if (p->values[root].storage != root) sound = wrong(s, "the storage of value %u goes round in a circle", i);
        if (v->external || !sound) continue;
        if (v->kept && bytes_of(p, i)) {
            if (p->values[root].leaf) sound = wrong(s, "the kept value %u lies in a leaf, which may be written", i);
            lives[root].last = UINT32_MAX;
            if (!p->values[root].external &&
                (p->values[root].offset < p->base || p->values[root].offset + bytes_of(p, root) > p->kept_end))
                sound = wrong(s, "the kept value %u lies outside [base, kept end)", i);
        }
        if (root != i && bytes_of(p, root) != bytes_of(p, i))
            sound = wrong(s, "value %u shares memory of another size", i);
        if (root != i || v->offset == SIZE_MAX || !sound) continue;
        lives[i].offset = v->offset, lives[i].bytes = bytes_of(p, i);
        sound = check_place(s, "value", i, v->offset, bytes_of(p, i));
        if (sound && !s->debug && address_of(p, i) != (uintptr_t)s->arena + v->offset)
            sound = wrong(s, "value %u has an address that is not its offset's", i);
    }
    for (size_t i = 0; sound && i < n; i++)
        for (size_t j = i + 1; sound && j < n; j++) {
            const lifetime *a = &lives[i], *b = &lives[j];
            if (!a->used || !b->used || a->first > b->last || b->first > a->last) continue;
            if (overlap(a->offset, a->bytes, b->offset, b->bytes))
                sound = wrong(s, "%s %zu and %s %zu live at the same time in the same bytes",
                              i < p->n_values ? "value" : "scratch", i < p->n_values ? i : i - p->n_values,
                              j < p->n_values ? "value" : "scratch", j < p->n_values ? j : j - p->n_values);
        }
    free(lives);
    return sound;
}

/* ---- launches ------------------------------------------------------------------------------------- */

/* Launches stand in the order of the records, and touch operands, scratch and the program's constants only. */
static bool check_launches(const subject *s)
{
    const ct_plan *p = s->plan;
    const ct_program *program = s->program;
    for (uint32_t i = 0; program && i < program->code.n_launches; i++) {
        const ct_launch *l = &program->code.launches[i];
        if (l->record >= p->n_records || (i && l->record < program->code.launches[i - 1].record))
            return wrong(s, "launch %u is out of order", i);
        const ct_plan_record *r = &p->records[l->record];
        if (!r->live || r->aliased)
            return wrong(s, "launch %u is of record %u, which has nothing to launch", i, l->record);
        const ct_plan_record *folded = l->folded == CT_NOT_FOLDED ? NULL : &p->records[l->folded];
        if (folded && (folded->op != CT_OP_act_grad || address_of(p, ct_plan_in(p, folded, 0)->value) !=
                                                           address_of(p, ct_plan_out(p, folded, 0)->value)))
            return wrong(s, "launch %u does the work of record %u, which is no epilogue in place", i, l->folded);
        for (size_t j = 0; j < sizeof l->args.p / sizeof *l->args.p; j++) {
            void *at = l->args.p[j];
            bool known =
                !at || at == r->scratch || (folded && at == p->values[ct_plan_in(p, folded, 1)->value].address);
            for (uint32_t o = 0; !known && o < r->n_in + r->n_out; o++) {
                uint32_t v = ct_plan_in(p, r, o)->value;
                known = v != CT_NO_VALUE && at == p->values[v].address;
            }
            for (size_t b = 0; !known && b < program->n_blocks; b++) known = at == program->blocks[b];
            if (!known) return wrong(s, "launch %u (%s) has an address that is no operand's", i, name_of(p, l->record));
        }
    }
    return true;
}

/* ---- all programs ----------------------------------------------------------------------------------- */

subject subject_of(ct_context *ctx, const ct_program *p, char *why, size_t bytes)
{
    return (subject){.plan = &p->plan,
                     .key = p->key,
                     .n_key = p->n_key,
                     .arena = p->arena ? p->arena->memory : NULL,
                     .arena_bytes = p->arena ? p->arena->bytes : 0,
                     .debug = ct_pool_debug(ctx),
                     .program = p,
                     .why = why,
                     .why_bytes = bytes};
}

bool check_subject(const subject *s) { return check_places(s) && check_run(s) && check_launches(s); }

int check_programs(ct_context *ctx, char *why, size_t bytes)
{
    int n = 0;
    for (size_t i = 0; i < CT_PROGRAM_BUCKETS; i++)
        for (const ct_program *p = ctx->programs->buckets[i]; p; p = p->chain, n++) {
            subject s = subject_of(ctx, p, why, bytes);
            if (!check_subject(&s)) return -1;
        }
    return n;
}

void count_plans(ct_context *ctx, plan_census *c)
{
    *c = (plan_census){0};
    for (size_t i = 0; i < CT_PROGRAM_BUCKETS; i++)
        for (const ct_program *program = ctx->programs->buckets[i]; program; program = program->chain) {
            const ct_plan *p = &program->plan;
            c->programs++;
            for (uint32_t k = 0; k < p->n_records; k++) {
                const ct_plan_record *r = &p->records[k];
                c->records++;
                c->dead += !r->live;
                c->aliased += r->aliased;
                c->adds += r->live && r->adds;
                c->scratch += r->live && r->scratch_bytes > 0;
                for (uint32_t o = 0; r->live && o < r->n_out; o++) {
                    uint32_t v = ct_plan_out(p, r, o)->value;
                    c->stored += p->values[v].stored;
                    c->in_place += !r->aliased && !p->values[v].stored && p->values[v].storage != v;
                }
            }
        }
}

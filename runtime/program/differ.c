/* Says why a segment is no program, from its key and the key of the program most like it:
 * the first record that differs, old and new. Runs on a miss only. */
#include "program/program.h"

#include <stdio.h>
#include <string.h>

/* A cursor over the records of a key. */
typedef struct reader {
    const ct_context *ctx;
    const uint64_t *key;
    size_t n, at;
    uint32_t externals; /* named so far */
} reader;

/* One record as the key tells it. */
typedef struct key_record {
    const ct_op *op;           /* NULL at the end                                    */
    size_t start, header, end; /* words: marks, then the record                      */
    uint32_t n_in, n_attr;
    uint32_t named;    /* externals named before it                          */
    uint32_t external; /* one it names anew, UINT32_MAX: none                */
    size_t descriptor; /* word of that external's address                    */
} key_record;

/* Reads an operand. If it names an external anew: where its address, dtype and sizes stand. */
static bool names_external(reader *r, size_t *descriptor)
{
    const uint64_t operand = r->key[r->at++];
    if (!(operand & CT_REF_LEAF) || (operand & ~(uint64_t)CT_REF_LEAF) != r->externals) return false;
    *descriptor = r->at;
    r->externals++;
    r->at += 2 + (r->key[r->at + 1] & 0xff);
    return true;
}

static key_record next_record(reader *r)
{
    key_record k = {.start = r->at, .named = r->externals, .external = UINT32_MAX};
    while (r->at < r->n && (r->key[r->at] & 0xffff) == 0xffff) r->at += 2; /* a mark to keep a value */
    k.header = k.end = r->at;
    if (r->at >= r->n) return k;
    const uint64_t header = r->key[r->at++];
    k.op = ct_op_of(r->ctx, header & 0xffff);
    k.n_in = header >> 32 & 0xffffff;
    for (uint32_t i = 0; i < k.n_in; i++) {
        const uint32_t external = r->externals;
        size_t descriptor;
        if (!names_external(r, &descriptor) || k.external != UINT32_MAX) continue;
        k.external = external;
        k.descriptor = descriptor;
    }
    k.n_attr = header >> 24 & 0xff;
    r->at += k.n_attr;
    k.end = r->at;
    return k;
}

/* ---- the first difference ------------------------------------------------------------------------ */

typedef struct difference {
    const ct_program *old;
    int number; /* of the record; how many there are if none differs */
    key_record was, is;
    bool none;
} difference;

static difference first_difference(const ct_context *ctx, const ct_program *old)
{
    const ct_tape *t = ctx->tape;
    reader a = {ctx, old->key, old->n_key, CT_KEY_HEADER, 0}, b = {ctx, t->key, t->n_key, CT_KEY_HEADER, 0};
    difference d = {.old = old};
    for (;; d.number++) {
        d.was = next_record(&a);
        d.is = next_record(&b);
        const size_t length = d.was.end - d.was.start;
        const bool same = d.was.op == d.is.op && length == d.is.end - d.is.start &&
                          memcmp(old->key + d.was.start, t->key + d.is.start, length * sizeof *t->key) == 0;
        d.none = same && !d.was.op;
        if (!same || d.none) return d;
    }
}

/* Records in common, and half a one for the same op in the first that differs. */
static int likeness(const difference *d) { return 2 * d->number + (d->was.op == d->is.op); }

/* To the program that has most in common with the segment, of several the one played last. */
static difference least_difference(ct_context *ctx)
{
    difference least = {0};
    for (size_t i = 0; i < CT_PROGRAM_BUCKETS; i++)
        for (const ct_program *p = ctx->programs->buckets[i]; p; p = p->chain) {
            const difference d = first_difference(ctx, p);
            const int more = least.old ? likeness(&d) - likeness(&least) : 1;
            if (more > 0 || (more == 0 && p->used > least.old->used)) least = d;
        }
    return least;
}

/* Of the externals that both records name anew, the first that differs tells most. */
static bool find_external(const ct_context *ctx, difference *d)
{
    const ct_tape *t = ctx->tape;
    if (d->was.op != d->is.op || d->was.n_in != d->is.n_in) return false;
    reader a = {ctx, d->old->key, d->old->n_key, d->was.header + 1, d->was.named};
    reader b = {ctx, t->key, t->n_key, d->is.header + 1, d->is.named};
    for (uint32_t i = 0; i < d->is.n_in; i++) {
        const uint32_t external[2] = {a.externals, b.externals};
        size_t was, is;
        const bool both = names_external(&a, &was) & names_external(&b, &is);
        if (!both || memcmp(a.key + was, b.key + is, (a.at - was) * sizeof *a.key) == 0) continue;
        d->was.external = external[0];
        d->was.descriptor = was;
        d->is.external = external[1];
        d->is.descriptor = is;
        return true;
    }
    return false;
}

/* ---- in words ------------------------------------------------------------------------------------ */

/* "matmul of f32 [64,784] at 0x..." */
static void describe(const uint64_t *key, const key_record *k, char *text, size_t bytes)
{
    if (!k->op) {
        snprintf(text, bytes, "the end of the segment");
        return;
    }
    size_t used = (size_t)snprintf(text, bytes, "%s", k->op->name);
    if (k->external == UINT32_MAX || used >= bytes) return;
    const uint64_t *d = key + k->descriptor;
    used += (size_t)snprintf(text + used, bytes - used, " of %s [", ct_dtype_name((int32_t)(d[1] >> 8 & 0xff)));
    for (uint64_t i = 0; i < (d[1] & 0xff) && used < bytes; i++)
        used += (size_t)snprintf(text + used, bytes - used, "%s%lld", i ? "," : "", (long long)d[2 + i]);
    if (used < bytes) snprintf(text + used, bytes - used, "] at 0x%llx", (unsigned long long)d[0]);
}

#define IS_LEAF ((uint64_t)1 << 16) /* in the second word of a descriptor */

/* The same op with the same new externals and attributes: what else differs. */
static void say_rest(const ct_tape *t, const difference *d, char *text, size_t bytes)
{
    const uint64_t *was = d->old->key + d->was.header, *is = t->key + d->is.header;
    const uint64_t flags = (was[0] ^ is[0]) >> 16 & 0xff;
    if (d->was.n_in != d->is.n_in)
        snprintf(text, bytes, ": with %u operands, which were %u", d->is.n_in, d->was.n_in);
    else if (flags & CT_RECORD_GRAD)
        snprintf(text, bytes, ": it %s a gradient now", is[0] >> 16 & CT_RECORD_GRAD ? "requires" : "requires no");
    else if (flags & CT_RECORD_HOOK)
        snprintf(text, bytes, ": it is %s by a gradient hook", is[0] >> 16 & CT_RECORD_HOOK ? "now" : "no longer");
    else if (flags || d->was.header - d->was.start != d->is.header - d->is.start)
        snprintf(text, bytes, ": other results are kept than before");
    else {
        reader a = {.key = d->old->key, .n = d->old->n_key, .at = d->was.header + 1, .externals = d->was.named};
        reader b = {.key = t->key, .n = t->n_key, .at = d->is.header + 1, .externals = d->is.named};
        for (uint32_t i = 0; i < d->is.n_in; i++) {
            const bool other = a.key[a.at] != b.key[b.at];
            size_t descriptor;
            if (other) {
                snprintf(text, bytes, ": its operand %u is another tensor of the step", i);
                return;
            }
            names_external(&a, &descriptor);
            names_external(&b, &descriptor);
        }
    }
}

static const char *advice(const ct_tape *t, const difference *d, bool found)
{
    const bool same_op = d->was.op == d->is.op && d->was.n_attr == d->is.n_attr;
    if (!found)
        return same_op && memcmp(d->old->key + d->was.end - d->was.n_attr, t->key + d->is.end - d->is.n_attr,
                                 d->is.n_attr * sizeof *t->key)
                   ? ": another attribute, such as a size, a dim or a bound; each is a program of its own"
                   : "";
    const uint64_t *was = d->old->key + d->was.descriptor, *is = t->key + d->is.descriptor;
    const bool alike = was[1] == is[1] && memcmp(was + 2, is + 2, (is[1] & 0xff) * sizeof *is) == 0;
    if (!alike) return ": another shape or dtype; each is a program of its own, so use few, and pad to them";
    return is[1] & IS_LEAF ? ": a leaf made anew; make it once, and ct_write it" : "";
}

void ct_program_explain_miss(ct_context *ctx, char *text, size_t bytes)
{
    const ct_tape *t = ctx->tape;
    difference d = least_difference(ctx);
    if (!d.old) {
        snprintf(text, bytes, "no program was compiled before");
        return;
    }
    if (d.none) {
        snprintf(text, bytes,
                 d.old->key[0] != t->key[0] ? "the same records, with another end or training mode"
                                            : "the same records, behind another start of the step");
        return;
    }
    const bool found = find_external(ctx, &d);
    char rest[100] = "";
    const char *why = advice(t, &d, found);
    if (!found && !*why && d.is.op && d.was.op == d.is.op) say_rest(t, &d, rest, sizeof rest);
    char before[200], now[200];
    describe(d.old->key, &d.was, before, sizeof before);
    describe(t->key, &d.is, now, sizeof now);
    const char *name = d.is.external < t->n_externals && ct_ref_is_leaf(t->externals[d.is.external])
                           ? ct_leaf_at(ctx, t->externals[d.is.external])->name
                           : NULL;
    snprintf(text, bytes, "record %d is now %s%s%s%s; in the program most like it, it was %s%s%s", d.number, now,
             name ? " (" : "", name ? name : "", name ? ")" : "", before, why, rest);
}

/* Says why a segment is not the program it resembles, from their two keys: the first
 * record that differs, old and new. Runs on a miss only. */
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
    const ct_op *op;   /* NULL at the end                                    */
    size_t start, end; /* words                                              */
    uint32_t external; /* first external it names anew, UINT32_MAX: none     */
    size_t descriptor; /* word of that external's address                    */
} key_record;

static key_record next_record(reader *r)
{
    key_record k = {.start = r->at, .external = UINT32_MAX};
    while (r->at < r->n && (r->key[r->at] & 0xffff) == 0xffff) r->at += 2; /* a mark to keep a value */
    if (r->at >= r->n) {
        k.end = r->at;
        return k;
    }
    uint64_t header = r->key[r->at++];
    k.op = ct_op_of(r->ctx, header & 0xffff);
    uint32_t n_in = header >> 32 & 0xffffff, n_attr = header >> 24 & 0xff;
    for (uint32_t i = 0; i < n_in; i++) {
        uint64_t operand = r->key[r->at++];
        if (!(operand & CT_REF_LEAF) || (operand & ~(uint64_t)CT_REF_LEAF) != r->externals) continue;
        if (k.external == UINT32_MAX) k.external = r->externals, k.descriptor = r->at;
        r->externals++;
        r->at += 2 + (r->key[r->at + 1] & 0xff);
    }
    r->at += n_attr;
    k.end = r->at;
    return k;
}

/* "f32 [64,784] at 0x..." of the external a record names first. */
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

static bool moved_only(const uint64_t *old_key, const key_record *was, const uint64_t *new_key, const key_record *is)
{
    if (was->op != is->op || was->external == UINT32_MAX || is->external == UINT32_MAX) return false;
    const uint64_t *a = old_key + was->descriptor, *b = new_key + is->descriptor;
    return a[0] != b[0] && a[1] == b[1] && memcmp(a + 2, b + 2, (a[1] & 0xff) * sizeof *a) == 0;
}

void ct_program_explain_miss(ct_context *ctx, const ct_program *old, char *text, size_t bytes)
{
    const ct_tape *t = ctx->tape;
    reader a = {ctx, old->key, old->n_key, CT_KEY_HEADER, 0}, b = {ctx, t->key, t->n_key, CT_KEY_HEADER, 0};
    for (int number = 0;; number++) {
        key_record was = next_record(&a), is = next_record(&b);
        size_t length = was.end - was.start;
        bool same = was.op == is.op && length == is.end - is.start &&
                    memcmp(old->key + was.start, t->key + is.start, length * sizeof *t->key) == 0;
        if (same && was.op) continue;
        if (same) {
            snprintf(text, bytes,
                     old->key[0] != t->key[0] ? "the same records, with another end or training mode"
                                              : "the same records, behind another start of the step");
            return;
        }
        char before[200], now[200];
        describe(old->key, &was, before, sizeof before);
        describe(t->key, &is, now, sizeof now);
        const char *name = is.external < t->n_externals && ct_ref_is_leaf(t->externals[is.external])
                               ? ct_leaf_at(ctx, t->externals[is.external])->name
                               : NULL;
        snprintf(text, bytes, "record %d is now %s%s%s%s; in the program before it was %s%s", number, now,
                 name ? " (" : "", name ? name : "", name ? ")" : "", before,
                 moved_only(old->key, &was, t->key, &is) ? ": a leaf made anew instead of written with ct_write" : "");
        return;
    }
}

/* Rewrites of a plan, before it is placed:
 *   - a product takes in the transpose of an operand;
 *   - an elementwise op reads the source of an expand;
 *   - zero, then accumulate, becomes a plain store: the maker writes into the leaf;
 *   - a product whose result is only accumulated adds into the leaf.
 * None looks at how the segment ends, so that an open and a final end give one rounding.
 */
#include "ops/matrix.h"
#include "program/plan.h"

static ct_plan_operand *in(ct_plan *p, const ct_plan_record *r, uint32_t i) { return &p->operands[r->operand + i]; }

/* The last operand, of the records so far, that touched a value. */
typedef struct touch {
    uint32_t record, operand; /* CT_NEVER: none did */
} touch;

static void forget(const ct_plan *p, touch *last)
{
    for (uint32_t i = 0; i < p->n_values; i++) last[i] = (touch){CT_NEVER, CT_NEVER};
}

/* Note whom record k touches with this access. */
static void note(const ct_plan *p, touch *last, uint32_t k, uint32_t access)
{
    const ct_plan_record *r = &p->records[k];
    for (uint32_t i = 0; i < r->n_in; i++) {
        const ct_plan_operand *o = ct_plan_in(p, r, i);
        if (o->value != CT_NO_VALUE && (o->access & access)) last[o->value] = (touch){k, r->operand + i};
    }
}

/* By record k or one behind it? */
static bool touched_from(const touch *t, uint32_t k) { return t->record != CT_NEVER && t->record >= k; }

/* Let record k read, as operand i, the source of the op that made the operand. `written`: who wrote a value last. */
static bool read_through(ct_plan *p, const touch *written, uint32_t k, uint32_t i, ct_opcode through)
{
    ct_plan_operand *o = in(p, &p->records[k], i);
    if (o->value == CT_NO_VALUE || o->access != CT_READ) return false;
    uint32_t maker = p->values[o->value].maker;
    if (maker == CT_NEVER || p->records[maker].op != through) return false;
    uint32_t source = ct_plan_in(p, &p->records[maker], 0)->value;
    if (p->values[source].leaf && touched_from(&written[source], maker)) return false;
    p->values[o->value].readers--;
    p->values[source].readers++;
    o->value = source;
    return true;
}

static void take_in_transposes(ct_plan *p, const touch *written, uint32_t k)
{
    ct_plan_record *r = &p->records[k];
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t value = in(p, r, i)->value, maker = p->values[value].maker;
        if (maker == CT_NEVER || p->records[maker].op != CT_OP_transpose) continue;
        int ndim = p->values[value].shape.ndim;
        const int64_t *dims = &p->attrs[p->records[maker].attr];
        bool last_two = (dims[0] == ndim - 1 && dims[1] == ndim - 2) || (dims[0] == ndim - 2 && dims[1] == ndim - 1);
        if (last_two && read_through(p, written, k, i, CT_OP_transpose)) p->attrs[r->attr + i] ^= 1;
    }
}

/* Record k is accumulate(leaf, value). `last`: who touched a value last. */
static void store_accumulated(ct_plan *p, const touch *last, uint32_t k)
{
    ct_plan_record *r = &p->records[k];
    uint32_t leaf = in(p, r, 0)->value, value = in(p, r, 1)->value;
    if (value == leaf) return;
    ct_plan_value *v = &p->values[value];
    uint32_t maker = v->maker;
    const touch before = last[leaf];
    /* The maker may write where the accumulate would have, if nobody looks in between, and it does not itself. */
    bool direct = maker != CT_NEVER && !v->named && v->readers == 1 &&
                  !(ct_plan_op(p, &p->records[maker])->flags & CT_OP_ALIAS) && !touched_from(&before, maker);
    if (before.record != CT_NEVER && p->records[before.record].op == CT_OP_zero) {
        p->operands[before.operand].value = CT_NO_VALUE;
        direct = direct && maker > before.record;
        if (!direct) r->op = CT_OP_assign, in(p, r, 0)->access = CT_WRITE;
    } else {
        direct = direct && p->records[maker].op == CT_OP_matmul;
        if (direct) p->records[maker].adds = true;
    }
    if (!direct) return;
    v->storage = leaf;
    v->stored = true;
    r->live = false;
    v->readers = 0;
}

bool ct_plan_rewrite(ct_context *ctx, ct_plan *p)
{
    touch *last = ct_alloc(ctx, p->n_values * sizeof *last);
    if (!last) return false;
    forget(p, last);
    for (uint32_t k = 0; k < p->n_records; k++) {
        const ct_plan_record *r = &p->records[k];
        if (r->op == CT_OP_matmul) take_in_transposes(p, last, k);
        const uint32_t flags = ct_plan_op(p, r)->flags;
        if ((flags & CT_OP_ELEMENTWISE) && !(flags & CT_OP_DENSE))
            for (uint32_t i = 0; i < r->n_in; i++) read_through(p, last, k, i, CT_OP_expand);
        note(p, last, k, CT_WRITE);
    }
    forget(p, last);
    for (uint32_t k = 0; k < p->n_records; k++) {
        if (p->records[k].op == CT_OP_accumulate) store_accumulated(p, last, k);
        note(p, last, k, CT_UPDATE);
    }
    ct_free(ctx, last);
    return true;
}

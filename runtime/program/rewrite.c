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

/* Does a record other than `except` between two (exclusive) touch the value with this access? */
static bool touched_between(const ct_plan *p, uint32_t value, uint32_t access, uint32_t after, uint32_t before,
                            uint32_t except)
{
    for (uint32_t k = after + 1; k < before; k++) {
        const ct_plan_record *r = &p->records[k];
        for (uint32_t i = 0; k != except && i < r->n_in; i++)
            if (ct_plan_in(p, r, i)->value == value && (ct_plan_in(p, r, i)->access & access)) return true;
    }
    return false;
}

/* Let record k read, as operand i, the source of the op that made the operand. */
static bool read_through(ct_plan *p, uint32_t k, uint32_t i, ct_opcode through)
{
    ct_plan_operand *o = in(p, &p->records[k], i);
    if (o->value == CT_NO_VALUE || o->access != CT_READ) return false;
    uint32_t maker = p->values[o->value].maker;
    if (maker == CT_NEVER || p->records[maker].op != through) return false;
    uint32_t source = ct_plan_in(p, &p->records[maker], 0)->value;
    if (p->values[source].leaf && touched_between(p, source, CT_WRITE, maker, k, CT_NEVER)) return false;
    p->values[o->value].readers--;
    p->values[source].readers++;
    o->value = source;
    return true;
}

static void take_in_transposes(ct_plan *p, uint32_t k)
{
    ct_plan_record *r = &p->records[k];
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t value = in(p, r, i)->value, maker = p->values[value].maker;
        if (maker == CT_NEVER || p->records[maker].op != CT_OP_transpose) continue;
        int ndim = p->values[value].shape.ndim;
        const int64_t *dims = &p->attrs[p->records[maker].attr];
        bool last_two = (dims[0] == ndim - 1 && dims[1] == ndim - 2) || (dims[0] == ndim - 2 && dims[1] == ndim - 1);
        if (last_two && read_through(p, k, i, CT_OP_transpose)) p->attrs[r->attr + i] ^= 1;
    }
}

/* The record before k that touched the value last; CT_NEVER if none did. */
static uint32_t last_touch(const ct_plan *p, uint32_t value, uint32_t k, uint32_t except)
{
    while (k-- > 0) {
        const ct_plan_record *r = &p->records[k];
        for (uint32_t i = 0; k != except && i < r->n_in; i++)
            if (ct_plan_in(p, r, i)->value == value) return k;
    }
    return CT_NEVER;
}

static bool reads(const ct_plan *p, uint32_t k, uint32_t value)
{
    const ct_plan_record *r = &p->records[k];
    for (uint32_t i = 0; i < r->n_in; i++)
        if (ct_plan_in(p, r, i)->value == value) return true;
    return false;
}

/* Record k is accumulate(leaf, value). */
static void store_accumulated(ct_plan *p, uint32_t k)
{
    ct_plan_record *r = &p->records[k];
    uint32_t leaf = in(p, r, 0)->value, value = in(p, r, 1)->value;
    if (value == leaf) return;
    ct_plan_value *v = &p->values[value];
    uint32_t maker = v->maker;
    /* The maker may write where the accumulate would have, if nobody looks in between. */
    bool direct = maker != CT_NEVER && !v->named && v->readers == 1 &&
                  !(ct_plan_op(p, &p->records[maker])->flags & CT_OP_ALIAS) && !reads(p, maker, leaf) &&
                  !touched_between(p, leaf, CT_UPDATE, maker, k, CT_NEVER);
    uint32_t zero = last_touch(p, leaf, k, CT_NEVER);
    bool zeroed = zero != CT_NEVER && p->records[zero].op == CT_OP_zero && p->records[zero].live;
    if (zeroed) {
        ct_plan_record *z = &p->records[zero];
        for (uint32_t i = 0; i < z->n_in; i++)
            if (in(p, z, i)->value == leaf) in(p, z, i)->value = CT_NO_VALUE;
        direct = direct && maker > zero;
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

void ct_plan_rewrite(ct_plan *p)
{
    for (uint32_t k = 0; k < p->n_records; k++) {
        const ct_plan_record *r = &p->records[k];
        if (r->op == CT_OP_matmul) take_in_transposes(p, k);
        const uint32_t flags = ct_plan_op(p, r)->flags;
        if ((flags & CT_OP_ELEMENTWISE) && !(flags & CT_OP_DENSE))
            for (uint32_t i = 0; i < r->n_in; i++) read_through(p, k, i, CT_OP_expand);
    }
    for (uint32_t k = 0; k < p->n_records; k++)
        if (p->records[k].op == CT_OP_accumulate) store_accumulated(p, k);
}

/* Faults on purpose: spoils plans in every way that the checker is there to find. See plan_checker.h. */
#include "plan_subject.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    OVERLAP,
    MISALIGN,
    OUTSIDE,
    BELOW,
    KILL,
    SCRATCH,
    FORGET,
    READ_OTHER,
    TRANSPOSE,
    ALIAS_LEAF,
    OMIT_WRITE,
    N_KINDS
};

const char *corruption_name(int kind)
{
    static const char *const names[N_KINDS] = {
        [OVERLAP] = "output placed on a value that is still needed",
        [MISALIGN] = "value off its alignment",
        [OUTSIDE] = "value behind the end",
        [BELOW] = "value below the base",
        [KILL] = "record with readers dropped",
        [SCRATCH] = "scratch on an operand",
        [FORGET] = "kept value forgotten",
        [READ_OTHER] = "operand replaced by another of its size",
        [TRANSPOSE] = "product with the wrong transpose",
        [ALIAS_LEAF] = "alias of a leaf that is written before its last reader",
        [OMIT_WRITE] = "last write to a leaf dropped",
    };
    return kind >= 0 && kind < N_KINDS ? names[kind] : NULL;
}

static void *copy_of(const void *from, size_t bytes)
{
    void *to = malloc(bytes ? bytes : 1);
    if (!to) abort();
    if (bytes) memcpy(to, from, bytes);
    return to;
}

static ct_plan copy_plan(const ct_plan *p)
{
    ct_plan copy = *p;
    copy.values = copy_of(p->values, p->n_values * sizeof *p->values);
    copy.records = copy_of(p->records, p->n_records * sizeof *p->records);
    copy.operands = copy_of(p->operands, p->n_operands * sizeof *p->operands);
    copy.attrs = copy_of(p->attrs, p->n_attrs * sizeof *p->attrs);
    return copy;
}

static void free_copy(ct_plan *p)
{
    free(p->values);
    free(p->records);
    free(p->operands);
    free(p->attrs);
}

static void resolve(const subject *s, ct_plan *p)
{
    for (uint32_t i = p->n_externals; i < p->n_values; i++) {
        uint32_t root = root_of(p, i);
        const ct_plan_value *v = &p->values[root];
        p->values[i].address = v->external             ? v->address
                               : v->offset != SIZE_MAX ? (void *)((uintptr_t)s->arena + v->offset)
                                                       : NULL;
    }
    for (uint32_t k = 0; k < p->n_records; k++)
        if (p->records[k].scratch_bytes)
            p->records[k].scratch = (void *)((uintptr_t)s->arena + p->records[k].scratch_offset);
}

static bool read_after(const ct_plan *p, uint32_t root, uint32_t after)
{
    for (uint32_t k = after + 1; k < p->n_records; k++)
        for (uint32_t i = 0; p->records[k].live && i < p->records[k].n_in; i++) {
            const ct_plan_operand *o = ct_plan_in(p, &p->records[k], i);
            if (o->value != CT_NO_VALUE && (o->access & CT_READ) && root_of(p, o->value) == root) return true;
        }
    return false;
}

static bool writes(const ct_plan *p, uint32_t k, uint32_t leaf)
{
    const ct_plan_record *r = &p->records[k];
    for (uint32_t i = 0; r->live && i < r->n_in; i++)
        if (ct_plan_in(p, r, i)->value == leaf && (ct_plan_in(p, r, i)->access & CT_WRITE)) return true;
    for (uint32_t i = 0; r->live && i < r->n_out; i++)
        if (p->values[ct_plan_out(p, r, i)->value].stored && p->values[ct_plan_out(p, r, i)->value].storage == leaf)
            return true;
    return false;
}

static bool written_again(const ct_plan *p, uint32_t leaf, uint32_t after)
{
    for (uint32_t k = after + 1; k < p->n_records; k++)
        if (writes(p, k, leaf)) return true;
    return false;
}

/* Which records change anything that is seen at the end: the planner leaves a write to a
 * leaf that the next write covers, and to spoil that does no harm. */
static void find_needed(const ct_plan *p, bool *record, bool *value)
{
    for (uint32_t i = 0; i < p->n_values; i++) value[i] = p->values[i].external || p->values[i].kept;
    for (uint32_t k = p->n_records; k-- > 0;) {
        const ct_plan_record *r = &p->records[k];
        record[k] = false;
        for (uint32_t i = 0; r->live && i < r->n_in + r->n_out; i++) {
            const ct_plan_operand *o = ct_plan_in(p, r, i);
            if (o->value == CT_NO_VALUE || (i < r->n_in && !(o->access & CT_WRITE))) continue;
            uint32_t target = p->values[o->value].stored ? p->values[o->value].storage : o->value;
            record[k] |= value[target];
            bool covers = (o->access & CT_UPDATE) == CT_WRITE && !(i >= r->n_in && r->adds);
            if (covers) value[target] = false;
        }
        for (uint32_t i = 0; record[k] && i < r->n_in; i++) {
            const ct_plan_operand *o = ct_plan_in(p, r, i);
            if (o->value != CT_NO_VALUE && (o->access & CT_READ)) value[o->value] = true;
        }
    }
}

static bool has_place(const ct_plan *p, uint32_t v)
{
    return v != CT_NO_VALUE && !p->values[v].external && p->values[v].storage == v && p->values[v].offset != SIZE_MAX;
}

/* Spoils operand i of record k; false where this kind of fault cannot be made there. */
static bool spoil(ct_plan *p, int kind, uint32_t k, uint32_t i)
{
    ct_plan_record *r = &p->records[k];
    bool is_out = i >= r->n_in;
    ct_plan_operand *o = &p->operands[r->operand + i];
    if (!r->live || o->value == CT_NO_VALUE) return false;
    ct_plan_value *v = &p->values[o->value];
    uint32_t first = ct_plan_in(p, r, 0)->value;
    switch (kind) {
    case OVERLAP: {
        if (!is_out || !has_place(p, o->value) || r->n_in == 0 || first == CT_NO_VALUE || r->aliased) return false;
        uint32_t source = root_of(p, first);
        if (!has_place(p, source) || source == o->value || !(ct_plan_in(p, r, 0)->access & CT_READ)) return false;
        bool harmful = !(ct_plan_op(p, r)->flags & CT_OP_ELEMENTWISE) || read_after(p, source, k) ||
                       bytes_of(p, source) != bytes_of(p, o->value);
        if (!harmful) return false;
        v->offset = p->values[source].offset;
        return true;
    }
    case MISALIGN:
        if (!is_out || !has_place(p, o->value)) return false;
        v->offset += 64;
        return true;
    case OUTSIDE:
        if (!is_out || !has_place(p, o->value)) return false;
        v->offset = p->end;
        return true;
    case BELOW:
        if (!is_out || !has_place(p, o->value) || p->base == 0) return false;
        v->offset = 0;
        return true;
    case KILL:
        if (!is_out || i > r->n_in || r->aliased || !v->address) return false;
        if (!v->stored && !v->kept && !read_after(p, root_of(p, o->value), k)) return false;
        r->live = false;
        return true;
    case SCRATCH:
        if (!r->scratch_bytes || !has_place(p, root_of(p, o->value))) return false;
        r->scratch_offset = p->values[root_of(p, o->value)].offset;
        return true;
    case FORGET:
        if (!is_out || !v->kept) return false;
        v->kept = false;
        return true;
    case READ_OTHER:
        if (is_out || (o->access & CT_UPDATE) != CT_READ || r->aliased) return false;
        /* By a leaf that keeps its contents, of which this is no copy. */
        if (v->maker != CT_NEVER && (ct_plan_op(p, &p->records[v->maker])->flags & CT_OP_ALIAS)) return false;
        for (uint32_t other = 0; other < p->n_externals; other++)
            if (other != o->value && p->values[other].leaf && same_shape(&p->values[other].shape, &v->shape) &&
                !writes(p, 0, other) && !written_again(p, other, 0)) {
                o->value = other;
                return true;
            }
        return false;
    case TRANSPOSE:
        if (r->op != CT_OP_matmul || i > 1) return false;
        p->attrs[r->attr + i] ^= 1;
        return true;
    case ALIAS_LEAF: {
        if (!is_out || !(ct_plan_op(p, r)->flags & CT_OP_ALIAS) || r->aliased || v->stored || !p->values[first].leaf)
            return false;
        bool harmful = v->kept;
        for (uint32_t w = k + 1; w < p->n_records && !harmful; w++)
            harmful = writes(p, w, first) && read_after(p, o->value, w);
        if (!harmful) return false;
        v->storage = first;
        r->aliased = true;
        return true;
    }
    case OMIT_WRITE: {
        if (is_out || !(o->access & CT_WRITE) || r->op == CT_OP_zero) return false;
        if (written_again(p, o->value, k)) return false;
        r->live = false;
        return true;
    }
    default: return false;
    }
}

void check_corrupted(ct_context *ctx, int kind, int *places, int *overlooked, char *why, size_t bytes)
{
    *places = *overlooked = 0;
    for (size_t b = 0; b < CT_PROGRAM_BUCKETS; b++)
        for (const ct_program *program = ctx->programs->buckets[b]; program; program = program->chain) {
            bool *needed = calloc(program->plan.n_records + program->plan.n_values + 1, sizeof *needed);
            find_needed(&program->plan, needed, needed + program->plan.n_records);
            for (uint32_t k = 0; k < program->plan.n_records; k++)
                for (uint32_t i = 0; needed[k] && i < program->plan.records[k].n_in + program->plan.records[k].n_out;
                     i++) {
                    char reason[400] = "";
                    subject s = subject_of(ctx, program, reason, sizeof reason);
                    ct_plan copy = copy_plan(&program->plan);
                    if (spoil(&copy, kind, k, i)) {
                        resolve(&s, &copy);
                        s.plan = &copy;
                        s.program = NULL;
                        ++*places;
                        if (check_subject(&s) && ++*overlooked == 1)
                            snprintf(why, bytes, "record %u (%s), operand %u", k, name_of(&copy, k), i);
                    }
                    free_copy(&copy);
                }
            free(needed);
        }
}

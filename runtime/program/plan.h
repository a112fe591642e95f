/* A plan: one segment made ready to be lowered. Which records live, which were
 * rewritten, and where every value lies. Plain data, so that a checker that shares
 * no code with the planner can prove it.
 */
#ifndef CUTAPE_PROGRAM_PLAN_H
#define CUTAPE_PROGRAM_PLAN_H

#include "ops/op.h"

#define CT_NO_VALUE UINT32_MAX
#define CT_NEVER UINT32_MAX

typedef struct ct_plan_value {
    ct_shape shape;
    size_t bytes;
    ct_ref ref;           /* on the tape, when it was recorded                              */
    bool external, leaf;  /* it has memory from elsewhere                                   */
    bool named;           /* has a name outside: kept where the segment ends open           */
    bool kept;            /* stays readable after this segment                              */
    bool stored;          /* written straight into a leaf, as the accumulate would have done */
    uint32_t maker;       /* record; CT_NEVER for externals                                 */
    uint32_t readers;     /* operands that read it                                          */
    uint32_t storage;     /* the value whose memory this one uses: itself, an alias's source, the
                             input it is computed in place of, the leaf it is stored into   */
    uint32_t first, last; /* of the storage: records between which it holds something      */
    size_t offset;        /* in the arena; SIZE_MAX without a place there                   */
    void *address;
} ct_plan_value;

typedef struct ct_plan_operand {
    uint32_t value; /* CT_NO_VALUE: dropped by a rewrite */
    uint32_t access;
} ct_plan_operand;

typedef struct ct_plan_record {
    uint16_t op;
    uint8_t phase, n_attr, n_scalar;
    bool live, keep;
    bool adds;    /* adds into its output (a product that accumulates)             */
    bool aliased; /* its output shares the input's bytes: nothing to launch        */
    uint32_t n_in, n_out, operand, attr, scalar;
    uint32_t source; /* the record of this plan whose gradient rule recorded it; CT_NO_RECORD: none, or of an
                        earlier segment */
    size_t scratch_bytes, scratch_offset;
    void *scratch;
} ct_plan_record;

typedef struct ct_plan {
    const ct_context *ctx; /* whose ops these are */
    bool final;
    ct_plan_value *values; /* externals first, then those of the segment */
    ct_plan_record *records;
    ct_plan_operand *operands;
    int64_t *attrs;
    uint32_t n_values, n_externals, n_records, n_operands, n_attrs, n_scalars;
    size_t base;          /* where in the arena the plan may begin                 */
    size_t kept_end, end; /* where the kept values, and all of it, end             */
} ct_plan;

/* A plan of the pending segment with offsets from `base`. CT_ERR_MEMORY if host memory is out;
 * nothing is set on the context. */
ct_status ct_plan_make(ct_context *, bool final, size_t base, ct_plan *out);
void ct_plan_free(ct_context *, ct_plan *);

/* Rewrites, in rewrite.c: they change operands and flags, never rounding by how a segment ends. False: host memory
 * is out. */
bool ct_plan_rewrite(ct_context *, ct_plan *);

static inline const ct_op *ct_plan_op(const ct_plan *p, const ct_plan_record *r) { return ct_op_of(p->ctx, r->op); }
static inline const ct_plan_operand *ct_plan_in(const ct_plan *p, const ct_plan_record *r, uint32_t i)
{
    return &p->operands[r->operand + i];
}
static inline const ct_plan_operand *ct_plan_out(const ct_plan *p, const ct_plan_record *r, uint32_t i)
{
    return &p->operands[r->operand + r->n_in + i];
}

#endif

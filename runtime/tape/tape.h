/* The tape: the records of the current step, in arrays that only grow. Those of a step that has ended,
 * and its names, stand there until the next record: a step that is replayed can be told of.
 *
 * ops/ appends one record a call; gradient.c reads them backwards and appends the
 * adjoint ones; program/ compiles what was appended since the last flush. While it
 * records, the tape writes a canonical key of the segment, in which nothing of the
 * moment stands (no handles, no scalars): equal keys are equal programs.
 */
#ifndef CUTAPE_TAPE_TAPE_H
#define CUTAPE_TAPE_TAPE_H

#include "core/tensor.h"
#include "tape/hook.h"

/* How a record touches an operand; and whether a gradient flows back to it, decided when it is recorded. */
enum { CT_READ = 1, CT_WRITE = 2, CT_UPDATE = 3, CT_FLOWS = 4 };

enum {
    CT_RECORD_GRAD = 1,  /* an output requires a gradient                                 */
    CT_RECORD_KEEP = 2,  /* outputs have a name outside, or a later gradient may read them */
    CT_RECORD_SWEPT = 4, /* a backward went over it and did not retain it                 */
    CT_RECORD_SUMS = 8,  /* adds two adjoints of one tensor, which was used twice         */
    CT_RECORD_HOOK = 16, /* a hook recorded it: its source is the tensor whose gradient that got */
};

typedef struct ct_operand {
    ct_ref ref;
    uint32_t version; /* of a leaf, when it was recorded */
    uint32_t access;
} ct_operand;

/* Plain data; the variable parts stand in side arrays. */
typedef struct ct_record {
    uint16_t op;
    uint8_t flags, phase;
    uint8_t n_attr, n_scalar;
    uint16_t gradient; /* of which input of its source it is the gradient, or a part of it: from 1; 0: of none */
    uint32_t n_in, n_out;
    uint32_t operand; /* first of n_in inputs, then n_out outputs, in operands[] */
    uint32_t attr;    /* first in attrs[]: integers, part of the key             */
    uint32_t scalar;  /* first in scalars[]: slots of the device's scalar table  */
    uint32_t source;  /* the record whose gradient rule recorded it, by its number in the step; CT_NO_RECORD;
                         with CT_RECORD_HOOK the ct_ref of the hooked tensor: see ct_source_record */
} ct_record;
#define CT_NO_RECORD UINT32_MAX

enum { CT_PHASE_FORWARD = 0, CT_PHASE_BACKWARD, CT_PHASE_UPDATE, CT_PHASE_DATA };
const char *ct_phase_name(uint8_t phase);

/* What an op hands to ct_tape_add. */
typedef struct ct_entry {
    uint16_t op;
    uint8_t n_attr, n_scalar, phase;
    uint32_t n_in, n_out;
    const ct_ref *in;
    const uint8_t *access; /* of the inputs; NULL: all are read        */
    const int64_t *attr;
    const double *scalar;
    const uint32_t *binding; /* of the scalars, 0 = none; NULL: none is bound */
    const ct_shape *out;
} ct_entry;

/* A scalar that keeps following a host variable under replay (a learning rate). */
typedef struct ct_bound_scalar {
    uint32_t scalar, binding;
} ct_bound_scalar;

typedef struct ct_named_value {
    ct_ref ref;
    char *name;
} ct_named_value;

typedef struct ct_tape {
    uint64_t step;    /* serial; the generation of this step's values    */
    ct_value *values; /* all of these: this step's                       */
    ct_record *records;
    ct_operand *operands;
    int64_t *attrs;
    double *scalars;
    ct_bound_scalar *bound;
    size_t n_values, n_records, n_operands, n_attrs, n_scalars, n_bound;
    size_t values_capacity, records_capacity, operands_capacity, attrs_capacity, scalars_capacity, bound_capacity;

    uint64_t segment; /* serial of the pending segment, and where it starts: */
    size_t first_value, first_record, first_scalar;
    ct_ref *externals; /* leaves and earlier values it names, by first use */
    size_t n_externals, externals_capacity;
    uint64_t *key;
    size_t n_key, key_capacity;

    ct_ref *list_refs; /* scratch of ops with long operand lists          */
    uint8_t *list_access;
    size_t list_refs_capacity, list_access_capacity;

    double *bindings; /* current values, by binding - 1                  */
    bool *binding_taken;
    size_t n_bindings, bindings_capacity, taken_capacity;

    ct_ref *sweep_leaves; /* scratch of a sweep: leaves that got an adjoint  */
    size_t sweep_leaves_capacity;
    uint32_t sweep, path;       /* serials of the last sweep, the last ct_gradients */
    bool sweeping, sweep_keeps; /* rules are recording; with CT_CREATE_GRAPH       */
    uint32_t sweeping_record;   /* whose rule is recording; CT_NO_RECORD if none's */
    ct_ref hooked;              /* the tensor whose hook is recording; CT_REF_NONE */
    int random_records;         /* in this step, in training mode                  */
    ct_ref random_counter;      /* leaf: steps with random records                 */
    ct_named_value *names;      /* of step values that were given one              */
    size_t n_names, names_capacity;
    ct_hook *hooks; /* of leaves, and of step values until the step ends */
    size_t n_hooks, hooks_capacity;
    const char *callback; /* a user's function that is being called: it may only call ops; NULL: none */
    const char *split;    /* the call that ended a segment of this step open */

    struct ct_program *last; /* of the step that ended, NULL if not replayable  */
    uint64_t last_step;
    char why_not[160];  /* ... and the reason                              */
    char released[160]; /* ... if it lies in the step that is being recorded */
} ct_tape;

/* Words at the front of a key, filled in when the segment ends. */
#define CT_KEY_HEADER 3

static inline ct_value *ct_value_at(ct_context *ctx, ct_ref ref)
{
    return ct_ref_is_leaf(ref) ? &ct_leaf_at(ctx, ref)->value : &ctx->tape->values[ref];
}

/* The record that this one belongs to: of whose gradient rule it is, or which made the tensor whose hook it is by;
 * CT_NO_RECORD: none, or a leaf has that hook. */
static inline uint32_t ct_source_record(const ct_tape *t, const ct_record *r)
{
    if (!(r->flags & CT_RECORD_HOOK)) return r->source;
    return ct_ref_is_leaf(r->source) ? CT_NO_RECORD : t->values[r->source].record;
}

ct_status ct_tape_open(ct_context *);
void ct_tape_close(ct_context *);

/* Append a record and its output values; the handle of the first output, or the
 * zero tensor with the error standing. Gradient flags, versions and the key are
 * taken care of here. */
ct_tensor ct_tape_add(ct_context *, const ct_entry *);
/* The same for a record without outputs. */
ct_status ct_tape_add_effect(ct_context *, const ct_entry *);
/* Keep a value that was recorded in a sweep: it gets a name outside. */
void ct_tape_keep(ct_context *, ct_ref);

/* The pending segment never happens; the step's values go stale. */
void ct_tape_drop(ct_context *);
/* Launch what is pending; `call` is named when a replay is refused for it. */
ct_status ct_flush_open(ct_context *, const char *call);
/* Does the pending segment name this leaf? */
bool ct_tape_names(ct_context *, ct_ref);
int64_t ct_tape_recorded(const ct_context *);
/* Name a step value until the step ends; takes the text over. NULL takes the name away. */
ct_status ct_tape_name(ct_context *, ct_ref, char *name);
const char *ct_tape_name_of(ct_context *, ct_ref); /* NULL: none */
/* A leaf of the current or last step was released: that step cannot be replayed. */
void ct_tape_note_release(ct_context *, const ct_leaf_slot *);
bool ct_grad_enabled(const ct_context *);
/* CT_OK, or the error of a call that a gradient rule, or a user's function in a callback, may not make. */
ct_status ct_refuse_in_callback(ct_context *, const char *call);
/* In gradient.c: a tensor as an adjoint. Of a leaf, its contents as they are now: it may be written before
 * the adjoint is read. */
ct_tensor ct_adjoint_of(ct_context *, ct_tensor);

/* A host variable that recorded scalars can be bound to; 0 if out of memory. */
uint32_t ct_binding_make(ct_context *, double value);
void ct_binding_set(ct_context *, uint32_t binding, double value);
void ct_binding_free(ct_context *, uint32_t binding);

#endif

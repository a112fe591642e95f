/* Tensors as the runtime sees them: shapes, leaves, step values, and the checked
 * handles that stand for both. A handle is 64 bits {context tag, kind, generation,
 * index}; inside the runtime a tensor is a ct_ref, which is only kind and index.
 */
#ifndef CUTAPE_CORE_TENSOR_H
#define CUTAPE_CORE_TENSOR_H

#include "core/context.h"

typedef struct ct_shape {
    int32_t dtype, ndim;
    int64_t dim[CT_MAX_DIMS]; /* zero beyond ndim */
    int64_t numel;
} ct_shape;

typedef uint32_t ct_ref;
#define CT_REF_NONE UINT32_MAX
#define CT_MAX_INDEX 0x3fffffu /* leaves of a context, and values of a step, that handles can number */
#define CT_REF_LEAF 0x80000000u

/* What leaves and step values share. */
typedef struct ct_value {
    ct_shape shape;
    void *data;        /* device address; NULL for a value that was not played or not kept */
    uint64_t segment;  /* serial of the segment that has this tensor among its externals */
    uint32_t record;   /* that makes it (step values)                                  */
    uint32_t external; /* its number there                                            */
    uint32_t sweep;    /* serial of the sweep that `adjoint` belongs to               */
    uint32_t path;     /* serial of the ct_gradients whose inputs it depends on       */
    ct_tensor adjoint;
    bool requires_grad;
    bool hooked; /* it has a hook on its gradient */
} ct_value;

typedef struct ct_leaf_slot {
    ct_value value;
    uint32_t generation;  /* odd while the slot is taken                              */
    uint32_t version;     /* counts the writes, recorded or not                       */
    const char *writer;   /* the op or call that wrote last                           */
    uint64_t used_step;   /* the last step with a record that names this leaf         */
    ct_ref grad, counter; /* its .grad; the append count of a ring                    */
    ct_ref owner;         /* of a .grad: the leaf whose it is; CT_REF_NONE            */
    bool owns_data, released, internal;
    bool told;                       /* the log has said that it is not finite (anomaly mode) */
    uint32_t steps_without;          /* of a .grad, for core/advice.h: optimizer steps before it was first written */
    uint64_t zeroed, added, stepped; /* and when, on its clock, what last happened to it; 0: never      */
    char *name;
} ct_leaf_slot;

typedef struct ct_tensors {
    ct_leaf_slot *leaves;
    size_t n_leaves, leaves_capacity;
    uint32_t *free_slots, *released; /* slots to take again; slots to free when the step ends */
    size_t n_free, free_capacity, n_released, released_capacity;
} ct_tensors;

ct_status ct_tensors_open(ct_context *);
void ct_tensors_close(ct_context *);

size_t ct_dtype_bytes(int32_t dtype);
const char *ct_dtype_name(int32_t dtype);
static inline bool ct_is_float(int32_t dtype) { return dtype == CT_F32 || dtype == CT_F64; }
static inline bool ct_is_index(int32_t dtype) { return dtype == CT_I32 || dtype == CT_I64; }
static inline size_t ct_shape_bytes(const ct_shape *s) { return (size_t)s->numel * ct_dtype_bytes(s->dtype); }

/* Fill in a shape, checking rank, negative sizes and overflow. A failure is the
 * sticky error of `op`. */
bool ct_shape_make(ct_context *, const char *op, ct_dtype, int ndim, const int64_t *dims, ct_shape *out);
bool ct_shape_equal(const ct_shape *, const ct_shape *); /* sizes only */
/* "[64,784]"; text lives in the context until the fourth call after this one. */
const char *ct_shape_text(ct_context *, const ct_shape *);
/* "w [64,784]" with the leaf's name if it has one. */
const char *ct_ref_text(ct_context *, ct_ref);

/* Handles to refs. `op` and `what` name the call and the operand in the error.
 * A zero tensor gives CT_ERR_ARGUMENT as well. */
bool ct_resolve(ct_context *, const char *op, const char *what, ct_tensor, ct_ref *out);
/* The same without an error: NULL, or what is wrong with the handle. */
const char *ct_look_up(ct_context *, ct_tensor, ct_ref *out);
/* The same for a call that leaves no standing error. */
ct_status ct_resolve_query(ct_context *, const char *op, ct_tensor, ct_ref *out);
ct_tensor ct_handle(ct_context *, ct_ref);
/* What a handle was made of, whatever became of that; CT_REF_NONE of the zero tensor. */
ct_ref ct_handle_ref(ct_tensor);
static inline bool ct_ref_is_leaf(ct_ref ref) { return (ref & CT_REF_LEAF) != 0; }
static inline ct_leaf_slot *ct_leaf_at(ct_context *ctx, ct_ref ref)
{
    return &ctx->tensors->leaves[ref & ~CT_REF_LEAF];
}
/* ct_value_at, for leaves and step values, stands in tape/tape.h. */

/* A leaf with a copy of host memory, or zeroed for NULL. A failure is reported, and does not stand. */
ct_status ct_leaf_new(ct_context *, const char *op, const ct_shape *, const void *data, ct_ref *out);
/* A zeroed leaf; CT_REF_NONE on failure, with the error standing. */
ct_ref ct_leaf_make(ct_context *, const char *op, const ct_shape *);
/* Releases a leaf with its .grad and its counter; the memory goes when the step ends. */
void ct_leaf_free(ct_context *, ct_ref);
/* Count a write to a leaf; `writer` is static text, for the error of a later gradient. */
void ct_leaf_written(ct_leaf_slot *, const char *writer);
/* Give back the memory of leaves released since the last call. */
void ct_leaves_reclaim(ct_context *);

#endif

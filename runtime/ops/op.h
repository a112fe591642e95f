/* What an op is. Ops of a family share a file beside this one; ops.def lists them all.
 *
 * An op is data: its gradient rule is written in ops, its lowering names a kernel.
 * The tape, the planner, the tests and the profiler know an op only through this.
 */
#ifndef CUTAPE_OPS_OP_H
#define CUTAPE_OPS_OP_H

#include "tape/tape.h"

#include <stdarg.h>

typedef struct ct_lowering ct_lowering; /* program/lower.h */

/* A record as its gradient rule sees it. The arrays hold n_in, and 3, entries. */
typedef struct ct_adjoint {
    uint16_t op;
    uint32_t n_in;
    const ct_tensor *in;
    ct_tensor out[3];
    ct_tensor g[3];    /* adjoints of the outputs; the zero tensor where there is none */
    const bool *needs; /* inputs whose adjoint is wanted                               */
    ct_tensor *gin;    /* what the rule fills in; the zero tensor means zero           */
    int64_t attr[8];
    double scalar[4];
} ct_adjoint;

enum {
    CT_OP_ELEMENTWISE = 1, /* reads inputs broadcast to the output, element by element: it may be done
                              in place, and may read the source of an expand                        */
    CT_OP_ALIAS = 2,       /* same bytes as its input, another shape                                 */
    CT_OP_EFFECT = 4,      /* writes leaves: lives as long as one of them is left to write              */
    CT_OP_DENSE = 8,       /* of an elementwise op: its inputs have to have the output's own shape          */
};

typedef struct ct_op {
    const char *name;
    const char *operands; /* names of the inputs, "x w b"; the last with a * stands for any number of them.
                             NULL: they have none                                                          */
    uint32_t flags;
    uint32_t saved;                          /* bit i: the gradient rule reads input i         */
    void (*vjp)(ct_context *, ct_adjoint *); /* NULL: not differentiable                       */
    void (*lower)(ct_lowering *);            /* NULL: an alias, or a rewrite leaves none       */
    size_t (*scratch)(const ct_context *, const ct_shape *const *in, const ct_shape *out, const int64_t *attr);
    /* device bytes that its kernels, which may differ by device, want beside the operands; NULL: none */
    const char *shown; /* names of the attributes, then after a ; those of the scalars, for whoever prints a
                          record: "dims keepdim=0; factor=1". One with a value is left out at that value;
                          - and what has no name are never shown. NULL: there are none to show          */
} ct_op;

typedef enum ct_opcode {
#define CT_OP(name) CT_OP_##name,
#include "ops/ops.def"
#undef CT_OP
    CT_OP_COUNT
} ct_opcode;

extern const ct_op *const ct_ops[CT_OP_COUNT];
const ct_op *ct_custom_op(const ct_context *, uint16_t op); /* ops/custom.c */
/* The op of a record, from CT_OP_COUNT on one that the context was given; NULL: there is none of this number. */
static inline const ct_op *ct_op_of(const ct_context *ctx, uint16_t op)
{
    return op < CT_OP_COUNT ? ct_ops[op] : ct_custom_op(ctx, op);
}

/* ---- helpers for the recording functions ------------------------------------------- */

/* The name of input i, as ct_op.operands has it: not terminated, of that length. NULL: it has none. */
const char *ct_operand_name(const ct_op *, uint32_t i, int *length);
/* The first n operands of an op to refs, with the ctx checked; false with the error standing, which names the
 * public call. */
bool ct_operands(ct_context *, const char *call, const ct_op *, int n, const ct_tensor *, ct_ref *out);
bool ct_want_float(ct_context *, const char *op, ct_ref);
bool ct_want_same_dtype(ct_context *, const char *op, ct_ref, ct_ref);
/* Sizes that all but the last `behind` dims broadcast to, as NumPy; -1, or the dim that does not fit. */
int ct_broadcast_dims(const ct_shape *, const ct_shape *, int behind, int64_t dims[CT_MAX_DIMS]);
/* Shape both broadcast to. */
bool ct_broadcast(ct_context *, const char *op, ct_ref, ct_ref, ct_shape *out);
/* A dim counted from the end when negative, checked. */
bool ct_dim(ct_context *, const char *op, const ct_shape *, int dim, int *out);
/* Shape of a ref, by value: the tape's arrays move as they grow. */
ct_shape ct_shape_of(ct_context *, ct_ref);
ct_shape ct_scalar_shape(int32_t dtype);

/* One input, one output of the given shape. */
ct_tensor ct_record_unary(ct_context *, ct_opcode, ct_ref x, const ct_shape *out, int n_attr, const int64_t *attr,
                          int n_scalar, const double *scalar);

/* ---- helpers for the gradient rules -------------------------------------------------- */

/* Shape of a tensor that is known to be sound. */
ct_shape ct_tensor_shape(ct_context *, ct_tensor);
/* Sum x over the dims along which `like` was broadcast to x. */
ct_tensor ct_sum_to(ct_context *, ct_tensor x, const ct_shape *like);
/* x * g for a one-element or equally shaped g; x itself when g is the constant one. */
ct_tensor ct_scale_by(ct_context *, ct_tensor x, ct_tensor g);
/* A constant, as a recorded value; 1 is what a backward starts from. */
ct_tensor ct_constant(ct_context *, const ct_shape *, double value);

#endif

/* Lowering: a planned record becomes launches. The interface that ops/ lower through;
 * addresses are final here, and everything asked for has been checked by recording.
 */
#ifndef CUTAPE_PROGRAM_LOWER_H
#define CUTAPE_PROGRAM_LOWER_H

#include "args.h"
#include "ops/op.h"

struct ct_custom_launch;

const ct_op *ct_lowering_op(const ct_lowering *);
uint32_t ct_n_in(const ct_lowering *);
const ct_shape *ct_in_shape(const ct_lowering *, uint32_t i);
const ct_shape *ct_out_shape(const ct_lowering *, uint32_t i);
void *ct_in(const ct_lowering *, uint32_t i);
/* NULL where nobody reads the output: a kernel with several leaves that one out. */
void *ct_out(const ct_lowering *, uint32_t i);
/* Operands a rewrite took out of the record (a zero that a store made needless). */
bool ct_in_dropped(const ct_lowering *, uint32_t i);
int64_t ct_attr(const ct_lowering *, uint32_t i);
const ct_scalar *ct_scalars(const ct_lowering *);
/* The planner lets the kernel add into its output. */
bool ct_adds_to_output(const ct_lowering *);
void *ct_scratch(const ct_lowering *);
uint64_t ct_lowering_seed(const ct_lowering *);
/* Host memory that goes with the program; NULL with the error standing. */
void *ct_lowering_host(ct_lowering *, size_t bytes);
/* Plain bytes that the program keeps in device memory. */
void *ct_constant_bytes(ct_lowering *, const void *data, size_t bytes);

/* Has the device this kernel? What follows from the shapes and the device alone repeats. */
bool ct_has_kernel(const ct_lowering *, ct_kernel_id, int32_t dtype);
/* A new launch, zeroed but for kernel, dtype and scalars; valid until the next. On
 * failure it still returns a place to write to, and the error stands. */
ct_args *ct_emit(ct_lowering *, ct_kernel_id, int32_t dtype);
/* A new launch of an op that the user added; it has to live as long as the program (ct_lowering_host). */
void ct_emit_custom(ct_lowering *, const struct ct_custom_launch *); /* device/device.h */
/* What the newest launch costs, as the profiler shows it, and as both devices estimate products.
 *
 * FLOPs are the operations of the formula, whatever a device does for them: an add, a multiply, a compare, a
 * maximum, a sign, a choice, a division, a root and a transcendental function are 1 each, a multiply-add 2. A sum or
 * a maximum over n elements is n. Conversions, integers and the bits of random numbers are none, and neither is
 * what is done once a line or once a launch.
 *
 * Bytes are what has to move at least: an operand is read once, at its own size though it is broadcast; an output
 * written once; what is updated in place both; of what is gathered or sliced from, that part. Scratch is none.
 *
 * A record all of whose outputs are empty costs nothing. */
void ct_cost(ct_lowering *, double flops, double bytes);
/* All of the record's operands, those outputs left out that nobody reads. */
double ct_operand_bytes(const ct_lowering *);

/* Fill in the iteration over `out` with inputs broadcast to it, dims collapsed. */
void ct_iterate(ct_lowering *, ct_args *, const ct_shape *out, int n_in, const ct_shape *const *in);
/* The same with explicit element strides of one input, [ndim of out]. */
void ct_iterate_strided(ct_lowering *, ct_args *, const ct_shape *out, const int64_t *stride);

/* A stride in the 32 bits that it has; one that does not fit is an error that stands. */
int32_t ct_stride(ct_lowering *, int64_t);
/* m, n, k = the elements before, in and behind a dim. */
void ct_split_at(const ct_shape *, int dim, ct_args *);

/* Into how many parts a sum of n elements is cut: by its length alone. */
static inline int64_t ct_partials(int64_t n)
{
    int64_t count = (n + CT_PARTIAL_ELEMENTS - 1) / CT_PARTIAL_ELEMENTS;
    return count < 1 ? 1 : count > CT_MAX_PARTIALS ? CT_MAX_PARTIALS : count;
}

/* For every op that maps to one elementwise kernel. */
void ct_lower_elementwise(ct_lowering *);
/* FLOPs of such an op (not act_grad), an element. */
int ct_elementwise_flops(uint16_t op);
/* Bytes of an input to the output, which has the same elements in row-major order. */
void ct_lower_copy(ct_lowering *);

#endif

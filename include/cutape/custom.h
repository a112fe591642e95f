/* custom.h: ops of your own, beside those of ops.h, without touching the library.
 *
 * Intended usage: describe the op once, register it on a context, and record it like any other.
 *
 *     static int square_cpu(const ct_op_call *call)
 *     {
 *         const float *x = call->inputs[0].data;
 *         float *y = call->outputs[0].data;
 *         for (int64_t i = call->first; i < call->first + call->count; i++) y[i] = x[i] * x[i];
 *         return 0;
 *     }
 *
 *     static void square_gradient(ct_context *ctx, const ct_op_gradient *g)
 *     {
 *         ct_tensor slope = ct_mul_scalar(ctx, g->inputs[0], 2);
 *         g->gradients[0] = ct_mul(ctx, g->adjoints[0], slope);
 *     }
 *
 *     ct_op_config config = {0};
 *     config.name = "mine.square";
 *     config.n_inputs = config.n_outputs = 1;
 *     config.flags = CT_OP_IS_ELEMENTWISE;
 *     config.gradient = square_gradient;
 *     config.cpu = square_cpu;
 *     ct_op_handle square;
 *     ct_op_register(ctx, &config, &square);
 *     ct_tensor y = ct_call(ctx, square, 1, &x, 0, NULL, 0, NULL);
 *
 * The gradient rule is written in ops, so second derivatives, ct_jvp and ct_gradcheck work by themselves. The op is
 * planned, dropped when nobody reads it, captured into graphs and replayed as all others are; it is never joined
 * with another op into one kernel.
 *
 * On CUDA an op has a launcher, not a kernel: a function that launches kernels of yours on the stream it is given. A
 * file compiled by nvcc usually brings a CUDA runtime of its own, to which the library's runtime could not hand a
 * kernel; a stream, and a capture on it, belong to the driver and are the same for both. The launcher is called when
 * a program is played for the first time and when it is captured, never at a replay: so it may only launch, on that
 * stream. No memory, no other stream, no wait, nothing that depends on anything but the call.
 * ct_stats counts a call as one node, however many kernels it launches.
 */
#ifndef CUTAPE_CUSTOM_H
#define CUTAPE_CUSTOM_H

#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The most that an op may have. */
enum { CT_OP_MAX_INPUTS = 8, CT_OP_MAX_OUTPUTS = 3, CT_OP_MAX_ATTRS = 8, CT_OP_MAX_SCALARS = 4 };

/* A tensor as an op's functions see it. */
typedef struct ct_op_tensor {
    void *data; /* row-major, contiguous, on the context's device; of an input: not to be written. NULL while shapes
                   are found, without elements, and for an output that nobody reads: that one is left out */
    int32_t dtype, ndim;        /* ct_dtype */
    int64_t shape[CT_MAX_DIMS]; /* zero from ndim on */
    int64_t numel;
    uint64_t reserved[8];
} ct_op_tensor;

/* A scalar, rounded for either dtype. */
typedef struct ct_op_scalar {
    double f64;
    float f32, unused;
} ct_op_scalar;

/* One call of an op. */
typedef struct ct_op_call {
    void *user; /* of ct_op_config */
    int32_t n_inputs, n_outputs;
    int32_t n_attrs, n_scalars;
    const ct_op_tensor *inputs;  /* [n_inputs] */
    const ct_op_tensor *outputs; /* [n_outputs]; NULL while shapes are found */
    const int64_t *attrs;        /* [n_attrs], in host memory */
    const ct_op_scalar *scalars; /* [n_scalars], on the context's device: a launcher hands the address on and its
                                    kernel reads it, as values change between replays; NULL while shapes are
                                    found */
    int64_t first, count;        /* CPU, CT_OP_IS_ELEMENTWISE: the elements to compute */
    uint64_t reserved[8];
} ct_op_call;

/* What a gradient rule is given, and gives. */
typedef struct ct_op_gradient {
    void *user; /* of ct_op_config */
    int32_t n_inputs, n_outputs;
    int32_t n_attrs, n_scalars;
    const ct_tensor *inputs;   /* [n_inputs], broadcast already where the op is elementwise */
    const ct_tensor *outputs;  /* [n_outputs] */
    const ct_tensor *adjoints; /* [n_outputs]; the zero tensor: nothing flows back to that output */
    const int64_t *attrs;      /* [n_attrs] */
    const double *scalars;     /* [n_scalars] */
    const bool *needs;         /* [n_inputs]: whose gradient is wanted; others may be left out */
    ct_tensor *gradients;      /* [n_inputs], to be filled in, each like its input; the zero tensor, as it is at
                                  first, means zero */
    uint64_t reserved[8];
} ct_op_gradient;

/* Flags of ct_op_config.
 * ELEMENTWISE: element i of the one output depends on element i of the inputs alone. The inputs are broadcast (as by
 * ct_expand, with its gradient) before the op sees them, so that all have the output's shape; an output may lie in the
 * memory of an input with elements of the same size; and the CPU may compute it in ranges, on several threads.
 * NO_GRADIENT: the outputs are constants, as ct_gt's and ct_argmax's are. Without it an op that has no gradient rule
 * can be recorded, but not differentiated. */
enum { CT_OP_IS_ELEMENTWISE = 1, CT_OP_HAS_NO_GRADIENT = 2 };

/* How to make an op. All zero is the default; set what differs. */
typedef struct ct_op_config {
    const char *name;  /* for messages and graphs: letters, digits, '_' and '.', at most 63; of no other op. Copied */
    int32_t n_inputs;  /* 0 to CT_OP_MAX_INPUTS   */
    int32_t n_outputs; /* 1 to CT_OP_MAX_OUTPUTS  */
    int32_t n_attrs;   /* integers that are part of a program's identity: another value compiles another program */
    int32_t n_scalars; /* floating numbers that may change from step to step */
    int32_t flags;     /* CT_OP_IS_ELEMENTWISE, CT_OP_HAS_NO_GRADIENT */
    uint32_t unread;   /* bit i: the gradient rule does not read the elements of input i, so that a leaf may be written
                          between its use and the gradient call; without it that is CT_ERR_STATE */
    void *user;        /* handed to the functions below; has to live as long as the context */
    /* Shapes and dtypes of the outputs, by those of the inputs and the attributes alone. `outputs` come like input 0;
     * change dtype, ndim and shape where they differ. Not CT_OK: the inputs do not fit, and *why may say what is wrong
     * in a few words (static text). NULL: the inputs are F32 or F64, all of the same dtype and shape, and so are the
     * outputs. */
    ct_status (*infer)(const ct_op_call *call, ct_op_tensor *outputs, const char **why);
    /* The gradient of sum_j <adjoints[j], outputs[j]> for every input, recorded as ops: see ct_op_gradient. It runs
     * while a gradient call records, never when a program plays, and may only call ops. NULL: there is none. */
    void (*gradient)(ct_context *ctx, const ct_op_gradient *g);
    /* Computes the call, of an elementwise op elements [first, first + count), possibly on several threads at once.
     * Like `cuda` and `infer` it may not call the library. Not 0: it failed, as a device fails: the error stands until
     * ct_destroy, so bad data is better shown by a NaN. NULL: not on the CPU. */
    int (*cpu)(const ct_op_call *call);
    /* Launches kernels that compute the call, on a cudaStream_t: see above. Returns a cudaError_t, as of
     * cudaGetLastError. NULL: not on CUDA. */
    int (*cuda)(const ct_op_call *call, void *stream);
    uint64_t reserved[8]; /* zero */
} ct_op_config;

/* An op of one context; 0 = none. */
typedef struct ct_op_handle {
    uint64_t bits;
} ct_op_handle;

/* Adds an op to the context, for as long as the context lives. Ops of different contexts are independent of each
 * other. On failure *out is zero. CT_ERR_ARGUMENT: no or a bad name, or one that is taken; a count or flag out of
 * range; neither a cpu nor a cuda function; both a rule and CT_OP_HAS_NO_GRADIENT; a shape function is missing where
 * there is no input; an elementwise op without inputs, or with several outputs. */
CT_API ct_status ct_op_register(ct_context *ctx, const ct_op_config *config, ct_op_handle *out);

/* Records the op; its first output. Counts are those of ct_op_config. CT_ERR_ARGUMENT: a handle of another context, or
 * none; other counts. CT_ERR_UNSUPPORTED: the op has no function for the context's device. CT_ERR_SHAPE, CT_ERR_DTYPE:
 * the inputs do not fit, or what the shape function says. At the gradient call: CT_ERR_UNSUPPORTED if the op has no
 * gradient rule; CT_ERR_SHAPE, CT_ERR_DTYPE for a rule whose gradient is unlike its input. When it is played:
 * CT_ERR_DEVICE if its function fails. */
CT_API ct_tensor ct_call(ct_context *ctx, ct_op_handle op, int n_inputs, const ct_tensor *inputs, int n_attrs,
                         const int64_t *attrs, int n_scalars, const double *scalars);

/* As ct_call, with all outputs, outputs[n_outputs]: zero tensors on an error. */
CT_API ct_status ct_call_outputs(ct_context *ctx, ct_op_handle op, int n_inputs, const ct_tensor *inputs, int n_attrs,
                                 const int64_t *attrs, int n_scalars, const double *scalars, int n_outputs,
                                 ct_tensor *outputs);

#ifdef __cplusplus
}
#endif

#endif

/* tensor.h: tensors, leaves, moving bytes in and out, and the tape.
 *
 * Intended usage
 *
 * Ops record; nothing runs until something needs it.
 *
 *     int64_t shape[] = {64, 784};
 *     ct_tensor x = ct_leaf(ctx, CT_F32, 2, shape, NULL);
 *     for (int step = 0; step < n; ++step) {
 *         ct_write(ctx, x, batch(step), sizeof(float) * 64 * 784);
 *         ct_tensor y = ct_mean(ctx, ct_square(ctx, x), 0, NULL, false);    // two records, nothing has run
 *         printf("%g\n", ct_item(ctx, y));                                  // flushes, then waits
 *         ct_step_end(ctx);                                                 // y is stale from here on
 *     }
 *
 * There are two kinds of tensors. A *leaf* is memory with an owner: it lives until ct_release. A *step
 * value*, the result of an op, lives until the step ends. Both are handed around as checked handles: using
 * one after its end, or in another context, is CT_ERR_ARGUMENT, never a wild read.
 *
 * A *step* is everything between two ct_step_end calls. A *segment* is the records since the last flush;
 * ct_flush, ct_read, ct_item, ct_print, ct_data, ct_synchronize and ct_step_end close one. A *program* is
 * one segment, compiled. A segment seen before (same ops, shapes, dtypes, operand addresses, and the same
 * kind of end) plays its program: on CUDA one graph launch, no allocation, no capture. A step that reads
 * nothing in its midst is one segment, and so one launch; ct_replay plays it again without recording at
 * all.
 *
 * Tensors are row-major and contiguous, of 0 (a scalar) to CT_MAX_DIMS dims. Sizes named `bytes` are in
 * bytes.
 */
#ifndef CUTAPE_TENSOR_H
#define CUTAPE_TENSOR_H

#include "context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- tensors ------------------------------------------------------------------------------------------ */

/* Most dims a tensor may have. */
#define CT_MAX_DIMS 6

/* A checked handle, passed by value. bits 0 is the zero tensor: no tensor. */
typedef struct ct_tensor {
    uint64_t bits;
} ct_tensor;

/* Element types, of 4, 8, 4, 1 and 8 bytes. Only CT_F32 and CT_F64 can carry gradients. */
typedef enum ct_dtype { CT_F32 = 0, CT_F64, CT_I32, CT_U8, CT_I64 } ct_dtype;

/* What ct_describe tells of a tensor. */
typedef struct ct_info {
    int32_t dtype, ndim;         /* ct_dtype; 0 ... CT_MAX_DIMS                            */
    int64_t shape[CT_MAX_DIMS];  /* ndim sizes, outermost first; the rest is 0             */
    int64_t numel;               /* the product of the sizes: 1 for a scalar               */
    bool is_leaf, requires_grad; /* a step value requires a gradient if an input of its op does */
    const char *name;            /* never NULL; valid until the next call on the context   */
    uint64_t reserved[8];        /* zero                                                   */
} ct_info;

/* Makes a leaf of its own memory. data: numel elements in host memory, copied before the call returns, or
 * NULL for zeros. shape may be NULL if ndim is 0.
 * CT_ERR_SHAPE: ndim or a size out of range. CT_ERR_MEMORY: the pool's limit. */
CT_API ct_tensor ct_leaf(ct_context *ctx, ct_dtype dtype, int ndim, const int64_t *shape, const void *data);

/* Makes a leaf with every element set to value, rounded to F32 or F64. Errors as ct_leaf; CT_ERR_ARGUMENT: an
 * integer dtype that does not hold the value exactly. */
CT_API ct_tensor ct_full(ct_context *ctx, ct_dtype dtype, int ndim, const int64_t *shape, double value);

/* Makes a leaf of the caller's memory on the context's device (host memory on the CPU), numel contiguous
 * elements, not copied. The caller keeps it alive until the leaf is released and the step after that has
 * ended, and calls ct_mark_written after writing to it. No other leaf may lie in the same memory: what writes
 * one would not be ordered with what reads the other. CT_ERR_ARGUMENT: NULL, not aligned to the element, or
 * on CUDA not memory of the context's device. */
CT_API ct_tensor ct_wrap(ct_context *ctx, ct_dtype dtype, int ndim, const int64_t *shape, void *memory);

/* Ends a leaf, with its .grad. The handle is stale at once; what is recorded still reads it, and its
 * memory is used again only after the step. A step value or a stale handle is CT_ERR_ARGUMENT; the zero
 * tensor is allowed. */
CT_API void ct_release(ct_context *ctx, ct_tensor leaf);

/* Fills *out. A query: CT_ERR_ARGUMENT for a stale or foreign handle leaves no error standing. */
CT_API ct_status ct_describe(ct_context *ctx, ct_tensor x, ct_info *out);

/* Gives a tensor a name, copied, for messages, profiles and drawings. Names change no program. */
CT_API ct_status ct_set_name(ct_context *ctx, ct_tensor x, const char *name);

/* Overwrites a whole leaf from host memory; bytes is its exact size, else CT_ERR_ARGUMENT. Takes effect in
 * the order of calls: what was recorded before reads the old contents, what is recorded after reads the
 * new. Never part of a program, so a replay does not repeat it; src may be reused at once. */
CT_API ct_status ct_write(ct_context *ctx, ct_tensor leaf, const void *src, size_t bytes);

/* Copies a whole tensor to host memory; bytes is its exact size, else CT_ERR_ARGUMENT. Flushes, then
 * waits, so it gives whatever error the recording, the planning or the device met. */
CT_API ct_status ct_read(ct_context *ctx, ct_tensor x, void *dst, size_t bytes);

/* The value of a tensor of one element, as a double: a ct_read of it. NaN on any error; CT_ERR_SHAPE:
 * numel is not 1. */
CT_API double ct_item(ct_context *ctx, ct_tensor x);

/* Writes label (or NULL), name, dtype, shape and the elements to the log; of a large tensor the first rows
 * and columns. Flushes and waits as ct_read does. */
CT_API ct_status ct_print(ct_context *ctx, ct_tensor x, const char *label);

/* *memory = the tensor's address on the device (host memory on the CPU). Flushes and does not wait: the
 * contents are ordered on ct_stream. Valid until the leaf is released or the step ends. Only a leaf may be
 * written through it, with ct_mark_written after. */
CT_API ct_status ct_data(ct_context *ctx, ct_tensor x, void **memory);

/* Says that a leaf was written through ct_data or ct_wrap, by work ordered on ct_stream. Gradient calls
 * whose rules need the old contents then give CT_ERR_STATE instead of a wrong gradient. */
CT_API ct_status ct_mark_written(ct_context *ctx, ct_tensor leaf);

/* ---- the tape ----------------------------------------------------------------------------------------- */

/* Launches what is pending; does not wait. The step goes on and its values stay alive.
 * CT_ERR_MEMORY: the segment's peak does not fit the pool; nothing of it ran. */
CT_API ct_status ct_flush(ct_context *ctx);

/* Flushes, then ends the step: its values go stale. Only effects need to be computed in this last segment,
 * so what nothing reads costs nothing. Errors as ct_flush. CT_ERR_NUMERIC of all that play: in anomaly mode
 * (context.h), a record made a NaN or an Inf; the segment never was. */
CT_API ct_status ct_step_end(ct_context *ctx);

/* Plays the step that just ended n more times, recording nothing; does not wait. Leaves, rates and loader
 * cursors are read as they are now, and move on as in n recorded steps, to the same bits. n 0 does
 * nothing.
 * CT_ERR_STATE: no step has just ended, a read or flush split it (the message names the call), or a leaf
 * of it was released. CT_ERR_ARGUMENT: n < 0, or a loader would reach a partial batch (the message names
 * the largest n). CT_ERR_NUMERIC: in anomaly mode (context.h), a record made a NaN or an Inf; the replays
 * before that one have happened. */
CT_API ct_status ct_replay(ct_context *ctx, int64_t n);

/* Flushes and waits until the device has done all of it. CT_ERR_DEVICE: a fault, which stands for good;
 * the message names the programs since the last wait. */
CT_API ct_status ct_synchronize(ct_context *ctx);

/* true: from now on a segment that would have to be compiled is CT_ERR_STATE, with a message that names
 * the first record that differs, old and new. Set it after the first steps, to keep silent re-compiles out
 * of a loop. */
CT_API void ct_expect_cached(ct_context *ctx, bool expect);

/* Counters of a context. */
typedef struct ct_stats {
    int64_t recorded;                              /* ops recorded in the current step                       */
    int64_t programs;                              /* compiled programs held                                 */
    int64_t compiles, replays;                     /* programs compiled and played again, since ct_create    */
    int64_t launches;                              /* kernel launches outside graphs + graph launches        */
    int64_t nodes;                                 /* kernels in the last program played                     */
    int64_t pool_in_use, pool_peak, pool_reserved; /* bytes: now, the most so far, held from the device */
    uint64_t reserved[8];                          /* zero                               */
} ct_stats;

/* Fills *out. A query: it neither flushes nor waits. CT_ERR_ARGUMENT: NULL. */
CT_API ct_status ct_get_stats(ct_context *ctx, ct_stats *out);

/* Writes the current step as a Graphviz file: `dot -Tsvg step.dot > step.svg` draws it. Call it before
 * ct_step_end, which empties the tape. The forward pass, the backward pass, updates and loaders are clusters; a
 * record is a node with its op, its number and its attributes, and a record of a gradient rule has the colour of
 * the forward record that it belongs to, and names it. Tensors are edges with their names, dtypes and shapes; a
 * point is a tensor that several records read, or none. Leaves are boxes: parameters, .grad and other inputs
 * differ in shape and colour, and a leaf that is written has a second one, as the step leaves it. What requires a
 * gradient is solid, the rest is dashed; where gradients are added to others is red. The first 1000 records
 * are drawn, and the first 256 operands of each; the file says what it leaves out.
 * A file call: neither flushes nor leaves an error standing, and writes aside, then renames. CT_ERR_IO: path cannot
 * be written; what was there is as it was. CT_ERR_ARGUMENT: path is NULL. */
CT_API ct_status ct_tape_to_dot(ct_context *ctx, const char *path);

/* Writes the current step as text to path, or to the log if NULL, one line a record: its number, phase, whether it
 * is differentiated, op, the record whose gradient rule recorded it, what it reads and writes (names, dtypes,
 * shapes), attributes. All of it: there is no limit. A tensor without a name is %n, a leaf `leaf n`; counts, cursors
 * and moments of the runtime are only counted ("+9 of state"). Errors as ct_tape_to_dot. */
CT_API ct_status ct_tape_print(ct_context *ctx, const char *path);

#ifdef __cplusplus
}
#endif

#endif

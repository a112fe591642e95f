/* context.h: status codes, the context, its configuration, and errors.
 *
 * A context is one device, one memory pool and one tape. It is used by one thread at a time; several
 * contexts in one process are independent of each other, and a tensor of one is refused by another.
 *
 * Intended usage
 *
 *     ct_config config = {0};                     // all zero: CUDA if there is a device, else the CPU
 *     ct_context *ctx;
 *     if (ct_create(&config, &ctx) != CT_OK) {
 *         fprintf(stderr, "%s\n", ct_error_message(ctx));
 *         ct_destroy(ctx);
 *         return 1;
 *     }
 *     ... record, play, read (tensor.h, ops.h, autograd.h) ...
 *     if (ct_error(ctx) != CT_OK) fprintf(stderr, "%s\n", ct_error_message(ctx));
 *     ct_destroy(ctx);
 *
 * Errors are sticky. The first error of a recording call stays on the context until ct_clear_error. While
 * it stands every op returns the zero tensor and every recording call returns its status, so an expression
 * is checked once, at its end. An error drops the pending segment: what was recorded since the last flush
 * never happens (leaves, gradients and optimizer state stay as they were), and the step's values go stale.
 * Queries and file calls only return a status; they leave no error standing, but do set the message.
 *
 * A function that this version declares but does not implement, or not on this device, gives
 * CT_ERR_UNSUPPORTED; it never silently runs elsewhere.
 */
#ifndef CUTAPE_CONTEXT_H
#define CUTAPE_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Version of these headers; ct_version() is that of the library in use. */
#define CUTAPE_VERSION "0.1.0"

/* Marks what the shared library exports; an attribute and nothing else. */
#if defined(__GNUC__)
#define CT_API __attribute__((visibility("default")))
#else
#define CT_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- status ------------------------------------------------------------------------------------------- */

typedef enum ct_status {
    CT_OK = 0,
    CT_ERR_ARGUMENT,   /* a bad value, NULL, a stale or foreign handle           */
    CT_ERR_SHAPE,      /* the shapes do not fit the op                           */
    CT_ERR_DTYPE,      /* the element types do not fit: there is no promotion    */
    CT_ERR_STATE,      /* not now, e.g. backward twice through one recording     */
    CT_ERR_MEMORY,     /* host memory or the pool is exhausted                   */
    CT_ERR_DEVICE,     /* the CUDA driver, cuBLAS or a kernel failed             */
    CT_ERR_IO,         /* a file is missing, truncated, malformed, not writable  */
    CT_ERR_NUMERIC,    /* anomaly mode met a NaN or an Inf; gradcheck disagreed  */
    CT_ERR_UNSUPPORTED /* valid, but not built in or not on this device          */
} ct_status;

/* The status as written in C, e.g. "CT_ERR_SHAPE"; never NULL, static storage. */
CT_API const char *ct_status_name(ct_status status);

/* Version of the library, e.g. "0.1.0"; static storage. */
CT_API const char *ct_version(void);

/* ---- context ------------------------------------------------------------------------------------------ */

/* One device, one memory pool, one tape. Used by one thread at a time. */
typedef struct ct_context ct_context;

/* Values of ct_config.device. AUTO: CUDA if a device is there, else the CPU. */
enum { CT_DEVICE_AUTO = 0, CT_DEVICE_CPU, CT_DEVICE_CUDA };

/* Values of ct_config.math: to what the operands of a matrix product of F32 tensors may be rounded. They and the
 * results stay F32 in memory, and sums are kept in F32. Only large products make use of it (on CUDA, those of
 * cuBLASLt: from 32 million multiply-adds on); the CPU always computes in F32. */
enum { CT_MATH_F32 = 0, CT_MATH_TF32, CT_MATH_BF16 };

/* Receives one message, without a newline at its end, valid during the call only. It may not call the
 * library.
 *
 * Among them is advice on classic mistakes, "warning: ...", each once per context, with what to do: gradients
 * that are not zeroed between two optimizer steps; an optimizer stepping a parameter whose gradient was
 * never written (in 4 steps, or in one that is replayed); a step of 100,000 ops without a ct_step_end; a
 * value read in each of 100 training steps; 16 steps in a row that each had to be compiled, with the first
 * record that differs. */
typedef void (*ct_log_fn)(void *user, const char *message);

/* Anomaly mode, ct_config.detect_anomaly: who made the first NaN or Inf?
 *
 * A segment is played launch by launch, and behind every record all that it wrote is looked through on the device.
 * The first record that made a NaN or an Inf out of finite inputs, in the forward pass, the backward pass or an update,
 * is an error, CT_ERR_NUMERIC, that names its op, its number in the step, the element, the tensor and the inputs
 * with their names (ct_set_name) and shapes; of a backward record also the op whose gradient it is part of:
 *
 *     mul (record 7, backward) made an Inf at [1,0] of [2,2] out of finite inputs: [2,2], [2,2]; it belongs to the
 *     gradient of sqrt (record 1), x [2,2] -> y [2,2]
 *
 * The segment then never was: all leaves that it writes (parameters, gradients, moments, counters, cursors) are as
 * before. With `eager` a segment is one op, so the error is that of the op's call, and what earlier ops wrote stays.
 *
 * "record 7" is its number in a listing or a drawing of the step (ct_tape_print, ct_tape_to_dot), to be made before
 * ct_step_end: a step that failed is gone. A gradient that a product writes by itself is named too: "..., added to the
 * gradient of w [2,2], out of finite inputs: ...".
 *
 * No error are a record that passes on what came in (it has an input that is not finite), one that makes finite
 * values of such inputs (a softmax over a mask of -Inf), and a constant (ct_full). So a bad batch is CT_OK, and what
 * it does to the parameters stays: the log tells of each leaf that came in so, once until the host writes it again,
 * in 32 lines at most: "x [64,784] holds a NaN or an Inf at [3,17] already; linear (record 1) passes it on, which is no
 * error". To make it an error, look at the loss (ct_read), or check the data before it is written. Scalar arguments
 * are not inputs: ct_mul_scalar by an Inf makes NaNs of zeros, and is an error; and so is the mask ct_log(mask), which
 * makes -Inf of zeros: take ct_where with a ct_full of -Inf. What no launch stores is not seen: a value that an
 * epilogue in the same kernel masks at once, one that no effect and no reading needs.
 *
 * Under ct_replay steps run at full speed. Every 1,024 replays, and at the end, the floats that the step leaves behind
 * (all leaves that it writes) are looked through. Where one has become NaN or Inf, the state goes back to a snapshot
 * that was taken before these replays, and they are played once more, launch by launch, up to the first bad record:
 * "at replay 80003 of 100000: log (record 3, forward) made ...". Those before it have happened; the bad one never was.
 * Where no record is to blame the replay goes on. A NaN that reaches no leaf is not seen under replay.
 *
 * It costs a snapshot, in the pool, of the leaves that the largest segment writes (CT_ERR_MEMORY where there is no
 * room, before anything is played). A recorded step takes longer: a quarter, for a 784-128-10 network on the CPU; on a
 * GPU there is a wait behind every record. A replayed one takes no longer than can be told from the spread. */

/* How to make a context. All zero is the default; set only what differs. */
typedef struct ct_config {
    int32_t device;            /* CT_DEVICE_*                                                          */
    int32_t device_index;      /* which CUDA device, from 0; ignored on the CPU                        */
    const char *device_module; /* path of a device module to load instead (tests); NULL: the usual one */
    size_t pool_bytes;         /* hard limit of the pool, in bytes; 0: grows on demand                 */
    uint64_t seed;             /* of ct_rand, ct_randn, ct_dropout, initial weights and shuffling      */
    int32_t math;              /* CT_MATH_*                                                            */
    bool eager;                /* play every op as it is recorded, and wait for it (debugging)         */
    bool detect_anomaly;       /* play launch by launch; name the first op that makes a NaN or an Inf
                                  out of finite inputs (CT_ERR_NUMERIC): see above                     */
    void *stream;              /* a cudaStream_t to work on; NULL: a stream of our own                 */
    ct_log_fn log;             /* NULL: stderr                                                         */
    void *log_user;            /* handed to log                                                        */
    int32_t cpu_threads;       /* 0: the runtime chooses, per record                                   */
    void *(*host_alloc)(void *user, size_t bytes); /* NULL: malloc; returns NULL when out of memory    */
    void (*host_free)(void *user, void *memory);   /* set together with host_alloc                     */
    void *host_user;                               /* handed to both                                   */
    uint64_t reserved[8];                          /* zero                                             */
} ct_config;

/* Makes a context; config NULL is all defaults. On failure *out still carries the message, for
 * ct_error_message, and wants ct_destroy; only when host memory ran out is it NULL.
 * CT_ERR_ARGUMENT: a field out of range. CT_ERR_UNSUPPORTED: the device asked for is not built in, or a stream was
 * given to the CPU. CT_ERR_DEVICE: no driver, no device or no such module, with the reason; with CT_DEVICE_AUTO and no
 * stream the CPU is taken instead, silently. CT_ERR_MEMORY: host or device memory. */
CT_API ct_status ct_create(const ct_config *config, ct_context **out);

/* Waits for the device, then frees all it holds; always works, after a device fault too; NULL is allowed.
 * Networks, optimizers, data sets and loaders still held answer CT_ERR_STATE from then on and are still to
 * be destroyed by their owner; tensors are gone. */
CT_API void ct_destroy(ct_context *ctx);

/* Name of the device, e.g. "NVIDIA H100 80GB HBM3" or "cpu"; lives as long as the context. */
CT_API const char *ct_device_name(const ct_context *ctx);

/* The cudaStream_t that all work is ordered on; NULL on the CPU. */
CT_API void *ct_stream(const ct_context *ctx);

/* ---- errors ------------------------------------------------------------------------------------------- */

/* The standing error, or CT_OK. It does not wait: a device fault is seen at the next call that does. */
CT_API ct_status ct_error(const ct_context *ctx);

/* Message of the standing error or, with none standing, of the last call that failed, queries and file
 * calls included; "" if none has. It names the op, the tensors and their shapes:
 * "matmul: [64,784] x [100,10]: ...". Valid until the next call on the context. NULL: "". */
CT_API const char *ct_error_message(const ct_context *ctx);

/* Takes the standing error away; recording goes on with an empty segment. A device fault (CT_ERR_DEVICE
 * met at a wait) cannot be cleared: it stands until ct_destroy. */
CT_API void ct_clear_error(ct_context *ctx);

/* ---- training mode ------------------------------------------------------------------------------------ */

/* Says whether ct_dropout drops and ct_batch_norm uses and updates batch statistics, for what is recorded
 * from now on. True in a new context. The mode is part of a program's identity. */
CT_API void ct_set_training(ct_context *ctx, bool training);

/* The mode that ct_set_training set last. */
CT_API bool ct_is_training(ct_context *ctx);

#ifdef __cplusplus
}
#endif

#endif

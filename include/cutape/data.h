/* data.h: data sets on the device, and loaders that walk through them.
 *
 * Intended usage
 *
 *     ct_dataset *train;
 *     ct_dataset_load_idx(ctx, "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", &train);
 *     ct_loader_config config = {0};
 *     config.batch = 64;
 *     config.shuffle = config.drop_last = true;
 *     ct_loader *loader;
 *     ct_loader_create(train, &config, &loader);
 *     ct_tensor x, y;
 *     ct_loader_next(loader, &x, &y);             // recorded: ... forward, backward, update ...
 *     ct_step_end(ctx);
 *     ct_replay(ctx, ct_loader_batches(loader) - 1);       // the rest of the epoch, nothing recorded
 *
 * The whole data set, the cursor and the shuffle are on the device, so a replayed step goes on to the next
 * batch by itself. Objects of a destroyed context give CT_ERR_STATE; destroying them still works.
 */
#ifndef CUTAPE_DATA_H
#define CUTAPE_DATA_H

#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- data sets ---------------------------------------------------------------------------------------- */

/* Features and targets of n examples, on the device, never written. */
typedef struct ct_dataset ct_dataset;

/* Makes a data set of n examples from host memory, copied before the call returns. x_shape and y_shape are
 * those of one example: x holds [n, x_shape..] elements of xd, y [n, y_shape..] of yd; ndim 0 is one
 * number per example.
 * CT_ERR_ARGUMENT: n < 1, NULL. CT_ERR_SHAPE: more than CT_MAX_DIMS - 1 dims. CT_ERR_MEMORY: the pool.
 * On failure *out is NULL. */
CT_API ct_status ct_dataset_create(ct_context *ctx, int64_t n, ct_dtype xd, int x_ndim, const int64_t *x_shape,
                                   const void *x, ct_dtype yd, int y_ndim, const int64_t *y_shape, const void *y,
                                   ct_dataset **out);

/* Makes a data set from a pair of IDX files (MNIST's format), plain or .gz: images [n, ..] of any IDX type
 * (bytes stay U8), labels [n] of integers. CT_ERR_IO: missing, truncated, malformed, labels that are not
 * integers or have more than one dim, or counts that differ; the message names the file. A file call:
 * leaves no error standing. */
CT_API ct_status ct_dataset_load_idx(ct_context *ctx, const char *images, const char *labels, ct_dataset **out);

/* Makes a data set from a file of numbers with commas between, a row per example; a first row that is not
 * numbers is a heading. target_column (from 0; from the end when negative) is y, all others are x [n,
 * columns - 1] F32.
 * classes: y is [n] class numbers, I32; else y is [n, 1] F32. CT_ERR_IO: missing, malformed, uneven rows
 * (the message names the line). CT_ERR_ARGUMENT: target_column out of range. A file call: leaves no error
 * standing. */
CT_API ct_status ct_dataset_load_csv(ct_context *ctx, const char *path, int target_column, bool classes,
                                     ct_dataset **out);

/* Gives up the caller's hold; loaders keep their own. NULL is allowed. */
CT_API void ct_dataset_destroy(ct_dataset *dataset);

/* Number of examples; 0 for NULL. */
CT_API int64_t ct_dataset_size(const ct_dataset *dataset);

/* ---- loaders ------------------------------------------------------------------------------------------ */

/* A walk through a data set in batches, epoch after epoch. */
typedef struct ct_loader ct_loader;

/* How to make a loader. All zero but batch: in order, partial last batch kept, bytes scaled to [0, 1]. */
typedef struct ct_loader_config {
    int64_t batch;           /* examples per batch, 1 ... the data set's size            */
    bool shuffle, drop_last; /* a new order each epoch; leave a partial batch out        */
    double scale, shift;     /* U8 features become F32: x*scale + shift; scale 0 = 1/255 */
    uint64_t reserved[8];    /* zero                                                     */
} ct_loader_config;

/* Makes a loader at the start of its first epoch, keeping a hold on the data set. CT_ERR_ARGUMENT: NULL,
 * or batch out of range. CT_ERR_MEMORY: host memory or the pool. On failure *out is NULL. */
CT_API ct_status ct_loader_create(ct_dataset *dataset, const ct_loader_config *config, ct_loader **out);

/* Frees the loader and its hold on the data set. NULL is allowed. */
CT_API void ct_loader_destroy(ct_loader *loader);

/* Records the gather of the next batch and the cursor's advance: *x [batch, x_shape..], F32 for U8
 * features and else of their dtype, *y [batch, y_shape..] of its own dtype; step values without a
 * gradient. After the last batch of an epoch comes the first of the next. A partial last batch has a
 * smaller first dim, and so a program of its own; ct_replay does not reach into it. On error both are the
 * zero tensor. */
CT_API ct_status ct_loader_next(ct_loader *loader, ct_tensor *x, ct_tensor *y);

/* Batches in an epoch: size / batch, rounded down if drop_last, else up. 0 for NULL. */
CT_API int64_t ct_loader_batches(const ct_loader *loader);

#ifdef __cplusplus
}
#endif

#endif

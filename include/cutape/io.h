/* io.h: weights and checkpoints in files.
 *
 * Intended usage
 *
 * ct_params_save writes weights for others to read: safetensors, with the names of the set. A checkpoint
 * is for going on: it holds all that a run needs to continue to the same bits.
 *
 *     ct_params *params = ct_mlp_params(mlp);
 *     ct_checkpoint state = {0};
 *     state.n_params = state.n_optimizers = state.n_loaders = 1;
 *     state.params = &params;
 *     state.optimizers = &adam;
 *     state.loaders = &loader;
 *     ct_checkpoint_save(ctx, &state, "run.ckpt");
 *
 * Saving flushes and waits, so what is saved is the state after all that was recorded. These are file
 * calls: they return a status and set the message, and leave no error standing of their own.
 */
#ifndef CUTAPE_IO_H
#define CUTAPE_IO_H

#include "data.h"
#include "nn.h"
#include "optim.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Writes every leaf of the set as a safetensors file: written aside, then renamed, so that path is the old
 * file or the new one whole. CT_ERR_IO: not writable, or the disk is full. */
CT_API ct_status ct_params_save(ct_params *params, const char *path);

/* Reads every leaf of the set from a safetensors file, all or nothing: on any error no leaf is changed.
 * Tensors of the file that the set does not name are left alone. CT_ERR_IO: missing, truncated or
 * malformed, or a name of the set is not there. CT_ERR_SHAPE, CT_ERR_DTYPE: a tensor is not like its leaf;
 * the message names it. */
CT_API ct_status ct_params_load(ct_params *params, const char *path);

/* Everything needed to resume bit for bit: the objects listed, and the context's random state. An array
 * may be NULL if its count is 0. To load, list objects made in the same way, in the same order. */
typedef struct ct_checkpoint {
    int32_t n_params;
    ct_params *const *params; /* their leaves                        */
    int32_t n_optimizers;
    ct_optimizer *const *optimizers; /* moments, step counts, rates  */
    int32_t n_loaders;
    ct_loader *const *loaders; /* cursors, epochs and shuffles       */
    uint64_t reserved[8];      /* zero                               */
} ct_checkpoint;

/* Writes a checkpoint: aside, synced to the disk, then renamed, so that a crash leaves the old file or the
 * new one whole. CT_ERR_IO: not writable, or the disk is full. CT_ERR_ARGUMENT: an object of another
 * context. */
CT_API ct_status ct_checkpoint_save(ct_context *ctx, const ct_checkpoint *checkpoint, const char *path);

/* Restores a checkpoint, all or nothing: on any error nothing is changed. CT_ERR_IO: missing, truncated or
 * malformed.
 * CT_ERR_ARGUMENT, CT_ERR_SHAPE, CT_ERR_DTYPE: the objects listed are not like those saved. */
CT_API ct_status ct_checkpoint_load(ct_context *ctx, const ct_checkpoint *checkpoint, const char *path);

#ifdef __cplusplus
}
#endif

#endif

/* Data sets: features and targets held on the device, from memory, IDX or CSV. */
#include "train/dataset.h"

#include "core/tensor.h"
#include "files/files.h"
#include "train/params.h"

#include <string.h>

/* Features or targets as the caller has them in host memory. */
typedef struct examples {
    ct_dtype dtype;
    int ndim; /* of one example */
    const int64_t *shape;
    const void *data;
} examples;

/* [n, shape..] */
static ct_status rows_leaf(ct_context *ctx, int64_t n, const examples *e, ct_tensor *out)
{
    ct_shape shape;
    ct_ref ref;
    int64_t dims[CT_MAX_DIMS] = {n};
    if (e->ndim < 0 || e->ndim >= CT_MAX_DIMS)
        return ct_report(ctx, CT_ERR_SHAPE, "ct_dataset_create: an example of %d dims; 0 to %d fit", e->ndim,
                         CT_MAX_DIMS - 1);
    if ((e->ndim && !e->shape) || !e->data)
        return ct_report(ctx, CT_ERR_ARGUMENT, "ct_dataset_create: a shape or the data is NULL");
    if (e->ndim) memcpy(dims + 1, e->shape, (size_t)e->ndim * sizeof *dims);
    if (!ct_shape_make(ctx, "ct_dataset_create", e->dtype, e->ndim + 1, dims, &shape)) return ctx->status;
    ct_status status = ct_leaf_new(ctx, "ct_dataset_create", &shape, e->data, &ref);
    if (!status) *out = ct_handle(ctx, ref);
    return status;
}

/* A failure is reported, and stands only if a shape was absurd. */
static ct_status make(ct_context *ctx, int64_t n, const examples *x, const examples *y, ct_dataset **out)
{
    if (n < 1) return ct_report(ctx, CT_ERR_ARGUMENT, "ct_dataset_create: %lld examples", (long long)n);
    ct_dataset *d = ct_alloc(ctx, sizeof *d);
    if (!d) return ct_report(ctx, CT_ERR_MEMORY, "ct_dataset_create: out of host memory");
    ct_hold(ctx);
    *d = (ct_dataset){.ctx = ctx, .refs = 1, .n = n};
    ct_status status = rows_leaf(ctx, n, x, &d->x);
    if (!status) status = rows_leaf(ctx, n, y, &d->y);
    if (status)
        ct_dataset_destroy(d);
    else
        *out = d;
    return status;
}

ct_status ct_dataset_create(ct_context *ctx, int64_t n, ct_dtype xd, int x_ndim, const int64_t *x_shape, const void *x,
                            ct_dtype yd, int y_ndim, const int64_t *y_shape, const void *y, ct_dataset **out)
{
    if (!out) return ctx ? ct_report(ctx, CT_ERR_ARGUMENT, "ct_dataset_create: out is NULL") : CT_ERR_ARGUMENT;
    *out = NULL;
    ct_status status = ct_ready(ctx);
    if (status) return status;
    status = make(ctx, n, &(examples){xd, x_ndim, x_shape, x}, &(examples){yd, y_ndim, y_shape, y}, out);
    return status ? ct_fail(ctx, status, "%s", ctx->message) : CT_OK;
}

void ct_dataset_destroy(ct_dataset *d)
{
    if (!d || --d->refs > 0) return;
    ct_context *ctx = d->ctx;
    ct_release_held(ctx, d->x);
    ct_release_held(ctx, d->y);
    ct_free(ctx, d);
    ct_drop(ctx);
}

int64_t ct_dataset_size(const ct_dataset *d) { return d ? d->n : 0; }

/* ---- files ------------------------------------------------------------------------------------------- */

/* Arrays whose first dim counts the examples. */
static ct_status from_arrays(ct_context *ctx, const ct_array_file *x, const ct_array_file *y, ct_dataset **out)
{
    return make(ctx, x->shape[0], &(examples){x->dtype, x->ndim - 1, x->shape + 1, x->data},
                &(examples){y->dtype, y->ndim - 1, y->shape + 1, y->data}, out);
}

static ct_status file_call_ready(ct_context *ctx, ct_dataset **out)
{
    if (!ctx) return CT_ERR_ARGUMENT;
    if (!out) return ct_report(ctx, CT_ERR_ARGUMENT, "ct_dataset_load: out is NULL");
    *out = NULL;
    return ct_ready(ctx);
}

ct_status ct_dataset_load_idx(ct_context *ctx, const char *images, const char *labels, ct_dataset **out)
{
    ct_array_file x = {0}, y = {0};
    ct_status status = file_call_ready(ctx, out);
    if (!status) status = ct_idx_read(ctx, images, &x);
    if (!status) status = ct_idx_read(ctx, labels, &y);
    if (!status && y.ndim != 1)
        status = ct_report(ctx, CT_ERR_IO, "%s: labels have %d dims, not one: is it an image file?", labels, y.ndim);
    if (!status && (y.dtype == CT_F32 || y.dtype == CT_F64))
        status =
            ct_report(ctx, CT_ERR_IO, "%s: labels are %s, not integers", labels, y.dtype == CT_F32 ? "f32" : "f64");
    if (!status && x.shape[0] != y.shape[0])
        status = ct_report(ctx, CT_ERR_IO, "%s has %lld images, %s has %lld labels", images, (long long)x.shape[0],
                           labels, (long long)y.shape[0]);
    if (!status) status = from_arrays(ctx, &x, &y, out);
    if (!ctx) return status;
    ct_array_file_free(ctx, &x);
    ct_array_file_free(ctx, &y);
    return status;
}

ct_status ct_dataset_load_csv(ct_context *ctx, const char *path, int target_column, bool classes, ct_dataset **out)
{
    ct_array_file x = {0}, y = {0};
    ct_status status = file_call_ready(ctx, out);
    if (!status) status = ct_csv_read(ctx, path, target_column, classes, &x, &y);
    if (!status) status = from_arrays(ctx, &x, &y, out);
    if (!ctx) return status;
    ct_array_file_free(ctx, &x);
    ct_array_file_free(ctx, &y);
    return status;
}

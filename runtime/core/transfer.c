/* What crosses between host and device: writing and reading tensors, their addresses,
 * and printing. All of it stands outside the tape, and keeps the order of the user's text. */
#include "core/advice.h"
#include "core/tensor.h"
#include "device/device.h"
#include "profile/span.h"
#include "program/program.h"
#include "tape/tape.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Resolves a leaf for a call that touches it outside the tape, and launches what
 * is pending if that names the leaf, so that the order of the user's text holds. */
static ct_status leaf_for(ct_context *ctx, const char *call, ct_tensor tensor, ct_ref *ref)
{
    ct_status status = ct_ready(ctx);
    if (!status) status = ct_refuse_in_callback(ctx, call);
    if (status) return status;
    if (!ct_resolve(ctx, call, "the tensor", tensor, ref)) return ctx->status;
    if (!ct_ref_is_leaf(*ref)) return ct_fail(ctx, CT_ERR_ARGUMENT, "%s: a step value is not a leaf", call);
    return ct_tape_names(ctx, *ref) ? ct_flush_open(ctx, call) : CT_OK;
}

ct_status ct_write(ct_context *ctx, ct_tensor tensor, const void *src, size_t bytes)
{
    ct_ref ref;
    ct_status status = leaf_for(ctx, "ct_write", tensor, &ref);
    if (status) return status;
    ct_leaf_slot *leaf = ct_leaf_at(ctx, ref);
    size_t size = ct_shape_bytes(&leaf->value.shape);
    if (bytes != size || (!src && size))
        return ct_fail(ctx, CT_ERR_ARGUMENT, "ct_write: %s %s wants %zu bytes; got %zu%s", ct_ref_text(ctx, ref),
                       ct_dtype_name(leaf->value.shape.dtype), size, bytes, src ? "" : " from NULL");
    const int64_t began = ct_span_begin(ctx, CT_SPAN_WRITE, (int64_t)bytes);
    status = ctx->device->upload(ctx->device, leaf->value.data, src, bytes);
    ct_span_end(ctx, CT_SPAN_WRITE, (int64_t)bytes, began);
    if (status) return ct_fault(ctx, "ct_write", status);
    ct_leaf_written(leaf, "ct_write");
    leaf->told = false; /* what is there now is news */
    if (leaf->owner != CT_REF_NONE) ct_advice_written(ctx, leaf, -1);
    return CT_OK;
}

/* The address of a tensor's bytes once all that is recorded was launched. */
static ct_status settle(ct_context *ctx, const char *call, ct_tensor tensor, ct_ref *ref)
{
    ct_status status = ct_ready(ctx);
    if (status) return status;
    if (!ct_resolve(ctx, call, "the tensor", tensor, ref)) return ctx->status;
    status = ct_flush_open(ctx, call);
    if (status) return status;
    const ct_value *v = ct_value_at(ctx, *ref);
    if (!v->data && v->shape.numel)
        return ct_fail(ctx, CT_ERR_STATE, "%s: the value %s was not kept", call, ct_ref_text(ctx, *ref));
    return CT_OK;
}

static ct_status download(ct_context *ctx, const char *call, void *to, const void *from, size_t bytes)
{
    const int64_t began = ct_span_begin(ctx, CT_SPAN_READ, (int64_t)bytes);
    const ct_status status = ctx->device->download(ctx->device, to, from, bytes);
    ct_span_end(ctx, CT_SPAN_READ, (int64_t)bytes, began);
    return ct_waited(ctx, call, status);
}

ct_status ct_read(ct_context *ctx, ct_tensor tensor, void *dst, size_t bytes)
{
    ct_ref ref;
    ct_status status = settle(ctx, "ct_read", tensor, &ref);
    if (status) return status;
    const ct_value *v = ct_value_at(ctx, ref);
    size_t size = ct_shape_bytes(&v->shape);
    if (bytes != size || (!dst && size))
        return ct_fail(ctx, CT_ERR_ARGUMENT, "ct_read: %s %s has %zu bytes; asked for %zu%s", ct_ref_text(ctx, ref),
                       ct_dtype_name(v->shape.dtype), size, bytes, dst ? "" : " into NULL");
    ct_advice_read(ctx);
    return download(ctx, "ct_read", dst, v->data, bytes);
}

static double load_as_double(int32_t dtype, const void *from)
{
    switch (dtype) {
    case CT_F32: return (double)*(const float *)from;
    case CT_F64: return *(const double *)from;
    case CT_I32: return (double)*(const int32_t *)from;
    case CT_U8: return (double)*(const uint8_t *)from;
    default: return (double)*(const int64_t *)from;
    }
}

double ct_item(ct_context *ctx, ct_tensor tensor)
{
    ct_ref ref;
    if (settle(ctx, "ct_item", tensor, &ref)) return NAN;
    const ct_value *v = ct_value_at(ctx, ref);
    if (v->shape.numel != 1) {
        ct_fail(ctx, CT_ERR_SHAPE, "ct_item: %s has %lld elements, not one", ct_ref_text(ctx, ref),
                (long long)v->shape.numel);
        return NAN;
    }
    ct_advice_read(ctx);
    _Alignas(8) char element[8] = {0};
    if (download(ctx, "ct_item", element, v->data, ct_dtype_bytes(v->shape.dtype))) return NAN;
    return load_as_double(v->shape.dtype, element);
}

ct_status ct_data(ct_context *ctx, ct_tensor tensor, void **memory)
{
    ct_ref ref;
    if (!memory) return ctx ? ct_fail(ctx, CT_ERR_ARGUMENT, "ct_data: memory is NULL") : CT_ERR_ARGUMENT;
    ct_status status = settle(ctx, "ct_data", tensor, &ref);
    if (status) return status;
    *memory = ct_value_at(ctx, ref)->data;
    return CT_OK;
}

ct_status ct_mark_written(ct_context *ctx, ct_tensor tensor)
{
    ct_ref ref;
    ct_status status = leaf_for(ctx, "ct_mark_written", tensor, &ref);
    if (status) return status;
    ct_leaf_slot *leaf = ct_leaf_at(ctx, ref);
    ct_leaf_written(leaf, "ct_mark_written");
    if (leaf->owner != CT_REF_NONE) ct_advice_written(ctx, leaf, -1);
    return CT_OK;
}

/* ---- printing ----------------------------------------------------------------------- */

#define PRINTED_ROWS 6
#define PRINTED_COLUMNS 8

/* One line a row of the last dim; long rows and many rows are cut, and say so. */
ct_status ct_print(ct_context *ctx, ct_tensor tensor, const char *label)
{
    ct_info info;
    ct_status status = ct_describe(ctx, tensor, &info);
    if (status) return status;
    size_t one = ct_dtype_bytes(info.dtype), bytes = (size_t)info.numel * one;
    char *host = ct_alloc(ctx, bytes);
    if (!host) return ct_report(ctx, CT_ERR_MEMORY, "ct_print: out of host memory");
    status = ct_read(ctx, tensor, host, bytes);
    if (status) {
        ct_free(ctx, host);
        return status;
    }
    ct_shape shape = {.dtype = info.dtype, .ndim = info.ndim, .numel = info.numel};
    memcpy(shape.dim, info.shape, sizeof shape.dim);
    const char *name = *info.name || label ? info.name : "tensor";
    ct_log_line(ctx, "%s%s%s %s %s", label ? label : "", label && *name ? " " : "", name, ct_dtype_name(info.dtype),
                ct_shape_text(ctx, &shape));
    int64_t columns = info.ndim ? info.shape[info.ndim - 1] : 1, rows = columns ? info.numel / columns : 0;
    for (int64_t r = 0; r < rows && r < PRINTED_ROWS; r++) {
        char line[PRINTED_COLUMNS * 16 + 32];
        size_t used = 0;
        for (int64_t c = 0; c < columns && c < PRINTED_COLUMNS; c++)
            used += (size_t)snprintf(line + used, sizeof line - used, " %10.5g",
                                     load_as_double(info.dtype, host + (size_t)(r * columns + c) * one));
        ct_log_line(ctx, " %s%s", line, columns > PRINTED_COLUMNS ? " ..." : "");
    }
    if (rows > PRINTED_ROWS) ct_log_line(ctx, "  ... %lld rows in all", (long long)rows);
    ct_free(ctx, host);
    return CT_OK;
}

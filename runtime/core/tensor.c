/* Tensors: dtypes, shapes, handles, and leaves. */
#include "core/tensor.h"

#include "core/pool.h"
#include "device/device.h"
#include "program/program.h"
#include "tape/hook.h"
#include "tape/tape.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- dtypes and shapes -------------------------------------------------------- */

static const struct {
    const char *name;
    size_t bytes;
} dtypes[] = {
    [CT_F32] = {"f32", 4}, [CT_F64] = {"f64", 8}, [CT_I32] = {"i32", 4}, [CT_U8] = {"u8", 1}, [CT_I64] = {"i64", 8}};

#define N_DTYPES ((int32_t)(sizeof dtypes / sizeof *dtypes))

size_t ct_dtype_bytes(int32_t dtype) { return dtypes[dtype].bytes; }

const char *ct_dtype_name(int32_t dtype)
{
    return dtype >= 0 && dtype < N_DTYPES ? dtypes[dtype].name : "unknown dtype";
}

bool ct_shape_make(ct_context *ctx, const char *op, ct_dtype dtype, int ndim, const int64_t *dims, ct_shape *out)
{
    *out = (ct_shape){.dtype = (int32_t)dtype, .ndim = ndim, .numel = 1};
    if ((int32_t)dtype < 0 || (int32_t)dtype >= N_DTYPES)
        return ct_fail(ctx, CT_ERR_DTYPE, "%s: %d is no dtype", op, (int)dtype), false;
    if (ndim < 0 || ndim > CT_MAX_DIMS)
        return ct_fail(ctx, CT_ERR_SHAPE, "%s: %d dims; a tensor has 0 to %d", op, ndim, CT_MAX_DIMS), false;
    if (ndim > 0 && !dims) return ct_fail(ctx, CT_ERR_ARGUMENT, "%s: the shape is NULL", op), false;
    bool empty = false;
    for (int i = 0; i < ndim; i++) {
        if (dims[i] < 0)
            return ct_fail(ctx, CT_ERR_SHAPE, "%s: size %lld of dim %d is negative", op, (long long)dims[i], i), false;
        out->dim[i] = dims[i];
        empty = empty || dims[i] == 0;
    }
    /* Bytes, and strides of a tensor with an empty dim, must fit too. */
    int64_t limit = INT64_MAX / 16;
    for (int i = 0; i < ndim; i++) {
        int64_t size = dims[i] ? dims[i] : 1;
        if (out->numel > limit / size)
            return ct_fail(ctx, CT_ERR_SHAPE, "%s: shape %s has more elements than can be counted", op,
                           ct_shape_text(ctx, out)),
                   false;
        out->numel *= size;
    }
    if (empty) out->numel = 0;
    return true;
}

bool ct_shape_equal(const ct_shape *a, const ct_shape *b)
{
    return a->ndim == b->ndim && memcmp(a->dim, b->dim, sizeof a->dim) == 0;
}

/* Four texts at a time fit the scratch of the context, in turn. */
static char *next_text(ct_context *ctx, size_t *bytes)
{
    *bytes = sizeof ctx->scratch / 4;
    ctx->scratch_turn = (ctx->scratch_turn + 1) % 4;
    return ctx->scratch + ctx->scratch_turn * *bytes;
}

static size_t write_shape(const ct_shape *s, char *text, size_t bytes)
{
    size_t used = (size_t)snprintf(text, bytes, "[");
    for (int i = 0; i < s->ndim && used < bytes; i++)
        used += (size_t)snprintf(text + used, bytes - used, "%s%lld", i ? "," : "", (long long)s->dim[i]);
    if (used < bytes) used += (size_t)snprintf(text + used, bytes - used, "]");
    return used;
}

const char *ct_shape_text(ct_context *ctx, const ct_shape *s)
{
    size_t bytes;
    char *text = next_text(ctx, &bytes);
    write_shape(s, text, bytes);
    return text;
}

static const char *ref_name(ct_context *ctx, ct_ref ref)
{
    return ct_ref_is_leaf(ref) ? ct_leaf_at(ctx, ref)->name : ct_tape_name_of(ctx, ref);
}

const char *ct_ref_text(ct_context *ctx, ct_ref ref)
{
    size_t bytes, used = 0;
    char *text = next_text(ctx, &bytes);
    const char *name = ref_name(ctx, ref);
    if (name) used = (size_t)snprintf(text, bytes, "%.100s ", name);
    write_shape(&ct_value_at(ctx, ref)->shape, text + used, bytes - used);
    return text;
}

/* ---- handles ---------------------------------------------------------------------
 * bits 63..54 context tag, 53 leaf or step value, 52..22 generation, 21..0 index.
 * A leaf slot's generation is odd while it is taken; that of step values is the
 * serial of the step, so that one addition makes them all stale. */

#define INDEX_BITS 22
#define GENERATION_BITS 31
#define INDEX_MASK ((uint64_t)CT_MAX_INDEX)
#define GENERATION_MASK (((uint64_t)1 << GENERATION_BITS) - 1)
#define LEAF_BIT ((uint64_t)1 << 53)

static uint64_t tag_of(const ct_context *ctx) { return (uint64_t)ctx->tag << 54; }

ct_tensor ct_handle(ct_context *ctx, ct_ref ref)
{
    uint64_t bits = tag_of(ctx) | (ref & ~CT_REF_LEAF);
    if (ct_ref_is_leaf(ref))
        bits |= LEAF_BIT | (uint64_t)(ct_leaf_at(ctx, ref)->generation & GENERATION_MASK) << INDEX_BITS;
    else
        bits |= (ctx->tape->step & GENERATION_MASK) << INDEX_BITS;
    return (ct_tensor){bits};
}

ct_ref ct_handle_ref(ct_tensor tensor)
{
    if (tensor.bits == 0) return CT_REF_NONE;
    return (ct_ref)(tensor.bits & INDEX_MASK) | (tensor.bits & LEAF_BIT ? CT_REF_LEAF : 0);
}

const char *ct_look_up(ct_context *ctx, ct_tensor tensor, ct_ref *out)
{
    if (tensor.bits == 0) return "is the zero tensor";
    if ((tensor.bits ^ tag_of(ctx)) >> 54) return "belongs to another context, or is no tensor";
    uint32_t index = (uint32_t)(tensor.bits & INDEX_MASK);
    uint64_t generation = tensor.bits >> INDEX_BITS & GENERATION_MASK;
    if (tensor.bits & LEAF_BIT) {
        if (index >= ctx->tensors->n_leaves) return "is no tensor of this context";
        /* The runtime's own handles still name a leaf that was released in this step. */
        const ct_leaf_slot *leaf = &ctx->tensors->leaves[index];
        if ((leaf->generation & GENERATION_MASK) != generation || !(leaf->generation & 1 || leaf->released))
            return "was released";
        *out = index | CT_REF_LEAF;
        return NULL;
    }
    if (generation != (ctx->tape->step & GENERATION_MASK))
        return "is a value of an earlier step, or of one that failed";
    if (index >= ctx->tape->n_values) return "is no tensor of this context";
    *out = index;
    return NULL;
}

bool ct_resolve(ct_context *ctx, const char *op, const char *what, ct_tensor tensor, ct_ref *out)
{
    const char *wrong = ct_look_up(ctx, tensor, out);
    if (!wrong) return true;
    ct_fail(ctx, CT_ERR_ARGUMENT, "%s: %s %s", op, what, wrong);
    return false;
}

ct_status ct_resolve_query(ct_context *ctx, const char *op, ct_tensor tensor, ct_ref *out)
{
    if (!ctx) return CT_ERR_ARGUMENT;
    if (!ctx->open) return CT_ERR_STATE;
    const char *wrong = ct_look_up(ctx, tensor, out);
    return wrong ? ct_report(ctx, CT_ERR_ARGUMENT, "%s: the tensor %s", op, wrong) : CT_OK;
}

/* ---- leaves ------------------------------------------------------------------------ */

ct_status ct_tensors_open(ct_context *ctx)
{
    ctx->tensors = ct_alloc(ctx, sizeof *ctx->tensors);
    return ctx->tensors ? CT_OK : CT_ERR_MEMORY;
}

void ct_tensors_close(ct_context *ctx)
{
    ct_tensors *t = ctx->tensors;
    if (!t) return;
    for (size_t i = 0; i < t->n_leaves; i++) ct_free(ctx, t->leaves[i].name);
    ct_free(ctx, t->leaves);
    ct_free(ctx, t->free_slots);
    ct_free(ctx, t->released);
    ct_free(ctx, t);
    ctx->tensors = NULL;
}

static ct_status take_slot(ct_context *ctx, const char *op, const ct_shape *shape, ct_ref *out)
{
    ct_tensors *t = ctx->tensors;
    uint32_t index;
    if (t->n_free) {
        index = t->free_slots[--t->n_free];
    } else {
        /* Room to free and to release every slot is made here, so that neither can fail. */
        size_t need = t->n_leaves + 1;
        if (need > CT_MAX_INDEX || !ct_grow(ctx, (void **)&t->leaves, &t->leaves_capacity, need, sizeof *t->leaves) ||
            !ct_grow(ctx, (void **)&t->free_slots, &t->free_capacity, need, sizeof *t->free_slots) ||
            !ct_grow(ctx, (void **)&t->released, &t->released_capacity, need, sizeof *t->released)) {
            return ct_report(ctx, CT_ERR_MEMORY, "%s: out of host memory at %zu leaves", op, t->n_leaves);
        }
        index = (uint32_t)t->n_leaves++;
    }
    ct_leaf_slot *leaf = &t->leaves[index];
    *leaf = (ct_leaf_slot){.value = {.shape = *shape}, .generation = leaf->generation + 1};
    leaf->grad = leaf->counter = leaf->owner = CT_REF_NONE;
    leaf->writer = "ct_leaf";
    *out = index | CT_REF_LEAF;
    return CT_OK;
}

static void free_slot(ct_context *ctx, ct_ref ref)
{
    ct_leaf_slot *leaf = ct_leaf_at(ctx, ref);
    if (leaf->owns_data) ct_pool_give(ctx, leaf->value.data);
    if (!leaf->released) leaf->generation++;
    leaf->released = false;
    ct_free(ctx, leaf->name);
    leaf->name = NULL;
    leaf->value.data = NULL;
    leaf->owns_data = false;
    ctx->tensors->free_slots[ctx->tensors->n_free++] = ref & ~CT_REF_LEAF;
}

ct_status ct_leaf_new(ct_context *ctx, const char *op, const ct_shape *shape, const void *data, ct_ref *out)
{
    ct_device *device = ctx->device;
    size_t bytes = ct_shape_bytes(shape);
    ct_status status = take_slot(ctx, op, shape, out);
    if (status) return status;
    void *memory = NULL;
    status = ct_pool_take(ctx, bytes, &memory);
    if (status) {
        free_slot(ctx, *out);
        return ct_report(
            ctx, status, "%s: no memory for %s %s (%zu bytes; pool: %lld in use, %lld reserved, limit %zu)", op,
            ct_dtype_name(shape->dtype), ct_shape_text(ctx, shape), bytes, (long long)ctx->stats.pool_in_use,
            (long long)ctx->stats.pool_reserved, ctx->config.pool_bytes);
    }
    ct_leaf_slot *leaf = ct_leaf_at(ctx, *out);
    leaf->value.data = memory;
    leaf->owns_data = true;
    status = data ? device->upload(device, memory, data, bytes) : device->fill(device, memory, 0, bytes);
    if (!status) return CT_OK;
    free_slot(ctx, *out);
    return ct_report(ctx, status, "%s: %s", op, device->message);
}

/* The same, with the error standing. */
static ct_ref make_leaf(ct_context *ctx, const char *op, const ct_shape *shape, const void *data)
{
    ct_ref ref = 0;
    ct_status status = ct_leaf_new(ctx, op, shape, data, &ref);
    if (!status) return ref;
    ct_fail(ctx, status, "%s", ctx->message);
    return CT_REF_NONE;
}

ct_ref ct_leaf_make(ct_context *ctx, const char *op, const ct_shape *shape) { return make_leaf(ctx, op, shape, NULL); }

ct_tensor ct_leaf(ct_context *ctx, ct_dtype dtype, int ndim, const int64_t *shape, const void *data)
{
    ct_shape s;
    if (ct_ready(ctx) || !ct_shape_make(ctx, "ct_leaf", dtype, ndim, shape, &s)) return (ct_tensor){0};
    ct_ref ref = make_leaf(ctx, "ct_leaf", &s, data);
    return ref == CT_REF_NONE ? (ct_tensor){0} : ct_handle(ctx, ref);
}

static void store_as(int32_t dtype, double value, char *to)
{
    switch (dtype) {
    case CT_F32: memcpy(to, &(float){(float)value}, 4); break;
    case CT_F64: memcpy(to, &value, 8); break;
    case CT_I32: memcpy(to, &(int32_t){(int32_t)value}, 4); break;
    case CT_U8: memcpy(to, &(uint8_t){(uint8_t)value}, 1); break;
    case CT_I64: memcpy(to, &(int64_t){(int64_t)value}, 8); break;
    default: break;
    }
}

/* Whether a cast of the value to this dtype is defined, and exact for integers. */
static bool fits_dtype(int32_t dtype, double value)
{
    static const double low[] = {[CT_I32] = INT32_MIN, [CT_U8] = 0, [CT_I64] = -0x1p63};
    static const double high[] = {[CT_I32] = INT32_MAX, [CT_U8] = UINT8_MAX, [CT_I64] = 0x1p63 - 1024};
    if (ct_is_float(dtype)) return true;
    return value >= low[dtype] && value <= high[dtype] && value == floor(value);
}

ct_tensor ct_full(ct_context *ctx, ct_dtype dtype, int ndim, const int64_t *shape, double value)
{
    ct_shape s;
    if (ct_ready(ctx) || !ct_shape_make(ctx, "ct_full", dtype, ndim, shape, &s)) return (ct_tensor){0};
    if (!fits_dtype(s.dtype, value)) {
        ct_fail(ctx, CT_ERR_ARGUMENT, "ct_full: %g does not fit %s", value, ct_dtype_name(s.dtype));
        return (ct_tensor){0};
    }
    if (value == 0 && !signbit(value)) return ct_leaf(ctx, dtype, ndim, shape, NULL);
    size_t bytes = ct_shape_bytes(&s), one = ct_dtype_bytes(s.dtype);
    /* The host copy of a tensor that the device could not hold is not attempted. */
    if (bytes > ct_pool_headroom(ctx) && bytes > ctx->config.pool_bytes) {
        ct_fail(ctx, CT_ERR_MEMORY, "ct_full: %s %s is larger than the pool's limit", ct_dtype_name(s.dtype),
                ct_shape_text(ctx, &s));
        return (ct_tensor){0};
    }
    char *host = ct_alloc(ctx, bytes);
    if (!host) {
        ct_fail(ctx, CT_ERR_MEMORY, "ct_full: no host memory for %s", ct_shape_text(ctx, &s));
        return (ct_tensor){0};
    }
    for (int64_t i = 0; i < s.numel; i++) store_as(s.dtype, value, host + (size_t)i * one);
    ct_tensor leaf = ct_leaf(ctx, dtype, ndim, shape, host);
    ct_free(ctx, host);
    return leaf;
}

ct_tensor ct_wrap(ct_context *ctx, ct_dtype dtype, int ndim, const int64_t *shape, void *memory)
{
    ct_shape s;
    if (ct_ready(ctx) || !ct_shape_make(ctx, "ct_wrap", dtype, ndim, shape, &s)) return (ct_tensor){0};
    if (!memory || (uintptr_t)memory % ct_dtype_bytes(s.dtype)) {
        ct_fail(ctx, CT_ERR_ARGUMENT, "ct_wrap: memory %p is %s", memory,
                memory ? "not aligned to its elements" : "NULL");
        return (ct_tensor){0};
    }
    ct_status status = ctx->device->adopt(ctx->device, memory);
    if (status) {
        ct_fail(ctx, status, "ct_wrap: %s", ctx->device->message);
        return (ct_tensor){0};
    }
    ct_ref ref = 0;
    status = take_slot(ctx, "ct_wrap", &s, &ref);
    if (status) {
        ct_fail(ctx, status, "%s", ctx->message);
        return (ct_tensor){0};
    }
    ct_value_at(ctx, ref)->data = memory;
    return ct_handle(ctx, ref);
}

void ct_release(ct_context *ctx, ct_tensor tensor)
{
    ct_ref ref;
    if (!ctx || !ctx->open || tensor.bits == 0) return;
    /* A sweep holds handles of leaves; the function of ct_gradcheck may release what it made. */
    if (ctx->tape->sweeping && ct_refuse_in_callback(ctx, "ct_release")) return;
    const char *wrong = ct_look_up(ctx, tensor, &ref);
    if (!wrong && !ct_ref_is_leaf(ref)) wrong = "is a step value, not a leaf";
    if (!wrong && ct_leaf_at(ctx, ref)->internal) wrong = "is a gradient: it goes with its leaf";
    if (wrong)
        ct_fail(ctx, CT_ERR_ARGUMENT, "ct_release: the tensor %s", wrong);
    else
        ct_leaf_free(ctx, ref);
}

static void release_slot(ct_context *ctx, ct_ref ref)
{
    ct_leaf_slot *leaf = ct_leaf_at(ctx, ref);
    leaf->generation++;
    leaf->released = true;
    ct_tape_note_release(ctx, leaf);
    ctx->tensors->released[ctx->tensors->n_released++] = ref & ~CT_REF_LEAF;
}

void ct_leaf_free(ct_context *ctx, ct_ref ref)
{
    ct_leaf_slot *leaf = ct_leaf_at(ctx, ref);
    /* What it owns goes first: blocks are taken again last in first out, so that the same leaf
     * made anew finds the same places. */
    ct_ref owned[] = {leaf->counter, leaf->grad};
    for (int i = 0; i < 2; i++)
        if (owned[i] != CT_REF_NONE) release_slot(ctx, owned[i]);
    ct_hooks_forget(ctx, ref);
    release_slot(ctx, ref);
    if (ctx->tape->n_records == 0) ct_leaves_reclaim(ctx);
}

void ct_leaves_reclaim(ct_context *ctx)
{
    ct_tensors *t = ctx->tensors;
    for (size_t i = 0; i < t->n_released; i++) free_slot(ctx, t->released[i] | CT_REF_LEAF);
    t->n_released = 0;
}

ct_status ct_describe(ct_context *ctx, ct_tensor tensor, ct_info *out)
{
    ct_ref ref;
    if (!out) return ctx ? ct_report(ctx, CT_ERR_ARGUMENT, "ct_describe: out is NULL") : CT_ERR_ARGUMENT;
    ct_status status = ct_resolve_query(ctx, "ct_describe", tensor, &ref);
    if (status) return status;
    const ct_value *v = ct_value_at(ctx, ref);
    const char *name = ref_name(ctx, ref);
    *out = (ct_info){.dtype = v->shape.dtype,
                     .ndim = v->shape.ndim,
                     .numel = v->shape.numel,
                     .is_leaf = ct_ref_is_leaf(ref),
                     .requires_grad = v->requires_grad,
                     .name = name ? name : ""};
    memcpy(out->shape, v->shape.dim, sizeof out->shape);
    return CT_OK;
}

ct_status ct_set_name(ct_context *ctx, ct_tensor tensor, const char *name)
{
    ct_ref ref = CT_REF_NONE;
    ct_status status = ct_resolve_query(ctx, "ct_set_name", tensor, &ref);
    if (status) return status;
    char *copy = NULL;
    if (name) {
        copy = ct_alloc(ctx, strlen(name) + 1);
        if (!copy) return ct_report(ctx, CT_ERR_MEMORY, "ct_set_name: out of host memory");
        strcpy(copy, name);
    }
    if (!ct_ref_is_leaf(ref)) return ct_tape_name(ctx, ref, copy);
    ct_free(ctx, ct_leaf_at(ctx, ref)->name);
    ct_leaf_at(ctx, ref)->name = copy;
    return CT_OK;
}

void ct_leaf_written(ct_leaf_slot *leaf, const char *writer)
{
    leaf->version++;
    leaf->writer = writer;
}

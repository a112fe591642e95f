/* Ops of the user's own: registered on a context, recorded by ct_call, lowered to a launch that
 * calls the user's function. See custom.h among the public headers. */
#include "ops/custom.h"

#include "device/device.h"
#include "program/lower.h"

#include <stdio.h>
#include <string.h>

#define NAME_BYTES 64

typedef struct custom_op {
    ct_op op; /* first: the table holds its address */
    ct_op_config config;
    char name[NAME_BYTES];
} custom_op;

typedef struct ct_custom_ops {
    custom_op **list;
    size_t n, capacity;
} ct_custom_ops;

_Static_assert(sizeof(ct_op_scalar) == sizeof(ct_scalar), "one layout, seen from outside and inside");
_Static_assert(offsetof(ct_op_scalar, f32) == offsetof(ct_scalar, f32), "one layout");

const ct_op *ct_custom_op(const ct_context *ctx, uint16_t op)
{
    const ct_custom_ops *ops = ctx->custom_ops;
    const size_t i = (size_t)op - CT_OP_COUNT;
    return op >= CT_OP_COUNT && ops && i < ops->n ? &ops->list[i]->op : NULL;
}

void ct_custom_ops_close(ct_context *ctx)
{
    ct_custom_ops *ops = ctx->custom_ops;
    if (!ops) return;
    for (size_t i = 0; i < ops->n; i++) ct_free(ctx, ops->list[i]);
    ct_free(ctx, ops->list);
    ct_free(ctx, ops);
    ctx->custom_ops = NULL;
}

static const custom_op *custom_of(const ct_context *ctx, uint16_t op) { return (const custom_op *)ct_op_of(ctx, op); }

/* ---- gradients --------------------------------------------------------------------------------- */

static bool check_gradient(ct_context *ctx, const custom_op *c, const ct_adjoint *a, uint32_t i)
{
    ct_ref input, gradient;
    if (!ct_resolve(ctx, c->name, "an input", a->in[i], &input)) return false;
    if (!ct_resolve(ctx, c->name, "a gradient that its rule gave", a->gin[i], &gradient)) return false;
    const ct_shape like = ct_shape_of(ctx, input), shape = ct_shape_of(ctx, gradient);
    if (like.dtype == shape.dtype && ct_shape_equal(&like, &shape)) return true;
    ct_fail(ctx, like.dtype == shape.dtype ? CT_ERR_SHAPE : CT_ERR_DTYPE,
            "%s: its gradient rule gives input %u, %s %s, a gradient %s %s", c->name, i, ct_dtype_name(like.dtype),
            ct_ref_text(ctx, input), ct_dtype_name(shape.dtype), ct_shape_text(ctx, &shape));
    return false;
}

static void custom_vjp(ct_context *ctx, ct_adjoint *a)
{
    const custom_op *c = custom_of(ctx, a->op);
    c->config.gradient(ctx, &(ct_op_gradient){.user = c->config.user,
                                              .n_inputs = c->config.n_inputs,
                                              .n_outputs = c->config.n_outputs,
                                              .n_attrs = c->config.n_attrs,
                                              .n_scalars = c->config.n_scalars,
                                              .inputs = a->in,
                                              .outputs = a->out,
                                              .adjoints = a->g,
                                              .attrs = a->attr,
                                              .scalars = a->scalar,
                                              .needs = a->needs,
                                              .gradients = a->gin});
    for (uint32_t i = 0; i < a->n_in && !ctx->status; i++)
        if (a->needs[i] && a->gin[i].bits && !check_gradient(ctx, c, a, i)) return;
}

static void missing_vjp(ct_context *ctx, ct_adjoint *a)
{
    ct_fail(ctx, CT_ERR_UNSUPPORTED,
            "backward: the op %s has no gradient rule (ct_op_config.gradient); if its outputs are constants, say "
            "CT_OP_HAS_NO_GRADIENT",
            custom_of(ctx, a->op)->name);
}

/* ---- lowering ---------------------------------------------------------------------------------- */

static ct_op_tensor tensor_of(const ct_shape *s, void *data)
{
    ct_op_tensor t = {.data = data, .dtype = s->dtype, .ndim = s->ndim, .numel = s->numel};
    memcpy(t.shape, s->dim, sizeof t.shape);
    return t;
}

static void custom_lower(ct_lowering *l)
{
    const custom_op *c = (const custom_op *)ct_lowering_op(l);
    const ct_op_config *config = &c->config;
    bool wanted = false;
    ct_custom_launch *launch = ct_lowering_host(l, sizeof *launch);
    if (!launch) return;
    for (uint32_t i = 0; i < (uint32_t)config->n_inputs; i++)
        launch->inputs[i] = tensor_of(ct_in_shape(l, i), ct_in(l, i));
    for (uint32_t i = 0; i < (uint32_t)config->n_outputs; i++) {
        launch->outputs[i] = tensor_of(ct_out_shape(l, i), ct_out(l, i));
        wanted |= ct_out(l, i) && ct_out_shape(l, i)->numel;
    }
    if (!wanted) return;
    for (uint32_t i = 0; i < (uint32_t)config->n_attrs; i++) launch->attrs[i] = ct_attr(l, i);
    launch->cpu = config->cpu;
    launch->cuda = config->cuda;
    launch->in_ranges = config->flags & CT_OP_IS_ELEMENTWISE;
    launch->call = (ct_op_call){.user = config->user,
                                .n_inputs = config->n_inputs,
                                .n_outputs = config->n_outputs,
                                .n_attrs = config->n_attrs,
                                .n_scalars = config->n_scalars,
                                .inputs = launch->inputs,
                                .outputs = launch->outputs,
                                .attrs = launch->attrs,
                                .scalars = (const ct_op_scalar *)ct_scalars(l),
                                .count = launch->outputs[0].numel};
    ct_emit_custom(l, launch);
    ct_cost(l, 0, ct_operand_bytes(l)); /* its arithmetic nobody knows */
}

/* ---- registration ------------------------------------------------------------------------------ */

#define HANDLE_TAG_SHIFT 32

static ct_op_handle handle_of(const ct_context *ctx, uint16_t op)
{
    return (ct_op_handle){(uint64_t)ctx->tag << HANDLE_TAG_SHIFT | op};
}

static bool is_sound_name(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.";
    const size_t length = name ? strlen(name) : 0;
    return length > 0 && length < NAME_BYTES && strspn(name, allowed) == length;
}

static bool is_taken(const ct_context *ctx, const char *name)
{
    const ct_op *op;
    for (uint16_t i = 0; (op = ct_op_of(ctx, i)) != NULL; i++)
        if (strcmp(op->name, name) == 0) return true;
    return false;
}

static bool within(int32_t n, int32_t least, int32_t most) { return n >= least && n <= most; }

static ct_status check_config(ct_context *ctx, const ct_op_config *c)
{
    const char *why = NULL;
    const bool elementwise = c->flags & CT_OP_IS_ELEMENTWISE;
    if (!is_sound_name(c->name))
        return ct_fail(ctx, CT_ERR_ARGUMENT,
                       "ct_op_register: the name of an op has letters, digits, '_' and '.', at most %d: '%.80s'",
                       NAME_BYTES - 1, c->name ? c->name : "");
    if (is_taken(ctx, c->name)) return ct_fail(ctx, CT_ERR_ARGUMENT, "ct_op_register: there is an op %s", c->name);
    if (!within(c->n_inputs, 0, CT_OP_MAX_INPUTS) || !within(c->n_outputs, 1, CT_OP_MAX_OUTPUTS) ||
        !within(c->n_attrs, 0, CT_OP_MAX_ATTRS) || !within(c->n_scalars, 0, CT_OP_MAX_SCALARS))
        return ct_fail(ctx, CT_ERR_ARGUMENT,
                       "ct_op_register: %s has %d inputs, %d outputs, %d attributes and %d scalars; an op has 0 to %d, "
                       "1 to %d, 0 to %d and 0 to %d",
                       c->name, c->n_inputs, c->n_outputs, c->n_attrs, c->n_scalars, CT_OP_MAX_INPUTS,
                       CT_OP_MAX_OUTPUTS, CT_OP_MAX_ATTRS, CT_OP_MAX_SCALARS);
    if (c->flags & ~(CT_OP_IS_ELEMENTWISE | CT_OP_HAS_NO_GRADIENT)) why = "has unknown flags";
    if (c->unread >> c->n_inputs) why = "does not read an input (ct_op_config.unread) that it has not";
    if (elementwise && (!c->n_inputs || c->n_outputs > 1)) why = "is elementwise: it wants inputs, and one output";
    if (!c->n_inputs && !c->infer) why = "has no inputs, and no function that tells its shape";
    if (c->gradient && (c->flags & CT_OP_HAS_NO_GRADIENT)) why = "has a gradient rule, and CT_OP_HAS_NO_GRADIENT";
    if (!c->cpu && !c->cuda) why = "has neither a CPU function nor a CUDA launcher";
    return why ? ct_fail(ctx, CT_ERR_ARGUMENT, "ct_op_register: %s %s", c->name, why) : CT_OK;
}

#define MOST_OPS 0x8000u /* of records' 16 bits; the last number has another meaning in keys */

ct_status ct_op_register(ct_context *ctx, const ct_op_config *config, ct_op_handle *out)
{
    if (out) out->bits = 0;
    ct_status status = ct_ready(ctx);
    if (status) return status;
    if (!config || !out) return ct_fail(ctx, CT_ERR_ARGUMENT, "ct_op_register: no config, or no place for the handle");
    status = check_config(ctx, config);
    if (status) return status;
    if (!ctx->custom_ops) ctx->custom_ops = ct_alloc(ctx, sizeof *ctx->custom_ops);
    ct_custom_ops *ops = ctx->custom_ops;
    if (ops && ops->n >= MOST_OPS) return ct_fail(ctx, CT_ERR_UNSUPPORTED, "ct_op_register: a context has no more ops");
    custom_op *c = NULL;
    if (ops && ct_grow(ctx, (void **)&ops->list, &ops->capacity, ops->n + 1, sizeof(custom_op *)))
        c = ct_alloc(ctx, sizeof *c);
    if (!c) return ct_fail(ctx, CT_ERR_MEMORY, "ct_op_register: out of host memory");
    c->config = *config;
    strcpy(c->name, config->name);
    c->config.name = c->name;
    const bool constant = config->flags & CT_OP_HAS_NO_GRADIENT;
    c->op = (ct_op){.name = c->name,
                    .flags = config->flags & CT_OP_IS_ELEMENTWISE ? CT_OP_ELEMENTWISE | CT_OP_DENSE : 0,
                    .saved = ~config->unread,
                    .vjp = config->gradient ? custom_vjp
                           : constant       ? NULL
                                            : missing_vjp,
                    .lower = custom_lower};
    ops->list[ops->n] = c;
    *out = handle_of(ctx, (uint16_t)(CT_OP_COUNT + ops->n++));
    return CT_OK;
}

/* ---- recording --------------------------------------------------------------------------------- */

typedef struct arguments {
    int n_inputs, n_attrs, n_scalars;
    const ct_tensor *inputs;
    const int64_t *attrs;
    const double *scalars;
} arguments;

static const custom_op *find(ct_context *ctx, const char *call, ct_op_handle handle)
{
    const uint16_t op = (uint16_t)handle.bits;
    const custom_op *c = op >= CT_OP_COUNT ? custom_of(ctx, op) : NULL;
    if (c && handle.bits == handle_of(ctx, op).bits) return c;
    ct_fail(ctx, CT_ERR_ARGUMENT, "%s: the op is none that was registered on this context", call);
    return NULL;
}

static bool check_arguments(ct_context *ctx, const custom_op *c, const arguments *a)
{
    const ct_op_config *config = &c->config;
    const bool on_gpu = ctx->device->stream != NULL;
    if (a->n_inputs != config->n_inputs || a->n_attrs != config->n_attrs || a->n_scalars != config->n_scalars)
        ct_fail(ctx, CT_ERR_ARGUMENT, "%s: %d inputs, %d attributes, %d scalars; it has %d, %d, %d", c->name,
                a->n_inputs, a->n_attrs, a->n_scalars, config->n_inputs, config->n_attrs, config->n_scalars);
    else if ((a->n_inputs && !a->inputs) || (a->n_attrs && !a->attrs) || (a->n_scalars && !a->scalars))
        ct_fail(ctx, CT_ERR_ARGUMENT, "%s: NULL for its inputs, attributes or scalars", c->name);
    else if (on_gpu ? !config->cuda : !config->cpu)
        ct_fail(ctx, CT_ERR_UNSUPPORTED, "%s: it has no %s, and the device is %s", c->name,
                on_gpu ? "CUDA launcher (ct_op_config.cuda)" : "CPU function (ct_op_config.cpu)", ctx->device->name);
    return !ctx->status;
}

/* "[2,3], w [3]", for messages. */
static const char *inputs_text(ct_context *ctx, int n, const ct_ref *refs, char text[static CT_MESSAGE_BYTES / 2])
{
    size_t used = 0;
    text[0] = 0;
    for (int i = 0; i < n && used < CT_MESSAGE_BYTES / 2; i++)
        used += (size_t)snprintf(text + used, CT_MESSAGE_BYTES / 2 - used, "%s%s %s", i ? ", " : "",
                                 ct_dtype_name(ct_shape_of(ctx, refs[i]).dtype), ct_ref_text(ctx, refs[i]));
    return text;
}

/* Inputs of an elementwise op, expanded to the shape that they broadcast to. */
static bool broadcast(ct_context *ctx, const custom_op *c, ct_ref refs[static CT_OP_MAX_INPUTS])
{
    char text[CT_MESSAGE_BYTES / 2];
    const int n = c->config.n_inputs;
    ct_shape joint = ct_shape_of(ctx, refs[0]);
    for (int i = 1; i < n; i++) {
        const ct_shape s = ct_shape_of(ctx, refs[i]);
        const int ndim = s.ndim > joint.ndim ? s.ndim : joint.ndim;
        int64_t dims[CT_MAX_DIMS];
        if (ct_broadcast_dims(&joint, &s, 0, dims) >= 0) {
            ct_fail(ctx, CT_ERR_SHAPE, "%s: %s do not broadcast", c->name, inputs_text(ctx, n, refs, text));
            return false;
        }
        if (!ct_shape_make(ctx, c->name, (ct_dtype)joint.dtype, ndim, dims, &joint)) return false;
    }
    for (int i = 0; i < n; i++) {
        const ct_shape s = ct_shape_of(ctx, refs[i]);
        if (ct_shape_equal(&s, &joint)) continue;
        const ct_tensor expanded = ct_expand(ctx, ct_handle(ctx, refs[i]), joint.ndim, joint.dim);
        if (!expanded.bits || !ct_resolve(ctx, c->name, "an input", expanded, &refs[i])) return false;
    }
    return true;
}

/* Where there is no shape function: floats, all alike. */
static bool outputs_like_inputs(ct_context *ctx, const custom_op *c, const ct_ref *refs, ct_shape *out)
{
    char text[CT_MESSAGE_BYTES / 2];
    const int n = c->config.n_inputs;
    const ct_shape first = ct_shape_of(ctx, refs[0]);
    if (!ct_want_float(ctx, c->name, refs[0])) return false;
    for (int i = 1; i < n; i++) {
        const ct_shape s = ct_shape_of(ctx, refs[i]);
        if (!ct_want_same_dtype(ctx, c->name, refs[0], refs[i])) return false;
        if (ct_shape_equal(&first, &s)) continue;
        ct_fail(ctx, CT_ERR_SHAPE, "%s: %s: the inputs have to have one shape", c->name,
                inputs_text(ctx, n, refs, text));
        return false;
    }
    for (int i = 0; i < c->config.n_outputs; i++) out[i] = first;
    return true;
}

/* What the shape function says of one output, checked. */
static bool shape_inferred(ct_context *ctx, const custom_op *c, const ct_op_tensor *t, const ct_op_tensor *like,
                           ct_shape *out)
{
    if (t->dtype < CT_F32 || t->dtype > CT_I64) {
        ct_fail(ctx, CT_ERR_DTYPE, "%s: its shape function gives an output the dtype %d", c->name, t->dtype);
        return false;
    }
    if (!ct_shape_make(ctx, c->name, (ct_dtype)t->dtype, t->ndim, t->shape, out)) return false;
    const bool fits = !(c->op.flags & CT_OP_ELEMENTWISE) ||
                      (t->ndim == like->ndim && memcmp(out->dim, like->shape, sizeof out->dim) == 0);
    if (!fits)
        ct_fail(ctx, CT_ERR_SHAPE, "%s: it is elementwise, but its shape function gives another shape, %s", c->name,
                ct_shape_text(ctx, out));
    return fits;
}

static bool infer(ct_context *ctx, const custom_op *c, const arguments *a, const ct_ref *refs, ct_shape *out)
{
    const ct_op_config *config = &c->config;
    if (!config->infer) return outputs_like_inputs(ctx, c, refs, out);
    ct_op_tensor inputs[CT_OP_MAX_INPUTS] = {0}, outputs[CT_OP_MAX_OUTPUTS];
    for (int i = 0; i < config->n_inputs; i++) {
        const ct_shape s = ct_shape_of(ctx, refs[i]);
        inputs[i] = tensor_of(&s, NULL);
    }
    for (int i = 0; i < config->n_outputs; i++) outputs[i] = inputs[0];
    const ct_op_call call = {.user = config->user,
                             .n_inputs = config->n_inputs,
                             .n_outputs = config->n_outputs,
                             .n_attrs = config->n_attrs,
                             .n_scalars = config->n_scalars,
                             .inputs = inputs,
                             .attrs = a->attrs};
    const char *why = NULL;
    const ct_status status = config->infer(&call, outputs, &why);
    if (status) {
        char text[CT_MESSAGE_BYTES / 2];
        const bool sound = status == CT_ERR_ARGUMENT || status == CT_ERR_DTYPE || status == CT_ERR_UNSUPPORTED;
        ct_fail(ctx, sound ? status : CT_ERR_SHAPE, "%s: %s: %s", c->name,
                inputs_text(ctx, config->n_inputs, refs, text), why ? why : "the inputs do not fit");
        return false;
    }
    for (int i = 0; i < config->n_outputs; i++)
        if (!shape_inferred(ctx, c, &outputs[i], &inputs[0], &out[i])) return false;
    return true;
}

static bool find_inputs(ct_context *ctx, const custom_op *c, const arguments *a, ct_ref refs[static CT_OP_MAX_INPUTS])
{
    for (int i = 0; i < a->n_inputs; i++) {
        const char *wrong = ct_look_up(ctx, a->inputs[i], &refs[i]);
        if (!wrong) continue;
        ct_fail(ctx, CT_ERR_ARGUMENT, "%s: input %d %s", c->name, i, wrong);
        return false;
    }
    return !(c->op.flags & CT_OP_ELEMENTWISE) || broadcast(ctx, c, refs);
}

static ct_status record(ct_context *ctx, const char *call, ct_op_handle op, const arguments *a, int n_outputs,
                        ct_tensor *outputs)
{
    const ct_status status = ct_ready(ctx);
    if (status) return status;
    ct_ref refs[CT_OP_MAX_INPUTS], first;
    ct_shape shapes[CT_OP_MAX_OUTPUTS];
    const custom_op *c = find(ctx, call, op);
    if (!c || !check_arguments(ctx, c, a)) return ctx->status;
    if (n_outputs != c->config.n_outputs)
        return ct_fail(ctx, CT_ERR_ARGUMENT, "%s: place for %d outputs; it has %d", c->name, n_outputs,
                       c->config.n_outputs);
    if (!find_inputs(ctx, c, a, refs) || !infer(ctx, c, a, refs, shapes)) return ctx->status;
    const ct_tensor made = ct_tape_add(ctx, &(ct_entry){.op = (uint16_t)op.bits,
                                                        .n_attr = (uint8_t)a->n_attrs,
                                                        .n_scalar = (uint8_t)a->n_scalars,
                                                        .n_in = (uint32_t)a->n_inputs,
                                                        .n_out = (uint32_t)n_outputs,
                                                        .in = refs,
                                                        .attr = a->attrs,
                                                        .scalar = a->scalars,
                                                        .out = shapes});
    if (!made.bits || !ct_resolve(ctx, c->name, "an output", made, &first)) return ctx->status;
    for (int i = 0; i < n_outputs; i++) outputs[i] = ct_handle(ctx, first + (ct_ref)i);
    return CT_OK;
}

ct_tensor ct_call(ct_context *ctx, ct_op_handle op, int n_inputs, const ct_tensor *inputs, int n_attrs,
                  const int64_t *attrs, int n_scalars, const double *scalars)
{
    ct_tensor outputs[CT_OP_MAX_OUTPUTS] = {{0}};
    if (ct_ready(ctx)) return outputs[0];
    const custom_op *c = find(ctx, "ct_call", op);
    const arguments a = {n_inputs, n_attrs, n_scalars, inputs, attrs, scalars};
    if (c) record(ctx, "ct_call", op, &a, c->config.n_outputs, outputs);
    return outputs[0];
}

ct_status ct_call_outputs(ct_context *ctx, ct_op_handle op, int n_inputs, const ct_tensor *inputs, int n_attrs,
                          const int64_t *attrs, int n_scalars, const double *scalars, int n_outputs, ct_tensor *outputs)
{
    for (int i = 0; outputs && i < n_outputs; i++) outputs[i] = (ct_tensor){0};
    const ct_status status = ct_ready(ctx);
    if (status) return status;
    if (!outputs) return ct_fail(ctx, CT_ERR_ARGUMENT, "ct_call_outputs: no place for the outputs");
    const arguments a = {n_inputs, n_attrs, n_scalars, inputs, attrs, scalars};
    return record(ctx, "ct_call_outputs", op, &a, n_outputs, outputs);
}

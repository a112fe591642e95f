/* The reverse sweep: walks records backwards and appends what their gradient rules
 * say, as ordinary records. ct_backward, ct_gradients and the .grad of leaves. */
#include "core/advice.h"
#include "device/device.h"
#include "ops/op.h"
#include "tape/tape.h"

#include <string.h>

/* ---- .grad ------------------------------------------------------------------------- */

static ct_status leaf_ref(ct_context *ctx, const char *call, ct_tensor tensor, ct_ref *ref)
{
    ct_status status = ct_ready(ctx);
    if (status) return status;
    if (!ct_resolve(ctx, call, "the tensor", tensor, ref)) return ctx->status;
    if (!ct_ref_is_leaf(*ref)) return ct_fail(ctx, CT_ERR_ARGUMENT, "%s: a step value is not a leaf", call);
    return CT_OK;
}

ct_status ct_set_requires_grad(ct_context *ctx, ct_tensor tensor, bool requires_grad)
{
    ct_ref ref;
    ct_status status = leaf_ref(ctx, "ct_set_requires_grad", tensor, &ref);
    if (!status) status = ct_refuse_in_callback(ctx, "ct_set_requires_grad");
    if (status) return status;
    ct_shape shape = ct_shape_of(ctx, ref);
    if (requires_grad && !ct_is_float(shape.dtype))
        return ct_fail(ctx, CT_ERR_DTYPE, "ct_set_requires_grad: %s %s has no gradient; only f32 and f64 have",
                       ct_ref_text(ctx, ref), ct_dtype_name(shape.dtype));
    if (requires_grad && ct_leaf_at(ctx, ref)->grad == CT_REF_NONE) {
        ct_ref grad = ct_leaf_make(ctx, "ct_set_requires_grad", &shape);
        if (grad == CT_REF_NONE) return ctx->status;
        ct_leaf_at(ctx, grad)->internal = true;
        ct_leaf_at(ctx, ref)->grad = grad;
        ct_leaf_at(ctx, grad)->owner = ref;
    }
    ct_leaf_at(ctx, ref)->value.requires_grad = requires_grad;
    return CT_OK;
}

static ct_status grad_ref(ct_context *ctx, const char *call, ct_tensor tensor, ct_ref *grad)
{
    ct_ref ref;
    ct_status status = leaf_ref(ctx, call, tensor, &ref);
    if (status) return status;
    *grad = ct_leaf_at(ctx, ref)->grad;
    if (*grad == CT_REF_NONE)
        return ct_fail(ctx, CT_ERR_STATE, "%s: %s does not require a gradient; call ct_set_requires_grad first", call,
                       ct_ref_text(ctx, ref));
    return CT_OK;
}

ct_tensor ct_grad(ct_context *ctx, ct_tensor tensor)
{
    ct_ref grad;
    return grad_ref(ctx, "ct_grad", tensor, &grad) ? (ct_tensor){0} : ct_handle(ctx, grad);
}

ct_status ct_zero_grad(ct_context *ctx, ct_tensor tensor)
{
    ct_ref grad;
    ct_status status = grad_ref(ctx, "ct_zero_grad", tensor, &grad);
    if (status) return status;
    return ct_tape_add_effect(
        ctx, &(ct_entry){
                 .op = CT_OP_zero, .phase = CT_PHASE_UPDATE, .n_in = 1, .in = &grad, .access = &(uint8_t){CT_WRITE}});
}

void ct_no_grad_begin(ct_context *ctx)
{
    if (ctx) ctx->no_grad_depth++;
}

void ct_no_grad_end(ct_context *ctx)
{
    if (!ctx) return;
    if (ctx->no_grad_depth > 0)
        ctx->no_grad_depth--;
    else if (ctx->open)
        ct_fail(ctx, CT_ERR_STATE, "ct_no_grad_end: there is no ct_no_grad_begin to end");
}

/* ---- the sweep ------------------------------------------------------------------------ */

#define RULE_INPUTS 8 /* differentiable ops have few inputs; longer lists take host memory */

typedef struct sweep {
    ct_context *ctx;
    uint32_t serial; /* marks adjoints of this sweep                             */
    uint32_t path;   /* nonzero: only values marked with it lead to an input     */
    uint16_t input;  /* of the record that is swept, to which the rule gave what is added: from 1 */
    bool retain;
    bool unhooked;   /* hooks do not run: forward mode only borrows the sweep        */
    size_t n_leaves; /* that got an adjoint, by first encounter, in tape->sweep_leaves */
} sweep;

/* Does a gradient flow to this operand, and on to what is asked for? */
static bool wanted(const sweep *s, const ct_operand *o)
{
    return (o->access & CT_FLOWS) && (!s->path || ct_value_at(s->ctx, o->ref)->path == s->path);
}

ct_tensor ct_adjoint_of(ct_context *ctx, ct_tensor g)
{
    ct_ref given;
    if (!ct_resolve(ctx, "backward", "an adjoint", g, &given) || !ct_ref_is_leaf(given)) return g;
    ct_shape shape = ct_shape_of(ctx, given);
    return ct_reshape(ctx, g, shape.ndim, shape.dim);
}

/* Add to the adjoint of a tensor. */
static void contribute(sweep *s, ct_ref ref, ct_tensor g)
{
    ct_context *ctx = s->ctx;
    g = ct_adjoint_of(ctx, g);
    if (ctx->status) return;
    ct_tape *t = ctx->tape;
    ct_record *maker = &t->records[t->values[ct_handle_ref(g)].record];
    if (maker->source == t->sweeping_record && !maker->gradient) maker->gradient = s->input;
    ct_value *v = ct_value_at(ctx, ref);
    if (v->sweep == s->serial) {
        ct_tensor sum = ct_add(ctx, v->adjoint, g);
        if (ctx->status) return;
        ct_value_at(ctx, ref)->adjoint = sum; /* the tape may have moved */
        t->records[t->n_records - 1].flags |= CT_RECORD_SUMS;
        t->records[t->n_records - 1].gradient = s->input;
        return;
    }
    v->sweep = s->serial;
    v->adjoint = g;
    if (!ct_ref_is_leaf(ref)) return;
    if (!ct_grow(ctx, (void **)&t->sweep_leaves, &t->sweep_leaves_capacity, s->n_leaves + 1, sizeof *t->sweep_leaves))
        ct_fail(ctx, CT_ERR_MEMORY, "backward: out of host memory");
    else
        t->sweep_leaves[s->n_leaves++] = ref;
}

/* The values a rule reads must still be those that the forward op read. */
static bool check_versions(ct_context *ctx, const ct_record *r)
{
    const ct_operand *operands = &ctx->tape->operands[r->operand];
    const ct_op *op = ct_op_of(ctx, r->op);
    for (uint32_t i = 0; i < r->n_in; i++) {
        bool saved = i < 32 && (op->saved >> i & 1);
        if (!saved || !ct_ref_is_leaf(operands[i].ref)) continue;
        const ct_leaf_slot *leaf = ct_leaf_at(ctx, operands[i].ref);
        if (leaf->version == operands[i].version) continue;
        ct_fail(ctx, CT_ERR_STATE,
                "backward: the gradient of %s reads %s, which %s has written since (version %u, recorded at %u)",
                op->name, ct_ref_text(ctx, operands[i].ref), leaf->writer, leaf->version, operands[i].version);
        return false;
    }
    return true;
}

/* Apply one record's rule. False with the error standing. */
static bool sweep_record(sweep *s, uint32_t index)
{
    ct_context *ctx = s->ctx;
    ct_tape *t = ctx->tape;
    ct_record r = t->records[index]; /* a copy: the tape moves as the rule records */
    const ct_op *op = ct_op_of(ctx, r.op);
    if (r.flags & CT_RECORD_SWEPT) {
        ct_fail(ctx, CT_ERR_STATE,
                "backward: %s was swept by an earlier backward of this step, which freed it; pass CT_RETAIN_GRAPH to "
                "the first, or record it again",
                op->name);
        return false;
    }
    if (!check_versions(ctx, &r)) return false;

    ct_tensor few_in[RULE_INPUTS], few_gin[RULE_INPUTS];
    bool few_needs[RULE_INPUTS];
    ct_ref few_refs[RULE_INPUTS];
    void *many = NULL;
    ct_adjoint a = {.op = r.op, .n_in = r.n_in, .in = few_in, .needs = few_needs, .gin = few_gin};
    ct_tensor *in = few_in;
    bool *needs = few_needs;
    ct_ref *refs = few_refs;
    if (r.n_in > RULE_INPUTS) {
        size_t each = 2 * sizeof(ct_tensor) + sizeof(ct_ref) + sizeof(bool);
        many = ct_alloc(ctx, r.n_in * each);
        if (!many) return ct_fail(ctx, CT_ERR_MEMORY, "backward: out of host memory"), false;
        in = many;
        a.gin = in + r.n_in;
        refs = (ct_ref *)(a.gin + r.n_in);
        needs = (bool *)(refs + r.n_in);
        a.in = in;
        a.needs = needs;
    }
    for (uint32_t i = 0; i < r.n_in; i++) {
        refs[i] = t->operands[r.operand + i].ref;
        in[i] = ct_handle(ctx, refs[i]);
        needs[i] = wanted(s, &t->operands[r.operand + i]);
        a.gin[i] = (ct_tensor){0};
    }
    for (uint32_t i = 0; i < r.n_out && i < 3; i++) {
        ct_ref out = t->operands[r.operand + r.n_in + i].ref;
        const ct_value *v = &t->values[out];
        a.out[i] = ct_handle(ctx, out);
        if (v->sweep == s->serial) a.g[i] = v->adjoint;
    }
    if (r.n_attr) memcpy(a.attr, &t->attrs[r.attr], r.n_attr * sizeof *a.attr);
    if (r.n_scalar) memcpy(a.scalar, &t->scalars[r.scalar], r.n_scalar * sizeof *a.scalar);

    t->sweeping_record = index;
    op->vjp(ctx, &a);
    for (uint32_t i = 0; i < r.n_in && !ctx->status; i++)
        if (needs[i] && a.gin[i].bits) {
            s->input = i < UINT16_MAX ? (uint16_t)(i + 1) : 0;
            contribute(s, refs[i], a.gin[i]);
        }
    t->sweeping_record = CT_NO_RECORD;
    ct_free(ctx, many);
    if (ctx->status) return false;
    if (!s->retain) ctx->tape->records[index].flags |= CT_RECORD_SWEPT;
    return true;
}

static bool has_adjoint(const sweep *s, const ct_record *r)
{
    const ct_tape *t = s->ctx->tape;
    const ct_operand *out = &t->operands[r->operand + r->n_in];
    for (uint32_t i = 0; i < r->n_out; i++)
        if (t->values[out[i].ref].sweep == s->serial) return true;
    return false;
}

static bool has_wanted_input(const sweep *s, const ct_record *r)
{
    for (uint32_t i = 0; i < r->n_in; i++)
        if (wanted(s, &s->ctx->tape->operands[r->operand + i])) return true;
    return false;
}

/* Give every root its seed: the caller's, or ones. */
static bool seed_roots(sweep *s, const char *call, int n, const ct_tensor *roots, const ct_tensor *seeds,
                       uint32_t *last)
{
    ct_context *ctx = s->ctx;
    *last = 0;
    for (int i = 0; i < n; i++) {
        ct_ref root, seed;
        if (!ct_resolve(ctx, call, "a root", roots[i], &root)) return false;
        ct_shape shape = ct_shape_of(ctx, root);
        if (!s->path && !ct_value_at(ctx, root)->requires_grad) {
            ct_fail(ctx, CT_ERR_STATE, "%s: root %d, %s, does not require a gradient", call, i, ct_ref_text(ctx, root));
            return false;
        }
        ct_tensor g = seeds ? seeds[i] : (ct_tensor){0};
        if (g.bits) {
            if (!ct_resolve(ctx, call, "a seed", g, &seed)) return false;
            ct_shape given = ct_shape_of(ctx, seed);
            if (!ct_shape_equal(&given, &shape) || given.dtype != shape.dtype) {
                ct_fail(ctx, given.dtype != shape.dtype ? CT_ERR_DTYPE : CT_ERR_SHAPE,
                        "%s: root %d is %s %s, its seed is %s %s", call, i, ct_dtype_name(shape.dtype),
                        ct_ref_text(ctx, root), ct_dtype_name(given.dtype), ct_ref_text(ctx, seed));
                return false;
            }
        } else {
            if (!ct_is_float(shape.dtype)) {
                ct_fail(ctx, CT_ERR_DTYPE, "%s: root %d is %s; only f32 and f64 have gradients", call, i,
                        ct_dtype_name(shape.dtype));
                return false;
            }
            g = ct_constant(ctx, &shape, 1);
        }
        if (ctx->status) return false;
        contribute(s, root, g);
        if (ctx->status) return false;
        if (!ct_ref_is_leaf(root) && ctx->tape->values[root].record >= *last)
            *last = ctx->tape->values[root].record + 1;
    }
    return true;
}

/* All contributions to these adjoints are there. */
static void run_hooks(const sweep *s, uint32_t index)
{
    ct_tape *t = s->ctx->tape;
    const ct_record r = t->records[index]; /* a copy: the tape moves as hooks record */
    for (uint32_t i = 0; i < r.n_out && !s->ctx->status; i++) {
        const ct_ref out = t->operands[r.operand + r.n_in + i].ref;
        if (t->values[out].sweep == s->serial) ct_hooks_run(s->ctx, out);
    }
}

static void run_hooks_of_leaves(const sweep *s)
{
    for (size_t i = 0; i < s->n_leaves && !s->ctx->status; i++) ct_hooks_run(s->ctx, s->ctx->tape->sweep_leaves[i]);
}

static bool run(sweep *s, const char *call, int n, const ct_tensor *roots, const ct_tensor *seeds)
{
    ct_context *ctx = s->ctx;
    uint32_t last;
    const bool hooked = ctx->tape->n_hooks && !s->unhooked;
    s->serial = ++ctx->tape->sweep;
    if (!seed_roots(s, call, n, roots, seeds, &last)) return false;
    for (uint32_t i = last; i-- > 0;) {
        if (hooked && (ctx->tape->records[i].flags & CT_RECORD_GRAD)) run_hooks(s, i);
        if (ctx->status) return false;
        const ct_record *r = &ctx->tape->records[i];
        bool swept = (r->flags & CT_RECORD_GRAD) && has_adjoint(s, r) && has_wanted_input(s, r);
        if (swept && !sweep_record(s, i)) return false;
    }
    if (hooked) run_hooks_of_leaves(s);
    return !ctx->status;
}

static void accumulate_leaves(sweep *s)
{
    ct_context *ctx = s->ctx;
    for (size_t i = 0; i < s->n_leaves && !ctx->status; i++) {
        const ct_leaf_slot *leaf = ct_leaf_at(ctx, ctx->tape->sweep_leaves[i]);
        if (leaf->grad != CT_REF_NONE) ct_accumulate(ctx, ct_handle(ctx, leaf->grad), leaf->value.adjoint);
    }
}

static ct_status backward(ct_context *ctx, const char *call, int n, const ct_tensor *roots, const ct_tensor *seeds,
                          int flags)
{
    if (n < 1 || !roots) return ct_fail(ctx, CT_ERR_ARGUMENT, "%s: no roots", call);
    if (flags & ~CT_RETAIN_GRAPH)
        return ct_fail(ctx, CT_ERR_ARGUMENT, "%s: flags %d; only CT_RETAIN_GRAPH has a meaning here", call, flags);
    if (ct_refuse_in_callback(ctx, call)) return ctx->status;
    sweep s = {.ctx = ctx, .retain = flags & CT_RETAIN_GRAPH};
    ctx->tape->sweeping = true;
    ct_advice_trained(ctx);
    if (run(&s, call, n, roots, seeds)) accumulate_leaves(&s);
    ctx->tape->sweeping = false;
    return ctx->status;
}

ct_status ct_backward(ct_context *ctx, ct_tensor root)
{
    ct_ref ref;
    ct_status status = ct_ready(ctx);
    if (!status) status = ct_refuse_in_callback(ctx, "ct_backward");
    if (status) return status;
    if (!ct_resolve(ctx, "ct_backward", "the root", root, &ref)) return ctx->status;
    if (ct_value_at(ctx, ref)->shape.numel != 1)
        return ct_fail(ctx, CT_ERR_SHAPE, "ct_backward: the root %s has more than one element; use ct_backward_from",
                       ct_ref_text(ctx, ref));
    return backward(ctx, "ct_backward", 1, &root, NULL, 0);
}

ct_status ct_backward_from(ct_context *ctx, int n, const ct_tensor *roots, const ct_tensor *seeds, int flags)
{
    ct_status status = ct_ready(ctx);
    return status ? status : backward(ctx, "ct_backward_from", n, roots, seeds, flags);
}

/* Mark all values of the step that depend on the inputs. */
static bool mark_paths(ct_context *ctx, const char *call, uint32_t path, int n, const ct_tensor *inputs)
{
    ct_tape *t = ctx->tape;
    for (int i = 0; i < n; i++) {
        ct_ref ref;
        if (!ct_resolve(ctx, call, "an input", inputs[i], &ref)) return false;
        if (!ct_value_at(ctx, ref)->requires_grad) {
            ct_fail(ctx, CT_ERR_STATE, "%s: input %d, %s, does not require a gradient", call, i, ct_ref_text(ctx, ref));
            return false;
        }
        ct_value_at(ctx, ref)->path = path;
    }
    for (size_t k = 0; k < t->n_records; k++) {
        const ct_record *r = &t->records[k];
        if (!(r->flags & CT_RECORD_GRAD)) continue;
        const ct_operand *o = &t->operands[r->operand];
        bool depends = false;
        for (uint32_t i = 0; i < r->n_in && !depends; i++)
            depends = (o[i].access & CT_FLOWS) && ct_value_at(ctx, o[i].ref)->path == path;
        for (uint32_t i = 0; depends && i < r->n_out; i++) t->values[o[r->n_in + i].ref].path = path;
    }
    return true;
}

/* ct_gradients and its uses: `call` is who asks. */
static ct_status gradients(ct_context *ctx, const char *call, int n_out, const ct_tensor *outputs,
                           const ct_tensor *seeds, int n_in, const ct_tensor *inputs, ct_tensor *grads, int flags,
                           bool unhooked)
{
    ct_tape *t = ctx->tape;
    for (int i = 0; i < n_in; i++) grads[i] = (ct_tensor){0};
    if (t->sweeping) return ct_refuse_in_callback(ctx, call);
    sweep s = {.ctx = ctx, .path = ++t->path, .retain = flags != 0, .unhooked = unhooked};
    if (!mark_paths(ctx, call, s.path, n_in, inputs)) return ctx->status;
    const int no_grad_depth = ctx->no_grad_depth;
    t->sweeping = true;
    t->sweep_keeps = flags & CT_CREATE_GRAPH;
    if (t->sweep_keeps) ctx->no_grad_depth = 0; /* a graph was asked for by name */
    if (run(&s, call, n_out, outputs, seeds))
        for (int i = 0; i < n_in && !ctx->status; i++) {
            ct_ref ref, grad;
            if (!ct_resolve(ctx, call, "an input", inputs[i], &ref)) break;
            const ct_value *v = ct_value_at(ctx, ref);
            ct_shape shape = v->shape;
            grads[i] = v->sweep == s.serial ? v->adjoint : ct_constant(ctx, &shape, 0);
            if (!ctx->status && ct_resolve(ctx, call, "a gradient", grads[i], &grad)) ct_tape_keep(ctx, grad);
        }
    t->sweeping = t->sweep_keeps = false;
    ctx->no_grad_depth = no_grad_depth;
    for (int i = 0; ctx->status && i < n_in; i++) grads[i] = (ct_tensor){0};
    return ctx->status;
}

ct_status ct_gradients(ct_context *ctx, int n_out, const ct_tensor *outputs, const ct_tensor *seeds, int n_in,
                       const ct_tensor *inputs, ct_tensor *grads, int flags)
{
    for (int i = 0; grads && i < n_in; i++) grads[i] = (ct_tensor){0};
    ct_status status = ct_ready(ctx);
    if (status) return status;
    if (n_out < 1 || n_in < 1 || !outputs || !inputs || !grads)
        return ct_fail(ctx, CT_ERR_ARGUMENT, "ct_gradients: no outputs, inputs or place for the gradients");
    if (flags & ~(CT_RETAIN_GRAPH | CT_CREATE_GRAPH))
        return ct_fail(ctx, CT_ERR_ARGUMENT, "ct_gradients: unknown flags %d", flags);
    return gradients(ctx, "ct_gradients", n_out, outputs, seeds, n_in, inputs, grads, flags, false);
}

/* A dummy adjoint for an output: a value like any other, with a gradient. */
static ct_tensor dummy_like(ct_context *ctx, ct_tensor output)
{
    ct_ref like, ref;
    if (!ct_resolve(ctx, "ct_jvp", "an output", output, &like)) return (ct_tensor){0};
    ct_shape shape = ct_shape_of(ctx, like);
    if (!ct_want_float(ctx, "ct_jvp", like)) return (ct_tensor){0};
    ct_tensor dummy = ct_constant(ctx, &shape, 0);
    if (!ctx->status && ct_resolve(ctx, "ct_jvp", "a dummy", dummy, &ref)) ct_value_at(ctx, ref)->requires_grad = true;
    return dummy;
}

/* A vjp is linear in its adjoint u, so J v is the vjp of u -> Jᵀu, with v as its adjoint. */
ct_status ct_jvp(ct_context *ctx, int n_in, const ct_tensor *inputs, const ct_tensor *tangents, int n_out,
                 const ct_tensor *outputs, ct_tensor *out_tangents)
{
    for (int i = 0; out_tangents && i < n_out; i++) out_tangents[i] = (ct_tensor){0};
    ct_status status = ct_ready(ctx);
    if (status) return status;
    if (n_in < 1 || n_out < 1 || !inputs || !tangents || !outputs || !out_tangents)
        return ct_fail(ctx, CT_ERR_ARGUMENT, "ct_jvp: no inputs, tangents, outputs or place for their tangents");
    for (int i = 0; i < n_in; i++) {
        ct_ref tangent;
        if (!ct_resolve(ctx, "ct_jvp", "a tangent", tangents[i], &tangent)) return ctx->status;
    }
    ct_tensor *dummies = ct_alloc(ctx, (size_t)(n_in + n_out) * sizeof *dummies);
    if (!dummies) return ct_fail(ctx, CT_ERR_MEMORY, "ct_jvp: out of host memory");
    ct_tensor *pulled = dummies + n_out; /* Jᵀu */
    for (int i = 0; i < n_out && !ctx->status; i++) dummies[i] = dummy_like(ctx, outputs[i]);
    status = ctx->status;
    if (!status)
        status = gradients(ctx, "ct_jvp", n_out, outputs, dummies, n_in, inputs, pulled, CT_CREATE_GRAPH, true);
    if (!status)
        status = gradients(ctx, "ct_jvp", n_in, pulled, tangents, n_out, dummies, out_tangents, CT_RETAIN_GRAPH, true);
    ct_free(ctx, dummies);
    return status;
}

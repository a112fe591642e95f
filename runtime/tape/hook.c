/* Hooks on gradients: a user's functions of finished adjoints, called by gradient.c while a
 * sweep records. What a hook records is part of the tape like any other record; a replay
 * calls nobody. */
#include "tape/hook.h"

#include "tape/tape.h"

/* The hooks of all tensors, in the order they were added: few, so a list is searched, and
 * only for tensors that are marked. */
static void forget(ct_context *ctx, ct_ref ref)
{
    ct_tape *t = ctx->tape;
    size_t kept = 0;
    for (size_t i = 0; i < t->n_hooks; i++)
        if (t->hooks[i].ref != ref) t->hooks[kept++] = t->hooks[i];
    t->n_hooks = kept;
    ct_value_at(ctx, ref)->hooked = false;
}

void ct_hooks_forget(ct_context *ctx, ct_ref ref)
{
    if (ct_value_at(ctx, ref)->hooked) forget(ctx, ref);
}

void ct_hooks_step_ended(ct_context *ctx)
{
    ct_tape *t = ctx->tape;
    size_t kept = 0;
    for (size_t i = 0; i < t->n_hooks; i++)
        if (ct_ref_is_leaf(t->hooks[i].ref)) t->hooks[kept++] = t->hooks[i];
    t->n_hooks = kept;
}

ct_status ct_on_gradient(ct_context *ctx, ct_tensor tensor, ct_gradient_hook hook, void *user)
{
    ct_ref ref;
    ct_status status = ct_ready(ctx);
    if (status) return status;
    ct_tape *t = ctx->tape;
    if (t->sweeping) return ct_refuse_in_callback(ctx, "ct_on_gradient");
    if (!ct_resolve(ctx, "ct_on_gradient", "the tensor", tensor, &ref)) return ctx->status;
    if (!hook) {
        ct_hooks_forget(ctx, ref);
        return CT_OK;
    }
    if (!ct_value_at(ctx, ref)->requires_grad)
        return ct_fail(ctx, CT_ERR_STATE, "ct_on_gradient: %s does not require a gradient", ct_ref_text(ctx, ref));
    if (!ct_grow(ctx, (void **)&t->hooks, &t->hooks_capacity, t->n_hooks + 1, sizeof *t->hooks))
        return ct_fail(ctx, CT_ERR_MEMORY, "ct_on_gradient: out of host memory");
    t->hooks[t->n_hooks++] = (ct_hook){ref, hook, user};
    ct_value_at(ctx, ref)->hooked = true;
    return CT_OK;
}

/* What a hook gave back, as an adjoint of `ref`. */
static bool check_returned(ct_context *ctx, ct_ref ref, ct_tensor returned)
{
    ct_ref given;
    if (!ct_resolve(ctx, "ct_on_gradient", "what the hook returned", returned, &given)) return false;
    const ct_shape *want = &ct_value_at(ctx, ref)->shape, *is = &ct_value_at(ctx, given)->shape;
    if (ct_shape_equal(want, is) && want->dtype == is->dtype) return true;
    ct_fail(ctx, want->dtype == is->dtype ? CT_ERR_SHAPE : CT_ERR_DTYPE,
            "ct_on_gradient: the hook on %s %s returned %s %s; a gradient is like its tensor",
            ct_dtype_name(want->dtype), ct_ref_text(ctx, ref), ct_dtype_name(is->dtype), ct_ref_text(ctx, given));
    return false;
}

static ct_tensor call(ct_context *ctx, const ct_hook *hook, ct_tensor adjoint)
{
    ct_tape *t = ctx->tape;
    const uint64_t step = t->step;
    const int no_grad_depth = ctx->no_grad_depth;
    const char *outer = t->callback;
    t->callback = "a gradient hook";
    t->hooked = hook->ref;
    const ct_tensor returned = hook->call(ctx, adjoint, hook->user);
    t->hooked = CT_REF_NONE;
    t->callback = outer;
    ctx->no_grad_depth = no_grad_depth;
    if (!ctx->status && t->step != step)
        ct_fail(ctx, CT_ERR_STATE, "ct_on_gradient: a hook cleared an error that it met");
    if (ctx->status || !returned.bits) return adjoint;
    return check_returned(ctx, hook->ref, returned) ? ct_adjoint_of(ctx, returned) : adjoint;
}

void ct_hooks_run(ct_context *ctx, ct_ref ref)
{
    ct_tape *t = ctx->tape;
    if (!ct_value_at(ctx, ref)->hooked) return;
    ct_tensor adjoint = ct_value_at(ctx, ref)->adjoint;
    ct_ref given;
    if (ct_resolve(ctx, "ct_on_gradient", "the gradient", adjoint, &given)) ct_tape_keep(ctx, given);
    for (size_t i = 0; i < t->n_hooks && !ctx->status; i++)
        if (t->hooks[i].ref == ref) {
            const ct_hook hook = t->hooks[i];
            adjoint = call(ctx, &hook, adjoint);
        }
    if (!ctx->status) ct_value_at(ctx, ref)->adjoint = adjoint;
}

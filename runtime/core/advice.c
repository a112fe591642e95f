/* Warnings about classic mistakes: see advice.h.
 *
 * What became of a gradient is kept as times on a clock of its own, in the slot of the
 * .grad: when it was last zeroed, added to, and used by an optimizer. */
#include "core/advice.h"

#include "ops/op.h"
#include "program/program.h"

enum { NOT_ZEROED = 1, NO_GRADIENT = 2, LONG_STEP = 4, READS = 8, COMPILES = 16 };

/* True once for each piece of advice. */
static bool first_time(ct_context *ctx, uint32_t advice)
{
    const bool first = !(ctx->advice.given & advice);
    ctx->advice.given |= advice;
    return first;
}

/* ---- gradients -------------------------------------------------------------------------------- */

void ct_advice_written(ct_context *ctx, ct_leaf_slot *leaf, int op)
{
    const uint64_t now = ++ctx->advice.clock;
    if (op == CT_OP_clip_scale) return;
    if (op != CT_OP_accumulate) leaf->zeroed = now; /* overwritten, with zeros or with something else */
    if (op != CT_OP_zero) leaf->added = now;
}

static void advise_not_zeroed(ct_context *ctx, ct_ref parameter)
{
    if (first_time(ctx, NOT_ZEROED))
        ct_log_line(ctx,
                    "warning: the gradient of %s was not zeroed between two optimizer steps, so the second also uses "
                    "what the first did; call ct_optimizer_zero_grad before the ct_backward of each step",
                    ct_ref_text(ctx, parameter));
}

static void advise_no_gradient(ct_context *ctx, ct_ref parameter)
{
    if (first_time(ctx, NO_GRADIENT))
        ct_log_line(ctx,
                    "warning: an optimizer steps %s, whose gradient nothing has ever written: call ct_backward before "
                    "the step, see that the loss depends on it, or leave it out of the optimizer's parameters",
                    ct_ref_text(ctx, parameter));
}

void ct_advice_optimized(ct_context *ctx, ct_ref parameter, ct_ref grad)
{
    ct_advice *a = &ctx->advice;
    ct_leaf_slot *g = ct_leaf_at(ctx, grad);
    const uint64_t stepped = g->stepped > a->dropped ? g->stepped : 0;
    g->stepped = ++a->clock;
    if (!g->added) {
        if (!ct_value_at(ctx, parameter)->requires_grad) return; /* frozen */
        if (++g->steps_without >= CT_STEPS_WITHOUT_GRAD) advise_no_gradient(ctx, parameter);
        a->no_gradient = ct_handle(ctx, parameter);
    } else if (stepped > g->zeroed && g->added > stepped) {
        advise_not_zeroed(ctx, parameter);
    } else if (g->added > a->step_began && g->zeroed <= a->step_began) {
        a->not_zeroed = ct_handle(ctx, parameter);
    }
}

/* The step does what it did once more, for certain. */
static void look_at_replayed_gradients(ct_context *ctx)
{
    const ct_advice *a = &ctx->advice;
    ct_ref ref;
    if (a->last_no_gradient.bits && ct_resolve(ctx, "ct_replay", "a parameter", a->last_no_gradient, &ref) &&
        !ct_leaf_at(ctx, ct_leaf_at(ctx, ref)->grad)->added)
        advise_no_gradient(ctx, ref);
    if (a->last_not_zeroed.bits && ct_resolve(ctx, "ct_replay", "a parameter", a->last_not_zeroed, &ref)) {
        const ct_leaf_slot *g = ct_leaf_at(ctx, ct_leaf_at(ctx, ref)->grad);
        if (g->zeroed < g->stepped) advise_not_zeroed(ctx, ref);
    }
}

/* ---- steps ------------------------------------------------------------------------------------- */

void ct_advice_long_step(ct_context *ctx)
{
    if (first_time(ctx, LONG_STEP))
        ct_log_line(ctx,
                    "warning: %d ops were recorded in one step, and all their values are alive; call ct_step_end at "
                    "the end of each training step",
                    CT_LONG_STEP);
}

void ct_advice_trained(ct_context *ctx) { ctx->advice.trains = true; }

void ct_advice_read(ct_context *ctx) { ctx->advice.reads = true; }

/* A training step is over. A read between it and the one before belongs to it, as does one in its midst. */
static void count_read(ct_context *ctx)
{
    ct_advice *a = &ctx->advice;
    a->steps_with_a_read = a->reads ? a->steps_with_a_read + 1 : 0;
    a->reads = false;
    if (a->steps_with_a_read < CT_STEPS_WITH_A_READ || ctx->config.eager || ctx->config.detect_anomaly) return;
    if (first_time(ctx, READS))
        ct_log_line(ctx,
                    "warning: a value was read in each of the last %d training steps, and each read waits for the "
                    "device; ct_append values to a ring and read that now and then, or read every so many steps",
                    CT_STEPS_WITH_A_READ);
}

void ct_advice_compiles(ct_context *ctx)
{
    ct_advice *a = &ctx->advice;
    a->compiles = true;
    if (a->steps_compiled + 1 < CT_STEPS_COMPILED || !first_time(ctx, COMPILES)) return;
    char text[600];
    ct_program_explain_miss(ctx, text, sizeof text);
    ct_log_line(ctx, "warning: each of the last %d steps was compiled anew, and none was played again: %s",
                CT_STEPS_COMPILED, text);
}

static void begin_step(ct_context *ctx)
{
    ct_advice *a = &ctx->advice;
    a->step_began = a->clock;
    a->no_gradient = a->not_zeroed = (ct_tensor){0};
    a->compiles = a->trains = false;
}

void ct_advice_step_ended(ct_context *ctx)
{
    ct_advice *a = &ctx->advice;
    if (a->trains) count_read(ctx);
    a->steps_compiled = a->compiles ? a->steps_compiled + 1 : 0;
    a->last_no_gradient = a->no_gradient;
    a->last_not_zeroed = a->not_zeroed;
    a->last_trained = a->trains;
    begin_step(ctx);
}

void ct_advice_replayed(ct_context *ctx, int64_t n)
{
    look_at_replayed_gradients(ctx);
    if (!ctx->advice.last_trained) return;
    if (n > 1) ctx->advice.reads = false; /* of many steps, at most one has a read */
    count_read(ctx);
}

void ct_advice_dropped(ct_context *ctx)
{
    ctx->advice.dropped = ctx->advice.clock;
    begin_step(ctx);
}

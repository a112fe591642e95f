/* Spans: to the tool that looks on as NVTX ranges, and to the profile. See span.h. */
#include "profile/span.h"

#include "core/clock.h"
#include "ops/op.h"
#include "profile/describe.h"
#include "profile/nvtx.h"
#include "profile/profile.h"

#include <stdio.h>

static const struct {
    const char *name;
    uint8_t track; /* of the profile */
} kinds[CT_SPAN_KINDS] = {
    [CT_SPAN_REPLAY] = {"replay", CT_TRACK_HOST},   [CT_SPAN_PLAY] = {"play", CT_TRACK_HOST},
    [CT_SPAN_COMPILE] = {"compile", CT_TRACK_HOST}, [CT_SPAN_WRITE] = {"write", CT_TRACK_COPIES},
    [CT_SPAN_READ] = {"read", CT_TRACK_COPIES},     [CT_SPAN_WAIT] = {"wait", CT_TRACK_HOST},
};

static bool told(const ct_context *ctx) { return ctx->marks != NULL; }

/* ---- launches ------------------------------------------------------------------------------------ */

static const ct_program *program_of(const ct_code *code)
{
    return (const ct_program *)((const char *)code - offsetof(ct_program, code));
}

static void begin_launch(void *user, const ct_code *code, uint32_t launch)
{
    ct_context *ctx = user;
    const ct_program *program = program_of(code);
    const uint32_t k = code->launches[launch].record;
    const ct_plan_record *r = &program->plan.records[k];
    uint32_t n;
    const ct_ref written = ct_record_written(ctx, &program->plan, r, &n);
    ct_nvtx_record record = {
        .record = (uint32_t)ctx->tape->first_record + k, .program = program->number, .launch = launch};
    if (written != CT_REF_NONE) {
        const ct_shape *shape = &ct_value_at(ctx, written)->shape;
        snprintf(record.dtype, sizeof record.dtype, "%s", ct_dtype_name(shape->dtype));
        snprintf(record.shape, sizeof record.shape, "%s", ct_shape_text(ctx, shape));
    }
    ct_text label = {.ctx = ctx};
    const bool derived = ct_source_record(ctx->tape, &ctx->tape->records[record.record]) != CT_NO_RECORD;
    if (derived) ct_say_label(ctx, &label, record.record);
    ct_nvtx_push_record(r->phase, r->op, ct_plan_op(&program->plan, r)->name, label.failed ? NULL : label.bytes,
                        &record);
    ct_text_free(&label);
}

static void end_launch(void *user)
{
    (void)user;
    ct_nvtx_pop();
}

/* Launches of a program are told of while it plays. A replay is one range: a device without streams plays it
 * launch by launch even so; what others capture on the way is news. */
static void mark_launches(ct_context *ctx, ct_span_kind kind)
{
    const bool replays = kind == CT_SPAN_REPLAY && (ctx->device->stream || ct_profiling(ctx));
    if (kind == CT_SPAN_PLAY || replays) ctx->device->marks = ctx->marks;
}

/* ---- spans ----------------------------------------------------------------------------------------- */

int64_t ct_span_begin_slow(ct_context *ctx, ct_span_kind kind, int64_t number)
{
    if (told(ctx)) {
        ct_nvtx_push(kinds[kind].name, number);
        mark_launches(ctx, kind);
    }
    return ct_now_ns();
}

void ct_span_end_slow(ct_context *ctx, ct_span_kind kind, int64_t number, int64_t began)
{
    const uint8_t track = kinds[kind].track;
    if (ct_profiling(ctx))
        ct_profile_note(ctx, track, kinds[kind].name, began, ct_now_ns(), track == CT_TRACK_COPIES ? number : 0);
    if (!told(ctx)) return;
    if (kind == CT_SPAN_PLAY || kind == CT_SPAN_REPLAY) ctx->device->marks = NULL;
    ct_nvtx_pop();
}

void ct_span_step_begin(ct_context *ctx)
{
    if (!ctx->watched) return;
    ctx->step_began = ct_now_ns();
    if (told(ctx)) ctx->step_range = ct_nvtx_start("step", ctx->tape->step);
}

static void end_step(ct_context *ctx)
{
    if (ct_profiling(ctx)) {
        const int64_t first = ctx->profile->begin; /* of a step that had begun before the profile, its part */
        ct_profile_note(ctx, CT_TRACK_HOST, "step", ctx->step_began < first ? first : ctx->step_began, ct_now_ns(), 0);
    }
    if (told(ctx)) ct_nvtx_end(ctx->step_range);
    ctx->step_began = 0;
}

void ct_span_step_end(ct_context *ctx)
{
    if (ctx->step_began) end_step(ctx);
    if (ct_profiling(ctx)) ct_profile_step_ended(ctx);
}

void ct_span_open(ct_context *ctx)
{
    if (!ct_nvtx_attached()) return;
    ctx->marks = ct_alloc(ctx, sizeof *ctx->marks);
    if (!ctx->marks) return;
    *ctx->marks = (ct_marks){.begin = begin_launch, .end = end_launch, .user = ctx};
    ctx->watched = true;
    ct_nvtx_name_thread("cutape");
}

void ct_span_close(ct_context *ctx)
{
    ct_span_step_end(ctx);
    ctx->watched = false;
    ct_free(ctx, ctx->marks);
    ctx->marks = NULL;
}

void ct_span_profile(ct_context *ctx) { ctx->watched = told(ctx) || ct_profiling(ctx); }

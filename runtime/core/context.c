/* Contexts: making and ending one, its errors, its log, its host memory. */
#include "core/context.h"

#include "core/pool.h"
#include "core/tensor.h"
#include "device/device.h"
#include "ops/custom.h"
#include "ops/random.h"
#include "profile/profile.h"
#include "profile/span.h"
#include "program/program.h"
#include "tape/tape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const status_names[] = {
    "CT_OK",         "CT_ERR_ARGUMENT", "CT_ERR_SHAPE", "CT_ERR_DTYPE",   "CT_ERR_STATE",
    "CT_ERR_MEMORY", "CT_ERR_DEVICE",   "CT_ERR_IO",    "CT_ERR_NUMERIC", "CT_ERR_UNSUPPORTED",
};

const char *ct_status_name(ct_status status)
{
    size_t i = (size_t)status;
    return i < sizeof status_names / sizeof *status_names ? status_names[i] : "unknown status";
}

const char *ct_version(void) { return CUTAPE_VERSION; }

/* ---- host memory ----------------------------------------------------------- */

void *ct_alloc(ct_context *ctx, size_t bytes)
{
    if (bytes == 0) bytes = 1;
    if (!ctx->config.host_alloc) return calloc(1, bytes);
    void *memory = ctx->config.host_alloc(ctx->config.host_user, bytes);
    if (memory) memset(memory, 0, bytes);
    return memory;
}

void ct_free(ct_context *ctx, void *memory)
{
    if (!memory) return;
    if (ctx->config.host_free)
        ctx->config.host_free(ctx->config.host_user, memory);
    else
        free(memory);
}

bool ct_grow_slow(ct_context *ctx, void **array, size_t *capacity, size_t need, size_t element_bytes)
{
    size_t wanted = *capacity ? *capacity : 64;
    while (wanted < need) wanted *= 2;
    if (wanted > SIZE_MAX / element_bytes) return false;
    void *larger = ct_alloc(ctx, wanted * element_bytes);
    if (!larger) return false;
    if (*array) memcpy(larger, *array, *capacity * element_bytes);
    ct_free(ctx, *array);
    *array = larger;
    *capacity = wanted;
    return true;
}

/* ---- errors and log ---------------------------------------------------------- */

static void set_message(ct_context *ctx, const char *format, va_list list)
{
    /* The arguments may point into the old message, so build the new one aside. */
    char text[CT_MESSAGE_BYTES];
    vsnprintf(text, sizeof text, format, list);
    memcpy(ctx->message, text, sizeof text);
}

ct_status ct_fail(ct_context *ctx, ct_status status, const char *format, ...)
{
    if (ctx->status != CT_OK) return ctx->status;
    va_list list;
    va_start(list, format);
    set_message(ctx, format, list);
    va_end(list);
    ctx->status = status;
    if (ctx->tape) ct_tape_drop(ctx);
    return status;
}

ct_status ct_report(ct_context *ctx, ct_status status, const char *format, ...)
{
    if (ctx->status != CT_OK) return status; /* the standing error keeps its message */
    va_list list;
    va_start(list, format);
    set_message(ctx, format, list);
    va_end(list);
    return status;
}

void ct_log_line(ct_context *ctx, const char *format, ...)
{
    char text[CT_MESSAGE_BYTES];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    ct_log_text(ctx, text);
}

void ct_log_text(ct_context *ctx, const char *text)
{
    if (ctx->config.log)
        ctx->config.log(ctx->config.log_user, text);
    else
        fprintf(stderr, "cutape: %s\n", text);
}

ct_status ct_ready(ct_context *ctx)
{
    if (!ctx) return CT_ERR_ARGUMENT;
    if (!ctx->open) return CT_ERR_STATE;
    return ctx->status;
}

ct_status ct_error(const ct_context *ctx) { return ctx ? ctx->status : CT_ERR_ARGUMENT; }

const char *ct_error_message(const ct_context *ctx) { return ctx ? ctx->message : ""; }

void ct_clear_error(ct_context *ctx)
{
    /* A context that never opened, or a device that failed, stays that way. */
    if (!ctx || !ctx->open || ctx->status == CT_ERR_DEVICE) return;
    ctx->status = CT_OK;
    ctx->message[0] = 0;
}

/* ---- life ---------------------------------------------------------------------- */

void ct_hold(ct_context *ctx) { atomic_fetch_add(&ctx->refs, 1); }

void ct_drop(ct_context *ctx)
{
    if (atomic_fetch_sub(&ctx->refs, 1) == 1) ct_free(ctx, ctx);
}

/* Tags of open contexts, which mark their handles. One that was given back is taken again as
 * late as possible. */
static atomic_bool tags[CT_TAGS];

static ct_status take_tag(ct_context *ctx)
{
    static atomic_uint last;
    for (unsigned tries = 0; tries < CT_TAGS; tries++) {
        unsigned tag = (atomic_fetch_add(&last, 1) + 1) % CT_TAGS;
        if (tag == 0 || atomic_exchange(&tags[tag], true)) continue;
        ctx->tag = tag;
        return CT_OK;
    }
    return ct_fail(ctx, CT_ERR_STATE, "ct_create: %d contexts are open, which is the most", CT_TAGS - 1);
}

#define MAX_THREADS 256

static ct_status check_config(ct_context *ctx)
{
    const ct_config *c = &ctx->config;
    if (c->device < CT_DEVICE_AUTO || c->device > CT_DEVICE_CUDA)
        return ct_fail(ctx, CT_ERR_ARGUMENT, "ct_create: device is %d; use CT_DEVICE_AUTO, _CPU or _CUDA", c->device);
    if (c->math < CT_MATH_F32 || c->math > CT_MATH_BF16)
        return ct_fail(ctx, CT_ERR_ARGUMENT, "ct_create: math is %d; use CT_MATH_F32, _TF32 or _BF16", c->math);
    if (c->stream && c->device == CT_DEVICE_CPU)
        return ct_fail(ctx, CT_ERR_UNSUPPORTED, "ct_create: the CPU device has no streams; leave stream NULL");
    if (c->cpu_threads < 0 || c->cpu_threads > MAX_THREADS)
        return ct_fail(ctx, CT_ERR_ARGUMENT, "ct_create: cpu_threads is %d; use 0 (automatic) to %d", c->cpu_threads,
                       MAX_THREADS);
    if (!c->host_alloc != !c->host_free)
        return ct_fail(ctx, CT_ERR_ARGUMENT, "ct_create: give both host_alloc and host_free, or neither");
    return CT_OK;
}

ct_status ct_create(const ct_config *config, ct_context **out)
{
    if (!out) return CT_ERR_ARGUMENT;
    *out = NULL;
    bool hooks = config && config->host_alloc && config->host_free;
    ct_context *ctx = hooks ? config->host_alloc(config->host_user, sizeof *ctx) : malloc(sizeof *ctx);
    if (!ctx) return CT_ERR_MEMORY;
    memset(ctx, 0, sizeof *ctx);
    if (config) ctx->config = *config;
    atomic_init(&ctx->refs, 1);
    ctx->training = true;
    *out = ctx;

    ct_status status = take_tag(ctx);
    if (!status) status = check_config(ctx);
    if (!hooks) ctx->config.host_alloc = NULL, ctx->config.host_free = NULL;
    if (!status) status = ct_device_open(ctx);
    if (!status) ct_span_open(ctx);
    if (!status) status = ct_pool_open(ctx);
    if (!status) status = ct_tensors_open(ctx);
    if (!status) status = ct_tape_open(ctx);
    if (!status) status = ct_programs_open(ctx);
    if (status) return ct_fail(ctx, status, "ct_create: %s", ct_status_name(status));
    ctx->open = true;
    return CT_OK;
}

void ct_destroy(ct_context *ctx)
{
    if (!ctx) return;
    if (ctx->device) ctx->device->wait(ctx->device);
    ctx->open = false;
    ct_span_close(ctx);
    ct_profile_close(ctx);
    ct_programs_close(ctx);
    ct_tape_close(ctx);
    ct_custom_ops_close(ctx);
    ct_tensors_close(ctx);
    ct_pool_close(ctx);
    if (ctx->device) ctx->device->close(ctx->device);
    ctx->device = NULL;
    ctx->mirrors = NULL;
    if (ctx->tag) atomic_store(&tags[ctx->tag], false);
    if (ctx->status == CT_OK) {
        ctx->status = CT_ERR_STATE;
        snprintf(ctx->message, sizeof ctx->message, "the context was destroyed");
    }
    ct_drop(ctx);
}

const char *ct_device_name(const ct_context *ctx) { return ctx && ctx->device ? ctx->device->name : ""; }

void *ct_stream(const ct_context *ctx) { return ctx && ctx->device ? ctx->device->stream : NULL; }

void ct_set_training(ct_context *ctx, bool training)
{
    if (!ctx || (ctx->open && ct_refuse_in_callback(ctx, "ct_set_training"))) return;
    ctx->training = training;
}

bool ct_is_training(ct_context *ctx) { return ctx && ctx->training; }

ct_status ct_get_stats(ct_context *ctx, ct_stats *out)
{
    if (!ctx || !out) return CT_ERR_ARGUMENT;
    *out = ctx->stats;
    if (ctx->device) out->launches = ctx->device->launches;
    if (ctx->open) out->recorded = ct_tape_recorded(ctx);
    return CT_OK;
}

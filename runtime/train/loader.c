/* Loaders: batches of a data set by a cursor on the device, which the host mirrors so
 * that it knows the next batch's size. */
#include "ops/gather.h"
#include "train/dataset.h"
#include "train/params.h"

struct ct_loader {
    ct_mirror mirror; /* first: the tape knows the loader by it */
    ct_context *ctx;
    ct_dataset *data;
    ct_loader_config config;
    ct_ref cursor;
    uint64_t key;
    int64_t batches, full;    /* in an epoch, and how many of them are full           */
    int64_t drawn, committed; /* batches recorded; of those, launched                 */
    uint64_t step;            /* the step of the last draw, and what it has drawn:    */
    int64_t drawn_in_step;
    bool partial_in_step;
};

/* ---- the mirror ---------------------------------------------------------------------------------------- */

static void commit(ct_mirror *m)
{
    ct_loader *l = (ct_loader *)m;
    l->committed = l->drawn;
}

static void rollback(ct_mirror *m)
{
    ct_loader *l = (ct_loader *)m;
    l->drawn = l->committed;
    l->drawn_in_step = 0;
}

static int64_t replay_limit(ct_mirror *m)
{
    const ct_loader *l = (const ct_loader *)m;
    if (l->step != l->ctx->tape->last_step || l->drawn_in_step == 0) return INT64_MAX;
    if (l->partial_in_step) return 0;
    if (l->full == l->batches) return INT64_MAX;
    return (l->full - l->drawn % l->batches) / l->drawn_in_step;
}

static void replayed(ct_mirror *m, int64_t n)
{
    ct_loader *l = (ct_loader *)m;
    if (l->step != l->ctx->tape->last_step) return;
    l->drawn = l->committed = l->drawn + n * l->drawn_in_step;
}

static void leave_context(ct_loader *l)
{
    for (ct_mirror **link = &l->ctx->mirrors; *link; link = &(*link)->next)
        if (*link == &l->mirror) {
            *link = l->mirror.next;
            return;
        }
}

/* ---- the loader ---------------------------------------------------------------------------------------- */

ct_status ct_loader_create(ct_dataset *data, const ct_loader_config *config, ct_loader **out)
{
    if (!data || !config || !out) return CT_ERR_ARGUMENT;
    *out = NULL;
    ct_context *ctx = data->ctx;
    ct_status status = ct_object_ready(ctx, "ct_loader_create");
    if (status) return status;
    if (config->batch < 1 || config->batch > data->n)
        return ct_fail(ctx, CT_ERR_ARGUMENT, "ct_loader_create: batch is %lld; the data set has %lld examples",
                       (long long)config->batch, (long long)data->n);
    ct_loader *l = ct_alloc(ctx, sizeof *l);
    if (!l) return ct_fail(ctx, CT_ERR_MEMORY, "ct_loader_create: out of host memory");
    ct_shape scalar = ct_scalar_shape(CT_I64);
    ct_ref cursor = ct_leaf_make(ctx, "ct_loader_create", &scalar);
    if (cursor == CT_REF_NONE) {
        ct_free(ctx, l);
        return ctx->status;
    }
    ct_leaf_at(ctx, cursor)->internal = true;
    ct_hold(ctx);
    data->refs++;
    *l = (ct_loader){.mirror = {commit, rollback, replay_limit, replayed, ctx->mirrors},
                     .ctx = ctx,
                     .data = data,
                     .config = *config,
                     .cursor = cursor,
                     .key = ctx->config.seed * 0x9E3779B97F4A7C15u + ctx->streams++,
                     .full = data->n / config->batch};
    if (l->config.scale == 0) l->config.scale = 1.0 / 255;
    l->batches = l->full + (!config->drop_last && data->n % config->batch != 0);
    ctx->mirrors = &l->mirror;
    *out = l;
    return CT_OK;
}

void ct_loader_destroy(ct_loader *l)
{
    if (!l) return;
    ct_context *ctx = l->ctx;
    if (ctx->open) {
        leave_context(l);
        ct_leaf_free(ctx, l->cursor);
    }
    ct_dataset_destroy(l->data);
    ct_free(ctx, l);
    ct_drop(ctx);
}

int64_t ct_loader_batches(const ct_loader *l) { return l ? l->batches : 0; }

ct_status ct_loader_next(ct_loader *l, ct_tensor *x, ct_tensor *y)
{
    if (x) *x = (ct_tensor){0};
    if (y) *y = (ct_tensor){0};
    if (!l) return CT_ERR_ARGUMENT;
    ct_context *ctx = l->ctx;
    ct_status status = ct_object_ready(ctx, "ct_loader_next");
    if (status) return status;
    if (!x || !y) return ct_fail(ctx, CT_ERR_ARGUMENT, "ct_loader_next: x or y is NULL");
    bool partial = l->drawn % l->batches >= l->full;
    ct_gather g = {.cursor = l->cursor,
                   .rows = partial ? l->data->n % l->config.batch : l->config.batch,
                   .batch = l->config.batch,
                   .batches = l->batches,
                   .shuffle = l->config.shuffle,
                   .key = l->key,
                   .scale = l->config.scale,
                   .shift = l->config.shift};
    if (!ct_resolve(ctx, "ct_loader_next", "the data set", l->data->x, &g.x) ||
        !ct_resolve(ctx, "ct_loader_next", "the data set", l->data->y, &g.y))
        return ctx->status;
    if (l->step != ctx->tape->step) {
        l->step = ctx->tape->step;
        l->drawn_in_step = 0;
        l->partial_in_step = false;
    }
    l->drawn++;
    l->drawn_in_step++;
    l->partial_in_step |= partial;
    return ct_record_gather(ctx, &g, x, y);
}

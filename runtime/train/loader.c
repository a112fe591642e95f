/* Loaders: batches of a data set by a cursor on the device, which the host mirrors so
 * that it knows the next batch's size. */
#include "ops/gather.h"
#include "train/dataset.h"
#include "train/params.h"

#include "philox.h"

/* What a step has drawn. */
typedef struct draws {
    uint64_t step;
    int64_t n;
    bool partial;
} draws;

struct ct_loader {
    ct_mirror mirror; /* first: the tape knows the loader by it */
    ct_context *ctx;
    ct_dataset *data;
    ct_loader_config config;
    ct_ref cursor;
    uint64_t key;
    int64_t batches, full;    /* in an epoch, and how many of them are full           */
    int64_t drawn, committed; /* batches recorded; of those, launched                 */
    draws now, before;        /* in the step of the last draw, and in the one before  */
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
    /* The step before may still be replayed; an error with nothing pending drops no draw. */
    if (l->now.step == l->ctx->tape->step) l->now = l->before;
}

static int64_t replay_limit(ct_mirror *m)
{
    const ct_loader *l = (const ct_loader *)m;
    if (l->now.step != l->ctx->tape->last_step || l->now.n == 0) return INT64_MAX;
    if (l->now.partial) return 0;
    if (l->full == l->batches) return INT64_MAX;
    return (l->full - l->drawn % l->batches) / l->now.n;
}

static void replayed(ct_mirror *m, int64_t n)
{
    ct_loader *l = (ct_loader *)m;
    if (l->now.step != l->ctx->tape->last_step) return;
    l->drawn = l->committed = l->drawn + n * l->now.n;
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
    if (out) *out = NULL;
    if (!data || !config || !out) return CT_ERR_ARGUMENT;
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
                     .key = ct_random_key(ctx->config.seed, ((uint64_t)2 << 32) + ctx->streams++),
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
    if (l->now.step != ctx->tape->step) {
        l->before = l->now;
        l->now = (draws){.step = ctx->tape->step};
    }
    l->drawn++;
    l->now.n++;
    l->now.partial |= partial;
    return ct_record_gather(ctx, &g, x, y);
}

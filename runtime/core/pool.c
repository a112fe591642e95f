/* The pool: see pool.h. Blocks of a slab form a list in the order of their
 * addresses; the free ones form a second list, the last freed first. */
#include "core/pool.h"

#include "device/device.h"

#include <stdlib.h>
#include <string.h>

#define MIN_SLAB_BYTES ((size_t)1 << 20)

typedef struct block {
    char *memory;
    size_t bytes;
    bool is_free, starts_slab;
    struct block *before, *after; /* neighbours in the slab, by address */
    struct block *newer, *older;  /* free list                          */
    struct block *next_in_bucket; /* taken blocks, hashed by address    */
} block;

#define BUCKETS 1024

typedef struct slab {
    void *memory;
    size_t bytes;
    struct slab *next;
} slab;

typedef struct ct_pool {
    slab *slabs;
    block *newest_free;
    block *taken[BUCKETS];
    size_t next_slab_bytes;
    bool debug;
} ct_pool;

static size_t round_up(size_t bytes) { return (bytes + CT_POOL_ALIGN - 1) / CT_POOL_ALIGN * CT_POOL_ALIGN; }

static size_t bucket_of(const void *memory) { return ((uintptr_t)memory / CT_POOL_ALIGN * 2654435761u) % BUCKETS; }

ct_status ct_pool_open(ct_context *ctx)
{
    ct_pool *pool = ct_alloc(ctx, sizeof *pool);
    if (!pool) return CT_ERR_MEMORY;
    const char *debug = getenv("CT_POOL_DEBUG");
    pool->debug = debug && *debug && strcmp(debug, "0") != 0;
    pool->next_slab_bytes = MIN_SLAB_BYTES;
    ctx->pool = pool;
    return CT_OK;
}

bool ct_pool_debug(const ct_context *ctx) { return ctx->pool->debug; }

size_t ct_pool_headroom(const ct_context *ctx)
{
    size_t limit = ctx->config.pool_bytes, reserved = (size_t)ctx->stats.pool_reserved;
    if (limit == 0) return SIZE_MAX;
    return limit > reserved ? limit - reserved : 0;
}

static void unlink_free(ct_pool *pool, block *b)
{
    if (b->newer)
        b->newer->older = b->older;
    else
        pool->newest_free = b->older;
    if (b->older) b->older->newer = b->newer;
    b->newer = b->older = NULL;
    b->is_free = false;
}

static void link_free(ct_pool *pool, block *b)
{
    b->is_free = true;
    b->newer = NULL;
    b->older = pool->newest_free;
    if (b->older) b->older->newer = b;
    pool->newest_free = b;
}

/* An exact size that was freed last, else the smallest block that is large enough. */
static block *find_free(ct_pool *pool, size_t bytes)
{
    block *best = NULL;
    for (block *b = pool->newest_free; b; b = b->older) {
        if (b->bytes == bytes) return b;
        if (b->bytes > bytes && (!best || b->bytes < best->bytes)) best = b;
    }
    return best;
}

/* Join free neighbours. Done only when nothing fits, so that blocks of a size in
 * steady use keep their addresses. */
static void join_neighbours(ct_context *ctx)
{
    ct_pool *pool = ctx->pool;
    for (block *b = pool->newest_free; b;) {
        block *next = b->after;
        if (next && next->is_free && !next->starts_slab) {
            unlink_free(pool, next);
            b->bytes += next->bytes;
            b->after = next->after;
            if (b->after) b->after->before = b;
            ct_free(ctx, next);
        } else {
            b = b->older;
        }
    }
}

/* A new slab, as one free block. */
static ct_status add_slab(ct_context *ctx, size_t bytes)
{
    ct_pool *pool = ctx->pool;
    size_t room = ct_pool_headroom(ctx);
    size_t wanted = pool->debug ? bytes : (bytes > pool->next_slab_bytes ? bytes : pool->next_slab_bytes);
    if (wanted > room) wanted = bytes;
    if (wanted > room) return CT_ERR_MEMORY;
    slab *s = ct_alloc(ctx, sizeof *s);
    block *b = ct_alloc(ctx, sizeof *b);
    ct_status status = s && b ? ctx->device->alloc(ctx->device, wanted, &s->memory) : CT_ERR_MEMORY;
    if (s && b && status == CT_ERR_MEMORY && wanted > bytes) /* there may be no room to grow, and room enough */
        status = ctx->device->alloc(ctx->device, wanted = bytes, &s->memory);
    if (status) {
        ct_free(ctx, s);
        ct_free(ctx, b);
        return status;
    }
    s->bytes = wanted;
    s->next = pool->slabs;
    pool->slabs = s;
    *b = (block){.memory = s->memory, .bytes = wanted, .starts_slab = true};
    link_free(pool, b);
    ctx->stats.pool_reserved += (int64_t)wanted;
    if (!pool->debug && pool->next_slab_bytes < ((size_t)256 << 20)) pool->next_slab_bytes *= 2;
    return CT_OK;
}

/* Cut what is not needed off the end of a block. */
static void split(ct_context *ctx, block *b, size_t bytes)
{
    if (b->bytes == bytes) return;
    block *rest = ct_alloc(ctx, sizeof *rest);
    if (!rest) return; /* the whole block serves as well */
    *rest = (block){.memory = b->memory + bytes, .bytes = b->bytes - bytes, .before = b, .after = b->after};
    if (rest->after) rest->after->before = rest;
    b->after = rest;
    b->bytes = bytes;
    link_free(ctx->pool, rest);
}

ct_status ct_pool_take(ct_context *ctx, size_t bytes, void **out)
{
    ct_pool *pool = ctx->pool;
    if (bytes > SIZE_MAX / 2) return CT_ERR_MEMORY;
    /* Debug blocks keep their exact size, so that tools see where they end. */
    bytes = pool->debug ? (bytes ? bytes : 1) : round_up(bytes ? bytes : 1);
    block *b = pool->debug ? NULL : find_free(pool, bytes);
    if (!b && !pool->debug) {
        join_neighbours(ctx);
        b = find_free(pool, bytes);
    }
    if (!b) {
        ct_status status = add_slab(ctx, bytes);
        if (status == CT_ERR_MEMORY) { /* slabs that are free may make room for a larger one */
            ct_pool_trim(ctx);
            status = add_slab(ctx, bytes);
        }
        bool may_fit = ctx->config.pool_bytes == 0 || bytes <= ctx->config.pool_bytes;
        if (status == CT_ERR_MEMORY && may_fit && ctx->make_room && ctx->make_room(ctx))
            return ct_pool_take(ctx, bytes, out);
        if (status) return status;
        b = pool->newest_free;
    }
    unlink_free(pool, b);
    split(ctx, b, bytes);
    size_t bucket = bucket_of(b->memory);
    b->next_in_bucket = pool->taken[bucket];
    pool->taken[bucket] = b;
    ctx->stats.pool_in_use += (int64_t)b->bytes;
    if (ctx->stats.pool_in_use > ctx->stats.pool_peak) ctx->stats.pool_peak = ctx->stats.pool_in_use;
    *out = b->memory;
    return CT_OK;
}

static void drop_slab(ct_context *ctx, slab **link)
{
    slab *s = *link;
    *link = s->next;
    ctx->device->free(ctx->device, s->memory);
    ctx->stats.pool_reserved -= (int64_t)s->bytes;
    ct_free(ctx, s);
}

void ct_pool_give(ct_context *ctx, void *memory)
{
    if (!memory) return;
    ct_pool *pool = ctx->pool;
    block **link = &pool->taken[bucket_of(memory)];
    while (*link && (*link)->memory != memory) link = &(*link)->next_in_bucket;
    block *b = *link;
    if (!b) return;
    *link = b->next_in_bucket;
    ctx->stats.pool_in_use -= (int64_t)b->bytes;
    link_free(pool, b);
    if (pool->debug) ct_pool_trim(ctx); /* so that a tool sees a use after it */
}

void ct_pool_trim(ct_context *ctx)
{
    ct_pool *pool = ctx->pool;
    join_neighbours(ctx);
    for (block *b = pool->newest_free, *older; b; b = older) {
        older = b->older;
        if (!b->starts_slab || b->after) continue;
        slab **s = &pool->slabs;
        while ((*s)->memory != b->memory) s = &(*s)->next;
        unlink_free(pool, b);
        ct_free(ctx, b);
        drop_slab(ctx, s);
    }
}

void ct_pool_close(ct_context *ctx)
{
    ct_pool *pool = ctx->pool;
    if (!pool) return;
    for (size_t i = 0; i < BUCKETS; i++)
        while (pool->taken[i]) ct_pool_give(ctx, pool->taken[i]->memory);
    ct_pool_trim(ctx);
    ct_free(ctx, pool);
    ctx->pool = NULL;
}

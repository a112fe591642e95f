/* gather: the rows of one batch, shuffled by a keyed bijection; u8 features become f32.
 *
 * p: dataset x, y, cursor, out x, out y.  m: rows, n: rows of the dataset, k: bytes of a
 * y row.  i: batch << 1 | shuffle, batches an epoch, key, elements of an x row.
 * flags: 1 for u8 to f32.  shape[0]: bytes of an x row.  scalar: scale, shift.
 */
#include "cpu.h"

#include "../philox.h"

#define ROWS 8          /* a block          */
#define FEW 3           /* are faster alone */
#define PREFETCHED 1024 /* bytes of a row */
#define CACHE_LINE 64

static uint32_t grid(const ct_args *a) { return (uint32_t)((a->m + ROWS - 1) / ROWS); }

static void copy_row(const ct_args *a, int64_t from, int64_t to)
{
    const size_t x_bytes = (size_t)a->shape[0], y_bytes = (size_t)a->k;
    if (a->p[4])
        memcpy((char *)a->p[4] + (size_t)to * y_bytes, (const char *)a->p[1] + (size_t)from * y_bytes, y_bytes);
    if (!a->p[3]) return;
    if (!a->flags) {
        memcpy((char *)a->p[3] + (size_t)to * x_bytes, (const char *)a->p[0] + (size_t)from * x_bytes, x_bytes);
        return;
    }
    const uint8_t *x = (const uint8_t *)a->p[0] + from * a->i[3];
    float *y = (float *)a->p[3] + to * a->i[3];
    const float scale = a->scalar[0].f32, shift = a->scalar[1].f32;
    for (int64_t i = 0; i < a->i[3]; i++) y[i] = (float)x[i] * scale + shift;
}

static bool all_below(const uint64_t *row, uint64_t n)
{
    bool below = true;
    for (int j = 0; j < ROWS; j++) below &= row[j] < n;
    return below;
}

/* ct_shuffled of ROWS rows together: a step of one is a chain of products, each of which waits for the last. */
static void shuffle(uint64_t *row, uint64_t n, uint64_t key)
{
    const int half = ct_shuffle_half(n);
    for (int j = 0; j < ROWS; j++) row[j] = ct_shuffle_step(row[j], half, key);
    while (!all_below(row, n))
        for (int j = 0; j < ROWS; j++) {
            const uint64_t next = ct_shuffle_step(row[j], half, key);
            row[j] = row[j] < n ? row[j] : next;
        }
}

/* Shuffled rows lie apart, where no processor looks ahead by itself: all are asked for before the first is used. */
static void prefetch(const ct_args *a, const uint64_t *row, int64_t count)
{
    if (!a->p[3]) return;
    for (int64_t j = 0; j < count; j++) {
        const char *x = (const char *)a->p[0] + (int64_t)row[j] * a->shape[0];
        for (int64_t i = 0; i < ct_min(a->shape[0], PREFETCHED); i += CACHE_LINE) __builtin_prefetch(x + i);
    }
}

/* Rows of the batch from r on, which begins at `start` of the shuffled data set. */
static void gather_shuffled(const ct_args *a, int64_t start, int64_t r, int64_t count, uint64_t key)
{
    uint64_t row[ROWS]; /* behind the batch its last again: a walk from elsewhere might never come back */
    for (int j = 0; j < ROWS; j++) row[j] = (uint64_t)(start + ct_min(r + j, a->m - 1));
    shuffle(row, (uint64_t)a->n, key);
    prefetch(a, row, count);
    for (int64_t j = 0; j < count; j++) copy_row(a, (int64_t)row[j], r + j);
}

static void gather(const ct_args *a, uint32_t first, uint32_t last)
{
    const int64_t drawn = *(const int64_t *)a->p[2], epoch = drawn / a->i[1], start = drawn % a->i[1] * (a->i[0] >> 1);
    const uint64_t key = ct_random_key((uint64_t)a->i[2], (uint64_t)epoch);
    const bool shuffles = a->i[0] & 1;
    for (int64_t r = (int64_t)first * ROWS, end = ct_min((int64_t)last * ROWS, a->m); r < end; r += ROWS) {
        const int64_t count = ct_min(ROWS, end - r);
        if (shuffles && count >= FEW) {
            gather_shuffled(a, start, r, count, key);
            continue;
        }
        for (int64_t j = r; j < r + count; j++)
            copy_row(a, shuffles ? (int64_t)ct_shuffled((uint64_t)(start + j), (uint64_t)a->n, key) : start + j, j);
    }
}

static void next_batch(const ct_args *a) { ++*(int64_t *)a->p[2]; }

const ct_cpu_kernel CT_CPU(gather) = {
    .grid = grid,
    .body = {[F32] = gather, [F64] = gather, [I32] = gather, [U8] = gather, [I64] = gather},
    .finish = {[F32] = next_batch, [F64] = next_batch, [I32] = next_batch, [U8] = next_batch, [I64] = next_batch}};

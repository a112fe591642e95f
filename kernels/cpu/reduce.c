/* Reductions: over all, over rows, over columns, over alternating dims; argmax.
 *
 * Orders are fixed. A long line is cut into parts by its length alone; within a chunk
 * sixteen lanes take every sixteenth element and are then combined in order. Chunks are added by halves,
 * so that the error of a sum hardly grows with its length.
 *
 * Sums are one pass (reduce.inc). The other reductions are folds (fold.inc): a chunk of elements is gone over
 * twice while it is in the first-level cache, for its pivot (the largest; the mean) and for the
 * sum around it, and the chunks are merged. So x is read from memory once, no exponential
 * overflows, and a variance does not cancel.
 */
#include "cpu.h"
#include "vmath.h"

#define LANES 16
#define COLUMNS 64    /* of a block; in the general case, outputs      */
#define CHUNK 4096    /* elements that are gone over at once           */
#define ROWS 256      /* of a column that are added one after another  */
#define GROUP 64      /* chunks of columns that are merged one by one  */
#define GATHERED 1024 /* elements of alternating dims, taken together  */

/* Where n elements are halved: after whole chunks. */
static int64_t half_of(int64_t n, int64_t chunk) { return (n / 2 + chunk - 1) / chunk * chunk; }

/* About 4,096 elements a block, and whole rows. */
static int64_t rows_a_block(const ct_args *a)
{
    int64_t rows = 4096 / (a->n > 0 ? a->n : 1);
    return rows < 1 ? 1 : rows;
}

/* A walk over the elements that go into one output of the general case, in row-major order. */
typedef struct walk {
    int64_t at, left;            /* offset of the next; how many there are */
    int64_t index[CT_ARGS_DIMS]; /* of the next, in the reduced dims       */
    int dim;                     /* the innermost of them                  */
} walk;

static bool is_reduced(const ct_args *a, int dim) { return a->i[0] >> dim & 1; }

static walk walk_from(const ct_args *a, int64_t out)
{
    walk w = {.left = 1};
    for (int d = a->ndim - 1; d >= 0; d--) {
        if (is_reduced(a, d)) continue;
        w.at += out % a->shape[d] * a->stride[0][d];
        out /= a->shape[d];
    }
    for (int d = 0; d < a->ndim; d++)
        if (is_reduced(a, d)) w.dim = d, w.left *= a->shape[d];
    return w;
}

/* On by n, of which as many are left in the innermost dim. */
static void walk_on(const ct_args *a, walk *w, int64_t n)
{
    w->left -= n;
    for (int d = w->dim; d >= 0; d--) {
        if (!is_reduced(a, d)) continue;
        w->index[d] += n;
        w->at += n * a->stride[0][d];
        if (w->index[d] < a->shape[d]) return;
        w->at -= w->index[d] * a->stride[0][d];
        w->index[d] = 0;
        n = 1;
    }
}

#define CT_TEMPLATE "reduce.inc"
#include "both_floats.h"

static uint32_t grid_parts(const ct_args *a) { return (uint32_t)a->k; }

static uint32_t grid_rows(const ct_args *a) { return (uint32_t)((a->m + rows_a_block(a) - 1) / rows_a_block(a)); }

static uint32_t grid_columns(const ct_args *a)
{
    int64_t columns = a->k ? a->k : a->m, outer = a->k ? a->m : 1;
    return (uint32_t)(outer * ((columns + COLUMNS - 1) / COLUMNS));
}

const ct_cpu_kernel CT_CPU(reduce_all) = {.grid = grid_parts, .body = CT_BOTH(sum_part), .finish = CT_BOTH(add_parts)};
const ct_cpu_kernel CT_CPU(reduce_rows) = {.grid = grid_rows, .body = CT_BOTH(sum_rows)};
const ct_cpu_kernel CT_CPU(reduce_columns) = {.grid = grid_columns, .body = CT_BOTH(sum_columns)};
const ct_cpu_kernel CT_CPU(argmax) = {.grid = ct_grid_elements_m, .body = CT_BOTH(argmax)};

/* ---- folds: a kernel an op, in which the op is a constant, so that no loop branches on it ------------ */

enum fold_op { FOLD_AMAX, FOLD_AMIN, FOLD_LOGSUMEXP, FOLD_VAR };

#define FOLD(name, op)                                                                                                 \
    static void N(name)(const ct_args *a, uint32_t first, uint32_t last) { N(fold)(op, a, first, last); }              \
    static void N(name##_parts)(const ct_args *a) { N(fold_parts)(op, a); }
#define CT_TEMPLATE "fold.inc"
#include "both_floats.h"

static uint32_t grid_fold(const ct_args *a)
{
    return a->i[1] ? grid_parts(a) : a->k == 1 ? grid_rows(a) : grid_columns(a);
}

#define FOLD_ENTRY(name)                                                                                               \
    const ct_cpu_kernel CT_CPU(name) = {.grid = grid_fold, .body = CT_BOTH(name), .finish = CT_BOTH(name##_parts)};
FOLD_ENTRY(amax)
FOLD_ENTRY(amin)
FOLD_ENTRY(logsumexp)
FOLD_ENTRY(var)

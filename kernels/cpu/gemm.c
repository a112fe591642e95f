/* Matrix products: C [m,n] = act(op(A) op(B) + bias), or C += op(A) op(B).
 *
 * Large f32 products go to a library (oneDNN, else CBLAS); small ones, where its call
 * costs more than the product, and f64 go to the loops here. A product is cut into
 * tiles by its shape alone, so that bits do not depend on the number of threads.
 * p: A, B, C, bias.  i: lda, ldb, ldc, flags.  flags: activation.
 */
#include "cpu.h"

#include "gemm_library.h"

#include <math.h>
#include <string.h>

/* ---- tiles ------------------------------------------------------------------------------------ */

#define TILE_FLOPS 4e6
#define MAX_TILES 64
#define GRAIN 16 /* a tile's sides are multiples of this */
#define LEAST_ROWS 32
#define LEAST_COLUMNS 48

typedef struct tiling {
    int64_t batches, tall, wide;   /* products; tiles down and across each of them */
    int64_t row_step, column_step; /* a tile's sides                               */
} tiling;

static int64_t step_of(int64_t size, int64_t tiles) { return ((size + tiles - 1) / tiles + GRAIN - 1) / GRAIN * GRAIN; }

static tiling tile(const ct_args *a)
{
    tiling t = {.batches = 1, .tall = 1, .wide = 1};
    for (int d = 0; d < a->ndim; d++) t.batches *= a->shape[d];
    double flops = 2.0 * (double)a->m * (double)a->n * (double)a->k;
    /* Rows first: a tile that is wide packs and stores in longer runs. */
    while (t.tall * t.wide < MAX_TILES && flops / (double)(2 * t.tall * t.wide) >= TILE_FLOPS) {
        if (a->m / t.tall >= 2 * LEAST_ROWS)
            t.tall *= 2;
        else if (a->n / t.wide >= 2 * LEAST_COLUMNS)
            t.wide *= 2;
        else
            break;
    }
    t.row_step = step_of(a->m, t.tall);
    t.column_step = step_of(a->n, t.wide);
    t.tall = (a->m + t.row_step - 1) / t.row_step;
    t.wide = (a->n + t.column_step - 1) / t.column_step;
    return t;
}

static uint32_t grid(const ct_args *a)
{
    if (a->m == 0 || a->n == 0) return 0;
    tiling t = tile(a);
    return (uint32_t)(t.batches * t.tall * t.wide);
}

/* ---- loops -------------------------------------------------------------------------------------- */

#if defined __AVX512F__
#define VECTOR_BYTES 64
#elif defined __AVX__
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

#define ROWS 6     /* of a register block; with two vectors a row it fits 16 registers */
#define DEPTH 256  /* of a packed panel of B                                           */

#define CT_TEMPLATE "gemm.inc"
#include "both_floats.h"

const ct_cpu_kernel CT_CPU(gemm) = {.grid = grid, .body = CT_BOTH(gemm)};

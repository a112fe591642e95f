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
#define MAX_TILES 32

typedef struct tiling {
    int64_t batches, tiles, step; /* a tile is `step` rows or columns */
    bool by_columns;
} tiling;

static tiling tile(const ct_args *a)
{
    tiling t = {.batches = 1, .tiles = 1, .by_columns = a->n > a->m};
    for (int d = 0; d < a->ndim; d++) t.batches *= a->shape[d];
    int64_t size = t.by_columns ? a->n : a->m;
    double flops = 2.0 * (double)a->m * (double)a->n * (double)a->k;
    while (t.tiles < MAX_TILES && flops / (double)(2 * t.tiles) >= TILE_FLOPS && size / (2 * t.tiles) >= 16) t.tiles *= 2;
    t.step = (size + t.tiles - 1) / t.tiles;
    t.step = (t.step + 15) / 16 * 16;
    t.tiles = (size + t.step - 1) / (t.step ? t.step : 1);
    return t;
}

static uint32_t grid(const ct_args *a)
{
    tiling t = tile(a);
    return a->m && a->n ? (uint32_t)(t.batches * t.tiles) : 0;
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

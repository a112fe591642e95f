/* Matrix products: C [m,n] = act(op(A) op(B) + bias), or op(A) op(B) added to C.
 *
 * Large f32 products go to a library (oneDNN, else CBLAS). The loops here do f64, and
 * what small networks have: at those sizes they are as fast, and they allocate nothing.
 * A product is cut into tiles by its shape alone, so that bits do not depend on the
 * number of threads.
 * p: A, B, C, bias, room for a product that is added, y.  i: lda, ldb, ldc, flags.
 * flags: activation; with CT_GEMM_GRAD, C = act_grad(op(A) op(B), y) instead.
 */
#include "cpu.h"

#include "gemm_library.h"

#include "vmath.h"
#include <string.h>

/* ---- tiles ------------------------------------------------------------------------------------ */

#define TILE_FLOPS 4e6
#define MAX_TILES 64
#define GRAIN 16 /* a tile's sides are multiples of this */
#define LEAST_ROWS 32
#define LEAST_COLUMNS 64

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
    /* A transposed B is packed, once for every row of tiles: then it is cut across first. */
    const bool across_first = a->i[3] & CT_GEMM_TB;
    while (t.tall * t.wide < MAX_TILES && flops / (double)(2 * t.tall * t.wide) >= TILE_FLOPS) {
        const bool tall = a->m / t.tall >= 2 * LEAST_ROWS, wide = a->n / t.wide >= 2 * LEAST_COLUMNS;
        if (!tall && !wide) break;
        *(wide && (across_first || !tall) ? &t.wide : &t.tall) *= 2;
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

#if defined __GNUC__ && !defined __clang__
#define CT_CAN_SHUFFLE 1
#else
#define CT_CAN_SHUFFLE 0
#endif

#define ROWS 6    /* of a register block; with two vectors a row it fits 16 registers */
#define DEPTH 256 /* of a packed panel of B                                           */

#define CT_TEMPLATE "gemm.inc"
#include "both_floats.h"

const ct_cpu_kernel CT_CPU(gemm) = {.grid = grid, .body = CT_BOTH(gemm)};

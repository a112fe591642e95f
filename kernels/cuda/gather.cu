/* gather: the rows of one batch, shuffled by a keyed bijection; u8 features become f32.
 *
 * Compiled without contraction (nvcc -fmad=false, g++ -ffp-contract=off): the same bits everywhere.
 *
 * p: dataset x, y, cursor, out x, out y (each output may be NULL).  m: rows, n: rows of the dataset,
 * k: bytes of a y row.  i: batch << 1 | shuffle, batches an epoch, key, elements of an x row.
 * flags: 1 for u8 to f32.  shape[0]: bytes of an x row.  scalar: scale, shift.
 *
 * Short rows: a warp each, eight a block. Longer ones: a block for every 8,192 elements of a row.
 * Where a row comes from is computed by one thread. Rows are copied 16 bytes at a time;
 * a conversion reads 4 bytes and writes 16, so that a warp reads and writes without gaps.
 * The cursor is read by every block and advanced by the last one. Bytes: a row in, a row out.
 */
#include "block_reduce.cuh"
#include "entry.cuh"
#include "span.cuh"

#include "../philox.h"

enum { SHORT_ROW = 128, CHUNK = 8192, WARPS = CT_THREADS / CT_WARP }; /* elements, elements, rows */

static __host__ __device__ __forceinline__ int64_t chunks_of(const ct_args &a)
{
    return a.i[3] <= CHUNK ? 1 : (a.i[3] + CHUNK - 1) / CHUNK;
}

/* At least one, which advances the cursor. */
static uint32_t grid(const ct_args *a)
{
    const int64_t blocks = a->i[3] <= SHORT_ROW ? ct_blocks_of(a->m, WARPS) : a->m * chunks_of(*a);
    return (uint32_t)(blocks < 1 ? 1 : blocks);
}

/* The row of the dataset that row r of the batch is. */
static __device__ __forceinline__ int64_t source_row(const ct_args &a, int64_t r)
{
    const int64_t drawn = *static_cast<const int64_t *>(a.p[2]), epoch = drawn / a.i[1];
    const int64_t row = (drawn - epoch * a.i[1]) * (a.i[0] >> 1) + r;
    if (!(a.i[0] & 1)) return row;
    return (int64_t)ct_shuffled((uint64_t)row, (uint64_t)a.n, ct_random_key((uint64_t)a.i[2], (uint64_t)epoch));
}

template <class Unit>
static __device__ __forceinline__ void copy_units(void *to, const void *from, int64_t n, int rank, int team)
{
    for (int64_t i = rank; i < n; i += team) static_cast<Unit *>(to)[i] = static_cast<const Unit *>(from)[i];
}

/* In the largest units that both addresses allow, and single bytes at the end. */
static __device__ __forceinline__ void copy_bytes(unsigned char *to, const unsigned char *from, int64_t n, int rank,
                                                  int team)
{
    const uintptr_t both = (uintptr_t)to | (uintptr_t)from;
    const int64_t unit = both % 16 == 0 ? 16 : both % 4 == 0 ? 4 : 1, whole = n / unit * unit;
    if (unit == 16)
        copy_units<ct_vector<uint32_t, 4>>(to, from, n / 16, rank, team);
    else if (unit == 4)
        copy_units<uint32_t>(to, from, n / 4, rank, team);
    else
        copy_units<unsigned char>(to, from, n, rank, team);
    copy_units<unsigned char>(to + whole, from + whole, n - whole, rank, team);
}

static __device__ __forceinline__ void convert(float *to, const uint8_t *from, int64_t n, float scale, float shift,
                                               int rank, int team)
{
    for (int64_t i = rank * 4; i < n; i += team * 4) {
        ct_vector<uint8_t, 4> x;
        ct_vector<float, 4> y;
        ct_load_part(from + i, n - i, x);
#pragma unroll
        for (int j = 0; j < 4; j++) y.at[j] = (float)x.at[j] * scale + shift;
        ct_store_part(to + i, n - i, y);
    }
}

/* Elements [first, last) of x, and with the first of them y, of row `from` to row `to`. */
static __device__ __forceinline__ void copy_row(const ct_args &a, int64_t from, int64_t to, int64_t first, int64_t last,
                                                int rank, int team)
{
    const unsigned char *x = static_cast<const unsigned char *>(a.p[0]),
                        *y = static_cast<const unsigned char *>(a.p[1]);
    if (a.p[4] && first == 0)
        copy_bytes(static_cast<unsigned char *>(a.p[4]) + to * a.k, y + from * a.k, a.k, rank, team);
    if (!a.p[3] || last <= first) return;
    if (a.flags) {
        convert(static_cast<float *>(a.p[3]) + to * a.i[3] + first, x + from * a.i[3] + first, last - first,
                a.scalar[0].f32, a.scalar[1].f32, rank, team);
        return;
    }
    const int64_t row = a.shape[0], bytes = row / a.i[3];
    copy_bytes(static_cast<unsigned char *>(a.p[3]) + to * row + first * bytes, x + from * row + first * bytes,
               (last - first) * bytes, rank, team);
}

static __device__ __forceinline__ void gather_body(const ct_args &a, uint32_t block, void *shared)
{
    const bool short_rows = a.i[3] <= SHORT_ROW;
    const int rows = short_rows ? WARPS : 1, team = CT_THREADS / rows, index = (int)threadIdx.x / team;
    const int64_t chunks = chunks_of(a), group = block / chunks, chunk = block - group * chunks;
    const int64_t first = chunk * CHUNK, last = first + CHUNK < a.i[3] ? first + CHUNK : a.i[3];
    int64_t *source = static_cast<int64_t *>(shared);
    if ((int)threadIdx.x < rows && group * rows + threadIdx.x < a.m)
        source[threadIdx.x] = source_row(a, group * rows + threadIdx.x);
    __syncthreads();
    const int64_t to = group * rows + index;
    if (to < a.m) copy_row(a, source[index], to, first, last, (int)threadIdx.x % team, team);
    if (ct_is_last_block(a, shared) && threadIdx.x == 0) ++*static_cast<int64_t *>(a.p[2]);
}

CT_GLOBAL(gather, gather_body)
extern "C" const ct_cuda_kernel ct_cuda_gather = {
    grid,
    {CT_ENTRY(ct_gather), CT_ENTRY(ct_gather), CT_ENTRY(ct_gather), CT_ENTRY(ct_gather), CT_ENTRY(ct_gather)},
    {WARPS * 8, WARPS * 8, WARPS * 8, WARPS * 8, WARPS * 8},
    0};

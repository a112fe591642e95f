/* embedding: rows of a table by their numbers; embedding_grad: rows added into a table, in a fixed order.
 *
 * m, n, k: numbers, rows of the table, elements in a row. A number outside the table reads as NaN, and adds nothing.
 *
 * The gradient must add the occurrences of a row in their order, and which they are is known on the device only.
 * To look for them row by row would take rows x numbers comparisons. So embedding_order sorts them first, as keys
 * {row, place}: no two are alike, so that any way of sorting gives one order. Tiles are sorted in shared memory,
 * bitonically; each further pass, a launch of its own, merges runs two by two, each key finding its place by
 * bisection. n log² n in all, and one launch for as many as fill a tile. Then the threads that have a row of the
 * table find its keys by bisection, and add in their order: they write each element once, zeros included.
 */
#include "entry.cuh"
#include "lines.cuh"

/* ---- embedding. p: table, index, y.  i[0]: dtype of the numbers -------------------------------------- */

/* The number at i; -1 for one that is outside. */
static __device__ __forceinline__ int64_t row_at(const ct_args &a, int64_t i)
{
    const int64_t row =
        a.i[0] == I32 ? static_cast<const int32_t *>(a.p[1])[i] : static_cast<const int64_t *>(a.p[1])[i];
    return row < a.n ? row : -1;
}

static uint32_t grid_result(const ct_args *a) { return ct_blocks_of(a->m * a->k, CT_BLOCK_ELEMENTS); }

/* Neighbouring threads copy neighbouring vectors of a row. */
template <class T, int width> static __device__ __forceinline__ void copy_rows(const ct_args &a, uint32_t block)
{
    const int64_t n = a.m * a.k, first = (int64_t)block * CT_BLOCK_ELEMENTS;
    const int64_t end = first + CT_BLOCK_ELEMENTS < n ? first + CT_BLOCK_ELEMENTS : n;
    for (int64_t e = first + (int64_t)threadIdx.x * width; e < end; e += CT_THREADS * width) {
        const int64_t i = ct_quotient(e, a.k), row = row_at(a, i);
        ct_vector<T, width> v;
#pragma unroll
        for (int j = 0; j < width; j++) v.at[j] = (T)NAN;
        if (row >= 0)
            v = *reinterpret_cast<const ct_vector<T, width> *>(static_cast<const T *>(a.p[0]) + row * a.k + e -
                                                               i * a.k);
        *reinterpret_cast<ct_vector<T, width> *>(static_cast<T *>(a.p[2]) + e) = v;
    }
}

template <class T> static __device__ __forceinline__ void embedding_body(const ct_args &a, uint32_t block, void *)
{
    constexpr int width = 16 / sizeof(T);
    if (a.k % width == 0 && ((uintptr_t)a.p[0] | (uintptr_t)a.p[2]) % 16 == 0)
        copy_rows<T, width>(a, block);
    else
        copy_rows<T, 1>(a, block);
}

/* ---- embedding_order. p: index, keys; pass 1, 3, ... write the second half of these.  i[0]: pass ------- */

static uint32_t grid_order(const ct_args *a)
{
    return ct_blocks_of(a->m, a->i[0] == 0 ? CT_ORDER_TILE : CT_BLOCK_ELEMENTS);
}

/* Of the keys in [from, to), which are in order, the first that is not less. */
static __device__ __forceinline__ int64_t first_from(const uint64_t *keys, int64_t from, int64_t to, uint64_t key)
{
    while (from < to) {
        const int64_t middle = from + (to - from) / 2;
        if (keys[middle] < key)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

/* What is outside stands behind the last row. */
template <class I> static __device__ __forceinline__ uint64_t key_at(const ct_args &a, int64_t i)
{
    const int64_t row = static_cast<const I *>(a.p[0])[i];
    return (uint64_t)(row >= 0 && row < a.n ? row : a.n) << 32 | (uint64_t)i;
}

template <class I> static __device__ __forceinline__ void sort_tile(const ct_args &a, uint32_t block, uint64_t *key)
{
    const int64_t first = (int64_t)block * CT_ORDER_TILE, left = a.m - first;
    const int count = left < CT_ORDER_TILE ? (int)left : CT_ORDER_TILE;
    int size = 1;
    while (size < count) size *= 2;
    for (int i = (int)threadIdx.x; i < size; i += CT_THREADS) key[i] = i < count ? key_at<I>(a, first + i) : UINT64_MAX;
    __syncthreads();
    for (int run = 2; run <= size; run *= 2)
        for (int distance = run / 2; distance > 0; distance /= 2) {
            for (int pair = (int)threadIdx.x; pair < size / 2; pair += CT_THREADS) {
                const int low = 2 * pair - (pair & (distance - 1)), high = low + distance;
                const uint64_t x = key[low], y = key[high];
                if ((x > y) == ((low & run) == 0)) key[low] = y, key[high] = x;
            }
            __syncthreads();
        }
    for (int i = (int)threadIdx.x; i < count; i += CT_THREADS) static_cast<uint64_t *>(a.p[1])[first + i] = key[i];
}

/* A key's place is its own in its run, and behind the lesser ones of the run beside it. */
static __device__ __forceinline__ void merge_runs(const ct_args &a, uint32_t block)
{
    const int64_t run = (int64_t)CT_ORDER_TILE << (a.i[0] - 1), first = (int64_t)block * CT_BLOCK_ELEMENTS;
    const int64_t end = first + CT_BLOCK_ELEMENTS < a.m ? first + CT_BLOCK_ELEMENTS : a.m;
    uint64_t *keys = static_cast<uint64_t *>(a.p[1]), *to = a.i[0] & 1 ? keys + a.m : keys;
    const uint64_t *from = a.i[0] & 1 ? keys : keys + a.m;
    for (int64_t e = first + threadIdx.x; e < end; e += CT_THREADS) {
        const int64_t own = e & ~(run - 1), other = own ^ run, other_end = other + run < a.m ? other + run : a.m;
        const uint64_t key = from[e];
        const int64_t lesser = other < other_end ? first_from(from, other, other_end, key) - other : 0;
        to[(own & ~run) + (e - own) + lesser] = key;
    }
}

template <class I>
static __device__ __forceinline__ void embedding_order_body(const ct_args &a, uint32_t block, void *shared)
{
    if (a.i[0] == 0)
        sort_tile<I>(a, block, static_cast<uint64_t *>(shared));
    else
        merge_runs(a, block);
}

/* ---- embedding_grad. p: g, (index), dtable, keys.  i[1]: the pass that made them ---------------------- */

static uint32_t grid_table(const ct_args *a) { return ct_blocks_of(a->n * a->k, CT_BLOCK_ELEMENTS); }

template <class T> static __device__ __forceinline__ void embedding_grad_body(const ct_args &a, uint32_t block, void *)
{
    const T *g = static_cast<const T *>(a.p[0]);
    const uint64_t *keys = static_cast<const uint64_t *>(a.p[3]) + (a.i[1] & 1 ? a.m : 0);
    const int64_t n = a.n * a.k, first = (int64_t)block * CT_BLOCK_ELEMENTS;
    const int64_t end = first + CT_BLOCK_ELEMENTS < n ? first + CT_BLOCK_ELEMENTS : n;
    for (int64_t e = first + threadIdx.x; e < end; e += CT_THREADS) {
        const int64_t row = ct_quotient(e, a.k), column = e - row * a.k;
        const int64_t from = first_from(keys, 0, a.m, (uint64_t)row << 32);
        const bool occurs = from < a.m && keys[from] >> 32 == (uint64_t)row;
        const int64_t to = occurs ? first_from(keys, from, a.m, (uint64_t)(row + 1) << 32) : from;
        T sum = 0;
#pragma unroll 4
        for (int64_t i = from; i < to; i++) sum += g[(int64_t)(keys[i] & UINT32_MAX) * a.k + column];
        static_cast<T *>(a.p[2])[e] = sum;
    }
}

/* ---- table ---------------------------------------------------------------------------------------------- */

CT_FLOAT_KERNEL(embedding, grid_result, embedding_body, ct_no_bytes, 0)
CT_FLOAT_KERNEL(embedding_grad, grid_table, embedding_grad_body, ct_no_bytes, 0)

CT_GLOBAL(embedding_order_i32, embedding_order_body<int32_t>)
CT_GLOBAL(embedding_order_i64, embedding_order_body<int64_t>)
extern "C" const ct_cuda_kernel ct_cuda_embedding_order = {
    grid_order,
    {nullptr, nullptr, CT_ENTRY(ct_embedding_order_i32), nullptr, CT_ENTRY(ct_embedding_order_i64)},
    {0, 0, CT_ORDER_TILE * sizeof(uint64_t), 0, CT_ORDER_TILE * sizeof(uint64_t)},
    0};

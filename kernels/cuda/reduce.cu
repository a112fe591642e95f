/* Reductions: sums over all, over rows, over columns, over alternating dims; argmax.
 *
 * Orders are fixed: which thread adds which elements, and how threads and blocks are combined,
 * follows from the shape alone. Bytes: the input once; a FLOP an element.
 */
#include "entry.cuh"
#include "reduce.cuh"

/* ---- y[m] = scale Σ_n x[m,n]: a thread, a warp or a block a row, by the length of a row ----------- */

static uint32_t grid_rows(const ct_args *a) { return ct_grid_lines(a->m, a->n, 1); }

template <class T, int team> static __device__ __forceinline__ void sum_row(const ct_args &a, int64_t row, void *shared)
{
    const int rank = (int)threadIdx.x % team;
    const T share = ct_span_sum<team>(static_cast<const T *>(a.p[0]) + row * a.n, a.n, rank);
    const T sum = ct_team_sum<team>(share, shared);
    if (rank == 0) static_cast<T *>(a.p[1])[row] = sum * ct_scalar_of<T>(a.scalar[0]);
}

template <class T>
static __device__ __forceinline__ void reduce_rows_body(const ct_args &a, uint32_t block, void *shared)
{
    const ct_lines l = ct_lines_of(a.m, a.n, 1);
    const int64_t row = ct_place_of(l, block).line;
    if (l.slices == 1) {
        const T *x = static_cast<const T *>(a.p[0]) + row * a.n;
        if (row < a.m)
            static_cast<T *>(a.p[1])[row] =
                sum_slice<T>(a.n, 0, 1, [&](int64_t i) { return x[i]; }) * ct_scalar_of<T>(a.scalar[0]);
    } else if (l.slices == CT_WARP) {
        if (row < a.m) sum_row<T, CT_WARP>(a, row, shared);
    } else {
        sum_row<T, CT_THREADS>(a, row, shared);
    }
}

/* ---- y[m,k] = the first n with the largest x[m,n,k]; a NaN counts as largest. p: x, y (i32) -------- */

template <class T> struct ct_best {
    T value;
    int64_t index;
};

/* A total order, so that the result does not depend on how the slices are combined. */
struct ct_better {
    template <class T> __device__ __forceinline__ ct_best<T> operator()(const ct_best<T> &a, const ct_best<T> &b) const
    {
        const bool a_nan = a.value != a.value, b_nan = b.value != b.value;
        const bool above = b_nan ? !a_nan : b.value > a.value, level = b_nan ? a_nan : b.value == a.value;
        return above || (level && b.index < a.index) ? b : a;
    }
};

static uint32_t grid_argmax(const ct_args *a) { return ct_grid_lines(a->m * a->k, a->n, a->k); }

template <class T> static constexpr uint32_t argmax_bytes() { return CT_THREADS * (uint32_t)sizeof(ct_best<T>); }

template <class T> static __device__ __forceinline__ void argmax_body(const ct_args &a, uint32_t block, void *shared)
{
    const int64_t count = a.m * a.k;
    const ct_lines l = ct_lines_of(count, a.n, a.k);
    const ct_place at = ct_place_of(l, block);
    /* What a slice without elements has, and it loses to every element. */
    ct_best<T> best = {-(T)INFINITY, INT64_MAX};
    if (at.line < count) {
        const T *x = static_cast<const T *>(a.p[0]) + ct_line_start(at.line, a.n, a.k);
        for (int64_t i = at.slice; i < a.n; i += l.slices) best = ct_better()(best, ct_best<T>{x[i * a.k], i});
    }
    best = ct_combine_slices(l, at, best, shared, ct_better());
    if (at.line < count && at.slice == 0) static_cast<int32_t *>(a.p[1])[at.line] = (int32_t)best.index;
}

/* ---- table ------------------------------------------------------------------------------------------- */

CT_FLOAT_KERNEL(reduce_all, ct_grid_parts, reduce_all_body, ct_reduce_bytes, CT_GROUPED)
CT_FLOAT_KERNEL(reduce_rows, grid_rows, reduce_rows_body, ct_reduce_bytes, 0)
CT_FLOAT_KERNEL(reduce_columns, grid_columns, reduce_columns_body, reduce_columns_bytes, CT_GROUPED)
CT_FLOAT_KERNEL(argmax, grid_argmax, argmax_body, argmax_bytes, 0)

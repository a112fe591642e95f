/* softmax and log_softmax along a dim: the largest is subtracted first, so that no exponential
 * overflows; log_softmax is x - max - log Σ, in that order.
 *
 * p: x, y.  m, n, k: outer, dim, inner.
 * k = 1: a warp a row up to 1,024 elements (f64: 256), a block a longer one; up to 4,096 (1,024) the row
 * is held in registers, so that it is read once. k > 1: lines.cuh, three times over the input, of which
 * the last two find it in a cache. Sums go by lanes and are combined in a fixed order.
 * Bytes: x and y once; about 20 FLOPs an element.
 */
#include "entry.cuh"
#include "lines.cuh"
#include "row.cuh"

static uint32_t grid(const ct_args *a)
{
    if (a->k != 1) return ct_grid_lines(a->m * a->k, a->n, a->k);
    const int64_t limit = a->dtype == F64 ? ct_row<double, CT_WARP, true>::limit : ct_row<float, CT_WARP, true>::limit;
    return ct_blocks_of(a->m, a->n <= limit ? CT_THREADS / CT_WARP : 1);
}

template <bool logarithm, class Row, class T>
static __device__ __forceinline__ void normalize_row(const ct_args &a, int64_t start, void *shared)
{
    Row row(static_cast<const T *>(a.p[0]) + start, a.n);
    T *y = static_cast<T *>(a.p[1]) + start;
    const T top = row.max(shared);
    T sum = 0;
    row.each([&](int64_t, T &value) {
        const T power = exp(value - top);
        sum += power;
        if (Row::held && !logarithm) value = power;
    });
    sum = ct_team_sum<Row::team>(sum, shared);
    const T log_sum = logarithm ? log(sum) : T(0);
    row.each([&](int64_t i, T &value) {
        if constexpr (logarithm)
            y[i] = value - top - log_sum;
        else
            y[i] = (Row::held ? value : exp(value - top)) / sum;
    });
}

template <bool logarithm, class T>
static __device__ __forceinline__ void normalize_lines(const ct_args &a, uint32_t block, void *shared)
{
    const int64_t count = a.m * a.k, k = a.k;
    const ct_lines l = ct_lines_of(count, a.n, k);
    const ct_place at = ct_place_of(l, block);
    const int64_t start = ct_line_start(at.line, a.n, k), n = at.line < count ? a.n : 0;
    const T *x = static_cast<const T *>(a.p[0]) + start;
    T *y = static_cast<T *>(a.p[1]) + start;
    T top = -(T)INFINITY, sum = 0;
    for (int64_t i = at.slice; i < n; i += l.slices) top = ct_larger()(top, x[i * k]);
    top = ct_combine_slices(l, at, top, shared, ct_larger());
    for (int64_t i = at.slice; i < n; i += l.slices) sum += exp(x[i * k] - top);
    sum = ct_combine_slices(l, at, sum, shared, ct_plus());
    const T log_sum = logarithm ? log(sum) : T(0);
    for (int64_t i = at.slice; i < n; i += l.slices) {
        const T shifted = x[i * k] - top;
        if constexpr (logarithm)
            y[i * k] = shifted - log_sum;
        else
            y[i * k] = exp(shifted) / sum;
    }
}

template <bool logarithm, class T>
static __device__ __forceinline__ void normalize(const ct_args &a, uint32_t block, void *shared)
{
    using warp_row = ct_row<T, CT_WARP, true>;
    using block_row = ct_row<T, CT_THREADS, true>;
    using long_row = ct_row<T, CT_THREADS, false>;
    if (a.k != 1) {
        normalize_lines<logarithm, T>(a, block, shared);
    } else if (a.n <= warp_row::limit) {
        const int64_t row = (int64_t)block * (CT_THREADS / CT_WARP) + threadIdx.x / CT_WARP;
        if (row < a.m) normalize_row<logarithm, warp_row, T>(a, row * a.n, shared);
    } else if (a.n <= block_row::limit) {
        normalize_row<logarithm, block_row, T>(a, (int64_t)block * a.n, shared);
    } else {
        normalize_row<logarithm, long_row, T>(a, (int64_t)block * a.n, shared);
    }
}

template <class T> static __device__ __forceinline__ void softmax_body(const ct_args &a, uint32_t block, void *shared)
{
    normalize<false, T>(a, block, shared);
}

template <class T>
static __device__ __forceinline__ void log_softmax_body(const ct_args &a, uint32_t block, void *shared)
{
    normalize<true, T>(a, block, shared);
}

/* A value a thread for the slices; what a block's sum takes is less. */
template <class T> static constexpr uint32_t bytes()
{
    static_assert(ct_reduce_bytes<T>() <= CT_THREADS * sizeof(T), "one area serves both");
    return CT_THREADS * (uint32_t)sizeof(T);
}

CT_FLOAT_KERNEL(softmax, grid, softmax_body, bytes, 0)
CT_FLOAT_KERNEL(log_softmax, grid, log_softmax_body, bytes, 0)

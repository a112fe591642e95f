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

static uint32_t grid_rows(const ct_args *a)
{
    const int64_t limit = a->dtype == F64 ? ct_row<double, CT_WARP, true>::limit : ct_row<float, CT_WARP, true>::limit;
    return ct_blocks_of(a->m, a->n <= limit ? CT_THREADS / CT_WARP : 1);
}

static uint32_t grid(const ct_args *a) { return a->k == 1 ? grid_rows(a) : ct_grid_lines(a->m * a->k, a->n, a->k); }

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

/* ---- layer_norm, batch_norm and their gradients ----------------------------------------------------------
 *
 * A line of x is gone over for its mean, for its variance about that mean, and for the results; a line of g
 * for the means of g' = gamma g and of g' h, and for dx. m, n: lines, elements of one; k: of them, neighbours
 * in memory. layer_norm's lines are rows, as those of softmax above; batch_norm's are channels, whose runs of
 * k elements stand m k apart: by lines.cuh. Orders are fixed by the shape.
 * Bytes: two tensors in or out and one back; about 9 FLOPs an element. */

/* gamma and beta have a value for each element of a row. */
template <class Row, class T> struct norm_row {
    Row row;
    int64_t index;

    __device__ __forceinline__ norm_row(const ct_args &a, int64_t line)
        : row(static_cast<const T *>(a.p[0]) + line * a.n, a.n), index(line)
    {
    }
    /* f(offset in the tensor, place in gamma and beta, value) for this thread's elements. */
    template <class F> __device__ __forceinline__ void each(const F &f)
    {
        const int64_t start = index * row.n;
        row.each([&](int64_t i, T &value) { f(start + i, i, value); });
    }
    __device__ __forceinline__ T sum(T value, void *shared) const { return ct_team_sum<Row::team>(value, shared); }
    __device__ __forceinline__ bool leads() const { return row.rank == 0; }
};

/* ... or for each channel. A thread of no line has no elements, and a place that may be read. */
template <class T> struct norm_channel {
    const T *x;
    ct_lines lines;
    ct_place place;
    int64_t n, run, stride, index;

    static __host__ __device__ __forceinline__ int64_t across(const ct_args &a) { return a.k == 1 ? a.m : 1; }

    __device__ __forceinline__ norm_channel(const ct_args &a, uint32_t block)
        : x(static_cast<const T *>(a.p[0])), lines(ct_lines_of(a.m, a.n, across(a))), place(ct_place_of(lines, block)),
          n(place.line < a.m ? a.n : 0), run(a.k), stride(a.m * a.k), index(place.line < a.m ? place.line : 0)
    {
    }
    template <class F> __device__ __forceinline__ void each(const F &f)
    {
        for (int64_t i = place.slice; i < n; i += lines.slices) {
            const int64_t outer = run == 1 ? i : ct_quotient(i, run);
            const int64_t at = outer * stride + index * run + (i - outer * run);
            T value = x[at];
            f(at, index, value);
        }
    }
    __device__ __forceinline__ T sum(T value, void *shared) const
    {
        return ct_combine_slices(lines, place, value, shared, ct_plus());
    }
    __device__ __forceinline__ bool leads() const { return place.slice == 0 && n > 0; }
};

static uint32_t grid_channels(const ct_args *a) { return ct_grid_lines(a->m, a->n, norm_channel<float>::across(*a)); }

template <class T> struct norm_statistics {
    T *r, *running_mean, *running_var;
};

/* p: x, gamma, beta, y, h.  scalar: eps, momentum. */
template <class Line, class T>
static __device__ __forceinline__ void norm_of_line(const ct_args &a, Line &line, const norm_statistics<T> &to,
                                                    void *shared)
{
    const T n = (T)a.n, eps = ct_scalar_of<T>(a.scalar[0]), momentum = ct_scalar_of<T>(a.scalar[1]);
    const T *gamma = static_cast<const T *>(a.p[1]), *beta = static_cast<const T *>(a.p[2]);
    T *y = static_cast<T *>(a.p[3]), *h = static_cast<T *>(a.p[4]), sum = 0;
    line.each([&](int64_t, int64_t, T &value) { sum += value; });
    const T near_mean = line.sum(sum, shared) / n;
    /* What rounding left out, where the line is long and far from 0. */
    sum = 0;
    line.each([&](int64_t, int64_t, T &value) { sum += value - near_mean; });
    const T mean = near_mean + line.sum(sum, shared) / n;
    sum = 0;
    line.each([&](int64_t, int64_t, T &value) { sum += (value - mean) * (value - mean); });
    const T var = line.sum(sum, shared) / n, scale = T(1) / sqrt(var + eps);
    line.each([&](int64_t at, int64_t place, T &value) {
        const T centred = (value - mean) * scale;
        if (h) h[at] = centred;
        if (y) y[at] = (gamma ? centred * gamma[place] : centred) + (beta ? beta[place] : T(0));
    });
    if (!line.leads()) return;
    const int64_t i = line.index;
    if (to.r) to.r[i] = scale;
    if (to.running_mean) to.running_mean[i] = (1 - momentum) * to.running_mean[i] + momentum * mean;
    if (to.running_var) to.running_var[i] = (1 - momentum) * to.running_var[i] + momentum * (var * n / (n - 1));
}

/* p: g, h, r, gamma, dx. */
template <class Line, class T>
static __device__ __forceinline__ void grad_of_line(const ct_args &a, Line &line, void *shared)
{
    const T *h = static_cast<const T *>(a.p[1]), *gamma = static_cast<const T *>(a.p[3]);
    const T r = static_cast<const T *>(a.p[2])[line.index];
    T *dx = static_cast<T *>(a.p[4]), sum = 0, along = 0;
    line.each([&](int64_t at, int64_t place, T &value) {
        const T scaled = gamma ? value * gamma[place] : value;
        sum += scaled;
        along += scaled * h[at];
    });
    const T mean = line.sum(sum, shared) / (T)a.n, slope = line.sum(along, shared) / (T)a.n;
    line.each([&](int64_t at, int64_t place, T &value) {
        const T scaled = gamma ? value * gamma[place] : value;
        dx[at] = r * (scaled - mean - h[at] * slope);
    });
}

/* What is done with a line. */
struct norm_forward {
    template <class Line, class T> static __device__ __forceinline__ void of(const ct_args &a, Line &line, void *shared)
    {
        norm_of_line(a, line, norm_statistics<T>{static_cast<T *>(a.p[5]), nullptr, nullptr}, shared);
    }
};
struct norm_backward {
    template <class Line, class T> static __device__ __forceinline__ void of(const ct_args &a, Line &line, void *shared)
    {
        grad_of_line<Line, T>(a, line, shared);
    }
};

template <class Row, class F, class T>
static __device__ __forceinline__ void one_row(const ct_args &a, int64_t index, void *shared)
{
    norm_row<Row, T> line(a, index);
    F::template of<norm_row<Row, T>, T>(a, line, shared);
}

template <class F, class T> static __device__ __forceinline__ void rows(const ct_args &a, uint32_t block, void *shared)
{
    using warp_row = ct_row<T, CT_WARP, true>;
    using block_row = ct_row<T, CT_THREADS, true>;
    using long_row = ct_row<T, CT_THREADS, false>;
    if (a.n <= warp_row::limit) {
        const int64_t row = (int64_t)block * (CT_THREADS / CT_WARP) + threadIdx.x / CT_WARP;
        if (row < a.m) one_row<warp_row, F, T>(a, row, shared);
    } else if (a.n <= block_row::limit) {
        one_row<block_row, F, T>(a, block, shared);
    } else {
        one_row<long_row, F, T>(a, block, shared);
    }
}

template <class T>
static __device__ __forceinline__ void layer_norm_body(const ct_args &a, uint32_t block, void *shared)
{
    rows<norm_forward, T>(a, block, shared);
}

template <class T>
static __device__ __forceinline__ void layer_norm_grad_body(const ct_args &a, uint32_t block, void *shared)
{
    rows<norm_backward, T>(a, block, shared);
}

template <class T>
static __device__ __forceinline__ void batch_norm_body(const ct_args &a, uint32_t block, void *shared)
{
    norm_channel<T> line(a, block);
    const ct_tensor_row &row = *static_cast<const ct_tensor_row *>(a.p[5]);
    norm_of_line(a, line,
                 norm_statistics<T>{static_cast<T *>(row.p[0]), static_cast<T *>(row.p[1]), static_cast<T *>(row.p[2])},
                 shared);
}

template <class T>
static __device__ __forceinline__ void batch_norm_grad_body(const ct_args &a, uint32_t block, void *shared)
{
    norm_channel<T> line(a, block);
    grad_of_line<norm_channel<T>, T>(a, line, shared);
}

CT_FLOAT_KERNEL(layer_norm, grid_rows, layer_norm_body, bytes, 0)
CT_FLOAT_KERNEL(layer_norm_grad, grid_rows, layer_norm_grad_body, bytes, 0)
CT_FLOAT_KERNEL(batch_norm, grid_channels, batch_norm_body, bytes, 0)
CT_FLOAT_KERNEL(batch_norm_grad, grid_channels, batch_norm_grad_body, bytes, 0)

/* Losses with their gradients, in one pass over the input; see runtime/ops/loss.c. */
#include "entry.cuh"
#include "pair_loss.cuh"
#include "row.cuh"

/* ---- cross entropy -----------------------------------------------------------------------------------
 * p: logits, labels, loss, dlogits, w, row losses.  m, n: rows, classes.
 * i: reduction, ignored label, dtype of the labels.  scalar: smoothing.
 *
 * A warp a row, held in registers up to 1,024 classes (f64: 256). Row losses are stored and added by the
 * last block in the order of the rows. Bytes: logits in, dlogits out; about 30 FLOPs an element.
 *
 * The mean divides by the rows that count, which every block must know before it can write a
 * gradient. Each counts all labels itself, 256 at a time: integers, so exact in any order, and
 * cheaper than a launch before this one. There are at most max(128, classes) blocks, so that
 * all these reads together are few beside those of the logits, or few at all. */

template <class L> static __device__ __forceinline__ int64_t counted_rows(const ct_args &a, void *shared)
{
    const L *labels = static_cast<const L *>(a.p[1]), ignored = (L)a.i[1];
    if (ignored != a.i[1]) return a.m; /* no label of this dtype is the ignored one */
    int64_t counted = 0;
    for (int64_t r = threadIdx.x; r < a.m; r += CT_THREADS) counted += labels[r] != ignored;
    return ct_block_sum(counted, shared);
}

static __device__ __forceinline__ int64_t count_rows(const ct_args &a, void *shared)
{
    switch (a.i[2]) {
    case U8: return counted_rows<uint8_t>(a, shared);
    case I32: return counted_rows<int32_t>(a, shared);
    default: return counted_rows<int64_t>(a, shared);
    }
}

static __device__ __forceinline__ int64_t label_at(const ct_args &a, int64_t row)
{
    switch (a.i[2]) {
    case U8: return static_cast<const uint8_t *>(a.p[1])[row];
    case I32: return static_cast<const int32_t *>(a.p[1])[row];
    default: return static_cast<const int64_t *>(a.p[1])[row];
    }
}

/* Where the losses of rows go; NULL if nobody wants them. */
template <class T> static __device__ __forceinline__ T *row_losses(const ct_args &a)
{
    return static_cast<T *>(a.i[0] == REDUCE_NONE ? a.p[2] : a.p[5]);
}

/* A row whose label is not ignored; where it is no class, the weight is NaN and so is all else:
 * an error that cannot be overlooked. */
template <class T, bool held>
static __device__ __forceinline__ void loss_of_row(const ct_args &a, int64_t r, int64_t label, bool sound, T weight)
{
    const T smoothing = ct_scalar_of<T>(a.scalar[0]), spread = smoothing / (T)a.n, rest = T(1) - smoothing;
    const T *x = static_cast<const T *>(a.p[0]) + r * a.n;
    T *dx = a.p[3] ? static_cast<T *>(a.p[3]) + r * a.n : nullptr, *losses = row_losses<T>(a);
    ct_row<T, CT_WARP, held> row(x, a.n);
    const T top = row.max(nullptr), hit = sound ? x[label] - top : T(0);
    T sum = 0, mean = 0;
    row.each([&](int64_t, T &value) {
        const T shifted = value - top, power = exp(shifted);
        mean += shifted;
        sum += power;
        if (held) value = power;
    });
    sum = ct_warp_all(sum, ct_plus());
    mean = smoothing != T(0) ? ct_warp_all(mean, ct_plus()) * spread : T(0);
    /* Σ -t log p = log Σ - (1 - s)(x_label - max) - s/c Σ (x - max) */
    if (losses && row.rank == 0) losses[r] = weight * (log(sum) - rest * hit - mean);
    if (!dx) return;
    row.each([&](int64_t i, T &value) {
        const T power = held ? value : exp(value - top), slope = weight * (power / sum - spread);
        dx[i] = sound && i == label ? slope - weight * rest : slope;
    });
}

template <class T> static __device__ __forceinline__ void any_row(const ct_args &a, int64_t r, T scale)
{
    const int lane = (int)threadIdx.x % CT_WARP;
    const int64_t label = label_at(a, r);
    const bool ignored = label == a.i[1], sound = label >= 0 && label < a.n;
    const T weight = ignored ? T(0) : sound ? scale : (T)NAN;
    if (a.p[4] && lane == 0) static_cast<T *>(a.p[4])[r] = weight;
    if (ignored) {
        if (row_losses<T>(a) && lane == 0) row_losses<T>(a)[r] = T(0);
        if (a.p[3])
            for (int64_t i = lane; i < a.n; i += CT_WARP) static_cast<T *>(a.p[3])[r * a.n + i] = T(0);
    } else if (a.n <= ct_row<T, CT_WARP, true>::limit) {
        loss_of_row<T, true>(a, r, label, sound, weight);
    } else {
        loss_of_row<T, false>(a, r, label, sound, weight);
    }
}

static uint32_t grid_cross_entropy(const ct_args *a)
{
    const int64_t most = a->n > 128 ? a->n : 128, blocks = ct_blocks_of(a->m, CT_THREADS / CT_WARP);
    return (uint32_t)(blocks < 1 ? 1 : blocks < most ? blocks : most);
}

template <class T>
static __device__ __forceinline__ void cross_entropy_body(const ct_args &a, uint32_t block, void *shared)
{
    const int64_t counted = a.i[0] == REDUCE_MEAN ? count_rows(a, shared) : 1;
    const int64_t warps = CT_THREADS / CT_WARP;
    for (int64_t r = block * warps + threadIdx.x / CT_WARP; r < a.m; r += a.blocks * warps)
        any_row<T>(a, r, T(1) / (T)counted);
    if (a.i[0] == REDUCE_NONE || !a.p[2]) return;
    if (!ct_is_last_block(a, shared)) return;
    const T total = ct_sum_parts(static_cast<const T *>(a.p[5]), a.m, shared);
    /* No row that counts: 0/0, as PyTorch has it. */
    if (threadIdx.x == 0) *static_cast<T *>(a.p[2]) = counted ? total : (T)NAN;
}

template <class T> static constexpr uint32_t cross_entropy_bytes()
{
    return ct_reduce_bytes<T>() > ct_reduce_bytes<int64_t>() ? ct_reduce_bytes<T>() : ct_reduce_bytes<int64_t>();
}

CT_FLOAT_KERNEL(cross_entropy, grid_cross_entropy, cross_entropy_body, cross_entropy_bytes, 0)

/* ---- pair losses ----------------------------------------------------------------------------------------- */

CT_FLOAT_KERNEL(mse_loss, ct_grid_parts, mse_loss_body, ct_reduce_bytes, CT_GROUPED)
CT_FLOAT_KERNEL(l1_loss, ct_grid_parts, l1_loss_body, ct_reduce_bytes, 0)
CT_FLOAT_KERNEL(huber_loss, ct_grid_parts, huber_loss_body, ct_reduce_bytes, 0)
CT_FLOAT_KERNEL(bce_with_logits, ct_grid_parts, bce_with_logits_body, ct_reduce_bytes, 0)

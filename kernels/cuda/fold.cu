/* Folds: amax, amin, logsumexp and var, over all, over lines, over alternating dims.
 *
 * An op is a state, what makes one of eight elements, and what merges two. A thread makes states of eight
 * loads at a time and merges them; threads and blocks are merged in a fixed order that follows
 * from the shape. So x is read once, no exponential overflows, and a variance does not cancel: it is taken of x
 * less the first of its line, for of a mean far above the spread f32 would hold too few digits.
 *
 * p: x, y, a state a part.  m, n, k: as for sums. i[1]: all is one line of n elements in k parts, one a
 * block; else threads as in lines.cuh.  Bytes: x and y once; a FLOP an element, var 4, logsumexp about 20.
 */
#include "entry.cuh"
#include "reduce.cuh"

#define FOLDED_AT_ONCE 8

/* ---- the ops: State, none, of n > 0 values, merge, value ------------------------------------------- */

/* y = sign * largest of sign * x */
template <class T, int sign> struct fold_extremum {
    using State = T;
    static constexpr bool from_first = false;
    static __device__ __forceinline__ State none() { return -(T)INFINITY; }
    static __device__ __forceinline__ State of(const T *x, int n)
    {
        State largest = none();
#pragma unroll
        for (int j = 0; j < FOLDED_AT_ONCE; j++)
            if (j < n) largest = merge(largest, sign * x[j]);
        return largest;
    }
    static __device__ __forceinline__ State merge(const State &a, const State &b) { return ct_larger()(a, b); }
    static __device__ __forceinline__ T value(const State &s, const ct_args &) { return sign * s; }
};

/* y = largest + ln Σ e^(x - largest) */
template <class T> struct fold_logsumexp {
    struct State {
        T largest, sum;
    };
    /* What is subtracted: not an infinity, for inf - inf is NaN. */
    static __device__ __forceinline__ T shift(T largest)
    {
        return largest == (T)INFINITY || largest == -(T)INFINITY ? T(0) : largest;
    }
    static constexpr bool from_first = false;
    static __device__ __forceinline__ State none() { return State{-(T)INFINITY, 0}; }
    static __device__ __forceinline__ State of(const T *x, int n)
    {
        State s = {fold_extremum<T, 1>::of(x, n), 0};
#pragma unroll
        for (int j = 0; j < FOLDED_AT_ONCE; j++)
            if (j < n) s.sum += exp(x[j] - shift(s.largest));
        return s;
    }
    static __device__ __forceinline__ State merge(const State &a, const State &b)
    {
        const T largest = ct_larger()(a.largest, b.largest), down = shift(largest);
        return State{largest, a.sum * exp(a.largest - down) + b.sum * exp(b.largest - down)};
    }
    static __device__ __forceinline__ T value(const State &s, const ct_args &) { return log(s.sum) + shift(s.largest); }
};

/* y = scale Σ (x - mean)²; merged as Chan, Golub and LeVeque do. */
template <class T> struct fold_var {
    struct State {
        T count, mean, squares;
    };
    static constexpr bool from_first = true;
    static __device__ __forceinline__ State none() { return State{0, 0, 0}; }
    static __device__ __forceinline__ State of(const T *x, int n)
    {
        State s = {(T)n, 0, 0};
#pragma unroll
        for (int j = 0; j < FOLDED_AT_ONCE; j++)
            if (j < n) s.mean += x[j];
        s.mean /= s.count;
#pragma unroll
        for (int j = 0; j < FOLDED_AT_ONCE; j++)
            if (j < n) s.squares += (x[j] - s.mean) * (x[j] - s.mean);
        return s;
    }
    static __device__ __forceinline__ State merge(const State &a, const State &b)
    {
        const T count = a.count + b.count, part = count > 0 ? b.count / count : T(0), apart = b.mean - a.mean;
        return State{count, a.mean + apart * part, a.squares + b.squares + apart * (a.count * part) * apart};
    }
    static __device__ __forceinline__ T value(const State &s, const ct_args &a)
    {
        return s.squares * ct_scalar_of<T>(a.scalar[0]);
    }
};

/* ---- layouts ------------------------------------------------------------------------------------------ */

template <class Op, class State> struct fold_merge {
    __device__ __forceinline__ State operator()(const State &a, const State &b) const { return Op::merge(a, b); }
};

/* Every `step`-th element from `first` on, less the first of the line where the op asks for it. */
template <class T, class Op, class At>
static __device__ __forceinline__ typename Op::State fold_slice(int64_t n, int first, int step, const T *begin,
                                                                const At &at)
{
    const T less = Op::from_first && first < n ? *begin : T(0);
    typename Op::State s = Op::none();
    for (int64_t i = first; i < n; i += FOLDED_AT_ONCE * step) {
        T x[FOLDED_AT_ONCE];
#pragma unroll
        for (int j = 0; j < FOLDED_AT_ONCE; j++) x[j] = i + j * step < n ? at(i + j * step) - less : T(0);
        const int64_t left = (n - i + step - 1) / step;
        s = Op::merge(s, Op::of(x, left < FOLDED_AT_ONCE ? (int)left : FOLDED_AT_ONCE));
    }
    return s;
}

/* One line, a part a block; the last block merges the parts. */
template <class T, class Op>
static __device__ __forceinline__ void fold_parts(const ct_args &a, uint32_t block, void *shared)
{
    using State = typename Op::State;
    const ct_lines l = {1, CT_THREADS, true};
    const ct_place at = ct_place_of(l, 0);
    const ct_part part = ct_part_of(a, block);
    const T *x = static_cast<const T *>(a.p[0]) + part.from;
    State *states = static_cast<State *>(a.p[2]);
    State s = fold_slice<T, Op>(part.length, at.slice, l.slices, static_cast<const T *>(a.p[0]),
                                [&](int64_t i) { return x[i]; });
    s = ct_combine_slices(l, at, s, shared, fold_merge<Op, State>());
    if (a.blocks > 1) {
        if (at.slice == 0) states[block] = s;
        if (!ct_is_last_block(a, shared)) return;
        s = Op::none();
        for (int64_t i = at.slice; i < a.blocks; i += CT_THREADS) s = Op::merge(s, states[i]);
        s = ct_combine_slices(l, at, s, shared, fold_merge<Op, State>());
    }
    if (at.slice == 0) *static_cast<T *>(a.p[1]) = Op::value(s, a);
}

template <class T, class Op>
static __device__ __forceinline__ void fold_lines(const ct_args &a, uint32_t block, void *shared)
{
    using State = typename Op::State;
    const bool general = a.k == 0;
    const int64_t count = general ? a.m : a.m * a.k, n = general ? alternating_count(a) : a.n, k = general ? 1 : a.k;
    const ct_lines l = ct_lines_of(count, n, k);
    const ct_place at = ct_place_of(l, block);
    State s = Op::none();
    if (at.line < count && general) {
        const T *x = static_cast<const T *>(a.p[0]) + alternating_offset(a, false, at.line);
        s = fold_slice<T, Op>(n, at.slice, l.slices, x, [&](int64_t i) { return x[alternating_offset(a, true, i)]; });
    } else if (at.line < count) {
        const T *x = static_cast<const T *>(a.p[0]) + ct_line_start(at.line, n, k);
        s = fold_slice<T, Op>(n, at.slice, l.slices, x, [&](int64_t i) { return x[i * k]; });
    }
    s = ct_combine_slices(l, at, s, shared, fold_merge<Op, State>());
    if (at.line < count && at.slice == 0) static_cast<T *>(a.p[1])[at.line] = Op::value(s, a);
}

template <class T, class Op> static __device__ __forceinline__ void fold(const ct_args &a, uint32_t block, void *shared)
{
    if (a.i[1])
        fold_parts<T, Op>(a, block, shared);
    else
        fold_lines<T, Op>(a, block, shared);
}

/* ---- table ---------------------------------------------------------------------------------------------- */

static uint32_t grid_fold(const ct_args *a) { return a->i[1] ? ct_grid_parts(a) : grid_columns(a); }

template <class T> static constexpr uint32_t fold_bytes()
{
    return CT_THREADS * (uint32_t)sizeof(typename fold_var<T>::State);
}

#define FOLD_KERNEL(name, ...)                                                                                         \
    template <class T> static __device__ __forceinline__ void name##_body(const ct_args &a, uint32_t block, void *s)   \
    {                                                                                                                  \
        fold<T, __VA_ARGS__>(a, block, s);                                                                             \
    }                                                                                                                  \
    CT_FLOAT_KERNEL(name, grid_fold, name##_body, fold_bytes, 0)

FOLD_KERNEL(amax, fold_extremum<T, 1>)
FOLD_KERNEL(amin, fold_extremum<T, -1>)
FOLD_KERNEL(logsumexp, fold_logsumexp<T>)
FOLD_KERNEL(var, fold_var<T>)

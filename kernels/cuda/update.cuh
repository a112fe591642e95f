/* append, sgd and adam. Formulas as torch.optim's, in the order of kernels/cpu/update.inc.
 *
 * p[0] of an optimizer is a table of ct_tensor_row; virtual blocks of CT_BLOCK_ELEMENTS elements
 * run through all rows, so that many small parameters cost no more than one large. A block
 * finds its row by bisection, and loads all of its operands before it stores any, in vectors of
 * 16 bytes. The count of steps is read by every block and advanced by the last one.
 * Bytes: every operand once in, and all but the gradient once out.
 */
#ifndef CUTAPE_KERNELS_CUDA_UPDATE_CUH
#define CUTAPE_KERNELS_CUDA_UPDATE_CUH

#include "span.cuh"

#define CT_UPDATE_BYTES 16 /* of shared memory */

/* ring[count mod n] = value, count + 1.  p: ring, value, count. One block, one thread. */
template <class Bits> static __device__ __forceinline__ void append_body(const ct_args &a, uint32_t, void *)
{
    if (threadIdx.x != 0) return;
    int64_t *count = static_cast<int64_t *>(a.p[2]);
    static_cast<Bits *>(a.p[0])[*count % a.n] = *static_cast<const Bits *>(a.p[1]);
    ++*count;
}

/* What a block covers: elements [from, to) of a row's tensors; none if to <= from. */
struct ct_row_span {
    const ct_tensor_row *row;
    int64_t from, to;
};

/* The row of a block is the last that begins at or before it. m: rows. */
static __device__ __forceinline__ ct_row_span ct_row_span_of(const ct_args &a, uint32_t block)
{
    const ct_tensor_row *rows = static_cast<const ct_tensor_row *>(a.p[0]);
    int64_t low = 0, high = a.m - 1;
    while (low < high) {
        const int64_t middle = (low + high + 1) / 2;
        if (rows[middle].first_block <= block)
            low = middle;
        else
            high = middle - 1;
    }
    const int64_t from = (block - rows[low].first_block) * CT_BLOCK_ELEMENTS, end = from + CT_BLOCK_ELEMENTS;
    return ct_row_span{&rows[low], from, end < rows[low].n ? end : rows[low].n};
}

/* A thread's elements of one operand: vectors CT_THREADS apart. */
template <class T> struct ct_row_part {
    static constexpr int width = width_of<T>::value, vectors = CT_BLOCK_ELEMENTS / (CT_THREADS * width);
    ct_vector<T, width> v[vectors];

    static __device__ __forceinline__ int64_t start(int j) { return (j * CT_THREADS + (int)threadIdx.x) * width; }
    __device__ __forceinline__ void load(const ct_row_span &at, int operand)
    {
        const T *p = static_cast<const T *>(at.row->p[operand]) + at.from;
#pragma unroll
        for (int j = 0; j < vectors; j++) ct_load_part(p + start(j), at.to - at.from - start(j), v[j]);
    }
    __device__ __forceinline__ void store(const ct_row_span &at, int operand) const
    {
        T *p = static_cast<T *>(at.row->p[operand]) + at.from;
#pragma unroll
        for (int j = 0; j < vectors; j++) ct_store_part(p + start(j), at.to - at.from - start(j), v[j]);
    }
    __device__ __forceinline__ T &operator[](int i) { return v[i / width].at[i % width]; }
    static constexpr int size = width * vectors;
};

static __device__ __forceinline__ void ct_count_up(const ct_args &a, void *shared)
{
    if (ct_is_last_block(a, shared) && threadIdx.x == 0) ++*static_cast<int64_t *>(a.p[1]);
}

/* g += decay p;  b = t > 1 ? momentum b + (1 - dampening) g : g;  g = nesterov ? g + momentum b : b;
 * p -= lr g.  p: table of {p, g, b}, count.  scalar: lr, momentum, dampening, weight decay.
 * i: nesterov, columns of the table (3 with momentum). */
template <class T> static __device__ __forceinline__ void sgd_body(const ct_args &a, uint32_t block, void *shared)
{
    const T lr = ct_scalar_of<T>(a.scalar[0]), momentum = ct_scalar_of<T>(a.scalar[1]);
    const T dampening = ct_scalar_of<T>(a.scalar[2]), decay = ct_scalar_of<T>(a.scalar[3]);
    const bool has_momentum = a.i[1] > 2, nesterov = a.i[0] != 0;
    const bool begun = has_momentum && *static_cast<const int64_t *>(a.p[1]) > 0;
    const ct_row_span at = ct_row_span_of(a, block);
    ct_row_part<T> p, g, b = {};
    p.load(at, 0);
    g.load(at, 1);
    if (begun) b.load(at, 2);
#pragma unroll
    for (int i = 0; i < p.size; i++) {
        const T slope = g[i] + decay * p[i];
        T step = slope;
        if (has_momentum) {
            b[i] = begun ? momentum * b[i] + (T(1) - dampening) * slope : slope;
            step = nesterov ? slope + momentum * b[i] : b[i];
        }
        p[i] -= lr * step;
    }
    if (has_momentum) b.store(at, 2);
    p.store(at, 0);
    ct_count_up(a, shared);
}

/* xⁿ by squaring: n is a count, and the library's pow takes registers that a block has not. */
static __device__ __forceinline__ double ct_power(double x, int64_t n)
{
    double y = 1;
    for (; n > 0; n >>= 1, x *= x)
        if (n & 1) y *= x;
    return y;
}

/* m = β1 m + (1-β1) g;  v = β2 v + (1-β2) g²;  p -= lr/(1-β1ᵗ) m / (√v/√(1-β2ᵗ) + eps).
 * Decay: coupled, g += decay p; decoupled, p *= 1 - lr decay.
 * p: table of {p, g, m, v}, count.  scalar: lr, β1, β2, eps, weight decay.  i: decoupled.
 *
 * Two threads of two warps compute a power each while the block's loads are under way. */
template <class T> static __device__ __forceinline__ void adam_body(const ct_args &a, uint32_t block, void *shared)
{
    const ct_scalar *s = a.scalar;
    const bool decoupled = a.i[0] != 0;
    const T beta1 = ct_scalar_of<T>(s[1]), beta2 = ct_scalar_of<T>(s[2]), eps = ct_scalar_of<T>(s[3]);
    const T rest1 = (T)(1 - s[1].f64), rest2 = (T)(1 - s[2].f64);
    const T decay = decoupled ? T(0) : ct_scalar_of<T>(s[4]), keep = decoupled ? (T)(1 - s[0].f64 * s[4].f64) : T(1);
    const ct_row_span at = ct_row_span_of(a, block);
    ct_row_part<T> p, g, m, v;
    p.load(at, 0);
    g.load(at, 1);
    m.load(at, 2);
    v.load(at, 3);
    T *factors = static_cast<T *>(shared);
    if (threadIdx.x % 32 == 0 && threadIdx.x < 64) {
        const int which = (int)threadIdx.x / 32;
        const int64_t t = *static_cast<const int64_t *>(a.p[1]) + 1;
        const double left = 1 - ct_power(s[1 + which].f64, t);
        factors[which] = (T)(which == 0 ? s[0].f64 / left : 1 / sqrt(left));
    }
    __syncthreads();
    const T step = factors[0], root = factors[1];
#pragma unroll
    for (int i = 0; i < p.size; i++) {
        const T slope = g[i] + decay * p[i];
        m[i] = beta1 * m[i] + rest1 * slope;
        v[i] = beta2 * v[i] + rest2 * slope * slope;
        p[i] = p[i] * keep - step * m[i] / (sqrt(v[i]) * root + eps);
    }
    m.store(at, 2);
    v.store(at, 3);
    p.store(at, 0);
    ct_count_up(a, shared);
}

#endif

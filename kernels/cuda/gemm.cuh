/* The body of the matrix product: C [m,n] = epilogue(op(A) op(B)), any shape and transposes.
 * p: A, B, C, bias, -, y.  i: lda, ldb, ldc, flags.  flags: activation.  Batches: ndim, shape,
 * stride[0] and stride[1] in matrices of A and B; C's follow each other.
 *
 * A block makes a square tile of C. Both operands pass through shared memory as rows of k
 * (a row of A, a column of B), a stage of 8 KB each at a time; while one stage is multiplied
 * the next is on its way into registers. The threads form `slices` groups: each holds the
 * whole tile, `rows` x `columns` a thread, and takes every slices-th vector of k. The slices
 * are added in order, so the order of all additions follows from the shape alone.
 * FLOPs: 2mnk. Bytes from L2: m n k (1/side + 1/side) elements; C once.
 */
#ifndef CUTAPE_KERNELS_CUDA_GEMM_CUH
#define CUTAPE_KERNELS_CUDA_GEMM_CUH

#include "epilogue.cuh"

/* ---- tiles: chosen by shape alone ---------------------------------------------------------------- */

struct ct_gemm_tiles {
    int log_side; /* a side is 8, 16, 32 or 64 */
    int64_t tall, wide, batches;
};

/* The largest tile that leaves blocks enough for the machine and is not mostly padding. Small
 * products take as long as their chain of loads: small tiles make it short and many. */
static __host__ __device__ inline ct_gemm_tiles ct_gemm_tile(const ct_args &a)
{
    ct_gemm_tiles t = {6, 0, 0, 1};
    for (int d = 0; d < a.ndim; d++) t.batches *= a.shape[d];
    for (;; t.log_side--) {
        const int64_t side = (int64_t)1 << t.log_side;
        t.tall = (a.m + side - 1) >> t.log_side;
        t.wide = (a.n + side - 1) >> t.log_side;
        if (side == 8) return t;
        const bool padded = side >= 2 * a.m || side >= 2 * a.n;
        if (!padded && t.tall * t.wide * t.batches >= (side == 64 ? 128 : 64)) return t;
    }
}

/* rows x columns of C a thread, slices of k a block. */
template <class T, int side_, int slices_, int rows_, int columns_> struct ct_gemm_config {
    static constexpr int side = side_, slices = slices_, rows = rows_, columns = columns_;
    static constexpr int vector = 16 / (int)sizeof(T);
    static constexpr int depth = 8192 / (int)sizeof(T) / side; /* of a stage in k */
    /* Rows lie 16 bytes further on than they need: eight neighbours' vectors then meet no bank twice. */
    static constexpr int pitch = depth + vector;
    static constexpr int loads = side * depth / vector / CT_THREADS;
    /* Threads of a slice: warps of 4 x 8. */
    static constexpr int down = side / rows, across = side / columns;
    static_assert(down * across * slices == CT_THREADS && down % 4 == 0 && across % 8 == 0, "warps");
    static constexpr uint32_t stage_bytes = 2 * side * pitch * sizeof(T);
    static constexpr uint32_t sum_bytes = slices * side * side * sizeof(T);
    static constexpr uint32_t shared_bytes = sum_bytes > 2 * stage_bytes ? sum_bytes : 2 * stage_bytes;
    static_assert(shared_bytes <= 48 * 1024, "shared memory");
};

template <class T> using ct_gemm_8 = ct_gemm_config<T, 8, 8, 2, 1>;
template <class T> using ct_gemm_16 = ct_gemm_config<T, 16, 8, 4, 2>;
template <class T> using ct_gemm_32 = ct_gemm_config<T, 32, 4, 4, 4>;
template <class T> using ct_gemm_64 = ct_gemm_config<T, 64, 1, 4, 4>;

template <class T> static constexpr uint32_t ct_gemm_shared_bytes()
{
    constexpr uint32_t small = ct_gemm_8<T>::shared_bytes > ct_gemm_16<T>::shared_bytes ? ct_gemm_8<T>::shared_bytes
                                                                                        : ct_gemm_16<T>::shared_bytes;
    constexpr uint32_t large = ct_gemm_32<T>::shared_bytes > ct_gemm_64<T>::shared_bytes ? ct_gemm_32<T>::shared_bytes
                                                                                         : ct_gemm_64<T>::shared_bytes;
    return small > large ? small : large;
}

static __device__ __forceinline__ int ct_gemm_least(int64_t left, int side) { return left < side ? (int)left : side; }

/* ---- operands: from global memory to shared ------------------------------------------------------- */

/* A thread's share of a stage of A or B: `loads` vectors of neighbours in memory, on lines that
 * lie `ahead` apart. Along k a line is a row of k; transposed, it is a k of all rows. */
template <class T> struct ct_gemm_operand {
    const T *at;         /* its first vector in the next stage    */
    int64_t ahead, step; /* to its next vector, to the next stage */
    int line, place;     /* where that vector lies in the stage   */
    int lines;           /* from it to the next                   */
    int rows;            /* of the tile that exist                */
    bool along_k, aligned;
};

/* Along k, neighbours read on in a row. Else a warp takes 32 bytes of 16 k each: whole sectors
 * to read, and different banks to write (of 8 k where the tile is as wide as the block).
 * Shifts by variables: the same code for all tiles. */
template <class T>
static __device__ __forceinline__ ct_gemm_operand<T>
ct_gemm_share(const void *matrix, int64_t offset, int64_t ld, bool along_k, int64_t row, int64_t rows, int log_side)
{
    constexpr int log_vector = sizeof(T) == 4 ? 2 : 1, log_stage = 9 + log_vector;
    const int log_depth = log_stage - log_side, along = log_depth - log_vector, across = log_side - log_vector;
    const int k = across > 4 ? 3 : 4, t = (int)threadIdx.x;
    ct_gemm_operand<T> o;
    o.line = along_k ? t >> along : (t & ((1 << k) - 1)) + (t >> (k + across) << k);
    o.place = (along_k ? t & ((1 << along) - 1) : t >> k & ((1 << across) - 1)) << log_vector;
    o.lines = CT_THREADS << log_vector >> (along_k ? log_depth : log_side);
    o.ahead = o.lines * ld;
    o.step = (int64_t)(along_k ? 1 : ld) << log_depth;
    o.rows = ct_gemm_least(rows - row, 1 << log_side);
    o.at = static_cast<const T *>(matrix) + offset;
    o.along_k = along_k;
    o.aligned = (uintptr_t)o.at % 16 == 0 && (ld & ((1 << log_vector) - 1)) == 0;
    o.at += row * (along_k ? ld : 1) + o.line * ld + o.place;
    return o;
}

/* The next stage into registers, of which `depth` k exist; zeros for what does not exist. */
template <class S, class T>
static __device__ __forceinline__ void ct_gemm_fetch(ct_gemm_operand<T> &o, int depth,
                                                     ct_vector<T, S::vector> (&x)[S::loads])
{
    const int lines = (o.along_k ? o.rows : depth) - o.line, left = (o.along_k ? depth : o.rows) - o.place;
    const T *from = o.at;
#pragma unroll
    for (int i = 0; i < S::loads; i++, from += o.ahead) {
        const bool exists = i * o.lines < lines;
        x[i] = {};
        if (o.aligned && left >= S::vector) {
            if (exists) x[i] = *reinterpret_cast<const ct_vector<T, S::vector> *>(from);
        } else {
#pragma unroll
            for (int j = 0; j < S::vector; j++)
                if (exists && j < left) x[i].at[j] = from[j];
        }
    }
    o.at += o.step;
}

/* Into shared memory, as rows of k; a vector of k that exists in part is filled up with zeros. */
template <class S, class T>
static __device__ __forceinline__ void ct_gemm_stage(const ct_gemm_operand<T> &o, int depth,
                                                     const ct_vector<T, S::vector> (&x)[S::loads], T *stage)
{
    const int filled = (depth + S::vector - 1) / S::vector * S::vector;
    if (o.along_k) {
        T *to = stage + o.line * S::pitch + o.place;
#pragma unroll
        for (int i = 0; i < S::loads; i++)
            if (o.place < filled) *reinterpret_cast<ct_vector<T, S::vector> *>(to + i * o.lines * S::pitch) = x[i];
    } else {
        T *to = stage + o.place * S::pitch + o.line;
#pragma unroll
        for (int i = 0; i < S::loads; i++)
#pragma unroll
            for (int j = 0; j < S::vector; j++)
                if (o.line + i * o.lines < filled) to[j * S::pitch + i * o.lines] = x[i].at[j];
    }
}

/* ---- the product of a tile ------------------------------------------------------------------------- */

/* sum += A B over this slice's vectors of a stage. Explicit fma: one rounding, the same everywhere. */
template <class S, class T>
static __device__ __forceinline__ void ct_gemm_multiply(const T *a, const T *b, int vectors, int slice,
                                                        T (&sum)[S::rows][S::columns])
{
    using vector = ct_vector<T, S::vector>;
#pragma unroll(S::rows *S::columns >= 16 ? 1 : 2)
    for (int v = slice; v < vectors; v += S::slices) {
        vector y[S::columns];
#pragma unroll
        for (int j = 0; j < S::columns; j++)
            y[j] = *reinterpret_cast<const vector *>(b + j * S::across * S::pitch + v * S::vector);
#pragma unroll
        for (int i = 0; i < S::rows; i++) {
            const vector x = *reinterpret_cast<const vector *>(a + i * S::down * S::pitch + v * S::vector);
#pragma unroll
            for (int q = 0; q < S::vector; q++)
#pragma unroll
                for (int j = 0; j < S::columns; j++) sum[i][j] = fma(x.at[q], y[j].at[q], sum[i][j]);
        }
    }
}

/* What a thread computes: a slice of k of the elements row + i down, column + j across. */
struct ct_gemm_thread {
    int slice, row, column;
};

/* Warps of 4 x 8; a slice has one, in tiles of 32 two, of 64 all eight. */
static __device__ __forceinline__ ct_gemm_thread ct_gemm_thread_of(int log_side)
{
    const int log_slice = log_side < 5 ? 5 : 2 * log_side - 4, log_across = log_side - 5 > 0 ? 1 : 0;
    const int t = (int)threadIdx.x, warp = (t & ((1 << log_slice) - 1)) >> 5;
    return {t >> log_slice, (t >> 3 & 3) + (warp >> log_across << 2), (t & 7) + ((warp & log_across) << 3)};
}

/* op(A) op(B) of a tile into shared[row * side + column]; each thread may read the elements
 * threadIdx.x + i CT_THREADS at once. */
template <class S, class T>
static __device__ __forceinline__ void ct_gemm_product(ct_gemm_operand<T> a, ct_gemm_operand<T> b, int64_t k,
                                                       ct_gemm_thread own, T *shared)
{
    constexpr int size = S::side * S::side;
    ct_vector<T, S::vector> next_a[S::loads], next_b[S::loads];
    T sum[S::rows][S::columns] = {};
    int depth = ct_gemm_least(k, S::depth);
    ct_gemm_fetch<S>(a, depth, next_a);
    ct_gemm_fetch<S>(b, depth, next_b);
    T *stage = shared, *other = shared + 2 * S::side * S::pitch;
    while (k > 0) {
        ct_gemm_stage<S>(a, depth, next_a, stage);
        ct_gemm_stage<S>(b, depth, next_b, stage + S::side * S::pitch);
        __syncthreads(); /* also: nobody reads `other` any more */
        const int vectors = (depth + S::vector - 1) / S::vector;
        k -= depth;
        depth = ct_gemm_least(k, S::depth);
        if (k > 0) {
            ct_gemm_fetch<S>(a, depth, next_a);
            ct_gemm_fetch<S>(b, depth, next_b);
        }
        ct_gemm_multiply<S>(stage + own.row * S::pitch, stage + (S::side + own.column) * S::pitch, vectors, own.slice,
                            sum);
        T *swap = stage;
        stage = other, other = swap;
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < S::rows; i++)
#pragma unroll
        for (int j = 0; j < S::columns; j++)
            shared[own.slice * size + (own.row + i * S::down) * S::side + own.column + j * S::across] = sum[i][j];
    __syncthreads();
    for (int e = (int)threadIdx.x; S::slices > 1 && e < size; e += CT_THREADS) {
        T total = shared[e];
#pragma unroll
        for (int s = 1; s < S::slices; s++) total += shared[s * size + e];
        shared[e] = total;
    }
}

/* ---- the body ----------------------------------------------------------------------------------------- */

/* Where a tile begins in A, B and C. */
struct ct_gemm_at {
    int64_t row, column, a, b, c;
};

static __device__ __forceinline__ ct_gemm_at ct_gemm_locate(const ct_args &args, const ct_gemm_tiles &t, uint32_t block)
{
    const uint32_t across = block / (uint32_t)t.wide, batch = across / (uint32_t)t.tall;
    const int64_t row = (int64_t)(across - batch * (uint32_t)t.tall) << t.log_side;
    const int64_t column = (int64_t)(block - across * (uint32_t)t.wide) << t.log_side;
    int64_t a = 0, b = 0;
    uint32_t rest = batch;
    for (int d = args.ndim - 1; d >= 0; d--) {
        const uint32_t size = (uint32_t)args.shape[d], outer = rest / size, at = rest - outer * size;
        a += (int64_t)at * args.stride[0][d];
        b += (int64_t)at * args.stride[1][d];
        rest = outer;
    }
    return {row, column, a * args.m * args.k, b * args.k * args.n, batch * args.m * args.n + row * args.i[2] + column};
}

template <class T> static __device__ __forceinline__ void gemm_body(const ct_args &a, uint32_t block, void *memory)
{
    const ct_gemm_tiles t = ct_gemm_tile(a);
    const ct_gemm_at first = ct_gemm_locate(a, t, block);
    const bool ta = a.i[3] & CT_GEMM_TA, tb = a.i[3] & CT_GEMM_TB;
    const ct_gemm_operand<T> left = ct_gemm_share<T>(a.p[0], first.a, a.i[0], !ta, first.row, a.m, t.log_side);
    const ct_gemm_operand<T> right = ct_gemm_share<T>(a.p[1], first.b, a.i[1], tb, first.column, a.n, t.log_side);
    const ct_gemm_thread own = ct_gemm_thread_of(t.log_side);
    T *shared = static_cast<T *>(memory);
    switch (t.log_side) {
    case 3: ct_gemm_product<ct_gemm_8<T>>(left, right, a.k, own, shared); break;
    case 4: ct_gemm_product<ct_gemm_16<T>>(left, right, a.k, own, shared); break;
    case 5: ct_gemm_product<ct_gemm_32<T>>(left, right, a.k, own, shared); break;
    default: ct_gemm_product<ct_gemm_64<T>>(left, right, a.k, own, shared); break;
    }
    const int side = 1 << t.log_side;
    const int rows = ct_gemm_least(a.m - first.row, side), columns = ct_gemm_least(a.n - first.column, side);
    T *c = static_cast<T *>(a.p[2]);
    ct_with_epilogue(a, [&](auto functor) {
        using F = decltype(functor);
        for (int e = (int)threadIdx.x; e < side * side; e += CT_THREADS) {
            const int i = e >> t.log_side, j = e & (side - 1);
            if (i >= rows || j >= columns) continue;
            const int64_t at = first.c + i * a.i[2] + j;
            c[at] = F::of(shared[e], ct_epilogue_other<F, T, 1>(a, at, first.column + j).at[0]);
        }
    });
}

static inline uint32_t ct_gemm_grid(const ct_args *a)
{
    if (a->m == 0 || a->n == 0) return 0;
    const ct_gemm_tiles t = ct_gemm_tile(*a);
    return (uint32_t)(t.tall * t.wide * t.batches);
}

#endif

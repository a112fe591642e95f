/* Lines of n elements, k apart, in a tensor [m, n, k]: how the threads of a block lie over them.
 *
 * A block takes `lines` of the m k lines and splits each into `slices`: slice s takes the elements
 * s, s + slices, ... and the slices are combined by halves. All of it follows from the shape:
 *   short lines            a thread a line, 256 lines a block: nothing to combine
 *   neighbours in a line   (k = 1) a warp or a block a line, lanes along it
 *   else                   lanes across 32 lines, the 8 warps along them; fewer lines where
 *                          there are no 32, so that no lane is idle
 * So neighbouring threads read neighbouring elements, but for short lines of k = 1, which the
 * first-level cache holds.
 */
#ifndef CUTAPE_KERNELS_CUDA_LINES_CUH
#define CUTAPE_KERNELS_CUDA_LINES_CUH

#include "cuda.cuh"

struct ct_lines {
    int lines, slices;
    bool along;
};

static __host__ __device__ __forceinline__ ct_lines ct_lines_of(int64_t count, int64_t n, int64_t k)
{
    int lines = 32;
    if (n <= 16)
        lines = CT_THREADS;
    else if (k == 1)
        lines = n <= 1024 ? CT_THREADS / 32 : 1;
    else
        while (lines > 1 && lines / 2 >= count) lines /= 2;
    return ct_lines{lines, CT_THREADS / lines, k == 1};
}

static inline uint32_t ct_grid_lines(int64_t count, int64_t n, int64_t k)
{
    return ct_blocks_of(count, ct_lines_of(count, n, k).lines);
}

/* This thread's place. */
struct ct_place {
    int64_t line;
    int slice, partner; /* threads to the next slice of the line */
};

static __device__ __forceinline__ ct_place ct_place_of(const ct_lines &l, uint32_t block)
{
    const int t = (int)threadIdx.x;
    const int line = l.along ? t / l.slices : t % l.lines, slice = l.along ? t % l.slices : t / l.lines;
    return ct_place{(int64_t)block * l.lines + line, slice, l.along ? 1 : l.lines};
}

/* 64-bit divisions are slow and rarely needed. */
static __device__ __forceinline__ int64_t ct_quotient(int64_t a, int64_t b)
{
    return (a | b) >> 32 ? a / b : (int64_t)((uint32_t)a / (uint32_t)b);
}

/* Where a line begins. */
static __device__ __forceinline__ int64_t ct_line_start(int64_t line, int64_t n, int64_t k)
{
    if (k == 1) return line * n;
    const int64_t outer = ct_quotient(line, k);
    return outer * n * k + (line - outer * k);
}

/* The slices of each line as one, in all its threads. `shared`: a value a thread; free after. */
template <class V, class Op>
static __device__ __forceinline__ V ct_combine_slices(const ct_lines &l, const ct_place &at, V value, void *shared,
                                                      Op op)
{
    if (l.slices == 1) return value;
    V *all = static_cast<V *>(shared) + threadIdx.x;
    *all = value;
    __syncthreads();
    for (int half = l.slices / 2; half > 0; half /= 2) {
        if (at.slice < half) *all = op(*all, all[half * at.partner]);
        __syncthreads();
    }
    value = *(all - at.slice * at.partner);
    __syncthreads();
    return value;
}

#endif

/* Updates over many tensors at once: append, sgd and adam (update.cuh), the gradient norm, clipping.
 *
 * p[0] is a table of ct_tensor_row, m its rows, k the virtual blocks over all of them.
 */
#include "block_reduce.cuh"
#include "entry.cuh"
#include "update.cuh"

/* At least one, which counts the step up if all tensors are empty. */
static uint32_t grid_rows(const ct_args *a) { return a->k > 1 ? (uint32_t)a->k : 1; }

/* norm = √Σ g².  p: table of {g}, norm, sums of squares by block (f64). Bytes: g once. */
template <class T> static __device__ __forceinline__ void grad_norm_body(const ct_args &a, uint32_t block, void *shared)
{
    const ct_row_span at = ct_row_span_of(a, block);
    ct_row_part<T> g;
    g.load(at, 0);
    double sum = 0;
#pragma unroll
    for (int i = 0; i < g.size; i++) sum += (double)g[i] * (double)g[i];
    sum = ct_block_sum(sum, shared);
    double total;
    if (ct_add_blocks(a, block, sum, static_cast<double *>(a.p[2]), shared, total) && threadIdx.x == 0)
        *static_cast<T *>(a.p[1]) = (T)sqrt(total);
}

template <class T> static constexpr uint32_t grad_norm_bytes() { return ct_reduce_bytes<double>(); }

/* g *= min(1, max_norm / (norm + 1e-6)).  p: table of {g}, norm. Bytes: g in and out. */
template <class T> static __device__ __forceinline__ void clip_scale_body(const ct_args &a, uint32_t block, void *)
{
    const T wanted = ct_scalar_of<T>(a.scalar[0]) / (*static_cast<const T *>(a.p[1]) + (T)1e-6);
    const T factor = wanted > T(1) ? T(1) : wanted;
    const ct_row_span at = ct_row_span_of(a, block);
    ct_row_part<T> g;
    g.load(at, 0);
#pragma unroll
    for (int i = 0; i < g.size; i++) g[i] *= factor;
    g.store(at, 0);
}

template <class T> static constexpr uint32_t update_bytes() { return CT_UPDATE_BYTES; }

CT_BITS_KERNEL(append, nullptr, append_body, CT_GROUPED)
CT_FLOAT_KERNEL(sgd, grid_rows, sgd_body, update_bytes, CT_GROUPED)
CT_FLOAT_KERNEL(adam, grid_rows, adam_body, update_bytes, CT_GROUPED)
CT_FLOAT_KERNEL(grad_norm, grid_rows, grad_norm_body, grad_norm_bytes, 0)
CT_FLOAT_KERNEL(clip_scale, grid_rows, clip_scale_body, ct_no_bytes, 0)

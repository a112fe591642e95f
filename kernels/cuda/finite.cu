/* find_nonfinite: the least i with x[i] NaN or Inf, n where there is none.
 *
 * p: x, the index (i64), those of the parts.  n: elements, k: parts, one a block. A thread goes through
 * vectors 256 apart and stops at its first; the least of all threads, then of all blocks. Bytes: x once.
 */
#include "block_reduce.cuh"
#include "entry.cuh"
#include "span.cuh"

struct ct_smaller {
    template <class T> __device__ __forceinline__ T operator()(T a, T b) const { return b < a ? b : a; }
};

template <class T> static constexpr uint32_t find_bytes() { return ct_reduce_bytes<int64_t>(); }

template <class T> static __device__ __forceinline__ void find_body(const ct_args &a, uint32_t block, void *shared)
{
    constexpr int width = width_of<T>::value;
    const ct_part part = ct_part_of(a, block);
    const T *x = static_cast<const T *>(a.p[0]) + part.from;
    int64_t found = a.n;
    for (int64_t i = (int64_t)threadIdx.x * width; i < part.length && found == a.n; i += CT_THREADS * width) {
        ct_vector<T, width> v;
        ct_load_part(x + i, part.length - i, v);
#pragma unroll
        for (int c = width - 1; c >= 0; c--)
            if (!(v.at[c] - v.at[c] == T(0))) found = part.from + i + c;
    }
    found = ct_block_all(found, shared, ct_smaller());
    bool last = true;
    if (a.blocks > 1) {
        int64_t *parts = static_cast<int64_t *>(a.p[2]);
        if (threadIdx.x == 0) parts[block] = found;
        last = ct_is_last_block(a, shared);
        if (last) {
            found = a.n;
            for (int64_t i = threadIdx.x; i < a.blocks; i += CT_THREADS) found = ct_smaller()(found, parts[i]);
            found = ct_block_all(found, shared, ct_smaller());
        }
    }
    if (last && threadIdx.x == 0) *static_cast<int64_t *>(a.p[1]) = found;
}

CT_FLOAT_KERNEL(find_nonfinite, ct_grid_parts, find_body, find_bytes, 0)

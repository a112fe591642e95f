/* A row of neighbouring elements, shared by a warp or a block, that is gone over several times.
 *
 * A row that fits stays in the registers of its team after one read; a longer one is read
 * again each time, from a cache as far as it goes. Element i belongs to thread i mod team.
 */
#ifndef CUTAPE_KERNELS_CUDA_ROW_CUH
#define CUTAPE_KERNELS_CUDA_ROW_CUH

#include "block_reduce.cuh"

template <class T, int team_size, bool is_held> struct ct_row {
    static constexpr int team = team_size;
    /* Elements a thread holds. In f64 an exponential takes many registers of its own. */
    static constexpr int most = (team == CT_WARP ? 32 : 16) / (sizeof(T) == 8 ? 4 : 1);
    static constexpr bool held = is_held;
    static constexpr int64_t limit = (int64_t)team * most;
    const T *x;
    int64_t n;
    int rank;
    T kept[held ? most : 1];

    __device__ __forceinline__ ct_row(const T *row, int64_t length)
        : x(row), n(length), rank((int)threadIdx.x % team_size)
    {
        if constexpr (held) {
#pragma unroll
            for (int j = 0; j < most; j++) {
                if (j * team >= n) break;
                if (j * team + rank < n) kept[j] = x[j * team + rank];
            }
        }
    }

    /* f(i, value) for this thread's elements. What f makes of the value stays where it is held. */
    template <class F> __device__ __forceinline__ void each(const F &f)
    {
        if constexpr (held) {
#pragma unroll
            for (int j = 0; j < most; j++) {
                if (j * team >= n) break;
                if (j * team + rank < n) f((int64_t)(j * team + rank), kept[j]);
            }
        } else {
            for (int64_t i = rank; i < n; i += team) {
                T value = x[i];
                f(i, value);
            }
        }
    }

    /* In all threads of the team. */
    __device__ __forceinline__ T max(void *shared)
    {
        T top = -(T)INFINITY;
        each([&](int64_t, T &value) { top = ct_larger()(top, value); });
        return ct_team_max<team>(top, shared);
    }
};

#endif

/* The kernels of these tests: small ones that are right, and one for each bug. */
#ifndef SIMT_KERNELS_H
#define SIMT_KERNELS_H

#include <cstddef>
#include <cstdint>

struct Parameter {
    float *x;
    uint32_t *counter;
    int n;
    float value;
    size_t offset;
};

#define SIMT_TEST_KERNELS(X)                                                                                           \
    X(fill_with)                                                                                                       \
    X(number_blocks)                                                                                                   \
    X(add_block)                                                                                                       \
    X(shuffles)                                                                                                        \
    X(count_blocks)                                                                                                    \
    X(copy_shared)                                                                                                     \
    X(missing_barrier)                                                                                                 \
    X(missing_syncwarp)                                                                                                \
    X(order_of_blocks)                                                                                                 \
    X(two_barriers)                                                                                                    \
    X(barrier_of_some)                                                                                                 \
    X(early_exit)                                                                                                      \
    X(lane_outside_mask)                                                                                               \
    X(mask_of_some)                                                                                                    \
    X(shuffle_of_some)                                                                                                 \
    X(block_sum)                                                                                                       \
    X(block_sum_everywhere)                                                                                            \
    X(block_sum_twice)                                                                                                 \
    X(warp_sum_twice)                                                                                                  \
    X(write_at)                                                                                                        \
    X(read_at)                                                                                                         \
    X(write_shared_at)                                                                                                 \
    X(misaligned)                                                                                                      \
    X(endless_recursion)                                                                                               \
    X(divide_by_zero)                                                                                                  \
    X(float_to_int)

#define X(name) extern const void *const name##_kernel;
SIMT_TEST_KERNELS(X)
#undef X

#endif

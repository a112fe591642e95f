/* What a kernel gets: one ct_args by value. Shared by C and CUDA C++.
 *
 * Plain data with resolved addresses. The first 128 bytes are what every kernel
 * reads; behind them stands the iteration space of those that broadcast.
 */
#ifndef CUTAPE_KERNELS_ARGS_H
#define CUTAPE_KERNELS_ARGS_H

#include <stdint.h>

/* A floating scalar in device memory, rounded by the host for both dtypes. */
typedef struct ct_scalar {
    double f64;
    float f32;
    float pad;
} ct_scalar;

typedef enum ct_kernel_id {
#define CT_KERNEL(name) CT_KERNEL_##name,
#include "kernels.def"
#undef CT_KERNEL
    CT_KERNEL_COUNT
} ct_kernel_id;

/* As ct_dtype of the public headers. */
enum { F32, F64, I32, U8, I64, N_DTYPES };

#define CT_ARGS_INPUTS 3
#define CT_ARGS_DIMS 6

/* Integers of a kernel's own, in ct_args.i. */
/* i[3] of gemm; CT_GEMM_GRAD: C = act_grad(product, y) for the activation in `flags`, y = p[5]. */
enum { CT_GEMM_TA = 1, CT_GEMM_TB = 2, CT_GEMM_ADD = 4, CT_GEMM_GRAD = 8 };

typedef struct ct_args {
    uint16_t kernel; /* ct_kernel_id                                    */
    uint8_t dtype;   /* ct_dtype the kernel computes in                 */
    uint8_t flags;
    uint32_t blocks;  /* virtual blocks; set by the device               */
    void *p[6];       /* addresses; which is which stands at the kernel  */
    uint32_t *ticket; /* counts finished blocks on a GPU; set by the device */
    int64_t m, n, k;  /* sizes                                           */
    const ct_scalar *scalar;
    int64_t i[4];
    /* Iteration over the output, row-major; a stride of 0 repeats an input. */
    int32_t ndim, reserved;
    int64_t shape[CT_ARGS_DIMS];
    int32_t stride[CT_ARGS_INPUTS][CT_ARGS_DIMS]; /* elements */
} ct_args;

/* One row of a table of many tensors, for kernels that update all parameters at once. */
typedef struct ct_tensor_row {
    void *p[4];
    int64_t n;
    int64_t first_block; /* of this tensor among the virtual blocks */
} ct_tensor_row;

/* One of the parts that lie side by side in every row of an output: the elements from `first` on, up to the
 * next part, are a row of x, which has `width` of them. NULL: zeros. Parts come in order and leave no gap. */
typedef struct ct_part_row {
    const void *x;
    int64_t first, width;
} ct_part_row;

/* Elements a virtual block covers: in elementwise kernels, in updates, and in the
 * partial sums of a long reduction. The number of partial sums follows from the
 * length alone, so that the order of additions never depends on the machine. */
#define CT_BLOCK_ELEMENTS 2048
#define CT_PARTIAL_ELEMENTS 8192
#define CT_MAX_PARTIALS 1024

/* Keys that are sorted in the shared memory of one block, where occurrences are put in order. */
#define CT_ORDER_TILE 4096

#endif

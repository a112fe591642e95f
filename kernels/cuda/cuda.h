/* What the host knows of the CUDA kernels: one table, which the .cu files beside this fill.
 *
 * Every wrapper takes one ct_args by value and runs its virtual blocks; a group wrapper
 * takes a ct_group. So one C function launches them all.
 */
#ifndef CUTAPE_KERNELS_CUDA_H
#define CUTAPE_KERNELS_CUDA_H

#include "../args.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CT_THREADS 256   /* of a block, in every kernel   */
#define CT_GROUP_LIMIT 4 /* launches that share one grid  */

typedef struct ct_cuda_kernel {
    /* Virtual blocks, by shape alone; NULL: one. */
    uint32_t (*grid)(const ct_args *);
    /* The __global__ wrappers by dtype; NULL where there is none. */
    const void *function[N_DTYPES];
    /* Dynamic shared memory of a block, at most 48 KB. */
    uint32_t shared_bytes[N_DTYPES];
    /* Dtypes (a bit each) in which the group kernel holds its body too. */
    uint32_t groups;
} ct_cuda_kernel;

#define CT_KERNEL(name) extern const ct_cuda_kernel ct_cuda_##name;
#include "../kernels.def"
#undef CT_KERNEL

/* In table.cu, by ct_kernel_id. */
extern const ct_cuda_kernel *const ct_cuda_kernels[CT_KERNEL_COUNT];

/* Shared memory that finding the last block takes. */
#define CT_TURN_BYTES 16

/* Independent launches in one grid: the blocks of the first, then those of the second... Behind them a
 * tail of one block, which may depend on all of them: the block that ends last goes on with it. */
typedef struct ct_group {
    uint32_t n, blocks; /* members, and blocks of them all */
    uint32_t has_tail, reserved;
    ct_args args[CT_GROUP_LIMIT + 1]; /* the tail is args[n] */
} ct_group;

/* In group.cu: void(ct_group), a grid of `blocks`. Its shared memory is the most that any of them wants. */
extern const void *const ct_cuda_group;

/* In gemm.cu: void(ct_args), what follows a product that a library left in C. */
extern const void *const ct_cuda_gemm_epilogue[N_DTYPES];
uint32_t ct_cuda_gemm_epilogue_blocks(const ct_args *);

/* Scalars that change before a play, as arguments: copied at the launch, so nothing to race with. */
#define CT_SCALARS_A_LAUNCH 64
typedef struct ct_scalar_batch {
    ct_scalar *table;
    uint32_t n, slot[CT_SCALARS_A_LAUNCH];
    ct_scalar value[CT_SCALARS_A_LAUNCH];
} ct_scalar_batch;

/* In scalars.cu: void(ct_scalar_batch), one block. */
extern const void *const ct_cuda_set_scalars;

/* In hold.cu: void(ct_hold_time), one block that lasts about so long. */
typedef struct ct_hold_time {
    uint32_t microseconds;
} ct_hold_time;
extern const void *const ct_cuda_hold;

#ifdef __cplusplus
}
#endif
#endif

/* The group kernel: up to CT_GROUP_LIMIT launches that do not depend on each other, in one grid.
 *
 * The blocks of its members follow each other, and each runs the body that the member's own
 * kernel would: the same blocks, so the same bits. A tail that is one block saves a launch: it is run by
 * the block that ends last, which sees what the others wrote. What the kernel holds is what a training step has
 * side by side: products, sums for a bias, updates, rings and counters, in f32: f64 is for checking,
 * and its bodies would cost all others registers. The `groups` of a kernel's table entry say so.
 */
#include "gemm.cuh"
#include "pair_loss.cuh"
#include "random.cuh"
#include "reduce.cuh"
#include "update.cuh"

static __device__ __forceinline__ void member_body(const ct_args &a, uint32_t block, void *shared)
{
#define BODY(kernel, dtype) (CT_KERNEL_##kernel * N_DTYPES + dtype)
    switch (a.kernel * N_DTYPES + a.dtype) {
    case BODY(gemm, F32): gemm_body<float>(a, block, shared); break;
    case BODY(reduce_columns, F32): reduce_columns_body<float>(a, block, shared); break;
    case BODY(reduce_all, F32): reduce_all_body<float>(a, block, shared); break;
    case BODY(mse_loss, F32): mse_loss_body<float>(a, block, shared); break;
    case BODY(sgd, F32): sgd_body<float>(a, block, shared); break;
    case BODY(adam, F32): adam_body<float>(a, block, shared); break;
    case BODY(append, F32): append_body<uint32_t>(a, block, shared); break;
    case BODY(advance, I64): advance_body(a, block, shared); break;
    }
#undef BODY
}

/* A block of the grid is one virtual block: a loop over them would cost the bodies registers. */
extern "C" __global__ void __launch_bounds__(CT_THREADS, 2) ct_group_launch(const __grid_constant__ ct_group group)
{
    uint32_t member = 0, block = blockIdx.x;
    while (block >= group.args[member].blocks) block -= group.args[member++].blocks;
    /* One call, for the member and then for the tail: the bodies are there once. */
    for (;; member = group.n, block = 0) {
        member_body(group.args[member], block, ct_shared);
        if (member == group.n || !group.has_tail) break;
        if (!ct_ends_last(group.args[group.n].ticket, group.blocks, ct_shared)) break;
    }
}

extern "C" const void *const ct_cuda_group = CT_ENTRY(ct_group_launch);

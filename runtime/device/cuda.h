/* Inside the CUDA module: the device, its errors, and the programs made for it.
 *
 * The module links nothing of the core: it gets its host memory through the request that
 * opened it, and knows tensors and ops only as launches.
 */
#ifndef CUTAPE_DEVICE_CUDA_H
#define CUTAPE_DEVICE_CUDA_H

#include "device/cublaslt.h"
#include "device/device.h"

#include <cuda_runtime_api.h>

#define CT_STAGING_CHUNKS 4

/* Pinned memory between the caller's and the device's: a copy returns once it has been staged. */
typedef struct ct_staging {
    char *memory;
    cudaEvent_t free[CT_STAGING_CHUNKS]; /* passed when the chunk may be used again */
} ct_staging;

typedef struct cuda_device {
    ct_device base;
    ct_context *ctx; /* for alloc and release of host memory */
    void *(*alloc)(ct_context *, size_t bytes);
    void (*release)(ct_context *, void *);
    int index;
    bool eager, own_stream;
    cudaStream_t stream;  /* what work is ordered on                  */
    cudaStream_t capture; /* of our own: where graphs are captured    */
    cudaStream_t side;    /* of our own: the second of two branches   */
    cudaEvent_t fork, join;
    float flops_a_ns, bytes_a_ns; /* of the card, about               */
    uint32_t most_blocks;         /* of a grid; the rest is looped over       */
    ct_staging staging;
    ct_cublaslt *library; /* of large products */
    /* For cuda_timed.c: */
    cudaEvent_t *events; /* one, and two a launch              */
    uint32_t n_events;
    cudaGraphNode_t *seen; /* nodes of the capture under way   */
    size_t n_seen, events_capacity, seen_capacity;
    int (*node_id)(cudaGraphNode_t, uint64_t *); /* of CUPTI; NULL: not to be had */
    bool looked_for_cupti;
} cuda_device;

/* Says what failed, in base.message. CT_ERR_MEMORY if it was device memory, else CT_ERR_DEVICE. */
ct_status ct_cuda_failed(cuda_device *, const char *call, cudaError_t);

/* Returns from the calling function if the call fails. */
#define CT_TRY(device, call)                                                                                           \
    do {                                                                                                               \
        const cudaError_t error_ = (call);                                                                             \
        if (error_ != cudaSuccess) return ct_cuda_failed(device, #call, error_);                                       \
    } while (0)

/* In cuda_program.c; with the device current. */
ct_status ct_cuda_prepare(cuda_device *, ct_code *);
void ct_cuda_retire(cuda_device *, ct_code *);
ct_status ct_cuda_play(cuda_device *, ct_code *, int64_t n, const ct_scalar_change *, uint32_t n_changes);
ct_status ct_cuda_play_launch(cuda_device *, ct_code *, uint32_t i);
ct_status ct_cuda_out_of_memory(cuda_device *); /* of the host */
/* The one place where a kernel is launched. */
cudaError_t ct_cuda_launch_kernel(const void *function, void *argument, uint32_t grid, uint32_t shared_bytes,
                                  cudaStream_t);
/* Any kernel, for the first time: tells whether there is code for this card. */
ct_status ct_cuda_try_kernel(cuda_device *);

/* In cuda_names.c: tells the tool that looks on, if there is one. */
void ct_cuda_name_streams(const cuda_device *);

/* In cuda_timed.c; with the device current. */
ct_status ct_cuda_play_timed(cuda_device *, ct_code *, ct_launch_time *);
ct_status ct_cuda_capture_range(cuda_device *, bool open);
void ct_cuda_timed_close(cuda_device *);
/* A capture begins; and what it got since it was last asked is the work of a node of ours. */
void ct_cuda_capture_begins(cuda_device *);
void ct_cuda_number_nodes(cuda_device *, ct_code *, uint32_t node, cudaStream_t);

#endif

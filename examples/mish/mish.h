/* mish(x) = x tanh(log(1 + e^x)), an op that cutape does not have, added from outside: its CPU function and
 * gradient rule are in op.c, its CUDA kernels in mish.cu. */
#ifndef MISH_H
#define MISH_H

#include <cutape/cutape.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Adds the op to a context. `cuda` is mish_cuda, or NULL where there is no CUDA. */
ct_status mish_register(ct_context *ctx, int (*cuda)(const ct_op_call *, void *), ct_op_handle *out);

/* Launches it on a cudaStream_t; a cudaError_t. */
int mish_cuda(const ct_op_call *call, void *stream);

#ifdef __cplusplus
}
#endif

#endif

/* Large matrix products by cuBLASLt, for the CUDA device: from about 32 million multiply-adds on,
 * where the library is there and has an algorithm of one kernel. Everything else, and
 * everything if it is not, is our own GEMM.
 *
 * The library is opened by the first product that wants it, as that takes long; a product is
 * prepared once, with the addresses it will have, and then only launched.
 */
#ifndef CUTAPE_DEVICE_CUBLASLT_H
#define CUTAPE_DEVICE_CUBLASLT_H

#include "args.h"
#include "core/context.h"

#include <cuda_runtime_api.h>

struct cuda_device;
typedef struct ct_cublaslt ct_cublaslt; /* one a device: the library, its handle, a workspace */
typedef struct ct_product ct_product;

/* math: CT_MATH_*. Opens nothing yet. */
ct_status ct_cublaslt_open(struct cuda_device *, int32_t math, ct_cublaslt **out);
void ct_cublaslt_close(ct_cublaslt *);

/* The product of a gemm's args, which are copied. *out is NULL if our own GEMM is to be used: for a
 * small product, and whatever fails here. The error is one that stands in the device. Not during
 * a capture; `capture` is a stream to try captures on. */
cudaError_t ct_product_make(ct_cublaslt *, const ct_args *, cudaStream_t capture, ct_product **out);
void ct_product_free(ct_cublaslt *, ct_product *);
/* Products that may run at the same time have lanes of their own, each with its workspace. */
#define CT_LANES 2
cudaError_t ct_product_run(const ct_product *, cudaStream_t, int lane);
/* Is the epilogue left to ct_cuda_gemm_epilogue, as a launch behind the product? */
bool ct_product_needs_epilogue(const ct_product *);

#endif

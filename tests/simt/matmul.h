/* One product of cuBLASLt as it is run: column-major, D = epilogue(alpha op(A) op(B) + beta C). */
#ifndef SIMT_MATMUL_H
#define SIMT_MATMUL_H

#include "cublasLt.h"

namespace simt
{

/* Of matrix i of a batch, column j begins at memory + i * step + j * ld. */
struct Matrix {
    cudaDataType type;
    uint64_t rows, cols;
    int64_t ld;
    int32_t batch;
    int64_t step;
};

struct Matmul {
    cublasComputeType_t compute;
    int32_t transpose_a, transpose_b;
    uint32_t epilogue;
    const void *bias; /* [rows of D] */
    Matrix a, b, c, d;
    const void *A, *B, *C;
    void *D;
    double alpha, beta;
};

size_t element_bytes(cudaDataType);
/* From the first element to behind the last one. */
size_t bytes_of(const Matrix &);

void run_matmul(const Matmul &);

} // namespace simt

#endif

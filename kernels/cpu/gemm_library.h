/* The matrix library, if the build found one: oneDNN, else CBLAS. f32 only. */
#ifndef CUTAPE_KERNELS_CPU_GEMM_LIBRARY_H
#define CUTAPE_KERNELS_CPU_GEMM_LIBRARY_H

#include <stdbool.h>
#include <stdint.h>

#if defined CT_HAVE_ONEDNN
#include <oneapi/dnnl/dnnl.h>
#elif defined CT_HAVE_CBLAS
#include <cblas.h>
#endif

/* From this many multiply-adds on its blocking for the caches pays for what a call costs: it
 * allocates its own buffers each time. */
#define CT_GEMM_LIBRARY_FROM ((int64_t)1 << 23)

/* C = op(A) op(B), row-major; false if there is no library, or the product is small. */
static inline bool ct_gemm_library_f32(bool ta, bool tb, int64_t m, int64_t n, int64_t k, const float *a, int64_t lda,
                                       const float *b, int64_t ldb, float *c, int64_t ldc)
{
    if (m * n * k < CT_GEMM_LIBRARY_FROM) return false;
#if defined CT_HAVE_ONEDNN
    return dnnl_sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', m, n, k, 1, a, lda, b, ldb, 0, c, ldc) == dnnl_success;
#elif defined CT_HAVE_CBLAS
    if (m > INT32_MAX || n > INT32_MAX || k > INT32_MAX || lda > INT32_MAX || ldb > INT32_MAX || ldc > INT32_MAX)
        return false;
    cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, (int)m, (int)n, (int)k,
                1, a, (int)lda, b, (int)ldb, 0, c, (int)ldc);
    return true;
#else
    (void)ta, (void)tb, (void)a, (void)lda, (void)b, (void)ldb, (void)c, (void)ldc;
    return false;
#endif
}

static inline bool ct_gemm_library_f64(bool ta, bool tb, int64_t m, int64_t n, int64_t k, const double *a, int64_t lda,
                                       const double *b, int64_t ldb, double *c, int64_t ldc)
{
    (void)ta, (void)tb, (void)m, (void)n, (void)k, (void)a, (void)lda, (void)b, (void)ldb, (void)c, (void)ldc;
    return false;
}

#endif

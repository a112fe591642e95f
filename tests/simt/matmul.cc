/* The arithmetic of cuBLASLt's products. The order of the sums follows from the seed, as the
 * library leaves it open; the fast modes round what they multiply; C is not read where beta is 0.
 */
#include "matmul.h"

#include "random.h"

#include <cmath>
#include <cstring>
#include <vector>

namespace simt
{

size_t element_bytes(cudaDataType type) { return type == CUDA_R_64F ? 8 : 4; }

size_t bytes_of(const Matrix &m)
{
    const int64_t last = (m.batch - 1) * m.step + (int64_t(m.cols) - 1) * m.ld + int64_t(m.rows);
    return size_t(last) * element_bytes(m.type);
}

/* To the nearest value with `bits` fewer of the fraction, ties to even. */
static float round_off(float x, int bits)
{
    if (!std::isfinite(x)) return x;
    uint32_t word;
    memcpy(&word, &x, sizeof word);
    const uint32_t half = 1u << (bits - 1), odd = word >> bits & 1;
    word = (word + half - 1 + odd) >> bits << bits;
    memcpy(&x, &word, sizeof x);
    return x;
}

static float prepared(float x, cublasComputeType_t compute)
{
    if (compute == CUBLAS_COMPUTE_32F_FAST_TF32) return round_off(x, 13);
    if (compute == CUBLAS_COMPUTE_32F_FAST_16BF) return round_off(x, 16);
    return x;
}
static double prepared(double x, cublasComputeType_t) { return x; }

/* The rows of op(A), or the columns of op(B), one after the other: k elements each. */
template <class T>
static std::vector<T> pack(const T *from, int64_t ld, bool lines_are_columns, uint64_t lines, uint64_t k,
                           cublasComputeType_t compute)
{
    std::vector<T> packed(lines * k);
    const int64_t line_step = lines_are_columns ? ld : 1, step = lines_are_columns ? 1 : ld;
    for (uint64_t line = 0; line < lines; line++)
        for (uint64_t i = 0; i < k; i++)
            packed[line * k + i] = prepared(from[int64_t(line) * line_step + int64_t(i) * step], compute);
    return packed;
}

/* Σ x y in `lanes` sums, which are then added. */
template <class T, int lanes> static T dot(const T *x, const T *y, uint64_t k)
{
    T sums[lanes] = {};
    uint64_t i = 0;
    for (; i + lanes <= k; i += lanes)
        for (int lane = 0; lane < lanes; lane++) sums[lane] += x[i + uint64_t(lane)] * y[i + uint64_t(lane)];
    for (; i < k; i++) sums[0] += x[i] * y[i];
    for (int lane = 1; lane < lanes; lane++) sums[0] += sums[lane];
    return sums[0];
}

template <class T> static T ordered_dot(const T *x, const T *y, uint64_t k)
{
    switch (seed() % 3) {
    case 0: return dot<T, 4>(x, y, k);
    case 1: return dot<T, 8>(x, y, k);
    default: return dot<T, 16>(x, y, k);
    }
}

template <class T> static T finished(const Matmul &p, T value, uint64_t row)
{
    if (p.epilogue & CUBLASLT_EPILOGUE_BIAS) value += static_cast<const T *>(p.bias)[row];
    if (p.epilogue & CUBLASLT_EPILOGUE_RELU) value = value < T(0) ? T(0) : value;
    return value;
}

template <class T> static void run_one(const Matmul &p, int64_t batch)
{
    const T *A = static_cast<const T *>(p.A) + batch * p.a.step, *B = static_cast<const T *>(p.B) + batch * p.b.step;
    const T *C = static_cast<const T *>(p.C) + batch * p.c.step;
    T *D = static_cast<T *>(p.D) + batch * p.d.step;
    const uint64_t m = p.d.rows, n = p.d.cols, k = p.transpose_a ? p.a.rows : p.a.cols;
    const std::vector<T> a = pack(A, p.a.ld, p.transpose_a == CUBLAS_OP_T, m, k, p.compute);
    const std::vector<T> b = pack(B, p.b.ld, p.transpose_b == CUBLAS_OP_N, n, k, p.compute);
    for (uint64_t j = 0; j < n; j++)
        for (uint64_t i = 0; i < m; i++) {
            T value = T(p.alpha) * ordered_dot(&a[i * k], &b[j * k], k);
            if (p.beta != 0) value += T(p.beta) * C[int64_t(i) + int64_t(j) * p.c.ld];
            D[int64_t(i) + int64_t(j) * p.d.ld] = finished(p, value, i);
        }
}

void run_matmul(const Matmul &p)
{
    for (int64_t batch = 0; batch < p.d.batch; batch++)
        p.d.type == CUDA_R_64F ? run_one<double>(p, batch) : run_one<float>(p, batch);
}

} // namespace simt

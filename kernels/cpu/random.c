/* Random kernels: see kernels/philox.h for the bits.
 *
 * p: y, step counter (i64), x.  n: elements.  i: seed, number of the random record.
 * Four f32 elements, or two f64, share a Philox block, so that element i has the same
 * bits wherever it is computed.
 */
#include "cpu.h"

#include "../philox.h"

static inline ct_bits4 bits_at(const ct_args *a, int64_t group)
{
    return ct_philox(ct_random_key((uint64_t)a->i[0], (uint64_t)a->i[1]), (uint64_t)group,
                     (uint64_t) * (const int64_t *)a->p[1]);
}

/* y = x / (1 - p) where the word is at least p 2^32, else 0. */
#define DROPOUT(T, suffix, field)                                                                                      \
    static void dropout_##suffix(const ct_args *a, uint32_t first, uint32_t last)                                      \
    {                                                                                                                  \
        const T *x = a->p[2], scale = a->scalar[1].field;                                                              \
        T *y = a->p[0];                                                                                                \
        const uint64_t threshold = (uint64_t)(a->scalar[0].f64 * 0x1p32);                                              \
        int64_t i = ct_first_element(first), end = ct_last_element(last, a->n);                                        \
        while (i < end) {                                                                                              \
            ct_bits4 bits = bits_at(a, i / 4);                                                                         \
            for (int64_t stop = ct_min(i + 4, end); i < stop; i++)                                                     \
                y[i] = bits.word[i & 3] >= threshold ? x[i] * scale : 0;                                               \
        }                                                                                                              \
    }
DROPOUT(float, f32, f32)
DROPOUT(double, f64, f64)

static void rand_f32(const ct_args *a, uint32_t first, uint32_t last)
{
    float *y = a->p[0];
    int64_t i = ct_first_element(first), end = ct_last_element(last, a->n);
    while (i < end) {
        ct_bits4 bits = bits_at(a, i / 4);
        for (int64_t stop = ct_min(i + 4, end); i < stop; i++) y[i] = ct_uniform_f32(bits.word[i & 3]);
    }
}

static void rand_f64(const ct_args *a, uint32_t first, uint32_t last)
{
    double *y = a->p[0];
    for (int64_t i = ct_first_element(first), end = ct_last_element(last, a->n); i < end; i++) {
        ct_bits4 bits = bits_at(a, i / 2);
        y[i] = ct_uniform_f64(bits.word[2 * (i & 1)], bits.word[2 * (i & 1) + 1]);
    }
}

/* Elements 4g..4g+3 are two pairs of normals; in f64, 2g and 2g+1 one pair. */
static void randn_f32(const ct_args *a, uint32_t first, uint32_t last)
{
    float *y = a->p[0];
    int64_t i = ct_first_element(first), end = ct_last_element(last, a->n);
    while (i < end) {
        ct_bits4 bits = bits_at(a, i / 4);
        double normal[4];
        for (int j = 0; j < 4; j += 2)
            ct_normal_pair(bits.word[j] * 0x1p-32, bits.word[j + 1] * 0x1p-32, &normal[j], &normal[j + 1]);
        for (int64_t stop = ct_min(i + 4, end); i < stop; i++) y[i] = (float)normal[i & 3];
    }
}

static void randn_f64(const ct_args *a, uint32_t first, uint32_t last)
{
    double *y = a->p[0];
    int64_t i = ct_first_element(first), end = ct_last_element(last, a->n);
    while (i < end) {
        ct_bits4 bits = bits_at(a, i / 2);
        double normal[2];
        ct_normal_pair(ct_uniform_f64(bits.word[0], bits.word[1]), ct_uniform_f64(bits.word[2], bits.word[3]),
                       &normal[0], &normal[1]);
        for (int64_t stop = ct_min(i + 2, end); i < stop; i++) y[i] = normal[i & 1];
    }
}

/* p: counter. Once, at the end of a step that drew random numbers. */
static void advance_i64(const ct_args *a, uint32_t first, uint32_t last)
{
    (void)first, (void)last;
    ++*(int64_t *)a->p[0];
}

#define BOTH(name)                                                                                                     \
    {                                                                                                                  \
        [F32] = name##_f32, [F64] = name##_f64                                                                         \
    }
const ct_cpu_kernel CT_CPU(dropout) = {.grid = ct_grid_elements, .body = BOTH(dropout)};
const ct_cpu_kernel CT_CPU(rand) = {.grid = ct_grid_elements, .body = BOTH(rand)};
const ct_cpu_kernel CT_CPU(randn) = {.grid = ct_grid_elements, .body = BOTH(randn)};
const ct_cpu_kernel CT_CPU(advance) = {.body = {[I64] = advance_i64}};

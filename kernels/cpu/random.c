/* Random kernels: see kernels/philox.h for the bits.
 *
 * p: y, step counter (i64), x.  n: elements.  i: seed, number of the random record.
 * Four f32 elements, or two f64, share a Philox block, so that element i has the same
 * bits wherever it is computed. What threads share out is whole blocks.
 */
#include "cpu.h"

#include "../philox.h"

/* ct_philox of BLOCKS counters that follow one another, word by word: the rounds of all are vectors. */
#define BLOCKS 32
#define WORDS (4 * BLOCKS)
static void words_at(const ct_args *a, int64_t group, uint32_t *words)
{
    const uint64_t key = ct_random_key((uint64_t)a->i[0], (uint64_t)a->i[1]),
                   step = (uint64_t) * (const int64_t *)a->p[1];
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32), c[4][BLOCKS];
    for (int j = 0; j < BLOCKS; j++) {
        const uint64_t counter = (uint64_t)group + (uint64_t)j;
        c[0][j] = (uint32_t)counter;
        c[1][j] = (uint32_t)(counter >> 32);
        c[2][j] = (uint32_t)step;
        c[3][j] = (uint32_t)(step >> 32);
    }
    for (int round = 0; round < CT_PHILOX_ROUNDS; round++) {
        for (int j = 0; j < BLOCKS; j++) ct_philox_round(&c[0][j], &c[1][j], &c[2][j], &c[3][j], k0, k1);
        k0 += CT_PHILOX_KEY_0;
        k1 += CT_PHILOX_KEY_1;
    }
    for (int j = 0; j < BLOCKS; j++)
        for (int word = 0; word < 4; word++) words[4 * j + word] = c[word][j];
}

/* y = x / (1 - p) where the word is at least p 2^32, else 0. */
#define DROPOUT(T, suffix, field)                                                                                      \
    static void dropout_##suffix(const ct_args *a, uint32_t first, uint32_t last)                                      \
    {                                                                                                                  \
        const T *x = a->p[2], scale = a->scalar[1].field;                                                              \
        T *y = a->p[0];                                                                                                \
        const uint64_t threshold = (uint64_t)(a->scalar[0].f64 * 0x1p32);                                              \
        const bool none = threshold > UINT32_MAX;                                                                      \
        const uint32_t least = (uint32_t)threshold;                                                                    \
        uint32_t words[WORDS];                                                                                         \
        for (int64_t i = ct_first_element(first), end = ct_last_element(last, a->n); i < end; i += WORDS) {            \
            words_at(a, i / 4, words);                                                                                 \
            for (int64_t j = 0, count = ct_min(WORDS, end - i); j < count; j++)                                        \
                y[i + j] = !none & (words[j] >= least) ? x[i + j] * scale : 0;                                         \
        }                                                                                                              \
    }
DROPOUT(float, f32, f32)
DROPOUT(double, f64, f64)

static void rand_f32(const ct_args *a, uint32_t first, uint32_t last)
{
    float *y = a->p[0];
    uint32_t words[WORDS];
    for (int64_t i = ct_first_element(first), end = ct_last_element(last, a->n); i < end; i += WORDS) {
        words_at(a, i / 4, words);
        for (int64_t j = 0, count = ct_min(WORDS, end - i); j < count; j++) y[i + j] = ct_uniform_f32(words[j]);
    }
}

static void rand_f64(const ct_args *a, uint32_t first, uint32_t last)
{
    double *y = a->p[0];
    uint32_t words[WORDS];
    for (int64_t i = ct_first_element(first), end = ct_last_element(last, a->n); i < end; i += WORDS / 2) {
        words_at(a, i / 2, words);
        for (int64_t j = 0, count = ct_min(WORDS / 2, end - i); j < count; j++)
            y[i + j] = ct_uniform_f64(words[2 * j], words[2 * j + 1]);
    }
}

/* Two words, or in f64 four, make two elements. */
static void randn_f32(const ct_args *a, uint32_t first, uint32_t last)
{
    float *y = a->p[0];
    uint32_t words[WORDS];
    double normal[2][WORDS / 2];
    for (int64_t i = ct_first_element(first), end = ct_last_element(last, a->n); i < end; i += WORDS) {
        words_at(a, i / 4, words);
        const int64_t count = ct_min(WORDS, end - i);
        for (int64_t j = 0; 2 * j < count; j++)
            ct_normal_pair(words[2 * j] * 0x1p-32, words[2 * j + 1] * 0x1p-32, &normal[0][j], &normal[1][j]);
        for (int64_t j = 0; j < count; j++) y[i + j] = (float)normal[j & 1][j / 2];
    }
}

static void randn_f64(const ct_args *a, uint32_t first, uint32_t last)
{
    double *y = a->p[0];
    uint32_t words[WORDS];
    double normal[2][WORDS / 4];
    for (int64_t i = ct_first_element(first), end = ct_last_element(last, a->n); i < end; i += WORDS / 2) {
        words_at(a, i / 2, words);
        const int64_t count = ct_min(WORDS / 2, end - i);
        for (int64_t j = 0; 2 * j < count; j++) {
            const uint32_t *w = &words[4 * j];
            ct_normal_pair(ct_uniform_f64(w[0], w[1]), ct_uniform_f64(w[2], w[3]), &normal[0][j], &normal[1][j]);
        }
        for (int64_t j = 0; j < count; j++) y[i + j] = normal[j & 1][j / 2];
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

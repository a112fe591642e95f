/* Philox4x32-10 (Salmon et al., SC'11) and what is drawn from it, for every device.
 *
 * All of it is exact integer arithmetic, or floating point in a fixed order with
 * explicit fma: the same bits everywhere. A file that includes this is compiled
 * without contraction.
 */
#ifndef CUTAPE_KERNELS_PHILOX_H
#define CUTAPE_KERNELS_PHILOX_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef __CUDACC__
#define CT_INLINE __device__ __forceinline__
#else
#define CT_INLINE static inline
#endif

typedef struct ct_bits4 {
    uint32_t word[4];
} ct_bits4;

/* A round of the four words of a block, with its keys. */
CT_INLINE void ct_philox_round(uint32_t *c0, uint32_t *c1, uint32_t *c2, uint32_t *c3, uint32_t k0, uint32_t k1)
{
    const uint64_t a = (uint64_t)0xD2511F53u * *c0, b = (uint64_t)0xCD9E8D57u * *c2;
    *c0 = (uint32_t)(b >> 32) ^ *c1 ^ k0;
    *c1 = (uint32_t)b;
    *c2 = (uint32_t)(a >> 32) ^ *c3 ^ k1;
    *c3 = (uint32_t)a;
}
#define CT_PHILOX_ROUNDS 10
#define CT_PHILOX_KEY_0 0x9E3779B9u /* what a round adds to its keys */
#define CT_PHILOX_KEY_1 0xBB67AE85u

CT_INLINE ct_bits4 ct_philox(uint64_t key, uint64_t counter_low, uint64_t counter_high)
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    ct_bits4 c = {
        {(uint32_t)counter_low, (uint32_t)(counter_low >> 32), (uint32_t)counter_high, (uint32_t)(counter_high >> 32)}};
    for (int round = 0; round < CT_PHILOX_ROUNDS; round++) {
        ct_philox_round(&c.word[0], &c.word[1], &c.word[2], &c.word[3], k0, k1);
        k0 += CT_PHILOX_KEY_0;
        k1 += CT_PHILOX_KEY_1;
    }
    return c;
}

/* The key of random record k: the seed, with k mixed in (splitmix64's finaliser). */
CT_INLINE uint64_t ct_random_key(uint64_t seed, uint64_t k)
{
    uint64_t x = seed + (k + 1) * 0x9E3779B97F4A7C15u;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

/* [0, 1) */
CT_INLINE float ct_uniform_f32(uint32_t bits) { return (float)(bits >> 8) * 0x1p-24f; }
CT_INLINE double ct_uniform_f64(uint32_t high, uint32_t low)
{
    return (double)(((uint64_t)high << 32 | low) >> 11) * 0x1p-53;
}

/* ln x for a normal x > 0: x = 2^e m with m near 1, and 2 atanh((m-1)/(m+1)) as a series. */
CT_INLINE double ct_exact_log(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int64_t e = (int64_t)(bits >> 52) - 1023;
    bits = (bits & 0xFFFFFFFFFFFFFu) | 0x3FF0000000000000u;
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 1.4142135623730951) {
        m = m * 0.5;
        e = e + 1;
    }
    double s = (m - 1) / (m + 1), z = s * s, sum = 0;
    for (int n = 23; n >= 1; n -= 2) sum = fma(sum, z, 2.0 / n);
    return fma((double)e, 0.693147180559945309417, s * sum);
}

/* cos and sin of 2 pi u for u in [0, 1), by octants and Taylor polynomials on [0, pi/4]. */
CT_INLINE void ct_exact_sincos(double u, double *sine, double *cosine)
{
    double t = u * 8;
    int octant = (int)t;
    double f = t - octant;
    if (octant & 1) f = 1 - f;
    double x = f * 0.785398163397448309616, z = x * x;
    double s = 0, c = 0;
    for (int n = 17; n >= 3; n -= 2) s = fma(s, -z / (n * (n - 1)), 1.0);
    for (int n = 18; n >= 2; n -= 2) c = fma(c, -z / (n * (n - 1)), 1.0);
    s = s * x;
    if (((octant + 1) >> 1) & 1) {
        double swap = s;
        s = c;
        c = swap;
    }
    *sine = octant >= 4 ? -s : s;
    *cosine = octant >= 2 && octant < 6 ? -c : c;
}

/* Two standard normals from two uniforms (Box and Muller). */
CT_INLINE void ct_normal_pair(double u, double v, double *a, double *b)
{
    double radius = sqrt(-2 * ct_exact_log(1 - u)), sine, cosine;
    ct_exact_sincos(v, &sine, &cosine);
    *a = radius * cosine;
    *b = radius * sine;
}

/* A keyed bijection on [0, n): a Feistel network on the next even power of two, walked
 * until it lands inside. So an epoch is shuffled with no sort and no table. */

/* Half the bits of that power. */
CT_INLINE int ct_shuffle_half(uint64_t n)
{
    int half = 1;
    while (half < 31 && ((uint64_t)1 << 2 * half) < n) half++;
    return half;
}

/* One step of the walk. */
CT_INLINE uint64_t ct_shuffle_step(uint64_t index, int half, uint64_t key)
{
    const uint32_t mask = (uint32_t)(((uint64_t)1 << half) - 1);
    uint32_t left = (uint32_t)(index >> half) & mask, right = (uint32_t)index & mask;
    for (uint32_t round = 0; round < 6; round++) {
        uint64_t x = ((uint64_t)round << 32 | right) * 0x9E3779B97F4A7C15u + key;
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
        x = (x ^ x >> 27) * 0x94D049BB133111EBu;
        uint32_t next = left ^ ((uint32_t)(x >> 31) & mask);
        left = right;
        right = next;
    }
    return (uint64_t)left << half | right;
}

CT_INLINE uint64_t ct_shuffled(uint64_t index, uint64_t n, uint64_t key)
{
    const int half = ct_shuffle_half(n);
    do {
        index = ct_shuffle_step(index, half, key);
    } while (index >= n);
    return index;
}

#endif

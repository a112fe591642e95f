/* f32 functions that the compiler can vectorise, and which function M(name) means.
 *
 * exp, tanh and erf are what activations and losses spend their time in, and a call of
 * the C library for every element would cost ten times the product before it. exp
 * and tanh are within 1.5 ulp, erf within 3. The others, and all of f64, are the C library's.
 * Polynomials: Moshier, Cephes (expf, tanhf).
 */
#ifndef CUTAPE_KERNELS_CPU_VMATH_H
#define CUTAPE_KERNELS_CPU_VMATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* A call inside a loop keeps the loop from being vectorised. */
#define CT_ALWAYS_INLINE static inline __attribute__((always_inline))

CT_ALWAYS_INLINE float ct_float_of(int32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

CT_ALWAYS_INLINE int32_t ct_bits_of(float f)
{
    int32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

/* e^x = 2^n e^r with |r| <= ln 2 / 2. 2^n is applied as two factors, so that results
 * below the normal range round once and those above it become infinite. */
CT_ALWAYS_INLINE float ct_exp_f32(float x)
{
    const float magic = 0x1.8p23f; /* adding it rounds to an integer in the low bits */
    float clamped = x > 89.0f ? 89.0f : x;
    clamped = clamped < -104.0f ? -104.0f : clamped;
    const float shifted = clamped * 1.44269504088896341f + magic, n = shifted - magic;
    const float r = (clamped - n * 0.693359375f) - n * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    const int32_t whole = x != x ? 0 : ct_bits_of(shifted) - ct_bits_of(magic), half = whole >> 1;
    const float y = p * ct_float_of((half + 127) << 23) * ct_float_of((whole - half + 127) << 23);
    return x != x ? x : y;
}

/* An odd polynomial near zero, else 1 - 2 / (e^2|x| + 1) with the sign of x. */
CT_ALWAYS_INLINE float ct_tanh_f32(float x)
{
    const float z = x * x, a = fabsf(x);
    float p = -5.70498872745e-3f;
    p = p * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    const float near = p * z * x + x;
    const float far = copysignf(1.0f - 2.0f / (ct_exp_f32(a + a) + 1.0f), x);
    return a < 0.625f ? near : x != x ? x : far;
}

/* An odd polynomial below 0.875, else 1 - e^-q(|x|) with the sign of x; q fits -ln erfc on
 * [0.85, 4], beyond which erf is 1 in f32. Chebyshev fits, made for this file. */
CT_ALWAYS_INLINE float ct_erf_f32(float x)
{
    const float z = x * x, a = fabsf(x) > 4.0f ? 4.0f : fabsf(x);
    float p = 8.534120655e-05f;
    p = p * z - 8.180780893e-04f;
    p = p * z + 5.204331584e-03f;
    p = p * z - 2.686070896e-02f;
    p = p * z + 1.128371889e-01f;
    p = p * z - 3.761263525e-01f;
    const float near = p * z * x + 1.128379167e+00f * x;
    float q = -1.598885607e-06f;
    q = q * a + 4.528259186e-05f;
    q = q * a - 5.901029303e-04f;
    q = q * a + 4.727392372e-03f;
    q = q * a - 2.632728604e-02f;
    q = q * a + 1.099106098e-01f;
    q = q * a + 6.320108227e-01f;
    q = q * a + 1.130122448e+00f;
    q = q * a - 2.920567379e-04f;
    const float far = copysignf(1.0f - ct_exp_f32(-q), x);
    return a < 0.875f ? near : x != x ? x : far;
}

#define CT_F32_exp ct_exp_f32
#define CT_F32_tanh ct_tanh_f32
#define CT_F32_expm1 expm1f
#define CT_F32_log logf
#define CT_F32_log1p log1pf
#define CT_F32_sqrt sqrtf
#define CT_F32_fabs fabsf
#define CT_F32_sin sinf
#define CT_F32_cos cosf
#define CT_F32_erf ct_erf_f32
#define CT_F32_pow powf

#endif

/* Data made of nothing, for machines that have none: points on three spiral arms, blurred a little. A
 * straight line cannot tell them apart; a small network can. */
#include "data.h"

#include <math.h>

static const double turn = 4.0; /* radians that an arm winds from the centre outwards, and between two arms */
static const double blur = 0.2; /* standard deviation of the angle, radians */

/* splitmix64: every seed is a good one. */
static uint64_t next_bits(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Uniform in (0, 1). */
static double next_uniform(uint64_t *state) { return ((double)(next_bits(state) >> 12) + 0.5) * 0x1p-52; }

/* Normal with mean 0 and variance 1, by Box and Muller. */
static double next_normal(uint64_t *state)
{
    double radius = sqrt(-2.0 * log(next_uniform(state)));
    return radius * cos(6.283185307179586 * next_uniform(state));
}

void spirals_generate(uint64_t seed, int64_t n, float *xy, int32_t *label)
{
    uint64_t state = seed;
    for (int64_t i = 0; i < n; i++) {
        int32_t arm = (int32_t)(i % SPIRALS);
        double radius = next_uniform(&state);
        double angle = turn * (arm + radius) + blur * next_normal(&state);
        xy[2 * i] = (float)(radius * sin(angle));
        xy[2 * i + 1] = (float)(radius * cos(angle));
        label[i] = arm;
    }
}

/* Random numbers from CT_SIMT_SEED: xorshift, as thread order needs many of them. */
#include "random.h"

#include "error.h"
#include "simt.h"

#include <cstdlib>

namespace simt
{

static uint64_t seed_from_environment()
{
    const char *text = getenv("CT_SIMT_SEED");
    return text ? strtoull(text, nullptr, 10) : 1;
}

/* Never zero, and seeds that are neighbours begin far apart. */
static uint64_t begin(uint64_t seed) { return (seed * 0x9e3779b97f4a7c15u) | 1; }

static uint64_t chosen = seed_from_environment(), state = begin(chosen);

uint64_t seed() { return chosen; }

uint32_t random_below(uint32_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return uint32_t(((state >> 32) * n) >> 32);
}

} // namespace simt

void simt_set_seed(uint64_t seed)
{
    const std::lock_guard<std::recursive_mutex> guard(simt::mutex);
    simt::chosen = seed;
    simt::state = simt::begin(seed);
}

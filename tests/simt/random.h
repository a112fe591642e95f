/* The one source of chance, so that a seed repeats a run. */
#ifndef SIMT_RANDOM_H
#define SIMT_RANDOM_H

#include <cstdint>

namespace simt
{

uint64_t seed();
/* Below n, which is not zero. */
uint32_t random_below(uint32_t n);

} // namespace simt

#endif

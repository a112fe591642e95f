// Draws a program from a seed. It keeps the rules of autograd and stays away from kinks, poles and
// large values, which it knows from the naive evaluator.
#ifndef CUTAPE_TESTS_FUZZ_GENERATE_H
#define CUTAPE_TESTS_FUZZ_GENERATE_H

#include "fuzz/program.h"

Program generate(uint64_t seed); // 5 to 60 statements

// Is it a program that generate() could have made? What the shrinker makes need not be.
bool sound(const Program &program);

#endif

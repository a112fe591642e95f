// Makes a failing program small: statements, roots and inputs go as long as it still fails.
#ifndef CUTAPE_TESTS_FUZZ_SHRINK_H
#define CUTAPE_TESTS_FUZZ_SHRINK_H

#include "fuzz/program.h"

#include <functional>

Program shrink(Program program, const std::function<bool(const Program &)> &fails);

#endif

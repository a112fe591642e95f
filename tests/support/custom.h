// Ops of the tests' own, on the CPU and on the stand-in for a GPU.
#ifndef CUTAPE_TESTS_CUSTOM_H
#define CUTAPE_TESTS_CUSTOM_H

#include "context.h"

typedef int Launcher(const ct_op_call *, void *stream);

// The launcher of that name in the stand-in; null on the CPU.
Launcher *find_launcher(const char *name);

// The example's op.
ct_op_handle add_mish(Context &ctx);

// f32: x -> (x * scalar, x + attribute), differentiable.
ct_op_config split_config();

ct_op_handle add_op(Context &ctx, const ct_op_config &config);

ct_tensor call(Context &ctx, ct_op_handle op, const std::vector<ct_tensor> &inputs);

// On a GPU there are no kernels for these ops; the example mish has its own.
#define SKIP_ON_GPU()                                                                                                  \
    if (devices().front().name == "cuda") GTEST_SKIP() << "the tests' own ops are not compiled for a GPU"

#endif

/* The table of this instruction set's kernels. */
#include "cpu.h"

const ct_cpu_kernel *const CT_CPU(kernels)[CT_KERNEL_COUNT] = {
#define CT_KERNEL(name) [CT_KERNEL_##name] = &CT_CPU(name),
#include "../kernels.def"
#undef CT_KERNEL
};

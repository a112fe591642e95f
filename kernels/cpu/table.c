/* The table of this instruction set's kernels. */
#include "cpu.h"

/* An op that the user added: the device calls its function on the blocks. */
const ct_cpu_kernel CT_CPU(custom) = {.grid = ct_grid_elements};

const ct_cpu_kernel *const CT_CPU(kernels)[CT_KERNEL_COUNT] = {
#define CT_KERNEL(name) [CT_KERNEL_##name] = &CT_CPU(name),
#include "../kernels.def"
#undef CT_KERNEL
};

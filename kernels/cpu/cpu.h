/* What a CPU kernel is, and what the files beside this one share.
 *
 * They are compiled once per instruction set (CT_ISA), under names of their own, and
 * the device takes the best table that the machine can run.
 */
#ifndef CUTAPE_KERNELS_CPU_H
#define CUTAPE_KERNELS_CPU_H

#include "../args.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct ct_cpu_kernel {
    /* Virtual blocks; disjoint ranges may run at once. NULL grid: one block. */
    uint32_t (*grid)(const ct_args *);
    /* Blocks [first, last), by dtype; NULL where there is none. */
    void (*body[N_DTYPES])(const ct_args *, uint32_t first, uint32_t last);
    /* What follows once all blocks are done: fixed-order sums, counters. */
    void (*finish[N_DTYPES])(const ct_args *);
} ct_cpu_kernel;

#define CT_PASTE(a, b) a##_##b
#define CT_PASTE2(a, b) CT_PASTE(a, b)
#define CT_CPU(name) CT_PASTE2(ct_cpu_##name, CT_ISA)

#define CT_KERNEL(name) extern const ct_cpu_kernel CT_CPU(name);
#include "../kernels.def"
#undef CT_KERNEL

extern const ct_cpu_kernel *const CT_CPU(kernels)[CT_KERNEL_COUNT];

/* Blocks of CT_BLOCK_ELEMENTS over n elements. */
static inline uint32_t ct_blocks_over(int64_t n) { return (uint32_t)((n + CT_BLOCK_ELEMENTS - 1) / CT_BLOCK_ELEMENTS); }
static inline uint32_t ct_grid_elements(const ct_args *a) { return ct_blocks_over(a->n); }
/* Of outputs that are counted by m and k. */
static inline uint32_t ct_grid_elements_m(const ct_args *a) { return ct_blocks_over(a->m * a->k); }
static inline int64_t ct_min(int64_t a, int64_t b) { return a < b ? a : b; }
/* The elements of blocks [first, last). */
static inline int64_t ct_first_element(uint32_t first) { return (int64_t)first * CT_BLOCK_ELEMENTS; }
static inline int64_t ct_last_element(uint32_t last, int64_t n) { return ct_min((int64_t)last * CT_BLOCK_ELEMENTS, n); }

#endif

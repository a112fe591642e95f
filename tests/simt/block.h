/* One block of a kernel: its threads as fibers, in an order by chance, and the places where they
 * wait for each other.
 */
#ifndef SIMT_BLOCK_H
#define SIMT_BLOCK_H

#include "cuda_runtime.h"

#include <string>

namespace simt
{

struct Kernel {
    std::string name;
    const void *function;
    size_t parameter_bytes;
    Invoke *invoke;
    bool launched; /* outside a capture, so that it is loaded */
};

/* Runs one block. cudaSuccess, or the fault that a thread made, after it was reported. */
cudaError_t run_block(const Kernel &, const void *parameter, unsigned index, unsigned threads);

/* For a report: the kernel, block and thread at work; "" outside. */
std::string where();
/* What runs outside of kernels, for the same purpose. */
void set_activity(const char *name);

} // namespace simt

#endif

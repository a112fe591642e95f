/* The two pretend devices. */
#ifndef SIMT_DEVICE_H
#define SIMT_DEVICE_H

#include <cstddef>

namespace simt
{

enum { DEVICES = 2, WARP_SIZE = 32, MAX_THREADS = 1024, MAX_SHARED_BYTES = 48 * 1024, MAX_GRID_X = 0x7fffffff };

int current_device();

/* Counts what simt_objects returns. */
extern size_t objects;

} // namespace simt

#endif

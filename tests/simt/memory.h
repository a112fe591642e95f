/* Device memory, with exact bounds and closed to the host, and pinned host memory. */
#ifndef SIMT_MEMORY_H
#define SIMT_MEMORY_H

#include <cstddef>
#include <string>

namespace simt
{

size_t memory_limit();

/* The host can touch device memory only between these; they nest. */
void open_memory();
void close_memory();

/* Bytes that look like an address of device memory, of the present or the past. */
bool is_device_address(const void *);
/* All of [p, p + bytes) in one live allocation of the device, or in one of any device (-1). */
bool is_device_memory(const void *p, size_t bytes, int device);
bool is_pinned_memory(const void *p, size_t bytes);

/* Whether the address lies in an allocation that was freed, or in one of another device. */
bool is_freed(const void *);
bool is_foreign(const void *, int device);

/* For reports: what the address is, or "". */
std::string describe(const void *);

/* Reports writes just outside of allocations; false if there was one. */
bool check_bounds();

} // namespace simt

#endif

/* The pool: every byte of device memory, in slabs from the device.
 *
 * Device-neutral: it never touches the memory, and keeps its books on the host.
 * Leaves take blocks (best fit, neighbours joined when needed, a freed block of
 * the same size reused last in first out); step arenas take slabs of their own.
 */
#ifndef CUTAPE_CORE_POOL_H
#define CUTAPE_CORE_POOL_H

#include "core/context.h"

#define CT_POOL_ALIGN 256

ct_status ct_pool_open(ct_context *);
void ct_pool_close(ct_context *);

/* A block of at least one byte, 256-byte aligned, contents undefined. CT_ERR_MEMORY
 * if the limit or the device forbids it; no error is set on the context. */
ct_status ct_pool_take(ct_context *, size_t bytes, void **out);
void ct_pool_give(ct_context *, void *memory);
/* Return to the device every slab that is wholly free. */
void ct_pool_trim(ct_context *);
/* CT_POOL_DEBUG=1: every block and every value is a device allocation of its own. */
bool ct_pool_debug(const ct_context *);
/* What the limit still allows; SIZE_MAX without one. */
size_t ct_pool_headroom(const ct_context *);

#endif

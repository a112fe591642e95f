/* The seam between the runtime and a device. Whatever runs programs implements this;
 * nothing above it knows which one it talks to.
 */
#ifndef CUTAPE_DEVICE_DEVICE_H
#define CUTAPE_DEVICE_DEVICE_H

#include "args.h"
#include "core/context.h"

/* One kernel launch of a program. */
typedef struct ct_launch {
    _Alignas(16) ct_args args;
    uint32_t record;    /* of the plan, that it came from          */
    float flops, bytes; /* what it computes, what it moves         */
    uint32_t schedule;  /* the device's own                        */
} ct_launch;

/* What a device plays. */
typedef struct ct_code {
    ct_launch *launches;
    uint32_t n_launches, n_scalars;
    ct_scalar *scalars; /* device memory, one slot a scalar        */
    void *prepared;     /* the device's own                        */
} ct_code;

/* A scalar slot that takes another value from this play on. */
typedef struct ct_scalar_change {
    uint32_t slot;
    double value;
} ct_scalar_change;

typedef struct ct_device ct_device;

/* Every function returns CT_OK or leaves the reason in `message`. Work is ordered:
 * what is played later sees what was played, uploaded or filled before. */
struct ct_device {
    char name[128];
    char message[256];
    void *stream;
    void (*close)(ct_device *);
    ct_status (*alloc)(ct_device *, size_t bytes, void **out); /* aligned to 256 bytes, contents undefined */
    void (*free)(ct_device *, void *);
    ct_status (*upload)(ct_device *, void *to, const void *from, size_t bytes);   /* `from` may be reused at once */
    ct_status (*download)(ct_device *, void *to, const void *from, size_t bytes); /* waits                        */
    ct_status (*fill)(ct_device *, void *to, int byte, size_t bytes);
    bool (*supports)(const ct_device *, uint16_t kernel, int32_t dtype);
    ct_status (*prepare)(ct_device *, ct_code *); /* sets the virtual blocks, and what else it wants */
    void (*retire)(ct_device *, ct_code *);
    /* Change scalars, then run the launches n times. */
    ct_status (*play)(ct_device *, ct_code *, int64_t n, const ct_scalar_change *, uint32_t n_changes);
    ct_status (*wait)(ct_device *);
};

/* Choose by ctx->config, and set ctx->device. */
ct_status ct_device_open(ct_context *);
/* The built-in CPU device. */
ct_status ct_device_cpu_open(ct_context *, ct_device **out);

#endif

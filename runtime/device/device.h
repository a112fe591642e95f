/* The seam between the runtime and a device. Whatever runs programs implements this;
 * nothing above it knows which one it talks to.
 */
#ifndef CUTAPE_DEVICE_DEVICE_H
#define CUTAPE_DEVICE_DEVICE_H

#include "args.h"
#include "core/context.h"

/* What an op that the user added runs, by device. */
typedef struct ct_custom_launch {
    int (*cpu)(const ct_op_call *);
    int (*cuda)(const ct_op_call *, void *stream);
    bool in_ranges; /* the CPU may compute args.n elements in parts */
    ct_op_call call;
    ct_op_tensor inputs[CT_OP_MAX_INPUTS], outputs[CT_OP_MAX_OUTPUTS];
    int64_t attrs[CT_OP_MAX_ATTRS];
} ct_custom_launch;

/* One kernel launch of a program. */
typedef struct ct_launch {
    ct_args args;
    uint32_t record;                /* of the plan, that it came from                                */
    uint32_t folded;                /* the record of its epilogue, where it does the work of a second */
    double flops, bytes;            /* what it computes, what it moves                               */
    uint32_t run;                   /* how many launches from this one on depend on none of each other,
                                       so that they may share a grid; 0: it belongs to a run before it */
    uint32_t node;                  /* the one of the device's nodes that does it; set by prepare. CT_NO_NODE:
                                       nothing is to be done           */
    uint32_t schedule;              /* the device's own                                              */
    const ct_custom_launch *custom; /* not NULL: in place of a kernel of ours */
} ct_launch;
#define CT_NOT_FOLDED UINT32_MAX
#define CT_NO_NODE UINT32_MAX

/* A node of a graph that was made of a program, as tools number it. */
typedef struct ct_graph_node {
    uint64_t id;
    uint32_t node; /* whose ct_launch.node are this */
} ct_graph_node;

/* What a device plays. */
typedef struct ct_code {
    ct_launch *launches;
    uint32_t n_launches, n_scalars;
    uint32_t n_nodes;           /* kernels that a play takes; set by prepare */
    ct_scalar *scalars;         /* device memory, one slot a scalar        */
    uint32_t *tickets;          /* device memory, a zero for every launch, where the device wants them */
    void *prepared;             /* the device's own                        */
    ct_graph_node *graph_nodes; /* of all its graphs so far; only where a tool looks on that numbers them */
    uint32_t n_graph_nodes, graph_nodes_capacity;
} ct_code;

/* When a launch was asked for, and when it ran: nanoseconds of CLOCK_MONOTONIC. */
typedef struct ct_launch_time {
    int64_t asked, returned; /* by the host                                                                  */
    int64_t begin, end;      /* on the device, as its events tell; the host's own where it does the work     */
} ct_launch_time;

/* What the core wants to be told of launches that are made one by one, or captured. */
typedef struct ct_marks {
    void (*begin)(void *user, const ct_code *, uint32_t launch);
    void (*end)(void *user);
    void *user;
} ct_marks;

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
    void *stream;          /* what work is ordered on; NULL where there is none              */
    size_t ticket_bytes;   /* zeroed device memory wanted for every launch */
    int64_t launches;      /* handed to the device so far: kernels, and graphs as one         */
    int64_t failed;        /* the launch that could not be made, by index; -1: the failure was another */
    const ct_marks *marks; /* of what is played now; NULL: no tool looks on */
    void (*close)(ct_device *);
    ct_status (*alloc)(ct_device *, size_t bytes, void **out); /* aligned to 256 bytes, contents undefined */
    void (*free)(ct_device *, void *);
    ct_status (*upload)(ct_device *, void *to, const void *from, size_t bytes);   /* `from` may be reused at once */
    ct_status (*download)(ct_device *, void *to, const void *from, size_t bytes); /* waits                        */
    ct_status (*fill)(ct_device *, void *to, int byte, size_t bytes);
    ct_status (*adopt)(ct_device *, const void *memory); /* may a caller's memory serve as a leaf? */
    bool (*supports)(const ct_device *, uint16_t kernel, int32_t dtype);
    ct_status (*prepare)(ct_device *, ct_code *); /* sets the virtual blocks, and what else it wants */
    void (*retire)(ct_device *, ct_code *);
    /* Change scalars, then run the launches n times. */
    ct_status (*play)(ct_device *, ct_code *, int64_t n, const ct_scalar_change *, uint32_t n_changes);
    /* Launch i of prepared code alone: in no graph, no group, as no tail of another. The scalars are those of the
     * last play, which with n = 0 changes them and runs nothing. */
    ct_status (*play_launch)(ct_device *, ct_code *, uint32_t i);
    /* All launches once, one by one as play_launch, with marks; waits, and gives the time of each. CT_ERR_MEMORY: it
     * has no memory for that, and nothing was launched. */
    ct_status (*play_timed)(ct_device *, ct_code *, ct_launch_time *);
    /* Opens or closes the range that tools were told to record. */
    ct_status (*capture_range)(ct_device *, bool open);
    ct_status (*wait)(ct_device *);
};

/* Differs where the structs that core and module share do. */
#define CT_DEVICE_LAYOUT                                                                                               \
    ((uint64_t)sizeof(ct_device) << 32 ^ (uint64_t)sizeof(ct_code) << 24 ^ sizeof(ct_launch) << 8 ^                    \
     (uint64_t)sizeof(ct_custom_launch) << 40 ^ CT_KERNEL_COUNT)

/* What a device module gets: it links nothing of the core. */
typedef struct ct_device_request {
    const char *version; /* of the core: a module of another one refuses, */
    uint64_t layout;     /* as one with other structs does               */
    ct_context *ctx;     /* for the two functions                        */
    const ct_config *config;
    void *(*alloc)(ct_context *, size_t bytes); /* zeroed */
    void (*free)(ct_context *, void *);
    char message[256]; /* why it could not be opened */
} ct_device_request;

/* The one function of a module, by this name. */
#define CT_DEVICE_MODULE_OPEN ct_device_module_open
typedef ct_status ct_device_module_open_fn(ct_device_request *, ct_device **out);

/* Choose by ctx->config, and set ctx->device. */
ct_status ct_device_open(ct_context *);
/* The built-in CPU device. */
ct_status ct_device_cpu_open(ct_context *, ct_device **out);

#endif

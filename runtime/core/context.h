/* The context: configuration, errors, host memory, and the parts that hang off it.
 *
 * Every file of the runtime may use this one. It knows the parts only by name;
 * each part's own header tells what is in it.
 */
#ifndef CUTAPE_CORE_CONTEXT_H
#define CUTAPE_CORE_CONTEXT_H

#include <cutape/cutape.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#define CT_MESSAGE_BYTES 1024
#define CT_TAGS 1024 /* contexts that can be open at once, and one */

/* Something on the host that mirrors what recorded steps do on the device (a
 * loader's cursor). The tape tells it what became of the records it added. */
typedef struct ct_mirror ct_mirror;
struct ct_mirror {
    void (*commit)(ct_mirror *);              /* the segment was launched                 */
    void (*rollback)(ct_mirror *);            /* the segment was dropped                  */
    int64_t (*replay_limit)(ct_mirror *);     /* how many replays of the last step are sound */
    void (*replayed)(ct_mirror *, int64_t n); /* the last step was replayed n times       */
    ct_mirror *next;
};

/* What core/advice.c remembers of this step, of the last one that ended, and of those in a row before. */
typedef struct ct_advice {
    uint32_t given;                      /* a bit for each piece of advice              */
    uint64_t clock, step_began, dropped; /* of gradients: now, and at two moments       */
    ct_tensor no_gradient, not_zeroed;   /* parameters that an optimizer stepped so     */
    ct_tensor last_no_gradient, last_not_zeroed;
    bool trains, reads, compiles, last_trained;
    int steps_with_a_read, steps_compiled; /* in a row */
} ct_advice;

struct ct_context {
    ct_config config;
    atomic_int refs; /* the context itself, and every object made on it */
    bool open;       /* between a successful ct_create and ct_destroy   */
    uint32_t tag;    /* marks this context's tensor handles; 0: none    */

    ct_status status;               /* the error that stands, CT_OK if none            */
    char message[CT_MESSAGE_BYTES]; /* of the error that stands, or of the last failure */
    char scratch[CT_MESSAGE_BYTES]; /* for building the parts of a message              */
    size_t scratch_turn;

    struct ct_device *device;         /* device/device.h    */
    struct ct_pool *pool;             /* core/pool.h        */
    struct ct_tensors *tensors;       /* core/tensor.h      */
    struct ct_tape *tape;             /* tape/tape.h        */
    struct ct_programs *programs;     /* program/program.h  */
    struct ct_custom_ops *custom_ops; /* ops/custom.h; NULL: none */
    struct ct_profile *profile;       /* profile/profile.h; NULL until it is first wanted */
    bool watched;                     /* by a tool or a profile: profile/span.h           */
    struct ct_marks *marks;           /* what a tool is told of launches; NULL: there is none */
    int64_t step_began;               /* as a span: when; 0: it did not                   */
    uint64_t step_range;              /* ... and the tool's range                         */
    /* Gives up something cached when the pool is out; false: there is nothing left. */
    bool (*make_room)(ct_context *);

    bool training;
    int no_grad_depth;
    ct_mirror *mirrors;
    uint64_t streams; /* random streams given out: initialisations, shuffles */
    ct_stats stats;
    ct_advice advice;
};

/* Host memory through the hooks of ct_config. Zeroed; NULL if there is none. */
void *ct_alloc(ct_context *, size_t bytes);
void ct_free(ct_context *, void *);
/* Grow an array to hold at least `need` elements (doubling); false if out of memory. */
bool ct_grow_slow(ct_context *, void **array, size_t *capacity, size_t need, size_t element_bytes);
static inline bool ct_grow(ct_context *ctx, void **array, size_t *capacity, size_t need, size_t element_bytes)
{
    return need <= *capacity || ct_grow_slow(ctx, array, capacity, need, element_bytes);
}

/* Record an error that stands until ct_clear_error, and drop the pending segment.
 * For recording calls. Returns the status. Keeps the first error. */
ct_status ct_fail(ct_context *, ct_status, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Fail one call without a standing error: for queries and file calls. */
ct_status ct_report(ct_context *, ct_status, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* A line to the user's log, or to stderr if there is no log function. */
void ct_log_line(ct_context *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same of text that is ready, of any length. */
void ct_log_text(ct_context *, const char *text);

/* CT_OK if the context is usable for a recording call: open, and no error stands. */
ct_status ct_ready(ct_context *);

/* Objects made on a context keep its memory (not its device) until they are gone. */
void ct_hold(ct_context *);
void ct_drop(ct_context *);

#endif

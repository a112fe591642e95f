/* What a device tells of launches that are made one by one, for tests in C++: the headers of the runtime are C. */
#ifndef CUTAPE_TESTS_WATCH_H
#define CUTAPE_TESTS_WATCH_H

#include <cutape/cutape.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct watch {
    int64_t begun, ended;
    int depth, deepest;
    bool below_zero;
} watch;

/* Marks of the context's device are counted from here on; `w` has to stay. */
void watch_marks(ct_context *, watch *w);

typedef struct watch_graph {
    uint32_t nodes, launches, idle; /* the device's own nodes; launches, and those that do nothing */
    uint32_t numbered;              /* graph nodes that have a number */
    uint32_t covered;               /* of the device's nodes: by at least one of these */
    bool repeated;                  /* a number is there twice */
    bool foreign;                   /* ... or one of no node of the device's */
} watch_graph;
/* Of the program that was played last. */
watch_graph watch_last_program(ct_context *);

#ifdef __cplusplus
}
#endif

#endif

/* A few threads that share the blocks of one launch at a time: the CPU device's pool. */
#ifndef CUTAPE_DEVICE_THREADS_H
#define CUTAPE_DEVICE_THREADS_H

#include "core/context.h"

typedef struct ct_threads ct_threads;

/* n counts the caller; NULL when out of memory. Fewer are there if the system gives fewer. Each of the others calls
 * on_start with its number, from 1, unless that is NULL. */
ct_threads *ct_threads_open(ct_context *, int n, void (*on_start)(int number));
void ct_threads_close(ct_threads *);
int ct_threads_count(const ct_threads *);
/* task(arg, i) for i in [0, tasks), tasks < 65536; returns when all are done. The caller
 * takes its share, and all of them if the others are busy elsewhere. */
void ct_threads_run(ct_threads *, void (*task)(void *, uint32_t), void *arg, uint32_t tasks);

#endif

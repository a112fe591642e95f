/* The CPU device's threads: see threads.h.
 *
 * A job is published in one atomic word {serial, tasks, next}; who wants a task takes
 * it by compare-and-swap, so a thread that wakes late finds either a task of this job
 * or nothing. An idle thread spins for a while, as the next launch is microseconds
 * away in training, and then sleeps in the kernel. No lock, no allocation.
 */
#define _GNU_SOURCE
#include "device/threads.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SPINS 4000          /* before an idle thread sleeps: some tens of microseconds */
#define SPINS_TO_YIELD 2000 /* before a waiting caller offers its core                  */

#define SERIAL(state) ((uint32_t)((state) >> 32))
#define TASKS(state) ((uint32_t)((state) >> 16 & 0xffff))
#define NEXT(state) ((uint32_t)((state)&0xffff))

struct ct_threads {
    ct_context *ctx;
    char apart[64]; /* the words that threads fight for lie on lines of their own */
    atomic_ullong state;
    char apart_too[64];
    atomic_uint done;
    char apart_still[64];
    atomic_uint wake; /* futex word: changes with every job that finds sleepers */
    atomic_uint sleepers;
    atomic_bool stop;
    atomic_int numbered, started;
    void (*task)(void *, uint32_t);
    void *arg;
    void (*on_start)(int number);
    int n; /* threads of our own */
    pthread_t *threads;
};

static inline void relax(void)
{
#if defined __x86_64__
    __builtin_ia32_pause();
#elif defined __aarch64__
    __asm__ volatile("yield");
#endif
}

/* Do tasks of the job that is on; false if there is none left. */
static bool work(ct_threads *t)
{
    unsigned long long state = atomic_load_explicit(&t->state, memory_order_acquire);
    bool worked = false;
    while (NEXT(state) < TASKS(state)) {
        if (!atomic_compare_exchange_weak_explicit(&t->state, &state, state + 1, memory_order_acq_rel,
                                                   memory_order_acquire))
            continue;
        t->task(t->arg, NEXT(state));
        atomic_fetch_add_explicit(&t->done, 1, memory_order_release);
        worked = true;
        state = atomic_load_explicit(&t->state, memory_order_acquire);
    }
    return worked;
}

/* Until another job, or the end. */
static void sleep_until_woken(ct_threads *t)
{
    unsigned seen = atomic_load(&t->wake);
    atomic_fetch_add(&t->sleepers, 1);
    unsigned long long state = atomic_load(&t->state);
    if (NEXT(state) >= TASKS(state) && !atomic_load(&t->stop))
        syscall(SYS_futex, &t->wake, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
    atomic_fetch_sub(&t->sleepers, 1);
}

static void wake_sleepers(ct_threads *t)
{
    if (atomic_load(&t->sleepers) == 0) return;
    atomic_fetch_add(&t->wake, 1);
    syscall(SYS_futex, &t->wake, FUTEX_WAKE_PRIVATE, t->n, NULL, NULL, 0);
}

static void *run(void *arg)
{
    ct_threads *t = arg;
    if (t->on_start) t->on_start(atomic_fetch_add(&t->numbered, 1) + 1);
    atomic_fetch_add(&t->started, 1);
    int idle = 0;
    while (!atomic_load_explicit(&t->stop, memory_order_relaxed)) {
        if (work(t))
            idle = 0;
        else if (++idle < SPINS)
            relax();
        else
            sleep_until_woken(t), idle = 0;
    }
    return NULL;
}

ct_threads *ct_threads_open(ct_context *ctx, int n, void (*on_start)(int number))
{
    ct_threads *t = ct_alloc(ctx, sizeof *t);
    pthread_t *threads = ct_alloc(ctx, (size_t)n * sizeof *threads);
    if (!t || !threads) {
        ct_free(ctx, t);
        ct_free(ctx, threads);
        return NULL;
    }
    t->ctx = ctx;
    t->threads = threads;
    t->on_start = on_start;
    while (t->n < n - 1 && pthread_create(&threads[t->n], NULL, run, t) == 0) t->n++;
    /* What a thread sets up at its start is not left to the first launches. */
    while (atomic_load(&t->started) < t->n) sched_yield();
    return t;
}

void ct_threads_close(ct_threads *t)
{
    if (!t) return;
    atomic_store(&t->stop, true);
    atomic_fetch_add(&t->wake, 1);
    syscall(SYS_futex, &t->wake, FUTEX_WAKE_PRIVATE, t->n, NULL, NULL, 0);
    for (int i = 0; i < t->n; i++) pthread_join(t->threads[i], NULL);
    ct_free(t->ctx, t->threads);
    ct_free(t->ctx, t);
}

int ct_threads_count(const ct_threads *t) { return t->n + 1; }

void ct_threads_run(ct_threads *t, void (*task)(void *, uint32_t), void *arg, uint32_t tasks)
{
    t->task = task;
    t->arg = arg;
    atomic_store_explicit(&t->done, 0, memory_order_relaxed);
    unsigned long long serial = SERIAL(atomic_load_explicit(&t->state, memory_order_relaxed)) + 1;
    atomic_store(&t->state, serial << 32 | (unsigned long long)tasks << 16);
    wake_sleepers(t);
    work(t);
    for (int spins = 0; atomic_load_explicit(&t->done, memory_order_acquire) < tasks;) {
        if (spins == SPINS_TO_YIELD)
            sched_yield();
        else
            relax(), spins++;
    }
}

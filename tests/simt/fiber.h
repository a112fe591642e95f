/* Fibers: stacks that one OS thread switches between, in a few nanoseconds. A fiber's function
 * never returns; a fiber that has nothing to do is kept for the next one who takes it.
 */
#ifndef SIMT_FIBER_H
#define SIMT_FIBER_H

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define SIMT_ASAN 1
#include <sanitizer/asan_interface.h>
#else
#define SIMT_ASAN 0
#define ASAN_POISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#endif

namespace simt
{

struct Fiber {
    void *sp = nullptr;
    const void *stack = nullptr; /* lowest address */
    size_t bytes = 0;
    void *fake_stack = nullptr; /* of AddressSanitizer */
};

/* One that waits, or a new one, which will begin with `main`. */
Fiber *take_fiber(void (*main)());
/* It will go on from where it left, in the same function. */
void keep_fiber(Fiber *);
/* Forgets what the fiber was at; it begins anew when taken. */
void reset_fiber(Fiber *, void (*main)());

/* From the stack of the host to a fiber, and back. Returns when a fiber leaves. */
void enter_fiber(Fiber *to);
void leave_fiber(Fiber *from);
void switch_fiber(Fiber *from, Fiber *to);
/* The first thing in a fiber's main function. */
void arrive_in_fiber();

/* Bad accesses of a fiber end in `caught`, which runs in its place, on its stack from the top; it
 * may only leave. `running` tells the fiber at work, NULL if none is. */
struct Trap {
    Fiber *(*running)();
    void (*caught)();
};
void set_trap(const Trap &);
/* Where AddressSanitizer ends the process instead, this is called before. */
void set_last_words(void (*)());

/* What was caught last. */
struct Trapped {
    int signal;
    bool has_address; /* none where the alignment was wrong */
    const void *address;
};
extern Trapped trapped;

} // namespace simt

#endif

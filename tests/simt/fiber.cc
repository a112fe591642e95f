/* Stacks, the switch between them, and bad accesses of a fiber turned into a call. */
#include "fiber.h"

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>
#include <sys/mman.h>
#include <ucontext.h>

#if SIMT_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

/* Pushes what a function must preserve, stores the stack pointer, and takes up the other stack
 * where that one did the same. */
extern "C" __attribute__((visibility("hidden"))) void simt_switch(void **from, void *to);

#if defined(__x86_64__)
__asm__(R"(
    .text
    .hidden simt_switch
    .globl simt_switch
    .type simt_switch, @function
simt_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size simt_switch, . - simt_switch
)");
enum { SAVED_WORDS = 6 }; /* below the return address */
#elif defined(__aarch64__)
__asm__(R"(
    .text
    .hidden simt_switch
    .globl simt_switch
    .type simt_switch, %function
simt_switch:
    sub sp, sp, #160
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
    .size simt_switch, . - simt_switch
)");
enum { SAVED_WORDS = 20, LINK_REGISTER = 11 };
#else
#error "no fiber switch for this processor"
#endif

namespace simt
{

/* The sanitizers make frames larger. */
enum : size_t { PAGE = 4096, STACK_BYTES = SIMT_ASAN ? 256 * 1024 : 64 * 1024 };

static std::vector<Fiber *> &kept = *new std::vector<Fiber *>; /* like their stacks, never given back */
static Fiber host;
Trapped trapped;

/* As if the fiber had called simt_switch at the very beginning of main. */
static void prepare(Fiber *fiber, void (*main)())
{
    void **top = reinterpret_cast<void **>(uintptr_t(fiber->stack) + fiber->bytes);
#if defined(__x86_64__)
    *--top = nullptr; /* where main would return to: nowhere; the stack is then aligned as after a call */
    *--top = reinterpret_cast<void *>(main);
    for (int i = 0; i < SAVED_WORDS; i++) *--top = nullptr;
#else
    top -= SAVED_WORDS;
    for (int i = 0; i < SAVED_WORDS; i++) top[i] = nullptr;
    top[LINK_REGISTER] = reinterpret_cast<void *>(main);
#endif
    fiber->sp = top;
}

static Fiber *new_fiber(void (*main)())
{
    const size_t bytes = STACK_BYTES + PAGE;
    void *memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory, PAGE, PROT_NONE) != 0) {
        perror("simt: no memory for a fiber's stack");
        abort();
    }
    Fiber *fiber = new Fiber;
    fiber->stack = static_cast<char *>(memory) + PAGE;
    static unsigned made;
    fiber->bytes = STACK_BYTES - made++ % 32 * 128; /* else they compete for the same lines of the cache */
    prepare(fiber, main);
    return fiber;
}

Fiber *take_fiber(void (*main)())
{
    if (kept.empty()) return new_fiber(main);
    Fiber *fiber = kept.back();
    kept.pop_back();
    return fiber;
}

void keep_fiber(Fiber *fiber) { kept.push_back(fiber); }

void reset_fiber(Fiber *fiber, void (*main)())
{
    ASAN_UNPOISON_MEMORY_REGION(fiber->stack, fiber->bytes);
    fiber->fake_stack = nullptr;
    prepare(fiber, main);
}

#if SIMT_ASAN
static bool from_host;

static void leaving(Fiber *from, Fiber *to)
{
    from_host = from == &host;
    __sanitizer_start_switch_fiber(&from->fake_stack, to->stack, to->bytes);
}

/* Any OS thread may enter, so where its stack lies is learned each time. */
static void arriving(Fiber *self)
{
    const void *bottom = nullptr;
    size_t bytes = 0;
    __sanitizer_finish_switch_fiber(self ? self->fake_stack : nullptr, &bottom, &bytes);
    if (from_host) {
        host.stack = bottom;
        host.bytes = bytes;
    }
}
#else
static void leaving(Fiber *, Fiber *) {}
static void arriving(Fiber *) {}
#endif

void switch_fiber(Fiber *from, Fiber *to)
{
    leaving(from, to);
    simt_switch(&from->sp, to->sp);
    arriving(from);
}

void enter_fiber(Fiber *to) { switch_fiber(&host, to); }
void leave_fiber(Fiber *from) { switch_fiber(from, &host); }
void arrive_in_fiber() { arriving(nullptr); }

/* ---- bad accesses ------------------------------------------------------------------------------ */

#if SIMT_ASAN
/* AddressSanitizer reports them itself, and ends the process. */
void set_trap(const Trap &) {}
void set_last_words(void (*words)()) { __sanitizer_set_death_callback(words); }
#else
static Trap trap;
static struct sigaction before[NSIG];

/* In a fiber: makes it go on in trap.caught, on its stack from the top. Else as before. */
static void on_signal(int signal, siginfo_t *info, void *context)
{
    Fiber *fiber = trap.running();
    if (!fiber) {
        sigaction(signal, &before[signal], nullptr);
        return; /* the access is repeated */
    }
    trapped = {signal, info->si_code > 0 && info->si_code != SI_KERNEL, info->si_addr};
    mcontext_t &registers = static_cast<ucontext_t *>(context)->uc_mcontext;
    const uintptr_t top = (uintptr_t(fiber->stack) + fiber->bytes) & ~uintptr_t(15);
#if defined(__x86_64__)
    registers.gregs[REG_RSP] = greg_t(top - 8 * sizeof(void *) - sizeof(void *));
    registers.gregs[REG_RIP] = greg_t(uintptr_t(trap.caught));
#else
    registers.sp = top - 64;
    registers.pc = uintptr_t(trap.caught);
#endif
}

/* Signals must find a stack of their own, as a fiber's may be used up. */
struct SignalStack {
    char memory[64 * 1024];
    SignalStack()
    {
        stack_t now = {};
        if (sigaltstack(nullptr, &now) == 0 && !(now.ss_flags & SS_DISABLE)) return;
        now.ss_sp = memory;
        now.ss_size = sizeof memory;
        now.ss_flags = 0;
        sigaltstack(&now, nullptr);
    }
    ~SignalStack()
    {
        stack_t now = {};
        if (sigaltstack(nullptr, &now) != 0 || now.ss_sp != memory) return;
        now.ss_flags = SS_DISABLE;
        sigaltstack(&now, nullptr);
    }
};

void set_last_words(void (*)()) {}

void set_trap(const Trap &wanted)
{
    static thread_local SignalStack stack;
    (void)stack;
    if (trap.caught) return;
    trap = wanted;
    struct sigaction action = {};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) sigaction(signal, &action, &before[signal]);
}
#endif

} // namespace simt

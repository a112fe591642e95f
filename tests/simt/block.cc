/* The scheduler of a block. Threads that can go on stand in one list, and which one does is
 * drawn from it. A fiber that is done with its thread takes up one that has not begun yet, so
 * a kernel without barriers needs one fiber and no switch.
 *
 * The race build would hook in here: it wants to know thread, barrier and warp epoch of every
 * access, which the compiler reports by -fsanitize=thread. It would stand in race.cc.
 */
#include "block.h"

#include "device.h"
#include "error.h"
#include "fiber.h"
#include "memory.h"
#include "random.h"

#include <cub/block/block_reduce.cuh>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <map>

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace simt
{

struct Meeting {
    unsigned first, size; /* threads that take part */
    unsigned arrived;
    uint64_t passed; /* how often all had arrived */
    Site site;
    Finish *finish;
    void *slots[MAX_THREADS];
};

struct Thread {
    Fiber *fiber;         /* NULL: not begun, or done */
    const Meeting *waits; /* NULL: it can go on       */
    bool done;
};

static struct Block {
    const Kernel *kernel; /* NULL: none runs */
    const void *parameter;
    unsigned n, n_done;
    unsigned current;
    unsigned ready[MAX_THREADS], n_ready;
    Thread threads[MAX_THREADS];
    Meeting all, warps[MAX_THREADS / WARP_SIZE];
    cudaError_t fault;
    std::map<const void *, uint64_t> storage; /* of collectives: when it was used last */
} block;

static const char *activity = "";

void set_activity(const char *name) { activity = name; }

std::string where()
{
    if (!block.kernel) return activity;
    return " [" + block.kernel->name + ", block " + std::to_string(blockIdx.x) + ", thread " +
           std::to_string(threadIdx.x) + "]";
}

unsigned lane() { return block.current % WARP_SIZE; }

/* ---- who goes on --------------------------------------------------------------------------------- */

static void run_threads();

static Fiber *running() { return block.kernel ? block.threads[block.current].fiber : nullptr; }

static void set_current(unsigned thread)
{
    block.current = thread;
    threadIdx.x = thread;
}

/* Takes a thread that can go on, and makes it the current one. False if there is none. */
static bool draw()
{
    if (block.n_ready == 0) return false;
    unsigned &drawn = block.ready[random_below(block.n_ready)];
    set_current(drawn);
    drawn = block.ready[--block.n_ready];
    return true;
}

/* Ends the whole block from within a thread. */
[[noreturn]] static void fail_block(cudaError_t error)
{
    block.fault = error;
    leave_fiber(running());
    __builtin_unreachable();
}

/* Where threads wait, and how many of how many do. */
static std::string list_meetings()
{
    std::string list;
    for (unsigned i = 0; i < block.n; i++) {
        const Meeting *meeting = block.threads[i].waits;
        if (!meeting) continue;
        list += std::string("; ") + meeting->site.what + " at " + meeting->site.file + ":" +
                std::to_string(meeting->site.line) + " has " + std::to_string(meeting->arrived) + " of " +
                std::to_string(meeting->size) + " threads";
        if (meeting == &block.all) break;
        i = meeting->first + meeting->size - 1;
    }
    return list;
}

/* A fiber that leaves for good must own nothing, as no destructor will run. */
[[noreturn]] static void report_deadlock()
{
    report("threads wait for others that never come: %u have ended%s", block.n_done, list_meetings().c_str());
    fail_block(cudaErrorLaunchFailure);
}

/* The current thread has to wait, or steps back: another one, or itself, goes on. */
static void yield()
{
    Fiber *own = running();
    if (!draw()) report_deadlock();
    Fiber *&next = block.threads[block.current].fiber;
    if (!next) next = take_fiber(run_threads);
    if (next != own) switch_fiber(own, next);
}

/* What every fiber does: the current thread, then others that have not begun. */
static void run_threads()
{
    arrive_in_fiber();
    for (;;) {
        Fiber *own = running();
        block.kernel->invoke(block.kernel->function, block.parameter);
        Thread &thread = block.threads[block.current];
        thread.done = true;
        block.n_done++;
        if (!draw()) {
            if (block.n_done < block.n) report_deadlock();
            thread.fiber = nullptr;
            keep_fiber(own);
            leave_fiber(own);
            continue;
        }
        thread.fiber = nullptr;
        Fiber *&next = block.threads[block.current].fiber;
        if (!next) {
            next = own;
            continue;
        }
        keep_fiber(own);
        switch_fiber(own, next);
    }
}

/* ---- waiting for each other --------------------------------------------------------------------- */

static bool same(const char *a, const char *b) { return a == b || strcmp(a, b) == 0; }
static bool same(const Site &a, const Site &b)
{
    return a.line == b.line && same(a.file, b.file) && same(a.what, b.what);
}

static Meeting &meeting_of(Scope scope) { return scope == BLOCK ? block.all : block.warps[block.current / WARP_SIZE]; }

/* All have come: each of them can go on. */
static void release(Meeting &meeting)
{
    if (meeting.finish) meeting.finish(meeting.slots, meeting.size);
    meeting.arrived = 0;
    for (unsigned i = meeting.first; i < meeting.first + meeting.size; i++) {
        block.threads[i].waits = nullptr;
        block.ready[block.n_ready++] = i;
    }
}

void meet(Scope scope, const Site &site, void *slot, Finish *finish)
{
    Meeting &meeting = meeting_of(scope);
    if (meeting.arrived == 0) {
        meeting.site = site;
        meeting.finish = finish;
    } else if (!same(meeting.site, site) || meeting.finish != finish) {
        report("divergence: %s at %s:%d, while others of the %s wait in %s at %s:%d", site.what, site.file, site.line,
               scope == BLOCK ? "block" : "warp", meeting.site.what, meeting.site.file, meeting.site.line);
        fail_block(cudaErrorLaunchFailure);
    }
    meeting.slots[block.current - meeting.first] = slot;
    block.threads[block.current].waits = &meeting;
    /* A shuffle or ballot orders no memory. */
    const bool orders_memory = scope == BLOCK || !slot;
    if (++meeting.arrived == meeting.size) {
        meeting.passed += orders_memory;
        release(meeting);
    }
    yield();
}

void meet_masked(unsigned mask, const Site &site, void *slot, Finish *finish)
{
    if (!(mask >> lane() & 1)) {
        report("%s at %s:%d: the calling lane %u is not in the mask 0x%08x", site.what, site.file, site.line, lane(),
               mask);
        fail_block(cudaErrorLaunchFailure);
    }
    const unsigned size = meeting_of(WARP).size;
    if (mask != (size == WARP_SIZE ? 0xffffffffu : (1u << size) - 1)) {
        report("%s at %s:%d: the mask 0x%08x is not the whole warp", site.what, site.file, site.line, mask);
        fail_block(cudaErrorLaunchFailure);
    }
    meet(WARP, site, slot, finish);
}

/* Barriers that the current thread has passed. */
static uint64_t epoch(Scope scope) { return (block.all.passed << 32) + (scope == WARP ? meeting_of(WARP).passed : 0); }

void check_storage(Scope scope, const void *storage)
{
    const auto found = block.storage.find(storage);
    if (found == block.storage.end() || found->second != epoch(scope)) return;
    report("temporary storage of a reduction is used again without a barrier between");
    fail_block(cudaErrorLaunchFailure);
}

void mark_storage(Scope scope, const void *storage) { block.storage[storage] = epoch(scope); }

void shuffle(void **slots, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        Shuffle &own = *static_cast<Shuffle *>(slots[i]);
        own.out = unsigned(own.source) < n ? static_cast<const Shuffle *>(slots[own.source])->in : ~uint64_t(0);
    }
}

void ballot(void **slots, unsigned n)
{
    unsigned bits = 0;
    for (unsigned i = 0; i < n; i++) bits |= unsigned(static_cast<const Ballot *>(slots[i])->in) << i;
    for (unsigned i = 0; i < n; i++) static_cast<Ballot *>(slots[i])->out = bits;
}

Grouping grouping() { return Grouping(seed() % 3); }

/* ---- a block --------------------------------------------------------------------------------------- */

/* In the place of a thread that made a bad access, or a bad division. */
static void caught()
{
    const auto address = uintptr_t(trapped.address), stack = uintptr_t(running()->stack);
    if (trapped.signal == SIGFPE) {
        report("integer division by zero, or its overflow");
        fail_block(cudaErrorLaunchFailure);
    }
    if (!trapped.has_address) {
        report("misaligned access");
        fail_block(cudaErrorMisalignedAddress);
    }
    if (address < stack && address + 4096 >= stack)
        report("stack overflow");
    else
        report("access to %p, which is no memory of a kernel%s", trapped.address, describe(trapped.address).c_str());
    fail_block(cudaErrorIllegalAddress);
}

static void say_where()
{
    if (!where().empty()) report("the process ends");
}

static void begin_block(unsigned threads)
{
    block.n = block.n_ready = threads;
    block.n_done = 0;
    for (unsigned i = 0; i < threads; i++) {
        block.ready[i] = i;
        block.threads[i] = {};
    }
    block.all.first = block.all.arrived = 0;
    block.all.size = threads;
    block.all.passed = 0;
    for (unsigned w = 0; w * WARP_SIZE < threads; w++) {
        Meeting &warp = block.warps[w];
        warp.first = w * WARP_SIZE;
        warp.size = std::min<unsigned>(threads - warp.first, WARP_SIZE);
        warp.arrived = 0;
        warp.passed = 0;
    }
    block.storage.clear();
    block.fault = cudaSuccess;
}

cudaError_t run_block(const Kernel &kernel, const void *parameter, unsigned index, unsigned threads)
{
    static const Trap trap = {running, caught};
    set_trap(trap);
    set_last_words(say_where);
    begin_block(threads);
    blockIdx = {index, 0, 0};
    block.kernel = &kernel;
    block.parameter = parameter;
    draw();
    Fiber *fiber = take_fiber(run_threads);
    block.threads[block.current].fiber = fiber;
    enter_fiber(fiber);
    block.kernel = nullptr;
    if (block.fault)
        for (unsigned i = 0; i < threads; i++) {
            if (!block.threads[i].fiber) continue;
            reset_fiber(block.threads[i].fiber, run_threads);
            keep_fiber(block.threads[i].fiber);
        }
    return block.fault;
}

} // namespace simt

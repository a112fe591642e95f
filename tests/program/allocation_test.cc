// A step that was seen before allocates nothing, recorded or replayed. This file replaces
// malloc and its kin in the test's binary and counts the calls, ours apart from a matrix
// library's. Sanitizers bring allocators of their own: then there is nothing here.
#include "program/program_test.h"

#include <atomic>
#include <dlfcn.h>

#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__ && defined __GLIBC__

namespace
{

std::atomic<bool> counting{false};
std::atomic<int64_t> ours{0}, theirs{0};
std::atomic<void *> culprit{nullptr};

void count(void *caller)
{
    if (!counting.load(std::memory_order_relaxed)) return;
    counting = false; // dladdr may allocate itself
    static void *const self = [] {
        Dl_info info;
        return dladdr(reinterpret_cast<void *>(&count), &info) ? info.dli_fbase : nullptr;
    }();
    Dl_info info;
    const bool is_ours = !dladdr(caller, &info) || info.dli_fbase == self;
    if (is_ours) culprit = caller;
    ++(is_ours ? ours : theirs);
    counting = true;
}

} // namespace

extern "C" {
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);

void *malloc(size_t bytes)
{
    count(__builtin_return_address(0));
    return __libc_malloc(bytes);
}
void *calloc(size_t n, size_t bytes)
{
    count(__builtin_return_address(0));
    return __libc_calloc(n, bytes);
}
void *realloc(void *memory, size_t bytes)
{
    count(__builtin_return_address(0));
    return __libc_realloc(memory, bytes);
}
void *memalign(size_t alignment, size_t bytes)
{
    count(__builtin_return_address(0));
    return __libc_memalign(alignment, bytes);
}
void *aligned_alloc(size_t alignment, size_t bytes)
{
    count(__builtin_return_address(0));
    return __libc_memalign(alignment, bytes);
}
int posix_memalign(void **out, size_t alignment, size_t bytes)
{
    count(__builtin_return_address(0));
    void *memory = __libc_memalign(alignment, bytes);
    if (!memory) return ENOMEM;
    *out = memory;
    return 0;
}
void free(void *memory)
{
    if (memory) count(__builtin_return_address(0));
    __libc_free(memory);
}
}

namespace
{

struct Counts {
    int64_t ours, theirs;
    std::string where;
};

Counts allocations(const std::function<void()> &work)
{
    ours = theirs = 0;
    culprit = nullptr;
    counting = true;
    work();
    counting = false;
    Counts counts = {ours, theirs, {}};
    Dl_info info;
    if (counts.ours && dladdr(culprit, &info)) {
        char text[64];
        std::snprintf(
            text, sizeof text, "last called from +0x%lx",
            static_cast<unsigned long>(static_cast<char *>(culprit.load()) - static_cast<char *>(info.dli_fbase)));
        counts.where = text;
    }
    return counts;
}

// A driver's own are its affair.
void expect_none(const Counts &counts)
{
    EXPECT_EQ(counts.ours, 0) << counts.where;
    const bool is_cpu = devices().front().device == CT_DEVICE_CPU;
    EXPECT_EQ(is_cpu ? counts.theirs : 0, 0);
}

TEST(Allocations, AreCounted)
{
    const Counts counts = allocations([] {
        void *volatile memory = std::malloc(100);
        std::free(memory);
    });
    EXPECT_EQ(counts.ours, 2);
}

// Products of this size are ours; and one thread, as those that start late make room for themselves.
TrainerOptions small_network()
{
    TrainerOptions options;
    options.config.cpu_threads = 1;
    options.widths = {32, 64, 1};
    options.batch = 32;
    options.examples = 128;
    options.regression = true;
    return options;
}

TrainerOptions large_network()
{
    TrainerOptions options;
    options.widths = {784, 128, 10};
    options.batch = 64;
    options.examples = 256;
    return options;
}

TEST(Allocations, OfAThousandReplays_AreNone)
{
    for (const bool dropout : {false, true}) {
        TrainerOptions options = small_network();
        options.dropout = dropout ? 0.1 : 0;
        Trainer t(options);
        t.step(3);
        const int64_t n = on_stand_in() ? 100 : 1000;
        const Counts counts = allocations([&] { ct_replay(t.ctx, n); });
        expect_none(counts);
        EXPECT_EQ(stats_of(t.ctx).replays, n);
    }
}

TEST(Allocations, OfRecordedStepsThatWereSeenBefore_AreNone)
{
    for (const bool clip : {false, true}) {
        TrainerOptions options = small_network();
        options.clip = clip;
        options.dropout = 0.1;
        Trainer t(options);
        t.step(3);
        const Counts counts = allocations([&] {
            for (int i = 0; i < 100; i++) {
                t.record();
                ct_step_end(t.ctx);
            }
        });
        expect_none(counts);
    }
}

TEST(Allocations, OfStepsThatReadTheirLoss_AreNone)
{
    Trainer t(small_network());
    const auto steps = [&] {
        for (int i = 0; i < 50; i++) {
            ct_item(t.ctx, t.record());
            ct_step_end(t.ctx);
        }
    };
    steps();
    const Counts counts = allocations(steps);
    expect_none(counts);
}

// The forward pass and a write alone: what an evaluation or an inference loop does.
TEST(Allocations, OfAWrittenAndReadForwardPass_AreNone)
{
    Trainer t(small_network());
    const ct_tensor x = some_leaf(t.ctx, {32, 32}, 5);
    std::vector<float> in(32 * 32, 0.5f), out(32);
    const auto pass = [&] {
        for (int i = 0; i < 20; i++) {
            ct_write(t.ctx, x, in.data(), in.size() * sizeof(float));
            ct_read(t.ctx, ct_mlp_forward(t.net, x), out.data(), out.size() * sizeof(float));
            ct_step_end(t.ctx);
        }
    };
    pass();
    const Counts counts = allocations(pass);
    expect_none(counts);
}

// A matrix library may allocate as it likes; we do not.
TEST(Allocations, OfALargeNetwork_AreNoneOfOurs)
{
    Trainer t(large_network());
    t.step(3);
    const Counts replays = allocations([&] { ct_replay(t.ctx, 20); });
    EXPECT_EQ(replays.ours, 0) << replays.where;
    const Counts steps = allocations([&] {
        for (int i = 0; i < 5; i++) {
            t.record();
            ct_step_end(t.ctx);
        }
    });
    EXPECT_EQ(steps.ours, 0) << steps.where;
    std::printf("the matrix library allocated or freed %lld times in 20 replays\n",
                static_cast<long long>(replays.theirs));
}

} // namespace

#endif

// Memory over many steps: after the tenth, neither the pool nor the process grows.
#include "program/program_test.h"

#include <unistd.h>

namespace
{

// Resident bytes of the process.
int64_t resident()
{
    long long size = 0, pages = 0;
    std::FILE *file = std::fopen("/proc/self/statm", "r");
    if (!file) return 0;
    const int found = std::fscanf(file, "%lld %lld", &size, &pages);
    std::fclose(file);
    return found == 2 ? pages * sysconf(_SC_PAGESIZE) : 0;
}

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
constexpr int n_steps = 500;
constexpr bool watch_process = false; // their allocators keep freed memory for a while
#else
constexpr int n_steps = 20000;
constexpr bool watch_process = true;
#endif

void expect_steady(const std::function<void(Trainer &)> &run)
{
    TrainerOptions options;
    options.dropout = 0.2;
    options.clip = true;
    options.config.cpu_threads = 1;
    Trainer t(options);
    t.step(10);
    run(t); // a replay may prepare something once
    const ct_stats before = stats_of(t.ctx);
    const int64_t process = resident();
    for (int i = 0; i < (on_stand_in() ? 200 : n_steps) / 100; i++) run(t);
    const ct_stats after = stats_of(t.ctx);
    EXPECT_EQ(after.pool_in_use, before.pool_in_use);
    EXPECT_EQ(after.pool_peak, before.pool_peak);
    EXPECT_EQ(after.pool_reserved, before.pool_reserved);
    EXPECT_EQ(after.programs, before.programs);
    EXPECT_EQ(after.compiles, before.compiles);
    EXPECT_LE(watch_process ? resident() - process : 0, 256 << 10);
    EXPECT_FALSE(t.state().empty());
}

TEST(Memory, OfRecordedSteps_IsSteady)
{
    expect_steady([](Trainer &t) { t.step(100); });
}

TEST(Memory, OfReplayedSteps_IsSteady)
{
    expect_steady([](Trainer &t) {
        t.step();
        t.ctx.check(ct_replay(t.ctx, 99), "ct_replay");
    });
}

TEST(Memory, OfStepsThatReadTheirLoss_IsSteady)
{
    expect_steady([](Trainer &t) {
        for (int i = 0; i < 100; i++) {
            ct_item(t.ctx, t.record());
            t.ctx.end_step();
        }
    });
}

TEST(Memory, OfStepsThatFail_IsSteady)
{
    expect_steady([](Trainer &t) {
        for (int i = 0; i < 100; i++) {
            t.record();
            const ct_tensor loss = t.record(),
                            wrong = ct_add(t.ctx, t.ring, ct_params_get(ct_mlp_params(t.net), "layers.0.bias"));
            EXPECT_EQ(wrong.bits, 0u);
            EXPECT_NE(loss.bits, 0u);
            ct_clear_error(t.ctx);
            t.step();
        }
    });
}

TEST(Memory, OfLeavesMadeAnew_IsSteady)
{
    expect_steady([](Trainer &t) {
        for (int i = 0; i < 100; i++) {
            const ct_tensor x = some_leaf(t.ctx, {8, 8}, 1);
            const ct_tensor y = ct_mlp_forward(t.net, x);
            ct_append(t.ctx, t.ring, ct_mean(t.ctx, y, 0, nullptr, false));
            ct_release(t.ctx, x);
            t.ctx.end_step();
        }
    });
}

} // namespace

// Anomaly mode under ct_replay: the step and the record are named, and the state is that of the steps before.
#include "program/program_test.h"
#include "support/errors.h"

namespace
{

// A training step with a fuse that burns down: behind the recorded one, the `steps`-th takes the log of -1/2.
class Poisoned
{
  public:
    Poisoned(const TrainerOptions &options, int64_t steps) : trainer(options)
    {
        fuse_ = trainer.ctx.leaf(CT_F32, {}, {static_cast<double>(steps)});
        sink_ = trainer.ctx.leaf(CT_F32, {}, {0});
        trainer.after_backward = [this](ct_tensor) {
            Context &ctx = trainer.ctx;
            const ct_tensor left = ctx.check(ct_add_scalar(ctx, fuse_, -1), "ct_add_scalar");
            ct_set_name(ctx, left, "left");
            ctx.check(ct_assign(ctx, fuse_, left), "ct_assign");
            const ct_tensor y = ct_log(ctx, ct_add_scalar(ctx, left, 0.5));
            ctx.check(ct_accumulate(ctx, sink_, y), "ct_accumulate");
        };
    }
    void relight(double steps) { trainer.ctx.write(fuse_, {steps}); }
    Bits state()
    {
        Bits all = trainer.state();
        for (const ct_tensor x : {fuse_, sink_}) {
            const Bits bits = bits_of(trainer.ctx, x);
            all.insert(all.end(), bits.begin(), bits.end());
        }
        return all;
    }

    Trainer trainer;

  private:
    ct_tensor fuse_ = {}, sink_ = {};
};

TrainerOptions options_with(bool detect)
{
    TrainerOptions options;
    options.dropout = 0.2;
    options.config.detect_anomaly = detect;
    return options;
}

// Bad at replay `bad` of n, behind one recorded step.
void expect_found(int64_t bad, int64_t n)
{
    SCOPED_TRACE(std::to_string(bad) + " of " + std::to_string(n));
    Poisoned checked(options_with(true), bad), plain(options_with(false), bad);
    checked.trainer.step();
    plain.trainer.step();
    const ct_status status = ct_replay(checked.trainer.ctx, n);
    EXPECT_EQ(status, CT_ERR_NUMERIC);
    const std::string at = "at replay " + std::to_string(bad) + " of " + std::to_string(n) + ": log (record ";
    EXPECT_TRUE(failed(checked.trainer.ctx, CT_ERR_NUMERIC, {at.c_str(), "forward) made a NaN at its element of []"}));
    if (bad > 1) plain.trainer.ctx.check(ct_replay(plain.trainer.ctx, bad - 1), "ct_replay");
    EXPECT_EQ(stats_of(checked.trainer.ctx).replays, bad - 1);
    EXPECT_EQ(checked.state(), plain.state());
    // The same again: nothing has moved.
    EXPECT_EQ(ct_replay(checked.trainer.ctx, 5), CT_ERR_NUMERIC);
    EXPECT_TRUE(failed(checked.trainer.ctx, CT_ERR_NUMERIC, {"at replay 1 of 5: log (record "}));
    EXPECT_EQ(checked.state(), plain.state());
    // Cursor, counters and moments agree with their mirrors: both go on alike.
    checked.relight(100);
    plain.relight(100);
    checked.trainer.ctx.check(ct_replay(checked.trainer.ctx, 3), "ct_replay");
    plain.trainer.ctx.check(ct_replay(plain.trainer.ctx, 3), "ct_replay");
    checked.trainer.step(2);
    plain.trainer.step(2);
    EXPECT_EQ(checked.state(), plain.state());
}

TEST(AnomalyReplay, NamesTheStep_AndKeepsThoseBefore)
{
    expect_found(1, 1);
    expect_found(1, 7);
    expect_found(7, 7);
}

TEST(AnomalyReplay, ThousandsOfStepsIn_NamesTheStep)
{
    expect_found(1030, 1100);  // behind the second snapshot
    if (on_stand_in()) return; // slow there
    expect_found(2345, 3000);
    expect_found(1024, 3000);
    expect_found(1025, 3000);
}

// An epoch of 8 full batches and a part of one: the host has to know how many were drawn.
TEST(AnomalyReplay, TheLoader_CountsOnlyTheStepsThatHappened)
{
    TrainerOptions options[] = {options_with(true), options_with(false)};
    for (TrainerOptions &o : options) o.examples = 67;
    Poisoned checked(options[0], 4), plain(options[1], 4);
    checked.trainer.step();
    plain.trainer.step();
    EXPECT_EQ(ct_replay(checked.trainer.ctx, 6), CT_ERR_NUMERIC);
    EXPECT_TRUE(failed(checked.trainer.ctx, CT_ERR_NUMERIC, {"at replay 4 of 6"}));
    plain.trainer.ctx.check(ct_replay(plain.trainer.ctx, 3), "ct_replay");
    for (Poisoned *p : {&checked, &plain}) {
        p->relight(1000);
        EXPECT_EQ(ct_replay(p->trainer.ctx, 5), CT_ERR_ARGUMENT);
        EXPECT_TRUE(failed(p->trainer.ctx, CT_ERR_ARGUMENT, {"the largest n is 4"}));
        p->trainer.step(12);
    }
    EXPECT_EQ(checked.state(), plain.state());
}

TEST(AnomalyReplay, WithNothingToFind_HasTheSameBits)
{
    const int64_t n = on_stand_in() ? 40 : 2500;
    Poisoned checked(options_with(true), 10000), plain(options_with(false), 10000);
    for (Poisoned *p : {&checked, &plain}) {
        p->trainer.step();
        p->trainer.ctx.check(ct_replay(p->trainer.ctx, n), "ct_replay");
        p->trainer.step(2);
    }
    EXPECT_EQ(checked.state(), plain.state());
}

TEST(AnomalyReplay, InTheBackwardPass_NamesTensorsOfTheRecordedStep)
{
    ct_config config = {};
    config.detect_anomaly = true;
    Context ctx(devices().front(), config);
    const ct_tensor x = ctx.leaf(CT_F32, {2}, {9, 5});
    ct_set_name(ctx, x, "x");
    ctx.check(ct_set_requires_grad(ctx, x, true), "ct_set_requires_grad");
    ctx.check(ct_zero_grad(ctx, x), "ct_zero_grad");
    const ct_tensor y = ct_sqrt(ctx, x);
    ct_set_name(ctx, y, "root");
    ctx.check(ct_backward(ctx, ct_sum(ctx, y, 0, nullptr, false)), "ct_backward");
    ctx.check(ct_assign(ctx, x, ct_add_scalar(ctx, x, -1)), "ct_assign");
    ctx.end_step();
    EXPECT_EQ(ct_replay(ctx, 10), CT_ERR_NUMERIC); // at 0, the fifth
    EXPECT_TRUE(failed(ctx, CT_ERR_NUMERIC,
                       {"at replay 5 of 10: ", "backward) made an Inf at [1] of [2] out of finite inputs",
                        "; it belongs to the gradient of sqrt (record 1), x [2] -> root [2]"}));
    EXPECT_EQ(ctx.read(x), (std::vector<double>{4, 0}));
}

// What a step only passes on is nobody's: it goes on to the end, and goes back once for it, not at every snapshot.
TEST(AnomalyReplay, OfWhatWasBadBefore_GoesOn)
{
    if (on_stand_in()) GTEST_SKIP() << "too slow there";
    const int64_t n = 5000;
    std::vector<Bits> states;
    for (const bool detect : {true, false}) {
        ct_config config = {};
        config.detect_anomaly = detect;
        config.log = [](void *, const char *) {};
        Context ctx(devices().front(), config);
        const ct_tensor bad = ctx.leaf(CT_F32, {2}, {NAN, 1}), turn = ctx.leaf(CT_F32, {}, {2500}),
                        none = ctx.leaf(CT_F32, {2}, {0, 0}), sum = ctx.leaf(CT_F32, {2}, {0, 0});
        // NaN from the beginning in one leaf, and let into another from step 2500 on.
        ctx.check(ct_assign(ctx, bad, ct_mul_scalar(ctx, bad, 0.5)), "ct_assign");
        ctx.check(ct_assign(ctx, turn, ct_add_scalar(ctx, turn, -1)), "ct_assign");
        const ct_tensor late = ct_lt(ctx, turn, ct_mul_scalar(ctx, turn, 0));
        ctx.check(ct_accumulate(ctx, sum, ct_where(ctx, late, bad, none)), "ct_accumulate");
        ctx.end_step();
        const int64_t launches = stats_of(ctx).launches;
        ctx.check(ct_replay(ctx, n), "ct_replay");
        const double a_step = static_cast<double>(stats_of(ctx).launches - launches) / static_cast<double>(n);
        if (detect && devices().front().device == CT_DEVICE_CPU) {
            EXPECT_LT(a_step, 15);
        }
        states.push_back(bits_of(ctx, sum));
        EXPECT_TRUE(std::isnan(ctx.read(sum)[0]));
    }
    EXPECT_EQ(states[0], states[1]);
}

TEST(AnomalyReplay, FollowsABoundRate)
{
    std::vector<Bits> states;
    for (const bool detect : {true, false}) {
        Poisoned p(options_with(detect), 5);
        p.trainer.step();
        p.trainer.ctx.check(ct_optimizer_set_lr(p.trainer.optimizer, 0.05), "ct_optimizer_set_lr");
        if (detect) {
            EXPECT_EQ(ct_replay(p.trainer.ctx, 9), CT_ERR_NUMERIC);
            EXPECT_TRUE(failed(p.trainer.ctx, CT_ERR_NUMERIC, {"at replay 5 of 9"}));
        } else {
            p.trainer.ctx.check(ct_replay(p.trainer.ctx, 4), "ct_replay");
        }
        states.push_back(p.state());
    }
    EXPECT_EQ(states[0], states[1]);
}

} // namespace

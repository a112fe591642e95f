// ct_replay: to the bits of as many recorded steps, and refused where that cannot be.
#include "program/program_test.h"

namespace
{

void expect_replays_equal_steps(TrainerOptions options)
{
    for (const int64_t n : {int64_t{1}, int64_t{2}, int64_t{7}, int64_t{40}}) {
        Trainer recorded(options), replayed(options);
        recorded.step(static_cast<int>(n) + 1);
        replayed.step();
        const int64_t compiles = stats_of(replayed.ctx).compiles;
        replayed.ctx.check(ct_replay(replayed.ctx, n), "ct_replay");
        EXPECT_EQ(replayed.state(), recorded.state()) << n << " replays";
        // What a user cannot read (moments, counts, cursor, random counter) shows in what comes next.
        recorded.step(3);
        replayed.step();
        replayed.ctx.check(ct_replay(replayed.ctx, 2), "ct_replay");
        EXPECT_EQ(replayed.state(), recorded.state()) << n << " replays, continued";
        EXPECT_EQ(stats_of(replayed.ctx).compiles, compiles);
        EXPECT_EQ(stats_of(replayed.ctx).replays, n + 2);
        EXPECT_TRUE(plans_are_sound(replayed.ctx));
    }
}

TEST(Replay, OfAdam_EqualsRecordedSteps) { expect_replays_equal_steps({}); }

TEST(Replay, OfMomentum_EqualsRecordedSteps)
{
    TrainerOptions options;
    options.adam = false;
    options.clip = true;
    expect_replays_equal_steps(options);
}

TEST(Replay, OfDropout_EqualsRecordedSteps)
{
    TrainerOptions options;
    options.dropout = 0.4;
    expect_replays_equal_steps(options);
}

TEST(Replay, OfAccumulatedGradients_EqualsRecordedSteps)
{
    TrainerOptions options;
    options.accumulate = 2;
    options.dropout = 0.1;
    expect_replays_equal_steps(options);
}

TEST(Replay, OfRandomNumbers_EqualsRecordedSteps)
{
    const int64_t shape[] = {4};
    std::vector<Bits> seen[2];
    for (const bool replay : {false, true}) {
        Context ctx;
        const ct_tensor out = some_leaf(ctx, {4}, 1), ring = some_leaf(ctx, {9}, 2);
        const auto step = [&] {
            const ct_tensor noise =
                ct_add(ctx, ct_randn(ctx, CT_F32, 1, shape), ct_dropout(ctx, ct_rand(ctx, CT_F32, 1, shape), 0.5));
            ct_assign(ctx, out, noise);
            ct_append(ctx, ring, ct_mean(ctx, noise, 0, nullptr, false));
            ctx.end_step();
        };
        step();
        for (int i = 0; i < 6; i++) {
            if (replay)
                ctx.check(ct_replay(ctx, 1), "ct_replay");
            else
                step();
            seen[replay].push_back(bits_of(ctx, out));
            // The read above split nothing: it stood alone. Continue from a recorded step.
            step();
            seen[replay].push_back(bits_of(ctx, ring));
        }
        for (size_t i = 0; i + 2 < seen[replay].size(); i += 2) EXPECT_NE(seen[replay][i], seen[replay][i + 2]);
    }
    EXPECT_EQ(seen[1], seen[0]);
}

// The batches themselves, in the order of the shuffled epoch, and on into the next.
TEST(Replay, OfALoader_WalksOnThroughTheData)
{
    std::vector<double> walked[2];
    for (const bool replay : {false, true}) {
        Context ctx;
        const int64_t n = 24;
        std::vector<float> x(24);
        for (size_t i = 0; i < 24; i++) x[i] = static_cast<float>(i);
        ct_dataset *data;
        ct_loader *loader;
        ctx.check(ct_dataset_create(ctx, n, CT_F32, 0, nullptr, x.data(), CT_F32, 0, nullptr, x.data(), &data),
                  "ct_dataset_create");
        ct_loader_config config = {};
        config.batch = 4;
        config.shuffle = config.drop_last = true;
        ctx.check(ct_loader_create(data, &config, &loader), "ct_loader_create");
        const ct_tensor ring = ctx.leaf(CT_F32, {64}, std::vector<double>(64, 0));
        const auto step = [&] {
            ct_tensor bx, by;
            ctx.check(ct_loader_next(loader, &bx, &by), "ct_loader_next");
            ct_append(ctx, ring, ct_mean(ctx, ct_square(ctx, bx), 0, nullptr, false));
            ctx.end_step();
        };
        step();
        if (replay)
            ctx.check(ct_replay(ctx, 10), "ct_replay");
        else
            for (int i = 0; i < 10; i++) step();
        step();
        step();
        walked[replay] = ctx.read(ring);
        ct_loader_destroy(loader);
        ct_dataset_destroy(data);
    }
    EXPECT_EQ(walked[1], walked[0]);
}

class ReplayRefused : public ::testing::Test
{
  protected:
    void step()
    {
        ct_append(ctx, ring, ct_mean(ctx, x, 0, nullptr, false));
        ctx.end_step();
    }
    void expect_refused(int64_t n, ct_status status, std::initializer_list<const char *> words)
    {
        const Bits before = bits_of(ctx, ring);
        EXPECT_EQ(ct_replay(ctx, n), status);
        const std::string message = take_error(ctx, status);
        for (const char *word : words)
            EXPECT_NE(message.find(word), std::string::npos) << word << " is not in: " << message;
        EXPECT_EQ(bits_of(ctx, ring), before);
    }
    Context ctx;
    ct_tensor x = some_leaf(ctx, {4}, 1), ring = some_leaf(ctx, {5}, 2);
};

TEST_F(ReplayRefused, BeforeAnyStep) { expect_refused(1, CT_ERR_STATE, {"ct_replay", "no step has ended"}); }

TEST_F(ReplayRefused, SplitByItem)
{
    const ct_tensor y = ct_mean(ctx, x, 0, nullptr, false);
    ct_item(ctx, y);
    ct_append(ctx, ring, y);
    ctx.end_step();
    expect_refused(1, CT_ERR_STATE, {"ct_item", "split"});
}

TEST_F(ReplayRefused, SplitByItemAtItsEnd)
{
    ct_append(ctx, ring, ct_mean(ctx, x, 0, nullptr, false));
    ct_item(ctx, ct_mean(ctx, x, 0, nullptr, false));
    ctx.end_step();
    expect_refused(1, CT_ERR_STATE, {"ct_item", "split"});
}

TEST_F(ReplayRefused, SplitByRead)
{
    const ct_tensor y = ct_neg(ctx, x);
    bits_of(ctx, y);
    ct_append(ctx, ring, ct_mean(ctx, y, 0, nullptr, false));
    ctx.end_step();
    expect_refused(2, CT_ERR_STATE, {"ct_read"});
}

TEST_F(ReplayRefused, SplitByFlush)
{
    const ct_tensor y = ct_neg(ctx, x);
    ct_flush(ctx);
    ct_append(ctx, ring, ct_mean(ctx, y, 0, nullptr, false));
    ctx.end_step();
    expect_refused(2, CT_ERR_STATE, {"ct_flush"});
}

TEST_F(ReplayRefused, SplitByAWriteToWhatItReads)
{
    const ct_tensor y = ct_neg(ctx, x);
    ctx.write(x, {1, 2, 3, 4});
    ct_append(ctx, ring, ct_mean(ctx, y, 0, nullptr, false));
    ctx.end_step();
    expect_refused(2, CT_ERR_STATE, {"ct_write"});
}

TEST_F(ReplayRefused, ALeafWasReleasedAfterTheStep)
{
    const ct_tensor w = some_leaf(ctx, {4}, 3);
    ctx.check(ct_set_name(ctx, w, "weights"), "ct_set_name");
    ct_append(ctx, ring, ct_mean(ctx, w, 0, nullptr, false));
    ctx.end_step();
    ct_release(ctx, w);
    expect_refused(1, CT_ERR_STATE, {"weights", "released"});
}

TEST_F(ReplayRefused, ALeafWasReleasedWithinTheStep)
{
    const ct_tensor w = some_leaf(ctx, {4}, 3);
    ct_append(ctx, ring, ct_mean(ctx, w, 0, nullptr, false));
    ct_release(ctx, w);
    ctx.end_step();
    expect_refused(1, CT_ERR_STATE, {"released"});
}

TEST_F(ReplayRefused, ALeafWithAGradientWasReleased_NamesIt)
{
    const ct_tensor w = some_leaf(ctx, {4}, 3, true);
    ctx.check(ct_set_name(ctx, w, "weights"), "ct_set_name");
    ctx.check(ct_backward(ctx, ct_mean(ctx, ct_square(ctx, w), 0, nullptr, false)), "ct_backward");
    ctx.end_step();
    ct_release(ctx, w);
    expect_refused(1, CT_ERR_STATE, {"weights", "released"});
}

TEST_F(ReplayRefused, AnOptimizerWasDestroyed)
{
    Trainer t;
    t.step();
    ct_optimizer_destroy(t.optimizer);
    t.optimizer = nullptr;
    EXPECT_EQ(ct_replay(t.ctx, 1), CT_ERR_STATE);
    EXPECT_NE(take_error(t.ctx, CT_ERR_STATE).find("released"), std::string::npos);
}

TEST_F(ReplayRefused, RecordsWait)
{
    step();
    ct_neg(ctx, x);
    EXPECT_EQ(ct_replay(ctx, 1), CT_ERR_STATE);
    EXPECT_NE(take_error(ctx, CT_ERR_STATE).find("ct_step_end"), std::string::npos);
}

TEST_F(ReplayRefused, NothingWasRecorded)
{
    step();
    ctx.end_step();
    expect_refused(1, CT_ERR_STATE, {"nothing was recorded"});
}

TEST_F(ReplayRefused, TheStepFailed)
{
    step();
    ct_append(ctx, ring, ct_mean(ctx, x, 0, nullptr, false));
    ct_add(ctx, x, ring); // [4] and [5]
    EXPECT_EQ(ct_replay(ctx, 1), CT_ERR_SHAPE);
    take_error(ctx, CT_ERR_SHAPE);
    expect_refused(1, CT_ERR_STATE, {"failed"});
}

TEST_F(ReplayRefused, LessThanNone)
{
    step();
    expect_refused(-1, CT_ERR_ARGUMENT, {"-1"});
    // What was wrong was the call: the step is still there.
    EXPECT_EQ(ct_replay(ctx, 1), CT_OK);
}

TEST_F(ReplayRefused, APartialBatchWouldBeReached_NamesTheLargestNumber)
{
    const int64_t n = 11;
    std::vector<float> values(11, 1);
    ct_dataset *data;
    ct_loader *loader;
    ctx.check(ct_dataset_create(ctx, n, CT_F32, 0, nullptr, values.data(), CT_F32, 0, nullptr, values.data(), &data),
              "ct_dataset_create");
    ct_loader_config config = {};
    config.batch = 2;
    ctx.check(ct_loader_create(data, &config, &loader), "ct_loader_create");
    ct_tensor bx, by;
    ctx.check(ct_loader_next(loader, &bx, &by), "ct_loader_next");
    ct_append(ctx, ring, ct_mean(ctx, bx, 0, nullptr, false));
    ctx.end_step();
    expect_refused(5, CT_ERR_ARGUMENT, {"partial", "4"});
    EXPECT_EQ(ct_replay(ctx, 3), CT_OK);
    EXPECT_EQ(ct_replay(ctx, 1), CT_OK);
    expect_refused(1, CT_ERR_ARGUMENT, {"partial", "0"});
    // The step that takes the partial batch cannot be played again.
    ct_loader_next(loader, &bx, &by);
    EXPECT_EQ(ctx.shape(bx), std::vector<int64_t>{1});
    ct_append(ctx, ring, ct_mean(ctx, bx, 0, nullptr, false));
    ctx.end_step();
    expect_refused(1, CT_ERR_ARGUMENT, {"partial", "0"});
    ct_loader_destroy(loader);
    ct_dataset_destroy(data);
}

// The refusal names a number; asked for that one, the replay goes on, and so does the data.
TEST(Replay, AfterOneThatWasTooLong_WalksOnThroughTheData)
{
    std::vector<double> walked[2];
    for (const bool refused : {false, true}) {
        Context ctx;
        std::vector<float> x(11);
        for (size_t i = 0; i < 11; i++) x[i] = static_cast<float>(i);
        ct_dataset *data;
        ct_loader *loader;
        ctx.check(ct_dataset_create(ctx, 11, CT_F32, 0, nullptr, x.data(), CT_F32, 0, nullptr, x.data(), &data),
                  "ct_dataset_create");
        ct_loader_config config = {};
        config.batch = 2;
        ctx.check(ct_loader_create(data, &config, &loader), "ct_loader_create");
        const ct_tensor ring = ctx.leaf(CT_F32, {20}, std::vector<double>(20, 0));
        const auto step = [&] {
            ct_tensor bx, by;
            ctx.check(ct_loader_next(loader, &bx, &by), "ct_loader_next");
            ct_append(ctx, ring, ct_sum(ctx, bx, 0, nullptr, false));
            ctx.end_step();
        };
        step();
        if (refused) {
            EXPECT_EQ(ct_replay(ctx, 5), CT_ERR_ARGUMENT);
            take_error(ctx, CT_ERR_ARGUMENT);
        }
        EXPECT_EQ(ct_replay(ctx, 3), CT_OK);
        for (int i = 0; i < 4; i++) step();
        walked[refused] = ctx.read(ring);
        ct_loader_destroy(loader);
        ct_dataset_destroy(data);
    }
    EXPECT_EQ(walked[0], (std::vector<double>{1, 5, 9, 13, 17, 10, 1, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
    EXPECT_EQ(walked[1], walked[0]);
}

TEST(Replay, OfNone_DoesNothing)
{
    Trainer t;
    t.step(2);
    const Bits before = t.state();
    Trainer again;
    again.step(2);
    EXPECT_EQ(ct_replay(again.ctx, 0), CT_OK);
    EXPECT_EQ(stats_of(again.ctx).replays, 0);
    EXPECT_EQ(again.state(), before);
}

TEST(Replay, AfterAWriteBetweenSteps_ReadsTheNewContents)
{
    Context ctx;
    const ct_tensor x = ctx.leaf(CT_F32, {2}, {1, 2}), out = ctx.leaf(CT_F32, {2}, {0, 0});
    ct_assign(ctx, out, ct_neg(ctx, x));
    ctx.end_step();
    ctx.write(x, {5, 6});
    EXPECT_EQ(ct_replay(ctx, 1), CT_OK);
    EXPECT_EQ(ctx.read(out), (std::vector<double>{-5, -6}));
}

TEST(Replay, AfterAnotherRate_UsesItWithoutCompiling)
{
    Trainer recorded, replayed;
    recorded.step(2);
    replayed.step(2);
    const int64_t compiles = stats_of(replayed.ctx).compiles;
    for (const double rate : {1e-2, 1e-4, 1e-2}) {
        recorded.ctx.check(ct_optimizer_set_lr(recorded.optimizer, rate), "ct_optimizer_set_lr");
        replayed.ctx.check(ct_optimizer_set_lr(replayed.optimizer, rate), "ct_optimizer_set_lr");
        recorded.step(3);
        replayed.ctx.check(ct_replay(replayed.ctx, 3), "ct_replay");
    }
    recorded.step();
    replayed.step();
    EXPECT_EQ(replayed.state(), recorded.state());
    EXPECT_EQ(stats_of(replayed.ctx).compiles, compiles);
}

// A rate set between the recording and the end of the step is for later steps.
TEST(Replay, ARateSetBehindTheUpdate_IsForWhatFollows)
{
    Trainer a, b;
    a.record();
    ct_optimizer_set_lr(a.optimizer, 0.5);
    a.ctx.end_step();
    b.step();
    EXPECT_EQ(a.state(), b.state());
    a.step();
    ct_optimizer_set_lr(b.optimizer, 0.5);
    b.step();
    EXPECT_EQ(a.state(), b.state());
}

// The same program may be recorded by another optimizer, whose leaves lie where those of the
// first lay: its rate is the one that replays follow.
TEST(Replay, OfAProgramMadeForAnotherOptimizer_FollowsTheRateOfThisOne)
{
    Context ctx;
    const ct_tensor w = ctx.leaf(CT_F32, {1}, {0});
    ctx.check(ct_set_requires_grad(ctx, w, true), "ct_set_requires_grad");
    ct_params *params;
    ctx.check(ct_params_create(ctx, &params), "ct_params_create");
    ctx.check(ct_params_add(params, "w", w), "ct_params_add");
    ct_sgd_config config;
    ct_sgd_defaults(&config);
    const auto make = [&](double rate) {
        ct_optimizer *optimizer;
        config.lr = rate;
        ctx.check(ct_sgd_create(ctx, params, &config, &optimizer), "ct_sgd_create");
        return optimizer;
    };
    const auto step = [&](ct_optimizer *optimizer) {
        ct_zero_grad(ctx, w);
        ctx.check(ct_backward(ctx, ct_sum(ctx, w, 0, nullptr, false)), "ct_backward");
        ctx.check(ct_optimizer_step(optimizer), "ct_optimizer_step");
        ctx.end_step();
    };
    ct_optimizer *first = make(1), *second = make(1);
    step(first);
    ct_optimizer_destroy(first);
    ct_optimizer_destroy(second);
    ct_optimizer *third = make(1000), *fourth = make(1);
    for (ct_optimizer *optimizer : {third, fourth}) {
        const double rate = ct_optimizer_get_lr(optimizer);
        ctx.write(w, {0});
        step(optimizer);
        EXPECT_EQ(ctx.read(w)[0], -rate);
        ctx.check(ct_replay(ctx, 1), "ct_replay");
        EXPECT_EQ(ctx.read(w)[0], -2 * rate) << "rate " << rate;
    }
    EXPECT_LE(stats_of(ctx).compiles, 2) << "counts of steps lie at two addresses";
    ct_optimizer_destroy(third);
    ct_optimizer_destroy(fourth);
    ct_params_destroy(params);
}

} // namespace

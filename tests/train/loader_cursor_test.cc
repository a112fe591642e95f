// The cursor of a loader, on the device with its mirror on the host: through replays, several draws in a
// step, partial batches and steps that fail.
#include "train/loader_test.h"

namespace
{

// ---- replay ----------------------------------------------------------------------------------------------------

TEST(LoaderReplay, CursorWalksOn)
{
    Context ctx;
    const Dataset data = numbered(ctx, 20);
    for (const bool shuffle : {false, true}) {
        const Loader loader = make_loader(ctx, data, batches_of(5, shuffle));
        const ct_tensor last = ctx.leaf(CT_I64, {5}, Values(5));
        ct_tensor x, y;
        ctx.check(ct_loader_next(loader.get(), &x, &y), "ct_loader_next");
        ctx.check(ct_assign(ctx, last, y), "ct_assign");
        ctx.end_step();
        std::vector<Values> batches = {ctx.read(last)};
        for (int i = 0; i < 7; ++i) {
            ctx.check(ct_replay(ctx, 1), "ct_replay");
            batches.push_back(ctx.read(last));
        }
        std::set<double> first, second;
        for (size_t b = 0; b < 8; ++b) (b < 4 ? first : second).insert(batches[b].begin(), batches[b].end());
        EXPECT_EQ(first.size(), 20u);
        EXPECT_EQ(second.size(), 20u);
        if (!shuffle) {
            EXPECT_EQ(batches[6], (Values{10, 11, 12, 13, 14}));
        }
        EXPECT_EQ(batches[0] == batches[4], !shuffle);
    }
}

TEST(LoaderReplay, GivesTheBatchesThatRecordingGives)
{
    Rows orders[2];
    for (const bool replay : {false, true}) {
        Context ctx;
        const Dataset data = numbered(ctx, 24);
        const Loader loader = make_loader(ctx, data, batches_of(4, true));
        const ct_tensor last = ctx.leaf(CT_I64, {4}, Values(4));
        for (int step = 0; step < 15; ++step) {
            if (replay && step % 4 != 0) {
                ctx.check(ct_replay(ctx, 1), "ct_replay");
            } else {
                ct_tensor x, y;
                ctx.check(ct_loader_next(loader.get(), &x, &y), "ct_loader_next");
                ctx.check(ct_assign(ctx, last, y), "ct_assign");
                ctx.end_step();
            }
            for (const double row : ctx.read(last)) orders[replay].push_back(static_cast<int64_t>(row));
        }
    }
    EXPECT_EQ(orders[0], orders[1]);
}

TEST(LoaderReplay, WholeEpochs_WithoutAPartialBatch_HaveNoLimit)
{
    Context ctx;
    const Dataset data = numbered(ctx, 23);
    for (const bool shuffle : {false, true}) {
        const Loader loader = make_loader(ctx, data, batches_of(5, shuffle, true)); // 4 batches
        Counter counter(ctx, 23);
        count_step(ctx, loader, counter);
        ctx.check(ct_replay(ctx, 399), "ct_replay");
        const Values counts = counter.counts();
        EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), 0.0), 2000);
        if (!shuffle) {
            for (size_t i = 0; i < 23; ++i) EXPECT_EQ(counts[i], i < 20 ? 100 : 0);
        }
        const Rows rows = next_rows(ctx, loader);
        if (!shuffle) {
            EXPECT_EQ(rows, in_order(5)) << "the host's mirror of the cursor";
        }
    }
}

TEST(LoaderReplay, EpochOfReplaysThenThePartialBatch_HasEachRowOnce)
{
    Context ctx;
    const Dataset data = numbered(ctx, 23);
    for (const bool shuffle : {false, true}) {
        const Loader loader = make_loader(ctx, data, batches_of(5, shuffle)); // 4 full, one of 3
        Counter counter(ctx, 23);
        for (int e = 1; e <= 5; ++e) {
            count_step(ctx, loader, counter);
            ctx.check(ct_replay(ctx, 3), "ct_replay");
            count_step(ctx, loader, counter);
            EXPECT_EQ(counter.counts(), counter.all(e)) << "after epoch " << e;
        }
    }
}

TEST(LoaderReplay, StepsOfEachEpoch_AreCompiledOnce)
{
    Context ctx;
    const Dataset data = numbered(ctx, 23);
    const Loader loader = make_loader(ctx, data, batches_of(5, true));
    Counter counter(ctx, 23);
    for (int e = 0; e < 3; ++e) {
        if (e == 1) ct_expect_cached(ctx, true);
        for (int b = 0; b < 5; ++b) count_step(ctx, loader, counter);
    }
    EXPECT_EQ(counter.counts(), counter.all(3));
}

TEST(LoaderReplay, BeyondTheFullBatches_IsRefusedNamingTheLargest)
{
    Context ctx;
    const Dataset data = numbered(ctx, 53);
    const Loader loader = make_loader(ctx, data, batches_of(5)); // 10 full, one of 3
    Counter counter(ctx, 53);
    count_step(ctx, loader, counter);
    count_step(ctx, loader, counter);
    expect_error(ctx, ct_replay(ctx, 9), CT_ERR_ARGUMENT, {"ct_replay", "partial", "largest n is 8"});
    ctx.check(ct_replay(ctx, 8), "ct_replay of the largest n");
    Values counts = counter.all(1);
    std::fill(counts.begin() + 50, counts.end(), 0);
    EXPECT_EQ(counter.counts(), counts);
    expect_error(ctx, ct_replay(ctx, 1), CT_ERR_ARGUMENT, {"largest n is 0"});
    ctx.check(ct_replay(ctx, 0), "ct_replay of nothing");
    count_step(ctx, loader, counter);
    EXPECT_EQ(counter.counts(), counter.all(1));
}

TEST(LoaderReplay, RefusedReplay_IsRefusedAgain)
{
    Context ctx;
    const Dataset data = numbered(ctx, 23);
    const Loader loader = make_loader(ctx, data, batches_of(5));
    Counter counter(ctx, 23);
    count_step(ctx, loader, counter);
    for (int i = 0; i < 3; ++i) expect_error(ctx, ct_replay(ctx, 4), CT_ERR_ARGUMENT, {"largest n is 3"});
    EXPECT_EQ(next_rows(ctx, loader), (Rows{5, 6, 7, 8, 9}));
}

TEST(LoaderReplay, ErrorBetweenStepAndReplay_KeepsTheLimit)
{
    Context ctx;
    const Dataset data = numbered(ctx, 23);
    const Loader loader = make_loader(ctx, data, batches_of(5));
    Counter counter(ctx, 23);
    count_step(ctx, loader, counter);
    EXPECT_EQ(ct_neg(ctx, {0}).bits, 0u); // nothing was pending, so nothing is lost
    expect_error(ctx, ct_error(ctx), CT_ERR_ARGUMENT);
    expect_error(ctx, ct_replay(ctx, 4), CT_ERR_ARGUMENT, {"largest n is 3"});
    ctx.check(ct_replay(ctx, 2), "ct_replay");
    EXPECT_EQ(next_rows(ctx, loader), (Rows{15, 16, 17, 18, 19}));
    EXPECT_EQ(next_rows(ctx, loader), (Rows{20, 21, 22}));
}

TEST(LoaderReplay, OfAPartialBatch_IsRefused)
{
    Context ctx;
    const Dataset data = numbered(ctx, 8);
    const Loader loader = make_loader(ctx, data, batches_of(5));
    Counter counter(ctx, 8);
    count_step(ctx, loader, counter);
    count_step(ctx, loader, counter);
    expect_error(ctx, ct_replay(ctx, 1), CT_ERR_ARGUMENT, {"largest n is 0"});
    EXPECT_EQ(counter.counts(), counter.all(1));
    EXPECT_EQ(next_rows(ctx, loader), in_order(5));
}

TEST(LoaderReplay, OfAStepThatDrewNothing_LeavesTheCursor)
{
    Context ctx;
    const Dataset data = numbered(ctx, 8);
    const Loader loader = make_loader(ctx, data, batches_of(5));
    const ct_tensor total = ctx.leaf(CT_F64, {}, {0}), one = ctx.leaf(CT_F64, {}, {1});
    EXPECT_EQ(next_rows(ctx, loader), in_order(5));
    ctx.check(ct_accumulate(ctx, total, one), "ct_accumulate");
    ctx.end_step();
    ctx.check(ct_replay(ctx, 100), "ct_replay");
    EXPECT_EQ(ctx.read(total), (Values{101}));
    EXPECT_EQ(next_rows(ctx, loader), (Rows{5, 6, 7}));
}

TEST(LoaderReplay, OfALoaderThatIsGone_IsRefused)
{
    Context ctx;
    const Dataset data = numbered(ctx, 8);
    Loader loader = make_loader(ctx, data, batches_of(2));
    Counter counter(ctx, 8);
    count_step(ctx, loader, counter);
    loader.reset();
    expect_error(ctx, ct_replay(ctx, 1), CT_ERR_STATE, {"ct_replay"});
}

// ---- several draws ------------------------------------------------------------------------------------------------

TEST(LoaderDraws, TwoOfOneLoaderInAStep_AreConsecutive)
{
    Context ctx;
    const Dataset data = numbered(ctx, 27);
    const Loader loader = make_loader(ctx, data, batches_of(5)); // 5 full, one of 2
    const ct_tensor first = ctx.leaf(CT_I64, {5}, Values(5)), second = ctx.leaf(CT_I64, {5}, Values(5));
    ct_tensor x, y0, y1;
    ctx.check(ct_loader_next(loader.get(), &x, &y0), "ct_loader_next");
    ctx.check(ct_loader_next(loader.get(), &x, &y1), "ct_loader_next");
    ctx.check(ct_assign(ctx, first, y0), "ct_assign");
    ctx.check(ct_assign(ctx, second, y1), "ct_assign");
    ctx.end_step();
    EXPECT_EQ(ctx.read(first), (Values{0, 1, 2, 3, 4}));
    EXPECT_EQ(ctx.read(second), (Values{5, 6, 7, 8, 9}));
    expect_error(ctx, ct_replay(ctx, 2), CT_ERR_ARGUMENT, {"largest n is 1"});
    ctx.check(ct_replay(ctx, 1), "ct_replay");
    EXPECT_EQ(ctx.read(first), (Values{10, 11, 12, 13, 14}));
    EXPECT_EQ(ctx.read(second), (Values{15, 16, 17, 18, 19}));
    EXPECT_EQ(next_rows(ctx, loader), (Rows{20, 21, 22, 23, 24}));
    EXPECT_EQ(next_rows(ctx, loader), (Rows{25, 26}));
}

TEST(LoaderDraws, TwoInAStep_AcrossTheEndOfAnEpoch)
{
    Context ctx;
    const Dataset data = numbered(ctx, 15);
    for (const bool shuffle : {false, true}) {
        const Loader loader = make_loader(ctx, data, batches_of(5, shuffle));
        Counter counter(ctx, 15);
        count_step(ctx, loader, counter, 2);
        ctx.check(ct_replay(ctx, 2), "ct_replay"); // two epochs of three
        EXPECT_EQ(counter.counts(), counter.all(2));
        ctx.check(ct_replay(ctx, 300), "ct_replay");
        EXPECT_EQ(counter.counts(), counter.all(202));
    }
}

TEST(LoaderDraws, FullAndPartialBatchInOneStep)
{
    Context ctx;
    const Dataset data = numbered(ctx, 8);
    const Loader loader = make_loader(ctx, data, batches_of(5, true));
    Counter counter(ctx, 8);
    for (int e = 1; e <= 3; ++e) {
        count_step(ctx, loader, counter, 2);
        EXPECT_EQ(counter.counts(), counter.all(e));
        expect_error(ctx, ct_replay(ctx, 1), CT_ERR_ARGUMENT, {"largest n is 0"});
    }
}

TEST(LoaderDraws, TwoLoadersInOneStep_TheShorterLimitsTheReplay)
{
    Context ctx;
    const Dataset data = numbered(ctx, 53), other = numbered(ctx, 32);
    const Loader a = make_loader(ctx, data, batches_of(5));        // 10 full, one of 3
    const Loader b = make_loader(ctx, other, batches_of(4, true)); // 8 full
    const Loader c = make_loader(ctx, data, batches_of(8));        // 6 full, one of 5
    Counter of_a(ctx, 53), of_b(ctx, 32), of_c(ctx, 53);
    const std::pair<const Loader *, Counter *> pairs[] = {{&a, &of_a}, {&b, &of_b}, {&c, &of_c}};
    for (const auto &[loader, counter] : pairs) {
        ct_tensor x, y;
        ctx.check(ct_loader_next(loader->get(), &x, &y), "ct_loader_next");
        counter->record(x);
    }
    ctx.end_step();
    expect_error(ctx, ct_replay(ctx, 8), CT_ERR_ARGUMENT, {"largest n is 5"});
    ctx.check(ct_replay(ctx, 5), "ct_replay");
    count_step(ctx, c, of_c);
    EXPECT_EQ(of_c.counts(), of_c.all(1));
    for (int i = 0; i < 2; ++i) count_step(ctx, b, of_b);
    EXPECT_EQ(of_b.counts(), of_b.all(1));
    count_step(ctx, a, of_a);
    ctx.check(ct_replay(ctx, 3), "ct_replay");
    count_step(ctx, a, of_a);
    EXPECT_EQ(of_a.counts(), of_a.all(1));
}

TEST(LoaderDraws, DrawnInASplitStep_TheCursorFollows)
{
    Context ctx;
    const Dataset data = numbered(ctx, 12);
    const Loader loader = make_loader(ctx, data, batches_of(4));
    ct_tensor x, y;
    ctx.check(ct_loader_next(loader.get(), &x, &y), "ct_loader_next");
    EXPECT_EQ(ctx.read(y), (Values{0, 1, 2, 3}));
    ctx.check(ct_loader_next(loader.get(), &x, &y), "ct_loader_next");
    EXPECT_EQ(ctx.read(y), (Values{4, 5, 6, 7}));
    ctx.end_step();
    expect_error(ctx, ct_replay(ctx, 1), CT_ERR_STATE, {"ct_read"});
    EXPECT_EQ(next_rows(ctx, loader), (Rows{8, 9, 10, 11}));
}

TEST(LoaderDraws, UnusedBatch_StillMovesTheCursor)
{
    Context ctx;
    const Dataset data = numbered(ctx, 12);
    const Loader loader = make_loader(ctx, data, batches_of(4));
    const ct_tensor last = ctx.leaf(CT_F64, {4, 2}, Values(8));
    ct_tensor x, y;
    ctx.check(ct_loader_next(loader.get(), &x, &y), "ct_loader_next"); // neither is used
    ctx.end_step();
    ctx.check(ct_loader_next(loader.get(), &x, &y), "ct_loader_next"); // only x is
    ctx.check(ct_assign(ctx, last, x), "ct_assign");
    ctx.end_step();
    EXPECT_EQ(ctx.read(last), (Values{4, -4, 5, -5, 6, -6, 7, -7}));
    EXPECT_EQ(next_rows(ctx, loader), (Rows{8, 9, 10, 11}));
}

// ---- steps that fail -------------------------------------------------------------------------------------------

TEST(LoaderFailure, StepThatFails_LeavesTheCursorWhereItWas)
{
    Context ctx;
    const Dataset data = numbered(ctx, 12);
    const Loader loader = make_loader(ctx, data, batches_of(5));
    const ct_tensor wrong = ctx.leaf(CT_F64, {3, 3}, Values(9));
    Counter counter(ctx, 12);
    for (const Rows &expected : {in_order(5), Rows{5, 6, 7, 8, 9}, Rows{10, 11}, in_order(5)}) {
        for (int tries = 0; tries < 2; ++tries) {
            ct_tensor x, y;
            ctx.check(ct_loader_next(loader.get(), &x, &y), "ct_loader_next");
            counter.record(x);
            EXPECT_EQ(ct_add(ctx, x, wrong).bits, 0u);
            expect_error(ctx, ct_step_end(ctx), CT_ERR_SHAPE, {"add"});
        }
        EXPECT_EQ(next_rows(ctx, loader), expected);
    }
    EXPECT_EQ(counter.counts(), counter.all(0));
}

TEST(LoaderFailure, StepThatFailsAfterTwoDraws_LeavesTheCursorWhereItWas)
{
    Context ctx;
    const Dataset data = numbered(ctx, 12);
    const Loader loader = make_loader(ctx, data, batches_of(5));
    ct_tensor x, y;
    for (int i = 0; i < 3; ++i) ctx.check(ct_loader_next(loader.get(), &x, &y), "ct_loader_next");
    expect_error(ctx, ct_backward(ctx, x), CT_ERR_SHAPE);
    EXPECT_EQ(ct_describe(ctx, x, nullptr), CT_ERR_ARGUMENT);
    EXPECT_EQ(next_rows(ctx, loader), in_order(5));
    EXPECT_EQ(next_rows(ctx, loader), (Rows{5, 6, 7, 8, 9}));
    EXPECT_EQ(next_rows(ctx, loader), (Rows{10, 11}));
}

TEST(LoaderFailure, PartThatWasLaunchedBeforeTheError_Counts)
{
    Context ctx;
    const Dataset data = numbered(ctx, 12);
    const Loader loader = make_loader(ctx, data, batches_of(5));
    ct_tensor x, y;
    ctx.check(ct_loader_next(loader.get(), &x, &y), "ct_loader_next");
    EXPECT_EQ(ctx.read(y), (Values{0, 1, 2, 3, 4})); // launched
    ctx.check(ct_loader_next(loader.get(), &x, &y), "ct_loader_next");
    expect_error(ctx, ct_backward(ctx, x), CT_ERR_SHAPE); // only this draw is lost
    EXPECT_EQ(next_rows(ctx, loader), (Rows{5, 6, 7, 8, 9}));
}

TEST(LoaderFailure, WhileAnErrorStands_NothingIsDrawn)
{
    Context ctx;
    const Dataset data = numbered(ctx, 12);
    const Loader loader = make_loader(ctx, data, batches_of(5));
    EXPECT_EQ(ct_neg(ctx, {0}).bits, 0u);
    ct_tensor x = {1}, y = {1};
    EXPECT_EQ(ct_loader_next(loader.get(), &x, &y), CT_ERR_ARGUMENT);
    EXPECT_EQ(x.bits, 0u);
    EXPECT_EQ(y.bits, 0u);
    ct_clear_error(ctx);
    EXPECT_EQ(next_rows(ctx, loader), in_order(5));
}

TEST(LoaderFailure, StepThatDoesNotFitThePool_LeavesTheCursorWhereItWas)
{
    ct_config config = {};
    config.pool_bytes = 1 << 18;
    Context ctx(devices().front(), config);
    const Dataset data = numbered(ctx, 12);
    const Loader loader = make_loader(ctx, data, batches_of(5));
    const int64_t big[] = {4096, 5, 2};
    const ct_tensor kept = ctx.leaf(CT_F64, {5}, Values(5));
    ct_tensor x, y;
    ctx.check(ct_loader_next(loader.get(), &x, &y), "ct_loader_next");
    const ct_tensor wide = ct_exp(ctx, ct_neg(ctx, ct_exp(ctx, ct_expand(ctx, x, 3, big))));
    const int dims[] = {0, 2};
    ctx.check(ct_assign(ctx, kept, ct_sum(ctx, wide, 2, dims, false)), "ct_assign");
    expect_error(ctx, ct_step_end(ctx), CT_ERR_MEMORY);
    EXPECT_EQ(ctx.read(kept), Values(5));
    EXPECT_EQ(next_rows(ctx, loader), in_order(5));
}

TEST(LoaderFailure, LoaderDestroyedWithADrawPending_TheStepStillHappens)
{
    Context ctx;
    const Dataset data = numbered(ctx, 12);
    Loader loader = make_loader(ctx, data, batches_of(4));
    const ct_tensor last = ctx.leaf(CT_I64, {4}, Values(4));
    ct_tensor x, y;
    ctx.check(ct_loader_next(loader.get(), &x, &y), "ct_loader_next");
    ctx.check(ct_assign(ctx, last, y), "ct_assign");
    loader.reset();
    ctx.end_step();
    EXPECT_EQ(ctx.read(last), (Values{0, 1, 2, 3}));
}

TEST(LoaderFailure, BadArguments_AreRefused)
{
    Context ctx;
    const Dataset data = numbered(ctx, 12);
    for (const int64_t batch : {int64_t(0), int64_t(-1), int64_t(13), INT64_MAX, INT64_MIN}) {
        const ct_loader_config config = batches_of(batch);
        ct_loader *loader = reinterpret_cast<ct_loader *>(&ctx);
        expect_error(ctx, ct_loader_create(data.get(), &config, &loader), CT_ERR_ARGUMENT, {"ct_loader_create", "12"});
        EXPECT_EQ(loader, nullptr);
    }
    const ct_loader_config config = batches_of(4);
    ct_loader *none = nullptr;
    EXPECT_EQ(ct_loader_create(nullptr, &config, &none), CT_ERR_ARGUMENT);
    EXPECT_EQ(ct_loader_create(data.get(), nullptr, &none), CT_ERR_ARGUMENT);
    EXPECT_EQ(ct_loader_create(data.get(), &config, nullptr), CT_ERR_ARGUMENT);
    ct_clear_error(ctx);
    EXPECT_EQ(ct_loader_batches(nullptr), 0);
    ct_loader_destroy(nullptr);
    const Loader loader = make_loader(ctx, data, config);
    ct_tensor x = {1}, y = {1};
    EXPECT_EQ(ct_loader_next(nullptr, &x, &y), CT_ERR_ARGUMENT);
    EXPECT_EQ(x.bits, 0u);
    expect_error(ctx, ct_loader_next(loader.get(), nullptr, &y), CT_ERR_ARGUMENT, {"ct_loader_next"});
    expect_error(ctx, ct_loader_next(loader.get(), &x, nullptr), CT_ERR_ARGUMENT, {"ct_loader_next"});
    EXPECT_EQ(next_rows(ctx, loader), in_order(4));
}

} // namespace

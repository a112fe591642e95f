// Loaders: what an epoch is made of, its order, and the cursor on the device with its
// mirror on the host through replays, partial batches and steps that fail.
#include "train/train_test.h"

#include <algorithm>
#include <set>

namespace
{

using Rows = std::vector<int64_t>;

// A data set whose row i is x [2] = {i, -i} in F64 and y = i in I64.
Dataset numbered(Context &ctx, int64_t n)
{
    std::vector<double> x;
    std::vector<int64_t> y(static_cast<size_t>(n));
    std::iota(y.begin(), y.end(), 0);
    for (const int64_t i : y) {
        x.push_back(static_cast<double>(i));
        x.push_back(-static_cast<double>(i));
    }
    const int64_t two = 2;
    ct_dataset *raw = nullptr;
    ctx.check(ct_dataset_create(ctx, n, CT_F64, 1, &two, x.data(), CT_I64, 0, nullptr, y.data(), &raw),
              "ct_dataset_create");
    return Dataset(raw);
}

ct_loader_config batches_of(int64_t batch, bool shuffle = false, bool drop_last = false)
{
    ct_loader_config config = {};
    config.batch = batch;
    config.shuffle = shuffle;
    config.drop_last = drop_last;
    return config;
}

// The rows of the next batch, as a step of its own; x and y must belong together.
Rows next_rows(Context &ctx, const Loader &loader)
{
    ct_tensor x, y;
    ctx.check(ct_loader_next(loader.get(), &x, &y), "ct_loader_next");
    const Values vx = ctx.read(x), vy = ctx.read(y);
    ctx.end_step();
    Rows rows;
    for (size_t i = 0; i < vy.size(); ++i) {
        rows.push_back(static_cast<int64_t>(vy[i]));
        EXPECT_EQ(vx.at(2 * i), vy[i]);
        EXPECT_EQ(vx.at(2 * i + 1), -vy[i]);
    }
    return rows;
}

Rows epoch(Context &ctx, const Loader &loader)
{
    Rows all;
    for (int64_t b = 0; b < ct_loader_batches(loader.get()); ++b)
        for (const int64_t row : next_rows(ctx, loader)) all.push_back(row);
    return all;
}

Rows in_order(int64_t n)
{
    Rows rows(static_cast<size_t>(n));
    std::iota(rows.begin(), rows.end(), 0);
    return rows;
}

Rows sorted(Rows rows)
{
    std::sort(rows.begin(), rows.end());
    return rows;
}

// Records how often each row was drawn, on the device: it counts under replay too.
class Counter
{
  public:
    Counter(Context &ctx, int64_t n) : ctx_(ctx), n_(n)
    {
        const Rows rows = in_order(n);
        numbers_ = ctx.leaf(CT_F64, {1, n}, Values(rows.begin(), rows.end()));
        counts_ = ctx.leaf(CT_F64, {n}, Values(rows.size()));
    }
    void record(ct_tensor x)
    {
        const int64_t batch = ctx_.shape(x)[0];
        const int64_t column[] = {batch, 1};
        const int dim = 0;
        const ct_tensor rows = ct_reshape(ctx_, first_column(x), 2, column);
        const ct_tensor hits = ct_sum(ctx_, ct_eq(ctx_, rows, numbers_), 1, &dim, false);
        ctx_.check(ct_accumulate(ctx_, counts_, hits), "ct_accumulate");
    }
    Values counts() { return ctx_.read(counts_); }
    Values all(double times) const { return Values(static_cast<size_t>(n_), times); }

  private:
    // The first column of x [batch, 2], by ops of this version: |x| summed and halved.
    ct_tensor first_column(ct_tensor x)
    {
        const int dim = 1;
        return ct_mul_scalar(ctx_, ct_sum(ctx_, ct_abs(ctx_, x), 1, &dim, false), 0.5);
    }
    Context &ctx_;
    int64_t n_;
    ct_tensor numbers_, counts_;
};

// Records a step that draws `draws` batches and counts their rows.
void count_step(Context &ctx, const Loader &loader, Counter &counter, int draws = 1)
{
    for (int i = 0; i < draws; ++i) {
        ct_tensor x, y;
        ctx.check(ct_loader_next(loader.get(), &x, &y), "ct_loader_next");
        counter.record(x);
    }
    ctx.end_step();
}

// ---- an epoch --------------------------------------------------------------------------------------------------

struct EpochCase {
    int64_t n, batch;
    bool shuffle, drop_last;
};

void PrintTo(const EpochCase &c, std::ostream *stream)
{
    *stream << c.n << " in batches of " << c.batch << (c.shuffle ? ", shuffled" : "")
            << (c.drop_last ? ", drop_last" : "");
}

class Epoch : public ::testing::TestWithParam<EpochCase>
{
};

TEST_P(Epoch, HasEachRowOnce_ThreeTimesOver)
{
    const EpochCase &c = GetParam();
    Context ctx;
    const Dataset data = numbered(ctx, c.n);
    const Loader loader = make_loader(ctx, data, batches_of(c.batch, c.shuffle, c.drop_last));
    const int64_t full = c.n / c.batch, batches = full + (!c.drop_last && c.n % c.batch != 0);
    EXPECT_EQ(ct_loader_batches(loader.get()), batches);
    for (int e = 0; e < 3; ++e) {
        Rows drawn;
        for (int64_t b = 0; b < batches; ++b) {
            const Rows rows = next_rows(ctx, loader);
            EXPECT_EQ(static_cast<int64_t>(rows.size()), b < full ? c.batch : c.n % c.batch);
            drawn.insert(drawn.end(), rows.begin(), rows.end());
        }
        if (!c.shuffle)
            EXPECT_EQ(drawn, in_order(c.drop_last ? full * c.batch : c.n));
        else if (!c.drop_last)
            EXPECT_EQ(sorted(drawn), in_order(c.n));
        else
            EXPECT_EQ(std::set<int64_t>(drawn.begin(), drawn.end()).size(), static_cast<size_t>(full * c.batch));
        for (const int64_t row : drawn) EXPECT_TRUE(row >= 0 && row < c.n);
    }
}

std::vector<EpochCase> epoch_cases()
{
    std::vector<EpochCase> found;
    for (const auto &[n, batch] : std::vector<std::pair<int64_t, int64_t>>{{1, 1},
                                                                           {2, 1},
                                                                           {2, 2},
                                                                           {3, 2},
                                                                           {4, 4},
                                                                           {5, 3},
                                                                           {16, 4},
                                                                           {17, 4},
                                                                           {17, 17},
                                                                           {17, 16},
                                                                           {64, 9},
                                                                           {65, 64},
                                                                           {100, 7},
                                                                           {1000, 33},
                                                                           {1025, 512}})
        for (const bool shuffle : {false, true})
            for (const bool drop_last : {false, true}) found.push_back({n, batch, shuffle, drop_last});
    return found;
}

INSTANTIATE_TEST_SUITE_P(Loader, Epoch, ::testing::ValuesIn(epoch_cases()), [](const auto &info) {
    const EpochCase &c = info.param;
    return std::to_string(c.n) + "_by_" + std::to_string(c.batch) + (c.shuffle ? "_shuffled" : "") +
           (c.drop_last ? "_drop_last" : "");
});

TEST(LoaderOrder, EveryLengthIsShuffledOntoItself)
{
    Context ctx;
    for (int64_t n = 1; n <= 140; ++n) {
        const Dataset data = numbered(ctx, n);
        const Loader loader = make_loader(ctx, data, batches_of(n, true));
        EXPECT_EQ(sorted(next_rows(ctx, loader)), in_order(n)) << n;
    }
}

TEST(LoaderOrder, LargeSet_IsShuffledOntoItself)
{
    Context ctx;
    const Dataset data = numbered(ctx, 100003);
    const Loader loader = make_loader(ctx, data, batches_of(1000, true));
    EXPECT_EQ(sorted(epoch(ctx, loader)), in_order(100003));
}

TEST(LoaderOrder, EpochsLoadersAndSeeds_AllDiffer)
{
    std::map<Rows, std::string> seen;
    for (const uint64_t seed : {0u, 1u, 2u, 3u, 1000u}) {
        ct_config config = {};
        config.seed = seed;
        Context ctx(devices().front(), config);
        const Dataset data = numbered(ctx, 50);
        const Loader loaders[] = {make_loader(ctx, data, batches_of(10, true)),
                                  make_loader(ctx, data, batches_of(10, true)),
                                  make_loader(ctx, data, batches_of(10, true))};
        for (int l = 0; l < 3; ++l)
            for (int e = 0; e < 4; ++e) {
                const std::string name =
                    "seed " + std::to_string(seed) + ", loader " + std::to_string(l) + ", epoch " + std::to_string(e);
                const auto [place, fresh] = seen.insert({epoch(ctx, loaders[l]), name});
                EXPECT_TRUE(fresh) << name << " has the order of " << place->second;
            }
    }
}

TEST(LoaderOrder, SameSeed_IsTheSameOrder_WhateverTheBatch)
{
    Rows orders[3];
    const int64_t batch[] = {10, 10, 7};
    for (int i = 0; i < 3; ++i) {
        ct_config config = {};
        config.seed = 42;
        Context ctx(devices().front(), config);
        const Dataset data = numbered(ctx, 50);
        const Loader loader = make_loader(ctx, data, batches_of(batch[i], true));
        for (int e = 0; e < 2; ++e) {
            const Rows rows = epoch(ctx, loader);
            orders[i].insert(orders[i].end(), rows.begin(), rows.end());
        }
    }
    EXPECT_EQ(orders[0], orders[1]);
    EXPECT_EQ(orders[0], orders[2]);
}

// Each row should come at each place about equally often, and not near where it stands in the file.
TEST(LoaderOrder, PlacesAreEvenOverManyEpochs)
{
    Context ctx;
    const int64_t n = 10, epochs = 2000;
    const Dataset data = numbered(ctx, n);
    const Loader loader = make_loader(ctx, data, batches_of(n, true));
    std::vector<Values> hits(static_cast<size_t>(n), Values(static_cast<size_t>(n)));
    for (int64_t e = 0; e < epochs; ++e) {
        const Rows rows = next_rows(ctx, loader);
        for (size_t place = 0; place < rows.size(); ++place) hits[static_cast<size_t>(rows[place])][place] += 1;
    }
    double chi_square = 0;
    const double expected = static_cast<double>(epochs) / static_cast<double>(n);
    for (const Values &row : hits)
        for (const double count : row) chi_square += (count - expected) * (count - expected) / expected;
    EXPECT_LT(chi_square, 81 + 5 * std::sqrt(2 * 81.0)); // 81 degrees of freedom
    EXPECT_GT(chi_square, 81 - 5 * std::sqrt(2 * 81.0));
}

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

// ---- values ------------------------------------------------------------------------------------------------------

struct Batch {
    ct_info x_info, y_info;
    Values x, y;
};

Batch first_batch(Context &ctx, const Dataset &data, const ct_loader_config &config)
{
    const Loader loader = make_loader(ctx, data, config);
    ct_tensor x, y;
    ctx.check(ct_loader_next(loader.get(), &x, &y), "ct_loader_next");
    Batch batch = {ctx.describe(x), ctx.describe(y), ctx.read(x), ctx.read(y)};
    ctx.end_step();
    return batch;
}

Dataset all_bytes(Context &ctx)
{
    std::vector<uint8_t> x(256);
    std::iota(x.begin(), x.end(), uint8_t(0));
    const int64_t shape[] = {8, 16};
    ct_dataset *raw = nullptr;
    ctx.check(ct_dataset_create(ctx, 2, CT_U8, 2, shape, x.data(), CT_U8, 1, shape + 1, x.data() + 100, &raw),
              "ct_dataset_create");
    return Dataset(raw);
}

TEST(LoaderValues, BytesBecomeF32_ByDefaultOver255)
{
    Context ctx;
    const Dataset data = all_bytes(ctx);
    const Batch batch = first_batch(ctx, data, batches_of(2));
    EXPECT_EQ(batch.x_info.dtype, CT_F32);
    EXPECT_FALSE(batch.x_info.requires_grad);
    EXPECT_EQ(std::vector<int64_t>(batch.x_info.shape, batch.x_info.shape + 3), (std::vector<int64_t>{2, 8, 16}));
    for (int i = 0; i < 256; ++i)
        EXPECT_EQ(batch.x[i], static_cast<double>(static_cast<float>(i) * static_cast<float>(1.0 / 255))) << i;
    EXPECT_EQ(batch.x[255], 1);
}

TEST(LoaderValues, BytesBecomeF32_ByScaleAndShift)
{
    Context ctx;
    const Dataset data = all_bytes(ctx);
    ct_loader_config config = batches_of(2);
    config.scale = 0.25;
    config.shift = -31.5;
    const Batch batch = first_batch(ctx, data, config);
    for (int i = 0; i < 256; ++i) EXPECT_EQ(batch.x[i], i * 0.25 - 31.5) << i;
    config.scale = -2;
    config.shift = 0.5;
    const Batch other = first_batch(ctx, data, config);
    for (int i = 0; i < 256; ++i) EXPECT_EQ(other.x[i], i * -2.0 + 0.5) << i;
}

TEST(LoaderValues, ZeroScaleMeansTheDefault_WithAShift)
{
    Context ctx;
    const Dataset data = all_bytes(ctx);
    ct_loader_config config = batches_of(2);
    config.shift = -0.5;
    const Batch batch = first_batch(ctx, data, config);
    for (int i = 0; i < 256; ++i) EXPECT_NEAR(batch.x[i], i / 255.0 - 0.5, 1e-7) << i;
}

TEST(LoaderValues, BytesAsTargets_StayBytes)
{
    Context ctx;
    const Dataset data = all_bytes(ctx);
    const Batch batch = first_batch(ctx, data, batches_of(2));
    EXPECT_EQ(batch.y_info.dtype, CT_U8);
    EXPECT_EQ(batch.y_info.ndim, 2);
    for (int i = 0; i < 32; ++i) EXPECT_EQ(batch.y[i], 100 + i);
}

TEST(LoaderValues, OtherDtypes_AreUnchanged)
{
    Context ctx;
    const float f32[] = {-0.0f, 1e-40f, INFINITY, 3.25f};
    const double f64[] = {-0.0, 1e-310, -INFINITY, 0.1};
    const int32_t i32[] = {INT32_MIN, -1, 0, INT32_MAX};
    const int64_t i64[] = {-(int64_t(1) << 53), -1, 0, int64_t(1) << 53};
    const struct {
        ct_dtype dtype;
        const void *data;
        Values values;
    } kinds[] = {{CT_F32, f32, {-0.0, static_cast<double>(1e-40f), INFINITY, 3.25}},
                 {CT_F64, f64, {-0.0, 1e-310, -INFINITY, 0.1}},
                 {CT_I32, i32, {INT32_MIN, -1, 0, INT32_MAX}},
                 {CT_I64, i64, {-9007199254740992.0, -1, 0, 9007199254740992.0}}};
    for (const auto &x : kinds)
        for (const auto &y : kinds) {
            ct_dataset *raw = nullptr;
            const int64_t two = 2;
            ctx.check(ct_dataset_create(ctx, 2, x.dtype, 1, &two, x.data, y.dtype, 1, &two, y.data, &raw),
                      "ct_dataset_create");
            const Dataset data(raw);
            ct_loader_config config = batches_of(2);
            config.scale = 7; // for bytes only
            config.shift = 3;
            const Batch batch = first_batch(ctx, data, config);
            EXPECT_EQ(batch.x_info.dtype, x.dtype);
            EXPECT_EQ(batch.y_info.dtype, y.dtype);
            EXPECT_TRUE(same_bits(batch.x, x.values));
            EXPECT_TRUE(same_bits(batch.y, y.values));
        }
}

TEST(LoaderValues, RowsWithoutElements_AreHarmless)
{
    Context ctx;
    const int64_t none = 0;
    const int32_t y[] = {1, 2, 3};
    ct_dataset *raw = nullptr;
    ctx.check(ct_dataset_create(ctx, 3, CT_F32, 1, &none, y, CT_I32, 0, nullptr, y, &raw), "ct_dataset_create");
    const Dataset data(raw);
    const Batch batch = first_batch(ctx, data, batches_of(2));
    EXPECT_EQ(batch.x_info.numel, 0);
    EXPECT_EQ(batch.y, (Values{1, 2}));
}

TEST(LoaderValues, TwoScalesOfOneDataSet_DoNotMix)
{
    Context ctx;
    const Dataset data = all_bytes(ctx);
    ct_loader_config one = batches_of(1), two = batches_of(1);
    one.scale = 1;
    two.scale = 2;
    const Loader a = make_loader(ctx, data, one), b = make_loader(ctx, data, two);
    const ct_tensor of_a = ctx.leaf(CT_F32, {1, 8, 16}, Values(128)), of_b = ctx.leaf(CT_F32, {1, 8, 16}, Values(128));
    ct_tensor xa, xb, y;
    ctx.check(ct_loader_next(a.get(), &xa, &y), "ct_loader_next");
    ctx.check(ct_loader_next(b.get(), &xb, &y), "ct_loader_next");
    ctx.check(ct_assign(ctx, of_a, xa), "ct_assign");
    ctx.check(ct_assign(ctx, of_b, xb), "ct_assign");
    ctx.end_step();
    ctx.check(ct_replay(ctx, 1), "ct_replay");
    EXPECT_EQ(ctx.read(of_a)[3], 131);
    EXPECT_EQ(ctx.read(of_b)[3], 262);
}

} // namespace

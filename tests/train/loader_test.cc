// Loaders: what an epoch is made of, its order, and the values of a batch.
#include "train/loader_test.h"

#include <set>

namespace
{

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

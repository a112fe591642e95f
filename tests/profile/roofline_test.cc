// The roofline: against peaks made by hand, and measured on the device, which is not to show afterwards.
#include "profile/peaks.h"
#include "simt/include/cuda_runtime_api.h"
#include "simt/simt.h"
#include "support/context.h"
#include "support/training.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <dlfcn.h>

namespace
{

// A cache of 100 bytes at 50 B/s, a slower one of 1000, memory; a size in between that came out too slow.
const peaks by_hand = {true, 4, {1000, 250}, {100, 500, 1000, 10000}, {50, 15, 20, 10}};

TEST(Roofline, BandwidthIsTheMostForAsManyBytesOrMore)
{
    EXPECT_EQ(bandwidth_for(&by_hand, 1), 50);
    EXPECT_EQ(bandwidth_for(&by_hand, 100), 50);
    EXPECT_EQ(bandwidth_for(&by_hand, 101), 20);
    EXPECT_EQ(bandwidth_for(&by_hand, 500), 20);
    EXPECT_EQ(bandwidth_for(&by_hand, 1000), 20);
    EXPECT_EQ(bandwidth_for(&by_hand, 1001), 10);
    EXPECT_EQ(bandwidth_for(&by_hand, 1e12), 10) << "beyond what was measured it is that of the largest";
    const peaks none = {};
    EXPECT_EQ(bandwidth_for(&none, 1), 0);
}

TEST(Roofline, FlopsAreThoseOfTheDtype)
{
    EXPECT_EQ(flops_for(&by_hand, CT_F64), 250);
    for (const int32_t dtype : {CT_F32, CT_I32, CT_U8, CT_I64}) EXPECT_EQ(flops_for(&by_hand, dtype), 1000);
}

TEST(Roofline, IsTheLongerOfTheTwoTimes_OverTheTimeItTook)
{
    const int64_t second = 1000000000;
    const record_cost arithmetic = {2000, 50, CT_F32, 3, 12 * second}; // 2 s and 1 s; took 4
    EXPECT_DOUBLE_EQ(roofline_of(&by_hand, &arithmetic), 0.5);
    EXPECT_TRUE(is_compute_bound(&by_hand, &arithmetic));
    const record_cost memory = {2000, 50000, CT_F32, 2, 16000 * second}; // 2 s and 5000 s; took 8000
    EXPECT_DOUBLE_EQ(roofline_of(&by_hand, &memory), 0.625);
    EXPECT_FALSE(is_compute_bound(&by_hand, &memory));
    const record_cost doubles = {2000, 50, CT_F64, 1, 10 * second}; // 8 s and 1 s; took 10
    EXPECT_DOUBLE_EQ(roofline_of(&by_hand, &doubles), 0.8);
    const record_cost move = {0, 100, CT_I32, 1, 4 * second}; // 2 s; took 4
    EXPECT_DOUBLE_EQ(roofline_of(&by_hand, &move), 0.5);
    EXPECT_FALSE(is_compute_bound(&by_hand, &move));
}

// Never a NaN, an infinity or a number that was not measured.
TEST(Roofline, WithoutAMeasurement_IsZero)
{
    const record_cost cost = {2000, 50, CT_F32, 1, 1000}, never = {2000, 50, CT_F32, 0, 0},
                      nothing = {0, 0, CT_F32, 1, 1000};
    const peaks none = {};
    EXPECT_EQ(roofline_of(&none, &cost), 0);
    EXPECT_EQ(roofline_of(&by_hand, &never), 0);
    EXPECT_EQ(roofline_of(&by_hand, &nothing), 0);
    peaks half = by_hand;
    half.flops[0] = 0;
    EXPECT_EQ(roofline_of(&half, &cost), 0);
    half = by_hand;
    half.n_sizes = 0;
    EXPECT_EQ(roofline_of(&half, &cost), 0);
}

ct_stats stats_of(ct_context *ctx)
{
    ct_stats stats;
    EXPECT_EQ(ct_get_stats(ctx, &stats), CT_OK);
    return stats;
}

TEST(Peaks, ArePositiveAndFinite_AndMeasuredOnce)
{
    Context ctx;
    const auto begin = std::chrono::steady_clock::now();
    const peaks found = measure_peaks(ctx);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    EXPECT_LT(seconds, 5) << "it is meant to take some tenths of a second";
    EXPECT_TRUE(found.measured);
    ASSERT_GE(found.n_sizes, on_stand_in() ? 1 : 4);
    for (int i = 0; i < found.n_sizes; ++i) {
        EXPECT_GT(found.bandwidth[i], on_stand_in() ? 0 : 1e8);
        EXPECT_LT(found.bandwidth[i], 1e15);
        EXPECT_EQ(found.copied[i], 8192 * std::pow(4, i));
    }
    for (const double flops : found.flops) {
        EXPECT_GT(flops, on_stand_in() ? 0 : 1e8);
        EXPECT_LT(flops, 1e16);
    }
    const peaks again = measure_peaks(ctx); // no two measurements are the same to the last bit
    EXPECT_EQ(std::memcmp(&again, &found, sizeof found), 0);
}

TEST(Peaks, LeaveNothingBehind)
{
    Context ctx;
    Training training;
    ASSERT_TRUE(training.create(ctx));
    ASSERT_TRUE(training.step() && training.step());
    const ct_stats before = stats_of(ctx);
    measure_peaks(ctx);
    const ct_stats after = stats_of(ctx);
    EXPECT_EQ(std::memcmp(&before, &after, sizeof before), 0);
    EXPECT_STREQ(ct_error_message(ctx), "");
    ASSERT_TRUE(training.step());
    EXPECT_EQ(stats_of(ctx).compiles, before.compiles);
    training.destroy();
}

// Of a second measurement: what the first one could not measure is there, beside what it could.
void check_the_rest(const peaks &first, const peaks &second)
{
    EXPECT_TRUE(second.measured);
    EXPECT_GT(second.n_sizes, 0);
    EXPECT_GE(second.n_sizes, first.n_sizes);
    for (int i = 0; i < first.n_sizes; ++i) EXPECT_EQ(second.bandwidth[i], first.bandwidth[i]);
    for (int i = 0; i < second.n_sizes; ++i) EXPECT_EQ(second.copied[i], 8192 * std::pow(4, i));
    for (int i = 0; i < 2; ++i) {
        EXPECT_GT(second.flops[i], 0);
        EXPECT_GE(second.flops[i], first.flops[i]);
    }
}

// On the stand-in each call is made to fail once: what that leaves out is 0, and training goes on. Asked again, it is
// measured.
TEST(Peaks, WhateverFails_TheContextIsUsable)
{
    const DeviceChoice device = devices().front();
    if (!on_stand_in()) GTEST_SKIP() << "of the stand-in";
    void *module = dlopen(device.module.c_str(), RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(module, nullptr) << dlerror();
    const auto fail_call = reinterpret_cast<decltype(&simt_fail_call)>(dlsym(module, "simt_fail_call"));
    const auto calls = reinterpret_cast<decltype(&simt_calls)>(dlsym(module, "simt_calls"));
    const auto objects = reinterpret_cast<decltype(&simt_objects)>(dlsym(module, "simt_objects"));
    ASSERT_TRUE(fail_call && calls && objects);
    const size_t before = objects();
    uint64_t made = 0;
    int less = 0, missing = 0;
    // All of the first copies, and later ones here and there.
    for (uint64_t failing = 1; failing == 1 || failing <= made; failing += failing < 60 ? 1 : 1 + made / 20) {
        {
            Context ctx;
            Training training;
            ASSERT_TRUE(training.create(ctx));
            ASSERT_TRUE(training.step() && training.step());
            const ct_stats stats = stats_of(ctx);
            fail_call(failing, failing % 2 ? cudaErrorInvalidValue : cudaErrorMemoryAllocation);
            const uint64_t first = calls();
            const peaks found = measure_peaks(ctx);
            made = calls() - first;
            fail_call(0, 0);
            EXPECT_EQ(ct_error(ctx), CT_OK) << "call " << failing;
            EXPECT_STREQ(ct_error_message(ctx), "");
            EXPECT_EQ(stats_of(ctx).launches, stats.launches) << "call " << failing;
            for (int i = 0; i < found.n_sizes; ++i) EXPECT_GT(found.bandwidth[i], 0);
            for (const double flops : found.flops) EXPECT_GE(flops, 0);
            less += found.n_sizes == 0 || found.flops[0] == 0 || found.flops[1] == 0;
            missing += !found.measured;
            check_the_rest(found, measure_peaks(ctx));
            ASSERT_TRUE(training.step()) << "call " << failing << ": " << ct_error_message(ctx);
            EXPECT_FALSE(training.weights().empty());
            training.destroy();
        }
        ASSERT_EQ(objects(), before) << "call " << failing << " leaks";
    }
    EXPECT_GT(made, 60u);
    EXPECT_GT(less, 5);
    EXPECT_GE(missing, less);
}

} // namespace

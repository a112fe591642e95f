// Launches that are timed one by one, the range that tools record, and the numbers of graph nodes.
#include "device/watch.h"
#include "simt/simt.h"
#include "support/context.h"
#include "support/errors.h"
#include "support/training.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <dlfcn.h>

namespace
{

class Timed : public ::testing::Test
{
  protected:
    void SetUp() override { ASSERT_TRUE(training_.create(ctx_)); }
    void TearDown() override { training_.destroy(); }

    Context ctx_;
    Training training_;
};

// Once for each launch of a play that is timed, and of one that goes launch by launch: on the CPU any (the core takes
// the marks away for a replay); where a device captures at first sight, and at the capture too, never in a graph.
TEST_F(Timed, MarksAreBalanced_AndNoneIsInAGraph)
{
    watch w = {};
    watch_marks(ctx_, &w);
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(training_.step());
    const watch recorded = w;
    ctx_.check(ct_replay(ctx_, 3), "ct_replay");
    const watch replayed = w;
    const watch_graph program = watch_last_program(ctx_);
    const int64_t busy = program.launches - program.idle;
    const bool graphs = devices().front().name != "cpu";
    EXPECT_EQ(recorded.begun, graphs ? 2 * busy : 3 * program.launches);
    EXPECT_EQ(replayed.begun - recorded.begun, graphs ? 0 : 3 * program.launches);
    ctx_.check(ct_profile_begin(ctx_), "ct_profile_begin");
    ctx_.check(ct_replay(ctx_, 3), "ct_replay");
    ctx_.check(ct_profile_end(ctx_), "ct_profile_end");
    EXPECT_EQ(w.begun - replayed.begun, 3 * program.launches);
    EXPECT_EQ(w.begun, w.ended);
    EXPECT_EQ(w.depth, 0);
    EXPECT_FALSE(w.below_zero);
}

TEST_F(Timed, NodesDoAllLaunches)
{
    for (int i = 0; i < 2; ++i) ASSERT_TRUE(training_.step());
    const watch_graph program = watch_last_program(ctx_);
    EXPECT_GT(program.nodes, 4u);
    EXPECT_LT(program.idle, program.launches);
    EXPECT_FALSE(program.foreign);
}

// Where a tool looks on and CUPTI is there: a number for each node of the graph of a step, and of the one of many.
TEST_F(Timed, GraphNodesHaveNumbers)
{
    if (!std::getenv("CUTAPE_TEST_CUPTI")) GTEST_SKIP() << "there is no CUPTI";
    watch w = {};
    watch_marks(ctx_, &w);
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(training_.step());
    const watch_graph one = watch_last_program(ctx_);
    EXPECT_EQ(one.numbered, one.nodes);
    EXPECT_EQ(one.covered, one.nodes);
    EXPECT_FALSE(one.foreign);
    EXPECT_FALSE(one.repeated);
    ctx_.check(ct_replay(ctx_, 140), "ct_replay");
    const watch_graph many = watch_last_program(ctx_);
    EXPECT_GT(many.numbered, one.numbered);
    EXPECT_EQ(many.numbered % many.nodes, 0u);
    EXPECT_EQ(w.depth, 0);
}

TEST_F(Timed, NobodyLooksOn_NoNodeIsNumbered)
{
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(training_.step());
    EXPECT_EQ(watch_last_program(ctx_).numbered, 0u);
}

// The range is open from the begin of a profile to its end, or to that of the context.
TEST_F(Timed, TheRangeOfToolsIsThatOfTheProfile)
{
    if (devices().front().name != "simt") GTEST_SKIP() << "of the stand-in";
    void *module = dlopen(devices().front().module.c_str(), RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(module, nullptr);
    const auto is_on = reinterpret_cast<decltype(simt_profiler_is_on) *>(dlsym(module, "simt_profiler_is_on"));
    ASSERT_NE(is_on, nullptr);
    EXPECT_FALSE(is_on());
    ctx_.check(ct_profile_begin(ctx_), "ct_profile_begin");
    EXPECT_TRUE(is_on());
    ctx_.check(ct_profile_end(ctx_), "ct_profile_end");
    EXPECT_FALSE(is_on());
    {
        Context other;
        other.check(ct_profile_begin(other), "ct_profile_begin");
        EXPECT_TRUE(is_on());
    }
    EXPECT_FALSE(is_on());
    Context other;
    other.check(ct_profile_begin(other), "ct_profile_begin");
    ctx_.check(ct_profile_begin(ctx_), "ct_profile_begin");
    ctx_.check(ct_profile_end(ctx_), "ct_profile_end");
    EXPECT_FALSE(is_on()) << "it is one for the process";
    other.check(ct_profile_end(other), "ct_profile_end");
    EXPECT_FALSE(is_on());
}

} // namespace

// What a profile collects: rows, spans and values, and that training does not feel it.
#include "profile/view.h"
#include "support/context.h"
#include "support/errors.h"
#include "support/training.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace
{

class Profile : public ::testing::Test
{
  protected:
    void SetUp() override { ASSERT_TRUE(training_.create(ctx_)); }
    void TearDown() override { training_.destroy(); }

    void profile(int steps)
    {
        ctx_.check(ct_profile_begin(ctx_), "ct_profile_begin");
        for (int i = 0; i < steps; ++i) ASSERT_TRUE(training_.step()) << ct_error_message(ctx_);
        ctx_.check(ct_profile_end(ctx_), "ct_profile_end");
        ASSERT_TRUE(view_whole(ctx_, &whole_));
    }
    // A row of a gradient rule bears the name of the row that it is said to belong to.
    void expect_rows_with_their_forwards(int least)
    {
        for (size_t i = 0; i < whole_.n_rows; ++i) {
            const view_row row = view_row_at(ctx_, i);
            if (row.forward < 0) continue;
            const std::string of = view_row_at(ctx_, static_cast<size_t>(row.forward)).label;
            EXPECT_EQ(std::string(row.label).rfind(of + " ", 0), 0u) << row.label << " is said to be of " << of;
            least--;
        }
        EXPECT_LE(least, 0);
    }
    std::map<std::string, view_row> rows()
    {
        std::map<std::string, view_row> found;
        for (size_t i = 0; i < whole_.n_rows; ++i) {
            const view_row row = view_row_at(ctx_, i);
            EXPECT_TRUE(found.emplace(row.label, row).second) << row.label << " is there twice";
        }
        return found;
    }

    Context ctx_;
    Training training_;
    view_profile whole_;
};

// Phases, what belongs to what, and names, as they were recorded.
TEST_F(Profile, HasARowForEachRecordThatLaunches)
{
    profile(3);
    const std::map<std::string, view_row> found = rows();
    ASSERT_TRUE(found.count("linear#1") && found.count("adam#20") && found.count("gather#0")) << found.size();
    EXPECT_EQ(found.at("gather#0").phase, 3);
    EXPECT_EQ(found.at("adam#20").phase, 2);
    EXPECT_STREQ(found.at("adam#20").tensor, "layers.0.weight and 3 more");
    const view_row &forward = found.at("linear#1");
    EXPECT_STREQ(forward.op, "linear");
    EXPECT_STREQ(forward.shape, "f32 [4,5]");
    EXPECT_EQ(forward.record, 1u);
    EXPECT_EQ(forward.forward, -1);
    int backward = 0;
    for (const auto &[label, row] : found) {
        EXPECT_EQ(row.calls, 3) << label;
        EXPECT_GT(row.launches, 0u) << label;
        EXPECT_GE(row.bytes, 0) << label;
        EXPECT_GE(row.least_ns, 0) << label;
        EXPECT_LE(row.least_ns, row.most_ns) << label;
        EXPECT_LE(3 * row.least_ns, row.ns) << label;
        EXPECT_GE(3 * row.most_ns, row.ns) << label;
        EXPECT_GE(row.gap_ns, 0) << label;
        EXPECT_EQ(row.forward >= 0, row.phase == 1) << label;
        if (row.forward < 0) continue;
        const view_row of = view_row_at(ctx_, static_cast<size_t>(row.forward));
        EXPECT_EQ(label.rfind(std::string(of.label) + " backward", 0), 0u) << label << " is said to be of " << of.label;
        backward += std::string(of.op) == "linear";
    }
    EXPECT_EQ(backward, 6); // dx of the second; the activation's of the first; both dw and db
}

TEST_F(Profile, NamesTheGradientsByTheTensorsWhoseTheyAre)
{
    profile(1);
    int named = 0;
    for (const auto &[label, row] : rows())
        for (const char *name : {"layers.0.weight", "layers.1.weight", "layers.0.bias", "layers.1.bias"})
            if (std::string(row.tensor) == std::string(name) + ".grad") {
                EXPECT_NE(label.find(std::string("(") + name + ")"), std::string::npos) << label;
                named++;
            }
    EXPECT_EQ(named, 4);
    EXPECT_EQ(rows().count("linear#1 backward dw (layers.0.weight)"), 1u);
}

// Launch by launch, in a replay or not, the bits are those of a step that nobody watches.
TEST_F(Profile, ChangesNoBit)
{
    Context other;
    Training plain;
    ASSERT_TRUE(plain.create(other));
    profile(3);
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(plain.step());
    EXPECT_EQ(training_.weights(), plain.weights());
    ASSERT_TRUE(training_.step() && plain.step());
    ctx_.check(ct_profile_begin(ctx_), "ct_profile_begin");
    ctx_.check(ct_replay(ctx_, 5), "ct_replay");
    ctx_.check(ct_profile_end(ctx_), "ct_profile_end");
    other.check(ct_replay(other, 5), "ct_replay");
    ctx_.check(ct_replay(ctx_, 2), "ct_replay");
    other.check(ct_replay(other, 2), "ct_replay");
    const std::vector<float> weights = training_.weights();
    EXPECT_FALSE(weights.empty());
    EXPECT_EQ(weights, plain.weights());
    ASSERT_TRUE(view_whole(ctx_, &whole_));
    EXPECT_EQ(whole_.steps, 5u);
    EXPECT_EQ(view_row_at(ctx_, 0).calls, 5);
    plain.destroy();
}

// Each launch is a span of its phase, one after the other, in the step that it belongs to.
TEST_F(Profile, SpansFollowOneAnother)
{
    profile(3);
    size_t launches = 0, found = 0;
    int64_t end = 0, gaps = 0, gap_ns = 0;
    uint32_t step = 0;
    for (size_t i = 0; i < whole_.n_rows; ++i) {
        const view_row row = view_row_at(ctx_, i);
        launches += row.launches * static_cast<size_t>(row.calls);
        gap_ns += row.gap_ns;
    }
    for (size_t i = 0; i < whole_.n_spans; ++i) {
        const view_span span = view_span_at(ctx_, i);
        EXPECT_LE(span.begin, span.end);
        EXPECT_LE(span.end, whole_.wall_ns);
        if (span.row < 0) continue;
        found++;
        EXPECT_EQ(span.track, view_row_at(ctx_, static_cast<size_t>(span.row)).phase);
        EXPECT_GE(span.begin, end);
        if (span.step == step && found > 1) gaps += span.begin - end;
        EXPECT_TRUE(span.step == step || span.step == step + 1);
        step = span.step;
        end = span.end;
    }
    EXPECT_EQ(found, launches);
    EXPECT_EQ(step, 2u);
    EXPECT_EQ(gaps, gap_ns);
}

// Recomputed from the values: what is alive at each record, and the most of it.
TEST_F(Profile, MemoryAddsUp)
{
    profile(1);
    ASSERT_EQ(whole_.n_programs, 1u);
    const view_program program = view_program_at(ctx_, 0);
    ASSERT_GT(program.n_values, 5u);
    size_t peak = 0;
    for (uint32_t k = 0; k < program.n_records; ++k) {
        size_t alive = 0;
        for (size_t i = 0; i < program.n_values; ++i) {
            const view_value v = view_value_at(ctx_, 0, i);
            EXPECT_LE(v.offset + v.bytes, program.arena_bytes) << v.name;
            if (v.first <= k && (v.last < 0 || k <= v.last)) alive += v.bytes;
        }
        EXPECT_EQ(alive, view_alive(ctx_, 0, k)) << k;
        peak = std::max(peak, alive);
    }
    EXPECT_EQ(peak, program.peak_bytes);
    EXPECT_EQ(view_alive(ctx_, 0, program.peak), peak);
}

// Steps of two programs, of which the first may be that of another step too: a gradient belongs to what its own step
// has played.
TEST_F(Profile, AStepInTwoPrograms_IsJoined)
{
    const ct_tensor x = ctx_.leaf(CT_F32, {2, 3}, {1, 2, 3, 4, 5, 6}),
                    w = ctx_.leaf(CT_F32, {4, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3});
    ctx_.check(ct_set_requires_grad(ctx_, w, true), "ct_set_requires_grad");
    ctx_.check(ct_set_name(ctx_, w, "w"), "ct_set_name");
    ctx_.check(ct_profile_begin(ctx_), "ct_profile_begin");
    for (const int kind : {0, 1, 2}) {
        const ct_tensor y = kind == 1 ? ct_matmul(ctx_, x, ct_transpose(ctx_, w, 0, 1))
                                      : ct_linear(ctx_, x, w, ct_tensor{}, CT_ACT_IDENTITY);
        const ct_tensor loss = ct_sum(ctx_, ct_square(ctx_, y), 0, nullptr, false);
        EXPECT_GT(ct_item(ctx_, loss), 0);
        ctx_.check(ct_backward(ctx_, kind == 2 ? ct_mul_scalar(ctx_, loss, 2) : loss), "ct_backward");
        ctx_.end_step();
    }
    ctx_.check(ct_profile_end(ctx_), "ct_profile_end");
    ASSERT_TRUE(view_whole(ctx_, &whole_));
    EXPECT_EQ(whole_.n_programs, 5u);
    EXPECT_EQ(whole_.steps, 3u);
    const std::map<uint32_t, uint32_t> first_of = {{1, 0}, {3, 2}, {4, 0}};
    int joined = 0;
    for (size_t i = 0; i < whole_.n_rows; ++i) {
        const view_row row = view_row_at(ctx_, i);
        if (std::string(row.label).find("(w)") == std::string::npos) continue;
        ASSERT_GE(row.forward, 0) << row.label;
        const view_row forward = view_row_at(ctx_, static_cast<size_t>(row.forward));
        EXPECT_EQ(forward.program, first_of.at(row.program)) << row.label << " of " << forward.label;
        joined++;
    }
    EXPECT_EQ(joined, 3);
}

// The same program is a later part of another step: its records have other numbers there.
TEST_F(Profile, AProgramThatIsElsewhereInAnotherStep_IsAnotherThere)
{
    const ct_tensor x = ctx_.leaf(CT_F32, {2, 3}, {1, 2, 3, 4, 5, 6}), count = ctx_.leaf(CT_F32, {1}, {0}),
                    one = ctx_.leaf(CT_F32, {1}, {1});
    ctx_.check(ct_set_requires_grad(ctx_, x, true), "ct_set_requires_grad");
    ctx_.check(ct_profile_begin(ctx_), "ct_profile_begin");
    for (const bool second : {false, true}) {
        if (second) ctx_.check(ct_accumulate(ctx_, count, one), "ct_accumulate");
        if (second) ctx_.check(ct_flush(ctx_), "ct_flush");
        const ct_tensor loss = ct_sum(ctx_, ct_square(ctx_, ct_exp(ctx_, x)), 0, nullptr, false);
        EXPECT_GT(ct_item(ctx_, loss), 0);
        if (second) ctx_.check(ct_backward(ctx_, loss), "ct_backward");
        ctx_.end_step();
    }
    ctx_.check(ct_profile_end(ctx_), "ct_profile_end");
    ASSERT_TRUE(view_whole(ctx_, &whole_));
    ASSERT_EQ(whole_.n_programs, 4u);
    EXPECT_EQ(view_program_at(ctx_, 0).number, view_program_at(ctx_, 2).number);
    EXPECT_EQ(view_program_at(ctx_, 2).first_record, 1u);
    EXPECT_EQ(rows().count("exp#0") + rows().count("exp#1"), 2u);
    expect_rows_with_their_forwards(2);
}

TEST_F(Profile, AProgramFromTheMidstOfAStep_IsAnotherAtTheStartOfOne)
{
    const ct_tensor x = ctx_.leaf(CT_F32, {4}, {1, 2, 3, 4}), sum = ctx_.leaf(CT_F32, {4}, {0, 0, 0, 0});
    ctx_.check(ct_accumulate(ctx_, sum, x), "ct_accumulate");
    ctx_.check(ct_profile_begin(ctx_), "ct_profile_begin"); // which launches that
    for (int step = 0; step < 2; ++step) {
        ctx_.read(ct_exp(ctx_, x));
        ctx_.end_step();
    }
    ctx_.check(ct_profile_end(ctx_), "ct_profile_end");
    ASSERT_TRUE(view_whole(ctx_, &whole_));
    EXPECT_EQ(rows().count("exp#1") + rows().count("exp#0"), 2u);
}

// One backward program that follows two forward ones is two parts of steps, each with gradients of its own.
TEST_F(Profile, AProgramAfterTwoOthers_BelongsToEach)
{
    const ct_tensor x = ctx_.leaf(CT_F32, {2, 2}, {1, 2, 3, 4}), w = ctx_.leaf(CT_F32, {2, 2}, {1, 2, 3, 4});
    ctx_.check(ct_set_requires_grad(ctx_, w, true), "ct_set_requires_grad");
    ctx_.check(ct_profile_begin(ctx_), "ct_profile_begin");
    for (int step = 0; step < 8; ++step) {
        const ct_tensor h = step % 2 ? ct_exp(ctx_, x) : ct_sin(ctx_, x);
        const ct_tensor loss = ct_sum(ctx_, ct_square(ctx_, ct_matmul(ctx_, h, w)), 0, nullptr, false);
        EXPECT_GT(ct_item(ctx_, loss), 0);
        if (step >= 2) ctx_.check(ct_backward(ctx_, loss), "ct_backward");
        ctx_.end_step();
    }
    ctx_.check(ct_profile_end(ctx_), "ct_profile_end");
    ASSERT_TRUE(view_whole(ctx_, &whole_));
    std::map<int64_t, std::set<uint32_t>> programs; // whose rows belong to those of another
    for (size_t i = 0; i < whole_.n_rows; ++i) {
        const view_row row = view_row_at(ctx_, i);
        EXPECT_EQ(row.calls, row.phase == 0 ? 4 : 3) << row.label;
        if (row.forward >= 0) programs[view_row_at(ctx_, static_cast<size_t>(row.forward)).program].insert(row.program);
    }
    EXPECT_EQ(programs, (std::map<int64_t, std::set<uint32_t>>{{0, {2}}, {1, {3}}}));
    expect_rows_with_their_forwards(4);
}

// The device waits for the host between two programs of a step too.
TEST_F(Profile, AReadWithinAStep_IsAGap)
{
    const ct_tensor x = ctx_.leaf(CT_F32, {4}, {1, 2, 3, 4});
    ctx_.check(ct_profile_begin(ctx_), "ct_profile_begin");
    for (int step = 0; step < 2; ++step) {
        ctx_.read(ct_square(ctx_, x));
        ctx_.read(ct_exp(ctx_, x));
        ctx_.end_step();
    }
    ctx_.check(ct_profile_end(ctx_), "ct_profile_end");
    ASSERT_TRUE(view_whole(ctx_, &whole_));
    ASSERT_EQ(whole_.n_rows, 2u);
    EXPECT_EQ(view_row_at(ctx_, 0).gap_ns, 0);
    std::vector<view_span> launches;
    for (size_t i = 0; i < whole_.n_spans; ++i)
        if (view_span_at(ctx_, i).row >= 0) launches.push_back(view_span_at(ctx_, i));
    ASSERT_EQ(launches.size(), 4u);
    EXPECT_EQ(view_row_at(ctx_, 1).gap_ns, launches[1].begin - launches[0].end + launches[3].begin - launches[2].end);
}

// A user's name may hold anything; a label stays a line of UTF-8.
TEST_F(Profile, NamesInLabels_AreWrittenAsElsewhere)
{
    const ct_tensor w = ctx_.leaf(CT_F32, {2}, {1, 2});
    ctx_.check(ct_set_requires_grad(ctx_, w, true), "ct_set_requires_grad");
    ctx_.check(ct_set_name(ctx_, w, "new\nline \xff"), "ct_set_name");
    ctx_.check(ct_profile_begin(ctx_), "ct_profile_begin");
    ctx_.check(ct_backward(ctx_, ct_sum(ctx_, ct_square(ctx_, w), 0, nullptr, false)), "ct_backward");
    ctx_.end_step();
    ctx_.check(ct_profile_end(ctx_), "ct_profile_end");
    ASSERT_TRUE(view_whole(ctx_, &whole_));
    EXPECT_EQ(rows().count("square#0 backward dx (new\\nline \\xff)"), 1u);
}

// A step may end by a read, after which nothing is left to be played; a launch is counted for the step that it is of.
TEST_F(Profile, AStepThatEndsByARead_IsAStep)
{
    const ct_tensor x = ctx_.leaf(CT_F32, {4}, {1, 2, 3, 4});
    ct_square(ctx_, x);
    ctx_.check(ct_profile_begin(ctx_), "ct_profile_begin"); // which launches the square
    ctx_.end_step();                                        // and nothing of this step
    for (int step = 0; step < 2; ++step) {
        EXPECT_EQ(ct_item(ctx_, ct_sum(ctx_, ct_square(ctx_, x), 0, nullptr, false)), 30);
        EXPECT_EQ(ct_item(ctx_, ct_sum(ctx_, ct_sqrt(ctx_, ct_square(ctx_, x)), 0, nullptr, false)), 10);
        ctx_.end_step();
    }
    ct_square(ctx_, x);
    ctx_.end_step();
    ct_square(ctx_, x);
    ctx_.check(ct_flush(ctx_), "ct_flush");
    ctx_.check(ct_profile_end(ctx_), "ct_profile_end"); // in a step, the fourth
    ctx_.end_step();
    ASSERT_TRUE(view_whole(ctx_, &whole_));
    EXPECT_EQ(whole_.steps, 4u);
    std::map<std::string, std::vector<uint32_t>> steps;
    for (size_t i = 0; i < whole_.n_spans; ++i) {
        const view_span span = view_span_at(ctx_, i);
        steps[span.row >= 0 ? view_row_at(ctx_, static_cast<size_t>(span.row)).op : span.what].push_back(span.step);
    }
    EXPECT_EQ(steps["sqrt"], (std::vector<uint32_t>{0, 1}));
    EXPECT_EQ(steps["step"], (std::vector<uint32_t>{0, 1, 2}));
    EXPECT_EQ(steps["play"], (std::vector<uint32_t>{0, 0, 1, 1, 2, 3}));
}

// What a step's first program leaves to the second is in memory all the time.
TEST_F(Profile, WhatAnEarlierProgramLeaves_IsAlive)
{
    const ct_tensor x = ctx_.leaf(CT_F32, {64}, std::vector<double>(64, 2));
    ctx_.check(ct_profile_begin(ctx_), "ct_profile_begin");
    const ct_tensor y = ct_square(ctx_, x);
    ctx_.check(ct_flush(ctx_), "ct_flush");
    EXPECT_EQ(ctx_.read(ct_square(ctx_, y))[63], 16);
    ctx_.end_step();
    ctx_.check(ct_profile_end(ctx_), "ct_profile_end");
    ASSERT_TRUE(view_whole(ctx_, &whole_));
    ASSERT_EQ(whole_.n_programs, 2u);
    const view_value left = view_value_at(ctx_, 1, 0), made = view_value_at(ctx_, 1, 1);
    EXPECT_STREQ(left.name, "kept from before record 1");
    EXPECT_EQ(left.offset, 0u);
    EXPECT_GE(left.bytes, 64 * sizeof(float));
    EXPECT_GE(made.offset, left.bytes);
    EXPECT_EQ(view_alive(ctx_, 1, 0), left.bytes + made.bytes);
    EXPECT_LE(made.offset + made.bytes, view_program_at(ctx_, 1).arena_bytes);
}

// Each term of a sum of adjoints is a gradient of the tensor too.
TEST_F(Profile, OfATensorThatIsUsedThreeTimes_EachGradientIsNamed)
{
    const ct_tensor x = ctx_.leaf(CT_F32, {2, 3}, {1, 2, 3, 4, 5, 6}),
                    w = ctx_.leaf(CT_F32, {3, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9});
    ctx_.check(ct_set_requires_grad(ctx_, w, true), "ct_set_requires_grad");
    ctx_.check(ct_set_name(ctx_, w, "w"), "ct_set_name");
    ctx_.check(ct_profile_begin(ctx_), "ct_profile_begin");
    ct_tensor y = x;
    for (int i = 0; i < 3; ++i) y = ct_matmul(ctx_, y, w);
    ctx_.check(ct_backward(ctx_, ct_sum(ctx_, y, 0, nullptr, false)), "ct_backward");
    ctx_.end_step();
    ctx_.check(ct_profile_end(ctx_), "ct_profile_end");
    ASSERT_TRUE(view_whole(ctx_, &whole_));
    std::map<std::string, int> named;
    for (size_t i = 0; i < whole_.n_rows; ++i) {
        const view_row row = view_row_at(ctx_, i);
        const std::string label = row.label;
        if (std::string(row.op) == "matmul" && label.find("(w)") != std::string::npos) named[label]++;
    }
    EXPECT_EQ(named.size(), 3u);
}

// So is the sum.
TEST_F(Profile, ASumOfAdjoints_IsNamedByTheOneThatItAdds)
{
    const ct_tensor x = ctx_.leaf(CT_F32, {3}, {1, 2, 3});
    ctx_.check(ct_set_requires_grad(ctx_, x, true), "ct_set_requires_grad");
    ctx_.check(ct_set_name(ctx_, x, "x"), "ct_set_name");
    ctx_.check(ct_profile_begin(ctx_), "ct_profile_begin");
    const ct_tensor e = ct_exp(ctx_, x), y = ct_mul(ctx_, e, ct_sin(ctx_, x));
    ctx_.check(ct_backward(ctx_, ct_sum(ctx_, y, 0, nullptr, false)), "ct_backward");
    ctx_.end_step();
    ctx_.check(ct_profile_end(ctx_), "ct_profile_end");
    ASSERT_TRUE(view_whole(ctx_, &whole_));
    int sums = 0;
    for (size_t i = 0; i < whole_.n_rows; ++i) {
        const view_row row = view_row_at(ctx_, i);
        if (std::string(row.op) != "add") continue;
        EXPECT_STREQ(row.label, "exp#0 backward dx (x)");
        sums++;
    }
    EXPECT_EQ(sums, 1);
}

TEST_F(Profile, AnEpilogueStandsWithTheProductThatDoesItsWork)
{
    const ct_tensor x = ctx_.leaf(CT_F32, {2, 3}, {1, 2, 3, 4, 5, 6}),
                    v = ctx_.leaf(CT_F32, {4, 3}, std::vector<double>(12, 0.1)),
                    w = ctx_.leaf(CT_F32, {2, 4}, std::vector<double>(8, 0.2));
    for (const ct_tensor leaf : {v, w}) ctx_.check(ct_set_requires_grad(ctx_, leaf, true), "ct_set_requires_grad");
    ctx_.check(ct_profile_begin(ctx_), "ct_profile_begin");
    const ct_tensor h = ct_linear(ctx_, x, v, ct_tensor{}, CT_ACT_TANH);
    const ct_tensor y = ct_linear(ctx_, h, w, ct_tensor{}, CT_ACT_IDENTITY);
    ctx_.check(ct_backward(ctx_, ct_sum(ctx_, ct_square(ctx_, y), 0, nullptr, false)), "ct_backward");
    ctx_.end_step();
    ctx_.check(ct_profile_end(ctx_), "ct_profile_end");
    ASSERT_TRUE(view_whole(ctx_, &whole_));
    int products = 0;
    for (const auto &[label, row] : rows()) {
        if (std::string(row.op) != "matmul + act_grad") continue;
        products++;
        EXPECT_STREQ(row.shape, "f32 [2,4]");
        EXPECT_EQ(label.rfind("linear#1 backward", 0), 0u) << label;
        // What the product alone would be is nowhere: its place has what is stored there.
        std::set<std::string> values;
        for (size_t i = 0; i < view_program_at(ctx_, 0).n_values; ++i) values.insert(view_value_at(ctx_, 0, i).name);
        const std::string stored = std::string(row.tensor) + " of act_grad#";
        const auto starts = [&](const std::string &name) { return name.rfind(stored, 0) == 0; };
        EXPECT_EQ(std::count_if(values.begin(), values.end(), starts), 1);
        for (const std::string &name : values)
            EXPECT_EQ(name.find("matmul#" + std::to_string(row.record)), std::string::npos) << name;
    }
    EXPECT_EQ(products, 1);
}

// One record zeroes all gradients, a launch each.
TEST_F(Profile, LaunchesOfARecordAreARow)
{
    ctx_.check(ct_profile_begin(ctx_), "ct_profile_begin");
    ctx_.check(ct_optimizer_zero_grad(training_.optimizer), "ct_optimizer_zero_grad");
    ctx_.end_step();
    ctx_.check(ct_profile_end(ctx_), "ct_profile_end");
    ASSERT_TRUE(view_whole(ctx_, &whole_));
    ASSERT_EQ(whole_.n_rows, 1u);
    const view_row row = view_row_at(ctx_, 0);
    EXPECT_STREQ(row.op, "zero");
    EXPECT_EQ(row.launches, 4u);
    EXPECT_EQ(row.calls, 1);
    EXPECT_EQ(row.bytes, 4 * (15 + 5 + 10 + 2));
    std::multiset<std::string> spans; // launches have rows; what the host did has names
    for (size_t i = 0; i < whole_.n_spans; ++i) {
        const view_span span = view_span_at(ctx_, i);
        EXPECT_LE(span.begin, span.end);
        spans.insert(span.row >= 0 ? "launch" : span.what);
    }
    EXPECT_EQ(spans, (std::multiset<std::string>{"compile", "launch", "launch", "launch", "launch", "play", "step"}));
}

// What the host does is on tracks of its own, copies with their bytes.
TEST_F(Profile, HoldsWhatTheHostDid)
{
    ct_tensor x = ctx_.leaf(CT_F32, {4}, {1, 2, 3, 4});
    ctx_.check(ct_profile_begin(ctx_), "ct_profile_begin");
    ctx_.write(x, {5, 6, 7, 8});
    ct_tensor y = ct_square(ctx_, x);
    EXPECT_EQ(ctx_.read(y)[3], 64);
    ctx_.check(ct_synchronize(ctx_), "ct_synchronize");
    ctx_.end_step();
    ct_square(ctx_, x);
    ctx_.check(ct_optimizer_zero_grad(training_.optimizer), "ct_optimizer_zero_grad");
    ctx_.end_step();
    ctx_.check(ct_replay(ctx_, 3), "ct_replay");
    ctx_.check(ct_profile_end(ctx_), "ct_profile_end");
    ASSERT_TRUE(view_whole(ctx_, &whole_));
    std::vector<std::string> names;
    for (size_t i = 0; i < whole_.n_spans; ++i) {
        const view_span span = view_span_at(ctx_, i);
        if (span.row >= 0) continue;
        names.push_back(span.what);
        const bool copy = names.back() == "write" || names.back() == "read";
        EXPECT_EQ(span.track, copy ? 4 : 5) << span.what;
        EXPECT_EQ(span.bytes, copy ? 16 : 0) << span.what;
    }
    EXPECT_EQ(names, (std::vector<std::string>{"write", "compile", "play", "read", "wait", "step", "compile", "play",
                                               "step", "replay"}));
}

TEST_F(Profile, AnotherOneForgetsTheFirst)
{
    profile(3);
    const size_t n_rows = whole_.n_rows;
    profile(2);
    EXPECT_EQ(whole_.n_rows, n_rows);
    EXPECT_EQ(whole_.steps, 2u);
    EXPECT_EQ(view_row_at(ctx_, 0).calls, 2);
}

TEST_F(Profile, OutOfOrder_IsAnError_AndNothingIsLost)
{
    EXPECT_EQ(ct_profile_end(ctx_), CT_ERR_STATE);
    EXPECT_NE(std::string(ct_error_message(ctx_)).find("ct_profile_end: no profile was begun"), std::string::npos);
    EXPECT_FALSE(view_whole(ctx_, &whole_));
    EXPECT_NE(std::string(ct_error_message(ctx_)).find("nothing was profiled"), std::string::npos);
    ct_tensor x, y;
    ct_loader_next(training_.loader, &x, &y);
    ctx_.check(ct_profile_begin(ctx_), "ct_profile_begin"); // launches the batch
    ct_mlp_forward(training_.mlp, x);
    EXPECT_EQ(ct_profile_begin(ctx_), CT_ERR_STATE);
    EXPECT_NE(std::string(ct_error_message(ctx_)).find("was begun already"), std::string::npos);
    EXPECT_FALSE(view_whole(ctx_, &whole_));
    EXPECT_NE(std::string(ct_error_message(ctx_)).find("has not ended"), std::string::npos);
    EXPECT_EQ(ct_error(ctx_), CT_OK);
    ctx_.end_step();
    ctx_.check(ct_profile_end(ctx_), "ct_profile_end");
    EXPECT_EQ(ct_profile_end(ctx_), CT_ERR_STATE);
    ASSERT_TRUE(view_whole(ctx_, &whole_));
    ASSERT_EQ(whole_.n_rows, 1u); // nobody reads what the network gave: the count of random steps is left
    EXPECT_STREQ(view_row_at(ctx_, 0).op, "advance");
    EXPECT_EQ(ct_profile_begin(nullptr), CT_ERR_ARGUMENT);
    EXPECT_EQ(ct_profile_end(nullptr), CT_ERR_ARGUMENT);
}

// It ends in any case, and what was collected before the error is there.
TEST_F(Profile, AnErrorThatStands_IsTheStatusOfItsEnd)
{
    ctx_.check(ct_profile_begin(ctx_), "ct_profile_begin");
    ASSERT_TRUE(training_.step());
    ct_add(ctx_, ct_tensor{}, ct_tensor{});
    EXPECT_EQ(ct_profile_begin(ctx_), CT_ERR_ARGUMENT);
    EXPECT_EQ(ct_profile_end(ctx_), CT_ERR_ARGUMENT);
    ASSERT_TRUE(view_whole(ctx_, &whole_));
    EXPECT_EQ(whole_.steps, 1u);
    ct_clear_error(ctx_);
    ASSERT_TRUE(training_.step());
    profile(2);
    EXPECT_EQ(whole_.steps, 2u);
}

TEST(ProfileOfAnomalies, IsRefused)
{
    ct_config config = {};
    config.detect_anomaly = true;
    Context ctx(devices().front(), config);
    EXPECT_EQ(ct_profile_begin(ctx), CT_ERR_UNSUPPORTED);
    EXPECT_NE(std::string(ct_error_message(ctx)).find("detect_anomaly"), std::string::npos);
    EXPECT_EQ(ct_error(ctx), CT_OK);
}

TEST(ProfileOfEagerSteps, HasEveryOp)
{
    ct_config config = {};
    config.eager = true;
    Context ctx(devices().front(), config);
    Training training;
    ASSERT_TRUE(training.create(ctx));
    ctx.check(ct_profile_begin(ctx), "ct_profile_begin");
    for (int i = 0; i < 2; ++i) ASSERT_TRUE(training.step());
    ctx.check(ct_profile_end(ctx), "ct_profile_end");
    view_profile whole;
    ASSERT_TRUE(view_whole(ctx, &whole));
    bool linear = false, adam = false;
    for (size_t i = 0; i < whole.n_rows; ++i) {
        const view_row row = view_row_at(ctx, i);
        linear = linear || std::string(row.op) == "linear";
        adam = adam || std::string(row.op) == "adam";
    }
    EXPECT_TRUE(linear && adam);
    training.destroy();
}

} // namespace

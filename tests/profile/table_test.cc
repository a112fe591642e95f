// ct_profile_table and ct_profile_sort: every figure of a profile made by hand, and sums of a real one.
#include "profile/table_subject.h"
#include "support/context.h"
#include "support/errors.h"
#include "support/json.h"
#include "support/temp_dir.h"
#include "support/training.h"

#include <algorithm>
#include <cmath>

namespace
{

class ProfileTable : public ::testing::Test
{
  protected:
    std::string table(const std::string &name)
    {
        ctx.check(ct_profile_table(ctx, dir.path(name).c_str()), "ct_profile_table");
        return dir.read(name);
    }
    // A line's words, separated by one blank: columns are as wide as they have to be.
    static std::vector<std::string> lines(const std::string &text)
    {
        std::istringstream in(text);
        std::vector<std::string> all;
        for (std::string line; std::getline(in, line);) {
            std::istringstream words(line);
            std::string joined;
            for (std::string word; words >> word;) joined += (joined.empty() ? "" : " ") + word;
            all.push_back(joined);
        }
        return all;
    }
    static ::testing::AssertionResult has(const std::vector<std::string> &all, const std::string &line)
    {
        if (std::find(all.begin(), all.end(), line) != all.end()) return ::testing::AssertionSuccess();
        std::string text;
        for (const std::string &l : all) text += l + "\n";
        return ::testing::AssertionFailure() << "no line \"" << line << "\" in\n" << text;
    }
    // Fields of RFC 4180, quoted ones too.
    static std::vector<std::vector<std::string>> csv(const std::string &text)
    {
        std::vector<std::vector<std::string>> all(1, {""});
        bool quoted = false;
        for (size_t i = 0; i < text.size(); ++i) {
            std::string &field = all.back().back();
            if (quoted && text[i] == '"' && text[i + 1] == '"')
                field += text[i++];
            else if (text[i] == '"')
                quoted = !quoted;
            else if (!quoted && text[i] == ',')
                all.back().push_back("");
            else if (!quoted && text[i] == '\n')
                all.push_back({""});
            else
                field += text[i];
        }
        EXPECT_FALSE(quoted);
        EXPECT_EQ(all.back(), std::vector<std::string>{""});
        all.pop_back();
        return all;
    }
    std::vector<int> records(ct_profile_order order)
    {
        ctx.check(ct_profile_sort(ctx, order), "ct_profile_sort");
        std::vector<int> found;
        const Json all = Json::parse(table("sorted.json"));
        for (const Json &row : all["rows"].array()) found.push_back(static_cast<int>(row["record"].number()));
        return found;
    }

    TempDir dir;
    Context ctx;
};

TEST_F(ProfileTable, TextHasTheFiguresOfAProfileMadeByHand)
{
    ASSERT_TRUE(profile_by_hand(ctx));
    const std::vector<std::string> text = lines(table("t.txt"));
    EXPECT_TRUE(has(text, "profile of 2 steps on " + std::string(ct_device_name(ctx))));
    EXPECT_TRUE(has(text, "wall 0.050 ms, launches 0.020 ms, gaps between launches 0.005 ms"));
    EXPECT_TRUE(has(text, "peaks: 100.0 GFLOP/s f32, 50.0 GFLOP/s f64; cache 200.0 GB/s (copies of 1.00k bytes), "
                          "memory 20.0 GB/s (copies of 100M bytes)"));
    EXPECT_TRUE(has(text, "prog # phase op of tensor shape calls us % FLOP bytes GFLOP/s GB/s % roof gap us"));
    EXPECT_TRUE(has(text, "4 1 forward linear h f32 [4,2] 2 4.00 40.0 100k 8.00k 25.00 2.00 25.0 c 0.25"));
    EXPECT_TRUE(has(text, "4 3 backward matmul 1 w.grad f32 [2,3] 2 2.00 20.0 50.0k 4.00k 25.00 2.00 25.0 c 0.75"));
    EXPECT_TRUE(has(text, "4 4 backward add 3 %9 f32 [2,3] 2 1.00 10.0 6 72 0.01 0.07 0.0 m 0.00"));
    EXPECT_TRUE(has(text, "9 7 update adam w f32 [2,3] 1 4.00 20.0 0 20.0k - 5.00 25.0 m 3.00"));
    EXPECT_TRUE(has(text, "forward 8.00 4.00 40.0 200k 16.0k 2"));
    EXPECT_TRUE(has(text, "backward 6.00 3.00 30.0 100k 8.14k 6"));
    EXPECT_TRUE(has(text, "update 4.00 2.00 20.0 0 20.0k 1"));
    EXPECT_TRUE(has(text, "data 2.00 1.00 10.0 0 1.28k 2"));
    EXPECT_TRUE(has(text, "linear#1 8.00 6.00 0.75"));
    EXPECT_TRUE(has(text, "memory of program 4: 4096 bytes for a step; at the peak, record 3, 624 are alive"));
    const auto largest = std::find(text.begin(), text.end(), "v11 f32 [1] 96");
    ASSERT_LT(largest, text.end() - 10);
    EXPECT_EQ(largest[9], "v2 f32 [1] 24");
    EXPECT_EQ(largest[10], "and 2 more");
    EXPECT_FALSE(has(text, "behind f32 [9] 5000"));
    EXPECT_FALSE(has(text, "before f32 [9] 5000"));
}

// A step in many programs has its table still; one without values has no memory to tell of.
TEST_F(ProfileTable, TextTellsOfTheMemoryOfAFewPrograms)
{
    const ct_tensor x = ctx.leaf(CT_F32, {4}, {1, 2, 3, 4}), sum = ctx.leaf(CT_F32, {4}, {0, 0, 0, 0});
    ctx.check(ct_profile_begin(ctx), "ct_profile_begin");
    ctx.check(ct_accumulate(ctx, sum, x), "ct_accumulate");
    ctx.check(ct_flush(ctx), "ct_flush");
    for (int i = 0; i < 10; ++i) ctx.read(ct_square(ctx, x));
    ctx.end_step();
    ctx.check(ct_profile_end(ctx), "ct_profile_end");
    const std::vector<std::string> text = lines(table("t.txt"));
    EXPECT_EQ(std::count_if(text.begin(), text.end(), [](const auto &line) { return line.rfind("memory of", 0) == 0; }),
              8);
    EXPECT_EQ(text.back(), "and the memory of 2 more programs");
}

TEST_F(ProfileTable, ColumnsStandUnderEachOther)
{
    ASSERT_TRUE(profile_by_hand(ctx));
    ct_profile_sort(ctx, CT_PROFILE_BY_RECORD);
    std::istringstream in(table("t.txt"));
    std::string line;
    while (std::getline(in, line) && line.rfind("rows,", 0) != 0) {
    }
    std::vector<size_t> ends; // of the titles and of each row, whose last column stands to the right
    while (std::getline(in, line) && !line.empty()) ends.push_back(line.size());
    ASSERT_EQ(ends.size(), 7u) << "a name has a line break of its own";
    ends.erase(ends.begin() + 1, ends.begin() + 3);
    for (const size_t end : ends) EXPECT_EQ(end, ends[0]);
    EXPECT_LE(ends[0], 140u);
}

TEST_F(ProfileTable, WhatWasNotMeasuredIsADash_AndNull)
{
    ASSERT_TRUE(profile_by_hand(ctx));
    forget_peaks(ctx);
    const std::vector<std::string> text = lines(table("t.txt"));
    EXPECT_TRUE(has(text, "peaks: - GFLOP/s f32, - GFLOP/s f64; cache - GB/s (copies of - bytes), "
                          "memory - GB/s (copies of - bytes)"));
    EXPECT_TRUE(has(text, "4 1 forward linear h f32 [4,2] 2 4.00 40.0 100k 8.00k 25.00 2.00 - 0.25"));
    const Json all = Json::parse(table("t.json"));
    EXPECT_TRUE(all["peaks"]["f32_gflop_per_s"].is(Json::Kind::Null));
    EXPECT_TRUE(all["rows"].array()[0]["roofline_percent"].is(Json::Kind::Null));
    EXPECT_TRUE(all["rows"].array()[0]["bound_by"].is(Json::Kind::Null));
}

TEST_F(ProfileTable, CsvHasTheRows_WithAnyNames)
{
    ASSERT_TRUE(profile_by_hand(ctx));
    ct_profile_sort(ctx, CT_PROFILE_BY_RECORD);
    const auto rows = csv(table("t.csv"));
    ASSERT_EQ(rows.size(), 6u);
    for (const auto &row : rows) EXPECT_EQ(row.size(), 23u);
    const std::vector<std::string> gather = {"4",   "0", "data", "gather", "gather#0", "",  "x,\"1\"\n", "f32 [4,3]",
                                             "2",   "1", "1",    "0.9",    "1.1",      "2", "10",        "0",
                                             "640", "",  "0.64", "0.32",   "memory",   "0", "0.25"};
    EXPECT_EQ(rows[1], gather);
    const std::vector<std::string> matmul = {"4",       "3",      "backward",  "matmul", "linear#1 backward dw (w)",
                                             "1",       "w.grad", "f32 [2,3]", "2",      "2",
                                             "2",       "1.5",    "2.5",       "4",      "20",
                                             "50000",   "4000",   "25",        "2",      "25",
                                             "compute", "0.75",   "1"};
    EXPECT_EQ(rows[3], matmul);
}

TEST_F(ProfileTable, JsonHasEverything)
{
    ASSERT_TRUE(profile_by_hand(ctx));
    ct_profile_sort(ctx, CT_PROFILE_BY_RECORD);
    const Json all = Json::parse(table("t.json"));
    EXPECT_EQ(all["wall_us"].number(), 50);
    EXPECT_EQ(all["launches_us"].number(), 20);
    EXPECT_EQ(all["gaps_us"].number(), 5);
    EXPECT_EQ(all["steps"].number(), 2);
    EXPECT_EQ(all["peaks"]["copies"][1]["gb_per_s"].number(), 20);
    EXPECT_EQ(all["phases"][1]["total_us"].number(), 6);
    EXPECT_EQ(all["phases"][1]["launches"].number(), 6);
    EXPECT_EQ(all["rows"].array()[0]["tensor"].string(), "x,\"1\"\n");
    EXPECT_TRUE(all["rows"].array()[0]["forward_row"].is(Json::Kind::Null));
    EXPECT_EQ(all["rows"][3]["forward_row"].number(), 2);
    EXPECT_EQ(all["rows"][1]["roofline_percent"].number(), 25);
    EXPECT_EQ(all["rows"][1]["bound_by"].string(), "compute");
    ASSERT_EQ(all["pairs"].size(), 1u);
    EXPECT_EQ(all["pairs"].array()[0]["backward_us"].number(), 6);
    EXPECT_EQ(all["pairs"].array()[0]["ratio"].number(), 0.75);
    const Json &program = all["programs"].array()[0];
    EXPECT_EQ(program["arena_bytes"].number(), 4096);
    EXPECT_EQ(program["peak_record"].number(), 3);
    EXPECT_EQ(program["peak_bytes"].number(), 624);
    ASSERT_EQ(program["alive_at_peak"].size(), 12u);
    EXPECT_EQ(program["alive_at_peak"].array()[0].number(), 11);
    EXPECT_EQ(program["values"].size(), 14u);
    EXPECT_EQ(program["values"][2]["offset"].number(), 128);
    EXPECT_TRUE(program["values"][13]["last"].is(Json::Kind::Null));
    EXPECT_EQ(all["programs"][1]["values"].array()[0]["name"].string(), "kept \"one\"");
}

TEST_F(ProfileTable, RowsComeInTheOrderThatWasAskedFor)
{
    ASSERT_TRUE(profile_by_hand(ctx));
    using Records = std::vector<int>;
    EXPECT_EQ(records(CT_PROFILE_BY_TIME), (Records{1, 3, 7, 0, 4})) << "ties by record";
    EXPECT_EQ(records(CT_PROFILE_BY_RECORD), (Records{0, 1, 3, 4, 7}));
    EXPECT_EQ(records(CT_PROFILE_BY_OP), (Records{7, 4, 0, 1, 3}));
    EXPECT_EQ(records(CT_PROFILE_BY_PHASE), (Records{1, 3, 4, 7, 0}));
    EXPECT_EQ(records(CT_PROFILE_BY_ROOFLINE), (Records{4, 0, 1, 3, 7}));
    forget_costs(ctx, 1);
    EXPECT_EQ(records(CT_PROFILE_BY_ROOFLINE), (Records{4, 0, 3, 7, 1})) << "what was not measured comes last";
    for (const int wrong : {-1, 5})
        EXPECT_TRUE(reported(ctx, ct_profile_sort(ctx, static_cast<ct_profile_order>(wrong)), CT_ERR_ARGUMENT,
                             {"ct_profile_sort", std::to_string(wrong).c_str()}));
    EXPECT_EQ(ct_profile_sort(nullptr, CT_PROFILE_BY_OP), CT_ERR_ARGUMENT);
}

TEST_F(ProfileTable, ErrorsAreToldAndLeaveTheOldFile)
{
    EXPECT_EQ(ct_profile_table(nullptr, nullptr), CT_ERR_ARGUMENT);
    dir.write("t.txt", "old");
    EXPECT_TRUE(reported(ctx, ct_profile_table(ctx, dir.path("t.txt").c_str()), CT_ERR_STATE, {"ct_profile_table"}));
    EXPECT_EQ(dir.read("t.txt"), "old");
    ASSERT_TRUE(profile_by_hand(ctx));
    const std::string nowhere = dir.path("no/such/t.txt");
    EXPECT_TRUE(reported(ctx, ct_profile_table(ctx, nowhere.c_str()), CT_ERR_IO, {nowhere.c_str(), "No such file"}));
    ct_tensor none = {};
    ct_relu(ctx, none);
    ASSERT_NE(ct_error(ctx), CT_OK);
    EXPECT_EQ(ct_profile_table(ctx, dir.path("t.txt").c_str()), CT_OK) << "an error stands, and is no matter";
    EXPECT_NE(dir.read("t.txt"), "old");
    ct_clear_error(ctx);
}

TEST_F(ProfileTable, OfATraining_AddsUp)
{
    Training training;
    ASSERT_TRUE(training.create(ctx));
    ASSERT_TRUE(training.step());
    ctx.check(ct_profile_begin(ctx), "ct_profile_begin");
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(training.step());
    ctx.check(ct_profile_end(ctx), "ct_profile_end");
    const Json all = Json::parse(table("t.json"));
    double us = 0, share = 0, gaps = 0, phases = 0;
    for (const Json &row : all["rows"].array()) {
        us += row["total_us"].number();
        share += row["share_percent"].number();
        gaps += row["gap_us"].number() * row["calls"].number();
    }
    for (const Json &phase : all["phases"].array()) phases += phase["total_us"].number();
    EXPECT_GT(us, 0);
    EXPECT_NEAR(share, 100, 1e-6);
    EXPECT_NEAR(us, all["launches_us"].number(), 1e-6 * us);
    EXPECT_NEAR(phases, us, 1e-6 * us);
    EXPECT_NEAR(gaps, all["gaps_us"].number(), 1e-3 + 1e-6 * gaps);
    EXPECT_EQ(all["steps"].number(), 3);
    EXPECT_GE(all["pairs"].size(), 2u);
    const auto rows = csv(table("t.csv"));
    EXPECT_EQ(rows.size(), all["rows"].size() + 1);
    for (const auto &row : rows) EXPECT_EQ(row.size(), rows[0].size());
    EXPECT_NE(table("t.txt").find("forward"), std::string::npos);
    training.destroy();
}

// Host memory that gives out at each allocation in turn.
struct Memory {
    int left = 1 << 30, live = 0;
};

TEST(ProfileTableMemory, RunsOutInTurn_AndTheOldFileStays)
{
    Memory memory;
    ct_config config = {};
    config.host_user = &memory;
    config.host_alloc = [](void *user, size_t bytes) -> void * {
        Memory *m = static_cast<Memory *>(user);
        if (m->left-- <= 0) return nullptr;
        m->live++;
        return std::malloc(bytes);
    };
    config.host_free = [](void *user, void *p) {
        if (p) static_cast<Memory *>(user)->live--;
        std::free(p);
    };
    TempDir dir;
    {
        Context ctx(devices().front(), config);
        ASSERT_TRUE(profile_by_hand(ctx));
        for (const char *name : {"t.txt", "t.csv", "t.json"}) {
            int failures = 0;
            for (ct_status status = CT_ERR_MEMORY; status != CT_OK; ++failures) {
                dir.write(name, "old");
                memory.left = failures;
                status = ct_profile_table(ctx, dir.path(name).c_str());
                memory.left = 1 << 30;
                if (status == CT_OK) break;
                ASSERT_TRUE(reported(ctx, status, CT_ERR_MEMORY, {"memory"}));
                ASSERT_EQ(dir.read(name), "old");
            }
            EXPECT_GE(failures, 4) << name;
            EXPECT_NE(dir.read(name), "old");
        }
    }
    EXPECT_EQ(memory.live, 0);
}

TEST(ProfileTableLog, GetsTheTextLineByLine)
{
    std::vector<std::string> logged;
    ct_config config = {};
    config.log = [](void *user, const char *line) { static_cast<std::vector<std::string> *>(user)->push_back(line); };
    config.log_user = &logged;
    TempDir dir;
    Context ctx(devices().front(), config);
    ASSERT_TRUE(profile_by_hand(ctx));
    ctx.check(ct_profile_table(ctx, nullptr), "ct_profile_table");
    ctx.check(ct_profile_table(ctx, dir.path("t.txt").c_str()), "ct_profile_table");
    std::string all;
    for (const std::string &line : logged) all += line + "\n";
    EXPECT_GT(logged.size(), 20u);
    EXPECT_EQ(all, dir.read("t.txt"));
}

} // namespace

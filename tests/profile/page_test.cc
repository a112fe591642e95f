// ct_profile_page: read strictly, and what it shows held against the profile: names, rectangles, dots, rows, values.
// What a browser makes of it is page_shown.py's to see.
#include "profile/table_subject.h"
#include "profile/view.h"
#include "support/context.h"
#include "support/errors.h"
#include "support/markup.h"
#include "support/temp_dir.h"
#include "support/training.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace
{

class ProfilePage : public ::testing::Test
{
  protected:
    void profile(int steps, const std::function<bool()> &step)
    {
        ctx.check(ct_profile_begin(ctx), "ct_profile_begin");
        for (int i = 0; i < steps; ++i) ASSERT_TRUE(step()) << ct_error_message(ctx);
        ctx.check(ct_profile_end(ctx), "ct_profile_end");
        ASSERT_TRUE(view_whole(ctx, &whole));
    }
    // Writes and reads it.
    void page()
    {
        ctx.check(ct_profile_page(ctx, dir.path("page.html").c_str()), "ct_profile_page");
        text = dir.read("page.html");
        all = Markup::parse(text);
    }
    std::vector<Element> find(const std::string &name, const std::string &word = "") const
    {
        std::vector<Element> found;
        for (const Element &e : all)
            if (e.name == name && (word.empty() || e.has_class(word))) found.push_back(e);
        return found;
    }
    // In the element with this id, or in the n-th that bears this class.
    std::vector<Element> find_in(const std::string &id, const std::string &name, const std::string &word = "",
                                 size_t n = 0) const
    {
        std::vector<Element> found;
        size_t around = all.size();
        for (size_t i = 0; i < all.size() && around == all.size(); ++i)
            if (all[i]["id"] == id || (all[i].name == "section" && all[i].has_class(id) && n-- == 0)) around = i;
        if (around == all.size()) throw std::runtime_error("no " + id);
        for (const Element &e : all)
            if (e.name == name && (word.empty() || e.has_class(word)) &&
                std::count(e.within.begin(), e.within.end(), around))
                found.push_back(e);
        return found;
    }
    std::string note(const std::string &words) const
    {
        for (const Element &e : find("p", "left-out"))
            if (e.text.find(words) != std::string::npos) return e.text;
        return "";
    }

    TempDir dir;
    Context ctx;
    view_profile whole = {};
    std::string text;
    std::vector<Element> all;
};

class PageOfTraining : public ProfilePage
{
  protected:
    void SetUp() override { ASSERT_TRUE(training.create(ctx)); }
    void TearDown() override { training.destroy(); }
    void show(int steps)
    {
        profile(steps, [this] { return training.step(); });
        page();
    }
    std::vector<view_span> launches_of(uint32_t step) const
    {
        std::vector<view_span> found;
        for (size_t i = 0; i < whole.n_spans; ++i) {
            const view_span s = view_span_at(ctx, i);
            if (s.row >= 0 && s.step == step) found.push_back(s);
        }
        return found;
    }

    Training training;
};

TEST_F(PageOfTraining, TellsDeviceAndSteps_AndAsksNothingOfTheNetwork)
{
    show(3);
    const auto facts = find_in("overview", "dd");
    ASSERT_GE(facts.size(), 2u);
    EXPECT_EQ(facts[0].text, ct_device_name(ctx));
    EXPECT_EQ(facts[1].text, "3");
    for (const Element &e : all) {
        EXPECT_EQ(e["src"], "");
        EXPECT_TRUE(e["href"].empty() || e["href"] == "data:,") << e["href"];
    }
    for (const char *remote : {"http:", "https:", "url(", "@import"})
        EXPECT_EQ(text.find(remote), std::string::npos) << remote;
    for (const char *id : {"overview", "timeline", "roofline", "table", "pairs"})
        EXPECT_EQ(std::count_if(all.begin(), all.end(), [id](const Element &e) { return e["id"] == id; }), 1) << id;
    double sum = 0;
    for (const Element &e : find_in("overview", "span"))
        if (!e["style"].empty()) sum += std::stod(e["style"].substr(std::string("width:").size()));
    EXPECT_NEAR(sum, 100, 0.01);
}

// Left to right as they ran, as wide as they took, in the track of their phase.
TEST_F(PageOfTraining, Timeline_HasARectangleForEachLaunchOfTheLastStep)
{
    show(3);
    const auto launches = launches_of(2);
    const auto rects = find_in("timeline", "rect", "launch");
    ASSERT_GT(launches.size(), 10u);
    ASSERT_EQ(rects.size(), launches.size());
    const char *const phases[] = {"forward", "backward", "update", "data"};
    const double first = rects[0].number("x");
    const double scale =
        (rects.back().number("x") - first) / static_cast<double>(launches.back().begin - launches[0].begin);
    size_t with_forward = 0;
    for (size_t i = 0; i < rects.size(); ++i) {
        const view_row row = view_row_at(ctx, static_cast<size_t>(launches[i].row));
        EXPECT_NEAR(rects[i].number("x"), first + scale * static_cast<double>(launches[i].begin - launches[0].begin),
                    0.02);
        const double width = scale * static_cast<double>(launches[i].end - launches[i].begin);
        EXPECT_NEAR(rects[i].number("width"), std::max(width, 0.6), 0.02);
        EXPECT_TRUE(rects[i].has_class(phases[row.phase])) << rects[i]["class"];
        EXPECT_EQ(rects[i].text.find(std::string(row.label) + "\n"), 0u) << rects[i].text;
        EXPECT_NE(rects[i].text.find(row.shape), std::string::npos) << rects[i].text;
        with_forward += row.forward >= 0 && (i == 0 || launches[i].row != launches[i - 1].row);
    }
    EXPECT_GT(with_forward, 3u);
    EXPECT_EQ(find_in("timeline", "path", "link").size(), with_forward);
    EXPECT_NE(find_in("timeline", "p", "note")[0].text.find("Step 3 of 3"), std::string::npos);
    EXPECT_FALSE(find_in("timeline", "rect", "host").empty()); // the step itself
}

TEST_F(PageOfTraining, Table_HasEveryRow_TheLongestFirst)
{
    show(2);
    const auto rows = find_in("table", "tr");
    ASSERT_EQ(rows.size(), whole.n_rows + 1);
    const auto titles = find_in("table", "th"), cells = find_in("table", "td");
    ASSERT_EQ(cells.size(), whole.n_rows * titles.size());
    size_t us = 0;
    while (titles[us].text != "us") us++;
    for (size_t i = 1; i < whole.n_rows; ++i)
        EXPECT_LE(std::stod(cells[i * titles.size() + us].text), std::stod(cells[(i - 1) * titles.size() + us].text));
    EXPECT_FALSE(find_in("pairs", "td").empty());
}

TEST_F(PageOfTraining, Memory_HasARectangleForEachValue)
{
    show(2);
    const view_program program = view_program_at(ctx, whole.n_programs - 1);
    const auto rects = find_in("memory", "rect", "value", whole.n_programs - 1);
    ASSERT_GT(program.n_values, 5u);
    ASSERT_EQ(rects.size(), program.n_values);
    const double left = 72, right = 948, record = (right - left) / program.n_records;
    for (uint32_t i = 0; i < program.n_values; ++i) {
        const view_value v = view_value_at(ctx, whole.n_programs - 1, i);
        const double x = left + record * (v.first - program.first_record);
        const int64_t last = v.last < 0 ? program.first_record + program.n_records - 1 : v.last;
        EXPECT_NEAR(rects[i].number("x"), x, 0.01);
        EXPECT_NEAR(rects[i].number("width"), record * static_cast<double>(last - v.first + 1), 0.01);
        EXPECT_EQ(rects[i].text.find(std::string(v.name) + "\n" + v.shape), 0u) << rects[i].text;
        EXPECT_NE(rects[i].text.find(std::to_string(v.bytes) + " bytes"), std::string::npos) << rects[i].text;
        for (uint32_t k = 0; k < i; ++k) { // those that are alive together lie apart, as far as it can be drawn
            const bool apart = rects[k].number("x") + rects[k].number("width") < rects[i].number("x") + 0.02 ||
                               rects[i].number("x") + rects[i].number("width") < rects[k].number("x") + 0.02;
            const double y = rects[i].number("y"), other = rects[k].number("y");
            EXPECT_TRUE(apart || y + rects[i].number("height") < other + 1.02 ||
                        other + rects[k].number("height") < y + 1.02)
                << i << " " << k;
        }
    }
    EXPECT_EQ(find_in("memory", "circle", "peak", whole.n_programs - 1).size(), 1u);
    EXPECT_FALSE(find_in("memory", "td", "", whole.n_programs - 1).empty());
}

// Every number of a drawing is one, and lies in it.
TEST_F(PageOfTraining, DrawingsHoldNumbersThatAreThere)
{
    show(2);
    for (const Element &e : all) {
        if (e.name != "rect" && e.name != "circle" && e.name != "line" && e.name != "text") continue;
        for (const auto &[name, value] : e.attributes) {
            if (name == "class" || name == "text-anchor" || name == "transform") continue;
            EXPECT_GE(e.number(name), 0) << name;
            EXPECT_LE(e.number(name), 960) << name;
        }
        if (e.name == "rect") {
            EXPECT_LE(e.number("x") + e.number("width"), 949);
        }
    }
    for (const Element &e : find("path"))
        EXPECT_EQ(e["d"].find_first_not_of("MCVH0123456789.- "), std::string::npos) << e["d"];
}

// ---- of a profile made by hand --------------------------------------------------------------------------------

TEST_F(ProfilePage, Roofline_PlacesDotsAndRoofs)
{
    ASSERT_TRUE(profile_by_hand(ctx));
    page();
    const auto dots = find_in("roofline", "circle", "dot");
    ASSERT_EQ(dots.size(), 3u); // gather and adam have no FLOPs
    EXPECT_NE(note("without FLOPs").find("2 of the rows"), std::string::npos);
    // 12.5 FLOP/byte at 25 GFLOP/s and at 25; 1/12 at 0.006. The dots are in the order of their time.
    EXPECT_NEAR(dots[0].number("cx"), dots[1].number("cx"), 0.02);
    EXPECT_NEAR(dots[0].number("cy"), dots[1].number("cy"), 0.02);
    const double decade = (dots[0].number("cx") - dots[2].number("cx")) / std::log10(12.5 * 12);
    const double up = (dots[2].number("cy") - dots[0].number("cy")) / std::log10(25 / 0.006);
    EXPECT_GT(decade, 50);
    EXPECT_GT(up, 20);
    EXPECT_NEAR(dots[0].number("r") / dots[1].number("r"), std::sqrt(2), 0.01); // twice the time
    // 200 and 20 GB/s up to 100 GFLOP/s, and that: of f64 there is no row.
    const auto roofs = find_in("roofline", "line", "roof");
    ASSERT_EQ(roofs.size(), 3u);
    const auto x = [&](double v) { return dots[0].number("cx") + decade * std::log10(v / 12.5); };
    const auto y = [&](double v) { return dots[0].number("cy") - up * std::log10(v / 25); };
    const double ridges[] = {0.5, 5};
    for (int i = 0; i < 2; ++i) {
        EXPECT_NEAR(roofs[i].number("x2"), x(ridges[i]), 0.1) << i;
        EXPECT_NEAR(roofs[i].number("y2"), y(100), 0.1) << i;
        EXPECT_NEAR((roofs[i].number("y1") - roofs[i].number("y2")) / up,
                    (roofs[i].number("x2") - roofs[i].number("x1")) / decade, 0.01)
            << i;
    }
    EXPECT_NEAR(roofs[2].number("y1"), y(100), 0.1);
    EXPECT_EQ(roofs[2].number("y1"), roofs[2].number("y2"));
    EXPECT_NE(text.find("cache 200 GB/s"), std::string::npos);
    EXPECT_NE(text.find("memory 20.0 GB/s"), std::string::npos);
    EXPECT_NE(text.find("100 GFLOP/s f32"), std::string::npos);
    EXPECT_EQ(text.find("GFLOP/s f64"), std::string::npos);
}

TEST_F(ProfilePage, WhatWasNotMeasured_IsLeftOut)
{
    ASSERT_TRUE(profile_by_hand(ctx));
    forget_peaks(ctx);
    page();
    EXPECT_TRUE(find_in("roofline", "line", "roof").empty());
    EXPECT_EQ(find_in("roofline", "circle", "dot").size(), 3u);
    for (size_t row = 0; row < 5; ++row) forget_costs(ctx, row);
    page();
    EXPECT_EQ(find_in("roofline", "p", "none").size(), 1u);
    EXPECT_TRUE(find_in("roofline", "svg").empty());
    EXPECT_EQ(find_in("timeline", "p", "none").size(), 1u); // there are no spans
}

TEST_F(ProfilePage, Memory_ListsWhatIsAliveAtThePeak)
{
    ASSERT_TRUE(profile_by_hand(ctx));
    page();
    EXPECT_EQ(find_in("memory", "rect", "value", 0).size(), 14u);
    const auto cells = find_in("memory", "td", "", 0);
    ASSERT_EQ(cells.size(), 12u * 4);
    EXPECT_EQ(cells[0].text, "v11");
    EXPECT_EQ(cells[2].text, "96");
    EXPECT_EQ(cells[3].text, "15.4"); // per cent of 624
    EXPECT_EQ(find_in("memory", "td", "", 1)[0].text, "kept \"one\"");
    EXPECT_NE(find_in("memory", "rect", "value", 1)[0].text.find("from record 7 until the step ends"),
              std::string::npos);
    EXPECT_EQ(find_in("table", "th")[0].text, "prog"); // of two programs
}

// ---- names ----------------------------------------------------------------------------------------------------------

TEST_F(ProfilePage, NamesAreText_WhateverIsInThem)
{
    const std::string names[] = {"<script>alert(1)</script>", "\"><b>&amp;'", "h\xc3\xa9", "broken \xff"};
    const int64_t shape[] = {4};
    const float values[] = {1, 2, 3, 4};
    const ct_tensor x = ct_leaf(ctx, CT_F32, 1, shape, values);
    ctx.check(ct_set_requires_grad(ctx, x, true), "ct_set_requires_grad");
    ctx.check(ct_set_name(ctx, x, names[1].c_str()), "ct_set_name");
    profile(1, [&] {
        const ct_tensor h = ct_exp(ctx, x), sum = ct_sum(ctx, ct_square(ctx, h), 0, nullptr, false);
        ct_set_name(ctx, h, names[0].c_str());
        ct_set_name(ctx, sum, names[2].c_str());
        ct_backward(ctx, sum);
        return ct_item(ctx, sum) > 0 && ct_step_end(ctx) == CT_OK;
    });
    page();
    EXPECT_EQ(text.find("<script>alert"), std::string::npos);
    EXPECT_EQ(find("script").size(), 1u);
    for (size_t i = 0; i < 3; ++i) {
        size_t in_table = 0, in_drawings = 0;
        for (const Element &e : find_in("table", "td")) in_table += e.text.find(names[i]) != std::string::npos;
        for (const Element &e : find("title")) in_drawings += e.text.find(names[i]) != std::string::npos;
        EXPECT_GT(in_table, 0u) << names[i];
        EXPECT_GT(in_drawings, 0u) << names[i];
    }
}

// ---- limits ---------------------------------------------------------------------------------------------------------

TEST_F(ProfilePage, OfManyRows_SomeAreLeftOut)
{
    if (on_stand_in()) GTEST_SKIP() << "long on the stand-in, and the same there";
    const int64_t shape[] = {2, 2};
    const ct_tensor x = ct_leaf(ctx, CT_F32, 2, shape, nullptr);
    constexpr int n = 2500;
    profile(1, [&] {
        ct_tensor h = x;
        for (int i = 0; i < n; ++i) h = ct_matmul(ctx, h, x);
        float out[4];
        return ct_read(ctx, h, out, sizeof out) == CT_OK && ct_step_end(ctx) == CT_OK;
    });
    ASSERT_EQ(whole.n_rows, static_cast<size_t>(n));
    page();
    EXPECT_EQ(find_in("table", "tr").size(), 2001u);
    EXPECT_NE(note("of the rows.").find("500 of the rows"), std::string::npos);
    EXPECT_EQ(find_in("timeline", "rect", "launch").size(), static_cast<size_t>(n));
}

TEST_F(ProfilePage, OfNothing_SaysSo)
{
    profile(0, [] { return true; });
    page();
    EXPECT_EQ(find_in("timeline", "p", "none").size(), 1u);
    EXPECT_EQ(find_in("roofline", "p", "none").size(), 1u);
    EXPECT_EQ(find_in("table", "tr").size(), 1u);
}

// ---- errors ---------------------------------------------------------------------------------------------------------

TEST_F(PageOfTraining, WhatCannotBeWritten_IsAnError_AndKeepsTheOldFile)
{
    const std::string old = dir.write("page.html", "old");
    EXPECT_TRUE(
        reported(ctx, ct_profile_page(ctx, old.c_str()), CT_ERR_STATE, {"ct_profile_page", "nothing was profiled"}));
    ctx.check(ct_profile_begin(ctx), "ct_profile_begin");
    EXPECT_TRUE(reported(ctx, ct_profile_page(ctx, old.c_str()), CT_ERR_STATE, {"ct_profile_page", "not ended"}));
    ASSERT_TRUE(training.step());
    ctx.check(ct_profile_end(ctx), "ct_profile_end");
    EXPECT_EQ(dir.read("page.html"), "old");
    EXPECT_TRUE(reported(ctx, ct_profile_page(ctx, nullptr), CT_ERR_ARGUMENT, {"ct_profile_page", "NULL"}));
    const std::string nowhere = dir.path("no/such/folder/page.html");
    EXPECT_TRUE(reported(ctx, ct_profile_page(ctx, nowhere.c_str()), CT_ERR_IO, {nowhere.c_str(), "No such file"}));
    EXPECT_EQ(ct_profile_page(nullptr, old.c_str()), CT_ERR_ARGUMENT);
    ASSERT_TRUE(training.step());
}

// Host memory that the context may still take, and how much of it is taken.
int64_t allocations_left = INT64_MAX, taken = 0;

TEST(PageWithoutMemory, KeepsTheOldFile)
{
    ct_config config = {};
    config.host_alloc = [](void *, size_t bytes) -> void * {
        if (allocations_left-- <= 0) return nullptr;
        taken++;
        return std::malloc(bytes);
    };
    config.host_free = [](void *, void *memory) {
        taken -= memory != nullptr;
        std::free(memory);
    };
    allocations_left = INT64_MAX;
    Context ctx(devices().front(), config);
    TempDir dir;
    ASSERT_TRUE(profile_by_hand(ctx));
    int failed = 0;
    for (int64_t left = 0;; ++left) {
        const std::string path = dir.write("page.html", "old");
        allocations_left = left;
        const int64_t before = taken;
        const ct_status status = ct_profile_page(ctx, path.c_str());
        allocations_left = INT64_MAX;
        EXPECT_EQ(taken, before) << left;
        EXPECT_EQ(ct_error(ctx), CT_OK);
        if (status == CT_OK) break;
        EXPECT_EQ(status, CT_ERR_MEMORY) << left;
        EXPECT_EQ(dir.read("page.html"), "old") << left;
        failed++;
    }
    EXPECT_GT(failed, 10);
    EXPECT_NO_THROW(Markup::parse(dir.read("page.html")));
}

} // namespace

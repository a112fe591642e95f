// The timeline: read strictly, and its slices, arrows and counter held against the profile, by the rules that
// Perfetto has for them.
#include "profile/peaks.h"
#include "profile/trace_subject.h"
#include "profile/view.h"
#include "support/context.h"
#include "support/errors.h"
#include "support/json.h"
#include "support/temp_dir.h"
#include "support/training.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

namespace
{

const std::map<std::string, int> tids = {{"host", 1},   {"forward", 2}, {"backward", 3},
                                         {"update", 4}, {"data", 5},    {"copies", 6}};
const char *const track_names[] = {"forward", "backward", "update", "data", "copies", "host"};

int64_t ns_of(const Json &microseconds)
{
    const std::string &digits = microseconds.digits();
    const size_t point = digits.find('.');
    if (point == std::string::npos || digits.size() != point + 4) throw std::runtime_error("not in ns: " + digits);
    const int64_t ns = std::stoll(digits.substr(0, point) + digits.substr(point + 1));
    EXPECT_EQ(std::llround(microseconds.number() * 1000), ns) << digits << " is another number as a double";
    return ns;
}

struct Slice {
    int64_t begin, end;
    int tid;
    size_t number; // among the slices of the file
};

class Trace : public ::testing::Test
{
  protected:
    void SetUp() override { ASSERT_TRUE(training_.create(ctx_)); }
    void TearDown() override { training_.destroy(); }

    void profile(int steps)
    {
        ctx_.check(ct_profile_begin(ctx_), "ct_profile_begin");
        for (int i = 0; i < steps; ++i) ASSERT_TRUE(training_.step()) << ct_error_message(ctx_);
        ctx_.check(ct_profile_end(ctx_), "ct_profile_end");
    }
    // Writes and reads it.
    void trace()
    {
        ASSERT_TRUE(view_whole(ctx_, &whole_));
        ctx_.check(ct_profile_trace(ctx_, dir_.path("trace.json").c_str()), "ct_profile_trace");
        all_ = Json::parse(dir_.read("trace.json"));
        slices_.clear();
        for (const Json &event : events())
            if (event["ph"].string() == "X") {
                const int64_t begin = ns_of(event["ts"]);
                slices_.push_back(
                    {begin, begin + ns_of(event["dur"]), static_cast<int>(event["tid"].number()), slices_.size()});
            }
    }
    const std::vector<Json> &events() const { return all_["traceEvents"].array(); }
    size_t check_arrows(int64_t dropped = -1);
    view_row row_of(size_t slice) const
    {
        const int64_t row = view_span_at(ctx_, slice).row;
        if (row < 0) throw std::runtime_error("an arrow at what is no launch");
        return view_row_at(ctx_, static_cast<size_t>(row));
    }

    TempDir dir_;
    Context ctx_;
    Training training_;
    view_profile whole_;
    Json all_;
    std::vector<Slice> slices_; // as the spans of the profile
};

TEST_F(Trace, NamesItsTracks_InOrder)
{
    profile(1);
    trace();
    EXPECT_EQ(all_["displayTimeUnit"].string(), "ns");
    EXPECT_EQ(all_["otherData"]["device"].string(), ct_device_name(ctx_));
    std::map<std::string, int> named, order;
    for (const Json &event : events()) {
        EXPECT_EQ(event["pid"].number(), 1);
        if (event["ph"].string() != "M") continue;
        const int tid = static_cast<int>(event["tid"].number());
        if (event["name"].string() == "thread_name") named[event["args"]["name"].string()] = tid;
        if (event["name"].string() == "process_name") {
            EXPECT_EQ(event["args"]["name"].string(), "cutape");
        }
        if (event["name"].string() == "thread_sort_index")
            order[std::to_string(tid)] = static_cast<int>(event["args"]["sort_index"].number());
    }
    EXPECT_EQ(named, tids);
    for (int tid = 1; tid <= 6; ++tid) EXPECT_EQ(order.at(std::to_string(tid)), tid);
}

// Every span of the profile is a slice, to the nanosecond, with what is known of its record.
TEST_F(Trace, HasEverySpan)
{
    profile(3);
    const peaks measured = measure_peaks(ctx_);
    trace();
    ASSERT_EQ(slices_.size(), whole_.n_spans);
    size_t i = 0, with_roofline = 0;
    for (const Json &event : events()) {
        if (event["ph"].string() != "X") continue;
        const view_span span = view_span_at(ctx_, i);
        const std::string track = track_names[span.track];
        EXPECT_EQ(slices_[i].begin, span.begin);
        EXPECT_EQ(slices_[i].end, span.end);
        EXPECT_EQ(event["cat"].string(), track);
        EXPECT_EQ(event["tid"].number(), tids.at(track));
        EXPECT_FALSE(event["cname"].string().empty());
        const Json &args = event["args"];
        EXPECT_EQ(args["step"].number(), span.step);
        i++;
        if (span.row < 0) {
            EXPECT_EQ(event["name"].string(), span.what);
            continue;
        }
        const view_row row = view_row_at(ctx_, static_cast<size_t>(span.row));
        EXPECT_EQ(event["name"].string(), row.label);
        EXPECT_EQ(args["record"].number(), row.record);
        EXPECT_EQ(args["program"].number(), view_program_at(ctx_, row.program).number);
        EXPECT_EQ(args["op"].string(), row.op);
        EXPECT_EQ(args["tensor"].string(), row.tensor);
        EXPECT_EQ(args["shape"].string(), row.shape);
        EXPECT_EQ(args["FLOPs"].number(), std::round(row.flops));
        EXPECT_EQ(args["bytes"].number(), std::round(row.bytes));
        const record_cost cost = {row.flops, row.bytes, CT_F32, row.calls, row.ns};
        const double roofline = 100 * roofline_of(&measured, &cost);
        ASSERT_EQ(args.has("roofline %"), roofline > 0) << row.label;
        if (roofline == 0) continue;
        EXPECT_NEAR(args["roofline %"].number(), roofline, 0.00051) << row.label;
        with_roofline++;
    }
    EXPECT_GT(with_roofline, 0u);
}

// Launches follow one another; on every track slices nest, or Perfetto drops them.
TEST_F(Trace, SlicesNest)
{
    ctx_.check(ct_profile_begin(ctx_), "ct_profile_begin");
    ASSERT_TRUE(training_.step());
    add_span(ctx_, TRACK_HOST, "inner", 1100, 1200, 0);
    add_span(ctx_, TRACK_HOST, "outer", 1000, 1500, 0);
    add_span(ctx_, TRACK_COPIES, "ct_write", 2000, 2007, 4096);
    ASSERT_TRUE(training_.step());
    ctx_.check(ct_profile_end(ctx_), "ct_profile_end");
    trace();
    std::vector<Slice> sorted = slices_;
    std::stable_sort(sorted.begin(), sorted.end(), [](const Slice &a, const Slice &b) {
        return a.begin != b.begin ? a.begin < b.begin : a.end > b.end;
    });
    std::map<int, std::vector<Slice>> open;
    for (const Slice &slice : sorted) {
        EXPECT_LE(slice.begin, slice.end);
        std::vector<Slice> &stack = open[slice.tid];
        while (!stack.empty() && stack.back().end <= slice.begin) stack.pop_back();
        const bool launch = view_span_at(ctx_, slice.number).row >= 0;
        EXPECT_TRUE(stack.empty() || (!launch && slice.end <= stack.back().end)) << "at " << slice.begin << " ns";
        stack.push_back(slice);
    }
    bool copied = false;
    for (const Json &event : events())
        if (event["name"].string() == "ct_write" && event["tid"].number() == tids.at("copies") &&
            event["args"].has("bytes"))
            copied = copied || event["args"]["bytes"].number() == 4096;
    EXPECT_TRUE(copied);
}

// Bound as Perfetto binds: in order of time, to the slice that is open on the track then. `dropped`: a step without
// forward slices. Returns how many arrows there are.
size_t Trace::check_arrows(int64_t dropped)
{
    struct Event {
        int64_t ns;
        const Json *json;
        size_t slice;
    };
    std::vector<Event> sorted;
    size_t n_slices = 0;
    for (const Json &event : events())
        if (event.has("ts"))
            sorted.push_back({ns_of(event["ts"]), &event, event["ph"].string() == "X" ? n_slices++ : 0});
    std::stable_sort(sorted.begin(), sorted.end(), [](const Event &a, const Event &b) { return a.ns < b.ns; });
    std::map<int, std::vector<Slice>> open;
    std::map<std::string, size_t> began, arrived; // by id: the slice
    for (const Event &event : sorted) {
        const std::string &phase = (*event.json)["ph"].string();
        std::vector<Slice> &stack = open[static_cast<int>((*event.json)["tid"].number())];
        if (phase == "X") {
            while (!stack.empty() && stack.back().end <= event.ns) stack.pop_back();
            stack.push_back(slices_[event.slice]);
        }
        if (phase != "s" && phase != "f") continue;
        EXPECT_EQ((*event.json)["name"].string(), "gradient");
        EXPECT_EQ((*event.json)["cat"].string(), "gradient");
        if (stack.empty()) throw std::runtime_error("an arrow at nothing");
        EXPECT_LE(stack.back().begin, event.ns);
        EXPECT_GE(stack.back().end, event.ns) << "in " << row_of(stack.back().number).label;
        const bool fresh =
            (phase == "s" ? began : arrived).emplace((*event.json)["id"].digits(), stack.back().number).second;
        EXPECT_TRUE(fresh) << "two arrows have one id";
        if (phase == "f") {
            EXPECT_EQ((*event.json)["bp"].string(), "e");
        }
    }
    EXPECT_EQ(began.size(), arrived.size());
    std::map<size_t, int> reached;
    for (const auto &[id, from] : began) {
        const size_t to = arrived.at(id);
        EXPECT_EQ(row_of(to).forward, view_span_at(ctx_, from).row) << row_of(from).label << " -> " << row_of(to).label;
        EXPECT_EQ(view_span_at(ctx_, from).step, view_span_at(ctx_, to).step);
        EXPECT_LE(slices_[from].end, slices_[to].begin);
        reached[to]++;
    }
    for (size_t i = 0; i < slices_.size(); ++i) {
        const view_span span = view_span_at(ctx_, i);
        const bool wants =
            span.row >= 0 && span.step != dropped && view_row_at(ctx_, static_cast<size_t>(span.row)).forward >= 0;
        EXPECT_EQ(reached.count(i) ? reached.at(i) : 0, wants ? 1 : 0) << i;
    }
    return began.size();
}

TEST_F(Trace, ArrowsLeadFromARecordToItsGradient)
{
    profile(3);
    trace();
    EXPECT_GE(check_arrows(), 3 * 6u);
}

TEST_F(Trace, ArrowsHit_WhereOneLaunchBeginsAsAnotherEnds)
{
    profile(2);
    close_gaps(ctx_);
    trace();
    EXPECT_GE(check_arrows(), 2 * 6u);
}

TEST_F(Trace, NoArrowComesFromAnotherStep)
{
    for (const uint32_t step : {0u, 1u}) {
        profile(2);
        drop_forward_spans(ctx_, step);
        trace();
        EXPECT_GE(check_arrows(step), 6u);
    }
}

TEST_F(Trace, CountsTheMemoryInUse)
{
    profile(3);
    trace();
    ASSERT_EQ(whole_.n_programs, 1u);
    double peak = 0, last = -1;
    int64_t before = 0;
    int ends = 0;
    for (const Json &event : events()) {
        if (event["ph"].string() != "C") continue;
        EXPECT_EQ(event["name"].string(), "memory in use");
        EXPECT_GE(ns_of(event["ts"]), before);
        before = ns_of(event["ts"]);
        EXPECT_NE(event["args"]["bytes"].number(), last) << "it says nothing new";
        last = event["args"]["bytes"].number();
        peak = std::max(peak, last);
        ends += last == 0;
    }
    EXPECT_EQ(peak, static_cast<double>(view_program_at(ctx_, 0).peak_bytes));
    EXPECT_GT(peak, 0);
    EXPECT_EQ(last, 0);
    EXPECT_GE(ends, 3);
    int64_t launched = 0;
    for (const Slice &slice : slices_)
        if (view_span_at(ctx_, slice.number).row >= 0) launched = std::max(launched, slice.end);
    EXPECT_LE(before, launched);
}

// The last launch of this step, a product that is added to w.grad, works in memory of the step.
TEST_F(Trace, MemoryIsGoneAtTheEndOfAStep)
{
    const ct_tensor x = ctx_.leaf(CT_F32, {2, 3}, {1, 2, 3, 4, 5, 6}),
                    w = ctx_.leaf(CT_F32, {4, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3});
    ctx_.check(ct_set_requires_grad(ctx_, w, true), "ct_set_requires_grad");
    ctx_.check(ct_profile_begin(ctx_), "ct_profile_begin");
    for (int step = 0; step < 2; ++step) {
        const ct_tensor y = ct_linear(ctx_, x, w, ct_tensor{}, CT_ACT_IDENTITY);
        ctx_.check(ct_backward(ctx_, ct_sum(ctx_, ct_square(ctx_, y), 0, nullptr, false)), "ct_backward");
        ctx_.end_step();
    }
    ctx_.check(ct_profile_end(ctx_), "ct_profile_end");
    trace();
    std::vector<int64_t> gone;
    for (const Json &event : events())
        if (event["ph"].string() == "C" && event["args"]["bytes"].number() == 0) gone.push_back(ns_of(event["ts"]));
    std::map<uint32_t, int64_t> last; // launch of a step
    for (size_t i = 0; i < slices_.size(); ++i)
        if (view_span_at(ctx_, i).row >= 0) last[view_span_at(ctx_, i).step] = slices_[i].end;
    ASSERT_EQ(last.size(), 2u);
    EXPECT_EQ(gone, (std::vector<int64_t>{last[0], last[1]}));
}

TEST_F(Trace, StrangeNamesSurvive)
{
    const char *const name = "a \"b\" \\ c, d\té😀";
    const ct_tensor x = ctx_.leaf(CT_F32, {3}, {1, 2, 3});
    ctx_.check(ct_set_requires_grad(ctx_, x, true), "ct_set_requires_grad");
    ctx_.check(ct_set_name(ctx_, x, name), "ct_set_name");
    ctx_.check(ct_profile_begin(ctx_), "ct_profile_begin");
    ctx_.check(ct_backward(ctx_, ct_sum(ctx_, ct_square(ctx_, x), 0, nullptr, false)), "ct_backward");
    ctx_.end_step();
    ctx_.check(ct_profile_end(ctx_), "ct_profile_end");
    trace();
    bool found = false;
    for (const Json &event : events()) {
        if (event["ph"].string() != "X" || !event["args"].has("tensor")) continue;
        const std::string &tensor = event["args"]["tensor"].string();
        found = found || tensor.find("a \"b\" \\ c, d") == 0;
    }
    EXPECT_TRUE(found);
}

// Where nothing of a step can be launched there is nothing to draw, and that is no error.
TEST_F(Trace, OfNothingIsEmpty)
{
    ctx_.check(ct_profile_begin(ctx_), "ct_profile_begin");
    ctx_.check(ct_profile_end(ctx_), "ct_profile_end");
    trace();
    EXPECT_TRUE(slices_.empty());
    EXPECT_EQ(events().size(), 13u); // names
}

TEST_F(Trace, WritesWhatTheNodesOfGraphsAre)
{
    profile(1);
    trace();
    EXPECT_TRUE(dir_.read("trace.json.nodes.csv").empty()) << "no tool looked on";
    ASSERT_GE(whole_.n_rows, 2u);
    ASSERT_TRUE(add_graph_node(ctx_, 0x100000000000007u, 1) && add_graph_node(ctx_, 8, 0));
    trace();
    std::string expected = "graph_node_id,program,record,phase,op,tensor,shape,label\n";
    for (const auto &[id, row] : {std::pair<const char *, size_t>{"72057594037927943", 1}, {"8", 0}}) {
        const view_row r = view_row_at(ctx_, row);
        expected += std::string(id) + "," + std::to_string(view_program_at(ctx_, r.program).number) + "," +
                    std::to_string(r.record) + "," + track_names[r.phase];
        for (const char *text : {r.op, r.tensor, r.shape, r.label}) {
            char field[400];
            ASSERT_TRUE(as_csv(ctx_, text, field, sizeof field));
            expected += std::string(",") + field;
        }
        expected += "\n";
    }
    EXPECT_EQ(dir_.read("trace.json.nodes.csv"), expected);
}

// It would tell of the records of another profile.
TEST_F(Trace, WithoutNodes_AnOlderFileOfThemGoes)
{
    const std::string nodes = dir_.write("trace.json.nodes.csv", "of another profile");
    profile(1);
    trace();
    EXPECT_FALSE(std::filesystem::exists(nodes));
    std::filesystem::create_directory(nodes); // nothing of ours
    EXPECT_TRUE(reported(ctx_, ct_profile_trace(ctx_, dir_.path("trace.json").c_str()), CT_ERR_IO,
                         {"trace.json.nodes.csv", "cannot remove", "directory"}));
    EXPECT_TRUE(std::filesystem::exists(nodes));
}

TEST_F(Trace, WhatCannotBeWritten_IsAnError_AndKeepsTheOldFile)
{
    const std::string old = dir_.write("trace.json", "old");
    EXPECT_TRUE(reported(ctx_, ct_profile_trace(ctx_, old.c_str()), CT_ERR_STATE,
                         {"ct_profile_trace", "nothing was profiled"}));
    ctx_.check(ct_profile_begin(ctx_), "ct_profile_begin");
    EXPECT_TRUE(reported(ctx_, ct_profile_trace(ctx_, old.c_str()), CT_ERR_STATE, {"ct_profile_trace", "not ended"}));
    ASSERT_TRUE(training_.step());
    ctx_.check(ct_profile_end(ctx_), "ct_profile_end");
    EXPECT_EQ(dir_.read("trace.json"), "old");
    EXPECT_TRUE(reported(ctx_, ct_profile_trace(ctx_, nullptr), CT_ERR_ARGUMENT, {"ct_profile_trace", "NULL"}));
    const std::string nowhere = dir_.path("no/such/folder/trace.json");
    EXPECT_TRUE(reported(ctx_, ct_profile_trace(ctx_, nowhere.c_str()), CT_ERR_IO, {nowhere.c_str(), "No such file"}));
    EXPECT_TRUE(reported(ctx_, ct_profile_trace(ctx_, dir_.path("").c_str()), CT_ERR_IO, {"directory"}));
    EXPECT_EQ(ct_profile_trace(nullptr, old.c_str()), CT_ERR_ARGUMENT);
    ASSERT_TRUE(add_graph_node(ctx_, 1, 0));
    std::filesystem::create_directory(dir_.path("trace.json.nodes.csv"));
    EXPECT_TRUE(reported(ctx_, ct_profile_trace(ctx_, old.c_str()), CT_ERR_IO, {"trace.json.nodes.csv", "directory"}));
    ASSERT_TRUE(training_.step());
}

// Host memory that the context may still take; without any, what was there stays.
int64_t allocations_left = INT64_MAX;

TEST(TraceWithoutMemory, KeepsTheOldFile)
{
    ct_config config = {};
    config.host_alloc = [](void *, size_t bytes) -> void * {
        return allocations_left-- > 0 ? std::malloc(bytes) : nullptr;
    };
    config.host_free = [](void *, void *memory) { std::free(memory); };
    allocations_left = INT64_MAX;
    Context ctx(devices().front(), config);
    TempDir dir;
    Training training;
    ASSERT_TRUE(training.create(ctx));
    ctx.check(ct_profile_begin(ctx), "ct_profile_begin");
    ASSERT_TRUE(training.step());
    ctx.check(ct_profile_end(ctx), "ct_profile_end");
    ASSERT_TRUE(add_graph_node(ctx, 1, 0));
    int failed = 0;
    for (int64_t left = 0;; ++left) {
        const std::string path = dir.write("trace.json", "old");
        allocations_left = left;
        const ct_status status = ct_profile_trace(ctx, path.c_str());
        allocations_left = INT64_MAX;
        EXPECT_EQ(ct_error(ctx), CT_OK);
        if (status == CT_OK) break;
        EXPECT_EQ(status, CT_ERR_MEMORY) << left;
        const std::string now = dir.read("trace.json");
        if (now != "old") { // it is whole, and the other file is not there
            EXPECT_NO_THROW(Json::parse(now)) << left;
        }
        failed++;
    }
    EXPECT_GT(failed, 5);
    training.destroy();
}

TEST_F(Trace, AnyBytesAreAString)
{
    char out[4096];
    std::string every;
    for (int c = 1; c < 0x80; ++c) every += static_cast<char>(c);
    every += "é€😀";
    ASSERT_TRUE(as_json(ctx_, every.c_str(), out, sizeof out));
    EXPECT_EQ(Json::parse(out).string(), every);
    for (const char *broken : {"\xff", "a\xc3", "\xe2\x82", "\xed\xa0\x80", "\xc0\x80", "\xf4\x90\x80\x80", "\x80"}) {
        ASSERT_TRUE(as_json(ctx_, broken, out, sizeof out));
        EXPECT_NE(Json::parse(out).string().find("\uFFFD"), std::string::npos) << out;
    }
    ASSERT_TRUE(as_csv(ctx_, "plain text", out, sizeof out));
    EXPECT_STREQ(out, "plain text");
    ASSERT_TRUE(as_csv(ctx_, "f32 [2,3] \"x\"", out, sizeof out));
    EXPECT_STREQ(out, "\"f32 [2,3] \"\"x\"\"\"");
    ASSERT_TRUE(as_csv(ctx_, "", out, sizeof out));
    EXPECT_STREQ(out, "");
}

} // namespace

// What a tool that NVTX loads is told: see injection/injection.h. Without one these tests are
// skipped; CMakeLists.txt runs them with it, on the CPU and on the stand-in.
#include "profile/injection/injection.h"
#include "profile/view.h"
#include "support/context.h"
#include "support/custom.h"
#include "support/errors.h"
#include "support/training.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <dlfcn.h>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

namespace
{

constexpr uint32_t FORWARD = 1, BACKWARD = 2, UPDATE = 3, DATA = 4, RUNTIME = 5;

bool has_schemas() { return !std::getenv("CUTAPE_INJECTION_WITHOUT_SCHEMAS"); }

bool is(const injection_event &e, const char *what) { return std::string(what) == e.what; }

using Lines = std::vector<std::string>;

class Nvtx : public ::testing::Test
{
  protected:
    void SetUp() override
    {
        const char *path = std::getenv("NVTX_INJECTION64_PATH");
        if (!path) GTEST_SKIP() << "of a process with a tool";
        void *tool = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        ASSERT_NE(tool, nullptr) << dlerror();
        count_ = reinterpret_cast<injection_count_function *>(dlsym(tool, "injection_count"));
        at_ = reinterpret_cast<injection_at_function *>(dlsym(tool, "injection_at"));
        ASSERT_TRUE(count_ && at_);
        forget();
    }
    // Whatever a test did, all ranges have ended.
    void TearDown() override
    {
        if (!at_) return;
        std::map<uint64_t, int> depth;
        std::set<uint64_t> open;
        for (const injection_event &e : events(0)) {
            if (is(e, "push")) depth[e.thread]++;
            if (is(e, "pop")) depth[e.thread]--;
            ASSERT_GE(depth[e.thread], 0);
            if (is(e, "start")) open.insert(e.range);
            const bool known = !is(e, "end") || open.erase(e.range);
            ASSERT_TRUE(known);
        }
        for (const auto &[thread, left] : depth) EXPECT_EQ(left, 0) << "in thread " << thread;
        EXPECT_TRUE(open.empty());
    }

    void forget() { first_ = count_(); }
    std::vector<injection_event> events(size_t from) const
    {
        std::vector<injection_event> all;
        for (size_t n = count_(), i = from; i < n; ++i) all.push_back(at_(i));
        return all;
    }
    std::vector<injection_event> events() const { return events(first_); }
    std::vector<injection_event> all_of(const char *what, size_t from) const
    {
        std::vector<injection_event> found;
        for (const injection_event &e : events(from))
            if (is(e, what)) found.push_back(e);
        return found;
    }
    // Ranges as they nest, two spaces a level; a step's begin and end are lines of their own. Since forget().
    Lines ranges() const
    {
        Lines lines;
        size_t depth = 0;
        for (const injection_event &e : events()) {
            if (is(e, "pop")) --depth;
            if (is(e, "push")) lines.push_back(std::string(2 * depth++, ' ') + e.text);
            if (is(e, "start")) lines.push_back(std::string(2 * depth, ' ') + e.text + " begins");
            if (is(e, "end")) lines.push_back(std::string(2 * depth, ' ') + "step ends");
        }
        return lines;
    }
    // Records as they were told of: category, message and payload.
    Lines records() const
    {
        Lines lines;
        for (const injection_event &e : all_of("push", first_))
            if (e.category != RUNTIME)
                lines.push_back(std::to_string(e.category) + " " + e.text + ":" + e.payload + " " +
                                std::to_string(e.number));
        return lines;
    }
    injection_event range(const std::string &text) const
    {
        for (const injection_event &e : events())
            if ((is(e, "push") || is(e, "start")) && text == e.text) return e;
        ADD_FAILURE() << "no range is called " << text;
        return {};
    }

    size_t first_ = 0;
    injection_count_function *count_ = nullptr;
    injection_at_function *at_ = nullptr;
};

// One layer, trained by hand.
struct Layer {
    explicit Layer(Context &c) : ctx(c)
    {
        x = ctx.leaf(CT_F32, {4, 3}, std::vector<double>(12, 0.5));
        w = ctx.leaf(CT_F32, {2, 3}, {1, 2, 3, 4, 5, 6});
        b = ctx.leaf(CT_F32, {2}, {0.5, -0.5});
        ctx.check(ct_set_name(ctx, w, "weight"), "ct_set_name");
        ctx.check(ct_set_requires_grad(ctx, w, true), "ct_set_requires_grad");
        ctx.check(ct_set_requires_grad(ctx, b, true), "ct_set_requires_grad");
    }
    void record()
    {
        ct_zero_grad(ctx, w);
        ct_zero_grad(ctx, b);
        const ct_tensor y = ct_linear(ctx, x, w, b, CT_ACT_TANH);
        ctx.check(ct_backward(ctx, ct_sum(ctx, y, 0, nullptr, false)), "ct_backward");
    }
    void step()
    {
        record();
        ctx.end_step();
    }

    Context &ctx;
    ct_tensor x, w, b;
};

TEST_F(Nvtx, HasOneDomain_AndItsCategoriesHaveNames)
{
    Context one, other;
    const auto domains = all_of("domain", 0);
    ASSERT_EQ(domains.size(), 1u);
    EXPECT_STREQ(domains[0].text, "cutape");
    std::map<uint32_t, std::string> names;
    for (const injection_event &e : all_of("category", 0)) {
        EXPECT_STREQ(e.domain, "cutape");
        EXPECT_TRUE(names.emplace(e.category, e.text).second) << e.text;
    }
    EXPECT_EQ(
        names,
        (std::map<uint32_t, std::string>{
            {FORWARD, "forward"}, {BACKWARD, "backward"}, {UPDATE, "update"}, {DATA, "data"}, {RUNTIME, "runtime"}}));
    Lines schemas;
    for (const injection_event &e : all_of("schema", 0)) schemas.push_back(e.text);
    EXPECT_EQ(schemas, has_schemas() ? Lines{"cutape record"} : Lines{});
}

TEST_F(Nvtx, NamesThreads)
{
    ct_config config = {};
    config.cpu_threads = 3;
    Context ctx(devices().front(), config);
    std::map<std::string, std::set<uint64_t>> threads;
    std::set<uint64_t> ids;
    for (const injection_event &e : all_of("thread", first_)) {
        threads[e.text].insert(e.thread);
        ids.insert(e.thread);
    }
    const bool pool = ct_stream(ctx) == nullptr;
    ASSERT_EQ(threads.size(), pool ? 3u : 1u);
    EXPECT_EQ(ids.size(), threads.size());
    EXPECT_EQ(threads["cutape"], (std::set<uint64_t>{static_cast<uint64_t>(gettid())}));
    if (pool) {
        EXPECT_EQ(threads["cutape worker 1"].size(), 1u);
        EXPECT_EQ(threads["cutape worker 2"].size(), 1u);
    }
}

TEST_F(Nvtx, NamesStreams)
{
    Context ctx;
    Lines names;
    for (const injection_event &e : all_of("stream", first_)) names.push_back(e.text);
    EXPECT_EQ(names, ct_stream(ctx) ? (Lines{"cutape", "cutape capture", "cutape side"}) : Lines{});
}

TEST_F(Nvtx, AStepShowsItsRecords_ThoseOfAGradientByTheirForwardOp)
{
    Context ctx;
    Layer layer(ctx);
    forget();
    layer.step();
    // On a GPU, launches that depend on none of each other are one.
    Lines lines = ranges();
    for (std::string &line : lines)
        while (line.rfind("   ", 0) == 0) line.erase(0, 1);
    Lines expected = {"step begins",
                      "compile",
                      "play",
                      "  linear",
                      "  fill",
                      "  linear#2 backward",
                      "  linear#2 backward dw (weight)",
                      "  linear#2 backward db",
                      "step ends"};
    if (ct_stream(ctx)) std::swap(expected[3], expected[4]); // which depend on none of each other
    EXPECT_EQ(lines, expected);
    // The gradient that a backward starts from belongs to no forward op.
    EXPECT_EQ(range("fill").category, BACKWARD);
    EXPECT_TRUE(range("fill").registered);
    for (const injection_event &e : events()) EXPECT_STREQ(e.domain, "cutape") << e.text;
}

TEST_F(Nvtx, ARecordBearsItsCategory_Colour_AndPayload)
{
    Context ctx;
    Training training;
    ASSERT_TRUE(training.create(ctx));
    forget();
    ASSERT_TRUE(training.step());
    const injection_event gather = range("gather"), linear = range("linear"), adam = range("adam"),
                          dw = range("linear#3 backward dw (layers.1.weight)"), play = range("play");
    EXPECT_EQ(gather.category, DATA);
    EXPECT_EQ(linear.category, FORWARD);
    EXPECT_EQ(dw.category, BACKWARD);
    EXPECT_EQ(adam.category, UPDATE);
    EXPECT_EQ(play.category, RUNTIME);
    std::map<uint32_t, std::set<uint32_t>> colors;
    std::set<uint32_t> distinct;
    for (const injection_event &e : all_of("push", first_)) {
        EXPECT_EQ(e.color >> 24, 0xffu) << e.text;
        colors[e.category].insert(e.color);
        distinct.insert(e.color);
    }
    EXPECT_EQ(colors.size(), 5u);
    EXPECT_EQ(distinct.size(), 5u);
    // Names of ops are registered; what names a record of this step is not.
    EXPECT_TRUE(gather.registered && linear.registered && adam.registered);
    EXPECT_FALSE(dw.registered);
    EXPECT_EQ(play.number, 1u);
    EXPECT_STREQ(play.payload, "");
    if (has_schemas()) {
        EXPECT_STREQ(linear.payload, " record=1 program=1 launch=1 dtype=f32 shape=[4,5]");
        EXPECT_STREQ(dw.payload, " record=8 program=1 launch=6 dtype=f32 shape=[2,5]");
        EXPECT_STREQ(adam.payload, " record=20 program=1 launch=14 dtype=f32 shape=[5,3]");
    } else {
        EXPECT_STREQ(linear.payload, "");
        EXPECT_EQ(linear.number, 1u);
        EXPECT_EQ(dw.number, 8u);
        EXPECT_EQ(adam.number, 20u);
    }
    training.destroy();
}

// In a second segment of a step, records count on, and a gradient finds its forward op in the first.
TEST_F(Nvtx, RecordsAreNumberedInTheStep)
{
    Context ctx;
    Layer layer(ctx);
    const ct_tensor y = ct_linear(ctx, layer.x, layer.w, layer.b, CT_ACT_TANH);
    const ct_tensor loss = ct_sum(ctx, y, 0, nullptr, false);
    ctx.check(ct_flush(ctx), "ct_flush");
    forget();
    ctx.check(ct_backward(ctx, loss), "ct_backward");
    ctx.end_step();
    const injection_event dw = range("linear#0 backward dw (weight)");
    const Lines words = {dw.payload};
    if (has_schemas())
        EXPECT_NE(words[0].find(" program=2 "), std::string::npos) << words[0];
    else
        EXPECT_GT(dw.number, 2u);
}

TEST_F(Nvtx, AnOpsNameIsRegisteredOnce)
{
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([] {
            Context ctx(DeviceChoice{"cpu", CT_DEVICE_CPU, {}});
            Layer layer(ctx);
            for (int step = 0; step < 3; ++step) layer.step();
        });
    for (std::thread &t : threads) t.join();
    std::set<std::string> names;
    for (const injection_event &e : all_of("register", 0)) EXPECT_TRUE(names.insert(e.text).second) << e.text;
    EXPECT_EQ(names.count("linear"), 1u);
    for (const std::string &name : names) EXPECT_EQ(name.find_first_of("# "), std::string::npos) << name;
}

TEST_F(Nvtx, AnOpOfTheUsersOwnIsRegisteredOnce_InWhateverContext)
{
    SKIP_ON_GPU();
    for (int i = 0; i < 2; ++i) {
        Context ctx;
        // Another number in the second context.
        if (i) add_mish(ctx);
        const ct_op_handle split = add_op(ctx, split_config());
        const ct_tensor x = ctx.leaf(CT_F32, {2}, {1, 2});
        const int64_t shift = 1;
        const double factor = 2;
        ctx.check(ct_call(ctx, split, 1, &x, 1, &shift, 1, &factor), "ct_call");
        ctx.check(ct_flush(ctx), "ct_flush");
        const injection_event e = range("test.split");
        EXPECT_TRUE(e.registered);
        EXPECT_EQ(e.category, FORWARD);
        ctx.end_step();
        forget();
    }
    const auto registered = all_of("register", 0);
    EXPECT_EQ(std::count_if(registered.begin(), registered.end(),
                            [](const injection_event &e) { return std::string("test.split") == e.text; }),
              1);
}

TEST_F(Nvtx, AReplayIsOneRange)
{
    Context ctx;
    Layer layer(ctx);
    for (int i = 0; i < 2; ++i) layer.step();    // on a GPU, the second is captured
    ctx.check(ct_replay(ctx, 200), "ct_replay"); // ... and here many steps as one graph
    forget();
    ctx.check(ct_replay(ctx, 200), "ct_replay");
    ctx.check(ct_replay(ctx, 1), "ct_replay");
    EXPECT_EQ(ranges(), (Lines{"replay", "replay"}));
    EXPECT_EQ(range("replay").number, 200u);
    // What is recorded anew is told of anew, where it is played launch by launch.
    forget();
    layer.step();
    EXPECT_EQ(records().empty(), ct_stream(ctx) != nullptr);
}

// Launches are seen when they are captured, and not when the graph is launched.
TEST_F(Nvtx, ACaptureShowsTheRecords)
{
    Context ctx;
    Layer layer(ctx);
    forget();
    layer.step();
    const Lines played = records();
    forget();
    layer.step();
    EXPECT_EQ(records(), played);
    forget();
    layer.step();
    EXPECT_EQ(records(), ct_stream(ctx) ? Lines{} : played);
}

TEST_F(Nvtx, CallsThatCopyOrWait_AreRanges)
{
    Context ctx;
    const ct_tensor x = ctx.leaf(CT_F32, {3}, {1, 2, 3});
    forget();
    ctx.write(x, {4, 5, 6});
    const ct_tensor y = ct_square(ctx, x);
    EXPECT_EQ(ctx.read(y)[2], 36);
    ctx.check(ct_synchronize(ctx), "ct_synchronize");
    EXPECT_EQ(ct_item(ctx, ct_sum(ctx, y, 0, nullptr, false)), 77);
    ctx.end_step();
    EXPECT_EQ(ranges(), (Lines{"write", "step begins", "compile", "play", "  square", "read", "wait", "compile", "play",
                               "  sum", "read", "step ends"}));
    EXPECT_EQ(range("write").number, 12u);
    EXPECT_EQ(range("read").number, 12u);
    EXPECT_EQ(all_of("push", first_).back().number, 4u); // ct_item's
    for (const char *name : {"write", "read", "wait", "compile", "step"}) EXPECT_EQ(range(name).category, RUNTIME);
}

TEST_F(Nvtx, StepsAreNumbered)
{
    Context ctx;
    Layer layer(ctx);
    forget();
    for (int i = 0; i < 3; ++i) layer.step();
    std::vector<uint64_t> numbers;
    for (const injection_event &e : all_of("start", first_)) numbers.push_back(e.number);
    ASSERT_EQ(numbers.size(), 3u);
    EXPECT_EQ(numbers[1], numbers[0] + 1);
    EXPECT_EQ(numbers[2], numbers[0] + 2);
}

// ---- errors: TearDown finds what is not in balance -----------------------------------------------------

TEST_F(Nvtx, AStepThatFailsWhileItIsRecorded_Ends)
{
    Context ctx;
    Layer layer(ctx);
    forget();
    ct_square(ctx, layer.x);
    ct_add(ctx, layer.x, layer.w);
    EXPECT_EQ(ranges(), (Lines{"step begins", "step ends"}));
    EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {"add"}));
    layer.step();
    EXPECT_EQ(ranges()[2], "step begins");
}

TEST_F(Nvtx, AStepThatFailsToCompile_Ends)
{
    ct_config config = {};
    config.pool_bytes = 1 << 20;
    Context ctx(devices().front(), config);
    const ct_tensor x = ctx.leaf(CT_F32, {1}, {1});
    forget();
    const int64_t shape[] = {1 << 20};
    const ct_tensor large = ct_expand(ctx, x, 1, shape);
    ct_sum(ctx, ct_mul(ctx, ct_exp(ctx, large), ct_square(ctx, ct_exp(ctx, large))), 0, nullptr, false);
    EXPECT_NE(ct_flush(ctx), CT_OK);
    EXPECT_EQ(ranges(), (Lines{"step begins", "compile", "  step ends"}));
    EXPECT_TRUE(failed(ctx, CT_ERR_MEMORY, {"compile"}));
}

int failing_cpu(const ct_op_call *) { return 7; }

TEST_F(Nvtx, ARecordThatFailsAsItIsPlayed_Ends)
{
    SKIP_ON_GPU();
    ct_context *ctx = nullptr;
    const ct_config config = device_config();
    ASSERT_EQ(ct_create(&config, &ctx), CT_OK);
    ct_op_config failing = {};
    failing.name = "test.failing";
    failing.n_inputs = failing.n_outputs = 1;
    failing.cpu = failing_cpu;
    failing.cuda = find_launcher("failing_cuda");
    ct_op_handle op;
    ASSERT_EQ(ct_op_register(ctx, &failing, &op), CT_OK);
    const float value = 1;
    const int64_t shape[] = {1};
    const ct_tensor x = ct_leaf(ctx, CT_F32, 1, shape, &value);
    forget();
    const ct_tensor y = ct_exp(ctx, x);
    ct_sin(ctx, ct_call(ctx, op, 1, &y, 0, nullptr, 0, nullptr));
    EXPECT_EQ(ct_flush(ctx), CT_ERR_DEVICE);
    EXPECT_EQ(ranges(), (Lines{"step begins", "compile", "play", "  exp", "  test.failing", "  step ends"}));
    ct_destroy(ctx);
}

TEST_F(Nvtx, AContextThatClosesInAStep_EndsIt)
{
    {
        Context ctx;
        Layer layer(ctx);
        forget();
        ct_square(ctx, layer.x);
    }
    EXPECT_EQ(ranges(), (Lines{"step begins", "step ends"}));
}

TEST_F(Nvtx, AContextThatCannotOpen_TellsNothing)
{
    ct_config config = device_config();
    config.cpu_threads = -1;
    ct_context *ctx = nullptr;
    EXPECT_EQ(ct_create(&config, &ctx), CT_ERR_ARGUMENT);
    ct_destroy(ctx);
    EXPECT_EQ(ranges(), Lines{});
}

// ---- under a profile -------------------------------------------------------------------------------------

// Steps and replays go launch by launch, and so does each of its steps.
TEST_F(Nvtx, UnderAProfile_EveryDeviceShowsTheSameRecords)
{
    std::map<std::string, Lines> seen;
    const DeviceChoice cpu = {"cpu", CT_DEVICE_CPU, {}};
    for (const DeviceChoice &device : {cpu, devices().front()}) {
        Context ctx(device);
        Training training;
        ASSERT_TRUE(training.create(ctx));
        ASSERT_TRUE(training.step() && training.step());
        ctx.check(ct_profile_begin(ctx), "ct_profile_begin");
        forget();
        ASSERT_TRUE(training.step());
        const Lines step = records();
        EXPECT_GT(step.size(), 10u);
        forget();
        ctx.check(ct_replay(ctx, 2), "ct_replay");
        Lines twice = step;
        twice.insert(twice.end(), step.begin(), step.end());
        EXPECT_EQ(records(), twice);
        EXPECT_EQ(ranges().size(), twice.size() + 1);
        ctx.check(ct_profile_end(ctx), "ct_profile_end");
        seen[device.name] = step;
        training.destroy();
    }
    EXPECT_EQ(seen["cpu"], seen[devices().front().name]);
}

// Peaks are measured with launches of no program.
TEST_F(Nvtx, MeasuringTheDevice_ShowsNoRecords)
{
    Context ctx(DeviceChoice{"cpu", CT_DEVICE_CPU, {}});
    ctx.check(ct_profile_begin(ctx), "ct_profile_begin");
    ctx.check(ct_profile_end(ctx), "ct_profile_end");
    forget();
    ctx.check(ct_profile_table(ctx, "/dev/null"), "ct_profile_table");
    EXPECT_EQ(records(), Lines{});
}

// Checks of anomaly mode are none either; its replays are one range.
TEST_F(Nvtx, InAnomalyMode_TheRecordsAreTheSame)
{
    Lines seen[2];
    for (int anomaly = 0; anomaly < 2; ++anomaly) {
        ct_config config = {};
        config.detect_anomaly = anomaly;
        Context ctx(DeviceChoice{"cpu", CT_DEVICE_CPU, {}}, config);
        Layer layer(ctx);
        forget();
        layer.step();
        seen[anomaly] = records();
        forget();
        ctx.check(ct_replay(ctx, 3), "ct_replay");
        EXPECT_EQ(ranges(), Lines{"replay"});
    }
    EXPECT_EQ(seen[0], seen[1]);
    EXPECT_FALSE(seen[0].empty());
}

// ---- without a tool ------------------------------------------------------------------------------------------

TEST(NvtxWithoutATool, NothingIsWatched)
{
    if (std::getenv("NVTX_INJECTION64_PATH")) GTEST_SKIP() << "there is a tool";
    Context ctx;
    EXPECT_FALSE(view_watched(ctx));
    ctx.check(ct_profile_begin(ctx), "ct_profile_begin");
    EXPECT_TRUE(view_watched(ctx));
    ctx.check(ct_profile_end(ctx), "ct_profile_end");
    EXPECT_FALSE(view_watched(ctx));
}

} // namespace

// What a GPU's programs cost and how the device behaves, on a card or on the stand-in for one: the
// number of nodes and launches, graphs of many steps, wrapped memory, errors of opening. On the CPU
// there is nothing of it to test.
#include "program/program_test.h"
#include "support/compare.h"
#include "support/errors.h"

#include <algorithm>

namespace
{

class Cuda : public ::testing::Test
{
  protected:
    void SetUp() override
    {
        if (devices().front().device == CT_DEVICE_CPU) GTEST_SKIP() << "of GPUs";
    }
    static int64_t launches(ct_context *ctx) { return stats_of(ctx).launches; }
    template <typename Call> static int64_t launches_of(Trainer &t, const Call &call)
    {
        const int64_t before = launches(t.ctx);
        call();
        return launches(t.ctx) - before;
    }
};

const TrainerOptions fashion()
{
    TrainerOptions options;
    options.widths = {784, 128, 10};
    options.batch = 64;
    options.examples = 128;
    return options;
}

// Gather; two layers; cross-entropy with its gradient; {dH with the mask, dW2, db2}; {dW1, db1}; {Adam, ring}.
TEST_F(Cuda, AStepOf784_128_10_Has7Nodes)
{
    Trainer t(fashion());
    t.step(2);
    EXPECT_EQ(stats_of(t.ctx).nodes, 7);
}

// Gather; two layers; the third with the loss behind it, which is one block; {dH2, dW3, db3}; {dH1, dW2, db2};
// {dW1, db1}; {Adam, ring}.
TEST_F(Cuda, AStepOf32_64_64_1_Has8Nodes)
{
    TrainerOptions options;
    options.widths = {32, 64, 64, 1};
    options.batch = 256;
    options.examples = 512;
    options.regression = true;
    Trainer t(options);
    t.step(2);
    EXPECT_EQ(stats_of(t.ctx).nodes, 8);
}

TEST_F(Cuda, FromTheSecondSightOn_AStepIsOneLaunch)
{
    Trainer t;
    const int64_t first = launches_of(t, [&] { t.step(); });
    EXPECT_EQ(first, stats_of(t.ctx).nodes + 1) << "every node, after the scalars";
    for (int sight = 2; sight < 6; ++sight) EXPECT_EQ(launches_of(t, [&] { t.step(); }), 1) << "sight " << sight;
}

TEST_F(Cuda, AChangedRate_IsOneMoreLaunch)
{
    Trainer t;
    t.step(3);
    const int64_t with_rate = launches_of(t, [&] {
        t.ctx.check(ct_optimizer_set_lr(t.optimizer, 0.125), "ct_optimizer_set_lr");
        t.step();
    });
    EXPECT_EQ(with_rate, 2);
    EXPECT_EQ(launches_of(t, [&] { t.step(); }), 1) << "it is sent once";
}

// 32 steps a graph where there are at least 128 to do; single steps for the rest.
TEST_F(Cuda, Replay_PlaysGraphsOfManySteps)
{
    TrainerOptions options;
    options.examples = 8192; // batches enough
    Trainer t(options);
    t.step(2);
    const auto replay = [&](int64_t n) {
        return launches_of(t, [&] { t.ctx.check(ct_replay(t.ctx, n), "ct_replay"); });
    };
    EXPECT_EQ(replay(127), 127);
    EXPECT_EQ(replay(128), 4);
    EXPECT_EQ(replay(33), 2);
    EXPECT_EQ(replay(31), 31);
}

TEST_F(Cuda, GraphsOfManySteps_HaveTheBitsOfSingleSteps)
{
    Bits states[2];
    for (int way = 0; way < 2; ++way) {
        TrainerOptions options;
        options.dropout = 0.3;
        options.clip = true;
        options.examples = 8 * 300;
        Trainer t(options);
        t.step(2);
        if (way == 0)
            t.step(200);
        else
            t.ctx.check(ct_replay(t.ctx, 200), "ct_replay");
        states[way] = t.state();
    }
    EXPECT_EQ(states[0], states[1]);
}

TEST_F(Cuda, Eager_PlaysLaunchByLaunch_WithTheSameBits)
{
    Bits states[2];
    for (int way = 0; way < 2; ++way) {
        TrainerOptions options;
        options.config.eager = way == 1;
        Trainer t(options);
        t.step(6);
        states[way] = t.state();
    }
    EXPECT_EQ(states[0], states[1]);
}

// ---- memory -----------------------------------------------------------------------------------------------------

TEST_F(Cuda, Wrap_TakesDeviceMemory_AndRefusesTheHosts)
{
    Context ctx;
    const ct_tensor owner = ctx.leaf(CT_F32, {3}, {1, 2, 3});
    void *memory = nullptr;
    ctx.check(ct_data(ctx, owner, &memory), "ct_data");
    const int64_t three = 3;
    const ct_tensor wrapped = ctx.check(ct_wrap(ctx, CT_F32, 1, &three, memory), "ct_wrap");
    EXPECT_EQ(ctx.read(ct_mul_scalar(ctx, wrapped, 2)), (std::vector<double>{2, 4, 6}));
    ctx.end_step();

    float host[3] = {};
    EXPECT_EQ(ct_wrap(ctx, CT_F32, 1, &three, host).bits, 0u);
    EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"ct_wrap", "host memory"}));
}

TEST_F(Cuda, CopiesLongerThanTheStaging_Arrive)
{
    Context ctx;
    std::vector<double> values((9 << 20) / 4 + 3);
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i % 65521);
    const ct_tensor x = ctx.leaf(CT_F32, {static_cast<int64_t>(values.size())}, values);
    EXPECT_TRUE(same_bits(ctx.read(x), values));
    std::reverse(values.begin(), values.end());
    ctx.write(x, values);
    EXPECT_TRUE(same_bits(ctx.read(x), values));
}

// Products of more than ten microseconds go side by side, on two streams, and the rest waits for both.
TEST_F(Cuda, LargeProductsSideBySide_HaveTheBitsOfTheFirstSight)
{
    const int64_t n = 512;
    Context ctx;
    const ct_tensor x = some_leaf(ctx, {n, n}, 1, true), w = some_leaf(ctx, {n, n}, 2, true);
    const ct_tensor target = some_leaf(ctx, {n, n}, 3);
    Bits first;
    for (int sight = 1; sight < 4; ++sight) {
        ct_zero_grad(ctx, x);
        ct_zero_grad(ctx, w);
        ct_backward(ctx, ct_mse_loss(ctx, ct_matmul(ctx, x, w), target, CT_REDUCE_SUM));
        ct_accumulate(ctx, ct_grad(ctx, x), ct_grad(ctx, w)); // reads what both branches made
        ctx.end_step();
        Bits both = bits_of(ctx, ct_grad(ctx, x));
        const Bits dw = bits_of(ctx, ct_grad(ctx, w));
        both.insert(both.end(), dw.begin(), dw.end());
        if (sight == 1) first = both;
        EXPECT_EQ(both == first, true) << "sight " << sight;
    }
}

// ---- opening ----------------------------------------------------------------------------------------------------

TEST_F(Cuda, ADeviceIndexThatIsNotThere_IsRefused)
{
    for (const int32_t index : {-1, 1000}) {
        ct_config config = device_config();
        config.device_index = index;
        ct_context *ctx = nullptr;
        EXPECT_EQ(ct_create(&config, &ctx), CT_ERR_ARGUMENT);
        ASSERT_NE(ctx, nullptr);
        EXPECT_NE(std::string(ct_error_message(ctx)).find(std::to_string(index)), std::string::npos)
            << ct_error_message(ctx);
        ct_destroy(ctx);
    }
}

TEST_F(Cuda, TheContext_HasAStreamAndTheCardsName)
{
    Context ctx;
    EXPECT_NE(ct_stream(ctx), nullptr);
    EXPECT_STRNE(ct_device_name(ctx), "");
}

// The modes allow rounding inside large products; small ones keep f32.
TEST_F(Cuda, MathModes_RoundLargeProductsOnly)
{
    for (const int32_t math : {CT_MATH_F32, CT_MATH_TF32, CT_MATH_BF16}) {
        SCOPED_TRACE(math);
        for (const int64_t n : {64, 512}) {
            ct_config config = {};
            config.math = math;
            Context ctx(devices().front(), config);
            // Ones and one value between two of fewer bits: f32 keeps it, the modes do not.
            const double odd = 1 + 0x1p-12;
            std::vector<double> a(static_cast<size_t>(n * n), 0), b(a);
            for (int64_t i = 0; i < n; ++i) a[static_cast<size_t>(i * n)] = odd, b[static_cast<size_t>(i)] = 1;
            const std::vector<double> c =
                ctx.read(ct_matmul(ctx, ctx.leaf(CT_F32, {n, n}, a), ctx.leaf(CT_F32, {n, n}, b)));
            const bool rounds = math != CT_MATH_F32 && n == 512;
            EXPECT_TRUE(is_close(c[0], odd, {0, rounds ? 0x1p-8 : 0}));
            EXPECT_EQ(c[0] != odd, rounds);
            ctx.end_step();
        }
    }
}

} // namespace

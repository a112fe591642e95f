// When a segment is the program that was compiled before, and when it is another one.
#include "program/program_test.h"

namespace
{

class Cache : public ::testing::Test
{
  protected:
    ~Cache() override { EXPECT_TRUE(plans_are_sound(ctx)); }
    int64_t compiles() { return stats_of(ctx).compiles; }
    // One step, and how many programs it compiled.
    int64_t compiled_by(const std::function<void()> &step)
    {
        const int64_t before = compiles();
        step();
        ctx.end_step();
        return compiles() - before;
    }
    Context ctx;
};

TEST_F(Cache, SecondStep_CompilesNothing)
{
    Trainer t;
    t.step();
    const int64_t first = stats_of(t.ctx).compiles;
    EXPECT_GE(first, 1);
    t.step(20);
    EXPECT_EQ(stats_of(t.ctx).compiles, first);
    EXPECT_EQ(stats_of(t.ctx).programs, first);
    EXPECT_TRUE(plans_are_sound(t.ctx));
}

// zero_grad before there is anything to zero is recorded all the same.
TEST_F(Cache, FirstStepAndLaterOnes_AreOneProgram)
{
    Trainer t;
    t.step(5);
    EXPECT_EQ(stats_of(t.ctx).compiles, 1);

    const ct_tensor w = some_leaf(ctx, {3, 4}, 1, true), x = some_leaf(ctx, {4, 2}, 2);
    for (int i = 0; i < 3; i++) {
        ctx.check(ct_zero_grad(ctx, w), "ct_zero_grad");
        ctx.check(ct_backward(ctx, ct_sum(ctx, ct_matmul(ctx, w, x), 0, nullptr, false)), "ct_backward");
        ctx.end_step();
    }
    EXPECT_EQ(compiles(), 1);
}

TEST_F(Cache, AnotherShape_IsAnotherProgram)
{
    const ct_tensor a = some_leaf(ctx, {4}, 1), out = some_leaf(ctx, {4}, 2);
    const ct_tensor b = some_leaf(ctx, {5}, 3), out_b = some_leaf(ctx, {5}, 4);
    const auto step = [&](ct_tensor x, ct_tensor y) { return [=] { ct_assign(ctx, y, ct_neg(ctx, x)); }; };
    EXPECT_EQ(compiled_by(step(a, out)), 1);
    EXPECT_EQ(compiled_by(step(a, out)), 0);
    EXPECT_EQ(compiled_by(step(b, out_b)), 1);
    EXPECT_EQ(compiled_by(step(a, out)), 0);
    EXPECT_EQ(compiled_by(step(b, out_b)), 0);
}

TEST_F(Cache, AttributesThatAreNoScalars_AreOtherPrograms)
{
    const ct_tensor x = some_leaf(ctx, {4, 4}, 1), out = some_leaf(ctx, {4}, 2);
    const auto sum_over = [&](int dim) { return [=] { ct_assign(ctx, out, ct_sum(ctx, x, 1, &dim, false)); }; };
    EXPECT_EQ(compiled_by(sum_over(0)), 1);
    EXPECT_EQ(compiled_by(sum_over(1)), 1);
    EXPECT_EQ(compiled_by(sum_over(0)), 0);
}

TEST_F(Cache, AnotherScalar_IsTheSameProgramWithItsOwnResult)
{
    const ct_tensor x = ctx.leaf(CT_F32, {3}, {1, -2, 4}), out = ctx.leaf(CT_F32, {3}, {0, 0, 0});
    for (const double factor : {2.0, 0.5, -3.0, 0.0, -0.0, 2.0, 1024.0, 1.0, 1.0}) {
        ct_assign(ctx, out, ct_add_scalar(ctx, ct_mul_scalar(ctx, x, factor), factor + 1));
        ctx.end_step();
        const double shift = factor + 1;
        const auto single = [](double x) { return static_cast<double>(static_cast<float>(x)); };
        EXPECT_EQ(ctx.read(out), (std::vector<double>{single(factor + shift), single(-2 * factor + shift),
                                                      single(4 * factor + shift)}))
            << factor;
    }
    EXPECT_EQ(compiles(), 1);
}

TEST_F(Cache, AnotherRate_IsTheSameProgram)
{
    Trainer t;
    t.step(2);
    const int64_t compiled = stats_of(t.ctx).compiles;
    for (const double rate : {1e-2, 1e-4, 0.0}) {
        t.ctx.check(ct_optimizer_set_lr(t.optimizer, rate), "ct_optimizer_set_lr");
        t.step();
    }
    EXPECT_EQ(stats_of(t.ctx).compiles, compiled);
    // A rate of zero leaves the parameters where they are.
    const ct_tensor w = ct_params_get(ct_mlp_params(t.net), "layers.0.weight");
    const Bits before = bits_of(t.ctx, w);
    t.step();
    EXPECT_EQ(bits_of(t.ctx, w), before);
}

TEST_F(Cache, ALeafMadeAnewEachStep_IsTheSameProgram)
{
    if (std::getenv("CT_POOL_DEBUG")) GTEST_SKIP() << "each block is an allocation of its own";
    const ct_tensor w = some_leaf(ctx, {8, 8}, 1, true);
    double expected = 0;
    for (int i = 0; i < 6; i++) {
        const ct_tensor x = ctx.leaf(CT_F32, {8, 8}, std::vector<double>(64, i));
        ctx.check(ct_zero_grad(ctx, w), "ct_zero_grad");
        ctx.check(ct_backward(ctx, ct_sum(ctx, ct_mul(ctx, w, x), 0, nullptr, false)), "ct_backward");
        ct_release(ctx, x);
        ctx.end_step();
        if (i == 0) expected = static_cast<double>(compiles());
        EXPECT_EQ(compiles(), expected) << "step " << i;
        EXPECT_EQ(ctx.read(ct_grad(ctx, w)), std::vector<double>(64, i));
    }
}

// Both of its blocks, its own and that of its gradient, come back to where they were.
TEST_F(Cache, ALeafWithAGradientMadeAnewEachStep_IsTheSameProgram)
{
    if (std::getenv("CT_POOL_DEBUG")) GTEST_SKIP() << "each block is an allocation of its own";
    const ct_tensor w = some_leaf(ctx, {8, 8}, 1);
    for (int i = 0; i < 4; i++) {
        const ct_tensor x = some_leaf(ctx, {8, 8}, 2, true);
        ctx.check(ct_backward(ctx, ct_sum(ctx, ct_mul(ctx, w, x), 0, nullptr, false)), "ct_backward");
        ct_release(ctx, x);
        ctx.end_step();
    }
    EXPECT_EQ(compiles(), 1);
}

TEST_F(Cache, TrainingMode_IsPartOfTheProgram)
{
    const ct_tensor x = some_leaf(ctx, {4}, 1), out = some_leaf(ctx, {4}, 2);
    const auto step = [&] { ct_assign(ctx, out, ct_neg(ctx, x)); };
    EXPECT_EQ(compiled_by(step), 1);
    ct_set_training(ctx, false);
    EXPECT_EQ(compiled_by(step), 1);
    EXPECT_EQ(compiled_by(step), 0);
    ct_set_training(ctx, true);
    EXPECT_EQ(compiled_by(step), 0);
}

TEST_F(Cache, AnOpenEnd_IsAnotherProgramThanAFinalOne)
{
    const ct_tensor x = some_leaf(ctx, {4}, 1), out = some_leaf(ctx, {4}, 2);
    EXPECT_EQ(compiled_by([&] { ct_assign(ctx, out, ct_neg(ctx, x)); }), 1);
    EXPECT_EQ(compiled_by([&] { ct_assign(ctx, out, ct_neg(ctx, x)), ct_flush(ctx); }), 1);
    EXPECT_EQ(compiled_by([&] { ct_assign(ctx, out, ct_neg(ctx, x)), ct_flush(ctx); }), 0);
}

// The dtype a cast goes to is in no operand.
TEST_F(Cache, ACastToAnotherDtype_IsAnotherProgram)
{
    const ct_tensor x = ctx.leaf(CT_F32, {4}, {1, 2, 3, 250});
    for (const ct_dtype dtype : {CT_F64, CT_I32, CT_I64, CT_U8, CT_F32}) {
        const ct_tensor y = ctx.check(ct_cast(ctx, x, dtype), "ct_cast");
        EXPECT_EQ(ctx.read(y), (std::vector<double>{1, 2, 3, 250})) << "dtype " << dtype;
        ctx.end_step();
    }
    EXPECT_EQ(compiles(), 5);
}

// The zero gradient of an input that is not used has that input's shape, which no operand has.
TEST_F(Cache, GradientsOfAnotherUnusedInput_AreAnotherProgram)
{
    const ct_tensor w = some_leaf(ctx, {3}, 1, true);
    const ct_tensor small = some_leaf(ctx, {2}, 2, true), large = some_leaf(ctx, {500}, 3, true);
    const ct_tensor doubles = some_leaf(ctx, {500}, 4, true, CT_F64);
    for (const ct_tensor unused : {small, large, doubles}) {
        const ct_tensor y = ct_sum(ctx, ct_square(ctx, w), 0, nullptr, false), inputs[] = {w, unused};
        ct_tensor grads[2];
        ctx.check(ct_gradients(ctx, 1, &y, nullptr, 2, inputs, grads, 0), "ct_gradients");
        ct_read(ctx, grads[0], std::vector<float>(3).data(), 12);
        const std::vector<double> zeros = ctx.read(grads[1]);
        EXPECT_EQ(zeros, std::vector<double>(zeros.size(), 0)) << zeros.size() << " elements";
        ctx.end_step();
    }
    EXPECT_EQ(compiles(), 3);
}

TEST_F(Cache, RandomShapes_AreOtherPrograms)
{
    const int64_t few = 3, many = 400;
    for (const int64_t n : {few, many}) {
        const std::vector<double> values = ctx.read(ct_rand(ctx, CT_F64, 1, &n));
        ctx.end_step();
        EXPECT_EQ(values.size(), static_cast<size_t>(n));
        EXPECT_NE(values.front(), values.back());
    }
}

TEST_F(Cache, ExpectCached_NamesTheShapeThatDiffers)
{
    const ct_tensor a = some_leaf(ctx, {4, 7}, 1), b = some_leaf(ctx, {5, 9}, 2), ring = some_leaf(ctx, {3}, 3);
    const auto step = [&](ct_tensor x) { ct_append(ctx, ring, ct_mean(ctx, ct_neg(ctx, x), 0, nullptr, false)); };
    step(a);
    ctx.end_step();
    ct_expect_cached(ctx, true);
    step(a);
    EXPECT_EQ(ct_step_end(ctx), CT_OK);
    const std::vector<double> before = ctx.read(ring);
    step(b);
    EXPECT_EQ(ct_step_end(ctx), CT_ERR_STATE);
    const std::string message = take_error(ctx, CT_ERR_STATE);
    for (const char *word : {"ct_expect_cached", "record 0", "neg", "[4,7]", "[5,9]"})
        EXPECT_NE(message.find(word), std::string::npos) << word << " is not in: " << message;
    EXPECT_EQ(ctx.read(ring), before);
    ct_expect_cached(ctx, false);
    step(b);
    EXPECT_EQ(ct_step_end(ctx), CT_OK);
}

TEST_F(Cache, ExpectCached_NamesTheLeafThatWasMadeAnew)
{
    const ct_tensor out = some_leaf(ctx, {6}, 1), first = some_leaf(ctx, {6}, 2), second = some_leaf(ctx, {6}, 3);
    ctx.check(ct_set_name(ctx, second, "batch"), "ct_set_name");
    ct_assign(ctx, out, ct_neg(ctx, ct_square(ctx, first)));
    ctx.end_step();
    ct_expect_cached(ctx, true);
    ct_assign(ctx, out, ct_neg(ctx, ct_square(ctx, second)));
    EXPECT_EQ(ct_step_end(ctx), CT_ERR_STATE);
    const std::string message = take_error(ctx, CT_ERR_STATE);
    for (const char *word : {"record 0", "square", "batch", "ct_write"})
        EXPECT_NE(message.find(word), std::string::npos) << word << " is not in: " << message;
}

TEST_F(Cache, ExpectCached_NamesTheFirstRecordThatDiffers)
{
    const ct_tensor x = some_leaf(ctx, {6}, 1), out = some_leaf(ctx, {6}, 2);
    ct_assign(ctx, out, ct_neg(ctx, ct_square(ctx, x)));
    ctx.end_step();
    ct_expect_cached(ctx, true);
    ct_assign(ctx, out, ct_exp(ctx, ct_square(ctx, x)));
    EXPECT_EQ(ct_step_end(ctx), CT_ERR_STATE);
    const std::string message = take_error(ctx, CT_ERR_STATE);
    for (const char *word : {"record 1", "neg", "exp"})
        EXPECT_NE(message.find(word), std::string::npos) << word << " is not in: " << message;
}

// The op is the same, on the same leaves: the reason is in what else the record has.
TEST_F(Cache, ExpectCached_TellsRecordsOfOneOpApart)
{
    const ct_tensor x = some_leaf(ctx, {6}, 1), w = some_leaf(ctx, {6}, 2), out = some_leaf(ctx, {6}, 3);
    const auto miss = [&](const std::function<ct_tensor(ct_tensor, ct_tensor)> &last, bool grad = false) {
        ctx.check(ct_set_requires_grad(ctx, w, grad), "ct_set_requires_grad");
        const ct_tensor t = ct_square(ctx, x), u = ct_neg(ctx, x);
        ct_assign(ctx, out, ct_exp(ctx, last(t, u)));
        const ct_status status = ct_step_end(ctx);
        return status ? take_error(ctx, status) : std::string();
    };
    const auto sub = [&](ct_tensor a, ct_tensor b) { return ct_sub(ctx, a, b); };
    EXPECT_EQ(miss(sub), "");
    EXPECT_EQ(miss([&](ct_tensor t, ct_tensor u) { return ct_add(ctx, t, ct_mul(ctx, u, w)); }), "");
    ct_expect_cached(ctx, true);
    const auto says = [](const std::string &message, const std::string &words) {
        return message.find(words) == std::string::npos ? ::testing::AssertionFailure() << message
                                                        : ::testing::AssertionSuccess();
    };
    EXPECT_TRUE(says(miss([&](ct_tensor t, ct_tensor u) { return sub(u, t); }),
                     "it was sub: its operand 0 is another tensor of the step"));
    EXPECT_TRUE(says(miss([&](ct_tensor t, ct_tensor) { return sub(t, t); }),
                     "it was sub: its operand 1 is another tensor of the step"));
    EXPECT_TRUE(says(miss([&](ct_tensor t, ct_tensor u) { return ct_add(ctx, t, ct_mul(ctx, u, w)); }, true),
                     ": it requires a gradient now"));
    ct_expect_cached(ctx, false);
}

TEST(CacheLog, AMiss_IsLogged)
{
    std::vector<std::string> lines;
    ct_config config = {};
    config.log = [](void *user, const char *text) {
        static_cast<std::vector<std::string> *>(user)->emplace_back(text);
    };
    config.log_user = &lines;
    Context ctx(devices().front(), config);
    const ct_tensor a = some_leaf(ctx, {4}, 1), b = some_leaf(ctx, {9}, 2), ring = some_leaf(ctx, {3}, 3);
    const auto step = [&](ct_tensor x) {
        ct_append(ctx, ring, ct_mean(ctx, x, 0, nullptr, false));
        ctx.end_step();
    };
    step(a);
    step(a);
    EXPECT_TRUE(lines.empty());
    step(b);
    ASSERT_EQ(lines.size(), 1u);
    for (const char *word : {"compiling", "record 0", "[4]", "[9]"})
        EXPECT_NE(lines[0].find(word), std::string::npos) << word << " is not in: " << lines[0];
    step(b);
    step(a);
    EXPECT_EQ(lines.size(), 1u);
}

// The least recently used goes. All give the right values, those that come back too.
TEST_F(Cache, ThreeHundredPrograms_StayWithinTheBound)
{
    std::vector<ct_tensor> leaves;
    for (int i = 0; i < 300; i++)
        leaves.push_back(ctx.leaf(CT_F32, {i + 1}, std::vector<double>(static_cast<size_t>(i + 1), i)));
    const ct_tensor out = ctx.leaf(CT_F32, {1}, {0});
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 300; i++) {
            const int64_t one = 1;
            ct_assign(ctx, out,
                      ct_reshape(ctx, ct_mean(ctx, leaves[static_cast<size_t>(i)], 0, nullptr, false), 1, &one));
            ctx.end_step();
            ASSERT_LE(stats_of(ctx).programs, 256);
            ASSERT_NEAR(ctx.read(out)[0], i, 1e-4);
        }
    // The last ones are there still.
    const int64_t before = compiles(), one = 1;
    for (int i = 200; i < 300; i++) {
        ct_assign(ctx, out, ct_reshape(ctx, ct_mean(ctx, leaves[static_cast<size_t>(i)], 0, nullptr, false), 1, &one));
        ctx.end_step();
    }
    EXPECT_EQ(compiles(), before);
}

// More programs in one step than the bound: values of its first part must not go. After
// it, the cache comes back within its bound.
TEST_F(Cache, AStepOfThreeHundredSegments_KeepsItsValues)
{
    const ct_tensor x = ctx.leaf(CT_F32, {3}, {1, 2, 3});
    std::vector<ct_tensor> values = {ct_add_scalar(ctx, x, 0)};
    for (int i = 1; i < 300; i++) {
        values.push_back(ct_add_scalar(ctx, values.back(), 1));
        ctx.check(ct_flush(ctx), "ct_flush");
    }
    for (int i = 0; i < 300; i += 13)
        EXPECT_EQ(ctx.read(values[static_cast<size_t>(i)]), (std::vector<double>{1.0 + i, 2.0 + i, 3.0 + i}));
    ctx.end_step();
    const ct_tensor out = ctx.leaf(CT_F32, {3}, {0, 0, 0});
    for (int i = 0; i < 3; i++) {
        ct_assign(ctx, out, i == 0 ? ct_neg(ctx, x) : i == 1 ? ct_exp(ctx, x) : ct_sqrt(ctx, x));
        ctx.end_step();
    }
    EXPECT_LE(stats_of(ctx).programs, 256);
}

// Programs that go give back what they hold.
TEST_F(Cache, ArenaMemory_ComesBackWithThePrograms)
{
    if (std::getenv("CT_POOL_DEBUG")) GTEST_SKIP() << "each block is an allocation of its own";
    const int64_t start = stats_of(ctx).pool_in_use;
    const ct_tensor ring = ctx.leaf(CT_F32, {4}, {0, 0, 0, 0});
    for (int i = 0; i < 600; i++) {
        const int64_t n = 1000 + 64 * i;
        const ct_tensor x = ct_rand(ctx, CT_F32, 1, &n);
        ct_append(ctx, ring, ct_mean(ctx, ct_square(ctx, x), 0, nullptr, false));
        ctx.end_step();
    }
    EXPECT_LE(stats_of(ctx).programs, 256);
    EXPECT_LT(stats_of(ctx).pool_in_use - start, 8 << 20);
    EXPECT_LE(stats_of(ctx).pool_in_use, stats_of(ctx).pool_reserved);
}

} // namespace

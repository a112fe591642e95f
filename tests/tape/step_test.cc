// Steps and segments as a user sees them: what a flush, a read or eager play leaves
// unchanged, loops whose length changes, and replays.
#include "support/training.h"
#include "tape/tape_test.h"

#include <numeric>

namespace
{

class Step : public Tape
{
};

TEST_F(Step, OfNothingEnds)
{
    for (int i = 0; i < 3; ++i) ctx.end_step();
    ctx.check(ct_flush(ctx), "ct_flush");
    ctx.check(ct_synchronize(ctx), "ct_synchronize");
    EXPECT_EQ(stats().compiles, 0);
}

TEST_F(Step, CountsWhatIsRecorded)
{
    const ct_tensor x = constant({2});
    EXPECT_EQ(stats().recorded, 0);
    ct_square(ctx, x);
    ct_square(ctx, x);
    EXPECT_EQ(stats().recorded, 2);
    ctx.check(ct_flush(ctx), "ct_flush");
    EXPECT_EQ(stats().recorded, 2);
    ctx.end_step();
    EXPECT_EQ(stats().recorded, 0);
}

TEST_F(Step, EagerPlayGivesTheSameBits)
{
    std::vector<float> weights[2];
    for (const bool eager : {false, true}) {
        ct_config config = {};
        config.eager = eager;
        config.seed = 9;
        Context fresh(devices().front(), config);
        Training training;
        ASSERT_TRUE(training.create(fresh));
        for (int step = 0; step < 7; ++step) ASSERT_TRUE(training.step()) << ct_error_message(fresh);
        weights[eager] = training.weights();
        training.destroy();
    }
    ASSERT_FALSE(weights[0].empty());
    EXPECT_EQ(weights[0], weights[1]);
}

TEST_F(Step, EagerPlayDifferentiatesTheSame)
{
    ct_config config = {};
    config.eager = true;
    Context eager(devices().front(), config);
    Values results[2][3];
    for (Context *c : {&ctx, &eager}) {
        Values *result = results[c == &eager];
        const ct_tensor x = c->leaf(CT_F64, {3}, {0.1, 0.2, 0.3}), w = c->leaf(CT_F64, {1, 3}, {1, 2, 3});
        c->check(ct_set_requires_grad(*c, x, true), "ct_set_requires_grad");
        const ct_tensor y = ct_sum(*c, ct_exp(*c, ct_mul(*c, x, w)), 0, nullptr, false);
        ct_tensor g, gg;
        c->check(ct_gradients(*c, 1, &y, nullptr, 1, &x, &g, CT_CREATE_GRAPH), "ct_gradients");
        c->check(ct_gradients(*c, 1, &g, nullptr, 1, &x, &gg, CT_RETAIN_GRAPH), "ct_gradients");
        c->check(ct_backward(*c, y), "ct_backward");
        result[0] = c->read(g);
        result[1] = c->read(gg);
        result[2] = c->read(ct_grad(*c, x));
        c->end_step();
    }
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(same_bits(results[1][i], results[0][i]));
}

// A step read at every point is the step read nowhere.
TEST_F(Step, ReadingInTheMidstChangesNoBits)
{
    Values results[2][2];
    for (const bool reading : {false, true}) {
        Context fresh;
        const ct_tensor w = fresh.leaf(CT_F32, {4, 4}, {.1, .2, .3, .4, .5, .6, .7, .8, .9, 1, .1, .2, .3, .4, .5, .6});
        fresh.check(ct_set_requires_grad(fresh, w, true), "ct_set_requires_grad");
        for (int step = 0; step < 3; ++step) {
            const auto look = [&](ct_tensor x) {
                if (reading) fresh.read(fresh.check(x, "the tensor"));
                return x;
            };
            ct_tensor h = look(ct_tanh(fresh, look(ct_matmul(fresh, w, w))));
            h = look(ct_softmax(fresh, look(ct_matmul(fresh, h, look(ct_transpose(fresh, w, 0, 1)))), 1));
            const ct_tensor loss = look(ct_mean(fresh, look(ct_square(fresh, h)), 0, nullptr, false));
            fresh.check(ct_zero_grad(fresh, w), "ct_zero_grad");
            if (reading) fresh.read(ct_grad(fresh, w));
            fresh.check(ct_backward(fresh, loss), "ct_backward");
            if (reading) fresh.read(ct_grad(fresh, w));
            fresh.check(ct_assign(fresh, w, ct_sub(fresh, w, ct_grad(fresh, w))), "ct_assign");
            fresh.end_step();
        }
        results[reading][0] = fresh.read(w);
        results[reading][1] = fresh.read(ct_grad(fresh, w));
    }
    EXPECT_TRUE(same_bits(results[1][0], results[0][0]));
    EXPECT_TRUE(same_bits(results[1][1], results[0][1]));
}

TEST_F(Step, MayLoopAsOftenAsItLikes)
{
    const ct_tensor x = parameter({1.01}), out = constant({0});
    const int lengths[] = {1, 5, 2, 5, 1, 17, 2, 17, 0, 5};
    for (const int length : lengths) {
        ct_tensor y = ct_mul_scalar(ctx, x, 1);
        for (int i = 0; i < length; ++i) y = ct_mul(ctx, y, x);
        ctx.check(ct_zero_grad(ctx, x), "ct_zero_grad");
        backward(y);
        ctx.check(ct_assign(ctx, out, y), "ct_assign");
        ctx.end_step();
        EXPECT_NEAR(ct_item(ctx, out), std::pow(1.01, length + 1), 1e-12);
        EXPECT_NEAR(grad(x)[0], (length + 1) * std::pow(1.01, length), 1e-12);
    }
    EXPECT_EQ(stats().compiles, 5); // one for each length
}

TEST_F(Step, MayDependOnWhatItReads)
{
    // Newton's iteration until it is close enough; the next step looks again.
    const ct_tensor target = constant({2});
    for (const double a : {2., 9., 1e6}) {
        ctx.write(target, {a});
        ct_tensor x = ct_add_scalar(ctx, ct_mul_scalar(ctx, target, 0), 1);
        int rounds = 0;
        while (std::fabs(ct_item(ctx, ct_sub(ctx, ct_square(ctx, x), target))) > 1e-9 * a) {
            x = ct_mul_scalar(ctx, ct_add(ctx, x, ct_div(ctx, target, x)), 0.5);
            ASSERT_LT(++rounds, 100);
        }
        EXPECT_NEAR(ct_item(ctx, x), std::sqrt(a), 1e-6 * a);
        ctx.end_step();
    }
}

TEST_F(Step, MayHaveThousandsOfSegments)
{
    const ct_tensor x = constant({0});
    ct_tensor y = x;
    for (int i = 1; i <= 1500; ++i) {
        y = ct_add_scalar(ctx, y, 1);
        ASSERT_EQ(ct_item(ctx, y), i);
    }
    ctx.end_step();
}

TEST_F(Step, SeenBeforeIsNotCompiledAgain)
{
    const ct_tensor x = parameter({2});
    for (int step = 0; step < 10; ++step) {
        ctx.check(ct_zero_grad(ctx, x), "ct_zero_grad");
        backward(ct_mul_scalar(ctx, ct_square(ctx, x), step)); // another scalar is the same program
        ctx.end_step();
        EXPECT_EQ(grad(x), Values{4. * step});
    }
    EXPECT_EQ(stats().compiles, 1);
}

TEST_F(Step, WithOtherTypesIsAnotherProgram)
{
    const ct_tensor x = ctx.leaf(CT_F32, {3}, {1.5, 2.5, -3.5});
    const Values expected[] = {{1.5, 2.5, -3.5}, {1.5, 2.5, -3.5}, {1, 2, -3}, {}, {1, 2, -3}};
    for (const ct_dtype dtype : {CT_F64, CT_I32, CT_I64, CT_F32, CT_F64, CT_I64}) {
        const ct_tensor y = ct_cast(ctx, x, dtype);
        EXPECT_EQ(ctx.read(y), expected[dtype]) << "to dtype " << dtype;
        ctx.end_step();
    }
}

TEST_F(Step, WithOtherAttributesIsAnotherProgram)
{
    const ct_tensor x = ctx.leaf(CT_F32, {2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
    const Values sums[] = {{6, 8, 10, 12}, {4, 6, 12, 14}, {3, 7, 11, 15}};
    for (int round = 0; round < 2; ++round)
        for (int dim = 0; dim < 3; ++dim) {
            const ct_tensor s = ct_sum(ctx, x, 1, &dim, false), kept = ct_sum(ctx, x, 1, &dim, true);
            const ct_tensor largest = ct_argmax(ctx, x, dim), soft = ct_softmax(ctx, x, dim);
            EXPECT_EQ(ctx.read(s), sums[dim]);
            EXPECT_EQ(ctx.describe(kept).ndim, 3);
            EXPECT_EQ(ctx.read(kept), sums[dim]);
            EXPECT_EQ(ctx.read(largest), (Values{1, 1, 1, 1}));
            EXPECT_TRUE(all_close(ctx.read(ct_sum(ctx, soft, 1, &dim, false)), {1, 1, 1, 1}, {1e-6, 0}));
            const ct_tensor turned = ct_transpose(ctx, x, dim, (dim + 1) % 3);
            EXPECT_NE(ctx.read(turned), ctx.read(x));
            ctx.end_step();
        }
}

TEST_F(Step, WithOtherRandomShapesOrTypesIsAnotherProgram)
{
    for (const int64_t n : {3, 1000, 3}) {
        const Values values = ctx.read(ct_rand(ctx, CT_F32, 1, &n));
        EXPECT_EQ(values.size(), static_cast<size_t>(n));
        for (const double value : values) ASSERT_TRUE(value >= 0 && value < 1);
        ctx.end_step();
    }
    const int64_t n = 100;
    for (const ct_dtype dtype : {CT_F32, CT_F64, CT_F32}) {
        for (const double value : ctx.read(ct_rand(ctx, dtype, 1, &n))) ASSERT_TRUE(value >= 0 && value < 1);
        ctx.end_step();
    }
}

TEST_F(Step, InTrainingAndEvaluationAreTwoPrograms)
{
    const ct_tensor x = ctx.leaf(CT_F32, {8}, Values(8, 1)), out = ctx.leaf(CT_F32, {8}, Values(8, 0));
    for (int step = 0; step < 6; ++step) {
        ct_set_training(ctx, step % 2 == 0);
        ctx.check(ct_assign(ctx, out, ct_dropout(ctx, x, 0.5)), "ct_assign");
        ctx.end_step();
        if (step % 2) {
            EXPECT_EQ(ctx.read(out), Values(8, 1));
        }
    }
    EXPECT_EQ(stats().compiles, 2);
}

class Replay : public Tape
{
};

TEST_F(Replay, PlaysTheLastStepAgain)
{
    const ct_tensor count = constant({0});
    ctx.check(ct_assign(ctx, count, ct_add_scalar(ctx, count, 1)), "ct_assign");
    ctx.end_step();
    for (const int64_t n : {0, 1, 5, 100}) {
        const double before = ct_item(ctx, count);
        ctx.check(ct_replay(ctx, n), "ct_replay");
        EXPECT_EQ(ct_item(ctx, count), before + static_cast<double>(n));
    }
}

TEST_F(Replay, OfTrainingIsTrainingRecorded)
{
    std::vector<float> weights[2];
    for (const bool replaying : {false, true}) {
        Context fresh;
        Training training;
        ASSERT_TRUE(training.create(fresh));
        ASSERT_TRUE(training.step());
        if (replaying) {
            fresh.check(ct_replay(fresh, 4), "ct_replay");
            fresh.check(ct_replay(fresh, 3), "ct_replay");
        }
        for (int i = 0; !replaying && i < 7; ++i) ASSERT_TRUE(training.step());
        weights[replaying] = training.weights();
        training.destroy();
    }
    ASSERT_FALSE(weights[0].empty());
    EXPECT_EQ(weights[0], weights[1]);
}

TEST_F(Replay, OfNothingIsRefused)
{
    EXPECT_EQ(ct_replay(ctx, 1), CT_ERR_STATE);
    EXPECT_TRUE(failed(ctx, CT_ERR_STATE, {"ct_replay"}));
    ctx.end_step();
    EXPECT_EQ(ct_replay(ctx, 1), CT_ERR_STATE);
    EXPECT_TRUE(failed(ctx, CT_ERR_STATE, {"ct_replay"}));
}

TEST_F(Replay, OfANegativeNumberIsRefused)
{
    EXPECT_EQ(ct_replay(ctx, -1), CT_ERR_ARGUMENT);
    EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"ct_replay", "-1"}));
}

TEST_F(Replay, OfAStepThatWasSplitNamesTheCall)
{
    const ct_tensor x = constant({1});
    const auto refused = [&](const char *call) {
        ct_assign(ctx, x, ct_add_scalar(ctx, x, 1));
        ctx.end_step();
        EXPECT_EQ(ct_replay(ctx, 1), CT_ERR_STATE);
        return failed(ctx, CT_ERR_STATE, {"ct_replay", call});
    };
    ct_item(ctx, ct_square(ctx, x));
    EXPECT_TRUE(refused("ct_item"));
    ctx.read(ct_square(ctx, x));
    EXPECT_TRUE(refused("ct_read"));
    ct_square(ctx, x);
    ctx.check(ct_flush(ctx), "ct_flush");
    EXPECT_TRUE(refused("ct_flush"));
    ct_square(ctx, x);
    ctx.check(ct_synchronize(ctx), "ct_synchronize");
    EXPECT_TRUE(refused("ct_synchronize"));
    ct_square(ctx, x);
    ctx.write(x, {1});
    EXPECT_TRUE(refused("ct_write"));
}

TEST_F(Replay, OfAStepWhoseLeafWasReleasedIsRefused)
{
    const ct_tensor x = constant({1}), y = constant({2});
    ctx.check(ct_set_name(ctx, y, "temporary"), "ct_set_name");
    ctx.check(ct_assign(ctx, x, y), "ct_assign");
    ctx.end_step();
    ct_release(ctx, y);
    EXPECT_EQ(ct_replay(ctx, 1), CT_ERR_STATE);
    EXPECT_TRUE(failed(ctx, CT_ERR_STATE, {"ct_replay", "temporary", "released"}));
}

TEST_F(Replay, InTheMiddleOfAStepIsRefused)
{
    const ct_tensor x = constant({1});
    ctx.check(ct_assign(ctx, x, ct_add_scalar(ctx, x, 1)), "ct_assign");
    ctx.end_step();
    ct_square(ctx, x);
    EXPECT_EQ(ct_replay(ctx, 1), CT_ERR_STATE);
    EXPECT_TRUE(failed(ctx, CT_ERR_STATE, {"ct_replay", "ct_step_end"}));
    EXPECT_EQ(ct_item(ctx, x), 2);
}

TEST_F(Replay, ReadsLeavesAsTheyAreNow)
{
    const ct_tensor x = constant({1}), sum = constant({0});
    ctx.check(ct_accumulate(ctx, sum, x), "ct_accumulate");
    ctx.end_step();
    ctx.write(x, {10});
    ctx.check(ct_replay(ctx, 2), "ct_replay");
    EXPECT_EQ(ct_item(ctx, sum), 21);
}

// Five batches of two and one of one; the loader's host side must keep count.
class ReplayOfALoader : public Tape
{
  protected:
    void SetUp() override
    {
        std::vector<double> x(11);
        std::iota(x.begin(), x.end(), 0);
        ctx.check(ct_dataset_create(ctx, 11, CT_F64, 0, nullptr, x.data(), CT_F64, 0, nullptr, x.data(), &data),
                  "ct_dataset_create");
        ct_loader_config config = {};
        config.batch = 2;
        ctx.check(ct_loader_create(data, &config, &loader), "ct_loader_create");
    }
    void TearDown() override
    {
        ct_loader_destroy(loader);
        ct_dataset_destroy(data);
    }
    void step()
    {
        ct_tensor x, y;
        ctx.check(ct_loader_next(loader, &x, &y), "ct_loader_next");
        ctx.check(ct_assign(ctx, seen, ct_sum(ctx, x, 0, nullptr, false)), "ct_assign");
        ctx.end_step();
    }

    ct_dataset *data = nullptr;
    ct_loader *loader = nullptr;
    const ct_tensor seen = constant({-1}); // the sum of the last batch
};

TEST_F(ReplayOfALoader, WalksThroughTheFullBatches)
{
    step();
    EXPECT_EQ(ct_item(ctx, seen), 0 + 1);
    ctx.check(ct_replay(ctx, 4), "ct_replay");
    EXPECT_EQ(ct_item(ctx, seen), 8 + 9);
    step();
    EXPECT_EQ(ct_item(ctx, seen), 10);
    step();
    EXPECT_EQ(ct_item(ctx, seen), 0 + 1);
}

TEST_F(ReplayOfALoader, IntoAPartialBatchIsRefusedAndNamesTheLargest)
{
    step();
    EXPECT_EQ(ct_replay(ctx, 5), CT_ERR_ARGUMENT);
    EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"ct_replay", "5", "4"}));
}

TEST_F(ReplayOfALoader, ThatWasRefusedMayBeAskedForAgainWithLess)
{
    step();
    EXPECT_EQ(ct_replay(ctx, 5), CT_ERR_ARGUMENT);
    ct_clear_error(ctx);
    EXPECT_EQ(ct_replay(ctx, 5), CT_ERR_ARGUMENT) << "the second time the limit is forgotten";
    ct_clear_error(ctx);
    ctx.check(ct_replay(ctx, 4), "ct_replay");
    EXPECT_EQ(ct_item(ctx, seen), 8 + 9);
    step();
    EXPECT_EQ(ct_item(ctx, seen), 10);
}

TEST_F(ReplayOfALoader, AfterAnUnrelatedErrorKeepsCount)
{
    step();
    ct_neg(ctx, {});
    ct_clear_error(ctx);
    ctx.check(ct_replay(ctx, 4), "ct_replay");
    EXPECT_EQ(ct_item(ctx, seen), 8 + 9);
    step();
    EXPECT_EQ(ct_item(ctx, seen), 10);
}

TEST_F(ReplayOfALoader, ADrawThatWasDroppedIsDrawnAgain)
{
    for (int batch = 0; batch < 12; ++batch) {
        ct_tensor x, y;
        ctx.check(ct_loader_next(loader, &x, &y), "ct_loader_next");
        const int64_t rows = batch % 6 < 5 ? 2 : 1;
        EXPECT_EQ(ctx.shape(x), std::vector<int64_t>{rows}) << "batch " << batch;
        ct_neg(ctx, {});
        ct_clear_error(ctx);
        ctx.check(ct_loader_next(loader, &x, &y), "ct_loader_next");
        EXPECT_EQ(ctx.shape(x), std::vector<int64_t>{rows}) << "batch " << batch << " after an error";
        EXPECT_EQ(ctx.read(x)[0], 2 * (batch % 6));
        ctx.end_step();
    }
}

class ExpectCached : public Tape
{
};

TEST_F(ExpectCached, LetsKnownStepsPassAndNamesTheFirstRecordThatDiffers)
{
    const ct_tensor x = constant({1});
    const auto step = [&](bool twice) {
        ct_tensor y = ct_square(ctx, x);
        if (twice) y = ct_tanh(ctx, y);
        ct_assign(ctx, x, y);
        return ct_step_end(ctx);
    };
    ctx.check(step(false), "the step");
    ct_expect_cached(ctx, true);
    ctx.check(step(false), "the step");
    EXPECT_EQ(step(true), CT_ERR_STATE);
    EXPECT_TRUE(failed(ctx, CT_ERR_STATE, {"ct_expect_cached", "tanh", "assign"}));
    ctx.check(step(false), "the step");
    ct_expect_cached(ctx, false);
    ctx.check(step(true), "the step");
}

} // namespace

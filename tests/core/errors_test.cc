// The sticky error: the first one stands, ops give the zero tensor, the pending
// segment never happens, and ct_clear_error makes the context as good as new.
#include "support/context.h"
#include "support/errors.h"
#include "support/training.h"

#include <cmath>

namespace
{

class Error : public ::testing::Test
{
  protected:
    // [2,2] x [3,3]
    void provoke()
    {
        ct_matmul(ctx, two, three);
        ASSERT_EQ(ct_error(ctx), CT_ERR_SHAPE);
    }

    Context ctx;
    const ct_tensor two = ctx.leaf(CT_F32, {2, 2}, {1, 2, 3, 4});
    const ct_tensor three = ctx.leaf(CT_F32, {3, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9});
};

TEST_F(Error, NamesTheOpAndTheShapes)
{
    provoke();
    EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {"matmul", "[2,2]", "[3,3]"}));
}

TEST_F(Error, NamesTensorsThatHaveNames)
{
    ctx.check(ct_set_name(ctx, two, "weights"), "ct_set_name");
    provoke();
    EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {"matmul", "weights [2,2]"}));
}

TEST_F(Error, StandsUntilItIsCleared)
{
    provoke();
    EXPECT_EQ(ct_error(ctx), CT_ERR_SHAPE);
    EXPECT_EQ(ct_error(ctx), CT_ERR_SHAPE);
    ct_clear_error(ctx);
    EXPECT_EQ(ct_error(ctx), CT_OK);
    EXPECT_EQ(ct_item(ctx, ct_sum(ctx, two, 0, nullptr, false)), 10);
}

TEST_F(Error, TheFirstOneIsKept)
{
    provoke();
    const std::string first = ct_error_message(ctx);
    ct_add(ctx, {}, {});
    ct_cast(ctx, two, static_cast<ct_dtype>(99));
    ct_leaf(ctx, CT_F32, -1, nullptr, nullptr);
    ct_replay(ctx, -1);
    ct_no_grad_end(ctx);
    EXPECT_EQ(ct_error(ctx), CT_ERR_SHAPE);
    EXPECT_EQ(ct_error_message(ctx), first);
    ct_clear_error(ctx);
}

TEST_F(Error, MakesEveryRecordingCallGiveItsStatus)
{
    ctx.check(ct_set_requires_grad(ctx, two, true), "ct_set_requires_grad");
    provoke();
    float out[4] = {};
    void *memory;
    ct_tensor g = {1};
    EXPECT_EQ(ct_neg(ctx, two).bits, 0u);
    EXPECT_EQ(ct_matmul(ctx, two, two).bits, 0u);
    EXPECT_EQ(ct_rand(ctx, CT_F32, 0, nullptr).bits, 0u);
    EXPECT_EQ(ct_leaf(ctx, CT_F32, 0, nullptr, nullptr).bits, 0u);
    EXPECT_EQ(ct_full(ctx, CT_F32, 0, nullptr, 1).bits, 0u);
    EXPECT_EQ(ct_wrap(ctx, CT_F32, 0, nullptr, out).bits, 0u);
    EXPECT_EQ(ct_detach(ctx, two).bits, 0u);
    EXPECT_EQ(ct_grad(ctx, two).bits, 0u);
    EXPECT_EQ(ct_assign(ctx, two, two), CT_ERR_SHAPE);
    EXPECT_EQ(ct_accumulate(ctx, two, two), CT_ERR_SHAPE);
    EXPECT_EQ(ct_append(ctx, two, two), CT_ERR_SHAPE);
    EXPECT_EQ(ct_set_requires_grad(ctx, three, true), CT_ERR_SHAPE);
    EXPECT_EQ(ct_zero_grad(ctx, two), CT_ERR_SHAPE);
    EXPECT_EQ(ct_backward(ctx, two), CT_ERR_SHAPE);
    EXPECT_EQ(ct_backward_from(ctx, 1, &two, nullptr, 0), CT_ERR_SHAPE);
    EXPECT_EQ(ct_gradients(ctx, 1, &two, nullptr, 1, &two, &g, 0), CT_ERR_SHAPE);
    EXPECT_EQ(ct_write(ctx, two, out, sizeof out), CT_ERR_SHAPE);
    EXPECT_EQ(ct_read(ctx, two, out, sizeof out), CT_ERR_SHAPE);
    EXPECT_TRUE(std::isnan(ct_item(ctx, two)));
    EXPECT_EQ(ct_data(ctx, two, &memory), CT_ERR_SHAPE);
    EXPECT_EQ(ct_mark_written(ctx, two), CT_ERR_SHAPE);
    EXPECT_EQ(ct_flush(ctx), CT_ERR_SHAPE);
    EXPECT_EQ(ct_step_end(ctx), CT_ERR_SHAPE);
    EXPECT_EQ(ct_replay(ctx, 1), CT_ERR_SHAPE);
    EXPECT_EQ(ct_synchronize(ctx), CT_ERR_SHAPE);
    ct_clear_error(ctx);
    EXPECT_EQ(ctx.read(two), (std::vector<double>{1, 2, 3, 4})); // ct_write did nothing
}

TEST_F(Error, LetsQueriesAnswer)
{
    provoke();
    ct_info info;
    ct_stats stats;
    EXPECT_EQ(ct_describe(ctx, two, &info), CT_OK);
    EXPECT_EQ(info.numel, 4);
    EXPECT_EQ(ct_get_stats(ctx, &stats), CT_OK);
    EXPECT_STRNE(ct_device_name(ctx), "");
    ct_clear_error(ctx);
}

TEST_F(Error, IsCheckedOnceAtTheEndOfAnExpression)
{
    const ct_tensor y = ct_mean(ctx, ct_relu(ctx, ct_add(ctx, ct_matmul(ctx, two, three), two)), 0, nullptr, false);
    EXPECT_EQ(y.bits, 0u);
    EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {"matmul"}));
}

TEST_F(Error, DropsWhatWasRecordedSinceTheLastFlush)
{
    ctx.check(ct_set_requires_grad(ctx, two, true), "ct_set_requires_grad");
    const ct_tensor grad = ct_grad(ctx, two);
    ctx.check(ct_assign(ctx, three, ct_neg(ctx, three)), "ct_assign");
    ctx.check(ct_flush(ctx), "ct_flush"); // this has happened
    const ct_tensor loss = ct_sum(ctx, ct_square(ctx, two), 0, nullptr, false);
    ctx.check(ct_backward(ctx, loss), "ct_backward");
    ctx.check(ct_assign(ctx, two, ct_neg(ctx, two)), "ct_assign"); // this has not
    ctx.check(ct_assign(ctx, three, ct_square(ctx, three)), "ct_assign");
    provoke();
    ct_clear_error(ctx);
    EXPECT_EQ(ctx.read(two), (std::vector<double>{1, 2, 3, 4}));
    EXPECT_EQ(ctx.read(three), (std::vector<double>{-1, -2, -3, -4, -5, -6, -7, -8, -9}));
    EXPECT_EQ(ctx.read(grad), (std::vector<double>{0, 0, 0, 0}));
    ctx.end_step();
    EXPECT_EQ(ctx.read(two), (std::vector<double>{1, 2, 3, 4}));
}

TEST_F(Error, MakesTheStepsValuesStale)
{
    const ct_tensor launched = ctx.check(ct_square(ctx, two), "square");
    ctx.check(ct_flush(ctx), "ct_flush");
    const ct_tensor pending = ctx.check(ct_square(ctx, two), "square");
    provoke();
    ct_clear_error(ctx);
    for (const ct_tensor value : {launched, pending}) {
        ct_neg(ctx, value);
        EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"neg", "step"}));
    }
}

TEST_F(Error, InAGradientRuleLeavesGradientsAsBefore)
{
    ctx.check(ct_set_requires_grad(ctx, two, true), "ct_set_requires_grad");
    ctx.check(ct_backward(ctx, ct_sum(ctx, ct_square(ctx, two), 0, nullptr, false)), "ct_backward");
    ctx.end_step();
    const ct_tensor y = ct_sum(ctx, ct_mul(ctx, ct_square(ctx, two), two), 0, nullptr, false);
    ctx.check(ct_assign(ctx, two, ct_neg(ctx, two)), "ct_assign");
    EXPECT_EQ(ct_backward(ctx, y), CT_ERR_STATE);
    ct_clear_error(ctx);
    ctx.end_step();
    EXPECT_EQ(ctx.read(ct_grad(ctx, two)), (std::vector<double>{2, 4, 6, 8}));
    EXPECT_EQ(ctx.read(two), (std::vector<double>{1, 2, 3, 4}));
}

TEST_F(Error, LeavesOptimizerLoaderAndRandomNumbersAsBefore)
{
    std::vector<float> weights[2];
    for (const bool disturbed : {false, true}) {
        Context fresh;
        Training training;
        ASSERT_TRUE(training.create(fresh));
        for (int step = 0; step < 4; ++step) {
            if (disturbed) {
                ct_tensor x, y;
                fresh.check(ct_loader_next(training.loader, &x, &y), "ct_loader_next");
                const ct_tensor out = ct_mlp_forward(training.mlp, x);
                fresh.check(ct_optimizer_step(training.optimizer), "ct_optimizer_step");
                ct_add(fresh, out, {});
                EXPECT_TRUE(failed(fresh, CT_ERR_ARGUMENT, {"add"}));
            }
            ASSERT_TRUE(training.step()) << ct_error_message(fresh);
        }
        weights[disturbed] = training.weights();
        training.destroy();
    }
    EXPECT_FALSE(weights[0].empty());
    EXPECT_EQ(weights[0], weights[1]);
}

TEST_F(Error, WithAnEmptySegmentLeavesTheLastStepReplayable)
{
    const ct_tensor count = ctx.leaf(CT_F32, {}, {0});
    ctx.check(ct_assign(ctx, count, ct_add_scalar(ctx, count, 1)), "ct_assign");
    ctx.end_step();
    provoke();
    ct_clear_error(ctx);
    ctx.check(ct_replay(ctx, 3), "ct_replay");
    EXPECT_EQ(ct_item(ctx, count), 4);
}

TEST_F(Error, OfAQueryDoesNotStandButSetsTheMessage)
{
    EXPECT_STREQ(ct_error_message(ctx), "");
    EXPECT_TRUE(reported(ctx, ct_describe(ctx, {12345}, nullptr), CT_ERR_ARGUMENT, {"ct_describe"}));
    ct_info info;
    EXPECT_TRUE(reported(ctx, ct_describe(ctx, {12345}, &info), CT_ERR_ARGUMENT, {"ct_describe", "no tensor"}));
    EXPECT_EQ(ct_get_stats(ctx, nullptr), CT_ERR_ARGUMENT);
    ct_dataset *data = nullptr;
    EXPECT_TRUE(reported(ctx, ct_dataset_load_csv(ctx, "no such file", 0, false, &data), CT_ERR_IO, {"no such file"}));
    EXPECT_EQ(data, nullptr);
    EXPECT_EQ(ct_item(ctx, ct_sum(ctx, two, 0, nullptr, false)), 10);
}

TEST_F(Error, OfAQueryDoesNotDropTheSegment)
{
    const ct_tensor y = ctx.check(ct_square(ctx, two), "square");
    ct_info info;
    EXPECT_EQ(ct_describe(ctx, {}, &info), CT_ERR_ARGUMENT);
    EXPECT_EQ(ctx.read(y), (std::vector<double>{1, 4, 9, 16}));
}

TEST_F(Error, OfAQueryKeepsTheMessageOfTheOneThatStands)
{
    provoke();
    ct_info info;
    EXPECT_NE(ct_describe(ctx, {12345}, &info), CT_OK);
    EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {"matmul"}));
}

TEST_F(Error, ClearingNoneDoesNothing)
{
    const ct_tensor y = ctx.check(ct_square(ctx, two), "square");
    ct_clear_error(ctx);
    EXPECT_EQ(ctx.read(y), (std::vector<double>{1, 4, 9, 16}));
}

TEST_F(Error, ALongMessageIsCutNotOverrun)
{
    const std::string name(5000, 'n');
    ctx.check(ct_set_name(ctx, two, name.c_str()), "ct_set_name");
    ctx.check(ct_set_name(ctx, three, name.c_str()), "ct_set_name");
    provoke();
    EXPECT_LT(std::strlen(ct_error_message(ctx)), 5000u);
    EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {"matmul", "nnnn"}));
}

TEST_F(Error, StatusesHaveTheirNames)
{
    EXPECT_STREQ(ct_status_name(CT_OK), "CT_OK");
    EXPECT_STREQ(ct_status_name(CT_ERR_ARGUMENT), "CT_ERR_ARGUMENT");
    EXPECT_STREQ(ct_status_name(CT_ERR_SHAPE), "CT_ERR_SHAPE");
    EXPECT_STREQ(ct_status_name(CT_ERR_DTYPE), "CT_ERR_DTYPE");
    EXPECT_STREQ(ct_status_name(CT_ERR_STATE), "CT_ERR_STATE");
    EXPECT_STREQ(ct_status_name(CT_ERR_MEMORY), "CT_ERR_MEMORY");
    EXPECT_STREQ(ct_status_name(CT_ERR_DEVICE), "CT_ERR_DEVICE");
    EXPECT_STREQ(ct_status_name(CT_ERR_IO), "CT_ERR_IO");
    EXPECT_STREQ(ct_status_name(CT_ERR_NUMERIC), "CT_ERR_NUMERIC");
    EXPECT_STREQ(ct_status_name(CT_ERR_UNSUPPORTED), "CT_ERR_UNSUPPORTED");
    EXPECT_NE(ct_status_name(static_cast<ct_status>(-1)), nullptr);
    EXPECT_NE(ct_status_name(static_cast<ct_status>(1000)), nullptr);
    EXPECT_STREQ(ct_version(), CUTAPE_VERSION);
}

} // namespace

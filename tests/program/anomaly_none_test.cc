// Anomaly mode: what is no anomaly, and what the log tells of it.
#include "program/anomaly_test.h"

namespace
{

TEST_F(Anomaly, AMaskOfMinusInf_IsNone)
{
    const ct_tensor x = leaf("x", {2, 3}, some_values(6, 1), true), mask = leaf("mask", {3}, {0, -inf, 0}),
                    out = leaf("out", {}, {0});
    for (int i = 0; i < 3; i++) {
        const ct_tensor y = ct_softmax(ctx_, ct_add(ctx_, x, mask), 1);
        ctx_.check(ct_backward(ctx_, sum(ct_square(ctx_, y))), "ct_backward");
        keep(y, out);
        ctx_.end_step();
    }
    EXPECT_EQ(
        log_.telling("detect_anomaly: mask [3] holds a NaN or an Inf at [1] already; add (record 0) passes it on"), 1);
}

TEST_F(Anomaly, ABadBatch_IsToldOnce_AndNotBlamed)
{
    const ct_tensor x = leaf("x", {2, 2}, {1, 2, nan, 4}), w = leaf("w", {2, 2}, {1, 2, 3, 4}, true);
    for (int i = 0; i < 3; i++) {
        ctx_.check(ct_backward(ctx_, sum(ct_exp(ctx_, ct_matmul(ctx_, x, w)))), "ct_backward");
        ctx_.end_step();
    }
    EXPECT_EQ(
        log_.telling("detect_anomaly: x [2,2] holds a NaN or an Inf at [1,0] already; matmul (record 0) passes it on"),
        1);
    EXPECT_TRUE(std::isnan(ctx_.read(ct_grad(ctx_, w))[0]));
}

// The product is added to the gradient by its own launch.
TEST_F(Anomaly, AProductThatIsAddedToABadGradient_IsNotBlamed)
{
    const ct_tensor x = leaf("x", {3, 2}, some_values(6, 1)), w = leaf("w", {2, 4}, some_values(8, 2), true);
    ctx_.write(ct_grad(ctx_, w), {0, nan, 0, 0, 0, 0, 0, 0});
    ctx_.check(ct_backward(ctx_, sum(ct_square(ctx_, ct_matmul(ctx_, x, w)))), "ct_backward");
    ctx_.end_step();
    EXPECT_EQ(log_.telling("the gradient of w [2,4] holds a NaN or an Inf at [0,1] already; matmul"), 1);
}

// The launch of the product dH = g wᵀ is that of dH (1 - h²) too: there it is h that is not finite.
TEST_F(Anomaly, AProductWithAnEpilogueThatReadsABadValue_IsNotBlamed)
{
    std::vector<double> values = some_values(12, 1);
    values[6] = nan;
    const ct_tensor x = leaf("x", {3, 4}, values), a = leaf("a", {5, 4}, some_values(20, 2), true),
                    b = leaf("b", {2, 5}, some_values(10, 3), true), seed = leaf("seed", {3, 2}, some_values(6, 4));
    const ct_tensor h = ct_linear(ctx_, x, a, {}, CT_ACT_TANH), y = ct_linear(ctx_, h, b, {}, CT_ACT_IDENTITY);
    ctx_.check(ct_backward_from(ctx_, 1, &y, &seed, 0), "ct_backward_from");
    ctx_.end_step();
    EXPECT_EQ(log_.telling("x [3,4] holds a NaN or an Inf at [1,2] already; linear (record 0)"), 1);
    EXPECT_TRUE(std::isnan(ctx_.read(ct_grad(ctx_, a))[0]));
}

// The update reads a gradient that the step itself has written: of that it is not told.
TEST_F(Anomaly, OfABadBatch_OnlyWhatCameIn_IsTold)
{
    std::vector<double> values = some_values(12, 1);
    values[6] = nan;
    const ct_tensor x = leaf("x", {3, 4}, values), w = leaf("w", {3, 4}, some_values(12, 2), true);
    ct_params *params;
    ctx_.check(ct_params_create(ctx_, &params), "ct_params_create");
    ctx_.check(ct_params_add(params, "w", w), "ct_params_add");
    ct_optimizer *optimizer;
    ctx_.check(ct_sgd_create(ctx_, params, nullptr, &optimizer), "ct_sgd_create");
    for (const bool split : {false, true}) {
        ctx_.write(w, some_values(12, 2));
        ctx_.check(ct_optimizer_zero_grad(optimizer), "zero_grad");
        ctx_.check(ct_backward(ctx_, sum(ct_mul(ctx_, x, w))), "ct_backward");
        if (split) ctx_.check(ct_flush(ctx_), "ct_flush");
        ctx_.check(ct_optimizer_step(optimizer), "step");
        ctx_.end_step();
        EXPECT_EQ(log_.telling("x [3,4] holds a NaN or an Inf at [1,2] already"), 1);
        EXPECT_EQ(log_.telling("the gradient of w [3,4] holds a NaN or an Inf at [1,2] already; sgd"), split);
        EXPECT_EQ(log_.telling("holds"), split ? 2 : 1);
    }
    ct_optimizer_destroy(optimizer);
    ct_params_destroy(params);
}

// The element is the one that was bad before, not the first that is after the record.
TEST_F(Anomaly, OfALeafThatIsUpdated_TheOldElementIsTold)
{
    const ct_tensor x = leaf("x", {3}, {nan, 1, 1}), into = leaf("into", {3}, {0, 0, nan});
    ctx_.check(ct_accumulate(ctx_, into, x), "ct_accumulate");
    ctx_.end_step();
    EXPECT_EQ(log_.telling("into [3] holds a NaN or an Inf at [2] already; accumulate (record 0)"), 1);
}

TEST_F(Anomaly, ASecondBadBatch_IsToldAgain)
{
    const ct_tensor x = leaf("x", {2}, {1, 1}), out = leaf("out", {}, {0});
    for (int i = 1; i <= 2; i++) {
        ctx_.write(x, {nan, 1});
        keep(ct_exp(ctx_, x), out);
        ctx_.end_step();
        EXPECT_EQ(log_.telling("x [2] holds a NaN or an Inf at [0] already; exp (record 0)"), i);
    }
    ctx_.write(x, {1, 1});
    ctx_.write(out, {0});
    ctx_.check(ct_replay(ctx_, 2), "ct_replay");
    ctx_.write(x, {1, nan});
    ctx_.check(ct_replay(ctx_, 2), "ct_replay");
    EXPECT_EQ(log_.telling("detect_anomaly: at replay 1 of 2: x [2] holds a NaN or an Inf at [1] already"), 1);
}

// What the step knew of a leaf is not what the host has written since.
TEST_F(Anomaly, WrittenBetweenAStepAndItsReplay_IsNotBlamed)
{
    const ct_tensor x = leaf("x", {2}, {1, 2}), out = leaf("out", {}, {0});
    keep(ct_exp(ctx_, x), out);
    ctx_.check(ct_assign(ctx_, x, ct_mul_scalar(ctx_, x, 0.5)), "ct_assign");
    ctx_.end_step();
    ctx_.write(x, {1, nan});
    ctx_.check(ct_replay(ctx_, 2), "ct_replay");
    EXPECT_EQ(log_.telling("at replay 1 of 2: x [2] holds a NaN or an Inf at [1] already; exp (record 0)"), 1);
}

TEST_F(Anomaly, LeavesMadeAnewInEachStep_DoNotFloodTheLog)
{
    const ct_tensor x = leaf("x", {3}, {1, 2, 3}), out = leaf("out", {}, {0});
    for (int i = 0; i < 100; i++) {
        const ct_tensor far = ctx_.check(ct_full(ctx_, CT_F32, 0, nullptr, -inf), "ct_full");
        keep(ct_softmax(ctx_, ct_where(ctx_, ct_gt(ctx_, x, leaf("limit", {}, {1.5})), x, far), 0), out);
        ctx_.end_step();
        ct_release(ctx_, far);
    }
    EXPECT_EQ(log_.telling("already"), 32);
    EXPECT_EQ(log_.telling("(the last of 32 such lines)"), 1);
}

// Beside what came in from outside, what is made is found.
TEST_F(Anomaly, BehindABadBatch_AnotherIsFound)
{
    const ct_tensor x = leaf("x", {2}, {nan, 1}), y = leaf("y", {2}, {0, 1}), out = leaf("out", {}, {0});
    const ct_tensor spread = ct_exp(ctx_, x);
    keep(ct_add(ctx_, spread, ct_log(ctx_, y)), out);
    EXPECT_EQ(ct_step_end(ctx_), CT_ERR_NUMERIC);
    EXPECT_TRUE(failed(ctx_, CT_ERR_NUMERIC, {"log (record 1, forward) made a -Inf at [0] of [2]"}));
}

TEST_F(Anomaly, AConstantThatIsInfinite_IsNone)
{
    const int64_t shape[] = {3};
    const ct_tensor far = ctx_.check(ct_full(ctx_, CT_F32, 1, shape, inf), "ct_full"),
                    out = leaf("out", {3}, {0, 0, 0});
    ctx_.check(ct_assign(ctx_, out, ct_minimum(ctx_, far, ct_clamp(ctx_, leaf("x", {3}, {1, 2, 3}), -inf, inf))),
               "ct_assign");
    ctx_.end_step();
    EXPECT_EQ(ctx_.read(out), (std::vector<double>{1, 2, 3}));
}

// The gradient compares with the bound that is none, a constant.
TEST_F(Anomaly, AOneSidedClamp_IsNone)
{
    const ct_tensor x = leaf("x", {3}, {1, 2, 3}, true);
    ctx_.check(ct_backward(ctx_, sum(ct_clamp(ctx_, x, -inf, 2))), "ct_backward");
    ctx_.check(ct_backward(ctx_, sum(ct_clamp(ctx_, x, 3, inf))), "ct_backward");
    ctx_.end_step();
    EXPECT_EQ(ctx_.read(ct_grad(ctx_, x)), (std::vector<double>{1, 1, 1}));
    EXPECT_TRUE(log_.lines.empty());
}

// The gradient there is masked before anything infinite is made, to second order.
TEST_F(Anomaly, PowersOfZero_AreNone)
{
    const ct_tensor x = leaf("x", {4}, {0, 0, 0, 2}, true), y = leaf("y", {4}, {0, 1, 2, 0}, true),
                    out = leaf("out", {4}, {0, 0, 0, 0});
    ctx_.check(ct_backward(ctx_, sum(ct_pow(ctx_, x, y))), "ct_backward");
    ctx_.end_step();
    EXPECT_EQ(ctx_.read(ct_grad(ctx_, x)), (std::vector<double>{0, 1, 0, 0}));
    ct_tensor power = ct_pow(ctx_, x, ct_detach(ctx_, y)), first, second;
    ctx_.check(ct_gradients(ctx_, 1, &power, nullptr, 1, &x, &first, CT_CREATE_GRAPH), "ct_gradients");
    ctx_.check(ct_gradients(ctx_, 1, &first, nullptr, 1, &x, &second, 0), "ct_gradients");
    ctx_.check(ct_assign(ctx_, out, second), "ct_assign");
    ctx_.end_step();
    EXPECT_EQ(ctx_.read(out), (std::vector<double>{0, 0, 2, 0}));
}

TEST_F(Anomaly, AScalarThatIsNotFinite_IsNamed)
{
    ct_mul_scalar(ctx_, leaf("x", {2}, {0, 1}), inf);
    EXPECT_EQ(ct_flush(ctx_), CT_ERR_NUMERIC);
    EXPECT_TRUE(failed(ctx_, CT_ERR_NUMERIC,
                       {"mul_scalar (record 0, forward) made a NaN at [0] of [2]", "its scalar 0 is inf"}));
}

} // namespace

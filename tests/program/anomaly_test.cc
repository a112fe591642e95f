// Anomaly mode: what is found and how it is named, and that a failed step changes nothing.
#include "program/anomaly_test.h"

namespace
{

TEST_F(Anomaly, InTheForwardPass_NamesOpElementNamesAndShapes)
{
    const ct_tensor x = leaf("x", {2, 3}, {1, 2, 3, 4, 5, -6}), out = leaf("out", {}, {7});
    keep(named(ct_log(ctx_, x), "h"), out);
    EXPECT_EQ(ct_step_end(ctx_), CT_ERR_NUMERIC);
    EXPECT_TRUE(failed(ctx_, CT_ERR_NUMERIC,
                       {"log (record 0, forward) made a NaN at [1,2] of h [2,3] out of finite inputs: x [2,3]"}));
    EXPECT_EQ(ctx_.read(out), std::vector<double>{7});
}

TEST_F(Anomaly, OfAHook_NamesTheTensorThatHasIt)
{
    const ct_tensor w = leaf("w", {2}, {1, 2}, true), h = named(ct_square(ctx_, w), "h");
    const auto log_of_negative = [](ct_context *c, ct_tensor g, void *) { return ct_log(c, ct_neg(c, g)); };
    ctx_.check(ct_on_gradient(ctx_, h, log_of_negative, nullptr), "ct_on_gradient");
    ctx_.check(ct_backward(ctx_, sum(h)), "ct_backward");
    EXPECT_EQ(ct_step_end(ctx_), CT_ERR_NUMERIC);
    EXPECT_TRUE(failed(ctx_, CT_ERR_NUMERIC,
                       {"log (record 6, backward)",
                        "; it is by a gradient hook of h [2], made by square (record 0), w [2] -> h [2]"}));
    ctx_.check(ct_on_gradient(ctx_, w, log_of_negative, nullptr), "ct_on_gradient");
    ctx_.check(ct_backward(ctx_, sum(w)), "ct_backward");
    EXPECT_EQ(ct_step_end(ctx_), CT_ERR_NUMERIC);
    EXPECT_TRUE(failed(ctx_, CT_ERR_NUMERIC, {"log (record", "; it is by a gradient hook of w [2]"}));
}

TEST_F(Anomaly, TellsInfFromMinusInf)
{
    const ct_tensor x = leaf("x", {3}, {1, 0, 1000}), out = leaf("out", {}, {0});
    keep(ct_exp(ctx_, x), out);
    EXPECT_EQ(ct_step_end(ctx_), CT_ERR_NUMERIC);
    EXPECT_TRUE(failed(ctx_, CT_ERR_NUMERIC, {"exp (record 0, forward) made an Inf at [2] of [3]"}));
    keep(ct_log(ctx_, x), out);
    EXPECT_EQ(ct_step_end(ctx_), CT_ERR_NUMERIC);
    EXPECT_TRUE(failed(ctx_, CT_ERR_NUMERIC, {"log (record 0, forward) made a -Inf at [1] of [3]"}));
}

TEST_F(Anomaly, OfAScalarTensor_HasNoIndex)
{
    const ct_tensor x = leaf("x", {}, {0});
    ct_reciprocal(ctx_, x);
    EXPECT_EQ(ct_flush(ctx_), CT_ERR_NUMERIC);
    EXPECT_TRUE(failed(ctx_, CT_ERR_NUMERIC, {"reciprocal (record 0, forward) made an Inf at its element of []"}));
}

// The first of several is named, though its input is overwritten by its output and others follow.
TEST_F(Anomaly, InAChainInPlace_NamesTheFirst)
{
    const ct_tensor x = leaf("x", {4}, {1, 2, 3, 4}), out = leaf("out", {}, {0});
    keep(ct_exp(ctx_, ct_sqrt(ctx_, ct_neg(ctx_, ct_square(ctx_, x)))), out);
    EXPECT_EQ(ct_step_end(ctx_), CT_ERR_NUMERIC);
    EXPECT_TRUE(failed(ctx_, CT_ERR_NUMERIC, {"sqrt (record 2, forward) made a NaN at [0] of [4]"}));
}

// The input is looked at behind its alias, where it was noted: what lies there now is the output.
TEST_F(Anomaly, InPlaceOfAnAlias_IsFound)
{
    const int64_t flat[] = {4};
    const ct_tensor x = leaf("x", {2, 2}, {-1, -2, 3, -4}), out = leaf("out", {}, {0});
    keep(ct_log(ctx_, ct_reshape(ctx_, ct_neg(ctx_, x), 1, flat)), out);
    EXPECT_EQ(ct_step_end(ctx_), CT_ERR_NUMERIC);
    EXPECT_TRUE(
        failed(ctx_, CT_ERR_NUMERIC, {"log (record 2, forward) made a NaN at [2] of [4] out of finite inputs"}));
}

TEST_F(Anomaly, InTheBackwardPass_NamesTheForwardOpItBelongsTo)
{
    const ct_tensor x = leaf("x", {2, 2}, {4, 1, 0, 9}, true);
    const ct_tensor y = named(ct_sqrt(ctx_, ct_mul_scalar(ctx_, x, 2)), "y");
    ctx_.check(ct_backward(ctx_, sum(y)), "ct_backward");
    EXPECT_EQ(ct_step_end(ctx_), CT_ERR_NUMERIC);
    EXPECT_TRUE(failed(ctx_, CT_ERR_NUMERIC,
                       {"backward) made an Inf at [1,0] of [2,2] out of finite inputs",
                        "; it belongs to the gradient of sqrt (record 1), [2,2] -> y [2,2]"}));
    EXPECT_EQ(ctx_.read(ct_grad(ctx_, x)), (std::vector<double>{0, 0, 0, 0}));
}

TEST_F(Anomaly, InTheGradientOfAGradient_NamesBoth)
{
    const ct_tensor x = leaf("x", {1}, {0}, true);
    ct_tensor y = ct_pow_scalar(ctx_, x, 1.5), first;
    ctx_.check(ct_gradients(ctx_, 1, &y, nullptr, 1, &x, &first, CT_CREATE_GRAPH), "ct_gradients");
    ct_tensor second;
    ctx_.check(ct_gradients(ctx_, 1, &first, nullptr, 1, &x, &second, 0), "ct_gradients");
    EXPECT_EQ(ct_flush(ctx_), CT_ERR_NUMERIC);
    EXPECT_TRUE(failed(
        ctx_, CT_ERR_NUMERIC,
        {"; it belongs to the gradient of ", ", which belongs to the gradient of pow_scalar (record 0), x [1]"}));
}

// The sum of two large adjoints: the leaf's own, which is finite before.
TEST_F(Anomaly, InASumOfGradients_NamesTheLeaf)
{
    const ct_tensor w = leaf("w", {2}, {1, 1}, true), large = leaf("large", {2}, {1, 3e38});
    const auto pass = [&] { ctx_.check(ct_backward(ctx_, sum(ct_mul(ctx_, w, large))), "ct_backward"); };
    pass();
    ctx_.end_step();
    pass();
    EXPECT_EQ(ct_step_end(ctx_), CT_ERR_NUMERIC);
    EXPECT_TRUE(
        failed(ctx_, CT_ERR_NUMERIC, {"accumulate (record", "backward) made an Inf at [1] of the gradient of w [2]"}));
    EXPECT_EQ(ctx_.read(ct_grad(ctx_, w))[1], static_cast<float>(3e38));
}

// A product writes straight into the gradient, or adds to it: then the error says into what.
TEST_F(Anomaly, InAProductIntoAGradient_NamesTheGradient)
{
    const ct_tensor x = leaf("x", {2, 2}, {1e30, 2, 3, 4}), w = leaf("w", {2, 2}, {1, 1, 1, 1}, true),
                    seed = leaf("seed", {2, 2}, {1e20, 1, 1, 1});
    for (const bool adds : {false, true}) {
        if (adds) {
            ctx_.write(seed, {1e8, 0, 0, 0});
            ctx_.write(ct_grad(ctx_, w), {3e38, 0, 0, 0});
        } else {
            ctx_.check(ct_zero_grad(ctx_, w), "ct_zero_grad");
        }
        const ct_tensor y = ct_matmul(ctx_, x, w);
        ctx_.check(ct_backward_from(ctx_, 1, &y, &seed, 0), "ct_backward_from");
        EXPECT_EQ(ct_step_end(ctx_), CT_ERR_NUMERIC);
        EXPECT_TRUE(failed(ctx_, CT_ERR_NUMERIC,
                           {"matmul (record", "backward) made an Inf at [0,0] of [2,2], ",
                            adds ? "added to the gradient of w [2,2], out of finite inputs"
                                 : "stored in the gradient of w [2,2], out of finite inputs"}));
        EXPECT_EQ(ctx_.read(ct_grad(ctx_, w))[0], adds ? static_cast<float>(3e38) : 0);
    }
}

// dH = g wᵀ and the adjoint of the ReLU are one launch: the product is named.
TEST_F(Anomaly, InAProductWithAnEpilogue_NamesTheProduct)
{
    const ct_tensor x = leaf("x", {3, 4}, some_values(12, 1, 0.5, 1)),
                    a = leaf("a", {5, 4}, some_values(20, 2, 0.1, 1), true),
                    b = leaf("b", {2, 5}, std::vector<double>(10, 1e30), true), scale = leaf("scale", {}, {1e-20});
    const ct_tensor h = ct_linear(ctx_, x, a, {}, CT_ACT_RELU), y = ct_linear(ctx_, h, b, {}, CT_ACT_IDENTITY);
    const ct_tensor loss = ct_mul_scalar(ctx_, sum(ct_mul(ctx_, y, scale)), 1e35);
    ctx_.check(ct_backward(ctx_, ct_mul_scalar(ctx_, loss, 1e-30)), "ct_backward");
    ctx_.end_step(); // finite
    const ct_tensor seed = leaf("seed", {3, 2}, std::vector<double>(6, 1e20));
    const ct_tensor h2 = ct_linear(ctx_, x, a, {}, CT_ACT_RELU), y2 = ct_linear(ctx_, h2, b, {}, CT_ACT_IDENTITY);
    ctx_.check(ct_backward_from(ctx_, 1, &y2, &seed, 0), "ct_backward_from");
    EXPECT_EQ(ct_step_end(ctx_), CT_ERR_NUMERIC);
    EXPECT_TRUE(failed(ctx_, CT_ERR_NUMERIC,
                       {"matmul (record", "backward) made an Inf at [0,0] of [3,5] out of finite inputs",
                        "; it belongs to the gradient of linear (record 1)"}));
}

TEST_F(Anomaly, InAnUpdate_NamesTheParameter_AndChangesNothing)
{
    for (const bool adam : {false, true}) {
        ct_params *params;
        ctx_.check(ct_params_create(ctx_, &params), "ct_params_create");
        const ct_tensor u = leaf("u", {3}, {1, 2, 3}, true), w = leaf("w", {2, 2}, {1, 2, 3, 4}, true);
        ctx_.check(ct_params_add(params, "u", u), "ct_params_add");
        ctx_.check(ct_params_add(params, "w", w), "ct_params_add");
        ct_optimizer *optimizer;
        if (adam) {
            ctx_.check(ct_adam_create(ctx_, params, nullptr, &optimizer), "ct_adam_create");
        } else {
            ct_sgd_config config;
            ct_sgd_defaults(&config);
            config.lr = 1e10;
            ctx_.check(ct_sgd_create(ctx_, params, &config, &optimizer), "ct_sgd_create");
        }
        const ct_tensor slope = leaf("slope", {2, 2}, {1, 1, 1, 1});
        const auto step = [&] {
            ctx_.check(ct_optimizer_zero_grad(optimizer), "zero_grad");
            ctx_.check(ct_backward(ctx_, ct_add(ctx_, sum(u), sum(ct_mul(ctx_, w, slope)))), "ct_backward");
            ctx_.check(ct_optimizer_step(optimizer), "step");
        };
        step();
        ctx_.end_step();
        const Bits before[] = {bits_of(ctx_, u), bits_of(ctx_, w), bits_of(ctx_, ct_grad(ctx_, w))};
        ctx_.write(slope, {1, 1, 1, 1e29});
        step();
        EXPECT_EQ(ct_step_end(ctx_), CT_ERR_NUMERIC);
        const std::string message = take_error(ctx_, CT_ERR_NUMERIC);
        const std::string what = adam ? "adam (record" : "sgd (record";
        EXPECT_NE(message.find(what), std::string::npos) << message;
        EXPECT_NE(message.find("update) made a"), std::string::npos) << message;
        EXPECT_NE(message.find("Inf at [1,1] of "), std::string::npos) << message;
        EXPECT_NE(message.find("[2,2] out of finite inputs: w [2,2], the gradient of w [2,2]"), std::string::npos)
            << message;
        const Bits after[] = {bits_of(ctx_, u), bits_of(ctx_, w), bits_of(ctx_, ct_grad(ctx_, w))};
        for (int i = 0; i < 3; i++) EXPECT_EQ(after[i], before[i]) << i;
        ct_optimizer_destroy(optimizer);
        ct_params_destroy(params);
    }
}

// Moments, counts, the loader's cursor and the random counter go back as well: what comes next is as if
// the step had not been tried.
TEST_F(Anomaly, AFailedStep_NeverWas)
{
    TrainerOptions options, plain;
    options.dropout = plain.dropout = 0.3;
    options.config = detecting(&log_);
    Trainer failing(options), other(plain);
    failing.step(2);
    other.step(2);
    failing.after_backward = [&](ct_tensor loss) {
        ct_log(failing.ctx, ct_neg(failing.ctx, ct_exp(failing.ctx, loss)));
    };
    failing.record();
    EXPECT_EQ(ct_flush(failing.ctx), CT_ERR_NUMERIC);
    EXPECT_TRUE(failed(failing.ctx, CT_ERR_NUMERIC, {"log (record", "forward) made a NaN"}));
    failing.after_backward = nullptr;
    EXPECT_EQ(failing.state(), other.state());
    failing.step(3);
    other.step(3);
    EXPECT_EQ(failing.state(), other.state());
}

// With eager a step is a segment for each op: the batch and the gradients from before the failed one stay, and the
// update takes them.
TEST_F(Anomaly, Eager_AFailedOp_NeverWas_AndWhatCameBefore_Stays)
{
    TrainerOptions options, plain;
    options.ring = plain.ring = false; // its loss goes with the step that failed
    options.config = detecting(&log_, true);
    plain.config.eager = true;
    Trainer failing(options), other(plain);
    const ct_tensor into = failing.ctx.leaf(CT_F32, {2}, {1, 3e38}), large = failing.ctx.leaf(CT_F32, {2}, {1, 3e38});
    failing.after_backward = [&](ct_tensor loss) {
        Context &ctx = failing.ctx;
        EXPECT_EQ(ct_log(ctx, ct_neg(ctx, ct_exp(ctx, loss))).bits, 0u);
        EXPECT_TRUE(failed(ctx, CT_ERR_NUMERIC, {"log (record", "forward) made a NaN"}));
        EXPECT_EQ(ct_accumulate(ctx, into, large), CT_ERR_NUMERIC);
        EXPECT_TRUE(failed(ctx, CT_ERR_NUMERIC, {"accumulate (record 0, update) made an Inf at [1] of [2]"}));
        EXPECT_EQ(ctx.read(into), (std::vector<double>{1, static_cast<float>(3e38)}));
    };
    for (int i = 0; i < 3; i++) {
        failing.step();
        other.step();
        EXPECT_EQ(failing.state(), other.state());
    }
}

TEST_F(Anomaly, Eager_FailsAtTheOp)
{
    Context eager(devices().front(), detecting(&log_, true));
    const ct_tensor x = eager.leaf(CT_F32, {3}, {1, 0, 4});
    ct_set_name(eager, x, "x");
    eager.check(ct_set_requires_grad(eager, x, true), "ct_set_requires_grad");
    EXPECT_EQ(ct_log(eager, x).bits, 0u);
    EXPECT_TRUE(failed(eager, CT_ERR_NUMERIC,
                       {"log (record 0, forward) made a -Inf at [1] of [3] out of finite inputs: x [3]"}));
    const ct_tensor y = eager.check(ct_sqrt(eager, x), "ct_sqrt");
    ct_set_name(eager, y, "y");
    EXPECT_EQ(ct_backward(eager, ct_sum(eager, y, 0, nullptr, false)), CT_ERR_NUMERIC);
    EXPECT_TRUE(failed(
        eager, CT_ERR_NUMERIC,
        {"backward) made an Inf at [1] of [3]", "; it belongs to the gradient of sqrt (record 0), x [3] -> y [3]"}));
    EXPECT_EQ(eager.read(x), (std::vector<double>{1, 0, 4}));
}

// ---- where it is ----------------------------------------------------------------------------------------------

// Lengths about a vector's, a block's and a part's; the first of two is found, in whichever block it is.
TEST_F(Anomaly, IsFoundAtTheLeastIndex)
{
    for (const ct_dtype dtype : {CT_F32, CT_F64})
        for (const int64_t n : {1, 2, 3, 5, 255, 1025, 2049, 8191, 8192, 8193, 20001, 70003}) {
            const ct_tensor x = leaf("x", {n}, std::vector<double>(static_cast<size_t>(n), 1), false, dtype);
            for (const int64_t at : {int64_t{0}, n / 3, n / 2, n - 2, n - 1}) {
                if (at < 0) continue;
                std::vector<double> values(static_cast<size_t>(n), 1);
                values[static_cast<size_t>(at)] = values.back() = -1;
                ctx_.write(x, values);
                ct_log(ctx_, x);
                EXPECT_EQ(ct_flush(ctx_), CT_ERR_NUMERIC);
                const std::string where = "made a NaN at [" + std::to_string(at) + "] of [" + std::to_string(n) + "]";
                EXPECT_TRUE(failed(ctx_, CT_ERR_NUMERIC, {where.c_str()}));
            }
            ct_release(ctx_, x);
        }
}

TEST_F(Anomaly, WithoutMemoryForTheSnapshot_IsAMemoryError_AndChangesNothing)
{
    ct_config config = detecting(&log_);
    config.pool_bytes = 3 << 20;
    Context small(devices().front(), config);
    const ct_tensor w = small.leaf(CT_F32, {500, 1000}, std::vector<double>(500000, 1)); // 2 MB
    EXPECT_EQ(ct_assign(small, w, w), CT_OK);
    EXPECT_EQ(ct_step_end(small), CT_ERR_MEMORY);
    EXPECT_TRUE(failed(small, CT_ERR_MEMORY, {"detect_anomaly: no pool memory for a snapshot, 2000128 bytes"}));
    EXPECT_EQ(stats_of(small).programs, 1); // its own did not go for it
    EXPECT_EQ(small.read(w)[0], 1);
}

// Programs of earlier steps go for it, replayed or not, and their memory; not the one that it is for.
TEST_F(Anomaly, TheSnapshot_HasTheMemoryOfOtherPrograms)
{
    ct_config config = detecting(&log_);
    config.pool_bytes = 6 << 20;
    Context small(devices().front(), config);
    const ct_tensor w = small.leaf(CT_F32, {500000}, std::vector<double>(500000, 1)), // 2 MB
        x = small.leaf(CT_F32, {250000}, std::vector<double>(250000, 1)), out = small.leaf(CT_F32, {}, {0});
    small.check(ct_assign(small, out, ct_sum(small, ct_exp(small, x), 0, nullptr, false)), "ct_assign");
    small.end_step(); // 1.5 MB
    small.check(ct_replay(small, 1), "ct_replay");
    for (int i = 0; i < 2; i++) {
        small.check(ct_assign(small, w, w), "ct_assign");
        small.end_step(); // and 2 MB for the snapshot
        EXPECT_EQ(stats_of(small).programs, 1);
        EXPECT_EQ(stats_of(small).compiles, 2);
    }
    EXPECT_EQ(small.read(w)[0], 1);
}

TEST_F(Anomaly, TheSnapshot_IsOfThePool)
{
    const ct_tensor w = leaf("w", {1000}, std::vector<double>(1000, 1));
    const int64_t before = stats_of(ctx_).pool_in_use;
    EXPECT_EQ(ct_assign(ctx_, w, w), CT_OK);
    ctx_.end_step();
    EXPECT_GE(stats_of(ctx_).pool_in_use - before, 4096);
}

} // namespace

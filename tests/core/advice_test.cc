// Warnings about the classic mistakes in a training loop: each is given once, says what
// to do, and is not given to programs that are right.
#include "support/context.h"
#include "support/errors.h"
#include "support/training.h"

#include <functional>
#include <memory>

namespace
{

// Those of core/advice.h, whose headers are C only.
constexpr int long_step = 100000, steps_without_grad = 4, steps_with_a_read = 100, steps_compiled = 16;

// A context whose log is kept, and a linear model on it.
class Advice : public ::testing::Test
{
  protected:
    explicit Advice(ct_config config = {}) : ctx_(devices().front(), logging(config)) {}

    ct_config logging(ct_config config)
    {
        config.log = [](void *user, const char *line) { static_cast<Advice *>(user)->log_.push_back(line); };
        config.log_user = this;
        return config;
    }
    struct Model {
        ct_params *params = nullptr;
        ct_optimizer *optimizer = nullptr;
        std::vector<ct_tensor> leaves;
        ~Model()
        {
            ct_optimizer_destroy(optimizer);
            ct_params_destroy(params);
        }
    };
    Model &model(std::vector<std::string> names)
    {
        models_.push_back(std::make_unique<Model>());
        Model &m = *models_.back();
        ctx_.check(ct_params_create(ctx_, &m.params), "ct_params_create");
        for (const std::string &name : names) {
            m.leaves.push_back(ctx_.leaf(CT_F32, {2}, {1, 2}));
            ctx_.check(ct_set_requires_grad(ctx_, m.leaves.back(), true), "ct_set_requires_grad");
            ctx_.check(ct_params_add(m.params, name.c_str(), m.leaves.back()), "ct_params_add");
        }
        ctx_.check(ct_sgd_create(ctx_, m.params, nullptr, &m.optimizer), "ct_sgd_create");
        return m;
    }
    ct_tensor loss_of(ct_tensor w) { return ct_sum(ctx_, ct_square(ctx_, w), 0, nullptr, false); }
    void backward(ct_tensor loss) { ctx_.check(ct_backward(ctx_, loss), "ct_backward"); }
    void step(Model &m) { ctx_.check(ct_optimizer_step(m.optimizer), "ct_optimizer_step"); }
    void zero(Model &m) { ctx_.check(ct_optimizer_zero_grad(m.optimizer), "ct_optimizer_zero_grad"); }
    void replay(int64_t n) { ctx_.check(ct_replay(ctx_, n), "ct_replay"); }
    // One training step of one parameter.
    ct_tensor train(Model &m, size_t leaf = 0)
    {
        const ct_tensor loss = loss_of(m.leaves[leaf]);
        zero(m);
        backward(loss);
        step(m);
        return loss;
    }
    size_t warnings() const
    {
        size_t n = 0;
        for (const std::string &line : log_) n += line.rfind("warning: ", 0) == 0;
        return n;
    }
    // Exactly one warning was given so far, with these words.
    ::testing::AssertionResult warned(std::initializer_list<const char *> words)
    {
        if (warnings() != 1) return ::testing::AssertionFailure() << warnings() << " warnings";
        for (const std::string &line : log_) {
            if (line.rfind("warning: ", 0) != 0) continue;
            for (const char *word : words)
                if (line.find(word) == std::string::npos)
                    return ::testing::AssertionFailure() << "\"" << line << "\" does not say \"" << word << "\"";
        }
        return ::testing::AssertionSuccess();
    }

    std::vector<std::string> log_;
    Context ctx_;
    std::vector<std::unique_ptr<Model>> models_; // gone before the context
};

// ---- gradients that are not zeroed

TEST_F(Advice, IsGivenOnceWhenGradientsAreNotZeroedBetweenSteps)
{
    Model &m = model({"weight"});
    for (int i = 0; i < 5; ++i) {
        backward(loss_of(m.leaves[0]));
        step(m);
        ctx_.end_step();
        EXPECT_EQ(warnings(), i ? 1u : 0u); // there is nothing to zero before the first
    }
    EXPECT_TRUE(warned({"gradient of weight [2]", "not zeroed", "ct_optimizer_zero_grad"}));
}

TEST_F(Advice, IsGivenWhenAReplayDoesNotZeroGradients)
{
    Model &m = model({"weight"});
    backward(loss_of(m.leaves[0]));
    step(m);
    ctx_.end_step();
    EXPECT_EQ(warnings(), 0u);
    replay(10);
    EXPECT_TRUE(warned({"weight", "not zeroed"}));
}

TEST_F(Advice, IsNotGivenWhereGradientsAreZeroedInAnyOrder)
{
    Model &m = model({"weight"});
    const float zeros[2] = {};
    const std::function<void()> zeroings[] = {
        [&] { zero(m); },
        [&] { ctx_.check(ct_zero_grad(ctx_, m.leaves[0]), "ct_zero_grad"); },
        [&] { ctx_.check(ct_write(ctx_, ct_grad(ctx_, m.leaves[0]), zeros, sizeof zeros), "ct_write"); },
        [&] {
            const ct_tensor grad = ct_grad(ctx_, m.leaves[0]);
            ctx_.check(ct_assign(ctx_, grad, ct_mul_scalar(ctx_, grad, 0.5)), "ct_assign");
        },
    };
    for (const auto &zeroing : zeroings)
        for (int when = 0; when < 3; ++when) {
            zero(m);
            for (int i = 0; i < 3; ++i) {
                if (when == 0) zeroing();
                backward(loss_of(m.leaves[0]));
                step(m);
                if (when == 1) zeroing();
                ctx_.end_step();
                if (when != 2) continue;
                zeroing();
                ctx_.end_step();
            }
        }
    EXPECT_EQ(warnings(), 0u);
}

TEST_F(Advice, IsNotGivenToReplaysThatZero)
{
    Model &m = model({"weight"});
    for (const bool first : {true, false}) {
        zero(m);
        if (!first) ctx_.end_step();
        backward(loss_of(m.leaves[0]));
        step(m);
        if (!first) zero(m);
        ctx_.end_step();
        replay(5);
    }
    EXPECT_EQ(warnings(), 0u);
}

TEST_F(Advice, IsNotGivenToGradientAccumulation)
{
    Model &m = model({"weight"});
    for (int i = 0; i < 3; ++i) {
        zero(m);
        for (int micro = 0; micro < 4; ++micro) {
            backward(loss_of(m.leaves[0]));
            ctx_.end_step();
        }
        replay(2);
        ctx_.check(ct_clip_grad_norm(m.params, 1, nullptr), "ct_clip_grad_norm");
        step(m);
        ctx_.end_step();
    }
    EXPECT_EQ(warnings(), 0u);
}

// As a generator and a discriminator: the loss of one also reaches the gradients of the other.
TEST_F(Advice, IsNotGivenToTwoOptimizersThatTakeTurns)
{
    Model &a = model({"a"}), &b = model({"b"});
    for (int i = 0; i < 4; ++i)
        for (Model *m : {&a, &b}) {
            const ct_tensor loss = ct_add(ctx_, loss_of(a.leaves[0]), loss_of(b.leaves[0]));
            zero(*m);
            backward(loss);
            step(*m);
            ctx_.end_step();
        }
    EXPECT_EQ(warnings(), 0u);
}

TEST_F(Advice, IsNotGivenToTwoStepsWithOneGradient)
{
    Model &m = model({"weight"});
    for (int i = 0; i < 3; ++i) {
        zero(m);
        backward(loss_of(m.leaves[0]));
        step(m);
        step(m);
        ctx_.end_step();
    }
    EXPECT_EQ(warnings(), 0u);
}

TEST_F(Advice, IsNotGivenForAStepThatFailedAndIsDoneAgain)
{
    Model &m = model({"weight"});
    for (int i = 0; i < 3; ++i)
        for (const bool fails : {true, false}) {
            backward(loss_of(m.leaves[0]));
            step(m);
            if (fails) {
                ct_add(ctx_, m.leaves[0], ctx_.leaf(CT_F32, {3}, {1, 2, 3}));
                EXPECT_TRUE(failed(ctx_, CT_ERR_SHAPE, {"add"}));
                continue;
            }
            zero(m);
            ctx_.end_step();
        }
    EXPECT_EQ(warnings(), 0u);
}

// ---- parameters without a gradient

TEST_F(Advice, NamesTheParameterWhoseGradientIsNeverWritten)
{
    Model &m = model({"used", "forgotten"});
    for (int i = 0; i < 2 * steps_without_grad; ++i) {
        train(m);
        ctx_.end_step();
        EXPECT_EQ(warnings(), i + 1 < steps_without_grad ? 0u : 1u);
    }
    EXPECT_TRUE(warned({"an optimizer steps forgotten [2]", "ct_backward"}));
}

TEST_F(Advice, NamesItAtOnceWhenTheStepIsReplayed)
{
    Model &m = model({"forgotten"});
    zero(m);
    ctx_.check(ct_clip_grad_norm(m.params, 1, nullptr), "ct_clip_grad_norm"); // scales zeros, and writes none
    step(m);
    ctx_.end_step();
    EXPECT_EQ(warnings(), 0u);
    replay(2);
    EXPECT_TRUE(warned({"forgotten", "ct_backward"}));
}

TEST_F(Advice, IsNotGivenForFrozenOrLateOrHandMadeGradients)
{
    Model &m = model({"used", "frozen", "late", "by hand"});
    ctx_.check(ct_set_requires_grad(ctx_, m.leaves[1], false), "ct_set_requires_grad");
    for (int i = 0; i < 3 * steps_without_grad; ++i) {
        zero(m);
        backward(loss_of(m.leaves[i < steps_without_grad - 1 ? 0 : 2]));
        ctx_.check(ct_assign(ctx_, ct_grad(ctx_, m.leaves[3]), m.leaves[3]), "ct_assign");
        step(m);
        ctx_.end_step();
    }
    EXPECT_EQ(warnings(), 0u);
}

// ---- a step that does not end

TEST_F(Advice, IsGivenOnceToAStepThatGrows)
{
    const ct_tensor x = ctx_.leaf(CT_F32, {}, {1});
    for (int i = 0; i < long_step - 1; ++i) ct_neg(ctx_, x);
    EXPECT_EQ(warnings(), 0u);
    for (int i = 0; i < long_step; ++i) ct_neg(ctx_, x);
    EXPECT_TRUE(warned({"100000 ops", "ct_step_end"}));
}

// ---- reads

TEST_F(Advice, IsGivenOnceToALoopThatReadsInEachStep)
{
    Model &m = model({"weight"});
    for (int i = 1; i <= 2 * steps_with_a_read; ++i) {
        ct_item(ctx_, train(m));
        ctx_.end_step();
        EXPECT_EQ(warnings(), i < steps_with_a_read ? 0u : 1u);
    }
    EXPECT_TRUE(warned({"read in each of the last 100 training steps", "ct_append", "every so many steps"}));
}

TEST_F(Advice, IsGivenToReadsBetweenReplays)
{
    Model &m = model({"weight"});
    train(m);
    ctx_.end_step();
    for (int i = 0; i < steps_with_a_read + 1; ++i) {
        replay(1);
        ctx_.read(m.leaves[0]);
    }
    EXPECT_TRUE(warned({"read in each of the last"}));
}

TEST_F(Advice, IsNotGivenToReadsNowAndThenOrOutsideTraining)
{
    Model &m = model({"weight"});
    for (int i = 1; i <= 3 * steps_with_a_read; ++i) {
        const ct_tensor loss = train(m);
        if (i % 50) ct_item(ctx_, loss);
        ctx_.end_step();
    }
    for (int i = 0; i < 2; ++i) {
        train(m);
        ctx_.end_step();
        ct_no_grad_begin(ctx_);
        for (int batch = 0; batch < 2 * steps_with_a_read; ++batch) {
            ct_item(ctx_, loss_of(m.leaves[0]));
            ctx_.end_step();
        }
        ct_no_grad_end(ctx_);
    }
    train(m);
    ctx_.end_step();
    for (int i = 0; i < 2 * steps_with_a_read; ++i) {
        replay(2);
        ctx_.read(m.leaves[0]);
    }
    EXPECT_EQ(warnings(), 0u);
}

class EagerAdvice : public Advice
{
  protected:
    EagerAdvice() : Advice(eager()) {}
    static ct_config eager()
    {
        ct_config config = {};
        config.eager = true;
        return config;
    }
};

TEST_F(EagerAdvice, IsNotGivenToReadsWhereEveryOpIsWaitedForAnyway)
{
    Model &m = model({"weight"});
    for (int i = 0; i < 2 * steps_with_a_read; ++i) {
        ct_item(ctx_, train(m));
        ctx_.end_step();
    }
    EXPECT_EQ(warnings(), 0u);
}

// ---- programs

TEST_F(Advice, SaysThatALeafIsMadeAnewInEachStep)
{
    for (int i = 1; i <= 2 * steps_compiled; ++i) {
        const ct_tensor x = ctx_.leaf(CT_F32, {4}, {1, 2, 3, 4}); // and never released
        ct_set_name(ctx_, x, "batch");
        ct_item(ctx_, loss_of(x));
        ctx_.end_step();
        EXPECT_EQ(warnings(), i < steps_compiled ? 0u : 1u);
    }
    EXPECT_TRUE(warned({"each of the last 16 steps was compiled anew", "record 0", "square of f32 [4]", "(batch)",
                        "a leaf made anew", "ct_write"}));
}

// The leaf that differs is the second that its record names.
TEST_F(Advice, SaysWhichLeafIsMadeAnew)
{
    const ct_tensor w = ctx_.leaf(CT_F32, {2, 2}, {1, 2, 3, 4});
    for (int i = 1; i <= steps_compiled; ++i) {
        const ct_tensor x = ctx_.leaf(CT_F32, {3, 2}, {1, 2, 3, 4, 5, 6});
        ct_set_name(ctx_, x, "batch");
        ct_tensor ring = ct_neg(ctx_, w);
        ct_item(ctx_, ct_sum(ctx_, ct_matmul(ctx_, x, ring), 0, nullptr, false));
        ctx_.end_step();
    }
    EXPECT_TRUE(warned({"record 1", "matmul of f32 [3,2]", "(batch)", "a leaf made anew"}));
}

TEST_F(Advice, SaysThatAShapeChanges)
{
    for (int64_t i = 1; i <= steps_compiled; ++i) {
        ct_item(ctx_, loss_of(ctx_.leaf(CT_F32, {i}, std::vector<double>(static_cast<size_t>(i), 1))));
        ctx_.end_step();
    }
    EXPECT_TRUE(warned({"compiled anew", "record 0", "[16]", "[15]", "another shape", "pad"}));
}

TEST_F(Advice, SaysThatAnAttributeChanges)
{
    const ct_tensor x = ctx_.leaf(CT_F32, {}, {1});
    for (int64_t i = 1; i <= steps_compiled; ++i) {
        ct_item(ctx_, ct_sum(ctx_, ct_expand(ctx_, x, 1, &i), 0, nullptr, false));
        ctx_.end_step();
    }
    EXPECT_TRUE(warned({"record 0", "expand of f32 []", "another attribute", "a size"}));
}

// The step falls into two programs; what is compared is the one like it, not the one before it.
TEST_F(Advice, ComparesWithTheProgramMostLikeIt)
{
    Model &m = model({"weight"});
    for (int i = 1; i <= steps_compiled; ++i) {
        const ct_tensor x = ctx_.leaf(CT_F32, {2}, {1, 2});
        const ct_tensor loss = loss_of(ct_mul(ctx_, m.leaves[0], x));
        zero(m);
        backward(loss);
        ct_item(ctx_, loss);
        step(m);
        ctx_.end_step();
    }
    EXPECT_TRUE(warned({"record 0", "now mul of f32 [2]", "a leaf made anew"}));
}

TEST_F(Advice, IsNotGivenToAWarmUpOrToShapesThatComeBack)
{
    const ct_tensor full = ctx_.leaf(CT_F32, {5}, {1, 2, 3, 4, 5});
    const auto pass = [&](ct_tensor batch) {
        ct_item(ctx_, loss_of(batch));
        ctx_.end_step();
    };
    const auto of_size = [&](int64_t n) {
        return ctx_.leaf(CT_F32, {n}, std::vector<double>(static_cast<size_t>(n), 1));
    };
    for (int64_t n = 1; n < steps_compiled - 1; ++n) pass(of_size(n));
    for (int i = 0; i < 3; ++i) pass(full);
    for (int64_t n = 1; n < 4 * steps_compiled; ++n) pass(n % 10 ? of_size(n) : full);
    EXPECT_EQ(warnings(), 0u);
}

// ---- nothing wrong

TEST_F(Advice, IsNotGivenToATrainingThatIsRight)
{
    Training training;
    ASSERT_TRUE(training.create(ctx_));
    for (int i = 0; i < 3 * steps_with_a_read; ++i) ASSERT_TRUE(training.step());
    ctx_.check(ct_replay(ctx_, 1), "ct_replay");
    EXPECT_FALSE(training.weights().empty());
    EXPECT_EQ(warnings(), 0u);
    training.destroy();
}

TEST_F(Advice, IsNotGivenToAGradcheck)
{
    const ct_tensor x = ctx_.leaf(CT_F64, {200}, std::vector<double>(200, 0.5));
    const auto square = [](ct_context *c, int, const ct_tensor *in, void *) { return ct_square(c, in[0]); };
    for (int i = 0; i < 20; ++i)
        ctx_.check(ct_gradcheck(ctx_, square, nullptr, 1, &x, 1e-6, 1e-7, 1e-5), "ct_gradcheck");
    EXPECT_EQ(warnings(), 0u);
}

} // namespace

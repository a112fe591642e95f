// SGD, Adam and AdamW step by step against PyTorch, recorded and replayed; gradient
// clipping, the rate, and what constructors refuse.
#include "train/train_test.h"

#include <cmath>

namespace
{

// ---- against PyTorch -----------------------------------------------------------------------------------------

// How the 100 steps are played. Split: a value is read in the middle of every step.
enum class Way { recorded, split, replayed };

struct OptimizerCase {
    DeviceChoice device;
    ct_dtype real;
    const GoldenRun *run;
    Way way;
};

std::vector<OptimizerCase> optimizer_cases()
{
    std::vector<OptimizerCase> found;
    for (const DeviceChoice &device : devices())
        for (const GoldenRun &run : golden().runs)
            for (const ct_dtype real : {CT_F64, CT_F32})
                for (const Way way : {Way::recorded, Way::split, Way::replayed})
                    found.push_back({device, real, &run, way});
    return found;
}

const char *way_name(Way way) { return way == Way::recorded ? "recorded" : way == Way::split ? "split" : "replayed"; }

void PrintTo(const OptimizerCase &c, std::ostream *stream)
{
    *stream << c.run->name << (c.real == CT_F32 ? " in f32, " : " in f64, ") << way_name(c.way) << " on "
            << c.device.name;
}

class OptimizerRun : public ::testing::TestWithParam<OptimizerCase>
{
  protected:
    const GoldenRun &run_ = *GetParam().run;
    const ct_dtype real_ = GetParam().real;
    Context ctx_{GetParam().device};
    std::unique_ptr<Problem> problem_ = make_problem();
    Params params_ = make_params(ctx_, problem_->leaves);
    Optimizer optimizer_ = run_.settings.make(ctx_, params_.get());
    ct_tensor norm_ = ctx_.leaf(real_, {}, {0});

    std::unique_ptr<Problem> make_problem()
    {
        if (run_.problem == "mlp") return std::make_unique<Perceptron>(ctx_, real_);
        return std::make_unique<Quadratic>(ctx_, real_);
    }
    void record_step(bool split)
    {
        ctx_.check(ct_optimizer_zero_grad(optimizer_.get()), "ct_optimizer_zero_grad");
        const ct_tensor loss = problem_->loss(ctx_);
        if (split) ct_item(ctx_, loss);
        ctx_.check(ct_backward(ctx_, loss), "ct_backward");
        if (run_.max_norm >= 0) {
            ct_tensor norm;
            ctx_.check(ct_clip_grad_norm(params_.get(), run_.max_norm, &norm), "ct_clip_grad_norm");
            ctx_.check(ct_assign(ctx_, norm_, norm), "ct_assign");
        }
        ctx_.check(ct_optimizer_step(optimizer_.get()), "ct_optimizer_step");
        ctx_.end_step();
    }
    // Steps from the one after `done` to `last`, in as few replays as the rates allow.
    void advance(int done, int last)
    {
        while (done < last) {
            const auto rate = run_.rates.find(done + 1);
            if (rate != run_.rates.end())
                ctx_.check(ct_optimizer_set_lr(optimizer_.get(), rate->second), "ct_optimizer_set_lr");
            if (GetParam().way != Way::replayed || done == 0) {
                record_step(GetParam().way == Way::split);
                ++done;
                continue;
            }
            const auto next = run_.rates.upper_bound(done + 1);
            const int until = next == run_.rates.end() || next->first > last ? last : next->first - 1;
            ctx_.check(ct_replay(ctx_, until - done), "ct_replay");
            done = until;
        }
    }
};

TEST_P(OptimizerRun, FollowsTorch_For100Steps)
{
    const Tolerance close = real_ == CT_F64 ? Tolerance{1e-10, 1e-10} : Tolerance{1e-4, 1e-4};
    int done = 0;
    for (const auto &at : run_.at) {
        SCOPED_TRACE("after step " + std::to_string(at.first));
        advance(done, at.first);
        done = at.first;
        for (const auto &expected : at.second) {
            const ct_tensor leaf = problem_->leaves.at(static_cast<size_t>(expected.first));
            EXPECT_TRUE(all_close(shown(ctx_.read(leaf)), expected.second, close)) << "parameter " << expected.first;
        }
        if (run_.max_norm < 0) continue;
        EXPECT_TRUE(all_close(ctx_.read(norm_), {run_.norms.at(at.first)}, close)) << "the norm";
        for (const auto &expected : run_.grads.at(at.first)) {
            const ct_tensor leaf = problem_->leaves.at(static_cast<size_t>(expected.first));
            EXPECT_TRUE(all_close(shown(ctx_.read(ct_grad(ctx_, leaf))), expected.second, close))
                << "gradient " << expected.first;
        }
    }
    EXPECT_EQ(done, 100);
}

INSTANTIATE_TEST_SUITE_P(Golden, OptimizerRun, ::testing::ValuesIn(optimizer_cases()), [](const auto &info) {
    const OptimizerCase &c = info.param;
    return c.run->name + (c.real == CT_F32 ? "_f32_" : "_f64_") + way_name(c.way) + "_" + c.device.name;
});

// ---- by hand ---------------------------------------------------------------------------------------------------

class OptimizerTest : public ::testing::Test
{
  protected:
    Context ctx_;

    Optimizer sgd(const Params &params, double lr, double momentum = 0)
    {
        ct_sgd_config c;
        ct_sgd_defaults(&c);
        c.lr = lr;
        c.momentum = momentum;
        ct_optimizer *optimizer = nullptr;
        ctx_.check(ct_sgd_create(ctx_, params.get(), &c, &optimizer), "ct_sgd_create");
        return Optimizer(optimizer);
    }
    // The gradient of a sum: ones.
    void backward_of_sum(const std::vector<ct_tensor> &leaves)
    {
        for (const ct_tensor leaf : leaves)
            ctx_.check(ct_backward(ctx_, ct_sum(ctx_, leaf, 0, nullptr, false)), "ct_backward");
    }
    int64_t pool_in_use()
    {
        ct_stats stats;
        ct_get_stats(ctx_, &stats);
        return stats.pool_in_use;
    }
};

TEST_F(OptimizerTest, Defaults_AreTorchs)
{
    ct_sgd_config sgd;
    ct_sgd_defaults(&sgd);
    EXPECT_EQ(sgd.lr, 1e-3);
    EXPECT_EQ(sgd.momentum, 0);
    EXPECT_EQ(sgd.dampening, 0);
    EXPECT_EQ(sgd.weight_decay, 0);
    EXPECT_FALSE(sgd.nesterov);
    ct_adam_config adam, adamw;
    ct_adam_defaults(&adam);
    ct_adamw_defaults(&adamw);
    for (const ct_adam_config &c : {adam, adamw}) {
        EXPECT_EQ(c.lr, 1e-3);
        EXPECT_EQ(c.beta1, 0.9);
        EXPECT_EQ(c.beta2, 0.999);
        EXPECT_EQ(c.eps, 1e-8);
    }
    EXPECT_EQ(adam.weight_decay, 0);
    EXPECT_FALSE(adam.decoupled);
    EXPECT_EQ(adamw.weight_decay, 1e-2);
    EXPECT_TRUE(adamw.decoupled);
    ct_sgd_defaults(nullptr);
    ct_adam_defaults(nullptr);
    ct_adamw_defaults(nullptr);
}

TEST_F(OptimizerTest, NullConfig_GivesTheDefaults)
{
    const ct_tensor a = trained_leaf(ctx_, CT_F64, {2}, {1, 2}), b = trained_leaf(ctx_, CT_F64, {2}, {1, 2});
    const Params pa = make_params(ctx_, {a}), pb = make_params(ctx_, {b});
    ct_optimizer *one = nullptr, *other = nullptr;
    ctx_.check(ct_sgd_create(ctx_, pa.get(), nullptr, &one), "ct_sgd_create");
    const Optimizer sgd_owner(one);
    ctx_.check(ct_adam_create(ctx_, pb.get(), nullptr, &other), "ct_adam_create");
    const Optimizer adam_owner(other);
    EXPECT_EQ(ct_optimizer_get_lr(one), 1e-3);
    EXPECT_EQ(ct_optimizer_get_lr(other), 1e-3);
    backward_of_sum({a, b});
    ctx_.check(ct_optimizer_step(one), "ct_optimizer_step");
    ctx_.check(ct_optimizer_step(other), "ct_optimizer_step");
    ctx_.end_step();
    EXPECT_TRUE(all_close(ctx_.read(a), {1 - 1e-3, 2 - 1e-3}, {1e-14, 0}));
    EXPECT_TRUE(all_close(ctx_.read(b), {1 - 1e-3, 2 - 1e-3}, {1e-10, 0}));
}

TEST_F(OptimizerTest, BothDtypesInOneSet_AreUpdated)
{
    const ct_tensor a = trained_leaf(ctx_, CT_F32, {3}, {1, 2, 3}), b = trained_leaf(ctx_, CT_F64, {1}, {4});
    const Params params = make_params(ctx_, {a, b});
    const Optimizer optimizer = sgd(params, 0.5, 0.5);
    for (int step = 0; step < 2; ++step) {
        ctx_.check(ct_optimizer_zero_grad(optimizer.get()), "ct_optimizer_zero_grad");
        backward_of_sum({a, b});
        ctx_.check(ct_optimizer_step(optimizer.get()), "ct_optimizer_step");
        ctx_.end_step();
    }
    EXPECT_EQ(ctx_.read(a), (Values{-0.25, 0.75, 1.75})); // 0.5, then 0.5 * (0.5 + 1)
    EXPECT_EQ(ctx_.read(b), (Values{2.75}));
}

TEST_F(OptimizerTest, LeafWithoutAGradient_IsLeftAlone)
{
    const ct_tensor a = trained_leaf(ctx_, CT_F32, {2}, {1, 2}), fixed = ctx_.leaf(CT_F32, {2}, {3, 4});
    const ct_tensor labels = ctx_.leaf(CT_I64, {2}, {5, 6});
    const Params params = make_params(ctx_, {fixed, a, labels});
    const Optimizer optimizer = sgd(params, 1);
    ctx_.check(ct_optimizer_zero_grad(optimizer.get()), "ct_optimizer_zero_grad");
    backward_of_sum({a});
    ctx_.check(ct_optimizer_step(optimizer.get()), "ct_optimizer_step");
    ctx_.end_step();
    EXPECT_EQ(ctx_.read(a), (Values{0, 1}));
    EXPECT_EQ(ctx_.read(fixed), (Values{3, 4}));
    EXPECT_EQ(ctx_.read(labels), (Values{5, 6}));
}

TEST_F(OptimizerTest, EmptyLeafAmongTheParameters_IsHarmless)
{
    const ct_tensor a = trained_leaf(ctx_, CT_F32, {2}, {1, 2}), none = trained_leaf(ctx_, CT_F32, {0, 3}, {});
    const ct_tensor b = trained_leaf(ctx_, CT_F32, {1}, {3});
    const Params params = make_params(ctx_, {a, none, b});
    const Optimizer optimizer = sgd(params, 1);
    backward_of_sum({a, b});
    ct_tensor norm;
    ctx_.check(ct_clip_grad_norm(params.get(), 1000, &norm), "ct_clip_grad_norm");
    EXPECT_NEAR(ct_item(ctx_, norm), std::sqrt(3.0), 1e-6);
    ctx_.check(ct_optimizer_step(optimizer.get()), "ct_optimizer_step");
    ctx_.end_step();
    EXPECT_EQ(ctx_.read(a), (Values{0, 1}));
    EXPECT_EQ(ctx_.read(b), (Values{2}));
}

TEST_F(OptimizerTest, ManyParameters_AreUpdatedByOneRecord)
{
    std::vector<ct_tensor> leaves;
    for (int i = 0; i < 300; ++i) leaves.push_back(trained_leaf(ctx_, CT_F32, {1 + i % 5}, Values(1 + i % 5, i)));
    const Params params = make_params(ctx_, leaves);
    const Optimizer optimizer = sgd(params, 0.5, 0.25);
    ct_tensor norm;
    backward_of_sum(leaves);
    ctx_.check(ct_clip_grad_norm(params.get(), 1e6, &norm), "ct_clip_grad_norm");
    EXPECT_NEAR(ct_item(ctx_, norm), 30, 1e-4); // 900 ones
    ct_stats before, after;
    ct_get_stats(ctx_, &before);
    ctx_.check(ct_optimizer_step(optimizer.get()), "ct_optimizer_step");
    ct_get_stats(ctx_, &after);
    EXPECT_EQ(after.recorded, before.recorded + 1);
    ctx_.end_step();
    for (int i = 0; i < 300; ++i) EXPECT_EQ(ctx_.read(leaves[i])[0], i - 0.5);
}

TEST_F(OptimizerTest, ParameterThatDidNotTakePart_HasAGradientOfZeros)
{
    const ct_tensor a = trained_leaf(ctx_, CT_F64, {1}, {1}), idle = trained_leaf(ctx_, CT_F64, {1}, {2});
    const Params params = make_params(ctx_, {a, idle});
    const Optimizer optimizer = sgd(params, 0.5);
    backward_of_sum({a});
    ctx_.check(ct_optimizer_step(optimizer.get()), "ct_optimizer_step");
    ctx_.end_step();
    EXPECT_EQ(ctx_.read(idle), (Values{2}));
}

TEST_F(OptimizerTest, TwoStepsInOneStep_AreTwoUpdates)
{
    const ct_tensor a = trained_leaf(ctx_, CT_F64, {1}, {1});
    const Params params = make_params(ctx_, {a});
    const Optimizer optimizer = sgd(params, 0.5, 0.5);
    backward_of_sum({a});
    ctx_.check(ct_optimizer_step(optimizer.get()), "ct_optimizer_step");
    ctx_.check(ct_optimizer_step(optimizer.get()), "ct_optimizer_step");
    ctx_.end_step();
    EXPECT_EQ(ctx_.read(a), (Values{-0.25}));
}

TEST_F(OptimizerTest, AnotherRate_IsTheSameProgram)
{
    const ct_tensor a = trained_leaf(ctx_, CT_F64, {1}, {0});
    const Params params = make_params(ctx_, {a});
    const Optimizer optimizer = sgd(params, 0.5);
    const auto step = [&] {
        ctx_.check(ct_optimizer_zero_grad(optimizer.get()), "ct_optimizer_zero_grad");
        backward_of_sum({a});
        ctx_.check(ct_optimizer_step(optimizer.get()), "ct_optimizer_step");
        ctx_.end_step();
    };
    step();
    EXPECT_EQ(ctx_.read(a), (Values{-0.5}));
    ct_expect_cached(ctx_, true);
    ctx_.check(ct_optimizer_set_lr(optimizer.get(), 0.25), "ct_optimizer_set_lr");
    EXPECT_EQ(ct_optimizer_get_lr(optimizer.get()), 0.25);
    step();
    EXPECT_EQ(ctx_.read(a), (Values{-0.75}));
    ctx_.check(ct_optimizer_set_lr(optimizer.get(), 2), "ct_optimizer_set_lr");
    ctx_.check(ct_replay(ctx_, 3), "ct_replay");
    EXPECT_EQ(ctx_.read(a), (Values{-6.75}));
    ctx_.check(ct_optimizer_set_lr(optimizer.get(), 0), "ct_optimizer_set_lr");
    ctx_.check(ct_replay(ctx_, 3), "ct_replay");
    EXPECT_EQ(ctx_.read(a), (Values{-6.75}));
}

TEST_F(OptimizerTest, RateSetAfterRecording_IsForTheReplaysOnly)
{
    const ct_tensor a = trained_leaf(ctx_, CT_F64, {1}, {0});
    const Params params = make_params(ctx_, {a});
    const Optimizer optimizer = sgd(params, 1);
    ctx_.check(ct_optimizer_zero_grad(optimizer.get()), "ct_optimizer_zero_grad");
    backward_of_sum({a});
    ctx_.check(ct_optimizer_step(optimizer.get()), "ct_optimizer_step");
    ctx_.check(ct_optimizer_set_lr(optimizer.get(), 4), "ct_optimizer_set_lr");
    ctx_.end_step();
    EXPECT_EQ(ctx_.read(a), (Values{-1}));
    ctx_.check(ct_replay(ctx_, 1), "ct_replay");
    EXPECT_EQ(ctx_.read(a), (Values{-5}));
}

TEST_F(OptimizerTest, TwoOptimizersOfOneStep_HaveRatesOfTheirOwn)
{
    const ct_tensor a = trained_leaf(ctx_, CT_F64, {1}, {0}), b = trained_leaf(ctx_, CT_F64, {1}, {0});
    const Params pa = make_params(ctx_, {a}), pb = make_params(ctx_, {b});
    const Optimizer first = sgd(pa, 1), second = sgd(pb, 2);
    for (const Optimizer *o : {&first, &second}) ctx_.check(ct_optimizer_zero_grad(o->get()), "ct_optimizer_zero_grad");
    backward_of_sum({a, b});
    for (const Optimizer *o : {&first, &second}) ctx_.check(ct_optimizer_step(o->get()), "ct_optimizer_step");
    ctx_.end_step();
    ctx_.check(ct_optimizer_set_lr(second.get(), 8), "ct_optimizer_set_lr");
    ctx_.check(ct_replay(ctx_, 1), "ct_replay");
    EXPECT_EQ(ctx_.read(a), (Values{-2}));
    EXPECT_EQ(ctx_.read(b), (Values{-10}));
}

TEST_F(OptimizerTest, RateThatIsNone_IsRefused)
{
    const Params params = make_params(ctx_, {trained_leaf(ctx_, CT_F32, {1}, {0})});
    const Optimizer optimizer = sgd(params, 0.5);
    for (const double lr : {-1.0, static_cast<double>(NAN), static_cast<double>(INFINITY)})
        expect_error(ctx_, ct_optimizer_set_lr(optimizer.get(), lr), CT_ERR_ARGUMENT, {"ct_optimizer_set_lr"});
    EXPECT_EQ(ct_optimizer_get_lr(optimizer.get()), 0.5);
    EXPECT_TRUE(std::isnan(ct_optimizer_get_lr(nullptr)));
    EXPECT_EQ(ct_optimizer_set_lr(nullptr, 1), CT_ERR_ARGUMENT);
    EXPECT_EQ(ct_optimizer_step(nullptr), CT_ERR_ARGUMENT);
    EXPECT_EQ(ct_optimizer_zero_grad(nullptr), CT_ERR_ARGUMENT);
    ct_optimizer_destroy(nullptr);
}

TEST_F(OptimizerTest, BadConfigs_AreRefused)
{
    const Params params = make_params(ctx_, {trained_leaf(ctx_, CT_F32, {1}, {0})});
    const int64_t before = pool_in_use();
    struct BadSgd {
        double lr, momentum, dampening, weight_decay;
        bool nesterov;
    };
    for (const BadSgd &bad : {BadSgd{-1, 0, 0, 0, false},
                              {NAN, 0, 0, 0, false},
                              {1, -0.5, 0, 0, false},
                              {1, 0.5, NAN, 0, false},
                              {1, 0, 0, -1, false},
                              {1, 0, 0, 0, true},
                              {1, 0.5, 0.5, 0, true}}) {
        ct_sgd_config c = {bad.lr, bad.momentum, bad.dampening, bad.weight_decay, bad.nesterov, {0}};
        ct_optimizer *optimizer = reinterpret_cast<ct_optimizer *>(this);
        expect_error(ctx_, ct_sgd_create(ctx_, params.get(), &c, &optimizer), CT_ERR_ARGUMENT, {"ct_sgd_create"});
        EXPECT_EQ(optimizer, nullptr);
    }
    struct BadAdam {
        double lr, beta1, beta2, eps, weight_decay;
    };
    for (const BadAdam &bad : {BadAdam{-1, 0.9, 0.9, 0, 0},
                               {1, 1, 0.9, 0, 0},
                               {1, -0.1, 0.9, 0, 0},
                               {1, 0.9, 1, 0, 0},
                               {1, 0.9, NAN, 0, 0},
                               {1, 0.9, 0.9, -1, 0},
                               {1, 0.9, 0.9, 0, -1},
                               {INFINITY, 0, 0, 0, 0}}) {
        ct_adam_config c = {bad.lr, bad.beta1, bad.beta2, bad.eps, bad.weight_decay, false, {0}};
        ct_optimizer *optimizer = reinterpret_cast<ct_optimizer *>(this);
        expect_error(ctx_, ct_adam_create(ctx_, params.get(), &c, &optimizer), CT_ERR_ARGUMENT, {"ct_adam_create"});
        EXPECT_EQ(optimizer, nullptr);
    }
    EXPECT_EQ(pool_in_use(), before);
}

TEST_F(OptimizerTest, ParametersThatCannotBeTrained_AreRefused)
{
    Context other;
    const Params foreign = make_params(other, {trained_leaf(other, CT_F32, {1}, {0})});
    const Params empty = make_params(ctx_, {}), fixed = make_params(ctx_, {ctx_.leaf(CT_F32, {1}, {0})});
    const Params released = make_params(ctx_, {trained_leaf(ctx_, CT_F32, {1}, {0})});
    ct_release(ctx_, ct_params_get(released.get(), "p0"));
    for (ct_params *params :
         {foreign.get(), empty.get(), fixed.get(), released.get(), static_cast<ct_params *>(nullptr)}) {
        ct_optimizer *optimizer = reinterpret_cast<ct_optimizer *>(this);
        expect_error(ctx_, ct_sgd_create(ctx_, params, nullptr, &optimizer), CT_ERR_ARGUMENT);
        EXPECT_EQ(optimizer, nullptr);
        expect_error(ctx_, ct_adam_create(ctx_, params, nullptr, &optimizer), CT_ERR_ARGUMENT);
        EXPECT_EQ(optimizer, nullptr);
    }
    expect_error(ctx_, ct_sgd_create(ctx_, fixed.get(), nullptr, nullptr), CT_ERR_ARGUMENT);
    expect_error(ctx_, ct_adam_create(ctx_, fixed.get(), nullptr, nullptr), CT_ERR_ARGUMENT);
}

TEST_F(OptimizerTest, ReleasedParameter_FailsTheStepAndNamesTheCall)
{
    const ct_tensor a = trained_leaf(ctx_, CT_F32, {1}, {1}), b = trained_leaf(ctx_, CT_F32, {1}, {2});
    const Params params = make_params(ctx_, {a, b});
    const Optimizer optimizer = sgd(params, 1);
    ct_release(ctx_, b);
    const ct_tensor taken = ctx_.leaf(CT_F32, {1}, {7}); // perhaps in the slot of b
    expect_error(ctx_, ct_optimizer_zero_grad(optimizer.get()), CT_ERR_ARGUMENT, {"ct_optimizer_zero_grad"});
    expect_error(ctx_, ct_optimizer_step(optimizer.get()), CT_ERR_ARGUMENT, {"ct_optimizer_step"});
    EXPECT_EQ(ctx_.read(a), (Values{1}));
    EXPECT_EQ(ctx_.read(taken), (Values{7}));
}

TEST_F(OptimizerTest, KeepsItsOwnHoldOnTheParameters)
{
    const ct_tensor a = trained_leaf(ctx_, CT_F32, {1}, {1});
    Params params = make_params(ctx_, {a});
    const Optimizer optimizer = sgd(params, 1);
    params.reset();
    backward_of_sum({a});
    ctx_.check(ct_optimizer_step(optimizer.get()), "ct_optimizer_step");
    ctx_.end_step();
    EXPECT_EQ(ctx_.read(a), (Values{0}));
}

TEST_F(OptimizerTest, DestroyedWithAStepPending_TheStepStillHappens)
{
    const ct_tensor a = trained_leaf(ctx_, CT_F32, {1}, {1});
    const Params params = make_params(ctx_, {a});
    Optimizer optimizer = sgd(params, 0.5, 0.5);
    backward_of_sum({a});
    ctx_.check(ct_optimizer_step(optimizer.get()), "ct_optimizer_step");
    optimizer.reset();
    ctx_.end_step();
    EXPECT_EQ(ctx_.read(a), (Values{0.5}));
    expect_error(ctx_, ct_replay(ctx_, 1), CT_ERR_STATE, {"ct_replay"});
}

TEST_F(OptimizerTest, State_IsGivenBack)
{
    const Params params = make_params(ctx_, {trained_leaf(ctx_, CT_F32, {1000}, Values(1000))});
    const int64_t before = pool_in_use();
    ct_optimizer *adam = nullptr;
    ctx_.check(ct_adam_create(ctx_, params.get(), nullptr, &adam), "ct_adam_create");
    EXPECT_GE(pool_in_use(), before + 2 * 4000);
    ct_optimizer_destroy(adam);
    EXPECT_EQ(pool_in_use(), before);
}

TEST_F(OptimizerTest, FailedStep_LeavesMomentsAndCountAsTheyWere)
{
    Values results[2];
    for (const bool fail : {false, true}) {
        const ct_tensor a = trained_leaf(ctx_, CT_F64, {2}, {1, 2});
        const Params params = make_params(ctx_, {a});
        ct_optimizer *raw = nullptr;
        ctx_.check(ct_adam_create(ctx_, params.get(), nullptr, &raw), "ct_adam_create");
        const Optimizer adam(raw);
        for (int step = 0; step < 3; ++step) {
            if (fail) {
                ctx_.check(ct_backward(ctx_, ct_sum(ctx_, a, 0, nullptr, false)), "ct_backward");
                ctx_.check(ct_optimizer_step(raw), "ct_optimizer_step");
                expect_error(ctx_, ct_backward(ctx_, a), CT_ERR_SHAPE);
            }
            ctx_.check(ct_optimizer_zero_grad(raw), "ct_optimizer_zero_grad");
            ctx_.check(ct_backward(ctx_, ct_sum(ctx_, ct_square(ctx_, a), 0, nullptr, false)), "ct_backward");
            ctx_.check(ct_optimizer_step(raw), "ct_optimizer_step");
            ctx_.end_step();
        }
        results[fail] = ctx_.read(a);
    }
    EXPECT_TRUE(same_bits(results[1], results[0]));
}

// ---- clipping: the numbers stand in the golden runs ----------------------------------------------------------

class ClipTest : public OptimizerTest
{
};

TEST_F(ClipTest, NormIsOfAllGradientsTogether)
{
    const ct_tensor a = trained_leaf(ctx_, CT_F64, {2}, {3, 0}), b = trained_leaf(ctx_, CT_F64, {1}, {4});
    const Params params = make_params(ctx_, {a, b});
    for (const ct_tensor x : {a, b}) // the gradients: 3 0 and 4
        ctx_.check(ct_backward(ctx_, ct_mul_scalar(ctx_, ct_sum(ctx_, ct_square(ctx_, x), 0, nullptr, false), 0.5)),
                   "ct_backward");
    ct_tensor norm;
    ctx_.check(ct_clip_grad_norm(params.get(), 2.5, &norm), "ct_clip_grad_norm");
    EXPECT_EQ(ctx_.shape(norm), (std::vector<int64_t>{}));
    EXPECT_EQ(ctx_.read(norm), (Values{5}));
    ctx_.end_step();
    const double factor = 2.5 / (5 + 1e-6);
    EXPECT_TRUE(all_close(ctx_.read(ct_grad(ctx_, a)), {3 * factor, 0}, {1e-14, 0}));
    EXPECT_TRUE(all_close(ctx_.read(ct_grad(ctx_, b)), {4 * factor}, {1e-14, 0}));
}

TEST_F(ClipTest, SmallGradients_KeepTheirBits)
{
    const ct_tensor a = trained_leaf(ctx_, CT_F32, {3}, {0.1, -0.2, 0.3});
    const Params params = make_params(ctx_, {a});
    ctx_.check(ct_backward(ctx_, ct_sum(ctx_, ct_square(ctx_, a), 0, nullptr, false)), "ct_backward");
    ctx_.end_step();
    const Values before = ctx_.read(ct_grad(ctx_, a));
    ctx_.check(ct_clip_grad_norm(params.get(), 100, nullptr), "ct_clip_grad_norm");
    ctx_.end_step();
    EXPECT_TRUE(same_bits(ctx_.read(ct_grad(ctx_, a)), before));
}

TEST_F(ClipTest, NoGradientAtAll_StaysZero)
{
    const ct_tensor a = trained_leaf(ctx_, CT_F32, {3}, {1, 2, 3});
    const Params params = make_params(ctx_, {a});
    ct_tensor norm;
    ctx_.check(ct_clip_grad_norm(params.get(), 0, &norm), "ct_clip_grad_norm");
    EXPECT_EQ(ctx_.read(norm), (Values{0}));
    ctx_.end_step();
    EXPECT_EQ(ctx_.read(ct_grad(ctx_, a)), (Values{0, 0, 0}));
}

TEST_F(ClipTest, MaxNormOfZero_ZeroesTheGradients)
{
    const ct_tensor a = trained_leaf(ctx_, CT_F32, {2}, {1, 2});
    const Params params = make_params(ctx_, {a});
    backward_of_sum({a});
    ctx_.check(ct_clip_grad_norm(params.get(), 0, nullptr), "ct_clip_grad_norm");
    ctx_.end_step();
    EXPECT_EQ(ctx_.read(ct_grad(ctx_, a)), (Values{0, 0}));
}

TEST_F(ClipTest, NaN_ReachesNormAndGradients)
{
    const ct_tensor a = trained_leaf(ctx_, CT_F32, {2}, {NAN, 2});
    const Params params = make_params(ctx_, {a});
    ctx_.check(ct_backward(ctx_, ct_sum(ctx_, ct_square(ctx_, a), 0, nullptr, false)), "ct_backward");
    ct_tensor norm;
    ctx_.check(ct_clip_grad_norm(params.get(), 1, &norm), "ct_clip_grad_norm");
    EXPECT_TRUE(std::isnan(ct_item(ctx_, norm)));
    ctx_.end_step();
    EXPECT_TRUE(std::isnan(ctx_.read(ct_grad(ctx_, a))[1])); // as PyTorch, with error_if_nonfinite=False
}

TEST_F(ClipTest, LargeGradients_DoNotOverflowInF32)
{
    const ct_tensor a = trained_leaf(ctx_, CT_F32, {2}, {3e30, 4e30});
    const Params params = make_params(ctx_, {a});
    ctx_.check(ct_backward(ctx_, ct_sum(ctx_, ct_mul(ctx_, a, ct_detach(ctx_, a)), 0, nullptr, false)), "ct_backward");
    ct_tensor norm;
    ctx_.check(ct_clip_grad_norm(params.get(), 1, &norm), "ct_clip_grad_norm");
    EXPECT_NEAR(ct_item(ctx_, norm), 5e30, 1e25);
    ctx_.end_step();
    EXPECT_TRUE(all_close(ctx_.read(ct_grad(ctx_, a)), {0.6, 0.8}, {1e-6, 0}));
}

TEST_F(ClipTest, BadArguments_AreRefused)
{
    const Params params = make_params(ctx_, {trained_leaf(ctx_, CT_F32, {1}, {0})});
    const Params fixed = make_params(ctx_, {ctx_.leaf(CT_F32, {1}, {0})});
    ct_tensor norm = {1};
    for (const double max_norm : {-1.0, static_cast<double>(NAN)})
        expect_error(ctx_, ct_clip_grad_norm(params.get(), max_norm, &norm), CT_ERR_ARGUMENT, {"ct_clip_grad_norm"});
    expect_error(ctx_, ct_clip_grad_norm(fixed.get(), 1, &norm), CT_ERR_STATE, {"ct_clip_grad_norm"});
    EXPECT_EQ(norm.bits, 0u);
    EXPECT_EQ(ct_clip_grad_norm(nullptr, 1, nullptr), CT_ERR_ARGUMENT);
}

// ---- after the context ------------------------------------------------------------------------------------------

TEST(OptimizerLife, ContextDestroyedFirst_CallsFailAndDestroyWorks)
{
    ct_context *ctx = nullptr;
    ct_config config = {};
    config.device = CT_DEVICE_CPU;
    ASSERT_EQ(ct_create(&config, &ctx), CT_OK);
    const int64_t one = 1;
    const ct_tensor leaf = ct_leaf(ctx, CT_F32, 1, &one, nullptr);
    ct_set_requires_grad(ctx, leaf, true);
    ct_params *raw_params = nullptr;
    ASSERT_EQ(ct_params_create(ctx, &raw_params), CT_OK);
    const Params params(raw_params);
    ASSERT_EQ(ct_params_add(raw_params, "a", leaf), CT_OK);
    ct_optimizer *raw = nullptr;
    ASSERT_EQ(ct_adam_create(ctx, raw_params, nullptr, &raw), CT_OK);
    const Optimizer optimizer(raw);
    ct_destroy(ctx);
    EXPECT_EQ(ct_optimizer_step(raw), CT_ERR_STATE);
    EXPECT_EQ(ct_optimizer_zero_grad(raw), CT_ERR_STATE);
    EXPECT_EQ(ct_optimizer_set_lr(raw, 1), CT_ERR_STATE);
    EXPECT_EQ(ct_clip_grad_norm(raw_params, 1, nullptr), CT_ERR_STATE);
    EXPECT_EQ(ct_params_add(raw_params, "b", leaf), CT_ERR_STATE);
    EXPECT_EQ(ct_params_count(raw_params), 1);
}

} // namespace

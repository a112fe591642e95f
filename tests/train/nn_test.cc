// Parameter sets, and perceptrons: names, initial values, the forward pass, and what
// is refused.
#include "train/train_test.h"

#include <algorithm>
#include <cmath>

namespace
{

int64_t pool_in_use(Context &ctx)
{
    ct_stats stats;
    ct_get_stats(ctx, &stats);
    return stats.pool_in_use;
}

// ---- parameter sets --------------------------------------------------------------------------------------------

TEST(ParameterSet, KeepsLeavesByNameInOrder)
{
    Context ctx;
    const ct_tensor a = ctx.leaf(CT_F32, {1}, {1}), b = ctx.leaf(CT_F64, {2}, {2, 3});
    ct_params *raw = nullptr;
    ctx.check(ct_params_create(ctx, &raw), "ct_params_create");
    const Params params(raw);
    EXPECT_EQ(ct_params_count(raw), 0);
    ctx.check(ct_params_add(raw, "b", b), "ct_params_add");
    ctx.check(ct_params_add(raw, "a", a), "ct_params_add");
    EXPECT_EQ(ct_params_count(raw), 2);
    EXPECT_EQ(ct_params_get(raw, "a").bits, a.bits);
    EXPECT_EQ(ct_params_get(raw, "b").bits, b.bits);
}

TEST(ParameterSet, MissingName_IsTheZeroTensorAndNoError)
{
    Context ctx;
    const Params params = make_params(ctx, {ctx.leaf(CT_F32, {1}, {1})});
    EXPECT_EQ(ct_params_get(params.get(), "p").bits, 0u);
    EXPECT_EQ(ct_params_get(params.get(), "p00").bits, 0u);
    EXPECT_EQ(ct_params_get(params.get(), "").bits, 0u);
    EXPECT_EQ(ct_params_get(params.get(), nullptr).bits, 0u);
    EXPECT_EQ(ct_params_get(nullptr, "p0").bits, 0u);
    EXPECT_EQ(ct_params_count(nullptr), 0);
    EXPECT_EQ(ct_error(ctx), CT_OK);
}

TEST(ParameterSet, TakenOrEmptyName_IsRefused)
{
    Context ctx;
    const ct_tensor a = ctx.leaf(CT_F32, {1}, {1}), b = ctx.leaf(CT_F32, {1}, {2});
    const Params params = make_params(ctx, {a});
    expect_error(ctx, ct_params_add(params.get(), "p0", b), CT_ERR_ARGUMENT, {"ct_params_add", "p0"});
    expect_error(ctx, ct_params_add(params.get(), "", b), CT_ERR_ARGUMENT, {"ct_params_add"});
    expect_error(ctx, ct_params_add(params.get(), nullptr, b), CT_ERR_ARGUMENT, {"ct_params_add"});
    EXPECT_EQ(ct_params_count(params.get()), 1);
    EXPECT_EQ(ct_params_get(params.get(), "p0").bits, a.bits);
}

// Two rows of one leaf would be updated at once, by two threads.
TEST(ParameterSet, OneLeafUnderTwoNames_IsRefused)
{
    Context ctx;
    const ct_tensor a = ctx.leaf(CT_F32, {1}, {1});
    const Params params = make_params(ctx, {a});
    expect_error(ctx, ct_params_add(params.get(), "again", a), CT_ERR_ARGUMENT, {"ct_params_add", "again", "p0"});
    EXPECT_EQ(ct_params_count(params.get()), 1);
}

TEST(ParameterSet, WhatIsNotALeaf_IsRefused)
{
    Context ctx, other;
    const ct_tensor a = ctx.leaf(CT_F32, {1}, {1}), gone = ctx.leaf(CT_F32, {1}, {1});
    const ct_tensor foreign = other.leaf(CT_F32, {1}, {1});
    ct_release(ctx, gone);
    const Params params = make_params(ctx, {});
    const ct_tensor value = ct_neg(ctx, a);
    for (const ct_tensor wrong : {value, gone, foreign, ct_tensor{0}})
        expect_error(ctx, ct_params_add(params.get(), "x", wrong), CT_ERR_ARGUMENT, {"ct_params_add", "x"});
    EXPECT_EQ(ct_params_count(params.get()), 0);
    EXPECT_EQ(ct_params_add(nullptr, "x", a), CT_ERR_ARGUMENT);
    expect_error(ctx, ct_params_create(ctx, nullptr), CT_ERR_ARGUMENT);
    ct_params_destroy(nullptr);
}

TEST(ParameterSet, NamesALeafThatHasNoName)
{
    Context ctx;
    const ct_tensor a = ctx.leaf(CT_F32, {1}, {1}), b = ctx.leaf(CT_F32, {1}, {1});
    ctx.check(ct_set_name(ctx, b, "mine"), "ct_set_name");
    const Params params = make_params(ctx, {a, b});
    EXPECT_STREQ(ctx.describe(a).name, "p0");
    EXPECT_STREQ(ctx.describe(b).name, "mine");
}

TEST(ParameterSet, DoesNotOwnItsLeaves)
{
    Context ctx;
    const ct_tensor a = ctx.leaf(CT_F32, {1}, {5});
    make_params(ctx, {a}).reset();
    EXPECT_EQ(ctx.read(a), (Values{5}));
}

// ---- perceptrons: the initial values ---------------------------------------------------------------------------

Values parameter(Context &ctx, const Mlp &mlp, const std::string &name)
{
    return ctx.read(ctx.check(ct_params_get(ct_mlp_params(mlp.get()), name.c_str()), name.c_str()));
}

Values all_parameters(Context &ctx, const Mlp &mlp, int layers)
{
    Values all;
    for (int i = 0; i < layers; ++i)
        for (const char *kind : {"weight", "bias"}) {
            const Values one = parameter(ctx, mlp, "layers." + std::to_string(i) + "." + kind);
            all.insert(all.end(), one.begin(), one.end());
        }
    return all;
}

// How many values two draws share at the same place: by chance, about none.
size_t shared(const Values &a, const Values &b)
{
    size_t n = 0;
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) n += a[i] == b[i];
    return n;
}

TEST(MultiLayerPerceptron, ParametersAreNamedLayerByLayer)
{
    Context ctx;
    const Mlp mlp = make_mlp(ctx, {5, 4, 3, 2});
    ct_params *params = ct_mlp_params(mlp.get());
    EXPECT_EQ(ct_params_count(params), 6);
    const int64_t widths[] = {5, 4, 3, 2};
    for (int i = 0; i < 3; ++i) {
        const std::string layer = "layers." + std::to_string(i);
        const ct_tensor weight = ct_params_get(params, (layer + ".weight").c_str());
        const ct_tensor bias = ct_params_get(params, (layer + ".bias").c_str());
        EXPECT_EQ(ctx.shape(weight), (std::vector<int64_t>{widths[i + 1], widths[i]}));
        EXPECT_EQ(ctx.shape(bias), (std::vector<int64_t>{widths[i + 1]}));
        for (const ct_tensor leaf : {weight, bias}) {
            const ct_info info = ctx.describe(leaf);
            EXPECT_EQ(info.dtype, CT_F32);
            EXPECT_TRUE(info.is_leaf && info.requires_grad);
        }
        EXPECT_STREQ(ctx.describe(weight).name, (layer + ".weight").c_str());
    }
}

// The order of a set shows in what a clip or an update does first; here, in the file's names of tensors.
TEST(MultiLayerPerceptron, ParametersStandInTheOrderOfTheLayers)
{
    Context ctx;
    const Mlp mlp = make_mlp(ctx, {3, 2, 1});
    ct_params *params = ct_mlp_params(mlp.get());
    std::vector<uint64_t> handles;
    for (const char *name : {"layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"})
        handles.push_back(ct_params_get(params, name).bits);
    EXPECT_TRUE(std::is_sorted(handles.begin(), handles.end())) << "handles of a fresh context count up";
}

TEST(MultiLayerPerceptron, InitialValues_AreUniformWithinOneOverTheRootOfInputs)
{
    Context ctx;
    const Mlp mlp = make_mlp(ctx, {784, 128, 100, 64});
    const double inputs[] = {784, 128, 100};
    for (int i = 0; i < 3; ++i)
        for (const char *kind : {"weight", "bias"}) {
            const std::string name = "layers." + std::to_string(i) + "." + kind;
            SCOPED_TRACE(name);
            const Values values = parameter(ctx, mlp, name);
            const double n = static_cast<double>(values.size()), bound = 1 / std::sqrt(inputs[i]);
            double mean = 0, square = 0, fourth = 0, largest = 0;
            for (const double x : values) {
                const double u = x / bound; // uniform in ±1: mean 0, E u² = 1/3, E u⁴ = 1/5
                mean += u / n;
                square += u * u / n;
                fourth += u * u * u * u / n;
                largest = std::fmax(largest, std::fabs(u));
            }
            EXPECT_LE(largest, 1 + 1e-7);
            EXPECT_GE(largest, 1 - 10 / n);
            EXPECT_NEAR(mean, 0, 4 * std::sqrt(1 / (3 * n)));
            EXPECT_NEAR(square, 1.0 / 3, 4 * std::sqrt(4 / (45 * n)));
            EXPECT_NEAR(fourth, 1.0 / 5, 4 * std::sqrt(16 / (225 * n)));
        }
}

TEST(MultiLayerPerceptron, InitialValues_HaveNoRepeatsOrCorrelationAlongTheStream)
{
    Context ctx;
    Values values = parameter(ctx, make_mlp(ctx, {64, 64}), "layers.0.weight");
    for (const size_t lag : {1u, 2u, 3u, 4u, 64u}) {
        double product = 0;
        const size_t n = values.size() - lag;
        for (size_t i = 0; i < n; ++i) product += values[i] * values[i + lag] * 64 * 3; // each of variance 1
        EXPECT_NEAR(product / static_cast<double>(n), 0, 4 / std::sqrt(static_cast<double>(n))) << "lag " << lag;
    }
    std::sort(values.begin(), values.end());
    EXPECT_LT(values.end() - std::unique(values.begin(), values.end()), 5); // 4096 of 2^24
}

TEST(MultiLayerPerceptron, LayersAndPerceptrons_DifferFromEachOther)
{
    Context ctx;
    const Mlp first = make_mlp(ctx, {32, 32, 32}), second = make_mlp(ctx, {32, 32, 32});
    const Values a = parameter(ctx, first, "layers.0.weight"), b = parameter(ctx, first, "layers.1.weight");
    const Values c = parameter(ctx, second, "layers.0.weight"), bias = parameter(ctx, first, "layers.0.bias");
    EXPECT_LT(shared(a, b), 3u);
    EXPECT_LT(shared(a, c), 3u);
    EXPECT_LT(shared(b, c), 3u);
    EXPECT_LT(shared(a, bias), 3u);
}

TEST(MultiLayerPerceptron, SameSeed_GivesTheSameBits_AnotherSeedOthers)
{
    Values zero, again, one;
    for (const auto &[seed, values] : {std::pair<uint64_t, Values *>{0, &zero}, {0, &again}, {1, &one}}) {
        ct_config config = {};
        config.seed = seed;
        Context ctx(devices().front(), config);
        *values = all_parameters(ctx, make_mlp(ctx, {30, 20, 10}), 2);
    }
    EXPECT_TRUE(same_bits(again, zero));
    EXPECT_LT(shared(zero, one), 3u);
}

// ---- perceptrons: the forward pass -------------------------------------------------------------------------------

TEST(MultiLayerPerceptron, Forward_IsTheStackOfLinears)
{
    Context ctx;
    ct_mlp_config config = {};
    config.activation = CT_ACT_TANH;
    config.output_activation = CT_ACT_SIGMOID;
    const Mlp mlp = make_mlp(ctx, {4, 5, 6, 3}, config);
    ct_params *params = ct_mlp_params(mlp.get());
    const ct_tensor x = ctx.leaf(CT_F32, {2, 7, 4}, Stream(3).draw(56));
    ct_tensor y = x;
    for (int i = 0; i < 3; ++i) {
        const std::string layer = "layers." + std::to_string(i);
        y = ct_linear(ctx, y, ct_params_get(params, (layer + ".weight").c_str()),
                      ct_params_get(params, (layer + ".bias").c_str()), i < 2 ? CT_ACT_TANH : CT_ACT_SIGMOID);
    }
    const ct_tensor found = ct_mlp_forward(mlp.get(), x);
    EXPECT_EQ(ctx.shape(found), (std::vector<int64_t>{2, 7, 3}));
    EXPECT_TRUE(same_bits(ctx.read(found), ctx.read(y)));
    ctx.end_step();
}

TEST(MultiLayerPerceptron, Widths_AreCopied)
{
    Context ctx;
    std::vector<int64_t> widths = {3, 4, 2};
    ct_mlp_config config = {};
    config.n_layers = 2;
    config.widths = widths.data();
    ct_mlp *raw = nullptr;
    ctx.check(ct_mlp_create(ctx, &config, &raw), "ct_mlp_create");
    const Mlp mlp(raw);
    widths.assign(3, -1);
    EXPECT_EQ(ctx.shape(ct_mlp_forward(raw, ctx.leaf(CT_F32, {1, 3}, {1, 2, 3}))), (std::vector<int64_t>{1, 2}));
    ctx.end_step();
}

TEST(MultiLayerPerceptron, Dropout_IsOnHiddenValuesInTrainingOnly)
{
    Context ctx;
    ct_mlp_config config = {};
    config.activation = CT_ACT_SIGMOID;
    config.dropout = 0.5;
    const Mlp mlp = make_mlp(ctx, {8, 64, 8}, config);
    const ct_tensor x = ctx.leaf(CT_F32, {4, 8}, Stream(3).draw(32));
    const auto forward = [&](bool training) {
        ct_set_training(ctx, training);
        const Values y = ctx.read(ct_mlp_forward(mlp.get(), x));
        ctx.end_step();
        return y;
    };
    const Values still = forward(false), trained = forward(true);
    EXPECT_TRUE(same_bits(forward(false), still));
    EXPECT_FALSE(same_bits(trained, still));
    EXPECT_FALSE(same_bits(forward(true), trained)) << "another step, another mask";
    for (const double y : trained) EXPECT_NE(y, 0) << "the output is not dropped";
}

TEST(MultiLayerPerceptron, DropoutNearOne_LeavesTheBias)
{
    Context ctx;
    ct_mlp_config config = {};
    config.dropout = 1 - 0x1p-50;
    const Mlp mlp = make_mlp(ctx, {3, 4, 2}, config);
    const ct_tensor y = ct_mlp_forward(mlp.get(), ctx.leaf(CT_F32, {1, 3}, {1, 2, 3}));
    EXPECT_EQ(ctx.read(y), parameter(ctx, mlp, "layers.1.bias"));
    ctx.end_step();
}

// ---- perceptrons: with a layer norm ------------------------------------------------------------------------------

ct_mlp_config with_norm(ct_activation activation)
{
    ct_mlp_config config = {};
    config.activation = activation;
    config.layer_norm = true;
    return config;
}

TEST(MultiLayerPerceptron, LayerNorm_HasParametersInHiddenLayersOnly)
{
    Context ctx;
    const Mlp mlp = make_mlp(ctx, {3, 4, 5, 2}, with_norm(CT_ACT_RELU)), plain = make_mlp(ctx, {3, 4, 5, 2});
    EXPECT_EQ(ct_params_count(ct_mlp_params(mlp.get())), 10);
    EXPECT_EQ(parameter(ctx, mlp, "layers.0.norm.weight"), Values(4, 1.0));
    EXPECT_EQ(parameter(ctx, mlp, "layers.0.norm.bias"), Values(4, 0.0));
    EXPECT_EQ(parameter(ctx, mlp, "layers.1.norm.weight"), Values(5, 1.0));
    EXPECT_EQ(ct_params_get(ct_mlp_params(mlp.get()), "layers.2.norm.weight").bits, 0u);
    EXPECT_EQ(ct_params_get(ct_mlp_params(plain.get()), "layers.0.norm.weight").bits, 0u);
    EXPECT_TRUE(ctx.describe(ct_params_get(ct_mlp_params(mlp.get()), "layers.0.norm.bias")).requires_grad);
}

// A hidden layer of 1, 3 and 5 has mean 3 and variance 8/3; relu(2 h + 1/2) of it is then summed.
TEST(MultiLayerPerceptron, LayerNorm_StandsBeforeTheActivation)
{
    Context ctx;
    const Mlp mlp = make_mlp(ctx, {1, 3, 1}, with_norm(CT_ACT_RELU));
    const auto set = [&](const char *name, const Values &values) {
        const ct_tensor leaf = ct_params_get(ct_mlp_params(mlp.get()), name);
        ctx.write(leaf, values);
        return leaf;
    };
    set("layers.0.weight", {1, 3, 5});
    set("layers.0.bias", {0, 0, 0});
    const ct_tensor gamma = set("layers.0.norm.weight", {2, 2, 2}), beta = set("layers.0.norm.bias", {0.5, 0.5, 0.5});
    set("layers.1.weight", {1, 1, 1});
    set("layers.1.bias", {0});
    const ct_tensor x = ctx.leaf(CT_F32, {1, 1}, {1});
    const double h = 2 / std::sqrt(8.0 / 3 + 1e-5);
    for (const bool training : {true, false}) {
        ct_set_training(ctx, training);
        const ct_tensor y = ct_mlp_forward(mlp.get(), x);
        EXPECT_TRUE(all_close(ctx.read(y), {0.5 + 2 * h + 0.5}, {1e-6, 0}));
        ctx.check(ct_zero_grad(ctx, gamma), "ct_zero_grad");
        ctx.check(ct_zero_grad(ctx, beta), "ct_zero_grad");
        ctx.check(ct_backward(ctx, y), "ct_backward");
        ctx.end_step();
        EXPECT_TRUE(all_close(ctx.read(ct_grad(ctx, gamma)), {0, 0, h}, {1e-6, 1e-6}));
        EXPECT_TRUE(all_close(ctx.read(ct_grad(ctx, beta)), {0, 1, 1}, {1e-6, 0}));
    }
}

TEST(MultiLayerPerceptron, LayerNorm_WithEachActivation_IsThatOfLinear)
{
    for (int activation = CT_ACT_IDENTITY; activation <= CT_ACT_LEAKY_RELU; ++activation) {
        Context ctx;
        const Mlp mlp = make_mlp(ctx, {4, 6, 3}, with_norm(static_cast<ct_activation>(activation)));
        ct_params *params = ct_mlp_params(mlp.get());
        const auto leaf = [&](const char *name) { return ct_params_get(params, name); };
        const ct_tensor x = ctx.leaf(CT_F32, {5, 4}, Stream(3).draw(20));
        ct_tensor y = ct_linear(ctx, x, leaf("layers.0.weight"), leaf("layers.0.bias"), CT_ACT_IDENTITY);
        y = ct_layer_norm(ctx, y, leaf("layers.0.norm.weight"), leaf("layers.0.norm.bias"), 1e-5);
        Values identity(36);
        for (size_t i = 0; i < 6; ++i) identity[7 * i] = 1;
        y = ct_linear(ctx, y, ctx.leaf(CT_F32, {6, 6}, identity), {0}, static_cast<ct_activation>(activation));
        y = ct_linear(ctx, y, leaf("layers.1.weight"), leaf("layers.1.bias"), CT_ACT_IDENTITY);
        EXPECT_TRUE(all_close(ctx.read(ct_mlp_forward(mlp.get(), x)), ctx.read(y), {1e-5, 1e-6})) << activation;
        ctx.end_step();
    }
}

TEST(MultiLayerPerceptron, WrongInput_IsAnErrorOfTheOp)
{
    Context ctx;
    const Mlp mlp = make_mlp(ctx, {3, 2});
    EXPECT_EQ(ct_mlp_forward(mlp.get(), ctx.leaf(CT_F32, {1, 4}, {1, 2, 3, 4})).bits, 0u);
    expect_error(ctx, ct_error(ctx), CT_ERR_SHAPE, {"linear"});
    EXPECT_EQ(ct_mlp_forward(mlp.get(), ctx.leaf(CT_F64, {1, 3}, {1, 2, 3})).bits, 0u);
    expect_error(ctx, ct_error(ctx), CT_ERR_DTYPE, {"linear"});
    EXPECT_EQ(ct_mlp_forward(nullptr, {0}).bits, 0u);
    EXPECT_EQ(ct_mlp_params(nullptr), nullptr);
    ct_mlp_destroy(nullptr);
}

TEST(MultiLayerPerceptron, BadConfigs_AreRefusedAndLeaveNothing)
{
    Context ctx;
    const int64_t good[] = {3, 4, 2}, zero[] = {3, 0, 2}, negative[] = {3, 4, -2}, huge[] = {3, int64_t(1) << 32, 2};
    ct_mlp_config base = {};
    base.n_layers = 2;
    base.widths = good;
    std::vector<ct_mlp_config> bad(11, base);
    bad[0].n_layers = 0;
    bad[1].n_layers = -3;
    bad[2].widths = nullptr;
    bad[3].widths = zero;
    bad[4].widths = negative;
    bad[5].widths = huge;
    bad[6].activation = CT_ACT_LEAKY_RELU + 1;
    bad[7].output_activation = -1;
    bad[8].dropout = 1;
    bad[9].dropout = -0.1;
    bad[10].dropout = NAN;
    const int64_t before = pool_in_use(ctx);
    for (size_t i = 0; i < bad.size(); ++i) {
        SCOPED_TRACE("config " + std::to_string(i));
        ct_mlp *mlp = reinterpret_cast<ct_mlp *>(&ctx);
        expect_error(ctx, ct_mlp_create(ctx, &bad[i], &mlp), CT_ERR_ARGUMENT, {"ct_mlp_create"});
        EXPECT_EQ(mlp, nullptr);
    }
    ct_mlp *mlp = nullptr;
    expect_error(ctx, ct_mlp_create(ctx, nullptr, &mlp), CT_ERR_ARGUMENT, {"ct_mlp_create"});
    expect_error(ctx, ct_mlp_create(ctx, &base, nullptr), CT_ERR_ARGUMENT, {"ct_mlp_create"});
    EXPECT_EQ(ct_mlp_create(nullptr, &base, &mlp), CT_ERR_ARGUMENT);
    EXPECT_EQ(pool_in_use(ctx), before);
}

TEST(MultiLayerPerceptron, PoolTooSmall_LeavesNothingAllocated)
{
    ct_config config = {};
    config.pool_bytes = 1 << 20;
    Context ctx(devices().front(), config);
    const int64_t before = pool_in_use(ctx);
    const int64_t widths[] = {64, 64, 1 << 20};
    ct_mlp_config c = {};
    c.n_layers = 2;
    c.widths = widths;
    ct_mlp *mlp = nullptr;
    expect_error(ctx, ct_mlp_create(ctx, &c, &mlp), CT_ERR_MEMORY);
    EXPECT_EQ(mlp, nullptr);
    EXPECT_EQ(pool_in_use(ctx), before);
}

TEST(MultiLayerPerceptron, Destroyed_GivesItsMemoryBack)
{
    Context ctx;
    const int64_t before = pool_in_use(ctx);
    make_mlp(ctx, {100, 50, 10}).reset();
    EXPECT_EQ(pool_in_use(ctx), before);
}

TEST(MultiLayerPerceptron, DestroyedBeforeItsOptimizer_TheOptimizerSaysSo)
{
    Context ctx;
    Mlp mlp = make_mlp(ctx, {3, 2});
    ct_optimizer *raw = nullptr;
    ctx.check(ct_adam_create(ctx, ct_mlp_params(mlp.get()), nullptr, &raw), "ct_adam_create");
    const Optimizer optimizer(raw);
    mlp.reset();
    expect_error(ctx, ct_optimizer_step(raw), CT_ERR_ARGUMENT, {"ct_optimizer_step"});
}

TEST(MultiLayerPerceptron, ContextDestroyedFirst_CallsFailAndDestroyWorks)
{
    ct_config config = {};
    config.device = CT_DEVICE_CPU;
    ct_context *ctx = nullptr;
    ASSERT_EQ(ct_create(&config, &ctx), CT_OK);
    const int64_t widths[] = {3, 2};
    ct_mlp_config c = {};
    c.n_layers = 1;
    c.widths = widths;
    ct_mlp *raw = nullptr;
    ASSERT_EQ(ct_mlp_create(ctx, &c, &raw), CT_OK);
    const Mlp mlp(raw);
    ct_destroy(ctx);
    EXPECT_EQ(ct_mlp_forward(raw, {0}).bits, 0u);
    EXPECT_EQ(ct_params_count(ct_mlp_params(raw)), 2);
}

} // namespace

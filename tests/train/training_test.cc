// Whole training runs: the loss of every step against PyTorch, and Fashion-MNIST to a
// known accuracy, twice with the same bits.
#include "train/train_test.h"

#include <filesystem>

namespace
{

// ---- against PyTorch -------------------------------------------------------------------------------------------

struct CurveCase {
    DeviceChoice device;
    const Curve *curve;
};

std::vector<CurveCase> curve_cases()
{
    std::vector<CurveCase> found;
    for (const DeviceChoice &device : devices())
        for (const Curve &curve : golden().curves) found.push_back({device, &curve});
    return found;
}

void PrintTo(const CurveCase &c, std::ostream *stream) { *stream << c.curve->name << " on " << c.device.name; }

// 784-32-10 with ReLU on 128 random rows, in order in batches of 32: all of it by the
// library's own loader, perceptron and optimizer.
class Training : public ::testing::TestWithParam<CurveCase>
{
  protected:
    const Curve &curve_ = *GetParam().curve;
    Context ctx_{GetParam().device};
    Dataset data_;
    Loader loader_;
    Mlp mlp_;
    Optimizer optimizer_;
    ct_tensor losses_{0};

    void SetUp() override
    {
        ct_mlp_config mlp_config = {};
        mlp_config.activation = CT_ACT_RELU;
        mlp_ = make_mlp(ctx_, {784, 32, 10}, mlp_config);
        Stream stream(2);
        for (const char *name : {"layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"}) {
            const ct_tensor leaf = ct_params_get(ct_mlp_params(mlp_.get()), name);
            ctx_.write(leaf, stream.draw(static_cast<size_t>(ctx_.describe(leaf).numel), 1.0 / 32));
        }
        const Values x = stream.draw(128 * 784), y = stream.classes(128, 10);
        const std::vector<float> features(x.begin(), x.end());
        const std::vector<int32_t> labels(y.begin(), y.end());
        const int64_t shape[] = {784};
        ct_dataset *raw = nullptr;
        ctx_.check(
            ct_dataset_create(ctx_, 128, CT_F32, 1, shape, features.data(), CT_I32, 0, nullptr, labels.data(), &raw),
            "ct_dataset_create");
        data_.reset(raw);
        ct_loader_config loader_config = {};
        loader_config.batch = 32;
        loader_ = make_loader(ctx_, data_, loader_config);
        optimizer_ = curve_.settings.make(ctx_, ct_mlp_params(mlp_.get()));
        losses_ = ctx_.leaf(CT_F32, {50}, Values(50));
    }
    void record_step(bool read)
    {
        ct_tensor x, y;
        ctx_.check(ct_loader_next(loader_.get(), &x, &y), "ct_loader_next");
        ctx_.check(ct_optimizer_zero_grad(optimizer_.get()), "ct_optimizer_zero_grad");
        const ct_tensor loss = ct_cross_entropy(ctx_, ct_mlp_forward(mlp_.get(), x), y, 0, -100, CT_REDUCE_MEAN);
        ctx_.check(ct_append(ctx_, losses_, loss), "ct_append");
        if (read) ct_item(ctx_, loss);
        ctx_.check(ct_backward(ctx_, loss), "ct_backward");
        ctx_.check(ct_optimizer_step(optimizer_.get()), "ct_optimizer_step");
        ctx_.end_step();
    }
};

TEST_P(Training, LossesFollowTorchs_Replayed)
{
    record_step(false);
    ctx_.check(ct_replay(ctx_, 49), "ct_replay");
    EXPECT_TRUE(all_close(ctx_.read(losses_), curve_.losses, {1e-4, 1e-4}));
}

TEST_P(Training, LossesFollowTorchs_RecordedEveryStep)
{
    for (int step = 0; step < 50; ++step) record_step(false);
    EXPECT_TRUE(all_close(ctx_.read(losses_), curve_.losses, {1e-4, 1e-4}));
}

TEST_P(Training, LossesFollowTorchs_ReadInEveryStep)
{
    for (int step = 0; step < 50; ++step) record_step(true);
    EXPECT_TRUE(all_close(ctx_.read(losses_), curve_.losses, {1e-4, 1e-4}));
}

INSTANTIATE_TEST_SUITE_P(Golden, Training, ::testing::ValuesIn(curve_cases()),
                         [](const auto &info) { return info.param.curve->name + "_" + info.param.device.name; });

// However a step is played, its bits are one.
TEST(TrainingBits, RecordedReplayedAndSplit_AreTheSame)
{
    Values results[3];
    for (int way = 0; way < 3; ++way) {
        Context ctx;
        ct_mlp_config config = {};
        config.activation = CT_ACT_GELU;
        config.dropout = 0.25;
        const Mlp mlp = make_mlp(ctx, {20, 33, 7}, config);
        const Optimizer adam = make_adam(ctx, mlp);
        const Dataset data = make_dataset(ctx, 20, Stream(5).draw(40 * 20), Stream(6).classes(40, 7));
        ct_loader_config loader_config = {};
        loader_config.batch = 8;
        loader_config.shuffle = true;
        const Loader loader = make_loader(ctx, data, loader_config);
        for (int step = 0; step < 24; ++step) {
            if (way == 1 && step % 6 != 0) {
                ctx.check(ct_replay(ctx, 5), "ct_replay");
                step += 4;
                continue;
            }
            ct_tensor tx, ty;
            ctx.check(ct_loader_next(loader.get(), &tx, &ty), "ct_loader_next");
            ctx.check(ct_optimizer_zero_grad(adam.get()), "ct_optimizer_zero_grad");
            const ct_tensor logits = ct_mlp_forward(mlp.get(), tx);
            if (way == 2) ctx.read(logits);
            const ct_tensor loss = ct_cross_entropy(ctx, logits, ty, 0.1, -100, CT_REDUCE_MEAN);
            if (way == 2) ct_item(ctx, loss);
            ctx.check(ct_backward(ctx, loss), "ct_backward");
            ctx.check(ct_clip_grad_norm(ct_mlp_params(mlp.get()), 0.5, nullptr), "ct_clip_grad_norm");
            ctx.check(ct_optimizer_step(adam.get()), "ct_optimizer_step");
            ctx.end_step();
        }
        for (const char *name : {"layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"}) {
            const Values one = ctx.read(ct_params_get(ct_mlp_params(mlp.get()), name));
            results[way].insert(results[way].end(), one.begin(), one.end());
        }
    }
    EXPECT_TRUE(same_bits(results[1], results[0])) << "replayed";
    EXPECT_TRUE(same_bits(results[2], results[0])) << "split";
}

// ---- Fashion-MNIST ---------------------------------------------------------------------------------------------

// Of Debian's package dataset-fashion-mnist.
const std::string fashion_mnist = "/usr/share/datasets/fashion-mnist/";

class FashionMnist : public ::testing::Test
{
  protected:
    void SetUp() override
    {
        if (!std::filesystem::exists(fashion_mnist + "train-images-idx3-ubyte.gz"))
            GTEST_SKIP() << fashion_mnist << " is not there";
    }
    static Dataset load(Context &ctx, const std::string &which)
    {
        ct_dataset *raw = nullptr;
        ctx.check(ct_dataset_load_idx(ctx, (fashion_mnist + which + "-images-idx3-ubyte.gz").c_str(),
                                      (fashion_mnist + which + "-labels-idx1-ubyte.gz").c_str(), &raw),
                  "ct_dataset_load_idx");
        return Dataset(raw);
    }
    static ct_tensor flat(Context &ctx, ct_tensor images)
    {
        const int64_t shape[] = {-1, 784};
        return ct_reshape(ctx, images, 2, shape);
    }

    struct Outcome {
        Values weights, losses;
        double accuracy = 0;
    };
    // One epoch of 784-128-10 with Adam in batches of 64, then the accuracy on the test images.
    static Outcome train()
    {
        Context ctx;
        const Dataset training = load(ctx, "train"), test = load(ctx, "t10k");
        ct_mlp_config mlp_config = {};
        mlp_config.activation = CT_ACT_RELU;
        const Mlp mlp = make_mlp(ctx, {784, 128, 10}, mlp_config);
        ct_optimizer *raw = nullptr;
        ctx.check(ct_adam_create(ctx, ct_mlp_params(mlp.get()), nullptr, &raw), "ct_adam_create");
        const Optimizer adam(raw);
        ct_loader_config config = {};
        config.batch = 64;
        config.shuffle = config.drop_last = true;
        const Loader loader = make_loader(ctx, training, config);
        const int64_t steps = ct_loader_batches(loader.get());
        EXPECT_EQ(steps, 937);
        const ct_tensor losses = ctx.leaf(CT_F32, {steps}, Values(static_cast<size_t>(steps)));
        ct_tensor x, y;
        ctx.check(ct_loader_next(loader.get(), &x, &y), "ct_loader_next");
        ctx.check(ct_optimizer_zero_grad(raw), "ct_optimizer_zero_grad");
        const ct_tensor loss =
            ct_cross_entropy(ctx, ct_mlp_forward(mlp.get(), flat(ctx, x)), y, 0, -100, CT_REDUCE_MEAN);
        ctx.check(ct_append(ctx, losses, loss), "ct_append");
        ctx.check(ct_backward(ctx, loss), "ct_backward");
        ctx.check(ct_optimizer_step(raw), "ct_optimizer_step");
        ctx.end_step();
        ctx.check(ct_replay(ctx, steps - 1), "ct_replay");

        Outcome outcome;
        outcome.losses = ctx.read(losses);
        outcome.weights = ctx.read(ct_params_get(ct_mlp_params(mlp.get()), "layers.0.weight"));
        ct_set_training(ctx, false);
        ct_loader_config all = {};
        all.batch = ct_dataset_size(test.get());
        const Loader test_loader = make_loader(ctx, test, all);
        ctx.check(ct_loader_next(test_loader.get(), &x, &y), "ct_loader_next");
        const Values guesses = ctx.read(ct_argmax(ctx, ct_mlp_forward(mlp.get(), flat(ctx, x)), 1));
        const Values labels = ctx.read(y);
        ctx.end_step();
        for (size_t i = 0; i < labels.size(); ++i) outcome.accuracy += guesses[i] == labels[i];
        outcome.accuracy /= static_cast<double>(labels.size());
        return outcome;
    }
};

TEST_F(FashionMnist, HasItsSizes)
{
    Context ctx;
    for (const auto &[which, n] : {std::pair<const char *, int64_t>{"train", 60000}, {"t10k", 10000}}) {
        const Dataset data = load(ctx, which);
        EXPECT_EQ(ct_dataset_size(data.get()), n);
        ct_loader_config config = {};
        config.batch = n;
        const Loader loader = make_loader(ctx, data, config);
        ct_tensor x, y;
        ctx.check(ct_loader_next(loader.get(), &x, &y), "ct_loader_next");
        EXPECT_EQ(ctx.shape(x), (std::vector<int64_t>{n, 28, 28}));
        EXPECT_EQ(ctx.shape(y), (std::vector<int64_t>{n}));
        Values of_class(10);
        for (const double label : ctx.read(y)) of_class.at(static_cast<size_t>(label)) += 1;
        EXPECT_EQ(of_class, Values(10, static_cast<double>(n) / 10)); // the classes are balanced
        ctx.end_step();
    }
}

TEST_F(FashionMnist, EightyPercentAfterOneEpoch_AndTheSameBitsTwice)
{
    if (on_stand_in()) GTEST_SKIP() << "takes minutes";
    const Outcome first = train(), second = train();
    EXPECT_GE(first.accuracy, 0.80);
    EXPECT_LT(first.accuracy, 0.92) << "too good for one epoch of this network";
    EXPECT_EQ(second.accuracy, first.accuracy);
    EXPECT_TRUE(same_bits(second.losses, first.losses));
    EXPECT_TRUE(same_bits(second.weights, first.weights));
}

} // namespace

// Making a context: what the configuration refuses, and what a context that was
// never made still does.
#include "support/context.h"
#include "support/errors.h"

namespace
{

void expect_refused(const ct_config &config, ct_status status, const char *word)
{
    SCOPED_TRACE(word);
    ct_context *ctx = nullptr;
    EXPECT_EQ(ct_create(&config, &ctx), status);
    ASSERT_NE(ctx, nullptr);
    EXPECT_EQ(ct_error(ctx), status);
    EXPECT_TRUE(says(ctx, {"ct_create", word}));

    // Nothing works on it, nothing crashes, and the reason stays.
    ct_clear_error(ctx);
    EXPECT_EQ(ct_error(ctx), status);
    ct_info info;
    ct_stats stats;
    EXPECT_EQ(ct_leaf(ctx, CT_F32, 0, nullptr, nullptr).bits, 0u);
    EXPECT_EQ(ct_neg(ctx, {1}).bits, 0u);
    EXPECT_NE(ct_step_end(ctx), CT_OK);
    EXPECT_NE(ct_describe(ctx, {1}, &info), CT_OK);
    ct_get_stats(ctx, &stats);
    ct_release(ctx, {1});
    ct_no_grad_end(ctx);
    ct_expect_cached(ctx, true);
    ct_mlp *mlp = nullptr;
    const int64_t widths[] = {1, 1};
    ct_mlp_config network = {};
    network.n_layers = 1;
    network.widths = widths;
    EXPECT_NE(ct_mlp_create(ctx, &network, &mlp), CT_OK);
    EXPECT_EQ(mlp, nullptr);
    EXPECT_NE(ct_device_name(ctx), nullptr);
    EXPECT_TRUE(says(ctx, {"ct_create", word}));
    ct_destroy(ctx);
}

TEST(Config, NullIsAllDefaults)
{
    ct_context *ctx = nullptr;
    ASSERT_EQ(ct_create(nullptr, &ctx), CT_OK);
    EXPECT_EQ(ct_error(ctx), CT_OK);
    EXPECT_STRNE(ct_device_name(ctx), "");
    EXPECT_TRUE(ct_is_training(ctx));
    ct_destroy(ctx);
}

TEST(Config, NowhereToPutTheContextIsRefused) { EXPECT_EQ(ct_create(nullptr, nullptr), CT_ERR_ARGUMENT); }

TEST(Config, DestroyingNothingIsAllowed) { ct_destroy(nullptr); }

TEST(Config, AnUnknownDeviceIsRefused)
{
    for (const int32_t device : {-1, 3, INT32_MAX, INT32_MIN}) {
        ct_config config = {};
        config.device = device;
        expect_refused(config, CT_ERR_ARGUMENT, "device");
    }
}

TEST(Config, AnUnknownPrecisionIsRefused)
{
    for (const int32_t math : {-1, 3}) {
        ct_config config = {};
        config.math = math;
        expect_refused(config, CT_ERR_ARGUMENT, "math");
    }
}

TEST(Config, ANegativeNumberOfThreadsIsRefused)
{
    ct_config config = {};
    config.device = CT_DEVICE_CPU;
    config.cpu_threads = -1;
    expect_refused(config, CT_ERR_ARGUMENT, "cpu_threads");
}

TEST(Config, OneHostHookWithoutTheOtherIsRefused)
{
    ct_config config = {};
    config.host_alloc = [](void *, size_t bytes) { return std::malloc(bytes); };
    expect_refused(config, CT_ERR_ARGUMENT, "host_free");
    config.host_alloc = nullptr;
    config.host_free = [](void *, void *memory) { std::free(memory); };
    expect_refused(config, CT_ERR_ARGUMENT, "host_alloc");
}

TEST(Config, AMissingDeviceModuleIsRefused)
{
    ct_config config = {};
    config.device_module = "/no/such/module.so";
    expect_refused(config, CT_ERR_DEVICE, "/no/such/module.so");
}

TEST(Config, AnyNumberOfThreadsGivesTheSameBits)
{
    std::vector<double> results[3];
    const int32_t threads[] = {0, 1, 5};
    for (int i = 0; i < 3; ++i) {
        ct_config config = {};
        config.seed = 5;
        config.cpu_threads = threads[i];
        Context ctx(devices().front(), config);
        const int64_t shape[] = {300, 300};
        const ct_tensor a = ct_randn(ctx, CT_F32, 2, shape);
        const ct_tensor y = ct_softmax(ctx, ct_matmul(ctx, a, a), 1);
        results[i] = ctx.read(ct_sum(ctx, ct_square(ctx, y), 1, (const int[]){0}, false));
        ctx.end_step();
    }
    EXPECT_EQ(results[0], results[1]);
    EXPECT_EQ(results[0], results[2]);
}

TEST(Config, TheLogGetsWholeLines)
{
    std::vector<std::string> lines;
    ct_config config = {};
    config.log = [](void *user, const char *message) {
        static_cast<std::vector<std::string> *>(user)->push_back(message);
    };
    config.log_user = &lines;
    Context ctx(devices().front(), config);
    ctx.check(ct_print(ctx, ctx.leaf(CT_F32, {2}, {1, 2}), "label"), "ct_print");
    ASSERT_FALSE(lines.empty());
    for (const std::string &line : lines) EXPECT_EQ(line.find('\n'), std::string::npos);
}

TEST(Config, ContextsAreIndependent)
{
    Context a, b;
    const ct_tensor x = a.leaf(CT_F32, {}, {2}), y = b.leaf(CT_F32, {}, {3});
    const ct_tensor xx = a.check(ct_square(a, x), "square");
    ct_neg(b, {});
    EXPECT_EQ(ct_error(a), CT_OK);
    EXPECT_EQ(ct_item(a, xx), 4);
    EXPECT_TRUE(failed(b, CT_ERR_ARGUMENT, {"neg"}));
    EXPECT_EQ(ct_item(b, ct_square(b, y)), 9);
}

} // namespace

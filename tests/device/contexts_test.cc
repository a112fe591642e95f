// Opening and closing devices: many times over, and those that are not there.
#include "support/context.h"

#include <dirent.h>
#include <fstream>

namespace
{

int count_threads()
{
    int n = 0;
    if (DIR *dir = opendir("/proc/self/task")) {
        while (const dirent *entry = readdir(dir)) n += entry->d_name[0] != '.';
        closedir(dir);
    }
    return n;
}

TEST(Contexts, TwoHundredMadeAndDestroyed_LeaveNoThread)
{
    int threads = 0;
    for (int i = 0; i < 200; i++) {
        if (i == 4) threads = count_threads(); // now: a sanitizer starts one of its own beside our first
        ct_config config = {};
        config.device = CT_DEVICE_CPU;
        config.cpu_threads = i % 4;
        Context ctx(devices().front(), config);
        const ct_tensor x = ctx.leaf(CT_F32, {64}, std::vector<double>(64, i));
        EXPECT_EQ(i % 3 ? ct_item(ctx, ct_sum(ctx, x, 0, nullptr, false)) : 64 * i, 64 * i);
        if (i % 5) ctx.end_step();
    }
    EXPECT_EQ(count_threads(), threads);
}

TEST(Contexts, AHundredAtATime_AreIndependent)
{
    std::vector<ct_context *> all(100);
    std::vector<ct_tensor> leaves;
    ct_config config = {};
    config.device = CT_DEVICE_CPU;
    config.cpu_threads = 1;
    for (size_t i = 0; i < all.size(); i++) {
        ASSERT_EQ(ct_create(&config, &all[i]), CT_OK);
        const float value = static_cast<float>(i);
        leaves.push_back(ct_leaf(all[i], CT_F32, 0, nullptr, &value));
    }
    for (size_t i = 0; i < all.size(); i++) {
        EXPECT_EQ(ct_item(all[i], ct_add_scalar(all[i], leaves[i], 1)), static_cast<double>(i) + 1);
        EXPECT_EQ(ct_neg(all[i], leaves[(i + 1) % all.size()]).bits, 0u) << "a handle of another context";
        EXPECT_EQ(ct_error(all[i]), CT_ERR_ARGUMENT);
    }
    for (ct_context *ctx : all) ct_destroy(ctx);
}

void expect_no_device(ct_config config, ct_status status, std::initializer_list<const char *> words)
{
    ct_context *ctx = nullptr;
    EXPECT_EQ(ct_create(&config, &ctx), status);
    ASSERT_NE(ctx, nullptr);
    EXPECT_EQ(ct_error(ctx), status);
    const std::string message = ct_error_message(ctx);
    for (const char *word : words)
        EXPECT_NE(message.find(word), std::string::npos) << word << " is not in: " << message;
    // It answers, and does nothing.
    EXPECT_EQ(ct_leaf(ctx, CT_F32, 0, nullptr, nullptr).bits, 0u);
    EXPECT_NE(ct_step_end(ctx), CT_OK);
    ct_clear_error(ctx);
    EXPECT_NE(ct_step_end(ctx), CT_OK);
    EXPECT_STREQ(ct_device_name(ctx), "");
    ct_stats stats;
    EXPECT_EQ(ct_get_stats(ctx, &stats), CT_OK);
    ct_destroy(ctx);
}

TEST(Contexts, AModuleThatIsNotThere_IsADeviceError)
{
    ct_config config = {};
    config.device_module = "/nowhere/libno_such_device.so";
    expect_no_device(config, CT_ERR_DEVICE, {"ct_create", "/nowhere/libno_such_device.so"});
}

TEST(Contexts, AFileThatIsNoModule_IsADeviceError)
{
    const std::string path = ::testing::TempDir() + "cutape_not_a_module.so";
    std::ofstream(path) << "this is text";
    ct_config config = {};
    config.device_module = path.c_str();
    expect_no_device(config, CT_ERR_DEVICE, {"ct_create", path.c_str()});
    std::remove(path.c_str());
}

TEST(Contexts, ALibraryThatIsNoModule_IsADeviceError)
{
    ct_config config = {};
    config.device_module = "libm.so.6";
    expect_no_device(config, CT_ERR_DEVICE, {"ct_create", "libm.so.6", "ct_device_module_open"});
}

// Built, but no driver: a device error that says so. Not built: unsupported.
TEST(Contexts, Cuda_WhereItIsNotThere_TellsWhatIsMissing)
{
    ct_config config = {};
    config.device = CT_DEVICE_CUDA;
    ct_context *ctx = nullptr;
    const ct_status status = ct_create(&config, &ctx);
    ct_destroy(ctx);
    if (status == CT_OK) GTEST_SKIP() << "there is a CUDA device";
#ifdef CT_TEST_CUDA_MODULE
    expect_no_device(config, CT_ERR_DEVICE, {"ct_create", "no CUDA", "cuda"});
#else
    expect_no_device(config, CT_ERR_UNSUPPORTED, {"ct_create", "this build has no CUDA device"});
#endif
}

TEST(Contexts, Automatic_FindsADevice)
{
    ct_context *ctx = nullptr;
    ASSERT_EQ(ct_create(nullptr, &ctx), CT_OK);
    EXPECT_STRNE(ct_device_name(ctx), "");
    ct_destroy(ctx);
}

TEST(Contexts, TheCpu_NamesItsThreads)
{
    for (const int threads : {1, 3}) {
        ct_config config = {};
        config.device = CT_DEVICE_CPU;
        config.cpu_threads = threads;
        ct_context *ctx = nullptr;
        ASSERT_EQ(ct_create(&config, &ctx), CT_OK);
        const std::string name = ct_device_name(ctx);
        EXPECT_NE(name.find("CPU"), std::string::npos) << name;
        EXPECT_NE(name.find(std::to_string(threads) + " thread"), std::string::npos) << name;
        ct_destroy(ctx);
    }
}

} // namespace

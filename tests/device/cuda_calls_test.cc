// What only the stand-in can show: every CUDA call failing in turn, a fault that stands, the caller's
// stream and current device. Its functions are found in the module that the run names.
#include "program/program_test.h"
#include "simt/include/cuda_runtime_api.h"
#include "simt/simt.h"
#include "support/errors.h"
#include "support/temp_dir.h"
#include "support/training.h"

#include <dlfcn.h>

namespace
{

class CudaCalls : public ::testing::Test
{
  protected:
    void SetUp() override
    {
        const DeviceChoice device = devices().front();
        if (device.name != "simt") GTEST_SKIP() << "of the stand-in";
        module_ = dlopen(device.module.c_str(), RTLD_NOW | RTLD_LOCAL);
        ASSERT_NE(module_, nullptr) << dlerror();
        fail_call = find<decltype(simt_fail_call)>("simt_fail_call");
        calls = find<decltype(simt_calls)>("simt_calls");
        objects = find<decltype(simt_objects)>("simt_objects");
        heal = find<decltype(simt_heal)>("simt_heal");
        take_report = find<decltype(simt_take_report)>("simt_take_report");
    }
    void TearDown() override
    {
        if (!heal) return;
        fail_call(0, 0);
        heal();
    }
    template <typename F> F *find(const char *name)
    {
        void *found = dlsym(module_, name);
        EXPECT_NE(found, nullptr) << name;
        return reinterpret_cast<F *>(found);
    }
    decltype(simt_fail_call) *fail_call = nullptr;
    decltype(simt_calls) *calls = nullptr;
    decltype(simt_objects) *objects = nullptr;
    decltype(simt_heal) *heal = nullptr;
    decltype(simt_take_report) *take_report = nullptr;

  private:
    void *module_ = nullptr;
};

// All there is: open, record, play a list, capture, replay single steps and many, read, close.
// replays: how many steps are replayed at the end.
ct_status whole_life(const ct_config &config, int replays, std::string &message)
{
    ct_context *ctx = nullptr;
    ct_status status = ct_create(&config, &ctx);
    if (status == CT_OK) {
        Training training;
        bool sound = training.create(ctx);
        for (int step = 0; sound && step < 3; ++step) sound = training.step();
        sound = sound && ct_replay(ctx, replays) == CT_OK && !training.weights().empty();
        sound = sound && ct_synchronize(ctx) == CT_OK;
        status = ct_error(ctx);
        EXPECT_EQ(sound, status == CT_OK) << "a call failed, and no error stands";
    }
    message = ctx ? ct_error_message(ctx) : "";
    ct_destroy(ctx);
    return status;
}

// For errors of both kinds: one that passes, and a fault that stays.
TEST_F(CudaCalls, EachFailingInTurn_IsAnError_AndNothingLeaks)
{
    std::string message;
    ASSERT_EQ(whole_life(device_config(), 140, message), CT_OK) << message; // what is made once a process
    for (const cudaError_t error : {cudaErrorMemoryAllocation, cudaErrorInvalidValue, cudaErrorIllegalAddress}) {
        const size_t before = objects();
        uint64_t failing = 0;
        for (bool reached = true; reached;) {
            fail_call(++failing, error);
            const uint64_t first = calls();
            // The many steps of a graph take long here: once is enough.
            const ct_status status = whole_life(device_config(), error == cudaErrorInvalidValue ? 140 : 3, message);
            reached = calls() - first >= failing;
            fail_call(0, 0);
            heal();
            ASSERT_EQ(objects(), before) << "call " << failing << " with error " << error << " leaks: " << message;
            if (!reached) {
                EXPECT_EQ(status, CT_OK);
                break;
            }
            if (status == CT_OK) continue; // a call that only releases, or that has another way
            EXPECT_TRUE(status == CT_ERR_DEVICE || status == CT_ERR_MEMORY)
                << "call " << failing << ": " << ct_status_name(status) << ": " << message;
            EXPECT_GT(message.size(), 10u) << "call " << failing;
        }
        EXPECT_GT(failing, 100u);
        take_report();
    }
}

// Beginning, two steps launch by launch, ending. A call that fails is an error of the step or of the profile, which
// ends in any case.
TEST_F(CudaCalls, EachOfAProfileFailingInTurn_IsAnError_AndNothingLeaks)
{
    for (const cudaError_t error : {cudaErrorMemoryAllocation, cudaErrorIllegalAddress}) {
        const size_t before = objects();
        uint64_t failing = 0, errors = 0;
        for (bool reached = true; reached;) {
            const ct_config config = device_config();
            ct_context *ctx = nullptr;
            ASSERT_EQ(ct_create(&config, &ctx), CT_OK);
            Training training;
            ASSERT_TRUE(training.create(ctx) && training.step() && training.step());
            fail_call(++failing, error);
            const uint64_t first = calls();
            const ct_status begun = ct_profile_begin(ctx);
            const bool sound = training.step() && training.step();
            const ct_status ended = ct_profile_end(ctx);
            reached = calls() - first >= failing;
            fail_call(0, 0);
            EXPECT_EQ(ended == CT_ERR_STATE, begun != CT_OK) << failing;
            if (begun != CT_OK || ended != CT_OK) {
                errors++;
                EXPECT_GT(std::string(ct_error_message(ctx)).size(), 10u) << failing;
            }
            if (!sound) {
                const bool named = ct_error(ctx) == CT_ERR_DEVICE || ct_error(ctx) == CT_ERR_MEMORY;
                EXPECT_TRUE(named) << failing << ": " << ct_error_message(ctx);
            }
            heal();
            training.destroy();
            ct_destroy(ctx);
            ASSERT_EQ(objects(), before) << "call " << failing << " with error " << error << " leaks";
        }
        EXPECT_GT(failing, 100u);
        EXPECT_GT(errors, failing / 2);
        take_report();
    }
}

// A profile that has no memory for the events of its launches stops, and training goes on; the next one makes those
// that are missing.
TEST_F(CudaCalls, AProfileWithoutMemoryForItsEvents_LeavesNoneBehindThatWereNotMade)
{
    int stopped = 0;
    for (uint64_t failing = 1; failing <= 40; ++failing) {
        const ct_config config = device_config();
        ct_context *ctx = nullptr;
        ASSERT_EQ(ct_create(&config, &ctx), CT_OK);
        Training training;
        ASSERT_TRUE(training.create(ctx) && training.step() && training.step());
        ASSERT_EQ(ct_profile_begin(ctx), CT_OK);
        fail_call(failing, cudaErrorMemoryAllocation);
        const ct_status replayed = ct_replay(ctx, 1);
        fail_call(0, 0);
        (void)ct_profile_end(ctx);
        TempDir dir;
        const std::string path = dir.path("table.json");
        const bool stops = replayed == CT_OK && ct_profile_table(ctx, path.c_str()) == CT_ERR_MEMORY;
        stopped += stops;
        if (stops) {
            EXPECT_EQ(ct_profile_begin(ctx), CT_OK) << failing;
            EXPECT_EQ(ct_replay(ctx, 1), CT_OK) << failing << ": " << ct_error_message(ctx);
            EXPECT_EQ(ct_profile_end(ctx), CT_OK) << failing;
            EXPECT_EQ(ct_profile_table(ctx, path.c_str()), CT_OK) << failing << ": " << ct_error_message(ctx);
        }
        heal();
        training.destroy();
        ct_destroy(ctx);
    }
    EXPECT_GT(stopped, 10);
    take_report();
}

// A product that the library makes; where a call of it fails, it is our own that answers, or an error.
TEST_F(CudaCalls, EachOfALargeProductFailingInTurn_IsAnErrorOrChangesNothing)
{
    const int64_t n = 320, shape[] = {n, n};
    const std::vector<float> ones(static_cast<size_t>(n * n), 1);
    const auto corner = [&](uint64_t failing, uint64_t &made) {
        const ct_config c = device_config();
        ct_context *ctx = nullptr;
        EXPECT_EQ(ct_create(&c, &ctx), CT_OK);
        const ct_tensor x = ct_leaf(ctx, CT_F32, 2, shape, ones.data());
        fail_call(failing, cudaErrorInvalidValue);
        const uint64_t first = calls();
        const double mean = ct_item(ctx, ct_mean(ctx, ct_matmul(ctx, x, x), 0, nullptr, false));
        made = calls() - first;
        fail_call(0, 0);
        EXPECT_TRUE(ct_error(ctx) == CT_OK ? mean == n : ct_error(ctx) == CT_ERR_DEVICE)
            << "call " << failing << ": " << mean << ", " << ct_error_message(ctx);
        ct_destroy(ctx);
        heal();
    };
    uint64_t made = 0, failing = 0;
    corner(0, made);
    EXPECT_GT(made, 40u) << "the library was not asked";
    const size_t before = objects();
    do {
        corner(++failing, made);
        ASSERT_EQ(objects(), before) << "call " << failing << " leaks";
    } while (made >= failing && failing < 400);
    take_report();
}

// Memory may run out in any call of a step; it is then as if the step had not been recorded.
TEST_F(CudaCalls, AMemoryErrorThatIsCleared_LosesNothing)
{
    const auto four_steps = [&](uint64_t failing, bool &cleared) {
        const ct_config c = device_config();
        ct_context *ctx = nullptr;
        EXPECT_EQ(ct_create(&c, &ctx), CT_OK);
        std::vector<float> weights;
        {
            Training training;
            EXPECT_TRUE(training.create(ctx));
            fail_call(failing, cudaErrorMemoryAllocation);
            for (int done = 0; done < 4;) {
                if (training.step()) {
                    ++done;
                    continue;
                }
                if (ct_error(ctx) != CT_ERR_MEMORY) break; // it stands, and nobody goes on
                cleared = true;
                ct_clear_error(ctx);
            }
            fail_call(0, 0);
            if (ct_error(ctx) == CT_OK) weights = training.weights();
        }
        ct_destroy(ctx);
        heal();
        return weights;
    };
    bool cleared = false;
    const std::vector<float> undisturbed = four_steps(0, cleared);
    ASSERT_FALSE(undisturbed.empty());
    ASSERT_FALSE(cleared);
    int survived = 0;
    for (uint64_t failing = 1; failing < 200; ++failing) {
        const std::vector<float> weights = four_steps(failing, cleared);
        if (weights.empty()) continue;
        EXPECT_EQ(weights, undisturbed) << "call " << failing;
        survived += cleared;
        cleared = false;
    }
    EXPECT_GT(survived, 3);
    take_report();
}

TEST_F(CudaCalls, AFault_StandsUntilDestroy_AndNamesWhatWasPlayed)
{
    const auto make = find<cudaError_t(void **, size_t)>("cudaMalloc");
    const auto give = find<cudaError_t(void *)>("cudaFree");
    void *memory = nullptr;
    ASSERT_EQ(make(&memory, 64), cudaSuccess);
    const ct_config c = device_config();
    ct_context *ctx = nullptr;
    ASSERT_EQ(ct_create(&c, &ctx), CT_OK);
    const int64_t n = 16;
    const ct_tensor x = ct_wrap(ctx, CT_F32, 1, &n, memory);
    ASSERT_NE(x.bits, 0u) << ct_error_message(ctx);
    ASSERT_EQ(give(memory), cudaSuccess);
    const ct_tensor y = ct_exp(ctx, x);
    float values[16];
    EXPECT_EQ(ct_read(ctx, y, values, sizeof values), CT_ERR_DEVICE);
    const std::string message = ct_error_message(ctx);
    for (const char *part : {"ct_read", "cudaError", "exp", "eager"})
        EXPECT_NE(message.find(part), std::string::npos) << part << " is not in: " << message;
    ct_clear_error(ctx);
    EXPECT_EQ(ct_error(ctx), CT_ERR_DEVICE) << "it cannot be cleared";
    EXPECT_EQ(ct_exp(ctx, x).bits, 0u);
    EXPECT_EQ(ct_step_end(ctx), CT_ERR_DEVICE);
    ct_destroy(ctx);
    EXPECT_STRNE(take_report(), "");
}

TEST_F(CudaCalls, TheCallersDevice_StaysCurrent)
{
    const auto set = find<cudaError_t(int)>("cudaSetDevice");
    const auto get = find<cudaError_t(int *)>("cudaGetDevice");
    ASSERT_EQ(set(1), cudaSuccess);
    const auto current = [&] {
        int device = -1;
        get(&device);
        return device;
    };
    std::string message;
    const ct_config c = device_config();
    ct_context *ctx = nullptr;
    EXPECT_EQ(ct_create(&c, &ctx), CT_OK);
    EXPECT_EQ(current(), 1);
    {
        Training training;
        EXPECT_TRUE(training.create(ctx));
        EXPECT_EQ(current(), 1);
        for (int step = 0; step < 3; ++step) EXPECT_TRUE(training.step());
        EXPECT_EQ(current(), 1);
        EXPECT_FALSE(training.weights().empty()) << ct_error_message(ctx);
        EXPECT_EQ(current(), 1);
    }
    ct_destroy(ctx);
    EXPECT_EQ(current(), 1);
    set(0);
}

// Work of the caller before and after ours, on one stream, with no wait in between.
TEST_F(CudaCalls, TheCallersStream_OrdersTheWork)
{
    const auto make = find<cudaError_t(cudaStream_t *, unsigned)>("cudaStreamCreateWithFlags");
    const auto end = find<cudaError_t(cudaStream_t)>("cudaStreamDestroy");
    const auto fill = find<cudaError_t(void *, int, size_t, cudaStream_t)>("cudaMemsetAsync");
    cudaStream_t stream = nullptr;
    ASSERT_EQ(make(&stream, cudaStreamNonBlocking), cudaSuccess);
    {
        ct_config c = {};
        c.stream = stream;
        Context ctx(devices().front(), c);
        EXPECT_EQ(ct_stream(ctx), stream);
        const ct_tensor x = ctx.leaf(CT_I32, {4}, {1, 1, 1, 1});
        void *memory = nullptr;
        ctx.check(ct_data(ctx, x, &memory), "ct_data");
        for (int sight = 1; sight < 4; ++sight) {
            ASSERT_EQ(fill(memory, sight, 16, stream), cudaSuccess);
            ctx.check(ct_mark_written(ctx, x), "ct_mark_written");
            const ct_tensor y = ct_cast(ctx, x, CT_F64);
            ctx.check(ct_flush(ctx), "ct_flush");
            ASSERT_EQ(fill(memory, 0, 16, stream), cudaSuccess);
            EXPECT_EQ(ctx.read(y)[3], 0x01010101 * sight);
            ctx.end_step();
        }
    }
    EXPECT_EQ(end(stream), cudaSuccess) << "it is the caller's to destroy";
}

} // namespace

// Host memory comes through the hooks of ct_config and goes back through them, and
// when any single allocation fails, the worst that comes of it is an error: nothing
// crashes or leaks, and a step that failed can be done again.
#include "support/context.h"
#include "support/errors.h"
#include "support/temp_dir.h"
#include "support/training.h"

#include <cstdlib>
#include <map>

namespace
{

// Counts blocks, and lets the nth allocation from now fail.
class Heap
{
  public:
    ct_config config()
    {
        ct_config c = device_config();
        c.seed = 3;
        c.cpu_threads = 1;
        c.host_alloc = [](void *user, size_t bytes) { return static_cast<Heap *>(user)->alloc(bytes); };
        c.host_free = [](void *user, void *memory) { static_cast<Heap *>(user)->free(memory); };
        c.host_user = this;
        c.log = [](void *, const char *) {};
        return c;
    }
    void fail_at(int64_t n) { countdown_ = n; }
    bool has_failed() const { return countdown_ == 0; }
    int64_t allocations() const { return allocations_; }
    size_t live() const { return live_.size(); }
    bool foreign_free() const { return foreign_free_; }

  private:
    void *alloc(size_t bytes)
    {
        ++allocations_;
        if (countdown_ > 0 && --countdown_ == 0) return nullptr;
        void *memory = std::malloc(bytes ? bytes : 1);
        std::memset(memory, 0xa5, bytes); // nobody may count on zeros
        live_[memory] = bytes;
        return memory;
    }
    void free(void *memory)
    {
        if (!memory) return;
        if (!live_.erase(memory)) foreign_free_ = true;
        std::free(memory);
    }

    std::map<void *, size_t> live_;
    int64_t countdown_ = -1, allocations_ = 0;
    bool foreign_free_ = false;
};

constexpr int steps = 3;

// Trains; every step that fails is cleared and done again. Empty if making the
// objects failed. `errors` counts calls that said so.
std::vector<float> train(Heap &heap, int &errors)
{
    const ct_config config = heap.config();
    ct_context *ctx = nullptr;
    std::vector<float> weights;
    if (ct_create(&config, &ctx) != CT_OK) {
        ++errors;
        if (ctx) {
            EXPECT_STRNE(ct_error_message(ctx), "");
        }
        ct_destroy(ctx);
        return weights;
    }
    Training training;
    if (training.create(ctx)) {
        for (int step = 0; step < steps; ++step)
            while (!training.step()) {
                ++errors;
                EXPECT_EQ(ct_error(ctx), CT_ERR_MEMORY) << ct_error_message(ctx);
                EXPECT_STRNE(ct_error_message(ctx), "");
                ct_clear_error(ctx);
                if (errors > 3) return weights;
            }
        while ((weights = training.weights()).empty()) {
            ++errors;
            ct_clear_error(ctx);
            if (errors > 3) break;
        }
    } else {
        ++errors;
        EXPECT_STRNE(ct_error_message(ctx), "");
    }
    training.destroy();
    ct_destroy(ctx);
    return weights;
}

TEST(HostMemory, ComesFromTheHooksAndGoesBackToThem)
{
    Heap heap;
    int errors = 0;
    EXPECT_FALSE(train(heap, errors).empty());
    EXPECT_EQ(errors, 0);
    EXPECT_GT(heap.allocations(), 20);
    EXPECT_EQ(heap.live(), 0u);
    EXPECT_FALSE(heap.foreign_free());
}

TEST(HostMemory, IsNotTakenByStepsThatRepeat)
{
    Heap heap;
    const ct_config config = heap.config();
    ct_context *ctx = nullptr;
    ASSERT_EQ(ct_create(&config, &ctx), CT_OK);
    Training training;
    ASSERT_TRUE(training.create(ctx));
    for (int i = 0; i < 2; ++i) ASSERT_TRUE(training.step());
    const int64_t before = heap.allocations();
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(training.step());
    EXPECT_EQ(heap.allocations(), before);
    training.destroy();
    ct_destroy(ctx);
}

TEST(HostMemory, MayRunOutAtAnyAllocation)
{
    Heap sound;
    int errors = 0;
    const std::vector<float> expected = train(sound, errors);
    ASSERT_FALSE(expected.empty());
    for (int64_t n = 1;; ++n) {
        SCOPED_TRACE("allocation " + std::to_string(n) + " fails");
        Heap heap;
        heap.fail_at(n);
        errors = 0;
        const std::vector<float> weights = train(heap, errors);
        ASSERT_EQ(heap.live(), 0u);
        ASSERT_FALSE(heap.foreign_free());
        if (!heap.has_failed()) break; // there is no nth allocation
        // One failure is one error at most; without one, or after doing the step
        // again, the weights are the same to the bit.
        ASSERT_LE(errors, 1);
        if (weights.empty()) {
            ASSERT_EQ(errors, 1);
        } else {
            ASSERT_EQ(weights, expected);
        }
        ASSERT_LT(n, 100000);
    }
}

// The calls a training does not make.
TEST(HostMemory, MayRunOutInAnyCall)
{
    const TempDir dir;
    for (int64_t n = 1;; ++n) {
        SCOPED_TRACE("allocation " + std::to_string(n) + " fails");
        Heap heap;
        const ct_config config = heap.config();
        ct_context *ctx = nullptr;
        ASSERT_EQ(ct_create(&config, &ctx), CT_OK);
        heap.fail_at(n);
        bool failure = false;
        const auto check = [&](bool succeeded) {
            failure |= !succeeded || ct_error(ctx) != CT_OK;
            ct_clear_error(ctx);
            return succeeded;
        };
        const int64_t shape[] = {4, 4};
        std::vector<double> host(16);
        const ct_tensor x = ct_full(ctx, CT_F64, 2, shape, 1);
        if (check(x.bits != 0)) {
            check(ct_set_name(ctx, x, "x") == CT_OK);
            check(ct_set_requires_grad(ctx, x, true) == CT_OK);
            check(ct_print(ctx, x, "x") == CT_OK);
            const ct_tensor y = ct_mul(ctx, ct_matmul(ctx, x, ct_dropout(ctx, x, 0.5)), x);
            ct_tensor g[2] = {}, t = {};
            if (check(y.bits != 0)) {
                check(ct_gradients(ctx, 1, &y, nullptr, 1, &x, g, CT_CREATE_GRAPH) == CT_OK);
                if (g[0].bits) check(ct_gradients(ctx, 1, g, nullptr, 1, &x, g + 1, 0) == CT_OK);
            }
            const ct_tensor z = ct_exp(ctx, x);
            if (check(z.bits != 0)) check(ct_jvp(ctx, 1, &x, &x, 1, &z, &t) == CT_OK);
            const ct_gradient_hook negated = [](ct_context *c, ct_tensor gradient, void *) {
                return ct_neg(c, gradient);
            };
            if (check(ct_on_gradient(ctx, x, negated, nullptr) == CT_OK)) {
                check(ct_backward(ctx, ct_sum(ctx, x, 0, nullptr, false)) == CT_OK);
                check(ct_on_gradient(ctx, x, nullptr, nullptr) == CT_OK);
            }
            const ct_tensor read = ct_sum(ctx, x, 1, (const int[]){0}, false);
            if (check(read.bits != 0)) check(ct_read(ctx, read, host.data(), 4 * sizeof(double)) == CT_OK);
            check(ct_tape_to_dot(ctx, dir.path("step.dot").c_str()) == CT_OK);
            check(ct_tape_print(ctx, nullptr) == CT_OK);
            check(ct_step_end(ctx) == CT_OK);
            const auto squared = [](ct_context *c, int, const ct_tensor *in, void *) { return ct_square(c, in[0]); };
            check(ct_gradcheck(ctx, squared, nullptr, 1, &x, 1e-6, 1e-7, 1e-5) == CT_OK);
            ct_params *params = nullptr;
            ct_optimizer *optimizer = nullptr;
            if (check(ct_params_create(ctx, &params) == CT_OK)) {
                if (check(ct_params_add(params, "x", x) == CT_OK) &&
                    check(ct_sgd_create(ctx, params, nullptr, &optimizer) == CT_OK))
                    check(ct_optimizer_step(optimizer) == CT_OK);
            } else {
                EXPECT_EQ(params, nullptr);
            }
            const int64_t four[] = {4};
            const ct_tensor ring = ct_leaf(ctx, CT_F64, 1, four, nullptr);
            if (check(ring.bits != 0)) check(ct_append(ctx, ring, ct_sum(ctx, x, 0, nullptr, false)) == CT_OK);
            if (check(ct_step_end(ctx) == CT_OK)) check(failure || ct_replay(ctx, 1) == CT_OK);
            ct_optimizer_destroy(optimizer);
            ct_params_destroy(params);
        }
        ct_destroy(ctx);
        ASSERT_EQ(heap.live(), 0u);
        ASSERT_FALSE(heap.foreign_free());
        if (!heap.has_failed()) {
            EXPECT_FALSE(failure);
            break;
        }
        ASSERT_LT(n, 100000);
    }
}

TEST(HostMemory, ThatIsGoneAtOnceGivesNoContext)
{
    Heap heap;
    heap.fail_at(1);
    const ct_config config = heap.config();
    ct_context *ctx = reinterpret_cast<ct_context *>(1);
    EXPECT_EQ(ct_create(&config, &ctx), CT_ERR_MEMORY);
    EXPECT_EQ(ctx, nullptr);
}

} // namespace

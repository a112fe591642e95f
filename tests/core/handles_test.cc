// Handles are checked: a stale, released, foreign or invented one, or none at all,
// is CT_ERR_ARGUMENT, and the message names the call that was given it.
#include "support/context.h"
#include "support/errors.h"

#include <functional>
#include <random>

namespace
{

struct Call {
    const char *name; // as the message must give it
    std::function<void(ct_context *, ct_tensor)> make;
};

// Calls that take a tensor and leave their error standing.
std::vector<Call> calls()
{
    return {
        {"neg", [](ct_context *ctx, ct_tensor x) { ct_neg(ctx, x); }},
        {"relu", [](ct_context *ctx, ct_tensor x) { ct_relu(ctx, x); }},
        {"cast", [](ct_context *ctx, ct_tensor x) { ct_cast(ctx, x, CT_F64); }},
        {"add_scalar", [](ct_context *ctx, ct_tensor x) { ct_add_scalar(ctx, x, 1); }},
        {"add", [](ct_context *ctx, ct_tensor x) { ct_add(ctx, x, x); }},
        {"where", [](ct_context *ctx, ct_tensor x) { ct_where(ctx, x, x, x); }},
        {"sum", [](ct_context *ctx, ct_tensor x) { ct_sum(ctx, x, 0, nullptr, false); }},
        {"mean", [](ct_context *ctx, ct_tensor x) { ct_mean(ctx, x, 0, nullptr, false); }},
        {"matmul", [](ct_context *ctx, ct_tensor x) { ct_matmul(ctx, x, x); }},
        {"linear", [](ct_context *ctx, ct_tensor x) { ct_linear(ctx, x, x, {}, CT_ACT_IDENTITY); }},
        {"reshape", [](ct_context *ctx, ct_tensor x) { ct_reshape(ctx, x, 0, nullptr); }},
        {"transpose", [](ct_context *ctx, ct_tensor x) { ct_transpose(ctx, x, 0, 1); }},
        {"softmax", [](ct_context *ctx, ct_tensor x) { ct_softmax(ctx, x, 0); }},
        {"dropout", [](ct_context *ctx, ct_tensor x) { ct_dropout(ctx, x, 0.5); }},
        {"mse_loss", [](ct_context *ctx, ct_tensor x) { ct_mse_loss(ctx, x, x, CT_REDUCE_MEAN); }},
        {"detach", [](ct_context *ctx, ct_tensor x) { ct_detach(ctx, x); }},
        {"assign", [](ct_context *ctx, ct_tensor x) { ct_assign(ctx, x, x); }},
        {"accumulate", [](ct_context *ctx, ct_tensor x) { ct_accumulate(ctx, x, x); }},
        {"append", [](ct_context *ctx, ct_tensor x) { ct_append(ctx, x, x); }},
        {"ct_read", [](ct_context *ctx, ct_tensor x) { ct_read(ctx, x, nullptr, 0); }},
        {"ct_write", [](ct_context *ctx, ct_tensor x) { ct_write(ctx, x, nullptr, 0); }},
        {"ct_item", [](ct_context *ctx, ct_tensor x) { EXPECT_TRUE(std::isnan(ct_item(ctx, x))); }},
        {"ct_data",
         [](ct_context *ctx, ct_tensor x) {
             void *memory;
             ct_data(ctx, x, &memory);
         }},
        {"ct_mark_written", [](ct_context *ctx, ct_tensor x) { ct_mark_written(ctx, x); }},
        {"ct_set_requires_grad", [](ct_context *ctx, ct_tensor x) { ct_set_requires_grad(ctx, x, true); }},
        {"ct_grad", [](ct_context *ctx, ct_tensor x) { EXPECT_EQ(ct_grad(ctx, x).bits, 0u); }},
        {"ct_zero_grad", [](ct_context *ctx, ct_tensor x) { ct_zero_grad(ctx, x); }},
        {"ct_backward", [](ct_context *ctx, ct_tensor x) { ct_backward(ctx, x); }},
        {"ct_backward_from", [](ct_context *ctx, ct_tensor x) { ct_backward_from(ctx, 1, &x, nullptr, 0); }},
        {"ct_gradients",
         [](ct_context *ctx, ct_tensor x) {
             ct_tensor g;
             ct_gradients(ctx, 1, &x, nullptr, 1, &x, &g, 0);
         }},
    };
}

void expect_refused(ct_context *ctx, ct_tensor x, const char *why)
{
    for (const Call &call : calls()) {
        SCOPED_TRACE(call.name);
        call.make(ctx, x);
        EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {call.name, why}));
    }
    ct_info info;
    EXPECT_TRUE(reported(ctx, ct_describe(ctx, x, &info), CT_ERR_ARGUMENT, {"ct_describe", why}));
    EXPECT_TRUE(reported(ctx, ct_set_name(ctx, x, "x"), CT_ERR_ARGUMENT, {"ct_set_name", why}));
}

TEST(Handle, OfAnEarlierStepIsStale)
{
    Context ctx;
    const ct_tensor x = ctx.leaf(CT_F32, {}, {2});
    const ct_tensor y = ct_square(ctx, x);
    EXPECT_EQ(ct_item(ctx, y), 4);
    ctx.end_step();
    expect_refused(ctx, y, "earlier step");
    EXPECT_EQ(ctx.read(x), std::vector<double>{2}); // leaves live on
}

TEST(Handle, OfAReleasedLeafIsStaleAtOnce)
{
    Context ctx;
    const ct_tensor x = ctx.leaf(CT_F32, {}, {2});
    ct_release(ctx, x);
    expect_refused(ctx, x, "released");
}

TEST(Handle, OfAReleasedLeafDoesNotNameTheLeafThatTookItsPlace)
{
    Context ctx;
    const ct_tensor x = ctx.leaf(CT_F32, {}, {2});
    ct_release(ctx, x);
    const ct_tensor other = ctx.leaf(CT_F32, {}, {3});
    EXPECT_NE(x.bits, other.bits);
    expect_refused(ctx, x, "released");
    EXPECT_EQ(ct_item(ctx, other), 3);
}

TEST(Handle, OfAGradientGoesStaleWithItsLeaf)
{
    Context ctx;
    const ct_tensor x = ctx.leaf(CT_F32, {}, {2});
    ctx.check(ct_set_requires_grad(ctx, x, true), "ct_set_requires_grad");
    const ct_tensor grad = ctx.check(ct_grad(ctx, x), "ct_grad");
    EXPECT_EQ(ct_grad(ctx, x).bits, grad.bits);
    ct_release(ctx, x);
    expect_refused(ctx, grad, "released");
}

TEST(Handle, OfAnotherContextIsRefused)
{
    Context here, there;
    const ct_tensor leaf = there.leaf(CT_F32, {}, {2});
    expect_refused(here, leaf, "another context");
    const ct_tensor value = there.check(ct_square(there, leaf), "square");
    expect_refused(here, value, "another context");
    EXPECT_EQ(ct_item(there, value), 4);
}

TEST(Handle, OfADestroyedContextIsRefusedByTheNext)
{
    ct_tensor leaf;
    {
        Context before;
        leaf = before.leaf(CT_F32, {}, {2});
    }
    Context ctx;
    ctx.leaf(CT_F32, {}, {3}); // would lie at the same place
    expect_refused(ctx, leaf, "another context");
}

TEST(Handle, OfALivingContextIsRefusedHoweverManyCameBetween)
{
    ct_config small = {};
    small.cpu_threads = 1;
    Context old(devices().front(), small);
    const ct_tensor x = old.leaf(CT_F32, {}, {2});
    for (int i = 0; i < 1100; ++i) {
        Context ctx(devices().front(), small);
        ctx.leaf(CT_F32, {}, {3}); // at the same place
        ct_info info;
        ASSERT_EQ(ct_describe(ctx, x, &info), CT_ERR_ARGUMENT) << "by context " << i;
    }
    EXPECT_EQ(ct_item(old, x), 2);
}

TEST(Handle, ThatIsZeroIsNoOperand)
{
    Context ctx;
    expect_refused(ctx, {}, "zero tensor");
}

TEST(Handle, MadeOfGarbageIsRefused)
{
    Context ctx;
    const ct_tensor leaf = ctx.leaf(CT_F32, {}, {2}), value = ctx.check(ct_square(ctx, leaf), "square");
    std::mt19937_64 random(1);
    ct_info info;
    for (int i = 0; i < 20000; ++i) {
        const uint64_t bits = random();
        if (bits == leaf.bits || bits == value.bits) continue;
        ASSERT_EQ(ct_describe(ctx, {bits}, &info), CT_ERR_ARGUMENT) << std::hex << bits;
    }
    for (const ct_tensor real : {leaf, value})
        for (int bit = 0; bit < 64; ++bit) {
            const uint64_t bits = real.bits ^ uint64_t { 1 } << bit;
            if (bits == leaf.bits || bits == value.bits) continue;
            ASSERT_EQ(ct_describe(ctx, {bits}, &info), CT_ERR_ARGUMENT) << "bit " << bit;
        }
    expect_refused(ctx, {0x0123456789abcdef}, "no tensor");
    expect_refused(ctx, {~uint64_t{0}}, "no tensor");
}

TEST(Handle, OfAStepValueIsNoLeaf)
{
    Context ctx;
    const ct_tensor x = ctx.leaf(CT_F32, {}, {2});
    for (const Call &call : calls()) {
        const std::string name = call.name;
        if (name != "assign" && name != "accumulate" && name != "append" && name != "ct_write" &&
            name != "ct_mark_written" && name != "ct_set_requires_grad" && name != "ct_grad" && name != "ct_zero_grad")
            continue;
        SCOPED_TRACE(name);
        call.make(ctx, ctx.check(ct_square(ctx, x), "square"));
        EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {call.name, "leaf"}));
    }
}

TEST(Handle, TheWrongOperandIsNamed)
{
    Context ctx;
    const ct_tensor x = ctx.leaf(CT_F32, {2, 2}, {1, 2, 3, 4});
    ct_add(ctx, x, {});
    EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"add: b"}));
    ct_linear(ctx, x, {}, {}, CT_ACT_RELU);
    EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"linear: w"}));
    ct_cross_entropy(ctx, x, {}, 0, -100, CT_REDUCE_MEAN);
    EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"cross_entropy", "labels"}));
}

TEST(Release, OfTheZeroTensorIsAllowed)
{
    Context ctx;
    ct_release(ctx, {});
    EXPECT_EQ(ct_error(ctx), CT_OK);
}

TEST(Release, OfAStaleHandleIsAnError)
{
    Context ctx;
    const ct_tensor x = ctx.leaf(CT_F32, {}, {2});
    ct_release(ctx, x);
    ct_release(ctx, x);
    EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"ct_release", "released"}));
}

TEST(Release, OfAStepValueIsAnError)
{
    Context ctx;
    ct_release(ctx, ctx.check(ct_square(ctx, ctx.leaf(CT_F32, {}, {2})), "square"));
    EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"ct_release", "leaf"}));
}

TEST(Release, LeavesWhatIsRecordedAsItWas)
{
    Context ctx;
    const ct_tensor x = ctx.leaf(CT_F32, {3}, {1, 2, 3}), sum = ctx.leaf(CT_F32, {3}, {0, 0, 0});
    const ct_tensor y = ctx.check(ct_square(ctx, x), "square");
    ct_release(ctx, x);
    ctx.leaf(CT_F32, {3}, {7, 7, 7}); // must not lie where x still is read
    ctx.check(ct_assign(ctx, sum, y), "ct_assign");
    ctx.end_step();
    EXPECT_EQ(ctx.read(sum), (std::vector<double>{1, 4, 9}));
}

} // namespace

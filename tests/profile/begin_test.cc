// What stands, and what is left, where a profile does not begin.
#include "support/context.h"
#include "support/errors.h"

#include <gtest/gtest.h>

namespace
{

ct_status begun; // in a hook

TEST(BeginProfile, InAGradientHook_IsAnErrorThatStands)
{
    Context ctx;
    const ct_tensor x = ctx.leaf(CT_F32, {3}, {1, 2, 3});
    ctx.check(ct_set_requires_grad(ctx, x, true), "ct_set_requires_grad");
    const ct_gradient_hook hook = [](ct_context *c, ct_tensor gradient, void *) {
        begun = ct_profile_begin(c);
        return gradient;
    };
    ctx.check(ct_on_gradient(ctx, x, hook, nullptr), "ct_on_gradient");
    EXPECT_EQ(ct_backward(ctx, ct_sum(ctx, ct_square(ctx, x), 0, nullptr, false)), CT_ERR_STATE);
    EXPECT_EQ(begun, CT_ERR_STATE);
    EXPECT_TRUE(failed(ctx, CT_ERR_STATE, {"ct_profile_begin", "hook", "only call ops"}));
    EXPECT_TRUE(reported(ctx, ct_profile_end(ctx), CT_ERR_STATE, {"no profile was begun"}));
    ctx.end_step();
}

TEST(BeginProfile, WhereItsFlushFails_TheErrorStands)
{
    ct_config config = {};
    config.pool_bytes = 1 << 20;
    Context ctx(devices().front(), config);
    const int64_t shape[] = {1024, 1024};
    const ct_tensor kept = ct_full(ctx, CT_F32, 2, shape, 1);
    const ct_tensor larger = ct_exp(ctx, kept);
    (void)larger;
    EXPECT_EQ(ct_profile_begin(ctx), CT_ERR_MEMORY);
    EXPECT_TRUE(failed(ctx, CT_ERR_MEMORY, {"pool"}));
    EXPECT_TRUE(reported(ctx, ct_profile_end(ctx), CT_ERR_STATE, {"no profile was begun"}));
    ctx.check(ct_profile_begin(ctx), "ct_profile_begin");
    ctx.check(ct_profile_end(ctx), "ct_profile_end");
    ctx.end_step();
}

// It is reported, and the step goes on.
TEST(BeginProfile, Twice_LeavesWhatIsRecorded)
{
    Context ctx;
    ctx.check(ct_profile_begin(ctx), "ct_profile_begin");
    const ct_tensor y = ct_square(ctx, ctx.leaf(CT_F32, {3}, {1, 2, 3}));
    EXPECT_TRUE(reported(ctx, ct_profile_begin(ctx), CT_ERR_STATE, {"begun already"}));
    EXPECT_EQ(ctx.read(y), (std::vector<double>{1, 4, 9}));
    ctx.end_step();
    ctx.check(ct_profile_end(ctx), "ct_profile_end");
}

} // namespace

// A profile that gets no host memory harms no training, and says that it is not whole.
#include "profile/view.h"
#include "support/context.h"
#include "support/training.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace
{

// Lets the nth allocation from now fail, and every one after it; or those of more than so many bytes.
struct Heap {
    int64_t left = INT64_MAX, live = 0;
    size_t most = SIZE_MAX;
    ct_config config()
    {
        ct_config c = {};
        c.host_user = this;
        c.host_alloc = [](void *user, size_t bytes) -> void * {
            Heap *heap = static_cast<Heap *>(user);
            if (heap->left == 0 || bytes > heap->most) return nullptr;
            heap->left--;
            heap->live++;
            return std::malloc(bytes ? bytes : 1);
        };
        c.host_free = [](void *user, void *memory) {
            static_cast<Heap *>(user)->live -= memory != nullptr;
            std::free(memory);
        };
        return c;
    }
};

TEST(ProfileWithoutMemory, TrainingGoesOn_AndTheProfileSaysSo)
{
    Context other;
    Training plain;
    ASSERT_TRUE(plain.create(other));
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(plain.step());
    int failed = 0;
    bool whole = false;
    for (int64_t n = 0; !whole; ++n) {
        ASSERT_LT(n, 1000);
        Heap heap;
        {
            Context ctx(devices().front(), heap.config());
            Training training;
            ASSERT_TRUE(training.create(ctx));
            for (int i = 0; i < 2; ++i) ASSERT_TRUE(training.step());
            ASSERT_EQ(ct_profile_begin(ctx), CT_OK);
            heap.left = n;
            for (int i = 0; i < 3; ++i) ASSERT_TRUE(training.step()) << ct_error_message(ctx);
            heap.left = INT64_MAX;
            ASSERT_EQ(ct_profile_end(ctx), CT_OK);
            view_profile seen;
            whole = view_whole(ctx, &seen);
            if (!whole) {
                failed++;
                EXPECT_NE(std::string(ct_error_message(ctx)).find("ran out of host memory"), std::string::npos);
            }
            EXPECT_EQ(training.weights(), plain.weights());
            training.destroy();
        }
        EXPECT_EQ(heap.live, 0);
    }
    EXPECT_GT(failed, 20);
    plain.destroy();
}

TEST(ProfileWithoutMemory, ATimelineThatFoundNoRoom_IsNotTakenForALongOne)
{
    Heap heap;
    Context other, ctx(devices().front(), heap.config());
    Training plain, training;
    ASSERT_TRUE(plain.create(other) && training.create(ctx));
    ASSERT_TRUE(plain.step() && training.step());
    ASSERT_EQ(ct_profile_begin(ctx), CT_OK);
    ASSERT_TRUE(training.step() && plain.step());
    heap.most = 16384;
    ASSERT_EQ(ct_replay(ctx, 300), CT_OK);
    ASSERT_EQ(ct_replay(other, 300), CT_OK);
    heap.most = SIZE_MAX;
    ASSERT_EQ(ct_profile_end(ctx), CT_OK);
    view_profile seen;
    EXPECT_FALSE(view_whole(ctx, &seen));
    EXPECT_NE(std::string(ct_error_message(ctx)).find("ran out of host memory"), std::string::npos);
    EXPECT_EQ(training.weights(), plain.weights());
    training.destroy();
    plain.destroy();
}

} // namespace

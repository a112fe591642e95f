// Leaves and the bytes that go in and out: ct_leaf, ct_full, ct_wrap, ct_write,
// ct_read, ct_item, ct_data, ct_print, ct_set_name, ct_describe.
#include "support/compare.h"
#include "support/context.h"
#include "support/errors.h"

#include <limits>

namespace
{

constexpr ct_dtype dtypes[] = {CT_F32, CT_F64, CT_I32, CT_U8, CT_I64};
const char *const names[] = {"f32", "f64", "i32", "u8", "i64"};

class Leaf : public ::testing::TestWithParam<ct_dtype>
{
  protected:
    const ct_dtype dtype = GetParam();
    std::vector<std::string> lines;
    Context ctx{devices().front(), log_to(&lines)};

    static ct_config log_to(std::vector<std::string> *lines)
    {
        ct_config config = {};
        config.log = [](void *user, const char *text) {
            static_cast<std::vector<std::string> *>(user)->push_back(text);
        };
        config.log_user = lines;
        return config;
    }
    std::string all_lines() const
    {
        std::string text;
        for (const std::string &line : lines) text += line + "\n";
        return text;
    }
};

INSTANTIATE_TEST_SUITE_P(OfEachType, Leaf, ::testing::ValuesIn(dtypes),
                         [](const ::testing::TestParamInfo<ct_dtype> &info) { return std::string(names[info.param]); });

TEST_P(Leaf, HoldsWhatItWasGiven)
{
    const ct_tensor x = ctx.leaf(dtype, {2, 3}, {1, 2, 3, 4, 5, 255});
    EXPECT_EQ(ctx.read(x), (std::vector<double>{1, 2, 3, 4, 5, 255}));
}

TEST_P(Leaf, IsZerosWithoutData)
{
    const int64_t shape[] = {2, 300};
    const ct_tensor dirty = ctx.check(ct_full(ctx, dtype, 2, shape, 7), "ct_full");
    ct_release(ctx, dirty);
    const ct_tensor x = ctx.check(ct_leaf(ctx, dtype, 2, shape, nullptr), "ct_leaf");
    EXPECT_EQ(ctx.read(x), std::vector<double>(600, 0));
}

TEST_P(Leaf, DescribesItself)
{
    const ct_info info = ctx.describe(ctx.leaf(dtype, {2, 3}, {1, 2, 3, 4, 5, 6}));
    EXPECT_EQ(info.dtype, dtype);
    EXPECT_EQ(info.ndim, 2);
    EXPECT_EQ(info.shape[0], 2);
    EXPECT_EQ(info.shape[1], 3);
    for (int i = 2; i < CT_MAX_DIMS; ++i) EXPECT_EQ(info.shape[i], 0);
    EXPECT_EQ(info.numel, 6);
    EXPECT_TRUE(info.is_leaf);
    EXPECT_FALSE(info.requires_grad);
    for (const uint64_t word : info.reserved) EXPECT_EQ(word, 0u);
}

TEST_P(Leaf, MayHaveNoDims)
{
    const ct_tensor x = ctx.leaf(dtype, {}, {5});
    EXPECT_EQ(ctx.describe(x).ndim, 0);
    EXPECT_EQ(ctx.describe(x).numel, 1);
    EXPECT_EQ(ct_item(ctx, x), 5);
    EXPECT_EQ(ctx.read(x), std::vector<double>{5});
}

TEST_P(Leaf, MayHaveNoElements)
{
    const int64_t shape[] = {3, 0, 2};
    for (const ct_tensor x : {ct_leaf(ctx, dtype, 3, shape, nullptr), ct_full(ctx, dtype, 3, shape, 1)}) {
        ASSERT_NE(x.bits, 0u);
        EXPECT_EQ(ctx.describe(x).numel, 0);
        EXPECT_EQ(ctx.read(x), std::vector<double>());
        ctx.write(x, {});
        ctx.check(ct_read(ctx, x, nullptr, 0), "ct_read");
        ctx.check(ct_write(ctx, x, nullptr, 0), "ct_write");
        EXPECT_TRUE(std::isnan(ct_item(ctx, x)));
        EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {"ct_item"}));
        ctx.check(ct_print(ctx, x, "empty"), "ct_print");
        ct_release(ctx, x);
    }
    EXPECT_NE(all_lines().find("[3,0,2]"), std::string::npos);
}

TEST_P(Leaf, IsFilledByFull)
{
    const int64_t shape[] = {2, 70};
    EXPECT_EQ(ctx.read(ct_full(ctx, dtype, 2, shape, 200)), std::vector<double>(140, 200));
    EXPECT_EQ(ctx.read(ct_full(ctx, dtype, 2, shape, 0)), std::vector<double>(140, 0));
    EXPECT_EQ(ct_item(ctx, ct_full(ctx, dtype, 0, nullptr, 3)), 3);
}

TEST_P(Leaf, IsOverwrittenByWrite)
{
    const ct_tensor x = ctx.leaf(dtype, {3}, {1, 2, 3});
    ctx.write(x, {4, 5, 6});
    EXPECT_EQ(ctx.read(x), (std::vector<double>{4, 5, 6}));
}

TEST_P(Leaf, IsWrittenAndReadByItsExactSizeOnly)
{
    const size_t bytes = 3 * element_bytes(dtype);
    const ct_tensor x = ctx.leaf(dtype, {3}, {1, 2, 3});
    std::vector<char> host(2 * bytes);
    for (const size_t wrong : {size_t{0}, bytes - 1, bytes + 1, 2 * bytes, std::numeric_limits<size_t>::max()}) {
        EXPECT_EQ(ct_write(ctx, x, host.data(), wrong), CT_ERR_ARGUMENT);
        EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"ct_write", "[3]", std::to_string(bytes).c_str()}));
        EXPECT_EQ(ct_read(ctx, x, host.data(), wrong), CT_ERR_ARGUMENT);
        EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"ct_read", "[3]", std::to_string(bytes).c_str()}));
    }
    EXPECT_EQ(ctx.read(x), (std::vector<double>{1, 2, 3}));
}

TEST_P(Leaf, IsPrinted)
{
    const ct_tensor x = ctx.leaf(dtype, {2, 2}, {1, 2, 3, 42});
    ctx.check(ct_set_name(ctx, x, "its name"), "ct_set_name");
    ctx.check(ct_print(ctx, x, "a label"), "ct_print");
    for (const char *word : {"a label", "its name", names[dtype], "[2,2]", "42"})
        EXPECT_NE(all_lines().find(word), std::string::npos) << word << " is not in:\n" << all_lines();
    lines.clear();
    ctx.check(ct_print(ctx, x, nullptr), "ct_print");
    EXPECT_NE(all_lines().find("its name"), std::string::npos);
}

TEST_P(Leaf, ThatIsLargeIsPrintedInPart)
{
    std::vector<double> values(10000, 1);
    const ct_tensor x = ctx.leaf(dtype, {100, 100}, values);
    ctx.check(ct_print(ctx, x, "large"), "ct_print");
    EXPECT_LT(all_lines().size(), 10000u);
    EXPECT_NE(all_lines().find("..."), std::string::npos);
}

TEST_P(Leaf, WrapsMemoryOfTheCaller)
{
    if (devices().front().device != CT_DEVICE_CPU) GTEST_SKIP() << "wraps host memory";
    alignas(8) unsigned char memory[8 * 8] = {};
    const int64_t n = 8;
    const ct_tensor x = ctx.check(ct_wrap(ctx, dtype, 1, &n, memory), "ct_wrap");
    EXPECT_TRUE(ctx.describe(x).is_leaf);
    ctx.write(x, {1, 2, 3, 4, 5, 6, 7, 8});
    unsigned char first[8] = {};
    std::memcpy(first, memory, element_bytes(dtype));
    EXPECT_NE(std::vector<unsigned char>(first, first + 8), std::vector<unsigned char>(8)); // no copy was made
    void *address = nullptr;
    ctx.check(ct_data(ctx, x, &address), "ct_data");
    EXPECT_EQ(address, memory);
    std::memset(memory, 0, sizeof memory);
    ctx.check(ct_mark_written(ctx, x), "ct_mark_written");
    EXPECT_EQ(ctx.read(x), std::vector<double>(8, 0));
    ct_release(ctx, x);
    if (element_bytes(dtype) > 1) {
        EXPECT_EQ(ct_wrap(ctx, dtype, 1, &n, memory + 1).bits, 0u);
        EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"ct_wrap", "aligned"}));
    }
}

TEST_P(Leaf, IsCopiedToAnotherByAssign)
{
    const ct_tensor x = ctx.leaf(dtype, {3}, {1, 2, 3}), y = ctx.leaf(dtype, {3}, {0, 0, 0});
    ctx.check(ct_assign(ctx, y, x), "ct_assign");
    ctx.end_step();
    EXPECT_EQ(ctx.read(y), (std::vector<double>{1, 2, 3}));
}

class Leaves : public ::testing::Test
{
  protected:
    Context ctx;
};

TEST_F(Leaves, OfAnUnknownTypeAreRefused)
{
    const int64_t n = 1;
    for (const int dtype : {-1, 5, 1000}) {
        EXPECT_EQ(ct_leaf(ctx, static_cast<ct_dtype>(dtype), 1, &n, nullptr).bits, 0u);
        EXPECT_TRUE(failed(ctx, CT_ERR_DTYPE, {"ct_leaf"}));
        EXPECT_EQ(ct_full(ctx, static_cast<ct_dtype>(dtype), 1, &n, 0).bits, 0u);
        EXPECT_TRUE(failed(ctx, CT_ERR_DTYPE, {"ct_full"}));
    }
}

TEST_F(Leaves, FullRoundsToTheType)
{
    EXPECT_EQ(ct_item(ctx, ct_full(ctx, CT_F32, 0, nullptr, 0.1)), static_cast<double>(0.1f));
    EXPECT_EQ(ct_item(ctx, ct_full(ctx, CT_F64, 0, nullptr, 0.1)), 0.1);
    EXPECT_TRUE(std::isnan(ct_item(ctx, ct_full(ctx, CT_F32, 0, nullptr, NAN))));
    EXPECT_EQ(ct_item(ctx, ct_full(ctx, CT_F64, 0, nullptr, -INFINITY)), -INFINITY);
    EXPECT_TRUE(std::signbit(ct_item(ctx, ct_full(ctx, CT_F32, 0, nullptr, -0.0))));
}

TEST_F(Leaves, FullRefusesWhatAnIntegerCannotHold)
{
    for (const ct_dtype dtype : {CT_I32, CT_U8, CT_I64})
        for (const double value : std::vector<double>{NAN, INFINITY, 1e300, -1e300}) {
            EXPECT_EQ(ct_full(ctx, dtype, 0, nullptr, value).bits, 0u);
            EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"ct_full"}));
        }
    EXPECT_EQ(ct_full(ctx, CT_U8, 0, nullptr, 256).bits, 0u);
    EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"ct_full", "256"}));
    EXPECT_EQ(ct_full(ctx, CT_U8, 0, nullptr, -1).bits, 0u);
    EXPECT_TRUE(failed(ctx, CT_ERR_ARGUMENT, {"ct_full"}));
    EXPECT_EQ(ct_item(ctx, ct_full(ctx, CT_I32, 0, nullptr, -2147483648.0)), -2147483648.0);
}

TEST_F(Leaves, KeepLargeIntegersExactly)
{
    const int64_t values[] = {INT64_MAX, INT64_MIN, 9007199254740993}, n = 3;
    const ct_tensor x = ctx.check(ct_leaf(ctx, CT_I64, 1, &n, values), "ct_leaf");
    int64_t read[3];
    ctx.check(ct_read(ctx, x, read, sizeof read), "ct_read");
    for (int i = 0; i < 3; ++i) EXPECT_EQ(read[i], values[i]);
}

TEST_F(Leaves, ItemWantsOneElement)
{
    const ct_tensor x = ctx.leaf(CT_F32, {2}, {1, 2});
    EXPECT_TRUE(std::isnan(ct_item(ctx, x)));
    EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {"ct_item", "[2]"}));
    EXPECT_EQ(ct_item(ctx, ctx.leaf(CT_F32, {1, 1, 1}, {4})), 4);
}

TEST_F(Leaves, DataMayBeUsedAgainAtOnce)
{
    float host[] = {1, 2};
    const int64_t n = 2;
    const ct_tensor x = ctx.check(ct_leaf(ctx, CT_F32, 1, &n, host), "ct_leaf");
    host[0] = host[1] = 0;
    EXPECT_EQ(ctx.read(x), (std::vector<double>{1, 2}));
    host[0] = host[1] = 5;
    ctx.check(ct_write(ctx, x, host, sizeof host), "ct_write");
    host[0] = host[1] = 0;
    EXPECT_EQ(ctx.read(x), (std::vector<double>{5, 5}));
}

TEST_F(Leaves, AreWrittenInTheOrderOfCalls)
{
    const ct_tensor x = ctx.leaf(CT_F32, {2}, {1, 2});
    const ct_tensor before = ctx.check(ct_mul_scalar(ctx, x, 10), "mul_scalar");
    ctx.write(x, {3, 4});
    const ct_tensor after = ctx.check(ct_mul_scalar(ctx, x, 10), "mul_scalar");
    EXPECT_EQ(ctx.read(before), (std::vector<double>{10, 20}));
    EXPECT_EQ(ctx.read(after), (std::vector<double>{30, 40}));
}

TEST_F(Leaves, AssignedAndReadInOneStepFollowTheOrderOfCalls)
{
    const ct_tensor x = ctx.leaf(CT_F32, {}, {1}), out = ctx.leaf(CT_F32, {3}, {0, 0, 0});
    const ct_tensor one = ctx.check(ct_add_scalar(ctx, x, 0), "add_scalar");
    const ct_tensor view = ctx.check(ct_reshape(ctx, x, 0, nullptr), "reshape");
    ctx.check(ct_assign(ctx, x, ct_add_scalar(ctx, x, 1)), "ct_assign");
    const ct_tensor two = ctx.check(ct_add_scalar(ctx, x, 0), "add_scalar");
    ctx.check(ct_assign(ctx, x, ct_add_scalar(ctx, x, 1)), "ct_assign");
    for (const ct_tensor v : {one, view, two, x}) ctx.check(ct_append(ctx, out, v), "ct_append");
    ctx.end_step();
    EXPECT_EQ(ctx.read(out), (std::vector<double>{3, 1, 2})); // the fourth went round
}

TEST_F(Leaves, HaveNames)
{
    const ct_tensor x = ctx.leaf(CT_F32, {}, {1});
    ASSERT_NE(ctx.describe(x).name, nullptr);
    char name[] = "first";
    ctx.check(ct_set_name(ctx, x, name), "ct_set_name");
    name[0] = 'F';
    EXPECT_STREQ(ctx.describe(x).name, "first");
    ctx.check(ct_set_name(ctx, x, "second"), "ct_set_name");
    EXPECT_STREQ(ctx.describe(x).name, "second");
    ct_release(ctx, x);
    const ct_tensor other = ctx.leaf(CT_F32, {}, {1});
    EXPECT_STRNE(ctx.describe(other).name, "second"); // the slot was taken again
}

TEST_F(Leaves, NamesAreNeverNull)
{
    const ct_tensor x = ctx.leaf(CT_F32, {}, {1});
    EXPECT_NE(ctx.describe(x).name, nullptr);
    EXPECT_NE(ctx.describe(ct_neg(ctx, x)).name, nullptr);
    ctx.check(ct_set_name(ctx, x, nullptr), "ct_set_name");
    EXPECT_NE(ctx.describe(x).name, nullptr);
}

TEST_F(Leaves, NamesChangeNoProgram)
{
    const ct_tensor x = ctx.leaf(CT_F32, {}, {1});
    ct_stats stats;
    for (int i = 0; i < 3; ++i) {
        ctx.check(ct_set_name(ctx, x, std::to_string(i).c_str()), "ct_set_name");
        ctx.check(ct_assign(ctx, x, ct_neg(ctx, x)), "ct_assign");
        ctx.end_step();
    }
    ctx.check(ct_get_stats(ctx, &stats), "ct_get_stats");
    EXPECT_EQ(stats.compiles, 1);
}

TEST_F(Leaves, StepValuesHaveNamesToo)
{
    const ct_tensor y = ctx.check(ct_neg(ctx, ctx.leaf(CT_F32, {}, {1})), "neg");
    ctx.check(ct_set_name(ctx, y, "hidden"), "ct_set_name");
    EXPECT_STREQ(ctx.describe(y).name, "hidden");
}

TEST_F(Leaves, StepValuesDescribeThemselves)
{
    const ct_tensor x = ctx.leaf(CT_F64, {2, 3}, {1, 2, 3, 4, 5, 6});
    const ct_info info = ctx.describe(ct_transpose(ctx, x, 0, 1));
    EXPECT_EQ(info.dtype, CT_F64);
    EXPECT_EQ(info.ndim, 2);
    EXPECT_EQ(info.shape[0], 3);
    EXPECT_EQ(info.shape[1], 2);
    EXPECT_FALSE(info.is_leaf);
}

TEST_F(Leaves, ThousandsMayLiveAtOnce)
{
    std::vector<ct_tensor> leaves;
    for (int i = 0; i < 5000; ++i) leaves.push_back(ctx.leaf(CT_I32, {}, {static_cast<double>(i)}));
    for (int i = 0; i < 5000; i += 7) EXPECT_EQ(ct_item(ctx, leaves[static_cast<size_t>(i)]), i);
}

TEST_F(Leaves, TheAddressOfAStepValueHoldsItsContents)
{
    if (devices().front().device != CT_DEVICE_CPU) GTEST_SKIP() << "reads device memory";
    const ct_tensor y = ctx.check(ct_mul_scalar(ctx, ctx.leaf(CT_F32, {2}, {1, 2}), 3), "mul_scalar");
    void *memory = nullptr;
    ctx.check(ct_data(ctx, y, &memory), "ct_data");
    EXPECT_EQ(static_cast<float *>(memory)[1], 6);
}

} // namespace

// The comparison that every numeric test rests on must itself fail when it should.
#include "support/compare.h"

#include <limits>

namespace
{

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double inf = std::numeric_limits<double>::infinity();
constexpr Tolerance loose = {1e3, 1e3};

TEST(Compare, NaN_EqualsOnlyNaN)
{
    EXPECT_TRUE(all_close({nan}, {nan}, {0, 0}));
    EXPECT_FALSE(all_close({nan}, {1.0}, loose));
    EXPECT_FALSE(all_close({1.0}, {nan}, loose));
    EXPECT_FALSE(all_close({inf}, {nan}, loose));
    EXPECT_FALSE(all_close({nan}, {inf}, loose));
}

TEST(Compare, Infinity_EqualsOnlyItself)
{
    EXPECT_TRUE(all_close({inf, -inf}, {inf, -inf}, {0, 0}));
    EXPECT_FALSE(all_close({-inf}, {inf}, loose));
    EXPECT_FALSE(all_close({1e308}, {inf}, loose));
    EXPECT_FALSE(all_close({inf}, {1.0}, loose));
}

TEST(Compare, Number_MayDifferByTheTolerance)
{
    EXPECT_TRUE(all_close({100.0, 0.0}, {101.0, 0.01}, {0.01, 0.01}));
    EXPECT_FALSE(all_close({100.0}, {102.0}, {0.01, 0.01}));
    EXPECT_FALSE(all_close({0.5}, {-0.5}, {0.01, 0.01}));
}

TEST(Compare, Length_MustAgree)
{
    EXPECT_TRUE(all_close({}, {}, {0, 0}));
    EXPECT_FALSE(all_close({}, {1.0}, loose));
    EXPECT_FALSE(all_close({1.0, 2.0}, {1.0}, loose));
    EXPECT_FALSE(same_bits({1.0}, {}));
}

TEST(Compare, SameBits_TellsZerosApart)
{
    EXPECT_TRUE(same_bits({0.0, -0.0, nan, inf}, {0.0, -0.0, nan, inf}));
    EXPECT_FALSE(same_bits({0.0}, {-0.0}));
    EXPECT_FALSE(same_bits({1.0}, {1.0 + 1e-15}));
}

} // namespace

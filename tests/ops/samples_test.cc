// The golden file and the registry cover the same ops, and a damaged file is refused.
#include "ops/samples.h"
#include "support/temp_dir.h"

namespace
{

const char *const complete = "cutape-golden 1\n"
                             "sample neg_2 neg\n"
                             "dtypes f32 f64\n"
                             "attr dims 0 -1\n"
                             "input 1 real 1 2 1 nan\n"
                             "output real 1 2 -1 nan\n"
                             "cotangent real 1 2 0.5 -inf\n"
                             "grad 0 real 1 2 -0.5 inf\n"
                             "end\n";

class SampleFile : public ::testing::Test
{
  protected:
    std::vector<Sample> read(const std::string &text)
    {
        const std::string path = dir_.path("samples.txt");
        std::ofstream(path, std::ios::binary) << text;
        return read_samples(path);
    }
    TempDir dir_;
};

TEST(Samples, EverySampledOpIsRegistered_AndTheReverse) { EXPECT_EQ(sampled_ops(), registered_ops()); }

TEST(Samples, EveryOpHasAtLeastEightSamples)
{
    std::map<std::string, int> count;
    for (const Sample &s : samples()) ++count[s.op];
    for (const auto &op : count) EXPECT_GE(op.second, 8) << op.first;
}

TEST(Samples, NamesAreUnique)
{
    std::set<std::string> names;
    for (const Sample &s : samples()) EXPECT_TRUE(names.insert(s.name).second) << s.name;
}

TEST_F(SampleFile, Complete_IsRead)
{
    const std::vector<Sample> found = read(complete);
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].name, "neg_2");
    EXPECT_EQ(found[0].op, "neg");
    EXPECT_EQ(found[0].dtypes.size(), 2u);
    EXPECT_FALSE(found[0].kink);
    EXPECT_EQ(found[0].attributes.at("dims").size(), 2u);
    ASSERT_EQ(found[0].inputs.size(), 1u);
    EXPECT_TRUE(std::isnan(found[0].inputs[0].value.values.at(1)));
    EXPECT_TRUE(std::isinf(found[0].inputs[0].grad.values.at(1)));
    EXPECT_TRUE(found[0].has_gradient);
    EXPECT_FALSE(found[0].has_second_order);
}

TEST_F(SampleFile, CutAnywhereBeforeTheLastLine_IsRefused)
{
    const std::string text = complete;
    for (size_t length = 0; length + 4 <= text.size(); ++length)
        EXPECT_THROW(read(text.substr(0, length)), std::runtime_error) << "after " << length << " bytes";
}

TEST_F(SampleFile, LineMissing_IsRefused)
{
    for (const char *line : {"dtypes f32 f64\n", "input 1 real 1 2 1 nan\n", "output real 1 2 -1 nan\n",
                             "cotangent real 1 2 0.5 -inf\n", "grad 0 real 1 2 -0.5 inf\n", "end\n"}) {
        std::string text = complete;
        text.erase(text.find(line), std::strlen(line));
        EXPECT_THROW(read(text), std::runtime_error) << line;
    }
}

TEST_F(SampleFile, WrongNumberOfValues_IsRefused)
{
    for (const char *values : {"-0.5", "-0.5 inf 1", "-0.5 ink"}) {
        std::string text = complete;
        text.replace(text.find("-0.5 inf"), std::strlen("-0.5 inf"), values);
        EXPECT_THROW(read(text), std::runtime_error) << values;
    }
}

} // namespace

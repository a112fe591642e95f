// The reader of JSON itself: what it takes, and that it is strict.
#include "support/json.h"

#include <gtest/gtest.h>

TEST(JsonReader, ReadsEveryKind)
{
    const Json all = Json::parse(R"( {"a": [1, -2.5e3, 0, 0.25E-2], "b": {"c": null}, "d": true, "e": [], "f": {}} )");
    EXPECT_EQ(all.names(), (std::vector<std::string>{"a", "b", "d", "e", "f"}));
    EXPECT_EQ(all["a"].size(), 4u);
    EXPECT_EQ(all["a"][1].number(), -2500);
    EXPECT_EQ(all["a"][3].number(), 0.0025);
    EXPECT_EQ(all["a"][1].digits(), "-2.5e3");
    EXPECT_TRUE(all["b"]["c"].is(Json::Kind::Null));
    EXPECT_TRUE(all["d"].boolean());
    EXPECT_EQ(all["e"].size(), 0u);
    EXPECT_FALSE(all["f"].has("g"));
    EXPECT_THROW(all["g"], std::runtime_error);
    EXPECT_THROW(all["d"].number(), std::runtime_error);
}

TEST(JsonReader, ReadsEscapesAndCharacters)
{
    EXPECT_EQ(Json::parse(R"("\"\\\/\b\f\n\r\tA\u00e9\u20ac\ud83d\ude00é€😀")").string(),
              "\"\\/\b\f\n\r\tA\u00e9\u20ac\U0001f600\u00e9\u20ac\U0001f600");
}

TEST(JsonReader, RefusesWhatTheGrammarDoesNot)
{
    for (const char *text : {"",
                             "{",
                             "[1,]",
                             "{\"a\":1,}",
                             "[1 2]",
                             "01",
                             "1.",
                             ".5",
                             "+1",
                             "-",
                             "1e",
                             "nan",
                             "NaN",
                             "inf",
                             "tru",
                             "'a'",
                             "\"a",
                             "\"\n\"",
                             "\"\\x\"",
                             "\"\\u12\"",
                             "\"\\ud800\"",
                             "\"\xff\"",
                             "\"\xc0\x80\"",
                             "\"\xed\xa0\x80\"",
                             "{a:1}",
                             "{\"a\" 1}",
                             "{1:2}",
                             "1 2",
                             "[1]]",
                             "{\"a\":1,\"a\":2}",
                             "\"\xe2\x82\"",
                             "\"\xf4\x90\x80\x80\""})
        EXPECT_THROW(Json::parse(text), std::runtime_error) << text;
}

// CSV files: layouts, headers, number rounding, and every way a table can be wrong.
#include "files_test.h"
#include <cfloat>
#include <climits>
#include <clocale>
#include <cmath>
#include <cstdio>
#include <random>

namespace
{

using Floats = std::vector<float>;
using Ints = std::vector<int32_t>;

class Csv : public FilesTest
{
  protected:
    void TearDown() override
    {
        release();
        FilesTest::TearDown();
    }
    void release()
    {
        ct_array_file_free(ctx, &x);
        ct_array_file_free(ctx, &y);
    }
    // Reads the text as a file of numbers (not classes) and compares the table.
    void expect_table(const std::string &text, int target, const std::vector<int64_t> &x_shape, const Floats &x_values,
                      const Floats &y_values)
    {
        release();
        std::string path = dir.write("a.csv", text);
        ASSERT_EQ(ct_csv_read(ctx, path.c_str(), target, false, &x, &y), CT_OK) << ct_error_message(ctx);
        EXPECT_EQ(x.dtype, CT_F32);
        EXPECT_EQ(y.dtype, CT_F32);
        EXPECT_EQ(shape(x), x_shape);
        EXPECT_EQ(shape(y), (std::vector<int64_t>{x_shape[0], 1}));
        EXPECT_EQ(x.numel, x_shape[0] * x_shape[1]);
        EXPECT_EQ(y.numel, x_shape[0]);
        EXPECT_EQ(values<float>(x), x_values);
        EXPECT_EQ(values<float>(y), y_values);
    }
    void expect_error_in(const std::string &path, const std::vector<std::string> &parts, int target = -1,
                         bool classes = false, ct_status expected = CT_ERR_IO)
    {
        int64_t blocks = live_blocks;
        std::memset(&x, 0x55, sizeof x);
        std::memset(&y, 0x55, sizeof y);
        ct_status status = ct_csv_read(ctx, path.c_str(), target, classes, &x, &y);
        expect_failed(status, expected, parts);
        expect_failed(status, expected, {path});
        EXPECT_TRUE(is_zero(x));
        EXPECT_TRUE(is_zero(y));
        EXPECT_EQ(live_blocks, blocks);
    }
    void expect_error(const std::string &text, const std::vector<std::string> &parts, int target = -1,
                      bool classes = false, ct_status expected = CT_ERR_IO)
    {
        expect_error_in(dir.write("bad.csv", text), parts, target, classes, expected);
    }

    ct_array_file x = {}, y = {};
};

TEST_F(Csv, LastColumnIsTheTarget) { expect_table("1,2,3\n4,5,6\n", -1, {2, 2}, {1, 2, 4, 5}, {3, 6}); }

TEST_F(Csv, AnyColumnCanBeTheTarget)
{
    expect_table("1,2,3\n4,5,6\n", 0, {2, 2}, {2, 3, 5, 6}, {1, 4});
    expect_table("1,2,3\n4,5,6\n", 1, {2, 2}, {1, 3, 4, 6}, {2, 5});
    expect_table("1,2,3\n4,5,6\n", -3, {2, 2}, {2, 3, 5, 6}, {1, 4});
}

TEST_F(Csv, ClassesAreI32OfOneDimension)
{
    std::string path = dir.write("a.csv", "0,0.5\n2147483647,1\n3.0,2\n7e0,3\n");
    ASSERT_EQ(ct_csv_read(ctx, path.c_str(), 0, true, &x, &y), CT_OK) << ct_error_message(ctx);
    EXPECT_EQ(y.dtype, CT_I32);
    EXPECT_EQ(shape(y), (std::vector<int64_t>{4}));
    EXPECT_EQ(y.numel, 4);
    EXPECT_EQ(values<int32_t>(y), (Ints{0, 2147483647, 3, 7}));
    EXPECT_EQ(values<float>(x), (Floats{0.5f, 1, 2, 3}));
}

TEST_F(Csv, HeaderIsSkipped)
{
    expect_table("a,b\n1,2\n", -1, {1, 1}, {1}, {2});
    expect_table(",b\n1,2\n", -1, {1, 1}, {1}, {2});
    expect_table("0,label\n1,2\n", -1, {1, 1}, {1}, {2});
}

TEST_F(Csv, HeaderMayHaveQuotesWithCommas)
{
    expect_table("\"a, the \"\"first\"\"\",\"b\"\n1,2\n", -1, {1, 1}, {1}, {2});
    expect_table("\"1\",\"2\"\n3,4\n", -1, {1, 1}, {3}, {4});
}

TEST_F(Csv, FirstLineOfNumbersIsARow) { expect_table("1e3,-2\n", -1, {1, 1}, {1000}, {-2}); }

TEST_F(Csv, CrlfIsAccepted)
{
    expect_table("a,b\r\n1,2\r\n3,4\r\n", -1, {2, 1}, {1, 3}, {2, 4});
    expect_table("1,2\r\n3,4", -1, {2, 1}, {1, 3}, {2, 4});
}

TEST_F(Csv, ByteOrderMarkIsAccepted)
{
    expect_table("\xEF\xBB\xBF"
                 "1,2\n3,4\n",
                 -1, {2, 1}, {1, 3}, {2, 4});
    expect_table("\xEF\xBB\xBF"
                 "a,b\n3,4\n",
                 -1, {1, 1}, {3}, {4});
}

TEST_F(Csv, BlanksAroundCellsAreIgnored) { expect_table(" 1 ,\t2\t, 3 \n", -1, {1, 2}, {1, 2}, {3}); }

TEST_F(Csv, LastLineNeedsNoNewline) { expect_table("1,2\n3,4", -1, {2, 1}, {1, 3}, {2, 4}); }

TEST_F(Csv, EmptyLinesAtTheEndAreAccepted) { expect_table("1,2\n3,4\n\n \r\n", -1, {2, 1}, {1, 3}, {2, 4}); }

TEST_F(Csv, EveryFormOfANumberIsRead)
{
    expect_table("+1,-1,.5,5.,-.25e+2,1E-2,007,-0,9\n", -1, {1, 8}, {1, -1, .5f, 5, -25, .01f, 7, -0.f}, {9});
    EXPECT_TRUE(std::signbit(values<float>(x)[7]));
}

TEST_F(Csv, GzipGivesTheSameAsPlain)
{
    std::string path = dir.write_gz("a.csv.gz", "a,b\n1,2\n3,4\n");
    ASSERT_EQ(ct_csv_read(ctx, path.c_str(), -1, false, &x, &y), CT_OK) << ct_error_message(ctx);
    EXPECT_EQ(values<float>(x), (Floats{1, 3}));
    EXPECT_EQ(values<float>(y), (Floats{2, 4}));
}

TEST_F(Csv, NumbersAreRoundedToTheNearestFloat)
{
    std::mt19937 random(1);
    std::string text;
    Floats expected;
    char cell[64];
    for (int i = 0; i < 20000; i++) {
        static const char *const formats[] = {"%.*f", "%.*e", "%.*g"};
        double value = static_cast<double>(static_cast<int32_t>(random())) / static_cast<double>(1u << random() % 32);
        std::snprintf(cell, sizeof cell, formats[i % 3], static_cast<int>(random() % 20), value);
        expected.push_back(std::strtof(cell, nullptr));
        text += std::string(cell) + ",0\n";
    }
    // Halfway between two floats as a double, but not as written: rounding twice gives the wrong one.
    text += "1.00000005960464477540,0\n";
    expected.push_back(1.00000012f);
    text += "0.000000000000000000000000000000000000000000001,0\n";
    expected.push_back(1e-45f);
    text += "340282346638528859811704183484516925440,0\n";
    expected.push_back(FLT_MAX);
    std::string path = dir.write("a.csv", text);
    ASSERT_EQ(ct_csv_read(ctx, path.c_str(), -1, false, &x, &y), CT_OK) << ct_error_message(ctx);
    EXPECT_EQ(values<float>(x), expected);
}

TEST_F(Csv, LinesMayCrossTheReadBuffer)
{
    std::string text;
    Floats expected;
    for (int row = 0; row < 7; row++) {
        for (int column = 0; column < 60001; column++) {
            text += std::to_string(row * 1000 + column % 1000) + ",";
            expected.push_back(static_cast<float>(row * 1000 + column % 1000));
        }
        text += "1\n";
    }
    std::string path = dir.write("a.csv", text);
    ASSERT_EQ(ct_csv_read(ctx, path.c_str(), -1, false, &x, &y), CT_OK) << ct_error_message(ctx);
    EXPECT_EQ(shape(x), (std::vector<int64_t>{7, 60001}));
    EXPECT_EQ(values<float>(x), expected);
}

TEST_F(Csv, ManyShortLinesAreRead)
{
    std::string text;
    Ints expected;
    for (int i = 0; i < 100000; i++) {
        text += "1.5," + std::to_string(i) + "\n";
        expected.push_back(i);
    }
    std::string path = dir.write("a.csv", text);
    ASSERT_EQ(ct_csv_read(ctx, path.c_str(), -1, true, &x, &y), CT_OK) << ct_error_message(ctx);
    EXPECT_EQ(values<int32_t>(y), expected);
}

TEST_F(Csv, LocaleDoesNotMatter)
{
    const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE", "fr_FR"};
    bool set = false;
    for (const char *name : names) set = set || std::setlocale(LC_ALL, name);
    if (!set) GTEST_SKIP() << "no locale with a decimal comma is installed";
    expect_table("1.5,2.123456789\n", -1, {1, 1}, {1.5f}, {2.123456789f});
    std::setlocale(LC_ALL, "C");
}

TEST_F(Csv, MissingFileSaysSo) { expect_error_in(dir.path("missing.csv"), {"No such file or directory"}); }

TEST_F(Csv, DirectoryIsNotAFile) { expect_error_in(dir.path("."), {"is a directory"}); }

TEST_F(Csv, NullArgumentsAreArgumentErrors)
{
    std::memset(&x, 0x55, sizeof x);
    expect_failed(ct_csv_read(ctx, nullptr, -1, false, &x, &y), CT_ERR_ARGUMENT, {"path is NULL"});
    EXPECT_TRUE(is_zero(x));
    expect_failed(ct_csv_read(ctx, "x.csv", -1, false, nullptr, &y), CT_ERR_ARGUMENT, {"x.csv", "NULL"});
    expect_failed(ct_csv_read(ctx, "x.csv", -1, false, &x, nullptr), CT_ERR_ARGUMENT, {"x.csv", "NULL"});
    EXPECT_EQ(ct_csv_read(nullptr, "x.csv", -1, false, &x, &y), CT_ERR_ARGUMENT);
}

TEST_F(Csv, EmptyFileSaysSo)
{
    expect_error("", {"the file is empty"});
    expect_error_in(dir.write_gz("bad.csv.gz", ""), {"the file is empty"});
    expect_error("\n", {"line 1 is empty"});
    expect_error("\xEF\xBB\xBF", {"line 1 is empty"});
}

TEST_F(Csv, HeaderWithoutRowsIsAnError) { expect_error("a,b\n", {"no rows"}); }

TEST_F(Csv, EmptyLineInTheMiddleIsNamed)
{
    expect_error("1,2\n3,4\n\n5,6\n", {"line 3 is empty"});
    expect_error("1,2\r\n  \r\n\r\n5,6\r\n", {"line 2 is empty"});
    expect_error("\n1,2\n", {"line 1 is empty"});
}

TEST_F(Csv, TextInPlaceOfANumberIsShown)
{
    expect_error("1,2\n3,four\n", {"line 2, column 2", "expected a number", "'four'"});
    expect_error("a,b\n1,2\nx,4\n", {"line 3, column 1", "'x'"});
    expect_error("1,2\n3,4 5\n", {"line 2, column 2", "'4 5'"});
    expect_error("1,2\n0x10,4\n", {"line 2, column 1", "'0x10'"});
    expect_error("1,2\n1e,4\n", {"line 2, column 1", "'1e'"});
    expect_error("1,2\n-,4\n", {"line 2, column 1", "'-'"});
    expect_error("1,2\n1.2.3,4\n", {"line 2, column 1", "'1.2.3'"});
    expect_error("1,2\n1;2,4\n", {"line 2, column 1", "'1;2'"});
}

TEST_F(Csv, BadCellsAreShownCutAndPrintable)
{
    expect_error("1,2\n" + std::string(500, 'z') + ",4\n", {"line 2, column 1", "'zzzz", "zz...'"});
    expect_error(std::string("1,2\n1\0x,4\n", 11), {"line 2, column 1", "'1?x'"});
    expect_error("1,2\n\x1b[31m,4\n", {"line 2, column 1", "'?[31m'"});
}

TEST_F(Csv, EmptyCellIsNamed)
{
    expect_error("1,2,3\n4,,6\n", {"line 2, column 2", "empty"});
    expect_error(", \n1,2\n", {"line 1, column 1", "empty"});
}

TEST_F(Csv, QuotedNumberIsAnError) { expect_error("a,b\n\"1\",2\n", {"line 2, column 1", "without quotes", "\"1\""}); }

TEST_F(Csv, OpenQuoteInTheHeaderIsAnError)
{
    expect_error("a,\"b\n1,2\n", {"line 1, column 2", "closing quote"});
    expect_error("a,\"b\"\"\n1,2\n", {"line 1, column 2", "closing quote"});
}

TEST_F(Csv, RaggedRowTellsBothCounts)
{
    expect_error("1,2,3\n4,5\n", {"line 2", "expected 3 columns", "found 2"});
    expect_error("a,b\n1,2\n4,5,6,7\n", {"line 3", "expected 2 columns", "found 4"});
    expect_error("1,2\n3,4,\n", {"line 2", "expected 2 columns", "found 3"});
}

TEST_F(Csv, NumbersThatAreNotFiniteAreErrors)
{
    for (const char *word : {"nan", "NaN", "-nan", "inf", "-Inf", "+INF", "infinity"}) {
        expect_error("1,2\n3," + std::string(word) + "\n", {"line 2, column 2", "finite", word});
        expect_error(std::string(word) + ",2\n3,4\n", {"line 1, column 1", "finite", word});
    }
}

TEST_F(Csv, NumbersBeyondF32AreErrors)
{
    expect_error("1,2\n1e39,4\n", {"line 2, column 1", "range of F32", "'1e39'"});
    expect_error("1,2\n1,-1e999999999999\n", {"line 2, column 2", "range of F32", "'-1e999999999999'"});
}

TEST_F(Csv, ClassMustBeAnIntegerFromZeroBelowTwoToThe31)
{
    for (const char *label : {"-1", "1.5", "2147483648", "1e300", "1e999", "0.1", "-2147483648"}) {
        expect_error("1,2\n3," + std::string(label) + "\n",
                     {"line 2, column 2", "a class, an integer from 0 below 2^31", label}, -1, true);
    }
    expect_error("1,2\n3,cat\n", {"line 2, column 2", "'cat'"}, -1, true);
}

TEST_F(Csv, TargetColumnMustBeInTheFile)
{
    for (int target : {2, -3, INT_MAX, INT_MIN}) {
        expect_error("1,2\n3,4\n", {"target column " + std::to_string(target), "2 columns"}, target, false,
                     CT_ERR_ARGUMENT);
    }
}

TEST_F(Csv, OneColumnIsTooFew)
{
    expect_error("1\n2\n", {"line 1", "at least 2 columns", "found 1"}, 0);
    expect_error("a;b\n1;2\n", {"line 1", "at least 2 columns", "found 1"}, 0);
}

TEST_F(Csv, LineLongerThanTheLimitIsAnError)
{
    std::string path = dir.write_gz("bad.csv.gz", "1,2\n" + std::string((64u << 20) + 1, '1') + "\n");
    expect_error_in(path, {"line 2", "longer than 67108864 bytes"});
}

TEST_F(Csv, GzipWithAWrongChecksumIsDamaged)
{
    dir.write_gz("bad.csv.gz", "1,2\n3,4\n");
    std::string file = dir.read("bad.csv.gz");
    file[file.size() - 8] = static_cast<char>(file[file.size() - 8] ^ 1);
    expect_error_in(dir.write("bad.csv.gz", file), {"damaged", "data check"});
}

std::string sample()
{
    std::string text = "\xEF\xBB\xBFlength,\"a, b\",class\r\n";
    for (int i = 0; i < 40; i++) text += std::to_string(i * 0.37) + ", -1." + std::to_string(i) + "e-2 ,2\r\n";
    return text;
}

TEST_F(Csv, EveryTruncationOfAGzipIsAnError)
{
    dir.write_gz("whole.csv.gz", sample());
    std::string packed = dir.read("whole.csv.gz");
    for (size_t n = 0; n < packed.size(); n++) expect_error_in(dir.write("a.csv.gz", packed.substr(0, n)), {});
}

TEST_F(Csv, DamagedFilesNeverLoadHalfATable)
{
    dir.write_gz("whole.csv.gz", sample());
    std::string plain = sample(), packed = dir.read("whole.csv.gz");
    std::vector<std::string> files;
    for (size_t n = 0; n < plain.size(); n++) files.push_back(plain.substr(0, n));
    for (const std::string &good : {plain, packed}) {
        for (size_t i = 0; i < good.size() * 2; i++) {
            files.push_back(good);
            char &byte = files.back()[i / 2];
            byte = static_cast<char>(byte ^ (i % 2 ? 0xff : 1 << i / 2 % 8));
        }
    }
    for (size_t i = 0; i < files.size(); i++) {
        int64_t blocks = live_blocks;
        bool classes = i % 2 == 0;
        ct_status status = ct_csv_read(ctx, dir.write("a.csv", files[i]).c_str(), -1, classes, &x, &y);
        EXPECT_TRUE(status == CT_OK || status == CT_ERR_IO) << i << ": " << ct_error_message(ctx);
        EXPECT_EQ(is_zero(x), status != CT_OK) << i;
        EXPECT_EQ(is_zero(y), status != CT_OK) << i;
        release();
        EXPECT_EQ(live_blocks, blocks) << i;
    }
}

TEST_F(Csv, EveryFailedAllocationIsAMemoryError)
{
    std::string text;
    for (int i = 0; i < 2000; i++) text += std::to_string(i) + ",2,3\n";
    std::string path = dir.write("a.csv", text);
    for (int64_t n = 0;; n++) {
        ASSERT_LT(n, 200);
        allocations_left = n;
        int64_t blocks = live_blocks;
        ct_status status = ct_csv_read(ctx, path.c_str(), -1, false, &x, &y);
        allocations_left = INT64_MAX;
        if (status == CT_OK) break;
        expect_failed(status, CT_ERR_MEMORY, {path, "line ", "no memory"});
        EXPECT_TRUE(is_zero(x) && is_zero(y));
        EXPECT_EQ(live_blocks, blocks);
    }
}

} // namespace

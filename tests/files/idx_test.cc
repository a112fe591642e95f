// IDX files: every element type, plain and gzip, and every way a file can be wrong.
#include "files_test.h"

namespace
{

// The header and the data of an IDX file, byte by byte.
std::string idx(int type, const std::vector<uint32_t> &shape, const std::string &data)
{
    std::string file = {'\0', '\0', static_cast<char>(type), static_cast<char>(shape.size())};
    for (uint32_t size : shape) {
        for (int shift = 24; shift >= 0; shift -= 8) file += static_cast<char>(size >> shift & 0xff);
    }
    return file + data;
}

std::string bytes(const std::vector<int> &values)
{
    std::string text;
    for (int value : values) text += static_cast<char>(value);
    return text;
}

class Idx : public FilesTest
{
  protected:
    void TearDown() override
    {
        ct_array_file_free(ctx, &array);
        FilesTest::TearDown();
    }
    void expect_read(const std::string &path, ct_dtype dtype, const std::vector<int64_t> &expected_shape)
    {
        ct_array_file_free(ctx, &array);
        ASSERT_EQ(ct_idx_read(ctx, path.c_str(), &array), CT_OK) << ct_error_message(ctx);
        EXPECT_EQ(array.dtype, dtype);
        EXPECT_EQ(shape(array), expected_shape);
    }
    void expect_error(const std::string &path, const std::vector<std::string> &parts, ct_status expected = CT_ERR_IO)
    {
        int64_t blocks = live_blocks;
        std::memset(&array, 0x55, sizeof array);
        ct_status status = ct_idx_read(ctx, path.c_str(), &array);
        expect_failed(status, expected, parts);
        expect_failed(status, expected, {path});
        EXPECT_TRUE(is_zero(array));
        EXPECT_EQ(live_blocks, blocks);
    }

    ct_array_file array = {};
};

TEST_F(Idx, U8KeepsItsValuesAndShape)
{
    expect_read(dir.write("a.idx", idx(0x08, {2, 3}, bytes({0, 1, 127, 128, 254, 255}))), CT_U8, {2, 3});
    EXPECT_EQ(array.numel, 6);
    EXPECT_EQ(values<uint8_t>(array), (std::vector<uint8_t>{0, 1, 127, 128, 254, 255}));
}

TEST_F(Idx, I8WidensToI32WithItsSign)
{
    expect_read(dir.write("a.idx", idx(0x09, {4}, bytes({0, 127, 128, 255}))), CT_I32, {4});
    EXPECT_EQ(values<int32_t>(array), (std::vector<int32_t>{0, 127, -128, -1}));
}

TEST_F(Idx, I16WidensToI32WithItsSign)
{
    expect_read(dir.write("a.idx", idx(0x0B, {3}, bytes({0x01, 0x02, 0x80, 0x00, 0xff, 0xfe}))), CT_I32, {3});
    EXPECT_EQ(values<int32_t>(array), (std::vector<int32_t>{258, -32768, -2}));
}

TEST_F(Idx, I32IsReadBigEndian)
{
    expect_read(dir.write("a.idx", idx(0x0C, {2}, bytes({1, 2, 3, 4, 0xff, 0xff, 0xff, 0xfd}))), CT_I32, {2});
    EXPECT_EQ(values<int32_t>(array), (std::vector<int32_t>{0x01020304, -3}));
}

TEST_F(Idx, F32IsReadBigEndian)
{
    expect_read(dir.write("a.idx", idx(0x0D, {2}, bytes({0x3f, 0x80, 0, 0, 0xc0, 0x20, 0, 0}))), CT_F32, {2});
    EXPECT_EQ(values<float>(array), (std::vector<float>{1.0f, -2.5f}));
}

TEST_F(Idx, F64IsReadBigEndian)
{
    std::string data = bytes({0xbf, 0xf8, 0, 0, 0, 0, 0, 0, 0x3f, 0xb9, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a});
    expect_read(dir.write("a.idx", idx(0x0E, {2, 1}, data)), CT_F64, {2, 1});
    EXPECT_EQ(values<double>(array), (std::vector<double>{-1.5, 0.1}));
}

TEST_F(Idx, SixDimensionsAreRead)
{
    expect_read(dir.write("a.idx", idx(0x08, {1, 2, 1, 2, 1, 1}, "abcd")), CT_U8, {1, 2, 1, 2, 1, 1});
}

TEST_F(Idx, GzipGivesTheSameAsPlain)
{
    std::string data;
    for (int i = 0; i < 200000; i++) data += static_cast<char>(i * 7 % 251 + (i >> 12));
    for (int type : {0x08, 0x09, 0x0B, 0x0C, 0x0D, 0x0E}) {
        uint32_t stored = type == 0x0E ? 8 : type >= 0x0C ? 4 : type == 0x0B ? 2 : 1;
        std::string file = idx(type, {50, 4000 / stored}, data);
        ct_array_file plain = {};
        ASSERT_EQ(ct_idx_read(ctx, dir.write("a.idx", file).c_str(), &plain), CT_OK) << ct_error_message(ctx);
        expect_read(dir.write_gz("a.idx.gz", file), plain.dtype, shape(plain));
        size_t element = plain.dtype == CT_U8 ? 1 : plain.dtype == CT_F64 ? 8 : 4;
        EXPECT_EQ(std::memcmp(plain.data, array.data, element * static_cast<size_t>(plain.numel)), 0) << type;
        ct_array_file_free(ctx, &plain);
    }
}

TEST_F(Idx, FreeZeroesTheArrayAndTakesAZeroedOne)
{
    expect_read(dir.write("a.idx", idx(0x08, {2}, "ab")), CT_U8, {2});
    ct_array_file_free(ctx, &array);
    EXPECT_TRUE(is_zero(array));
    ct_array_file_free(ctx, &array);
    ct_array_file_free(ctx, nullptr);
}

TEST_F(Idx, MissingFileSaysSo) { expect_error(dir.path("missing.idx"), {"No such file or directory"}); }

TEST_F(Idx, DirectoryIsNotAFile) { expect_error(dir.path("."), {"is a directory"}); }

TEST_F(Idx, NullArgumentsAreArgumentErrors)
{
    expect_failed(ct_idx_read(ctx, nullptr, &array), CT_ERR_ARGUMENT, {"path is NULL"});
    EXPECT_TRUE(is_zero(array));
    expect_failed(ct_idx_read(ctx, "x.idx", nullptr), CT_ERR_ARGUMENT, {"x.idx", "NULL"});
    EXPECT_EQ(ct_idx_read(nullptr, "x.idx", &array), CT_ERR_ARGUMENT);
}

TEST_F(Idx, EmptyFileSaysSo)
{
    expect_error(dir.write("a.idx", ""), {"empty"});
    expect_error(dir.write_gz("a.idx.gz", ""), {"empty"});
}

TEST_F(Idx, WrongMagicShowsTheBytesFound)
{
    expect_error(dir.write("a.idx", "PK\x03\x04 and more"), {"expected", "00 00", "found 50 4b"});
}

TEST_F(Idx, UnsupportedTypeByteIsNamed)
{
    expect_error(dir.write("a.idx", idx(0x0A, {1}, "a")), {"type byte", "08, 09, 0b, 0c, 0d or 0e", "found 0a"});
}

TEST_F(Idx, NumberOfDimensionsIsOneToSix)
{
    expect_error(dir.write("a.idx", idx(0x08, {}, "a")), {"1 to 6 dimensions", "found 0"});
    expect_error(dir.write("a.idx", idx(0x08, {1, 1, 1, 1, 1, 1, 1}, "a")), {"1 to 6 dimensions", "found 7"});
}

TEST_F(Idx, ZeroDimensionIsNamed)
{
    expect_error(dir.write("a.idx", idx(0x08, {3, 0}, "")), {"[3,0]", "dimension 1 is zero"});
}

TEST_F(Idx, OverflowingShapeIsShown)
{
    std::string file = idx(0x0E, {0xffffffffu, 0xffffffffu, 0xffffffffu}, "abc");
    expect_error(dir.write("a.idx", file), {"[4294967295,4294967295,4294967295]", "overflows"});
    expect_error(dir.write_gz("a.idx.gz", file), {"[4294967295,4294967295,4294967295]", "overflows"});
}

TEST_F(Idx, LyingHeaderDoesNotAllocateWhatItPromises)
{
    std::string file = idx(0x0D, {0x7fffffffu, 1000}, "12345678"); // 8 TB
    largest_allocation = 0;
    expect_error(dir.write("a.idx", file), {"truncated", "expected 8589934588000 bytes", "found 8"});
    expect_error(dir.write_gz("a.idx.gz", file), {"truncated", "expected 8589934588000 bytes", "found 8"});
    EXPECT_LT(largest_allocation, size_t{1} << 20);
}

TEST_F(Idx, TruncatedDataNamesTheFile)
{
    std::string file = idx(0x0B, {2, 2}, "1234567");
    expect_error(dir.write("short.idx", file), {"short.idx", "truncated", "expected 8 bytes", "found 7"});
    expect_error(dir.write_gz("short.idx.gz", file), {"short.idx.gz", "truncated", "expected 8 bytes", "found 7"});
}

TEST_F(Idx, TruncatedHeaderTellsHowMuchThereIs)
{
    expect_error(dir.write("a.idx", idx(0x08, {2, 2}, "").substr(0, 3)), {"header", "expected 4", "found 3"});
    expect_error(dir.write("a.idx", idx(0x08, {2, 2}, "").substr(0, 9)), {"header", "expected 12", "found 9"});
}

TEST_F(Idx, TrailingBytesAreAnError)
{
    std::string file = idx(0x08, {2, 2}, "abcde");
    expect_error(dir.write("a.idx", file), {"trailing", "[2,2]", "expected 4 bytes"});
    expect_error(dir.write_gz("a.idx.gz", file), {"trailing", "[2,2]", "expected 4 bytes"});
}

TEST_F(Idx, GzipWithAWrongChecksumIsDamaged)
{
    dir.write_gz("a.idx.gz", idx(0x08, {4}, "abcd"));
    std::string file = dir.read("a.idx.gz");
    file[file.size() - 8] = static_cast<char>(file[file.size() - 8] ^ 1);
    expect_error(dir.write("a.idx.gz", file), {"damaged", "data check"});
}

TEST_F(Idx, VeryLongPathLeavesRoomForTheReason)
{
    std::string path = dir.path("") + std::string(3000, 'a') + "/end.idx";
    expect_failed(ct_idx_read(ctx, path.c_str(), &array), CT_ERR_IO, {"end.idx", "cannot open"});
}

TEST_F(Idx, EveryTruncationIsAnError)
{
    std::string data;
    for (int i = 0; i < 300; i++) data += static_cast<char>(i * i % 256);
    dir.write_gz("whole.idx.gz", idx(0x08, {3, 100}, data));
    std::string plain = idx(0x08, {3, 100}, data), packed = dir.read("whole.idx.gz");
    for (size_t n = 0; n < plain.size(); n++) expect_error(dir.write("a.idx", plain.substr(0, n)), {});
    for (size_t n = 0; n < packed.size(); n++) expect_error(dir.write("a.idx.gz", packed.substr(0, n)), {});
}

TEST_F(Idx, FlippedBytesNeverLoadHalfAnArray)
{
    std::string data;
    for (int i = 0; i < 60; i++) data += static_cast<char>(i % 7);
    dir.write_gz("whole.idx.gz", idx(0x08, {3, 20}, data));
    std::string plain = idx(0x08, {3, 20}, data), packed = dir.read("whole.idx.gz");
    for (const std::string &good : {plain, packed}) {
        for (size_t i = 0; i < good.size() * 9; i++) {
            std::string bad = good;
            int mask = i % 9 == 8 ? 0xff : 1 << i % 9;
            bad[i / 9] = static_cast<char>(bad[i / 9] ^ mask);
            int64_t blocks = live_blocks;
            ct_status status = ct_idx_read(ctx, dir.write("a.idx", bad).c_str(), &array);
            EXPECT_TRUE(status == CT_OK || status == CT_ERR_IO) << i << ": " << ct_error_message(ctx);
            EXPECT_EQ(is_zero(array), status != CT_OK) << i;
            ct_array_file_free(ctx, &array);
            EXPECT_EQ(live_blocks, blocks) << i;
        }
    }
}

TEST_F(Idx, EveryFailedAllocationIsAMemoryError)
{
    std::string file = idx(0x09, {200000}, std::string(200000, 'a'));
    for (const std::string &path : {dir.write("a.idx", file), dir.write_gz("a.idx.gz", file)}) {
        for (int64_t n = 0;; n++) {
            ASSERT_LT(n, 100);
            allocations_left = n;
            int64_t blocks = live_blocks;
            ct_status status = ct_idx_read(ctx, path.c_str(), &array);
            allocations_left = INT64_MAX;
            if (status == CT_OK) break;
            expect_failed(status, CT_ERR_MEMORY, {path, "no memory", "[200000]"});
            EXPECT_TRUE(is_zero(array));
            EXPECT_EQ(live_blocks, blocks);
        }
        ct_array_file_free(ctx, &array);
    }
}

} // namespace

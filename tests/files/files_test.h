// The fixture of the tests of files/: a CPU context whose host memory is counted and
// can be made to run out, a directory, and a check of a failed call's message.
#ifndef CUTAPE_TESTS_FILES_TEST_H
#define CUTAPE_TESTS_FILES_TEST_H

#include "files/files.h"
#include "support/temp_dir.h"
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <gtest/gtest.h>
#include <string>
#include <vector>

class FilesTest : public testing::Test
{
  protected:
    void SetUp() override
    {
        ct_config config = {};
        config.device = CT_DEVICE_CPU;
        config.host_alloc = [](void *user, size_t bytes) { return static_cast<FilesTest *>(user)->allocate(bytes); };
        config.host_free = [](void *user, void *memory) {
            if (memory) static_cast<FilesTest *>(user)->live_blocks--;
            std::free(memory);
        };
        config.host_user = this;
        ASSERT_EQ(ct_create(&config, &ctx), CT_OK);
    }
    void TearDown() override
    {
        ct_destroy(ctx);
        EXPECT_EQ(live_blocks, 0);
    }

    // The call failed with `expected`, and its message holds every one of `parts`.
    void expect_failed(ct_status status, ct_status expected, const std::vector<std::string> &parts) const
    {
        std::string message = ct_error_message(ctx);
        EXPECT_EQ(status, expected) << message;
        for (const std::string &part : parts) {
            EXPECT_NE(message.find(part), std::string::npos) << "no \"" << part << "\" in: " << message;
        }
    }
    static bool is_zero(const ct_array_file &array)
    {
        static const ct_array_file zero = {};
        return array.data == nullptr && array.numel == 0 && array.ndim == 0 && array.dtype == zero.dtype &&
               std::memcmp(array.shape, zero.shape, sizeof zero.shape) == 0;
    }
    template <typename T> static std::vector<T> values(const ct_array_file &array)
    {
        const T *data = static_cast<const T *>(array.data);
        return data ? std::vector<T>(data, data + array.numel) : std::vector<T>();
    }
    static std::vector<int64_t> shape(const ct_array_file &array)
    {
        return std::vector<int64_t>(array.shape, array.shape + array.ndim);
    }

    ct_context *ctx = nullptr;
    TempDir dir;
    int64_t live_blocks = 0;
    int64_t allocations_left = INT64_MAX; // then there is no memory
    size_t largest_allocation = 0;

  private:
    void *allocate(size_t bytes)
    {
        if (allocations_left <= 0) return nullptr;
        allocations_left--;
        if (bytes > largest_allocation) largest_allocation = bytes;
        void *memory = std::malloc(bytes);
        if (memory) live_blocks++;
        return memory;
    }
};

#endif

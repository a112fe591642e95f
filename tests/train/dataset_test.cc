// Data sets from memory, IDX and CSV: what is accepted, what is refused and how, and
// that no failure leaves memory or an error of a file call behind.
#include "files/files_test.h"
#include "train/train_test.h"

namespace
{

// A context with counted host memory (tests/files), and loaders to look into a data set.
class DatasetTest : public FilesTest
{
  protected:
    void TearDown() override
    {
        data_.reset();
        FilesTest::TearDown();
    }
    // All rows, in order: what a loader over the whole set gives.
    void read_all(std::vector<int64_t> *x_shape, Values *x, std::vector<int64_t> *y_shape, Values *y)
    {
        ct_loader_config config = {};
        config.batch = ct_dataset_size(data_.get());
        config.scale = 1;
        ct_loader *raw = nullptr;
        ASSERT_EQ(ct_loader_create(data_.get(), &config, &raw), CT_OK) << ct_error_message(ctx);
        const Loader loader(raw);
        ct_tensor tx, ty;
        ASSERT_EQ(ct_loader_next(raw, &tx, &ty), CT_OK) << ct_error_message(ctx);
        *x = read(tx, x_shape, &x_dtype_);
        *y = read(ty, y_shape, &y_dtype_);
        ASSERT_EQ(ct_step_end(ctx), CT_OK);
    }
    Values read(ct_tensor tensor, std::vector<int64_t> *shape, int32_t *dtype)
    {
        ct_info info;
        EXPECT_EQ(ct_describe(ctx, tensor, &info), CT_OK);
        shape->assign(info.shape, info.shape + info.ndim);
        *dtype = info.dtype;
        const size_t n = static_cast<size_t>(info.numel), one = element_bytes(static_cast<ct_dtype>(info.dtype));
        std::vector<unsigned char> bytes(n * one + 8);
        EXPECT_EQ(ct_read(ctx, tensor, bytes.data(), n * one), CT_OK) << ct_error_message(ctx);
        Values values(n);
        for (size_t i = 0; i < n; ++i) {
            const void *at = bytes.data() + i * one;
            switch (info.dtype) {
            case CT_F32: values[i] = static_cast<double>(*static_cast<const float *>(at)); break;
            case CT_F64: values[i] = *static_cast<const double *>(at); break;
            case CT_I32: values[i] = *static_cast<const int32_t *>(at); break;
            case CT_U8: values[i] = *static_cast<const uint8_t *>(at); break;
            default: values[i] = static_cast<double>(*static_cast<const int64_t *>(at));
            }
        }
        return values;
    }
    ct_status create(int64_t n, ct_dtype xd, std::vector<int64_t> x_shape, const void *x, ct_dtype yd,
                     std::vector<int64_t> y_shape, const void *y)
    {
        ct_dataset *raw = reinterpret_cast<ct_dataset *>(this);
        const ct_status status = ct_dataset_create(ctx, n, xd, static_cast<int>(x_shape.size()), x_shape.data(), x, yd,
                                                   static_cast<int>(y_shape.size()), y_shape.data(), y, &raw);
        EXPECT_EQ(raw == nullptr, status != CT_OK);
        data_.reset(raw);
        return status;
    }
    // A recording call failed, keeping neither pool nor host memory.
    void expect_refused(ct_status status, ct_status expected)
    {
        expect_failed(status, expected, {"ct_dataset_create"});
        EXPECT_EQ(ct_error(ctx), expected);
        ct_clear_error(ctx);
        EXPECT_EQ(pool_in_use(), 0);
    }
    int64_t pool_in_use()
    {
        ct_stats stats;
        ct_get_stats(ctx, &stats);
        return stats.pool_in_use;
    }

    Dataset data_;
    int32_t x_dtype_ = -1, y_dtype_ = -1;
};

// ---- from memory -----------------------------------------------------------------------------------------------

TEST_F(DatasetTest, KeepsShapesDtypesAndValues)
{
    std::vector<double> x(12);
    std::iota(x.begin(), x.end(), 0.5);
    std::vector<int64_t> y = {int64_t(1) << 40, -7};
    ASSERT_EQ(create(2, CT_F64, {3, 2}, x.data(), CT_I64, {}, y.data()), CT_OK);
    x.assign(12, -1); // it was copied
    y.assign(2, -1);
    EXPECT_EQ(ct_dataset_size(data_.get()), 2);
    std::vector<int64_t> x_shape, y_shape;
    Values found_x, found_y;
    read_all(&x_shape, &found_x, &y_shape, &found_y);
    EXPECT_EQ(x_shape, (std::vector<int64_t>{2, 3, 2}));
    EXPECT_EQ(y_shape, (std::vector<int64_t>{2}));
    EXPECT_EQ(x_dtype_, CT_F64);
    EXPECT_EQ(y_dtype_, CT_I64);
    EXPECT_EQ(found_x.at(11), 11.5);
    EXPECT_EQ(found_y, (Values{1099511627776.0, -7}));
}

TEST_F(DatasetTest, FiveDims_AreTheMost)
{
    std::vector<float> x(32, 1.5f);
    expect_refused(create(1, CT_F32, {1, 1, 1, 1, 1, 1}, x.data(), CT_F32, {}, x.data()), CT_ERR_SHAPE);
    expect_refused(create(1, CT_F32, {}, x.data(), CT_F32, {1, 1, 1, 1, 1, 1}, x.data()), CT_ERR_SHAPE);
    ASSERT_EQ(create(1, CT_F32, {2, 2, 2, 2, 2}, x.data(), CT_F32, {1, 1, 1, 1, 2}, x.data()), CT_OK);
    std::vector<int64_t> x_shape, y_shape;
    Values found_x, found_y;
    read_all(&x_shape, &found_x, &y_shape, &found_y);
    EXPECT_EQ(x_shape, (std::vector<int64_t>{1, 2, 2, 2, 2, 2}));
    EXPECT_EQ(y_shape, (std::vector<int64_t>{1, 1, 1, 1, 1, 2}));
}

TEST_F(DatasetTest, NoExamples_AreRefused)
{
    const float x[4] = {};
    for (const int64_t n : {int64_t(0), int64_t(-1), INT64_MIN})
        expect_refused(create(n, CT_F32, {2}, x, CT_F32, {}, x), CT_ERR_ARGUMENT);
}

TEST_F(DatasetTest, Null_IsRefused)
{
    const float x[4] = {};
    expect_refused(create(2, CT_F32, {2}, nullptr, CT_F32, {}, x), CT_ERR_ARGUMENT);
    expect_refused(create(2, CT_F32, {2}, x, CT_F32, {}, nullptr), CT_ERR_ARGUMENT);
    ct_dataset *raw = nullptr;
    expect_refused(ct_dataset_create(ctx, 2, CT_F32, 1, nullptr, x, CT_F32, 0, nullptr, x, &raw), CT_ERR_ARGUMENT);
    expect_failed(ct_dataset_create(ctx, 2, CT_F32, 0, nullptr, x, CT_F32, 0, nullptr, x, nullptr), CT_ERR_ARGUMENT,
                  {"ct_dataset_create"});
    ct_clear_error(ctx);
    EXPECT_EQ(ct_dataset_create(nullptr, 2, CT_F32, 0, nullptr, x, CT_F32, 0, nullptr, x, &raw), CT_ERR_ARGUMENT);
    EXPECT_EQ(ct_dataset_size(nullptr), 0);
    ct_dataset_destroy(nullptr);
}

TEST_F(DatasetTest, SizesThatMakeNoSense_AreRefusedWithoutMemory)
{
    const float x[4] = {};
    ct_dataset *raw = nullptr;
    for (const int64_t size : {int64_t(-1), INT64_MAX, INT64_MAX / 4}) {
        const ct_status status = ct_dataset_create(ctx, 2, CT_F32, 1, &size, x, CT_F32, 0, nullptr, x, &raw);
        EXPECT_TRUE(status == CT_ERR_SHAPE || status == CT_ERR_MEMORY) << size << ": " << ct_status_name(status);
        EXPECT_EQ(raw, nullptr);
        ct_clear_error(ctx);
    }
    for (const int dtype : {-1, 99}) {
        const ct_status status =
            ct_dataset_create(ctx, 2, static_cast<ct_dtype>(dtype), 0, nullptr, x, CT_F32, 0, nullptr, x, &raw);
        EXPECT_TRUE(status == CT_ERR_DTYPE || status == CT_ERR_ARGUMENT) << ct_status_name(status);
        ct_clear_error(ctx);
    }
    EXPECT_EQ(pool_in_use(), 0);
}

TEST_F(DatasetTest, Destroyed_GivesItsMemoryBack_OnceNoLoaderHoldsIt)
{
    const std::vector<float> x(1000);
    ASSERT_EQ(create(1000, CT_F32, {}, x.data(), CT_F32, {}, x.data()), CT_OK);
    ct_loader_config config = {};
    config.batch = 10;
    ct_loader *raw = nullptr;
    ASSERT_EQ(ct_loader_create(data_.get(), &config, &raw), CT_OK);
    data_.reset();
    EXPECT_GE(pool_in_use(), 8000);
    ct_tensor tx, ty;
    EXPECT_EQ(ct_loader_next(raw, &tx, &ty), CT_OK);
    EXPECT_EQ(ct_step_end(ctx), CT_OK);
    ct_loader_destroy(raw);
    EXPECT_LT(pool_in_use(), 8000); // the program of the step still has its own
}

TEST_F(DatasetTest, HostMemoryRunsOut_NothingLeaksAndTheNextTryWorks)
{
    const float x[4] = {};
    ct_status status = CT_ERR_MEMORY;
    int64_t budget = 0;
    for (; status != CT_OK && budget < 100; ++budget) {
        allocations_left = budget;
        status = create(2, CT_F32, {2}, x, CT_F32, {}, x);
        allocations_left = INT64_MAX;
        if (status == CT_OK) break;
        EXPECT_EQ(status, CT_ERR_MEMORY);
        ct_clear_error(ctx);
        EXPECT_EQ(pool_in_use(), 0) << "with " << budget << " allocations";
    }
    EXPECT_EQ(status, CT_OK);
    EXPECT_GT(budget, 0);
}

TEST_F(DatasetTest, HostMemoryRunsOut_InEveryOtherConstructor)
{
    const float x[4] = {};
    ASSERT_EQ(create(2, CT_F32, {2}, x, CT_F32, {}, x), CT_OK);
    ct_mlp *mlp = nullptr;
    ct_optimizer *adam = nullptr;
    ct_loader *loader = nullptr;
    const int64_t widths[] = {2, 3, 1};
    ct_mlp_config mlp_config = {};
    mlp_config.n_layers = 2;
    mlp_config.widths = widths;
    ct_loader_config loader_config = {};
    loader_config.batch = 2;
    const auto try_all = [&](const auto &call) {
        ct_status status = CT_ERR_MEMORY;
        for (int64_t budget = 0; status != CT_OK && budget < 200; ++budget) {
            const int64_t before = pool_in_use();
            allocations_left = budget;
            status = call();
            allocations_left = INT64_MAX;
            if (status == CT_OK) break;
            EXPECT_EQ(status, CT_ERR_MEMORY) << ct_error_message(ctx);
            ct_clear_error(ctx);
            EXPECT_EQ(pool_in_use(), before) << "with " << budget << " allocations";
        }
        EXPECT_EQ(status, CT_OK);
    };
    try_all([&] { return ct_mlp_create(ctx, &mlp_config, &mlp); });
    try_all([&] { return ct_adam_create(ctx, ct_mlp_params(mlp), nullptr, &adam); });
    try_all([&] { return ct_loader_create(data_.get(), &loader_config, &loader); });
    ct_loader_destroy(loader);
    ct_optimizer_destroy(adam);
    ct_mlp_destroy(mlp);
}

TEST(DatasetLife, ContextDestroyedFirst_CallsFailAndDestroyWorks)
{
    ct_config config = {};
    config.device = CT_DEVICE_CPU;
    ct_context *ctx = nullptr;
    ASSERT_EQ(ct_create(&config, &ctx), CT_OK);
    const float x[4] = {};
    ct_dataset *data = nullptr;
    ASSERT_EQ(ct_dataset_create(ctx, 4, CT_F32, 0, nullptr, x, CT_F32, 0, nullptr, x, &data), CT_OK);
    ct_loader_config c = {};
    c.batch = 2;
    ct_loader *loader = nullptr, *late = nullptr;
    ASSERT_EQ(ct_loader_create(data, &c, &loader), CT_OK);
    ct_destroy(ctx);
    ct_tensor tx = {1}, ty = {1};
    EXPECT_EQ(ct_loader_next(loader, &tx, &ty), CT_ERR_STATE);
    EXPECT_EQ(tx.bits, 0u);
    EXPECT_EQ(ty.bits, 0u);
    EXPECT_EQ(ct_loader_create(data, &c, &late), CT_ERR_STATE);
    EXPECT_EQ(ct_dataset_size(data), 4);
    EXPECT_EQ(ct_loader_batches(loader), 2);
    ct_dataset_destroy(data);
    ct_loader_destroy(loader);
}

// ---- IDX -------------------------------------------------------------------------------------------------------

// An IDX file of bytes counting up from `first`.
std::string idx(const std::vector<uint32_t> &shape, int first = 0, int type = 0x08, int element = 1)
{
    std::string file = {'\0', '\0', static_cast<char>(type), static_cast<char>(shape.size())};
    uint32_t n = 1;
    for (const uint32_t size : shape) {
        n *= size;
        for (int shift = 24; shift >= 0; shift -= 8) file += static_cast<char>(size >> shift & 0xff);
    }
    for (uint32_t i = 0; i < n * static_cast<uint32_t>(element); ++i)
        file += static_cast<char>(first + static_cast<int>(i));
    return file;
}

class IdxDataset : public DatasetTest
{
  protected:
    ct_status load(const std::string &images, const std::string &labels)
    {
        ct_dataset *raw = reinterpret_cast<ct_dataset *>(this);
        const ct_status status = ct_dataset_load_idx(ctx, images.c_str(), labels.c_str(), &raw);
        EXPECT_EQ(raw == nullptr, status != CT_OK);
        data_.reset(raw);
        return status;
    }
    // A file call: no error stands after it, and what was recorded before is still there.
    void expect_file_error(const std::string &images, const std::string &labels, ct_status expected,
                           const std::vector<std::string> &parts)
    {
        const int64_t size = 2;
        const ct_tensor leaf = ct_leaf(ctx, CT_F32, 1, &size, nullptr);
        const ct_tensor pending = ct_add_scalar(ctx, leaf, 1);
        expect_failed(load(images, labels), expected, parts);
        EXPECT_EQ(ct_error(ctx), CT_OK);
        ct_clear_error(ctx);
        float values[2] = {};
        EXPECT_EQ(ct_read(ctx, pending, values, sizeof values), CT_OK) << ct_error_message(ctx);
        EXPECT_EQ(values[1], 1);
        ct_clear_error(ctx);
        EXPECT_EQ(ct_step_end(ctx), CT_OK);
        ct_release(ctx, leaf);
    }
};

TEST_F(IdxDataset, Pair_IsLoadedPlainAndPacked)
{
    const std::string images = dir.write("images", idx({3, 2, 2})), labels = dir.write("labels", idx({3}, 7));
    const std::string packed_images = dir.write_gz("images.gz", idx({3, 2, 2}));
    const std::string packed_labels = dir.write_gz("labels.gz", idx({3}, 7));
    for (const auto &pair : {std::pair{images, labels}, {packed_images, packed_labels}, {packed_images, labels}}) {
        ASSERT_EQ(load(pair.first, pair.second), CT_OK) << ct_error_message(ctx);
        EXPECT_EQ(ct_dataset_size(data_.get()), 3);
        std::vector<int64_t> x_shape, y_shape;
        Values x, y;
        read_all(&x_shape, &x, &y_shape, &y);
        EXPECT_EQ(x_shape, (std::vector<int64_t>{3, 2, 2}));
        EXPECT_EQ(x_dtype_, CT_F32);
        EXPECT_EQ(x, (Values{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}));
        EXPECT_EQ(y_shape, (std::vector<int64_t>{3}));
        EXPECT_EQ(y_dtype_, CT_U8);
        EXPECT_EQ(y, (Values{7, 8, 9}));
    }
}

TEST_F(IdxDataset, DifferentCounts_AreNamed)
{
    const std::string images = dir.write("images", idx({3, 2, 2})), labels = dir.write("labels", idx({4}));
    expect_file_error(images, labels, CT_ERR_IO, {images, labels, "3", "4"});
}

TEST_F(IdxDataset, SwappedFiles_AreNoticed)
{
    const std::string images = dir.write("images", idx({3, 2, 2})), labels = dir.write("labels", idx({3}));
    expect_file_error(labels, images, CT_ERR_IO, {images});
    expect_file_error(images, images, CT_ERR_IO, {images});
}

TEST_F(IdxDataset, LabelsThatAreNotIntegers_AreNoticed)
{
    const std::string images = dir.write("images", idx({3, 2, 2}));
    const std::string labels = dir.write("labels", idx({3}, 0, 0x0D, 4));
    expect_file_error(images, labels, CT_ERR_IO, {labels});
}

TEST_F(IdxDataset, BrokenFiles_AreNamed)
{
    const std::string images = dir.write("images", idx({3, 2, 2})), labels = dir.write("labels", idx({3}));
    const std::string cut = dir.write("cut", idx({3, 2, 2}).substr(0, 20)), missing = dir.path("missing");
    expect_file_error(missing, labels, CT_ERR_IO, {missing});
    expect_file_error(images, missing, CT_ERR_IO, {missing});
    expect_file_error(cut, labels, CT_ERR_IO, {cut});
    expect_file_error(images, dir.write("empty", ""), CT_ERR_IO, {"empty"});
    expect_file_error(images, dir.write("text", "1,2,3\n"), CT_ERR_IO, {"text"});
}

TEST_F(IdxDataset, NoExamples_IsAFileErrorThatDoesNotStand)
{
    const std::string images = dir.write("images", idx({0, 2, 2})), labels = dir.write("labels", idx({0}));
    expect_file_error(images, labels, CT_ERR_IO, {images});
}

TEST_F(IdxDataset, Null_IsRefused)
{
    ct_dataset *raw = nullptr;
    EXPECT_EQ(ct_dataset_load_idx(ctx, nullptr, "x", &raw), CT_ERR_ARGUMENT);
    EXPECT_EQ(ct_dataset_load_idx(ctx, "x", "y", nullptr), CT_ERR_ARGUMENT);
    EXPECT_EQ(ct_dataset_load_idx(nullptr, "x", "y", &raw), CT_ERR_ARGUMENT);
    const std::string images = dir.write("images", idx({3, 2, 2}));
    EXPECT_EQ(ct_dataset_load_idx(ctx, images.c_str(), nullptr, &raw), CT_ERR_ARGUMENT);
    EXPECT_EQ(ct_error(ctx), CT_OK);
}

// ---- CSV -------------------------------------------------------------------------------------------------------

class CsvDataset : public DatasetTest
{
  protected:
    ct_status load(const std::string &path, int target, bool classes)
    {
        ct_dataset *raw = reinterpret_cast<ct_dataset *>(this);
        const ct_status status = ct_dataset_load_csv(ctx, path.c_str(), target, classes, &raw);
        EXPECT_EQ(raw == nullptr, status != CT_OK);
        data_.reset(raw);
        return status;
    }
};

TEST_F(CsvDataset, Numbers_AreF32)
{
    ASSERT_EQ(load(dir.write("a.csv", "a,b,c\n1,2,3\n4,5,6.5\n"), -1, false), CT_OK) << ct_error_message(ctx);
    std::vector<int64_t> x_shape, y_shape;
    Values x, y;
    read_all(&x_shape, &x, &y_shape, &y);
    EXPECT_EQ(x_shape, (std::vector<int64_t>{2, 2}));
    EXPECT_EQ(y_shape, (std::vector<int64_t>{2, 1}));
    EXPECT_EQ(x_dtype_, CT_F32);
    EXPECT_EQ(y_dtype_, CT_F32);
    EXPECT_EQ(x, (Values{1, 2, 4, 5}));
    EXPECT_EQ(y, (Values{3, 6.5}));
}

TEST_F(CsvDataset, Classes_AreI32)
{
    ASSERT_EQ(load(dir.write("a.csv", "2,0.5,1\n0,1.5,2\n1,2.5,3\n"), 0, true), CT_OK) << ct_error_message(ctx);
    std::vector<int64_t> x_shape, y_shape;
    Values x, y;
    read_all(&x_shape, &x, &y_shape, &y);
    EXPECT_EQ(x_shape, (std::vector<int64_t>{3, 2}));
    EXPECT_EQ(y_shape, (std::vector<int64_t>{3}));
    EXPECT_EQ(y_dtype_, CT_I32);
    EXPECT_EQ(x, (Values{0.5, 1, 1.5, 2, 2.5, 3}));
    EXPECT_EQ(y, (Values{2, 0, 1}));
}

TEST_F(CsvDataset, Errors_NameFileAndLineAndDoNotStand)
{
    const std::string uneven = dir.write("uneven.csv", "1,2,3\n4,5\n"), missing = dir.path("missing.csv");
    const std::string fine = dir.write("fine.csv", "1,2,3\n"), heading = dir.write("heading.csv", "a,b,c\n");
    const std::string fraction = dir.write("fraction.csv", "1,2\n3,1.5\n");
    expect_failed(load(uneven, -1, false), CT_ERR_IO, {uneven, "2"});
    expect_failed(load(missing, -1, false), CT_ERR_IO, {missing});
    expect_failed(load(fraction, -1, true), CT_ERR_IO, {fraction, "2"});
    expect_failed(load(heading, -1, false), CT_ERR_IO, {heading});
    for (const int target : {3, -4, 1 << 30}) expect_failed(load(fine, target, false), CT_ERR_ARGUMENT, {fine});
    ct_dataset *raw = nullptr;
    EXPECT_EQ(ct_dataset_load_csv(ctx, nullptr, 0, false, &raw), CT_ERR_ARGUMENT);
    EXPECT_EQ(ct_dataset_load_csv(ctx, fine.c_str(), 0, false, nullptr), CT_ERR_ARGUMENT);
    EXPECT_EQ(ct_dataset_load_csv(nullptr, fine.c_str(), 0, false, &raw), CT_ERR_ARGUMENT);
    EXPECT_EQ(ct_error(ctx), CT_OK);
    EXPECT_EQ(pool_in_use(), 0);
}

TEST_F(CsvDataset, PoolTooSmall_IsAFileErrorThatDoesNotStand)
{
    ct_context *tight = nullptr;
    ct_config config = {};
    config.device = CT_DEVICE_CPU;
    config.pool_bytes = 1 << 16;
    ASSERT_EQ(ct_create(&config, &tight), CT_OK);
    std::string text;
    for (int i = 0; i < 20000; ++i) text += "1,2\n";
    ct_dataset *raw = nullptr;
    EXPECT_EQ(ct_dataset_load_csv(tight, dir.write("a.csv", text).c_str(), -1, false, &raw), CT_ERR_MEMORY);
    EXPECT_EQ(raw, nullptr);
    EXPECT_EQ(ct_error(tight), CT_OK) << ct_error_message(tight);
    ct_destroy(tight);
}

} // namespace

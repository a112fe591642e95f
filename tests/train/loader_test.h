// What the tests of loaders share: a data set whose rows can be told apart, and ways to draw and to count them.
#ifndef CUTAPE_LOADER_TEST_H
#define CUTAPE_LOADER_TEST_H

#include "train/train_test.h"

#include <algorithm>

using Rows = std::vector<int64_t>;

// A data set whose row i is x [2] = {i, -i} in F64 and y = i in I64.
inline Dataset numbered(Context &ctx, int64_t n)
{
    std::vector<double> x;
    std::vector<int64_t> y(static_cast<size_t>(n));
    std::iota(y.begin(), y.end(), 0);
    for (const int64_t i : y) {
        x.push_back(static_cast<double>(i));
        x.push_back(-static_cast<double>(i));
    }
    const int64_t two = 2;
    ct_dataset *raw = nullptr;
    ctx.check(ct_dataset_create(ctx, n, CT_F64, 1, &two, x.data(), CT_I64, 0, nullptr, y.data(), &raw),
              "ct_dataset_create");
    return Dataset(raw);
}

inline ct_loader_config batches_of(int64_t batch, bool shuffle = false, bool drop_last = false)
{
    ct_loader_config config = {};
    config.batch = batch;
    config.shuffle = shuffle;
    config.drop_last = drop_last;
    return config;
}

// The rows of the next batch, as a step of its own; x and y must belong together.
inline Rows next_rows(Context &ctx, const Loader &loader)
{
    ct_tensor x, y;
    ctx.check(ct_loader_next(loader.get(), &x, &y), "ct_loader_next");
    const Values vx = ctx.read(x), vy = ctx.read(y);
    ctx.end_step();
    Rows rows;
    for (size_t i = 0; i < vy.size(); ++i) {
        rows.push_back(static_cast<int64_t>(vy[i]));
        EXPECT_EQ(vx.at(2 * i), vy[i]);
        EXPECT_EQ(vx.at(2 * i + 1), -vy[i]);
    }
    return rows;
}

inline Rows epoch(Context &ctx, const Loader &loader)
{
    Rows all;
    for (int64_t b = 0; b < ct_loader_batches(loader.get()); ++b)
        for (const int64_t row : next_rows(ctx, loader)) all.push_back(row);
    return all;
}

inline Rows in_order(int64_t n)
{
    Rows rows(static_cast<size_t>(n));
    std::iota(rows.begin(), rows.end(), 0);
    return rows;
}

inline Rows sorted(Rows rows)
{
    std::sort(rows.begin(), rows.end());
    return rows;
}

// Records how often each row was drawn, on the device: it counts under replay too.
class Counter
{
  public:
    Counter(Context &ctx, int64_t n) : ctx_(ctx), n_(n)
    {
        const Rows rows = in_order(n);
        numbers_ = ctx.leaf(CT_F64, {1, n}, Values(rows.begin(), rows.end()));
        counts_ = ctx.leaf(CT_F64, {n}, Values(rows.size()));
    }
    void record(ct_tensor x)
    {
        const int64_t batch = ctx_.shape(x)[0];
        const int64_t column[] = {batch, 1};
        const int dim = 0;
        const ct_tensor rows = ct_reshape(ctx_, first_column(x), 2, column);
        const ct_tensor hits = ct_sum(ctx_, ct_eq(ctx_, rows, numbers_), 1, &dim, false);
        ctx_.check(ct_accumulate(ctx_, counts_, hits), "ct_accumulate");
    }
    Values counts() { return ctx_.read(counts_); }
    Values all(double times) const { return Values(static_cast<size_t>(n_), times); }

  private:
    // The first column of x [batch, 2], by ops of this version: |x| summed and halved.
    ct_tensor first_column(ct_tensor x)
    {
        const int dim = 1;
        return ct_mul_scalar(ctx_, ct_sum(ctx_, ct_abs(ctx_, x), 1, &dim, false), 0.5);
    }
    Context &ctx_;
    int64_t n_;
    ct_tensor numbers_, counts_;
};

// Records a step that draws `draws` batches and counts their rows.
inline void count_step(Context &ctx, const Loader &loader, Counter &counter, int draws = 1)
{
    for (int i = 0; i < draws; ++i) {
        ct_tensor x, y;
        ctx.check(ct_loader_next(loader.get(), &x, &y), "ct_loader_next");
        counter.record(x);
    }
    ctx.end_step();
}

#endif

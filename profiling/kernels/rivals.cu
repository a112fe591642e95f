// The same by CUB, and a copy by the runtime. All that they need is made here, before anything is timed.
#include "problem.h"

#include <cub/device/device_reduce.cuh>
#include <cub/device/device_segmented_reduce.cuh>

Rival memcpy_rival(const void *from, void *to, size_t bytes)
{
    return {"cudaMemcpy",
            [=](cudaStream_t stream) { CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream)); }};
}

// CUB's calls tell the size of their scratch memory when they get none.
template <class F> static Rival with_scratch(F call)
{
    size_t bytes = 0;
    CHECK(call(nullptr, bytes, nullptr));
    auto scratch = std::make_shared<Buffer<char>>(bytes);
    return {"CUB", [=](cudaStream_t stream) {
                size_t size = bytes;
                CHECK(call(scratch->data(), size, stream));
            }};
}

template <class T> static Rival sum_all(const T *x, T *y, int64_t n)
{
    return with_scratch([=](void *scratch, size_t &bytes, cudaStream_t stream) {
        return cub::DeviceReduce::Sum(scratch, bytes, x, y, n, stream);
    });
}

Rival cub_sum_rival(int dtype, const void *x, void *y, int64_t n)
{
    if (dtype == F64) return sum_all(static_cast<const double *>(x), static_cast<double *>(y), n);
    return sum_all(static_cast<const float *>(x), static_cast<float *>(y), n);
}

template <class T> static Rival sum_rows(const T *x, T *y, int64_t rows, int64_t n)
{
    auto offsets = std::make_shared<Buffer<int64_t>>(static_cast<size_t>(rows + 1));
    std::vector<int64_t> ends;
    for (int64_t r = 0; r <= rows; r++) ends.push_back(r * n);
    offsets->write(ends);
    return with_scratch([=](void *scratch, size_t &bytes, cudaStream_t stream) {
        return cub::DeviceSegmentedReduce::Sum(scratch, bytes, x, y, rows, offsets->data(), offsets->data() + 1,
                                               stream);
    });
}

Rival cub_rows_rival(int dtype, const void *x, void *y, int64_t rows, int64_t n)
{
    if (dtype == F64) return sum_rows(static_cast<const double *>(x), static_cast<double *>(y), rows, n);
    return sum_rows(static_cast<const float *>(x), static_cast<float *>(y), rows, n);
}

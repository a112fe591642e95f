// Operands of a problem in both memories, the CPU's kernel as the reference, and the launch.
#include "problem.h"

#include <cmath>
#include <cstring>
#include <limits>

extern "C" {
#define CT_ISA base
#include "cpu/cpu.h"
}

#if defined __x86_64__
extern "C" const ct_cpu_kernel *const ct_cpu_kernels_v3[CT_KERNEL_COUNT];
#endif

namespace
{

const ct_cpu_kernel &cpu_kernel(int kernel)
{
#if defined __x86_64__
    static const bool v3 =
        __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    if (v3) return *ct_cpu_kernels_v3[kernel];
#endif
    return *ct_cpu_kernels_base[kernel];
}

// A number that looks random and depends on the element alone.
uint64_t mixed(uint64_t x)
{
    x = (x + 0x9E3779B97F4A7C15u) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 29) * 0x94D049BB133111EBu;
    return x ^ x >> 32;
}

template <class T> void fill_with(std::vector<char> &bytes, Fill fill, uint64_t stream)
{
    T *x = reinterpret_cast<T *>(bytes.data());
    const size_t n = bytes.size() / sizeof(T);
    for (size_t i = 0; i < n && fill != Fill::zeros; i++) {
        const uint64_t bits = mixed(i + (stream << 40));
        const double unit = static_cast<double>(bits >> 11) * 0x1p-53;
        x[i] = static_cast<T>(fill == Fill::uniform    ? 2 * unit - 1
                              : fill == Fill::positive ? 0.1 + 1.8 * unit
                                                       : static_cast<double>(bits % 10));
    }
}

template <class T> double largest_error(const std::vector<char> &is, const std::vector<char> &should)
{
    const T *x = reinterpret_cast<const T *>(is.data()), *y = reinterpret_cast<const T *>(should.data());
    double worst = 0;
    for (size_t i = 0; i < is.size() / sizeof(T); i++) {
        const double a = static_cast<double>(x[i]), b = static_cast<double>(y[i]);
        if (a == b || (std::isnan(a) && std::isnan(b))) continue;
        const double error = std::fabs(a - b) / std::max(1.0, std::fabs(b));
        worst = std::isnan(error) ? std::numeric_limits<double>::infinity() : std::max(worst, error);
    }
    return worst;
}

} // namespace

size_t bytes_of(int dtype)
{
    static const size_t bytes[N_DTYPES] = {4, 8, 4, 1, 8};
    return bytes[dtype];
}

const char *name_of(int dtype)
{
    static const char *const names[N_DTYPES] = {"f32", "f64", "i32", "u8", "i64"};
    return names[dtype];
}

std::string shape_text(std::initializer_list<int64_t> sizes)
{
    std::string text;
    for (int64_t size : sizes) text += (text.empty() ? "" : "x") + std::to_string(size);
    return text;
}

int64_t partials_of(int64_t n)
{
    const int64_t count = (n + CT_PARTIAL_ELEMENTS - 1) / CT_PARTIAL_ELEMENTS;
    return std::min<int64_t>(std::max<int64_t>(count, 1), CT_MAX_PARTIALS);
}

// ---- operands ------------------------------------------------------------------------------------------

Problem::Problem(ct_kernel_id kernel, int dtype) : ticket_(std::make_shared<Buffer<uint32_t>>(1))
{
    args.kernel = static_cast<uint16_t>(kernel);
    args.dtype = static_cast<uint8_t>(dtype);
    tolerance = dtype == F32 ? 1e-5 : dtype == F64 ? 1e-12 : 0;
}

size_t Problem::add(Role role, int dtype, int64_t n, Fill fill)
{
    Operand o{role, dtype, std::vector<char>(static_cast<size_t>(n) * bytes_of(dtype)), {}, {}, {}};
    const uint64_t stream = operands_.size();
    switch (dtype) {
    case F32: fill_with<float>(o.initial, fill, stream); break;
    case F64: fill_with<double>(o.initial, fill, stream); break;
    case I32: fill_with<int32_t>(o.initial, fill, stream); break;
    case U8: fill_with<uint8_t>(o.initial, fill, stream); break;
    default: fill_with<int64_t>(o.initial, fill, stream); break;
    }
    o.device = std::make_unique<Buffer<char>>(std::max<size_t>(o.initial.size(), 1));
    operands_.push_back(std::move(o));
    return operands_.size() - 1;
}

void Problem::operand(int slot, Role role, int dtype, int64_t n, Fill fill)
{
    slots_[slot] = static_cast<int>(add(role, dtype, n, role == Role::out ? Fill::zeros : fill));
    bytes += (role == Role::scratch  ? 0
              : role == Role::in_out ? 2
                                     : 1) *
             static_cast<double>(n) * static_cast<double>(bytes_of(dtype));
}

void Problem::scalars(std::initializer_list<double> values)
{
    std::vector<ct_scalar> table;
    for (double value : values) table.push_back(ct_scalar{value, static_cast<float>(value), 0});
    scalars_ = static_cast<int>(add(Role::in, U8, static_cast<int64_t>(table.size() * sizeof(ct_scalar)), Fill::zeros));
    std::memcpy(operands_.back().initial.data(), table.data(), table.size() * sizeof(ct_scalar));
}

void Problem::table(const std::vector<int64_t> &sizes, const std::vector<Role> &roles)
{
    std::vector<ct_tensor_row> rows;
    std::vector<std::pair<size_t, size_t>> addresses;
    int64_t blocks = 0;
    args.n = 0;
    for (int64_t n : sizes) {
        for (size_t c = 0; c < roles.size(); c++) {
            // Moments are positive: the second is a square.
            addresses.emplace_back(rows.size() * sizeof(ct_tensor_row) + c * sizeof(void *),
                                   add(roles[c], args.dtype, n, c > 1 ? Fill::positive : Fill::uniform));
            bytes +=
                (roles[c] == Role::in_out ? 2 : 1) * static_cast<double>(n) * static_cast<double>(bytes_of(args.dtype));
        }
        rows.push_back(ct_tensor_row{{}, n, blocks});
        blocks += (n + CT_BLOCK_ELEMENTS - 1) / CT_BLOCK_ELEMENTS;
        args.n += n;
    }
    slots_[0] = static_cast<int>(add(Role::in, U8, static_cast<int64_t>(rows.size() * sizeof rows[0]), Fill::zeros));
    std::memcpy(operands_.back().initial.data(), rows.data(), rows.size() * sizeof rows[0]);
    operands_.back().addresses = addresses;
    args.m = static_cast<int64_t>(rows.size());
    args.k = blocks;
}

void Problem::iterate(const std::vector<int64_t> &shape, const std::vector<std::vector<int64_t>> &strides)
{
    args.n = 1;
    args.ndim = static_cast<int32_t>(shape.size());
    for (size_t d = 0; d < shape.size(); d++) {
        args.n *= shape[d];
        args.shape[d] = shape[d];
        for (size_t j = 0; j < strides.size(); j++) args.stride[j][d] = static_cast<int32_t>(strides[j][d]);
    }
}

void *Problem::address(size_t operand, bool device) const
{
    const Operand &o = operands_[operand];
    return device ? o.device->data() : const_cast<char *>(o.host.data());
}

void *Problem::on_device(int slot) const { return address(static_cast<size_t>(slots_[slot]), true); }

ct_args Problem::resolved(bool device) const
{
    ct_args a = args;
    for (int i = 0; i < 6; i++)
        if (slots_[i] >= 0) a.p[i] = address(static_cast<size_t>(slots_[i]), device);
    if (scalars_ >= 0) a.scalar = static_cast<const ct_scalar *>(address(static_cast<size_t>(scalars_), device));
    if (device) a.ticket = ticket_->data();
    return a;
}

// ---- the two devices -----------------------------------------------------------------------------------

double Problem::run_on_cpu()
{
    for (Operand &o : operands_) o.host = o.initial;
    for (Operand &o : operands_)
        for (const auto &[at, which] : o.addresses) {
            void *p = address(which, false);
            std::memcpy(o.host.data() + at, &p, sizeof p);
        }
    const ct_cpu_kernel &kernel = cpu_kernel(args.kernel);
    ct_args a = resolved(false);
    a.blocks = kernel.grid ? kernel.grid(&a) : 1;
    const double start = now_us();
    if (a.blocks) kernel.body[a.dtype](&a, 0, a.blocks);
    if (kernel.finish[a.dtype]) kernel.finish[a.dtype](&a);
    return now_us() - start;
}

void Problem::upload()
{
    for (Operand &o : operands_) {
        std::vector<char> bytes = o.initial;
        for (const auto &[at, which] : o.addresses) {
            void *p = address(which, true);
            std::memcpy(bytes.data() + at, &p, sizeof p);
        }
        if (!bytes.empty()) o.device->write(bytes);
    }
}

void Problem::launch(cudaStream_t stream) const
{
    const ct_cuda_kernel &kernel = *ct_cuda_kernels[args.kernel];
    ct_args a = resolved(true);
    a.blocks = kernel.grid ? kernel.grid(&a) : 1;
    if (a.blocks == 0) return;
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(a.blocks);
    config.blockDim = dim3(CT_THREADS);
    config.dynamicSmemBytes = kernel.shared_bytes[a.dtype];
    config.stream = stream;
    void *parameters[] = {&a};
    CHECK(cudaLaunchKernelExC(&config, kernel.function[a.dtype], parameters));
}

double Problem::error() const
{
    double worst = 0;
    for (const Operand &o : operands_) {
        if ((o.role != Role::out && o.role != Role::in_out) || o.initial.empty()) continue;
        const std::vector<char> is = o.device->read();
        double error = 0;
        switch (o.dtype) {
        case F32: error = largest_error<float>(is, o.host); break;
        case F64: error = largest_error<double>(is, o.host); break;
        case I32: error = largest_error<int32_t>(is, o.host); break;
        case U8: error = largest_error<uint8_t>(is, o.host); break;
        default: error = largest_error<int64_t>(is, o.host); break;
        }
        worst = std::max(worst, error);
    }
    return worst;
}

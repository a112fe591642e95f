// The product kernel of every instruction set that this machine has, against sums in
// double: all transposes, odd sizes, stores and additions, bias and activation, batches.
#define CT_ISA base
extern "C" {
#include "cpu/cpu.h"
#if defined __x86_64__
extern const ct_cpu_kernel ct_cpu_gemm_v3, ct_cpu_gemm_v4;
#endif
}
#include "support/context.h"

#include <array>
#include <cmath>
#include <random>

namespace
{

struct Isa {
    const char *name;
    const ct_cpu_kernel *gemm;
};

std::vector<Isa> instruction_sets()
{
    std::vector<Isa> found = {{"base", &ct_cpu_gemm_base}};
#if defined __x86_64__
    __builtin_cpu_init();
    const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
    if (v3) found.push_back({"v3", &ct_cpu_gemm_v3});
    if (v4) found.push_back({"v4", &ct_cpu_gemm_v4});
#endif
    return found;
}

struct Product {
    int64_t m, n, k;
    bool ta = false, tb = false, add = false, bias = false;
    int activation = 0;
    int64_t batch = 1;
    bool share_b = false; // of all batches
};

template <typename T> class Gemm
{
  public:
    explicit Gemm(const Product &p)
        : p_(p), a_(fill(p.batch * p.m * p.k, 1)), b_(fill((p.share_b ? 1 : p.batch) * p.k * p.n, 2)),
          start_(fill(p.batch * p.m * p.n, 3)), bias_(fill(p.n, 4))
    {
        for (int64_t i = 0; i < p.batch; i++)
            for (int64_t r = 0; r < p.m; r++)
                for (int64_t c = 0; c < p.n; c++) expect(i, r, c);
    }
    void check(const Isa &isa) const
    {
        // Sentinels around C: no kernel writes beside it.
        const size_t guard = 64, size = start_.size();
        std::vector<T> memory(size + 2 * guard, T(-77));
        T *c = memory.data() + guard;
        std::copy(start_.begin(), start_.end(), c);
        ct_args args = {};
        args.dtype = sizeof(T) == 4 ? F32 : F64;
        args.p[0] = const_cast<T *>(a_.data());
        args.p[1] = const_cast<T *>(b_.data());
        args.p[2] = c;
        args.p[3] = p_.bias ? const_cast<T *>(bias_.data()) : nullptr;
        std::vector<T> product(size);
        args.p[4] = p_.add ? product.data() : nullptr;
        args.m = p_.m, args.n = p_.n, args.k = p_.k;
        args.i[0] = p_.ta ? p_.m : p_.k;
        args.i[1] = p_.tb ? p_.k : p_.n;
        args.i[2] = p_.n;
        args.i[3] = (p_.ta ? CT_GEMM_TA : 0) | (p_.tb ? CT_GEMM_TB : 0) | (p_.add ? CT_GEMM_ADD : 0);
        args.flags = static_cast<uint8_t>(p_.activation);
        if (p_.batch > 1) {
            args.ndim = 1;
            args.shape[0] = p_.batch;
            args.stride[0][0] = 1;
            args.stride[1][0] = p_.share_b ? 0 : 1;
        }
        args.blocks = isa.gemm->grid(&args);
        // Block by block, last first: they may run in any order.
        for (uint32_t block = args.blocks; block-- > 0;) isa.gemm->body[args.dtype](&args, block, block + 1);
        const double each = sizeof(T) == 4 ? 1.2e-7 : 2.3e-16;
        for (size_t i = 0; i < size; i++)
            ASSERT_NEAR(static_cast<double>(c[i]), expected_[i],
                        each * (bound_[i] + 1) * (8 + std::sqrt(static_cast<double>(p_.k))))
                << isa.name << " " << (sizeof(T) == 4 ? "f32" : "f64") << " m " << p_.m << " n " << p_.n << " k "
                << p_.k << (p_.ta ? " ta" : "") << (p_.tb ? " tb" : "") << (p_.add ? " add" : "")
                << (p_.bias ? " bias" : "") << " activation " << p_.activation << " batch " << p_.batch << ", element "
                << i;
        for (size_t i = 0; i < guard; i++) {
            ASSERT_EQ(memory[i], T(-77)) << isa.name << ": wrote before C";
            ASSERT_EQ(memory[guard + size + i], T(-77)) << isa.name << ": wrote behind C";
        }
    }

  private:
    static std::vector<T> fill(int64_t n, unsigned seed)
    {
        std::mt19937 random(seed);
        std::vector<T> values(static_cast<size_t>(n));
        for (T &value : values) value = static_cast<T>(static_cast<float>(random() / 2147483648.0 - 1));
        return values;
    }
    void expect(int64_t batch, int64_t r, int64_t c)
    {
        const T *a = a_.data() + batch * p_.m * p_.k, *b = b_.data() + (p_.share_b ? 0 : batch) * p_.k * p_.n;
        const size_t at = static_cast<size_t>((batch * p_.m + r) * p_.n + c);
        double sum = p_.add ? static_cast<double>(start_[at]) : 0, bound = std::fabs(sum);
        for (int64_t i = 0; i < p_.k; i++) {
            const double product = static_cast<double>(p_.ta ? a[i * p_.m + r] : a[r * p_.k + i]) *
                                   static_cast<double>(p_.tb ? b[c * p_.k + i] : b[i * p_.n + c]);
            sum += product;
            bound += std::fabs(product);
        }
        if (p_.bias) sum += static_cast<double>(bias_[static_cast<size_t>(c)]);
        switch (p_.activation) {
        case CT_ACT_RELU: sum = sum > 0 ? sum : 0; break;
        case CT_ACT_TANH: sum = std::tanh(sum); break;
        case CT_ACT_SIGMOID: sum = 1 / (1 + std::exp(-sum)); break;
        case CT_ACT_LEAKY_RELU: sum = sum > 0 ? sum : 0.01 * sum; break;
        default: break;
        }
        expected_.push_back(sum);
        bound_.push_back(bound);
    }

    Product p_;
    std::vector<T> a_, b_, start_, bias_;
    std::vector<double> expected_, bound_;
};

void check_all(const Product &p)
{
    const Gemm<float> single(p);
    const Gemm<double> twice(p);
    for (const Isa &isa : instruction_sets()) {
        single.check(isa);
        twice.check(isa);
    }
}

void check_transposes(int64_t m, int64_t n, int64_t k)
{
    for (int way = 0; way < 8; way++) check_all({m, n, k, (way & 1) != 0, (way & 2) != 0, (way & 4) != 0});
}

TEST(Gemm, SmallSizes_AreRight)
{
    for (int64_t size = 1; size <= 70; size++) {
        check_transposes(size, 70 - size + 1, size % 13 + 1);
        check_transposes(size % 7 + 1, size, size % 5 + 1);
        check_transposes(3, 5, size);
    }
}

TEST(Gemm, RandomSizes_AreRight)
{
    std::mt19937 random(7);
    for (int i = 0; i < 60; i++)
        check_transposes(1 + static_cast<int64_t>(random() % 70), 1 + static_cast<int64_t>(random() % 70),
                         1 + static_cast<int64_t>(random() % 70));
}

// Several panels of K, several tiles, and the sizes from which a library computes.
TEST(Gemm, LargeOddSizes_AreRight)
{
    for (const auto &[m, n, k] : std::vector<std::array<int64_t, 3>>{{1, 1, 1000},
                                                                     {129, 257, 33},
                                                                     {257, 129, 300},
                                                                     {5, 7, 513},
                                                                     {64, 10, 784},
                                                                     {65, 131, 259},
                                                                     {200, 3, 256},
                                                                     {2, 400, 257}})
        check_transposes(m, n, k);
}

TEST(Gemm, EmptySizes_AreRight)
{
    check_transposes(0, 5, 3);
    check_transposes(5, 0, 3);
    check_transposes(5, 3, 0);
}

TEST(Gemm, BiasAndActivation_AreRight)
{
    for (const int activation : {CT_ACT_IDENTITY, CT_ACT_RELU, CT_ACT_TANH, CT_ACT_SIGMOID, CT_ACT_LEAKY_RELU})
        for (const bool bias : {false, true})
            for (const auto &[m, n, k] : std::vector<std::array<int64_t, 3>>{
                     {7, 9, 5}, {33, 17, 300}, {64, 128, 96}, {19, 300, 130}, {5, 4, 0}})
                check_all({m, n, k, false, true, false, bias, activation});
}

TEST(Gemm, Batches_AreRight)
{
    for (const bool share : {false, true})
        for (int way = 0; way < 8; way++) {
            check_all({5, 6, 7, (way & 1) != 0, (way & 2) != 0, (way & 4) != 0, false, 0, 3, share});
            check_all({65, 70, 130, (way & 1) != 0, (way & 2) != 0, (way & 4) != 0, false, 0, 2, share});
        }
}

} // namespace

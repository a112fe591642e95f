/* The stand-in for CUB's reductions: what kernels/cuda/block_reduce.cuh uses of them. The result
 * is valid in the first thread only, as CUB documents it, and poison in all others; how the
 * values are grouped, which CUB leaves open, follows from the seed. Temporary storage must not
 * be used twice without a barrier between.
 */
#ifndef SIMT_CUB_BLOCK_REDUCE_CUH
#define SIMT_CUB_BLOCK_REDUCE_CUH

#include <cuda_runtime.h>

namespace simt
{

/* How a reduction of n values is grouped: one after the other, by halves, or by warps first. */
enum Grouping { IN_ORDER, BY_HALVES, BY_WARPS };
Grouping grouping();

template <class T, class Op> struct Reduction {
    T value;
    Op *op;
};

/* Of the values [first, end), always with the lower threads' on the left. */
template <class T, class Op> T reduce_range(void **slots, unsigned first, unsigned end, Grouping grouping)
{
    const auto &slot = *static_cast<const Reduction<T, Op> *>(slots[first]);
    if (end - first == 1) return slot.value;
    if (grouping == BY_HALVES) {
        const unsigned middle = first + (end - first + 1) / 2;
        return (*slot.op)(reduce_range<T, Op>(slots, first, middle, grouping),
                          reduce_range<T, Op>(slots, middle, end, grouping));
    }
    const unsigned step = grouping == BY_WARPS && end - first > 32 ? 32 : 1;
    T total = reduce_range<T, Op>(slots, first, first + step, BY_HALVES);
    for (unsigned i = first + step; i < end; i += step)
        total = (*slot.op)(total, reduce_range<T, Op>(slots, i, i + step < end ? i + step : end, BY_HALVES));
    return total;
}

template <class T, class Op> void reduce(void **slots, unsigned n)
{
    const T total = reduce_range<T, Op>(slots, 0, n, grouping());
    for (unsigned i = 0; i < n; i++)
        memset(static_cast<void *>(&static_cast<Reduction<T, Op> *>(slots[i])->value), 0xFF, sizeof(T));
    static_cast<Reduction<T, Op> *>(slots[0])->value = total;
}

template <class T, class Op> T reduced(Scope scope, const void *storage, const Site &site, T value, Op op)
{
    check_storage(scope, storage);
    Reduction<T, Op> slot = {value, &op};
    meet(scope, site, &slot, reduce<T, Op>);
    mark_storage(scope, storage);
    return slot.value;
}

} // namespace simt

#define SIMT_SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()

namespace cub
{

enum BlockReduceAlgorithm { BLOCK_REDUCE_RAKING_COMMUTATIVE_ONLY, BLOCK_REDUCE_RAKING, BLOCK_REDUCE_WARP_REDUCTIONS };

template <class T, int threads, BlockReduceAlgorithm = BLOCK_REDUCE_WARP_REDUCTIONS> class BlockReduce
{
  public:
    struct TempStorage {
        T of_warps[threads / 32];
    };
    explicit BlockReduce(TempStorage &storage_) : storage(storage_) {}
    template <class Op> T Reduce(T value, Op op, SIMT_SITE)
    {
        return simt::reduced(simt::BLOCK, &storage, {"cub::BlockReduce", file, line}, value, op);
    }

  private:
    TempStorage &storage;
};

} // namespace cub

#undef SIMT_SITE
#endif

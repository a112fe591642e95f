/* The stand-in for cub::WarpReduce; see block_reduce.cuh. */
#ifndef SIMT_CUB_WARP_REDUCE_CUH
#define SIMT_CUB_WARP_REDUCE_CUH

#include <cub/block/block_reduce.cuh>

namespace cub
{

template <class T> class WarpReduce
{
  public:
    struct TempStorage {
        T unused;
    };
    explicit WarpReduce(TempStorage &storage_) : storage(storage_) {}
    template <class Op> T Reduce(T value, Op op, const char *file = __builtin_FILE(), int line = __builtin_LINE())
    {
        return simt::reduced(simt::WARP, &storage, {"cub::WarpReduce", file, line}, value, op);
    }

  private:
    TempStorage &storage;
};

} // namespace cub

#endif

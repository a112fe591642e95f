// The batch gather: images of bytes to f32, rows of floats as they are, shuffled.
#include "problem.h"

namespace
{

Problem gather(int from, int64_t n, int64_t columns, int64_t batch)
{
    const bool converts = from == U8;
    Problem p(CT_KERNEL_gather, converts ? F32 : from);
    p.args.m = batch, p.args.n = n, p.args.k = 1;
    p.args.i[0] = batch << 1 | 1, p.args.i[1] = n / batch, p.args.i[2] = 11, p.args.i[3] = columns;
    p.args.flags = converts;
    p.args.shape[0] = columns * static_cast<int64_t>(bytes_of(from));
    p.operand(0, Role::in, from, n * columns, Fill::small_integers);
    p.operand(1, Role::in, U8, n, Fill::small_integers);
    p.operand(2, Role::in_out, I64, 1, Fill::small_integers);
    p.operand(3, Role::out, converts ? F32 : from, batch * columns);
    p.operand(4, Role::out, U8, batch);
    p.scalars({1 / 255.0, -0.5});
    p.bytes = static_cast<double>(batch * columns) * static_cast<double>(bytes_of(from) + bytes_of(p.args.dtype));
    return p;
}

} // namespace

void gather_cases(Cases &cases)
{
    for (int64_t batch : {64, 1024, 16384})
        cases.push_back(
            {"gather", shape_text({batch}) + " of 60000x784 u8", F32, [=] { return gather(U8, 60000, 784, batch); }});
    cases.push_back({"gather", "64 of 1000x150528 u8", F32, [] { return gather(U8, 1000, 150528, 64); }});
    cases.push_back({"gather", "1024 of 20000x784", F32, [] { return gather(F32, 20000, 784, 1024); }});
    cases.push_back({"gather", "256 of 10000x32", F32, [] { return gather(F32, 10000, 32, 256); }});
}

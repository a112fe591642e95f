"""Shape ops: their PyTorch formulas, and the samples."""
import torch

from golden import INF, NAN, TORCH, draw, given, index, sample, shape_label

TORCH.update({
    "reshape": lambda x, shape: torch.reshape(x, shape),
    "transpose": lambda x, d0, d1: torch.transpose(x, d0, d1),
    "expand": lambda x, shape: x.expand(shape),
    "slice": lambda x, dim, start, stop: x[(slice(None),) * (dim % x.dim()) + (slice(start, stop),)],
    "concat": lambda *xs, dim: torch.cat(xs, dim),
})


for shape, to in (([], [1, 1]), ([6], [2, 3]), ([2, 3, 4], [4, -1]), ([5, 1, 3], [15]), ([1], []),
                  ([0, 3], [3, 0]),
                  ([65], [5, 13]), ([2, 2, 3], [1, 2, 1, 3, 2, 1])):
    label = shape_label(shape) + "_to_" + shape_label(to).replace("-", "m")
    sample("reshape", label, draw(shape), shape=to)
for shape, d0, d1 in (([2, 3], 0, 1), ([2, 3, 4], 0, 2), ([2, 3, 4], -1, -2), ([5, 1], 1, 0), ([3, 4], 1, 1),
                      ([0, 3], 0, 1), ([33, 35], 0, 1), ([2, 3, 4, 5], 1, -2), ([2, 1, 3, 1, 2, 4], 0, 5)):
    sample("transpose", f"{shape_label(shape)}_{d0}_{d1}".replace("-", "m"), draw(shape), d0=d0, d1=d1)
for shape, to in (([], [3]), ([1], [7]), ([3, 1], [3, 5]), ([5], [2, 3, 5]), ([1, 1], [4, 3]),
                  ([4, 1, 2], [2, 4, 3, 2]),
                  ([3], [3]), ([1, 3], [0, 3]), ([1, 1], [65, 17])):
    sample("expand", shape_label(shape) + "_to_" + shape_label(to), draw(shape), shape=to)

for shape, dim, start, stop in (([7], 0, 2, 5), ([7], 0, 0, 7), ([7], 0, 6, 7), ([7], 0, -3, -1), ([7], 0, -100, 100),
                                ([7], -1, 5, 2), ([7], 0, 9, 12), ([7], 0, -9, -8), ([3, 5], 0, 1, 3),
                                ([3, 5], 1, 1, 4),
                                ([3, 5], -1, 4, 5), ([3, 5], -2, 0, 1), ([4, 1, 6], 1, 0, 1),
                                ([2, 3, 4, 5], 1, 1, 2), ([2, 1, 3, 4, 2, 2], 3, 1, 4), ([0, 3], 1, 1, 3),
                                ([3, 0], 0, 1, 3), ([65, 67], 0, 33, 64), ([65, 67], 1, 3, 67), ([3, 1031], 1, 7, 1030),
                                ([2, 2100], 1, 64, 2092)):
    label = f"{shape_label(shape)}_dim_{dim}_{start}_{stop}".replace("-", "m")
    sample("slice", label, draw(shape), dim=dim, start=start, stop=stop)
sample("slice", "nonfinite", given([NAN, INF, 1.0, -INF, 0.0, NAN], [3, 2], diff=False), dim=0, start=1, stop=3)
for dtype_ in ("i32", "u8", "i64"):
    for shape, dim in (([37], 0), ([5, 13], 1)):
        sample("slice", f"{shape_label(shape)}_{dtype_}",
               index(shape, 200, dtype_), dim=dim, start=3, stop=-2, result=dtype_)

for shapes, dim in (([[3]], 0), ([[3], [4]], 0), ([[2, 3], [4, 3]], 0), ([[2, 3], [2, 1]], 1),
                    ([[2, 3], [2, 2], [2, 5]], -1), ([[3, 1, 2], [3, 1, 2]], 1), ([[2, 3, 4], [2, 1, 4]], -2),
                    ([[1], [1], [1], [1], [1], [1], [1], [1], [1], [1], [1]], 0), ([[0], [5], [0]], 0),
                    ([[0, 3], [2, 3]], 0), ([[2, 0], [2, 3], [2, 0], [2, 1]], 1), ([[0, 3], [0, 2]], 1),
                    ([[2, 1, 1, 2, 1, 3], [2, 1, 2, 2, 1, 3]], 2),
                    ([[33, 35], [33, 1], [33, 67]], 1), ([[1031], [1], [1100]], 0), ([[2, 1031], [2, 1069]], 1)):
    sample("concat", shape_label(*shapes) + f"_dim_{dim}".replace("-", "m"), *[draw(shape) for shape in shapes], dim=dim)
sample("concat", "some_without_gradient", draw([2, 3]), draw([2, 2], diff=False), draw([2, 1]), dim=1)
sample("concat", "nonfinite", given([NAN, INF], diff=False), given([-INF, 0.0], diff=False), dim=0)
for dtype_ in ("i32", "u8", "i64"):
    sample("concat", f"of_{dtype_}", index([3, 2], 200, dtype_), index([3, 33], 200, dtype_), dim=1, result=dtype_)

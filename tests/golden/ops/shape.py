"""Shape ops: their PyTorch formulas, and the samples."""
import torch

from golden import TORCH, draw, sample, shape_label

TORCH.update({
    "reshape": lambda x, shape: torch.reshape(x, shape),
    "transpose": lambda x, d0, d1: torch.transpose(x, d0, d1),
    "expand": lambda x, shape: x.expand(shape),
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

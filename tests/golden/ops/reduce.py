"""Reductions: their PyTorch formulas, and the samples."""
import torch

from golden import INF, NAN, TORCH, distinct, draw, given, sample, shape_label

def all_dims(x, dims):
    return dims or list(range(x.dim()))


TORCH.update({
    "sum": lambda x, dims, keepdim: torch.sum(x, all_dims(x, dims), keepdim),
    "mean": lambda x, dims, keepdim: torch.mean(x, all_dims(x, dims), keepdim),
    "argmax": lambda x, dim: torch.argmax(x, dim),
})


REDUCTIONS = [([], []), ([7], []), ([7], [0]), ([3, 5], [0]), ([3, 5], [-1]), ([2, 3, 4, 5], [0, 2]),
              ([2, 3, 4, 5], [-1, 1]), ([3, 1, 5], [1]), ([2, 1, 3, 1, 2, 2], [0, 2, 4]), ([3, 0], [0]),
              ([1037], []), ([37, 33], [0]), ([2, 1031], [1])]


def reduction(op, fill=draw, keep=(False, True), shapes=REDUCTIONS, **attrs):
    for n, (shape, dims) in enumerate(shapes):
        keepdim = keep[n % len(keep)]
        label = shape_label(shape) + "_dims_" + ("_".join(map(str, dims)).replace("-", "m") or "all")
        sample(op, label + ("_keep" if keepdim else ""), fill(shape), dims=dims, keepdim=keepdim, **attrs)


reduction("sum")
sample("sum", "0x3_dims_0", draw([0, 3]), dims=[0], keepdim=False)
sample("sum", "0x3_dims_all_keep", draw([0, 3]), dims=[], keepdim=True)
sample("sum", "8200_dims_all", draw([8200], step=0.25), second=False, dims=[], keepdim=False)
sample("sum", "nonfinite", given([NAN, 1.0, INF, 1.0, INF, -INF], [3, 2], diff=False), dims=[1],
       keepdim=False)
reduction("mean", keep=(True, False))
sample("mean", "of_nothing", draw([0, 3], diff=False), dims=[0], keepdim=False)

for shape, dim in (([7], 0), ([3, 5], 0), ([3, 5], -1), ([2, 3, 4], 1), ([4, 1], 1), ([0, 3], 1),
                   ([2, 1031], 1),
                   ([37, 3], -2)):
    label = f"{shape_label(shape)}_dim_{dim}".replace("-", "m")
    sample("argmax", label, distinct(shape, diff=False), dim=dim, result="i32")
sample("argmax", "first_of_ties", given([1.0, 3.0, 3.0, 2.0, 2.0, 2.0, 0.0, -0.0, -1.0], [3, 3], diff=False),
       dim=1,
       result="i32")
sample("argmax", "nan_wins", given([1.0, NAN, 3.0, INF, -INF, 2.0], [2, 3], diff=False), dim=1, result="i32")

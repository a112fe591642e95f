"""Reductions: their PyTorch formulas, and the samples."""
import torch

from golden import INF, NAN, TORCH, distinct, draw, given, sample, shape_label

def all_dims(x, dims):
    return dims or list(range(x.dim()))


TORCH.update({
    "sum": lambda x, dims, keepdim: torch.sum(x, all_dims(x, dims), keepdim),
    "mean": lambda x, dims, keepdim: torch.mean(x, all_dims(x, dims), keepdim),
    "argmax": lambda x, dim: torch.argmax(x, dim),
    "amax": lambda x, dims, keepdim: torch.amax(x, all_dims(x, dims), keepdim),
    "amin": lambda x, dims, keepdim: torch.amin(x, all_dims(x, dims), keepdim),
    "logsumexp": lambda x, dims, keepdim: torch.logsumexp(x, all_dims(x, dims), keepdim),
    "var": lambda x, dims, keepdim, correction: torch.var(x, all_dims(x, dims), correction=correction,
                                                          keepdim=keepdim),
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


# Past the chunks and parts that kernels work in: all, short lines, long ones, columns, alternating dims. Values alone.
LONG = [([9001], []), ([70, 37], [1]), ([2, 5003], [1]), ([140, 67], [0]), ([34, 3, 31, 2], [0, 2])]
# No variance with a correction of 1 where a single element is reduced.
FOLDED = [(shape, dims) for shape, dims in REDUCTIONS if 0 not in shape and (shape, dims) not in
          (([], []), ([3, 1, 5], [1]))]


def folds(op, fill=draw, **attrs):
    """The samples that amax, amin, logsumexp and var have alike."""
    reduction(op, fill, keep=(True, False), shapes=FOLDED, **attrs)
    reduction(op, lambda shape: draw(shape, -6, 6, step=0.25, diff=False), shapes=LONG, **attrs)
    sample(op, "2x0x3_dims_m1_keep", draw([2, 0, 3]), dims=[-1], keepdim=True, **attrs)
    sample(op, "nonfinite", given([NAN, 1.0, INF, 1.0, -INF, 2.0, INF, -INF, 3.0, NAN], [5, 2], diff=False),
           dims=[1], keepdim=False, **attrs)
    sample(op, "nan_last", given([1.0] * 1100 + [NAN], diff=False), dims=[], keepdim=False, **attrs)


folds("var", correction=1)
for correction in (0, 2, 5):
    sample("var", f"3x7_correction_{correction}", draw([3, 7]), dims=[1], keepdim=False, correction=correction)
sample("var", "scalar_dim_m1_correction_0", draw([]), dims=[-1], keepdim=False, correction=0)
# Large beside their spread: a difference of squares would show.
for shape, dims in (([2, 1100], [1]), ([1100, 2], [0]), ([9000], [])):
    sample("var", "far_from_zero_" + shape_label(shape), draw(shape, step=1 / 8, shift=256.0, diff=False), dims=dims,
           keepdim=False, correction=1)
# So far above it that a mean in f32 has no digits left for it. (Nor has torch for a second derivative in f64.)
for shape, dims in (([60, 3], [0]), ([3, 60], [1]), ([5, 2, 13, 2], [0, 2]), ([3, 1000], [1]), ([130, 67], [0]),
                    ([9000], [])):
    sample("var", "mean_1e4_" + shape_label(shape), draw(shape, shift=1e4, diff=len(shape) > 1), second=False,
           dims=dims, keepdim=False, correction=1)
sample("var", "equal", given([0.1] * 12, [3, 4]), dims=[1], keepdim=True, correction=1)
sample("var", "too_few", given([1.0, 1.0, 1.0, 3.0], [2, 2]), dims=[1], keepdim=False, correction=2, kink=True)
sample("var", "one_element", given([1.0, 3.0], [2, 1]), dims=[1], keepdim=False, correction=1, kink=True)
sample("var", "fewer_than_the_correction", given([1.0, 1.0, 1.0, 3.0], [2, 2], diff=False), dims=[1], keepdim=False,
       correction=3)
sample("var", "of_nothing", draw([0, 3], diff=False), dims=[0], keepdim=False, correction=1)
sample("var", "of_nothing_all", draw([0, 3], diff=False), dims=[], keepdim=True, correction=0)

for op in ("amax", "amin"):
    folds(op, distinct)
    sample(op, "scalar_dims_all_keep", draw([]), dims=[], keepdim=True)
    sample(op, "3x1x5_dims_1", draw([3, 1, 5]), dims=[1], keepdim=False)
    sample(op, "0x3_dims_1", draw([0, 3]), dims=[1], keepdim=False)
    sample(op, "ties", given([1.0, 2.0, 2.0, 1.0, 1.0, 1.0, 3.0, 3.0, 3.0, -0.0, 0.0, 0.0], [3, 4]), dims=[1],
           keepdim=False, kink=True)
    sample(op, "ties_alternating", given([1.0, 2.0, 2.0, 1.0, 2.0, 2.0, 1.0, 0.0, 0.0, 2.0, 2.0, 1.0], [2, 3, 2]),
           dims=[0, 2], keepdim=True, kink=True)
    sample(op, "ties_all", given([1.0, 2.0, 2.0, 1.0, 1.0, 2.0], [3, 2]), dims=[], keepdim=False, kink=True)
    sample(op, "infinities", given([INF, INF, 1.0, -INF, -INF, 1.0, INF, 0.0, -INF, 2.0, 2.0, 2.0], [4, 3]), dims=[1],
           keepdim=False, kink=True)
    sample(op, "nan_gradient", given([NAN, 1.0, 2.0, 3.0, 1.0, 2.0], [2, 3]), dims=[1], keepdim=False, kink=True)

folds("logsumexp")
sample("logsumexp", "scalar_dims_all_keep", draw([]), dims=[], keepdim=True)
sample("logsumexp", "3x1x5_dims_1", draw([3, 1, 5]), dims=[1], keepdim=False)
# e^(x - y) is no better than y, which f32 holds to 1e-4 where it is 1000: gradients in f64.
LARGE = [1000.0, 999.0, -1000.0, 1e4, 0.0, -1e4, 88.0, 89.0, 90.0, -1e4, -1e4, -9999.0]
sample("logsumexp", "large", given(LARGE, [4, 3], diff=False), dims=[1], keepdim=False)
sample("logsumexp", "large_gradient", given(LARGE, [4, 3]), dims=[1], keepdim=False, dtypes=("f64",))
sample("logsumexp", "large_gradient_columns", given(LARGE, [3, 4]), dims=[0], keepdim=False, dtypes=("f64",))
sample("logsumexp", "large_apart", draw([9000], -1e4, 1e4, step=1.0, diff=False), dims=[], keepdim=False)
sample("logsumexp", "equal", given([2.0] * 8, [2, 4]), dims=[1], keepdim=True)
sample("logsumexp", "minus_inf", given([0.5, -INF, 1.0, -INF, 3.0, -INF], [2, 3]), dims=[1], keepdim=False, kink=True)
sample("logsumexp", "minus_inf_first", given([-INF] * 8500 + [-1000.0] * 500, diff=False), dims=[], keepdim=False)
sample("logsumexp", "infinities", given([-INF, -INF, INF, 0.0, INF, -INF, INF, INF, -INF, 1.0], [5, 2]), dims=[1],
       keepdim=False, kink=True)
sample("logsumexp", "0x3_dims_0", draw([0, 3], diff=False), dims=[0], keepdim=False)
sample("logsumexp", "0x3_dims_0_1_keep", draw([0, 3], diff=False), dims=[0, 1], keepdim=True)

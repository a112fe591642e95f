"""Binary ops, comparisons and where: their PyTorch formulas, and the samples."""
import torch

from golden import INF, NAN, TORCH, draw, given, sample, shape_label

def compare(f):
    return lambda a, b: f(a, b).to(torch.float64)


TORCH.update({
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "pow": torch.pow,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "gt": compare(torch.gt),
    "ge": compare(torch.ge),
    "lt": compare(torch.lt),
    "le": compare(torch.le),
    "eq": compare(torch.eq),
    "where": lambda cond, a, b: torch.where(cond != 0, a, b),
})


PAIRS = [([], []), ([7], [7]), ([3, 1, 5], [4, 1]), ([4, 1], [3, 1, 5]), ([], [3, 5]), ([2, 3], []),
         ([65], [1]),
         ([1, 13], [5, 13]), ([0, 3], [3]), ([2, 3, 1, 5], [1, 1, 4, 1]), ([2, 1, 1, 2, 2, 3], [3, 1, 2, 1])]


def binary(op, a=(-2.0, 2.0), b=(-2.0, 2.0), away=(), **kind):
    """b lies half a step off a's grid, so that the two are never equal."""
    for left, right in PAIRS:
        sample(op, shape_label(left, right), draw(left, *a, step=1 / 32, **kind),
               draw(right, *b, away, step=1 / 32, shift=1 / 64, **kind))


def pair_at(op, label, a, b, grad=True, second=True):
    sample(op, label, given(a, diff=grad), given(b, diff=grad), kink=True, second=second)


for op in ("add", "sub", "mul"):
    binary(op)
sample("add", "1031_column", draw([1031, 2]), draw([1031, 1]))
sample("mul", "17x61_row", draw([17, 61]), draw([61]))
binary("div", away=[0, 0.0625, 0.125, 0.1875, 0.25, -0.0625, -0.125, -0.1875, -0.25])
pair_at("div", "by_zero", [1.0, -1.0, 4.0], [0.0, 0.0, 2.0])
pair_at("div", "nonfinite", [0.0, INF, 1.0, NAN], [0.0, INF, INF, 1.0], grad=False)
binary("pow", (0.25, 2.5))
sample("pow", "negative_base", draw([6], -2.5, -0.25), given([2.0, 3.0, -1.0, -2.0, 1.0, 0.0], diff=False))
pair_at("pow", "negative_base_both", [-2.0, -0.5, -1.5], [2.0, 3.0, -1.0], second=False)
pair_at("pow", "at_zero", [0.0, 0.0, 0.0, 0.0, 0.0, 2.0], [0.0, 1.0, 2.0, 3.0, 0.5, 0.0], second=False)
sample("pow", "at_zero_twice", given([0.0, 0.0, 0.0, 2.0]), given([1.0, 2.0, 3.0, 1.0], diff=False), kink=True)
pair_at("pow", "zero_exponent", [2.0, 0.5, 1.0], [0.0, 0.0, 0.0])
pair_at("pow", "nonfinite", [NAN, 1.0, 2.0, -8.0, INF], [0.0, NAN, INF, 0.5, -1.0], grad=False)
for op in ("maximum", "minimum"):
    binary(op)
    pair_at(op, "ties", [1.0, -2.0, 0.0, 3.0], [1.0, -2.0, -0.0, 2.0])
    sample(op, "ties_broadcast", given([1.0, 2.0], [2, 1]), given([1.0, 2.0, 0.5]), kink=True)
    pair_at(op, "nonfinite", [NAN, 1.0, INF, -INF], [1.0, NAN, 1.0, 1.0], grad=False)

for op in ("gt", "ge", "lt", "le", "eq"):
    for left, right in (([], []), ([7], [7]), ([3, 1, 5], [4, 1]), ([4, 1], [3, 1, 5]), ([65], [1]),
                        ([0, 3], [3])):
        sample(op, shape_label(left, right), draw(left, -1, 1, step=0.5, diff=False),
               draw(right, -1, 1, step=0.5, diff=False))
    pair_at(op, "nonfinite", [NAN, 1.0, NAN, INF, -INF, 0.0], [1.0, NAN, NAN, INF, INF, -0.0], grad=False)
    sample(op, "i32", given([-1, 0, 1, 7], dtype="i32"), given([0, 0, 0, 7], dtype="i32"), result="f32")
    sample(op, "i64", given([-1, 2**40, 1, 7], dtype="i64"), given([0, 2**40, 2**40, 7], dtype="i64"),
           result="f32")

for cond, left, right in (([], [], []), ([7], [7], [7]), ([3, 1, 5], [4, 1], [5]), ([4, 1], [3, 1, 5], []),
                          ([5], [3, 1], [1]), ([65], [1], [65]), ([0, 3], [3], [1]),
                          ([1, 1], [2, 3], [2, 3])):
    sample("where", shape_label(cond, left, right), draw(cond, 0, 1, step=1, diff=False), draw(left),
           draw(right))
sample("where", "u8_condition", given([0, 1, 2, 255], dtype="u8"), draw([4]), draw([4]))
sample("where", "f32_condition", draw([4], 0, 1, step=1, dtype="f32", diff=False), draw([4]), draw([4]))
sample("where", "nan_is_true", given([NAN, 0.0, -0.0, -3.0], diff=False), draw([4]), draw([4]))
sample("where", "hides_a_nan", given([0.0, 1.0], diff=False), given([NAN, 1.0]), given([2.0, INF]), kink=True)

#!/usr/bin/python3
"""Writes the golden file that the op tests read: every (op, sample) there is, with PyTorch's answers in f64.

    python3 tests/golden/generate.py [tests/golden/ops.txt.gz]

This file is the only list of samples. To add an op: one line in TORCH (its PyTorch formula), its samples
below, and one line in the registry of tests/ops/samples.cc. The same PyTorch on the same kind of CPU
writes the same bytes.
"""
import argparse
import gzip
import math
import os
import random
import sys
import zlib

os.environ.setdefault("ATEN_CPU_CAPABILITY", "default")  # plain loops: digits depend less on the CPU

import torch
import torch.nn.functional as F

torch.set_num_threads(1)

# The file, one line a fact, tokens between spaces; a tensor is `dtype ndim dims... values...`, row-major.
#
#   cutape-golden 1
#   sample NAME OP                  a sample begins
#   dtypes f32 f64                  what to run it in: the meaning of dtype `real` below
#   kink                            (if so) no finite differences here: a kink, an infinity, a cast
#   attr KEY VALUES...              numbers or words
#   input DIFF TENSOR               in order; DIFF 1 if it has a gradient; `input none` for an absent one
#   output TENSOR
#   cotangent TENSOR                (if any input has a gradient) of the output
#   grad I TENSOR                   of input I under the cotangent
#   direction I TENSOR              (with second order) v of input I
#   second I TENSOR                 d/d input I of sum_i <grad_i, v_i>
#   second cotangent TENSOR         d/d cotangent of the same
#   end

ACTIVATIONS = {
    "identity": lambda x: x,
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "gelu": F.gelu,
    "silu": F.silu,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.01),
}
DTYPES = {"real": torch.float64, "f32": torch.float32, "f64": torch.float64, "i32": torch.int32,
          "u8": torch.uint8, "i64": torch.int64}


def all_dims(x, dims):
    return dims or list(range(x.dim()))


def compare(f):
    return lambda a, b: f(a, b).to(torch.float64)


# The op, as PyTorch has it: (operands..., attributes by name).
TORCH = {
    "neg": torch.neg,
    "abs": torch.abs,
    "exp": torch.exp,
    "expm1": torch.expm1,
    "log": torch.log,
    "log1p": torch.log1p,
    "sqrt": torch.sqrt,
    "rsqrt": torch.rsqrt,
    "square": torch.square,
    "reciprocal": torch.reciprocal,
    "sin": torch.sin,
    "cos": torch.cos,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "silu": F.silu,
    "softplus": F.softplus,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "leaky_relu": lambda x, slope: F.leaky_relu(x, slope),
    "elu": lambda x, alpha: F.elu(x, alpha),
    "clamp": lambda x, lo, hi: torch.clamp(x, lo, hi),
    "sign": torch.sign,
    "cast": lambda x, to: x.to(DTYPES[to]),
    "add_scalar": lambda x, value: x + value,
    "mul_scalar": lambda x, value: x * value,
    "pow_scalar": lambda x, value: torch.pow(x, value),
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
    "sum": lambda x, dims, keepdim: torch.sum(x, all_dims(x, dims), keepdim),
    "mean": lambda x, dims, keepdim: torch.mean(x, all_dims(x, dims), keepdim),
    "argmax": lambda x, dim: torch.argmax(x, dim),
    "matmul": torch.matmul,
    "linear": lambda x, w, b, activation: ACTIVATIONS[activation](F.linear(x, w, b)),
    "reshape": lambda x, shape: torch.reshape(x, shape),
    "transpose": lambda x, d0, d1: torch.transpose(x, d0, d1),
    "expand": lambda x, shape: x.expand(shape),
    "softmax": lambda x, dim: torch.softmax(x, dim),
    "log_softmax": lambda x, dim: torch.log_softmax(x, dim),
    "cross_entropy": lambda x, labels, smoothing, ignore_index, reduction: F.cross_entropy(
        x, labels.long(), label_smoothing=smoothing, ignore_index=ignore_index, reduction=reduction),
    "mse_loss": lambda x, y, reduction: F.mse_loss(x, y, reduction=reduction),
}


# ---- inputs ------------------------------------------------------------------------------------------------

class Input:
    """A shape and how to fill it; `fill(rng, n)` gives the values in row-major order."""

    def __init__(self, shape, fill, dtype="real", diff=True):
        self.shape, self.fill, self.dtype = list(shape), fill, dtype
        self.diff = diff and dtype in ("real", "f32", "f64")

    def tensor(self, rng):
        values = self.fill(rng, math.prod(self.shape))
        return torch.tensor(values, dtype=DTYPES[self.dtype]).reshape(self.shape).requires_grad_(self.diff)


def draw(shape, lo=-2.0, hi=2.0, away=(), step=1 / 64, shift=0.0, **kind):
    """Multiples of `step` (plus `shift`): exact in f32, short in the file; 1/16 or more from the kinks."""

    def one(rng):
        while True:
            value = rng.randint(math.ceil(lo / step), math.floor(hi / step)) * step + shift
            if all(abs(value - kink) >= 1 / 16 for kink in away):
                return value

    return Input(shape, lambda rng, n: [one(rng) for _ in range(n)], **kind)


def distinct(shape, step=1 / 64, **kind):
    """No two values alike, in random order: for maxima."""
    return Input(shape, lambda rng, n: [(k - n // 2) * step for k in rng.sample(range(n), n)], **kind)


def given(values, shape=None, **kind):
    """These very values."""
    return Input([len(values)] if shape is None else shape, lambda rng, n: list(values), **kind)


def index(shape, below, dtype="i32"):
    """Random indices in [0, below)."""
    return Input(shape, lambda rng, n: [rng.randrange(below) for _ in range(n)], dtype)


# ---- one sample --------------------------------------------------------------------------------------------

class Writer:
    def __init__(self):
        self.lines, self.names, self.count = ["cutape-golden 1"], set(), {}

    def line(self, *tokens):
        self.lines.append(" ".join(tokens))

    def tensor(self, t, dtype, *head):
        stored = t.detach() + torch.zeros(t.shape, dtype=t.dtype)  # autograd's own zeros have no storage
        values = stored.reshape(-1).tolist()
        self.line(*head, dtype, str(t.dim()), *map(str, t.shape), *map(number, values))


out = Writer()


def number(value):
    """The shortest text that reads back as the same double."""
    if isinstance(value, int):
        return str(value)
    text = repr(value)
    return text[:-2] if text.endswith(".0") else text


def words(value):
    if isinstance(value, bool):
        return [str(int(value))]
    if isinstance(value, (list, tuple)):
        return [number(v) for v in value]
    return [value if isinstance(value, str) else number(value)]


def finite(tensors):
    return all(torch.isfinite(t).all() for t in tensors)


def small(rng, shape, dtype=torch.float64):
    """A cotangent or a direction: in [-1, 1], nowhere 0, exact in f32."""
    values = [rng.choice((-1, 1)) * rng.randint(1, 16) / 16 for _ in range(math.prod(shape))]
    return torch.tensor(values, dtype=dtype).reshape(list(shape))


def check_smooth(name, f, tensors, diff, cotangent, grads, directions):
    """A sample that is not called a kink must pass a finite difference."""

    def at(eps):
        moved = [t.detach() + eps * directions[i] if i in diff else t for i, t in enumerate(tensors)]
        return float((f(*moved) * cotangent).sum())

    eps = 1e-5
    numeric = (at(eps) - at(-eps)) / (2 * eps)
    analytic = sum(float((grads[i] * directions[i]).sum()) for i in diff)
    if not abs(numeric - analytic) <= 1e-6 * max(1.0, abs(numeric), abs(analytic)):
        sys.exit(f"{name}: gradient {analytic}, finite difference {numeric}: at a kink?")


def second_order(tensors, diff, cotangent, grads, directions):
    """Derivatives of sum_i <grad_i, v_i> by the inputs and by the cotangent; None if there are none."""
    wanted = [tensors[i] for i in diff] + [cotangent]
    s = sum((grads[i] * directions[i]).sum() for i in diff)
    found = [None] * len(wanted)
    if s.requires_grad:
        try:
            found = torch.autograd.grad(s, wanted, allow_unused=True)
        except RuntimeError as error:
            if "derivative for" in str(error) and "not implemented" in str(error):
                return None
            raise
    return [torch.zeros_like(w) if g is None else g for w, g in zip(wanted, found)]


def sample(op, label, *inputs, result="real", dtypes=("f32", "f64"), kink=False, second=True, **attrs):
    """Computes one sample and appends it. `result`: the output's dtype. `kink`: no finite differences.
    `second=False`: no second order, for it is a convention there, or large; never kept if not finite."""
    name = f"{op}_{label}"
    assert name.isidentifier() and name not in out.names, name
    out.names.add(name)
    out.count[op] = out.count.get(op, 0) + 1

    rng = random.Random(zlib.crc32(name.encode()))
    tensors = [None if i is None else i.tensor(rng) for i in inputs]
    diff = [k for k, i in enumerate(inputs) if i is not None and i.diff]
    f = lambda *xs: TORCH[op](*xs, **attrs)
    y = f(*tensors)

    out.line("sample", name, op)
    out.line("dtypes", *dtypes)
    if kink:
        out.line("kink")
    for key, value in attrs.items():
        out.line("attr", key, *words(value))
    for i, t in zip(inputs, tensors):
        if i is None:
            out.line("input", "none")
        else:
            out.tensor(t, i.dtype, "input", str(int(i.diff)))
    out.tensor(y, result, "output")

    if diff:
        cotangent = small(rng, y.shape, y.dtype).requires_grad_()
        out.tensor(cotangent, result, "cotangent")
        grads = {i: torch.zeros_like(tensors[i]) for i in diff}
        if y.requires_grad:
            wanted = [tensors[i] for i in diff]
            found = torch.autograd.grad(y, wanted, cotangent, create_graph=True, allow_unused=True)
            grads.update({i: g for i, g in zip(diff, found) if g is not None})
        for i in diff:
            out.tensor(grads[i], inputs[i].dtype, "grad", str(i))

        directions = {i: small(rng, tensors[i].shape, tensors[i].dtype) for i in diff}
        if not kink:
            check_smooth(name, f, tensors, diff, cotangent, grads, directions)
        seconds = second_order(tensors, diff, cotangent, grads, directions) if second else None
        if seconds is not None and finite(seconds):
            for i in diff:
                out.tensor(directions[i], inputs[i].dtype, "direction", str(i))
            for i, t in zip(diff, seconds):
                out.tensor(t, inputs[i].dtype, "second", str(i))
            out.tensor(seconds[-1], result, "second", "cotangent")
        elif second and not kink:
            sys.exit(f"{name}: no second derivative")
    out.line("end")


def shape_label(*shapes):
    return "_".join("x".join(map(str, s)) if s else "scalar" for s in shapes)


# ---- unary -------------------------------------------------------------------------------------------------

INF, NAN = math.inf, math.nan
SHAPES = [[], [1], [7], [3, 1, 5], [65], [0, 3]]


def unary(op, between=(-2.0, 2.0), away=(), prefix="", **attrs):
    for shape in SHAPES:
        sample(op, prefix + shape_label(shape), draw(shape, *between, away), **attrs)


def at(op, label, values, grad=True, second=True, **attrs):
    """At a kink, an infinity or far out; grad=False: only the value is compared."""
    sample(op, label, given(values, diff=grad), kink=True, second=second, **attrs)


unary("neg")
at("neg", "nonfinite", [NAN, INF, -INF], grad=False)
unary("abs", away=[0])
at("abs", "at_zero", [0.0, -0.0, 1.5, -1.5])
at("abs", "nonfinite", [NAN, INF, -INF], grad=False)
unary("exp")
sample("exp", "1031", draw([1031]), second=False)
at("exp", "large", [-80.0, 0.0, 60.0, -INF], second=False)
at("exp", "nonfinite", [NAN, INF, -INF], grad=False)
unary("expm1")
at("expm1", "small_and_large", [2.0**-20, -(2.0**-20), 0.0, -50.0, 40.0])
at("expm1", "nonfinite", [NAN, INF, -INF], grad=False)
unary("log", between=(0.25, 4))
at("log", "at_zero", [0.0, 1.0, 2.0**-10, 1e6])
at("log", "nonfinite", [NAN, INF, -1.0], grad=False)
unary("log1p", between=(-0.75, 3))
at("log1p", "small_and_at_minus_one", [2.0**-20, -(2.0**-20), 0.0, -1.0])
at("log1p", "nonfinite", [NAN, INF, -2.0], grad=False)
unary("sqrt", between=(0.25, 4))
at("sqrt", "at_zero", [0.0, 1.0, 1e6])
at("sqrt", "nonfinite", [NAN, INF, -1.0], grad=False)
unary("rsqrt", between=(0.25, 4))
at("rsqrt", "at_zero", [0.0, 1.0, 1e6])
at("rsqrt", "nonfinite", [NAN, INF, -1.0], grad=False)
unary("square")
at("square", "at_zero", [0.0, -3.0, 1000.0])
unary("reciprocal", away=[0, 0.0625, 0.125, 0.1875, -0.0625, -0.125, -0.1875])
at("reciprocal", "at_zero", [0.0, 1.0, -4.0])
at("reciprocal", "nonfinite", [NAN, INF, -INF], grad=False)
unary("sin")
at("sin", "large", [100.5, -1000.25, 0.0, 3.140625])
unary("cos")
at("cos", "large", [100.5, -1000.25, 0.0, 3.140625])
unary("tanh")
sample("tanh", "1031", draw([1031], -4, 4), second=False)
at("tanh", "large", [0.0, 2.0**-12, 20.0, -20.0, 500.0, -500.0])
at("tanh", "nonfinite", [NAN, INF, -INF], grad=False)
unary("sigmoid")
at("sigmoid", "large", [0.0, 30.0, -30.0, 500.0, -500.0])
at("sigmoid", "nonfinite", [NAN, INF, -INF], grad=False)
unary("relu", away=[0])
sample("relu", "1031", draw([1031], away=[0]))
at("relu", "at_zero", [0.0, -0.0, 1.0, -1.0])
at("relu", "nonfinite", [NAN, INF, -INF], grad=False)
unary("silu", between=(-4, 4))
at("silu", "large", [0.0, 40.0, -40.0, 500.0, -500.0])
unary("softplus", between=(-4, 4))
at("softplus", "large", [0.0, 19.5, 40.0, -40.0, 500.0, -500.0])
at("softplus", "nonfinite", [NAN, INF, -INF], grad=False)
for op in ("gelu", "gelu_tanh"):
    unary(op, between=(-3, 3))
    at(op, "large", [0.0, 6.0, -6.0, 30.0, -30.0])
sample("gelu", "1031", draw([1031], -4, 4), second=False)
unary("leaky_relu", away=[0], slope=0.01)
sample("leaky_relu", "steep", draw([5, 3], away=[0]), slope=1.5)
sample("leaky_relu", "negative_slope", draw([5, 3], away=[0]), slope=-0.25)
at("leaky_relu", "at_zero", [0.0, -0.0, 1.0, -1.0], slope=0.25)
at("leaky_relu", "nonfinite", [NAN, INF, -INF], grad=False, slope=0.01)
unary("elu", away=[0], alpha=1.0)
sample("elu", "alpha_half", draw([5, 3], away=[0]), alpha=0.5)
at("elu", "at_zero", [0.0, -0.0, 1.0, -1.0, -40.0, 90.0], alpha=1.0)
at("elu", "at_zero_alpha_half", [0.0, -0.0, 1.0, -1.0], alpha=0.5)
at("elu", "nonfinite", [NAN, INF, -INF], grad=False, alpha=1.0)
unary("clamp", away=[-0.5, 1], lo=-0.5, hi=1.0)
at("clamp", "at_bounds", [-0.5, 1.0, 0.0, -0.75, 1.25], lo=-0.5, hi=1.0)
at("clamp", "one_sided", [-3.0, 0.0, 1.0, 3.0, 1e6], lo=-INF, hi=1.0)
at("clamp", "nonfinite", [NAN, INF, -INF], grad=False, lo=-0.5, hi=1.0)
unary("sign", away=[0])
at("sign", "at_zero", [0.0, -0.0, 2.0**-20, -(2.0**-20), INF, -INF])

for source, to in (("real", "f64"), ("real", "f32"), ("f32", "f64"), ("f32", "f32"), ("f64", "f32")):
    for shape in ([2, 5], [0, 3], [67]):
        sample("cast", f"{source}_to_{to}_{shape_label(shape)}", draw(shape, dtype=source), to=to, result=to,
               dtypes=("f32", "f64") if source == "real" else ("f64",), kink="f32" in (source, to))
for source in ("i32", "u8", "i64"):
    for to in ("f32", "f64"):
        sample("cast", f"{source}_to_{to}", given([0, 1, 2, 100, 255], dtype=source), to=to, result=to)
at("cast", "to_i32_truncates", [0.0, 0.75, -0.75, 2.5, -2.5, 1000.0], grad=False, to="i32", result="i32")
at("cast", "to_i64_truncates", [0.0, 0.75, -0.75, 2.5, -2.5, 1e6], grad=False, to="i64", result="i64")
at("cast", "to_u8", [0.0, 0.75, 2.5, 255.0], grad=False, to="u8", result="u8")

for value in (1.5, -0.1, 0.0):
    label = f"{value}".replace("-", "minus_").replace(".", "p") + "_"
    for shape in SHAPES if value == 1.5 else SHAPES[1:3]:
        sample("add_scalar", label + shape_label(shape), draw(shape), value=value)
        sample("mul_scalar", label + shape_label(shape), draw(shape), value=value)
unary("pow_scalar", (0.25, 2.5), prefix="p2p5_", value=2.5)
for value in (2.0, 3.0, 0.5, -0.5, -1.0, -2.0, 1.0, 0.0):
    label = f"{value}".replace("-", "minus_").replace(".", "p")
    sample("pow_scalar", "p" + label, draw([9], 0.25, 2.5), value=value)
    if value == int(value):
        sample("pow_scalar", "negative_base_p" + label, draw([9], -2.5, -0.25), value=value)
        at("pow_scalar", "at_zero_p" + label, [0.0, 1.0, -2.0], value=value)
    elif value > 0:
        at("pow_scalar", "at_zero_p" + label, [0.0, 1.0, 4.0], value=value)


# ---- binary ------------------------------------------------------------------------------------------------

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


# ---- reductions --------------------------------------------------------------------------------------------

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


# ---- matrix products ---------------------------------------------------------------------------------------

for left, right in (([1, 1], [1, 1]), ([2, 3], [3, 4]), ([5, 7], [7, 3]), ([1, 9], [9, 1]),
                    ([33, 17], [17, 9]),
                    ([2, 3, 4], [2, 4, 5]), ([2, 3, 4], [4, 5]), ([3, 4], [2, 4, 5]),
                    ([2, 1, 3, 4], [5, 4, 2]),
                    ([1, 3, 4], [6, 4, 2]), ([3, 0], [0, 4]), ([0, 3], [3, 4]), ([3, 4], [4, 0]),
                    ([0, 2, 3], [3, 4])):
    sample("matmul", shape_label(left, right), draw(left), draw(right))
sample("matmul", "35x67_67x33", draw([35, 67], step=1 / 8), draw([67, 33], step=1 / 8), second=False)
sample("matmul", "2x1031_1031x3", draw([2, 1031], step=1 / 8), draw([1031, 3], step=1 / 8), second=False)

for activation in ACTIVATIONS:
    for x, n_out, bias in (([1, 1], 1, True), ([1, 1], 1, False), ([4, 3], 5, True), ([4, 3], 5, False),
                           ([2, 3, 7], 4, True), ([2, 3, 7], 4, False), ([17, 9], 33, True)):
        sample("linear", f"{activation}_{shape_label(x)}_to_{n_out}" + ("_bias" if bias else ""),
               draw(x, away=[0]), draw([n_out, x[-1]], -1, 1, away=[0]),
               draw([n_out], -1, 1) if bias else None,
               activation=activation)
    sample("linear", activation + "_empty_batch", draw([0, 3]), draw([2, 3]), draw([2]),
           activation=activation)
for activation in ("relu", "leaky_relu"):
    sample("linear", activation + "_at_zero", given([0.0, 0.0, 1.0, -1.0], [2, 2]), draw([3, 2]),
           given([0.0] * 3),
           activation=activation, kink=True)
sample("linear", "relu_37x65_to_34_bias", draw([37, 65], step=1 / 8), draw([34, 65], -1, 1, step=1 / 8),
       draw([34], -1, 1, step=1 / 4, shift=1 / 128), second=False, activation="relu")
sample("linear", "identity_2x1031_to_2_bias", draw([2, 1031], step=1 / 8), draw([2, 1031], -1, 1, step=1 / 8),
       draw([2], -1, 1), second=False, activation="identity")


# ---- shapes ------------------------------------------------------------------------------------------------

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


# ---- softmax and losses ------------------------------------------------------------------------------------

for op in ("softmax", "log_softmax"):
    for shape, dim in (([7], 0), ([3, 5], 1), ([3, 5], 0), ([2, 3, 4], 1), ([2, 3, 4], -1), ([4, 1], 1),
                       ([0, 5], 1),
                       ([13, 33], -1), ([1, 1031], 1), ([67, 3], 0)):
        label = f"{shape_label(shape)}_dim_{dim}".replace("-", "m")
        sample(op, label, draw(shape), dim=dim)
    sample(op, "large", given([1000.0, 999.0, -1000.0, 1e4, 0.0, -1e4, 88.0, 89.0, 90.0], [3, 3]), dim=1,
           kink=True)
    sample(op, "equal", given([2.0] * 8, [2, 4]), dim=1)
    sample(op, "minus_inf", given([0.5, -INF, 1.0, -INF, 3.0, -INF], [2, 3]), dim=1, kink=True)
    sample(op, "nonfinite", given([NAN, 0.0, 1.0, INF, 0.0, 1.0, -INF, -INF, -INF], [3, 3], diff=False),
           dim=1)


def cross_entropy(label, logits, labels, smoothing=0.0, ignore_index=-100, reduction="mean", **flags):
    sample("cross_entropy", label, logits, labels, smoothing=smoothing, ignore_index=ignore_index,
           reduction=reduction, **flags)


for reduction_ in ("mean", "sum", "none"):
    cross_entropy(f"4x3_{reduction_}", draw([4, 3]), index([4], 3), reduction=reduction_)
    cross_entropy(f"7x10_smooth_{reduction_}", draw([7, 10]), index([7], 10, "i64"), 0.125,
                  reduction=reduction_)
    cross_entropy(f"6x4_ignore_{reduction_}", draw([6, 4]), given([0, -100, 3, 2, -100, 1], dtype="i32"),
                  reduction=reduction_)
    cross_entropy(f"6x4_ignore_a_class_smooth_{reduction_}", draw([6, 4]),
                  given([0, 2, 3, 2, 1, 1], dtype="i64"), 0.25,
                  ignore_index=2, reduction=reduction_)
    cross_entropy(f"large_{reduction_}", given([1000.0, 0.0, -1000.0, 1e4, 9999.0, 0.0], [2, 3]),
                  given([1, 0], dtype="i32"), reduction=reduction_, kink=True)
cross_entropy("1x2", draw([1, 2]), index([1], 2))
cross_entropy("5x1", draw([5, 1]), index([5], 1))
cross_entropy("33x10", draw([33, 10]), index([33], 10))
cross_entropy("2x1031", draw([2, 1031]), index([2], 1031), 0.125)
cross_entropy("257x3", draw([257, 3]), index([257], 3))
cross_entropy("0x3_sum", draw([0, 3]), index([0], 3), reduction="sum")
cross_entropy("0x3_none", draw([0, 3]), index([0], 3), reduction="none")
cross_entropy("0x3_mean_is_nan", draw([0, 3], diff=False), index([0], 3))
cross_entropy("all_ignored_sum", draw([3, 2]), given([-100] * 3, dtype="i32"), reduction="sum")
cross_entropy("all_ignored_mean_is_nan", draw([3, 2], diff=False), given([-100] * 3, dtype="i32"))
cross_entropy("all_smoothed", draw([3, 4]), index([3], 4), 1.0)
cross_entropy("minus_inf", given([0.5, -INF, 1.0, 2.0, 0.0, -INF], [2, 3]), given([0, 1], dtype="i32"),
              kink=True)


def pair_loss(op, away_from_equal=0.0, **attrs):
    for reduction_ in ("mean", "sum", "none"):
        for shape in ([], [7], [3, 5], [2, 1, 5, 3], [65]):
            sample(op, f"{shape_label(shape)}_{reduction_}", draw(shape, step=1 / 32),
                   draw(shape, step=1 / 32, shift=1 / 64), reduction=reduction_, **attrs)
    sample(op, "1031_mean", draw([1031], step=1 / 32), draw([1031], step=1 / 32, shift=1 / 64),
           reduction="mean",
           **attrs)
    sample(op, "0x3_sum", draw([0, 3]), draw([0, 3]), reduction="sum", **attrs)
    sample(op, "0x3_none", draw([0, 3]), draw([0, 3]), reduction="none", **attrs)
    sample(op, "equal", given([1.0, -2.0, 0.5]), given([1.0, -2.0, 0.0]), reduction="mean", kink=True,
           **attrs)
    sample(op, "constant_target", draw([5], step=1 / 32), draw([5], step=1 / 32, shift=1 / 64, diff=False),
           reduction="mean", **attrs)


pair_loss("mse_loss")


# ---- the file ----------------------------------------------------------------------------------------------

def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    default = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ops.txt.gz")
    parser.add_argument("path", nargs="?", default=default)
    path = parser.parse_args().path
    missing = sorted(set(TORCH) - set(out.count))
    if missing:
        sys.exit("no samples: " + ", ".join(missing))
    text = ("\n".join(out.lines) + "\n").encode()
    with open(path, "wb") as file, gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
        packed.write(text)
    print(f"{path}: {len(out.names)} samples of {len(out.count)} ops, {len(text)} bytes, "
          f"{os.path.getsize(path)} packed")


main()

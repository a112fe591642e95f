"""What the golden files are made of: inputs, and samples with PyTorch's answers in f64.

The files of ops/ list the samples, a family of ops each, in terms of this; generate.py runs them.
"""
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

DTYPES = {"real": torch.float64, "f32": torch.float32, "f64": torch.float64, "i32": torch.int32,
          "u8": torch.uint8, "i64": torch.int64}


# The op, as PyTorch has it: (operands..., attributes by name). Each family adds its own.
TORCH = {}
INF, NAN = math.inf, math.nan


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
        self.names, self.count = set(), {}
        self.begin()

    def begin(self):
        """A new file; names stay taken."""
        self.lines = ["cutape-golden 1"]

    def save(self, path):
        text = ("\n".join(self.lines) + "\n").encode()
        with open(path, "wb") as file, gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
            packed.write(text)

    def line(self, *tokens):
        self.lines.append(" ".join(tokens))

    def tensor(self, t, dtype, *head):
        stored = t.detach() + torch.zeros(t.shape, dtype=t.dtype)  # autograd's own zeros have no storage
        values = stored.reshape(-1).tolist()
        self.line(*head, dtype, str(t.dim()), *map(str, t.shape), *map(number, values))


out = Writer()  # of the family at hand


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

"""Unary ops, scalar ops and cast: their PyTorch formulas, and the samples."""
import torch
import torch.nn.functional as F

from golden import DTYPES, INF, NAN, TORCH, draw, given, sample, shape_label

TORCH.update({
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
})


SHAPES = [[], [1], [7], [3, 1, 5], [65], [0, 3]]


def unary(op, between=(-2.0, 2.0), away=(), prefix="", **attrs):
    for shape in SHAPES:
        sample(op, prefix + shape_label(shape), draw(shape, *between, away), **attrs)


def at(op, label, values, grad=True, second=True, **attrs):
    """At a kink, an infinity or far out; grad=False: only the value is compared."""
    sample(op, label, given(values, diff=grad), kink=True, second=second, **attrs)


unary("neg")
sample("neg", "1031", draw([1031]), second=False)
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
at("square", "nonfinite", [NAN, INF, -INF], grad=False)
unary("reciprocal", away=[0, 0.0625, 0.125, 0.1875, -0.0625, -0.125, -0.1875])
at("reciprocal", "at_zero", [0.0, 1.0, -4.0])
at("reciprocal", "nonfinite", [NAN, INF, -INF], grad=False)
unary("sin")
at("sin", "large", [100.5, -1000.25, 0.0, 3.140625])
at("sin", "nonfinite", [NAN, INF, -INF], grad=False)
unary("cos")
at("cos", "large", [100.5, -1000.25, 0.0, 3.140625])
at("cos", "nonfinite", [NAN, INF, -INF], grad=False)
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
at("silu", "nonfinite", [NAN, INF, -INF], grad=False)
unary("softplus", between=(-4, 4))
at("softplus", "large", [0.0, 19.5, 40.0, -40.0, 500.0, -500.0])
at("softplus", "nonfinite", [NAN, INF, -INF], grad=False)
for op in ("gelu", "gelu_tanh"):
    unary(op, between=(-3, 3))
    at(op, "large", [0.0, 6.0, -6.0, 30.0, -30.0])
    at(op, "nonfinite", [NAN, INF, -INF], grad=False)
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
sample("sign", "1031", draw([1031], away=[0]), second=False)
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

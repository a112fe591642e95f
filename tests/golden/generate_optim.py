#!/usr/bin/python3
"""Writes the golden file of the training tests: PyTorch's optimizers and whole runs, in f64.

    python3 tests/golden/generate_optim.py [tests/golden/optim.txt.gz]

The problems are made of integers by formulas that tests/train/train_test.h repeats, so that only results
are stored. The same PyTorch on the same kind of CPU writes the same bytes.
"""
import argparse
import gzip
import os
import sys

os.environ.setdefault("ATEN_CPU_CAPABILITY", "default")  # plain loops: digits depend less on the CPU

import torch
import torch.nn.functional as F

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)

# The file, one line a fact, tokens between spaces.
#
#   cutape-optim 1
#   run NAME PROBLEM KIND           PROBLEM mlp or quadratic, KIND sgd, adam or adamw
#   set KEY VALUE                   of the configuration; what is not named has the default
#   rate STEP VALUE                 (any number) the rate from this step on, counted from 1
#   max_norm VALUE                  (if so) gradients are clipped to this norm before the update
#   norm STEP VALUE                 the norm before clipping
#   grad STEP PARAMETER VALUES...   after clipping
#   at STEP PARAMETER VALUES...     after that step: all elements, or those of PROBES
#   end
#   curve NAME KIND                 a training run; `set` as above, then the loss of each step
#   losses VALUES...
#   end

STEPS = (1, 2, 10, 100)
PROBES = {4099: (0, 1, 1023, 2047, 2048, 2049, 4095, 4096, 4098), 2049: (0, 682, 683, 2047, 2048)}
lines = ["cutape-optim 1"]


def line(*tokens):
    lines.append(" ".join(t if isinstance(t, str) else f"{t:.12g}" for t in tokens))


# ---- the problems ------------------------------------------------------------------------------------------

class Stream:
    """Uniform multiples of 2^-23 in [-1, 1), from a linear congruential generator."""

    def __init__(self, state):
        self.state = state

    def bits(self):
        self.state = (self.state * 1664525 + 1013904223) % 2**32
        return self.state >> 8

    def draw(self, shape, scale=1.0):
        n = torch.Size(shape).numel()
        return torch.tensor([(self.bits() / 2**23 - 1) * scale for _ in range(n)]).reshape(shape)

    def classes(self, n, below):
        return torch.tensor([self.bits() % below for _ in range(n)])


class Perceptron:
    """Cross-entropy of a 5-7-3 network with tanh on 11 fixed rows: every gradient is dense and moves."""

    def __init__(self):
        stream = Stream(1)
        self.parameters = [stream.draw(s).requires_grad_() for s in ([7, 5], [7], [3, 7], [3])]
        self.x, self.y = stream.draw([11, 5], 2.0), stream.classes(11, 3)

    def loss(self):
        w0, b0, w1, b1 = self.parameters
        return F.cross_entropy(F.linear(torch.tanh(F.linear(self.x, w0, b0)), w1, b1), self.y)


class Quadratic:
    """sum c (w - t)^2 / 2 over two parameters that are longer than a block of the update kernels."""

    def __init__(self):
        self.parameters, self.c, self.t = [], [], []
        for shape in ([4099], [3, 683]):
            i = torch.arange(torch.Size(shape).numel())
            self.parameters.append((((i * 37) % 101 - 50) / 64).reshape(shape).requires_grad_())
            self.t.append((((i * 53) % 97 - 48) / 32).reshape(shape))
            self.c.append(((1 + i % 7) / 8).reshape(shape))

    def loss(self):
        return sum((c * (w - t) ** 2).sum() / 2 for w, c, t in zip(self.parameters, self.c, self.t))


PROBLEMS = {"mlp": Perceptron, "quadratic": Quadratic}
NAMES = {"beta1": 0.9, "beta2": 0.999}


def optimizer(kind, parameters, **settings):
    if kind == "sgd":
        return torch.optim.SGD(parameters, **{"lr": 1e-3, **settings})
    settings["betas"] = tuple(settings.pop(name, default) for name, default in NAMES.items())
    return {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[kind](parameters, **settings)


def shown(tensor):
    flat = tensor.detach().reshape(-1).tolist()
    return [flat[i] for i in PROBES[len(flat)]] if len(flat) in PROBES else flat


# ---- runs --------------------------------------------------------------------------------------------------

def run(name, problem, kind, rates=(), max_norm=None, **settings):
    line("run", name, problem, kind)
    for key, value in settings.items():
        line("set", key, float(value))
    for step, value in rates:
        line("rate", str(step), value)
    if max_norm is not None:
        line("max_norm", max_norm)
    p = PROBLEMS[problem]()
    o = optimizer(kind, p.parameters, **settings)
    for step in range(1, max(STEPS) + 1):
        for first, value in rates:
            if step == first:
                o.param_groups[0]["lr"] = value
        o.zero_grad()
        p.loss().backward()
        if max_norm is not None:
            norm = torch.nn.utils.clip_grad_norm_(p.parameters, max_norm)
            if step in STEPS:
                line("norm", str(step), float(norm))
                for i, w in enumerate(p.parameters):
                    line("grad", str(step), str(i), *shown(w.grad))
        o.step()
        if step in STEPS:
            for i, w in enumerate(p.parameters):
                line("at", str(step), str(i), *shown(w))
    line("end")


run("sgd_default", "mlp", "sgd")
run("sgd_plain", "mlp", "sgd", lr=0.5)
run("sgd_weight_decay", "mlp", "sgd", lr=0.25, weight_decay=0.05)
run("sgd_momentum", "mlp", "sgd", lr=0.1, momentum=0.9)
run("sgd_momentum_dampening", "mlp", "sgd", lr=0.2, momentum=0.9, dampening=0.3)
run("sgd_momentum_weight_decay", "mlp", "sgd", lr=0.1, momentum=0.5, weight_decay=0.1)
run("sgd_dampening_alone", "mlp", "sgd", lr=0.25, dampening=0.5)
run("sgd_nesterov", "mlp", "sgd", lr=0.1, momentum=0.8, nesterov=True)
run("sgd_nesterov_weight_decay", "mlp", "sgd", lr=0.1, momentum=0.9, weight_decay=0.02, nesterov=True)
run("sgd_all_but_nesterov", "mlp", "sgd", lr=0.2, momentum=0.7, dampening=0.5, weight_decay=0.05)
run("sgd_rates", "mlp", "sgd", lr=0.1, momentum=0.9, rates=((2, 0.2), (7, 0.05), (51, 0.0125)))
run("sgd_rate_zero_midway", "mlp", "sgd", lr=0.1, momentum=0.9, rates=((3, 0.0), (9, 0.1)))
run("adam_default", "mlp", "adam")
run("adam_fast", "mlp", "adam", lr=0.05)
run("adam_betas_and_eps", "mlp", "adam", lr=0.02, beta1=0.5, beta2=0.9, eps=1e-3)
run("adam_no_first_moment", "mlp", "adam", lr=0.01, beta1=0.0)
run("adam_weight_decay", "mlp", "adam", lr=0.02, weight_decay=0.1)
run("adam_rates", "mlp", "adam", lr=0.01, rates=((2, 0.03), (51, 0.002)))
run("adamw_default", "mlp", "adamw")
run("adamw_fast", "mlp", "adamw", lr=0.05, weight_decay=0.2)
run("adamw_no_decay", "mlp", "adamw", lr=0.02, weight_decay=0.0)
run("adamw_rates", "mlp", "adamw", lr=0.01, weight_decay=0.3, rates=((2, 0.03), (51, 0.002)))
run("sgd_clipped", "mlp", "sgd", lr=0.5, max_norm=0.125)
run("sgd_clipped_at_first_only", "mlp", "sgd", lr=0.5, momentum=0.5, max_norm=0.5)
run("sgd_clip_too_large_to_matter", "mlp", "sgd", lr=0.5, max_norm=1000.0)
run("adam_clipped", "mlp", "adam", lr=0.05, max_norm=0.25)
run("sgd_long", "quadratic", "sgd", lr=0.25, momentum=0.9, weight_decay=0.01)
run("sgd_long_plain", "quadratic", "sgd", lr=0.5)
run("adam_long", "quadratic", "adam", lr=0.02)
run("adamw_long_clipped", "quadratic", "adamw", lr=0.02, max_norm=8.0)


# ---- whole training runs -----------------------------------------------------------------------------------

def curve(name, kind, **settings):
    """784-32-10 with ReLU on 128 random rows, in order in batches of 32, for 50 steps."""
    line("curve", name, kind)
    for key, value in settings.items():
        line("set", key, float(value))
    stream = Stream(2)
    parameters = [stream.draw(s, 1 / 32).requires_grad_() for s in ([32, 784], [32], [10, 32], [10])]
    x, y = stream.draw([128, 784]), stream.classes(128, 10)
    w0, b0, w1, b1 = parameters
    o = optimizer(kind, parameters, **settings)
    losses = []
    for step in range(50):
        rows = slice(step % 4 * 32, step % 4 * 32 + 32)
        o.zero_grad()
        loss = F.cross_entropy(F.linear(torch.relu(F.linear(x[rows], w0, b0)), w1, b1), y[rows])
        loss.backward()
        o.step()
        losses.append(float(loss))
    line("losses", *losses)
    line("end")


curve("sgd_momentum", "sgd", lr=0.05, momentum=0.9)
curve("adam", "adam", lr=2e-3)
curve("adamw", "adamw", lr=2e-3, weight_decay=0.1)


# ---- the file ----------------------------------------------------------------------------------------------

def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    default = os.path.join(os.path.dirname(os.path.abspath(__file__)), "optim.txt.gz")
    parser.add_argument("path", nargs="?", default=default)
    path = parser.parse_args().path
    text = ("\n".join(lines) + "\n").encode()
    with open(path, "wb") as file, gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
        packed.write(text)
    print(f"{path}: {len(lines)} lines, {len(text)} bytes, {os.path.getsize(path)} packed")


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""Writes the golden files that the op tests read: every (op, sample) there is, with PyTorch's answers in f64.

    python3 tests/golden/generate.py [FAMILY...]

A family is a file of tests/golden/ops/; without one all are written, each beside its list. To add an op: its
PyTorch formula and its samples there, and one line in tests/ops/registry.cc. The same PyTorch on the same
kind of CPU writes the same bytes.
"""
import importlib
import os
import sys

os.environ.setdefault("ATEN_CPU_CAPABILITY", "default")  # plain loops: digits depend less on the CPU

import torch

torch.set_num_threads(1)

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ops")
FAMILIES = ["unary", "binary", "reduce", "matrix", "shape", "embedding", "norm", "loss"]


def main():
    import golden

    for family in FAMILIES:
        golden.out.begin()
        importlib.import_module(f"ops.{family}")
        if not sys.argv[1:] or family in sys.argv[1:]:
            path = os.path.join(HERE, family + ".txt.gz")
            golden.out.save(path)
            print(f"{path}: {len(golden.out.lines)} lines, {os.path.getsize(path)} bytes")
    missing = sorted(set(golden.TORCH) - set(golden.out.count))
    if missing:
        sys.exit("no samples: " + ", ".join(missing))
    print(f"{len(golden.out.names)} samples of {len(golden.out.count)} ops")


main()

#!/usr/bin/env python3
"""The training steps of step_bench.cc in PyTorch on the CPU, in microseconds a step.

The data lies in tensors, already as floats; a batch is an index_select by a slice of randperm, drawn anew for
each epoch. No DataLoader, no .item(), no loss kept: nothing that an experienced user would leave out. Each
step is timed in several manners, and a line is printed for each: network, manner, microseconds.
"""
import argparse
import time

import torch
from torch import nn
from torch.nn import functional as F

NETWORKS = {
    "784-128-10": dict(widths=[784, 128, 10], batch=64, examples=60000, classes=True),
    "32-64-64-1": dict(widths=[32, 64, 64, 1], batch=256, examples=65536, classes=False),
}


def perceptron(widths):
    layers = []
    for inputs, outputs in zip(widths, widths[1:]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def make_data(net):
    n, widths = net["examples"], net["widths"]
    if net["classes"]:
        x = torch.randint(0, 256, (n, widths[0]), dtype=torch.uint8).float() / 255
        return x, torch.randint(0, widths[-1], (n,))
    return torch.randn(n, widths[0]), torch.randn(n, widths[-1])


def make_model(net, manner, x):
    model = perceptron(net["widths"])
    adam = torch.optim.Adam(model.parameters(), **({"foreach": True} if manner != "eager" else {}))
    forward = model
    if manner == "jit":
        forward = torch.jit.trace(model, x[: net["batch"]])
    if manner == "compile":
        forward = torch.compile(model)
    return forward, adam


def time_steps(net, manner, seconds):
    x, y = make_data(net)
    forward, adam = make_model(net, manner, x)
    loss_of = F.cross_entropy if net["classes"] else F.mse_loss
    batch, order, at = net["batch"], None, net["examples"]

    def step():
        nonlocal order, at
        if at + batch > len(x):
            order, at = torch.randperm(len(x)), 0
        rows = order[at : at + batch]
        at += batch
        loss = loss_of(forward(x.index_select(0, rows)), y.index_select(0, rows))
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()

    for _ in range(100):
        step()
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for _ in range(100):
            step()
        done += 100
    return (time.perf_counter() - start) / done * 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=0, help="0: as many as torch chooses")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each line")
    parser.add_argument("--compile", action="store_true", help="time torch.compile too; it wants a C++ compiler")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    manners = ["eager", "foreach", "jit"] + (["compile"] if options.compile else [])
    for name, net in NETWORKS.items():
        for manner in manners:
            print(name, manner, f"{time_steps(net, manner, options.seconds):.1f}", flush=True)


if __name__ == "__main__":
    main()

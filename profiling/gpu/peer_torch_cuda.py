#!/usr/bin/env python3
"""The training steps of train_bench.cc in PyTorch on a GPU, in microseconds a step.

The data lies on the device, already as floats; a batch is an index_select by a slice of randperm, drawn anew
for each epoch. No DataLoader, no .item(), no loss kept: nothing that an experienced user would leave out.
A line is printed for each network and manner:

  eager        as PyTorch does by default
  eager-fused  with its fused Adam
  graph        the whole step, the choice of its batch included, as one CUDA graph, with capturable Adam
  graph-fused  the same with the fused Adam

With --serve it answers lines "NETWORK MANNER" on stdin instead.
"""
import argparse
import pathlib
import sys
import time

import torch
from torch.nn import functional as F

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from peer_torch import NETWORKS, perceptron  # noqa: E402

MANNERS = ["eager", "eager-fused", "graph", "graph-fused"]
TURN = 100  # steps between two readings of the clock


class Trainer:
    def __init__(self, net, manner, device):
        self.device, self.batch, self.n = device, net["batch"], net["examples"]
        self.make_data(net)
        self.model = perceptron(net["widths"]).to(device)
        fused, captured = manner.endswith("fused"), manner.startswith("graph")
        settings = {"fused": True} if fused else {}
        self.adam = torch.optim.Adam(self.model.parameters(), capturable=captured, **settings)
        self.loss_of = F.cross_entropy if net["classes"] else F.mse_loss
        self.order, self.at = torch.randperm(self.n, device=device), 0
        self.step = self.eager
        if captured:
            self.capture()
            self.step = self.replay

    def make_data(self, net):
        inputs, outputs = net["widths"][0], net["widths"][-1]
        if net["classes"]:
            self.x = torch.randint(0, 256, (self.n, inputs), device=self.device, dtype=torch.uint8).float() / 255
            self.y = torch.randint(0, outputs, (self.n,), device=self.device)
        else:
            self.x = torch.randn(self.n, inputs, device=self.device)
            self.y = torch.randn(self.n, outputs, device=self.device)

    def train_on(self, rows):
        loss = self.loss_of(self.model(self.x.index_select(0, rows)), self.y.index_select(0, rows))
        self.adam.zero_grad(set_to_none=True)
        loss.backward()
        self.adam.step()

    # Is the epoch over? Counts the batches.
    def advance(self):
        over = self.at + self.batch > self.n
        self.at = self.batch if over else self.at + self.batch
        return over

    def eager(self):
        if self.advance():
            self.order = torch.randperm(self.n, device=self.device)
        self.train_on(self.order[self.at - self.batch : self.at])

    # The place in the order is a tensor, which the graph itself moves on.
    def capture(self):
        self.places = torch.arange(self.batch, device=self.device)

        def step():
            self.train_on(self.order.index_select(0, self.places))
            self.places += self.batch

        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(3):
                step()
        torch.cuda.current_stream().wait_stream(aside)
        self.first = torch.arange(self.batch, device=self.device)
        self.places.copy_(self.first)
        self.adam.zero_grad(set_to_none=True)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            step()

    def replay(self):
        if self.advance():
            self.order.copy_(torch.randperm(self.n, device=self.device))
            self.places.copy_(self.first)
        self.graph.replay()


def time_steps(trainer, seconds):
    for _ in range(TURN):
        trainer.step()
    torch.cuda.synchronize()
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for _ in range(TURN):
            trainer.step()
        torch.cuda.synchronize()
        done += TURN
    return (time.perf_counter() - start) / done * 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=0.5, help="for each line")
    parser.add_argument("--serve", action="store_true", help='answer lines "NETWORK MANNER" on stdin')
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("peer_torch_cuda.py: PyTorch finds no GPU")
    torch.manual_seed(1)
    # Products in full f32, as ours are.
    torch.backends.cuda.matmul.allow_tf32 = False
    trainers = {}
    asked = (line.split() for line in sys.stdin) if options.serve else ((n, m) for n in NETWORKS for m in MANNERS)
    for name, manner in asked:
        if (name, manner) not in trainers:
            trainers[name, manner] = Trainer(NETWORKS[name], manner, torch.device("cuda"))
        print(name, manner, f"{time_steps(trainers[name, manner], options.seconds):.3f}", flush=True)


if __name__ == "__main__":
    main()

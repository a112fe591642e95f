#!/usr/bin/env python3
"""in_turns.py TRAIN_BENCH: the training steps of cutape and of PyTorch on a GPU, in turns.

Both programs stay open and are asked for one line after the other, ROUNDS times over, so that a change of the
clocks meets both alike. Prints the medians and how many times a replayed step of ours they are. Exits with 1
if one of the two gave nothing.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys

NETWORKS = ["784-128-10", "32-64-64-1"]
OURS = ["replay", "replay-1", "host", "record"]
THEIRS = ["eager", "eager-fused", "graph", "graph-fused"]
REFERENCE = "cutape replay"


class Program:
    """Answers lines "NETWORK MANNER" with "NETWORK MANNER NUMBER"; None once it has ended."""

    def __init__(self, name, command):
        self.name, self.process = name, None
        try:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        except OSError as error:
            print(f"{name}: {error}")

    def ask(self, network, manner):
        if not self.process:
            return None
        try:
            print(network, manner, file=self.process.stdin, flush=True)
            words = self.process.stdout.readline().split()
        except OSError:
            words = []
        if words[:2] == [network, manner] and len(words) == 3:
            return float(words[2])
        self.process.kill()
        print(f"{self.name}: ended with {self.process.wait()} when asked for {network} {manner}")
        self.process = None
        return None

    def close(self):
        if self.process:
            self.process.stdin.close()
            self.process.wait()


def measure(ours, theirs, rounds):
    """{(network, name): [microseconds, ...]}, the round's entries next to each other in time."""
    found = {}
    for _ in range(rounds):
        for network in NETWORKS:
            for program, manners in (ours, OURS), (theirs, THEIRS):
                for manner in manners:
                    us = program.ask(network, manner)
                    if us is not None:
                        found.setdefault((network, f"{program.name} {manner}"), []).append(us)
    return found


def show(found, facts, json_path):
    rows = [
        dict(subject="training", case=f"{network}, {what}", value=f"{number:g}") for (network, what), number in facts
    ]
    print(f"{'network':<12} {'manner':<20} {'us/step':>10} {'least':>10} {'most':>10} {'x replay':>9}")
    for network in NETWORKS:
        reference = found.get((network, REFERENCE))
        for (of, name), values in found.items():
            if of != network:
                continue
            us = statistics.median(values)
            times = us / statistics.median(reference) if reference else float("nan")
            print(f"{network:<12} {name:<20} {us:10.2f} {min(values):10.2f} {max(values):10.2f} {times:9.2f}")
            row = dict(subject="training", case=f"{network}, {name}", us=us, low=min(values), high=max(values))
            rows.append(dict(row, repeats=len(values), **({"times replay": f"{times:.2f}"} if reference else {})))
    if json_path:
        with open(json_path, "a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train_bench")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.25, help="for each line")
    parser.add_argument("--device", default="cuda", help="of train_bench")
    parser.add_argument("--json", help="append the results to this file")
    options = parser.parse_args()
    seconds = ["--seconds", str(options.seconds), "--serve"]
    peer = str(pathlib.Path(__file__).with_name("peer_torch_cuda.py"))
    ours = Program("cutape", [options.train_bench, "--device", options.device, *seconds])
    theirs = Program("torch", [sys.executable, peer, *seconds])
    facts = [((n, what), ours.ask(n, what)) for n in NETWORKS for what in ("nodes", "launches")]
    facts = [fact for fact in facts if fact[1] is not None]
    for (network, what), number in facts:
        print(f"{network}: {number:g} {what} a step")
    found = measure(ours, theirs, options.rounds)
    ours.close()
    theirs.close()
    show(found, facts, options.json)
    both = all(any(name.startswith(program.name) for _, name in found) for program in (ours, theirs))
    sys.exit(0 if both else 1)


if __name__ == "__main__":
    main()

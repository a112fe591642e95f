#!/usr/bin/env python3
"""A stand-in for nsys on the PATH, for tests of what calls it: NSYS_LOG gets a JSON list of arguments a line.

`profile` runs the program and makes a report; of it `export` makes a database, in which each node of the nodes.csv
beside it ran as a kernel, three times, as a copy of the node; without such a file a kernel was launched in a range.
NSYS_FAKE: what goes wrong."""

import collections
import csv
import json
import os
import pathlib
import subprocess
import sys

from nsys_export import FORWARD, Export

WRONG = os.environ.get("NSYS_FAKE", "")
OPTIONS_OF_EXPORT = "--output=\n--type=\n" + ("" if WRONG == "old" else "--include-blobs=\n")


def values(arguments, option):
    return [a.partition("=")[2] for a in arguments if a.startswith(option + "=")]


def profile(arguments):
    first = next(i for i, a in enumerate(arguments) if not a.startswith("-"))
    options, program = arguments[:first], arguments[first:]
    environment = {**os.environ, **dict(v.split("=", 1) for v in values(options, "--env-var"))}
    status = subprocess.run(program, env=environment, check=False).returncode
    if status == 0 and WRONG != "captures nothing":
        pathlib.Path(values(options, "--output")[0] + ".nsys-rep").write_text("a report", encoding="utf-8")
    return status


def export(arguments):
    if "--help" in arguments:
        print(OPTIONS_OF_EXPORT)
        return 0
    if WRONG == "cannot export" or not pathlib.Path(arguments[-1]).is_file():
        print("fake nsys: no such report", file=sys.stderr)
        return 3
    path = pathlib.Path(values(arguments, "--output")[0])
    made = Export(path)
    call = made.call(500)
    nodes = collections.defaultdict(list)
    if (path.parent / "trace.json.nodes.csv").exists():
        with open(path.parent / "trace.json.nodes.csv", encoding="utf-8", newline="") as file:
            for line in csv.DictReader(file):
                nodes[int(line["graph_node_id"])].append(line["op"])
    for i, (node, ops) in enumerate(nodes.items()):
        made.node(i + 1, original=node)
        for t in (1000, 2000, 3000):
            made.kernel("ct_" + ops[0], t + 10 * i, t + 10 * i + 10, call, node=i + 1)
    if not nodes:
        made.range(10, 90, FORWARD, "linear", 1)
        made.kernel("ct_linear", 1000, 1250, made.call(20))
    made.close()
    return 0


def main():
    with open(os.environ["NSYS_LOG"], "a", encoding="utf-8") as log:
        print(json.dumps(sys.argv[1:]), file=log)
    return {"profile": profile, "export": export}[sys.argv[1]](sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())

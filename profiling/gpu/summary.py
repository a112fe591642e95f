#!/usr/bin/env python3
"""summary.py FILE: what was measured, one JSON object a line, as Markdown tables, one a subject.

Before them stand the figures that were promised, each beside what was measured.
"""
import json
import sys

TITLES = {
    "smoke": "The same training on the CPU and on the GPU",
    "node_gap": "Linear graphs of n nodes",
    "fork_join": "Two nodes beside each other, or in line",
    "launch_time": "Host time of a graph launch",
    "unroll": "Several steps in a graph",
    "while_node": "A step in a WHILE node",
    "grid_sync": "A barrier of the whole grid",
    "cluster": "A barrier of a cluster",
    "set_scalars": "New scalars before a step",
    "cublaslt": "cuBLASLt",
    "capture": "Calls during a stream capture",
    "training": "Training, beside PyTorch",
    "ncu": "The kernels that take the most time",
    "fault": "After a fault",
}
# What was promised: subject, case, field, the most it may be.
PROMISES = [
    ("training", "784-128-10, nodes", "value", 8),
    ("training", "784-128-10, launches", "value", 1),
    ("training", "784-128-10, cutape host", "us", 5),
    ("training", "784-128-10, cutape replay", "us", 25),
    ("training", "32-64-64-1, nodes", "value", 8),
    ("training", "32-64-64-1, launches", "value", 1),
    ("training", "32-64-64-1, cutape host", "us", 5),
    ("training", "32-64-64-1, cutape replay", "us", 25),
]


def read(path):
    rows = []
    try:
        with open(path, encoding="utf-8") as file:
            for line in file:
                try:
                    rows.append(json.loads(line))
                except ValueError:  # a program that was cut off
                    pass
    except FileNotFoundError:
        pass
    return [row for row in rows if isinstance(row, dict) and "subject" in row and "case" in row]


def text(value):
    return f"{value:.3f}" if isinstance(value, float) else str(value).replace("|", "\\|")


def table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("|" + " --- |" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def promises(rows):
    measured = {(row["subject"], row["case"]): row for row in rows}
    lines = []
    for subject, case, field, most in PROMISES:
        value = measured.get((subject, case), {}).get(field)
        kept = "not measured" if value is None else "yes" if float(value) <= most else "**no**"
        unit = " µs" if field == "us" else ""
        lines.append((case, f"{most}{unit}", "-" if value is None else f"{float(value):g}{unit}", kept))
    print("## Promised figures\n")
    table(("figure", "at most", "measured", "kept"), lines)


def subject_tables(subject, rows):
    print(f"## {TITLES.get(subject, subject)}\n")
    rows = [row for row in rows if row["subject"] == subject]
    times = [row for row in rows if isinstance(row.get("us"), (int, float))]
    facts = [row for row in rows if row not in times]
    for kind in facts, times:
        names = list(dict.fromkeys(name for row in kind for name in row if name not in ("subject", "case")))
        if not kind:
            continue
        long = len(kind) > 60
        if long:
            print(f"<details><summary>{len(kind)} cases</summary>\n")
        table(["case", *names], [[text(row["case"])] + [text(row.get(name, "")) for name in names] for row in kind])
        if long:
            print("</details>\n")


def main():
    rows = read(sys.argv[1])
    promises(rows)
    for subject in [s for s in TITLES if any(row["subject"] == s for row in rows)]:
        subject_tables(subject, rows)
    for subject in dict.fromkeys(row["subject"] for row in rows):
        if subject not in TITLES:
            subject_tables(subject, rows)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""hottest.py FILE: the kernels that took the most time, from what `ncu --csv` wrote of gpu__time_duration.sum.

Prints a regular expression of their names for ncu's --kernel-name, and the table behind it on stderr. Exits
with 77 if the file holds no measurement, as on a machine that lets nobody read the counters.
"""
import argparse
import csv
import json
import re
import sys

US = {"ns": 1e-3, "nsecond": 1e-3, "us": 1, "usecond": 1, "ms": 1e3, "msecond": 1e3, "s": 1e6, "second": 1e6}


def read(path):
    """{kernel: [microseconds, ...]}; ncu's own messages stand before the table."""
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = file.readlines()
    start = next((i for i, line in enumerate(lines) if line.startswith('"ID"')), len(lines))
    found = {}
    for row in csv.DictReader(lines[start:]):
        if row.get("Metric Name") != "gpu__time_duration.sum":
            continue
        us = float(row["Metric Value"].replace(",", "")) * US[row["Metric Unit"]]
        found.setdefault(re.split(r"[(<]", row["Kernel Name"])[0], []).append(us)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file")
    parser.add_argument("--count", type=int, default=5)
    parser.add_argument("--json", help="append the table to this file")
    options = parser.parse_args()
    found = read(options.file)
    if not found:
        sys.exit(77)
    hottest = sorted(found, key=lambda name: -sum(found[name]))[: options.count]
    whole = sum(map(sum, found.values()))
    rows = []
    for name in hottest:
        us = sorted(found[name])
        share = f"{100 * sum(us) / whole:.0f} %"
        print(f"{name:<32} {us[len(us) // 2]:8.2f} us, {len(us)} launches, {share}", file=sys.stderr)
        row = dict(subject="ncu", case=name, us=us[len(us) // 2], low=us[0], high=us[-1], repeats=len(us), share=share)
        rows.append(row)
    if options.json:
        with open(options.json, "a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    print("regex:^(" + "|".join(map(re.escape, hottest)) + ")$")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Breaks one gradient rule, the sweep or the planner at a time and requires the tests to notice.

    python3 tests/mutation/run.py [--work DIR] [--only TEXT] [--list]

The sources are copied to a work directory and built once, unoptimised; each mutant then recompiles one file.
Fails if the unmutated tests fail, if a mutant survives or does not compile, or if the text it replaces does
not stand in its file exactly once, however its lines are broken: then the table in mutants.py is to be
brought up to date. At the end it prints who noticed what.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from mutants import MUTANTS

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# For speed: no optimisation, no debug information, no warnings (mutants leave variables unused), no matrix
# library, and, as the processor has no name that CMakeLists.txt knows, one instruction set.
CONFIGURE = ["-G", "Ninja", "-DCUTAPE_CUDA=OFF", "-DCUTAPE_SIMT=OFF", "-DCUTAPE_EXAMPLES=OFF",
             "-DCUTAPE_BENCHMARKS=OFF", "-DCUTAPE_BLAS=NONE",
             "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_C_FLAGS_DEBUG=-O0 -w", "-DCMAKE_CXX_FLAGS_DEBUG=-O0 -w",
             "-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=generic"]
SECONDS_PER_RUN = 60

# ---- the work directory ------------------------------------------------------------------------------------

def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


def update_copy(source):
    """Makes source/ a copy of this tree; files that are alike keep their time, and their objects."""
    wanted = set()
    for folder, inside, files in os.walk(ROOT):
        # Neither version control nor a build, least of all the one that this may be running in.
        inside[:] = [name for name in inside if not name.startswith((".", "__")) and name != "build" and not
                     os.path.exists(os.path.join(folder, name, "CMakeCache.txt"))]
        for path in (os.path.join(folder, file) for file in files):
            to = os.path.join(source, os.path.relpath(path, ROOT))
            wanted.add(to)
            content = read(path)
            if not os.path.exists(to) or read(to) != content:
                write(to, content)
    for folder, _, files in os.walk(source):
        for file in files:
            if os.path.join(folder, file) not in wanted:
                os.remove(os.path.join(folder, file))


def call(*command, timeout=None):
    """(exit status or None after a timeout, output)"""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout,
                              errors="replace")
        return done.returncode, done.stdout
    except subprocess.TimeoutExpired:
        return None, ""


def require(result, what):
    status, output = result
    if status != 0:
        sys.exit(f"{output}\n{what} failed")


SUITES = {"/runtime/tape/": "tape_tests", "/runtime/program/": "fuzz_tests", "": "ops_tests"}


def suite(path):
    """Gradient rules are noticed by the tests of ops, the sweep that applies them by those of the tape, the
    planner that gives their results a place by random programs."""
    return next(suite for folder, suite in SUITES.items() if folder in path)


# ---- a mutant ----------------------------------------------------------------------------------------------

def pattern(text):
    """Matches the text with lines broken where a formatter may break them."""
    return re.compile(r"\s+".join(re.escape(word).replace(r"\(", r"\(\s*") for word in text.split()).encode())


def gtest_filter(ops):
    """The samples of these ops, which are the last part of a test's name; all if there are none."""
    return ":".join(f"*{op}.*" if op[0].isupper() else f"*/{op}_*" for op in ops.split()) or "*"


def killers(output):
    """The suites that failed: of Golden/Gradient.MatchesTorch/relu_at_zero_f32_cpu, Gradient."""
    found = re.findall(r"^\[  FAILED  \] (?:\w+/)?(\w+)\.", output, re.MULTILINE)
    return ", ".join(dict.fromkeys(found))


def try_mutant(path, content, mutant, build, tests):
    """(whether it was noticed, by what)"""
    name, ops, old, new = mutant
    places = pattern(old).findall(content)
    if len(places) != 1:
        return False, f"THE TEXT TO REPLACE STANDS {len(places)} TIMES IN THE FILE: {old}"
    write(path, content.replace(places[0], new.encode()))
    target = suite(path)
    status, output = call("cmake", "--build", build, "--target", target)
    if status != 0:
        return False, "DOES NOT COMPILE\n" + "\n".join(re.findall(r".*error.*", output)[:5])
    command = tests[target] + ["--gtest_filter=" + gtest_filter(ops)]
    if not ops and "gtest_fail_fast" in call(command[0], "--help")[1]:  # many tests: the first to fail is enough
        command.append("--gtest_fail_fast")
    status, output = call(*command, timeout=SECONDS_PER_RUN)
    if status is None:
        return False, f"NOT DONE IN {SECONDS_PER_RUN} s"
    if "[  PASSED  ] 0 tests" in output and not killers(output):
        return False, "NO TEST RAN"
    if status == 0:
        return False, "SURVIVED"
    return True, killers(output) or f"it died with status {status}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", help="directory to work in, kept for the next time (default: a temporary one)")
    parser.add_argument("--only", default="", help="only mutants with this text in their name or file")
    parser.add_argument("--list", action="store_true", help="name the mutants and stop")
    options = parser.parse_args()
    chosen = {file: [m for m in mutants if options.only in m[0] or options.only in file]
              for file, mutants in MUTANTS.items()}
    if options.list:
        for file, mutants in chosen.items():
            print(*(f"{file}: {m[0]}" for m in mutants), sep="\n", end="\n" if mutants else "")
        return 0

    start = time.monotonic()
    work = os.path.abspath(options.work) if options.work else tempfile.mkdtemp(prefix="cutape-mutation-")
    source, build = os.path.join(work, "source"), os.path.join(work, "build")
    try:
        update_copy(source)
        require(call("cmake", "-S", source, "-B", build, *CONFIGURE), "configuring")
        require(call("cmake", "--build", build, "--target", *SUITES.values()), "the unmutated build")
        tests = {name: [os.path.join(build, "tests", name), "--gtest_brief=1"] for name in SUITES.values()}
        for command in tests.values():
            require(call(*command, timeout=5 * SECONDS_PER_RUN), "the unmutated test")
        print(f"unmutated: built and passed after {time.monotonic() - start:.0f} s", flush=True)

        table = []
        for file, mutants in chosen.items():
            path = os.path.join(source, file)
            content = read(path)
            for mutant in mutants:
                noticed, by = try_mutant(path, content, mutant, build, tests)
                table.append((noticed, mutant[0], file, by))
                print(f"{'ok    ' if noticed else 'MISSED'} {mutant[0]}", flush=True)
            write(path, content)
        print(f"\n       {'mutant':52} {'file':28} noticed by")
        for noticed, name, file, by in table:
            print(f"{'ok    ' if noticed else 'MISSED'} {name:52} {file:28} {by}")
        noticed = sum(row[0] for row in table)
        print(f"{noticed} of {len(table)} mutants noticed, {time.monotonic() - start:.0f} s")
        return 0 if noticed == len(table) else 1
    finally:
        if not options.work:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Tests of profiling/nsys.sh, with fake_nsys.py for nsys: nsys_script_test.py CUTAPE [LIBRARY SIMT CUPTI INJECTION] [-v].

With the stand-ins for a GPU, for CUPTI and for a tool that listens to NVTX (paths of libraries), the program CUTAPE
is run by the script and writes which records the nodes of its graph are."""

import collections
import csv
import io
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
PROFILING = HERE.parents[1] / "profiling"
PROGRAMS = {}
TOOLS = ("sh", "cat", "dirname", "env", "grep", "mkdir", "rm", "sed")  # that the script may call
COMMON = ["--trace=cuda,nvtx", "--cuda-graph-trace=node", "--sample=none", "--cpuctxsw=none"]
CAPTURES = {
    (): ["--capture-range=cudaProfilerApi", "--capture-range-end=stop"],
    ("--replay",): ["--capture-range=nvtx", "--nvtx-capture=replay@cutape", "--capture-range-end=stop",
                    "--env-var=NSYS_NVTX_PROFILER_REGISTER_ONLY=0"],
    ("--whole",): [],
}


class Script(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name).resolve()
        self.root = self.folder / "a checkout"  # with a blank
        (self.root / "profiling").mkdir(parents=True)
        for name in ("nsys.sh", "nsys_table.py"):
            shutil.copy(PROFILING / name, self.root / "profiling")
        self.script = self.root / "profiling" / "nsys.sh"
        self.out = self.folder / "results of nsys"
        self.log = self.folder / "log"
        self.path = self.folder / "bin"
        self.path.mkdir()
        for tool in TOOLS:
            (self.path / tool).symlink_to(shutil.which(tool))
        (self.path / "python3").symlink_to(sys.executable)
        (self.path / "nsys").write_text(f'#!/bin/sh\nexec "{sys.executable}" -B "{HERE / "fake_nsys.py"}" "$@"\n',
                                        encoding="utf-8")
        (self.path / "nsys").chmod(0o755)

    def run_script(self, *arguments, status=0, **environment):
        done = subprocess.run([self.script, *arguments], capture_output=True, text=True, timeout=100, check=False,
                              stdin=subprocess.DEVNULL,
                              env={"PATH": str(self.path), "PYTHON": sys.executable, "NSYS_LOG": str(self.log),
                                   **{k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")},
                                   **environment})
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def logged(self):
        """Calls of nsys that do something."""
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        return [call for call in map(json.loads, lines) if "--help" not in call]

    def program(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n" + text, encoding="utf-8")
        path.chmod(0o755)
        return str(path)


class Chain(Script):
    def test_what_is_run(self):
        program = self.program("a program", 'echo "$1" "$NSYS_NVTX_PROFILER_REGISTER_ONLY"\n')
        for mode, flags in CAPTURES.items():
            with self.subTest(mode=mode):
                self.log.unlink(missing_ok=True)
                done = self.run_script(*mode, "--out", self.out, "--", program, "--it's", "b c")
                report = f"{self.out}/report"
                self.assertEqual(self.logged(), [
                    ["profile", *COMMON, *flags, "--force-overwrite=true", f"--output={report}", program, "--it's",
                     "b c"],
                    ["export", "--type=sqlite", "--force-overwrite=true", "--quiet=true", "--include-blobs=true",
                     f"--output={report}.sqlite", f"{report}.nsys-rep"]])
                self.assertEqual(done.stdout.splitlines()[0], "--it's 0" if mode == ("--replay",) else "--it's ")
                self.assertRegex(done.stdout, r"\n1 +forward +linear +ct_linear +1 +0.25 +0.25 +100.0 +0.00\n")
                self.assertIn(f"{report}.nsys-rep", done.stderr)

    def test_a_dry_run_prints_the_same(self):
        program = self.program("a program", ': >"$0 ran"\n')
        for mode in CAPTURES:
            with self.subTest(mode=mode):
                arguments = (*mode, "--out", self.out, "--sort", "op", "--csv", "--", program, "--it's", "b c", "")
                printed = self.run_script("--dry-run", *arguments).stdout
                self.assertFalse(self.out.exists())
                self.assertFalse(os.path.exists(program + " ran"))
                self.assertEqual(self.logged(), [])
                self.run_script(*arguments)
                os.unlink(program + " ran")
                *nsys, joined = map(shlex.split, printed.splitlines())
                self.assertEqual(nsys, [["nsys", *call] for call in self.logged()])
                self.assertEqual(joined, [sys.executable, str(self.root / "profiling" / "nsys_table.py"),
                                          f"{self.out}/report.sqlite", "--nodes", f"{self.out}/trace.json.nodes.csv",
                                          "--sort", "op", "--csv"])
                shutil.rmtree(self.out)
                self.log.unlink()

    def test_an_nsys_that_cannot_keep_payloads(self):
        self.run_script("--out", self.out, "--", self.program("p", ""), NSYS_FAKE="old")
        self.assertNotIn("--include-blobs=true", self.logged()[1])

    def test_the_program_that_is_built(self):
        cutape = self.program("a checkout/build/release/bin/cutape", "")
        self.run_script("--out", self.out)
        self.assertEqual(self.logged()[0][-6:], [f"--output={self.out}/report", cutape, "profile", "--data", "spirals",
                                                 "--trace", f"{self.out}/trace.json"][-6:])
        on_gpu = self.program("a checkout/build/gpu/bin/cutape", "")
        self.run_script()
        self.assertIn(on_gpu, self.logged()[2])
        self.assertTrue((self.root / "build" / "nsys" / "report.sqlite").exists())

    def test_nodes(self):
        text = "graph_node_id,program,record,phase,op,tensor,shape,label\n7,1,{},forward,linear,h,f32 [],linear#{}\n"
        program = self.program("p", f'mkdir -p "$1" && printf "%s\\n" "{text.format(5, 5).strip()}" >"$1/$2"\n')
        beside = self.run_script("--out", self.out, "--csv", "--", program, self.out, "trace.json.nodes.csv").stdout
        self.assertRegex(beside, r"\n1,5,forward,linear,linear#5,,h,")
        # What an earlier run has left is not of this one.
        plain = self.run_script("--out", self.out, "--csv", "--", self.program("q", "")).stdout
        self.assertRegex(plain, r"\n,1,forward,linear,linear#1,,,")
        self.assertFalse((self.out / "trace.json.nodes.csv").exists())
        missing = self.run_script("--out", self.out, "--nodes", "none.csv", "--", self.program("q", ""), status=2)
        self.assertIn("none.csv", missing.stderr)

    def test_relative_folders(self):
        where = os.getcwd()
        os.chdir(self.folder)
        self.addCleanup(os.chdir, where)
        self.run_script("--out", "here", "--", self.program("p", ""))
        self.assertTrue((self.folder / "here" / "report.sqlite").exists())


class Failures(Script):
    def test_no_nsys(self):
        if os.path.exists("/usr/local/cuda/bin/nsys"):
            self.skipTest("it is where the script looks too")
        (self.path / "nsys").unlink()
        done = self.run_script("--out", self.out, "--", "true", status=77)
        self.assertRegex(done.stderr, r"\Ansys\.sh: no nsys on the PATH: .*\n\Z")
        self.assertFalse(self.out.exists())
        self.assertIn("nsys profile", self.run_script("--dry-run", "--", "true").stdout)

    def test_nothing_captured(self):
        program = self.program("p", "")
        self.run_script("--out", self.out, "--", program)
        for mode, word in ((), "ct_profile_begin"), (("--replay",), "ct_replay"), (("--whole",), "nsys says"):
            done = self.run_script(*mode, "--out", self.out, "--", program, status=1, NSYS_FAKE="captures nothing")
            self.assertIn(word, done.stderr)
            self.assertEqual(list(self.out.iterdir()), [])  # nothing old

    def test_the_program_fails(self):
        done = self.run_script("--out", self.out, "--", self.program("p", "exit 5\n"), status=1)
        self.assertIn("failed: status 5", done.stderr)
        self.assertEqual(len(self.logged()), 1)

    def test_the_export_fails(self):
        done = self.run_script("--out", self.out, "--", self.program("p", ""), status=1, NSYS_FAKE="cannot export")
        self.assertIn("nsys export failed: status 3", done.stderr)

    def test_no_program(self):
        self.assertIn("./dev profile", self.run_script(status=2).stderr)

    def test_wrong_use(self):
        for arguments, word in ((["--nonsense"], "no option --nonsense"), (["a"], "no option a"),
                                (["--out"], "--out needs a value"), (["--sort", "size"], "time, record, op or phase"),
                                (["--replay", "--whole"], "one of"), (["--whole", "--replay"], "one of")):
            with self.subTest(arguments=arguments):
                done = self.run_script(*arguments, status=2)
                self.assertRegex(done.stderr, r"\Ansys\.sh: [^\n]*\n\Z")
                self.assertIn(word, done.stderr)
                self.assertEqual(self.logged(), [])

    def test_help(self):
        for option in "--help", "-h":
            text = self.run_script(option).stdout
            for word in "--replay", "--whole", "--nodes", "--dry-run", "77":
                self.assertIn(word, text)


class WithCutape(Script):
    """The program itself, on the stand-in for a GPU; its nodes have the numbers of the stand-in for CUPTI."""

    def test_every_record_of_a_graph(self):
        if len(PROGRAMS) == 1:
            self.skipTest("built without the stand-in")
        libraries = self.folder / "lib"
        libraries.mkdir()
        library = pathlib.Path(PROGRAMS["library"])
        shutil.copy(library, libraries / library.name)  # it looks beside itself, where a device for real GPUs may be
        (libraries / "libcutape_cuda.so").symlink_to(PROGRAMS["simt"])
        (libraries / "libcuda.so.1").symlink_to(PROGRAMS["simt"])
        done = self.run_script(
            "--out", self.out, "--csv", "--sort", "record", "--", PROGRAMS["cutape"], "profile", "--data", "spirals",
            "--device", "cuda", "--steps", "2", "--replays", "0", "--table", self.folder / "table.csv", "--trace",
            self.out / "trace.json", LD_LIBRARY_PATH=f"{libraries}:{pathlib.Path(PROGRAMS['cupti']).parent}",
            NVTX_INJECTION64_PATH=PROGRAMS["injection"])
        with open(self.out / "trace.json.nodes.csv", encoding="utf-8", newline="") as file:
            nodes = list(csv.DictReader(file))
        self.assertGreaterEqual(len({node["graph_node_id"] for node in nodes}), 8)
        expected = collections.defaultdict(list)
        for node in nodes:
            expected[node["graph_node_id"]].append(node)
        expected = sorted(("+".join(n["record"] for n in of_node), ", ".join(n["label"] for n in of_node),
                           ", ".join(n["tensor"] for n in of_node), "3", "0.01") for of_node in expected.values())
        rows = list(csv.DictReader(io.StringIO(done.stdout[done.stdout.index("program,record"):])))
        self.assertEqual(sorted((r["record"], r["label"], r["tensor"], r["calls"], r["time_us"]) for r in rows),
                         expected)
        # They are the records that the library's own table has.
        with open(self.folder / "table.csv", encoding="utf-8", newline="") as file:
            theirs = {row["record"]: row for row in csv.DictReader(file)}
        self.assertEqual({number for r in rows for number in r["record"].split("+")}, set(theirs))
        for row in rows:
            for field in "program", "phase", "op", "label", "forward_record", "tensor", "shape":
                if "+" not in row["record"]:
                    self.assertEqual(row[field], theirs[row["record"]][field], field)


if __name__ == "__main__":
    while len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        PROGRAMS[("cutape", "library", "simt", "cupti", "injection")[len(PROGRAMS)]] = os.path.abspath(sys.argv.pop(1))
    unittest.main()

#!/usr/bin/env python3
"""What profiling/ncu.sh passes to Nsight Compute, in whose place a program stands that notes its arguments; and that
profiling/README.md explains every flag that the scripts beside it pass to the tools."""

import json
import os
import pathlib
import re
import shlex
import stat
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROFILING = ROOT / "profiling"
SCRIPT = PROFILING / "ncu.sh"
SKIPPED, USAGE = 77, 2
STAND_IN = f"""#!{sys.executable}
import json, sys
json.dump(sys.argv[1:], open("arguments", "w"))
sys.exit(5)
"""


class Script(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.tool = self.folder / "bin" / "ncu"
        self.tool.parent.mkdir()
        self.tool.write_text(STAND_IN)
        self.tool.chmod(self.tool.stat().st_mode | stat.S_IXUSR)
        self.environment = dict(os.environ, PATH=f"{self.tool.parent}:{os.environ['PATH']}")
        self.environment.pop("NCU", None)

    def run_script(self, *arguments, script=SCRIPT):
        return subprocess.run(["sh", script, *arguments], cwd=self.folder, env=self.environment, capture_output=True,
                              text=True, check=False)

    def arguments(self, *options, command=("train", "two words"), script=SCRIPT):
        """What the tool is given, without the command behind it, which has to arrive as it is."""
        done = self.run_script(*options, *(["--", *command] if command else []), script=script)
        self.assertEqual(done.returncode, 5, done.stderr)  # the tool's own
        given = json.loads((self.folder / "arguments").read_text())
        if command:
            self.assertEqual(given[-len(command) :], list(command))
            given = given[: -len(command)]
        return given

    def value_of(self, option, *options):
        given = self.arguments(*options)
        self.assertEqual(given.count(option), 1, given)
        return given[given.index(option) + 1]

    def kernel_pattern(self, *options):
        return self.value_of("--kernel-name", *options).removeprefix("regex:")


class WhatIsCaptured(Script):
    def test_launches_of_a_profile_are_taken_one_by_one(self):
        given = self.arguments()
        self.assertEqual(given[:3], ["--nvtx", "--profile-from-start", "off"])
        self.assertNotIn("--nvtx-include", given)
        self.assertNotIn("--graph-profiling", given)
        self.assertEqual(self.value_of("--clock-control"), "none")
        self.assertEqual(self.value_of("--set"), "basic")
        self.assertNotIn("--launch-count", given)
        self.assertNotIn("--export", given)
        self.assertNotIn("--cache-control", given)

    def test_the_profilers_own_kernel_is_left_out(self):
        pattern = self.kernel_pattern()
        self.assertIsNone(re.search(pattern, "ct_hold"))
        for name in ("ct_gemm_f32", "cutlass_80_simt_sgemm"):
            self.assertIsNotNone(re.search(pattern, name), name)

    def test_graph_nodes_of_a_replay(self):
        given = self.arguments("--replay")
        self.assertEqual(self.value_of("--nvtx-include", "--replay"), "cutape@replay]")
        self.assertEqual(self.value_of("--graph-profiling", "--replay"), "node")
        self.assertNotIn("--profile-from-start", given)
        self.assertEqual(self.value_of("--nvtx-include", "--replay", "--range", "play"), "cutape@play]")

    def test_options_with_a_value(self):
        self.assertEqual(self.value_of("--launch-count", "--launches", "20"), "20")
        self.assertEqual(self.value_of("--export", "--output", "two words"), "two words")
        self.assertEqual(self.value_of("--cache-control", "--warm"), "none")
        for which in ("basic", "full", "roofline"):
            self.assertEqual(self.value_of("--set", "--set", which), which)


class Ops(Script):
    def test_kernels_of_an_op(self):
        expected = {
            "adam": (["ct_adam_f32", "ct_adam_f64"], ["ct_add_f32"]),
            "add": (["ct_add_f32"], ["ct_add_scalar_f32", "xct_add_f32"]),
            "gather": (["ct_gather"], ["ct_gather_more"]),
            "linear": (["ct_gemm_f32", "ct_gemm_epilogue_f64"], ["ct_group_launch"]),
            "sum": (["ct_reduce_all_f32", "ct_reduce_rows_f32", "ct_reduce_columns_f64"], ["ct_amax_f32"]),
            "act_grad": (["ct_act_grad_relu_f32", "ct_act_grad_gelu_tanh_f64"], ["ct_relu_f32"]),
            "embedding_grad": (["ct_embedding_order_i64", "ct_embedding_grad_f32"], ["ct_embedding_f32"]),
            "zero": (["ct_zero_bits64"], ["ct_zeros_f32"]),
        }
        for op, (taken, left) in expected.items():
            pattern = self.kernel_pattern("--op", op)
            for name in taken:
                self.assertIsNotNone(re.search(pattern, name), f"{op}: {name}")
            for name in left:
                self.assertIsNone(re.search(pattern, name), f"{op}: {name}")

    def test_every_op_has_kernels(self):
        names = set()
        for file in ("kernels.def", "elementwise.def", "loss.def"):
            text = (ROOT / "kernels" / file).read_text()
            names.update(re.findall(r"CT_(?:KERNEL|UNARY|BINARY|COMPARE|PAIR_LOSS)\((\w+)", text))
        ops = re.findall(r"CT_OP\((\w+)\)", (ROOT / "runtime" / "ops" / "ops.def").read_text().split("*/", 1)[1])
        self.assertGreater(len(ops), 60)
        for op in ops:
            pattern = self.kernel_pattern("--op", op)
            self.assertTrue(any(re.search(pattern, f"ct_{name}_f32") for name in names), op)

    def test_in_a_graph_an_ops_work_may_be_in_a_group(self):
        pattern = self.kernel_pattern("--op", "sum", "--replay")
        self.assertIsNotNone(re.search(pattern, "ct_group_launch"))
        self.assertIsNotNone(re.search(pattern, "ct_reduce_rows_f32"))


class Ranges(Script):
    def test_a_push_pop_range_of_the_domain(self):
        self.assertEqual(self.value_of("--nvtx-include", "--range", "linear"), "cutape@linear/")

    def test_a_name_with_spaces_and_signs_is_one_argument(self):
        name = "linear#3 backward dw (0.weight)"
        self.assertEqual(self.value_of("--nvtx-include", "--range", name), f"cutape@{name}/")
        self.assertEqual(self.value_of("--nvtx-include", "--range", "mul#1 hook"), "cutape@mul#1 hook/")

    def test_signs_of_the_filter_are_escaped(self):
        name = "mul#1 backward da (w[0], it's \"a/b\" $HOME*2+c@d)"
        self.assertEqual(self.value_of("--nvtx-include", "--range", name),
                         "cutape@mul#1 backward da (w\\[0\\]\\, it's \"a\\/b\" $HOME\\*2\\+c\\@d)/")

    def test_an_expression_is_passed_as_it_is(self):
        self.assertEqual(self.value_of("--nvtx-include", "--range", "regex:linear#[0-9] backward"),
                         "regex:cutape@linear#[0-9] backward/")
        self.assertEqual(self.value_of("--nvtx-include", "--range", "regex:[lm].*"), "regex:cutape@/[lm].*/")

    def test_both_filters_go_together(self):
        given = self.arguments("--op", "linear", "--range", "linear")
        self.assertIn("cutape@linear/", given)
        self.assertTrue(any(a.startswith("regex:^ct_(gemm") for a in given))


class WhatGoesWrong(Script):
    def refused(self, *options):
        done = self.run_script(*options)
        self.assertEqual(done.returncode, USAGE, done)
        self.assertFalse((self.folder / "arguments").exists())
        self.assertTrue(done.stderr.startswith("ncu.sh: ") and done.stderr.count("\n") == 1, done.stderr)
        return done.stderr

    def test_bad_options(self):
        self.assertIn("--rang", self.refused("--rang", "linear"))
        self.assertIn("-- train", self.refused("train"))
        self.assertIn("needs a value", self.refused("--op"))
        for number in ("0", "-1", "1.5", "many"):
            self.assertIn(number, self.refused("--launches", number, "--", "train"))
        self.assertIn("detailed", self.refused("--set", "detailed", "--", "train"))

    def test_ops_that_are_not_there(self):
        self.assertIn("--range mish", self.refused("--op", "mish", "--", "train"))
        self.assertIn(".*", self.refused("--op", ".*", "--", "train"))
        self.refused("--op", "", "--", "train")

    def test_ranges_that_match_nothing(self):
        self.assertIn("--range linear\n", self.refused("--range", "linear#3", "--", "train"))
        self.assertIn("backslash", self.refused("--range", "a\\b", "--", "train"))
        self.refused("--range", "", "--", "train")
        self.refused("--range", "regex:", "--", "train")
        self.assertIn("--replay", self.refused("--replay", "--range", "regex:play.*", "--", "train"))

    def test_no_tool(self):
        self.environment["NCU"] = str(self.folder / "none")
        done = self.run_script("--", "train")
        self.assertEqual(done.returncode, SKIPPED)
        self.assertIn("skipped", done.stderr)
        self.assertIn("Nsight Compute", done.stderr)

    def test_another_tool(self):
        self.tool.rename(self.tool.with_name("other"))
        self.environment["NCU"] = "other"
        self.assertIn("--nvtx", self.arguments())


class DryRun(Script):
    def test_prints_what_a_shell_takes_and_runs_nothing(self):
        options = ("--op", "linear", "--range", "mul#1 backward da (it's [0])", "--output", "two words")
        done = self.run_script(*options, "--dry-run", "--", "train", "", "two words")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertFalse((self.folder / "arguments").exists())
        shown = shlex.split(done.stdout)
        self.assertEqual(shown, ["ncu", *self.arguments(*options, command=("train", "", "two words")), "train", "",
                                 "two words"])

    def test_needs_no_tool(self):
        self.environment["NCU"] = "none"
        self.assertEqual(self.run_script("--dry-run", "--", "train").returncode, 0)

    def test_help(self):
        self.assertIn("usage: profiling/ncu.sh", self.run_script("--help").stdout)


class UsualProgram(Script):
    """Without a command: in a copy of the tree, with builds or without."""

    def setUp(self):
        super().setUp()
        (self.folder / "profiling").mkdir()
        self.copy = self.folder / "profiling" / "ncu.sh"
        self.copy.write_text(SCRIPT.read_text())

    def build(self, preset):
        program = self.folder / "build" / preset / "bin" / "cutape"
        program.parent.mkdir(parents=True)
        program.touch(0o755)
        return str(program)

    def test_the_first_of_the_usual_builds(self):
        release = self.build("release")
        self.assertIn(release, self.arguments(command=None, script=self.copy))
        gpu = self.build("gpu")
        given = self.arguments(command=None, script=self.copy)
        self.assertEqual(given[given.index(gpu) :], [gpu, "profile", "--data", "spirals", "--device", "cuda",
                                                     "--steps", "1", "--replays", "0"])
        self.assertEqual(self.arguments("--replay", command=None, script=self.copy)[-1], "1")

    def test_no_build(self):
        done = self.run_script(script=self.copy)
        self.assertEqual(done.returncode, USAGE)
        self.assertIn("./dev profile", done.stderr)

    def test_cutape_takes_its_options(self):
        cutape = os.environ.get("CUTAPE")
        if not cutape:
            self.skipTest("CUTAPE names no program")
        release = self.build("release")
        for options in ([], ["--replay"]):
            given = self.arguments(*options, command=None, script=self.copy)
            command = given[given.index(release) + 1 :]
            command[command.index("cuda")] = "cpu"
            subprocess.run([cutape, *command], check=True, stdout=subprocess.DEVNULL)


class Readme(Script):
    """So that the text tells of what the scripts do."""

    TEXT = PROFILING / "README.md"

    def flags(self, tool, script, *runs):
        """That a script passes to a tool, in one of the runs."""
        found = set()
        for options in runs:
            done = self.run_script(*options, "--dry-run", "--", "train", script=PROFILING / script)
            self.assertEqual(done.returncode, 0, done.stderr)
            for line in done.stdout.splitlines():
                words = shlex.split(line)
                if words[0] == tool:
                    found.update(word.split("=")[0] for word in words if word.startswith("--"))
        self.assertGreater(len(found), 5)
        return found

    def explained(self, script):
        """Those in the table of its section."""
        section = next(s for s in self.TEXT.read_text().split("\n## ") if s.startswith(script))
        return set(re.findall(r"^\| `(--[a-z-]+)", section, flags=re.M))

    def test_flags_of_ncu(self):
        every = ("--op", "linear", "--range", "linear", "--launches", "1", "--output", "report", "--warm")
        passed = self.flags("ncu", "ncu.sh", every, [*every, "--replay"])
        self.assertEqual(self.explained("ncu.sh"), passed)

    def test_flags_of_nsys(self):
        nsys = self.tool.with_name("nsys")
        nsys.write_text("#!/bin/sh\necho '  --include-blobs= of nsys export --help'\n")
        nsys.chmod(self.tool.stat().st_mode)
        passed = self.flags("nsys", "nsys.sh", [], ["--replay"], ["--whole"])
        self.assertEqual(self.explained("nsys.sh"), passed)

    def test_commands_run_as_written(self):
        commands = re.findall(r"^\$ (\S+)(.*)", self.TEXT.read_text(), flags=re.M)
        self.assertGreater(len(commands), 8)
        for program, text in commands:
            words = shlex.split(text, comments=True)
            if program == "./dev":
                self.assertEqual(words[0], "profile")
                command = [os.environ.get("CUTAPE", "false"), *words, "--steps", "2", "--replays", "0"]
            else:
                end = [] if "--" in words else ["--", "train"]
                command = ["sh", ROOT / program, "--dry-run", *words, *end]
            done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True,
                                  check=False)
            self.assertEqual(done.returncode, 0, f"{program} {text}: {done.stderr}")


if __name__ == "__main__":
    unittest.main()

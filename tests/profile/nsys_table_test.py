#!/usr/bin/env python3
"""Tests of profiling/nsys_table.py, on exports made here: nsys_table_test.py CUTAPE [-v].

CUTAPE is the program, of whose table the titles are held against these."""

import csv
import io
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

from nsys_export import (BACKWARD, DATA, FORWARD, MAIN, OTHER_DOMAIN, OTHER_PROCESS, RUNTIME, UPDATE, WORKER, Export,
                         payload)

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "profiling" / "nsys_table.py"
CUTAPE = None
NODES = "graph_node_id,program,record,phase,op,tensor,shape,label\n"


def table(*arguments):
    return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, timeout=60, check=False)


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.path = self.folder / "export.sqlite"
        self.export = Export(self.path)

    def nodes(self, *lines):
        path = self.folder / "trace.json.nodes.csv"
        path.write_text(NODES + "".join(line + "\n" for line in lines), encoding="utf-8")
        return path

    def rows(self, *arguments, status=0):
        self.export.close()
        done = table(self.path, "--csv", *arguments)
        self.assertEqual(done.returncode, status, done.stderr)
        return list(csv.DictReader(io.StringIO(done.stdout)))

    def check(self, rows, *expected, fields):
        self.assertEqual([tuple(row[field] for field in fields.split()) for row in rows], list(expected))


class ByCall(Case):
    """Where launches are made one by one."""

    def launch(self, at, name, start, end, **more):
        self.export.kernel(name, start, end, self.export.call(at, **more))

    def test_innermost_range_of_the_launch(self):
        e = self.export
        e.range(100, 900, RUNTIME, "replay", 2)
        for step, t in enumerate((100, 500)):
            e.range(t + 10, t + 50, FORWARD, "linear", 1, registered=True)
            e.range(t + 60, t + 90, FORWARD, "linear", 3, registered=True)
            e.range(t + 100, t + 190, BACKWARD, "linear#3 backward dw (0.weight)", 7)
            self.launch(t + 12, "ct_linear", 1000 + 1000 * step, 1100 + 1000 * step)
            self.launch(t + 62, "ct_linear", 1100 + 1000 * step, 1400 + 1000 * step)
            self.launch(t + 110, "ct_matmul", 1450 + 1000 * step, 1850 + 1000 * step)
            self.launch(t + 120, "ct_matmul_rest", 1850 + 1000 * step, 1900 + 1000 * step)
        rows = self.rows()
        self.check(
            rows,
            ("7", "backward", "linear#3 backward dw (0.weight)", "3", "ct_matmul", "2", "0.4", "0.8", "0.05"),
            ("3", "forward", "linear#3", "", "ct_linear", "2", "0.3", "0.6", "0.0"),
            ("1", "forward", "linear#1", "", "ct_linear", "2", "0.1", "0.2", "0.05"),
            ("7", "backward", "linear#3 backward dw (0.weight)", "3", "ct_matmul_rest", "2", "0.05", "0.1", "0.0"),
            fields="record phase label forward_record kernel calls time_us total_us gap_us")
        self.assertEqual([round(float(r["share_percent"]), 9) for r in rows],
                         [round(100 * ns / 1700, 9) for ns in (800, 600, 200, 100)])
        self.assertEqual({r["no_record_because"] for r in rows}, {""})
        self.assertEqual(rows[1]["op"], "linear")

    def test_only_ranges_of_cutape_of_that_thread(self):
        e = self.export
        e.range(10, 100, UPDATE, "adam", 5)
        e.range(20, 40, FORWARD, "linear", 1, domain=OTHER_DOMAIN)
        e.range(20, 40, FORWARD, "linear", 2, thread=WORKER)
        e.range(20, 40, FORWARD, "linear", 3, thread=OTHER_PROCESS | 200)  # whose domain of that number is another
        e.range(20, 40, FORWARD, "linear", 4, kind=60)  # may overlap what it is not around
        self.launch(30, "k", 1000, 1100)
        self.launch(30, "k", 1100, 1300, thread=WORKER)
        e.kernel("k", 1300, 1600, e.call(30, OTHER_PROCESS | 200), process=OTHER_PROCESS)
        self.check(self.rows("--sort", "record"), ("2", "0.2", ""), ("5", "0.1", ""),
                   ("", "0.3", "launched outside of all ranges of cutape"),
                   fields="record total_us no_record_because")

    def test_numbers_of_calls_are_of_a_process(self):
        e = self.export
        e.range(10, 100, UPDATE, "adam", 5)
        call = e.call(20)
        e.call(30, OTHER_PROCESS | 200, correlation=call)
        e.kernel("k", 1000, 1100, call)
        e.kernel("k", 1000, 1300, call, process=OTHER_PROCESS)
        self.check(self.rows(), ("5", "0.1"), ("", "0.3"), fields="record total_us")

    def test_ranges_begin_and_end(self):
        e = self.export
        e.range(10, 20, FORWARD, "a", 1)
        e.range(20, 30, FORWARD, "b", 2)
        e.range(40, None, FORWARD, "c", 3)  # open when the capture ended
        for at in (9, 10, 19, 20, 29, 30, 40, 1000):
            self.launch(at, f"k{at}", 1000 + at, 1001 + at)
        found = {r["kernel"]: r["record"] for r in self.rows()}
        self.assertEqual(found, {"k9": "", "k10": "1", "k19": "1", "k20": "2", "k29": "2", "k30": "", "k40": "3",
                                 "k1000": "3"})

    def test_a_launch_of_several_records(self):
        e = self.export
        e.range(10, 100, RUNTIME, "play", 1)
        e.range(20, 90, BACKWARD, "linear#3 backward dw", 7)
        e.range(20, 90, BACKWARD, "linear#3 backward db", 8)
        e.range(22, 90, UPDATE, "append", 9)
        self.launch(50, "ct_group", 1000, 1100)
        self.check(self.rows(), ("7+8+9", "backward + update", "3", "ct_group", "0.1"),
                   fields="record phase forward_record kernel total_us")

    def test_ranges_in_ranges(self):
        e = self.export
        e.range(10, 50, FORWARD, "linear", 1)
        e.range(10, 90, RUNTIME, "replay", 1)  # it is outside, though it begins with that and stands behind it
        e.range(12, 48, RUNTIME, "write", 64)
        e.range(20, 30, UPDATE, "adam", 2)
        for at in (11, 15, 25, 60):
            self.launch(at, f"k{at}", 1000 + at, 1001 + at)
        self.assertEqual({r["kernel"]: r["record"] or r["no_record_because"] for r in self.rows()},
                         {"k11": "1", "k15": 'launched in the range "write"', "k25": "2",
                          "k60": 'launched in the range "replay"'})

    def test_what_launches_queue_behind_is_no_work(self):
        e = self.export
        e.range(10, 90, RUNTIME, "replay", 1)
        e.range(20, 30, FORWARD, "linear", 1)
        self.launch(15, "ct_hold", 1000, 1300)
        self.launch(25, "ct_linear", 1310, 1410)
        self.launch(85, "ct_sum", 1410, 1710)
        self.check(self.rows(), ("1", "ct_linear", "0.1", "25.0", "0.01"), ("", "ct_sum", "0.3", "75.0", "0.0"),
                   ("", "ct_hold", "0.3", "", "0.0"), fields="record kernel total_us share_percent gap_us")
        text = table(self.path).stdout
        self.assertIn("\n2 kernels", "\n" + text)
        self.assertIn("not in what follows: ct_hold, 1 launches, 0.30 us, a wait", text)
        self.assertRegex(text, r"\nno record +0.30 +75.0 +0.00 +1\n")

    def test_gaps_are_of_a_gpu(self):
        e = self.export
        e.range(10, 100, FORWARD, "linear", 1)
        self.launch(20, "a", 1000, 1500)
        self.launch(21, "b", 1100, 1200)  # beside it
        self.launch(22, "c", 1600, 1700)
        e.kernel("d", 1650, 1800, e.call(23), device=1)
        e.kernel("e", 1900, 2000, e.call(24), device=1)
        e.kernel("f", 2700, 2800, e.call(200))  # of no record, and it was busy with that
        self.launch(25, "g", 2900, 3000)
        self.assertEqual({r["kernel"]: r["gap_us"] for r in self.rows()},
                         {"a": "0.0", "b": "0.0", "c": "0.1", "d": "0.0", "e": "0.1", "f": "1.0", "g": "0.1"})

    def test_the_payload_of_a_schema(self):
        e = self.export
        for program, t in ((4, 10), (5, 50)):
            e.range(t, t + 20, FORWARD, "linear", blob=payload(3, program, 0, "f32", f"[{program},10]"))
            self.launch(t + 5, "k", 1000 + t, 1020 + t)
        e.range(100, 120, FORWARD, "linear", blob=b"short")
        self.launch(105, "k", 2000, 2100)
        rows = self.rows("--sort", "record")
        self.check(rows, ("", "", "linear", "", "0.1"), ("4", "3", "linear#3", "f32 [4,10]", "0.02"),
                   ("5", "3", "linear#3", "f32 [5,10]", "0.02"), fields="program record label shape total_us")
        text = table(self.path).stdout
        self.assertIn("--include-blobs=true", text)
        self.assertRegex(text, r"\nprog +# +phase")

    def test_described_by_the_nodes(self):
        e = self.export
        e.range(10, 30, FORWARD, "linear", 1)
        e.range(30, 50, FORWARD, "linear", 2)
        e.range(50, 70, BACKWARD, "linear#2 backward dx", 1)  # of another program, which the nodes have not
        for at in (15, 35, 55):
            self.launch(at, "k", 1000 + at, 1010 + at)
        nodes = self.nodes('5,1,1,forward,linear,h,"f32 [64,10]",linear#1', '6,1,2,forward,linear,y,f32 [],linear#2',
                           '7,2,2,forward,linear,z,f32 [],linear#2')
        self.check(self.rows("--nodes", nodes, "--sort", "record"),
                   ("", "1", "", "", "linear#2 backward dx"), ("", "2", "", "", "linear#2"),
                   ("1", "1", "h", "f32 [64,10]", "linear#1"), fields="program record tensor shape label")


class ByNode(Case):
    """Where a graph is launched as one."""

    def test_nodes_of_the_file(self):
        e = self.export
        e.range(10, 90, RUNTIME, "replay", 100)
        call = e.call(20)
        high = 0x9000000000000007
        for t in (1000, 2000):
            e.kernel("ct_linear", t, t + 100, call, node=7)
            e.kernel("ct_group", t + 100, t + 300, call, node=high - (1 << 64))  # as SQLite has 64 bits
        nodes = self.nodes('7,6,1,forward,linear,h,"f32 [64,10]",linear#1',
                           f'{high},6,8,backward,matmul,w.grad,"f32 [3,4]",linear#1 backward dw (w)',
                           f"{high},6,9,update,append,losses,f32 [9],append#9")
        self.check(self.rows("--nodes", nodes),
                   ("6", "8+9", "backward + update", "matmul, append", "linear#1 backward dw (w), append#9", "1",
                    "w.grad, losses", "f32 [3,4], f32 [9]", "ct_group", "2", "0.2", "0.4", "0.0"),
                   ("6", "1", "forward", "linear", "linear#1", "", "h", "f32 [64,10]", "ct_linear", "2", "0.1", "0.2",
                    "0.35"),
                   fields="program record phase op label forward_record tensor shape kernel calls time_us total_us "
                          "gap_us")

    def test_copies_of_nodes(self):
        for old in (False, True):
            with self.subTest(nsys_2022=old):
                self.path = self.folder / f"export{old}.sqlite"
                e = self.export = Export(self.path, nsys_2022=old)
                e.node(7)
                e.node(17, original=7)
                e.node(27, original=17)
                e.node(8, original=9)
                e.node(9, original=8)  # an export that is broken
                call = e.call(20)
                for node in (7, 17, 27, 8):
                    e.kernel("k", 1000 + node, 1001 + node, call, node=node)
                rows = self.rows("--nodes", self.nodes("7,6,1,forward,linear,h,f32 [],linear#1"))
                self.check(rows, ("1", "3", ""), ("", "1", "graph node that the file of nodes has not"),
                           fields="record calls no_record_because")

    def test_ranges_at_capture(self):
        e = self.export
        e.range(100, 200, RUNTIME, "replay", 1)
        e.range(110, 120, FORWARD, "linear", 1)
        e.range(130, 150, BACKWARD, "linear#1 backward dw", 2)
        e.range(130, 150, BACKWARD, "linear#1 backward db", 3)
        e.node(7, start=112)
        e.node(8, start=140)
        e.node(9, start=190)
        for node in (7, 8, 9):
            e.node(node + 10, original=node, start=180)
        e.node(18, start=112, thread=OTHER_PROCESS | 200)  # that number means another node there
        call = e.call(195)
        for node in (17, 18, 19):
            e.kernel("k", 1000 + node, 1001 + node, call, node=node)
        self.check(self.rows("--sort", "record"), ("1", ""), ("2+3", ""), ("", "graph node, without --nodes"),
                   fields="record no_record_because")
        # What the file tells of a record holds for these too, and what it tells of a node goes first.
        nodes = self.nodes("999,1,1,forward,linear,h,f32 [],linear#1", "19,1,4,update,adam,w,f32 [],adam#4")
        done = table(self.path, "--nodes", nodes, "--csv", "--sort", "record")
        self.check(csv.DictReader(io.StringIO(done.stdout)), ("", "2+3", ""), ("1", "1", "h"), ("1", "4", "w"),
                   fields="program record tensor")
        self.assertIn("known by: graph node 1, range at capture 2, range at launch 0\n",
                      table(self.path, "--nodes", nodes).stdout)

    def test_without_nvtx(self):
        e = self.export
        e.kernel("k", 1000, 1100, None, node=7)
        e.db.execute("DROP TABLE NVTX_EVENTS")
        self.check(self.rows("--nodes", self.nodes("7,6,1,forward,linear,h,f32 [],linear#1")), ("1", "0.1"),
                   fields="record total_us")


class Others(Case):
    """Nothing is left out."""

    def setUp(self):
        super().setUp()
        e = self.export
        e.insert("ENUM_CUDA_MEMCPY_OPER", id=1, name="HTOD", label="Host-to-Device")
        e.range(10, 20, DATA, "gather", 1)
        e.range(30, 40, RUNTIME, "write", 64)
        e.range(50, 90, RUNTIME, "replay", 1)
        e.kernel("ct_gather", 1000, 1200, e.call(15))
        e.copy(1200, 1300, e.call(35))
        e.copy(1300, 1350, e.call(36), kind=77)
        e.copy(1350, 1400, e.call(16))
        e.fill(1400, 1410, e.call(45))
        e.graph(1500, 1900, e.call(55))
        e.kernel("ct_sum", 2000, 2100, e.call(56), node=4)
        e.kernel("lonely", 2100, 2190, 9999)

    def test_every_reason(self):
        self.check(
            self.rows(), ("1", "ct_gather", "0.2", ""), ("1", "[memcpy Host-to-Device]", "0.05", ""),
            ("", "[graph as a whole]", "0.4", 'launched in the range "replay"'),
            ("", "[memcpy Host-to-Device]", "0.1", 'launched in the range "write"'),
            ("", "ct_sum", "0.1", "graph node, without --nodes"),
            ("", "lonely", "0.09", "the call that launched it is not in the export"),
            ("", "[memcpy]", "0.05", 'launched in the range "write"'),
            ("", "[memset]", "0.01", "launched outside of all ranges of cutape"),
            fields="record kernel total_us no_record_because")

    def test_the_text(self):
        self.export.close()
        done = table(self.path)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout, """\
8 kernels, copies and fills on the GPU, 0.001 ms, gaps between them 0.000 ms
records known by: graph node 0, range at capture 0, range at launch 2

rows, of a call  (of: the forward record; gap us: before it)
#  phase  op      of  tensor  shape  kernel                   calls    us  total us     %  gap us
1  data   gather                     ct_gather                    1  0.20      0.20  20.0    0.00
1  data   gather                     [memcpy Host-to-Device]      1  0.05      0.05   5.0    0.00

phases, in all
phase        us     %  gap us  launches
forward    0.00   0.0    0.00         0
backward   0.00   0.0    0.00         0
update     0.00   0.0    0.00         0
data       0.25  25.0    0.00         2
no record  0.75  75.0    0.19         6

of no record: 6 launches, 0.75 us, 75.0 %
why                                             kernel                   calls    us     %
launched in the range "replay"                  [graph as a whole]           1  0.40  40.0
launched in the range "write"                   [memcpy Host-to-Device]      1  0.10  10.0
graph node, without --nodes                     ct_sum                       1  0.10  10.0
the call that launched it is not in the export  lonely                       1  0.09   9.0
launched in the range "write"                   [memcpy]                     1  0.05   5.0
launched outside of all ranges of cutape        [memset]                     1  0.01   1.0
""")

    def test_titles_are_those_of_cutape(self):
        printed = subprocess.run([CUTAPE, "profile", "--data", "spirals", "--device", "cpu", "--steps", "2",
                                  "--replays", "0"], capture_output=True, text=True, timeout=60, check=True).stdout
        theirs = re.search(r"\nrows, of a call .*\n(.*)\n", printed).group(1)
        self.export.close()
        ours = re.search(r"\nrows, of a call .*\n(.*)\n", table(self.path).stdout).group(1)
        split = re.compile(r"  +").split
        common = [title for title in split(ours.strip()) if title not in ("kernel", "total us")]
        self.assertEqual(common, [title for title in split(theirs.strip()) if title in common])
        self.assertGreaterEqual(len(common), 9)

    def test_nothing_belongs_to_a_record(self):
        self.export.db.execute("DELETE FROM CUPTI_ACTIVITY_KIND_RUNTIME")
        rows = self.rows(status=1)
        self.assertEqual(sum(int(row["calls"]) for row in rows), 8)
        self.assertIn("nothing in it belongs to a record", table(self.path).stderr)


class Order(Case):
    def test_all(self):
        e = self.export
        for number, category, text, ns in ((1, FORWARD, "linear", 30), (2, FORWARD, "sum", 50), (9, UPDATE, "adam", 40),
                                           (5, BACKWARD, "linear#1 backward dx", 20), (0, DATA, "gather", 10),
                                           (3, FORWARD, "linear", 60)):
            t = 100 * number
            e.range(t, t + 50, category, text, number)
            e.kernel("k", 10000 + t, 10000 + t + ns, e.call(t + 10))
        e.close()
        for order, expected in (("time", "329150"), ("record", "012359"), ("op", "903152"),
                                ("phase", "321590")):
            done = table(self.path, "--csv", "--sort", order)
            self.assertEqual("".join(r["record"] for r in csv.DictReader(io.StringIO(done.stdout))), expected, order)


class BadInput(Case):
    def refused(self, *words, arguments=()):
        self.export.close()
        done = table(self.path, *arguments)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertRegex(done.stderr, r"\Ansys_table\.py: [^\n]*\n\Z")
        for word in words:
            self.assertIn(word, done.stderr)

    def fill(self):
        e = self.export
        e.range(10, 20, FORWARD, "linear", 1)
        e.kernel("k", 1000, 1100, e.call(15))
        return e.db

    def test_a_table_is_not_there(self):
        for name, words in (("StringIds", ("nsys export --type sqlite",)),
                            ("CUPTI_ACTIVITY_KIND_KERNEL", ("--trace=cuda,nvtx", "on a GPU")),
                            ("NVTX_EVENTS", ("--trace=cuda,nvtx",)),
                            ("CUPTI_ACTIVITY_KIND_RUNTIME", ("--trace=cuda,nvtx",))):
            with self.subTest(table=name):
                self.path = self.folder / f"{name}.sqlite"
                self.export = Export(self.path)
                self.fill().execute(f"DROP TABLE {name}")
                self.refused("no table " + name, *words)

    def test_only_graphs_as_a_whole(self):
        self.export.graph(1000, 2000, self.export.call(10))
        self.refused("as a whole", "--cuda-graph-trace=node")

    def test_an_older_schema(self):
        self.fill().execute("ALTER TABLE CUPTI_ACTIVITY_KIND_KERNEL DROP COLUMN globalPid")
        self.refused("CUPTI_ACTIVITY_KIND_KERNEL has no column globalPid", "another version")

    def test_older_ranges(self):
        self.fill().execute("ALTER TABLE NVTX_EVENTS DROP COLUMN domainId")
        self.refused("NVTX_EVENTS has no column domainId")

    def test_no_range_of_cutape(self):
        self.fill().execute("DELETE FROM NVTX_EVENTS WHERE text = 'cutape'")
        self.refused("no range of cutape", "--trace=cuda,nvtx", "built with NVTX")

    def test_no_file(self):
        self.path = self.folder / "none.sqlite"
        self.refused("none.sqlite: no such file")
        self.assertFalse(self.path.exists())

    def test_no_database(self):
        self.path = self.folder / "text.sqlite"
        self.path.write_text("no database " * 100, encoding="utf-8")
        self.refused("text.sqlite", "not a database")

    def test_cut_off(self):
        for i in range(3000):
            self.export.kernel(f"kernel {i}", i, i + 1)
        self.export.close()
        self.path.write_bytes(self.path.read_bytes()[:60000])
        self.refused("export.sqlite")

    def test_nodes_that_are_none(self):
        self.fill()
        for text, words in (("", "not a file of ct_profile_trace"), ("a,b\n", "not a file of ct_profile_trace"),
                            (NODES + "7,6,x,forward,linear,h,f32 [],linear#1\n", "line 2"),
                            (NODES + "7,6,1,forward,linear,h,f32 [],linear#1\n7,6\n", "line 3")):
            with self.subTest(text=text):
                nodes = self.folder / "nodes.csv"
                nodes.write_text(text, encoding="utf-8")
                self.refused("nodes.csv", words, arguments=("--nodes", nodes))
        self.refused("none.csv", "No such file", arguments=("--nodes", self.folder / "none.csv"))

    def test_the_export_stays_as_it_is(self):
        self.fill()
        self.export.close()
        before = self.path.read_bytes()
        self.assertEqual(table(self.path).returncode, 0)
        self.assertEqual(self.path.read_bytes(), before)
        self.assertEqual([p.name for p in self.folder.iterdir()], ["export.sqlite"])


class Source(unittest.TestCase):
    """What the script knows of the library is so there."""

    def test_agrees(self):
        hold = (ROOT / "kernels" / "cuda" / "hold.cu").read_text(encoding="utf-8")
        self.assertRegex(hold, r'extern "C" __global__ void [^;{]*\bct_hold\(')
        header = (ROOT / "runtime" / "profile" / "nvtx.h").read_text(encoding="utf-8")
        record = re.search(r"typedef struct ct_nvtx_record \{(.*?)\} ct_nvtx_record;", header, re.S).group(1)
        self.assertEqual(re.findall(r"^ *(.*?);", record, re.M),
                         ["uint32_t record", "uint32_t program", "uint32_t launch", "char dtype[8]", "char shape[96]"])
        nvtx = (ROOT / "runtime" / "profile" / "nvtx.c").read_text(encoding="utf-8")
        self.assertEqual(re.findall(r"\[(CT_\w+)(?: \+ 1)?\] = \{\"(\w+)\", 0x", nvtx),
                         [("CT_PHASE_FORWARD", "forward"), ("CT_PHASE_BACKWARD", "backward"),
                          ("CT_PHASE_UPDATE", "update"), ("CT_PHASE_DATA", "data"), ("CT_NVTX_RUNTIME", "runtime")])


class Size(Case):
    """A minute of training: hours, if each launch were looked for among all ranges."""

    def test_100000_launches(self):
        e, n = self.export, 100000
        name = e.string("k")
        e.range(0, 100 * n, RUNTIME, "replay", n)
        e.range(1, 2, FORWARD, "linear", 0)
        e.kernel("k", 1, 2, e.call(1, correlation=10 * n))
        e.db.executemany("INSERT INTO NVTX_EVENTS (start, end, eventType, category, text, globalTid, domainId, "
                         f"uint64Value) VALUES (?, ?, 59, 1, 'linear', {MAIN}, 1, ?)",
                         ((100 * i + 10, 100 * i + 90, i % 20) for i in range(n)))
        e.db.executemany("INSERT INTO CUPTI_ACTIVITY_KIND_RUNTIME (start, end, eventClass, globalTid, correlationId, "
                         f"nameId) VALUES (?, ?, 0, {MAIN}, ?, {name})",
                         ((100 * i + 50, 100 * i + 60, i) for i in range(n)))
        e.db.executemany("INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL (start, end, deviceId, contextId, streamId, "
                         "correlationId, globalPid, demangledName, shortName) "
                         f"VALUES (?, ?, 0, 1, 7, ?, {MAIN & ~0xffffff}, {name}, {name})",
                         ((1000 + 100 * i, 1090 + 100 * i, i) for i in range(n)))
        self.check(self.rows("--sort", "record"), ("0", "5001"), *((str(i), "5000") for i in range(1, 20)),
                   fields="record calls")


if __name__ == "__main__":
    CUTAPE = sys.argv.pop(1)
    unittest.main()

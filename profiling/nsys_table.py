#!/usr/bin/env python3
"""nsys_table.py EXPORT.sqlite: the GPU time that Nsight Systems saw, by the records of cutape that it was spent on.

EXPORT.sqlite is what `nsys export --type sqlite` makes of a report. A kernel, copy or fill belongs to the records

  - that --nodes FILE has for the node of the CUDA graph that it ran as: ct_profile_trace writes it, PATH.nodes.csv;
  - else, in whose NVTX ranges that node was captured;
  - else, in whose NVTX ranges the call was made that launched it.

A launch that does the work of several records has them all in one row, as 8+9. Times are in microseconds: `us` is of
a call, `gap us` the time before it in which its GPU did nothing. What belongs to no record is listed with the reason.
Exit status: 0; 1 if nothing belongs to a record; 2 if something cannot be read.
"""
from __future__ import annotations

import argparse
import collections
import csv
import dataclasses
import math
import os
import pathlib
import re
import sqlite3
import struct
import sys

PHASES = ("forward", "backward", "update", "data")  # of a record: its NVTX category less one
RUNTIME = len(PHASES) + 1  # the category of all other ranges
PUSH_POP, DOMAIN = 59, 75  # ENUM_NSYS_EVENT_TYPE
NODES_HEADER = "graph_node_id,program,record,phase,op,tensor,shape,label".split(",")
PAYLOAD = struct.Struct("<3I8s96s")  # ct_nvtx_record: record, program, launch, dtype, shape
HOLD = "ct_hold"  # a profile's launches queue up behind this kernel: a wait, and no work
PAYLOAD_HEADER = 32  # domain, schema, size, offset: 64 bits each
SIZE_IN_HEADER = struct.Struct("<16xQ")

TRACE = "nsys profile --trace=cuda,nvtx records it"
NODES = "nsys profile --cuda-graph-trace=node records it"


class Unreadable(Exception):
    """With what is wrong, in words."""


@dataclasses.dataclass(frozen=True)
class Record:
    """One of cutape. What is not known is None, or empty."""

    program: int | None
    number: int | None
    phase: str
    op: str
    label: str
    tensor: str = ""
    shape: str = ""


@dataclasses.dataclass
class Activity:
    """Something that a GPU did."""

    name: str
    start: int
    end: int
    device: tuple
    call: tuple  # process and correlation: of the call that launched it
    node: int | None
    gap: int = 0


@dataclasses.dataclass
class Row:
    records: tuple
    kernel: str
    calls: int = 0
    ns: int = 0
    gap_ns: int = 0

    def add(self, activity):
        self.calls += 1
        self.ns += activity.end - activity.start
        self.gap_ns += activity.gap

    @property
    def phase(self):
        return " + ".join(dict.fromkeys(r.phase for r in self.records))

    def known(self, field):
        """Of all its records: numbers as 8+9, words as a list."""
        values = [getattr(r, field) for r in self.records]
        if all(v in (None, "") for v in values):
            return ""
        return ("+" if field == "number" else ", ").join("?" if v in (None, "") else str(v) for v in values)

    @property
    def program(self):
        """One and the same: a launch is of one."""
        return "" if self.records[0].program is None else str(self.records[0].program)

    @property
    def order(self):
        return tuple((r.program or 0, -1 if r.number is None else r.number, r.label) for r in self.records)


# ---- the export ----------------------------------------------------------------------------------------------


class Export:
    def __init__(self, path):
        if not os.path.isfile(path):
            raise Unreadable(f"{path}: no such file")
        self.path = path
        self.db = sqlite3.connect(pathlib.Path(path).resolve().as_uri() + "?mode=ro", uri=True)
        names = [row[0] for row in self.rows("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")]
        self.columns = {name: {row[1] for row in self.rows(f'PRAGMA table_info("{name}")')} for name in names}
        if "StringIds" not in self.columns:
            raise Unreadable(f"{path}: no table StringIds; nsys export --type sqlite makes such a file from a report")

    def rows(self, query):
        return self.db.execute(query)

    def has(self, table, *columns):
        return table in self.columns and self.columns[table].issuperset(columns)

    def need(self, table, columns, hint):
        if table not in self.columns:
            raise Unreadable(f"{self.path}: no table {table}; {hint}")
        missing = sorted(set(columns) - self.columns[table])
        if missing:
            raise Unreadable(f"{self.path}: {table} has no column {', '.join(missing)}: another version of nsys?")

    def optional(self, table, column, alias=""):
        """The column, or NULL where this version of nsys has none."""
        return (f"{alias}.{column}" if alias else column) if self.has(table, column) else "NULL"


def unsigned(node):
    return None if not node else node & 0xFFFFFFFFFFFFFFFF  # none is NULL or 0


def process_of(global_id):
    return None if global_id is None else global_id >> 24


def read_activities(export):
    """All that the GPUs did, in order, with the gaps."""
    base = ("start", "end", "deviceId", "correlationId", "globalPid")
    kernels, graphs = "CUPTI_ACTIVITY_KIND_KERNEL", "CUPTI_ACTIVITY_KIND_GRAPH_TRACE"
    if kernels not in export.columns and graphs in export.columns:
        raise Unreadable(f"{export.path}: no table {kernels}, only graphs as a whole; {NODES}")
    export.need(kernels, base + ("demangledName", "shortName"), TRACE + ", if anything runs on a GPU")
    copies, fills = "CUPTI_ACTIVITY_KIND_MEMCPY", "CUPTI_ACTIVITY_KIND_MEMSET"
    sources = [(kernels, "coalesce(s.value, d.value, '?')",
                "LEFT JOIN StringIds s ON s.id = a.shortName LEFT JOIN StringIds d ON d.id = a.demangledName")]
    if export.has(copies, *base):
        directions = export.has(copies, "copyKind") and export.has("ENUM_CUDA_MEMCPY_OPER", "id", "label")
        sources.append((copies, "coalesce('[memcpy ' || e.label || ']', '[memcpy]')" if directions else "'[memcpy]'",
                        "LEFT JOIN ENUM_CUDA_MEMCPY_OPER e ON e.id = a.copyKind" if directions else ""))
    if export.has(fills, *base):
        sources.append((fills, "'[memset]'", ""))
    if export.has(graphs, *base):
        sources.append((graphs, "'[graph as a whole]'", ""))
    found = []
    for table, text, joins in sources:
        for name, start, end, device, call, process, node in export.rows(
                f'SELECT {text}, a.start, a."end", a.deviceId, a.correlationId, a.globalPid, '
                f'{export.optional(table, "graphNodeId", "a")} FROM {table} a {joins}'):
            process = process_of(process)
            found.append(Activity(name, start, end, (process, device), (process, call), unsigned(node)))
    found.sort(key=lambda activity: (activity.start, activity.end))
    busy_until = {}
    for activity in found:
        before = busy_until.get(activity.device, activity.start)
        activity.gap = max(0, activity.start - before)
        busy_until[activity.device] = max(before, activity.end)
    return found


# ---- NVTX ----------------------------------------------------------------------------------------------------


def payload_of(blob, number):
    """(program, record, shape) of a range, from whatever of its payload the export has; None: not known."""
    if blob and len(blob) >= PAYLOAD_HEADER + PAYLOAD.size and SIZE_IN_HEADER.unpack_from(blob)[0] >= PAYLOAD.size:
        record, program, _, *words = PAYLOAD.unpack_from(blob, PAYLOAD_HEADER)
        return program, record, " ".join(w.partition(b"\0")[0].decode("utf-8", "replace") for w in words).strip()
    return None, number, ""


def read_ranges(export):
    """{thread: [(start, end, its record, or the name of a range of another kind)]}, outer before inner."""
    table = "NVTX_EVENTS"
    if not export.has(table, "start", "end", "eventType", "category", "text", "textId", "domainId", "globalTid"):
        return {}
    text = "coalesce(n.text, s.value)"
    strings = "LEFT JOIN StringIds s ON s.id = n.textId"
    domains = {(process_of(tid), domain) for tid, domain in export.rows(
        f"SELECT n.globalTid, n.domainId FROM {table} n {strings} WHERE n.eventType = {DOMAIN} AND {text} = 'cutape'")}
    found = collections.defaultdict(list)
    for tid, domain, start, end, category, name, number, blob in export.rows(
            f'SELECT n.globalTid, n.domainId, n.start, n."end", n.category, {text}, '
            f'{export.optional(table, "uint64Value", "n")}, CAST({export.optional(table, "binaryData", "n")} AS BLOB) '
            f"FROM {table} n {strings} WHERE n.eventType = {PUSH_POP}"):
        if (process_of(tid), domain) not in domains:
            continue
        what = name
        if category is not None and 1 <= category < RUNTIME:
            program, number, shape = payload_of(blob, number)
            label = name if "#" in name or number is None else f"{name}#{number}"
            what = Record(program, number, PHASES[category - 1], name, label, "", shape)
        found[tid].append((start, math.inf if end is None else end, what))
    for ranges in found.values():
        ranges.sort(key=lambda r: (r[0], -r[1]))
    return found


def ranges_around(ranges, points):
    """For each (thread, time): what the ranges that are open there are, the outermost first."""
    by_thread = collections.defaultdict(list)
    for point in points:
        by_thread[point[0]].append(point)
    found = {}
    for thread, of_thread in by_thread.items():
        stack, following = [], iter(ranges.get(thread, ()))
        begins = next(following, None)
        for point in sorted(of_thread, key=lambda p: p[1]):
            while begins and begins[0] <= point[1]:
                while stack and stack[-1][1] <= begins[0]:
                    stack.pop()
                stack.append(begins)
                begins = next(following, None)
            while stack and stack[-1][1] <= point[1]:
                stack.pop()
            found[point] = tuple(r[2] for r in stack)
    return found


def innermost_records(around):
    """Those of a launch: of one that does the work of several, their ranges stand in each other."""
    records = []
    for what in reversed(around):
        if not isinstance(what, Record):
            break
        records.insert(0, what)
    return tuple(records)


# ---- joining -------------------------------------------------------------------------------------------------


def read_nodes(path):
    """{node of a graph: its records}, from what ct_profile_trace has written."""
    found = collections.defaultdict(tuple)
    try:
        with open(path, encoding="utf-8", newline="") as file:
            lines = csv.reader(file)
            if next(lines, None) != NODES_HEADER:
                raise Unreadable(f"{path}: not a file of ct_profile_trace; it begins with {','.join(NODES_HEADER)}")
            for line in lines:
                node, program, number, phase, op, tensor, shape, label = line
                found[int(node)] += (Record(int(program), int(number), phase, op, label, tensor, shape),)
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from error
    except (ValueError, csv.Error) as error:
        raise Unreadable(f"{path}, line {lines.line_num}: not a line of ct_profile_trace ({error})") from error
    return dict(found)


class Join:
    """Whose work an activity is."""

    def __init__(self, export, nodes, activities):
        self.nodes, self.nodes_given = nodes or {}, nodes is not None
        calls = {activity.call for activity in activities}
        self.calls, created, self.original = {}, {}, {}
        # A call of the runtime may make one of the driver, which has a number of its own: one row each, as a rule.
        if export.has("CUPTI_ACTIVITY_KIND_RUNTIME", "start", "globalTid", "correlationId"):
            for tid, start, correlation in export.rows(
                    "SELECT globalTid, start, correlationId FROM CUPTI_ACTIVITY_KIND_RUNTIME ORDER BY start"):
                call = (process_of(tid), correlation)
                if call in calls:
                    self.calls.setdefault(call, (tid, start))
        for table in ("CUDA_GRAPH_NODE_EVENTS", "CUDA_GRAPH_EVENTS"):  # the second in older versions of nsys
            if export.has(table, "start", "globalTid", "graphNodeId", "originalGraphNodeId"):
                for tid, start, node, original in export.rows(
                        f"SELECT globalTid, start, graphNodeId, originalGraphNodeId FROM {table}"):
                    key = process_of(tid), unsigned(node)
                    if unsigned(original) is None:
                        created[key] = tid, start
                    else:
                        self.original[key] = unsigned(original)
        self.ranges = read_ranges(export)
        self.created = created
        self.around = ranges_around(self.ranges, {*self.calls.values(), *created.values()})
        self.described = self.describe()

    def describe(self):
        """What the nodes tell of a record, by number and phase; of one of several programs by its number too."""
        found = {}
        for record in (r for records in self.nodes.values() for r in records):
            found[record.program, record.number, record.phase] = record
            key = None, record.number, record.phase
            found[key] = record if found.get(key, record) == record else None
        return found

    def known(self, records):
        """The same with all that is known of them."""
        return tuple(self.described.get((r.program, r.number, r.phase)) or r for r in records)

    def of_node(self, process, node):
        """(records, how) of a node that is executed; as a rule it is a copy of one that was captured."""
        seen = set()
        while node is not None and node not in seen:
            seen.add(node)
            if node in self.nodes:
                return self.nodes[node], "node"
            records = innermost_records(self.around.get(self.created.get((process, node)), ()))
            if records:
                return self.known(records), "capture"
            node = self.original.get((process, node))
        return (), None

    def find(self, activity):
        """(records, how), or no records and why not."""
        if activity.node is not None:
            records, how = self.of_node(activity.call[0], activity.node)
            if records:
                return records, how
            return (), ("graph node that the file of nodes has not" if self.nodes_given else
                        "graph node, without --nodes")
        point = self.calls.get(activity.call)
        if point is None:
            return (), "the call that launched it is not in the export"
        around = self.around[point]
        records = innermost_records(around)
        if records:
            return self.known(records), "call"
        return (), f'launched in the range "{around[-1]}"' if around else "launched outside of all ranges of cutape"


@dataclasses.dataclass
class Table:
    rows: list
    others: list  # rows whose records are a reason
    how: collections.Counter
    held: Row  # stands in nothing else
    ns: int

    @property
    def gap_ns(self):
        return sum(row.gap_ns for row in self.rows + self.others)


def make_table(join, activities):
    rows, others, how = {}, {}, collections.Counter()
    held = Row(("wait that lets the launches of a profile queue up",), HOLD)
    for activity in activities:
        if activity.name == HOLD:
            held.add(activity)
            continue
        records, reason = join.find(activity)
        if records:
            how[reason] += 1
            row = rows.setdefault((records, activity.name), Row(records, activity.name))
        else:
            row = others.setdefault((reason, activity.name), Row((reason,), activity.name))
        row.add(activity)
    whole = sum(activity.end - activity.start for activity in activities) - held.ns
    return Table(list(rows.values()), sorted(others.values(), key=lambda r: (-r.ns, r.kernel)), how, held, whole)


ORDERS = {
    "time": lambda row: (-row.ns, row.order),
    "record": lambda row: (row.order, -row.ns),
    "op": lambda row: (row.known("op"), -row.ns, row.order),
    "phase": lambda row: ([PHASES.index(r.phase) for r in row.records], -row.ns, row.order),
}


def read(path, nodes_path):
    export = Export(path)
    nodes = None if nodes_path is None else read_nodes(nodes_path)
    activities = read_activities(export)
    join = Join(export, nodes, activities)
    if not join.ranges and not join.nodes:
        table = "NVTX_EVENTS"
        columns = ("start", "end", "eventType", "category", "text", "textId", "domainId", "globalTid")
        export.need(table, columns, TRACE)
        raise Unreadable(f"{path}: no range of cutape in {table}: {TRACE}, if the library was built with NVTX")
    if not join.nodes:
        export.need("CUPTI_ACTIVITY_KIND_RUNTIME", ("start", "globalTid", "correlationId"), TRACE)
    return make_table(join, activities)


# ---- writing -------------------------------------------------------------------------------------------------


def us(ns):
    return f"{ns / 1000:.2f}"


def share(ns, whole):
    return f"{100 * ns / whole:.1f}" if whole else "-"


def forward_of(row):
    """Number of the forward record, as labels of its gradient have it: linear#3 backward dw."""
    numbers = [re.match(r"\S+#(\d+) ", r.label) for r in row.records]
    return "+".join(dict.fromkeys(n.group(1) for n in numbers if n))


def grid(columns, lines):
    """Columns of text as cutape's: (title, at the right?, the widest it may be, or 0)."""
    def cut(cell, most):
        return cell if not most or len(cell) <= most else cell[:most - 3] + "..."

    cells = [[title for title, _, _ in columns]]
    cells += [[cut(cell, most) for cell, (_, _, most) in zip(line, columns)] for line in lines]
    widths = [max(map(len, column)) for column in zip(*cells)]
    for line in cells:
        print("  ".join(cell.rjust(width) if right else cell.ljust(width)
                        for cell, width, (_, right, _) in zip(line, widths, columns)).rstrip())


def write_rows(table):
    programs = {r.program for row in table.rows for r in row.records}
    columns = [("prog", True, 0), ("#", True, 0), ("phase", False, 0), ("op", False, 40), ("of", True, 0),
               ("tensor", False, 24), ("shape", False, 18), ("kernel", False, 40), ("calls", True, 0),
               ("us", True, 0), ("total us", True, 0), ("%", True, 0), ("gap us", True, 0)]
    skipped = 0 if len(programs) > 1 else 1  # one program needs no number
    print("\nrows, of a call  (of: the forward record; gap us: before it)")
    grid(columns[skipped:], [
        [row.program, row.known("number") or "-", row.phase, row.known("op"), forward_of(row),
         row.known("tensor"), row.known("shape"), row.kernel, str(row.calls), us(row.ns / row.calls), us(row.ns),
         share(row.ns, table.ns), us(row.gap_ns / row.calls)][skipped:] for row in table.rows])


def write_phases(table):
    sums = {phase: Row((), "") for phase in PHASES}
    for key, rows in (("", table.rows), ("no record", table.others)):
        for row in rows:
            total = sums.setdefault(key or row.phase, Row((), ""))
            total.calls, total.ns, total.gap_ns = (
                total.calls + row.calls, total.ns + row.ns, total.gap_ns + row.gap_ns)
    print("\nphases, in all")
    grid([("phase", False, 0), ("us", True, 0), ("%", True, 0), ("gap us", True, 0), ("launches", True, 0)],
         [[phase, us(s.ns), share(s.ns, table.ns), us(s.gap_ns), str(s.calls)] for phase, s in sums.items()])


def write_others(table):
    if not table.others:
        return
    ns, calls = (sum(getattr(row, field) for row in table.others) for field in ("ns", "calls"))
    print(f"\nof no record: {calls} launches, {us(ns)} us, {share(ns, table.ns)} %")
    grid([("why", False, 0), ("kernel", False, 40), ("calls", True, 0), ("us", True, 0), ("%", True, 0)],
         [[row.records[0], row.kernel, str(row.calls), us(row.ns), share(row.ns, table.ns)] for row in table.others])


def write_text(table):
    launches = sum(row.calls for row in table.rows + table.others)
    print(f"{launches} kernels, copies and fills on the GPU, {table.ns / 1e6:.3f} ms, "
          f"gaps between them {table.gap_ns / 1e6:.3f} ms")
    print(f"records known by: graph node {table.how['node']}, range at capture {table.how['capture']}, "
          f"range at launch {table.how['call']}")
    if table.held.calls:
        print(f"not in what follows: {table.held.kernel}, {table.held.calls} launches, {us(table.held.ns)} us, "
              f"a {table.held.records[0]}")
    if table.rows:
        write_rows(table)
    write_phases(table)
    write_others(table)
    if any(r.number is None for row in table.rows for r in row.records):
        print("\nwithout a number: its range has no payload in the export; "
              "nsys export --include-blobs=true keeps it, where nsys has that option")


def write_csv(table):
    """Columns as in the CSV table of ct_profile_table; what is of no record has a reason instead."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow("program,record,phase,op,label,forward_record,tensor,shape,kernel,calls,time_us,total_us,"
                    "share_percent,gap_us,no_record_because".split(","))
    for row in table.rows:
        writer.writerow([row.program, row.known("number"), row.phase, row.known("op"),
                         row.known("label"), forward_of(row), row.known("tensor"), row.known("shape"),
                         *csv_figures(table, row), ""])
    for row in table.others + [table.held] * bool(table.held.calls):
        writer.writerow([""] * 8 + [*csv_figures(table, row), row.records[0]])


def csv_figures(table, row):
    percent = 100 * row.ns / table.ns if table.ns and row is not table.held else ""
    return row.kernel, row.calls, row.ns / row.calls / 1000, row.ns / 1000, percent, row.gap_ns / row.calls / 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("export", metavar="EXPORT.sqlite")
    parser.add_argument("--nodes", metavar="FILE", help="which record each node of a graph is, from ct_profile_trace")
    parser.add_argument("--csv", action="store_true", help="rows as CSV")
    parser.add_argument("--sort", choices=ORDERS, default="time", help="order of the rows (time)")
    options = parser.parse_args()
    try:
        table = read(options.export, options.nodes)
    except Unreadable as error:
        print(f"nsys_table.py: {error}", file=sys.stderr)
        return 2
    except sqlite3.Error as error:
        print(f"nsys_table.py: {options.export}: {error}", file=sys.stderr)
        return 2
    table.rows.sort(key=ORDERS[options.sort])
    try:
        (write_csv if options.csv else write_text)(table)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if not table.rows:
        print("nsys_table.py: nothing in it belongs to a record of cutape", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

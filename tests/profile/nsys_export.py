"""Exports as nsys makes them, for tests: the tables and columns that its SQLite schema has, as far as they matter.

Columns that are NOT NULL there and play no part are left out; their names and meaning are those of the documented
schema 3.28 (nsys 2026.4). Times are nanoseconds."""

import sqlite3
import struct

PROCESS = (77 << 56) | (100 << 24)  # hardware, VM, process, thread: 8, 8, 24 and 24 bits; positive as 64 bits
MAIN, WORKER = PROCESS | 100, PROCESS | 101
OTHER_PROCESS = (77 << 56) | (200 << 24)
DOMAIN, OTHER_DOMAIN = 1, 2
FORWARD, BACKWARD, UPDATE, DATA, RUNTIME = range(1, 6)

SCHEMA = {
    "StringIds": "id INTEGER NOT NULL PRIMARY KEY, value TEXT NOT NULL",
    "ENUM_CUDA_MEMCPY_OPER": "id INTEGER NOT NULL PRIMARY KEY, name TEXT, label TEXT",
    "NVTX_EVENTS": "start INTEGER NOT NULL, end INTEGER, eventType INTEGER NOT NULL, rangeId INTEGER, "
                   "category INTEGER, color INTEGER, text TEXT, globalTid INTEGER, endGlobalTid INTEGER, "
                   "textId INTEGER, domainId INTEGER, uint64Value INTEGER, jsonTextId INTEGER, jsonText TEXT, "
                   "binaryData TEXT",
    "CUPTI_ACTIVITY_KIND_RUNTIME": "start INTEGER NOT NULL, end INTEGER NOT NULL, eventClass INTEGER NOT NULL, "
                                   "globalTid INTEGER, correlationId INTEGER, nameId INTEGER NOT NULL",
    "CUPTI_ACTIVITY_KIND_KERNEL": "start INTEGER NOT NULL, end INTEGER NOT NULL, deviceId INTEGER NOT NULL, "
                                  "contextId INTEGER NOT NULL, streamId INTEGER NOT NULL, correlationId INTEGER, "
                                  "globalPid INTEGER, demangledName INTEGER NOT NULL, shortName INTEGER NOT NULL, "
                                  "graphNodeId INTEGER",
    "CUPTI_ACTIVITY_KIND_MEMCPY": "start INTEGER NOT NULL, end INTEGER NOT NULL, deviceId INTEGER NOT NULL, "
                                  "streamId INTEGER NOT NULL, correlationId INTEGER, globalPid INTEGER, "
                                  "bytes INTEGER NOT NULL, copyKind INTEGER NOT NULL, graphNodeId INTEGER",
    "CUPTI_ACTIVITY_KIND_MEMSET": "start INTEGER NOT NULL, end INTEGER NOT NULL, deviceId INTEGER NOT NULL, "
                                  "streamId INTEGER NOT NULL, correlationId INTEGER, globalPid INTEGER, "
                                  "value INTEGER NOT NULL, bytes INTEGER NOT NULL, graphNodeId INTEGER",
    "CUPTI_ACTIVITY_KIND_GRAPH_TRACE": "start INTEGER NOT NULL, end INTEGER NOT NULL, deviceId INTEGER NOT NULL, "
                                       "streamId INTEGER NOT NULL, correlationId INTEGER, globalPid INTEGER, "
                                       "graphId INTEGER NOT NULL, graphExecId INTEGER NOT NULL",
    "CUDA_GRAPH_NODE_EVENTS": "start INTEGER NOT NULL, end INTEGER NOT NULL, eventClass INTEGER NOT NULL, "
                              "globalTid INTEGER, nameId INTEGER NOT NULL, graphNodeId INTEGER NOT NULL, "
                              "originalGraphNodeId INTEGER",
}
# nsys 2022.4, schema 3.0
OLD_NAMES = {"CUDA_GRAPH_NODE_EVENTS": "CUDA_GRAPH_EVENTS"}


def payload(record, program, launch, dtype, shape, domain=DOMAIN):
    """NVTX_EVENTS.binaryData of nsys export --include-blobs=true."""
    data = struct.pack("<3I8s96s", record, program, launch, dtype.encode(), shape.encode())
    return struct.pack("<4Q", domain, 1 << 24, len(data), 32) + data


class Export:
    """Tables are made when something is put into them, as nsys does."""

    def __init__(self, path, nsys_2022=False):
        self.path, self.strings, self.calls, self.old = path, {}, 0, nsys_2022
        self.db = sqlite3.connect(path)
        self.tables = set()
        self.string("")
        for tid, domain, text in ((MAIN, DOMAIN, "cutape"), (MAIN, OTHER_DOMAIN, "another"),
                                  (OTHER_PROCESS | 200, DOMAIN, "another")):
            self.insert("NVTX_EVENTS", start=0, eventType=75, text=text, globalTid=tid, domainId=domain)

    def table(self, name):
        stored = OLD_NAMES.get(name, name) if self.old else name
        if stored not in self.tables:
            columns = SCHEMA[name].replace(", binaryData TEXT", "") if self.old else SCHEMA[name]
            self.db.execute(f"CREATE TABLE {stored} ({columns})")
            self.tables.add(stored)
        return stored

    def insert(self, into, **values):
        names = ", ".join(values)
        marks = ", ".join("?" * len(values))
        self.db.execute(f"INSERT INTO {self.table(into)} ({names}) VALUES ({marks})", list(values.values()))

    def string(self, text):
        if text not in self.strings:
            self.strings[text] = len(self.strings) + 1
            self.insert("StringIds", id=self.strings[text], value=text)
        return self.strings[text]

    def range(self, start, end, category, text, number=None, blob=None, thread=MAIN, domain=DOMAIN, registered=False,
              kind=59):
        name = {"textId": self.string(text)} if registered else {"text": text}
        if blob is not None:
            name["binaryData"] = blob
        self.insert("NVTX_EVENTS", start=start, end=end, eventType=kind, category=category, globalTid=thread,
                    domainId=domain, uint64Value=number, **name)

    def call(self, start, thread=MAIN, correlation=None):
        """Of the runtime; what it launches has its number."""
        self.calls += 1
        correlation = correlation or self.calls
        self.insert("CUPTI_ACTIVITY_KIND_RUNTIME", start=start, end=start + 5, eventClass=0, globalTid=thread,
                    correlationId=correlation, nameId=self.string("cudaLaunchKernelExC_v11060"))
        return correlation

    def kernel(self, name, start, end, call=None, node=None, device=0, process=PROCESS):
        self.insert("CUPTI_ACTIVITY_KIND_KERNEL", start=start, end=end, deviceId=device, contextId=1, streamId=7,
                    correlationId=call, globalPid=process, demangledName=self.string(name + "(ct_args)"),
                    shortName=self.string(name), graphNodeId=node)

    def copy(self, start, end, call, kind=1):
        self.insert("CUPTI_ACTIVITY_KIND_MEMCPY", start=start, end=end, deviceId=0, streamId=7, correlationId=call,
                    globalPid=PROCESS, bytes=64, copyKind=kind)

    def fill(self, start, end, call):
        self.insert("CUPTI_ACTIVITY_KIND_MEMSET", start=start, end=end, deviceId=0, streamId=7, correlationId=call,
                    globalPid=PROCESS, value=0, bytes=64)

    def graph(self, start, end, call):
        self.insert("CUPTI_ACTIVITY_KIND_GRAPH_TRACE", start=start, end=end, deviceId=0, streamId=7,
                    correlationId=call, globalPid=PROCESS, graphId=1, graphExecId=2)

    def node(self, node, original=None, start=0, thread=MAIN):
        self.insert("CUDA_GRAPH_NODE_EVENTS", start=start, end=start + 1, eventClass=0, globalTid=thread,
                    nameId=self.string("Graph Node Creation"), graphNodeId=node, originalGraphNodeId=original)

    def close(self):
        if self.db:
            self.db.commit()
            self.db.close()
        self.db = None

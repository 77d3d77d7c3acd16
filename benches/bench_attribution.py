"""What looks and snapshots leave in the process that they look at: 300 windows of each kind, 300 snapshots, in one.

The engine is one that turns memory over and keeps none, so that what grows is the observer's. What is live after a
collection is what is reachable. The snapshots count by type: pympler works in the forked child only, and what comes
back from it is of the same size. `python -m benches.bench_attribution FOLDER KIND...` measures some of it.

Before CPython 3.12.5 every `tracemalloc.stop()` forgets a block for each distinct stack that it has traced, of 144
bytes where that has ten frames (gh-121390): the python route alone traces, and is the only one that is not flat.
"""

import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from soakd.worker.attribution import Look
from soakd.worker.probes.allocator import live_native_bytes, live_python_bytes
from soakd.worker.probes.fork import ForkedChild
from soakd.worker.probes.process import open_fds, threads
from soakd.worker.probes.snapshot import take_snapshot

TITLE = "an observer's own growth: what looks and snapshots leave in one process, and operations outside the windows"
KINDS = ("light", "native", "python", "snapshot")
WINDOWS = SNAPSHOTS = 300
WARM = 5
"""Looks of each route, and snapshots, before it counts: memray is imported, caches of the interpreter fill."""
OPERATIONS = 20
BLOCK = 2000
BLOCKS = 40


def rows() -> Iterator[tuple[str, float, str, str]]:
    """Give (what, value, unit, remark), as it is found."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benches.bench_attribution", folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                yield from _words(json.loads(line))
        if process.returncode != 0:
            raise SystemExit(process.returncode)


def _words(found: dict[str, Any]) -> Iterator[tuple[str, float, str, str]]:
    if "ratio" in found:
        yield "an operation after all of them", found["ratio"], "x before", f"quartiles {found['quartiles']}"
        return
    what = f"{found['count']} {found['what']}"
    halves = f"first half {found['first']:+,} B, second {found['second']:+,} B; {found['failed']} failed"
    yield f"live bytes after {what}", found["live"] / 1e3, "kB", halves
    more = f"descriptors {found['fds']:+d}, threads {found['threads']:+d}"
    yield f"anonymous resident bytes after {what}", found["rss_anon"] / 1e6, "MB", more


class Engine:
    """A full cache."""

    def __init__(self) -> None:
        self._entries: OrderedDict[int, bytes] = OrderedDict((n, bytes(300)) for n in range(200))
        self.done = 0

    def operate(self, count: int) -> None:
        """Replace an entry, so many times."""
        for _ in range(count):
            self.done += 1
            self._entries[200 + self.done] = bytes(300)
            self._entries.popitem(last=False)


def main(folder: str, kinds: Sequence[str] = KINDS) -> Iterator[dict[str, Any]]:
    """Look, and take snapshots, in this process; say what is left after each kind."""
    engine = Engine()
    for _ in range(WARM):
        for kind in kinds:
            _observe(kind, engine, folder)
    before = _operation_ns(engine)
    for kind in kinds:
        times = SNAPSHOTS if kind == "snapshot" else WINDOWS // 2
        readings, failed = [_reading()], 0
        for half in (times // 2, times - times // 2):
            failed += sum(not _observe(kind, engine, folder) for _ in range(half))
            readings.append(_reading())
        first, middle, last = readings
        yield {name: last[name] - first[name] for name in first} | {
            "first": middle["live"] - first["live"], "second": last["live"] - middle["live"], "failed": failed,
            "count": times if kind == "snapshot" else 2 * times,
            "what": "snapshots" if kind == "snapshot" else f"windows of {kind} looks",
        }  # fmt: skip
    after = _operation_ns(engine)
    ratios = [b / a for a, b in zip(sorted(before), sorted(after), strict=True)]
    yield {
        "ratio": statistics.median(after) / statistics.median(before),
        "quartiles": ", ".join(f"{ratios[i]:.2f}" for i in (BLOCKS // 4, 3 * BLOCKS // 4)),
    }


def _observe(kind: str, engine: Engine, folder: str) -> bool:
    """Take a look of two windows, or a snapshot; say whether it came to its end."""
    if kind == "snapshot":
        child = ForkedChild.start(take_snapshot, niceness=0)
        while (result := child.poll()) is None:
            time.sleep(0.002)
        return result.values is not None
    states: list[str] = []
    order: dict[str, Any] = {"id": 1, "route": kind, "operations": OPERATIONS, "seconds": 60.0, "folder": folder}
    if kind == "light":
        order |= {"route": "python", "light": True}
    look = Look(
        order, "engine", fork=lambda job, prepare: ForkedChild.start(job, prepare=prepare, timeout_s=60.0, niceness=0),
        live_bytes=lambda: live_native_bytes() + live_python_bytes(), send=lambda body: states.append(body["state"]),
    )  # fmt: skip
    while not look.done:
        look.step(time.monotonic(), engine.done)
        engine.operate(OPERATIONS)
        time.sleep(0.002)
    for capture in Path(folder).iterdir():
        capture.unlink()
    return states[-1] == "done"


def _reading() -> dict[str, int]:
    gc.collect()
    return {
        "live": live_python_bytes() + live_native_bytes(), "rss_anon": anonymous_bytes(), "fds": open_fds(),
        "threads": threads(),
    }  # fmt: skip


def anonymous_bytes() -> int:
    """Anonymous resident bytes of this process; source: proc_pid_status(5)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))


def _operation_ns(engine: Engine) -> list[float]:
    """Return processor time for an operation, in blocks."""
    times = []
    for _ in range(BLOCKS):
        begun_ns = time.process_time_ns()
        engine.operate(BLOCK)
        times.append((time.process_time_ns() - begun_ns) / BLOCK)
    return times


if __name__ == "__main__":
    for found in main(sys.argv[1], sys.argv[2:] or KINDS):
        print(json.dumps(found), flush=True)

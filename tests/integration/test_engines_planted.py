"""Planted leaks grow as told and their twins do not: each in a process of its own, and weighed there."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.integration

PROGRAM = """
import asyncio, ctypes, gc, json, os, sys, threading
from soakd.worker.engines import build, is_async
from soakd.worker.load import build_tape
from soakd.wire.spec import WorkerSpec

what, operations, options = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
spec = WorkerSpec(
    engine="e", kind="python", role="subject", segment=0, seed=1, rate_per_s=1, profile="target", mix="standard",
    in_flight=1, phases=(), sample_every_s=1, collect_every_s=None, snapshot_every_s=None, latency_every_s=1,
    factory="soakd.worker.engines.planted:" + what, options=options,
)

class Mallinfo(ctypes.Structure):
    _fields_ = [(n, ctypes.c_size_t) for n in
        "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Mallinfo

def anonymous():
    for line in open("/proc/self/status"):
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024

def reading():
    gc.collect()
    info = libc.mallinfo2()
    return {
        "native": info.uordblks + info.hblkhd, "python": pymalloc(), "rss": anonymous(),
        "fds": len(os.listdir("/proc/self/fd")), "threads": threading.active_count(),
    }

def pymalloc():
    import re, tempfile
    with tempfile.TemporaryFile() as out:
        saved = os.dup(2)
        os.dup2(out.fileno(), 2)
        sys._debugmallocstats()
        os.dup2(saved, 2)
        os.close(saved)
        out.seek(0)
        text = out.read().decode()
    return int(re.search(r"# bytes in allocated blocks\\s*=\\s*([\\d,]+)", text)[1].replace(",", ""))

async def drive(engine):
    for _ in range(operations):
        result = engine.operation(op)
        if is_async(engine):
            await result

async def main():
    engine = build(spec)
    await drive(engine)
    reading()  # what a reading itself imports
    before, tasks = reading(), len(asyncio.all_tasks())
    await drive(engine)
    after = reading()
    after["tasks"], before["tasks"] = len(asyncio.all_tasks()), tasks
    print(json.dumps({name: after[name] - before[name] for name in after}))

op = next(build_tape(spec).stream)
asyncio.run(main())
"""

OPERATIONS = 20_000


def growth(what: str, **options: float) -> dict[str, float]:
    command = [sys.executable, "-c", PROGRAM, what, str(OPERATIONS), json.dumps(options)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    grown: dict[str, float] = json.loads(done.stdout)
    return grown


@pytest.mark.parametrize(
    "what", ["python_list", "cycle", "closure", "lru_cache", "malloc", "rust_box", "pyo3_reference"]
)
def test_live_bytes_of_a_leak_grow_by_what_it_was_told_and_those_of_its_twin_do_not(what: str) -> None:
    pytest.importorskip("soakd._native")
    leak, twin = growth(what + "_leak", bytes_per_operation=400), growth(what + "_twin", bytes_per_operation=400)
    assert (leak["python"] + leak["native"]) / OPERATIONS == pytest.approx(400, rel=0.15)
    assert abs(twin["python"] + twin["native"]) < 200_000


def test_a_leak_of_mappings_shows_in_resident_memory_only() -> None:
    leak, twin = growth("mmap_leak", bytes_per_operation=400), growth("mmap_twin", bytes_per_operation=400)
    assert leak["rss"] / OPERATIONS == pytest.approx(400, rel=0.1)
    assert abs(leak["python"] + leak["native"]) < 200_000
    assert abs(twin["rss"]) < 500_000


@pytest.mark.parametrize(("what", "counted"), [("fd", "fds"), ("thread", "threads"), ("task", "tasks")])
def test_a_leak_of_handles_is_one_in_so_many_operations(what: str, counted: str) -> None:
    assert growth(what + "_leak", every=1000)[counted] == OPERATIONS // 1000
    assert growth(what + "_twin", every=1000)[counted] == 0


@pytest.mark.parametrize(
    ("what", "options"),
    [
        ("filling_cache", {"capacity": 5000}),
        ("warm_up", {"operations": 15_000}),
        ("gc_sawtooth", {"cycles": 2}),
        ("collector_backlog", {}),
        ("fragmentation", {"blocks": 8, "survivors": 1000}),
    ],
)
def test_what_only_looks_like_a_leak_ends(what: str, options: dict[str, float]) -> None:
    grown = growth(what, **options)
    assert abs(grown["python"] + grown["native"]) < 200_000


@pytest.mark.parametrize("what", ["python_list", "malloc"])
def test_the_leak_control_is_exact_in_both_halves(what: str) -> None:
    program = PROGRAM.replace('kind="python"', 'kind="control.leak"')
    command = [sys.executable, "-c", program, "-", "200000", '{"bytes_per_operation": 32}']
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    grown = json.loads(done.stdout)
    half = {"python_list": "python", "malloc": "native"}[what]
    assert grown[half] / 200_000 == pytest.approx(16, rel=0.03)

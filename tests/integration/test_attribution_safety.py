"""A look that fails costs itself only: without memray, on a full disk, and with its process killed in a window."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from soakd.daemon.looks.scheduler import LookScheduler
from soakd.daemon.workers.supervisor import Supervisor
from soakd.record import journal
from soakd.setup.config import parse
from soakd.setup.plan import make_plan
from soakd.verdict.types import Verdict
from soakd.wire.records import Record
from soakd.wire.spec import Phase, PhaseName
from tests.environments import new_environment
from tests.looking import PROGRAM, look, sites_of
from tests.typed import typed

pytestmark = pytest.mark.integration

FULL = """
import os
from pathlib import Path
from soakd.worker.attribution import tools

end = tools.Memray.end

def end_on_a_full_disk(self, *arguments):
    try:
        with open(Path(folder) / "fill", "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    except OSError:
        pass
    end(self, *arguments)

tools.Memray.end = end_on_a_full_disk
"""
LEAKY = """
import ctypes, os

new, keep = ctypes.pythonapi.PyList_New, ctypes.pythonapi.Py_IncRef
new.restype, new.argtypes, keep.argtypes = ctypes.py_object, (ctypes.c_ssize_t,), (ctypes.py_object,)
main, kept = os.getpid(), []

class Broken:
    def __sizeof__(self):
        return ctypes.string_at(0) if os.getpid() != main else 0

def empty_slots():
    def leak():
        keep(new(20))
    return leak

def crashing():
    def leak():
        kept.append([Broken()])
    return leak
"""
SOAK = """
[run]
name = "killed"
duration = "10min"
sample_every = "500ms"
snapshot_every = "off"
[limits]
growth_per_operation = "16B"
[supervision]
restart_backoff = "100ms"
start_within = "2min"
[[engine]]
name = "leak"
kind = "python"
factory = "soakd.worker.engines.planted:python_list_leak"
rate = 300
"""
FAILING = {
    "engines": [
        {
            "name": "leak", "role": "subject", "class": "python_leak",
            "checks": [{"id": "growth.reachable_bytes", "verdict": "FAIL"}],
        }
    ]
}  # fmt: skip


def test_an_engine_whose_environment_has_no_memray_goes_on_without_the_look(tmp_path: Path) -> None:
    python = new_environment(tmp_path / "venv")
    body = look("malloc_leak", "native", str(tmp_path / "captures"), python=python)
    assert body["state"] == "failed"
    assert body["why"] == "ModuleNotFoundError: No module named 'memray'"
    assert list((tmp_path / "captures").iterdir()) == []
    sites = sites_of(look("python_list_leak", "python", str(tmp_path / "captures"), python=python))
    assert "planted/objects.py" in sites[0]["site"], sites


def test_lists_that_c_code_leaked_before_it_filled_them_are_named_by_the_line_that_calls_it(tmp_path: Path) -> None:
    body = look_at_leaky("empty_slots", tmp_path)
    assert (body["state"], "note" in body) == ("done", False)
    assert "leaky.py:14 in " in body["sites"][0]["site"], body["sites"]


def test_where_the_search_for_containers_crashes_tracemalloc_alone_names_the_line(tmp_path: Path) -> None:
    body = look_at_leaky("crashing", tmp_path)
    assert body["state"] == "done"
    assert body["note"] == "containers were not searched: the forked child failed: died of SIGSEGV"
    first = body["sites"][0]
    assert "leaky.py:19 in " in first["site"], body["sites"]
    assert (first["tool"], first["confidence"]) == ("tracemalloc", "low")
    assert body["types"] == []


def look_at_leaky(what: str, folder: Path) -> Any:
    """Take a look at an engine of `LEAKY`, with the handlers of crashes that a worker has."""
    (folder / "leaky.py").write_text(LEAKY, encoding="utf-8")
    engine = f"import faulthandler; faulthandler.enable(); sys.path.append({str(folder)!r}); import leaky as planted"
    program = PROGRAM.replace("from soakd.worker.engines import planted", engine)
    return look(what, "python", str(folder / "captures"), program=program)


def test_a_disk_that_is_full_when_a_capture_is_written_is_a_failed_look(tmp_path: Path) -> None:
    pytest.importorskip("memray")
    body = on_a_small_disk(tmp_path, FULL)
    assert body["state"] == "failed"
    assert body["why"] == "OSError: [Errno 28] No space left on device"
    assert body["left"] == ["fill"]


def test_a_disk_that_is_full_before_the_first_window_is_a_failed_look(tmp_path: Path) -> None:
    body = on_a_small_disk(tmp_path, "", size="4k")
    assert body["state"] == "failed"
    assert "No space left on device" in body["why"]
    assert body["left"] == []


def on_a_small_disk(tmp_path: Path, trouble: str, size: str = "2m") -> Any:
    """Look at a leak of native memory with the captures on a disk of `size`, in a mount namespace of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f'mount -t tmpfs -o size={size} none "{disk}"'
    unshare = shutil.which("unshare")
    tried = unshare and subprocess.run([unshare, "-rm", "sh", "-c", mount], capture_output=True, check=False)
    if not tried or tried.returncode != 0:
        pytest.skip("this host lets nobody mount a file system of his own")
    program = PROGRAM.replace("bodies = []", f"bodies = []\n{trouble}", 1)
    program = program.replace(
        "print(json.dumps(body))", "import os; print(json.dumps({**body, 'left': os.listdir(folder)}))"
    )
    arguments = ["rust_box_leak", "native", "500", "{}", str(disk)]
    command = [
        str(unshare),
        "-rm",
        "sh",
        "-c",
        f'{mount} && exec "$@"',
        "sh",
        sys.executable,
        "-c",
        program,
        *arguments,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_captures_are_read_by_the_reporters_of_memray(tmp_path: Path) -> None:
    pytest.importorskip("memray")
    assert look("rust_box_leak", "native", str(tmp_path))["state"] == "done"
    captures = sorted(tmp_path.glob("*.memray"))
    assert len(captures) == 2
    for reporter in (
        ["summary"],
        ["table", "-o", str(tmp_path / "table.html")],
        ["flamegraph", "--leaks", "-o", str(tmp_path / "flame.html")],
    ):
        command = [sys.executable, "-m", "memray", *reporter, str(captures[1])]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=300, stdin=subprocess.DEVNULL,
            env={**os.environ, "TERM": "dumb"},
        )  # fmt: skip
        assert done.returncode == 0, (reporter, done.stderr)
    assert "leak_box" in (tmp_path / "flame.html").read_text(encoding="utf-8")


def test_a_worker_that_is_killed_in_a_window_is_started_again_and_the_run_goes_on(tmp_path: Path) -> None:
    records = asyncio.run(killed_in_a_window(tmp_path))
    whole = journal.query(tmp_path / "run.db", "PRAGMA integrity_check")
    kept = journal.query(tmp_path / "run.db", "SELECT COUNT(*) FROM record")
    assert (whole, kept) == ([("ok",)], [(len(records),)])
    looks = [record.body for record in records if record.kind == "attribution"]
    assert [look["state"] for look in looks] == ["begun", "failed"]
    assert looks[1]["why"] == "the engine's process ended during the look"
    leak = [record for record in records if record.engine == "leak"]
    assert [record.segment for record in leak if record.kind == "hello"] == [0, 1]
    assert [record.body["what"] for record in leak if record.kind == "incident"] == ["crash", "restart"]
    assert max(record.body.get("operations_total", 0) for record in leak if record.segment == 1) > 0


async def killed_in_a_window(folder: Path) -> list[Record]:
    """Let a real worker be looked at in its reload phase, and kill it while a window is open."""
    plan = make_plan(parse(SOAK, source="soak.toml", folder=folder))
    (engine,) = [engine for engine in plan.engines if engine.config.name == "leak"]
    ends_s: dict[PhaseName, float] = {"baseline": 0.5, "load": 2.5, "drain": 3.0, "reload": 300.0, "close": 301.0}
    begins_s = dict(zip(ends_s, [0.0, *ends_s.values()], strict=False))
    phases = tuple(Phase(name=name, start_s=begins_s[name], end_s=ends_s[name]) for name in ends_s)
    plan = replace(plan, engines=(replace(engine, phases=phases),))
    records: list[Record] = []
    kept = journal.Journal(folder / "run.db", on_commit=lambda _: None, on_failure=lambda _: None)

    def put(record: Record) -> None:
        records.append(record)
        kept.put(record)
        looks.note(record)

    def seen(kind: str, segment: int) -> Record | None:
        return next((r for r in records if (r.kind, r.engine, r.segment) == (kind, "leak", segment)), None)

    async def judged() -> Verdict:
        return typed(FAILING)

    supervisor = Supervisor(plan, put, site_packages=())
    captures = folder / "captures"
    looks = LookScheduler(plan, send_order=supervisor.send_order, put=put, judge=judged, folder=captures)
    running = asyncio.gather(supervisor.run(), looks.run(supervisor))
    try:
        await until(lambda: captures.is_dir() and any(captures.glob("*.json")))  # the first child is done: window 1
        first = seen("hello", 0)
        assert first is not None
        os.kill(first.body["pid"], signal.SIGKILL)
        await until(lambda: any(r.segment == 1 and r.body.get("operations_total", 0) > 0 for r in records))
        await until(lambda: any(r.kind == "attribution" and r.body["state"] == "failed" for r in records))
    finally:
        supervisor.stop()
        await running
        kept.close()
    return records


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(120.0):
        while not condition():  # noqa: ASYNC110 - the other process sets no event here
            await asyncio.sleep(0.02)

"""What the report of a long run costs: the journal of a made-up day, judged, and written as HTML in a fresh process."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benches.bench_judge import plan_of, write_run
from soakd.record import run_folder

TITLE = "the report of a day"


def rows(hours: float = 24.0, engines: int = 8) -> Iterator[tuple[str, float, str, str]]:
    """Give (what, value, unit, remark)."""
    with tempfile.TemporaryDirectory() as scratch:
        run = write_run(Path(scratch) / "run", plan_of(hours, engines))
        journal_mb = run.journal.stat().st_size / 1e6
        _run("judge", str(run.path), "--quiet")
        wall_s, used = _run("report", str(run.path))
        size_mb = (run.path / run_folder.REPORT).stat().st_size / 1e6
    what = f"report of {hours:g} h, {engines} engines and both controls"
    yield what, size_mb, "MB", f"budget 3 MB; from a journal of {journal_mb:.0f} MB"
    yield "writing it, on one core", used.ru_utime + used.ru_stime, "s CPU", f"{wall_s:.1f} s wall"
    yield "at most", used.ru_maxrss / 1e3, "MB", "does not grow with the length of the run"


def _run(*arguments: str) -> tuple[float, resource.struct_rusage]:
    begun_s = time.monotonic()
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "soakd", *arguments]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1, 3, 4):
        raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}")
    return time.monotonic() - begun_s, used

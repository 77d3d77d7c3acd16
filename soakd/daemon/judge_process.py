"""Runs the judge, and at the end the report, as processes of their own: the daemon does no arithmetic."""

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import Any, Protocol

from soakd.errors import JournalError
from soakd.record import verdict_file
from soakd.record.run_folder import REPORT, RunDir
from soakd.setup.plan import Plan
from soakd.verdict.types import SCHEMA, Verdict
from soakd.wire.masking import tail

VERDICT_CODES = (0, 1, 3, 4)
REPORT_WITHIN_S = 900.0
"""A report on thirty days takes minutes; only the end of soakd waits for it."""
LEAST_REPORTED_S = 60.0
"""A run that was planned for less is a trial; `soakd report` still writes its report."""


class ReportLog(Protocol):
    """Logs what became of a report."""

    def problem(self, what: str, detail: str) -> None:
        """Log that something went wrong."""

    def reported(self, path: Path) -> None:
        """Log that the report is there."""


def _wait_without_threads() -> None:
    """Let asyncio wait for children without threads, as it does from Python 3.12 on."""
    if sys.version_info < (3, 12):
        with contextlib.suppress(OSError):  # an old kernel
            os.close(os.pidfd_open(os.getpid()))
            watcher = asyncio.PidfdChildWatcher()
            watcher.attach_loop(asyncio.get_running_loop())
            asyncio.set_child_watcher(watcher)


async def run_judge(run: RunDir, *, live: bool) -> Verdict:
    """Run the judge as a user would, and read what it wrote.

    Raises:
        JournalError: it failed.
    """
    before = _written(run)
    code, stderr = await _run("judge", run, "--quiet", *(["--live"] if live else []))
    # A Python that fails before soakd's own code runs ends with 1 too: only a verdict that was written now is one.
    if code not in VERDICT_CODES or _written(run) == before:
        raise JournalError(f"the judge failed: {stderr}")
    return verdict_file.read(run).verdict


class LastReport:
    """The report of a run that has ended. The verdict stands, whatever becomes of the report.

    Args:
        plan: of the run.
        run: its folder.
        log: logs that the report is there, or why it is not.
    """

    def __init__(self, plan: Plan, run: RunDir, log: ReportLog) -> None:
        self._plan, self._run, self._log = plan, run, log
        self._writing: asyncio.Future[None] | None = None

    async def write(self) -> None:
        """Have it written, as a user would, unless it is given up; not of a very short run."""
        if self._plan.duration_s < LEAST_REPORTED_S:
            return
        self._writing = asyncio.ensure_future(_write_report(self._run))
        _, late = await asyncio.wait([self._writing], timeout=REPORT_WITHIN_S)
        self._writing.cancel()
        await asyncio.wait([self._writing])
        if self._writing.cancelled():
            why = f"not ready within {REPORT_WITHIN_S / 60:.0f} min" if late else "given up"
            self._log.problem("report_failed", f"{why}: soakd report {self._run.path} writes it")
        elif (error := self._writing.exception()) is not None:
            self._log.problem("report_failed", str(error))
        else:
            self._log.reported(self._run.path / REPORT)
        self._writing = None

    def give_up(self) -> bool:
        """Wait no longer for it; return whether it was being written."""
        if self._writing is None:
            return False
        self._writing.cancel()
        return True


async def _write_report(run: RunDir) -> None:
    code, stderr = await _run("report", run, "--quiet")
    if code != 0:
        raise JournalError(f"the report failed: {stderr}")


async def _run(command: str, run: RunDir, *options: str) -> tuple[int | None, str]:
    """Run a command on a run; return its exit code and the end of its stderr.

    Raises:
        JournalError: it cannot be started.
    """
    arguments = ["-m", "soakd", command, str(run.path), *options, "--parent", str(os.getpid())]
    _wait_without_threads()
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE, start_new_session=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
    except (OSError, RuntimeError, MemoryError) as error:  # asyncio waits for a child in a thread of its own
        why = getattr(error, "strerror", None) or error
        raise JournalError(f"the {command} cannot be started: {why}") from error
    try:
        _, stderr = await process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    return process.returncode, tail(stderr.decode(errors="replace").strip(), 500)


def _written(run: RunDir) -> tuple[int, int] | None:
    """Return what identifies the present verdict file: it is replaced, never written over."""
    try:
        found = run.verdict.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def first_verdict(run_id: str) -> dict[str, Any]:
    """Return the verdict before anything was judged."""
    return {
        "schema": SCHEMA, "run_id": run_id, "verdict": "INCOMPLETE",
        "summary": "the run has just begun", "engines": [], "checks": [],
    }  # fmt: skip

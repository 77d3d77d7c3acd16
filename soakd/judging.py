"""Runs the judge beside the daemon: a process of its own, so that no arithmetic library lives here."""

import asyncio
import contextlib
import json
import os
import sys
from typing import Any

from soakd.errors import JournalError
from soakd.rundir import RunDir

VERDICT_CODES = (0, 1, 3, 4)


def _wait_without_threads() -> None:
    """Let asyncio wait for children through the kernel, as from Python 3.12 on; before, it takes a thread for each."""
    if sys.version_info < (3, 12):
        with contextlib.suppress(OSError):  # an old kernel
            os.close(os.pidfd_open(os.getpid()))
            watcher = asyncio.PidfdChildWatcher()
            watcher.attach_loop(asyncio.get_running_loop())
            asyncio.set_child_watcher(watcher)


async def run_judge(run: RunDir, *, live: bool) -> dict[str, Any]:
    """Run the judge as a user would, and read what it wrote.

    Raises:
        JournalError: it failed.
    """
    arguments = ["-m", "soakd", "judge", str(run.path), "--quiet", *(["--live"] if live else [])]
    arguments += ["--parent", str(os.getpid())]
    _wait_without_threads()
    before = _written(run)
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE, start_new_session=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
    except (OSError, RuntimeError, MemoryError) as error:  # asyncio waits for a child in a thread of its own
        raise JournalError(f"the judge cannot be started: {getattr(error, 'strerror', None) or error}") from error
    try:
        _, stderr = await process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    # A Python that fails before soakd's own code runs ends with 1 too: only a verdict that was written now is one.
    if process.returncode not in VERDICT_CODES or _written(run) == before:
        raise JournalError(f"the judge failed: {stderr.decode(errors='replace').strip()[-500:]}")
    try:
        written: dict[str, Any] = json.loads(run.verdict.read_text(encoding="utf-8"))
    except OSError as error:
        raise JournalError(f"{run.verdict}: cannot be read: {error.strerror}") from error
    return written


def _written(run: RunDir) -> tuple[int, int] | None:
    """Tell one verdict file from the next: it is replaced, never written over."""
    try:
        found = run.verdict.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def first_verdict(run_id: str) -> dict[str, Any]:
    """Return what the verdict file says before anything was judged."""
    return {
        "schema": "soakd.verdict/1", "run_id": run_id, "verdict": "INCOMPLETE",
        "summary": "the run has just begun", "engines": [], "checks": [],
    }  # fmt: skip

"""Requests to a live run, through its daemon's HTTP interface with the run's token."""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from soakd.errors import JournalError, RefusedError
from soakd.record import run_folder
from soakd.record.recording import Recording
from soakd.record.run_folder import RunDir
from soakd.wire.records import Hello

WITHIN_S = 240.0
"""A deep look takes a minute, and reading its captures another one on a busy host."""
MOST_ANCESTORS = 20


def find(run: str, runs: Path) -> tuple[RunDir, str | None]:
    """Find a run by its folder, its name or "latest", or by the pid of one of its processes.

    Returns:
        The run, and the engine that the process belongs to; None for the engine if a run was named.

    Raises:
        JournalError: there is no such run.
    """
    if not run.isdecimal() or (runs / run / run_folder.JOURNAL).is_file() or (Path(run) / run_folder.JOURNAL).is_file():
        return run_folder.find(run, runs), None
    chain = list(_ancestors(int(run)))
    if not chain:
        raise JournalError(f"{run}: no run of that name in {runs}, and no process with that pid")
    for pid in chain:
        for found in _journals_of(pid):
            return found, _engine_of(found, chain)
    raise JournalError(f"{run}: does not belong to a run, as far as this user can see")


def engines_of(run: RunDir) -> list[str]:
    """Return the names of a run's engines, without controls.

    Raises:
        JournalError: the journal cannot be read.
    """
    return [engine.config.name for engine in Recording.open(run).plan.engines if engine.config.role != "control"]


def ask(run: RunDir, engine: str, *, deep: bool) -> dict[str, Any]:
    """Request a heap snapshot or a deep look of an engine.

    Returns:
        {"engine", "snapshot" or "look"}, as `POST /api/v1/engines/NAME/snapshot` answers.

    Raises:
        RefusedError: it is not possible for this engine, or not now; the message says why.
        JournalError: the run is not running, or does not answer.
    """
    if not run.is_running():
        hint = f"soakd diff {run.path} --from D --to D compares the snapshots that it has"
        raise JournalError(f"{run.path}: is not running; {hint}")
    try:
        address = (run.path / run_folder.ADDRESS).read_text(encoding="utf-8").strip().rstrip("/")
    except OSError as error:
        raise JournalError(f"{run.path}: has no address: it has not begun, or is ending") from error
    request = urllib.request.Request(  # noqa: S310 - the address is the daemon's
        f"{address}/api/v1/engines/{quote(engine, safe='')}/snapshot",
        data=json.dumps({"deep": deep}).encode(), method="POST",
        headers={"Authorization": f"Bearer {run.token()}", "Content-Type": "application/json"},
    )  # fmt: skip
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=WITHIN_S) as response:
            answer: dict[str, Any] = json.load(response)
    except urllib.error.HTTPError as error:
        raise RefusedError(f"{run.path}: {_said(error)}") from error
    except (OSError, ValueError) as error:
        raise JournalError(f"{run.path}: {address} does not answer: {getattr(error, 'reason', error)}") from error
    return answer


def _said(error: urllib.error.HTTPError) -> str:
    with suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.load(error)["error"])
    return f"answers {error.code} {error.reason}"


def _ancestors(pid: int) -> Iterator[int]:
    """Yield a process and its ancestors."""
    for _ in range(MOST_ANCESTORS):
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return
        yield pid
        pid = int(stat.rpartition(")")[2].split()[1])
        if pid <= 1:
            return


def _journals_of(pid: int) -> Iterator[RunDir]:
    """Yield the runs whose journals a process has open, as a daemon does."""
    with suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                target = Path(os.readlink(link))  # noqa: PTH115
                if target.name == run_folder.JOURNAL and (target.parent / run_folder.LOCK).is_file():
                    yield RunDir(target.parent)


def _engine_of(run: RunDir, chain: list[int]) -> str | None:
    """Return the engine whose current worker is among these processes; None if the daemon itself was named."""
    workers = {r.engine: r.pid for r in Recording.open(run).records("hello") if isinstance(r, Hello)}
    return next((engine for engine, pid in workers.items() if pid in chain), None)

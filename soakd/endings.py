"""How a process ended, in words: and whether it was the kernel that killed it, for want of memory."""

import signal
from pathlib import Path
from typing import Any

from soakd import processes
from soakd.lastwords import describe_status, printable
from soakd.units import format_bytes
from soakd.workers import Worker, last_line

AFTER_BYE = " after its work was done, while the interpreter shut down"
_EVENTS = {"": ("memory.events", "memory.max"), "memory": ("memory.oom_control", "memory.limit_in_bytes")}
"""Controllers of a line of /proc/PID/cgroup -> where kills are counted and the limit stands: version 2, version 1."""
_PLACES = {"": ("", "unified"), "memory": ("memory",)}
_NO_LIMIT = 1 << 60


class KernelKills:
    """What the kernel has killed for want of memory where one process lives: its memory cgroup, and the host.

    A state of fixed size. Counters that are not there (no cgroups, another mount) count nothing.

    Args:
        pid: of the process, which lives.
        proc, cgroups: where the kernel shows itself, for tests.
    """

    def __init__(self, pid: int, proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> None:
        self._vmstat = proc / "vmstat"
        self._cgroup = _cgroup_of(proc / str(pid) / "cgroup", cgroups)
        self._before = self._last = self._read()

    def refresh(self) -> None:
        """Forget what was counted until the last time: it killed somebody else.

        What came since may concern this process, of whose end nobody has heard yet.
        """
        self._before, self._last = self._last, self._read()

    def since(self) -> dict[str, str]:
        """Say whether the kernel killed for want of memory since the last `refresh` but one.

        Returns:
            `out_of_memory` ("cgroup" or "host") and `words`; nothing where it did not.
        """
        gained = {name: count - self._before.get(name, count) for name, count in self._read().items()}
        if gained.get("cgroup", 0) > 0 and self._cgroup is not None:
            limit = _number(self._cgroup[1])
            bound = f" of {format_bytes(limit)}" if limit is not None and limit < _NO_LIMIT else ""
            return {"out_of_memory": "cgroup", "words": f"out of memory: killed by the kernel at the limit{bound}"}
        if gained.get("host", 0) > 0:
            return {"out_of_memory": "host", "words": "out of memory: the kernel of this host has killed just then"}
        return {}

    def _read(self) -> dict[str, int]:
        counts = {"host": _oom_kills(self._vmstat)}
        if self._cgroup is not None:
            counts["cgroup"] = _oom_kills(self._cgroup[0])
        return {name: count for name, count in counts.items() if count is not None}


def is_in_order(worker: Worker, status: int, *, stopping: bool) -> bool:
    """Return whether a life ended as it should: by itself and with status 0, after `bye`.

    Args:
        worker: which has ended.
        status: its exit status, or minus the signal.
        stopping: the run ends early: who has not begun says no `bye`, and SIGTERM may come from whoever ends the host.
    """
    if worker.killed_for is not None:
        return False
    if worker.bye is not None:
        return status == 0
    return stopping and (status in (0, -signal.SIGTERM) or worker.start_failure is not None)


def describe_end(worker: Worker, status: int, kills: KernelKills | None) -> tuple[str, str, dict[str, str]]:
    """Say how a life ended that did not end in order.

    Returns:
        The kind of the incident, a sentence, and what else the incident says.
    """
    if worker.start_failure is not None:
        return "start_failed", worker.start_failure, {}
    if worker.killed_for is not None:
        return "hang", worker.killed_for, {}
    late = "" if worker.bye is None else AFTER_BYE
    if status < 0:
        said = out_of_memory(status, kills)
        words = said.pop("words", None)
        return "crash", describe_status(status) + late + (f", {words}" if words else ""), said
    return "exit", f"exited with status {status}{late or ' before its time'}{last_line(worker)}", {}


def out_of_memory(status: int, kills: KernelKills | None) -> dict[str, str]:
    """Say whether a process that ended was killed for want of memory; see `KernelKills.since`."""
    return kills.since() if kills is not None and status == -signal.SIGKILL else {}


def describe_silence(worker: Worker, entered: str | None) -> str:
    """Say what a worker does that is not heard of; `entered` is the phase that it last said to enter."""
    if processes.is_stopped(worker.outside):
        return "stopped by a signal"
    return f"{'close()' if entered == 'close' else 'an operation'} does not return"


def describe_staying(worker: Worker) -> str:
    """Say what keeps a process whose work is done: the interpreter waits for threads, then calls `atexit` handlers."""
    if processes.is_stopped(worker.outside):
        return "stopped by a signal"
    threads: Any = (worker.bye or {}).get("threads")
    if isinstance(threads, list) and threads:
        names = ", ".join(printable(str(name).encode("utf-8", "replace")) for name in threads)
        return f"{'a thread' if len(threads) == 1 else 'threads'} that the engine left running ({names})"
    return "an atexit handler or a finalizer does not return"


def _cgroup_of(path: Path, mounts: Path) -> tuple[Path, Path] | None:
    """Return the files of a process's memory cgroup: of its kills, and of its limit."""
    for line in _text(path).splitlines():
        _, controllers, place = line.split(":", 2)
        found = _EVENTS.get("memory" if "memory" in controllers.split(",") else controllers)
        for mount in _PLACES.get("memory" if controllers else "", ()) if found else ():
            folder = mounts / mount / place.lstrip("/")
            if found and (folder / found[0]).is_file():
                return folder / found[0], folder / found[1]
    return None


def _oom_kills(path: Path) -> int | None:
    found = [line.split()[1] for line in _text(path).splitlines() if line.startswith("oom_kill ")]
    return int(found[0]) if found and found[0].isdecimal() else None


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdecimal() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""

"""How a process ended: its status in words, and whether the kernel killed it for want of memory."""

import contextlib
import signal
from pathlib import Path

from soakd.units import format_bytes

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
        """Forget what was counted until the call before: it killed other processes.

        What was counted since may concern this process, whose end may not be known yet.
        """
        self._before, self._last = self._last, self._read()

    def since(self) -> dict[str, str]:
        """Return whether the kernel killed for want of memory since the last `refresh` but one.

        Returns:
            `out_of_memory` ("cgroup" or "host") and `words`; nothing if it did not.
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


def out_of_memory(status: int, kills: KernelKills | None) -> dict[str, str]:
    """Return whether a process that ended was killed for want of memory; see `KernelKills.since`."""
    return kills.since() if kills is not None and status == -signal.SIGKILL else {}


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


def describe_status(status: int) -> str:
    """Describe how a process ended: "exit status 7", "killed by SIGKILL"."""
    if status >= 0:
        return f"exit status {status}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-status).name}"
    return f"killed by signal {-status}"

"""The processes below a worker, read from outside: what an engine starts, forks, and forgets to wait for."""

import contextlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from soakd.procs.output import printable
from soakd.procs.proc import status_bytes
from soakd.wire.spec import LOOK_PROCESS

WHOLE_EVERY = 60
"""Every so many readings all processes of the host are looked at: pids are used again, however rarely."""
LONGEST_NAME = 60
ZOMBIE, DEAD = b"Z", b"ZX"
SCRIPTS = ("python", "perl", "ruby", "node", "sh", "bash", "dash", "java")
"""Interpreters, whose names say little: the name of such a process includes the script."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One process of the host."""

    pid: int
    parent: int
    command: bytes
    """The name that the kernel keeps: at most 15 bytes."""
    state: bytes
    started: int
    """Clock ticks since boot: identifies the process together with its pid."""


class Table:
    """The processes of the host at one moment."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries: Mapping[int, Entry] = {entry.pid: entry for entry in entries}
        self._children: dict[int, list[Entry]] = {}
        for entry in self.entries.values():
            self._children.setdefault(entry.parent, []).append(entry)

    def descendants(self, top: int) -> list[Entry]:
        """Return the children of a process, and theirs."""
        found: list[Entry] = []
        parents = [top]
        while parents:
            children = self._children.get(parents.pop(), ())
            found += children
            parents += [entry.pid for entry in children]
        return found


def below(table: Table, pid: int) -> list[Entry]:
    """Return the processes that a worker, or one of those, has started, orphans included; not those of soakd's probes.

    Args:
        table: the processes of the host.
        pid: the worker's. What its children leave behind becomes its keeper's, which has no other children.
    """
    worker = table.entries.get(pid)
    if worker is None:
        return []
    return [
        entry
        for entry in table.descendants(worker.parent)
        if entry.pid != pid and not (entry.parent == pid and entry.command == LOOK_PROCESS)
    ]


def own_bytes(pid: int) -> int | None:
    """Return the anonymous memory of a process, swapped out or not; None if it is gone."""
    try:
        read = status_bytes(pid)
    except OSError:
        return None
    return int(read.get("rss_anon_bytes", 0) + read.get("swap_bytes", 0))


def executed(pid: int) -> str:
    """Name what a process executes: its program, and of an interpreter the script or module; "" if it is gone."""
    try:
        program = os.path.basename(os.readlink(f"/proc/{pid}/exe"))  # noqa: PTH115, PTH119
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            arguments = file.read(4096).split(b"\0")[1:]
    except OSError:
        return ""
    words = [program.removesuffix(" (deleted)"), *(_script(arguments) if program.startswith(SCRIPTS) else ())]
    return printable(" ".join(words).encode("utf-8", "replace"))[:LONGEST_NAME]


class Tree:
    """The processes of the host, of which only newcomers and the family of this process are looked at each time.

    12 us a process, measured: on a host with a thousand of them the whole table would be a hundredth of a core at one
    sample a second.
    """

    def __init__(self) -> None:
        self._table = Table(())
        self._readings = 0
        self.duration_s = 0.0
        """What the last reading cost."""

    def table(self) -> Table | None:
        """Read the table; None if nothing can be read: no file descriptor is left."""
        begun_s = time.thread_time()
        known = self._strangers() if self._readings % WHOLE_EVERY else {}
        self._readings += 1
        try:
            numbers = [int(name) for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208 - no Path objects
            found = (known.get(number) or _entry(number) for number in numbers)
            self._table = Table(entry for entry in found if entry is not None)
        except OSError:
            self._readings = 0
            return None
        self.duration_s = time.thread_time() - begun_s
        return self._table

    def _strangers(self) -> dict[int, Entry]:
        """Return the known processes that do not descend from this one."""
        ours = {entry.pid for entry in self._table.descendants(os.getpid())}
        return {number: entry for number, entry in self._table.entries.items() if number not in ours}


def _entry(pid: int) -> Entry | None:
    """Read one process; None if it is gone. Source: proc_pid_stat(5)."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
        try:
            head, _, rest = os.read(fd, 2048).rpartition(b")")
        finally:
            os.close(fd)
        fields = rest.split(None, 20)
        if len(fields) > 19:
            return Entry(pid, int(fields[1]), head.partition(b"(")[2], fields[0], int(fields[19]))
    return None


def _script(arguments: list[bytes]) -> Iterator[str]:
    """Yield what an interpreter executes; nothing else of its command line, which may hold a secret."""
    for number, argument in enumerate(arguments):
        if argument == b"-m":
            yield from ("-m", *(word.decode("utf-8", "replace") for word in arguments[number + 1 : number + 2]))
            return
        if argument == b"-c":
            yield "-c"
            return
        if not argument.startswith(b"-"):
            yield os.path.basename(argument.decode("utf-8", "replace"))  # noqa: PTH119
            return

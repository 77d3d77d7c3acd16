"""The threads of a worker and the processes below it, and which of them are lost.

Read by the daemon. A child counts from the second reading that has it: a program that runs for an instant is work.
"""

import os
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass

from soakd.daemon.workers.losses import Loss, Losses
from soakd.procs import tree
from soakd.procs.output import printable
from soakd.procs.tree import DEAD, ZOMBIE, Entry, Table

MOST_NAMES = 8
"""Kinds of children that have readings of their own; the bytes of all others are in the sums alone."""
MOST_NAMES_OF_A_LIFE = 64
"""Likewise, over one life: each is a signal, and a script may be named anew each time."""
MOST_LOSSES = 20
"""Incidents of one life; losses after them are not recorded."""
A_COPY = "a forked copy"


@dataclass(frozen=True, slots=True)
class Child:
    """A child that has been seen twice."""

    name: str
    bytes: int


class Family:
    """The threads and children of one life of a worker.

    Args:
        pid: the worker's.
        old_s: a thread or child that was there for so long is missed when it goes, seconds.
    """

    def __init__(self, pid: int, old_s: float) -> None:
        self._pid = pid
        self._names: dict[tuple[int, int], str] = {}
        """What each child executes that lived at the last reading; "" until it is seen again."""
        self._kinds: set[str] = set()
        self._dead: set[tuple[int, int]] = set()
        self._threads: dict[Hashable, str] = {}
        self._has_had_children = False
        self._lost_children, self._lost_threads = Losses(old_s), Losses(old_s)
        self._reported = 0

    def read(self, table: Table) -> dict[str, float]:
        """Return the children of the worker by the names of their signals; only their number if there never were any.

        `children`, `zombies`, `children_bytes`; `child_count.NAME` and `child_bytes.NAME` by what they execute.
        """
        entries = tree.below(table, self._pid)
        zombies = self._zombies(entries)
        children = list(self._living(entries))
        self._has_had_children |= bool(children or zombies)
        if not self._has_had_children:
            return {"children": 0}
        values: dict[str, float] = {
            "children": len(children), "zombies": zombies, "children_bytes": sum(child.bytes for child in children),
        }  # fmt: skip
        for child in children:
            has_room = f"child_count.{child.name}" in values or len(values) < 3 + 2 * MOST_NAMES
            if has_room and self._is_kind(child.name):
                for name, more in (("child_count", 1), ("child_bytes", child.bytes)):
                    values[f"{name}.{child.name}"] = values.get(f"{name}.{child.name}", 0) + more
        return values

    @property
    def pids(self) -> list[int]:
        """The worker, and the children that were seen at the last reading."""
        return [self._pid, *(pid for pid, _ in self._names)]

    def losses(self, now_s: float, *, counts: bool, is_looked_at: bool) -> Iterator[tuple[str, str, int]]:
        """Yield the losses since the last reading: the incident's kind, a sentence, how many.

        Call it once after each `read`; see `Losses.look` for the arguments.
        """
        children: Mapping[Hashable, str] = {key: name for key, name in self._names.items() if name}
        lost = {"child_lost": self._lost_children.look(now_s, children, counts=counts)}
        if self._read_threads():
            lost["thread_lost"] = self._lost_threads.look(
                now_s, self._threads, counts=counts, is_looked_at=is_looked_at
            )
        for what, losses in lost.items():
            for loss in losses[: MOST_LOSSES - self._reported]:
                self._reported += 1
                yield what, f"{_who(what, loss)} ended after {loss.lived_s:.0f}s and none took its place", loss.count

    def _is_kind(self, name: str) -> bool:
        """Whether children of a name have readings of their own: the first names of a life do."""
        if len(self._kinds) < MOST_NAMES_OF_A_LIFE:
            self._kinds.add(name)
        return name in self._kinds

    def _zombies(self, entries: list[Entry]) -> int:
        """Count the children that ended before the last reading and still wait for their parent to ask how."""
        dead = {(entry.pid, entry.started) for entry in entries if entry.state == ZOMBIE}
        waiting, self._dead = len(dead & self._dead), dead
        return waiting

    def _living(self, entries: list[Entry]) -> Iterator[Child]:
        """Yield the children that lived at the last reading too."""
        before, self._names = self._names, {}
        for entry in entries:
            if entry.state in DEAD:
                continue
            key = entry.pid, entry.started
            if key not in before:
                self._names[key] = ""  # it may be about to execute something
                continue
            size = tree.own_bytes(entry.pid)
            name = before[key] or self._name(entry.pid)
            if size is not None and name:
                self._names[key] = name
                yield Child(name, size)

    def _name(self, pid: int) -> str:
        """Name a child by what it executes."""
        name = tree.executed(pid)
        return A_COPY if name == tree.executed(self._pid) else name

    def _read_threads(self) -> bool:
        """Read the threads, and the names of new ones; return False if the process is gone."""
        folder = f"/proc/{self._pid}/task"
        try:
            numbers = os.listdir(folder)  # noqa: PTH208 - no Path object per thread
        except OSError:
            return False
        self._threads = {number: self._threads.get(number) or _thread_name(folder, number) for number in numbers}
        return True


def _thread_name(folder: str, number: str) -> str:
    try:
        with open(f"{folder}/{number}/comm", encoding="utf-8", errors="replace") as file:
            return printable(file.read(64).encode("utf-8", "replace"))
    except OSError:
        return ""


def _who(what: str, loss: Loss) -> str:
    one, more = ("a child process", "child processes") if what == "child_lost" else ("a thread", "threads")
    return f"{one} ({loss.name})" if loss.count == 1 else f"{loss.count} {more} ({loss.name})"

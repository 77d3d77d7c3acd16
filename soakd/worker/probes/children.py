"""The forked children of the probes: when they are due, and their results. One child at a time.

The leak signal comes first: a snapshot that delays a reading of reachable bytes past its turn is given up, and later
snapshots use the quicker method, without pympler. A snapshot that crashed is retried at once with that method, and if
that crashes too, with basic sizes.
"""

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from soakd.errors import ProbeError
from soakd.worker.probes import process
from soakd.worker.probes.fork import ForkedChild, Result
from soakd.worker.probes.reachable import read_reachable
from soakd.worker.probes.snapshot import basic_size, load_pympler, take_snapshot

MOST_TIME_FORKING = 0.01
"""The largest share of the process's time; intervals are stretched if forks cost more."""

COSTS_REMEMBERED = 9

LEAST_SNAPSHOT_S = 10.0
"""The time that a snapshot always gets, whatever waits for it."""


class Cadence:
    """The schedule of one kind of child, on the caller's clock in seconds; the first is due at once.

    The cost of a fork is the median of the last few: one fork that a busy host delayed for a quarter of a second must
    not suspend the leak signal for half a minute.
    """

    __slots__ = ("_costs_s", "due_s", "every_s", "failures_total")

    def __init__(self, every_s: float | None) -> None:
        self.every_s = every_s
        self.due_s = float("-inf") if every_s is not None else float("inf")
        self.failures_total = 0
        self._costs_s: deque[float] = deque(maxlen=COSTS_REMEMBERED)

    def went(self, now_s: float, fork_s: float) -> None:
        """Set the next due time on the fixed schedule, stretched if forks are expensive."""
        assert self.every_s is not None
        self._costs_s.append(fork_s)
        earliest_s = now_s + sorted(self._costs_s)[len(self._costs_s) // 2] / MOST_TIME_FORKING
        if self.due_s == float("-inf"):
            self.due_s = now_s
        missed = max(0.0, earliest_s - self.due_s - self.every_s) // self.every_s
        self.due_s += self.every_s * (1 + missed)
        if self.due_s < earliest_s:
            self.due_s += self.every_s


class Children:
    """Forks the reachable and the snapshot child when they are due, and keeps their results until they are fetched."""

    def __init__(
        self, collect_every_s: float | None, snapshot_every_s: float | None, site_packages: Sequence[str]
    ) -> None:
        self._reachable = Cadence(collect_every_s)
        self._snapshot = Cadence(snapshot_every_s)
        self._prepare: Callable[[], None] | None = partial(load_pympler, tuple(site_packages))
        self._is_careful = False
        """Whether snapshots use basic sizes, and ask no object for its size."""
        self._retries = False
        """Whether a snapshot crashed and is due again with a simpler method."""
        self._deaths: list[dict[str, str]] = []
        self._told: set[tuple[str, str]] = set()
        self._child: ForkedChild | None = None
        self._is_snapshot = False
        self._forked_at_s = 0.0
        self._body: dict[str, Any] | None = None
        self._asked: int | None = None
        self._answers: int | None = None
        """The number of the request that the current snapshot answers."""
        self._values: dict[str, float] = {}

    @property
    def alive(self) -> bool:
        """Whether a child is alive, or a snapshot body is waiting for `poll`."""
        return self._child is not None or self._body is not None

    def start_if_due(self, now_s: float) -> bool:
        """Fork the child that is due, reachable before snapshot if both are; return whether there is one now."""
        if self.alive:
            return True
        if self._retries:
            self._retries = False
            return self._start_snapshot(now_s)
        if self._asked is not None:
            self._answers, self._asked = self._asked, None
            return self._start_snapshot(now_s)
        cadence = self._reachable if self._reachable.due_s <= self._snapshot.due_s else self._snapshot
        if now_s < cadence.due_s:
            return False
        self._is_snapshot = cadence is self._snapshot
        self._forked_at_s = now_s
        fork_s = 0.0
        try:
            self._child = self._fork()
            fork_s = self._child.fork_s
            self._values["probe.fork.duration_s"] = fork_s
        except (ProbeError, OSError, ValueError) as error:
            self._fail(cadence, str(error))
        cadence.went(now_s, fork_s)
        return self.alive

    def ask(self, number: int) -> None:
        """Take a snapshot as soon as no other child is alive; its body has the number in `asked`."""
        self._asked = number

    def take_deaths(self) -> list[dict[str, str]]:
        """Return and clear the crashes of children, each {"probe", "detail"} once per life."""
        deaths, self._deaths = self._deaths, []
        return deaths

    def _start_snapshot(self, now_s: float) -> bool:
        self._is_snapshot, self._forked_at_s = True, now_s
        try:
            self._child = self._fork()
        except (ProbeError, OSError, ValueError) as error:
            self._fail(self._snapshot, str(error))
        return self.alive

    def poll(self, now_s: float) -> dict[str, Any] | None:
        """Check on the child; return the body of a finished, failed or skipped snapshot, once."""
        if self._child is not None:
            result = self._child.poll()
            if result is None and self._is_in_the_way(now_s):
                self._child.give_up("gave way to a reading of reachable bytes")
                self._prepare = None
            if result is not None:
                self._child = None
                self._take(result)
        body, self._body = self._body, None
        if body is not None and self._answers is not None:
            body["asked"], self._answers = self._answers, None
        return body

    def hand_over(self, values: dict[str, float]) -> None:
        """Move the results since the last sample into `values`."""
        values.update(self._values)
        self._values.clear()
        for name, cadence in (("reachable", self._reachable), ("snapshot", self._snapshot)):
            if cadence.failures_total:
                values[f"probe.{name}.failures_total"] = cadence.failures_total

    def close(self) -> None:
        """Kill a child that is alive, and drop it."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def _is_in_the_way(self, now_s: float) -> bool:
        """Return whether a snapshot has lasted so long that a reading of reachable bytes missed its turn."""
        every_s = self._reachable.every_s
        if not self._is_snapshot or every_s is None:
            return False
        return now_s >= max(self._reachable.due_s + every_s, self._forked_at_s + LEAST_SNAPSHOT_S)

    def _fork(self) -> ForkedChild:
        short = process.memory_short_for_a_fork()
        if short is not None:
            self._values["note.memory_short"] = 1.0
            raise ProbeError(short)
        if self._is_snapshot:
            job = partial(take_snapshot, basic_size) if self._is_careful else take_snapshot
            return ForkedChild.start(job, prepare=self._prepare)
        return ForkedChild.start(read_reachable)

    def _take(self, result: Result) -> None:
        cadence = self._snapshot if self._is_snapshot else self._reachable
        if result.values is None:
            if result.died:
                self._note_death(str(result.failure))
            self._fail(cadence, result.failure or "no result")
        elif self._is_snapshot:
            self._body = {"forked_at_s": self._forked_at_s, "duration_s": result.duration_s, **result.values}
        else:
            self._values.update(result.values)
            self._values["reachable_forked_at_s"] = self._forked_at_s
            self._values["probe.reachable.duration_s"] = result.duration_s
        if result.confined == "os":
            self._values["note.child_weakly_confined"] = 1.0

    def _note_death(self, how: str) -> None:
        death = ("snapshot" if self._is_snapshot else "reachable"), f"the forked child {how}"
        if death not in self._told:
            self._told.add(death)
            self._deaths.append({"probe": death[0], "detail": death[1]})
        if self._is_snapshot and not self._is_careful:
            self._retries = True
            self._is_careful = self._prepare is None
            self._prepare = None

    def _fail(self, cadence: Cadence, reason: str) -> None:
        cadence.failures_total += 1
        if cadence is self._snapshot and not self._retries:
            self._body = {"forked_at_s": self._forked_at_s, "skipped": reason}

"""Comparison of the heap snapshots of the first and the last hour of load, in the last life of the process.

Medians over an hour: single snapshots differ by whatever a request held at that moment.
"""

from collections import deque
from collections.abc import Mapping
from statistics import median

from soakd.report.curves.values import HeapComparison, Held
from soakd.wire.heaps import Container, Heap
from soakd.wire.records import Snapshot
from soakd.wire.spec import Phase

HOUR_S = 3600.0
SHARE = 3.0
"""In a shorter run, the first third against the last."""
MOST_TYPES, MOST_CONTAINERS = 12, 8
LEAST_BYTES = 1000.0
"""Least change of a type that is shown."""
LEAST_CHANGE, LEAST_SHARE = 10.0, 0.02
"""Least change of a container's length that is shown."""

Sizes = dict[str, tuple[float, float]]
"""Name -> size, count."""


class _HeapTypes:
    """The types and containers of one snapshot."""

    __slots__ = ("containers", "method", "t_s", "types")

    def __init__(self, t_s: float, heap: Heap) -> None:
        self.t_s, self.method = t_s, heap.method
        self.types: Sizes = {each.type: (float(each.bytes), float(each.count)) for each in heap.types}
        self.containers: Sizes = {_name(each): (float(each.length), 0.0) for each in heap.containers}


class Heaps:
    """The snapshots of one engine, read record by record; keeps those of the first and of the last hour."""

    def __init__(self, origin_s: float, load: Phase) -> None:
        self._origin_s, self._load = origin_s, load
        self._window_s = min(HOUR_S, load.duration_s / SHARE)
        self._life: int | None = None
        self._first: list[_HeapTypes] = []
        self._last: deque[_HeapTypes] = deque()
        self.failed = 0

    def add(self, record: Snapshot) -> None:
        """Add a snapshot of the load phase; count one that failed or was skipped."""
        t_s = (record.at.mono_s if record.forked_at_s is None else record.forked_at_s) - self._origin_s
        if not self._load.start_s <= t_s <= self._load.end_s:
            return
        if (heap := record.heap()) is None:
            self.failed += 1
            return
        if record.segment != self._life:
            self._life, self._first, self._last = record.segment, [], deque()
        taken = _HeapTypes(t_s, heap)
        if not self._first or taken.t_s <= self._first[0].t_s + self._window_s:
            self._first.append(taken)
        self._last.append(taken)
        while self._last[0].t_s < taken.t_s - self._window_s:
            self._last.popleft()

    def heap(self) -> HeapComparison | None:
        """Return the comparison; None without two snapshots of one life."""
        if not self._last or self._last[-1].t_s <= self._first[0].t_s:
            return None
        begun_s, ended_s, method = self._first[0].t_s, self._last[-1].t_s, self._last[-1].method
        window_s = min(self._window_s, (ended_s - begun_s) / SHARE)
        first = [s for s in self._first if s.t_s <= begun_s + window_s and s.method == method]
        last = [s for s in self._last if s.t_s >= ended_s - window_s and s.method == method]
        if not first:
            return None
        return HeapComparison(
            window_s=window_s, first=len(first), last=len(last), from_s=begun_s, until_s=ended_s, method=method,
            types=_most_changed([s.types for s in first], [s.types for s in last], MOST_TYPES, counted=True),
            containers=_most_changed(
                [s.containers for s in first], [s.containers for s in last], MOST_CONTAINERS, counted=False
            ),
            failed=self.failed,
        )  # fmt: skip


def _most_changed(first: list[Sizes], last: list[Sizes], most: int, *, counted: bool) -> list[Held]:
    before, after = _medians(first), _medians(last)
    held = []
    for name in before.keys() | after.keys():
        (size, count), (size_after, count_after) = before.get(name, (None, None)), after.get(name, (None, None))
        counts = (count, count_after) if counted else (None, None)
        held.append(Held(name, size, size_after, *counts))
    changed = [h for h in held if (_is_change(h) if counted else _is_growth(h))]
    return sorted(changed, key=lambda h: (-abs(h.change or 0.0), -(h.last or 0.0), h.name))[:most]


def _is_change(held: Held) -> bool:
    return held.change is None or abs(held.change) >= LEAST_BYTES


def _is_growth(held: Held) -> bool:
    """Return whether a container changed by much: every process has hundreds that vary a little."""
    return held.first is not None and abs(held.change or 0.0) >= max(LEAST_CHANGE, LEAST_SHARE * held.first)


def _medians(snapshots: list[Sizes]) -> Mapping[str, tuple[float, float]]:
    """Return the median of each name over the snapshots that have it."""
    names = {name for sizes in snapshots for name in sizes}
    return {
        name: (
            median(sizes[name][0] for sizes in snapshots if name in sizes),
            median(sizes[name][1] for sizes in snapshots if name in sizes),
        )
        for name in names
    }


def _name(container: Container) -> str:
    """Name a container by its type and holder, or by its address, which is the same in every fork of one life."""
    if container.name is not None:
        return f"{container.type} {container.name}"
    return container.type if container.id is None else f"{container.type} at {container.id:#x}"

"""Growth in an engine's heap: its first snapshot under load compared with the latest."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from soakd.live.status.parts import LONGEST_NAME, printable
from soakd.wire.heaps import Container, Heap, HeapType

MOST_TYPES = 60
MOST_CONTAINERS = 40
SHOWN = 12


@dataclass(slots=True)
class HeapGrowth:
    """Two snapshots of one life of a process. Bounded: the largest types and the longest containers."""

    segment: int | None = None
    from_s: float | None = None
    """The time of the first snapshot, in seconds since the run's origin."""
    until_s: float | None = None
    _first: "_Snapshot | None" = None
    _latest: "_Snapshot | None" = None

    def take(self, heap: Heap, segment: int, t_s: float) -> None:
        """Add a snapshot taken under load."""
        snapshot = _kept(heap)
        if segment != self.segment:
            self.segment, self.from_s, self._first = segment, t_s, snapshot
        self.until_s, self._latest = t_s, snapshot

    def add(self, older: "HeapGrowth") -> None:
        """Add the earlier snapshots from another instance; the first snapshot of a life is kept."""
        if self._latest is None:
            self.segment, self.from_s, self.until_s = older.segment, older.from_s, older.until_s
            self._first, self._latest = older._first, older._latest  # noqa: SLF001 - of its own kind
        elif older.segment == self.segment and older._first is not None:  # noqa: SLF001
            self.from_s, self._first = older.from_s, older._first  # noqa: SLF001

    def as_dict(self) -> dict[str, Any] | None:
        """Return what grew, most first, as JSON types; None before there are two snapshots."""
        first, latest = self._first, self._latest
        if first is None or latest is None or first is latest:
            return None
        return {
            "from_s": self.from_s, "until_s": self.until_s,
            "bytes": latest.bytes, "grown_bytes": _difference(latest.bytes, first.bytes),
            "objects": latest.objects, "grown_objects": _difference(latest.objects, first.objects),
            "types": _grown_types(first, latest), "containers": _grown_containers(first, latest),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """What is kept of one: the largest types and the longest containers, their names made printable."""

    bytes: int | None
    objects: int | None
    types: Mapping[str, HeapType]
    containers: Mapping[int, Container]
    """By their address."""


def _kept(heap: Heap) -> _Snapshot:
    containers = {each.id: each for each in heap.containers[:MOST_CONTAINERS] if each.id is not None}
    types = {printable(each.type, LONGEST_NAME): each for each in heap.types[:MOST_TYPES]}
    return _Snapshot(heap.bytes, heap.objects, types, containers)


def _grown_types(first: _Snapshot, latest: _Snapshot) -> list[dict[str, Any]]:
    """List the types that grew. One that was not among the largest at first had at most the least of them."""
    least = min((each.bytes for each in first.types.values()), default=0)
    grown = []
    for name, now in latest.types.items():
        before = first.types.get(name)
        entry: dict[str, Any] = {"type": name, "count": now.count, "bytes": now.bytes}
        if before is None:
            entry |= {"grown_bytes": now.bytes - least, "at_least": True}
        else:
            entry |= {"grown_bytes": now.bytes - before.bytes, "grown_count": now.count - before.count}
        if entry["grown_bytes"] > 0 or entry.get("grown_count", 0) > 0:
            grown.append(entry)
    return sorted(grown, key=lambda entry: (-entry["grown_bytes"], entry["type"]))[:SHOWN]


def _grown_containers(first: _Snapshot, latest: _Snapshot) -> list[dict[str, Any]]:
    """List the containers that are longer, or new among the longest and longer than all of the first snapshot."""
    grown = []
    for address, now in latest.containers.items():
        before = first.containers.get(address)
        if before is not None and now.length > before.length:
            kind, name = printable(now.type, LONGEST_NAME), now.name and printable(now.name, LONGEST_NAME)
            grown.append({"type": kind, "name": name, "length": now.length, "grown": now.length - before.length})
    return sorted(grown, key=lambda entry: -entry["grown"])[:SHOWN]  # type: ignore[operator]


def _difference(after: int | None, before: int | None) -> int | None:
    return None if after is None or before is None else after - before

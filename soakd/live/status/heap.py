"""Growth in an engine's heap: its first snapshot under load compared with the latest."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from soakd.live.status.parts import LONGEST_NAME, is_number, printable

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

    def take(self, body: Mapping[str, Any], segment: int, t_s: float) -> None:
        """Add a snapshot taken under load; a skipped one is ignored."""
        if not isinstance(body.get("types"), list):
            return
        snapshot = _read(body)
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


@dataclass(slots=True)
class _Snapshot:
    bytes: float | None
    objects: float | None
    types: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Type -> number of objects, bytes."""
    containers: dict[int, tuple[str, int, str | None]] = field(default_factory=dict)
    """Address -> type, length, and name if known."""


def _read(body: Mapping[str, Any]) -> _Snapshot:
    snapshot = _Snapshot(_number(body.get("bytes")), _number(body.get("objects")))
    for entry in _entries(body.get("types"), MOST_TYPES):
        snapshot.types[printable(entry["type"], LONGEST_NAME)] = (int(entry["count"]), int(entry.get("bytes") or 0))
    for entry in _entries(body.get("containers"), MOST_CONTAINERS):
        name = entry.get("name")
        kind = printable(entry["type"], LONGEST_NAME)
        snapshot.containers[int(entry["id"])] = (kind, int(entry["length"]), name and printable(name, LONGEST_NAME))
    return snapshot


def _entries(found: object, most: int) -> Iterable[Mapping[str, Any]]:
    return found[:most] if isinstance(found, list) else ()


def _grown_types(first: _Snapshot, latest: _Snapshot) -> list[dict[str, Any]]:
    """List the types that grew. One that was not among the largest at first had at most the least of them."""
    least = min((size for _, size in first.types.values()), default=0)
    grown = []
    for name, (count, size) in latest.types.items():
        before = first.types.get(name)
        entry: dict[str, Any] = {"type": name, "count": count, "bytes": size}
        if before is None:
            entry |= {"grown_bytes": size - least, "at_least": True}
        else:
            entry |= {"grown_bytes": size - before[1], "grown_count": count - before[0]}
        if entry["grown_bytes"] > 0 or entry.get("grown_count", 0) > 0:
            grown.append(entry)
    return sorted(grown, key=lambda entry: (-entry["grown_bytes"], entry["type"]))[:SHOWN]


def _grown_containers(first: _Snapshot, latest: _Snapshot) -> list[dict[str, Any]]:
    """List the containers that are longer, or new among the longest and longer than all of the first snapshot."""
    grown = []
    for address, (kind, length, name) in latest.containers.items():
        before = first.containers.get(address)
        if before is not None and length > before[1]:
            grown.append({"type": kind, "name": name, "length": length, "grown": length - before[1]})
    return sorted(grown, key=lambda entry: -entry["grown"])[:SHOWN]  # type: ignore[operator]


def _difference(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else after - before


def _number(value: object) -> float | None:
    return float(value) if is_number(value) else None  # type: ignore[arg-type]

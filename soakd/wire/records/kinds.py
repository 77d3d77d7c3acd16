"""The records of workers and servers, one class per kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from soakd.wire import values
from soakd.wire.bounds import MOST_READING
from soakd.wire.heaps import Heap, read_heap
from soakd.wire.records.base import Record
from soakd.wire.sites import Site, decode_all

NOT_READ = ".duration_s"
"""The cost of a probe, which is for metrics only; an invalid one is not lost evidence."""
TEXTS = ("phase", "source")
"""Texts in a sample."""
SERVER = "server"
"""The source of a server's samples; a worker's samples have none, or "outside"."""
MOST_DECLARED = {"capacity_entries": 1e12, "bytes_per_entry": 1e9, "capacity_bytes": 1e12}
"""What an engine may declare about its capacity, with the largest accepted values."""
State = Literal["begun", "done", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello(Record):
    """A worker is ready."""

    pid: int
    python: str | None
    executable: str | None
    boot_id: str | None
    tape_sha256: str | None
    declared: Mapping[str, float]
    """The engine's declared capacity."""

    @classmethod
    def read(cls, body: Mapping[str, object]) -> dict[str, Any] | None:
        """Read it; requires a PID."""
        if (pid := values.whole(body, "pid")) is None:
            return None
        said = {name: values.number(body, name, most) for name, most in MOST_DECLARED.items()}
        named = ("python", "executable", "boot_id", "tape_sha256")
        return {
            "pid": pid, "declared": {name: value for name, value in said.items() if value is not None and value > 0},
            **{name: values.text(body, name) for name in named},
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample(Record):
    """One sample of many signals."""

    phase: str | None
    source: str | None
    """None for the worker itself, "outside" for readings of its process, "server" for readings of its server."""
    server: str | None
    """The kind of server."""
    readings: Mapping[str, float]
    refused: int
    """The number of values that are not numbers, but should be."""

    @classmethod
    def read(cls, body: Mapping[str, object]) -> dict[str, Any] | None:
        """Read it; values that are not numbers are counted."""
        readings = {n: v for n, v in body.items() if type(v) in (int, float) and -MOST_READING <= v <= MOST_READING}  # type: ignore[operator]
        source = values.text(body, "source")
        named = (*TEXTS, "server") if source == SERVER else TEXTS
        for name in named:
            readings.pop(name, None)
        refused = 0
        if len(readings) + sum(name in body for name in named) < len(body):
            refused = sum(n not in readings and n not in named and not n.endswith(NOT_READ) for n in body)
        return {
            "phase": values.text(body, "phase"), "source": source, "server": values.text(body, "server"),
            "readings": readings, "refused": refused,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency(Record):
    """The latencies in a part of one phase, as packed histograms."""

    phase: str | None
    window: bool
    """Whether a forked child was alive."""
    from_mono_s: float
    service: str
    response: str
    lateness: str
    fault: str | None
    """The fault on purpose during this time."""

    @classmethod
    def read(cls, body: Mapping[str, object]) -> dict[str, Any] | None:
        """Read it; requires the three histograms and their start."""
        packed = {name: body.get(name) for name in ("service", "response", "lateness")}
        begun_s = values.moment(body, "from_mono_s")
        if begun_s is None or not all(isinstance(each, str) for each in packed.values()):
            return None
        named = {name: values.text(body, name) for name in ("phase", "fault")}
        return {**packed, **named, "window": bool(body.get("window")), "from_mono_s": begun_s}


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot(Record):
    """A heap snapshot, or why there is none."""

    forked_at_s: float | None
    duration_s: float | None
    asked: int | None
    """The number of the request that it answers."""
    skipped: str | None
    """Why it was not taken."""

    @classmethod
    def read(cls, body: Mapping[str, object]) -> dict[str, Any] | None:
        """Read it; nothing is required."""
        return {
            "forked_at_s": values.moment(body, "forked_at_s"), "duration_s": values.number(body, "duration_s"),
            "asked": values.whole(body, "asked"), "skipped": values.text(body, "skipped"),
        }  # fmt: skip

    def heap(self) -> Heap | None:
        """Read its contents, which few readers need; None if it was not taken."""
        return read_heap(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeGrowth:
    """The objects and bytes of one type that an operation leaves."""

    type: str
    per_operation: float
    bytes_per_operation: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """A capture file of memray."""

    path: str
    operations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Look(Record):
    """The beginning or end of a deep look: record kind `attribution`."""

    state: State
    route: str
    id: int
    """Its number; 0 if it could not be taken."""
    light: bool
    from_mono_s: float | None
    until_mono_s: float | None
    operations: tuple[float, ...] | None
    """Operations in each window."""
    left_bytes: float
    """Bytes that its tools have left in the process."""
    sites: tuple[Site, ...]
    types: tuple[TypeGrowth, ...]
    captures: tuple[Capture, ...]
    why: str | None
    note: str | None

    @classmethod
    def read(cls, body: Mapping[str, object]) -> dict[str, Any] | None:
        """Read it; requires a state, a route, and valid sites."""
        state, route, operations = body.get("state"), values.text(body, "route"), body.get("operations")
        if state not in ("begun", "done", "failed") or route is None:
            return None
        try:
            sites = decode_all(body.get("sites", []))
        except ValueError:
            return None
        return {
            "state": state, "route": route, "sites": sites, "id": values.whole(body, "id") or 0,
            "light": bool(body.get("light")),
            "from_mono_s": values.moment(body, "from_mono_s"), "until_mono_s": values.moment(body, "until_mono_s"),
            "operations": tuple(filter(values.is_number, operations)) if isinstance(operations, list) else None,
            "left_bytes": max(0.0, values.number(body, "left_bytes") or 0.0),
            "types": tuple(filter(None, map(_type, values.tables(body, "types") or ()))),
            "captures": tuple(filter(None, map(_capture, values.tables(body, "capture") or ()))),
            "why": values.text(body, "why"), "note": values.text(body, "note"),
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Bye(Record):
    """The orderly end of a worker."""

    stopped: bool
    records_dropped: int
    events_dropped: int
    threads: tuple[str, ...]
    """Threads that the engine left running."""

    @classmethod
    def read(cls, body: Mapping[str, object]) -> dict[str, Any] | None:
        """Read it; nothing is required."""
        lost = {name: values.count(body, name) for name in ("records_dropped", "events_dropped")}
        return {"stopped": bool(body.get("stopped")), **lost, "threads": values.texts(body.get("threads")) or ()}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStart(Record):
    """The beginning of a server's life, when it first answers. Record kind `server`."""

    pid: int | None
    server: str | None
    version: str | None
    address: str | None
    backend: str | None
    """private: started and stopped by soakd; url: an existing server."""
    read_from: str | None
    """proc: read from outside as a process; metrics: from its own metrics."""

    @classmethod
    def read(cls, body: Mapping[str, object]) -> dict[str, Any] | None:
        """Read it; the PID is optional."""
        if type(body.get("pid")) not in (int, type(None)):
            return None
        named = ("server", "version", "address", "backend", "read_from")
        return {"pid": values.whole(body, "pid"), **{name: values.text(body, name) for name in named}}


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultReport(Record):
    """A worker's report during a fault on purpose: record kind `fault`."""

    number: int | None
    """The number of the fault."""
    state: str | None
    mono_s: float | None
    operations: int
    failed_operations: int
    retried_operations: int

    @classmethod
    def read(cls, body: Mapping[str, object]) -> dict[str, Any] | None:
        """Read it; nothing is required."""
        counted = ("operations", "failed_operations", "retried_operations")
        return {
            "number": values.whole(body, "id"), "state": values.text(body, "state"),
            "mono_s": values.moment(body, "mono_s"), **{name: values.count(body, name) for name in counted},
        }  # fmt: skip


def _type(entry: Mapping[str, object]) -> TypeGrowth | None:
    name = values.text(entry, "type")
    each, size = values.number(entry, "per_operation"), values.number(entry, "bytes_per_operation")
    if name is None or each is None or size is None or len(entry) != len(TypeGrowth.__slots__):
        return None
    return TypeGrowth(type=name, per_operation=each, bytes_per_operation=size)


def _capture(entry: Mapping[str, object]) -> Capture | None:
    path = values.text(entry, "path")
    return None if path is None else Capture(path=path, operations=values.count(entry, "operations"))

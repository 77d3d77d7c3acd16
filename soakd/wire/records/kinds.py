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
"""What a probe cost is for metrics; nothing is judged by it, so that one which is no number is no evidence lost."""
TEXTS = ("phase", "source")
"""What a sample holds beside numbers."""
SERVER = "server"
"""The source of a server's samples; those of a worker have none, or "outside"."""
MOST_DECLARED = {"capacity_entries": 1e12, "bytes_per_entry": 1e9, "capacity_bytes": 1e12}
"""What an engine may say of its capacity, and the most that is believed: what no host could hold is no bound."""
State = Literal["begun", "done", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello(Record):
    """A worker stands ready."""

    pid: int
    python: str | None
    executable: str | None
    boot_id: str | None
    tape_sha256: str | None
    declared: Mapping[str, float]
    """What the engine says of its capacity."""

    @classmethod
    def read(cls, body: Mapping[str, object]) -> dict[str, Any] | None:
        """Ask for a PID."""
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
    """One reading of many signals."""

    phase: str | None
    source: str | None
    """None for the worker itself, "outside" for what is read of its process, "server" for that of its server."""
    server: str | None
    """What sort of server it is of."""
    readings: Mapping[str, float]
    refused: int
    """Values that are no numbers, and should be."""

    @classmethod
    def read(cls, body: Mapping[str, object]) -> dict[str, Any] | None:
        """Ask for nothing: what is no number is counted."""
        readings = {n: v for n, v in body.items() if type(v) in (int, float) and -MOST_READING <= v <= MOST_READING}  # type: ignore[operator]
        source = values.text(body, "source")
        named = (*TEXTS, "server") if source == SERVER else TEXTS
        for name in named:
            readings.pop(name, None)
        refused = 0
        if len(readings) < len(body):
            refused = sum(n not in readings and n not in named and not n.endswith(NOT_READ) for n in body)
        return {
            "phase": values.text(body, "phase"), "source": source, "server": values.text(body, "server"),
            "readings": readings, "refused": refused,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency(Record):
    """The latencies of a stretch of one phase, as packed histograms."""

    phase: str | None
    window: bool
    """Whether a forked child lived meanwhile."""
    from_mono_s: float
    service: str
    response: str
    lateness: str
    fault: str | None
    """The fault on purpose that was on meanwhile."""

    @classmethod
    def read(cls, body: Mapping[str, object]) -> dict[str, Any] | None:
        """Ask for the three histograms, and for when they begin."""
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
        """Ask for nothing."""
        return {
            "forked_at_s": values.moment(body, "forked_at_s"), "duration_s": values.number(body, "duration_s"),
            "asked": values.whole(body, "asked"), "skipped": values.text(body, "skipped"),
        }  # fmt: skip

    def heap(self) -> Heap | None:
        """Read what it holds, which few readers need; None where it was not taken."""
        return read_heap(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeGrowth:
    """How many objects of one type an operation leaves, and how many bytes."""

    type: str
    per_operation: float
    bytes_per_operation: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """A file that memray has left."""

    path: str
    operations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Look(Record):
    """A deep look begins, or has ended: record kind `attribution`."""

    state: State
    route: str
    id: int
    """0 where it could not be taken."""
    light: bool
    from_mono_s: float | None
    until_mono_s: float | None
    operations: tuple[float, ...] | None
    """Of each of its windows."""
    left_bytes: float
    """What its tools have left in the process."""
    sites: tuple[Site, ...]
    types: tuple[TypeGrowth, ...]
    captures: tuple[Capture, ...]
    why: str | None
    note: str | None

    @classmethod
    def read(cls, body: Mapping[str, object]) -> dict[str, Any] | None:
        """Ask for a state, a route, and for sites that can be read."""
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
    """A worker has ended in order."""

    stopped: bool
    records_dropped: int
    events_dropped: int
    threads: tuple[str, ...]
    """Those that the engine left running."""

    @classmethod
    def read(cls, body: Mapping[str, object]) -> dict[str, Any] | None:
        """Ask for nothing."""
        lost = {name: values.count(body, name) for name in ("records_dropped", "events_dropped")}
        return {"stopped": bool(body.get("stopped")), **lost, "threads": values.texts(body.get("threads")) or ()}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStart(Record):
    """A server answers: a life of it begins. Record kind `server`."""

    pid: int | None
    server: str | None
    version: str | None
    address: str | None
    backend: str | None
    """private: started and stopped by soakd; url: somebody else's."""
    read_from: str | None
    """proc: read from outside as a process; metrics: by what it says of itself."""

    @classmethod
    def read(cls, body: Mapping[str, object]) -> dict[str, Any] | None:
        """Ask for a PID, or none."""
        if type(body.get("pid")) not in (int, type(None)):
            return None
        named = ("server", "version", "address", "backend", "read_from")
        return {"pid": values.whole(body, "pid"), **{name: values.text(body, name) for name in named}}


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultReport(Record):
    """A worker tells of a fault on purpose while it is on: record kind `fault`."""

    number: int | None
    """Of the fault."""
    state: str | None
    mono_s: float | None
    operations: int
    failed_operations: int
    retried_operations: int

    @classmethod
    def read(cls, body: Mapping[str, object]) -> dict[str, Any] | None:
        """Ask for nothing."""
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

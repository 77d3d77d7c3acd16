"""Records become what the checks read: per engine, one series per signal, its latency windows, its incidents.

Time is seconds since the run's origin on CLOCK_MONOTONIC; what CLOCK_BOOTTIME says besides is evidence of sleep.
"""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from soakd.analysis.series import FloatArray, IntArray
from soakd.histogram import Histogram, unpack
from soakd.plan import EnginePlan, Plan
from soakd.records import Record

SUMS = {
    "live_bytes": ("live_python_bytes", "live_native_bytes"),
    "reachable_bytes": ("reachable_python_bytes", "reachable_native_bytes"),
}
"""Signals that are the sum of two readings of one moment."""


@dataclass(frozen=True, slots=True)
class Series:
    """One signal of one engine."""

    t_s: FloatArray
    """Shape (n,), seconds since the origin."""
    y: FloatArray
    """Shape (n,), in the signal's own unit."""
    segment: IntArray
    """Shape (n,), which life of the process."""

    def between(self, start_s: float, end_s: float) -> "Series":
        """Return the samples of [start_s, end_s]."""
        inside = (self.t_s >= start_s) & (self.t_s <= end_s)
        return Series(self.t_s[inside], self.y[inside], self.segment[inside])

    def __len__(self) -> int:
        return len(self.t_s)


EMPTY = Series(np.empty(0), np.empty(0), np.empty(0, dtype=np.int64))


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyWindow:
    """The latencies of a stretch of one phase. `observed` where a forked child lived meanwhile."""

    phase: str | None
    from_s: float
    to_s: float
    segment: int
    observed: bool
    packed: Mapping[str, str]
    """service, response and lateness, as recorded: a day of them unpacked would not fit the judge's budget."""

    def histogram(self, what: str) -> Histogram:
        """Unpack one of service, response and lateness."""
        return unpack(self.packed[what])


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One segment: one life of an engine's process."""

    segment: int
    pid: int | None
    start_wall_s: float
    end_wall_s: float | None
    ended_by: str
    """completed, stopped, or the incident that ended it; "running" while it does."""
    declared: Mapping[str, float]
    """What the engine says of its capacity."""


@dataclass(slots=True, kw_only=True)
class EngineData:
    """Everything recorded of one engine."""

    plan: EnginePlan
    series: dict[str, Series] = field(default_factory=dict)
    latency: list[LatencyWindow] = field(default_factory=list)
    incidents: list[Record] = field(default_factory=list)
    lives: list[Life] = field(default_factory=list)
    snapshots: int = 0

    @property
    def name(self) -> str:
        """The engine's name."""
        return self.plan.config.name

    def signal(self, name: str) -> Series:
        """Return a series; an empty one where nothing was recorded."""
        return self.series.get(name, EMPTY)

    def in_load(self, name: str) -> Series:
        """Return the part of a series that lies in the load phase."""
        load = self.plan.load
        return self.signal(name).between(load.start_s, load.end_s)

    def operations_at(self, series: Series) -> FloatArray:
        """Return the operations done by the moment of each sample, counted through all segments.

        Shape (n,); NaN where the counter was not read yet.
        """
        counter = self.signal("operations_total")
        if len(counter) < 2:
            return np.full(len(series), np.nan)
        return np.interp(series.t_s, counter.t_s, running_total(counter), left=np.nan)


@dataclass(slots=True, kw_only=True)
class RunData:
    """Everything recorded of a run."""

    plan: Plan
    engines: list[EngineData]
    own: EngineData | None
    """The daemon's own readings, or None where there are none."""
    incidents: list[Record]
    """Of the run and its host, not of one engine."""
    origin: Record | None
    end: Record | None
    """The record that seals the run; None while it runs, or after it was killed."""
    last_s: float
    """Seconds since the origin of the last sample of any engine."""
    last_wall_s: float | None
    clocks: FloatArray
    """Shape (n, 3): wall, boot and monotonic seconds of the daemon's own samples."""


def running_total(counter: Series) -> FloatArray:
    """Chain a counter that starts again from 0 with each segment into one that only grows. Shape (n,)."""
    total, base = counter.y.copy(), 0.0
    for edge in np.flatnonzero(np.diff(counter.segment)) + 1:
        base += counter.y[edge - 1]
        total[edge:] = counter.y[edge:] + base
    return total


def assemble(plan: Plan, records: Iterable[Record]) -> RunData:
    """Sort the records of a run into series. Records of engines that the plan does not have are ignored."""
    builders = {engine.config.name: _Builder() for engine in plan.engines}
    own, run, clocks = _Builder(), _Run(), array("d")
    for record in records:
        if record.engine:
            if builder := builders.get(record.engine):
                builder.add(record)
        elif record.kind == "sample":
            own.add(record)
            clocks.extend(record.at)
        else:
            run.add(record)
    origin_s = run.origin_s
    engines = [builders[engine.config.name].build(engine, origin_s) for engine in plan.engines]
    times = [float(series.t_s[-1]) for e in engines for series in e.series.values() if len(series)]
    return RunData(
        plan=plan, engines=engines, own=own.build(plan.engines[0], origin_s) if clocks else None,
        incidents=run.incidents, origin=run.origin, end=run.end, last_s=max(times, default=0.0),
        last_wall_s=max((b.last_wall_s for b in builders.values() if b.last_wall_s), default=None),
        clocks=np.frombuffer(clocks, dtype=np.float64).reshape(-1, 3) if clocks else np.empty((0, 3)),
    )  # fmt: skip


class _Run:
    """The records of the run itself."""

    def __init__(self) -> None:
        self.incidents: list[Record] = []
        self.origin: Record | None = None
        self.end: Record | None = None

    @property
    def origin_s(self) -> float:
        return float(self.origin.body["mono_s"]) if self.origin else float("inf")

    def add(self, record: Record) -> None:
        if record.kind == "incident":
            self.incidents.append(record)
        elif record.body.get("name") == "origin":
            self.origin = record
        elif record.body.get("name") == "end":
            self.end = record


class _Column:
    """One growing series, eight bytes a number."""

    def __init__(self) -> None:
        self.mono_s, self.y, self.segment = array("d"), array("d"), array("q")

    def add(self, mono_s: float, y: float, segment: int) -> None:
        self.mono_s.append(mono_s)
        self.y.append(y)
        self.segment.append(segment)

    def series(self, origin_s: float) -> Series:
        t_s = np.frombuffer(self.mono_s) - origin_s
        order = np.argsort(t_s, kind="stable")
        return Series(t_s[order], np.frombuffer(self.y)[order], np.frombuffer(self.segment, dtype=np.int64)[order])


class _Builder:
    """The records of one engine."""

    def __init__(self) -> None:
        self._columns: dict[str, _Column] = {}
        self._latency: list[Record] = []
        self._incidents: list[Record] = []
        self._marks: list[Record] = []
        self._snapshots = 0
        self.last_wall_s: float | None = None

    def add(self, record: Record) -> None:
        self.last_wall_s = record.at.wall_s
        if record.kind == "sample":
            self._add_sample(record)
        elif record.kind == "latency":
            self._latency.append(record)
        elif record.kind == "incident":
            self._incidents.append(record)
        elif record.kind in ("hello", "bye"):
            self._marks.append(record)
        elif record.kind == "snapshot":
            self._snapshots += 1

    def build(self, plan: EnginePlan, origin_s: float) -> EngineData:
        return EngineData(
            plan=plan,
            series={name: column.series(origin_s) for name, column in sorted(self._columns.items())},
            latency=[_window(record, origin_s) for record in self._latency],
            incidents=self._incidents,
            lives=list(_lives(self._marks, self._incidents)),
            snapshots=self._snapshots,
        )

    def _add_sample(self, record: Record) -> None:
        body, mono_s = record.body, record.at.mono_s
        forked_s = body.get("reachable_forked_at_s", mono_s)
        for name, value in body.items():
            if type(value) in (int, float):
                self._column(name).add(forked_s if name.startswith("reachable_") else mono_s, value, record.segment)
        for name, parts in SUMS.items():
            values = [body.get(part) for part in parts]
            if all(type(value) in (int, float) for value in values):
                at_s = forked_s if name == "reachable_bytes" else mono_s
                self._column(name).add(at_s, sum(values), record.segment)  # type: ignore[arg-type]

    def _column(self, name: str) -> _Column:
        if name not in self._columns:
            self._columns[name] = _Column()
        return self._columns[name]


def _window(record: Record, origin_s: float) -> LatencyWindow:
    body = record.body
    return LatencyWindow(
        phase=body.get("phase"), from_s=body["from_mono_s"] - origin_s, to_s=record.at.mono_s - origin_s,
        segment=record.segment, observed=bool(body.get("window")),
        packed={what: body[what] for what in ("service", "response", "lateness")},
    )  # fmt: skip


ENDINGS = ("crash", "exit", "hang", "start_failed")


def _lives(marks: Sequence[Record], incidents: Sequence[Record]) -> Iterator[Life]:
    for hello in (mark for mark in marks if mark.kind == "hello"):
        bye = next((m for m in marks if m.kind == "bye" and m.segment == hello.segment), None)
        broken = next((i for i in incidents if i.segment == hello.segment and i.body.get("what") in ENDINGS), None)
        end = bye or broken
        ended_by = "running" if end is None else str(broken.body["what"]) if bye is None and broken else "completed"
        if bye is not None and bye.body.get("stopped"):
            ended_by = "stopped"
        yield Life(
            segment=hello.segment, pid=hello.body.get("pid"), start_wall_s=hello.at.wall_s,
            end_wall_s=end.at.wall_s if end else None, ended_by=ended_by, declared=_declared(hello),
        )  # fmt: skip


def _declared(hello: Record) -> Mapping[str, float]:
    names = ("capacity_entries", "bytes_per_entry", "capacity_bytes")
    return {name: hello.body[name] for name in names if name in hello.body}


def describe(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Write incidents for the verdict file, in the order in which they happened."""
    return [
        {"at_wall_s": round(r.at.wall_s, 3), "engine": r.engine or None, "segment": r.segment, **r.body}
        for r in sorted(records, key=lambda r: r.at.mono_s)
    ]

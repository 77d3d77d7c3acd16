"""Turns records into series, in any order; duplicates count once.

What is not what it should be - text or NaN in place of a number, a latency that cannot be unpacked - is left out and
counted: `evidence.records` makes such a run INVALID.
"""

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from soakd.judge.story.faults import read_faults
from soakd.judge.story.interruptions import DAEMON_GAP, ends_of_lives, standstills
from soakd.judge.story.latency import LatencyWindow, read_latencies
from soakd.judge.story.looks import stretches
from soakd.judge.story.readings import SignalColumns, once
from soakd.judge.story.rundata import EngineData, ProcessLife, RunData
from soakd.judge.story.servers import ServerBuilder
from soakd.record.clocks import ClockShift, clock_shifts
from soakd.setup.plan import EnginePlan, Plan
from soakd.wire.records import (
    LIFE_ENDS,
    Bye,
    End,
    Hello,
    Incident,
    Latency,
    Left,
    Look,
    Origin,
    Packages,
    Record,
    Resumed,
    Sample,
    Snapshot,
    Unreadable,
    in_order,
)
from soakd.wire.signal_sums import SUMMED, sum_of

REASONS = ("completed", "interrupted", "failed", "memory_reserve", "longest_gap", "disk_full", "disk_budget")
"""Why a run ended, in the record that seals it."""
DROPPED = ("records_dropped", "events_dropped")
"""Counts of what was lost, in a worker's bye and in a daemon's last record."""


def assemble(plan: Plan, records: Iterable[Record]) -> RunData:
    """Sort the records of a run into series. Records of engines that are not in the plan are reported and left out."""
    builders = {engine.config.name: _Builder() for engine in plan.engines}
    own, run, clocks = _Builder(), _RunRecords(), array("d")
    for record in records:
        if record.engine and record.engine not in builders:
            run.strangers.add(record.engine)
            continue
        builder = builders.get(record.engine, own)
        if isinstance(record, Unreadable):
            builder.unreadable += 1
        elif record.engine or record.kind == "sample":
            builder.add(record)
            if not record.engine:
                clocks.extend(record.at)
        else:
            run.add(record)
    origin_s = run.origin_s
    resumed = clock_shifts(once(run.resumed))
    engines = [builders[e.config.name].build(e, origin_s, run.end, resumed) for e in plan.engines]
    faults = read_faults(plan, engines, origin_s)
    for engine in engines:
        engine.standstills = standstills(run.incidents, origin_s)
        engine.faults = tuple(fault for fault in faults if fault.took_place and engine.name in fault.touches)
    times = [float(series.t_s[-1]) for e in engines for series in e.series.values() if len(series)]
    mine = own.build(plan.engines[0], origin_s)
    return RunData(
        plan=plan, engines=engines, own=mine if clocks else None,
        incidents=once(run.incidents), origin=run.origin, end=run.end, last_s=max(times, default=0.0),
        last_wall_s=max((b.last_wall_s for b in builders.values() if b.last_wall_s), default=None),
        clocks=_clocks(clocks), unreadable=mine.unreadable + run.unreadable,
        contradictions=tuple(run.contradictions()), handovers=resumed, faults=faults, packages=run.packages(),
        **{name: run.dropped(name) for name in DROPPED},
    )  # fmt: skip


class _RunRecords:
    """Collects the records of the run itself."""

    def __init__(self) -> None:
        self.incidents: list[Incident] = []
        self.strangers: set[str] = set()
        self.unreadable = 0
        self._origins: list[Origin] = []
        self._ends: list[End] = []
        self._lefts: list[Left] = []
        self.resumed: list[Resumed] = []
        self._packages: list[Packages] = []

    @property
    def origin(self) -> Origin | None:
        """The first one, whatever order they came in."""
        return min(self._origins, key=in_order, default=None)

    @property
    def end(self) -> End | None:
        """The last one by its clock, whatever order they came in."""
        return max(self._ends, key=in_order, default=None)

    def dropped(self, name: str) -> int:
        """Return how many records its daemons lost, by those that left it and by the one that ended it."""
        last = [*once(self._lefts), *([self.end] if self.end else [])]
        return sum(getattr(record, name) for record in last)

    def contradictions(self) -> Iterator[str]:
        """Say what cannot all be true: a run begins once and ends once, and its engines are those of its plan."""
        begun = [str(round(record.at.mono_s, 3)) for record in once(self._origins)]
        ended = [str(record.reason) for record in once(self._ends)]
        for what, said in (("origin", begun), ("end", ended)):
            if len(said) > 1:
                yield f"{len(said)} different records of its {what}: {', '.join(said)}"
        if self.strangers:
            yield f"records of engines that its plan does not have: {', '.join(sorted(self.strangers))}"

    def packages(self) -> dict[str, list[Mapping[str, str]]]:
        """Return the packages of each engine, once for each time that they were read."""
        found: dict[str, list[Mapping[str, str]]] = {}
        for record in once(self._packages):
            for environment in record.environments:
                for name in environment.engines:
                    found.setdefault(name, []).append(environment.packages)
        return found

    @property
    def origin_s(self) -> float | None:
        return self.origin.mono_s if self.origin else None

    def add(self, record: Record) -> None:
        match record:
            case Incident():
                self.incidents.append(record)
            case Origin():
                self._origins.append(record)
            case Packages():
                self._packages.append(record)
            case Resumed():
                self.resumed.append(record)
            case End(reason=reason) if reason in REASONS:
                self._ends.append(record)
            case End():
                self.unreadable += 1
            case Left():
                self._lefts.append(record)


class _Builder:
    """Collects the records of one engine, or of the daemon."""

    def __init__(self) -> None:
        self._columns = SignalColumns()
        self._server = ServerBuilder()
        self._windows: dict[bytes, LatencyWindow | None] = {}
        """By what tells a record from others, so that each counts once; None is one that cannot be read."""
        self._incidents: list[Incident] = []
        self._hellos: list[Hello] = []
        self._byes: list[Bye] = []
        self._snapshots: set[tuple[float, int]] = set()
        self._looks: list[Look] = []
        self.unreadable = 0
        self.last_wall_s: float | None = None

    def add(self, record: Record) -> None:
        self.last_wall_s = max(record.at.wall_s, self.last_wall_s or 0.0)
        if ServerBuilder.wants(record):
            self._server.add(record)
            return
        match record:
            case Sample():
                self._add_sample(record)
            case Latency():
                self._add_window(record)
            case Incident():
                self._incidents.append(record)
            case Hello():
                self._hellos.append(record)
            case Bye():
                self._byes.append(record)
            case Look():
                self._looks.append(record)
            case Snapshot():
                self._snapshots.add((record.at.mono_s, record.segment))

    def build(
        self, plan: EnginePlan, origin_s: float | None, end: End | None = None, resumed: Sequence[ClockShift] = ()
    ) -> EngineData:  # fmt: skip
        self.unreadable += self._server.unreadable
        if origin_s is None:  # without a time
            return EngineData(plan=plan, incidents=once(self._incidents), unreadable=self.unreadable)
        windows = [window.since(origin_s) for _, window in sorted(self._windows.items(), key=_in_time) if window]
        incidents, looks, name = once(self._incidents), once(self._looks), plan.config.name
        lives = _lives(once(self._hellos), once(self._byes), incidents, ends_of_lives(resumed, name))
        return EngineData(
            plan=plan, series=self._columns.series(origin_s), latency=windows, incidents=incidents,
            lives=list(lives),
            server=self._server.build(origin_s, incidents, end, ends_of_lives(resumed, name, server=True)),
            looks=looks, looked_s=tuple(sorted(set(stretches(looks, origin_s)))),
            snapshots=len(self._snapshots), unreadable=self.unreadable,
            daemon_handovers=tuple(handover.segments.get(name, 0) for handover in resumed),
        )  # fmt: skip

    def _add_sample(self, sample: Sample) -> None:
        readings, mono_s, segment = sample.readings, sample.at.mono_s, sample.segment
        forked_s = readings.get("reachable_forked_at_s", mono_s)
        self.unreadable += self._columns.add_sample(sample, forked_s)
        for name in SUMMED:
            if (total := sum_of(readings, name)) is not None:
                self._columns.add(name, forked_s if name == "reachable_bytes" else mono_s, total, segment)

    def _add_window(self, record: Latency) -> None:
        # A record is three times as large as what is needed of it.
        name = hashlib.blake2b(repr((float(record.at.mono_s), *in_order(record)[1:])).encode(), digest_size=16).digest()
        if name not in self._windows:
            self._windows[name] = _window(record)
            self.unreadable += self._windows[name] is None


def _clocks(clocks: "array[float]") -> np.ndarray[Any, np.dtype[np.float64]]:
    readings = np.frombuffer(clocks, dtype=np.float64).reshape(-1, 3) if clocks else np.empty((0, 3))
    return np.unique(readings[:, ::-1], axis=0)[:, ::-1]


def _in_time(named: tuple[bytes, LatencyWindow | None]) -> tuple[float, bytes]:
    name, window = named
    return (window.to_s if window else 0.0), name


def _window(record: Latency) -> LatencyWindow | None:
    """Read a latency record, or return None where its histograms are none."""
    try:
        service, _, lateness = map(read_latencies, (record.service, record.response, record.lateness))
    except ValueError:
        return None
    return LatencyWindow(
        phase=record.phase, from_s=record.from_mono_s, to_s=record.at.mono_s, segment=record.segment,
        observed=record.window, fault=record.fault, operations=service.operations,
        service_p50_s=service.quantile_s(0.5), service_p95_s=service.quantile_s(0.95),
        lateness_p99_s=lateness.quantile_s(0.99),
        packed=(record.service, record.response),
    )  # fmt: skip


def _lives(
    hellos: Sequence[Hello], byes: Sequence[Bye], incidents: Sequence[Incident], gaps: Mapping[int, float]
) -> Iterator[ProcessLife]:
    for hello in hellos:
        bye = next((bye for bye in byes if bye.segment == hello.segment), None)
        broken = next((i for i in incidents if i.segment == hello.segment and i.what in LIFE_ENDS), None)
        end = broken or bye  # it may crash after its `bye`
        ended_by = "running" if end is None else broken.what if broken else "completed"
        if broken is None and bye is not None and bye.stopped:
            ended_by = "stopped"
        end_wall_s = end.at.wall_s if end else None
        if hello.segment in gaps and broken is None:
            ended_by, end_wall_s = DAEMON_GAP, gaps[hello.segment]
        yield ProcessLife(
            segment=hello.segment, pid=hello.pid, start_wall_s=hello.at.wall_s, end_wall_s=end_wall_s,
            ended_by=ended_by, declared=hello.declared, boot_id=hello.boot_id, tape_sha256=hello.tape_sha256,
            python=hello.python, executable=hello.executable,
            **{name: getattr(bye, name) for name in DROPPED if bye is not None},
        )  # fmt: skip

"""What the checks read of a run: per engine, one series per signal, its latency windows, its incidents.

Time is seconds since the run's origin on CLOCK_MONOTONIC; what CLOCK_BOOTTIME says besides is evidence of sleep.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from soakd.judge.growth.series import MIN_SAMPLES, MIN_SHARE, BoolArray, FloatArray, IntArray, longest_gap_s
from soakd.judge.story.latency import LatencyWindow
from soakd.record.clocks import ClockShift
from soakd.setup.plan import EnginePlan, Plan
from soakd.verdict.resolution import HOST_SIGNALS, leak_signal
from soakd.verdict.types import Incident as IncidentEntry
from soakd.verdict.types import LifeEntry
from soakd.wire.records import End, FaultIncident, Incident, Look, Origin, in_order

MOST_LOOKED_AT = 0.5
"""Share of a series' time: where looks took more of it, what is left would say little."""


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

    def lives(self) -> Iterator["Series"]:
        """Cut it at the restarts: one series per life of the process."""
        for life in np.unique(self.segment):
            own = self.segment == life
            yield Series(self.t_s[own], self.y[own], self.segment[own])

    def judged_lives(self) -> list["Series"]:
        """Return the lives that are long enough to say anything about growth."""
        least_s = MIN_SHARE * float(np.ptp(self.t_s)) if len(self) else 0.0
        return [life for life in self.lives() if len(life) >= MIN_SAMPLES and float(np.ptp(life.t_s)) >= least_s]

    def longest_gap_s(self, start_s: float, end_s: float) -> float:
        """Return the longest time without a sample between two moments, both included."""
        return longest_gap_s(self.t_s, start_s, end_s)

    def contradictions(self) -> int:
        """Count the readings of one moment of one life that differ. In order of time, each reading once, it is none."""
        same = (np.diff(self.t_s) == 0.0) & (np.diff(self.segment) == 0)
        return int(np.count_nonzero(same))

    def __len__(self) -> int:
        return len(self.t_s)


EMPTY = Series(np.empty(0), np.empty(0), np.empty(0, dtype=np.int64))


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessLife:
    """One segment: one life of an engine's process."""

    segment: int
    pid: int | None
    start_wall_s: float
    end_wall_s: float | None
    ended_by: str
    """completed, stopped, or the incident that ended it; "running" while it does."""
    declared: Mapping[str, float]
    """What the engine says of its capacity."""
    boot_id: str | None = None
    """The kernel's name for the boot of the host in which it lived."""
    tape_sha256: str | None = None
    """Which operations drove it."""
    python: str | None = None
    """Version of its interpreter; None of a server."""
    executable: str | None = None
    """Its interpreter."""
    records_dropped: int = 0
    """Records that it says it has lost."""
    events_dropped: int = 0
    """Those of them that were no readings."""

    def entry(self) -> LifeEntry:
        """Write the life for the verdict file; its interpreter where it is known."""
        return LifeEntry(
            segment=self.segment, pid=self.pid, started_at=rfc3339(self.start_wall_s),
            ended_at=rfc3339(self.end_wall_s), ended_by=self.ended_by, python=self.python, executable=self.executable,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A server that was gone or silent, in seconds since the origin."""

    what: str
    """The incident that began it."""
    from_s: float
    """When it was noticed."""
    recovered_s: float | None = None
    """When it answered again; None if that was not seen."""
    recovery_s: float | None = None
    """From its end, or its first unanswered question, to its answering again."""
    gave_up: bool = False
    fault: str | None = None
    """The fault on purpose whose doing it was."""

    @property
    def gone_s(self) -> float:
        """When it began, as far as that can be told from how long it took."""
        if self.recovered_s is None or self.recovery_s is None:
            return self.from_s
        return min(self.from_s, self.recovered_s - self.recovery_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault on purpose, and what became of it; times in seconds since the origin."""

    number: int
    """Its place in the plan, from 1."""
    name: str
    kind: str
    target: str
    on: str
    at_s: float
    """When it was planned."""
    touches: tuple[str, ...]
    """The engines that it breaks something of."""
    took_place: bool
    from_s: float | None = None
    until_s: float | None = None
    """When operations succeeded again, or the wait for that ended; None if neither was seen."""
    told: FaultIncident | None = None
    """What was told at its end."""

    @property
    def lasted_s(self) -> float:
        """How long it was on before it was healed; 0 where it was over at once."""
        lasted_s = self.told.healed_after_s if self.told else None
        return round(float(lasted_s), 3) if lasted_s is not None and lasted_s > 0.0 else 0.0

    def outcome(self, engine: str) -> Mapping[str, float]:
        """Return what was told of one engine."""
        return self.told.engines.get(engine, {}) if self.told else {}


@dataclass(slots=True, kw_only=True)
class ServerData:
    """Everything recorded of the server that an engine talks to: apart from the engine's own process."""

    kind: str
    """redis, opa ..."""
    version: str | None = None
    address: str | None = None
    backend: str | None = None
    """private: started and stopped by soakd; url: somebody else's."""
    read_from: str | None = None
    """proc: read from outside as a process; metrics: by what it says of itself."""
    series: dict[str, Series] = field(default_factory=dict)
    lives: list[ProcessLife] = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)

    def signal(self, name: str) -> Series:
        """Return a series; an empty one where nothing was recorded."""
        return self.series.get(name, EMPTY)


@dataclass(slots=True, kw_only=True)
class EngineData:
    """Everything recorded of one engine."""

    plan: EnginePlan
    series: dict[str, Series] = field(default_factory=dict)
    latency: list[LatencyWindow] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)
    lives: list[ProcessLife] = field(default_factory=list)
    server: ServerData | None = None
    """None where nothing was recorded of one."""
    looks: list[Look] = field(default_factory=list)
    """Deep looks at the process, in order of time."""
    snapshots: int = 0
    unreadable: int = 0
    """Readings that were no finite numbers, and records that could not be understood."""
    faults: tuple[Fault, ...] = ()
    """The faults on purpose that touched it and took place."""
    daemon_handovers: tuple[int, ...] = ()
    """The first segments of daemons that resumed the run: the engine was neither watched nor loaded before each."""
    standstills: tuple[tuple[float, float], ...] = ()
    """From when to when soakd itself stood still, in seconds since the origin."""
    looked_s: tuple[tuple[float, float], ...] = ()
    """From when to when each look was under way, likewise."""

    @property
    def name(self) -> str:
        """The engine's name."""
        return self.plan.config.name

    @property
    def leak_signal(self) -> str:
        """The signal that answers whether the engine leaks: live bytes stand in where nothing is forked."""
        return leak_signal(self.plan.collect_every_s)

    @property
    def host_signal(self) -> str:
        """The signal that answers what the host pays: of anonymous memory alone where swap was never recorded."""
        return next((signal for signal in HOST_SIGNALS if len(self.signal(signal))), HOST_SIGNALS[-1])

    @property
    def declared(self) -> Mapping[str, float]:
        """What the engine says of its capacity, in its last life."""
        return self.lives[-1].declared if self.lives else {}

    def signal(self, name: str) -> Series:
        """Return a series; an empty one where nothing was recorded."""
        return self.series.get(name, EMPTY)

    def in_load(self, name: str) -> Series:
        """Return the part of a series that lies in the load phase."""
        load = self.plan.load
        return self.signal(name).between(load.start_s, load.end_s)

    def trend(self, name: str) -> Series:
        """Return the part of a series in the load phase that trends are judged on: outside the windows of faults."""
        return self.outside_faults(self.in_load(name))

    def outside_faults(self, series: Series) -> Series:
        """Return the samples that no fault on purpose had a part in."""
        inside = np.zeros(len(series), dtype=bool)
        for from_s, until_s in self.fault_windows():
            inside |= (series.t_s >= from_s) & (series.t_s <= until_s)
        return series if not np.any(inside) else Series(series.t_s[~inside], series.y[~inside], series.segment[~inside])

    def looks_in(self, series: Series) -> list[tuple[float, float]]:
        """Return from when to when looks were under way while a series was read; none where they left too little."""
        if len(series) < 2:
            return []
        begun_s, ended_s = float(series.t_s[0]), float(series.t_s[-1])
        windows = [(max(begun_s, from_s), min(ended_s, until_s)) for from_s, until_s in self.looked_s]
        windows = [(from_s, until_s) for from_s, until_s in windows if from_s < until_s]
        whole_s = sum(until_s - from_s for from_s, until_s in windows)
        return windows if whole_s <= MOST_LOOKED_AT * (ended_s - begun_s) else []

    def fault_windows(self, *on: str) -> Iterator[tuple[float, float]]:
        """Yield from when to when faults were on and recovered from, of all places or of some."""
        for fault in self.faults:
            if fault.from_s is not None and (not on or fault.on in on):
                yield fault.from_s, self.plan.load.end_s if fault.until_s is None else fault.until_s

    def gained_in_faults(self, t_s: FloatArray, x: FloatArray) -> float:
        """Return what something that never falls, both shape (n,), gained while faults were on; each moment once."""
        if not len(t_s):
            return 0.0
        edges = np.array(sorted(self.fault_windows()), dtype=np.float64).reshape(-1, 2)
        ended_s = np.maximum.accumulate(np.concatenate(([-np.inf], edges[:, 1])))
        begun_s = np.maximum(edges[:, 0], ended_s[:-1])
        return float(np.sum(np.maximum(0.0, np.interp(edges[:, 1], t_s, x) - np.interp(begun_s, t_s, x))))

    def in_a_fault(self, from_s: FloatArray, until_s: FloatArray) -> BoolArray:
        """Tell which stretches of time, each shape (n,), a fault had a part in."""
        inside = np.zeros(from_s.shape, dtype=bool)
        for begun_s, ended_s in self.fault_windows():
            inside |= (from_s <= ended_s) & (until_s >= begun_s)
        return inside

    def server_in_load(self, name: str) -> Series:
        """Return the part of a series of its server that lies in the load phase."""
        load = self.plan.load
        return EMPTY if self.server is None else self.server.signal(name).between(load.start_s, load.end_s)

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
    incidents: list[Incident]
    """Of the run and its host, not of one engine."""
    origin: Origin | None
    end: End | None
    """The record that seals the run; None while it runs, or after it was killed."""
    last_s: float
    """Seconds since the origin of the last sample of any engine."""
    last_wall_s: float | None
    clocks: FloatArray
    """Shape (n, 3): wall, boot and monotonic seconds of the daemon's own samples."""
    unreadable: int = 0
    """Records of the run itself that could not be understood."""
    records_dropped: int = 0
    """Records that the run's daemons could not write."""
    events_dropped: int = 0
    """Those of them that were no readings."""
    handovers: Sequence[ClockShift] = ()
    """Where a daemon took the run over from one that was gone."""
    faults: Sequence[Fault] = ()
    """Every fault of the plan, and what became of it."""
    contradictions: tuple[str, ...] = ()
    """What the records of the run say that cannot all be true, in words."""
    packages: Mapping[str, Sequence[Mapping[str, str]]] = field(default_factory=dict)
    """Engine -> package -> version, once for each time that its environment was read."""


def running_total(counter: Series) -> FloatArray:
    """Chain a counter that starts again from 0 with each segment into one that only grows. Shape (n,)."""
    total, base = counter.y.copy(), 0.0
    for edge in np.flatnonzero(np.diff(counter.segment)) + 1:
        base += counter.y[edge - 1]
        total[edge:] = counter.y[edge:] + base
    return total


def rfc3339(wall_s: float | None) -> str | None:
    """Write a moment as the verdict file has it; None where it is not known."""
    if wall_s is None:
        return None
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def describe(records: Sequence[Incident]) -> list[IncidentEntry]:
    """Write incidents for the verdict file, in the order in which they happened."""
    return [
        IncidentEntry(
            {"at_wall_s": round(r.at.wall_s, 3), "engine": r.engine or None, "segment": r.segment}
            | {name: value for name, value in r.facts() if name not in ("at_wall_s", "engine", "segment")}
        )
        for r in sorted(records, key=in_order)
    ]

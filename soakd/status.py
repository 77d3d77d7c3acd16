"""What is known of a run so far: records folded in as they are committed, the judge's verdict beside them.

Everything that shows a run (metrics, live table, log, pages) reads this and computes nothing of its own. It has no
clock: `now_s` is CLOCK_MONOTONIC seconds. Memory is bounded, however long the run and whatever engines say.
"""

import math
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from soakd.histogram import Histogram, quantile_s, unpack, upper_bound_ns
from soakd.model import LOADED_PHASES
from soakd.plan import EnginePlan, Plan
from soakd.records import Record

BOUNDS_S: tuple[float, ...] = (
    10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
)  # fmt: skip
"""Upper bounds of the exported latency buckets, in seconds; one more bucket holds what is above."""
BOUNDS_NS = tuple(round(bound_s * 1e9) for bound_s in BOUNDS_S)

SEVERITY = ("PASS", "INCONCLUSIVE", "INCOMPLETE", "INVALID", "FAIL")
DECIDING_ROLES = ("subject", "twin")

OUTCOMES: Mapping[str, str] = {"error": "errors_total", "dropped": "dropped_total", "skipped": "skipped_total"}
COUNTERS = frozenset({"operations_total", "cpu_s_total", *OUTCOMES.values()})
SUMS = {
    "live_bytes": ("live_python_bytes", "live_native_bytes"),
    "reachable_bytes": ("reachable_python_bytes", "reachable_native_bytes"),
}
ENDINGS = frozenset({"crash", "exit", "hang", "start_failed", "gave_up"})
"""Incidents after which an engine's process is no more."""

RATE_SAMPLES = 6
MOST_NAMES = 256
MOST_KINDS = 32
LONGEST_NAME = 80
LATE_S = 2.0
"""A sample counts as missing only so long after it and the next one were due: batches take up to a second."""


def printable(text: object, longest: int = 500) -> str:
    r"""Make text from an engine fit for a terminal, a log and a label: control characters as \x1b and the like."""
    kept = str(text)[:longest]
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in kept)


@dataclass(slots=True)
class LatencyTotals:
    """One latency of one engine through all its lives: counts in `BOUNDS_S`, and their sum in seconds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    sum_s: float = 0.0

    def add(self, histogram: Histogram) -> None:
        """Add one window."""
        for bucket, count in histogram.items():
            upper_ns = upper_bound_ns(bucket)
            lower_ns = upper_bound_ns(bucket - 1) + 1 if bucket else 0
            self.counts[bisect_left(BOUNDS_NS, upper_ns)] += count
            self.sum_s += count * (lower_ns + upper_ns) / 2 * 1e-9


@dataclass(slots=True)
class Chained:
    """A counter that starts again from 0 with each life of a process, made into one that only grows."""

    past: float = 0.0
    current: float = 0.0

    @property
    def total(self) -> float:
        """The count through all lives."""
        return self.past + self.current

    def read(self, value: float) -> None:
        """Take a reading of this life."""
        self.current = max(self.current, value)

    def restart(self) -> None:
        """Begin another life."""
        self.past, self.current = self.total, 0.0


@dataclass(slots=True, kw_only=True)
class EngineStatus:
    """What is known of one engine. Values that are not known are None or absent, never 0."""

    name: str
    kind: str
    role: str
    target_per_s: float
    """Configured rate, operations per second."""
    sample_every_s: float
    up: bool = False
    phase: str | None = None
    segment: int = 0
    pid: int | None = None
    latest: dict[str, float] = field(default_factory=dict)
    """Signal -> last reading of this life, in the unit that the name ends in."""
    counters: dict[str, Chained] = field(default_factory=dict)
    """Counter of driver or process -> its count through all lives."""
    restarts: int = 0
    incidents: Counter[str] = field(default_factory=Counter)
    latency: dict[str, float] = field(default_factory=dict)
    """Of the last window: service_p50_s, service_p95_s, service_p99_s, response_p99_s, lateness_p99_s."""
    service: LatencyTotals = field(default_factory=LatencyTotals)
    response: LatencyTotals = field(default_factory=LatencyTotals)
    probe_durations_s: dict[str, float] = field(default_factory=dict)
    probe_failures: dict[str, Chained] = field(default_factory=dict)
    state: str | None = None
    """The engine's verdict as the judge wrote it: INCOMPLETE while the run goes on."""
    growth_class: str | None = None
    checks: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Check id -> the check as the verdict has it."""
    slots: int = 0
    """Moments of the sampling grid that brought a sample."""
    _last_slot: int = 0
    _window: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=RATE_SAMPLES))

    @property
    def rate_per_s(self) -> float | None:
        """Operations per second over the last samples of this phase; None until there are two."""
        if len(self._window) < 2:
            return None
        (from_s, before), (to_s, after) = self._window[0], self._window[-1]
        return (after - before) / (to_s - from_s) if to_s > from_s else None

    @property
    def operations(self) -> dict[str, int]:
        """Outcome (ok, error, dropped, skipped) -> operations through all lives; empty until one was counted."""
        if "operations_total" not in self.counters:
            return {}
        totals = {name: int(self.counters[key].total) for name, key in OUTCOMES.items() if key in self.counters}
        return {"ok": int(self.counters["operations_total"].total) - totals.get("error", 0), **totals}

    @property
    def errors(self) -> int | None:
        """Operations that raised, through all lives."""
        return self.operations.get("error")

    @property
    def state_so_far(self) -> str | None:
        """The worst answer so far of the checks that decide; None while nothing was judged."""
        deciding = [check for check in self.checks.values() if not check.get("informational")]
        return worst([check.get("so_far", check.get("verdict")) for check in deciding])

    def take(self, record: Record, origin_s: float | None) -> None:
        """Take in one record of this engine; `origin_s` is the run's origin, CLOCK_MONOTONIC seconds."""
        body = record.body
        if record.kind == "incident":
            self._take_incident(record)
        elif record.segment < self.segment:
            return  # of a life that is over
        elif record.kind == "hello":
            self._begin(record)
        elif record.kind == "bye":
            self.up = False
        elif record.kind == "phase":
            self.phase = printable(body["name"], LONGEST_NAME)
            self._window.clear()
            if (operations := self.counters.get("operations_total")) is not None:
                self._window.append((record.at.mono_s, operations.total))
        elif record.kind == "sample":
            self._take_sample(record, origin_s)
        elif record.kind == "latency":
            self._take_latency(body)

    def as_dict(self) -> dict[str, Any]:
        """Say the same in JSON's types."""
        return {
            "name": self.name, "kind": self.kind, "role": self.role, "up": self.up, "phase": self.phase,
            "segment": self.segment, "pid": self.pid, "target_per_s": self.target_per_s,
            "rate_per_s": self.rate_per_s, "operations": self.operations, "restarts": self.restarts,
            "incidents": dict(self.incidents), "latest": dict(self.latest), "latency": dict(self.latency),
            "state": self.state, "state_so_far": self.state_so_far, "class": self.growth_class,
            "checks": list(self.checks.values()),
            "probes": {
                name: {"duration_s": self.probe_durations_s.get(name), "failures_total": int(failures.total)}
                for name, failures in self.probe_failures.items()
            },
        }  # fmt: skip

    def apply(self, verdict: Mapping[str, Any]) -> None:
        """Take the engine's part of a verdict."""
        self.state, self.growth_class = verdict.get("verdict"), verdict.get("class")
        self.checks = {str(check["id"]): check for check in verdict.get("checks") or () if "id" in check}

    def _begin(self, hello: Record) -> None:
        if hello.segment != self.segment:
            for chained in (*self.counters.values(), *self.probe_failures.values()):
                chained.restart()
        self.up, self.segment, self.phase = True, hello.segment, None
        self.pid = hello.body.get("pid")
        self.latest.clear()
        self.latency.clear()
        self._window.clear()

    def _take_incident(self, incident: Record) -> None:
        what = _kind_of(incident, self.incidents)
        self.incidents[what] += 1
        if what == "restart":
            self.restarts += 1
        elif what in ENDINGS and incident.segment >= self.segment:
            self.up = False

    def _take_sample(self, sample: Record, origin_s: float | None) -> None:
        inside = sample.body.get("source") != "outside"
        numbers = {name: value for name, value in sample.body.items() if _is_number(value)}
        for total, parts in SUMS.items():
            if all(part in numbers for part in parts):
                numbers[total] = sum(numbers[part] for part in parts)
        for name, value in numbers.items():
            self._take_number(name, value)
        if not inside:
            return
        if (operations := self.counters.get("operations_total")) is not None:
            self._window.append((sample.at.mono_s, operations.total))
        slot = int((sample.at.mono_s - origin_s) / self.sample_every_s) if origin_s is not None else 0
        if slot > self._last_slot:
            self._last_slot, self.slots = slot, self.slots + 1

    def _take_number(self, name: str, value: float) -> None:
        if name.startswith("probe.") and name.endswith(".duration_s"):
            _keep(self.probe_durations_s, name[6:-11], value)
        elif name.startswith("probe.") and name.endswith(".failures_total"):
            _chain(self.probe_failures, name[6:-15], value)
        elif name in COUNTERS:
            _chain(self.counters, name, value)
        else:
            _keep(self.latest, name, value)

    def _take_latency(self, body: Mapping[str, Any]) -> None:
        """Add a window; those in which a forked child lived are left out, as in the verdict."""
        if body.get("window"):
            return
        service, response = unpack(body["service"]), unpack(body["response"])
        self.service.add(service)
        self.response.add(response)
        quantiles = {
            "service_p50_s": quantile_s(service, 0.50),
            "service_p95_s": quantile_s(service, 0.95),
            "service_p99_s": quantile_s(service, 0.99),
            "response_p99_s": quantile_s(response, 0.99),
            "lateness_p99_s": quantile_s(unpack(body["lateness"]), 0.99),
        }
        if service:
            self.latency = {name: value for name, value in quantiles.items() if value is not None}


class RunStatus:
    """What is known of a run, and of each engine in the plan's order."""

    def __init__(self, plan: Plan, run_id: str) -> None:
        self.plan = plan
        self.run_id = run_id
        self.engines: dict[str, EngineStatus] = {e.config.name: _new_engine(e) for e in plan.engines}
        self.origin_s: float | None = None
        """CLOCK_MONOTONIC and wall seconds of the moment when every engine stood ready."""
        self.origin_wall_s: float | None = None
        self.end_s: float | None = None
        self.last_sample_wall_s: float | None = None
        self.own: dict[str, float] = {}
        """The daemon's own last readings."""
        self.state: str | None = None
        """The verdict as the judge wrote it: INCOMPLETE while the run goes on."""
        self.summary: str | None = None
        self.unreadable = 0
        """Records that could not be understood."""
        self._incidents: Counter[str] = Counter()

    def fold(self, records: Sequence[Record]) -> None:
        """Take in a committed batch; a record that cannot be understood is counted and left out."""
        for record in records:
            try:
                self._take(record)
            except (AttributeError, KeyError, TypeError, ValueError):
                self.unreadable += 1

    def apply_verdict(self, verdict: Mapping[str, Any]) -> None:
        """Take what the judge wrote, so far or final."""
        self.state, self.summary = verdict.get("verdict"), verdict.get("summary")
        for entry in verdict.get("engines") or ():
            if (engine := self.engines.get(entry.get("name"))) is not None:
                engine.apply(entry)

    @property
    def phase(self) -> str | None:
        """The phase that most engines are in; None until one is."""
        phases = Counter(engine.phase for engine in self.engines.values() if engine.phase)
        return phases.most_common(1)[0][0] if phases else None

    @property
    def state_so_far(self) -> str | None:
        """The worst answer so far of the engines that decide, or the verdict once it is final."""
        if self.state not in (None, "INCOMPLETE"):
            return self.state
        return worst([e.state_so_far for e in self.engines.values() if e.role in DECIDING_ROLES])

    @property
    def incidents(self) -> Counter[str]:
        """Incidents of engines, run and host, by what they are."""
        return sum((engine.incidents for engine in self.engines.values()), Counter(self._incidents))

    def elapsed_s(self, now_s: float) -> float | None:
        """Seconds since the origin, until the end; None before the origin."""
        if self.origin_s is None:
            return None
        return max(0.0, (now_s if self.end_s is None else self.end_s) - self.origin_s)

    def remaining_s(self, now_s: float) -> float | None:
        """Seconds that the plan still has; None before the origin."""
        elapsed_s = self.elapsed_s(now_s)
        return None if elapsed_s is None else max(0.0, self.plan.duration_s - elapsed_s)

    def coverage_ratio(self, now_s: float) -> float | None:
        """The share of samples due so far that came, over all engines; None while none was due."""
        elapsed_s = self.elapsed_s(now_s)
        if elapsed_s is None:
            return None
        due = came = 0
        for engine in self.plan.engines:
            known_s = min(elapsed_s, engine.phases[-1].end_s) - engine.sample_every_s - LATE_S
            slots = max(0, int(known_s / engine.sample_every_s))
            due += slots
            came += min(slots, self.engines[engine.config.name].slots)
        return came / due if due else None

    def as_dict(self, now_s: float) -> dict[str, Any]:
        """Say everything in JSON's types."""
        return {
            "run": self.run_id, "name": self.plan.config.run.name, "phase": self.phase, "state": self.state,
            "state_so_far": self.state_so_far, "summary": self.summary,
            "started_at_wall_s": self.origin_wall_s, "elapsed_s": self.elapsed_s(now_s),
            "remaining_s": self.remaining_s(now_s), "planned_s": self.plan.duration_s,
            "coverage_ratio": self.coverage_ratio(now_s), "last_sample_wall_s": self.last_sample_wall_s,
            "incidents": dict(self.incidents), "own": dict(self.own), "unreadable_records": self.unreadable,
            "engines": [engine.as_dict() for engine in self.engines.values()],
        }  # fmt: skip

    def _take(self, record: Record) -> None:
        if record.kind == "sample" and record.engine:
            self.last_sample_wall_s = max(record.at.wall_s, self.last_sample_wall_s or 0.0)
        if record.engine:
            if (engine := self.engines.get(record.engine)) is not None:
                engine.take(record, self.origin_s)
        elif record.kind == "sample":
            for name, value in record.body.items():
                if _is_number(value):
                    _keep(self.own, name, value)
        elif record.kind == "incident":
            self._incidents[_kind_of(record, self._incidents)] += 1
        elif record.body.get("name") == "origin":
            self.origin_s, self.origin_wall_s = float(record.body["mono_s"]), record.at.wall_s
        elif record.body.get("name") == "end":
            self.end_s = record.at.mono_s


def worst(states: Sequence[str | None]) -> str | None:
    """Return the most severe of some states; None where none is known."""
    return max((state for state in states if state in SEVERITY), key=SEVERITY.index, default=None)


def is_loaded(phase: str | None) -> bool:
    """Tell whether operations are performed in a phase."""
    return phase in LOADED_PHASES


def _new_engine(plan: EnginePlan) -> EngineStatus:
    config = plan.config
    return EngineStatus(
        name=config.name, kind=config.kind, role=config.role, target_per_s=plan.rate_per_s,
        sample_every_s=plan.sample_every_s,
    )  # fmt: skip


def _kind_of(incident: Record, known: Counter[str]) -> str:
    what = printable(incident.body["what"], LONGEST_NAME)
    return what if what in known or len(known) < MOST_KINDS else "other"


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


def _keep(values: dict[str, float], name: str, value: float) -> None:
    if name in values or len(values) < MOST_NAMES:
        values[name] = value


def _chain(counters: dict[str, Chained], name: str, value: float) -> None:
    if name in counters or len(counters) < MOST_NAMES:
        counters.setdefault(name, Chained()).read(value)

"""The state of one engine."""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from soakd.live.status.heap import HeapGrowth
from soakd.live.status.history import KEPT_OF_SERVER, History, of_sample, units_of
from soakd.live.status.parts import (
    LONGEST_NAME,
    Chained,
    LatencyTotals,
    answer_so_far,
    chain,
    count_incident,
    keep,
    printable,
)
from soakd.live.status.server import ServerStatus, kind_of
from soakd.verdict.check import Check
from soakd.verdict.severity import State
from soakd.verdict.site_words import site_facts
from soakd.verdict.types import EngineVerdict
from soakd.wire.histogram import quantile_s, unpack
from soakd.wire.records import (
    NO_PROCESS,
    Bye,
    Hello,
    Incident,
    Latency,
    Look,
    Phase,
    Record,
    Sample,
    Snapshot,
    is_of_a_server,
)
from soakd.wire.signal_sums import SUMMED, sum_of
from soakd.wire.sites import Site, encode

OUTCOMES: Mapping[str, str] = {"error": "errors_total", "dropped": "dropped_total", "skipped": "skipped_total"}
OWN_COUNTERS = (
    "retries_total", "timeouts_total", "connection_errors_total", "reloads_total", "served_by_other_total",
    "compared_total", "disagreements_total",
)  # fmt: skip
"""Counters of the engine itself, if it has them: in samples they are `counter.<name>`."""
COUNTERS = frozenset({"operations_total", "cpu_s_total", *OUTCOMES.values(), *(f"counter.{n}" for n in OWN_COUNTERS)})
RATE_SAMPLES = 6
MOST_SITES, MOST_FRAMES = 20, 12
"""Shown of one engine, and of one site."""


@dataclass(slots=True, kw_only=True)
class EngineStatus:
    """The state of one engine. Unknown values are None or absent, never 0."""

    name: str
    kind: str
    role: str
    target_per_s: float
    """Configured rate, operations per second."""
    sample_every_s: float
    up: bool = False
    ended_by: str | None = None
    """The incident that ended the last life, or "completed"; None before the first end."""
    phase: str | None = None
    segment: int = 0
    pid: int | None = None
    latest: dict[str, float] = field(default_factory=dict)
    """Signal -> last reading of this life, in the unit at the end of its name."""
    counters: dict[str, Chained] = field(default_factory=dict)
    """Counter of driver or process -> its count over all lives."""
    restarts: int = 0
    incidents: Counter[str] = field(default_factory=Counter)
    latency: dict[str, float] = field(default_factory=dict)
    """The last window's service_p50_s, service_p95_s, service_p99_s, response_p99_s and lateness_p99_s."""
    service: LatencyTotals = field(default_factory=LatencyTotals)
    response: LatencyTotals = field(default_factory=LatencyTotals)
    probe_durations_s: dict[str, float] = field(default_factory=dict)
    probe_failures: dict[str, Chained] = field(default_factory=dict)
    state: State | None = None
    """The engine's verdict from the judge: INCOMPLETE while the run is live."""
    growth_class: str | None = None
    checks: dict[str, Check] = field(default_factory=dict)
    """Check id -> the check from the verdict, with `decides`."""
    reason: str | None = None
    """The judge's sentence about its growth."""
    sites: tuple[Site, ...] = ()
    """Where it grows, from the verdict or the last deep look."""
    twin_of: str | None = None
    load_s: tuple[float, float] = (0.0, float("inf"))
    """The planned load phase, in seconds since the run's origin."""
    history: History = field(init=False)
    """Thinned series."""
    heap: HeapGrowth = field(default_factory=HeapGrowth)
    """Growth between its snapshots."""
    server: ServerStatus | None = None
    """The engine's server, if soakd watches one."""
    slots: int = 0
    """Number of scheduled sampling times with a sample."""
    _last_slot: int = 0
    _window: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=RATE_SAMPLES))

    def __post_init__(self) -> None:
        """Start without readings."""
        self.history = History(self.sample_every_s)

    @property
    def rate_per_s(self) -> float | None:
        """Operations per second over the last samples of this phase; None until there are two."""
        if len(self._window) < 2:
            return None
        (from_s, before), (to_s, after) = self._window[0], self._window[-1]
        return (after - before) / (to_s - from_s) if to_s > from_s else None

    @property
    def operations(self) -> dict[str, int]:
        """Outcome (ok, error, dropped, skipped) -> operations over all lives; empty until one was counted."""
        if "operations_total" not in self.counters:
            return {}
        totals = {name: int(self.counters[key].total) for name, key in OUTCOMES.items() if key in self.counters}
        return {"ok": int(self.counters["operations_total"].total) - totals.get("error", 0), **totals}

    @property
    def errors(self) -> int | None:
        """Operations that raised, over all lives."""
        return self.operations.get("error")

    @property
    def state_so_far(self) -> State | None:
        """The worst answer so far among the checks that decide; None while nothing was judged."""
        return answer_so_far(self.checks.values())

    @property
    def deciding_so_far(self) -> State | None:
        """The worst answer so far among the checks that decide for the run; None if there are none."""
        return answer_so_far(check for check in self.checks.values() if check.decides)

    def take(self, record: Record, origin_s: float | None) -> None:
        """Add one record of this engine; `origin_s` is the run's origin, CLOCK_MONOTONIC seconds."""
        if is_of_a_server(record):
            self._take_server(record, origin_s)
        elif isinstance(record, Incident):
            self._take_incident(record)
        elif record.segment >= self.segment:  # not of a life that is over
            self._take_living(record, origin_s)

    def as_dict(self) -> dict[str, Any]:
        """Return the state as JSON types."""
        return {
            "name": self.name, "kind": self.kind, "role": self.role, "up": self.up, "ended_by": self.ended_by,
            "phase": self.phase,
            "segment": self.segment, "pid": self.pid, "target_per_s": self.target_per_s,
            "rate_per_s": self.rate_per_s, "operations": self.operations, "restarts": self.restarts,
            "incidents": dict(self.incidents), "latest": dict(self.latest), "latency": dict(self.latency),
            "state": self.state, "state_so_far": self.state_so_far, "decides": self.deciding_so_far is not None,
            "class": self.growth_class, "reason": self.reason, "twin_of": self.twin_of,
            "checks": [check.as_dict() for check in self.checks.values()],
            "sites": [_shown(site) for site in self.sites[:MOST_SITES]],
            "heap": self.heap.as_dict(),
            "signals": dict(units_of(self.history.signals)),
            "server": self.server.as_dict() if self.server else None,
            "probes": {
                name: {"duration_s": self.probe_durations_s.get(name), "failures_total": int(failures.total)}
                for name, failures in self.probe_failures.items()
            },
        }  # fmt: skip

    def apply(self, verdict: EngineVerdict) -> None:
        """Apply the engine's part of a verdict."""
        self.state, self.growth_class = verdict.verdict, verdict.growth_class or None
        self.reason = printable(verdict.reason) if verdict.reason else None
        self.sites = verdict.attribution or self.sites
        self.checks = {check.id: check for check in verdict.checks}

    def _begin(self, hello: Hello) -> None:
        if hello.segment != self.segment:
            for chained in (*self.counters.values(), *self.probe_failures.values()):
                chained.restart()
        self.up, self.segment, self.phase = True, hello.segment, None
        self.pid = hello.pid
        self.latest.clear()
        self.latency.clear()
        self._window.clear()
        self.history.restart()

    def _take_living(self, record: Record, origin_s: float | None) -> None:
        match record:
            case Hello():
                self._begin(record)
            case Bye():
                self.up, self.ended_by = False, "completed"
            case Phase(name=str(name)):
                self._enter(name, record.at.mono_s)
            case Phase():
                raise ValueError("a phase without a name")
            case Sample():
                self._take_sample(record, origin_s)
            case Latency():
                self._take_latency(record, None if origin_s is None else record.at.mono_s - origin_s)
            case Snapshot():
                self._take_snapshot(record, origin_s)
            case Look(state="done", sites=sites) if sites:
                self.sites = sites

    def _enter(self, name: str, mono_s: float) -> None:
        self.phase = printable(name, LONGEST_NAME)
        self._window.clear()
        if (operations := self.counters.get("operations_total")) is not None:
            self._window.append((mono_s, operations.total))

    def _take_snapshot(self, snapshot: Snapshot, origin_s: float | None) -> None:
        if snapshot.duration_s is not None:
            keep(self.probe_durations_s, "snapshot", snapshot.duration_s)
        if origin_s is None:
            return
        t_s = snapshot.at.mono_s - origin_s
        if self.load_s[0] <= t_s <= self.load_s[1] and (heap := snapshot.heap()) is not None:
            self.heap.take(heap, snapshot.segment, t_s)

    def _take_server(self, record: Record, origin_s: float | None) -> None:
        """Add a record about the engine's server; its probes count as the engine's."""
        if isinstance(record, Incident):
            count_incident(self.incidents, record.what)
        if self.server is None:
            self.server = ServerStatus(kind=kind_of(record) or "other")  # for good: it is a label
        self.server.take(record)
        if not isinstance(record, Sample):
            return
        for name, value in record.readings.items():
            if name.startswith("probe."):
                self._take_number(name, value)
            elif origin_s is not None and name in KEPT_OF_SERVER:
                self.history.put(f"server.{name}", record.at.mono_s - origin_s, value)

    def _take_incident(self, incident: Incident) -> None:
        what = count_incident(self.incidents, incident.what)
        if what == "restart":
            self.restarts += 1
        elif what in NO_PROCESS and incident.segment >= self.segment:
            self.up, self.ended_by = False, what

    def _take_sample(self, sample: Sample, origin_s: float | None) -> None:
        sums = {name: sum_of(sample.readings, name) for name in SUMMED}
        numbers = {**sample.readings, **{name: total for name, total in sums.items() if total is not None}}
        for name, value in numbers.items():
            self._take_number(name, value)
        if origin_s is not None:
            of_sample(self.history, numbers, sample.at.mono_s - origin_s)
        if sample.source == "outside":
            return
        if (operations := self.counters.get("operations_total")) is not None:
            self._window.append((sample.at.mono_s, operations.total))
        slot = int((sample.at.mono_s - origin_s) / self.sample_every_s) if origin_s is not None else 0
        if slot > self._last_slot:
            self._last_slot, self.slots = slot, self.slots + 1

    def _take_number(self, name: str, value: float) -> None:
        if name.startswith("probe.") and name.endswith(".duration_s"):
            keep(self.probe_durations_s, name[6:-11], value)
        elif name.startswith("probe.") and name.endswith(".failures_total"):
            chain(self.probe_failures, name[6:-15], value)
        elif name in COUNTERS:
            chain(self.counters, name, value)
        else:
            keep(self.latest, name, value)

    def _take_latency(self, latency: Latency, t_s: float | None) -> None:
        """Add a latency window; those with a forked child are left out, as in the verdict."""
        if latency.window:
            return
        service, response = unpack(latency.service), unpack(latency.response)
        self.service.add(service)
        self.response.add(response)
        quantiles = {
            "service_p50_s": quantile_s(service, 0.50),
            "service_p95_s": quantile_s(service, 0.95),
            "service_p99_s": quantile_s(service, 0.99),
            "response_p99_s": quantile_s(response, 0.99),
            "lateness_p99_s": quantile_s(unpack(latency.lateness), 0.99),
        }
        if service:
            self.latency = {name: value for name, value in quantiles.items() if value is not None}
            for name, value in self.latency.items():
                if t_s is not None:
                    self.history.put(name, t_s, value)


def _shown(site: Site) -> dict[str, Any]:
    """Return a site as the page shows it, with its facts in words: names come from the engine's code."""
    fields = encode(replace(site, frames=site.frames[:MOST_FRAMES])) | {"facts": list(site_facts(site))}
    return {key: _printable(value) for key, value in fields.items() if value is not None}


def _printable(value: Any) -> Any:
    if isinstance(value, list):
        return [printable(text) for text in value]
    return printable(value) if isinstance(value, str) else value

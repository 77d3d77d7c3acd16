"""What Prometheus scrapes, with the names, labels and units of docs/metrics.md. Shows; computes nothing.

An unknown value is absent, never 0. A registry of its own leaves out the process and platform collectors: the
daemon's footprint has names of its own, and the engines are other processes.
"""

import functools
import hashlib
import importlib.metadata
import platform
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from soakd.model import State
from soakd.status import BOUNDS_S, EngineStatus, LatencyTotals, RunStatus

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
STATES: tuple[str, ...] = get_args(State)

PROCESS = {
    "soakd_engine_resident_memory_bytes": ("rss_bytes", "Resident memory of the engine's process."),
    "soakd_engine_resident_anonymous_memory_bytes": ("rss_anon_bytes", "Anonymous part of resident memory."),
    "soakd_engine_swap_bytes": ("swap_bytes", "Swapped memory of the engine's process."),
    "soakd_engine_proportional_memory_bytes": ("pss_bytes", "Resident memory, shared pages divided by their users."),
    "soakd_engine_reachable_bytes": ("reachable_bytes", "Live bytes that a full collection would leave."),
    "soakd_engine_rust_bytes": ("rust_bytes", "Bytes allocated by soakd's own Rust code; part of native live bytes."),
    "soakd_engine_open_fds": ("fds", "Open file descriptors of the engine's process."),
    "soakd_engine_threads": ("threads", "Threads of the engine's process."),
    "soakd_engine_tasks": ("tasks", "asyncio tasks in the engine's process."),
}
"""Gauge -> signal that it shows, and its help. Only of a process that lives."""

OWN = {
    "soakd_daemon_resident_memory_bytes": ("rss_bytes", "Resident memory of the daemon."),
    "soakd_daemon_open_fds": ("fds", "Open file descriptors of the daemon."),
    "soakd_daemon_threads": ("threads", "Threads of the daemon."),
}
LATENCIES = {
    "soakd_engine_service_seconds": ("service", "From the start of an operation to its end."),
    "soakd_engine_response_seconds": ("response", "From the scheduled start of an operation to its end."),
}
PER_HOUR = {"estimate": "per_hour", "low": "per_hour_low", "high": "per_hour_high"}
"""Bound -> its name in a check that is judged per operation."""
GROWTH_UNITS = ("bytes/hour", "bytes/operation")


class SoakdCollector(Collector):
    """The families of one scrape of one run. `now_s` is CLOCK_MONOTONIC seconds."""

    def __init__(self, status: RunStatus, now_s: float) -> None:
        self._status = status
        self._now_s = now_s

    def collect(self) -> Iterator[Metric]:
        """Yield every family that has a value."""
        for family in (*self._run(), *self._engines(), *self._growth(), *self._judged(), *self._own()):
            if family.samples:
                yield family

    def _run(self) -> Iterator[Metric]:
        status, now_s = self._status, self._now_s
        config = status.plan.config
        sha256 = hashlib.sha256(config.text.encode()).hexdigest()
        yield _info("soakd_build", "The soakd that runs.", _build())
        yield _info("soakd_run", "The run.", {"run": status.run_id, "name": config.run.name, "config_sha256": sha256})
        for name, text, value in (
            ("soakd_run_start_timestamp_seconds", "When every engine stood ready.", status.origin_wall_s),
            ("soakd_run_elapsed_seconds", "Time since the start.", status.elapsed_s(now_s)),
            ("soakd_run_planned_seconds", "Length of the plan.", status.plan.duration_s),
            ("soakd_sample_coverage_ratio", "Share of the samples due so far that came.", status.coverage_ratio(now_s)),
            ("soakd_last_sample_timestamp_seconds", "When the last sample was taken.", status.last_sample_wall_s),
        ):
            yield self._gauge(name, text, [], [((), value)])

    def _engines(self) -> Iterator[Metric]:
        engines = self._status.engines.values()
        yield self._per_engine("soakd_engine_up", "1 while the engine's process lives.", lambda e: float(e.up))
        name = "soakd_engine_planned_operations_per_second"
        yield self._per_engine(name, "Configured rate.", lambda e: e.target_per_s)
        for name, (signal, text) in PROCESS.items():
            yield self._per_engine(name, text, functools.partial(_signal, signal=signal))
        parts = [
            ((e.name, part), _signal(e, signal=f"live_{part}_bytes")) for e in engines for part in ("python", "native")
        ]
        yield self._gauge("soakd_engine_live_bytes", "Bytes in allocated blocks.", ["engine", "part"], parts)
        lateness = "99th percentile of the last window: how late operations started."
        yield self._per_engine("soakd_engine_lateness_seconds", lateness, lambda e: e.latency.get("lateness_p99_s"))
        for name, (which, text) in LATENCIES.items():
            yield self._histogram(name, text, {e.name: getattr(e, which) for e in engines})
        operations = [((e.name, outcome), count) for e in engines for outcome, count in e.operations.items()]
        yield self._counter("soakd_engine_operations", "Operations by outcome.", ["engine", "outcome"], operations)
        yield self._counter(
            "soakd_engine_cpu_seconds", "Processor time of the engine's processes.", ["engine"],
            [((e.name,), e.counters["cpu_s_total"].total) for e in engines if "cpu_s_total" in e.counters],
        )  # fmt: skip
        restarts = [((e.name,), e.restarts) for e in engines]
        yield self._counter("soakd_engine_restarts", "Restarts of the engine's process.", ["engine"], restarts)
        durations = [((e.name, probe), value) for e in engines for probe, value in e.probe_durations_s.items()]
        yield self._gauge("soakd_probe_duration_seconds", "Last duration of a probe.", ["engine", "probe"], durations)
        failures = [((e.name, probe), count.total) for e in engines for probe, count in e.probe_failures.items()]
        yield self._counter("soakd_probe_failures", "Readings that failed.", ["engine", "probe"], failures)

    def _growth(self) -> Iterator[Metric]:
        """Growth as the judge last saw it, of signals that are bytes; hourly and per operation, where it knows both."""
        rates: dict[tuple[str, ...], float | None] = {}
        per_operation: dict[tuple[str, ...], float | None] = {}
        detectable: dict[tuple[str, ...], float | None] = {}
        for engine, signal, check in _growth_checks(self._status):
            key = (engine, signal)
            if check["unit"] == "bytes/hour":
                rates |= {(*key, bound): _per_second(check.get(bound)) for bound in ("estimate", "low", "high")}
                detectable[key] = _per_second(check.get("minimum_detectable"))
                per_operation.setdefault(key, check.get("per_operation"))
            else:
                for bound, hourly in PER_HOUR.items():
                    rates.setdefault((*key, bound), _per_second(check.get(hourly)))
                detectable.setdefault(key, _per_second(check.get("per_hour_minimum_detectable")))
                per_operation[key] = check.get("estimate")
        labels = ["engine", "signal"]
        name = "soakd_engine_growth_bytes_per_second"
        yield self._gauge(name, "Growth that remains, with its 95 % interval.", [*labels, "bound"], rates.items())
        name = "soakd_engine_growth_bytes_per_operation"
        yield self._gauge(name, "Growth that remains, per operation.", labels, per_operation.items())
        name = "soakd_engine_minimum_detectable_growth_bytes_per_second"
        yield self._gauge(name, "The growth that would have been called a failure.", labels, detectable.items())
        name = "soakd_engine_time_to_limit_seconds"
        yield self._per_engine(name, "Time until growth reaches a limit, if it goes on as it does.", _time_to_limit)

    def _judged(self) -> Iterator[Metric]:
        engines = self._status.engines.values()
        states = [((e.name, str(i)), c.get("so_far", c.get("verdict"))) for e in engines for i, c in e.checks.items()]
        yield self._states("soakd_check_state", "1 for the present answer of a check.", ["engine", "check"], states)
        yield self._states("soakd_verdict_state", "1 for the verdict of the run.", [], [((), self._status.state)])
        incidents = [((kind,), count) for kind, count in self._status.incidents.items()]
        yield self._counter("soakd_incidents", "Incidents by kind.", ["kind"], incidents)

    def _own(self) -> Iterator[Metric]:
        own = self._status.own
        for name, (signal, text) in OWN.items():
            yield self._gauge(name, text, [], [((), own.get(signal))])
        cpu = [((), own["cpu_s_total"])] if "cpu_s_total" in own else []
        yield self._counter("soakd_daemon_cpu_seconds", "Processor time of the daemon.", [], cpu)
        unreadable = [((), self._status.unreadable)]
        yield self._counter("soakd_daemon_unreadable_records", "Records that were not understood.", [], unreadable)

    def _per_engine(self, name: str, text: str, value_of: Any) -> Metric:
        engines = self._status.engines.values()
        return self._gauge(name, text, ["engine"], [((engine.name,), value_of(engine)) for engine in engines])

    def _gauge(self, name: str, text: str, labels: list[str], values: Iterable[tuple[Any, float | None]]) -> Metric:
        family = GaugeMetricFamily(name, text, labels=["run", *labels])
        return self._fill(family, values)

    def _counter(self, name: str, text: str, labels: list[str], values: Iterable[tuple[Any, float | None]]) -> Metric:
        return self._fill(CounterMetricFamily(name, text, labels=["run", *labels]), values)

    def _fill(self, family: Any, values: Iterable[tuple[Any, float | None]]) -> Metric:
        for labels, value in values:
            if value is not None:
                family.add_metric([self._status.run_id, *labels], value)
        filled: Metric = family
        return filled

    def _states(self, name: str, text: str, labels: list[str], states: Iterable[tuple[Any, str | None]]) -> Metric:
        known = [(key, state) for key, state in states if state is not None]
        values = [((*key, state), float(state == present)) for key, present in known for state in STATES]
        return self._gauge(name, text, [*labels, "state"], values)

    def _histogram(self, name: str, text: str, totals: Mapping[str, LatencyTotals]) -> Metric:
        family = HistogramMetricFamily(name, text, labels=["run", "engine"])
        for engine, latency in totals.items():
            if any(latency.counts):
                family.add_metric([self._status.run_id, engine], _cumulative(latency), latency.sum_s)
        return family


def render(status: RunStatus, now_s: float) -> bytes:
    """Write one scrape in Prometheus' text format (`CONTENT_TYPE`); `now_s` is CLOCK_MONOTONIC seconds."""
    registry = CollectorRegistry()
    registry.register(SoakdCollector(status, now_s))
    return generate_latest(registry)


@functools.cache
def _build() -> Mapping[str, str]:
    try:
        version = importlib.metadata.version("soakd")
    except importlib.metadata.PackageNotFoundError:
        version = "unknown"
    return {"version": version, "python": platform.python_version()}


def _info(name: str, text: str, labels: Mapping[str, str]) -> Metric:
    family = GaugeMetricFamily(f"{name}_info", text, labels=[*labels])
    family.add_metric([*labels.values()], 1.0)
    return family


def _signal(engine: EngineStatus, *, signal: str) -> float | None:
    return engine.latest.get(signal) if engine.up else None


def _time_to_limit(engine: EngineStatus) -> float | None:
    """Return the shortest time of any signal to its limit."""
    times = (check.get("time_to_limit_seconds") for check in engine.checks.values())
    return min((time for time in times if time is not None), default=None)


def _growth_checks(status: RunStatus) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield engine, signal and check of all growth that is counted in bytes."""
    for engine in status.engines.values():
        for check_id, check in engine.checks.items():
            if check_id.startswith("growth.") and check.get("unit") in GROWTH_UNITS:
                yield engine.name, check_id.removeprefix("growth.").removesuffix(".per_operation"), check


def _per_second(per_hour: float | None) -> float | None:
    return None if per_hour is None else per_hour / 3600.0


def _cumulative(latency: LatencyTotals) -> list[tuple[str, float]]:
    buckets, seen = [], 0
    for bound, count in zip([*map(repr, BOUNDS_S), "+Inf"], latency.counts, strict=True):
        seen += count
        buckets.append((bound, float(seen)))
    return buckets

"""The signals of records that are drawn: levels as they are, counters as rates."""

from collections.abc import Mapping
from typing import Any

from soakd.judge.story.readings import is_number
from soakd.report.curves.bands import Thinner
from soakd.report.curves.values import Band
from soakd.wire.histogram import quantile_s, unpack
from soakd.wire.records import Record
from soakd.wire.sums import SUMS, sum_of

LEVELS = {
    None: ("live_bytes", "reachable_bytes", "tasks", "counter.entries"),
    "outside": (
        "rss_bytes", "rss_anon_bytes", "fds", "threads", "memory_available_bytes", "host_cpu_pressure_ratio",
        "host_steal_ratio",
    ),
    "server": ("rss_bytes", "rss_anon_bytes", "live_bytes"),
}  # fmt: skip
"""Drawn levels by source: the worker, soakd from outside, or a server."""
RATES = {
    None: {"operations_total": "operations_per_s", "errors_total": "errors_per_s", "dropped_total": "dropped_per_s"},
    "outside": {"cpu_s_total": "cpu_ratio"},
    "server": {"cpu_s_total": "cpu_ratio"},
}
"""Counter -> name of its rate per second."""
QUANTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
LEAST_STEP_S = 0.05
"""Least time between two readings that make a rate."""


class Signals:
    """The curves of one engine, or of soakd itself, read record by record."""

    def __init__(self, origin_s: float, end_s: float, columns: int) -> None:
        self._origin_s = origin_s
        self._chart = (0.0, end_s, columns)
        self._thinners: dict[str, Thinner] = {}
        self._counters: dict[str, tuple[float, float, int]] = {}

    def sample(self, record: Record) -> None:
        """Add a sample."""
        source, t_s, body = record.body.get("source"), record.at.mono_s - self._origin_s, record.body
        prefix = "server." if source == "server" else ""
        for name in LEVELS.get(source, ()):
            value = _level(body, name, summed=source is None)
            if value is not None:
                forked_s = body.get("reachable_forked_at_s") if name == "reachable_bytes" else None
                at_s = forked_s - self._origin_s if forked_s is not None and is_number(forked_s) else t_s
                self._add(prefix + name, at_s, value, record.segment)
        for name, rate in RATES.get(source, {}).items():
            if (value := body.get(name)) is not None and is_number(value):
                self._count(prefix + rate, t_s, float(value), record.segment)

    def latency(self, record: Record) -> None:
        """Add the latencies of a window in which only the engine was at work."""
        begun_s, service = record.body.get("from_mono_s"), record.body.get("service")
        if record.body.get("window") or begun_s is None or not is_number(begun_s) or not isinstance(service, str):
            return
        try:
            histogram = unpack(service)
        except ValueError:
            return  # the judge counts it, and calls the run INVALID
        middle_s = (begun_s + record.at.mono_s) / 2 - self._origin_s
        for name, q in QUANTILES.items():
            if (value := quantile_s(histogram, q)) is not None:
                self._add(name, middle_s, value, record.segment)

    def bands(self) -> dict[str, Band]:
        """Return the curves."""
        found = {name: thinner.band() for name, thinner in self._thinners.items()}
        return {name: band for name, band in found.items() if band is not None}

    def _add(self, name: str, t_s: float, value: float, life: int) -> None:
        thinner = self._thinners.get(name)
        if thinner is None:
            thinner = self._thinners[name] = Thinner(*self._chart)
        thinner.add(t_s, value, life)

    def _count(self, name: str, t_s: float, total: float, life: int) -> None:
        before = self._counters.get(name)
        if before is not None and before[2] == life:
            step_s = t_s - before[0]
            if step_s < LEAST_STEP_S:
                return
            self._add(name, (t_s + before[0]) / 2, max(0.0, total - before[1]) / step_s, life)
        self._counters[name] = (t_s, total, life)


def _level(body: Mapping[str, Any], name: str, *, summed: bool) -> float | None:
    if summed and name in SUMS:
        return sum_of(body, name)
    value = body.get(name)
    return float(value) if value is not None and is_number(value) else None

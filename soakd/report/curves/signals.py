"""The signals of records that are drawn: levels as they are, counters as rates."""

from soakd.report.curves.bands import Thinner
from soakd.report.curves.values import Band
from soakd.wire.histogram import quantile_s, unpack
from soakd.wire.records import Latency, Sample
from soakd.wire.signal_sums import SUMMED, sum_of

LEVELS = {
    None: ("live_bytes", "reachable_bytes", "tasks", "counter.entries"),
    "outside": (
        "rss_bytes", "resident_bytes", "rss_anon_bytes", "fds", "threads", "memory_available_bytes",
        "host_cpu_pressure_ratio", "host_steal_ratio",
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

    def sample(self, sample: Sample) -> None:
        """Add a sample."""
        source, t_s, readings = sample.source, sample.at.mono_s - self._origin_s, sample.readings
        prefix = "server." if source == "server" else ""
        for name in LEVELS.get(source, ()):
            value = sum_of(readings, name) if source != "server" and name in SUMMED else readings.get(name)
            if value is not None:
                forked_s = readings.get("reachable_forked_at_s") if name == "reachable_bytes" else None
                at_s = t_s if forked_s is None else forked_s - self._origin_s
                self._add(prefix + name, at_s, float(value), sample.segment)
        for name, rate in RATES.get(source, {}).items():
            if (value := readings.get(name)) is not None:
                self._count(prefix + rate, t_s, float(value), sample.segment)

    def latency(self, latency: Latency) -> None:
        """Add the latencies of a window in which only the engine was at work."""
        if latency.window:
            return
        try:
            histogram = unpack(latency.service)
        except ValueError:
            return  # the judge counts it, and calls the run INVALID
        middle_s = (latency.from_mono_s + latency.at.mono_s) / 2 - self._origin_s
        for name, q in QUANTILES.items():
            if (value := quantile_s(histogram, q)) is not None:
                self._add(name, middle_s, value, latency.segment)

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

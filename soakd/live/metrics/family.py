"""One family of metrics: its name, its meaning, and the source of its values."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from soakd.live.status import BOUNDS_S, LatencyTotals, RunStatus
from soakd.wire.masking import mask

Type = Literal["gauge", "counter", "histogram", "info"]
Labels = tuple[str, ...]
Value = float | LatencyTotals | None
Values = Iterable[tuple[Labels, Value]]
Read = Callable[[RunStatus, float], Values]
"""Takes a status and CLOCK_MONOTONIC seconds; returns a value for each set of labels, None if it is not known."""

UNITS = {
    "timestamp_seconds": "seconds since 1970", "bytes_per_second": "bytes/second",
    "operations_per_second": "operations/second", "bytes_per_operation": "bytes/operation", "seconds": "seconds",
    "bytes": "bytes", "ratio": "ratio, 0 to 1",
}  # fmt: skip
"""Suffix of a name -> its unit; longer suffixes first."""


@dataclass(frozen=True, slots=True)
class Family:
    """One family. Its series have the label `run` before their own labels."""

    name: str
    """The name as scraped, with the `_total` of a counter and the `_info` of an info."""
    type: Type
    labels: Labels
    meaning: str
    """One sentence without the full stop: Prometheus' help."""
    absent: str
    """When it has no value, or "never"."""
    read: Read
    run_label: bool = True

    @property
    def unit(self) -> str:
        """The base unit at the end of the name; "" if there is none."""
        name = self.name.removesuffix("_total")
        return next((unit for end, unit in UNITS.items() if name.endswith(f"_{end}")), "")

    def collect(self, status: RunStatus, now_s: float) -> Metric:
        """Read the values; one that is not known, or not a number, has no series."""
        labels = ["run", *self.labels] if self.run_label else [*self.labels]
        family: Any = _FAMILIES[self.type](self.name.removesuffix("_total"), f"{self.meaning}.", labels=labels)
        first = [status.run_id] if self.run_label else []
        for labels_of_own, value in self.read(status, now_s):
            own = [mask(label) for label in labels_of_own]
            if isinstance(value, LatencyTotals):
                if value.total:
                    family.add_metric([*first, *own], _cumulative(value), value.sum_s)
            elif value is not None and not math.isnan(value):
                family.add_metric([*first, *own], value)
        filled: Metric = family
        return filled


_FAMILIES: dict[Type, Callable[..., Metric]] = {
    "gauge": GaugeMetricFamily,
    "info": GaugeMetricFamily,
    "counter": CounterMetricFamily,
    "histogram": HistogramMetricFamily,
}


def _cumulative(latency: LatencyTotals) -> list[tuple[str, float]]:
    buckets, seen = [], 0
    for bound, count in zip([*map(repr, BOUNDS_S), "+Inf"], latency.counts, strict=True):
        seen += count
        buckets.append((bound, float(seen)))
    return buckets

"""Time series, thinned as they arrive: a fixed number of values per series, however long the run.

A whole run is kept as the least, greatest and last reading of at most `BUCKETS` intervals, which double in length when
there are too many. The latest `BUCKETS` readings are kept unchanged. Values have single precision: seven digits, more
than a chart can show.
"""

import math
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

BUCKETS = 512
MOST_SERIES = 40
_NAN = float("nan")

KEPT = (
    "rss_bytes", "resident_bytes", "rss_anon_bytes", "reachable_bytes", "live_bytes", "live_python_bytes",
    "live_native_bytes", "rust_bytes", "fds", "threads", "tasks", "counter.entries",
)  # fmt: skip
"""Signals of samples that are kept; the other series are derived from counters and latencies."""
KEPT_OF_SERVER = ("rss_anon_bytes", "live_bytes")
KEPT_OF_OWN = (
    "rss_bytes", "rss_anon_bytes", "memory_available_bytes", "host_cpu_pressure_ratio", "host_others_ratio",
    "run_bytes",
)  # fmt: skip
RATES = {"operations_total": "rate_per_s", "errors_total": "errors_per_s", "cpu_s_total": "cpu_cores"}
"""Counter -> the series of its increase per second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thinned:
    """A series to draw: one entry per interval that has a reading, in order of time."""

    t_s: list[float]
    """Middle of the interval, in seconds since the run's origin."""
    least: list[float]
    greatest: list[float]
    last: list[float]

    def as_dict(self) -> dict[str, Any]:
        """Return the series as JSON types; large values as whole numbers."""
        return {
            "t_s": [round(t, 2) for t in self.t_s],
            **{name: [_short(v) for v in getattr(self, name)] for name in ("least", "greatest", "last")},
        }


class _Series:
    """One series: the whole run in intervals, and a ring of the latest readings."""

    __slots__ = ("greatest", "last", "least", "newest", "recent")

    def __init__(self) -> None:
        self.least, self.greatest, self.last, self.recent = (array("f", [_NAN]) * BUCKETS for _ in range(4))
        self.newest = -1
        """Number of the newest slot in the ring, counted from the origin."""

    def put(self, bucket: int, value: float) -> None:
        if not value >= self.least[bucket]:
            self.least[bucket] = value
        if not value <= self.greatest[bucket]:
            self.greatest[bucket] = value
        self.last[bucket] = value

    def put_recent(self, slot: int, value: float) -> None:
        for skipped in range(max(self.newest + 1, slot - BUCKETS + 1), slot):
            self.recent[skipped % BUCKETS] = _NAN
        self.newest = max(slot, self.newest)
        if slot > self.newest - BUCKETS:
            self.recent[slot % BUCKETS] = value

    def halve(self) -> None:
        """Merge each pair of neighbouring intervals."""
        half = BUCKETS // 2
        for values, choose in ((self.least, _least), (self.greatest, _greatest), (self.last, _last)):
            values[:half] = array("f", (choose(values[2 * i], values[2 * i + 1]) for i in range(half)))
            values[half:] = array("f", [_NAN]) * half

    def add(self, other: "_Series") -> None:
        """Add an older series with the same intervals."""
        for i in range(BUCKETS):
            self.least[i] = _least(self.least[i], other.least[i])
            self.greatest[i] = _greatest(self.greatest[i], other.greatest[i])
            self.last[i] = _last(other.last[i], self.last[i])
        for slot in range(max(0, other.newest - BUCKETS + 1), other.newest + 1):
            free = slot > self.newest - BUCKETS and math.isnan(self.recent[slot % BUCKETS])
            if free and not math.isnan(value := other.recent[slot % BUCKETS]):
                self.put_recent(slot, value)


class History:
    """The series of one process over all its lives."""

    def __init__(self, every_s: float) -> None:
        """Start without readings; `every_s` is the time between two readings."""
        self.every_s = every_s
        self.width_s = every_s
        """Length of an interval of the whole run."""
        self.newest_s = 0.0
        """The time of the latest reading."""
        self.series: dict[str, _Series] = {}
        """Signal -> its series."""
        self._counted: dict[str, tuple[float, float]] = {}

    @property
    def signals(self) -> list[str]:
        """Names of the series that have readings."""
        return list(self.series)

    def put(self, signal: str, t_s: float, value: float) -> None:
        """Add a reading, `at_s` seconds after the run's origin; earlier ones are ignored."""
        if not t_s >= 0.0 or not math.isfinite(value):
            return
        series = self.series.get(signal)
        if series is None:
            if len(self.series) >= MOST_SERIES:
                return
            series = self.series[signal] = _Series()
        self.newest_s = max(self.newest_s, t_s)
        while (bucket := int(t_s / self.width_s)) >= BUCKETS:
            self.widen()
        series.put(bucket, value)
        series.put_recent(int(t_s / self.every_s), value)

    def count(self, counter: str, t_s: float, total: float) -> None:
        """Add a counter's reading as its increase per second; a counter that fell was restarted."""
        before = self._counted.get(counter)
        self._counted[counter] = (t_s, total)
        if before is not None and t_s > before[0] and total >= before[1]:
            self.put(RATES[counter], t_s, (total - before[1]) / (t_s - before[0]))

    def restart(self) -> None:
        """Start another life: its counters begin at 0."""
        self._counted.clear()

    def whole(self, signal: str, points: int = BUCKETS) -> Thinned:
        """Return a series of the whole run in at most `points` points; empty if there is no such series.

        Raises:
            ValueError: fewer than one point.
        """
        if points < 1:
            raise ValueError("a series has at least one point")
        series, step = self.series.get(signal), 1
        if series is None:
            return Thinned(t_s=[], least=[], greatest=[], last=[])
        used = int(self.newest_s / self.width_s) + 1  # of all series, so that they share their intervals
        while math.ceil(used / step) > points:
            step *= 2
        rows = [
            ((start + step / 2) * self.width_s, *_joined(series, range(start, min(start + step, BUCKETS))))
            for start in range(0, used, step)
        ]
        return _thinned(row for row in rows if not math.isnan(row[1]))

    def recent(self, signal: str, points: int = BUCKETS) -> Thinned:
        """Return at most `points` of the latest readings of a series, unchanged."""
        series = self.series.get(signal)
        if series is None:
            return Thinned(t_s=[], least=[], greatest=[], last=[])
        newest = int(self.newest_s / self.every_s)
        slots = range(max(0, newest - min(points, BUCKETS) + 1), series.newest + 1)
        read = ((slot, series.recent[slot % BUCKETS]) for slot in slots)
        return _thinned(((slot + 0.5) * self.every_s, v, v, v) for slot, v in read if not math.isnan(v))

    def add(self, older: "History") -> None:
        """Add an older history."""
        while older.width_s < self.width_s:
            older.widen()
        while self.width_s < older.width_s:
            self.widen()
        self.newest_s = max(self.newest_s, older.newest_s)
        for name, series in older.series.items():
            if name in self.series:
                self.series[name].add(series)
            elif len(self.series) < MOST_SERIES:
                self.series[name] = series

    def widen(self) -> None:
        """Double the length of the intervals."""
        self.width_s *= 2
        for series in self.series.values():
            series.halve()


def of_sample(history: History, body: Mapping[str, Any], t_s: float) -> None:
    """Add the readings of a sample of an engine's process; `body` has only numbers."""
    for name in KEPT:
        if name in body:
            history.put(name, t_s, body[name])
    for name in RATES:
        if name in body:
            history.count(name, t_s, body[name])


def _joined(series: _Series, buckets: Iterable[int]) -> tuple[float, float, float]:
    least = greatest = last = _NAN
    for i in buckets:
        least, greatest = _least(least, series.least[i]), _greatest(greatest, series.greatest[i])
        last = _last(last, series.last[i])
    return least, greatest, last


def _thinned(rows: Iterable[tuple[float, float, float, float]]) -> Thinned:
    columns: list[list[float]] = [list(column) for column in zip(*rows, strict=True)] or [[], [], [], []]
    return Thinned(t_s=columns[0], least=columns[1], greatest=columns[2], last=columns[3])


def _least(a: float, b: float) -> float:
    return b if math.isnan(a) or b < a else a


def _greatest(a: float, b: float) -> float:
    return b if math.isnan(a) or b > a else a


def _last(before: float, after: float) -> float:
    return before if math.isnan(after) else after


def _short(value: float) -> float | int:
    """Round to seven digits."""
    if abs(value) >= 1e4:
        return round(value)
    return float(f"{value:.6g}")


def units_of(signals: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each signal with its unit."""
    for signal in signals:
        unit = next((unit for end, unit in UNITS.items() if signal.endswith(end)), "count")
        yield signal, unit


UNITS = {"_bytes": "bytes", "_per_s": "per second", "_cores": "cores", "_ratio": "ratio", "_s": "seconds"}
"""Suffix of a signal's name -> the unit of its values, longer suffixes first."""

"""Reads latencies for the judge: a day has a hundred thousand histograms, so numpy decodes them.

The layout is that of `soakd.wire.histogram`, which has a reader for processes without numpy.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from soakd.judge.growth.series import IntArray
from soakd.wire.histogram import BUCKETS, unzip, upper_bound_ns

MOST_BYTES = 7
"""The most bytes of a number in a histogram, so that sums fit in 64 bits."""
MOST_OPERATIONS = 1 << 40
"""The most operations in a window: eight million such windows still add up within 64 bits."""


@dataclass(frozen=True, slots=True)
class Latencies:
    """A histogram: ascending buckets, and how many operations fell in each; both (n,)."""

    buckets: IntArray
    counts: IntArray

    @property
    def operations(self) -> int:
        """The number of operations."""
        return int(np.sum(self.counts))

    def quantile_s(self, q: float) -> float | None:
        """Return the q-quantile in seconds (the upper bound of its bucket), or None where it holds nothing."""
        seen = np.cumsum(self.counts)
        if not len(seen) or not seen[-1]:
            return None
        return upper_bound_ns(int(self.buckets[np.searchsorted(seen, q * seen[-1])])) * 1e-9


def read_latencies(packed: str) -> Latencies:
    """Decode the output of `histogram.pack`, of this or an older version.

    Raises:
        ValueError: it is not a packed histogram.
    """
    data, in_columns = unzip(packed)
    numbers = _numbers(data)
    half = len(numbers) // 2
    steps, counts = (numbers[:half], numbers[half:]) if in_columns else (numbers[::2], numbers[1::2])
    if np.any(steps[1:] == 0):
        raise ValueError("histogram with a bucket twice")
    if np.any(steps >= BUCKETS) or np.sum(steps) >= BUCKETS:
        raise ValueError("histogram bucket outside the layout")
    if np.sum(counts) > MOST_OPERATIONS:
        raise ValueError("histogram of more operations than a window can hold")
    return Latencies(np.cumsum(steps), counts)


def merge(several: Iterable[Latencies]) -> Latencies:
    """Add histograms bucket by bucket."""
    total = np.zeros(BUCKETS, dtype=np.int64)
    for one in several:
        total[one.buckets] += one.counts
    buckets = np.flatnonzero(total)
    return Latencies(buckets, total[buckets])


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyWindow:
    """The latencies in a part of one phase; `observed` if a forked child was alive."""

    phase: str | None
    from_s: float
    to_s: float
    segment: int
    observed: bool
    fault: str | None
    """The fault on purpose that was on meanwhile."""
    operations: int
    service_p50_s: float | None
    service_p95_s: float | None
    lateness_p99_s: float | None
    packed: tuple[str, str]
    """service and response, as recorded: a day of them unpacked would not fit the judge's budget."""

    def service(self) -> Latencies:
        """Service times."""
        return read_latencies(self.packed[0])

    def response(self) -> Latencies:
        """Response times, from when operations were due."""
        return read_latencies(self.packed[1])

    def since(self, origin_s: float) -> "LatencyWindow":
        """Return the same window with its times counted from an origin."""
        return replace(self, from_s=self.from_s - origin_s, to_s=self.to_s - origin_s)


def _numbers(data: bytes) -> IntArray:
    """Decode LEB128 numbers: seven bits a byte, lowest first, the last byte of each below 0x80."""
    octets = np.frombuffer(data, dtype=np.uint8).astype(np.int64)
    ends = np.flatnonzero(octets < 0x80)
    if len(ends) % 2 or (len(octets) and (not len(ends) or ends[-1] != len(octets) - 1)):
        raise ValueError("histogram cut short")
    starts = np.concatenate(([0], ends[:-1] + 1)) if len(ends) else ends
    places = np.arange(len(octets)) - np.repeat(starts, ends - starts + 1)
    if np.any(places >= MOST_BYTES):
        raise ValueError("histogram with a number beyond belief")
    return np.add.reduceat((octets & 0x7F) << 7 * places, starts) if len(ends) else octets

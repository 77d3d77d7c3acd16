"""A recorded series becomes clean segments: one per life of the process, each with its own clock."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]

MIN_SAMPLES = 16
"""A segment with fewer samples says nothing about a rate."""
MOST = 1e100
"""Larger numbers, in limits, are no measurement, and their squares no numbers."""
MIN_SHARE = 0.12
"""A segment shorter than this share of the whole duration is ignored: it is mostly warm-up."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One life of the process, in order of time."""

    x: FloatArray
    """Shape (n,), in the unit of the recording (hours, or operations)."""
    y: FloatArray
    """Shape (n,), in the unit of the signal."""

    @property
    def duration(self) -> float:
        """From the first sample to the last, in the unit of x."""
        return float(self.x[-1] - self.x[0])

    @property
    def middle(self) -> float:
        """The median of the signal, from which its values are counted."""
        return float(np.median(self.y))

    @property
    def ceiling_rate(self) -> float:
        """How fast the 90 % quantile rises from the second quarter to the last: falls do not lower it, a leak must."""
        share = (self.x - self.x[0]) / self.duration
        early, late = self.y[(share >= 0.25) & (share < 0.5)], self.y[share >= 0.75]
        if not early.size or not late.size:
            return float("inf")
        return float(np.quantile(late, 0.9) - np.quantile(early, 0.9)) / (self.duration / 2.0)

    def scaled(self, limit: float) -> tuple[FloatArray, FloatArray] | None:
        """Times as shares of the segment and values in limit * duration; None beyond the range of numbers."""
        with np.errstate(all="ignore"):
            x = (self.x - self.x[0]) / self.duration
            y = (self.y - self.middle) / (limit * self.duration)
        return (x, y) if np.all(np.isfinite(x) & (np.abs(y) < MOST)) else None


@dataclass(frozen=True, slots=True)
class Recording:
    """What can be judged of a series, and what was left out."""

    segments: tuple[Segment, ...]
    usable: int
    """Finite, distinct samples in all segments, the ignored ones included."""
    dropped: int
    """Samples that are not a number, or infinite."""
    short: tuple[Segment, ...]
    """Lives with too few samples, or too short beside the whole duration, to be judged alone."""
    left_open: float
    """Share of the duration that they make up, each until the next one begins."""


def longest_gap_s(t_s: FloatArray, start_s: float, end_s: float) -> float:
    """Return the longest time without a reading between two moments, both included; `t_s` in order, in seconds."""
    end_s = max(start_s, end_s)
    return float(np.max(np.diff(np.concatenate(([start_s], np.clip(t_s, start_s, end_s), [end_s])))))


def read_series(x: FloatArray, y: FloatArray, segment: IntArray | None = None) -> Recording:
    """Order the samples, drop what is not finite and what is recorded twice, and cut them into segments.

    Args:
        x: shape (n,), time or operations, in any order.
        y: shape (n,), the signal.
        segment: shape (n,), which life of the process a sample is of; None when there is only one.

    Raises:
        ValueError: the shapes differ.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    life = np.zeros(x.shape, dtype=np.int64) if segment is None else np.asarray(segment, dtype=np.int64)
    if x.ndim != 1 or x.shape != y.shape or x.shape != life.shape:
        raise ValueError(f"x, y and segment must have one length, got shapes {x.shape}, {y.shape}, {life.shape}")
    finite = np.isfinite(x) & np.isfinite(y)
    x, y, life = _distinct(x[finite], y[finite], life[finite])
    lives = tuple(_cut(x, y, life))
    with np.errstate(over="ignore"):
        whole = extent(x)
        long = [s for s in lives if s.x.size >= MIN_SAMPLES and s.duration > 0.0 and s.duration >= MIN_SHARE * whole]
    short = tuple(s for s in lives if not any(s is kept for kept in long))
    dropped = int(finite.size - np.count_nonzero(finite))
    return Recording(tuple(long), x.size, dropped, short, _share_of(short, lives))


def _distinct(x: FloatArray, y: FloatArray, life: IntArray) -> tuple[FloatArray, FloatArray, IntArray]:
    """The same samples by (life, x, y), each once. A series that is in order already is not sorted again."""
    if np.all((life[1:] > life[:-1]) | ((life[1:] == life[:-1]) & (x[1:] > x[:-1]))):
        return x, y, life
    order = np.lexsort((y, x, life))
    x, y, life = x[order], y[order], life[order]
    new = np.ones(x.shape, dtype=bool)
    new[1:] = (x[1:] != x[:-1]) | (y[1:] != y[:-1]) | (life[1:] != life[:-1])
    return x[new], y[new], life[new]


def _share_of(short: tuple[Segment, ...], lives: tuple[Segment, ...]) -> float:
    """The share of the whole that some lives make up; a life lasts until the next one begins."""
    begins = np.sort([life.x[0] for life in lives])
    ends = np.append(begins[1:], max((life.x[-1] for life in lives), default=0.0))
    whole = float(ends[-1] - begins[0]) if lives else 0.0
    lasted = dict(zip(begins.tolist(), (ends - begins).tolist(), strict=True))
    return sum(lasted[float(life.x[0])] for life in short) / whole if whole else 0.0


def extent(x: FloatArray) -> float:
    """Return from the least to the largest, in the unit of `x`; 0 of nothing."""
    return float(np.ptp(x)) if len(x) else 0.0


def _cut(x: FloatArray, y: FloatArray, life: IntArray) -> Iterator[Segment]:
    edges = np.flatnonzero(life[1:] != life[:-1]) + 1
    for part_x, part_y in zip(np.split(x, edges), np.split(y, edges), strict=True):
        if part_x.size:
            yield Segment(part_x, part_y)

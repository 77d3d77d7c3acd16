"""Collects readings as columns of numbers: invalid ones are counted, and duplicates count once."""

from array import array
from collections.abc import Sequence
from itertools import groupby
from typing import TypeVar

import numpy as np

from soakd.judge.growth.series import FloatArray, IntArray
from soakd.judge.story.rundata import Series
from soakd.verdict.resolution import BYTE_SIGNALS
from soakd.wire.records import Record, Sample, in_order

R = TypeVar("R", bound=Record)
NEVER_NEGATIVE = frozenset(
    {
        *BYTE_SIGNALS, "swap_bytes", "rss_shmem_bytes", "fds", "threads", "tasks", "children", "zombies",
        "held_file_bytes", "open_file_bytes", "queued_bytes", "scratch_bytes", "cpu_s_total",
        "operations_total", "errors_total", "dropped_total", "skipped_total",
    }
)  # fmt: skip
"""Below 0 a reader broke."""
NOT_KEPT = ".duration_s"
"""What a probe cost is for metrics; nothing is judged by it."""
RECENT = 4
"""Moments among which that of a reading is looked for: a sample has its own, and that of the fork it tells of."""


class SignalColumns:
    """Series that grow, by the names of their signals.

    A sample has dozens of readings of one moment. Each moment is kept once, and so are the times of signals that are
    always read together: that is half of the memory that a long run takes to judge.
    """

    def __init__(self) -> None:
        self._mono_s, self._segment = array("d"), array("q")
        self._recent: dict[tuple[float, int], int] = {}
        self._columns: dict[str, _Column] = {}

    def add(self, name: str, mono_s: float, y: float, segment: int) -> None:
        """Take one reading."""
        if name not in self._columns:
            self._columns[name] = _Column()
        column = self._columns[name]
        column.at.append(self._moment(mono_s, segment))
        column.y.append(y)

    def add_sample(self, sample: Sample, forked_s: float) -> int:
        """Take the readings of a sample; return how many of its values are none.

        Args:
            sample: the sample.
            forked_s: when a forked child read what is reachable.
        """
        refused, mono_s, segment = sample.refused, sample.at.mono_s, sample.segment
        for name, value in sample.readings.items():
            if value < 0 and name in NEVER_NEGATIVE:
                refused += 1
            elif not name.endswith(NOT_KEPT):
                self.add(name, forked_s if name.startswith("reachable_") else mono_s, value, segment)
        return refused

    def series(self, origin_s: float) -> dict[str, Series]:
        """Return the series by name, in order of name."""
        read_at: dict[bytes, tuple[FloatArray, IntArray]] = {}
        return {name: self._series(column, origin_s, read_at) for name, column in sorted(self._columns.items())}

    def _moment(self, mono_s: float, segment: int) -> int:
        index = self._recent.get((mono_s, segment))
        if index is None:
            if len(self._recent) == RECENT:
                self._recent.clear()
            index = self._recent[mono_s, segment] = len(self._mono_s)
            self._mono_s.append(mono_s)
            self._segment.append(segment)
        return index

    def _series(self, column: "_Column", origin_s: float, read_at: dict[bytes, tuple[FloatArray, IntArray]]) -> Series:
        """Return the readings in order of time, each once."""
        if (key := column.at.tobytes()) not in read_at:
            at = np.frombuffer(column.at, dtype=np.uint32)
            read_at[key] = np.frombuffer(self._mono_s)[at] - origin_s, np.frombuffer(self._segment, dtype=np.int64)[at]
        (t_s, segment), y = read_at[key], np.frombuffer(column.y)
        if np.all(t_s[1:] > t_s[:-1]):
            return Series(t_s, y, segment)
        order = np.lexsort((y, segment, t_s))
        t_s, y, segment = t_s[order], y[order], segment[order]
        new = np.ones(t_s.shape, dtype=bool)
        new[1:] = (t_s[1:] != t_s[:-1]) | (y[1:] != y[:-1]) | (segment[1:] != segment[:-1])
        return Series(t_s[new], y[new], segment[new])


class _Column:
    """The readings of one signal: which moment, and what was read."""

    def __init__(self) -> None:
        self.at, self.y = array("I"), array("d")


def once(records: Sequence[R]) -> list[R]:
    """Return the records in order of time, each once."""
    return [record for _, (record, *_) in groupby(sorted(records, key=in_order), key=in_order)]

"""Readings become columns of numbers: what is no number is counted, and each reading counts once."""

from array import array
from collections.abc import Sequence
from itertools import groupby

import numpy as np

from soakd.analysis.rules import BYTE_SIGNALS
from soakd.analysis.rundata import Series, in_order
from soakd.records import Record

MOST = 1e18
"""No host has an exabyte, and no counter of a run comes so far."""
NEVER_NEGATIVE = frozenset(
    {
        *BYTE_SIGNALS, "fds", "threads", "tasks", "cpu_s_total",
        "operations_total", "errors_total", "dropped_total", "skipped_total",
    }
)  # fmt: skip
"""Below 0 a reader broke."""
LATEST_S = 1e11
"""A moment later than the year 5000 was read off no clock."""


class Columns:
    """Series that grow, by the names of their signals."""

    def __init__(self) -> None:
        self._columns: dict[str, Column] = {}

    def add(self, name: str, mono_s: float, y: float, segment: int) -> None:
        """Take one reading."""
        if name not in self._columns:
            self._columns[name] = Column()
        self._columns[name].add(mono_s, y, segment)

    def series(self, origin_s: float) -> dict[str, Series]:
        """Return the series by name, in order of name."""
        return {name: column.series(origin_s) for name, column in sorted(self._columns.items())}


class Column:
    """One growing series, eight bytes a number."""

    def __init__(self) -> None:
        self.mono_s, self.y, self.segment = array("d"), array("d"), array("q")

    def add(self, mono_s: float, y: float, segment: int) -> None:
        """Take one reading."""
        self.mono_s.append(mono_s)
        self.y.append(y)
        self.segment.append(segment)

    def series(self, origin_s: float) -> Series:
        """Return the readings in order of time, each once."""
        t_s, y = np.frombuffer(self.mono_s) - origin_s, np.frombuffer(self.y)
        segment = np.frombuffer(self.segment, dtype=np.int64)
        if np.all(t_s[1:] > t_s[:-1]):
            return Series(t_s, y, segment)
        order = np.lexsort((y, segment, t_s))
        t_s, y, segment = t_s[order], y[order], segment[order]
        new = np.ones(t_s.shape, dtype=bool)
        new[1:] = (t_s[1:] != t_s[:-1]) | (y[1:] != y[:-1]) | (segment[1:] != segment[:-1])
        return Series(t_s[new], y[new], segment[new])


def is_number(value: object, most: float = MOST) -> bool:
    """Tell whether a reading is a finite number that something could have been read as."""
    return type(value) in (int, float) and -most <= value <= most  # type: ignore[operator]


def is_reading(name: str, value: object) -> bool:
    """Tell whether a reading of a signal can be one."""
    return is_number(value) and not (name in NEVER_NEGATIVE and value < 0)  # type: ignore[operator]


def once(records: Sequence[Record]) -> list[Record]:
    """Return the records in order of time, each once."""
    return [record for _, (record, *_) in groupby(sorted(records, key=in_order), key=in_order)]


def text(value: object) -> str | None:
    """Return a text, or None for what is none."""
    return value if isinstance(value, str) else None

"""A table of text becomes series, or one error that names file and line.

Nothing is guessed that could turn a leak into a PASS: a line that is not understood is an error, and so is a unit that
neither a flag nor the column itself shows (`unitnames`).
"""

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import numpy as np

from soakd.csvfile.lines import Lines, find, is_number, number, read_names
from soakd.csvfile.unitnames import epoch_unit, export_units, is_paged_memory, size_unit, time_unit, unclear_unit
from soakd.errors import ConfigError
from soakd.units import BYTES, SECONDS

ONE_GROUP = "-"
TIME_NAMES = ("t_s", "time_s", "elapsed_s", "time", "timestamp", "elapsed", "elapsed time", "t")
VALUE_NAMES = ("rss_bytes", "value", "bytes", "rss", "y")
LATEST_S = 1e11
"""The year 5138: larger times are not seconds since 1970."""
LABELS = frozenset(
    ("pid", "process", "instance", "id", "name", "group", "series", "container", "pod", "command", "host", "job")
)
"""Names of columns that tell series, or lives of one, apart."""
CONFLICTS = 1.5
"""Different values a moment from which on a series is two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which column is what, by name or by number from 1, and in which unit; None where the file is to show it."""

    time: str | None = None
    value: str | None = None
    segment: str | None = None
    group: str | None = None
    heap: str | None = None
    """Live heap beside the value: tells a leak from fragmentation."""
    time_unit: str | None = None
    value_unit: str | None = None
    skip: int = 0
    """Lines above the header."""


@dataclass(slots=True)
class Samples:
    """One series, eight bytes a number; times and sizes in the units of the file until they are scaled."""

    t_h: "array[float]" = field(default_factory=lambda: array("d"))
    y_bytes: "array[float]" = field(default_factory=lambda: array("d"))
    heap_bytes: "array[float]" = field(default_factory=lambda: array("d"))
    segment: "array[int]" = field(default_factory=lambda: array("q"))


def read_series(path: Path, columns: Columns) -> dict[str, Samples]:
    """Read the series of a file by group.

    Raises:
        ConfigError: as for `judge_file`.
    """
    with Lines(path) as lines:
        layout, rows = _read_header(lines, columns)
        series = _group(rows, layout, lines)
    layout.scale(series)
    for name, samples in series.items():
        _refuse_two_in_one(name, samples, path)
    layout.refuse_labels(sum(len(samples.t_h) for samples in series.values()))
    return series


def read_limits(path: Path) -> dict[str, float]:
    """Read a table with the columns `id` and `limit_mb_per_h`; bytes per hour by id.

    Raises:
        ConfigError: a column is missing, or a limit is not a number above 0.
    """
    limits = {}
    with Lines(path) as lines:
        names, rows = read_names(lines, skip=0)
        name_at, limit_at = (find(names, wanted, (), path, "--limits") for wanted in ("id", "limit_mb_per_h"))
        for row in rows:
            limit = number(row[limit_at], lines)
            if limit <= 0:
                raise lines.fail(f"a limit must be above 0, got {limit:g}")
            limits[row[name_at]] = limit * 1e6
    return limits


class _Layout:
    """Where the columns are, how their cells are read, and in which units they are."""

    def __init__(self, lines: Lines, names: Sequence[str], columns: Columns, first: Sequence[str]) -> None:
        self._names, self._path = names, lines.path
        self.time = find(names, columns.time, TIME_NAMES, self._path, "--time")
        self.value = find(names, columns.value, VALUE_NAMES, self._path, "--value")
        self.segment = self._optional(columns.segment, "--segment")
        self.group = self._optional(columns.group, "--group")
        self.heap = self._optional(columns.heap, "--heap")
        export_time, export_size = export_units(names, names[self.value])
        iso = columns.time_unit is None and not is_number(first[self.time])
        self._time_unit = columns.time_unit or ("iso" if iso else time_unit(names[self.time]) or export_time)
        self._value_unit = columns.value_unit or size_unit(names[self.value]) or export_size
        self._time_unit_given = columns.time_unit is not None
        if self._value_unit is None:
            self._refuse_unclear_value()
        heap_unit = None if self.heap is None else size_unit(names[self.heap])
        self.bytes_per_heap_unit = BYTES[heap_unit] if heap_unit else None
        told = columns.group is not None or columns.segment is not None
        self.labels: dict[int, set[str]] = (
            {} if told else {i: set() for i, n in enumerate(names) if n.lower() in LABELS}
        )
        self.read_time = _iso_reader() if self._time_unit == "iso" else number

    def _optional(self, wanted: str | None, flag: str) -> int | None:
        return None if wanted is None else find(self._names, wanted, (), self._path, flag)

    def refuse_labels(self, rows: int) -> None:
        """Refuse a file whose rows are of several processes where nobody said what that means.

        Raises:
            ConfigError: a column that names processes has several values, and not one a row.
        """
        for column, found in self.labels.items():
            if 2 <= len(found) <= rows / 2:
                name = self._names[column]
                raise ConfigError(
                    f'{self._path}: column "{name}" has {len(found)} values: give --group "{name}" for as many series, '
                    f'or --segment "{name}" for lives of one process'
                )

    def scale(self, series: Mapping[str, Samples]) -> None:
        """Turn numbers as they stand in the file into hours and bytes.

        Raises:
            ConfigError: nothing shows the unit of a column.
        """
        hours, size = SECONDS[self._unit_of_times(series)] / 3600.0, BYTES[self._unit_of_values(series)]
        latest = max(max(samples.t_h) for samples in series.values())
        if not self._time_unit_given and latest * hours * 3600.0 > LATEST_S:
            raise ConfigError(f"{self._path}: times up to {latest:g} are not {self._time_unit}: give --time-unit")
        for samples in series.values():
            samples.t_h = _times(samples.t_h, hours)
            samples.y_bytes = _times(samples.y_bytes, size)
            samples.heap_bytes = _times(samples.heap_bytes, self.bytes_per_heap_unit or size)

    def _unit_of_times(self, series: Mapping[str, Samples]) -> str:
        if self._time_unit == "iso":
            return "s"
        name = self._names[self.time]
        unit = self._time_unit or epoch_unit(name, np.concatenate([np.frombuffer(s.t_h) for s in series.values()]))
        if unit is None:
            raise ConfigError(
                f'{self._path}: --time-unit: column "{name}" does not say its unit: give it ({", ".join(SECONDS)})'
            )
        return unit

    def _unit_of_values(self, series: Mapping[str, Samples]) -> str:
        if self._value_unit is not None:
            return self._value_unit
        name = self._names[self.value]
        if is_paged_memory(name, np.concatenate([np.frombuffer(s.y_bytes) for s in series.values()])):
            return "B"
        raise ConfigError(
            f'{self._path}: --value-unit: column "{name}" does not say its unit: give it ({", ".join(BYTES)})'
        )

    def _refuse_unclear_value(self) -> None:
        """Refuse "Real (MB)" and "rssKB": whose megabytes they are, only the user knows."""
        name = self._names[self.value]
        unclear = unclear_unit(name)
        if unclear:
            raise ConfigError(f'{self._path}: --value-unit: column "{name}": {" or ".join(unclear)}? give one of them')


def _times(numbers: "array[float]", factor: float) -> "array[float]":
    return array("d", (np.frombuffer(numbers) * factor).tobytes()) if numbers else numbers


def _read_header(lines: Lines, columns: Columns) -> tuple[_Layout, Iterator[list[str]]]:
    names, rows = read_names(lines, columns.skip)
    first = next(rows, None)
    if first is None:
        raise ConfigError(f"{lines.path}: has a header and no samples")
    return _Layout(lines, names, columns, first), chain([first], rows)


def _group(rows: Iterator[list[str]], layout: _Layout, lines: Lines) -> dict[str, Samples]:
    series: dict[str, Samples] = {}
    segments: dict[str, int] = {}
    for row in rows:
        name = row[layout.group] if layout.group is not None else ONE_GROUP
        if not name:
            raise lines.fail("the cell that names the series is empty")
        samples = series.setdefault(name, Samples())
        samples.t_h.append(layout.read_time(row[layout.time], lines))
        samples.y_bytes.append(number(row[layout.value], lines))
        for column, found in layout.labels.items():
            found.add(row[column])
        if layout.heap is not None:
            samples.heap_bytes.append(number(row[layout.heap], lines))
        life = row[layout.segment] if layout.segment is not None else ""
        samples.segment.append(segments.setdefault(life, len(segments)))
    return series


def _refuse_two_in_one(name: str, samples: Samples, path: Path) -> None:
    """Two processes in one series, as where --group was forgotten, have a rate that is nobody's."""
    t_h = np.frombuffer(samples.t_h)
    if np.all(t_h[1:] > t_h[:-1]):
        return
    table = np.column_stack((samples.segment, t_h, samples.y_bytes))
    distinct, moments = len(np.unique(table, axis=0)), len(np.unique(table[:, :2], axis=0))
    if distinct > CONFLICTS * moments:
        raise ConfigError(
            f'{path}: series "{name}": {distinct} different samples at {moments} times: more than one series? '
            "give --group, or --segment"
        )


def _iso_reader() -> Callable[[str, Lines], float]:
    """Read dates and times as seconds since 1970; all with a zone, or none."""
    zoned: set[bool] = set()

    def read(cell: str, lines: Lines) -> float:
        try:
            at = datetime.fromisoformat(cell.strip())
        except ValueError as error:
            raise lines.fail(f'"{cell}" is not a date and time such as 2030-01-31T12:00:00Z') from error
        zoned.add(at.tzinfo is not None)
        if len(zoned) > 1:
            raise lines.fail(f'"{cell}": some times have a zone and some have none')
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()

    return read

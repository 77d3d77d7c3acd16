"""A table of text becomes series, or one error that names file and line.

Nothing is guessed that could turn a leak into a PASS: a line that is not understood is an error, and so is a unit that
cannot be right.
"""

import re
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import numpy as np

from soakd.csvfile.lines import Lines, find, is_number, number, read_names
from soakd.errors import ConfigError
from soakd.units import BYTES, SECONDS

ONE_GROUP = "-"
TIME_NAMES = ("t_s", "time_s", "elapsed_s", "time", "timestamp", "elapsed", "elapsed time", "t")
VALUE_NAMES = ("rss_bytes", "value", "bytes", "rss", "y")
LATEST_S = 1e11
"""The year 5138: larger times are not seconds since 1970."""
LEAST_BYTES = 1e6
"""No process lives in less: smaller values are kilobytes or megabytes unless it is said that they are bytes."""
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
    """One series as read, eight bytes a number."""

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
    layout.check_units(series, lines)
    for name, samples in series.items():
        _refuse_two_in_one(name, samples, path)
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
    """Where the columns are, and how their cells are read."""

    def __init__(self, lines: Lines, names: Sequence[str], columns: Columns, first: Sequence[str]) -> None:
        path = lines.path
        self.time = find(names, columns.time, TIME_NAMES, path, "--time")
        self.value = find(names, columns.value, VALUE_NAMES, path, "--value")
        self.segment = None if columns.segment is None else find(names, columns.segment, (), path, "--segment")
        self.group = None if columns.group is None else find(names, columns.group, (), path, "--group")
        self.heap = None if columns.heap is None else find(names, columns.heap, (), path, "--heap")
        if columns.time_unit is None:
            _refuse_unit_in_name(path, "--time-unit", names[self.time], SECONDS, "s")
        if columns.value_unit is None:
            _refuse_unit_in_name(path, "--value-unit", names[self.value], BYTES, "B")
        self.hours = _hours_reader(columns.time_unit or ("s" if is_number(first[self.time]) else "iso"))
        self.bytes_per_unit = BYTES[columns.value_unit or "B"]
        self._time_unit_given = columns.time_unit is not None
        self._value_unit_given = columns.value_unit is not None or "bytes" in names[self.value].lower()

    def check_units(self, series: Mapping[str, Samples], lines: Lines) -> None:
        """Refuse units that nobody named and that cannot be right: they would turn a leak into a PASS."""
        latest_s = 3600.0 * max(max(samples.t_h) for samples in series.values())
        if not self._time_unit_given and latest_s > LATEST_S:
            raise ConfigError(
                f"{lines.path}: times up to {latest_s:.0f} are not seconds: give --time-unit (ms, us, ns)"
            )
        most = max(max(map(abs, samples.y_bytes)) for samples in series.values())
        if not self._value_unit_given and most < LEAST_BYTES:
            raise ConfigError(
                f"{lines.path}: values up to {most:g} are hardly the bytes of a process: give --value-unit "
                f"({', '.join(BYTES)})"
            )


def _refuse_unit_in_name(path: Path, flag: str, name: str, units: Mapping[str, float], default: str) -> None:
    """Refuse "elapsed_ms" and "Real (MB)" where no unit was given: whose megabytes they are, only the user knows."""
    word = re.search(r"[\W_]([A-Za-z]+)\W*$", name)
    unit = next((unit for unit in units if word and unit.lower() == word[1].lower()), default)
    if units[unit] != units[default]:
        raise ConfigError(f'{path}: {flag}: the column is named "{name}": give its unit ({", ".join(units)})')


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
        samples.t_h.append(layout.hours(row[layout.time], lines))
        samples.y_bytes.append(number(row[layout.value], lines) * layout.bytes_per_unit)
        if layout.heap is not None:
            samples.heap_bytes.append(number(row[layout.heap], lines) * layout.bytes_per_unit)
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


def _hours_reader(unit: str) -> Callable[[str, Lines], float]:
    if unit != "iso":
        hours = SECONDS[unit] / 3600.0
        return lambda cell, lines: number(cell, lines) * hours
    zoned: set[bool] = set()

    def read(cell: str, lines: Lines) -> float:
        try:
            at = datetime.fromisoformat(cell.strip())
        except ValueError as error:
            raise lines.fail(f'"{cell}" is not a date and time such as 2030-01-31T12:00:00Z') from error
        zoned.add(at.tzinfo is not None)
        if len(zoned) > 1:
            raise lines.fail(f'"{cell}": some times have a zone and some have none')
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() / 3600.0

    return read

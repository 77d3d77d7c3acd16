"""Series that soakd did not record: a table of text in, a growth verdict a series out.

Comma, semicolon, tab or spaces, whichever the header line shows. Nothing is guessed that could turn a leak into a
PASS: a line that is not understood, or a unit that cannot be right, is an error that names file and line.
"""

import csv
import gzip
import io
import math
import os
import re
import zlib
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, Self

import numpy as np

from soakd.analysis.growth import judge_growth
from soakd.errors import ConfigError
from soakd.units import BYTES, SECONDS

ONE_GROUP = "-"
FIELDS = ("id", "verdict", "growth_mb_per_h", "ci_low", "ci_high", "mdr_mb_per_h", "class")
TIME_NAMES = ("t_s", "time_s", "elapsed_s", "time", "timestamp", "elapsed", "elapsed time", "t")
VALUE_NAMES = ("rss_bytes", "value", "bytes", "rss", "y")
POOL_FROM = 4
"""Fewer series are judged faster than processes start."""
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


def judge_file(path: Path, columns: Columns, limits: Mapping[str, float] | float) -> list[dict[str, Any]]:
    """Judge every series of a file as whole.

    Args:
        path: the file; gzip is recognised by its content.
        columns: what stands where.
        limits: bytes per hour, one for all or one an id.

    Returns:
        One row a series, in the order of the file, with `FIELDS` and "reason"; rates in MB/h (1e6 bytes), None where
        unknown.

    Raises:
        ConfigError: the file, or a line of it, cannot be read: which, and what is wrong.
    """
    series = read_series(path, columns)
    jobs = [(name, samples, _limit_for(name, limits, path)) for name, samples in series.items()]
    if len(jobs) < POOL_FROM:
        return [_judge(job) for job in jobs]
    with ProcessPoolExecutor(max_workers=min(len(jobs), len(os.sched_getaffinity(0)))) as pool:
        return list(pool.map(_judge, jobs, chunksize=4))


def read_series(path: Path, columns: Columns) -> dict[str, Samples]:
    """Read the series of a file by group.

    Raises:
        ConfigError: as for `judge_file`.
    """
    with _Lines(path) as lines:
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
    with _Lines(path) as lines:
        names, rows = _read_names(lines, skip=0)
        name_at, limit_at = (_find(names, wanted, (), path, "--limits") for wanted in ("id", "limit_mb_per_h"))
        for row in rows:
            limit = _number(row[limit_at], lines)
            if limit <= 0:
                raise lines.fail(f"a limit must be above 0, got {limit:g}")
            limits[row[name_at]] = limit * 1e6
    return limits


class _Lines:
    """The lines of a file, without blank ones and comments; every failure to read is a ConfigError with its line."""

    def __init__(self, path: Path) -> None:
        self.path, self.number = path, 0

    def __enter__(self) -> Self:
        try:
            self._raw = open(self.path, "rb")
            zipped = self._raw.peek(2)[:2] == b"\x1f\x8b"
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be read: {error.strerror}") from error
        content = gzip.open(self._raw) if zipped else self._raw
        self._text = io.TextIOWrapper(content, encoding="utf-8-sig", newline="")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        self._text.close()
        self._raw.close()
        if isinstance(error, OSError | EOFError | UnicodeDecodeError | csv.Error | zlib.error):
            raise self.fail(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error

    def __iter__(self) -> Iterator[str]:
        line = "\n"
        for line in self._text:
            self.number += 1
            if not line.isspace() and not line.startswith("#"):
                yield line
        if not line.endswith(("\n", "\r")):
            raise self.fail("the last line has no line break: cut short? (add one if the file is complete)")

    def header(self, skip: int) -> str:
        """Read the first line after `skip` that is not blank; a "#" before it is taken off."""
        for line in self._text:
            self.number += 1
            if self.number > skip and not line.isspace():
                return line.lstrip("# ")
        raise ConfigError(f"{self.path}: is empty" + (f" after the first {skip} lines" if skip else ""))

    def fail(self, what: str) -> ConfigError:
        return ConfigError(f"{self.path}: line {self.number}: {what}")


def _read_names(lines: _Lines, skip: int) -> tuple[list[str], Iterator[list[str]]]:
    """Read the header: the names of the columns, and the rows below it, each as wide as the header."""
    header = lines.header(skip)
    delimiter = max(",;\t", key=header.count)
    rows: Iterator[list[str]]
    if delimiter in header:
        names = next(csv.reader([header], delimiter=delimiter, skipinitialspace=True))
        rows = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    else:
        below = iter(lines)
        first = next(below, None)
        names = header.split()
        if first is not None and len(names) != len(first.split()):
            names = re.split(r"\s{2,}", header.strip())  # names with spaces in them, as psrecord's
        rows = (line.split(None, len(names) - 1) for line in chain([first] if first else [], below))
    names = [name.strip() for name in names]
    if all(map(_is_number, names)):
        raise lines.fail("is data; a header line with the names of the columns is needed above it")
    return names, _of_width(rows, len(names), lines)


def _of_width(rows: Iterator[list[str]], width: int, lines: _Lines) -> Iterator[list[str]]:
    for row in rows:
        if len(row) != width:
            raise lines.fail(f"{len(row)} cells where the header has {width}: cut short?")
        yield row


class _Layout:
    """Where the columns are, and how their cells are read."""

    def __init__(self, lines: _Lines, names: Sequence[str], columns: Columns, first: Sequence[str]) -> None:
        path = lines.path
        self.time = _find(names, columns.time, TIME_NAMES, path, "--time")
        self.value = _find(names, columns.value, VALUE_NAMES, path, "--value")
        self.segment = None if columns.segment is None else _find(names, columns.segment, (), path, "--segment")
        self.group = None if columns.group is None else _find(names, columns.group, (), path, "--group")
        self.heap = None if columns.heap is None else _find(names, columns.heap, (), path, "--heap")
        if columns.time_unit is None:
            _refuse_unit_in_name(path, "--time-unit", names[self.time], SECONDS, "s")
        if columns.value_unit is None:
            _refuse_unit_in_name(path, "--value-unit", names[self.value], BYTES, "B")
        self.hours = _hours_reader(columns.time_unit or ("s" if _is_number(first[self.time]) else "iso"))
        self.bytes_per_unit = BYTES[columns.value_unit or "B"]
        self._time_unit_given = columns.time_unit is not None
        self._value_unit_given = columns.value_unit is not None or "bytes" in names[self.value].lower()

    def check_units(self, series: Mapping[str, Samples], lines: _Lines) -> None:
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


def _read_header(lines: _Lines, columns: Columns) -> tuple[_Layout, Iterator[list[str]]]:
    names, rows = _read_names(lines, columns.skip)
    first = next(rows, None)
    if first is None:
        raise ConfigError(f"{lines.path}: has a header and no samples")
    return _Layout(lines, names, columns, first), chain([first], rows)


def _find(names: Sequence[str], wanted: str | None, usual: Sequence[str], path: Path, flag: str) -> int:
    """Find a column by its name, else by its number from 1, else by the usual names."""
    if wanted is None:
        lower = [name.lower() for name in names]
        found = next((lower.index(name) for name in usual if name in lower), None)
    elif names.count(wanted) > 1:
        raise ConfigError(f'{path}: {flag}: {names.count(wanted)} columns are named "{wanted}": give its number')
    elif wanted in names:
        found = names.index(wanted)
    else:
        found = int(wanted) - 1 if wanted.isdecimal() and 1 <= int(wanted) <= len(names) else None
    if found is None:
        given = f'no column "{wanted}"' if wanted else "which column?"
        raise ConfigError(f"{path}: {flag}: {given}; columns: {', '.join(names)}")
    return found


def _group(rows: Iterator[list[str]], layout: _Layout, lines: _Lines) -> dict[str, Samples]:
    series: dict[str, Samples] = {}
    segments: dict[str, int] = {}
    for row in rows:
        name = row[layout.group] if layout.group is not None else ONE_GROUP
        if not name:
            raise lines.fail("the cell that names the series is empty")
        samples = series.setdefault(name, Samples())
        samples.t_h.append(layout.hours(row[layout.time], lines))
        samples.y_bytes.append(_number(row[layout.value], lines) * layout.bytes_per_unit)
        if layout.heap is not None:
            samples.heap_bytes.append(_number(row[layout.heap], lines) * layout.bytes_per_unit)
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


def _judge(job: tuple[str, Samples, float]) -> dict[str, Any]:
    name, samples, limit = job
    t_h, segment = np.frombuffer(samples.t_h), np.frombuffer(samples.segment, dtype=np.int64)
    growth = judge_growth(t_h, np.frombuffer(samples.y_bytes), segment, limit=limit)
    kind = {"PASS": "flat", "INCONCLUSIVE": "undecided", "FAIL": "growth"}[growth.state]
    if growth.state == "FAIL" and samples.heap_bytes:
        heap = judge_growth(t_h, np.frombuffer(samples.heap_bytes), segment, limit=limit)
        kind = {"PASS": "fragmentation", "INCONCLUSIVE": "growth", "FAIL": "leak"}[heap.state]
    rates = (growth.estimate, growth.low, growth.high, growth.minimum_detectable)
    numbers = (None if rate is None else float(f"{rate / 1e6:.6g}") for rate in rates)
    return dict(zip((*FIELDS, "reason"), [name, growth.state, *numbers, kind, growth.reason], strict=True))


def _limit_for(name: str, limits: Mapping[str, float] | float, path: Path) -> float:
    if not isinstance(limits, Mapping):
        return limits
    if name not in limits:
        raise ConfigError(
            f'{path}: no limit for series "{name}": add it to the limits file, or give one --limit for all'
        )
    return limits[name]


def _hours_reader(unit: str) -> Callable[[str, _Lines], float]:
    if unit != "iso":
        hours = SECONDS[unit] / 3600.0
        return lambda cell, lines: _number(cell, lines) * hours
    zoned: set[bool] = set()

    def read(cell: str, lines: _Lines) -> float:
        try:
            at = datetime.fromisoformat(cell.strip())
        except ValueError as error:
            raise lines.fail(f'"{cell}" is not a date and time such as 2030-01-31T12:00:00Z') from error
        zoned.add(at.tzinfo is not None)
        if len(zoned) > 1:
            raise lines.fail(f'"{cell}": some times have a zone and some have none')
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() / 3600.0

    return read


def _number(cell: str, lines: _Lines) -> float:
    try:
        number = float(cell)
    except ValueError as error:
        raise lines.fail(f'"{cell}" is not a number') from error
    if not math.isfinite(number) or "_" in cell:
        raise lines.fail(f'"{cell}" is not a finite number')
    return number


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True

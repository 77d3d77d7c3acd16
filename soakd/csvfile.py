"""Series that soakd did not record: a CSV file in, a growth verdict a series out."""

import csv
import gzip
import io
import math
import os
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from soakd.analysis.growth import judge_growth
from soakd.errors import ConfigError
from soakd.units import BYTES, SECONDS

ONE_GROUP = "-"
FIELDS = ("id", "verdict", "growth_mb_per_h", "ci_low", "ci_high", "mdr_mb_per_h", "class")
CLASSES = {"PASS": "flat", "FAIL": "leak", "INCONCLUSIVE": "undecided"}
TIME_NAMES = ("t_s", "time_s", "time", "timestamp", "elapsed", "t")
VALUE_NAMES = ("rss_bytes", "value", "bytes", "rss", "y")


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which column is what, and in which unit."""

    time: str | None
    value: str | None
    segment: str | None
    group: str | None
    time_unit: str = "s"
    value_unit: str = "B"


@dataclass(slots=True)
class Samples:
    """One series as read, eight bytes a number."""

    t_h: "array[float]" = field(default_factory=lambda: array("d"))
    y_bytes: "array[float]" = field(default_factory=lambda: array("d"))
    segment: "array[int]" = field(default_factory=lambda: array("q"))


def judge_file(path: Path, columns: Columns, limits: Mapping[str, float] | float) -> list[dict[str, Any]]:
    """Judge every series of a CSV file as whole.

    Args:
        path: the file; `.gz` is read through gzip.
        columns: what stands where.
        limits: bytes per hour, one for all or one an id.

    Returns:
        One row a series, in the order of the file, with `FIELDS`; rates in MB/h (1e6 bytes), None where unknown.

    Raises:
        ConfigError: the file, or a line of it, cannot be read: which, and what is wrong.
    """
    series = read_series(path, columns)
    jobs = [(name, samples, _limit_for(name, limits, path)) for name, samples in series.items()]
    if len(jobs) < 4:
        return [_judge(job) for job in jobs]
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        return list(pool.map(_judge, jobs, chunksize=4))


def read_series(path: Path, columns: Columns) -> dict[str, Samples]:
    """Read the series of a file by group.

    Raises:
        ConfigError: as for `judge_file`.
    """
    try:
        with _open(path) as file:
            rows = csv.reader(file)
            header = next(rows, None)
            if not header:
                raise ConfigError(f"{path}: is empty")
            return _group(rows, _Layout(path, header, columns), path)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def read_limits(path: Path) -> dict[str, float]:
    """Read a CSV with the columns `id` and `limit_mb_per_h`; bytes per hour by id.

    Raises:
        ConfigError: a column is missing, or a limit is not a number above 0.
    """
    try:
        with _open(path) as file:
            rows = csv.DictReader(file)
            if not {"id", "limit_mb_per_h"} <= set(rows.fieldnames or ()):
                raise ConfigError(
                    f"{path}: needs the columns id and limit_mb_per_h, has {', '.join(rows.fieldnames or ())}"
                )
            return {row["id"]: _positive(row["limit_mb_per_h"], f"{path}: line {rows.line_num}") * 1e6 for row in rows}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


class _Layout:
    """Where the columns are, and how their cells are read."""

    def __init__(self, path: Path, header: Sequence[str], columns: Columns) -> None:
        self.width = len(header)
        self._path = path
        self._header = [name.strip() for name in header]
        self.time = self._find("--time", columns.time, TIME_NAMES)
        self.value = self._find("--value", columns.value, VALUE_NAMES)
        self.segment = None if columns.segment is None else self._find("--segment", columns.segment, ())
        self.group = None if columns.group is None else self._find("--group", columns.group, ())
        self.read_hours = _hours_reader(columns.time_unit)
        self.bytes_per_unit = BYTES[columns.value_unit]

    def _find(self, flag: str, name: str | None, usual: Sequence[str]) -> int:
        if name is None:
            name = next((each for each in usual if each in self._header), None)
        if name is None or name not in self._header:
            given = f'no column "{name}"' if name else "which column?"
            raise ConfigError(f"{self._path}: {flag}: {given}; columns: {', '.join(self._header)}")
        return self._header.index(name)


def _group(rows: Iterator[list[str]], layout: _Layout, path: Path) -> dict[str, Samples]:
    series: dict[str, Samples] = {}
    segments: dict[str, int] = {}
    for line, row in enumerate(rows, start=2):
        if not row:
            continue
        if len(row) != layout.width:
            raise ConfigError(f"{path}: line {line}: {len(row)} cells where the header has {layout.width}: cut short?")
        samples = series.setdefault(row[layout.group] if layout.group is not None else ONE_GROUP, Samples())
        where = f"{path}: line {line}"
        samples.t_h.append(layout.read_hours(row[layout.time], where))
        samples.y_bytes.append(_number(row[layout.value], where) * layout.bytes_per_unit)
        name = row[layout.segment] if layout.segment is not None else ""
        samples.segment.append(segments.setdefault(name, len(segments)))
    if not series:
        raise ConfigError(f"{path}: has a header and no samples")
    return series


def _judge(job: tuple[str, Samples, float]) -> dict[str, Any]:
    name, samples, limit = job
    growth = judge_growth(
        np.frombuffer(samples.t_h),
        np.frombuffer(samples.y_bytes),
        np.frombuffer(samples.segment, dtype=np.int64),
        limit=limit,
    )
    rates = (growth.estimate, growth.low, growth.high, growth.minimum_detectable)
    words = [name, growth.state, *(None if rate is None else float(f"{rate / 1e6:.6g}") for rate in rates)]
    return dict(zip(FIELDS, [*words, CLASSES[growth.state]], strict=True))


def _limit_for(name: str, limits: Mapping[str, float] | float, path: Path) -> float:
    if not isinstance(limits, Mapping):
        return limits
    if name not in limits:
        raise ConfigError(
            f'{path}: no limit for series "{name}": add it to the limits file, or give one --limit for all'
        )
    return limits[name]


def _hours_reader(unit: str) -> Callable[[str, str], float]:
    if unit == "iso":
        return _iso_hours
    return lambda cell, where: _number(cell, where) * SECONDS[unit] / 3600.0


def _iso_hours(cell: str, where: str) -> float:
    try:
        return datetime.fromisoformat(cell.strip()).timestamp() / 3600.0
    except ValueError as error:
        raise ConfigError(f'{where}: "{cell}" is not a date and time such as 2030-01-31T12:00:00Z') from error


def _number(cell: str, where: str) -> float:
    try:
        number = float(cell)
    except ValueError as error:
        raise ConfigError(f'{where}: "{cell}" is not a number') from error
    if not math.isfinite(number):
        raise ConfigError(f'{where}: "{cell}" is not a finite number')
    return number


def _positive(cell: str | None, where: str) -> float:
    number = _number(cell or "", where)
    if number <= 0:
        raise ConfigError(f"{where}: a limit must be above 0, got {number:g}")
    return number


def _open(path: Path) -> io.TextIOBase:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return open(path, encoding="utf-8-sig", newline="")

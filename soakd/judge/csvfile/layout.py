"""The columns of a table: time, memory, their units, and those that separate processes."""

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from soakd.errors import ConfigError
from soakd.judge.csvfile.lines import Lines, find, is_number, number
from soakd.judge.csvfile.unitnames import (
    epoch_unit,
    export_units,
    is_paged_memory,
    size_unit,
    time_unit,
    unclear_unit,
)
from soakd.units import BYTES, SECONDS

TIME_NAMES = ("t_s", "time_s", "elapsed_s", "time", "timestamp", "elapsed", "elapsed time", "t")
VALUE_NAMES = ("rss_bytes", "value", "bytes", "rss", "y")
LATEST_S = 1e11
"""The year 5138: larger times are not seconds since 1970."""
MOST_BYTES = 1e18
"""An exabyte: nothing has so much memory."""
LABELS = frozenset(
    ("pid", "process", "instance", "id", "name", "group", "series", "container", "pod", "command", "host", "job")
)
"""Names of columns that separate series, or lives of one series."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableColumns:
    """The column of each role, by name or by number from 1, and its unit; None to detect it from the file."""

    time: str | None = None
    value: str | None = None
    segment: str | None = None
    group: str | None = None
    heap: str | None = None
    """Live heap in addition to the value: distinguishes a leak from fragmentation."""
    time_unit: str | None = None
    value_unit: str | None = None
    skip: int = 0
    """Lines above the header."""


@dataclass(slots=True)
class Samples:
    """One series, with eight bytes per number; times and sizes are in the file's units until they are scaled."""

    t_h: "array[float]" = field(default_factory=lambda: array("d"))
    y_bytes: "array[float]" = field(default_factory=lambda: array("d"))
    heap_bytes: "array[float]" = field(default_factory=lambda: array("d"))
    segment: "array[int]" = field(default_factory=lambda: array("q"))


class Layout:
    """The places of the columns, the readers of their cells, and their units."""

    def __init__(self, lines: Lines, names: Sequence[str], columns: TableColumns, first: Sequence[str]) -> None:
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
        """Refuse a file with rows of several processes if no option explains them.

        Raises:
            ConfigError: a column that names processes has several values, but not one per row.
        """
        for column, found in self.labels.items():
            if 2 <= len(found) <= rows / 2:
                name = self._names[column]
                raise ConfigError(
                    f'{self._path}: column "{name}" has {len(found)} values: give --group "{name}" for as many series, '
                    f'or --segment "{name}" for lives of one process'
                )

    def scale(self, series: Mapping[str, Samples]) -> None:
        """Convert the file's numbers to hours and bytes.

        Raises:
            ConfigError: the unit of a column is unknown, or its numbers are impossible in it.
        """
        hours, size = SECONDS[self._unit_of_times(series)] / 3600.0, BYTES[self._unit_of_values(series)]
        latest = max(np.abs(np.frombuffer(samples.t_h)).max() for samples in series.values())
        if latest > LATEST_S / (hours * 3600.0):
            raise ConfigError(f"{self._path}: times up to {latest:g} are not {self._time_unit}: give --time-unit")
        heap_size = self.bytes_per_heap_unit or size
        for samples in series.values():
            self._refuse_impossible(max(samples.y_bytes), size, self.value)
            if self.heap is not None:
                self._refuse_impossible(max(samples.heap_bytes), heap_size, self.heap)
            samples.t_h = _times(samples.t_h, hours)
            samples.y_bytes = _times(samples.y_bytes, size)
            samples.heap_bytes = _times(samples.heap_bytes, heap_size)

    def _refuse_impossible(self, most: float, size: float, column: int) -> None:
        name = self._names[column]
        if most == 0.0:
            raise ConfigError(f'{self._path}: column "{name}" is 0 in every row: nothing was measured')
        if most > MOST_BYTES / size:
            raise ConfigError(f'{self._path}: column "{name}": {most:g} is more memory than there is: wrong unit?')

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
        """Refuse "Real (MB)" and "rssKB": only the user knows whether they count in 1000 or 1024."""
        name = self._names[self.value]
        unclear = unclear_unit(name)
        if unclear:
            raise ConfigError(f'{self._path}: --value-unit: column "{name}": {" or ".join(unclear)}? give one of them')


def _times(numbers: "array[float]", factor: float) -> "array[float]":
    return array("d", (np.frombuffer(numbers) * factor).tobytes()) if numbers else numbers


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

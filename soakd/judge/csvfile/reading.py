"""Reads a table of text into series, or raises one error with file and line.

It never guesses what could turn a leak into a PASS: a line that is not understood is an error, and so is a unit that
neither a flag nor the column itself shows (`unitnames`).
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from soakd.errors import ConfigError
from soakd.judge.csvfile.layout import Layout, Samples, TableColumns
from soakd.judge.csvfile.lines import Lines, find, number, read_names

ONE_GROUP = "-"
MOST_LIMIT = 1e100
"""MB/h beyond all memory; its squares are numbers still."""
CONFLICTS = 1.5
"""Distinct values per time from which on a series is taken for two."""


def read_series(path: Path, columns: TableColumns) -> dict[str, Samples]:
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
        ConfigError: a column is missing, a limit is not a number above 0, or an id has two.
    """
    limits: dict[str, float] = {}
    with Lines(path) as lines:
        names, rows = read_names(lines, skip=0)
        name_at, limit_at = (find(names, wanted, (), path, "--limits") for wanted in ("id", "limit_mb_per_h"))
        for row in rows:
            limit, name = number(row[limit_at], lines), row[name_at]
            if limit <= 0:
                raise lines.fail(f"a limit must be above 0, got {limit:g}")
            if limit > MOST_LIMIT:
                raise lines.fail(f"a limit must be at most {MOST_LIMIT:g}, got {limit:g}")
            if limits.setdefault(name, limit * 1e6) != limit * 1e6:
                raise lines.fail(f'id "{name}" has another limit above: which of the two?')
    return limits


def _read_header(lines: Lines, columns: TableColumns) -> tuple[Layout, Iterator[list[str]]]:
    names, rows = read_names(lines, columns.skip)
    first = next(rows, None)
    if first is None:
        raise ConfigError(f"{lines.path}: has a header and no samples")
    return Layout(lines, names, columns, first), chain([first], rows)


def _group(rows: Iterator[list[str]], layout: Layout, lines: Lines) -> dict[str, Samples]:
    series: dict[str, Samples] = {}
    segments: dict[str, int] = {}
    for row in rows:
        name = row[layout.group] if layout.group is not None else ONE_GROUP
        if not name:
            raise lines.fail("the cell that names the series is empty")
        samples = series.setdefault(name, Samples())
        samples.t_h.append(layout.read_time(row[layout.time], lines))
        samples.y_bytes.append(_memory(row[layout.value], lines))
        for column, found in layout.labels.items():
            found.add(row[column])
        if layout.heap is not None:
            samples.heap_bytes.append(_memory(row[layout.heap], lines))
        life = row[layout.segment] if layout.segment is not None else ""
        samples.segment.append(segments.setdefault(life, len(segments)))
    return series


def _memory(cell: str, lines: Lines) -> float:
    value = number(cell, lines)
    if value < 0.0:
        raise lines.fail(f"memory is never below 0, got {cell}")
    return value


def _refuse_two_in_one(name: str, samples: Samples, path: Path) -> None:
    """Refuse two processes in one series, as without --group: the rate would belong to neither."""
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

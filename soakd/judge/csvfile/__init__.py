"""Judges series that soakd did not record: reads a table of text, and returns a growth verdict per series."""

import os
from array import array
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from soakd.errors import ConfigError
from soakd.judge.checks.evidence_lives import LEAST_JUDGED
from soakd.judge.csvfile.layout import Samples, TableColumns
from soakd.judge.csvfile.mixed import leaking_part
from soakd.judge.csvfile.reading import read_limits, read_series
from soakd.judge.growth.method import DAY_H, Growth, judge_growth
from soakd.judge.growth.series import FloatArray, IntArray
from soakd.judge.growth.series import read_series as read_lives

__all__ = ["FIELDS", "TableColumns", "judge_file", "read_limits", "read_series"]

FIELDS = ("id", "verdict", "growth_mb_per_h", "ci_low", "ci_high", "mdr_mb_per_h", "class")
MOST_ZEROS = 0.01
"""The most samples of 0 in a series that passes, as a share: a running process has memory."""
OWN_CLASS = {"PASS": "flat", "INCONCLUSIVE": "undecided", "FAIL": "growth"}
"""The class of a series by its value alone."""
POOL_FROM = 4
"""Fewer series are judged faster than processes start."""


def judge_file(path: Path, columns: TableColumns, limits: Mapping[str, float] | float) -> list[dict[str, Any]]:
    """Judge every series of a file as a complete run.

    Args:
        path: the file; gzip is recognised by its content.
        columns: the roles of the columns.
        limits: bytes per hour, one for all or one per id.

    Returns:
        One row per series, in the order of the file, with `FIELDS` and "reason"; rates in MB/h (1e6 bytes), None if
        unknown.

    Raises:
        ConfigError: the file or a line of it cannot be read; names the line and the error.
    """
    series = read_series(path, columns)
    jobs = [(name, samples, _limit_for(name, limits, path)) for name, samples in series.items()]
    if len(jobs) < POOL_FROM:
        return [_judge(job) for job in jobs]
    with ProcessPoolExecutor(max_workers=min(len(jobs), len(os.sched_getaffinity(0)))) as pool:
        return list(pool.map(_judge, jobs, chunksize=4))


def _judge(job: tuple[str, Samples, float]) -> dict[str, Any]:
    name, samples, limit = job
    value = _growth(samples, samples.y_bytes, limit)
    heap = _growth(samples, samples.heap_bytes, limit) if samples.heap_bytes else None
    growth, kind = (value, OWN_CLASS[value.state]) if heap is None else _with_heap(value, heap)
    rates = (growth.estimate, growth.low, growth.high, growth.minimum_detectable)
    numbers = (None if rate is None else float(f"{rate / 1e6:.6g}") for rate in rates)
    return dict(zip((*FIELDS, "reason"), [name, growth.state, *numbers, kind, growth.reason], strict=True))


def _growth(samples: Samples, y_bytes: "array[float]", limit: float) -> Growth:
    """Judge one column of a series; it passes only without doubts."""
    t_h, y, segment = np.frombuffer(samples.t_h), np.frombuffer(y_bytes), np.frombuffer(samples.segment, dtype=np.int64)
    growth = judge_growth(t_h, y, segment, limit=limit, day=DAY_H)
    if growth.state == "PASS" and (doubt := _doubt(t_h, y, segment, limit)):
        return replace(growth, state="INCONCLUSIVE", reason=doubt)
    return growth


def _with_heap(value: Growth, heap: Growth) -> tuple[Growth, str]:
    """Return the growth that decides, and its class. A heap that leaks below a ceiling of the value is a leak."""
    if value.state == "FAIL":
        return value, {"PASS": "fragmentation", "INCONCLUSIVE": "growth", "FAIL": "leak"}[heap.state]
    if heap.state == "FAIL":
        return replace(heap, reason="the live heap grows, the rates are its own"), "leak"
    if value.state == "PASS" and heap.state == "INCONCLUSIVE":
        return replace(heap, reason=f"the live heap: {heap.reason}"), "undecided"
    return value, OWN_CLASS[value.state]


def _doubt(t_h: FloatArray, y: FloatArray, segment: IntArray, limit: float) -> str:
    """Return why a series that would pass does not; "" if it does."""
    return _not_there(y) or _short_lives(t_h, y, segment) or leaking_part(t_h, y, segment, limit=limit)


def _short_lives(t_h: FloatArray, y: FloatArray, segment: IntArray) -> str:
    """Return a doubt about frequent restarts: a process may leak in every life, and one long life does not show it."""
    judged = sum(life.duration for life in read_lives(t_h, y, segment).segments) / float(np.ptp(t_h))
    return "" if judged >= LEAST_JUDGED else f"lives that are long enough for a rate make up {judged:.0%} of the time"


def _not_there(y: FloatArray) -> str:
    """Return why the process may have been missing part of the time; "" if nothing indicates that."""
    zeros = np.count_nonzero(y == 0.0)
    if zeros <= MOST_ZEROS * y.size:
        return ""
    return f"{zeros} of {y.size} samples are 0: had the process ended? leave them out, or give --segment"


def _limit_for(name: str, limits: Mapping[str, float] | float, path: Path) -> float:
    if not isinstance(limits, Mapping):
        return limits
    if name not in limits:
        raise ConfigError(
            f'{path}: no limit for series "{name}": add it to the limits file, or give one --limit for all'
        )
    return limits[name]

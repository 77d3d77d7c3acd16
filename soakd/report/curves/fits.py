"""The curve that the growth method sees in a signal, and the verdict's own numbers as lines beside it.

The numbers are never computed again: the rate, its interval and the limit are the verdict file's.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from soakd.judge.checks.axes import Axes, axes_of
from soakd.judge.growth.method import DAY_H, Curve, explain_growth
from soakd.judge.growth.series import FloatArray
from soakd.judge.story.cache_fill import ENTRIES
from soakd.judge.story.rundata import EngineData, Series
from soakd.report.curves.values import CurvePiece, Fit

BEGIN = 5
"""Readings whose median is where a signal stood when the load began."""

MOST_POINTS = 320

Verdict = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """One signal that decides, as the growth method sees it."""

    signal: str
    level: float
    """Where it stood when the load began, in bytes."""
    fits: list[Fit]
    adjusted: CurvePiece | None
    """What the entries of a cache leave of it, where it was judged without them."""


def fits_of(data: EngineData, engine: Verdict) -> Iterator[Fitted]:
    """Yield each signal that decides with its curves.

    Args:
        data: the engine.
        engine: its part of the verdict file.
    """
    checks = {str(check.get("id")): check for check in engine.get("checks") or ()}
    for signal in (data.leak_signal, "rss_anon_bytes"):
        name = next((n for n in (f"growth.{signal}", f"growth.{signal}.per_operation") if n in checks), None)
        series = data.trend(signal)
        if name is not None and len(series):
            rest = _without_entries(data, series, checks[name])
            axes = axes_of(data, rest or series)
            fits = list(_fits(axes, checks[name])) if len(axes.y) else []
            level = float(np.median(series.y[:BEGIN]))
            yield Fitted(signal=signal, level=level, fits=fits, adjusted=None if rest is None else _thinned(rest))


def _without_entries(data: EngineData, series: Series, check: Verdict) -> Series | None:
    """Take off what the entries of a cache hold, where the verdict did: with the bytes that it found for each."""
    entries, each = data.in_load(ENTRIES), check.get("bytes_per_entry")
    if each is None or len(entries) < 2 or check.get("estimate") == check.get("unadjusted_estimate"):
        return None
    held = float(each) * np.interp(series.t_s, entries.t_s, entries.y)
    return Series(series.t_s, series.y - (held - held[0]), series.segment)


def _thinned(series: Series) -> CurvePiece:
    every = max(1, len(series) // MOST_POINTS)
    y = series.y[::every].tolist()
    return CurvePiece(series.t_s[::every].tolist(), y, y)


def _fits(axes: Axes, check: Verdict) -> Iterator[Fit]:
    limit, rates = check.get("limit"), [check.get(name) for name in ("estimate", "low", "high")]
    if not limit or any(rate is None for rate in rates):
        return
    hourly = check.get("unit") == "bytes/hour"
    x, day = (axes.hours, DAY_H) if hourly else (axes.operations, axes.operations_per_day)
    for curve in explain_growth(x, axes.y, axes.segment, limit=float(limit), day=day):
        estimate, low, high = (float(rate) for rate in rates if rate is not None)
        aside = _aside(curve, np.interp(curve.x, x, axes.y), estimate)
        yield _fit(curve, _hours_at(axes, x, curve.x), (estimate, low, high, float(limit)), aside)


def _aside(curve: Curve, y: FloatArray, rate: float) -> float:
    """Say how far the signal lies from the values of its blocks only because it grows within each: less than a block.

    What is judged of a block may be its lower or upper quarter, or the floor under a sawtooth, from which a signal is
    farther than that.
    """
    aside = float(np.median(y - curve.y))
    return aside if abs(aside) <= abs(rate) * float(np.median(np.diff(curve.x))) else 0.0


def _fit(curve: Curve, hours: FloatArray, rates: tuple[float, float, float, float], aside: float) -> Fit:
    """Let every line begin where the one with the verdict's rate does that ends where the curve ends."""
    since, fitted = curve.x - curve.x[0], curve.fitted + aside
    start = float(fitted[-1]) - rates[0] * float(since[-1])
    lines = [(start + rate * since).tolist() for rate in rates]
    return Fit(
        t_s=(hours * 3600.0).tolist(), fitted=fitted.tolist(),
        long_run=lines[0], low=lines[1], high=lines[2], limit=lines[3],
    )  # fmt: skip


def _hours_at(axes: Axes, x: FloatArray, at: FloatArray) -> FloatArray:
    """Say when a series was at some places of its axis, in hours."""
    return np.interp(at, x, axes.hours)

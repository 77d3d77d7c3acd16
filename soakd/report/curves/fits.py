"""The fitted curve of the growth method, and the verdict's numbers as lines beside it.

The rate, its interval and the limit come from the verdict file; they are not computed again.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from soakd.judge.checks.axes import Axes, axes_of
from soakd.judge.growth.method import DAY_H, Curve, explain_growth
from soakd.judge.growth.series import FloatArray
from soakd.judge.story.cache_fill import ENTRIES
from soakd.judge.story.rundata import EngineData, Series
from soakd.report.curves.values import CurvePiece, Fit
from soakd.verdict.check import Check
from soakd.verdict.resolution import HOST_SIGNALS
from soakd.verdict.types import EngineVerdict

BEGIN = 5
"""Readings whose median is the level of a signal at the start of the load."""

MOST_POINTS = 320


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """One deciding signal with its fitted curves."""

    signal: str
    level: float
    """Its level at the start of the load, in bytes."""
    fits: list[Fit]
    adjusted: CurvePiece | None
    """The signal without the bytes of cache entries, where it was judged so."""


def fits_of(data: EngineData, engine: EngineVerdict) -> Iterator[Fitted]:
    """Yield each deciding signal with its curves.

    Args:
        data: the engine.
        engine: what was found of it.
    """
    checks = {check.id: check for check in engine.checks}
    named = {
        signal: name
        for signal in (data.leak_signal, *HOST_SIGNALS)
        for name in (f"growth.{signal}.per_operation", f"growth.{signal}")
        if name in checks
    }
    host = next((signal for signal in HOST_SIGNALS if signal in named), data.host_signal)  # as the file has it
    for signal in (data.leak_signal, host):
        name = named.get(signal)
        series = data.trend(signal)
        if name is not None and len(series):
            rest = _without_entries(data, series, checks[name])
            axes = axes_of(data, rest or series)
            fits = list(_fits(axes, checks[name])) if len(axes.y) else []
            level = float(np.median(series.y[:BEGIN]))
            yield Fitted(signal=signal, level=level, fits=fits, adjusted=None if rest is None else _thinned(rest))


def _without_entries(data: EngineData, series: Series, check: Check) -> Series | None:
    """Subtract the bytes of cache entries where the verdict did, with the bytes per entry that it found."""
    entries, cache = data.in_load(ENTRIES), check.cache
    if (
        cache is None
        or cache.bytes_per_entry is None
        or len(entries) < 2
        or check.estimate == cache.unadjusted_estimate
    ):
        return None
    held = cache.bytes_per_entry * np.interp(series.t_s, entries.t_s, entries.y)
    return Series(series.t_s, series.y - (held - held[0]), series.segment)


def _thinned(series: Series) -> CurvePiece:
    every = max(1, len(series) // MOST_POINTS)
    y = series.y[::every].tolist()
    return CurvePiece(series.t_s[::every].tolist(), y, y)


def _fits(axes: Axes, check: Check) -> Iterator[Fit]:
    limit, rates = check.limit, (check.estimate, check.low, check.high)
    if not limit or any(rate is None for rate in rates):
        return
    hourly = check.unit == "bytes/hour"
    x, day = (axes.hours, DAY_H) if hourly else (axes.operations, axes.operations_per_day)
    for curve in explain_growth(x, axes.y, axes.segment, limit=float(limit), day=day):
        estimate, low, high = (float(rate) for rate in rates if rate is not None)
        aside = _aside(curve, np.interp(curve.x, x, axes.y), estimate)
        yield _fit(curve, _hours_at(axes, x, curve.x), (estimate, low, high, float(limit)), aside)


def _aside(curve: Curve, y: FloatArray, rate: float) -> float:
    """Return the offset of a signal from its block values that growth within a block explains: less than a block.

    The value of a block may be its lower or upper quartile, or the floor under a sawtooth; the signal lies farther
    from those.
    """
    aside = float(np.median(y - curve.y))
    return aside if abs(aside) <= abs(rate) * float(np.median(np.diff(curve.x))) else 0.0


def _fit(curve: Curve, hours: FloatArray, rates: tuple[float, float, float, float], aside: float) -> Fit:
    """Return the lines of one fit, all from one start: the line with the verdict's rate ends where the curve ends."""
    since, fitted = curve.x - curve.x[0], curve.fitted + aside
    start = float(fitted[-1]) - rates[0] * float(since[-1])
    lines = [(start + rate * since).tolist() for rate in rates]
    return Fit(
        t_s=(hours * 3600.0).tolist(), fitted=fitted.tolist(),
        long_run=lines[0], low=lines[1], high=lines[2], limit=lines[3],
    )  # fmt: skip


def _hours_at(axes: Axes, x: FloatArray, at: FloatArray) -> FloatArray:
    """Return the hours at which a series reached some points of its axis."""
    return np.interp(at, x, axes.hours)

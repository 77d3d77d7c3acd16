"""Time and operations: the two axes that growth may follow, and which of them explains it."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from soakd.judge.growth.method import DAY_H, Growth, judge_growth
from soakd.judge.growth.series import FloatArray, IntArray, extent
from soakd.judge.story.rundata import EngineData, Series
from soakd.verdict.check import round_number
from soakd.verdict.details import GrowthDetail

Explained = Literal["operations", "time", "either"]

PROPORTIONAL = 0.02
"""Operations that deviate less than this share from a steady rate cannot be distinguished from time."""
BETTER = 2.0
"""One axis explains growth better if the other's residual is this many times larger: noise alone rarely makes 1.5."""
BLOCKS = 48


@dataclass(frozen=True, slots=True)
class Axes:
    """One series over both axes; only samples whose operations are known."""

    hours: FloatArray
    operations: FloatArray
    y: FloatArray
    segment: IntArray

    @property
    def operations_per_hour(self) -> float:
        """The mean rate; NaN for a series that is too short."""
        hours = extent(self.hours)
        return extent(self.operations) / hours if hours else math.nan

    @property
    def operations_per_day(self) -> float:
        """The mean rate per day."""
        return DAY_H * self.operations_per_hour

    @property
    def proportional(self) -> bool:
        """Whether operations were proportional to time, so that a rate over one converts to the other."""
        hours, operations = extent(self.hours), extent(self.operations)
        if not hours or not operations:
            return True
        steady = (self.hours - self.hours[0]) / hours
        return float(np.max(np.abs((self.operations - self.operations[0]) / operations - steady))) <= PROPORTIONAL


STOOD_STILL = 0.2
"""Operations stood still if a hundredth of them took more than this share of the time."""


def longest_standstill(axes: Axes) -> float:
    """Return the longest share of the time in which a hundredth of all operations was done; 1 without operations."""
    hours, operations = extent(axes.hours), extent(axes.operations)
    if not hours or not operations:
        return 1.0
    done, time = (axes.operations - axes.operations[0]) / operations, (axes.hours - axes.hours[0]) / hours
    # Between two readings the average rate is assumed: without readings there is no standstill.
    edges = np.interp(np.linspace(0.0, 1.0, 101)[1:-1], done, time)
    return float(np.max(np.diff(np.concatenate(([0.0], edges, [1.0])))))


def axes_of(data: EngineData, series: Series) -> Axes:
    """Return the hour and the count of operations of each sample in a series."""
    operations = data.operations_at(series)
    known = np.isfinite(operations)
    return Axes(series.t_s[known] / 3600.0, operations[known], series.y[known], series.segment[known])


def explained_by(axes: Axes, growth: Growth) -> Explained | None:
    """Return which axis explains the growth of a series better; None if growth is not certain."""
    if growth.low is None or growth.low <= 0.0:
        return None
    if axes.proportional:
        return "either"
    time, operations = _left_over(axes, axes.hours), _left_over(axes, axes.operations)
    if operations * BETTER < time:
        return "operations"
    return "time" if time * BETTER < operations else "either"


def over_the_other(axes: Axes, growth: Growth, *, hourly: bool, limit: float) -> GrowthDetail:
    """Convert a rate per hour to one per operation, or the other way round: estimate, bounds, minimum detectable rate.

    If operations were proportional to time, that is a change of units; otherwise the other axis is judged separately.

    Args:
        axes: the series that was judged.
        growth: the answer over one axis.
        hourly: whether that axis was time.
        limit: in the unit of `growth`.

    Returns:
        `per_operation` or `per_hour`, and the same with `_low` and so on; rounded.
    """
    per_hour = axes.operations_per_hour
    if growth.estimate is None or not per_hour > 0.0:
        return GrowthDetail()
    unit = 1.0 / per_hour if hourly else per_hour
    if not axes.proportional:
        x, day = (axes.operations, axes.operations_per_day) if hourly else (axes.hours, DAY_H)
        growth, unit = judge_growth(x, axes.y, axes.segment, limit=limit * unit, day=day), 1.0
    rates = (growth.estimate, growth.low, growth.high, growth.minimum_detectable)
    rate, low, high, least = (None if value is None else round_number(value * unit) for value in rates)
    if hourly:
        return GrowthDetail(
            per_operation=rate, per_operation_low=low, per_operation_high=high, per_operation_minimum_detectable=least
        )
    return GrowthDetail(per_hour=rate, per_hour_low=low, per_hour_high=high, per_hour_minimum_detectable=least)


def _left_over(axes: Axes, x: FloatArray) -> float:
    """Return the residual sum of squares of a line over `x`, with a level per segment, for a series' blocks.

    Blocks are medians over a 48th of the time, so that noise within them does not drown the difference.
    """
    edges = np.unique(np.searchsorted(axes.hours, np.linspace(axes.hours[0], axes.hours[-1], BLOCKS + 1)[1:-1]))
    parts = [part for part in np.split(np.arange(axes.y.size), edges) if part.size]
    blocks = np.array([[np.median(x[part]), np.median(axes.y[part])] for part in parts])
    life = np.array([axes.segment[part[0]] for part in parts])
    levels = (life[:, None] == np.unique(life)).astype(np.float64)
    span = max(float(np.ptp(blocks[:, 0])), 1e-300)
    design = np.column_stack((levels, (blocks[:, 0] - blocks[0, 0]) / span))
    coefficients, *_ = np.linalg.lstsq(design, blocks[:, 1], rcond=None)
    return float(np.sum((blocks[:, 1] - design @ coefficients) ** 2))

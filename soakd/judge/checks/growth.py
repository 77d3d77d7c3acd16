"""Chooses the signals to judge for growth, their limits, and what a run of this length can show.

`growth.reachable_bytes` is the leak check and `growth.resident_bytes` the host check: both decide. Where forking is
off, live bytes stand in for reachable ones; where swap was not recorded, anonymous memory for resident. The others tell
where a difference is, and do not decide.
"""

import dataclasses
from collections.abc import Collection, Iterator

import numpy as np

from soakd.judge.checks.axes import STOOD_STILL, Axes, axes_of, explained_by, longest_standstill, over_the_other
from soakd.judge.checks.cache_growth import judge_beside_cache
from soakd.judge.checks.counts import check_counts
from soakd.judge.checks.growth_answer import GrowthAnswer
from soakd.judge.checks.holdings import check_holdings
from soakd.judge.growth.method import DAY_H, judge_growth
from soakd.judge.growth.series import MIN_SAMPLES, extent
from soakd.judge.story.rundata import EngineData, Series, running_total
from soakd.verdict.check import Check, round_number
from soakd.verdict.resolution import (
    BYTE_SIGNALS,
    HOST_SIGNALS,
    LIVE_SIGNALS,
    RESOLUTION_BYTES,
    WHERE_READ,
    too_few,
    too_short,
    unseen,
)

FAR_BELOW = 0.5
"""Reachable bytes pass with a wide margin where their whole interval lies below so much of the limit."""
SLOWER = 0.6
"""In a warm-up, each third grows by less than this share of the third before."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The bytes left before a limit; None if unknown. Used for the time until it is reached."""

    total_growth: float | None = None
    memory: float | None = None


def check_growth(data: EngineData, *, every_signal: bool, room: Room | None = None) -> Iterator[Check]:
    """Judge every signal of one engine that can grow; in a live run only those that decide or identify garbage.

    Args:
        data: the engine.
        every_signal: also judge signals that only explain.
        room: what is left before a limit, in a live run.
    """
    flat: set[str] = set()
    for signal in BYTE_SIGNALS if every_signal else LIVE_SIGNALS:
        series = data.trend(signal)
        if len(series) >= MIN_SAMPLES or (decides(data, signal) and signal not in WHERE_READ):
            for check in _byte_checks(data, signal, series, flat):
                flat |= {check.id.replace("reachable_bytes", data.host_signal)} if _is_far_below(check) else set()
                yield _with_time_left(check, signal, room)
    if every_signal:
        yield from check_counts(data)
        yield from check_holdings(data)


def decides(data: EngineData, signal: str) -> bool:
    """Return whether a signal decides for its engine."""
    return signal in (data.leak_signal, data.host_signal, *WHERE_READ)


def _is_far_below(check: Check) -> bool:
    """Whether what is reachable passes with a wide margin."""
    passes = check.id.startswith("growth.reachable_bytes") and check.verdict == "PASS"
    return passes and check.high is not None and check.limit is not None and check.high <= FAR_BELOW * check.limit


def _byte_checks(data: EngineData, signal: str, series: Series, flat: Collection[str]) -> Iterator[Check]:
    """Judge one signal against each limit; `flat` has the checks that nothing reachable grows beside."""
    limits, deciding = data.plan.config.limits, decides(data, signal)
    hourly, per_operation = limits.growth_rate_bytes_per_h, limits.growth_per_operation_bytes
    if hourly is not None:

        def over_time(part: Series) -> Check:
            answer = hourly_answer(data, part, hourly, RESOLUTION_BYTES[signal])
            return answer.check(f"growth.{signal}", decides=deciding, flat=flat)

        yield judge_beside_cache(data, series, over_time) if deciding else over_time(series)
    if per_operation is not None:
        suffix = "" if hourly is None else ".per_operation"

        def over_operations(part: Series) -> Check:
            answer = operation_answer(data, part, per_operation, RESOLUTION_BYTES[signal])
            return answer.check(f"growth.{signal}{suffix}", decides=deciding, flat=flat)

        yield judge_beside_cache(data, series, over_operations) if deciding else over_operations(series)


def hourly_answer(data: EngineData, series: Series, limit: float, resolution: float) -> GrowthAnswer:
    """Judge a series of bytes against a limit per hour."""
    hours = series.t_s / 3600.0
    growth = judge_growth(hours, series.y, series.segment, limit=limit, day=DAY_H)
    span = extent(hours)
    seen = span - data.gained_in_faults(series.t_s, hours)
    axes = axes_of(data, series)
    short = too_short(limit, seen)
    still = _in_faults(data, hourly=True) or (_standing_still(axes) if len(axes.y) else "")  # soakd does no operations
    return GrowthAnswer(
        growth=growth, limit=limit, unit="bytes/hour", span=span, resolution=resolution,
        too_short=short or still, slowing=bool(short) and _slows_down(series),
        other=over_the_other(axes, growth, hourly=True, limit=limit), explained_by=explained_by(axes, growth),
    )  # fmt: skip


def _slows_down(series: Series) -> bool:
    """Return whether one life grew clearly less from its second to its last third than from its first to its second.

    After a warm-up that takes half of a short run, later growth is 0, for an exponential one half, for a leak the same.
    """
    if len(series) < MIN_SAMPLES or np.any(series.segment != series.segment[0]):
        return False
    first, second, last = (float(np.median(part)) for part in np.array_split(series.y, 3))
    return last - second < SLOWER * (second - first)


def operation_answer(data: EngineData, series: Series, limit: float, resolution: float) -> GrowthAnswer:
    """Judge a series of bytes against a limit per operation."""
    axes: Axes = axes_of(data, series)
    growth = judge_growth(axes.operations, axes.y, axes.segment, limit=limit, day=axes.operations_per_day)
    span = extent(axes.operations)
    return GrowthAnswer(
        growth=growth, limit=limit, unit="bytes/operation", span=span, resolution=resolution,
        too_short=too_few(span) or _in_faults(data, hourly=False) or _standing_still(axes),
        other=over_the_other(axes, growth, hourly=False, limit=limit), explained_by=explained_by(axes, growth),
    )  # fmt: skip


def _standing_still(axes: Axes) -> str:
    """Refuse a PASS if operations stood still: time without operations is not load."""
    share = longest_standstill(axes)
    still = f"operations stood still for {share:.0%} of the load phase: growth under load was not seen then"
    return still if share > STOOD_STILL else ""


def _in_faults(data: EngineData, *, hourly: bool) -> str:
    """Refuse a PASS if faults on purpose took most of the load phase or its operations."""
    if not data.faults or len(counter := data.in_load("operations_total")) < MIN_SAMPLES:
        return ""
    x = counter.t_s if hourly else running_total(counter)
    share = data.gained_in_faults(counter.t_s, x) / max(extent(x), 1.0)
    return unseen(share, "of the load phase" if hourly else "of the operations")


def _with_time_left(check: Check, signal: str, room: Room | None) -> Check:
    """Add to a live run's check the time until its growth reaches a limit at the present rate."""
    if room is None or check.informational:
        return check
    left = room.memory if signal in HOST_SIGNALS else room.total_growth
    per_hour = check.per_hour
    if left is None or per_hour is None or per_hour <= 0.0:
        return check
    seconds = round_number(max(0.0, left) / per_hour * 3600.0, 4)
    return dataclasses.replace(check, time_to_limit_seconds=seconds)

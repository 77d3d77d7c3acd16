"""Growth of counts: file descriptors, threads, tasks, the interpreter's blocks.

The number gained over the whole phase matters, not a rate: a service that gained three threads gained three.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from soakd.judge.checks.count_rises import CountRise, after_a_fall, rise_above_the_maximum, rise_at_the_end
from soakd.judge.growth.method import DAY_H, judge_growth
from soakd.judge.growth.series import extent
from soakd.judge.story.rundata import EngineData, Series
from soakd.verdict.check import Check, round_number
from soakd.verdict.severity import SEVERITY, State

METHOD = "level-difference/1"
BLOCK_BYTES = 64.0
"""Size of a typical block of the interpreter, to convert a limit in bytes to blocks."""
LEAST_BLOCKS = 1000.0
"""Caches and free lists of the interpreter itself: 64 kB, the resolution of reachable bytes."""

SETTLED = 0.4
"""A count that has not risen for so much of a life has stopped: one large jump is a pool, and leaks come one by one."""
WHERE_ANY = ("children", "zombies")
"""Counts that most engines never have: there is no check then."""


def check_counts(data: EngineData) -> Iterator[Check]:
    """Judge every count that was ever read. Blocks are only shown."""
    limits = data.plan.config.limits
    counted = (
        ("fds", limits.fd_growth, True),
        ("threads", limits.thread_growth, True),
        ("tasks", limits.task_growth, True),
        ("children", limits.child_growth, True),
        ("zombies", limits.child_growth, True),
        ("python_blocks", _most_blocks(data), False),
    )
    for signal, limit, decides in counted:
        series = data.trend(signal)
        if len(series) and (signal not in WHERE_ANY or np.any(series.y > 0.0)):
            yield count_check(data, signal, series, limit, unit="count", decides=decides)


def count_check(
    data: EngineData, signal: str, series: Series, limit: float, *, unit: str, decides: bool, peaks: bool = True
) -> Check:
    """Judge the levels of a count, and the rises that they do not show; brief ones only with `peaks`."""
    check = level_check(signal, series, limit, unit=unit, decides=decides)
    rises = _unlevelled(data, signal, series, limit, peaks=peaks) if decides else ()
    worst = max(rises, key=lambda rise: (SEVERITY[rise.state], rise.rose), default=None)
    if worst is None or SEVERITY[worst.state] <= SEVERITY[check.verdict]:
        return check
    return dataclasses.replace(check, verdict=worst.state, estimate=round_number(worst.rose), reason=worst.reason)


def level_check(signal: str, series: Series, limit: float, *, unit: str, decides: bool) -> Check:
    """Judge the growth of a level in each life of the process; the worst one decides.

    A restart frees what a life gained, so levels of different lives cannot be compared.
    """
    lives = [(life, grown) for life in series.judged_lives() if (grown := _level_difference(life)) is not None]
    check_id = f"growth.{signal}"
    if not lives:
        return Check(
            id=check_id,
            verdict="INCONCLUSIVE",
            informational=not decides,
            limit=limit,
            unit=unit,
            reason="too few samples",
        )
    answers = [(*_answer(life, grown, limit), grown, life) for life, grown in lives]
    state, reason, grown, worst = max(answers, key=lambda answer: (SEVERITY[answer[0]], answer[2]))
    if len(lives) > 1 and grown > limit:
        reason = f"in segment {worst.segment[0]}" + (f": {reason}" if reason else "")
    return Check(
        id=check_id, verdict=state, informational=not decides, estimate=round_number(grown), limit=limit, unit=unit,
        reason=reason, samples=sum(len(life) for life, _ in lives), method=METHOD,
    )  # fmt: skip


def _unlevelled(data: EngineData, signal: str, series: Series, limit: float, *, peaks: bool) -> Iterator[CountRise]:
    """Yield the rises of each life beyond the limit that its levels at the start and the end do not show."""
    for life in series.judged_lives():
        if (fallen := after_a_fall(data, life, limit)) is not None:
            since, rose = fallen
            yield CountRise(*_goes_on(since, limit), rose)
        if (late := rise_at_the_end(data, signal, life, limit)) is not None:
            yield late
        if peaks and (peak := rise_above_the_maximum(data, signal, life, limit)) is not None:
            yield peak


def _answer(life: Series, grown: float, limit: float) -> tuple[State, str]:
    """Answer for a count: it fails if both its levels and its long-run rate are too high.

    The level at the end (the median of the last fifth) minus that at the start (of the fifth after a tenth of warm-up)
    is robust to bursts of work in either; the rate recognizes a pool that grew once and stopped.
    """
    return _goes_on(life, limit) if grown > limit else ("PASS", "")


def _goes_on(series: Series, limit: float) -> tuple[State, str]:
    """Judge whether growth that has happened continues."""
    lasted_s = max(extent(series.t_s), 1e-9)
    share = (series.t_s - series.t_s[0]) / lasted_s
    growth = judge_growth(share, series.y, series.segment, limit=limit, day=DAY_H * 3600.0 / lasted_s)
    if growth.state == "FAIL":
        return "FAIL", ""
    late = share >= 1.0 - SETTLED
    settled = judge_growth(share[late], series.y[late], series.segment[late], limit=limit).state
    if "PASS" in (growth.state, settled):
        return "PASS", "it rose and has stopped rising"
    return "INCONCLUSIVE", "it rose; whether it goes on rising cannot be told yet: soak longer"


def _level_difference(series: Series) -> float | None:
    """Return the growth of one life between its first fifth and its end, extrapolated to the whole; None if unread."""
    share = (series.t_s - series.t_s[0]) / max(float(np.ptp(series.t_s)), 1e-9)
    first, last = series.y[(share >= 0.1) & (share <= 0.3)], series.y[share >= 0.8]
    if not len(first) or not len(last):
        return None
    return float(np.median(last) - np.median(first)) / 0.7


def _most_blocks(data: EngineData) -> float:
    """Return the blocks that growth at the limit would add over the load phase."""
    return max(LEAST_BLOCKS, round_number(allowed_bytes(data) / BLOCK_BYTES, 3) or 0.0)


def allowed_bytes(data: EngineData) -> float:
    """Return the bytes that growth at the limit would add over the load phase."""
    limits, load = data.plan.config.limits, data.plan.load
    per_operation = limits.growth_per_operation_bytes
    if per_operation is not None:
        return per_operation * data.plan.rate_per_s * load.duration_s
    return (limits.growth_rate_bytes_per_h or 1e6) * load.duration_s / 3600.0

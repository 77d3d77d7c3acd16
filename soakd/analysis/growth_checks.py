"""Which signals are judged for growth, against which limit, and what a run of this length may say.

`growth.reachable_bytes` is the leak check and `growth.rss_anon_bytes` the host check: both decide. Where forking is
off, live bytes stand in for reachable ones. The others tell where a difference is, and do not decide.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from soakd.analysis.check import Check, round_number
from soakd.analysis.growth import Growth, judge_growth
from soakd.analysis.rules import (
    BYTE_SIGNALS,
    FINAL_FROM,
    LEAST_HOURS,
    LEAST_OPERATIONS,
    LIVE_SIGNALS,
    RESOLUTION_BYTES,
)
from soakd.analysis.rundata import EngineData, Series
from soakd.analysis.series import MIN_SAMPLES, FloatArray
from soakd.config import Limits
from soakd.model import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """How much of the plan has been seen."""

    planned_s: float
    seen_s: float
    final: bool
    """The run has ended, in whatever way."""

    @property
    def share(self) -> float:
        """Seen share of the plan, 0 to 1."""
        return min(1.0, self.seen_s / self.planned_s) if self.planned_s else 0.0

    @property
    def may_judge(self) -> bool:
        """Whether growth may pass or fail by now."""
        return self.final and self.share >= FINAL_FROM


def check_growth(data: EngineData, outlook: Outlook, *, every_signal: bool) -> Iterator[Check]:
    """Judge everything that can grow of one engine; while the run goes on only what decides."""
    limits = data.plan.config.limits
    for signal in BYTE_SIGNALS if every_signal else LIVE_SIGNALS:
        series = data.in_load(signal)
        if len(series) >= MIN_SAMPLES or decides(data, signal):
            yield from _byte_checks(data, signal, series, limits, outlook)
    if every_signal:
        for signal, limit in (
            ("fds", limits.fd_growth),
            ("threads", limits.thread_growth),
            ("tasks", limits.task_growth),
        ):
            series = data.in_load(signal)
            if len(series):
                yield _count_check(signal, series, limit, outlook)


def decides(data: EngineData, signal: str) -> bool:
    """Tell whether a signal decides for its engine."""
    leak_signal = "reachable_bytes" if data.plan.collect_every_s is not None else "live_bytes"
    return signal in (leak_signal, "rss_anon_bytes")


def _byte_checks(data: EngineData, signal: str, series: Series, limits: Limits, outlook: Outlook) -> Iterator[Check]:
    hourly, per_operation = limits.growth_rate_bytes_per_h, limits.growth_per_operation_bytes
    if hourly is not None:
        yield _hourly_check(data, signal, series, hourly, outlook)
    if per_operation is not None:
        suffix = "" if hourly is None else ".per_operation"
        yield _operation_check(data, signal, series, per_operation, outlook, suffix)


def _hourly_check(data: EngineData, signal: str, series: Series, limit: float, outlook: Outlook) -> Check:
    hours = series.t_s / 3600.0
    growth = judge_growth(hours, series.y, series.segment, limit=limit)
    span = _span(hours)
    operations = _operations_per(data, series, span)
    verdict = _Judged(growth, limit, span, RESOLUTION_BYTES[signal])
    too_short = span < LEAST_HOURS and (
        f"too short: {limit / 1e6:g} MB/h needs at least {LEAST_HOURS:g} h of load, {span:.2g} h were seen"
    )
    more = {"per_operation": _ratio(growth.estimate, operations)}
    return verdict.check(f"growth.{signal}", "bytes/hour", decides(data, signal), too_short or "", outlook, more)


def _operation_check(
    data: EngineData, signal: str, series: Series, limit: float, outlook: Outlook, suffix: str
) -> Check:
    operations = data.operations_at(series)
    known = np.isfinite(operations)
    x, y, segment = operations[known], series.y[known], series.segment[known]
    growth = judge_growth(x, y, segment, limit=limit)
    span = _span(x)
    hours = _span(series.t_s) / 3600.0
    verdict = _Judged(growth, limit, span, RESOLUTION_BYTES[signal])
    too_few = span < LEAST_OPERATIONS and f"too few: {span:,.0f} operations were seen, {LEAST_OPERATIONS:,} are needed"
    per_hour = None if growth.estimate is None or not hours else growth.estimate * span / hours
    more = {"per_hour": round_number(per_hour)}
    name = f"growth.{signal}{suffix}"
    return verdict.check(name, "bytes/operation", decides(data, signal), too_few or "", outlook, more)


@dataclass(frozen=True, slots=True)
class _Judged:
    """A growth answer about to become a check."""

    growth: Growth
    limit: float
    span: float
    """Length of the series, in hours or operations."""
    resolution: float
    """Growth over the whole span that the signal can resolve, in its own unit."""

    @property
    def minimum_detectable(self) -> float | None:
        """The rate that would have been called FAIL: by the interval's width, and by the signal's resolution."""
        if self.growth.minimum_detectable is None or not self.span:
            return None
        return max(self.growth.minimum_detectable, self.resolution / self.span)

    def check(
        self,
        check_id: str,
        unit: str,
        decides: bool,
        too_short: str,
        outlook: Outlook,
        more: Mapping[str, float | None],
    ) -> Check:
        """Apply what a short run may say, then what a look before the end may say."""
        growth = self.growth
        state, reason = self._state(too_short)
        so_far = None
        if not outlook.may_judge:
            so_far = state
            state, reason = _early(outlook, reason)
        return Check(
            id=check_id, verdict=state, decides=decides, unit=unit, reason=reason,
            estimate=round_number(growth.estimate), low=round_number(growth.low), high=round_number(growth.high),
            limit=self.limit,
            more={
                **more, "minimum_detectable": round_number(self.minimum_detectable), "samples": growth.samples,
                "so_far": so_far, "method": growth.method,
            },
        )  # fmt: skip

    def _state(self, too_short: str) -> tuple[State, str]:
        growth = self.growth
        if growth.estimate is None or growth.low is None:
            return "INCONCLUSIVE", growth.reason
        if growth.state == "FAIL" and growth.low * self.span < self.resolution:
            grown = f"{growth.estimate * self.span:,.0f} bytes of growth are below this signal's resolution"
            return "INCONCLUSIVE", f"{grown} of {self.resolution:,.0f} bytes: soak longer"
        if growth.state == "PASS" and too_short:
            return "INCONCLUSIVE", too_short
        if growth.state == "PASS" and growth.estimate - growth.low > self.limit:
            return "INCONCLUSIVE", "the interval is so wide that a leak of twice the limit could have been missed"
        if growth.state == "INCONCLUSIVE" and not growth.reason:
            return "INCONCLUSIVE", "the limit lies inside the interval: soak longer or sample more often"
        return growth.state, growth.reason


def _early(outlook: Outlook, reason: str) -> tuple[State, str]:
    if not outlook.final:
        return "INCOMPLETE", reason
    ended = f"ended early at {outlook.share:.0%} of the plan: growth is judged from {FINAL_FROM:.0%} on"
    return "INCONCLUSIVE", f"{ended}; {reason}" if reason else ended


def _count_check(signal: str, series: Series, limit: float, outlook: Outlook) -> Check:
    """Judge fds, threads or tasks: things, so that growth over the phase in whole numbers is the question.

    The level at the end (the median of the last fifth) less that at the start (of the first fifth after a tenth of
    warm-up) is robust to bursts of work in either.
    """
    t_s, y = series.t_s, series.y
    share = (t_s - t_s[0]) / max(float(t_s[-1] - t_s[0]), 1e-9)
    first, last = y[(share >= 0.1) & (share <= 0.3)], y[share >= 0.8]
    if len(y) < 16 or not len(first) or not len(last):
        return Check(id=f"growth.{signal}", verdict="INCONCLUSIVE", limit=limit, unit="count", reason="too few samples")
    grown = float(np.median(last) - np.median(first)) / 0.7
    state: State = "FAIL" if grown > limit else "PASS"
    so_far = None
    reason = ""
    if not outlook.may_judge:
        so_far = state
        state, reason = _early(outlook, "")
    return Check(
        id=f"growth.{signal}", verdict=state, estimate=round_number(grown), limit=limit, unit="count", reason=reason,
        more={"samples": len(y), "so_far": so_far, "method": "level-difference/1"},
    )  # fmt: skip


def _span(x: FloatArray) -> float:
    return float(np.ptp(x)) if len(x) else 0.0


def _operations_per(data: EngineData, series: Series, hours: float) -> float:
    """Return operations an hour over a series."""
    operations = data.operations_at(series)
    operations = operations[np.isfinite(operations)]
    return _span(operations) / hours if hours and len(operations) else math.nan


def _ratio(estimate: float | None, operations_per_hour: float) -> float | None:
    if estimate is None or not operations_per_hour > 0:
        return None
    return round_number(estimate / operations_per_hour)


def as_of(outlook: Outlook, check: Check) -> Check:
    """Mark a check of a run that goes on as INCOMPLETE, its present answer kept as "so_far"."""
    if outlook.final:
        return check
    return dataclasses.replace(check, verdict="INCOMPLETE", more={**check.more, "so_far": check.verdict})

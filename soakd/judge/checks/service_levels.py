"""The checks of an engine apart from growth rates: errors, latency, rate, processor, crashes, return to baseline."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from soakd.judge.checks.cache_growth import held_by_entries, judge_beside_cache
from soakd.judge.checks.ceilings import CONSTANT_PROFILES, WARM_UP_SHARE, highest_rise, to_the_close
from soakd.judge.checks.phase_ends import check_phase_ends
from soakd.judge.growth.series import MIN_SAMPLES, FloatArray
from soakd.judge.story.interruptions import served
from soakd.judge.story.latency import LatencyWindow, merge
from soakd.judge.story.looks import left_by_tools
from soakd.judge.story.rundata import EngineData, Series
from soakd.verdict.check import Check, below, round_number
from soakd.verdict.details import LatencyDetail, LoadDetail
from soakd.verdict.severity import State
from soakd.wire.records import LIFE_ENDS

LEAST_WINDOWS = 0.5
"""The least share of the load phase's windows for a latency check."""
DRIVER_BOUND_S = 10e-3
"""A window whose lateness p99 is above this measures the driver more than the engine."""
HICCUP_S, HICCUP_SHARE = 5.0, 0.2
"""If less than this time of operations is missing, within this share of the phase, the host may be the cause."""
LEAST_DRIFT_WINDOWS = 30
MOST_DRIFT_POINTS = 1440
WINDOW_S = 60.0
"""The length of a latency window in a run long enough for drift to decide."""
DRIFT_DECIDES_FROM_S = 7200.0


def check_service(data: EngineData) -> Iterator[Check]:
    """Judge everything but growth rates of one engine."""
    yield _total_growth(data)
    if data.plan.config.limits.return_to_baseline_bytes is not None:
        yield _return_to_baseline(data)
    yield from check_phase_ends(data)
    yield _errors(data)
    yield from _latency(data)
    yield _achieved(data)
    yield _cpu(data)
    yield _crashes(data)


def latency_windows(data: EngineData) -> tuple[list[LatencyWindow], list[LatencyWindow]]:
    """Return the windows of the load phase that count, and those that are driver-bound.

    Windows with a forked child, or with a fault on purpose that affects the engine, are in neither.
    """
    broken = {fault.name for fault in data.faults}
    windows = [w for w in data.latency if w.phase == "load" and not w.observed and w.fault not in broken]
    late = [is_driver_bound(window) for window in windows]
    counted = [w for w, is_late in zip(windows, late, strict=True) if not is_late]
    return counted, [w for w, is_late in zip(windows, late, strict=True) if is_late]


def is_driver_bound(window: LatencyWindow) -> bool:
    """Return whether a window measures the driver or the host more than the engine."""
    return (window.lateness_p99_s or 0.0) > DRIVER_BOUND_S


def latency_summary(windows: Sequence[LatencyWindow]) -> LatencyDetail:
    """Return service and response quantiles over some windows, in seconds."""
    service = merge(window.service() for window in windows)
    response = merge(window.response() for window in windows)
    return LatencyDetail(
        service_p50_s=round_number(service.quantile_s(0.50)),
        service_p95_s=round_number(service.quantile_s(0.95)),
        service_p99_s=round_number(service.quantile_s(0.99)),
        response_p50_s=round_number(response.quantile_s(0.50)),
        response_p99_s=round_number(response.quantile_s(0.99)),
    )


def _total_growth(data: EngineData) -> Check:
    """Judge the absolute growth of the leak signal after warm-up; never scaled to a day.

    It compares levels of the load phase and, if those are within the limit, the highest sample up to the close.
    """
    series, limit = data.in_load(data.leak_signal), data.plan.config.limits.total_growth_bytes
    check_id = f"total_growth.{data.leak_signal}"
    if limit is None:
        return Check(id=check_id, verdict="PASS", informational=True, reason="switched off")

    def judge(part: Series) -> Check:
        gain = level_difference(part)
        return below(check_id, round_number(gain.gained if gain else None), limit, "bytes", missing="too few samples")

    check = judge_beside_cache(data, series, judge)
    return _with_ceiling(data, check, limit) if check.verdict == "PASS" else check


def _with_ceiling(data: EngineData, check: Check, limit: float) -> Check:
    """Fail if memory was above the limit for a while, which levels do not show."""
    series = to_the_close(data, data.leak_signal)
    rise = highest_rise(data, series)
    if rise is None or rise.rose - left_by_tools(data) <= limit or _is_of_entries(data, series, limit):
        return check
    hour = rise.at_s / 3600.0
    reason = f"at hour {hour:.3g} of the run it was so far above what it had been; its level alone says less"
    return dataclasses.replace(check, verdict="FAIL", estimate=round_number(rise.rose), reason=reason)


def _is_of_entries(data: EngineData, series: Series, limit: float) -> bool:
    """Return whether entries of a bounded cache explain memory above the limit, also in the reload phase."""
    if (held := held_by_entries(data, series)) is None:
        return False
    rise = highest_rise(data, Series(series.t_s, series.y - held, series.segment))
    return rise is not None and rise.rose <= limit


class LifeGain(NamedTuple):
    """The bytes that a life gained between two times, in seconds since the origin."""

    gained: float
    from_s: float
    to_s: float


def level_difference(series: Series) -> LifeGain | None:
    """Return the growth of the worst life: the median of its last tenth minus that of the first tenth after warm-up.

    None with too few samples. A restart frees what a life gained: levels of different lives are not compared.
    """
    lives = (life for life in series.lives() if len(life) >= MIN_SAMPLES and np.ptp(life.t_s) > 0.0)
    return max((_gained(life) for life in lives), default=None)


def _gained(life: Series) -> LifeGain:
    share = (life.t_s - life.t_s[0]) / np.ptp(life.t_s)
    first = np.flatnonzero((share >= WARM_UP_SHARE) & (share <= WARM_UP_SHARE + 0.1))
    if not len(first):  # a snapshot delayed the others
        first = np.flatnonzero(share >= WARM_UP_SHARE)[:1]
    last = np.flatnonzero(share >= 0.9)
    levels, moments = (tuple(float(np.median(x[part])) for part in (first, last)) for x in (life.y, life.t_s))
    return LifeGain(levels[1] - levels[0], *moments)


def _return_to_baseline(data: EngineData) -> Check:
    signal = data.leak_signal
    limit = data.plan.config.limits.return_to_baseline_bytes or 0.0
    phases = {phase.name: phase for phase in data.plan.phases}
    before = data.signal(signal).between(phases["baseline"].start_s, phases["baseline"].end_s)
    after = data.signal(signal).between(phases["close"].start_s, phases["close"].end_s + 5.0)
    if not len(before) or not len(after):
        missing = "no reading in the baseline or close phase"
        due_s = phases["close" if len(before) else "baseline"].end_s
        return below("return_to_baseline", None, limit, "bytes", missing=missing, due_s=due_s)
    kept = float(after.y[-1] - np.median(before.y)) - left_by_tools(data)
    return below("return_to_baseline", round_number(kept), limit, "bytes", missing="")


def _errors(data: EngineData) -> Check:
    """Judge the share of operations that raised, among those outside the windows of faults on purpose."""
    operations, errors = gained_in_load(data, "operations_total"), gained_in_load(data, "errors_total")
    limit = data.plan.config.limits.error_ratio
    ratio = None if not operations else round_number((errors or 0.0) / operations)
    in_faults = _increase(data.in_load("errors_total")) - (errors or 0.0) if data.faults else None
    detail = LoadDetail(errors=errors, errors_in_faults=in_faults)
    return below("errors.ratio", ratio, limit, "ratio", missing="no operation completed", load=detail)


def _latency(data: EngineData) -> Iterator[Check]:
    limits = data.plan.config.limits
    counted, bound = latency_windows(data)
    summary = latency_summary(counted)
    whole = len(counted) + len(bound)
    missing = f"{len(bound)} of {whole} windows were driver-bound" if bound else "no latency was recorded"
    is_enough = len(counted) >= LEAST_WINDOWS * whole
    detail = dataclasses.replace(summary, windows=len(counted), driver_bound_windows=len(bound))
    if limits.latency_p95_s is not None:
        p95 = summary.service_p95_s if is_enough else None
        yield below("latency.p95", p95, limits.latency_p95_s, "seconds", missing=missing, latency=detail)
    if limits.response_p99_s is not None:
        p99 = summary.response_p99_s if is_enough else None
        yield below("latency.response_p99", p99, limits.response_p99_s, "seconds", missing=missing)
    yield _drift(data, counted, limits.latency_drift_ratio)


def _drift(data: EngineData, windows: Sequence[LatencyWindow], limit: float) -> Check:
    """Judge the Theil-Sen slope of the windows' p95 over the load phase, as a share of its median; three-state.

    Source: P. K. Sen, "Estimates of the regression coefficient based on Kendall's tau" (1968).
    """
    decides = data.plan.load.duration_s >= DRIFT_DECIDES_FROM_S
    points = [(w.from_s, w.service_p95_s) for w in windows if w.service_p95_s is not None]
    t_s, p95_s = _fewer(np.array(points).reshape(-1, 2)).T
    if len(points) < LEAST_DRIFT_WINDOWS or not np.median(p95_s) or not np.ptp(t_s):
        few = len(points) < LEAST_DRIFT_WINDOWS
        reason = f"{len(points)} windows, {LEAST_DRIFT_WINDOWS} needed" if few else "of no time, or all of one moment"
        due_s = min(data.plan.load.end_s, data.plan.load.start_s + LEAST_DRIFT_WINDOWS * WINDOW_S)
        return Check(
            id="latency.drift", verdict="INCONCLUSIVE", informational=not decides, limit=limit, unit="ratio/run",
            reason=reason, due_s=due_s,
        )  # fmt: skip
    slope, _, low, high = stats.theilslopes(p95_s, t_s)
    per_run = data.plan.load.duration_s / float(np.median(p95_s))
    estimate, low, high = slope * per_run, low * per_run, high * per_run
    state: State = "FAIL" if low > limit else "PASS" if high < limit else "INCONCLUSIVE"
    return Check(
        id="latency.drift", verdict=state, informational=not decides, estimate=round_number(estimate),
        low=round_number(low), high=round_number(high), limit=limit, unit="ratio/run",
        latency=LatencyDetail(windows=len(points)), method="theil-sen/1",
    )  # fmt: skip


def _fewer(points: FloatArray) -> FloatArray:
    """Put neighbours together, each group its medians: the slopes between all pairs of a month take 7 GB; (n, 2)."""
    if len(points) <= MOST_DRIFT_POINTS:
        return points
    return np.array([np.median(group, axis=0) for group in np.array_split(points, MOST_DRIFT_POINTS)])


def _achieved(data: EngineData) -> Check:
    """Judge the operations achieved in the load phase, as a share of those configured."""
    limit = data.plan.config.limits.achieved_ratio
    counter = data.in_load("operations_total")
    if len(counter) < 2:
        return Check(
            id="rate.achieved", verdict="INCONCLUSIVE", limit=limit, unit="ratio", reason="no operation was counted"
        )
    gained, seconds = served(data, counter)
    due = _operations_due(data, gained, seconds)
    if due is None or not np.any(seconds):
        reason = "what was missed was not always read" if due is None else "nothing of the load phase is left to judge"
        return Check(id="rate.achieved", verdict="INCONCLUSIVE", limit=limit, unit="ratio", reason=reason)
    done, all_due, span_s = float(np.sum(gained)), float(np.sum(due)), float(np.sum(seconds))
    ratio = done / all_due if all_due else 0.0
    short_s = (1.0 - ratio) * span_s
    state: State = "PASS" if ratio >= limit else "FAIL"
    reason = ""
    if ratio < limit and short_s < HICCUP_S and _without_worst(gained, due, seconds) >= limit:
        state = "INCONCLUSIVE"
        reason = f"short by {short_s:.2g} s, within a fifth of the time: the host may have stood still; soak longer"
    return Check(
        id="rate.achieved", verdict=state, estimate=round_number(ratio), limit=limit, unit="ratio", reason=reason,
        load=LoadDetail(
            achieved_per_second=round_number(done / span_s), dropped=gained_in_load(data, "dropped_total") or 0.0,
            skipped=gained_in_load(data, "skipped_total") or 0.0,
        ),
    )  # fmt: skip


def _operations_due(data: EngineData, gained: FloatArray, seconds: FloatArray) -> FloatArray | None:
    """Return the scheduled operations for each step of the load phase that counts; None if not known."""
    if data.plan.config.profile in CONSTANT_PROFILES:
        return data.plan.rate_per_s * seconds
    missed = [served(data, data.in_load(name))[0] for name in ("dropped_total", "skipped_total")]
    return gained + missed[0] + missed[1] if all(len(each) == len(gained) for each in missed) else None


def _without_worst(gained: FloatArray, due: FloatArray, seconds: FloatArray) -> float:
    """Return the ratio without the worst steps: a fifth of the time, or the worst one."""
    worst = np.argsort((gained - due) / np.maximum(seconds, 1e-9), kind="stable")
    kept = np.cumsum(seconds[worst]) > HICCUP_SHARE * np.sum(seconds)
    kept[0] &= bool(seconds[worst[0]] > 0.5 * np.sum(seconds))
    left = float(np.sum(due[worst][kept]))
    return float(np.sum(gained[worst][kept])) / left if left else 0.0


def _cpu(data: EngineData) -> Check:
    """Judge the processor seconds of the worker per second of load: engine, driver and probes together."""
    limit = data.plan.config.limits.cpu_ratio
    seconds = data.in_load("cpu_s_total")
    if len(seconds) < 2 or not np.ptp(seconds.t_s):
        return below("cpu.ratio", None, limit, "cores", missing="no reading")
    used = _increase(seconds)
    return below("cpu.ratio", round_number(used / float(np.ptp(seconds.t_s)), 4), limit, "cores", missing="")


def _crashes(data: EngineData) -> Check:
    ends = [i for i in data.incidents if i.what in LIFE_ENDS and i.fault is None]
    gave_up = any(i.what == "gave_up" for i in data.incidents)
    limit = data.plan.config.limits.restarts
    unclosed = [i for i in data.incidents if i.what == "close_failed"]
    returned = [i for i in data.incidents if i.what == "child_returned"]
    count = len(ends) + sum((i.count or 1) for i in returned)
    failed = gave_up or len(ends) > limit or bool(unclosed or returned)
    reason = "; ".join(dict.fromkeys(str(i.detail) for i in [*ends[:3], *unclosed[:1], *returned[:1]]))
    return Check(
        id="stability.crashes", verdict="FAIL" if failed else "PASS", estimate=float(count), limit=float(limit),
        unit="count", reason=reason,
    )  # fmt: skip


def gained_in_load(data: EngineData, counter: str) -> float | None:
    """Return the increase of a counter in the load phase outside faults; None if it was not read."""
    series = data.in_load(counter)
    if len(series) < 2:
        return None
    steps = np.where(np.diff(series.segment) != 0, series.y[1:], np.diff(series.y))
    return float(np.sum(steps[~data.in_a_fault(series.t_s[:-1], series.t_s[1:])]))


def _increase(counter: Series) -> float:
    """Return the total increase of a counter that restarts with each segment."""
    steps = np.diff(counter.y)
    restarted = np.diff(counter.segment) != 0
    return float(np.sum(np.where(restarted, counter.y[1:], steps)))

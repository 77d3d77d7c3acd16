"""The growth verdict: does the long-run rate of a series stay below a limit?

A memory series of a soaked process is a level, transients that end (warm-up, cache fill, allocator steps, collector
sawtooth), a long-run rate and autocorrelated noise; the question is only about the rate. Why it is answered in this
way, and what other ways cost, is in docs/adr/0003-growth-method.md.
"""

import math
from dataclasses import dataclass
from typing import Literal

from soakd.judge.growth.average import Explored, average, best_curve, explore
from soakd.judge.growth.blocks import BLOCKS, MIN_BLOCKS
from soakd.judge.growth.detectable import CHECK_ERROR
from soakd.judge.growth.lives import late_slope, typical_life
from soakd.judge.growth.mixture import Mixture, shared
from soakd.judge.growth.series import MIN_SAMPLES, MIN_SHARE, FloatArray, IntArray, Recording, Segment, read_series

State = Literal["PASS", "FAIL", "INCONCLUSIVE"]
METHOD = "bayes-structural/1"
DAY_H = 24.0
"""A day, where x is hours."""
LOW, MEDIAN, HIGH = 0.025, 0.5, 0.975
LEFT_OPEN = 0.1
"""Share of the time from which on lives that are too short to judge must not be left out."""
SHORT_HIGH = 2.0
"""Growth in limits that such lives, judged together, must be below for a PASS."""
BLIND = 5.0
"""A series on which less than this many limits of growth would go unseen cannot pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """The long-run rate of one series, in [unit of y] per [unit of x]."""

    state: State
    """FAIL where the whole interval is above the limit, PASS where it is below, otherwise INCONCLUSIVE."""
    estimate: float | None
    """The median; None when there was too little data, as are the other rates."""
    low: float | None
    """The rate is below this with 2.5 %."""
    high: float | None
    """The rate is above this with 2.5 %."""
    certain_low: float | None
    """The rate is below this with 1 % (`CHECK_ERROR`)."""
    minimum_detectable: float | None
    """limit + (estimate - low): the least estimate that would have been called FAIL on this series.

    A FAIL needs low > limit, and low lies (estimate - low) under the estimate; a leak that were added to this very
    series would move the interval without widening it. So this is what a PASS can be said to have looked for.
    """
    within_limit: float | None
    """The probability that the rate is below the limit."""
    ceiling_rate: float | None
    """How fast the ceiling of a life rises after its first quarter, of the fastest."""
    lives_differ: bool
    """One life may grow beyond the limit where the others do not: the rate that they share says less than it seems."""
    samples: int
    """Samples in the segments that were used."""
    segments: int
    """Segments that were used."""
    reason: str
    """One plain sentence, or "" when there is nothing to say."""
    method: str = METHOD


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What the best model sees in one segment, at its blocks; every field of shape (blocks,), in the caller's units."""

    x: FloatArray
    y: FloatArray
    """The block values that were judged."""
    fitted: FloatArray
    """The same without noise."""
    long_run: FloatArray
    """The line of the segment's own long-run rate through the end of the fitted curve."""


def judge_growth(
    x: FloatArray, y: FloatArray, segment: IntArray | None = None, *, limit: float, day: float = math.inf
) -> Growth:
    """Judge the long-run rate of a series against a limit.

    Args:
        x: shape (n,), time or operations, in any unit and order.
        y: shape (n,), the signal; samples that are not finite are dropped and counted in the reason.
        segment: shape (n,), which life of the process a sample is of; None when there is only one.
        limit: the rate that is allowed, in [unit of y] per [unit of x].
        day: how much of x a day is, so that a load may follow it: 24 in hours; infinite where x is no time.

    Measured (docs/adr/0003, kind by kind): on 136 decidable traces of a labelled corpus 0/79 false FAIL, 0/57 false
    PASS, 5.1 % INCONCLUSIVE, and 98.5 % of intervals hold the true rate; on 348 simulated ones, with leaks of at least
    twice the limit, 0/156, 0/192, 2.6 % and 97.1 %. Growth in the last 4 % to 8 % of a series is not seen.

    Raises:
        ValueError: the limit is not a finite number above 0, or the shapes differ.
    """
    recording = _read(x, y, segment, limit)
    rates = [(s, mixture) for s in recording.segments if (mixture := _rate(s, limit, day)) is not None]
    if not rates:
        return _unknown(recording)
    rate = shared([mixture for _, mixture in rates])
    low, estimate, high = (rate.quantile(probability) for probability in (LOW, MEDIAN, HIGH))
    state, why = _verdict(low, high, detectable := 1.0 + estimate - low)
    doubt = "" if state == "FAIL" else _a_life_grows(rates) or _short_lives_may_grow(recording, limit)
    if doubt:
        state, why = "INCONCLUSIVE", doubt
    return Growth(
        state=state,
        estimate=estimate * limit,
        low=low * limit,
        high=high * limit,
        certain_low=rate.quantile(CHECK_ERROR) * limit,
        minimum_detectable=detectable * limit,
        within_limit=rate.cdf(1.0),
        ceiling_rate=max(s.ceiling_rate for s, _ in rates),
        lives_differ=bool(doubt),
        samples=sum(s.x.size for s, _ in rates),
        segments=len(rates),
        reason=_sentence(why, _ignored(recording), _dropped(recording)),
    )


def explain_growth(
    x: FloatArray, y: FloatArray, segment: IntArray | None = None, *, limit: float, day: float = math.inf
) -> tuple[Curve, ...]:
    """The curve that fits best in each segment, for a person to look at; arguments and errors of `judge_growth`.

    It is one model of the many that were averaged: its line may differ from the verdict's estimate.
    """
    curves = (_curve(s, limit, day) for s in _read(x, y, segment, limit).segments)
    return tuple(curve for curve in curves if curve is not None)


def _read(x: FloatArray, y: FloatArray, segment: IntArray | None, limit: float) -> Recording:
    if not (math.isfinite(limit) and limit > 0.0):
        raise ValueError(f"limit: must be a finite number above 0, got {limit!r}")
    return read_series(x, y, segment)


def _explored(segment: Segment, limit: float, day: float) -> Explored | None:
    scaled = segment.scaled(limit)
    return explore(*scaled, segment.duration / day) if scaled else None


def _rate(segment: Segment, limit: float, day: float) -> Mixture | None:
    """The rate of one segment, in limits."""
    explored = _explored(segment, limit, day)
    return average(explored) if explored else None


def _curve(segment: Segment, limit: float, day: float) -> Curve | None:
    explored = _explored(segment, limit, day)
    if explored is None:
        return None
    fitted = best_curve(explored)
    long_run = fitted[-1] + average(explored).quantile(MEDIAN) * (explored.x - explored.x[-1])
    unit = limit * segment.duration
    return Curve(
        x=segment.x[0] + explored.x * segment.duration,
        y=segment.middle + explored.z * unit,
        fitted=segment.middle + fitted * unit,
        long_run=segment.middle + long_run * unit,
    )


def _verdict(low: float, high: float, detectable: float) -> tuple[State, str]:
    """The answer and its reason, from rates in limits."""
    if low > 1.0:
        return "FAIL", ""
    if high >= 1.0:
        return "INCONCLUSIVE", "the limit lies inside the interval"
    if detectable > BLIND:
        return "INCONCLUSIVE", f"growth of less than {detectable:.1f} times the limit would not have been seen"
    return "PASS", ""


def _a_life_grows(rates: list[tuple[Segment, Mixture]]) -> str:
    """Lives share a rate only as far as they agree: one that more likely than not leaks is outvoted by no other."""
    worst = max(rate.quantile(MEDIAN) for _, rate in rates)
    return f"one life of the process alone grows by {worst:.1f} times the limit" if worst > 1.0 else ""


def _short_lives_may_grow(recording: Recording, limit: float) -> str:
    """Lives that are too short to judge alone are judged together; what they leave open is no evidence of health."""
    if recording.left_open < LEFT_OPEN:
        return ""
    what = f"lives too short to judge alone make up {recording.left_open:.0%} of the time"
    together = typical_life(recording.short)
    rate = _rate(together, limit, math.inf) if together else None
    if together is None or rate is None:
        return what
    high = max(rate.quantile(HIGH), late_slope(together) / limit * SHORT_HIGH)
    return f"{what} and may grow by {high:.1f} times the limit" if high > SHORT_HIGH else ""


def _unknown(recording: Recording) -> Growth:
    return Growth(
        state="INCONCLUSIVE", estimate=None, low=None, high=None, certain_low=None, minimum_detectable=None,
        within_limit=None, ceiling_rate=None, lives_differ=False, samples=0, segments=0,
        reason=_sentence(_why_unknown(recording), _dropped(recording)),
    )  # fmt: skip


def _why_unknown(recording: Recording) -> str:
    if recording.usable < MIN_SAMPLES:
        return f"{recording.usable} samples, {MIN_SAMPLES} needed"
    if not recording.segments:
        return f"no segment with {MIN_SAMPLES} samples over {MIN_SHARE:.0%} of the duration"
    return f"the samples lie in fewer than {MIN_BLOCKS} of {BLOCKS} parts of the duration"


def _ignored(recording: Recording) -> str:
    ignored = len(recording.short)
    return f"{ignored} {'life' if ignored == 1 else 'lives'} of its process too short to judge" if ignored else ""


def _dropped(recording: Recording) -> str:
    return f"samples that were not finite: {recording.dropped}" if recording.dropped else ""


def _sentence(*parts: str) -> str:
    return "; ".join(part for part in parts if part)

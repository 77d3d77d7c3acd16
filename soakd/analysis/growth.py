"""The growth verdict: does the long-run rate of a series stay below a limit?

A memory series of a soaked process is a level, transients that end (warm-up, cache fill, allocator steps, collector
sawtooth), a long-run rate and autocorrelated noise; the question is only about the rate. See docs/adr/0003.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from soakd.analysis.average import rate_of
from soakd.analysis.blocks import BLOCKS, MIN_BLOCKS
from soakd.analysis.mixture import Mixture, quantiles
from soakd.analysis.series import MIN_SAMPLES, MIN_SHARE, FloatArray, IntArray, Recording, Segment, read_series

State = Literal["PASS", "FAIL", "INCONCLUSIVE"]
METHOD = "bayes-structural/1"
LOW, MEDIAN, HIGH = 0.025, 0.5, 0.975


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """The long-run rate of one series, in [unit of y] per [unit of x]."""

    state: State
    """FAIL where the whole interval is above the limit, PASS where it is below, otherwise INCONCLUSIVE."""
    estimate: float | None
    """The median; None when there was too little data."""
    low: float | None
    high: float | None
    """2.5 % and 97.5 %."""
    minimum_detectable: float | None
    """limit + (estimate - low): a series as noisy as this one fails when its low end is above the limit, so this is
    the least estimate that would have been called FAIL. It says what a PASS could have seen."""
    samples: int
    segments: int
    """What was used."""
    reason: str
    """One plain sentence, or "" when there is nothing to say."""
    method: str = METHOD


def judge_growth(x: FloatArray, y: FloatArray, segment: IntArray | None = None, *, limit: float) -> Growth:
    """Judge the long-run rate of a series against a limit.

    Args:
        x: shape (n,), time or operations, in any unit and order.
        y: shape (n,), the signal; samples that are not finite are dropped and counted in the reason.
        segment: shape (n,), which life of the process a sample is of; None when there is only one.
        limit: the rate that is allowed, above 0, in [unit of y] per [unit of x].

    Raises:
        ValueError: the limit is not a positive finite number, or the shapes differ.
    """
    if not (math.isfinite(limit) and limit > 0.0):
        raise ValueError(f"limit: must be a number above 0, got {limit!r}")
    recording = read_series(x, y, segment)
    rates = [(s, rate) for s in recording.segments if (rate := _rate(s, limit)) is not None]
    samples = sum(s.x.size for s, _ in rates)
    if not rates:
        return _too_little(recording)
    low, estimate, high = (limit * q for q in quantiles([rate for _, rate in rates], (LOW, MEDIAN, HIGH)))
    return Growth(
        state="FAIL" if low > limit else "PASS" if high < limit else "INCONCLUSIVE",
        estimate=estimate, low=low, high=high,
        minimum_detectable=limit + (estimate - low),
        samples=samples, segments=len(rates),
        reason=_left_out(recording),
    )  # fmt: skip


def _rate(segment: Segment, limit: float) -> Mixture | None:
    """The rate of one segment in limits: times become shares of it, values shares of limit * duration."""
    with np.errstate(over="ignore", invalid="ignore"):
        values = (segment.y - np.median(segment.y)) / (limit * segment.duration)
    return rate_of(segment.x / segment.duration, values) if np.all(np.isfinite(values)) else None


def _too_little(recording: Recording) -> Growth:
    return Growth(
        state="INCONCLUSIVE", estimate=None, low=None, high=None, minimum_detectable=None, samples=0, segments=0,
        reason="; ".join(filter(None, (_why_none(recording), _dropped(recording)))),
    )  # fmt: skip


def _why_none(recording: Recording) -> str:
    if recording.usable < MIN_SAMPLES:
        return f"{recording.usable} samples, {MIN_SAMPLES} needed"
    if not recording.segments:
        return f"no segment with {MIN_SAMPLES} samples over {MIN_SHARE:.0%} of the duration"
    return f"the samples lie in fewer than {MIN_BLOCKS} of {BLOCKS} parts of the duration"


def _dropped(recording: Recording) -> str:
    return f"{recording.dropped} samples were not finite" if recording.dropped else ""


def _left_out(recording: Recording) -> str:
    ignored = f"{recording.ignored} short segments were ignored" if recording.ignored else ""
    return "; ".join(filter(None, (ignored, _dropped(recording))))

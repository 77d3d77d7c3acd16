"""Distinguishes growth at policy reloads from growth between them, if the samples allow it.

Growth at reloads is a staircase, growth per request or per hour a slope; over hours both look like the same line. So
each interval between two reloads gives its own slope, and steps between neighbouring intervals beyond that slope
happened at the reload. An interval counts from its second quarter on, when garbage of the reload has been collected. A
moving-block bootstrap of the intervals gives the confidence.

Source: H. R. Kuensch, "The jackknife and the bootstrap for general stationary observations", Annals of Statistics 17
(1989) 1217.
"""

import dataclasses
import math
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from soakd.judge.growth.series import FloatArray
from soakd.judge.story.rundata import EngineData, Series
from soakd.verdict.check import Check, round_number
from soakd.verdict.details import GrowthDetail, ReloadDetail

COUNTER = "counter.reloads_total"
SERVER = "server_"
LEAST_STEPS = 10
"""Fewer reloads are not enough for a bootstrap."""
LEAST_SAMPLES = 3
SETTLED = 0.25
"""Share at the start of an interval that is left out."""
WARM_UP = 0.25
"""Share at the start of the load phase that is left out."""
RESAMPLED = 1000
MOSTLY, RARELY = 0.8, 0.2
"""Shares of the growth from which reloads are named as the cause, or excluded."""
HALF = 0.5
"""The interval must also lie entirely on one side of this."""
MOST = 1.5
"""A larger share of the total is something else: a swing that each reload starts, and that ends before the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AtReloads:
    """The growth of a series per reload, in its own unit, with a 95 % interval."""

    estimate: float
    low: float
    high: float
    share: float
    """Share of all growth."""
    share_low: float
    share_high: float
    reloads: int

    @property
    def explains(self) -> bool | None:
        """True if growth occurs at reloads, False if between them, None if undecided."""
        if self.low > 0 and self.share >= MOSTLY and self.share_low >= HALF and self.share_high <= MOST:
            return True
        if self.share <= RARELY and self.share_high <= HALF and self.share_low >= -HALF:
            return False
        return None


@dataclass(frozen=True, slots=True)
class _Stretch:
    """The settled samples between two reloads."""

    segment: int
    number: float
    """Reloads before it."""
    t_s: float
    y: float
    """Their means."""
    sxx: float
    sxy: float


def tell_reloads(data: EngineData, checks: Iterable[Check]) -> Iterator[Check]:
    """Add the growth per reload to each check that found growth, if it can be determined."""
    found: dict[str, AtReloads | None] = {}
    steps = data.in_load(COUNTER)
    for check in checks:
        family, _, signal = check.id.removesuffix(".per_operation").partition(".")
        if family != "growth" or not check.unit.startswith("bytes") or not (check.low or 0.0) > 0.0:
            yield check
            continue
        if signal not in found:
            split = (at_reloads(series, steps) for series in _read_as(data, signal))
            found[signal] = next((answer for answer in split if answer is not None), None)
        yield _with(check, found[signal])


def _read_as(data: EngineData, signal: str) -> Iterator[Series]:
    """Yield the series of a signal, and for a reachable one, which is read rarely, also the live one."""
    if signal.startswith(SERVER):
        yield data.server_in_load(signal.removeprefix(SERVER))
        return
    yield data.in_load(signal)
    if signal.startswith("reachable_"):
        yield data.in_load(signal.replace("reachable_", "live_"))


def at_reloads(series: Series, counter: Series) -> AtReloads | None:
    """Split the growth of a series into growth at reloads and growth between them; None if that is not possible.

    Measured on simulated days (noise of 6 kB to 1 MB that remembers 10 min, leaks of 1 to 50 MB/h): see
    tests/unit/test_verdict_reloads.py.

    Args:
        series: a signal, over the load phase.
        counter: reloads done, restarting with each life of the engine's process.
    """
    rows = np.array(
        [
            (b.y - a.y, b.t_s - a.t_s, b.number - a.number, a.sxy + b.sxy, a.sxx + b.sxx)
            for a, b in pairwise(_stretches(series, counter))
            if a.segment == b.segment and b.number > a.number
        ]
    )
    if len(rows) < LEAST_STEPS or not np.sum(rows[:, 0]) > 0 or not np.all(rows[:, 4] > 0):
        return None
    each, share = _split(np.sum(rows, axis=0))
    drawn = _split(_resampled(rows))
    (low, high), (share_low, share_high) = (np.quantile(values, (0.025, 0.975)) for values in drawn)
    return AtReloads(
        estimate=float(each), low=float(low), high=float(high), share=float(share), share_low=float(share_low),
        share_high=float(share_high), reloads=round(float(np.sum(rows[:, 2]))),
    )  # fmt: skip


def _split(sums: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the growth per reload, and its share of all growth; from sums of rows, shape (..., 5)."""
    gained, seconds, reloads, sxy, sxx = np.moveaxis(sums, -1, 0)
    at = gained - sxy / sxx * seconds
    return at / reloads, at / np.where(gained > 0, gained, np.nan_to_num(np.inf))


def _resampled(rows: FloatArray) -> FloatArray:
    """Return the sums of resampled rows, in whole blocks of neighbours; shape (RESAMPLED, 5)."""
    length = math.ceil(len(rows) ** (1 / 3))
    blocks = math.ceil(len(rows) / length)
    draw = random.Random(1).random  # its sequence is the same everywhere
    starts = np.array([[int(draw() * len(rows)) for _ in range(blocks)] for _ in range(RESAMPLED)])
    index = (starts[:, :, None] + np.arange(length)).reshape(RESAMPLED, -1) % len(rows)
    return np.asarray(rows[index].sum(axis=1))


def _stretches(series: Series, counter: Series) -> Iterator[_Stretch]:
    """Cut a series at the reloads; intervals in which the process was replaced are left out."""
    rose = np.flatnonzero(np.diff(counter.y) > 0)
    same = np.diff(counter.segment) == 0
    for before, after in pairwise(rose):
        begin, end = before + 1, after  # the first sample that has the one reload, the last without the next
        if end <= begin or not np.all(same[before : after + 1]):
            continue
        begin_s, end_s = float(counter.t_s[begin]), float(counter.t_s[end])
        if begin_s < counter.t_s[0] + WARM_UP * float(np.ptp(counter.t_s)):
            continue
        part = series.between(begin_s + SETTLED * (end_s - begin_s), end_s)
        if len(part) >= LEAST_SAMPLES and np.all(part.segment == part.segment[0]):
            t, y = part.t_s - np.mean(part.t_s), part.y - np.mean(part.y)
            yield _Stretch(
                int(part.segment[0]), float(counter.y[begin]), float(np.mean(part.t_s)), float(np.mean(part.y)),
                float(t @ t), float(t @ y),
            )  # fmt: skip


def _with(check: Check, found: AtReloads | None) -> Check:
    if found is None or found.explains is None:
        return check
    if not found.explains:
        return dataclasses.replace(check, reloads=ReloadDetail(reloads=found.reloads, between_reloads=True))
    detail = ReloadDetail(
        reloads=found.reloads, per_reload=round_number(found.estimate), per_reload_low=round_number(found.low),
        per_reload_high=round_number(found.high),
    )  # fmt: skip
    growth = dataclasses.replace(check.growth or GrowthDetail(), explained_by="reloads")
    return dataclasses.replace(check, growth=growth, reloads=detail)

"""Does memory grow when a policy is loaded again, or between? Told only where the samples can tell it.

Growth at reloads is a staircase, growth per request or per hour a slope; over hours both are the same line. So each
stretch between two reloads gives a slope of its own, and what neighbouring stretches differ by beyond that slope
happened at the reload between them. A stretch counts from its second quarter on: what a reload leaves to the collector
has gone by then. How sure that is, a moving-block bootstrap of the stretches says.

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
"""Fewer reloads between stretches cannot bear a bootstrap."""
LEAST_SAMPLES = 3
SETTLED = 0.25
"""From this share of a stretch on it counts."""
WARM_UP = 0.25
"""From this share of the load phase on its stretches count."""
RESAMPLED = 1000
MOSTLY, RARELY = 0.8, 0.2
"""Reloads account for so much of the growth, or so little, where one of the two is said."""
HALF = 0.5
"""And the interval must leave no doubt on which side of this it is."""
MOST = 1.5
"""More than what grew in all is something else: a swing that each reload starts, and that ends before the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AtReloads:
    """What a series gained for each reload, in its own unit, with the bounds of 95 %."""

    estimate: float
    low: float
    high: float
    share: float
    """Of all growth."""
    share_low: float
    share_high: float
    reloads: int

    @property
    def explains(self) -> bool | None:
        """True where growth comes with reloads, False where it comes between them, None where that is open."""
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
    """Add to each check that found growth what grew per reload, where that can be told; others stay as they are."""
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
    """Yield the series of a signal, and of a reachable one, read too seldom for short stretches, the live one too."""
    if signal.startswith(SERVER):
        yield data.server_in_load(signal.removeprefix(SERVER))
        return
    yield data.in_load(signal)
    if signal.startswith("reachable_"):
        yield data.in_load(signal.replace("reachable_", "live_"))


def at_reloads(series: Series, counter: Series) -> AtReloads | None:
    """Split the growth of a series into what happened at reloads and what happened between; None where it cannot be.

    Measured on simulated days (noise of 6 kB to 1 MB that remembers 10 min, leaks of 1 to 50 MB/h): see
    tests/unit/test_verdict_reloads.py.

    Args:
        series: a signal, over the load phase.
        counter: reloads done, which begins again with each life of the engine's process.
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
    """Return what was gained for each reload, and its share of all growth; from sums of rows, shape (..., 5)."""
    gained, seconds, reloads, sxy, sxx = np.moveaxis(sums, -1, 0)
    at = gained - sxy / sxx * seconds
    return at / reloads, at / np.where(gained > 0, gained, np.nan_to_num(np.inf))


def _resampled(rows: FloatArray) -> FloatArray:
    """Return the sums of resampled rows, in whole blocks of neighbours; shape (RESAMPLED, 5)."""
    length = math.ceil(len(rows) ** (1 / 3))
    blocks = math.ceil(len(rows) / length)
    draw = random.Random(1).random  # its sequence is the same everywhere and always
    starts = np.array([[int(draw() * len(rows)) for _ in range(blocks)] for _ in range(RESAMPLED)])
    index = (starts[:, :, None] + np.arange(length)).reshape(RESAMPLED, -1) % len(rows)
    return np.asarray(rows[index].sum(axis=1))


def _stretches(series: Series, counter: Series) -> Iterator[_Stretch]:
    """Cut a series at the reloads; a stretch in which a process became another one is left out."""
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

"""The long-run rate of one segment: a Bayesian average over structural models.

Everything is dimensionless here: times in shares of the segment, values in limit * duration, rates in limits.

Source: J. A. Hoeting et al., "Bayesian model averaging: a tutorial", Statistical Science 14 (1999) 382.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from soakd.judge.growth.blocks import represent
from soakd.judge.growth.mixture import Mixture
from soakd.judge.growth.noise import CORRELATION_TIMES, correlation, whiten
from soakd.judge.growth.regression import Fits, Products, fit, products
from soakd.judge.growth.series import FloatArray, IntArray
from soakd.judge.growth.steps import guard, hastened, ramp, recurring, resumed, slowing, stairs
from soakd.judge.growth.transients import (
    Transients,
    day_models,
    line_model,
    one_more,
    pair_models,
    single_models,
    transients,
    wave_models,
)

WINDOW = 12.0
"""Models this many nats below the best are forgotten."""
PAIRS_FROM, MORE_FROM = 10, 16
"""Blocks needed for two transients or the wave, and for more."""
SCREENED_STEPS = 7
"""Single steps that go into pairs, at every other noise level."""
MOST_TRANSIENTS = 6
MOST_BESIDE_A_DAY = 2
"""Transients that are added to a day and its best companion."""


@dataclass(frozen=True, slots=True)
class Explored:
    """One segment as blocks, and every model that was tried on it."""

    x: FloatArray
    """Shape (blocks,): times."""
    z: FloatArray
    """Shape (blocks,): values."""
    shapes: Transients
    fits: tuple[Fits, ...]

    @property
    def best(self) -> Fits:
        """The one fit with the most evidence."""
        fits = _of_most_evidence(self.fits)
        return fits.take(np.array([np.argmax(fits.log_evidence)]))


def explore(x: FloatArray, y: FloatArray, days: float = 0.0) -> Explored | None:
    """Try every structural model on a segment; None with too few blocks.

    Args:
        x: shape (n,), ascending, from 0 to 1.
        y: shape (n,).
        days: how many days long the segment is; 0 where x is no time.
    """
    blocks = represent(x, y)
    if blocks is None:
        return None
    shapes = transients(blocks[0], days)
    return Explored(*blocks, shapes, tuple(_fits(products(*blocks, shapes), shapes)))


def average(explored: Explored) -> Mixture:
    """What the models that are not hopeless say about the rate, their steps guarded, weighed by their evidence."""
    best = float(explored.best.log_evidence[0])
    near = [f.take(np.flatnonzero(f.log_evidence >= best - WINDOW)) for f in explored.fits]
    parts = [part for f in near for part in _readings(f, explored.shapes, best)]
    weight, mean, variance, freedom = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Mixture(weight=weight / weight.sum(), mean=mean, scale=np.sqrt(variance), freedom=freedom)


def _readings(fits: Fits, shapes: Transients, best: float) -> Iterator[tuple[FloatArray, ...]]:
    """Weight, rate, its variance and freedom of each fit; where falls may come again or be over, of both readings."""
    place, end = shapes.place[fits.members], shapes.end[fits.members]
    shift, more = guard(place, fits.effects)
    rate, variance = fits.rate + shift, fits.variance + more
    weight, freedom = np.exp(fits.log_evidence - best), np.full(fits.rate.size, float(fits.freedom))
    again, spread = recurring(place, end, fits.effects, rate)
    late = ramp(end, fits.effects, rate)
    other = again + np.where(late == 0.0, resumed(place, end, fits.effects), late)
    other += slowing(shapes.slope[fits.members], fits.effects) + hastened(end, fits.effects)
    other += np.where(shift == 0.0, stairs(place, fits.effects), 0.0)
    two = np.flatnonzero(other)
    yield np.where(other != 0.0, weight / 2.0, weight), rate, variance, freedom
    yield weight[two] / 2.0, (rate + other)[two], (variance + spread)[two], freedom[two]


def best_curve(explored: Explored) -> FloatArray:
    """The series as the best model sees it, without its noise; shape (blocks,)."""
    x, best = explored.x, explored.best
    design = np.column_stack((np.ones(x.size), x, explored.shapes.columns[:, best.members[0]]))
    rho = correlation(x, CORRELATION_TIMES[best.level[0]])
    white, _ = whiten(np.column_stack((design, explored.z)), rho)
    coefficients, *_ = np.linalg.lstsq(white[:, :-1], white[:, -1], rcond=None)
    return np.asarray(design @ coefficients)


def _fits(data: Products, shapes: Transients) -> Iterator[Fits]:
    singles = fit(data, single_models(shapes))
    yield fit(data, line_model())
    yield singles
    if data.blocks < PAIRS_FROM:
        return
    yield from (fit(data, models) for models in wave_models(shapes))
    pairs = fit(data, pair_models(shapes, _best_steps(singles, shapes)))
    days = [fit(data, models) for models in day_models(shapes)]
    yield from (pairs, *days)
    if data.blocks >= MORE_FROM:
        yield from _grown(data, shapes, pairs, MOST_TRANSIENTS - 2)
        if days:
            yield from _grown(data, shapes, _of_most_evidence(days), MOST_BESIDE_A_DAY)


def _best_steps(singles: Fits, shapes: Transients) -> IntArray:
    """The steps that go into pairs: the best few of every other noise level."""
    chosen: set[int] = set()
    step = np.isfinite(shapes.place[singles.members[:, 0]])
    for level in range(0, len(CORRELATION_TIMES), 2):
        rows = np.flatnonzero(step & (singles.level == level))
        best = rows[np.argsort(-singles.log_evidence[rows], kind="stable")[:SCREENED_STEPS]]
        chosen.update(singles.members[best, 0].tolist())
    return np.array(sorted(chosen), dtype=np.int64)


def _grown(data: Products, shapes: Transients, fits: Fits, added: int) -> Iterator[Fits]:
    """Add transients to the best model one by one, always the one that helps most.

    It does not stop where the evidence falls: only all five steps of a staircase together beat a straight line.
    """
    for _ in range(added):
        best = int(np.argmax(fits.log_evidence))
        fits = fit(data, one_more(shapes, fits.members[best], float(fits.log_prior[best])))
        yield fits


def _of_most_evidence(fits: list[Fits] | tuple[Fits, ...]) -> Fits:
    return max(fits, key=lambda f: float(f.log_evidence.max()))

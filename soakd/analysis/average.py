"""The long-run rate of one segment: Bayesian average over structural models.

Source: J. A. Hoeting et al., "Bayesian model averaging: a tutorial", Statistical Science 14 (1999) 382.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from soakd.analysis.blocks import represent
from soakd.analysis.mixture import Mixture
from soakd.analysis.noise import CORRELATION_TIMES
from soakd.analysis.regression import Fits, Products, fit, products
from soakd.analysis.series import FloatArray, IntArray
from soakd.analysis.steps import guard
from soakd.analysis.transients import (
    SINGLE_MASS,
    Models,
    Transients,
    pair_models,
    simple_models,
    single_models,
    transients,
)

WINDOW = 12.0
"""Models this many nats below the best are forgotten."""
MIN_FREEDOM = 2
PAIRS_FROM, MORE_FROM = 10, 16
"""Blocks needed for two transients, and for more."""
SCREENED_STEPS = 7
"""Single steps that go into pairs, at every other noise level."""
MOST_TRANSIENTS = 6
ADDITION = 0.35
"""Prior factor of each further transient, times its relative prior."""
LOSS = 3.0
"""Growing a model stops when it has lost this many nats."""


def rate_of(x: FloatArray, y: FloatArray) -> Mixture | None:
    """Everything that the models say about the long-run rate, or None with too few blocks.

    Args:
        x: shape (n,), ascending, from 0 to 1 (share of the segment).
        y: shape (n,), in limit * duration.

    Returns:
        The rate, in limits.
    """
    blocks = represent(x, y)
    if blocks is None:
        return None
    t, z = blocks
    shapes = transients(t)
    data = products(t, z, shapes)
    return mixture_of(list(_all_fits(data, shapes)), shapes)


def mixture_of(fits: list[Fits], shapes: Transients) -> Mixture:
    """Guard the steps of every fit that is not hopeless, and weigh it by its evidence."""
    best = max(float(f.log_evidence.max()) for f in fits)
    parts = []
    for f in fits:
        f = f.take(np.flatnonzero(f.log_evidence >= best - WINDOW))
        shift, variance = guard(shapes.place[f.members], f.effects)
        scale = np.sqrt(f.variance + variance)
        parts.append((np.exp(f.log_evidence - best), f.rate + shift, scale, np.full(scale.shape, float(f.freedom))))
    weight, mean, scale, freedom = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Mixture(weight / weight.sum(), mean, scale, freedom)


def _all_fits(data: Products, shapes: Transients) -> Iterator[Fits]:
    fits = [fit(data, models) for models in simple_models(shapes) if _affordable(data, models)]
    if data.blocks >= PAIRS_FROM:
        steps = _best_steps(fit(data, single_models(shapes)), shapes)
        fits += [fit(data, models) for models in pair_models(shapes, steps) if _affordable(data, models)]
    yield from fits
    if data.blocks >= MORE_FROM:
        yield from _grown(data, shapes, max(fits, key=lambda f: float(f.log_evidence.max())))


def _affordable(data: Products, models: Models) -> bool:
    count, transients = models.members.shape
    return count > 0 and data.blocks - 2 - transients >= MIN_FREEDOM


def _best_steps(singles: Fits, shapes: Transients) -> IntArray:
    """The steps that go into pairs: the best few of every other noise level."""
    chosen: set[int] = set()
    step = np.isfinite(shapes.place[singles.members[:, 0]])
    for level in range(0, len(CORRELATION_TIMES), 2):
        rows = np.flatnonzero(step & (singles.level == level))
        best = rows[np.argsort(-singles.log_evidence[rows], kind="stable")[:SCREENED_STEPS]]
        chosen.update(singles.members[best, 0].tolist())
    return np.array(sorted(chosen), dtype=np.int64)


def _grown(data: Products, shapes: Transients, fits: Fits) -> Iterator[Fits]:
    """Add transients to the best model one by one, while the evidence lasts."""
    members, log_prior, top = _best(fits)
    best = top
    while members.size < MOST_TRANSIENTS:
        more = _one_more(shapes, members, log_prior)
        fits = fit(data, more)
        members, log_prior, top = _best(fits)
        if top < best - LOSS:
            return
        best = max(best, top)
        yield fits.take(np.flatnonzero(np.all(fits.members == members, axis=1)))


def _best(fits: Fits) -> tuple[IntArray, float, float]:
    row = int(np.argmax(fits.log_evidence))
    return fits.members[row], float(fits.log_prior[row]), float(fits.log_evidence[row])


def _one_more(shapes: Transients, members: IntArray, log_prior: float) -> Models:
    """Every model with one transient more than `members`."""
    singles = single_models(shapes)
    new = ~np.isin(singles.members[:, 0], members)
    added = singles.members[new]
    relative = singles.log_prior[new] - np.log(sum(SINGLE_MASS.values()))
    return Models(np.hstack((np.tile(members, (len(added), 1)), added)), log_prior + np.log(ADDITION) + relative)

"""All structural models of one series at all noise levels, by one batched regression.

Everything is dimensionless here: times in shares of the segment, values in limit * duration, rates in limits.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import gammaln

from soakd.judge.growth.noise import CORRELATION_TIMES, correlation, whiten
from soakd.judge.growth.series import FloatArray, IntArray
from soakd.judge.growth.transients import Models, Transients

RESOLUTION = 0.03 / 24.0
"""Standard deviation that is always there: nothing smaller, in limit * duration, is of interest."""
RATE_SCALE = 3.0
"""Scale of the Cauchy prior of the long-run rate, in limits."""
EFFECT_SCALE = 30.0 / 24.0
"""Least standard deviation of the normal prior of a transient's size, in limit * duration."""
COLLINEAR = 1e-8
"""A column of which less than this share (squared) is left beside the others cannot be told from them."""

LEVEL, RATE, VALUE = 0, 1, -1
"""Rows of the cross products: intercept and long-run rate first, the data last, shapes between."""
FIRST_SHAPE = 2


@dataclass(frozen=True, slots=True)
class Products:
    """Cross products of the whitened design and data, with level and rate fitted already."""

    swept: FloatArray
    """Shape (levels, columns, columns): after the sweep of intercept and rate."""
    size: FloatArray
    """Shape (levels, columns): squared length of each column before it."""
    constant: FloatArray
    """Shape (levels,): the part of the log evidence that all models share, -1/2 (log|X0'X0| + log|R|)."""
    blocks: int
    effect_scale: float


@dataclass(frozen=True, slots=True)
class Fits:
    """Models with the same number of transients, each at each noise level, in one row each."""

    members: IntArray
    """Shape (fits, transients)."""
    level: IntArray
    """Shape (fits,): which noise level."""
    log_prior: FloatArray
    log_evidence: FloatArray
    """Shape (fits,): with the prior; -inf where the columns are collinear."""
    rate: FloatArray
    variance: FloatArray
    """Shape (fits,): of the rate, a Student t with `freedom` degrees."""
    effects: FloatArray
    """Shape (fits, transients): size of each transient."""
    freedom: int

    def take(self, rows: IntArray) -> Self:
        """Some of the fits."""
        return type(self)(
            self.members[rows], self.level[rows], self.log_prior[rows], self.log_evidence[rows],
            self.rate[rows], self.variance[rows], self.effects[rows], self.freedom,
        )  # fmt: skip


def products(x: FloatArray, z: FloatArray, shapes: Transients) -> Products:
    """Whiten and multiply out everything once for every noise level.

    Args:
        x: shape (blocks,), share of the segment.
        z: shape (blocks,), in limit * duration.
        shapes: the transients at x.
    """
    design = np.column_stack((np.ones(x.size), x, shapes.columns, z))
    whitened = [whiten(design, correlation(x, time)) for time in CORRELATION_TIMES]
    gram = np.stack([white.T @ white for white, _ in whitened])
    size = np.diagonal(gram, axis1=1, axis2=2).copy()
    pivots = [sweep(gram, row) for row in (LEVEL, RATE)]
    constant = -0.5 * (np.log(pivots[0]) + np.log(pivots[1]) + np.array([log_det for _, log_det in whitened]))
    return Products(gram, size, constant, x.size, max(EFFECT_SCALE, float(np.ptp(z)) / 2.0))


def fit(data: Products, models: Models) -> Fits:
    """Regress on every model at every noise level."""
    count, transients = models.members.shape
    rows = np.column_stack((np.full(count, RATE), models.members + FIRST_SHAPE, np.full(count, VALUE)))
    system = data.swept[:, rows[:, :, None], rows[:, None, :]]
    size = data.size[:, rows]
    log_det, sound = np.zeros(system.shape[:2]), np.ones(system.shape[:2], dtype=bool)
    for i in range(1, transients + 1):
        sound &= system[..., i, i] > COLLINEAR * size[..., i]
        system[~sound, i, i] = 1.0
        log_det += np.log(sweep(system, i))
    freedom = data.blocks - 2 - transients
    residual = np.maximum(system[..., VALUE, VALUE], 0.0) + data.blocks * RESOLUTION**2
    rate, effects = system[..., 0, VALUE], system[..., 1:VALUE, VALUE]
    log_evidence = (
        data.constant[:, None] - 0.5 * log_det
        + gammaln(freedom / 2.0) - freedom / 2.0 * np.log(np.pi * residual)
        + models.log_prior + _log_prior_of_coefficients(rate, effects, data.effect_scale)
    )  # fmt: skip
    levels = len(CORRELATION_TIMES)
    return Fits(
        members=np.tile(models.members, (levels, 1)),
        level=np.repeat(np.arange(levels), count),
        log_prior=np.tile(models.log_prior, levels),
        log_evidence=np.where(sound, log_evidence, -np.inf).ravel(),
        rate=rate.ravel(),
        variance=(residual / freedom * system[..., 0, 0]).ravel(),
        effects=effects.reshape(levels * count, transients),
        freedom=freedom,
    )


def sweep(matrix: FloatArray, k: int) -> FloatArray:
    """Fit column k, in place, in a batch of cross products (..., n, n); returns the pivots, shape (...).

    Afterwards row k holds coefficients, the swept corner the inverse of X'X and the rest what the fit leaves.

    Source: J. H. Goodnight, "A tutorial on the SWEEP operator", The American Statistician 33 (1979) 149.
    """
    pivot = matrix[..., k, k].copy()
    row = matrix[..., k, :] / pivot[..., None]
    column = matrix[..., :, k].copy()
    matrix -= column[..., :, None] * row[..., None, :]
    matrix[..., k, :] = row
    matrix[..., :, k] = -column / pivot[..., None]
    matrix[..., k, k] = 1.0 / pivot
    return pivot


def _log_prior_of_coefficients(rate: FloatArray, effects: FloatArray, scale: float) -> FloatArray:
    """Cauchy for the long-run rate, normal for the transients."""
    cauchy = -np.log(np.pi * RATE_SCALE * (1.0 + (rate / RATE_SCALE) ** 2))
    normal = -0.5 * (effects / scale) ** 2 - 0.5 * np.log(2.0 * np.pi * scale**2)
    return np.asarray(cauchy + np.sum(normal, axis=-1))

"""What all models together say about one rate: a mixture of Student t distributions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaln, logsumexp, stdtr, stdtrit

from soakd.judge.growth.series import FloatArray

FAR_RATES = np.geomspace(1e-3, 1e6, 600)
NEAR_RATES = np.linspace(-3.0, 5.0, 401)
"""The common grid of several segments, in limits: it must reach catastrophic leaks."""
TAIL = np.geomspace(1e-3, 1e9, 300)
"""Where the grid thins out beside a segment's mass, in widths of it."""
ALIKE = 0.2
"""Components whose means differ by less than this share of their scale, and their scales by as much, are one."""
RATES_AT_ONCE = 256
"""Rates whose densities are computed together: thousands of models at thousands of rates are gigabytes."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """Student t distributions; every field of shape (components,), weights of sum 1, rates in limits."""

    weight: FloatArray
    mean: FloatArray
    scale: FloatArray
    freedom: FloatArray

    def cdf(self, rate: float) -> float:
        """Probability that the rate is below."""
        return float(self.weight @ stdtr(self.freedom, (rate - self.mean) / self.scale))

    def quantile(self, probability: float) -> float:
        """The rate that is exceeded with 1 - probability. It lies between the components' own quantiles."""
        own = self.mean + self.scale * stdtrit(self.freedom, probability)
        low, high = float(own.min()), float(own.max())
        slack = 1e-9 * (1.0 + abs(low) + abs(high))
        root = brentq(lambda rate: self.cdf(rate) - probability, low - slack, high + slack, xtol=1e-9, rtol=1e-9)
        return float(root)

    def log_density(self, rates: FloatArray) -> FloatArray:
        """Shape of rates."""
        nu = self.freedom
        constant = gammaln((nu + 1.0) / 2.0) - gammaln(nu / 2.0) - np.log(np.sqrt(nu * np.pi) * self.scale)
        height = constant + np.log(self.weight)

        def of_some(some: FloatArray) -> FloatArray:
            z = (some[:, None] - self.mean) / self.scale
            return np.asarray(logsumexp(height - (nu + 1.0) / 2.0 * np.log1p(z**2 / nu), axis=1))

        return np.concatenate([of_some(rates[i : i + RATES_AT_ONCE]) for i in range(0, rates.size, RATES_AT_ONCE)])

    def condensed(self) -> Self:
        """The same distribution from fewer components: those that are nearly alike become one.

        Its quantiles differ by less than a thousandth of the interval; the product of three lives took 14 s and
        2.7 GB without it, and takes 1 s and 100 MB.
        """
        wide = np.floor(np.log(self.scale) / ALIKE)
        place = np.floor(self.mean / (ALIKE * np.exp(wide * ALIKE)))
        alike = np.column_stack((self.freedom, wide, place))
        group = np.unique(alike, axis=0, return_inverse=True)[1].ravel()  # some numpy give it a second axis
        weight = np.bincount(group, self.weight).astype(np.float64)

        def average(of: FloatArray) -> FloatArray:
            return np.asarray(np.bincount(group, self.weight * of) / weight)

        freedom, mean = average(self.freedom), average(self.mean)
        between = average((self.mean - mean[group]) ** 2) * np.maximum(1.0 - 2.0 / freedom, 0.0)
        return type(self)(weight, mean, np.sqrt(average(self.scale**2) + between), freedom)


@dataclass(frozen=True, slots=True)
class Tabulated:
    """A distribution of a rate on a grid; both fields of shape (rates,)."""

    rates: FloatArray
    below: FloatArray
    """Probability that the rate is below each."""

    def cdf(self, rate: float) -> float:
        """Probability that the rate is below."""
        return float(np.interp(rate, self.rates, self.below))

    def quantile(self, probability: float) -> float:
        """The rate that is exceeded with 1 - probability."""
        return float(np.interp(probability, self.below, self.rates))


def shared(mixtures: Sequence[Mixture]) -> Mixture | Tabulated:
    """The rate that all segments share: of one its mixture, of more the product of their densities."""
    if len(mixtures) == 1:
        return mixtures[0]
    mixtures = [mixture.condensed() for mixture in mixtures]
    grid = _grid(mixtures)
    log_density = np.sum([m.log_density(grid) for m in mixtures], axis=0)
    density = np.exp(log_density - log_density.max())
    mass = np.append(0.0, np.cumsum(np.diff(grid) * (density[1:] + density[:-1]) / 2.0))
    return Tabulated(grid, mass / mass[-1])


def _grid(mixtures: Sequence[Mixture]) -> FloatArray:
    """Rates everywhere, densely where a segment has its mass, and ever wider apart beside it."""
    parts = [-FAR_RATES, NEAR_RATES, FAR_RATES]
    for mixture in mixtures:
        low, high = mixture.quantile(0.0005), mixture.quantile(0.9995)
        tail = (high - low) * TAIL
        middle = np.linspace(mixture.quantile(0.1), mixture.quantile(0.9), 200)
        parts += [low - tail, np.linspace(low, high, 400), middle, high + tail]
    return np.unique(np.concatenate(parts))

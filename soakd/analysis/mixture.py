"""What all models together say about one rate: a mixture of Student t distributions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaln, logsumexp, stdtr, stdtrit

from soakd.analysis.series import FloatArray

FAR_RATES = np.geomspace(1e-3, 1e6, 600)
NEAR_RATES = np.linspace(-3.0, 5.0, 401)
"""The common grid of several segments, in limits: it must reach catastrophic leaks."""
TAIL = np.geomspace(1e-3, 1e9, 300)
"""Where the grid thins out beside a segment's mass, in widths of it."""


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
        z = (rates[:, None] - self.mean) / self.scale
        constant = gammaln((nu + 1.0) / 2.0) - gammaln(nu / 2.0) - np.log(np.sqrt(nu * np.pi) * self.scale)
        parts = constant - (nu + 1.0) / 2.0 * np.log1p(z**2 / nu)
        return np.asarray(logsumexp(parts, b=self.weight, axis=1))


def quantiles(mixtures: Sequence[Mixture], probabilities: Sequence[float]) -> tuple[float, ...]:
    """Quantiles of the rate that all segments share: exact for one, of the product of densities for more."""
    if len(mixtures) == 1:
        return tuple(mixtures[0].quantile(p) for p in probabilities)
    grid = _grid(mixtures)
    log_density = np.sum([m.log_density(grid) for m in mixtures], axis=0)
    density = np.exp(log_density - log_density.max())
    mass = np.append(0.0, np.cumsum(np.diff(grid) * (density[1:] + density[:-1]) / 2.0))
    return tuple(float(rate) for rate in np.interp(probabilities, mass / mass[-1], grid))


def _grid(mixtures: Sequence[Mixture]) -> FloatArray:
    """Rates everywhere, densely where a segment has its mass, and ever wider apart beside it."""
    parts = [-FAR_RATES, NEAR_RATES, FAR_RATES]
    for mixture in mixtures:
        low, high = mixture.quantile(0.0005), mixture.quantile(0.9995)
        tail = (high - low) * TAIL
        middle = np.linspace(mixture.quantile(0.1), mixture.quantile(0.9), 200)
        parts += [low - tail, np.linspace(low, high, 400), middle, high + tail]
    return np.unique(np.concatenate(parts))

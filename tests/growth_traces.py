"""Simulated memory series whose long-run rate is known: the project's own proof of the growth verdict.

A trace is the sum of a shape that ends (or recurs without growing), a leak, and AR(1) noise, recorded in whole pages.
Hours and MB; everything from a seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

FloatArray: TypeAlias = NDArray[np.float64]
Rng: TypeAlias = np.random.Generator
Shape: TypeAlias = Callable[[FloatArray, Rng], FloatArray]

PAGE_MB = 4096 / 1e6
LEAK_FACTORS = (2.0, 3.0, 5.0, 10.0, 50.0)
HEALTHY_FACTORS = (0.0, 0.0, 0.0, 0.2, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    family: str
    hours: FloatArray
    megabytes: FloatArray
    segment: NDArray[np.int64]
    limit: float
    rate: float

    @property
    def leaks(self) -> bool:
        return self.rate > self.limit


def noise(n: int, rng: Rng, *, phi: float, deviation: float) -> FloatArray:
    """AR(1) of the given standard deviation, shape (n,)."""
    shocks = rng.normal(0.0, deviation * np.sqrt(1.0 - phi**2), n)
    shocks[0] = rng.normal(0.0, deviation)
    return np.asarray(lfilter([1.0], [1.0, -phi], shocks), dtype=np.float64)


def log_uniform(rng: Rng, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def flat(u: FloatArray, rng: Rng) -> FloatArray:
    return np.zeros(u.size)


def warm_up(u: FloatArray, rng: Rng) -> FloatArray:
    size, constant = rng.uniform(5, 100), log_uniform(rng, 0.004, 0.2)
    return size * (1.0 - np.exp(-u / constant))


def settling(u: FloatArray, rng: Rng) -> FloatArray:
    return rng.uniform(3, 8) * np.log1p(u / rng.uniform(0.003, 0.02))


def cache_fill(u: FloatArray, rng: Rng) -> FloatArray:
    return rng.uniform(10, 100) * np.minimum(u / rng.uniform(0.15, 0.7), 1.0)


def sawtooth(u: FloatArray, rng: Rng) -> FloatArray:
    size, period = rng.uniform(1.5, 60), log_uniform(rng, 0.007, 0.12)
    return size * np.mod(u / period + rng.uniform(), 1.0)


def cache_and_sawtooth(u: FloatArray, rng: Rng) -> FloatArray:
    return cache_fill(u, rng) + sawtooth(u, rng)


def warm_and_sawtooth(u: FloatArray, rng: Rng) -> FloatArray:
    return warm_up(u, rng) + sawtooth(u, rng)


def cache_and_warm(u: FloatArray, rng: Rng) -> FloatArray:
    return cache_fill(u, rng) + warm_up(u, rng)


def early_steps(u: FloatArray, rng: Rng) -> FloatArray:
    places = rng.uniform(0.0, 0.45, rng.integers(3, 6))
    return np.asarray(sum((u > place) * rng.uniform(1, 15) for place in places))


def one_off(u: FloatArray, rng: Rng) -> FloatArray:
    return np.where(u > rng.uniform(0.3, 0.75), rng.uniform(5, 20), 0.0)


def daily_wave(u: FloatArray, rng: Rng) -> FloatArray:
    return rng.uniform(2, 8) * np.sin(2 * np.pi * (u + rng.uniform()))


def spikes(u: FloatArray, rng: Rng) -> FloatArray:
    return np.where(rng.uniform(size=u.size) < 0.02, rng.exponential(8, u.size), 0.0)


def snapshots(u: FloatArray, rng: Rng) -> FloatArray:
    return np.where(np.arange(u.size) % rng.integers(2, 8) == 0, rng.uniform(5, 35) * rng.uniform(size=u.size), 0.0)


def trims(u: FloatArray, rng: Rng) -> FloatArray:
    """Releases by malloc_trim that fill up again."""
    out = np.zeros(u.size)
    for place in rng.uniform(0.0, 1.0, rng.poisson(8)):
        out -= (u > place) * rng.uniform(5, 30) * np.exp(-np.maximum(u - place, 0.0) / rng.uniform(0.02, 0.06))
    return out


SHAPES: dict[str, Shape] = {
    "flat": flat, "warm_up": warm_up, "settling": settling, "cache_fill": cache_fill, "sawtooth": sawtooth,
    "cache_and_sawtooth": cache_and_sawtooth, "warm_and_sawtooth": warm_and_sawtooth,
    "cache_and_warm": cache_and_warm, "early_steps": early_steps, "one_off": one_off, "daily_wave": daily_wave,
    "spikes": spikes, "snapshots": snapshots, "trims": trims,
}  # fmt: skip


def steady(u: FloatArray, rng: Rng) -> FloatArray:
    return u


def bursty(u: FloatArray, rng: Rng) -> FloatArray:
    """The same amount in every burst, at nearly regular times."""
    period = rng.uniform(0.08, 0.23)
    return np.asarray(np.floor(u / period + rng.uniform()) * period)


def late(u: FloatArray, rng: Rng) -> FloatArray:
    return np.maximum(u - rng.uniform(0.2, 0.6), 0.0)


def with_the_load(u: FloatArray, rng: Rng) -> FloatArray:
    return u + rng.uniform(0.3, 0.7) / (2 * np.pi) * np.sin(2 * np.pi * (u + rng.uniform()))


LEAKS: dict[str, Shape] = {"steady": steady, "bursty": bursty, "late": late, "with_the_load": with_the_load}


def trace(
    shape: str, seed: int, *, leak: str | None = None, hours: float = 24.0, n: int = 288, restarts: int = 0
) -> Trace:
    """One trace of a shape; a leak of at least twice the limit, or at most half of it where `leak` is None.

    The limit is 24 MB over the duration, as 1 MB/h is over a day.
    """
    rng = np.random.default_rng([seed, *map(ord, shape + (leak or ""))])
    limit = 24.0 / hours
    rate = limit * rng.choice(LEAK_FACTORS if leak else HEALTHY_FACTORS)
    u = np.arange(n) / n
    segment = np.searchsorted(np.sort(rng.uniform(0.25, 0.75, restarts)), u, side="right")
    deviation = log_uniform(rng, 0.08, 1.2)
    y = rng.uniform(50, 400) + noise(n, rng, phi=float(rng.choice((0, 0.5, 0.8, 0.9, 0.97))), deviation=deviation)
    for life in np.unique(segment):
        part = segment == life
        own = u[part] - u[part][0]
        y[part] += SHAPES[shape](own, rng) + rate * hours * LEAKS[leak or "steady"](own, rng)
    return Trace(
        family=f"{leak}_{shape}" if leak else shape,
        hours=u * hours,
        megabytes=np.round(y / PAGE_MB) * PAGE_MB,
        segment=segment.astype(np.int64),
        limit=limit,
        rate=rate,
    )


def held_out(seeds: range) -> list[Trace]:
    """Every shape healthy, with a steady leak, and every kind of leak on plain shapes; restarts; short soaks."""
    out = []
    for seed in seeds:
        out += [trace(shape, seed) for shape in SHAPES]
        out += [trace(shape, seed, leak="steady") for shape in SHAPES]
        out += [
            trace(shape, seed, leak=leak)
            for leak in ("bursty", "late", "with_the_load")
            for shape in ("flat", "warm_up")
        ]
        out += [
            trace(shape, seed, restarts=1 + seed % 2, leak=leak)
            for shape in ("flat", "warm_up")
            for leak in (None, "steady")
        ]
        for hours, n in ((2.0, 720), (1 / 6, 600)):
            out += [
                trace(s, seed, leak=k, hours=hours, n=n)
                for s in ("flat", "warm_up", "cache_fill", "sawtooth", "spikes")
                for k in (None, "steady")
            ]
    return out

"""Simulated series of the kinds on which the growth verdict was once wrong: each kind healthy and leaking.

Beside `tests/growth_traces.py`, whose traces are sums of shapes; these are structures. Hours and MB, a limit of
1 MB/h; everything from a seed. A leak grows by at least twice the limit, a healthy series by at most 0.4 of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from tests.growth_traces import PAGE_MB, FloatArray, Rng, Trace, log_uniform, noise

Shape: TypeAlias = Callable[[FloatArray, Rng, float], FloatArray]
"""MB at hours, of a process that grows by a rate in the end."""

LEAKS = (2.0, 3.0, 5.0, 10.0)
HEALTHY = (0.0, 0.0, 0.2, 0.4)


def rate_of(rng: Rng, *, leaks: bool) -> float:
    return float(rng.choice(LEAKS if leaks else HEALTHY))


def recorded(family: str, hours: FloatArray, megabytes: FloatArray, rate: float, rng: Rng) -> Trace:
    """A trace with autocorrelated noise, in whole pages."""
    phi, deviation = float(rng.choice((0.0, 0.5, 0.8, 0.9))), log_uniform(rng, 0.05, 0.6)
    y = rng.uniform(50, 300) + megabytes + noise(hours.size, rng, phi=phi, deviation=deviation)
    none = np.zeros(hours.size, dtype=np.int64)
    return Trace(family=family, hours=hours, megabytes=in_pages(y), segment=none, limit=1.0, rate=rate)


def in_pages(y: FloatArray) -> FloatArray:
    return np.asarray(np.round(y / PAGE_MB) * PAGE_MB)


def clock(hours: float, minutes: float = 5.0) -> FloatArray:
    return np.arange(0.0, hours, minutes / 60.0)


# Growth that never ends, ever more slowly: log(t) (fragmentation, zipf keys), and powers of t (a growing vocabulary).


def like_log(rng: Rng, *, leaks: bool) -> Trace:
    t = clock(24.0)
    rate = rng.uniform(2.0, 10.0) if leaks else rng.uniform(0.02, 0.35)
    since = log_uniform(rng, 0.05, 3.0)
    return recorded("like_log", t, rate * (24.0 + since) * np.log1p(t / since), rate, rng)


def like_a_power(rng: Rng, *, leaks: bool) -> Trace:
    t = clock(24.0)
    rate, power = (rng.uniform(2.0, 10.0) if leaks else rng.uniform(0.02, 0.35)), rng.uniform(0.4, 0.8)
    return recorded("like_a_power", t, rate * 24.0 / power * (t / 24.0) ** power, rate, rng)


# A working set that follows a day: smooth, with a lunch break, square; nights without samples; leaks with the load.

DAYS = (24.0, 30.0, 36.0, 48.0, 72.0)


def day_load(t: FloatArray, rng: Rng) -> FloatArray:
    """The load of a day, between about -1 and 1, mean 0."""
    turn = 2.0 * np.pi * (t / 24.0 + rng.uniform())
    return np.asarray(np.sin(turn) + rng.uniform(0.0, 0.35) * np.sin(2.0 * turn + rng.uniform(0.0, 6.0)))


def day(rng: Rng, *, leaks: bool, lasts: tuple[float, ...] = DAYS) -> Trace:
    t = clock(float(rng.choice(lasts)), 10.0)
    rate = rate_of(rng, leaks=leaks)
    return recorded("day", t, rate * t + rng.uniform(3.0, 25.0) * day_load(t, rng), rate, rng)


def leak_with_the_day(rng: Rng, *, leaks: bool) -> Trace:
    """The leak is in proportion to the load, which is never below 0; so is the working set."""
    t = clock(float(rng.choice(DAYS)), 10.0)
    rate, load = rate_of(rng, leaks=leaks), day_load(t, rng)
    done = np.cumsum(np.maximum(1.0 + 0.7 * load, 0.0)) * (t[1] - t[0])
    return recorded("leak_with_the_day", t, rate * done + rng.uniform(0.0, 15.0) * load, rate, rng)


def nights_missing(rng: Rng, *, leaks: bool) -> Trace:
    whole = day(rng, leaks=leaks, lasts=DAYS[1:])
    night = rng.uniform(0.0, 24.0)
    seen = np.mod(whole.hours - night, 24.0) >= rng.uniform(4.0, 9.0)
    return replace(
        whole, family="nights_missing", hours=whole.hours[seen], megabytes=whole.megabytes[seen],
        segment=whole.segment[seen],
    )  # fmt: skip


def square_day(rng: Rng, *, leaks: bool) -> Trace:
    t = clock(float(rng.choice(DAYS)), 10.0)
    rate, begun, lasts = rate_of(rng, leaks=leaks), rng.uniform(0.0, 24.0), rng.uniform(6.0, 14.0)
    busy = np.mod(t - begun, 24.0) < lasts
    return recorded("square_day", t, rate * t + rng.uniform(3.0, 25.0) * busy, rate, rng)


# One release, or two, in the whole run.


def release(rng: Rng, *, leaks: bool) -> Trace:
    t = clock(24.0)
    rate, period = (rate_of(rng, leaks=leaks) if leaks else 0.0), rng.uniform(0.45, 1.05)
    size = rng.uniform(10.0, 120.0)
    since = np.mod(t / 24.0 / period + rng.uniform(), 1.0)
    takes = rng.choice((0.0, 0.01, 0.03))
    saw = np.where(since < takes, 1.0 - since / max(takes, 1e-9), (since - takes) / (1.0 - takes))
    return recorded("release", t, rate * t + size * saw, rate, rng)


# Staircases: fine ones (huge pages), and few large jumps (arenas, tables that double).


def staircase(t: FloatArray, steps: FloatArray, size: float) -> FloatArray:
    return np.asarray(size * np.searchsorted(steps, t, side="right"), dtype=np.float64)


def fine_steps(rng: Rng, *, leaks: bool) -> Trace:
    t = clock(24.0)
    rate, size = (rate_of(rng, leaks=True) if leaks else rng.uniform(0.05, 0.6)), rng.uniform(1.0, 2.1)
    y = np.floor((rate * t) / size + rng.uniform()) * size
    trace = recorded("fine_steps", t, y, rate, rng)
    if rng.uniform() < 0.5:  # nothing but the steps: as residence really looks
        return replace(trace, megabytes=in_pages(100.0 + y))
    return trace


def random_steps(rng: Rng, *, leaks: bool) -> Trace:
    t = clock(24.0)
    rate, size = (rate_of(rng, leaks=True) if leaks else rng.uniform(0.05, 0.5)), rng.uniform(0.5, 2.1)
    steps = np.sort(rng.uniform(0.0, 24.0, rng.poisson(rate * 24.0 / size))).astype(np.float64)
    seen = steps.size * size / 24.0
    if leaks != (seen > 1.9) or (not leaks and seen > 0.6):
        return random_steps(rng, leaks=leaks)
    return recorded("random_steps", t, staircase(t, steps, size), seen, rng)


def arenas(rng: Rng, *, leaks: bool) -> Trace:
    """A leak that shows in two arenas or more; its twin took one or two in its first third and is done."""
    t, size = clock(24.0), float(rng.choice((16.0, 32.0, 64.0)))
    rate = float(rng.choice((2.0, 3.0, 5.0)))
    steps = np.asarray((np.arange(1, 40) - rng.uniform()) * size / rate, dtype=np.float64)
    if not leaks:
        rate, steps = 0.0, np.sort(rng.uniform(0.0, 8.0, rng.integers(1, 3)))
    elif np.count_nonzero(steps < t[-1]) < 2:
        return arenas(rng, leaks=leaks)
    return recorded("arenas", t, staircase(t, steps, size), rate, rng)


def doublings(rng: Rng, *, leaks: bool) -> Trace:
    """A table that doubles under steady growth; its twin has its size after a quarter of the run."""
    t, rate = clock(24.0), float(rng.choice((2.0, 3.0, 5.0)))
    full = rate * 24.0 if leaks else rng.uniform(20.0, 120.0)
    filled = full * t / 24.0 if leaks else np.minimum(full * t / rng.uniform(2.0, 6.0), full)
    first = rng.uniform(1.0, 2.0)
    size = first * 2.0 ** np.ceil(np.log2(np.maximum(filled, first) / first))
    return recorded("doublings", t, size, rate if leaks else 0.0, rng)


# Lives of one process: one of several leaks, or the short ones do.


def warm(own: FloatArray, rng: Rng, rate: float) -> FloatArray:
    return rng.uniform(0.0, 20.0) * (1.0 - np.exp(-own / rng.uniform(0.1, 0.8))) + rate * own


def saw(own: FloatArray, rng: Rng, rate: float) -> FloatArray:
    return rng.uniform(2.0, 15.0) * np.mod(own / rng.uniform(0.3, 1.2) + rng.uniform(), 1.0) + warm(own, rng, rate)


def slow_noise(own: FloatArray, rng: Rng, rate: float) -> FloatArray:
    return noise(own.size, rng, phi=0.98, deviation=rng.uniform(0.5, 2.0)) + warm(own, rng, rate)


LIVES: tuple[Shape, ...] = (warm, saw, slow_noise)


def of_lives(family: str, ends: FloatArray, rates: FloatArray, rate: float, rng: Rng) -> Trace:
    """Lives that end at hours, each with a rate; all of one shape."""
    t, shape = clock(float(ends[-1]), 3.0), LIVES[rng.integers(len(LIVES))]
    life = np.searchsorted(ends, t, side="right")
    y = np.zeros(t.size)
    for number in np.unique(life):
        own = t[life == number]
        y[life == number] = shape(own - own[0], rng, float(rates[number]))
    return replace(recorded(family, t, y, rate, rng), segment=life.astype(np.int64))


def one_life(rng: Rng, *, leaks: bool) -> Trace:
    lives = int(rng.integers(2, 5))
    shares = rng.uniform(0.7, 1.3, lives)
    rates = np.full(lives, float(rng.choice((0.0, 0.0, 0.2))))
    if leaks:
        rates[rng.integers(lives)] = rng.choice((2.0, 3.0, 5.0))
    return of_lives("one_life", 24.0 * np.cumsum(shares) / shares.sum(), rates, float(rates.max()), rng)


def every_life(rng: Rng, *, leaks: bool) -> Trace:
    lives, rate = int(rng.integers(2, 5)), rate_of(rng, leaks=leaks)
    shares = rng.uniform(0.7, 1.3, lives)
    return of_lives("every_life", 24.0 * np.cumsum(shares) / shares.sum(), np.full(lives, rate), rate, rng)


def short_lives(rng: Rng, *, leaks: bool) -> Trace:
    """A long life that is healthy, and four to six short ones, before or after it."""
    short, share = int(rng.integers(4, 7)), rng.uniform(0.065, 0.1)
    shares, rates = np.full(short, share), np.full(short, float(rng.choice((2.0, 5.0, 20.0, 60.0))) if leaks else 0.0)
    place = 0 if rng.uniform() < 0.5 else short
    shares, rates = np.insert(shares, place, 1.0 - share * short), np.insert(rates, place, 0.0)
    return of_lives("short_lives", 24.0 * np.cumsum(shares), rates, float(rates.max()), rng)


Family: TypeAlias = Callable[..., Trace]
KINDS: dict[str, tuple[Family, ...]] = {
    "short lives": (short_lives,),
    "one life of several": (one_life, every_life),
    "ever more slowly": (like_log, like_a_power),
    "the day": (day, leak_with_the_day, nights_missing, square_day),
    "a release": (release,),
    "fine steps": (fine_steps, random_steps),
    "few large jumps": (arenas, doublings),
}


def traces(kind: str, seeds: range) -> Iterator[Trace]:
    """A healthy and a leaking trace of a kind for each seed, its families in turn."""
    for seed in seeds:
        family = KINDS[kind][seed % len(KINDS[kind])]
        for leaks in (False, True):
            yield family(np.random.default_rng([seed, *map(ord, family.__name__), leaks]), leaks=leaks)

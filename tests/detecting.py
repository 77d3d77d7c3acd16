"""Is a leak of the rate that a verdict names as detectable detected in 95 of 100 series?"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from soakd.judge.growth.detectable import CHECK_ERROR, detectable_95
from soakd.judge.growth.method import DAY_H, Growth, judge_growth
from tests.growth_traces import SHAPES, Trace, noise, trace

RESIDENT = tuple(SHAPES)
REACHABLE = ("flat", "warm_up", "settling", "cache_fill", "early_steps", "one_off")
"""What can be reached has no sawteeth, spikes and trims, and hardly any noise."""
QUIET_MB = 0.006


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A leak of the detectable rate in a healthy series that passed."""

    shape: str
    rate: float
    """In limits."""
    detected: bool


def resident(seeds: range) -> Iterator[Trace]:
    return (trace(shape, seed) for seed in seeds for shape in RESIDENT)


def reachable(seeds: range) -> Iterator[Trace]:
    """The same shapes with the noise of what can be reached, in bytes and not in pages."""
    for seed in seeds:
        for shape in REACHABLE:
            t = trace(shape, seed)
            u, rng = t.hours / 24.0, np.random.default_rng([seed, *map(ord, shape)])
            y = SHAPES[shape](u, rng) + t.rate * t.hours + noise(u.size, rng, phi=0.5, deviation=QUIET_MB)
            yield replace(t, megabytes=y)


def judge(t: Trace) -> Growth:
    return judge_growth(t.hours, t.megabytes, t.segment, limit=t.limit, day=DAY_H)


def tried(t: Trace) -> Tried | None:
    """Add a leak of the rate that is seen with 95 % to a healthy series; None where it did not pass."""
    healthy = judge(t)
    if healthy.state != "PASS" or healthy.estimate is None or healthy.low is None or healthy.certain_low is None:
        return None
    rate = detectable_95(t.limit, healthy.estimate - healthy.certain_low, healthy.estimate - healthy.low)
    leaking = judge(replace(t, megabytes=t.megabytes + (rate - t.rate) * t.hours))
    detected = leaking.state == "FAIL" and leaking.within_limit is not None and leaking.within_limit <= CHECK_ERROR
    return Tried(shape=t.family, rate=rate / t.limit, detected=detected)

"""The highest rise above the usual level: every sample counts, from the warm-up to the close.

A rate is judged on levels, and a level on medians: growth in the last minutes of the load that disappears at the close
affects neither. A rise here is from the highest sample of one part of the load phase to that of a later part, so that
recurring bursts, sawteeth and garbage are not a rise, but a level that fell and comes back is one.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from soakd.judge.growth.series import MIN_SAMPLES
from soakd.judge.story.rundata import EngineData, Series

CONSTANT_PROFILES = ("baseline", "target", "stress", "extreme")
WARM_UP_SHARE = 0.25
"""Share of the load phase that is left out as warm-up."""
PARTS, LEAST_PARTS, PART_SAMPLES = 16, 4, 4
"""Parts of the rest, fewer if each would have fewer samples; a level that recurs in each of them is usual."""


class Rise(NamedTuple):
    """A rise, and the time of its highest sample, in seconds since the origin."""

    rose: float
    at_s: float


def to_the_close(data: EngineData, signal: str) -> Series:
    """Return a signal from the start of the load phase to the end, without faults on purpose and deep looks."""
    whole = data.signal(signal).between(data.plan.load.start_s, np.inf)
    series = data.outside_faults(whole)
    inside = np.zeros(len(series), dtype=bool)
    for from_s, until_s in data.looks_in(series):
        inside |= (series.t_s >= from_s) & (series.t_s <= until_s)
    return Series(series.t_s[~inside], series.y[~inside], series.segment[~inside])


def highest_rise(data: EngineData, series: Series) -> Rise | None:
    """Return the highest rise of the worst life; None if no life was read often enough under load.

    Args:
        data: the engine.
        series: one of its signals, from the load phase to the close.
    """
    rises = (_rise(data, life) for life in series.lives())
    return max((rise for rise in rises if rise is not None), default=None)


def _rise(data: EngineData, life: Series) -> Rise | None:
    load = life.between(data.plan.load.start_s, data.plan.load.end_s)
    if len(load) < MIN_SAMPLES:
        return None
    worst, least = Rise(0.0, float(load.t_s[-1])), np.inf
    after = life.between(np.nextafter(data.plan.load.end_s, np.inf), np.inf)
    for part in (*_parts(load), after):
        if len(part):
            top = int(np.argmax(part.y))
            worst = max(worst, Rise(float(part.y[top]) - least, float(part.t_s[top])))
            least = min(least, float(part.y[top]))
    return worst


def _parts(load: Series) -> Iterator[Series]:
    share = (load.t_s - load.t_s[0]) / max(float(np.ptp(load.t_s)), 1e-9)
    parts = max(LEAST_PARTS, min(PARTS, int(np.count_nonzero(share >= WARM_UP_SHARE)) // PART_SAMPLES))
    number = np.floor(parts * (share - WARM_UP_SHARE) / (1.0 - WARM_UP_SHARE)).clip(max=parts - 1)
    for part in range(parts):
        own = number == part
        yield Series(load.t_s[own], load.y[own], load.segment[own])

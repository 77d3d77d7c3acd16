"""What the host paid at the end, and whether the reload phase reused what the load phase had taken.

The reload phase is the same load again: memory that it takes anew was not given back, or not found again.
"""

from collections.abc import Iterator

import numpy as np

from soakd.judge.checks.cache_growth import held_by_entries
from soakd.judge.checks.ceilings import to_the_close
from soakd.judge.growth.series import MIN_SAMPLES, MIN_SHARE, FloatArray
from soakd.judge.story.looks import left_by_tools
from soakd.judge.story.rundata import EngineData, Series
from soakd.verdict.check import Check, below, round_number

USUAL = 0.5
"""What was reached in the first half of the load phase is usual: trimmed pages come back when they are used."""
HELD = ("live_bytes", "python_free_bytes", "native_free_bytes")
"""What allocators say of resident memory: objects, garbage, and what they keep for the next ones."""
LEAST_READINGS = 3
"""A reload phase in which fewer readings of the leak signal are due is not judged."""


def check_phase_ends(data: EngineData) -> Iterator[Check]:
    """Judge the peak of resident memory, and the reload phase; nothing of either where its limit is off."""
    limits = data.plan.config.limits
    if limits.total_growth_bytes is not None and (rise := _resident_rise(data)) is not None:
        yield below(
            f"total_growth.{data.host_signal}", round_number(rise), limits.total_growth_bytes, "bytes", missing=""
        )
    if limits.return_to_baseline_bytes is not None:
        yield from _reuse(data, limits.return_to_baseline_bytes)


def _resident_rise(data: EngineData) -> float | None:
    """Return how far resident memory rose beyond what allocators hold, in the worst life; None if that is unknown."""
    lives = (_rise(data, life) for life in to_the_close(data, data.host_signal).lives())
    return max((rise for rise in lives if rise is not None), default=None)


def _rise(data: EngineData, life: Series) -> float | None:
    rose = _above_the_usual(data, life, life.y)
    if rose is None:
        return None
    unexplained = life.y.copy()
    for signal in HELD:
        held = data.signal(signal)
        own = held.segment == life.segment[0]
        if np.any(own):
            unexplained -= np.interp(life.t_s, held.t_s[own], held.y[own])
    beyond = _above_the_usual(data, life, unexplained)
    return min(rose, rose if beyond is None else beyond) - left_by_tools(data)


def _above_the_usual(data: EngineData, life: Series, y: FloatArray) -> float | None:
    """Return the highest sample of a life above that of its first half under load."""
    load = life.t_s <= data.plan.load.end_s
    if np.count_nonzero(load) < MIN_SAMPLES:
        return None
    half_s = life.t_s[0] + USUAL * (life.t_s[load][-1] - life.t_s[0])
    later = life.t_s > half_s
    if not np.any(later):  # all of one moment
        return None
    return float(np.max(y[later]) - np.max(y[~later]))


def _reuse(data: EngineData, limit: float) -> Iterator[Check]:
    """Compare the level of the reload phase with the highest sample of the second half of the load phase."""
    reload = data.plan.phase("reload")
    every_s = max(data.plan.collect_every_s or 0.0, data.plan.sample_every_s)
    if reload.duration_s < LEAST_READINGS * every_s:
        return
    series, load = to_the_close(data, data.leak_signal), data.plan.load
    again = series.between(reload.start_s, reload.end_s)
    before = _comparable(data, series.between(load.start_s + USUAL * load.duration_s, load.end_s), series)
    check_id = f"reuse.{data.leak_signal}"
    if not len(again) or not len(before):
        yield below(check_id, None, limit, "bytes", missing="no reading in the reload phase", due_s=reload.end_s)
        return
    taken = float(np.median(again.y) - np.max(before.y)) - left_by_tools(data)
    if taken > limit and (beside := _beside_entries(data, again, before)) is not None:
        taken = beside - left_by_tools(data)
    yield below(check_id, round_number(taken), limit, "bytes", missing="")


def _comparable(data: EngineData, before: Series, series: Series) -> Series:
    """Return the readings of the last life; those of all lives if it is so young that it may still warm up."""
    own = before.segment == series.segment[-1] if len(series) else np.empty(0, dtype=bool)
    if not np.any(own) or float(np.ptp(before.t_s[own])) < MIN_SHARE * data.plan.load.duration_s:
        return before
    return Series(before.t_s[own], before.y[own], before.segment[own])


def _beside_entries(data: EngineData, again: Series, before: Series) -> float | None:
    """Return what was taken beside the entries of a bounded cache that still fills; None if that is not known."""
    held, held_before = held_by_entries(data, again), held_by_entries(data, before)
    if held is None or held_before is None:
        return None
    return float(np.median(again.y - held) - np.max(before.y - held_before))

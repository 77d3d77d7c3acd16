"""The guard against a bursty leak that is explained away as a number of steps.

Steps that a model has found are transients only where they have stopped; otherwise what they brought belongs
to the long-run rate.
"""

from dataclasses import dataclass

import numpy as np

from soakd.judge.growth.blocks import BLOCKS
from soakd.judge.growth.series import BoolArray, FloatArray
from soakd.judge.growth.transients import LATE_FILL

RECURRING = 3
"""From this many steps on, their times tell whether they go on."""
EARLY = 0.07
"""Probability that m steps at random times all lie as early as these."""
LONG_TAIL = 1.5
"""A quiet end of this many longest gaps shows that steps have stopped."""
GIVEN_BACK = 3.0
"""A fall of more than this many times the growth between falls released something else."""
SPREAD = 0.1
"""Least relative variance of a rate that recurring steps make."""
FINAL_THIRD = 2.0 / 3.0
STAIR = 1.6
"""A jump that could be one stair of a staircase of so many limits, by the waits around it, may be one."""
STAIRS_END = 2.2
"""A table that doubles waits twice as long each time: longer than that, and it has stopped."""
JOINED = 0.05
"""Falls closer than this are one: a fall inside a block is seen as two, a block apart."""
TINY = 1e-12


def guard(place: FloatArray, effect: FloatArray) -> tuple[FloatArray, FloatArray]:
    """What steps add to the long-run rate of each model, and to its variance.

    Args:
        place: shape (models, transients), of steps as a share of the segment; NaN for other transients.
        effect: shape (models, transients), size of each, in limit * duration.

    Returns:
        Rates in limits and variances in limits squared, both of shape (models,).
    """
    step = np.isfinite(place)
    total = np.sum(np.where(step, effect, 0.0), axis=1)
    up, down = _run(place, step & (effect > 0.0)), _run(place, step & (effect < 0.0), joined=JOINED)
    few = (up.count > 0) & (up.count < RECURRING) & (total > 1.0) & (up.last > FINAL_THIRD)
    many = (up.count >= RECURRING) & up.go_on
    releases = (up.count == 0) & (down.count >= RECURRING) & down.go_on
    spread = np.where(few, 1.0, np.where(many, up.spread, down.spread))
    counted = few | many | releases
    return np.where(counted, total, 0.0), np.where(counted, total**2 * spread, 0.0)


def recurring(
    place: FloatArray, end: FloatArray, effect: FloatArray, rate: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """What one or two falls add to the long-run rate if they are releases that come again, and to its variance.

    A collector, a log rotation or an allocator that lets go once in eight hours shows a day a ramp, a fall or two, and
    a ramp: growth between releases, whose long-run rate is that of the ramp less one fall a period. Nothing in
    the series says whether they come again, so both readings are kept.

    Args:
        place: as for `guard`.
        end: shape (models, transients), of fills as a share of the segment; NaN for other transients.
        effect: as for `guard`.
        rate: shape (models,), between the steps, in limits.

    Returns:
        Rates in limits, 0 where a model has no such falls, and variances in limits squared, of shape (models,).
    """
    step = np.isfinite(place)
    down, up = step & (effect < 0.0) & ~_rounds_off(place, end, effect), np.sum(step & (effect > 0.0), axis=1)
    run = _run(place, down, joined=JOINED)
    first = np.min(np.where(down, place, 1.0), axis=1, initial=1.0)
    quiet = np.maximum(first, 1.0 - run.last)
    period = np.where(run.count > 1.0, np.maximum(run.last - first, TINY) / np.maximum(run.count - 1.0, 1.0), quiet)
    fall = np.sum(np.where(down, effect, 0.0), axis=1) / np.maximum(run.count, 1.0) / np.maximum(period, TINY)
    doubtful = (up < RECURRING) & (run.count > 0) & (run.count < RECURRING) & (rate > 0.0) & (-fall < GIVEN_BACK * rate)
    return np.where(doubtful, fall, 0.0), np.where(doubtful, fall**2 * SPREAD, 0.0)


def _rounds_off(place: FloatArray, end: FloatArray, effect: FloatArray) -> BoolArray:
    """Whether a step only rounds off the corner of a fill that ended between the ends that are tried.

    It lies beside that end, and is smaller than what the fill grows in a block.
    """
    in_a_block = np.where(np.isfinite(end), np.abs(effect) / np.where(np.isfinite(end), end, 1.0) / BLOCKS, 0.0)
    beside = np.abs(place[:, :, None] - end[:, None, :]) < JOINED
    return np.asarray(np.abs(effect) < np.max(np.where(beside, in_a_block[:, None, :], 0.0), axis=2, initial=0.0))


def ramp(end: FloatArray, effect: FloatArray, rate: FloatArray) -> FloatArray:
    """What a ramp that ends late adds to the long-run rate, if it goes on after the fall that follows it.

    A leak whose process lets go of memory at the end looks like a fill, and a fall that would go on for ever. Nothing
    does: where the rate after the ramp is below minus one limit, the ramp's own rate is a second reading.

    Args:
        end: shape (models, transients), of fills as a share of the segment; NaN for other transients.
        effect: shape (models, transients), size of each, in limit * duration.
        rate: shape (models,), after the fills, in limits.

    Returns:
        Rates in limits, 0 where a model has no such ramp, of shape (models,).
    """
    late = (end > FINAL_THIRD) & (effect > 0.0) & (rate < -1.0)[:, None]
    return np.asarray(np.sum(np.where(late, effect / np.where(late, end, 1.0), 0.0), axis=1))


def resumed(place: FloatArray, end: FloatArray, effect: FloatArray) -> FloatArray:
    """What ramps add to the long-run rate if growth that paused, went on and paused late in the series goes on again.

    A leak under a load that rests at night looks, in the morning, like two fills that are done. A fill begins with
    the process; a ramp that sets in later (a fill of negative size, whose end is where it sets in) and ends in the
    last third has a second reading: the average growth since it set in. Where something fell as well, it may only
    have been regained.

    Args:
        place: as for `guard`.
        end: shape (models, transients), of fills as a share of the segment; NaN for other transients.
        effect: shape (models, transients), size of each, in limit * duration.

    Returns:
        Rates in limits, 0 where a model has no such ramp, of shape (models,).
    """
    up = np.isfinite(end) & (effect > 0.0)
    last = np.max(np.where(up, end, 0.0), axis=1, initial=0.0)
    set_in = np.max(np.where((effect < 0.0) & (end < last[:, None]), end, 0.0), axis=1, initial=0.0)
    since = np.where(np.isfinite(end) & (end > set_in[:, None]), 1.0 - set_in[:, None] / np.where(up, end, 1.0), 0.0)
    risen = np.sum(np.where(up, effect * since, 0.0), axis=1)
    fell = np.any(np.isfinite(place) & (effect < 0.0), axis=1)
    late = (last > FINAL_THIRD) & (set_in > 0.0) & ~fell
    return np.where(late, risen / (1.0 - set_in), 0.0)


def stairs(place: FloatArray, effect: FloatArray) -> FloatArray:
    """What few large jumps add to the long-run rate if they are stairs of a staircase: arenas, a table that doubles.

    Two arenas of 32 MB a day are a leak that nothing else shows, or a process that has what it needs. The wait for the
    next jump is at least the longest that was seen, so the rate is at most the largest jump a longest wait.

    Args:
        place: as for `guard`.
        effect: as for `guard`.

    Returns:
        Rates in limits, 0 where a model has no such jumps, of shape (models,).
    """
    up = np.isfinite(place) & (effect > 0.0)
    run = _run(place, up)
    first = np.min(np.where(up, place, 1.0), axis=1, initial=1.0)
    gap = np.max(np.nan_to_num(np.diff(np.sort(np.where(up, place, np.nan), axis=1), axis=1)), axis=1, initial=0.0)
    before, after = np.maximum(gap, first), 1.0 - run.last
    largest = np.max(np.where(up, effect, 0.0), axis=1, initial=0.0)
    rate = largest / np.maximum(np.maximum(before, after), TINY)
    kept = np.sum(np.where(np.isfinite(place), effect, 0.0), axis=1) > largest / 2.0
    return np.where(kept & (rate > STAIR) & (after < STAIRS_END * before), rate, 0.0)


def slowing(slope: FloatArray, effect: FloatArray) -> FloatArray:
    """What shapes that never end, only ever more slowly, add to the long-run rate: their slope at the end.

    A table that fills like log(t) is a warm-up that settles where it is small, and a leak where it is large.

    Args:
        slope: shape (models, transients), at the end of the segment, of a shape of size 1; 0 of what ends.
        effect: as for `guard`.

    Returns:
        Rates in limits, of shape (models,).
    """
    return np.asarray(np.sum(np.maximum(effect, 0.0) * slope, axis=1))


def hastened(end: FloatArray, effect: FloatArray) -> FloatArray:
    """What late haste adds to the long-run rate if it was none: less than nothing.

    The last stair of a fine staircase looks like growth that sets in at the very end (a fill of negative size that
    ends there). The rate before it is a second reading.

    Args:
        end: shape (models, transients), of fills as a share of the segment; NaN for other transients.
        effect: as for `guard`.

    Returns:
        Rates in limits, of shape (models,).
    """
    late = (end > LATE_FILL) & (effect < 0.0)
    return np.asarray(np.sum(np.where(late, effect / np.where(late, end, 1.0), 0.0), axis=1))


@dataclass(frozen=True, slots=True)
class _StepRun:
    """The steps of one direction; every field of shape (models,)."""

    count: FloatArray
    last: FloatArray
    """Where the last one is."""
    go_on: BoolArray
    """Whether their times leave open that there are more to come."""
    spread: FloatArray
    """Relative variance of their rate."""


def _run(place: FloatArray, chosen: BoolArray, *, joined: float = 0.0) -> _StepRun:
    """Describe the chosen steps; those closer than `joined` are one."""
    last = np.max(np.where(chosen, place, 0.0), axis=1, initial=0.0)
    gap = np.diff(np.sort(np.where(chosen, place, np.nan), axis=1), axis=1)
    gap = np.where(gap >= joined, gap, np.nan)
    count = np.any(chosen, axis=1) + np.sum(np.isfinite(gap), axis=1).astype(np.float64)
    gaps = np.maximum(count - 1.0, 1.0)
    mean = np.nansum(gap, axis=1) / gaps
    variance = np.nansum((gap - mean[:, None]) ** 2, axis=1) / gaps
    longest = np.max(np.nan_to_num(gap), axis=1, initial=0.0)
    irregular = variance / np.maximum(mean, TINY) ** 2
    return _StepRun(
        count=count,
        last=last,
        go_on=(last**count > EARLY) & (1.0 - last < LONG_TAIL * longest),
        spread=np.minimum(1.0, irregular + SPREAD) / np.maximum(count, 1.0),
    )

"""A segment becomes at most 48 block values, by the representation that shows the least noise.

A low quantile ignores spikes, a high one ignores trims, the minimum after each collection ignores a sawtooth:
which of them is quietest is asked of the series itself.
"""

from collections.abc import Iterator

import numpy as np
from scipy.ndimage import median_filter

from soakd.judge.growth.series import FloatArray

BLOCKS = 48
"""The narrowest block is a 48th of the segment."""
MIN_BLOCKS = 5
"""Fewer cannot bear a level, a rate, a transient and two degrees of freedom."""
EDGE = 1e-9
"""A sample on the edge of two blocks belongs to the later one, whatever rounding says."""
MINIMUM = 0.0
"""The quantile that stands for the minimum, which has a time of its own."""
CANDIDATES = ((1, (0.25, 0.5, 0.75)), (2, (0.9, MINIMUM)), (4, (0.95,)))
"""Widths in narrowest blocks, and the quantiles tried at each."""


def represent(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray] | None:
    """The quietest block values of a segment, or None where no candidate has 5 blocks.

    Args:
        x: shape (n,), ascending from 0 to 1 (share of the segment).
        y: shape (n,), any unit.

    Returns:
        Times and values of the blocks, both of shape (blocks,), in the units of x and y.
    """
    candidates = [(_noise(width, z), t, z) for width, t, z in _candidates(x, y) if z.size >= MIN_BLOCKS]
    if not candidates:
        return None
    _, t, z = min(candidates, key=lambda candidate: candidate[0])
    return t, z


def sawtooth_period(x: FloatArray, y: FloatArray) -> float | None:
    """The long (90 % quantile) time between sudden releases, in the unit of x; None with fewer than three.

    A release is a fall of the 5-point running median over two samples by more than five robust standard
    deviations and more than 8 % of its range.
    """
    level = median_filter(y, size=5, mode="nearest")
    change = level[2:] - level[:-2]
    deviation = 1.4826 * float(np.median(np.abs(change - np.median(change))))
    low, high = np.quantile(level, (0.05, 0.95))
    falls = np.flatnonzero(change < -max(5.0 * deviation, 0.08 * float(high - low)))
    starts = falls[np.diff(falls, prepend=-9) > 2]
    if starts.size < 3:
        return None
    return float(np.quantile(np.diff(x[starts]), 0.9))


def _candidates(x: FloatArray, y: FloatArray) -> Iterator[tuple[float, FloatArray, FloatArray]]:
    """Every candidate as width, times, values."""
    narrowest = 1.0 / BLOCKS
    for widths, quantiles in CANDIDATES:
        yield from _blocks(x, y, widths * narrowest, quantiles)
    period = sawtooth_period(x, y)
    if period is not None:
        yield from _blocks(x, y, max(narrowest, 1.05 * period), (MINIMUM,))
        if period < 1.0 / 20.0:
            yield from _blocks(x, y, max(narrowest, 2.1 * period), (MINIMUM,))


def _blocks(
    x: FloatArray, y: FloatArray, width: float, quantiles: tuple[float, ...]
) -> Iterator[tuple[float, FloatArray, FloatArray]]:
    """Cut into blocks of `width` (empty ones vanish) and take each quantile of every block."""
    edges = np.searchsorted(x, np.arange(1, int(np.ceil(1.0 / width - EDGE))) * width - EDGE)
    parts = [slice(a, b) for a, b in zip((0, *edges), (*edges, x.size), strict=True) if b > a]
    values = np.array([np.quantile(y[part], quantiles) for part in parts])
    centres = np.array([np.mean(x[part]) for part in parts])
    for quantile, z in zip(quantiles, values.T, strict=True):
        if quantile == MINIMUM:
            yield width, np.array([x[part][np.argmin(y[part])] for part in parts]), z
        else:
            yield width, centres, z


def _noise(width: float, z: FloatArray) -> float:
    """The power of the noise between blocks: a wider block must be quieter in proportion."""
    change = np.diff(z)
    return width * float(np.mean((change - np.median(change)) ** 2)) / 2.0

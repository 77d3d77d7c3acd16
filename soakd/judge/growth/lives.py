"""Lives that are too short to judge alone, judged together: a level for each, and one curve over their age."""

import numpy as np

from soakd.judge.growth.blocks import BLOCKS
from soakd.judge.growth.series import FloatArray, IntArray, Segment

MIN_READINGS = 5
"""A life with fewer readings says nothing of how it grows with age."""


def typical_life(lives: tuple[Segment, ...]) -> Segment | None:
    """What lives have in common: the curve over age that fits all of them best, each with a level of its own.

    Returns:
        A segment of at most 48 values, from age 0; None where no life has readings enough.
    """
    lives = tuple(life for life in lives if life.x.size >= MIN_READINGS and life.duration > 0.0)
    if not lives:
        return None
    oldest = max(life.duration for life in lives)
    cells = np.concatenate([_cells(life, number, oldest) for number, life in enumerate(lives)])
    life, block = cells[:, 0].astype(np.int64), cells[:, 1].astype(np.int64)
    blocks = np.unique(block)
    age = np.array([np.mean(cells[block == b, 2]) for b in blocks])
    return Segment(age, _curve(life, np.searchsorted(blocks, block), cells[:, 3]))


def late_slope(life: Segment) -> float:
    """The slope of the straight line through the later half of a life: no fill, wave or step explains it away."""
    late = life.x >= life.x[0] + life.duration / 2.0
    return float(np.polyfit(life.x[late] - life.x[-1], life.y[late] - life.middle, 1)[0])


def _cells(life: Segment, number: int, oldest: float) -> FloatArray:
    """One row for each block of age of a life: its number, the block, and the medians of age and value."""
    age = life.x - life.x[0]
    block = np.minimum(np.floor(age / oldest * BLOCKS), BLOCKS - 1)
    rows = [(number, b, np.median(age[block == b]), np.median(life.y[block == b])) for b in np.unique(block)]
    return np.array(rows, dtype=np.float64)


def _curve(life: IntArray, block: IntArray, y: FloatArray) -> FloatArray:
    """Least squares of a level for each life and a value for each block; the values, shape (blocks,)."""
    lives, blocks = int(life.max()) + 1, int(block.max()) + 1
    design = np.zeros((y.size, lives + blocks))
    design[np.arange(y.size), life] = 1.0
    design[np.arange(y.size), lives + block] = 1.0
    middle = float(np.median(y))
    coefficients, *_ = np.linalg.lstsq(design, y - middle, rcond=None)
    return np.asarray(coefficients[lives:])

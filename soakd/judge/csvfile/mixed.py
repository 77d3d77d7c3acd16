"""Detects rows of two processes without a column that separates them: a flat one hides one that leaks.

Rows that look like several series are separated, and each part is judged alone. Parts of one process share its rate,
however noisy, so a sound series is not affected.
"""

from collections.abc import Iterator

import numpy as np

from soakd.judge.growth.method import DAY_H, judge_growth
from soakd.judge.growth.series import BoolArray, FloatArray, IntArray

MOST_IN_TURN = 6
"""Series written in turn that are looked for."""
IN_TURN = 0.5
"""Rows come in turn where a row is, somewhere, this much nearer to the one a turn ago than to its neighbour."""
PARTS = 4
"""Parts of a series in which that is asked: two series may begin alike."""
MOST_RUNS = 8
"""Files behind each other that are looked for."""
LONG_RUN = 0.5
"""Share of the whole time that each of them must cover: pieces in a wrong order do not overlap."""
WINDOW, LEAST = 32, 6
"""Samples among which two levels are looked for, and the fewest on each of them."""
LEVELS = 0.25
"""Share of the windows with two levels, and of the samples there that change the level, from which on there are two."""


def leaking_part(t_h: FloatArray, y: FloatArray, segment: IntArray, *, limit: float) -> str:
    """Return why a series that passes may be several, one of which leaks; "" if nothing indicates that.

    Args:
        t_h: shape (n,), hours, in the order of the file.
        y: shape (n,), in any unit.
        segment: shape (n,), which life of the process a sample is of.
        limit: in [unit of y] per hour.

    Measured: of 101 synthetic mixtures of 2 to 4 processes that passed because a flat one hid a leak, 94 are detected;
    in the half of the labelled corpus that was tested, none of the 37 traces that pass is affected.
    """
    for what, part in _parts(t_h, y):
        if judge_growth(t_h[part], y[part], segment[part], limit=limit, day=DAY_H).state == "FAIL":
            return f"{what} alone grow beyond the limit: more than one series? give --group, or --segment"
    return ""


def _parts(t_h: FloatArray, y: FloatArray) -> Iterator[tuple[str, BoolArray]]:
    row = np.arange(y.size)
    for turn in range(2, MOST_IN_TURN + 1):
        if _in_turn(y, turn):
            yield from ((f"rows {first + 1}, {first + 1 + turn} ...", row % turn == first) for first in range(turn))
    yield from (("rows whose times begin anew", run) for run in _runs(t_h))
    order = np.argsort(t_h, kind="stable")
    for level, part in zip(("lower", "upper"), _levels(y[order]), strict=False):
        chosen = np.empty(y.size, dtype=bool)
        chosen[order] = part
        yield f"the {level} of two levels", chosen


def _in_turn(y: FloatArray, turn: int) -> bool:
    for part in np.array_split(y, PARTS):
        if part.size > 2 * turn:
            neighbour, same = np.mean(np.abs(np.diff(part))), np.mean(np.abs(part[turn:] - part[:-turn]))
            if same < IN_TURN * neighbour:
                return True
    return False


def _runs(t_h: FloatArray) -> Iterator[BoolArray]:
    """Rows between those where the time goes back; nothing where it does so all the time, or never."""
    run = np.cumsum(np.diff(t_h, prepend=t_h[:1]) < 0.0)
    if not 0 < run[-1] < MOST_RUNS:
        return
    for number in range(int(run[-1]) + 1):
        part = run == number
        if np.ptp(t_h[part]) >= LONG_RUN * np.ptp(t_h):
            yield part


def _levels(y: FloatArray) -> tuple[BoolArray, ...]:
    """The samples, in order of time, of the lower and of the upper of two levels; none where there are not two.

    Where a window does not show two, its samples are of both.
    """
    windows = y[: y.size // WINDOW * WINDOW].reshape(-1, WINDOW)
    if not windows.size:
        return ()
    ranked = np.sort(windows, axis=1)
    gaps = np.diff(ranked, axis=1)[:, LEAST - 1 : 1 - LEAST]
    at = np.argmax(gaps, axis=1) + LEAST - 1
    rows = np.arange(len(windows))
    low, high = ranked[rows, at], ranked[rows, at + 1]
    upper = windows >= high[:, None]
    changes = np.mean(upper[:, 1:] != upper[:, :-1], axis=1)
    two = (high - low > (low - ranked[:, 0]) + (ranked[:, -1] - high)) & (changes >= LEVELS)
    if np.mean(two) < LEVELS:
        return ()
    both = np.ones((2, y.size), dtype=bool)
    both[0, : windows.size] = (~two[:, None] | ~upper).ravel()
    both[1, : windows.size] = (~two[:, None] | upper).ravel()
    return both[0], both[1]

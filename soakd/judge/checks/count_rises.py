"""Rises of a count that two levels do not show: at the very end, after a fall, or briefly."""

from typing import NamedTuple

import numpy as np

from soakd.judge.checks.ceilings import CONSTANT_PROFILES, highest_rise, to_the_close
from soakd.judge.growth.series import FloatArray
from soakd.judge.story.rundata import EngineData, Series
from soakd.verdict.severity import State

WARM_UP_SHARE = 0.1
PARTS = 10
"""Parts of a life whose levels are compared."""
RECENT, LATE, END = 0.5, 0.9, 0.97
"""Shares of a life: the usual part before its last tenth, and its end."""
CERTAIN = 10.0
"""A rise of this many limits in the last tenth fails, although its end could not be observed."""
MAXIMUM = 100.0
"""A rise of this many limits fails even briefly: 800 descriptors, as processes often may have 1024."""


class CountRise(NamedTuple):
    """An answer, its reason, and the rise."""

    state: State
    reason: str
    rose: float


def after_a_fall(data: EngineData, life: Series, limit: float) -> tuple[Series, float] | None:
    """Return the part of a life after a steady level fell, and its rise beyond the limit since; None without one.

    The fall hides the rise from the levels at the start and the end. Counts that rise and fall repeatedly, or with the
    load, have low levels in between.
    """
    share = _share(life)
    number = np.floor(PARTS * (share - WARM_UP_SHARE) / (1.0 - WARM_UP_SHARE)).clip(max=PARTS - 1)
    parts = [part for part in range(PARTS) if np.any(number == part)]
    levels = [float(np.median(life.y[number == part])) for part in parts]
    low = int(np.argmin(levels)) if levels else 0
    is_steady = low > 0 and max(levels[:low]) - min(levels[:low]) <= limit < levels[low - 1] - levels[low]
    if not is_steady or data.plan.config.profile not in CONSTANT_PROFILES:
        return None
    rose = max(levels[low:]) - levels[low]
    if rose <= limit:
        return None
    before = (number <= parts[low]) & (life.y > (levels[low - 1] + levels[low]) / 2.0)
    since = slice(int(np.flatnonzero(before)[-1]) + 1, None)
    return Series(life.t_s[since], life.y[since], life.segment[since]), rose


def rise_at_the_end(data: EngineData, signal: str, life: Series, limit: float) -> CountRise | None:
    """Judge the rise above the usual level in the last tenth of a life, or in the reload phase; None without one.

    It is too late for a rate: far above the limit it fails, otherwise it is INCONCLUSIVE.
    """
    share = _share(life)
    # what a fault on purpose has closed is opened again: then all that was before is usual
    usual = life.y[(share >= (WARM_UP_SHARE if data.faults else RECENT)) & (share <= LATE)]
    if not len(usual):
        return None
    reload = data.plan.phase("reload")
    again = to_the_close(data, signal).between(reload.start_s, reload.end_s)
    again_y = again.y[again.segment == life.segment[-1]]
    ends = {"in the last tenth of the load phase": life.y[share >= END], "in the reload phase": again_y}
    risen = {when: float(np.median(y) - np.max(usual)) for when, y in ends.items() if len(y)}
    when = max(risen, key=risen.__getitem__)
    if risen[when] <= limit:
        return None
    state: State = "FAIL" if risen[when] > CERTAIN * limit else "INCONCLUSIVE"
    return CountRise(state, f"it rose {when}, too late to see whether it stops", risen[when])


def rise_above_the_maximum(data: EngineData, signal: str, life: Series, limit: float) -> CountRise | None:
    """Fail a count that was far above the usual level at any time up to the close; None if it was not."""
    whole = to_the_close(data, signal)
    own = whole.segment == life.segment[-1]
    rise = highest_rise(data, Series(whole.t_s[own], whole.y[own], whole.segment[own]))
    if rise is None or rise.rose <= MAXIMUM * limit or data.plan.config.profile not in CONSTANT_PROFILES:
        return None
    hour = rise.at_s / 3600.0
    return CountRise("FAIL", f"at hour {hour:.3g} of the run it was so far above what it had been", rise.rose)


def _share(life: Series) -> FloatArray:
    return np.asarray((life.t_s - life.t_s[0]) / max(float(np.ptp(life.t_s)), 1e-9))

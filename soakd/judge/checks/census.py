"""Compares the forked child's count with the process: a hook that frees memory at the fork hides a leak.

The child reads live bytes before it collects. They include garbage, but not what the engine's own hooks release in
every forked child (os.register_at_fork, pthread_atfork). If the process gains much that its copy does not have,
reachable bytes are not known, and do not pass.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from soakd.judge.story.rundata import EngineData, Series
from soakd.units import format_bytes
from soakd.verdict.check import Check

LEAST_BYTES = 1e6
MOSTLY = 0.5
"""The share of live bytes' growth that must be missing in the copy."""
RELEASED = "released at the fork"
"""The text that marks such a check."""


def doubt_census(data: EngineData, checks: Sequence[Check]) -> list[Check]:
    """Answer INCONCLUSIVE if reachable bytes pass although the process gained what its forked copy does not have."""
    if not (words := missing_in_copy(data)):
        return list(checks)
    return [_doubted(check, words) if check.id.startswith("growth.reachable_") else check for check in checks]


def missing_in_copy(data: EngineData) -> str:
    """Describe how much the process gained in the load phase that its forked copies do not have; "" if they agree.

    A restart gives back what a life gained: the worst life counts. Both are compared over the time of the copies.
    """
    copies = {int(life.segment[0]): life for life in data.trend("reachable_copied_bytes").judged_lives()}
    for life in data.trend("live_bytes").judged_lives():
        if (copy := copies.get(int(life.segment[0]))) is None:
            continue
        gained = _gained(life.between(copy.t_s[0], copy.t_s[-1]))
        if gained - _gained(copy) > max(LEAST_BYTES, MOSTLY * gained):
            missing = format_bytes(gained - _gained(copy))
            return (
                f"the process gained {missing} that its forked copies do not have, {RELEASED} by a hook of the "
                "engine's or of a library, so that what is reachable was not seen"
            )
    return ""


def _gained(life: Series) -> float:
    """Return the median of the last fifth minus that of the first."""
    if not len(life) or not np.ptp(life.t_s):
        return 0.0
    share = (life.t_s - life.t_s[0]) / np.ptp(life.t_s)
    return float(np.median(life.y[share >= 0.8]) - np.median(life.y[share <= 0.2]))


def _doubted(check: Check, words: str) -> Check:
    return dataclasses.replace(check, verdict="INCONCLUSIVE", reason=words) if check.verdict == "PASS" else check

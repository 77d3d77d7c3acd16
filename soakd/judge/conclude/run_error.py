"""The error of a run: twenty checks of growth may not be wrong twenty times as often as one.

The chance of one false FAIL in a run is at most 1 %, shared evenly by the growth checks that decide (Bonferroni): a
check fails where the probability that its rate is within the limit is below its share. What that leaves is open.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from soakd.judge.conclude.deciding_checks import deciding_checks, judged_engines
from soakd.judge.growth.detectable import widths_asked
from soakd.judge.story.rundata import RunData
from soakd.verdict.check import Check, round_number
from soakd.verdict.details import GrowthDetail

RUN_ERROR = 0.01
"""The most probable false FAIL of growth of a run, over all its checks."""


def within_run_error(run: RunData, checks: Mapping[str, Sequence[Check]]) -> dict[str, list[Check]]:
    """Answer INCONCLUSIVE where growth fails with less certainty than a run of so many checks needs.

    Args:
        run: the run.
        checks: the checks of each engine, by its name.
    """
    names = [engine.name for engine in judged_engines(run)]
    deciding = [c for engine in judged_engines(run) for c in deciding_checks(engine, checks) if _is_probable(c)]
    share = RUN_ERROR / max(len(deciding), 1)
    return {name: [_judge(c, share) if name in names else c for c in own] for name, own in checks.items()}


def _is_probable(check: Check) -> bool:
    """Whether a check is of a rate of growth, whose probabilities are known."""
    return check.growth is not None and check.growth.within_limit is not None


def _seen(check: Check, growth: GrowthDetail, share: float) -> Check:
    """A check that asks for more certainty sees only larger leaks."""
    if growth.detectable_95 is None or check.estimate is None or check.low is None:
        return check
    least = growth.detectable_95 + (widths_asked(share) - 1.0) * (check.estimate - check.low)
    return dataclasses.replace(check, growth=dataclasses.replace(growth, detectable_95=round_number(least)))


def _judge(check: Check, share: float) -> Check:
    if check.informational or check.growth is None or (within := check.growth.within_limit) is None:
        return check
    check = _seen(check, check.growth, share)
    if not check.is_failing or within <= share:
        return check
    chance = f"growth within the limit has a chance of {within:.2%}"
    reason = f"{chance}, and a check of this run may fail by mistake with {share:.2%}"
    return dataclasses.replace(check, verdict="INCONCLUSIVE", reason=reason)

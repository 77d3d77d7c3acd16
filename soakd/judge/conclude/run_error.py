"""The error of a run: how certain a FAIL of growth must be, so that one healthy run in a hundred fails at most.

A run of ten engines has twenty checks of growth that decide. In engines that grow by half of a limit at most, growth
within the limit hardly ever seems improbable, so that a chance of 1 % a check is far on the safe side. Sharing 1 % out
among the checks (Bonferroni) would make no healthy run safer, and leaves a quarter of the leaks open that only resident
memory shows (docs/adr/0003-growth-method.md has the figures).
"""

import dataclasses
from collections.abc import Mapping, Sequence

from soakd.judge.conclude.deciding_checks import judged_engines
from soakd.judge.growth.detectable import CHECK_ERROR
from soakd.judge.story.rundata import RunData
from soakd.verdict.check import Check


def within_run_error(run: RunData, checks: Mapping[str, Sequence[Check]]) -> dict[str, list[Check]]:
    """Answer INCONCLUSIVE where growth fails with less certainty than a run needs.

    Args:
        run: the run; rivals and controls decide nothing and keep their answers.
        checks: the checks of each engine, by its name.
    """
    names = {engine.name for engine in judged_engines(run)}
    return {name: [_judge(c) if name in names else c for c in own] for name, own in checks.items()}


def _judge(check: Check) -> Check:
    if check.informational or check.growth is None or (within := check.growth.within_limit) is None:
        return check
    if not check.is_failing or within <= CHECK_ERROR:
        return check
    reason = f"growth within the limit has a chance of {within:.2%}, and a FAIL needs one of at most {CHECK_ERROR:.0%}"
    return dataclasses.replace(check, verdict="INCONCLUSIVE", reason=reason)

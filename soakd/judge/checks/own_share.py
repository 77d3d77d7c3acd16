"""soakd's own share of an engine's growth: a FAIL is valid only beyond the growth of the null control.

The null control does nothing: its growth is part of every engine's growth. If it grows too much, or its growth is not
known, growth of an engine that it could explain does not count as the engine's.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from soakd.judge.story.rundata import RunData
from soakd.setup.settings import CONTROLS
from soakd.verdict.check import Check
from soakd.verdict.details import HarnessDetail
from soakd.verdict.severity import State
from soakd.verdict.wording import interval_words

SHARED = ("growth.", "total_growth.", "return_to_baseline", "reuse.")
"""Checks whose values the harness can increase."""
NOT_SHARED = "growth.server_"
"""The harness does not run in the servers."""
EVIDENCE = ("evidence.probe", "evidence.process")


def without_own_share(run: RunData, checks: Mapping[str, Sequence[Check]]) -> dict[str, list[Check]]:
    """Take back a FAIL that the null control's growth could explain, and add its growth to each FAIL that remains.

    Args:
        run: the run.
        checks: the checks of each engine, by its name.
    """
    null = next((engine for engine in run.engines if engine.plan.config.kind == CONTROLS["null"]), None)
    if null is None:
        return {name: list(own) for name, own in checks.items()}
    harness = Harness.of(null.leak_signal, checks[null.name])
    judged = {engine.name for engine in run.engines if engine.plan.config.role != "control"}
    return {name: [harness.judge(c) if name in judged else c for c in own] for name, own in checks.items()}


@dataclasses.dataclass(frozen=True, slots=True)
class Harness:
    """The growth of soakd itself, as shown by the null control."""

    checks: Mapping[str, Check]
    is_sound: bool
    """Whether it was measured, and its own leak check passes."""
    is_dead: bool
    """Whether it was not measured at all."""

    @classmethod
    def of(cls, leak_signal: str, checks: Sequence[Check]) -> "Harness":
        """Read the checks of the null control."""
        by_id = {check.id: check for check in checks}
        leak = [c for c in checks if c.id.removesuffix(".per_operation") == f"growth.{leak_signal}"]
        unseen = any(by_id[name].verdict in ("INVALID", "INCONCLUSIVE") for name in EVIDENCE if name in by_id)
        measured = any(check.estimate is not None for check in leak)
        sound = measured and not unseen and all(check.verdict == "PASS" for check in leak)
        return cls(checks=by_id, is_sound=sound, is_dead=unseen and not measured)

    def judge(self, check: Check) -> Check:
        """Answer a check again, given the growth of the harness."""
        if check.verdict != "FAIL" or not check.id.startswith(SHARED) or check.id.startswith(NOT_SHARED):
            return check
        if self.is_dead:
            return _answered(check, "INVALID", "the null control was not seen: what of it is soakd's own is not known")
        same = self.checks.get(check.id)
        if same is None or (self.is_sound and same.verdict == "PASS"):
            return check
        share = _share(same, check.unit)
        if share is None:
            return _answered(
                check, _taken_back(same), f"of the null control: {same.reason or 'no such growth was read'}"
            )
        check = dataclasses.replace(check, harness=share)
        if _at_least(check) - _at_most(share) > (check.limit or 0.0):
            return _answered(check, "FAIL", f"beyond what soakd itself grows: {own_share_words(check)}")
        return _answered(check, _taken_back(same), f"not shown to be the engine's: {own_share_words(check)}")


def own_share_words(check: Check) -> str:
    """Describe the null control's growth that a check was corrected for; "" if it was not."""
    if (harness := check.harness) is None:
        return ""
    words = interval_words(harness.harness_estimate, harness.harness_low, harness.harness_high, check.unit)
    return f"the null control, which does nothing, grows {words}" if words else ""


def _taken_back(same: Check) -> State:
    """Return the state instead of FAIL: INVALID for a harness that grows, INCONCLUSIVE for one that may."""
    return "INCONCLUSIVE" if same.verdict == "INCONCLUSIVE" else "INVALID"


def _share(same: Check, unit: str) -> HarnessDetail | None:
    """Return the null control's growth in a unit; None if it is not known."""
    if same.unit == unit:
        found = HarnessDetail(harness_estimate=same.estimate, harness_low=same.low, harness_high=same.high)
    elif (other := same.growth) is None:
        return None
    elif unit == "bytes/hour":
        found = HarnessDetail(
            harness_estimate=other.per_hour, harness_low=other.per_hour_low, harness_high=other.per_hour_high
        )
    else:
        found = HarnessDetail(
            harness_estimate=other.per_operation, harness_low=other.per_operation_low,
            harness_high=other.per_operation_high,
        )  # fmt: skip
    return None if found.harness_estimate is None else found


def _at_least(check: Check) -> float:
    return (check.low if check.low is not None else check.estimate) or 0.0


def _at_most(share: HarnessDetail) -> float:
    most = share.harness_estimate if share.harness_high is None else share.harness_high
    return max(0.0, most or 0.0)


def _answered(check: Check, state: State, reason: str) -> Check:
    """Return the check with another answer."""
    said = "; ".join(filter(None, (check.reason, reason)))
    return dataclasses.replace(check, verdict=state, reason=said)

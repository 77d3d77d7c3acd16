"""What of an engine's growth may be soakd's own: a FAIL stands only beyond what the empty control grew.

The null control does nothing: what it grows, every engine grows beside its own. Where it grows too much, or nobody can
say whether it does, growth of an engine that it could explain is not the engine's.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from soakd.judge.story.rundata import RunData
from soakd.setup.settings import CONTROLS
from soakd.verdict.check import Check
from soakd.verdict.severity import State
from soakd.verdict.wording import value_words

SHARED = ("growth.", "total_growth.", "return_to_baseline")
"""Checks of what a harness can add to."""
NOT_SHARED = "growth.server_"
"""The harness does not run in the servers."""
EVIDENCE = ("evidence.probe", "evidence.process")


def without_own_share(run: RunData, checks: Mapping[str, Sequence[Check]]) -> dict[str, list[Check]]:
    """Take FAIL back where the null control grows as the engine does, and say beside each that stands what it grew.

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
    """What the null control shows of the growth of soakd itself."""

    checks: Mapping[str, Check]
    is_sound: bool
    """It was seen, and its own leak check passes."""
    is_dead: bool
    """It was not seen: it shows nothing."""

    @classmethod
    def of(cls, leak_signal: str, checks: Sequence[Check]) -> "Harness":
        """Read the checks of the null control."""
        by_id = {check.id: check for check in checks}
        leak = [c for c in checks if c.id.removesuffix(".per_operation") == f"growth.{leak_signal}"]
        unseen = any(_answer(by_id[name]) in ("INVALID", "INCONCLUSIVE") for name in EVIDENCE if name in by_id)
        measured = any(check.estimate is not None for check in leak)
        sound = measured and not unseen and all(_answer(check) == "PASS" for check in leak)
        return cls(checks=by_id, is_sound=sound, is_dead=unseen and not measured)

    def judge(self, check: Check) -> Check:
        """Answer a check again, knowing what the harness grew."""
        if _answer(check) != "FAIL" or not check.id.startswith(SHARED) or check.id.startswith(NOT_SHARED):
            return check
        if self.is_dead:
            return _answered(check, "INVALID", "the null control was not seen: what of it is soakd's own is not known")
        same = self.checks.get(check.id)
        if same is None or (self.is_sound and _answer(same) == "PASS"):
            return check
        share = _share(same, check.unit)
        if share is None:
            return _answered(
                check, _taken_back(same), f"of the null control: {same.reason or 'no such growth was read'}"
            )
        told = {f"harness_{name}": value for name, value in share.items() if name != "unit" and value is not None}
        check = dataclasses.replace(check, more={**check.more, **told})
        if _at_least(check) - _at_most(share) > (check.limit or 0.0):
            return _answered(check, "FAIL", f"beyond what soakd itself grows: {own_share_words(check)}")
        return _answered(check, _taken_back(same), f"not shown to be the engine's: {own_share_words(check)}")


def own_share_words(check: Check) -> str:
    """Write what the null control grew, where it was held against a check; "" where it was not."""
    names = ("estimate", "low", "high")
    words = value_words({**{name: check.more.get(f"harness_{name}") for name in names}, "unit": check.unit})
    return f"the null control, which does nothing, grows {words}" if words else ""


def _taken_back(same: Check) -> State:
    """A harness that grows is broken; of one that may grow nobody knows."""
    return "INCONCLUSIVE" if _answer(same) == "INCONCLUSIVE" else "INVALID"


def _share(same: Check, unit: str) -> dict[str, float | str | None] | None:
    """Return what the null control grew, in a unit, as a check of a verdict file has it; None where it is not known."""
    if same.unit == unit:
        found = {"estimate": same.estimate, "low": same.low, "high": same.high}
    else:
        name = f"per_{unit.rpartition('/')[2]}"
        found = {key: same.more.get(name + end) for key, end in (("estimate", ""), ("low", "_low"), ("high", "_high"))}
    return None if found["estimate"] is None else {**found, "unit": unit}


def _at_least(check: Check) -> float:
    return (check.low if check.low is not None else check.estimate) or 0.0


def _at_most(share: Mapping[str, float | str | None]) -> float:
    most = share["estimate"] if share["high"] is None else share["high"]
    return max(0.0, float(most or 0.0))


def _answer(check: Check) -> State:
    """Return the answer, or the answer so far."""
    state: State = check.more.get("so_far", check.verdict)
    return state


def _answered(check: Check, state: State, reason: str) -> Check:
    """Return the check with another answer, or answer so far."""
    said = "; ".join(filter(None, (check.reason, reason)))
    if "so_far" in check.more:
        return dataclasses.replace(check, reason=said, more={**check.more, "so_far": state})
    return dataclasses.replace(check, verdict=state, reason=said)

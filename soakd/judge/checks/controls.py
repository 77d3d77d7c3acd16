"""The two controls: an engine that does nothing must be flat, one that leaks must be caught."""

from collections.abc import Mapping, Sequence

from soakd.judge.checks.outlook import Outlook
from soakd.judge.story.rundata import RunData
from soakd.setup.settings import CONTROLS
from soakd.verdict.check import Check
from soakd.verdict.severity import State, worst
from soakd.verdict.types import Controls, ControlVerdict
from soakd.verdict.wording import value_words

EVIDENCE = ("evidence.probe", "evidence.process")
"""Checks of a control that say nothing about the instrument if its evidence is missing."""


def judge_controls(run: RunData, checks: Mapping[str, Sequence[Check]]) -> Controls:
    """Return the results of the controls: null must be flat, leak must be caught.

    Args:
        run: the run.
        checks: the checks of each engine, by its name.
    """
    off = run.plan.config.run.controls_off
    null, leak = (_one_control(run, CONTROLS[short], checks, is_off=short in off) for short in ("null", "leak"))
    return Controls(null=null, leak=leak)


def _one_control(run: RunData, kind: str, checks: Mapping[str, Sequence[Check]], *, is_off: bool) -> ControlVerdict:
    engine = next((e for e in run.engines if e.plan.config.kind == kind), None)
    if engine is None:
        return ControlVerdict(verdict="INVALID", reason=f"{kind} was switched off" if is_off else f"no {kind}")
    signal = engine.leak_signal
    asked = [c for c in checks[engine.name] if c.id in (f"growth.{signal}", f"growth.{signal}.per_operation")]
    if kind == "control.leak" and "bytes_per_operation" in engine.plan.options:
        check = asked[-1] if asked else None  # caught by the limit in whose unit it leaks
    else:
        check = next((c for c in asked if c.verdict == worst([c.verdict for c in asked])), None)
    if check is None:
        return ControlVerdict(engine=engine.name, verdict="INCONCLUSIVE", reason=f"no growth.{signal} was judged")
    broken = [c for c in checks[engine.name] if c.id in EVIDENCE and c.verdict in ("INVALID", "INCONCLUSIVE")]
    if broken:
        reason = "; ".join(f"{c.id}: {c.reason}" for c in broken)
        return ControlVerdict(
            engine=engine.name, check=check.id, verdict=worst([c.verdict for c in broken]), reason=reason
        )
    return ControlVerdict(
        engine=engine.name, check=check.id, verdict=check.verdict,
        caught=check.verdict == "FAIL" if kind == "control.leak" else None, estimate=check.estimate, low=check.low,
        high=check.high, so_far=check.so_far, limit=check.limit, unit=check.unit,
    )  # fmt: skip


def check_controls(controls: Controls, outlook: Outlook) -> Check:
    """Judge the instrument by its controls: null must have passed, and leak must have failed."""
    states: list[State] = []
    reasons = []
    told: tuple[tuple[str, ControlVerdict | None, State, State], ...] = (
        ("null", controls.null, "PASS", "FAIL"), ("leak", controls.leak, "FAIL", "PASS"),
    )  # fmt: skip
    for short, control, wanted, wrong in told:
        if control is None or control.verdict == wanted:
            continue
        states.append("INVALID" if control.verdict in (wrong, "INVALID") else control.verdict)
        is_growing = short == "null" and control.verdict == wrong
        grows = f": it grows {value_words(control)}" if is_growing else ""
        because = f" ({control.reason})" if control.reason else ""
        reasons.append(f"the {short} control is {control.verdict}, not {wanted}{grows}{because}")
    if not outlook.final:
        states = ["INCOMPLETE"]
    return Check(id="evidence.controls", verdict=worst(states) if states else "PASS", reason="; ".join(reasons))

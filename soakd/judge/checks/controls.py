"""The two controls: an engine that does nothing must be flat, one that leaks must be caught."""

from collections.abc import Mapping, Sequence
from typing import Any

from soakd.judge.checks.outlook import Outlook
from soakd.judge.story.rundata import RunData
from soakd.setup.settings import CONTROLS
from soakd.verdict.check import Check
from soakd.verdict.severity import State, worst
from soakd.verdict.wording import value_words

EVIDENCE = ("evidence.probe", "evidence.process")
"""What was not seen of a control says nothing about the instrument."""


def judge_controls(run: RunData, checks: Mapping[str, Sequence[Check]]) -> dict[str, Any]:
    """Say what became of the controls: null must be flat, leak must be caught.

    Args:
        run: the run.
        checks: the checks of each engine, by its name.
    """
    return {
        short: _one_control(run, kind, checks, "off" if short in run.plan.config.run.controls_off else "absent")
        for short, kind in CONTROLS.items()
    }


def _one_control(run: RunData, kind: str, checks: Mapping[str, Sequence[Check]], otherwise: str) -> dict[str, Any]:
    engine = next((e for e in run.engines if e.plan.config.kind == kind), None)
    if engine is None:
        return {"verdict": "INVALID", "reason": f"{kind} was switched off" if otherwise == "off" else f"no {kind}"}
    signal = engine.leak_signal
    asked = [c for c in checks[engine.name] if c.id in (f"growth.{signal}", f"growth.{signal}.per_operation")]
    if kind == "control.leak" and "bytes_per_operation" in engine.plan.options:
        check = asked[-1] if asked else None  # caught by the limit in whose unit it leaks
    else:
        check = next((c for c in asked if c.verdict == worst([c.verdict for c in asked])), None)
    if check is None:
        return {"engine": engine.name, "verdict": "INCONCLUSIVE", "reason": f"no growth.{signal} was judged"}
    broken = [c for c in checks[engine.name] if c.id in EVIDENCE and c.verdict in ("INVALID", "INCONCLUSIVE")]
    if broken:
        reason = "; ".join(f"{c.id}: {c.reason}" for c in broken)
        return {
            "engine": engine.name,
            "check": check.id,
            "verdict": worst([c.verdict for c in broken]),
            "reason": reason,
        }
    found: dict[str, Any] = {"engine": engine.name, "check": check.id, "verdict": check.verdict}
    if kind == "control.leak":
        found["caught"] = check.verdict == "FAIL"
    numbers = {"estimate": check.estimate, "low": check.low, "high": check.high, "so_far": check.more.get("so_far")}
    return found | {k: v for k, v in numbers.items() if v is not None} | {"limit": check.limit, "unit": check.unit}


def check_controls(controls: Mapping[str, Any], outlook: Outlook) -> Check:
    """Judge the instrument by its controls: null must have passed, and leak must have failed."""
    states: list[State] = []
    reasons = []
    for short, wanted, wrong in (("null", "PASS", "FAIL"), ("leak", "FAIL", "PASS")):
        got = controls[short]["verdict"]
        if got == wanted:
            continue
        states.append("INVALID" if got in (wrong, "INVALID") else got)
        grows = f": it grows {value_words(controls[short])}" if short == "null" and got == wrong else ""
        reasons.append(f"the {short} control is {got}, not {wanted}{grows}" + _because(controls[short]))
    if not outlook.final:
        states = ["INCOMPLETE"]
    return Check(id="evidence.controls", verdict=worst(states) if states else "PASS", reason="; ".join(reasons))


def _because(control: Mapping[str, Any]) -> str:
    return f" ({control['reason']})" if control.get("reason") else ""

"""Is there enough evidence, and is the instrument sound? What is missing or broken here is never a PASS."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from soakd.analysis.check import Check, round_number, worst
from soakd.analysis.growth_checks import Outlook
from soakd.analysis.rundata import EngineData, RunData
from soakd.config import CONTROLS
from soakd.model import State

LEAST_COVERAGE = 0.95
LONGEST_PROBE_GAP = 0.20
"""Share of the load phase without a reading of the leak signal after which its probe counts as dead."""
CLOCK_STEP_S = 5.0
SLEEP_S = 1.0


def check_evidence(data: EngineData, outlook: Outlook) -> Iterator[Check]:
    """Judge the evidence of one engine: coverage of its samples, and the life of the probe that decides."""
    yield _coverage(data, outlook)
    yield _probe(data, outlook)


def check_run(run: RunData, controls: Mapping[str, Any], outlook: Outlook) -> Iterator[Check]:
    """Judge what concerns the whole run: its controls and its clocks."""
    yield _controls_check(controls, outlook)
    yield _clocks(run)


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
    signal = "reachable_bytes" if engine.plan.collect_every_s is not None else "live_bytes"
    check = next((c for c in checks[engine.name] if c.id == f"growth.{signal}"), None)
    if check is None:
        return {"engine": engine.name, "verdict": "INCONCLUSIVE", "reason": f"no growth.{signal} was judged"}
    found: dict[str, Any] = {"engine": engine.name, "check": check.id, "verdict": check.verdict}
    if kind == "control.leak":
        found["caught"] = check.verdict == "FAIL"
    numbers = {"estimate": check.estimate, "low": check.low, "high": check.high, "so_far": check.more.get("so_far")}
    return found | {k: v for k, v in numbers.items() if v is not None} | {"limit": check.limit, "unit": check.unit}


def _controls_check(controls: Mapping[str, Any], outlook: Outlook) -> Check:
    states: list[State] = []
    reasons = []
    for short, wanted, wrong in (("null", "PASS", "FAIL"), ("leak", "FAIL", "PASS")):
        got = controls[short]["verdict"]
        if got == wanted:
            continue
        states.append("INVALID" if got in (wrong, "INVALID") else got)
        reasons.append(f"the {short} control is {got}, not {wanted}" + _because(controls[short]))
    if not outlook.final:
        states = ["INCOMPLETE"]
    return Check(id="evidence.controls", verdict=worst(states) if states else "PASS", reason="; ".join(reasons))


def _because(control: Mapping[str, Any]) -> str:
    return f" ({control['reason']})" if control.get("reason") else ""


def _coverage(data: EngineData, outlook: Outlook) -> Check:
    """Share of the load phase's samples that arrived, the least of inside and outside readings."""
    load, end_s = data.plan.load, min(data.plan.load.end_s, outlook.seen_s)
    expected = max(1.0, (end_s - load.start_s) / data.plan.sample_every_s)
    counts = [len(data.in_load(signal)) for signal in ("operations_total", "rss_anon_bytes")]
    ratio = min(1.0, min(counts) / expected)
    dropped = data.signal("records_dropped_total")
    gap_s = _longest_gap(data.in_load("operations_total").t_s, load.start_s, end_s)
    reason = "" if ratio >= LEAST_COVERAGE else f"{min(counts)} of {expected:.0f} samples; longest gap {gap_s:.0f}s"
    return Check(
        id="evidence.coverage", verdict="PASS" if ratio >= LEAST_COVERAGE else "INVALID",
        estimate=round_number(ratio, 4), limit=LEAST_COVERAGE, unit="ratio", reason=reason,
        more={
            "longest_gap_seconds": round_number(gap_s, 4),
            "dropped_records": float(np.max(dropped.y)) if len(dropped) else None,
        },
    )  # fmt: skip


def _probe(data: EngineData, outlook: Outlook) -> Check:
    """A leak signal that fell silent cannot pass anything."""
    signal = "reachable_bytes" if data.plan.collect_every_s is not None else "live_bytes"
    load, end_s = data.plan.load, min(data.plan.load.end_s, outlook.seen_s)
    readings = data.in_load(signal).t_s
    gap = _longest_gap(readings, load.start_s, end_s) / load.duration_s
    dead = len(readings) == 0 or gap > LONGEST_PROBE_GAP
    silent_for = f"{signal} was silent for {gap:.0%} of the load phase" if len(readings) else f"{signal} was never read"
    return Check(
        id="evidence.probe", verdict="INVALID" if dead and outlook.seen_s > load.start_s else "PASS",
        estimate=round_number(gap, 4), limit=LONGEST_PROBE_GAP, unit="ratio", reason=silent_for if dead else "",
        more={"samples": len(readings)},
    )  # fmt: skip


def _longest_gap(t_s: np.ndarray[Any, Any], start_s: float, end_s: float) -> float:
    edges = np.concatenate(([start_s], t_s, [max(start_s, end_s)]))
    return float(np.max(np.diff(edges)))


def _clocks(run: RunData) -> Check:
    """Wall-clock steps and host sleep: between any two of the daemon's readings all clocks advance alike."""
    steps = list(clock_incidents(run.clocks))
    reason = "; ".join(dict.fromkeys(step["detail"] for step in steps[:3]))
    return Check(
        id="evidence.clock", verdict="INVALID" if steps else "PASS", estimate=float(len(steps)), limit=0.0,
        unit="count", reason=reason,
    )  # fmt: skip


def clock_incidents(clocks: np.ndarray[Any, Any]) -> Iterator[dict[str, Any]]:
    """Find the moments at which the clocks disagree.

    Args:
        clocks: shape (n, 3), wall, boot and monotonic seconds.
    """
    for before, after in pairwise(clocks):
        wall_s, boot_s, mono_s = after - before
        if boot_s - mono_s > SLEEP_S:
            yield {"what": "sleep", "at_wall_s": round(after[0], 3), "detail": f"the host slept {boot_s - mono_s:.0f}s"}
        elif abs(wall_s - boot_s) > CLOCK_STEP_S:
            detail = f"the wall clock stepped by {wall_s - boot_s:+.0f}s"
            yield {"what": "clock_step", "at_wall_s": round(after[0], 3), "detail": detail}

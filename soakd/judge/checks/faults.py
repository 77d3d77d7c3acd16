"""Faults on purpose: whether they happened, the recovery, what they left, and their effect on other engines."""

from collections.abc import Iterator, Sequence

import numpy as np

from soakd.judge.checks.service_levels import is_driver_bound
from soakd.judge.story.latency import merge
from soakd.judge.story.rundata import EngineData, Fault, RunData
from soakd.units import format_duration
from soakd.verdict.check import Check, round_number
from soakd.verdict.details import FaultDetail
from soakd.verdict.severity import State, worst
from soakd.verdict.types import FaultEntry

LEAST_OPERATIONS = 100
"""With fewer operations a 95th percentile is meaningless."""
SLOWED = 2.0
"""The limit as a multiple of the usual 95th percentile; an engine that is always slow fails latency.p95 instead."""
BESIDE = 5
"""Readings before and after a fault whose medians are compared."""
LEAST_BESIDE = 3
Finding = tuple[State, float | None, str]


def check_faults(data: EngineData, run: RunData) -> Iterator[Check]:
    """Judge an engine's recovery from the faults that affect it, and the effect of other engines' faults."""
    limit_s = data.plan.config.limits.recovery_s
    mine = [fault for fault in run.faults if data.name in fault.touches]
    for name in dict.fromkeys(fault.name for fault in mine):
        same = [fault for fault in mine if fault.name == name and (run.end is not None or fault.at_s < run.last_s)]
        if same:
            yield _recovery(data, run, name, same, limit_s)
    if any(i.what == "proxy_lost" for i in data.incidents):
        reason = "soakd's own proxy before its server ended: what the engine met then was soakd's doing"
        yield Check(id="evidence.proxy", verdict="INVALID", reason=reason)
    if mine != list(run.faults):
        yield from _cascade(data, [fault for fault in run.faults if data.name not in fault.touches])


def describe_faults(run: RunData) -> list[FaultEntry]:
    """Return every fault for the verdict file; unknown values are left out."""
    return [_described(run, fault) for fault in run.faults]


def _recovery(data: EngineData, run: RunData, name: str, faults: Sequence[Fault], limit_s: float) -> Check:
    """Combine all faults of one name: the worst state, the longest time."""
    found = [_finding(data, run, fault, limit_s) for fault in faults]
    state = worst([state for state, _, _ in found])
    known = [seconds for _, seconds, _ in found if seconds is not None]
    reasons = dict.fromkeys(why for one, _, why in found if one == state and why)
    left = [kept for fault in faults if (kept := bytes_not_returned(data, run, fault)) is not None]
    detail = FaultDetail(
        faults=len(faults), took_place=sum(fault.took_place for fault in faults),
        median_seconds=round_number(float(np.median(known)), 4) if known else None,
        failed_operations=sum(int(fault.outcome(data.name).get("failed_operations", 0)) for fault in faults),
        retried_operations=sum(int(fault.outcome(data.name).get("retried_operations", 0)) for fault in faults),
        bytes_not_returned=round_number(float(np.median(left))) if left else None,
    )  # fmt: skip
    return Check(
        id=f"recovery.{name}", verdict=state, estimate=round_number(max(known, default=None), 4), limit=limit_s,
        unit="seconds", reason="; ".join([*reasons][:3]), faults=detail,
    )  # fmt: skip


def _finding(data: EngineData, run: RunData, fault: Fault, limit_s: float) -> Finding:
    at = f"at {format_duration(fault.at_s)}"
    if not fault.took_place:
        why = (fault.told.detail if fault.told else None) or _why_not(run, fault)
        return "INCONCLUSIVE", None, f"{at}: {why}"
    recovered_s = float(fault.outcome(data.name).get("recovered_s", -1.0))
    if recovered_s >= 0.0:
        late = recovered_s > limit_s
        why = f"{at}: {recovered_s:.3g}s until operations succeeded again" if late else ""
        return "FAIL" if late else "PASS", recovered_s, why
    if fault.until_s is not None and fault.until_s - (fault.from_s or 0.0) - fault.lasted_s > limit_s:
        return "FAIL", None, f"{at}: nobody saw operations succeed again"
    return "INCONCLUSIVE", None, f"{at}: the run ended, or soakd was gone, before anybody could see it recover"


def _why_not(run: RunData, fault: Fault) -> str:
    reached = fault.at_s < run.last_s
    return f"{fault.name} did not take place: " + ("soakd was gone" if reached else "the run ended before it")


def bytes_not_returned(data: EngineData, run: RunData, fault: Fault) -> float | None:
    """Return how much higher the leak signal of one life was right after a fault than right before it.

    None if the process was replaced, or too little was read between this fault and its neighbours.
    """
    if fault.from_s is None or fault.until_s is None or data.name not in fault.touches:
        return None
    before_s = max((f.until_s for f in run.faults if f.until_s is not None and f.until_s <= fault.from_s), default=0.0)
    after_s = min((f.from_s for f in run.faults if f.from_s is not None and f.from_s >= fault.until_s), default=np.inf)
    series = data.in_load(data.leak_signal)
    before, after = series.between(before_s, fault.from_s), series.between(fault.until_s, after_s)
    if min(len(before), len(after)) < LEAST_BESIDE:
        return None
    if before.segment[-1] != after.segment[0]:
        return None
    return float(np.median(after.y[:BESIDE]) - np.median(before.y[-BESIDE:]))


def _cascade(data: EngineData, others: Sequence[Fault]) -> Iterator[Check]:
    """Judge the engine's latency during faults of others: against its own limit, and twice its usual value."""
    names = {fault.name for fault in others if fault.took_place}
    sound = [w for w in data.latency if w.phase == "load" and not w.observed and not is_driver_bound(w)]
    inside, outside = ([w for w in sound if w.fault in names], [w for w in sound if w.fault is None])
    if not names:
        return
    beside = merge(window.service() for window in inside)
    p95_s, usual_s = beside.quantile_s(0.95), merge(w.service() for w in outside).quantile_s(0.95)
    limit_s, operations = data.plan.config.limits.latency_p95_s, beside.operations
    enough = p95_s is not None and operations >= LEAST_OPERATIONS
    late = enough and limit_s is not None and (p95_s or 0.0) > max(limit_s, SLOWED * (usual_s or 0.0))
    state: State = "INCONCLUSIVE" if not enough else "FAIL" if late else "PASS"
    detail = FaultDetail(
        operations=operations, faults=sum(fault.took_place for fault in others), usual_seconds=round_number(usual_s),
        ratio=round_number(p95_s / usual_s, 3) if p95_s and usual_s else None,
    )  # fmt: skip
    yield Check(
        id="cascade.latency", verdict=state, informational=not enough or limit_s is None, estimate=round_number(p95_s),
        limit=limit_s, unit="seconds", faults=detail,
        reason="" if enough else f"{operations} operations while others were broken, {LEAST_OPERATIONS} needed, "
        "windows that are driver-bound or with a forked child left out",
    )  # fmt: skip


def _described(run: RunData, fault: Fault) -> FaultEntry:
    target = next(engine for engine in run.engines if engine.name == fault.target)
    kept = bytes_not_returned(target, run, fault)
    state, _, why = _finding(target, run, fault, target.plan.config.limits.recovery_s)
    pending = run.end is None and fault.at_s >= run.last_s
    numbers = ("detected_s", "recovered_s", "operations", "failed_operations", "retried_operations")
    told = {name: fault.told.told[name] for name in numbers if fault.told and name in fault.told.told}
    others = {name: dict(fault.outcome(name)) for name in fault.touches if name != fault.target}
    return FaultEntry(
        number=fault.number, name=fault.name, kind=fault.kind, target=fault.target, on=fault.on, at_s=fault.at_s,
        verdict="INCOMPLETE" if pending else state, took_place=fault.took_place, from_s=round_number(fault.from_s),
        until_s=round_number(fault.until_s), lasted_s=fault.lasted_s or None, **told,
        bytes_not_returned=round_number(kept), others=others or None, reason=(why or None) if not pending else None,
    )  # fmt: skip

"""Recovery after an engine's server was gone: of the server, and of its client.

The server's own recovery is up to the server (and to soakd, which restarts it): it decides if the server is judged.
After that, the recovery of operations is up to the client, and decides for every subject.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from soakd.judge.checks.outlook import Outlook
from soakd.judge.story.rundata import EngineData, Outage
from soakd.units import format_duration
from soakd.verdict.check import Check, round_number
from soakd.verdict.details import FaultDetail
from soakd.verdict.severity import State, worst
from soakd.wire.spec import LOADED_PHASES

DUE = 5.0
"""After the time of this many operations at the mean rate some are certainly due: the lowest stair has 0.4 of it."""

Finding = tuple[State, float | None, str]
"""The answer for one outage, seconds if known, and the reason."""


def check_recovery(data: EngineData, outlook: Outlook, *, decides: bool) -> Iterator[Check]:
    """Judge how a server and its client recovered; nothing if there was no outage, or only on purpose.

    Args:
        data: the engine.
        outlook: how much of the plan is complete.
        decides: whether the server itself is judged.
    """
    outages = [] if data.server is None else [outage for outage in data.server.outages if outage.fault is None]
    if not outages:
        return
    limit_s = data.plan.config.limits.recovery_s
    found = [_server(outage, limit_s, outlook.seen_s) for outage in outages]
    yield _folded("recovery.server", found, limit_s, decides=decides)
    after = [_client(data, outage, later, limit_s) for outage, later in pairwise([*outages, None])]
    if told := [finding for finding in after if finding is not None]:
        yield _folded("recovery.operations", told, limit_s)


def _folded(check_id: str, found: list[Finding], limit_s: float, *, decides: bool = True) -> Check:
    """Combine the answers for all outages: the worst state, the longest time."""
    state = worst([state for state, _, _ in found])
    known = [seconds for _, seconds, _ in found if seconds is not None]
    reasons = dict.fromkeys(why for one, _, why in found if one == state and why)
    return Check(
        id=check_id, verdict=state, informational=not decides, estimate=round_number(max(known, default=None), 4),
        limit=limit_s, unit="seconds", reason="; ".join([*reasons][:3]), faults=FaultDetail(outages=len(found)),
    )  # fmt: skip


def _server(outage: Outage, limit_s: float, seen_s: float) -> Finding:
    at = f"at {format_duration(max(0.0, outage.from_s))}"
    if outage.gave_up:
        return "FAIL", None, f"{at}: soakd gave the server up"
    if outage.recovered_s is None:
        if seen_s - outage.from_s > limit_s:
            return "FAIL", None, f"{at}: nobody saw the server answer again"
        return "INCONCLUSIVE", None, f"{at}: the run ended before the server could answer again"
    if outage.recovery_s is None:
        return "INCONCLUSIVE", None, f"{at}: it answered again, but how long that took was not recorded"
    late = outage.recovery_s > limit_s
    return "FAIL" if late else "PASS", outage.recovery_s, f"{at}: {outage.recovery_s:.3g}s until it answered again"


def _client(data: EngineData, outage: Outage | None, later: Outage | None, limit_s: float) -> Finding | None:
    """Judge the first sampling period that begins one limit after the server answered: its operations must succeed.

    Errors are known only per sampling period, so a client that is late by less passes. None if no load was due, or if
    the server was gone again before that.
    """
    last_s = max(phase.end_s for phase in data.plan.phases if phase.name in LOADED_PHASES)
    if outage is None or outage.from_s >= last_s:
        return None
    at = f"at {format_duration(max(0.0, outage.from_s))}"
    if outage.recovered_s is None:
        return "INCONCLUSIVE", None, f"{at}: the server did not come back, so nobody saw its client recover"
    stretches = list(_stretches(data, outage.recovered_s, last_s if later is None else later.gone_s))
    judged = next((ratio for begin_s, ratio in stretches if begin_s >= outage.recovered_s + limit_s), None)
    failing_s = max((begin_s - outage.recovered_s for begin_s, _ in _until_clean(data, stretches)), default=0.0)
    if judged is None and later is not None:
        return None
    if judged is None:
        return "INCONCLUSIVE", None, f"{at}: too little was seen after the server answered again"
    if judged > data.plan.config.limits.error_ratio:
        why = f"{at}: {judged:.1%} of the operations still failed {format_duration(limit_s)} after the server answered"
        return "FAIL", max(failing_s, limit_s), why
    return "PASS", failing_s, ""


def _until_clean(data: EngineData, stretches: list[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Yield the intervals with failed operations, up to the first without."""
    for begin_s, ratio in stretches:
        if ratio <= data.plan.config.limits.error_ratio:
            return
        yield begin_s, ratio


def _stretches(data: EngineData, from_s: float, to_s: float) -> Iterator[tuple[float, float]]:
    """Yield the intervals between samples under load: their start, and the share of operations that failed.

    Intervals across lives are left out. Without operations, an interval is extended until some were certainly due,
    whatever the profile: then all of them count as failed.
    """
    operations, errors = data.signal("operations_total"), data.signal("errors_total")
    if not len(operations) or not len(errors):
        return
    failed, t_s, life = np.interp(operations.t_s, errors.t_s, errors.y), operations.t_s, operations.segment
    least_s = DUE / data.plan.rate_per_s
    for phase in (phase for phase in data.plan.phases if phase.name in LOADED_PHASES):
        begin: int | None = None
        for i in np.flatnonzero((t_s >= max(from_s, phase.start_s)) & (t_s <= min(to_s, phase.end_s))):
            if begin is None or life[begin] != life[i]:
                begin = int(i)
            elif (done := float(operations.y[i] - operations.y[begin])) > 0.0 or t_s[i] - t_s[begin] >= least_s:
                yield float(t_s[begin]), float(failed[i] - failed[begin]) / done if done > 0 else 1.0
                begin = int(i)

"""The judge's answers, incidents and faults."""

from collections import Counter
from collections.abc import Iterable
from typing import get_args

from soakd.live.metrics.family import Family, Labels, Values
from soakd.live.status import RunStatus
from soakd.verdict.severity import State
from soakd.wire.records import INCIDENTS

STATES: tuple[str, ...] = get_args(State)


def _states(present: Iterable[tuple[Labels, str | None]]) -> Values:
    known = [(labels, state) for labels, state in present if state is not None]
    return [((*labels, state), float(state == now)) for labels, now in known for state in STATES]


def _checks(status: RunStatus, _: float) -> Values:
    """Return every check of every engine; those of the run itself have no engine."""
    of_engines = ((engine.name, engine.checks) for engine in status.engines.values())
    return _states(
        ((name, check_id, "true" if check.decides else "false"), check.answer)
        for name, checks in (*of_engines, ("", status.checks))
        for check_id, check in checks.items()
    )


def _waived(status: RunStatus, _: float) -> Values:
    """Return the checks that fail but do not decide, because a waiver covers the growth."""
    return [
        ((engine.name, check_id), 1.0)
        for engine in status.engines.values()
        for check_id, check in engine.checks.items()
        if check.waived
    ]


def _incidents(status: RunStatus, _: float) -> Values:
    """Return every kind from the first scrape on, so that Prometheus sees the first incident as an increase."""
    counts = Counter(dict.fromkeys(sorted(INCIDENTS), 0))
    for kind, count in status.incidents.items():
        counts[kind if kind in INCIDENTS else "other"] += count
    return [((kind,), count) for kind, count in counts.items()]


def _faults(status: RunStatus, _: float) -> Values:
    """Return every planned kind from the first scrape on, as with incidents."""
    kinds = sorted({fault.kind for fault in status.plan.faults})
    return [((kind,), status.faults[kind]) for kind in kinds]


NO_FAULTS = "if the plan has no faults"

FAMILIES = (
    Family(
        "soakd_check_state", "gauge", ("engine", "check", "decides", "state"),
        "1 for the current answer of a check; during the run, for its answer so far", "before the first verdict",
        _checks,
    ),
    Family(
        "soakd_check_waived", "gauge", ("engine", "check"),
        "1 for a check that fails, or fails so far, by growth that a waiver covers", "if nothing is waived", _waived,
    ),
    Family(
        "soakd_verdict_state", "gauge", ("state",), "1 for the verdict of the run, which is INCOMPLETE until its end",
        "before the first verdict", lambda status, _: _states([((), status.state)]),
    ),
    Family(
        "soakd_verdict_so_far_state", "gauge", ("state",),
        "1 for the worst answer so far of the engines that decide, and in the end for the verdict",
        "before the first verdict", lambda status, _: _states([((), status.state_so_far)]),
    ),
    Family(
        "soakd_incidents_total", "counter", ("kind",), "Incidents by kind, of engines, servers and the run",
        "never, except for the kind other", _incidents,
    ),
    Family(
        "soakd_faults_total", "counter", ("kind",), "Faults on purpose so far", NO_FAULTS, _faults,
    ),
    Family(
        "soakd_fault_recovery_seconds", "gauge", ("engine", "fault"),
        "Last recovery time: from the end of a fault on purpose until operations succeeded again",
        f"{NO_FAULTS}; before the first recovery",
        lambda status, _: status.fault_recovery_s.items(),
    ),
)  # fmt: skip

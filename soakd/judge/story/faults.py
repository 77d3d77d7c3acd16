"""The outcome of every planned fault, from its incidents."""

from collections.abc import Sequence
from typing import Any

from soakd.judge.story.rundata import EngineData, Fault
from soakd.setup.faults import FaultPlan, touched
from soakd.setup.plan import Plan
from soakd.wire.records import FaultIncident


def read_faults(plan: Plan, engines: Sequence[EngineData], origin_s: float | None) -> list[Fault]:
    """Return the outcome of every planned fault, in the plan's order."""
    told = {e.name: [i for i in e.incidents if isinstance(i, FaultIncident)] for e in engines}
    configs = [engine.config for engine in plan.engines]
    found = []
    for planned in plan.faults:
        own = [i for i in told.get(planned.target, ()) if _is_of(i, planned)]
        begin = next((i for i in own if i.what == "fault_begin"), None)
        end = next((i for i in own if i.what == "fault_end"), None)
        found.append(
            Fault(
                number=planned.number, name=planned.name, kind=planned.kind, target=planned.target, on=planned.on,
                at_s=planned.at_s, touches=touched(configs, planned.target, planned.on),
                **_times(begin, end, origin_s or 0.0), told=end,
            )
        )  # fmt: skip
    return found


def _is_of(incident: FaultIncident, planned: FaultPlan) -> bool:
    """Return whether an incident belongs to a fault: by its number, or in older runs by name and time."""
    if incident.number is not None:
        return incident.number == planned.number
    at_s = -1.0 if incident.at_s is None else incident.at_s
    return incident.fault == planned.name and abs(at_s - planned.at_s) < 1e-3


def _times(begin: FaultIncident | None, end: FaultIncident | None, origin_s: float) -> dict[str, Any]:
    took_place = begin is not None or (end is not None and end.took_place is True)
    if end is not None and end.took_place is False:
        took_place = False
    if end is not None and end.from_mono_s is not None and end.until_mono_s is not None:
        from_s, until_s = end.from_mono_s - origin_s, end.until_mono_s - origin_s
        return {"took_place": took_place, "from_s": from_s, "until_s": until_s}
    return {"took_place": took_place, "from_s": begin.at.mono_s - origin_s if begin and took_place else None}

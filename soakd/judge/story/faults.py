"""What became of every fault of a plan, out of its incidents."""

from collections.abc import Sequence
from typing import Any

from soakd.judge.story.readings import is_number
from soakd.judge.story.rundata import EngineData, Fault
from soakd.setup.faults import FaultPlan, touched
from soakd.setup.plan import Plan
from soakd.wire.records import Record


def read_faults(plan: Plan, engines: Sequence[EngineData], origin_s: float | None) -> list[Fault]:
    """Find what became of every fault of a plan, in the plan's order."""
    told = {e.name: [i for i in e.incidents if i.body.get("what") in ("fault_begin", "fault_end")] for e in engines}
    configs = [engine.config for engine in plan.engines]
    found = []
    for planned in plan.faults:
        own = [i for i in told.get(planned.target, ()) if _is_of(i, planned)]
        begin = next((i for i in own if i.body["what"] == "fault_begin"), None)
        end = next((i for i in own if i.body["what"] == "fault_end"), None)
        found.append(
            Fault(
                number=planned.number, name=planned.name, kind=planned.kind, target=planned.target, on=planned.on,
                at_s=planned.at_s, touches=touched(configs, planned.target, planned.on),
                **_times(begin, end, origin_s or 0.0), told=end.body if end is not None else {},
            )
        )  # fmt: skip
    return found


def _is_of(incident: Record, planned: FaultPlan) -> bool:
    """Return whether an incident is of a fault: by its number; before faults had one, by name and moment."""
    body = incident.body
    if "number" in body:
        return bool(body["number"] == planned.number)
    return body.get("fault") == planned.name and abs(number_or(body.get("at_s"), -1.0) - planned.at_s) < 1e-3


def _times(begin: Record | None, end: Record | None, origin_s: float) -> dict[str, Any]:
    took_place = begin is not None or (end is not None and end.body.get("took_place") is True)
    if end is not None and end.body.get("took_place") is False:
        took_place = False
    from_s, until_s = (None if end is None else end.body.get(key) for key in ("from_mono_s", "until_mono_s"))
    if from_s is not None and until_s is not None and is_number(from_s) and is_number(until_s):
        return {"took_place": took_place, "from_s": float(from_s) - origin_s, "until_s": float(until_s) - origin_s}
    return {"took_place": took_place, "from_s": begin.at.mono_s - origin_s if begin and took_place else None}


def number_or(value: Any, otherwise: float) -> float:
    """Return a number of a record, or something else where it is none."""
    return float(value) if is_number(value) else otherwise

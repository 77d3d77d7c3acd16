"""Deep looks as they were recorded: which can be read, when they were, and what their tools left behind."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from soakd.judge.story.readings import LATEST_S, is_number
from soakd.judge.story.rundata import EngineData
from soakd.wire.records import Record
from soakd.wire.sites import decode_all

STATES = ("begun", "done", "failed")
MOST_LEFT_BYTES = 16e6
"""More is not believed of a tool."""


def is_look(body: Mapping[str, Any]) -> bool:
    """Return whether the body of an attribution record can be read."""
    try:
        decode_all(body.get("sites", []))
    except ValueError:
        return False
    return body.get("state") in STATES and isinstance(body.get("route"), str)


def stretches(looks: Sequence[Record], origin_s: float) -> Iterator[tuple[float, float]]:
    """Yield from when to when each look was under way, in seconds since the origin."""
    for look in looks:
        begun: Any = look.body.get("from_mono_s")
        ended: Any = look.body.get("until_mono_s")
        if look.body["state"] != "begun" and is_number(begun, LATEST_S) and is_number(ended, LATEST_S):
            yield begun - origin_s, ended - origin_s


def left_by_tools(data: EngineData) -> float:
    """Return the bytes that the tools of looks have left in the process of the last life: soakd's, not the engine's."""
    last = data.lives[-1].segment if data.lives else 0
    left = [look.body.get("left_bytes", 0) for look in data.looks if look.segment == last]
    return min(MOST_LEFT_BYTES, max((float(each) for each in left if is_number(each) and each > 0), default=0.0))

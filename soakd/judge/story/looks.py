"""Deep looks as they were recorded: which can be read, when they were, and what their tools left behind."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from soakd.judge.story.readings import LATEST_S, is_number
from soakd.judge.story.rundata import EngineData
from soakd.wire.records import Record

STATES = ("begun", "done", "failed")
HELD, HOLDERS = "held_by", "holders"
MOST_LEFT_BYTES = 16e6
"""More is not believed of a tool."""


def is_look(body: Mapping[str, Any]) -> bool:
    """Tell whether the body of an attribution record can be read."""
    sites = body.get("sites", [])
    if body.get("state") not in STATES or not isinstance(body.get("route"), str) or not isinstance(sites, list):
        return False
    return all(
        isinstance(site, dict)
        and all(isinstance(site.get(name), str) for name in ("site", "fingerprint"))
        and all(site.get(name) is None or is_texts(site[name]) for name in ("frames", HELD))
        and (site.get("bytes_per_operation") is None or is_number(site["bytes_per_operation"]))
        for site in sites
    )


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


def is_texts(value: object) -> bool:
    """Return whether a value is a list of strings."""
    return isinstance(value, list) and all(isinstance(item, str) for item in value)

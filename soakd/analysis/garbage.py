"""Resident memory that follows garbage: a collector that comes late costs memory, and loses none."""

import dataclasses
from collections.abc import Mapping, Sequence

from soakd.analysis.check import Check

MOSTLY = 0.5
"""Garbage that grows by so much of what resident memory gained explains it."""
REASON = "live memory grows with it and what is reachable is flat: garbage that the collector has not met, not a leak"


def excuse_garbage(checks: Sequence[Check]) -> list[Check]:
    """Answer INCONCLUSIVE where resident memory fails only for garbage: nobody has seen where that ends.

    Args:
        checks: the checks of one engine.
    """
    by_id = {check.id: check for check in checks}
    return [_excused(check, by_id) if check.id.startswith("growth.rss_anon_bytes") else check for check in checks]


def _excused(rss: Check, by_id: Mapping[str, Check]) -> Check:
    suffix = rss.id.removeprefix("growth.rss_anon_bytes")
    reachable, live = (by_id.get(f"growth.{signal}{suffix}") for signal in ("reachable_bytes", "live_bytes"))
    if reachable is None or live is None or _state(rss) != "FAIL" or _state(reachable) != "PASS":
        return rss
    garbage = (live.estimate or 0.0) - (reachable.estimate or 0.0)
    unexplained = (rss.estimate or 0.0) - garbage
    if garbage < MOSTLY * (rss.estimate or 0.0) or unexplained > (rss.limit or 0.0):
        return rss
    if rss.verdict == "FAIL":
        return dataclasses.replace(rss, verdict="INCONCLUSIVE", reason=REASON)
    return dataclasses.replace(rss, reason=REASON, more={**rss.more, "so_far": "INCONCLUSIVE"})


def _state(check: Check) -> str:
    """Return the answer, or the answer so far."""
    return str(check.more.get("so_far") or check.verdict)

"""Resident memory that follows garbage: a late collector costs memory, but does not leak."""

import dataclasses
from collections.abc import Mapping, Sequence

from soakd.judge.story.rundata import EngineData
from soakd.verdict.check import Check
from soakd.verdict.resolution import HOST_SIGNALS

MOSTLY = 0.5
"""Garbage explains the growth of resident memory if it grows by at least this share of it."""
LONGEST_APART = 0.10
"""Share of the load phase by which the explaining signals may begin later or end sooner."""
REASON = "live memory grows with it and what is reachable is flat: garbage that the collector has not met, not a leak"


def excuse_garbage(data: EngineData, checks: Sequence[Check]) -> list[Check]:
    """Answer INCONCLUSIVE if resident memory fails only because of garbage, whose end was not observed.

    Args:
        data: the engine.
        checks: its checks.
    """
    if not all(_spans(data, signal) for signal in ("reachable_bytes", "live_bytes")):
        return list(checks)  # growth that was not looked into may be a leak
    by_id = {check.id: check for check in checks}
    return [_excused(check, signal, by_id) if (signal := _host_signal(check)) else check for check in checks]


def _host_signal(check: Check) -> str | None:
    """Return which signal of what the host pays a check of growth is about; None where it is about another."""
    signal = check.id.removeprefix("growth.").removesuffix(".per_operation")
    return signal if signal in HOST_SIGNALS and check.id.startswith("growth.") else None


def _spans(data: EngineData, signal: str) -> bool:
    """Return whether a signal was read over the whole time in which resident memory was judged."""
    told, rss = data.in_load(signal).t_s, data.in_load(data.host_signal).t_s
    slack_s = LONGEST_APART * data.plan.load.duration_s
    return len(told) > 0 and len(rss) > 0 and told[0] - rss[0] <= slack_s and rss[-1] - told[-1] <= slack_s


def _excused(rss: Check, signal: str, by_id: Mapping[str, Check]) -> Check:
    suffix = rss.id.removeprefix(f"growth.{signal}")
    reachable, live = (by_id.get(f"growth.{signal}{suffix}") for signal in ("reachable_bytes", "live_bytes"))
    if reachable is None or live is None or rss.verdict != "FAIL" or reachable.verdict != "PASS":
        return rss
    garbage = (live.estimate or 0.0) - (reachable.estimate or 0.0)
    unexplained = (rss.estimate or 0.0) - garbage
    if garbage < MOSTLY * (rss.estimate or 0.0) or unexplained > (rss.limit or 0.0):
        return rss
    return dataclasses.replace(rss, verdict="INCONCLUSIVE", reason=REASON)

"""What kind of growth it is, told from several signals together, and in words that name them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from soakd.analysis.check import Check
from soakd.analysis.rundata import EngineData, Series
from soakd.units import format_bytes, format_rate

MOSTLY = 0.8
"""A part that makes up so much of the growth is what grows."""
SIGNAL_WORDS = {
    "reachable_bytes": "reachable memory",
    "live_bytes": "live memory",
    "rss_anon_bytes": "anonymous resident memory",
    "fds": "the number of open file descriptors",
    "threads": "the number of threads",
    "tasks": "the number of asyncio tasks",
}
LEAK_WORDS = {
    "python_leak": "native memory is flat: a leak in Python objects",
    "native_leak": "the Python heap is flat: a leak in native code",
    "mixed_leak": "both the Python heap and native memory grow: a leak in both",
}


@dataclass(frozen=True, slots=True)
class Class:
    """A class of growth and the sentence that says what shows it."""

    name: str
    sentence: str


def classify(data: EngineData, checks: Sequence[Check]) -> Class:
    """Name what grows in one engine, the worst thing first; "flat" where nothing does."""
    by_id = {check.id: check for check in checks}
    leak_signal = "reachable_bytes" if data.plan.collect_every_s is not None else "live_bytes"
    leak = by_id.get(f"growth.{leak_signal}")
    if _grows(leak):
        return _leak(leak_signal, leak, by_id)
    for signal, name in (("fds", "fd_leak"), ("threads", "thread_leak"), ("tasks", "task_leak")):
        check = by_id.get(f"growth.{signal}")
        if check is not None and _grows(check):
            return Class(name, f"{SIGNAL_WORDS[signal]} grew by {check.estimate:.0f} over the load phase")
    if _grows(rss := by_id.get("growth.rss_anon_bytes")):
        return _resident_only(rss, by_id)
    if _grows(live := by_id.get("growth.live_bytes")) and leak_signal != "live_bytes":
        grown = f"{growth_words('live_bytes', live)}, but what is reachable is flat"
        return Class("collector_backlog", f"{grown}: garbage that the collector has not met yet, not a leak")
    return _flat(data.in_load(leak_signal), leak_signal, leak)


def growth_words(signal: str, check: Check | None) -> str:
    """Write "reachable memory grows 3.10MB/h [2.90, 3.30] = 431 B per operation"."""
    words = SIGNAL_WORDS.get(signal, signal)
    if check is None or check.estimate is None or check.low is None or check.high is None:
        return f"{words}: {check.reason if check else 'not measured'}"
    if check.unit == "bytes/hour":
        interval = f"{format_rate(check.estimate)} [{check.low / 1e6:.3g}, {check.high / 1e6:.3g}]"
        other = check.more.get("per_operation")
        also = f" = {format_bytes(other)} per operation" if other is not None else ""
    else:
        interval = f"{check.estimate:.3g} B per operation [{check.low:.3g}, {check.high:.3g}]"
        other = check.more.get("per_hour")
        also = f" = {format_rate(other)} at this rate" if other is not None else ""
    return f"{words} grows {interval}{also}"


def limit_words(check: Check) -> str:
    """Write a growth limit with its unit."""
    if check.limit is None:
        return "none"
    return format_rate(check.limit) if check.unit == "bytes/hour" else f"{check.limit:g} B per operation"


def _leak(signal: str, check: Check | None, by_id: Mapping[str, Check]) -> Class:
    stem = signal.removesuffix("_bytes")
    python, native = (_estimate(by_id.get(f"growth.{stem}_{part}_bytes")) for part in ("python", "native"))
    total = python + native
    share = python / total if total > 0 else 0.5
    name = "python_leak" if share >= MOSTLY else "native_leak" if share <= 1 - MOSTLY else "mixed_leak"
    return Class(name, f"{growth_words(signal, check)}; {LEAK_WORDS[name]}")


def _resident_only(rss: Check | None, by_id: Mapping[str, Check]) -> Class:
    grown = growth_words("rss_anon_bytes", rss)
    free = max(_estimate(by_id.get(f"growth.{part}_free_bytes")) for part in ("python", "native"))
    if free > 0.5 * _estimate(rss):
        return Class("fragmentation", f"{grown}; live memory is flat and free lists grow: fragmentation")
    if _grows(by_id.get("growth.live_bytes")):
        return Class("collector_backlog", f"{grown}; so does live memory, but what is reachable is flat: a backlog")
    return Class(
        "private_allocator", f"{grown}; live memory and free lists are flat: memory mapped or allocated privately"
    )


def _flat(series: Series, signal: str, check: Check | None) -> Class:
    words = SIGNAL_WORDS[signal]
    if check is None or check.estimate is None:
        return Class("unknown", f"{words}: {check.reason if check and check.reason else 'too little was measured'}")
    if (
        check.verdict == "INCONCLUSIVE"
        and check.high is not None
        and check.limit is not None
        and check.high > check.limit
    ):
        return Class("undecided", f"{growth_words(signal, check)}: {check.reason}")
    if _warmed_up(series, check):
        return Class("warm_up", f"{words} grew at first and then stopped: a warm-up")
    return Class("flat", f"{words} is flat within its limit")


def _warmed_up(series: Series, check: Check) -> bool:
    """Most of the growth of the load phase happened in its first quarter, and it was worth a limit's growth."""
    if len(series) < 16 or check.limit is None:
        return False
    quarter = series.t_s <= series.t_s[0] + 0.25 * float(np.ptp(series.t_s))
    first, whole = float(np.ptp(series.y[quarter])), float(series.y[-1] - series.y[0])
    return whole > 64e3 and first > 0.7 * whole


def _grows(check: Check | None) -> bool:
    return check is not None and "FAIL" in (check.verdict, check.more.get("so_far"))


def _estimate(check: Check | None) -> float:
    return check.estimate if check is not None and check.estimate is not None else 0.0

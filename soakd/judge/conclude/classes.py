"""Classifies growth from several signals together, and describes it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from soakd.judge.checks.census import RELEASED
from soakd.judge.story.rundata import EngineData, Series
from soakd.units import format_bytes, format_rate
from soakd.verdict.check import Check, growth_check
from soakd.verdict.wording import quantity_words

MOSTLY = 0.8
"""A part with at least this share of the growth is what grows."""
FREED = 0.5
"""Free lists explain the growth of resident memory if they hold at least this share of it."""
COMES_BACK = 0.7
"""Growth is a backlog if at least this share of it is gone at the end of the drain phase."""
LEAST_WARM_UP_BYTES = 64e3
SIGNAL_WORDS = {
    "reachable_bytes": "reachable memory",
    "live_bytes": "live memory",
    "live_python_bytes": "the live Python heap",
    "live_native_bytes": "live native memory",
    "reachable_python_bytes": "the reachable Python heap",
    "reachable_native_bytes": "reachable native memory",
    "resident_bytes": "resident memory (anonymous, swapped and shared)",
    "rss_anon_bytes": "anonymous resident memory",
    "server_rss_anon_bytes": "the server's anonymous resident memory",
    "server_live_bytes": "the server's live memory",
    "fds": "the number of open file descriptors",
    "threads": "the number of threads",
    "tasks": "the number of asyncio tasks",
    "children": "the number of child processes",
    "zombies": "the number of zombies",
    "children_bytes": "the memory of child processes",
    "held_file_bytes": "what memfds and deleted files that it holds open take",
    "queued_bytes": "what is unread in its pipes and sockets",
    "scratch_bytes": "the disk that its temporary folder takes",
}
LEAK_WORDS = {
    "python_leak": "native memory is flat: a leak in Python objects",
    "native_leak": "the Python heap is flat: a leak in native code (or of Python objects above 512 B, kept there)",
    "mixed_leak": "both the Python heap and native memory grow: a leak in both",
}
THINGS = {
    "fds": ("fd_leak", "a leak of file descriptors: something is opened and not closed"),
    "threads": ("thread_leak", "a leak of threads: something is started and does not end"),
    "tasks": ("task_leak", "a leak of asyncio tasks: something is started and never finishes"),
    "children": ("child_leak", "a leak of child processes: something is started and does not end"),
    "zombies": ("zombie_leak", "child processes exit and are never reaped: their parent does not wait for them"),
    "held_file_bytes": ("held_files", "a leak of files without a name: they are written to, or opened, and not closed"),
    "queued_bytes": ("queues", "a leak in kernel memory: data is sent and never read"),
    "scratch_bytes": ("files_left", "a leak of disk: files are written and not removed"),
}
CHILD_BYTES = "child_bytes."
"""Prefix of the signals for the bytes of one kind of children, by program."""


@dataclass(frozen=True, slots=True)
class Class:
    """A class of growth, and a sentence with its evidence."""

    name: str
    sentence: str


def classify(data: EngineData, checks: Sequence[Check]) -> Class:
    """Classify the growth of one engine, the worst kind first; "flat" if nothing grows."""
    by_id = {check.id: check for check in checks}
    leak = growth_check(by_id, data.leak_signal)
    if leak is not None and leak.is_failing:
        return _backlog(data, leak) or _leak(data, leak, by_id)
    if leak is not None and leak.verdict == "INVALID":
        return Class("undecided", f"{growth_words(data.leak_signal, leak)}: {leak.reason}")
    for signal in THINGS:
        if (check := by_id.get(f"growth.{signal}")) is not None and check.is_failing:
            return _things(signal, check)
    if (rss := growth_check(by_id, data.host_signal)) is not None and rss.is_failing:
        live = growth_check(by_id, "live_bytes")
        if live is not None and live.is_failing and not _passes(leak):
            return _unread(data, rss, live, leak)
        return _resident_only(data, rss, by_id, backlog=_passes(leak))
    if (below := growth_check(by_id, "children_bytes")) is not None and below.is_failing:
        return Class("child_growth", f"{growth_words('children_bytes', below)}: {_grown_child(data)}")
    if (filling := _filling(checks)) is not None:
        return filling
    live = growth_check(by_id, "live_bytes")
    if live is not None and live.is_failing and _passes(leak):
        grown = f"{growth_words('live_bytes', live)}, but what is reachable is flat"
        return Class("collector_backlog", f"{grown}: garbage that the collector has not met yet, not a leak")
    return _flat(data.in_load(data.leak_signal), data.leak_signal, leak)


def growth_words(signal: str, check: Check | None) -> str:
    """Format "reachable memory grows 3.10 MB/h [2.90, 3.30] = 431 B per operation"."""
    words = SIGNAL_WORDS.get(signal, signal)
    if check is None or check.estimate is None or check.low is None or check.high is None:
        return f"{words}: {check.reason if check else 'not measured'}"
    if check.unit == "bytes/hour":
        interval = f"{format_rate(check.estimate)} [{check.low / 1e6:.3g}, {check.high / 1e6:.3g}]"
        other = check.per_operation
        also = f" = {format_bytes(other)} per operation" if other is not None else ""
    else:
        interval = f"{check.estimate:.3g} B per operation [{check.low:.3g}, {check.high:.3g}]"
        other = check.per_hour
        also = f" = {format_rate(other)} at this rate" if other is not None else ""
    return f"{words} grows {interval}{also}{_reload_words(check)}"


def _reload_words(check: Check) -> str:
    """Describe whether it grows at policy reloads; "" if that is not known."""
    if check.reloads is None:
        return ""
    if (each := check.reloads.per_reload) is not None:
        return f", at reloads: {format_bytes(each)} per reload"
    return ", between reloads and not at them" if check.reloads.between_reloads else ""


def limit_words(check: Check) -> str:
    """Format a growth limit with its unit."""
    if check.limit is None:
        return "none"
    return format_rate(check.limit) if check.unit == "bytes/hour" else f"{check.limit:g} B per operation"


def _leak(data: EngineData, check: Check, by_id: Mapping[str, Check]) -> Class:
    stem = data.leak_signal.removesuffix("_bytes")
    signals = {part: f"{stem}_{part}_bytes" for part in ("python", "native")}
    grown = {part: _grown(data, signal, growth_check(by_id, signal)) for part, signal in signals.items()}
    share = grown["python"] / sum(grown.values()) if any(grown.values()) else 0.5
    name = "python_leak" if share >= MOSTLY else "native_leak" if share <= 1 - MOSTLY else "mixed_leak"
    part = signals.get(name.removesuffix("_leak"))
    if check.reason.startswith("beside "):  # the parts still include the cache's own growth
        words = f"{growth_words(data.leak_signal, check)} {check.reason}"
    elif part is not None and (own := growth_check(by_id, part)) is not None and own.low is not None:
        words = growth_words(part, own)
    else:
        words = growth_words(data.leak_signal, check)
    return Class(name, f"{words}; {LEAK_WORDS[name]}")


def _grown(data: EngineData, signal: str, check: Check | None) -> float:
    """Return how much a part grows: its rate, or its gain if it was not judged."""
    if check is not None and check.estimate is not None:
        return max(0.0, check.estimate)
    return _gained(data.in_load(signal))


def _gained(series: Series) -> float:
    few = max(1, len(series) // 10)
    return max(0.0, float(np.median(series.y[-few:]) - np.median(series.y[:few]))) if len(series) else 0.0


def _backlog(data: EngineData, check: Check) -> Class | None:
    """Recognize a backlog: growth that is gone after a pause of the load was waiting work, not lost memory."""
    load, drain = data.in_load(data.leak_signal), _phase(data, "drain")
    if len(load) < 16 or not len(drain):
        return None
    few = max(1, len(load) // 20)
    start, end = float(np.median(load.y[:few])), float(np.median(load.y[-few:]))
    if end <= start:
        return None
    back = (end - float(drain.y[-1])) / (end - start)
    if back < COMES_BACK:
        return None
    words = f"{growth_words(data.leak_signal, check)} under load, and {min(back, 1.0):.0%} of it came back in the drain"
    return Class("backlog", f"{words} phase: work arrives faster than it is done, a backlog and not a leak")


def _phase(data: EngineData, name: str) -> Series:
    phase = data.plan.phase(name)
    return data.signal(data.leak_signal).between(phase.start_s, phase.end_s)


def _things(signal: str, check: Check) -> Class:
    name, words = THINGS[signal]
    grown = f"{check.estimate:.0f}" if check.unit == "count" else quantity_words(check.estimate or 0.0, check.unit)
    return Class(name, f"{SIGNAL_WORDS[signal]} grew by {grown} over the load phase: {words}")


def _unread(data: EngineData, rss: Check, live: Check, leak: Check | None) -> Class:
    """Describe growth of live memory that may be garbage, if reachable bytes were not read."""
    grown = f"{growth_words(data.host_signal, rss)}, and {growth_words('live_bytes', live)}"
    if leak is not None and RELEASED in leak.reason:
        return Class("undecided", f"{grown}; {leak.reason}")
    return Class("undecided", f"{grown}; too little was read of what is reachable to tell a leak from garbage")


def _resident_only(data: EngineData, rss: Check, by_id: Mapping[str, Check], *, backlog: bool) -> Class:
    grown = growth_words(data.host_signal, rss)
    free = {part: _estimate(growth_check(by_id, f"{part}_free_bytes")) for part in ("python", "native")}
    if sum(free.values()) > FREED * _estimate(rss):
        part = "the Python heap's" if free["python"] > free["native"] else "malloc's"
        return Class("fragmentation", f"{grown}; live memory is flat and {part} free lists grow: fragmentation")
    if (live := growth_check(by_id, "live_bytes")) is not None and live.is_failing and backlog:
        words = "so does live memory, but what is reachable is flat: garbage that the collector has not met yet"
        return Class("collector_backlog", f"{grown}; {words}")
    return Class(
        "private_allocator", f"{grown}; live memory and free lists are flat: memory mapped or allocated privately"
    )


def _grown_child(data: EngineData) -> str:
    """Return the program of the child that grew most."""
    grown = {name: _gained(data.in_load(name)) for name in data.series if name.startswith(CHILD_BYTES)}
    name = max(sorted(grown), key=grown.__getitem__, default=None)
    return "a leak in a child process" + (f" ({name.removeprefix(CHILD_BYTES)})" if name is not None else "")


def _filling(checks: Sequence[Check]) -> Class | None:
    """Recognize growth that a bounded cache explains, which was not full at the end."""
    check = next((c for c in checks if not c.informational and c.is_cache_filling), None)
    if check is None:
        return None
    signal = check.id.removeprefix("total_").removeprefix("growth.").removesuffix(".per_operation")
    return Class("cache_filling", f"{growth_words(signal, check)}; {check.reason}: a cache that is still filling")


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
    """Recognize a warm-up: most growth was in the first quarter of the load phase, and worth a limit's growth."""
    if len(series) < 16 or check.limit is None:
        return False
    quarter = series.t_s <= series.t_s[0] + 0.25 * float(np.ptp(series.t_s))
    first, whole = float(np.ptp(series.y[quarter])), float(series.y[-1] - series.y[0])
    return whole > LEAST_WARM_UP_BYTES and first > 0.7 * whole


def _passes(check: Check | None) -> bool:
    return check is not None and check.answer == "PASS"


def _estimate(check: Check | None) -> float:
    return check.estimate if check is not None and check.estimate is not None else 0.0

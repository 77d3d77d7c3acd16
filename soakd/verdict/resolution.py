"""What a run of a given length can show about growth. Numbers only, so that preflight can use them without numpy."""

from collections.abc import Mapping

LEAST_HOURS = 2.0
"""An hourly limit needs hours: warm-ups, fills and half a sawtooth look like leaks before."""
LEAST_OPERATIONS = 10_000
FINAL_FROM = 0.80
"""Before this share of the plan there is only a "so far": at 2 h of 24 a third of healthy services would fail."""
MOST_UNSEEN = 0.5
"""The most of the time, or of the operations, that faults on purpose may take for a rate to pass."""

RESOLUTION_BYTES: Mapping[str, float] = {
    "reachable_bytes": 64e3,
    "reachable_python_bytes": 64e3,
    "reachable_native_bytes": 64e3,
    "live_bytes": 256e3,
    "live_python_bytes": 256e3,
    "live_native_bytes": 256e3,
    "rust_bytes": 64e3,
    "python_free_bytes": 256e3,
    "native_free_bytes": 256e3,
    "resident_bytes": 4e6,
    "rss_anon_bytes": 4e6,
    "rss_bytes": 4e6,
    "pss_bytes": 4e6,
    "uss_bytes": 4e6,
    "children_bytes": 4e6,
}
"""The least growth over the load phase for a FAIL."""
BYTE_SIGNALS = tuple(RESOLUTION_BYTES)
WHERE_READ = ("children_bytes",)
"""Signals that decide where they were read. They may be absent: not every engine has children."""
HOST_SIGNALS = ("resident_bytes", "rss_anon_bytes")
"""What the host pays: the first that was recorded decides. Older versions, and made-up runs, have the second alone."""
LIVE_SIGNALS = ("reachable_bytes", *HOST_SIGNALS, "live_bytes")
"""Signals that are judged in a live run: those that decide, and those that distinguish garbage from a leak."""


def leak_signal(collect_every_s: float | None) -> str:
    """Return the signal for leaks: reachable bytes, or live bytes without forks."""
    return "reachable_bytes" if collect_every_s is not None else "live_bytes"


def too_short(limit: float, hours: float) -> str:
    """Return why this many hours of load cannot pass a limit in bytes per hour; "" if they can."""
    seen = f"too short: {limit / 1e6:g} MB/h needs at least {LEAST_HOURS:g} h of load, {hours:.2g} h were seen"
    return seen if hours < LEAST_HOURS else ""


def too_few(operations: float) -> str:
    """Return why this many operations cannot pass a limit per operation; "" if they can."""
    seen = f"too few: {operations:,.0f} operations were seen, {LEAST_OPERATIONS:,} are needed"
    return seen if operations < LEAST_OPERATIONS else ""


def unseen(share: float, what: str) -> str:
    """Return why nothing passes with this share of the load, or of its operations, in faults; "" if it can."""
    seen = f"{share:.0%} {what} fell into faults on purpose: growth was not seen then"
    return seen if share > MOST_UNSEEN else ""

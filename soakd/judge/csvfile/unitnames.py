"""Finds the unit of a column from its name, or from numbers that allow only one unit; never a guess.

A wrong guess would call a leak flat: milliseconds read as seconds make every rate a thousandth.
"""

import re
from collections.abc import Collection, Iterable, Sequence

import numpy as np

from soakd.judge.growth.series import FloatArray

TIME_WORDS = {
    "ns": "ns", "nanos": "ns", "nanosecond": "ns", "nanoseconds": "ns",
    "us": "us", "µs": "us", "micros": "us", "microsecond": "us", "microseconds": "us",
    "ms": "ms", "msec": "ms", "msecs": "ms", "millis": "ms", "millisecond": "ms", "milliseconds": "ms",
    "s": "s", "sec": "s", "secs": "s", "second": "s", "seconds": "s",
    "min": "min", "mins": "min", "minute": "min", "minutes": "min",
    "h": "h", "hr": "h", "hrs": "h", "hour": "h", "hours": "h", "d": "d", "day": "d", "days": "d",
}  # fmt: skip
SIZE_WORDS = {
    "byte": "B", "bytes": "B", "kib": "KiB", "kibibytes": "KiB", "mib": "MiB", "mebibytes": "MiB",
    "gib": "GiB", "gibibytes": "GiB", "tib": "TiB",
}  # fmt: skip
PREFIXED = {
    **dict.fromkeys(("k", "kb", "kbyte", "kbytes", "kilobyte", "kilobytes"), ("kB", "KiB")),
    **dict.fromkeys(("m", "mb", "mbyte", "mbytes", "meg", "megs", "megabyte", "megabytes"), ("MB", "MiB")),
    **dict.fromkeys(("g", "gb", "gbyte", "gbytes", "gigabyte", "gigabytes"), ("GB", "GiB")),
    **dict.fromkeys(("tb", "terabyte", "terabytes"), ("TB", "TiB")),
}  # fmt: skip
"""Units that some programs count in 1000 and others in 1024: psrecord's "MB" are MiB."""
WORD = re.compile(r"[kKMGT]i?B(?![a-z])|[A-Z]+(?![a-z])|[A-Z]?[a-zµ]+|[0-9]+")
"""Whole units first, so that no "MiB" ends as a "B"."""
BARE_BYTES = re.compile(r"[\W_]B\W*$")
EPOCH = (1.2e9, 3.2e9)
"""Seconds since 1970 from the year 2008 to 2071."""
LONGEST_S = 366 * 86400.0
"""Times that would span more than a year since 1970 are counted from somewhere else, in smaller units."""
PAGES = (4096.0, 16384.0, 65536.0)
"""Resident memory in bytes is a whole number of pages; in any larger unit its numbers are not."""
LEAST_PAGED, LEAST_BYTES = 4, 1e6
"""Different values needed to tell pages, and the least process."""


def words(name: str) -> list[str]:
    """Split a column's name: "rss_kB", "rssKB", "RSS (kB)", "rss/kB" all end in a word of its own for the unit."""
    return WORD.findall(name)


def base_name(name: str) -> str:
    """A column's name without its units, for "RSS (kB)" is a usual name too."""
    known = {*TIME_WORDS, *SIZE_WORDS, *PREFIXED, "b", "epoch", "unix"}
    return " ".join(word for word in map(str.lower, words(name)) if word not in known)


def time_unit(name: str) -> str | None:
    """The unit that a column of times is named with; None where it has none, or several."""
    return _only(TIME_WORDS.get(word.lower()) for word in words(name))


def size_unit(name: str) -> str | None:
    """The unit that a column of sizes is named with; None where it has none, several, or one of two meanings."""
    if unclear_unit(name):
        return None
    bare = "B" if BARE_BYTES.search(name) else None
    return _only((bare, *(SIZE_WORDS.get(word.lower()) for word in words(name))))


def unclear_unit(name: str) -> tuple[str, str] | None:
    """The two units that a name like "rss_kb" may mean."""
    parts = [word.lower() for word in words(name)][1:]
    return next((PREFIXED[word] for word in parts if word in PREFIXED), None)


def epoch_unit(name: str, times: FloatArray) -> str | None:
    """The unit of times since 1970, told by their size; None where they may be something else."""
    if {"elapsed", "uptime", "relative", "duration"} & {word.lower() for word in words(name)}:
        return None
    for unit, per_second in (("s", 1.0), ("ms", 1e3), ("us", 1e6), ("ns", 1e9)):
        first, last = float(times.min()) / per_second, float(times.max()) / per_second
        if EPOCH[0] <= first and last <= EPOCH[1] and last - first <= LONGEST_S:
            return unit
    return None


def is_paged_memory(name: str, values: FloatArray) -> bool:
    """Return whether a column of resident memory is in bytes, because every value is a whole number of pages."""
    if not {"rss", "resident", "res"} & {word.lower() for word in words(name)}:
        return False
    distinct = np.unique(values)
    if distinct.size < LEAST_PAGED or not LEAST_BYTES <= distinct[-1] < 2.0**53 or distinct[0] < 0.0:
        return False
    whole = bool(np.all(distinct == np.floor(distinct)))
    return whole and float(np.gcd.reduce(distinct.astype(np.int64))) in PAGES


def export_units(names: Sequence[str], value: str) -> tuple[str | None, str | None]:
    """Return the units of time and value of a program recognized by its header; None if it is unknown."""
    if _holds(names, ("Elapsed time", "CPU (%)", "Real (MB)", "Virtual (MB)")):
        return "s", "MiB" if value in ("Real (MB)", "Virtual (MB)") else None
    if _holds(names, ("Time", "PID", "minflt/s", "majflt/s", "VSZ", "RSS")):
        return None, "KiB" if value in ("VSZ", "RSS") else None
    return None, None


def _holds(names: Collection[str], wanted: Sequence[str]) -> bool:
    return set(wanted) <= set(names)


def _only(found: Iterable[str | None]) -> str | None:
    units = {unit for unit in found if unit}
    return units.pop() if len(units) == 1 else None

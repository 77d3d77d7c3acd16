"""Signals that are the sum of readings of one sample: what allocators hold, and what the host holds of a process."""

from collections.abc import Mapping
from typing import Any

from soakd.wire.bounds import MOST_READING

PYMALLOC_OFF = "note.pymalloc_off"
"""Set in a sample of a process without pymalloc: native bytes then include every object."""
SUMS: Mapping[str, tuple[str, str]] = {
    "live_bytes": ("live_python_bytes", "live_native_bytes"),
    "reachable_bytes": ("reachable_python_bytes", "reachable_native_bytes"),
}
"""Sum -> its Python and its native part."""
RESIDENT, SHARED = "resident_bytes", "rss_shmem_bytes"
RESIDENT_PARTS = ("rss_anon_bytes", "swap_bytes", SHARED)
"""What the host holds of a process: anonymous, swapped and shared memory."""
SUMMED = (*SUMS, RESIDENT)


def sum_of(readings: Mapping[str, Any], name: str) -> float | None:
    """Return the sum `name` of one sample's readings; None if a part is missing or not a size.

    A process without pymalloc has no Python part: its native part is the whole. Shared memory is a part if it was
    read: recordings of older versions do not have it.
    """
    if name == RESIDENT:
        parts = [readings.get(part) for part in RESIDENT_PARTS if part != SHARED or part in readings]
    else:
        python, native = SUMS[name]
        without_pymalloc = python not in readings and readings.get(PYMALLOC_OFF)
        parts = [0 if without_pymalloc else readings.get(python), readings.get(native)]
    return sum(parts) if all(map(_is_size, parts)) else None  # type: ignore[arg-type]


def _is_size(value: object) -> bool:
    return type(value) in (int, float) and 0 <= value <= MOST_READING  # type: ignore[operator]

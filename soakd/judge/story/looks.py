"""Recorded deep looks: their times, and the memory that their tools left behind."""

from collections.abc import Iterator, Sequence

from soakd.judge.story.rundata import EngineData
from soakd.wire.records import Look

MOST_LEFT_BYTES = 16e6
"""The most that is attributed to a tool."""


def stretches(looks: Sequence[Look], origin_s: float) -> Iterator[tuple[float, float]]:
    """Yield the start and end of each look, in seconds since the origin."""
    for look in looks:
        if look.state != "begun" and look.from_mono_s is not None and look.until_mono_s is not None:
            yield look.from_mono_s - origin_s, look.until_mono_s - origin_s


def left_by_tools(data: EngineData) -> float:
    """Return the bytes that the tools of looks have left in the process of the last life: soakd's, not the engine's."""
    last = data.lives[-1].segment if data.lives else 0
    left = [float(look.left_bytes) for look in data.looks if look.segment == last]
    return min(MOST_LEFT_BYTES, max(left, default=0.0))

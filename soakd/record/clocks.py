"""One time line for a run that several daemons recorded, perhaps over a reboot that set its clocks to zero.

The record `resumed` says which lives are the new daemon's, and what to add to their clocks. A record tells by its own
life which daemon it is of: the order of records does not matter.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from soakd.wire.records import Record, Resumed, is_of_a_server, moved


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockShift:
    """Where one daemon's records end and the next one's begin."""

    life: int
    """Of the daemon that begins here."""
    segments: Mapping[str, int] = field(default_factory=dict)
    """Engine -> the first segment that is this daemon's."""
    server_lives: Mapping[str, int] = field(default_factory=dict)
    shift_s: float = 0.0
    """What to add to CLOCK_MONOTONIC from here on for one time line; 0 where the boot is the first one's."""
    boot_shift_s: float = 0.0
    since_wall_s: float = 0.0
    """When the last record before it was made."""

    def as_dict(self) -> dict[str, Any]:
        """Write what `clock_shifts` reads."""
        return {
            "segments": dict(self.segments), "server_lives": dict(self.server_lives), "shift_s": self.shift_s,
            "boot_shift_s": self.boot_shift_s,
        }  # fmt: skip

    def holds(self, record: Record) -> bool:
        """Tell whether a record is of this daemon, or of a later one."""
        if not record.engine:
            return record.segment >= self.life
        lives = self.server_lives if is_of_a_server(record) else self.segments
        return record.segment >= lives.get(record.engine, 0)


def clock_shifts(records: Iterable[Record]) -> list[ClockShift]:
    """Return the handovers of a run by its records, in order."""
    found = [
        ClockShift(
            life=record.segment, segments=record.segments, server_lives=record.server_lives, shift_s=record.shift_s,
            boot_shift_s=record.boot_shift_s, since_wall_s=record.since_wall_s,
        )
        for record in records
        if isinstance(record, Resumed)
    ]  # fmt: skip
    return sorted(found, key=lambda handover: handover.life)


def on_one_clock(records: Iterable[Record], found: Sequence[ClockShift]) -> Iterator[Record]:
    """Put the records of every daemon on the first one's clocks."""
    if not any(handover.shift_s or handover.boot_shift_s for handover in found):
        yield from records
        return
    for record in records:
        handover = next((handover for handover in reversed(found) if handover.holds(record)), None)
        yield record if handover is None else moved(record, handover.shift_s, handover.boot_shift_s)


def reboots(found: Sequence[ClockShift]) -> int:
    """Count the handovers at which the clocks began again."""
    return sum(before.shift_s != after.shift_s for before, after in pairwise([ClockShift(life=0), *found]))

"""One time line for a run recorded by several daemons, perhaps across a reboot that reset the clocks.

The record `resumed` says which lives belong to the new daemon, and what to add to their clocks. A record's own life
shows which daemon it is from: the order of records does not matter.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from soakd.wire.records import Record, Resumed, is_of_a_server, moved


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockShift:
    """The handover from one daemon's records to the next one's."""

    life: int
    """The life number of the daemon that begins here."""
    segments: Mapping[str, int] = field(default_factory=dict)
    """Engine -> the first segment of this daemon."""
    server_lives: Mapping[str, int] = field(default_factory=dict)
    shift_s: float = 0.0
    """What to add to CLOCK_MONOTONIC from here on; 0 in the first boot."""
    boot_shift_s: float = 0.0
    since_wall_s: float = 0.0
    """Wall time of the last record before it."""

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON that `clock_shifts` reads."""
        return {
            "segments": dict(self.segments), "server_lives": dict(self.server_lives), "shift_s": self.shift_s,
            "boot_shift_s": self.boot_shift_s,
        }  # fmt: skip

    def holds(self, record: Record) -> bool:
        """Return whether a record is from this daemon or a later one."""
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
    """Convert the records of every daemon to the first one's clocks."""
    if not any(handover.shift_s or handover.boot_shift_s for handover in found):
        yield from records
        return
    for record in records:
        handover = next((handover for handover in reversed(found) if handover.holds(record)), None)
        yield record if handover is None else moved(record, handover.shift_s, handover.boot_shift_s)


def reboots(found: Sequence[ClockShift]) -> int:
    """Count the handovers at which the clocks were reset."""
    return sum(before.shift_s != after.shift_s for before, after in pairwise([ClockShift(life=0), *found]))

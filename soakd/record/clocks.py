"""One time line for a run that several daemons recorded, perhaps over a reboot that set its clocks to zero.

The record `resumed` says which lives are the new daemon's, and what to add to their clocks. A record tells by its own
life which daemon it is of: the order of records does not matter.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from soakd.wire.records import Record, Stamp

MOMENTS = ("mono_s", "reachable_forked_at_s", "from_mono_s", "until_mono_s", "origin_mono_s")
"""Moments on CLOCK_MONOTONIC in the bodies of records."""


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
        lives = self.server_lives if of_a_server(record) else self.segments
        return record.segment >= lives.get(record.engine, 0)


def clock_shifts(records: Iterable[Record]) -> list[ClockShift]:
    """Read the handovers of a run out of its records, in order; what is no handover is left out."""
    found: list[ClockShift] = []
    for record in records:
        if record.kind == "phase" and record.body.get("name") == "resumed":
            found += _read(record)
    return sorted(found, key=lambda handover: handover.life)


def on_one_clock(records: Iterable[Record], found: Sequence[ClockShift]) -> Iterator[Record]:
    """Put the records of every daemon on the first one's clocks."""
    if not any(handover.shift_s or handover.boot_shift_s for handover in found):
        yield from records
        return
    for record in records:
        handover = next((handover for handover in reversed(found) if handover.holds(record)), None)
        yield record if handover is None else _shifted(record, handover)


def reboots(found: Sequence[ClockShift]) -> int:
    """Count the handovers at which the clocks began again."""
    return sum(before.shift_s != after.shift_s for before, after in pairwise([ClockShift(life=0), *found]))


def of_a_server(record: Record) -> bool:
    """Tell whether the segment of an engine's record is a life of its server, not of its worker."""
    if record.kind == "incident":
        return str(record.body.get("what")).startswith("server_")
    return record.kind == "server" or (record.kind == "sample" and record.body.get("source") == "server")


def _shifted(record: Record, handover: ClockShift) -> Record:
    at, body = record.at, record.body
    if any(name in body for name in MOMENTS):
        body = {
            name: value + handover.shift_s if name in MOMENTS and type(value) in (int, float) else value
            for name, value in body.items()
        }
    moved = Stamp(at.wall_s, at.boot_s + handover.boot_shift_s, at.mono_s + handover.shift_s)
    return dataclasses.replace(record, at=moved, body=body)


def _read(record: Record) -> Iterator[ClockShift]:
    try:
        yield ClockShift(
            life=record.segment,
            segments={str(name): int(first) for name, first in record.body["segments"].items()},
            server_lives={str(name): int(first) for name, first in record.body["server_lives"].items()},
            shift_s=float(record.body["shift_s"]),
            boot_shift_s=float(record.body["boot_shift_s"]),
            since_wall_s=float(record.body["since_wall_s"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return  # counted as unreadable where the run's own records are read

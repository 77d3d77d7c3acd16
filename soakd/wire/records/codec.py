"""Makes, reads and writes records: the only place that knows the layout of bodies."""

import json
from collections.abc import Mapping
from dataclasses import replace

from soakd.wire import values
from soakd.wire.bounds import LONGEST_NAME, bounded, is_reading
from soakd.wire.lines import Kind, Stamp, decode_line, encode_line
from soakd.wire.records.base import Record, Unreadable
from soakd.wire.records.incidents import FaultIncident, Incident
from soakd.wire.records.kinds import SERVER, Bye, FaultReport, Hello, Latency, Look, Sample, ServerStart, Snapshot
from soakd.wire.records.marks import MARKS, Phase

MOST_LATENCIES = 16
MOMENTS = ("mono_s", "reachable_forked_at_s", "from_mono_s", "until_mono_s", "origin_mono_s")
"""Keys of CLOCK_MONOTONIC times in the bodies of records."""
_CLASSES: Mapping[str, type[Record]] = {
    "hello": Hello, "phase": Phase, "sample": Sample, "latency": Latency, "snapshot": Snapshot, "attribution": Look,
    "incident": Incident, "bye": Bye, "server": ServerStart, "fault": FaultReport,
}  # fmt: skip
_FAULTS = ("fault_begin", "fault_end")
_BY_NUMBER = ("sample", "latency")
"""Kinds whose readings are checked one by one."""


def make_record(kind: Kind, *, engine: str, segment: int, at: Stamp, body: Mapping[str, object]) -> Record:
    """Return a record of its kind; `Unreadable` if it is invalid."""
    made = _class_of(kind, engine, body) if isinstance(body, dict) and _is_placed(segment, at) else Unreadable
    fields = made.read(body) if made is not Unreadable and (kind in _BY_NUMBER or _is_json(body)) else None
    if fields is None:
        return Unreadable(kind=kind, engine=engine, segment=segment, at=at, body=body)
    return made(kind=kind, engine=engine, segment=segment, at=at, body=body, **fields)


def encode(record: Record) -> bytes:
    """Write a record as one line of JSON, newline included.

    Raises:
        ValueError: the body holds NaN or an infinity, which JSON does not have.
    """
    return encode_line(record.kind, record.engine, record.segment, record.at, record.body)


def decode(line: bytes | str) -> Record:
    """Decode one line; data from an engine is cut to size.

    Raises:
        ValueError: it is not a record of this version; the message says why.
    """
    kind, engine, segment, at, body = decode_line(line)
    kept = body if kind == "latency" and _is_flat(body) else bounded(body)
    return make_record(kind, engine=engine, segment=segment, at=at, body=kept)


def with_body(record: Record, body: Mapping[str, object]) -> Record:
    """Return the same record with another body."""
    return make_record(record.kind, engine=record.engine, segment=record.segment, at=record.at, body=body)


def content(record: Record) -> dict[str, object]:
    """Return the content of a record as JSON types, for exports."""
    return dict(record.body)


def moved(record: Record, mono_s: float, boot_s: float = 0.0) -> Record:
    """Return a record with its clocks shifted by some seconds."""
    at, body = record.at, record.body
    stamp = Stamp(at.wall_s, at.boot_s + boot_s, at.mono_s + mono_s)
    if isinstance(record, Unreadable) or not any(name in body for name in MOMENTS):
        return replace(record, at=stamp)
    told = {n: v + mono_s if n in MOMENTS and values.is_number(v) else v for n, v in body.items()}
    return make_record(record.kind, engine=record.engine, segment=record.segment, at=stamp, body=told)


def in_order(record: Record) -> tuple[float, str, int, str, str]:
    """Sort records by time, and those of one time by kind, independent of their original order."""
    body = json.dumps(record.body, sort_keys=True, default=str)
    return record.at.mono_s, record.engine, record.segment, record.kind, body


def is_of_a_server(record: Record) -> bool:
    """Return whether the segment of an engine's record is a life of its server, not of its worker."""
    match record:
        case Incident():
            return record.is_of_a_server
        case Sample():
            return record.source == SERVER
    return record.kind == "server"


def _class_of(kind: Kind, engine: str, body: Mapping[str, object]) -> type[Record]:
    if kind == "phase" and not engine:
        return MARKS.get(values.text(body, "name"), Phase)
    if kind == "incident" and values.text(body, "what") in _FAULTS:
        return FaultIncident
    return _CLASSES.get(kind, Unreadable)


def _is_placed(segment: int, at: Stamp) -> bool:
    """Return whether a record has a place in time."""
    wall_s, boot_s, mono_s = at
    latest_s, is_number = values.LATEST_S, values.is_number
    is_moment = is_number(wall_s, latest_s) and is_number(boot_s, latest_s) and is_number(mono_s, latest_s)
    return type(segment) is int and is_number(segment) and is_moment and wall_s >= 0.0


def _is_json(body: Mapping[str, object]) -> bool:
    """Return whether a body has only numbers that JSON has."""
    try:
        json.dumps(body, allow_nan=False)
    except ValueError:
        return False
    return True


def _is_flat(body: Mapping[str, object]) -> bool:
    """Return whether a body is of latencies: few values, of which the packed ones are long and in ASCII."""
    return len(body) < MOST_LATENCIES and all(
        len(name) <= LONGEST_NAME
        and not isinstance(value, dict | list)
        and is_reading(value)
        and (not isinstance(value, str) or value.isascii())
        for name, value in body.items()
    )

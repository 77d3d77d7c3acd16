"""The records that workers send and the journal keeps: one JSON line each.

A line is `{"v": 1, "kind": ..., "engine": ..., "segment": ..., "at": [wall_s, boot_s, mono_s], "body": {...}}`. Both
stacks speak through this module, so that neither imports the other.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeGuard, get_args

from soakd.wire.bounds import LONGEST_LINE_BYTES, LONGEST_NAME, bounded, is_reading

VERSION = 1
MOST_LATENCIES = 16

Kind = Literal["hello", "phase", "sample", "latency", "snapshot", "attribution", "incident", "bye", "server", "fault"]
KINDS: frozenset[str] = frozenset(get_args(Kind))
PROBE_DIED = "probe_died"
"""A forked child of a probe or a deep look crashed; `probe` says whose, `detail` how."""
READINGS: frozenset[str] = frozenset({"sample", "latency", "snapshot", "attribution"})
"""Kinds of which more come: one that is lost leaves a gap, which is judged. All others tell what happened, once."""
INCIDENTS = frozenset({
    "start_failed", "restart", "crash", "exit", "hang", "gave_up", "garbled", "records_refused", "children_left",
    "child_returned", "child_lost", "thread_lost", "close_failed", "operation_error", "disagreement",
    "memory_reserve", "daemon_gap", "standstill", PROBE_DIED,
    "host_memory_pressure", "host_io_pressure", "host_steal", "host_busy", "host_oom", "fd_limit", "disk_full",
    "disk_budget", "sleep", "clock_step",
    "fault_begin", "fault_end", "proxy_lost",
    "server_start_failed", "server_crash", "server_hang", "server_restart", "server_recovered", "server_gave_up",
})  # fmt: skip
"""What soakd itself calls an incident, by what it is; engines may send others."""
NOT_FOR_ENGINES = INCIDENTS | {"sleep", "clock_step", "findings_failed"}


def are_packages(environments: Any) -> bool:
    """Tell whether what a record says are the packages of engines' environments."""
    return isinstance(environments, list) and all(
        isinstance(each, dict)
        and isinstance(each.get("engines"), list)
        and isinstance(each.get("packages"), dict)
        and all(isinstance(word, str) for word in (*each["engines"], *each["packages"].values()))
        for each in environments
    )


def is_reserved(what: str) -> bool:
    """Tell whether an incident of this name is soakd's to tell of, so that the verdict may believe it."""
    return what in NOT_FOR_ENGINES or what.startswith("server_")


class Stamp(NamedTuple):
    """One moment on three clocks, in seconds: wall, CLOCK_BOOTTIME (counts sleep), CLOCK_MONOTONIC (does not)."""

    wall_s: float
    boot_s: float
    mono_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One thing that happened, or was read, at one moment of one segment of one engine.

    `engine` is "" for what concerns the run or its host.
    """

    kind: Kind
    engine: str
    segment: int
    at: Stamp
    body: Mapping[str, Any]


def encode(record: Record) -> bytes:
    """Write a record as one line of JSON, newline included.

    Raises:
        ValueError: the body holds NaN or an infinity, which JSON does not have.
    """
    line = {
        "v": VERSION,
        "kind": record.kind,
        "engine": record.engine,
        "segment": record.segment,
        "at": [round(seconds, 6) for seconds in record.at],
        "body": record.body,
    }
    return json.dumps(line, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def sealed(line: bytes, key: str) -> bytes:
    """Put the key of a worker's pipe before a line: what else is written to the pipe does not have it."""
    return f"{key} ".encode() + line if key else line


def opened(line: bytes, key: str) -> bytes:
    """Take the key off a line.

    Raises:
        ValueError: it does not begin with the key.
    """
    mark = sealed(b"", key)
    if not line.startswith(mark):
        raise ValueError("not a line of the worker's")
    return line[len(mark) :]


def decode(line: bytes | str) -> Record:
    """Read one line; what an engine says in it is cut to size.

    Raises:
        ValueError: not a record of this version; the message says what is wrong with it.
    """
    if len(line) > LONGEST_LINE_BYTES:
        raise ValueError(f"not a record: {len(line)} bytes in one line")
    try:
        fields = json.loads(line, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("not a record: nested too deeply") from error
    if not isinstance(fields, dict) or fields.get("v") != VERSION:
        raise ValueError(f"not a record of version {VERSION}")
    kind, engine, segment = fields.get("kind"), fields.get("engine"), fields.get("segment")
    if kind not in KINDS or not isinstance(engine, str) or type(segment) is not int:
        raise ValueError(f"a record without a known kind, engine and segment: kind {kind!r}")
    body, clocks = fields.get("body"), fields.get("at")
    if not isinstance(body, dict) or not _is_stamp(clocks):
        raise ValueError(f"a {kind} record without a body or three clock readings")
    wall_s, boot_s, mono_s = clocks
    kept = body if kind == "latency" and _is_flat(body) else bounded(body)
    engine = engine.encode("utf-8", "backslashreplace").decode()
    return Record(kind=kind, engine=engine, segment=segment, at=Stamp(wall_s, boot_s, mono_s), body=kept)


def _is_flat(body: Mapping[str, Any]) -> bool:
    """Tell whether a body is a record of latencies: a few values, of which the packed ones are long and in ASCII."""
    return len(body) < MOST_LATENCIES and all(
        len(name) <= LONGEST_NAME
        and not isinstance(value, dict | list)
        and is_reading(value)
        and (not isinstance(value, str) or value.isascii())
        for name, value in body.items()
    )


def _is_stamp(clocks: object) -> TypeGuard[list[float]]:
    return (
        isinstance(clocks, list)
        and len(clocks) == 3
        and all(type(c) in (int, float) and math.isfinite(c) for c in clocks)
    )


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")

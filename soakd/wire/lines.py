"""The lines that workers send: one JSON object each, with the common part of a record. Bodies are read in `records`.

A line is `{"v": 1, "kind": ..., "engine": ..., "segment": ..., "at": [wall_s, boot_s, mono_s], "body": {...}}`.
"""

import json
import math
from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeGuard, get_args

from soakd.wire.bounds import LONGEST_LINE_BYTES

VERSION = 1

Kind = Literal["hello", "phase", "sample", "latency", "snapshot", "attribution", "incident", "bye", "server", "fault"]
KINDS: frozenset[str] = frozenset(get_args(Kind))
PROBE_DIED = "probe_died"
"""The incident that a forked child of a probe or a deep look crashed; `probe` is its name, `detail` the cause."""
READINGS: frozenset[str] = frozenset({"sample", "latency", "snapshot", "attribution"})
"""Kinds that repeat: a lost one leaves a gap, which is judged. All others are events, recorded once."""
INCIDENTS = frozenset({
    "start_failed", "restart", "crash", "exit", "hang", "gave_up", "garbled", "records_refused", "children_left",
    "child_returned", "child_lost", "thread_lost", "close_failed", "operation_error", "disagreement",
    "memory_reserve", "daemon_gap", "standstill", PROBE_DIED,
    "host_memory_pressure", "host_io_pressure", "host_steal", "host_busy", "host_oom", "fd_limit", "disk_full",
    "disk_budget", "shm_left", "sleep", "clock_step",
    "fault_begin", "fault_end", "proxy_lost",
    "server_start_failed", "server_crash", "server_hang", "server_restart", "server_recovered", "server_gave_up",
})  # fmt: skip
"""The names of soakd's own incidents; engines may send others."""
NOT_FOR_ENGINES = INCIDENTS | {"sleep", "clock_step", "findings_failed"}


def is_reserved(what: str) -> bool:
    """Return whether only soakd may send an incident of this name, so that the verdict can rely on it."""
    return what in NOT_FOR_ENGINES or what.startswith("server_")


class Stamp(NamedTuple):
    """One moment on three clocks, in seconds: wall, CLOCK_BOOTTIME (counts sleep), CLOCK_MONOTONIC (does not)."""

    wall_s: float
    boot_s: float
    mono_s: float


class Line(NamedTuple):
    """A decoded line; its body is not read yet."""

    kind: Kind
    engine: str
    segment: int
    at: Stamp
    body: dict[str, object]


def encode_line(kind: Kind, engine: str, segment: int, at: Stamp, body: Mapping[str, object]) -> bytes:
    """Write one line, newline included.

    Raises:
        ValueError: the body holds NaN or an infinity, which JSON does not have.
    """
    line = {
        "v": VERSION, "kind": kind, "engine": engine, "segment": segment,
        "at": [round(seconds, 6) for seconds in at], "body": body,
    }  # fmt: skip
    return json.dumps(line, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def decode_line(line: bytes | str) -> Line:
    """Read one line.

    Raises:
        ValueError: it is not a record of this version; the message says why.
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
    return Line(kind, engine.encode("utf-8", "backslashreplace").decode(), segment, Stamp(*clocks), body)


def sealed(line: bytes, key: str) -> bytes:
    """Prefix a line with the key of a worker's pipe, which foreign lines in the pipe do not have."""
    return f"{key} ".encode() + line if key else line


def opened(line: bytes, key: str) -> bytes:
    """Remove the key from a line.

    Raises:
        ValueError: it does not begin with the key.
    """
    mark = sealed(b"", key)
    if not line.startswith(mark):
        raise ValueError("not a line of the worker's")
    return line[len(mark) :]


def _is_stamp(clocks: object) -> TypeGuard[list[float]]:
    return (
        isinstance(clocks, list)
        and len(clocks) == 3
        and all(type(c) in (int, float) and math.isfinite(c) for c in clocks)
    )


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")

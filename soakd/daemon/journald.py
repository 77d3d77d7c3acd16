"""Writes to journald by its native protocol: one datagram an entry, with fields for `journalctl SOAKD_ENGINE=cache`.

Source: systemd, "Native Journal Protocol" (JOURNAL_NATIVE_PROTOCOL).
"""

import json
import os
import re
import socket
import struct
from collections.abc import Mapping
from typing import Any

SOCKET = "/run/systemd/journal/socket"
PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
LONGEST_VALUE = 4000
MOST_FIELDS = 40
COUNTED = (("incidents_total", "incidents"), ("verdict", "so far"))
_NOT_IN_A_NAME = re.compile(r"[^A-Z0-9_]")


def is_stderr(environ: Mapping[str, str] = os.environ, fd: int = 2) -> bool:
    """Return whether stderr goes to the journal: then entries can be sent there directly, with their fields."""
    try:
        found = os.fstat(fd)
    except OSError:
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


class Journald:
    """The writing side.

    Args:
        path: the socket that journald listens on.
    """

    def __init__(self, path: str = SOCKET) -> None:
        self._path = path

    def send(self, event: Mapping[str, Any]) -> bool:
        """Send an event; return False if that failed, and it must be written elsewhere.

        Args:
            event: `event` and `level`, and what else is known; every key becomes a field SOAKD_KEY.
        """
        entry = encode(event)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
                out.setblocking(False)
                return out.sendto(entry, self._path) == len(entry)
        except OSError:
            return False


def encode(event: Mapping[str, Any]) -> bytes:
    """Write an event as one entry."""
    lines = [
        _field("MESSAGE", message(event)),
        _field("PRIORITY", str(PRIORITIES.get(str(event.get("level")), 6))),
        _field("SYSLOG_IDENTIFIER", "soakd"),
    ]
    known = [(key, value) for key, value in event.items() if key not in ("level", "timestamp") and value is not None]
    for key, value in known[:MOST_FIELDS]:
        name = _NOT_IN_A_NAME.sub("_", key.upper())[:50]
        lines.append(_field(f"SOAKD_{name}", _text(value)))
    return b"".join(lines)


def message(event: Mapping[str, Any]) -> str:
    """Write an event for people: "incident: crash of cache: killed by SIGKILL"."""
    named = [str(event[key]) for key in ("what", "phase", "state", "reason") if event.get(key) is not None]
    words = str(event.get("event")) + (f": {', '.join(named)}" if named else "")
    if isinstance(elapsed_s := event.get("elapsed_s"), int):
        words += f", {elapsed_s // 3600}:{elapsed_s // 60 % 60:02}:{elapsed_s % 60:02}"
    words += "".join(f", {event[key]} {name}" for key, name in COUNTED if event.get(key))
    if event.get("engine"):
        words += f" ({event['engine']})"
    more = event.get("detail") or event.get("summary") or event.get("metrics") or event.get("exception")
    return f"{words}: {more}" if more else words


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _field(name: str, value: str) -> bytes:
    data = value.encode("utf-8", "backslashreplace")[:LONGEST_VALUE]
    if b"\n" not in data:
        return name.encode() + b"=" + data + b"\n"
    return name.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n"

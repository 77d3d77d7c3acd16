"""The worker's two pipes: records out, never blocking the load; control in, whose end is the worker's end."""

import json
import os
import select
import time
from typing import Any

from soakd.records import Kind, Record, Stamp, encode

MAX_PENDING_BYTES = 1 << 16


def now() -> Stamp:
    """Read the three clocks."""
    return Stamp(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME), time.monotonic())


class RecordPipe:
    """Writes records without ever waiting: what a full pipe does not take is dropped and counted."""

    def __init__(self, fd: int, engine: str, segment: int) -> None:
        os.set_blocking(fd, False)
        self.fd = fd
        self.dropped = 0
        self._engine = engine
        self._segment = segment
        self._pending = b""

    def send(self, kind: Kind, body: dict[str, Any]) -> None:
        """Send one record stamped with the present moment."""
        line = encode(Record(kind=kind, engine=self._engine, segment=self._segment, at=now(), body=body))
        self._flush()
        if self._pending and len(self._pending) + len(line) > MAX_PENDING_BYTES:
            self.dropped += 1
            return
        self._pending += line
        self._flush()

    def drain(self, timeout_s: float) -> None:
        """Wait for the reader to take what is pending; for the end of a life, when no load can be stalled."""
        until_s = time.monotonic() + timeout_s
        while self._pending and (left_s := until_s - time.monotonic()) > 0:
            select.select([], [self.fd], [], left_s)
            self._flush()

    def _flush(self) -> None:
        # A line longer than PIPE_BUF may go in pieces: the rest is kept and goes first next time.
        try:
            while self._pending:
                self._pending = self._pending[os.write(self.fd, self._pending) :]
        except BlockingIOError:
            return


class ControlClosed(Exception):
    """The daemon is gone."""


class ControlPipe:
    """Reads the daemon's orders: one JSON object a line."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._buffer = b""

    def poll(self) -> dict[str, Any] | None:
        """Return the next order, or None where there is none yet.

        Raises:
            ControlClosed: the daemon has closed its end, or died.
        """
        if b"\n" not in self._buffer and select.select([self.fd], [], [], 0)[0]:
            self._read()
        return self._take_line()

    def wait(self) -> dict[str, Any]:
        """Wait for the next order.

        Raises:
            ControlClosed: as for `poll`.
        """
        while (order := self._take_line()) is None:
            self._read()
        return order

    def _read(self) -> None:
        data = os.read(self.fd, 1 << 16)
        if not data:
            raise ControlClosed
        self._buffer += data

    def _take_line(self) -> dict[str, Any] | None:
        line, newline, rest = self._buffer.partition(b"\n")
        if not newline:
            return None
        self._buffer = rest
        order: dict[str, Any] = json.loads(line)
        return order

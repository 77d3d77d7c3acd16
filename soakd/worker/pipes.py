"""The worker's two pipes: records out, without blocking the load; control in, and when it closes, the worker exits.

They belong to this process alone: programs that it executes do not inherit them, a forked child closes them, and a
child that tries to write to one exits.
"""

import contextlib
import json
import os
import select
import time
from typing import Any

from soakd.wire.lines import READINGS, Kind, Stamp, encode_line, sealed
from soakd.worker.copies import Copies

MAX_PENDING_BYTES = 1 << 16
MAX_PENDING_EVENT_BYTES = 1 << 18
"""Events still have room when readings are dropped: further readings follow, an event does not repeat."""


def now() -> Stamp:
    """Read the three clocks."""
    return Stamp(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME), time.monotonic())


class RecordPipe:
    """Writes records without ever waiting: what does not fit into a full pipe is dropped and counted.

    Args:
        fd: the writing end of the pipe.
        engine, segment: stamped on each record.
        key: the prefix by which the daemon tells these records from what others write; "" for none.
    """

    def __init__(self, fd: int, engine: str, segment: int, key: str = "") -> None:
        _keep_for_itself(fd)
        os.set_blocking(fd, False)
        self.fd = fd
        self.copies = Copies()
        self.dropped = 0
        """Records dropped here."""
        self.events_dropped = 0
        """How many of them were events, not readings."""
        self._engine = engine
        self._segment = segment
        self._key = key
        self._pending = b""

    def send(self, kind: Kind, body: dict[str, Any]) -> None:
        """Send one record, stamped with the current time. A forked copy of the worker exits here."""
        self.copies.end_here()
        line = sealed(encode_line(kind, self._engine, self._segment, now(), body), self._key)
        self._flush()
        room = MAX_PENDING_BYTES if kind in READINGS else MAX_PENDING_EVENT_BYTES
        if self._pending and len(self._pending) + len(line) > room:
            self.dropped += 1
            self.events_dropped += kind not in READINGS
            return
        self._pending += line
        self._flush()

    def drain(self, timeout_s: float) -> None:
        """Wait for the reader to take what is pending; only at the end of a life, when there is no load to stall."""
        self.copies.end_here()
        until_s = time.monotonic() + timeout_s
        while self._pending and (left_s := until_s - time.monotonic()) > 0:
            select.select([], [self.fd], [], left_s)
            self._flush()

    def _flush(self) -> None:
        # A line longer than PIPE_BUF may be written in pieces: the rest is kept and goes first next time.
        try:
            while self._pending:
                self._pending = self._pending[os.write(self.fd, self._pending) :]
        except BlockingIOError:
            return


class ControlClosed(Exception):
    """Raised when the daemon has closed its end of the control pipe, or died."""


class ControlPipe:
    """Reads the daemon's orders: one JSON object a line."""

    def __init__(self, fd: int) -> None:
        _keep_for_itself(fd)
        self.fd = fd
        self._buffer = b""

    def poll(self) -> dict[str, Any] | None:
        """Return the next order, or None if there is none yet.

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


def _keep_for_itself(fd: int) -> None:
    """Keep programs that the engine executes from inheriting a pipe."""
    os.set_inheritable(fd, False)


def let_go(*pipes: ControlPipe | RecordPipe) -> None:
    """Close the pipes in a child that was just forked: they belong to its parent."""
    for pipe in pipes:
        with contextlib.suppress(OSError):
            os.close(pipe.fd)

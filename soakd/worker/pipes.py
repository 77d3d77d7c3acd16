"""The worker's two pipes: records out, never blocking the load; control in, whose end is the worker's end.

They belong to this one process: what it executes does not inherit them, a child that it forks lets go of them, and a
child that would write to one ends.
"""

import contextlib
import json
import os
import select
import time
from typing import Any

from soakd.wire.records import READINGS, Kind, Record, Stamp, encode, sealed
from soakd.worker.copies import Copies

MAX_PENDING_BYTES = 1 << 16
MAX_PENDING_EVENT_BYTES = 1 << 18
"""What happened has room where readings are dropped already: of them more come."""


def now() -> Stamp:
    """Read the three clocks."""
    return Stamp(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME), time.monotonic())


class RecordPipe:
    """Writes records without ever waiting: what a full pipe does not take is dropped and counted.

    Args:
        fd: the pipe's end.
        engine, segment: whose records they are.
        key: what each line begins with, so that the daemon knows it from what others write; nothing where "".
    """

    def __init__(self, fd: int, engine: str, segment: int, key: str = "") -> None:
        _keep_for_itself(fd)
        os.set_blocking(fd, False)
        self.fd = fd
        self.copies = Copies()
        self.dropped = 0
        """Records that were lost here."""
        self.events_dropped = 0
        """Those of them that were no readings."""
        self._engine = engine
        self._segment = segment
        self._key = key
        self._pending = b""

    def send(self, kind: Kind, body: dict[str, Any]) -> None:
        """Send one record stamped with the present moment. A copy of the worker ends here."""
        self.copies.end_here()
        record = Record(kind=kind, engine=self._engine, segment=self._segment, at=now(), body=body)
        line = sealed(encode(record), self._key)
        self._flush()
        room = MAX_PENDING_BYTES if kind in READINGS else MAX_PENDING_EVENT_BYTES
        if self._pending and len(self._pending) + len(line) > room:
            self.dropped += 1
            self.events_dropped += kind not in READINGS
            return
        self._pending += line
        self._flush()

    def drain(self, timeout_s: float) -> None:
        """Wait for the reader to take what is pending; for the end of a life, when no load can be stalled."""
        self.copies.end_here()
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
        _keep_for_itself(fd)
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


def _keep_for_itself(fd: int) -> None:
    """Let no program that the engine executes inherit a pipe."""
    os.set_inheritable(fd, False)


def let_go(*pipes: ControlPipe | RecordPipe) -> None:
    """Close the pipes in a child that was just forked: they are its parent's alone."""
    for pipe in pipes:
        with contextlib.suppress(OSError):
            os.close(pipe.fd)

"""Keeps the last lines of what a process prints."""

import asyncio
import contextlib
import os
from collections import deque

from soakd.wire.masking import MARGIN, cut, is_in_key

LINES, LINE_BYTES = 20, 500
READ_LINES = 200
"""Of one reading: a private key has a hundred lines, and is recognised by its first."""
READ_BYTES = 1 << 16
END_WITHIN_S = 0.5


class Output:
    """The output of a process; the last lines are kept."""

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=LINES)
        self._fd = -1
        self._rest = b""
        self._in_key = False
        self._ended = asyncio.Event()

    @property
    def last_line(self) -> str:
        """The last line that is not empty; "" where there is none."""
        return next((line.strip() for line in reversed(self.lines) if line.strip()), "")

    def open(self) -> int:
        """Make the pipe and read from it; return the end for the process, which the caller closes."""
        self._fd, end = os.pipe()
        os.set_blocking(self._fd, False)
        asyncio.get_running_loop().add_reader(self._fd, self._read)
        return end

    async def ended(self) -> None:
        """Wait until all of it is read, then close; only a moment, for another process may hold the pipe open."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), END_WITHIN_S)
        self.close()

    def close(self) -> None:
        """Close the pipe."""
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
            if self._rest:
                self._keep([self._rest])
            self._ended.set()

    def _read(self) -> None:
        try:
            data = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return
        *lines, rest = (self._rest + data).split(b"\n")
        # of a progress line, drawn again and again, the last state; of any other line the begin
        self._rest = (rest.rpartition(b"\r")[2] or rest)[: LINE_BYTES + MARGIN]
        self._keep(lines[-READ_LINES:])
        if not data:
            self.close()

    def _keep(self, lines: list[bytes]) -> None:
        """Keep lines; of a private key, which has many, the first and the last."""
        kept = []
        for line in lines:
            was_in_key = self._in_key
            self._in_key = is_in_key(line[: LINE_BYTES + MARGIN].decode("utf-8", "replace"), before=was_in_key)
            if not (was_in_key and self._in_key):
                kept.append(line)
        self.lines.extend(printable(line) for line in kept[-LINES:])


def printable(line: bytes) -> str:
    """Return a line of output, cut, without secrets and control characters."""
    text = cut(line[: LINE_BYTES + MARGIN].decode("utf-8", "replace"), LINE_BYTES)
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text.rstrip())

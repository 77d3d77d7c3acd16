"""What a process prints: its last lines are kept."""

import asyncio
import contextlib
import os
from collections import deque

from soakd.wire.masking import MARGIN, cut, is_in_key

LINES, LINE_BYTES = 20, 500
READ_LINES = 200
"""Of what came at once: a private key has a hundred lines, and must be known by its first."""
READ_BYTES = 1 << 16
END_WITHIN_S = 0.5


class Output:
    """What a process prints, whatever it prints; the last lines are kept."""

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
        """Make the pipe and listen. Returns the end that the process shall have; whoever starts it closes that."""
        self._fd, end = os.pipe()
        os.set_blocking(self._fd, False)
        asyncio.get_running_loop().add_reader(self._fd, self._read)
        return end

    async def ended(self) -> None:
        """Wait until all of it is read, and let go; a moment only, for somebody else may hold the pipe open."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), END_WITHIN_S)
        self.close()

    def close(self) -> None:
        """Let go of the pipe."""
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
        # of a line that is drawn again and again the last state; of another one its begin, which says what it is about
        self._rest = (rest.rpartition(b"\r")[2] or rest)[: LINE_BYTES + MARGIN]
        self._keep(lines[-READ_LINES:])
        if not data:
            self.close()

    def _keep(self, lines: list[bytes]) -> None:
        """Keep lines; of a private key, which lasts for many of them, the first and the last one."""
        kept = []
        for line in lines:
            was_in_key = self._in_key
            self._in_key = is_in_key(line[: LINE_BYTES + MARGIN].decode("utf-8", "replace"), before=was_in_key)
            if not (was_in_key and self._in_key):
                kept.append(line)
        self.lines.extend(printable(line) for line in kept[-LINES:])


def printable(line: bytes) -> str:
    """Return a line of what a process has printed, cut, without secrets and control characters."""
    text = cut(line[: LINE_BYTES + MARGIN].decode("utf-8", "replace"), LINE_BYTES)
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text.rstrip())

"""One server process, as the daemon holds it: its last words, its end. It dies with the daemon, however that dies.

A server leads a session of its own, so that Ctrl-C reaches only the daemon, and what it has started ends with it.
"""

import asyncio
import contextlib
import json
import os
import signal
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import psutil

from soakd import guardian
from soakd.workers import STDERR_LINE_BYTES, STDERR_LINES, printable

READ_BYTES = 1 << 16
STOP_WITHIN_S = 5.0


class ServerProcess:
    """A running server."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        """Start `command` in `folder`.

        Raises:
            OSError: it cannot be started.
        """
        self.tail: deque[str] = deque(maxlen=STDERR_LINES)
        """The last lines of what it has printed."""
        self._rest = b""
        self._output_fd, output_end = os.pipe()
        try:
            self._process = guardian.spawn(command, output=output_end, folder=folder)
        except OSError:
            os.close(self._output_fd)
            raise
        finally:
            os.close(output_end)
        self.pid = self._process.pid
        self.has_exited = self._process.has_exited
        self.outside = psutil.Process(self.pid)
        loop = asyncio.get_running_loop()
        os.set_blocking(self._output_fd, False)
        loop.add_reader(self._output_fd, self._read_output)

    @property
    def last_words(self) -> str:
        """The last line that is not empty of what it has printed, ": " before it; "" where there is none."""
        lines = [line for line in self.tail if line.strip()]
        return f": {_message(lines[-1].strip())}" if lines else ""

    async def ended(self) -> int:
        """Wait for its end; kill what it leaves behind. Returns its exit status."""
        await self.has_exited.wait()
        await asyncio.sleep(0)  # what it wrote last is in the pipe
        self._read_output()
        return await self._reap()

    async def stop(self) -> int:
        """Ask it to end, and kill it where it does not. Returns its exit status."""
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                return await self.ended()
        except TimeoutError:
            self.signal(signal.SIGKILL)
            return await self.ended()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, where it still is one."""
        self._process.signal(number)

    def abandon(self) -> None:
        """Kill it with all that it has started, and do not wait: the daemon ends now."""
        self._process.kill_all()

    async def _reap(self) -> int:
        status = await self._process.gone()
        if self._output_fd >= 0:
            asyncio.get_running_loop().remove_reader(self._output_fd)
            os.close(self._output_fd)
            self._output_fd = -1
        if self._rest:
            self.tail.append(printable(self._rest))
            self._rest = b""
        return status

    def _read_output(self) -> None:
        """Keep the last lines of what it prints."""
        if self._output_fd < 0:
            return
        try:
            data = os.read(self._output_fd, READ_BYTES)
        except BlockingIOError:
            return
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[-STDERR_LINE_BYTES:]
        self.tail.extend(printable(line) for line in lines[-STDERR_LINES:])
        if not data:
            asyncio.get_running_loop().remove_reader(self._output_fd)


def _message(line: str) -> str:
    """Return the message of a line of a JSON log; another line as it is."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return str(json.loads(line)["msg"])
    return line

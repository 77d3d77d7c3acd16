"""One server process as the daemon holds it: its output, its end. It ends with the daemon, even at `kill -9`.

A server leads a session of its own, so that Ctrl-C reaches only the daemon, and what it has started ends with it.
"""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import psutil

from soakd.procs import guardian
from soakd.procs.output import Output

STOP_WITHIN_S = 5.0


class ServerProcess:
    """A running server."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        """Start `command` in `folder`.

        Raises:
            OSError: it cannot be started.
        """
        self.output = Output()
        output_end = self.output.open()
        try:
            self._process = guardian.spawn(command, output=output_end, folder=folder)
        except OSError:
            self.output.close()
            raise
        finally:
            os.close(output_end)
        self.pid = self._process.pid
        self.has_exited = self._process.has_exited
        self.outside = psutil.Process(self.pid)

    @property
    def last_words(self) -> str:
        """A colon and the last line that it has printed, empty ones left out; "" where there is none."""
        return f": {_message(line)}" if (line := self.output.last_line) else ""

    async def ended(self) -> int:
        """Wait for its end, and kill what outlives it; return its exit status."""
        await self.has_exited.wait()
        await self.output.ended()
        return await self._process.gone()

    async def stop(self) -> int:
        """Ask it to end, and kill it if it does not; return its exit status."""
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                return await self.ended()
        except TimeoutError:
            self.signal(signal.SIGKILL)
            return await self.ended()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it still exists."""
        self._process.signal(number)

    def abandon(self) -> None:
        """Kill it with all that it has started, without waiting: the daemon ends now."""
        self._process.kill_all()


def _message(line: str) -> str:
    """Return the message of a line of a JSON log; any other line as it is."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return str(json.loads(line)["msg"])
    return line

"""Starts processes that neither outlive the daemon nor leave anything behind: through a guardian process.

The guardian (`keeper`) takes 10 MB, and half a megabyte for each process that it keeps; it starts with the first one
and ends with the daemon. Why it is a process and not a flag: docs/adr/0004.
"""

import asyncio
import atexit
import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).with_name("keeper.py")
START_WITHIN_S = 10.0
GONE_WITHIN_S = 15.0
FIRST_INHERITED_FD = 3
"""The first of the file descriptors that a process inherits; the others follow it."""
LONGEST_MESSAGE_BYTES = 1 << 16
KILLED = -int(signal.SIGKILL)


class KeptProcess:
    """A process below the guardian, in a session of its own. `release` ends it with all that it has started."""

    def __init__(self, pid: int, life: socket.socket) -> None:
        self.pid = pid
        self.has_exited = asyncio.Event()
        self.returncode: int | None = None
        """Exit status, or minus the signal; None until `release`, before which no other process gets its pid."""
        self.left: tuple[str, ...] = ()
        """The names of the processes that outlived it, and were killed."""
        self._status = KILLED
        self._gone = asyncio.Event()
        self._life = life
        life.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(life.fileno(), self._read_report)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it still exists."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill_all(self) -> None:
        """Kill the process and everything that it started."""
        self.signal(signal.SIGKILL)
        with contextlib.suppress(OSError):
            self._life.send(b"kill")

    def release(self) -> int:
        """Release the process, and kill what is left of it; return how it ended: killed, if it had not."""
        if self.returncode is None:
            self.returncode = self._status
            with contextlib.suppress(OSError):
                self._life.shutdown(socket.SHUT_WR)
        return self.returncode

    async def gone(self) -> int:
        """Release the process, and wait until nothing of it is left; return what `release` does."""
        status = self.release()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._gone.wait(), GONE_WITHIN_S)
        self._forget()
        return status

    def _read_report(self) -> None:
        """Read the report of its end; a socket that closes without one shows that keeper and process were killed."""
        try:
            message = self._life.recv(LONGEST_MESSAGE_BYTES)
        except BlockingIOError:
            return
        except ConnectionError:
            message = b""
        if message:
            report = json.loads(message)
            self._status, self.left = int(report["status"]), tuple(report["left"])
        else:
            self.release()
            self._forget()
        self.has_exited.set()

    def _forget(self) -> None:
        self._gone.set()
        if self._life.fileno() >= 0:
            if not self._loop.is_closed():
                self._loop.remove_reader(self._life.fileno())
            self._life.close()


class Guardian:
    """The guardian process as the daemon holds it."""

    def __init__(self) -> None:
        """Start it.

        Raises:
            OSError: it cannot be started.
        """
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(PROGRAM), str(theirs.fileno())],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )  # fmt: skip
        self.pid = self._process.pid

    @property
    def lives(self) -> bool:
        """Whether it can still start processes."""
        return self._process.poll() is None

    def start(self, spec: Mapping[str, Any], output: int, inherited: Sequence[int]) -> KeptProcess:
        """Start a process; see `spawn`."""
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs, os.fdopen(os.memfd_create("spec"), "wb") as file:
                file.write(json.dumps(spec).encode())
                file.flush()
                socket.send_fds(self._requests, [b"+"], [file.fileno(), theirs.fileno(), output, *inherited])
            mine.settimeout(START_WITHIN_S)
            return KeptProcess(_pid(mine.recv(LONGEST_MESSAGE_BYTES), spec["command"][0]), mine)
        except BaseException:
            mine.close()
            raise

    def close(self) -> None:
        """End everything below it."""
        self._requests.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(START_WITHIN_S)


def _pid(answer: bytes, program: str) -> int:
    """Read the answer to a request, or raise its error."""
    fields = json.loads(answer or b"{}")
    if "pid" in fields:
        return int(fields["pid"])
    number = fields.get("error", errno.ECHILD)
    raise OSError(number, os.strerror(number), program)


_guardian: Guardian | None = None
"""Of this process; made at the first start."""


def spawn(
    command: Sequence[str], *, output: int, inherited: Sequence[int] = (), folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> KeptProcess:  # fmt: skip
    """Start a process below the guardian; inside an event loop. Milliseconds, in which the loop waits.

    Args:
        command: program and arguments.
        output: where its stdout and stderr go; its stdin is empty.
        inherited: file descriptors that it gets as 3, 4 and so on.
        folder: its working folder; the daemon's if None.
        environment: its own; the daemon's if None.

    Raises:
        OSError: it cannot be started.
    """
    global _guardian
    if _guardian is None or not _guardian.lives:
        _guardian = Guardian()
        atexit.register(_guardian.close)
    spec = {
        "command": list(command), "folder": str(folder or Path.cwd()),
        "environment": dict(os.environ if environment is None else environment),
    }  # fmt: skip
    return _guardian.start(spec, output, inherited)

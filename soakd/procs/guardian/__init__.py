"""Starts processes that cannot outlive the daemon, nor leave anything behind: through a guardian of its own.

The guardian (`keeper`, a process of 10 MB, of which each process that it keeps adds half a megabyte) is started with
the first process and ends with the daemon. docs/adr/ says why it is a process and not a flag.
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
    """A process below the guardian, in a session of its own. It ends, with all it has started, when this is let go."""

    def __init__(self, pid: int, life: socket.socket) -> None:
        self.pid = pid
        self.has_exited = asyncio.Event()
        self.returncode: int | None = None
        """Exit status, or minus the signal; None until `release`: so long its number is nobody else's."""
        self.left: tuple[str, ...] = ()
        """The names of the processes that it left behind at its end; they have been killed."""
        self._status = KILLED
        self._gone = asyncio.Event()
        self._life = life
        life.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(life.fileno(), self._hear)

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal, where it still is one."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill_all(self) -> None:
        """Kill the process and everything that it has started."""
        self.signal(signal.SIGKILL)
        with contextlib.suppress(OSError):
            self._life.send(b"kill")

    def release(self) -> int:
        """Let go of it: whatever is left of it is killed. Returns how it ended; where it had not, as killed."""
        if self.returncode is None:
            self.returncode = self._status
            with contextlib.suppress(OSError):
                self._life.shutdown(socket.SHUT_WR)
        return self.returncode

    async def gone(self) -> int:
        """Let go of it, and wait until nothing is left. Returns what `release` does."""
        status = self.release()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._gone.wait(), GONE_WITHIN_S)
        self._forget()
        return status

    def _hear(self) -> None:
        """Take the report of its end; a socket that closes without one says that its keeper was killed, and it too."""
        try:
            said = self._life.recv(LONGEST_MESSAGE_BYTES)
        except BlockingIOError:
            return
        except ConnectionError:
            said = b""
        if said:
            report = json.loads(said)
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
    """The guardian process, as the daemon holds it."""

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
        """Whether it can still start something."""
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
        """Let everything below it end."""
        self._requests.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(START_WITHIN_S)


def _pid(answer: bytes, program: str) -> int:
    """Read the answer to a request, or raise what it says."""
    said = json.loads(answer or b"{}")
    if "pid" in said:
        return int(said["pid"])
    number = said.get("error", errno.ECHILD)
    raise OSError(number, os.strerror(number), program)


_guardian: Guardian | None = None
"""The process has one, made when something is started."""


def spawn(
    command: Sequence[str], *, output: int, inherited: Sequence[int] = (), folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> KeptProcess:  # fmt: skip
    """Start a process below the guardian; inside an event loop. Milliseconds, in which the loop waits.

    Args:
        command: program and arguments.
        output: where its stdout and stderr go; its stdin is empty.
        inherited: file descriptors that it has as 3, 4 and so on.
        folder: where it works; where the daemon does if None.
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

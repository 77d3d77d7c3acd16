"""Runs one job in a forked child, which sees the whole heap and cannot harm the process that it was copied from.

The parent disables its collector and blocks signals during the fork, so that the child runs neither a finalizer nor a
handler before `confine.settle`. The child takes no lock and imports only what `prepare` needs; if that waits for an
import that another thread of the parent had under way, the child is killed at its timeout: a missing reading, never a
wrong one. In every case it ends in os._exit.
"""

import fcntl
import functools
import gc
import json
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn

from soakd.errors import ProbeError
from soakd.worker.probes import confine

Job = Callable[[], Mapping[str, Any]]
NICENESS = 10
MOST_RESULT_BYTES = 4_000_000
_CHUNK_BYTES = 65_536
_KILL_WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a child: values, or the reason why there are none, and its lifetime in `duration_s` seconds.

    `confined` is "seccomp", "os" (the weaker method, see `confine`), or None if the child did not report it.
    """

    values: dict[str, Any] | None
    failure: str | None
    duration_s: float
    confined: str | None = None
    died: bool = False
    """Whether it crashed: it exited without a result, because an object that it walked is broken."""


class ForkedChild:
    """A forked child, running or finished.

    Its exit status is not needed: an engine's SIGCHLD handler or child watcher may reap the child first.
    """

    def __init__(self, pid: int, pipe: int, fork_s: float, timeout_s: float) -> None:
        self.pid = pid
        self.fork_s = fork_s
        """Wall-clock seconds that the fork took in the parent."""
        self._pipe = pipe
        self._timeout_s = timeout_s
        self._begun_s = time.monotonic()
        self._received = bytearray()
        self._killed_for: str | None = None
        self._status: int | None = None
        self._result: Result | None = None

    @classmethod
    def start(
        cls, job: Job, *, prepare: Callable[[], None] | None = None, timeout_s: float = 30.0, niceness: int = NICENESS
    ) -> "ForkedChild":  # fmt: skip
        """Fork, and return at once.

        Call it from a thread that outlives the child, preferably the main one: the child dies with that thread
        (prctl(2), PR_SET_PDEATHSIG).

        Args:
            job: runs confined in the child; returns values that JSON can represent.
            prepare: runs in the child before it is confined, for imports that the job needs.
            timeout_s: the time after which `poll` kills the child.
            niceness: of the child, relative to its parent.

        Raises:
            ProbeError: no process, memory or file descriptor is available.
        """
        _silence_fork_warning()
        try:
            pipe, write_end = _pipe()
        except OSError as error:
            raise ProbeError(f"no pipe for a forked child: {error}") from error
        try:
            os.set_blocking(pipe, False)
            return cls._fork(
                functools.partial(_be_the_child, job, prepare, timeout_s, niceness), timeout_s, pipe, write_end
            )
        except OSError as error:
            os.close(pipe)
            raise ProbeError(f"cannot fork: {error}") from error
        finally:
            os.close(write_end)

    @classmethod
    def _fork(
        cls, be_the_child: Callable[[int, int], NoReturn], timeout_s: float, pipe: int, write_end: int
    ) -> "ForkedChild":
        parent_pid, collects = os.getpid(), gc.isenabled()
        gc.disable()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        child: ForkedChild | None = None
        try:
            begun_ns = time.thread_time_ns()  # the time that a busy host takes in between is not a cost of forking
            pid = os.fork()
            if pid == 0:
                try:
                    be_the_child(write_end, parent_pid)
                finally:
                    os._exit(1)  # even if its first line failed: there must be only one worker
            child = cls(pid, pipe, (time.thread_time_ns() - begun_ns) / 1e9, timeout_s)
        finally:
            if collects:
                gc.enable()
            try:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            except BaseException:  # an engine's signal handler may raise here, as soon as signals are unblocked
                if child is not None:
                    child.kill()
                raise
        return child

    def poll(self) -> Result | None:
        """Read what has arrived; return the result once the child has exited, None before. Never waits."""
        if self._result is None:
            self._drain()
            if self._reaped():
                self._drain()
                self._result = self._conclude()
            elif time.monotonic() - self._begun_s > self._timeout_s:
                self._send_kill(f"killed after {self._timeout_s:g} s")
        return self._result

    def give_up(self, why: str) -> None:
        """Kill the child without waiting for it; `poll` then returns `why` as its failure."""
        self._send_kill(why)

    def kill(self) -> None:
        """End the child and wait until it is gone, at most five seconds."""
        self._send_kill("killed on request")
        give_up_s = time.monotonic() + _KILL_WAIT_S
        while self.poll() is None and time.monotonic() < give_up_s:
            time.sleep(0.001)

    def _drain(self) -> None:
        with suppress(BlockingIOError):
            while chunk := os.read(self._pipe, _CHUNK_BYTES):
                self._received += chunk
                if len(self._received) > MOST_RESULT_BYTES:
                    self._received.clear()
                    self._send_kill(f"a result of more than {MOST_RESULT_BYTES} bytes")

    def _reaped(self) -> bool:
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            return True  # by other code in this process
        if pid:
            self._status = status
        return pid != 0

    def _send_kill(self, reason: str) -> None:
        """Kill the child unless it has been reaped: its pid may belong to another process by now."""
        if self._result is None and not self._reaped_after(reason):
            os.kill(self.pid, signal.SIGKILL)

    def _reaped_after(self, reason: str) -> bool:
        self._killed_for = self._killed_for or reason
        return self._status is not None or self._reaped()

    def _conclude(self) -> Result:
        os.close(self._pipe)
        lived_s = time.monotonic() - self._begun_s
        text, self._received = bytes(self._received), bytearray()
        with suppress(ValueError):  # cut short
            message = json.loads(text)
            return Result(message["values"], message["failure"], message["duration_s"], message["confined"])
        return Result(None, self._killed_for or _describe(self._status), lived_s, died=self._killed_for is None)


def _pipe() -> tuple[int, int]:
    """Make a pipe whose write end is not one of the standard file descriptors."""
    read_end, write_end = os.pipe()
    if write_end > 2:
        return read_end, write_end
    try:
        return read_end, fcntl.fcntl(write_end, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(write_end)


def _be_the_child(
    job: Job, prepare: Callable[[], None] | None, timeout_s: float, niceness: int, pipe: int, parent_pid: int
) -> NoReturn:
    try:
        gc.disable()
        confine.settle(pipe, parent_pid, timeout_s, niceness)
        rest = memoryview(_do(job, prepare, pipe))
        while rest:
            rest = rest[os.write(pipe, rest) :]
    finally:
        os._exit(0)


def _do(job: Job, prepare: Callable[[], None] | None, pipe: int) -> bytes:
    begun_ns = time.perf_counter_ns()
    message: dict[str, Any] = {"failure": None, "confined": None}
    try:
        if prepare is not None:
            prepare()
        message["confined"] = confine.shut_the_doors(pipe)
        values = json.dumps(dict(job()), allow_nan=False)
    except BaseException as error:  # noqa: BLE001 - the child may only send its message
        message["failure"], values = f"{type(error).__name__}: {error}"[:500], "null"
    message["duration_s"] = (time.perf_counter_ns() - begun_ns) / 1e9
    return f'{json.dumps(message)[:-1]}, "values": {values}}}'.encode()


def _describe(status: int | None) -> str:
    if status is None:
        return "gone without a result"
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"ended with status {code} without a result"
    known = {each.value: each.name for each in signal.Signals}
    return f"died of {known.get(-code, f'signal {-code}')}"


@functools.cache
def _silence_fork_warning() -> None:
    """Silence the warning of Python 3.12 and later about fork with threads; this module is written for that case.

    Done once, for this module only: `catch_warnings` at every fork would reset which warnings the engine has shown.
    """
    if sys.version_info >= (3, 12):
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"soakd\.probes\.fork\Z")

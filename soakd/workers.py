"""One worker process, as the daemon holds it: its pipes, its last words, its end."""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import psutil

from soakd.errors import ProbeError
from soakd.model import WorkerSpec
from soakd.records import Record, decode

PIPE_BYTES = 1 << 20
READ_BYTES = 1 << 16
STDERR_LINES = 20
STDERR_LINE_BYTES = 500
LONGEST_RECORD_BYTES = 1 << 22


class Worker:
    """A child that runs one life of one engine.

    Its records go to `on_record`; what it writes to stdout and stderr is kept as a short tail.
    """

    def __init__(self, spec: WorkerSpec, on_record: Callable[[Record], None]) -> None:
        self.spec = spec
        self.stderr_tail: deque[str] = deque(maxlen=STDERR_LINES)
        self.hello: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self.start_failure: str | None = None
        self.said_bye = False
        self.garbled = 0
        self.killed_for: str | None = None
        """Why the daemon killed it, where it did."""
        self._on_record = on_record
        self._buffer = b""
        self._records_fd = -1
        self._control_fd = -1

    async def start(self, *, python: str | None, environment: Mapping[str, str]) -> None:
        """Start the process and tell it what to do.

        Raises:
            OSError: it cannot be started.
        """
        self._records_fd, records_end = os.pipe()
        control_end, self._control_fd = os.pipe()
        with contextlib.suppress(OSError):  # more than an unprivileged user may have: the default will do
            fcntl.fcntl(self._records_fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        try:
            self.process = await asyncio.create_subprocess_exec(
                python or sys.executable, "-m", "soakd.worker", str(control_end), str(records_end),
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
                pass_fds=(control_end, records_end), start_new_session=True, env=dict(environment),
            )  # fmt: skip
        finally:
            os.close(records_end)
            os.close(control_end)
        self.outside = psutil.Process(self.process.pid)
        os.set_blocking(self._records_fd, False)
        asyncio.get_running_loop().add_reader(self._records_fd, self._read_records)
        self._stderr_reader = asyncio.create_task(self._read_stderr())
        self.order({"spec": self.spec.to_json()})

    def order(self, order: Mapping[str, Any]) -> None:
        """Send one order; a worker that is gone cannot be told anything, and needs not be."""
        with contextlib.suppress(BrokenPipeError, BlockingIOError):
            os.write(self._control_fd, json.dumps(order).encode() + b"\n")

    async def ended(self) -> int:
        """Wait for the end of the process; everything it sent has been read then. Returns its exit status."""
        status = await self.process.wait()
        with contextlib.suppress(asyncio.TimeoutError):  # a grandchild may hold the pipe open
            await asyncio.wait_for(asyncio.shield(self._stderr_reader), 0.5)
        self._read_records()
        return status

    def kill(self, why: str) -> None:
        """Kill it, where it still lives, and remember why."""
        if self.process.returncode is None:
            self.killed_for = self.killed_for or why
            self.signal(signal.SIGKILL)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, where it still is one."""
        with contextlib.suppress(ProcessLookupError, psutil.Error, ProbeError):
            self.process.send_signal(number)

    def close(self) -> None:
        """Let go of the pipes: the worker ends by itself then."""
        if self._records_fd >= 0:
            asyncio.get_running_loop().remove_reader(self._records_fd)
            os.close(self._records_fd)
            os.close(self._control_fd)
            self._records_fd = self._control_fd = -1

    def _read_records(self) -> None:
        """Take whole lines out of the pipe; a wakeful reader takes at most a pipe's worth at once."""
        if self._records_fd < 0:
            return
        try:
            for _ in range(PIPE_BYTES // READ_BYTES):
                data = os.read(self._records_fd, READ_BYTES)
                if not data:
                    asyncio.get_running_loop().remove_reader(self._records_fd)
                    break
                self._buffer += data
        except BlockingIOError:
            pass
        *lines, self._buffer = self._buffer.split(b"\n")
        if len(self._buffer) > LONGEST_RECORD_BYTES:
            self._buffer = b""
            self.garbled += 1
        for line in lines:
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            record = decode(line)
        except ValueError:
            self.garbled += 1
            return
        if record.kind == "hello" and not self.hello.done():
            self.hello.set_result(record.body)
        elif record.kind == "bye":
            self.said_bye = True
        elif record.kind == "incident" and record.body.get("what") == "start_failed":
            self.start_failure = str(record.body.get("detail"))
        self._on_record(record)

    async def _read_stderr(self) -> None:
        """Keep the last lines of what the engine prints, whatever it prints."""
        assert self.process.stdout is not None
        rest = b""
        while data := await self.process.stdout.read(READ_BYTES):
            *lines, rest = (rest + data).split(b"\n")
            rest = rest[-STDERR_LINE_BYTES:]
            self.stderr_tail.extend(_printable(line) for line in lines[-STDERR_LINES:])
        if rest:
            self.stderr_tail.append(_printable(rest))


def _printable(line: bytes) -> str:
    text = line[:STDERR_LINE_BYTES].decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text.rstrip())

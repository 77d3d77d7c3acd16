"""One worker process as the daemon holds it: its pipes, its output, its end.

A worker is kept by the guardian: what an engine has started beside it, even in a session of its own, ends with it, and
with the daemon.
"""

import asyncio
import contextlib
import fcntl
import json
import math
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil

from soakd.daemon.workers.holdings import Holdings
from soakd.daemon.workers.intake import Intake
from soakd.daemon.workers.restarts import Harm
from soakd.daemon.workers.threads_and_children import Family
from soakd.procs import guardian
from soakd.procs.exits import KernelKills
from soakd.procs.output import Output
from soakd.wire.records import Bye, Hello, Incident, Record
from soakd.wire.spec import WorkerSpec

PIPE_BYTES = 1 << 20
READ_BYTES = 1 << 16
OLD_SHARE = 0.1
"""Of the load phase: a thread or child that was there for so long is missed when it goes."""


class Worker:
    """A child that runs one life of one engine.

    Its records go to `on_record`; what it writes to stdout and stderr is kept as a short tail.
    """

    def __init__(self, spec: WorkerSpec, on_record: Callable[[Record], None]) -> None:
        self.spec = spec
        self.output = Output()
        self.hello: asyncio.Future[Hello] = asyncio.get_running_loop().create_future()
        self.start_failure: str | None = None
        self.bye: Bye | None = None
        """Its last record; None before it."""
        self.intake = Intake(spec.engine, spec.segment, self._take)
        self.killed_for: str | None = None
        """Why the daemon has killed it; None where it has not."""
        self.harm: Harm | None = None
        """The fault on purpose that it suffers, which causes what happens to it meanwhile; None without one."""
        self.children_left: list[str] = []
        """The names of the processes that outlived it, and were killed."""
        self._on_record = on_record
        self._records_fd = -1
        self._control_fd = -1

    def start(self, *, python: str | None, environment: Mapping[str, str], scratch: Path | None = None) -> None:
        """Start the process and send it its spec; `scratch` is its temporary folder, if it has one of its own.

        Raises:
            OSError: it cannot be started.
        """
        self._records_fd, records_end = os.pipe()
        control_end, self._control_fd = os.pipe()
        output_end = self.output.open()
        with contextlib.suppress(OSError):  # more than an unprivileged user may have: the default will do
            fcntl.fcntl(self._records_fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        try:
            inherited = str(guardian.FIRST_INHERITED_FD), str(guardian.FIRST_INHERITED_FD + 1)
            self.process = guardian.spawn(
                # -P: no module is imported from the folder that soakd was started in
                [python or sys.executable, "-P", "-m", "soakd.worker", *inherited],
                output=output_end, inherited=(control_end, records_end), environment=environment,
            )  # fmt: skip
        except OSError:
            self.output.close()
            self.close()
            raise
        finally:
            for end in (records_end, control_end, output_end):
                os.close(end)
        self.outside = psutil.Process(self.process.pid)
        self.family = Family(self.process.pid, OLD_SHARE * _load_s(self.spec))
        self.holdings = Holdings(scratch, _load_s(self.spec))
        self.kills = KernelKills(self.process.pid)
        self.intake.pid = self.process.pid
        self._begin_reading()
        self.send_order({"spec": self.spec.to_json(), "key": self.intake.key})

    @property
    def has_exited(self) -> asyncio.Event:
        """Set when the process has ended."""
        return self.process.has_exited

    def send_order(self, order: Mapping[str, Any]) -> None:
        """Send one order; do nothing where the worker is gone."""
        with contextlib.suppress(BrokenPipeError, BlockingIOError):
            os.write(self._control_fd, json.dumps(order).encode() + b"\n")

    async def ended(self) -> int:
        """Wait for the end of the process, and read everything it sent; return its exit status.

        What outlives it is killed, and named in `children_left`.
        """
        await self.process.has_exited.wait()
        await self.output.ended()
        self._read_records()
        self.intake.end()
        self.children_left = list(self.process.left)
        return await self.process.gone()

    def kill(self, why: str) -> None:
        """Kill it, if it still lives, and remember why."""
        if not self.has_exited.is_set():
            self.killed_for = self.killed_for or why
            self.signal(signal.SIGKILL)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it still exists."""
        self.process.signal(number)

    def kill_group(self) -> None:
        """Kill the process and everything that it started."""
        self.process.kill_all()

    def close(self) -> None:
        """Close the pipes, at which the worker ends by itself."""
        if self._records_fd >= 0:
            asyncio.get_running_loop().remove_reader(self._records_fd)
            os.close(self._records_fd)
            os.close(self._control_fd)
            self._records_fd = self._control_fd = -1

    def _begin_reading(self) -> None:
        os.set_blocking(self._records_fd, False)
        asyncio.get_running_loop().add_reader(self._records_fd, self._read_records)

    def _read_records(self) -> None:
        """Read what the pipe holds; at most as much as fits in it, so that a flood does not hold up the daemon."""
        if self._records_fd < 0:
            return
        try:
            for _ in range(PIPE_BYTES // READ_BYTES):
                data = os.read(self._records_fd, READ_BYTES)
                if not data:
                    asyncio.get_running_loop().remove_reader(self._records_fd)
                    break
                self.intake.feed(data)
        except BlockingIOError:
            pass
        if (stranger := self.intake.stranger) is not None and not self.hello.done() and self.start_failure is None:
            self.start_failure = (
                f"its hello comes from pid {stranger}, and soakd has started pid {self.process.pid}: "
                "an interpreter that is a script must `exec` the real one"
            )
            self.kill(self.start_failure)

    def _take(self, record: Record) -> None:
        if isinstance(record, Hello) and not self.hello.done():
            self.hello.set_result(record)
        elif isinstance(record, Bye):
            self.bye = record
        elif isinstance(record, Incident) and record.what == "start_failed":
            self.start_failure = str(record.detail)
        self._on_record(record)


def _load_s(spec: WorkerSpec) -> float:
    return next((phase.duration_s for phase in spec.phases if phase.name == "load"), math.inf)


def last_line(worker: Worker) -> str:
    """Return a colon and the last line that a worker has printed, empty ones left out; "" where there is none."""
    return f": {line}" if (line := worker.output.last_line) else ""

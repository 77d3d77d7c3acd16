"""Ends a run in order before its host runs out of memory or disk. It protects the host, and is no verdict."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from soakd.daemon.host import READ_EVERY_S, HostReader, HostWatch, budget_bytes
from soakd.errors import ProbeError
from soakd.procs import proc
from soakd.procs.proc import now
from soakd.setup.plan import Plan
from soakd.wire.records import Record, make_record


class HostGuard:
    """Watches the host of a run.

    Args:
        plan: names the memory to keep and the disk that the run may take.
        folder: of the run; None where nothing is written.
        put: takes the records.
        end: called with the reason where the run must end.
        stopping: set once the run ends.
        memory_available: reads the bytes that processes can still have.
    """

    def __init__(
        self, plan: Plan, folder: Path | None, put: Callable[[Record], None], *, end: Callable[[str], None],
        stopping: asyncio.Event, memory_available: Callable[[], float] = proc.memory_available_bytes,
    ) -> None:  # fmt: skip
        run = plan.config.run
        self._reserve_bytes = proc.memory_reserve_bytes(plan)
        self._reader = HostReader(folder)
        self._watch = HostWatch(budget_bytes(run.disk_budget_bytes, plan.duration_s, len(plan.engines)))
        self._put, self._end, self._stopping = put, end, stopping
        self._memory_available = memory_available
        self._latest: dict[str, float] = {}
        self._is_short_of_memory = False

    def reading(self) -> dict[str, float]:
        """Return the memory that is available now, and what was last read of the host.

        Raises:
            ProbeError: the available memory cannot be read.
        """
        available = {"memory_available_bytes": self._memory_available()}
        return {**available, **self._latest, "memory_reserve_bytes": self._reserve_bytes}

    def check_memory(self) -> None:
        """End the run where less memory is available than is kept for the host."""
        with contextlib.suppress(ProbeError):  # what cannot be read ends nothing
            available = self._memory_available()
            if available < self._reserve_bytes and not self._is_short_of_memory:
                self._is_short_of_memory = True
                self._end_run(
                    "memory_reserve",
                    f"{available / 1e6:.0f} MB of memory available, {self._reserve_bytes / 1e6:.0f} MB are kept for "
                    "the host (run.memory_reserve): the run ends here",
                )

    async def run(self) -> None:
        """Record what presses on the host, and end the run before its disk is full; until cancelled."""
        while True:
            self._latest = self._reader.read()
            for what, detail in self._watch.look(self._latest, now()):
                self._record(what, detail)
            if (end := self._watch.must_end(self._latest)) is not None and not self._stopping.is_set():
                self._end_run(*end)
            await asyncio.sleep(READ_EVERY_S)

    def _end_run(self, what: str, detail: str) -> None:
        self._record(what, detail)
        self._end(what)

    def _record(self, what: str, detail: str) -> None:
        body = {"what": what, "detail": detail}
        self._put(make_record("incident", engine="", segment=0, at=now(), body=body))

"""A server that runs already: watched and sampled, never started or stopped."""

import asyncio
import time
from collections.abc import Callable

import psutil

from soakd.daemon.backends.client import Client
from soakd.daemon.backends.owner import local_process
from soakd.daemon.backends.server_records import ServerRecords, answered, on_grid
from soakd.errors import BackendError
from soakd.setup.settings import Supervision

ASK_EVERY_S = 1.0


class ExistingServer:
    """A server at a configured address.

    Another process at the address, or another start of the server, is another life.
    """

    def __init__(
        self, records: ServerRecords, address: str, shown: str, connect: Callable[[], Client], *,
        supervision: Supervision, sample_every_s: float, sampling: asyncio.Event,
    ) -> None:  # fmt: skip
        self.settled = asyncio.Event()
        self.failure: str | None = None
        self.address = address
        self._shown = shown
        self._records = records
        self._connect = connect
        self._hang_s = supervision.hang_after_s
        self._sample_every_s = sample_every_s
        self._sampling = sampling
        self._who: tuple[str | None, int | None, psutil.Process | None] | None = None
        """Identifies the start of the server that answers; None before the first answer."""
        self._process: psutil.Process | None = None
        self._silent_since_s: float | None = None
        self._hang_recorded = False

    async def run(self) -> None:
        """Watch and sample it until cancelled."""
        client = self._connect()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._sample(client))
                group.create_task(self._watch(client))
        finally:
            await client.close()

    def abandon(self) -> None:
        """Kill nothing: it is not ours."""

    async def _watch(self, client: Client) -> None:
        while True:
            asked_s = time.monotonic()
            try:
                await answered(client.ask())
                await self._answers(client)
            except BackendError as error:
                self._does_not_answer(asked_s, error)
            self.settled.set()
            await asyncio.sleep(ASK_EVERY_S)

    async def _answers(self, client: Client) -> None:
        """Find out who answers at first, after a silence and when its process is gone; record if it is another one."""
        if self._who is None or self._silent_since_s is not None or self._has_gone():
            about = await answered(client.about())
            process = await asyncio.to_thread(local_process, self.address, about.pid)
            who, before = (about.life, about.pid, process), self._who
            if before is not None and who != before:
                self._records.life += 1
                self._records.record_incident(
                    "server_restart", f"{self._records.server} was started again, not by soakd"
                )
            if who != before:
                self._who, self._process = who, process
                pid, read_from = (process.pid, "proc") if process else (about.pid, "metrics")
                self._records.record_begin(about, pid=pid, address=self._shown, read_from=read_from)  # type: ignore[arg-type]
        if self._silent_since_s is not None:
            self._records.record_recovery(self._silent_since_s, self._process.pid if self._process else None)
        self._silent_since_s, self._hang_recorded, self.failure = None, False, None

    def _has_gone(self) -> bool:
        """Return whether the process is gone: a server that starts again within a moment may never be silent."""
        return self._process is not None and not self._process.is_running()

    def _does_not_answer(self, asked_s: float, error: BackendError) -> None:
        self.failure = str(error)
        self._silent_since_s = self._silent_since_s or asked_s
        if not self._hang_recorded and time.monotonic() - self._silent_since_s >= self._hang_s:
            self._hang_recorded = True
            self._records.record_incident("server_hang", str(error))

    async def _sample(self, client: Client) -> None:
        await self._sampling.wait()
        await on_grid(self._sample_every_s, lambda: self._records.sample(client, self._process))

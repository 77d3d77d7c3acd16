"""A server that runs already: watched and sampled, never started or stopped."""

import asyncio
import time
from collections.abc import Callable

import psutil

from soakd.daemon.backends.client import Client
from soakd.daemon.backends.owner import local_process
from soakd.daemon.backends.watch import Voice, answered, on_grid
from soakd.errors import BackendError
from soakd.setup.settings import Supervision

ASK_EVERY_S = 1.0


class ExistingServer:
    """What can be told of a server at somebody's address.

    Another process at the address, or another start of the server, is another life.
    """

    def __init__(
        self, voice: Voice, address: str, shown: str, connect: Callable[[], Client], *,
        supervision: Supervision, sample_every_s: float, sampling: asyncio.Event,
    ) -> None:  # fmt: skip
        self.settled = asyncio.Event()
        self.failure: str | None = None
        self.address = address
        self._shown = shown
        self._voice = voice
        self._connect = connect
        self._hang_s = supervision.hang_after_s
        self._sample_every_s = sample_every_s
        self._sampling = sampling
        self._who: tuple[str | None, int | None, psutil.Process | None] | None = None
        """What tells one start of the server from another."""
        self._process: psutil.Process | None = None
        self._silent_since_s: float | None = None
        self._hang_told = False

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
        """Nothing to kill: it is not ours."""

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
        """See who answers, at first, after a silence and where its process is gone; say so where it is another."""
        if self._who is None or self._silent_since_s is not None or self._has_gone():
            about = await answered(client.about())
            process = await asyncio.to_thread(local_process, self.address, about.pid)
            who, before = (about.life, about.pid, process), self._who
            if before is not None and who != before:
                self._voice.life += 1
                self._voice.incident("server_restart", f"{self._voice.server} was started again by somebody else")
            if who != before:
                self._who, self._process = who, process
                pid, read_from = (process.pid, "proc") if process else (about.pid, "metrics")
                self._voice.begins(about, pid=pid, address=self._shown, read_from=read_from)  # type: ignore[arg-type]
        if self._silent_since_s is not None:
            self._voice.recovered(self._silent_since_s, self._process.pid if self._process else None)
        self._silent_since_s, self._hang_told, self.failure = None, False, None

    def _has_gone(self) -> bool:
        """Whether the process is no more: one that starts again within a moment may never be silent."""
        return self._process is not None and not self._process.is_running()

    def _does_not_answer(self, asked_s: float, error: BackendError) -> None:
        self.failure = str(error)
        self._silent_since_s = self._silent_since_s or asked_s
        if not self._hang_told and time.monotonic() - self._silent_since_s >= self._hang_s:
            self._hang_told = True
            self._voice.incident("server_hang", str(error))

    async def _sample(self, client: Client) -> None:
        await self._sampling.wait()
        await on_grid(self._sample_every_s, lambda: self._voice.sample(client, self._process))

"""A server of soakd's own: started, watched, sampled, restarted with a pause up to a limit, stopped."""

import asyncio
import contextlib
import math
import signal
import time
from collections.abc import Callable

from soakd.daemon.backends.client import Client
from soakd.daemon.backends.process import ServerProcess
from soakd.daemon.backends.server_address import ServerPlace
from soakd.daemon.backends.server_records import ANSWER_WITHIN_S, ServerRecords, answered, on_grid
from soakd.daemon.workers.liveness import STANDSTILL_S
from soakd.daemon.workers.restarts import Harm, Restarts
from soakd.errors import BackendError
from soakd.procs.exits import KernelKills, describe_status, out_of_memory
from soakd.setup.settings import Supervision

ASK_EVERY_S = 0.5
READY_EVERY_S = 0.02


class PrivateServer:
    """The lives of one server, at one address.

    Args:
        records: writes its records.
        place: where it answers.
        command: makes the command line of each life, or raises BackendError.
        connect: makes a connection to it.
        supervision: restarts, pauses, how long it may take to start or to answer.
        sample_every_s: between two samples.
        sampling: set when samples are to be taken.
    """

    def __init__(
        self, records: ServerRecords, place: ServerPlace, command: Callable[[], list[str]],
        connect: Callable[[], Client], *, supervision: Supervision, sample_every_s: float, sampling: asyncio.Event,
    ) -> None:  # fmt: skip
        self.settled = asyncio.Event()
        """Set when it answers for the first time, or has been given up."""
        self.failure: str | None = None
        """Why it does not answer; None while it does."""
        self.address = place.address
        self._records = records
        self._place = place
        self._command = command
        self._connect = connect
        self._supervision = supervision
        self._sample_every_s = sample_every_s
        self._sampling = sampling
        self._process: ServerProcess | None = None
        self._kills: KernelKills | None = None
        self._silent_since_s: float | None = None
        self._harm: Harm | None = None
        """The fault on purpose that the present life suffers."""
        self.last_answer_s = -math.inf
        """When it last answered, CLOCK_MONOTONIC seconds."""

    @property
    def life(self) -> int:
        """The number of its present process."""
        return self._records.life

    def harm(self, number: signal.Signals, harm: Harm) -> int | None:
        """Signal it on purpose; what follows is the fault's doing, until `mend`.

        Returns:
            Its pid; None if it does not run, or does not answer already.
        """
        process = self._process
        if process is None or process.has_exited.is_set() or self._silent_since_s is not None:
            return None
        self._records.fault, self._harm = harm.fault, harm
        process.signal(number)
        return process.pid

    def go_on(self) -> None:
        """Let it go on if a signal has stopped it."""
        if self._process is not None:
            self._process.signal(signal.SIGCONT)

    def mend(self) -> None:
        """Let it go on; what happens to it from now on is no doing of a fault."""
        self.go_on()
        self._records.fault = self._harm = None

    async def run(self) -> None:
        """Keep it alive until cancelled, within its restarts; then stop it and remove its place."""
        restarts, server = Restarts(self._supervision), self._records.server
        try:
            while True:
                begun_s = time.monotonic()
                await self._live()
                harm, self._harm = self._harm, None  # one end: a start that fails after it is no doing of the fault
                if (pause_s := restarts.pause_s(time.monotonic() - begun_s, harm)) is None:
                    break
                await asyncio.sleep(pause_s)
                self._records.life += 1
                self._records.record_incident("server_restart", f"life {self._records.life + 1} of {server}")
            self._records.record_incident(
                "server_gave_up", f"{server} ended {restarts.failures} times, is not started again"
            )
            self.settled.set()
        finally:
            await self._end()
            self._place.remove()

    def abandon(self) -> None:
        """Kill it and remove its folder, without waiting: the daemon ends now."""
        if self._process is not None:
            self._process.abandon()
        self._place.remove()

    async def _live(self) -> None:
        """Run one life to its end."""
        try:
            process = self._process = ServerProcess(self._command(), self._place.folder)
        except (BackendError, OSError) as error:
            self._failed_to_start(str(error))
            return
        self._kills = KernelKills(process.pid)
        client = self._connect()
        try:
            why = await self._begin(process, client)
            if why is not None:
                process.signal(signal.SIGKILL)
                status = await process.ended()
                self._failed_to_start(why + process.last_words, process, status)
                return
            hang = await self._until_it_ends(process, client)
            status = await process.ended()
            self._ended(process, status, hang)
        finally:
            await client.close()

    async def _begin(self, process: ServerProcess, client: Client) -> str | None:
        """Wait until it answers; return why it does not, or None."""
        within_s = self._supervision.start_within_s
        until_s, why = time.monotonic() + within_s, ""
        while time.monotonic() < until_s:
            if process.has_exited.is_set():
                return f"ended at once ({describe_status(await process.ended())})"
            try:
                await answered(client.ask())
                about = await answered(client.about())
            except BackendError as error:
                why = f": {error}"
                await asyncio.sleep(READY_EVERY_S)
                continue
            self._records.record_begin(about, pid=process.pid, address=self.address, read_from="proc")
            self._answers(process)
            return None
        return f"did not answer within {within_s:g}s{why}"

    async def _until_it_ends(self, process: ServerProcess, client: Client) -> str | None:
        """Watch and sample it; return why it was killed, or None."""
        async with asyncio.TaskGroup() as group:
            helpers = [group.create_task(self._sample(process, client))]
            watch = group.create_task(self._watch(process, client))
            end = group.create_task(process.has_exited.wait())
            await asyncio.wait([watch, end], return_when=asyncio.FIRST_COMPLETED)
            hang = watch.result() if watch.done() and not end.done() else None
            if hang is not None:
                process.signal(signal.SIGKILL)
            for helper in (*helpers, watch):
                helper.cancel()
        return hang

    async def _watch(self, process: ServerProcess, client: Client) -> str:
        """Ask it again and again; return why it is to be killed once it has not answered for too long."""
        hang_s = self._supervision.hang_after_s
        while True:
            await asyncio.sleep(min(ASK_EVERY_S, hang_s / 4))
            asked_s = time.monotonic()
            try:
                await answered(client.ask())
            except BackendError as error:
                if time.monotonic() - asked_s > ANSWER_WITHIN_S + STANDSTILL_S:
                    continue  # soakd itself stood still, and did not wait for it
                self._silent_since_s = self._silent_since_s or asked_s
                if time.monotonic() - self._silent_since_s >= hang_s:
                    return str(error)
            else:
                self._answers(process)
                if self._kills is not None and not process.has_exited.is_set():
                    self._kills.refresh()

    async def _sample(self, process: ServerProcess, client: Client) -> None:
        await self._sampling.wait()
        await on_grid(self._sample_every_s, lambda: self._records.sample(client, process.outside))

    def _answers(self, process: ServerProcess) -> None:
        self.last_answer_s = time.monotonic()
        if self._silent_since_s is not None:
            self._records.record_recovery(self._silent_since_s, process.pid)
            self._silent_since_s = None
        self.failure = None
        self.settled.set()

    def _failed_to_start(self, why: str, process: ServerProcess | None = None, status: int | None = None) -> None:
        self.failure = why
        self._records.fault = None
        stderr = list(process.output.lines) if process else None
        pid = process.pid if process else None
        self._records.record_incident("server_start_failed", why, pid=pid, status=status, stderr=stderr)

    def _ended(self, process: ServerProcess, status: int, hang: str | None) -> None:
        self._silent_since_s = self._silent_since_s or time.monotonic()
        what, how = ("server_hang", hang) if hang else ("server_crash", describe_status(status))
        more = {} if hang else out_of_memory(status, self._kills)
        if words := more.pop("words", None):
            how += f", {words}"
        if status > 0:  # it ended by itself, and may have printed why
            how += process.last_words
        self.failure = how
        self._records.record_incident(
            what, f"{self._records.server}: {how}", pid=process.pid, status=status, stderr=list(process.output.lines),
            **more,
        )  # fmt: skip

    async def _end(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                await self._process.stop()

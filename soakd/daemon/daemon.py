"""The composition root: builds and connects everything, owns the TaskGroup, runs one soak."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

from soakd.daemon import ending, notify
from soakd.daemon.backends import Backends
from soakd.daemon.ending import Cause, Ending, Outcome
from soakd.daemon.faults import Faults
from soakd.daemon.first_files import write_first_files
from soakd.daemon.judge_process import LastReport, run_judge
from soakd.daemon.live_judge import LiveJudge
from soakd.daemon.log import EventLog
from soakd.daemon.looks.requests import LookRequests
from soakd.daemon.looks.scheduler import LookScheduler
from soakd.daemon.record_bus import RecordBus
from soakd.daemon.replay import recall, replay
from soakd.daemon.sdnotify import Notifier
from soakd.daemon.service import Service, host_goes_down
from soakd.daemon.workers.supervisor import Supervisor
from soakd.errors import JournalError, SoakdError
from soakd.live.status import RunStatus
from soakd.live.web.server import Controls, serve
from soakd.procs.interpreters import site_packages
from soakd.procs.packages import record_packages
from soakd.procs.proc import now
from soakd.record import kept_secrets, run_folder
from soakd.record.journal import Journal
from soakd.record.resume import Resumption
from soakd.record.run_folder import RunDir
from soakd.setup.plan import Plan
from soakd.verdict.types import Verdict
from soakd.wire.records import Record, make_record

PROGRESS_EVERY_S = 1.0


class Daemon:
    """One soak, from the first worker to the sealed verdict."""

    def __init__(
        self, plan: Plan, run: RunDir, *, on_progress: Callable[[RunStatus, float], None],
        resumption: Resumption | None = None,
    ) -> None:  # fmt: skip
        """Take a plan and the folder of its run, locked; `resumption` if another daemon began it."""
        self.plan = plan
        self.run = run
        self.status = RunStatus(plan, run.run_id)
        self._on_progress = on_progress
        self._resumption = resumption
        self._life = resumption.life if resumption else 0
        self._ending = Ending()
        self._is_sealed = False
        """Whether the run has its last record: it can be left no more."""
        self._journal_id = run.journal_id()
        self._events = EventLog()
        self._service = Service(Notifier(), self.status, time.monotonic)
        self._report = LastReport(plan, run, self._events)
        self._notices = notify.of_run(plan, run, self.status, self._events.problem, resumed=resumption is not None)
        self._bus = RecordBus(self._life)
        self._supervisor = Supervisor(
            plan, self._bus.put, site_packages=site_packages(),
            origin_s=resumption.origin_s if resumption else None, past=resumption.engines if resumption else {},
            imports=run.path.resolve() / run_folder.IMPORTS, ends_for=self._cut_short,
        )  # fmt: skip
        self._judge = LiveJudge(run, plan.judge_every_s, publish=self._show_verdict, failed=self._judge_failed)
        self._looks = LookScheduler(
            plan, send_order=self._supervisor.send_order, put=self._bus.put, judge=self._judge.judge,
            folder=run.path.resolve() / run_folder.CAPTURES,
        )  # fmt: skip
        self._requests = LookRequests(plan, self._supervisor, self._looks)
        self._bus.after_commit += [self.status.fold, self._events.fold, self._notices.fold, self._requests.fold]
        self._abandons = [self._supervisor.abandon]
        """What kills at once everything that has been started."""

    async def soak(self) -> Outcome:
        """Run the plan to its end, then write the report and send the last notice; see `_soak`."""
        try:
            outcome = await self._soak()
        except SoakdError as error:
            await self._notices.end(None, failure=str(error))
            raise
        if not outcome.ending.is_resumable:
            async with self._service.sealing():
                await self._report.write()
                await self._notices.end(outcome.verdict, failure=outcome.ending.failure)
            kept_secrets.forget(self.run.path)
        return outcome

    async def _soak(self) -> Outcome:
        """Run the plan to its end, or to the first SIGINT or SIGTERM, and seal the verdict.

        SIGHUP, or a SIGTERM because the host goes down, leaves the run as it is, to be resumed.

        Raises:
            PreflightError: the metrics port is taken.
            BackendError: a server has no place, or its program is gone.
            JournalError: the run's files cannot be written.
        """
        at = self.plan.config.http
        controls = Controls(
            token=self.run.token(), http=at, stop=lambda: self._end_early(ending.interrupted()),
            snapshot=self._requests.snapshot,
        )  # fmt: skip
        server, _ = await serve(self.status, at.host, at.port, time.monotonic, controls, verdict=self.run.verdict)
        self.status.served_at = server.url
        self._events.serving(self.status.served_at, self.run.path)
        address = self.run.path / run_folder.ADDRESS
        try:
            run_folder.write_atomically(address, f"{server.url}\n")
            return await self._soak_and_seal()
        finally:
            with contextlib.suppress(OSError):  # of a disk that has become read-only, which is an incident
                address.unlink(missing_ok=True)
            await server.cleanup("left" if self._ending.is_resumable else "ended")

    async def _soak_and_seal(self) -> Outcome:
        loop, resumed = asyncio.get_running_loop(), self._resumption
        meta = write_first_files(self.plan, self.run) if resumed is None else None
        recalling = list[asyncio.Task[None]]()
        if resumed is not None:
            replay(self.status, self.run, resumed)
            recalling.append(loop.create_task(recall(self.status, self.run, resumed, self._events.problem)))
        journal = Journal(
            self.run.journal,
            on_commit=lambda batch: _from_thread(loop, self._bus.committed, batch),
            on_failure=lambda error: _from_thread(loop, self._fail, str(error)),
        )
        self._bus.before_commit += [journal.put, self._looks.note]
        try:
            if meta is not None:
                journal.set_meta(meta)
            self._journal_id = self.run.journal_id()
            if self._may_go_on():
                await self._run_plan(journal)
            self._bus.put(self._last_record(journal.lost))
        finally:
            for task in recalling:
                task.cancel()
            await journal.ended()
        if not self._is_sealed:
            return Outcome(ending=self._ending, verdict=None)
        async with self._service.sealing():
            verdict = await self._last_judgement()
        self.status.apply_verdict(verdict)
        self._events.verdict(verdict)
        self._service.sealed(f"{verdict.verdict}: {verdict.summary}")
        return Outcome(ending=self._ending, verdict=verdict)

    def _may_go_on(self) -> bool:
        """Record that a run is resumed; return whether it may be."""
        if (resumed := self._resumption) is None:
            return True
        self._bus.put(resumed.record())
        self._bus.put(resumed.incident())
        if resumed.too_late:
            self._cut_short("longest_gap")
        return not resumed.too_late

    async def _run_plan(self, journal: Journal) -> None:
        """Start the servers, then the workers; return when the last of both has ended."""
        supervisor, looks, folder = self._supervisor, self._looks, self.run.path / run_folder.SERVERS
        past = self._resumption.engines if self._resumption else {}
        servers = Backends(
            self.plan, self._bus.put, folder, sampling=supervisor.started,
            first_lives={name: engine.next_server_life for name, engine in past.items()},
        )  # fmt: skip
        self._abandons.append(servers.abandon)
        faults = Faults(self.plan, self._bus.put, folder, servers.servers, servers.answering)
        self._abandons.append(faults.abandon)
        self._bus.before_commit.append(faults.note)
        addresses = {**servers.addresses, **faults.addresses}
        on_round = self._service.watched(journal.written)
        self._catch_signals()
        async with asyncio.TaskGroup() as group:
            beside = [
                group.create_task(self._judge.run(supervisor, looks)),
                group.create_task(self._notices.run()),
                group.create_task(self._show_progress()),
                group.create_task(self._service.run(supervisor)),
                group.create_task(looks.run(supervisor)),
                group.create_task(record_packages(self.plan, self._life, self._bus.put)),
            ]
            breaking = group.create_task(faults.run(supervisor))
            serving = group.create_task(servers.run())
            try:
                await servers.settled(supervisor.stop_asked)
                await faults.open()
                if not supervisor.stop_asked.is_set():
                    await supervisor.run(addresses, on_round)
            finally:
                looks.close()
                self._service.stopping("the engines have ended")
                breaking.cancel()
                await faults.close()
                servers.stop()
                await asyncio.wait([serving])
                for task in beside:
                    task.cancel()

    def _last_record(self, lost: Mapping[str, int]) -> Record:
        """Seal the run, or record why it is left; from now on neither becomes the other."""
        self._is_sealed = not self._ending.is_resumable
        return make_record(
            "phase", engine="", segment=self._life, at=now(), body={**self._ending.record_body(), **lost}
        )

    async def _last_judgement(self) -> Verdict:
        """Judge the whole run; if its journal was lost, the error is that, and not the judge's."""
        try:
            return await run_judge(self.run, live=False)
        except JournalError as error:
            self._check_journal()
            raise JournalError(self._ending.failure or str(error)) from error

    def _catch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._leave)

    def _stop(self, number: signal.Signals) -> None:
        """Drain, close and seal at the first signal; end at once at the second."""
        if self._report.give_up():
            return
        if self._ending.signal is not None:
            for abandon in self._abandons:
                abandon()
            _show_cursor()
            os._exit(128 + number)
        if (
            number == signal.SIGTERM and host_goes_down() and not self._is_sealed
        ):  # a run outlives a reboot, but not a stop
            self._end_early(ending.left("the host goes down", number))
        else:
            self._end_early(ending.interrupted(number))

    def _leave(self) -> None:
        """End without sealing the run, at SIGHUP: it goes on with the next daemon."""
        is_decided = self._is_sealed or self._ending.signal is not None or self._ending.cause is Cause.FAILED
        if not is_decided and not self._report.give_up():
            self._end_early(ending.left("SIGHUP"))

    def _fail(self, failure: str) -> None:
        """End in order where the record of the run cannot be kept."""
        self._end_early(ending.failed(failure))

    def _cut_short(self, reason: str) -> None:
        """Note why soakd itself ends the run."""
        self._ending = self._ending.joined_by(ending.cut_short(reason))

    def _end_early(self, why: Ending) -> None:
        """End the run in order, once for each cause that changes how it ends."""
        before, self._ending = self._ending, self._ending.joined_by(why)
        if self._ending == before:
            return
        self._service.stopping("leaving the run" if self._ending.is_resumable else "ending the run early")
        self._supervisor.stop()

    def _check_journal(self) -> None:
        """Notice that the journal was deleted or replaced: SQLite goes on writing into a file without a name."""
        if self.run.journal_id() != self._journal_id:
            self._fail(f"{self.run.journal}: deleted or replaced during the run: what was measured is lost")

    async def _show_progress(self) -> None:
        while True:
            self._on_progress(self.status, time.monotonic())
            self._events.progress(self.status, time.monotonic())
            self._check_journal()
            await asyncio.sleep(PROGRESS_EVERY_S)

    def _show_verdict(self, verdict: Verdict) -> None:
        """Show a verdict so far."""
        self.status.apply_verdict(verdict)
        self._events.verdict(verdict)
        self._notices.verdict(self.status.state_so_far, verdict)

    def _judge_failed(self, error: JournalError) -> None:
        """Log that there is no verdict so far; where the journal is gone, that ends the run."""
        self._check_journal()
        if self._ending.failure is None:
            self._events.problem("judge_failed", str(error))


def _show_cursor() -> None:
    """Give the terminal its cursor back, which the live table hides: nothing of the display runs after `os._exit`."""
    if os.isatty(1):
        with contextlib.suppress(OSError):
            os.write(1, b"\x1b[?25h\n")


def _from_thread(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *arguments: Any) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has closed, and nothing is shown any more
        loop.call_soon_threadsafe(call, *arguments)

"""The composition root: builds and connects everything, owns the TaskGroup, runs one soak."""

import asyncio
import contextlib
import dataclasses
import hashlib
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from soakd.daemon import notify
from soakd.daemon.backends import Backends
from soakd.daemon.faults import Faults
from soakd.daemon.judge_process import LastReport, first_verdict, run_judge
from soakd.daemon.log import EventLog
from soakd.daemon.looks.requests import LookRequests
from soakd.daemon.looks.scheduler import LookScheduler
from soakd.daemon.outcome import Outcome
from soakd.daemon.sdnotify import Notifier
from soakd.daemon.service import Service, host_goes_down
from soakd.daemon.workers.supervisor import Supervisor
from soakd.errors import JournalError, SoakdError
from soakd.live.status import RunStatus, recalled
from soakd.live.web.server import Controls, serve
from soakd.procs.interpreters import site_packages
from soakd.procs.packages import record_packages
from soakd.procs.proc import cpu_of_children_s, now
from soakd.record import kept_secrets, run_folder, verdict_file
from soakd.record.journal import Journal
from soakd.record.resume import Resumption, replayed, samples_before
from soakd.record.run_folder import RunDir
from soakd.setup.plan import Plan
from soakd.setup.plan_json import plan_as_dict
from soakd.wire.masking import masked
from soakd.wire.records import Record

JUDGE_CPU_SHARE = 0.05
"""The live judge may take so much of one core."""
PROGRESS_EVERY_S = 1.0


class Daemon:
    """One soak, from the first worker to the sealed verdict."""

    def __init__(
        self, plan: Plan, run: RunDir, *, on_progress: Callable[[RunStatus, float], None],
        resumption: Resumption | None = None,
    ) -> None:  # fmt: skip
        """Take a plan and the folder of its run, locked; with `resumption` where another daemon began it."""
        self.plan = plan
        self._resumption = resumption
        self.run = run
        self.status = RunStatus(plan, run.run_id)
        self._on_progress = on_progress
        self._events = EventLog()
        self._signal: signal.Signals | None = None
        self._failure: str | None = None
        self._supervisor: Supervisor | None = None
        self._backends: Backends | None = None
        self._faults: Faults | None = None
        self._looks: LookScheduler | None = None
        self._asked = LookRequests(plan)
        self._one_judge = asyncio.Lock()
        self._journal_id: tuple[int, int] | None = None
        self._life = 0
        self._ended_for: str | None = None
        self._left: str | None = None
        self._told_to_stop = False
        self._service = Service(Notifier(), self.status, time.monotonic)
        self._report = LastReport(plan, run, self._events)
        self._notices = notify.of_run(plan, run, self.status, self._events.problem, resumed=resumption is not None)

    async def soak(self) -> Outcome:
        """Run the plan to its end and tell who is to be told of it; see `_soak`."""
        try:
            outcome = await self._soak()
        except SoakdError as error:
            await self._notices.end(None, failure=str(error))
            raise
        if outcome.left is None:
            async with self._service.sealing():
                await self._report.write()
                await self._notices.end(outcome.verdict, failure=outcome.failure)
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
        loop = asyncio.get_running_loop()
        at = self.plan.config.http
        controls = Controls(token=self.run.token(), stop=self._stop_when_asked, snapshot=self._asked.snapshot, http=at)
        server, _ = await serve(self.status, at.host, at.port, time.monotonic, controls, verdict=self.run.verdict)
        self.status.served_at = server.url
        self._events.serving(self.status.served_at, self.run.path)
        address = self.run.path / run_folder.ADDRESS
        try:
            run_folder.write_atomically(address, f"{server.url}\n")
            return await self._soak_and_seal(loop)
        finally:
            with contextlib.suppress(OSError):  # of a disk that has become read-only, as was said
                address.unlink(missing_ok=True)
            await server.cleanup("left" if self._left is not None else "ended")

    async def _soak_and_seal(self, loop: asyncio.AbstractEventLoop) -> Outcome:
        self._write_first_files()
        self._retell()
        recalling = loop.create_task(self._recall())
        journal = Journal(
            self.run.journal,
            on_commit=lambda batch: _from_thread(loop, self._publish, batch),
            on_failure=lambda error: _from_thread(loop, self._fail, str(error)),
        )
        try:
            if self._resumption is None:
                journal.set_meta(self._meta())
            self._journal_id = self.run.journal_id()
            if self._goes_on(journal):
                await self._supervise(journal)
            journal.put(self._last_record(journal.lost))
        finally:
            recalling.cancel()
            await journal.ended()
        if self._left is not None:
            return Outcome({}, self._signal, self._failure, self._left)
        async with self._service.sealing():
            verdict = await self._last_judgement()
        self.status.apply_verdict(verdict)
        self._events.verdict(verdict)
        self._service.sealed(f"{verdict['verdict']}: {verdict['summary']}")
        return Outcome(verdict, self._signal, self._failure)

    def _retell(self) -> None:
        """Show what was known before, so that no count falls back."""
        if (resumed := self._resumption) is None:
            return
        self.status.fold(list(replayed(self.run.journal, resumed)))
        self.status.resume()

    async def _recall(self) -> None:
        """Count the samples of the time before, and draw its series again, beside everything else: it is only shown."""
        if (resumed := self._resumption) is None:
            return
        try:
            self.status.count(await asyncio.to_thread(samples_before, self.run.journal, resumed))
            past = await asyncio.to_thread(recalled, self.run.journal, self.run.run_id, resumed)
        except JournalError as error:
            self._events.problem("not_recalled", str(error))
        else:
            self.status.recall(past)

    def _goes_on(self, journal: Journal) -> bool:
        """Say that a run is resumed, and whether it may be."""
        if (resumed := self._resumption) is None:
            return True
        self._life = resumed.life
        journal.put(resumed.record())
        journal.put(resumed.incident())
        if resumed.too_late:
            self._ended_for = "longest_gap"
        return not resumed.too_late

    async def _last_judgement(self) -> dict[str, Any]:
        """Judge the whole run; where the record of it was lost, that is what is said, not what the judge says of it."""
        try:
            return await run_judge(self.run, live=False)
        except JournalError as error:
            self._check_journal()
            raise JournalError(self._failure or str(error)) from error

    async def _supervise(self, journal: Journal) -> None:
        def put(record: Record) -> None:
            if not record.engine and self._life:  # the segment tells whose clock it was read on
                record = dataclasses.replace(record, segment=self._life)
            journal.put(record)
            for watcher in (self._faults, self._looks):
                if watcher is not None:
                    watcher.note(record)

        past = resumed.engines if (resumed := self._resumption) else {}
        servers = self._backends = Backends(
            self.plan, put, self.run.path / run_folder.SERVERS,
            first_lives={name: engine.next_server_life for name, engine in past.items()},
        )  # fmt: skip
        faults = self._faults = Faults(
            self.plan, put, self.run.path / run_folder.SERVERS, servers.servers, servers.answering
        )
        addresses = {**servers.addresses, **faults.addresses}
        supervisor = Supervisor(
            self.plan, put, site_packages=site_packages(), past=past,
            origin_s=resumed.origin_s if resumed else None, imports=self.run.path.resolve() / run_folder.IMPORTS,
            ends_for=self._end_for,
        )  # fmt: skip
        on_round = self._service.watched(journal.written)
        looks = self._looks = LookScheduler(
            self.plan, order=supervisor.send_order, sink=put, judge=self._judge_so_far,
            folder=self.run.path.resolve() / run_folder.CAPTURES,
        )  # fmt: skip
        self._asked.connect(supervisor, looks)
        self._supervisor = supervisor
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._leave, "SIGHUP")
        async with asyncio.TaskGroup() as group:
            helpers = [
                group.create_task(self._judge_now_and_then(supervisor)),
                group.create_task(self._notices.run()),
                group.create_task(self._show_progress()),
                group.create_task(self._sample_servers(supervisor, servers)),
                group.create_task(self._service.tell(supervisor)),
                group.create_task(looks.run(supervisor)),
                group.create_task(record_packages(self.plan, self._life, put)),
                group.create_task(self._break_things(supervisor, faults)),
            ]
            tender = group.create_task(servers.run())
            try:
                await servers.settled()
                await faults.open()
                if not supervisor.stop_asked.is_set():
                    await supervisor.run(addresses, on_round)
            finally:
                looks.close()
                self._service.stopping("the engines have ended")
                helpers[-1].cancel()
                await faults.close()
                servers.stop()
                await asyncio.wait([tender])
                for helper in helpers:
                    helper.cancel()

    async def _sample_servers(self, supervisor: Supervisor, servers: Backends) -> None:
        """Sample servers from when workers are."""
        await supervisor.started.wait()
        servers.sampling.set()

    async def _break_things(self, supervisor: Supervisor, faults: Faults) -> None:
        """Let faults on purpose happen while the run is under way."""
        await supervisor.started.wait()
        assert supervisor.origin_s is not None
        running = asyncio.ensure_future(faults.run(supervisor, supervisor.origin_s))
        stopping = asyncio.ensure_future(supervisor.stop_asked.wait())
        try:
            await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            running.cancel()
            await asyncio.wait([running])
        if not running.cancelled():
            running.result()

    def _stop(self, number: signal.Signals) -> None:
        """Drain, close and seal at the first signal; end at once at the second."""
        if self._report.give_up():
            return
        if self._signal is not None:
            for part in (self._supervisor, self._faults, self._backends):
                if part is not None:
                    part.abandon()
            _show_cursor()
            os._exit(128 + number)
        self._signal = number
        if number == signal.SIGTERM and host_goes_down():  # a run outlives a reboot, but not a stop
            self._left = "the host goes down"
        self._end_early()

    def _stop_when_asked(self) -> None:
        """End in order because somebody with the token says so; the verdict decides the exit code."""
        if not self._told_to_stop:
            self._told_to_stop = True
            self._end_early()

    def _leave(self, why: str) -> None:
        """End without sealing the run: it goes on with the next daemon."""
        if self._signal is None and self._failure is None and not self._report.give_up():
            self._left = why
            self._end_early()

    def _fail(self, why: str) -> None:
        """End in order where the record of the run cannot be kept: an unrecorded soak proves nothing."""
        if self._failure is not None:
            return
        self._failure = why
        self._end_early()

    def _end_for(self, reason: str) -> None:
        """Take note of why the supervisor ends the run early."""
        self._ended_for = reason

    def _end_early(self) -> None:
        self._service.stopping("leaving the run" if self._left else "ending the run early")
        if self._supervisor is not None and self._backends is not None:
            self._supervisor.stop()
            if self._supervisor.origin_s is None:
                self._backends.stop_waiting()

    def _check_journal(self) -> None:
        """Notice that the journal was deleted or replaced: SQLite goes on writing into a file without a name."""
        if self.run.journal_id() != self._journal_id:
            self._fail(f"{self.run.journal}: deleted or replaced during the run: what was measured is lost")

    def _publish(self, batch: Sequence[Record]) -> None:
        self.status.fold(batch)
        self._events.fold(batch)
        self._notices.fold(batch)
        self._asked.fold(batch)

    async def _show_progress(self) -> None:
        while True:
            self._on_progress(self.status, time.monotonic())
            self._events.progress(self.status, time.monotonic())
            self._check_journal()
            await asyncio.sleep(PROGRESS_EVERY_S)

    async def _judge_now_and_then(self, supervisor: Supervisor) -> None:
        """Judge what is there so far, never two at once, and rarely enough to take little of the processor."""
        await supervisor.started.wait()
        pause_s = self.plan.judge_every_s
        while True:
            await asyncio.sleep(pause_s)
            cpu_s = cpu_of_children_s()
            verdict = await self._judge_so_far()
            if verdict is not None and self._looks is not None and supervisor.origin_s is not None:
                self._looks.consider(verdict, supervisor.origin_s)
            pause_s = max(self.plan.judge_every_s, (cpu_of_children_s() - cpu_s) / JUDGE_CPU_SHARE)

    async def _judge_so_far(self) -> dict[str, Any] | None:
        """Show the present answer; a judge that fails now may still do at the end, and is told of."""
        try:
            async with self._one_judge:
                begun_s = time.monotonic()
                verdict = await run_judge(self.run, live=True)
                if self._looks is not None:
                    self._looks.judge_took_s = time.monotonic() - begun_s
        except JournalError as error:
            self._check_journal()
            if self._failure is None:
                self._events.problem("judge_failed", str(error))
            return None
        self.status.apply_verdict(verdict)
        self._events.verdict(verdict)
        self._notices.verdict(self.status.state_so_far, verdict)
        return verdict

    def _meta(self) -> dict[str, Any]:
        config = self.plan.config
        return {
            "run_id": self.run.run_id,
            "plan": plan_as_dict(self.plan),
            "environment": self._environment,
            "config_sha256": hashlib.sha256(config.text.encode()).hexdigest(),
        }

    def _write_first_files(self) -> None:
        """Leave a complete folder from the first minute: configuration, environment, an INCOMPLETE verdict."""
        if self._resumption is not None:
            return
        config = self.plan.config
        self._environment = masked(run_folder.environment(Path(config.source).resolve().parent))
        run_folder.write_atomically(self.run.path / run_folder.CONFIG, config.text)
        kept_secrets.keep(self.run.path, self.plan)
        run_folder.write_atomically(self.run.path / run_folder.ENVIRONMENT, run_folder.to_json(self._environment))
        verdict_file.write(self.run, first_verdict(self.run.run_id))

    def _last_record(self, lost: Mapping[str, int]) -> Record:
        """Seal the run, or say why it is left."""
        body: dict[str, Any] = {"name": "left", "reason": self._left, **lost}
        if self._left is None:
            reason = (
                "failed" if self._failure else "interrupted" if self._signal or self._told_to_stop else self._ended_for
            )
            name = self._signal.name if self._signal else None
            body = {"name": "end", "reason": reason or "completed", "signal": name, **lost}
        return Record(kind="phase", engine="", segment=self._life, at=now(), body=body)


def _show_cursor() -> None:
    """Give the terminal its cursor back, which the live table hides: nothing of the display runs after `os._exit`."""
    if os.isatty(1):
        with contextlib.suppress(OSError):
            os.write(1, b"\x1b[?25h\n")


def _from_thread(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *arguments: Any) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has closed: nobody is left to be told
        loop.call_soon_threadsafe(call, *arguments)

"""The lives of one engine's worker: started, watched, restarted with a pause up to a limit, ended when it hangs."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soakd.daemon.workers.exit_reasons import describe_end, describe_silence, describe_staying, is_in_order
from soakd.daemon.workers.liveness import WATCH_EVERY_S, Liveness
from soakd.daemon.workers.restarts import Harm, Restarts
from soakd.daemon.workers.start_gate import StartGate
from soakd.daemon.workers.worker import Worker
from soakd.procs.exits import KernelKills
from soakd.procs.interpreters import worker_environment
from soakd.procs.proc import now
from soakd.procs.scratch import scratch_of
from soakd.record.resume import Past
from soakd.setup.plan import EnginePlan, Plan, worker_spec
from soakd.wire.records import Record, make_record

LAST_WORDS_S = 1.0
"""So long a worker that hangs has to write its stack."""
LEAST_OPERATIONS_OVERDUE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What every worker of a run is started with."""

    site_packages: tuple[str, ...]
    imports: Path
    """The folder that foreign interpreters import soakd from."""
    scratch: Path | None
    """Where the temporary folders of engines are; None if they share the usual one."""
    addresses: Mapping[str, str]
    """Engine -> where clients of its private server connect to."""


class EngineLives:
    """One engine, through all lives of its worker.

    Args:
        plan, engine: what is to be run.
        gate: opens when every engine is ready.
        stopping: set once the run ends.
        put: takes the records.
        past: what the engine went through before the run was resumed.
        notice_standstill: finds out whether soakd itself stood still, before silence is held against a worker.
    """

    def __init__(
        self, plan: Plan, engine: EnginePlan, *, gate: StartGate, stopping: asyncio.Event,
        put: Callable[[Record], None], past: Past, notice_standstill: Callable[[], None],
    ) -> None:  # fmt: skip
        self.name = engine.config.name
        self.liveness = Liveness()
        self._plan, self._engine = plan, engine
        self._gate, self._stopping, self._put = gate, stopping, put
        self._past = past
        self._notice_standstill = notice_standstill
        self.worker: Worker | None = None
        """The present one, which may just have exited; None between two lives."""

    @property
    def running(self) -> Worker | None:
        """The worker, if it has not exited."""
        return None if self.worker is None or self.worker.has_exited.is_set() else self.worker

    async def run(self, launch: Launch) -> None:
        """Keep the engine alive to the end of its plan, within its restarts; those before a resume count."""
        if self._past.gave_up or self._is_over():
            self._gate.ready(self.name)
            return
        segment, restarts = self._past.next_segment, Restarts(self._plan.config.supervision, self._past.restarts)
        begun_s = time.monotonic()
        while True:
            is_done, harm = await self._live(launch, segment)
            if is_done or self._stopping.is_set() or self._is_over():
                return
            if (pause_s := restarts.pause_s(time.monotonic() - begun_s, harm)) is None:
                self._incident(segment, "gave_up", f"{self.name}: ended {segment + 1} times, not started again")
                return
            if await self._stops_within(pause_s):
                return
            segment += 1
            self._incident(segment, "restart", f"life {segment + 1} of {self.name}", **_caused_by(harm))
            begun_s = time.monotonic()

    async def _stops_within(self, seconds: float) -> bool:
        """Wait; return whether the run ends meanwhile."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        return self._stopping.is_set()

    def kill(self) -> None:
        """Kill a worker that did not stop in time."""
        if (worker := self.worker) is not None:
            closing = ": close() does not return" if self.liveness.entered == "close" else ""
            worker.kill("did not stop in time" + (closing if worker.bye is None else f": {describe_staying(worker)}"))

    async def _live(self, launch: Launch, segment: int) -> tuple[bool, Harm | None]:
        """Run one life; return whether it ended as planned, and the fault on purpose that ended it, if one did."""
        python, liveness = self._engine.config.python, Liveness()
        self.liveness = liveness

        def on_record(record: Record) -> None:
            liveness.note(record)
            self._put(record)

        worker = Worker(
            worker_spec(self._plan, self._engine, segment, launch.site_packages, launch.addresses), on_record
        )
        try:
            number = self._plan.engines.index(self._engine)
            scratch = None if launch.scratch is None else scratch_of(launch.scratch, number)
            environment = worker_environment(python, launch.imports, scratch)
            worker.start(python=python, environment=environment, scratch=scratch)
        except OSError as error:
            self._incident(segment, "start_failed", f"{self.name}: {error.strerror}: {error.filename}")
            self._gate.ready(self.name)
            return False, None
        self.worker = worker
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(self._watch(worker, liveness))
                begin = group.create_task(self._begin(worker))
                status = await worker.ended()
                watch.cancel()
                begin.cancel()
        finally:
            worker.kill("soakd ended")
            worker.kill_group()
            worker.close()
            self.worker = None
            self._gate.ready(self.name)
        return self._conclude(worker, status)

    async def _begin(self, worker: Worker) -> None:
        """Wait until the worker, and the others, are ready; then let it go."""
        within_s = self._plan.config.supervision.start_within_s
        try:
            await asyncio.wait_for(asyncio.shield(worker.hello), within_s)
        except TimeoutError:
            worker.kill(f"did not start within {within_s:g}s")
            return
        worker.kills = KernelKills(worker.process.pid)  # its engine may have moved it to another cgroup
        self._gate.ready(self.name)
        await self._gate.started.wait()
        worker.send_order({"go": self._gate.origin_s})

    async def _watch(self, worker: Worker, liveness: Liveness) -> None:
        """End a worker that makes no progress, with its stack as last words."""
        hang_s, sample_every_s = self._plan.config.supervision.hang_after_s, self._plan.config.run.sample_every_s
        await asyncio.shield(worker.hello)
        await self._gate.started.wait()
        liveness.heard_s = liveness.operated_s = time.monotonic()
        overdue_s = max(hang_s, LEAST_OPERATIONS_OVERDUE / self._engine.rate_per_s)
        while True:
            await asyncio.sleep(min(WATCH_EVERY_S, hang_s / 4))
            self._notice_standstill()
            silent_s = time.monotonic() - liveness.heard_s
            stuck_s = time.monotonic() - liveness.operated_s
            self._report_refused_lines(worker, all_of_it=False)
            if worker.bye is not None:
                if silent_s > hang_s:
                    why = f"did not exit within {hang_s:g}s after its work was done: {describe_staying(worker)}"
                    await self._end_hanging(worker, why)
            elif silent_s > hang_s + sample_every_s:
                why = describe_silence(worker, liveness.entered)
                await self._end_hanging(worker, f"no sign of life for {silent_s:.0f}s: {why}")
            elif stuck_s > overdue_s + sample_every_s:
                await self._end_hanging(worker, f"no operation completed for {stuck_s:.0f}s")

    async def _end_hanging(self, worker: Worker, why: str) -> None:
        worker.killed_for = why
        worker.signal(signal.SIGABRT)  # the worker's fault handler writes every thread's stack
        worker.signal(signal.SIGCONT)
        await asyncio.sleep(LAST_WORDS_S)
        worker.kill(why)

    def _conclude(self, worker: Worker, status: int) -> tuple[bool, Harm | None]:
        """Record how a life ended, and what was wrong with it; return what `_live` does."""
        segment, harm = worker.spec.segment, worker.harm
        self._report_refused_lines(worker, all_of_it=True)
        if left := worker.children_left:
            names = ", ".join(left[:10])
            detail = f"{self.name}: still ran when its worker had ended, killed: {names}"
            self._incident(segment, "children_left", detail, count=len(left), **_caused_by(harm))
        if is_in_order(worker, status, stopping=self._stopping.is_set()):
            return True, None
        what, how, more = describe_end(worker, status)
        self._incident(
            segment, what, f"{self.name}: {how}",
            pid=worker.process.pid, status=status, stderr=list(worker.output.lines), **_caused_by(harm), **more,
        )  # fmt: skip
        return (True, None) if worker.bye is not None else (False, harm)

    def _report_refused_lines(self, worker: Worker, *, all_of_it: bool) -> None:
        """Record what came through a worker's pipe that was not the worker's."""
        for what, sentence, count in worker.intake.news(all_of_it=all_of_it):
            self._incident(worker.spec.segment, what, f"{self.name}: {sentence}", count=count)

    def _is_over(self) -> bool:
        origin_s = self._gate.origin_s
        return origin_s is not None and time.monotonic() >= origin_s + self._engine.phases[-1].end_s

    def _incident(self, segment: int, what: str, detail: str, **more: Any) -> None:
        body = {"what": what, "detail": detail, **more}
        self._put(make_record("incident", engine=self.name, segment=segment, at=now(), body=body))


def _caused_by(harm: Harm | None) -> dict[str, str]:
    return {} if harm is None else {"fault": harm.fault}

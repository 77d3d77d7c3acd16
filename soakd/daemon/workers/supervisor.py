"""Starts, watches, restarts and stops the workers, and reads them from outside. Knows workers by their pipes only."""

import asyncio
import contextlib
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psutil

from soakd.daemon.host import READ_EVERY_S, HostReader, HostWatch, budget_bytes
from soakd.daemon.self_probe import SelfProbe
from soakd.daemon.workers.exit_reasons import describe_end, describe_silence, describe_staying, is_in_order
from soakd.daemon.workers.liveness import Liveness, Rounds
from soakd.daemon.workers.restarts import Harm, Restarts
from soakd.daemon.workers.worker import Worker
from soakd.errors import ProbeError
from soakd.procs import proc
from soakd.procs.exits import KernelKills
from soakd.procs.interpreters import import_folder, worker_environment
from soakd.procs.proc import now
from soakd.procs.scratch import TEMPORARY, held_folder, scratch_of
from soakd.procs.tree import Table, Tree
from soakd.record.resume import Past
from soakd.setup.plan import EnginePlan, Plan, worker_spec
from soakd.wire.records import Kind, Record
from soakd.wire.spec import LOADED_PHASES

WATCH_EVERY_S = 0.5
STOP_WITHIN_S = 10.0
LAST_WORDS_S = 1.0
LEAST_OPERATIONS_OVERDUE = 10
"""A host with less memory available than the larger of both soon kills somebody, perhaps the journal's writer."""

Sink = Callable[[Record], None]


class Supervisor:
    """Runs a plan: one worker an engine, one tender a worker."""

    def __init__(
        self, plan: Plan, sink: Sink, *, site_packages: tuple[str, ...],
        addresses: Mapping[str, str] = MappingProxyType({}),
        memory_available: Callable[[], float] = proc.memory_available_bytes,
        origin_s: float | None = None, past: Mapping[str, Past] = MappingProxyType({}),
        imports: Path | None = None,
    ) -> None:  # fmt: skip
        """Take a plan; one that has begun before goes on from its `origin_s`, each engine after its `past`."""
        self.plan = plan
        self.ended_for: str | None = None
        """Why the supervisor itself ended the run early, where it did."""
        self._memory_available = memory_available
        self._memory_reserve = proc.memory_reserve_bytes(plan)
        self._host = HostReader(imports.parent if imports else None)
        run = plan.config.run
        self._host_watch = HostWatch(budget_bytes(run.disk_budget_bytes, plan.duration_s, len(plan.engines)))
        self._host_reading: dict[str, float] = {}
        self._own: dict[str, float] = {}
        self.origin_s = origin_s
        """CLOCK_MONOTONIC of the moment when every engine stood ready; None until then."""
        self.started = asyncio.Event()
        if origin_s is not None:
            self.started.set()
        self.stopping = False
        self.asked_to_stop = asyncio.Event()
        self._sink = sink
        self._site_packages = site_packages
        self._place_of_imports = imports
        self._imports: Path | None = None
        self._scratch: Path | None = None
        """Where the temporary folders of engines are."""
        self._addresses = addresses
        self._workers: dict[str, Worker] = {}
        self._progress: dict[str, Liveness] = {}
        self._kills: dict[str, KernelKills] = {}
        self._past = past
        self.on_round: Callable[[], None] = lambda: None
        """Called each time the work loop has come round."""
        self._rounds = Rounds(WATCH_EVERY_S)
        self._tree = Tree()
        self._loaded: set[str] = set()
        self._ended_by: dict[str, Harm] = {}
        """Engine -> the fault on purpose that ended its last life."""
        self._waiting = {engine.config.name for engine in plan.engines}

    @property
    def is_loaded(self) -> bool:
        """Whether every engine that lives is under load, or has been."""
        self._loaded |= {n for n, progress in self._progress.items() if progress.entered not in (None, "baseline")}
        return self.started.is_set() and bool(self._loaded) and self._workers.keys() <= self._loaded

    async def run(self) -> None:
        """Take every engine through the plan; returns when the last worker has ended."""
        with import_folder(self._place_of_imports) as self._imports, held_folder(TEMPORARY) as self._scratch:
            await self._run()

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            outside = group.create_task(self._sample_outside())
            guards = [group.create_task(self._guard_memory()), group.create_task(self._guard_host())]
            tenders = [group.create_task(self._tend(engine)) for engine in self.plan.engines]
            await asyncio.wait(tenders)
            outside.cancel()
            for guard in guards:
                guard.cancel()

    def stop(self) -> None:
        """Ask every worker to close its engine and end; what does not end in time is killed."""
        self.stopping = True
        self.asked_to_stop.set()
        for worker in self._workers.values():
            worker.order({"stop": True})
        asyncio.get_running_loop().call_later(STOP_WITHIN_S, self.kill_all)

    def kill_all(self) -> None:
        """End every worker at once."""
        self.stopping = True
        for name, worker in self._workers.items():
            closing = ": close() does not return" if self._progress[name].entered == "close" else ""
            worker.kill("did not stop in time" + (closing if worker.bye is None else f": {describe_staying(worker)}"))

    def tell(self, name: str, order: Mapping[str, Any]) -> bool:
        """Send an order to the worker of an engine; False where there is none."""
        if (worker := self._workers.get(name)) is None or worker.has_exited.is_set():
            return False
        worker.order(order)
        return True

    def harm(self, name: str, number: signal.Signals, harm: Harm) -> int | None:
        """Signal the worker of an engine on purpose; what follows is the fault's doing, until `mend`.

        Returns:
            The worker's pid; None where there is no worker under way.
        """
        if (worker := self._workers.get(name)) is None or worker.has_exited.is_set():
            return None
        worker.harm = harm
        worker.signal(number)
        return worker.process.pid

    def go_on(self, name: str) -> None:
        """Let a worker go on where a signal has stopped it."""
        if (worker := self._workers.get(name)) is not None:
            worker.signal(signal.SIGCONT)

    def mend(self, name: str) -> None:
        """Let a worker go on, and count what happens to it as its own again."""
        self.go_on(name)
        if (worker := self._workers.get(name)) is not None:
            worker.harm = None

    def abandon(self) -> None:
        """Kill every worker with all that it started, and wait for none: the daemon ends now."""
        for worker in self._workers.values():
            worker.kill_group()
        for folder in filter(None, (self._imports, self._scratch)):
            shutil.rmtree(folder, ignore_errors=True)

    async def _tend(self, engine: EnginePlan) -> None:
        """Keep one engine alive to the end of its plan, within its restarts; those before a resume count."""
        name = engine.config.name
        past = self._past.get(name, Past())
        if past.gave_up or self._is_over(engine):
            self._is_ready(name)
            return
        segment, restarts = past.next_segment, Restarts(self.plan.config.supervision, past.restarts)
        begun_s = time.monotonic()
        while not (await self._live(engine, segment) or self.stopping or self._is_over(engine)):
            harm = self._ended_by.pop(name, None)
            if (pause_s := restarts.pause_s(time.monotonic() - begun_s, harm)) is None:
                detail = f"{name}: ended {segment + 1} times, not started again"
                self._incident(engine, segment, "gave_up", detail)
                return
            await asyncio.sleep(pause_s)
            segment += 1
            caused = {} if harm is None else {"fault": harm.fault}
            self._incident(engine, segment, "restart", f"life {segment + 1} of {name}", **caused)
            begun_s = time.monotonic()

    async def _live(self, engine: EnginePlan, segment: int) -> bool:
        """Run one life; True when it ended as planned."""
        name, python = engine.config.name, engine.config.python
        progress = self._progress[name] = Liveness()

        def on_record(record: Record) -> None:
            progress.note(record)
            self._sink(record)

        worker = Worker(worker_spec(self.plan, engine, segment, self._site_packages, self._addresses), on_record)
        try:
            assert self._imports is not None
            assert self._scratch is not None
            scratch = scratch_of(self._scratch, self.plan.engines.index(engine))
            worker.start(python=python, environment=worker_environment(python, self._imports, scratch), scratch=scratch)
        except OSError as error:
            self._incident(engine, segment, "start_failed", f"{name}: {error.strerror}: {error.filename}")
            self._is_ready(name)
            return False
        self._workers[name] = worker
        self._kills[name] = KernelKills(worker.process.pid)
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(self._watch(engine, worker, progress))
                begin = group.create_task(self._begin(engine, worker))
                status = await worker.ended()
                watch.cancel()
                begin.cancel()
        finally:
            worker.kill("soakd ended")
            worker.kill_group()
            worker.close()
            self._workers.pop(name, None)
            self._is_ready(name)
        self._report_end(engine, worker, status)
        return worker.bye is not None or is_in_order(worker, status, stopping=self.stopping)

    async def _begin(self, engine: EnginePlan, worker: Worker) -> None:
        """Wait until the worker, and the others, stand ready; then let it go."""
        within_s = self.plan.config.supervision.start_within_s
        try:
            await asyncio.wait_for(asyncio.shield(worker.hello), within_s)
        except TimeoutError:
            worker.kill(f"did not start within {within_s:g}s")
            return
        self._kills[engine.config.name] = KernelKills(worker.process.pid)  # its engine may have moved it
        self._is_ready(engine.config.name)
        await self.started.wait()
        worker.order({"go": self.origin_s})

    def _is_ready(self, name: str) -> None:
        self._waiting.discard(name)
        if not self._waiting and self.origin_s is None:
            self.origin_s = time.monotonic()
            self._sink(_record("phase", "", 0, {"name": "origin", "mono_s": self.origin_s}))
            self.started.set()

    def _is_over(self, engine: EnginePlan) -> bool:
        return self.origin_s is not None and time.monotonic() >= self.origin_s + engine.phases[-1].end_s

    async def _watch(self, engine: EnginePlan, worker: Worker, progress: Liveness) -> None:
        """End a worker that has stopped making progress, with its stack as last words."""
        hang_s = self.plan.config.supervision.hang_after_s
        await asyncio.shield(worker.hello)
        await self.started.wait()
        progress.heard_s = progress.operated_s = time.monotonic()
        overdue_s = max(hang_s, LEAST_OPERATIONS_OVERDUE / engine.rate_per_s)
        while True:
            await asyncio.sleep(min(WATCH_EVERY_S, hang_s / 4))
            self._notice_standstill()
            silent_s = time.monotonic() - progress.heard_s
            stuck_s = time.monotonic() - progress.operated_s
            self._tell_of_strays(engine, worker, all_of_it=False)
            if worker.bye is not None:
                if silent_s > hang_s:
                    why = f"did not exit within {hang_s:g}s after its work was done: {describe_staying(worker)}"
                    await self._end_hanging(worker, why)
            elif silent_s > hang_s + self.plan.config.run.sample_every_s:
                why = describe_silence(worker, progress.entered)
                await self._end_hanging(worker, f"no sign of life for {silent_s:.0f}s: {why}")
            elif stuck_s > overdue_s + self.plan.config.run.sample_every_s:
                await self._end_hanging(worker, f"no operation completed for {stuck_s:.0f}s")

    def _notice_standstill(self) -> None:
        """Tell of a time in which soakd itself did not run, and hold it against nobody."""
        if not (late_s := self._rounds.missed_s()):
            return
        for progress in self._progress.values():
            progress.spare(late_s)
        detail = f"soakd itself did not run for {late_s:.1f}s: it was stopped, or the host gave it no time"
        self._sink(_record("incident", "", 0, {"what": "standstill", "detail": detail, "seconds": round(late_s, 3)}))

    async def _end_hanging(self, worker: Worker, why: str) -> None:
        worker.killed_for = why
        worker.signal(signal.SIGABRT)  # the worker's fault handler writes every thread's stack
        worker.signal(signal.SIGCONT)
        await asyncio.sleep(LAST_WORDS_S)
        worker.kill(why)

    def _report_end(self, engine: EnginePlan, worker: Worker, status: int) -> None:
        """Say how a life ended, and what was wrong with it."""
        name, segment = engine.config.name, worker.spec.segment
        caused = {} if worker.harm is None else {"fault": worker.harm.fault}
        self._tell_of_strays(engine, worker, all_of_it=True)
        if left := worker.children_left:
            names = ", ".join(left[:10])
            detail = f"{name}: still ran when its worker had ended, killed: {names}"
            self._incident(engine, segment, "children_left", detail, count=len(left), **caused)
        if is_in_order(worker, status, stopping=self.stopping):
            return
        what, how, more = describe_end(worker, status, self._kills.pop(name, None))
        if worker.harm is not None and worker.bye is None:
            self._ended_by[name] = worker.harm
        self._incident(
            engine, segment, what, f"{name}: {how}",
            pid=worker.process.pid, status=status, stderr=list(worker.output.lines), **caused, **more,
        )  # fmt: skip

    def _tell_of_strays(self, engine: EnginePlan, worker: Worker, *, all_of_it: bool) -> None:
        """Tell what came through a worker's pipe that was not its."""
        for what, sentence, count in worker.intake.news(all_of_it=all_of_it):
            self._incident(engine, worker.spec.segment, what, f"{engine.config.name}: {sentence}", count=count)

    async def _sample_outside(self) -> None:
        """Read every worker from outside on one grid, and the daemon itself; proportional sizes with the snapshots."""
        await self.started.wait()
        run, me = self.plan.config.run, psutil.Process()
        due_s = proportional_s = time.monotonic()
        later = asyncio.get_running_loop().call_later
        with contextlib.closing(SelfProbe(run.collect_every_s, later, time.monotonic)) as footprint:
            while True:
                proportional = run.snapshot_every_s is not None and due_s >= proportional_s
                if proportional:
                    proportional_s += run.snapshot_every_s or 0.0
                self._own = footprint.sample()
                self._read_outside("", 0, me, proportional=False)
                table = self._tree.table()
                for worker in list(self._workers.values()):
                    if worker.has_exited.is_set():
                        continue  # what it leaves until it is reaped is no process of an engine
                    spec = worker.spec
                    self._kills[spec.engine].refresh()
                    family = {} if table is None else self._read_family(worker, table)
                    self._read_outside(spec.engine, spec.segment, worker.outside, family, proportional=proportional)
                due_s += run.sample_every_s * max(1, int((time.monotonic() - due_s) / run.sample_every_s))
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))

    async def _guard_memory(self) -> None:
        """End the run in order before the host runs out of memory. This protects the host; it is no verdict."""
        await self.started.wait()
        while True:
            self._notice_standstill()
            self.on_round()
            with contextlib.suppress(ProbeError):  # what cannot be read ends nothing
                available = self._memory_available()
                if available < self._memory_reserve:
                    break
            await asyncio.sleep(WATCH_EVERY_S)
        self.ended_for = "memory_reserve"
        detail = (
            f"{available / 1e6:.0f} MB of memory available, {self._memory_reserve / 1e6:.0f} MB are kept for the host "
            "(run.memory_reserve): the run ends here"
        )
        self._sink(_record("incident", "", 0, {"what": "memory_reserve", "detail": detail}))
        self.stop()

    async def _guard_host(self) -> None:
        """Tell what presses on the host, and end the run in order before its disk is full."""
        await self.started.wait()
        while True:
            reading = self._host_reading = self._host.read()
            for what, detail in self._host_watch.look(reading, now()):
                self._sink(_record("incident", "", 0, {"what": what, "detail": detail}))
            if (end := self._host_watch.must_end(reading)) is not None and not self.stopping:
                self.ended_for = end[0]
                self._sink(_record("incident", "", 0, {"what": end[0], "detail": end[1]}))
                self.stop()
            await asyncio.sleep(READ_EVERY_S)

    def _read_family(self, worker: Worker, table: Table) -> dict[str, float]:
        """Read the threads and children of a worker and what they hold, and tell of those that are lost."""
        spec, progress = worker.spec, self._progress[worker.spec.engine]
        begun_s = time.perf_counter()
        values = worker.family.read(table)
        counts = progress.entered in LOADED_PHASES and worker.harm is None
        losses = worker.family.losses(time.monotonic(), counts=counts, is_looked_at=progress.is_looked_at)
        for what, sentence, count in losses:
            body = {"what": what, "detail": f"{spec.engine}: {sentence}", "count": count}
            self._sink(_record("incident", spec.engine, spec.segment, body))
        spent_s = time.perf_counter() - begun_s + self._tree.duration_s
        held = worker.holdings.read(worker.family.pids, time.monotonic())
        return {**values, "probe.tree.duration_s": round(spent_s, 6), **held}

    def _read_outside(
        self, engine: str, segment: int, process: Any, more: Mapping[str, float] = MappingProxyType({}),
        *, proportional: bool,
    ) -> None:  # fmt: skip
        try:
            started_s = time.perf_counter()
            body = {**proc.read(process), **more}
            if proportional:
                body |= proc.read_proportional(process)
            if not engine:
                body |= {"memory_available_bytes": self._memory_available(), **self._host_reading, **self._own}
                body["memory_reserve_bytes"] = self._memory_reserve
        except ProbeError:
            return  # the process is gone, as its tender says; or no file descriptor is left, as an incident says
        body["probe.outside.duration_s"] = round(time.perf_counter() - started_s, 6)
        self._sink(_record("sample", engine, segment, {"source": "outside", **body}))

    def _incident(self, engine: EnginePlan, segment: int, what: str, detail: str, **more: Any) -> None:
        self._sink(_record("incident", engine.config.name, segment, {"what": what, "detail": detail, **more}))


def _record(kind: Kind, engine: str, segment: int, body: Mapping[str, Any]) -> Record:
    return Record(kind=kind, engine=engine, segment=segment, at=now(), body=body)

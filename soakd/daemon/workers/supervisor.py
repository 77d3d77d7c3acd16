"""Runs a plan: starts, watches, restarts and stops the workers. Knows workers by their pipes only."""

import asyncio
import shutil
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from soakd.daemon.host.guard import HostGuard
from soakd.daemon.workers.engine_lives import EngineLives, Launch
from soakd.daemon.workers.liveness import WATCH_EVERY_S, Rounds
from soakd.daemon.workers.outside_sampler import OutsideSampler
from soakd.daemon.workers.restarts import Harm
from soakd.daemon.workers.start_gate import StartGate
from soakd.daemon.workers.worker import Worker
from soakd.procs.interpreters import import_folder
from soakd.procs.proc import now
from soakd.procs.scratch import scratch_folder
from soakd.record.resume import Past
from soakd.setup.plan import Plan
from soakd.wire.records import Record, make_record

STOP_WITHIN_S = 10.0


class Supervisor:
    """The workers of a run: one an engine.

    Args:
        plan: what is run.
        put: takes the records.
        site_packages: of soakd's own environment.
        origin_s: the origin of a run that is resumed.
        past: engine -> what it went through before the run was resumed.
        imports: where to make the folder that foreign interpreters import soakd from, in the run's folder.
        ends_for: called with the reason if the host's state ends the run early.
    """

    def __init__(
        self, plan: Plan, put: Callable[[Record], None], *, site_packages: tuple[str, ...],
        origin_s: float | None = None, past: Mapping[str, Past] = MappingProxyType({}), imports: Path | None = None,
        ends_for: Callable[[str], None] = lambda _reason: None,
    ) -> None:  # fmt: skip
        self.stop_asked = asyncio.Event()
        """Set once the run ends early."""
        self._put = put
        self._site_packages = site_packages
        self._place_of_imports = imports
        self._folders: list[Path] = []
        """Temporary ones, removed at the end."""
        self._ends_for = ends_for
        names = [engine.config.name for engine in plan.engines]
        self._gate = StartGate(names, put, origin_s)
        self._rounds = Rounds(WATCH_EVERY_S)
        self._loaded: set[str] = set()
        self._engines = {
            engine.config.name: EngineLives(
                plan, engine, gate=self._gate, stopping=self.stop_asked, put=put,
                past=past.get(engine.config.name, Past()), notice_standstill=self._notice_standstill,
            )
            for engine in plan.engines
        }  # fmt: skip
        self._guard = HostGuard(
            plan, imports.parent if imports else None, put, end=self._end_early, stopping=self.stop_asked
        )
        self._outside = OutsideSampler(plan.config.run, self._engines.values(), self._guard.reading, put)

    @property
    def started(self) -> asyncio.Event:
        """Set when every engine is ready and the run has begun."""
        return self._gate.started

    @property
    def origin_s(self) -> float | None:
        """CLOCK_MONOTONIC of the moment when every engine stood ready; None until then."""
        return self._gate.origin_s

    @property
    def is_loaded(self) -> bool:
        """Whether every engine that lives is under load, or has been."""
        entered = {name: lives.liveness.entered for name, lives in self._engines.items()}
        self._loaded |= {name for name, phase in entered.items() if phase not in (None, "baseline")}
        living = {worker.spec.engine for worker in self._workers()}
        return self.started.is_set() and bool(self._loaded) and living <= self._loaded

    async def run(
        self, addresses: Mapping[str, str] = MappingProxyType({}), on_round: Callable[[], None] = lambda: None
    ) -> None:
        """Take every engine through the plan; returns when the last worker has ended.

        Args:
            addresses: engine -> where clients of its private server connect to.
            on_round: called each time the work loop has come round.
        """
        with import_folder(self._place_of_imports) as imports, scratch_folder() as scratch:
            self._folders += [imports, *([scratch] if scratch else [])]
            launch = Launch(site_packages=self._site_packages, imports=imports, scratch=scratch, addresses=addresses)
            async with asyncio.TaskGroup() as group:
                beside = [group.create_task(each) for each in (self._watch_host(), self._come_round(on_round))]
                beside.append(group.create_task(self._sample_outside()))
                await asyncio.wait([group.create_task(lives.run(launch)) for lives in self._engines.values()])
                for task in beside:
                    task.cancel()

    def stop(self) -> None:
        """Ask every worker to close its engine and end; what does not end in time is killed."""
        self.stop_asked.set()
        for worker in self._workers():
            worker.send_order({"stop": True})
        asyncio.get_running_loop().call_later(STOP_WITHIN_S, self._kill_all)

    def abandon(self) -> None:
        """Kill every worker with all that it started, and wait for none: the daemon ends now."""
        for worker in self._workers():
            worker.kill_group()
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)

    def send_order(self, name: str, order: Mapping[str, Any]) -> bool:
        """Send an order to the worker of an engine; return False if there is none."""
        if (worker := self._engines[name].running) is None:
            return False
        worker.send_order(order)
        return True

    def harm(self, name: str, number: signal.Signals, harm: Harm) -> int | None:
        """Signal the worker of an engine on purpose; what follows is the fault's doing, until `mend`.

        Returns:
            The worker's pid; None if no worker runs.
        """
        if (worker := self._engines[name].running) is None:
            return None
        worker.harm = harm
        worker.signal(number)
        return worker.process.pid

    def go_on(self, name: str) -> None:
        """Let a worker go on if a signal has stopped it."""
        if (worker := self._engines[name].worker) is not None:
            worker.signal(signal.SIGCONT)

    def mend(self, name: str) -> None:
        """Let a worker go on; what happens to it from now on is no doing of a fault."""
        self.go_on(name)
        if (worker := self._engines[name].worker) is not None:
            worker.harm = None

    def _workers(self) -> list[Worker]:
        return [lives.worker for lives in self._engines.values() if lives.worker is not None]

    def _kill_all(self) -> None:
        for lives in self._engines.values():
            lives.kill()

    def _end_early(self, reason: str) -> None:
        self._ends_for(reason)
        self.stop()

    async def _come_round(self, on_round: Callable[[], None]) -> None:
        """Show that the work loop goes on, and see whether the host has memory left."""
        await self.started.wait()
        while True:
            self._notice_standstill()
            on_round()
            self._guard.check_memory()
            await asyncio.sleep(WATCH_EVERY_S)

    async def _watch_host(self) -> None:
        await self.started.wait()
        await self._guard.run()

    async def _sample_outside(self) -> None:
        await self.started.wait()
        await self._outside.run()

    def _notice_standstill(self) -> None:
        """Record a time in which soakd itself did not run, and do not hold it against the workers."""
        if not (late_s := self._rounds.missed_s()):
            return
        for lives in self._engines.values():
            lives.liveness.spare(late_s)
        detail = f"soakd itself did not run for {late_s:.1f}s: it was stopped, or the host gave it no time"
        body = {"what": "standstill", "detail": detail, "seconds": round(late_s, 3)}
        self._put(make_record("incident", engine="", segment=0, at=now(), body=body))

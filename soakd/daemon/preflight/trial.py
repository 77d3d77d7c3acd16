"""Starts engines and servers once, each in a process of its own as in the run, and ends them again.

The trial of an engine is another process than the one that is judged, and has ended before that one starts.
"""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Collection, Mapping
from pathlib import Path
from typing import Any

from soakd.daemon.backends import check
from soakd.daemon.preflight.finding import Finding
from soakd.daemon.preflight.host import check_folder, check_memory, check_port
from soakd.daemon.workers.worker import Worker, last_line
from soakd.procs.exits import describe_status
from soakd.procs.interpreters import import_folder, refusals, worker_environment
from soakd.setup.engine_kinds import KINDS
from soakd.setup.plan import EnginePlan, Plan, worker_spec
from soakd.wire.records import Incident, Record

TRIED = "trial"
"""The incident that reports what became of the one operation of a worker."""
WHY_NOT = "it talks to a server at a url: one operation of it is performed with --try-urls only"


async def check_again(plan: Plan, run_path: Path, left_ratio: float) -> AsyncIterator[Finding]:
    """Look at what may have changed since a run began, before it is resumed: disk, memory, port, programs.

    Engines and servers are not started: that would lengthen the gap. A server at a `url` that is silent stops no run.

    Args:
        plan: the run's own.
        run_path: its folder.
        left_ratio: the share of the plan that is still to come.
    """
    for finding in (*check_folder(plan, run_path, left_ratio), *check_memory(plan), *check_port(plan)):
        yield finding
    wrong = {name: f"python: {why}" for name, why in (await refusals(plan)).items()}
    for name, what in {**await check.faults(_without(plan, wrong)), **wrong}.items():
        mine = next(engine for engine in plan.engines if engine.config.name == name)
        yield Finding("warning" if "url" in mine.options else "error", f'engine "{name}": {what}')


async def check_engines(plan: Plan, *, urls: bool = False) -> AsyncIterator[Finding]:
    """Start every server and every engine, perform one operation of each, and end them again.

    Args:
        plan: of the run.
        urls: perform an operation of engines, too, that talk to a server at a `url`.

    Yields:
        An error for what cannot start, a warning for what raised: a service may fail now and then.
    """
    wrong = {name: f"python: {why}" for name, why in (await refusals(plan)).items()}
    wrong |= await check.faults(_without(plan, wrong))
    async with check.trial(_without(plan, wrong)) as (addresses, more):
        wrong |= more
        able = [engine for engine in plan.engines if not _names(engine) & wrong.keys()]
        with import_folder() as imports:
            trials = [_Trial(plan, engine, imports, addresses) for engine in able]
            found = await asyncio.gather(*(trial.finding(urls or not _at_url(plan, trial.engine)) for trial in trials))
        started = [trial.engine for trial in trials if trial.has_started]
        wrong |= await check.missing_rules(started, addresses)
    for name, what in wrong.items():
        yield Finding("error", f'engine "{name}": {what}')
    for finding in found:
        if finding is not None:
            yield finding


def _without(plan: Plan, names: Collection[str]) -> Plan:
    return dataclasses.replace(plan, engines=tuple(e for e in plan.engines if e.config.name not in names))


def _names(engine: EnginePlan) -> set[str]:
    """Return an engine's own name, and those of the engines that it contains."""
    options = KINDS[engine.config.kind].options
    parts = {
        str(engine.options[name]) for name, info in options.items() if info.type == "engine" and name in engine.options
    }
    return parts | {engine.config.name}


def _at_url(plan: Plan, engine: EnginePlan) -> bool:
    """Return whether operations of an engine reach a server that soakd did not start."""
    names = _names(engine)
    return any("url" in one.options for one in plan.engines if one.config.name in names)


class _Trial:
    """One engine, started and tried in a process of its own."""

    def __init__(self, plan: Plan, engine: EnginePlan, imports: Path, addresses: Mapping[str, str]) -> None:
        self.engine = engine
        self.has_started = False
        self._plan = plan
        self._imports = imports
        self._worker = Worker(worker_spec(plan, engine, 0, (), addresses), self._take)
        self._outcome: asyncio.Future[Incident] = asyncio.get_running_loop().create_future()

    async def finding(self, perform: bool) -> Finding | None:
        """Start it and, if asked, perform one operation; return None if all went well."""
        name, python = self.engine.config.name, self.engine.config.python
        try:
            self._worker.start(python=python, environment=worker_environment(python, self._imports))
        except OSError as error:
            return Finding("error", f'engine "{name}": cannot start {error.filename}: {error.strerror}')
        ended = asyncio.create_task(self._worker.ended())
        try:
            if (why := await self._why_not_started(ended)) is not None:
                return Finding("error", f'engine "{name}": {why}')
            self.has_started = True
            if not perform:
                return Finding("note", f'engine "{name}": started, not tried: {WHY_NOT}')
            why = await self._why_not_performed(ended)
            return None if why is None else Finding("warning", f'engine "{name}": {why}')
        finally:
            self._worker.close()
            try:
                await asyncio.wait_for(asyncio.shield(ended), 2.0)
            except TimeoutError:
                self._worker.kill("preflight is over")
                await ended

    async def _why_not_started(self, ended: "asyncio.Task[int]") -> str | None:
        within_s = self._plan.config.supervision.start_within_s
        first: set[asyncio.Future[Any]] = {ended, self._worker.hello}
        await asyncio.wait(first, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        if self._worker.hello.done():
            return None
        if not ended.done():
            return f"did not start within {within_s:g}s"
        how = f"{self.engine.config.python or 'its worker'} ended at once ({describe_status(ended.result())})"
        return self._worker.start_failure or how + last_line(self._worker)

    async def _why_not_performed(self, ended: "asyncio.Task[int]") -> str | None:
        within_s = self._plan.config.supervision.hang_after_s
        self._worker.send_order({"try": True})
        first: set[asyncio.Future[Any]] = {ended, self._outcome}
        await asyncio.wait(first, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        if self._outcome.done():
            raised = self._outcome.result().detail
            return f"its first operation raised {raised}" if raised else None
        if not ended.done():
            return f"its first operation did not end within {within_s:g}s"
        return f"its process ended in its first operation ({describe_status(ended.result())}){last_line(self._worker)}"

    def _take(self, record: Record) -> None:
        """Keep what became of the operation; a trial keeps no other records."""
        if isinstance(record, Incident) and record.what == TRIED and not self._outcome.done():
            self._outcome.set_result(record)

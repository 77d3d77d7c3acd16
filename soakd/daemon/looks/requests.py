"""Heap snapshots and deep looks on request, while the run goes on. Knows workers by orders and records."""

import asyncio
import contextlib
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from soakd.setup.plan import Plan
from soakd.wire.records import Look, Record, Snapshot, content

WITHIN_S = 60.0
"""A niced child of a busy host takes its time."""

Answer = tuple[int, Mapping[str, Any]]
"""A status of HTTP, and a body."""


class LookOrders(Protocol):
    """Sends orders to workers."""

    @property
    def origin_s(self) -> float | None:
        """When the run began, on CLOCK_MONOTONIC; None before."""

    def send_order(self, name: str, order: Mapping[str, Any]) -> bool:
        """Send an order to the worker of an engine; return False if there is none."""


class Looks(Protocol):
    """Takes deep looks."""

    async def ask(self, name: str, origin_s: float) -> Mapping[str, Any]:
        """Take a look, and return the body of its last record."""


class LookRequests:
    """Passes requests on to the workers, one for each engine at a time, and waits for their answers."""

    def __init__(self, plan: Plan, workers: LookOrders, looks: Looks) -> None:
        self._plan, self._workers, self._looks = plan, workers, looks
        self._numbers = itertools.count(1)
        self._waiting: dict[str, tuple[int, asyncio.Future[Mapping[str, Any]]]] = {}
        self._committed_looks: dict[str, int] = {}
        """Engine -> number of the last look at it whose end is in the journal; numbers grow."""
        self._committed = asyncio.Event()

    def fold(self, batch: Sequence[Record]) -> None:
        """Take in what workers sent, once it is in the journal: nothing is answered that could be lost."""
        for record in batch:
            self._note(record)

    def _note(self, record: Record) -> None:
        if isinstance(record, Look) and record.state != "begun":
            self._committed_looks[record.engine] = max(record.id, self._committed_looks.get(record.engine, 0))
            self._committed.set()
        asked, answer = self._waiting.get(record.engine, (0, None))
        if answer is None or answer.done():
            return
        if isinstance(record, Snapshot) and record.asked == asked:
            answer.set_result(content(record))
        elif record.kind in ("hello", "bye"):
            answer.set_result({"skipped": "the engine's process ended meanwhile"})

    async def snapshot(self, name: str, deep: bool) -> Answer:
        """Take a heap snapshot of an engine, or with `deep` a look at it.

        Returns:
            200 with {"engine", "snapshot": the body of its record} or {"engine", "look": likewise}; 404 if there is
            no such engine, 409 if it cannot be done now, 503 if it failed, each with {"error"}.
        """
        engine = next((each for each in self._plan.engines if each.config.name == name), None)
        if engine is None:
            names = ", ".join(each.config.name for each in self._plan.engines)
            return 404, {"error": f'no engine "{name}"; engines: {names}'}
        if (origin_s := self._workers.origin_s) is None:
            return 409, {"error": "the engines do not run yet"}
        if deep:
            body = await self._looks.ask(name, origin_s)
            if body.get("state") != "done":
                return 503, {"error": f"{name}: {body.get('why')}"}
            if not await self._is_committed(name, body["id"]):
                return 503, {"error": f"{name}: the look was taken, and is not in the journal after {WITHIN_S:.0f} s"}
            return 200, {"engine": name, "look": body}
        if engine.snapshot_every_s is None:
            return 409, {"error": f"{name}: no snapshots are taken of it (run.snapshot_every, or collect_every = off)"}
        if name in self._waiting:
            return 409, {"error": f"{name}: a snapshot is being taken"}
        return await self._take(name)

    async def _is_committed(self, name: str, number: int) -> bool:
        """Wait until the end of a look is in the journal; return False if that takes too long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WITHIN_S):
                while self._committed_looks.get(name, 0) < number:
                    self._committed.clear()
                    await self._committed.wait()
                return True
        return False

    async def _take(self, name: str) -> Answer:
        number, answer = next(self._numbers), asyncio.get_running_loop().create_future()
        self._waiting[name] = number, answer
        try:
            if not self._workers.send_order(name, {"snapshot": number}):
                return 409, {"error": f"{name}: its process is not running"}
            body = await asyncio.wait_for(answer, WITHIN_S)
        except TimeoutError:
            return 503, {"error": f"{name}: no snapshot within {WITHIN_S:.0f}s"}
        finally:
            del self._waiting[name]
        if "skipped" in body:
            return 503, {"error": f"{name}: no snapshot: {body['skipped']}"}
        return 200, {"engine": name, "snapshot": body}

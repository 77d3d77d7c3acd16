"""When an engine gets a deep look, by which route, and what follows. Knows workers by orders and records.

Once the load phase is over, every engine that fails by its growth is looked at in the reload phase, where nothing of
growth is judged any more: one at a time on a host. While the load goes on, an engine whose growth was above its limit,
and steady, in two judgements running gets a light look: forked children only, no tool in its process.
"""

import asyncio
import contextlib
import errno
import socket
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from soakd.daemon.looks.triggers import routes, steady_growth
from soakd.errors import ProbeError
from soakd.procs.capture_reader import merged, prune, read_captures
from soakd.procs.proc import now
from soakd.setup.plan import EnginePlan, Plan
from soakd.verdict.types import Verdict
from soakd.wire.records import Capture, Incident, Look, Record, content, make_record
from soakd.wire.sites import Site, encode

LEAD, LEAST_LEAD_S, MOST_LEAD = 2.5, 1.0, 0.2
"""The judgement that decides is begun so many times its usual length before the load phase ends: at least a second, at
most so much of the run so far. What a short reload phase has is needed for the look."""
SHARE_OF_REST = 0.9
LONGEST_LOOK_S, LIGHT_LOOK_S = 300.0, 60.0
FIRST_WINDOW_SHARE = 0.12
MOST_OPERATIONS = 20_000
ANSWER_WITHIN_S = 45.0
WARM_UP_SHARE = 0.25
ONE_ON_A_HOST = "\0soakd deep look"
TURN_SHARE, ASK_AGAIN_S = 0.5, 0.2
"""This share of a look's time may be spent waiting for another soak's look to end."""
LOOKS_RUNNING = 2
SLOWS_DOWN = 0.9
"""Growth that has fallen below such a part of what it was in the judgement before bends, and is a warm-up."""
LIFE, ENDS = ("hello", "bye"), ("restart", "gave_up")
"""Records and incidents of an engine by which its process is known to be gone, and the look with it."""
HOUR_S = 3600.0
NEVER_FORKED = "collect_every is off: its process is never forked"


Read = Callable[[str | None, Sequence[Capture]], Awaitable[Sequence[Site]]]


class Origin(Protocol):
    """The origin of a run: the moment when every engine stood ready."""

    @property
    def started(self) -> asyncio.Event:
        """Set at the origin."""

    @property
    def origin_s(self) -> float | None:
        """The moment on CLOCK_MONOTONIC; None before it."""


class LookScheduler:
    """Orders looks, one at a time, and keeps their answers."""

    def __init__(
        self, plan: Plan, *, send_order: Callable[[str, Mapping[str, Any]], bool], put: Callable[[Record], None],
        judge: Callable[[], Awaitable[Verdict | None]], folder: Path, read: Read = read_captures,
    ) -> None:  # fmt: skip
        self._plan = plan
        self._send_order, self._put, self._judge = send_order, put, judge
        self._folder, self._read = folder, read
        self._judge_took_s = 0.0
        """Wall seconds of the last judgement."""
        self._one = asyncio.Lock()
        self._answers: dict[int, asyncio.Future[Look]] = {}
        self._looked_at: str | None = None
        self._next_id = int(time.time())
        self._begun_s: deque[float] = deque()
        self._grew: dict[str, list[float]] = {}
        """The growth of each engine in the judgements running in which it was too much."""
        self._suspected: set[str] = set()
        self._last: Verdict | None = None
        self._light: asyncio.Task[Mapping[str, Any]] | None = None
        self._due = False
        """Engines that fail are being looked at, or soon will be: nothing else has a turn."""

    def _lead_s(self, end_s: float) -> float:
        return min(max(LEAST_LEAD_S, LEAD * self._judge_took_s), MOST_LEAD * end_s)

    def note(self, record: Record) -> None:
        """Take in what a worker sends."""
        ended = record.kind in LIFE or (isinstance(record, Incident) and record.what in ENDS)
        if record.engine == self._looked_at and ended:
            for waiting in self._answers.values():
                if not waiting.done():
                    waiting.set_exception(ProbeError("the engine's process ended during the look"))
        if isinstance(record, Look) and record.state != "begun":
            answer = self._answers.get(record.id)
            if answer is not None and not answer.done():
                answer.set_result(record)

    async def run(self, origin: Origin) -> None:
        """Look at every engine that fails, after its load phase; return after the last one."""
        if not self._plan.config.attribution.enabled:
            return
        await origin.started.wait()
        assert origin.origin_s is not None
        origin_s = origin.origin_s
        for end_s in sorted({engine.load.end_s for engine in self._plan.engines}):
            await asyncio.sleep(max(0.0, origin_s + end_s - self._lead_s(end_s) - _now_s()))
            engines = [e for e in self._plan.engines if e.load.end_s == end_s and _reload_end_s(e, origin_s) > _now_s()]
            if engines:
                await self._look_at_what_fails(engines, origin_s)

    async def _look_at_what_fails(self, engines: Sequence[EnginePlan], origin_s: float) -> None:
        """Judge and look; where the judgement is not there when the reload phase begins, by the one before it, first.

        On a busy host, or in a short run, a judgement may take as long as the reload phase.
        """
        fresh = asyncio.ensure_future(self._judge())
        self._due = True
        try:
            begins_s = origin_s + min(engine.phase("reload").start_s for engine in engines)
            await asyncio.wait({fresh}, timeout=max(0.0, begins_s - _now_s()))
            looked: set[tuple[str, str]] = set()
            if not fresh.done() and (last := self._last) is not None:
                clear = [e for e in engines if steady_growth(last, e.config.name) is not None]
                await self._look_at(clear, last, origin_s, looked)
            if (verdict := await fresh) is not None:
                await self._look_at(engines, verdict, origin_s, looked)
        finally:
            self._due = False
            fresh.cancel()

    async def _look_at(
        self, engines: Sequence[EnginePlan], verdict: Verdict, origin_s: float, looked: set[tuple[str, str]]
    ) -> None:  # fmt: skip
        todo = [(e, route) for e in engines for route in routes(verdict, e.config.name)]
        todo = [(engine, route) for engine, route in todo if (engine.config.name, route) not in looked]
        for done, (engine, route) in enumerate(todo):
            looked.add((engine.config.name, route))
            await self._look_in_reload(engine, route, origin_s, len(todo) - done)

    def consider(self, verdict: Verdict, origin_s: float, *, took_s: float = 0.0) -> None:
        """Suspect engines by a judgement that took `took_s`; one that grows twice running gets a light look."""
        self._last, self._judge_took_s = verdict, took_s
        if not self._plan.config.attribution.enabled or self._one.locked():
            return
        for engine in self._plan.engines:
            name, load = engine.config.name, engine.load
            at_s = time.monotonic() - origin_s
            early = at_s < load.start_s + WARM_UP_SHARE * load.duration_s
            late, is_forked = at_s >= load.end_s - LIGHT_LOOK_S, engine.collect_every_s is not None
            grows = steady_growth(verdict, name) if is_forked and not early and not late else None
            seen = self._grew.setdefault(name, [])
            if grows is None or grows < SLOWS_DOWN * max(seen, default=0.0):
                seen.clear()
                continue
            seen.append(grows)
            if len(seen) >= LOOKS_RUNNING and name not in self._suspected and self._within_budget():
                self._suspected.add(name)
                order = {"route": "python", "seconds": LIGHT_LOOK_S, "light": True}
                self._light = asyncio.get_running_loop().create_task(self._look(engine, order))
                return

    async def ask(self, name: str, origin_s: float) -> Mapping[str, Any]:
        """Take a look on request: a light one in the load phase, whose memory is judged.

        Args:
            name: of an engine of the plan.
            origin_s: when the run began, on CLOCK_MONOTONIC.

        Returns:
            The body of the look's last record; its `state` is "failed" with `why` if it could not be taken.
        """
        engine = next(each for each in self._plan.engines if each.config.name == name)
        at_s, reload = _now_s() - origin_s, engine.phase("reload")
        if engine.collect_every_s is None:
            return {"state": "failed", "why": NEVER_FORKED}
        if self._one.locked() or (self._due and at_s >= engine.load.end_s):
            return {"state": "failed", "why": "another look is under way: one at a time on a host"}
        if not self._within_budget():
            return {"state": "failed", "why": "the budget of looks for this hour is used up (attribution.per_hour)"}
        if engine.load.start_s <= at_s < engine.load.end_s:
            seconds = min(LIGHT_LOOK_S, engine.load.end_s - at_s)
            return await self._look(engine, {"route": "python", "seconds": seconds, "light": True})
        if reload.start_s <= at_s < reload.end_s:
            seconds = min(LIGHT_LOOK_S, SHARE_OF_REST * (reload.end_s - at_s))
            return await self._look(engine, {"route": "python", "seconds": seconds})
        return {"state": "failed", "why": "no operations are performed now: a look needs the load or the reload phase"}

    def close(self) -> None:
        """End what is under way."""
        if self._light is not None:
            self._light.cancel()

    async def _look_in_reload(self, engine: EnginePlan, route: str, origin_s: float, left: int) -> None:
        reload = engine.phase("reload")
        begin_s = max(_now_s(), origin_s + reload.start_s)
        seconds = min(LONGEST_LOOK_S, SHARE_OF_REST * (origin_s + reload.end_s - begin_s) / left)
        if engine.collect_every_s is None:
            self._failed(engine, route, NEVER_FORKED)
        elif seconds <= 0:
            self._failed(engine, route, "no time was left in the reload phase")
        elif not self._within_budget():
            self._failed(engine, route, "the budget of looks for this hour is used up (attribution.per_hour)")
        else:
            await self._look(engine, {"route": route, "seconds": seconds}, begin_s - _now_s())

    async def _look(
        self, engine: EnginePlan, order: Mapping[str, Any], begins_in_s: float = 0.0
    ) -> Mapping[str, Any]:  # fmt: skip
        """Order a look and wait for its answer; returns the body of its last record. Waiting shortens it."""
        begun_s = _now_s()
        async with self._one, _turn_on_this_host(TURN_SHARE * order["seconds"]) as is_ours:
            if not is_ours:
                return self._failed(engine, order["route"], "another soak of this host was looking all the time")
            order = {**order, "seconds": order["seconds"] - max(0.0, _now_s() - begun_s - begins_in_s)}
            if order["seconds"] <= 0.0:
                return self._failed(engine, order["route"], "another look took all the time that there was")
            begins_in_s = max(0.0, begins_in_s - (_now_s() - begun_s))
            number, self._next_id = self._next_id, self._next_id + 1
            operations = int(min(MOST_OPERATIONS, engine.rate_per_s * order["seconds"] * FIRST_WINDOW_SHARE))
            whole = {"id": number, "operations": operations, "folder": str(self._folder), **order}
            self._begun_s.append(_now_s())
            answer = self._answers[number] = asyncio.get_running_loop().create_future()
            self._looked_at = engine.config.name
            try:
                if not self._send_order(engine.config.name, {"deep": whole}):
                    return self._failed(engine, order["route"], "the engine's process is not running")
                return await self._take(
                    engine, order["route"], answer, begins_in_s + order["seconds"] + ANSWER_WITHIN_S
                )
            finally:
                del self._answers[number]
                self._looked_at = None
                prune(self._folder)

    async def _take(
        self, engine: EnginePlan, route: str, answer: "asyncio.Future[Look]", within_s: float
    ) -> Mapping[str, Any]:  # fmt: skip
        try:
            record = await asyncio.wait_for(answer, within_s)
        except TimeoutError:
            return self._failed(engine, route, f"no answer within {within_s:.0f}s")
        except ProbeError as error:
            return self._failed(engine, route, str(error))
        body = content(record)
        if record.captures:
            body["capture"] = []
            try:
                found = await self._read(engine.config.python, record.captures)
                body["sites"] = [encode(site) for site in merged(record.sites, found)]
            except ProbeError as error:
                body |= {"state": "failed", "why": str(error)}
            self._put(make_record("attribution", engine=record.engine, segment=record.segment, at=now(), body=body))
        return body

    def _failed(self, engine: EnginePlan, route: str, why: str) -> Mapping[str, Any]:
        at = now()
        body = {"id": 0, "route": route, "state": "failed", "why": why, "from_mono_s": at.mono_s,
                "until_mono_s": at.mono_s, "operations": [], "sites": [], "capture": []}  # fmt: skip
        self._put(make_record("attribution", engine=engine.config.name, segment=0, at=at, body=body))
        return body

    def _within_budget(self) -> bool:
        while self._begun_s and self._begun_s[0] < _now_s() - HOUR_S:
            self._begun_s.popleft()
        return len(self._begun_s) < self._plan.config.attribution.per_hour


@contextlib.asynccontextmanager
async def _turn_on_this_host(within_s: float) -> AsyncIterator[bool]:
    """Take a name that only one process of a host can have; yield whether it was free in time.

    It is the name of a socket without a file: it goes with the process, however that ends.
    """
    give_up_s = _now_s() + within_s
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as name:
        while True:
            try:
                name.bind(ONE_ON_A_HOST)
                is_ours = True
            except OSError as error:
                if error.errno == errno.EADDRINUSE and _now_s() < give_up_s:
                    await asyncio.sleep(ASK_AGAIN_S)
                    continue
                is_ours = False
            break
        yield is_ours


def _reload_end_s(engine: EnginePlan, origin_s: float) -> float:
    return origin_s + engine.phase("reload").end_s


def _now_s() -> float:
    return time.monotonic()

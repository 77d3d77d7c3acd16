"""Tells a program or a webhook of verdicts, incidents and the end. Whatever becomes of that, the soak goes on.

What waits is bounded, incidents that come together are told together, and a receiver that is slow, broken or gone costs
a line in the log and a count.
"""

import asyncio
import os
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from soakd.daemon.notify.channels import deliver_to_command, deliver_to_webhook
from soakd.daemon.notify.events import Incidents, event, verdict_event
from soakd.live.status import RunStatus
from soakd.record.kept_secrets import kept_notify
from soakd.record.run_folder import RunDir
from soakd.setup.plan import Plan
from soakd.setup.settings import Notify
from soakd.wire.records import Record

__all__ = ["Notices", "of_run", "try_channels"]

MOST_WAITING = 32
GATHER_S = 1.0
"""Incidents that come within so much are one event."""
GOOD, OPEN = (None, "PASS", "INCONCLUSIVE", "INCOMPLETE"), ("FAIL", "INVALID")
"""The first answer is told only where it is bad news."""
LAST_WAIT_S = 20.0
"""The end of a run waits so much longer than one delivery may take for what is not delivered yet."""

Event = dict[str, Any]


class Notices:
    """What a run tells others of. Without a `[notify]` table it does nothing."""

    def __init__(
        self, settings: Notify, about: Callable[[], Mapping[str, Any]], *, outcomes: Counter[tuple[str, str]],
        problem: Callable[[str, str], None],
    ) -> None:  # fmt: skip
        """Take who is told of what.

        Args:
            settings: the `[notify]` table.
            about: says of which run, for every event.
            outcomes: counts by channel and outcome: delivered, failed, dropped.
            problem: logs what went wrong.
        """
        self._settings, self._about = settings, about
        self._channels = [
            _Channel(name, send, outcomes, problem) for name, send in senders(settings).items()
        ]  # fmt: skip
        self._incidents = Incidents()
        self._state: str | None = None
        self._told_state: str | None = None
        self._verdict: Mapping[str, Any] = {}
        self._happened, self._changed = asyncio.Event(), asyncio.Event()

    def fold(self, records: Sequence[Record]) -> None:
        """Take in a committed batch."""
        if not self._is_told("incident"):
            return
        for record in records:
            if record.kind == "incident":
                self._incidents.add(record)
                self._happened.set()

    def verdict(self, state: str | None, verdict: Mapping[str, Any]) -> None:
        """Take the present answer, which may be the same as before."""
        self._state, self._verdict = state, verdict
        if self._is_news():
            self._changed.set()

    async def run(self) -> None:
        """Tell of what happens until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            for channel in self._channels:
                group.create_task(channel.run())
            group.create_task(self._tell_incidents())
            group.create_task(self._tell_verdicts())

    async def end(self, verdict: Mapping[str, Any] | None, failure: str | None = None) -> None:
        """Tell how the run ended, and wait for the deliveries, at most `LAST_WAIT_S` longer than one may take.

        Call it once `run` has been cancelled. `verdict` is None where there is none.
        """
        if self._incidents.total and self._is_told("incident"):
            self._put(self._incidents.take(self._about()))
        if self._is_told("end"):
            self._put(verdict_event("end", self._about(), verdict or {}, failure=failure, final=True))
        if not any(channel.waiting for channel in self._channels):
            return
        tasks = [asyncio.ensure_future(channel.drain()) for channel in self._channels]
        _, late = await asyncio.wait(tasks, timeout=self._settings.timeout_s + LAST_WAIT_S)
        for task in late:
            task.cancel()
        await asyncio.wait(tasks)
        for channel in self._channels:
            channel.give_up()

    def _is_told(self, what: str) -> bool:
        return bool(self._channels) and what in self._settings.on

    def _is_news(self) -> bool:
        if self._told_state is None and self._state in GOOD:
            return False
        return self._is_told("verdict") and self._state != self._told_state

    async def _tell_incidents(self) -> None:
        while True:
            await self._happened.wait()
            await asyncio.sleep(GATHER_S)
            self._happened.clear()
            self._put(self._incidents.take(self._about()))
            await asyncio.sleep(max(0.0, self._settings.every_s - GATHER_S))

    async def _tell_verdicts(self) -> None:
        """Tell the answer that stands when it may be told again: one that came and went in between is none."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if not self._is_news():
                continue
            self._put(
                verdict_event("verdict", self._about(), self._verdict, state=self._state, before=self._told_state)
            )
            self._told_state = self._state
            await asyncio.sleep(self._settings.every_s)
            if self._is_news():
                self._changed.set()

    def _put(self, told: Event) -> None:
        for channel in self._channels:
            channel.put(told)


def of_run(
    plan: Plan, run: RunDir, status: RunStatus, problem: Callable[[str, str], None], *, resumed: bool
) -> Notices:
    """Make the notices of a run; one that is resumed tells whom the daemon before told."""

    def about() -> dict[str, Any]:
        return {
            "run_id": run.run_id, "name": plan.config.run.name, "host": os.uname().nodename,
            "run_dir": str(run.path.resolve()), "metrics_url": status.served_at,
        }  # fmt: skip

    settings = (kept_notify(run.path) if resumed else None) or plan.config.notify
    return Notices(settings, about, outcomes=status.notifications, problem=problem)


async def try_channels(settings: Notify, about: Mapping[str, Any]) -> dict[str, str | None]:
    """Send a test event through every channel; returns what went wrong by channel, None where nothing did."""
    told = event("test", about, text="soakd: a test, nothing has happened")
    return {name: await send(told) for name, send in senders(settings).items()}


def senders(settings: Notify) -> dict[str, Callable[[Event], Awaitable[str | None]]]:
    """Return how an event is delivered by channel; each says what went wrong, or None."""
    found: dict[str, Callable[[Event], Awaitable[str | None]]] = {}
    if settings.command:
        found["command"] = lambda told: deliver_to_command(settings.command, told, settings.timeout_s)
    if (url := settings.webhook) is not None:
        found["webhook"] = lambda told: deliver_to_webhook(url, told, settings.timeout_s)
    return found


class _Channel:
    """One receiver and what waits for it."""

    def __init__(
        self, name: str, send: Callable[[Event], Awaitable[str | None]], outcomes: Counter[tuple[str, str]],
        problem: Callable[[str, str], None],
    ) -> None:  # fmt: skip
        self._name, self._send = name, send
        self._outcomes, self._problem = outcomes, problem
        self.waiting: deque[Event] = deque()
        self._more = asyncio.Event()

    def put(self, told: Event) -> None:
        """Let an event wait for its turn; the oldest makes room."""
        if len(self.waiting) >= MOST_WAITING:
            self.waiting.popleft()
            self._count("dropped", f"{MOST_WAITING} events wait already")
        self.waiting.append(told)
        self._more.set()

    async def run(self) -> None:
        """Deliver what waits until it is cancelled."""
        while True:
            await self._more.wait()
            self._more.clear()
            await self.drain()

    async def drain(self) -> None:
        """Deliver what waits. What a cancellation finds under way waits again."""
        while self.waiting:
            try:
                why = await self._send(self.waiting[0])
            except Exception as error:  # noqa: BLE001 - telling others must never be what ends a soak
                why = f"{type(error).__name__} inside soakd"
            self.waiting.popleft()
            self._count("failed" if why else "delivered", why)

    def give_up(self) -> None:
        """Drop what still waits."""
        while self.waiting:
            self.waiting.popleft()
            self._count("dropped", "the run has ended")

    def _count(self, outcome: str, why: str | None) -> None:
        self._outcomes[self._name, outcome] += 1
        if why is not None:
            self._problem(f"notification_{outcome}", f"{self._name}: {why}")

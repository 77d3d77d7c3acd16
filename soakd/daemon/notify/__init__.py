"""Sends verdicts, incidents and the end of a run to a program or a webhook. No receiver can hold up the soak.

What waits is bounded, incidents within a second are one event, and a receiver that is slow, broken or gone costs a line
in the log and a count.
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
from soakd.verdict.types import Verdict
from soakd.wire.records import Incident, Record

__all__ = ["Notices", "of_run", "try_channels"]

MOST_WAITING = 32
GATHER_S = 1.0
"""Incidents within so many seconds are one event."""
GOOD, OPEN = (None, "PASS", "INCONCLUSIVE", "INCOMPLETE"), ("FAIL", "INVALID")
"""The first answer is sent only if it is not good."""
LAST_WAIT_S = 20.0
"""The end of a run waits for deliveries at most so much longer than one may take."""

Event = dict[str, Any]


class Notices:
    """The notices of a run. Without a `[notify]` table it does nothing."""

    def __init__(
        self, settings: Notify, about: Callable[[], Mapping[str, Any]], *, outcomes: Counter[tuple[str, str]],
        problem: Callable[[str, str], None],
    ) -> None:  # fmt: skip
        """Take the receivers, and what is sent to them.

        Args:
            settings: the `[notify]` table.
            about: returns the fields of every event that identify the run.
            outcomes: counts by channel and outcome: delivered, failed, dropped.
            problem: logs what went wrong.
        """
        self._settings, self._about = settings, about
        self._channels = [
            _Channel(name, send, outcomes, problem) for name, send in senders(settings).items()
        ]  # fmt: skip
        self._incidents = Incidents()
        self._state: str | None = None
        self._sent_state: str | None = None
        self._verdict: Verdict | None = None
        self._happened, self._changed = asyncio.Event(), asyncio.Event()

    def fold(self, records: Sequence[Record]) -> None:
        """Take in a committed batch."""
        if not self._is_sent("incident"):
            return
        for record in records:
            if isinstance(record, Incident):
                self._incidents.add(record)
                self._happened.set()

    def verdict(self, state: str | None, verdict: Verdict) -> None:
        """Take the present answer, which may be the same as before."""
        self._state, self._verdict = state, verdict
        if self._is_news():
            self._changed.set()

    async def run(self) -> None:
        """Send what happens, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for channel in self._channels:
                group.create_task(channel.run())
            group.create_task(self._send_incidents())
            group.create_task(self._send_verdicts())

    async def end(self, verdict: Verdict | None, failure: str | None = None) -> None:
        """Send how the run ended, and wait for the deliveries, at most `LAST_WAIT_S` longer than one may take.

        Call it once `run` has been cancelled. `verdict` is None if there is none.
        """
        if self._incidents.total and self._is_sent("incident"):
            self._put(self._incidents.take(self._about()))
        if self._is_sent("end"):
            self._put(verdict_event("end", self._about(), verdict, failure=failure, final=True))
        if not any(channel.waiting for channel in self._channels):
            return
        tasks = [asyncio.ensure_future(channel.drain()) for channel in self._channels]
        _, late = await asyncio.wait(tasks, timeout=self._settings.timeout_s + LAST_WAIT_S)
        for task in late:
            task.cancel()
        await asyncio.wait(tasks)
        for channel in self._channels:
            channel.give_up()

    def _is_sent(self, what: str) -> bool:
        return bool(self._channels) and what in self._settings.on

    def _is_news(self) -> bool:
        if self._sent_state is None and self._state in GOOD:
            return False
        return self._is_sent("verdict") and self._state != self._sent_state

    async def _send_incidents(self) -> None:
        while True:
            await self._happened.wait()
            await asyncio.sleep(GATHER_S)
            self._happened.clear()
            self._put(self._incidents.take(self._about()))
            await asyncio.sleep(max(0.0, self._settings.every_s - GATHER_S))

    async def _send_verdicts(self) -> None:
        """Send the answer that stands when one may be sent again; skip those that came and went in between."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if not self._is_news():
                continue
            self._put(
                verdict_event("verdict", self._about(), self._verdict, state=self._state, before=self._sent_state)
            )
            self._sent_state = self._state
            await asyncio.sleep(self._settings.every_s)
            if self._is_news():
                self._changed.set()

    def _put(self, notice: Event) -> None:
        for channel in self._channels:
            channel.put(notice)


def of_run(
    plan: Plan, run: RunDir, status: RunStatus, problem: Callable[[str, str], None], *, resumed: bool
) -> Notices:
    """Make the notices of a run; one that is resumed keeps the receivers that it began with."""

    def about() -> dict[str, Any]:
        return {
            "run_id": run.run_id, "name": plan.config.run.name, "host": os.uname().nodename,
            "run_dir": str(run.path.resolve()), "metrics_url": status.served_at,
        }  # fmt: skip

    settings = (kept_notify(run.path) if resumed else None) or plan.config.notify
    return Notices(settings, about, outcomes=status.notifications, problem=problem)


async def try_channels(settings: Notify, about: Mapping[str, Any]) -> dict[str, str | None]:
    """Send a test event through every channel; return what went wrong by channel, None if nothing did."""
    notice = event("test", about, text="soakd: a test, nothing has happened")
    return {name: await send(notice) for name, send in senders(settings).items()}


def senders(settings: Notify) -> dict[str, Callable[[Event], Awaitable[str | None]]]:
    """Return how an event is delivered, by channel; each returns what went wrong, or None."""
    found: dict[str, Callable[[Event], Awaitable[str | None]]] = {}
    if settings.command:
        found["command"] = lambda notice: deliver_to_command(settings.command, notice, settings.timeout_s)
    if (url := settings.webhook) is not None:
        found["webhook"] = lambda notice: deliver_to_webhook(url, notice, settings.timeout_s)
    return found


class _Channel:
    """One receiver, and what waits for it."""

    def __init__(
        self, name: str, send: Callable[[Event], Awaitable[str | None]], outcomes: Counter[tuple[str, str]],
        problem: Callable[[str, str], None],
    ) -> None:  # fmt: skip
        self._name, self._send = name, send
        self._outcomes, self._problem = outcomes, problem
        self.waiting: deque[Event] = deque()
        self._more = asyncio.Event()

    def put(self, notice: Event) -> None:
        """Queue an event; drop the oldest if too many wait."""
        if len(self.waiting) >= MOST_WAITING:
            self.waiting.popleft()
            self._count("dropped", f"{MOST_WAITING} events wait already")
        self.waiting.append(notice)
        self._more.set()

    async def run(self) -> None:
        """Deliver what waits, until cancelled."""
        while True:
            await self._more.wait()
            self._more.clear()
            await self.drain()

    async def drain(self) -> None:
        """Deliver what waits; what a cancellation interrupts waits on."""
        while self.waiting:
            try:
                why = await self._send(self.waiting[0])
            except Exception as error:  # noqa: BLE001 - a notice must never end a soak
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

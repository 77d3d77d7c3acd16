"""The daemon as a service: what systemd learns of it, and whether the host is going down."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Mapping

from soakd.daemon.sdnotify import MORE_TIME_S, Notifier, WatchdogFeed
from soakd.daemon.workers.supervisor import Supervisor
from soakd.live.status import RunStatus
from soakd.units import format_duration

STATUS_EVERY_S = 1.0
MARK = "SOAKD_SHUTDOWN_MARK"
"""Of the environment: the file that is there when the host goes down."""
LONGEST_SEALING_S = 1800.0


class Service:
    """Reports the state of the run to the service manager; does nothing without one.

    Args:
        notifier: speaks to it.
        status: what is known of the run.
        now: CLOCK_MONOTONIC, seconds.
    """

    def __init__(self, notifier: Notifier, status: RunStatus, now: Callable[[], float]) -> None:
        self._notifier = notifier
        self._status = status
        self._now = now
        self._ready = False
        self._stopping = False

    def watched(self, written: Callable[[], tuple[int, int]]) -> Callable[[], None]:
        """Return what to call at each round of the work loop; for `written` see `WatchdogFeed`."""
        return WatchdogFeed(self._notifier, written, self._now).round

    async def run(self, supervisor: Supervisor) -> None:
        """Send READY once every engine is under load, ask for time until then, and send the status; until cancelled."""
        asked_s = float("-inf")
        while self._notifier.enabled and not self._stopping:
            if not self._ready and supervisor.is_loaded:
                self._ready = True
                self._notifier.ready(self._line())
            elif not self._ready and self._now() >= asked_s + MORE_TIME_S / 4:
                asked_s = self._now()
                self._notifier.more_time()
            self._notifier.status(self._line())
            await asyncio.sleep(STATUS_EVERY_S)

    def stopping(self, why: str) -> None:
        """Send STOPPING, once; before it READY, if that was not sent, for systemd wants it."""
        if not self._stopping:
            self._stopping = True
            if not self._ready:
                self._notifier.ready(why)
            self._notifier.stopping(why)

    @contextlib.asynccontextmanager
    async def sealing(self) -> AsyncIterator[None]:
        """Ask for time while the verdict is sealed, up to half an hour."""
        self.stopping("sealing the verdict")
        self._notifier.status("sealing the verdict")
        asking = asyncio.create_task(self._ask_for_time())
        try:
            yield
        finally:
            asking.cancel()

    def sealed(self, verdict: str) -> None:
        """Send the verdict: the last status line."""
        self._notifier.status(verdict)

    async def _ask_for_time(self) -> None:
        until_s = self._now() + LONGEST_SEALING_S
        while self._notifier.enabled and self._now() < until_s:
            self._notifier.more_time()
            await asyncio.sleep(MORE_TIME_S / 4)

    def _line(self) -> str:
        """Write the run in one line: "load, 3h of 24h, 14 incidents, PASS so far"."""
        status, now_s = self._status, self._now()
        elapsed_s = status.elapsed_s(now_s)
        if elapsed_s is None:
            return "the engines start"
        done_s, planned_s = round(min(elapsed_s, status.plan.duration_s)), status.plan.duration_s
        every_s = 60 if planned_s >= 3600 else 10 if planned_s >= 600 else 1
        incidents = sum(status.incidents.values())
        done = format_duration(done_s // every_s * every_s)
        parts = (
            f"{status.phase or 'starting'}, {done} of {format_duration(planned_s)}",
            f"{incidents} incident{'s' if incidents > 1 else ''}" if incidents else "",
            f"{status.state_so_far} so far" if status.state_so_far else "",
            status.served_at or "",
        )
        return ", ".join(part for part in parts if part)


def host_goes_down(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether the host is shutting down (soakd-shutdown@.service marks it): a run is left then, not sealed."""
    mark = environ.get(MARK)
    return mark is not None and os.path.exists(mark)  # noqa: PTH110 - of a file system in memory

"""Server-sent events: the state of the run, rendered once for all watchers whenever something is new."""

import asyncio
import contextlib
import json
from collections.abc import Callable

from aiohttp import web

from soakd.live.status import RunStatus
from soakd.live.web.state import state_of_run
from soakd.wire.masking import masked

MOST_WATCHERS = 32
"""The most pages open at one time; each holds a connection."""
LEAST_BETWEEN_S, MOST_BETWEEN_S = 1.0, 5.0
WRITE_WITHIN_S = 20.0
"""A watcher that reads nothing for this long is dropped."""
RETRY_MS = 2000


class Events:
    """Sends the latest state to every watcher. A slow one misses states in between, and does not delay the others."""

    def __init__(self, status: RunStatus, now: Callable[[], float]) -> None:
        self._status, self._now = status, now
        every_s = status.plan.config.run.sample_every_s
        self.every_s = min(MOST_BETWEEN_S, max(LEAST_BETWEEN_S, every_s))
        self.watchers = 0
        """The number of watchers."""
        self._latest = b""
        self._number = 0
        self._changed = asyncio.Condition()
        self._ended = False

    async def watch(self, request: web.Request) -> web.StreamResponse:
        """Answer a request with events until the watcher leaves or the run ends."""
        if self.watchers >= MOST_WATCHERS or self._ended:
            headers = {"Retry-After": "10"}
            busy = web.json_response({"error": "too many open pages: try again later"}, status=503, headers=headers)
            busy.force_close()
            return busy
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        self.watchers += 1
        try:
            await response.prepare(request)
            await _write(response, f"retry: {RETRY_MS}\n\n".encode() + self._render("state"))
            await self._tell(response)
        except (OSError, TimeoutError):
            _abort(request)
        finally:
            self.watchers -= 1
        return response

    async def run(self) -> None:
        """Render the state regularly while there are watchers."""
        while True:
            await asyncio.sleep(self.every_s)
            if self.watchers:
                await self._publish("state")

    async def end(self, why: str) -> None:
        """Send the last state and the reason for the end, and drop every watcher."""
        self._ended = True
        await self._publish("state", more=self._line("end", {"why": why, "state": self._status.state}))
        for _ in range(20):  # what they have not read within a second is lost
            if not self.watchers:
                return
            await asyncio.sleep(0.05)

    async def _publish(self, kind: str, more: bytes = b"") -> None:
        async with self._changed:
            self._latest = self._render(kind) + more
            self._number += 1
            self._changed.notify_all()

    async def _tell(self, response: web.StreamResponse) -> None:
        seen = self._number
        while not self._ended or seen != self._number:
            async with self._changed:
                await self._changed.wait_for(lambda: self._number != seen)  # noqa: B023 - awaited at once
                seen = self._number
            await _write(response, self._latest)

    def _render(self, kind: str) -> bytes:
        return self._line(kind, state_of_run(self._status, self._now()))

    def _line(self, kind: str, value: object) -> bytes:
        text = json.dumps(masked(value), separators=(",", ":"), allow_nan=False)
        return f"event: {kind}\nid: {self._number}\ndata: {text}\n\n".encode()


async def _write(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(WRITE_WITHIN_S):
        await response.write(data)


def _abort(request: web.Request) -> None:
    with contextlib.suppress(AttributeError):
        if request.transport is not None:
            request.transport.abort()

"""The HTTP server of a run: status page, JSON interface, `/metrics`, `/healthz`, and requests that need its token.

Anyone who can reach the port may read, which is only this host by default; a private run needs the token for that too.
"""

import asyncio
import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from soakd.errors import PreflightError
from soakd.live import metrics
from soakd.live.status import RunStatus
from soakd.live.web import snapshots
from soakd.live.web.access import Gate, quiet_logger
from soakd.live.web.api import Api
from soakd.live.web.events import Events
from soakd.live.web.hosts import Hosts
from soakd.live.web.page import Page, obey
from soakd.setup.settings import Http

LONGEST_LINE_BYTES = 4096
LONGEST_HEADER_BYTES = 4096
LARGEST_BODY_BYTES = 1024
IDLE_S = 30.0
AT_ONCE = 16
"""Connections accepted in one round of the event loop, before their number is checked."""
LAST_ANSWER_S = 1.0
UNREAD_BODY_S = 1.0
"""How long an unread body is received after the answer, so that its sender can read the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """The requests that a run accepts."""

    token: str | None = None
    """The token that permits them; None permits no request."""
    http: Http = field(default_factory=Http)
    """The host names, and whether reading needs the token too."""
    stop: Callable[[], None] = lambda: None
    """End the run in order; a second call does nothing."""
    snapshot: snapshots.Take = snapshots.refuse
    """Take a heap snapshot of an engine, or a deep look at it."""


class Serving:
    """A server that answers until `cleanup`."""

    def __init__(self, runner: web.AppRunner, listener: asyncio.Server, events: Events, host: str) -> None:
        self._runner = runner
        self._listener = listener
        self._events = events
        self._telling = asyncio.get_running_loop().create_task(events.run())
        self.port = int(listener.sockets[0].getsockname()[1])
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"
        """The address of the page; everything else is below it."""

    @property
    def connections(self) -> int:
        """The number of connections that are open, or still being answered."""
        return len(self._runner.server.connections) if self._runner.server is not None else 0

    @property
    def watchers(self) -> int:
        """The number of watchers of events."""
        return self._events.watchers

    async def cleanup(self, why: str = "ended") -> None:
        """Send watchers the reason for the end, and stop the server."""
        self._telling.cancel()
        await self._events.end(why)
        self._listener.close()
        await self._runner.cleanup()


async def serve(
    status: RunStatus, host: str, port: int, now: Callable[[], float], controls: Controls | None = None,
    verdict: Path | None = None,
) -> tuple[Serving, int]:  # fmt: skip
    """Serve a run until `cleanup()`.

    Args:
        status: the state to show.
        host: address to listen on.
        port: 0 for any free one.
        now: CLOCK_MONOTONIC in seconds.
        controls: the accepted requests; None for reading only.
        verdict: the verdict file.

    Returns:
        The server, which has the port that it listens on.

    Raises:
        PreflightError: the address cannot be listened on.
    """
    controls = controls or Controls()
    gate = Gate(controls.token, Hosts(host, controls.http.hosts), private=controls.http.private)
    events = Events(status, now)
    runner = web.AppRunner(
        _application(status, now, gate, controls, events, verdict),
        access_log=None, handle_signals=False, keepalive_timeout=IDLE_S, shutdown_timeout=LAST_ANSWER_S,
        handler_cancellation=True, lingering_time=UNREAD_BODY_S,
        max_line_size=LONGEST_LINE_BYTES, max_field_size=LONGEST_HEADER_BYTES, logger=quiet_logger(),
    )  # fmt: skip
    await runner.setup()
    assert runner.server is not None
    try:
        listener = await asyncio.get_running_loop().create_server(
            gate.connections.maker(runner.server), host, port, backlog=AT_ONCE
        )
    except (OSError, OverflowError) as error:
        await runner.cleanup()
        raise PreflightError(_refusal(host, port, error)) from error
    serving = Serving(runner, listener, events, host)
    return serving, serving.port


def _application(
    status: RunStatus, now: Callable[[], float], gate: Gate, controls: Controls, events: Events, verdict: Path | None
) -> web.Application:
    async def show_metrics(_: web.Request) -> web.Response:
        return web.Response(body=metrics.render(status, now()), headers={"Content-Type": metrics.CONTENT_TYPE})

    async def show_health(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def stop(_: web.Request) -> web.Response:
        controls.stop()
        return web.json_response({"stopping": True}, status=202)

    application = web.Application(client_max_size=LARGEST_BODY_BYTES, middlewares=[gate.middleware()])
    application.on_response_prepare.append(obey)
    Page().add_to(application.router)
    Api(status, now, verdict).add_to(application.router)
    application.router.add_get("/api/v1/events", events.watch, allow_head=False)
    application.router.add_get("/metrics", show_metrics)
    application.router.add_get("/healthz", show_health)
    application.router.add_post("/api/v1/stop", stop)
    application.router.add_post(snapshots.PATH, snapshots.handler(controls.snapshot))
    return application


def _refusal(host: str, port: int, error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return f"{host}:{port}: address in use: choose http.port (0 = any)"
    why = os.strerror(number).lower() if number and number > 0 else str(error)
    return f"{host}:{port}: cannot listen: {why}: choose http.host and http.port"

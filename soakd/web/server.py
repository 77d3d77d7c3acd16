"""The HTTP server of a run: `/metrics`, `/healthz`, and a page that links them. It reads and never changes anything."""

import errno
import os
from collections.abc import Callable

from aiohttp import web

from soakd import metrics
from soakd.errors import PreflightError
from soakd.status import RunStatus

LONGEST_LINE_BYTES = 4096
LONGEST_HEADER_BYTES = 4096
LARGEST_BODY_BYTES = 1024
IDLE_S = 30.0
LAST_ANSWER_S = 1.0

PAGE = "soakd: run {run} ({name})\n\n/metrics   for Prometheus\n/healthz   ok while the daemon answers\n"


async def serve(status: RunStatus, host: str, port: int, now: Callable[[], float]) -> tuple[web.AppRunner, int]:
    """Serve a run until the runner's `cleanup()`.

    Args:
        status: what is shown.
        host: address to listen on.
        port: 0 for any free one.
        now: CLOCK_MONOTONIC in seconds.

    Returns:
        The runner and the port that it listens on.

    Raises:
        PreflightError: the address cannot be listened on.
    """
    runner = web.AppRunner(
        _application(status, now),
        access_log=None, handle_signals=False, keepalive_timeout=IDLE_S, shutdown_timeout=LAST_ANSWER_S,
        max_line_size=LONGEST_LINE_BYTES, max_field_size=LONGEST_HEADER_BYTES,
    )  # fmt: skip
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except (OSError, OverflowError) as error:
        await runner.cleanup()
        raise PreflightError(_refusal(host, port, error)) from error
    return runner, int(runner.addresses[0][1])


def _application(status: RunStatus, now: Callable[[], float]) -> web.Application:
    async def show_metrics(_: web.Request) -> web.Response:
        return web.Response(body=metrics.render(status, now()), headers={"Content-Type": metrics.CONTENT_TYPE})

    async def show_health(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def show_page(_: web.Request) -> web.Response:
        return web.Response(text=PAGE.format(run=status.run_id, name=status.plan.config.run.name))

    application = web.Application(client_max_size=LARGEST_BODY_BYTES)
    application.router.add_get("/", show_page)
    application.router.add_get("/metrics", show_metrics)
    application.router.add_get("/healthz", show_health)
    return application


def _refusal(host: str, port: int, error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return f"{host}:{port}: address in use: choose http.port (0 = any)"
    why = os.strerror(number).lower() if number and number > 0 else str(error)
    return f"{host}:{port}: cannot listen: {why}: choose http.host and http.port"

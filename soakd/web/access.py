"""Who may change something, and how many may ask at once."""

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

READING = frozenset({"GET", "HEAD"})
MOST_CONNECTIONS = 100
"""More are closed unanswered: each is a file descriptor of the daemon's."""
FIRST_REQUEST_WITHIN_S = 10.0
"""A connection that has not brought a whole request by then is closed."""
REFUSAL = "this needs the run's token: Authorization: Bearer TOKEN"
MOST_COMPLAINTS = 20
"""aiohttp logs what it cannot read; of a flood only the first are told."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Gate:
    """Lets reading requests in, and others with the token. Without a token nobody may change anything."""

    def __init__(self, token: str | None) -> None:
        self._token = None if token is None else token.encode()
        self._awaited: dict[int, asyncio.TimerHandle] = {}

    def allows(self, authorization: str | None) -> bool:
        """Compare in constant time."""
        scheme, _, given = (authorization or "").partition(" ")
        if self._token is None or scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), self._token)

    def middleware(self) -> Middleware:
        """Return what aiohttp asks before each request; no body is read before the token."""

        @web.middleware
        async def ask(request: web.Request, handler: Handler) -> web.StreamResponse:
            if (timer := self._awaited.pop(id(request.protocol), None)) is not None:
                timer.cancel()
            reads = request.method in READING or request.match_info.http_exception is not None
            if not reads and not self.allows(request.headers.get("Authorization")):
                refusal = web.json_response({"error": REFUSAL}, status=401, headers={"WWW-Authenticate": "Bearer"})
                refusal.force_close()
                return refusal
            return await handler(request)

        return ask

    def bounded(self, server: web.Server) -> Callable[[], asyncio.BaseProtocol]:
        """Return a maker of connections that turns away what is too many, and drops what brings no request."""
        loop = asyncio.get_running_loop()

        def connect() -> asyncio.BaseProtocol:
            if len(server.connections) >= MOST_CONNECTIONS:
                return _TurnedAway()
            protocol = server()
            self._awaited[id(protocol)] = loop.call_later(FIRST_REQUEST_WITHIN_S, self._drop, protocol)
            return protocol

        return connect

    def _drop(self, protocol: web.RequestHandler) -> None:
        del self._awaited[id(protocol)]
        if protocol.transport is not None:
            protocol.transport.abort()


class _TurnedAway(asyncio.Protocol):
    """A connection that is closed as it opens."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            transport.abort()


def quiet_logger() -> logging.Logger:
    """Return a logger for aiohttp's complaints about what it was sent, of which a flood is cut."""
    logger = logging.Logger("soakd.http", logging.WARNING)  # noqa: LOG001 - of this server alone
    logger.parent = logging.getLogger()
    left = iter(range(MOST_COMPLAINTS))
    logger.addFilter(lambda _: next(left, None) is not None)
    return logger

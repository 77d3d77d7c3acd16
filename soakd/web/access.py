"""Who may change something."""

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

from soakd.web.connections import Connections

READING = frozenset({"GET", "HEAD"})
REFUSAL = "this needs the run's token: Authorization: Bearer TOKEN"
MOST_COMPLAINTS = 20
"""aiohttp logs what it cannot read; of a flood only the first are told."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Gate:
    """Lets reading requests in, and others with the token. Without a token nobody may change anything."""

    def __init__(self, token: str | None) -> None:
        self._token = None if token is None else token.encode()
        self.connections = Connections()
        self._changing: set[asyncio.Future[web.StreamResponse]] = set()

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
            reads = request.method in READING or request.match_info.http_exception is not None
            if not reads and not self.allows(request.headers.get("Authorization")):
                refusal = web.json_response({"error": REFUSAL}, status=401, headers={"WWW-Authenticate": "Bearer"})
                refusal.force_close()
                return refusal
            with self.connections.busy(request.protocol):
                return await (handler(request) if reads else self._to_its_end(handler(request)))

        return ask

    async def _to_its_end(self, answering: Awaitable[web.StreamResponse]) -> web.StreamResponse:
        """Do what was asked for, even where the one who asked has gone meanwhile."""
        changing = asyncio.ensure_future(answering)
        self._changing.add(changing)
        changing.add_done_callback(self._changing.discard)
        return await asyncio.shield(changing)


def quiet_logger() -> logging.Logger:
    """Return a logger for aiohttp's complaints about what it was sent, of which a flood is cut."""
    logger = logging.Logger("soakd.http", logging.WARNING)  # noqa: LOG001 - of this server alone
    logger.parent = logging.getLogger()
    left = iter(range(MOST_COMPLAINTS))
    logger.addFilter(lambda _: next(left, None) is not None)
    return logger

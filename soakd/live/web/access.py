"""Access control: who may read, who may change something, and under which host name."""

import asyncio
import base64
import binascii
import hmac
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

from soakd.live.web import hosts
from soakd.live.web.connections import Connections

READING = frozenset({"GET", "HEAD"})
OPEN = frozenset({"/metrics", "/healthz"})
"""Readable without the token in a private run too."""
REFUSAL = "this needs the run's token: Authorization: Bearer TOKEN"
PRIVATE = "this run is private: give its token as the password of any user, or as Authorization: Bearer TOKEN"
MOST_COMPLAINTS = 20
"""aiohttp logs requests that it cannot parse; only the first ones of a flood are logged."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Gate:
    """Admits reading requests, and others with the token. Without a token nothing can be changed.

    Args:
        token: of the run.
        allowed: the host names that requests may use.
        private: reading needs the token too, except for `OPEN`.
    """

    def __init__(self, token: str | None, allowed: hosts.Hosts, *, private: bool = False) -> None:
        self._token = None if token is None else token.encode()
        self._allowed = allowed
        self._private = private
        self.connections = Connections()
        self._changing: set[asyncio.Future[web.StreamResponse]] = set()

    def allows(self, authorization: str | None) -> bool:
        """Return whether a header has the token, compared in constant time."""
        scheme, _, given = (authorization or "").partition(" ")
        return scheme.lower() == "bearer" and self._is_token(given.strip().encode("utf-8", "surrogateescape"))

    def _may_read(self, authorization: str | None) -> bool:
        """Accept the token as a password too: a browser asks for it, and sends it with every request.

        It also sends it with requests of other sites' pages, which cannot read the answer: so it permits only reading.
        """
        scheme, _, given = (authorization or "").partition(" ")
        if scheme.lower() != "basic":
            return self.allows(authorization)
        try:
            _, _, password = base64.b64decode(given.strip(), validate=True).partition(b":")
        except (binascii.Error, ValueError):
            return False
        return self._is_token(password)

    def _is_token(self, given: bytes) -> bool:
        return self._token is not None and hmac.compare_digest(given, self._token)

    def _refusal(self, request: web.Request) -> web.Response | None:
        """Return why a request is refused; None if it is allowed."""
        authorization = request.headers.get("Authorization")
        if not self._allowed.allow(request.headers.getall("Host", [])):
            return web.json_response({"error": hosts.REFUSAL}, status=421)
        if not _reads(request):
            bearer = {"WWW-Authenticate": "Bearer"}
            allowed = self.allows(authorization)
            return None if allowed else web.json_response({"error": REFUSAL}, status=401, headers=bearer)
        if not self._private or request.path in OPEN or self._may_read(authorization):
            return None
        basic = {"WWW-Authenticate": 'Basic realm="soakd", charset="UTF-8"'}
        return web.json_response({"error": PRIVATE}, status=401, headers=basic)

    def middleware(self) -> Middleware:
        """Return the middleware that checks each request; no body is read before the token."""

        @web.middleware
        async def ask(request: web.Request, handler: Handler) -> web.StreamResponse:
            if (refusal := self._refusal(request)) is not None:
                if not _reads(request):
                    refusal.force_close()
                return refusal
            with self.connections.busy(request.protocol):
                return await (handler(request) if _reads(request) else self._to_its_end(handler(request)))

        return ask

    async def _to_its_end(self, answering: Awaitable[web.StreamResponse]) -> web.StreamResponse:
        """Complete a request even if its client has disconnected."""
        changing = asyncio.ensure_future(answering)
        self._changing.add(changing)
        changing.add_done_callback(self._changing.discard)
        return await asyncio.shield(changing)


def _reads(request: web.Request) -> bool:
    return request.method in READING or request.match_info.http_exception is not None


def quiet_logger() -> logging.Logger:
    """Return a logger for aiohttp's errors about bad requests, which limits a flood."""
    logger = logging.Logger("soakd.http", logging.WARNING)  # noqa: LOG001 - for this server only
    logger.parent = logging.getLogger()
    left = iter(range(MOST_COMPLAINTS))
    logger.addFilter(lambda _: next(left, None) is not None)
    return logger

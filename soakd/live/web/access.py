"""Who may change something, who may read, and under which name."""

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
"""What everybody may read of a private run too."""
REFUSAL = "this needs the run's token: Authorization: Bearer TOKEN"
PRIVATE = "this run is private: give its token as the password of any user, or as Authorization: Bearer TOKEN"
MOST_COMPLAINTS = 20
"""aiohttp logs what it cannot read; of a flood only the first are told."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Gate:
    """Lets reading requests in, and others with the token. Without a token nobody may change anything.

    Args:
        token: of the run.
        allowed: the names under which it may be asked for.
        private: reading needs the token too, but for `OPEN`.
    """

    def __init__(self, token: str | None, allowed: hosts.Hosts, *, private: bool = False) -> None:
        self._token = None if token is None else token.encode()
        self._allowed = allowed
        self._private = private
        self.connections = Connections()
        self._changing: set[asyncio.Future[web.StreamResponse]] = set()

    def allows(self, authorization: str | None) -> bool:
        """Tell whether a header shows the token; it is compared in constant time."""
        scheme, _, given = (authorization or "").partition(" ")
        return scheme.lower() == "bearer" and self._is_token(given.strip().encode("utf-8", "surrogateescape"))

    def _may_read(self, authorization: str | None) -> bool:
        """Take the token as a password too: a browser asks for one, and sends it again with everything it reads.

        It may send it for a page of somebody else's as well, which may not see the answer: so nothing is changed by it.
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
        """Return why a request is not answered; None where it is."""
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
        """Return what aiohttp asks before each request; no body is read before the token."""

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
        """Do what was asked for, even where the one who asked has gone meanwhile."""
        changing = asyncio.ensure_future(answering)
        self._changing.add(changing)
        changing.add_done_callback(self._changing.discard)
        return await asyncio.shield(changing)


def _reads(request: web.Request) -> bool:
    return request.method in READING or request.match_info.http_exception is not None


def quiet_logger() -> logging.Logger:
    """Return a logger for aiohttp's complaints about what it was sent, of which a flood is cut."""
    logger = logging.Logger("soakd.http", logging.WARNING)  # noqa: LOG001 - of this server alone
    logger.parent = logging.getLogger()
    left = iter(range(MOST_COMPLAINTS))
    logger.addFilter(lambda _: next(left, None) is not None)
    return logger

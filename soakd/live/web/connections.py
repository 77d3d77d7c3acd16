"""Limits the open connections, and chooses the one to close for a new one.

A new connection is always accepted: above the limit it replaces the one that has been idle longest. So clients that
keep connections open, with or without requests, cannot block `/healthz` and `/metrics`.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from aiohttp import web

MOST_CONNECTIONS = 100
"""Each connection is a file descriptor of the daemon."""
FIRST_REQUEST_WITHIN_S = 10.0
"""A connection without a complete request by then is closed."""


class Connections:
    """The open connections of a server, the one idle longest first."""

    def __init__(self) -> None:
        self._open: dict[asyncio.BaseProtocol, _Connection] = {}

    def maker(self, server: web.Server) -> Callable[[], asyncio.BaseProtocol]:
        """Return the factory of protocols for new connections."""

        def connect() -> asyncio.BaseProtocol:
            if len(self._open) >= MOST_CONNECTIONS and not self._make_room():
                return _TurnedAway()
            protocol = server()
            connection = self._open[protocol] = _Connection(protocol, on_lost=lambda: self._open.pop(protocol, None))
            return connection

        return connect

    @contextlib.contextmanager
    def busy(self, protocol: asyncio.BaseProtocol) -> Iterator[None]:
        """Protect a connection while its request is handled, or its events are sent."""
        if (connection := self._open.pop(protocol, None)) is None:  # it was just replaced
            yield
            return
        self._open[protocol] = connection
        connection.asks()
        try:
            yield
        finally:
            connection.is_busy = False

    def _make_room(self) -> bool:
        """Close the connection that has been idle longest; return False if all are busy."""
        for protocol, connection in self._open.items():
            if connection.transport is not None and not connection.is_busy:
                del self._open[protocol]
                connection.transport.abort()
                return True
        return False


class _Connection(asyncio.Protocol):
    """One connection: passes everything on to aiohttp, and notices when its client has gone."""

    def __init__(self, protocol: web.RequestHandler, on_lost: Callable[[], object]) -> None:
        self._protocol, self._on_lost = protocol, on_lost
        self.transport: asyncio.Transport | None = None
        """None before it is connected."""
        self.is_busy = False
        self._awaited: asyncio.TimerHandle | None = None

    def asks(self) -> None:
        """Record that a request has begun."""
        self.is_busy = True
        if self._awaited is not None:
            self._awaited.cancel()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._awaited = asyncio.get_running_loop().call_later(FIRST_REQUEST_WITHIN_S, transport.abort)
        self._protocol.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._awaited is not None:
            self._awaited.cancel()
        self._on_lost()
        self._protocol.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._protocol.data_received(data)

    def eof_received(self) -> None:
        self._protocol.eof_received()

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()


class _TurnedAway(asyncio.Protocol):
    """A connection that is closed as it opens."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            transport.abort()

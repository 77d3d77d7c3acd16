"""An async example engine: a chat room on a loopback socket, and clients that send messages through it."""

import asyncio
import json
from collections.abc import Mapping
from typing import Protocol


class Operation(Protocol):
    """The argument of each operation; an engine reads what it needs."""

    key: str
    size_bytes: int


class Chat:
    """A server and a pool of connections to it. One operation sends a message and waits for its echo."""

    def __init__(self, connections: int = 8) -> None:
        self.connections = connections
        self.sent = 0
        self._server: asyncio.Server | None = None
        self._free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()

    async def start(self) -> None:
        """Open the room and connect the clients; called once, before anything is measured."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        for _ in range(self.connections):
            await self._free.put(await asyncio.open_connection("127.0.0.1", port))

    async def operation(self, op: Operation) -> None:
        """Send a message and check the echo; an exception counts as an error."""
        reader, writer = await self._free.get()
        try:
            said = {"from": op.key, "text": "x" * op.size_bytes}
            writer.write(json.dumps(said).encode() + b"\n")
            answer = json.loads(await reader.readline())
            assert answer["from"] == op.key
            self.sent += 1
        finally:
            self._free.put_nowait((reader, writer))

    async def close(self) -> None:
        """Close the room and the connections; memory that remains is shown in the report."""
        while not self._free.empty():
            _, writer = self._free.get_nowait()
            writer.close()
            await writer.wait_closed()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def counters(self) -> Mapping[str, float]:
        """Return numbers for every sample."""
        return {"sent": self.sent, "free_connections": self._free.qsize()}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
        writer.close()


def make(connections: int = 8) -> Chat:
    """Return the engine; the keyword arguments are the `options` of the configuration."""
    return Chat(connections)

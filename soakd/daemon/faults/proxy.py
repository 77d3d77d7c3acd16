"""A proxy that stands between an engine and its server, and breaks their network on order: `python proxy.py ARGUMENTS`.

A process of its own, of the standard library only: what it costs is neither the engine's nor the daemon's. Orders come
on standard input, a JSON object a line: {"mode": "pass", "latency", "blackhole", "reset" or "refuse", "latency_s": S};
each is answered on standard output, with the connections that it met. It ends with its input, and with the daemon.

* latency: what clients send is passed on so much later.
* blackhole: nothing is passed on, either way; what was sent meanwhile arrives after it, as after lost packets.
* reset: every connection is reset, and every new one at once.
* refuse: every connection is closed, and new ones are refused.
"""

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path

PR_SET_PDEATHSIG = 1
CHUNK_BYTES = 1 << 16
CONNECT_WITHIN_S = 10.0
BACKLOG = 512

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy:
    """Listens at one address, and passes on to another; addresses are "unix:PATH" or "tcp:HOST:PORT"."""

    def __init__(self, address: str, upstream: str) -> None:
        self._address = address
        self._upstream = upstream
        self._mode = "pass"
        self._latency_s = 0.0
        self._flows = asyncio.Event()
        self._flows.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        """Begin to listen."""
        kind, _, place = self._address.partition(":")
        if kind == "unix":
            self._server = await asyncio.start_unix_server(self._serve, sock=_unix_listener(place), backlog=BACKLOG)
            return
        host, _, port = place.rpartition(":")
        own = socket.socket()
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        own.bind((host, int(port)))
        self._server = await asyncio.start_server(self._serve, sock=own, backlog=BACKLOG)

    async def order(self, mode: str, latency_s: float = 0.0) -> int:
        """Change what happens from now on; return how many connections there were."""
        met = len(self._writers) // 2
        self._mode, self._latency_s = mode, latency_s
        if mode == "blackhole":
            self._flows.clear()
        else:
            self._flows.set()
        if mode == "refuse" and self._server is not None:
            self._server.close()
            self._server = None
        if mode in ("refuse", "reset"):
            self._drop_all(mode)
        if mode != "refuse" and self._server is None:
            await self.listen()
        return met

    def _drop_all(self, mode: str) -> None:
        for writer in list(self._writers):
            _drop(writer, by_reset=mode == "reset")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode in ("reset", "refuse"):
            _drop(writer, by_reset=self._mode == "reset")
            return
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S):
                back = await self._connect()
        except (OSError, TimeoutError):
            _drop(writer, by_reset=False)
            return
        both = {writer, back[1]}
        self._writers |= both
        pumps = [asyncio.ensure_future(self._pump(reader, back[1], is_request=True))]
        pumps.append(asyncio.ensure_future(self._pump(back[0], writer, is_request=False)))
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self._writers -= both
            for end in both:
                end.close()

    async def _connect(self) -> Streams:
        kind, _, place = self._upstream.partition(":")
        if kind == "unix":
            return await asyncio.open_unix_connection(place)
        host, _, port = place.rpartition(":")
        return await asyncio.open_connection(host, int(port))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_request: bool) -> None:
        """Pass on what comes, until one end is closed."""
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                if not self._flows.is_set():
                    await self._flows.wait()
                    if is_request and reader.at_eof():  # the sender has given up meanwhile
                        return
                if is_request and self._mode == "latency":
                    await asyncio.sleep(self._latency_s)
                    await self._flows.wait()
                writer.write(data)
                await writer.drain()


def _unix_listener(place: str) -> socket.socket:
    """Bind a socket that only its user may use, in the place of one that was there before."""
    Path(place).unlink(missing_ok=True)
    own = socket.socket(socket.AF_UNIX)
    own.bind(place)
    Path(place).chmod(0o700)
    return own


def _drop(writer: asyncio.StreamWriter, *, by_reset: bool) -> None:
    end = writer.get_extra_info("socket")
    if by_reset and end is not None and end.family != socket.AF_UNIX:
        with contextlib.suppress(OSError):  # the connection is not shut down in order then: the other end sees a reset
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def take_orders(proxy: Proxy, answer: Callable[[dict[str, object]], None]) -> None:
    """Take orders until standard input ends."""
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    await proxy.listen()
    answer({"ready": True})
    while line := await orders.readline():
        given = json.loads(line)
        try:
            answer({"connections": await proxy.order(given["mode"], given.get("latency_s", 0.0))})
        except OSError as error:
            answer({"error": str(error)})


def main() -> None:
    """Serve: `proxy.py DAEMON_PID ADDRESS UPSTREAM`."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    daemon, address, upstream = sys.argv[1:]
    if os.getppid() != int(daemon):  # it died before we asked: no signal will come
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def answer(what: dict[str, object]) -> None:
        os.write(1, json.dumps(what).encode() + b"\n")

    with contextlib.suppress(BrokenPipeError):
        asyncio.run(take_orders(Proxy(address, upstream), answer))


if __name__ == "__main__":
    main()

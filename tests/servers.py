"""Real servers for tests, on private sockets and ports and killed with their test; and some that answer anything."""

import asyncio
import contextlib
import functools
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import ParamSpec

from soakd.setup.engine_kinds import OPA_VERSION

ROOT = Path(__file__).parent.parent
START_WITHIN_S = 120.0

P = ParamSpec("P")


def on_a_loop(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Run an async test on an event loop of its own; what it leaves behind is an error."""

    @functools.wraps(test)
    def run(*arguments: P.args, **fixtures: P.kwargs) -> None:
        async def alone() -> None:
            await test(*arguments, **fixtures)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, f"tasks left behind: {left}"

        asyncio.run(alone())

    return run


class Server:
    """A server process that can be killed, stopped and started again at the same address."""

    def __init__(self, command: Sequence[str], url: str, is_ready: Callable[[], bool]) -> None:
        self.url = url
        self._command = list(command)
        self._is_ready = is_ready
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        until_s = time.monotonic() + START_WITHIN_S
        while not self._is_ready():
            if self.process.poll() is not None or time.monotonic() > until_s:
                self.process.kill()
                said = self.process.communicate()[1].decode(errors="replace")[-2000:]
                raise RuntimeError(f"{self._command[0]} does not start: {said}")
            time.sleep(0.02)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def freeze(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)


async def until(holds: Callable[[], Awaitable[bool]], within_s: float = 90.0) -> None:
    """Ask again and again until something holds."""
    async with asyncio.timeout(within_s):
        while not await holds():  # noqa: ASYNC110 - what is waited for is in another process
            await asyncio.sleep(0.01)


@contextlib.contextmanager
def redis_server(folder: Path, *arguments: str) -> Iterator[Server]:
    """Run a redis-server on a unix socket in a folder."""
    binary = shutil.which("redis-server")
    assert binary, "redis-server is not installed: apt-get install redis-server"
    path = folder / "r.sock"
    command = [
        binary, "--port", "0", "--unixsocket", str(path), "--save", "", "--appendonly", "no", "--dir", str(folder),
        "--daemonize", "no", "--loglevel", "warning", *arguments,
    ]  # fmt: skip
    with _running(Server(command, f"unix://{path}", lambda: _pongs(path))) as server:
        yield server


@contextlib.contextmanager
def opa_server(*arguments: str) -> Iterator[Server]:
    """Run an OPA server on a port of its own."""
    port = free_port()
    command = [
        opa_binary(), "run", "--server", "--addr", f"127.0.0.1:{port}", "--skip-version-check", "--log-level", "error",
        *arguments,
    ]  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    with _running(Server(command, url, lambda: _is_healthy(url))) as server:
        yield server


@contextlib.asynccontextmanager
async def server_saying(answer: Callable[[asyncio.StreamWriter, bytes], Awaitable[None]]) -> AsyncIterator[int]:
    """Run a TCP server that hands what each connection first says to `answer`; gives its port."""
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError), contextlib.closing(writer):
            while said := await reader.read(1 << 16):
                await answer(writer, said)
                await writer.drain()

    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(talk(reader, writer))
        talks.add(task)
        task.add_done_callback(talks.discard)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        left = list(talks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


def opa_binary() -> str:
    """Return the pinned OPA, or one on PATH."""
    built = ROOT / ".tools" / f"opa-{OPA_VERSION}" / "opa"
    found = str(built) if built.exists() else shutil.which("opa")
    assert found, f"no OPA: neither {built} nor one on PATH"
    return found


def free_port() -> int:
    """Return a port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def _running(server: Server) -> Iterator[Server]:
    server.start()
    try:
        yield server
    finally:
        server.kill()


def _pongs(path: Path) -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1.0)
        client.connect(str(path))
        client.sendall(b"PING\r\n")
        return client.recv(16).startswith((b"+PONG", b"-NOAUTH"))  # one with a password answers too
    return False


def _is_healthy(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=1.0) as answer:
        return bool(answer.status == 200)
    return False

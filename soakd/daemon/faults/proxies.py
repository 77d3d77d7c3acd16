"""The proxies of a run as the daemon holds them: started before the workers, ordered to break, ended with the run."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from soakd.daemon.backends.server_address import ServerPlace
from soakd.errors import BackendError
from soakd.wire.addresses import PORTS

PROGRAM = Path(__file__).with_name("proxy.py")
ANSWER_WITHIN_S = 10.0


class ProxyProcess:
    """One proxy process before one server.

    Args:
        address: where the server answers.
        folder: of the proxy's own; made, and removed at the end.
        on_end: called if it ends by itself.

    Raises:
        BackendError: there is no place for it.
    """

    def __init__(self, address: str, folder: Path, on_end: Callable[[], None]) -> None:
        self._upstream = upstream_of(address)
        self._place = ServerPlace(folder, port=not self._upstream.startswith("unix:"))
        self.address = client_address(address, self._place)
        """What clients connect to in the server's place."""
        self._on_end = on_end
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    async def start(self) -> None:
        """Start it, and wait until it listens.

        Raises:
            BackendError: it does not.
        """
        place = self._place
        listen = f"tcp:127.0.0.1:{place.port}" if place.port else f"unix:{place.socket}"
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", str(PROGRAM), str(os.getpid()), listen, self._upstream,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        if "ready" not in await self._answer(self._process):
            raise BackendError(f"{place.folder}: the proxy for faults does not start")
        self._watch = asyncio.get_running_loop().create_task(self._await_end(self._process))

    async def set_mode(self, mode: str, latency_s: float = 0.0) -> int:
        """Order what it does from now on; return how many connections there were.

        Raises:
            BackendError: it is gone, or could not.
        """
        async with self._lock:
            if self._process is None or self._process.stdin is None:
                raise BackendError("the proxy is gone")
            try:
                self._process.stdin.write(json.dumps({"mode": mode, "latency_s": latency_s}).encode() + b"\n")
                await self._process.stdin.drain()
            except OSError as error:
                raise BackendError("the proxy is gone") from error
            answer = await self._answer(self._process)
        if "connections" not in answer:
            raise BackendError(f"the proxy cannot: {answer.get('error', 'it is gone')}")
        return int(str(answer["connections"]))

    async def close(self) -> None:
        """End it, and remove its folder."""
        process, self._process = self._process, None
        if self._watch is not None:
            self._watch.cancel()
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        self._place.remove()

    def abandon(self) -> None:
        """Kill it and remove its folder, without waiting: the daemon ends now."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        self._place.remove()

    async def _await_end(self, process: asyncio.subprocess.Process) -> None:
        await process.wait()
        if self._process is process:
            self._process = None
            self._on_end()

    async def _answer(self, process: asyncio.subprocess.Process) -> dict[str, object]:
        assert process.stdout is not None
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                line = await process.stdout.readline()
        except TimeoutError:
            raise BackendError(f"the proxy does not answer within {ANSWER_WITHIN_S:g}s") from None
        answer: dict[str, object] = json.loads(line) if line else {}
        return answer


def upstream_of(address: str) -> str:
    """Return a server's address as the proxy takes it: "unix:PATH" or "tcp:HOST:PORT"."""
    url = urlsplit(address)
    if url.scheme == "unix":
        return f"unix:{unquote(url.path)}"
    return f"tcp:{url.hostname or 'localhost'}:{url.port or PORTS[url.scheme]}"


def client_address(address: str, place: ServerPlace) -> str:
    """Return the address of a server with the proxy in the place of its host: user, path and query stay."""
    url = urlsplit(address)
    if url.scheme == "unix":
        return f"{place.address}?{url.query}" if url.query else place.address
    user, at, _ = url.netloc.rpartition("@")
    return urlunsplit((url.scheme, f"{user}{at}127.0.0.1:{place.port}", url.path, url.query, ""))

"""redis-server: how one is started, and the two questions that the daemon asks one.

The protocol is spoken here: the daemon needs PING and INFO, not the client library.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from soakd.daemon.backends.client import About, no_answer
from soakd.errors import BackendError
from soakd.wire.addresses import PORTS, parameters

EMPTY_BYTES, CLIENT_BYTES, ENTRY_BYTES = 1_000_000, 44_000, 512
"""Used memory of Redis 7, measured: without entries, of a connected client, of an entry of the mixes."""
OWN_CONNECTIONS = 1
VERIFY_MODES = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
NO = ("0", "f", "false", "n", "no")
"""What redis-py takes for a no; everything else is a yes."""
LONGEST_LINE_BYTES = 1 << 20

READINGS: Mapping[str, str] = {"used_memory": "live_bytes", "used_memory_rss": "rss_bytes"}


def command(
    binary: str, socket: str, folder: Path, *, capacity: int, connections: int, args: Sequence[str]
) -> list[str]:
    """Return the command line of a private server: on a socket only its user may use, nothing on disk, bounded.

    It has room for about `capacity` entries of the mixes beside all `connections` to it, and evicts when it is full, as
    a cache in service does; `args` come last and win.
    """
    memory = EMPTY_BYTES + (connections + OWN_CONNECTIONS) * CLIENT_BYTES + capacity * ENTRY_BYTES
    return [
        binary, "--port", "0", "--unixsocket", socket, "--unixsocketperm", "700", "--dir", str(folder), "--save", "",
        "--appendonly", "no", "--daemonize", "no", "--maxmemory", str(memory), "--maxmemory-policy", "allkeys-lru",
        "--loglevel", "warning", *args,
    ]  # fmt: skip


class RedisQuestions:
    """One connection, opened at the first question and again after each failure."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._lock = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self) -> None:
        """PING.

        Raises:
            BackendError: no answer, or something else than an answer.
        """
        await self._command("PING")

    async def about(self) -> About:
        """Read version, pid and run id from INFO.

        Raises:
            BackendError: as for `ask`.
        """
        info = await self._info()
        pid = info.get("process_id", "")
        return About(
            version=info.get("redis_version"), pid=int(pid) if pid.isdecimal() else None, life=info.get("run_id")
        )

    async def read(self) -> Mapping[str, float]:
        """Read used memory, resident memory and processor seconds from INFO.

        Raises:
            BackendError: as for `ask`.
        """
        info = await self._info()
        values = {name: float(info[key]) for key, name in READINGS.items() if info.get(key, "").isdecimal()}
        with contextlib.suppress(KeyError, ValueError):
            values["cpu_s_total"] = round(float(info["used_cpu_sys"]) + float(info["used_cpu_user"]), 3)
        return values

    async def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            writer, self._streams = self._streams[1], None
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _info(self) -> dict[str, str]:
        text = await self._command("INFO")
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line and not line.startswith("#"))

    async def _command(self, *words: str) -> str:
        async with self._lock:
            try:
                if self._streams is None:
                    self._streams = await _connect(self.address)
                return await _exchange(self._streams, words)
            except (OSError, EOFError, ValueError) as error:
                await self.close()
                raise no_answer(self.address, error) from error
            except BaseException:  # a question was given up: its answer must not be taken for the next one's
                await self.close()
                raise


async def _connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect and sign in."""
    url, given = urlsplit(address), parameters(address)
    if url.scheme == "unix":
        streams = await asyncio.open_unix_connection(unquote(url.path), limit=LONGEST_LINE_BYTES)
    else:
        tls = _tls(given) if url.scheme == "rediss" else None
        port = url.port or PORTS[url.scheme]
        streams = await asyncio.open_connection(url.hostname or "localhost", port, ssl=tls, limit=LONGEST_LINE_BYTES)
    user = unquote(url.username or "") or given.get("username", "")
    password = unquote(url.password or "") or given.get("password", "")
    if password:
        try:
            await _exchange(streams, ("AUTH", user, password) if user else ("AUTH", password))
        except BaseException:
            streams[1].transport.abort()
            raise
    return streams


def _tls(given: Mapping[str, str]) -> ssl.SSLContext:
    """Read the parameters of an address as redis-py does, so that daemon and engine trust the same server."""
    context = ssl.create_default_context(cafile=given.get("ssl_ca_certs"), capath=given.get("ssl_ca_path"))
    required = given.get("ssl_cert_reqs", "required")
    context.check_hostname = required != "none" and given.get("ssl_check_hostname", "true").lower() not in NO
    context.verify_mode = VERIFY_MODES[required]
    if "ssl_certfile" in given:
        context.load_cert_chain(given["ssl_certfile"], given.get("ssl_keyfile"), given.get("ssl_password"))
    return context


async def _exchange(streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], words: Sequence[str]) -> str:
    """Send one command and take its answer.

    Raises:
        OSError, EOFError, ValueError: the connection ended, or what came is no answer.
        BackendError: the server answers with an error.
    """
    reader, writer = streams
    parts = [word.encode() for word in words]
    writer.write(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
    await writer.drain()
    head = (await reader.readuntil(b"\r\n"))[:-2].decode("utf-8", "replace")
    if head.startswith("-"):
        raise BackendError(f"redis answers: {head[1:]}")
    if head.startswith("+"):
        return head[1:]
    if not head.startswith("$"):
        raise ValueError(f"not Redis: {head[:40]!r}")
    body = await reader.readexactly(int(head[1:]) + 2)
    return body[:-2].decode("utf-8", "replace")

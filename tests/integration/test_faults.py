"""Faults on purpose, for real: the proxy before any server, and one soak that breaks a Redis, an OPA and a worker."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import psutil
import pytest

from soakd.daemon.backends import redis
from soakd.daemon.backends.private import PrivateServer
from soakd.daemon.backends.server_address import ServerPlace
from soakd.daemon.backends.server_records import ServerRecords
from soakd.daemon.faults.proxies import ProxyProcess
from soakd.daemon.workers.restarts import Harm
from soakd.errors import BackendError
from soakd.record.journal import read_records
from soakd.setup.settings import Supervision
from soakd.wire.records import Record
from tests.servers import on_a_loop, opa_binary

pytestmark = pytest.mark.integration

POLICIES = Path(__file__).parents[2] / "configs" / "policies"
SOON_S = 90.0


@contextlib.asynccontextmanager
async def echo(folder: Path, kind: str) -> AsyncIterator[str]:
    """A server that says everything again; gives its address."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            while said := await reader.read(1 << 16):
                writer.write(said)
                await writer.drain()

    if kind == "unix":
        server = await asyncio.start_unix_server(answer, folder / "s")
        address = f"unix://{folder / 's'}"
    else:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        address = f"redis://me:secret@127.0.0.1:{server.sockets[0].getsockname()[1]}/3"
    try:
        yield address
    finally:
        server.close()
        await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def proxy_before(folder: Path, kind: str) -> AsyncIterator[ProxyProcess]:
    async with echo(folder, kind) as address:
        proxy = ProxyProcess(address, folder / "proxy", lambda: None)
        await proxy.start()
        try:
            yield proxy
        finally:
            await proxy.close()


class Client:
    """One connection through a proxy."""

    def __init__(self, proxy: ProxyProcess) -> None:
        self.address = proxy.address

    async def __aenter__(self) -> Self:
        if self.address.startswith("unix"):
            streams = await asyncio.open_unix_connection(self.address.removeprefix("unix://"))
        else:
            port = int(self.address.rpartition(":")[2].partition("/")[0])
            streams = await asyncio.open_connection("127.0.0.1", port)
        self.reader, self.writer = streams
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    async def say(self, text: bytes, within_s: float = SOON_S) -> bytes:
        self.writer.write(text)
        async with asyncio.timeout(within_s):
            return await self.reader.read(1 << 16)


BOTH = pytest.mark.parametrize("kind", ["unix", "tcp"])


@BOTH
@on_a_loop
async def test_a_proxy_passes_on_and_delays_on_order(tmp_path: Path, kind: str) -> None:
    async with proxy_before(tmp_path, kind) as proxy, Client(proxy) as client:
        assert await client.say(b"one") == b"one"
        assert await proxy.set_mode("latency", 0.3) == 1
        begun_s = time.monotonic()
        assert await client.say(b"two") == b"two"
        assert time.monotonic() - begun_s >= 0.3
        await proxy.set_mode("pass")
        assert await client.say(b"three") == b"three"


@BOTH
@on_a_loop
async def test_what_is_said_in_a_blackhole_arrives_after_it(tmp_path: Path, kind: str) -> None:
    async with proxy_before(tmp_path, kind) as proxy, Client(proxy) as client:
        assert await client.say(b"one") == b"one"
        await proxy.set_mode("blackhole")
        with pytest.raises(TimeoutError):
            await client.say(b"two", within_s=0.5)
        await proxy.set_mode("pass")
        assert await client.say(b"three") in (b"two", b"twothree")


@BOTH
@on_a_loop
async def test_a_reset_ends_every_connection_and_lets_new_ones_in(tmp_path: Path, kind: str) -> None:
    async with proxy_before(tmp_path, kind) as proxy, Client(proxy) as client:
        assert await client.say(b"one") == b"one"
        assert await proxy.set_mode("reset") == 1
        with contextlib.suppress(ConnectionError):
            assert await client.say(b"two") == b""
        await proxy.set_mode("pass")
        async with Client(proxy) as another:
            assert await another.say(b"three") == b"three"


@BOTH
@on_a_loop
async def test_while_it_refuses_it_does_not_listen_and_then_at_the_same_address(tmp_path: Path, kind: str) -> None:
    async with proxy_before(tmp_path, kind) as proxy:
        async with Client(proxy) as client:
            assert await client.say(b"one") == b"one"
            await proxy.set_mode("refuse")
            with pytest.raises(OSError, match=r"refused|No such file|Connect call failed"):
                await Client(proxy).__aenter__()
        await proxy.set_mode("pass")
        async with Client(proxy) as another:
            assert await another.say(b"two") == b"two"


@on_a_loop
async def test_a_proxy_keeps_user_and_database_of_an_address_and_is_gone_when_closed(tmp_path: Path) -> None:
    async with proxy_before(tmp_path, "tcp") as proxy:
        assert proxy.address.startswith("redis://me:secret@127.0.0.1:")
        assert proxy.address.endswith("/3")
        address = proxy.address
    assert not (tmp_path / "proxy").exists()
    with pytest.raises(ConnectionRefusedError), socket.socket() as probe:
        probe.connect(("127.0.0.1", int(address.rpartition(":")[2].partition("/")[0])))
    with pytest.raises(BackendError, match="gone"):
        await proxy.set_mode("pass")


@on_a_loop
async def test_a_server_that_cannot_start_again_after_a_fault_is_given_up_like_any_other(tmp_path: Path) -> None:
    place, told, lives = ServerPlace(tmp_path / "redis", port=False), list[Record](), [1]

    def command() -> list[str]:
        if not lives:
            raise BackendError("the program is gone")
        lives.pop()
        program = shutil.which("redis-server") or "redis-server"
        return redis.command(program, place.socket, place.folder, capacity=10, connections=1, args=())

    server = PrivateServer(
        ServerRecords("redis", "redis", "private", told.append), place, command,
        lambda: redis.RedisQuestions(place.address),
        supervision=Supervision(max_restarts=2, restart_backoff_s=0.01), sample_every_s=1.0, sampling=asyncio.Event(),
    )  # fmt: skip
    tender = asyncio.create_task(server.run())
    async with asyncio.timeout(SOON_S):
        await server.settled.wait()
        assert server.harm(signal.SIGKILL, Harm(fault="kill@redis", at_once=True)) is not None
        await tender
    whats = [record.body["what"] for record in told if record.kind == "incident"]
    assert whats[0] == "server_crash"
    assert whats[-1] == "server_gave_up"
    assert whats.count("server_start_failed") == 3  # the restart of the fault's, and the two that are allowed
    named = {record.body["what"] for record in told if record.body.get("fault") == "kill@redis"}
    assert named == {"server_crash", "server_restart"}


SOAK = f"""
[run]
name = "broken"
duration = "80s"
sample_every = "1s"
collect_every = "5s"
snapshot_every = "off"
controls_off = ["leak"]
[limits]
growth_per_operation = "10kB"
latency_p95 = "30s"
recovery = "30s"
[supervision]
max_restarts = 0
restart_backoff = "100ms"
[[engine]]
name = "redis"
kind = "cache.redis"
role = "subject"
rate = 30
options = {{ capacity = 500, timeout = "5s" }}
[[engine]]
name = "opa"
kind = "policy.opa"
role = "subject"
rate = 20
options = {{ policy = "{POLICIES}/rbac.rego", rule = "data.rbac.allow", binary = "{opa_binary()}", timeout = "5s" }}
[[engine]]
name = "service"
kind = "authorize"
rate = 20
options = {{ policy = "rust", cache = "redis" }}
[[engine]]
name = "rust"
kind = "policy.regorus"
rate = 50
options = {{ policy = "{POLICIES}/rbac.rego", rule = "data.rbac.allow" }}
"""
FAULTS = (
    ("kill", "redis", 1, ""),
    ("stop", "opa", 4, 'duration = "1s"'),
    ("latency", "redis", 8, 'duration = "1s"\nlatency = "50ms"'),
    ("blackhole", "opa", 11, 'duration = "1s"'),
    ("reset", "redis", 14, ""),
    ("refuse", "opa", 17, 'duration = "1s"'),
    ("restart", "redis", 20, ""),
    ("reload-policy", "rust", 23, ""),
    ("kill", "rust", 26, ""),
)


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which every kind of fault happened once."""
    folder = tmp_path_factory.mktemp("broken")
    tables = (f'[[fault]]\nkind = "{k}"\ntarget = "{t}"\nat = "{at}s"\n{more}\n' for k, t, at, more in FAULTS)
    (folder / "soak.toml").write_text(SOAK + "".join(tables), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "soakd", "run", "soak.toml", "--run-dir", "run"], cwd=folder, capture_output=True,
        text=True, check=False, timeout=900,
    )  # fmt: skip
    assert done.returncode in (1, 3, 4), done.stdout + done.stderr
    return folder / "run"


@pytest.fixture(scope="module")
def verdict(broken: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((broken / "verdict.json").read_text(encoding="utf-8"))
    return read


def checks(verdict: dict[str, Any], engine: str) -> dict[str, Any]:
    return {c["id"]: c for e in verdict["engines"] if e["name"] == engine for c in e["checks"]}


@pytest.mark.slow
@pytest.mark.parametrize("fault", [f"{kind}@{target}" for kind, target, *_ in FAULTS])
def test_a_fault_of_every_kind_is_recovered_from_and_measured(verdict: dict[str, Any], fault: str) -> None:
    told = next(one for one in verdict["faults"] if one["name"] == fault)
    assert (told["took_place"], told["verdict"]) == (True, "PASS"), told
    assert 0.0 <= told["recovered_s"] <= 30.0
    assert told["operations"] > 0
    assert checks(verdict, told["target"])[f"recovery.{fault}"]["verdict"] == "PASS"


@pytest.mark.slow
def test_what_breaks_connections_is_noticed(verdict: dict[str, Any]) -> None:
    noticed = {fault["name"] for fault in verdict["faults"] if "detected_s" in fault}
    # a reset between two operations is not among them: the pool just connects again, and nobody has noticed anything
    assert {"kill@redis", "refuse@opa", "restart@redis", "kill@rust", "reload-policy@rust"} <= noticed


@pytest.mark.slow
def test_a_fault_of_a_server_touches_those_who_share_it_and_they_recover_too(verdict: dict[str, Any]) -> None:
    assert checks(verdict, "service")["recovery.kill@redis"]["verdict"] == "PASS"
    assert "service" in next(one for one in verdict["faults"] if one["name"] == "kill@redis")["others"]


@pytest.mark.slow
def test_deaths_on_purpose_are_no_crashes_and_take_no_restart_away(verdict: dict[str, Any]) -> None:
    for engine in ("redis", "opa", "service", "rust"):
        assert checks(verdict, engine)["stability.crashes"]["verdict"] == "PASS", engine
    assert checks(verdict, "redis")["stability.server"]["verdict"] == "PASS"
    whats = [incident["what"] for incident in verdict["incidents"]]
    assert "gave_up" not in whats
    assert "server_gave_up" not in whats
    assert whats.count("fault_begin") == whats.count("fault_end") == len(FAULTS)


@pytest.mark.slow
def test_a_dead_redis_does_not_slow_the_policy_engine(verdict: dict[str, Any]) -> None:
    found = checks(verdict, "opa")["cascade.latency"]
    assert found["faults"] >= 5
    assert found["verdict"] != "FAIL", found


@pytest.mark.slow
def test_every_life_is_recorded_and_every_record_of_a_fault_has_its_name(broken: Path) -> None:
    incidents = list(read_records(broken / "run.db", "incident"))
    deaths = [i for i in incidents if i.body["what"] in ("server_crash", "crash")]
    assert sorted(i.body["fault"] for i in deaths) == ["kill@redis", "kill@rust", "restart@redis"]
    begun = [record for record in read_records(broken / "run.db", "server") if record.engine == "redis"]
    assert [record.segment for record in begun] == [0, 1, 2]


@pytest.mark.slow
def test_nothing_is_left_of_proxies_and_servers(broken: Path) -> None:
    assert not (broken / "servers").exists()
    processes = psutil.process_iter(["cmdline"])
    assert not [process for process in processes if str(broken / "servers") in " ".join(process.info["cmdline"] or ())]


@pytest.mark.slow
def test_a_proxy_does_not_outlive_a_daemon_that_is_killed(tmp_path: Path) -> None:
    table = '[[fault]]\nkind = "reset"\ntarget = "redis"\nat = "20s"\n'
    (tmp_path / "soak.toml").write_text(SOAK + table, encoding="utf-8")
    daemon = subprocess.Popen(
        [sys.executable, "-m", "soakd", "run", "soak.toml", "--run-dir", "run", "--only", "redis"], cwd=tmp_path,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until_s = time.monotonic() + 120.0
        while not (
            proxies := [c for c in psutil.Process(daemon.pid).children() if "proxy.py" in " ".join(c.cmdline())]
        ):
            assert time.monotonic() < until_s, "no proxy was started"
            time.sleep(0.1)
        os.kill(daemon.pid, signal.SIGKILL)
    finally:
        daemon.kill()
        daemon.wait()
    gone, alive = psutil.wait_procs(proxies, timeout=SOON_S)
    assert (len(gone), alive) == (1, [])

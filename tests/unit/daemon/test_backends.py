"""What the daemon knows of servers without starting one: programs, places, protocols, words."""

import asyncio
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from soakd.daemon.backends import Backends, opa, programs, redis
from soakd.daemon.backends.client import About
from soakd.daemon.backends.opa import OpaQuestions
from soakd.daemon.backends.redis import RedisQuestions
from soakd.daemon.backends.server_address import LONGEST_SOCKET_BYTES, ServerPlace
from soakd.errors import BackendError
from tests.conftest import InVirtualTime
from tests.recorded import plan_of
from tests.servers import server_saying


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No project around soakd, and nothing on PATH but one empty folder; returns it."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setattr(programs, "PROJECT", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "bin"


def test_a_missing_opa_names_the_command_that_gets_it(alone: Path) -> None:
    with pytest.raises(
        BackendError, match=r"no OPA 1\.18\.1 in .* or on PATH: CGO_ENABLED=0 go install \S+@v1\.18\.1$"
    ):
        programs.find("opa", {})
    (alone.parent / "tools").mkdir()
    (alone.parent / "tools" / "get-opa.sh").touch()
    with pytest.raises(BackendError, match=r"on PATH: sh \S+/tools/get-opa\.sh$"):
        programs.find("opa", {})
    with pytest.raises(BackendError, match=r"on PATH: sh \S+/tools/get-opa\.sh 1\.2\.3$"):
        programs.find("opa", {"version": "1.2.3"})


def test_opa_is_the_named_one_then_the_projects_then_that_on_path(alone: Path) -> None:
    on_path = script(alone / "opa", "exit 0")
    assert programs.find("opa", {}) == str(on_path)
    own = alone.parent / ".tools" / "opa-1.18.1" / "opa"
    own.parent.mkdir(parents=True)
    script(own, "exit 0")
    assert programs.find("opa", {}) == programs.find("opa", {"version": "any"}) == str(own)
    assert programs.find("opa", {"version": "1.2.3"}) == str(on_path)
    named = script(alone.parent / "mine", "exit 0")
    assert programs.find("opa", {"binary": str(named)}) == str(named)


def test_a_program_that_cannot_be_run_is_refused(alone: Path) -> None:
    (alone.parent / "mine").touch()
    with pytest.raises(BackendError, match=r"binary: \S+/mine: not a program that can be run"):
        programs.find("redis", {"binary": str(alone.parent / "mine")})
    with pytest.raises(BackendError, match=r"no redis-server on PATH: apt-get install .* redis-server$"):
        programs.find("redis", {})


@pytest.mark.parametrize(
    ("says", "message"),
    [
        ("echo Version: 1.17.0", r'mine: is OPA 1\.17\.0, 1\.18\.1 is pinned: .*; or set version = "1\.17\.0"$'),
        ("echo hello", r'mine: does not say which OPA it is .*; or set version = "any"$'),
        ("exit 3", "does not say which OPA it is"),
    ],
)
def test_another_release_than_the_pinned_one_is_refused(alone: Path, says: str, message: str) -> None:
    mine = script(alone.parent / "mine", says)
    with pytest.raises(BackendError, match=message):
        programs.check_version(str(mine), "1.18.1")
    programs.check_version(str(mine), "any")


def test_the_pinned_release_is_accepted(alone: Path) -> None:
    programs.check_version(str(script(alone / "opa", "echo Version: 1.18.1; echo Rego Version: v1")), "v1.18.1")


def test_a_port_is_held_until_the_place_is_gone_and_lets_a_server_in_again_and_again(tmp_path: Path) -> None:
    place = ServerPlace(tmp_path / "servers" / "opa", port=True)
    with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
        stranger.bind(("127.0.0.1", place.port))
    for _ in range(2):
        with socket.create_server(("127.0.0.1", place.port)):
            socket.create_connection(("127.0.0.1", place.port)).close()
    place.remove()
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", place.port))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("length", [10, 200])
def test_a_socket_has_an_address_that_is_short_enough_wherever_its_folder_is(tmp_path: Path, length: int) -> None:
    place = ServerPlace(tmp_path / ("x" * length) / "redis", port=False)
    assert len(os.fsencode(place.socket)) <= LONGEST_SOCKET_BYTES
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(place.socket)
        assert [path.name for path in place.folder.iterdir()] == ["redis.sock"]
    place.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_made_is_an_error_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BackendError, match="file/redis: no place for a server: Not a directory"):
        ServerPlace(tmp_path / "file" / "redis", port=False)


def test_redis_is_bounded_by_capacity_and_connections_and_own_arguments_win(tmp_path: Path) -> None:
    def memory(capacity: int, connections: int) -> int:
        words = redis.command("r", "s", tmp_path, capacity=capacity, connections=connections, args=())
        return int(words[words.index("--maxmemory") + 1])

    assert memory(2_000, 16) - memory(1_000, 16) == 512_000
    assert memory(1_000, 32) > memory(1_000, 16) > 1_000 * 512
    words = redis.command("r", "s", tmp_path, capacity=1, connections=1, args=["--maxmemory", "5gb"])
    assert words[-2:] == ["--maxmemory", "5gb"]


def test_opa_starts_with_every_module_and_the_data_even_with_colons_in_their_names(tmp_path: Path) -> None:
    (tmp_path / "a:b.rego").write_text("package a", encoding="utf-8")
    (tmp_path / "a_test.rego").write_text("package a", encoding="utf-8")
    words = opa.command("opa", 5, {"policy": [str(tmp_path)], "data": "/d.json", "args": ["--pprof"]})
    assert words[words.index("--addr") + 1] == "127.0.0.1:5"
    assert words[-3:] == ["--pprof", f"file://{tmp_path}/a:b.rego", "/d.json"]
    with pytest.raises(BackendError, match='option "policy" must be given'):
        opa.command("opa", 5, {"rule": "data.a"})


Answer = Callable[[bytes], bytes | None]


def with_server(answer: Answer, ask: Callable[[str], Any]) -> Any:
    """Ask a server that answers each chunk it reads as told; None closes the connection."""

    async def say(writer: asyncio.StreamWriter, data: bytes) -> None:
        said = answer(data)
        writer.close() if said is None else writer.write(said)

    async def main() -> Any:
        async with server_saying(say) as port:
            return await ask(f"127.0.0.1:{port}")

    return asyncio.run(main())


INFO = b"# Server\r\nredis_version:7.0.15\r\nprocess_id:42\r\nrun_id:abc\r\nused_memory:900\r\nused_memory_rss:3000\r\n"
INFO += b"used_cpu_sys:0.25\r\nused_cpu_user:0.5\r\n"


def redis_says(data: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(INFO), INFO) if b"INFO" in data else b"+PONG\r\n"


def test_redis_reports_version_pid_and_memory() -> None:
    async def ask(place: str) -> tuple[About, Any]:
        client = RedisQuestions(f"redis://{place}")
        await client.ask()
        told = await client.about(), await client.read()
        await client.close()
        return told

    about, values = with_server(redis_says, ask)
    assert about == About(version="7.0.15", pid=42, life="abc")
    assert values == {"live_bytes": 900.0, "rss_bytes": 3000.0, "cpu_s_total": 0.75}


@pytest.mark.parametrize(
    ("address", "sent"),
    [
        ("redis://:pass%40word@{}", b"*2\r\n$4\r\nAUTH\r\n$9\r\npass@word\r\n"),
        ("redis://me:pw@{}/3", b"*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$2\r\npw\r\n"),
    ],
)
def test_redis_is_signed_in_to_before_the_first_question(address: str, sent: bytes) -> None:
    heard: list[bytes] = []

    async def ask(place: str) -> None:
        client = RedisQuestions(address.format(place))
        await client.ask()
        await client.close()

    def say(data: bytes) -> bytes:
        heard.append(data)
        return b"+OK\r\n"

    with_server(say, ask)
    assert heard == [sent, b"*1\r\n$4\r\nPING\r\n"]


@pytest.mark.parametrize(
    ("says", "message"),
    [
        (b"-NOAUTH Authentication required.\r\n", "redis answers: NOAUTH Authentication required."),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not Redis: 'HTTP/1.1 400 Bad Request'"),
        (b"$x\r\n", "invalid literal"),
        (None, "bytes read"),
    ],
)
def test_what_is_no_answer_of_redis_is_said_and_the_next_question_gets_a_new_connection(
    says: bytes | None, message: str
) -> None:
    told = iter([says])

    async def ask(place: str) -> str:
        client = RedisQuestions(f"redis://{place}")
        with pytest.raises(BackendError, match=message) as caught:
            await client.ask()
        await client.ask()
        await client.close()
        return str(caught.value)

    assert "\n" not in with_server(lambda _: next(told, b"+PONG\r\n"), ask)


def http(text: str, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()


METRICS = """# HELP go_memstats_next_gc_bytes x
# TYPE go_memstats_next_gc_bytes gauge
go_memstats_next_gc_bytes 5.0e+06
go_threads 7
process_start_time_seconds 12.5
http_request_duration_seconds_sum{code="200"} 1
process_resident_memory_bytes
"""


def test_the_live_bytes_of_opa_are_half_of_where_it_collects_next_and_what_it_does_not_report_is_absent() -> None:
    async def ask(place: str) -> Any:
        client = OpaQuestions(f"http://{place}/")
        told = await client.read(), (await client.about()).life
        await client.close()
        return told

    assert with_server(lambda _: http(METRICS), ask) == ({"live_bytes": 2.5e6, "threads": 7.0}, "12.5")


def test_a_server_that_answers_and_is_not_opa_reports_nothing_and_is_no_error() -> None:
    async def ask(place: str) -> Any:
        client = OpaQuestions(f"http://{place}")
        told = await client.read(), await client.about(), await client.has_rule("data.a.b")
        await client.close()
        return told

    assert with_server(lambda _: http("no", "404 Not Found"), ask) == ({}, About(), None)


WRITTEN = r"""# METADATA
# {"scope":"package","title":"package x"}
package p.q["x-y"]

import rego.v1
import data.foo as bar

# METADATA
# {"scope":"rule"}
default allow := false
allow = true if { input.x = 1 } else = "b\nc" if { input.y }
a.b["c-\"d\\"].e[__local7__] := 1 if { __local7__ = input.q[__local6__] }
has contains __local1__ if { __local1__ = input.q[_] }
f(__local11__) := __local19__ if { plus(__local11__, 1, __local19__) }
s := "raw\npackage evil\nstring" if { true }"""


@pytest.mark.parametrize(
    ("written", "rule", "there"),
    [
        (WRITTEN, "data.p.q.x-y.allow", True),
        (WRITTEN, "data.p.q.x-y.f", True),
        (WRITTEN, "data.p.q.x-y.has", True),
        (WRITTEN, "data.p.q.x-y", True),
        (WRITTEN, 'data.p.q.x-y.a.b.c-"d\\.e.any', True),
        (WRITTEN, "data.p.q.x-y.a.b.other", False),
        (WRITTEN, "data.p.q.x-y.allowed", False),
        (WRITTEN, "data.p.q.x-y.bar", False),
        (WRITTEN, "data.p.q.z.allow", False),
        (WRITTEN, "data.evil.string", False),
        ("package p\n", "data.p.allow", False),
        ("", "data.p.allow", None),
        ("package p\n\nallowed-ish = 3", "data.p.allowed", None),
        ("allow = true", "data.p.allow", None),
        ("package p.q[1]\n\nallow = true", "data.p.allow", None),
        ('package p\n\n"allow" = true', "data.p.allow", None),
        ('package p["\\x00"]\n\nallow = true', "data.p.allow", None),
    ],
)
def test_a_rule_is_found_in_a_policy_that_an_opa_of_go_1_27_lists_as_rego(
    written: str, rule: str, there: bool | None
) -> None:
    async def ask(place: str) -> bool | None:
        client = OpaQuestions(f"http://{place}")
        try:
            return await client.has_rule(rule)
        finally:
            await client.close()

    told = json.dumps({"result": [{"id": "p", "ast": written}]})
    assert with_server(lambda said: http(told if b"/v1/policies" in said else "{}"), ask) is there


def test_a_server_that_is_not_healthy_does_not_answer() -> None:
    async def ask(place: str) -> None:
        client = OpaQuestions(f"http://{place}")
        try:
            await client.ask()
        finally:
            await client.close()

    with pytest.raises(BackendError, match="/health: HTTP 500"):
        with_server(lambda _: http("{}", "500 Internal Server Error"), ask)
    with pytest.raises(BackendError, match=r"^http://127\.0\.0\.1:\d+: "):
        with_server(lambda _: None, ask)


@pytest.mark.parametrize("address", ["redis://:secret@127.0.0.1:9", "http://me:secret@127.0.0.1:9"])
def test_no_error_shows_a_password(address: str) -> None:
    async def ask() -> None:
        client = RedisQuestions(address) if address.startswith("redis") else OpaQuestions(address)
        try:
            await client.ask()
        finally:
            await client.close()

    with pytest.raises(BackendError, match=r"^\w+://127\.0\.0\.1:9: ") as caught:
        asyncio.run(ask())
    assert "secret" not in str(caught.value)


def test_a_run_that_ends_does_not_wait_for_servers_that_never_answer(
    tmp_path: Path, in_virtual_time: InVirtualTime[Any]
) -> None:
    class Silent:
        settled = asyncio.Event()

    async def wait() -> float:
        servers, ends = Backends(plan_of(), lambda record: None, tmp_path), asyncio.Event()
        loop = asyncio.get_running_loop()
        servers.servers["mine"] = Silent()  # type: ignore[assignment]
        loop.call_later(5.0, ends.set)
        await servers.settled(ends)
        return loop.time()

    assert in_virtual_time(wait()) == 5.0

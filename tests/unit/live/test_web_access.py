"""Who may change something through the HTTP interface, and what strangers can do to it: nothing."""

import asyncio
import contextlib
import os
import random
import resource
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from soakd.errors import JournalError
from soakd.live.web import connections
from soakd.live.web.server import Controls, serve
from soakd.record.run_folder import RunDir
from tests.showing import ORIGIN_S, status_in_load

TOKEN = "0123456789abcdef-right"
STOP = "/api/v1/stop"
Visit = Callable[[str, int], Awaitable[None]]


def visit(visitor: Visit, token: str | None = TOKEN) -> int:
    """Let somebody in; returns how often the run was stopped."""
    stops: list[None] = []

    async def run() -> None:
        controls = Controls(token=token, stop=lambda: stops.append(None))
        serving, port = await serve(status_in_load(), "127.0.0.1", 0, lambda: ORIGIN_S + 60.0, controls)
        try:
            await asyncio.wait_for(visitor(f"http://127.0.0.1:{port}", port), 120.0)
        finally:
            await serving.cleanup()

    asyncio.run(run())
    return len(stops)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a thousand times, of a thousand files: names are enough


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_who_has_the_token_may_stop_the_run() -> None:
    async def visitor(url: str, _: int) -> None:
        async with aiohttp.ClientSession() as client, client.post(url + STOP, headers=bearer(TOKEN)) as answer:
            assert (answer.status, await answer.json()) == (202, {"stopping": True})

    assert visit(visitor) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {}, bearer(""), bearer("wrong"), bearer(TOKEN[:-1]), bearer(TOKEN + "x"), bearer(TOKEN.upper()),
        {"Authorization": TOKEN}, {"Authorization": f"Basic {TOKEN}"}, {"Authorization": "Bearer"},
        {"X-Token": TOKEN}, {"Cookie": f"token={TOKEN}"},
    ],
)  # fmt: skip
def test_without_the_token_nothing_is_changed(headers: dict[str, str]) -> None:
    async def visitor(url: str, _: int) -> None:
        async with aiohttp.ClientSession() as client:
            async with client.post(url + STOP, headers=headers, data=b"x" * 1_000_000) as answer:
                assert answer.status == 401
                assert answer.headers["WWW-Authenticate"] == "Bearer"
                assert TOKEN not in await answer.text()
            async with client.post(f"{url}{STOP}?token={TOKEN}", headers=headers) as answer:
                assert answer.status == 401

    assert visit(visitor) == 0


def test_a_run_without_a_token_can_be_stopped_by_nobody() -> None:
    async def visitor(url: str, _: int) -> None:
        async with aiohttp.ClientSession() as client, client.post(url + STOP, headers=bearer("None")) as answer:
            assert answer.status == 401

    assert visit(visitor, token=None) == 0


def test_a_thousand_strange_requests_have_plain_answers_and_no_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "FIRST_REQUEST_WITHIN_S", 0.3)  # what never ends its request is waited for
    rng = random.Random(7)
    # fmt: off
    methods = [
        "GET",
        "HEAD",
        "POST",
        "PUT",
        "DELETE",
        "PATCH",
        "OPTIONS",
        "TRACE",
        "CONNECT",
        "get",
        "X" * 50,
        "\x00",
        *["POST"] * 6,
    ]
    paths = [
        "/", "/metrics", "/healthz", STOP, STOP + "/", "//api/v1/stop", "/api/v1/../v1/stop", "/api/v1/stop%00",
        "/%2e%2e/%2e%2e/etc/passwd", "/" + "a" * 3000, "/" + "a" * 9000, "*", "http://other/metrics", "/\xff", "",
        "/?" + "x=1&" * 500, "/api/v1/engines/%27%3B--/series", *[STOP] * 8,
    ]  # fmt: skip
    headers = [
        b"", b"Host: localhost\r\n", b"Authorization: Bearer wrong\r\n", b"Authorization: Bearer \xff\xfe\r\n",
        b"Authorization: \r\n", b"Content-Length: -1\r\n", b"Content-Length: 99999999999\r\n", b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n", b"X: " + b"y" * 9000 + b"\r\n", b"no colon\r\n", b"Expect: 100-continue\r\n",
        b"Upgrade: websocket\r\nConnection: Upgrade\r\n", b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    ]  # fmt: skip
    bodies = [b"", b"{}", b'{"deep": true}', b"zz\r\n", b"5\r\nhello\r\n0\r\n\r\n", bytes(range(256))]
    seen: set[int] = set()
    at_once = asyncio.Semaphore(50)

    async def one(port: int, request: bytes) -> None:
        async with at_once:
            await ask(port, request)

    async def ask(port: int, request: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(request)
            await writer.drain()
            line = await asyncio.wait_for(reader.readline(), 60.0)
            if line:
                seen.add(int(line.split()[1]))
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()

    async def visitor(url: str, port: int) -> None:
        requests = []
        for _ in range(1000):
            words = rng.choice(methods), rng.choice(paths), rng.choice(["HTTP/1.1", "HTTP/1.0", "HTTP/9", ""])
            request = " ".join(words).encode("latin-1") + b"\r\n"
            requests.append(request + b"".join(rng.sample(headers, rng.randint(0, 3))) + b"\r\n" + rng.choice(bodies))
        await asyncio.gather(*(one(port, request) for request in requests))
        async with aiohttp.ClientSession() as client, client.get(f"{url}/healthz") as answer:
            assert (answer.status, await answer.text()) == (200, "ok\n")

    assert visit(visitor) == 0
    assert seen <= {200, 400, 401, 404, 405, 413, 414, 417, 431}, "nothing strange makes an error of ours"
    assert {200, 400, 401, 404, 405} <= seen


def test_a_thousand_connections_take_a_bounded_share_of_the_daemon_s_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "FIRST_REQUEST_WITHIN_S", 3.0)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most_files = min(hard, 4096)
    many = min(1000, most_files // 2 - 200)
    assert many > 2 * connections.MOST_CONNECTIONS, f"both ends are in this process, which may have {hard} files"

    async def visitor(url: str, port: int) -> None:
        before = open_files()
        most, held = 0, []
        for _ in range(many):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /metrics HTTP/1.1\r\nX-Slow:")  # and never more
            held.append(writer)
            most = max(most, open_files() - before - len(held))
        assert most <= connections.MOST_CONNECTIONS + 50, "those that wait to be turned away, and those that are served"
        for writer in held:
            writer.transport.abort()
        for _ in range(600):  # slow ones are dropped, and others served again
            try:
                async with aiohttp.ClientSession() as client, client.get(f"{url}/healthz") as answer:
                    assert answer.status == 200
                    return
            except aiohttp.ClientError:
                await asyncio.sleep(0.1)
        raise AssertionError("nobody is served any more")

    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most_files), hard))
    try:
        assert visit(visitor) == 0
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_slow_client_is_dropped_and_a_quick_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "FIRST_REQUEST_WITHIN_S", 0.2)

    async def visitor(url: str, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /healthz HT")
        async with aiohttp.ClientSession() as client:
            async with client.get(f"{url}/healthz") as answer:
                assert answer.status == 200
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            async with client.get(f"{url}/healthz") as answer:
                assert answer.status == 200
        writer.transport.abort()

    visit(visitor)


def test_a_token_is_made_once_for_its_user_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        token = RunDir(tmp_path).token()
    finally:
        os.umask(before)
    file = tmp_path / "token"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(token) >= 32
    assert RunDir(tmp_path).token() == token == file.read_text(encoding="ascii").strip()


def test_a_credential_of_the_service_manager_is_taken_and_not_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials, run = tmp_path / "credentials", tmp_path / "run"
    credentials.mkdir()
    run.mkdir()
    (credentials / "token").write_text("given-by-the-administrator\n", encoding="utf-8")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    assert RunDir(run).token() == "given-by-the-administrator"
    assert list(run.iterdir()) == []


def test_a_token_that_can_be_guessed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n", encoding="utf-8")
    with pytest.raises(JournalError, match="at least 16"):
        RunDir(tmp_path).token()


async def asked(port: int, request: bytes) -> asyncio.StreamWriter:
    """Send a request and wait for the first line of its answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    await reader.readline()
    return writer


def test_health_and_metrics_answer_while_more_clients_listen_to_events_than_there_are_connections() -> None:
    async def visitor(url: str, port: int) -> None:
        reader = [
            await asked(port, b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            for _ in range(connections.MOST_CONNECTIONS + 50)
        ]
        for path in ("/healthz", "/metrics"):
            async with aiohttp.ClientSession() as client, client.get(url + path) as answer:
                assert answer.status == 200
        for writer in reader:
            writer.transport.abort()

    visit(visitor)


@pytest.mark.parametrize(
    "quiet", [b"", b"GET /healthz HT", b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nunread",
              b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"],
)  # fmt: skip
def test_a_newcomer_takes_the_place_of_who_was_quiet_longest_and_never_of_who_is_told_events(
    monkeypatch: pytest.MonkeyPatch, quiet: bytes
) -> None:
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 3)

    async def visitor(url: str, port: int) -> None:
        told, listener = await asyncio.open_connection("127.0.0.1", port)
        listener.write(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200" in await told.readline()
        held = []
        for _ in range(5):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(quiet)
            held.append(writer)
            async with aiohttp.ClientSession() as client, client.get(f"{url}/healthz") as answer:
                assert answer.status == 200
        assert b"event: state" in await told.readuntil(b"event: state")
        for writer in [listener, *held]:
            writer.transport.abort()

    visit(visitor)


def test_a_client_that_goes_in_the_middle_of_its_request_leaves_its_place_at_once() -> None:
    async def run() -> None:
        serving, port = await serve(status_in_load(), "127.0.0.1", 0, lambda: ORIGIN_S + 60.0)
        for body in (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel", b"Content-Length: 900\r\n\r\nhel"):
            writer = await asked(port, b"GET / HTTP/1.1\r\nHost: localhost\r\n" + body)
            assert serving.connections == 1
            writer.transport.abort()
            for _ in range(100):  # turns of the loop, which take no time
                await asyncio.sleep(0)
            assert serving.connections == 0
        await serving.cleanup()

    asyncio.run(run())


def test_what_was_asked_for_with_the_token_is_done_even_where_the_client_goes_meanwhile() -> None:
    begun, go_on, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def take(_name: str, _deep: bool) -> tuple[int, dict[str, str]]:
        begun.set()
        await go_on.wait()
        done.set()
        return 200, {}

    async def run() -> None:
        controls = Controls(token=TOKEN, snapshot=take)
        serving, port = await serve(status_in_load(), "127.0.0.1", 0, lambda: ORIGIN_S + 60.0, controls)
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST /api/v1/engines/any/snapshot HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
        writer.write(head.encode())
        await begun.wait()
        writer.transport.abort()
        for _ in range(100):
            await asyncio.sleep(0)
        assert serving.connections == 0
        go_on.set()
        await done.wait()
        await serving.cleanup()

    asyncio.run(run())

"""The HTTP server of a run."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import aiohttp
import pytest

from soakd import metrics
from soakd.errors import PreflightError
from soakd.web.server import serve
from tests.showing import ORIGIN_S, status_in_load

Visit = Callable[[aiohttp.ClientSession, str], Awaitable[None]]


def visit(visitor: Visit) -> None:
    async def run() -> None:
        runner, port = await serve(status_in_load(), "127.0.0.1", 0, lambda: ORIGIN_S + 60.0)
        try:
            async with aiohttp.ClientSession() as client:
                await visitor(client, f"http://127.0.0.1:{port}")
        finally:
            await runner.cleanup()

    asyncio.run(run())


def test_metrics_are_served_as_they_are_rendered() -> None:
    async def visitor(client: aiohttp.ClientSession, url: str) -> None:
        async with client.get(f"{url}/metrics") as answer:
            assert answer.status == 200
            assert answer.headers["Content-Type"] == metrics.CONTENT_TYPE
            assert await answer.read() == metrics.render(status_in_load(), ORIGIN_S + 60.0)

    visit(visitor)


def test_the_first_page_names_the_run_and_the_others() -> None:
    async def visitor(client: aiohttp.ClientSession, url: str) -> None:
        async with client.get(url) as answer:
            text = await answer.text()
            assert answer.status == 200
        assert "20260601-quick" in text
        for path in ("/metrics", "/healthz"):
            assert path in text
            async with client.get(url + path) as answer:
                assert answer.status == 200

    visit(visitor)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/metrics", 405), ("DELETE", "/", 405), ("GET", "/nothing", 404), ("GET", "/../../etc/passwd", 404)],
)
def test_what_is_not_offered_is_refused_in_a_word(method: str, path: str, status: int) -> None:
    async def visitor(client: aiohttp.ClientSession, url: str) -> None:
        async with client.request(method, url + path) as answer:
            assert answer.status == status
            assert "Traceback" not in await answer.text()

    visit(visitor)


def test_a_header_without_end_is_refused_and_the_next_visitor_served() -> None:
    async def visitor(client: aiohttp.ClientSession, url: str) -> None:
        async with client.get(url, headers={"X-Long": "x" * 100_000}) as answer:
            assert answer.status == 400
        async with client.get(f"{url}/healthz") as answer:
            assert await answer.text() == "ok\n"

    visit(visitor)


def test_an_occupied_port_is_named_with_what_to_change() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PreflightError) as refusal:
            asyncio.run(serve(status_in_load(), "127.0.0.1", port, lambda: 0.0))
    assert str(refusal.value) == f"127.0.0.1:{port}: address in use: choose http.port (0 = any)"


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_that_is_not_ours_is_named_with_what_to_change(host: str) -> None:
    with pytest.raises(PreflightError, match=r"^" + host + r":0: cannot listen: .*choose http\.host"):
        asyncio.run(serve(status_in_load(), host, 0, lambda: 0.0))

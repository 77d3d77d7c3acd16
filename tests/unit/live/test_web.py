"""The HTTP server of a run."""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
import yarl

from soakd.errors import PreflightError
from soakd.live import metrics
from soakd.live.web.server import serve
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


def test_the_page_needs_nothing_from_elsewhere_and_every_file_that_it_names_is_there() -> None:
    async def visitor(client: aiohttp.ClientSession, url: str) -> None:
        async with client.get(url) as answer:
            assert (answer.status, answer.content_type) == (200, "text/html")
            rules = answer.headers["Content-Security-Policy"]
            text = await answer.text()
        assert "default-src 'none'" in rules
        assert "unsafe" not in rules
        named = set(re.findall(r'(?:href|src)="([^"#][^"]*)"', text))
        assert {"/page/main.js", "/page/uPlot.LICENSE.txt", "/metrics", "/api/v1"} <= named
        assert not any("//" in path for path in named)
        for path in sorted(named | await imported(client, url, "/page/main.js")):
            async with client.get(url + path) as answer:
                assert answer.status in ((200, 404) if path == "/api/v1/verdict" else (200,)), path

    visit(visitor)


async def imported(client: aiohttp.ClientSession, url: str, path: str) -> set[str]:
    """The modules that a module asks for, and those that they do."""
    found, todo = set[str](), [path]
    while todo:
        async with client.get(url + todo.pop()) as answer:
            assert answer.content_type == "text/javascript"
            asked = set(re.findall(r'^import .* from "([^"]+)"', await answer.text(), re.MULTILINE))
        todo += asked - found
        found |= asked
    return found


def test_a_file_of_the_page_that_has_not_changed_is_not_sent_again() -> None:
    async def visitor(client: aiohttp.ClientSession, url: str) -> None:
        async with client.get(f"{url}/page/page.css") as answer:
            etag = answer.headers["ETag"]
        async with client.get(f"{url}/page/page.css", headers={"If-None-Match": etag}) as answer:
            assert (answer.status, await answer.read()) == (304, b"")

    visit(visitor)


@pytest.mark.parametrize(
    "path", ["/page/", "/page/index.py", "/page/..%2fserver.py", "/page/%2e%2e/api.py", "/page/x.js"]
)
def test_only_the_files_of_the_page_are_served(path: str) -> None:
    async def visitor(client: aiohttp.ClientSession, url: str) -> None:
        async with client.get(yarl.URL(url + path, encoded=True)) as answer:
            assert answer.status == 404

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

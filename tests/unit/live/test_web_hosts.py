"""Under which names a run may be asked for, and who may read one that is private."""

import asyncio
import base64
import os
from collections.abc import Mapping

import aiohttp
import pytest

from soakd.live.web.hosts import REFUSAL, Hosts
from soakd.live.web.server import Controls, serve
from soakd.setup.settings import Http
from tests.showing import ORIGIN_S, status_in_load

TOKEN = "0123456789abcdef-right"
READ = ("/", "/page/main.js", "/api/v1", "/api/v1/run", "/api/v1/events", "/api/v1/verdict", "/nothing/there")
OPEN = ("/metrics", "/healthz")


def basic(password: str) -> str:
    return f"Basic {base64.b64encode(f'anybody:{password}'.encode()).decode()}"


PASSWORD = basic(TOKEN)


def answers(http: Http, *asked: tuple[str, str, Mapping[str, str]]) -> tuple[list[tuple[int, str]], int]:
    """Ask a run that is served so; returns each status with the begin of the answer, and how often it was stopped."""
    stops: list[None] = []

    async def run() -> list[tuple[int, str]]:
        controls = Controls(token=TOKEN, stop=lambda: stops.append(None), http=http)
        serving, port = await serve(status_in_load(), "127.0.0.1", 0, lambda: ORIGIN_S + 60.0, controls)
        found = []
        try:
            async with aiohttp.ClientSession() as client:
                for method, path, headers in asked:
                    url = f"http://127.0.0.1:{port}{path}"
                    async with client.request(method, url, headers=headers) as answer:
                        found.append((answer.status, (await answer.content.read(500)).decode()))
        finally:
            await serving.cleanup()
        return found

    return asyncio.run(asyncio.wait_for(run(), 60.0)), len(stops)


@pytest.mark.parametrize("path", [*READ, *OPEN])
def test_a_page_of_another_name_reads_nothing(path: str) -> None:
    (status, text), *_ = answers(Http(), ("GET", path, {"Host": "evil.example:80"}))[0]
    assert status == 421
    assert REFUSAL in text


def test_a_page_of_another_name_changes_nothing_even_with_the_token() -> None:
    headers = {"Host": "evil.example", "Authorization": f"Bearer {TOKEN}"}
    found, stops = answers(Http(), ("POST", "/api/v1/stop", headers))
    assert (found[0][0], stops) == (421, 0)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9109", "localhost.", "127.0.0.1:1", "127.1.2.3", "[::1]:80"])
def test_this_host_alone_may_be_asked_for_by_its_own_names(host: str) -> None:
    assert Hosts("127.0.0.1").allow([host])


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.5", "", "[", "@"]
)
def test_other_names_and_addresses_are_not_this_host(host: str) -> None:
    assert not Hosts("127.0.0.1").allow([host])
    assert not Hosts("localhost").allow(["localhost", host])


def test_a_configured_name_is_one() -> None:
    assert Hosts("127.0.0.1", ["Soak.Example.com"]).allow(["soak.example.com:443"])
    assert answers(Http(hosts=("soak.example.com",)), ("GET", "/healthz", {"Host": "soak.example.com"}))[0][0][0] == 200


@pytest.mark.parametrize("host", ["10.0.0.5:9109", "[fe80::1]:9109", os.uname().nodename, "localhost", "0.0.0.0:9109"])
def test_who_listens_on_every_address_is_asked_for_by_any_and_by_its_own_name(host: str) -> None:
    assert Hosts("0.0.0.0").allow([host])
    assert not Hosts("0.0.0.0").allow(["evil.example"])


def test_a_request_without_the_header_comes_from_no_browser() -> None:
    assert Hosts("127.0.0.1").allow([])


@pytest.mark.parametrize("path", READ)
def test_of_a_private_run_nothing_is_read_without_the_token(path: str) -> None:
    wrong = (basic("wrong"), "Basic %", "Bearer wrong", PASSWORD.replace("Basic", "Other"))
    found, _ = answers(Http(private=True), ("GET", path, {}), *(("GET", path, {"Authorization": w}) for w in wrong))
    assert [status for status, _ in found] == [401] * 5
    assert "this run is private" in found[0][1]


@pytest.mark.parametrize("authorization", [PASSWORD, f"Bearer {TOKEN}"])
def test_who_has_the_token_reads_a_private_run_with_a_browser_or_without(authorization: str) -> None:
    asked = [("GET", path, {"Authorization": authorization}) for path in ("/", "/page/main.js", "/api/v1/run")]
    found, _ = answers(Http(private=True), *asked)
    assert [status for status, _ in found] == [200] * 3


def test_metrics_and_health_of_a_private_run_stay_open() -> None:
    found, _ = answers(Http(private=True), *(("GET", path, {}) for path in OPEN))
    assert [status for status, _ in found] == [200] * 2


def test_a_password_that_a_browser_sends_by_itself_changes_nothing() -> None:
    found, stops = answers(Http(private=True), ("POST", "/api/v1/stop", {"Authorization": PASSWORD}))
    assert (found[0][0], stops) == (401, 0)


def test_without_the_key_reading_stays_open() -> None:
    assert answers(Http(), ("GET", "/api/v1/run", {}))[0][0][0] == 200

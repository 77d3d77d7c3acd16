"""`/api/v1`: what docs/api.md promises of each answer."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from soakd.live.status import RunStatus
from soakd.live.web import events
from soakd.live.web.api import RESOURCES
from soakd.live.web.server import Serving, serve
from soakd.record import verdict_file
from soakd.record.run_folder import RunDir
from tests.showing import ORIGIN_S, incident, phase, plan, record, sample, status_in_load

ROOT = Path(__file__).parents[3]
ENGINE = "cache-rust"
Ask = Callable[[str], Awaitable[tuple[int, Any]]]


def asking(visitor: Callable[[Ask], Awaitable[None]], status: RunStatus | None = None, **more: Any) -> None:
    async def run() -> None:
        serving, port = await serve(status or status_in_load(), "127.0.0.1", 0, lambda: ORIGIN_S + 60.0, **more)
        try:
            async with aiohttp.ClientSession() as client:

                async def ask(path: str) -> tuple[int, Any]:
                    async with client.get(f"http://127.0.0.1:{port}{path}") as answer:
                        assert answer.headers["Content-Type"].startswith("application/json")
                        return answer.status, json.loads(await answer.read())

                await visitor(ask)
        finally:
            await serving.cleanup()

    asyncio.run(run())


def test_the_run_says_how_it_stands_and_why() -> None:
    async def visitor(ask: Ask) -> None:
        _, run = await ask("/api/v1/run")
        assert (run["run"], run["state_so_far"], run["summary"]) == (
            "20260601-quick",
            "INCONCLUSIVE",
            "62% of the plan seen",
        )
        assert (run["elapsed_s"], run["planned_s"], run["phase"]) == (60.0, 180.0, "load")
        assert [one["name"] for one in run["phases"]] == ["baseline", "load", "drain", "reload", "close"]

    asking(visitor)


def test_engines_come_in_the_plan_s_order_with_what_is_known_of_each() -> None:
    async def visitor(ask: Ask) -> None:
        _, found = await ask("/api/v1/engines")
        names = [engine["name"] for engine in found["engines"]]
        assert names == [ENGINE, "cache-python", "control-null", "control-leak"]
        _, one = await ask(f"/api/v1/engines/{ENGINE}")
        assert one == found["engines"][0]
        assert one["signals"]["reachable_bytes"] == "bytes"
        assert one["checks"][0]["id"] == "growth.reachable_bytes"

    asking(visitor)


def test_a_series_has_no_more_points_than_asked_for() -> None:
    async def visitor(ask: Ask) -> None:
        path = f"/api/v1/engines/{ENGINE}/series?signal=rss_bytes,fds&signal=rate_per_s&points=10"
        _, found = await ask(path)
        assert set(found["signals"]) == {"rss_bytes", "fds", "rate_per_s"}
        for series in found["signals"].values():
            lengths = {len(series[name]) for name in ("t_s", "least", "greatest", "last")}
            assert len(lengths) == 1
            assert 1 <= lengths.pop() <= 10
        assert found["signals"]["rss_bytes"]["unit"] == "bytes"
        _, recent = await ask(f"/api/v1/engines/{ENGINE}/series?signal=rss_bytes&span=recent&points=5")
        assert recent["signals"]["rss_bytes"]["t_s"] == [56.5, 57.5, 58.5, 59.5, 60.5]
        _, own = await ask("/api/v1/own/series?signal=rss_bytes")
        assert own["signals"]["rss_bytes"]["last"][-1] == 38_000_000

    asking(visitor)


def test_without_a_signal_every_series_comes_and_one_without_a_reading_is_left_out() -> None:
    async def visitor(ask: Ask) -> None:
        _, found = await ask(f"/api/v1/engines/{ENGINE}/series")
        assert {"rss_bytes", "reachable_bytes", "service_p95_s", "rate_per_s"} <= set(found["signals"])
        _, none = await ask(f"/api/v1/engines/{ENGINE}/series?signal=no_such_signal")
        assert none["signals"] == {}

    asking(visitor)


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        (f"/api/v1/engines/{ENGINE}/series?points=0", 400, "1 to 512"),
        (f"/api/v1/engines/{ENGINE}/series?points=513", 400, "1 to 512"),
        (f"/api/v1/engines/{ENGINE}/series?points=many", 400, "'many'"),
        (f"/api/v1/engines/{ENGINE}/series?points=%C2%B2", 400, "whole number"),
        (f"/api/v1/engines/{ENGINE}/series?points=9999999999999999999999", 400, "whole number"),
        (f"/api/v1/engines/{ENGINE}/series?span=all", 400, "whole, recent"),
        ("/api/v1/engines/nobody", 404, "cache-rust, cache-python"),
        ("/api/v1/engines/nobody/series", 404, "no engine 'nobody'"),
        ("/api/v1/verdict", 404, "no verdict"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_with_the_reason(path: str, status: int, says: str) -> None:
    async def visitor(ask: Ask) -> None:
        code, answer = await ask(path)
        assert code == status
        assert says in answer["error"]

    asking(visitor)


def test_the_verdict_is_the_file_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "verdict.json"
    written = verdict_file.write(RunDir(tmp_path), {"verdict": "FAIL", "summary": "a leak"})

    async def visitor(ask: Ask) -> None:
        assert await ask("/api/v1/verdict") == (200, written)
        file.write_text(file.read_text(encoding="utf-8").replace("FAIL", "PASS"), encoding="utf-8")
        status, refusal = await ask("/api/v1/verdict")
        assert (status, "changed after it was written" in refusal["error"]) == (404, True)
        file.unlink()
        assert (await ask("/api/v1/verdict"))[0] == 404

    asking(visitor, verdict=file)


def test_incidents_are_listed_with_how_many_there_were() -> None:
    status = status_in_load()
    status.fold([incident(ENGINE, "operation_error", 10.0 + number) for number in range(500)])

    async def visitor(ask: Ask) -> None:
        _, found = await ask("/api/v1/incidents")
        assert found["total"] == 500
        assert len(found["incidents"]) < 100
        assert found["incidents"][-1]["number"] == 500

    asking(visitor, status)


async def read_events(client: aiohttp.ClientSession, url: str, count: int) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    async with client.get(url) as answer:
        assert answer.content_type == "text/event-stream"
        kind = ""
        async for line in answer.content:
            text = line.decode().rstrip("\n")
            if text.startswith("event: "):
                kind = text[7:]
            elif text.startswith("data: "):
                found.append((kind, json.loads(text[6:])))
                if len(found) == count:
                    break
    return found


def test_events_tell_the_state_at_once_then_what_is_new_and_say_goodbye() -> None:
    async def run() -> None:
        status = status_in_load()
        serving, port = await serve(status, "127.0.0.1", 0, lambda: ORIGIN_S + 60.0)
        async with aiohttp.ClientSession() as client:
            watching = asyncio.create_task(read_events(client, f"http://127.0.0.1:{port}/api/v1/events", 3))
            await _until(serving, 1)
            await asyncio.sleep(0.05)
            status.fold([sample(ENGINE, 61.0, 999_999), phase("", "end", 62.0)])
            await serving.cleanup()
            first, second, last = await watching
        assert first[0] == second[0] == "state"
        before, after = (state["engines"][ENGINE]["operations"]["ok"] for _, state in (first, second))
        assert before < after == 999_999
        assert last == ("end", {"why": "ended", "state": "INCOMPLETE"})

    asyncio.run(run())


def test_too_many_watchers_are_told_so_and_the_others_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST_WATCHERS", 2)

    async def run() -> None:
        serving, port = await serve(status_in_load(), "127.0.0.1", 0, lambda: ORIGIN_S + 60.0)
        url = f"http://127.0.0.1:{port}/api/v1/events"
        async with aiohttp.ClientSession() as client:
            kept = [await client.get(url) for _ in range(2)]
            async with client.get(url) as refused:
                assert (refused.status, refused.headers["Retry-After"]) == (503, "10")
            kept.pop().close()
            await _until(serving, 1)
            async with client.get(url) as answer:
                assert answer.status == 200
            kept.pop().close()
        await serving.cleanup()

    asyncio.run(run())


async def _until(serving: Serving, watchers: int) -> None:
    for _ in range(500):
        if serving.watchers == watchers:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{serving.watchers} watchers, expected {watchers}")


def test_an_event_is_small_and_what_an_engine_invents_does_not_make_it_large() -> None:
    from soakd.live.web.state import state_of_run

    status = RunStatus(plan(), "run")
    status.fold([record("phase", "", 0.0, {"name": "origin", "mono_s": ORIGIN_S})])
    usual = len(json.dumps(state_of_run(status_in_load(), ORIGIN_S + 60.0)))
    body = {f"counter.made-up-{number}": number for number in range(200)}
    status.fold([sample(name, 1.0, 1, **body) for name in status.engines])
    assert usual < 6000
    assert len(json.dumps(state_of_run(status, ORIGIN_S + 60.0), allow_nan=False)) < 10_000


def test_every_resource_is_documented() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`GET (/api/v1[^` ?]*)", text))
    assert {path.partition("?")[0] for path in RESOURCES.values()} | {"/api/v1"} == named


def test_a_question_for_the_head_of_the_events_takes_no_place_among_the_watchers() -> None:
    async def run() -> None:
        serving, port = await serve(status_in_load(), "127.0.0.1", 0, lambda: ORIGIN_S + 60.0)
        async with aiohttp.ClientSession() as client, client.head(f"http://127.0.0.1:{port}/api/v1/events") as answer:
            assert answer.status == 405
            assert serving.watchers == 0
        await serving.cleanup()

    asyncio.run(run())

"""Others are told: a real program, a real server of webhooks, and receivers that are slow, broken or gone."""

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from soakd.daemon.notify import Notices, channels
from soakd.setup.settings import Notify
from soakd.wire.records import Record, make_record
from tests.recorded import stamp
from tests.typed import typed

ABOUT = {"run_id": "run-1", "name": "run"}
Problems = list[tuple[str, str]]


class Told:
    """Notices, and what became of them."""

    def __init__(self, **settings: Any) -> None:
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.problems: Problems = []
        self.notices = Notices(
            Notify(**{"every_s": 0.2, "timeout_s": 20.0, **settings}), lambda: ABOUT, outcomes=self.outcomes,
            problem=lambda what, detail: self.problems.append((what, detail)),
        )  # fmt: skip

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let the notices run until something holds."""
        running = asyncio.ensure_future(self.notices.run())
        async with asyncio.timeout(120):
            while not condition():  # noqa: ASYNC110 - counts have no event
                await asyncio.sleep(0.02)
        running.cancel()
        await asyncio.wait([running])


def incident(what: str = "crash", detail: str = "killed by SIGKILL", engine: str = "mine") -> Record:
    return make_record("incident", engine=engine, segment=0, at=stamp(1.0), body={"what": what, "detail": detail})


@asynccontextmanager
async def receiver(answer: Callable[[int], Awaitable[int]]) -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """Serve a webhook; `answer` turns the number of a request into its status."""
    got: list[dict[str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        got.append(await request.json())
        return web.Response(status=await answer(len(got)))

    app = web.Application()
    app.router.add_post("/hook/secret", take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)  # a handler that never answers is not waited for
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook/secret?key=hidden", got
    finally:
        await runner.cleanup()


async def accepted(_: int) -> int:
    return 204


def writer(path: Path) -> tuple[str, ...]:
    return sys.executable, "-c", f"import sys; open({str(path)!r}, 'a').write(sys.stdin.read())"


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def test_a_program_and_a_webhook_are_told_of_incidents_verdicts_and_the_end(tmp_path: Path) -> None:
    async def told() -> list[dict[str, Any]]:
        async with receiver(accepted) as (url, got):
            run = Told(command=writer(tmp_path / "told"), webhook=url)
            for _ in range(3):
                run.notices.fold([incident()])
            run.notices.verdict("FAIL", typed({"verdict": "INCOMPLETE", "summary": "mine leaks"}))
            await run.until(lambda: len(got) == 2 and run.outcomes["command", "delivered"] == 2)
            await run.notices.end(typed({"verdict": "FAIL", "summary": "mine leaks"}))
            assert run.outcomes == {("command", "delivered"): 3, ("webhook", "delivered"): 3}
            assert run.problems == []
            return got

    got = asyncio.run(told())
    assert got == read(tmp_path / "told")
    by_event = {event["event"]: event for event in got}
    assert set(by_event) == {"incident", "verdict", "end"}
    assert by_event["incident"]["counts"] == [{"engine": "mine", "what": "crash", "count": 3}]
    assert (by_event["verdict"]["state"], by_event["verdict"]["before"], by_event["verdict"]["final"]) == (
        "FAIL",
        None,
        False,
    )
    assert (by_event["end"]["state"], by_event["end"]["final"]) == ("FAIL", True)
    assert all(event["schema"] == "soakd.event/1" and event["run_id"] == "run-1" and event["text"] for event in got)


def test_a_thousand_incidents_are_one_event_of_bounded_size(tmp_path: Path) -> None:
    run = Told(command=writer(tmp_path / "told"))
    run.notices.fold([incident(what=f"kind-{i % 100}", detail="x" * 10_000) for i in range(1000)])
    asyncio.run(run.until(lambda: bool(run.outcomes)))
    [event] = read(tmp_path / "told")
    assert event["total"] == 1000
    assert len(event["incidents"]) == 20
    assert len(event["counts"]) == 65
    assert len(json.dumps(event)) < 30_000


def test_a_program_that_is_slow_is_killed_with_what_it_started(tmp_path: Path) -> None:
    script = f"sleep 600 & echo $! > {tmp_path}/pid; sleep 600"
    why = asyncio.run(channels.deliver_to_command(("sh", "-c", script), {"event": "test"}, 8.0))
    assert why == "killed: it did not end within 8s"
    child = int((tmp_path / "pid").read_text(encoding="utf-8"))
    assert not is_alive(child)


def is_alive(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (
            ("sh", "-c", "cat >/dev/null; echo one >&2; echo no such channel >&2; exit 3"),
            "ended with 3: no such channel",
        ),
        (("/nowhere/at-all",), "cannot be started: No such file or directory"),
        (("sh", "-c", "exec 0<&-; exit 0"), None),
        (("sh", "-c", "head -c 3000000 /dev/zero >&2; cat > /dev/null"), None),
    ],
    ids=["fails", "is not there", "reads nothing", "complains without end"],
)
def test_what_becomes_of_a_program_is_said(command: tuple[str, ...], why: str | None) -> None:
    assert asyncio.run(channels.deliver_to_command(command, {"text": "x" * 200_000}, 30.0)) == why


def test_a_server_that_cannot_take_it_now_is_asked_again_and_one_that_refuses_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(channels, "PAUSE_S", 0.01)

    async def deliver(statuses: list[int]) -> tuple[str | None, int]:
        async def answer(number: int) -> int:
            return statuses[number - 1]

        async with receiver(answer) as (url, got):
            return await channels.deliver_to_webhook(url, {"event": "test"}, 20.0), len(got)

    assert asyncio.run(deliver([503, 429, 200])) == (None, 3)
    assert asyncio.run(deliver([500, 500, 500])) == ("answered 500", 3)
    assert asyncio.run(deliver([404])) == ("answered 404", 1)
    assert asyncio.run(deliver([302])) == ("answered 302", 1)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/hook/secret?key=hidden", "http://user:hidden@[::1/secret"])
def test_what_is_said_of_a_webhook_never_holds_its_address(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "PAUSE_S", 0.01)
    run = Told(webhook=url)
    asyncio.run(run.notices.end(typed({"verdict": "PASS", "summary": "fine"})))
    assert run.outcomes == {("webhook", "failed"): 1}
    assert [what for what, _ in run.problems] == ["notification_failed"]
    assert "secret" not in str(run.problems)
    assert "hidden" not in str(run.problems)


def test_a_receiver_that_never_answers_holds_up_neither_the_other_nor_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soakd.daemon.notify.LAST_WAIT_S", 0.2)

    async def silent(_: int) -> int:
        await asyncio.sleep(3600)
        return 200

    async def end() -> Told:
        async with receiver(silent) as (url, _):
            run = Told(command=writer(tmp_path / "told"), webhook=url, timeout_s=3.0)
            await run.notices.end(typed({"verdict": "PASS", "summary": "fine"}))
        return run

    run = asyncio.run(end())
    assert run.outcomes["webhook", "delivered"] == 0
    assert run.outcomes["webhook", "failed"] + run.outcomes["webhook", "dropped"] == 1
    assert [event["event"] for event in read(tmp_path / "told")] == ["end"]


def test_a_good_answer_is_no_news_until_there_was_a_bad_one(tmp_path: Path) -> None:
    async def answers() -> None:
        run = Told(command=writer(tmp_path / "told"), on=("verdict",))
        run.notices.verdict("PASS", typed({}))
        run.notices.verdict("FAIL", typed({"summary": "a"}))
        await run.until(lambda: run.outcomes["command", "delivered"] == 1)
        run.notices.verdict("PASS", typed({"summary": "b"}))
        await run.until(lambda: run.outcomes["command", "delivered"] == 2)
        await run.notices.end(typed({"verdict": "PASS", "summary": "b"}))
        assert run.outcomes == {("command", "delivered"): 2}, "the end was not asked for"

    asyncio.run(answers())
    assert [(e["before"], e["state"]) for e in read(tmp_path / "told")] == [(None, "FAIL"), ("FAIL", "PASS")]


CONFIG = """
[run]
name = "told"
duration = "12s"
sample_every = "200ms"
collect_every = "500ms"
snapshot_every = "off"
controls_off = ["null", "leak"]
[limits]
growth_per_operation = "16B"
[notify]
command = ["{python}", "tell.py"]
webhook = "http://127.0.0.1:9/hook/secret-part?key=hidden-part"
timeout = "5s"
every = "1s"
[[engine]]
name = "mine"
kind = "cache.python"
rate = 200
[[fault]]
name = "worker-killed"
kind = "kill"
on = "worker"
target = "mine"
at = "2s"
"""


def test_a_soak_tells_and_keeps_the_address_to_itself(tmp_path: Path) -> None:
    told = tmp_path / "told.jsonl"
    (tmp_path / "tell.py").write_text(f"import sys; open({str(told)!r}, 'a').write(sys.stdin.read())", encoding="utf-8")
    (tmp_path / "soak.toml").write_text(CONFIG.format(python=sys.executable), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "soakd", "run", "soak.toml", "--run-dir", "run"], cwd=tmp_path, capture_output=True,
        text=True, timeout=300, check=False, env={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip
    events = read(told)
    assert {"incident", "end"} <= {event["event"] for event in events}, done.stderr
    assert any("crash" in {c["what"] for c in e["counts"]} for e in events if e["event"] == "incident")
    verdict = json.loads((tmp_path / "run" / "verdict.json").read_text(encoding="utf-8"))
    assert (events[-1]["event"], events[-1]["state"]) == ("end", verdict["verdict"])
    assert "notification_failed" in done.stderr, "nobody listens on that port"
    left = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert left
    for secret in ("secret-part", "hidden-part"):
        assert secret not in done.stdout + done.stderr
        assert [path for path in left if secret.encode() in path.read_bytes()] == []

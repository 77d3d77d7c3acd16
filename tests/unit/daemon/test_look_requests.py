"""Snapshots and looks on request: what a worker is asked for, and the error where that cannot be."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from soakd.cli import main, remote
from soakd.daemon.looks.requests import LookRequests
from soakd.errors import JournalError
from soakd.live.terminal.snapshots import snapshot_lines
from soakd.live.web.server import Controls, serve
from soakd.wire.records import Kind, make_record
from tests.recorded import plan_of, stamp
from tests.showing import ORIGIN_S, status_in_load
from tests.unit.report.test_diff import written

PLAN = plan_of(run='snapshot_every = "10s"')
HEAP = {
    "method": "pympler", "objects": 600, "bytes": 9000, "duration_s": 0.2,
    "types": [{"type": "bytes", "count": 500, "bytes": 8000}],
    "containers": [{"type": "list", "length": 500, "id": 4096, "name": "shop.seen"}],
}  # fmt: skip


class Desk:
    """Workers that answer, or not, and looks that are there already."""

    def __init__(self, *, there: bool = True, look: Mapping[str, Any] | None = None) -> None:
        self.origin_s: float | None = 1.0
        self.orders: list[tuple[str, Mapping[str, Any]]] = []
        self.asked = LookRequests(PLAN, self, self)
        self._there, self._look = there, look or {}

    def send_order(self, name: str, order: Mapping[str, Any]) -> bool:
        self.orders.append((name, order))
        return self._there

    async def ask(self, name: str, origin_s: float) -> Mapping[str, Any]:
        return self._look

    def says(self, kind: Kind, body: Mapping[str, Any], engine: str = "mine") -> None:
        self.asked.fold([make_record(kind, engine=engine, segment=0, at=stamp(20.0), body=body)])


def answered(desk: Desk, *told: tuple[Kind, Mapping[str, Any]], name: str = "mine") -> tuple[int, Any]:
    async def scenario() -> tuple[int, Any]:
        answer = asyncio.ensure_future(desk.asked.snapshot(name, False))
        await asyncio.sleep(0)
        for kind, body in told:
            desk.says(kind, body)
        return await asyncio.wait_for(answer, 30.0)

    return asyncio.run(scenario())


def test_a_worker_is_asked_and_its_own_answer_is_taken() -> None:
    desk = Desk()
    status, body = answered(
        desk, ("snapshot", HEAP), ("snapshot", HEAP | {"asked": 99}), ("snapshot", HEAP | {"asked": 1})
    )
    assert desk.orders == [("mine", {"snapshot": 1})]
    assert (status, body["engine"], body["snapshot"]["asked"]) == (200, "mine", 1)


@pytest.mark.parametrize(
    ("desk", "told", "status", "why"),
    [
        (Desk(there=False), (), 409, "mine: its process is not running"),
        (Desk(), (("snapshot", {"skipped": "memory is short", "asked": 1}),), 503, "memory is short"),
        (Desk(), (("bye", {}),), 503, "process ended meanwhile"),
        (Desk(), (("hello", {"pid": 2}),), 503, "process ended meanwhile"),
    ],
)
def test_what_cannot_be_taken_says_why(desk: Desk, told: Any, status: int, why: str) -> None:
    said, body = answered(desk, *told)
    assert (said, why in body["error"]) == (status, True)


def test_an_engine_that_is_not_there_is_named_with_those_that_are() -> None:
    status, body = answered(Desk(), name="nobody")
    assert (status, body["error"]) == (404, 'no engine "nobody"; engines: mine, control-null, control-leak')


def test_before_the_engines_run_nothing_is_asked_and_two_at_once_are_one() -> None:
    early = Desk()
    early.origin_s = None
    assert answered(early)[0] == 409

    async def scenario() -> tuple[int, Any]:
        desk = Desk()
        first = asyncio.ensure_future(desk.asked.snapshot("mine", False))
        await asyncio.sleep(0)
        second = await desk.asked.snapshot("mine", False)
        first.cancel()
        return second

    assert asyncio.run(scenario())[1] == {"error": "mine: a snapshot is being taken"}


def test_a_deep_look_that_failed_is_an_error() -> None:
    desk = Desk(look={"state": "failed", "why": "another look is under way"})
    assert asyncio.run(desk.asked.snapshot("mine", True)) == (503, {"error": "mine: another look is under way"})


def test_a_deep_look_is_answered_once_its_end_is_in_the_journal() -> None:
    done = {"state": "done", "route": "python", "id": 3, "sites": []}

    async def scenario() -> tuple[list[bool], tuple[int, Any]]:
        desk, early = Desk(look=done), []
        answer = asyncio.ensure_future(desk.asked.snapshot("mine", True))
        for body, engine in (
            (done | {"state": "begun"}, "mine"),
            (done, "other"),
            (done | {"id": 2}, "mine"),
            (done | {"id": "x"}, "mine"),
        ):
            await asyncio.sleep(0)
            desk.says("attribution", body, engine)
            await asyncio.sleep(0)
            early.append(answer.done())
        desk.asked.fold([
            make_record("attribution", engine="mine", segment=0, at=stamp(20.0), body=body)
            for body in (done, done | {"state": "failed", "id": 0})
        ])  # fmt: skip
        return early, await asyncio.wait_for(answer, 30.0)

    early, answer = asyncio.run(scenario())
    assert early == [False] * 4
    assert answer == (200, {"engine": "mine", "look": done})


@pytest.mark.parametrize(
    ("headers", "data", "status", "taken"),
    [
        ({}, '{"deep": true}', 401, []),
        ({"Authorization": "Bearer right-token-0123456"}, '{"deep": true}', 200, [("a b", True)]),
        ({"Authorization": "Bearer right-token-0123456"}, "{}", 200, [("a b", False)]),
        ({"Authorization": "Bearer right-token-0123456"}, "", 200, [("a b", False)]),
        ({"Authorization": "Bearer right-token-0123456"}, '{"deep": 1}', 400, []),
        ({"Authorization": "Bearer right-token-0123456"}, '{"depth": true}', 400, []),
        ({"Authorization": "Bearer right-token-0123456"}, "[]", 400, []),
        ({"Authorization": "Bearer right-token-0123456"}, "deep", 400, []),
    ],
)
def test_who_has_the_token_may_ask_in_the_right_words(
    headers: dict[str, str], data: str, status: int, taken: list[tuple[str, bool]]
) -> None:
    calls: list[tuple[str, bool]] = []

    async def take(name: str, deep: bool) -> tuple[int, Mapping[str, Any]]:
        calls.append((name, deep))
        return 200, {"engine": name}

    async def visit() -> int:
        controls = Controls(token="right-token-0123456", snapshot=take)
        serving, port = await serve(status_in_load(), "127.0.0.1", 0, lambda: ORIGIN_S + 60.0, controls)
        url = f"http://127.0.0.1:{port}/api/v1/engines/a%20b/snapshot"
        try:
            async with aiohttp.ClientSession() as client, client.post(url, data=data, headers=headers) as answer:
                return answer.status
        finally:
            await serving.cleanup()

    assert (asyncio.run(visit()), calls) == (status, taken)


def test_an_answer_is_shown_in_lines() -> None:
    lines = list(snapshot_lines({"engine": "mine", "snapshot": HEAP}))
    assert lines[0] == "mine: 600 objects, 9 kB (counted by pympler, in 200ms)"
    assert any("8 kB  bytes  500 objects" in line for line in lines)
    assert any("500  list shop.seen" in line for line in lines)
    held = "list `seen` of a shop.Basket"
    site = {"fingerprint": "f1", "site": held, "bytes_per_operation": 191.0, "tool": "holders", "held_by": [held]}
    look = {"light": True, "operations": [100, 300], "sites": [site]}
    text = "\n".join(snapshot_lines({"engine": "mine", "look": look}))
    assert "over 100 and 300 operations (containers only" in text
    assert text.endswith("mine grows at list `seen` of a shop.Basket: 191 B/op, confidence low")
    assert "nothing grew" in "\n".join(snapshot_lines({"engine": "mine", "look": look | {"sites": []}}))


def test_no_snapshot_can_be_requested_of_a_run_that_is_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = written(tmp_path / "r")
    assert main.main(["snapshot", str(run.path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "is not running; soakd diff" in line


def test_a_run_that_does_not_answer_is_another_error_than_one_that_is_over(tmp_path: Path) -> None:
    run = written(tmp_path / "r")
    run.lock()
    with pytest.raises(JournalError, match="has no address"):
        remote.ask(run, "mine", deep=False)
    (run.path / "address").write_text("http://127.0.0.1:9/\n")
    with pytest.raises(JournalError, match=r"http://127.0.0.1:9 does not answer: .*refused"):
        remote.ask(run, "mine", deep=False)
    run.unlock()


def test_a_process_is_traced_to_the_run_whose_daemon_started_it(tmp_path: Path) -> None:
    """The daemon is the process that holds the journal open; a worker is known by the pid in its hello."""
    holder = "import subprocess, sys; f = open('run.db'); p = subprocess.Popen([sys.executable, '-c', 'input()'],"
    holder += " stdin=subprocess.PIPE); print(p.pid, flush=True); p.wait()"
    hello = make_record("hello", engine="mine", segment=1, at=stamp(50.0), body={"pid": 0})
    run = written(tmp_path / "r", hello)
    (run.path / "lock").touch()
    daemon = subprocess.Popen([sys.executable, "-c", holder], cwd=run.path, stdout=subprocess.PIPE, text=True)
    assert daemon.stdout is not None
    worker = int(daemon.stdout.readline())
    try:
        found, engine = remote.find(str(worker), tmp_path)
        assert (found.path, engine) == (run.path, None)  # the hello has another pid
        hello.body["pid"] = worker  # type: ignore[index]
        again = written(tmp_path / "s", hello)
        assert remote._engine_of(again, [worker, daemon.pid]) == "mine"
    finally:
        os.kill(worker, 9)
        daemon.wait(30)
        daemon.stdout.close()


@pytest.mark.parametrize("pid", ["1", "4194304999"])
def test_a_process_that_is_no_worker_is_an_error(pid: str, tmp_path: Path) -> None:
    with pytest.raises(JournalError, match=r"does not belong to a run|no process with that pid"):
        remote.find(pid, tmp_path)


def test_a_run_may_have_a_number_for_a_name(tmp_path: Path) -> None:
    written(tmp_path / "2027")
    run, engine = remote.find("2027", tmp_path)
    assert (run.run_id, engine, remote.engines_of(run)) == ("2027", None, ["mine"])

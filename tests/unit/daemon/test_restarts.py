"""When a worker or a server that has ended is started again."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from soakd.daemon.backends.private import PrivateServer
from soakd.daemon.backends.server_address import ServerPlace
from soakd.daemon.backends.server_records import ServerRecords
from soakd.daemon.workers.engine_lives import EngineLives, Launch
from soakd.daemon.workers.restarts import Harm, Restarts
from soakd.daemon.workers.supervisor import Supervisor
from soakd.setup.settings import Supervision
from tests.conftest import InVirtualTime
from tests.recorded import plan_of

SHORT_S, HEALTHY_S = 1.0, 3600.0
LAUNCH = Launch(site_packages=(), imports=Path(), scratch=Path(), addresses={})
SUPERVISION = Supervision(max_restarts=3, healthy_after_s=HEALTHY_S)


def pauses(restarts: Restarts, *lives_s: float) -> list[float | None]:
    return [restarts.pause_s(lasted_s) for lasted_s in lives_s]


def test_each_failure_doubles_the_pause_and_one_too_many_is_given_up() -> None:
    restarts = Restarts(Supervision(max_restarts=4, restart_backoff_s=1.0))
    assert pauses(restarts, *[SHORT_S] * 5) == [1.0, 2.0, 4.0, 8.0, None]
    assert restarts.failures == 5


def test_no_restart_is_allowed_where_the_limit_is_none() -> None:
    assert pauses(Restarts(Supervision(max_restarts=0)), SHORT_S) == [None]


def test_a_pause_is_never_longer_than_a_minute_however_many_failures_there_were() -> None:
    restarts = Restarts(Supervision(max_restarts=5000, restart_backoff_s=0.001))
    assert pauses(restarts, *[SHORT_S] * 5000)[-1] == 60.0
    assert Restarts(Supervision(restart_backoff_s=300.0)).pause_s(SHORT_S, Harm(fault="kill@x")) == 60.0


def test_a_healthy_life_forgives_the_failures_before_it() -> None:
    restarts = Restarts(Supervision(max_restarts=2, healthy_after_s=HEALTHY_S))
    assert pauses(restarts, SHORT_S, SHORT_S, HEALTHY_S, SHORT_S, SHORT_S) == [1.0, 2.0, 1.0, 2.0, None]


def test_failures_before_a_resume_count() -> None:
    assert pauses(Restarts(Supervision(max_restarts=3), failures=2), SHORT_S, SHORT_S) == [4.0, None]


def test_an_end_that_a_fault_on_purpose_caused_is_no_failure() -> None:
    restarts, killed = Restarts(Supervision(max_restarts=1)), Harm(fault="kill@x")
    assert [restarts.pause_s(SHORT_S, killed) for _ in range(5)] == [1.0] * 5
    assert restarts.pause_s(SHORT_S, Harm(fault="restart@x", at_once=True)) == 0.0
    assert pauses(restarts, SHORT_S, SHORT_S) == [1.0, None]


class Lives:
    """Lives that last as long as they are given, and the moments at which they begin. The last one never ends."""

    def __init__(self, *lives_s: float) -> None:
        self.begun_s: list[float] = []
        self._lives_s = list(lives_s)

    async def live(self, *_: object) -> tuple[bool, None]:
        self.begun_s.append(time.monotonic())
        if not self._lives_s:
            await asyncio.Event().wait()
        await asyncio.sleep(self._lives_s.pop(0))
        return False, None


def server_begins(lives: Lives, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Awaitable[None]]:
    monkeypatch.setattr(PrivateServer, "_live", lives.live)
    voice, place = (
        ServerRecords("mine", "redis", "private", lambda record: None),
        ServerPlace(folder / "mine", port=False),
    )
    server = PrivateServer(
        voice, place, list, lambda: None, supervision=SUPERVISION, sample_every_s=1.0, sampling=asyncio.Event(),  # type: ignore[arg-type,return-value]
    )  # fmt: skip
    return server.run


def worker_begins(lives: Lives, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Awaitable[None]]:
    monkeypatch.setattr(EngineLives, "_live", lives.live)
    plan = plan_of(run='[supervision]\nmax_restarts = 3\nhealthy_after = "1h"')
    supervisor = Supervisor(plan, lambda record: None, site_packages=())
    return lambda: supervisor._engines["mine"].run(LAUNCH)


@pytest.mark.parametrize("kind", [server_begins, worker_begins])
def test_workers_and_servers_are_started_again_at_the_same_moments(
    kind: Callable[..., Callable[[], Awaitable[None]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    in_virtual_time: InVirtualTime[Any],
) -> None:  # fmt: skip
    lives = Lives(10.0, 10.0, HEALTHY_S, 10.0, 10.0, 10.0)

    async def run() -> None:
        monkeypatch.setattr(time, "monotonic", asyncio.get_running_loop().time)
        async with asyncio.timeout(2 * HEALTHY_S):
            await kind(lives, tmp_path, monkeypatch)()  # returns: given up

    in_virtual_time(run())
    assert lives.begun_s == [0.0, 11.0, 23.0, 3624.0, 3636.0, 3650.0]


def test_no_life_begins_once_the_run_ends(monkeypatch: pytest.MonkeyPatch, in_virtual_time: InVirtualTime[Any]) -> None:
    lives, plan = Lives(10.0, 10.0), plan_of(run='[supervision]\nrestart_backoff = "1min"')
    monkeypatch.setattr(EngineLives, "_live", lives.live)
    supervisor = Supervisor(plan, lambda record: None, site_packages=())

    async def run() -> None:
        monkeypatch.setattr(time, "monotonic", asyncio.get_running_loop().time)
        asyncio.get_running_loop().call_later(20.0, supervisor.stop)
        await supervisor._engines["mine"].run(LAUNCH)

    in_virtual_time(run())
    assert lives.begun_s == [0.0]

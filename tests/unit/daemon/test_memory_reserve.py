"""The host is protected from what is soaked on it."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from soakd.daemon.workers.supervisor import Supervisor
from soakd.errors import ConfigError
from soakd.procs import proc
from soakd.procs.proc import memory_reserve_bytes
from soakd.setup import settings
from soakd.wire.records import Record
from tests.conftest import InVirtualTime
from tests.recorded import plan_of


def guarded(run: InVirtualTime[Any], readings: Iterable[float]) -> tuple[Supervisor, list[Record]]:
    """Let the guard watch a host with these readings of available bytes; the last one stays."""
    values = list(readings)
    records: list[Record] = []

    def available() -> float:
        return values.pop(0) if len(values) > 1 else values[0]

    async def watch() -> Supervisor:
        plan = plan_of(run='memory_reserve = "500MB"')
        guard = Supervisor(plan, records.append, site_packages=(), memory_available=available)
        guard.started.set()
        task = asyncio.create_task(guard._guard_memory())
        await asyncio.wait([task], timeout=3600)
        task.cancel()
        return guard

    return run(watch()), records


def test_a_run_ends_in_order_before_the_host_has_no_memory_left(in_virtual_time: InVirtualTime[Any]) -> None:
    ended, records = guarded(in_virtual_time, [2e9, 1e9, 499e6])
    assert (ended.stopping, ended.ended_for) == (True, "memory_reserve")
    assert [record.body["what"] for record in records] == ["memory_reserve"]
    assert "499 MB of memory available, 500 MB are kept" in records[0].body["detail"]


def test_a_host_with_enough_memory_is_left_alone(in_virtual_time: InVirtualTime[Any]) -> None:
    running, records = guarded(in_virtual_time, [501e6])
    assert (running.stopping, running.ended_for, records) == (False, None, [])


@pytest.mark.parametrize(("total", "reserve"), [(2e9, 500e6), (64e9, 3.2e9)])
def test_by_default_a_twentieth_of_the_host_is_kept_and_never_less_than_500_megabytes(
    monkeypatch: pytest.MonkeyPatch, total: float, reserve: float
) -> None:
    monkeypatch.setattr(proc, "memory_total_bytes", lambda: total)
    assert memory_reserve_bytes(plan_of()) == reserve


@pytest.mark.parametrize(("line", "reserve"), [('memory_reserve = "2GB"', 2e9), ('memory_reserve = "off"', 0.0)])
def test_the_reserve_may_be_named_or_switched_off(line: str, reserve: float) -> None:
    assert memory_reserve_bytes(plan_of(run=line)) == reserve


def test_a_reserve_without_a_unit_is_refused() -> None:
    with pytest.raises(ConfigError, match="memory_reserve"):
        plan_of(run="memory_reserve = 500")


def test_the_host_is_read_in_bytes() -> None:
    available: Any = proc.memory_available_bytes()
    assert 1e6 < available <= proc.memory_total_bytes()
    assert settings.Schedule(name="x").memory_reserve_bytes is None

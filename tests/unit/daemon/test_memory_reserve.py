"""The host is protected from what is soaked on it."""

import asyncio
from collections.abc import Iterable

import pytest

from soakd.daemon.host.guard import HostGuard
from soakd.errors import ConfigError
from soakd.procs import proc
from soakd.procs.proc import memory_reserve_bytes
from soakd.setup import settings
from soakd.wire.records import Record
from tests.recorded import plan_of


def guarded(readings: Iterable[float]) -> tuple[list[str], list[Record]]:
    """Let the guard check a host with these readings of available bytes; return why it ended the run, and how often."""
    values, ended_for, records = iter(readings), list[str](), list[Record]()
    guard = HostGuard(
        plan_of(run='memory_reserve = "500MB"'), None, records.append, end=ended_for.append, stopping=asyncio.Event(),
        memory_available=values.__next__,
    )  # fmt: skip
    for _ in readings:
        guard.check_memory()
    return ended_for, records


def test_a_run_ends_in_order_and_once_before_the_host_has_no_memory_left() -> None:
    ended_for, records = guarded([2e9, 1e9, 499e6, 498e6])
    assert ended_for == ["memory_reserve"]
    assert [record.body["what"] for record in records] == ["memory_reserve"]
    assert "499 MB of memory available, 500 MB are kept" in records[0].body["detail"]


def test_a_host_with_enough_memory_is_left_alone() -> None:
    assert guarded([501e6]) == ([], [])


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
    available = proc.memory_available_bytes()
    assert 1e6 < available <= proc.memory_total_bytes()
    assert settings.Schedule(name="x").memory_reserve_bytes is None

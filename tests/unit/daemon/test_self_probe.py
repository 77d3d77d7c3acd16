"""The daemon reads itself as its workers read themselves."""

import asyncio
import contextlib
import time

import pytest

from soakd.daemon.self_probe import SelfProbe
from soakd.wire.signal_sums import sum_of
from soakd.worker.probes import allocator


def test_live_bytes_come_with_every_sample_and_reachable_ones_from_a_child() -> None:
    async def until_reachable() -> dict[str, float]:
        later = asyncio.get_running_loop().call_later
        with contextlib.closing(SelfProbe(0.1, later, time.monotonic)) as footprint:
            async with asyncio.timeout(60):
                while "reachable_python_bytes" not in (values := footprint.sample()):
                    assert values["live_python_bytes"] + values["live_native_bytes"] > 1e6
                    await asyncio.sleep(0.05)
        return values

    found = asyncio.run(until_reachable())
    assert 0 < found["reachable_python_bytes"] <= found["live_python_bytes"] * 1.1
    assert not any(name.startswith("probe.") for name in found)


def test_a_daemon_without_pymalloc_says_so_as_a_worker_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator, "_write_stats", lambda stream: 0)
    with contextlib.closing(SelfProbe(None, lambda *_: None, time.monotonic)) as footprint:
        found = footprint.sample()
    assert "live_python_bytes" not in found
    assert sum_of(found, "live_bytes") == found["live_native_bytes"]


def test_where_nothing_is_forked_live_bytes_are_all() -> None:
    footprint = SelfProbe(None, lambda *_: None, time.monotonic)
    assert {"live_python_bytes", "live_native_bytes"} <= footprint.sample().keys()
    assert not any("reachable" in name for name in footprint.sample())
    footprint.close()

"""The clock that other tests stand on."""

import asyncio
import time

import pytest

from tests.conftest import InVirtualTime


def test_an_hour_at_one_hertz_is_3600_wakes_and_no_wait(in_virtual_time: InVirtualTime[int]) -> None:
    async def hour() -> int:
        loop, wakes = asyncio.get_running_loop(), 0
        while loop.time() < 3600:
            await asyncio.sleep(1)
            wakes += 1
        return wakes

    started_s = time.monotonic()
    assert in_virtual_time(hour()) == 3600
    assert time.monotonic() - started_s < 5


def test_a_timeout_is_reached_at_its_exact_time(in_virtual_time: InVirtualTime[float]) -> None:
    async def wait() -> float:
        loop = asyncio.get_running_loop()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(86_400):
                await asyncio.sleep(1e9)
        return loop.time()

    assert in_virtual_time(wait()) == 86_400

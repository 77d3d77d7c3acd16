"""The driver on an event loop whose time jumps."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from soakd.wire.histogram import decode_sparse, quantile_s
from soakd.wire.spec import Operation
from soakd.worker.load import Arrivals, AsyncDriver, Lanes, Tape
from soakd.worker.load.recorder import PythonRecorder
from tests.conftest import InVirtualTime

NS = 1_000_000_000
MS = 1_000_000


def now_ns() -> int:
    return round(asyncio.get_running_loop().time() * NS)


class World:
    """A driver and what happened."""

    def __init__(self, operation: Callable[[Operation], Awaitable[None]], in_flight: int = 512) -> None:
        self.lanes = Lanes(PythonRecorder(), PythonRecorder())
        self.errors: list[Exception] = []
        self.kept_at: list[int] = []
        tape = Tape([Operation("read", f"k{number}", {}, 1) for number in range(7)])
        self.driver = AsyncDriver(operation, tape, self.lanes, self.errors.append, in_flight, clock_ns=now_ns)

    def housekeeping(self, at_ns: int) -> int | None:
        self.kept_at.append(at_ns)
        return at_ns + 100 * MS

    async def run(self, rate: float, seconds: float) -> bool:
        return await self.driver.run(
            Arrivals(rate, "target", 0, int(seconds * NS)), int(seconds * NS), self.housekeeping
        )

    @property
    def counts(self) -> tuple[int, int, int]:
        driver = self.driver
        return driver.operations_total, driver.dropped_total, driver.skipped_total


def taking(seconds: float) -> Callable[[Operation], Awaitable[None]]:
    async def operation(op: Operation) -> None:
        if seconds:
            await asyncio.sleep(seconds)

    return operation


@pytest.mark.parametrize(
    ("rate", "seconds", "takes_s"),
    [(1, 3600, 0.005), (2000, 5, 0.005), (20_000, 1, 0.005), (20_000, 1, 0.0), (0.1, 100, 2)],
)
def test_every_operation_of_the_schedule_is_issued(
    in_virtual_time: InVirtualTime[bool], rate: float, seconds: int, takes_s: float
) -> None:
    world = World(taking(takes_s))
    assert in_virtual_time(world.run(rate, seconds)) is True
    assert world.counts == (rate * seconds, 0, 0)


def test_what_is_due_while_all_are_in_flight_is_dropped_and_counted(in_virtual_time: InVirtualTime[bool]) -> None:
    world = World(taking(1.0), in_flight=10)
    in_virtual_time(world.run(100, 10))
    operations, dropped, skipped = world.counts
    assert (operations, dropped, skipped) == (100, 900, 0)


def test_no_more_than_in_flight_are_performed_at_one_time(in_virtual_time: InVirtualTime[bool]) -> None:
    now = most = 0

    async def operation(op: Operation) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.5)
        now -= 1

    in_virtual_time(World(operation, in_flight=7).run(1000, 2))
    assert most == 7
    assert now == 0


def test_response_counts_from_the_due_time(in_virtual_time: InVirtualTime[bool]) -> None:
    world = World(taking(0.02))
    in_virtual_time(world.run(1, 10))
    (_, histograms), *_ = world.lanes.take()
    service, response, lateness = (quantile_s(decode_sparse(data), 0.5) for data in histograms)
    assert service == pytest.approx(0.02, rel=0.01)
    assert response == pytest.approx(0.02, abs=0.0015)
    assert lateness is not None
    assert lateness < 0.0011


def test_an_operation_that_raises_is_an_error_an_operation_and_a_latency(in_virtual_time: InVirtualTime[bool]) -> None:
    async def operation(op: Operation) -> None:
        raise ValueError

    world = World(operation)
    in_virtual_time(world.run(100, 1))
    assert world.counts == (100, 0, 0)
    assert world.driver.errors_total == len(world.errors) == 100
    assert sum(decode_sparse(world.lanes.take()[0][1][0]).values()) == 100


def test_an_operation_that_cancels_its_own_task_is_an_error_and_its_worker_is_replaced(
    in_virtual_time: InVirtualTime[bool],
) -> None:
    async def operation(op: Operation) -> None:
        raise asyncio.CancelledError

    world = World(operation, in_flight=3)
    in_virtual_time(world.run(100, 1))
    assert world.counts == (100, 0, 0)
    assert world.driver.errors_total == 100


def test_operations_in_flight_at_the_end_get_five_seconds_and_are_then_dropped(
    in_virtual_time: InVirtualTime[bool],
) -> None:
    fast, slow = World(taking(4.0)), World(taking(60.0))
    in_virtual_time(fast.run(10, 10))
    assert fast.counts == (100, 0, 0)

    async def run_slow() -> float:
        loop = asyncio.get_running_loop()
        offset_ns = now_ns()
        slow.driver._clock_ns = lambda: now_ns() - offset_ns
        started_s = loop.time()
        await slow.run(10, 10)
        return loop.time() - started_s

    assert in_virtual_time(run_slow()) == pytest.approx(15.0, abs=0.1)  # type: ignore[arg-type]
    assert slow.counts == (0, 100, 0)


def test_nothing_is_left_running_after_a_phase(in_virtual_time: InVirtualTime[int]) -> None:
    async def run() -> int:
        await World(taking(60.0)).run(10, 1)
        return len(asyncio.all_tasks())

    assert in_virtual_time(run()) == 1


def test_cancelling_the_driver_cancels_what_is_in_flight(in_virtual_time: InVirtualTime[int]) -> None:
    async def run() -> int:
        task = asyncio.ensure_future(World(taking(60.0)).run(10, 100))
        await asyncio.sleep(5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return len(asyncio.all_tasks())

    assert in_virtual_time(run()) == 1


@pytest.mark.parametrize("takes_it_for", [TimeoutError, None], ids=["an error", "nothing"])
def test_an_operation_that_takes_its_cancellation_for_something_else_is_dropped_and_its_phase_ends(
    in_virtual_time: InVirtualTime[int], takes_it_for: type[Exception] | None
) -> None:
    async def operation(op: Operation) -> None:
        try:
            await asyncio.sleep(60.0)
        except asyncio.CancelledError:
            if takes_it_for is not None:
                raise takes_it_for from None
            await asyncio.sleep(60.0)

    world = World(operation)

    async def run() -> int:
        await world.run(10, 1)
        return len(asyncio.all_tasks())

    assert in_virtual_time(run()) == 1
    assert world.counts == (0, 10, 0)
    assert world.driver.errors_total == 0


def test_a_request_to_stop_ends_the_phase(in_virtual_time: InVirtualTime[bool]) -> None:
    world = World(taking(0.01))
    arrivals = Arrivals(100, "target", 0, 60 * NS)
    stop = world.driver.run(arrivals, 60 * NS, lambda at_ns: None if at_ns >= 2 * NS else at_ns + 100 * MS)
    assert in_virtual_time(stop) is False
    assert sum(world.counts) == pytest.approx(200, abs=12)


def test_what_housekeeping_raises_comes_out_as_it_is(in_virtual_time: InVirtualTime[bool]) -> None:
    def broken(at_ns: int) -> int:
        raise ConnectionError("the daemon is gone")

    world = World(taking(0.01))
    with pytest.raises(ConnectionError, match="the daemon is gone"):
        in_virtual_time(world.driver.run(Arrivals(100, "target", 0, NS), NS, broken))


def test_what_on_error_raises_comes_out_too(in_virtual_time: InVirtualTime[bool]) -> None:
    async def operation(op: Operation) -> None:
        raise ValueError

    def refuse(error: Exception) -> None:
        raise ConnectionError("no more")

    world = World(operation)
    world.driver._on_error = refuse
    with pytest.raises(ConnectionError, match="no more"):
        in_virtual_time(world.run(100, 1))


def test_operations_that_never_wait_leave_the_driver_its_turn(in_virtual_time: InVirtualTime[bool]) -> None:
    async def operation(op: Operation) -> None:
        asyncio.get_running_loop().jump(0.02)  # type: ignore[attr-defined]

    world = World(operation)
    in_virtual_time(world.run(100, 10))
    gaps = [after - before for before, after in zip(world.kept_at, world.kept_at[1:], strict=False)]
    assert max(gaps) <= 150 * MS
    assert sum(world.counts) == 1000
    assert world.counts[0] >= 450


def test_an_idle_phase_keeps_house_and_ends_in_time(in_virtual_time: InVirtualTime[bool]) -> None:
    world = World(taking(0))
    assert in_virtual_time(world.driver.idle(NS, world.housekeeping)) is True
    assert len(world.kept_at) == 10
    assert world.counts == (0, 0, 0)

"""The driver without an event loop, in time that stands still unless somebody sleeps or works."""

from collections.abc import Callable

import pytest

from soakd.wire.histogram import decode_sparse, quantile_s
from soakd.wire.spec import Operation
from soakd.worker.load import Arrivals, Lanes, SyncDriver, Tape
from soakd.worker.load.recorder import PythonRecorder

NS = 1_000_000_000
MS = 1_000_000
FAR_NS = 10**18


class Time:
    """A clock that only sleeping and working moves."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.longest_sleep_s = 0.0

    def clock(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.longest_sleep_s = max(self.longest_sleep_s, seconds)
        self.now_ns += round(seconds * NS)


class World:
    """A driver, its time, and what happened."""

    def __init__(self, work_ns: Callable[[int], int] = lambda number: 0) -> None:
        self.time = Time()
        self.lanes = Lanes(PythonRecorder(), PythonRecorder())
        self.errors: list[Exception] = []
        self.seen: list[Operation] = []
        self.kept_at: list[int] = []
        self.stop_at_ns = FAR_NS
        self.house_takes_ns = 0
        self.asks_for_ns = FAR_NS
        self._work_ns = work_ns
        tape = Tape([Operation("read", f"k{number}", {}, 1) for number in range(7)])
        self.driver = SyncDriver(
            self.operation, tape, self.lanes, self.errors.append, clock_ns=self.time.clock, sleep=self.time.sleep
        )

    def operation(self, op: Operation) -> None:
        self.time.now_ns += self._work_ns(len(self.seen))
        self.seen.append(op)

    def housekeeping(self, now_ns: int) -> int | None:
        self.kept_at.append(now_ns)
        self.time.now_ns += self.house_takes_ns
        return None if now_ns >= self.stop_at_ns else self.asks_for_ns

    def run(self, rate: float, seconds: float, profile: str = "target", start_s: float = 0.0) -> bool:
        until_ns = round((start_s + seconds) * NS)
        return self.driver.run(Arrivals(rate, profile, round(start_s * NS), until_ns), until_ns, self.housekeeping)

    def quantiles(self, q: float, lane: int = 0) -> list[float | None]:
        return [quantile_s(decode_sparse(data), q) for data in self.lanes.take()[lane][1]]


@pytest.mark.parametrize(("rate", "seconds"), [(1, 3600), (0.1, 3600), (2000, 10), (50_000, 2), (333, 7)])
def test_every_operation_of_the_schedule_is_issued(rate: float, seconds: int) -> None:
    world = World()
    assert world.run(rate, seconds) is True
    assert world.driver.operations_total == round(rate * seconds)
    assert world.driver.skipped_total == world.driver.errors_total == world.driver.dropped_total == 0
    assert world.time.now_ns == seconds * NS


def test_the_tape_is_played_round_and_round_and_goes_on_in_the_next_phase() -> None:
    world = World()
    world.run(10, 1)
    world.run(10, 1, start_s=1)
    assert [op.key for op in world.seen] == [f"k{number % 7}" for number in range(20)]


def test_a_wake_issues_all_that_is_due_and_sleeps_at_least_a_millisecond() -> None:
    world = World()
    world.run(10_000, 1)
    service, response, lateness = world.quantiles(1.0)
    assert service == 0
    assert response is not None
    assert response == lateness
    assert response < 0.00101


def test_service_response_and_lateness_are_recorded_apart() -> None:
    world = World(work_ns=lambda number: 2 * MS)
    world.run(1, 10)
    assert world.quantiles(1.0) == [pytest.approx(0.002, rel=0.01), pytest.approx(0.002, rel=0.01), 0]


def test_a_slow_operation_makes_those_behind_it_late_and_nothing_is_omitted() -> None:
    world = World(work_ns=lambda number: 500 * MS if number == 0 else 0)
    world.run(100, 2)
    assert world.driver.operations_total == 200
    _, _, lateness = world.quantiles(0.99)
    assert lateness == pytest.approx(0.48, abs=0.02)


def test_of_a_stall_one_second_is_issued_and_the_rest_is_counted_as_skipped() -> None:
    world = World(work_ns=lambda number: 10 * NS if number == 0 else 0)
    world.run(100, 60)
    assert world.driver.skipped_total == 900
    assert world.driver.operations_total == 6000 - 900


def test_operations_slower_than_the_rate_are_issued_one_after_the_other_and_the_phase_ends_in_time() -> None:
    world = World(work_ns=lambda number: 20 * MS)
    assert world.run(100, 60) is True
    assert world.driver.operations_total + world.driver.skipped_total == 6000
    assert world.driver.operations_total == pytest.approx(3000, abs=10)
    assert world.time.now_ns <= 60 * NS + 300 * MS


def test_saturation_still_keeps_house_every_tenth_of_a_second() -> None:
    world = World(work_ns=lambda number: 20 * MS)
    world.run(100, 10)
    gaps = [after - before for before, after in zip(world.kept_at, world.kept_at[1:], strict=False)]
    assert max(gaps) <= 120 * MS


def test_housekeeping_is_called_when_it_asked_to_be_and_while_waiting() -> None:
    world = World()

    def housekeeping(now_ns: int) -> int:
        world.kept_at.append(now_ns)
        return now_ns + 3 * MS

    world.driver.idle(10 * MS, housekeeping)
    assert world.kept_at == [0, 3 * MS, 6 * MS, 9 * MS]


def test_housekeeping_that_asks_for_nothing_is_called_ten_times_a_second() -> None:
    world = World()
    world.run(0.01, 10)
    assert world.kept_at == [tenth * 100 * MS for tenth in range(101)]
    assert world.time.longest_sleep_s == pytest.approx(0.1)


def test_slow_housekeeping_loses_no_operation() -> None:
    world = World()
    world.house_takes_ns = 5 * MS
    world.run(1000, 1)
    assert world.driver.operations_total == 1000


def test_a_request_to_stop_ends_the_phase_at_once() -> None:
    world = World()
    world.stop_at_ns = 2 * NS
    assert world.run(100, 60) is False
    assert world.time.now_ns <= 2 * NS + 100 * MS
    assert world.driver.operations_total == pytest.approx(200, abs=10)
    assert world.driver.skipped_total == 0


def test_a_request_to_stop_ends_an_idle_phase() -> None:
    world = World()
    world.stop_at_ns = 2 * NS
    assert world.driver.idle(60 * NS, world.housekeeping) is False
    assert world.driver.idle(3 * NS, lambda now_ns: FAR_NS) is True
    assert world.driver.operations_total == 0


def test_an_operation_that_raises_is_an_error_an_operation_and_a_latency() -> None:
    world = World()
    failure = ValueError("no")

    def half_raise(op: Operation) -> None:
        world.seen.append(op)
        if len(world.seen) % 2:
            raise failure

    world.driver._operation = half_raise
    world.run(100, 1)
    assert (world.driver.operations_total, world.driver.errors_total) == (100, 50)
    assert world.errors == [failure] * 50
    assert sum(decode_sparse(world.lanes.take()[0][1][0]).values()) == 100


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_exception_of_the_engine_goes_through(raised: type[BaseException]) -> None:
    world = World()

    def leave(op: Operation) -> None:
        raise raised

    world.driver._operation = leave
    with pytest.raises(raised):
        world.run(100, 1)


def test_a_life_that_begins_in_the_middle_of_a_phase_does_not_skip_what_another_life_was_to_issue() -> None:
    world = World()
    world.time.now_ns = 30 * NS
    world.run(100, 60)
    assert world.driver.skipped_total == 0
    assert world.driver.operations_total == 6000 - 2901  # the last one of the other life was due in second 29


def test_a_phase_that_is_over_ends_at_once() -> None:
    world = World()
    world.time.now_ns = 100 * NS
    assert world.run(100, 60) is True
    assert world.driver.operations_total == world.driver.skipped_total == 0


def test_spikes_and_steps_are_issued_in_full() -> None:
    for profile in ("spike", "step"):
        world = World()
        world.run(1000, 10, profile)
        assert world.driver.operations_total == 10_000


def test_a_window_takes_the_latencies_of_its_time() -> None:
    world = World()

    def window_in_the_second_half(now_ns: int) -> int:
        if now_ns >= NS // 2:
            world.lanes.open_window()
        return now_ns + 10 * MS

    world.driver.run(Arrivals(100, "target", 0, NS), NS, window_in_the_second_half)
    counts = {name: sum(decode_sparse(encoded[0]).values()) for name, encoded in world.lanes.take()}
    assert counts == {"clean": 50, "window": 50}


def test_a_lane_without_values_is_left_out() -> None:
    world = World()
    world.run(100, 1)
    assert [name for name, _ in world.lanes.take()] == ["clean"]
    assert world.lanes.take() == []

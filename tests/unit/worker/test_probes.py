"""What the probes decide, without a process, a clock or a fork: tiers, counters, due times, the child's filter."""

import asyncio
import os
import signal
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import pytest

from soakd.errors import ProbeError
from soakd.worker.probes import ProbeSet, allocator, confine, interpreter, process, snapshot, timing
from soakd.worker.probes.fork import ForkedChild, Result
from soakd.worker.probes.reachable import read_reachable
from soakd.worker.probes.snapshot import take_snapshot
from soakd.worker.probes.timing import Absent, TieredProbe

pytestmark = pytest.mark.usefixtures("every_object_is_seen")

MS = 1_000_000


def probe_that_costs(milliseconds: Sequence[float]) -> TieredProbe:
    """A probe whose readings cost what the list says, one after the other; the last figure stays."""
    ticks = clock_of(milliseconds)
    return TieredProbe("slow", lambda: {"value": 1.0}, clock=lambda: next(ticks))


def clock_of(milliseconds: Sequence[float]) -> Iterator[int]:
    now_ns, costs = 0, iter(milliseconds)
    cost = 0.0
    while True:
        yield now_ns
        cost = next(costs, cost)
        now_ns += int(cost * MS)
        yield now_ns


def readings(probe: TieredProbe, until_s: int) -> list[int]:
    """The seconds at which the probe was read, offered one sample a second."""
    seconds = []
    for second in range(until_s):
        values: dict[str, float] = {}
        probe.read_into(values, float(second))
        if "value" in values:
            seconds.append(second)
    return seconds


def test_a_cheap_probe_is_read_at_every_sample() -> None:
    assert readings(probe_that_costs([9.9]), 400) == list(range(400))


def test_a_reading_over_ten_milliseconds_moves_the_probe_to_once_a_minute_and_then_to_once_in_five() -> None:
    assert readings(probe_that_costs([1, 11, 11]), 1000) == [0, 1, 60, 300, 600, 900]


def counters_that_take(monkeypatch: pytest.MonkeyPatch, *, passes_ms: int, waits: int) -> ProbeSet:
    """Probes whose counters take some time on the wall and none of the processor's, waiting so often."""
    now = {"passed_ns": 0, "waits": 0}

    def counters() -> dict[str, float]:
        now["passed_ns"] += passes_ms * MS
        now["waits"] += waits
        return {"entries": 1.0}

    monkeypatch.setattr(time, "perf_counter_ns", lambda: now["passed_ns"])
    monkeypatch.setattr(timing, "_waits", lambda: now["waits"])
    return ProbeSet(None, None, (), counters)


def test_counters_that_were_merely_preempted_on_a_busy_host_are_read_at_every_sample(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    probes = counters_that_take(monkeypatch, passes_ms=50, waits=0)
    assert all("counter.entries" in probes.sample(float(second)) for second in range(46))


def test_counters_that_wait_for_something_are_read_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    probes = counters_that_take(monkeypatch, passes_ms=50, waits=1)
    read = [second for second in range(130) if "counter.entries" in probes.sample(float(second))]
    assert read == [0, 60]


def test_a_thread_that_sleeps_is_seen_to_wait() -> None:
    before = timing._waits()
    time.sleep(0.001)
    assert timing._waits() > before


def test_three_cheap_readings_in_a_row_bring_a_slow_probe_back_by_one_tier() -> None:
    probe = probe_that_costs([11, 1, 1, 7, 1, 1, 1])
    assert readings(probe, 363) == [0, 60, 120, 180, 240, 300, 360, 361, 362]
    assert probe.tier == 0


def test_probes_that_became_slow_at_different_moments_are_still_read_in_the_same_sample() -> None:
    early, late = probe_that_costs([11, 6]), probe_that_costs([1] * 30 + [11, 6])
    assert readings(early, 400)[1:] == [60, 120, 180, 240, 300, 360]
    assert readings(late, 400)[31:] == [60, 120, 180, 240, 300, 360]


def test_a_reading_carries_its_cost() -> None:
    values: dict[str, float] = {}
    probe_that_costs([2]).read_into(values, 0.0)
    assert values == {"value": 1.0, "probe.slow.duration_s": 0.002}


def test_a_probe_that_raises_is_counted_and_asked_again() -> None:
    def broken() -> Mapping[str, float]:
        raise RuntimeError("no")

    probe = TieredProbe("broken", broken)
    values: dict[str, float] = {}
    for second in range(3):
        values.clear()
        probe.read_into(values, float(second))
    assert values.keys() == {"probe.broken.duration_s", "probe.broken.failures_total"}
    assert values["probe.broken.failures_total"] == 3


def test_a_signal_that_the_process_does_not_have_is_asked_for_once_and_is_no_failure() -> None:
    asked = []

    def absent() -> Mapping[str, float]:
        asked.append(1)
        raise Absent("not here")

    probe = TieredProbe("absent", absent)
    assert readings(probe, 10) == []
    assert asked == [1]
    assert probe.failures_total == 0


def test_the_engine_may_cancel_a_reading() -> None:
    def cancelled() -> Mapping[str, float]:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        TieredProbe("cancelled", cancelled).read_into({}, 0.0)


def sample_with(counters: Callable[[], Any]) -> dict[str, float]:
    return ProbeSet(None, None, (), counters).sample(0.0)


def test_counters_that_are_numbers_pass_and_all_others_are_failures() -> None:
    sample = sample_with(
        lambda: {
            "entries": 3, "ratio": 0.5, "part": Fraction(1, 4), "flag": True, "nan": float("nan"), "text": "1",
            "infinite": float("inf"), "huge": 10**400, "complex": 1j, "none": None, 7: 7, "n" * 101: 1,
        }
    )  # fmt: skip
    counters = {name: value for name, value in sample.items() if name.startswith("counter.")}
    assert counters == {"counter.entries": 3, "counter.ratio": 0.5, "counter.part": 0.25}
    assert sample["probe.counters.failures_total"] == 9


@pytest.mark.parametrize("given", [None, 3, [("a", 1)], "text"])
def test_counters_that_are_no_mapping_are_one_failure(given: object) -> None:
    assert sample_with(lambda: given)["probe.counters.failures_total"] == 1


def test_counters_that_raise_are_one_failure_and_everything_else_is_read() -> None:
    def counters() -> Mapping[str, float]:
        raise ValueError("closed")

    sample = sample_with(counters)
    assert sample["probe.counters.failures_total"] == 1
    assert sample["live_python_bytes"] > 0
    assert sample["live_native_bytes"] > 0


def test_an_engine_with_endless_counters_gets_a_hundred() -> None:
    sample = sample_with(lambda: {f"key-{i}": i for i in range(150)})
    assert sum(name.startswith("counter.") for name in sample) == 100
    assert sample["probe.counters.failures_total"] == 50


def test_a_sample_has_every_signal_of_the_worker() -> None:
    sample = sample_with(dict)
    assert {
        "live_python_bytes", "live_native_bytes", "python_free_bytes", "native_free_bytes", "python_blocks",
        "gc_count_0", "gc_collections_0_total", "gc_collections_1_total", "gc_collections_2_total",
        "gc_uncollectable_total", "probe.gc.duration_s",
    } <= sample.keys()  # fmt: skip
    assert not [name for name in sample if name.endswith("failures_total")]
    assert "tasks" not in sample


def test_tasks_are_those_of_the_running_loop() -> None:
    async def two_more() -> dict[str, float]:
        others = [asyncio.create_task(asyncio.sleep(0)) for _ in range(2)]
        counted = interpreter.tasks()
        await asyncio.gather(*others)
        return counted

    assert asyncio.run(two_more()) == {"tasks": 3}
    assert interpreter.tasks() == {}


def test_an_interpreter_without_pymalloc_says_so_in_every_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator, "_write_stats", lambda stream: 0)
    probes = ProbeSet(None, None, (), dict)
    for second in range(3):
        sample = probes.sample(float(second))
        assert sample["note.pymalloc_off"] == 1.0
        assert "live_python_bytes" not in sample
        assert "live_native_bytes" in sample


def test_a_libc_without_mallinfo2_says_so_in_every_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator, "_mallinfo2", None)
    probes = ProbeSet(None, None, (), dict)
    for second in range(3):
        sample = probes.sample(float(second))
        assert sample["note.mallinfo2_missing"] == 1.0
        assert "live_native_bytes" not in sample


def test_statistics_without_the_line_are_a_probe_error() -> None:
    with pytest.raises(ProbeError, match="no line"):
        allocator._bytes_in_allocated_blocks(b"something else\n")


def test_the_line_is_read_with_its_commas() -> None:
    text = b"# arenas = 7\n# bytes in allocated blocks        =   12,345,678\n# bytes in available blocks = 1\n"
    assert allocator._bytes_in_allocated_blocks(text) == 12_345_678


def test_blocks_given_back_in_a_fragmented_heap_are_free_and_no_longer_live() -> None:
    kept = [bytes(400) for _ in range(20_000)]
    full = allocator.python_bytes()
    del kept[::2]
    holed = allocator.python_bytes()
    gone = full["live_python_bytes"] - holed["live_python_bytes"]
    assert gone > 4_000_000
    assert holed["python_free_bytes"] - full["python_free_bytes"] == pytest.approx(gone, rel=0.1)


def test_unused_pools_count_as_free() -> None:
    text = b"# bytes in available blocks        =   339,728\n55 unused pools * 16384 bytes      =   901,120\n"
    assert allocator._free(text) == 339_728 + 901_120


class FakeChild:
    """Ends at the poll after its birth, with values of a reachable or a snapshot child."""

    fork_s = 0.001

    def __init__(self, job: Callable[[], Mapping[str, Any]], killed: list[str]) -> None:
        self._values: dict[str, Any] = {"reachable_python_bytes": 7} if job is read_reachable else {"objects": 1}
        self._killed = killed

    def poll(self) -> Result | None:
        return Result(self._values, None, 0.01, "seccomp")

    def kill(self) -> None:
        self._killed.append("killed")


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replaces forks by `FakeChild`, and lists them."""
    begun: list[str] = []

    def start(job: Callable[[], Mapping[str, Any]], **_: Any) -> FakeChild:
        begun.append("reachable" if job is read_reachable else "snapshot")
        return FakeChild(job, begun)

    monkeypatch.setattr(ForkedChild, "start", start)
    return begun


def test_children_are_forked_on_their_grids_one_at_a_time(forks: list[str]) -> None:
    probes = ProbeSet(3.0, 15.0, (), dict)
    snapshots, reachable_at = [], []
    for second in range(31):
        probes.start_child_if_due(float(second))
        body = probes.poll_child(float(second))
        snapshots += [body["forked_at_s"]] if body else []
        sample = probes.sample(float(second))
        reachable_at += [sample["reachable_forked_at_s"]] if "reachable_forked_at_s" in sample else []
    assert reachable_at == [0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30]
    assert snapshots == [1, 16]
    assert forks.count("snapshot") == 2


def test_the_same_reading_is_not_given_twice(forks: list[str]) -> None:
    probes = ProbeSet(60.0, None, (), dict)
    assert probes.start_child_if_due(5.0)
    probes.poll_child(6.0)
    assert probes.sample(7.0)["reachable_python_bytes"] == 7
    assert "reachable_python_bytes" not in probes.sample(8.0)


def test_where_forking_is_off_nothing_is_forked(forks: list[str]) -> None:
    probes = ProbeSet(None, None, (), dict)
    assert not any(probes.start_child_if_due(float(second)) for second in range(1000))
    assert not probes.child_alive
    assert forks == []


def test_a_fork_that_costs_half_a_second_is_made_once_in_fifty(
    forks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeChild, "fork_s", 0.5)
    probes = ProbeSet(3.0, None, (), dict)
    forked_at = []
    for second in range(200):
        if probes.start_child_if_due(float(second)):
            forked_at.append(second)
        probes.poll_child(float(second))
    assert forked_at == [0, 51, 102, 153]


class SlowSnapshot(FakeChild):
    """A snapshot child that does not end before it is given up."""

    def __init__(self, job: Callable[[], Mapping[str, Any]], killed: list[str]) -> None:
        super().__init__(job, killed)
        self._failure: str | None = None
        self._slow = job is take_snapshot

    def give_up(self, why: str) -> None:
        self._failure = why

    def poll(self) -> Result | None:
        if self._slow and self._failure is None:
            return None
        return Result(None if self._slow else self._values, self._failure, 0.01, "seccomp")


def test_a_snapshot_that_silences_the_leak_signal_is_given_up_and_the_next_goes_without_pympler(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prepared: list[object] = []

    def start(job: Callable[[], Mapping[str, Any]], *, prepare: object = "none", **_: Any) -> FakeChild:
        if job is take_snapshot:
            prepared.append(prepare)
        return SlowSnapshot(job, [])

    monkeypatch.setattr(ForkedChild, "start", start)
    probes = ProbeSet(3.0, 15.0, (), dict)
    bodies, reachable_at = {}, []
    for second in range(31):
        probes.start_child_if_due(float(second))
        if body := probes.poll_child(float(second)):
            bodies[second] = body
        sample = probes.sample(float(second))
        reachable_at += [sample["reachable_forked_at_s"]] if "reachable_forked_at_s" in sample else []
    assert {second: body["skipped"] for second, body in bodies.items()} == dict.fromkeys(
        (12, 27), "gave way to a reading of reachable bytes"
    )
    assert reachable_at == [0, 13, 15, 28, 30]
    assert prepared[0] is not None
    assert prepared[1] is None


def test_a_worker_that_was_late_does_not_make_up_for_it(forks: list[str]) -> None:
    probes = ProbeSet(10.0, None, (), dict)
    forked_at = []
    for second in [*range(5), *range(97, 125)]:
        if probes.start_child_if_due(float(second)):
            forked_at.append(second)
        probes.poll_child(float(second))
    assert forked_at == [0, 97, 100, 110, 120]


def test_no_child_is_forked_when_memory_is_short_and_both_kinds_say_so(
    forks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "memory_available_bytes", lambda: 1000)
    probes = ProbeSet(3.0, 300.0, (), dict)
    bodies = []
    for second in range(3):
        probes.start_child_if_due(float(second))
        bodies.append(probes.poll_child(float(second)))
    assert forks == []
    assert [body["skipped"].partition(":")[0] for body in bodies if body] == ["memory is short"]
    sample = probes.sample(3.0)
    assert sample["note.memory_short"] == 1.0
    assert sample["probe.reachable.failures_total"] == sample["probe.snapshot.failures_total"] == 1


def test_a_child_that_failed_is_a_failure_and_never_a_reading(
    forks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeChild, "poll", lambda self: Result(None, "killed after 30 s", 30.0))
    probes = ProbeSet(3.0, None, (), dict)
    probes.start_child_if_due(0.0)
    assert probes.poll_child(1.0) is None
    sample = probes.sample(2.0)
    assert sample["probe.reachable.failures_total"] == 1
    assert not [name for name in sample if name.startswith("reachable")]


def test_a_snapshot_that_crashes_is_taken_again_at_once_in_ever_simpler_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    ways: list[tuple[bool, bool]] = []

    def start(job: Any, *, prepare: object = None, **_: Any) -> FakeChild:
        ways.append((prepare is not None, job is take_snapshot))
        return FakeChild(job, [])

    def end(child: FakeChild) -> Result:
        return Result({"objects": 1}, None, 0.01) if ways[-1] == (False, False) else CRASHED

    monkeypatch.setattr(ForkedChild, "start", start)
    monkeypatch.setattr(FakeChild, "poll", end)
    probes = ProbeSet(None, 300.0, (), dict)
    probes.ask_for_snapshot(7)
    bodies, deaths = [], []
    for second in range(5):
        probes.start_child_if_due(float(second))
        bodies.append(probes.poll_child(float(second)))
        deaths += probes.take_deaths()
    assert ways == [(True, True), (False, True), (False, False), (False, False)]
    assert bodies[:2] == [None, None]
    assert bodies[2] is not None
    assert (bodies[2]["objects"], bodies[2]["asked"]) == (1, 7)
    assert deaths == [{"probe": "snapshot", "detail": "the forked child died of SIGSEGV"}]
    assert probes.sample(5.0)["probe.snapshot.failures_total"] == 2


CRASHED = Result(None, "died of SIGSEGV", 0.01, died=True)


def test_a_snapshot_that_crashes_in_every_way_is_skipped_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ForkedChild, "start", lambda job, **_: FakeChild(job, []))
    monkeypatch.setattr(FakeChild, "poll", lambda _: CRASHED)
    probes = ProbeSet(None, 300.0, (), dict)
    bodies = []
    for second in range(4):
        probes.start_child_if_due(float(second))
        bodies.append(probes.poll_child(float(second)))
    assert [body and body["skipped"] for body in bodies] == [None, None, "died of SIGSEGV", None]


def test_a_reading_of_reachable_bytes_that_crashes_is_told_once_and_counted_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ForkedChild, "start", lambda job, **_: FakeChild(job, []))
    monkeypatch.setattr(FakeChild, "poll", lambda _: CRASHED)
    probes = ProbeSet(1.0, None, (), dict)
    deaths = []
    for second in range(5):
        probes.start_child_if_due(float(second))
        probes.poll_child(float(second))
        deaths += probes.take_deaths()
    assert deaths == [{"probe": "reachable", "detail": "the forked child died of SIGSEGV"}]
    assert probes.sample(5.0)["probe.reachable.failures_total"] == 5


def test_close_kills_the_child_that_lives(forks: list[str]) -> None:
    probes = ProbeSet(3.0, None, (), dict)
    probes.start_child_if_due(0.0)
    probes.close()
    assert forks == ["reachable", "killed"]
    assert not probes.child_alive


def decide(program: bytes, architecture: int, number: int, first_argument: int, third_argument: int = 0) -> bool:
    """Run a seccomp filter as the kernel does; True where the call is let through. Source: seccomp(2)."""
    data = {0: number, 4: architecture, 16: first_argument, 32: third_argument}
    steps = list(struct.iter_unpack("=HBBI", program))
    at = accumulator = 0
    while True:
        code, if_true, if_false, k = steps[at]
        if code == 0x06:
            return bool(k == 0x7FFF0000)
        if code == 0x20:
            accumulator = data[k]
            at += 1
        else:
            assert code == 0x15
            at += 1 + (if_true if accumulator == k else if_false)


@pytest.mark.parametrize("machine", sorted(confine._MACHINES))
def test_the_filter_lets_through_what_is_listed_and_nothing_else(machine: str) -> None:
    architecture, write, tgkill, allowed = confine._MACHINES[machine]
    program = confine._filter(9, architecture, write, tgkill, allowed)
    passed = {number for number in range(600) if decide(program, architecture, number, first_argument=5)}
    assert passed == set(allowed)
    assert decide(program, architecture, write, first_argument=9)
    assert not any(decide(program, 0x40000003, number, first_argument=9) for number in range(600))


@pytest.mark.parametrize("machine", sorted(confine._MACHINES))
def test_the_filter_lets_a_child_abort_itself_and_send_no_other_signal(machine: str) -> None:
    architecture, _, tgkill, _ = confine._MACHINES[machine]
    program, own = confine._filter(9, *confine._MACHINES[machine]), os.getpid()
    sent = {(to, number) for to in (1, own - 1, own, own + 1) for number in range(65)
            if decide(program, architecture, tgkill, to, number)}  # fmt: skip
    assert sent == {(own, signal.SIGABRT)}


class Refuses:
    """An object that answers no question."""

    def __sizeof__(self) -> int:
        raise RuntimeError("no")

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("unbound proxy")


def test_an_object_that_refuses_to_be_measured_is_counted_with_no_bytes() -> None:
    histogram = snapshot._by_type([Refuses(), Refuses(), [], 5])
    assert histogram[f"{__name__}.Refuses"] == (2, 0)
    assert histogram["list"][0] == histogram["int"][0] == 1


def test_functions_have_one_row_whatever_their_names() -> None:
    names = ["function (a)", "module(os)", "frame (codename: f)", "functions.partial", "collections.deque"]
    assert [snapshot._plain_name(name) for name in names] == [
        "function", "module", "frame", "functions.partial", "collections.deque",
    ]  # fmt: skip


HOARD: dict[int, int] = {}


def test_the_longest_containers_are_named_even_where_the_collector_does_not_track_them() -> None:
    HOARD.update((i, i) for i in range(200_000))
    try:
        longest = snapshot._longest_containers([globals(), *([i] * i for i in range(30)), Refuses()])
    finally:
        HOARD.clear()
    assert len(longest) == 20
    assert longest[0].pop("bytes") > 200_000
    assert longest[0] == {"type": "dict", "length": 200_000, "id": id(HOARD), "name": f"{__name__}.HOARD"}

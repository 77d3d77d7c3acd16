"""What the host pays is anonymous, swapped and shared memory; where swap was not recorded, anonymous memory alone."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from soakd.wire.records import Record, Sample
from soakd.wire.signal_sums import sum_of
from tests.recorded import MONO_S, Level, Story, check, flat, judged, per_hour, plan_of

DAY = plan_of(
    duration="24h", every="5min", limits='growth_rate = "1MB/h"',
    run='controls_off = ["null", "leak"]\ncollect_every = "5min"',
)  # fmt: skip
RESIDENT, ANONYMOUS = "growth.resident_bytes", "growth.rss_anon_bytes"


def parts(
    *, anonymous: Level = flat, swapped: Level | None = flat, shared: Level | None = flat
) -> Callable[[Record], Record]:
    """Give the readings from outside more anonymous memory, and swapped and shared memory; None: not recorded."""

    def change(record: Record) -> Record:
        if not isinstance(record, Sample) or record.source != "outside" or record.engine != "mine":
            return record
        t_s = record.at.mono_s - MONO_S
        more = {"swap_bytes": swapped, "rss_shmem_bytes": shared}
        readings = {**record.readings, **{name: level(t_s, 0) for name, level in more.items() if level is not None}}
        readings["rss_anon_bytes"] += anonymous(t_s, 0)
        return dataclasses.replace(record, readings=readings)

    return change


def mine(change: Callable[[Record], Record], story: Story | None = None) -> dict[str, Any]:
    verdict = judged(DAY, mine=story, change=change)
    return next(engine for engine in verdict["engines"] if engine["name"] == "mine")


def found(engine: dict[str, Any], check_id: str) -> dict[str, Any]:
    return next(check for check in engine["checks"] if check["id"] == check_id)


def out(t_s: float, operations: float) -> float:
    """Twenty megabytes that the kernel moved at noon."""
    return 2e7 if t_s > 43_200 else 0.0


@pytest.mark.parametrize(
    "change",
    [
        parts(swapped=per_hour(5e6)),
        parts(anonymous=per_hour(2.5e6), swapped=per_hour(2.5e6)),
        parts(shared=per_hour(5e6)),
        parts(anonymous=per_hour(0.8e6), swapped=per_hour(0.8e6), shared=per_hour(0.8e6)),
    ],
    ids=["swapped out", "half swapped out", "shared", "a little of each"],
)
def test_a_leak_fails_wherever_the_kernel_keeps_it(change: Callable[[Record], Record]) -> None:
    engine = mine(change)
    assert (engine["verdict"], engine["class"]) == ("FAIL", "private_allocator")
    assert (found(engine, RESIDENT)["verdict"], found(engine, RESIDENT)["decides"]) == ("FAIL", True)
    assert engine["reason"].startswith("resident memory (anonymous, swapped and shared) grows")


@pytest.mark.parametrize(
    "change",
    [parts(), parts(anonymous=lambda t_s, n: -out(t_s, n), swapped=out), parts(shared=lambda t_s, n: 5e7)],
    ids=["nothing grows", "pages are swapped out", "a shared cache that stays"],
)
def test_memory_that_only_moves_passes(change: Callable[[Record], Record]) -> None:
    assert mine(change)["verdict"] == "PASS"


def test_one_check_decides_about_what_the_host_pays() -> None:
    engine = mine(parts(anonymous=per_hour(5e6)))
    assert found(engine, RESIDENT)["decides"]
    assert (found(engine, ANONYMOUS)["verdict"], found(engine, ANONYMOUS)["decides"]) == ("FAIL", False)
    assert found(engine, ANONYMOUS)["informational"]


def test_without_swap_anonymous_memory_decides_as_it_always_did() -> None:
    engine = mine(parts(swapped=None, shared=None), Story(resident=per_hour(5e6)))
    assert all(check["id"] != RESIDENT for check in engine["checks"])
    assert (found(engine, ANONYMOUS)["verdict"], found(engine, ANONYMOUS)["decides"]) == ("FAIL", True)


def test_recordings_that_have_swap_and_no_shared_memory_are_judged_by_both_parts() -> None:
    assert found(mine(parts(swapped=per_hour(5e6), shared=None)), RESIDENT)["verdict"] == "FAIL"
    assert sum_of({"rss_anon_bytes": 5, "swap_bytes": 2}, "resident_bytes") == 7
    assert sum_of({"rss_anon_bytes": 5, "swap_bytes": 2, "rss_shmem_bytes": 4}, "resident_bytes") == 11
    assert sum_of({"rss_anon_bytes": 5, "rss_shmem_bytes": 4}, "resident_bytes") is None
    assert sum_of({"rss_anon_bytes": 5, "swap_bytes": 2, "rss_shmem_bytes": "4"}, "resident_bytes") is None


def test_swap_that_falls_silent_is_never_a_pass() -> None:
    def silent(record: Record) -> Record:
        changed = parts()(record)
        if record.at.mono_s - MONO_S < 50_000 or not isinstance(changed, Sample):
            return changed
        readings = {name: value for name, value in changed.readings.items() if name != "swap_bytes"}
        return dataclasses.replace(changed, readings=readings)

    assert found(mine(silent), "evidence.probe")["verdict"] == "INVALID"


def test_garbage_is_no_leak_of_what_the_host_pays() -> None:
    engine = mine(parts(), Story(garbage=per_hour(5e6)))
    assert (engine["verdict"], engine["class"]) == ("INCONCLUSIVE", "collector_backlog")
    assert found(engine, RESIDENT)["verdict"] == "INCONCLUSIVE"


def test_while_the_run_goes_on_resident_memory_is_judged_and_its_time_to_the_limit_is_said() -> None:
    change = parts(swapped=per_hour(50e6))
    verdict = judged(DAY, until_s=60_000, end=None, running=True, change=change, available=lambda t_s, n: 1e10)
    so_far = check(verdict, "mine", RESIDENT)
    assert (so_far["verdict"], so_far["so_far"]) == ("INCOMPLETE", "FAIL")
    assert so_far["time_to_limit_seconds"] == pytest.approx(1e10 / 50e6 * 3600, rel=0.02)

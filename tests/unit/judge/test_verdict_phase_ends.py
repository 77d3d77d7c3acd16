"""The host pays for peaks, and the reload phase reuses what the load phase had taken."""

import math
from typing import Any

import pytest

from tests.recorded import Level, Story, check, flat, judged, plan_of

DAY = plan_of(
    duration="24h", every="2min", limits='growth_rate = "1MB/h"',
    run='controls_off = ["null", "leak"]\ncollect_every = "3min"',
)  # fmt: skip
PHASES = {phase.name: phase for phase in DAY.engines[0].phases}
LOAD, RELOAD, CLOSE = PHASES["load"], PHASES["reload"], PHASES["close"]
MB = 1e6
HOST, REUSE = "total_growth.rss_anon_bytes", "reuse.reachable_bytes"


def between(begin: float, end: float, size: float) -> Level:
    """Something that is there from one share of the load phase to another, and gone at the close."""
    return lambda t_s, n: size if begin <= (t_s - LOAD.start_s) / LOAD.duration_s < end and t_s < CLOSE.start_s else 0.0


def in_reload(size: float) -> Level:
    return lambda t_s, n: size if RELOAD.start_s <= t_s < RELOAD.end_s else 0.0


def found(story: Story, check_id: str) -> dict[str, Any]:
    return check(judged(DAY, mine=story), "mine", check_id)


@pytest.mark.parametrize("level", [between(0.96, 2.0, 500 * MB), in_reload(500 * MB)], ids=["late", "in reload"])
def test_memory_that_only_the_host_sees_breaks_the_limit_of_total_growth(level: Level) -> None:
    peak = found(Story(resident=level), HOST)
    assert (peak["verdict"], peak["estimate"]) == ("FAIL", pytest.approx(500 * MB, rel=0.01))
    assert peak["decides"]


@pytest.mark.parametrize(
    "story",
    [
        Story(resident=lambda t_s, n: 300 * MB * (1 - math.exp(-max(0.0, t_s - LOAD.start_s) / 3600))),
        Story(garbage=between(0.96, 2.0, 500 * MB)),
        Story(
            resident=between(0.6, 2.0, 500 * MB),
            more={"native_free_bytes": between(0.6, 2.0, 500 * MB), "python_free_bytes": flat},
        ),
        Story(resident=lambda t_s, n: 0.0 if 0.4 < (t_s - LOAD.start_s) / LOAD.duration_s < 0.8 else 300 * MB),
        Story(resident=lambda t_s, n: 300 * MB * (t_s / 10_000 % 1)),
    ],
    ids=["warm-up", "garbage", "free lists", "trimmed and used again", "sawtooth"],
)
def test_what_the_host_pays_anyway_breaks_nothing(story: Story) -> None:
    assert found(story, HOST)["verdict"] == "PASS"


@pytest.mark.parametrize("size", [50 * MB, 300 * MB])
def test_memory_that_the_reload_phase_takes_anew_was_not_reused(size: float) -> None:
    taken = found(Story(native=in_reload(size)), REUSE)
    assert (taken["verdict"], taken["estimate"]) == ("FAIL", pytest.approx(size, rel=0.01))


@pytest.mark.parametrize(
    "story",
    [
        Story(),
        Story(
            python=lambda t_s, n: 50 * MB if t_s < CLOSE.start_s and (t_s < LOAD.end_s or t_s >= RELOAD.start_s) else 0
        ),
        Story(garbage=in_reload(300 * MB)),
        Story(python=lambda t_s, n: 50 * MB * (t_s / 10_000 % 1)),
        Story(python=lambda t_s, n: 0.9 * MB * t_s / 3600),
    ],
    ids=["flat", "freed and taken again", "garbage", "sawtooth", "growth within its limit"],
)
def test_memory_that_is_reused_passes(story: Story) -> None:
    assert found(story, REUSE)["verdict"] == "PASS"


def test_a_reload_phase_that_nobody_read_is_never_a_pass() -> None:
    silent = dict.fromkeys(("reachable_python_bytes", "reachable_native_bytes"), RELOAD.start_s)
    unread = found(Story(silent_from_s=silent), REUSE)
    assert (unread["verdict"], unread["reason"]) == ("INCONCLUSIVE", "no reading in the reload phase")


FOUR_HOURS = plan_of(
    duration="4h", every="1min", limits='growth_rate = "1MB/h"',
    run='controls_off = ["null", "leak"]\ncollect_every = "1min"',
)  # fmt: skip


def filling(capacity: float, beside: Level = flat) -> Story:
    """A cache that gets 300,000 entries of 418 B an hour, and is emptied at the close."""
    close_s = FOUR_HOURS.engines[0].phases[-1].start_s

    def entries(t_s: float, operations: float) -> float:
        return 300_000 * t_s / 3600 if t_s < close_s else 0.0

    return Story(
        native=lambda t_s, n: 418 * entries(t_s, n) + beside(t_s, n), more={"counter.entries": entries},
        declared={"capacity_entries": capacity, "bytes_per_entry": 418},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("story", "state"),
    [
        (filling(2e6), "PASS"),
        (filling(1e5), "FAIL"),
        (filling(2e6, lambda t_s, n: 50 * MB * (t_s >= FOUR_HOURS.engines[0].phases[3].start_s)), "FAIL"),
    ],
    ids=["below its capacity", "beyond its capacity", "more beside it"],
)
def test_a_cache_that_goes_on_filling_in_the_reload_phase_takes_only_its_entries(story: Story, state: str) -> None:
    assert check(judged(FOUR_HOURS, mine=story), "mine", REUSE)["verdict"] == state


@pytest.mark.parametrize(("size", "state"), [(30 * MB, "PASS"), (60 * MB, "FAIL")])
def test_a_life_that_still_warms_up_at_the_end_is_compared_with_those_before_it(size: float, state: str) -> None:
    begun_s = FOUR_HOURS.engines[0].load.end_s - 100
    level: Level = lambda t_s, n: 30 * MB if t_s < begun_s else size * (1 - math.exp((begun_s - t_s) / 600))  # noqa: E731
    taken = check(judged(FOUR_HOURS, mine=Story(python=level, restarts=(begun_s,))), "mine", REUSE)
    assert taken["verdict"] == state

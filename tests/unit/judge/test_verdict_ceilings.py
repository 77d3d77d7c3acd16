"""Both ends of the load phase: what comes late, for a while, after a fall or in the reload phase is seen."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from tests.recorded import Level, Story, check, judged, plan_of

DAY = plan_of(
    duration="24h", every="5min", limits='growth_rate = "1MB/h"',
    run='controls_off = ["null", "leak"]\ncollect_every = "5min"',
)  # fmt: skip
PHASES = {phase.name: phase for phase in DAY.engines[0].phases}
LOAD, RELOAD, CLOSE = PHASES["load"], PHASES["reload"], PHASES["close"]
MB = 1e6


def share(t_s: float) -> float:
    """How much of the load phase has passed."""
    return min(1.0, max(0.0, (t_s - LOAD.start_s) / LOAD.duration_s))


def between(begin: float, end: float, size: float) -> Level:
    """Something that is there from one share of the load phase to another, and gone at the close."""
    return lambda t_s, n: size if begin <= (t_s - LOAD.start_s) / LOAD.duration_s < end and t_s < CLOSE.start_s else 0.0


def in_reload(size: float) -> Level:
    return lambda t_s, n: size if RELOAD.start_s <= t_s < RELOAD.end_s else 0.0


def total(story: Story) -> dict[str, Any]:
    return check(judged(DAY, mine=story), "mine", "total_growth.reachable_bytes")


def count(level: Callable[[float], float], signal: str = "fds") -> dict[str, Any]:
    story = Story(more={signal: lambda t_s, n: float(round(level(t_s)))})
    return check(judged(DAY, mine=story), "mine", f"growth.{signal}")


@pytest.mark.parametrize(
    ("level", "hour"),
    [(between(0.96, 2.0, 500 * MB), "23"), (between(0.3, 0.6, 500 * MB), ""), (in_reload(500 * MB), "23")],
    ids=["at 96 % of the load", "in the middle", "in the reload phase"],
)
def test_memory_that_comes_and_goes_breaks_the_limit_of_total_growth(level: Level, hour: str) -> None:
    found = total(Story(python=level))
    assert (found["verdict"], found["estimate"]) == ("FAIL", pytest.approx(500 * MB, rel=0.001))
    assert found["reason"].startswith(f"at hour {hour}")


@pytest.mark.parametrize(
    "story",
    [
        Story(python=lambda t_s, n: 300 * MB * (1 - math.exp(-max(0.0, t_s - LOAD.start_s) / 3600))),
        Story(python=between(0.02, 0.1, 500 * MB)),
        Story(python=lambda t_s, n: 150 * MB if t_s % 3600 < 900 else 0.0),
        Story(garbage=between(0.96, 2.0, 500 * MB)),
        Story(python=lambda t_s, n: -8 * MB * (share(t_s) > 0.6)),
        Story(python=between(0.96, 2.0, 60 * MB)),
    ],
    ids=["warm-up", "a start that takes much", "bursts", "garbage", "a level that falls", "below the limit"],
)
def test_a_ceiling_is_not_broken_by_what_is_usual_or_not_reachable(story: Story) -> None:
    assert total(story)["verdict"] == "PASS"


@pytest.mark.parametrize("entry_bytes", [1000.0, 500.0], ids=["its entries explain it", "they do not"])
def test_a_cache_may_fill_in_the_reload_phase_as_far_as_its_entries_explain_it(entry_bytes: float) -> None:
    def entries(t_s: float) -> float:
        loaded_s = max(0.0, t_s - RELOAD.start_s) if t_s < CLOSE.start_s else 0.0
        return 100_000 + 900_000 * min(1.0, loaded_s / RELOAD.duration_s)

    story = Story(
        python=lambda t_s, n: 1000.0 * entries(t_s), more={"counter.entries": lambda t_s, n: entries(t_s)},
        declared={"capacity_entries": 1_000_000.0, "bytes_per_entry": entry_bytes},
    )  # fmt: skip
    assert total(story)["verdict"] == ("PASS" if entry_bytes == 1000.0 else "FAIL")


@pytest.mark.parametrize(
    ("level", "state", "risen"),
    [
        (lambda t_s: 9 + 3000 * max(0.0, share(t_s) - 0.91) / 0.09, "FAIL", 3000),
        (lambda t_s: 9 + 60 * max(0.0, share(t_s) - 0.91) / 0.09, "INCONCLUSIVE", 60),
        (lambda t_s: 9 + in_reload(500)(t_s, 0), "FAIL", 500),
        (lambda t_s: 9 + in_reload(30)(t_s, 0), "INCONCLUSIVE", 30),
        (lambda t_s: 60 if share(t_s) < 0.3 else 5 + 50 * (share(t_s) - 0.3) / 0.7, "FAIL", 45),
        (lambda t_s: 60 if share(t_s) < 0.5 else 5 + 50 * (share(t_s) - 0.5) / 0.5, "FAIL", 43),
        (lambda t_s: 9 + between(0.6, 0.63, 2000)(t_s, 0), "FAIL", 2000),
    ],
    ids=["late", "late and few", "in reload", "few in reload", "after a fall", "after a late fall", "for a while"],
)
@pytest.mark.parametrize("signal", ["fds", "threads"])
def test_a_count_is_judged_at_its_end_after_a_fall_and_at_its_maximum(
    level: Callable[[float], float], state: str, risen: float, signal: str
) -> None:
    found = count(level, signal)
    assert (found["verdict"], found["estimate"]) == (state, pytest.approx(risen, rel=0.1))


@pytest.mark.parametrize(
    "level",
    [
        lambda t_s: 5 + 40 * (share(t_s) > 0.4),
        lambda t_s: 5 + 40 * min(1.0, share(t_s) / 0.5),
        lambda t_s: 9 + 100 * (t_s % 5000 < 600),
        lambda t_s: 9 + 50 * (t_s / 3600 / 9.3 % 1),
        lambda t_s: 40 + 25 * math.sin(2 * math.pi * t_s / 86400),
        lambda t_s: 60 if share(t_s) < 0.3 else 5,
        lambda t_s: 9 + between(0.6, 0.7, 100)(t_s, 0),
    ],
    ids=["pool", "slow pool", "bursts", "sawtooth", "wave", "a fall", "once more for a while"],
)
def test_a_count_that_does_not_leak_passes(level: Callable[[float], float]) -> None:
    assert count(level)["verdict"] == "PASS"

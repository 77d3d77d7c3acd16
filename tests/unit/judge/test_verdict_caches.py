"""A bounded cache that fills is no leak, and hides none."""

import math
from typing import Any

import pytest

from soakd.judge.story.cache_fill import calibrate
from soakd.judge.story.rundata import Series
from tests.recorded import Level, Story, check, flat, judged, per_hour, plan_of

DAY = plan_of(
    duration="24h", every="5min", run='controls_off = ["null", "leak"]\ncollect_every = "5min"',
    limits='growth_rate = "1MB/h"\ntotal_growth = "off"\nreturn_to_baseline = "off"',
)  # fmt: skip
CAPACITY, BYTES = 1e6, 418.0
DECLARED = {"capacity_entries": CAPACITY, "bytes_per_entry": BYTES}


def fills(hours: float) -> Level:
    """Entries that rise steadily and are all there after so many hours."""
    return lambda t_s, operations: min(1.0, t_s / 3600 / hours) * CAPACITY


def fills_ever_slower(t_s: float, operations: float) -> float:
    return CAPACITY * (1.0 - math.exp(-t_s / 3600 / 8))


def cache(entries: Level, *, leak: Level = flat, declared: dict[str, float] | None = None) -> Story:
    def native(t_s: float, operations: float) -> float:
        return BYTES * entries(t_s, operations) + leak(t_s, operations)

    return Story(native=native, more={"counter.entries": entries}, declared=DECLARED if declared is None else declared)


def answer(story: Story, plan: Any = DAY) -> tuple[str, str, dict[str, Any]]:
    verdict = judged(plan, mine=story)
    engine = verdict["engines"][0]
    return engine["verdict"], engine["class"], check(verdict, "mine", "growth.reachable_bytes")


def test_a_cache_that_is_still_filling_is_undecided_until_the_hour_at_which_it_is_full() -> None:
    state, kind, growth = answer(cache(fills(35)))
    assert (state, kind) == ("INCONCLUSIVE", "cache_filling")
    assert growth["full_after_hours"] == pytest.approx(35, rel=0.02)
    assert "a cache of" in growth["reason"]
    assert "full at about hour 35" in growth["reason"]


def test_the_same_growth_without_a_declared_capacity_is_a_leak() -> None:
    state, kind, _ = answer(cache(fills(35), declared={}))
    assert (state, kind) == ("FAIL", "native_leak")


def test_the_same_growth_with_entries_that_stand_still_is_a_leak() -> None:
    story = Story(native=per_hour(12e6), more={"counter.entries": lambda t_s, n: 5000.0}, declared=DECLARED)
    assert answer(story)[:2] == ("FAIL", "native_leak")


@pytest.mark.parametrize("hours", [4.0, 20.0])
def test_a_cache_that_has_filled_and_stays_full_passes(hours: float) -> None:
    assert answer(cache(fills(hours)))[0] == "PASS"


@pytest.mark.parametrize("entries", [fills(35), fills(4), fills_ever_slower], ids=["filling", "full", "slowing"])
def test_a_leak_beside_a_cache_fails(entries: Level) -> None:
    state, kind, growth = answer(cache(entries, leak=per_hour(2e6)))
    assert (state, kind) == ("FAIL", "native_leak")
    assert growth["low"] <= 2e6 <= growth["high"] * 1.01


@pytest.mark.parametrize(
    ("hours", "leak_per_h", "told"),
    [(35.0, 2e6, True), (35.0, 13e6, False), (23.0, 2e6, False)],
    ids=["filling", "twice as heavy", "full"],
)
def test_growth_beside_a_cache_that_fills_says_what_its_entries_would_have_to_weigh(
    hours: float, leak_per_h: float, *, told: bool
) -> None:
    _, _, growth = answer(cache(fills(hours), leak=per_hour(leak_per_h)))
    weight = BYTES * (1 + leak_per_h / (BYTES * CAPACITY / hours))
    assert growth["verdict"] == "FAIL"
    assert "of 418 B (declared)" in growth["reason"]
    assert ("would explain" in growth["reason"]) is told
    assert (f", which at {weight:.3g} B each would explain all of it" in growth["reason"]) is told


def test_where_only_a_number_of_entries_is_declared_a_straight_fill_says_what_is_missing() -> None:
    state, kind, growth = answer(cache(fills(35), declared={"capacity_entries": CAPACITY}))
    assert (state, kind) == ("INCONCLUSIVE", "cache_filling")
    assert "declare bytes_per_entry" in growth["reason"]


def test_a_fill_that_slows_down_tells_its_own_bytes_per_entry() -> None:
    declared = {"capacity_entries": CAPACITY}
    assert answer(cache(fills_ever_slower, declared=declared))[0] != "FAIL"
    state, _, growth = answer(cache(fills_ever_slower, leak=per_hour(4e6), declared=declared))
    assert (state, growth["bytes_per_entry_source"]) == ("FAIL", "calibrated")
    assert growth["bytes_per_entry"] == pytest.approx(BYTES, rel=0.02)


def test_growth_within_a_capacity_in_bytes_is_undecided_and_growth_beyond_it_is_a_leak() -> None:
    assert answer(cache(fills(35), declared={"capacity_bytes": CAPACITY * BYTES}))[:2] == (
        "INCONCLUSIVE", "cache_filling",
    )  # fmt: skip
    assert answer(cache(fills(35), declared={"capacity_bytes": 1e8}))[0] == "FAIL"


def test_entries_that_would_explain_more_than_has_grown_explain_nothing() -> None:
    state, _, growth = answer(cache(fills(35), declared=DECLARED | {"bytes_per_entry": 10 * BYTES}))
    assert state == "INCONCLUSIVE"
    assert "declared too large" in growth["reason"]


def test_total_growth_counts_what_a_cache_does_not_explain() -> None:
    plan = plan_of(
        duration="24h", every="5min", run='controls_off = ["null", "leak"]\ncollect_every = "5min"',
        limits='growth_rate = "off"\ngrowth_per_operation = "1kB"\ntotal_growth = "50MB"\nreturn_to_baseline = "off"',
    )  # fmt: skip
    for entries, leak, state in (
        (fills(35), flat, "INCONCLUSIVE"), (fills(20), flat, "PASS"), (fills(35), per_hour(4e6), "FAIL"),
    ):  # fmt: skip
        verdict = judged(plan, mine=cache(entries, leak=leak))
        assert check(verdict, "mine", "total_growth.reachable_bytes")["verdict"] == state


def test_bytes_per_entry_cannot_be_told_from_a_straight_fill() -> None:
    import numpy as np

    t_s, life = np.arange(100.0), np.zeros(100, dtype=np.int64)
    straight, bent = Series(t_s, 10 * t_s, life), Series(t_s, 1000 * (1 - np.exp(-t_s / 20)), life)
    assert calibrate(Series(t_s, 5 * straight.y, life), straight) is None
    assert calibrate(Series(t_s, 5 * bent.y + 3 * t_s, life), bent) == pytest.approx(5.0)


def test_a_cache_beyond_its_declared_capacity_excuses_nothing() -> None:
    story = Story(
        native=per_hour(2.2e6), declared={"capacity_entries": 1000.0, "bytes_per_entry": 2200.0},
        more={"counter.entries": per_hour(1000)},
    )  # fmt: skip
    assert check(judged(DAY, mine=story), "mine", "growth.reachable_bytes")["verdict"] == "FAIL"


@pytest.mark.parametrize(("bytes_per_entry", "state"), [(100.0, "FAIL"), (10_000.0, "INCONCLUSIVE")])
def test_entries_declared_too_large_explain_no_total_growth_either(bytes_per_entry: float, state: str) -> None:
    """A step of 300 MB beside a cache of 10 MB: no rate, so nothing but the ceiling sees it."""
    plan = plan_of(
        duration="24h", every="5min", run='controls_off = ["null", "leak"]\ncollect_every = "5min"',
        limits='growth_rate = "1MB/h"\ntotal_growth = "100MB"\nreturn_to_baseline = "off"',
    )  # fmt: skip

    def entries(t_s: float, operations: float) -> float:
        return 1e5 * min(1.0, t_s / 70_000)

    story = Story(
        native=lambda t_s, operations: 100 * entries(t_s, operations) + (3e8 if t_s > 43_200 else 0.0),
        more={"counter.entries": entries}, declared={"capacity_entries": 1e5, "bytes_per_entry": bytes_per_entry},
    )  # fmt: skip
    found = check(judged(plan, mine=story), "mine", "total_growth.reachable_bytes")
    assert (found["verdict"], found["estimate"] > 2.9e8) == (state, True)

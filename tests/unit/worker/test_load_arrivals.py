"""The schedule: exact, absolute, known before the first operation."""

import pytest

from soakd.setup.engine_kinds import PROFILE_RATES
from soakd.worker.load.arrivals import SHAPES, Arrivals

NS = 1_000_000_000
HOUR_NS = 3600 * NS
PHASE_S = 100


def times(arrivals: Arrivals) -> list[int]:
    return [arrivals.time_ns(index) for index in range(arrivals.total)]


def test_an_hour_at_one_per_second_is_exactly_3600_operations() -> None:
    arrivals = Arrivals(1, "target", 7, 7 + HOUR_NS)
    assert times(arrivals) == [7 + second * NS for second in range(3600)]


@pytest.mark.parametrize(("rate", "expected"), [(0.1, 360), (1 / 3, 1200), (2000, 7_200_000), (50_000, 180_000_000)])
def test_any_rate_is_kept_to_the_last_operation_of_an_hour(rate: float, expected: int) -> None:
    arrivals = Arrivals(rate, "target", 0, HOUR_NS)
    assert arrivals.total == expected
    assert arrivals.due_by(HOUR_NS - 1) == expected
    assert HOUR_NS - NS / rate - 2 <= arrivals.time_ns(expected - 1) < HOUR_NS


def test_a_tenth_is_a_tenth_and_not_the_binary_fraction_beside_it() -> None:
    assert Arrivals(0.1, "target", 0, 10**9 * NS).time_ns(99_999_999) == 999_999_990 * NS


@pytest.mark.parametrize("profile", SHAPES)
def test_every_profile_issues_rate_times_duration(profile: str) -> None:
    assert Arrivals(1000, profile, 0, PHASE_S * NS).total == 1000 * PHASE_S


def test_a_spike_is_eleven_times_the_rate_around_it() -> None:
    arrivals = Arrivals(1000, "spike", 0, PHASE_S * NS)
    per_second = [arrivals.due_by((s + 1) * NS - 1) - arrivals.due_by(s * NS - 1) for s in range(PHASE_S)]
    assert per_second == ([500] * 9 + [5500]) * 10


def test_steps_go_up_in_four_stairs() -> None:
    arrivals = Arrivals(1000, "step", 0, PHASE_S * NS)
    per_quarter = [arrivals.due_by(q * 25 * NS - 1) for q in range(5)]
    assert per_quarter == [0, 10_000, 30_000, 60_000, 100_000]


def test_a_phase_without_length_has_no_operation() -> None:
    arrivals = Arrivals(1000, "spike", 5, 5)
    assert arrivals.total == 0
    assert arrivals.due_by(HOUR_NS) == 0


def test_nothing_is_due_before_the_phase() -> None:
    assert Arrivals(1000, "step", NS, 2 * NS).due_by(NS - 1) == 0


@pytest.mark.parametrize("rate", [0, -5, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="rate: must be above 0"):
        Arrivals(rate, "target", 0, NS)


def test_an_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r'profile: must be one of baseline, .*step, got "flood"'):
        Arrivals(1, "flood", 0, NS)


def test_every_profile_of_the_configuration_has_a_shape() -> None:
    assert set(SHAPES) == set(PROFILE_RATES)

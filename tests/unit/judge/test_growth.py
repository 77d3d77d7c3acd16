"""What the growth verdict answers, by example; tests/growth_traces.py has the error rates' traces."""

import numpy as np
import pytest

from soakd.judge.growth.method import BLIND, Growth, explain_growth, judge_growth
from soakd.judge.growth.series import FloatArray, IntArray
from soakd.judge.growth.steps import ramp
from tests.growth_traces import noise, trace

HOURS = np.arange(288) / 12
OPERATIONS = np.linspace(0, 300_000, 60)
RNG = np.random.default_rng


def day(y: FloatArray, segment: IntArray | None = None) -> Growth:
    """Judge a day at five minutes against 1 MB/h, in MB."""
    return judge_growth(HOURS, y, segment, limit=1.0)


def short(y: FloatArray) -> Growth:
    """Judge a minute at 1 Hz against 16 bytes per operation, in bytes."""
    return judge_growth(OPERATIONS, y, limit=16.0)


def interval(growth: Growth) -> tuple[float, float]:
    assert growth.low is not None
    assert growth.high is not None
    return growth.low, growth.high


def test_a_constant_series_passes_with_a_tight_interval_around_zero() -> None:
    growth = day(np.full(288, 50.0))
    assert growth.state == "PASS"
    low, high = interval(growth)
    assert -0.01 < low < 0 < high < 0.01


@pytest.mark.parametrize("factor", [2, 5, 1_000, 1_000_000])
def test_a_leak_fails_however_large_it_is_and_the_interval_holds_its_rate(factor: float) -> None:
    growth = day(50 + factor * HOURS + noise(288, RNG(1), phi=0.5, deviation=0.3))
    assert growth.state == "FAIL"
    low, high = interval(growth)
    assert low * (1 - 1e-9) <= factor <= high * (1 + 1e-9)


def test_an_exactly_linear_series_is_judged_by_its_slope_alone() -> None:
    assert short(3e7 + 32.0 * OPERATIONS).state == "FAIL"
    assert short(3e7 + 16.0 * OPERATIONS).state == "INCONCLUSIVE"
    assert short(3e7 + 8.0 * OPERATIONS).state == "PASS"


def test_three_hundred_bytes_of_wiggle_on_a_line_make_the_interval_neither_nothing_nor_absurd() -> None:
    low, high = interval(short(3e7 + 32.0 * OPERATIONS + RNG(2).integers(-300, 300, 60)))
    assert 0.01 < high - low < 1.0


def test_a_flat_series_with_one_small_jump_at_its_start_passes() -> None:
    y = np.full(60, 3e7)
    y[0] -= 1024
    assert short(y).state == "PASS"


def test_a_few_steps_of_kilobytes_pass_against_megabytes_of_allowance() -> None:
    steps = np.cumsum(RNG(3).uniform(size=60) < 0.08).astype(np.float64)
    assert short(3e7 + 4096.0 * steps).state == "PASS"


def test_a_warm_up_passes_and_the_same_with_a_leak_behind_it_fails() -> None:
    warm_up = 50 + 60 * (1 - np.exp(-HOURS / 1.5)) + noise(288, RNG(4), phi=0.8, deviation=0.3)
    assert day(warm_up).state == "PASS"
    assert day(warm_up + 3 * HOURS).state == "FAIL"


def test_a_cache_that_fills_until_the_afternoon_passes() -> None:
    assert day(50 + 55 * np.minimum(HOURS / 14, 1.0) + noise(288, RNG(5), phi=0.5, deviation=0.3)).state == "PASS"


def test_a_collector_sawtooth_passes_and_the_same_with_a_leak_under_it_fails() -> None:
    sawtooth = 50 + 30 * (HOURS / 1.1 % 1.0) + noise(288, RNG(6), phi=0.5, deviation=0.5)
    assert day(sawtooth).state == "PASS"
    assert day(sawtooth + 5 * HOURS).state == "FAIL"


def test_steps_that_have_stopped_pass_and_steps_that_go_on_fail() -> None:
    wobble = noise(288, RNG(7), phi=0.5, deviation=0.2)
    stopped = sum(8.0 * (hour < HOURS) for hour in (1.0, 3.5, 7.0, 9.5))
    regular = 20.0 * np.floor(HOURS / 4.4)
    assert day(50 + stopped + wobble).state == "PASS"
    assert day(50 + regular + wobble).state == "FAIL"


def test_a_single_step_is_no_rate() -> None:
    assert day(50 + 15.0 * (HOURS > 12) + noise(288, RNG(8), phi=0.5, deviation=0.2)).state == "PASS"


def test_a_large_step_near_the_end_is_not_decided() -> None:
    assert day(50 + 60.0 * (HOURS > 21.5) + noise(288, RNG(9), phi=0.5, deviation=0.2)).state == "INCONCLUSIVE"


def test_more_noise_than_allowance_is_not_decided() -> None:
    assert day(5000 + RNG(10).normal(0, 1000, 288)).state == "INCONCLUSIVE"


def test_a_wide_interval_far_below_zero_does_not_pass() -> None:
    """A fall cannot last; a series that only shows a vague one has not shown that nothing leaks."""
    found = [trace("trims", seed) for seed in range(20)]
    for growth in (judge_growth(t.hours, 20 * t.megabytes, limit=1.0) for t in found):
        assert growth.minimum_detectable is not None
        assert growth.state != "PASS" or growth.minimum_detectable <= BLIND


def test_growth_at_the_minimum_detectable_rate_is_where_the_low_end_meets_the_limit() -> None:
    growth = day(50 + noise(288, RNG(11), phi=0.8, deviation=0.5))
    assert growth.estimate is not None
    assert growth.low is not None
    assert growth.minimum_detectable == pytest.approx(1.0 + growth.estimate - growth.low)


def test_a_leak_a_little_above_the_minimum_detectable_rate_is_detected() -> None:
    quiet = 50 + noise(288, RNG(12), phi=0.5, deviation=0.5)
    rate = day(quiet).minimum_detectable
    assert rate is not None
    assert day(quiet + 1.2 * rate * HOURS).state == "FAIL"


# Restarts, gaps, too little


def test_every_life_of_the_process_has_its_own_warm_up() -> None:
    segment = np.searchsorted([9.0, 15.0], HOURS, side="right")
    age = HOURS - np.array([0.0, 9.0, 15.0])[segment]
    y = 50 + 40 * (1 - np.exp(-age / 0.4)) + noise(288, RNG(13), phi=0.5, deviation=0.2)
    growth = day(y, segment)
    assert (growth.state, growth.segments, growth.samples) == ("PASS", 3, 288)
    assert day(y + 3 * age, segment).state == "FAIL"


def test_a_life_too_short_to_judge_is_left_out_and_said() -> None:
    growth = day(np.full(288, 50.0), (HOURS > 22).astype(np.int64))
    assert (growth.state, growth.segments, growth.reason) == ("PASS", 1, "1 life of its process too short to judge")


def test_a_process_that_restarts_all_the_time_is_not_decided() -> None:
    growth = day(np.full(288, 50.0), np.arange(288) // 14)
    assert (growth.state, growth.estimate) == ("INCONCLUSIVE", None)


def test_a_gap_of_eight_hours_changes_no_answer() -> None:
    seen = (HOURS < 6) | (HOURS > 14)
    quiet = 50 + noise(288, RNG(14), phi=0.5, deviation=0.3)
    assert judge_growth(HOURS[seen], quiet[seen], limit=1.0).state == "PASS"
    assert judge_growth(HOURS[seen], (quiet + 2 * HOURS)[seen], limit=1.0).state == "FAIL"


@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        ([], [], "0 samples, 16 needed"),
        (HOURS[:12], HOURS[:12], "12 samples, 16 needed"),
        (HOURS, np.full(288, np.nan), "0 samples, 16 needed; samples that were not finite: 288"),
        (np.zeros(30), np.arange(30.0), "no segment with 16 samples over 12% of the duration"),
        (np.append(HOURS[:20] / 20, 24.0), np.ones(21), "the samples lie in fewer than 5 of 48 parts of the duration"),
    ],
)
def test_too_little_data_is_never_a_pass_and_says_what_is_missing(x: FloatArray, y: FloatArray, reason: str) -> None:
    growth = judge_growth(np.asarray(x), np.asarray(y), limit=1.0)
    numbers = (growth.estimate, growth.low, growth.high, growth.minimum_detectable)
    assert (growth.state, numbers, growth.reason) == ("INCONCLUSIVE", (None,) * 4, reason)


def test_samples_that_are_not_finite_are_dropped_and_counted() -> None:
    y = np.full(288, 50.0)
    y[::3], y[1] = np.nan, np.inf
    growth = day(y)
    assert (growth.state, growth.samples) == ("PASS", 191)
    assert growth.reason == "samples that were not finite: 97"


@pytest.mark.parametrize("most", [1e101, 1e160, 1e305])
def test_numbers_whose_squares_are_none_are_not_judged(most: float) -> None:
    growth = day(most * HOURS)
    assert (growth.state, growth.estimate) == ("INCONCLUSIVE", None)


@pytest.mark.parametrize("limit", [0.0, -1.0, np.nan, np.inf])
def test_a_limit_that_limits_nothing_is_refused(limit: float) -> None:
    with pytest.raises(ValueError, match="limit: must be a finite number above 0"):
        judge_growth(HOURS, HOURS, limit=limit)


def test_arrays_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="must have one length"):
        judge_growth(HOURS, HOURS[1:], limit=1.0)


# Counts: descriptors and threads, limit one per hour, two hours at 10 s

TWO_HOURS = np.arange(720) / 360


@pytest.mark.parametrize(
    ("count", "state"),
    [
        (9 + (RNG(15).uniform(size=720) < 0.05), "PASS"),
        (9 + (RNG(16).uniform(size=720) < 0.5), "PASS"),
        (8 + RNG(17).integers(0, 5, 720), "PASS"),
        (9 + (TWO_HOURS > 1.0), "PASS"),
        (9 + 20 * (TWO_HOURS > 0.3), "PASS"),
        (9 + np.floor(TWO_HOURS * 6), "FAIL"),
        (9 + np.floor(TWO_HOURS * 60), "FAIL"),
    ],
    ids=["rarely ten", "nine or ten", "eight to twelve", "one once", "a pool", "one in ten minutes", "one a minute"],
)
def test_small_counts_are_judged_like_everything_else(count: FloatArray, state: str) -> None:
    assert judge_growth(TWO_HOURS, count.astype(np.float64), limit=1.0).state == state


# What a person looks at


def test_the_explanation_follows_the_series_and_its_line_has_the_estimated_rate() -> None:
    y = 50 + 60 * (1 - np.exp(-HOURS / 1.5)) + 3 * HOURS + noise(288, RNG(18), phi=0.0, deviation=0.2)
    (curve,) = explain_growth(HOURS, y, limit=1.0)
    assert np.max(np.abs(curve.fitted - curve.y)) < 1.0
    slope = (curve.long_run[-1] - curve.long_run[0]) / (curve.x[-1] - curve.x[0])
    assert slope == pytest.approx(day(y).estimate)
    assert curve.long_run[-1] == pytest.approx(curve.fitted[-1])


def test_what_cannot_be_judged_is_not_explained() -> None:
    assert explain_growth(HOURS[:5], HOURS[:5], limit=1.0) == ()


def test_a_life_that_leaks_is_not_outvoted_by_lives_that_do_not() -> None:
    hours = np.linspace(0.0, 24.0, 1440)
    noise = np.random.default_rng(1).normal(0.0, 2e4, hours.size)
    second = hours >= 12.0
    memory = 1e8 + noise + np.where(second, 3e6 * (hours - 12.0), 0.1e6 * hours)
    growth = judge_growth(hours, memory, second.astype(np.int64), limit=1e6)
    assert growth.state != "PASS"
    assert "one life of the process alone" in growth.reason


@pytest.mark.parametrize("period", [6.0, 7.3, 8.0, 9.5, 11.0])
@pytest.mark.parametrize("phase", [0.1, 0.45, 0.8])
def test_a_release_every_few_hours_is_no_leak(period: float, phase: float) -> None:
    teeth = 60.0 * np.mod(HOURS / period + phase, 1.0)
    assert day(200.0 + teeth + noise(288, RNG(19), phi=0.5, deviation=0.3)).state != "FAIL"


def test_a_leak_stays_one_beside_a_small_release() -> None:
    y = 200.0 + 5.0 * HOURS - np.where(HOURS > 11.0, 12.0, 0.0) + noise(288, RNG(20), phi=0.5, deviation=0.3)
    assert day(y).state == "FAIL"


@pytest.mark.parametrize(("size", "seed"), [(29.0, 3), (40.0, 4)])
def test_a_leak_whose_process_lets_go_in_the_last_hour_does_not_pass(size: float, seed: int) -> None:
    teeth = size * np.mod(HOURS / 8.2 + 0.16, 1.0)
    assert day(200.0 + teeth + 5.0 * HOURS + noise(288, RNG(seed), phi=0.5, deviation=0.3)).state != "PASS"


def test_what_goes_on_after_a_late_ramp_is_a_second_reading_only_where_the_level_falls() -> None:
    end, effect = np.array([[0.9, np.nan], [0.9, np.nan], [0.5, np.nan], [0.9, np.nan]]), np.array([[9.0, 1.0]] * 4)
    effect[3, 0] = -9.0
    assert ramp(end, effect, np.array([-1.5, -0.5, -1.5, -1.5])).tolist() == [10.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("on_for_h", [6.0, 4.0])
def test_a_leak_under_a_load_that_rests_does_not_pass_in_a_rest(on_for_h: float) -> None:
    working = (HOURS % (2 * on_for_h)) < on_for_h
    kept = 50.0 + np.cumsum(working) / 12 * 4.0  # 4 MB/h while it works, 2 over the day
    assert day(kept + noise(288, RNG(11), phi=0.5, deviation=0.3)).state != "PASS"


@pytest.mark.parametrize("at", [7.0, 14.0, 19.5])
def test_memory_that_the_kernel_took_back_and_that_returns_is_no_growth(at: float) -> None:
    """The level stays below what it was before."""
    taken = np.where(at < HOURS, 70.0 * np.exp(-np.maximum(HOURS - at, 0.0) / 1.9), 0.0)
    assert day(200.0 - taken + noise(288, RNG(12), phi=0.5, deviation=0.1)).state == "PASS"
    assert day(200.0 - taken + 4.0 * HOURS + noise(288, RNG(12), phi=0.5, deviation=0.1)).state != "PASS"

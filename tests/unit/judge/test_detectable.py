"""The rate that a verdict says is seen with 95 % is seen with 95 %; `tests/detecting.py` adds the leaks."""

import pytest

from soakd.judge.growth.detectable import ONE_SIDE, STRAY, detectable_95, widths_asked
from tests.detecting import Tried, reachable, resident, tried

A_FEW = range(300, 301)
MANY = {"reachable": range(4000, 4067), "resident": range(4000, 4030)}
SERIES = {"reachable": reachable, "resident": resident}
OF_TWENTY_CHECKS = 0.01 / 20


def test_a_leak_is_seen_at_two_widths_above_what_it_must_exceed() -> None:
    assert detectable_95(1.0, 0.25) == 1.0 + (1.0 + STRAY) * 0.25


def test_a_check_that_may_err_less_sees_only_larger_leaks() -> None:
    assert widths_asked(ONE_SIDE) == 1.0
    assert widths_asked(0.5) == 1.0
    assert widths_asked(OF_TWENTY_CHECKS) == pytest.approx(1.68, abs=0.01)


@pytest.mark.parametrize("signal", SERIES)
def test_a_leak_of_the_detectable_rate_is_detected_in_nearly_every_series(signal: str) -> None:
    found = [trial for t in SERIES[signal](A_FEW) if (trial := tried(t)) is not None]
    assert sum(not trial.detected for trial in found) <= 1, found


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("signal", SERIES)
def test_leaks_of_the_detectable_rate_are_detected_in_95_percent_give_or_take_three(signal: str) -> None:
    found: list[Tried] = [trial for t in SERIES[signal](MANY[signal]) if (trial := tried(t)) is not None]
    detected = sum(trial.detected for trial in found) / len(found)
    assert 0.92 <= detected <= 0.98, (detected, len(found))

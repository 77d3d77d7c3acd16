"""The rate that a verdict says is seen with 95 % is seen with 95 %; `tests/detecting.py` adds the leaks."""

import pytest

from soakd.judge.growth.detectable import STRAY, detectable_95
from tests.detecting import Tried, reachable, resident, tried

A_FEW = range(300, 301)
MANY = {"reachable": range(4000, 4067), "resident": range(4000, 4030)}
SERIES = {"reachable": reachable, "resident": resident}


def test_a_leak_is_detected_at_two_widths_above_what_it_must_exceed() -> None:
    assert detectable_95(1.0, 0.3, 0.25) == 1.0 + 0.3 + STRAY * 0.25


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

"""The kinds of series on which the growth verdict was once wrong, a few of each; `long` has four hundred of each."""

from itertools import chain

import pytest

from soakd.judge.growth.method import DAY_H, Growth, judge_growth
from tests.growth_families import KINDS, traces
from tests.growth_traces import Trace

A_FEW = range(500, 504)
MANY = range(1000, 1200)
AT_MOST_WRONG = 1
"""Of two hundred, healthy or leaking: the aim, which all kinds but two reach."""
STILL_WRONG = {"a release": 2, "few large jumps": 2}
"""Healthy releases that fail, and tables that double twice in a run and pass."""


def judged(kind: str, seeds: range) -> list[tuple[Trace, Growth]]:
    return [(t, judge_growth(t.hours, t.megabytes, t.segment, limit=t.limit, day=DAY_H)) for t in traces(kind, seeds)]


@pytest.fixture(scope="module")
def a_few() -> list[tuple[Trace, Growth]]:
    return list(chain.from_iterable(judged(kind, A_FEW) for kind in KINDS))


def test_no_leak_of_a_kind_that_once_passed_passes(a_few: list[tuple[Trace, Growth]]) -> None:
    assert [(t.family, t.rate) for t, growth in a_few if t.leaks and growth.state == "PASS"] == []


def test_no_healthy_series_of_a_kind_that_once_failed_fails(a_few: list[tuple[Trace, Growth]]) -> None:
    assert [(t.family, t.rate) for t, growth in a_few if not t.leaks and growth.state == "FAIL"] == []


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_at_most_one_in_two_hundred_is_wrong_and_two_of_the_kinds_that_are_still_open(kind: str) -> None:
    answers = judged(kind, MANY)
    healthy = [t.family for t, growth in answers if not t.leaks and growth.state == "FAIL"]
    leaking = [(t.family, t.rate) for t, growth in answers if t.leaks and growth.state == "PASS"]
    most = STILL_WRONG.get(kind, AT_MOST_WRONG)
    assert len(healthy) <= most, healthy
    assert len(leaking) <= most, leaking

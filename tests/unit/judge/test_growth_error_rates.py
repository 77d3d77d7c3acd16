"""The error rates of the growth verdict on traces of the project's own; benches/bench_growth.py measures more."""

import pytest

from soakd.judge.growth.method import DAY_H, Growth, judge_growth
from tests.growth_traces import Trace, held_out

SEEDS = range(1000, 1003)


@pytest.fixture(scope="module")
def judged() -> list[tuple[Trace, Growth]]:
    return [(t, judge_growth(t.hours, t.megabytes, t.segment, limit=t.limit, day=DAY_H)) for t in held_out(SEEDS)]


def test_no_leak_of_twice_the_limit_passes(judged: list[tuple[Trace, Growth]]) -> None:
    assert [t.family for t, growth in judged if t.leaks and growth.state == "PASS"] == []


def test_no_healthy_trace_fails(judged: list[tuple[Trace, Growth]]) -> None:
    assert [t.family for t, growth in judged if not t.leaks and growth.state == "FAIL"] == []


def test_few_traces_are_left_open(judged: list[tuple[Trace, Growth]]) -> None:
    assert sum(growth.state == "INCONCLUSIVE" for _, growth in judged) <= 0.08 * len(judged)


def test_nearly_all_intervals_hold_the_true_rate(judged: list[tuple[Trace, Growth]]) -> None:
    held = [g.low <= t.rate <= g.high for t, g in judged if g.low is not None and g.high is not None]
    assert sum(held) >= 0.92 * len(judged)

"""What must not change a growth verdict, and what must not break it."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from soakd.judge.growth.method import Growth, judge_growth
from tests.growth_traces import SHAPES, Trace, trace

TRACES = st.builds(
    trace,
    st.sampled_from(sorted(SHAPES)),
    st.integers(0, 10_000),
    leak=st.sampled_from((None, "steady", "bursty")),
    n=st.sampled_from((40, 288)),
    restarts=st.sampled_from((0, 0, 1)),
)
FACTORS = st.floats(-6, 6).map(lambda exponent: 10.0**exponent)
NUMBERS = st.floats(allow_nan=True, allow_infinity=True)
QUICK = settings(max_examples=12, deadline=None)


def judged(t: Trace) -> Growth:
    return judge_growth(t.hours, t.megabytes, t.segment, limit=t.limit)


def assert_same(growth: Growth, expected: Growth, unit: float = 1.0) -> None:
    assert growth.samples == expected.samples
    for name in ("estimate", "low", "high", "minimum_detectable"):
        value, wanted = getattr(growth, name), getattr(expected, name)
        scale = unit * (abs(expected.estimate or 0.0) + 1.0)
        assert value == (wanted if wanted is None else pytest.approx(wanted * unit, rel=1e-3, abs=1e-3 * scale))


@QUICK
@given(TRACES, FACTORS, FACTORS)
def test_units_do_not_matter(t: Trace, hours: float, megabytes: float) -> None:
    unit = megabytes / hours
    scaled = judge_growth(t.hours * hours, t.megabytes * megabytes, t.segment, limit=t.limit * unit)
    assert_same(scaled, judged(t), unit)


@QUICK
@given(TRACES, st.integers(-1000, 1000), st.integers(-1000, 1000))
def test_the_origin_does_not_matter(t: Trace, hours: int, megabytes: int) -> None:
    y, limit = np.round(t.megabytes * 1e6), t.limit * 1e6
    shifted = judge_growth(t.hours + hours, y + 1e6 * megabytes, t.segment, limit=limit)
    assert_same(shifted, judge_growth(t.hours, y, t.segment, limit=limit))


@QUICK
@given(TRACES, st.integers(0, 2**32 - 1))
def test_neither_the_order_of_records_nor_a_record_twice_matters(t: Trace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = t.hours.size
    order = rng.permutation(np.concatenate((np.arange(n), rng.integers(0, n, n // 4))))
    shuffled = judge_growth(t.hours[order], t.megabytes[order], t.segment[order], limit=t.limit)
    assert shuffled == judged(t)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(NUMBERS, NUMBERS, st.integers(-1, 1)), min_size=0, max_size=80),
    st.floats(min_value=5e-324, allow_infinity=False, allow_nan=False),
)
def test_no_data_raises(rows: list[tuple[float, float, int]], limit: float) -> None:
    columns = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    growth = judge_growth(columns[0], columns[1], columns[2].astype(np.int64), limit=limit)
    numbers = (growth.estimate, growth.low, growth.high, growth.minimum_detectable)
    assert all(number is None for number in numbers) or all(
        number is not None and not math.isnan(number) for number in numbers
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e12, 1e12) | st.integers(0, 3).map(float), min_size=16, max_size=120), FACTORS)
def test_the_interval_is_in_order_and_the_state_follows_from_it(values: list[float], limit: float) -> None:
    growth = judge_growth(np.arange(len(values), dtype=np.float64), np.array(values), limit=limit)
    assume(growth.estimate is not None)
    assert growth.estimate is not None
    assert growth.low is not None
    assert growth.high is not None
    assert growth.low <= growth.estimate <= growth.high
    assert (growth.state == "FAIL") == (growth.low > limit)
    assert growth.state != "PASS" or growth.high < limit

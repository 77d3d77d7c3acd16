"""Several lives of one process: each is judged by itself, and the worst one decides."""

import pytest

from tests.recorded import Story, check, judged, plan_of

PLAN = plan_of(
    run='controls_off = ["null", "leak"]',
    limits='growth_per_operation = "10kB"\ntotal_growth = "2MB"\nreturn_to_baseline = "off"\nrestarts = 1',
)
HALF_S = 76.0


def saw(t_s: float) -> float:
    """Seconds since the life began, of two lives."""
    return t_s % HALF_S


@pytest.mark.parametrize("signal", ["fds", "threads", "tasks"])
def test_things_that_pile_up_in_each_life_fail_though_a_restart_closes_them(signal: str) -> None:
    leak = Story(restarts=(HALF_S,), more={signal: lambda t_s, n: 9 + 2 * saw(t_s)})
    growth = check(judged(PLAN, mine=leak), "mine", f"growth.{signal}")
    assert growth["verdict"] == "FAIL"
    assert "in segment" in growth["reason"]


@pytest.mark.parametrize("signal", ["fds", "threads", "tasks"])
def test_a_life_that_begins_with_more_of_them_has_not_leaked(signal: str) -> None:
    steady = Story(restarts=(HALF_S,), more={signal: lambda t_s, n: 109.0 if t_s >= HALF_S else 9.0})
    assert check(judged(PLAN, mine=steady), "mine", f"growth.{signal}")["verdict"] == "PASS"


def test_total_growth_is_that_of_the_worst_life() -> None:
    leak = Story(restarts=(HALF_S,), python=lambda t_s, n: 1e5 * saw(t_s))
    growth = check(judged(PLAN, mine=leak), "mine", "total_growth.reachable_bytes")
    assert growth["verdict"] == "FAIL"
    assert growth["estimate"] > 3e6
    steady = Story(restarts=(HALF_S,), python=lambda t_s, n: 9e6 if t_s >= HALF_S else 0.0)
    assert check(judged(PLAN, mine=steady), "mine", "total_growth.reachable_bytes")["verdict"] == "PASS"

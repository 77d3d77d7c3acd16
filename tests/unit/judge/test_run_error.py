"""One false FAIL in a hundred runs, whatever the number of checks; what flat reachable bytes say of resident memory."""

from dataclasses import replace

import numpy as np
import pytest

from soakd.judge.checks.growth_answer import GrowthAnswer
from soakd.judge.conclude.run_error import RUN_ERROR, within_run_error
from soakd.judge.growth.method import BLIND, Growth, judge_growth
from soakd.judge.story.assemble import assemble
from soakd.verdict.check import Check
from soakd.verdict.details import GrowthDetail
from tests.growth_traces import trace
from tests.recorded import made_up, plan_of

RUN = assemble(plan_of(), made_up(plan_of(), until_s=2.0))
OPEN = Growth(
    state="INCONCLUSIVE", estimate=0.3, low=-0.9, high=1.4, minimum_detectable=2.2, within_limit=0.8, ceiling_rate=0.4,
    lives_differ=False, samples=288, segments=1, reason="the limit lies inside the interval",
)  # fmt: skip
FLAT = ("growth.rss_anon_bytes",)


def failing(check_id: str, within_limit: float, *, informational: bool = False) -> Check:
    return Check(
        id=check_id, verdict="FAIL", estimate=3.0, low=2.0, high=4.0, limit=1.0, informational=informational,
        growth=GrowthDetail(within_limit=within_limit, detectable_95=3.0),
    )  # fmt: skip


def told(*checks: Check) -> list[Check]:
    return within_run_error(RUN, {engine.name: list(checks) for engine in RUN.engines})["mine"]


def test_growth_fails_only_with_its_share_of_the_error_of_the_run() -> None:
    two = [failing("growth.reachable_bytes", 0.4 * RUN_ERROR), failing("growth.rss_anon_bytes", 0.6 * RUN_ERROR)]
    assert [check.verdict for check in told(*two)] == ["FAIL", "INCONCLUSIVE"]
    assert told(*two)[1].reason == (
        "growth within the limit has a chance of 0.60%, and a check of this run may fail by mistake with 0.50%"
    )


def test_what_only_explains_has_no_share_and_keeps_its_answer() -> None:
    one, other = (
        failing("growth.reachable_bytes", 0.9 * RUN_ERROR),
        failing("growth.pss_bytes", 0.02, informational=True),
    )
    assert [check.verdict for check in told(one, other)] == ["FAIL", "FAIL"]


def test_more_checks_see_only_larger_leaks() -> None:
    one, *_ = told(failing("growth.reachable_bytes", 0.0))
    many = told(*[failing(f"growth.reachable_bytes.{i}", 0.0) for i in range(20)])
    assert 3.0 < (one.detectable_95 or 0.0) < (many[0].detectable_95 or 0.0) < 4.0


def answer(growth: Growth, *, too_short: str = "") -> GrowthAnswer:
    return GrowthAnswer(growth=growth, limit=1.0, unit="bytes/hour", span=24.0, resolution=4.0, too_short=too_short)


def test_improbable_growth_of_resident_memory_passes_beside_flat_reachable_bytes() -> None:
    beside, alone = (answer(OPEN).check(FLAT[0], decides=True, flat=flat) for flat in (FLAT, ()))
    assert (beside.verdict, alone.verdict) == ("PASS", "INCONCLUSIVE")
    assert beside.reason == "growth beyond the limit has a chance of 20%, and reachable bytes are flat"


@pytest.mark.parametrize(
    ("growth", "too_short"),
    [
        (replace(OPEN, within_limit=0.6), ""),
        (replace(OPEN, lives_differ=True), ""),
        (replace(OPEN, ceiling_rate=1.1), ""),
        (replace(OPEN, minimum_detectable=BLIND + 0.1), ""),
        (OPEN, "too short"),
        (replace(OPEN, estimate=None, low=None, high=None, within_limit=None), ""),
    ],
)
def test_what_is_open_for_another_reason_stays_open_beside_flat_reachable_bytes(growth: Growth, too_short: str) -> None:
    found = answer(growth, too_short=too_short).check(FLAT[0], decides=True, flat=FLAT)
    assert found.verdict == "INCONCLUSIVE"


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("shape", ["trims", "sawtooth", "cache_and_sawtooth", "warm_and_sawtooth", "early_steps"])
def test_a_leak_of_twice_the_limit_that_only_residence_shows_never_passes(shape: str) -> None:
    passed = []
    for seed in range(6000, 6040):
        t = trace(shape, seed, leak="steady")
        y = t.megabytes - (t.rate - 2.0 * t.limit) * t.hours
        growth = judge_growth(t.hours, np.asarray(y), limit=t.limit, day=24.0)
        if answer(growth).check(FLAT[0], decides=True, flat=FLAT).verdict == "PASS":
            passed.append(seed)
    assert passed == []

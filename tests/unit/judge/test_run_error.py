"""How certain a FAIL of growth is, in runs of one check and of many; what flat reachable bytes say of residence."""

from dataclasses import replace

import numpy as np
import pytest

from soakd.judge.checks.growth_answer import GrowthAnswer
from soakd.judge.conclude.run_error import within_run_error
from soakd.judge.growth.detectable import CHECK_ERROR
from soakd.judge.growth.method import BLIND, Growth, judge_growth
from soakd.judge.story.assemble import assemble
from soakd.verdict.check import Check
from soakd.verdict.details import GrowthDetail
from tests.growth_traces import SHAPES, trace
from tests.recorded import made_up, plan_of

RUN = assemble(plan_of(), made_up(plan_of(), until_s=2.0))
OPEN = Growth(
    state="INCONCLUSIVE", estimate=0.3, low=-0.9, high=1.4, certain_low=-1.2, minimum_detectable=2.2, within_limit=0.8,
    ceiling_rate=0.4, lives_differ=False, samples=288, segments=1, reason="the limit lies inside the interval",
)  # fmt: skip
FLAT = ("growth.rss_anon_bytes",)


def failing(check_id: str, within_limit: float, *, informational: bool = False) -> Check:
    return Check(
        id=check_id, verdict="FAIL", estimate=3.0, low=2.0, high=4.0, limit=1.0, informational=informational,
        growth=GrowthDetail(within_limit=within_limit, detectable_95=3.0),
    )  # fmt: skip


def told(*checks: Check) -> list[Check]:
    return within_run_error(RUN, {engine.name: list(checks) for engine in RUN.engines})["mine"]


def test_growth_fails_only_where_growth_within_the_limit_is_improbable() -> None:
    two = [failing("growth.reachable_bytes", 0.9 * CHECK_ERROR), failing("growth.rss_anon_bytes", 1.1 * CHECK_ERROR)]
    assert [check.verdict for check in told(*two)] == ["FAIL", "INCONCLUSIVE"]
    assert told(*two)[1].reason == ("growth within the limit has a chance of 1.10%, and a FAIL needs one of at most 1%")


def test_how_certain_a_fail_must_be_does_not_depend_on_how_many_engines_run_beside() -> None:
    many = told(*[failing(f"growth.reachable_bytes.{i}", 0.5 * CHECK_ERROR) for i in range(40)])
    assert {check.verdict for check in many} == {"FAIL"}


def test_what_only_explains_keeps_its_answer() -> None:
    (check,) = told(failing("growth.pss_bytes", 0.02, informational=True))
    assert check.verdict == "FAIL"


HEALTHY_SEEDS = range(30_000, 30_010)


@pytest.mark.parametrize("shape", SHAPES)
def test_growth_within_the_limit_is_never_improbable_in_a_healthy_series(shape: str) -> None:
    series = [trace(shape, seed) for seed in HEALTHY_SEEDS]
    judged = [judge_growth(t.hours, t.megabytes, limit=t.limit, day=24.0).within_limit for t in series]
    assert min(1.0 if chance is None else chance for chance in judged) > 5 * CHECK_ERROR


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
        (replace(OPEN, estimate=None, low=None, high=None, certain_low=None, within_limit=None), ""),
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

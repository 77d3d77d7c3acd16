"""The processes below an engine's: they decide where there were any, and where there were none nothing is said."""

import pytest

from tests.recorded import Level, Story, check, flat, judged, per_hour, plan_of

DAY = plan_of(
    duration="24h", every="5min", run='controls_off = ["null", "leak"]\ncollect_every = "5min"',
    limits='growth_rate = "1MB/h"\ntotal_growth = "off"\nreturn_to_baseline = "off"',
)  # fmt: skip


def checks_of(**more: Level) -> dict[str, str]:
    """Judge an engine with these signals; its checks on children, by id."""
    [engine] = judged(DAY, mine=Story(more=more))["engines"]
    return {c["id"]: c["verdict"] for c in engine["checks"] if "child" in c["id"] or "zombies" in c["id"]}


def test_an_engine_that_never_had_a_child_has_no_check_on_children() -> None:
    assert checks_of() == checks_of(children=flat) == {}


def test_children_that_stay_as_they_are_pass() -> None:
    told = checks_of(children=lambda t_s, n: 4, zombies=flat, children_bytes=lambda t_s, n: 5e7)
    assert told == {"growth.children": "PASS", "growth.children_bytes": "PASS"}


@pytest.mark.parametrize(
    ("signal", "level"),
    [
        ("children", lambda t_s, n: 4 + t_s // 3600),
        ("zombies", lambda t_s, n: t_s // 3600),
        ("children_bytes", per_hour(2e6)),
    ],
)
def test_growth_of_children_decides(signal: str, level: Level) -> None:
    verdict = judged(DAY, mine=Story(more={signal: level}))
    found = check(verdict, "mine", f"growth.{signal}")
    assert (found["verdict"], found["decides"], verdict["verdict"]) == ("FAIL", True, "FAIL")


@pytest.mark.parametrize("signal", ["children", "zombies"])
def test_children_that_come_and_go_with_the_work_pass(signal: str) -> None:
    assert checks_of(**{signal: lambda t_s, n: (t_s // 300 * 7) % 12})[f"growth.{signal}"] == "PASS"


def test_a_pool_that_grew_once_and_then_stopped_passes() -> None:
    assert checks_of(children=lambda t_s, n: 4 if t_s < 40_000 else 16)["growth.children"] == "PASS"


def test_children_of_a_moment_are_no_series_that_is_missed() -> None:
    story = Story(more={"children_bytes": flat}, silent_from_s={"children_bytes": 3000.0})
    assert judged(DAY, mine=story)["engines"][0]["verdict"] == "PASS"


def test_a_child_that_went_for_good_is_named_beside_a_pass() -> None:
    lost = {"what": "child_lost", "detail": "mine: a child process (sleep) ended after 9s and none took its place"}
    verdict = judged(DAY, mine=Story(incidents=[(40_000.0, lost)]))
    assert verdict["engines"][0]["verdict"] == "PASS"
    assert f"{lost['detail']}: a check cannot tell whether it was meant to" in verdict["visibility"]

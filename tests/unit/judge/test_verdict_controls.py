"""A FAIL stands only beyond what the null control grew: a broken instrument outranks what it measured."""

import pytest

from tests.recorded import Story, check, judged, per_hour, per_operation, plan_of

SHORT = plan_of()
MEMORY = (
    "reachable_python_bytes",
    "reachable_native_bytes",
    "live_python_bytes",
    "live_native_bytes",
    "rss_anon_bytes",
)
DEAD = Story(silent_from_s=dict.fromkeys((*MEMORY, "operations_total"), 0.0))
DIES = Story(silent_from_s=dict.fromkeys(MEMORY[:2], 80.0))
FLAT, LEAKS = Story(), Story(python=per_operation(100))
NULL = {"flat": FLAT, "as much": LEAKS, "half": Story(python=per_operation(50)), "dead": DEAD, "dies": DIES}
NULL["open"] = Story(noise_bytes=3e6)
LEAK = {"caught": None, "flat": FLAT, "dead": DEAD}


@pytest.mark.parametrize(
    ("null", "leak", "healthy", "leaking"),
    [
        ("flat", "caught", "PASS", "FAIL"), ("flat", "flat", "INVALID", "FAIL"), ("flat", "dead", "INVALID", "FAIL"),
        ("flat", "off", "INVALID", "FAIL"), ("as much", "caught", "INVALID", "INVALID"),
        ("as much", "flat", "INVALID", "INVALID"), ("as much", "dead", "INVALID", "INVALID"),
        ("as much", "off", "INVALID", "INVALID"), ("half", "caught", "INVALID", "FAIL"),
        ("half", "flat", "INVALID", "FAIL"), ("half", "off", "INVALID", "FAIL"),
        ("open", "caught", "INCONCLUSIVE", "FAIL"), ("dead", "caught", "INVALID", "INVALID"),
        ("dead", "flat", "INVALID", "INVALID"), ("dead", "dead", "INVALID", "INVALID"),
        ("dead", "off", "INVALID", "INVALID"), ("dies", "caught", "INVALID", "FAIL"),
        ("off", "caught", "INVALID", "FAIL"),
        ("off", "flat", "INVALID", "FAIL"), ("off", "off", "INVALID", "FAIL"),
    ],
)  # fmt: skip
def test_what_a_run_says_follows_from_both_controls_and_the_engine(
    null: str, leak: str, healthy: str, leaking: str
) -> None:
    """A control that was switched off measured nothing: a FAIL beside it stands, and nothing passes."""
    off = ", ".join(f'"{name}"' for name, how in (("null", null), ("leak", leak)) if how == "off")
    plan = plan_of(run=f"controls_off = [{off}]") if off else SHORT
    controls = {"null": NULL.get(null), "leak": LEAK.get(leak)}
    states = [judged(plan, mine=mine, **controls)["verdict"] for mine in (FLAT, LEAKS)]  # type: ignore[arg-type]
    assert states == [healthy, leaking]


def test_growth_that_the_null_control_has_too_is_invalid_and_the_sentence_says_both() -> None:
    plan = plan_of(duration="24h", every="5min", limits='growth_rate = "1MB/h"')
    grows = Story(python=per_hour(5e6))
    verdict = judged(plan, mine=grows, null=grows, leak=FLAT)
    assert verdict["verdict"] == "INVALID"
    found = check(verdict, "mine", "growth.reachable_bytes")
    assert (found["verdict"], found["harness_estimate"]) == ("INVALID", pytest.approx(5e6, rel=0.01))
    mine = next(engine for engine in verdict["engines"] if engine["name"] == "mine")
    assert (mine["verdict"], mine["class"]) == ("INVALID", "undecided")
    assert "reachable memory grows 5.00 MB/h" in verdict["summary"]
    assert "the null control, which does nothing, grows 5.00 MB/h" in verdict["summary"]
    assert "leak in Python" not in verdict["summary"]
    assert "it grows 5.00 MB/h" in check(verdict, "", "evidence.controls")["reason"]


@pytest.mark.parametrize(("mine", "state"), [(5.3, "INVALID"), (6.5, "FAIL")])
def test_what_remains_beyond_the_null_control_is_held_against_the_limit(mine: float, state: str) -> None:
    plan = plan_of(duration="24h", every="5min", limits='growth_rate = "1MB/h"')
    verdict = judged(plan, mine=Story(python=per_hour(mine * 1e6)), null=Story(python=per_hour(5e6)))
    assert check(verdict, "mine", "growth.reachable_bytes")["verdict"] == verdict["verdict"] == state
    assert "the null control, which does nothing, grows 5.00 MB/h" in verdict["summary"]


def test_growth_that_an_open_null_control_could_explain_is_open() -> None:
    verdict = judged(SHORT, mine=LEAKS, null=Story(python=per_operation(60), noise_bytes=2e6))
    assert check(verdict, "control-null", "growth.reachable_bytes")["verdict"] == "INCONCLUSIVE"
    assert check(verdict, "mine", "growth.reachable_bytes")["verdict"] == "INCONCLUSIVE"


def test_descriptors_that_the_null_control_opens_too_are_not_the_engines() -> None:
    opens = Story(more={"fds": lambda t_s, n: 9 + t_s})
    verdict = judged(SHORT, mine=opens, null=opens)
    assert (verdict["verdict"], check(verdict, "mine", "growth.fds")["verdict"]) == ("INVALID", "INVALID")
    assert judged(SHORT, mine=opens)["verdict"] == "FAIL"


def test_a_broken_null_control_cannot_have_made_a_crash_or_errors() -> None:
    crash = Story(incidents=[(60.0, {"what": "crash", "detail": "killed"})])
    for mine in (crash, Story(error_ratio=0.5)):
        assert judged(SHORT, mine=mine, null=LEAKS)["verdict"] == "FAIL"
    assert judged(SHORT, mine=crash, null=DEAD)["verdict"] == "FAIL"


def test_while_the_run_goes_on_growth_that_the_null_control_has_too_has_not_failed_so_far() -> None:
    verdict = judged(SHORT, mine=LEAKS, null=LEAKS, until_s=100, end=None, running=True)
    assert check(verdict, "mine", "growth.reachable_bytes")["so_far"] == "INVALID"

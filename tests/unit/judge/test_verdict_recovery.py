from pathlib import Path
from typing import Any

import pytest

from soakd.setup import config
from soakd.setup.plan import Plan, make_plan
from soakd.wire.records import Record, make_record
from tests.recorded import ServerStory, Story, check, judged, plan_of, with_engine

SHORT = plan_of(limits='growth_per_operation = "16B"\nerror_ratio = 0.1\nrestarts = 3')
JUDGED = with_engine(SHORT, judge_server=True)
AT = 60.0


def after(recovery_s: float | None, *, fails_for_s: float = 0.0, **more: Any) -> Story:
    """A server that is gone at 60 s; its client's operations fail until so long after it answers again."""
    server = ServerStory(outages=((AT, recovery_s),), **more)
    return Story(server=server, fails=((AT, AT + (recovery_s or 30.0) + fails_for_s),))


def states(verdict: dict[str, Any]) -> dict[str, str]:
    return {
        c["id"].removeprefix("recovery."): c["verdict"]
        for c in verdict["engines"][0]["checks"]
        if c["id"].startswith("recovery.")
    }


def test_where_nothing_broke_nothing_is_said_of_recovery() -> None:
    assert states(judged(JUDGED, mine=Story(server=ServerStory()))) == {}


@pytest.mark.parametrize(("recovery_s", "state"), [(4.9, "PASS"), (5.0, "PASS"), (5.1, "FAIL")])
def test_a_judged_server_must_answer_again_within_the_limit(recovery_s: float, state: str) -> None:
    verdict = judged(JUDGED, mine=after(recovery_s))
    found = check(verdict, "mine", "recovery.server")
    assert (verdict["verdict"], found["verdict"]) == (state, state)
    assert (found["estimate"], found["limit"], found["unit"], found["outages"]) == (recovery_s, 5.0, "seconds", 1)


def test_the_limit_is_of_the_configuration() -> None:
    patient = plan_of(limits='growth_per_operation = "16B"\nerror_ratio = 0.2\nrestarts = 3\nrecovery = "8s"')
    assert check(judged(patient, mine=after(7.0)), "mine", "recovery.server")["verdict"] == "PASS"


def test_a_server_that_nobody_judges_may_take_its_time_and_its_client_may_not() -> None:
    late = judged(SHORT, mine=after(8.0))
    assert (late["verdict"], states(late)) == ("PASS", {"server": "FAIL", "operations": "PASS"})
    assert check(late, "mine", "recovery.server")["informational"] is True
    stuck = judged(SHORT, mine=after(2.0, fails_for_s=7.5))
    found = check(stuck, "mine", "recovery.operations")
    assert (stuck["verdict"], states(stuck)) == ("FAIL", {"server": "PASS", "operations": "FAIL"})
    assert "operations still failed 5s after the server answered" in found["reason"]
    assert 5.0 <= found["estimate"] <= 7.5


@pytest.mark.parametrize("fails_for_s", [0.0, 3.0])
def test_operations_that_succeed_again_in_time_pass(fails_for_s: float) -> None:
    assert states(judged(JUDGED, mine=after(2.0, fails_for_s=fails_for_s))) == {"server": "PASS", "operations": "PASS"}


def test_a_server_that_was_given_up_is_never_a_pass() -> None:
    story = after(None, gives_up=True)
    verdict = judged(JUDGED, mine=story)
    assert (verdict["verdict"], states(verdict)) == ("FAIL", {"server": "FAIL", "operations": "INCONCLUSIVE"})
    unjudged = judged(plan_of(limits='growth_per_operation = "16B"\nerror_ratio = 1.0'), mine=story)
    assert unjudged["verdict"] == "INCONCLUSIVE"
    rival = judged(with_engine(plan_of(), role="rival"), mine=story)
    assert check(rival, "mine", "stability.server")["verdict"] == "FAIL"
    assert rival["engines"][0]["verdict"] == "FAIL"
    assert "mine" not in rival["summary"]


def test_an_outage_whose_end_was_never_recorded_is_never_a_pass() -> None:
    def lose_recovery(record: Record) -> Record | None:
        return None if record.body.get("what") == "server_recovered" else record

    verdict = judged(JUDGED, mine=after(2.0), change=lose_recovery)
    assert states(verdict) == {"server": "FAIL", "operations": "INCONCLUSIVE"}
    assert "nobody saw the server answer again" in check(verdict, "mine", "recovery.server")["reason"]


@pytest.mark.parametrize("value", [None, "soon", -1.0, float("nan"), True])
def test_a_recovery_without_its_time_is_never_a_pass(value: Any) -> None:
    def spoil(record: Record) -> Record:
        if record.body.get("what") != "server_recovered":
            return record
        return make_record(
            record.kind,
            engine=record.engine,
            segment=record.segment,
            at=record.at,
            body={**record.body, "recovery_s": value},
        )

    verdict = judged(JUDGED, mine=after(2.0), change=spoil)
    assert check(verdict, "mine", "recovery.server")["verdict"] != "PASS"
    assert verdict["verdict"] in ("INCONCLUSIVE", "INVALID", "FAIL")


def test_the_slowest_of_several_recoveries_counts() -> None:
    server = ServerStory(outages=((40.0, 1.0), (70.0, 6.5), (100.0, 2.0)))
    found = check(judged(JUDGED, mine=Story(server=server)), "mine", "recovery.server")
    assert (found["verdict"], found["estimate"], found["outages"]) == ("FAIL", 6.5, 3)
    assert found["reason"] == "at 1min 10s: 6.5s until it answered again"


def test_a_server_that_is_gone_again_at_once_is_asked_about_when_it_stays() -> None:
    story = Story(server=ServerStory(outages=((60.0, 1.0), (63.0, 1.0))), fails=((60.0, 64.0),))
    assert states(judged(JUDGED, mine=story)) == {"server": "PASS", "operations": "PASS"}


def at_rate(per_s: float) -> Plan:
    """Three hours at so many operations a second, with a sample every 10 s."""
    text = plan_of(duration="3h", every="10s", limits='growth_rate = "10MB/h"').config.text
    slow = make_plan(config.parse(text.replace("rate = 1000", f"rate = {per_s}"), source="s.toml", folder=Path.cwd()))
    assert slow.engines[0].rate_per_s == per_s
    return slow


@pytest.mark.parametrize("at_s", [3600.0, 3605.0, 3615.0])
def test_a_stretch_in_which_nothing_was_due_has_not_failed(at_s: float) -> None:
    """One operation every 20 s, a sample every 10 s: in every second stretch there is none."""
    slow = at_rate(0.05)
    story = Story(server=ServerStory(outages=((at_s, 2.0),)))
    assert check(judged(slow, mine=story), "mine", "recovery.operations")["verdict"] == "PASS"
    stuck = Story(server=ServerStory(outages=((at_s, 2.0),)), operations=lambda t_s: int(0.05 * min(t_s, at_s)))
    assert check(judged(slow, mine=stuck), "mine", "recovery.operations")["verdict"] == "FAIL"


@pytest.mark.parametrize(("rate", "late_s"), [(0.1, 43.0), (0.2, 28.0)])
def test_a_client_that_is_late_is_seen_at_a_low_rate_too(rate: float, late_s: float) -> None:
    late = Story(server=ServerStory(outages=((3605.0, 2.0),)), fails=((3605.0, 3607.0 + late_s),))
    found = check(judged(at_rate(rate), mine=late), "mine", "recovery.operations")
    assert (found["verdict"], found["estimate"] > 20.0) == ("FAIL", True)

"""What a verdict says of faults on purpose: recovery, what is left out for them, and what is not."""

import json
from typing import Any

import jsonschema
import pytest

from soakd.setup.plan import Plan
from soakd.verdict.severity import may_decide
from soakd.wire import histogram
from soakd.wire.records import Record, make_record
from tests.recorded import MONO_S, Story, check, judged, made_up, plan_of, remade, stamp, verdict_of
from tests.unit.judge.test_verdict_schema import SCHEMA

NAME = "kill@mine"
AT_S = 39.0  # 30 s of load after 9 s of baseline


def plan(limits: str = "") -> Plan:
    table = '[[fault]]\nkind = "kill"\ntarget = "mine"\nat = "30s"'
    return plan_of(limits=f'growth_per_operation = "16B"\nlatency_p95 = "1ms"\n{limits}\n{table}')


def ended(
    recovered_s: float | None, *, kind: str = "kill", at_s: float = AT_S, lasts_s: float = 0.0, **more: Any
) -> list[tuple[float, dict[str, Any]]]:
    """The records of a fault that was healed after `lasts_s`, and recovered from so many seconds later, or never."""
    about = {"fault": f"{kind}@mine", "kind": kind, "target": "mine", "on": "worker", "at_s": at_s}
    about |= {"number": more.pop("number")} if "number" in more else {}
    until_s = at_s + lasts_s + (40.0 if recovered_s is None else recovered_s)
    own = {} if recovered_s is None else {"recovered_s": recovered_s}
    own |= {"failed_operations": 7, "retried_operations": 3}
    body = {
        "took_place": True, "from_mono_s": MONO_S + at_s, "until_mono_s": MONO_S + until_s, "healed_after_s": lasts_s,
        "detected_s": 0.2, **own, "engines": {"mine": own}, **more,
    }  # fmt: skip
    return [(at_s, {"what": "fault_begin", **about}), (until_s, {"what": "fault_end", **about, **body})]


def recovery(verdict: dict[str, Any]) -> dict[str, Any]:
    return check(verdict, "mine", f"recovery.{NAME}")


@pytest.mark.parametrize(("recovered_s", "state"), [(0.0, "PASS"), (5.0, "PASS"), (5.1, "FAIL"), (None, "FAIL")])
def test_a_fault_must_be_recovered_from_within_the_limit(recovered_s: float | None, state: str) -> None:
    verdict = judged(plan(), mine=Story(incidents=ended(recovered_s)))
    found = recovery(verdict)
    assert (verdict["verdict"], found["verdict"], found.get("estimate")) == (state, state, recovered_s)
    assert (found["faults"], found["took_place"], found["failed_operations"]) == (1, 1, 7)
    (fault,) = verdict["faults"]
    assert (fault["name"], fault["verdict"], fault["detected_s"]) == (NAME, state, 0.2)
    jsonschema.validate(json.loads(json.dumps(verdict)), SCHEMA)


@pytest.mark.parametrize(
    ("incidents", "why"),
    [
        ([], "did not take place: soakd was gone"),
        (ended(1.0)[:1], "before anybody could see it recover"),
        ([(AT_S, {**ended(1.0)[1][1], "took_place": False, "detail": "its target was not there"})], "was not there"),
    ],
    ids=["never told", "never ended", "no target"],
)
def test_a_fault_that_did_not_take_place_or_end_is_never_a_pass(
    incidents: list[tuple[float, dict[str, Any]]], why: str
) -> None:
    verdict = judged(plan(), mine=Story(incidents=incidents))
    assert (verdict["verdict"], recovery(verdict)["verdict"]) == ("INCONCLUSIVE", "INCONCLUSIVE")
    assert why in recovery(verdict)["reason"]


def test_two_faults_of_one_name_and_moment_each_have_their_own_outcome() -> None:
    twice = plan_of(
        limits='growth_per_operation = "16B"\n[[fault]]\nkind = "kill"\ntarget = "mine"\nat = ["30s", "30s"]'
    )
    told = [*ended(1.0, number=1), *ended(None, number=2)]
    verdict = judged(twice, mine=Story(incidents=told))
    assert [fault["number"] for fault in verdict["faults"]] == [1, 2]
    assert [fault["verdict"] for fault in verdict["faults"]] == ["PASS", "FAIL"]
    assert recovery(verdict)["verdict"] == "FAIL"


def test_a_run_that_ends_before_a_fault_says_so() -> None:
    verdict = judged(plan(), until_s=20.0, end="interrupted")
    assert "the run ended before it" in recovery(verdict)["reason"]


def test_a_fault_that_is_not_due_yet_holds_nothing_down() -> None:
    verdict = judged(plan(), until_s=20.0, end=None, running=True)
    assert verdict["faults"][0]["verdict"] == "INCOMPLETE"
    assert not any(c["id"].startswith("recovery") for c in verdict["engines"][0]["checks"])


def test_a_death_on_purpose_is_no_crash_and_one_beside_it_is() -> None:
    def on_purpose(record: Record) -> Record | None:
        if record.body.get("what") == "crash":
            return remade(record, body={**record.body, "fault": NAME})
        return record

    story = Story(incidents=ended(2.0), restarts=(AT_S,))
    assert check(judged(plan(), mine=story, change=on_purpose), "mine", "stability.crashes")["verdict"] == "PASS"
    assert check(judged(plan(), mine=story), "mine", "stability.crashes")["verdict"] == "FAIL"


def test_operations_that_fail_in_the_window_are_told_and_those_outside_are_judged() -> None:
    inside = judged(plan(), mine=Story(incidents=ended(5.0), fails=((AT_S + 1, AT_S + 4),)))
    found = check(inside, "mine", "errors.ratio")
    assert (found["verdict"], found["estimate"]) == ("PASS", 0.0)
    assert found["errors_in_faults"] > 2_000
    outside = judged(plan(), mine=Story(incidents=ended(5.0), fails=((AT_S + 20, AT_S + 23),)))
    assert check(outside, "mine", "errors.ratio")["verdict"] == "FAIL"


def test_what_is_higher_only_in_the_window_is_no_growth_and_what_stays_is_seen() -> None:
    def spike(t_s: float, _: float) -> float:
        return 3e7 if AT_S <= t_s <= AT_S + 4.5 else 0.0

    verdict = judged(plan(), mine=Story(python=spike, incidents=ended(5.0)))
    assert check(verdict, "mine", "growth.reachable_bytes")["verdict"] == "PASS"
    entry = next(e for e in verdict["exclusions"] if e["what"] == "trends")
    assert (entry["why"], entry["windows"], entry["seconds"]) == (f"fault {NAME}", 1, 5.0)


def test_bytes_that_stay_after_a_fault_are_told() -> None:
    def step(t_s: float, _: float) -> float:
        return 2e6 if t_s > AT_S else 0.0

    verdict = judged(plan(), mine=Story(python=step, incidents=ended(5.0)))
    assert verdict["faults"][0]["bytes_not_returned"] == pytest.approx(2e6, rel=0.05)


@pytest.mark.parametrize(("slow_ns", "state"), [(20_000, "PASS"), (50_000_000, "FAIL")])
def test_an_engine_beside_a_fault_must_keep_its_latency(slow_ns: int, state: str) -> None:
    made = plan("latency_drift_ratio = 1000")
    packed = histogram.pack(histogram.encode_sparse([(histogram.bucket_of(slow_ns), 500)]))
    body = {
        "phase": "load", "window": False, "fault": NAME, "from_mono_s": MONO_S + AT_S, "service": packed,
        "response": packed, "lateness": histogram.pack(histogram.encode_sparse([(histogram.bucket_of(1000), 500)])),
    }  # fmt: skip
    records = made_up(made, {"mine": Story(incidents=ended(2.0))})
    for engine in ("control-null", "mine"):
        records.append(make_record("latency", engine=engine, segment=0, at=stamp(AT_S + 2.0), body=body))
    verdict = verdict_of(made, records)
    found = check(verdict, "control-null", "cascade.latency")
    assert (found["verdict"], found["operations"], found["faults"]) == (state, 500, 1)
    assert check(verdict, "mine", "latency.p95")["verdict"] == "PASS"  # its own fault's window is left out
    assert not any(c["id"] == "cascade.latency" for c in verdict["engines"][0]["checks"])


def test_a_proxy_that_was_lost_makes_the_evidence_invalid() -> None:
    story = Story(incidents=[*ended(1.0), (60.0, {"what": "proxy_lost", "detail": "gone"})])
    assert check(judged(plan(), mine=story), "mine", "evidence.proxy")["verdict"] == "INVALID"


@pytest.mark.parametrize(
    ("role", "check_id", "decides"),
    [
        ("rival", "recovery.server", True),
        ("rival", "growth.server_live_bytes", True),
        ("rival", "recovery.server-kill", False),
        ("subject", "recovery.server-kill", True),
        ("control", "recovery.server", False),
    ],
)
def test_a_fault_that_is_called_like_a_server_is_no_check_of_the_server(
    role: str, check_id: str, decides: bool
) -> None:
    assert may_decide(role, check_id) is decides


HOURLY, EACH = 'growth_rate = "1MB/h"', 'growth_per_operation = "16B"'
MOST = "fell into faults on purpose: growth was not seen then"


@pytest.mark.parametrize(
    ("duration", "limit", "at_min", "lasts_min", "why"),
    [
        ("3h", HOURLY, 46, 10, None),
        ("3h", HOURLY, 46, 90, "too short: 1 MB/h needs at least 2 h of load, 0.88 h were seen"),
        ("11h", HOURLY, 46, 420, f"68% of the load phase {MOST}"),
        ("11h", HOURLY, 0, 420, f"68% of the load phase {MOST}"),
        ("11h", HOURLY, 190, 425, f"69% of the load phase {MOST}"),
        ("11h", EACH, 0, 420, f"68% of the operations {MOST}"),
        ("11h", EACH, 46, 120, None),
    ],
)
def test_growth_was_not_seen_while_faults_were_on(
    duration: str, limit: str, at_min: int, lasts_min: int, why: str | None
) -> None:
    table = f'[[fault]]\nkind = "stop"\ntarget = "mine"\nat = "{at_min}min"\nduration = "{lasts_min}min"\n'
    long = plan_of(duration=duration, every="20s", limits=f"{limit}\n{table}")
    told = ended(0.5, kind="stop", at_s=long.faults[0].at_s, lasts_s=60.0 * lasts_min)
    verdict = judged(long, mine=Story(incidents=told))
    growth = check(verdict, "mine", "growth.reachable_bytes")
    assert (growth["verdict"], growth.get("reason")) == (("INCONCLUSIVE", why) if why else ("PASS", None))
    assert "would have been seen with 95 % outside of the faults" in verdict["visibility"][0]

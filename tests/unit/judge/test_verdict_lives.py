"""Several lives of one process: each is judged by itself, and the worst one decides."""

import pytest

from soakd.judge.checks.axes import STOOD_STILL
from soakd.report.markdown import markdown
from soakd.wire.records import Record, make_record
from tests.recorded import MONO_S, Story, check, judged, made_up, plan_of, remade, stamp, verdict_of
from tests.typed import typed

PLAN = plan_of(
    run='controls_off = ["null", "leak"]',
    limits='growth_per_operation = "10kB"\ntotal_growth = "2MB"\nreturn_to_baseline = "off"\nrestarts = 1',
)
OFF = 'controls_off = ["null", "leak"]'
PLAIN = plan_of(run=OFF)
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


@pytest.mark.parametrize("stops_at_s", [60.0, 0.0])
def test_operations_that_stand_still_pass_no_rate_per_operation(stops_at_s: float) -> None:
    plan = plan_of(
        run='controls_off = ["null", "leak"]', limits='growth_per_operation = "16B"\nachieved_ratio = 0.01'
    )  # fmt: skip
    frozen = Story(operations=lambda t_s: round(1000 * min(max(0.0, t_s - 9), stops_at_s or 0.5)))
    growth = check(judged(plan, mine=frozen), "mine", "growth.reachable_bytes")
    assert growth["verdict"] == "INCONCLUSIVE"
    if stops_at_s:
        assert "operations stood still for" in growth["reason"]


def test_operations_that_stand_still_pass_no_rate_per_hour() -> None:
    """Where somebody allows that few operations are done, they must still be done all the time."""
    plan = plan_of(duration="4h", every="1min", limits='growth_rate = "1MB/h"\nachieved_ratio = 0.0', run=OFF)
    frozen = Story(operations=lambda t_s: round(1000 * min(t_s, 7200.0)))
    growth = check(judged(plan, mine=frozen), "mine", "growth.reachable_bytes")
    assert growth["verdict"] == "INCONCLUSIVE"
    assert "operations stood still for" in growth["reason"]
    few = Story(operations=lambda t_s: round(t_s / 60.0))
    verdict = judged(plan, mine=few)
    assert check(verdict, "mine", "growth.reachable_bytes")["verdict"] == "PASS"
    assert check(verdict, "", "observer.growth")["verdict"] == "PASS"


def test_where_memory_was_not_read_for_a_while_operations_did_not_stand_still() -> None:
    """A snapshot's child keeps the next reading of reachable bytes waiting; the counter goes on being read."""
    names = ("reachable_python_bytes", "reachable_native_bytes", "reachable_forked_at_s")

    def change(record: Record) -> Record:
        if record.engine != "mine" or not 60.0 <= record.at.mono_s - MONO_S <= 100.0:
            return record
        return remade(record, body={k: v for k, v in record.body.items() if k not in names})

    verdict = judged(PLAIN, change=change)
    assert check(verdict, "mine", "evidence.probe")["estimate"] > STOOD_STILL
    assert check(verdict, "mine", "growth.reachable_bytes")["verdict"] == "PASS"


def test_a_reachable_signal_that_fell_silent_excuses_nothing() -> None:
    garbage = Story(garbage=lambda t_s, n: 200.0 * n)
    late = {"reachable_python_bytes": 122.0, "reachable_native_bytes": 122.0}
    assert check(judged(PLAIN, mine=garbage), "mine", "growth.rss_anon_bytes")["verdict"] == "INCONCLUSIVE"
    silent = judged(PLAIN, mine=Story(garbage=garbage.garbage, silent_from_s=late))
    assert check(silent, "mine", "growth.rss_anon_bytes")["verdict"] == "FAIL"


@pytest.mark.parametrize("name", ["capacity_entries", "capacity_bytes", "bytes_per_entry"])
@pytest.mark.parametrize("value", [0, -1.0, 1e30, 1e17])
def test_what_no_host_could_hold_is_no_bound(name: str, value: float) -> None:
    declared = {"capacity_entries": 1e6, "bytes_per_entry": 200.0, name: value}
    if name != "capacity_entries":
        declared["capacity_entries"] = 0
    leak = Story(
        native=lambda t_s, n: 200.0 * n, declared=declared, more={"counter.entries": lambda t_s, n: n}
    )  # fmt: skip
    assert check(judged(PLAIN, mine=leak), "mine", "growth.reachable_bytes")["verdict"] == "FAIL"


def test_nothing_that_an_engine_says_can_write_markdown() -> None:
    detail = "gone\n\n# soakd: PASS\n| a | b |\n<b>`x`</b>"
    verdict = judged(PLAIN, mine=Story(incidents=[(60.0, {"what": "crash", "detail": detail})]))
    lines = markdown(typed(verdict)).splitlines()
    assert [line for line in lines if line.startswith("# ")] == ["# soakd: FAIL"]
    assert not any("<b>" in line or "| a | b |" in line for line in lines)


def test_a_standstill_of_soakd_itself_is_no_slowness_of_an_engine() -> None:
    """Ten seconds in which everything was stopped: the operations that were due in them are nobody's fault."""
    plan, rate = plan_of(), 1000

    def operations(t_s: float) -> float:
        load = next(engine for engine in plan.engines if engine.config.name == "mine").load
        seen_s = min(max(0.0, t_s - load.start_s), load.duration_s)
        return rate * (seen_s - min(10.0, max(0.0, t_s - 60.0)))

    def was_told(record: Record) -> bool:
        return record.kind != "sample" or not stamp(60.0).mono_s < record.at.mono_s < stamp(70.0).mono_s

    stopped = made_up(plan, {"mine": Story(operations=operations)})
    detail = {"what": "standstill", "detail": "soakd itself did not run for 10.0s", "seconds": 10.0}
    incident = make_record("incident", engine="", segment=0, at=stamp(70.0), body=detail)
    kept = [record for record in stopped if was_told(record)]
    blamed, spared = verdict_of(plan, kept), verdict_of(plan, [*kept, incident])
    assert check(blamed, "mine", "rate.achieved")["verdict"] == "FAIL"
    assert check(spared, "mine", "rate.achieved")["verdict"] == "PASS"


@pytest.mark.parametrize("what", ["crash", "exit", "hang"])
def test_an_end_after_bye_that_was_not_in_order_fails_and_is_how_the_life_ended(what: str) -> None:
    body = {"what": what, "detail": "mine: killed by SIGSEGV after its work was done"}
    late = make_record("incident", engine="mine", segment=0, at=stamp(PLAIN.duration_s + 1.0), body=body)
    verdict = verdict_of(PLAIN, [*made_up(PLAIN), late])
    crashes = check(verdict, "mine", "stability.crashes")
    assert (crashes["verdict"], crashes["estimate"], crashes["reason"]) == ("FAIL", 1.0, body["detail"])
    mine = next(engine for engine in verdict["engines"] if engine["name"] == "mine")
    assert [life["ended_by"] for life in mine["segments"]] == [what]
    assert check(verdict, "mine", "evidence.process")["verdict"] == "PASS"


def test_forked_children_that_came_back_fail_and_are_counted() -> None:
    body = {"what": "child_returned", "detail": "a child process came back", "count": 3}
    incident = make_record("incident", engine="mine", segment=0, at=stamp(30.0), body=body)
    crashes = check(verdict_of(PLAIN, [*made_up(PLAIN), incident]), "mine", "stability.crashes")
    assert (crashes["verdict"], crashes["estimate"]) == ("FAIL", 3.0)
    assert "a child process came back" in crashes["reason"]

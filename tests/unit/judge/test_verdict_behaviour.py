"""Errors that an engine swallows: what it says of them is judged, and work that became suspiciously cheap is told."""

from collections.abc import Callable
from typing import Any

import pytest

from soakd.wire.histogram import bucket_of, encode_sparse, pack
from soakd.wire.records import Record
from tests.recorded import MONO_S, Level, Story, check, flat, judged, plan_of, remade
from tests.unit.judge import test_verdict_faults as faults

PLAN = plan_of(duration="30min", every="5s")
LOAD = PLAN.engines[0].phases[1]


RECENT = Story(more={"children": flat})
"""A recording of today."""


def slow_until(share: float, before_ns: int = 400_000, after_ns: int = 2000) -> Callable[[Record], Record]:
    """Make operations of `mine` cost so much until a share of the load phase, and then so much."""

    def changed(record: Record) -> Record:
        if record.kind != "latency" or record.engine != "mine":
            return record
        begun_s = record.at.mono_s - MONO_S - LOAD.start_s
        cost_ns = before_ns if begun_s < share * LOAD.duration_s else after_ns
        packed = pack(encode_sparse([(bucket_of(cost_ns), 1000)]))
        body = {**record.body, "service": packed, "response": packed}
        return remade(record, body=body)

    return changed


def told(verdict: dict[str, Any]) -> list[dict[str, Any]]:
    return [c for c in verdict["engines"][0]["checks"] if c["id"] == "behaviour.changed"]


def test_operations_that_suddenly_take_a_tenth_are_told_with_before_and_after_and_fail_nothing() -> None:
    verdict = judged(PLAN, mine=RECENT, change=slow_until(0.5))
    [found] = told(verdict)
    assert (found["verdict"], found["decides"], verdict["verdict"]) == ("FAIL", False, "PASS")
    assert "an operation took 40" in found["reason"]
    assert "after the load began, and 2.0" in found["reason"]
    assert any("is its work still done?" in line for line in verdict["visibility"])


@pytest.mark.parametrize(
    ("share", "before_ns", "after_ns"),
    [(0.05, 400_000, 2000), (0.99, 400_000, 2000), (0.5, 400_000, 80_000), (0.5, 20_000, 1000), (0.5, 2000, 400_000)],
    ids=["in the warm-up", "at the very end", "a fifth", "cheap before", "dearer"],
)
def test_other_changes_are_not_told(share: float, before_ns: int, after_ns: int) -> None:
    assert told(judged(PLAN, mine=RECENT, change=slow_until(share, before_ns, after_ns))) == []


def test_operations_that_become_cheaper_step_by_step_are_not_told() -> None:
    def changed(record: Record) -> Record:
        share = (record.at.mono_s - MONO_S - LOAD.start_s) / LOAD.duration_s
        return slow_until(2.0, before_ns=int(400_000 * 0.01 ** max(0.0, share)))(record)

    assert told(judged(PLAN, mine=RECENT, change=changed)) == []


def test_processor_time_that_falls_to_a_tenth_is_told_where_the_time_of_an_operation_does_not_show_it() -> None:
    def spent(record: Record) -> Record:
        if record.engine != "mine" or "cpu_s_total" not in record.body:
            return record
        t_s = record.at.mono_s - MONO_S
        middle_s = LOAD.start_s + LOAD.duration_s / 2
        body = {**record.body, "cpu_s_total": 0.3 * min(t_s, middle_s) + 0.01 * max(0.0, t_s - middle_s)}
        return remade(record, body=body)

    [found] = told(judged(PLAN, mine=RECENT, change=spent))
    assert found["reason"].startswith("an operation cost the processor 300 us")


@pytest.mark.parametrize(("level", "state"), [(lambda t_s, n: 0.2 * n, "FAIL"), (lambda t_s, n: 0.001 * n, "PASS")])
def test_errors_that_the_engine_says_it_swallowed_are_judged_as_errors_are(level: Level, state: str) -> None:
    verdict = judged(PLAN, mine=Story(more={"counter.swallowed_errors": level}))
    assert (check(verdict, "mine", "errors.swallowed")["verdict"], verdict["verdict"]) == (state, state)
    assert check(verdict, "mine", "errors.ratio")["verdict"] == "PASS"


def test_errors_that_are_swallowed_while_a_fault_on_purpose_is_on_are_not_judged() -> None:
    swallowed: Level = lambda t_s, n: 1000 * min(max(0.0, t_s - faults.AT_S), 20.0)  # noqa: E731
    told = faults.ended(1.0, lasts_s=20.0)
    verdict = judged(faults.plan(), mine=Story(incidents=told, more={"counter.swallowed_errors": swallowed}))
    assert check(verdict, "mine", "errors.swallowed")["verdict"] == "PASS"
    again = judged(faults.plan(), mine=Story(incidents=told, more={"counter.swallowed_errors": lambda t_s, n: 0.2 * n}))
    assert check(again, "mine", "errors.swallowed")["verdict"] == "FAIL"


def test_in_recordings_of_older_versions_nothing_is_told() -> None:
    assert told(judged(PLAN, change=slow_until(0.5))) == []

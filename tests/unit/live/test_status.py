"""What is known of a run, folded from its records."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soakd.live.status import BOUNDS_S, RunStatus, printable
from soakd.live.status.parts import MOST_KINDS, MOST_NAMES, Chained
from soakd.wire.records import Record
from tests.showing import (
    ORIGIN_S,
    WALL_S,
    hello,
    incident,
    latency,
    of_server,
    origin,
    outside,
    phase,
    plan,
    record,
    sample,
    server,
    status_in_load,
    verdict_final,
    verdict_so_far,
)
from tests.typed import typed

ENGINE = "cache-rust"


@pytest.fixture
def status() -> RunStatus:
    return RunStatus(plan(), "a-run")


def test_engines_stand_in_the_order_of_the_plan(status: RunStatus) -> None:
    assert list(status.engines) == ["cache-rust", "cache-python", "control-null", "control-leak"]


def test_before_the_origin_nothing_is_known(status: RunStatus) -> None:
    engine = status.engines[ENGINE]
    assert (status.elapsed_s(ORIGIN_S), status.remaining_s(ORIGIN_S), status.coverage_ratio(ORIGIN_S)) == (
        None,
        None,
        None,
    )
    assert (engine.up, engine.rate_per_s, engine.errors, engine.latest, engine.operations) == (
        False,
        None,
        None,
        {},
        {},
    )
    assert (status.state_so_far, status.phase, status.last_sample_wall_s) == (None, None, None)


def test_time_runs_from_the_origin_to_the_end_of_the_run(status: RunStatus) -> None:
    status.fold([origin()])
    assert status.elapsed_s(ORIGIN_S + 30.0) == 30.0
    assert status.remaining_s(ORIGIN_S + 30.0) == 150.0
    status.fold([record("phase", "", 60.0, {"name": "end", "reason": "interrupted"})])
    assert status.elapsed_s(ORIGIN_S + 500.0) == 60.0
    assert status.origin_wall_s == WALL_S


def test_what_is_left_of_a_run_that_lasts_longer_than_planned_is_nothing(status: RunStatus) -> None:
    status.fold([origin()])
    assert status.remaining_s(ORIGIN_S + 181.0) == 0.0


def test_live_and_reachable_bytes_are_known_where_both_parts_are(status: RunStatus) -> None:
    status.fold([hello(ENGINE), sample(ENGINE, 1.0, 0, reachable_python_bytes=5)])
    latest = status.engines[ENGINE].latest
    assert latest["live_bytes"] == 11_200_000
    assert "reachable_bytes" not in latest
    status.fold([sample(ENGINE, 2.0, 0, reachable_python_bytes=5, reachable_native_bytes=7)])
    assert latest["reachable_bytes"] == 12


def test_samples_from_inside_and_outside_stand_side_by_side(status: RunStatus) -> None:
    status.fold([hello(ENGINE), sample(ENGINE, 1.0, 0), outside(ENGINE, 1.0)])
    assert status.engines[ENGINE].latest["rss_bytes"] == 41_200_000
    assert status.engines[ENGINE].latest["live_python_bytes"] == 8_000_000
    assert status.last_sample_wall_s == WALL_S + 1.0


def test_the_rate_is_of_the_last_samples_of_this_phase() -> None:
    status = status_in_load(until_s=20)
    status.fold([sample(ENGINE, 30.0, 2000 * 11 + 5)])
    before = status.engines[ENGINE].rate_per_s
    status.fold([phase(ENGINE, "reload", 31.0)])
    assert before is not None
    assert status.engines[ENGINE].rate_per_s is None
    status.fold([sample(ENGINE, 32.0, 2000 * 11 + 5 + 1500)])
    assert status.engines[ENGINE].rate_per_s == 1500.0


def test_operations_are_counted_by_outcome_through_all_lives(status: RunStatus) -> None:
    status.fold([hello(ENGINE), sample(ENGINE, 1.0, 100, errors_total=4, dropped_total=3, skipped_total=2)])
    status.fold(
        [incident(ENGINE, "crash"), hello(ENGINE, segment=1), sample(ENGINE, 2.0, 10, segment=1, errors_total=1)]
    )
    assert status.engines[ENGINE].operations == {"ok": 105, "error": 5, "dropped": 3, "skipped": 2}
    assert status.engines[ENGINE].errors == 5


@given(st.lists(st.lists(st.integers(0, 10**9), max_size=5), max_size=5))
def test_a_chained_counter_only_grows(lives: list[list[int]]) -> None:
    counter, totals = Chained(), [0.0]
    for life in lives:
        counter.restart()
        for value in life:
            counter.read(value)
            totals.append(counter.total)
    assert all(before <= after for before, after in itertools.pairwise(totals))
    assert totals[-1] == sum(max(life) for life in lives if life) or not any(lives)


def test_a_crash_brings_an_engine_down_and_its_next_life_up_again(status: RunStatus) -> None:
    engine = status.engines[ENGINE]
    status.fold([hello(ENGINE), outside(ENGINE, 1.0), incident(ENGINE, "crash")])
    assert (engine.up, engine.ended_by) == (False, "crash")
    status.fold([incident(ENGINE, "restart", segment=1), hello(ENGINE, segment=1)])
    assert (engine.up, engine.restarts, engine.segment, engine.pid) == (True, 1, 1, 4243)
    assert engine.latest == {}, "readings of the dead process are not of this one"
    assert status.incidents == {"crash": 1, "restart": 1}


def test_records_of_a_life_that_is_over_change_nothing(status: RunStatus) -> None:
    status.fold([hello(ENGINE), hello(ENGINE, segment=1), sample(ENGINE, 3.0, 9, segment=0)])
    assert status.engines[ENGINE].operations == {}
    status.fold([incident(ENGINE, "hang", segment=0)])
    assert status.engines[ENGINE].up


def test_an_engine_that_said_bye_is_down_in_order(status: RunStatus) -> None:
    status.fold([hello(ENGINE), record("bye", ENGINE, 180.0, {"stopped": False})])
    assert (status.engines[ENGINE].up, status.engines[ENGINE].ended_by) == (False, "completed")


def test_latency_is_of_the_last_window_without_a_forked_child(status: RunStatus) -> None:
    engine = status.engines[ENGINE]
    status.fold([latency(ENGINE, 10.0, service_s=12e-6), latency(ENGINE, 10.0, service_s=5e-3, window=True)])
    assert engine.latency["service_p99_s"] == pytest.approx(12e-6, rel=0.01)
    assert engine.latency["response_p99_s"] == pytest.approx(120e-6, rel=0.01)
    assert engine.latency["lateness_p99_s"] == pytest.approx(1e-3, rel=0.01)
    assert sum(engine.service.counts) == 1000


def test_latency_buckets_only_grow_and_keep_their_sum_within_a_hundredth(status: RunStatus) -> None:
    service = status.engines[ENGINE].service
    seen = []
    for second, value_s in enumerate((8e-6, 12e-6, 0.3, 70.0, 2e-6)):
        status.fold([latency(ENGINE, 10.0 + second, service_s=value_s, count=10)])
        seen.append(list(service.counts))
    assert all(a <= b for before, after in itertools.pairwise(seen) for a, b in zip(before, after, strict=True))
    assert service.counts[0] == 20
    assert service.counts[BOUNDS_S.index(25e-6)] == 10
    assert service.counts[-1] == 10, "what is above the last bound is counted"
    assert service.sum_s == pytest.approx(10 * (8e-6 + 12e-6 + 0.3 + 70.0 + 2e-6), rel=0.01)


def test_latency_goes_on_through_restarts(status: RunStatus) -> None:
    status.fold([hello(ENGINE), latency(ENGINE, 10.0), hello(ENGINE, segment=1)])
    assert status.engines[ENGINE].latency == {}
    assert sum(status.engines[ENGINE].service.counts) == 1000


def test_probes_have_durations_and_failures(status: RunStatus) -> None:
    status.fold([hello(ENGINE), sample(ENGINE, 1.0, 0, **{"probe.live_native.failures_total": 2})])
    status.fold(
        [hello(ENGINE, segment=1), sample(ENGINE, 2.0, 0, segment=1, **{"probe.live_native.failures_total": 1})]
    )
    assert status.engines[ENGINE].probe_durations_s == {"live_native": 0.00025}
    assert status.engines[ENGINE].probe_failures["live_native"].total == 3


def test_coverage_counts_the_moments_of_the_grid_that_brought_a_sample() -> None:
    assert status_in_load(until_s=60).coverage_ratio(ORIGIN_S + 60.0) == 1.0
    status = status_in_load(until_s=60)
    assert status.coverage_ratio(ORIGIN_S + 123.0) == pytest.approx(0.5, abs=0.01)


def test_two_samples_of_one_moment_do_not_hide_a_missing_one(status: RunStatus) -> None:
    names = list(status.engines)
    status.fold([origin(), *(sample(name, t_s, 0) for name in names for t_s in (1.0, 1.1, 1.2, 1.3))])
    assert status.coverage_ratio(ORIGIN_S + 7.0) == 0.25


def test_coverage_is_unknown_while_no_sample_was_due(status: RunStatus) -> None:
    status.fold([origin()])
    assert status.coverage_ratio(ORIGIN_S + 1.0) is None


def test_the_verdict_so_far_is_the_worst_answer_of_what_decides(status: RunStatus) -> None:
    status.apply_verdict(typed(verdict_so_far()))
    assert status.state == "INCOMPLETE"
    assert status.state_so_far == "INCONCLUSIVE", "the rival's FAIL and the caught leak decide nothing"
    assert status.engines["cache-python"].state_so_far == "FAIL"
    assert status.engines[ENGINE].checks["growth.reachable_bytes"].high == 0.15


def test_a_final_verdict_is_what_it_says(status: RunStatus) -> None:
    status.apply_verdict(typed(verdict_final()))
    assert (status.state, status.state_so_far) == ("PASS", "PASS")


@pytest.mark.parametrize("verdict", [{}, {"engines": None}, {"engines": [{"name": ENGINE}]}])
def test_a_verdict_with_missing_keys_is_taken_as_far_as_it_goes(status: RunStatus, verdict: dict[str, Any]) -> None:
    status.apply_verdict(typed(verdict))
    assert status.state_so_far is None


@pytest.mark.parametrize(
    "odd",
    [
        record("latency", ENGINE, 1.0, {"service": "!", "response": "!", "lateness": "!"}),
        record("latency", ENGINE, 1.0, {"service": None}),
        record("phase", ENGINE, 1.0, {}),
        record("incident", ENGINE, 1.0, {}),
        record("phase", "", 1.0, {"name": "origin", "mono_s": "soon"}),
    ],
)
def test_a_record_that_makes_no_sense_is_counted_and_the_others_are_taken(status: RunStatus, odd: Record) -> None:
    status.fold([odd, hello(ENGINE)])
    assert status.unreadable == 1
    assert status.engines[ENGINE].up


def test_records_of_engines_that_the_plan_does_not_have_are_ignored(status: RunStatus) -> None:
    status.fold([hello("another"), sample("another", 1.0, 1)])
    assert list(status.engines) == ["cache-rust", "cache-python", "control-null", "control-leak"]


def test_memory_stays_bounded_whatever_an_engine_invents(status: RunStatus) -> None:
    engine = status.engines[ENGINE]
    for number in range(2 * MOST_NAMES):
        names: dict[str, Any] = {
            f"counter.{number}": 1,
            f"probe.{number}.duration_s": 0.1,
            f"probe.{number}.failures_total": 1,
        }
        status.fold([sample(ENGINE, 1.0, number, **names), incident(ENGINE, f"what-{number}" + "x" * 1000)])
    assert len(engine.latest) <= MOST_NAMES
    assert len(engine.probe_durations_s) <= MOST_NAMES
    assert len(engine.probe_failures) <= MOST_NAMES
    assert len(engine.incidents) == MOST_KINDS + 1
    assert engine.incidents["other"] == 2 * MOST_NAMES - MOST_KINDS


def test_readings_that_are_no_numbers_are_left_out(status: RunStatus) -> None:
    status.fold([hello(ENGINE), sample(ENGINE, 1.0, 0, tasks=True, odd="7", nan=float("nan"), inf=float("inf"))])
    assert {"tasks", "odd", "nan", "inf"} & set(status.engines[ENGINE].latest) == set()


def test_everything_known_can_be_written_as_json() -> None:
    written = json.loads(json.dumps(status_in_load().as_dict(ORIGIN_S + 60.0), allow_nan=False))
    assert written["elapsed_s"] == 60.0
    assert [engine["name"] for engine in written["engines"]] == list(status_in_load().engines)


@pytest.mark.parametrize(
    ("text", "shown"), [("a\nb", r"a\nb"), ("\x1b[31m", r"\x1b[31m"), ("grün", "grün"), ("\u202e", r"\u202e")]
)
def test_control_characters_are_shown_and_not_obeyed(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_server_is_known_from_its_record_its_samples_and_its_incidents(status: RunStatus) -> None:
    status.fold([server(ENGINE), hello(ENGINE), of_server(ENGINE, 1.0), of_server(ENGINE, 2.0)])
    known = status.engines[ENGINE].server
    assert known is not None
    assert (known.kind, known.up, known.version, known.backend, known.pid) == ("redis", True, "8.0.2", "private", 777)
    assert known.latest["live_bytes"] == 1_900_000
    status.fold([incident(ENGINE, "server_crash"), incident(ENGINE, "server_restart")])
    assert (known.up, known.restarts, status.engines[ENGINE].restarts) == (False, 1, 0)
    status.fold([server(ENGINE, 5.0, segment=1), of_server(ENGINE, 6.0, segment=1)])
    status.fold([record("incident", ENGINE, 6.0, {"what": "server_recovered", "recovery_s": 1.5})])
    assert (known.up, known.life, known.pid, known.recovery_s) == (True, 1, 778, 1.5)
    assert known.cpu_s is not None
    assert known.cpu_s.total == pytest.approx(2.0 * 0.02 + 6.0 * 0.02)
    assert status.incidents == {"server_crash": 1, "server_restart": 1, "server_recovered": 1}


def test_a_server_s_lives_are_not_those_of_its_engine(status: RunStatus) -> None:
    status.fold([server(ENGINE), hello(ENGINE), sample(ENGINE, 1.0, 10), incident(ENGINE, "crash")])
    status.fold([hello(ENGINE, segment=1), of_server(ENGINE, 2.0), sample(ENGINE, 2.0, 4, segment=1)])
    engine = status.engines[ENGINE]
    assert engine.server is not None
    assert engine.server.latest["rss_bytes"] == 14_200_000, "the server lives its first life, the engine its second"
    assert "rss_bytes" not in engine.latest
    assert (engine.segment, engine.operations["ok"], engine.slots) == (1, 14, 0)


def test_a_server_that_another_started_is_down_while_it_does_not_answer(status: RunStatus) -> None:
    status.fold([server(ENGINE, backend="url"), incident(ENGINE, "server_hang")])
    known = status.engines[ENGINE].server
    assert known is not None
    assert known.up is False
    status.fold([record("incident", ENGINE, 9.0, {"what": "server_recovered", "recovery_s": 0.4, "server": "redis"})])
    assert (known.up, known.backend, known.recovery_s) == (True, "url", 0.4)


def test_a_server_of_which_only_a_failed_start_is_known_has_no_numbers(status: RunStatus) -> None:
    status.fold([incident(ENGINE, "server_start_failed")])
    known = status.engines[ENGINE].server
    assert known is not None
    assert (known.up, known.kind, known.latest, known.cpu_s, known.version) == (False, "other", {}, None, None)


def test_how_long_a_snapshot_took_is_known_from_its_record(status: RunStatus) -> None:
    status.fold([hello(ENGINE), record("snapshot", ENGINE, 5.0, {"forked_at_s": 4.0, "duration_s": 0.8})])
    status.fold([record("snapshot", ENGINE, 9.0, {"forked_at_s": 8.0, "skipped": "no memory"})])
    assert status.engines[ENGINE].probe_durations_s == {"snapshot": 0.8}

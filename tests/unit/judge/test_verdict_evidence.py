"""What is missing, broken or soakd's own doing is said, and is never a PASS."""

import dataclasses
import json
import math
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

from soakd.wire.records import Record, make_record
from tests.recorded import (
    MONO_S,
    Level,
    Story,
    check,
    judged,
    made_up,
    per_hour,
    per_operation,
    plan_of,
    remade,
    stamp,
    verdict_of,
)
from tests.unit.judge.test_verdict_schema import SCHEMA

SHORT = plan_of()
DAY = plan_of(duration="24h", every="5min", run='collect_every = "5min"', limits='growth_rate = "1MB/h"')


def spoiled(kind: str, engine: str, nth: int, **more: Any) -> Callable[[Record], Record]:
    """Change the body of the nth record of a kind."""
    seen = iter(range(10**9))

    def change(record: Record) -> Record:
        if (record.kind, record.engine) != (kind, engine) or next(seen) != nth:
            return record
        return remade(record, body={**record.body, **more})

    return change


@pytest.mark.parametrize(
    "value", ["12", "NaN", math.nan, math.inf, None, [1], {"a": 1}, 10**400, True], ids=lambda v: repr(v)[:12]
)
def test_text_or_nan_in_place_of_a_number_makes_the_run_invalid(value: Any) -> None:
    verdict = judged(SHORT, change=spoiled("sample", "mine", 50, live_native_bytes=value))
    assert verdict["verdict"] == "INVALID"
    assert "unreadable readings of mine" in check(verdict, "", "evidence.records")["reason"]
    json.dumps(verdict, allow_nan=False)


@pytest.mark.parametrize("wall_s", [-1e11, -62135596801.0, 1e12, math.nan, "noon"])
def test_a_moment_that_no_clock_shows_makes_the_run_invalid(wall_s: Any) -> None:
    def change(record: Record) -> Record:
        is_end = record.kind == "bye" and record.engine == "mine"
        return remade(record, at=record.at._replace(wall_s=wall_s)) if is_end else record

    verdict = judged(SHORT, change=change)
    assert verdict["verdict"] == "INVALID"
    assert "unreadable readings of mine" in check(verdict, "", "evidence.records")["reason"]


@pytest.mark.parametrize("what", [None, 7, ["crash"]])
def test_an_incident_that_does_not_say_what_it_is_makes_the_run_invalid(what: Any) -> None:
    """It may have been a crash."""
    for engine in ("mine", ""):
        incident = make_record("incident", engine=engine, segment=0, at=stamp(30.0), body={"what": what})
        verdict = verdict_of(SHORT, [*made_up(SHORT), incident])
        assert verdict["verdict"] == "INVALID"
        assert verdict["incidents"] == []


@pytest.mark.parametrize("more", [{"service": "?"}, {"lateness": 7}, {"from_mono_s": "early"}, {"response": None}])
def test_a_latency_that_cannot_be_unpacked_makes_the_run_invalid(more: dict[str, Any]) -> None:
    assert judged(SHORT, change=spoiled("latency", "mine", 3, **more))["verdict"] == "INVALID"


@pytest.mark.parametrize("mono_s", ["then", math.nan, None])
def test_a_run_without_a_place_in_time_is_never_a_pass(mono_s: Any) -> None:
    verdict = judged(SHORT, change=spoiled("phase", "", 0, mono_s=mono_s))
    assert verdict["verdict"] == "INVALID"


def test_a_process_that_became_another_one_unseen_makes_the_run_invalid() -> None:
    unseen = judged(SHORT, mine=Story(restarts=(60.0,), incident_of_restart=None))
    assert unseen["verdict"] == "INVALID"
    assert "pid 77 became 78" in check(unseen, "mine", "evidence.process")["reason"]
    told = judged(SHORT, mine=Story(restarts=(60.0,)))
    assert check(told, "mine", "evidence.process")["verdict"] == "PASS"


@pytest.mark.parametrize("signal", ["rss_anon_bytes", "fds", "threads"])
def test_any_deciding_signal_that_fell_silent_is_never_a_pass(signal: str) -> None:
    verdict = judged(SHORT, mine=Story(silent_from_s={signal: 60.0}))
    assert verdict["verdict"] == "INVALID"
    assert f"{signal} was silent for" in check(verdict, "mine", "evidence.probe")["reason"]


def test_failed_readings_are_counted_by_probe() -> None:
    failing: dict[str, Level] = {"probe.live_python.failures_total": lambda t_s, n: t_s // 10}
    probe = check(judged(SHORT, mine=Story(more=failing)), "mine", "evidence.probe")
    assert probe["failed_readings"] == {"live_python": 18.0}
    assert "readings of live_python failed 18 times" in probe["reason"]


def test_of_what_the_child_of_a_probe_died_is_said() -> None:
    failing: dict[str, Level] = {"probe.snapshot.failures_total": lambda t_s, n: 3.0}
    body = {"what": "probe_died", "probe": "snapshot", "detail": "the forked child died of SIGSEGV"}
    died = make_record("incident", engine="mine", segment=0, at=stamp(30.0), body=body)
    verdict = verdict_of(SHORT, [*made_up(SHORT, {"mine": Story(more=failing)}), died])
    reason = check(verdict, "mine", "evidence.probe")["reason"]
    assert "readings of snapshot failed 3 times (the forked child died of SIGSEGV)" in reason


@pytest.mark.parametrize(("lost", "state"), [(3.0, "PASS"), (60.0, "INVALID")])
def test_dropped_records_are_said_and_too_many_make_the_run_invalid(lost: float, state: str) -> None:
    verdict = judged(SHORT, mine=Story(more={"records_dropped_total": lambda t_s, n: lost}))
    coverage = check(verdict, "mine", "evidence.coverage")
    assert (coverage["verdict"], coverage["dropped_records"]) == (state, lost)
    assert f"{lost:.0f} records were dropped" in coverage["reason"]


@pytest.mark.parametrize(("lost", "state"), [(7, "PASS"), (5000, "INVALID")])
def test_readings_that_the_disk_was_too_slow_for_are_said_and_too_many_make_the_run_invalid(
    lost: int, state: str
) -> None:
    records = check(judged(SHORT, change=ended_with(records_dropped=lost)), "", "evidence.records")
    assert f"{lost} records were dropped: the disk was too slow" in records["reason"]
    assert (records["verdict"], records["lost_records"]) == (state, lost)


def test_one_lost_record_of_what_happened_makes_the_run_invalid() -> None:
    """It may have been a crash."""
    by_the_daemon = judged(SHORT, change=ended_with(records_dropped=1, events_dropped=1))
    by_a_worker = judged(SHORT, change=spoiled("bye", "mine", 0, records_dropped=1, events_dropped=1))
    for verdict in (by_the_daemon, by_a_worker):
        assert verdict["verdict"] == "INVALID"
        assert "1 records of what happened were dropped" in check(verdict, "", "evidence.records")["reason"]


def test_records_that_only_bye_tells_of_are_counted_with_those_of_the_samples() -> None:
    verdict = judged(SHORT, change=spoiled("bye", "mine", 0, records_dropped=60))
    assert check(verdict, "mine", "evidence.coverage")["dropped_records"] == 60
    assert check(verdict, "", "evidence.records")["lost_records"] == 60


def test_records_lost_by_a_daemon_that_left_the_run_count_too() -> None:
    left = make_record("phase", engine="", segment=0, at=stamp(30.0), body={"name": "left", "records_dropped": 7})
    verdict = verdict_of(SHORT, [*made_up(SHORT), left])
    assert check(verdict, "", "evidence.records")["lost_records"] == 7


@pytest.mark.parametrize("what", ["garbled", "records_refused"])
@pytest.mark.parametrize(("body", "count"), [({"count": 262}, 262), ({}, 1), ({"count": "many"}, 1)])
def test_lines_in_the_record_pipe_that_were_not_the_workers_make_the_run_invalid(
    what: str, body: dict[str, Any], count: int
) -> None:
    incident = make_record("incident", engine="mine", segment=0, at=stamp(30.0), body={"what": what, **body})
    verdict = verdict_of(SHORT, [*made_up(SHORT), incident])
    assert verdict["verdict"] == "INVALID"
    records = check(verdict, "", "evidence.records")
    assert (records["estimate"], records["lost_records"]) == (count, count)
    assert f"{count} lines in the record pipe of mine were not its records" in records["reason"]


def ended_with(**more: Any) -> Callable[[Record], Record]:
    """Change the record that seals the run."""
    return lambda r: remade(r, body={**r.body, **more}) if r.body.get("name") == "end" else r


def test_duplicates_do_not_stand_in_for_missing_samples() -> None:
    plan = plan_of(run='controls_off = ["null", "leak"]')

    def halve_and_double(record: Record) -> Record | None:
        odd = int(record.at.mono_s) % 2
        return None if odd and record.kind == "sample" and record.engine else record

    kept = [r for r in made_up(plan) if halve_and_double(r)]
    assert check(verdict_of(plan, kept + kept), "mine", "evidence.coverage")["verdict"] == "INVALID"


def test_soakd_that_grows_over_a_day_makes_the_run_invalid_and_prints_by_how_much() -> None:
    verdict = judged(DAY, own=per_hour(3e6))
    assert verdict["verdict"] == "INVALID"
    assert "soakd itself grows" in verdict["summary"]
    assert verdict["observer"]["growth_bytes_per_hour"] == pytest.approx(3e6, rel=0.05)
    steady = judged(DAY)
    assert steady["verdict"] == "PASS"
    assert check(steady, "", "observer.growth")["verdict"] == "PASS"


def test_soakd_is_judged_by_what_it_can_reach_and_by_its_pages() -> None:
    steady = check(judged(DAY), "", "observer.growth")
    assert (steady["signal"], steady["verdict"]) == ("reachable_bytes", "PASS")
    hoard = judged(DAY, own=per_hour(3e6), change=of_own(lambda body: body | steady_pages(body)))
    assert check(hoard, "", "observer.growth")["signal"] == "reachable_bytes"
    assert hoard["verdict"] == "INVALID"
    scattered = judged(DAY, own=per_hour(3e6), change=of_own(lambda body: body | steady_reach(body)))
    assert check(scattered, "", "observer.growth")["signal"] == "rss_anon_bytes"
    assert scattered["verdict"] == "INVALID"
    unforked = judged(DAY, change=of_own(lambda body: {k: v for k, v in body.items() if "reachable" not in k}))
    assert check(unforked, "", "observer.growth")["signal"] == "rss_anon_bytes"
    assert unforked["verdict"] == "PASS"


def of_own(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Record], Record]:
    """Change the daemon's own samples."""

    def changed(record: Record) -> Record:
        own = record.kind == "sample" and not record.engine
        return remade(record, body=change(dict(record.body))) if own else record

    return changed


def steady_pages(body: dict[str, Any]) -> dict[str, Any]:
    return {"rss_anon_bytes": 4e7 + body["live_native_bytes"] % 4096}


def steady_reach(body: dict[str, Any]) -> dict[str, Any]:
    return {"reachable_python_bytes": 2e7} if "reachable_python_bytes" in body else {}


def test_a_quick_run_passes_whatever_its_minutes_say_of_soakd() -> None:
    verdict = judged(SHORT)
    own = check(verdict, "", "observer.growth")
    assert (verdict["verdict"], own["verdict"], own["informational"]) == ("PASS", "INCONCLUSIVE", True)
    assert judged(SHORT, own=lambda t_s, n: 1e5 * t_s)["verdict"] == "PASS"


def test_the_empty_control_says_how_much_of_the_growth_is_soakds_own() -> None:
    verdict = judged(SHORT, null=Story(python=per_operation(0.5)))
    observer = verdict["observer"]
    assert observer["harness_growth_bytes_per_operation"] == pytest.approx(0.5, abs=0.2)
    low, high = (observer[f"harness_growth_bytes_per_operation_{bound}"] for bound in ("low", "high"))
    assert low <= 0.5 <= high
    assert observer["harness_growth_bytes_per_hour"] == pytest.approx(0.5 * 3.6e6, rel=0.5)
    assert any("soakd's own share" in sentence for sentence in verdict["visibility"])
    off = judged(plan_of(run='controls_off = ["null"]'))
    assert "harness_growth_bytes_per_operation" not in off["observer"]


def test_every_exclusion_says_how_much_it_removed() -> None:
    bound = judged(SHORT, mine=Story(lateness_ns=50_000_000))["exclusions"]
    assert bound[0] | {"windows": 0, "seconds": 0, "operations": 0} == {
        "engine": "mine", "what": "latency", "why": "driver-bound", "windows": 0, "seconds": 0, "operations": 0,
    }  # fmt: skip
    assert bound[0]["windows"] > 10
    assert bound[0]["operations"] == 1000 * bound[0]["windows"]
    short = judged(SHORT, mine=Story(restarts=(138.0,)))["exclusions"]
    assert any(e["what"] == "growth" and "segment 1 is too short" in e["why"] for e in short)
    assert [e["why"] for e in judged(SHORT)["exclusions"]] == ["warm-up"]


def test_operations_that_a_deep_look_held_up_are_nobodys_fault_and_are_said() -> None:
    begun_s, ended_s = 60.0, 90.0
    held_up = Story(operations=lambda t_s: 1000.0 * (t_s - max(0.0, min(t_s, ended_s) - begun_s)))

    def with_looks(*stretches: tuple[float, float]) -> Any:
        bodies = [
            {"state": "done", "route": "python", "light": True, "from_mono_s": MONO_S + from_s,
             "until_mono_s": MONO_S + until_s} for from_s, until_s in stretches
        ]  # fmt: skip
        looks = [
            make_record("attribution", engine="mine", segment=0, at=stamp(ended_s), body={**body, "id": number})
            for number, body in enumerate(bodies)
        ]
        return verdict_of(SHORT, [*made_up(SHORT, {"mine": held_up}), *looks])

    unlooked, looked = with_looks(), with_looks((begun_s, ended_s))
    assert check(unlooked, "mine", "rate.achieved")["verdict"] == "FAIL"
    assert check(looked, "mine", "rate.achieved")["verdict"] == "PASS"
    (entry,) = [e for e in looked["exclusions"] if e["what"] == "rate"]
    assert (entry["why"], entry["windows"], entry["seconds"]) == ("a deep look was under way", 1, 30.0)
    jsonschema.validate(looked, SCHEMA)
    always = with_looks((0.0, 170.0))
    assert check(always, "mine", "rate.achieved")["verdict"] == "FAIL"
    assert [e for e in always["exclusions"] if e["what"] == "rate"] == []


@pytest.mark.parametrize(("stood_still_s", "verdict"), [(1.0, "PASS"), (3.0, "INCONCLUSIVE"), (9.0, "FAIL")])
def test_a_host_that_stood_still_for_seconds_is_no_low_rate(stood_still_s: float, verdict: str) -> None:
    halted = Story(operations=lambda t_s: 1000.0 * (t_s - max(0.0, min(t_s, 60.0 + stood_still_s) - 60.0)))
    rate = check(judged(SHORT, mine=halted), "mine", "rate.achieved")
    assert rate["verdict"] == verdict
    assert ("soak longer" in rate.get("reason", "")) == (verdict == "INCONCLUSIVE")


@pytest.mark.parametrize("share", [0.975, 0.9, 0.5, 0.0])
def test_an_engine_that_never_keeps_its_rate_fails_however_little_is_missing(share: float) -> None:
    slow = Story(operations=lambda t_s: 1000.0 * share * t_s)
    assert check(judged(SHORT, mine=slow), "mine", "rate.achieved")["verdict"] == "FAIL"


def test_a_run_that_goes_on_says_when_its_limits_would_be_reached() -> None:
    leak = Story(python=per_operation(200))
    verdict = judged(
        SHORT, mine=leak, until_s=100, end=None, running=True, available=lambda t_s, n: 7.2e9
    )  # fmt: skip
    growth = check(verdict, "mine", "growth.reachable_bytes")
    # 100 MB may come after warm-up; 200 B in each of 1,000 operations a second
    assert growth["time_to_limit_seconds"] == pytest.approx(500 - 65, abs=40)
    rss = check(verdict, "mine", "growth.rss_anon_bytes")
    assert rss["time_to_limit_seconds"] == pytest.approx(7.2e9 / 2e5, rel=0.1)
    assert growth["per_hour_low"] < growth["per_hour"] < growth["per_hour_high"]
    assert "time_to_limit_seconds" not in check(judged(SHORT, mine=leak), "mine", "growth.reachable_bytes")


@pytest.mark.parametrize(
    "verdict",
    [
        judged(SHORT, mine=Story(restarts=(60.0,), incident_of_restart=None, lateness_ns=50_000_000)),
        judged(SHORT, mine=Story(python=per_operation(90)), until_s=100, end=None, running=True),
        judged(SHORT, end="memory_reserve", until_s=100),
        judged(SHORT, change=spoiled("sample", "mine", 5, fds="nine")),
        judged(DAY, own=per_hour(3e6)),
    ],
    ids=["unseen restart", "running", "memory reserve", "unreadable", "growing soakd"],
)
def test_what_the_evidence_adds_keeps_to_the_schema(verdict: dict[str, Any]) -> None:
    jsonschema.validate(json.loads(json.dumps(verdict, allow_nan=False)), SCHEMA)


@pytest.mark.parametrize("value", [-1.0, 0.0])
@pytest.mark.parametrize("signal", ["rss_anon_bytes", "fds", "threads", "reachable_native_bytes"])
def test_a_reader_that_only_says_nothing_or_less_is_never_a_pass(signal: str, value: float) -> None:
    def broken(record: Record) -> Record:
        names = (signal, signal.replace("native", "python"))
        body = {k: value if k in names else v for k, v in record.body.items()}
        return remade(record, body=body) if record.engine == "mine" else record

    assert judged(SHORT, change=broken)["verdict"] == "INVALID"


@pytest.mark.parametrize("order", [1, -1])
def test_a_run_that_ended_twice_is_invalid_whatever_is_read_last(order: int) -> None:
    ends = made_up(SHORT)[-1:] + made_up(SHORT, end="interrupted")[-1:]
    verdict = verdict_of(SHORT, made_up(SHORT)[:-1] + ends[::order])
    assert verdict["verdict"] == "INVALID"
    assert "2 different records of its end: completed, interrupted" in verdict["summary"]
    assert verdict == verdict_of(SHORT, made_up(SHORT)[:-1] + ends)


def test_an_engine_that_the_plan_does_not_have_is_said() -> None:
    stranger = dataclasses.replace(made_up(SHORT)[50], engine="theirs")
    verdict = verdict_of(SHORT, [*made_up(SHORT), stranger])
    assert verdict["verdict"] == "INVALID"
    assert "engines that its plan does not have: theirs" in verdict["summary"]


def test_two_readings_of_one_moment_that_differ_make_the_run_invalid() -> None:
    records = made_up(SHORT)
    sample = next(r for r in records if r.engine == "mine" and r.kind == "sample" and r.body.get("fds"))
    verdict = verdict_of(SHORT, [*records, remade(sample, body={**sample.body, "fds": 3})])
    assert verdict["verdict"] == "INVALID"
    assert "1 readings of mine contradict another of the same moment (fds)" in verdict["summary"]


def test_near_duplicates_do_not_stand_in_for_missing_samples() -> None:
    plan = plan_of(run='controls_off = ["null", "leak"]')
    kept = [r for r in made_up(plan) if not (r.kind == "sample" and r.engine and int(r.at.mono_s) % 2)]
    later = [remade(r, at=r.at._replace(mono_s=r.at.mono_s + 1e-3)) for r in kept if r.kind == "sample"]
    assert check(verdict_of(plan, kept + later), "mine", "evidence.coverage")["verdict"] == "INVALID"


def test_a_counter_that_goes_back_within_a_life_makes_the_run_invalid() -> None:
    verdict = judged(SHORT, change=spoiled("sample", "mine", 200, errors_total=-0.0, operations_total=1))
    assert verdict["verdict"] == "INVALID"
    assert "operations_total of mine went back within one life" in verdict["summary"]


def test_lives_that_overlap_make_the_run_invalid() -> None:
    def second(record: Record) -> Record:
        odd = record.engine == "mine" and record.kind == "sample" and int(record.at.mono_s) % 10 == 0
        return remade(record, segment=1) if odd else record

    verdict = judged(SHORT, mine=Story(restarts=(170.0,)), change=second)
    assert "segments 0 and 1 overlap in time" in check(verdict, "mine", "evidence.process")["reason"]


def test_a_worker_of_another_boot_makes_the_run_invalid() -> None:
    boots = iter(("one", "other", "one"))

    def booted(record: Record) -> Record:
        if record.kind != "hello":
            return record
        return remade(record, body={**record.body, "boot_id": next(boots)})

    verdict = judged(SHORT, change=booted)
    assert verdict["verdict"] == "INVALID"
    assert "2 boots of the host" in verdict["summary"]


def test_clocks_that_go_back_together_are_seen() -> None:
    def jump(record: Record) -> Record:
        by_s = -100.0 * (record.at.mono_s > 4060)
        at = record.at._replace(wall_s=record.at.wall_s + by_s, boot_s=record.at.boot_s + by_s)
        return remade(record, at=at)

    assert check(judged(SHORT, change=jump), "", "evidence.clock")["verdict"] == "INVALID"


def test_lives_too_short_for_a_rate_leave_the_run_open() -> None:
    plan = plan_of(run='controls_off = ["null", "leak"]', limits='growth_per_operation = "16B"\nrestarts = 20')
    verdict = judged(plan, mine=Story(restarts=(68.0, 78.0, 88.0, 98.0, 108.0, 118.0, 128.0, 138.0)))
    lives = check(verdict, "mine", "evidence.process")
    assert lives["verdict"] == "INCONCLUSIVE"
    assert "long enough for a rate make up 4" in lives["reason"]


@pytest.mark.parametrize(("duration", "every"), [("24h", "2min"), ("30d", "1h")])
def test_with_both_limits_the_leak_control_is_caught_by_the_one_that_it_leaks_twice_of(
    duration: str, every: str
) -> None:
    """In a long run it leaks so slowly that it is far below the other."""
    both = 'growth_rate = "10MB/h"\ngrowth_per_operation = "16B"'
    plan = plan_of(duration=duration, every=every, limits=both)
    verdict = judged(plan)
    assert (verdict["verdict"], verdict["controls"]["leak"]["caught"]) == ("PASS", True), verdict["summary"]
    assert judged(plan, leak=Story())["verdict"] == "INVALID"
    grows = judged(plan, null=Story(python=per_operation(40)))
    assert (grows["verdict"], grows["controls"]["null"]["verdict"]) == ("INVALID", "FAIL")


def test_the_daemons_share_of_the_processor_is_that_of_its_lives() -> None:
    """The counter of a daemon that resumes begins at 0."""

    def resumed(record: Record) -> Record:
        if record.engine or record.kind != "sample" or record.at.mono_s < MONO_S + 90:
            return record
        body = {**record.body, "cpu_s_total": record.body["cpu_s_total"] - 0.18}
        return remade(record, segment=1, body=body)

    assert judged(SHORT, change=resumed)["observer"]["cpu_ratio"] == pytest.approx(0.002, rel=0.01)


def test_an_engine_without_a_limit_of_growth_is_said_to_have_none() -> None:
    verdict = judged(plan_of(limits='growth_rate = "off"'))
    assert "mine: no rate of growth was judged: growth_rate and growth_per_operation are off" in verdict["visibility"]


@pytest.mark.parametrize("at_s", [0.0, 50.0], ids=["before the load", "under load"])
def test_an_engine_whose_samples_are_all_of_one_moment_is_invalid(at_s: float) -> None:
    def stopped(record: Record) -> Record:
        is_own = record.engine == "mine" and record.kind == "sample"
        return remade(record, at=stamp(at_s)) if is_own else record

    mine = Story(
        more={"children": lambda t_s, n: 3, "scratch_bytes": per_hour(1e9), "reachable_copied_bytes": per_hour(1)}
    )
    verdict = judged(SHORT, mine=mine, change=stopped)
    assert verdict["verdict"] == "INVALID"
    jsonschema.validate(json.loads(json.dumps(verdict, allow_nan=False)), SCHEMA)

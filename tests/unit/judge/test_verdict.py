import json
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from soakd.live.status import answer_so_far
from soakd.report.junit import junit
from soakd.report.markdown import markdown
from soakd.wire.records import Record, Stamp, make_record
from soakd.wire.spec import Role
from tests.recorded import (
    MONO_S,
    Story,
    check,
    flat,
    judged,
    leak_control,
    made_up,
    per_hour,
    per_operation,
    plan_of,
    remade,
    with_engine,
)
from tests.typed import typed

SHORT = plan_of()
LONG = plan_of(duration="24h", every="2min", limits='growth_rate = "1MB/h"')


def test_a_healthy_run_passes_and_says_what_it_could_have_seen() -> None:
    verdict = judged(SHORT)
    assert (verdict["verdict"], verdict["engines"][0]["class"]) == ("PASS", "flat")
    assert verdict["controls"]["null"]["verdict"] == "PASS"
    assert verdict["controls"]["leak"]["caught"] is True
    assert "would have been seen" in verdict["visibility"][0]
    assert "not shown" in verdict["visibility"][-1]


@pytest.mark.parametrize(
    ("story", "kind", "words"),
    [
        (Story(python=per_operation(200)), "python_leak", "200 B per operation"),
        (Story(native=per_operation(200)), "native_leak", "the Python heap is flat: a leak in native code"),
        (Story(python=per_operation(50), native=per_operation(50)), "mixed_leak", "both"),
    ],
)
def test_a_leak_fails_with_its_part_named(story: Story, kind: str, words: str) -> None:
    verdict = judged(SHORT, mine=story)
    assert (verdict["verdict"], verdict["engines"][0]["class"]) == ("FAIL", kind)
    assert words in verdict["engines"][0]["reason"]
    assert verdict["summary"].startswith("mine: reachable memory grows")
    assert "MB/h at this rate" in verdict["summary"]


def test_garbage_that_the_collector_has_not_met_is_no_leak() -> None:
    verdict = judged(SHORT, mine=Story(garbage=per_operation(6)))
    assert verdict["verdict"] == "PASS"
    assert check(verdict, "mine", "growth.live_bytes")["informational"] is True


def test_resident_memory_that_grows_alone_is_told_from_a_leak() -> None:
    verdict = judged(LONG, mine=Story(resident=per_hour(5e6)))
    assert (verdict["verdict"], verdict["engines"][0]["class"]) == ("FAIL", "private_allocator")
    fragmented = judged(LONG, mine=Story(resident=per_hour(5e6), more={"native_free_bytes": per_hour(5e6)}))
    assert fragmented["engines"][0]["class"] == "fragmentation"


def test_an_hourly_limit_cannot_pass_in_three_minutes() -> None:
    verdict = judged(plan_of(limits='growth_rate = "1MB/h"'))
    assert verdict["verdict"] == "INCONCLUSIVE"
    assert "too short: 1 MB/h needs at least 2 h of load" in check(verdict, "mine", "growth.reachable_bytes")["reason"]


def warm_up(t_s: float, operations: float) -> float:
    """Load the first 90 s of a run with 8 MB."""
    return 8e6 * min(t_s, 90.0) / 90.0


def test_a_warm_up_of_half_a_short_run_does_not_fail_an_hourly_limit_and_a_leak_does() -> None:
    short = plan_of(limits='growth_rate = "1MB/h"')
    assert judged(short, mine=Story(python=warm_up, resident=warm_up))["engines"][0]["verdict"] == "INCONCLUSIVE"
    assert judged(short, mine=Story(python=per_hour(200e6)))["engines"][0]["verdict"] == "FAIL"


def test_a_day_at_twice_the_hourly_limit_fails_and_its_leak_free_twin_passes() -> None:
    assert judged(LONG)["verdict"] == "PASS"
    leaking = judged(LONG, mine=Story(python=per_hour(2e6)))
    growth = check(leaking, "mine", "growth.reachable_bytes")
    assert leaking["verdict"] == "FAIL"
    assert growth["low"] <= 2e6 <= growth["high"]
    assert growth["per_operation"] == pytest.approx(2e6 / 3.6e6, rel=0.05)


@pytest.mark.parametrize("level", [flat, per_operation(200)])
def test_a_run_that_ended_early_neither_passes_nor_fails_on_growth(level: Any) -> None:
    verdict = judged(SHORT, mine=Story(python=level), until_s=100, end="interrupted")
    growth = check(verdict, "mine", "growth.reachable_bytes")
    assert (verdict["verdict"], growth["verdict"]) == ("INCONCLUSIVE", "INCONCLUSIVE")
    assert "ended early at 56% of the plan" in growth["reason"]
    assert growth["estimate"] is not None


@pytest.mark.parametrize("leaks", [False, True])
def test_what_cannot_be_known_yet_does_not_hold_down_what_is_said_so_far(leaks: bool) -> None:
    mine = Story(python=per_operation(200)) if leaks else Story()
    verdict = judged(SHORT, mine=mine, until_s=130, end=None, running=True)
    (mine_judged,) = (engine for engine in typed(verdict).engines if engine.name == "mine")
    assert answer_so_far(mine_judged.checks) == ("FAIL" if leaks else "PASS")
    late = check(verdict, "mine", "return_to_baseline")
    assert (late["verdict"], late.get("so_far"), late["due_seconds"]) == ("INCOMPLETE", None, 180.0)


def test_what_is_missing_after_its_time_holds_the_answer_down_and_at_the_end_is_never_a_pass() -> None:
    silent = Story(silent_from_s={"reachable_python_bytes": 165.0, "reachable_native_bytes": 165.0})
    final = check(judged(SHORT, mine=silent), "mine", "return_to_baseline")
    assert (final["verdict"], "due_seconds" in final) == ("INCONCLUSIVE", False)
    unread = Story(silent_from_s={"reachable_python_bytes": 0.0, "reachable_native_bytes": 0.0})
    early = check(judged(SHORT, mine=unread, until_s=100, end=None, running=True), "mine", "return_to_baseline")
    assert early["so_far"] == "INCONCLUSIVE", "without a reading in the baseline there will be no answer"


def test_while_the_run_goes_on_everything_is_only_so_far() -> None:
    verdict = judged(SHORT, mine=Story(python=per_operation(200)), until_s=100, end=None, running=True)
    assert verdict["verdict"] == "INCOMPLETE"
    assert check(verdict, "mine", "growth.reachable_bytes")["so_far"] == "FAIL"
    assert "56% of the plan seen" in verdict["summary"]


def test_a_run_that_was_killed_is_incomplete() -> None:
    assert judged(SHORT, end=None)["verdict"] == "INCOMPLETE"


@pytest.mark.parametrize(
    ("null", "leak", "words"),
    [
        (Story(python=per_operation(100)), None, "the null control is FAIL, not PASS"),
        (None, Story(), "the leak control is PASS, not FAIL"),
    ],
)
def test_a_control_that_misbehaves_makes_the_run_invalid(null: Story | None, leak: Story | None, words: str) -> None:
    verdict = judged(SHORT, null=null, leak=leak)
    assert verdict["verdict"] == "INVALID"
    assert words in verdict["summary"]


def test_a_control_that_was_switched_off_makes_the_run_invalid() -> None:
    verdict = judged(plan_of(run='controls_off = ["leak"]'))
    assert verdict["verdict"] == "INVALID"
    assert "control.leak was switched off" in verdict["summary"]


def test_a_control_never_makes_the_run_fail() -> None:
    assert judged(SHORT, null=Story(python=per_operation(100)))["verdict"] == "INVALID"


def test_a_probe_that_fell_silent_is_never_a_pass() -> None:
    silent = {"reachable_python_bytes": 60.0, "reachable_native_bytes": 60.0}
    verdict = judged(SHORT, mine=Story(silent_from_s=silent))
    assert verdict["verdict"] == "INVALID"
    assert "reachable_bytes was silent for" in check(verdict, "mine", "evidence.probe")["reason"]


def test_a_signal_that_was_never_read_is_never_a_pass() -> None:
    silent = dict.fromkeys(("reachable_python_bytes", "reachable_native_bytes"), 0.0)
    assert judged(SHORT, mine=Story(silent_from_s=silent))["verdict"] == "INVALID"


def test_missing_samples_are_never_a_pass() -> None:
    def lose(record: Record) -> Record | None:
        return (
            None
            if record.kind == "sample" and record.engine == "mine" and 50 < record.at.mono_s - 4000 < 80
            else record
        )

    verdict = judged(SHORT, change=lose)
    assert verdict["verdict"] == "INVALID"
    assert "longest gap 30s" in check(verdict, "mine", "evidence.coverage")["reason"]


@pytest.mark.parametrize(
    ("shift", "words"),
    [((-3600.0, 0.0), "the wall clock stepped by -3600s"), ((900.0, 900.0), "the host slept 900s")],
)
def test_a_clock_that_jumps_makes_the_run_invalid(shift: tuple[float, float], words: str) -> None:
    def jump(record: Record) -> Record:
        wall_s, boot_s, mono_s = record.at
        later = mono_s - 4000 > 60
        at = Stamp(wall_s + shift[0] * later, boot_s + shift[1] * later, mono_s)
        return make_record(record.kind, engine=record.engine, segment=record.segment, at=at, body=record.body)

    verdict = judged(SHORT, change=jump)
    assert verdict["verdict"] == "INVALID"
    assert words in check(verdict, "", "evidence.clock")["reason"]


def test_an_empty_journal_is_never_a_pass() -> None:
    assert judged(SHORT, change=lambda record: None)["verdict"] in ("INCOMPLETE", "INVALID")


def test_errors_beyond_their_ratio_fail() -> None:
    verdict = judged(SHORT, mine=Story(error_ratio=0.5))
    assert verdict["verdict"] == "FAIL"
    assert check(verdict, "mine", "errors.ratio")["estimate"] == pytest.approx(0.5, rel=0.01)


def test_a_crash_fails_and_is_listed() -> None:
    crash = {"what": "crash", "detail": "mine: killed by SIGKILL"}
    verdict = judged(SHORT, mine=Story(incidents=[(60.0, crash)]))
    assert verdict["verdict"] == "FAIL"
    assert "killed by SIGKILL" in verdict["summary"]
    assert verdict["incidents"][0]["what"] == "crash"


def test_service_time_is_judged_and_windows_of_a_late_driver_are_not_charged() -> None:
    plan = plan_of(limits='growth_per_operation = "16B"\nlatency_p95 = "1ms"')
    assert check(judged(plan), "mine", "latency.p95")["verdict"] == "PASS"
    slow = judged(plan, mine=Story(latency_ns=2_000_000))
    assert (slow["verdict"], check(slow, "mine", "latency.p95")["estimate"]) == ("FAIL", pytest.approx(2e-3, rel=0.02))
    bound = judged(plan, mine=Story(latency_ns=2_000_000, lateness_ns=50_000_000))
    assert check(bound, "mine", "latency.p95")["verdict"] == "INCONCLUSIVE"
    assert bound["exclusions"][0]["why"] == "driver-bound"


@pytest.mark.parametrize(("late", "state"), [(0.4, "PASS"), (0.6, "INCONCLUSIVE")])
def test_latency_of_a_small_part_of_the_load_phase_is_not_that_of_the_load_phase(late: float, state: str) -> None:
    plan = plan_of(duration="30min", limits='growth_per_operation = "16B"\nlatency_p95 = "1ms"\nresponse_p99 = "1s"')
    late_until_s = plan.engines[0].load.start_s + late * plan.engines[0].load.duration_s
    tardy = [r for r in made_up(plan, {"mine": Story(lateness_ns=50_000_000)}) if r.kind == "latency"]
    instead = {(r.engine, r.at): r for r in tardy if r.at.mono_s - MONO_S <= late_until_s}
    verdict = judged(plan, change=lambda r: instead.get((r.engine, r.at), r) if r.kind == "latency" else r)
    found = check(verdict, "mine", "latency.p95")
    assert found["verdict"] == check(verdict, "mine", "latency.response_p99")["verdict"] == state
    assert ("windows were driver-bound" in found.get("reason", "")) == (state == "INCONCLUSIVE")


def test_each_life_names_its_interpreter_and_the_summary_does_where_engines_differ() -> None:
    def under(path: str) -> Callable[[Record], Record]:
        def change(record: Record) -> Record:
            if record.kind != "hello":
                return record
            said = {"python": "3.13.1", "executable": path if record.engine == "mine" else "/own/python"}
            return remade(record, body={**record.body, **said})

        return change

    other, same = judged(plan_of(), change=under("/opt/b/python")), judged(plan_of(), change=under("/own/python"))
    life = other["engines"][0]["segments"][0]
    assert (life["python"], life["executable"]) == ("3.13.1", "/opt/b/python")
    assert "Python 3.13.1, /opt/b/python." in markdown(typed(other))
    assert "Python 3.13.1" not in markdown(typed(same))


def test_a_control_of_which_most_lives_were_too_short_answers_for_nothing() -> None:
    plan = plan_of(duration="3h", every="30s")
    load = plan.engines[0].load
    restarts = tuple(load.start_s + load.duration_s * share for share in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9))
    verdict = judged(plan, null=Story(restarts=restarts))
    assert verdict["controls"]["null"]["verdict"] == "INCONCLUSIVE"
    assert "evidence.process" in verdict["controls"]["null"]["reason"]
    assert verdict["verdict"] == "INCONCLUSIVE"


def test_descriptors_that_pile_up_fail_with_their_class() -> None:
    verdict = judged(SHORT, mine=Story(more={"fds": lambda t_s, n: 9.0 + t_s}))
    assert verdict["verdict"] == "FAIL"
    assert verdict["engines"][0]["class"] == "fd_leak"


def test_the_verdict_is_json_without_nan_and_the_same_every_time() -> None:
    texts = {json.dumps(judged(SHORT), allow_nan=False) for _ in range(2)}
    assert len(texts) == 1


def test_junit_and_markdown_tell_what_the_verdict_tells() -> None:
    verdict = judged(SHORT, mine=Story(python=per_operation(200)))
    assert '<testsuite name="mine"' in junit(typed(verdict))
    assert "<failure" in junit(typed(verdict))
    assert "<failure" not in junit(typed(judged(SHORT)))
    assert markdown(typed(verdict)).startswith("# soakd: FAIL\n\nmine: reachable memory grows")


def test_the_leak_control_of_a_day_is_caught() -> None:
    verdict = judged(LONG, leak=leak_control(LONG))
    assert verdict["controls"]["leak"]["caught"] is True


@pytest.mark.parametrize("running", [True, False])
def test_resident_memory_that_follows_garbage_is_a_backlog_and_no_failure(running: bool) -> None:
    verdict = judged(
        SHORT, mine=Story(garbage=per_operation(200)), end=None if running else "completed", running=running
    )
    rss = check(verdict, "mine", "growth.rss_anon_bytes")
    assert (rss["so_far"] if running else rss["verdict"]) == "INCONCLUSIVE"
    assert "garbage that the collector has not met" in rss["reason"]
    assert verdict["engines"][0]["class"] == "collector_backlog"


def test_garbage_excuses_no_leak_beside_it() -> None:
    verdict = judged(SHORT, mine=Story(garbage=per_operation(200), python=per_operation(50)))
    assert (verdict["verdict"], verdict["engines"][0]["class"]) == ("FAIL", "python_leak")


def test_garbage_excuses_no_resident_memory_that_grows_far_beyond_it() -> None:
    verdict = judged(SHORT, mine=Story(garbage=per_operation(50), resident=per_operation(200)))
    assert check(verdict, "mine", "growth.rss_anon_bytes")["verdict"] == "FAIL"


def test_garbage_excuses_no_growth_beyond_the_limit_that_it_does_not_explain() -> None:
    verdict = judged(SHORT, mine=Story(garbage=per_operation(120), resident=per_operation(100)))
    assert check(verdict, "mine", "growth.rss_anon_bytes")["verdict"] == "FAIL"


def test_junit_fails_for_a_run_that_was_killed_and_holds_any_message() -> None:
    crash = {"what": "crash", "detail": "mine: \x1b[31mboom\x00 \ud800"}
    text = junit(typed(judged(SHORT, mine=Story(incidents=[(60.0, crash)]), end=None)))
    assert ET.fromstring(text.encode()).get("failures") != "0"
    assert "<failure" in junit(typed(judged(SHORT, end=None)))


@pytest.mark.parametrize("role", ["rival", "control"])
def test_a_run_in_which_no_subject_was_judged_passes_nothing(role: Role) -> None:
    verdict = judged(with_engine(plan_of(), role=role))
    assert verdict["verdict"] == "INCONCLUSIVE"
    assert "no subject was judged" in verdict["summary"]
    assert 'role = "subject"' in verdict["summary"]
    assert check(verdict, "", "evidence.subject")["verdict"] == "INCONCLUSIVE"


def test_where_a_subject_is_judged_nothing_says_that_none_is() -> None:
    verdict = judged(plan_of())
    assert "evidence.subject" not in {c["id"] for c in verdict["checks"]}


def test_a_broken_instrument_comes_before_a_run_without_a_subject() -> None:
    verdict = judged(with_engine(plan_of(), role="rival"), null=Story(python=per_operation(200)))
    assert verdict["verdict"] == "INVALID"

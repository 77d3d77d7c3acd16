"""The daemon's log."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from soakd.daemon import log
from soakd.daemon.log import EventLog, configure
from soakd.live.status import RunStatus
from tests.showing import (
    ORIGIN_S,
    incident,
    of_server,
    origin,
    phase,
    plan,
    record,
    server,
    status_in_load,
    verdict_final,
    verdict_so_far,
)
from tests.typed import typed


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    structlog.reset_defaults()
    logging.root.handlers[:], logging.root.level = handlers, level


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == "", "stdout is for the display"
    return [json.loads(line) for line in captured.err.splitlines()]


def test_a_phase_is_logged_once_however_many_engines_enter_it() -> None:
    events = EventLog()
    with capture_logs() as told:
        events.fold([origin(), *(phase(name, "load", 9.0) for name in ("a", "b", "c"))])
        events.fold([phase("a", "drain", 100.0), phase("b", "drain", 100.0)])
        events.fold([record("phase", "", 180.0, {"name": "end", "reason": "interrupted", "signal": "SIGTERM"})])
    assert [event["event"] for event in told] == ["started", "phase", "phase", "ended"]
    assert [event.get("phase") for event in told[1:3]] == ["load", "drain"]
    assert (told[3]["reason"], told[3]["signal"]) == ("interrupted", "SIGTERM")


def test_a_phase_that_another_life_enters_again_is_not_logged() -> None:
    events = EventLog()
    with capture_logs() as told:
        events.fold([phase("a", "load", 9.0), phase("b", "drain", 100.0), phase("a", "load", 101.0, segment=1)])
    assert [event["phase"] for event in told] == ["load", "drain"]


def test_two_engines_that_are_not_in_step_do_not_repeat_a_phase() -> None:
    events = EventLog()
    with capture_logs() as told:
        events.fold(
            [phase("a", "load", 9.0), phase("a", "drain", 50.0), phase("b", "load", 51.0), phase("b", "drain", 60.0)]
        )
    assert [event["phase"] for event in told] == ["load", "drain"]


def test_an_incident_is_a_warning_with_its_engine_and_detail() -> None:
    with capture_logs() as told:
        EventLog().fold([incident("cache-rust", "crash", detail="killed by SIGKILL", segment=2)])
    assert told == [
        {
            "event": "incident", "log_level": "warning", "what": "crash", "engine": "cache-rust", "segment": 2,
            "detail": "killed by SIGKILL",
        }
    ]  # fmt: skip


@pytest.mark.parametrize("what", ["operation_error", "disagreement", "server_crash"])
def test_of_a_storm_of_incidents_few_are_logged_and_the_rest_are_counted(what: str) -> None:
    events = EventLog()
    with capture_logs() as told:
        for _ in range(10_000):
            events.fold([incident("cache-rust", what)])
        events.fold([incident("cache-rust", "crash")])
        events.fold([record("phase", "", 180.0, {"name": "end", "reason": "completed"})])
    assert [event.get("what") for event in told] == [what] * log.MOST_SIMILAR + ["crash", None, None]
    assert (told[-2]["event"], told[-1]["event"]) == ("held_back", "ended")
    assert (told[-2]["total"], told[-2]["incidents"]) == (9980, {f"cache-rust {what}": 9980})


def test_an_incident_that_goes_on_for_a_day_is_logged_every_hour_with_a_count_of_those_held_back() -> None:
    events = EventLog()
    with capture_logs() as told:
        for minute in range(24 * 60):
            events.fold([incident("cache-rust", "server_crash", 60.0 * minute)])
    later = told[log.MOST_SIMILAR :]
    assert len(later) == 23
    assert {event["held_back"] for event in later} == {59}
    assert later[0]["count"] == log.MOST_SIMILAR + 60


def test_what_is_remembered_of_incidents_is_bounded() -> None:
    events = EventLog()
    with capture_logs() as told:
        for number in range(5000):
            events.fold([incident("cache-rust", f"what-{number}")])
        events.fold([record("phase", "", 180.0, {"name": "end", "reason": "completed"})])
    assert len(told) == log.MOST_KINDS + log.MOST_SIMILAR + 2
    assert told[-2]["incidents"] == {"other": 5000 - log.MOST_KINDS - log.MOST_SIMILAR}


def test_the_end_of_a_run_without_a_storm_logs_nothing_held_back() -> None:
    with capture_logs() as told:
        EventLog().fold([incident("a", "crash"), record("phase", "", 9.0, {"name": "end", "reason": "completed"})])
    assert [event["event"] for event in told] == ["incident", "ended"]


def test_a_server_that_starts_crashes_and_recovers_is_logged_with_its_seconds() -> None:
    events = EventLog()
    back = {"what": "server_recovered", "recovery_s": 1.25, "server": "redis", "pid": 778, "detail": "answers again"}
    with capture_logs() as told:
        events.fold([server("rival"), incident("rival", "server_crash", detail="killed by SIGKILL")])
        events.fold([server("rival", segment=1), record("incident", "rival", 12.0, back)])
    assert [event["event"] for event in told] == ["server", "incident", "server", "incident"]
    assert (told[0]["version"], told[0]["address"], told[2]["life"]) == ("8.0.2", "unix:///run/r.sock", 1)
    assert (told[3]["what"], told[3]["recovery_s"], told[3]["pid"]) == ("server_recovered", 1.25, 778)


def test_a_verdict_is_logged_when_an_answer_changes() -> None:
    events, second = EventLog(), verdict_so_far()
    second["summary"] = "70% of the plan seen"
    with capture_logs() as told:
        events.verdict(typed(verdict_so_far()))
        events.verdict(typed(second))
        events.verdict(typed(verdict_final()))
    assert [(event["state"], event["before"]) for event in told] == [("INCOMPLETE", None), ("PASS", "INCOMPLETE")]
    assert told[0]["engines"]["cache-rust"] == "INCONCLUSIVE"


def test_a_caught_leak_control_is_no_reason_to_warn_and_a_failing_subject_is() -> None:
    failing = verdict_final() | {"verdict": "FAIL"}
    with capture_logs() as told:
        EventLog().verdict(typed(verdict_final()))
        EventLog().verdict(typed(failing))
    assert [event["log_level"] for event in told] == ["info", "warning"]


def test_a_verdict_with_nothing_in_it_is_logged_too() -> None:
    with capture_logs() as told:
        EventLog().verdict(typed({}))
    assert len(told) == 1


@pytest.mark.parametrize(("duration", "every_s"), [("3min", 15.0), ("2h", 3600.0), ("24h", 3600.0)])
def test_progress_is_logged_hourly_or_twelve_times_in_a_short_run(duration: str, every_s: float) -> None:
    events, status = EventLog(), RunStatus(plan(duration), "a-run")
    status.fold([origin()])
    with capture_logs() as told:
        for second in range(int(5 * every_s) + 1):
            events.progress(status, ORIGIN_S + second)
    assert [event["elapsed_s"] for event in told] == [every_s * count for count in range(1, 6)] or duration == "2h"
    if duration == "2h":
        assert [event["elapsed_s"] for event in told][:2] == [3600, 7200]


def test_before_the_start_there_is_no_progress() -> None:
    with capture_logs() as told:
        EventLog().progress(RunStatus(plan(), "a-run"), ORIGIN_S + 1000.0)
    assert told == []


def test_progress_says_how_every_engine_does() -> None:
    with capture_logs() as told:
        EventLog().progress(status_in_load(), ORIGIN_S + 60.0)
    assert told[0]["engines"]["control-leak"] == "up, 976/s, 0 errors, p99 12 us, rss 41.2 MB, FAIL"
    assert (told[0]["phase"], told[0]["remaining_s"], told[0]["coverage_ratio"]) == ("load", 120, 1.0)


def test_progress_says_how_the_server_of_an_engine_does() -> None:
    status = status_in_load()
    status.fold([server("cache-python"), of_server("cache-python", 60.0)])
    with capture_logs() as told:
        EventLog().progress(status, ORIGIN_S + 60.0)
        status.fold([incident("cache-python", "server_hang")])
        EventLog().progress(status, ORIGIN_S + 60.0)
    assert "redis rss 14.2 MB" in told[0]["engines"]["cache-python"]
    assert "redis down" in told[1]["engines"]["cache-python"]


def test_off_a_terminal_every_event_is_a_line_of_json_with_the_time_in_utc(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "auto")
    EventLog().fold([incident("cache-rust", "crash")])
    (line,) = lines_of(capsys)
    assert line["timestamp"].endswith("Z")
    assert (line["event"], line["level"]) == ("incident", "warning")


def test_for_people_an_event_is_a_line_without_colour_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure("info", "console")
    EventLog().fold([incident("cache-rust", "crash", detail="killed\nby \x1b[31mSIGKILL")])
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    assert "\x1b" not in text
    assert r"killed\nby \x1b[31mSIGKILL" in text.replace("\\\\", "\\")


def test_events_below_the_level_are_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    configure("warning", "json")
    EventLog().fold([origin(), incident("cache-rust", "crash")])
    assert [line["event"] for line in lines_of(capsys)] == ["incident"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("redis://user:hunter2@host:1/0 refused", "redis://user:***@host:1/0 refused"),
        ("login failed: password=hunter2, user=me", "login failed: password=***, user=me"),
        ("Authorization: Bearer hunter2", "Authorization: Bearer ***"),
        ("{'api_key': 'hunter2'}", "{'api_key': '***'}"),
        ("http://127.0.0.1:8181/v1/data?a=1@2", "http://127.0.0.1:8181/v1/data?a=1@2"),
        ("a token of 3 words", "a token of 3 words"),
    ],
)
def test_no_secret_is_logged_and_the_rest_is_kept(capsys: pytest.CaptureFixture[str], text: str, told: str) -> None:
    configure("info", "json")
    EventLog().fold([incident("cache-rust", "crash", detail=text)])
    assert lines_of(capsys)[0]["detail"] == told


def test_values_under_a_secret_name_are_hidden_however_deep(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    structlog.get_logger("soakd").info(
        "options", options={"password": "hunter2", "nested": [{"auth_token": "hunter2"}]}
    )
    assert lines_of(capsys)[0]["options"] == {"password": "***", "nested": [{"auth_token": "***"}]}


def test_an_exception_is_logged_without_local_variables(capsys: pytest.CaptureFixture[str]) -> None:
    for format_ in ("json", "console"):
        configure("info", format_)
        try:
            hidden = "hunter" + "2"
            raise ValueError(len(hidden))
        except ValueError:
            structlog.get_logger("soakd").exception("failed")
        text = capsys.readouterr().err
        assert "ValueError: 7" in text
        assert "hunter2" not in text


def test_an_exception_that_quotes_control_characters_is_logged_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "console")
    try:
        raise ValueError("\x1b[2J\x9b31m\u202e")
    except ValueError:
        structlog.get_logger("soakd").exception("failed")
    assert r"ValueError: \x1b[2J\x9b31m\u202e" in (text := capsys.readouterr().err)
    assert all(line.isprintable() for line in text.split("\n"))


def test_what_libraries_log_becomes_an_event(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    logging.getLogger("asyncio").error("Task exception was never retrieved\nmore")
    logging.getLogger("asyncio").debug("a detail")
    (line,) = lines_of(capsys)
    assert (line["level"], line["logger"]) == ("error", "asyncio")


@pytest.mark.parametrize(("level", "format_"), [("loud", "json"), ("info", "xml")])
def test_an_unknown_level_or_format_is_refused_with_those_known(level: str, format_: str) -> None:
    with pytest.raises(ValueError, match=r"debug, info, warning, error .* auto, console, json"):
        configure(level, format_)

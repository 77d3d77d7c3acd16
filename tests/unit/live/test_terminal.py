"""What a person at a terminal sees."""

import io
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from soakd.live.status import RunStatus
from soakd.live.terminal import LiveDisplay, print_closing
from soakd.live.terminal.live import render
from soakd.verdict.check import Check
from soakd.verdict.wording import limit_words, value_words
from tests.showing import (
    ORIGIN_S,
    hello,
    incident,
    of_server,
    plan,
    record,
    server,
    status_in_load,
    verdict_final,
    verdict_so_far,
)
from tests.typed import typed

FILES = [Path("runs") / ("a-long-name-of-a-run-" * 6) / "verdict.json"]


def screen(width: int, *, terminal: bool = True, **more: Any) -> Console:
    return Console(
        file=io.StringIO(), width=width, height=40, force_terminal=terminal, color_system=None, highlight=False,
        _environ={}, **more,
    )  # fmt: skip


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", console.file.getvalue())


def table(status: RunStatus, width: int, t_s: float = 62.0) -> list[str]:
    console = screen(width)
    console.print(render(status, ORIGIN_S + t_s, width))
    return [line.rstrip() for line in text_of(console).splitlines()]


def closing(verdict: dict[str, Any], width: int = 80, *, terminal: bool = False) -> str:
    console = screen(width, terminal=terminal)
    print_closing(typed(verdict), FILES, console=console)
    return text_of(console)


@pytest.mark.parametrize("width", [40, 60, 79, 80, 81, 100, 109, 110, 120, 160, 240])
def test_no_line_of_the_table_is_wider_than_the_terminal_and_none_wraps(width: int) -> None:
    status = status_in_load()
    lines = table(status, width)
    assert max(map(len, lines)) <= width
    rows = [line for line in lines if line.startswith(tuple(name[:11] for name in status.engines))]
    assert len(rows) == len(status.engines)


def test_80_columns_hold_everything_that_was_asked_for() -> None:
    head, _, names, first, *_ = table(status_in_load(), 80)
    assert re.match(r"quick  load  1min 2s of 3min  .* 1min 58s left  INCONCLUSIVE so far", head)
    assert names.split() == ["engine", "rate", "err", "p99", "RSS", "live", "growth", "so", "far", "so", "far"]
    assert first.split() == [
        "cache-rust", "1.95k/2k", "0", "12", "us", "41", "MB", "11", "MB", "0.02", "B/op", "[-0.11,", "0.15]", "INCONC",
    ]  # fmt: skip


def test_160_columns_show_reachable_bytes_and_whole_words() -> None:
    lines = table(status_in_load(), 160)
    assert "reachable" in lines[2]
    assert "1,951/2,000" in lines[3]
    assert lines[3].endswith("INCONCLUSIVE")


def test_a_narrow_terminal_loses_columns_and_keeps_growth_and_answer() -> None:
    names = table(status_in_load(), 60)[2]
    assert "growth so far" in names
    assert "live" not in names


def test_a_long_name_is_shortened_before_a_number_is() -> None:
    status = status_in_load()
    status.engines["cache-rust"].name = "the-cache-of-the-multi-tenant-service"
    line = table(status, 80)[3]
    assert line.startswith("the-cache-o… ")
    assert "0.02 B/op [-0.11, 0.15]" in line


def test_controls_that_behave_are_good_news() -> None:
    lines = table(status_in_load(), 80)
    assert lines[5].endswith("flat")
    assert lines[6].endswith("caught")


def test_a_control_that_does_not_behave_is_told() -> None:
    status, verdict = status_in_load(), verdict_so_far()
    verdict["engines"][2]["checks"][0]["so_far"] = "FAIL"
    verdict["engines"][3]["checks"][0]["so_far"] = "PASS"
    status.apply_verdict(typed(verdict))
    lines = table(status, 80)
    assert lines[5].endswith("GROWS")
    assert lines[6].endswith("MISSED")


def test_an_engine_that_broke_says_how_and_shows_no_reading_of_the_dead() -> None:
    status = status_in_load()
    status.fold([incident("cache-rust", "hang")])
    lines = table(status, 80)
    assert lines[3].split()[1:6] == ["hang", "0", "-", "-", "-"]
    assert "incidents: 1 hang" in lines


def test_the_server_of_an_engine_stands_below_it_with_its_memory() -> None:
    status = status_in_load()
    status.fold([server("cache-python"), of_server("cache-python", 60.0)])
    for width, engine, resident in ((80, "41 MB", "14 MB"), (160, "41.2 MB", "14.2 MB")):
        lines = table(status, width)
        assert lines[4].startswith("cache-python")
        assert lines[5].split() == ["redis", *resident.split(), "1.9", "MB"]
        assert lines[6].startswith("control-null")
        column = lines[4].index(engine) + len(engine)
        assert lines[5][:column].endswith(resident), "in the column of resident memory"


def test_the_bar_gives_way_to_the_words_beside_it() -> None:
    status = status_in_load()
    object.__setattr__(status.plan.config.run, "name", "with-servers")
    head = table(status, 80, t_s=149.0)[0]
    assert head.startswith("with-servers  load  2min 29s of 3min  ")
    assert head.endswith("  31s left  INCONCLUSIVE so far")


def test_a_server_that_is_down_says_so_and_shows_no_reading_of_the_dead() -> None:
    status = status_in_load()
    status.fold([server("cache-python"), of_server("cache-python", 60.0), incident("cache-python", "server_crash")])
    lines = table(status, 80)
    assert lines[5].split() == ["redis", "down", "-", "-"]
    assert "incidents: 1 server_crash" in lines


def test_before_the_engines_stand_ready_the_table_says_so() -> None:
    status = RunStatus(plan(), "a-run")
    status.fold([hello("cache-rust")])
    lines = table(status, 80)
    assert lines[0] == "quick  starting the engines"
    assert lines[3].split() == ["cache-rust", "ready", "-", "-", "-", "-", "-", "-"]
    assert lines[4].split()[1] == "starting"


def test_after_its_end_a_run_has_nothing_left() -> None:
    status = status_in_load()
    status.fold([record("phase", "", 180.0, {"name": "end", "reason": "completed"})])
    assert "3min of 3min" in table(status, 80, t_s=500.0)[0]


def test_text_of_an_engine_is_neither_markup_nor_a_command_to_the_terminal() -> None:
    status = status_in_load()
    status.summary = "cache-rust: [bold red]x[/] \x1b]0;title\x07 end"
    assert r"cache-rust: [bold red]x[/] \x1b]0;title\x07 end" in table(status, 120)
    verdict = verdict_final() | {"summary": status.summary, "visibility": [status.summary]}
    verdict["engines"][0]["checks"][0]["reason"] = "\x1b[2J"
    for terminal in (True, False):
        assert closing(verdict, 120, terminal=terminal).count(r"[bold red]x[/] \x1b]0;title\x07") == 2


def test_the_live_table_is_drawn_at_most_twice_a_second() -> None:
    console, status = screen(80), status_in_load()
    with LiveDisplay(console=console) as display:
        for tenth in range(21):
            display.update(status, ORIGIN_S + 60.0 + tenth / 10)
    assert text_of(console).count("quick  load") == 5 + 1, "and once more at the end"


@pytest.mark.parametrize(("enabled", "terminal"), [(False, True), (True, False)])
def test_where_no_table_is_wanted_nothing_is_written(*, enabled: bool, terminal: bool) -> None:
    console = screen(80, terminal=terminal)
    with LiveDisplay(enabled=enabled, console=console) as display:
        display.update(status_in_load(), ORIGIN_S + 60.0)
    assert text_of(console) == ""


def test_a_dumb_terminal_gets_no_table() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    with LiveDisplay(console=console) as display:
        display.update(status_in_load(), ORIGIN_S + 60.0)
    assert text_of(console) == ""


def test_a_terminal_that_goes_away_ends_the_display_and_not_the_run() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    console = screen(80)
    with LiveDisplay(console=console) as display:
        console.file = Gone()
        display.update(status_in_load(), ORIGIN_S + 60.0)
        display.update(status_in_load(), ORIGIN_S + 70.0)


def test_without_colour_nothing_is_coloured() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, _environ={"NO_COLOR": "1", "TERM": "xterm"}, width=80)
    print_closing(typed(verdict_final()), [], console=console)
    assert isinstance(console.file, io.StringIO)
    codes = re.findall(r"\x1b\[([0-9;]*)m", console.file.getvalue())
    assert {part for code in codes for part in code.split(";")} <= {"", "0", "1", "2"}, "bold and dim are no colours"


def test_the_closing_table_fits_80_columns_and_keeps_every_number_whole() -> None:
    text = closing(verdict_final(), terminal=True)
    before_files = text.split("runs/")[0]
    assert max(map(len, before_files.splitlines())) <= 80
    assert "0.21 MB/h [-0.30, 0.72]  1 MB/h" in text
    assert "  growth.reachable_bytes  caught        31.9 B/op [31.7, 32.1]   16 B/op" in text


def test_on_a_terminal_what_decides_nothing_and_is_no_bad_news_is_only_counted() -> None:
    verdict = verdict_final()
    verdict["engines"][0]["checks"] += [
        {"id": "growth.rust_bytes", "verdict": "PASS", "informational": True},
        {"id": "growth.live_bytes", "verdict": "FAIL", "informational": True},
    ]
    verdict["engines"][3]["checks"] += [
        {"id": "growth.rss_anon_bytes", "verdict": "FAIL"},
        {"id": "stability.crashes", "verdict": "FAIL"},
    ]
    text = closing(verdict, terminal=True)
    assert "growth.rust_bytes" not in text
    assert "growth.live_bytes" in text
    assert text.count("and 1 informational") == 2
    assert "stability.crashes" in text, "a control that broke is news"
    assert "growth.rust_bytes" in closing(verdict), "off a terminal every check is a line"


def test_a_long_check_id_gives_way_to_its_numbers() -> None:
    verdict = verdict_final()
    verdict["engines"][0]["checks"][0]["id"] = "growth.reachable_bytes.per_operation.and.more"
    line = next(line for line in closing(verdict, terminal=True).splitlines() if "…" in line)
    assert line.rstrip().endswith("0.02 B/op [-0.11, 0.15] 16 B/op")


def test_the_end_is_told_in_order_table_sentence_visibility_files() -> None:
    for terminal in (True, False):
        text = closing(verdict_final(), 200, terminal=terminal)
        parts = ["evidence.clock", "PASS: no leak", "  cache-rust: a leak of 0.4 B", "  not shown by", str(FILES[0])]
        places = [text.index(part) for part in parts]
        assert places == sorted(places)


def test_off_a_terminal_each_check_is_one_line_that_names_its_engine() -> None:
    lines = closing(verdict_final(), 40).splitlines()
    found = [line for line in lines if "growth.reachable_bytes" in line]
    assert [line.split()[0] for line in found] == ["cache-rust", "cache-python", "control-null", "control-leak"]
    assert "control-leak  growth.reachable_bytes  caught        31.9 B/op [31.7, 32.1]   limit 16 B/op" in lines
    assert str(FILES[0]) in lines, "a path is never broken"
    assert all(ord(character) < 128 for line in lines for character in line)


def test_what_did_not_pass_says_why() -> None:
    reason = "cache-rust growth.resident_bytes: the limit lies inside the interval"
    assert reason in closing(verdict_final(), terminal=True)


@pytest.mark.parametrize(
    "verdict", [{}, {"verdict": "INCOMPLETE", "engines": [], "checks": []}, {"engines": [{"name": "e"}]}]
)
def test_an_empty_verdict_is_shown_as_incomplete(verdict: dict[str, Any]) -> None:
    for terminal in (True, False):
        assert "INCOMPLETE" in closing(verdict, terminal=terminal)


@pytest.mark.parametrize(
    ("unit", "estimate", "low", "high", "words"),
    [
        ("bytes/operation", 31.9, 31.7, 32.1, "31.9 B/op [31.7, 32.1]"),
        ("bytes/operation", 1.2e-9, -0.001, 0.001, "0.00 B/op [0.00, 0.00]"),
        ("bytes/operation", 4321.0, 4300.0, 4400.0, "4.32 kB/op [4.30, 4.40]"),
        ("bytes/hour", 3.1e6, 2.9e6, 3.3e6, "3.10 MB/h [2.90, 3.30]"),
        ("bytes/hour", -1.2e3, -4e3, 2e3, "-1.20 kB/h [-4.00, 2.00]"),
        ("bytes/hour", 0.0, 0.0, 0.0, "0 B/h [0, 0]"),
        ("bytes/hour", 2.5e11, 2.4e11, 2.6e11, "0.25 TB/h [0.24, 0.26]"),
        ("bytes", 1.2e7, None, None, "12 MB"),
        ("seconds", 3.1e-6, None, None, "3.1 us"),
        ("seconds", 0.0, None, None, "0 s"),
        ("ratio", 0.998, None, None, "99.8 %"),
        ("ratio/run", 0.02, -0.1, 0.14, "2.0 %/run [-10.0, 14.0]"),
        ("cores", 0.1234, None, None, "0.123 cores"),
        ("count", 0.0, None, None, "0"),
        ("", 7.0, None, None, "7"),
        ("bytes/hour", None, None, None, ""),
    ],
)
def test_numbers_are_written_as_people_read_them(
    unit: str, estimate: float | None, low: float | None, high: float | None, words: str
) -> None:
    assert value_words(Check(id="c", verdict="PASS", unit=unit, estimate=estimate, low=low, high=high)) == words


@pytest.mark.parametrize(
    ("limit", "unit", "words"),
    [(1e6, "bytes/hour", "1 MB/h"), (16.0, "bytes/operation", "16 B/op"), (5e-3, "seconds", "5 ms"), (None, "", "")],
)
def test_limits_are_written_as_they_were_configured(limit: float | None, unit: str, words: str) -> None:
    assert limit_words(Check(id="c", verdict="PASS", limit=limit, unit=unit)) == words

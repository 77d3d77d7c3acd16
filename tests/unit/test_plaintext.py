"""Nothing that a file, a journal or an engine says reaches a terminal as anything but text."""

import io
import json
import re
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from soakd.cli import main
from soakd.errors import ConfigError, JournalError
from soakd.live.terminal.closing import print_closing
from soakd.live.terminal.console import PlainConsole
from soakd.plaintext import escaped, escaped_json, escaped_lines
from soakd.record import run_folder, verdict_file
from soakd.record.run_folder import RunDir
from soakd.report.junit import junit
from soakd.report.markdown import markdown
from soakd.verdict.types import Verdict
from soakd.wire.records import Record, make_record
from tests.recorded import recorded_run, stamp
from tests.showing import verdict_final
from tests.typed import typed

HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31m\x00\x08\r\x7f\u202e\u2066\u2028\u2029\u200b\ufeff\U000e0041"
COLORS = re.compile(r"\x1b\[[0-9;]*m")
Commands = ["verdict", "status", "report", "judge", "flamegraph", "diff", "export", "run", "list", "prune"]


def is_plain(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


def polluted(value: Any, *but: str) -> Any:
    """The same with hostile characters in every text, but in those under some keys."""
    if isinstance(value, str):
        return value + HOSTILE
    if isinstance(value, Mapping):
        return {key: each if key in ("role", "kind", *but) else polluted(each, *but) for key, each in value.items()}
    return [polluted(each, *but) for each in value] if isinstance(value, list | tuple) else value


def sealed() -> Record:
    body = {"name": "end", "reason": "completed", "signal": None, "records_dropped": 0}
    return make_record("phase", engine="", segment=0, at=stamp(180.0), body=body)


def edit(run: RunDir, *statements: str) -> None:
    db = sqlite3.connect(run.journal, isolation_level=None)
    for statement in statements:
        db.execute(statement)
    db.close()


def a_schema_that_is_malformed(run: RunDir) -> None:
    name = f"t{HOSTILE.replace(chr(0), '')}\nsoakd: PASS"
    insert = f"INSERT INTO sqlite_master VALUES ('table', '{name}', '{name}', 0, 'CREATE TABLE ((')"
    edit(run, "PRAGMA writable_schema = 1", insert)


def a_version_that_is_a_text(run: RunDir) -> None:
    edit(run, f"UPDATE meta SET value = '{json.dumps(HOSTILE + chr(10) + 'soakd: PASS')}' WHERE key = 'schema_version'")


def a_heading_that_is_a_text(run: RunDir) -> None:
    edit(run, "DROP VIEW readable", f"UPDATE meta SET value = '{HOSTILE.replace(chr(0), '')}' WHERE key = 'plan'")


def a_verdict_that_is_a_text(run: RunDir) -> None:
    run.verdict.write_text(json.dumps(polluted(verdict_final()) | {"verdict": "FAIL"}, ensure_ascii=False))


CRAFTED = [a_schema_that_is_malformed, a_version_that_is_a_text, a_heading_that_is_a_text, a_verdict_that_is_a_text]


@pytest.mark.parametrize("craft", CRAFTED)
@pytest.mark.parametrize("command", Commands)
def test_a_crafted_run_says_nothing_to_the_terminal_but_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, craft: Callable[[RunDir], None]
) -> None:
    run = recorded_run(tmp_path / "run\x1b[2J\u202e", [sealed()])
    craft(run)
    whole = ["--runs", str(tmp_path)]
    arguments = {
        "run": ["--resume", str(run.path)], "list": whole, "prune": [*whole, "--keep", "0", "--dry-run"],
        "diff": [str(run.path), str(run.path)], "export": ["--csv", str(run.path)],
    }  # fmt: skip
    main.main([command, *arguments.get(command, [str(run.path)])])
    said = capsys.readouterr()
    assert is_plain(said.out.replace("\r\n", "\n"))
    assert is_plain(said.err)
    assert not any(line.startswith("soakd: PASS") for line in said.err.split("\n"))
    assert said.out + said.err


def test_a_crafted_journal_is_named_with_its_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = recorded_run(tmp_path / "run", [sealed()])
    a_schema_that_is_malformed(run)
    assert main.main(["judge", str(run.path)]) == 2
    assert r"malformed database schema (t\x1b[2J\x1b]0;owned\x07\x9b31m" in capsys.readouterr().err


WORDS = ("verdict", "so_far", "confidence")
"""What has few values: a file with another one is not read."""


@pytest.mark.parametrize("terminal", [True, False])
def test_a_verdict_full_of_control_characters_is_shown_as_text(terminal: bool) -> None:
    file = io.StringIO()
    console = PlainConsole(file=file, force_terminal=terminal, width=100, color_system="standard" if terminal else None)
    print_closing(typed(polluted(verdict_final(), *WORDS)), [Path(f"/runs/{escaped(HOSTILE)}")], console=console)
    assert is_plain(COLORS.sub("", file.getvalue()))
    assert "owned" in file.getvalue()


@pytest.mark.parametrize("write", [markdown, junit])
def test_what_is_pasted_elsewhere_is_text_too(write: Callable[[Verdict], str]) -> None:
    verdict = polluted(verdict_final(), *WORDS)
    for engine in verdict["engines"]:
        engine |= {"verdict": "FAIL", "reason": HOSTILE, "segments": []}
    assert is_plain(write(typed(verdict)).replace("\t", ""))


def test_json_reads_as_what_was_written_and_shows_no_terminal_anything(tmp_path: Path) -> None:
    text = run_folder.to_json({"a" + HOSTILE: HOSTILE, "b": "good \u00e9 \U0001f600"})
    assert is_plain(text)
    assert json.loads(text) == {"a" + HOSTILE: HOSTILE, "b": "good \u00e9 \U0001f600"}
    assert escaped_json(text) == text
    written = verdict_file.write(RunDir(tmp_path), {"verdict": "FAIL", "summary": HOSTILE})
    assert verdict_file.read(RunDir(tmp_path)).content == written


def test_an_error_is_text_whatever_it_quotes() -> None:
    assert str(JournalError(f"run.db: {HOSTILE}")) == f"run.db: {escaped(HOSTILE)}"
    assert ConfigError(f"one {HOSTILE}", "two").problems == (f"one {escaped(HOSTILE)}", "two")
    assert is_plain(escaped_lines(f"{HOSTILE}\n{HOSTILE}"))
    assert escaped("plain \u00e9 \u4e2d") == "plain \u00e9 \u4e2d"

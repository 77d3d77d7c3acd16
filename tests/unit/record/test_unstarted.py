"""What a soakd leaves that was killed before its journal had anything in it: every command knows what to do with it."""

import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from soakd.cli import main
from soakd.daemon.judge_process import first_verdict
from soakd.errors import PreflightError
from soakd.record import run_folder, verdict_file
from soakd.record.journal import Journal
from soakd.record.run_folder import RunDir
from soakd.record.unstarted import clear, is_unstarted
from tests.recorded import recorded_run
from tests.unit.cli.test_prune import config_with

Stage = Callable[[RunDir], object]


def half_a_schema(run: RunDir) -> None:
    with sqlite3.connect(run.journal) as db:
        db.execute("CREATE TABLE heading (number INTEGER PRIMARY KEY, said TEXT NOT NULL)")
    db.close()


def an_open_journal(run: RunDir) -> None:
    """A journal with its tables and without a plan, its write-ahead log beside it, as after a kill."""
    run.journal.unlink()
    journal = Journal(run.journal, on_commit=lambda batch: None, on_failure=print)
    left = {path.name: path.read_bytes() for path in run.path.glob("run.db*")}
    journal.close()
    for name, content in left.items():
        (run.path / name).write_bytes(content)


STAGES: dict[str, Stage] = {
    "locked": lambda run: None,
    "with a token": lambda run: run.token(),
    "with an address": lambda run: run_folder.write_atomically(run.path / "address", "http://127.0.0.1:1/"),
    "with a file half written": lambda run: (run.path / ".soak.toml.abcd1234").write_text("[ru", encoding="utf-8"),
    "with a configuration": lambda run: (run.path / "soak.toml").write_text("", encoding="utf-8"),
    "with secrets of engines": lambda run: (run.path / "secrets.json").write_text("{}", encoding="utf-8"),
    "with a verdict": lambda run: verdict_file.write(run, first_verdict(run.run_id)),
    "with an empty journal": lambda run: run.journal.touch(),
    "with half a schema": half_a_schema,
    "with a journal without a plan": an_open_journal,
}


@pytest.fixture(params=range(1, len(STAGES) + 1), ids=list(STAGES))
def left(tmp_path: Path, request: pytest.FixtureRequest) -> RunDir:
    """What a soakd left that was killed at one of these stages."""
    run = RunDir.create(tmp_path / "runs" / "made-up-20260102T030405Z")
    for stage in list(STAGES.values())[: request.param]:
        stage(run)
    run.unlock()
    return run


def soakd(*arguments: str | Path) -> int:
    return main.main(list(map(str, arguments)))


def test_the_list_shows_it(left: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    assert soakd("list", "--runs", left.path.parent) == 0
    line = capsys.readouterr().out
    assert line.startswith(left.run_id)
    assert "UNSTARTED     never started: its soakd ended before there was anything to record" in line
    assert soakd("list", "--json", "--runs", left.path.parent) == 0
    assert [run["state"] for run in json.loads(capsys.readouterr().out)["runs"]] == ["UNSTARTED"]


def test_it_is_pruned_and_is_none_of_the_runs_that_are_kept(left: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    kept = recorded_run(left.path.parent / "kept", [])
    assert soakd("prune", "--runs", left.path.parent, "--keep", "1", "--dry-run") == 0
    assert left.path.exists()
    assert soakd("prune", "--runs", left.path.parent, "--keep", "1") == 0
    assert (left.path.exists(), kept.path.exists()) == (False, True)
    said = capsys.readouterr()
    assert f"removed {left.path}" in said.out
    assert "it never started" in said.out
    assert said.err == ""


def test_it_is_pruned_by_the_retention_of_its_own_name_alone(left: RunDir, tmp_path: Path) -> None:
    assert soakd("prune", config_with(tmp_path, "runs = 3", name="made"), "--runs", left.path.parent) == 0
    assert left.path.exists()
    assert soakd("prune", config_with(tmp_path, "runs = 3"), "--runs", left.path.parent) == 0
    assert not left.path.exists()


@pytest.mark.parametrize("by_name", [True, False])
def test_a_resume_says_what_to_do(left: RunDir, capsys: pytest.CaptureFixture[str], by_name: bool) -> None:
    name = left.run_id if by_name else left.path
    assert soakd("run", "--resume", name, "--runs", left.path.parent) == 2
    assert "never started" in (said := capsys.readouterr().err)
    assert "give its configuration too, and it starts there" in said


def test_a_run_can_begin_in_it(left: RunDir) -> None:
    assert is_unstarted(left)
    clear(left)
    run = RunDir.create(left.path)
    assert [path.name for path in left.path.iterdir()] == ["lock"]
    run.unlock()


def test_while_its_soakd_is_beginning_it_is_listed_as_running_and_left_alone(
    left: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    left.lock()
    assert soakd("list", "--runs", left.path.parent) == 0
    assert "RUNNING" in capsys.readouterr().out
    assert soakd("prune", "--runs", left.path.parent, "--keep", "0") == 0
    assert left.path.exists()
    for use in (clear, lambda run: RunDir.create(run.path)):
        with pytest.raises(PreflightError, match=r"another soakd is writing|is not empty"):
            use(RunDir(left.path))
    left.unlock()


@pytest.mark.parametrize("name", ["notes.txt", "lock2", ".soak.toml", "captures", "verdict.md", "run.db-journal"])
def test_a_folder_with_anything_else_in_it_is_somebody_s_own(tmp_path: Path, name: str) -> None:
    run = RunDir.create(tmp_path / "runs" / "own")
    run.token()
    run.unlock()
    assert is_unstarted(run)
    (run.path / name).write_text("mine", encoding="utf-8")
    assert not is_unstarted(run)
    assert soakd("prune", "--runs", tmp_path / "runs", "--keep", "0") == 0
    assert (run.path / name).read_text(encoding="utf-8") == "mine"
    with pytest.raises(PreflightError, match="is not empty"):
        RunDir.create(run.path)


@pytest.mark.parametrize("make", [lambda p: p.mkdir(), lambda p: p.write_text("x"), lambda p: p.symlink_to("/x")])
def test_a_lock_that_soakd_did_not_make_makes_no_folder_soakd_s(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "lock")
    assert not is_unstarted(RunDir(tmp_path))
    with pytest.raises(PreflightError):
        RunDir.create(tmp_path)


def test_a_journal_that_is_damaged_is_not_one_that_never_began(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run")
    run.journal.write_bytes(os.urandom(10_000))
    assert not is_unstarted(run)
    run.unlock()


def test_a_run_with_a_plan_has_started(tmp_path: Path) -> None:
    run = recorded_run(tmp_path / "run", [])
    run.lock()
    run.unlock()
    assert not is_unstarted(run)

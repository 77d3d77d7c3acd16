"""Old runs go; one that is written now, or may still be resumed, never."""

import os
from pathlib import Path

import pytest

from soakd import cli
from soakd.journal import Journal
from soakd.planfile import plan_as_dict
from soakd.records import Record, Stamp
from soakd.rundir import RunDir
from tests.recorded import plan_of

DAY_S = 86400.0


def make(runs: Path, name: str, day: float, *, sealed: bool) -> Path:
    """Make a run that ended on a day since 1970."""
    path = runs / name
    path.mkdir(parents=True)
    journal = Journal(path / "run.db", on_commit=lambda _: None, on_failure=lambda _: None)
    journal.set_meta({"run_id": name, "plan": plan_as_dict(plan_of()), "environment": {}, "config_sha256": "0"})
    at = Stamp(day * DAY_S, 1.0, 1.0)
    name_of = "end" if sealed else "origin"
    body = {"name": name_of, "reason": "completed", "mono_s": 1.0, "signal": None, "records_dropped": 0}
    journal.put(Record(kind="phase", engine="", segment=0, at=at, body=body))
    journal.close()
    (path / "soak.toml").write_text("", encoding="utf-8")
    (path / "verdict.json").write_text('{"verdict": "PASS", "summary": "x"}', encoding="utf-8")
    for file in ("run.db", "soak.toml"):
        os.utime(path / file, (day * DAY_S, day * DAY_S))
    return path


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for day in range(1, 6):
        make(tmp_path / "runs", f"run-{day}", day, sealed=True)
    make(tmp_path / "runs", "unfinished", 0.5, sealed=False)
    return tmp_path / "runs"


def left(runs: Path) -> set[str]:
    return {path.name for path in runs.iterdir()}


def prune(runs: Path, *options: str) -> int:
    return cli.main(["prune", "--runs", str(runs), *options])


def test_the_newest_stay_and_what_may_be_resumed_stays(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prune(runs, "--keep", "2") == 0
    assert left(runs) == {"run-4", "run-5", "unfinished"}
    assert "3 of 6 runs" in capsys.readouterr().out


def test_what_is_young_enough_stays(runs: Path) -> None:
    os.utime(runs / "run-2" / "run.db")
    assert prune(runs, "--older-than", "1d") == 0
    assert left(runs) == {"run-2", "unfinished"}


def test_a_run_that_is_written_now_is_never_removed(runs: Path) -> None:
    held = RunDir(runs / "run-1")
    held.lock()
    assert prune(runs, "--keep", "0") == 0
    assert left(runs) == {"run-1", "unfinished"}
    held.unlock()


def test_a_dry_run_says_the_same_and_removes_nothing(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prune(runs, "--keep", "4", "--dry-run") == 0
    assert len(left(runs)) == 6
    told = capsys.readouterr().out
    assert "would remove" in told
    assert "run-1: " in told
    assert "run-2" not in told


def test_a_link_is_not_followed(runs: Path, tmp_path: Path) -> None:
    precious = make(tmp_path / "elsewhere", "precious", 1, sealed=True)
    (runs / "link").symlink_to(precious)
    assert prune(runs, "--keep", "0") == 0
    assert (precious / "run.db").is_file()


@pytest.mark.parametrize("options", [[], ["--keep", "-1"], ["--older-than", "soon"]])
def test_prune_never_guesses_what_is_meant(runs: Path, options: list[str]) -> None:
    assert prune(runs, *options) == 2
    assert len(left(runs)) == 6

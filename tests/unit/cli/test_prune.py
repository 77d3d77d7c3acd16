"""Old runs go; one that is written now, or may still be resumed, never."""

import os
from pathlib import Path

import pytest

from soakd.cli import main
from soakd.record.journal import Journal
from soakd.record.run_folder import RunDir
from soakd.setup.plan_json import plan_as_dict
from soakd.wire.records import Stamp, make_record
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
    journal.put(make_record("phase", engine="", segment=0, at=at, body=body))
    journal.close()
    (path / "soak.toml").write_text("", encoding="utf-8")
    (path / "verdict.json").write_text('{"verdict": "PASS", "summary": "x"}', encoding="utf-8")
    for file in ("run.db", "soak.toml"):
        os.utime(path / file, (day * DAY_S, day * DAY_S))
    return path


def config_with(folder: Path, bounds: str, *, name: str = "made-up") -> Path:
    path = folder / "soak.toml"
    run = f'[run]\nname = "{name}"\nduration = "3min"\nsample_every = "1s"\n'
    text = f'{run}[retention]\n{bounds}\n[[engine]]\nname = "a"\nkind = "control.null"\n'
    path.write_text(text, encoding="utf-8")
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
    return main.main(["prune", "--runs", str(runs), *options])


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


def test_an_unfinished_run_goes_only_where_that_is_said(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prune(runs, "--keep", "5", "--unfinished") == 0
    assert left(runs) == {"run-1", "run-2", "run-3", "run-4", "run-5"}
    assert "was unfinished" in capsys.readouterr().out


def test_of_the_runs_of_a_name_so_many_stay_as_its_configuration_says(runs: Path, tmp_path: Path) -> None:
    assert prune(runs, str(config_with(tmp_path, "runs = 2", name="another"))) == 0
    assert len(left(runs)) == 6
    assert prune(runs, str(config_with(tmp_path, "runs = 2"))) == 0
    assert left(runs) == {"run-4", "run-5", "unfinished"}


def test_what_is_too_old_goes_and_what_may_be_resumed_is_named(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.utime(runs / "run-5" / "run.db")
    path = str(config_with(tmp_path, 'age = "30d"'))
    assert prune(runs, path, "--dry-run") == 0
    assert len(left(runs)) == 6
    assert prune(runs, path) == 0
    assert left(runs) == {"run-5", "unfinished"}
    told = capsys.readouterr().out
    assert "unfinished: soakd run --resume continues it" in told
    assert "30d are kept (retention.age)" in told
    assert prune(runs, path, "--unfinished") == 0
    assert left(runs) == {"run-5"}


def test_the_oldest_go_until_the_rest_fits_and_the_newest_stays(runs: Path, tmp_path: Path) -> None:
    assert prune(runs, "--keep", "9", "--dry-run") == 0  # SQLite leaves files beside a journal that it has read
    one = sum(file.stat().st_blocks * 512 for file in (runs / "run-1").iterdir())
    assert prune(runs, str(config_with(tmp_path, f'size = "{one * 4}B"'))) == 0
    assert left(runs) == {"run-3", "run-4", "run-5", "unfinished"}
    assert prune(runs, str(config_with(tmp_path, 'size = "1B"'))) == 0
    assert left(runs) == {"run-5", "unfinished"}


def test_a_run_begins_by_removing_what_is_beyond_its_retention(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held = RunDir(runs / "run-1")
    held.lock()
    path = config_with(tmp_path, "runs = 1")
    busy = ["--set", "http.host=192.0.2.1"]  # nobody's address: preflight refuses the run, after room was made
    assert main.main(["check", str(path), "--runs", str(runs), *busy]) == 2
    assert "run-4 is removed when a run begins" in capsys.readouterr().out
    assert len(left(runs)) == 6
    assert main.main(["run", str(path), "--runs", str(runs), *busy]) == 2
    assert left(runs) == {"run-1", "run-5", "unfinished"}
    assert "soakd: retention: removed" in capsys.readouterr().err
    held.unlock()


@pytest.mark.parametrize("bounds", ["", "runs = 0", 'age = "soon"', "size = 5", "count = 3"])
def test_a_configuration_without_bounds_or_with_wrong_ones_prunes_nothing(
    runs: Path, tmp_path: Path, bounds: str
) -> None:
    assert prune(runs, str(config_with(tmp_path, bounds))) == 2
    assert prune(runs, str(config_with(tmp_path, "runs = 1")), "--keep", "1") == 2
    assert len(left(runs)) == 6


@pytest.mark.parametrize("options", [[], ["--keep", "-1"], ["--older-than", "soon"]])
def test_prune_never_guesses_what_is_meant(runs: Path, options: list[str]) -> None:
    assert prune(runs, *options) == 2
    assert len(left(runs)) == 6

"""A run's folder: what is written into it, and what is not written through it."""

import json
import os
from pathlib import Path

import pytest

from soakd.cli import main
from soakd.errors import JournalError, PreflightError
from soakd.record import run_folder
from soakd.record.journal.schema import create
from soakd.record.run_folder import RunDir
from soakd.wire.records import make_record
from tests.recorded import recorded_run, stamp


def test_json_with_a_lone_surrogate_is_written_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "verdict.json"
    run_folder.write_atomically(path, run_folder.to_json({"detail": "bad \udcff, good \u00e9"}))
    assert json.loads(path.read_text(encoding="utf-8")) == {"detail": "bad \\udcff, good \u00e9"}


@pytest.mark.parametrize("name", [run_folder.SUMMARY, run_folder.JUNIT])
def test_any_text_of_a_report_is_written(tmp_path: Path, name: str) -> None:
    run_folder.write_atomically(tmp_path / name, "bad \udcff")
    assert (tmp_path / name).read_text(encoding="utf-8") == "bad \\udcff"


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A run that is sealed."""
    body = {"name": "end", "reason": "completed", "signal": None, "records_dropped": 0}
    return recorded_run(tmp_path / "run", [make_record("phase", engine="", segment=0, at=stamp(180.0), body=body)])


@pytest.mark.parametrize("name", [*run_folder.WRITTEN, "captures/look.bin"])
@pytest.mark.parametrize("is_there", [True, False])
def test_a_resume_follows_no_link_out_of_the_run(
    run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, is_there: bool
) -> None:
    elsewhere = tmp_path / "elsewhere"
    if is_there:
        elsewhere.write_text("not soakd's", encoding="utf-8")
    link = run.path / name
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(elsewhere)
    assert main.main(["run", "--resume", str(run.path), "--run-dir", str(run.path)]) in (2, 5)
    said = capsys.readouterr().err
    assert name == run_folder.JOURNAL or f"{link.name} is a symbolic link, and soakd writes through none" in said
    assert elsewhere.exists() == is_there
    assert not is_there or elsewhere.read_text(encoding="utf-8") == "not soakd's"


def test_a_lock_that_leads_elsewhere_is_neither_taken_nor_truncated(run: RunDir, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("not soakd's", encoding="utf-8")
    elsewhere.chmod(0o600)
    (run.path / run_folder.LOCK).symlink_to(elsewhere)
    assert not run.is_running()
    with pytest.raises(PreflightError, match="lock is a symbolic link"):
        RunDir.reopen(run.path)
    assert (elsewhere.read_text(encoding="utf-8"), elsewhere.stat().st_mode & 0o777) == ("not soakd's", 0o600)


def test_a_lock_is_not_truncated_even_where_it_is_another_name_of_a_file(run: RunDir, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("not soakd's", encoding="utf-8")
    (run.path / run_folder.LOCK).hardlink_to(elsewhere)
    held = RunDir.reopen(run.path)
    assert RunDir(run.path).is_running()
    held.unlock()
    assert elsewhere.read_text(encoding="utf-8") == "not soakd's"


@pytest.mark.parametrize("name", [run_folder.LOCK, run_folder.TOKEN, run_folder.JOURNAL])
def test_a_pipe_in_the_place_of_a_file_keeps_nobody_waiting(run: RunDir, name: str) -> None:
    (run.path / name).unlink(missing_ok=True)
    os.mkfifo(run.path / name)
    assert not run.is_running()
    with pytest.raises((OSError, JournalError), match=f"{name} is not a regular file"):
        run.lock() if name == run_folder.LOCK else run.token() if name == run_folder.TOKEN else create(run.journal)


def test_a_token_that_leads_elsewhere_is_not_shown_to_anybody(run: RunDir, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a secret of the user's, long enough", encoding="utf-8")
    (run.path / run_folder.TOKEN).symlink_to(tmp_path / "secret")
    with pytest.raises(JournalError, match="token is a symbolic link"):
        run.token()


def test_a_run_that_cannot_be_removed_does_not_keep_the_others(
    run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = recorded_run(tmp_path / "other", [])
    (run.path / run_folder.LOCK).symlink_to(tmp_path / "elsewhere")
    assert main.main(["prune", "--runs", str(tmp_path), "--keep", "0", "--unfinished"]) == 2
    assert "cannot be removed: lock is a symbolic link" in capsys.readouterr().err
    assert (run.path.exists(), other.path.exists()) == (True, False)

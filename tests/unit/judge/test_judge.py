"""A journal alone gives the verdict, and always the same one, byte for byte."""

import json
import sqlite3
from pathlib import Path

import pytest

from soakd.cli import main
from soakd.judge import judge
from soakd.record.journal import Journal
from soakd.record.run_folder import JUNIT, SUMMARY, RunDir
from soakd.report import summaries
from tests.recorded import Story, made_up, per_operation, plan_of, recorded_run

PLAN = plan_of()
WRITTEN = ("verdict.json", JUNIT, SUMMARY)


def written(run: RunDir) -> list[bytes]:
    return [(run.path / name).read_bytes() for name in WRITTEN]


def change_row(run: RunDir, body: str) -> None:
    """Meddle with one sample of the engine."""
    with sqlite3.connect(run.journal) as db:
        db.execute(
            "UPDATE record SET body = ? WHERE id = (SELECT id FROM record WHERE engine = 'mine' AND kind = 'sample' "
            "LIMIT 1 OFFSET 40)",
            (body,),
        )
    db.close()


@pytest.mark.parametrize("mine", [Story(), Story(python=per_operation(200))], ids=["pass", "fail"])
def test_judging_a_run_again_gives_the_same_files_byte_for_byte(tmp_path: Path, mine: Story) -> None:
    run = recorded_run(tmp_path / "run", made_up(PLAN, {"mine": mine}))
    summaries.write(judge.judge(run, live=False), run)
    first = written(run)
    assert main.main(["judge", str(run.path), "--quiet"]) == (1 if mine.python is not Story().python else 0)
    assert written(run) == first
    assert b"NaN" not in first[0]


def test_a_look_while_the_run_goes_on_does_not_change_what_is_judged_at_its_end(tmp_path: Path) -> None:
    run = recorded_run(tmp_path / "run", made_up(PLAN))
    summaries.write(judge.judge(run, live=False), run)
    first = written(run)
    assert judge.judge(run, live=True).verdict == "INCOMPLETE"
    summaries.write(judge.judge(run, live=False), run)
    assert written(run) == first


def test_a_journal_with_nothing_in_it_is_never_a_pass(tmp_path: Path) -> None:
    run = recorded_run(tmp_path / "run", [])
    assert judge.judge(run, live=False).verdict == "INVALID"


def test_a_journal_without_a_plan_is_a_clear_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunDir(tmp_path)
    Journal(run.journal, on_commit=lambda batch: None, on_failure=print).close()
    assert main.main(["judge", str(run.path), "--quiet"]) == 2
    assert "holds no run" in capsys.readouterr().err


def test_a_journal_of_another_version_is_a_clear_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = recorded_run(tmp_path / "run", made_up(PLAN))
    with sqlite3.connect(run.journal) as db:
        db.execute("UPDATE meta SET value = '99' WHERE key = 'schema_version'")
    db.close()
    assert main.main(["judge", str(run.path), "--quiet"]) == 2
    assert "journal version 99, this soakd reads versions 1 and 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    "body",
    ['{"operations_total": NaN}', '{"operations_total": "7"}', '{"operations_total": 1e999}', "[1, 2]", "7", "null"],
)
def test_a_record_that_was_meddled_with_makes_the_run_invalid(tmp_path: Path, body: str) -> None:
    run = recorded_run(tmp_path / "run", made_up(PLAN))
    change_row(run, body)
    verdict = judge.judge(run, live=False)
    assert verdict.verdict == "INVALID"
    json.dumps(verdict.as_dict(), allow_nan=False)


@pytest.mark.parametrize("body", ['{"operations_total": ', "[" * 20_000, "1" * 5000], ids=["cut", "deep", "long"])
def test_a_record_that_is_no_json_is_a_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], body: str
) -> None:
    run = recorded_run(tmp_path / "run", made_up(PLAN))
    change_row(run, body)
    assert main.main(["judge", str(run.path), "--quiet"]) == 2
    assert "damaged" in capsys.readouterr().err


@pytest.mark.parametrize("said", ["7", "{}", '{"constants": 5, "names": []}', '{"constants": {}, "names": [1]}', "x"])
def test_a_heading_that_says_no_names_is_a_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], said: str
) -> None:
    run = recorded_run(tmp_path / "run", made_up(PLAN))
    with sqlite3.connect(run.journal) as db:
        db.execute("UPDATE heading SET said = ?", (said,))
    db.close()
    assert main.main(["judge", str(run.path), "--quiet"]) == 2
    assert "damaged" in capsys.readouterr().err


def test_samples_whose_heading_is_gone_are_never_a_pass(tmp_path: Path) -> None:
    run = recorded_run(tmp_path / "run", made_up(PLAN))
    with sqlite3.connect(run.journal) as db:
        db.execute("DELETE FROM heading WHERE number = 1")
    db.close()
    assert judge.judge(run, live=False).verdict == "INVALID"

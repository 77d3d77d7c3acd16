"""The judge and the last report as the daemon runs them: only a file that was written now counts."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from soakd.daemon.judge_process import LastReport, run_judge
from soakd.errors import JournalError
from soakd.record.run_folder import RunDir
from soakd.verdict.types import Verdict
from tests.booted import wait_for
from tests.recorded import plan_of


def program_that(script: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> RunDir:
    """Return a run with a verdict from before, whose judge and report are a shell script."""
    run = RunDir(folder / "run")
    run.path.mkdir()
    run.verdict.write_text(json.dumps({"verdict": "PASS"}), encoding="utf-8")
    program = folder / "python"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    return run


@pytest.mark.parametrize("code", [0, 1, 3, 4])
def test_a_program_that_writes_nothing_leaves_no_old_verdict_to_be_taken_for_its_own(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = program_that(f"echo MemoryError >&2; exit {code}", tmp_path, monkeypatch)
    with pytest.raises(JournalError, match="the judge failed: MemoryError"):
        asyncio.run(run_judge(run, live=False))


def test_the_verdict_that_a_judge_replaces_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = """echo '{"verdict": "FAIL", "summary": "a leak"}' >"$4/new"; mv "$4/new" "$4/verdict.json"; exit 1"""
    run = program_that(write, tmp_path, monkeypatch)
    assert asyncio.run(run_judge(run, live=False)) == Verdict(verdict="FAIL", summary="a leak")


class Heard:
    def __init__(self) -> None:
        self.problems: list[tuple[str, str]] = []
        self.reports: list[Path] = []

    def problem(self, what: str, detail: str) -> None:
        self.problems.append((what, detail))

    def reported(self, path: Path) -> None:
        self.reports.append(path)


def test_a_report_that_fails_is_logged_and_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, heard = program_that("echo 'no memory left' >&2; exit 5", tmp_path, monkeypatch), Heard()
    asyncio.run(LastReport(plan_of(), run, heard).write())
    assert heard.problems == [("report_failed", "the report failed: no memory left")]
    monkeypatch.setattr(sys, "executable", str(tmp_path / "gone"))
    asyncio.run(LastReport(plan_of(), run, heard).write())
    assert "the report cannot be started" in heard.problems[1][1]
    assert json.loads(run.verdict.read_text(encoding="utf-8")) == {"verdict": "PASS"}


def test_a_report_that_is_given_up_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, heard = program_that(f"touch {tmp_path}/began; exec sleep 1000", tmp_path, monkeypatch), Heard()

    async def leave() -> list[bool]:
        last = LastReport(plan_of(), run, heard)
        before, writing = last.give_up(), asyncio.ensure_future(last.write())
        await asyncio.to_thread(wait_for, (tmp_path / "began").exists, 60, "")
        during = last.give_up()
        await writing
        return [before, during, last.give_up()]

    assert asyncio.run(leave()) == [False, True, False]
    assert heard.problems == [("report_failed", f"given up: soakd report {run.path} writes it")]


def test_a_run_of_seconds_leaves_no_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, heard = program_that("exit 0", tmp_path, monkeypatch), Heard()
    asyncio.run(LastReport(plan_of(duration="59s", every="500ms"), run, heard).write())
    assert (heard.problems, heard.reports) == ([], [])
    asyncio.run(LastReport(plan_of(), run, heard).write())
    assert heard.reports == [run.path / "report.html"]

"""The judge as the daemon runs it: what it did not write now is no verdict."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from soakd.errors import JournalError
from soakd.judging import run_judge
from soakd.rundir import RunDir


def judge_that(script: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> RunDir:
    """Return a run with a verdict from before, whose judge is a shell script."""
    run = RunDir(folder / "run")
    run.path.mkdir()
    run.verdict.write_text(json.dumps({"verdict": "PASS"}), encoding="utf-8")
    program = folder / "python"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    return run


@pytest.mark.parametrize("code", [0, 1, 3, 4])
def test_a_judge_that_writes_nothing_leaves_no_old_verdict_to_be_taken_for_its_own(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = judge_that(f"echo MemoryError >&2; exit {code}", tmp_path, monkeypatch)
    with pytest.raises(JournalError, match="the judge failed: MemoryError"):
        asyncio.run(run_judge(run, live=False))


def test_the_verdict_that_a_judge_replaces_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = """echo '{"verdict": "FAIL"}' >"$4/new"; mv "$4/new" "$4/verdict.json"; exit 1"""
    run = judge_that(write, tmp_path, monkeypatch)
    assert asyncio.run(run_judge(run, live=False)) == {"verdict": "FAIL"}

"""Leaks outside of the engine's own memory, in real processes: each is seen, and no twin is accused."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.long]

CONFIG = Path(__file__).parents[2] / "configs" / "planted-outside.toml"
FAILS = {
    "growing-child": "growth.children_bytes", "more-children": "growth.children", "zombies": "growth.zombies",
    "memfd": "growth.held_file_bytes", "deleted-file": "growth.held_file_bytes",
    "temporary-files": "growth.scratch_bytes", "pipes": "growth.queued_bytes", "sockets": "growth.queued_bytes",
    "let-go-at-fork": "growth.rss_anon_bytes",
}  # fmt: skip
"""Leak -> the check that fails."""
INCIDENTS = {"dying-child": "child_lost", "dying-thread": "thread_lost"}
TOLD = {"swallowing": "behaviour.changed"}


@pytest.fixture(scope="module")
def verdict(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The verdict of one soak of 90 s."""
    run = tmp_path_factory.mktemp("outside") / "run"
    command = [sys.executable, "-m", "soakd", "run", str(CONFIG), "--run-dir", str(run), "--log-level", "error"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 1, done.stderr
    found: dict[str, Any] = json.loads((run / "verdict.json").read_text(encoding="utf-8"))
    return found


def checks_of(verdict: dict[str, Any], name: str) -> dict[str, str]:
    engine = next(engine for engine in verdict["engines"] if engine["name"] == name)
    return {check["id"]: check["verdict"] for check in engine["checks"]}


@pytest.mark.parametrize(("name", "check_id"), [*FAILS.items(), *TOLD.items()])
def test_a_leak_outside_of_the_engines_memory_fails_its_check(
    verdict: dict[str, Any], name: str, check_id: str
) -> None:
    assert checks_of(verdict, f"{name}-leak")[check_id] == "FAIL"


@pytest.mark.parametrize(("name", "what"), INCIDENTS.items())
def test_a_part_that_ends_unnoticed_is_an_incident_of_its_engine_alone(
    verdict: dict[str, Any], name: str, what: str
) -> None:
    assert {i["engine"] for i in verdict["incidents"] if i["what"] == what} == {f"{name}-leak"}


@pytest.mark.parametrize("name", [*FAILS, *INCIDENTS, *TOLD])
def test_no_twin_is_accused(verdict: dict[str, Any], name: str) -> None:
    failed = [check_id for check_id, state in checks_of(verdict, f"{name}-twin").items() if state == "FAIL"]
    assert [check_id for check_id in failed if check_id.startswith(("growth.", "behaviour."))] == []

"""The verdict file is believed only as it was written."""

import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from soakd.cli import main
from soakd.errors import BrokenVerdictError, JournalError
from soakd.record import run_folder, verdict_file
from soakd.record.run_folder import RunDir
from soakd.verdict.check import Check
from soakd.wire.records import make_record
from tests.recorded import Story, judged, per_operation, plan_of, recorded_run, stamp

VERDICT = {
    "schema": "soakd.verdict/1",
    "run_id": "r",
    "verdict": "FAIL",
    "summary": "a leak",
    "engines": [],
    "checks": [],
}


@pytest.fixture
def failed(tmp_path: Path) -> Path:
    """A run that is sealed, with a verdict that says FAIL."""
    body = {"name": "end", "reason": "completed", "signal": None, "records_dropped": 0}
    end = make_record("phase", engine="", segment=0, at=stamp(180.0), body=body)
    run = recorded_run(tmp_path / "failed", [end])
    verdict_file.write(run, VERDICT)
    return run.path


@pytest.fixture
def edited(failed: Path) -> Path:
    """The same, with a verdict that somebody has edited."""
    edit(failed, lambda found: found.update(verdict="PASS", summary="nothing grows"))
    return failed


def edit(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    found = json.loads((run / "verdict.json").read_text(encoding="utf-8"))
    change(found)
    (run / "verdict.json").write_text(json.dumps(found), encoding="utf-8")


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.update(verdict="PASS"), lambda v: v.update(summary="nothing grows"), lambda v: v.pop("run_id"),
        lambda v: v["checks"].append({}), lambda v: v.update(more=1), lambda v: v.update(sha256="0" * 64),
        lambda v: v.update(sha256=None),
    ],
)  # fmt: skip
def test_a_verdict_that_was_changed_in_any_place_is_not_read(tmp_path: Path, change: Callable[..., object]) -> None:
    verdict_file.write(RunDir(tmp_path), VERDICT)
    assert verdict_file.read(RunDir(tmp_path)).content["verdict"] == "FAIL"
    edit(tmp_path, change)
    with pytest.raises(BrokenVerdictError, match=r"was changed after soakd wrote it .*soakd judge .* writes it anew"):
        verdict_file.read(RunDir(tmp_path))


def test_a_verdict_cut_at_any_byte_is_not_read(tmp_path: Path) -> None:
    verdict_file.write(RunDir(tmp_path), VERDICT)
    whole = (tmp_path / "verdict.json").read_bytes().rstrip()
    for length in range(len(whole)):
        (tmp_path / "verdict.json").write_bytes(whole[:length])
        with pytest.raises(BrokenVerdictError):
            verdict_file.read(RunDir(tmp_path))


def test_a_key_that_stands_twice_is_not_read_because_readers_differ_in_which_they_take(tmp_path: Path) -> None:
    verdict_file.write(RunDir(tmp_path), VERDICT)
    file = tmp_path / "verdict.json"
    file.write_text(file.read_text(encoding="utf-8").replace("{", '{"verdict": "PASS",', 1), encoding="utf-8")
    with pytest.raises(BrokenVerdictError, match="a key stands twice"):
        verdict_file.read(RunDir(tmp_path))


def test_the_checksum_holds_for_any_text_and_number_and_does_not_depend_on_the_layout(tmp_path: Path) -> None:
    odd = {**VERDICT, "more": ["\udcff", "\u2028", "\x00", 1.0, 1, -0.0, 1e300, 10**30, None, True, {"b": 1, "a": 2}]}
    written = verdict_file.write(RunDir(tmp_path), odd)
    assert verdict_file.read(RunDir(tmp_path)).content == written
    edit(tmp_path, lambda _: None)
    assert verdict_file.read(RunDir(tmp_path)).content == written
    first = (tmp_path / "verdict.json").read_bytes()
    verdict_file.write(RunDir(tmp_path), written)
    verdict_file.write(RunDir(tmp_path), odd)
    edit(tmp_path, lambda _: None)
    assert (tmp_path / "verdict.json").read_bytes() == first, "written again it is the same"


def test_the_checksum_is_what_the_schema_says_it_is(tmp_path: Path) -> None:
    written = verdict_file.write(RunDir(tmp_path), VERDICT)
    rest = '{"checks":[],"engines":[],"run_id":"r","schema":"soakd.verdict/1","summary":"a leak","verdict":"FAIL"}'
    assert written["sha256"] == hashlib.sha256(rest.encode()).hexdigest()


@pytest.mark.parametrize(
    "wrong",
    [
        {"engines": 5}, {"engines": {"a": 1}}, {"engines": [None]}, {"checks": [5]}, {"incidents": "x"},
        {"engines": [{"name": "a", "verdict": "PASS", "checks": 3}]},
        {"engines": [{"name": "a", "attribution": ["x"]}]},
        {"engines": [{"name": "a", "attribution": 3}]}, {"engines": [{"name": "a", "attribution": [{"site": "x"}]}]},
        {"engines": [{"name": "a", "attribution": [{"site": "x", "fingerprint": "y", "frames": 3}]}]},
    ],
)  # fmt: skip
def test_a_verdict_of_another_shape_is_damaged_even_where_its_checksum_fits(
    failed: Path, wrong: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    verdict_file.write(RunDir(failed), VERDICT | wrong)
    assert main.main(["verdict", str(failed)]) == 4
    assert "is no verdict" in capsys.readouterr().err


def test_a_pipe_in_the_place_of_a_verdict_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "verdict.json")
    with pytest.raises(JournalError, match="is not a regular file"):
        verdict_file.read(RunDir(tmp_path))


@pytest.mark.parametrize("command", [["verdict"], ["verdict", "--json"], ["report"], ["status"], ["status", "--json"]])
def test_no_command_repeats_what_somebody_wrote_into_a_verdict(
    edited: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert main.main([*command, str(edited)]) == 4
    said = capsys.readouterr()
    assert "PASS:" not in said.out
    assert "nothing grows" not in said.out + said.err
    assert said.err.count("\n") == 1
    assert "was changed after soakd wrote it" in said.err
    assert not (edited / "report.html").exists()


def test_a_comparison_with_an_edited_verdict_is_refused(edited: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["diff", str(edited), str(edited)]) == 4
    assert capsys.readouterr().out == ""


def test_the_list_says_which_verdict_was_edited(edited: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["list", "--runs", str(edited.parent)]) == 0
    said = capsys.readouterr().out
    assert "UNKNOWN" in said
    assert "was changed after soakd wrote it" in said
    assert "PASS" not in said


def test_pruning_tells_of_an_edited_verdict(edited: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["prune", "--runs", str(edited.parent), "--keep", "0", "--dry-run"]) == 0
    assert "was changed after soakd wrote it" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["judge"], ["run", "--resume"]])
def test_an_edited_verdict_is_judged_anew_from_the_journal(
    edited: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert main.main([*command, str(edited)]) == 4
    assert "nothing grows" not in capsys.readouterr().out
    assert verdict_file.read(RunDir(edited)).content["verdict"] == "INVALID", "there is nothing in its journal"


def test_a_verdict_of_an_older_soakd_is_read_and_said_to_be_not_sealed(
    failed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(failed, lambda found: found.pop("sha256"))
    assert main.main(["verdict", str(failed)]) == 1
    assert "note: " in (said := capsys.readouterr().err)
    assert verdict_file.NOT_SEALED in said
    assert main.main(["list", "--runs", str(failed.parent)]) == 0
    assert "(not sealed)" in capsys.readouterr().out


def test_what_a_command_reads_a_program_reads_too(failed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["verdict", "--json", str(failed)]) == 1
    said = capsys.readouterr()
    assert (said.out, said.err) == ((failed / run_folder.VERDICT).read_text(encoding="utf-8"), "")


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"id": "a", "verdict": "FINE"}, "engines[0].checks[0].verdict is no one of PASS, FAIL"),
        ({"id": "a", "verdict": "PASS", "estimate": "much"}, "engines[0].checks[0].estimate is no float"),
        ({"verdict": "PASS"}, "engines[0].checks[0].id is missing"),
    ],
)
def test_a_damaged_verdict_is_one_error_that_says_where(tmp_path: Path, wrong: dict[str, Any], where: str) -> None:
    engine = {"name": "a", "verdict": "PASS", "checks": [wrong]}
    verdict_file.write(RunDir(tmp_path), VERDICT | {"engines": [engine]})
    with pytest.raises(BrokenVerdictError, match=re.escape(where)):
        verdict_file.read(RunDir(tmp_path))


def test_what_only_a_newer_soakd_writes_is_left_out_and_the_rest_is_read(tmp_path: Path) -> None:
    check = {"id": "growth.reachable_bytes", "verdict": "PASS", "decides": True, "estimate": 2, "moons": [1]}
    engine = {"name": "a", "verdict": "PASS", "checks": [check], "orbit": {"days": 27}}
    verdict_file.write(RunDir(tmp_path), VERDICT | {"engines": [engine], "sky": "blue"})
    read = verdict_file.read(RunDir(tmp_path)).verdict
    assert read.engines[0].checks == (Check(id="growth.reachable_bytes", verdict="PASS", estimate=2),)


@pytest.mark.parametrize(
    ("role", "check", "decides"),
    [
        ("subject", {"id": "growth.fds"}, True), ("twin", {"id": "growth.fds"}, True),
        ("rival", {"id": "growth.fds"}, False), ("control", {"id": "growth.fds"}, False),
        ("rival", {"id": "stability.server"}, True), ("subject", {"id": "growth.fds", "informational": True}, False),
        ("rival", {"id": "growth.fds", "decides": True}, True),
    ],
)  # fmt: skip
def test_whether_a_check_of_an_older_file_decides_is_known_once_it_is_read(
    tmp_path: Path, role: str, check: dict[str, Any], decides: bool
) -> None:
    engine = {"name": "a", "role": role, "verdict": "FAIL", "checks": [{"verdict": "FAIL", **check}]}
    verdict_file.write(RunDir(tmp_path), VERDICT | {"engines": [engine]})
    assert verdict_file.read(RunDir(tmp_path)).verdict.engines[0].checks[0].decides is decides


def test_a_verdict_that_is_read_is_written_as_it_was(tmp_path: Path) -> None:
    content = judged(plan_of(), mine=Story(python=per_operation(100)))
    verdict_file.write(RunDir(tmp_path), content)
    first = (tmp_path / "verdict.json").read_bytes()
    verdict_file.write(RunDir(tmp_path), verdict_file.read(RunDir(tmp_path)).verdict.as_dict())
    assert (tmp_path / "verdict.json").read_bytes() == first

"""How a run stands, out of its folder: what `soakd status` and `soakd top` show."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from soakd.cli.main import main
from soakd.cli.run_view import RunView
from soakd.live.status import RunStatus
from soakd.record import journal, resume, run_folder
from soakd.record.run_folder import RunDir
from soakd.setup.plan_json import plan_as_dict
from soakd.wire.records import Record, Stamp, make_record
from tests.recorded import made_up, plan_of, stamp

PLAN = plan_of()
BOOT = "the same boot"


def written(path: Path, records: list[Record]) -> RunDir:
    """A run's folder with these records."""
    path.mkdir(exist_ok=True)
    db = journal.Journal(path / run_folder.JOURNAL, on_commit=lambda batch: None, on_failure=print)
    db.set_meta({"run_id": path.name, "plan": plan_as_dict(PLAN), "environment": {"host": {"boot_id": BOOT}}})
    for record in records:
        db.put(record)
    db.close()
    return RunDir(path)


def until(t_s: float) -> list[Record]:
    return [r for r in made_up(PLAN, end=None) if r.at.mono_s <= stamp(t_s).mono_s]


def test_it_is_what_the_daemon_itself_would_show(tmp_path: Path) -> None:
    whole = RunStatus(PLAN, "run")
    whole.fold(until(60.0))
    seen = RunView(written(tmp_path / "run", until(60.0))).status
    for name, engine in whole.engines.items():
        other = seen.engines[name]
        assert (other.latest, other.operations, other.rate_per_s) == (
            engine.latest,
            engine.operations,
            engine.rate_per_s,
        )
        assert (other.phase, other.up, other.latency, other.pid) == (
            engine.phase,
            engine.up,
            engine.latency,
            engine.pid,
        )
    assert (seen.phase, seen.incidents, seen.origin_s) == (whole.phase, whole.incidents, whole.origin_s)


def test_it_follows_a_run_record_by_record(tmp_path: Path) -> None:
    earlier = until(40.0)
    run = written(tmp_path / "run", earlier)
    standing = RunView(run)
    before = standing.status.engines["mine"].operations
    written(tmp_path / "run", [r for r in until(60.0) if r not in earlier])
    standing.catch_up()
    assert standing.status.engines["mine"].operations["ok"] > before["ok"]
    assert standing.status.as_dict(0.0)["incidents_total"] == 0
    assert standing.now_s == pytest.approx(stamp(60.0).mono_s, abs=1.01), "nobody writes it: its clock stands"


def test_operations_of_earlier_lives_and_of_another_boot_are_counted(tmp_path: Path) -> None:
    run = written(tmp_path / "run", until(60.0))
    later = Stamp(stamp(64.0).wall_s, 5.0, 5.0)
    resumed = resume.look_back(run.journal, later, "another boot")
    life = resumed.engines["mine"].next_segment
    sample = {"phase": "load", "operations_total": 11, "errors_total": 0}
    written(tmp_path / "run", [
        resumed.record(), resumed.incident(),
        make_record("hello", engine="mine", segment=life, at=later, body={"pid": 7}),
        make_record("sample", engine="mine", segment=life, at=Stamp(later.wall_s + 1, 6.0, 6.0), body=sample),
    ])  # fmt: skip
    first = RunStatus(PLAN, "run")
    first.fold(until(60.0))
    standing = RunView(run)
    assert standing.status.engines["mine"].operations["ok"] == first.engines["mine"].operations["ok"] + 11
    assert standing.status.engines["mine"].pid == 7
    assert standing.status.incidents == {"daemon_gap": 1}
    assert standing.status.elapsed_s(standing.now_s) == pytest.approx(65.0, abs=1.1)


def test_a_verdict_is_taken_when_it_is_another_one(tmp_path: Path) -> None:
    run = written(tmp_path / "run", until(60.0))
    standing = RunView(run)
    assert standing.status.state is None
    for state in ("INCOMPLETE", "PASS"):
        run.verdict.write_text(json.dumps({"verdict": state, "summary": "so", "engines": []}), encoding="utf-8")
        os.utime(run.verdict, ns=(0, {"INCOMPLETE": 10**9, "PASS": 2 * 10**9}[state]))
        standing.catch_up()
        assert standing.status.state == state
    run.verdict.write_text("{", encoding="utf-8")
    standing.catch_up()
    assert standing.status.state == "PASS"


def test_status_shows_the_newest_run_on_one_screen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path / "run", made_up(PLAN))
    assert main(["status", "--runs", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert shown.count("\n") < 24
    assert "mine" in shown
    assert "ended (completed): soakd verdict" in shown
    assert main(["status", "--json", str(tmp_path / "run")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["running"], told["page"], told["run"]) == (False, None, "run")
    assert [engine["name"] for engine in told["engines"]] == list(RunStatus(PLAN, "run").engines)


def test_a_run_that_nobody_writes_says_how_it_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path / "run", until(60.0))
    assert main(["status", str(tmp_path / "run")]) == 0
    assert f"soakd run --resume {tmp_path / 'run'} continues it" in capsys.readouterr().out


def test_a_run_that_is_written_tells_where_its_page_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = written(tmp_path / "run", until(60.0))
    (run.path / run_folder.ADDRESS).write_text("http://127.0.0.1:9109/\n", encoding="utf-8")
    run.lock()
    try:
        assert main(["status", str(run.path)]) == 0
    finally:
        run.unlock()
    assert "page: http://127.0.0.1:9109/" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["status", "top"])
def test_where_there_is_no_run_it_is_said(tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--runs", str(tmp_path)]) == 2
    assert "no run there" in capsys.readouterr().err


def test_top_needs_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path / "run", until(60.0))
    assert main(["top", str(tmp_path / "run")]) == 2
    assert "needs a terminal" in capsys.readouterr().err


def test_top_on_a_terminal_ends_with_the_run_and_leaves_its_last_state(tmp_path: Path) -> None:
    written(tmp_path / "run", made_up(PLAN))
    terminal, inside = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "soakd", "top", str(tmp_path / "run")],
        stdin=inside, stdout=inside, stderr=inside, env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )  # fmt: skip
    os.close(inside)
    shown = b""
    try:
        while block := os.read(terminal, 65536):
            shown += block
    except OSError:  # the other end is closed
        pass
    os.close(terminal)
    assert process.wait(60) == 0
    assert b"mine" in shown
    assert b"ended (completed)" in shown


def test_programs_may_ask_every_command_that_shows_something(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = written(tmp_path / "run", made_up(PLAN))
    (run.path / run_folder.CONFIG).write_text("", encoding="utf-8")
    assert main(["judge", "--json", str(run.path)]) in (0, 1, 3, 4)
    judged = json.loads(capsys.readouterr().out)
    assert main(["verdict", "--json", str(run.path)]) in (0, 1, 3, 4)
    assert json.loads(capsys.readouterr().out) == judged
    assert main(["list", "--json", "--runs", str(tmp_path)]) == 0
    (listed,) = json.loads(capsys.readouterr().out)["runs"]
    assert (listed["run"], listed["state"], listed["summary"]) == ("run", judged["verdict"], judged["summary"])


def test_check_tells_programs_what_it_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "soak.toml"

    engine = '[[engine]]\nname = "a"\nkind = "python"\nfactory = "no_such:make"\n'
    config.write_text(f'[run]\nduration = "3min"\nsample_every = "1s"\n{engine}', encoding="utf-8")
    assert main(["check", "--json", str(config), "--runs", str(tmp_path)]) == 2
    told = json.loads(capsys.readouterr().out)
    assert told["ready"] is False
    assert any(found["level"] == "error" and "no_such" in found["text"] for found in told["findings"])

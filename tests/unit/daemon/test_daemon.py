"""The composition root: what it builds, and how a run ends."""

import signal
from pathlib import Path

import pytest

from soakd.daemon import daemon as module
from soakd.daemon import ending
from soakd.daemon.daemon import Daemon
from soakd.record.run_folder import RunDir
from tests.recorded import plan_of


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Daemon:
    """A daemon of a run that has not begun; its workers, of which there are none, stop without a loop."""
    made = Daemon(plan_of(), RunDir(tmp_path / "run"), on_progress=lambda status, now_s: None)
    monkeypatch.setattr(made._supervisor, "stop", made._supervisor.stop_asked.set)
    return made


def test_no_part_of_a_daemon_is_made_later(daemon: Daemon) -> None:
    unknown = {name for name, value in vars(daemon).items() if value is None}
    assert unknown == {"_resumption", "_journal_id"}, "what this run is not, and what is not written yet"


def test_a_run_can_be_left_until_its_last_record_and_not_after_it(daemon: Daemon) -> None:
    daemon._leave()
    assert daemon._last_record({}).body["name"] == "left"
    assert daemon._supervisor.stop_asked.is_set()


def test_a_sealed_run_is_not_left(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "host_goes_down", lambda: True)
    assert daemon._last_record({}).body["name"] == "end"
    daemon._leave()
    daemon._stop(signal.SIGTERM)
    assert not daemon._ending.is_resumable
    assert daemon._ending.exit_code == 128 + signal.SIGTERM


def test_a_failure_of_the_journal_ends_the_run_and_outweighs_the_signal_before_it(daemon: Daemon) -> None:
    daemon._stop(signal.SIGINT)
    daemon._fail("no room")
    daemon._fail("still no room")
    assert (daemon._ending.failure, daemon._ending.exit_code) == ("no room", 5)
    assert daemon._last_record({"records_dropped": 3}).body == {
        "name": "end", "reason": "failed", "signal": "SIGINT", "records_dropped": 3,
    }  # fmt: skip


def test_the_page_ends_a_run_by_its_verdict_and_a_signal_after_it_is_the_first_one(daemon: Daemon) -> None:
    daemon._end_early(ending.interrupted())
    assert daemon._ending.exit_code is None
    daemon._stop(signal.SIGTERM)
    assert daemon._ending.exit_code == 128 + signal.SIGTERM

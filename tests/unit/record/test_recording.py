"""The one way to the records of a run: its plan, its handovers, its records on one clock."""

from pathlib import Path

import pytest

from soakd.errors import JournalError
from soakd.record import journal
from soakd.record.recording import Recording
from soakd.record.run_folder import RunDir
from soakd.setup.plan_json import plan_as_dict
from soakd.wire.records import Record, Stamp, make_record
from tests.recorded import MONO_S, plan_of, recorded_run, stamp

SHIFT_S = 1000.0


def rebooted(t_s: float) -> Stamp:
    at = stamp(t_s)
    return Stamp(at.wall_s, at.boot_s - SHIFT_S, at.mono_s - SHIFT_S)


def sample(t_s: float, *, life: int = 0) -> Record:
    at = rebooted(t_s) if life else stamp(t_s)
    body = {"fds": life, "reachable_forked_at_s": at.mono_s}
    return make_record("sample", engine="mine", segment=life, at=at, body=body)


def resumed(t_s: float) -> Record:
    body = {
        "name": "resumed", "segments": {"mine": 1}, "server_lives": {}, "shift_s": SHIFT_S, "boot_shift_s": SHIFT_S,
        "since_wall_s": stamp(t_s).wall_s,
    }  # fmt: skip
    return make_record("phase", engine="", segment=1, at=rebooted(t_s), body=body)


def origin() -> Record:
    return make_record("phase", engine="", segment=0, at=stamp(0.0), body={"name": "origin", "mono_s": MONO_S})


def test_records_of_every_daemon_are_on_the_clock_of_the_first(tmp_path: Path) -> None:
    run = recorded_run(tmp_path / "run", [origin(), sample(1.0), resumed(5.0), sample(6.0, life=1)])
    recording = Recording.open(run)
    assert recording.plan == plan_of()
    assert recording.origin is not None
    assert recording.origin.mono_s == MONO_S
    assert [handover.life for handover in recording.handovers] == [1]
    found = list(recording.records("sample"))
    assert [record.at.mono_s - MONO_S for record in found] == [1.0, 6.0]
    assert [record.body["reachable_forked_at_s"] - MONO_S for record in found] == [1.0, 6.0]
    assert [record.at.mono_s for record in recording.on_this_clock([sample(1.0)])] == [stamp(1.0).mono_s - SHIFT_S]


def test_what_is_recorded_later_is_read_on_with_the_handovers_in_it(tmp_path: Path) -> None:
    run = recorded_run(tmp_path / "run", [origin(), sample(1.0)])
    recording = Recording.open(run)
    last = recording.latest_number()
    writing = journal.Journal(run.journal, on_commit=lambda batch: None, on_failure=print)
    for record in (resumed(5.0), sample(6.0, life=1)):
        writing.put(record)
    writing.close()
    found = [record for _, record in recording.since(last)]
    assert [handover.life for handover in recording.handovers] == [1]
    assert [record.at.mono_s for record in recording.on_this_clock(found)] == [
        rebooted(5.0).mono_s,
        rebooted(6.0).mono_s,
    ]
    assert recording.since(recording.latest_number()) == []


@pytest.mark.parametrize("meta", [{}, {"run_id": "r"}, {"plan": plan_as_dict(plan_of())}])
def test_a_journal_without_a_run_says_so_once_and_for_all(meta: dict[str, object], tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    writing = journal.Journal(run.journal, on_commit=lambda batch: None, on_failure=print)
    writing.set_meta(meta)
    writing.close()
    with pytest.raises(JournalError, match="holds no run: its plan was never written"):
        Recording.open(run)

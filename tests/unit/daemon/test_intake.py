"""Which lines of a worker's pipe are its records: those with its key, of its engine and life, in their order."""

import os
import subprocess
import sys

import pytest

from soakd.daemon.workers.intake import Intake
from soakd.wire.bounds import LONGEST_LINE_BYTES
from soakd.wire.records import Kind, Record, Stamp, encode, make_record, sealed
from soakd.worker.pipes import MAX_PENDING_BYTES, ControlPipe, RecordPipe, let_go

AT = Stamp(1.0, 2.0, 3.0)
PID = 77


def line_of(kind: Kind, engine: str = "mine", segment: int = 0, **body: object) -> bytes:
    return encode(make_record(kind, engine=engine, segment=segment, at=AT, body=body))


class Taken:
    """An intake of life 1 of "mine", and what it took."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.intake = Intake("mine", 0, self.records.append)
        self.intake.pid = PID

    def send(self, *lines: bytes) -> None:
        """Let the worker's own lines come."""
        self.feed(b"".join(sealed(line, self.intake.key) for line in lines))

    def feed(self, data: bytes) -> None:
        self.intake.feed(data)

    @property
    def kinds(self) -> list[str]:
        return [record.kind for record in self.records]

    @property
    def counts(self) -> tuple[int, int]:
        return self.intake.garbled, self.intake.refused


def test_a_whole_life_is_taken_whatever_pieces_it_comes_in() -> None:
    taken = Taken()
    lines = [line_of("hello", pid=PID), line_of("sample", n=1), line_of("bye")]
    for byte in b"".join(sealed(line, taken.intake.key) for line in lines):
        taken.feed(bytes([byte]))
    taken.intake.end()
    assert taken.kinds == ["hello", "sample", "bye"]
    assert taken.counts == (0, 0)


def test_what_looks_like_a_record_and_lacks_the_key_is_no_record() -> None:
    taken = Taken()
    taken.send(line_of("hello", pid=PID))
    forged = line_of("incident", what="crash", detail="forged")
    other_key = Intake("mine", 0, taken.records.append).key
    taken.feed(forged + sealed(forged, other_key) + b" " + sealed(forged, taken.intake.key) + b"\n")
    assert taken.kinds == ["hello"]
    assert taken.counts == (4, 0)


def test_text_in_the_midst_of_a_record_loses_that_record_alone_and_is_counted() -> None:
    taken = Taken()
    whole = sealed(line_of("sample", n=1), taken.intake.key)
    taken.feed(whole[:30] + b"a native library speaks\n" + whole[30:])
    taken.feed(b"no newline " + whole)
    taken.send(line_of("sample", n=2))
    assert [record.body for record in taken.records] == [{"n": 2}]
    assert taken.counts == (3, 0)


def test_a_line_without_an_end_is_not_kept() -> None:
    taken = Taken()
    taken.feed(b"x" * (LONGEST_LINE_BYTES + 1))
    taken.feed(b"\n")
    taken.send(line_of("sample"))
    assert taken.kinds == ["sample"]
    assert taken.intake.garbled >= 1


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (line_of("sample", engine="other"), "a sample of 'other', life 1, is of another worker"),
        (line_of("sample", engine=""), "a sample of '', life 1, is of another worker"),
        (line_of("bye", segment=1), "a bye of 'mine', life 2, is of another worker"),
        (line_of("hello", pid=PID), "a second hello"),
        (line_of("server", version="7"), "a server that only soakd itself makes"),
        (line_of("sample", source="outside"), "a sample that only soakd itself makes"),
    ],
)
def test_a_record_that_the_worker_of_this_life_cannot_have_sent_is_refused(line: bytes, why: str) -> None:
    taken = Taken()
    taken.send(line_of("hello", pid=PID), line)
    assert taken.kinds == ["hello"]
    assert taken.counts == (0, 1)
    assert [sentence for _, sentence, _ in taken.intake.news(all_of_it=True)] == [
        f"1 line in the record pipe was refused: {why}"
    ]


def test_nothing_is_taken_after_bye_and_no_second_bye() -> None:
    taken = Taken()
    taken.send(line_of("hello", pid=PID), line_of("bye"), line_of("sample"), line_of("bye"))
    taken.feed(b"half a line")
    taken.intake.end()
    assert taken.kinds == ["hello", "bye"]
    assert taken.counts == (1, 2)


def test_a_worker_that_was_cut_off_in_a_line_has_garbled_nothing() -> None:
    taken = Taken()
    taken.send(line_of("hello", pid=PID))
    taken.feed(sealed(line_of("sample"), taken.intake.key)[:20])
    taken.intake.end()
    assert taken.counts == (0, 0)


@pytest.mark.parametrize("pid", [PID + 1, None, "77", True])
def test_a_hello_of_another_process_is_refused_and_says_whose_it_is(pid: object) -> None:
    taken = Taken()
    taken.send(line_of("hello", pid=pid))
    assert taken.kinds == []
    assert taken.intake.stranger == (pid if type(pid) is int else -1)


def test_a_flood_of_strange_lines_is_few_incidents_that_together_count_all() -> None:
    taken = Taken()
    told: list[tuple[str, str, int]] = []
    for _ in range(1000):
        taken.feed(b"noise\n")
        told += taken.intake.news(all_of_it=False)
    told += taken.intake.news(all_of_it=True)
    assert sum(count for _, _, count in told) == 1000
    assert len(told) < 15
    assert list(taken.intake.news(all_of_it=True)) == []


def test_what_a_full_pipe_does_not_take_is_counted_and_what_happened_has_more_room_than_readings() -> None:
    end, begin = os.pipe()
    pipe = RecordPipe(begin, "mine", 0, "key")
    reading = {"text": "x" * 1000}
    while not pipe.dropped:
        pipe.send("sample", reading)
    pipe.send("incident", {"what": "close_failed"})
    assert (pipe.dropped, pipe.events_dropped) == (1, 0)
    for _ in range(MAX_PENDING_BYTES // 100):
        pipe.send("incident", reading)
    assert pipe.events_dropped == pipe.dropped - 1 > 0
    os.close(end)
    os.close(begin)


def test_what_the_engine_executes_inherits_neither_pipe_and_a_child_that_it_forks_lets_go_of_both() -> None:
    (control_end, control), (ours, records_end) = os.pipe(), os.pipe()
    for fd in (control_end, records_end):
        os.set_inheritable(fd, True)
    pipes = ControlPipe(control_end), RecordPipe(records_end, "mine", 0)
    look = f"for fd in ({control_end}, {records_end}):\n try: os.fstat(fd); print('open')\n except OSError: pass"
    code = f"import os\n{look}"
    said = subprocess.run([sys.executable, "-c", code], close_fds=False, check=True, capture_output=True, text=True)
    assert said.stdout == ""
    let_go(*pipes)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(records_end)
    let_go(*pipes)
    os.close(control)
    os.close(ours)

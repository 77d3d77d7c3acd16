import dataclasses
import gzip
import json
import os
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from soakd.errors import JournalError
from soakd.judge.judge import judge
from soakd.record.journal import Journal, headings, query, read_latest, read_meta, read_records, read_spread, writing
from soakd.record.run_folder import RunDir
from soakd.wire.records import KINDS, Record, Stamp, make_record
from tests.conftest import GOLDEN

BODIES: list[dict[str, Any]] = [
    {"source": "outside", "rss_bytes": 4096 * n, "cpu_s_total": n / 8} if n % 2 else {"tasks": n, "phase": "load"}
    for n in range(50)
]
"""Samples of two sources."""


def record(n: int, engine: str = "mine", kind: str = "sample") -> Record:
    return make_record(kind, engine=engine, segment=0, at=Stamp(1e9 + n, n, n), body={"n": n})  # type: ignore[arg-type]


def opened(path: Path, published: list[Record] | None = None) -> Journal:
    def publish(batch: Sequence[Record]) -> None:
        if published is not None:
            published.extend(batch)

    def fail(error: JournalError) -> None:
        raise AssertionError(error)

    return Journal(path, on_commit=publish, on_failure=fail)


def test_what_was_put_is_read_back_in_order(tmp_path: Path) -> None:
    published: list[Record] = []
    journal = opened(tmp_path / "run.db", published)
    records = [record(n) for n in range(1000)]
    for each in records:
        journal.put(each)
    journal.close()
    assert list(read_records(tmp_path / "run.db", "sample")) == records
    assert published == records


def test_records_are_found_by_kind_and_engine(tmp_path: Path) -> None:
    journal = opened(tmp_path / "run.db")
    for each in (record(1), record(2, "other"), record(3, "mine", "incident")):
        journal.put(each)
    journal.close()
    assert [r.body["n"] for r in read_records(tmp_path / "run.db", "sample", "incident", engine="mine")] == [1, 3]


def test_a_record_is_published_only_when_a_reader_can_see_it(tmp_path: Path) -> None:
    path, seen = tmp_path / "run.db", []
    journal = Journal(
        path,
        on_commit=lambda batch: seen.append(len(list(read_records(path, "sample"))) >= len(batch)),
        on_failure=print,
    )
    journal.put(record(1))
    journal.close()
    assert seen == [True]


def test_facts_about_the_run_are_kept(tmp_path: Path) -> None:
    journal = opened(tmp_path / "run.db")
    journal.set_meta({"run_id": "r", "plan": {"a": [1, 2]}})
    journal.close()
    assert read_meta(tmp_path / "run.db")["plan"] == {"a": [1, 2]}


def test_a_journal_of_another_version_is_refused_by_its_number(tmp_path: Path) -> None:
    opened(tmp_path / "run.db").close()
    with sqlite3.connect(tmp_path / "run.db") as db:
        db.execute("UPDATE meta SET value = '99' WHERE key = 'schema_version'")
    db.close()
    with pytest.raises(JournalError, match="journal version 99, this soakd reads versions 1 and 2"):
        read_meta(tmp_path / "run.db")


@pytest.mark.parametrize("content", [b"", b"not a database at all, but long enough to be read as one" * 100])
def test_what_is_no_journal_is_a_clear_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run.db").write_bytes(content)
    with pytest.raises(JournalError, match="not a soakd journal"):
        read_meta(tmp_path / "run.db")


def test_a_journal_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="no journal there"):
        read_meta(tmp_path / "absent.db")


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be written"):
        opened(tmp_path / "absent" / "run.db")


def test_nobody_else_reads_a_journal_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        journal = Journal(tmp_path / "run.db", on_commit=lambda _: None, on_failure=lambda _: None)
        journal.put(make_record("phase", engine="", segment=0, at=Stamp(1.0, 1.0, 1.0), body={"name": "origin"}))
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        journal.close()
    finally:
        os.umask(before)
    assert set(modes.values()) == {0o640}, modes


@pytest.mark.parametrize(("count", "read"), [(0, 0), (1, 1), (39, 39), (40, 40), (5000, 40)])
def test_from_all_over_a_run_no_more_is_read_than_asked_for(tmp_path: Path, count: int, read: int) -> None:
    db = Journal(tmp_path / "run.db", on_commit=lambda batch: None, on_failure=lambda error: None)
    for number in range(count):
        db.put(make_record("sample", engine="a", segment=0, at=Stamp(0, 0, number), body={"number": number}))
        db.put(make_record("sample", engine="b", segment=0, at=Stamp(0, 0, number), body={}))
    db.close()
    found = [record.body["number"] for record in read_spread(tmp_path / "run.db", "sample", "a", places=10, each=4)]
    assert len(found) == read
    assert found == sorted(set(found))
    if count > read:
        assert found[0] < count / 10
        assert found[-1] > count * 8 / 10


def samples(bodies: Sequence[dict[str, Any]]) -> list[Record]:
    return [
        make_record("sample", engine="mine", segment=0, at=Stamp(n, n, n), body=body) for n, body in enumerate(bodies)
    ]


def kept(path: Path, records: Sequence[Record]) -> None:
    journal = opened(path)
    for each in records:
        journal.put(each)
    journal.close()


def test_names_that_samples_have_in_common_are_written_once(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    kept(path, samples(BODIES))
    assert [record.body for record in read_records(path, "sample")] == BODIES
    assert query(path, "SELECT COUNT(*) FROM heading") == [(2,)]
    assert query(path, "SELECT body FROM record WHERE id = 2") == [("[4096,0.125]",)]
    own = read_latest(path, "sample", "mine", 50, without='"source":')
    assert [record.body for _, record in own] == BODIES[::2]


def test_anybodys_sqlite_reads_whole_samples(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    kept(path, [*samples(BODIES), record(1, kind="incident")])
    rows = query(path, "SELECT body FROM readable ORDER BY id")
    assert [json.loads(body) for (body,) in rows] == [*BODIES, {"n": 1}]


def test_a_journal_that_is_written_on_keeps_its_headings(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    for _ in range(2):
        kept(path, samples(BODIES))
    assert [record.body for record in read_records(path, "sample")] == [*BODIES, *BODIES]
    assert query(path, "SELECT COUNT(*) FROM heading") == [(2,)]


def test_an_engine_whose_counters_have_ever_new_names_does_not_fill_the_headings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headings, "MOST", 3)
    path, bodies = tmp_path / "run.db", [{"phase": "load", f"counter.of-{n}": n} for n in range(8)]
    kept(path, samples(bodies))
    assert [record.body for record in read_records(path, "sample")] == bodies
    assert query(path, "SELECT COUNT(*) FROM heading") == [(3,)]


@pytest.fixture
def first_version(tmp_path: Path) -> RunDir:
    """A journal as soakd wrote it before there were headings: three minutes of an engine that leaks."""
    run = RunDir(tmp_path / "first")
    run.path.mkdir()
    with sqlite3.connect(run.journal) as db:
        db.executescript(gzip.decompress((GOLDEN / "journal-1.sql.gz").read_bytes()).decode())
    db.close()
    return run


def test_a_journal_of_the_first_version_is_judged_as_one_of_today(first_version: RunDir, tmp_path: Path) -> None:
    today = RunDir(tmp_path / "today")
    today.path.mkdir()
    journal = opened(today.journal)
    journal.set_meta({key: value for key, value in read_meta(first_version.journal).items() if key != "schema_version"})
    for each in read_records(first_version.journal, *sorted(KINDS)):
        journal.put(each)
    journal.close()
    verdict = judge(first_version, live=False)
    assert verdict.verdict == "FAIL"
    assert "mine" in verdict.summary
    assert dataclasses.replace(judge(today, live=False), artifacts=()) == dataclasses.replace(verdict, artifacts=())


def test_a_journal_of_the_first_version_goes_on_as_it_began(first_version: RunDir) -> None:
    before = list(read_records(first_version.journal, "sample"))
    kept(first_version.journal, samples(BODIES))
    assert list(read_records(first_version.journal, "sample")) == [*before, *samples(BODIES)]
    assert read_meta(first_version.journal)["schema_version"] == 1


def test_where_readings_are_dropped_there_is_room_for_what_happened_and_both_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "QUEUE_LENGTH", 3)
    monkeypatch.setattr(writing, "ROOM_FOR_EVENTS", 2)
    monkeypatch.setattr(writing, "BATCH_S", 0.0)
    busy, go_on = threading.Event(), threading.Event()

    def stand_still(_: Sequence[Record]) -> None:
        busy.set()
        go_on.wait()

    journal = Journal(tmp_path / "run.db", on_commit=stand_still, on_failure=lambda _: None)
    journal.put(record(0))
    busy.wait()
    for n in range(1, 6):
        journal.put(record(n))
    for n in range(6, 10):
        journal.put(record(n, kind="incident"))
    assert (journal.dropped, journal.events_dropped) == (4, 2)
    go_on.set()
    journal.close()
    assert [each.body["n"] for each in read_records(tmp_path / "run.db", "sample")] == [0, 1, 2, 3]
    assert [each.body["n"] for each in read_records(tmp_path / "run.db", "incident")] == [6, 7]


def test_records_of_a_batch_that_could_not_be_written_are_counted_as_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(Journal, "_commit", refuse)
    failures: list[JournalError] = []
    journal = Journal(tmp_path / "run.db", on_commit=lambda _: None, on_failure=failures.append)
    for n, kind in enumerate(("sample", "incident", "sample")):
        journal.put(record(n, kind=kind))
    journal.close()
    assert (journal.dropped, journal.events_dropped) == (3, 1)
    assert len(failures) == 1
